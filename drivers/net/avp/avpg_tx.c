/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Transmit: mbufs into buffers of the alloc FIFO, these onto the tx FIFO; with "recycle" buffers
 * that came from an rx FIFO go back as they are.
 *
 * How it works
 * A burst first learns how many packets the tx FIFO has room for and how many buffers the alloc
 * FIFO offers. Then, packet by packet, it takes the buffers that the packet needs, copies, and
 * writes every field of their descriptors; nothing is taken for granted of what a buffer held
 * before. When one of the two runs out the rest of the burst is returned to the caller, uncounted.
 * What can never be sent is dropped and counted. At the end come one release per FIFO and one bulk
 * free: by then every packet is certain to have gone.
 *
 * By pointer: an mbuf that holds a received buffer of this port, which nobody else uses, is not
 * copied and not freed; it stays bound to the buffer (avpg_recycle.h). Any other mbuf of the same
 * chain is copied into a buffer of its own, if that makes a chain that the contract allows; else
 * all of the packet is copied.
 *
 * Labels and data pointers of the buffers are host-written: fetched once and checked. A buffer that
 * fails is left out, and so lost to the host that gave it.
 */

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "avpg_port.h"
#include "avpg_recycle.h"

/* Where a VLAN tag goes: after the two addresses. */
#define TAG_OFF (2 * RTE_ETHER_ADDR_LEN)

/* An empty buffer that can be used. */
struct tx_buf {
	uint64_t label;
	uint32_t idx; /* its number; on compact rings only */
	struct avp_desc *desc;
	uint64_t data_va;
	uint8_t *data;
	uint32_t len; /* bytes written */
};

/* The buffers of one packet, while they are filled. */
struct tx_chain {
	struct tx_buf buf[AVP_MAX_SEGS];
	uint32_t nb;
	uint32_t filled; /* index of the one being filled */
	uint32_t data_size;
};

/* What the burst has done so far to the two FIFOs. */
struct tx_state {
	uint32_t avail; /* entries of the alloc FIFO */
	uint32_t taken; /* of these */
	uint32_t room;  /* entries of the tx FIFO */
	uint32_t sent;  /* of these */
	uint64_t packets;
	uint64_t bytes;
	uint64_t by_pointer; /* packets */
	/* to free at the end */
	struct rte_mbuf *copied[AVPG_BURST];
	uint32_t nb_copied;
};

/* A segment that is sent as it is, or not. */
struct tx_part {
	struct rte_mbuf *m;
	struct avpg_slot *slot; /* NULL: copied */
	uint32_t queue;         /* where it was received */
	uint32_t idx;
};

/* A tag that we have to put into the data ourselves. */
static inline bool
tx_tag_by_copy(const struct avpg_txq *q, const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_TX_VLAN) != 0 && !q->vlan_by_desc;
}

static bool
tx_segs_add_up(const struct rte_mbuf *m)
{
	uint32_t left = m->pkt_len;
	uint32_t nb = m->nb_segs;

	for (; m != NULL && nb > 0; m = m->next, nb--) {
		if (m->data_len > left)
			return false;
		left -= m->data_len;
	}
	return left == 0 && nb == 0 && m == NULL;
}

/*
 * Can the packet be sent at all?
 *
 * @nb_bufs  out: buffers that it needs, 1..AVP_MAX_SEGS
 */
static inline enum avpg_tx_drop
tx_check(const struct avpg_txq *q, const struct rte_mbuf *m, uint32_t *nb_bufs)
{
	uint32_t size = m->pkt_len;

	if (unlikely(size < AVP_MIN_PKT_SIZE))
		return AVPG_TX_TOO_SHORT;
	/* before adding to it, so that it cannot wrap round */
	if (unlikely(size > q->max_pkt_size))
		return AVPG_TX_TOO_LONG;
	if (unlikely(tx_tag_by_copy(q, m)))
		size += AVPG_VLAN_SIZE;
	if (unlikely(size > q->max_pkt_size))
		return AVPG_TX_TOO_LONG;
	if (unlikely(m->data_len != m->pkt_len || m->nb_segs != 1) && !tx_segs_add_up(m))
		return AVPG_TX_BAD_MBUF;
	*nb_bufs = 1;
	for (; unlikely(size > q->mem.buf_data_size); size -= q->mem.buf_data_size)
		(*nb_bufs)++;
	return AVPG_TX_OK;
}

