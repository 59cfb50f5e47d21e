/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Transmit of the guest driver: what the host finds on the tx FIFO, and what happens when it gives
 * too few buffers, or bad ones.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"

static struct avpg_fixture fixture;
static uint8_t bytes[AVP_MAX_PKT_SIZE + 64];
static uint8_t got[5 * 2048];

static int
setup(void **state)
{
	fixture_create(&fixture, &avpg_fake_default, 2048);
	fixture_start(&fixture, 2, 2);
	*state = &fixture;
	return 0;
}

static uint16_t
transmit(struct avpg_fixture *f, struct rte_mbuf **pkts, uint16_t nb)
{
	return rte_eth_tx_burst(f->port_id, 0, pkts, nb);
}

/* Give a buffer back for sending, as what it has become. */
static void
give(struct avpg_fixture *f, uint64_t va)
{
	assert_true(avpg_fake_put(&f->fake->alloc[0], va));
}

/* Give one of the test's own buffers, which no alloc FIFO has had so far. */
static void
give_own(struct avpg_fixture *f, uint32_t i)
{
	uint64_t va = avpg_fake_buf_va(f->fake, avpg_fake_own_buf(f->fake) + i);

	avpg_fake_desc_at(f->fake, va)->data_va = va + AVPG_FAKE_BUF_DATA_OFF;
	give(f, va);
}

static void
expect(struct avpg_fixture *f, uint32_t len, uint32_t seed)
{
	struct avp_desc head;

	assert_int_equal(fixture_host_take(f, 0, &head, got), len);
	fixture_bytes(bytes, len, seed);
	assert_memory_equal(got, bytes, len);
	assert_int_equal(head.ol_flags, 0);
	assert_int_equal(head.vlan_tci, 0);
}

static void
every_size_and_shape_is_written_whole(void **state)
{
	static const uint32_t seg_sizes[] = {2048, 2047, 700, 64, 14};
	struct avpg_fixture *f = *state;

	for (size_t i = 0; i < RTE_DIM(seg_sizes); i++) {
		uint32_t len = AVP_MIN_PKT_SIZE;

		while (len <= AVP_MAX_PKT_SIZE) {
			struct rte_mbuf *m = fixture_mbuf(f, len, seg_sizes[i], len);

			assert_int_equal(transmit(f, &m, 1), 1);
			expect(f, len, len);
			assert_int_equal(rte_mempool_avail_count(f->pool), FIXTURE_NB_MBUFS);
			len += (len + 3) % 2048 < 6 ? 1 : 37;
		}
	}
}

/* The alloc FIFO's buffers are dirty already (avpg_fake_format()); these are worse. */
static void
nothing_is_taken_over_from_what_a_buffer_held(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < avpg_fake_own_buf(f->fake); i++) {
		struct avp_desc *desc = avpg_fake_desc(f->fake, i);
		uint64_t data_va = desc->data_va;

		memset(desc, 0xff, sizeof(*desc));
		desc->data_va = data_va;
	}
	m = fixture_mbuf(f, 100, 2048, 1);
	assert_int_equal(transmit(f, &m, 1), 1);
	expect(f, 100, 1);
	m = fixture_mbuf(f, 9000, 2048, 2);
	assert_int_equal(transmit(f, &m, 1), 1);
	expect(f, 9000, 2);
}

static void
what_can_never_be_sent_is_dropped_and_counted(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_stats stats;
	struct rte_mbuf *pkts[7];

	pkts[0] = fixture_mbuf(f, 100, 2048, 0);
	pkts[1] = fixture_mbuf(f, AVP_MAX_PKT_SIZE + 1, 2048, 1);
	pkts[2] = fixture_mbuf(f, 13, 2048, 2);
	pkts[3] = fixture_mbuf(f, 100, 2048, 3);
	pkts[3]->pkt_len = 101; /* more than its segments have */
	pkts[4] = fixture_mbuf(f, 300, 100, 4);
	pkts[4]->next->data_len--;
	pkts[5] = fixture_mbuf(f, 100, 2048, 5);
	pkts[5]->data_len = pkts[5]->pkt_len = 0;
	pkts[6] = fixture_mbuf(f, 200, 2048, 6);
	assert_int_equal(transmit(f, pkts, 7), 7);
	expect(f, 100, 0);
	expect(f, 200, 6);
	assert_int_equal(avpg_fake_count(&f->fake->tx[0]), 0);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_too_long"), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_too_short"), 2);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_bad_mbuf"), 2);
	rte_eth_stats_get(f->port_id, &stats);
	assert_int_equal(stats.oerrors, 5);
	assert_int_equal(stats.opackets, 2);
	assert_int_equal(stats.obytes, 300);
}

