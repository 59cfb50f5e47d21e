/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Requests to methods, results to answers; and the method "version".
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_version.h>

#include "avp_log.h"
#include "ctl.h"

#define PROTOCOL_VERSION 1

static const struct method {
	const char *name;
	ctl_handler *handler;
} methods[] = {
		{"capture.show", ctl_capture_show},
		{"capture.start", ctl_capture_start},
		{"capture.stop", ctl_capture_stop},
		{"fdb.flush", ctl_fdb_flush},
		{"fdb.show", ctl_fdb_show},
		{"network.add", ctl_network_add},
		{"network.del", ctl_network_del},
		{"network.show", ctl_network_show},
		{"port.add", ctl_port_add},
		{"port.attach", ctl_port_attach},
		{"port.del", ctl_port_del},
		{"port.depart", ctl_port_depart},
		{"port.detach", ctl_port_detach},
		{"port.set", ctl_port_set},
		{"port.show", ctl_port_show},
		{"stats", ctl_stats},
		{"version", ctl_version},
};

json_t *
ctl_version(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	static const struct param table[] = {{0}};
	struct params_given given;

	if (params_read(table, params, "version", &given, err) != 0)
		return NULL;
	return json_pack("{s:s, s:s, s:i, s:i, s:i}", "version", AVP_VERSION, "dpdk", rte_version(),
			"protocol", PROTOCOL_VERSION, "pid", (int)getpid(), "workers",
			(int)sw->conf.workers);
}

static json_t *
call(struct sw *sw, struct ctl_client *client, const json_t *request, struct avp_err *err)
{
	const char *name = json_string_value(json_object_get(request, "method"));
	const json_t *params = json_object_get(request, "params");
	char shown[64];

	if (name == NULL) {
		avp_err_set(err, EINVAL, "request: method: must be a string");
		return NULL;
	}
	for (unsigned int i = 0; i < RTE_DIM(methods); i++) {
		if (strcmp(methods[i].name, name) != 0)
			continue;
		err->code = 0;
		return methods[i].handler(sw, client, params, err);
	}
	avp_err_set(err, ENOSYS, "%s: no such method",
			avp_log_escape(shown, sizeof(shown), name, strlen(name)));
	return NULL;
}

static json_t *
make_error(const struct avp_err *err)
{
	const char *code = strerrorname_np(err->code);
	json_t *error = json_pack(
			"{s:s, s:s}", "code", code != NULL ? code : "EIO", "message", err->msg);

	/* A message with bytes that are no UTF-8 cannot be sent as JSON. */
	return error != NULL ? error
			     : json_pack("{s:s, s:s}", "code", code != NULL ? code : "EIO",
					       "message", "see the log");
}

/* One line of an answer. */
static char *
make_line(json_t *answer)
{
	size_t size = json_dumpb(answer, NULL, 0, JSON_COMPACT);
	char *text = size > 0 ? malloc(size + 2) : NULL;

	if (text != NULL) {
		json_dumpb(answer, text, size, JSON_COMPACT);
		text[size] = '\n';
		text[size + 1] = '\0';
	}
	json_decref(answer);
	return text;
}

char *
ctl_make_answer(json_t *id, json_t *result)
{
	json_t *answer = json_object();

	json_object_set_new(answer, "id", id != NULL ? id : json_null());
	json_object_set_new(answer, "result", result);
	return make_line(answer);
}

char *
ctl_answer(struct sw *sw, struct ctl_client *client, const char *line, size_t len, json_t **id_out)
{
	struct avp_err err = {.code = EIO, .msg = "not enough memory for an answer"};
	json_error_t json_err;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &json_err);
	json_t *answer = NULL;
	json_t *result = NULL;
	json_t *id;

	if (request == NULL)
		avp_err_set(&err, EINVAL, "request: column %d: %s", json_err.column, json_err.text);
	else if (!json_is_object(request))
		avp_err_set(&err, EINVAL, "request: must be an object");
	else
		result = call(sw, client, request, &err);
	id = json_incref(json_object_get(request, "id"));
	json_decref(request);
	if (result != NULL)
		return ctl_make_answer(id, result);
	if (client != NULL && ctl_client_is_waiting(client)) {
		*id_out = id;
		return NULL;
	}
	answer = json_object();
	json_object_set_new(answer, "id", id != NULL ? id : json_null());
	json_object_set_new(answer, "error", make_error(&err));
	return make_line(answer);
}
