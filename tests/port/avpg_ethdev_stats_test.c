/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counters of the guest driver: each is made to move by its own reason, and must then be the only
 * one that does, but for those that are said to go with it. A counter that no case here moves fails
 * the test. The device is simulated.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_map.h"
#include "avpg_port_fixture.h"

#define MAX_COUNTERS 256
/* Data bytes of an mbuf; so a packet of 5 device buffers needs more mbufs than one. */
#define ROOM 2048u

static struct avpg_fixture fixture;
static struct rte_eth_xstat_name names[MAX_COUNTERS];
static int nb_names;
static bool moved[MAX_COUNTERS];

static int
setup(void **state)
{
	static const struct avpg_fake_conf conf = {
			.nb_queues = 1,
			.min_rx_queues = 1,
			.ring_len = 64,
			.nb_bufs = 63, /* as many as the tx FIFO has room for */
			.buf_data_size = 2048,
			.max_rx_size = 9000,
	};

	fixture_create(&fixture, &conf, ROOM);
	fixture_start(&fixture, 1, 1);
	nb_names = rte_eth_xstats_get_names(fixture.port_id, names, MAX_COUNTERS);
	assert_in_range(nb_names, 30, MAX_COUNTERS);
	*state = &fixture;
	return 0;
}

static void
snapshot(const struct avpg_fixture *f, uint64_t *values)
{
	struct rte_eth_xstat stats[MAX_COUNTERS];

	assert_int_equal(rte_eth_xstats_get(f->port_id, stats, MAX_COUNTERS), nb_names);
	for (int i = 0; i < nb_names; i++)
		values[i] = stats[i].value;
}

/* ethdev's own, sums of which a driver's counters are part. */
static bool
is_ethdevs(const char *name)
{
	static const char *const own[] = {"rx_good_packets", "tx_good_packets", "rx_good_bytes",
			"tx_good_bytes", "rx_missed_errors", "rx_errors", "tx_errors",
			"rx_mbuf_allocation_errors", "rx_q0_packets", "rx_q0_bytes", "rx_q0_errors",
			"tx_q0_packets", "tx_q0_bytes"};

	for (size_t i = 0; i < RTE_DIM(own); i++)
		if (strcmp(name, own[i]) == 0)
			return true;
	return false;
}

static bool
in_list(const char *list, const char *name)
{
	const char *at = strstr(list, name);
	size_t len = strlen(name);

	for (; at != NULL; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

/* Make @action happen: of the driver's counters those in @list have moved, and no others but, where
 * a busy machine makes a difference, those in brackets. */
static void
expect(struct avpg_fixture *f, void (*action)(struct avpg_fixture *f), const char *list)
{
	uint64_t before[MAX_COUNTERS], after[MAX_COUNTERS];

	snapshot(f, before);
	action(f);
	snapshot(f, after);
	for (int i = 0; i < nb_names; i++) {
		const char *name = names[i].name;
		char bracketed[sizeof(names[i].name) + 2];

		snprintf(bracketed, sizeof(bracketed), "(%s)", name);
		if (is_ethdevs(name) || in_list(list, bracketed))
			continue;
		if (in_list(list, name) == (after[i] != before[i])) {
			moved[i] |= after[i] != before[i];
			continue;
		}
		fail_msg("to move \"%s\": %s: %llu, then %llu", list, name,
				(unsigned long long)before[i], (unsigned long long)after[i]);
	}
}

/*
 * Receive
 */

static struct avp_desc *
send_good(struct avpg_fixture *f)
{
	return fixture_host_send(f, 0, 0, 100, 2048);
}

/* Poll once; what comes is freed. */
static void
poll(struct avpg_fixture *f)
{
	struct rte_mbuf *pkts[32];
	uint16_t nb = rte_eth_rx_burst(f->port_id, 0, pkts, 32);

	rte_pktmbuf_free_bulk(pkts, nb);
}

static void
bad_label(struct avpg_fixture *f)
{
	assert_true(avpg_fake_put(&f->fake->rx[0], 0xdead));
	poll(f);
}

static void
bad_chain(struct avpg_fixture *f)
{
	send_good(f)->nb_segs = AVP_MAX_SEGS + 1;
	poll(f);
}

static void
bad_segment(struct avpg_fixture *f)
{
	send_good(f)->data_va = 1;
	poll(f);
}

static void
bad_len(struct avpg_fixture *f)
{
	send_good(f)->data_len = 99;
	poll(f);
}

static void
rx_too_short(struct avpg_fixture *f)
{
	fixture_host_send(f, 0, 0, 13, 2048);
	poll(f);
}

static void
rx_too_long(struct avpg_fixture *f)
{
	fixture_host_send(f, 0, 0, 9001, 2048);
	poll(f);
}

static void
send_to(struct avpg_fixture *f, uint8_t first_byte)
{
	send_good(f);
	avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake))[0] = first_byte;
	poll(f);
}

