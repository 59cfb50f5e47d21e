/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive: packets of the queue's rx FIFOs into mbufs, by copy or, with "recycle", by pointer.
 *
 * How it works
 * A burst serves all FIFOs of the queue, each time beginning with the next one, and gives each its
 * share of the burst before any gets more. From one FIFO it looks at up to AVPG_BURST packets in
 * four passes: prefetch the descriptors; fetch and check them (rx_pkt_fetch), prefetch the data;
 * drop what is not for this station, and allocate mbufs for the rest; copy. Only then are the
 * entries taken from the rx FIFO and the buffers given back: when mbufs run out, packets stay where
 * they are. There is always room on the free FIFO, because no more packets are looked at than it
 * has room for.
 *
 * By pointer the third and fourth pass are others: find the slots of the buffers and fetch their
 * mbufs (avpg_recycle.h); hand these out. Only packets that are dropped or copied, because the
 * application holds many, go back on the free FIFO at once; those that it has freed do so at the
 * beginning of a burst. Each buffer of a chain is then given back by itself.
 *
 * The host may change descriptors and data at any time. What matters for memory safety is fetched
 * once, in rx_pkt_fetch(), and used from the copy.
 */

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "avp_vlan.h"
#include "avpg_port.h"
#include "avpg_recycle.h"

/* A packet as checked: all of it lies in BAR 2. */
struct rx_pkt {
	uint64_t label[AVP_MAX_SEGS]; /* of the segments' buffers, to give back */
	const uint8_t *seg[AVP_MAX_SEGS];
	uint16_t seg_len[AVP_MAX_SEGS];
	uint16_t pkt_len;
	uint16_t vlan_tci;
	uint16_t nb_mbufs; /* that a copy takes */
	uint8_t nb_segs;
	uint8_t nb_labels; /* of segments that exist, if one of them is bad; at least the head's */
	uint8_t drop;      /* enum avpg_rx_drop */
	bool vlan;         /* the device has stripped a tag */
	uint32_t idx[AVP_MAX_SEGS]; /* numbers of the buffers; by pointer only */
};

/* One segment. Returns its descriptor's next label, or sets pkt->drop. */
static inline uint64_t
rx_seg_fetch(const struct avpg_mem *mem, struct rx_pkt *pkt, const struct avp_desc *desc)
{
	uint16_t data_len = AVPG_FETCH(&desc->data_len);
	const uint8_t *data = avpg_mem_at(mem, AVPG_FETCH(&desc->data_va), data_len);

	if (unlikely(data == NULL))
		pkt->drop = AVPG_RX_BAD_SEGMENT;
	pkt->seg[pkt->nb_segs] = data;
	pkt->seg_len[pkt->nb_segs] = data_len;
	pkt->nb_segs++;
	return AVPG_FETCH(&desc->next_va);
}

/* The segments after the first: as many as announced, then none. */
static __rte_noinline void
rx_chain_fetch(const struct avpg_mem *mem, struct rx_pkt *pkt, uint8_t nb_segs, uint64_t next_va)
{
	uint32_t sum = pkt->seg_len[0];

	if (nb_segs == 0 || nb_segs > AVP_MAX_SEGS) {
		pkt->drop = AVPG_RX_BAD_CHAIN;
		return;
	}
	while (pkt->nb_segs < nb_segs && next_va != 0) {
		const struct avp_desc *desc = avpg_desc_at(mem, next_va);

		if (desc == NULL) {
			pkt->drop = AVPG_RX_BAD_SEGMENT;
			return;
		}
		pkt->label[pkt->nb_labels++] = next_va;
		next_va = rx_seg_fetch(mem, pkt, desc);
		if (pkt->drop != AVPG_RX_OK)
			return;
		sum += pkt->seg_len[pkt->nb_segs - 1];
	}
	if (pkt->nb_segs != nb_segs || next_va != 0)
		pkt->drop = AVPG_RX_BAD_CHAIN;
	else if (sum != pkt->pkt_len)
		pkt->drop = AVPG_RX_BAD_LEN;
}

