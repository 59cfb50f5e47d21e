/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What avpctl prints: aligned tables, records of one object, numbers for people, and JSON.
 */

#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CTL_MAX_COLUMNS 10
#define CTL_CELL_SIZE 32 /* fits every number */

/** A table whose rows are collected, then printed with columns as wide as they need. */
struct ctl_table;

/**
 * @titles  of the columns, NULL after the last; those of columns of numbers begin with '>', which
 *          is not shown: they are aligned to the right
 * Returns NULL without memory.
 */
struct ctl_table *ctl_table_create(const char *const titles[]);
void ctl_table_destroy(struct ctl_table *table);

/** Add a row. @cells: one for each column, copied; NULL is shown as "-". */
void ctl_table_add(struct ctl_table *table, const char *const cells[]);

/** Print titles and rows. Returns 0, or -ENOMEM if that was missing for a row: nothing printed. */
int ctl_table_print(const struct ctl_table *table, FILE *stream);

/**
 * Print an object as "key  value" lines, objects in it indented below their key, and arrays of
 * strings on one line. Keys that end in _bytes get a unit that people read, as well as the number.
 */
void ctl_print_record(FILE *stream, const json_t *object, int indent);

/** The object as indented JSON. */
void ctl_print_json(FILE *stream, const json_t *value);
/** The same on one line. */
void ctl_print_json_line(FILE *stream, const json_t *value);
/** The same as a string, newline included, to be freed; NULL without memory. */
char *ctl_json_line(const json_t *value);

/** What a member of @object says: of a string itself, else "-". */
const char *ctl_member(const json_t *object, const char *key);
/** A member that is an integer as text in @out; "-" if it is none. Returns @out. */
const char *ctl_member_number(char out[CTL_CELL_SIZE], const json_t *object, const char *key);
/** A member that is a non-negative integer; else 0. */
uint64_t ctl_member_u64(const json_t *object, const char *key);
/** An array of strings as "a,b" in @out, cut to fit; "-" if it is empty or no array. */
const char *ctl_join(char *out, size_t out_size, const json_t *array);

/** Bytes as "512 B", "1.5 KiB", "20 MiB". Returns @out. */
const char *ctl_human_size(char out[CTL_CELL_SIZE], uint64_t size);
/** A rate as "0", "950", "1.25k", "14.9M", three digits of it. Returns @out. */
const char *ctl_human_rate(char out[CTL_CELL_SIZE], double rate);

/** Copy @text, cut to fit, with '?' for what would upset a terminal. Returns @out. */
const char *ctl_printable(char *out, size_t out_size, const char *text);

#endif /* CTL_OUTPUT_H */
