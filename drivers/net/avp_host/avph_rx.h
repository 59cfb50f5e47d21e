/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the two forms of host receive share: avph_rx.c, from FIFOs, and avph_rx_compact.c, from
 * compact rings. mbufs for checked segments, tags, counters. Context: the queue's lcore.
 */

#ifndef AVPH_RX_H
#define AVPH_RX_H

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "avp_vlan.h"
#include "avph_port.h"

/* The sums of one burst; the shared counters are touched once at its end. */
struct rx_sum {
	uint64_t packets;
	uint64_t bytes;
};

static inline void
rx_count(struct avph_rx_queue *queue, enum avph_rx_counter counter, uint64_t n)
{
	avph_count(&queue->stats.count[counter], n);
}

static inline void
rx_count_fault(struct avph_rx_queue *queue, enum avph_rx_counter first, enum avp_fifo_fault fault)
{
	if (unlikely(fault != AVP_FIFO_OK))
		rx_count(queue, (enum avph_rx_counter)(first + fault - 1), 1);
}

/* Hold the lock @to, and not @*locked any more, which may be NULL as may @to. */
static inline void
rx_lock(struct avph_returns **locked, struct avph_returns *to)
{
	if (likely(*locked == to))
		return;
	if (*locked != NULL)
		rte_spinlock_unlock(&(*locked)->lock);
	if (to != NULL)
		rte_spinlock_lock(&to->lock);
	*locked = to;
}

static inline bool
rx_is_fixed(const struct rte_mbuf *mbuf)
{
	return mbuf->shinfo->fcb_opaque == mbuf;
}

/* Make a segment's mbuf of one that has the buffer already: the fixed one, as it came from its
 * pool, or, of a buffer sent back, what it was sent in. */
static inline void
rx_set_fixed(struct rte_mbuf *mbuf, const struct avpd_seg *seg, uint16_t port_id)
{
	mbuf->data_off = (uint16_t)(seg->data_off - sizeof(struct avp_desc));
	mbuf->port = port_id;
	mbuf->ol_flags = RTE_MBUF_F_EXTERNAL;
	mbuf->packet_type = 0;
	mbuf->data_len = seg->data_len;
	mbuf->pkt_len = seg->data_len;
	mbuf->vlan_tci = 0;
	mbuf->hash.rss = 0;
}

/* The same with an mbuf of the application, to which the buffer of @fixed is attached. */
static inline void
rx_set_attached(struct rte_mbuf *mbuf, struct rte_mbuf *fixed, const struct avpd_seg *seg,
		uint16_t port_id)
{
	struct avph_mbuf_priv *priv = rte_mbuf_to_priv(fixed);

	rte_pktmbuf_attach_extbuf(mbuf, fixed->buf_addr, rte_mbuf_iova_get(fixed), AVPH_BUF_LEN,
			&priv->shinfo);
	mbuf->data_off = (uint16_t)(seg->data_off - sizeof(struct avp_desc));
	mbuf->port = port_id;
	mbuf->data_len = seg->data_len;
	mbuf->pkt_len = seg->data_len;
}

/* Append @mbuf to the chain that @head begins. */
static inline void
rx_append(struct rte_mbuf *head, struct rte_mbuf **last, struct rte_mbuf *mbuf)
{
	(*last)->next = mbuf;
	*last = mbuf;
	head->nb_segs++;
	head->pkt_len += mbuf->data_len;
}

/* A tag that the guest gave out of band, or one in the data that the application wants out.
 * False: there is no room to put it in. */
static inline bool
rx_vlan(const struct avph_rx_queue *queue, const struct avpd_pkt *pkt, struct rte_mbuf *mbuf)
{
	const bool out_of_band = (pkt->ol_flags & AVP_DESC_TX_VLAN) != 0;

	if (queue->vlan_strip && out_of_band) {
		avp_vlan_tell(mbuf, pkt->vlan_tci);
	} else if (queue->vlan_strip) {
		avp_vlan_strip(mbuf);
	} else if (out_of_band) {
		if (!avp_vlan_has_room(mbuf))
			return false;
		avp_vlan_insert(mbuf, pkt->vlan_tci);
	}
	return true;
}

/* A segment's mbuf, when the application wants its own: @spare with the buffer attached, or the one
 * that was sent back, which is some application's already. @used counts the spare ones. */
static inline struct rte_mbuf *
rx_attach(const struct avph_rx_queue *queue, struct rte_mbuf *held, const struct avpd_seg *seg,
		struct rte_mbuf *spare, uint32_t *used)
{
	if (!rx_is_fixed(held)) {
		rx_set_fixed(held, seg, queue->port_id);
		return held;
	}
	rx_set_attached(spare, held, seg, queue->port_id);
	(*used)++;
	return spare;
}

/* Get mbufs for attaching: @nb, or what the application's pool can give when it is nearly empty. */
static inline uint32_t
rx_get_spare(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint32_t nb)
{
	while (nb > 0 && unlikely(rte_pktmbuf_alloc_bulk(pool, mbufs, nb) != 0))
		nb /= 2;
	return nb;
}

/**
 * Receive from the compact ring of a lane: at most @nb_pkts packets, good or bad.
 *
 * Returns the number of mbufs stored; @sum counts their bytes.
 */
uint16_t avph_rx_lane_compact(struct avph_rx_queue *queue, struct avph_rx_lane *lane,
		struct rte_mbuf **pkts, uint16_t nb_pkts, struct rx_sum *sum);

#endif /* AVPH_RX_H */
