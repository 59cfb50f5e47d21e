/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Host transmit: mbufs go to the guest's rx FIFOs, and what it has returned on its free FIFOs is
 * freed.
 *
 * How it works
 * A packet all of whose buffers lie in the port's memory, used by nobody else, is passed by
 * pointer: its head's label goes on the FIFO, and the mbufs are kept until the guest returns the
 * label. Any other packet is copied into buffers of the port's own pool, 2048 bytes each. Either
 * way a struct avpd_pkt describes it, and one function writes the descriptors from that.
 *
 * A packet that cannot be placed now (FIFO full, pool empty) ends the burst: it and those behind it
 * stay the application's. A packet that never can be is dropped and counted.
 */

#include <string.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "avp_vlan.h"
#include "avph_hash.h"
#include "avph_port.h"

/* How far ahead the buffers of packets are fetched. */
#define PREFETCH_AHEAD 32u

/* What happened to a packet. */
enum tx_result {
	TX_GIVEN,   /* the guest has it */
	TX_DROPPED, /* freed and counted */
	TX_BLOCKED, /* not now */
};

/* Fixed mbufs of the port's pool, got in bulk for the copies of one burst. */
struct tx_stash {
	struct rte_mbuf *mbufs[AVPH_BURST];
	uint32_t nb;
};

struct tx_sum {
	uint64_t packets;
	uint64_t bytes;
	uint64_t copied;
};

/* What is done to the packet's data about a VLAN tag. */
enum tx_tag {
	TX_TAG_KEEP,   /* nothing */
	TX_TAG_INSERT, /* tci into the data */
	TX_TAG_REMOVE, /* the tag in the data, which is tci */
};

/* What is done about VLAN tags of a packet on its way to the guest. (One enum, not two booleans:
 * gcc tests those with one load, which stalls on the two stores before it.) */
struct tx_vlan {
	enum tx_tag tag;
	uint16_t ol_flags; /* AVP_DESC_RX_VLAN, or 0 */
	uint16_t tci;
};

static inline void
tx_count(struct avph_tx_queue *queue, enum avph_tx_counter counter, uint64_t n)
{
	avph_count(&queue->stats.count[counter], n);
}

static inline void
tx_count_fault(struct avph_tx_queue *queue, enum avph_tx_counter first, enum avp_fifo_fault fault)
{
	if (unlikely(fault != AVP_FIFO_OK))
		tx_count(queue, (enum avph_tx_counter)(first + fault - 1), 1);
}

/*
 * Returned buffers
 */

/* How many mbufs of a packet that the guest had are others' than the port's own? */
static inline uint32_t
tx_nb_ptr(const struct avph_tx_queue *queue, const struct rte_mbuf *mbuf)
{
	uint32_t nb = 0;

	for (; mbuf != NULL; mbuf = mbuf->next)
		nb += mbuf->pool != queue->fixed_pool;
	return nb;
}

/* Free what the guest has returned. Nobody else has had it meanwhile: what was in the state of the
 * pool then is so now, and goes back in bulk. */
static inline void
tx_release(struct avph_tx_queue *queue, struct avph_tx_lane *lane, const uintptr_t *held,
		uint32_t nb)
{
	struct rte_mempool *pool = queue->fixed_pool;
	struct rte_mbuf *other[AVPH_BURST];
	void *raw[AVPH_BURST];
	uint32_t nb_other = 0;
	uint32_t nb_raw = 0;

	for (uint32_t i = 0; i < nb; i++) {
		struct rte_mbuf *mbuf = avph_held_mbuf(held[i]);
		const bool own = (held[i] & AVPH_HELD_OWN) != 0;
		struct rte_mempool *from;

		if (unlikely((held[i] & AVPH_HELD_RAW) == 0)) {
			lane->nb_ptr -= own ? 0 : tx_nb_ptr(queue, mbuf);
			other[nb_other++] = mbuf;
			continue;
		}
		lane->nb_ptr -= own ? 0 : 1;
		from = own ? queue->fixed_pool : mbuf->pool;
		if (unlikely(from != pool)) {
			rte_mempool_put_bulk(pool, raw, nb_raw);
			nb_raw = 0;
			pool = from;
		}
		raw[nb_raw++] = mbuf;
	}
	rte_mempool_put_bulk(pool, raw, nb_raw);
	if (unlikely(nb_other > 0))
		rte_pktmbuf_free_bulk(other, nb_other);
}

