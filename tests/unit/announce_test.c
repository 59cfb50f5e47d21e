/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/announce.c and address.c: what is told of a guest is what it told itself.
 */

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "address.h"
#include "announce.h"
#include "eal_fixture.h"
#include "forward.h"
#include "hold.h"

#define VID 100u
#define ETH_LEN 14u

static const uint8_t mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static struct rte_mempool *pool;

static struct address
make_address(enum address_family family, const char *ip)
{
	struct address address;

	memset(&address, 0, sizeof(address));
	address.vid = VID;
	address.family = family;
	memcpy(address.mac, mac, sizeof(mac));
	if (family != ADDRESS_NONE)
		assert_int_equal(inet_pton(family == ADDRESS_IPV4 ? AF_INET : AF_INET6, ip,
						 address.ip),
				1);
	return address;
}

/* The sum over big-endian words, as the Internet's checksum has it. */
static uint32_t
add_words(const uint8_t *data, unsigned int len)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < len; i += 2)
		sum += data[i] << 8 | data[i + 1];
	return sum;
}

static void
rarp_has_the_mac_and_nothing_else(void **state)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 3};
	static const uint8_t zeros[4];
	struct address address = make_address(ADDRESS_NONE, NULL);
	struct rte_mbuf *mbuf = announce_make(pool, &address);
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	(void)state;
	assert_int_equal(mbuf->pkt_len, 60);
	assert_memory_equal(data, "\xff\xff\xff\xff\xff\xff", 6);
	assert_memory_equal(data + 6, mac, 6);
	assert_memory_equal(data + 12, "\x80\x35", 2);
	assert_memory_equal(data + 14, head, sizeof(head));
	assert_memory_equal(data + 22, mac, 6);
	assert_memory_equal(data + 28, zeros, 4);
	assert_memory_equal(data + 32, mac, 6);
	assert_memory_equal(data + 38, zeros, 4);
	rte_pktmbuf_free(mbuf);
}

static void
gratuitous_arp_asks_for_the_senders_own_address(void **state)
{
	struct address address = make_address(ADDRESS_IPV4, "192.0.2.9");
	struct rte_mbuf *mbuf = announce_make(pool, &address);
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	(void)state;
	assert_memory_equal(data + 12, "\x08\x06", 2);
	assert_memory_equal(data + 20, "\0\1", 2);
	assert_memory_equal(data + 22, mac, 6);
	assert_memory_equal(data + 28, address.ip, 4);
	assert_memory_equal(data + 38, address.ip, 4);
	rte_pktmbuf_free(mbuf);
}

static void
advertisement_has_a_good_checksum(void **state)
{
	struct address address = make_address(ADDRESS_IPV6, "2001:db8::7");
	struct rte_mbuf *mbuf = announce_make(pool, &address);
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	const uint8_t *ip = data + ETH_LEN;
	uint32_t sum = add_words(ip + 8, 32) + 32 + 58 + add_words(ip + 40, 32);

	(void)state;
	assert_int_equal(mbuf->pkt_len, ETH_LEN + 40 + 32);
	assert_memory_equal(data, "\x33\x33\0\0\0\1", 6);
	assert_int_equal(ip[7], 255);
	assert_int_equal(ip[40], 136);
	assert_int_equal(ip[44], 0x20);
	assert_memory_equal(ip + 8, address.ip, 16);
	assert_memory_equal(ip + 48, address.ip, 16);
	assert_memory_equal(ip + 64, "\2\1", 2);
	assert_memory_equal(ip + 66, mac, 6);
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
	rte_pktmbuf_free(mbuf);
}

/* Note what is in a frame as if the guest had sent it. */
static void
note(struct address_table *table, struct rte_mbuf *mbuf)
{
	struct forward_pkt pkt = {
			.mbuf = mbuf,
			.eth = *rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *),
			.tci = VID,
			.l2_len = ETH_LEN,
	};

	address_note(table, &pkt);
	rte_pktmbuf_free(mbuf);
}

