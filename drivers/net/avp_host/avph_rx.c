/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Host receive: entries of the guest's tx FIFOs become mbufs, without a copy, and empty buffers go
 * to its alloc FIFOs.
 *
 * Everything a guest wrote comes through avp_fifo_avail(), avp_fifo_at() and avpd_check_pkt(); what
 * follows works on the checked copy.
 */

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "avph_port.h"
#include "avph_vlan.h"

/* Refill an alloc FIFO only when this many are missing, so that it is done for many at a time. */
#define REFILL_MIN AVPH_BURST

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

/* Fetch what the next packets will touch: descriptor, held mbuf. Nothing is trusted here. */
static inline void
rx_prefetch(const struct avph_mem *mem, const uint64_t *labels, uint32_t nb)
{
	uint32_t idx[AVPH_BURST];

	for (uint32_t i = 0; i < nb; i++) {
		idx[i] = 0; /* of no use, but no harm either */
		(void)avpd_check_label(&mem->bufs, labels[i], &idx[i]);
		rte_prefetch0(avpd_buf_ptr(&mem->bufs, idx[i]));
		rte_prefetch0(&mem->held[idx[i]]);
	}
	for (uint32_t i = 0; i < nb; i++)
		rte_prefetch0(avph_held_mbuf(mem->held[idx[i]]));
}

/* The fixed mbuf of a buffer that the guest had for sending. */
static inline struct rte_mbuf *
rx_fixed(const struct avph_mem *mem, const struct avpd_seg *seg)
{
	return avph_held_mbuf(mem->held[seg->buf_idx]);
}

/* The buffers that the packet is made of are the host's from here on. */
static inline void
rx_take(struct avph_mem *mem, struct avph_rx_lane *lane, const struct avpd_pkt *pkt)
{
	for (uint32_t i = 0; i < pkt->nb_own; i++)
		avph_owner_set(mem->owners, pkt->seg[i].buf_idx, AVPH_OWNER_HOST);
	lane->nb_alloc -= pkt->nb_own;
}

/* Make a segment's mbuf: @mbuf is the fixed one of the buffer, as it came from its pool. */
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
static bool
rx_vlan(const struct avph_rx_queue *queue, const struct avpd_pkt *pkt, struct rte_mbuf *mbuf)
{
	uint16_t tci = pkt->vlan_tci;

	if ((pkt->ol_flags & AVP_DESC_TX_VLAN) == 0) {
		if (!queue->vlan_strip || !avph_vlan_tagged(mbuf, &tci))
			return true;
		avph_vlan_remove(mbuf);
	} else if (!queue->vlan_strip) {
		if (!avph_vlan_has_room(mbuf))
			return false;
		avph_vlan_insert(mbuf, tci);
		return true;
	}
	mbuf->vlan_tci = tci;
	mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	return true;
}

/* A bad packet: what the guest gave by right goes back to the pool. */
static void
rx_drop(struct avph_rx_queue *queue, const struct avpd_pkt *pkt, enum avpd_check check)
{
	struct avph_mem *mem = queue->mem;

	for (uint32_t i = 0; i < pkt->nb_own; i++)
		rte_mbuf_raw_free(rx_fixed(mem, &pkt->seg[i]));
	rx_count(queue, (enum avph_rx_counter)(AVPH_RX_DROP_FIRST + check - 1), 1);
}

/* The mbuf chain of a good packet, of fixed mbufs. */
static inline struct rte_mbuf *
rx_build_fixed(struct avph_rx_queue *queue, const struct avpd_pkt *pkt)
{
	struct avph_mem *mem = queue->mem;
	struct rte_mbuf *head = rx_fixed(mem, &pkt->seg[0]);
	struct rte_mbuf *last = head;

	rx_set_fixed(head, &pkt->seg[0], queue->port_id);
	for (uint32_t i = 1; unlikely(i < pkt->nb_segs); i++) {
		struct rte_mbuf *mbuf = rx_fixed(mem, &pkt->seg[i]);

		rx_set_fixed(mbuf, &pkt->seg[i], queue->port_id);
		rx_append(head, &last, mbuf);
	}
	return head;
}

/* The same of the application's mbufs. @mbuf is for the first segment; NULL: there were none for
 * the others, nothing has been done. */
