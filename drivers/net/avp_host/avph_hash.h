/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The hash that decides which rx FIFO of the guest a packet goes to: the same for all packets of a
 * flow, so that a flow keeps its order.
 */

#ifndef AVPH_HASH_H
#define AVPH_HASH_H

#include <stdint.h>

#include <rte_mbuf.h>

/**
 * Hash of a packet's addresses and ports: IPv4 and IPv6 with TCP, UDP or SCTP, up to two VLAN tags;
 * fragments by their addresses; anything else by the MAC addresses. Reads only the first segment.
 */
uint32_t avph_hash_headers(const struct rte_mbuf *mbuf);

/** The mbuf's RSS hash; if it has none it is computed, and kept in the mbuf. */
static inline uint32_t
avph_hash(struct rte_mbuf *mbuf)
{
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH) == 0) {
		const uint32_t hash = avph_hash_headers(mbuf);

		if (rte_mbuf_refcnt_read(mbuf) != 1)
			return hash;
		mbuf->hash.rss = hash;
		mbuf->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
	return mbuf->hash.rss;
}

/** One of @nb, evenly, without a division. */
static inline uint32_t
avph_hash_choose(uint32_t hash, uint32_t nb)
{
	/* a hash may differ in its low bits alone: spread them, the high ones decide */
	return (uint32_t)(((uint64_t)(hash * UINT32_C(0x9e3779b1)) * nb) >> 32);
}

#endif /* AVPH_HASH_H */
