/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What DPDK's own net_avp does wrong with requests, interrupts, detach, attach and removal, and
 * this driver must not: a test for each that driver fails. The list, and where the rest of it is
 * tested: docs/driver-guest.md, "What the stock driver does wrong".
 */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"
#include "test_time.h"

/* Of whatever must end: many times a request's limit, since the machine may be busy. */
#define LIMIT_NS UINT64_C(20000000000)

/* Raise vector 0 as for a migration, as avpg_fake_migrate() does, but wait for nothing. */
static void
ask(struct avpg_fake *fake, enum avp_migration status)
{
	atomic_store(&fake->migration_status, status);
	atomic_store(&fake->intr_status, AVP_INTR_MIGRATION);
	fake->handler(fake->handler_arg);
}

/* Wait until the device gets an acknowledge more than @acks. Returns it. */
static uint32_t
wait_ack(struct avpg_fake *fake, unsigned int acks)
{
	uint64_t end = test_now_ns() + LIMIT_NS;

	while (atomic_load(&fake->acks) == acks && test_now_ns() < end)
		test_pause();
	assert_int_equal(atomic_load(&fake->acks), acks + 1);
	return atomic_load(&fake->ack);
}

/*
 * Requests
 */

static void
an_answer_that_is_none_is_no_success(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1400), 0);
	/* a positive result */
	atomic_store(&f->fake->result, 1);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1401), -EPROTO);
	atomic_store(&f->fake->result, INT_MAX);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1402), -EPROTO);
	atomic_store(&f->fake->result, 0);
	/* to another request */
	atomic_store(&f->fake->mode, AVPG_FAKE_WRONG_ID);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1403), -EPROTO);
	/* no result at all */
	atomic_store(&f->fake->mode, AVPG_FAKE_NO_RESULT);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1404), -EPROTO);
	atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
	assert_int_equal(fixture_xstat(f, "ctrl_bad_answers"), 4);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1405), 0);
	fixture_traffic(f, 1000);
}

struct flood {
	struct avpg_fake *fake;
	uint64_t va; /* that it answers with */
	pthread_t thread;
	atomic_bool quit;
};

/* Keep the response FIFO full, whatever is asked. */
static void *
flood_main(void *arg)
{
	struct flood *flood = arg;

	while (!atomic_load(&flood->quit))
		avpg_fake_put(&flood->fake->resp, flood->va);
	return NULL;
}

static void
answers_without_end_do_not_keep_a_request(void **state)
{
	struct avpg_fixture *f = *state;
	uint64_t vas[] = {f->fake->slot_va, f->fake->slot_va + 8};

	fixture_start(f, 1, 1);
	avpg_fake_stop(f->fake);
	for (size_t i = 0; i < RTE_DIM(vas); i++) {
		struct flood flood = {.fake = f->fake, .va = vas[i]};
		uint64_t start = test_now_ns();

		assert_int_equal(pthread_create(&flood.thread, NULL, flood_main, &flood), 0);
		/* nobody has taken it, nobody has written a result */
		assert_int_not_equal(rte_eth_dev_set_mtu(f->port_id, 1400), 0);
		assert_true(test_now_ns() - start < LIMIT_NS);
		fixture_traffic(f, 1000);
		atomic_store(&flood.quit, true);
		pthread_join(flood.thread, NULL);
	}
	/* a host that was started again finds a port that is well */
	assert_int_equal(avpg_fake_restart(f->fake), 0);
	f->fake->info->device_id++;
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_served(f);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1401), 0);
}

struct slow_request {
	struct avpg_fixture *f;
	pthread_t thread;
	atomic_bool done;
	int ret;
};

static void *
slow_request_main(void *arg)
{
	struct slow_request *req = arg;

	req->ret = rte_eth_dev_set_mtu(req->f->port_id, 1400);
	atomic_store(&req->done, true);
	return NULL;
}

