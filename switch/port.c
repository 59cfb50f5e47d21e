/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Ports: their life, and the views made of them.
 *
 * How it works: every change makes a new view of all ports and publishes it (lcore_publish() waits
 * until no worker uses the old one). Removing a port takes two steps: first a view that no longer
 * polls it, so that nothing more is learned from it; then its MACs are forgotten and a view
 * without it is published; only then is the device closed.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "address.h"
#include "fdb.h"
#include "hold.h"
#include "lcore.h"
#include "port.h"
#include "sw_log.h"

SW_LOG_TOPIC(port);

/* Messages per second on a port's link. */
#define LINK_LOG_BURST 4u

static void
fill_dp_port(const struct sw *sw, const struct port *port, struct dp_port *dp)
{
	*dp = (struct dp_port){
			.id = port->id,
			.domain = port->domain_id,
			.nb_txq = port->nb_txq,
			.shares_txq = port->nb_txq < sw->conf.workers,
			.guest_writable = port->type == PORT_TYPE_AVP,
			.check_source_mac = port->rules.check_source_mac,
			.tx_vlan_insert = (port->tx_offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0,
			.tx_multi_segs = (port->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0,
			.tx_by_dma = port->type == PORT_TYPE_PCI,
			.tx_max_len = port->tx_max_len,
			.fdb_max = port->rules.fdb_max,
			.mac = fdb_mac(port->mac),
			.tx_pool = port_avp_mempool(port),
			.vlan = port->rules.vlan,
			.state = port->state,
			.hold = port->hold,
	};
}

/* Spread the rx queues over the workers, the next to whoever has fewest. */
static void
share_out(const struct sw *sw, struct dp_view *view, const struct dp_port *dp, uint16_t nb_rxq)
{
	for (uint16_t q = 0; q < nb_rxq; q++) {
		struct dp_share *least = &view->shares[0];

		for (unsigned int w = 1; w < sw->conf.workers; w++)
			if (view->shares[w].nb_rxqs < least->nb_rxqs)
				least = &view->shares[w];
		least->rxqs[least->nb_rxqs++] = (struct dp_rxq){.port = dp, .queue = q};
	}
}

static void
add_hold(struct dp_view *view, const struct dp_port *dp)
{
	view->has_work = true;
	view->holds[view->nb_holds++] = dp;
}

/* While the port is still there, its packets come by it. */
static void
add_departed(const struct sw *sw, struct dp_view *view)
{
	for (unsigned int i = 0; i < DP_MAX_DEPARTED; i++) {
		const struct departed *departed = sw->departed[i];

		if (departed == NULL)
			continue;
		view->by_id[departed->dp.id] = view->by_id[departed->port_id];
		if (sw->ports[departed->port_id] != NULL &&
				sw->ports[departed->port_id]->hold == departed->dp.hold)
			continue;
		view->departed[i] = departed->dp;
		view->by_id[departed->dp.id] = &view->departed[i];
		add_hold(view, &view->departed[i]);
	}
}

/* Make a view of all ports and let the workers use it. @unpolled: a port on its way out. */
static int
publish(struct sw *sw, const struct port *unpolled, struct avp_err *err)
{
	struct dp_view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return avp_err_set(err, ENOMEM, "not enough memory for %zu bytes", sizeof(*view));
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		struct dp_port *dp = &view->ports[view->nb_ports];
		const struct port *port = sw->ports[id];

		if (port == NULL)
			continue;
		fill_dp_port(sw, port, dp);
		view->by_id[id] = dp;
		view->nb_ports++;
		if (port != unpolled)
			share_out(sw, view, dp, port->nb_rxq);
		if (dp->hold != NULL)
			add_hold(view, dp);
		view->has_work |= port->move.announce_us != 0;
	}
	add_departed(sw, view);
	free(lcore_publish(sw->lcores, view));
	return 0;
}

int
port_publish(struct sw *sw, struct avp_err *err)
{
	return publish(sw, NULL, err);
}

static bool
is_member(const struct vlan_rules *rules, uint16_t vid)
{
	return rules != NULL && vlan_is_member(rules, vid);
}

/* Remove the static entries for VLANs that are in @old and not in @kept (each may be NULL). */
static void
del_static(struct sw *sw, const struct port *port, const struct vlan_rules *old,
		const struct vlan_rules *kept)
{
	if (port->type != PORT_TYPE_AVP)
		return;
	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		if (is_member(old, vid) && !is_member(kept, vid))
			fdb_del_static(sw->fdb, fdb_key(fdb_mac(port->mac), vid), port->id);
}

/* Add static entries for VLANs that are in @rules and not in @old. All or none. */
static int
add_static(struct sw *sw, const struct port *port, const struct vlan_rules *rules,
		const struct vlan_rules *old, struct avp_err *err)
{
	if (port->type != PORT_TYPE_AVP)
		return 0;
	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++) {
		int rc;

		if (!is_member(rules, vid) || is_member(old, vid))
			continue;
		rc = fdb_add_static(sw->fdb, fdb_key(fdb_mac(port->mac), vid), port->id);
		if (rc == 0)
			continue;
		del_static(sw, port, rules, old);
		return rc == -EEXIST
				? avp_err_set(err, EEXIST,
						  "%s: mac=" RTE_ETHER_ADDR_PRT_FMT
						  ": another port of network %s has it",
						  port->name,
						  RTE_ETHER_ADDR_BYTES(
								  (const struct rte_ether_addr *)
										  port->mac),
						  network_name(&sw->networks, vid))
				: avp_err_set(err, -rc, "%s: fdb_size=%u: the FDB is full",
						  port->name, (unsigned int)sw->conf.fdb_size);
	}
	return 0;
}

