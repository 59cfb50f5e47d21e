/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a guest port: found, configured, started, stopped, detached, attached to another device,
 * removed, closed; and what ethdev is told of it.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_malloc.h>

#include "avpg_port_fixture.h"

static void
the_device_learns_of_every_step(void **state)
{
	struct avpg_fixture *f = *state;

	assert_int_equal(atomic_load(&f->fake->intr_mask), AVP_INTR_MASK_ALL);
	assert_int_equal(atomic_load(&f->fake->taken), 0);
	fixture_start(f, 2, 1);
	assert_int_equal(atomic_load(&f->fake->taken), 2);
	assert_int_equal(f->fake->config.device_id, 0xfeed);
	assert_int_equal(f->fake->config.driver_type, AVP_DRIVER_DPDK);
	assert_int_equal(f->fake->config.nb_rx_queues, 2);
	assert_int_equal(f->fake->config.nb_tx_queues, 1);
	assert_int_equal(f->fake->config.features, 0);
	assert_int_equal(f->fake->config.link_up, 0);
	assert_true(atomic_load(&f->fake->link_up));
	assert_true(fixture_link_is_up(f));
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_false(atomic_load(&f->fake->link_up));
	assert_false(fixture_link_is_up(f));
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->port = NULL;
	assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_SHUTDOWN);
	assert_int_equal(atomic_load(&f->fake->intr_mask), AVP_INTR_MASK_NONE);
	assert_null(f->fake->handler);
	assert_true(f->fake->destroyed);
}

static void
what_ethdev_is_told_is_true(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	struct rte_eth_link link;
	uint16_t mtu;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.max_rx_queues, 2);
	assert_int_equal(info.max_tx_queues, 2);
	assert_int_equal(info.max_rx_pktlen, 9238);
	assert_int_equal(info.max_mtu, 9216);
	assert_true(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER);
	assert_true(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	assert_true(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	assert_true(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
	assert_int_equal(rte_eth_rx_queue_info_get(f->port_id, 0, &rxq), 0);
	assert_ptr_equal(rxq.mp, f->pool);
	assert_int_equal(rxq.nb_desc, 64);
	assert_int_equal(rxq.scattered_rx, 1);
	assert_int_equal(rte_eth_tx_queue_info_get(f->port_id, 0, &txq), 0);
	assert_int_equal(txq.nb_desc, 64);
	assert_int_equal(rte_eth_link_get_nowait(f->port_id, &link), 0);
	assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_UNKNOWN);
	assert_int_equal(rte_eth_dev_get_mtu(f->port_id, &mtu), 0);
	assert_int_equal(mtu, 1500);
}

static void
a_queue_that_was_not_set_up_prevents_start(void **state)
{
	struct avpg_fixture *f = *state;

	assert_int_equal(rte_eth_dev_configure(f->port_id, 2, 1, &f->conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 0, 64, 0, NULL, f->pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(f->port_id, 0, 64, 0, NULL), 0);
	assert_int_not_equal(rte_eth_dev_start(f->port_id), 0);
	assert_int_equal(rte_eth_rx_queue_setup(f->port_id, 1, 64, 0, NULL, f->pool), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
}

static void
the_devices_refusal_reaches_the_application(void **state)
{
	struct avpg_fixture *f = *state;

	atomic_store(&f->fake->result, -EPERM);
	assert_int_equal(rte_eth_dev_configure(f->port_id, 2, 2, &f->conf), -EPERM);
	atomic_store(&f->fake->result, 0);
	fixture_start(f, 2, 2);
	atomic_store(&f->fake->result, -EPERM);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 9000), -EPERM);
	/* what cannot be refused is not */
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), -EPERM);
	assert_false(fixture_link_is_up(f));
	atomic_store(&f->fake->result, 0);
}

static void
an_mtu_set_while_stopped_comes_with_the_configuration(void **state)
{
	struct avpg_fixture *f = *state;

	f->conf.rxmode.mtu = 4000;
	assert_int_equal(rte_eth_dev_configure(f->port_id, 1, 1, &f->conf), 0);
	assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_SET_MTU);
	assert_int_equal(f->fake->last.arg.mtu, 4000);
	/* what it knows already it is not told again */
	assert_int_equal(rte_eth_dev_configure(f->port_id, 1, 1, &f->conf), 0);
	assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_CONFIGURE);
	f->conf.rxmode.mtu = 1500;
	assert_int_equal(rte_eth_dev_configure(f->port_id, 1, 1, &f->conf), 0);
	assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_SET_MTU);
}

