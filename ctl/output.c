/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Tables, records and numbers: see output.h.
 */

#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_VALUE_SIZE 1024
#define OUTPUT_GAP 2 /* blanks between two columns */

struct ctl_table {
	unsigned int nb_columns;
	bool right[CTL_MAX_COLUMNS];
	bool failed;    /* memory was missing */
	size_t nb_rows; /* titles included */
	char **cells;   /* nb_rows * nb_columns */
};

struct ctl_table *
ctl_table_create(const char *const titles[])
{
	struct ctl_table *table = calloc(1, sizeof(*table));
	const char *names[CTL_MAX_COLUMNS];
	unsigned int i;

	if (table == NULL)
		return NULL;
	for (i = 0; i < CTL_MAX_COLUMNS && titles[i] != NULL; i++) {
		table->right[i] = titles[i][0] == '>';
		names[i] = titles[i] + table->right[i];
	}
	table->nb_columns = i;
	ctl_table_add(table, names);
	return table;
}

void
ctl_table_destroy(struct ctl_table *table)
{
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < table->nb_rows * table->nb_columns; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void
ctl_table_add(struct ctl_table *table, const char *const cells[])
{
	char printable[OUTPUT_VALUE_SIZE];
	unsigned int i;
	char **row;

	row = reallocarray(table->cells, (table->nb_rows + 1) * table->nb_columns, sizeof(*row));
	if (row == NULL) {
		table->failed = true;
		return;
	}
	table->cells = row;
	row += table->nb_rows * table->nb_columns;
	table->nb_rows++;
	for (i = 0; i < table->nb_columns; i++) {
		row[i] = strdup(ctl_printable(
				printable, sizeof(printable), cells[i] != NULL ? cells[i] : "-"));
		if (row[i] == NULL)
			table->failed = true;
	}
}

int
ctl_table_print(const struct ctl_table *table, FILE *stream)
{
	size_t width[CTL_MAX_COLUMNS] = {0};
	size_t row, column, cell_len;
	const char *cell;

	if (table->failed)
		return -ENOMEM;
	for (row = 0; row < table->nb_rows; row++) {
		for (column = 0; column < table->nb_columns; column++) {
			cell_len = strlen(table->cells[row * table->nb_columns + column]);
			if (cell_len > width[column])
				width[column] = cell_len;
		}
	}
	for (row = 0; row < table->nb_rows; row++) {
		for (column = 0; column < table->nb_columns; column++) {
			cell = table->cells[row * table->nb_columns + column];
			if (table->right[column])
				fprintf(stream, "%*s", (int)width[column], cell);
			else if (column + 1 < table->nb_columns)
				fprintf(stream, "%-*s", (int)width[column], cell);
			else
				fprintf(stream, "%s", cell); /* no blanks at the end of a line */
			if (column + 1 < table->nb_columns)
				fprintf(stream, "%*s", OUTPUT_GAP, "");
		}
		fputc('\n', stream);
	}
	return 0;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);

	return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* The names of feature bits, by which port.add and net_avp_host know them. */
static const struct {
	unsigned int bit;
	const char *name;
} features[] = {
		{0, "vlan_offload"},
		{16, "recycle"},
		{17, "link_events"},
		{18, "rx_interrupts"},
		{19, "compact"},
};

/* "196608 (recycle, link_events)" */
static void
features_text(char *out, size_t out_size, json_int_t value)
{
	FILE *stream = fmemopen(out, out_size, "w");
	const char *before = " (";

	if (stream == NULL)
		return;
	fprintf(stream, "%" JSON_INTEGER_FORMAT, value);
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (((uint64_t)value >> features[i].bit & 1) == 0)
			continue;
		fprintf(stream, "%s%s", before, features[i].name);
		before = ", ";
	}
	if (before[0] == ',')
		fputc(')', stream);
	fclose(stream);
}

