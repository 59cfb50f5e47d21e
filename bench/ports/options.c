/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The command line of bench_ports.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports.h"

static const char usage[] =
		"usage: bench_ports --host END --guest END [OPTION...]\n"
		"END is a virtual device (net_memif0,role=server), ring:NAME or stock:SOCKET; give "
		"as\n"
		"many of each as there are pairs.\n"
		"  --test ends|switch|ping|paced|to-guest|to-host|through   what packets do "
		"(ends)\n"
		"  --work io|mac|full    what is done to them (mac)\n"
		"  --size N[,N...]       bytes of packets (64)\n"
		"  --burst N --in-flight N --queues N --desc N --mbufs N --mbuf-room N\n"
		"  --segments N          mbufs of a packet when it is made, at least (1)\n"
		"  --macs N              addresses in all, for --test through (one for each end)\n"
		"  --load PERCENT        of the highest rate, for --test paced (50)\n"
		"  --vlan                both sides take a tag off and put it on\n"
		"  --vlan-offload        drivers that can do so do that\n"
		"  --warm MS --ms MS     before and while measuring (50, 200)\n"
		"  --cpus H,G            of the host's and the guest's thread (0,1)\n"
		"  --processes 1|2       sides as threads or as processes\n"
		"  --app-pool            the host receives into a mempool like any, not the port's "
		"own\n"
		"  --huge --mem MB       memory of each process (no huge pages, 512)\n"
		"  --real-time           leave no time to other processes; not for those through "
		"the kernel\n"
		"  --plugin FILE         a driver to load\n"
		"  --log                 let drivers say what they do\n";

static const struct options defaults = {
		.point = {.test = TEST_ENDS,
				.work = WORK_MAC,
				.sizes = {64},
				.nb_sizes = 1,
				.burst = 32,
				.in_flight = 256,
				.nb_queues = 1,
				.nb_desc = 512,
				.mbuf_room = 2048,
				.nb_mbufs = 2047,
				.nb_segs = 1,
				.load = 50,
				.warm_ms = 50,
				.measure_ms = 200,
				.host_own_pool = true},
		.cpus = {0, 1},
		.nb_processes = 1,
		.mem_mb = 512,
};

static const char *const test_names[] = {
		[TEST_ENDS] = "ends",
		[TEST_SWITCH] = "switch",
		[TEST_PING] = "ping",
		[TEST_PACED] = "paced",
		[TEST_TO_GUEST] = "to-guest",
		[TEST_TO_HOST] = "to-host",
		[TEST_THROUGH] = "through",
};
static const char *const work_names[] = {
		[WORK_IO] = "io", [WORK_MAC] = "mac", [WORK_FULL] = "full"};

static void __rte_noreturn
die(const char *what, const char *value)
{
	fprintf(stderr, "bench_ports: %s: %s\n%s", what, value, usage);
	exit(2);
}

static uint32_t
parse_number(const char *name, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 10);
	char what[64];

	if (*text == '\0' || *end != '\0' || value < min || value > max) {
		snprintf(what, sizeof(what), "--%s: must be %u..%u", name, min, max);
		die(what, text);
	}
	return (uint32_t)value;
}

static uint32_t
parse_name(const char *text, const char *const *names, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	die("no such thing", text);
}

static uint32_t
parse_list(const char *name, char *text, uint32_t *values, uint32_t max_values, uint32_t min,
		uint32_t max)
{
	uint32_t nb = 0;
	char *save;

	for (char *word = strtok_r(text, ",", &save); word != NULL && nb < max_values;
			word = strtok_r(NULL, ",", &save))
		values[nb++] = parse_number(name, word, min, max);
	return nb;
}

