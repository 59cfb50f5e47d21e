/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The addresses of the guest of an AVP port, as it tells them in ARP and neighbour discovery: for
 * its announcement when it has moved. Only what is flooded is looked at, so that known unicast pays
 * nothing. A guest can claim what it likes; the table is small, and the oldest gives way.
 */

#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/** Addresses known of one port. */
#define ADDRESS_MAX 16u

struct address_table;
struct forward_pkt;

enum address_family {
	ADDRESS_NONE, /* just a MAC */
	ADDRESS_IPV4,
	ADDRESS_IPV6,
};

struct address {
	uint16_t vid;
	uint8_t mac[6];
	uint8_t family; /* enum address_family */
	uint8_t ip[16]; /* the first 4 of IPv4 */
};

/** Returns NULL without memory. */
struct address_table *address_table_create(void);
void address_table_destroy(struct address_table *table);

/** Note what a packet from the port tells. Context: worker; never waits. */
void address_note(struct address_table *table, const struct forward_pkt *pkt);

/** Add, as if it had been told. Control thread. */
void address_add(struct address_table *table, const struct address *address);

/** Copy what is known; returns how many, up to ADDRESS_MAX. Control thread. */
unsigned int address_list(struct address_table *table, struct address list[ADDRESS_MAX]);

#endif /* ADDRESS_H */