static inline struct rte_mbuf *
rx_build_attached(struct avph_rx_queue *queue, const struct avpd_pkt *pkt, struct rte_mbuf *head)
{
	struct avph_mem *mem = queue->mem;
	struct rte_mbuf *more[AVP_MAX_SEGS];
	struct rte_mbuf *last = head;

	if (unlikely(pkt->nb_segs > 1) &&
			rte_pktmbuf_alloc_bulk(queue->app_pool, more, pkt->nb_segs - 1u) != 0)
		return NULL;
	rx_set_attached(head, rx_fixed(mem, &pkt->seg[0]), &pkt->seg[0], queue->port_id);
	for (uint32_t i = 1; unlikely(i < pkt->nb_segs); i++) {
		rx_set_attached(more[i - 1], rx_fixed(mem, &pkt->seg[i]), &pkt->seg[i],
				queue->port_id);
		rx_append(head, &last, more[i - 1]);
	}
	return head;
}

/* Take up to AVPH_BURST entries of a lane. Returns the number of packets; @nb_used is the number of
 * entries, bad ones included. @spare: mbufs of the application, for attaching; @nb_spare of them
 * have been used on return. */
static inline uint16_t
rx_chunk(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rte_mbuf **pkts,
		uint32_t nb, struct rte_mbuf **spare, uint32_t *nb_spare, struct rx_sum *sum,
		uint32_t *nb_used)
{
	struct avph_mem *mem = queue->mem;
	uint64_t labels[AVPH_BURST];
	uint16_t nb_pkts = 0;
	uint32_t i;

	for (i = 0; i < nb; i++)
		labels[i] = avp_fifo_at(&lane->tx, i);
	rx_prefetch(mem, labels, nb);
	for (i = 0; i < nb; i++) {
		struct avpd_pkt pkt;
		struct rte_mbuf *mbuf;
		const enum avpd_check check = avpd_check_pkt(&mem->bufs, mem->owners, lane->owner,
				AVP_MAX_PKT_SIZE, labels[i], &pkt);

		if (unlikely(check != AVPD_CHECK_OK)) {
			rx_take(mem, lane, &pkt);
			rx_drop(queue, &pkt, check);
			continue;
		}
		if (spare == NULL) {
			mbuf = rx_build_fixed(queue, &pkt);
		} else {
			mbuf = rx_build_attached(queue, &pkt, spare[*nb_spare]);
			if (unlikely(mbuf == NULL)) {
				rx_count(queue, AVPH_RX_NO_MBUF, 1);
				break;
			}
			(*nb_spare)++;
		}
		rx_take(mem, lane, &pkt);
		if (unlikely(pkt.nb_segs > 1))
			rx_count(queue, AVPH_RX_CHAINS, 1);
		if (unlikely(queue->vlan_strip || (pkt.ol_flags & AVP_DESC_TX_VLAN)) &&
				!rx_vlan(queue, &pkt, mbuf)) {
			rte_pktmbuf_free(mbuf);
			rx_count(queue, AVPH_RX_DROP_NO_HEADROOM, 1);
			continue;
		}
		sum->bytes += mbuf->pkt_len;
		pkts[nb_pkts++] = mbuf;
	}
	*nb_used = i;
	return nb_pkts;
}

/* Get mbufs for attaching: @nb, or what the application's pool can give when it is nearly empty. */
static inline uint32_t
rx_get_spare(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint32_t nb)
{
	while (nb > 0 && unlikely(rte_pktmbuf_alloc_bulk(pool, mbufs, nb) != 0))
		nb /= 2;
	return nb;
}

/* Receive from a lane: at most @nb_pkts entries, good or bad. */
static inline uint16_t
rx_lane(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rte_mbuf **pkts,
		uint16_t nb_pkts, struct rx_sum *sum)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t left = RTE_MIN(avp_fifo_avail(&lane->tx, nb_pkts, &fault), (uint32_t)nb_pkts);
	uint16_t nb_done = 0;

	rx_count_fault(queue, AVPH_RX_TX_FIFO_FAULT, fault);
	while (left > 0) {
		struct rte_mbuf *spare[AVPH_BURST];
		uint32_t nb = RTE_MIN(left, AVPH_BURST);
		uint32_t nb_spare = 0;
		uint32_t nb_used = 0;

		if (queue->app_pool == NULL) {
			nb_done += rx_chunk(
					queue, lane, &pkts[nb_done], nb, NULL, NULL, sum, &nb_used);
		} else {
			nb = rx_get_spare(queue->app_pool, spare, nb);
			if (unlikely(nb == 0)) {
				rx_count(queue, AVPH_RX_NO_MBUF, 1);
				break;
			}
			nb_done += rx_chunk(queue, lane, &pkts[nb_done], nb, spare, &nb_spare, sum,
					&nb_used);
			if (unlikely(nb_spare < nb))
				rte_pktmbuf_free_bulk(&spare[nb_spare], nb - nb_spare);
		}
		avp_fifo_get_done(&lane->tx, nb_used);
		left -= nb_used;
		if (unlikely(nb_used < nb))
			break;
	}
	sum->packets += nb_done;
	return nb_done;
}

