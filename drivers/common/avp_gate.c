/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control thread's side of gates: avp_gate.h.
 */

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_pause.h>

#include "avp_gate.h"

/* How often a burst is looked at before we sleep between looks: some 10 us, most bursts are over.
 */
#define SPINS 200u
#define SLEEP_NS 20000

/* Whether this process may use membarrier: found out once, then only read. */
static pthread_once_t membarrier_once = PTHREAD_ONCE_INIT;
static bool membarrier_usable;

static long
gate_membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void
membarrier_register(void)
{
	membarrier_usable = gate_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

void
avp_gate_init(struct avp_gate *gate)
{
	pthread_once(&membarrier_once, membarrier_register);
	atomic_init(&gate->busy, 0);
	atomic_init(&gate->open, 0);
	gate->fence = !membarrier_usable;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Wait until nobody is in, or until @end_ms. The lcore may be waiting for the very CPU that we run
 * on, and we may have the higher priority: yielding would not let it go on. */
static int
gate_wait(const struct avp_gate *gate, uint64_t end_ms)
{
	const struct timespec sleep = {.tv_nsec = SLEEP_NS};

	/* pairs with the release in avp_gate_leave() */
	for (unsigned int i = 0; atomic_load_explicit(&gate->busy, memory_order_acquire) != 0;
			i++) {
		if (i < SPINS) {
			rte_pause();
			continue;
		}
		if (now_ms() >= end_ms)
			return -ETIMEDOUT;
		nanosleep(&sleep, NULL);
	}
	return 0;
}

int
avp_gate_shut(struct avp_gate *const gates[], unsigned int nb_gates, uint32_t limit_ms)
{
	const uint64_t end_ms = limit_ms == AVP_GATE_NO_LIMIT ? UINT64_MAX : now_ms() + limit_ms;

	for (unsigned int i = 0; i < nb_gates; i++) {
		if (gates[i] != NULL)
			atomic_store_explicit(&gates[i]->open, 0, memory_order_relaxed);
	}
	/* pairs with the fences in avp_gate_enter(), or puts one there */
	atomic_thread_fence(memory_order_seq_cst);
	if (membarrier_usable)
		gate_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	for (unsigned int i = 0; i < nb_gates; i++) {
		if (gates[i] != NULL && gate_wait(gates[i], end_ms) != 0)
			return -ETIMEDOUT;
	}
	return 0;
}
