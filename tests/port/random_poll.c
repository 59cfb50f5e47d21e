/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The pollers: random_poll.h.
 *
 * Poller p has the queues of each end whose number, plus p, is even or odd. One of them is a thread
 * that DPDK knows (it has a cache in each mempool), the other is not.
 */

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>

#include <rte_epoll.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_ring.h>

#include "random_flow.h"
#include "random_poll.h"
#include "test_clock.h"

#define MAX_BURST 64u
#define MAX_KEPT 48u
#define RING_SIZE 64u

/* An mbuf that is not freed yet. */
struct kept {
	struct rte_mbuf *mbuf;
	uint32_t sum;        /* of its bytes, which do not change */
	uint32_t generation; /* unless this does, and */
	bool fickle;         /* they are in memory of the device */
};

struct poller {
	pthread_t thread;
	unsigned int number;
	struct random rnd;
	_Atomic uint64_t rounds;
	_Atomic uint32_t nb_kept;
	struct kept kept[MAX_KEPT];
	struct rte_ring *inbox; /* from the other one */
};

static struct poller pollers[RANDOM_NB_POLLERS];
static struct random_end *const *ends;
static atomic_bool quit;
static atomic_bool traffic;
static atomic_bool flush;
static atomic_uint swapped;

/*
 * Mbufs kept
 */

static uint32_t
sum_of(const struct rte_mbuf *mbuf)
{
	uint32_t sum = mbuf->pkt_len;

	for (; mbuf != NULL; mbuf = mbuf->next) {
		const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

		for (uint32_t i = 0; i < mbuf->data_len; i++)
			sum = (sum << 5 | sum >> 27) ^ data[i];
	}
	return sum;
}

/* Take one of those kept, any of them, and look whether it is as it was. @steady: it still is the
 * application's, to be written to. */
static struct rte_mbuf *
kept_take(struct poller *poller, bool *steady)
{
	const uint32_t nb = atomic_load(&poller->nb_kept);
	const uint32_t i = random_below(&poller->rnd, nb);
	const struct kept kept = poller->kept[i];
	/* in any case: its memory must be there */
	const uint32_t sum = sum_of(kept.mbuf);

	*steady = !kept.fickle ||
			(kept.generation % 2 == 0 && kept.generation == random_flow_generation());
	if (*steady && sum != kept.sum)
		random_die("an mbuf of port %u, %u bytes, that was kept has changed",
				kept.mbuf->port, kept.mbuf->pkt_len);
	poller->kept[i] = poller->kept[nb - 1];
	atomic_store(&poller->nb_kept, nb - 1);
	return kept.mbuf;
}

static void
kept_free_one(struct poller *poller)
{
	bool steady;

	rte_pktmbuf_free(kept_take(poller, &steady));
}

/* Done with an mbuf: free it now, later, or have the other one free it. */
static void
dispose(struct poller *poller, struct rte_mbuf *mbuf, uint32_t generation, bool fickle)
{
	const uint32_t nb = atomic_load(&poller->nb_kept);
	const uint32_t what = random_below(&poller->rnd, 8);
	struct rte_ring *to = pollers[RANDOM_NB_POLLERS - 1 - poller->number].inbox;

	if (atomic_load(&flush)) {
		rte_pktmbuf_free(mbuf);
	} else if (what < 2 && nb < MAX_KEPT) {
		poller->kept[nb] = (struct kept){mbuf, sum_of(mbuf), generation, fickle};
		atomic_store(&poller->nb_kept, nb + 1);
	} else if (what != 2 || rte_ring_enqueue(to, mbuf) != 0) {
		rte_pktmbuf_free(mbuf);
	}
}

