/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Making a packet fit to leave at a port: with the header that was checked, with or without a tag,
 * in segments that the port can send.
 */

#ifndef EGRESS_H
#define EGRESS_H

#include "forward.h"

/**
 * Make what is sent at @out of one packet that came in at @in.
 *
 * @pkt   its checked header; pkt->mbuf is the data, or a clone of it, and is consumed
 * @sent  out: the mbuf to send, when STATS_DROP_NONE is returned
 * Returns STATS_DROP_NONE, or why @out cannot send it; then it has been freed.
 * Context: worker.
 */
enum stats_drop egress_prepare(struct rte_mempool *pool, const struct forward_pkt *pkt,
		const struct dp_port *in, const struct dp_port *out, struct rte_mbuf **sent);

/**
 * Add to @txq what is sent at @out of a run that came in at @in. What @out cannot send is dropped,
 * and counted there.
 *
 * @pkts  with their checked headers, all of one VLAN; pkt->mbuf is the data, or a clone of it, and
 *        is consumed
 * @txq   of @out, with room for @nb packets
 * Context: worker.
 */
void egress_run(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out, struct forward_txq *txq);

/**
 * Add to @txq a copy of a packet in a buffer of @out's own, which @out sends as it is.
 *
 * @pkt  stays the caller's
 * @txq  of @out, with room for one packet
 * Returns false when that cannot be done: @out has no buffers, or none at the moment; the packet is
 * long, or cannot leave there.
 */
bool egress_copy(const struct forward_pkt *pkt, const struct dp_port *out, struct forward_txq *txq);

/**
 * Make a packet's data private and free of tags, so that it can be cloned for several ports.
 *
 * @pkt  changed accordingly; pkt->mbuf may be another after
 * Returns 0, or -ENOMEM with pkt->mbuf as it was.
 */
int egress_make_private(struct rte_mempool *pool, struct forward_pkt *pkt);

#endif /* EGRESS_H */
