/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What an application can learn of a guest port: limits, queues, how full they are, what to wait
 * for, and a dump for people.
 *
 * Descriptors are entries of FIFOs, and the length of those is the host's choice. A number of tx
 * descriptors below that is kept to; the host fills an rx FIFO as far as it goes.
 *
 * Onlookers are not in a gate: they read FIFO indices and change nothing. BAR 2 is mapped for as
 * long as there is a port, so the worst that they can get from a FIFO that is being made anew is a
 * number that is not true any more.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_power_intrinsics.h>

#include "avpg_port.h"

#define RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_SCATTER)
#define TX_OFFLOADS (RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)

static uint16_t
to_u16(uint32_t value)
{
	return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

/* The least of what the device has and what the user wants. */
static uint16_t
queue_limit(const struct avpg_port *port, uint8_t device_max)
{
	uint32_t wanted = port->max_queues;

	return (uint16_t)(wanted == 0 ? device_max : RTE_MIN(wanted, (uint32_t)device_max));
}

static struct rte_eth_desc_lim
desc_limits(const struct avpg_fifo_set *set)
{
	return (struct rte_eth_desc_lim){
			.nb_max = to_u16(set->len),
			.nb_min = 1,
			.nb_align = 1,
			.nb_seg_max = UINT16_MAX,
			.nb_mtu_seg_max = UINT16_MAX,
	};
}

int
avpg_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	struct avpg_port *port = dev->data->dev_private;

	/* not under ctl_lock: of the fields read here an attach changes none to one that is wrong
	 */
	info->max_rx_queues = queue_limit(port, port->info.max_rx_queues);
	info->max_tx_queues = queue_limit(port, port->info.max_tx_queues);
	info->max_mac_addrs = 1;
	info->min_rx_bufsize = AVPG_MIN_MBUF_ROOM;
	info->max_rx_pktlen = port->info.max_rx_size;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = avpg_port_max_mtu(port);
	info->err_handle_mode = RTE_ETH_ERROR_HANDLE_MODE_PROACTIVE;
	info->rx_offload_capa = RX_OFFLOADS;
	info->tx_offload_capa = TX_OFFLOADS;
	info->rx_desc_lim = desc_limits(&port->info.rx);
	info->tx_desc_lim = desc_limits(&port->info.tx);
	info->default_rxportconf.burst_size = AVPG_BURST;
	info->default_txportconf.burst_size = AVPG_BURST;
	info->default_rxportconf.ring_size = info->rx_desc_lim.nb_max;
	info->default_txportconf.ring_size = info->tx_desc_lim.nb_max;
	info->default_rxportconf.nb_queues = 1;
	info->default_txportconf.nb_queues = 1;
	return 0;
}

int
avpg_fw_version_get(struct rte_eth_dev *dev, char *version, size_t size)
{
	const struct avpg_port *port = dev->data->dev_private;
	uint32_t number = port->info.version;
	int len = snprintf(
			version, size, "%u.%u.%u", number >> 16, number >> 8 & 0xff, number & 0xff);

	if (len < 0)
		return -EINVAL;
	/* as ethdev wants it: the size that it takes, when there is less */
	return (size_t)len < size ? 0 : len + 1;
}

/* FIFOs of an rx queue; it may not have taken them up yet. */
static uint8_t
rxq_nb_fifos(const struct avpg_rxq *q, uint8_t *first)
{
	return q->port->nb_rx_queues > 0 ? avpg_rxq_share(q->port, q->queue_id, first) : 0;
}

void
avpg_rxq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_rxq_info *info)
{
	const struct avpg_port *port = dev->data->dev_private;
	const struct avpg_rxq *q = dev->data->rx_queues[queue_id];
	uint32_t nb_desc = 0;
	uint8_t first, nb;

	nb = rxq_nb_fifos(q, &first);
	for (uint8_t i = 0; i < nb; i++)
		nb_desc += avpg_rx_fifo_len(&q->fifos[i]) != 0 ? avpg_rx_fifo_len(&q->fifos[i])
							       : port->info.rx.len;
	info->mp = q->pool;
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
	info->conf.rx_deferred_start = q->deferred;
	info->scattered_rx = port->info.max_rx_size > q->mbuf_room;
	info->rx_buf_size = to_u16(q->mbuf_room);
	info->nb_desc = to_u16(nb_desc);
}

