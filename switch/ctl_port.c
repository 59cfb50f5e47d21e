/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control methods port.add, port.del, port.set, port.show, and stats.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "address.h"
#include "capture.h"
#include "ctl.h"
#include "hold.h"
#include "port.h"

struct name_params {
	struct params_given given;
	char name[PARAMS_NAME_SIZE];
};

static const struct param only_name[] = {
		PARAM("name", PARAM_NAME, struct name_params, name, .required = true),
		{0},
};

static const struct param maybe_name[] = {
		PARAM("name", PARAM_NAME, struct name_params, name),
		{0},
};

static json_t *
network_or_null(const struct sw *sw, uint16_t vid)
{
	const char *name = vid != VLAN_NONE ? network_name(&sw->networks, vid) : NULL;

	return name != NULL ? json_string(name) : json_null();
}

static json_t *
show_vlan(const struct sw *sw, const struct vlan_rules *vlan)
{
	bool is_trunk = vlan->mode == VLAN_MODE_TRUNK;
	json_t *trunks = json_array();

	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		if (vlan_is_tagged_member(vlan, vid))
			json_array_append_new(trunks, network_or_null(sw, vid));
	return json_pack("{s:s, s:o, s:o, s:o}", "mode", is_trunk ? "trunk" : "access", "network",
			network_or_null(sw, is_trunk ? VLAN_NONE : vlan->untagged), "native",
			network_or_null(sw, is_trunk ? vlan->untagged : VLAN_NONE), "trunks",
			trunks);
}

static json_t *
show_hold(const struct sw *sw, const struct port *port)
{
	struct hold_sum sum;

	if (port->hold == NULL)
		return json_null();
	hold_sum(port->hold, &sum);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "packets", (json_int_t)sum.packets,
			"bytes", (json_int_t)sum.bytes, "oldest_ms", (json_int_t)sum.oldest_ms,
			"dropped", (json_int_t)sum.dropped, "limit_bytes",
			(json_int_t)sw->conf.hold_bytes, "limit_ms", (json_int_t)sw->conf.hold_ms);
}

static json_t *
show_addresses(const struct port *port)
{
	struct address list[ADDRESS_MAX];
	unsigned int nb = address_list(port->state->addresses, list);
	json_t *show = json_array();

	for (unsigned int i = 0; i < nb; i++) {
		char ip[INET6_ADDRSTRLEN] = "";
		char mac[18];

		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", list[i].mac[0],
				list[i].mac[1], list[i].mac[2], list[i].mac[3], list[i].mac[4],
				list[i].mac[5]);
		if (list[i].family != ADDRESS_NONE)
			inet_ntop(list[i].family == ADDRESS_IPV4 ? AF_INET : AF_INET6, list[i].ip,
					ip, sizeof(ip));
		json_array_append_new(show,
				json_pack("{s:i, s:s, s:s?}", "vlan", (int)list[i].vid, "mac", mac,
						"address", ip[0] != '\0' ? ip : NULL));
	}
	return show;
}

static json_t *
show_port(const struct sw *sw, const struct port *port)
{
	static const char *const types[] = {
			[PORT_TYPE_AVP] = "avp",
			[PORT_TYPE_VDEV] = "vdev",
			[PORT_TYPE_PCI] = "pci",
	};
	struct capture *capture = atomic_load_explicit(&port->state->capture, memory_order_relaxed);
	char mac[18];
	json_t *show;
	json_t *vlan = show_vlan(sw, &port->rules.vlan);

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", port->mac[0], port->mac[1],
			port->mac[2], port->mac[3], port->mac[4], port->mac[5]);
	show = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:i, s:i, s:i, s:s?}",
			"name", port->name, "type", types[port->type], "id", (int)port->id,
			"device", port->device, "driver", port->driver, "link",
			port->link_up ? "up" : "down", "mac", mac, "mtu", (int)port->mtu, "numa",
			rte_eth_dev_socket_id(port->id), "check_source_mac",
			(int)port->rules.check_source_mac, "fdb_max", (int)port->rules.fdb_max,
			"rx_queues", (int)port->nb_rxq, "tx_queues", (int)port->nb_txq, "capture",
			capture != NULL ? capture_file(capture) : NULL);
	json_object_update(show, vlan);
	json_decref(vlan);
	if (port->type == PORT_TYPE_AVP) {
		json_object_set_new(show, "migration", json_string(port_move_name(port)));
		json_object_set_new(show, "hold", show_hold(sw, port));
		json_object_set_new(show, "addresses", show_addresses(port));
		json_object_set_new(show, "avp", port_avp_show(port));
	}
	return show;
}

