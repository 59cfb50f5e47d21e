/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the two ends of a port tell each other beyond packets, net_avp_host and net_avp_user in one
 * process: link and MTU, packets for who is asleep, each with the feature on and off.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_interrupts.h>

#include <avp/avp_abi.h>

#include "avph_api.h"
#include "port_pair.h"

#define LIMIT_MS 20000

static const struct pair_end_conf host_conf = {.nb_queues = 1, .devargs = ",mru=9238"};
static const struct pair_end_conf host_silent = {
		.nb_queues = 1, .devargs = ",mru=9238,link_events=0"};
static const struct pair_end_conf guest_conf = {.nb_queues = 1, .lsc = true};

static struct pair pair;

/* Events of the guest's and of the host's port, by type. */
static atomic_uint events[2][RTE_ETH_EVENT_MAX];

/* Calls on a thread that goes before all others. */
static atomic_uint nb_urgent;

static int
on_event(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct sched_param param;
	int policy;

	(void)port_id;
	(void)ret;
	if (pthread_getschedparam(pthread_self(), &policy, &param) != 0 || policy != SCHED_OTHER)
		atomic_fetch_add(&nb_urgent, 1);
	atomic_fetch_add(&events[arg != NULL][type], 1);
	return 0;
}

static void
count_events(struct pair_end *end, bool host, enum rte_eth_event_type type)
{
	assert_int_equal(rte_eth_dev_callback_register(
					 end->port_id, type, on_event, host ? &pair : NULL),
			0);
}

static int
setup(void **state)
{
	memset(&pair, 0, sizeof(pair));
	for (size_t i = 0; i < RTE_ETH_EVENT_MAX; i++) {
		atomic_store(&events[0][i], 0);
		atomic_store(&events[1][i], 0);
	}
	*state = &pair;
	return 0;
}

static int
teardown(void **state)
{
	pair_destroy(*state);
	return 0;
}

static void
wait_count(atomic_uint *value, unsigned int want)
{
	for (int i = 0; i < LIMIT_MS * 20 && atomic_load(value) != want; i++)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	assert_int_equal(atomic_load(value), want);
}

static uint16_t
mtu(const struct pair_end *end)
{
	uint16_t mtu;

	assert_int_equal(rte_eth_dev_get_mtu(end->port_id, &mtu), 0);
	return mtu;
}

static void
a_packet_each_way(struct pair *p)
{
	struct pair_stream stream;

	pair_stream_init(&stream, p, 1, 2048);
	pair_transfer(&p->guest, &p->host, &stream, 1, 100);
	pair_stream_init(&stream, p, 1, 2048);
	pair_transfer(&p->host, &p->guest, &stream, 1, 100);
}

static void
the_hosts_link_is_the_guests(void **state)
{
	struct pair *p = *state;
	atomic_uint *lsc = &events[0][RTE_ETH_EVENT_INTR_LSC];
	unsigned int before;

	pair_create(p, 0, &host_conf, &guest_conf);
	count_events(&p->guest, false, RTE_ETH_EVENT_INTR_LSC);
	for (int i = 0; i < 5; i++) {
		before = atomic_load(lsc);
		assert_int_equal(rte_eth_dev_set_link_down(p->host.port_id), 0);
		wait_count(lsc, before + 1);
		assert_false(pair_end_link(&p->guest));
		assert_int_equal(rte_eth_dev_set_link_up(p->host.port_id), 0);
		wait_count(lsc, before + 2);
		assert_true(pair_end_link(&p->guest));
		/* a host that is stopped carries nothing either */
		pair_end_stop(&p->host);
		wait_count(lsc, before + 3);
		assert_false(pair_end_link(&p->guest));
		pair_end_start(&p->host);
		wait_count(lsc, before + 4);
		assert_true(pair_end_link(&p->guest));
		a_packet_each_way(p);
	}
}

static void
a_guest_that_comes_finds_the_link_as_it_is(void **state)
{
	struct pair *p = *state;

	pair_create(p, 0, &host_conf, &guest_conf);
	pair_end_remove(&p->guest);
	assert_int_equal(rte_eth_dev_set_link_down(p->host.port_id), 0);
	pair_guest_add(p, &guest_conf);
	assert_false(pair_end_link(&p->guest));
	assert_int_equal(rte_eth_dev_set_link_up(p->host.port_id), 0);
	pair_end_wait_link(&p->guest, true);
	pair_end_wait_link(&p->host, true);
	a_packet_each_way(p);
}

