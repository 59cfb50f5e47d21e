/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * UNIX stream sockets: listening on a path, with what goes wrong there in practice, and closing.
 */

#ifndef COMMON_AVP_SOCK_H
#define COMMON_AVP_SOCK_H

#include <sys/types.h>

#include "avp_err.h"

/** How a listening socket's file looks. */
struct avp_sock_perm {
	mode_t mode; /* 0600 and so on */
	uid_t owner; /* (uid_t)-1 = leave */
	gid_t group; /* (gid_t)-1 = leave */
};

/**
 * Listen on @path, non-blocking and close-on-exec.
 *
 * A socket file that nobody listens on any more is replaced; one that somebody does is not: then
 * the error (EADDRINUSE) names the process. A file that is not a socket is never touched. The
 * file never exists with wider permissions than @perm.
 * Returns the descriptor or -errno, with @err filled in.
 */
int avp_sock_listen(const char *path, const struct avp_sock_perm *perm, struct avp_err *err);

/** Stop to listen: close *@fd and set it to -1; remove the file, unless somebody else has taken the
 * path and listens there. */
void avp_sock_unlisten(int *fd, const char *path);

/** Connect to @path, waiting 5 s at most for room in the listener's queue. Returns a blocking,
 * close-on-exec descriptor or -errno with @err filled in. */
int avp_sock_connect(const char *path, struct avp_err *err);

/** Close *@fd unless negative, set it to -1, keep errno. */
void avp_sock_close(int *fd);

#endif /* COMMON_AVP_SOCK_H */