/* Look at entry @i of the alloc FIFO. False: it cannot be used. */
static inline bool
tx_buf_fetch(const struct avpg_txq *q, uint32_t i, struct tx_buf *buf)
{
	buf->label = avp_fifo_at(&q->alloc, i);
	if (q->ctx != NULL) {
		const uint64_t idx = avpg_mem_buf_idx(&q->mem, buf->label - q->mem.bufs_va);

		buf->idx = (uint32_t)idx;
		buf->data = avpg_mem_buf(&q->mem, buf->idx) + q->data_off;
		buf->len = 0;
		return likely(idx < q->mem.nb_bufs);
	}
	buf->desc = avpg_desc_at(&q->mem, buf->label);
	if (unlikely(buf->desc == NULL))
		return false;
	/* with "recycle" the descriptor is as whoever had the buffer left it */
	buf->data_va = q->data_off != 0 ? buf->label + q->data_off
					: AVPG_FETCH(&buf->desc->data_va);
	buf->data = avpg_mem_at(&q->mem, buf->data_va, q->mem.buf_data_size);
	buf->len = 0;
	return likely(buf->data != NULL);
}

/* Empty buffers @first to @end of the alloc FIFO will be written. */
static inline void
tx_prefetch_bufs(const struct avpg_txq *q, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		const uint64_t label = avp_fifo_at(&q->alloc, i);

		if (q->ctx == NULL)
			avp_prefetch_write(avpg_mem_at(&q->mem, label, 1));
		if (q->data_off != 0)
			avp_prefetch_write(avpg_mem_at(&q->mem, label + q->data_off, 1));
	}
}

static __rte_noinline void
tx_look_again(struct avpg_txq *q, struct tx_state *state, uint32_t want)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	state->avail = avp_fifo_avail(&q->alloc, want, &fault);
	if (fault != AVP_FIFO_OK)
		q->stats.fifo_faults++;
	tx_prefetch_bufs(q, state->taken, RTE_MIN(state->avail, state->taken + AVPG_BURST));
}

/*
 * Take the buffers of one packet. False when there are not enough: then nothing is taken, unless
 * unusable entries are in the way, which are cleared away with those between them.
 */
static inline bool
tx_take(struct avpg_txq *q, struct tx_state *state, struct tx_chain *chain, uint32_t nb_bufs)
{
	uint32_t i = state->taken;
	uint32_t bad = 0;

	if (unlikely(i + nb_bufs > state->avail))
		tx_look_again(q, state, i + nb_bufs);
	chain->nb = 0;
	while (chain->nb < nb_bufs && i < state->avail) {
		if (likely(tx_buf_fetch(q, i, &chain->buf[chain->nb])))
			chain->nb++;
		else
			bad++;
		i++;
	}
	q->stats.bad_buffer += bad;
	if (likely(chain->nb == nb_bufs || bad > 0))
		state->taken = i;
	return likely(chain->nb == nb_bufs);
}

/* Append @size bytes. The chain has room for them, see tx_check(). */
static inline void
tx_append(struct tx_chain *chain, const uint8_t *src, uint32_t size)
{
	while (size > 0) {
		struct tx_buf *buf = &chain->buf[chain->filled];
		uint32_t n = RTE_MIN(size, chain->data_size - buf->len);

		if (n == 0) {
			chain->filled++;
			continue;
		}
		rte_memcpy(buf->data + buf->len, src, n);
		buf->len += n;
		src += n;
		size -= n;
	}
}

