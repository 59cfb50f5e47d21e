/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Flow hash of packets that bring none: avph_hash.h. The packet may be any bytes; nothing outside
 * of its first segment is read.
 */

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "avph_hash.h"

#define HASH_SEED UINT64_C(0x243f6a8885a308d3)
#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define MAX_VLAN_TAGS 2

/* What is left to read of the first segment. */
struct cursor {
	const uint8_t *data;
	uint32_t left;
};

static uint64_t
hash_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * HASH_FACTOR;
	return hash ^ hash >> 32;
}

/* Mix in @size bytes, a multiple of 4. */
static uint64_t
hash_bytes(uint64_t hash, const uint8_t *data, uint32_t size)
{
	for (uint32_t i = 0; i < size; i += sizeof(uint32_t)) {
		uint32_t word;

		memcpy(&word, data + i, sizeof(word));
		hash = hash_mix(hash, word);
	}
	return hash;
}

/* Mix in the ports, if @proto has any and they are there. */
static uint64_t
hash_ports(uint64_t hash, const struct cursor *at, uint8_t proto)
{
	hash = hash_mix(hash, proto);
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP)
		return hash;
	return at->left < sizeof(uint32_t) ? hash : hash_bytes(hash, at->data, sizeof(uint32_t));
}

static void
cursor_skip(struct cursor *at, uint32_t size)
{
	at->data += size;
	at->left -= size;
}

static uint64_t
hash_ipv4(uint64_t hash, struct cursor *at)
{
	struct rte_ipv4_hdr ip;
	uint32_t ip_size;

	if (at->left < sizeof(ip))
		return hash;
	memcpy(&ip, at->data, sizeof(ip));
	hash = hash_mix(hash, (uint64_t)ip.src_addr << 32 | ip.dst_addr);
	ip_size = (ip.version_ihl & RTE_IPV4_HDR_IHL_MASK) * RTE_IPV4_IHL_MULTIPLIER;
	/* all fragments of a packet must take the same way, and only the first has ports */
	if (ip.fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK))
		return hash;
	if (ip_size < sizeof(ip) || at->left < ip_size)
		return hash;
	cursor_skip(at, ip_size);
	return hash_ports(hash, at, ip.next_proto_id);
}

static uint64_t
hash_ipv6(uint64_t hash, struct cursor *at)
{
	struct rte_ipv6_hdr ip;

	if (at->left < sizeof(ip))
		return hash;
	memcpy(&ip, at->data, sizeof(ip));
	hash = hash_bytes(hash, at->data + offsetof(struct rte_ipv6_hdr, src_addr),
			2 * sizeof(struct in6_addr));
	cursor_skip(at, sizeof(ip));
	/* extension headers, a fragment's among them, are no protocol with ports */
	return hash_ports(hash, at, ip.proto);
}

uint32_t
avph_hash_headers(const struct rte_mbuf *mbuf)
{
	struct cursor at = {rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len};
	const uint8_t *macs = at.data;
	uint64_t hash = HASH_SEED;
	uint16_t type;

	if (at.left < sizeof(struct rte_ether_hdr))
		return (uint32_t)hash;
	cursor_skip(&at, 2 * RTE_ETHER_ADDR_LEN);
	for (int tags = 0;; tags++) {
		memcpy(&type, at.data, sizeof(type));
		if ((type != RTE_BE16(RTE_ETHER_TYPE_VLAN) &&
				    type != RTE_BE16(RTE_ETHER_TYPE_QINQ)) ||
				tags == MAX_VLAN_TAGS ||
				at.left < sizeof(struct rte_vlan_hdr) + sizeof(type))
			break;
		cursor_skip(&at, sizeof(struct rte_vlan_hdr));
	}
	cursor_skip(&at, sizeof(type));
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		hash = hash_ipv4(hash, &at);
	else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		hash = hash_ipv6(hash, &at);
	else
		hash = hash_bytes(hash, macs, 2 * RTE_ETHER_ADDR_LEN);
	return (uint32_t)(hash >> 32);
}