int
port_add_static(struct sw *sw, struct port *port, struct avp_err *err)
{
	int rc = add_static(sw, port, &port->rules.vlan, NULL, err);

	port->has_static = rc == 0;
	return rc;
}

void
port_del_static(struct sw *sw, struct port *port)
{
	del_static(sw, port, &port->rules.vlan, NULL);
	port->has_static = false;
}

struct port *
port_find(const struct sw *sw, const char *name, struct avp_err *err)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL && strcmp(sw->ports[id]->name, name) == 0)
			return sw->ports[id];
	avp_err_set(err, ENOENT, "%s: no such port", name);
	return NULL;
}

bool
port_uses_vlan(const struct port *port, uint16_t vid)
{
	return vlan_is_member(&port->rules.vlan, vid);
}

/* The number of a domain: that of a port that is in it, or a free one. */
static uint16_t
find_domain(const struct sw *sw, const char *domain)
{
	bool used[RTE_MAX_ETHPORTS + 2] = {false};
	uint16_t free_id = 1;

	if (domain[0] == '\0')
		return 0;
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		const struct port *port = sw->ports[id];

		if (port == NULL)
			continue;
		if (strcmp(port->domain, domain) == 0)
			return port->domain_id;
		used[port->domain_id] = true;
	}
	while (used[free_id])
		free_id++;
	return free_id;
}

void
port_state_free(struct dp_state *state)
{
	if (state != NULL)
		address_table_destroy(state->addresses);
	rte_free(state);
}

static void
port_free(struct port *port)
{
	port_state_free(port->state);
	free(port);
}

static struct port *
port_new(const struct sw *sw, const struct port_params *params)
{
	struct port *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return NULL;
	memcpy(port->name, params->name, sizeof(port->name));
	memcpy(port->domain, params->domain, sizeof(port->domain));
	port->domain_id = find_domain(sw, port->domain);
	port->type = strcmp(params->type, "avp") == 0      ? PORT_TYPE_AVP
			: strcmp(params->type, "pci") == 0 ? PORT_TYPE_PCI
							   : PORT_TYPE_VDEV;
	memcpy(port->device, params->device, sizeof(params->device));
	port->link_limit.burst = LINK_LOG_BURST;
	port->state = rte_zmalloc("port", sizeof(*port->state), RTE_CACHE_LINE_SIZE);
	if (port->state == NULL) {
		port_free(port);
		return NULL;
	}
	for (unsigned int i = 0; i < DP_MAX_QUEUES; i++)
		rte_spinlock_init(&port->state->tx_locks[i]);
	if (port->type != PORT_TYPE_AVP)
		return port;
	port->state->addresses = address_table_create();
	if (port->state->addresses == NULL) {
		port_free(port);
		return NULL;
	}
	return port;
}

/* Let the workers see an opened port. */
static int
port_enter(struct sw *sw, struct port *port, bool is_incoming, struct avp_err *err)
{
	int rc = is_incoming ? port_move_incoming(sw, port, err) : port_add_static(sw, port, err);

	if (rc != 0)
		return rc;
	sw->ports[port->id] = port;
	port->link_up = port_ethdev_has_link(port);
	atomic_store_explicit(&port->state->link_up, port->link_up && port->hold == NULL,
			memory_order_relaxed);
	rc = publish(sw, NULL, err);
	if (rc != 0) {
		sw->ports[port->id] = NULL;
		port_del_static(sw, port);
		hold_destroy(port->hold);
	}
	return rc;
}

