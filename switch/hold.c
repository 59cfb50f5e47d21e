/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packets kept for a VM that moves: the worker's side. How it works is told in hold.h.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_random.h>

#include "egress.h"
#include "forward.h"
#include "hold.h"
#include "hold_queue.h"

/** Bursts of one queue in one round: new packets are polled between. */
#define DRAIN_BURSTS 4u
#define MULTICAST_BIT UINT64_C(0x01)

enum {
	QUEUE_FIRST,
	QUEUE_REST,
	NB_QUEUES,
};

/** One worker's; the atomics are for the control thread to read. */
struct hold_worker {
	struct hold_queue queues[NB_QUEUES];
	_Atomic uint64_t nb_pkts;
	_Atomic uint64_t nb_bytes;
	_Atomic uint64_t nb_dropped;
	_Atomic uint64_t oldest_tsc; /* when there are packets */
} __rte_cache_aligned;

struct hold {
	struct hold_conf conf;
	unsigned int nb_workers;
	struct hold_worker workers[];
};

/** Where a packet goes. */
enum verdict {
	VERDICT_WAIT,
	VERDICT_SEND,
	VERDICT_FORGET, /* others have had it */
	VERDICT_UNKNOWN,
};

/* Whom packets come from that were held: nobody's guest can write them any more. */
static const struct dp_port nowhere = {.id = UINT16_MAX - 1};

struct hold *
hold_create(struct hold_memory *memory, unsigned int nb_workers, uint64_t limit_ms)
{
	struct hold *hold = rte_zmalloc("hold",
			sizeof(*hold) + nb_workers * sizeof(hold->workers[0]), RTE_CACHE_LINE_SIZE);

	if (hold == NULL)
		return NULL;
	hold->nb_workers = nb_workers;
	atomic_init(&hold->conf.limit_tsc, limit_ms * (rte_get_tsc_hz() / 1000));
	atomic_init(&hold->conf.rest_open, true);
	atomic_init(&hold->conf.first_port, FDB_ANY);
	for (unsigned int i = 0; i < HOLD_MARKER_SIZE; i += sizeof(uint64_t)) {
		uint64_t random = rte_rand();

		memcpy(hold->conf.marker + i, &random, sizeof(random));
	}
	for (unsigned int w = 0; w < nb_workers; w++)
		for (unsigned int q = 0; q < NB_QUEUES; q++)
			hold_queue_init(&hold->workers[w].queues[q], memory);
	return hold;
}

uint64_t
hold_destroy(struct hold *hold)
{
	uint64_t nb_lost = 0;

	if (hold == NULL)
		return 0;
	for (unsigned int w = 0; w < hold->nb_workers; w++) {
		for (unsigned int q = 0; q < NB_QUEUES; q++) {
			nb_lost += hold->workers[w].queues[q].nb_pkts;
			hold_queue_clear(&hold->workers[w].queues[q]);
		}
	}
	rte_free(hold);
	return nb_lost;
}

struct hold_conf *
hold_conf(struct hold *hold)
{
	return &hold->conf;
}

