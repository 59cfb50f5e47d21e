/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The client's side of the control protocol: see client.h.
 *
 * How it works: the socket never blocks; everything waits in poll() with what is left until the
 * deadline of the request. Received bytes collect in one buffer until there is a line.
 */

#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

#define CLIENT_READ_SIZE 16384
#define CLIENT_MAX_LINE (64 << 20) /* bytes: an FDB of a million entries */

struct ctl_client {
	int fd;
	unsigned int timeout_ms;
	json_int_t last_id;
	char *buf;
	size_t buf_used;
	size_t buf_size;
};

static int64_t
client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum ctl_status
client_connect_failed(const char *path, int code, struct ctl_error *err)
{
	switch (code) {
	case ENOENT:
		return ctl_fail(err, code, "%s: no switch is running there: no such file", path);
	case ECONNREFUSED:
		return ctl_fail(err, code, "%s: no switch is listening there: connection refused",
				path);
	case EAGAIN:
		return ctl_fail(err, ETIMEDOUT,
				"%s: the switch does not accept connections: time-out", path);
	case EACCES:
		return ctl_fail(err, code,
				"%s: permission denied: only root and the socket's owner and group "
				"may",
				path);
	default:
		return ctl_fail(err, code, "%s: no connection: %s", path, ctl_strerror(code));
	}
}

static enum ctl_status
client_connect(const char *path, unsigned int timeout_ms, int *fd, struct ctl_error *err)
{
	struct timeval limit = {
			.tv_sec = timeout_ms / 1000,
			.tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000,
	};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t path_size = strlen(path) + 1;
	enum ctl_status status;

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
	status = client_connect_failed(path, errno, err);
	close(*fd);
	return status;
}

enum ctl_status
ctl_client_open(struct ctl_client **client, const char *path, unsigned int timeout_ms,
		struct ctl_error *err)
{
	struct ctl_client *new = calloc(1, sizeof(*new));
	enum ctl_status status;

	if (new == NULL)
		return ctl_no_memory(err);
	new->timeout_ms = timeout_ms;
	status = client_connect(path, timeout_ms, &new->fd, err);
	if (status != CTL_DONE) {
		free(new);
		return status;
	}
	*client = new;
	return CTL_DONE;
}

void
ctl_client_close(struct ctl_client *client)
{
	if (client == NULL)
		return;
	close(client->fd);
	free(client->buf);
	free(client);
}

/* Wait until @events or the deadline. @what is what we are doing, for the message. */
static enum ctl_status
client_wait(struct ctl_client *client, short events, int64_t deadline_ms, const char *what,
		struct ctl_error *err)
{
	struct pollfd entry = {.fd = client->fd, .events = events};
	int64_t left_ms;
	int ready;

