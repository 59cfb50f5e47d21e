/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive by pointer, with "recycle": avpg_rx.c for the whole, avpg_recycle.h for the buffers.
 *
 * How it works
 * As by copy, but that the third and fourth pass are others: find the slots of the buffers and
 * fetch their mbufs; hand these out. Only packets that are dropped or copied, because the
 * application holds many, go back on the free FIFO at once; those that it has freed do so at the
 * beginning of a burst. Each buffer of a chain is then given back by itself.
 */

#include "avpg_rx_fifo.h"

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
			avp_fifo_set(to->free, to->nb++,
					avpg_mem_buf_va(&table->recycle->mem, list));
		} else {
			table->next[list] = table->pending;
			table->pending = list;
		}
	}
	for (uint32_t i = 0; i < q->nb_fifos; i++)
		if (back[i].nb > 0)
			avp_fifo_put_done(back[i].free, back[i].nb);
}

void
avpg_rx_drain(struct avpg_rxq *q)
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
		uint64_t idx = avpg_mem_buf_idx(
				&recycle->mem, pkt->label[i] - recycle->mem.bufs_va);
		uint64_t off;

		if (unlikely(idx >= recycle->mem.nb_bufs)) {
			pkt->drop = AVPG_RX_BAD_LABEL;
			return;
		}
		off = (uint64_t)(pkt->seg[i] - avpg_mem_buf(&recycle->mem, (uint32_t)idx)) -
				sizeof(struct avp_desc);
		if (unlikely(off > avpg_mem_buf_len(&recycle->mem) ||
				    pkt->seg_len[i] > avpg_mem_buf_len(&recycle->mem) - off)) {
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
	rx_note_origin(q, fifo, idx);
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
	idx = avpg_mem_buf_idx(&table->recycle->mem, va - table->recycle->mem.bufs_va);
	if (idx >= table->recycle->mem.nb_bufs)
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

bool
avpg_rx_take(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_pkt *pkt,
		struct rx_back *back, struct rte_mbuf **m)
{
	return rx_take(q, fifo, pkt, back, m);
}

uint16_t
avpg_rx_fifo_by_pointer(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out,
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