/* Packets that a tx queue lets wait for the host. */
static uint32_t
txq_capacity(const struct avpg_txq *q)
{
	return avpg_tx_fifo_capacity(q) - q->spare;
}

void
avpg_txq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_txq_info *info)
{
	const struct avpg_port *port = dev->data->dev_private;
	const struct avpg_txq *q = dev->data->tx_queues[queue_id];
	uint32_t len = q->tx.len != 0 ? q->tx.len : port->info.tx.len;

	if (q->ctx != NULL)
		len = q->ctx->len;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
	info->conf.tx_deferred_start = q->deferred;
	info->nb_desc = to_u16(RTE_MIN(len, (uint32_t)q->nb_desc));
}

int
avpg_burst_mode_get(struct rte_eth_dev *dev, uint16_t queue_id __rte_unused,
		struct rte_eth_burst_mode *mode)
{
	const struct avpg_port *port = dev->data->dev_private;
	bool recycle = (port->features & AVP_FEATURE_RECYCLE) != 0;
	bool compact = (port->features & AVP_FEATURE_COMPACT) != 0;

	snprintf(mode->info, sizeof(mode->info), "%s%s", recycle ? "by pointer" : "by copy",
			compact ? ", compact rings" : "");
	return 0;
}

AVP_RX_QUEUE_COUNT_RET
avpg_rx_queue_count(void *rxq)
{
	const struct avpg_rxq *q = rxq;
	uint32_t used = 0;

	if (avpg_port_state(q->port) != AVPG_ATTACHED)
		return 0;
	for (uint8_t i = 0; i < q->nb_fifos; i++)
		used += avpg_rx_fifo_used(&q->fifos[i]);
	return (AVP_RX_QUEUE_COUNT_RET)used;
}

