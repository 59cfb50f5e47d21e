/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Host receive: entries of the guest's tx FIFOs become mbufs, without a copy, and empty buffers go
 * to its alloc FIFOs.
 *
 * Everything a guest wrote comes through avp_fifo_avail(), avp_fifo_at() and avpd_check_pkt(); what
 * follows works on the checked copy.
 *
 * How it works with "recycle"
 * A guest may send a buffer that it got on an rx FIFO. Before the packets of a burst are checked
 * such buffers are claimed: under the lock of the lane that gave them, they become buffers that the
 * guest had for sending here (avph_buf.h). The rest is as without it, but that the mbuf held may be
 * anybody's. What has been claimed and is then not taken is given back, or the host's.
 */

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "avp_vlan.h"
#include "avph_rx.h"

/* Refill an alloc FIFO only when this many are missing, so that it is done for many at a time. */
#define REFILL_MIN AVPH_BURST

/* A buffer that was claimed, and its owner entry before; AVPH_OWNER_HOST: it was not. */
struct rx_claim {
	uint32_t idx;
	uint16_t was;
};

/* Fetch what the next packets will touch: descriptor, held mbuf. Nothing is trusted here.
 * @claims: out, the buffers that the labels name, or AVPD_NO_BUF. */
static inline void
rx_prefetch(const struct avph_mem *mem, const uint64_t *labels, uint32_t nb,
		struct rx_claim *claims)
{
	for (uint32_t i = 0; i < nb; i++) {
		uint32_t idx = 0; /* of no use, but no harm either */

		claims[i].was = AVPH_OWNER_HOST;
		claims[i].idx = likely(avpd_check_label(&mem->bufs, labels[i], &idx) ==
						AVPD_CHECK_OK)
				? idx
				: AVPD_NO_BUF;
		avp_prefetch_write(avpd_buf_ptr(&mem->bufs, idx));
		rte_prefetch0(&mem->held[idx]);
	}
	for (uint32_t i = 0; i < nb; i++)
		if (likely(claims[i].idx != AVPD_NO_BUF))
			rte_prefetch0(avph_held_mbuf(mem->held[claims[i].idx]));
}

/* What the host holds of a buffer: its fixed mbuf, or, of one sent back, any that it is attached
 * to.
 */
static inline struct rte_mbuf *
rx_held(const struct avph_mem *mem, const struct avpd_seg *seg)
{
	return avph_held_mbuf(mem->held[seg->buf_idx]);
}

/*
 * Claiming
 */

/* Count a buffer that came back, or did not after all. Under the lock. */
static inline void
rx_count_back(const struct avph_rx_queue *queue, struct avph_returns *back, uint32_t idx,
		uint32_t n)
{
	const bool own = (queue->mem->held[idx] & AVPH_HELD_OWN) != 0;

	avph_count_u32(&back->nb, n);
	if (unlikely(!own))
		avph_count_u32(&back->nb_ptr, n);
}

/* If the guest has the buffer from an rx FIFO, make it one that it may send on @lane. */
static inline void
rx_claim(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rx_claim *claim,
		struct avph_returns **locked)
{
	uint16_t *owners = queue->mem->owners;
	const uint16_t owner = avph_owner_get(owners, claim->idx);
	struct avph_returns *back;

	if (!avph_owner_is_rx(owner, lane->owner))
		return;
	back = &queue->tx_lanes[avph_owner_lane(owner)].back;
	rx_lock(locked, back);
	/* until now another lcore may have taken it */
	if (unlikely(avph_owner_get_given(owners, claim->idx) != owner))
		return;
	avph_owner_set(owners, claim->idx, lane->owner);
	rx_count_back(queue, back, claim->idx, 1);
	claim->was = owner;
	lane->nb_alloc++;
}

static inline void
rx_claim_heads(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rx_claim *claims,
		uint32_t nb)
{
	struct avph_returns *locked = NULL;

	for (uint32_t i = 0; i < nb; i++)
		if (likely(claims[i].idx != AVPD_NO_BUF))
			rx_claim(queue, lane, &claims[i], &locked);
	rx_lock(&locked, NULL);
}

/* The segments behind a head. Returns how many were looked at; whether they are a chain that can be
 * taken is found out later. @claims: room for AVP_MAX_SEGS - 1. */
static __rte_noinline uint32_t
rx_claim_chain(struct avph_rx_queue *queue, struct avph_rx_lane *lane, uint64_t next_va,
		struct rx_claim *claims)
{
	const struct avpd_bufs *bufs = &queue->mem->bufs;
	struct avph_returns *locked = NULL;
	uint32_t nb;