/* Check up to AVPH_BURST labels that the guest has returned, and free what they name. */
static inline uint32_t
tx_reap_chunk(struct avph_tx_queue *queue, struct avph_tx_lane *lane, uint32_t nb)
{
	struct avph_mem *mem = queue->mem;
	uintptr_t held[AVPH_BURST];
	uint32_t nb_good = 0;

	if (queue->recycle)
		rte_spinlock_lock(&lane->back.lock);
	for (uint32_t i = 0; i < nb; i++) {
		uint32_t idx;
		const enum avpd_check check = avpd_check_buf(&mem->bufs, mem->owners, lane->owner,
				avp_fifo_at(&lane->free, i), &idx);

		if (unlikely(check != AVPD_CHECK_OK)) {
			tx_count(queue, (enum avph_tx_counter)(AVPH_TX_FREE_FIRST + check - 1), 1);
			continue;
		}
		avph_owner_set(mem->owners, idx, AVPH_OWNER_HOST);
		held[nb_good] = mem->held[idx];
		if ((held[nb_good] & AVPH_HELD_OWN) == 0)
			rte_prefetch0(avph_held_mbuf(held[nb_good]));
		nb_good++;
	}
	if (queue->recycle)
		rte_spinlock_unlock(&lane->back.lock);
	avp_fifo_get_done(&lane->free, nb);
	lane->nb_held -= nb_good;
	tx_release(queue, lane, held, nb_good);
	return nb_good;
}

/* Take back all that the guest has returned on a lane; at most a FIFO full. */
static uint32_t
tx_reap_lane(struct avph_tx_queue *queue, struct avph_tx_lane *lane)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t avail = avp_fifo_avail(&lane->free, lane->free.len, &fault);
	uint32_t nb_good = 0;

	tx_count_fault(queue, AVPH_TX_FREE_FIFO_FAULT, fault);
	while (avail > 0) {
		const uint32_t nb = RTE_MIN(avail, AVPH_BURST);

		nb_good += tx_reap_chunk(queue, lane, nb);
		avail -= nb;
	}
	return nb_good;
}

/*
 * VLAN
 */

static inline struct tx_vlan
tx_vlan(const struct avph_tx_queue *queue, const struct rte_mbuf *mbuf)
{
	struct tx_vlan vlan = {0};

	if (mbuf->ol_flags & RTE_MBUF_F_TX_VLAN) {
		vlan.tci = mbuf->vlan_tci;
		vlan.tag = queue->vlan ? TX_TAG_KEEP : TX_TAG_INSERT;
		vlan.ol_flags = queue->vlan ? AVP_DESC_RX_VLAN : 0;
	} else if (queue->vlan && avp_vlan_tagged(mbuf, &vlan.tci)) {
		vlan.tag = TX_TAG_REMOVE;
		vlan.ol_flags = AVP_DESC_RX_VLAN;
	}
	return vlan;
}

/* Bytes of packet that the guest will see. */
static inline uint32_t
tx_vlan_len(const struct tx_vlan *vlan, uint32_t pkt_len)
{
	switch (vlan->tag) {
	case TX_TAG_INSERT:
		return pkt_len + AVP_VLAN_SIZE;
	case TX_TAG_REMOVE:
		return pkt_len - AVP_VLAN_SIZE;
	case TX_TAG_KEEP:
		break;
	}
	return pkt_len;
}

/* Change the tag in place. */
static inline void
tx_vlan_apply(const struct tx_vlan *vlan, struct rte_mbuf *mbuf)
{
	if (vlan->tag == TX_TAG_INSERT)
		avp_vlan_insert(mbuf, vlan->tci);
	else
		avp_vlan_remove(mbuf);
}

/*
 * By pointer
 */

