/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A guest that costs and does what the driver of unmodified DPDK packages does, on the base
 * contract, written from what the contract says of that driver's habits: mbufs allocated and freed
 * one by one, every packet copied, the next packet prefetched while one is copied, FIFO indices
 * read anew for every burst, and whole fences in place of ordered accesses. It takes for granted
 * that buffers from the alloc FIFO are clean, and writes only what changes.
 *
 * Packets of one segment take the short way; where the device's largest packet may be in several
 * buffers, all go the long one.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_atomic.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "ports.h"
#include "sim_guest.h"

/* Labels that one call moves. */
#define STOCK_BURST 64u

struct stock {
	struct sim_guest guest;
	struct rte_mempool *pool;
	int64_t va_to_ptr; /* what to add to a label */
	uint32_t buf_data_size;
	uint32_t mbuf_room;
	bool chains;
};

/*
 * FIFOs: both indices are read from shared memory each time.
 */

static inline uint32_t
index_get(uint32_t *index)
{
	return atomic_load_explicit((_Atomic uint32_t *)index, memory_order_relaxed);
}

static inline void
index_set(uint32_t *index, uint32_t value)
{
	atomic_store_explicit((_Atomic uint32_t *)index, value, memory_order_relaxed);
}

static inline uint32_t
fifo_nb(struct avp_fifo *fifo)
{
	return (index_get(&fifo->write) - index_get(&fifo->read)) & (index_get(&fifo->len) - 1);
}

static inline uint32_t
fifo_nb_free(struct avp_fifo *fifo)
{
	return index_get(&fifo->len) - 1 - fifo_nb(fifo);
}

static inline void
fifo_put(struct avp_fifo *fifo, const uint64_t *labels, uint32_t nb)
{
	const uint32_t mask = index_get(&fifo->len) - 1;
	uint32_t at = index_get(&fifo->write);

	for (uint32_t i = 0; i < nb; i++) {
		fifo->entries[at] = labels[i];
		at = (at + 1) & mask;
	}
	rte_wmb();
	index_set(&fifo->write, at);
}

static inline void
fifo_get(struct avp_fifo *fifo, uint64_t *labels, uint32_t nb)
{
	const uint32_t mask = index_get(&fifo->len) - 1;
	uint32_t at = index_get(&fifo->read);

	for (uint32_t i = 0; i < nb; i++) {
		labels[i] = fifo->entries[at];
		at = (at + 1) & mask;
	}
	rte_rmb();
	index_set(&fifo->read, at);
}

static inline void *
stock_ptr(const struct stock *stock, uint64_t label)
{
	return (void *)(uintptr_t)(label + (uint64_t)stock->va_to_ptr);
}

/*
 * Receive
 */

static struct rte_mbuf *
rx_short(struct stock *stock, const struct avp_desc *desc)
{
	struct rte_mbuf *mbuf;

	if (unlikely(desc->data_len > stock->mbuf_room || desc->nb_segs > 1))
		return NULL;
	mbuf = rte_pktmbuf_alloc(stock->pool);
	if (unlikely(mbuf == NULL))
		return NULL;
	mbuf->data_off = RTE_PKTMBUF_HEADROOM;
	rte_memcpy(rte_pktmbuf_mtod(mbuf, void *), stock_ptr(stock, desc->data_va), desc->data_len);
	mbuf->data_len = desc->data_len;
	mbuf->pkt_len = desc->data_len;
	return mbuf;
}

/* Segments of the device's into as few mbufs as it takes. */
static struct rte_mbuf *
rx_long(struct stock *stock, const struct avp_desc *desc)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(stock->pool);
	struct rte_mbuf *last = head;
	uint32_t left;

	for (uint32_t i = desc->nb_segs; head != NULL && i > 0; i--) {
		const uint8_t *data = stock_ptr(stock, desc->data_va);

		for (left = desc->data_len; left > 0;) {
			const uint32_t nb = RTE_MIN(left, stock->mbuf_room - last->data_len);

			if (nb == 0) {
				last->next = rte_pktmbuf_alloc(stock->pool);
				if (last->next == NULL) {
					rte_pktmbuf_free(head);
					return NULL;
				}
				last = last->next;
				head->nb_segs++;
				continue;
			}
			rte_memcpy(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), data,
					nb);
			last->data_len = (uint16_t)(last->data_len + nb);
			data += nb;
			left -= nb;
		}
		head->pkt_len += desc->data_len;
		if (desc->next_va == 0)
			break;
		desc = stock_ptr(stock, desc->next_va);
	}
	return head;
}

