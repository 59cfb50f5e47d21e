/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive of the guest driver, against a host that sends good packets, odd ones, and lies.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"

#define MBUF_ROOM 2048u

static struct avpg_fixture fixture;
static uint8_t bytes[AVP_MAX_PKT_SIZE + 1];

static int
setup(void **state)
{
	fixture_create(&fixture, &avpg_fake_default, MBUF_ROOM);
	fixture_start(&fixture, 2, 2);
	*state = &fixture;
	return 0;
}

static uint16_t
receive(struct avpg_fixture *f, uint16_t q, struct rte_mbuf **pkts, uint16_t nb)
{
	return rte_eth_rx_burst(f->port_id, q, pkts, nb);
}

/* The packet that was sent as number @n comes out, and its head, and only that, goes back. */
static void
expect(struct avpg_fixture *f, uint16_t q, uint32_t n, uint32_t len)
{
	struct rte_mbuf *m;
	uint64_t va;

	assert_int_equal(receive(f, q, &m, 1), 1);
	fixture_bytes(bytes, len, n);
	fixture_check_mbuf(m, bytes, len);
	assert_int_equal(m->port, f->port_id);
	rte_pktmbuf_free(m);
	assert_true(avpg_fake_get(&f->fake->free[q], &va));
	assert_int_equal(va, avpg_fake_buf_va(f->fake, avpg_fake_own_buf(f->fake) + n));
	assert_false(avpg_fake_get(&f->fake->free[q], &va));
}

/* What was sent is dropped, counted under @xstat and nowhere else, and its buffer goes back. */
static void
expect_drop(struct avpg_fixture *f, const char *xstat)
{
	struct rte_eth_stats stats;
	struct rte_mbuf *m;
	uint64_t before = fixture_xstat(f, xstat);
	uint64_t errors, va;

	rte_eth_stats_get(f->port_id, &stats);
	errors = stats.ierrors;
	assert_int_equal(receive(f, 0, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, xstat), before + 1);
	rte_eth_stats_get(f->port_id, &stats);
	assert_int_equal(stats.ierrors, errors + 1);
	assert_true(avpg_fake_get(&f->fake->free[0], &va));
	assert_int_equal(avpg_fake_queued(&f->fake->rx[0]), 0);
	assert_int_equal(rte_mempool_avail_count(f->pool), FIXTURE_NB_MBUFS);
}

static void
every_size_arrives_whole(void **state)
{
	struct avpg_fixture *f = *state;
	uint32_t len = AVP_MIN_PKT_SIZE;

	while (len <= AVP_MAX_PKT_SIZE) {
		fixture_host_send(f, 0, 0, len, 2048);
		expect(f, 0, 0, len);
		/* each size around the ends of mbufs and of buffers, and some between */
		len += (len + 3) % 2048 < 6 || len < 200 ? 1 : 13;
	}
}

static void
odd_chains_arrive_whole(void **state)
{
	struct avpg_fixture *f = *state;

	for (uint32_t len = AVP_MIN_PKT_SIZE; len <= 400; len++) {
		uint32_t seg_size = RTE_MAX(len / 5 + 1, 1u);

		fixture_host_send(f, 0, 0, len, seg_size);
		expect(f, 0, 0, len);
	}
	/* an empty segment in the middle */
	struct avp_desc *head = fixture_host_send(f, 0, 0, 600, 200);
	struct avp_desc *middle = avpg_fake_desc_at(f->fake, head->next_va);

	head->pkt_len = 400;
	middle->data_len = 0;
	struct rte_mbuf *m;

	assert_int_equal(receive(f, 0, &m, 1), 1);
	assert_int_equal(m->pkt_len, 400);
	rte_pktmbuf_free(m);
}

