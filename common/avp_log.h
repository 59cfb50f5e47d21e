/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Logging for code that knows no DPDK: a callback given by whoever creates an object. Messages have
 * the form "<object>: <what happened>: <why>", without a newline.
 */

#ifndef COMMON_AVP_LOG_H
#define COMMON_AVP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum avp_log_level {
	AVP_LOG_ERR,     /* someone must act */
	AVP_LOG_WARNING, /* went on, with less */
	AVP_LOG_NOTICE,  /* life of the system */
	AVP_LOG_INFO,    /* configuration */
	AVP_LOG_DEBUG,   /* each message */
};

/** Where messages go. A NULL pointer to it, or a NULL @write, drops them. */
struct avp_log {
	void (*write)(void *ctx, enum avp_log_level level, const char *msg);
	void *ctx;
};

void avp_log(const struct avp_log *log, enum avp_log_level level, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

/** Lets through @burst messages per second; for everything that a peer can trigger. */
struct avp_log_limit {
	uint32_t burst;
	uint32_t used;
	uint64_t second;     /* CLOCK_MONOTONIC, of the current window */
	uint64_t suppressed; /* refused since whoever reports them has set it to 0 */
};

/** Write a message if @limit lets it through; tells how many have been left out before it. */
void avp_log_limited(const struct avp_log *log, struct avp_log_limit *limit,
		enum avp_log_level level, const char *fmt, ...)
		__attribute__((format(printf, 4, 5)));

/** True when one more message may be written now. Context: one thread per @limit. */
bool avp_log_allowed(struct avp_log_limit *limit);

/**
 * Make text from a peer fit to print: at most @out_size - 1 bytes, everything that is not printable
 * ASCII written as \xNN.
 *
 * Returns @out.
 */
const char *avp_log_escape(char *out, size_t out_size, const void *text, size_t text_size);

#endif /* COMMON_AVP_LOG_H */
