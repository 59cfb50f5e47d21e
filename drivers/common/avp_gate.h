/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The gate of a queue: lets a control thread keep a polling lcore out of a queue, at no cost to the
 * lcore but two stores and a load.
 *
 * How it works
 * A burst says that it is in (busy = 1), then looks whether the gate is open; the control thread
 * shuts the gate, then looks whether somebody is in. Each writes one word and then reads the
 * other's, so at least one of them must see the other - provided that no store is still waiting in
 * a store buffer while the load behind it is done. The usual remedy is a full fence on both sides.
 * Here the burst has none: it only keeps the compiler from swapping the two, and the control thread
 * asks the kernel (membarrier) to have every running thread of this process execute a full fence
 * between the control thread's store and load. So either the burst's store of busy was before that
 * fence, and the control thread sees it and waits; or its load of the gate comes after, and sees
 * the gate shut.
 *
 * A burst never waits. The control thread waits for a burst under way, which ends by itself. Where
 * the kernel has no membarrier, bursts do execute a fence (gate->fence).
 */

#ifndef AVP_GATE_H
#define AVP_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

/** One per queue, in a cache line that only this queue's lcore writes in normal times. */
struct avp_gate {
	_Atomic uint32_t busy; /* 1 while a burst is in; written by the queue's lcore */
	_Atomic uint32_t open; /* written by the control thread */
	bool fence;            /* set at init: bursts must execute a fence themselves */
};

/** For avp_gate_shut(). */
#define AVP_GATE_NO_LIMIT 0u

/** Make a gate that is shut. Any thread. */
void avp_gate_init(struct avp_gate *gate);

/**
 * Shut gates and wait until nobody is in.
 *
 * @gates     NULL entries are skipped
 * @limit_ms  for all of them together, or AVP_GATE_NO_LIMIT
 * Returns 0, or -ETIMEDOUT when a burst is still under way: all are shut then, too.
 * Context: control thread. What bursts wrote is visible when it returns 0.
 */
int avp_gate_shut(struct avp_gate *const gates[], unsigned int nb_gates, uint32_t limit_ms);

/** Open a gate. What the control thread wrote before is visible to bursts. */
static inline void
avp_gate_open(struct avp_gate *gate)
{
	/* pairs with the acquire in avp_gate_enter() */
	atomic_store_explicit(&gate->open, 1, memory_order_release);
}

/** End of a burst. */
static inline void
avp_gate_leave(struct avp_gate *gate)
{
	/* pairs with the acquire in avp_gate_shut() */
	atomic_store_explicit(&gate->busy, 0, memory_order_release);
}

/** Start of a burst. False: the gate is shut, do nothing and do not call avp_gate_leave(). */
static inline bool
avp_gate_enter(struct avp_gate *gate)
{
	atomic_store_explicit(&gate->busy, 1, memory_order_relaxed);
	/* pairs with the fence that avp_gate_shut() puts into this thread */
	if (unlikely(gate->fence))
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst);
	/* pairs with the release in avp_gate_open() */
	if (likely(atomic_load_explicit(&gate->open, memory_order_acquire)))
		return true;
	avp_gate_leave(gate);
	return false;
}

#endif /* AVP_GATE_H */
