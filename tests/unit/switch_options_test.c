/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/options.c: the command line, and what DPDK gets of it.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "options.h"

#define MAX_ARGS 32

/* Parse a line, words separated by one blank. @words must outlive @opt. */
static int
parse(const char *line, char *words, size_t size, struct options *opt, struct avp_err *err)
{
	char *argv[MAX_ARGS] = {0};
	static char *kept[MAX_ARGS];
	int argc = 0;
	char *next;

	assert_true(strlen(line) < size);
	memcpy(words, line, strlen(line) + 1);
	for (char *word = strtok_r(words, " ", &next); word != NULL;
			word = strtok_r(NULL, " ", &next))
		argv[argc++] = word;
	memcpy(kept, argv, sizeof(kept));
	return options_parse(opt, argc, kept, err);
}

static bool
has_argument(const struct options_eal *eal, const char *start)
{
	for (int i = 0; i < eal->argc; i++)
		if (strncmp(eal->argv[i], start, strlen(start)) == 0)
			return true;
	return false;
}

static void
options_are_read(void **state)
{
	struct options opt;
	struct avp_err err;
	char words[256];

	(void)state;
	assert_int_equal(parse("avp-switch -c /a.conf --control /s.sock -w 3 --busy-poll --no-huge"
			       " -m 128 -d x.so -d y.so -- -l 0 -n 2",
					 words, sizeof(words), &opt, &err),
			0);
	assert_string_equal(opt.config, "/a.conf");
	assert_string_equal(opt.control, "/s.sock");
	assert_int_equal(opt.workers, 3);
	assert_true(opt.busy_poll);
	assert_true(opt.no_huge);
	assert_int_equal(opt.memory_mb, 128);
	assert_int_equal(opt.nb_drivers, 2);
	assert_string_equal(opt.drivers[1], "y.so");
	assert_int_equal(opt.nb_eal, 4);
	assert_string_equal(opt.eal[0], "-l");
}

static void
wrong_options_are_refused_by_name(void **state)
{
	static const char *const lines[][2] = {
			{"avp-switch --nothing", "--nothing: no such option"},
			{"avp-switch -x", "-x: no such option"},
			{"avp-switch --config", "--config: needs a value"},
			{"avp-switch file", "file: not expected"},
			{"avp-switch -w 0", "--workers 0: must be a number from 1 to 8"},
			{"avp-switch -w 9", "--workers 9: must be a number from 1 to 8"},
			{"avp-switch -w 2x", "--workers 2x: must be a number"},
			{"avp-switch -m 63", "--memory 63: must be a number from 64"},
			{"avp-switch -s x.sock", "--control x.sock: must be an absolute path"},
			{"avp-switch --cores 1-", "--cores 1-: must be 1 to 8 CPUs"},
			{"avp-switch --cores 0-8", "--cores 0-8: must be 1 to 8 CPUs"},
			{"avp-switch --cores 3,1-3", "--cores 3,1-3: has CPU 3 twice"},
			{"avp-switch --cores 1-2 -w 1", "--workers 1: --cores 1-2 has 2 CPUs"},
			{"avp-switch -w 3 --cores 1-2", "--workers 3: --cores 1-2 has 2 CPUs"},
			{"avp-switch --log-level foo", "--log-level foo: must be error, warning"},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct options opt;
		struct avp_err err;
		char words[256];

		if (parse(lines[i][0], words, sizeof(words), &opt, &err) != -EINVAL ||
				strstr(err.msg, lines[i][1]) == NULL)
			fail_msg("%s: said \"%s\"", lines[i][0], err.msg);
	}
}

static void
cpus_that_are_not_there_are_named(void **state)
{
	struct options opt;
	struct avp_err err;
	char words[256];

	(void)state;
	assert_int_equal(parse("avp-switch --cores 0 --log-level lib.eal:debug", words,
					 sizeof(words), &opt, &err),
			0);
	assert_int_equal(opt.workers, 1);
	assert_int_equal(options_check_cpus(&opt, &err), 0);
	assert_int_equal(parse("avp-switch --cores 0,1023", words, sizeof(words), &opt, &err), 0);
	assert_int_equal(opt.workers, 2);
	assert_int_equal(options_check_cpus(&opt, &err), -EINVAL);
	assert_string_equal(
			err.msg, "--cores 0,1023: this machine has no CPU 1023, or it is offline");
}

static void
core_lists_are_counted(void **state)
{
	(void)state;
	assert_int_equal(options_count_cores("3"), 1);
	assert_int_equal(options_count_cores("2,4-5"), 3);
	assert_int_equal(options_count_cores("0-7,9"), 9);
	assert_int_equal(options_count_cores(""), 0);
	assert_int_equal(options_count_cores("2,"), 0);
	assert_int_equal(options_count_cores("5-4"), 0);
	assert_int_equal(options_count_cores("a"), 0);
	assert_int_equal(options_count_cores("1;2"), 0);
	assert_int_equal(options_count_cores("99999"), 0);
}

static void
dpdk_gets_lcores_and_memory(void **state)
{
	struct options opt;
	struct options_eal eal;
	struct avp_err err;
	char words[256];

	(void)state;
	parse("avp-switch --cores 4,6-7 -m 99", words, sizeof(words), &opt, &err);
	assert_int_equal(options_make_eal(&opt, 3, true, &eal, &err), 0);
	assert_true(has_argument(&eal, "--lcores=0@("));
	assert_non_null(strstr(eal.argv[1], "),1@4,2@6,3@7"));
	assert_true(has_argument(&eal, "--no-huge"));
	assert_true(has_argument(&eal, "-m99"));
	assert_null(eal.argv[eal.argc]);
	assert_false(eal.own_lcores);
	assert_int_equal(options_make_eal(&opt, 3, false, &eal, &err), 0);
	assert_false(has_argument(&eal, "-m"));
	assert_true(has_argument(&eal, "--in-memory"));
}

static void
own_dpdk_options_replace_ours(void **state)
{
	struct options opt;
	struct options_eal eal;
	struct avp_err err;
	char words[256];

	(void)state;
	parse("avp-switch -- -l 0 -m 77 -a 0000:03:00.0", words, sizeof(words), &opt, &err);
	assert_int_equal(options_make_eal(&opt, 1, true, &eal, &err), 0);
	assert_true(eal.own_lcores);
	assert_false(has_argument(&eal, "--lcores"));
	assert_false(has_argument(&eal, "-m512"));
	assert_false(has_argument(&eal, "--allow"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(options_are_read),
			cmocka_unit_test(wrong_options_are_refused_by_name),
			cmocka_unit_test(cpus_that_are_not_there_are_named),
			cmocka_unit_test(core_lists_are_counted),
			cmocka_unit_test(dpdk_gets_lcores_and_memory),
			cmocka_unit_test(own_dpdk_options_replace_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