enum option_id {
	OPT_HOST = 256,
	OPT_GUEST,
	OPT_TEST,
	OPT_WORK,
	OPT_SIZE,
	OPT_BURST,
	OPT_IN_FLIGHT,
	OPT_QUEUES,
	OPT_DESC,
	OPT_MBUFS,
	OPT_MBUF_ROOM,
	OPT_SEGMENTS,
	OPT_MACS,
	OPT_LOAD,
	OPT_VLAN,
	OPT_VLAN_OFFLOAD,
	OPT_WARM,
	OPT_MS,
	OPT_CPUS,
	OPT_PROCESSES,
	OPT_APP_POOL,
	OPT_HUGE,
	OPT_MEM,
	OPT_REAL_TIME,
	OPT_PLUGIN,
	OPT_LOG,
};

static const struct option long_options[] = {
		{"host", required_argument, NULL, OPT_HOST},
		{"guest", required_argument, NULL, OPT_GUEST},
		{"test", required_argument, NULL, OPT_TEST},
		{"work", required_argument, NULL, OPT_WORK},
		{"size", required_argument, NULL, OPT_SIZE},
		{"burst", required_argument, NULL, OPT_BURST},
		{"in-flight", required_argument, NULL, OPT_IN_FLIGHT},
		{"queues", required_argument, NULL, OPT_QUEUES},
		{"desc", required_argument, NULL, OPT_DESC},
		{"mbufs", required_argument, NULL, OPT_MBUFS},
		{"mbuf-room", required_argument, NULL, OPT_MBUF_ROOM},
		{"segments", required_argument, NULL, OPT_SEGMENTS},
		{"macs", required_argument, NULL, OPT_MACS},
		{"load", required_argument, NULL, OPT_LOAD},
		{"vlan", no_argument, NULL, OPT_VLAN},
		{"vlan-offload", no_argument, NULL, OPT_VLAN_OFFLOAD},
		{"warm", required_argument, NULL, OPT_WARM},
		{"ms", required_argument, NULL, OPT_MS},
		{"cpus", required_argument, NULL, OPT_CPUS},
		{"processes", required_argument, NULL, OPT_PROCESSES},
		{"app-pool", no_argument, NULL, OPT_APP_POOL},
		{"huge", no_argument, NULL, OPT_HUGE},
		{"mem", required_argument, NULL, OPT_MEM},
		{"real-time", no_argument, NULL, OPT_REAL_TIME},
		{"plugin", required_argument, NULL, OPT_PLUGIN},
		{"log", no_argument, NULL, OPT_LOG},
		{NULL, 0, NULL, 0},
};

/* Those that say what is measured. Returns false for any other. */
static bool
parse_point_option(struct point *point, int id, const char *name, char *value)
{
	switch (id) {
	case OPT_TEST:
		point->test = parse_name(value, test_names, RTE_DIM(test_names));
		return true;
	case OPT_WORK:
		point->work = parse_name(value, work_names, RTE_DIM(work_names));
		return true;
	case OPT_SIZE:
		point->nb_sizes =
				parse_list(name, value, point->sizes, MAX_SIZES, 60, MAX_PKT_SIZE);
		return true;
	case OPT_BURST:
		point->burst = parse_number(name, value, 1, MAX_BURST);
		return true;
	case OPT_IN_FLIGHT:
		point->in_flight = parse_number(name, value, 1, 65536);
		return true;
	case OPT_QUEUES:
		point->nb_queues = parse_number(name, value, 1, MAX_QUEUES);
		return true;
	case OPT_DESC:
		point->nb_desc = parse_number(name, value, 32, 32768);
		return true;
	case OPT_MBUFS:
		point->nb_mbufs = parse_number(name, value, 128, 1000000);
		return true;
	case OPT_MBUF_ROOM:
		point->mbuf_room = parse_number(name, value, 128, 16384);
		return true;
	case OPT_SEGMENTS:
		point->nb_segs = parse_number(name, value, 1, MAX_SEGS);
		return true;
	case OPT_MACS:
		point->nb_macs = parse_number(name, value, 2, 16000000);
		return true;
	case OPT_LOAD:
		point->load = parse_number(name, value, 1, 100);
		return true;
	case OPT_VLAN:
		point->vlan = true;
		return true;
	case OPT_VLAN_OFFLOAD:
		point->vlan_offload = true;
		return true;
	case OPT_WARM:
		point->warm_ms = parse_number(name, value, 0, 10000);
		return true;
	case OPT_MS:
		point->measure_ms = parse_number(name, value, 1, 60000);
		return true;
	case OPT_APP_POOL:
		point->host_own_pool = false;
		return true;
	default:
		return false;
	}
}

