/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive: packets of the queue's rx FIFOs into mbufs, by copy or, with "recycle", by pointer.
 *
 * How it works
 * A burst serves all FIFOs of the queue, each time beginning with the next one, and gives each its
 * share of the burst before any gets more. From one FIFO it looks at up to AVPG_BURST packets in
 * four passes: prefetch the descriptors; fetch and check them (rx_pkt_fetch), prefetch the data;
 * drop what is not for this station, and allocate mbufs for the rest; copy. Only then are the
 * entries taken from the rx FIFO and the buffers given back: when mbufs run out, packets stay where
 * they are. There is always room on the free FIFO, because no more packets are looked at than it
 * has room for.
 *
 * How it is done by pointer, and from compact rings, say avpg_rx_pointer.c and avpg_rx_compact.c.
 *
 * The host may change descriptors and data at any time. What matters for memory safety is fetched
 * once, in avpg_rx_fifo.h, and used from the copy.
 */

#include "avpg_rx_fifo.h"

/* Copy a packet of several segments, or larger than an mbuf. */
void
avpg_rx_copy_scattered(const struct avpg_rxq *q, const struct rx_pkt *pkt, struct rte_mbuf **mbufs)
{
	uint32_t left = pkt->pkt_len;
	uint32_t seg = 0;
	uint32_t seg_off = 0;

	for (uint16_t i = 0; i < pkt->nb_mbufs; i++) {
		struct rte_mbuf *m = mbufs[i];
		uint32_t want = RTE_MIN(left, q->mbuf_room);
		uint8_t *dst = rte_pktmbuf_mtod(m, uint8_t *);

		m->data_len = (uint16_t)want;
		m->next = i + 1 < pkt->nb_mbufs ? mbufs[i + 1] : NULL;
		left -= want;
		while (want > 0) {
			uint32_t n = RTE_MIN(want, pkt->seg_len[seg] - seg_off);

			rte_memcpy(dst, pkt->seg[seg] + seg_off, n);
			dst += n;
			seg_off += n;
			want -= n;
			if (seg_off == pkt->seg_len[seg]) {
				seg++;
				seg_off = 0;
			}
		}
	}
	mbufs[0]->nb_segs = pkt->nb_mbufs;
}

/* Packets that may be taken from a FIFO now, with room for their buffers on the free FIFO. */
static inline uint16_t
rx_fifo_ready(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, uint16_t want)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t avail = avp_fifo_avail(&fifo->rx, want, &fault);
	uint32_t nb = 0;

	if (avail > 0)
		nb = RTE_MIN(RTE_MIN(avail, want), avp_fifo_room(&fifo->free, want, &fault));
	if (unlikely(fault != AVP_FIFO_OK))
		q->stats.fifo_faults++;
	if (nb > 0)
		avp_fifo_prefetch_put(&fifo->free, nb);
	return (uint16_t)nb;
}

/* Receive up to @want <= AVPG_BURST packets from one FIFO; @taken: entries used, drops included. */
static inline uint16_t
rx_fifo_burst(struct avpg_rxq *q, struct avpg_rx_fifo *fifo, struct rte_mbuf **out, uint16_t want,
		uint16_t *taken)
{
	struct rx_pkt pkts[AVPG_BURST];
	struct rte_mbuf *mbufs[AVPG_BURST_MBUFS];
	struct rte_mbuf **next = mbufs;
	uint16_t nb = rx_fifo_ready(q, fifo, want);
	uint16_t nb_out = 0;

	*taken = 0;
	if (nb == 0)
		return 0;
	rx_look(q, fifo, pkts, nb);
	nb = rx_alloc(q, pkts, nb, mbufs);
	if (unlikely(nb == 0))
		return 0;
	for (uint16_t i = 0; i < nb; i++) {
		const struct rx_pkt *pkt = &pkts[i];

		avp_fifo_set(&fifo->free, i, pkt->label[0]);
		if (unlikely(pkt->drop != AVPG_RX_OK)) {
			q->stats.drop[pkt->drop]++;
			continue;
		}
		out[nb_out] = rx_copy(q, pkt, next);
		q->stats.bytes += out[nb_out]->pkt_len;
		next += pkt->nb_mbufs;
		nb_out++;
	}
	avp_fifo_put_done(&fifo->free, nb);
	avp_fifo_get_done(&fifo->rx, nb);
	rx_look_ahead(q, fifo);
	q->stats.packets += nb_out;
	*taken = nb;
	return nb_out;
}

/* One of avpg_rx.h. */
typedef uint16_t (*rx_fifo_burst_fn)(struct avpg_rxq *q, struct avpg_rx_fifo *fifo,
		struct rte_mbuf **out, uint16_t want, uint16_t *taken);

/* Serve the queue's FIFOs in turn. */
static inline uint16_t
rx_burst(struct avpg_rxq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, const rx_fifo_burst_fn burst)
{
	/* bounded: a host that sends faster than we drop must not keep us here */
	uint32_t visits = 2u * q->nb_fifos + nb_pkts / AVPG_BURST;
	uint8_t unseen = q->nb_fifos; /* FIFOs that have not had their turn in this call */
	uint8_t idle = 0;             /* FIFOs in a row that had nothing */
	uint16_t nb = 0;
	uint8_t fifo;

	fifo = q->next_fifo;
	for (; nb < nb_pkts && idle < q->nb_fifos && visits > 0; visits--) {
		uint16_t want = (uint16_t)(nb_pkts - nb);
		uint16_t taken;

		/* leave room for those that come after it; what is left over is for all */
		if (unseen > 1)
			want = (uint16_t)((want + unseen - 1) / unseen);
		if (unseen > 0)
			unseen--;
		want = RTE_MIN(want, (uint16_t)AVPG_BURST);
		nb += burst(q, &q->fifos[fifo], pkts + nb, want, &taken);
		idle = taken == 0 ? idle + 1 : 0;
		fifo = fifo + 1 < q->nb_fifos ? fifo + 1 : 0;
	}
	q->next_fifo = fifo;
	return nb;
}

uint16_t
avpg_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct avpg_rxq *q = rxq;
	uint16_t nb;

	if (unlikely(!avp_gate_enter(&q->gate))) {
		atomic_store_explicit(
				&q->nb_shut_out, avpg_rx_nb_shut_out(q) + 1, memory_order_relaxed);
		return 0;
	}
	if (q->table != NULL) {
		avpg_rx_drain(q);
		nb = q->compact ? rx_burst(q, pkts, nb_pkts, avpg_rx_ring_by_pointer)
				: rx_burst(q, pkts, nb_pkts, avpg_rx_fifo_by_pointer);
	} else {
		nb = q->compact ? rx_burst(q, pkts, nb_pkts, avpg_rx_ring_by_copy)
				: rx_burst(q, pkts, nb_pkts, rx_fifo_burst);
	}
	avp_gate_leave(&q->gate);
	return nb;
}
