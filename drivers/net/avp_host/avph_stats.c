/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counters as ethdev wants them: sums, and xstats "rx_q0_drop_bad_owner". The names depend on the
 * number of queues alone.
 */

#include <stdio.h>
#include <string.h>

#include <ethdev_driver.h>

#include "avph_port.h"
#include "avph_stats.h"

static const char *const rx_names[AVPH_RX_NB] = {
		[AVPH_RX_PACKETS] = "packets",
		[AVPH_RX_BYTES] = "bytes",
		[AVPH_RX_CHAINS] = "chains",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_RANGE - 1] = "drop_bad_range",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_STRIDE - 1] = "drop_bad_stride",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_OWNER - 1] = "drop_bad_owner",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_DATA - 1] = "drop_bad_data",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_DATA_LEN - 1] = "drop_bad_data_len",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_CHAIN - 1] = "drop_bad_chain",
		[AVPH_RX_DROP_FIRST + AVPD_CHECK_BAD_PKT_LEN - 1] = "drop_bad_pkt_len",
		[AVPH_RX_DROP_NO_HEADROOM] = "drop_no_headroom",
		[AVPH_RX_TX_FIFO_FAULT + AVP_FIFO_BAD_INDEX - 1] = "tx_fifo_bad_index",
		[AVPH_RX_TX_FIFO_FAULT + AVP_FIFO_BACKWARDS - 1] = "tx_fifo_backwards",
		[AVPH_RX_TX_FIFO_FAULT + AVP_FIFO_BAD_LEN - 1] = "tx_fifo_bad_len",
		[AVPH_RX_ALLOC_FIFO_FAULT + AVP_FIFO_BAD_INDEX - 1] = "alloc_fifo_bad_index",
		[AVPH_RX_ALLOC_FIFO_FAULT + AVP_FIFO_BACKWARDS - 1] = "alloc_fifo_backwards",
		[AVPH_RX_ALLOC_FIFO_FAULT + AVP_FIFO_BAD_LEN - 1] = "alloc_fifo_bad_len",
		[AVPH_RX_ALLOC_STARVED] = "alloc_starved",
		[AVPH_RX_NO_MBUF] = "no_mbuf",
};

static const char *const tx_names[AVPH_TX_NB] = {
		[AVPH_TX_PACKETS] = "packets",
		[AVPH_TX_BYTES] = "bytes",
		[AVPH_TX_CHAINS] = "chains",
		[AVPH_TX_BY_POINTER] = "by_pointer",
		[AVPH_TX_COPIED] = "copied",
		[AVPH_TX_DROP_TOO_LONG] = "drop_too_long",
		[AVPH_TX_DROP_TOO_SHORT] = "drop_too_short",
		[AVPH_TX_FIFO_FULL] = "fifo_full",
		[AVPH_TX_POOL_EMPTY] = "pool_empty",
		[AVPH_TX_FREE_FIRST + AVPD_CHECK_BAD_RANGE - 1] = "free_bad_range",
		[AVPH_TX_FREE_FIRST + AVPD_CHECK_BAD_STRIDE - 1] = "free_bad_stride",
		[AVPH_TX_FREE_FIRST + AVPD_CHECK_BAD_OWNER - 1] = "free_bad_owner",
		[AVPH_TX_RX_FIFO_FAULT + AVP_FIFO_BAD_INDEX - 1] = "rx_fifo_bad_index",
		[AVPH_TX_RX_FIFO_FAULT + AVP_FIFO_BACKWARDS - 1] = "rx_fifo_backwards",
		[AVPH_TX_RX_FIFO_FAULT + AVP_FIFO_BAD_LEN - 1] = "rx_fifo_bad_len",
		[AVPH_TX_FREE_FIFO_FAULT + AVP_FIFO_BAD_INDEX - 1] = "free_fifo_bad_index",
		[AVPH_TX_FREE_FIFO_FAULT + AVP_FIFO_BACKWARDS - 1] = "free_fifo_backwards",
		[AVPH_TX_FREE_FIFO_FAULT + AVP_FIFO_BAD_LEN - 1] = "free_fifo_bad_len",
};

static const char *const port_names[] = {"guest_resets", "guest_bufs_taken_back"};

static uint64_t
rx_value(const struct avph_rx_queue *queue, unsigned int i)
{
	if (queue == NULL)
		return 0;
	return atomic_load_explicit(&queue->stats.count[i], memory_order_relaxed) -
			queue->stats.base[i];
}