static void
stripping_can_be_switched_while_it_runs(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	assert_int_equal(f->fake->config.features, 0);
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	assert_int_equal(f->fake->config.features, AVP_FEATURE_VLAN);
	assert_int_equal(f->fake->config.link_up, 1);
	fixture_traffic(f, 1000);
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, 0), 0);
	assert_int_equal(f->fake->config.features, 0);
	fixture_traffic(f, 1000);
}

static void
a_fifo_that_makes_no_sense_prevents_start(void **state)
{
	struct avpg_fixture *f = *state;
	uint32_t len;

	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	len = f->fake->rx[1].fifo->len;
	f->fake->rx[1].fifo->len = 1u << 20;
	assert_int_equal(rte_eth_dev_start(f->port_id), -EINVAL);
	f->fake->rx[1].fifo->len = 63;
	assert_int_equal(rte_eth_dev_start(f->port_id), -EINVAL);
	f->fake->rx[1].fifo->len = len;
	f->fake->alloc[1].fifo->write = 64;
	assert_int_equal(rte_eth_dev_start(f->port_id), -EINVAL);
	f->fake->alloc[1].fifo->write = 0;
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
}

static void
detach_lets_go_and_attach_comes_back(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;

	fixture_start(f, 2, 2);
	for (int i = 0; i < 3; i++) {
		fixture_traffic(f, 5000);
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED),
				AVP_MIGRATION_DETACHED);
		assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_SHUTDOWN);
		fixture_wait_link(f, false);
		assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1400), -EBUSY);
		m = fixture_mbuf(f, 60, 2048, 1);
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 0);
		assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
		rte_pktmbuf_free(m);
		f->fake->info->device_id++;
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		assert_int_equal(f->fake->config.device_id, f->fake->info->device_id);
		assert_int_equal(f->fake->config.link_up, 1);
		fixture_wait_link(f, true);
	}
	fixture_traffic(f, 5000);
	/* an interrupt that is not about it changes nothing, though the status says attached */
	atomic_store(&f->fake->intr_status, 1);
	f->fake->handler(f->fake->handler_arg);
	assert_true(avpg_fake_wait(&f->fake->intr_status, 0));
	fixture_wait_served(f);
	assert_int_equal(fixture_xstat(f, "detaches"), 3);
	assert_int_equal(fixture_xstat(f, "attaches"), 3);
}

static void
attach_takes_up_a_different_device(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = {
			.nb_queues = 4,
			.min_rx_queues = 3,
			.ring_len = 128,
			.nb_bufs = 32,
			.buf_data_size = 1024, /* an old size would overrun these */
			.max_rx_size = 5000,
			.features = 0,
	};
	struct rte_mbuf *m;

	f->conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	fixture_start(f, 2, 2);
	assert_int_equal(f->fake->config.features, AVP_FEATURE_VLAN);
	fixture_traffic(f, 5000);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	fixture_replace_device(f, &conf);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	assert_int_equal(f->fake->config.nb_rx_queues, 3);
	assert_int_equal(f->fake->config.features, 0);
	fixture_traffic(f, 5000);
	/* five of its buffers are the limit now */
	m = fixture_mbuf(f, 5 * 1024 + 1, 2048, 1);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_drop_too_long"), 1);
}

static void
attach_fails_cleanly_and_may_be_tried_again(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_mbuf *m;

	fixture_start(f, 2, 2);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	/* too few queues */
	conf.nb_queues = 1;
	fixture_replace_device(f, &conf);
	assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ERROR);
	/* no AVP device */
	conf.nb_queues = 2;
	fixture_replace_device(f, &conf);
	f->fake->info->magic = 0;
	assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ERROR);
	f->fake->info->magic = AVP_DEVICE_MAGIC;
	/* one that refuses */
	atomic_store(&f->fake->result, -EPERM);
	assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ERROR);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
	assert_false(fixture_link_is_up(f));
	assert_int_equal(fixture_xstat(f, "attach_failures"), 3);
	atomic_store(&f->fake->result, 0);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
	fixture_traffic(f, 5000);
}

