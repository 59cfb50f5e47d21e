/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Parsing of avpctl's command line: ctl/args.c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "args.h"

#define MAX_ARGS 16

/* Words as main() would have them, for one test. */
struct line {
	int argc;
	char *argv[MAX_ARGS];
	char words[256];
};

static void
line_split(struct line *line, const char *words)
{
	char *next, *word;

	memset(line, 0, sizeof(*line));
	strncpy(line->words, words, sizeof(line->words) - 1);
	next = line->words;
	while ((word = strsep(&next, " ")) != NULL) {
		assert_in_range(line->argc, 0, MAX_ARGS - 2);
		line->argv[line->argc++] = word;
	}
}

static enum ctl_status
parse(const char *words, struct ctl_args *args, struct ctl_error *err)
{
	const struct ctl_command *command;
	enum ctl_status status;
	static struct line line; /* what was parsed points into it */
	int used;

	line_split(&line, words);
	status = ctl_args_command(line.argc, line.argv, &command, &used, err);
	if (status != CTL_DONE)
		return status;
	return ctl_args_parse(command, line.argc - used, line.argv + used, args, err);
}

static void
parse_fails(const char *words, const char *msg)
{
	struct ctl_error err;
	struct ctl_args args;

	assert_int_equal(parse(words, &args, &err), CTL_USAGE);
	assert_string_equal(err.msg, msg);
	assert_string_equal(err.code, "EINVAL");
}

static void
args_globals_are_taken_from_anywhere(void **state)
{
	struct ctl_globals globals;
	struct ctl_error err;
	struct line line;

	(void)state;
	line_split(&line, "avpctl -s /a port --json show --timeout=0.5 p0 -h");
	assert_int_equal(ctl_args_globals(&line.argc, line.argv, &globals, &err), CTL_DONE);
	assert_int_equal(line.argc, 4);
	assert_string_equal(line.argv[1], "port");
	assert_string_equal(line.argv[2], "show");
	assert_string_equal(line.argv[3], "p0");
	assert_null(line.argv[4]);
	assert_string_equal(globals.socket_path, "/a");
	assert_int_equal(globals.timeout_ms, 500);
	assert_true(globals.json && globals.help);
	assert_false(globals.version);
}

static void
args_json_is_known_even_if_something_before_it_is_wrong(void **state)
{
	struct ctl_globals globals;
	struct ctl_error err;
	struct line line;

	(void)state;
	line_split(&line, "avpctl --timeout=never stats --json");
	assert_int_equal(ctl_args_globals(&line.argc, line.argv, &globals, &err), CTL_USAGE);
	assert_string_equal(err.msg, "--timeout: \"never\": not a number of seconds");
	assert_true(globals.json);
}

static void
args_timeout_has_limits(void **state)
{
	static const char *const wrong[] = {"0", "-1", "3601", "nan", "1e", ""};
	double seconds;
	struct ctl_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(ctl_args_seconds("t", wrong[i], 0.001, 3600, &seconds, &err),
				CTL_USAGE);
	assert_int_equal(ctl_args_seconds("t", "3600", 0.001, 3600, &seconds, &err), CTL_DONE);
}

static void
args_keys_become_json_of_their_kind(void **state)
{
	struct ctl_error err;
	struct ctl_args args;
	json_t *expected;

	(void)state;
	assert_int_equal(parse("port add p0 queues=9007199254740991 trunks= native= "
			       "check-source-mac=on device=a,b=c",
					 &args, &err),
			CTL_DONE);
	expected = json_pack("{s:I, s:[], s:n, s:b, s:s}", "queues", (json_int_t)9007199254740991,
			"trunks", "native", "check_source_mac", 1, "device", "a,b=c");
	assert_non_null(expected);
	assert_true(json_equal(args.keys, expected));
	json_decref(expected);
	ctl_args_fini(&args);
}

#define QUEUES "queues: avp: 1-8; vdev and pci: receive queues, 1-16"

static void
args_numbers_are_whole_and_fit_json(void **state)
{
	(void)state;
	parse_fails("port add p0 queues=-1", "queues=-1: not a number; " QUEUES);
	parse_fails("port add p0 queues=1.5", "queues=1.5: not a number; " QUEUES);
	parse_fails("port add p0 queues=", "queues=: not a number; " QUEUES);
	parse_fails("port add p0 queues=0x10", "queues=0x10: not a number; " QUEUES);
	parse_fails("port add p0 queues=9007199254740992", "queues=9007199254740992: too large");
	parse_fails("port add p0 queues=99999999999999999999",
			"queues=99999999999999999999: too large");
}

