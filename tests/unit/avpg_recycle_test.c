/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Buffers by pointer in the guest driver, against a host that gives what it should not: whatever it
 * does, no mbuf is handed out twice, none is lost, and nothing outside a buffer is written.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_map.h"
#include "avpg_port_fixture.h"

#define MBUF_ROOM 2048u

static struct avpg_fixture fixture;
static struct avpg_fixture *const f = &fixture;
static uint8_t bytes[AVP_MAX_PKT_SIZE + 1];
static uint32_t hold; /* devarg recycle_hold of the next port; 0: default */

/* A device that offers it, with what it says of its buffers, and a driver that wants it. */
static void
begin(uint32_t stride, bool wanted)
{
	struct avpg_fake_conf conf = avpg_fake_default;

	conf.features = AVP_FEATURE_RECYCLE;
	fixture_create(f, &conf, MBUF_ROOM);
	f->fake->info->buf_stride = stride;
	f->fake->hw.recycle = wanted;
	f->fake->hw.recycle_hold = hold;
	/* the port has read it before we changed it */
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->fake->destroyed = false;
	fixture_probe(f);
	fixture_start(f, 2, 2);
}

static int
setup(void **state __rte_unused)
{
	begin(AVPG_FAKE_BUF_DATA_OFF + 2048, true);
	return 0;
}

static int
teardown(void **state __rte_unused)
{
	rte_eth_dev_stop(f->port_id);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->port = NULL;
	/* everybody but the device has let go of it */
	assert_int_equal(atomic_load(&f->fake->hw.map->users), 1);
	f->fake->destroyed = false;
	fixture_destroy(f);
	return 0;
}

static uint16_t
receive(uint16_t q, struct rte_mbuf **pkts, uint16_t nb)
{
	return rte_eth_rx_burst(f->port_id, q, pkts, nb);
}

static uint64_t
label(uint32_t n)
{
	return avpg_fake_buf_va(f->fake, avpg_fake_own_buf(f->fake) + n);
}

static void
put(uint32_t q, uint64_t va)
{
	assert_true(avpg_fake_put(&f->fake->rx[q], va));
}

/* @n is all that comes back on a free FIFO. */
static void
expect_freed(uint32_t q, uint32_t n)
{
	struct rte_mbuf *m;
	uint64_t va;

	assert_int_equal(receive((uint16_t)q, &m, 1), 0);
	assert_true(avpg_fake_get(&f->fake->free[q], &va));
	assert_int_equal(va, label(n));
	assert_false(avpg_fake_get(&f->fake->free[q], &va));
}

static void
expect_none_freed(uint32_t q)
{
	struct rte_mbuf *m;
	uint64_t va;

	assert_int_equal(receive((uint16_t)q, &m, 1), 0);
	assert_false(avpg_fake_get(&f->fake->free[q], &va));
}

static void
it_is_accepted_if_offered_and_wanted(void **state)
{
	/* what follows from a stride must hold: an odd number of cache lines, and room for data */
	static const struct {
		uint32_t stride;
		bool wanted;
		bool accepted;
	} cases[] = {
			{AVPG_FAKE_BUF_DATA_OFF + 2048, false, false},
			{AVPG_FAKE_BUF_DATA_OFF + 2048, true, true},
			{0, true, false},
			{64, true, false},
			{100, true, false},
			{2048, true, false},
			{65536 + 64, true, false},
			{UINT32_MAX, true, false},
			{65472, true, true},
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rte_mbuf *m;

		begin(cases[i].stride, cases[i].wanted);
		assert_int_equal(f->fake->config.features & AVP_FEATURE_RECYCLE,
				cases[i].accepted ? AVP_FEATURE_RECYCLE : 0);
		if (cases[i].stride != 65472) {
			fixture_host_send(f, 0, 0, 100, 2048);
			assert_int_equal(receive(0, &m, 1), 1);
			rte_pktmbuf_free(m);
			assert_int_equal(fixture_xstat(f, "rx_q0_by_pointer"), cases[i].accepted);
		}
		teardown(state);
	}
}