json_t *
ctl_port_add(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct port_params p;
	struct port *port;

	if (port_params_read(params, true, &p, err) != 0 || port_add(sw, &p, &port, err) != 0)
		return NULL;
	return show_port(sw, port);
}

json_t *
ctl_port_set(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct port_params p;
	struct port *port;

	if (port_params_read(params, false, &p, err) != 0)
		return NULL;
	port = port_find(sw, p.name, err);
	if (port == NULL || port_set(sw, port, &p, err) != 0)
		return NULL;
	return show_port(sw, port);
}

json_t *
ctl_port_del(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct name_params p;
	struct port *port;

	if (params_read(only_name, params, "port", &p, err) != 0)
		return NULL;
	port = port_find(sw, p.name, err);
	if (port == NULL || port_move_check_del(port, err) != 0)
		return NULL;
	port_del(sw, port);
	return json_object();
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct port *const *)a)->name, (*(struct port *const *)b)->name);
}

/* Make an array with @show of one port, or of all by name. */
static json_t *
for_ports(struct sw *sw, const json_t *params, const char *object,
		json_t *(*show)(const struct sw *sw, const struct port *port), struct avp_err *err)
{
	const struct port *ports[RTE_MAX_ETHPORTS];
	unsigned int nb = 0;
	struct name_params p;
	json_t *result;

	if (params_read(maybe_name, params, object, &p, err) != 0)
		return NULL;
	if (PARAMS_GIVEN(&p, 0)) {
		ports[nb++] = port_find(sw, p.name, err);
		if (ports[0] == NULL)
			return NULL;
	} else {
		for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
			if (sw->ports[id] != NULL)
				ports[nb++] = sw->ports[id];
		qsort(ports, nb, sizeof(ports[0]), by_name);
	}
	result = json_array();
	for (unsigned int i = 0; i < nb; i++)
		json_array_append_new(result, show(sw, ports[i]));
	return result;
}

json_t *
ctl_port_show(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	return for_ports(sw, params, "port", show_port, err);
}

static json_t *
show_xstats(uint16_t id)
{
	json_t *show = json_object();
	int nb = rte_eth_xstats_get(id, NULL, 0);
	struct rte_eth_xstat *values = nb > 0 ? calloc(nb, sizeof(*values)) : NULL;
	struct rte_eth_xstat_name *names = nb > 0 ? calloc(nb, sizeof(*names)) : NULL;

	if (values != NULL && names != NULL && rte_eth_xstats_get(id, values, nb) == nb &&
			rte_eth_xstats_get_names(id, names, nb) == nb)
		for (int i = 0; i < nb; i++)
			json_object_set_new(show, names[values[i].id].name,
					json_integer(values[i].value));
	free(values);
	free(names);
	return show;
}

static json_t *
show_stats(const struct sw *sw, const struct port *port)
{
	json_t *drops = json_object();
	struct stats_sum sum;

	stats_add_up(port->state->stats, sw->conf.workers, &sum);
	for (unsigned int i = 0; i < STATS_NB_DROPS; i++)
		json_object_set_new(drops, stats_drop_name(i), json_integer(sum.drops[i]));
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "name", port->name,
			"rx_packets", (json_int_t)sum.rx_packets, "rx_bytes",
			(json_int_t)sum.rx_bytes, "tx_packets", (json_int_t)sum.tx_packets,
			"tx_bytes", (json_int_t)sum.tx_bytes, "learn_refused",
			(json_int_t)sum.learn_refused, "drops", drops, "xstats",
			show_xstats(port->id));
}

json_t *
ctl_stats(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	return for_ports(sw, params, "stats", show_stats, err);
}
