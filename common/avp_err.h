/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * An error that a person will read: a code, and one sentence that names object, value and limit.
 * Functions that can fail on what a user or a peer said take a struct avp_err * as last argument.
 */

#ifndef COMMON_AVP_ERR_H
#define COMMON_AVP_ERR_H

#define AVP_ERR_MSG_SIZE 256

struct avp_err {
	int code; /* positive errno, 0 = none */
	char msg[AVP_ERR_MSG_SIZE];
};

/**
 * Fill in @err.
 *
 * @err   may be NULL: then only the code is returned
 * @code  positive errno
 * @fmt   "<object>: <value>: <limit or cause>", lower case, no final stop
 * Returns -@code, so that a caller can write: return avp_err_set(err, EINVAL, ...).
 */
int avp_err_set(struct avp_err *err, int code, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

#endif /* COMMON_AVP_ERR_H */