static void
a_packet_lies_where_the_host_put_it(void **state __rte_unused)
{
	struct rte_mbuf *m;

	fixture_host_send(f, 0, 3, 100, 2048);
	assert_int_equal(receive(0, &m, 1), 1);
	assert_ptr_equal(rte_pktmbuf_mtod(m, uint8_t *),
			avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake) + 3));
	fixture_bytes(bytes, 100, 3);
	fixture_check_mbuf(m, bytes, 100);
	/* all of the buffer but the descriptor is its room */
	assert_ptr_equal(m->buf_addr, avpg_fake_desc(f->fake, avpg_fake_own_buf(f->fake) + 3) + 1);
	assert_int_equal(m->buf_len, AVPG_FAKE_BUF_DATA_OFF + 2048 - sizeof(struct avp_desc));
	expect_none_freed(0);
	rte_pktmbuf_free(m);
	expect_freed(0, 3);
}

static void
what_is_sent_back_has_a_whole_descriptor(void **state __rte_unused)
{
	struct avp_desc *desc;
	struct rte_mbuf *m;
	uint64_t va;

	desc = fixture_host_send(f, 0, 5, 200, 2048);
	assert_int_equal(receive(0, &m, 1), 1);
	/* the host may have changed it since */
	memset(desc, 0xa5, sizeof(*desc));
	assert_non_null(rte_pktmbuf_prepend(m, 10));
	assert_int_equal(rte_pktmbuf_trim(m, 60), 0);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 1, &m, 1), 1);
	assert_true(avpg_fake_get(&f->fake->tx[1], &va));
	assert_int_equal(va, label(5));
	assert_int_equal(desc->desc_va, va);
	assert_int_equal(desc->next_va, 0);
	assert_int_equal(desc->data_va, va + AVPG_FAKE_BUF_DATA_OFF - 10);
	assert_int_equal(desc->data_len, 150);
	assert_int_equal(desc->pkt_len, 150);
	assert_int_equal(desc->nb_segs, 1);
	assert_int_equal(desc->ol_flags, 0);
	assert_int_equal(desc->vlan_tci, 0);
	assert_int_equal(fixture_xstat(f, "tx_q1_by_pointer"), 1);
	expect_none_freed(0);
}

/* Not even where the data is to go. */
static void
nothing_is_taken_from_an_empty_buffers_descriptor(void **state __rte_unused)
{
	static uint8_t got[AVP_MAX_PKT_SIZE];
	struct avp_desc head;
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < avpg_fake_own_buf(f->fake); i++)
		memset(avpg_fake_desc(f->fake, i), 0xff, sizeof(head));
	for (uint32_t len = 60; len <= 9000; len += 2980) {
		m = fixture_mbuf(f, len, 2048, len);
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), len);
		fixture_bytes(bytes, len, len);
		assert_memory_equal(got, bytes, len);
		assert_int_equal(head.data_va, head.desc_va + AVPG_FAKE_BUF_DATA_OFF);
		assert_int_equal(head.ol_flags, 0);
	}
	assert_int_equal(fixture_xstat(f, "tx_q0_bad_buffer"), 0);
}

static void
an_mbuf_stays_with_its_buffer(void **state __rte_unused)
{
	struct rte_mbuf *first, *m;
	unsigned int in_use;
	uint64_t va;

	fixture_host_send(f, 0, 0, 100, 2048);
	assert_int_equal(receive(0, &first, 1), 1);
	in_use = rte_mempool_in_use_count(f->pool);
	m = first;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_true(avpg_fake_get(&f->fake->tx[0], &va));
		fixture_host_send(f, 0, 0, 100, 2048);
		assert_int_equal(receive(0, &m, 1), 1);
		assert_ptr_equal(m, first);
	}
	assert_int_equal(rte_mempool_in_use_count(f->pool), in_use);
	rte_pktmbuf_free(m);
}

