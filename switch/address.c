/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The addresses of a port's guest: address.h.
 */

#include <string.h>
#include <time.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "address.h"
#include "forward.h"
#include "vlan.h"

#define ND_SOLICITATION 135u
#define ND_ADVERTISEMENT 136u
#define ND_HOP_LIMIT 255u
#define ICMPV6 58u

struct address_table {
	rte_spinlock_t lock;
	unsigned int nb; /* in @list, the latest first */
	struct address list[ADDRESS_MAX];
};

/** What neighbour discovery has after the IPv6 header; of solicitation and advertisement. */
struct nd_packet {
	struct rte_ipv6_hdr ip;
	uint8_t type;
	uint8_t code;
	uint16_t checksum;
	uint32_t flags;
	uint8_t target[16];
} __attribute__((packed));

struct address_table *
address_table_create(void)
{
	struct address_table *table = rte_zmalloc("addresses", sizeof(*table), RTE_CACHE_LINE_SIZE);

	if (table != NULL)
		rte_spinlock_init(&table->lock);
	return table;
}

void
address_table_destroy(struct address_table *table)
{
	rte_free(table);
}

/* Under lock: to the front. */
static void
insert(struct address_table *table, const struct address *address)
{
	unsigned int i = 0;

	while (i < table->nb && memcmp(&table->list[i], address, sizeof(*address)) != 0)
		i++;
	if (i == table->nb && table->nb < ADDRESS_MAX)
		table->nb++;
	if (i == ADDRESS_MAX)
		i--;
	memmove(&table->list[1], &table->list[0], i * sizeof(table->list[0]));
	table->list[0] = *address;
}

/* The sender's address of an ARP packet. */
static bool
read_arp(const struct forward_pkt *pkt, struct address *address)
{
	struct rte_arp_hdr arp;
	const void *data = rte_pktmbuf_read(pkt->mbuf, pkt->l2_len, sizeof(arp), &arp);

	if (data == NULL)
		return false;
	if (data != &arp)
		memcpy(&arp, data, sizeof(arp));
	/* A guest may change the data: from here on only the copy counts. */
	rte_compiler_barrier();
	if (arp.arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
			arp.arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) || arp.arp_hlen != 6 ||
			arp.arp_plen != 4 || arp.arp_data.arp_sip == 0 ||
			!rte_is_same_ether_addr(&arp.arp_data.arp_sha, &pkt->eth.src_addr))
		return false;
	address->family = ADDRESS_IPV4;
	memcpy(address->ip, &arp.arp_data.arp_sip, 4);
	return true;
}

/* Who asks, or, when it has no address yet or advertises one, the address in question. */
static bool
read_nd(const struct forward_pkt *pkt, struct address *address)
{
	static const uint8_t unspecified[16];
	struct nd_packet packet;
	const void *data = rte_pktmbuf_read(pkt->mbuf, pkt->l2_len, sizeof(packet), &packet);
	const uint8_t *ip;

	if (data == NULL)
		return false;
	if (data != &packet)
		memcpy(&packet, data, sizeof(packet));
	rte_compiler_barrier();
	if (packet.ip.proto != ICMPV6 || packet.ip.hop_limits != ND_HOP_LIMIT ||
			(packet.type != ND_SOLICITATION && packet.type != ND_ADVERTISEMENT))
		return false;
	ip = (const uint8_t *)&packet.ip.src_addr;
	if (packet.type == ND_ADVERTISEMENT || memcmp(ip, unspecified, sizeof(unspecified)) == 0)
		ip = packet.target;
	if (ip[0] == 0xff || memcmp(ip, unspecified, sizeof(unspecified)) == 0)
		return false;
	address->family = ADDRESS_IPV6;
	memcpy(address->ip, ip, sizeof(address->ip));
	return true;
}

void
address_note(struct address_table *table, const struct forward_pkt *pkt)
{
	struct address address;
	bool found = false;

	memset(&address, 0, sizeof(address));
	if (pkt->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		found = read_arp(pkt, &address);
	else if (pkt->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		found = read_nd(pkt, &address);
	if (!found || !rte_spinlock_trylock(&table->lock))
		return;
	address.vid = pkt->tci & VLAN_ID_MASK;
	memcpy(address.mac, &pkt->eth.src_addr, sizeof(address.mac));
	insert(table, &address);
	rte_spinlock_unlock(&table->lock);
}

/* The control thread may run ahead of a worker that holds the lock: it must let it go on. */
static void
control_lock(struct address_table *table)
{
	const struct timespec ts = {.tv_nsec = 10000};

	while (!rte_spinlock_trylock(&table->lock))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

void
address_add(struct address_table *table, const struct address *address)
{
	control_lock(table);
	insert(table, address);
	rte_spinlock_unlock(&table->lock);
}

unsigned int
address_list(struct address_table *table, struct address list[ADDRESS_MAX])
{
	unsigned int nb;

	control_lock(table);
	nb = table->nb;
	memcpy(list, table->list, nb * sizeof(list[0]));
	rte_spinlock_unlock(&table->lock);
	return nb;
}
