/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Looking at the packets of an rx FIFO: descriptors in BAR 2 become struct rx_pkt. Included by the
 * two files that receive from FIFOs. Context: a burst of the queue.
 */

#ifndef AVPG_RX_FIFO_H
#define AVPG_RX_FIFO_H

#include <rte_prefetch.h>

#include "avpg_rx.h"

/* One segment. Returns its descriptor's next label, or sets pkt->drop. */
static inline uint64_t
rx_seg_fetch(const struct avpg_mem *mem, struct rx_pkt *pkt, const struct avp_desc *desc)
{
	uint16_t data_len = AVPG_FETCH(&desc->data_len);
	const uint8_t *data = avpg_mem_at(mem, AVPG_FETCH(&desc->data_va), data_len);

	if (unlikely(data == NULL))
		pkt->drop = AVPG_RX_BAD_SEGMENT;
	pkt->seg[pkt->nb_segs] = data;
	pkt->seg_len[pkt->nb_segs] = data_len;
	pkt->nb_segs++;
	return AVPG_FETCH(&desc->next_va);
}

/* The segments after the first: as many as announced, then none. */
static __rte_noinline __rte_unused void
rx_chain_fetch(const struct avpg_mem *mem, struct rx_pkt *pkt, uint8_t nb_segs, uint64_t next_va)
{
	uint32_t sum = pkt->seg_len[0];

	if (nb_segs == 0 || nb_segs > AVP_MAX_SEGS) {
		pkt->drop = AVPG_RX_BAD_CHAIN;
		return;
	}
	while (pkt->nb_segs < nb_segs && next_va != 0) {
		const struct avp_desc *desc = avpg_desc_at(mem, next_va);

		if (desc == NULL) {
			pkt->drop = AVPG_RX_BAD_SEGMENT;
			return;
		}
		pkt->label[pkt->nb_labels++] = next_va;
		next_va = rx_seg_fetch(mem, pkt, desc);
		if (pkt->drop != AVPG_RX_OK)
			return;
		sum += pkt->seg_len[pkt->nb_segs - 1];
	}
	if (pkt->nb_segs != nb_segs || next_va != 0)
		pkt->drop = AVPG_RX_BAD_CHAIN;
	else if (sum != pkt->pkt_len)
		pkt->drop = AVPG_RX_BAD_LEN;
}

/* The packet with label pkt->label[0]: fetch all that matters, once, and check it. */
static inline void
rx_pkt_fetch(const struct avpg_rxq *q, struct rx_pkt *pkt)
{
	const struct avp_desc *desc = avpg_desc_at(&q->mem, pkt->label[0]);
	uint64_t next_va;
	uint8_t nb_segs;

	pkt->drop = AVPG_RX_OK;
	pkt->nb_segs = 0;
	pkt->nb_labels = 1;
	if (unlikely(desc == NULL)) {
		pkt->drop = AVPG_RX_BAD_LABEL;
		return;
	}
	nb_segs = AVPG_FETCH(&desc->nb_segs);
	pkt->pkt_len = AVPG_FETCH(&desc->pkt_len);
	pkt->vlan = (AVPG_FETCH(&desc->ol_flags) & AVP_DESC_RX_VLAN) != 0;
	pkt->vlan_tci = AVPG_FETCH(&desc->vlan_tci);
	next_va = rx_seg_fetch(&q->mem, pkt, desc);
	if (unlikely(pkt->drop != AVPG_RX_OK))
		return;
	if (unlikely(pkt->pkt_len < AVP_MIN_PKT_SIZE))
		pkt->drop = AVPG_RX_TOO_SHORT;
	else if (unlikely(pkt->pkt_len > q->max_rx_size))
		pkt->drop = AVPG_RX_TOO_LONG;
	else if (unlikely(nb_segs != 1 || next_va != 0))
		rx_chain_fetch(&q->mem, pkt, nb_segs, next_va);
	else if (unlikely(pkt->seg_len[0] != pkt->pkt_len))
		pkt->drop = AVPG_RX_BAD_LEN;
	if (likely(pkt->drop == AVPG_RX_OK))
		avp_prefetch_write(pkt->seg[0]);
}

/* Look at the next @nb packets of a FIFO: fetch, check, filter. */
static inline void
rx_look(struct avpg_rxq *q, const struct avpg_rx_fifo *fifo, struct rx_pkt *pkts, uint16_t nb)
{
	bool all = atomic_load_explicit(&q->port->promiscuous, memory_order_relaxed);
	uint16_t i;

	for (i = 0; i < nb; i++) {
		pkts[i].label[0] = avp_fifo_at(&fifo->rx, i);
		avp_prefetch_write(avpg_mem_at(&q->mem, pkts[i].label[0], 1));
	}
	for (i = 0; i < nb; i++)
		rx_pkt_fetch(q, &pkts[i]);
	for (i = 0; i < nb; i++) {
		if (likely(pkts[i].drop == AVPG_RX_OK) && !all)
			pkts[i].drop = (uint8_t)rx_filter(q, &pkts[i]);
		pkts[i].nb_mbufs =
				likely(pkts[i].drop == AVPG_RX_OK) ? rx_nb_mbufs(q, &pkts[i]) : 0;
	}
}

/* Fetch what the next burst will look at first, while the application works on this one. */
static inline void
rx_look_ahead(const struct avpg_rxq *q, const struct avpg_rx_fifo *fifo)
{
	const uint32_t nb = RTE_MIN(avp_fifo_known(&fifo->rx), (uint32_t)AVPG_BURST);

	for (uint32_t i = 0; i < nb; i++)
		avp_prefetch_write(avpg_mem_at(&q->mem, avp_fifo_at(&fifo->rx, i), 1));
}

#endif /* AVPG_RX_FIFO_H */