static void
a_buffer_given_twice_is_dropped(void **state __rte_unused)
{
	struct rte_mbuf *pkts[2];

	fixture_host_send(f, 0, 0, 100, 2048);
	put(0, label(0));
	assert_int_equal(receive(0, pkts, 2), 1);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_in_use"), 1);
	put(0, label(0));
	assert_int_equal(receive(0, &pkts[1], 1), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_in_use"), 2);
	/* in a chain behind another one */
	fixture_host_send(f, 0, 1, 3000, 2048)->next_va = label(0);
	avpg_fake_desc_at(f->fake, label(0))->data_len = 952;
	assert_int_equal(receive(0, &pkts[1], 1), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_in_use"), 3);
	rte_pktmbuf_free(pkts[0]);
	expect_freed(0, 0);
}

static void
a_chain_with_one_buffer_twice_is_dropped(void **state __rte_unused)
{
	struct avp_desc *desc = fixture_host_send(f, 0, 0, 2000, 1000);
	struct rte_mbuf *m;

	avpg_fake_desc_at(f->fake, desc->next_va)->next_va = label(0);
	desc->nb_segs = 3;
	desc->pkt_len = 3000;
	assert_int_equal(receive(0, &m, 1), 0);
	/* the loop is seen either way */
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_in_use") +
					fixture_xstat(f, "rx_q0_drop_bad_chain"),
			1);
}

static void
two_queues_never_share_an_mbuf(void **state __rte_unused)
{
	struct rte_mbuf *a, *b;
	uint64_t va;

	fixture_host_send(f, 0, 0, 100, 2048);
	put(1, label(0));
	assert_int_equal(receive(0, &a, 1), 1);
	assert_int_equal(receive(1, &b, 1), 1);
	assert_ptr_not_equal(a, b);
	/* the second is sent, then the first: the table that is asked knows only one of them */
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &b, 1), 1);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &a, 1), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_by_pointer"), 1);
	assert_true(avpg_fake_get(&f->fake->tx[0], &va));
	assert_int_equal(va, label(0));
	assert_true(avpg_fake_get(&f->fake->tx[0], &va));
	assert_int_not_equal(va, label(0));
}