/* Describe a packet that can be passed as it is; false: it must be copied. */
static inline bool
tx_describe(const struct avph_tx_queue *queue, const struct rte_mbuf *mbuf, struct avpd_pkt *pkt)
{
	const struct avpd_bufs *bufs = &queue->mem->bufs;
	const uint32_t nb_segs = mbuf->nb_segs;
	uint32_t len = 0;

	/* the guest's simple path takes no chains */
	if (nb_segs > (queue->chains ? AVP_MAX_SEGS : 1))
		return false;
	for (uint32_t i = 0;; mbuf = mbuf->next) {
		struct avpd_seg *seg = &pkt->seg[i];

		if (!avph_buf_is_sole(bufs, mbuf, &seg->buf_idx))
			return false;
		seg->data_off = (uint16_t)(mbuf->data_off + sizeof(struct avp_desc));
		seg->data_len = mbuf->data_len;
		len += mbuf->data_len;
		if (likely(++i == nb_segs))
			break;
	}
	pkt->nb_segs = (uint8_t)nb_segs;
	pkt->pkt_len = len;
	return true;
}

/* What to hold for a packet that nobody else has. */
static inline uintptr_t
tx_hold(struct rte_mbuf *mbuf, uint32_t nb_ptr)
{
	uintptr_t marks = nb_ptr == 0 ? AVPH_HELD_OWN : 0;

	/* a fixed mbuf itself, not one to which its buffer is attached */
	if (likely(mbuf->nb_segs == 1 && mbuf->shinfo->fcb_opaque == mbuf)) {
		mbuf->ol_flags = RTE_MBUF_F_EXTERNAL;
		marks |= AVPH_HELD_RAW;
	}
	return avph_held(mbuf, marks);
}

/* The buffers of a chain become the guest's one by one: it may return them so. Their mbufs are
 * nobody's else: take the chain of them apart. */
static __rte_noinline void
tx_give_each(struct avph_tx_queue *queue, struct avph_tx_lane *lane, const struct avpd_pkt *pkt,
		struct rte_mbuf *mbuf)
{
	struct avph_mem *mem = queue->mem;

	for (uint32_t i = 0; i < pkt->nb_segs; i++) {
		const uint32_t idx = pkt->seg[i].buf_idx;
		struct rte_mbuf *next = mbuf->next;

		mbuf->next = NULL;
		mbuf->nb_segs = 1;
		mem->held[idx] = tx_hold(mbuf, mbuf->pool != queue->fixed_pool);
		RTE_ASSERT(avph_owner_get(mem->owners, idx) == AVPH_OWNER_HOST);
		avph_owner_set_given(mem->owners, idx, lane->owner);
		mbuf = next;
	}
	lane->nb_held += pkt->nb_segs;
}

/* An entry for each segment. */
static inline void
tx_put_compact(struct avph_tx_lane *lane, const struct avpd_pkt *pkt)
{
	uint16_t flags = pkt->ol_flags != 0 ? AVP_CDESC_VLAN : 0;
	const uint32_t last = pkt->nb_segs - 1u;

	for (uint32_t i = 0; unlikely(i < last); i++) {
		const struct avpd_seg *seg = &pkt->seg[i];

		avp_cring_set(&lane->crx, lane->nb_put++,
				avp_cring_place(seg->buf_idx, seg->data_off, seg->data_len),
				avp_cring_state(flags | AVP_CDESC_MORE, pkt->vlan_tci));
		flags = 0;
	}
	avp_cring_set(&lane->crx, lane->nb_put++,
			avp_cring_place(pkt->seg[last].buf_idx, pkt->seg[last].data_off,
					pkt->seg[last].data_len),
			avp_cring_state(flags, last == 0 ? pkt->vlan_tci : 0));
}

/* The packet's buffers become the guest's. */
static inline void
tx_give(struct avph_tx_queue *queue, struct avph_tx_lane *lane, const struct avpd_pkt *pkt,
		uintptr_t held, const bool compact)
{
	struct avph_mem *mem = queue->mem;
	const uint32_t head = pkt->seg[0].buf_idx;

	RTE_ASSERT(avph_owner_get(mem->owners, head) == AVPH_OWNER_HOST);
	if (unlikely(pkt->nb_segs > 1))
		tx_count(queue, AVPH_TX_CHAINS, 1);
	if (unlikely(pkt->nb_segs > 1 && queue->each)) {
		tx_give_each(queue, lane, pkt, avph_held_mbuf(held));
	} else {
		mem->held[head] = held;
		avph_owner_set_given(mem->owners, head, lane->owner);
		lane->nb_held++;
	}
	if (compact) {
		tx_put_compact(lane, pkt);
		return;
	}
	if (likely(pkt->nb_segs == 1))
		avpd_desc_write_seg(&mem->bufs, &pkt->seg[0], AVPD_NO_BUF, 1, pkt->pkt_len,
				pkt->ol_flags, pkt->vlan_tci);
	else
		avpd_desc_write_pkt(&mem->bufs, pkt);
	avp_fifo_set(&lane->rx, lane->nb_put++, avpd_buf_va(&mem->bufs, head));
}

