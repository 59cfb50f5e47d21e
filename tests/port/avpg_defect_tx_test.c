/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What DPDK's own net_avp does wrong with packets that it sends, and this driver must not: a test
 * for each that driver fails, against a simulated device that provokes it. The list, and where the
 * rest of it is tested: docs/driver-guest.md, "What the stock driver does wrong".
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"

static uint8_t bytes[AVP_MAX_PKT_SIZE];
static uint8_t got[AVP_MAX_SEGS * UINT16_MAX];

static uint64_t
oerrors(const struct avpg_fixture *f)
{
	struct rte_eth_stats stats;

	assert_int_equal(rte_eth_stats_get(f->port_id, &stats), 0);
	return stats.oerrors;
}

/* Where the stock driver takes its simple path: no packet needs a second buffer. */
static void
all_segments_go_out_though_one_buffer_is_enough(void **state)
{
	static const uint32_t seg_sizes[] = {1, 14, 64, 700, 1513};
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct avp_desc head;

	conf.max_rx_size = 1518;
	fixture_recreate(f, &conf, 2048);
	fixture_start(f, 1, 1);
	for (size_t i = 0; i < RTE_DIM(seg_sizes); i++) {
		uint32_t len = RTE_MIN(1514u, 250 * seg_sizes[i]);
		struct rte_mbuf *m = fixture_mbuf(f, len, seg_sizes[i], 3);

		assert_true(m->nb_segs > 1);
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), len);
		fixture_bytes(bytes, len, 3);
		assert_memory_equal(got, bytes, len);
	}
}

static void
no_byte_behind_a_segment_is_sent(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m = fixture_mbuf(f, 100, 2048, 1);
	struct avp_desc head;

	/* it says 1000, of which it has 100: the rest is somebody else's memory */
	fixture_start(f, 1, 1);
	m->pkt_len = 1000;
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
	assert_int_equal(avpg_fake_count(&f->fake->tx[0]), 0);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_bad_mbuf"), 1);
	/* a clone of the middle of a packet has neighbours too */
	struct rte_mbuf *whole = fixture_mbuf(f, 1000, 2048, 1);
	struct rte_mbuf *part = rte_pktmbuf_clone(whole, f->pool);

	assert_non_null(rte_pktmbuf_adj(part, 100));
	assert_int_equal(rte_pktmbuf_trim(part, 800), 0);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &part, 1), 1);
	assert_int_equal(fixture_host_take(f, 0, &head, got), 100);
	assert_memory_equal(got, rte_pktmbuf_mtod_offset(whole, uint8_t *, 100), 100);
	rte_pktmbuf_free(whole);
}

static void
an_oversize_packet_is_dropped_never_cut(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	uint32_t max = AVP_MAX_SEGS * 512;
	struct avp_desc head;

	/* neither the rx pool's size nor what the device sends at most are limits of what we send
	 */
	conf.buf_data_size = 512;
	conf.max_rx_size = 1518;
	fixture_recreate(f, &conf, AVPG_MIN_MBUF_ROOM);
	fixture_start(f, 1, 1);
	/* 4 bytes are a tag that the driver has to add */
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t tag_size = i % 2 == 0 ? 0 : 4;
		uint32_t len = max - 4 + i;
		struct rte_mbuf *m = fixture_mbuf(f, len - tag_size, 64, 1);
		uint64_t errors = oerrors(f);

		m->ol_flags = tag_size != 0 ? RTE_MBUF_F_TX_VLAN : 0;

		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(oerrors(f), errors + (len > max));
		assert_int_equal(avpg_fake_count(&f->fake->tx[0]), len <= max);
		if (len > max)
			continue;
		assert_int_equal(fixture_host_take(f, 0, &head, got), len);
		fixture_bytes(bytes, len - tag_size, 1);
		assert_memory_equal(got, bytes, 12);
		assert_memory_equal(got + 12 + tag_size, bytes + 12, len - tag_size - 12);
	}
}

