/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counters of the guest driver. Every packet that is lost is in exactly one of the *_drop_*
 * counters; docs/driver-guest.md says what each means.
 *
 * A counter has one writer, its queue's lcore, and is never set back: a reset only notes where it
 * stands, so that it loses nothing to a burst under way.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "avpg_port.h"

/* A counter of a structure: its name, and where it is. */
struct counter {
	const char *name;
	size_t offset;
};

#define RX_COUNTER(name, field)                             \
	{                                                   \
		name, offsetof(struct avpg_rx_stats, field) \
	}
#define TX_COUNTER(name, field)                             \
	{                                                   \
		name, offsetof(struct avpg_tx_stats, field) \
	}
#define CTRL_COUNTER(name, field)                                  \
	{                                                          \
		name, offsetof(struct avpg_port, ctrl.stats.field) \
	}
#define PORT_COUNTER(name, field)                       \
	{                                               \
		name, offsetof(struct avpg_port, field) \
	}

/* packets and bytes of a queue are ethdev's own xstats: RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS */
static const struct counter rx_counters[] = {
		RX_COUNTER("by_pointer", by_pointer),
		RX_COUNTER("copied_held", copied_held),
		RX_COUNTER("no_mbuf", no_mbuf),
		RX_COUNTER("fifo_faults", fifo_faults),
		RX_COUNTER("drop_bad_label", drop[AVPG_RX_BAD_LABEL]),
		RX_COUNTER("drop_bad_chain", drop[AVPG_RX_BAD_CHAIN]),
		RX_COUNTER("drop_bad_segment", drop[AVPG_RX_BAD_SEGMENT]),
		RX_COUNTER("drop_bad_len", drop[AVPG_RX_BAD_LEN]),
		RX_COUNTER("drop_too_short", drop[AVPG_RX_TOO_SHORT]),
		RX_COUNTER("drop_too_long", drop[AVPG_RX_TOO_LONG]),
		RX_COUNTER("drop_in_use", drop[AVPG_RX_IN_USE]),
		RX_COUNTER("drop_other_mac", drop[AVPG_RX_OTHER_MAC]),
		RX_COUNTER("drop_other_group", drop[AVPG_RX_OTHER_GROUP]),
};

static const struct counter tx_counters[] = {
		TX_COUNTER("by_pointer", by_pointer),
		TX_COUNTER("no_buffer", no_buffer),
		TX_COUNTER("no_room", no_room),
		TX_COUNTER("closed", closed),
		TX_COUNTER("bad_buffer", bad_buffer),
		TX_COUNTER("fifo_faults", fifo_faults),
		TX_COUNTER("drop_too_short", drop[AVPG_TX_TOO_SHORT]),
		TX_COUNTER("drop_too_long", drop[AVPG_TX_TOO_LONG]),
		TX_COUNTER("drop_bad_mbuf", drop[AVPG_TX_BAD_MBUF]),
};

/* Of the port, all of them _Atomic uint64_t. */
static const struct counter port_counters[] = {
		CTRL_COUNTER("ctrl_requests", requests),
		CTRL_COUNTER("ctrl_refused", refused),
		CTRL_COUNTER("ctrl_timeouts", timeouts),
		CTRL_COUNTER("ctrl_late_answers", late),
		CTRL_COUNTER("ctrl_lost_answers", lost),
		CTRL_COUNTER("ctrl_bad_answers", bad),
		CTRL_COUNTER("ctrl_fifo_faults", fifo_faults),
		PORT_COUNTER("detaches", detaches),
		PORT_COUNTER("attaches", attaches),
		PORT_COUNTER("attach_failures", attach_failures),
		PORT_COUNTER("ops_busy", ops_busy),
		PORT_COUNTER("ops_no_device", ops_no_device),
};
_Static_assert(RTE_DIM(port_counters) <= AVPG_MAX_PORT_COUNTERS, "room for where each stood");