static inline bool
tx_by_pointer(struct avph_tx_queue *queue, struct avph_tx_lane *lane, struct rte_mbuf *mbuf,
		const struct tx_vlan *vlan, const bool compact)
{
	struct avpd_pkt pkt;
	uint32_t nb_ptr;

	if (!tx_describe(queue, mbuf, &pkt) || pkt.pkt_len != mbuf->pkt_len)
		return false;
	if (unlikely(vlan->tag == TX_TAG_INSERT && !avp_vlan_has_room(mbuf)))
		return false;
	nb_ptr = tx_nb_ptr(queue, mbuf);
	if (unlikely(lane->nb_ptr + nb_ptr > lane->max_ptr))
		return false;
	if (unlikely(vlan->tag != TX_TAG_KEEP)) {
		tx_vlan_apply(vlan, mbuf);
		pkt.seg[0].data_off = (uint16_t)(mbuf->data_off + sizeof(struct avp_desc));
		pkt.seg[0].data_len = mbuf->data_len;
		pkt.pkt_len = mbuf->pkt_len;
	}
	pkt.ol_flags = vlan->ol_flags;
	pkt.vlan_tci = vlan->ol_flags != 0 ? vlan->tci : 0;
	lane->nb_ptr += nb_ptr;
	tx_give(queue, lane, &pkt, tx_hold(mbuf, nb_ptr), compact);
	return true;
}

/*
 * By copy
 */

/* Have at least @nb mbufs in the stash. @more: how many the burst may still need. */
static inline bool
tx_stash_fill(struct avph_tx_queue *queue, struct avph_tx_lane *lane, struct tx_stash *stash,
		uint32_t nb, uint32_t more)
{
	struct rte_mempool *pool = queue->fixed_pool;
	const uint32_t bulk = RTE_MIN(RTE_MAX(nb, more), AVPH_BURST) - stash->nb;

	if (likely(stash->nb >= nb))
		return true;
	if (likely(rte_mempool_get_bulk(pool, (void **)&stash->mbufs[stash->nb], bulk) == 0)) {
		stash->nb += bulk;
		return true;
	}
	/* the rest may be waiting on the free FIFO */
	tx_reap_lane(queue, lane);
	if (rte_mempool_get_bulk(pool, (void **)&stash->mbufs[stash->nb], nb - stash->nb) == 0) {
		stash->nb = nb;
		return true;
	}
	return false;
}

static inline void
tx_stash_empty(struct avph_tx_queue *queue, struct tx_stash *stash)
{
	if (unlikely(stash->nb > 0))
		rte_mempool_put_bulk(queue->fixed_pool, (void **)stash->mbufs, stash->nb);
}

/* Copies bytes of an mbuf chain into a chain of fixed mbufs. */
struct tx_copy {
	struct avpd_pkt *pkt;
	struct rte_mbuf *head;
	struct rte_mbuf *last;
	struct tx_stash *stash;
	const struct avpd_bufs *bufs;
	avp_copy_fn wide_copy;
	uint32_t room; /* in last */
};

/* Append an empty buffer. */
static inline void
copy_add_buf(struct tx_copy *copy)
{
	struct rte_mbuf *mbuf = copy->stash->mbufs[--copy->stash->nb];
	struct avpd_pkt *pkt = copy->pkt;
	struct avpd_seg *seg = &pkt->seg[pkt->nb_segs++];

	avph_buf_of_mbuf(copy->bufs, mbuf, &seg->buf_idx);
	seg->data_off = (uint16_t)copy->bufs->data_off;
	seg->data_len = 0;
	copy->room = copy->bufs->data_size;
	if (copy->head == NULL) {
		copy->head = mbuf;
	} else {
		copy->last->next = mbuf;
		copy->head->nb_segs++;
	}
	copy->last = mbuf;
}