/* Append the packet, with its tag after @TAG_OFF bytes of it when there is one to insert. */
static void
tx_append_pkt(struct tx_chain *chain, const struct rte_mbuf *m, bool tag)
{
	uint32_t before_tag = tag ? TAG_OFF : UINT32_MAX;
	struct {
		rte_be16_t tpid;
		rte_be16_t tci;
	} vlan = {rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(m->vlan_tci)};

	for (; m != NULL; m = m->next) {
		const uint8_t *src = rte_pktmbuf_mtod(m, const uint8_t *);
		uint32_t size = m->data_len;
		uint32_t first = RTE_MIN(size, before_tag);

		tx_append(chain, src, first);
		if (!tag)
			continue;
		before_tag -= first;
		if (before_tag == 0 && first < size) {
			tx_append(chain, (const uint8_t *)&vlan, sizeof(vlan));
			tag = false;
			before_tag = UINT32_MAX;
			tx_append(chain, src + first, size - first);
		}
	}
}

/* Write all that the contract says of a descriptor. */
static inline void
tx_desc_write(const struct tx_buf *buf, uint16_t ol_flags, uint16_t vlan_tci, uint64_t next_va,
		uint8_t nb_segs, uint16_t pkt_len)
{
	struct avp_desc *desc = buf->desc;

	desc->desc_va = buf->label;
	desc->ol_flags = ol_flags;
	desc->next_va = next_va;
	desc->data_va = buf->data_va;
	desc->data_len = (uint16_t)buf->len;
	desc->nb_segs = nb_segs;
	desc->pkt_len = pkt_len;
	desc->vlan_tci = vlan_tci;
}

/* Write the entries of a packet's segments. @flags: AVP_CDESC_VLAN, or 0. */
static inline void
tx_put_entry(const struct avpg_txq *q, struct tx_state *state, uint32_t idx, uint32_t data_off,
		uint32_t len, uint16_t flags, uint16_t vlan_tci)
{
	avp_cring_set(q->ctx, state->sent++, avp_cring_place(idx, data_off, len),
			avp_cring_state(flags, vlan_tci));
}

static void
tx_put_entries(const struct avpg_txq *q, struct tx_state *state, const struct tx_buf *bufs,
		const uint32_t *data_offs, uint32_t nb, uint16_t flags, uint16_t vlan_tci)
{
	for (uint32_t i = 0; i < nb; i++) {
		const uint16_t more = i + 1 < nb ? AVP_CDESC_MORE : 0;

		tx_put_entry(q, state, bufs[i].idx, data_offs == NULL ? q->data_off : data_offs[i],
				bufs[i].len, i == 0 ? flags | more : more, i == 0 ? vlan_tci : 0);
	}
}

/* Fill the buffers of @chain with a packet, and put it on the FIFO or ring. */
static inline void
tx_fill(const struct avpg_txq *q, struct tx_state *state, struct tx_chain *chain,
		const struct rte_mbuf *m, const bool compact)
{
	bool vlan = (m->ol_flags & RTE_MBUF_F_TX_VLAN) != 0;
	bool tag = vlan && !q->vlan_by_desc;
	uint16_t ol_flags = vlan && q->vlan_by_desc ? AVP_DESC_TX_VLAN : 0;
	uint16_t vlan_tci = ol_flags != 0 ? m->vlan_tci : 0;
	uint32_t pkt_len = m->pkt_len + (tag ? AVPG_VLAN_SIZE : 0);
	const uint16_t flags = ol_flags != 0 ? AVP_CDESC_VLAN : 0;

	state->bytes += pkt_len;
	if (likely(m->nb_segs == 1 && chain->nb == 1 && !tag)) {
		avp_copy(q->wide_copy, chain->buf[0].data, rte_pktmbuf_mtod(m, const void *),
				pkt_len);
		if (compact) {
			tx_put_entry(q, state, chain->buf[0].idx, q->data_off, pkt_len, flags,
					vlan_tci);
			return;
		}
		chain->buf[0].len = pkt_len;
		tx_desc_write(&chain->buf[0], ol_flags, vlan_tci, 0, 1, (uint16_t)pkt_len);
		avp_fifo_set(&q->tx, state->sent++, chain->buf[0].label);
		return;
	}
	chain->filled = 0;
	chain->data_size = q->mem.buf_data_size;
	tx_append_pkt(chain, m, tag);
	if (compact) {
		tx_put_entries(q, state, chain->buf, NULL, chain->nb, flags, vlan_tci);
		return;
	}
	tx_desc_write(&chain->buf[0], ol_flags, vlan_tci, chain->nb > 1 ? chain->buf[1].label : 0,
			(uint8_t)chain->nb, (uint16_t)pkt_len);
	for (uint32_t i = 1; i < chain->nb; i++)
		tx_desc_write(&chain->buf[i], 0, 0, i + 1 < chain->nb ? chain->buf[i + 1].label : 0,
				1, (uint16_t)chain->buf[i].len);
	avp_fifo_set(&q->tx, state->sent++, chain->buf[0].label);
}