static void
more_than_five_buffers_is_too_long(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_mbuf *m;

	fixture_destroy(f);
	conf.buf_data_size = 512;
	fixture_create(f, &conf, 2048);
	fixture_start(f, 2, 2);
	m = fixture_mbuf(f, 5 * 512, 2048, 1);
	assert_int_equal(transmit(f, &m, 1), 1);
	expect(f, 5 * 512, 1);
	m = fixture_mbuf(f, 5 * 512 + 1, 2048, 1);
	assert_int_equal(transmit(f, &m, 1), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_too_long"), 1);
	/* a tag of our own making is part of it */
	m = fixture_mbuf(f, 5 * 512 - 3, 2048, 1);
	m->ol_flags = RTE_MBUF_F_TX_VLAN;
	assert_int_equal(transmit(f, &m, 1), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_too_long"), 2);
	assert_int_equal(avpg_fake_count(&f->fake->tx[0]), 0);
}

static void
without_buffers_the_rest_comes_back_uncounted(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *pkts[60];
	struct rte_eth_stats stats;

	for (uint32_t i = 0; i < 60; i++)
		pkts[i] = fixture_mbuf(f, 100 + i, 2048, i);
	/* 48 buffers are there */
	assert_int_equal(transmit(f, pkts, 60), 48);
	assert_int_equal(transmit(f, pkts + 48, 12), 0);
	assert_int_equal(fixture_xstat(f, "tx_q0_no_buffer"), 2);
	for (uint32_t i = 0; i < 48; i++)
		expect(f, 100 + i, i);
	assert_int_equal(transmit(f, pkts + 48, 12), 12);
	for (uint32_t i = 48; i < 60; i++)
		expect(f, 100 + i, i);
	rte_eth_stats_get(f->port_id, &stats);
	assert_int_equal(stats.oerrors, 0);
	assert_int_equal(stats.opackets, 60);
}

static void
a_packet_waits_until_all_of_its_buffers_are_there(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *pkts[12];

	for (uint32_t i = 0; i < 12; i++)
		pkts[i] = fixture_mbuf(f, 9000, 2048, i);
	/* 48 buffers: 9 packets of 5, and 3 left over */
	assert_int_equal(transmit(f, pkts, 12), 9);
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 3);
	expect(f, 9000, 0);
	assert_int_equal(transmit(f, pkts + 9, 3), 1);
	for (uint32_t i = 1; i < 10; i++)
		expect(f, 9000, i);
	assert_int_equal(transmit(f, pkts + 10, 2), 2);
	expect(f, 9000, 10);
	expect(f, 9000, 11);
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 48);
}

static void
with_a_full_fifo_the_rest_comes_back_uncounted(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;
	uint32_t nb = 0;

	/* the host gives buffers and takes nothing: 63 entries fit */
	for (uint32_t i = 0; i < 48; i++) {
		m = fixture_mbuf(f, 60, 2048, 0);
		assert_int_equal(transmit(f, &m, 1), 1);
	}
	for (uint32_t i = 0; i < 48; i++)
		give_own(f, i);
	m = fixture_mbuf(f, 60, 2048, 0);
	for (; transmit(f, &m, 1) == 1; nb++)
		m = fixture_mbuf(f, 60, 2048, 0);
	rte_pktmbuf_free(m);
	assert_int_equal(nb, 63 - 48);
	assert_int_equal(fixture_xstat(f, "tx_q0_no_room"), 1);
	/* not one buffer was lost to that */
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 48 - nb);
}

static void
buffers_that_cannot_be_used_are_left_out(void **state)
{
	struct avpg_fixture *f = *state;
	uint64_t end = AVPG_FAKE_MEM_VA + f->fake->hw.mem_size;
	struct rte_mbuf *m;
	uint64_t va;

	/* the host takes its good ones back */
	while (avpg_fake_queued(&f->fake->alloc[0]) > 0) {
		m = fixture_mbuf(f, 60, 2048, 0);
		assert_int_equal(transmit(f, &m, 1), 1);
		assert_true(avpg_fake_get(&f->fake->tx[0], &va));
	}
	uint64_t bad[] = {0, UINT64_MAX, end, end - 32, AVPG_FAKE_MEM_VA - 64,
			avpg_fake_buf_va(f->fake, 1) + 1, (uint64_t)(uintptr_t)bytes};

	for (size_t i = 0; i < RTE_DIM(bad); i++)
		give(f, bad[i]);
	/* data outside, or too little of it inside */
	avpg_fake_desc(f->fake, 2)->data_va = end - 2047;
	give(f, avpg_fake_buf_va(f->fake, 2));
	avpg_fake_desc(f->fake, 3)->data_va = 0;
	give(f, avpg_fake_buf_va(f->fake, 3));
	m = fixture_mbuf(f, 100, 2048, 7);
	assert_int_equal(transmit(f, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, "tx_q0_bad_buffer"), RTE_DIM(bad) + 2);
	assert_int_equal(avpg_fake_count(&f->fake->tx[0]), 0);
	/* good ones between bad ones serve */
	for (uint32_t i = 0; i < 5; i++) {
		give(f, bad[i]);
		give_own(f, i);
	}
	rte_pktmbuf_free(m);
	m = fixture_mbuf(f, 9000, 2048, 8);
	assert_int_equal(transmit(f, &m, 1), 1);
	expect(f, 9000, 8);
}