/* The packet with label pkt->label[0]: fetch all that matters, once, and check it. */
static inline void
rx_pkt_fetch(const struct avpg_rxq *q, struct rx_pkt *pkt)
{
	const struct avp_desc *desc = avpg_desc_at(&q->mem, pkt->label[0]);
	uint64_t next_va;
	uint8_t nb_segs;

	pkt->drop = AVPG_RX_OK;
	pkt->nb_segs = 0;
	pkt->nb_labels = 1;
	if (unlikely(desc == NULL)) {
		pkt->drop = AVPG_RX_BAD_LABEL;
		return;
	}
	nb_segs = AVPG_FETCH(&desc->nb_segs);
	pkt->pkt_len = AVPG_FETCH(&desc->pkt_len);
	pkt->vlan = (AVPG_FETCH(&desc->ol_flags) & AVP_DESC_RX_VLAN) != 0;
	pkt->vlan_tci = AVPG_FETCH(&desc->vlan_tci);
	next_va = rx_seg_fetch(&q->mem, pkt, desc);
	if (unlikely(pkt->drop != AVPG_RX_OK))
		return;
	if (unlikely(pkt->pkt_len < AVP_MIN_PKT_SIZE))
		pkt->drop = AVPG_RX_TOO_SHORT;
	else if (unlikely(pkt->pkt_len > q->max_rx_size))
		pkt->drop = AVPG_RX_TOO_LONG;
	else if (unlikely(nb_segs != 1 || next_va != 0))
		rx_chain_fetch(&q->mem, pkt, nb_segs, next_va);
	else if (unlikely(pkt->seg_len[0] != pkt->pkt_len))
		pkt->drop = AVPG_RX_BAD_LEN;
	if (likely(pkt->drop == AVPG_RX_OK))
		avp_prefetch_write(pkt->seg[0]);
}

/* Is it for us? The device knows nothing of addresses. */
static inline enum avpg_rx_drop
rx_filter(const struct avpg_rxq *q, const struct rx_pkt *pkt)
{
	struct rte_ether_addr dst;

	/* with 14 bytes at least, a first segment of less than 6 is odd, not impossible */
	if (unlikely(pkt->seg_len[0] < sizeof(dst)))
		return AVPG_RX_OK;
	memcpy(&dst, pkt->seg[0], sizeof(dst));
	if (likely(!rte_is_multicast_ether_addr(&dst)))
		return rte_is_same_ether_addr(&dst, &q->mac) ? AVPG_RX_OK : AVPG_RX_OTHER_MAC;
	return avpg_filter_group(q->port, &dst) ? AVPG_RX_OK : AVPG_RX_OTHER_GROUP;
}

/* How many mbufs the packet takes. Sizes are such that this is a short loop, or none. */
static inline uint16_t
rx_nb_mbufs(const struct avpg_rxq *q, const struct rx_pkt *pkt)
{
	uint32_t left = pkt->pkt_len;
	uint16_t nb = 1;

	for (; unlikely(left > q->mbuf_room); left -= q->mbuf_room)
		nb++;
	return nb;
}

/*
 * Allocate mbufs for as many of the @nb packets as possible, in one go.
 *
 * Returns the number of packets that can be taken, dropped ones included.
 */
static inline uint16_t
rx_alloc(struct avpg_rxq *q, const struct rx_pkt *pkts, uint16_t nb, struct rte_mbuf **mbufs)
{
	while (nb > 0) {
		uint32_t total = 0;
		uint16_t i;

		for (i = 0; i < nb && total + pkts[i].nb_mbufs <= AVPG_BURST_MBUFS; i++)
			total += pkts[i].nb_mbufs;
		nb = i;
		if (total == 0 || likely(rte_pktmbuf_alloc_bulk(q->pool, mbufs, total) == 0))
			return nb;
		nb /= 2;
	}
	q->stats.no_mbuf++;
	return 0;
}