static inline void
copy_bytes(struct tx_copy *copy, const uint8_t *data, uint32_t size)
{
	while (size > 0) {
		struct avpd_seg *seg;
		uint8_t *to;
		uint32_t nb;

		if (copy->room == 0)
			copy_add_buf(copy);
		seg = &copy->pkt->seg[copy->pkt->nb_segs - 1];
		nb = RTE_MIN(size, copy->room);
		to = (uint8_t *)avpd_buf_ptr(copy->bufs, seg->buf_idx) + seg->data_off +
				seg->data_len;
		avp_copy(copy->wide_copy, to, data, nb);
		seg->data_len = (uint16_t)(seg->data_len + nb);
		copy->room -= nb;
		copy->pkt->pkt_len += nb;
		data += nb;
		size -= nb;
	}
}

/* Copy the addresses, and the tag if one is to be put in. Returns the bytes of the packet that are
 * dealt with, a tag that is to be left out included. */
static inline uint32_t
copy_with_vlan(struct tx_copy *copy, const struct rte_mbuf *mbuf, const struct tx_vlan *vlan)
{
	uint8_t head[AVP_MACS_SIZE + AVP_VLAN_SIZE];
	const uint8_t *macs = rte_pktmbuf_read(mbuf, 0, AVP_MACS_SIZE, head);

	if (macs != head)
		memcpy(head, macs, AVP_MACS_SIZE);
	if (vlan->tag == TX_TAG_INSERT)
		avp_vlan_write(head, vlan->tci);
	copy_bytes(copy, head, vlan->tag == TX_TAG_INSERT ? sizeof(head) : AVP_MACS_SIZE);
	return vlan->tag == TX_TAG_REMOVE ? sizeof(head) : AVP_MACS_SIZE;
}

/* Copy a packet; @len bytes of it will be seen by the guest. */
static inline bool
tx_by_copy(struct avph_tx_queue *queue, struct avph_tx_lane *lane, const struct rte_mbuf *mbuf,
		const struct tx_vlan *vlan, uint32_t len, struct tx_stash *stash, uint32_t more,
		const bool compact)
{
	struct avpd_pkt pkt = {.ol_flags = vlan->ol_flags};
	struct tx_copy copy = {.pkt = &pkt,
			.stash = stash,
			.bufs = &queue->mem->bufs,
			.wide_copy = queue->wide_copy};
	uint32_t skip = 0;
	uint32_t left = mbuf->pkt_len;

	/* data_size is 2048, a power of two: no division here */
	if (unlikely(!tx_stash_fill(queue, lane, stash,
			    (len + AVPD_BUF_DATA_SIZE - 1) / AVPD_BUF_DATA_SIZE, more)))
		return false;
	pkt.vlan_tci = vlan->ol_flags != 0 ? vlan->tci : 0;
	if (unlikely(vlan->tag != TX_TAG_KEEP)) {
		skip = copy_with_vlan(&copy, mbuf, vlan);
		left -= skip;
	}
	for (; mbuf != NULL && left > 0; mbuf = mbuf->next) {
		const uint32_t from = RTE_MIN(skip, (uint32_t)mbuf->data_len);
		const uint32_t nb = RTE_MIN(mbuf->data_len - from, left);

		copy_bytes(&copy, rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, from), nb);
		skip -= from;
		left -= nb;
	}
	tx_give(queue, lane, &pkt,
			avph_held(copy.head,
					pkt.nb_segs == 1 ? AVPH_HELD_OWN | AVPH_HELD_RAW
							 : AVPH_HELD_OWN),
			compact);
	return true;
}

/*
 * Bursts
 */

/* Entries of the rx FIFO that the packet may take: a chain, or what may become one with a tag, the
 * most of a compact ring. */
static inline uint32_t
tx_nb_entries(const struct rte_mbuf *mbuf, const bool compact)
{
	const uint32_t max_single = AVPD_BUF_DATA_SIZE - AVP_VLAN_SIZE;

	if (!compact || likely(mbuf->nb_segs == 1 && mbuf->pkt_len <= max_single))
		return 1;
	return AVP_MAX_SEGS;
}

/* Is there room for it? Chains may take more than one was looked for for each packet of the burst:
 * then all that there is counts. */
