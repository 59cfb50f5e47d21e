/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Parameters: reading JSON and text by a table.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "avp_log.h"
#include "params.h"

/** Bytes of a value shown in a message. */
#define SHOWN_SIZE 64

bool
params_is_name(const char *text)
{
	size_t len = strspn(text,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			"0123456789_.-");

	return len > 0 && len < PARAMS_NAME_SIZE && text[len] == '\0' &&
			strchr("_.-", text[0]) == NULL;
}

/* What a value looks like, short and printable. */
static const char *
show(const json_t *value, char out[SHOWN_SIZE])
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	avp_log_escape(out, SHOWN_SIZE, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
	free(text);
	return out;
}

static int
bad(const struct param *param, const json_t *value, const char *object, const char *want,
		struct avp_err *err)
{
	char shown[SHOWN_SIZE];

	return avp_err_set(err, EINVAL, "%s: %s=%s: must be %s", object, param->name,
			show(value, shown), want);
}

static int
read_text(const struct param *param, const json_t *value, const char *object, char *out,
		struct avp_err *err)
{
	const char *text = json_string_value(value);
	size_t len = text != NULL ? strlen(text) : 0;

	if (len == 0 || len != json_string_length(value) || len >= PARAMS_TEXT_SIZE)
		return bad(param, value, object, "a string of 1 to 511 bytes", err);
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return bad(param, value, object, "printable ASCII", err);
	if (param->type == PARAM_PATH && text[0] != '/')
		return bad(param, value, object, "an absolute path", err);
	memcpy(out, text, len + 1);
	return 0;
}

static int
read_name(const struct param *param, const json_t *value, const char *object, char *out,
		struct avp_err *err)
{
	const char *text = json_string_value(value);

	if (param->type == PARAM_NAME_NULL && json_is_null(value)) {
		out[0] = '\0';
		return 0;
	}
	if (text == NULL || strlen(text) != json_string_length(value) || !params_is_name(text))
		return bad(param, value, object,
				"1 to 31 of A-Z a-z 0-9 _ . -, starting with a letter or digit",
				err);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
read_mac(const struct param *param, const json_t *value, const char *object, uint8_t *out,
		struct avp_err *err)
{
	const char *text = json_string_value(value);
	uint8_t mac[6];
	uint8_t any = 0;

	if (text == NULL || strlen(text) != 17)
		return bad(param, value, object, "xx:xx:xx:xx:xx:xx", err);
	for (unsigned int i = 0; i < sizeof(mac); i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return bad(param, value, object, "xx:xx:xx:xx:xx:xx", err);
		mac[i] = high << 4 | low;
		any |= mac[i];
	}
	if ((mac[0] & 1) != 0 || any == 0)
		return bad(param, value, object, "a unicast address", err);
	memcpy(out, mac, sizeof(mac));
	return 0;
}

static int
read_uint(const struct param *param, const json_t *value, const char *object, uint64_t *out,
		struct avp_err *err)
{
	char want[64];
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < param->min ||
			(uint64_t)number > param->max) {
		snprintf(want, sizeof(want), "a number from %" PRIu64 " to %" PRIu64, param->min,
				param->max);
		return bad(param, value, object, want, err);
	}
	*out = number;
	return 0;
}

static int
read_octal(const struct param *param, const json_t *value, const char *object, uint32_t *out,
		struct avp_err *err)
{
	const char *text = json_string_value(value);
	unsigned long number;
	char want[64];

	if (text != NULL && text[0] != '\0' && strlen(text) <= 6 &&
			strspn(text, "01234567") == strlen(text)) {
		number = strtoul(text, NULL, 8);
		if (number >= param->min && number <= param->max) {
			*out = number;
			return 0;
		}
	}
	snprintf(want, sizeof(want), "octal digits in a string, up to %04" PRIo64, param->max);
	return bad(param, value, object, want, err);
}