/*
 * By pointer
 */

/* The received buffer that an mbuf may have. */
struct tx_own {
	struct avpg_slot *slot; /* NULL: it has none */
	uint32_t idx;
	uint32_t queue; /* where it was received */
};

/* Find what the burst will look at and write of its own buffers, and fetch it. @own: out. */
static inline void
tx_find_own(struct avpg_recycle *recycle, struct rte_mbuf **pkts, uint16_t nb_pkts,
		struct tx_own *own, const bool compact)
{
	for (uint16_t i = 0; i < nb_pkts; i++) {
		const uint64_t idx = avpg_recycle_idx_of(recycle, pkts[i]);

		own[i].slot = NULL;
		if (unlikely(idx >= recycle->mem.nb_bufs))
			continue;
		own[i].idx = (uint32_t)idx;
		own[i].queue = avpg_recycle_queue_of(recycle, idx);
		own[i].slot = &recycle->tables[own[i].queue].slots[idx];
		rte_prefetch0(own[i].slot);
		if (!compact)
			avp_prefetch_write(avpg_mem_buf(&recycle->mem, (uint32_t)idx));
	}
}

/* The usual packet, on a compact ring: all of it in one received buffer that nobody else has, no
 * tag that has to be put into it. False: it is not, and nothing has been done. */
static inline bool
tx_simple(struct avpg_txq *q, struct tx_state *state, struct rte_mbuf *m, const struct tx_own *own)
{
	struct avpg_recycle *recycle = q->recycle;
	const uint32_t len = m->data_len;

	if (unlikely(own->slot == NULL || m->nb_segs != 1 || m->pkt_len != len ||
			    tx_tag_by_copy(q, m) || len < AVP_MIN_PKT_SIZE ||
			    len > q->max_pkt_size || state->sent == state->room ||
			    (uint32_t)m->data_off + len > avpg_mem_buf_len(&recycle->mem)))
		return false;
	if (unlikely(!avpg_recycle_is_sole(own->slot, m)))
		return false;
	avpg_recycle_sent(recycle, own->slot, m, own->queue, q->queue_id);
	avp_cring_set(q->ctx, state->sent++,
			avp_cring_place(own->idx, m->data_off + sizeof(struct avp_desc), len),
			likely((m->ol_flags & RTE_MBUF_F_TX_VLAN) == 0)
					? 0
					: avp_cring_state(AVP_CDESC_VLAN, m->vlan_tci));
	state->bytes += len;
	state->by_pointer++;
	state->packets++;
	return true;
}

/* What tx_desc_write() wants to know of a buffer that is sent as it is. */
static inline struct tx_buf
tx_own_buf(const struct avpg_recycle *recycle, const struct rte_mbuf *m, uint32_t idx)
{
	const uint64_t label = avpg_mem_buf_va(&recycle->mem, idx);

	return (struct tx_buf){
			.label = label,
			.idx = idx,
			.desc = (struct avp_desc *)avpg_mem_buf(&recycle->mem, idx),
			.data_va = label + sizeof(struct avp_desc) + m->data_off,
			.len = m->data_len,
	};
}

/* What goes into the first descriptor about a tag. */
static inline uint16_t
tx_ol_flags(const struct avpg_txq *q, const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_TX_VLAN) != 0 && q->vlan_by_desc ? AVP_DESC_TX_VLAN : 0;
}