	for (nb = 0; nb < AVP_MAX_SEGS - 1 && next_va != 0; nb++) {
		struct rx_claim *claim = &claims[nb];

		claim->was = AVPH_OWNER_HOST;
		if (avpd_check_label(bufs, next_va, &claim->idx) != AVPD_CHECK_OK)
			break;
		rx_claim(queue, lane, claim, &locked);
		next_va = avpd_desc_peek_next(bufs, claim->idx);
	}
	rx_lock(&locked, NULL);
	return nb;
}

/* Which of the claimed buffers has not been taken? Only those change hands again. */
static inline bool
rx_claim_left(const struct avph_rx_queue *queue, const struct avph_rx_lane *lane,
		const struct rx_claim *claim)
{
	return claim->was != AVPH_OWNER_HOST &&
			avph_owner_get(queue->mem->owners, claim->idx) == lane->owner;
}

/* The packets will be looked at again: let the guest have its buffers as it had them. */
static __rte_noinline void
rx_unclaim(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rx_claim *claims,
		uint32_t nb)
{
	struct avph_returns *locked = NULL;

	for (uint32_t i = 0; i < nb; i++) {
		const struct rx_claim *claim = &claims[i];
		struct avph_returns *back;

		if (!rx_claim_left(queue, lane, claim))
			continue;
		back = &queue->tx_lanes[avph_owner_lane(claim->was)].back;
		rx_lock(&locked, back);
		rx_count_back(queue, back, claim->idx, UINT32_MAX); /* one less */
		avph_owner_set_given(queue->mem->owners, claim->idx, claim->was);
		lane->nb_alloc--;
	}
	rx_lock(&locked, NULL);
}

/* A chain was bad, or was changed while it was checked: what of it was sent back and is in no
 * packet is the host's. */
static __rte_noinline void
rx_drop_claims(struct avph_rx_queue *queue, struct avph_rx_lane *lane,
		const struct rx_claim *claims, uint32_t nb)
{
	struct avph_mem *mem = queue->mem;

	for (uint32_t i = 0; i < nb; i++) {
		const struct rx_claim *claim = &claims[i];

		if (!rx_claim_left(queue, lane, claim))
			continue;
		avph_owner_set(mem->owners, claim->idx, AVPH_OWNER_HOST);
		lane->nb_alloc--;
		rte_pktmbuf_free_seg(avph_held_mbuf(mem->held[claim->idx]));
	}
}

/*
 * Packets
 */

/* The buffers that the packet is made of are the host's from here on. */
static inline void
rx_take(struct avph_mem *mem, struct avph_rx_lane *lane, const struct avpd_pkt *pkt)
{
	for (uint32_t i = 0; i < pkt->nb_own; i++)
		avph_owner_set(mem->owners, pkt->seg[i].buf_idx, AVPH_OWNER_HOST);
	lane->nb_alloc -= pkt->nb_own;
}

/* A bad packet: what the guest gave by right goes back to the pool. */
static void
rx_drop(struct avph_rx_queue *queue, const struct avpd_pkt *pkt, enum avpd_check check)
{
	struct avph_mem *mem = queue->mem;

	for (uint32_t i = 0; i < pkt->nb_own; i++)
		rte_pktmbuf_free_seg(rx_held(mem, &pkt->seg[i]));
	rx_count(queue, (enum avph_rx_counter)(AVPH_RX_DROP_FIRST + check - 1), 1);
}

/* The mbuf chain of a good packet, of the mbufs that are held. */
static inline struct rte_mbuf *
rx_build_fixed(struct avph_rx_queue *queue, const struct avpd_pkt *pkt)
{
	struct avph_mem *mem = queue->mem;
	struct rte_mbuf *head = rx_held(mem, &pkt->seg[0]);
	struct rte_mbuf *last = head;

	rx_set_fixed(head, &pkt->seg[0], queue->port_id);
	for (uint32_t i = 1; unlikely(i < pkt->nb_segs); i++) {
		struct rte_mbuf *mbuf = rx_held(mem, &pkt->seg[i]);

		rx_set_fixed(mbuf, &pkt->seg[i], queue->port_id);
		rx_append(head, &last, mbuf);
	}
	return head;
}

/* The mbuf chain, when the application wants its own. @spare: for the first segment; NULL: there
 * were none for the others, nothing has been done. */