static void
without_link_events_the_guest_hears_nothing(void **state)
{
	struct pair *p = *state;

	pair_create(p, 0, &host_silent, &guest_conf);
	count_events(&p->guest, false, RTE_ETH_EVENT_INTR_LSC);
	assert_int_equal(rte_eth_dev_set_link_down(p->host.port_id), 0);
	assert_int_equal(rte_eth_dev_set_mtu(p->host.port_id, 1400), 0);
	/* by now it would have been told: the migration's interrupt came after */
	assert_int_equal(rte_avp_host_detach(p->host.port_id, LIMIT_MS), 0);
	assert_int_equal(mtu(&p->guest), 1500);
	assert_int_equal(rte_avp_host_attach(p->host.port_id, LIMIT_MS), 0);
	pair_end_wait_link(&p->guest, true);
	assert_int_equal(rte_eth_dev_set_mtu(p->guest.port_id, 9000), 0);
	assert_int_equal(rte_eth_dev_set_link_up(p->host.port_id), 0);
	pair_end_wait_link(&p->host, true);
	a_packet_each_way(p);
}

static void
each_end_learns_of_the_others_mtu(void **state)
{
	struct pair *p = *state;
	struct rte_avp_host_info info;
	atomic_uint *lsc = &events[0][RTE_ETH_EVENT_INTR_LSC];
	atomic_uint *numbers = &events[1][RTE_ETH_EVENT_QUEUE_STATE];
	unsigned int before;

	pair_create(p, 0, &host_conf, &guest_conf);
	count_events(&p->guest, false, RTE_ETH_EVENT_INTR_LSC);
	count_events(&p->host, true, RTE_ETH_EVENT_QUEUE_STATE);
	assert_int_equal(rte_eth_dev_set_mtu(p->guest.port_id, 9000), 0);
	wait_count(numbers, 1);
	assert_int_equal(atomic_load(&nb_urgent), 0);
	assert_int_equal(rte_avp_host_info_get(p->host.port_id, &info), 0);
	assert_int_equal(info.mtu, 9000);
	before = atomic_load(lsc);
	assert_int_equal(rte_eth_dev_set_mtu(p->host.port_id, 4000), 0);
	wait_count(lsc, before + 1);
	assert_int_equal(mtu(&p->guest), 4000);
	wait_count(numbers, 2);
	assert_int_equal(rte_avp_host_info_get(p->host.port_id, &info), 0);
	assert_int_equal(info.mtu, 4000);
	assert_int_equal(rte_eth_dev_set_mtu(p->guest.port_id, 4001), -EINVAL);
	assert_true(pair_end_link(&p->guest));
	/* an attach brings no other */
	assert_int_equal(rte_avp_host_detach(p->host.port_id, LIMIT_MS), 0);
	assert_int_equal(rte_avp_host_attach(p->host.port_id, LIMIT_MS), 0);
	pair_end_wait_link(&p->guest, true);
	assert_int_equal(mtu(&p->guest), 4000);
	assert_int_equal(rte_eth_dev_set_mtu(p->host.port_id, 9216), 0);
	for (int i = 0; i < LIMIT_MS && mtu(&p->guest) != 9000; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_int_equal(mtu(&p->guest), 9000);
}

/*
 * Rx interrupts
 */

static const struct pair_end_conf sleepy_conf = {.nb_queues = 1, .rx_intr = true};

/* Sleep until a queue has something; its number, or -1 when @limit_ms is over. */
static int
sleep_for_packets(int limit_ms)
{
	struct rte_epoll_event event;
	int nb;

	do
		nb = rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, limit_ms);
	while (nb < 0 && errno == EINTR);
	assert_true(nb >= 0);
	return nb == 0 ? -1 : (int)(uintptr_t)event.epdata.data;
}

static void
epoll_add(const struct pair_end *end)
{
	for (uint16_t q = 0; q < end->nb_queues; q++)
		assert_int_equal(rte_eth_dev_rx_intr_ctl_q(end->port_id, q, RTE_EPOLL_PER_THREAD,
						 RTE_INTR_EVENT_ADD, (void *)(uintptr_t)q),
				0);
}

