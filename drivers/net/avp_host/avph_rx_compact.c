/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Host receive from compact rings: avph_rx.c for all that is not said here.
 *
 * How it works
 * The entries of a burst are read once, into private memory. Then each entry's buffer is claimed by
 * itself, whatever packet it belongs to: if the guest may give it, it is the host's from here on.
 * The last pass makes mbufs of packets. A packet is good when all of its entries are; of a bad one
 * the buffers that were claimed go back to their pools.
 *
 * With "recycle" a buffer may also be one that the guest got on an rx FIFO. Those are claimed under
 * the lock of the lane that gave them (avph_buf.h), which is kept from one entry to the next.
 */

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "avp_mbuf.h"
#include "avph_rx.h"

/* Entries that are looked at together: a burst, and the rest of a chain. */
#define MAX_ENTRIES (AVPH_BURST + AVP_MAX_SEGS - 1)

/* Claimed buffers of one lane that gave them, not counted yet. */
struct claims {
	struct avph_returns *locked; /* where they are counted; its lock is held. NULL: none */
	uint32_t nb;
	uint32_t nb_ptr;
};

/* Hold the lock @to, which may be NULL, and no other. */
static inline void
claims_move(struct claims *claims, struct avph_returns *to)
{
	struct avph_returns *from = claims->locked;

	if (likely(from == to))
		return;
	if (from != NULL) {
		avph_count_u32(&from->nb, claims->nb);
		avph_count_u32(&from->nb_ptr, claims->nb_ptr);
		claims->nb = 0;
		claims->nb_ptr = 0;
	}
	rx_lock(&claims->locked, to);
}

/* Take a buffer that the guest got on an rx FIFO. False: another lcore has it by now. */
static inline bool
claim_given(struct avph_rx_queue *queue, struct claims *claims, uint32_t idx, uint16_t owner)
{
	struct avph_mem *mem = queue->mem;

	claims_move(claims, &queue->tx_lanes[avph_owner_lane(owner)].back);
	if (unlikely(avph_owner_get_given(mem->owners, idx) != owner))
		return false;
	claims->nb++;
	claims->nb_ptr += (mem->held[idx] & AVPH_HELD_OWN) == 0;
	return true;
}

/* Claim the buffers of @nb entries, and fetch what is behind them. @mbufs: out, what is held of
 * each; NULL where it was not the guest's to give. */
static inline void
rx_claim_all(struct avph_rx_queue *queue, struct avph_rx_lane *lane,
		const struct avp_cring_words *words, uint32_t nb, struct rte_mbuf **mbufs)
{
	struct avph_mem *mem = queue->mem;
	const bool recycle = queue->recycle;
	struct claims claims = {0};
	uint32_t nb_alloc = 0;

	for (uint32_t i = 0; i < nb; i++) {
		const uint32_t idx = avp_cring_buf_idx(words[i].place);
		uint16_t owner;

		mbufs[i] = NULL;
		if (unlikely(idx >= mem->bufs.nb_bufs))
			continue;
		owner = avph_owner_get(mem->owners, idx);
		if (owner == lane->owner)
			nb_alloc++;
		else if (unlikely(!recycle || !avph_owner_is_rx(owner, lane->owner) ||
					 !claim_given(queue, &claims, idx, owner)))
			continue;
		avph_owner_set(mem->owners, idx, AVPH_OWNER_HOST);
		mbufs[i] = avph_held_mbuf(mem->held[idx]);
		rte_prefetch0(mbufs[i]);
		/* nobody receives a packet without looking at its addresses, and few without
		 * writing them */
		avp_prefetch_write((const uint8_t *)avpd_buf_ptr(&mem->bufs, idx) +
				avp_cring_data_off(words[i].place));
	}
	claims_move(&claims, NULL);
	lane->nb_alloc -= nb_alloc;
}

