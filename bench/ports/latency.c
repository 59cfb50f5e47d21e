/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * How long packets take: one at a time, or at a part of the highest rate. The host sends packets
 * with the time in them, the guest looks at it (one way) and sends them back (round trip). Both
 * read the same TSC.
 *
 * At a rate, the time in a packet is when it was due, however late it was sent: a sender that falls
 * behind makes its packets late, not fewer. While warming up the host sends as fast as packets come
 * back, without times in the packets; what came in the second half of it is the highest rate.
 */

#include "side.h"

/* A packet that took so long is lost. */
#define LOST_MS 200u

/*
 * One packet
 */

/* Wait for the packet to come back. Returns it, or NULL. */
static struct rte_mbuf *
ping_wait(struct side *side, struct end *end, uint64_t limit_tsc)
{
	struct rte_mbuf *mbuf;

	while (end->rx(end, 0, &mbuf, 1) == 0) {
		if (unlikely(side_phase(side) == PHASE_STOP || rte_rdtsc() > limit_tsc))
			return NULL;
	}
	return mbuf;
}

void
side_ping(struct side *side)
{
	const uint64_t limit = rte_get_tsc_hz() * LOST_MS / 1000;
	struct end *end = &side->ends[0];
	struct rte_mbuf *mbuf = NULL;

	while (side_phase(side) < PHASE_DRAIN) {
		uint64_t start;

		if (mbuf == NULL)
			mbuf = pkt_make(side, 0, 0, 0);
		if (mbuf == NULL)
			continue;
		start = rte_rdtsc();
		pkts_work(side, 0, &mbuf, 1);
		pkt_set_stamp(mbuf, start);
		side_made(side, 1);
		side_send(side, end, 0, &mbuf, 1);
		mbuf = ping_wait(side, end, start + limit);
		if (mbuf == NULL)
			continue; /* lost */
		side_latency(side, mbuf, rte_rdtsc());
		side_drained(side, 1);
		side_count(side, 1, 0, 0, 0);
	}
	rte_pktmbuf_free(mbuf);
	while (side_phase(side) != PHASE_STOP)
		rte_pause();
}

/*
 * At a rate
 */

/* What the sender knows. */
struct pace {
	uint64_t nb_sent; /* with those given up as lost, nb_back of them came back */
	uint64_t nb_back;
	uint64_t last_rx_tsc;
	double packet_tsc; /* from packet to packet */
	uint64_t start_tsc;
	uint64_t nb_due; /* since then */
};

/* Receive what has come back. */
static void
pace_rx(struct side *side, struct pace *pace)
{
	struct end *end = &side->ends[0];
	struct rte_mbuf *pkts[MAX_BURST];
	const uint16_t nb = end->rx(end, 0, pkts, (uint16_t)side->point->burst);
	uint64_t now;

	if (nb == 0)
		return;
	pkts_work(side, 0, pkts, nb);
	now = rte_rdtsc();
	pace->last_rx_tsc = now;
	pace->nb_back += nb;
	for (uint16_t i = 0; i < nb; i++)
		side_latency(side, pkts[i], now);
	rte_pktmbuf_free_bulk(pkts, nb);
	side_drained(side, nb);
	side_count(side, nb, 0, 0, 0);
}

/* Send up to @nb packets, no more than may be under way; with times from @due_tsc on, or without
 * where that is 0. Returns how many. */
static uint16_t
pace_tx(struct side *side, struct pace *pace, uint64_t nb, double due_tsc)
{
	const uint64_t under_way = pace->nb_sent - pace->nb_back;
	const uint64_t room = side->point->in_flight - RTE_MIN(under_way, side->point->in_flight);
	const uint16_t count = (uint16_t)RTE_MIN(RTE_MIN(nb, side->point->burst), room);
	struct rte_mbuf *pkts[MAX_BURST];

	if (count == 0 ||
			!pkt_make_bulk(side, &side->ends[0], (uint32_t)pace->nb_sent, pkts, count))
		return 0;
	for (uint16_t i = 0; i < count; i++)
		pkt_set_stamp(pkts[i],
				due_tsc > 0 ? (uint64_t)(due_tsc + i * pace->packet_tsc) : 0);
	side_made(side, count);
	side_send(side, &side->ends[0], 0, pkts, count);
	pace->nb_sent += count;
	return count;
}

/* As fast as packets come back; returns the TSC cycles from packet to packet. */
static double
pace_calibrate(struct side *side, struct pace *pace)
{
	const uint64_t half_tsc = rte_rdtsc() + side->point->warm_ms * rte_get_tsc_hz() / 1000 / 2;
	uint64_t half_back = 0;
	uint64_t half_at = 0;

	while (side_phase(side) < PHASE_MEASURE) {
		pace_tx(side, pace, side->point->burst, 0);
		pace_rx(side, pace);
		if (half_at == 0 && rte_rdtsc() > half_tsc) {
			half_at = rte_rdtsc();
			half_back = pace->nb_back;
		}
	}
	return (double)(rte_rdtsc() - half_at) /
			(double)RTE_MAX(pace->nb_back - half_back, UINT64_C(1));
}

/* Until all have come back, or are lost. */
static void
pace_settle(struct side *side, struct pace *pace)
{
	const uint64_t limit_tsc = rte_rdtsc() + rte_get_tsc_hz() * LOST_MS / 4 / 1000;

	while (pace->nb_back < pace->nb_sent && rte_rdtsc() < limit_tsc)
		pace_rx(side, pace);
	pace->nb_sent = pace->nb_back;
}

void
side_pace(struct side *side)
{
	const uint64_t lost_tsc = rte_get_tsc_hz() * LOST_MS / 1000;
	struct pace pace = {0};
	uint64_t now;

	pace.packet_tsc = pace_calibrate(side, &pace) * 100 / side->point->load;
	side->result->highest_pps =
			(double)rte_get_tsc_hz() / pace.packet_tsc * 100 / side->point->load;
	pace_settle(side, &pace);
	side_restart(side);
	pace.start_tsc = rte_rdtsc();
	pace.last_rx_tsc = pace.start_tsc;
	while (side_phase(side) < PHASE_DRAIN) {
		now = rte_rdtsc();
		pace.nb_due += pace_tx(side, &pace,
				(uint64_t)((double)(now - pace.start_tsc) / pace.packet_tsc) -
						pace.nb_due,
				(double)pace.start_tsc + (double)pace.nb_due * pace.packet_tsc);
		pace_rx(side, &pace);
		if (unlikely(now > pace.last_rx_tsc + lost_tsc)) {
			pace.nb_sent = pace.nb_back;
			pace.last_rx_tsc = now;
		}
	}
	while (side_phase(side) != PHASE_STOP)
		pace_rx(side, &pace);
}
