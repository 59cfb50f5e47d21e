/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packets whose every byte follows from a few numbers: what is sent can be made again by whoever
 * receives it, and be compared.
 *
 * A packet is Ethernet, perhaps one VLAN tag, IPv4, UDP, struct traffic_mark, and a pattern to its
 * end. The flow decides addresses and ports, so a flow stays on one queue.
 */

#ifndef TRAFFIC_PKT_H
#define TRAFFIC_PKT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#define TRAFFIC_MAX_SIZE 9238u /* bytes: the contract's largest packet */
#define TRAFFIC_MAX_FLOWS 256u
#define TRAFFIC_MAX_RANGES 32u
#define TRAFFIC_NO_VLAN (-1)

/** What a packet says of itself, behind the UDP header. */
struct traffic_mark {
	uint32_t magic;
	uint32_t job; /* number of the job that sent it: older packets are known by it */
	uint16_t stream;
	uint16_t flow;
	uint32_t seq; /* in its flow, from 0 */
} __attribute__((packed));

/** Whom a packet is addressed to. */
enum traffic_dst {
	TRAFFIC_DST_OWN, /* traffic_spec.dmac */
	TRAFFIC_DST_BROADCAST,
	TRAFFIC_DST_MULTICAST,
	TRAFFIC_DST_FOREIGN, /* a unicast address that is nobody's */
};

/** What the guest does to a packet. */
enum traffic_change {
	TRAFFIC_CHANGE_NONE, /* testpmd's "io" */
	TRAFFIC_CHANGE_SWAP, /* "macswap": addresses exchanged */
	TRAFFIC_CHANGE_MACS, /* "mac": traffic_spec.out_smac and out_dmac */
};

struct traffic_range {
	uint32_t min; /* bytes, as sent, tag included, without FCS */
	uint32_t max;
};

/** All that decides the packets of a stream. */
struct traffic_spec {
	uint64_t seed;
	uint32_t nb_flows;
	struct traffic_range ranges[TRAFFIC_MAX_RANGES]; /* of sizes, taken in turn */
	uint32_t nb_ranges;
	bool mixed_dst;    /* all kinds of enum traffic_dst in turn, else own only */
	bool drop_foreign; /* the guest does not take what is not for it */
	int vlan;          /* TCI of the tag in the data, or TRAFFIC_NO_VLAN */
	int out_vlan;      /* tag expected back */
	enum traffic_change change;
	struct rte_ether_addr dmac;
	struct rte_ether_addr out_smac;
	struct rte_ether_addr out_dmac;
};

/** Identity of one packet. */
struct traffic_id {
	uint32_t job;
	uint16_t stream;
	uint16_t flow;
	uint32_t seq;
};

/** A number that follows from the arguments and looks random. */
uint64_t traffic_random(uint64_t seed, uint64_t a, uint64_t b);

enum traffic_dst traffic_dst_of(const struct traffic_spec *spec, const struct traffic_id *id);

/** Will the guest send this packet back? */
bool traffic_comes_back(const struct traffic_spec *spec, const struct traffic_id *id);

/** Bytes of the packet as sent. */
uint32_t traffic_size(const struct traffic_spec *spec, const struct traffic_id *id);

/**
 * Make a packet as it is sent, or with @back as it is expected from the guest.
 *
 * @out  room for TRAFFIC_MAX_SIZE + 4 bytes
 * Returns its size.
 */
uint32_t traffic_build(const struct traffic_spec *spec, const struct traffic_id *id, bool back,
		uint8_t *out);

/** Find the mark of a packet, with or without a tag. Returns false if it is none of ours. */
bool traffic_identify(const uint8_t *pkt, uint32_t pkt_len, struct traffic_id *id);

#endif /* TRAFFIC_PKT_H */
