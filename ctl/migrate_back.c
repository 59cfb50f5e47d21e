/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The ways back of a migration: see migrate.h.
 *
 * How it works: until the other node has been told to run the VM, it runs nowhere but here, so
 * whatever went wrong there, QEMU here is told to go on. After that it is asked what it has done;
 * only if it does not answer is there a doubt, and then the VM is left stopped here rather than run
 * twice.
 */

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"
#include "output.h"

#define ABORT_LIMIT_MS 20000
#define CANCEL_LIMIT_MS 10000
#define QMP_LIMIT_MS 5000
#define QUERY_LIMIT_MS 5000
#define MAX_QUERIES 3
#define QUERY_PAUSE_US 1000000
#define CONT_TRIES 100
#define CONT_PAUSE_US 20000

/* Put what is left after what went wrong, where both fit. */
static void add_outcome(struct ctl_error *err, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));

static void
add_outcome(struct ctl_error *err, const char *fmt, ...)
{
	size_t used = strnlen(err->msg, sizeof(err->msg) / 2);
	va_list args;

	used += (size_t)snprintf(err->msg + used, sizeof(err->msg) - used, "; ");
	va_start(args, fmt);
	vsnprintf(err->msg + used, sizeof(err->msg) - used, fmt, args);
	va_end(args);
}

/* End QEMU's migration if there is one under way. */
static enum ctl_status
cancel_migration(struct ctl_migration *m, struct ctl_error *err)
{
	static const char *const ended[] = {"none", "cancelled", "failed", "completed", NULL};
	enum ctl_status status;

	status = ctl_qmp_call(m->qmp, "migrate_cancel", NULL, NULL, err);
	if (status == CTL_DONE)
		status = ctl_migration_wait(m, ended, CANCEL_LIMIT_MS, err);
	/* "failed" is an end as well. */
	if (status != CTL_DONE && strstr(err->msg, "migration failed") != NULL)
		status = CTL_DONE;
	return status;
}

/* Have the VM run; QEMU refuses while its migration is not over. */
static enum ctl_status
run_vm(struct ctl_migration *m, struct ctl_error *err)
{
	enum ctl_status status = CTL_FAILED;
	unsigned int i;

	for (i = 0; i < CONT_TRIES && status != CTL_DONE; i++) {
		if (i > 0)
			usleep(CONT_PAUSE_US);
		status = ctl_qmp_call(m->qmp, "cont", NULL, NULL, err);
		if (status != CTL_DONE && strcmp(err->code, "EIO") != 0)
			break; /* no QEMU */
	}
	return status;
}

enum ctl_status
ctl_migration_go_on(struct ctl_migration *m, struct ctl_error *err)
{
	enum ctl_status status = cancel_migration(m, err);

	return status == CTL_DONE ? run_vm(m, err) : status;
}

enum ctl_status
ctl_migration_attach_here(struct ctl_migration *m, struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE;
	json_t *names = ctl_vm_port_names(&m->vm), *results, *result;
	int64_t began_us = ctl_migration_begins(m, "attach here");
	size_t i;

	status = ctl_migration_switch(m, "port.attach",
			json_pack("{s:o, s:i}", "names", names, "timeout_ms", (int)m->attach_ms),
			&results, err);
	if (status != CTL_DONE)
		return status;
	json_array_foreach (results, i, result) {
		if (strcmp(ctl_member(result, "result"), "ok") != 0)
			ctl_migration_note(m, "%s: attach: %s", ctl_member(result, "name"),
					ctl_member(result, "result"));
	}
	ctl_migration_ended(m, "attach here", began_us, json_pack("{s:O}", "ports", results));
	json_decref(results);
	return CTL_DONE;
}