/* What is wrong with a packet of @nb entries. @pkt: out, as far as it is good. */
static enum avpd_check
rx_check_entries(const struct avpd_bufs *bufs, const struct avp_cring_words *words, uint32_t nb,
		struct rte_mbuf *const *mbufs, struct avpd_pkt *pkt)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < nb; i++) {
		const enum avpd_check check = avpd_check_place(bufs, words[i].place, &pkt->seg[i]);

		if (check == AVPD_CHECK_BAD_RANGE)
			return check;
		if (mbufs[i] == NULL)
			return AVPD_CHECK_BAD_OWNER;
		if (check != AVPD_CHECK_OK)
			return check;
		sum += pkt->seg[i].data_len;
	}
	if ((words[nb - 1].state & AVP_CDESC_MORE) != 0)
		return AVPD_CHECK_BAD_CHAIN;
	if (nb > 1 && pkt->seg[0].data_len < AVP_MIN_PKT_SIZE)
		return AVPD_CHECK_BAD_DATA_LEN;
	pkt->nb_segs = (uint8_t)nb;
	pkt->pkt_len = sum;
	pkt->ol_flags = (words[0].state & AVP_CDESC_VLAN) != 0 ? AVP_DESC_TX_VLAN : 0;
	pkt->vlan_tci = avp_cring_vlan_tci(words[0].state);
	return sum < AVP_MIN_PKT_SIZE || sum > AVP_MAX_PKT_SIZE ? AVPD_CHECK_BAD_PKT_LEN
								: AVPD_CHECK_OK;
}

/* Any packet: with tags, in several segments, bad. @nb: its entries. NULL: dropped and counted.
 * @used counts the mbufs of @spare that are in it. */
static __rte_noinline struct rte_mbuf *
rx_any(struct avph_rx_queue *queue, const struct avp_cring_words *words, uint32_t nb,
		struct rte_mbuf **mbufs, struct rte_mbuf **spare, uint32_t *used)
{
	struct rte_mbuf *head = NULL, *last = NULL;
	struct avpd_pkt pkt;
	const enum avpd_check check = rx_check_entries(&queue->mem->bufs, words, nb, mbufs, &pkt);

	if (unlikely(check != AVPD_CHECK_OK)) {
		for (uint32_t i = 0; i < nb; i++)
			if (mbufs[i] != NULL)
				rte_pktmbuf_free_seg(mbufs[i]);
		rx_count(queue, (enum avph_rx_counter)(AVPH_RX_DROP_FIRST + check - 1), 1);
		return NULL;
	}
	for (uint32_t i = 0; i < nb; i++) {
		struct rte_mbuf *mbuf = mbufs[i];

		if (spare == NULL)
			rx_set_fixed(mbuf, &pkt.seg[i], queue->port_id);
		else
			mbuf = rx_attach(queue, mbuf, &pkt.seg[i], spare[*used], used);
		if (head == NULL)
			head = last = mbuf;
		else
			rx_append(head, &last, mbuf);
	}
	if (nb > 1)
		rx_count(queue, AVPH_RX_CHAINS, 1);
	if ((queue->vlan_strip || pkt.ol_flags != 0) && !rx_vlan(queue, &pkt, head)) {
		rte_pktmbuf_free(head);
		rx_count(queue, AVPH_RX_DROP_NO_HEADROOM, 1);
		return NULL;
	}
	return head;
}

/* The usual packet: one entry, good, and no tag that has to be put into it. */
static inline bool
rx_is_simple(const struct avpd_bufs *bufs, const struct avp_cring_words *words,
		const struct rte_mbuf *mbuf, uint64_t special, struct avpd_seg *seg)
{
	return likely((words->state & special) == 0) && likely(mbuf != NULL) &&
			likely(avpd_check_place(bufs, words->place, seg) == AVPD_CHECK_OK) &&
			likely(seg->data_len >= AVP_MIN_PKT_SIZE);
}

/* The entries of one packet, from the first of @nb on. */
static inline uint32_t
rx_nb_entries(const struct avp_cring_words *words, uint32_t nb)
{
	uint32_t n = 0;

	while ((words[n++].state & AVP_CDESC_MORE) != 0 && n < nb && n < AVP_MAX_SEGS)
		;
	return n;
}

/* Make mbufs of claimed entries. @spare: as many mbufs of the application, or NULL; @used counts
 * those taken. */
