/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/vuser/vuser_caps.c: what is understood, and what is answered.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "vuser_caps.h"
#include "vuser_msg.h"

/* With the final NUL, as on the wire. */
static int
parse(struct vuser_caps *caps, const char *text)
{
	return vuser_caps_parse(caps, text, (uint32_t)strlen(text) + 1);
}

static void
absent_capabilities_have_the_defaults_of_the_protocol(void **state)
{
	const char *const texts[] = {"{}", "{\"capabilities\":{}}", "{\"other\":1}"};
	struct vuser_caps caps;

	(void)state;
	for (int i = -1; i < 3; i++) {
		assert_int_equal(i < 0 ? vuser_caps_parse(&caps, NULL, 0) : parse(&caps, texts[i]),
				0);
		assert_int_equal(caps.max_fds, 1);
		assert_int_equal(caps.max_xfer, 1048576);
		assert_int_equal(caps.pgsizes, 4096);
		assert_false(caps.has_max_fds || caps.has_max_xfer || caps.has_pgsizes);
	}
}

static void
named_capabilities_are_taken_and_unknown_passed_over(void **state)
{
	struct vuser_caps caps;

	(void)state;
	assert_int_equal(
			parse(&caps,
					"{\"capabilities\": {\"max_msg_fds\": 8, \"x\": [1],"
					"\"max_data_xfer_size\": 4096, \"write_multiple\": true}}"),
			0);
	assert_int_equal(caps.max_fds, 8);
	assert_int_equal(caps.max_xfer, 4096);
	assert_true(caps.has_max_fds && caps.has_max_xfer);
	assert_false(caps.has_pgsizes);
	assert_int_equal(parse(&caps, "{\"capabilities\":{\"max_msg_fds\":9223372036854775807}}"),
			0);
	assert_int_equal(caps.max_fds, UINT32_MAX);
}

static void
nonsense_is_refused(void **state)
{
	const char *const texts[] = {"", "x", "[]", "1", "null", "{", "{\"capabilities\":1}",
			"{\"capabilities\":[]}", "{\"capabilities\":{\"max_msg_fds\":-1}}",
			"{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
			"{\"capabilities\":{\"max_msg_fds\":1.5}}",
			"{\"capabilities\":{\"max_msg_fds\":1,\"max_msg_fds\":2}}",
			"{\"capabilities\":{\"max_data_xfer_size\":99999999999999999999}}", "{}{}"};
	struct vuser_caps caps;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(parse(&caps, texts[i]), -EINVAL);
	assert_int_equal(vuser_caps_parse(&caps, "{}", 2), -EINVAL); /* no NUL */
	assert_int_equal(vuser_caps_parse(&caps, "{\0}", 4), -EINVAL);
}

static void
deep_nesting_is_refused_without_harm(void **state)
{
	static char text[VUSER_SMALL_MSG_SIZE];
	struct vuser_caps caps;

	(void)state;
	memset(text, '[', sizeof(text) - 1);
	assert_int_equal(vuser_caps_parse(&caps, text, sizeof(text)), -EINVAL);
}

static void
answer_has_ours_of_what_was_named(void **state)
{
	struct vuser_caps theirs, caps;
	char out[256];

	(void)state;
	assert_int_equal(parse(&theirs, "{\"capabilities\":{\"max_data_xfer_size\":1048576}}"), 0);
	vuser_caps_agree(&caps, &theirs);
	int len = vuser_caps_format(&caps, out, sizeof(out));
	assert_string_equal(out, "{\"capabilities\":{\"max_data_xfer_size\":65536}}");
	assert_int_equal(len, strlen(out) + 1);
	assert_int_equal(vuser_caps_format(&caps, out, (uint32_t)len), len);
	assert_int_equal(vuser_caps_format(&caps, out, (uint32_t)len - 1), -EMSGSIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(absent_capabilities_have_the_defaults_of_the_protocol),
			cmocka_unit_test(named_capabilities_are_taken_and_unknown_passed_over),
			cmocka_unit_test(nonsense_is_refused),
			cmocka_unit_test(deep_nesting_is_refused_without_harm),
			cmocka_unit_test(answer_has_ours_of_what_was_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
