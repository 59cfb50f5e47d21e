/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packets: making them, and what an application does with a burst between receiving and sending.
 */

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#include "side.h"

/* The VLAN of tagged packets. */
#define VLAN_ID 100u

/* Bytes that a packet has before its tag is put on. */
static uint32_t
size_untagged(const struct point *point, uint32_t size)
{
	return point->vlan ? size - (uint32_t)sizeof(struct rte_vlan_hdr) : size;
}

/* As many mbufs as the point asks for, or as its bytes take. */
static uint32_t
size_segs(const struct point *point, uint32_t size)
{
	return RTE_MAX(point->nb_segs, (size + point->mbuf_room - 1) / point->mbuf_room);
}

/* Make a chain of @nb mbufs that has @size bytes, about as many in each. */
static void
pkt_chain(struct rte_mbuf **segs, uint32_t nb, uint32_t size)
{
	struct rte_mbuf *head = segs[0];
	const uint32_t each = (size + nb - 1) / nb;
	uint32_t left = size;

	for (uint32_t i = 0; i < nb; i++) {
		segs[i]->data_len = (uint16_t)RTE_MIN(each, left);
		left -= segs[i]->data_len;
		segs[i]->next = i + 1 < nb ? segs[i + 1] : NULL;
	}
	head->nb_segs = (uint16_t)nb;
	head->pkt_len = size;
}

bool
pkt_make_bulk(const struct side *side, const struct end *end, uint32_t number,
		struct rte_mbuf **pkts, uint16_t nb)
{
	const struct point *point = side->point;
	struct rte_mbuf *segs[MAX_BURST * MAX_SEGS];
	uint32_t sizes[MAX_BURST];
	uint32_t nb_segs[MAX_BURST];
	uint32_t total = 0;
	uint32_t at = 0;

	for (uint16_t i = 0; i < nb; i++) {
		sizes[i] = size_untagged(point, point->sizes[(number + i) % point->nb_sizes]);
		nb_segs[i] = size_segs(point, sizes[i]);
		total += nb_segs[i];
	}
	if (rte_pktmbuf_alloc_bulk(end->pool, segs, total) != 0)
		return false;
	for (uint16_t i = 0; i < nb; i++) {
		pkt_chain(&segs[at], nb_segs[i], sizes[i]);
		pkts[i] = segs[at];
		pkts[i]->vlan_tci = VLAN_ID;
		at += nb_segs[i];
	}
	return true;
}

static void
addr_set(struct rte_ether_addr *addr, uint32_t end, uint32_t number)
{
	const uint32_t low = rte_cpu_to_be_32(number);

	addr->addr_bytes[0] = 2;
	addr->addr_bytes[1] = (uint8_t)end;
	memcpy(&addr->addr_bytes[2], &low, sizeof(low));
}

/* Headers of a UDP packet to the neighbour @end ^ 1, so that a switch finds the way. */
static void
pkt_fill_head(struct rte_mbuf *mbuf, uint32_t flow, uint32_t end)
{
	const uint32_t size = mbuf->pkt_len;
	struct {
		struct rte_ether_hdr eth;
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
	} __attribute__((packed, aligned(2))) head = {
			.eth.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
			.ip.version_ihl = RTE_IPV4_VHL_DEF,
			.ip.time_to_live = 64,
			.ip.next_proto_id = 17,
			.ip.src_addr = rte_cpu_to_be_32(0x0a000001),
			.ip.dst_addr = rte_cpu_to_be_32(0x0a000002),
			.udp.src_port = rte_cpu_to_be_16((uint16_t)(1000 + flow)),
			.udp.dst_port = rte_cpu_to_be_16(4789),
	};

	addr_set(&head.eth.dst_addr, end ^ 1, 0);
	addr_set(&head.eth.src_addr, end, 0);
	head.ip.total_length = rte_cpu_to_be_16((uint16_t)(size - sizeof(head.eth)));
	head.udp.dgram_len =
			rte_cpu_to_be_16((uint16_t)(size - sizeof(head.eth) - sizeof(head.ip)));
	memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), &head, sizeof(head));
}

