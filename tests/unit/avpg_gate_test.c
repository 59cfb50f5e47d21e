/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The gate of a queue: whoever has closed it is alone with what bursts use.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "avpg_gate.h"

#define RUN_MS 500

struct lcore {
	struct avpg_gate gate;
	atomic_bool quit;
	atomic_uint entered;
	/* what bursts use: plain, as FIFO ends are; both must always be equal */
	unsigned int left;
	unsigned int right;
	unsigned int torn;
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void *
poll_for_ever(void *arg)
{
	struct lcore *lcore = arg;

	while (!atomic_load_explicit(&lcore->quit, memory_order_relaxed)) {
		if (!avpg_gate_enter(&lcore->gate))
			continue;
		lcore->torn += lcore->left != lcore->right;
		lcore->left++;
		lcore->right++;
		avpg_gate_leave(&lcore->gate);
		atomic_fetch_add_explicit(&lcore->entered, 1, memory_order_relaxed);
	}
	return NULL;
}

static void
change_while_polled(bool fence)
{
	struct lcore lcore = {0};
	uint64_t limit = now_ms() + RUN_MS;
	pthread_t thread;

	avpg_gate_init(&lcore.gate);
	lcore.gate.fence = fence || lcore.gate.fence;
	assert_int_equal(pthread_create(&thread, NULL, poll_for_ever, &lcore), 0);
	for (unsigned int i = 0; now_ms() < limit; i++) {
		unsigned int before = atomic_load(&lcore.entered);

		avpg_gate_open(&lcore.gate);
		for (int k = 0; k < 100000000 && atomic_load(&lcore.entered) == before; k++)
			;
		avpg_gate_shut(&lcore.gate);
		avpg_gate_sync();
		assert_int_equal(avpg_gate_wait(&lcore.gate, 5000), 0);
		/* alone: half a change may take its time */
		lcore.torn += lcore.left != lcore.right;
		lcore.left = i;
		for (int k = 0; k < 100; k++)
			atomic_signal_fence(memory_order_seq_cst);
		lcore.right = i;
	}
	atomic_store(&lcore.quit, true);
	pthread_join(thread, NULL);
	assert_int_equal(lcore.torn, 0);
}

static void
a_closed_gate_keeps_bursts_out(void **state)
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
	struct avpg_gate gate;

	(void)state;
	avpg_gate_init(&gate);
	assert_false(avpg_gate_enter(&gate));
	avpg_gate_open(&gate);
	assert_true(avpg_gate_enter(&gate));
	avpg_gate_shut(&gate);
	avpg_gate_sync();
	assert_int_equal(avpg_gate_wait(&gate, 5), -ETIMEDOUT);
	avpg_gate_leave(&gate);
	assert_int_equal(avpg_gate_wait(&gate, 5), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(a_closed_gate_keeps_bursts_out),
			cmocka_unit_test(so_it_does_with_fences_in_the_bursts),
			cmocka_unit_test(a_burst_that_does_not_leave_is_reported),
	};

	return cmocka_run_group_tests_name("avpg_gate", tests, NULL, NULL);
}