int
avpg_rx_descriptor_status(void *rxq, uint16_t offset)
{
	const struct avpg_rxq *q = rxq;
	uint32_t nb_desc = 0;
	uint32_t capacity = 0;

	for (uint8_t i = 0; i < q->nb_fifos; i++) {
		nb_desc += avpg_rx_fifo_len(&q->fifos[i]);
		capacity += avpg_rx_fifo_capacity(&q->fifos[i]);
	}
	if (offset >= nb_desc)
		return -EINVAL;
	if (offset >= capacity || avpg_port_state(q->port) != AVPG_ATTACHED)
		return RTE_ETH_RX_DESC_UNAVAIL;
	return offset < avpg_rx_queue_count(rxq) ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

int
avpg_tx_descriptor_status(void *txq, uint16_t offset)
{
	const struct avpg_txq *q = txq;
	uint32_t room = txq_capacity(q);
	uint32_t used;

	if (room == 0 || offset > room)
		return -EINVAL;
	if (offset == room || avpg_port_state(q->port) != AVPG_ATTACHED)
		return RTE_ETH_TX_DESC_UNAVAIL;
	used = avpg_tx_fifo_used(q);
	/* counted from where the next packet goes: first the free ones */
	return offset + used < room ? RTE_ETH_TX_DESC_DONE : RTE_ETH_TX_DESC_FULL;
}

/* A burst that copies has freed all it has sent when it returns. */
int
avpg_tx_done_cleanup(void *txq __rte_unused, uint32_t nb_free __rte_unused)
{
	return 0;
}

/* Called with the FIFO's write index: sleep unless it is not our read index. */
static int
monitor_check(const uint64_t write, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return write == opaque[0] ? 0 : -1;
}

/* Called with the next entry's second word: sleep unless it has been written. */
static int
monitor_check_phase(const uint64_t state, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return ((state ^ opaque[0]) & AVP_CDESC_PHASE) != 0 ? 0 : -1;
}

/* What the host writes when it has a packet. There is one word to wait for, so a queue of several
 * FIFOs cannot be waited for. */
int
avpg_get_monitor_addr(void *rxq, struct rte_power_monitor_cond *cond)
{
	const struct avpg_rxq *q = rxq;
	uint8_t first;

	if (rxq_nb_fifos(q, &first) != 1)
		return -ENOTSUP;
	if (q->fifos[0].crx != NULL) {
		const struct avp_cring_end *end = q->fifos[0].crx;

		cond->addr = &avp_cring_entry(end, end->own)->state;
		cond->size = sizeof(uint64_t);
		cond->opaque[0] = avp_cring_phase(end, end->own);
		cond->fn = monitor_check_phase;
		return 0;
	}
	cond->addr = &q->port->info.rx.fifo[first]->write;
	cond->size = sizeof(q->port->info.rx.fifo[first]->write);
	cond->opaque[0] = q->fifos[0].rx.own;
	cond->fn = monitor_check;
	return 0;
}

/*
 * The dump
 */

static void
dump_fifo(FILE *file, const char *name, uint32_t number, const struct avp_fifo_end *end)
{
	if (end->len == 0)
		fprintf(file, "    %s FIFO %u: not taken up\n", name, number);
	else
		fprintf(file, "    %s FIFO %u: %u of %u entries used, own index %u, peer's %u\n",
				name, number, avp_fifo_used(end), end->len, end->own, end->peer);
}

static void
dump_ring(FILE *file, const char *name, uint32_t number, const struct avp_cring_end *end)
{
	fprintf(file, "    %s ring %u: %u entries, %u passed, peer's count %u\n", name, number,
			end->len, end->own, end->peer);
}

static void
dump_rxq(FILE *file, const struct avpg_rxq *q)
{
	fprintf(file, "  rx queue %u: %s, mempool %s, %u bytes per mbuf, strips tags: %s\n",
			q->queue_id, q->stopped ? "stopped" : "with the port", q->pool->name,
			q->mbuf_room, q->strip_by_copy ? "yes" : "no");
	for (uint8_t i = 0; i < q->nb_fifos; i++) {
		if (q->fifos[i].crx != NULL)
			dump_ring(file, "rx", q->first_fifo + i, q->fifos[i].crx);
		else
			dump_fifo(file, "rx", q->first_fifo + i, &q->fifos[i].rx);
		dump_fifo(file, "free", q->first_fifo + i, &q->fifos[i].free);
	}
}

static void
dump_txq(FILE *file, const struct avpg_txq *q)
{
	fprintf(file, "  tx queue %u: %s, at most %u waiting, packets to %u bytes, tags: %s\n",
			q->queue_id, q->stopped ? "stopped" : "with the port", txq_capacity(q),
			q->max_pkt_size, q->vlan_by_desc ? "by the device" : "by copy");
	if (q->ctx != NULL)
		dump_ring(file, "tx", q->queue_id, q->ctx);
	else
		dump_fifo(file, "tx", q->queue_id, &q->tx);
	dump_fifo(file, "alloc", q->queue_id, &q->alloc);
}

static void
dump_device(FILE *file, const struct avpg_port *port)
{
	const struct avpg_info *info = &port->info;

	fprintf(file, "  device \"%s\", version %u.%u.%u, id 0x%" PRIx64 ": %s\n", info->name,
			info->version >> 16, info->version >> 8 & 0xff, info->version & 0xff,
			info->device_id, avpg_state_text(avpg_port_state(port)));
	fprintf(file, "  features offered 0x%x, accepted 0x%x\n", info->features, port->features);
	fprintf(file, "  rx queues %u to %u, tx queues %u to %u, packets to %u bytes\n",
			info->min_rx_queues, info->max_rx_queues, info->min_tx_queues,
			info->max_tx_queues, info->max_rx_size);
	fprintf(file, "  BAR 2: %" PRIu64 " bytes, buffers from offset %" PRIu64 " of %u bytes\n",
			info->mem.size, info->mem.bufs_off, info->mem.buf_data_size);
	fprintf(file, "  control requests not answered: %u\n", port->ctrl.owed);
}

int
avpg_priv_dump(struct rte_eth_dev *dev, FILE *file)
{
	struct avpg_port *port = dev->data->dev_private;

	pthread_mutex_lock(&port->ctl_lock);
	dump_device(file, port);
	fprintf(file, "  %s, %s; rx FIFOs in use %u, tx %u; listed groups %u\n",
			port->configured ? "configured" : "not configured",
			port->started ? port->link_off ? "link set down" : "started" : "stopped",
			port->nb_rx_fifos, port->nb_tx_fifos, port->nb_groups);
	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++)
		if (port->rxqs[i] != NULL)
			dump_rxq(file, port->rxqs[i]);
	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++)
		if (port->txqs[i] != NULL)
			dump_txq(file, port->txqs[i]);
	pthread_mutex_unlock(&port->ctl_lock);
	return ferror(file) != 0 ? -EIO : 0;
}
