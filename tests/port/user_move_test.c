/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A net_avp_user port that goes on while its host changes: moved from one net_avp_host to another
 * and back under traffic, without a packet lost, doubled or out of order; its host away for a
 * while; hosts that differ, or do not suit. Arguments: the plug-ins of the two drivers.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "avpg_api.h"
#include "avph_api.h"
#include "port_pair.h"
#include "test_clock.h"

#define LIMIT_MS 20000
#define NB_MOVES 10
#define NB_TRIES 10
#define STALL_US 60000 /* longer than an application that polls is waited for */
#define IN_FLIGHT 100u /* less than a FIFO holds */

#define MAC ",mac=02:00:00:00:0b:02"
#define HERE MAC ",mru=9238"
#define THERE HERE ",incoming=1"

static const struct pair_end_conf here_conf = {.nb_queues = 1, .devargs = HERE};
static const struct pair_end_conf there_conf = {.nb_queues = 1, .devargs = THERE};
static const struct pair_end_conf guest_conf = {.nb_queues = 1, .lsc = true};

/* The guest is the first one's. */
static struct pair here, there;

static atomic_uint events[RTE_ETH_EVENT_MAX];

static int
on_event(uint16_t port_id __rte_unused, enum rte_eth_event_type type, void *arg __rte_unused,
		void *ret __rte_unused)
{
	atomic_fetch_add(&events[type], 1);
	return 0;
}

static int
setup(void **state __rte_unused)
{
	memset(&here, 0, sizeof(here));
	memset(&there, 0, sizeof(there));
	there.number = 1;
	for (unsigned int i = 0; i < RTE_ETH_EVENT_MAX; i++)
		atomic_store(&events[i], 0);
	return 0;
}

static int
teardown(void **state __rte_unused)
{
	pair_destroy(&here);
	pair_destroy(&there);
	return 0;
}

/* A guest at its host, and the other host, which waits for it. */
static void
begin(const struct pair_end_conf *guest, const struct pair_end_conf *other)
{
	static const enum rte_eth_event_type types[] = {RTE_ETH_EVENT_ERR_RECOVERING,
			RTE_ETH_EVENT_RECOVERY_SUCCESS, RTE_ETH_EVENT_RECOVERY_FAILED,
			RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_RESET};

	pair_create(&here, 0, &here_conf, guest);
	pair_host_add(&there, other);
	for (unsigned int i = 0; i < RTE_DIM(types); i++)
		assert_int_equal(rte_eth_dev_callback_register(
						 here.guest.port_id, types[i], on_event, NULL),
				0);
}

static void
wait_event(enum rte_eth_event_type type, unsigned int count)
{
	const uint64_t limit = test_now_ms() + LIMIT_MS;

	while (atomic_load(&events[type]) < count && test_now_ms() < limit)
		test_pause();
	assert_int_equal(atomic_load(&events[type]), count);
}

static void
detach(const struct pair *from)
{
	assert_int_equal(rte_avp_host_detach(from->host.port_id, LIMIT_MS), 0);
}

/* A guest that is away is not waited for. */
static void
wait_connected(const struct pair *to)
{
	const uint64_t limit = test_now_ms() + LIMIT_MS;
	struct rte_avp_host_info info = {.connected = 0};

	while (info.connected == 0 && test_now_ms() < limit) {
		assert_int_equal(rte_avp_host_info_get(to->host.port_id, &info), 0);
		test_pause();
	}
}

static void
attach(struct pair *to)
{
	wait_connected(to);
	assert_int_equal(rte_avp_host_attach(to->host.port_id, LIMIT_MS), 0);
	pair_end_wait_link(&here.guest, true);
	pair_end_wait_link(&to->host, true);
}

static void
move(const struct pair *to)
{
	assert_int_equal(rte_avp_user_move(here.guest.port_id, to->socket), 0);
}

static void
assert_works(struct pair *at)
{
	struct pair_stream stream;

	pair_stream_init(&stream, &here, 1, 2048);
	pair_transfer(&at->host, &here.guest, &stream, 300, 200);
	pair_stream_init(&stream, &here, 1, 2048);
	pair_transfer(&here.guest, &at->host, &stream, 300, 3000);
}

