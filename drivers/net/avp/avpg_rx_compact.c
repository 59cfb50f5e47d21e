/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive from compact rings, with "compact": avpg_rx.c for the whole, avp_cring.h for the rings.
 *
 * How it works
 * The entries of a burst are read once, into private memory; all that matters of a packet is in
 * them, so nothing of it but its data is fetched from the host. By pointer a packet of one buffer
 * goes a short way of its own; what is special in any way becomes a struct rx_pkt and goes the way
 * of all packets. By copy all do.
 *
 * Each buffer is given back by itself.
 */

#include <rte_prefetch.h>

#include "avp_mbuf.h"
#include "avpg_rx.h"

/* Entries that are looked at together: a burst, and the rest of a chain. */
#define MAX_ENTRIES (AVPG_BURST + AVP_MAX_SEGS - 1)

/* Fetch what the packets of a burst will need. */
static inline void
ring_prefetch(const struct avpg_rxq *q, const struct avp_cring_words *words, uint32_t nb)
{
	const struct avpg_mem *mem = &q->mem;

	for (uint32_t i = 0; i < nb; i++) {
		const uint32_t idx = avp_cring_buf_idx(words[i].place);

		if (unlikely(idx >= mem->nb_bufs))
			continue;
		avp_prefetch_write(avpg_mem_buf(mem, idx) + avp_cring_data_off(words[i].place));
		if (q->table != NULL)
			rte_prefetch0((void *)avpg_slot_get(&q->table->slots[idx]));
	}
}

/* Is the data of an entry in its buffer, and the buffer in BAR 2? */
static inline bool
entry_is_good(const struct avpg_mem *mem, uint64_t place)
{
	const uint32_t off = avp_cring_data_off(place) - (uint32_t)sizeof(struct avp_desc);
	const uint32_t len = avpg_mem_buf_len(mem);

	return likely(avp_cring_buf_idx(place) < mem->nb_bufs && off <= len &&
			avp_cring_data_len(place) <= len - off);
}

/* Check a packet of any kind. Returns the number of its entries, out of @nb. */
static inline uint32_t
ring_pkt(const struct avpg_rxq *q, const struct avp_cring_words *words, uint32_t nb,
		struct rx_pkt *pkt)
{
	const struct avpg_mem *mem = &q->mem;
	uint32_t sum = 0;
	uint32_t n = 0;
	bool more;

	pkt->drop = AVPG_RX_OK;
	pkt->nb_labels = 0;
	do {
		const uint64_t place = words[n].place;
		const uint32_t idx = avp_cring_buf_idx(place);

		more = (words[n].state & AVP_CDESC_MORE) != 0;
		n++;
		if (unlikely(!entry_is_good(mem, place)) && pkt->drop == AVPG_RX_OK)
			pkt->drop = n == 1 ? AVPG_RX_BAD_LABEL : AVPG_RX_BAD_SEGMENT;
		if (unlikely(idx >= mem->nb_bufs))
			continue; /* nothing to give back */
		pkt->idx[pkt->nb_labels] = idx;
		pkt->label[pkt->nb_labels] = avpg_mem_buf_va(mem, idx);
		pkt->seg[pkt->nb_labels] = avpg_mem_buf(mem, idx) + avp_cring_data_off(place);
		pkt->seg_len[pkt->nb_labels] = avp_cring_data_len(place);
		pkt->nb_labels++;
		sum += avp_cring_data_len(place);
	} while (unlikely(more) && n < nb && n < AVP_MAX_SEGS);
	pkt->nb_segs = pkt->nb_labels;
	pkt->pkt_len = (uint16_t)sum;
	pkt->vlan = (words[0].state & AVP_CDESC_VLAN) != 0;
	pkt->vlan_tci = avp_cring_vlan_tci(words[0].state);
	if (unlikely(pkt->drop != AVPG_RX_OK))
		return n;
	if (unlikely(more))
		pkt->drop = AVPG_RX_BAD_CHAIN;
	else if (unlikely(sum < AVP_MIN_PKT_SIZE))
		pkt->drop = AVPG_RX_TOO_SHORT;
	else if (unlikely(sum > q->max_rx_size))
		pkt->drop = AVPG_RX_TOO_LONG;
	return n;
}

/* Is it for this station? */
static inline void
ring_filter(const struct avpg_rxq *q, struct rx_pkt *pkt)
{
	if (likely(pkt->drop == AVPG_RX_OK) &&
			!atomic_load_explicit(&q->port->promiscuous, memory_order_relaxed))
		pkt->drop = (uint8_t)rx_filter(q, pkt);
}

/*
 * By copy
 */

/* Look at up to @nb_pkts packets. Returns their number. @nb_entries: out, of each. Stops where the
 * free FIFO has no room for the buffers. */
static inline uint16_t
ring_look(const struct avpg_rxq *q, const struct avp_cring_words *words, uint32_t nb, uint32_t room,
		struct rx_pkt *pkts, uint8_t *nb_entries)
{
	uint16_t nb_pkts = 0;

	for (uint32_t i = 0; i < nb; nb_pkts++) {
		struct rx_pkt *pkt = &pkts[nb_pkts];
		const uint32_t n = ring_pkt(q, &words[i], nb - i, pkt);

		if (unlikely(pkt->nb_labels > room))
			break;
		room -= pkt->nb_labels;
		nb_entries[nb_pkts] = (uint8_t)n;
		i += n;
	}
	for (uint16_t i = 0; i < nb_pkts; i++) {
		ring_filter(q, &pkts[i]);
		pkts[i].nb_mbufs =
				likely(pkts[i].drop == AVPG_RX_OK) ? rx_nb_mbufs(q, &pkts[i]) : 0;
	}
	return nb_pkts;
}

