/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The command line of avp-switch, and DPDK's made from it.
 */

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "options.h"
#include "stats.h"

#define DEFAULT_MEMORY_MB 512u
#define MEMORY_MB_MIN 64u
#define MEMORY_MB_MAX 1048576u
#define CORE_MAX 1023u

const char options_help[] =
		"usage: avp-switch [options] [-- EAL options]\n"
		"  -c, --config FILE     networks and ports to start with\n"
		"  -s, --control SOCKET  control socket (/run/avp/switch.sock)\n"
		"  -w, --workers N       threads that move packets, 1-8 (1)\n"
		"      --cores LIST      their CPUs, as 2,4-5: one worker each\n"
		"      --busy-poll       workers never sleep\n"
		"      --no-huge         packet memory in normal pages\n"
		"  -m, --memory MB       of normal pages, at most (512)\n"
		"  -d, --driver FILE     load a DPDK driver; may be given again\n"
		"      --log-level LEVEL error, warning, notice, info, debug, or TOPIC:LEVEL\n"
		"  -h, --help            this text\n"
		"  -V, --version         version of the switch and of DPDK\n";

enum {
	OPT_CORES = 256,
	OPT_BUSY_POLL,
	OPT_NO_HUGE,
	OPT_LOG_LEVEL,
};

static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"control", required_argument, NULL, 's'},
		{"workers", required_argument, NULL, 'w'},
		{"cores", required_argument, NULL, OPT_CORES},
		{"busy-poll", no_argument, NULL, OPT_BUSY_POLL},
		{"no-huge", no_argument, NULL, OPT_NO_HUGE},
		{"memory", required_argument, NULL, 'm'},
		{"driver", required_argument, NULL, 'd'},
		{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
};

static int
parse_number(const char *option, const char *text, unsigned int min, unsigned int max,
		unsigned int *number, struct avp_err *err)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < min ||
			value > max)
		return avp_err_set(err, EINVAL, "--%s %.64s: must be a number from %u to %u",
				option, text, min, max);
	*number = value;
	return 0;
}

unsigned int
options_count_cores(const char *list)
{
	unsigned int nb = 0;

	for (;;) {
		unsigned int first;
		unsigned int last;
		int len = 0;

		if (*list < '0' || *list > '9' || sscanf(list, "%4u%n", &first, &len) != 1)
			return 0;
		list += len;
		last = first;
		if (*list == '-') {
			list++;
			if (*list < '0' || *list > '9' || sscanf(list, "%4u%n", &last, &len) != 1)
				return 0;
			list += len;
		}
		if (last < first || last > CORE_MAX)
			return 0;
		nb += last - first + 1;
		if (*list == '\0')
			return nb;
		if (*list++ != ',')
			return 0;
	}
}

/* DPDK starts in spite of a wrong level. A TOPIC:LEVEL is left to it. */
static int
parse_log_level(struct options *opt, const char *arg, struct avp_err *err)
{
	static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};

	opt->log_level = arg;
	if (strchr(arg, ':') != NULL)
		return 0;
	for (unsigned int i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(arg, levels[i]) == 0)
			return 0;
	return avp_err_set(err, EINVAL,
			"--log-level %.64s: must be error, warning, notice, info, debug or "
			"TOPIC:LEVEL",
			arg);
}

