/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the loops share: side.c (packets go round, or one way), latency.c (one by one, or at a
 * rate), pkt.c (what is in the packets).
 */

#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "ports.h"

/* side.c */

/** Begin a phase: begin and end what is counted. */
void side_new_phase(struct side *side, uint32_t phase);
/** Count from now. */
void side_restart(struct side *side);

/* latency.c */

/** The host of TEST_PING. */
void side_ping(struct side *side);
/** The host of TEST_PACED. */
void side_pace(struct side *side);

/* pkt.c */

/** A packet to send for the first time, all bytes set; NULL when the pool is empty. */
struct rte_mbuf *pkt_make(const struct side *side, uint32_t number, uint32_t flow, uint32_t end);
/** The same for a burst, bytes as they are; @number counts packets, sizes come in turn. */
bool pkt_make_bulk(const struct side *side, const struct end *end, uint32_t number,
		struct rte_mbuf **pkts, uint16_t nb);
/** What the application does with a burst that came from an end. */
void pkts_work(struct side *side, uint32_t end, struct rte_mbuf **pkts, uint16_t nb);
/** Tags, where packets have them: before a burst is sent. */
void pkts_tag(const struct side *side, struct rte_mbuf **pkts, uint16_t nb);

/* The phase, and what begins and ends with it. */
static inline uint32_t
side_phase(struct side *side)
{
	const uint32_t phase = atomic_load_explicit(&side->control->phase, memory_order_relaxed);

	if (unlikely(phase != side->phase))
		side_new_phase(side, phase);
	return phase;
}

/* Only this lcore writes it. */
static inline void
side_add(_Atomic uint64_t *sum, uint64_t n)
{
	atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + n,
			memory_order_relaxed);
}

static inline void
side_made(struct side *side, uint64_t nb)
{
	side_add(&side->control->state[side->id].made, nb);
}

static inline void
side_drained(struct side *side, uint64_t nb)
{
	side_add(&side->control->state[side->id].drained, nb);
}

/* A burst with packets: the cycles of receiving, working and sending. */
static inline void
side_count(struct side *side, uint16_t nb, uint64_t rx_tsc, uint64_t work_tsc, uint64_t tx_tsc)
{
	/* Once the phase is over its figures stand. */
	if (unlikely(side->phase != PHASE_MEASURE))
		return;
	side->result->packets += nb;
	side->result->bursts++;
	side->result->rx_tsc += rx_tsc;
	side->result->work_tsc += work_tsc;
	side->result->tx_tsc += tx_tsc;
}

/* Send all; while that does not succeed, until the end. Returns the cycles of calls that took some
 * packets. */
static inline uint64_t
side_send(struct side *side, struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	uint16_t nb_sent = 0;
	uint64_t tsc = 0;

	while (nb_sent < nb) {
		const uint64_t start = rte_rdtsc();
		const uint16_t n = end->tx(end, queue, &pkts[nb_sent], nb - nb_sent);

		if (likely(n > 0)) {
			tsc += rte_rdtsc() - start;
			nb_sent += n;
		} else if (side_phase(side) == PHASE_STOP) {
			rte_pktmbuf_free_bulk(&pkts[nb_sent], nb - nb_sent);
			break;
		}
	}
	return tsc;
}

/* Times of sending lie in the payload, behind all headers. */
#define STAMP_OFF 46u

static inline uint64_t
pkt_stamp(const struct rte_mbuf *mbuf)
{
	return *rte_pktmbuf_mtod_offset(mbuf, const unaligned_uint64_t *, STAMP_OFF);
}

static inline void
pkt_set_stamp(struct rte_mbuf *mbuf, uint64_t tsc)
{
	*rte_pktmbuf_mtod_offset(mbuf, unaligned_uint64_t *, STAMP_OFF) = tsc;
}

/* Count how long a packet took until @now; nothing where its time is 0, but that takes as long: the
 * highest rate is found that way. */
static inline void
side_latency(struct side *side, const struct rte_mbuf *mbuf, uint64_t now)
{
	const uint64_t stamp = pkt_stamp(mbuf);
	uint32_t *hist = stamp != 0 && side->phase == PHASE_MEASURE ? side->result->hist
								    : side->hist_of_none;

	hist[hist_index(now - stamp)]++;
}

#endif /* BENCH_SIDE_H */
