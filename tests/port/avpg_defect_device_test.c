/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What DPDK's own net_avp believes of a device, and this driver must not: maps, counts, sizes, at
 * probe and at a later attach. A simulated device lies about itself. The list, and where the rest
 * of it is tested: docs/driver-guest.md, "What the stock driver does wrong".
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"
#include "avpg_scribbler.h"
#include "test_random.h"

#define NB_RANDOM_DEVICES 200000u

/*
 * Memory map and addresses
 */

static void
a_bar_that_is_absent_is_refused_at_probe(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_hw good = f->fake->hw;

	fixture_close(f);
	f->fake->hw.mem = NULL;
	assert_int_equal(fixture_probe_fails(f->fake), -ENODEV);
	f->fake->hw = good;
	f->fake->hw.memmap = NULL;
	assert_int_equal(fixture_probe_fails(f->fake), -ENODEV);
	f->fake->hw = good;
	f->fake->hw.device = NULL;
	assert_int_equal(fixture_probe_fails(f->fake), -ENODEV);
	f->fake->hw = good;
	fixture_probe(f);
}

static void
an_address_that_the_map_does_not_have_is_refused_at_probe(void **state)
{
	static const size_t offsets[] = {
			offsetof(struct avp_device_info, tx_fifo_pa),
			offsetof(struct avp_device_info, rx_fifo_pa),
			offsetof(struct avp_device_info, alloc_fifo_pa),
			offsetof(struct avp_device_info, free_fifo_pa),
			offsetof(struct avp_device_info, req_fifo_pa),
			offsetof(struct avp_device_info, resp_fifo_pa),
			offsetof(struct avp_device_info, ctrl_slot_pa),
			offsetof(struct avp_device_info, buf_pa),
	};
	struct avpg_fixture *f = *state;
	struct avp_device_info good = *f->fake->info;
	uint64_t end = AVPG_FAKE_MEM_PA + f->fake->hw.mem_size;
	uint64_t bad[] = {0, end, end - 16, UINT64_MAX - 15, (uint64_t)(uintptr_t)f->fake->mem};

	fixture_close(f);
	for (size_t i = 0; i < RTE_DIM(offsets); i++) {
		for (size_t k = 0; k < RTE_DIM(bad); k++) {
			*f->fake->info = good;
			memcpy((uint8_t *)f->fake->info + offsets[i], &bad[k], sizeof(bad[k]));
			assert_int_equal(fixture_probe_fails(f->fake), -EINVAL);
		}
	}
	*f->fake->info = good;
	/* areas that leave all of it out, or are more than there are */
	f->fake->memmap->nb_maps = 1;
	assert_int_equal(fixture_probe_fails(f->fake), -EINVAL);
	f->fake->memmap->nb_maps = AVP_MAX_MAPS + 1;
	assert_int_equal(fixture_probe_fails(f->fake), -EINVAL);
	f->fake->memmap->nb_maps = 2;
	fixture_probe(f);
}

static void
check_range(const struct avpg_fake *fake, const void *ptr, size_t size)
{
	uint64_t off = (uint64_t)((const uint8_t *)ptr - fake->mem);

	assert_non_null(ptr);
	assert_true(off < fake->mem_size && size <= fake->mem_size - off);
}

static void
check_fifos(const struct avpg_fake *fake, const struct avpg_fifo_set *set, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		check_range(fake, set->fifo[i], avp_fifo_size(set->max_len));
}

/* All that the driver is going to use without another look. */
static void
check_info(const struct avpg_fake *fake, const struct avpg_info *info)
{
	assert_in_range(info->max_rx_queues, 1, AVP_MAX_QUEUES);
	assert_in_range(info->max_tx_queues, 1, AVP_MAX_QUEUES);
	assert_in_range(info->min_rx_queues, 1, info->max_rx_queues);
	assert_in_range(info->min_tx_queues, 1, info->max_tx_queues);
	assert_in_range(info->max_rx_size, AVP_MIN_PKT_SIZE, AVP_MAX_PKT_SIZE);
	assert_in_range(info->mem.buf_data_size, AVPG_MIN_BUF_DATA_SIZE, UINT16_MAX);
	check_fifos(fake, &info->tx, info->max_tx_queues);
	check_fifos(fake, &info->rx, info->max_rx_queues);
	check_fifos(fake, &info->alloc, info->max_tx_queues);
	check_fifos(fake, &info->free, info->max_rx_queues);
	check_fifos(fake, &info->req, 1);
	check_fifos(fake, &info->resp, 1);
	check_range(fake, info->ctrl_slot, sizeof(*info->ctrl_slot));
	check_range(fake, info->mem.base, info->mem.size);
	assert_true(info->mem.bufs_off < info->mem.size);
}