static void
a_tag_is_left_to_the_device_that_takes_it(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_desc head;
	struct rte_mbuf *m;

	fixture_recreate(f, &avpg_fake_default, 2048);
	f->conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	fixture_start(f, 2, 2);
	assert_int_equal(f->fake->config.features, AVP_FEATURE_VLAN);
	for (uint32_t len = 100; len <= 9000; len += 8900) {
		m = fixture_mbuf(f, len, 2048, 3);
		m->ol_flags = RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 0xe001;
		assert_int_equal(transmit(f, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), len);
		assert_int_equal(head.ol_flags, AVP_DESC_TX_VLAN);
		assert_int_equal(head.vlan_tci, 0xe001);
		fixture_bytes(bytes, len, 3);
		assert_memory_equal(got, bytes, len);
	}
	/* and a packet without one has none */
	m = fixture_mbuf(f, 100, 2048, 3);
	m->vlan_tci = 0xe001;
	assert_int_equal(transmit(f, &m, 1), 1);
	expect(f, 100, 3);
}

static void
a_tag_is_written_into_the_data_otherwise(void **state)
{
	static const uint32_t seg_sizes[] = {2048, 1, 11, 12, 13, 300};
	struct avpg_fixture *f = *state;
	struct avp_desc head;

	for (size_t i = 0; i < RTE_DIM(seg_sizes); i++) {
		for (uint32_t len = 14; len <= 300; len += 13) {
			struct rte_mbuf *m = fixture_mbuf(f, len, seg_sizes[i], len);

			m->ol_flags = RTE_MBUF_F_TX_VLAN;
			m->vlan_tci = 0x2fff;
			assert_int_equal(transmit(f, &m, 1), 1);
			assert_int_equal(fixture_host_take(f, 0, &head, got), len + 4);
			assert_int_equal(head.ol_flags, 0);
			fixture_bytes(bytes, len, len);
			assert_memory_equal(got, bytes, 12);
			assert_memory_equal(got + 12, "\x81\x00\x2f\xff", 4);
			assert_memory_equal(got + 16, bytes + 12, len - 12);
		}
	}
	/* where the tag is what makes a second buffer necessary */
	for (uint32_t len = 2040; len <= 2050; len++) {
		struct rte_mbuf *m = fixture_mbuf(f, len, 1024, len);

		m->ol_flags = RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 1;
		assert_int_equal(transmit(f, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), len + 4);
		assert_int_equal(head.nb_segs, len + 4 > 2048 ? 2 : 1);
	}
}

static void
mbufs_of_others_are_let_go_of(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m = fixture_mbuf(f, 100, 2048, 5);
	struct rte_mbuf *clone = rte_pktmbuf_clone(m, f->pool);

	assert_non_null(clone);
	assert_int_equal(transmit(f, &clone, 1), 1);
	expect(f, 100, 5);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_int_equal(rte_mempool_avail_count(f->pool), FIXTURE_NB_MBUFS - 1);
	assert_int_equal(transmit(f, &m, 1), 1);
	expect(f, 100, 5);
}

static void
wild_indices_are_counted_and_harmless(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m = fixture_mbuf(f, 100, 2048, 5);
	struct avp_fifo *alloc = f->fake->alloc[0].fifo;

	alloc->write = UINT32_MAX;
	assert_int_equal(transmit(f, &m, 1), 1); /* with buffers known of before */
	expect(f, 100, 5);
	for (uint32_t i = 0; i < 47; i++) {
		uint64_t va;

		m = fixture_mbuf(f, 60, 2048, 5);
		alloc->write = UINT32_MAX;
		assert_int_equal(transmit(f, &m, 1), 1);
		assert_true(avpg_fake_get(&f->fake->tx[0], &va));
	}
	m = fixture_mbuf(f, 60, 2048, 5);
	alloc->write = UINT32_MAX;
	assert_int_equal(transmit(f, &m, 1), 0);
	assert_true(fixture_xstat(f, "tx_q0_fifo_faults") > 0);
	rte_pktmbuf_free(m);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(every_size_and_shape_is_written_whole),
			TEST(nothing_is_taken_over_from_what_a_buffer_held),
			TEST(what_can_never_be_sent_is_dropped_and_counted),
			TEST(more_than_five_buffers_is_too_long),
			TEST(without_buffers_the_rest_comes_back_uncounted),
			TEST(a_packet_waits_until_all_of_its_buffers_are_there),
			TEST(with_a_full_fifo_the_rest_comes_back_uncounted),
			TEST(buffers_that_cannot_be_used_are_left_out),
			TEST(a_tag_is_left_to_the_device_that_takes_it),
			TEST(a_tag_is_written_into_the_data_otherwise),
			TEST(mbufs_of_others_are_let_go_of),
			TEST(wild_indices_are_counted_and_harmless),
	};

	return cmocka_run_group_tests_name("avpg_tx", tests, fixture_group_setup, NULL);
}