/* Copy a packet of several segments, or larger than an mbuf. */
static __rte_noinline void
rx_copy_scattered(const struct avpg_rxq *q, const struct rx_pkt *pkt, struct rte_mbuf **mbufs)
{
	uint32_t left = pkt->pkt_len;
	uint32_t seg = 0;
	uint32_t seg_off = 0;

	for (uint16_t i = 0; i < pkt->nb_mbufs; i++) {
		struct rte_mbuf *m = mbufs[i];
		uint32_t want = RTE_MIN(left, q->mbuf_room);
		uint8_t *dst = rte_pktmbuf_mtod(m, uint8_t *);

		m->data_len = (uint16_t)want;
		m->next = i + 1 < pkt->nb_mbufs ? mbufs[i + 1] : NULL;
		left -= want;
		while (want > 0) {
			uint32_t n = RTE_MIN(want, pkt->seg_len[seg] - seg_off);

			rte_memcpy(dst, pkt->seg[seg] + seg_off, n);
			dst += n;
			seg_off += n;
			want -= n;
			if (seg_off == pkt->seg_len[seg]) {
				seg++;
				seg_off = 0;
			}
		}
	}
	mbufs[0]->nb_segs = pkt->nb_mbufs;
}

/* The device left the tag in; take it out of the mbuf, which is nobody else's yet. */
static inline void
rx_vlan_strip(struct rte_mbuf *m)
{
	uint16_t tci;

	if (!avp_vlan_tagged(m, &tci))
		return;
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = tci;
	avp_vlan_remove(m);
}

/* Tell of the tag that the device has stripped, or strip one. */
static inline void
rx_vlan(const struct avpg_rxq *q, const struct rx_pkt *pkt, struct rte_mbuf *m)
{
	if (pkt->vlan) {
		m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		m->vlan_tci = pkt->vlan_tci;
	} else if (q->strip_by_copy) {
		rx_vlan_strip(m);
	}
}

/* Make an mbuf of a packet. */
static inline struct rte_mbuf *
rx_copy(const struct avpg_rxq *q, const struct rx_pkt *pkt, struct rte_mbuf **mbufs)
{
	struct rte_mbuf *m = mbufs[0];

	m->port = q->port_id;
	m->pkt_len = pkt->pkt_len;
	if (likely(pkt->nb_segs == 1 && pkt->nb_mbufs == 1)) {
		m->data_len = pkt->pkt_len;
		rte_memcpy(rte_pktmbuf_mtod(m, void *), pkt->seg[0], pkt->pkt_len);
	} else {
		rx_copy_scattered(q, pkt, mbufs);
	}
	rx_vlan(q, pkt, m);
	return m;
}

/* Look at the next @nb packets of a FIFO: fetch, check, filter. */
static inline void
rx_look(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_pkt *pkts, uint16_t nb)
{
	bool all = atomic_load_explicit(&q->port->promiscuous, memory_order_relaxed);
	uint16_t i;

	for (i = 0; i < nb; i++) {
		pkts[i].label[0] = avp_fifo_at(&fifo->rx, i);
		avp_prefetch_write(avpg_mem_at(&q->mem, pkts[i].label[0], 1));
	}
	for (i = 0; i < nb; i++)
		rx_pkt_fetch(q, &pkts[i]);
	for (i = 0; i < nb; i++) {
		if (likely(pkts[i].drop == AVPG_RX_OK) && !all)
			pkts[i].drop = (uint8_t)rx_filter(q, &pkts[i]);
		pkts[i].nb_mbufs =
				likely(pkts[i].drop == AVPG_RX_OK) ? rx_nb_mbufs(q, &pkts[i]) : 0;
	}
}

/* Fetch what the next burst will look at first, while the application works on this one. */
static inline void
rx_look_ahead(const struct avpg_rxq *q, const struct avpg_rx_fifo *fifo)
{
	const uint32_t nb = RTE_MIN(avp_fifo_known(&fifo->rx), (uint32_t)AVPG_BURST);

	for (uint32_t i = 0; i < nb; i++)
		avp_prefetch_write(avpg_mem_at(&q->mem, avp_fifo_at(&fifo->rx, i), 1));
}

/* Packets that may be taken from a FIFO now, with room for their buffers on the free FIFO. */
static inline uint16_t
rx_fifo_ready(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, uint16_t want)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t avail = avp_fifo_avail(&fifo->rx, want, &fault);
	uint32_t nb = 0;

	if (avail > 0)
		nb = RTE_MIN(RTE_MIN(avail, want), avp_fifo_room(&fifo->free, want, &fault));
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	if (nb > 0)
		avp_fifo_prefetch_put(&fifo->free, nb);
	return (uint16_t)nb;
}