static uint64_t
get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void
set(_Atomic uint64_t *value, uint64_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

void
hold_sum(const struct hold *hold, struct hold_sum *sum)
{
	uint64_t now_tsc = rte_get_tsc_cycles();
	uint64_t oldest_tsc = now_tsc;

	*sum = (struct hold_sum){0};
	for (unsigned int w = 0; w < hold->nb_workers; w++) {
		const struct hold_worker *worker = &hold->workers[w];

		sum->packets += get(&worker->nb_pkts);
		sum->bytes += get(&worker->nb_bytes);
		sum->dropped += get(&worker->nb_dropped);
		if (get(&worker->nb_pkts) != 0)
			oldest_tsc = RTE_MIN(oldest_tsc, get(&worker->oldest_tsc));
	}
	sum->oldest_ms = (now_tsc - oldest_tsc) / (rte_get_tsc_hz() / 1000);
}

bool
hold_is_empty(const struct hold *hold)
{
	for (unsigned int w = 0; w < hold->nb_workers; w++)
		if (get(&hold->workers[w].nb_pkts) != 0)
			return false;
	return true;
}

/* Tell the control thread what there is. */
static void
publish(struct hold_worker *worker)
{
	uint64_t oldest_tsc = UINT64_MAX;
	uint64_t nb_pkts = 0;
	uint64_t nb_bytes = 0;

	for (unsigned int q = 0; q < NB_QUEUES; q++) {
		const struct hold_queue *queue = &worker->queues[q];
		struct hold_cursor cursor = hold_queue_begin(queue);
		const struct hold_record *record = hold_queue_next(queue, &cursor);

		nb_pkts += queue->nb_pkts;
		nb_bytes += queue->nb_bytes;
		if (record != NULL)
			oldest_tsc = RTE_MIN(oldest_tsc, record->time_tsc);
	}
	set(&worker->oldest_tsc, oldest_tsc);
	set(&worker->nb_bytes, nb_bytes);
	set(&worker->nb_pkts, nb_pkts);
}

static void
count_lost(struct forward *fwd, const struct dp_port *out, struct hold_worker *worker, uint64_t nb)
{
	if (nb == 0)
		return;
	stats_add(&worker->nb_dropped, nb);
	stats_add(&out->state->stats[fwd->worker].drops[STATS_DROP_TX_HOLD_OVERFLOW], nb);
}

static enum hold_mode
mode_of(struct hold *hold)
{
	/* Pairs with the release in port_hold.c: what was changed before the mode is seen. */
	return atomic_load_explicit(&hold->conf.mode, memory_order_acquire);
}

/* Where does a packet for @dst go that is held at @out? */
static enum verdict
decide(struct forward *fwd, const struct dp_port *out, uint64_t dst, uint16_t vid,
		const struct dp_port **target)
{
	enum hold_mode mode = mode_of(out->hold);
	uint64_t key = fdb_key(dst, vid);
	struct fdb_entry *entry;
	uint16_t id;

	if ((dst & MULTICAST_BIT) != 0 && mode == HOLD_GONE)
		return VERDICT_FORGET;
	*target = out;
	if ((dst & MULTICAST_BIT) == 0) {
		fdb_lookup(fwd->fdb, fwd->worker, &key, 1, &entry);
		if (entry != NULL) {
			id = fdb_entry_next(entry);
			if (id == FDB_ANY)
				id = fdb_entry_port(entry);
			*target = fwd->view->by_id[id];
		} else if (mode == HOLD_GONE) {
			return VERDICT_UNKNOWN;
		}
	}
	if (*target == out)
		return mode == HOLD_OPEN || mode == HOLD_PASS ? VERDICT_SEND : VERDICT_WAIT;
	if (*target == NULL)
		return VERDICT_WAIT;
	if (!vlan_is_member(&(*target)->vlan, vid))
		return VERDICT_UNKNOWN;
	return forward_has_link(*target) || (*target)->hold != NULL ? VERDICT_SEND : VERDICT_WAIT;
}

/* Is it the marker of this hold, come back? @payload: what follows the Ethernet header. */
static bool
is_marker(const struct hold *hold, const struct rte_ether_hdr *eth, const void *payload,
		uint32_t pkt_len)
{
	return eth->ether_type == RTE_BE16(HOLD_MARKER_TYPE) &&
			pkt_len >= sizeof(*eth) + HOLD_MARKER_SIZE &&
			memcmp(payload, hold->conf.marker, HOLD_MARKER_SIZE) == 0;
}

static bool
is_marker_pkt(const struct hold *hold, const struct forward_pkt *pkt)
{
	uint8_t room[HOLD_MARKER_SIZE];
	const void *payload = rte_pktmbuf_read(pkt->mbuf, pkt->l2_len, sizeof(room), room);

	return payload != NULL && is_marker(hold, &pkt->eth, payload, pkt->mbuf->pkt_len);
}

/* All that came before the marker is with the guest: the rest may follow. */
static void
marker_is_back(struct hold *hold)
{
	/* Pairs with the acquire in queue_may_go(). */
	atomic_store_explicit(&hold->conf.rest_open, true, memory_order_release);
}

static bool
queue_may_go(struct hold *hold, unsigned int q)
{
	return q == QUEUE_FIRST ||
			atomic_load_explicit(&hold->conf.rest_open, memory_order_acquire);
}

/* Copy a packet to the end of a queue. Floods go by the second, whoever they come from: some may be
 * there from before there was a first port. */
static void
keep(struct forward *fwd, const struct forward_pkt *pkt, const struct dp_port *out,
		struct hold_worker *worker, struct hold_queue *queue)
{
	uint32_t rest = pkt->mbuf->pkt_len - pkt->l2_len;
	uint64_t nb_lost = 0;
	struct hold_record *record = hold_queue_add(queue, sizeof(pkt->eth) + rest, &nb_lost);
	uint8_t *data;
	const void *payload;

	if (record == NULL) {
		count_lost(fwd, out, worker, nb_lost + 1);
		return;
	}
	record->time_tsc = rte_get_tsc_cycles();
	record->tci = pkt->tci;
	record->has_rss = (pkt->mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0;
	record->rss = pkt->mbuf->hash.rss;
	data = hold_record_data(record);
	memcpy(data, &pkt->eth, sizeof(pkt->eth));
	data += sizeof(pkt->eth);
	payload = rte_pktmbuf_read(pkt->mbuf, pkt->l2_len, rest, data);
	if (payload != data && rest > 0)
		memcpy(data, payload, rest);
	count_lost(fwd, out, worker, nb_lost);
}

void
hold_put(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in,
		const struct dp_port *out)
{
	struct hold *hold = out->hold;
	struct hold_worker *worker = &hold->workers[fwd->worker];
	uint64_t dst = fdb_mac(pkt->eth.dst_addr.addr_bytes);
	bool is_first = in->id ==
					atomic_load_explicit(&hold->conf.first_port,
							memory_order_relaxed) &&
			(dst & MULTICAST_BIT) == 0;
	unsigned int q = is_first ? QUEUE_FIRST : QUEUE_REST;
	const struct dp_port *target;

	if (is_first)
		set(&hold->conf.first_tsc, rte_get_tsc_cycles());
	if (worker->queues[q].nb_pkts == 0 && queue_may_go(hold, q)) {
		enum verdict verdict = decide(fwd, out, dst, pkt->tci & VLAN_ID_MASK, &target);

		if (verdict == VERDICT_SEND && target == out && is_first &&
				is_marker_pkt(hold, pkt)) {
			marker_is_back(hold);
			rte_pktmbuf_free(pkt->mbuf);
			return;
		}
		/* What the other node has held comes at once: it waits until the guest takes it. */
		if (verdict == VERDICT_SEND &&
				(target == out ? mode_of(hold) == HOLD_PASS
					       : forward_has_link(target))) {
			forward_send(fwd, pkt, 1, in, target);
			return;
		}
		if (verdict == VERDICT_SEND && target != out && target->hold != NULL) {
			hold_put(fwd, pkt, in, target);
			return;
		}
	}
	keep(fwd, pkt, out, worker, &worker->queues[q]);
	rte_pktmbuf_free(pkt->mbuf);
	publish(worker);
}

bool
hold_came_back(const struct forward *fwd, const struct dp_port *in,
		struct fdb_entry *const entries[2])
{
	const struct dp_port *out;

	if (entries[1] == NULL || (entries[0] != NULL && fdb_entry_port(entries[0]) == in->id))
		return false;
	out = fwd->view->by_id[fdb_entry_port(entries[1])];
	return out != NULL && out->hold != NULL &&
			atomic_load_explicit(&out->hold->conf.first_port, memory_order_relaxed) ==
			in->id;
}

bool
hold_wants_flood(const struct dp_port *out, const struct forward_pkt *pkt)
{
	return out->hold != NULL && mode_of(out->hold) != HOLD_GONE &&
			(pkt->eth.dst_addr.addr_bytes[0] & MULTICAST_BIT) != 0;
}

/* An mbuf, or several, with the bytes of a record. NULL without memory. */
static struct rte_mbuf *
make_mbuf(struct rte_mempool *pool, struct hold_record *record)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);
	const uint8_t *data = hold_record_data(record);
	uint32_t left = record->pkt_len;
	struct rte_mbuf *seg = head;

	while (seg != NULL) {
		uint16_t len = RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(seg));

		memcpy(rte_pktmbuf_mtod(seg, void *), data, len);
		seg->data_len = len;
		head->pkt_len += len;
		data += len;
		left -= len;
		if (left == 0)
			break;
		seg->next = rte_pktmbuf_alloc(pool);
		seg = seg->next;
		head->nb_segs++;
		if (seg == NULL) {
			head->nb_segs--;
			rte_pktmbuf_free(head);
			return NULL;
		}
	}
	if (head != NULL && record->has_rss) {
		head->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		head->hash.rss = record->rss;
	}
	return head;
}

