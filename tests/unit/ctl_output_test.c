/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Tables and numbers of avpctl: ctl/output.c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "output.h"

/* What a function printed, to be freed. */
static char *
print_table(const struct ctl_table *table)
{
	size_t size;
	char *text;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	assert_int_equal(ctl_table_print(table, stream), 0);
	fclose(stream);
	return text;
}

static void
table_columns_are_as_wide_as_their_longest_cell(void **state)
{
	static const char *const titles[] = {"A", ">N", "LAST", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char *text;

	(void)state;
	assert_non_null(table);
	ctl_table_add(table, (const char *[]){"longer", "1", "x"});
	ctl_table_add(table, (const char *[]){NULL, "1000", "longest of all"});
	text = print_table(table);
	assert_string_equal(text,
			"A          N  LAST\n"
			"longer     1  x\n"
			"-       1000  longest of all\n");
	free(text);
	ctl_table_destroy(table);
}

static void
table_without_rows_has_its_titles(void **state)
{
	static const char *const titles[] = {"A", "B", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char *text = print_table(table);

	(void)state;
	assert_string_equal(text, "A  B\n");
	free(text);
	ctl_table_destroy(table);
	ctl_table_destroy(NULL);
}

static void
sizes_have_binary_units(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} cases[] = {
			{0, "0 B"},
			{1023, "1023 B"},
			{1024, "1 KiB"},
			{1536, "1.5 KiB"},
			{102400, "100 KiB"},
			{2359296, "2.2 MiB"},
			{1073741824, "1 GiB"},
			{UINT64_MAX, "16777216 TiB"},
	};
	char out[CTL_CELL_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(ctl_human_size(out, cases[i].size), cases[i].text);
}

static void
rates_have_three_digits(void **state)
{
	static const struct {
		double rate;
		const char *text;
	} cases[] = {
			{0, "0"},
			{0.4, "0"},
			{999, "999"},
			{999.6, "1.00k"},
			{1250, "1.25k"},
			{9994, "9.99k"},
			{9999, "10.0k"},
			{99960, "100k"},
			{14880952, "14.9M"},
			{1e10, "10.0G"},
			{1e16, "10000T"},
	};
	char out[CTL_CELL_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(ctl_human_rate(out, cases[i].rate), cases[i].text);
}

static void
printable_text_is_cut_and_has_no_control_characters(void **state)
{
	char out[8];

	(void)state;
	assert_string_equal(ctl_printable(out, sizeof(out), "a\x1b\n\x7f"), "a???");
	assert_string_equal(ctl_printable(out, sizeof(out), "0123456789"), "0123456");
}

static void
joined_names_are_cut_to_fit(void **state)
{
	json_t *array = json_pack("[s, s, s]", "blue", "red", "green");
	char wide[32], narrow[10];

	(void)state;
	assert_string_equal(ctl_join(wide, sizeof(wide), array), "blue,red,green");
	assert_string_equal(ctl_join(narrow, sizeof(narrow), array), "blue,red,");
	json_array_clear(array);
	assert_string_equal(ctl_join(wide, sizeof(wide), array), "-");
	assert_string_equal(ctl_join(wide, sizeof(wide), NULL), "-");
	json_decref(array);
}

static void
members_of_the_wrong_type_are_shown_as_missing(void **state)
{
	json_t *object = json_pack("{s:i, s:s, s:i}", "n", 5, "s", "text", "minus", -3);
	char out[CTL_CELL_SIZE];

	(void)state;
	assert_string_equal(ctl_member(object, "s"), "text");
	assert_string_equal(ctl_member(object, "n"), "-");
	assert_string_equal(ctl_member(NULL, "s"), "-");
	assert_string_equal(ctl_member_number(out, object, "n"), "5");
	assert_string_equal(ctl_member_number(out, object, "s"), "-");
	assert_int_equal(ctl_member_u64(object, "minus"), 0);
	json_decref(object);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(table_columns_are_as_wide_as_their_longest_cell),
			cmocka_unit_test(table_without_rows_has_its_titles),
			cmocka_unit_test(sizes_have_binary_units),
			cmocka_unit_test(rates_have_three_digits),
			cmocka_unit_test(printable_text_is_cut_and_has_no_control_characters),
			cmocka_unit_test(joined_names_are_cut_to_fit),
			cmocka_unit_test(members_of_the_wrong_type_are_shown_as_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
