/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Logging through a callback: avp_log.h.
 */

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "avp_log.h"

#define LOG_MSG_SIZE 512u

static void
log_write(const struct avp_log *log, enum avp_log_level level, const char *fmt, va_list args,
		uint64_t suppressed)
{
	char msg[LOG_MSG_SIZE];

	int len = vsnprintf(msg, sizeof(msg), fmt, args);
	if (len >= 0 && (size_t)len < sizeof(msg) && suppressed > 0)
		snprintf(msg + len, sizeof(msg) - (size_t)len, " (%llu more not shown)",
				(unsigned long long)suppressed);
	log->write(log->ctx, level, msg);
}

void
avp_log(const struct avp_log *log, enum avp_log_level level, const char *fmt, ...)
{
	va_list args;

	if (log == NULL || log->write == NULL)
		return;
	va_start(args, fmt);
	log_write(log, level, fmt, args, 0);
	va_end(args);
}

void
avp_log_limited(const struct avp_log *log, struct avp_log_limit *limit, enum avp_log_level level,
		const char *fmt, ...)
{
	va_list args;

	if (log == NULL || log->write == NULL || !avp_log_allowed(limit))
		return;
	va_start(args, fmt);
	log_write(log, level, fmt, args, limit->suppressed);
	va_end(args);
	limit->suppressed = 0;
}

bool
avp_log_allowed(struct avp_log_limit *limit)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((uint64_t)now.tv_sec != limit->second) {
		limit->second = (uint64_t)now.tv_sec;
		limit->used = 0;
	}
	if (limit->used >= limit->burst) {
		limit->suppressed++;
		return false;
	}
	limit->used++;
	return true;
}

const char *
avp_log_escape(char *out, size_t out_size, const void *text, size_t text_size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *in = text;
	size_t len = 0;

	if (out_size == 0)
		return "";
	for (size_t i = 0; i < text_size; i++) {
		/* the backslash too, so that what is printed can be told from what was escaped */
		if (in[i] >= 0x20 && in[i] < 0x7f && in[i] != '\\') {
			if (out_size - len < 2)
				break;
			out[len++] = (char)in[i];
			continue;
		}
		if (out_size - len < 5)
			break;
		out[len++] = '\\';
		out[len++] = 'x';
		out[len++] = hex[in[i] >> 4];
		out[len++] = hex[in[i] & 0xf];
	}
	out[len] = '\0';
	return out;
}