/* The guest's application: sends back what it gets, and keeps what it cannot send. */
struct echo {
	pthread_t thread;
	atomic_bool quit;
	atomic_uint nb_refused; /* bursts that sent nothing of what there was */
};

static void *
echo_main(void *arg)
{
	struct rte_mbuf *pkts[PAIR_BURST];
	struct echo *echo = arg;
	uint16_t nb = 0;

	while (!atomic_load(&echo->quit)) {
		const uint16_t port_id = here.guest.port_id;
		uint16_t sent;

		nb += rte_eth_rx_burst(port_id, 0, pkts + nb, (uint16_t)(PAIR_BURST - nb));
		sent = rte_eth_tx_burst(port_id, 0, pkts, nb);
		atomic_fetch_add(&echo->nb_refused, sent == 0 && nb > 0);
		nb = (uint16_t)(nb - sent);
		memmove(pkts, pkts + sent, nb * sizeof(pkts[0]));
		if (sent == 0)
			test_pause();
	}
	rte_pktmbuf_free_bulk(pkts, nb);
	return NULL;
}

static void
echo_start(struct echo *echo)
{
	*echo = (struct echo){0};
	assert_int_equal(pthread_create(&echo->thread, NULL, echo_main, echo), 0);
}

static void
echo_stop(struct echo *echo)
{
	atomic_store(&echo->quit, true);
	pthread_join(echo->thread, NULL);
}

/* Send @nb at a host, and receive what has come back; each packet comes back, in order. */
static void
exchange(struct pair *at, struct pair_stream *stream, uint32_t nb)
{
	const uint64_t limit = test_now_ms() + LIMIT_MS;

	while (nb > 0) {
		if (stream->in_flight < IN_FLIGHT)
			nb -= pair_send(&at->host, stream, RTE_MIN(nb, 8u), 200);
		if (pair_receive(&at->host, stream) == 0)
			test_pause();
		assert_true(test_now_ms() < limit);
	}
}

/* As a switch does: from when it asks it sends no more, and goes on receiving until it is done. */
static uint32_t
detach_and_receive(struct pair *from, struct pair_stream *stream)
{
	uint32_t took_us = 0;
	int result = 1;

	assert_int_equal(rte_avp_host_detach_begin(from->host.port_id, LIMIT_MS), 0);
	while (rte_avp_host_migration_result(from->host.port_id, &result, &took_us) == -EINPROGRESS)
		if (pair_receive(&from->host, stream) == 0)
			test_pause();
	assert_int_equal(result, 0);
	return took_us;
}

static int
compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a;
	const uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
print_times(const char *what, uint32_t *times_us)
{
	qsort(times_us, NB_MOVES, sizeof(times_us[0]), compare);
	print_message("%s: median %u us, worst %u us\n", what, times_us[NB_MOVES / 2],
			times_us[NB_MOVES - 1]);
}

static void
the_port_moves_there_and_back_without_losing_a_packet(void **state __rte_unused)
{
	uint32_t detach_us[NB_MOVES], attach_us[NB_MOVES];
	struct pair *at = &here, *next = &there;
	struct pair_stream stream;
	struct echo echo;
	uint64_t limit;

	begin(&guest_conf, &there_conf);
	pair_stream_init(&stream, &here, 4, 2048);
	echo_start(&echo);
	for (unsigned int i = 0; i < NB_MOVES; i++) {
		struct pair *last = at;

		exchange(at, &stream, 1001 + i);
		detach_us[i] = detach_and_receive(at, &stream);
		move(next);
		at = next;
		next = last;
		attach(at);
		assert_int_equal(rte_avp_host_migration_result(
						 at->host.port_id, NULL, &attach_us[i]),
				0);
		/* and the one that it has left waits for it to come back */
		assert_int_equal(pair_receive(&next->host, &stream), 0);
		for (uint32_t flow = 0; flow < stream.nb_flows; flow++)
			stream.queue[flow] = 0;
	}
	exchange(at, &stream, 1000);
	limit = test_now_ms() + LIMIT_MS;
	while (stream.in_flight > 0 && test_now_ms() < limit)
		if (pair_receive(&at->host, &stream) == 0)
			test_pause();
	assert_int_equal(stream.in_flight, 0);
	echo_stop(&echo);
	print_times("detach to acknowledged", detach_us);
	print_times("attach to acknowledged", attach_us);
	wait_event(RTE_ETH_EVENT_RECOVERY_SUCCESS, NB_MOVES);
	assert_int_equal(atomic_load(&events[RTE_ETH_EVENT_ERR_RECOVERING]), NB_MOVES);
	assert_int_equal(atomic_load(&events[RTE_ETH_EVENT_RECOVERY_FAILED]), 0);
	assert_int_equal(pair_end_xstat(&here.guest, "attaches"), NB_MOVES);
}

