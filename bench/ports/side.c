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

#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#include "ports.h"

#define PING_LIMIT_MS 200u

static uint64_t
cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * Phases
 */

static __rte_noinline void
side_new_phase(struct side *side, uint32_t phase)
{
	struct side_result *result = side->result;

	if (phase == PHASE_MEASURE) {
		result->packets = 0;
		result->bursts = 0;
		result->rx_tsc = 0;
		result->work_tsc = 0;
		result->tx_tsc = 0;
		result->nb_pings = 0;
		memset(result->hist, 0, sizeof(result->hist));
		side->start_cpu_ns = cpu_ns();
		side->start_tsc = rte_rdtsc();
	} else if (side->phase == PHASE_MEASURE) {
		result->measure_tsc = rte_rdtsc() - side->start_tsc;
		result->cpu_ns = cpu_ns() - side->start_cpu_ns;
	}
	side->phase = phase;
	atomic_store(&side->control->state[side->id].seen, phase);
}

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
add(_Atomic uint64_t *sum, uint64_t n)
{
	atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + n,
			memory_order_relaxed);
}

static inline void
side_made(struct side *side, uint64_t nb)
{
	add(&side->control->state[side->id].made, nb);
}

static inline void
side_drained(struct side *side, uint64_t nb)
{
	add(&side->control->state[side->id].drained, nb);
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

/*
 * Packets
 */

static void
pkt_fill(struct rte_mbuf *mbuf, uint32_t size, uint32_t flow, uint32_t end)
{
	struct {
		struct rte_ether_hdr eth;
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
	} __attribute__((packed, aligned(2))) head = {
			/* so that a switch finds the neighbour */
			.eth.dst_addr.addr_bytes = {2, 0, 0, 0, 0, (uint8_t)(end ^ 1)},
			.eth.src_addr.addr_bytes = {2, 0, 0, 0, 0, (uint8_t)end},
			.eth.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
			.ip.version_ihl = RTE_IPV4_VHL_DEF,
			.ip.time_to_live = 64,
			.ip.next_proto_id = 17,
			.ip.src_addr = rte_cpu_to_be_32(0x0a000001),
			.ip.dst_addr = rte_cpu_to_be_32(0x0a000002),
			.udp.src_port = rte_cpu_to_be_16((uint16_t)(1000 + flow)),
			.udp.dst_port = rte_cpu_to_be_16(4789),
	};
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	head.ip.total_length = rte_cpu_to_be_16((uint16_t)(size - sizeof(head.eth)));
	head.udp.dgram_len =
			rte_cpu_to_be_16((uint16_t)(size - sizeof(head.eth) - sizeof(head.ip)));
	memset(data, (int)flow, size);
	memcpy(data, &head, sizeof(head));
	mbuf->data_len = (uint16_t)size;
	mbuf->pkt_len = size;
}

static void
pkt_swap_addrs(struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	const struct rte_ether_addr addr = eth->dst_addr;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = addr;
}

/* Change every byte but the addresses; the packet stays one that a switch forwards. */
static void
pkt_rewrite(struct rte_mbuf *mbuf)
{
	uint32_t skip = sizeof(struct rte_ether_hdr) + 2;

	for (struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next) {
		uint8_t *data = rte_pktmbuf_mtod(seg, uint8_t *);
		uint32_t i = RTE_MIN(skip, (uint32_t)seg->data_len);

		skip = 0;
		for (; i + sizeof(uint64_t) <= seg->data_len; i += sizeof(uint64_t)) {
			uint64_t word;

			memcpy(&word, data + i, sizeof(word));
			word ^= UINT64_C(0x0101010101010101);
			memcpy(data + i, &word, sizeof(word));
		}
		for (; i < seg->data_len; i++)
			data[i] ^= 1;
	}
}

/* What the application does with a burst. */
static inline void
side_work(const struct side *side, struct rte_mbuf **pkts, uint16_t nb)
{
	if (side->point->work == WORK_IO)
		return;
	for (uint16_t i = 0; i < nb; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint16_t i = 0; i < nb; i++)
		pkt_swap_addrs(pkts[i]);
	if (side->point->work != WORK_FULL || side->id != SIDE_GUEST)
		return;
	for (uint16_t i = 0; i < nb; i++)
		pkt_rewrite(pkts[i]);
}

/*
 * Packets go round
 */

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

/* A packet to send for the first time; NULL when the pool is empty. */
static struct rte_mbuf *
side_make(const struct side *side, uint32_t number, uint32_t flow, uint32_t end)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(side->ends[end].pool);

	if (mbuf != NULL)
		pkt_fill(mbuf, side->point->sizes[number % side->point->nb_sizes], flow, end);
	return mbuf;
}