static void
lying_descriptors_are_dropped_by_reason(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_desc *desc;

	fixture_host_send(f, 0, 0, 100, 2048)->pkt_len = 0;
	expect_drop(f, "rx_q0_drop_too_short");
	fixture_host_send(f, 0, 0, 13, 2048);
	expect_drop(f, "rx_q0_drop_too_short");
	fixture_host_send(f, 0, 0, 100, 2048)->pkt_len = 101;
	expect_drop(f, "rx_q0_drop_bad_len");
	fixture_host_send(f, 0, 0, 100, 2048)->data_len = 0;
	expect_drop(f, "rx_q0_drop_bad_len");
	fixture_host_send(f, 0, 0, 5000, 2048)->pkt_len = 4999;
	expect_drop(f, "rx_q0_drop_bad_len");
	desc = fixture_host_send(f, 0, 0, 100, 2048);
	desc->pkt_len = UINT16_MAX;
	desc->data_len = UINT16_MAX;
	expect_drop(f, "rx_q0_drop_too_long");
	fixture_host_send(f, 0, 0, 100, 2048)->nb_segs = 0;
	expect_drop(f, "rx_q0_drop_bad_chain");
	fixture_host_send(f, 0, 0, 100, 2048)->nb_segs = 2;
	expect_drop(f, "rx_q0_drop_bad_chain");
	fixture_host_send(f, 0, 0, 100, 2048)->nb_segs = 255;
	expect_drop(f, "rx_q0_drop_bad_chain");
	fixture_host_send(f, 0, 0, 5000, 2048)->nb_segs = 1;
	expect_drop(f, "rx_q0_drop_bad_chain");
	fixture_host_send(f, 0, 0, 5000, 2048)->nb_segs = 2;
	expect_drop(f, "rx_q0_drop_bad_chain");
	fixture_host_send(f, 0, 0, 5000, 2048)->nb_segs = 4;
	expect_drop(f, "rx_q0_drop_bad_chain");
	/* 6 segments, all else right */
	desc = fixture_host_send(f, 0, 0, 600, 100);
	assert_int_equal(desc->nb_segs, 6);
	expect_drop(f, "rx_q0_drop_bad_chain");
}

static void
pointers_out_of_bar_2_are_never_followed(void **state)
{
	struct avpg_fixture *f = *state;
	uint64_t end = AVPG_FAKE_MEM_VA + f->fake->hw.mem_size;
	uint64_t bad[] = {0, 1, AVPG_FAKE_MEM_VA - 64, end, end - 8, UINT64_MAX, UINT64_MAX - 63,
			(uint64_t)(uintptr_t)f->fake->mem, end + (UINT64_C(1) << 63)};

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		assert_true(avpg_fake_put(&f->fake->rx[0], bad[i]));
		expect_drop(f, "rx_q0_drop_bad_label");
		fixture_host_send(f, 0, 0, 100, 2048)->data_va = bad[i];
		expect_drop(f, "rx_q0_drop_bad_segment");
		if (bad[i] != 0) {
			fixture_host_send(f, 0, 0, 5000, 2048)->next_va = bad[i];
			expect_drop(f, "rx_q0_drop_bad_segment");
		}
	}
	/* misaligned, and data that begins inside and ends outside */
	assert_true(avpg_fake_put(&f->fake->rx[0], avpg_fake_buf_va(f->fake, 0) + 8));
	expect_drop(f, "rx_q0_drop_bad_label");
	fixture_host_send(f, 0, 0, 100, 2048)->data_va = end - 99;
	expect_drop(f, "rx_q0_drop_bad_segment");
	fixture_host_send(f, 0, 0, 100, 2048)->data_va = end - 100;
	struct rte_mbuf *m;

	rte_eth_promiscuous_enable(f->port_id);
	assert_int_equal(receive(f, 0, &m, 1), 1);
	rte_pktmbuf_free(m);
}

static void
a_chain_that_loops_ends(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_desc *desc = fixture_host_send(f, 0, 0, 100, 2048);

	desc->next_va = desc->desc_va;
	for (uint16_t nb_segs = 1; nb_segs <= AVP_MAX_SEGS; nb_segs++) {
		desc->nb_segs = (uint8_t)nb_segs;
		if (nb_segs > 1)
			avpg_fake_put(&f->fake->rx[0], desc->desc_va);
		expect_drop(f, "rx_q0_drop_bad_chain");
	}
	/* the same with no data, which is no progress */
	desc->data_len = 0;
	desc->nb_segs = AVP_MAX_SEGS;
	avpg_fake_put(&f->fake->rx[0], desc->desc_va);
	expect_drop(f, "rx_q0_drop_bad_chain");
}

static void
a_packet_above_the_announced_size_is_dropped(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_desc *desc = fixture_host_send(f, 0, 0, AVP_MAX_PKT_SIZE, 2048);

	expect(f, 0, 0, AVP_MAX_PKT_SIZE);
	desc = fixture_host_send(f, 0, 0, AVP_MAX_PKT_SIZE, 2048);
	desc->pkt_len++;
	expect_drop(f, "rx_q0_drop_too_long");
}

