/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * QMP: see qmp.h. Each message is a line; an event that comes while an answer is waited for is put
 * aside. Source: QEMU's docs/interop/qmp-spec.rst, 11.1.
 */

#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct ctl_qmp {
	struct ctl_stream stream;
	unsigned int timeout_ms;
	json_int_t last_id;
	json_t *events; /* array, oldest first */
};

static enum ctl_status
qmp_greet(struct ctl_qmp *qmp, const char *path, struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(qmp->timeout_ms);
	enum ctl_status status;
	json_t *greeting;

	status = ctl_stream_object(&qmp->stream, &greeting, &limit, "greeting", err);
	if (status != CTL_DONE)
		return status;
	if (json_object_get(greeting, "QMP") == NULL)
		status = ctl_fail(err, EPROTO, "%s: what is there is no QEMU monitor", path);
	json_decref(greeting);
	if (status != CTL_DONE)
		return status;
	return ctl_qmp_call(qmp, "qmp_capabilities", NULL, NULL, err);
}

enum ctl_status
ctl_qmp_open(struct ctl_qmp **qmp, const char *path, unsigned int timeout_ms, struct ctl_error *err)
{
	struct ctl_qmp *new = calloc(1, sizeof(*new));
	enum ctl_status status;
	int fd, code;

	if (new == NULL)
		return ctl_no_memory(err);
	new->timeout_ms = timeout_ms;
	new->events = json_array();
	status = new->events != NULL ? ctl_unix_connect(path, timeout_ms, &fd, &code, err)
				     : ctl_no_memory(err);
	if (status != CTL_DONE) {
		json_decref(new->events);
		free(new);
		return status;
	}
	new->stream = (struct ctl_stream){.in_fd = fd, .out_fd = fd, .peer = "QEMU"};
	status = qmp_greet(new, path, err);
	if (status != CTL_DONE) {
		ctl_qmp_close(new);
		return status;
	}
	*qmp = new;
	return CTL_DONE;
}

void
ctl_qmp_close(struct ctl_qmp *qmp)
{
	if (qmp == NULL)
		return;
	ctl_stream_fini(&qmp->stream);
	json_decref(qmp->events);
	free(qmp);
}

/* What an answer says. */
static enum ctl_status
qmp_unpack(json_t *message, const char *command, json_t **result, struct ctl_error *err)
{
	json_t *error = json_object_get(message, "error");
	const char *desc = json_string_value(json_object_get(error, "desc"));
	json_t *returned = json_object_get(message, "return");

	if (error != NULL)
		return ctl_fail(err, EIO, "QEMU: %s: %s", command,
				desc != NULL ? desc : "refused without a reason");
	if (returned == NULL)
		return ctl_fail(err, EPROTO, "QEMU: %s: an answer without a result", command);
	if (result != NULL)
		*result = json_incref(returned);
	return CTL_DONE;
}

enum ctl_status
ctl_qmp_call(struct ctl_qmp *qmp, const char *command, json_t *arguments, json_t **result,
		struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(qmp->timeout_ms);
	enum ctl_status status;
	json_t *message;

	message = json_pack("{s:s, s:I, s:o*}", "execute", command, "id", ++qmp->last_id,
			"arguments", arguments);
	status = ctl_stream_send_object(&qmp->stream, message, &limit, command, err);
	while (status == CTL_DONE) {
		status = ctl_stream_object(&qmp->stream, &message, &limit, command, err);
		if (status != CTL_DONE)
			break;
		if (json_object_get(message, "event") != NULL) {
			if (json_array_append_new(qmp->events, message) != 0)
				status = ctl_no_memory(err);
			continue;
		}
		if (json_integer_value(json_object_get(message, "id")) == qmp->last_id) {
			status = qmp_unpack(message, command, result, err);
			json_decref(message);
			break;
		}
		json_decref(message); /* late, to a command that we gave up */
	}
	return status;
}

enum ctl_status
ctl_qmp_event(struct ctl_qmp *qmp, const struct ctl_limit *limit, json_t **event,
		struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE;
	json_t *message;
	bool ready;

	*event = NULL;
	if (json_array_size(qmp->events) > 0) {
		*event = json_incref(json_array_get(qmp->events, 0));
		json_array_remove(qmp->events, 0);
		return CTL_DONE;
	}
	while (*event == NULL) {
		if (!ctl_stream_has_line(&qmp->stream)) {
			status = ctl_wait_fd(qmp->stream.in_fd, POLLIN, limit, &ready, err);
			if (status != CTL_DONE || !ready)
				return status;
		}
		status = ctl_stream_object(&qmp->stream, &message, limit, "event", err);
		if (status != CTL_DONE)
			return status;
		if (json_object_get(message, "event") != NULL)
			*event = message;
		else
			json_decref(message);
	}
	return CTL_DONE;
}

int
ctl_qmp_fd(const struct ctl_qmp *qmp)
{
	return qmp->stream.in_fd;
}