static inline struct rte_mbuf *
rx_build_attached(struct avph_rx_queue *queue, const struct avpd_pkt *pkt, struct rte_mbuf *spare,
		uint32_t *nb_spare)
{
	struct rte_mbuf *more[AVP_MAX_SEGS];
	const uint32_t nb_more = pkt->nb_segs - 1u;
	struct rte_mbuf *head, *last;
	uint32_t used = 0;

	if (unlikely(nb_more > 0) && rte_pktmbuf_alloc_bulk(queue->app_pool, more, nb_more) != 0)
		return NULL;
	head = rx_attach(queue, rx_held(queue->mem, &pkt->seg[0]), &pkt->seg[0], spare, nb_spare);
	last = head;
	for (uint32_t i = 1; unlikely(i < pkt->nb_segs); i++)
		rx_append(head, &last,
				rx_attach(queue, rx_held(queue->mem, &pkt->seg[i]), &pkt->seg[i],
						more[used], &used));
	if (unlikely(used < nb_more))
		rte_pktmbuf_free_bulk(&more[used], nb_more - used);
	return head;
}

/* The packet with label @label: checked, and what was claimed for a chain of it in @chain. */
static inline enum avpd_check
rx_check(struct avph_rx_queue *queue, struct avph_rx_lane *lane, uint64_t label, uint32_t idx,
		const bool recycle, struct avpd_pkt *pkt, struct rx_claim *chain,
		uint32_t *nb_chain)
{
	struct avph_mem *mem = queue->mem;

	*nb_chain = 0;
	if (recycle && likely(idx != AVPD_NO_BUF)) {
		const uint64_t next_va = avpd_desc_peek_next(&mem->bufs, idx);

		if (unlikely(next_va != 0))
			*nb_chain = rx_claim_chain(queue, lane, next_va, chain);
	}
	return avpd_check_pkt(&mem->bufs, mem->owners, lane->owner, AVP_MAX_PKT_SIZE, label, pkt);
}

/* Take up to AVPH_BURST entries of a lane. Returns the number of packets; @nb_used is the number of
 * entries, bad ones included. @spare: mbufs of the application, for attaching; @nb_spare of them
 * have been used on return. */
static inline uint16_t
rx_chunk(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rte_mbuf **pkts,
		uint32_t nb, const bool recycle, struct rte_mbuf **spare, uint32_t *nb_spare,
		struct rx_sum *sum, uint32_t *nb_used)
{
	struct avph_mem *mem = queue->mem;
	struct rx_claim claims[AVPH_BURST];
	uint64_t labels[AVPH_BURST];
	uint16_t nb_pkts = 0;
	uint32_t i;

