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
 * Make what is sent at @out of a packet that came in at @in.
 *
 * @pkt   its checked header
 * @mbuf  its data: pkt->mbuf, or a clone of it; consumed
 * @sent  out: the mbuf to send, when STATS_DROP_NONE is returned
 * Returns STATS_DROP_NONE, or why @out cannot send it; then @mbuf has been freed.
 * Context: worker.
 */
enum stats_drop egress_prepare(struct rte_mempool *pool, const struct forward_pkt *pkt,
		struct rte_mbuf *mbuf, const struct dp_port *in, const struct dp_port *out,
		struct rte_mbuf **sent);

/**
 * Make a packet's data private and free of tags, so that it can be cloned for several ports.
 *
 * @pkt  changed accordingly; pkt->mbuf may be another after
 * Returns 0, or -ENOMEM with pkt->mbuf as it was.
 */
int egress_make_private(struct rte_mempool *pool, struct forward_pkt *pkt);

#endif /* EGRESS_H */