static void
what_is_announced_is_understood(void **state)
{
	struct address_table *table = address_table_create();
	struct address v4 = make_address(ADDRESS_IPV4, "192.0.2.9");
	struct address v6 = make_address(ADDRESS_IPV6, "fe80::1");
	struct address none = make_address(ADDRESS_NONE, NULL);
	struct address list[ADDRESS_MAX];

	(void)state;
	note(table, announce_make(pool, &v4));
	note(table, announce_make(pool, &v6));
	note(table, announce_make(pool, &v4));
	note(table, announce_make(pool, &none));
	assert_int_equal(address_list(table, list), 2);
	assert_memory_equal(&list[0], &v4, sizeof(v4));
	assert_memory_equal(&list[1], &v6, sizeof(v6));
	address_table_destroy(table);
}

static void
solicitation_tells_who_asks_or_what_is_claimed(void **state)
{
	struct address_table *table = address_table_create();
	struct address own = make_address(ADDRESS_IPV6, "fe80::1");
	struct address other = make_address(ADDRESS_IPV6, "fe80::2");
	struct address list[ADDRESS_MAX];
	struct rte_mbuf *mbuf = announce_make(pool, &own);
	uint8_t *ip = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, ETH_LEN);

	(void)state;
	ip[40] = 135;
	memcpy(ip + 48, other.ip, 16);
	note(table, mbuf);
	assert_int_equal(address_list(table, list), 1);
	assert_memory_equal(&list[0], &own, sizeof(own));
	/* Is it free? it asks, without having an address. */
	mbuf = announce_make(pool, &other);
	ip = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, ETH_LEN);
	ip[40] = 135;
	memset(ip + 8, 0, 16);
	note(table, mbuf);
	assert_int_equal(address_list(table, list), 2);
	assert_memory_equal(&list[0], &other, sizeof(other));
	address_table_destroy(table);
}

static void
what_a_guest_says_of_others_is_not_noted(void **state)
{
	struct address_table *table = address_table_create();
	struct address v4 = make_address(ADDRESS_IPV4, "192.0.2.9");
	struct address list[ADDRESS_MAX];
	struct rte_mbuf *mbuf = announce_make(pool, &v4);

	(void)state;
	rte_pktmbuf_mtod(mbuf, uint8_t *)[22] ^= 4;
	note(table, mbuf);
	mbuf = announce_make(pool, &v4);
	rte_pktmbuf_trim(mbuf, mbuf->pkt_len - ETH_LEN - 20);
	note(table, mbuf);
	assert_int_equal(address_list(table, list), 0);
	address_table_destroy(table);
}

static void
oldest_address_gives_way(void **state)
{
	struct address_table *table = address_table_create();
	struct address address = make_address(ADDRESS_IPV4, "192.0.2.0");
	struct address list[ADDRESS_MAX];

	(void)state;
	for (unsigned int i = 0; i < ADDRESS_MAX + 3; i++) {
		address.ip[3] = i;
		address_add(table, &address);
	}
	assert_int_equal(address_list(table, list), ADDRESS_MAX);
	assert_int_equal(list[0].ip[3], ADDRESS_MAX + 2);
	assert_int_equal(list[ADDRESS_MAX - 1].ip[3], 3);
	address_table_destroy(table);
}

static int
group_setup(void **state)
{
	(void)state;
	pool = rte_pktmbuf_pool_create("test", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool != NULL ? 0 : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	return rte_mempool_avail_count(pool) == 255 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(rarp_has_the_mac_and_nothing_else),
			cmocka_unit_test(gratuitous_arp_asks_for_the_senders_own_address),
			cmocka_unit_test(advertisement_has_a_good_checksum),
			cmocka_unit_test(what_is_announced_is_understood),
			cmocka_unit_test(solicitation_tells_who_asks_or_what_is_claimed),
			cmocka_unit_test(what_a_guest_says_of_others_is_not_noted),
			cmocka_unit_test(oldest_address_gives_way),
	};

	if (eal_fixture_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
