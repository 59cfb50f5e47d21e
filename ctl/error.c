/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Errors: see error.h.
 */

#include "error.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "output.h"

/* JSON takes nothing else than UTF-8, and a text that was too long may end within a character. */
static void
make_utf8(char *text)
{
	json_t *string = json_string(text);

	for (; string == NULL && *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
	json_decref(string);
}

static void
error_fill(struct ctl_error *err, int code, const char *fmt, va_list args)
{
	const char *name = strerrorname_np(code);

	snprintf(err->code, sizeof(err->code), "%s", name != NULL ? name : "EIO");
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	make_utf8(err->msg);
}

enum ctl_status
ctl_fail(struct ctl_error *err, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	error_fill(err, code, fmt, args);
	va_end(args);
	return CTL_FAILED;
}

enum ctl_status
ctl_usage(struct ctl_error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	error_fill(err, EINVAL, fmt, args);
	va_end(args);
	return CTL_USAGE;
}

enum ctl_status
ctl_refused(struct ctl_error *err, const char *code, const char *msg)
{
	snprintf(err->code, sizeof(err->code), "%s", code);
	snprintf(err->msg, sizeof(err->msg), "%s", msg);
	make_utf8(err->msg);
	return CTL_FAILED;
}

enum ctl_status
ctl_no_memory(struct ctl_error *err)
{
	return ctl_fail(err, ENOMEM, "out of memory");
}

void
ctl_error_print(FILE *stream, const struct ctl_error *err, bool json)
{
	char msg[sizeof(err->msg)];
	json_t *object = NULL;

	if (json)
		object = json_pack(
				"{s:{s:s, s:s}}", "error", "code", err->code, "message", err->msg);
	if (object != NULL) {
		ctl_print_json_line(stream, object);
		json_decref(object);
		return;
	}
	fprintf(stream, "avpctl: %s\n", ctl_printable(msg, sizeof(msg), err->msg));
}

const char *
ctl_strerror(int code)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s", strerror(code));
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}