static void
a_port_that_only_sends_sends_whole_packets(void **state)
{
	static const uint32_t sizes[] = {14, 60, 1514, 2048, 9238};
	struct avpg_fixture *f = *state;
	struct avp_desc head;

	/* no rx queue was ever set up, so no pool was seen */
	fixture_start(f, 0, 1);
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		struct rte_mbuf *m = fixture_mbuf(f, sizes[i], 2048, 1);

		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), sizes[i]);
		fixture_bytes(bytes, sizes[i], 1);
		assert_memory_equal(got, bytes, sizes[i]);
	}
	assert_int_equal(oerrors(f), 0);
}

/* As a host leaves buffers that does not clean them: flags, tag, lengths and links of their last
 * packet. The stock driver ORs and appends. */
static void
a_buffer_that_is_not_clean_is_written_anew(void **state)
{
	struct avpg_fixture *f = *state;
	uint32_t data_size = f->fake->conf.buf_data_size;
	struct avp_desc head;

	fixture_start(f, 1, 1);
	for (uint32_t i = 0; i < 3 * avpg_fake_default.nb_bufs; i++) {
		uint32_t len = i % 2 == 0 ? 100 : 9000;
		struct rte_mbuf *m = fixture_mbuf(f, len, 2048, i);

		for (uint32_t k = 0; k < avpg_fake_default.nb_bufs; k++) {
			struct avp_desc *desc = avpg_fake_desc(f->fake, k);

			desc->ol_flags = AVP_DESC_TX_VLAN | AVP_DESC_RX_VLAN;
			desc->vlan_tci = 0xfff;
			desc->data_len = (uint16_t)(data_size - 1);
			desc->nb_segs = AVP_MAX_SEGS;
			desc->next_va = desc->desc_va;
			desc->pkt_len = UINT16_MAX;
		}
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), len);
		assert_int_equal(head.ol_flags, 0);
		assert_int_equal(head.vlan_tci, 0);
		fixture_bytes(bytes, len, i);
		assert_memory_equal(got, bytes, len);
	}
}

/* A packet that can never go; one of each kind. */
static struct rte_mbuf *
impossible_mbuf(struct avpg_fixture *f, uint32_t kind)
{
	struct rte_mbuf *m;

	switch (kind) {
	case 0: /* needs no buffer */
		m = fixture_mbuf(f, 100, 2048, 0);
		m->data_len = 0;
		m->pkt_len = 0;
		return m;
	case 1: /* needs six */
		return fixture_mbuf(f, AVP_MAX_SEGS * 512 + 1, 512, 0);
	case 2: /* needs 2^23 */
		m = fixture_mbuf(f, 100, 2048, 0);
		m->pkt_len = UINT32_MAX;
		return m;
	default:
		m = fixture_mbuf(f, 100, 50, 0);
		m->nb_segs = 5;
		return m;
	}
}

static void
a_packet_that_can_never_go_blocks_none_behind_it(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct avp_desc head;

	conf.buf_data_size = 512;
	fixture_recreate(f, &conf, 2048);
	fixture_start(f, 1, 1);
	for (uint32_t kind = 0; kind < 4; kind++) {
		uint64_t errors = oerrors(f);
		struct rte_mbuf *pkts[] = {impossible_mbuf(f, kind), impossible_mbuf(f, kind),
				fixture_mbuf(f, 100, 2048, 1)};

		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, pkts, RTE_DIM(pkts)), 3);
		assert_int_equal(oerrors(f), errors + 2);
		assert_int_equal(fixture_host_take(f, 0, &head, got), 100);
		assert_int_equal(avpg_fake_count(&f->fake->tx[0]), 0);
		fixture_check_pool(f);
	}
}

/* Send and see that each mbuf was let go of once, or is the caller's as before. Returns the number
 * that went. */
