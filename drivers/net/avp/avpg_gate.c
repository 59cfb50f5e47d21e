/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The closer's side of a queue's gate; bursts' side is inline in avpg_gate.h.
 */

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "avpg_gate.h"

#define PAUSE_NS 20000 /* between two looks at a gate */

/* Whether this process may use membarrier: found out once, then only read. */
static pthread_once_t membarrier_once = PTHREAD_ONCE_INIT;
static bool membarrier_usable;

static void
membarrier_register(void)
{
	membarrier_usable = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
					    0) == 0;
}

void
avpg_gate_init(struct avpg_gate *gate)
{
	pthread_once(&membarrier_once, membarrier_register);
	atomic_init(&gate->inside, false);
	atomic_init(&gate->open, false);
	gate->fence = !membarrier_usable;
}

void
avpg_gate_sync(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (membarrier_usable)
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

int
avpg_gate_wait(struct avpg_gate *gate, uint32_t limit_ms)
{
	uint64_t tries = (uint64_t)limit_ms * 1000000 / PAUSE_NS;

	/* pairs with the release in avpg_gate_leave() */
	while (atomic_load_explicit(&gate->inside, memory_order_acquire)) {
		if (tries-- == 0)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	return 0;
}