uint16_t
avpg_rx_ring_by_copy(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out,
		uint16_t want, uint16_t *taken)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	struct avp_cring_words words[MAX_ENTRIES];
	struct rx_pkt pkts[AVPG_BURST];
	uint8_t nb_entries[AVPG_BURST];
	struct rte_mbuf *mbufs[AVPG_BURST_MBUFS];
	struct rte_mbuf **next = mbufs;
	uint32_t nb_pkts = want;
	uint32_t nb = avp_cring_fetch(fifo->crx, words, MAX_ENTRIES, &nb_pkts);
	uint32_t nb_done = 0;
	uint32_t nb_back = 0;
	uint16_t nb_out = 0;

	*taken = 0;
	if (nb == 0)
		return 0;
	ring_prefetch(q, words, nb);
	nb_pkts = ring_look(q, words, nb, avp_fifo_room(&fifo->free, nb, &fault), pkts, nb_entries);
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	avp_fifo_prefetch_put(&fifo->free, nb);
	nb_pkts = rx_alloc(q, pkts, (uint16_t)nb_pkts, mbufs);
	for (uint32_t i = 0; i < nb_pkts; i++) {
		const struct rx_pkt *pkt = &pkts[i];

		for (uint32_t k = 0; k < pkt->nb_labels; k++)
			avp_fifo_set(&fifo->free, nb_back++, pkt->label[k]);
		nb_done += nb_entries[i];
		if (unlikely(pkt->drop != AVPG_RX_OK)) {
			q->stats.drop[pkt->drop]++;
			continue;
		}
		out[nb_out] = rx_copy(q, pkt, next);
		q->stats.bytes += out[nb_out]->pkt_len;
		next += pkt->nb_mbufs;
		nb_out++;
	}
	if (likely(nb_back > 0))
		avp_fifo_put_done(&fifo->free, nb_back);
	if (likely(nb_done > 0))
		avp_cring_get_done(fifo->crx, nb_done);
	q->stats.packets += nb_out;
	*taken = (uint16_t)nb_pkts;
	return nb_out;
}

/*
 * By pointer
 */

/* The usual packet: one good entry, for us, a buffer that the host may give. NULL: it is not. */
static inline struct rte_mbuf *
ring_point(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, const struct avp_cring_words *words,
		const bool all)
{
	struct avpg_table *table = q->table;
	const struct avpg_mem *mem = &q->mem;
	const uint32_t idx = avp_cring_buf_idx(words->place);
	const uint32_t len = avp_cring_data_len(words->place);
	struct avpg_slot *slot;
	struct rte_mbuf *m;

	if (unlikely(!all || (words->state & AVP_CDESC_MORE) != 0 ||
			    !entry_is_good(mem, words->place) || len < AVP_MIN_PKT_SIZE ||
			    len > q->max_rx_size))
		return NULL;
	slot = &table->slots[idx];
	m = (struct rte_mbuf *)avpg_slot_get(slot);
	if (unlikely(m == NULL || ((uintptr_t)m & AVPG_SLOT_APP) != 0 || !rx_may_hold(q, 1)))
		return NULL;
	avp_mbuf_set(m, q->rearm, avp_cring_data_off(words->place) - sizeof(struct avp_desc), len);
	if (unlikely((words->state & AVP_CDESC_VLAN) != 0))
		avp_vlan_tell(m, avp_cring_vlan_tci(words->state));
	rx_note_origin(q, fifo, idx);
	avpg_slot_set(slot, (uintptr_t)m | AVPG_SLOT_APP);
	table->nb_out++;
	return m;
}

uint16_t
avpg_rx_ring_by_pointer(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out,
		uint16_t want, uint16_t *taken)
{
	/* the short way looks at no addresses, and for no tags in packets */
	const bool all = atomic_load_explicit(&q->port->promiscuous, memory_order_relaxed) &&
			!q->strip_by_copy;
	struct avp_cring_words words[MAX_ENTRIES];
	struct rx_back back = {.free = &fifo->free};
	uint32_t nb_pkts = want;
	const uint32_t nb = avp_cring_fetch(fifo->crx, words, MAX_ENTRIES, &nb_pkts);
	uint64_t bytes = 0;
	uint64_t nb_short = 0;
	uint16_t nb_out = 0;
	uint32_t done = 0;

	*taken = 0;
	if (nb == 0)
		return 0;
	ring_prefetch(q, words, nb);
	for (; done < nb; (*taken)++) {
		struct rte_mbuf *m = ring_point(q, fifo, &words[done], all);
		struct rx_pkt pkt;
		uint32_t n = 1;

		if (likely(m != NULL)) {
			nb_short++;
		} else {
			n = ring_pkt(q, &words[done], nb - done, &pkt);
			ring_filter(q, &pkt);
			pkt.nb_mbufs = rx_nb_mbufs(q, &pkt);
			if (unlikely(!avpg_rx_take(q, fifo, &pkt, &back, &m)))
				break;
		}
		done += n;
		if (unlikely(m == NULL))
			continue;
		bytes += m->pkt_len;
		out[nb_out++] = m;
	}
	if (unlikely(back.nb > 0))
		avp_fifo_put_done(&fifo->free, back.nb);
	if (likely(done > 0))
		avp_cring_get_done(fifo->crx, done);
	q->stats.bytes += bytes;
	q->stats.by_pointer += nb_short;
	q->stats.packets += nb_out;
	return nb_out;
}
