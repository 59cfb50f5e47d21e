/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl stats: counters once, or with --watch what they grow by in a second, again and again.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "ctl.h"
#include "output.h"

static uint64_t
stats_drops(const json_t *port)
{
	uint64_t sum = 0;
	const char *reason;
	json_t *value;

	json_object_foreach (json_object_get(port, "drops"), reason, value)
		sum += json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	return sum;
}

static enum ctl_status
print_counters(struct ctl *ctl, const json_t *ports, struct ctl_error *err)
{
	static const char *const titles[] = {"PORT", ">RX-PACKETS", ">RX-BYTES", ">TX-PACKETS",
			">TX-BYTES", ">DROPS", NULL};
	static const char *const keys[] = {"rx_packets", "rx_bytes", "tx_packets", "tx_bytes"};
	struct ctl_table *table = ctl_table_create(titles);
	char text[4][CTL_CELL_SIZE], drops[CTL_CELL_SIZE];
	size_t i, n;
	json_t *port;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (ports, i, port) {
		for (n = 0; n < 4; n++)
			ctl_member_number(text[n], port, keys[n]);
		snprintf(drops, sizeof(drops), "%" PRIu64, stats_drops(port));
		ctl_table_add(table,
				(const char *[]){ctl_member(port, "name"), text[0], text[1],
						text[2], text[3], drops});
	}
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

/* One line for each reason of each port that has dropped something. */
static enum ctl_status
print_drops(struct ctl *ctl, const json_t *ports, struct ctl_error *err)
{
	static const char *const titles[] = {"PORT", "DROPPED", ">PACKETS", NULL};
	struct ctl_table *table;
	char text[CTL_CELL_SIZE];
	const char *reason;
	json_t *port, *value;
	uint64_t all = 0;
	size_t i;
	int ret;

	json_array_foreach (ports, i, port)
		all += stats_drops(port);
	if (all == 0)
		return CTL_DONE;
	table = ctl_table_create(titles);
	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (ports, i, port) {
		json_object_foreach (json_object_get(port, "drops"), reason, value) {
			if (json_integer_value(value) == 0)
				continue;
			snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
					json_integer_value(value));
			ctl_table_add(table,
					(const char *[]){ctl_member(port, "name"), reason, text});
		}
	}
	fputc('\n', ctl->out);
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

static enum ctl_status
show_once(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *ports;

	status = ctl_request(ctl, "stats", ctl_params(args, "name"), &ports, err);
	if (status != CTL_DONE)
		return status;
	if (ctl->json) {
		ctl_print_json(ctl->out, ports);
	} else if (args->nb_words > 0) {
		ctl_print_record(ctl->out, json_array_get(ports, 0), 0);
	} else {
		status = print_counters(ctl, ports, err);
		if (status == CTL_DONE)
			status = print_drops(ctl, ports, err);
	}
	json_decref(ports);
	return status;
}

/* The rates that --watch shows, in the order of its columns. */
static const char *const rate_names[] = {
		"rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "drops"};
#define NB_RATES (sizeof(rate_names) / sizeof(rate_names[0]))

static const json_t *
find_port(const json_t *ports, const char *name)
{
	json_t *port;
	size_t i;

	json_array_foreach (ports, i, port) {
		if (strcmp(ctl_member(port, "name"), name) == 0)
			return port;
	}
	return NULL;
}

static double
port_rate(const json_t *before, const json_t *port, const char *name, double interval_s)
{
	uint64_t old, new;

	if (strcmp(name, "drops") == 0) {
		old = stats_drops(before);
		new = stats_drops(port);
	} else {
		old = ctl_member_u64(before, name);
		new = ctl_member_u64(port, name);
	}
	/* A port that was deleted and added again begins at 0. */
	return new > old ? (double)(new - old) / interval_s : 0;
}

static enum ctl_status
print_rates(struct ctl *ctl, const json_t *before, const json_t *ports, double interval_s,
		struct ctl_error *err)
{
	static const char *const titles[] = {"PORT", ">RX-PKT/S", ">RX-BIT/S", ">TX-PKT/S",
			">TX-BIT/S", ">DROPS/S", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char text[NB_RATES][CTL_CELL_SIZE];
	const json_t *old;
	json_t *port;
	double rate;
	size_t i, n;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (ports, i, port) {
		old = find_port(before, ctl_member(port, "name"));
		for (n = 0; n < NB_RATES; n++) {
			rate = port_rate(old, port, rate_names[n], interval_s);
			ctl_human_rate(text[n], strstr(rate_names[n], "bytes") ? 8 * rate : rate);
		}
		ctl_table_add(table,
				(const char *[]){ctl_member(port, "name"), text[0], text[1],
						text[2], text[3], text[4]});
	}
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

/* {"interval_s": ..., "ports": [what stats says, and "rates": {...}, each per second]} */
static enum ctl_status
print_rates_json(struct ctl *ctl, const json_t *before, const json_t *ports, double interval_s,
		struct ctl_error *err)
{
	json_t *line, *list = json_array(), *rates, *copy, *port;
	const json_t *old;
	int failed = 0;
	size_t i, n;

	json_array_foreach (ports, i, port) {
		old = find_port(before, ctl_member(port, "name"));
		rates = json_object();
		for (n = 0; n < NB_RATES; n++)
			failed |= json_object_set_new(rates, rate_names[n],
					json_real(port_rate(old, port, rate_names[n], interval_s)));
		copy = json_copy(port);
		failed |= json_object_set_new(copy, "rates", rates);
		failed |= json_array_append_new(list, copy);
	}
	line = json_pack("{s:f, s:o}", "interval_s", interval_s, "ports", list);
	if (line == NULL || failed != 0) {
		json_decref(line);
		return ctl_no_memory(err);
	}
	ctl_print_json_line(ctl->out, line);
	json_decref(line);
	return CTL_DONE;
}

/* On a terminal each interval takes the place of the one before; elsewhere they follow. */
static enum ctl_status
show_rates(struct ctl *ctl, const json_t *before, const json_t *ports, double interval_s,
		bool first, struct ctl_error *err)
{
	enum ctl_status status;

	if (ctl->json) {
		status = print_rates_json(ctl, before, ports, interval_s, err);
	} else {
		if (isatty(fileno(ctl->out)))
			fputs("\033[H\033[J", ctl->out);
		else if (!first)
			fputc('\n', ctl->out);
		status = print_rates(ctl, before, ports, interval_s, err);
	}
	if (status == CTL_DONE && fflush(ctl->out) != 0)
		return ctl_fail(err, EIO, "standard output: cannot be written to");
	return status;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Sleep until @then_s of the clock, so that intervals do not grow by what printing takes. */
static void
sleep_until(double then_s)
{
	struct timespec then = {.tv_sec = (time_t)then_s};

	then.tv_nsec = (long)((then_s - (double)then.tv_sec) * 1e9);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) == EINTR)
		;
}

static enum ctl_status
watch(struct ctl *ctl, const struct ctl_args *args, double interval_s, uint64_t count,
		struct ctl_error *err)
{
	double before_s = 0, ports_s, next_s;
	json_t *before = NULL, *ports;
	enum ctl_status status;
	uint64_t i;

	next_s = now_s();
	for (i = 0;; i++) {
		status = ctl_request(ctl, "stats", ctl_params(args, "name"), &ports, err);
		if (status != CTL_DONE)
			break;
		ports_s = now_s();
		if (i > 0)
			status = show_rates(ctl, before, ports, ports_s - before_s, i == 1, err);
		json_decref(before);
		before = ports;
		before_s = ports_s;
		if (status != CTL_DONE || (count > 0 && i == count))
			break;
		next_s = next_s + interval_s > ports_s ? next_s + interval_s : ports_s + interval_s;
		sleep_until(next_s);
	}
	json_decref(before);
	return status;
}

enum ctl_status
ctl_stats(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	const char *interval = args->options[CTL_STATS_WATCH].value;
	const char *count = args->options[CTL_STATS_COUNT].value;
	uint64_t nb_intervals = 0;
	double interval_s = 1;
	enum ctl_status status = CTL_DONE;

	if (!args->options[CTL_STATS_WATCH].given) {
		if (count != NULL)
			return ctl_usage(err, "--count: only with --watch");
		return show_once(ctl, args, err);
	}
	if (interval != NULL)
		status = ctl_args_seconds("--watch", interval, 0.01, 86400, &interval_s, err);
	if (status == CTL_DONE && count != NULL)
		status = ctl_args_count("--count", count, &nb_intervals, err);
	if (status != CTL_DONE)
		return status;
	return watch(ctl, args, interval_s, nb_intervals, err);
}