static void
a_register_of_all_ones_is_no_migration(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	atomic_store(&f->fake->migration_status, UINT32_MAX);
	atomic_store(&f->fake->intr_status, UINT32_MAX);
	f->fake->handler(f->fake->handler_arg);
	assert_true(avpg_fake_wait(&f->fake->intr_status, 0)); /* it has looked */
	fixture_traffic(f, 100);
	assert_int_equal(atomic_load(&f->fake->acks), 0);
	assert_true(fixture_link_is_up(f));
}

/* As the device: raise the interrupt, and wait for nothing. */
static void
ask(struct avpg_fixture *f, enum avp_migration status)
{
	atomic_store(&f->fake->ack, 0);
	atomic_store(&f->fake->migration_status, status);
	atomic_store(&f->fake->intr_status, AVP_INTR_MIGRATION);
	f->fake->handler(f->fake->handler_arg);
}

/* How long it waits is limited, and this machine may be busy: once of some times is enough. */
#define DRAIN_TRIES 20

static void
a_detach_waits_until_what_has_come_is_received(void **state)
{
	struct avpg_fixture *f = *state;
	const unsigned int nb_pkts = 20;
	unsigned int nb_got = 0;

	fixture_start(f, 1, 1);
	for (unsigned int i = 0; i < DRAIN_TRIES && nb_got < nb_pkts; i++) {
		struct rte_mbuf *m;

		nb_got = 0;
		for (unsigned int k = 0; k < nb_pkts; k++)
			fixture_host_send(f, 0, k, 100, 2048);
		ask(f, AVP_MIGRATION_DETACHED);
		while (atomic_load(&f->fake->ack) != AVP_MIGRATION_DETACHED) {
			/* slowly */
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
			if (rte_eth_rx_burst(f->port_id, 0, &m, 1) == 0)
				continue;
			nb_got++;
			rte_pktmbuf_free(m);
		}
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		fixture_wait_link(f, true);
	}
	assert_int_equal(nb_got, nb_pkts);
}

static void
a_detach_waits_until_the_host_has_taken_what_was_sent(void **state)
{
	struct avpg_fixture *f = *state;
	static uint8_t data[AVP_MAX_PKT_SIZE];
	struct avp_desc head;
	bool waited = false;

	fixture_start(f, 1, 1);
	for (unsigned int i = 0; i < DRAIN_TRIES && !waited; i++) {
		struct rte_mbuf *m = fixture_mbuf(f, 500, 2048, 1);

		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		ask(f, AVP_MIGRATION_DETACHED);
		assert_true(avpg_fake_wait(&f->fake->intr_status, 0));
		nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
		waited = atomic_load(&f->fake->ack) == 0;
		if (waited)
			assert_int_equal(fixture_host_take(f, 0, &head, data), 500);
		assert_true(avpg_fake_wait(&f->fake->ack, AVP_MIGRATION_DETACHED));
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		fixture_wait_link(f, true);
	}
	assert_true(waited);
}

static void
an_attach_of_what_was_never_let_go_changes_nothing(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;
	unsigned int requests;

	fixture_start(f, 1, 1);
	fixture_host_send(f, 0, 0, 100, 2048);
	requests = atomic_load(&f->fake->taken);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	assert_int_equal(atomic_load(&f->fake->taken), requests);
	/* not lost, as it would be with a new configuration */
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
	rte_pktmbuf_free(m);
	assert_true(fixture_link_is_up(f));
	/* another device in its place is taken up anew */
	f->fake->info->device_id++;
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	assert_int_equal(atomic_load(&f->fake->last_id), AVP_REQ_CONFIGURE);
	fixture_traffic(f, 100);
}

static void
close_while_detached_frees_everything(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 2);
	fixture_traffic(f, 100);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->port = NULL;
	assert_true(f->fake->destroyed);
	assert_null(f->fake->handler);
}