static void
epoll_remove(const struct pair_end *end)
{
	for (uint16_t q = 0; q < end->nb_queues; q++)
		rte_eth_dev_rx_intr_ctl_q(end->port_id, q, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL,
				(void *)(uintptr_t)q);
}

static void
a_guest_that_sleeps_is_woken_by_a_packet(void **state)
{
	struct pair_stream stream;
	struct pair *p = *state;

	pair_create(p, 0, &host_conf, &sleepy_conf);
	epoll_add(&p->guest);
	pair_stream_init(&stream, p, 1, 2048);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(rte_eth_dev_rx_intr_enable(p->guest.port_id, 0), 0);
		if (i < 3)
			assert_int_equal(sleep_for_packets(2), -1);
		assert_int_equal(pair_send(&p->host, &stream, 1 + i % 3, 100), 1 + i % 3);
		assert_int_equal(sleep_for_packets(LIMIT_MS), 0);
		assert_int_equal(rte_eth_dev_rx_intr_disable(p->guest.port_id, 0), 0);
		assert_int_equal(pair_receive(&p->guest, &stream), 1 + i % 3);
		/* the host takes back what was returned */
		rte_eth_tx_burst(p->host.port_id, 0, NULL, 0);
	}
	/* nobody asks, nobody is told */
	assert_int_equal(pair_send(&p->host, &stream, 5, 100), 5);
	assert_int_equal(sleep_for_packets(5), -1);
	assert_int_equal(pair_receive(&p->guest, &stream), 5);
	epoll_remove(&p->guest);
}

static void
each_queue_is_woken_for_its_own_packets(void **state)
{
	struct pair_end_conf host = {.nb_queues = 8, .devargs = ",queues=8"};
	struct pair_end_conf guest = {.nb_queues = 8, .rx_intr = true};
	struct pair_stream stream;
	struct pair *p = *state;
	uint32_t woken = 0;

	pair_create(p, 0, &host, &guest);
	epoll_add(&p->guest);
	for (uint16_t q = 0; q < 8; q++)
		assert_int_equal(rte_eth_dev_rx_intr_enable(p->guest.port_id, q), 0);
	pair_stream_init(&stream, p, 8, 2048);
	for (uint16_t q = 0; q < 8; q++) {
		/* host's queue q serves FIFO q */
		struct rte_mbuf *m = pair_stream_make(&stream, p->host.pool, q, 100);

		assert_non_null(m);
		assert_int_equal(rte_eth_tx_burst(p->host.port_id, q, &m, 1), 1);
		assert_int_equal(sleep_for_packets(LIMIT_MS), q);
		woken |= 1u << q;
		assert_int_equal(rte_eth_rx_burst(p->guest.port_id, q, &m, 1), 1);
		pair_stream_check(&stream, m);
	}
	assert_int_equal(woken, 0xff);
	assert_int_equal(sleep_for_packets(2), -1);
	epoll_remove(&p->guest);
}

static void
who_sleeps_is_woken_by_an_attach_and_after_it(void **state)
{
	struct pair_stream stream;
	struct pair *p = *state;

	pair_create(p, 0, &host_conf, &sleepy_conf);
	epoll_add(&p->guest);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rte_eth_dev_rx_intr_enable(p->guest.port_id, 0), 0);
		assert_int_equal(rte_avp_host_detach(p->host.port_id, LIMIT_MS), 0);
		assert_int_equal(rte_avp_host_attach(p->host.port_id, LIMIT_MS), 0);
		assert_int_equal(sleep_for_packets(LIMIT_MS), 0);
		pair_end_wait_link(&p->host, true);
		assert_int_equal(rte_eth_dev_rx_intr_enable(p->guest.port_id, 0), 0);
		pair_stream_init(&stream, p, 1, 2048);
		assert_int_equal(pair_send(&p->host, &stream, 1, 100), 1);
		assert_int_equal(sleep_for_packets(LIMIT_MS), 0);
		assert_int_equal(pair_receive(&p->guest, &stream), 1);
		assert_int_equal(rte_eth_dev_rx_intr_disable(p->guest.port_id, 0), 0);
	}
	epoll_remove(&p->guest);
}

static void
without_rx_interrupts_nobody_can_sleep(void **state)
{
	struct pair_end_conf host = {.nb_queues = 1, .devargs = ",rx_interrupts=0"};
	struct rte_eth_conf conf = {.intr_conf.rxq = 1};
	struct pair *p = *state;

	pair_create(p, 0, &host, &guest_conf);
	assert_int_equal(rte_eth_dev_rx_intr_enable(p->guest.port_id, 0), -ENOTSUP);
	a_packet_each_way(p);
	pair_end_stop(&p->guest);
	assert_int_equal(rte_eth_dev_configure(p->guest.port_id, 1, 1, &conf), -ENOTSUP);
}