/* One detach while the application has received packets and is not run; did it send them all, and
 * did they arrive as they were? */
static bool
detach_with_packets_in_hand(struct pair_stream *stream)
{
	const uint64_t limit = test_now_ms() + LIMIT_MS;
	struct rte_mbuf *pkts[PAIR_BURST];
	uint16_t nb = 0;
	uint16_t sent;
	int result = -1;

	pair_send(&here.host, stream, PAIR_BURST, 200);
	while (nb < PAIR_BURST && test_now_ms() < limit)
		nb += rte_eth_rx_burst(
				here.guest.port_id, 0, pkts + nb, (uint16_t)(PAIR_BURST - nb));
	assert_int_equal(nb, PAIR_BURST);
	assert_int_equal(rte_avp_host_detach_begin(here.host.port_id, LIMIT_MS), 0);
	rte_delay_us_sleep(STALL_US);
	sent = rte_eth_tx_burst(here.guest.port_id, 0, pkts, nb);
	rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
	while (rte_avp_host_migration_result(here.host.port_id, &result, NULL) == -EINPROGRESS) {
		rte_eth_rx_burst(here.guest.port_id, 0, pkts, PAIR_BURST);
		pair_receive(&here.host, stream);
	}
	assert_int_equal(result, 0);
	attach(&here);
	return sent == nb;
}

static void
an_application_that_is_not_run_for_a_moment_loses_nothing(void **state __rte_unused)
{
	struct pair_stream stream;
	bool sent = false;

	begin(&guest_conf, &there_conf);
	/* how long it is waited for is limited, and this machine may be busy */
	for (unsigned int i = 0; i < NB_TRIES && !sent; i++) {
		pair_stream_init(&stream, &here, 1, 2048);
		sent = detach_with_packets_in_hand(&stream);
	}
	assert_true(sent);
	assert_int_equal(stream.in_flight, 0);
}

static void
while_detached_nothing_is_taken_of_the_application(void **state __rte_unused)
{
	struct pair_stream stream;
	const uint64_t limit = test_now_ms() + LIMIT_MS;
	struct rte_mbuf *pkts[PAIR_BURST];
	unsigned int avail;
	uint16_t sent = 0;

	begin(&guest_conf, &there_conf);
	detach(&here);
	avail = rte_mempool_avail_count(here.guest.pool);
	pair_stream_init(&stream, &here, 1, 2048);
	for (unsigned int i = 0; i < PAIR_BURST; i++)
		pkts[i] = pair_stream_make(&stream, here.guest.pool, 0, 100 + i);
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(rte_eth_tx_burst(here.guest.port_id, 0, pkts, PAIR_BURST), 0);
	assert_int_equal(rte_mempool_avail_count(here.guest.pool), avail - PAIR_BURST);
	move(&there);
	attach(&there);
	/* they are as they were, and go now */
	while (stream.received[0] < PAIR_BURST) {
		sent += rte_eth_tx_burst(
				here.guest.port_id, 0, pkts + sent, (uint16_t)(PAIR_BURST - sent));
		/* which gives the guest buffers to send with */
		pair_receive(&there.host, &stream);
		assert_true(test_now_ms() < limit);
	}
	assert_works(&there);
}

