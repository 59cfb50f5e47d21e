/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What went wrong, for the person or program that called avpctl. The code is a name and no number,
 * as the control protocol has it.
 */

#ifndef CTL_ERROR_H
#define CTL_ERROR_H

#include <stdbool.h>
#include <stdio.h>

/** What functions return and avpctl exits with. */
enum ctl_status {
	CTL_DONE = 0,
	CTL_FAILED = 1, /* refused by the switch, or no switch */
	CTL_USAGE = 2,  /* the command line makes no sense */
};

struct ctl_error {
	char code[24]; /* "EBUSY" */
	char msg[512]; /* "<object>: <value>: <limit or cause>" */
};

/** Fill in @err with a code of errno.h and a message. Returns CTL_FAILED. */
enum ctl_status ctl_fail(struct ctl_error *err, int code, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

/** The same for a wrong command line. Returns CTL_USAGE. */
enum ctl_status ctl_usage(struct ctl_error *err, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));

/** The same for an error that the switch answered. Returns CTL_FAILED. */
enum ctl_status ctl_refused(struct ctl_error *err, const char *code, const char *msg);

/** Memory ran out. Returns CTL_FAILED. */
enum ctl_status ctl_no_memory(struct ctl_error *err);

/** Write @err as one line: "avpctl: <msg>", or {"error": {...}}. */
void ctl_error_print(FILE *stream, const struct ctl_error *err, bool json);

/** What strerror() says, to be put into the middle of a sentence. */
const char *ctl_strerror(int code);

#endif /* CTL_ERROR_H */