static void
labels_and_data_must_be_of_a_buffer(void **state __rte_unused)
{
	struct avp_desc copy, *desc;
	struct rte_mbuf *m;

	/* else what lies elsewhere is for others */
	assert_int_equal(rte_eth_promiscuous_enable(f->port_id), 0);
	/* a good descriptor, not at the start of a buffer */
	desc = fixture_host_send(f, 0, 0, 100, 2048);
	copy = *desc;
	assert_int_equal(receive(0, &m, 1), 1);
	rte_pktmbuf_free(m);
	memcpy((uint8_t *)desc + 64, &copy, sizeof(copy));
	put(0, label(0) + 64);
	assert_int_equal(receive(0, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_bad_label"), 1);
	/* data in the next buffer, in the descriptor, and over the end */
	fixture_host_send(f, 0, 1, 100, 2048)->data_va = label(2) + AVPG_FAKE_BUF_DATA_OFF;
	fixture_host_send(f, 0, 3, 100, 2048)->data_va = label(3) + 63;
	fixture_host_send(f, 0, 4, 2000, 2048)->data_va = label(4) + AVPG_FAKE_BUF_DATA_OFF + 49;
	for (int i = 0; i < 3; i++)
		assert_int_equal(receive(0, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_bad_segment"), 3);
	/* just within */
	fixture_host_send(f, 0, 5, 2000, 2048)->data_va = label(5) + AVPG_FAKE_BUF_DATA_OFF + 48;
	fixture_host_send(f, 0, 6, 2000, 2048)->data_va = label(6) + 64;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(receive(0, &m, 1), 1);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(fixture_xstat(f, "rx_q0_by_pointer"), 3);
}

static void
each_buffer_of_a_chain_is_given_back_by_itself(void **state __rte_unused)
{
	struct rte_mbuf *m, *last;
	uint64_t va;

	fixture_host_send(f, 1, 0, 5000, 2048);
	assert_int_equal(receive(1, &m, 1), 1);
	assert_int_equal(m->nb_segs, 3);
	last = rte_pktmbuf_lastseg(m);
	m->next->next = NULL;
	m->nb_segs = 2;
	rte_pktmbuf_free(last);
	expect_freed(1, 2);
	rte_pktmbuf_free(m);
	assert_int_equal(receive(1, &m, 1), 0);
	assert_int_equal(avpg_fake_count(&f->fake->free[1]), 2);
	/* a dropped one gives back all of them, too */
	while (avpg_fake_get(&f->fake->free[1], &va))
		;
	fixture_host_send(f, 1, 0, 5000, 2048)->pkt_len = 5001;
	assert_int_equal(receive(1, &m, 1), 0);
	assert_int_equal(avpg_fake_count(&f->fake->free[1]), 3);
}

static void
a_full_free_fifo_is_waited_for(void **state __rte_unused)
{
	static struct rte_mbuf *pkts[90];
	struct rte_mbuf *m;
	uint32_t nb = 0;
	uint64_t va;

	/* the host takes nothing back, for more than fits */
	for (uint32_t i = 0; i < 90; i++) {
		fixture_host_send(f, 0, i, 100, 2048);
		assert_int_equal(receive(0, &pkts[i], 1), 1);
		if (i % 30 == 29)
			rte_pktmbuf_free_bulk(&pkts[i - 29], 30);
	}
	assert_int_equal(receive(0, &m, 1), 0);
	assert_int_equal(avpg_fake_count(&f->fake->free[0]), 63);
	/* those that wait are not its to give */
	for (uint32_t i = 0; i < 90; i++) {
		if (!avpg_fake_put(&f->fake->rx[0], label(i)))
			break;
		if (receive(0, &m, 1) == 1)
			rte_pktmbuf_free(m);
	}
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_in_use"), 90 - 63);
	while (avpg_fake_get(&f->fake->free[0], &va))
		nb++;
	assert_int_equal(nb, 63);
	do {
		assert_int_equal(receive(0, &m, 1), 0);
		while (avpg_fake_get(&f->fake->free[0], &va))
			nb++;
	} while (nb < 90 + 63);
	assert_int_equal(receive(0, &m, 1), 0);
	assert_int_equal(avpg_fake_count(&f->fake->free[0]), 0);
}

static int
setup_hold_one(void **state)
{
	int ret;

	hold = 1;
	ret = setup(state);
	hold = 0;
	return ret;
}

/* The host may be waiting for us to receive, with the free FIFO full. */
static void
copies_are_received_with_a_full_free_fifo(void **state __rte_unused)
{
	struct rte_mbuf *first, *m;
	uint32_t nb = 0;
	uint64_t va;

	fixture_host_send(f, 0, 0, 100, 2048);
	assert_int_equal(receive(0, &first, 1), 1);
	for (uint32_t i = 1; i < 91; i++) {
		fixture_host_send(f, 0, i, 100, 2048);
		assert_int_equal(receive(0, &m, 1), 1);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(fixture_xstat(f, "rx_q0_copied_held"), 90);
	assert_int_equal(avpg_fake_count(&f->fake->free[0]), 63);
	while (avpg_fake_get(&f->fake->free[0], &va))
		nb++;
	assert_int_equal(receive(0, &m, 1), 0);
	while (avpg_fake_get(&f->fake->free[0], &va))
		nb++;
	assert_int_equal(nb, 90);
	rte_pktmbuf_free(first);
	expect_freed(0, 0);
}

/* mbufs of buffers that wait for room are the mempool's again when the port stops. */
static void
a_stop_with_a_full_free_fifo_loses_no_mbuf(void **state __rte_unused)
{
	struct rte_mbuf *pkts[32], *m;
	uint64_t va;

	/* idle mbufs for buffers 0..31 */
	for (uint32_t i = 0; i < 32; i++) {
		fixture_host_send(f, 0, i, 100, 2048);
		assert_int_equal(receive(0, &pkts[i], 1), 1);
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &pkts[i], 1), 1);
		assert_true(avpg_fake_get(&f->fake->tx[0], &va));
	}
	/* dropped, with a free FIFO that fills up */
	for (uint32_t i = 0; i < 96; i++) {
		fixture_host_send(f, 0, i % 32, 100, 2048)->pkt_len = 10;
		assert_int_equal(receive(0, &m, 1), 0);
	}
	assert_int_equal(avpg_fake_count(&f->fake->free[0]), 63);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	fixture_check_pool(f);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(it_is_accepted_if_offered_and_wanted),
			TEST(a_packet_lies_where_the_host_put_it),
			TEST(what_is_sent_back_has_a_whole_descriptor),
			TEST(nothing_is_taken_from_an_empty_buffers_descriptor),
			TEST(an_mbuf_stays_with_its_buffer),
			TEST(a_buffer_given_twice_is_dropped),
			TEST(a_chain_with_one_buffer_twice_is_dropped),
			TEST(two_queues_never_share_an_mbuf),
			TEST(labels_and_data_must_be_of_a_buffer),
			TEST(each_buffer_of_a_chain_is_given_back_by_itself),
			TEST(a_full_free_fifo_is_waited_for),
			cmocka_unit_test_setup_teardown(copies_are_received_with_a_full_free_fifo,
					setup_hold_one, teardown),
			TEST(a_stop_with_a_full_free_fifo_loses_no_mbuf),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* NULL: all */
	return cmocka_run_group_tests_name("avpg_recycle", tests, fixture_group_setup, NULL);
}