static void
packets_and_bytes_are_counted_for_their_queue(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;

	fixture_host_send(f, 1, 0, 60, 2048);
	fixture_host_send(f, 1, 1, 61, 2048);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(receive(f, 1, &m, 1), 1);
		rte_pktmbuf_free(m);
	}
	m = fixture_mbuf(f, 62, 2048, 1);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 1, &m, 1), 1);
	assert_int_equal(fixture_xstat(f, "rx_q1_packets"), 2);
	assert_int_equal(fixture_xstat(f, "rx_q1_bytes"), 121);
	assert_int_equal(fixture_xstat(f, "tx_q1_packets"), 1);
	assert_int_equal(fixture_xstat(f, "tx_q1_bytes"), 62);
	assert_int_equal(fixture_xstat(f, "rx_q0_packets"), 0);
	assert_int_equal(fixture_xstat(f, "tx_q0_packets"), 0);
}

static void
without_mbufs_packets_stay_in_the_fifo(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *all[FIXTURE_NB_MBUFS];
	struct rte_mbuf *pkts[32];

	assert_int_equal(rte_pktmbuf_alloc_bulk(f->pool, all, FIXTURE_NB_MBUFS), 0);
	for (uint32_t i = 0; i < 8; i++)
		fixture_host_send(f, 0, i, 100 + i, 2048);
	assert_int_equal(receive(f, 0, pkts, 32), 0);
	assert_int_equal(avpg_fake_queued(&f->fake->rx[0]), 8);
	assert_int_equal(avpg_fake_count(&f->fake->free[0]), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_no_mbuf"), 1);
	/* a few: a few packets */
	rte_pktmbuf_free_bulk(all, 3);
	assert_in_range(receive(f, 0, pkts, 32), 1, 3);
	rte_pktmbuf_free_bulk(all + 3, FIXTURE_NB_MBUFS - 3);
	uint16_t got = (uint16_t)(8 - avpg_fake_queued(&f->fake->rx[0]));
	uint16_t rest = receive(f, 0, pkts + got, 32);

	assert_int_equal(got + rest, 8);
	for (uint32_t i = 0; i < 8; i++) {
		fixture_bytes(bytes, 100 + i, i);
		fixture_check_mbuf(pkts[i], bytes, 100 + i);
	}
	rte_pktmbuf_free_bulk(pkts, 8);
}

static void
no_packet_is_taken_whose_buffer_could_not_go_back(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *pkts[64];

	/* the host takes nothing from the free FIFO: 63 entries fit */
	for (uint32_t i = 0; i < 60; i++) {
		fixture_host_send(f, 0, 0, 60, 2048);
		assert_int_equal(receive(f, 0, pkts, 1), 1);
		rte_pktmbuf_free(pkts[0]);
	}
	for (uint32_t i = 0; i < 10; i++)
		fixture_host_send(f, 0, i, 60, 2048);
	assert_int_equal(receive(f, 0, pkts, 64), 3);
	assert_int_equal(receive(f, 0, pkts + 3, 61), 0);
	assert_int_equal(avpg_fake_queued(&f->fake->rx[0]), 7);
	rte_pktmbuf_free_bulk(pkts, 3);
}

static void
every_fifo_of_a_queue_is_served(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_mbuf *pkts[64];

	fixture_destroy(f);
	conf.nb_queues = 8;
	conf.min_rx_queues = 7;
	fixture_create(f, &conf, MBUF_ROOM);
	for (uint16_t nb_queues = 1; nb_queues <= 8; nb_queues++) {
		uint32_t nb_fifos = RTE_MAX(nb_queues, 7);
		uint32_t got = 0;

		fixture_start(f, nb_queues, 1);
		assert_int_equal(f->fake->config.nb_rx_queues, nb_fifos);
		for (uint32_t i = 0; i < nb_fifos; i++)
			for (uint32_t k = 0; k < 2; k++)
				fixture_host_send(f, i, 2 * i + k, 100, 2048);
		/* one burst of each queue sees all of them */
		for (uint16_t q = 0; q < nb_queues; q++) {
			uint16_t nb = receive(f, q, pkts, 64);

			assert_true(nb >= 2);
			rte_pktmbuf_free_bulk(pkts, nb);
			got += nb;
		}
		assert_int_equal(got, 2 * nb_fifos);
		for (uint32_t i = 0; i < nb_fifos; i++)
			assert_int_equal(avpg_fake_count(&f->fake->free[i]), 2);
		rte_eth_dev_stop(f->port_id);
	}
	/* one that always has a burst's worth leaves room for the others, in every burst */
	fixture_start(f, 1, 1);
	for (uint32_t i = 0; i < 7; i++)
		for (uint32_t k = 0; k < 32; k++)
			fixture_host_send(f, i, 0, 100, 2048);
	for (uint32_t n = 1; n <= 7; n++) {
		assert_int_equal(receive(f, 0, pkts, 32), 32);
		rte_pktmbuf_free_bulk(pkts, 32);
		for (uint32_t k = avpg_fake_queued(&f->fake->rx[0]); k < 32; k++)
			fixture_host_send(f, 0, 0, 100, 2048);
		for (uint32_t i = 0; i < 7; i++)
			assert_in_range(avpg_fake_count(&f->fake->free[i]), 4 * n, 5 * n);
	}
}

static void
bursts_of_many_mbufs_stay_within_bounds(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *pkts[32];
	uint16_t nb = 0;

	fixture_recreate(f, &avpg_fake_default, AVPG_MIN_MBUF_ROOM);
	fixture_start(f, 1, 1);
	/* 141 mbufs each: all of them in one burst would be 846 */
	for (uint32_t i = 0; i < 6; i++)
		fixture_host_send(f, 0, 5 * i, 9000, 2048);
	while (nb < 6) {
		uint16_t got = receive(f, 0, pkts + nb, 32 - nb);

		assert_true(got > 0);
		nb += got;
	}
	for (uint32_t i = 0; i < 6; i++) {
		fixture_bytes(bytes, 9000, 5 * i);
		fixture_check_mbuf(pkts[i], bytes, 9000);
	}
	rte_pktmbuf_free_bulk(pkts, 6);
}

static void
each_queue_uses_its_own_mempool(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mempool *small = rte_pktmbuf_pool_create(
			"small", 127, 0, 0, RTE_PKTMBUF_HEADROOM + 128, SOCKET_ID_ANY);
	struct rte_mbuf *m;

	assert_non_null(small);
	rte_eth_dev_stop(f->port_id);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, small), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	for (uint16_t q = 0; q < 2; q++) {
		fixture_host_send(f, q, 0, 9000, 2048);
		assert_int_equal(receive(f, q, &m, 1), 1);
		fixture_bytes(bytes, 9000, 0);
		fixture_check_mbuf(m, bytes, 9000);
		assert_ptr_equal(m->pool, q == 0 ? f->pool : small);
		assert_int_equal(m->nb_segs, q == 0 ? 5 : 71);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rte_mempool_avail_count(small), 127);
	rte_eth_dev_stop(f->port_id);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, f->pool), 0);
	rte_mempool_free(small);
}