/* How often packets pass and counters are read, before a request's limit has passed. */
static uint64_t
rounds_while_a_request_waits(struct avpg_fixture *f)
{
	struct slow_request req = {.f = f};
	unsigned int taken = atomic_load(&f->fake->taken);
	uint64_t nb = 0;

	atomic_store(&f->fake->mode, AVPG_FAKE_SILENT);
	assert_int_equal(pthread_create(&req.thread, NULL, slow_request_main, &req), 0);
	assert_true(avpg_fake_wait(&f->fake->taken, taken + 1));
	while (!atomic_load(&req.done)) {
		struct rte_eth_stats stats;
		struct rte_eth_link link;

		fixture_traffic(f, 1000);
		assert_int_equal(rte_eth_stats_get(f->port_id, &stats), 0);
		assert_int_equal(rte_eth_link_get(f->port_id, &link), 0);
		nb += !atomic_load(&req.done);
	}
	pthread_join(req.thread, NULL);
	assert_int_equal(req.ret, -ETIMEDOUT);
	atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1401), 0);
	return nb;
}

static void
bursts_and_counters_go_on_while_a_request_waits(void **state)
{
	struct avpg_fixture *f = *state;
	uint64_t nb = 0;

	fixture_start(f, 1, 1);
	/* more than once only if this thread did not run while the request waited */
	for (int i = 0; i < 10 && nb == 0; i++)
		nb = rounds_while_a_request_waits(f);
	assert_true(nb > 0);
}

/*
 * Interrupts
 */

static void
an_interrupt_before_the_port_is_made_does_no_harm(void **state)
{
	static const enum avp_migration asked[] = {AVP_MIGRATION_NONE, AVP_MIGRATION_ATTACHED};
	struct avpg_fixture *f = *state;

	f->fake->early_irq = true;
	for (size_t i = 0; i < RTE_DIM(asked); i++) {
		fixture_close(f);
		atomic_store(&f->fake->migration_status, asked[i]);
		atomic_store(&f->fake->intr_status, UINT_MAX);
		fixture_probe(f);
		fixture_wait_served(f);
		fixture_start(f, 1, 1);
		fixture_traffic(f, 1000);
	}
}

static void
a_probe_that_fails_at_any_step_leaves_no_handler(void **state)
{
	struct avpg_fixture *f = *state;
	uint32_t len = f->fake->resp.fifo->len;

	fixture_close(f);
	f->fake->early_irq = true;
	/* gone at the first register, and at the mask, when the interrupt is already enabled */
	for (int lives = 0; lives < 2; lives++) {
		atomic_store(&f->fake->lives, lives);
		assert_int_equal(fixture_probe_fails(f->fake), -ENODEV);
	}
	atomic_store(&f->fake->lives, INT_MAX);
	avpg_fake_stop(f->fake);
	f->fake->resp.fifo->len = 0;
	assert_int_equal(fixture_probe_fails(f->fake), -EINVAL);
	f->fake->resp.fifo->len = len;
	assert_int_equal(avpg_fake_resume(f->fake), 0);
	fixture_probe(f);
	fixture_start(f, 1, 1);
	fixture_traffic(f, 1000);
}

static void
a_device_that_vanishes_during_close_is_closed(void **state)
{
	struct avpg_fixture *f = *state;

	for (int lives = 0; lives < 6; lives++) {
		uint64_t start;

		fixture_start(f, 2, 2);
		fixture_traffic(f, 1000);
		atomic_store(&f->fake->lives, lives);
		if (lives < 2)
			atomic_store(&f->fake->mode, AVPG_FAKE_DEAF);
		start = test_now_ns();
		fixture_close(f); /* no handler is left */
		assert_true(test_now_ns() - start < LIMIT_NS);
		fixture_check_pool(f);
		atomic_store(&f->fake->lives, INT_MAX);
		atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
		fixture_probe(f);
	}
}

static void
a_register_that_does_not_answer_kills_nobody(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	atomic_store(&f->fake->lives, 0);
	ask(f->fake, AVP_MIGRATION_DETACHED);
	fixture_wait_served(f);
	assert_int_equal(atomic_load(&f->fake->acks), 0);
	/* the memory is still there */
	fixture_traffic(f, 1000);
	/* all ones are no request either */
	atomic_store(&f->fake->lives, INT_MAX);
	ask(f->fake, (enum avp_migration)UINT_MAX);
	atomic_store(&f->fake->intr_status, UINT_MAX);
	f->fake->handler(f->fake->handler_arg);
	fixture_wait_served(f);
	assert_int_equal(atomic_load(&f->fake->acks), 0);
	assert_true(fixture_link_is_up(f));
	fixture_traffic(f, 1000);
}