static void
other_mac(struct avpg_fixture *f)
{
	send_to(f, 0x06);
}

static void
other_group(struct avpg_fixture *f)
{
	assert_int_equal(rte_eth_allmulticast_disable(f->port_id), 0);
	send_to(f, 0x03);
	assert_int_equal(rte_eth_allmulticast_enable(f->port_id), 0);
}

static void
no_mbuf(struct avpg_fixture *f)
{
	static struct rte_mbuf *all[FIXTURE_NB_MBUFS];

	send_good(f);
	assert_int_equal(rte_pktmbuf_alloc_bulk(f->pool, all, FIXTURE_NB_MBUFS), 0);
	poll(f);
	rte_pktmbuf_free_bulk(all, FIXTURE_NB_MBUFS);
}

static void
rx_fifo_fault(struct avpg_fixture *f)
{
	uint32_t write = f->fake->rx[0].fifo->write;

	poll(f);
	f->fake->rx[0].fifo->write = 64;
	poll(f);
	f->fake->rx[0].fifo->write = write;
}

static void
good(struct avpg_fixture *f)
{
	send_good(f);
	poll(f);
}

static void
every_received_packet_is_in_one_counter(void **state)
{
	struct avpg_fixture *f = *state;

	expect(f, good, "");
	expect(f, bad_label, "rx_q0_drop_bad_label");
	expect(f, bad_chain, "rx_q0_drop_bad_chain");
	expect(f, bad_segment, "rx_q0_drop_bad_segment");
	expect(f, bad_len, "rx_q0_drop_bad_len");
	expect(f, rx_too_short, "rx_q0_drop_too_short");
	expect(f, rx_too_long, "rx_q0_drop_too_long");
	expect(f, other_mac, "rx_q0_drop_other_mac");
	expect(f, other_group, "rx_q0_drop_other_group");
	expect(f, no_mbuf, "rx_q0_no_mbuf");
	expect(f, rx_fifo_fault, "rx_q0_fifo_faults");
}

/*
 * Transmit
 */

static void
send_mbuf(struct avpg_fixture *f, struct rte_mbuf *m, uint16_t want)
{
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), want);
	if (want == 0)
		rte_pktmbuf_free(m);
}

/* The host takes all packets and gives their buffers again. */
static void
host_take_all(struct avpg_fixture *f)
{
	uint8_t data[AVP_MAX_SEGS * 2048];
	struct avp_desc head;

	while (avpg_fake_count(&f->fake->tx[0]) > 0)
		fixture_host_take(f, 0, &head, data);
}

static void
tx_too_short(struct avpg_fixture *f)
{
	send_mbuf(f, fixture_mbuf(f, 13, ROOM, 0), 1);
}

static void
tx_too_long(struct avpg_fixture *f)
{
	send_mbuf(f, fixture_mbuf(f, AVP_MAX_PKT_SIZE + 1, ROOM, 0), 1);
}

static void
bad_mbuf(struct avpg_fixture *f)
{
	struct rte_mbuf *m = fixture_mbuf(f, 100, ROOM, 0);

	m->pkt_len = 101;
	send_mbuf(f, m, 1);
}

static void
no_room(struct avpg_fixture *f)
{
	for (int i = 0; i < 63; i++)
		send_mbuf(f, fixture_mbuf(f, 60, ROOM, 0), 1);
	send_mbuf(f, fixture_mbuf(f, 60, ROOM, 0), 0);
	host_take_all(f);
}

