/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What DPDK's own net_avp does wrong with packets that it receives, and this driver must not: a
 * test for each that driver fails, against a simulated device that provokes it. The list, and where
 * the rest of it is tested: docs/driver-guest.md, "What the stock driver does wrong".
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"

static uint8_t bytes[AVP_MAX_PKT_SIZE];

/* What the host has sent is dropped, counted under @xstat, and costs no mbuf. */
static void
expect_drop(struct avpg_fixture *f, const char *xstat)
{
	uint64_t before = fixture_xstat(f, xstat);
	struct rte_mbuf *m;
	uint64_t va;

	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, xstat), before + 1);
	assert_true(avpg_fake_get(&f->fake->free[0], &va));
	fixture_check_pool(f);
}

static void
a_packet_larger_than_five_mbufs_gets_as_many_as_it_needs(void **state)
{
	static const struct {
		uint32_t room;
		uint16_t nb_mbufs;
	} cases[] = {{2048, 5}, {1024, 10}, {128, 73}, {AVPG_MIN_MBUF_ROOM, 145}};
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		fixture_recreate(f, &avpg_fake_default, cases[i].room);
		fixture_start(f, 1, 1);
		fixture_host_send(f, 0, 0, AVP_MAX_PKT_SIZE, 2048);
		assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(m->nb_segs, cases[i].nb_mbufs);
		fixture_bytes(bytes, AVP_MAX_PKT_SIZE, 0);
		fixture_check_mbuf(m, bytes, AVP_MAX_PKT_SIZE);
		rte_pktmbuf_free(m);
		fixture_check_pool(f);
	}
}

/* 64 KiB in five segments that add up, all of them in BAR 2: 32 mbufs of 2 KiB. */
static void
a_packet_of_64_kib_is_dropped(void **state)
{
	struct avpg_fixture *f = *state;
	uint32_t own = avpg_fake_own_buf(f->fake);
	struct avp_desc *desc;

	fixture_start(f, 1, 1);
	desc = fixture_host_send(f, 0, 0, 5, 1);
	desc->pkt_len = UINT16_MAX;
	for (uint32_t i = 0; i < AVP_MAX_SEGS; i++)
		avpg_fake_desc(f->fake, own + i)->data_len = UINT16_MAX / AVP_MAX_SEGS;
	expect_drop(f, "rx_q0_drop_too_long");
	fixture_traffic(f, 9000);
}

static void
a_packet_without_bytes_takes_no_mbuf(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	for (uint32_t len = 0; len < AVP_MIN_PKT_SIZE; len++) {
		struct avp_desc *desc = fixture_host_send(f, 0, 0, len, 2048);

		desc->nb_segs = 1;
		expect_drop(f, "rx_q0_drop_too_short");
	}
	/* the bytes are there, their number says that there are none */
	fixture_host_send(f, 0, 0, 5000, 2048)->pkt_len = 0;
	expect_drop(f, "rx_q0_drop_too_short");
	fixture_traffic(f, 9000);
}

static void
a_chain_of_another_length_than_its_packet_is_dropped_whole(void **state)
{
	struct avpg_fixture *f = *state;
	uint32_t own = avpg_fake_own_buf(f->fake);

	fixture_start(f, 1, 1);
	for (uint32_t seg = 0; seg < AVP_MAX_SEGS; seg++) {
		/* one byte too few, one too many, none, in each segment in turn */
		fixture_host_send(f, 0, 0, 9000, 1800);
		avpg_fake_desc(f->fake, own + seg)->data_len--;
		expect_drop(f, "rx_q0_drop_bad_len");
		fixture_host_send(f, 0, 0, 9000, 1800);
		avpg_fake_desc(f->fake, own + seg)->data_len++;
		expect_drop(f, "rx_q0_drop_bad_len");
		fixture_host_send(f, 0, 0, 9000, 1800);
		avpg_fake_desc(f->fake, own + seg)->data_len = 0;
		expect_drop(f, "rx_q0_drop_bad_len");
		/* the chain ends too early */
		if (seg + 1 == AVP_MAX_SEGS)
			continue;
		fixture_host_send(f, 0, 0, 9000, 1800);
		avpg_fake_desc(f->fake, own + seg)->next_va = 0;
		expect_drop(f, "rx_q0_drop_bad_chain");
	}
	for (uint16_t data_len = 98; data_len <= 102; data_len += 4) {
		fixture_host_send(f, 0, 0, 100, 2048)->data_len = data_len;
		expect_drop(f, "rx_q0_drop_bad_len");
	}
	fixture_traffic(f, 9000);
}

static void
a_chain_without_end_is_dropped_whole(void **state)
{
	static const uint8_t nb_segs[] = {0, 1, 4, 5, 6, 7, 255};
	struct avpg_fixture *f = *state;
	uint32_t own = avpg_fake_own_buf(f->fake);

	fixture_start(f, 1, 1);
	/* with bytes and without, with every number of segments */
	for (uint32_t i = 0; i < 2 * RTE_DIM(nb_segs); i++) {
		struct avp_desc *head = fixture_host_send(f, 0, 0, 9000, 1800);

		for (uint32_t seg = 0; seg < AVP_MAX_SEGS && i % 2 != 0; seg++)
			avpg_fake_desc(f->fake, own + seg)->data_len = 0;
		avpg_fake_desc(f->fake, own + 4)->next_va = avpg_fake_buf_va(f->fake, own);
		head->nb_segs = nb_segs[i / 2];
		expect_drop(f, "rx_q0_drop_bad_chain");
	}
	fixture_traffic(f, 9000);
}