static void
the_interrupt_thread_does_not_wait_for_the_device(void **state)
{
	struct avpg_fixture *f = *state;
	unsigned int acks;

	fixture_start(f, 1, 1);
	acks = atomic_load(&f->fake->acks);
	/* letting go takes a request, which this device does not answer */
	atomic_store(&f->fake->mode, AVPG_FAKE_DEAF);
	ask(f->fake, AVP_MIGRATION_DETACHED);
	assert_int_equal(wait_ack(f->fake, acks), AVP_MIGRATION_ERROR);
	/* so it was not the handler, which has run on this thread */
	assert_false(pthread_equal(f->fake->ack_thread, pthread_self()));
	atomic_store(&f->fake->mode, AVPG_FAKE_ANSWER);
}

/*
 * Detach
 */

/* Ask for a detach while a burst is under way. Returns when its gate is being shut. */
static void
ask_in_a_burst(struct avpg_fixture *f)
{
	struct avp_gate *gate = &f->port->rxqs[0]->gate;
	uint64_t end = test_now_ns() + LIMIT_NS;

	assert_true(avp_gate_enter(gate));
	ask(f->fake, AVP_MIGRATION_DETACHED);
	while (atomic_load(&gate->open) != 0 && test_now_ns() < end)
		test_pause();
	assert_int_equal(atomic_load(&gate->open), 0);
}

static void
detach_waits_for_the_burst_under_way(void **state)
{
	struct avpg_fixture *f = *state;
	unsigned int acks = atomic_load(&f->fake->acks);
	uint32_t ack = AVP_MIGRATION_ERROR;
	uint64_t start;

	fixture_start(f, 1, 1);
	/* when this thread does not run for so long that the limit passes, try again */
	for (int i = 0; i < 10 && ack != AVP_MIGRATION_DETACHED; i++) {
		start = test_now_ns();
		ask_in_a_burst(f);
		for (int k = 0; k < 200 && test_now_ns() - start < 100000000; k++) {
			assert_int_equal(atomic_load(&f->fake->acks), acks);
			assert_int_not_equal(atomic_load(&f->fake->last_id), AVP_REQ_SHUTDOWN);
			test_pause();
		}
		avp_gate_leave(&f->port->rxqs[0]->gate);
		ack = wait_ack(f->fake, acks++);
		assert_true(ack == AVP_MIGRATION_DETACHED || test_now_ns() - start > 400000000);
		if (ack == AVP_MIGRATION_DETACHED)
			break;
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		acks++;
		fixture_wait_link(f, true);
	}
	assert_int_equal(ack, AVP_MIGRATION_DETACHED);
}

static void
detach_is_an_error_when_a_burst_does_not_end(void **state)
{
	struct avpg_fixture *f = *state;
	unsigned int acks = atomic_load(&f->fake->acks);

	fixture_start(f, 1, 1);
	ask_in_a_burst(f);
	assert_int_equal(wait_ack(f->fake, acks), AVP_MIGRATION_ERROR);
	avp_gate_leave(&f->port->rxqs[0]->gate);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
	fixture_traffic(f, 1000);
}

struct poller {
	struct avpg_fixture *f;
	pthread_t thread;
	atomic_uint nb_rounds;
	atomic_bool quit;
};

