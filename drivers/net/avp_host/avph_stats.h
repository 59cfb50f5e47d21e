/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counters of queues, one for each reason of loss. A counter is written by its queue's lcore alone;
 * a reset notes the values and subtracts them from then on.
 */

#ifndef AVPH_STATS_H
#define AVPH_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include <rte_common.h>

#include <avp/avp_fifo.h>

#include "avpd_check.h"

/* From the guest. The order of the names in avph_stats.c. */
enum avph_rx_counter {
	AVPH_RX_PACKETS,
	AVPH_RX_BYTES,
	AVPH_RX_CHAINS,
	/* one for each enum avpd_check but OK; lost packets */
	AVPH_RX_DROP_FIRST,
	AVPH_RX_DROP_NO_HEADROOM = AVPH_RX_DROP_FIRST + AVPD_CHECK_NB - 1,
	/* one for each enum avp_fifo_fault but OK */
	AVPH_RX_TX_FIFO_FAULT,
	AVPH_RX_ALLOC_FIFO_FAULT = AVPH_RX_TX_FIFO_FAULT + AVP_FIFO_BAD_LEN,
	AVPH_RX_ALLOC_STARVED = AVPH_RX_ALLOC_FIFO_FAULT + AVP_FIFO_BAD_LEN,
	AVPH_RX_NO_MBUF,
	AVPH_RX_NB
};

/* To the guest. */
enum avph_tx_counter {
	AVPH_TX_PACKETS,
	AVPH_TX_BYTES,
	AVPH_TX_CHAINS,
	AVPH_TX_BY_POINTER,
	AVPH_TX_COPIED,
	/* lost packets */
	AVPH_TX_DROP_TOO_LONG,
	AVPH_TX_DROP_TOO_SHORT,
	/* not taken: the application keeps the packets */
	AVPH_TX_FIFO_FULL,
	AVPH_TX_POOL_EMPTY,
	/* returned buffers that were none: range, stride, owner */
	AVPH_TX_FREE_FIRST,
	AVPH_TX_RX_FIFO_FAULT = AVPH_TX_FREE_FIRST + AVPD_CHECK_BAD_OWNER,
	AVPH_TX_FREE_FIFO_FAULT = AVPH_TX_RX_FIFO_FAULT + AVP_FIFO_BAD_LEN,
	AVPH_TX_NB = AVPH_TX_FREE_FIFO_FAULT + AVP_FIFO_BAD_LEN
};

struct avph_rx_stats {
	_Atomic uint64_t count[AVPH_RX_NB] __rte_cache_aligned;
	uint64_t base[AVPH_RX_NB] __rte_cache_aligned; /* at the last reset; control only */
};

struct avph_tx_stats {
	_Atomic uint64_t count[AVPH_TX_NB] __rte_cache_aligned;
	uint64_t base[AVPH_TX_NB] __rte_cache_aligned;
};

/** Count @n. Context: the only thread that writes this counter. */
static inline void
avph_count(_Atomic uint64_t *counter, uint64_t n)
{
	const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

/** The same, for counters that are not statistics. */
static inline void
avph_count_u32(_Atomic uint32_t *counter, uint32_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			memory_order_relaxed);
}

struct rte_eth_dev;
struct rte_eth_stats;
struct rte_eth_xstat;
struct rte_eth_xstat_name;

/* ethdev operations */
int avph_stats_reset(struct rte_eth_dev *dev);
int avph_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n);
int avph_xstats_get_names(
		struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int n);
/** Sums over the queues, as struct rte_eth_stats has them. */
void avph_stats_sum(struct rte_eth_dev *dev, struct rte_eth_stats *stats);

#endif /* AVPH_STATS_H */
