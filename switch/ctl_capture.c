/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control methods capture.start, capture.stop, capture.show.
 */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "capture.h"
#include "ctl.h"
#include "port.h"

struct capture_params {
	struct params_given given;
	char port[PARAMS_NAME_SIZE];
	char file[PARAMS_TEXT_SIZE];
	uint64_t limit;
	uint64_t snaplen;
};

_Static_assert(PARAMS_TEXT_SIZE <= CAPTURE_FILE_SIZE, "a path fits");

static const struct param start_table[] = {
		PARAM("port", PARAM_NAME, struct capture_params, port, .required = true),
		PARAM("file", PARAM_PATH, struct capture_params, file, .required = true),
		PARAM("limit", PARAM_UINT, struct capture_params, limit, .min = 1,
				.max = INT64_MAX),
		PARAM("snaplen", PARAM_UINT, struct capture_params, snaplen,
				.min = CAPTURE_SNAPLEN_MIN, .max = CAPTURE_SNAPLEN_MAX),
		{0},
};

static const struct param stop_table[] = {
		PARAM("port", PARAM_NAME, struct capture_params, port, .required = true),
		{0},
};

static const struct param show_table[] = {{0}};

/** Long enough for every packet that AVP can carry. */
#define DEFAULT_SNAPLEN 9300u

json_t *
ctl_capture_start(
		struct sw *sw, struct ctl_client *client, const json_t *params, struct avp_err *err)
{
	struct capture_params p = {.snaplen = DEFAULT_SNAPLEN};
	struct capture_conf conf = {0};
	struct port *port;

	if (params_read(start_table, params, "capture", &p, err) != 0)
		return NULL;
	port = port_find(sw, p.port, err);
	if (port == NULL)
		return NULL;
	conf.file = p.file;
	conf.limit = p.limit;
	conf.snaplen = p.snaplen;
	if (port_capture_start(sw, port, &conf, client, err) != 0)
		return NULL;
	return json_pack("{s:s}", "file", p.file);
}

json_t *
ctl_capture_stop(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct capture_params p = {0};
	struct capture_status status;
	struct port *port;

	if (params_read(stop_table, params, "capture", &p, err) != 0)
		return NULL;
	port = port_find(sw, p.port, err);
	if (port == NULL)
		return NULL;
	if (port_capture_stop(sw, port, &status) != 0) {
		avp_err_set(err, ENOENT, "%s: is not being captured", p.port);
		return NULL;
	}
	if (status.error != 0) {
		avp_err_set(err, EIO,
				"%s: the file could not be written: %s: %lu packets are in it",
				p.port, strerror(status.error), (unsigned long)status.packets);
		return NULL;
	}
	return json_pack("{s:I, s:I}", "packets", (json_int_t)status.packets, "lost",
			(json_int_t)status.lost);
}

json_t *
ctl_capture_show(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct capture_params p = {0};
	json_t *result;

	if (params_read(show_table, params, "capture", &p, err) != 0)
		return NULL;
	result = json_array();
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		const struct port *port = sw->ports[id];
		struct capture_status status;
		struct capture *capture;

		if (port == NULL)
			continue;
		capture = atomic_load_explicit(&port->state->capture, memory_order_relaxed);
		if (capture == NULL)
			continue;
		capture_status(capture, &status);
		json_array_append_new(result,
				json_pack("{s:s, s:s, s:I, s:I, s:b}", "port", port->name, "file",
						capture_file(capture), "packets",
						(json_int_t)status.packets, "lost",
						(json_int_t)status.lost, "running",
						(int)status.running));
	}
	return result;
}