static int
read_list(const struct param *param, const json_t *value, const char *object, const json_t **out,
		struct avp_err *err)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value) || json_array_size(value) > PARAMS_LIST_MAX)
		return bad(param, value, object, "an array of at most 4094 names", err);
	json_array_foreach (value, i, item)
		if (!json_is_string(item) || !params_is_name(json_string_value(item)))
			return bad(param, value, object, "an array of names", err);
	*out = value;
	return 0;
}

static int
read_one(const struct param *param, const json_t *value, const char *object, void *out,
		struct avp_err *err)
{
	switch (param->type) {
	case PARAM_NAME:
	case PARAM_NAME_NULL:
		return read_name(param, value, object, out, err);
	case PARAM_TEXT:
	case PARAM_PATH:
		return read_text(param, value, object, out, err);
	case PARAM_MAC:
		return read_mac(param, value, object, out, err);
	case PARAM_OCTAL:
		return read_octal(param, value, object, out, err);
	case PARAM_UINT:
		return read_uint(param, value, object, out, err);
	case PARAM_LIST:
		return read_list(param, value, object, out, err);
	case PARAM_BOOL:
		if (!json_is_boolean(value))
			return bad(param, value, object, "true or false", err);
		*(bool *)out = json_is_true(value);
		return 0;
	}
	return avp_err_set(err, EINVAL, "%s: %s: no such type", object, param->name);
}

static const struct param *
find(const struct param *table, const char *name)
{
	for (const struct param *param = table; param->name != NULL; param++)
		if (strcmp(param->name, name) == 0)
			return param;
	return NULL;
}

static int
unknown(const char *name, const char *object, struct avp_err *err)
{
	char shown[SHOWN_SIZE];

	avp_log_escape(shown, sizeof(shown), name, strlen(name));
	return avp_err_set(err, EINVAL, "%s: %s: no such parameter", object, shown);
}

int
params_read(const struct param *table, const json_t *in, const char *object, void *out,
		struct avp_err *err)
{
	struct params_given *given = out;
	const char *name;
	json_t *value;

	if (in != NULL && !json_is_object(in))
		return avp_err_set(err, EINVAL, "%s: params: must be an object", object);
	given->bits = 0;
	/* jansson does not change what it iterates over, but has no const form of it. */
	json_object_foreach ((json_t *)in, name, value) {
		const struct param *param = find(table, name);
		int rc;

		if (param == NULL)
			return unknown(name, object, err);
		rc = read_one(param, value, object, (char *)out + param->offset, err);
		if (rc != 0)
			return rc;
		given->bits |= UINT32_C(1) << (param - table);
	}
	for (const struct param *param = table; param->name != NULL; param++)
		if (param->required && (given->bits >> (param - table) & 1) == 0)
			return avp_err_set(err, EINVAL, "%s: %s: missing", object, param->name);
	return 0;
}

/* "a, b ,c" to ["a","b","c"] */
static json_t *
list_from_text(const char *text)
{
	json_t *list = json_array();

	while (list != NULL && *text != '\0') {
		size_t skip = strspn(text, ", \t");
		size_t len = strcspn(text + skip, ", \t");

		if (len > 0)
			json_array_append_new(list, json_stringn(text + skip, len));
		text += skip + len;
	}
	return list;
}

json_t *
params_from_text(const struct param *table, const char *name, const char *text, const char *object,
		struct avp_err *err)
{
	const struct param *param = find(table, name);
	char *end;
	uint64_t number;

	if (param == NULL) {
		unknown(name, object, err);
		return NULL;
	}
	switch (param->type) {
	case PARAM_UINT:
		errno = 0;
		number = strtoull(text, &end, 10);
		if (errno == 0 && end != text && *end == '\0' && number <= INT64_MAX)
			return json_integer(number);
		break;
	case PARAM_BOOL:
		if (strcmp(text, "yes") == 0 || strcmp(text, "no") == 0)
			return json_boolean(strcmp(text, "yes") == 0);
		avp_err_set(err, EINVAL, "%s: %s=%.64s: must be yes or no", object, name, text);
		return NULL;
	case PARAM_LIST:
		return list_from_text(text);
	default:
		break;
	}
	/* What is no number is told so by params_read(). */
	return json_string(text);
}
