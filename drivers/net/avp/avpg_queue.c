/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Queues of the guest driver: setup and release, which FIFOs belong to which, and their gates.
 *
 * A tx queue has the tx FIFO and the alloc FIFO of its number. The rx FIFOs in use may be more than
 * the rx queues, since the device can ask for a minimum: each rx queue has a contiguous share.
 */

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "avpg_port.h"

/* The longest that bursts may stay inside when their gates are shut. */
#define CLOSE_LIMIT_MS 500

int
avpg_rx_queue_setup(struct rte_eth_dev *dev, uint16_t queue_id, uint16_t nb_desc,
		unsigned int socket_id, const struct rte_eth_rxconf *conf __rte_unused,
		struct rte_mempool *pool)
{
	struct avpg_port *port = dev->data->dev_private;
	uint32_t room = rte_pktmbuf_data_room_size(pool);
	struct avpg_rxq *q;

	room = room > RTE_PKTMBUF_HEADROOM ? room - RTE_PKTMBUF_HEADROOM : 0;
	if (room < AVPG_MIN_MBUF_ROOM) {
		AVPG_LOG(ERR, "%s: rx queue %u: mempool %s: %u data bytes per mbuf: at least %u",
				port->name, queue_id, pool->name, room, AVPG_MIN_MBUF_ROOM);
		return -EINVAL;
	}
	avpg_rx_queue_release(dev, queue_id);
	q = rte_zmalloc_socket("avpg_rxq", sizeof(*q), RTE_CACHE_LINE_SIZE, (int)socket_id);
	if (q == NULL)
		return -ENOMEM;
	avp_gate_init(&q->gate);
	q->pool = pool;
	q->port = port;
	q->mbuf_room = room;
	q->port_id = dev->data->port_id;
	q->queue_id = queue_id;
	q->nb_desc = nb_desc;
	dev->data->rx_queues[queue_id] = q;
	pthread_mutex_lock(&port->ctl_lock);
	port->rxqs[queue_id] = q;
	pthread_mutex_unlock(&port->ctl_lock);
	return 0;
}

int
avpg_tx_queue_setup(struct rte_eth_dev *dev, uint16_t queue_id, uint16_t nb_desc,
		unsigned int socket_id, const struct rte_eth_txconf *conf __rte_unused)
{
	struct avpg_port *port = dev->data->dev_private;
	struct avpg_txq *q;

	avpg_tx_queue_release(dev, queue_id);
	q = rte_zmalloc_socket("avpg_txq", sizeof(*q), RTE_CACHE_LINE_SIZE, (int)socket_id);
	if (q == NULL)
		return -ENOMEM;
	avp_gate_init(&q->gate);
	q->port = port;
	q->port_id = dev->data->port_id;
	q->queue_id = queue_id;
	q->nb_desc = nb_desc;
	dev->data->tx_queues[queue_id] = q;
	pthread_mutex_lock(&port->ctl_lock);
	port->txqs[queue_id] = q;
	pthread_mutex_unlock(&port->ctl_lock);
	return 0;
}

void
avpg_rx_queue_release(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_port *port = dev->data->dev_private;

	pthread_mutex_lock(&port->ctl_lock);
	port->rxqs[queue_id] = NULL;
	pthread_mutex_unlock(&port->ctl_lock);
	rte_free(dev->data->rx_queues[queue_id]);
	dev->data->rx_queues[queue_id] = NULL;
}

void
avpg_tx_queue_release(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_port *port = dev->data->dev_private;

	pthread_mutex_lock(&port->ctl_lock);
	port->txqs[queue_id] = NULL;
	pthread_mutex_unlock(&port->ctl_lock);
	rte_free(dev->data->tx_queues[queue_id]);
	dev->data->tx_queues[queue_id] = NULL;
}

/* Entries that the queue's FIFOs have, or what was asked for while that is not known. */
static uint16_t
desc_count(uint32_t fifo_len, uint16_t asked)
{
	if (fifo_len == 0)
		return asked;
	return fifo_len > UINT16_MAX ? UINT16_MAX : (uint16_t)fifo_len;
}

void
avpg_rxq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_rxq_info *info)
{
	struct avpg_port *port = dev->data->dev_private;
	const struct avpg_rxq *q = port->rxqs[queue_id];

	if (q == NULL)
		return;
	info->mp = q->pool;
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
	info->scattered_rx = port->info.max_rx_size > q->mbuf_room;
	info->rx_buf_size = (uint16_t)RTE_MIN(q->mbuf_room, (uint32_t)UINT16_MAX);
	info->nb_desc = desc_count(q->fifos[0].rx.len, q->nb_desc);
}