static int
parse_option(struct options *opt, int c, const char *arg, struct avp_err *err)
{
	unsigned int nb_cores;

	switch (c) {
	case 'c':
		opt->config = arg;
		return 0;
	case 's':
		opt->control = arg;
		return arg[0] == '/'
				? 0
				: avp_err_set(err, EINVAL,
						  "--control %.64s: must be an absolute path", arg);
	case 'w':
		return parse_number("workers", arg, 1, SW_MAX_WORKERS, &opt->workers, err);
	case 'm':
		return parse_number(
				"memory", arg, MEMORY_MB_MIN, MEMORY_MB_MAX, &opt->memory_mb, err);
	case 'd':
		if (opt->nb_drivers == OPTIONS_DRIVERS_MAX)
			return avp_err_set(err, EINVAL, "--driver %.64s: at most %u drivers", arg,
					OPTIONS_DRIVERS_MAX);
		opt->drivers[opt->nb_drivers++] = arg;
		return 0;
	case 'h':
		opt->action = OPTIONS_HELP;
		return 0;
	case 'V':
		opt->action = OPTIONS_VERSION;
		return 0;
	case OPT_CORES:
		opt->cores = arg;
		nb_cores = options_count_cores(arg);
		return nb_cores >= 1 && nb_cores <= SW_MAX_WORKERS
				? 0
				: avp_err_set(err, EINVAL,
						  "--cores %.64s: must be 1 to %u CPUs, as 2,4-5",
						  arg, SW_MAX_WORKERS);
	case OPT_BUSY_POLL:
		opt->busy_poll = true;
		return 0;
	case OPT_NO_HUGE:
		opt->no_huge = true;
		return 0;
	case OPT_LOG_LEVEL:
		return parse_log_level(opt, arg, err);
	}
	return avp_err_set(err, EINVAL, "see avp-switch --help");
}

/* The first range of a list that options_count_cores() has found right; return what follows. */
static const char *
take_range(const char *list, unsigned int *first, unsigned int *last)
{
	char *end;

	*first = *last = strtoul(list, &end, 10);
	if (*end == '-')
		*last = strtoul(end + 1, &end, 10);
	return end + (*end == ',');
}

/* One worker for each CPU of --cores. */
static int
check_cores(struct options *opt, struct avp_err *err)
{
	unsigned int nb_cores = opt->cores != NULL ? options_count_cores(opt->cores) : 0;
	uint64_t seen[(CORE_MAX + 64) / 64] = {0};
	const char *list = opt->cores;
	unsigned int cpu;

	if (nb_cores == 0)
		return 0;
	while (*list != '\0') {
		unsigned int last;

		list = take_range(list, &cpu, &last);
		for (; cpu <= last; cpu++) {
			if ((seen[cpu / 64] >> cpu % 64 & 1) != 0)
				return avp_err_set(err, EINVAL, "--cores %.64s: has CPU %u twice",
						opt->cores, cpu);
			seen[cpu / 64] |= UINT64_C(1) << cpu % 64;
		}
	}
	if (opt->workers != 0 && opt->workers != nb_cores)
		return avp_err_set(err, EINVAL,
				"--workers %u: --cores %.64s has %u CPUs, for one worker each",
				opt->workers, opt->cores, nb_cores);
	opt->workers = nb_cores;
	return 0;
}

int
options_check_cpus(const struct options *opt, struct avp_err *err)
{
	const char *list = opt->cores != NULL ? opt->cores : "";
	unsigned int cpu;

	while (*list != '\0') {
		unsigned int last;

		list = take_range(list, &cpu, &last);
		for (; cpu <= last; cpu++) {
			char path[64];

			snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology", cpu);
			if (access(path, F_OK) != 0)
				return avp_err_set(err, EINVAL,
						"--cores %.64s: this machine has no CPU %u, or it "
						"is offline",
						opt->cores, cpu);
		}
	}
	return 0;
}

int
options_parse(struct options *opt, int argc, char **argv, struct avp_err *err)
{
	int c;

	memset(opt, 0, sizeof(*opt));
	opt->memory_mb = DEFAULT_MEMORY_MB;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:c:s:w:m:d:hV", long_options, NULL)) != -1) {
		int rc;

		if (c == '?')
			return avp_err_set(err, EINVAL, "%.64s: no such option", argv[optind - 1]);
		if (c == ':')
			return avp_err_set(err, EINVAL, "%.64s: needs a value", argv[optind - 1]);
		rc = parse_option(opt, c, optarg, err);
		if (rc != 0)
			return rc;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return avp_err_set(err, EINVAL, "%.64s: not expected, see avp-switch --help",
				argv[optind]);
	opt->nb_eal = argc - optind;
	opt->eal = argv + optind;
	return check_cores(opt, err);
}

