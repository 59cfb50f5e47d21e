/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Errors with a message: avp_err.h.
 */

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "avp_err.h"

int
avp_err_set(struct avp_err *err, int code, const char *fmt, ...)
{
	assert(code > 0);
	if (err != NULL) {
		va_list args;

		err->code = code;
		va_start(args, fmt);
		vsnprintf(err->msg, sizeof(err->msg), fmt, args);
		va_end(args);
	}
	return -code;
}