/* A value that fits one line, as text in @out. */
static const char *
value_text(char *out, size_t out_size, const char *key, const json_t *value)
{
	char human[CTL_CELL_SIZE];
	char joined[OUTPUT_VALUE_SIZE];

	if (json_is_string(value))
		return ctl_printable(out, out_size, json_string_value(value));
	if (json_is_boolean(value))
		snprintf(out, out_size, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_integer(value) && ends_with(key, "_bytes") &&
			json_integer_value(value) >= 1024)
		snprintf(out, out_size, "%" JSON_INTEGER_FORMAT " (%s)", json_integer_value(value),
				ctl_human_size(human, (uint64_t)json_integer_value(value)));
	else if (json_is_integer(value) && strncmp(key, "features", strlen("features")) == 0)
		features_text(out, out_size, json_integer_value(value));
	else if (json_is_integer(value))
		snprintf(out, out_size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(out, out_size, "%g", json_real_value(value));
	else
		ctl_printable(out, out_size, ctl_join(joined, sizeof(joined), value));
	return out;
}

void
ctl_print_record(FILE *stream, const json_t *object, int indent)
{
	char text[OUTPUT_VALUE_SIZE], label[OUTPUT_VALUE_SIZE];
	size_t width = 0;
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		if (!json_is_object(value) && strlen(key) > width)
			width = strlen(key);
	}
	json_object_foreach ((json_t *)object, key, value) {
		ctl_printable(label, sizeof(label), key);
		if (json_is_object(value) && json_object_size(value) > 0) {
			fprintf(stream, "%*s%s:\n", indent, "", label);
			ctl_print_record(stream, value, indent + 2);
		} else {
			fprintf(stream, "%*s%-*s  %s\n", indent, "", (int)width, label,
					value_text(text, sizeof(text), key, value));
		}
	}
}

static void
print_dump(FILE *stream, const json_t *value, size_t flags)
{
	json_dumpf(value, stream, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
	fputc('\n', stream);
}

void
ctl_print_json(FILE *stream, const json_t *value)
{
	print_dump(stream, value, JSON_INDENT(2));
}

void
ctl_print_json_line(FILE *stream, const json_t *value)
{
	print_dump(stream, value, 0);
}

char *
ctl_json_line(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char *line = NULL;

	if (text != NULL && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

const char *
ctl_member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "-";
}

const char *
ctl_member_number(char out[CTL_CELL_SIZE], const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_integer(value))
		snprintf(out, CTL_CELL_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(out, CTL_CELL_SIZE, "-");
	return out;
}

uint64_t
ctl_member_u64(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

const char *
ctl_join(char *out, size_t out_size, const json_t *array)
{
	const char *text;
	size_t used = 0;
	json_t *value;
	size_t i;
	int n;

	json_array_foreach (array, i, value) {
		text = json_string_value(value);
		n = snprintf(out + used, out_size - used, "%s%s", i > 0 ? "," : "",
				text != NULL ? text : "?");
		if (n < 0 || (size_t)n >= out_size - used)
			return out; /* cut */
		used += (size_t)n;
	}
	if (used == 0)
		snprintf(out, out_size, "-");
	return out;
}

const char *
ctl_human_size(char out[CTL_CELL_SIZE], uint64_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)size;
	size_t i = 0;

	while (value >= 1024 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	if (i == 0 || value >= 100 || value == (double)(uint64_t)value)
		snprintf(out, CTL_CELL_SIZE, "%.0f %s", value, units[i]);
	else
		snprintf(out, CTL_CELL_SIZE, "%.1f %s", value, units[i]);
	return out;
}

const char *
ctl_human_rate(char out[CTL_CELL_SIZE], double rate)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	int digits;
	size_t i = 0;

	/* 999.5 would be shown as 1000. */
	while (rate >= 999.5 && i + 1 < sizeof(units) / sizeof(units[0])) {
		rate /= 1000;
		i++;
	}
	digits = i == 0 || rate >= 99.95 ? 0 : rate >= 9.995 ? 1 : 2;
	snprintf(out, CTL_CELL_SIZE, "%.*f%s", digits, rate, units[i]);
	return out;
}

const char *
ctl_printable(char *out, size_t out_size, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < out_size && text[i] != '\0'; i++)
		out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	out[i] = '\0';
	return out;
}
