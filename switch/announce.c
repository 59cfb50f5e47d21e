/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The frames of announcements: announce.h.
 */

#include <string.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "announce.h"
#include "hold.h"

#define FRAME_MIN 60u
#define ND_ADVERTISEMENT 136u
#define ND_OVERRIDE UINT32_C(0x20000000)
#define ND_TARGET_MAC 2u /* option: the target's MAC */
#define ND_HOP_LIMIT 255u
#define ICMPV6 58u

/** An unsolicited neighbour advertisement, RFC 4861. */
struct advertisement {
	struct rte_ipv6_hdr ip;
	uint8_t type;
	uint8_t code;
	rte_be16_t checksum;
	rte_be32_t flags;
	uint8_t target[16];
	uint8_t option;
	uint8_t option_len; /* in 8 bytes */
	uint8_t mac[6];
} __attribute__((packed));

/* A frame of zeros behind its header, at least as long as Ethernet wants it. */
static struct rte_mbuf *
make_frame(struct rte_mempool *pool, const uint8_t dst[6], const uint8_t src[6],
		rte_be16_t ether_type, uint16_t payload_len)
{
	uint16_t len = RTE_MAX(FRAME_MIN, RTE_ETHER_HDR_LEN + payload_len);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	struct rte_ether_hdr *eth;

	if (mbuf == NULL)
		return NULL;
	eth = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	mbuf->data_len = mbuf->pkt_len = len;
	memset(eth, 0, len);
	memcpy(&eth->dst_addr, dst, sizeof(eth->dst_addr));
	memcpy(&eth->src_addr, src, sizeof(eth->src_addr));
	eth->ether_type = ether_type;
	return mbuf;
}

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* RARP asks for the address of a MAC: who sees it knows the MAC, and nobody answers. For IPv4 an
 * ARP request for the sender's own address, which also mends the tables of those who know it. */
static struct rte_mbuf *
make_arp(struct rte_mempool *pool, const struct address *address)
{
	bool is_rarp = address->family == ADDRESS_NONE;
	rte_be16_t type = is_rarp ? RTE_BE16(RTE_ETHER_TYPE_RARP) : RTE_BE16(RTE_ETHER_TYPE_ARP);
	struct rte_arp_hdr arp = {
			.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
			.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
			.arp_hlen = 6,
			.arp_plen = 4,
			.arp_opcode = is_rarp ? RTE_BE16(RTE_ARP_OP_REVREQUEST)
					      : RTE_BE16(RTE_ARP_OP_REQUEST),
	};
	struct rte_mbuf *mbuf = make_frame(pool, broadcast, address->mac, type, sizeof(arp));

	if (mbuf == NULL)
		return NULL;
	memcpy(&arp.arp_data.arp_sha, address->mac, 6);
	if (is_rarp) {
		memcpy(&arp.arp_data.arp_tha, address->mac, 6);
	} else {
		memcpy(&arp.arp_data.arp_sip, address->ip, 4);
		memcpy(&arp.arp_data.arp_tip, address->ip, 4);
	}
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, RTE_ETHER_HDR_LEN), &arp, sizeof(arp));
	return mbuf;
}

static struct rte_mbuf *
make_advertisement(struct rte_mempool *pool, const struct address *address)
{
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	struct advertisement na = {
			.ip = {.vtc_flow = RTE_BE32(UINT32_C(6) << 28),
					.payload_len = RTE_BE16(
							sizeof(na) - sizeof(struct rte_ipv6_hdr)),
					.proto = ICMPV6,
					.hop_limits = ND_HOP_LIMIT},
			.type = ND_ADVERTISEMENT,
			.flags = RTE_BE32(ND_OVERRIDE),
			.option = ND_TARGET_MAC,
			.option_len = 1,
	};
	struct rte_mbuf *mbuf = make_frame(pool, all_nodes_mac, address->mac,
			RTE_BE16(RTE_ETHER_TYPE_IPV6), sizeof(na));

	if (mbuf == NULL)
		return NULL;
	memcpy(&na.ip.src_addr, address->ip, 16);
	memcpy(&na.ip.dst_addr, all_nodes, 16);
	memcpy(na.target, address->ip, 16);
	memcpy(na.mac, address->mac, 6);
	na.checksum = rte_ipv6_udptcp_cksum(&na.ip, &na.type);
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, RTE_ETHER_HDR_LEN), &na, sizeof(na));
	return mbuf;
}

struct rte_mbuf *
announce_make(struct rte_mempool *pool, const struct address *address)
{
	return address->family == ADDRESS_IPV6 ? make_advertisement(pool, address)
					       : make_arp(pool, address);
}

struct rte_mbuf *
announce_make_marker(struct rte_mempool *pool, const struct hold_conf *conf, const uint8_t dst[6],
		const uint8_t src[6])
{
	struct rte_mbuf *mbuf =
			make_frame(pool, dst, src, RTE_BE16(HOLD_MARKER_TYPE), HOLD_MARKER_SIZE);

	if (mbuf != NULL)
		memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, RTE_ETHER_HDR_LEN), conf->marker,
				HOLD_MARKER_SIZE);
	return mbuf;
}