static void
let_go(struct poller *poller)
{
	struct rte_mbuf *mbufs[RING_SIZE];
	unsigned int nb =
			rte_ring_dequeue_burst(poller->inbox, (void **)mbufs, RTE_DIM(mbufs), NULL);

	rte_pktmbuf_free_bulk(mbufs, nb);
	if (atomic_load(&flush))
		while (atomic_load(&poller->nb_kept) > 0)
			kept_free_one(poller);
	else if (atomic_load(&poller->nb_kept) > 0 && random_once_in(&poller->rnd, 4))
		kept_free_one(poller);
}

/*
 * Bursts
 */

static uint32_t
random_size(struct random *rnd, uint32_t max)
{
	switch (random_below(rnd, 16)) {
	case 0:
		return RANDOM_MIN_PKT + random_below(rnd, max + 1 - RANDOM_MIN_PKT);
	case 1:
		return max - random_below(rnd, 8);
	case 2:
	case 3: /* around the end of a buffer */
		return RTE_MIN(2040 + random_below(rnd, 16), max);
	default:
		return RANDOM_MIN_PKT + random_below(rnd, 300);
	}
}

/* May its bytes be changed, or does somebody else have them, too? */
static bool
is_sole(const struct rte_mbuf *mbuf)
{
	for (; mbuf != NULL; mbuf = mbuf->next)
		if (rte_mbuf_refcnt_read(mbuf) != 1 || RTE_MBUF_CLONED(mbuf) ||
				(RTE_MBUF_HAS_EXTBUF(mbuf) &&
						rte_mbuf_ext_refcnt_read(mbuf->shinfo) != 1))
			return false;
	return true;
}

/* A packet in mbufs that have been received, at this end or the other, with more or less in front
 * than they had; or NULL. */