static void
a_pool_of_tiny_mbufs_is_refused(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mempool *tiny = rte_pktmbuf_pool_create(
			"tiny", 63, 0, 0, RTE_PKTMBUF_HEADROOM + 63, SOCKET_ID_ANY);

	assert_non_null(tiny);
	rte_eth_dev_stop(f->port_id);
	assert_int_not_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, tiny), 0);
	rte_mempool_free(tiny);
}

static void
a_stripped_tag_is_reported_as_stripped(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_desc *desc = fixture_host_send(f, 0, 0, 100, 2048);
	struct rte_mbuf *pkts[2];

	desc->ol_flags = AVP_DESC_RX_VLAN;
	desc->vlan_tci = 0x6123;
	desc = fixture_host_send(f, 0, 1, 100, 2048);
	desc->vlan_tci = 0x0fff; /* means nothing without the flag */
	assert_int_equal(receive(f, 0, pkts, 2), 2);
	assert_true(pkts[0]->ol_flags == (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED));
	assert_int_equal(pkts[0]->vlan_tci, 0x6123);
	assert_int_equal(pkts[1]->ol_flags, 0);
	rte_pktmbuf_free_bulk(pkts, 2);
}

static void
a_tag_is_stripped_when_the_device_cannot(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_mbuf *m;
	uint64_t va;

	fixture_destroy(f);
	conf.features = 0;
	fixture_create(f, &conf, MBUF_ROOM);
	f->conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	fixture_start(f, 2, 2);
	assert_int_equal(f->fake->config.features, 0);
	fixture_bytes(bytes, 104, 9);
	memcpy(bytes + 12, "\x81\x00\x21\x23", 4);
	va = avpg_fake_pkt(f->fake, avpg_fake_own_buf(f->fake), bytes, 104, 60);
	assert_true(avpg_fake_put(&f->fake->rx[0], va));
	assert_int_equal(receive(f, 0, &m, 1), 1);
	memmove(bytes + 12, bytes + 16, 88);
	fixture_check_mbuf(m, bytes, 100);
	assert_true(m->ol_flags == (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED));
	assert_int_equal(m->vlan_tci, 0x2123);
	rte_pktmbuf_free(m);
	/* too short to have a tag */
	va = avpg_fake_pkt(f->fake, avpg_fake_own_buf(f->fake), "\x02\0\0\0\0\x01SOURCE\x81\x00",
			14, 60);
	assert_true(avpg_fake_put(&f->fake->rx[0], va));
	assert_int_equal(receive(f, 0, &m, 1), 1);
	assert_int_equal(m->ol_flags, 0);
	assert_int_equal(m->pkt_len, 14);
	rte_pktmbuf_free(m);
}

