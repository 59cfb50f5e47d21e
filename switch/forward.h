/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The packet path of a worker: packets that came in at a port are classified, checked, learned
 * from, and handed to egress.c for the ports they go to.
 */

#ifndef FORWARD_H
#define FORWARD_H

#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "dp.h"

/** Packets taken from a queue, and given to one, at a time. */
#define FORWARD_BURST 32u

struct fdb;
struct rte_ring;

/** Packets on their way to a port. */
struct forward_txq {
	uint16_t nb;
	bool is_pending; /* in forward.pending */
	struct rte_mbuf *pkts[FORWARD_BURST];
};

/** The state of one worker; nobody else touches it. */
struct forward {
	unsigned int worker; /* index of the worker's counters and tx queues */
	const struct dp_view *view;
	struct fdb *fdb;
	struct rte_mempool *pool;  /* for private headers, copies, clones */
	struct rte_ring *injected; /* packets that the control thread has made; NULL = not here */
	uint16_t nb_pending;       /* ports that may have packets in @txqs */
	uint16_t pending[RTE_MAX_ETHPORTS];
	struct forward_txq txqs[RTE_MAX_ETHPORTS]; /* by port id */
};

/** A packet as it is forwarded. Everything read from its data is here, and is not read again. */
struct forward_pkt {
	struct rte_mbuf *mbuf;
	struct rte_ether_hdr eth; /* addresses; the type is what follows the tag */
	uint16_t tci;             /* priority bits and VLAN, host order */
	uint8_t l2_len;           /* bytes of Ethernet header and tag in the data: 14 or 18 */
	bool guest_writable;      /* the data may change at any time */
};

/** Read the header of @mbuf, once. Returns STATS_DROP_NONE or why it is dropped. */
enum stats_drop forward_parse(
		const struct dp_port *in, struct rte_mbuf *mbuf, struct forward_pkt *pkt);

/** Forward @nb (at most FORWARD_BURST) packets that came from @in. All are consumed. */
void forward_burst(struct forward *fwd, const struct dp_port *in, struct rte_mbuf **mbufs,
		uint16_t nb);

/** Send what is pending; once per round over the rx queues, before a quiescent state. */
void forward_flush(struct forward *fwd);

/** A worker's round: what is held or injected, then a burst of each of its rx queues, and flush.
 * Returns the number of packets, 0 = there was nothing to do. */
unsigned int forward_round(struct forward *fwd);

/** Hand packets of one VLAN, at most FORWARD_BURST, to a port that has link, to be sent with the
 * next flush. Consumes their mbufs. */
void forward_send(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out);

/** Send at once, and count. Returns how many the port took; the others remain the caller's. */
uint16_t forward_tx(struct forward *fwd, const struct dp_port *out, struct rte_mbuf **mbufs,
		uint16_t nb);

static inline bool
forward_has_link(const struct dp_port *port)
{
	return atomic_load_explicit(&port->state->link_up, memory_order_relaxed);
}

/** Count packets of @port that are dropped. */
static inline void
forward_count_drop(const struct forward *fwd, const struct dp_port *port, enum stats_drop drop,
		uint16_t nb)
{
	stats_add(&port->state->stats[fwd->worker].drops[drop], nb);
}

#endif /* FORWARD_H */