/* Overlapping, overflowing, endless, empty. */
static void
whatever_a_device_says_lies_in_bar_2_or_is_refused(void **state __rte_unused)
{
	struct avpg_fake_conf conf = avpg_fake_default;
	struct avpg_fake *fake;
	uint64_t random = test_random_seed();
	uint32_t nb_taken = 0;

	conf.nb_queues = AVP_MAX_QUEUES;
	fake = avpg_fake_create(&conf);
	assert_non_null(fake);
	struct avp_device_info good_info = *fake->info;
	struct avp_memmap good_map = *fake->memmap;

	for (uint32_t i = 0; i < NB_RANDOM_DEVICES; i++) {
		struct avp_err err = {0};
		struct avpg_info info;

		*fake->info = good_info;
		memcpy(fake->memmap, &good_map, offsetof(struct avp_memmap, maps) + 96);
		for (uint64_t n = 1 + test_random(&random) % 3; n > 0; n--)
			avpg_scribble(fake, AVPG_SCRIBBLE_INFO, &random);
		if (avpg_info_load(&info, &fake->hw, &err) == 0) {
			check_info(fake, &info);
			nb_taken++;
		} else {
			assert_true(err.msg[0] != '\0');
		}
	}
	/* both happen */
	assert_in_range(nb_taken, NB_RANDOM_DEVICES / 100, NB_RANDOM_DEVICES * 99 / 100);
	avpg_fake_destroy(fake);
}

/*
 * Numbers of queues, sizes of buffers
 */

static void
numbers_of_queues_beyond_eight_are_refused_or_cut_to_eight(void **state)
{
	static const struct {
		uint8_t min, max;
		bool good;
	} cases[] = {{0, 0, false}, {1, 0, false}, {9, 8, false}, {9, 255, false},
			{255, 255, false}, {255, 8, false}, {0, 255, true}, {8, 255, true},
			{8, 8, true}};
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;

	conf.nb_queues = AVP_MAX_QUEUES;
	fixture_recreate(f, &conf, 2048);
	for (size_t i = 0; i < 2 * RTE_DIM(cases); i++) {
		struct avp_device_info good = *f->fake->info;
		struct rte_eth_dev_info info;

		fixture_close(f);
		if (i % 2 == 0) {
			f->fake->info->min_rx_queues = cases[i / 2].min;
			f->fake->info->max_rx_queues = cases[i / 2].max;
		} else {
			f->fake->info->min_tx_queues = cases[i / 2].min;
			f->fake->info->max_tx_queues = cases[i / 2].max;
		}
		if (!cases[i / 2].good) {
			assert_int_equal(fixture_probe_fails(f->fake), -EINVAL);
			*f->fake->info = good;
			fixture_probe(f);
			continue;
		}
		fixture_probe(f);
		assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
		assert_int_equal(info.max_rx_queues, AVP_MAX_QUEUES);
		assert_int_equal(info.max_tx_queues, AVP_MAX_QUEUES);
		fixture_start(f, AVP_MAX_QUEUES, AVP_MAX_QUEUES);
		fixture_traffic(f, 1000);
		*f->fake->info = good;
	}
}

static void
the_device_gets_the_tx_queues_that_it_insists_on(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_close(f);
	f->fake->info->min_tx_queues = 2;
	fixture_probe(f);
	fixture_start(f, 1, 1);
	assert_int_equal(f->fake->config.nb_tx_queues, 2);
	assert_int_equal(f->fake->config.nb_rx_queues, 1);
	fixture_traffic(f, 1000);
}

