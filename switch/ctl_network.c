/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control methods network.add, network.del, network.show.
 */

#include <errno.h>

#include <rte_common.h>

#include "ctl.h"
#include "port.h"

struct network_params {
	struct params_given given;
	char name[PARAMS_NAME_SIZE];
	uint64_t vlan;
};

static const struct param name_and_vlan[] = {
		PARAM("name", PARAM_NAME, struct network_params, name, .required = true),
		PARAM("vlan", PARAM_UINT, struct network_params, vlan, .min = 1, .max = VLAN_ID_MAX,
				.required = true),
		{0},
};

static const struct param only_name[] = {
		PARAM("name", PARAM_NAME, struct network_params, name, .required = true),
		{0},
};

static const struct param maybe_name[] = {
		PARAM("name", PARAM_NAME, struct network_params, name),
		{0},
};

json_t *
ctl_network_add(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct network_params p;

	if (params_read(name_and_vlan, params,
			    name != NULL && params_is_name(name) ? name : "network", &p,
			    err) != 0 ||
			network_add(&sw->networks, p.name, p.vlan, err) != 0)
		return NULL;
	return json_object();
}

json_t *
ctl_network_del(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct network_params p;
	uint16_t vid;

	if (params_read(only_name, params, "network", &p, err) != 0)
		return NULL;
	vid = network_find(&sw->networks, p.name, err);
	if (vid == VLAN_NONE)
		return NULL;
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		const struct port *port = sw->ports[id];

		if (port != NULL && port_uses_vlan(port, vid)) {
			avp_err_set(err, EBUSY, "%s: port %s uses it", p.name, port->name);
			return NULL;
		}
	}
	network_del(&sw->networks, vid);
	return json_object();
}

static json_t *
show_network(const struct sw *sw, uint16_t vid)
{
	json_t *ports = json_array();

	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL && port_uses_vlan(sw->ports[id], vid))
			json_array_append_new(ports, json_string(sw->ports[id]->name));
	return json_pack("{s:s, s:i, s:o}", "name", network_name(&sw->networks, vid), "vlan",
			(int)vid, "ports", ports);
}

json_t *
ctl_network_show(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct network_params p;
	uint16_t only = VLAN_NONE;
	json_t *result;

	if (params_read(maybe_name, params, "network", &p, err) != 0)
		return NULL;
	if (PARAMS_GIVEN(&p, 0)) {
		only = network_find(&sw->networks, p.name, err);
		if (only == VLAN_NONE)
			return NULL;
	}
	result = json_array();
	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		if (network_name(&sw->networks, vid) != NULL && (only == VLAN_NONE || only == vid))
			json_array_append_new(result, show_network(sw, vid));
	return result;
}
