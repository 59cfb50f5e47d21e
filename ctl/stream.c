/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Lines with time limits: see stream.h.
 *
 * How it works: nothing blocks in a read or write; everything waits in poll() with what is left
 * until the limit. Received bytes collect in one buffer until there is a line.
 */

#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

#define STREAM_READ_SIZE 16384
#define STREAM_MAX_LINE (64 << 20) /* bytes: an FDB of a million entries */

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
ctl_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
ctl_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

struct ctl_limit
ctl_limit_in(unsigned int ms)
{
	return (struct ctl_limit){.end_us = ctl_now_us() + (int64_t)ms * 1000, .ms = ms};
}

enum ctl_status
ctl_wait_fd(int fd, short events, const struct ctl_limit *limit, bool *ready, struct ctl_error *err)
{
	struct pollfd entry = {.fd = fd, .events = events};
	struct timespec left;
	int64_t left_us;
	int ret;

	do {
		left_us = limit->end_us - ctl_now_us();
		if (left_us < 0)
			left_us = 0;
		left = (struct timespec){left_us / 1000000, left_us % 1000000 * 1000};
		ret = ppoll(&entry, 1, &left, NULL);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return ctl_fail(err, errno, "poll: %s", ctl_strerror(errno));
	*ready = ret > 0;
	return CTL_DONE;
}

/* The same, where the limit is an error. */
static enum ctl_status
stream_wait(struct ctl_stream *stream, int fd, short events, const struct ctl_limit *limit,
		const char *what, struct ctl_error *err)
{
	enum ctl_status status;
	bool ready;

	status = ctl_wait_fd(fd, events, limit, &ready, err);
	if (status != CTL_DONE || ready)
		return status;
	return ctl_fail(err, ETIMEDOUT, "%s: no answer from %s within %g s", what, stream->peer,
			limit->ms / 1000.0);
}

static enum ctl_status
stream_lost(struct ctl_stream *stream, int code, const char *what, struct ctl_error *err)
{
	if (code == 0 || code == ECONNRESET || code == EPIPE)
		return ctl_fail(err, ECONNRESET, "%s: %s closed the connection", what,
				stream->peer);
	return ctl_fail(err, code, "%s: %s", what, ctl_strerror(code));
}

enum ctl_status
ctl_stream_send(struct ctl_stream *stream, const char *data, size_t size,
		const struct ctl_limit *limit, const char *what, struct ctl_error *err)
{
	enum ctl_status status;
	ssize_t sent;

	while (size > 0) {
		if (stream->in_fd == stream->out_fd)
			sent = send(stream->out_fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		else
			sent = write(stream->out_fd, data, size);
		if (sent >= 0) {
			data += sent;
			size -= (size_t)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return stream_lost(stream, errno, what, err);
		status = stream_wait(stream, stream->out_fd, POLLOUT, limit, what, err);
		if (status != CTL_DONE)
			return status;
	}
	return CTL_DONE;
}

/* Read what is there; there is something, or the other end has closed. */
static enum ctl_status
stream_fill(struct ctl_stream *stream, const char *what, struct ctl_error *err)
{
	ssize_t received;
	size_t room;
	char *grown;

	if (stream->buf_size - stream->buf_used < STREAM_READ_SIZE) {
		if (stream->buf_used > STREAM_MAX_LINE)
			return ctl_fail(err, EMSGSIZE, "%s: an answer of more than %d bytes", what,
					STREAM_MAX_LINE);
		room = 2 * stream->buf_size + STREAM_READ_SIZE;
		grown = realloc(stream->buf, room);
		if (grown == NULL)
			return ctl_no_memory(err);
		stream->buf = grown;
		stream->buf_size = room;
	}
	do {
		received = read(stream->in_fd, stream->buf + stream->buf_used,
				stream->buf_size - stream->buf_used);
	} while (received < 0 && errno == EINTR);
	if (received == 0)
		return stream_lost(stream, 0, what, err);
	if (received < 0 && errno != EAGAIN)
		return stream_lost(stream, errno, what, err);
	if (received > 0)
		stream->buf_used += (size_t)received;
	return CTL_DONE;
}

static char *
stream_line_end(const struct ctl_stream *stream)
{
	return stream->buf_used > 0 ? memchr(stream->buf, '\n', stream->buf_used) : NULL;
}

bool
ctl_stream_has_line(const struct ctl_stream *stream)
{
	return stream_line_end(stream) != NULL;
}

enum ctl_status
ctl_stream_line(struct ctl_stream *stream, char **line, const struct ctl_limit *limit,
		const char *what, struct ctl_error *err)
{
	enum ctl_status status;
	size_t line_size;
	char *end;

	while ((end = stream_line_end(stream)) == NULL) {
		status = stream_wait(stream, stream->in_fd, POLLIN, limit, what, err);
		if (status == CTL_DONE)
			status = stream_fill(stream, what, err);
		if (status != CTL_DONE)
			return status;
	}
	line_size = (size_t)(end - stream->buf);
	*line = strndup(stream->buf, line_size);
	stream->buf_used -= line_size + 1;
	memmove(stream->buf, end + 1, stream->buf_used);
	return *line != NULL ? CTL_DONE : ctl_no_memory(err);
}

enum ctl_status
ctl_stream_object(struct ctl_stream *stream, json_t **object, const struct ctl_limit *limit,
		const char *what, struct ctl_error *err)
{
	enum ctl_status status;
	json_error_t cause;
	char *line;

	status = ctl_stream_line(stream, &line, limit, what, err);
	if (status != CTL_DONE)
		return status;
	*object = json_loads(line, 0, &cause);
	free(line);
	if (*object == NULL)
		return ctl_fail(err, EPROTO, "%s: %s's answer is not JSON: %s", what, stream->peer,
				cause.text);
	if (json_is_object(*object))
		return CTL_DONE;
	json_decref(*object);
	*object = NULL;
	return ctl_fail(err, EPROTO, "%s: %s's answer is not an object", what, stream->peer);
}

enum ctl_status
ctl_stream_send_object(struct ctl_stream *stream, json_t *object, const struct ctl_limit *limit,
		const char *what, struct ctl_error *err)
{
	char *line = object != NULL ? ctl_json_line(object) : NULL;
	enum ctl_status status;

	json_decref(object);
	if (line == NULL)
		return ctl_no_memory(err);
	status = ctl_stream_send(stream, line, strlen(line), limit, what, err);
	free(line);
	return status;
}

void
ctl_stream_fini(struct ctl_stream *stream)
{
	if (stream->in_fd >= 0)
		close(stream->in_fd);
	if (stream->out_fd >= 0 && stream->out_fd != stream->in_fd)
		close(stream->out_fd);
	free(stream->buf);
	*stream = (struct ctl_stream){.in_fd = -1, .out_fd = -1};
}

enum ctl_status
ctl_unix_connect(const char *path, unsigned int timeout_ms, int *fd, int *code,
		struct ctl_error *err)
{
	struct timeval limit = {
			.tv_sec = timeout_ms / 1000,
			.tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000,
	};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t path_size = strlen(path) + 1;

	*code = 0;
	if (path_size > sizeof(addr.sun_path))
		return ctl_fail(err, ENAMETOOLONG, "%s: %zu bytes: a socket's path has at most %zu",
				path, path_size - 1, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, path_size);

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return ctl_fail(err, errno, "no socket: %s", ctl_strerror(errno));
	/* With a full backlog connect() waits this long, then fails with EAGAIN. */
	if (setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
			connect(*fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return CTL_DONE;
	*code = errno;
	close(*fd);
	return ctl_fail(err, *code, "%s: no connection: %s", path, ctl_strerror(*code));
}
