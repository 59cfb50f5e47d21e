/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Port ends: virtual devices of any driver, the two ends of a pair of rings, and the emulated
 * guest (stock.c).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "avph_api.h"
#include "ports.h"

#define POOL_CACHE 256u

static uint16_t
end_eth_rx(struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	return rte_eth_rx_burst(end->port_id, queue, pkts, nb);
}

static uint16_t
end_eth_tx(struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	return rte_eth_tx_burst(end->port_id, queue, pkts, nb);
}

static uint16_t
end_stock_rx(struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	return stock_rx(end->stock, queue, pkts, nb);
}

static uint16_t
end_stock_tx(struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	return stock_tx(end->stock, queue, pkts, nb);
}

/* Ports that pass pointers: what one sends is what the other receives. */
static int
end_open_ring(struct end *end, enum side_id side, const char *name, const struct point *point)
{
	struct rte_ring *rings[NB_SIDES][MAX_QUEUES];
	char ring_name[RTE_RING_NAMESIZE];
	int port_id;

	for (uint32_t to = 0; to < NB_SIDES; to++) {
		for (uint32_t q = 0; q < point->nb_queues; q++) {
			snprintf(ring_name, sizeof(ring_name), "%s_%u_%u", name, to, q);
			rings[to][q] = rte_ring_lookup(ring_name);
			if (rings[to][q] == NULL)
				rings[to][q] = rte_ring_create(ring_name, point->nb_desc,
						SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (rings[to][q] == NULL)
				return -rte_errno;
		}
	}
	snprintf(end->name, sizeof(end->name), "%s_%u", name, side);
	port_id = rte_eth_from_rings(end->name, rings[side], point->nb_queues, rings[1 - side],
			point->nb_queues, SOCKET_ID_ANY);
	if (port_id < 0)
		return -rte_errno;
	end->port_id = (uint16_t)port_id;
	return 0;
}

static int
end_open_vdev(struct end *end, const char *spec)
{
	const char *args = strchr(spec, ',');
	const int size = args == NULL ? (int)strlen(spec) : (int)(args - spec);
	int ret;

	snprintf(end->name, sizeof(end->name), "%.*s", size, spec);
	ret = rte_eal_hotplug_add("vdev", end->name, args == NULL ? "" : args + 1);
	if (ret < 0)
		return ret;
	return rte_eth_dev_get_port_by_name(end->name, &end->port_id);
}

static int
end_make_pool(struct end *end, enum side_id side, const struct point *point)
{
	static unsigned int nb_pools;
	char name[RTE_MEMPOOL_NAMESIZE];

	if (side == SIDE_HOST && point->host_own_pool &&
			strncmp(end->name, "net_avp_host", strlen("net_avp_host")) == 0) {
		end->pool = rte_avp_host_mempool(end->port_id);
	} else {
		snprintf(name, sizeof(name), "bench%u", nb_pools++);
		end->pool = rte_pktmbuf_pool_create(name, point->nb_mbufs, POOL_CACHE, 0,
				(uint16_t)(RTE_PKTMBUF_HEADROOM + point->mbuf_room), SOCKET_ID_ANY);
	}
	return end->pool == NULL ? -rte_errno : 0;
}

/* What a packet in several mbufs takes, and tags, where the driver can. */
static void
end_offloads(struct end *end, const struct point *point, struct rte_eth_conf *conf, bool chains)
{
	struct rte_eth_dev_info info;
	uint64_t rx = chains ? RTE_ETH_RX_OFFLOAD_SCATTER : 0;
	uint64_t tx = chains ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0;

	if (point->vlan && point->vlan_offload) {
		rx |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		tx |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	}
	if (rte_eth_dev_info_get(end->port_id, &info) != 0)
		return;
	conf->rxmode.offloads = rx & info.rx_offload_capa;
	conf->txmode.offloads = tx & info.tx_offload_capa;
	end->strips_vlan = (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	end->inserts_vlan = (conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0;
}

static int
end_start(struct end *end, const struct point *point)
{
	const uint16_t nb_queues = (uint16_t)point->nb_queues;
	struct rte_eth_conf conf = {.rxmode.mtu = RTE_ETHER_MTU};
	uint16_t nb_rxd = (uint16_t)point->nb_desc;
	uint16_t nb_txd = nb_rxd;
	uint32_t largest = 0;
	int ret;

	for (uint32_t i = 0; i < point->nb_sizes; i++)
		largest = RTE_MAX(largest, point->sizes[i]);
	/* 1518 bytes are what a tagged packet of the usual MTU has */
	if (largest > RTE_ETHER_MAX_LEN)
		conf.rxmode.mtu = largest - RTE_ETHER_HDR_LEN;
	end_offloads(end, point, &conf, point->nb_segs > 1 || largest > point->mbuf_room);
	ret = rte_eth_dev_configure(end->port_id, nb_queues, nb_queues, &conf);
	if (ret == -EINVAL && largest > RTE_ETHER_MAX_LEN) {
		/* net_memif knows no MTU, but takes whatever its buffers have room for */
		conf.rxmode.mtu = RTE_ETHER_MTU;
		ret = rte_eth_dev_configure(end->port_id, nb_queues, nb_queues, &conf);
	}
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(end->port_id, &nb_rxd, &nb_txd);
	for (uint16_t q = 0; ret == 0 && q < nb_queues; q++) {
		ret = rte_eth_rx_queue_setup(
				end->port_id, q, nb_rxd, SOCKET_ID_ANY, NULL, end->pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(end->port_id, q, nb_txd, SOCKET_ID_ANY, NULL);
	}
	if (ret == 0)
		ret = rte_eth_dev_start(end->port_id);
	if (ret == 0)
		rte_eth_promiscuous_enable(end->port_id); /* most drivers know no addresses */
	return ret;
}

int
end_open(struct end *end, enum side_id side, const char *spec, const struct point *point)
{
	int ret;

	end->spec = spec;
	end->rx = end_eth_rx;
	end->tx = end_eth_tx;
	if (strncmp(spec, "stock:", 6) == 0) {
		end->rx = end_stock_rx;
		end->tx = end_stock_tx;
		ret = end_make_pool(end, side, point);
		if (ret == 0)
			end->stock = stock_open(spec + 6, end->pool, point->nb_queues);
		if (ret == 0 && end->stock == NULL)
			ret = -EIO;
	} else {
		if (strncmp(spec, "ring:", 5) == 0)
			ret = end_open_ring(end, side, spec + 5, point);
		else
			ret = end_open_vdev(end, spec);
		if (ret == 0)
			ret = end_make_pool(end, side, point);
		if (ret == 0)
			ret = end_start(end, point);
	}
	if (ret < 0)
		fprintf(stderr, "bench_ports: %s: %s\n", spec, strerror(-ret));
	return ret;
}

bool
end_is_up(const struct end *end)
{
	struct rte_eth_link link = {0};

	if (end->stock != NULL)
		return true;
	return rte_eth_link_get_nowait(end->port_id, &link) == 0 &&
			link.link_status == RTE_ETH_LINK_UP;
}
