/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control methods fdb.show and fdb.flush.
 */

#include <stdio.h>

#include <rte_ether.h>

#include "ctl.h"
#include "fdb.h"
#include "port.h"

struct fdb_params {
	struct params_given given;
	char port[PARAMS_NAME_SIZE];
	char network[PARAMS_NAME_SIZE];
};

static const struct param table[] = {
		PARAM("port", PARAM_NAME, struct fdb_params, port),
		PARAM("network", PARAM_NAME, struct fdb_params, network),
		{0},
};

/** What a show or flush is about. */
struct selection {
	const struct sw *sw;
	uint16_t port; /* or FDB_ANY */
	uint16_t vid;  /* or FDB_ANY */
	json_t *result;
};

static int
read_selection(struct sw *sw, const json_t *params, struct selection *sel, struct avp_err *err)
{
	struct fdb_params p;
	int rc = params_read(table, params, "fdb", &p, err);

	if (rc != 0)
		return rc;
	*sel = (struct selection){.sw = sw, .port = FDB_ANY, .vid = FDB_ANY};
	if (PARAMS_GIVEN(&p, 0)) {
		const struct port *port = port_find(sw, p.port, err);

		if (port == NULL)
			return -err->code;
		sel->port = port->id;
	}
	if (PARAMS_GIVEN(&p, 1)) {
		sel->vid = network_find(&sw->networks, p.network, err);
		if (sel->vid == VLAN_NONE)
			return -err->code;
	}
	return 0;
}

static void
show_entry(const struct fdb_info *info, void *ctx)
{
	struct selection *sel = ctx;
	const struct port *port = info->port < RTE_MAX_ETHPORTS ? sel->sw->ports[info->port] : NULL;
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	if ((sel->port != FDB_ANY && sel->port != info->port) ||
			(sel->vid != FDB_ANY && sel->vid != info->vid) || port == NULL)
		return;
	rte_ether_format_addr(mac, sizeof(mac), (const struct rte_ether_addr *)info->mac);
	for (char *c = mac; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'F')
			*c |= 0x20;
	json_array_append_new(sel->result,
			json_pack("{s:s, s:s?, s:i, s:s, s:s, s:i}", "mac", mac, "network",
					network_name(&sel->sw->networks, info->vid), "vlan",
					(int)info->vid, "port", port->name, "type",
					info->is_kept                     ? "kept"
							: info->is_static ? "static"
									  : "dynamic",
					"age_s", info->is_static ? 0 : (int)info->age_s));
}

json_t *
ctl_fdb_show(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct selection sel;

	if (read_selection(sw, params, &sel, err) != 0)
		return NULL;
	sel.result = json_array();
	fdb_walk(sw->fdb, show_entry, &sel);
	return sel.result;
}

json_t *
ctl_fdb_flush(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct selection sel;

	if (read_selection(sw, params, &sel, err) != 0)
		return NULL;
	return json_pack("{s:i}", "flushed", (int)fdb_flush(sw->fdb, sel.port, sel.vid));
}
