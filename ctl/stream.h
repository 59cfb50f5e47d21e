/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Lines of text to and from another program, with a time limit on everything: the switch's control
 * socket, QEMU's monitor and qtest sockets, and the avpctl of another node all speak in lines.
 */

#ifndef CTL_STREAM_H
#define CTL_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/** Until when something may take. */
struct ctl_limit {
	int64_t end_us;  /* as ctl_now_us() */
	unsigned int ms; /* what it was at first, for messages */
};

struct ctl_stream {
	int in_fd;
	int out_fd;       /* the same as in_fd: a socket */
	const char *peer; /* who is at the other end, for messages: "the switch" */
	char *buf;        /* received, not yet taken */
	size_t buf_used;
	size_t buf_size;
};

/** Time in microseconds, monotonic. */
int64_t ctl_now_us(void);
/** The same of the calendar, since 1970: to compare with another node's. */
int64_t ctl_wall_us(void);

struct ctl_limit ctl_limit_in(unsigned int ms);

/**
 * Wait until @fd is ready for @events.
 *
 * @ready  out: false if the limit passed before
 */
enum ctl_status ctl_wait_fd(int fd, short events, const struct ctl_limit *limit, bool *ready,
		struct ctl_error *err);

/** Send all of it. @what is what we are doing, for messages. */
enum ctl_status ctl_stream_send(struct ctl_stream *stream, const char *data, size_t size,
		const struct ctl_limit *limit, const char *what, struct ctl_error *err);

/** Wait for a line: a new string without its end, to be freed. */
enum ctl_status ctl_stream_line(struct ctl_stream *stream, char **line,
		const struct ctl_limit *limit, const char *what, struct ctl_error *err);

/** Wait for a line that is a JSON object: a new reference. */
enum ctl_status ctl_stream_object(struct ctl_stream *stream, json_t **object,
		const struct ctl_limit *limit, const char *what, struct ctl_error *err);

/** Send an object as a line. @object: taken over, also on failure; NULL: lack of memory. */
enum ctl_status ctl_stream_send_object(struct ctl_stream *stream, json_t *object,
		const struct ctl_limit *limit, const char *what, struct ctl_error *err);

/** Is there a whole line already? Then ctl_stream_line() does not wait. */
bool ctl_stream_has_line(const struct ctl_stream *stream);

/** Free what was received, and close the descriptors. */
void ctl_stream_fini(struct ctl_stream *stream);

/**
 * Connect to a UNIX socket.
 *
 * @timeout_ms  how long connect() may wait for a listener whose backlog is full
 * @code        out, on failure: the errno value of connect(), or 0 if it was not that
 */
enum ctl_status ctl_unix_connect(const char *path, unsigned int timeout_ms, int *fd, int *code,
		struct ctl_error *err);

#endif /* CTL_STREAM_H */
