/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the guest driver tells an application: limits, queues, how full they are, what to wait for,
 * version, dump. The device is simulated.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_power_intrinsics.h>

#include "avpg_port_fixture.h"

#define RING 64u

static void
send_one(struct avpg_fixture *f, uint16_t want)
{
	struct rte_mbuf *m = fixture_mbuf(f, 60, 2048, 0);

	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), want);
	if (want == 0)
		rte_pktmbuf_free(m);
}

static void
descriptor_limits_are_the_fifos(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	struct rte_eth_dev_info info;
	uint16_t nb_rx = 4096, nb_tx = 4096;

	conf.ring_len = 128;
	fixture_recreate(f, &conf, 2048);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.rx_desc_lim.nb_max, 128);
	assert_int_equal(info.tx_desc_lim.nb_max, 128);
	assert_int_equal(info.default_rxportconf.ring_size, 128);
	assert_int_equal(rte_eth_dev_configure(f->port_id, 1, 1, &f->conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 0, 129, 0, NULL, f->pool), -EINVAL);
	assert_int_equal(rte_eth_tx_queue_setup(f->port_id, 0, 129, 0, NULL), -EINVAL);
	/* the two ways to let the driver choose */
	assert_int_equal(rte_eth_dev_adjust_nb_rx_tx_desc(f->port_id, &nb_rx, &nb_tx), 0);
	assert_int_equal(nb_rx, 128);
	assert_int_equal(nb_tx, 128);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 0, 0, 0, NULL, f->pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(f->port_id, 0, 0, 0, NULL), 0);
	assert_int_equal(rte_eth_rx_queue_info_get(f->port_id, 0, &rxq), 0);
	assert_int_equal(rte_eth_tx_queue_info_get(f->port_id, 0, &txq), 0);
	assert_int_equal(rxq.nb_desc, 128);
	assert_int_equal(txq.nb_desc, 128);
}

static void
fifos_not_made_yet_have_the_length_of_their_memory(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;

	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	for (uint32_t i = 0; i < f->fake->conf.nb_queues; i++) {
		f->fake->rx[i].fifo->len = 0;
		f->fake->tx[i].fifo->len = 0;
	}
	fixture_probe(f);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.rx_desc_lim.nb_max, RING);
	assert_int_equal(info.tx_desc_lim.nb_max, RING);
}

