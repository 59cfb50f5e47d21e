/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Writing the fields of a received mbuf in few stores, for both drivers: as words of 8 bytes that
 * hold several of them.
 */

#ifndef AVP_MBUF_H
#define AVP_MBUF_H

#include <stddef.h>
#include <string.h>

#include <rte_mbuf.h>

/* rearm_data: data_off, refcnt, nb_segs, port */
#define AVP_MBUF_DATA_OFF_SHIFT \
	(8 * (offsetof(struct rte_mbuf, data_off) - offsetof(struct rte_mbuf, rearm_data)))
_Static_assert(offsetof(struct rte_mbuf, data_off) >= offsetof(struct rte_mbuf, rearm_data) &&
				offsetof(struct rte_mbuf, port) + sizeof(uint16_t) <=
						offsetof(struct rte_mbuf, rearm_data) +
								sizeof(uint64_t),
		"four fields of 16 bits");
/* then 4 bytes of packet type and 4 of length, and data_len, tag, hash */
_Static_assert(offsetof(struct rte_mbuf, pkt_len) == offsetof(struct rte_mbuf, packet_type) + 4,
		"packet type and length are one word");
_Static_assert(offsetof(struct rte_mbuf, vlan_tci) == offsetof(struct rte_mbuf, data_len) + 2 &&
				offsetof(struct rte_mbuf, hash) ==
						offsetof(struct rte_mbuf, data_len) + 4,
		"length, tag and hash are one word");

/** rearm_data of a packet of one segment of a port, but for data_off. */
static inline uint64_t
avp_mbuf_rearm(uint16_t port_id)
{
	struct rte_mbuf mbuf = {.nb_segs = 1, .port = port_id};
	uint64_t rearm;

	rte_mbuf_refcnt_set(&mbuf, 1);
	memcpy(&rearm, &mbuf.rearm_data, sizeof(rearm));
	return rearm;
}

/** Make @mbuf, which has a packet buffer attached, a packet of one segment: no tag, no hash.
 * @rearm: avp_mbuf_rearm(). The rest of it is as in its mempool. */
static inline void
avp_mbuf_set(struct rte_mbuf *mbuf, uint64_t rearm, uint64_t data_off, uint32_t data_len)
{
	const uint64_t type_len = (uint64_t)data_len << 32;
	const uint64_t len_rest = data_len;

	rearm |= data_off << AVP_MBUF_DATA_OFF_SHIFT;
	memcpy(&mbuf->rearm_data, &rearm, sizeof(rearm));
	mbuf->ol_flags = RTE_MBUF_F_EXTERNAL;
	memcpy(&mbuf->packet_type, &type_len, sizeof(type_len));
	memcpy(&mbuf->data_len, &len_rest, sizeof(len_rest));
}

#endif /* AVP_MBUF_H */
