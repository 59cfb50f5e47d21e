/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * VLAN tags in and out of packet data, in place. Unlike rte_vlan_insert() and rte_vlan_strip() for
 * mbufs with attached buffers too, and for data at any address, which is the peer's to choose; the
 * caller knows that nobody else uses the mbuf. A peer that changes the data meanwhile gets what it
 * deserves: each byte is read once.
 */

#ifndef AVP_VLAN_H
#define AVP_VLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define AVP_VLAN_SIZE sizeof(struct rte_vlan_hdr)
#define AVP_MACS_SIZE (2 * RTE_ETHER_ADDR_LEN)

/** Does the packet begin with a VLAN tag? Then *@tci is its content. */
static inline bool
avp_vlan_tagged(const struct rte_mbuf *mbuf, uint16_t *tci)
{
	uint16_t tag[2];

	if (mbuf->data_len < sizeof(struct rte_ether_hdr) + AVP_VLAN_SIZE)
		return false;
	memcpy(tag, rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, AVP_MACS_SIZE), sizeof(tag));
	*tci = rte_be_to_cpu_16(tag[1]);
	return tag[0] == RTE_BE16(RTE_ETHER_TYPE_VLAN);
}

/** Remove the tag that avp_vlan_tagged() has found. */
static inline void
avp_vlan_remove(struct rte_mbuf *mbuf)
{
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	memmove(data + AVP_VLAN_SIZE, data, AVP_MACS_SIZE);
	rte_pktmbuf_adj(mbuf, AVP_VLAN_SIZE);
}

/** Tell of a tag that is not in the packet any more, or never was: it came beside it. */
static inline void
avp_vlan_tell(struct rte_mbuf *mbuf, uint16_t tci)
{
	mbuf->vlan_tci = tci;
	mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
}

/** Take the tag out of a packet, and tell of it. Returns whether there was one. */
static inline bool
avp_vlan_strip(struct rte_mbuf *mbuf)
{
	uint16_t tci;

	if (likely(!avp_vlan_tagged(mbuf, &tci)))
		return false;
	avp_vlan_remove(mbuf);
	avp_vlan_tell(mbuf, tci);
	return true;
}

/** Write a tag behind the addresses, at @data + 12. */
static inline void
avp_vlan_write(uint8_t *data, uint16_t tci)
{
	const uint16_t tag[2] = {RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(tci)};

	memcpy(data + AVP_MACS_SIZE, tag, sizeof(tag));
}

/** Is there room to insert a tag in place? */
static inline bool
avp_vlan_has_room(const struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_headroom(mbuf) >= AVP_VLAN_SIZE && mbuf->data_len >= AVP_MACS_SIZE;
}

/** Insert a tag into a packet for which avp_vlan_has_room(). */
static inline void
avp_vlan_insert(struct rte_mbuf *mbuf, uint16_t tci)
{
	uint8_t *data;

	mbuf->data_off = (uint16_t)(mbuf->data_off - AVP_VLAN_SIZE);
	mbuf->data_len = (uint16_t)(mbuf->data_len + AVP_VLAN_SIZE);
	mbuf->pkt_len += AVP_VLAN_SIZE;
	data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	memmove(data, data + AVP_VLAN_SIZE, AVP_MACS_SIZE);
	avp_vlan_write(data, tci);
}

#endif /* AVP_VLAN_H */