struct rte_mbuf *
pkt_make(const struct side *side, uint32_t number, uint32_t flow, uint32_t end)
{
	struct rte_mbuf *mbuf;

	if (!pkt_make_bulk(side, &side->ends[end], number, &mbuf, 1))
		return NULL;
	for (struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next)
		memset(rte_pktmbuf_mtod(seg, uint8_t *), (int)flow, seg->data_len);
	pkt_fill_head(mbuf, flow, end);
	return mbuf;
}

static void
pkt_swap_addrs(struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	const struct rte_ether_addr addr = eth->dst_addr;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = addr;
}

/* Change every byte behind the IP header: a packet that looks like a fragment would wait for others
 * in the kernel, whose packet sockets put fragments together. */
static void
pkt_rewrite(struct rte_mbuf *mbuf)
{
	uint32_t skip = sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr);

	for (struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next) {
		uint8_t *data = rte_pktmbuf_mtod(seg, uint8_t *);
		uint32_t i = RTE_MIN(skip, (uint32_t)seg->data_len);

		skip = 0;
		for (; i + sizeof(uint64_t) <= seg->data_len; i += sizeof(uint64_t)) {
			uint64_t word;

			memcpy(&word, data + i, sizeof(word));
			word ^= UINT64_C(0x0101010101010101);
			memcpy(data + i, &word, sizeof(word));
		}
		for (; i < seg->data_len; i++)
			data[i] ^= 1;
	}
}

/* Take the tag off, unless the driver did; the mbuf keeps what was in it. */
static void
pkt_untag(const struct side *side, struct rte_mbuf *mbuf)
{
	if (!side->ends[0].strips_vlan)
		rte_vlan_strip(mbuf);
}

/* Put the tag on, or let the driver do so. rte_vlan_insert() refuses mbufs with memory that is not
 * the mempool's, such as those of net_avp, even when nobody else has it. */
static void
pkt_tag(const struct side *side, struct rte_mbuf *mbuf)
{
	char *old;
	char *new;
	unaligned_uint16_t *tag;

	if (side->ends[0].inserts_vlan) {
		mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
		return;
	}
	old = rte_pktmbuf_mtod(mbuf, char *);
	new = rte_pktmbuf_prepend(mbuf, sizeof(struct rte_vlan_hdr));
	if (new == NULL)
		return; /* not so: there is headroom, as a tag was taken off, or none was ever on */
	memmove(new, old, 2 * RTE_ETHER_ADDR_LEN);
	tag = (unaligned_uint16_t *)(new + 2 * RTE_ETHER_ADDR_LEN);
	tag[0] = rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN);
	tag[1] = rte_cpu_to_be_16(mbuf->vlan_tci);
}

/* From the end's next MAC to one of its neighbour's: of as many as the switch is to know. Those of
 * senders come in turn, so that all are learned; those of receivers in no order. */
static void
pkt_next_addrs(struct side *side, uint32_t end, struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	const uint32_t each = side->point->nb_macs / side->nb_ends;

	side->random = side->random * 1664525u + 1013904223u;
	side->next_mac[end] = side->next_mac[end] + 1 < each ? side->next_mac[end] + 1 : 0;
	addr_set(&eth->src_addr, end, side->next_mac[end]);
	addr_set(&eth->dst_addr, end ^ 1, (uint32_t)(((uint64_t)side->random * each) >> 32));
}

void
pkts_tag(const struct side *side, struct rte_mbuf **pkts, uint16_t nb)
{
	if (!side->point->vlan)
		return;
	for (uint16_t i = 0; i < nb; i++)
		pkt_tag(side, pkts[i]);
}

void
pkts_work(struct side *side, uint32_t end, struct rte_mbuf **pkts, uint16_t nb)
{
	const struct point *point = side->point;

	if (point->work == WORK_IO && !point->vlan)
		return;
	for (uint16_t i = 0; i < nb; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint16_t i = 0; i < nb && point->vlan; i++)
		pkt_untag(side, pkts[i]);
	if (point->nb_macs > 0) {
		for (uint16_t i = 0; i < nb; i++)
			pkt_next_addrs(side, end, pkts[i]);
	} else if (point->work != WORK_IO) {
		for (uint16_t i = 0; i < nb; i++)
			pkt_swap_addrs(pkts[i]);
	}
	for (uint16_t i = 0; i < nb && point->work == WORK_FULL && side->id == SIDE_GUEST; i++)
		pkt_rewrite(pkts[i]);
}
