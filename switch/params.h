/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Parameters of requests and keys of the configuration file: one table says name, type and range of
 * each; both are read through it, so that they accept and refuse the same.
 */

#ifndef PARAMS_H
#define PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "avp_err.h"

/** Bytes of the name of a port, network or domain, with the terminating 0. */
#define PARAMS_NAME_SIZE 32u
/** Bytes of a path or device string. */
#define PARAMS_TEXT_SIZE 512u
/** Most elements of a list. */
#define PARAMS_LIST_MAX 4094u

enum param_type {
	PARAM_NAME,      /* char[PARAMS_NAME_SIZE] */
	PARAM_NAME_NULL, /* the same, null makes it empty */
	PARAM_TEXT,      /* char[PARAMS_TEXT_SIZE], printable */
	PARAM_PATH,      /* char[PARAMS_TEXT_SIZE], absolute */
	PARAM_MAC,       /* uint8_t[6], unicast */
	PARAM_OCTAL,     /* uint32_t, min..max, written as an octal string */
	PARAM_UINT,      /* uint64_t, min..max */
	PARAM_BOOL,      /* bool */
	PARAM_LIST,      /* const json_t *, array of names, borrowed from the input */
};

struct param {
	const char *name;
	enum param_type type;
	size_t offset; /* in the result */
	uint64_t min;
	uint64_t max;
	bool required;
};

/** An element of a table: PARAM("vlan", PARAM_UINT, struct x, vlan, .min = 1, .max = 4094). */
#define PARAM(param_name, param_type, result, member, ...)                                      \
	{                                                                                       \
		.name = (param_name), .type = (param_type), .offset = offsetof(result, member), \
		__VA_ARGS__                                                                     \
	}

/** A result begins with this: bit i = the i-th parameter of the table was given. */
struct params_given {
	uint32_t bits;
};

#define PARAMS_GIVEN(result, index) (((result)->given.bits >> (index)&1) != 0)

/**
 * Read an object's members.
 *
 * @table   ends with a NULL name; at most 32
 * @in      object, or NULL for none
 * @object  for messages, "p0" or "port.add"
 * @out     a struct that begins with struct params_given; only what is given is written
 * Returns 0 or -EINVAL with @err filled in: unknown, missing, of the wrong type, out of range.
 */
int params_read(const struct param *table, const json_t *in, const char *object, void *out,
		struct avp_err *err);

/**
 * Make JSON of a configuration file's value: numbers, yes and no, lists with commas.
 *
 * Returns a new reference, or NULL with @err filled in.
 */
json_t *params_from_text(const struct param *table, const char *name, const char *text,
		const char *object, struct avp_err *err);

/** Is it a name: 1..31 of A-Za-z0-9_.-, the first a letter or digit? */
bool params_is_name(const char *text);

#endif /* PARAMS_H */
