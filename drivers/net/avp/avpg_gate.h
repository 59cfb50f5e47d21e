/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A gate at the entry of a queue: keeps a burst and a change of what it uses apart, at the cost of
 * two plain stores per burst.
 *
 * How it works
 * A burst marks itself inside, then looks whether the gate is open. Who closes it marks it closed,
 * then looks whether a burst is inside. Each needs its store to be seen before its load; the fence
 * that this takes is paid by the closer alone, with membarrier(2), which makes every thread of the
 * process pass one. Where the system has no membarrier, each burst pays.
 */

#ifndef AVPG_GATE_H
#define AVPG_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct avpg_gate {
	atomic_bool inside; /* written by the queue's lcore */
	atomic_bool open;   /* written by whoever controls the port */
	bool fence;         /* bursts pay; written once, at queue setup */
};

/** A closed gate. */
void avpg_gate_init(struct avpg_gate *gate);

/** Let bursts in: they see everything written before. */
static inline void
avpg_gate_open(struct avpg_gate *gate)
{
	/* pairs with the acquire in avpg_gate_enter() */
	atomic_store_explicit(&gate->open, true, memory_order_release);
}

/** Let no new burst in, without waiting for one inside. */
static inline void
avpg_gate_shut(struct avpg_gate *gate)
{
	atomic_store_explicit(&gate->open, false, memory_order_relaxed);
}

/**
 * After avpg_gate_shut() on any number of gates: make every thread see it, or be seen inside.
 * Control context: takes a system call.
 */
void avpg_gate_sync(void);

/** Wait until no burst is inside a gate that was shut and synced. Returns 0 or -ETIMEDOUT. */
int avpg_gate_wait(struct avpg_gate *gate, uint32_t limit_ms);

/** True: the burst may go on, and must call avpg_gate_leave(). False: leave at once. */
static inline bool
avpg_gate_enter(struct avpg_gate *gate)
{
	atomic_store_explicit(&gate->inside, true, memory_order_relaxed);
	/* pairs with the fence that avpg_gate_sync() puts into this thread */
	if (__builtin_expect(gate->fence, 0))
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst);
	/* pairs with the release in avpg_gate_open() */
	if (__builtin_expect(atomic_load_explicit(&gate->open, memory_order_acquire), 1))
		return true;
	atomic_store_explicit(&gate->inside, false, memory_order_release);
	return false;
}

static inline void
avpg_gate_leave(struct avpg_gate *gate)
{
	/* pairs with the acquire in avpg_gate_wait() */
	atomic_store_explicit(&gate->inside, false, memory_order_release);
}

#endif /* AVPG_GATE_H */
