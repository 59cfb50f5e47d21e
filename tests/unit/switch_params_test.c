/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/params.c: what is taken, and what is refused with which words.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "params.h"

struct result {
	struct params_given given;
	char name[PARAMS_NAME_SIZE];
	char native[PARAMS_NAME_SIZE];
	char path[PARAMS_TEXT_SIZE];
	char text[PARAMS_TEXT_SIZE];
	uint8_t mac[6];
	uint32_t mode;
	uint64_t number;
	bool flag;
	const json_t *list;
};

enum {
	NAME,
	NATIVE,
	PATH,
	TEXT,
	MAC,
	MODE,
	NUMBER,
	FLAG,
	LIST,
};

static const struct param table[] = {
		[NAME] = PARAM("name", PARAM_NAME, struct result, name, .required = true),
		[NATIVE] = PARAM("native", PARAM_NAME_NULL, struct result, native),
		[PATH] = PARAM("path", PARAM_PATH, struct result, path),
		[TEXT] = PARAM("text", PARAM_TEXT, struct result, text),
		[MAC] = PARAM("mac", PARAM_MAC, struct result, mac),
		[MODE] = PARAM("mode", PARAM_OCTAL, struct result, mode, .max = 0777),
		[NUMBER] = PARAM("number", PARAM_UINT, struct result, number, .min = 3, .max = 9),
		[FLAG] = PARAM("flag", PARAM_BOOL, struct result, flag),
		[LIST] = PARAM("list", PARAM_LIST, struct result, list),
		{0},
};

static void
given_values_are_read_and_marked(void **state)
{
	json_t *in = json_pack("{s:s, s:n, s:s, s:s, s:s, s:i, s:b, s:[s, s]}", "name", "p0.a_b-c",
			"native", "path", "/run/x", "mac", "02:aB:00:00:00:fF", "mode", "0640",
			"number", 9, "flag", 1, "list", "a", "b");
	struct result result = {.native = "old", .text = "kept"};
	struct avp_err err;

	(void)state;
	assert_int_equal(params_read(table, in, "p0", &result, &err), 0);
	assert_string_equal(result.name, "p0.a_b-c");
	assert_string_equal(result.native, "");
	assert_string_equal(result.path, "/run/x");
	assert_memory_equal(result.mac, "\x02\xab\x00\x00\x00\xff", 6);
	assert_int_equal(result.mode, 0640);
	assert_int_equal(result.number, 9);
	assert_true(result.flag);
	assert_int_equal(json_array_size(result.list), 2);
	assert_true(PARAMS_GIVEN(&result, NATIVE));
	assert_false(PARAMS_GIVEN(&result, TEXT));
	assert_string_equal(result.text, "kept");
	json_decref(in);
}

/** Parameters as JSON text, and what the refusal must say. */
struct refusal {
	const char *in;
	const char *message;
};

static const struct refusal refusals[] = {
		{"{}", "p0: name: missing"},
		{"[]", "p0: params: must be an object"},
		{"{\"name\":\"a\", \"name2\":1}", "p0: name2: no such parameter"},
		{"{\"name\":\"a\", \"x\\n\\u001b\":1}", "p0: x\\x0a\\x1b: no such parameter"},
		{"{\"name\":5}", "p0: name=5: must be 1 to 31 of A-Z"},
		{"{\"name\":\"\"}", "p0: name=\"\": must be 1 to 31"},
		{"{\"name\":\"a/b\"}", "p0: name=\"a/b\": must be 1 to 31"},
		{"{\"name\":\".a\"}", "p0: name=\".a\": must be 1 to 31"},
		{"{\"name\":\"12345678901234567890123456789012\"}", "must be 1 to 31"},
		{"{\"name\":null}", "p0: name=null: must be 1 to 31"},
		{"{\"name\":\"a\", \"number\":2}", "p0: number=2: must be a number from 3 to 9"},
		{"{\"name\":\"a\", \"number\":10}", "p0: number=10: must be a number from 3 to 9"},
		{"{\"name\":\"a\", \"number\":-4}", "p0: number=-4: must be"},
		{"{\"name\":\"a\", \"number\":4.0}", "p0: number=4.0: must be"},
		{"{\"name\":\"a\", \"number\":\"4\"}", "p0: number=\"4\": must be"},
		{"{\"name\":\"a\", \"flag\":1}", "p0: flag=1: must be true or false"},
		{"{\"name\":\"a\", \"path\":\"run\"}",
				"p0: path=\"run\": must be an absolute path"},
		{"{\"name\":\"a\", \"text\":\"\"}", "p0: text=\"\": must be a string"},
		{"{\"name\":\"a\", \"text\":\"a\\nb\"}", "must be printable ASCII"},
		{"{\"name\":\"a\", \"mac\":\"02:00:00:00:00\"}", "must be xx:xx:xx:xx:xx:xx"},
		{"{\"name\":\"a\", \"mac\":\"02:00:00:00:00:0g\"}", "must be xx:xx:xx:xx:xx:xx"},
		{"{\"name\":\"a\", \"mac\":\"02-00-00-00-00-01\"}", "must be xx:xx:xx:xx:xx:xx"},
		{"{\"name\":\"a\", \"mac\":\"03:00:00:00:00:01\"}", "must be a unicast address"},
		{"{\"name\":\"a\", \"mac\":\"00:00:00:00:00:00\"}", "must be a unicast address"},
		{"{\"name\":\"a\", \"mode\":\"1000\"}", "octal digits in a string, up to 0777"},
		{"{\"name\":\"a\", \"mode\":\"0o6\"}", "octal digits in a string, up to 0777"},
		{"{\"name\":\"a\", \"mode\":384}", "octal digits in a string, up to 0777"},
		{"{\"name\":\"a\", \"list\":\"a\"}", "must be an array"},
		{"{\"name\":\"a\", \"list\":[\"a\", 1]}", "must be an array of names"},
		{"{\"name\":\"a\", \"list\":[\"a b\"]}", "must be an array of names"},
};

