/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Queues of the guest driver: FIFOs shared out, queues started and stopped by themselves, and what
 * happens when a burst does not end. The device is simulated.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"

#define BURST 32u

/* One burst; returns its packets, which are freed. */
static uint16_t
burst(struct avpg_fixture *f, uint16_t queue_id)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t nb = rte_eth_rx_burst(f->port_id, queue_id, pkts, BURST);

	rte_pktmbuf_free_bulk(pkts, nb);
	return nb;
}

static void
refill(struct avpg_fixture *f, uint32_t fifo, uint32_t nb)
{
	while (avpg_fake_queued(&f->fake->rx[fifo]) < nb)
		fixture_host_send(f, fifo, 0, 100, 2048);
}

/* What the guest has given back on a FIFO since the last look. */
static uint32_t
given_back(struct avpg_fixture *f, uint32_t fifo)
{
	uint32_t nb = 0;
	uint64_t va;

	while (avpg_fake_get(&f->fake->free[fifo], &va))
		nb++;
	return nb;
}

static void
no_fifo_starves_when_one_of_them_is_flooded(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	/* eight FIFOs on three queues: 0-1, 2-4, 5-7 */
	static const uint16_t queue_of[] = {0, 0, 1, 1, 1, 2, 2, 2};

	fixture_destroy(f);
	conf.nb_queues = 8;
	conf.min_rx_queues = 8;
	fixture_create(f, &conf, 2048);
	fixture_start(f, 3, 1);
	assert_int_equal(f->fake->config.nb_rx_queues, 8);
	for (uint32_t flooded = 0; flooded < 8; flooded++) {
		for (uint32_t round = 0; round < 50; round++) {
			uint32_t total = 0;

			for (uint32_t fifo = 0; fifo < 8; fifo++)
				refill(f, fifo, fifo == flooded ? 60 : 1);
			for (uint16_t q = 0; q < 3; q++)
				total += burst(f, q);
			/* every burst has what there is of the others, and fills up with the flood
			 */
			for (uint32_t fifo = 0; fifo < 8; fifo++)
				if (fifo != flooded)
					assert_int_equal(given_back(f, fifo), 1);
			assert_int_equal(given_back(f, flooded), total - 7);
			assert_int_equal(total, BURST + (queue_of[flooded] == 0 ? 6 : 5));
		}
		while (burst(f, queue_of[flooded]) > 0)
			;
		given_back(f, flooded);
	}
}

static void
bursts_smaller_than_the_number_of_fifos_take_turns(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_mbuf *m;

	fixture_destroy(f);
	conf.nb_queues = 8;
	conf.min_rx_queues = 8;
	fixture_create(f, &conf, 2048);
	fixture_start(f, 1, 1);
	for (uint32_t i = 0; i < 8 * 10; i++) {
		refill(f, 3, 60);
		for (uint32_t fifo = 0; fifo < 8; fifo++)
			refill(f, fifo, 1);
		assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
		rte_pktmbuf_free(m);
		if (i % 8 == 7)
			for (uint32_t fifo = 0; fifo < 8; fifo++)
				assert_int_equal(given_back(f, fifo), 1);
	}
}

/*
 * Queues by themselves
 */

static bool
sends(struct avpg_fixture *f, uint16_t queue_id)
{
	uint8_t data[AVP_MAX_SEGS * 2048];
	struct rte_mbuf *m = fixture_mbuf(f, 60, 2048, 0);
	struct avp_desc head;

	if (rte_eth_tx_burst(f->port_id, queue_id, &m, 1) == 0) {
		rte_pktmbuf_free(m);
		return false;
	}
	assert_int_equal(fixture_host_take(f, queue_id, &head, data), 60);
	return true;
}

static bool
receives(struct avpg_fixture *f, uint16_t queue_id)
{
	refill(f, queue_id, 1);
	return burst(f, queue_id) > 0;
}

static void
a_stopped_rx_queue_leaves_its_packets_in_the_fifo(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_rxq_info info;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_rx_queue_stop(f->port_id, 1), 0);
	assert_int_equal(rte_eth_rx_queue_info_get(f->port_id, 1, &info), 0);
	assert_int_equal(info.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
	refill(f, 1, 5);
	assert_int_equal(burst(f, 1), 0);
	assert_int_equal(rte_eth_rx_queue_count(f->port_id, 1), 5);
	assert_true(receives(f, 0));
	assert_int_equal(rte_eth_dev_rx_queue_start(f->port_id, 1), 0);
	assert_int_equal(burst(f, 1), 5);
}

static void
a_stopped_tx_queue_takes_nothing(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_tx_queue_stop(f->port_id, 0), 0);
	assert_false(sends(f, 0));
	assert_int_equal(fixture_xstat(f, "tx_q0_closed"), 1);
	assert_true(sends(f, 1));
	assert_int_equal(rte_eth_dev_tx_queue_start(f->port_id, 0), 0);
	assert_true(sends(f, 0));
}

