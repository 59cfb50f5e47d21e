/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * VLAN tags in and out of packet data, in place. Unlike rte_vlan_insert() and rte_vlan_strip() for
 * mbufs with attached buffers too; the caller knows that nobody else uses the data.
 */

#ifndef AVPH_VLAN_H
#define AVPH_VLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define AVPH_VLAN_SIZE sizeof(struct rte_vlan_hdr)
#define AVPH_MACS_SIZE (2 * RTE_ETHER_ADDR_LEN)

/** Does the packet begin with a VLAN tag? Then @tci is its content. */
static inline bool
avph_vlan_tagged(const struct rte_mbuf *mbuf, uint16_t *tci)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	const struct rte_vlan_hdr *vlan = (const struct rte_vlan_hdr *)(eth + 1);

	if (mbuf->data_len < sizeof(*eth) + sizeof(*vlan) ||
			eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_VLAN))
		return false;
	*tci = rte_be_to_cpu_16(vlan->vlan_tci);
	return true;
}

/** Remove the tag that avph_vlan_tagged() has found. */
static inline void
avph_vlan_remove(struct rte_mbuf *mbuf)
{
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	memmove(data + AVPH_VLAN_SIZE, data, AVPH_MACS_SIZE);
	rte_pktmbuf_adj(mbuf, AVPH_VLAN_SIZE);
}

/** Write a tag behind the addresses, at @data + 12. */
static inline void
avph_vlan_write(uint8_t *data, uint16_t tci)
{
	const uint16_t tag[2] = {RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(tci)};

	memcpy(data + AVPH_MACS_SIZE, tag, sizeof(tag));
}

/** Is there room to insert a tag in place? */
static inline bool
avph_vlan_has_room(const struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_headroom(mbuf) >= AVPH_VLAN_SIZE && mbuf->data_len >= AVPH_MACS_SIZE;
}

/** Insert a tag into a packet for which avph_vlan_has_room(). */
static inline void
avph_vlan_insert(struct rte_mbuf *mbuf, uint16_t tci)
{
	uint8_t *data;

	mbuf->data_off = (uint16_t)(mbuf->data_off - AVPH_VLAN_SIZE);
	mbuf->data_len = (uint16_t)(mbuf->data_len + AVPH_VLAN_SIZE);
	mbuf->pkt_len += AVPH_VLAN_SIZE;
	data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	memmove(data, data + AVPH_VLAN_SIZE, AVPH_MACS_SIZE);
	avph_vlan_write(data, tci);
}

#endif /* AVPH_VLAN_H */