/* Receive up to @want <= AVPG_BURST packets from one FIFO; @taken: entries used, drops included. */
static inline uint16_t
rx_fifo_burst(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out, uint16_t want,
		uint16_t *taken)
{
	struct rx_pkt pkts[AVPG_BURST];
	struct rte_mbuf *mbufs[AVPG_BURST_MBUFS];
	struct rte_mbuf **next = mbufs;
	uint16_t nb = rx_fifo_ready(q, fifo, want);
	uint16_t nb_out = 0;

	*taken = 0;
	if (nb == 0)
		return 0;
	rx_look(q, fifo, pkts, nb);
	nb = rx_alloc(q, pkts, nb, mbufs);
	if (unlikely(nb == 0))
		return 0;
	for (uint16_t i = 0; i < nb; i++) {
		const struct rx_pkt *pkt = &pkts[i];

		avp_fifo_set(&fifo->free, i, pkt->label[0]);
		if (unlikely(pkt->drop != AVPG_RX_OK)) {
			q->stats.drop[pkt->drop]++;
			continue;
		}
		out[nb_out] = rx_copy(q, pkt, next);
		q->stats.bytes += out[nb_out]->pkt_len;
		next += pkt->nb_mbufs;
		nb_out++;
	}
	avp_fifo_put_done(&fifo->free, nb);
	avp_fifo_get_done(&fifo->rx, nb);
	rx_look_ahead(q, fifo);
	q->stats.packets += nb_out;
	*taken = nb;
	return nb_out;
}

/*
 * By pointer
 */

/* What a burst puts on a free FIFO. */
struct rx_back {
	struct avp_fifo_end *free;
	uint32_t room; /* as far as it was asked for */
	uint32_t nb;
};

static inline bool
rx_back_has_room(struct avpg_rxq *q, struct rx_back *back, uint32_t nb)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (likely(back->nb + nb <= back->room))
		return true;
	back->room = avp_fifo_room(back->free, back->nb + nb, &fault);
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	return back->nb + nb <= back->room;
}

/* Give back what the application has freed, and @list before it; what has no room waits. */
static __rte_noinline void
rx_return_freed(struct avpg_rxq *q, uint32_t list)
{
	struct avpg_table *table = q->table;
	struct rx_back back[AVP_MAX_QUEUES];
	uint32_t next;

	for (uint32_t i = 0; i < q->nb_fifos; i++)
		back[i] = (struct rx_back){.free = &q->fifos[i].free};
	for (; list != AVPG_STACK_END; list = next) {
		struct rx_back *to = &back[table->fifo[list] - q->first_fifo];

		next = table->next[list];
		if (rx_back_has_room(q, to, 1)) {
			avpg_slot_set(&table->slots[list],
					avpg_slot_get(&table->slots[list]) & ~AVPG_SLOT_APP);
			avp_fifo_set(to->free, to->nb++, avpg_recycle_va(table->recycle, list));
		} else {
			table->next[list] = table->pending;
			table->pending = list;
		}
	}
	for (uint32_t i = 0; i < q->nb_fifos; i++)
		if (back[i].nb > 0)
			avp_fifo_put_done(back[i].free, back[i].nb);
}

static inline void
rx_drain(struct avpg_rxq *q)
{
	struct avpg_table *table = q->table;
	uint32_t list = table->pending;
	uint32_t freed;

	if (unlikely(list != AVPG_STACK_END)) {
		table->pending = AVPG_STACK_END;
		rx_return_freed(q, list);
	}
	freed = avpg_table_take_freed(table);
	if (likely(freed == AVPG_STACK_END))
		return;
	for (list = freed; list != AVPG_STACK_END; list = table->next[list]) {
		table->nb_out--;
		table->nb_bound--;
	}
	rx_return_freed(q, freed);
}