static void
the_port_connects_again_to_a_host_that_was_away(void **state __rte_unused)
{
	begin(&guest_conf, &there_conf);
	for (unsigned int i = 0; i < 3; i++) {
		assert_works(&here);
		detach(&here);
		pair_end_remove(&here.host);
		pair_end_wait_link(&here.guest, false);
		/* a new one knows nothing of a detach, and is the guest's at once */
		pair_host_add(&here, &here_conf);
		pair_end_wait_link(&here.guest, true);
		pair_end_wait_link(&here.host, true);
	}
	assert_works(&here);
	/* one that waits for the guest says when */
	detach(&here);
	pair_end_remove(&here.host);
	pair_host_add(&here, &there_conf);
	pair_end_wait_link(&here.guest, false);
	attach(&here);
	assert_works(&here);
	wait_event(RTE_ETH_EVENT_RECOVERY_SUCCESS, 4);
	assert_int_equal(atomic_load(&events[RTE_ETH_EVENT_INTR_RMV]), 0);
}

static void
a_host_that_goes_without_a_detach_is_gone(void **state __rte_unused)
{
	begin(&guest_conf, &there_conf);
	assert_works(&here);
	pair_end_remove(&here.host);
	wait_event(RTE_ETH_EVENT_INTR_RMV, 1);
	assert_int_equal(rte_eth_dev_is_removed(here.guest.port_id), 1);
	assert_int_equal(rte_avp_user_move(here.guest.port_id, there.socket), -EBUSY);
}

static void
a_move_that_cannot_be_leaves_the_port_where_it_was(void **state __rte_unused)
{
	char too_long[200];
	char nowhere[120];

	begin(&guest_conf, &there_conf);
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere.sock", pair_folder());
	assert_int_equal(rte_avp_user_move(here.guest.port_id, there.socket), -EBUSY);
	detach(&here);
	assert_int_equal(rte_avp_user_move(here.guest.port_id, NULL), -EINVAL);
	assert_int_equal(rte_avp_user_move(here.guest.port_id, ""), -EINVAL);
	assert_int_equal(rte_avp_user_move(here.guest.port_id, too_long), -ENAMETOOLONG);
	assert_int_equal(rte_avp_user_move(here.guest.port_id, nowhere), -ENOENT);
	assert_int_equal(rte_avp_user_move(here.guest.port_id, here.socket), -EALREADY);
	assert_int_equal(rte_avp_user_move(here.host.port_id, there.socket), -ENODEV);
	assert_int_equal(rte_avp_user_move(UINT16_MAX, there.socket), -ENODEV);
	attach(&here);
	assert_works(&here);
}

/* Packets received by pointer lie in the memory of the host that is left. */
static void
what_the_application_holds_outlives_the_move(void **state __rte_unused)
{
	static const char *const others[] = {THERE,
			THERE ",recycle=0,link_events=0,rx_interrupts=0",
			MAC ",incoming=1,mru=1522,queues=4,ring=64,vlan_offload=1"};
	struct pair_end_conf other = {.nb_queues = 1};

	for (unsigned int i = 0; i < RTE_DIM(others); i++) {
		struct pair_stream stream, check;
		struct rte_mbuf *held[40];
		uint16_t nb = 0;

		setup(NULL);
		other.devargs = others[i];
		begin(&guest_conf, &other);
		pair_stream_init(&stream, &here, 1, 2048);
		assert_int_equal(pair_send(&here.host, &stream, RTE_DIM(held), 300), RTE_DIM(held));
		while (nb < RTE_DIM(held))
			nb += rte_eth_rx_burst(here.guest.port_id, 0, held + nb,
					(uint16_t)(RTE_DIM(held) - nb));
		detach(&here);
		move(&there);
		attach(&there);
		pair_stream_init(&check, &here, 1, 2048);
		for (unsigned int k = 0; k < RTE_DIM(held) / 2; k++)
			pair_stream_check(&check, held[k]);
		pair_end_remove(&here.host);
		rte_pktmbuf_free_bulk(held + RTE_DIM(held) / 2, RTE_DIM(held) / 2);
		pair_stream_init(&stream, &here, 1, 2048);
		pair_transfer(&there.host, &here.guest, &stream, 300, 200);
		pair_stream_init(&stream, &here, 1, 2048);
		pair_transfer(&here.guest, &there.host, &stream, 300, 200);
		teardown(NULL);
	}
	setup(NULL);
}