void
avpg_txq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_txq_info *info)
{
	const struct avpg_port *port = dev->data->dev_private;
	const struct avpg_txq *q = port->txqs[queue_id];

	if (q == NULL)
		return;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
	info->nb_desc = desc_count(q->tx.len, q->nb_desc);
}

static int
fifo_open(const struct avpg_port *port, struct avp_fifo_end *end, const struct avpg_fifo_set *set,
		uint32_t i, bool producer, const char *what)
{
	int ret = avp_fifo_end_open(end, set->fifo[i], producer, set->max_len);

	if (ret != 0)
		AVPG_LOG(ERR, "%s: %s FIFO %u: length, entry size or an index makes no sense",
				port->name, what, i);
	return ret;
}

static int
rxq_reload(struct avpg_port *port, struct avpg_rxq *q)
{
	uint32_t nb_queues = port->nb_rx_queues;
	uint32_t nb_fifos = port->nb_rx_fifos;
	uint64_t offloads = port->dev->data->dev_conf.rxmode.offloads;

	q->mem = port->info.mem;
	q->max_rx_size = port->info.max_rx_size;
	memcpy(&q->mac, port->info.mac, sizeof(q->mac));
	q->strip_by_copy = (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0 &&
			(port->features & AVP_FEATURE_VLAN) == 0;
	q->first_fifo = (uint8_t)(q->queue_id * nb_fifos / nb_queues);
	q->nb_fifos = (uint8_t)((q->queue_id + 1) * nb_fifos / nb_queues - q->first_fifo);
	q->next_fifo = 0;
	if (port->info.max_rx_size > q->mbuf_room)
		port->dev->data->scattered_rx = 1;
	for (uint32_t i = 0; i < q->nb_fifos; i++) {
		struct avpg_rx_fifo *fifo = &q->fifos[i];
		int ret = fifo_open(
				port, &fifo->rx, &port->info.rx, q->first_fifo + i, false, "rx");

		if (ret == 0)
			ret = fifo_open(port, &fifo->free, &port->info.free, q->first_fifo + i,
					true, "free");
		if (ret != 0)
			return ret;
	}
	return 0;
}

static int
txq_reload(struct avpg_port *port, struct avpg_txq *q)
{
	int ret;

	q->mem = port->info.mem;
	q->max_pkt_size = RTE_MIN(AVP_MAX_SEGS * q->mem.buf_data_size, (uint32_t)AVP_MAX_PKT_SIZE);
	q->vlan_by_desc = (port->features & AVP_FEATURE_VLAN) != 0;
	ret = fifo_open(port, &q->tx, &port->info.tx, q->queue_id, true, "tx");
	if (ret != 0)
		return ret;
	return fifo_open(port, &q->alloc, &port->info.alloc, q->queue_id, false, "alloc");
}

int
avpg_queues_reload(struct avpg_port *port)
{
	int ret = 0;

	port->dev->data->scattered_rx = 0;
	for (uint32_t i = 0; i < port->nb_rx_queues && ret == 0; i++)
		if (port->rxqs[i] != NULL)
			ret = rxq_reload(port, port->rxqs[i]);
	for (uint32_t i = 0; i < port->nb_tx_queues && ret == 0; i++)
		if (port->txqs[i] != NULL)
			ret = txq_reload(port, port->txqs[i]);
	return ret;
}

/* All queues there may be, of both kinds. */
#define NB_GATES (2 * AVP_MAX_QUEUES)

/* The gate of queue @i, rx queues first, tx queues after them; NULL for one not set up. */
static struct avp_gate *
gate_at(const struct avpg_port *port, uint32_t i)
{
	if (i < AVP_MAX_QUEUES)
		return port->rxqs[i] == NULL ? NULL : &port->rxqs[i]->gate;
	i -= AVP_MAX_QUEUES;
	return port->txqs[i] == NULL ? NULL : &port->txqs[i]->gate;
}

void
avpg_queues_open(struct avpg_port *port)
{
	for (uint32_t i = 0; i < NB_GATES; i++) {
		struct avp_gate *gate = gate_at(port, i);

		if (gate != NULL)
			avp_gate_open(gate);
	}
}

int
avpg_queues_close(struct avpg_port *port)
{
	struct avp_gate *gates[NB_GATES];
	int ret;

	for (uint32_t i = 0; i < NB_GATES; i++)
		gates[i] = gate_at(port, i);
	ret = avp_gate_shut(gates, NB_GATES, CLOSE_LIMIT_MS);
	if (ret != 0)
		AVPG_LOG(WARNING, "%s: a burst is still under way after %u ms", port->name,
				CLOSE_LIMIT_MS);
	return ret;
}
