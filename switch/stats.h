/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counters of a port: packets, bytes, and one counter per reason to drop. Each worker has its own
 * copy, so that counting is a plain store; the control thread adds them up.
 */

#ifndef STATS_H
#define STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include <rte_common.h>

/** Most workers a switch can have. */
#define SW_MAX_WORKERS 8u

/** X(id, name): rx_ = came from the port, tx_ = was on its way to the port. */
#define STATS_DROPS(X)                          \
	X(RX_RUNT, "rx_runt")                   \
	X(RX_TAGGED, "rx_tagged")               \
	X(RX_UNTAGGED, "rx_untagged")           \
	X(RX_VLAN, "rx_vlan")                   \
	X(RX_SRC_INVALID, "rx_src_invalid")     \
	X(RX_SRC_MAC, "rx_src_mac")             \
	X(RX_SRC_STATIC, "rx_src_static")       \
	X(RX_LINK_LOCAL, "rx_link_local")       \
	X(RX_SAME_PORT, "rx_same_port")         \
	X(RX_NO_MEMBER, "rx_no_member")         \
	X(RX_NO_MBUF, "rx_no_mbuf")             \
	X(TX_LINK_DOWN, "tx_link_down")         \
	X(TX_HOLD_OVERFLOW, "tx_hold_overflow") \
	X(TX_NOT_MEMBER, "tx_not_member")       \
	X(TX_DOUBLE_TAG, "tx_double_tag")       \
	X(TX_TOO_LONG, "tx_too_long")           \
	X(TX_NO_MBUF, "tx_no_mbuf")             \
	X(TX_FULL, "tx_full")

#define STATS_DROP_ENUM(id, name) STATS_DROP_##id,
enum stats_drop {
	STATS_DROPS(STATS_DROP_ENUM) STATS_DROP_NONE,
};
#define STATS_NB_DROPS STATS_DROP_NONE

/** Written by one worker, read by the control thread. */
struct stats_worker {
	_Atomic uint64_t rx_packets;
	_Atomic uint64_t rx_bytes;
	_Atomic uint64_t tx_packets;
	_Atomic uint64_t tx_bytes;
	_Atomic uint64_t learn_refused;
	_Atomic uint64_t drops[STATS_NB_DROPS];
} __rte_cache_aligned;

/** The sum over all workers. */
struct stats_sum {
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t learn_refused;
	uint64_t drops[STATS_NB_DROPS];
};

/** Add to a counter that only this thread writes. */
static inline void
stats_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

/** The name of a reason, as in the control protocol. */
const char *stats_drop_name(enum stats_drop drop);

/** Add up @workers[0..@nb-1]. Control context. */
void stats_add_up(const struct stats_worker *workers, unsigned int nb, struct stats_sum *sum);

#endif /* STATS_H */
