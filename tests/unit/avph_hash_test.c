/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Flow hash of the host port: what makes a flow, that nothing behind the data is read, and that
 * flows spread.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_mbuf.h>

#include "avph_hash.h"

#define ETH "\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
#define VLAN "\x81\0\0\x05"
#define QINQ "\x88\xa8\0\x06"
#define IPV4 "\x08\0\x45\0\0\x40\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02"
#define PORTS "\x12\x34\x12\xb5"
#define IPV6                                                                                       \
	"\x86\xdd\x60\0\0\0\0\x20\x06\x40\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xfe\x80\0\0\0\0\0" \
	"\0\0\0\0\0\0\0\0\x02"

/* Hash of bytes in memory of just their size, so that a sanitizer sees a read behind them. */
static uint32_t
hash_of(const void *data, uint16_t size)
{
	struct rte_mbuf mbuf = {.nb_segs = 1, .data_len = size, .pkt_len = size};
	uint32_t hash;

	mbuf.buf_addr = malloc(size);
	assert_non_null(mbuf.buf_addr);
	memcpy(mbuf.buf_addr, data, size);
	hash = avph_hash_headers(&mbuf);
	free(mbuf.buf_addr);
	return hash;
}

#define HASH(bytes) hash_of(bytes, sizeof(bytes) - 1)

static void
a_flow_is_addresses_protocol_and_ports(void **state)
{
	static const char base[] = ETH IPV4 PORTS "payload";
	const uint32_t hash = HASH(base);
	/* addresses, protocol, both ports: from the start of the packet */
	static const unsigned int matters[] = {23, 26, 29, 30, 33, 34, 35, 36, 37};
	/* MAC addresses, length, id, time to live, checksum, payload */
	static const unsigned int does_not[] = {0, 5, 6, 11, 16, 17, 18, 19, 22, 24, 25, 38, 40};
	char changed[sizeof(base)];

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(matters); i++) {
		memcpy(changed, base, sizeof(base));
		changed[matters[i]] ^= 1;
		assert_int_not_equal(HASH(changed), hash);
	}
	for (unsigned int i = 0; i < RTE_DIM(does_not); i++) {
		memcpy(changed, base, sizeof(base));
		changed[does_not[i]] ^= 1;
		assert_int_equal(HASH(changed), hash);
	}
}

static void
a_flow_in_ipv6_is_the_same(void **state)
{
	static const char base[] = ETH IPV6 PORTS "payload";
	const uint32_t hash = HASH(base);
	static const unsigned int matters[] = {20, 22, 37, 38, 53, 54, 57};
	static const unsigned int does_not[] = {0, 6, 15, 17, 18, 21, 58};
	char changed[sizeof(base)];

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(matters); i++) {
		memcpy(changed, base, sizeof(base));
		changed[matters[i]] ^= 1;
		assert_int_not_equal(HASH(changed), hash);
	}
	for (unsigned int i = 0; i < RTE_DIM(does_not); i++) {
		memcpy(changed, base, sizeof(base));
		changed[does_not[i]] ^= 1;
		assert_int_equal(HASH(changed), hash);
	}
}

static void
tags_do_not_hide_the_flow(void **state)
{
	(void)state;
	assert_int_equal(HASH(ETH VLAN IPV4 PORTS), HASH(ETH IPV4 PORTS));
	assert_int_equal(HASH(ETH QINQ VLAN IPV4 PORTS), HASH(ETH IPV4 PORTS));
	assert_int_equal(HASH(ETH VLAN IPV6 PORTS), HASH(ETH IPV6 PORTS));
	/* a third one does: then the MAC addresses decide */
	assert_int_equal(HASH(ETH VLAN VLAN VLAN IPV4 PORTS), HASH(ETH VLAN VLAN VLAN IPV4));
}

static void
fragments_stay_together(void **state)
{
	static const char first[] = ETH "\x08\0\x45\0\0\x40\0\0\x20\0\x40\x11\0\0\x0a\0\0\x01\x0a"
					"\0\0\x02\x11\x22\x33\x44";
	static const char last[] = ETH "\x08\0\x45\0\0\x40\0\0\0\x40\x40\x11\0\0\x0a\0\0\x01\x0a\0"
				       "\0\x02\x55\x66\x77\x88";

	(void)state;
	assert_int_equal(HASH(first), HASH(last));
}