static void *
poller_main(void *arg)
{
	struct poller *poller = arg;
	uint16_t port_id = poller->f->port_id;

	while (!atomic_load(&poller->quit)) {
		struct rte_mbuf *m = fixture_mbuf(poller->f, 100, 2048, 1);

		if (rte_eth_tx_burst(port_id, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
		if (rte_eth_rx_burst(port_id, 0, &m, 1) == 1)
			rte_pktmbuf_free(m);
		atomic_fetch_add(&poller->nb_rounds, 1);
	}
	return NULL;
}

static void
wait_rounds(struct poller *poller, unsigned int nb)
{
	unsigned int first = atomic_load(&poller->nb_rounds);
	uint64_t end = test_now_ns() + LIMIT_NS;

	while (atomic_load(&poller->nb_rounds) - first < nb && test_now_ns() < end)
		test_pause();
	assert_true(atomic_load(&poller->nb_rounds) - first >= nb);
}

static void
after_the_acknowledge_nobody_touches_the_memory(void **state)
{
	struct avpg_fixture *f = *state;
	struct poller poller = {.f = f};
	struct avpg_fake *fake = f->fake;

	fixture_start(f, 1, 1);
	assert_int_equal(pthread_create(&poller.thread, NULL, poller_main, &poller), 0);
	for (int i = 0; i < 20; i++) {
		wait_rounds(&poller, 10);
		assert_int_equal(avpg_fake_migrate(fake, AVP_MIGRATION_DETACHED),
				AVP_MIGRATION_DETACHED);
		/* gone: whoever reads or writes it now is killed */
		avpg_fake_stop(fake);
		assert_int_equal(mprotect(fake->mem, fake->mem_size, PROT_NONE), 0);
		wait_rounds(&poller, 1000);
		assert_int_equal(mprotect(fake->mem, fake->mem_size, PROT_READ | PROT_WRITE), 0);
		assert_int_equal(avpg_fake_resume(fake), 0);
		assert_int_equal(avpg_fake_migrate(fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		fixture_wait_link(f, true);
	}
	atomic_store(&poller.quit, true);
	pthread_join(poller.thread, NULL);
}

static void
while_detached_an_application_can_end_and_another_begin(void **state)
{
	struct avpg_fixture *f = *state;
	unsigned int requests;

	fixture_start(f, 1, 1);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	fixture_wait_served(f);
	/* what needs the device waits until it is back */
	requests = atomic_load(&f->fake->taken);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	fixture_start(f, 1, 1);
	assert_false(fixture_link_is_up(f));
	fixture_close(f);
	fixture_check_pool(f);
	/* so does one that begins now */
	atomic_store(&f->fake->ack, 0);
	fixture_probe(f);
	assert_int_equal(atomic_load(&f->fake->ack), AVP_MIGRATION_DETACHED);
	fixture_start(f, 1, 1);
	assert_false(fixture_link_is_up(f));
	assert_int_equal(atomic_load(&f->fake->taken), requests);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	fixture_wait_link(f, true);
	assert_int_equal(f->fake->config.link_up, 1);
	fixture_traffic(f, 1000);
}

static atomic_uint nb_link_events;

static int
on_link_event(uint16_t port_id __rte_unused, enum rte_eth_event_type type __rte_unused,
		void *arg __rte_unused, void *ret __rte_unused)
{
	atomic_fetch_add(&nb_link_events, 1);
	return 0;
}

static void
the_application_is_told_of_the_link(void **state)
{
	struct avpg_fixture *f = *state;

	f->conf.intr_conf.lsc = 1;
	fixture_start(f, 1, 1);
	assert_true(fixture_link_is_up(f));
	assert_int_equal(rte_eth_dev_callback_register(
					 f->port_id, RTE_ETH_EVENT_INTR_LSC, on_link_event, NULL),
			0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED),
				AVP_MIGRATION_DETACHED);
		assert_true(avpg_fake_wait(&nb_link_events, 2 * i + 1));
		assert_false(fixture_link_is_up(f));
		assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED),
				AVP_MIGRATION_ATTACHED);
		assert_true(avpg_fake_wait(&nb_link_events, 2 * i + 2));
		assert_true(fixture_link_is_up(f));
	}
	assert_int_equal(rte_eth_dev_callback_unregister(
					 f->port_id, RTE_ETH_EVENT_INTR_LSC, on_link_event, NULL),
			0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(an_answer_that_is_none_is_no_success),
			TEST(answers_without_end_do_not_keep_a_request),
			TEST(bursts_and_counters_go_on_while_a_request_waits),
			TEST(an_interrupt_before_the_port_is_made_does_no_harm),
			TEST(a_probe_that_fails_at_any_step_leaves_no_handler),
			TEST(a_device_that_vanishes_during_close_is_closed),
			TEST(a_register_that_does_not_answer_kills_nobody),
			TEST(the_interrupt_thread_does_not_wait_for_the_device),
			TEST(detach_waits_for_the_burst_under_way),
			TEST(detach_is_an_error_when_a_burst_does_not_end),
			TEST(after_the_acknowledge_nobody_touches_the_memory),
			TEST(while_detached_an_application_can_end_and_another_begin),
			TEST(the_application_is_told_of_the_link),
	};

	return cmocka_run_group_tests_name("avpg_defect_control", tests, fixture_group_setup, NULL);
}