/** What is about to leave a queue: packets for one port, from the oldest on. */
struct departure {
	const struct dp_port *target;
	uint16_t nb;
	struct rte_mbuf *mbufs[FORWARD_BURST];
};

/* What a look at a record comes to. */
enum step {
	STEP_ADDED, /* it is in the departure */
	STEP_TAKE,  /* it is done with: take it out */
	STEP_STOP,
};

static void
read_record(struct hold_record *record, struct forward_pkt *pkt)
{
	memcpy(&pkt->eth, hold_record_data(record), sizeof(pkt->eth));
	pkt->tci = record->tci;
	pkt->l2_len = sizeof(pkt->eth);
	pkt->guest_writable = false;
}

/*
 * Look at the next record. Only the oldest may be dealt with in another way than by sending it:
 * else the departure ends before it.
 */
static enum step
look_at(struct forward *fwd, const struct dp_port *out, unsigned int q, struct hold_record *record,
		struct departure *departure)
{
	struct hold *hold = out->hold;
	struct hold_worker *worker = &hold->workers[fwd->worker];
	bool is_oldest = departure->nb == 0;
	const struct dp_port *target;
	struct forward_pkt pkt;
	enum stats_drop drop;
	enum verdict verdict;

	read_record(record, &pkt);
	verdict = decide(fwd, out, fdb_mac(pkt.eth.dst_addr.addr_bytes), pkt.tci & VLAN_ID_MASK,
			&target);
	if (verdict == VERDICT_WAIT)
		return STEP_STOP;
	if (verdict != VERDICT_SEND) {
		if (is_oldest && verdict == VERDICT_UNKNOWN)
			count_lost(fwd, out, worker, 1);
		return is_oldest ? STEP_TAKE : STEP_STOP;
	}
	if (target == out && q == QUEUE_FIRST &&
			is_marker(hold, &pkt.eth, hold_record_data(record) + sizeof(pkt.eth),
					record->pkt_len)) {
		if (is_oldest)
			marker_is_back(hold);
		return is_oldest ? STEP_TAKE : STEP_STOP;
	}
	if (!is_oldest && target != departure->target)
		return STEP_STOP;
	if (target != out && !forward_has_link(target) && !is_oldest)
		return STEP_STOP;
	pkt.mbuf = make_mbuf(fwd->pool, record);
	if (pkt.mbuf == NULL)
		return STEP_STOP;
	if (target != out && !forward_has_link(target)) {
		hold_put(fwd, &pkt, &nowhere, target);
		return STEP_TAKE;
	}
	drop = egress_prepare(fwd->pool, &pkt, &nowhere, target, &departure->mbufs[departure->nb]);
	if (drop != STATS_DROP_NONE) {
		if (is_oldest)
			forward_count_drop(fwd, target, drop, 1);
		return is_oldest ? STEP_TAKE : STEP_STOP;
	}
	departure->target = target;
	departure->nb++;
	return STEP_ADDED;
}