static void
fewer_tx_descriptors_are_kept_to(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_txq_info txq;
	uint64_t va;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_tx_queue_setup(f->port_id, 0, 10, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_int_equal(rte_eth_tx_queue_info_get(f->port_id, 0, &txq), 0);
	assert_int_equal(txq.nb_desc, 10);
	for (int round = 0; round < 20; round++) {
		while (avpg_fake_count(&f->fake->tx[0]) < 10)
			send_one(f, 1);
		send_one(f, 0);
		assert_int_equal(fixture_xstat(f, "tx_q0_no_room"), round + 1);
		/* the host takes 7 and gives their buffers back */
		for (int i = 0; i < 7; i++) {
			assert_true(avpg_fake_get(&f->fake->tx[0], &va));
			assert_true(avpg_fake_put(&f->fake->alloc[0], va));
		}
	}
}

static void
queue_info_tells_what_is_in_use(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;

	conf.nb_queues = 4;
	conf.min_rx_queues = 3;
	fixture_recreate(f, &conf, 2048);
	f->conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	f->conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	fixture_start(f, 2, 1);
	for (uint16_t q = 0; q < 2; q++) {
		assert_int_equal(rte_eth_rx_queue_info_get(f->port_id, q, &rxq), 0);
		/* three FIFOs on two queues */
		assert_int_equal(rxq.nb_desc, q == 0 ? RING : 2 * RING);
		assert_ptr_equal(rxq.mp, f->pool);
		assert_int_equal(rxq.rx_buf_size, 2048);
		assert_int_equal(rxq.scattered_rx, 1);
		assert_int_equal(rxq.conf.offloads, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
		assert_int_equal(rxq.conf.rx_deferred_start, 0);
		assert_int_equal(rxq.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	}
	assert_int_equal(rte_eth_tx_queue_info_get(f->port_id, 0, &txq), 0);
	assert_int_equal(txq.nb_desc, RING);
	assert_int_equal(txq.conf.offloads, RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
	assert_int_not_equal(rte_eth_rx_queue_info_get(f->port_id, 2, &rxq), 0);
	assert_int_not_equal(rte_eth_tx_queue_info_get(f->port_id, 1, &txq), 0);
}

static void
rx_queue_count_is_what_waits(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_mbuf *m;

	conf.min_rx_queues = 2;
	fixture_recreate(f, &conf, 2048);
	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_rx_queue_count(f->port_id, 0), 0);
	for (uint32_t i = 0; i < 7; i++)
		fixture_host_send(f, i % 2, i, 100, 2048);
	assert_int_equal(rte_eth_rx_queue_count(f->port_id, 0), 7);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_eth_rx_queue_count(f->port_id, 0), 6);
	/* a host that lies cannot make it more than there is room for */
	f->fake->rx[0].fifo->write = UINT32_MAX - 1;
	assert_in_range(rte_eth_rx_queue_count(f->port_id, 0), 0, 2 * RING);
	f->fake->rx[0].fifo->write = 4;
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_int_equal(rte_eth_rx_queue_count(f->port_id, 0), 0);
}

static void
rx_descriptor_status_is_done_where_packets_wait(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	for (uint32_t i = 0; i < 5; i++)
		fixture_host_send(f, 0, i, 100, 2048);
	assert_int_equal(rte_eth_rx_descriptor_status(f->port_id, 0, 0), RTE_ETH_RX_DESC_DONE);
	assert_int_equal(rte_eth_rx_descriptor_status(f->port_id, 0, 4), RTE_ETH_RX_DESC_DONE);
	assert_int_equal(rte_eth_rx_descriptor_status(f->port_id, 0, 5), RTE_ETH_RX_DESC_AVAIL);
	assert_int_equal(rte_eth_rx_descriptor_status(f->port_id, 0, RING - 2),
			RTE_ETH_RX_DESC_AVAIL);
	assert_int_equal(rte_eth_rx_descriptor_status(f->port_id, 0, RING - 1),
			RTE_ETH_RX_DESC_UNAVAIL);
	assert_int_equal(rte_eth_rx_descriptor_status(f->port_id, 0, RING), -EINVAL);
}

static void
tx_descriptor_status_is_full_where_the_host_has_not_taken(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_tx_queue_setup(f->port_id, 0, 20, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 19), RTE_ETH_TX_DESC_DONE);
	for (uint32_t i = 0; i < 5; i++)
		send_one(f, 1);
	/* offset 0 is where the next packet goes */
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 0), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 14), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 15), RTE_ETH_TX_DESC_FULL);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 19), RTE_ETH_TX_DESC_FULL);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 20), RTE_ETH_TX_DESC_UNAVAIL);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 21), -EINVAL);
	for (uint32_t i = 5; i < 20; i++)
		send_one(f, 1);
	assert_int_equal(rte_eth_tx_descriptor_status(f->port_id, 0, 0), RTE_ETH_TX_DESC_FULL);
}

/* Would an lcore go to sleep? As rte_power_monitor() finds out. */
static bool
would_sleep(const struct avpg_fixture *f)
{
	struct rte_power_monitor_cond cond = {0};

	assert_int_equal(rte_eth_get_monitor_addr(f->port_id, 0, &cond), 0);
	assert_int_equal(cond.size, sizeof(uint32_t));
	assert_ptr_equal(cond.addr, &f->fake->rx[0].fifo->write);
	return cond.fn(*(const uint32_t *)cond.addr, cond.opaque) == 0;
}

static void
monitor_address_is_where_the_host_writes(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_power_monitor_cond cond;
	struct rte_mbuf *m;

	fixture_start(f, 2, 1);
	for (uint32_t i = 0; i < 3 * RING; i++) {
		assert_true(would_sleep(f));
		fixture_host_send(f, 0, 0, 100, 2048);
		assert_false(would_sleep(f));
		assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
		rte_pktmbuf_free(m);
		avpg_fake_get(&f->fake->free[0], &(uint64_t){0});
	}
	/* what librte_power asks before it lets a queue, which is stopped then, sleep */
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_get_monitor_addr(f->port_id, 1, &cond), 0);
}

