/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The loops that are measured. All rivals run through the same ones, by function pointers that cost
 * the same for each.
 *
 * A side counts only while measuring, and cycles only of bursts that have packets: from the call of
 * the receive function to the return of the transmit function that took the last of them. Calls
 * that take nothing, because the other side is behind, are waiting and not counted.
 */

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_mempool.h>

#include "side.h"

/* How long a switch program may take until it passes packets, and one packet to come through. */
#define GREET_LIMIT_S 4
#define GREET_US 5000u

static uint64_t
cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
thread_priority(int priority)
{
	const struct sched_param param = {.sched_priority = priority};

	if (pthread_setschedparam(
			    pthread_self(), priority > 0 ? SCHED_FIFO : SCHED_OTHER, &param) != 0)
		fprintf(stderr, "bench_ports: --real-time: not permitted\n");
}

/*
 * Phases
 */

/* Only while probing and measuring: Linux takes the CPU from who has had it at a real-time priority
 * for 0.95 s. Where the other program polls on the host's CPU, this lcore only probes: before it.
 */
static void
side_real_time(const struct side *side, bool on)
{
	if (side->real_time)
		thread_priority(!on ? 0 : side->nb_ends == 0 ? 2 : 1);
}

void
side_restart(struct side *side)
{
	struct side_result *result = side->result;

	result->packets = 0;
	result->bursts = 0;
	result->rx_tsc = 0;
	result->work_tsc = 0;
	result->tx_tsc = 0;
	memset(result->hist, 0, sizeof(result->hist));
	side->start_cpu_ns = cpu_ns();
	side->start_tsc = rte_rdtsc();
}

void
side_new_phase(struct side *side, uint32_t phase)
{
	struct side_result *result = side->result;

	if (phase == PHASE_WARM)
		side_real_time(side, true);
	if (phase == PHASE_MEASURE) {
		side_restart(side);
	} else if (side->phase == PHASE_MEASURE) {
		result->measure_tsc = rte_rdtsc() - side->start_tsc;
		result->cpu_ns = cpu_ns() - side->start_cpu_ns;
	}
	side->phase = phase;
	atomic_store(&side->control->state[side->id].seen, phase);
}

/*
 * Packets go round
 */

/* Free what an end receives for some time. Returns how many packets that were. */
static uint32_t
end_flush(struct end *end, uint32_t us)
{
	const uint64_t until_tsc = rte_rdtsc() + us * rte_get_tsc_hz() / 1000000;
	struct rte_mbuf *pkts[MAX_BURST];
	uint32_t total = 0;

	do {
		const uint16_t nb = end->rx(end, 0, pkts, MAX_BURST);

		rte_pktmbuf_free_bulk(pkts, nb);
		total += nb;
	} while (rte_rdtsc() < until_tsc);
	return total;
}

/* A switch program may not pass packets yet when the links are up. Send single ones until they come
 * through both ways; they are not counted. */
static void
side_greet(struct side *side)
{
	const uint64_t until_tsc = rte_rdtsc() + GREET_LIMIT_S * rte_get_tsc_hz();

	for (uint32_t i = 0; i < side->nb_ends; i++) {
		while (rte_rdtsc() < until_tsc) {
			struct rte_mbuf *mbuf = pkt_make(side, 0, 0, i);

			if (mbuf == NULL)
				break;
			pkts_tag(side, &mbuf, 1);
			if (side->ends[i].tx(&side->ends[i], 0, &mbuf, 1) == 0)
				rte_pktmbuf_free(mbuf);
			if (end_flush(&side->ends[i ^ 1], GREET_US) > 0)
				break;
		}
	}
	for (uint32_t i = 0; i < side->nb_ends; i++)
		end_flush(&side->ends[i], 2 * GREET_US);
}

/* Bring the packets into being: few at a time, as the other side is polling already. */
static void
side_inject(struct side *side, uint32_t nb_each)
{
	for (uint32_t n = 0; n < nb_each; n++) {
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			struct end *end = &side->ends[i];

			for (uint16_t q = 0; q < side->point->nb_queues; q++) {
				struct rte_mbuf *mbuf = pkt_make(side, n, q, i);

				if (mbuf == NULL)
					return;
				pkts_tag(side, &mbuf, 1);
				side_made(side, 1);
				side_send(side, end, q, &mbuf, 1);
			}
		}
	}
}

/* How long packets that carry their time were under way. */
static inline void
side_one_way(struct side *side, struct rte_mbuf **pkts, uint16_t nb, uint64_t now)
{
	for (uint16_t i = 0; i < nb; i++)
		side_latency(side, pkts[i], now);
}