/* Forget or drop what is too old. */
static void
expire(struct forward *fwd, const struct dp_port *out, struct hold_worker *worker,
		struct hold_queue *queue, uint64_t now_tsc)
{
	const struct hold_conf *conf = &out->hold->conf;
	uint64_t since_tsc = get(&conf->since_tsc);
	uint64_t limit_tsc = get(&conf->limit_tsc);
	uint64_t nb_lost = 0;

	for (;;) {
		struct hold_cursor cursor = hold_queue_begin(queue);
		const struct hold_record *record = hold_queue_next(queue, &cursor);

		if (record == NULL)
			break;
		if (record->time_tsc >= since_tsc) {
			if (now_tsc < record->time_tsc + limit_tsc)
				break;
			nb_lost++;
		}
		hold_queue_take(queue);
	}
	count_lost(fwd, out, worker, nb_lost);
}

/* One burst of a queue. Returns the number of packets that moved; @go_on: there may be more. */
static unsigned int
drain_burst(struct forward *fwd, const struct dp_port *out, unsigned int q, bool *go_on)
{
	struct hold_queue *queue = &out->hold->workers[fwd->worker].queues[q];
	struct hold_cursor cursor = hold_queue_begin(queue);
	struct departure departure = {0};
	enum step step = STEP_ADDED;
	struct hold_record *record;
	uint16_t sent;

	while (step == STEP_ADDED && departure.nb < FORWARD_BURST) {
		record = hold_queue_next(queue, &cursor);
		step = record != NULL ? look_at(fwd, out, q, record, &departure) : STEP_STOP;
	}
	if (step == STEP_TAKE) {
		hold_queue_take(queue);
		return 1;
	}
	*go_on = false;
	if (departure.nb == 0)
		return 0;
	sent = forward_tx(fwd, departure.target, departure.mbufs, departure.nb);
	rte_pktmbuf_free_bulk(departure.mbufs + sent, departure.nb - sent);
	for (uint16_t i = 0; i < sent; i++)
		hold_queue_take(queue);
	*go_on = sent == departure.nb;
	return sent;
}