static void
close_does_not_wait_for_a_detach_that_hangs(void **state)
{
	struct avpg_fixture *f = *state;
	struct timespec start, end;

	fixture_start(f, 1, 1);
	atomic_store(&f->fake->mode, AVPG_FAKE_SILENT);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0); /* its request is not answered */
	atomic_store(&f->fake->migration_status, AVP_MIGRATION_DETACHED);
	atomic_store(&f->fake->intr_status, AVP_INTR_MIGRATION);
	f->fake->handler(f->fake->handler_arg);
	assert_true(avpg_fake_wait(&f->fake->intr_status, 0));
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	f->port = NULL;
	assert_true((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 <
			2 * AVPG_CTRL_TIME_LIMIT_MS);
}

static atomic_uint nb_removals;

static int
on_removal(uint16_t port_id __rte_unused, enum rte_eth_event_type type __rte_unused,
		void *arg __rte_unused, void *ret __rte_unused)
{
	atomic_fetch_add(&nb_removals, 1);
	return 0;
}

static void
a_device_that_is_gone_is_reported_once(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_callback_register(
					 f->port_id, RTE_ETH_EVENT_INTR_RMV, on_removal, NULL),
			0);
	avpg_port_gone(f->port);
	avpg_port_gone(f->port);
	assert_true(avpg_fake_wait(&nb_removals, 1));
	fixture_wait_link(f, false);
	m = fixture_mbuf(f, 60, 2048, 1);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 0);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_eth_dev_is_removed(f->port_id), 1);
	/* a device that asks for something all the same is not listened to */
	f->fake->handler(f->fake->handler_arg);
	fixture_wait_served(f);
	uint32_t taken = atomic_load(&f->fake->taken);

	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->port = NULL;
	assert_int_equal(atomic_load(&f->fake->taken), taken);
	assert_int_equal(atomic_load(&nb_removals), 1);
}

static void
a_bad_device_is_refused_and_left_alone(void **state __rte_unused)
{
	struct avpg_fake *fake = avpg_fake_create(&avpg_fake_default);

	assert_non_null(fake);
	avpg_fake_stop(fake); /* its thread would write the FIFO's length anew */
	fake->info->magic = 0;
	assert_int_equal(fixture_probe_fails(fake), -ENODEV);
	fake->info->magic = AVP_DEVICE_MAGIC;
	fake->req.fifo->len = 17;
	assert_int_equal(fixture_probe_fails(fake), -EINVAL);
	fake->req.fifo->len = AVPG_FAKE_CTRL_LEN;
	memset(fake->info->mac, 0, 6);
	assert_int_equal(fixture_probe_fails(fake), -EINVAL);
	fake->info->mac[0] = 0x03; /* a group */
	assert_int_equal(fixture_probe_fails(fake), -EINVAL);
	assert_int_equal(atomic_load(&fake->acks), 0);
	avpg_fake_destroy(fake);
}

/* The last events, as hexadecimal digits, the last one in the lowest. */
static _Atomic uint64_t event_trace;
static atomic_uint nb_events;

static int
on_event(uint16_t port_id __rte_unused, enum rte_eth_event_type type, void *arg __rte_unused,
		void *ret __rte_unused)
{
	static const uint8_t digit[RTE_ETH_EVENT_MAX] = {
			[RTE_ETH_EVENT_ERR_RECOVERING] = 1,
			[RTE_ETH_EVENT_RECOVERY_SUCCESS] = 2,
			[RTE_ETH_EVENT_RECOVERY_FAILED] = 3,
			[RTE_ETH_EVENT_INTR_RESET] = 4,
			[RTE_ETH_EVENT_INTR_RMV] = 5,
	};

	atomic_store(&event_trace, atomic_load(&event_trace) << 4 | digit[type]);
	atomic_fetch_add(&nb_events, 1);
	return 0;
}

static void
trace_events(struct avpg_fixture *f)
{
	static const enum rte_eth_event_type types[] = {RTE_ETH_EVENT_ERR_RECOVERING,
			RTE_ETH_EVENT_RECOVERY_SUCCESS, RTE_ETH_EVENT_RECOVERY_FAILED,
			RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV};

	atomic_store(&event_trace, 0);
	atomic_store(&nb_events, 0);
	for (size_t i = 0; i < RTE_DIM(types); i++)
		assert_int_equal(
				rte_eth_dev_callback_register(f->port_id, types[i], on_event, NULL),
				0);
}