static void
a_destination_that_does_not_suit_is_reported_and_can_be_left(void **state __rte_unused)
{
	struct pair_end_conf many_here = {.nb_queues = 2, .devargs = HERE ",queues=2"};
	struct pair_end_conf many = {.nb_queues = 2, .lsc = true};

	pair_create(&here, 0, &many_here, &many);
	pair_host_add(&there, &there_conf);
	assert_int_equal(rte_eth_dev_callback_register(here.guest.port_id,
					 RTE_ETH_EVENT_RECOVERY_FAILED, on_event, NULL),
			0);
	detach(&here);
	move(&there);
	assert_int_equal(rte_avp_host_attach(there.host.port_id, LIMIT_MS), -EIO);
	wait_event(RTE_ETH_EVENT_RECOVERY_FAILED, 1);
	pair_end_wait_link(&here.guest, false);
	move(&here);
	attach(&here);
	pair_end_wait_link(&here.host, true);
}

static void
an_application_that_starts_while_detached_runs_when_attached(void **state __rte_unused)
{
	pair_host_add(&here, &there_conf);
	/* configures and starts it, too */
	pair_guest_add(&here, &guest_conf);
	pair_end_wait_link(&here.guest, false);
	attach(&here);
	assert_works(&here);
	detach(&here);
	pair_end_stop(&here.guest);
	pair_end_start(&here.guest);
	pair_end_wait_link(&here.guest, false);
	attach(&here);
	assert_works(&here);
	/* stopped in time, it is not started by an attach */
	detach(&here);
	pair_end_stop(&here.guest);
	assert_int_equal(rte_avp_host_attach(here.host.port_id, LIMIT_MS), 0);
	pair_end_wait_link(&here.guest, false);
	pair_end_start(&here.guest);
	pair_end_wait_link(&here.host, true);
	assert_works(&here);
}

static void
a_detach_that_is_called_off_costs_no_packet(void **state __rte_unused)
{
	struct pair_stream stream;
	struct echo echo;
	uint64_t limit;

	begin(&guest_conf, &there_conf);
	pair_stream_init(&stream, &here, 4, 2048);
	echo_start(&echo);
	for (unsigned int i = 0; i < 20; i++) {
		int result = 1;

		exchange(&here, &stream, 200);
		assert_int_equal(rte_avp_host_detach_begin(here.host.port_id, LIMIT_MS), 0);
		if (i % 2 == 0)
			pair_receive(&here.host, &stream);
		assert_int_equal(rte_avp_host_attach_begin(here.host.port_id, LIMIT_MS), 0);
		limit = test_now_ms() + LIMIT_MS;
		while (rte_avp_host_migration_result(here.host.port_id, &result, NULL) ==
						-EINPROGRESS &&
				test_now_ms() < limit)
			if (pair_receive(&here.host, &stream) == 0)
				test_pause();
		assert_int_equal(result, 0);
		pair_end_wait_link(&here.host, true);
	}
	limit = test_now_ms() + LIMIT_MS;
	while (stream.in_flight > 0 && test_now_ms() < limit)
		if (pair_receive(&here.host, &stream) == 0)
			test_pause();
	assert_int_equal(stream.in_flight, 0);
	echo_stop(&echo);
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(the_port_moves_there_and_back_without_losing_a_packet),
			TEST(an_application_that_is_not_run_for_a_moment_loses_nothing),
			TEST(while_detached_nothing_is_taken_of_the_application),
			TEST(the_port_connects_again_to_a_host_that_was_away),
			TEST(a_host_that_goes_without_a_detach_is_gone),
			TEST(a_move_that_cannot_be_leaves_the_port_where_it_was),
			TEST(what_the_application_holds_outlives_the_move),
			TEST(a_destination_that_does_not_suit_is_reported_and_can_be_left),
			TEST(an_application_that_starts_while_detached_runs_when_attached),
			TEST(a_detach_that_is_called_off_costs_no_packet),
	};

	if (pair_eal_init(argc, argv, "user_move_test") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
