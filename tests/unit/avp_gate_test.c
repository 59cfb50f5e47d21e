/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The gate between bursts and a control thread: whoever has shut it is alone with what bursts use.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "avp_gate.h"
#include "test_clock.h"

#define RUN_MS 500
/* The kernel lets normal threads run 50 ms of each second however busy real-time ones are; a gate
 * that is shut by waiting for that is not shut in time. */
#define SHUT_LIMIT_MS 500

/*
 * Many bursts
 */

struct poller {
	struct avp_gate gate;
	_Atomic bool quit;
	_Atomic unsigned int entered;
	/* what bursts use: plain, as FIFO ends are; both must always be equal */
	unsigned int left;
	unsigned int right;
	unsigned int torn;
};

static void *
poll_for_ever(void *arg)
{
	struct poller *poller = arg;

	while (!atomic_load_explicit(&poller->quit, memory_order_relaxed)) {
		if (!avp_gate_enter(&poller->gate))
			continue;
		poller->torn += poller->left != poller->right;
		poller->left++;
		poller->right++;
		avp_gate_leave(&poller->gate);
		atomic_fetch_add_explicit(&poller->entered, 1, memory_order_relaxed);
	}
	return NULL;
}

static void
change_while_polled(bool fence)
{
	struct poller poller = {0};
	struct avp_gate *const gates[] = {&poller.gate};
	uint64_t limit = test_now_ms() + RUN_MS;
	pthread_t thread;

	avp_gate_init(&poller.gate);
	poller.gate.fence = fence || poller.gate.fence;
	assert_int_equal(pthread_create(&thread, NULL, poll_for_ever, &poller), 0);
	for (unsigned int i = 0; test_now_ms() < limit; i++) {
		unsigned int before = atomic_load(&poller.entered);

		avp_gate_open(&poller.gate);
		while (atomic_load(&poller.entered) == before && test_now_ms() < limit)
			;
		assert_int_equal(avp_gate_shut(gates, 1, AVP_GATE_NO_LIMIT), 0);
		/* alone: half a change may take its time */
		poller.torn += poller.left != poller.right;
		poller.left = i;
		for (int k = 0; k < 100; k++)
			atomic_signal_fence(memory_order_seq_cst);
		poller.right = i;
	}
	atomic_store(&poller.quit, true);
	pthread_join(thread, NULL);
	assert_int_not_equal(poller.entered, 0);
	assert_int_equal(poller.torn, 0);
}

static void
a_shut_gate_keeps_bursts_out(void **state)
{
	(void)state;
	change_while_polled(false);
}

static void
so_it_does_with_fences_in_the_bursts(void **state)
{
	(void)state;
	change_while_polled(true);
}

static void
a_burst_that_does_not_leave_is_reported(void **state)
{
	struct avp_gate gate, other;
	struct avp_gate *const gates[] = {&gate, NULL, &other};

	(void)state;
	avp_gate_init(&gate);
	avp_gate_init(&other);
	assert_false(avp_gate_enter(&gate));
	avp_gate_open(&gate);
	avp_gate_open(&other);
	assert_true(avp_gate_enter(&gate));
	assert_int_equal(avp_gate_shut(gates, 3, 5), -ETIMEDOUT);
	assert_false(avp_gate_enter(&other));
	avp_gate_leave(&gate);
	assert_int_equal(avp_gate_shut(gates, 3, 5), 0);
	assert_false(avp_gate_enter(&gate));
}

/*
 * One long burst, which ends as soon as the gate is seen shut
 */

struct burst {
	struct avp_gate gate;
	cpu_set_t cpu;
	_Atomic bool in;
	_Atomic bool over;
	pthread_t thread;
};

static void *
burst_until_shut(void *arg)
{
	struct burst *burst = arg;

	if (!avp_gate_enter(&burst->gate))
		return NULL;
	atomic_store(&burst->in, true);
	while (atomic_load(&burst->gate.open))
		;
	atomic_store(&burst->over, true);
	avp_gate_leave(&burst->gate);
	return NULL;
}

/* Start the burst on the first CPU that this test may use, and wait until it is in. */
static void
burst_start(struct burst *burst)
{
	cpu_set_t allowed;
	int cpu = 0;

	avp_gate_init(&burst->gate);
	avp_gate_open(&burst->gate);
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&burst->cpu);
	CPU_SET(cpu, &burst->cpu);
	assert_int_equal(pthread_create(&burst->thread, NULL, burst_until_shut, burst), 0);
	pthread_setaffinity_np(burst->thread, sizeof(burst->cpu), &burst->cpu);
	while (!atomic_load(&burst->in))
		sched_yield();
}

static void
shut_waits_for_the_burst_under_way(void **state)
{
	struct burst burst = {0};
	struct avp_gate *const gates[] = {NULL, &burst.gate};

	(void)state;
	burst_start(&burst);
	assert_int_equal(avp_gate_shut(gates, 2, AVP_GATE_NO_LIMIT), 0);
	assert_true(atomic_load(&burst.over));
	assert_false(avp_gate_enter(&burst.gate));
	pthread_join(burst.thread, NULL);
}

static void
shut_lets_a_burst_end_that_waits_for_our_cpu(void **state)
{
	const struct sched_param real_time = {.sched_priority = 1};
	const struct sched_param normal = {.sched_priority = 0};
	struct burst burst = {0};
	struct avp_gate *const gates[] = {&burst.gate};
	cpu_set_t before;
	uint64_t start;

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	burst_start(&burst);
	if (pthread_setschedparam(pthread_self(), SCHED_RR, &real_time) != 0) {
		avp_gate_shut(gates, 1, AVP_GATE_NO_LIMIT);
		pthread_join(burst.thread, NULL);
		print_message("no right to real-time priority\n");
		skip();
	}
	sched_setaffinity(0, sizeof(burst.cpu), &burst.cpu);
	start = test_now_ms();
	avp_gate_shut(gates, 1, AVP_GATE_NO_LIMIT);
	start = test_now_ms() - start;
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &normal);
	sched_setaffinity(0, sizeof(before), &before);
	pthread_join(burst.thread, NULL);
	assert_in_range(start, 0, SHUT_LIMIT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(a_shut_gate_keeps_bursts_out),
			cmocka_unit_test(so_it_does_with_fences_in_the_bursts),
			cmocka_unit_test(a_burst_that_does_not_leave_is_reported),
			cmocka_unit_test(shut_waits_for_the_burst_under_way),
			cmocka_unit_test(shut_lets_a_burst_end_that_waits_for_our_cpu),
	};

	return cmocka_run_group_tests_name("avp_gate", tests, NULL, NULL);
}
