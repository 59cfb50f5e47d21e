/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packets for vm_traffic, made and made again; see traffic_pkt.h.
 */

#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "traffic_pkt.h"

#define MAGIC UINT32_C(0x41565054)
#define TAG_SIZE sizeof(struct rte_vlan_hdr)
#define NB_DSTS 4u

static const struct rte_ether_addr source_mac = {{0x02, 0xaa, 0, 0, 0, 1}};
static const struct rte_ether_addr foreign_mac = {{0x02, 0xbb, 0, 0, 0, 2}};
static const struct rte_ether_addr broadcast_mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct rte_ether_addr multicast_mac = {{0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}};

uint64_t
traffic_random(uint64_t seed, uint64_t a, uint64_t b)
{
	/* splitmix64's finalizer, over a mix of the three */
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + a * UINT64_C(0xd1342543de82ef95) +
			b * UINT64_C(0x2545f4914f6cdd1d);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

enum traffic_dst
traffic_dst_of(const struct traffic_spec *spec, const struct traffic_id *id)
{
	return spec->mixed_dst ? (enum traffic_dst)(id->seq % NB_DSTS) : TRAFFIC_DST_OWN;
}

bool
traffic_comes_back(const struct traffic_spec *spec, const struct traffic_id *id)
{
	return !(spec->drop_foreign && traffic_dst_of(spec, id) == TRAFFIC_DST_FOREIGN);
}

uint32_t
traffic_size(const struct traffic_spec *spec, const struct traffic_id *id)
{
	const struct traffic_range *range = &spec->ranges[id->seq % spec->nb_ranges];

	return range->min +
			(uint32_t)(traffic_random(spec->seed, id->flow, id->seq) %
					(range->max - range->min + 1));
}

static const struct rte_ether_addr *
destination(const struct traffic_spec *spec, const struct traffic_id *id)
{
	switch (traffic_dst_of(spec, id)) {
	case TRAFFIC_DST_BROADCAST:
		return &broadcast_mac;
	case TRAFFIC_DST_MULTICAST:
		return &multicast_mac;
	case TRAFFIC_DST_FOREIGN:
		return &foreign_mac;
	case TRAFFIC_DST_OWN:
		break;
	}
	return &spec->dmac;
}

/* Ethernet header and tag. Returns their size. */
static uint32_t
put_ethernet(const struct traffic_spec *spec, const struct traffic_id *id, bool back, uint8_t *out)
{
	struct rte_ether_hdr eth = {.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	const int vlan = back ? spec->out_vlan : spec->vlan;

	eth.dst_addr = *destination(spec, id);
	eth.src_addr = source_mac;
	if (back && spec->change == TRAFFIC_CHANGE_SWAP) {
		eth.src_addr = eth.dst_addr;
		eth.dst_addr = source_mac;
	} else if (back && spec->change == TRAFFIC_CHANGE_MACS) {
		eth.src_addr = spec->out_smac;
		eth.dst_addr = spec->out_dmac;
	}
	if (vlan != TRAFFIC_NO_VLAN) {
		const struct rte_vlan_hdr tag = {rte_cpu_to_be_16((uint16_t)vlan), eth.ether_type};

		eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		memcpy(out + sizeof(eth), &tag, sizeof(tag));
	}
	memcpy(out, &eth, sizeof(eth));
	return vlan == TRAFFIC_NO_VLAN ? sizeof(eth) : sizeof(eth) + TAG_SIZE;
}

/* IPv4, UDP and the mark, for @size bytes from the IPv4 header on. Returns their size. */
static uint32_t
put_headers(const struct traffic_id *id, uint32_t size, uint8_t *out)
{
	const struct traffic_mark mark = {MAGIC, id->job, id->stream, id->flow, id->seq};
	struct rte_ipv4_hdr ip = {
			.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16((uint16_t)size),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, id->stream, id->flow)),
			.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, id->stream, id->flow)),
	};
	const struct rte_udp_hdr udp = {
			.src_port = rte_cpu_to_be_16((uint16_t)(1024 + id->flow * 7)),
			.dst_port = rte_cpu_to_be_16(4789),
			.dgram_len = rte_cpu_to_be_16((uint16_t)(size - sizeof(ip))),
	};

	ip.hdr_checksum = rte_ipv4_cksum(&ip);
	memcpy(out, &ip, sizeof(ip));
	memcpy(out + sizeof(ip), &udp, sizeof(udp));
	memcpy(out + sizeof(ip) + sizeof(udp), &mark, sizeof(mark));
	return sizeof(ip) + sizeof(udp) + sizeof(mark);
}

uint32_t
traffic_build(const struct traffic_spec *spec, const struct traffic_id *id, bool back, uint8_t *out)
{
	const uint32_t sent_head = sizeof(struct rte_ether_hdr) +
			(spec->vlan != TRAFFIC_NO_VLAN ? TAG_SIZE : 0);
	const uint32_t head = put_ethernet(spec, id, back, out);
	const uint32_t size = traffic_size(spec, id) - sent_head + head;
	uint32_t at = head + put_headers(id, size - head, out + head);

	for (uint64_t word, i = 0; at < size; i++, at += sizeof(word)) {
		word = traffic_random(
				spec->seed + i, id->flow + (uint64_t)id->job * 65536, id->seq);
		memcpy(out + at, &word, RTE_MIN(sizeof(word), size - at));
	}
	return size;
}

bool
traffic_identify(const uint8_t *pkt, uint32_t pkt_len, struct traffic_id *id)
{
	uint32_t at = sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) +
			sizeof(struct rte_udp_hdr);
	struct rte_ether_hdr eth;
	struct traffic_mark mark;

	if (pkt_len < at + sizeof(mark))
		return false;
	memcpy(&eth, pkt, sizeof(eth));
	if (eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN))
		at += TAG_SIZE;
	if (pkt_len < at + sizeof(mark))
		return false;
	memcpy(&mark, pkt + at, sizeof(mark));
	*id = (struct traffic_id){mark.job, mark.stream, mark.flow, mark.seq};
	return mark.magic == MAGIC;
}