enum ctl_status
ctl_migration_resume(struct ctl_migration *m, struct ctl_error *err)
{
	char path[CTL_VM_PATH_SIZE];
	struct ctl_error cause;
	enum ctl_status status;

	/* A monitor that has been silent may have an old answer for us yet. */
	ctl_qmp_close(m->qmp);
	m->qmp = NULL;
	status = ctl_qmp_open(&m->qmp, ctl_vm_path(&m->vm, "qmp.sock", path), QMP_LIMIT_MS, &cause);
	if (status == CTL_DONE)
		status = ctl_migration_go_on(m, &cause);
	if (status != CTL_DONE) {
		add_outcome(err, "%s does not run: its QEMU here %s: %.200s", m->vm.name,
				ctl_vm_alive(&m->vm) ? "does not let it" : "has ended", cause.msg);
		return CTL_FAILED;
	}
	m->stopped = false;
	ctl_vm_set_state(&m->vm, "running", &cause);
	if (m->detached && ctl_migration_attach_here(m, &cause) != CTL_DONE) {
		add_outcome(err, "%s runs here, but its network is not up: %.200s", m->vm.name,
				cause.msg);
		return CTL_FAILED;
	}
	return CTL_DONE;
}

/* Take down what was made at the other node, if it can be reached. */
static void
abort_peer(struct ctl_migration *m)
{
	struct ctl_error ignored;

	if (m->peer != NULL)
		ctl_peer_call(m->peer, "abort", NULL, ABORT_LIMIT_MS, NULL, NULL, &ignored);
	ctl_peer_close(m->peer);
	m->peer = NULL;
}

/* Does the VM run at the other node? */
enum where {
	WHERE_UNKNOWN,
	WHERE_HERE,
	WHERE_THERE,
};

/* Ask it over a new connection; `vm receive` there may be at work yet. */
static enum where
ask_peer(struct ctl_migration *m)
{
	enum where where = WHERE_UNKNOWN;
	struct ctl_error ignored;
	const char *word;
	json_t *result;
	bool busy;
	int i;

	for (i = 0; i < MAX_QUERIES && where == WHERE_UNKNOWN; i++) {
		if (i > 0)
			usleep(QUERY_PAUSE_US);
		ctl_peer_close(m->peer);
		m->peer = NULL;
		if (ctl_peer_open(&m->peer, m->host, m->vm.name, &ignored) != CTL_DONE ||
				ctl_peer_call(m->peer, "query", NULL, QUERY_LIMIT_MS, &result, NULL,
						&ignored) != CTL_DONE)
			continue;
		word = ctl_member(result, "status");
		busy = ctl_member_u64(result, "busy") != 0;
		if (strcmp(word, "running") == 0)
			where = WHERE_THERE;
		else if (strcmp(word, "absent") == 0 || strcmp(word, "dead") == 0)
			where = WHERE_HERE;
		else if (!busy && (strcmp(word, "paused") == 0 || strcmp(word, "inmigrate") == 0))
			where = WHERE_HERE; /* and nobody is left who would run it */
		json_decref(result);
	}
	return where;
}

enum ctl_status
ctl_migration_back(struct ctl_migration *m, struct ctl_error *err)
{
	int64_t began_us = ctl_migration_begins(m, "back");
	enum where where = m->asked ? ask_peer(m) : WHERE_HERE;
	enum ctl_status status;

	if (where == WHERE_THERE) {
		m->ran = true;
		ctl_migration_note(m, "%s: no answer (%s), but %s runs it", m->host_name, err->msg,
				m->host_name);
		return CTL_DONE;
	}
	if (where == WHERE_UNKNOWN) {
		add_outcome(err,
				"host %s was told to run %s and does not answer: %s is stopped "
				"here and "
				"may run there; when you know that it does not: avpctl vm cancel "
				"%s",
				m->host_name, m->vm.name, m->vm.name, m->vm.name);
		return CTL_FAILED;
	}
	/* First the VM, then the rest: what is at the other node does not run without our word. */
	status = CTL_DONE;
	if (m->migrating || m->stopped || m->detached)
		status = ctl_migration_resume(m, err);
	abort_peer(m);
	if (status == CTL_DONE)
		add_outcome(err, "%s runs here%s", m->vm.name,
				m->detached ? ", its network is up" : " as before");
	ctl_migration_ended(m, "back", began_us, json_pack("{s:s}", "error", err->msg));
	return CTL_FAILED;
}
