/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control thread's side of gates: avph_gate.h.
 */

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_pause.h>

#include "avph_gate.h"

/* How often a burst is looked at before we sleep between looks: some 10 us, most bursts are over.
 */
#define SPINS 200u
#define SLEEP_NS 20000

/* 0: not tried; 1: the kernel does it; 2: it cannot, bursts execute fences. */
static _Atomic int gate_mode;

static long
gate_membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

void
avph_gate_setup(void)
{
	const long ret = gate_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

	atomic_store(&gate_mode, ret == 0 ? 1 : 2);
}

void
avph_gate_init(struct avph_gate *gate)
{
	atomic_init(&gate->busy, 0);
	atomic_init(&gate->open, 0);
	gate->fence = atomic_load(&gate_mode) != 1;
}

/* The lcore may be waiting for the very CPU that we run on, and we may have the higher priority:
 * yielding would not let it go on. */
static void
gate_wait(const struct avph_gate *gate)
{
	const struct timespec sleep = {.tv_nsec = SLEEP_NS};

	/* pairs with the release in avph_gate_leave() */
	for (unsigned int i = 0; atomic_load_explicit(&gate->busy, memory_order_acquire) != 0;
			i++) {
		if (i < SPINS)
			rte_pause();
		else
			nanosleep(&sleep, NULL);
	}
}

void
avph_gate_shut(struct avph_gate *const gates[], unsigned int nb_gates)
{
	for (unsigned int i = 0; i < nb_gates; i++) {
		if (gates[i] != NULL)
			atomic_store_explicit(&gates[i]->open, 0, memory_order_relaxed);
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&gate_mode) == 1)
		gate_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	for (unsigned int i = 0; i < nb_gates; i++) {
		if (gates[i] != NULL)
			gate_wait(gates[i]);
	}
}