static void
args_lists_have_no_empty_names(void **state)
{
	(void)state;
	parse_fails("port add p0 trunks=,a", "trunks=...,a: names with one comma between two");
	parse_fails("port add p0 trunks=a,,b", "trunks=...,b: names with one comma between two");
	parse_fails("port add p0 trunks=a,", "trunks=...: names with one comma between two");
}

static void
args_bytes_that_are_no_text_are_refused(void **state)
{
	(void)state;
	parse_fails("port add p0 mac=\xff", "mac: the value is not UTF-8");
	parse_fails("port add p0 trunks=\xff", "trunks: the value is not UTF-8");
	parse_fails("port add p0 mac=", "mac=: needs a value");
}

static void
args_file_may_have_an_equals_sign(void **state)
{
	struct ctl_error err;
	struct ctl_args args;

	(void)state;
	assert_int_equal(parse("capture p0 a=b.pcapng count=3", &args, &err), CTL_DONE);
	assert_int_equal(args.nb_words, 2);
	assert_string_equal(args.words[1], "a=b.pcapng");
	ctl_args_fini(&args);
	parse_fails("capture p0 count=3", "capture: needs PORT FILE");
}

static void
args_option_takes_the_next_word_only_if_it_is_a_number(void **state)
{
	struct ctl_error err;
	struct ctl_args args;

	(void)state;
	assert_int_equal(parse("stats --watch p0 --count 2", &args, &err), CTL_DONE);
	assert_true(args.options[CTL_STATS_WATCH].given);
	assert_null(args.options[CTL_STATS_WATCH].value);
	assert_string_equal(args.words[0], "p0");
	ctl_args_fini(&args);
	assert_int_equal(parse("stats --watch 0.5 p0", &args, &err), CTL_DONE);
	assert_string_equal(args.options[CTL_STATS_WATCH].value, "0.5");
	ctl_args_fini(&args);
	parse_fails("stats --watch --watch", "--watch: given twice");
	parse_fails("port show p0 --qemu=1", "--qemu: takes no value");
}

static void
args_near_knows_typing_mistakes_and_other_systems_words(void **state)
{
	(void)state;
	assert_true(ctl_args_near("prot", "port"));
	assert_true(ctl_args_near("sta", "stats"));
	assert_true(ctl_args_near("netowrkk", "network"));
	assert_true(ctl_args_near("delete", "del"));
	assert_false(ctl_args_near("port", "fdb"));
	assert_false(ctl_args_near("", "fdb"));
	assert_false(ctl_args_near("a-word-that-is-much-too-long-for-a-hint", "network"));
}

static void
commands_have_room_for_their_words_and_options(void **state)
{
	const struct ctl_option *option;
	const struct ctl_command *command;
	unsigned int nb_options;

	(void)state;
	for (command = ctl_commands; command->object != NULL; command++) {
		assert_in_range(command->max_words, command->min_words, CTL_MAX_WORDS);
		nb_options = 0;
		for (option = command->options; option != NULL && option->name != NULL; option++)
			nb_options++;
		assert_in_range(nb_options, 0, CTL_MAX_OPTIONS);
		assert_non_null(command->run);
		assert_non_null(command->summary);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(args_globals_are_taken_from_anywhere),
			cmocka_unit_test(args_json_is_known_even_if_something_before_it_is_wrong),
			cmocka_unit_test(args_timeout_has_limits),
			cmocka_unit_test(args_keys_become_json_of_their_kind),
			cmocka_unit_test(args_numbers_are_whole_and_fit_json),
			cmocka_unit_test(args_lists_have_no_empty_names),
			cmocka_unit_test(args_bytes_that_are_no_text_are_refused),
			cmocka_unit_test(args_file_may_have_an_equals_sign),
			cmocka_unit_test(args_option_takes_the_next_word_only_if_it_is_a_number),
			cmocka_unit_test(args_near_knows_typing_mistakes_and_other_systems_words),
			cmocka_unit_test(commands_have_room_for_their_words_and_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