static void
no_buffer(struct avpg_fixture *f)
{
	for (int i = 0; i < 12; i++)
		send_mbuf(f, fixture_mbuf(f, 5 * 1800, ROOM, 0), 1);
	send_mbuf(f, fixture_mbuf(f, 5 * 1800, ROOM, 0), 0);
	host_take_all(f);
}

static void
bad_buffer(struct avpg_fixture *f)
{
	/* a label that is none, then the rest of the good ones */
	for (int i = 0; i < 63; i++)
		send_mbuf(f, fixture_mbuf(f, 60, ROOM, 0), 1);
	assert_true(avpg_fake_put(&f->fake->alloc[0], 1));
	for (int i = 0; i < 62; i++) {
		uint64_t va;

		assert_true(avpg_fake_get(&f->fake->tx[0], &va));
		assert_true(avpg_fake_put(&f->fake->alloc[0], va));
	}
	send_mbuf(f, fixture_mbuf(f, 60, ROOM, 0), 1);
	host_take_all(f);
}

static void
tx_fifo_fault(struct avpg_fixture *f)
{
	uint32_t read = f->fake->tx[0].fifo->read;

	f->fake->tx[0].fifo->read = 64;
	/* it looks when it does not know of enough room */
	for (int i = 0; i < 63 && fixture_xstat(f, "tx_q0_fifo_faults") == 0; i++) {
		struct rte_mbuf *m = fixture_mbuf(f, 60, ROOM, 0);

		if (rte_eth_tx_burst(f->port_id, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
	}
	f->fake->tx[0].fifo->read = read;
}

static void
closed(struct avpg_fixture *f)
{
	assert_int_equal(rte_eth_dev_tx_queue_stop(f->port_id, 0), 0);
	send_mbuf(f, fixture_mbuf(f, 60, ROOM, 0), 0);
	assert_int_equal(rte_eth_dev_tx_queue_start(f->port_id, 0), 0);
}

static void
every_packet_not_sent_is_in_one_counter(void **state)
{
	struct avpg_fixture *f = *state;

	expect(f, tx_too_short, "tx_q0_drop_too_short");
	expect(f, tx_too_long, "tx_q0_drop_too_long");
	expect(f, bad_mbuf, "tx_q0_drop_bad_mbuf");
	expect(f, no_room, "tx_q0_no_room");
	expect(f, no_buffer, "tx_q0_no_buffer");
	expect(f, closed, "tx_q0_closed");
	expect(f, bad_buffer, "tx_q0_bad_buffer");
	expect(f, tx_fifo_fault, "tx_q0_fifo_faults tx_q0_no_room");
}

/*
 * Control
 */

static void
set_mtu(struct avpg_fixture *f, int want)
{
	static uint16_t mtu = 1000;

	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, mtu++), want);
}

static void
request(struct avpg_fixture *f)
{
	set_mtu(f, 0);
}

static void
refused(struct avpg_fixture *f)
{
	atomic_store(&f->fake->result, -EPERM);
	set_mtu(f, -EPERM);
	atomic_store(&f->fake->result, 0);
}

static void
timed_out(struct avpg_fixture *f)
{
	atomic_store(&f->fake->mode, AVPG_FAKE_SILENT);
	set_mtu(f, -ETIMEDOUT);
}

static void
answered_late(struct avpg_fixture *f)
{
	atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
	set_mtu(f, 0);
}

static void
lose_an_answer(struct avpg_fixture *f)
{
	int ret = -ETIMEDOUT;

	atomic_store(&f->fake->mode, AVPG_FAKE_LOSE);
	set_mtu(f, -ETIMEDOUT);
	atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
	/* half of its time goes by until the driver asks; on a busy machine all of it may */
	for (int i = 0; i < 10 && ret != 0; i++)
		ret = rte_eth_dev_set_mtu(f->port_id, 2000);
	assert_int_equal(ret, 0);
}

static void
answered_with_noise(struct avpg_fixture *f)
{
	atomic_store(&f->fake->mode, AVPG_FAKE_NOISY);
	set_mtu(f, 0);
	atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
}

static void
ctrl_fifo_fault(struct avpg_fixture *f)
{
	uint32_t write = f->fake->resp.fifo->write;

	f->fake->resp.fifo->write = AVPG_FAKE_CTRL_LEN;
	set_mtu(f, 0);
	assert_int_not_equal(f->fake->resp.fifo->write, write);
}