static inline bool
tx_has_room(struct avph_tx_queue *queue, struct avph_tx_lane *lane, const struct rte_mbuf *mbuf,
		const bool compact)
{
	const uint32_t nb = lane->nb_put + tx_nb_entries(mbuf, compact);
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (likely(nb <= lane->room))
		return true;
	if (!compact)
		return false;
	lane->room = avp_cring_room(&lane->crx, lane->crx.len, &fault);
	tx_count_fault(queue, AVPH_TX_RX_FIFO_FAULT, fault);
	return nb <= lane->room;
}

/* Who may have the buffer of an mbuf with one segment, and its number; false: it is not one that is
 * passed by pointer. */
static inline bool
tx_simple_buf(const struct avph_tx_queue *queue, const struct avph_tx_lane *lane,
		struct rte_mbuf *mbuf, uint32_t *idx, uintptr_t *marks)
{
	const struct avph_mbuf_priv *priv = (const struct avph_mbuf_priv *)(mbuf + 1);

	*marks = AVPH_HELD_RAW;
	if (likely(mbuf->pool == queue->fixed_pool)) {
		*idx = (uint32_t)priv->buf_idx;
		*marks |= AVPH_HELD_OWN;
		return rte_mbuf_refcnt_read(mbuf) == 1 &&
				rte_mbuf_ext_refcnt_read(&priv->shinfo) == 1;
	}
	return avph_buf_is_sole(&queue->mem->bufs, mbuf, idx) && mbuf->shinfo->fcb_opaque == mbuf &&
			lane->nb_ptr < lane->max_ptr;
}

/* Does the guest get the packet's bytes as they are? @tag: out, what it is told of a tag beside
 * them; AVP_DESC_RX_VLAN or 0. */
static inline bool
tx_is_as_needed(const struct avph_tx_queue *queue, const struct rte_mbuf *mbuf, uint16_t *tag)
{
	uint16_t tci;

	*tag = 0;
	if (likely(!queue->vlan))
		return likely((mbuf->ol_flags & RTE_MBUF_F_TX_VLAN) == 0);
	if ((mbuf->ol_flags & RTE_MBUF_F_TX_VLAN) == 0)
		return likely(!avp_vlan_tagged(mbuf, &tci));
	*tag = AVP_DESC_RX_VLAN;
	return true;
}

/* The usual packet: one fixed mbuf of this memory, its bytes as the guest gets them, nobody else's.
 * False: it is not, and nothing has been done. */
static inline bool
tx_simple(struct avph_tx_queue *queue, struct avph_tx_lane *lane, struct rte_mbuf *mbuf,
		struct tx_sum *sum, const bool compact)
{
	struct avph_mem *mem = queue->mem;
	const uint32_t len = mbuf->data_len;
	uintptr_t marks;
	uint16_t tag, tci;
	uint32_t idx;

	if (unlikely(mbuf->nb_segs != 1 || mbuf->pkt_len != len || len < AVP_MIN_PKT_SIZE ||
			    len > queue->max_pkt || mbuf->data_off + len > AVPH_BUF_LEN ||
			    lane->nb_put == lane->room || lane->nb_held > lane->max_held))
		return false;
	if (unlikely(!tx_is_as_needed(queue, mbuf, &tag)))
		return false;
	if (unlikely(!tx_simple_buf(queue, lane, mbuf, &idx, &marks)))
		return false;
	tci = tag != 0 ? mbuf->vlan_tci : 0;
	lane->nb_ptr += (marks & AVPH_HELD_OWN) == 0;
	mbuf->ol_flags = RTE_MBUF_F_EXTERNAL;
	mem->held[idx] = avph_held(mbuf, marks);
	RTE_ASSERT(avph_owner_get(mem->owners, idx) == AVPH_OWNER_HOST);
	avph_owner_set_given(mem->owners, idx, lane->owner);
	lane->nb_held++;
	if (compact) {
		avp_cring_set(&lane->crx, lane->nb_put++,
				avp_cring_place(idx, mbuf->data_off + sizeof(struct avp_desc), len),
				avp_cring_state(tag != 0 ? AVP_CDESC_VLAN : 0, tci));
	} else {
		const struct avpd_seg seg = {
				.buf_idx = idx,
				.data_off = (uint16_t)(mbuf->data_off + sizeof(struct avp_desc)),
				.data_len = (uint16_t)len,
		};

		avpd_desc_write_seg(&mem->bufs, &seg, AVPD_NO_BUF, 1, len, tag, tci);
		avp_fifo_set(&lane->rx, lane->nb_put++, avpd_buf_va(&mem->bufs, idx));
	}
	sum->packets++;
	sum->bytes += len;
	return true;
}