static void
who_does_not_want_rx_interrupts_polls_as_ever(void **state)
{
	struct rte_avp_host_info info;
	struct pair *p = *state;

	pair_create(p, 0, &host_conf, &guest_conf);
	assert_int_equal(rte_avp_host_info_get(p->host.port_id, &info), 0);
	assert_true(info.features_offered & AVP_FEATURE_RX_INTR);
	assert_false(info.features & AVP_FEATURE_RX_INTR);
	a_packet_each_way(p);
}

/*
 * Recovery
 */

static void
a_detach_and_attach_are_a_recovery(void **state)
{
	struct pair *p = *state;

	pair_create(p, 0, &host_conf, &guest_conf);
	count_events(&p->guest, false, RTE_ETH_EVENT_ERR_RECOVERING);
	count_events(&p->guest, false, RTE_ETH_EVENT_RECOVERY_SUCCESS);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(rte_avp_host_detach(p->host.port_id, LIMIT_MS), 0);
		wait_count(&events[0][RTE_ETH_EVENT_ERR_RECOVERING], i);
		assert_int_equal(atomic_load(&events[0][RTE_ETH_EVENT_RECOVERY_SUCCESS]), i - 1);
		assert_int_equal(rte_avp_host_attach(p->host.port_id, LIMIT_MS), 0);
		wait_count(&events[0][RTE_ETH_EVENT_RECOVERY_SUCCESS], i);
		pair_end_wait_link(&p->guest, true);
		pair_end_wait_link(&p->host, true);
		a_packet_each_way(p);
	}
}

static void
a_port_can_be_reset_and_configured_anew(void **state)
{
	struct rte_eth_conf conf = {0};
	struct pair_stream stream;
	struct rte_mbuf *kept[4];
	struct pair *p = *state;

	pair_create(p, 0, &host_conf, &guest_conf);
	for (int i = 0; i < 3; i++) {
		uint16_t nb = 0;

		a_packet_each_way(p);
		/* received ones that the application still has: by pointer, maybe */
		pair_stream_init(&stream, p, 1, 2048);
		assert_int_equal(pair_send(&p->host, &stream, RTE_DIM(kept), 1000), RTE_DIM(kept));
		while (nb < RTE_DIM(kept))
			nb += rte_eth_rx_burst(p->guest.port_id, 0, kept + nb, RTE_DIM(kept) - nb);
		assert_int_equal(rte_eth_dev_reset(p->guest.port_id), 0);
		rte_pktmbuf_free_bulk(kept, nb / 2);
		pair_end_wait_link(&p->host, false);
		assert_int_equal(rte_eth_dev_configure(p->guest.port_id, 1, 1, &conf), 0);
		assert_int_equal(rte_eth_rx_queue_setup(
						 p->guest.port_id, 0, 0, 0, NULL, p->guest.pool),
				0);
		assert_int_equal(rte_eth_tx_queue_setup(p->guest.port_id, 0, 0, 0, NULL), 0);
		pair_end_start(&p->guest);
		pair_end_wait_link(&p->host, true);
		a_packet_each_way(p);
		rte_pktmbuf_free_bulk(kept + nb / 2, nb - nb / 2);
	}
	a_packet_each_way(p);
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(the_hosts_link_is_the_guests),
			TEST(a_guest_that_comes_finds_the_link_as_it_is),
			TEST(without_link_events_the_guest_hears_nothing),
			TEST(each_end_learns_of_the_others_mtu),
			TEST(a_guest_that_sleeps_is_woken_by_a_packet),
			TEST(each_queue_is_woken_for_its_own_packets),
			TEST(who_sleeps_is_woken_by_an_attach_and_after_it),
			TEST(without_rx_interrupts_nobody_can_sleep),
			TEST(who_does_not_want_rx_interrupts_polls_as_ever),
			TEST(a_detach_and_attach_are_a_recovery),
			TEST(a_port_can_be_reset_and_configured_anew),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* NULL: all */
	if (pair_eal_init(argc, argv, "avp-events") != 0)
		return 1;
	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