int
port_add(struct sw *sw, const struct port_params *params, struct port **port_out,
		struct avp_err *err)
{
	bool is_avp = strcmp(params->type, "avp") == 0;
	struct port_rules rules;
	struct port *port;
	int rc;

	if (port_find(sw, params->name, NULL) != NULL)
		return avp_err_set(err, EEXIST, "%s: there is a port of this name", params->name);
	rc = port_rules_make(sw, params, NULL, is_avp, &rules, err);
	if (rc != 0)
		return rc;
	port = port_new(sw, params);
	if (port == NULL)
		return avp_err_set(err, ENOMEM, "%s: not enough memory", params->name);
	port->rules = rules;
	if (is_avp)
		rc = port_avp_device(sw, port, params, err);
	if (rc != 0)
		goto err_free;
	rc = port_ethdev_open(sw, port, params, err);
	if (rc != 0)
		goto err_free;
	rc = port_enter(sw, port, params->incoming, err);
	if (rc != 0)
		goto err_close;
	SW_LOG(NOTICE, "%s: added: %s", port->name, port->device);
	if (port_out != NULL)
		*port_out = port;
	return 0;

err_close:
	port_ethdev_close(port);
err_free:
	port_free(port);
	return rc;
}

int
port_set(struct sw *sw, struct port *port, const struct port_params *params, struct avp_err *err)
{
	struct port_rules old = port->rules;
	struct port_rules rules;
	int rc = port_rules_make(sw, params, &old, port->type == PORT_TYPE_AVP, &rules, err);

	if (rc != 0)
		return rc;
	if (port->has_static)
		rc = add_static(sw, port, &rules.vlan, &old.vlan, err);
	if (rc != 0)
		return rc;
	port->rules = rules;
	rc = publish(sw, NULL, err);
	if (rc != 0) {
		port->rules = old;
		del_static(sw, port, &rules.vlan, &old.vlan);
		return rc;
	}
	del_static(sw, port, &old.vlan, &rules.vlan);
	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		if (is_member(&old.vlan, vid) && !is_member(&rules.vlan, vid))
			fdb_flush(sw->fdb, port->id, vid);
	SW_LOG(INFO, "%s: changed", port->name);
	return 0;
}

void
port_del(struct sw *sw, struct port *port)
{
	struct departed *departed;
	struct avp_err err;

	port_capture_stop(sw, port, NULL);
	port_move_fini(port);
	departed = departed_create(sw, port);
	while (publish(sw, port, &err) != 0)
		SW_LOG(ERR, "%s: waiting to delete: %s", port->name, err.msg);
	if (departed != NULL)
		fdb_move_kept(sw->fdb, port->id, departed->dp.id);
	fdb_del_kept(sw->fdb, port->id);
	fdb_flush(sw->fdb, port->id, FDB_ANY);
	port_del_static(sw, port);
	sw->ports[port->id] = NULL;
	while (publish(sw, NULL, &err) != 0)
		SW_LOG(ERR, "%s: waiting to delete: %s", port->name, err.msg);
	port_ethdev_close(port);
	SW_LOG(NOTICE, "%s: deleted", port->name);
	if (departed != NULL)
		port->state = NULL;
	else
		hold_destroy(port->hold);
	port_free(port);
}

void
port_del_all(struct sw *sw)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL)
			port_del(sw, sw->ports[id]);
	departed_end_all(sw);
	if (sw->lcores != NULL)
		free(lcore_publish(sw->lcores, NULL));
}

static void
log_link(struct port *port, bool up)
{
	struct avp_log_limit *limit = &port->link_limit;

	if (!avp_log_allowed(limit))
		return;
	if (limit->suppressed > 0)
		SW_LOG(NOTICE, "%s: link changed %lu times more", port->name,
				(unsigned long)limit->suppressed);
	limit->suppressed = 0;
	SW_LOG(NOTICE, "%s: link %s", port->name, up ? "up" : "down");
}

void
port_poll_links(struct sw *sw)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		struct port *port = sw->ports[id];
		bool up;

		if (port == NULL)
			continue;
		up = port_ethdev_has_link(port);
		if (port->hold == NULL)
			atomic_store_explicit(&port->state->link_up, up, memory_order_relaxed);
		if (port->link_up == up)
			continue;
		port->link_up = up;
		log_link(port, up);
		if (port->hold != NULL)
			port_move_wake(sw);
		if (!up)
			fdb_flush(sw->fdb, id, FDB_ANY);
	}
}
