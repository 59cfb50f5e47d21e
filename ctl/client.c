/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The client's side of the control protocol: see client.h. Lines and their limits are stream.c's.
 */

#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

struct ctl_client {
	struct ctl_stream stream;
	unsigned int timeout_ms;
	json_int_t last_id;
};

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

enum ctl_status
ctl_client_open(struct ctl_client **client, const char *path, unsigned int timeout_ms,
		struct ctl_error *err)
{
	struct ctl_client *new = calloc(1, sizeof(*new));
	enum ctl_status status;
	int fd, code;

	if (new == NULL)
		return ctl_no_memory(err);
	new->timeout_ms = timeout_ms;
	status = ctl_unix_connect(path, timeout_ms, &fd, &code, err);
	if (status != CTL_DONE) {
		free(new);
		return code != 0 ? client_connect_failed(path, code, err) : status;
	}
	new->stream = (struct ctl_stream){.in_fd = fd, .out_fd = fd, .peer = "the switch"};
	*client = new;
	return CTL_DONE;
}

void
ctl_client_close(struct ctl_client *client)
{
	if (client == NULL)
		return;
	ctl_stream_fini(&client->stream);
	free(client);
}

/* Wait for the answer with the id of the last request. */
static enum ctl_status
client_answer(struct ctl_client *client, json_t **answer, const struct ctl_limit *limit,
		const char *what, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *id;

	for (;;) {
		status = ctl_stream_object(&client->stream, answer, limit, what, err);
		if (status != CTL_DONE)
			return status;
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
ctl_client_send(struct ctl_client *client, const char *method, json_t *params,
		struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(client->timeout_ms);

	return ctl_stream_send_object(&client->stream,
			json_pack("{s:I, s:s, s:o}", "id", ++client->last_id, "method", method,
					"params", params),
			&limit, method, err);
}

enum ctl_status
ctl_client_receive(struct ctl_client *client, const char *method, json_t **result,
		struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(client->timeout_ms);
	enum ctl_status status;
	json_t *answer;

	status = client_answer(client, &answer, &limit, method, err);
	if (status != CTL_DONE)
		return status;
	status = client_unpack(answer, result, method, err);
	json_decref(answer);
	return status;
}

enum ctl_status
ctl_client_call(struct ctl_client *client, const char *method, json_t *params, json_t **result,
		struct ctl_error *err)
{
	enum ctl_status status = ctl_client_send(client, method, params, err);

	return status == CTL_DONE ? ctl_client_receive(client, method, result, err) : status;
}

enum ctl_status
ctl_client_wait(struct ctl_client *client, const struct ctl_limit *limit, bool *ready,
		struct ctl_error *err)
{
	*ready = true;
	if (ctl_stream_has_line(&client->stream))
		return CTL_DONE;
	return ctl_wait_fd(client->stream.in_fd, POLLIN, limit, ready, err);
}