static uint64_t
port_counter(struct avpg_port *port, size_t i)
{
	_Atomic uint64_t *counter = (_Atomic uint64_t *)((uint8_t *)port + port_counters[i].offset);

	return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t
since_reset(const void *stats, const void *base, const struct counter *counter)
{
	const uint8_t *now = (const uint8_t *)stats + counter->offset;
	const uint8_t *then = (const uint8_t *)base + counter->offset;

	return *(const uint64_t *)now - *(const uint64_t *)then;
}

static void
rxq_stats_add(struct rte_eth_stats *stats, AVP_QUEUE_STATS *queues, const struct avpg_rxq *q)
{
	const struct avpg_rx_stats *now = &q->stats;
	const struct avpg_rx_stats *base = &q->base;
	uint64_t errors = 0;

	for (int i = AVPG_RX_OK + 1; i < AVPG_RX_NB_DROPS; i++)
		if (i != AVPG_RX_OTHER_MAC && i != AVPG_RX_OTHER_GROUP)
			errors += now->drop[i] - base->drop[i];
	stats->ipackets += now->packets - base->packets;
	stats->ibytes += now->bytes - base->bytes;
	stats->ierrors += errors;
	stats->rx_nombuf += now->no_mbuf - base->no_mbuf;
	if (queues == NULL)
		return;
	queues->q_ipackets[q->queue_id] = now->packets - base->packets;
	queues->q_ibytes[q->queue_id] = now->bytes - base->bytes;
	queues->q_errors[q->queue_id] = errors;
}

static void
txq_stats_add(struct rte_eth_stats *stats, AVP_QUEUE_STATS *queues, const struct avpg_txq *q)
{
	const struct avpg_tx_stats *now = &q->stats;
	const struct avpg_tx_stats *base = &q->base;

	for (int i = AVPG_TX_OK + 1; i < AVPG_TX_NB_DROPS; i++)
		stats->oerrors += now->drop[i] - base->drop[i];
	stats->opackets += now->packets - base->packets;
	stats->obytes += now->bytes - base->bytes;
	if (queues == NULL)
		return;
	queues->q_opackets[q->queue_id] = now->packets - base->packets;
	queues->q_obytes[q->queue_id] = now->bytes - base->bytes;
}
_Static_assert(AVP_MAX_QUEUES <= RTE_ETHDEV_QUEUE_STAT_CNTRS, "a counter for each queue");

int
avpg_stats_get(AVP_STATS_GET_PARAMS)
{
	struct avpg_port *port = dev->data->dev_private;

	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++) {
		if (port->rxqs[i] != NULL)
			rxq_stats_add(stats, AVP_STATS_GET_QUEUES, port->rxqs[i]);
		if (port->txqs[i] != NULL)
			txq_stats_add(stats, AVP_STATS_GET_QUEUES, port->txqs[i]);
	}
	return 0;
}

int
avpg_stats_reset(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++) {
		if (port->rxqs[i] != NULL)
			port->rxqs[i]->base = port->rxqs[i]->stats;
		if (port->txqs[i] != NULL)
			port->txqs[i]->base = port->txqs[i]->stats;
	}
	return 0;
}

int
avpg_xstats_reset(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	for (size_t i = 0; i < RTE_DIM(port_counters); i++)
		port->counters_base[i] = port_counter(port, i);
	return avpg_stats_reset(dev);
}

static unsigned int
nb_xstats(const struct rte_eth_dev *dev)
{
	return dev->data->nb_rx_queues * RTE_DIM(rx_counters) +
			dev->data->nb_tx_queues * RTE_DIM(tx_counters) + RTE_DIM(port_counters);
}

int
avpg_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int size)
{
	unsigned int n = 0;

	if (names == NULL || size < nb_xstats(dev))
		return (int)nb_xstats(dev);
	for (uint16_t q = 0; q < dev->data->nb_rx_queues; q++)
		for (size_t i = 0; i < RTE_DIM(rx_counters); i++)
			snprintf(names[n++].name, sizeof(names->name), "rx_q%u_%s", q,
					rx_counters[i].name);
	for (uint16_t q = 0; q < dev->data->nb_tx_queues; q++)
		for (size_t i = 0; i < RTE_DIM(tx_counters); i++)
			snprintf(names[n++].name, sizeof(names->name), "tx_q%u_%s", q,
					tx_counters[i].name);
	for (size_t i = 0; i < RTE_DIM(port_counters); i++)
		snprintf(names[n++].name, sizeof(names->name), "%s", port_counters[i].name);
	return (int)n;
}

static unsigned int
queue_xstats_get(const struct avpg_port *port, struct rte_eth_xstat *stats)
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < port->dev->data->nb_rx_queues; i++) {
		const struct avpg_rxq *q = port->rxqs[i];

		for (size_t k = 0; k < RTE_DIM(rx_counters); k++)
			stats[n++].value = q == NULL
					? 0
					: since_reset(&q->stats, &q->base, &rx_counters[k]);
	}
	for (uint16_t i = 0; i < port->dev->data->nb_tx_queues; i++) {
		const struct avpg_txq *q = port->txqs[i];

		for (size_t k = 0; k < RTE_DIM(tx_counters); k++)
			stats[n++].value = q == NULL
					? 0
					: since_reset(&q->stats, &q->base, &tx_counters[k]);
	}
	return n;
}

int
avpg_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *stats, unsigned int size)
{
	struct avpg_port *port = dev->data->dev_private;
	unsigned int n;

	if (stats == NULL || size < nb_xstats(dev))
		return (int)nb_xstats(dev);
	n = queue_xstats_get(port, stats);
	for (size_t i = 0; i < RTE_DIM(port_counters); i++)
		stats[n++].value = port_counter(port, i) - port->counters_base[i];
	for (unsigned int i = 0; i < n; i++)
		stats[i].id = i;
	return (int)n;
}