/* Give one packet to the guest. @more: packets of the burst from this one on. */
static inline enum tx_result
tx_one(struct avph_tx_queue *queue, struct avph_tx_lane *lane, struct rte_mbuf *mbuf,
		struct tx_stash *stash, uint32_t more, struct tx_sum *sum, const bool compact)
{
	struct tx_vlan vlan;
	uint32_t len = mbuf->pkt_len;

	if (unlikely(!tx_has_room(queue, lane, mbuf, compact) || lane->nb_held > lane->max_held)) {
		tx_count(queue, AVPH_TX_FIFO_FULL, 1);
		return TX_BLOCKED;
	}
	if (unlikely(len < AVP_MIN_PKT_SIZE)) {
		tx_count(queue, AVPH_TX_DROP_TOO_SHORT, 1);
		rte_pktmbuf_free(mbuf);
		return TX_DROPPED;
	}
	vlan = tx_vlan(queue, mbuf);
	len = tx_vlan_len(&vlan, len);
	if (unlikely(len > queue->max_pkt)) {
		tx_count(queue, AVPH_TX_DROP_TOO_LONG, 1);
		rte_pktmbuf_free(mbuf);
		return TX_DROPPED;
	}
	if (!tx_by_pointer(queue, lane, mbuf, &vlan, compact)) {
		if (unlikely(!tx_by_copy(queue, lane, mbuf, &vlan, len, stash, more, compact))) {
			tx_count(queue, AVPH_TX_POOL_EMPTY, 1);
			return TX_BLOCKED;
		}
		rte_pktmbuf_free(mbuf);
		sum->copied++;
	}
	sum->packets++;
	sum->bytes += len;
	return TX_GIVEN;
}

/* Learn what has come back on tx FIFOs. */
static inline void
tx_see_recycled(struct avph_tx_lane *lane)
{
	const uint32_t nb = atomic_load_explicit(&lane->back.nb, memory_order_relaxed);
	const uint32_t nb_ptr = atomic_load_explicit(&lane->back.nb_ptr, memory_order_relaxed);

	lane->nb_held -= nb - lane->seen_nb;
	lane->seen_nb = nb;
	lane->nb_ptr -= nb_ptr - lane->seen_nb_ptr;
	lane->seen_nb_ptr = nb_ptr;
}

/* See what the lane can take in this burst. */
static inline void
tx_lane_begin(struct avph_tx_queue *queue, struct avph_tx_lane *lane, uint32_t nb_pkts,
		const bool compact)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (queue->recycle)
		tx_see_recycled(lane);
	if (lane->nb_held >= lane->reap_at || nb_pkts == 0)
		tx_reap_lane(queue, lane);
	/* Never more than max_held, which the free FIFO can take back: a guest that finds it full
	 * stops to receive, and with no further packet to send we would not look at it either. With
	 * "recycle" it does not stop. */
	if (compact) {
		lane->room = avp_cring_room(&lane->crx, nb_pkts + AVP_MAX_SEGS, &fault);
		avp_cring_prefetch_put(&lane->crx, RTE_MIN(nb_pkts, lane->room));
	} else {
		lane->room = avp_fifo_room(&lane->rx, nb_pkts, &fault);
		avp_fifo_prefetch_put(&lane->rx, RTE_MIN(nb_pkts, lane->room));
	}
	lane->nb_put = 0;
	tx_count_fault(queue, AVPH_TX_RX_FIFO_FAULT, fault);
}

static inline void
tx_lane_end(const struct avph_tx_queue *queue, struct avph_tx_lane *lane, const bool compact)
{
	if (lane->nb_put == 0)
		return;
	if (compact)
		avp_cring_put_done(&lane->crx, lane->nb_put);
	else
		avp_fifo_put_done(&lane->rx, lane->nb_put);
	if (unlikely(lane->arm != NULL))
		avph_intr_published(queue->intr, lane->arm);
}

/* Fetch what a packet will need: one in the port's memory goes by pointer if it can, any other is
 * copied. */
