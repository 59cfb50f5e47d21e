/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packets that the switch itself sends for a guest that has moved: RARP for its MAC, gratuitous ARP
 * and unsolicited neighbour advertisements for its addresses, and the marker of a hold. The control
 * thread makes them, a worker sends them as if they had come from the guest.
 */

#ifndef ANNOUNCE_H
#define ANNOUNCE_H

#include <stdint.h>

#include <rte_mbuf.h>

#include "address.h"

struct hold_conf;
struct rte_ring;

/** Announcements are repeated: at 0 ms, and at these times after it. */
#define ANNOUNCE_TIMES_MS 0, 50, 150, 300

/** What a worker has to know of such a packet; in its headroom. */
struct announce_where {
	uint16_t in;  /* port that it comes from */
	uint16_t out; /* port that it goes to; FDB_ANY = flood */
	uint16_t vid;
};

static inline struct announce_where *
announce_where(const struct rte_mbuf *mbuf)
{
	return mbuf->buf_addr;
}

/**
 * Make the announcement of an address; of a MAC when it has none.
 *
 * Returns an Ethernet frame without tag, or NULL without memory.
 */
struct rte_mbuf *announce_make(struct rte_mempool *pool, const struct address *address);

/** Make a hold's marker, from one MAC to another. NULL without memory. */
struct rte_mbuf *announce_make_marker(struct rte_mempool *pool, const struct hold_conf *conf,
		const uint8_t dst[6], const uint8_t src[6]);

#endif /* ANNOUNCE_H */