static void
parse_option(struct options *options, uint32_t *nb_ends, int id, const char *name, char *value)
{
	if (parse_point_option(&options->point, id, name, value))
		return;
	switch (id) {
	case OPT_HOST:
	case OPT_GUEST: {
		const enum side_id side = id == OPT_HOST ? SIDE_HOST : SIDE_GUEST;

		if (nb_ends[side] == MAX_ENDS)
			die("too many ends", value);
		options->specs[side][nb_ends[side]++] = value;
		break;
	}
	case OPT_CPUS:
		if (parse_list(name, value, options->cpus, NB_SIDES, 0, 1023) != NB_SIDES)
			die("--cpus", "two numbers are needed");
		break;
	case OPT_PROCESSES:
		options->nb_processes = parse_number(name, value, 1, 2);
		break;
	case OPT_HUGE:
		options->huge = true;
		break;
	case OPT_MEM:
		options->mem_mb = parse_number(name, value, 16, 65536);
		break;
	case OPT_REAL_TIME:
		options->real_time = true;
		break;
	case OPT_PLUGIN:
		if (options->nb_plugins == MAX_PLUGINS)
			die("too many plug-ins", value);
		options->plugins[options->nb_plugins++] = value;
		break;
	case OPT_LOG:
		options->log = true;
		break;
	default:
		die("wrong option", name);
	}
}

static void
check_ends(const struct point *point, const uint32_t *nb_ends)
{
	if (point->test == TEST_THROUGH ? nb_ends[SIDE_HOST] != 0
					: nb_ends[SIDE_HOST] != nb_ends[SIDE_GUEST])
		die("--host and --guest", "as many of each; --test through takes only guests");
	if (nb_ends[SIDE_GUEST] == 0)
		die("--guest", "at least one is needed");
	if ((point->test == TEST_SWITCH || point->test == TEST_THROUGH) &&
			nb_ends[SIDE_GUEST] % 2 != 0)
		die(test_names[point->test], "an even number of ends is needed");
	if (point->nb_macs > 0 && point->nb_macs < nb_ends[SIDE_GUEST])
		die("--macs", "one for each guest is needed");
}

static void
check_point(const struct point *point)
{
	const bool timed = point->test == TEST_PING || point->test == TEST_PACED;

	if (timed && (point->vlan || point->work == WORK_FULL))
		die(test_names[point->test], "packets carry times: not with --vlan or --work full");
	if (point->nb_macs > 0 && point->test != TEST_THROUGH)
		die("--macs", "only with --test through");
	for (uint32_t i = 0; i < point->nb_sizes; i++)
		if (point->sizes[i] > MAX_SEGS * point->mbuf_room)
			die("--size",
					"a packet has 8 segments at most: more --mbuf-room is "
					"needed");
}

void
options_parse(struct options *options, int argc, char **argv)
{
	uint32_t nb_ends[NB_SIDES] = {0};
	int index = 0;
	int id;

	*options = defaults;
	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1)
		parse_option(options, nb_ends, id,
				id == '?' ? argv[optind - 1] : long_options[index].name, optarg);
	if (optind != argc)
		die("wrong argument", argv[optind]);
	check_ends(&options->point, nb_ends);
	check_point(&options->point);
	memcpy(options->nb_ends, nb_ends, sizeof(nb_ends));
}

const char *
test_name(enum test test)
{
	return test_names[test];
}

const char *
work_name(enum work work)
{
	return work_names[work];
}