static inline void
tx_prefetch(const struct avph_tx_queue *queue, const struct rte_mbuf *mbuf, const bool compact)
{
	uint32_t idx;

	if (likely(mbuf->pool == queue->fixed_pool)) {
		if (!compact)
			avph_buf_prefetch_desc(mbuf);
		rte_prefetch0(mbuf + 1); /* where fixed mbufs have what is looked at */
		return;
	}
	if (avph_buf_of_mbuf(&queue->mem->bufs, mbuf, &idx)) {
		if (!compact)
			avph_buf_prefetch_desc(mbuf);
		rte_prefetch0(&mbuf->shinfo);
		rte_prefetch0(mbuf + 1); /* where fixed mbufs have what it points to */
	} else {
		rte_prefetch0(rte_pktmbuf_mtod(mbuf, const void *));
	}
}

/* The burst, for a queue with one lane or with @several. */
static inline uint16_t
tx_burst(struct avph_tx_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts, const bool several,
		const bool compact)
{
	const uint16_t nb_lanes = several ? queue->nb_lanes : 1;
	struct avph_tx_lane *lane = queue->lanes[0];
	struct tx_stash stash;
	struct tx_sum sum = {0};
	uint16_t i;

	stash.nb = 0;
	for (i = 0; i < nb_lanes; i++)
		tx_lane_begin(queue, queue->lanes[i], nb_pkts, compact);
	for (i = 0; i < RTE_MIN(nb_pkts, PREFETCH_AHEAD); i++)
		tx_prefetch(queue, pkts[i], compact);
	for (i = 0; i < nb_pkts; i++) {
		if (i + PREFETCH_AHEAD < nb_pkts)
			tx_prefetch(queue, pkts[i + PREFETCH_AHEAD], compact);
		if (several)
			lane = queue->lanes[avph_hash_choose(avph_hash(pkts[i]), nb_lanes)];
		if (likely(tx_simple(queue, lane, pkts[i], &sum, compact)))
			continue;
		if (tx_one(queue, lane, pkts[i], &stash, nb_pkts - i, &sum, compact) == TX_BLOCKED)
			break;
	}
	for (uint16_t n = 0; n < nb_lanes; n++)
		tx_lane_end(queue, queue->lanes[n], compact);
	tx_stash_empty(queue, &stash);
	tx_count(queue, AVPH_TX_PACKETS, sum.packets);
	tx_count(queue, AVPH_TX_BYTES, sum.bytes);
	tx_count(queue, AVPH_TX_COPIED, sum.copied);
	tx_count(queue, AVPH_TX_BY_POINTER, sum.packets - sum.copied);
	return i;
}

static inline uint16_t
tx_burst_of(struct avph_tx_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts,
		const bool several)
{
	return queue->compact ? tx_burst(queue, pkts, nb_pkts, several, true)
			      : tx_burst(queue, pkts, nb_pkts, several, false);
}

uint16_t
avph_tx_burst(void *arg, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avph_tx_queue *queue = arg;
	uint16_t nb_done;

	if (unlikely(!avp_gate_enter(&queue->gate)))
		return 0;
	if (unlikely(queue->shared)) {
		rte_spinlock_lock(&queue->lanes[0]->lock);
		nb_done = tx_burst_of(queue, pkts, nb_pkts, false);
		rte_spinlock_unlock(&queue->lanes[0]->lock);
	} else if (queue->nb_lanes == 1) {
		nb_done = tx_burst_of(queue, pkts, nb_pkts, false);
	} else {
		nb_done = tx_burst_of(queue, pkts, nb_pkts, true);
	}
	avp_gate_leave(&queue->gate);
	return nb_done;
}

uint32_t
avph_tx_reap(struct avph_tx_queue *queue)
{
	uint32_t nb = 0;

	if (!avp_gate_enter(&queue->gate))
		return 0;
	if (queue->shared)
		rte_spinlock_lock(&queue->lanes[0]->lock);
	for (uint16_t i = 0; i < queue->nb_lanes; i++)
		nb += tx_reap_lane(queue, queue->lanes[i]);
	if (queue->shared)
		rte_spinlock_unlock(&queue->lanes[0]->lock);
	avp_gate_leave(&queue->gate);
	return nb;
}