/* Send a packet of one mbuf as it is. False: it must be copied. */
static inline bool
tx_point(struct avpg_txq *q, struct tx_state *state, struct rte_mbuf *m, const bool compact)
{
	struct avpg_recycle *recycle = q->recycle;
	struct avpg_slot *slot;
	uint32_t queue, idx;
	struct tx_buf buf;
	uint16_t ol_flags, vlan_tci;

	if (m->nb_segs != 1 || tx_tag_by_copy(q, m))
		return false;
	slot = avpg_recycle_own(recycle, m, &queue, &idx);
	if (slot == NULL)
		return false;
	avpg_recycle_sent(recycle, slot, m, queue, q->queue_id);
	ol_flags = tx_ol_flags(q, m);
	vlan_tci = ol_flags != 0 ? m->vlan_tci : 0;
	state->bytes += m->data_len;
	state->by_pointer++;
	if (compact) {
		tx_put_entry(q, state, idx, m->data_off + sizeof(struct avp_desc), m->data_len,
				ol_flags != 0 ? AVP_CDESC_VLAN : 0, vlan_tci);
		return true;
	}
	buf = tx_own_buf(recycle, m, idx);
	tx_desc_write(&buf, ol_flags, vlan_tci, 0, 1, (uint16_t)buf.len);
	avp_fifo_set(&q->tx, state->sent++, buf.label);
	return true;
}

/*
 * What becomes of each mbuf of a chain? False: the whole packet is to be copied.
 *
 * @nb_copies  out: buffers that are needed, one for each mbuf that is not our own
 */
static bool
tx_parts(const struct avpg_txq *q, struct rte_mbuf *m, struct tx_part *parts, uint32_t *nb_copies)
{
	const uint32_t nb_segs = m->nb_segs;

	*nb_copies = 0;
	/* the device drops packets with less than a header in the first of several segments */
	if (nb_segs > AVP_MAX_SEGS || m->data_len < AVP_MIN_PKT_SIZE || tx_tag_by_copy(q, m))
		return false;
	for (uint32_t i = 0; i < nb_segs; i++, m = m->next) {
		if (m->data_len == 0)
			return false;
		parts[i].m = m;
		parts[i].slot = avpg_recycle_own(q->recycle, m, &parts[i].queue, &parts[i].idx);
		for (uint32_t k = 0; k < i; k++)
			if (parts[k].m == m)
				return false;
		if (parts[i].slot != NULL)
			continue;
		if (m->data_len > q->mem.buf_data_size)
			return false;
		(*nb_copies)++;
	}
	return *nb_copies < nb_segs;
}

/* The mbufs of a chain that has been sent go their ways. */
static void
tx_parts_done(struct avpg_txq *q, const struct tx_part *parts, uint32_t nb_segs)
{
	for (uint32_t i = 0; i < nb_segs; i++) {
		struct rte_mbuf *m = parts[i].m;

		if (parts[i].slot == NULL) {
			rte_pktmbuf_free_seg(m);
			continue;
		}
		m->next = NULL;
		m->nb_segs = 1;
		avpg_recycle_sent(q->recycle, parts[i].slot, m, parts[i].queue, q->queue_id);
	}
}

/* What a chain of mbufs has become of. */
enum tx_chain_result {
	TX_CHAIN_SENT,
	TX_CHAIN_COPY,    /* nothing done: it is to be copied */
	TX_CHAIN_NO_ROOM, /* nothing done: there are not enough buffers */
};

