/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive interrupts of the guest: who has armed an rx FIFO is woken when a packet is put on it.
 *
 * How it works
 * The lcore that has published packets executes a full fence and then reads the FIFO's armed word;
 * the guest writes the word, executes a full fence, and then looks at the FIFO. So at least one of
 * them sees the other. The lcore takes the word back and notes the vector. It does not signal it:
 * the eventfd is the client's file as well, whose flags and counter the client may change so that a
 * write waits for ever, and an lcore that waits stops every port that it serves. The device does
 * it, on the control thread, as for all vectors.
 *
 * The control thread takes up what was noted at every tick. So that a guest need not wait for that,
 * the lcore wakes it by an eventfd of our own, which nobody else has and which cannot block: one
 * system call, for an armed FIFO only, and not more than once between two ticks. A guest that arms
 * all the time costs no more than that, whatever it writes, and gets no more than an interrupt per
 * vector each time that the control thread comes round.
 */

#ifndef AVPH_INTR_H
#define AVPH_INTR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

#include <avp/avp_abi.h>

#include "avp_loop.h"

/** One per port. Init, start, stop: the control thread. */
struct avph_intr {
	_Atomic uint32_t vectors; /* to be raised, bit n: vector n; by lcores */
	atomic_bool may_kick;     /* no lcore has woken the control thread since the last tick */
	_Atomic uint64_t nb_kicks;
	bool running;
	struct avp_loop *loop;
	struct avp_watch kick; /* the eventfd; fd -1: there is none */
	struct avp_tick tick;
	void (*raise)(struct avph_intr *intr, uint32_t vectors);
};

/** @raise is called on the control thread, with at least one vector. Returns 0 or -errno. */
int avph_intr_init(struct avph_intr *intr, struct avp_loop *loop,
		void (*raise)(struct avph_intr *intr, uint32_t vectors));
void avph_intr_fini(struct avph_intr *intr);

/** The guest uses receive interrupts from now on, or does so no more. The gates are shut. */
void avph_intr_set(struct avph_intr *intr, bool on);

/** The FIFO is armed, as @armed was read: take that back, and have the vector raised. */
void avph_intr_fire(struct avph_intr *intr, _Atomic uint32_t *arm, uint32_t armed);

/** Packets have been published on a FIFO whose armed word is @arm. Context: lcore. */
static inline void
avph_intr_published(struct avph_intr *intr, _Atomic uint32_t *arm)
{
	uint32_t armed;

	/* pairs with the fence between arming and looking in the guest's driver */
	atomic_thread_fence(memory_order_seq_cst);
	armed = atomic_load_explicit(arm, memory_order_relaxed);
	if (unlikely(armed != 0))
		avph_intr_fire(intr, arm, armed);
}

#endif /* AVPH_INTR_H */