static void
deferred_queues_wait_to_be_started(void **state)
{
	struct avpg_fixture *f = *state;
	const struct rte_eth_rxconf rxconf = {.rx_deferred_start = 1};
	const struct rte_eth_txconf txconf = {.tx_deferred_start = 1};
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, &rxconf, f->pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(f->port_id, 1, 64, 0, &txconf), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rte_eth_dev_start(f->port_id), 0);
		assert_true(receives(f, 0));
		assert_true(sends(f, 0));
		assert_false(receives(f, 1));
		assert_false(sends(f, 1));
		assert_int_equal(rte_eth_rx_queue_info_get(f->port_id, 1, &rxq), 0);
		assert_int_equal(rxq.conf.rx_deferred_start, 1);
		assert_int_equal(rxq.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
		assert_int_equal(rte_eth_tx_queue_info_get(f->port_id, 1, &txq), 0);
		assert_int_equal(txq.conf.tx_deferred_start, 1);
		assert_int_equal(txq.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
		assert_int_equal(rte_eth_dev_rx_queue_start(f->port_id, 1), 0);
		assert_int_equal(rte_eth_dev_tx_queue_start(f->port_id, 1), 0);
		assert_true(receives(f, 1));
		assert_true(sends(f, 1));
		/* and again at the next start of the port */
		assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	}
}

static void
a_stopped_queue_stays_stopped_whatever_opens_the_others(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_rx_queue_stop(f->port_id, 1), 0);
	assert_int_equal(rte_eth_dev_tx_queue_stop(f->port_id, 1), 0);
	assert_int_equal(rte_eth_dev_set_link_down(f->port_id), 0);
	assert_int_equal(rte_eth_dev_set_link_up(f->port_id), 0);
	assert_true(receives(f, 0));
	assert_false(receives(f, 1));
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	assert_true(sends(f, 0));
	assert_false(sends(f, 1));
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	/* started while the device is away: with the attach */
	assert_int_equal(rte_eth_dev_tx_queue_start(f->port_id, 1), 0);
	assert_false(sends(f, 1));
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
	assert_true(receives(f, 0));
	assert_false(receives(f, 1));
	assert_true(sends(f, 1));
}

/*
 * A burst that does not end: its gate says that somebody is in.
 */

static void
burst_begin(struct avp_gate *gate)
{
	assert_true(avp_gate_enter(gate));
}

static void
stopping_fails_while_a_burst_is_under_way(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 2);
	burst_begin(&f->port->rxqs[1]->gate);
	assert_int_equal(rte_eth_dev_set_link_down(f->port_id), -ETIMEDOUT);
	assert_int_equal(rte_eth_dev_rx_queue_stop(f->port_id, 1), -ETIMEDOUT);
	/* all is as it was */
	assert_true(atomic_load(&f->fake->link_up));
	assert_true(fixture_link_is_up(f));
	assert_true(receives(f, 0));
	assert_true(sends(f, 1));
	/* not so after a stop; but queues and port cannot be freed under the burst */
	assert_int_equal(rte_eth_dev_stop(f->port_id), -ETIMEDOUT);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, f->pool), -EBUSY);
	assert_int_equal(rte_eth_dev_close(f->port_id), -EINVAL);
	assert_int_equal(rte_eth_dev_stop(f->port_id), -ETIMEDOUT);
	avp_gate_leave(&f->port->rxqs[1]->gate);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_false(atomic_load(&f->fake->link_up));
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_true(receives(f, 1));
}

static void
close_leaves_a_burst_under_way_its_memory(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_rxq *q;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	q = f->port->rxqs[0];
	/* ethdev does not let it come to that; what calls close by other ways might */
	avp_gate_open(&q->gate);
	burst_begin(&q->gate);
	assert_int_equal(rte_eth_dev_close(f->port_id), -ETIMEDOUT);
	assert_true(f->fake->destroyed);
	assert_true(f->fake->hw.keep_mem);
	/* what the burst may touch is still there, and as it was */
	assert_ptr_equal(q->port, f->port);
	assert_ptr_equal(q->pool, f->pool);
	assert_ptr_equal(f->port->rxqs[0], q);
	avp_gate_leave(&q->gate);
	f->port = NULL;
	assert_int_equal(rte_eth_dev_get_port_by_name("simulated0", &(uint16_t){0}), -ENODEV);
	/* without one it is not kept */
	f->fake->hw.keep_mem = false;
	fixture_probe(f);
	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	assert_false(f->fake->hw.keep_mem);
	f->port = NULL;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(no_fifo_starves_when_one_of_them_is_flooded),
			TEST(bursts_smaller_than_the_number_of_fifos_take_turns),
			TEST(a_stopped_rx_queue_leaves_its_packets_in_the_fifo),
			TEST(a_stopped_tx_queue_takes_nothing),
			TEST(deferred_queues_wait_to_be_started),
			TEST(a_stopped_queue_stays_stopped_whatever_opens_the_others),
			TEST(stopping_fails_while_a_burst_is_under_way),
			TEST(close_leaves_a_burst_under_way_its_memory),
	};

	return cmocka_run_group_tests_name("avpg_ethdev_queue", tests, fixture_group_setup, NULL);
}