static void
buffers_of_no_bytes_are_refused_at_probe_and_at_attach(void **state)
{
	static const uint32_t bad[] = {
			0, 1, AVPG_MIN_BUF_DATA_SIZE - 1, UINT16_MAX + 1, UINT32_MAX};
	struct avpg_fixture *f = *state;
	uint32_t good = f->fake->info->buf_data_size;

	fixture_close(f);
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		f->fake->info->buf_data_size = bad[i];
		assert_int_equal(fixture_probe_fails(f->fake), -EINVAL);
	}
	f->fake->info->buf_data_size = good;
	fixture_probe(f);
	fixture_start(f, 1, 1);
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		struct rte_mbuf *m = fixture_mbuf(f, 9000, 2048, 1);

		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED),
				AVP_MIGRATION_DETACHED);
		f->fake->info->buf_data_size = bad[i];
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ERROR);
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 0);
		rte_pktmbuf_free(m);
		f->fake->info->buf_data_size = good;
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		fixture_wait_link(f, true);
		fixture_traffic(f, 9000);
	}
}

/*
 * Another device at attach
 */

static void
exchange(struct avpg_fixture *f, const struct avpg_fake_conf *conf)
{
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	fixture_replace_device(f, conf);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
}

static void
smaller_buffers_after_attach_are_not_overrun(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	uint8_t got[AVP_MAX_SEGS * 256];
	struct avp_desc head;

	fixture_start(f, 2, 2);
	fixture_traffic(f, 9000);
	conf.buf_data_size = 256;
	conf.max_rx_size = 1000;
	conf.features = 0;
	exchange(f, &conf);
	for (uint32_t len = 14; len <= sizeof(got); len += 61) {
		struct rte_mbuf *m = fixture_mbuf(f, len, 2048, 1);

		/* whoever writes more than 256 bytes writes into the next descriptor */
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), len);
	}
	struct rte_mbuf *m = fixture_mbuf(f, sizeof(got) + 1, 2048, 1);

	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_too_long"), 1);
	/* what the new device never sends is not taken from it either */
	fixture_traffic(f, 1000);
	fixture_host_send(f, 0, 0, 1001, 256);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_too_long"), 1);
}

static void
features_are_settled_anew_at_attach(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;

	f->conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	fixture_start(f, 1, 1);
	for (int i = 0; i < 4; i++) {
		uint32_t offered = i % 2 == 0 ? 0 : UINT32_MAX;
		uint8_t got[AVP_MAX_SEGS * 2048];
		struct rte_mbuf *m = fixture_mbuf(f, 100, 2048, 1);
		struct avp_desc head;

		conf.features = offered;
		exchange(f, &conf);
		/* nothing that was not offered, and nothing that we do not know */
		assert_int_equal(f->fake->config.features & ~offered, 0);
		assert_int_equal(f->fake->config.features & AVP_FEATURE_VLAN,
				offered & AVP_FEATURE_VLAN);
		m->ol_flags = RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 5;
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, got), offered != 0 ? 100 : 104);
		assert_int_equal(head.ol_flags, offered != 0 ? AVP_DESC_TX_VLAN : 0);
	}
}

static void
the_port_keeps_its_mac_address_at_attach(void **state)
{
	struct avpg_fixture *f = *state;
	static const uint8_t other_mac[] = {0x02, 0, 0, 0, 0, 0x99};
	struct rte_ether_addr mac;
	struct rte_mbuf *m;

	fixture_start(f, 1, 1);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	memcpy(f->fake->info->mac, other_mac, sizeof(other_mac));
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
	assert_int_equal(rte_eth_macaddr_get(f->port_id, &mac), 0);
	assert_int_equal(mac.addr_bytes[5], 0x01);
	/* the filter and what the application knows are the same address */
	fixture_traffic(f, 100);
	fixture_host_send(f, 0, 0, 100, 2048);
	memcpy(avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake)), other_mac, sizeof(other_mac));
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_other_mac"), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(a_bar_that_is_absent_is_refused_at_probe),
			TEST(an_address_that_the_map_does_not_have_is_refused_at_probe),
			cmocka_unit_test(whatever_a_device_says_lies_in_bar_2_or_is_refused),
			TEST(numbers_of_queues_beyond_eight_are_refused_or_cut_to_eight),
			TEST(the_device_gets_the_tx_queues_that_it_insists_on),
			TEST(buffers_of_no_bytes_are_refused_at_probe_and_at_attach),
			TEST(smaller_buffers_after_attach_are_not_overrun),
			TEST(features_are_settled_anew_at_attach),
			TEST(the_port_keeps_its_mac_address_at_attach),
	};

	return cmocka_run_group_tests_name("avpg_defect_device", tests, fixture_group_setup, NULL);
}
