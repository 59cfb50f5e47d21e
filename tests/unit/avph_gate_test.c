/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The gate between bursts and the control thread.
 */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "avph_gate.h"

/* The kernel lets normal threads run 50 ms of each second however busy real-time ones are; a gate
 * that is shut by waiting for that is not shut in time. */
#define SHUT_LIMIT_MS 200

/* An lcore with a burst under way that ends as soon as the gate is seen shut. */
struct lcore {
	struct avph_gate gate;
	cpu_set_t cpu;
	_Atomic bool in;
	_Atomic bool over;
	pthread_t thread;
};

static void *
lcore_burst(void *arg)
{
	struct lcore *lcore = arg;

	assert_true(avph_gate_enter(&lcore->gate));
	atomic_store(&lcore->in, true);
	while (atomic_load(&lcore->gate.open))
		;
	atomic_store(&lcore->over, true);
	avph_gate_leave(&lcore->gate);
	return NULL;
}

/* Start the burst on the first CPU that this test may use, and wait until it is in. */
static void
lcore_start(struct lcore *lcore)
{
	cpu_set_t allowed;
	int cpu = 0;

	avph_gate_setup();
	avph_gate_init(&lcore->gate);
	avph_gate_open(&lcore->gate);
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&lcore->cpu);
	CPU_SET(cpu, &lcore->cpu);
	assert_int_equal(pthread_create(&lcore->thread, NULL, lcore_burst, lcore), 0);
	pthread_setaffinity_np(lcore->thread, sizeof(lcore->cpu), &lcore->cpu);
	while (!atomic_load(&lcore->in))
		sched_yield();
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
shut_waits_for_the_burst_under_way(void **state)
{
	struct lcore lcore = {0};
	struct avph_gate *const gates[] = {NULL, &lcore.gate};

	(void)state;
	lcore_start(&lcore);
	avph_gate_shut(gates, 2);
	assert_true(atomic_load(&lcore.over));
	assert_false(avph_gate_enter(&lcore.gate));
	pthread_join(lcore.thread, NULL);
}

static void
shut_lets_a_burst_end_that_waits_for_our_cpu(void **state)
{
	const struct sched_param real_time = {.sched_priority = 1};
	const struct sched_param normal = {.sched_priority = 0};
	struct lcore lcore = {0};
	struct avph_gate *const gates[] = {&lcore.gate};
	cpu_set_t before;
	int64_t start;

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	lcore_start(&lcore);
	if (pthread_setschedparam(pthread_self(), SCHED_RR, &real_time) != 0) {
		avph_gate_shut(gates, 1);
		pthread_join(lcore.thread, NULL);
		print_message("no right to real-time priority\n");
		skip();
	}
	sched_setaffinity(0, sizeof(lcore.cpu), &lcore.cpu);
	start = now_ms();
	avph_gate_shut(gates, 1);
	start = now_ms() - start;
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &normal);
	sched_setaffinity(0, sizeof(before), &before);
	pthread_join(lcore.thread, NULL);
	assert_in_range(start, 0, SHUT_LIMIT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(shut_waits_for_the_burst_under_way),
			cmocka_unit_test(shut_lets_a_burst_end_that_waits_for_our_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