static inline uint16_t
rx_build(struct avph_rx_queue *queue, const struct avp_cring_words *words, uint32_t nb,
		struct rte_mbuf **mbufs, struct rte_mbuf **spare, uint32_t *used,
		struct rte_mbuf **pkts, struct rx_sum *sum)
{
	const struct avpd_bufs *bufs = &queue->mem->bufs;
	const bool strip = queue->vlan_strip;
	const uint64_t special = strip ? AVP_CDESC_MORE : AVP_CDESC_MORE | AVP_CDESC_VLAN;
	struct rte_mbuf *looked_at[MAX_ENTRIES]; /* those that may have a tag in the data */
	uint32_t nb_looked_at = 0;
	uint16_t nb_pkts = 0;
	uint32_t n;

	for (uint32_t i = 0; i < nb; i += n) {
		struct rte_mbuf *mbuf = mbufs[i];
		struct avpd_seg seg;

		n = 1;
		if (spare == NULL && rx_is_simple(bufs, &words[i], mbuf, special, &seg)) {
			avp_mbuf_set(mbuf, queue->rearm, seg.data_off - sizeof(struct avp_desc),
					seg.data_len);
			if (unlikely((words[i].state & AVP_CDESC_VLAN) != 0))
				avp_vlan_tell(mbuf, avp_cring_vlan_tci(words[i].state));
			else if (strip)
				looked_at[nb_looked_at++] = mbuf;
		} else {
			n = rx_nb_entries(&words[i], nb - i);
			mbuf = rx_any(queue, &words[i], n, &mbufs[i], spare, used);
			if (unlikely(mbuf == NULL))
				continue;
		}
		sum->bytes += mbuf->pkt_len;
		pkts[nb_pkts++] = mbuf;
	}
	/* last, as the data may still be on its way here */
	for (uint32_t i = 0; i < nb_looked_at; i++)
		if (unlikely(avp_vlan_strip(looked_at[i])))
			sum->bytes -= AVP_VLAN_SIZE;
	return nb_pkts;
}

/* Up to AVPH_BURST packets. @nb_done: out, those that were taken, bad ones included. */
static inline uint16_t
rx_chunk(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rte_mbuf **pkts,
		uint32_t want, struct rx_sum *sum, uint32_t *nb_done)
{
	struct avp_cring_words words[MAX_ENTRIES];
	struct rte_mbuf *mbufs[MAX_ENTRIES];
	struct rte_mbuf *spare[MAX_ENTRIES];
	struct rte_mempool *pool = queue->app_pool;
	uint32_t nb = avp_cring_fetch(&lane->ctx, words, MAX_ENTRIES, &want);
	uint32_t used = 0;
	uint16_t nb_pkts;

	*nb_done = 0;
	/* each entry may need an mbuf: with fewer than that, fewer packets */
	while (unlikely(pool != NULL) && nb > 0 && rte_pktmbuf_alloc_bulk(pool, spare, nb) != 0) {
		want /= 2;
		nb = avp_cring_fetch(&lane->ctx, words, MAX_ENTRIES, &want);
		if (nb == 0)
			rx_count(queue, AVPH_RX_NO_MBUF, 1);
	}
	if (nb == 0)
		return 0;
	rx_claim_all(queue, lane, words, nb, mbufs);
	nb_pkts = rx_build(queue, words, nb, mbufs, pool != NULL ? spare : NULL, &used, pkts, sum);
	if (unlikely(pool != NULL && used < nb))
		rte_pktmbuf_free_bulk(&spare[used], nb - used);
	avp_cring_get_done(&lane->ctx, nb);
	*nb_done = want;
	return nb_pkts;
}

uint16_t
avph_rx_lane_compact(struct avph_rx_queue *queue, struct avph_rx_lane *lane, struct rte_mbuf **pkts,
		uint16_t nb_pkts, struct rx_sum *sum)
{
	uint16_t nb_good = 0;
	uint16_t nb = 0;

	while (nb < nb_pkts) {
		const uint32_t want = RTE_MIN((uint32_t)(nb_pkts - nb), AVPH_BURST);
		uint32_t nb_done;

		nb_good += rx_chunk(queue, lane, &pkts[nb_good], want, sum, &nb_done);
		nb = (uint16_t)(nb + nb_done);
		if (nb_done < want)
			break;
	}
	sum->packets += nb_good;
	return nb_good;
}