static void
detach_and_attach_are_a_recovery(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;

	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.err_handle_mode, RTE_ETH_ERROR_HANDLE_MODE_PROACTIVE);
	trace_events(f);
	fixture_start(f, 1, 1);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_true(avpg_fake_wait(&nb_events, 1));
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	assert_true(avpg_fake_wait(&nb_events, 2));
	assert_int_equal(atomic_load(&event_trace), 0x12);
	/* a device that vanishes meanwhile ends it */
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_true(avpg_fake_wait(&nb_events, 3));
	avpg_port_gone(f->port);
	assert_true(avpg_fake_wait(&nb_events, 5));
	assert_int_equal(atomic_load(&event_trace), 0x12135);
}

static void
a_device_that_does_not_suit_can_be_taken_by_a_reset(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_ether_addr mac;
	struct rte_eth_dev_info info;

	trace_events(f);
	fixture_start(f, 2, 2);
	assert_int_equal(rte_eth_dev_reset(f->port_id), 0); /* also of a device that is good */
	fixture_start(f, 2, 2);
	fixture_traffic(f, 5000);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_true(avpg_fake_wait(&nb_events, 1));
	assert_int_equal(rte_eth_dev_reset(f->port_id), -EBUSY);
	conf.nb_queues = 1;
	fixture_replace_device(f, &conf);
	f->fake->info->mac[5] = 0x77;
	assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ERROR);
	assert_true(avpg_fake_wait(&nb_events, 3));
	assert_int_equal(atomic_load(&event_trace), 0x134);
	assert_int_equal(rte_eth_dev_start(f->port_id), -EBUSY);
	assert_int_equal(rte_eth_dev_reset(f->port_id), 0);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.max_rx_queues, 1);
	assert_int_equal(rte_eth_macaddr_get(f->port_id, &mac), 0);
	assert_int_equal(mac.addr_bytes[5], 0x77);
	rte_eth_promiscuous_enable(f->port_id); /* packets here have the other address */
	fixture_start(f, 1, 1);
	assert_true(fixture_link_is_up(f));
	fixture_traffic(f, 5000);
	/* it was asked for: no event tells of it */
	assert_int_equal(atomic_load(&nb_events), 3);
}

static void
a_device_that_is_gone_cannot_be_reset(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	f->fake->info->magic = 0;
	assert_int_equal(rte_eth_dev_reset(f->port_id), -ENODEV);
	f->fake->info->magic = AVP_DEVICE_MAGIC;
	assert_int_equal(rte_eth_dev_reset(f->port_id), 0);
	avpg_port_gone(f->port);
	assert_int_not_equal(rte_eth_dev_reset(f->port_id), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(the_device_learns_of_every_step),
			TEST(what_ethdev_is_told_is_true),
			TEST(a_queue_that_was_not_set_up_prevents_start),
			TEST(the_devices_refusal_reaches_the_application),
			TEST(an_mtu_set_while_stopped_comes_with_the_configuration),
			TEST(stripping_can_be_switched_while_it_runs),
			TEST(a_fifo_that_makes_no_sense_prevents_start),
			TEST(detach_lets_go_and_attach_comes_back),
			TEST(attach_takes_up_a_different_device),
			TEST(attach_fails_cleanly_and_may_be_tried_again),
			TEST(a_register_of_all_ones_is_no_migration),
			TEST(a_detach_waits_until_what_has_come_is_received),
			TEST(a_detach_waits_until_the_host_has_taken_what_was_sent),
			TEST(an_attach_of_what_was_never_let_go_changes_nothing),
			TEST(close_while_detached_frees_everything),
			TEST(close_does_not_wait_for_a_detach_that_hangs),
			TEST(a_device_that_is_gone_is_reported_once),
			TEST(a_bad_device_is_refused_and_left_alone),
			TEST(detach_and_attach_are_a_recovery),
			TEST(a_device_that_does_not_suit_can_be_taken_by_a_reset),
			TEST(a_device_that_is_gone_cannot_be_reset),
	};

	return cmocka_run_group_tests_name("avpg_ethdev", tests, fixture_group_setup, NULL);
}