/* Applications read the Ethernet header of the first mbuf without asking how long that is. */
static void
the_first_mbuf_has_the_ethernet_header_whatever_the_segments(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;

	conf.features = AVP_FEATURE_RECYCLE; /* received packets are not copied */
	fixture_recreate(f, &conf, 2048);
	fixture_start(f, 1, 1);
	for (uint32_t seg_size = 1; seg_size <= 20; seg_size++) {
		uint32_t len = RTE_MIN(60u, AVP_MAX_SEGS * seg_size);
		struct rte_mbuf *m;
		struct avp_desc *head;
		uint64_t va;

		if (len < AVP_MIN_PKT_SIZE)
			continue;
		head = fixture_host_send(f, 0, 0, len, seg_size);
		/* its bytes end where the buffer does */
		memmove(avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake)) + 2048 - seg_size,
				avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake)), seg_size);
		head->data_va += 2048 - seg_size;
		assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
		assert_true(m->data_len >= AVP_MIN_PKT_SIZE);
		assert_int_equal(m->nb_segs, seg_size < AVP_MIN_PKT_SIZE ? 1 : head->nb_segs);
		fixture_bytes(bytes, len, 0);
		fixture_check_mbuf(m, bytes, len);
		rte_pktmbuf_free(m);
		while (avpg_fake_get(&f->fake->free[0], &va))
			;
	}
}

/* By pointer a label must be that of a whole buffer; good memory is not enough. */
static void
a_label_beside_the_buffers_is_refused_by_pointer(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	uint64_t own, behind;

	conf.features = AVP_FEATURE_RECYCLE;
	fixture_recreate(f, &conf, 2048);
	fixture_start(f, 1, 1);
	own = avpg_fake_buf_va(f->fake, avpg_fake_own_buf(f->fake));
	/* where one more would begin, if BAR 2 was longer */
	behind = (f->fake->mem_size - f->fake->bufs_off) / f->fake->buf_stride;
	behind = avpg_fake_buf_va(f->fake, (uint32_t)behind);
	assert_true(behind + 256 <= AVPG_FAKE_MEM_VA + f->fake->mem_size);
	uint64_t bad[] = {own + 64, own + 128, own - 64, behind};

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		uint64_t before = fixture_xstat(f, "rx_q0_drop_bad_label");
		struct rte_mbuf *m;

		*avpg_fake_desc_at(f->fake, bad[i]) = (struct avp_desc){.data_va = bad[i] + 64,
				.data_len = 60,
				.nb_segs = 1,
				.pkt_len = 60};
		memset(avpg_fake_at(f->fake, bad[i] + 64), 0xff, 60);
		assert_true(avpg_fake_put(&f->fake->rx[0], bad[i]));
		assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
		assert_int_equal(fixture_xstat(f, "rx_q0_drop_bad_label"), before + 1);
	}
}

static bool
is_scattered(const struct avpg_fixture *f, uint16_t q)
{
	struct rte_eth_rxq_info info;

	assert_int_equal(rte_eth_rx_queue_info_get(f->port_id, q, &info), 0);
	return info.scattered_rx != 0;
}

static void
scattered_receive_ends_with_the_queue_that_needed_it(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mempool *small;

	fixture_recreate(f, &avpg_fake_default, 9300);
	small = rte_pktmbuf_pool_create(
			"small", 127, 0, 0, RTE_PKTMBUF_HEADROOM + 128, SOCKET_ID_ANY);
	assert_non_null(small);
	fixture_start(f, 2, 1);
	assert_int_equal(rte_eth_devices[f->port_id].data->scattered_rx, 0);
	rte_eth_dev_stop(f->port_id);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, small), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_int_equal(rte_eth_devices[f->port_id].data->scattered_rx, 1);
	/* the other queue is as it was */
	assert_false(is_scattered(f, 0));
	assert_true(is_scattered(f, 1));
	fixture_traffic(f, 9000);
	rte_eth_dev_stop(f->port_id);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, f->pool), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_int_equal(rte_eth_devices[f->port_id].data->scattered_rx, 0);
	rte_mempool_free(small);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(a_packet_larger_than_five_mbufs_gets_as_many_as_it_needs),
			TEST(a_packet_of_64_kib_is_dropped),
			TEST(a_packet_without_bytes_takes_no_mbuf),
			TEST(a_chain_of_another_length_than_its_packet_is_dropped_whole),
			TEST(a_chain_without_end_is_dropped_whole),
			TEST(the_first_mbuf_has_the_ethernet_header_whatever_the_segments),
			TEST(a_label_beside_the_buffers_is_refused_by_pointer),
			TEST(scattered_receive_ends_with_the_queue_that_needed_it),
	};

	return cmocka_run_group_tests_name("avpg_defect_rx", tests, fixture_group_setup, NULL);
}