static inline void
side_forward_queue(struct side *side, uint32_t from, uint32_t to, uint16_t queue)
{
	struct rte_mbuf *pkts[MAX_BURST];
	struct end *end = &side->ends[from];
	const uint64_t start = rte_rdtsc();
	const uint16_t nb = end->rx(end, queue, pkts, (uint16_t)side->point->burst);
	uint64_t received;
	uint64_t worked;

	if (nb == 0)
		return;
	received = rte_rdtsc();
	if (side->stamped)
		side_one_way(side, pkts, nb, received);
	pkts_work(side, from, pkts, nb);
	pkts_tag(side, pkts, nb);
	worked = rte_rdtsc();
	side_count(side, nb, received - start, worked - received,
			side_send(side, &side->ends[to], queue, pkts, nb));
}

/* Take out what still comes, until the phase is over. */
static void
side_drain(struct side *side)
{
	struct rte_mbuf *pkts[MAX_BURST];

	while (side_phase(side) == PHASE_DRAIN) {
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			for (uint16_t q = 0; q < side->point->nb_queues; q++) {
				const uint16_t nb = side->ends[i].rx(
						&side->ends[i], q, pkts, MAX_BURST);

				if (nb == 0)
					continue;
				atomic_store(&side->control->state[side->id].last_rx_tsc,
						rte_rdtsc());
				side_drained(side, nb);
				rte_pktmbuf_free_bulk(pkts, nb);
			}
		}
	}
}

/* The host of TEST_ENDS and TEST_SWITCH, the guest of these, TEST_PING and TEST_PACED. */
static void
side_forward(struct side *side)
{
	const uint32_t other = side->point->test == TEST_SWITCH && side->id == SIDE_HOST ? 1 : 0;
	const bool drains = side->id == SIDE_GUEST && !side->stamped;
	uint32_t phase;

	if (side->point->test == TEST_THROUGH)
		side_greet(side);
	if (drains)
		side_inject(side, side->point->in_flight);
	while ((phase = side_phase(side)) != PHASE_STOP) {
		if (drains && phase == PHASE_DRAIN) {
			side_drain(side);
			continue;
		}
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			for (uint16_t q = 0; q < side->point->nb_queues; q++)
				side_forward_queue(side, i, i ^ other, q);
		}
	}
}

/*
 * One way
 */

static void
side_source(struct side *side)
{
	const uint16_t burst = (uint16_t)side->point->burst;
	struct rte_mbuf *pkts[MAX_BURST];
	uint32_t number = 0;

	while (side_phase(side) < PHASE_DRAIN) {
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			struct end *end = &side->ends[i];

			for (uint16_t q = 0; q < side->point->nb_queues; q++) {
				const uint64_t start = rte_rdtsc();
				uint64_t worked;

				if (!pkt_make_bulk(side, end, number, pkts, burst)) {
					end->tx(end, q, NULL, 0); /* frees what was sent */
					continue;
				}
				number += burst;
				pkts_work(side, i, pkts, burst);
				pkts_tag(side, pkts, burst);
				worked = rte_rdtsc() - start;
				/* before they are sent: else all may seem to be there while
				 * the rest of this burst waits for room */
				side_made(side, burst);
				side_count(side, burst, 0, worked,
						side_send(side, end, q, pkts, burst));
			}
		}
	}
	while (side_phase(side) != PHASE_STOP)
		rte_pause();
}

static void
side_sink(struct side *side)
{
	struct rte_mbuf *pkts[MAX_BURST];

	while (side_phase(side) < PHASE_DRAIN) {
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			struct end *end = &side->ends[i];

			for (uint16_t q = 0; q < side->point->nb_queues; q++) {
				const uint64_t start = rte_rdtsc();
				const uint16_t nb =
						end->rx(end, q, pkts, (uint16_t)side->point->burst);

				uint64_t received;

				if (nb == 0)
					continue;
				received = rte_rdtsc();
				pkts_work(side, i, pkts, nb);
				rte_pktmbuf_free_bulk(pkts, nb);
				side_drained(side, nb);
				side_count(side, nb, received - start, rte_rdtsc() - received, 0);
			}
		}
	}
	side_drain(side);
}

/* Another program has this side's CPU. */
static void
side_wait(struct side *side)
{
	while (side_phase(side) != PHASE_STOP)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int
side_main(void *arg)
{
	struct side *side = arg;
	const enum test test = side->point->test;
	const bool sends = test == (side->id == SIDE_HOST ? TEST_TO_GUEST : TEST_TO_HOST);

	side->stamped = test == TEST_PING || test == TEST_PACED;
	side_real_time(side, true);
	side->result->probe_tsc[0] = probe(side->control, side->id);
	side_real_time(side, false);
	if (side->nb_ends == 0) {
		side_wait(side);
	} else if (test == TEST_TO_GUEST || test == TEST_TO_HOST) {
		if (sends)
			side_source(side);
		else
			side_sink(side);
	} else if (test == TEST_PING && side->id == SIDE_HOST) {
		side_ping(side);
	} else if (test == TEST_PACED && side->id == SIDE_HOST) {
		side_pace(side);
	} else {
		side_forward(side);
	}
	side->result->probe_tsc[1] = probe(side->control, side->id);
	side_real_time(side, false);
	return 0;
}