static void
a_queue_of_several_fifos_cannot_be_monitored(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_power_monitor_cond cond;

	conf.min_rx_queues = 2;
	fixture_recreate(f, &conf, 2048);
	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_get_monitor_addr(f->port_id, 0, &cond), -ENOTSUP);
}

static void
firmware_version_is_the_devices(void **state)
{
	struct avpg_fixture *f = *state;
	char version[16];

	assert_int_equal(rte_eth_dev_fw_version_get(f->port_id, version, sizeof(version)), 0);
	assert_string_equal(version, "1.2.13");
	/* too small: the size that it needs */
	assert_int_equal(rte_eth_dev_fw_version_get(f->port_id, version, 6), 7);
	assert_int_equal(rte_eth_dev_fw_version_get(f->port_id, version, 7), 0);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->fake->info->version = AVP_VERSION(1, 1, 200);
	fixture_probe(f);
	assert_int_equal(rte_eth_dev_fw_version_get(f->port_id, version, sizeof(version)), 0);
	assert_string_equal(version, "1.1.200");
}

static void
burst_mode_is_told(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_burst_mode mode;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_rx_burst_mode_get(f->port_id, 0, &mode), 0);
	assert_string_equal(mode.info, "by copy");
	assert_int_equal(rte_eth_tx_burst_mode_get(f->port_id, 0, &mode), 0);
	assert_string_equal(mode.info, "by copy");
}

static void
sent_mbufs_are_free_at_once(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	send_one(f, 1);
	assert_int_equal(rte_mempool_avail_count(f->pool), FIXTURE_NB_MBUFS);
	assert_int_equal(rte_eth_tx_done_cleanup(f->port_id, 0, 0), 0);
}

static void
nothing_is_promised_that_memory_does_not_have(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;
	struct rte_eth_link link;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.speed_capa, 0);
	assert_int_equal(rte_eth_link_get_nowait(f->port_id, &link), 0);
	assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_UNKNOWN);
	assert_int_equal(rte_eth_dev_get_supported_ptypes(f->port_id, RTE_PTYPE_ALL_MASK, NULL, 0),
			0);
	assert_int_equal(info.flow_type_rss_offloads, 0);
	assert_int_equal(info.reta_size, 0);
}

static void
dump_tells_state_and_fifos(void **state)
{
	struct avpg_fixture *f = *state;
	static const char *const wanted[] = {
			"device \"simulated\", version 1.2.13, id 0xfeed: attached\n",
			"configured, started; rx FIFOs in use 2, tx 1; listed groups 0\n",
			"rx queue 1: with the port, mempool fixture, 2048 bytes per mbuf",
			"rx FIFO 1: 3 of 64 entries used, own index 0, peer's 0\n",
			"alloc FIFO 0: 48 of 64 entries used",
	};
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	fixture_start(f, 2, 1);
	for (uint32_t i = 0; i < 3; i++)
		fixture_host_send(f, 1, i, 100, 2048);
	assert_int_equal(rte_eth_dev_priv_dump(f->port_id, file), 0);
	fclose(file);
	for (size_t i = 0; i < RTE_DIM(wanted); i++)
		if (strstr(text, wanted[i]) == NULL)
			fail_msg("no \"%s\" in:\n%s", wanted[i], text);
	free(text);
	/* and at any other time */
	file = fopen("/dev/full", "w");
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_priv_dump(f->port_id, file), -EIO);
	fclose(file);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(descriptor_limits_are_the_fifos),
			TEST(fifos_not_made_yet_have_the_length_of_their_memory),
			TEST(fewer_tx_descriptors_are_kept_to),
			TEST(queue_info_tells_what_is_in_use),
			TEST(rx_queue_count_is_what_waits),
			TEST(rx_descriptor_status_is_done_where_packets_wait),
			TEST(tx_descriptor_status_is_full_where_the_host_has_not_taken),
			TEST(monitor_address_is_where_the_host_writes),
			TEST(a_queue_of_several_fifos_cannot_be_monitored),
			TEST(firmware_version_is_the_devices),
			TEST(burst_mode_is_told),
			TEST(sent_mbufs_are_free_at_once),
			TEST(nothing_is_promised_that_memory_does_not_have),
			TEST(dump_tells_state_and_fifos),
	};

	return cmocka_run_group_tests_name("avpg_ethdev_info", tests, fixture_group_setup, NULL);
}