/* Append one argument; what does not fit shows in text_len. */
static void __attribute__((format(printf, 2, 3))) add(struct options_eal *eal, const char *fmt, ...)
{
	size_t room = sizeof(eal->text) - eal->text_len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(eal->text + eal->text_len, room, fmt, args);
	va_end(args);
	if ((size_t)len < room && eal->argc < OPTIONS_EAL_MAX - 1) {
		eal->argv[eal->argc++] = eal->text + eal->text_len;
		eal->text_len += len + 1;
	} else {
		eal->text_len = sizeof(eal->text);
	}
}

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool
has_eal(const struct options *opt, const char *short_option, const char *long_option)
{
	for (int i = 0; i < opt->nb_eal; i++)
		if (starts_with(opt->eal[i], short_option) || starts_with(opt->eal[i], long_option))
			return true;
	return false;
}

/* The main lcore may run on any CPU, it sleeps; so may workers unless their CPUs are given. */
static void
add_lcores(const struct options *opt, unsigned int nb_workers, struct options_eal *eal)
{
	char cpus[2048] = "";
	size_t len = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE && len < sizeof(cpus) - 8; cpu++)
		if (CPU_ISSET(cpu, &set))
			len += snprintf(cpus + len, sizeof(cpus) - len, "%s%u", len > 0 ? "," : "",
					cpu);
	if (opt->cores == NULL) {
		add(eal, "--lcores=(0-%u)@(%s)", nb_workers, cpus);
		return;
	}
	len += snprintf(cpus + len, sizeof(cpus) - len, ")");
	for (const char *list = opt->cores; *list != '\0' && len < sizeof(cpus) - 16;) {
		unsigned int first;
		unsigned int last;

		list = take_range(list, &first, &last);
		for (; first <= last && len < sizeof(cpus) - 16; first++)
			len += snprintf(cpus + len, sizeof(cpus) - len, ",%u@%u", ++eal->nb_lcores,
					first);
	}
	add(eal, "--lcores=0@(%s", cpus);
}

static void
add_log_levels(const struct options *opt, struct options_eal *eal)
{
	if (opt->log_level == NULL) {
		add(eal, "--log-level=lib.*:warning");
	} else if (strchr(opt->log_level, ':') != NULL) {
		add(eal, "--log-level=%s", opt->log_level);
	} else {
		add(eal, "--log-level=avp.switch.*:%s", opt->log_level);
		add(eal, "--log-level=pmd.net.avp*:%s", opt->log_level);
	}
}

int
options_make_eal(const struct options *opt, unsigned int nb_workers, bool no_huge,
		struct options_eal *eal, struct avp_err *err)
{
	memset(eal, 0, sizeof(*eal));
	add(eal, "avp-switch");
	eal->own_lcores = has_eal(opt, "-l", "--lcores") || has_eal(opt, "-c", "--coremask");
	if (!eal->own_lcores)
		add_lcores(opt, nb_workers, eal);
	/* Leave no files behind, and let several switches run; DPDK wants it said in two ways. */
	if (!has_eal(opt, "--file-prefix", "--proc-type"))
		add(eal, no_huge ? "--no-shconf" : "--in-memory");
	/* Do not take all PCI devices that are bound to vfio: only those that become ports. */
	if (!has_eal(opt, "-a", "--allow") && !has_eal(opt, "-b", "--block"))
		add(eal, "--allow=0000:00:00.0");
	if (no_huge) {
		add(eal, "--no-huge");
		if (!has_eal(opt, "-m", "--socket-mem"))
			add(eal, "-m%u", opt->memory_mb);
	}
	add_log_levels(opt, eal);
	for (unsigned int i = 0; i < opt->nb_drivers; i++)
		add(eal, "-d%s", opt->drivers[i]);
	for (int i = 0; i < opt->nb_eal; i++)
		add(eal, "%s", opt->eal[i]);
	if (eal->text_len == sizeof(eal->text))
		return avp_err_set(err, E2BIG, "options for DPDK: at most %d of %zu bytes",
				OPTIONS_EAL_MAX, sizeof(eal->text));
	return 0;
}