static void
options_of_ipv4_are_skipped(void **state)
{
	static const char one[] = ETH "\x08\0\x46\0\0\x40\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0"
				      "\x02\x01\x01\x01\x01" PORTS;
	static const char two[] = ETH "\x08\0\x46\0\0\x40\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0"
				      "\x02\x02\x02\x02\x02" PORTS;

	(void)state;
	assert_int_equal(HASH(one), HASH(two));
}

static void
other_packets_go_by_their_addresses(void **state)
{
	static const char arp[] = ETH "\x08\x06\0\x01\x08\0\x06\x04";
	char changed[sizeof(arp)];

	(void)state;
	memcpy(changed, arp, sizeof(arp));
	changed[20] ^= 1;
	assert_int_equal(HASH(changed), HASH(arp));
	changed[11] ^= 1;
	assert_int_not_equal(HASH(changed), HASH(arp));
}

static void
cut_and_random_packets_are_survived(void **state)
{
	static const char whole[] = ETH QINQ VLAN IPV6 PORTS;
	static const char ipv4[] = ETH VLAN IPV4 PORTS;
	const unsigned int seed = (unsigned int)time(NULL);
	uint8_t noise[100];

	(void)state;
	for (uint16_t size = 1; size < sizeof(whole); size++)
		hash_of(whole, size);
	for (uint16_t size = 1; size < sizeof(ipv4); size++)
		hash_of(ipv4, size);
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 20000; i++) {
		for (size_t n = 0; n < sizeof(noise); n++)
			noise[n] = (uint8_t)(rand() >> 8);
		memcpy(noise, whole, (size_t)rand() % sizeof(whole));
		hash_of(noise, (uint16_t)(1 + rand() % 100));
	}
}

static void
flows_spread_evenly(void **state)
{
	char pkt[] = ETH IPV4 PORTS;

	(void)state;
	for (uint32_t nb = 2; nb <= 8; nb++) {
		uint32_t hits[8] = {0};
		uint32_t hits_low[8] = {0};

		for (uint32_t flow = 0; flow < 8000; flow++) {
			pkt[34] = (char)(flow >> 8);
			pkt[35] = (char)flow;
			hits[avph_hash_choose(HASH(pkt), nb)]++;
			/* a NIC's hash may be just a small number */
			hits_low[avph_hash_choose(flow, nb)]++;
		}
		for (uint32_t i = 0; i < nb; i++) {
			assert_in_range(hits[i], 8000 / nb * 8 / 10, 8000 / nb * 12 / 10);
			assert_in_range(hits_low[i], 8000 / nb * 8 / 10, 8000 / nb * 12 / 10);
		}
	}
}

static void
the_hash_is_computed_once(void **state)
{
	struct rte_mbuf mbuf = {.nb_segs = 1, .data_len = 38, .pkt_len = 38};
	char pkt[] = ETH IPV4 PORTS;
	uint32_t hash;

	(void)state;
	mbuf.buf_addr = pkt;
	rte_mbuf_refcnt_set(&mbuf, 1);
	hash = avph_hash(&mbuf);
	assert_true(mbuf.ol_flags & RTE_MBUF_F_RX_RSS_HASH);
	pkt[35] ^= 1;
	assert_int_equal(avph_hash(&mbuf), hash);
	/* nothing is written into an mbuf that others have as well */
	mbuf.ol_flags = 0;
	rte_mbuf_refcnt_set(&mbuf, 2);
	assert_int_not_equal(avph_hash(&mbuf), hash);
	assert_int_equal(mbuf.ol_flags, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(a_flow_is_addresses_protocol_and_ports),
			cmocka_unit_test(a_flow_in_ipv6_is_the_same),
			cmocka_unit_test(tags_do_not_hide_the_flow),
			cmocka_unit_test(fragments_stay_together),
			cmocka_unit_test(options_of_ipv4_are_skipped),
			cmocka_unit_test(other_packets_go_by_their_addresses),
			cmocka_unit_test(cut_and_random_packets_are_survived),
			cmocka_unit_test(flows_spread_evenly),
			cmocka_unit_test(the_hash_is_computed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