static void
busy(struct avpg_fixture *f)
{
	atomic_store(&f->port->migrating, true);
	set_mtu(f, -EBUSY);
	atomic_store(&f->port->migrating, false);
}

static void
detach(struct avpg_fixture *f)
{
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	fixture_wait_served(f);
}

static void
no_device(struct avpg_fixture *f)
{
	set_mtu(f, -EBUSY);
}

static void
attach_badly(struct avpg_fixture *f)
{
	f->fake->info->magic = 0;
	assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ERROR);
	f->fake->info->magic = AVP_DEVICE_MAGIC;
	fixture_wait_served(f);
}

static void
attach(struct avpg_fixture *f)
{
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_served(f);
}

static void
every_request_and_refusal_is_counted(void **state)
{
	struct avpg_fixture *f = *state;

	expect(f, request, "ctrl_requests");
	expect(f, refused, "ctrl_requests ctrl_refused");
	expect(f, timed_out, "ctrl_requests ctrl_timeouts");
	expect(f, answered_late, "ctrl_requests ctrl_late_answers");
	expect(f, lose_an_answer,
			"ctrl_requests ctrl_timeouts ctrl_lost_answers (ctrl_late_answers)");
	expect(f, answered_with_noise, "ctrl_requests ctrl_bad_answers");
	expect(f, ctrl_fifo_fault, "ctrl_requests ctrl_fifo_faults");
	expect(f, busy, "ops_busy");
	expect(f, detach, "ctrl_requests detaches");
	expect(f, no_device, "ops_no_device");
	expect(f, attach_badly, "attach_failures");
	expect(f, attach, "ctrl_requests attaches");
}

/*
 * Without a copy, from a device that offers "recycle"
 */

#define HOLD 4u

static struct rte_mbuf *held[HOLD + 1];

static uint16_t
receive(struct avpg_fixture *f, uint32_t n, struct rte_mbuf **pkts)
{
	fixture_host_send(f, 0, n, 100, 2048);
	return rte_eth_rx_burst(f->port_id, 0, pkts, 1);
}

static void
receive_and_free(struct avpg_fixture *f)
{
	assert_int_equal(receive(f, 0, held), 1);
	rte_pktmbuf_free(held[0]);
}

static void
receive_and_send(struct avpg_fixture *f)
{
	assert_int_equal(receive(f, 1, held), 1);
	send_mbuf(f, held[0], 1);
}

static void
hold_too_many(struct avpg_fixture *f)
{
	for (uint32_t i = 0; i < RTE_DIM(held); i++)
		assert_int_equal(receive(f, 10 + i, &held[i]), 1);
}

/* The host sends a buffer again that the application still has. */
static void
receive_what_is_held(struct avpg_fixture *f)
{
	struct rte_mbuf *m;

	assert_int_equal(receive(f, 2, held), 1);
	assert_int_equal(receive(f, 2, &m), 0);
	rte_pktmbuf_free(held[0]);
}

static void
every_packet_by_pointer_is_counted(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_map *map = avpg_map_create(f->fake->mem, f->fake->mem_size);

	assert_non_null(map);
	avpg_map_get(map); /* so that it never ends what is the device's */
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->fake->info->features = AVP_FEATURE_RECYCLE;
	f->fake->info->buf_stride = f->fake->buf_stride;
	f->fake->hw.map = map;
	f->fake->hw.recycle = true;
	f->fake->hw.recycle_hold = HOLD;
	fixture_probe(f);
	fixture_start(f, 1, 1);
	expect(f, receive_and_free, "rx_q0_by_pointer");
	expect(f, receive_and_send, "rx_q0_by_pointer tx_q0_by_pointer");
	expect(f, receive_what_is_held, "rx_q0_by_pointer rx_q0_drop_in_use");
	expect(f, hold_too_many, "rx_q0_by_pointer rx_q0_copied_held");
	rte_pktmbuf_free_bulk(held, RTE_DIM(held));
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	f->port = NULL;
	f->fake->hw.map = NULL;
	free(map);
}