/* Which buffers is the packet made of? By pointer the data must lie in them. */
static inline void
rx_find_slots(const struct avpg_table *table, struct rx_pkt *pkt)
{
	const struct avpg_recycle *recycle = table->recycle;

	for (uint32_t i = 0; i < pkt->nb_segs; i++) {
		uint64_t idx = avpg_recycle_idx(recycle, pkt->label[i] - recycle->bufs_va);
		uint64_t off;

		if (unlikely(idx >= recycle->nb_bufs)) {
			pkt->drop = AVPG_RX_BAD_LABEL;
			return;
		}
		off = (uint64_t)(pkt->seg[i] - avpg_recycle_buf(recycle, (uint32_t)idx)) -
				sizeof(struct avp_desc);
		if (unlikely(off > avpg_recycle_buf_len(recycle) ||
				    pkt->seg_len[i] > avpg_recycle_buf_len(recycle) - off)) {
			pkt->drop = AVPG_RX_BAD_SEGMENT;
			return;
		}
		pkt->idx[i] = (uint32_t)idx;
		rte_prefetch0(&table->slots[idx]);
	}
}

/* The mbufs that wait for the packets' buffers will be written. */
static inline void
rx_prefetch_mbufs(const struct avpg_table *table, const struct rx_pkt *pkts, uint16_t nb)
{
	for (uint16_t i = 0; i < nb; i++)
		if (likely(pkts[i].drop == AVPG_RX_OK))
			rte_prefetch0((void *)avpg_slot_get(&table->slots[pkts[i].idx[0]]));
}

/* Is each of the packet's buffers the host's to give? @nb_missing: those without an mbuf. */
static inline bool
rx_slots_free(const struct avpg_table *table, const struct rx_pkt *pkt, uint32_t *nb_missing)
{
	*nb_missing = 0;
	for (uint32_t i = 0; i < pkt->nb_segs; i++) {
		uintptr_t state = avpg_slot_get(&table->slots[pkt->idx[i]]);

		if (unlikely((state & AVPG_SLOT_APP) != 0))
			return false;
		for (uint32_t k = 0; unlikely(k < i); k++)
			if (pkt->idx[k] == pkt->idx[i])
				return false;
		*nb_missing += state == 0;
	}
	return true;
}

/* Segment @i becomes an mbuf. There are spare ones. */
static inline struct rte_mbuf *
rx_hand_out(const struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, const struct rx_pkt *pkt,
		uint32_t i)
{
	struct avpg_table *table = q->table;
	const struct avpg_recycle *recycle = table->recycle;
	const uint32_t idx = pkt->idx[i];
	struct avpg_slot *slot = &table->slots[idx];
	struct rte_mbuf *m = (struct rte_mbuf *)avpg_slot_get(slot);

	if (unlikely(m == NULL)) {
		m = table->spare[--table->nb_spare];
		avpg_table_bind(table, idx, m);
		table->nb_bound++;
	}
	m->data_off = (uint16_t)(pkt->seg[i] - (uint8_t *)m->buf_addr);
	rte_mbuf_refcnt_set(m, 1);
	m->nb_segs = 1;
	m->port = q->port_id;
	m->ol_flags = RTE_MBUF_F_EXTERNAL;
	m->packet_type = 0;
	m->data_len = pkt->seg_len[i];
	m->pkt_len = pkt->seg_len[i];
	m->vlan_tci = 0;
	m->hash.rss = 0;
	table->fifo[idx] = (uint8_t)(q->first_fifo + (fifo - q->fifos));
	if (unlikely(avpg_recycle_queue_of(recycle, idx) != q->queue_id))
		atomic_store_explicit((_Atomic uint8_t *)&recycle->queue_of[idx],
				(uint8_t)q->queue_id, memory_order_relaxed);
	avpg_slot_set(slot, (uintptr_t)m | AVPG_SLOT_APP);
	return m;
}

