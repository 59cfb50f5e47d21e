/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Flows of packets whose every byte is known, and what may happen to them.
 *
 * How it works
 * A packet carries its flow, its number in the flow, and the era in which it was made. Eras are
 * counted by the operations thread: an operation that deals flows to FIFOs anew, or empties them,
 * begins one, and another one when it is done. Within an era the packets of a flow arrive in the
 * order of their numbers, each once, all on one queue; none is missing unless an operation that
 * empties FIFOs has been under way since it was sent. What was sent in an era before such an
 * operation must not arrive after it.
 *
 * A number is used up when the port has taken the packet. One thread sends a flow, and in one era
 * one thread receives it; between eras the pollers are waited for (random_poll_pass()).
 */

#ifndef RANDOM_FLOW_H
#define RANDOM_FLOW_H

#include <rte_mbuf.h>

#include "random.h"

#define RANDOM_NB_FLOWS 24u
/** More than there are between two calls of random_flow_forget(). */
#define RANDOM_NB_ERAS 1024u

/** A packet to be made. */
struct random_packet {
	uint32_t flow;
	uint32_t era;   /* as random_flow_begin() has said */
	uint32_t index; /* how many have been made, and not sent, before it */
	uint32_t size;  /* bytes */
};

/** Before packets of a flow are made. Returns the era that they belong to. The sending thread. */
uint32_t random_flow_begin(enum random_side from, uint32_t flow);
/** NULL: the mempool is empty. */
struct rte_mbuf *random_flow_make(struct random *rnd, const struct random_end *from,
		struct rte_mempool *pool, const struct random_packet *packet);
/** The same, in mbufs that are there: @packet's size is that of @mbuf. */
void random_flow_remake(struct random *rnd, const struct random_end *from,
		const struct random_packet *packet, struct rte_mbuf *mbuf);
/** The first @nb of those made have been taken. */
void random_flow_sent(enum random_side from, uint32_t flow, uint32_t nb);
/** Check a packet that @to has received on @queue, all of it. Dies when it is wrong. While an
 * operation that empties FIFOs is under way a guest's packets may change under its eyes: then it is
 * as if it had not come. */
void random_flow_check(const struct random_end *to, uint16_t queue, struct rte_mbuf *mbuf);

/** Counts operations that empty FIFOs: what was received by pointer before the last one may change
 * from now on. Odd: one is under way. */
uint32_t random_flow_generation(void);

/** A new era. */
void random_flow_era(void);
/** From now on, or from the beginning of time until now, packets of both directions may be lost.
 * The last makes it wrong that packets sent before @era arrive. In between what guests receive is
 * not looked at, until random_flow_look_again(). Pollers must have been waited for before the
 * second, and again before the third: until then they may not have counted what they have sent. */
void random_flow_loss_begin(void);
void random_flow_look_again(void);
void random_flow_loss_end(void);

/** Packets that must arrive and have not yet. */
uint64_t random_flow_owed(enum random_side from);
/** Packets received so far, of those that the other end sent. */
uint64_t random_flow_received(enum random_side from);
/** All have arrived that must: later eras need not know of those before. Nothing is under way. */
void random_flow_forget(void);
/** Say what is owed, in the trace. */
void random_flow_trace(enum random_side from);

#endif /* RANDOM_FLOW_H */