/* Get mbufs of the port's pool: @nb, or what it can give when it is nearly empty. */
static inline uint32_t
rx_get_fixed(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint32_t nb)
{
	while (nb > 0 && unlikely(rte_mempool_get_bulk(pool, (void **)mbufs, nb) != 0))
		nb /= 2;
	return nb;
}

/* Give empty buffers to the guest until it has as many as it may. */
static inline void
rx_refill(struct avph_rx_queue *queue, struct avph_rx_lane *lane)
{
	struct avph_mem *mem = queue->mem;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t want = lane->max_alloc - lane->nb_alloc;

	if (likely(want < REFILL_MIN))
		return;
	want = RTE_MIN(want, avp_fifo_room(&lane->alloc, want, &fault));
	rx_count_fault(queue, AVPH_RX_ALLOC_FIFO_FAULT, fault);
	while (want > 0) {
		struct rte_mbuf *mbufs[AVPH_BURST];
		const uint32_t ask = RTE_MIN(want, AVPH_BURST);
		const uint32_t nb = rx_get_fixed(queue->fixed_pool, mbufs, ask);

		for (uint32_t i = 0; i < nb; i++)
			avph_buf_prefetch_desc(mbufs[i]);
		for (uint32_t i = 0; i < nb; i++) {
			uint32_t idx = 0;

			avph_buf_of_mbuf(&mem->bufs, mbufs[i], &idx);
			RTE_ASSERT(avph_owner_get(mem->owners, idx) == AVPH_OWNER_HOST);
			mem->held[idx] = avph_held(mbufs[i], 0);
			avph_owner_set(mem->owners, idx, lane->owner);
			avpd_desc_write_empty(&mem->bufs, idx);
			avp_fifo_set(&lane->alloc, i, avpd_buf_va(&mem->bufs, idx));
		}
		avp_fifo_put_done(&lane->alloc, nb);
		lane->nb_alloc += nb;
		want -= nb;
		if (unlikely(nb < ask)) {
			rx_count(queue, AVPH_RX_ALLOC_STARVED, 1);
			return;
		}
	}
}

uint16_t
avph_rx_burst(void *arg, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avph_rx_queue *queue = arg;
	struct rx_sum sum = {0};
	uint16_t nb_done = 0;
	uint16_t n;

	if (unlikely(!avp_gate_enter(&queue->gate)))
		return 0;
	/* Each burst begins with another lane, so that none waits for ever behind a busy one. */
	n = queue->next;
	for (uint16_t i = 0; i < queue->nb_lanes; i++) {
		struct avph_rx_lane *lane = queue->lanes[n];

		nb_done += rx_lane(queue, lane, &pkts[nb_done], nb_pkts - nb_done, &sum);
		rx_refill(queue, lane);
		n = n + 1 < queue->nb_lanes ? n + 1 : 0;
	}
	queue->next = n + 1 < queue->nb_lanes ? n + 1 : 0;
	if (nb_done > 0) {
		rx_count(queue, AVPH_RX_PACKETS, sum.packets);
		rx_count(queue, AVPH_RX_BYTES, sum.bytes);
	}
	avp_gate_leave(&queue->gate);
	return nb_done;
}

uint32_t
avph_rx_pending(struct avph_rx_queue *queue)
{
	uint32_t nb = 0;

	if (!avp_gate_enter(&queue->gate))
		return 0;
	for (uint16_t i = 0; i < queue->nb_lanes; i++) {
		struct avp_fifo_end *tx = &queue->lanes[i]->tx;
		enum avp_fifo_fault fault = AVP_FIFO_OK;

		nb += avp_fifo_avail(tx, tx->len, &fault);
		rx_count_fault(queue, AVPH_RX_TX_FIFO_FAULT, fault);
	}
	avp_gate_leave(&queue->gate);
	return nb;
}