uint16_t
stock_rx(struct stock *stock, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct avp_fifo *rx = stock->guest.lanes[queue].rx.fifo;
	struct avp_fifo *back = stock->guest.lanes[queue].free.fifo;
	const uint32_t room = fifo_nb_free(back);
	const uint32_t avail = RTE_MIN(fifo_nb(rx), (uint32_t)RTE_MIN(nb, STOCK_BURST));
	const uint32_t count = RTE_MIN(avail, room);
	uint64_t labels[STOCK_BURST];
	uint16_t nb_pkts = 0;

	if (count == 0)
		return 0;
	fifo_get(rx, labels, count);
	rte_prefetch0(stock_ptr(stock, labels[0]));
	for (uint32_t i = 0; i < count; i++) {
		const struct avp_desc *desc = stock_ptr(stock, labels[i]);
		struct rte_mbuf *mbuf;

		if (i + 1 < count)
			rte_prefetch0(stock_ptr(stock, labels[i + 1]));
		mbuf = stock->chains ? rx_long(stock, desc) : rx_short(stock, desc);
		if (unlikely(mbuf == NULL))
			continue;
		if (desc->ol_flags & AVP_DESC_RX_VLAN) {
			mbuf->ol_flags = RTE_MBUF_F_RX_VLAN;
			mbuf->vlan_tci = desc->vlan_tci;
		}
		pkts[nb_pkts++] = mbuf;
	}
	fifo_put(back, labels, count);
	return nb_pkts;
}

/*
 * Transmit
 */

/* Fill the buffers that @label begins with. Returns how many more were used. */
static uint32_t
tx_long(struct stock *stock, const struct rte_mbuf *mbuf, const uint64_t *labels)
{
	struct avp_desc *head = stock_ptr(stock, labels[0]);
	struct avp_desc *last = head;
	uint32_t nb_used = 1;

	for (const struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next) {
		const uint8_t *data = rte_pktmbuf_mtod(seg, const uint8_t *);

		for (uint32_t left = seg->data_len; left > 0;) {
			const uint32_t nb = RTE_MIN(left, stock->buf_data_size - last->data_len);
			uint8_t *to;

			if (nb == 0) {
				last->next_va = labels[nb_used];
				last = stock_ptr(stock, labels[nb_used]);
				nb_used++;
				continue;
			}
			to = stock_ptr(stock, last->data_va);
			rte_memcpy(to + last->data_len, data, nb);
			last->data_len = (uint16_t)(last->data_len + nb);
			data += nb;
			left -= nb;
		}
	}
	head->nb_segs = (uint8_t)nb_used;
	head->pkt_len = (uint16_t)mbuf->pkt_len;
	return nb_used;
}

static void
tx_short(struct stock *stock, const struct rte_mbuf *mbuf, uint64_t label)
{
	struct avp_desc *desc = stock_ptr(stock, label);

	rte_memcpy(stock_ptr(stock, desc->data_va), rte_pktmbuf_mtod(mbuf, const void *),
			mbuf->data_len);
	desc->data_len = mbuf->data_len;
	desc->nb_segs = 1;
	desc->pkt_len = (uint16_t)mbuf->pkt_len;
}

static inline uint32_t
tx_nb_bufs(const struct stock *stock, const struct rte_mbuf *mbuf)
{
	return stock->chains ? (mbuf->pkt_len + stock->buf_data_size - 1) / stock->buf_data_size
			     : 1;
}

uint16_t
stock_tx(struct stock *stock, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct avp_fifo *tx = stock->guest.lanes[queue].tx.fifo;
	struct avp_fifo *alloc = stock->guest.lanes[queue].alloc.fifo;
	const uint32_t avail = fifo_nb(alloc);
	uint32_t count = RTE_MIN(fifo_nb_free(tx), (uint32_t)RTE_MIN(nb, STOCK_BURST));
	uint64_t labels[STOCK_BURST * AVP_MAX_SEGS];
	uint64_t heads[STOCK_BURST];
	uint32_t nb_bufs = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t more = tx_nb_bufs(stock, pkts[i]);

		if (nb_bufs + more > avail)
			count = i;
		else
			nb_bufs += more;
	}
	if (count == 0)
		return 0;
	fifo_get(alloc, labels, nb_bufs);
	rte_prefetch0(stock_ptr(stock, labels[0]));
	for (uint32_t i = 0; i < count; i++) {
		heads[i] = labels[n];
		if (n + 1 < nb_bufs)
			rte_prefetch0(stock_ptr(stock, labels[n + 1]));
		if (stock->chains) {
			n += tx_long(stock, pkts[i], &labels[n]);
		} else {
			tx_short(stock, pkts[i], labels[n]);
			n++;
		}
		rte_pktmbuf_free(pkts[i]);
	}
	fifo_put(tx, heads, count);
	return (uint16_t)count;
}

struct stock *
stock_open(const char *socket, struct rte_mempool *pool, uint32_t nb_queues)
{
	struct stock *stock = calloc(1, sizeof(*stock));
	const struct avp_device_info *info;

	if (stock == NULL || sim_guest_start(&stock->guest, socket, nb_queues, 0) < 0) {
		free(stock);
		return NULL;
	}
	info = stock->guest.info;
	stock->pool = pool;
	stock->mbuf_room = (uint32_t)(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM);
	stock->buf_data_size = info->buf_data_size;
	stock->chains = info->max_rx_size > stock->mbuf_room ||
			info->max_rx_size > stock->buf_data_size;
	stock->va_to_ptr = (int64_t)((uintptr_t)sim_guest_ptr(&stock->guest, info->buf_va) -
			(uintptr_t)info->buf_va);
	return stock;
}