/* Returns how many packets moved, or 1 when there are some that may go. */
static unsigned int
drain_port(struct forward *fwd, const struct dp_port *out, uint64_t now_tsc)
{
	struct hold_worker *worker = &out->hold->workers[fwd->worker];
	bool may_go = mode_of(out->hold) != HOLD_KEEP;
	unsigned int nb = 0;

	if (get(&worker->nb_pkts) == 0)
		return 0;
	for (unsigned int q = 0; q < NB_QUEUES; q++) {
		bool go_on = queue_may_go(out->hold, q);

		expire(fwd, out, worker, &worker->queues[q], now_tsc);
		for (unsigned int i = 0; go_on && i < DRAIN_BURSTS * FORWARD_BURST;
				i += FORWARD_BURST)
			nb += drain_burst(fwd, out, q, &go_on);
	}
	publish(worker);
	return nb == 0 && may_go && get(&worker->nb_pkts) != 0 ? 1 : nb;
}

unsigned int
hold_drain(struct forward *fwd)
{
	uint64_t now_tsc = rte_get_tsc_cycles();
	unsigned int nb = 0;

	for (uint16_t i = 0; i < fwd->view->nb_holds; i++)
		nb += drain_port(fwd, fwd->view->holds[i], now_tsc);
	return nb;
}
