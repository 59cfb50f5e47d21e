/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Transmit by copy: mbufs into buffers of the alloc FIFO, these onto the tx FIFO.
 *
 * How it works
 * A burst first learns how many packets the tx FIFO has room for and how many buffers the alloc
 * FIFO offers. Then, packet by packet, it takes the buffers that the packet needs, copies, and
 * writes every field of their descriptors; nothing is taken for granted of what a buffer held
 * before. When one of the two runs out the rest of the burst is returned to the caller, uncounted.
 * What can never be sent is dropped and counted. At the end come one release per FIFO and one bulk
 * free: by then every packet is certain to have gone.
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

/* Where a VLAN tag goes: after the two addresses. */
#define TAG_OFF (2 * RTE_ETHER_ADDR_LEN)

/* An empty buffer that can be used. */
struct tx_buf {
	uint64_t label;
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
	buf->desc = avpg_desc_at(&q->mem, buf->label);
	if (unlikely(buf->desc == NULL))
		return false;
	buf->data_va = AVPG_FETCH(&buf->desc->data_va);
	buf->data = avpg_mem_at(&q->mem, buf->data_va, q->mem.buf_data_size);
	buf->len = 0;
	return likely(buf->data != NULL);
}

static __rte_noinline void
tx_look_again(struct avpg_txq *q, struct tx_state *state, uint32_t want)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	state->avail = avp_fifo_avail(&q->alloc, want, &fault);
	if (fault != AVP_FIFO_OK)
		q->stats.fifo_faults++;
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

/* Fill the buffers of @chain with a packet. Returns its bytes. */
static inline uint32_t
tx_fill(const struct avpg_txq *q, struct tx_chain *chain, const struct rte_mbuf *m)
{
	bool vlan = (m->ol_flags & RTE_MBUF_F_TX_VLAN) != 0;
	bool tag = vlan && !q->vlan_by_desc;
	uint16_t ol_flags = vlan && q->vlan_by_desc ? AVP_DESC_TX_VLAN : 0;
	uint16_t vlan_tci = ol_flags != 0 ? m->vlan_tci : 0;
	uint32_t pkt_len = m->pkt_len + (tag ? AVPG_VLAN_SIZE : 0);

	if (likely(m->nb_segs == 1 && chain->nb == 1 && !tag)) {
		rte_memcpy(chain->buf[0].data, rte_pktmbuf_mtod(m, const void *), pkt_len);
		chain->buf[0].len = pkt_len;
		tx_desc_write(&chain->buf[0], ol_flags, vlan_tci, 0, 1, (uint16_t)pkt_len);
		return pkt_len;
	}
	chain->filled = 0;
	chain->data_size = q->mem.buf_data_size;
	tx_append_pkt(chain, m, tag);
	tx_desc_write(&chain->buf[0], ol_flags, vlan_tci, chain->nb > 1 ? chain->buf[1].label : 0,
			(uint8_t)chain->nb, (uint16_t)pkt_len);
	for (uint32_t i = 1; i < chain->nb; i++)
		tx_desc_write(&chain->buf[i], 0, 0, i + 1 < chain->nb ? chain->buf[i + 1].label : 0,
				1, (uint16_t)chain->buf[i].len);
	return pkt_len;
}

/* Learn what the FIFOs offer; prefetch the descriptors that the burst will write. */
static inline void
tx_begin(struct avpg_txq *q, struct tx_state *state, uint16_t nb_pkts)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	state->taken = 0;
	state->sent = 0;
	state->room = avp_fifo_room(&q->tx, nb_pkts + q->spare, &fault);
	state->room = state->room > q->spare ? state->room - q->spare : 0;
	state->avail = avp_fifo_avail(&q->alloc, nb_pkts, &fault);
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	for (uint32_t i = 0; i < RTE_MIN(state->avail, (uint32_t)nb_pkts); i++)
		rte_prefetch0(avpg_mem_at(&q->mem, avp_fifo_at(&q->alloc, i), 1));
}

/* Send up to AVPG_BURST packets. Returns those used up: sent or dropped. */
static inline uint16_t
tx_some(struct avpg_txq *q, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct tx_state state;
	struct tx_chain chain;
	uint64_t bytes = 0;
	uint16_t i;

	tx_begin(q, &state, nb_pkts);
	for (i = 0; i < nb_pkts; i++) {
		uint32_t nb_bufs;
		enum avpg_tx_drop drop = tx_check(q, pkts[i], &nb_bufs);

		if (unlikely(drop != AVPG_TX_OK)) {
			q->stats.drop[drop]++;
			continue;
		}
		if (unlikely(state.sent == state.room)) {
			q->stats.no_room++;
			break;
		}
		if (unlikely(!tx_take(q, &state, &chain, nb_bufs))) {
			q->stats.no_buffer++;
			break;
		}
		bytes += tx_fill(q, &chain, pkts[i]);
		avp_fifo_set(&q->tx, state.sent++, chain.buf[0].label);
	}
	if (state.taken > 0)
		avp_fifo_get_done(&q->alloc, state.taken);
	if (state.sent > 0)
		avp_fifo_put_done(&q->tx, state.sent);
	rte_pktmbuf_free_bulk(pkts, i);
	q->stats.packets += state.sent;
	q->stats.bytes += bytes;
	return i;
}

uint16_t
avpg_tx_burst(void *txq, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avpg_txq *q = txq;
	uint16_t nb = 0;

	if (unlikely(!avp_gate_enter(&q->gate))) {
		q->stats.closed += nb_pkts > 0;
		return 0;
	}
	while (nb < nb_pkts) {
		uint16_t want = RTE_MIN((uint16_t)(nb_pkts - nb), (uint16_t)AVPG_BURST);
		uint16_t used = tx_some(q, pkts + nb, want);

		nb += used;
		if (used < want)
			break;
	}
	avp_gate_leave(&q->gate);
	return nb;
}
