/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What a migration tells: a log for programs, an object per line, and progress for people. Times in
 * the log are microseconds: "t_us" of the calendar, "since_us" since the beginning.
 */

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"
#include "output.h"

#define SHOW_INTERVAL_US 200000

static void
write_log(struct ctl_migration *m, json_t *line)
{
	FILE *log = m->log;

	if (log != NULL && line != NULL) {
		ctl_print_json_line(log, line);
		if (fflush(log) != 0) {
			int code = errno;

			m->log = NULL;
			fclose(log);
			ctl_migration_note(m, "log: cannot be written, and is not any more: %s",
					ctl_strerror(code));
		}
	}
	json_decref(line);
}

/* Are we to write for people? And may a line be written over? */
static bool
on_terminal(const struct ctl_migration *m)
{
	return !m->ctl->json && isatty(fileno(m->ctl->notes));
}

static void
end_line(struct ctl_migration *m)
{
	if (m->line_open)
		fputc('\n', m->ctl->notes);
	m->line_open = false;
}

static void
show_line(struct ctl_migration *m, const char *text)
{
	if (m->ctl->json)
		return;
	if (on_terminal(m)) {
		fprintf(m->ctl->notes, "\r\033[K%s", text);
		m->line_open = true;
	} else {
		fprintf(m->ctl->notes, "%s\n", text);
	}
	fflush(m->ctl->notes);
}

int64_t
ctl_migration_begins(struct ctl_migration *m, const char *step)
{
	int64_t now_us = ctl_wall_us();
	char text[128];

	if (m->began_us == 0)
		m->began_us = now_us;
	write_log(m,
			json_pack("{s:I, s:I, s:s, s:s, s:s}", "t_us", (json_int_t)now_us,
					"since_us", (json_int_t)(now_us - m->began_us), "node",
					"source", "step", step, "event", "begin"));
	if (m->phase == NULL || strcmp(m->phase, step) != 0) {
		snprintf(text, sizeof(text), "[%7.3f s] %s", (double)(now_us - m->began_us) / 1e6,
				step);
		show_line(m, text);
	}
	m->phase = step;
	return now_us;
}

static void
add_step(struct ctl_migration *m, const char *step, const char *node, int64_t began_us,
		int64_t ended_us, json_t *more)
{
	json_t *line;

	json_array_append_new(m->steps,
			json_pack("{s:s, s:s, s:I, s:I}", "step", step, "node", node, "began_us",
					(json_int_t)(began_us - m->began_us), "ended_us",
					(json_int_t)(ended_us - m->began_us)));
	line = json_pack("{s:I, s:I, s:s, s:s, s:s, s:I}", "t_us", (json_int_t)ended_us, "since_us",
			(json_int_t)(ended_us - m->began_us), "node", node, "step", step, "event",
			"end", "took_us", (json_int_t)(ended_us - began_us));
	if (line != NULL && more != NULL)
		json_object_update(line, more);
	json_decref(more);
	write_log(m, line);
}

void
ctl_migration_ended(struct ctl_migration *m, const char *step, int64_t began_us, json_t *more)
{
	add_step(m, step, "source", began_us, ctl_wall_us(), more);
}

void
ctl_migration_remote_steps(struct ctl_migration *m, const json_t *steps)
{
	json_t *step;
	size_t i;

	json_array_foreach (steps, i, step)
		add_step(m, ctl_member(step, "step"), "destination",
				json_integer_value(json_object_get(step, "began_us")),
				json_integer_value(json_object_get(step, "ended_us")), NULL);
}

void
ctl_migration_note(struct ctl_migration *m, const char *fmt, ...)
{
	int64_t now_us = ctl_wall_us();
	char text[512], shown[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	write_log(m,
			json_pack("{s:I, s:I, s:s, s:s}", "t_us", (json_int_t)now_us, "since_us",
					(json_int_t)(now_us - m->began_us), "event", "note", "text",
					text));
	end_line(m);
	if (!m->ctl->json)
		fprintf(m->ctl->notes, "%s\n", ctl_printable(shown, sizeof(shown), text));
}

void
ctl_migration_progress(struct ctl_migration *m, uint64_t remaining, double mbytes_per_s)
{
	int64_t now_us = ctl_wall_us();
	char size[CTL_CELL_SIZE], text[160];

	if (now_us - m->told_us < SHOW_INTERVAL_US)
		return;
	m->told_us = now_us;
	write_log(m,
			json_pack("{s:I, s:I, s:s, s:I, s:f, s:I}", "t_us", (json_int_t)now_us,
					"since_us", (json_int_t)(now_us - m->began_us), "event",
					"progress", "remaining_bytes", (json_int_t)remaining,
					"mb_per_s", mbytes_per_s, "held", (json_int_t)m->held));
	if (!on_terminal(m))
		return;
	snprintf(text, sizeof(text),
			"[%7.3f s] %s: %s of memory to send, %.0f MB/s, %ju packets held",
			(double)(now_us - m->began_us) / 1e6, m->phase,
			ctl_human_size(size, remaining), mbytes_per_s, (uintmax_t)m->held);
	show_line(m, text);
}

/* When a step of a node began or ended, microseconds since the start; -1 if it was not made. */
static int64_t
step_time(const struct ctl_migration *m, const char *name, const char *key)
{
	json_t *step;
	size_t i;

	json_array_foreach (m->steps, i, step) {
		if (strcmp(ctl_member(step, "step"), name) == 0)
			return json_integer_value(json_object_get(step, key));
	}
	return -1;
}

void
ctl_migration_print(struct ctl_migration *m)
{
	int64_t detach_us = step_time(m, "detach", "began_us");
	int64_t stop_us = step_time(m, "stop", "began_us");
	int64_t resume_us = step_time(m, "resume", "ended_us");
	int64_t attach_us = step_time(m, "attach", "ended_us");
	json_t *result;

	end_line(m);
	if (!m->ctl->json) {
		fprintf(m->ctl->notes, "%s runs at %s", m->vm.name, m->host_name);
		if (attach_us >= 0 && resume_us >= 0)
			fprintf(m->ctl->notes,
					": stopped for %.1f ms, without its ports for %.1f ms",
					(double)(resume_us - stop_us) / 1e3,
					(double)(attach_us - detach_us) / 1e3);
		fputc('\n', m->ctl->notes);
		return;
	}
	result = json_pack("{s:s, s:s, s:O, s:O, s:I, s:I}", "vm", m->vm.name, "host", m->host_name,
			"steps", m->steps, "ports", m->ports, "stopped_us",
			(json_int_t)(resume_us - stop_us), "detached_us",
			(json_int_t)(attach_us - detach_us));
	ctl_print_json(m->ctl->out, result);
	json_decref(result);
}