/* Send a chain with at least one mbuf of which is sent as it is. */
static __rte_noinline enum tx_chain_result
tx_point_chain(struct avpg_txq *q, struct tx_state *state, struct rte_mbuf *head)
{
	const uint32_t pkt_len = head->pkt_len;
	const uint32_t nb_segs = head->nb_segs;
	const uint16_t ol_flags = tx_ol_flags(q, head);
	const uint16_t vlan_tci = ol_flags != 0 ? head->vlan_tci : 0;
	uint32_t data_offs[AVP_MAX_SEGS];
	struct tx_part parts[AVP_MAX_SEGS];
	struct tx_buf bufs[AVP_MAX_SEGS];
	struct tx_chain copies;
	uint32_t nb_copies;
	uint32_t k = 0;

	if (!tx_parts(q, head, parts, &nb_copies))
		return TX_CHAIN_COPY;
	if (nb_copies > 0 && !tx_take(q, state, &copies, nb_copies))
		return TX_CHAIN_NO_ROOM;
	for (uint32_t i = 0; i < nb_segs; i++) {
		const struct rte_mbuf *m = parts[i].m;

		if (parts[i].slot != NULL) {
			bufs[i] = tx_own_buf(q->recycle, m, parts[i].idx);
			data_offs[i] = m->data_off + (uint32_t)sizeof(struct avp_desc);
			continue;
		}
		bufs[i] = copies.buf[k++];
		data_offs[i] = q->data_off;
		rte_memcpy(bufs[i].data, rte_pktmbuf_mtod(m, const void *), m->data_len);
		bufs[i].len = m->data_len;
	}
	tx_parts_done(q, parts, nb_segs);
	if (q->ctx != NULL) {
		tx_put_entries(q, state, bufs, data_offs, nb_segs,
				ol_flags != 0 ? AVP_CDESC_VLAN : 0, vlan_tci);
	} else {
		tx_desc_write(&bufs[0], ol_flags, vlan_tci, bufs[1].label, (uint8_t)nb_segs,
				(uint16_t)pkt_len);
		for (uint32_t i = 1; i < nb_segs; i++)
			tx_desc_write(&bufs[i], 0, 0, i + 1 < nb_segs ? bufs[i + 1].label : 0, 1,
					(uint16_t)bufs[i].len);
		avp_fifo_set(&q->tx, state->sent++, bufs[0].label);
	}
	state->bytes += pkt_len;
	state->by_pointer += nb_copies == 0;
	return TX_CHAIN_SENT;
}

/*
 * Bursts
 */

/* Entries of the tx FIFO or ring that a burst may write, when it may want @want. */
static inline uint32_t
tx_room(struct avpg_txq *q, uint32_t want, const bool compact)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	const uint32_t room = compact ? avp_cring_room(q->ctx, want + q->spare, &fault)
				      : avp_fifo_room(&q->tx, want + q->spare, &fault);

	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	return room > q->spare ? room - q->spare : 0;
}

/* Learn what the FIFOs offer; prefetch the descriptors that the burst will write. Buffers to copy
 * into are looked for when they are needed, if packets may go without. */
static inline void
tx_begin(struct avpg_txq *q, struct tx_state *state, struct rte_mbuf **pkts, uint16_t nb_pkts,
		struct tx_own *own, const bool by_pointer, const bool compact)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	state->taken = 0;
	state->sent = 0;
	state->packets = 0;
	state->bytes = 0;
	state->by_pointer = 0;
	state->nb_copied = 0;
	state->room = tx_room(q, nb_pkts + (compact ? AVP_MAX_SEGS : 0), compact);
	if (compact)
		avp_cring_prefetch_put(q->ctx, RTE_MIN(state->room, (uint32_t)nb_pkts));
	else
		avp_fifo_prefetch_put(&q->tx, RTE_MIN(state->room, (uint32_t)nb_pkts));
	state->avail = by_pointer ? 0 : avp_fifo_avail(&q->alloc, nb_pkts, &fault);
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	if (by_pointer)
		tx_find_own(q->recycle, pkts, nb_pkts, own, compact);
	tx_prefetch_bufs(q, 0, RTE_MIN(state->avail, (uint32_t)nb_pkts));
}

/* Send a packet that can be sent. False: there are no buffers for it, nothing was done. */
static inline bool
tx_one(struct avpg_txq *q, struct tx_state *state, struct rte_mbuf *m, uint32_t nb_bufs,
		const bool by_pointer, const bool compact)
{
	struct tx_chain chain;

	if (by_pointer && likely(tx_point(q, state, m, compact)))
		return true;
	if (by_pointer && m->nb_segs > 1) {
		enum tx_chain_result result = tx_point_chain(q, state, m);

		if (result != TX_CHAIN_COPY)
			return result == TX_CHAIN_SENT;
	}
	if (unlikely(!tx_take(q, state, &chain, nb_bufs)))
		return false;
	tx_fill(q, state, &chain, m, compact);
	state->copied[state->nb_copied++] = m;
	return true;
}

