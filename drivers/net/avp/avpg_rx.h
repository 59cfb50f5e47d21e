/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the forms of guest receive share: by copy from FIFOs (avpg_rx.c), by pointer from FIFOs
 * (avpg_rx_pointer.c), both from compact rings (avpg_rx_compact.c). Context: a burst of the queue.
 */

#ifndef AVPG_RX_H
#define AVPG_RX_H

#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

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

/** Copy a packet of several segments, or larger than an mbuf. */
void avpg_rx_copy_scattered(
		const struct avpg_rxq *q, const struct rx_pkt *pkt, struct rte_mbuf **mbufs);

/* Tell of the tag that the device has stripped, or strip one. */
static inline void
rx_vlan(const struct avpg_rxq *q, const struct rx_pkt *pkt, struct rte_mbuf *m)
{
	if (pkt->vlan)
		avp_vlan_tell(m, pkt->vlan_tci);
	else if (q->strip_by_copy)
		avp_vlan_strip(m);
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
		avp_copy(q->wide_copy, rte_pktmbuf_mtod(m, void *), pkt->seg[0], pkt->pkt_len);
	} else {
		avpg_rx_copy_scattered(q, pkt, mbufs);
	}
	rx_vlan(q, pkt, m);
	return m;
}

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

/* May the application hold another @nb buffers? */
static inline bool
rx_may_hold(struct avpg_rxq *q, uint32_t nb)
{
	if (likely(q->table->nb_out + nb <= q->hold))
		return true;
	avpg_table_see_sent(q->table);
	return q->table->nb_out + nb <= q->hold;
}

/* Remember where a buffer that is handed out came from: it goes back there. */
static inline void
rx_note_origin(const struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, uint32_t idx)
{
	struct avpg_table *table = q->table;
	struct avpg_recycle *recycle = table->recycle;

	table->fifo[idx] = (uint8_t)(q->first_fifo + (fifo - q->fifos));
	if (unlikely(avpg_recycle_queue_of(recycle, idx) != q->queue_id))
		atomic_store_explicit((_Atomic uint8_t *)&recycle->queue_of[idx],
				(uint8_t)q->queue_id, memory_order_relaxed);
}

/**
 * Take one packet by pointer, with all that may be special about it; pkt->idx is set.
 *
 * @back  the free FIFO, for what is dropped or copied
 * @m     out: the mbuf, or NULL when it was dropped
 * Returns false when the packet has to wait: there are no mbufs.
 */
bool avpg_rx_take(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_pkt *pkt,
		struct rx_back *back, struct rte_mbuf **m);

/** Give back what the application has freed. Called before a burst. */
void avpg_rx_drain(struct avpg_rxq *q);

/*
 * Receive up to @want <= AVPG_BURST packets from one FIFO or ring. @taken: packets used, drops
 * included. Return the mbufs stored.
 */
uint16_t avpg_rx_fifo_by_pointer(struct avpg_rxq *q, struct avpg_rx_fifo *fifo,
		struct rte_mbuf **out, uint16_t want, uint16_t *taken);
uint16_t avpg_rx_ring_by_pointer(struct avpg_rxq *q, struct avpg_rx_fifo *fifo,
		struct rte_mbuf **out, uint16_t want, uint16_t *taken);
uint16_t avpg_rx_ring_by_copy(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out,
		uint16_t want, uint16_t *taken);

#endif /* AVPG_RX_H */