static void
wrong_values_are_refused_with_name_value_and_limit(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		json_t *in = json_loads(refusals[i].in, 0, NULL);
		struct result result = {0};
		struct avp_err err = {0};

		assert_non_null(in);
		if (params_read(table, in, "p0", &result, &err) != -EINVAL || err.code != EINVAL ||
				strstr(err.msg, refusals[i].message) == NULL)
			fail_msg("%s: said \"%s\", expected \"%s\"", refusals[i].in, err.msg,
					refusals[i].message);
		json_decref(in);
	}
}

static void
long_values_are_cut_in_messages(void **state)
{
	char text[5000];
	struct result result;
	struct avp_err err;
	json_t *in;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	in = json_pack("{s:s}", "name", text);
	assert_int_equal(params_read(table, in, "p0", &result, &err), -EINVAL);
	assert_true(strlen(err.msg) < 200);
	json_decref(in);
	in = json_pack("{s:s, s:s}", "name", "a", "text", text);
	assert_int_equal(params_read(table, in, "p0", &result, &err), -EINVAL);
	json_decref(in);
}

static void
text_of_a_file_becomes_json(void **state)
{
	struct avp_err err;
	json_t *value;

	(void)state;
	value = params_from_text(table, "number", "7", "p0", &err);
	assert_int_equal(json_integer_value(value), 7);
	json_decref(value);
	value = params_from_text(table, "flag", "yes", "p0", &err);
	assert_true(json_is_true(value));
	json_decref(value);
	value = params_from_text(table, "flag", "no", "p0", &err);
	assert_true(json_is_false(value));
	json_decref(value);
	value = params_from_text(table, "list", "a, b ,c", "p0", &err);
	assert_int_equal(json_array_size(value), 3);
	assert_string_equal(json_string_value(json_array_get(value, 1)), "b");
	json_decref(value);
	assert_null(params_from_text(table, "flag", "true", "p0", &err));
	assert_string_equal(err.msg, "p0: flag=true: must be yes or no");
	assert_null(params_from_text(table, "other", "1", "p0", &err));
	assert_string_equal(err.msg, "p0: other: no such parameter");
}

static void
text_that_is_no_number_is_refused_by_its_reader(void **state)
{
	const char *const texts[] = {"x", "7x", "", "-7", "99999999999999999999"};
	struct result result;
	struct avp_err err;

	(void)state;
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *in = json_pack("{s:s, s:o}", "name", "a", "number",
				params_from_text(table, "number", texts[i], "p0", &err));

		assert_int_equal(params_read(table, in, "p0", &result, &err), -EINVAL);
		json_decref(in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(given_values_are_read_and_marked),
			cmocka_unit_test(wrong_values_are_refused_with_name_value_and_limit),
			cmocka_unit_test(long_values_are_cut_in_messages),
			cmocka_unit_test(text_of_a_file_becomes_json),
			cmocka_unit_test(text_that_is_no_number_is_refused_by_its_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