/* The packet by pointer; NULL: there are no mbufs for it, or pkt->drop says what is wrong. */
static inline struct rte_mbuf *
rx_point(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_pkt *pkt)
{
	struct avpg_table *table = q->table;
	struct rte_mbuf *head, *last;
	uint32_t nb_missing;

	if (unlikely(!rx_slots_free(table, pkt, &nb_missing))) {
		pkt->drop = AVPG_RX_IN_USE;
		return NULL;
	}
	/* for all of them: filling may take the others away */
	if (unlikely(nb_missing > 0 &&
			    !avpg_table_fill_spare(table, q->pool, pkt->nb_segs, q->max_idle)))
		return NULL;
	head = rx_hand_out(q, fifo, pkt, 0);
	last = head;
	for (uint32_t i = 1; unlikely(i < pkt->nb_segs); i++) {
		last->next = rx_hand_out(q, fifo, pkt, i);
		last = last->next;
	}
	head->nb_segs = pkt->nb_segs;
	head->pkt_len = pkt->pkt_len;
	table->nb_out += pkt->nb_segs;
	rx_vlan(q, pkt, head);
	return head;
}

/* May the application hold another @nb buffers? */
static inline bool
rx_may_hold(struct avpg_rxq *q, uint32_t nb)
{
	if (likely(q->table->nb_out + nb <= q->hold))
		return true;
	avpg_table_see_sent(q->table);
	return q->table->nb_out + nb <= q->hold;
}

/* mbufs for a copy, of the mempool or, when that has none left, such as would wait for packets. */
static bool
rx_copy_alloc(struct avpg_rxq *q, struct rte_mbuf **mbufs, uint16_t nb)
{
	struct avpg_table *table = q->table;

	if (nb > AVP_MAX_SEGS || !avpg_table_fill_spare(table, q->pool, nb, q->max_idle))
		return rte_pktmbuf_alloc_bulk(q->pool, mbufs, nb) == 0;
	for (uint16_t i = 0; i < nb; i++) {
		mbufs[i] = table->spare[--table->nb_spare];
		rte_pktmbuf_reset(mbufs[i]);
	}
	return true;
}

/* Applications read an Ethernet header without asking where the first mbuf ends. */
static inline bool
rx_head_is_whole(const struct rx_pkt *pkt)
{
	return likely(pkt->seg_len[0] >= AVP_MIN_PKT_SIZE);
}

/* The packet by copy, when the application holds many, or to have its header in one piece; NULL:
 * there are no mbufs. */
static __rte_noinline struct rte_mbuf *
rx_copy_held(struct avpg_rxq *q, const struct rx_pkt *pkt)
{
	struct rte_mbuf *mbufs[AVPG_BURST_MBUFS];

	if (!rx_copy_alloc(q, mbufs, pkt->nb_mbufs))
		return NULL;
	if (rx_head_is_whole(pkt))
		q->stats.copied_held++;
	return rx_copy(q, pkt, mbufs);
}

/* Give a buffer back, or have it wait: the host looks at the free FIFO when it sends, and may be
 * waiting for us. */
static inline void
rx_give_back(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_back *back, uint64_t va)
{
	struct avpg_table *table = q->table;
	uint64_t idx;
	uintptr_t state;

	if (likely(rx_back_has_room(q, back, 1))) {
		avp_fifo_set(back->free, back->nb++, va);
		return;
	}
	idx = avpg_recycle_idx(table->recycle, va - table->recycle->bufs_va);
	if (idx >= table->recycle->nb_bufs)
		return; /* no buffer */
	state = avpg_slot_get(&table->slots[idx]);
	if ((state & AVPG_SLOT_APP) != 0)
		return; /* waits already, or will be given back by whoever has it */
	avpg_slot_set(&table->slots[idx], state | AVPG_SLOT_APP);
	table->fifo[idx] = (uint8_t)(q->first_fifo + (fifo - q->fifos));
	table->next[idx] = table->pending;
	table->pending = (uint32_t)idx;
}