static struct rte_mbuf *
remake(struct poller *poller, const struct random_end *from, struct random_packet *packet)
{
	const uint32_t front = random_below(&poller->rnd, 64);
	bool steady;
	struct rte_mbuf *mbuf = kept_take(poller, &steady);

	if (!steady || !is_sole(mbuf)) {
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	if (random_once_in(&poller->rnd, 2))
		rte_pktmbuf_prepend(mbuf, (uint16_t)front);
	else if (mbuf->data_len > front)
		rte_pktmbuf_adj(mbuf, (uint16_t)front);
	/* the host looks for what makes a flow in the first segment */
	if (mbuf->data_len < RANDOM_MIN_PKT || mbuf->pkt_len > from->max_pkt) {
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	packet->size = mbuf->pkt_len;
	random_flow_remake(&poller->rnd, from, packet, mbuf);
	return mbuf;
}

/* A packet, as it is or as a clone of one that is kept. */
static struct rte_mbuf *
make(struct poller *poller, const struct random_end *from, struct random_packet *packet)
{
	const bool own = from->own_pool != NULL && random_once_in(&poller->rnd, 3);
	struct rte_mbuf *mbuf = NULL;
	struct rte_mbuf *clone;

	if (atomic_load(&poller->nb_kept) > 0 && random_once_in(&poller->rnd, 3))
		mbuf = remake(poller, from, packet);
	if (mbuf == NULL) {
		packet->size = random_size(&poller->rnd, from->max_pkt);
		mbuf = random_flow_make(
				&poller->rnd, from, own ? from->own_pool : from->pool, packet);
	}
	if (mbuf == NULL || !random_once_in(&poller->rnd, 16))
		return mbuf;
	clone = rte_pktmbuf_clone(mbuf, from->pool);
	if (clone == NULL)
		return mbuf;
	clone->ol_flags |= mbuf->ol_flags & RTE_MBUF_F_TX_VLAN;
	clone->vlan_tci = mbuf->vlan_tci;
	/* what it lies in may be a buffer that was received */
	dispose(poller, mbuf, random_flow_generation(), true);
	return clone;
}

/* Send a burst of one of the queue's flows. Returns the number sent. */
static uint32_t
send_some(struct poller *poller, const struct random_end *from, uint16_t queue)
{
	const uint32_t nb_flows = (RANDOM_NB_FLOWS - queue + from->nb_txq - 1) / from->nb_txq;
	const uint16_t want = (uint16_t)(1 + random_below(&poller->rnd, MAX_BURST));
	struct rte_mbuf *pkts[MAX_BURST];
	struct random_packet packet;
	uint16_t sent;

	packet.flow = queue + from->nb_txq * random_below(&poller->rnd, nb_flows);
	packet.era = random_flow_begin(from->side, packet.flow);
	for (packet.index = 0; packet.index < want; packet.index++) {
		pkts[packet.index] = make(poller, from, &packet);
		if (pkts[packet.index] == NULL)
			break;
	}
	sent = rte_eth_tx_burst(from->port_id, queue, pkts, (uint16_t)packet.index);
	if (sent > packet.index)
		random_die("%s: queue %u: %u packets sent of %u", from->name, queue, sent,
				packet.index);
	random_flow_sent(from->side, packet.flow, sent);
	rte_pktmbuf_free_bulk(pkts + sent, packet.index - sent);
	return sent;
}

static uint32_t
receive(struct poller *poller, const struct random_end *to, uint16_t queue)
{
	const uint16_t want = (uint16_t)(1 + random_below(&poller->rnd, MAX_BURST));
	const uint32_t generation = random_flow_generation();
	struct rte_mbuf *pkts[MAX_BURST];
	const uint16_t nb = rte_eth_rx_burst(to->port_id, queue, pkts, want);

	if (nb > want)
		random_die("%s: queue %u: %u packets received, not %u at most", to->name, queue, nb,
				want);
	for (uint16_t i = 0; i < nb; i++)
		random_flow_check(to, queue, pkts[i]);
	for (uint16_t i = 0; i < nb; i++)
		dispose(poller, pkts[i], generation, to->side == SIDE_GUEST);
	return nb;
}

static uint32_t
poll_end(struct poller *poller, const struct random_end *end)
{
	const uint16_t first = (poller->number + atomic_load(&swapped)) % RANDOM_NB_POLLERS;
	uint32_t nb = 0;

	for (uint16_t q = first; q < end->nb_rxq; q += RANDOM_NB_POLLERS)
		if (!atomic_load(&end->no_rx) && (end->stopped_rxqs & RTE_BIT32(q)) == 0)
			nb += receive(poller, end, q);
	for (uint16_t q = first; q < end->nb_txq; q += RANDOM_NB_POLLERS) {
		if ((end->stopped_txqs & RTE_BIT32(q)) != 0)
			continue;
		if (atomic_load(&traffic) && !atomic_load(&end->no_tx) &&
				random_once_in(&poller->rnd, 2))
			nb += send_some(poller, end, q);
		else
			/* what the other end has returned */
			rte_eth_tx_burst(end->port_id, q, NULL, 0);
	}
	return nb;
}

/* Wait for a packet on one of the queues, but not for long. */
static void
sleep_at(struct poller *poller, const struct random_end *end)
{
	const uint16_t first = (poller->number + atomic_load(&swapped)) % RANDOM_NB_POLLERS;
	struct rte_epoll_event event;
	int ret;

	if (first >= end->nb_rxq || (end->stopped_rxqs & RTE_BIT32(first)) != 0)
		return;
	ret = rte_eth_dev_rx_intr_ctl_q(
			end->port_id, first, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL);
	if (ret != 0)
		random_die("%s: queue %u: interrupt: %s", end->name, first, rte_strerror(-ret));
	/* detached, or gone, it cannot be enabled */
	if (rte_eth_dev_rx_intr_enable(end->port_id, first) == 0) {
		rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 1);
		rte_eth_dev_rx_intr_disable(end->port_id, first);
	}
	ret = rte_eth_dev_rx_intr_ctl_q(
			end->port_id, first, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL, NULL);
	if (ret != 0)
		random_die("%s: queue %u: end of interrupt: %s", end->name, first,
				rte_strerror(-ret));
}

static void *
poller_main(void *arg)
{
	struct poller *poller = arg;
	struct rte_epoll_event event;

	if (poller->number == 0 && rte_thread_register() != 0)
		random_die("a thread cannot be made known to the EAL");
	/* the thread's descriptor for sleeping is made now, not later */
	rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 0);
	while (!atomic_load(&quit)) {
		uint32_t nb = 0;

		for (int side = 0; side < NB_SIDES; side++) {
			if (!atomic_load(&ends[side]->polled))
				continue;
			nb += poll_end(poller, ends[side]);
			if (ends[side]->sleeps && random_once_in(&poller->rnd, 16))
				sleep_at(poller, ends[side]);
		}
		let_go(poller);
		random_watch();
		atomic_fetch_add(&poller->rounds, 1);
		if (nb == 0)
			random_nap();
		else
			sched_yield();
	}
	if (poller->number == 0)
		rte_thread_unregister();
	return NULL;
}