	for (i = 0; i < nb; i++)
		labels[i] = avp_fifo_at(&lane->tx, i);
	rx_prefetch(mem, labels, nb, claims);
	if (recycle)
		rx_claim_heads(queue, lane, claims, nb);
	for (i = 0; i < nb; i++) {
		struct rx_claim chain[AVP_MAX_SEGS - 1];
		struct avpd_pkt pkt;
		struct rte_mbuf *mbuf;
		uint32_t nb_chain;
		const enum avpd_check check = rx_check(queue, lane, labels[i], claims[i].idx,
				recycle, &pkt, chain, &nb_chain);

		if (unlikely(check != AVPD_CHECK_OK)) {
			rx_take(mem, lane, &pkt);
			rx_drop(queue, &pkt, check);
			if (recycle)
				rx_drop_claims(queue, lane, chain, nb_chain);
			continue;
		}
		/* nobody receives a packet without looking at its addresses */
		avp_prefetch_write((const uint8_t *)avpd_buf_ptr(&mem->bufs, pkt.seg[0].buf_idx) +
				pkt.seg[0].data_off);
		if (spare == NULL) {
			mbuf = rx_build_fixed(queue, &pkt);
		} else {
			mbuf = rx_build_attached(queue, &pkt, spare[*nb_spare], nb_spare);
			if (unlikely(mbuf == NULL)) {
				rx_count(queue, AVPH_RX_NO_MBUF, 1);
				rx_unclaim(queue, lane, chain, nb_chain);
				rx_unclaim(queue, lane, &claims[i], nb - i);
				break;
			}
		}
		rx_take(mem, lane, &pkt);
		if (recycle && unlikely(nb_chain > 0))
			rx_drop_claims(queue, lane, chain, nb_chain);
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

/* Receive from a lane: at most @nb_pkts entries, good or bad. */
static inline uint16_t
rx_lane(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rte_mbuf **pkts,
		uint16_t nb_pkts, const bool recycle, struct rx_sum *sum)
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
			nb_done += rx_chunk(queue, lane, &pkts[nb_done], nb, recycle, NULL, NULL,
					sum, &nb_used);
		} else {
			nb = rx_get_spare(queue->app_pool, spare, nb);
			if (unlikely(nb == 0)) {
				rx_count(queue, AVPH_RX_NO_MBUF, 1);
				break;
			}
			nb_done += rx_chunk(queue, lane, &pkts[nb_done], nb, recycle, spare,
					&nb_spare, sum, &nb_used);
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
rx_refill(struct avph_rx_queue *queue, struct avph_rx_lane *lane, const bool as_is)
{
	struct avph_mem *mem = queue->mem;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t want = lane->max_alloc - lane->nb_alloc;

	if (likely(want < REFILL_MIN || lane->nb_alloc > lane->max_alloc))
		return;
	want = RTE_MIN(want, avp_fifo_room(&lane->alloc, want, &fault));
	rx_count_fault(queue, AVPH_RX_ALLOC_FIFO_FAULT, fault);
	while (want > 0) {
		struct rte_mbuf *mbufs[AVPH_BURST];
		const uint32_t ask = RTE_MIN(want, AVPH_BURST);
		const uint32_t nb = rx_get_fixed(queue->fixed_pool, mbufs, ask);

		avp_fifo_prefetch_put(&lane->alloc, nb);
		for (uint32_t i = 0; i < nb && !as_is; i++)
			avph_buf_prefetch_desc(mbufs[i]);
		for (uint32_t i = 0; i < nb; i++) {
			uint32_t idx = 0;

			avph_buf_of_mbuf(&mem->bufs, mbufs[i], &idx);
			RTE_ASSERT(avph_owner_get(mem->owners, idx) == AVPH_OWNER_HOST);
			mem->held[idx] = avph_held(mbufs[i], 0);
			avph_owner_set(mem->owners, idx, lane->owner);
			/* with "recycle" or "compact" the guest takes it as it is */
			if (!as_is)
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

void
avph_rx_fill(struct avph_rx_queue *queue)
{
	for (uint16_t i = 0; i < queue->nb_lanes; i++)
		rx_refill(queue, queue->lanes[i], queue->recycle || queue->compact);
}

/* The burst, for a guest that may send what it got, or not. */
static inline uint16_t
rx_burst(struct avph_rx_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts, const bool recycle)
{
	struct rx_sum sum = {0};
	uint16_t nb_done = 0;
	uint16_t n;

	/* Each burst begins with another lane, so that none waits for ever behind a busy one. */
	n = queue->next;
	for (uint16_t i = 0; i < queue->nb_lanes; i++) {
		struct avph_rx_lane *lane = queue->lanes[n];

		if (queue->compact)
			nb_done += avph_rx_lane_compact(
					queue, lane, &pkts[nb_done], nb_pkts - nb_done, &sum);
		else
			nb_done += rx_lane(queue, lane, &pkts[nb_done], nb_pkts - nb_done, recycle,
					&sum);
		rx_refill(queue, lane, recycle || queue->compact);
		n = n + 1 < queue->nb_lanes ? n + 1 : 0;
	}
	queue->next = n + 1 < queue->nb_lanes ? n + 1 : 0;
	if (nb_done > 0) {
		rx_count(queue, AVPH_RX_PACKETS, sum.packets);
		rx_count(queue, AVPH_RX_BYTES, sum.bytes);
	}
	return nb_done;
}

uint16_t
avph_rx_burst(void *arg, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avph_rx_queue *queue = arg;
	uint16_t nb_done;

	if (unlikely(!avp_gate_enter(&queue->gate)))
		return 0;
	if (queue->recycle)
		nb_done = rx_burst(queue, pkts, nb_pkts, true);
	else
		nb_done = rx_burst(queue, pkts, nb_pkts, false);
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

		if (queue->compact) {
			nb += avp_cring_waiting(&queue->lanes[i]->ctx, UINT32_MAX);
			continue;
		}
		nb += avp_fifo_avail(tx, tx->len, &fault);
		rx_count_fault(queue, AVPH_RX_TX_FIFO_FAULT, fault);
	}
	avp_gate_leave(&queue->gate);
	return nb;
}