/* After the others: have they moved all there are? */
static void
no_counter_is_left_that_nothing_moves(void **state __rte_unused)
{
	for (int i = 0; i < nb_names; i++)
		if (!moved[i] && !is_ethdevs(names[i].name))
			fail_msg("%s: no test moves it", names[i].name);
}

static void
errors_are_the_sums_of_the_drops(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_stats stats;

	good(f);
	bad_label(f);
	bad_chain(f);
	bad_segment(f);
	bad_len(f);
	rx_too_short(f);
	rx_too_long(f);
	other_mac(f);
	other_group(f);
	tx_too_short(f);
	tx_too_long(f);
	bad_mbuf(f);
	no_room(f);
	assert_int_equal(rte_eth_stats_get(f->port_id, &stats), 0);
	assert_int_equal(stats.ipackets, 1);
	assert_int_equal(stats.ibytes, 100);
	assert_int_equal(stats.ierrors, 6);
	assert_int_equal(stats.imissed, 0);
	assert_int_equal(stats.opackets, 63);
	assert_int_equal(stats.obytes, 63 * 60);
	assert_int_equal(stats.oerrors, 3);
	assert_int_equal(stats.rx_nombuf, 0);
	no_mbuf(f);
	assert_int_equal(rte_eth_stats_get(f->port_id, &stats), 0);
	assert_int_equal(stats.rx_nombuf, 1);
}

static void
queues_have_counters_of_their_own(void **state)
{
	struct avpg_fixture *f = *state;
	uint8_t data[AVP_MAX_SEGS * 2048];
	struct rte_mbuf *m;
	struct avp_desc head;

	fixture_recreate(f, &avpg_fake_default, ROOM);
	fixture_start(f, 2, 2);
	fixture_host_send(f, 1, 0, 200, 2048);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 1, &m, 1), 1);
	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
	assert_int_equal(fixture_host_take(f, 0, &head, data), 200);
	assert_true(avpg_fake_put(&f->fake->rx[0], 0xdead));
	poll(f);
	assert_int_equal(fixture_xstat(f, "rx_q0_packets"), 0);
	assert_int_equal(fixture_xstat(f, "rx_q1_packets"), 1);
	assert_int_equal(fixture_xstat(f, "rx_q1_bytes"), 200);
	assert_int_equal(fixture_xstat(f, "tx_q0_packets"), 1);
	assert_int_equal(fixture_xstat(f, "tx_q0_bytes"), 200);
	assert_int_equal(fixture_xstat(f, "tx_q1_packets"), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_bad_label"), 1);
	assert_int_equal(fixture_xstat(f, "rx_q1_drop_bad_label"), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_errors"), 1);
	assert_int_equal(fixture_xstat(f, "rx_q1_errors"), 0);
}

static void
reset_sets_all_of_them_back(void **state)
{
	struct avpg_fixture *f = *state;
	uint64_t values[MAX_COUNTERS];

	good(f);
	bad_label(f);
	tx_too_short(f);
	closed(f);
	busy(f);
	/* of ethdev's two resets the first leaves the port's counters alone */
	assert_int_equal(rte_eth_stats_reset(f->port_id), 0);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_bad_label"), 0);
	assert_int_equal(fixture_xstat(f, "ops_busy"), 1);
	assert_int_equal(rte_eth_xstats_reset(f->port_id), 0);
	snapshot(f, values);
	for (int i = 0; i < nb_names; i++)
		if (values[i] != 0)
			fail_msg("%s: %llu", names[i].name, (unsigned long long)values[i]);
	good(f);
	bad_label(f);
	busy(f);
	assert_int_equal(fixture_xstat(f, "rx_good_packets"), 1);
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_bad_label"), 1);
	assert_int_equal(fixture_xstat(f, "ops_busy"), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(every_received_packet_is_in_one_counter),
			TEST(every_packet_not_sent_is_in_one_counter),
			TEST(every_request_and_refusal_is_counted),
			TEST(every_packet_by_pointer_is_counted),
			TEST(no_counter_is_left_that_nothing_moves),
			TEST(errors_are_the_sums_of_the_drops),
			TEST(queues_have_counters_of_their_own),
			TEST(reset_sets_all_of_them_back),
	};

	return cmocka_run_group_tests_name("avpg_ethdev_stats", tests, fixture_group_setup, NULL);
}