/*
 * What the operations thread wants of them
 */

void
random_poll_start(struct random_end *the_ends[NB_SIDES], uint64_t seed)
{
	static struct random_end *copy[NB_SIDES];

	for (int side = 0; side < NB_SIDES; side++)
		copy[side] = the_ends[side];
	ends = copy;
	for (unsigned int i = 0; i < RANDOM_NB_POLLERS; i++) {
		struct poller *poller = &pollers[i];

		poller->number = i;
		random_seed(&poller->rnd, seed, 1 + i);
		poller->inbox = rte_ring_create(
				i == 0 ? "random0" : "random1", RING_SIZE, SOCKET_ID_ANY, 0);
		if (poller->inbox == NULL)
			random_die("no ring");
	}
	for (unsigned int i = 0; i < RANDOM_NB_POLLERS; i++)
		if (pthread_create(&pollers[i].thread, NULL, poller_main, &pollers[i]) != 0)
			random_die("no thread");
}

void
random_poll_stop(void)
{
	random_poll_traffic(false);
	random_poll_flush(true);
	atomic_store(&quit, true);
	for (unsigned int i = 0; i < RANDOM_NB_POLLERS; i++)
		pthread_join(pollers[i].thread, NULL);
	for (unsigned int i = 0; i < RANDOM_NB_POLLERS; i++)
		rte_ring_free(pollers[i].inbox);
}

void
random_poll_pass(void)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;

	for (unsigned int i = 0; i < RANDOM_NB_POLLERS; i++) {
		const uint64_t round = atomic_load(&pollers[i].rounds);

		while (atomic_load(&pollers[i].rounds) == round) {
			if (test_now_ms() > limit)
				random_die("poller %u has not come round in %u ms", i,
						RANDOM_LIMIT_MS);
			random_nap();
		}
	}
}

void
random_poll_park(struct random_end *end)
{
	if (!atomic_load(&end->polled))
		return;
	atomic_store(&end->polled, false);
	random_poll_pass();
}

void
random_poll_unpark(struct random_end *end)
{
	atomic_store(&end->polled, true);
}

void
random_poll_traffic(bool on)
{
	atomic_store(&traffic, on);
	if (!on)
		random_poll_pass();
}

void
random_poll_flush(bool on)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;

	atomic_store(&flush, on);
	for (unsigned int i = 0; on && i < RANDOM_NB_POLLERS; i++) {
		/* the first pass may fill the inbox of one that has been */
		random_poll_pass();
		while (atomic_load(&pollers[i].nb_kept) > 0 || !rte_ring_empty(pollers[i].inbox)) {
			if (test_now_ms() > limit)
				random_die("poller %u keeps %u mbufs", i,
						atomic_load(&pollers[i].nb_kept));
			random_nap();
		}
	}
}

void
random_poll_swap(void)
{
	atomic_fetch_xor(&swapped, 1);
}