static uint64_t
tx_value(const struct avph_tx_queue *queue, unsigned int i)
{
	if (queue == NULL)
		return 0;
	return atomic_load_explicit(&queue->stats.count[i], memory_order_relaxed) -
			queue->stats.base[i];
}

static void
sum_rx(const struct avph_rx_queue *queue, struct rte_eth_stats *stats)
{
	stats->ipackets += rx_value(queue, AVPH_RX_PACKETS);
	stats->ibytes += rx_value(queue, AVPH_RX_BYTES);
	stats->rx_nombuf += rx_value(queue, AVPH_RX_NO_MBUF);
	for (unsigned int i = AVPH_RX_DROP_FIRST; i <= AVPH_RX_DROP_NO_HEADROOM; i++)
		stats->ierrors += rx_value(queue, i);
}

static void
sum_tx(const struct avph_tx_queue *queue, struct rte_eth_stats *stats)
{
	stats->opackets += tx_value(queue, AVPH_TX_PACKETS);
	stats->obytes += tx_value(queue, AVPH_TX_BYTES);
	for (unsigned int i = AVPH_TX_DROP_TOO_LONG; i <= AVPH_TX_DROP_TOO_SHORT; i++)
		stats->oerrors += tx_value(queue, i);
}

void
avph_stats_sum(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	const struct avph_port *port = dev->data->dev_private;

	for (unsigned int q = 0; q < AVPH_MAX_APP_QUEUES; q++) {
		sum_rx(port->rx_queues[q], stats);
		sum_tx(port->tx_queues[q], stats);
	}
}

int
avph_stats_reset(struct rte_eth_dev *dev)
{
	struct avph_port *port = dev->data->dev_private;

	for (unsigned int q = 0; q < AVPH_MAX_APP_QUEUES; q++) {
		struct avph_rx_queue *rx = port->rx_queues[q];
		struct avph_tx_queue *tx = port->tx_queues[q];

		for (unsigned int i = 0; rx != NULL && i < AVPH_RX_NB; i++)
			rx->stats.base[i] += rx_value(rx, i);
		for (unsigned int i = 0; tx != NULL && i < AVPH_TX_NB; i++)
			tx->stats.base[i] += tx_value(tx, i);
	}
	return 0;
}

static unsigned int
xstats_count(const struct rte_eth_dev *dev)
{
	return RTE_DIM(port_names) + dev->data->nb_rx_queues * AVPH_RX_NB +
			dev->data->nb_tx_queues * AVPH_TX_NB;
}

int
avph_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	const struct avph_port *port = dev->data->dev_private;
	const unsigned int count = xstats_count(dev);
	unsigned int id = 0;

	if (xstats == NULL || n < count)
		return (int)count;
	xstats[id++].value = atomic_load_explicit(&port->nb_resets, memory_order_relaxed);
	xstats[id++].value = atomic_load_explicit(&port->nb_taken_back, memory_order_relaxed);
	for (unsigned int q = 0; q < dev->data->nb_rx_queues; q++) {
		for (unsigned int i = 0; i < AVPH_RX_NB; i++)
			xstats[id++].value = rx_value(port->rx_queues[q], i);
	}
	for (unsigned int q = 0; q < dev->data->nb_tx_queues; q++) {
		for (unsigned int i = 0; i < AVPH_TX_NB; i++)
			xstats[id++].value = tx_value(port->tx_queues[q], i);
	}
	for (id = 0; id < count; id++)
		xstats[id].id = id;
	return (int)count;
}

int
avph_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int n)
{
	const unsigned int count = xstats_count(dev);
	unsigned int id = 0;

	if (names == NULL || n < count)
		return (int)count;
	for (unsigned int i = 0; i < RTE_DIM(port_names); i++)
		snprintf(names[id++].name, sizeof(names[0].name), "%s", port_names[i]);
	for (unsigned int q = 0; q < dev->data->nb_rx_queues; q++) {
		for (unsigned int i = 0; i < AVPH_RX_NB; i++)
			snprintf(names[id++].name, sizeof(names[0].name), "rx_q%u_%s", q,
					rx_names[i]);
	}
	for (unsigned int q = 0; q < dev->data->nb_tx_queues; q++) {
		for (unsigned int i = 0; i < AVPH_TX_NB; i++)
			snprintf(names[id++].name, sizeof(names[0].name), "tx_q%u_%s", q,
					tx_names[i]);
	}
	return (int)count;
}