static uint16_t
send_and_count_references(struct avpg_fixture *f, uint32_t len, uint16_t nb)
{
	struct rte_mbuf *pkts[64];
	uint16_t sent;

	assert_true(nb <= RTE_DIM(pkts));
	for (uint16_t i = 0; i < nb; i++) {
		pkts[i] = fixture_mbuf(f, len, 2048, i);
		rte_pktmbuf_refcnt_update(pkts[i], 1);
	}
	sent = rte_eth_tx_burst(f->port_id, 0, pkts, nb);
	for (uint16_t i = 0; i < nb; i++) {
		assert_int_equal(rte_mbuf_refcnt_read(pkts[i]), i < sent ? 1 : 2);
		if (i >= sent)
			rte_pktmbuf_refcnt_update(pkts[i], -1);
		rte_pktmbuf_free(pkts[i]);
	}
	fixture_check_pool(f);
	return sent;
}

static void
each_mbuf_is_freed_once_and_no_buffer_lost_when_fifos_fall_short(void **state)
{
	struct avpg_fixture *f = *state;
	struct avp_fifo *tx, *alloc;
	struct avp_desc head;

	fixture_start(f, 1, 1);
	tx = f->fake->tx[0].fifo;
	alloc = f->fake->alloc[0].fifo;
	/* buffers run out in a burst, and in a packet: 48 of them */
	assert_int_equal(send_and_count_references(f, 9000, 12), 9);
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 3);
	assert_int_equal(send_and_count_references(f, 100, 12), 3);
	assert_int_equal(send_and_count_references(f, 100, 12), 0);
	for (uint32_t i = 0; i < 12; i++)
		fixture_host_take(f, 0, &head, got);
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 48);
	/* the host gives buffers without end, and takes no packet: 63 of these fit */
	assert_int_equal(send_and_count_references(f, 100, 48), 48);
	for (uint32_t i = 0; i < 48; i++) {
		uint64_t va = avpg_fake_buf_va(f->fake, avpg_fake_own_buf(f->fake) + i);

		avpg_fake_desc_at(f->fake, va)->data_va = va + AVPG_FAKE_BUF_DATA_OFF;
		assert_true(avpg_fake_put(&f->fake->alloc[0], va));
	}
	assert_int_equal(send_and_count_references(f, 100, 30), 63 - 48);
	assert_int_equal(send_and_count_references(f, 100, 30), 0);
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 2 * 48 - 63);
	rte_eth_dev_stop(f->port_id);
	fixture_start(f, 1, 1);
	/* the host gives a length and indices that leave the tx FIFO no room, or nonsense */
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t read = tx->read;
		uint16_t sent;

		tx->read = i < 32 ? (tx->write + 1 + i) & 63 : UINT32_MAX - i;
		tx->len = i % 3 == 0 ? 4 : 64;
		alloc->elem_size = i % 5;
		sent = send_and_count_references(f, 100, 10);
		tx->read = read;
		assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 48 - sent);
		for (; sent > 0; sent--)
			fixture_host_take(f, 0, &head, got);
	}
	assert_int_equal(avpg_fake_queued(&f->fake->alloc[0]), 48);
	fixture_traffic(f, 9000);
}

static void
back_pressure_is_no_error_however_often_it_is_tried(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	assert_int_equal(send_and_count_references(f, 100, 60), 48);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(send_and_count_references(f, 100, 10), 0);
	assert_int_equal(oerrors(f), 0);
	assert_int_equal(fixture_xstat(f, "tx_q0_no_buffer"), 101);
	/* nor is it one that the device is away */
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(send_and_count_references(f, 100, 10), 0);
	assert_int_equal(oerrors(f), 0);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
	assert_int_equal(send_and_count_references(f, 100, 10), 10);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(all_segments_go_out_though_one_buffer_is_enough),
			TEST(no_byte_behind_a_segment_is_sent),
			TEST(an_oversize_packet_is_dropped_never_cut),
			TEST(a_port_that_only_sends_sends_whole_packets),
			TEST(a_buffer_that_is_not_clean_is_written_anew),
			TEST(a_packet_that_can_never_go_blocks_none_behind_it),
			TEST(each_mbuf_is_freed_once_and_no_buffer_lost_when_fifos_fall_short),
			TEST(back_pressure_is_no_error_however_often_it_is_tried),
	};

	return cmocka_run_group_tests_name("avpg_defect_tx", tests, fixture_group_setup, NULL);
}