static void
packets_for_others_are_dropped_unless_promiscuous(void **state)
{
	struct avpg_fixture *f = *state;
	static const struct {
		uint8_t mac[6];
		bool ours;
	} cases[] = {
			{{0x02, 0, 0, 0, 0, 0x01}, true},
			{{0x02, 0, 0, 0, 0, 0x02}, false},
			{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true},
			{{0x33, 0x33, 0, 0, 0, 0x01}, true},
			{{0, 0, 0, 0, 0, 0}, false},
	};

	for (int promiscuous = 0; promiscuous < 2; promiscuous++) {
		uint64_t dropped = fixture_xstat(f, "rx_q0_drop_other_mac");

		for (size_t i = 0; i < RTE_DIM(cases); i++) {
			struct rte_mbuf *m;
			uint16_t nb;

			fixture_host_send(f, 0, 0, 100, 2048);
			memcpy(avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake)), cases[i].mac,
					6);
			nb = receive(f, 0, &m, 1);
			assert_int_equal(nb, cases[i].ours || promiscuous);
			if (nb == 1)
				rte_pktmbuf_free(m);
		}
		assert_int_equal(fixture_xstat(f, "rx_q0_drop_other_mac") - dropped,
				promiscuous ? 0 : 2);
		assert_int_equal(rte_eth_promiscuous_enable(f->port_id), 0);
	}
	/* which is no error */
	struct rte_eth_stats stats;

	rte_eth_stats_get(f->port_id, &stats);
	assert_int_equal(stats.ierrors, 0);
}

static void
wild_indices_are_counted_and_harmless(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_fifo *rx = f->fake->rx[0].fifo;
	struct rte_mbuf *pkts[64];

	rx->write = 64;
	assert_int_equal(receive(f, 0, pkts, 64), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_fifo_faults"), 1);
	rx->write = 0;
	rx->len = 1u << 31;
	assert_int_equal(receive(f, 0, pkts, 64), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_fifo_faults"), 2);
	assert_int_equal(rx->len, 64);
	/* and what is good afterwards arrives */
	fixture_host_send(f, 0, 0, 100, 2048);
	expect(f, 0, 0, 100);
}

static void
a_host_that_feeds_a_burst_for_ever_does_not_keep_it(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *pkts[32];

	/* the free FIFO is the rx FIFO: each buffer that goes back is a new packet */
	fixture_recreate(f, &avpg_fake_default, MBUF_ROOM);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->fake->destroyed = false;
	f->fake->info->free_fifo_pa = f->fake->info->rx_fifo_pa;
	fixture_probe(f);
	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	for (uint32_t i = 0; i < 32; i++)
		avpg_fake_put(&f->fake->rx[0], 64);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(receive(f, 0, pkts, 32), 0);
	assert_true(fixture_xstat(f, "rx_q0_drop_bad_label") >= 100);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(every_size_arrives_whole),
			TEST(odd_chains_arrive_whole),
			TEST(lying_descriptors_are_dropped_by_reason),
			TEST(pointers_out_of_bar_2_are_never_followed),
			TEST(a_chain_that_loops_ends),
			TEST(a_packet_above_the_announced_size_is_dropped),
			TEST(packets_and_bytes_are_counted_for_their_queue),
			TEST(without_mbufs_packets_stay_in_the_fifo),
			TEST(no_packet_is_taken_whose_buffer_could_not_go_back),
			TEST(every_fifo_of_a_queue_is_served),
			TEST(each_queue_uses_its_own_mempool),
			TEST(a_pool_of_tiny_mbufs_is_refused),
			TEST(a_stripped_tag_is_reported_as_stripped),
			TEST(a_tag_is_stripped_when_the_device_cannot),
			TEST(packets_for_others_are_dropped_unless_promiscuous),
			TEST(wild_indices_are_counted_and_harmless),
			TEST(a_host_that_feeds_a_burst_for_ever_does_not_keep_it),
			TEST(bursts_of_many_mbufs_stay_within_bounds),
	};

	return cmocka_run_group_tests_name("avpg_rx", tests, fixture_group_setup, NULL);
}
