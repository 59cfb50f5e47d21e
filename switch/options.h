/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The command line of avp-switch.
 */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "avp_err.h"
#include "params.h"

#define OPTIONS_EAL_MAX 64 /* arguments for DPDK */
#define OPTIONS_DRIVERS_MAX 16

enum options_action {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

struct options {
	enum options_action action;
	const char *config;  /* NULL = none */
	const char *control; /* NULL = the default */
	const char *cores;   /* NULL = the system chooses */
	const char *log_level;
	unsigned int workers; /* 0 = not given */
	unsigned int memory_mb;
	bool busy_poll;
	bool no_huge;
	unsigned int nb_drivers;
	const char *drivers[OPTIONS_DRIVERS_MAX];
	int nb_eal; /* what followed -- */
	char **eal;
};

/** Returns 0 or -EINVAL with @err filled in. Strings are those of @argv. */
int options_parse(struct options *opt, int argc, char **argv, struct avp_err *err);

extern const char options_help[];

/** DPDK's command line; strings live here. */
struct options_eal {
	int argc;
	char *argv[OPTIONS_EAL_MAX];
	char text[4096];
	size_t text_len;
	unsigned int nb_lcores; /* of the workers, while they are written */
	bool own_lcores;        /* the user chose the lcores after -- */
};

/**
 * Make DPDK's command line.
 *
 * @nb_workers  worker lcores to ask for
 * @no_huge     as decided
 * Returns 0 or -errno with @err filled in.
 */
int options_make_eal(const struct options *opt, unsigned int nb_workers, bool no_huge,
		struct options_eal *eal, struct avp_err *err);

/** See that this machine has the CPUs of --cores. Returns 0 or -EINVAL with @err filled in. */
int options_check_cpus(const struct options *opt, struct avp_err *err);

/** Count the CPUs in a list such as "2,4-5". Returns 0 when it is no such list. */
unsigned int options_count_cores(const char *list);

#endif /* OPTIONS_H */
