/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * common/avp_log.c and avp_err.c: what is let through, and what it looks like.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avp_err.h"
#include "avp_log.h"

struct lines {
	unsigned int count;
	enum avp_log_level level;
	char last[1024];
};

static void
keep_line(void *ctx, enum avp_log_level level, const char *msg)
{
	struct lines *lines = ctx;

	lines->count++;
	lines->level = level;
	snprintf(lines->last, sizeof(lines->last), "%s", msg);
}

static void
message_reaches_the_callback(void **state)
{
	struct lines lines = {0};
	const struct avp_log log = {keep_line, &lines};

	(void)state;
	avp_log(&log, AVP_LOG_WARNING, "p%d: %s", 7, "gone");
	assert_int_equal(lines.count, 1);
	assert_int_equal(lines.level, AVP_LOG_WARNING);
	assert_string_equal(lines.last, "p7: gone");
	avp_log(NULL, AVP_LOG_ERR, "nowhere");
}

static void
long_message_is_cut(void **state)
{
	struct lines lines = {0};
	const struct avp_log log = {keep_line, &lines};
	char text[2048];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	avp_log(&log, AVP_LOG_INFO, "%s", text);
	assert_int_equal(strlen(lines.last), 511);
}

static void
limit_lets_a_burst_through_and_counts_the_rest(void **state)
{
	struct lines lines = {0};
	const struct avp_log log = {keep_line, &lines};
	struct avp_log_limit limit = {.burst = 3};

	(void)state;
	/* the second may change under way once: at most two bursts */
	for (int i = 0; i < 1000; i++)
		avp_log_limited(&log, &limit, AVP_LOG_INFO, "line %d", i);
	assert_in_range(lines.count, 3, 6);
	assert_in_range(limit.suppressed, 1, 997);

	limit.second--; /* as if a second had passed */
	limit.suppressed = 41;
	avp_log_limited(&log, &limit, AVP_LOG_INFO, "next");
	assert_string_equal(lines.last, "next (41 more not shown)");
	assert_int_equal(limit.suppressed, 0);
}

static void
text_of_a_peer_is_escaped_and_bounded(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(avp_log_escape(out, sizeof(out), "p0 ok", 5), "p0 ok");
	assert_string_equal(avp_log_escape(out, sizeof(out), "a\n\x1b[", 4), "a\\x0a\\x1b[");
	assert_string_equal(avp_log_escape(out, sizeof(out), "\\x41", 4), "\\x5cx41");
	assert_string_equal(avp_log_escape(out, sizeof(out), "\xff\0z", 3), "\\xff\\x00z");
	assert_string_equal(avp_log_escape(out, 4, "abcdef", 6), "abc");
	/* never half an escape */
	assert_string_equal(avp_log_escape(out, 6, "ab\ncd", 5), "ab");
	assert_string_equal(avp_log_escape(out, 1, "ab", 2), "");
}

static void
error_has_code_and_message(void **state)
{
	struct avp_err err = {0};

	(void)state;
	assert_int_equal(avp_err_set(&err, EBUSY, "p%d: in use", 3), -EBUSY);
	assert_int_equal(err.code, EBUSY);
	assert_string_equal(err.msg, "p3: in use");
	assert_int_equal(avp_err_set(NULL, EINVAL, "nobody asks"), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(message_reaches_the_callback),
			cmocka_unit_test(long_message_is_cut),
			cmocka_unit_test(limit_lets_a_burst_through_and_counts_the_rest),
			cmocka_unit_test(text_of_a_peer_is_escaped_and_bounded),
			cmocka_unit_test(error_has_code_and_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