	do {
		left_ms = deadline_ms - client_now_ms();
		ready = poll(&entry, 1, left_ms > 0 ? (int)left_ms : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return ctl_fail(err, errno, "%s: %s", what, ctl_strerror(errno));
	if (ready == 0)
		return ctl_fail(err, ETIMEDOUT, "%s: no answer from the switch within %g s", what,
				client->timeout_ms / 1000.0);
	return CTL_DONE;
}

static enum ctl_status
client_lost(int code, const char *what, struct ctl_error *err)
{
	if (code == 0 || code == ECONNRESET || code == EPIPE)
		return ctl_fail(err, ECONNRESET, "%s: the switch closed the connection", what);
	return ctl_fail(err, code, "%s: %s", what, ctl_strerror(code));
}

static enum ctl_status
client_send(struct ctl_client *client, const char *data, size_t size, int64_t deadline_ms,
		const char *what, struct ctl_error *err)
{
	enum ctl_status status;
	ssize_t sent;

	while (size > 0) {
		sent = send(client->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			data += sent;
			size -= (size_t)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return client_lost(errno, what, err);
		status = client_wait(client, POLLOUT, deadline_ms, what, err);
		if (status != CTL_DONE)
			return status;
	}
	return CTL_DONE;
}

/* Read what is there. */
static enum ctl_status
client_fill(struct ctl_client *client, const char *what, struct ctl_error *err)
{
	ssize_t received;
	size_t room;
	char *grown;

	if (client->buf_size - client->buf_used < CLIENT_READ_SIZE) {
		if (client->buf_used > CLIENT_MAX_LINE)
			return ctl_fail(err, EMSGSIZE, "%s: an answer of more than %d bytes", what,
					CLIENT_MAX_LINE);
		room = 2 * client->buf_size + CLIENT_READ_SIZE;
		grown = realloc(client->buf, room);
		if (grown == NULL)
			return ctl_no_memory(err);
		client->buf = grown;
		client->buf_size = room;
	}
	do {
		received = recv(client->fd, client->buf + client->buf_used,
				client->buf_size - client->buf_used, MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);
	if (received == 0)
		return client_lost(0, what, err);
	if (received < 0 && errno != EAGAIN)
		return client_lost(errno, what, err);
	if (received > 0)
		client->buf_used += (size_t)received;
	return CTL_DONE;
}

/* Take one line out of the buffer: *@message, or NULL if there is no whole line. */
static enum ctl_status
client_take_line(struct ctl_client *client, json_t **message, const char *what,
		struct ctl_error *err)
{
	char *end = client->buf_used > 0 ? memchr(client->buf, '\n', client->buf_used) : NULL;
	json_error_t cause;
	size_t line_size;

	*message = NULL;
	if (end == NULL)
		return CTL_DONE;
	line_size = (size_t)(end - client->buf);
	*message = json_loadb(client->buf, line_size, 0, &cause);
	client->buf_used -= line_size + 1;
	memmove(client->buf, end + 1, client->buf_used);
	if (*message == NULL)
		return ctl_fail(err, EPROTO, "%s: the switch's answer is not JSON: %s", what,
				cause.text);
	if (json_is_object(*message))
		return CTL_DONE;
	json_decref(*message);
	*message = NULL;
	return ctl_fail(err, EPROTO, "%s: the switch's answer is not an object", what);
}

/* Wait for the answer with the id of the last request. */
static enum ctl_status
client_answer(struct ctl_client *client, json_t **answer, int64_t deadline_ms, const char *what,
		struct ctl_error *err)
{
	enum ctl_status status;
	json_t *id;

	for (;;) {
		status = client_take_line(client, answer, what, err);
		if (status != CTL_DONE)
			return status;
		if (*answer == NULL) {
			status = client_wait(client, POLLIN, deadline_ms, what, err);
			if (status == CTL_DONE)
				status = client_fill(client, what, err);
			if (status != CTL_DONE)
				return status;
			continue;
		}
		id = json_object_get(*answer, "id");
		/* A switch that could not read our line cannot know its id. */
		if (json_integer_value(id) == client->last_id || json_is_null(id))
			return CTL_DONE;
		json_decref(*answer); /* late, to a request that we gave up */
	}
}

/* What the answer says: the result, or the switch's error. */
static enum ctl_status
client_unpack(json_t *answer, json_t **result, const char *what, struct ctl_error *err)
{
	json_t *error = json_object_get(answer, "error");
	const char *code, *msg;

	if (error != NULL && !json_is_null(error)) {
		code = json_string_value(json_object_get(error, "code"));
		msg = json_string_value(json_object_get(error, "message"));
		if (msg == NULL)
			return ctl_fail(err, EPROTO, "%s: refused without a reason", what);
		return ctl_refused(err, code != NULL ? code : "EIO", msg);
	}
	*result = json_object_get(answer, "result");
	if (*result == NULL)
		return ctl_fail(err, EPROTO, "%s: an answer without a result", what);
	json_incref(*result);
	return CTL_DONE;
}

enum ctl_status
ctl_client_call(struct ctl_client *client, const char *method, json_t *params, json_t **result,
		struct ctl_error *err)
{
	int64_t deadline_ms = client_now_ms() + client->timeout_ms;
	enum ctl_status status;
	json_t *message;
	char *line;

	message = json_pack("{s:I, s:s, s:o}", "id", ++client->last_id, "method", method, "params",
			params);
	line = message != NULL ? ctl_json_line(message) : NULL;
	json_decref(message);
	if (line == NULL)
		return ctl_no_memory(err);
	status = client_send(client, line, strlen(line), deadline_ms, method, err);
	free(line);
	if (status == CTL_DONE)
		status = client_answer(client, &message, deadline_ms, method, err);
	if (status != CTL_DONE)
		return status;
	status = client_unpack(message, result, method, err);
	json_decref(message);
	return status;
}