/* Entries of the tx FIFO or ring that a packet may take. */
static inline uint32_t
tx_nb_entries(const struct rte_mbuf *m, uint32_t nb_bufs, const bool compact)
{
	return !compact || likely(m->nb_segs == 1 && nb_bufs == 1) ? 1 : AVP_MAX_SEGS;
}

/* Is there room for another @nb entries? Chains may take more than one was looked for for each
 * packet: then all that there is counts. */
static inline bool
tx_has_room(struct avpg_txq *q, struct tx_state *state, uint32_t nb, const bool compact)
{
	if (likely(state->sent + nb <= state->room))
		return true;
	if (!compact)
		return false;
	state->room = tx_room(q, q->ctx->len, true);
	return state->sent + nb <= state->room;
}

/* Send up to AVPG_BURST packets. Returns those used up: sent or dropped. */
static inline uint16_t
tx_some(struct avpg_txq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, const bool by_pointer,
		const bool compact)
{
	struct tx_own own[AVPG_BURST];
	struct tx_state state;
	uint16_t i;

	tx_begin(q, &state, pkts, nb_pkts, own, by_pointer, compact);
	for (i = 0; i < nb_pkts; i++) {
		uint32_t nb_bufs;
		enum avpg_tx_drop drop;

		if (by_pointer && compact && likely(tx_simple(q, &state, pkts[i], &own[i])))
			continue;
		drop = tx_check(q, pkts[i], &nb_bufs);

		if (unlikely(drop != AVPG_TX_OK)) {
			q->stats.drop[drop]++;
			state.copied[state.nb_copied++] = pkts[i];
			continue;
		}
		if (unlikely(!tx_has_room(q, &state, tx_nb_entries(pkts[i], nb_bufs, compact),
				    compact))) {
			q->stats.no_room++;
			break;
		}
		if (unlikely(!tx_one(q, &state, pkts[i], nb_bufs, by_pointer, compact))) {
			q->stats.no_buffer++;
			break;
		}
		state.packets++;
	}
	if (state.taken > 0)
		avp_fifo_get_done(&q->alloc, state.taken);
	if (compact && state.sent > 0)
		avp_cring_put_done(q->ctx, state.sent);
	else if (state.sent > 0)
		avp_fifo_put_done(&q->tx, state.sent);
	if (state.nb_copied > 0)
		rte_pktmbuf_free_bulk(state.copied, state.nb_copied);
	q->stats.packets += state.packets;
	q->stats.bytes += state.bytes;
	q->stats.by_pointer += state.by_pointer;
	return i;
}

static inline uint16_t
tx_burst(struct avpg_txq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, const bool by_pointer,
		const bool compact)
{
	uint16_t nb = 0;

	while (nb < nb_pkts) {
		uint16_t want = RTE_MIN((uint16_t)(nb_pkts - nb), (uint16_t)AVPG_BURST);
		uint16_t used = tx_some(q, pkts + nb, want, by_pointer, compact);

		nb += used;
		if (used < want)
			break;
	}
	return nb;
}

uint16_t
avpg_tx_burst(void *txq, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avpg_txq *q = txq;
	uint16_t nb;

	if (unlikely(!avp_gate_enter(&q->gate))) {
		q->stats.closed += nb_pkts > 0;
		return 0;
	}
	if (q->recycle != NULL)
		nb = q->ctx != NULL ? tx_burst(q, pkts, nb_pkts, true, true)
				    : tx_burst(q, pkts, nb_pkts, true, false);
	else
		nb = q->ctx != NULL ? tx_burst(q, pkts, nb_pkts, false, true)
				    : tx_burst(q, pkts, nb_pkts, false, false);
	avp_gate_leave(&q->gate);
	return nb;
}