/* Take one packet. False: it has to wait; else *@m is the mbuf, or NULL when it was dropped. */
static inline bool
rx_take(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_pkt *pkt,
		struct rx_back *back, struct rte_mbuf **m)
{
	*m = NULL;
	if (likely(pkt->drop == AVPG_RX_OK && rx_head_is_whole(pkt) &&
			    rx_may_hold(q, pkt->nb_segs))) {
		*m = rx_point(q, fifo, pkt);
		if (likely(*m != NULL)) {
			q->stats.by_pointer++;
			return true;
		}
		if (pkt->drop == AVPG_RX_OK) {
			q->stats.no_mbuf++;
			return false;
		}
	}
	/* whoever has its buffer will give it back */
	if (unlikely(pkt->drop == AVPG_RX_IN_USE)) {
		q->stats.drop[AVPG_RX_IN_USE]++;
		return true;
	}
	if (pkt->drop == AVPG_RX_OK) {
		*m = rx_copy_held(q, pkt);
		if (*m == NULL) {
			q->stats.no_mbuf++;
			return false;
		}
	} else {
		q->stats.drop[pkt->drop]++;
	}
	for (uint32_t i = 0; i < pkt->nb_labels; i++)
		rx_give_back(q, fifo, back, pkt->label[i]);
	return true;
}

/* As rx_fifo_burst(). */
static inline uint16_t
rx_fifo_burst_by_pointer(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out,
		uint16_t want, uint16_t *taken)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	struct rx_pkt pkts[AVPG_BURST];
	struct rx_back back = {.free = &fifo->free};
	uint16_t nb = (uint16_t)RTE_MIN(avp_fifo_avail(&fifo->rx, want, &fault), (uint32_t)want);
	uint16_t nb_out = 0;
	uint16_t i;

	*taken = 0;
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	if (nb == 0)
		return 0;
	rx_look(q, fifo, pkts, nb);
	for (i = 0; i < nb; i++)
		if (likely(pkts[i].drop == AVPG_RX_OK))
			rx_find_slots(q->table, &pkts[i]);
	rx_prefetch_mbufs(q->table, pkts, nb);
	for (i = 0; i < nb; i++) {
		if (unlikely(!rx_take(q, fifo, &pkts[i], &back, &out[nb_out])))
			break;
		if (unlikely(out[nb_out] == NULL))
			continue;
		q->stats.bytes += out[nb_out]->pkt_len;
		nb_out++;
	}
	if (unlikely(back.nb > 0))
		avp_fifo_put_done(&fifo->free, back.nb);
	avp_fifo_get_done(&fifo->rx, i);
	rx_look_ahead(q, fifo);
	q->stats.packets += nb_out;
	*taken = i;
	return nb_out;
}

/* Serve the queue's FIFOs in turn. */
static inline uint16_t
rx_burst(struct avpg_rxq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, const bool by_pointer)
{
	/* bounded: a host that sends faster than we drop must not keep us here */
	uint32_t visits = 2u * q->nb_fifos + nb_pkts / AVPG_BURST;
	uint8_t unseen = q->nb_fifos; /* FIFOs that have not had their turn in this call */
	uint8_t idle = 0;             /* FIFOs in a row that had nothing */
	uint16_t nb = 0;
	uint8_t fifo;

	fifo = q->next_fifo;
	for (; nb < nb_pkts && idle < q->nb_fifos && visits > 0; visits--) {
		uint16_t want = (uint16_t)(nb_pkts - nb);
		uint16_t taken;

		/* leave room for those that come after it; what is left over is for all */
		if (unseen > 1)
			want = (uint16_t)((want + unseen - 1) / unseen);
		if (unseen > 0)
			unseen--;
		want = RTE_MIN(want, (uint16_t)AVPG_BURST);
		if (by_pointer)
			nb += rx_fifo_burst_by_pointer(q, &q->fifos[fifo], pkts + nb, want, &taken);
		else
			nb += rx_fifo_burst(q, &q->fifos[fifo], pkts + nb, want, &taken);
		idle = taken == 0 ? idle + 1 : 0;
		fifo = fifo + 1 < q->nb_fifos ? fifo + 1 : 0;
	}
	q->next_fifo = fifo;
	return nb;
}

uint16_t
avpg_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avpg_rxq *q = rxq;
	uint16_t nb;

	if (unlikely(!avp_gate_enter(&q->gate)))
		return 0;
	if (q->table != NULL) {
		rx_drain(q);
		nb = rx_burst(q, pkts, nb_pkts, true);
	} else {
		nb = rx_burst(q, pkts, nb_pkts, false);
	}
	avp_gate_leave(&q->gate);
	return nb;
}