/* Bring the packets into being: few at a time, as the other side is polling already. */
static void
side_inject(struct side *side, uint32_t nb_each)
{
	for (uint32_t n = 0; n < nb_each; n++) {
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			struct end *end = &side->ends[i];

			for (uint16_t q = 0; q < side->point->nb_queues; q++) {
				struct rte_mbuf *mbuf = side_make(side, n, q, i);

				if (mbuf == NULL)
					return;
				side_made(side, 1);
				side_send(side, end, q, &mbuf, 1);
			}
		}
	}
}

static inline void
side_forward_queue(struct side *side, struct end *from, struct end *to, uint16_t queue)
{
	struct rte_mbuf *pkts[MAX_BURST];
	const uint64_t start = rte_rdtsc();
	const uint16_t nb = from->rx(from, queue, pkts, (uint16_t)side->point->burst);
	uint64_t received;
	uint64_t worked;

	if (nb == 0)
		return;
	received = rte_rdtsc();
	side_work(side, pkts, nb);
	worked = rte_rdtsc();
	side_count(side, nb, received - start, worked - received,
			side_send(side, to, queue, pkts, nb));
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

/* The host of TEST_ENDS and TEST_SWITCH, the guest of these and TEST_PING. */
static void
side_forward(struct side *side)
{
	const uint32_t other = side->point->test == TEST_SWITCH && side->id == SIDE_HOST ? 1 : 0;
	const bool drains = side->id == SIDE_GUEST && side->point->test != TEST_PING;
	uint32_t phase;

	if (drains)
		side_inject(side, side->point->in_flight);
	while ((phase = side_phase(side)) != PHASE_STOP) {
		if (drains && phase == PHASE_DRAIN) {
			side_drain(side);
			continue;
		}
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			for (uint16_t q = 0; q < side->point->nb_queues; q++)
				side_forward_queue(side, &side->ends[i], &side->ends[i ^ other], q);
		}
	}
}

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

/* The host of TEST_PING. */
static void
side_ping(struct side *side)
{
	const uint64_t limit = rte_get_tsc_hz() * PING_LIMIT_MS / 1000;
	struct side_result *result = side->result;
	struct end *end = &side->ends[0];
	struct rte_mbuf *mbuf = NULL;

	while (side_phase(side) < PHASE_DRAIN) {
		const uint64_t start = rte_rdtsc();

		if (mbuf == NULL)
			mbuf = side_make(side, 0, 0, 0);
		if (mbuf == NULL)
			continue;
		side_work(side, &mbuf, 1);
		side_send(side, end, 0, &mbuf, 1);
		side_made(side, 1);
		mbuf = ping_wait(side, end, start + limit);
		if (mbuf == NULL)
			continue; /* lost */
		side_drained(side, 1);
		if (side->phase != PHASE_MEASURE)
			continue;
		result->nb_pings++;
		result->hist[hist_index(rte_rdtsc() - start)]++;
		side_count(side, 1, 0, 0, 0);
	}
	rte_pktmbuf_free(mbuf);
	while (side_phase(side) != PHASE_STOP)
		rte_pause();
}

/*
 * One way
 */

static void
side_source(struct side *side)
{
	const uint16_t burst = (uint16_t)side->point->burst;
	struct rte_mbuf *pkts[MAX_BURST];

	while (side_phase(side) < PHASE_DRAIN) {
		for (uint32_t i = 0; i < side->nb_ends; i++) {
			struct end *end = &side->ends[i];

			for (uint16_t q = 0; q < side->point->nb_queues; q++) {
				const uint64_t start = rte_rdtsc();
				uint64_t worked;

				if (rte_pktmbuf_alloc_bulk(end->pool, pkts, burst) != 0) {
					end->tx(end, q, NULL, 0); /* frees what was sent */
					continue;
				}
				for (uint16_t n = 0; n < burst; n++) {
					pkts[n]->data_len = (uint16_t)side->point->sizes[0];
					pkts[n]->pkt_len = side->point->sizes[0];
				}
				side_work(side, pkts, burst);
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
				side_work(side, pkts, nb);
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

	side->result->probe_tsc[0] = probe(side->control, side->id);
	if (side->nb_ends == 0) {
		side_wait(side);
	} else if (test == TEST_TO_GUEST || test == TEST_TO_HOST) {
		if (sends)
			side_source(side);
		else
			side_sink(side);
	} else if (test == TEST_PING && side->id == SIDE_HOST) {
		side_ping(side);
	} else {
		side_forward(side);
	}
	side->result->probe_tsc[1] = probe(side->control, side->id);
	return 0;
}
