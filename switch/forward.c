/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The packet path of a worker: classify, check, learn, look up, hand on.
 *
 * How it works: forward_burst() reads each header once into a struct forward_pkt (a guest may
 * change the data under our hands), looks up all sources and destinations of the burst at once, and
 * puts the packets into per-port arrays that forward_flush() sends. No system call, no waiting
 * and no log here; the only lock is that of a tx queue that workers have to share.
 */

#include <string.h>

#include <rte_atomic.h>
#include <rte_byteorder.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "address.h"
#include "announce.h"
#include "capture.h"
#include "egress.h"
#include "fdb.h"
#include "forward.h"
#include "hold.h"

/** 01:80:c2:00:00:00 to 0f, as fdb_mac() has it. */
#define LINK_LOCAL UINT64_C(0x000000c28001)
#define LINK_LOCAL_MASK UINT64_C(0xf0ffffffffff)
#define MULTICAST_BIT UINT64_C(0x01)

_Static_assert(2 * FORWARD_BURST <= FDB_LOOKUP_MAX, "one lookup per burst");

enum stats_drop
forward_parse(const struct dp_port *in, struct rte_mbuf *mbuf, struct forward_pkt *pkt)
{
	uint8_t head[sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr)];
	struct rte_vlan_hdr tag;
	enum stats_drop drop;
	bool tagged = false;
	uint16_t vid;

	if (unlikely(mbuf->data_len < sizeof(pkt->eth)))
		return STATS_DROP_RX_RUNT;
	memcpy(head, rte_pktmbuf_mtod(mbuf, const void *),
			RTE_MIN(mbuf->data_len, (uint16_t)sizeof(head)));
	/* From here on only the copy counts: the compiler may not go back to the data. */
	rte_compiler_barrier();

	pkt->mbuf = mbuf;
	pkt->guest_writable = in->guest_writable;
	pkt->l2_len = sizeof(pkt->eth);
	pkt->tci = 0;
	memcpy(&pkt->eth, head, sizeof(pkt->eth));
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) {
		tagged = true;
		pkt->tci = mbuf->vlan_tci;
	} else if (pkt->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		if (unlikely(mbuf->data_len < sizeof(head)))
			return STATS_DROP_RX_RUNT;
		memcpy(&tag, head + sizeof(pkt->eth), sizeof(tag));
		tagged = true;
		pkt->tci = rte_be_to_cpu_16(tag.vlan_tci);
		pkt->eth.ether_type = tag.eth_proto;
		pkt->l2_len = sizeof(head);
	}
	drop = vlan_classify(&in->vlan, tagged, pkt->tci, &vid);
	pkt->tci = (pkt->tci & ~VLAN_ID_MASK) | vid;
	return drop;
}

/* Is the packet allowed in, by its addresses? */
static enum stats_drop
check_addresses(const struct dp_port *in, uint64_t dst, uint64_t src)
{
	if (unlikely((src & MULTICAST_BIT) != 0 || src == 0))
		return STATS_DROP_RX_SRC_INVALID;
	if (in->check_source_mac && unlikely(src != in->mac))
		return STATS_DROP_RX_SRC_MAC;
	if (unlikely((dst & LINK_LOCAL_MASK) == LINK_LOCAL))
		return STATS_DROP_RX_LINK_LOCAL;
	return STATS_DROP_NONE;
}

uint16_t
forward_tx(struct forward *fwd, const struct dp_port *out, struct rte_mbuf **mbufs, uint16_t nb)
{
	struct stats_worker *stats = &out->state->stats[fwd->worker];
	struct capture *capture = atomic_load_explicit(&out->state->capture, memory_order_acquire);
	uint16_t queue = fwd->worker % out->nb_txq;
	uint64_t bytes = 0;
	uint32_t lens[FORWARD_BURST];
	uint16_t sent;

	if (unlikely(capture != NULL))
		capture_packets(capture, out->id, mbufs, nb, false);
	for (uint16_t i = 0; i < nb; i++)
		lens[i] = mbufs[i]->pkt_len;
	if (out->shares_txq)
		rte_spinlock_lock(&out->state->tx_locks[queue]);
	sent = rte_eth_tx_burst(out->id, queue, mbufs, nb);
	if (out->shares_txq)
		rte_spinlock_unlock(&out->state->tx_locks[queue]);
	for (uint16_t i = 0; i < sent; i++)
		bytes += lens[i];
	stats_add(&stats->tx_packets, sent);
	stats_add(&stats->tx_bytes, bytes);
	return sent;
}

static void
send_burst(struct forward *fwd, const struct dp_port *out, struct rte_mbuf **mbufs, uint16_t nb)
{
	uint16_t sent = forward_tx(fwd, out, mbufs, nb);

	if (unlikely(sent < nb)) {
		forward_count_drop(fwd, out, STATS_DROP_TX_FULL, nb - sent);
		rte_pktmbuf_free_bulk(mbufs + sent, nb - sent);
	}
}

void
forward_flush(struct forward *fwd)
{
	for (uint16_t i = 0; i < fwd->nb_pending; i++) {
		struct forward_txq *txq = &fwd->txqs[fwd->pending[i]];

		if (txq->nb != 0)
			send_burst(fwd, fwd->view->by_id[fwd->pending[i]], txq->pkts, txq->nb);
		txq->nb = 0;
		txq->is_pending = false;
	}
	fwd->nb_pending = 0;
}

void
forward_send(struct forward *fwd, const struct forward_pkt *pkt, struct rte_mbuf *mbuf,
		const struct dp_port *in, const struct dp_port *out)
{
	struct forward_txq *txq = &fwd->txqs[out->id];
	struct rte_mbuf *sent;
	enum stats_drop drop = egress_prepare(fwd->pool, pkt, mbuf, in, out, &sent);

	if (unlikely(drop != STATS_DROP_NONE)) {
		forward_count_drop(fwd, out, drop, 1);
		return;
	}
	if (!txq->is_pending) {
		txq->is_pending = true;
		fwd->pending[fwd->nb_pending++] = out->id;
	}
	txq->pkts[txq->nb++] = sent;
	if (txq->nb == FORWARD_BURST) {
		send_burst(fwd, out, txq->pkts, txq->nb);
		txq->nb = 0;
	}
}

static void
drop_in(const struct forward *fwd, const struct dp_port *in, struct rte_mbuf *mbuf,
		enum stats_drop drop)
{
	forward_count_drop(fwd, in, drop, 1);
	rte_pktmbuf_free(mbuf);
}

/* Hand one packet to a port of a flood. Consumes @mbuf. */
static void
forward_to(struct forward *fwd, struct forward_pkt *pkt, struct rte_mbuf *mbuf,
		const struct dp_port *in, const struct dp_port *out)
{
	struct forward_pkt copy = *pkt;

	if (likely(forward_has_link(out) || out->hold == NULL)) {
		forward_send(fwd, pkt, mbuf, in, out);
		return;
	}
	copy.mbuf = mbuf;
	hold_put(fwd, &copy, in, out);
}

/* To every other port of the VLAN that has link. Copies and clones are made only for several. */
static void
flood(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in)
{
	const struct dp_port *outs[RTE_MAX_ETHPORTS];
	uint16_t vid = pkt->tci & VLAN_ID_MASK;
	uint16_t nb = 0;

	if (in->state->addresses != NULL)
		address_note(in->state->addresses, pkt);
	for (uint16_t i = 0; i < fwd->view->nb_ports; i++) {
		const struct dp_port *out = &fwd->view->ports[i];

		if (out != in && vlan_is_member(&out->vlan, vid) &&
				(forward_has_link(out) || hold_wants_flood(out, pkt)))
			outs[nb++] = out;
	}
	if (nb == 0) {
		drop_in(fwd, in, pkt->mbuf, STATS_DROP_RX_NO_MEMBER);
		return;
	}
	if (nb > 1 && egress_make_private(fwd->pool, pkt) != 0) {
		drop_in(fwd, in, pkt->mbuf, STATS_DROP_RX_NO_MBUF);
		return;
	}
	for (uint16_t i = 0; i + 1 < nb; i++) {
		struct rte_mbuf *clone = rte_pktmbuf_clone(pkt->mbuf, fwd->pool);

		if (clone == NULL)
			forward_count_drop(fwd, outs[i], STATS_DROP_TX_NO_MBUF, 1);
		else
			forward_to(fwd, pkt, clone, in, outs[i]);
	}
	forward_to(fwd, pkt, pkt->mbuf, in, outs[nb - 1]);
}

/* To the port that the FDB names. */
static void
forward_known(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in,
		const struct dp_port *out)
{
	enum stats_drop drop = STATS_DROP_NONE;

	if (out == in) {
		drop_in(fwd, in, pkt->mbuf, STATS_DROP_RX_SAME_PORT);
		return;
	}
	if (!vlan_is_member(&out->vlan, pkt->tci & VLAN_ID_MASK))
		drop = STATS_DROP_TX_NOT_MEMBER;
	else if (!forward_has_link(out)) {
		if (out->hold != NULL) {
			hold_put(fwd, pkt, in, out);
			return;
		}
		drop = STATS_DROP_TX_LINK_DOWN;
	}
	if (unlikely(drop != STATS_DROP_NONE)) {
		forward_count_drop(fwd, out, drop, 1);
		rte_pktmbuf_free(pkt->mbuf);
		return;
	}
	forward_send(fwd, pkt, pkt->mbuf, in, out);
}

/* What the control thread has put into fwd->injected (announce.h). */
static void
forward_injected(struct forward *fwd)
{
	struct rte_mbuf *mbuf;

	while (fwd->injected != NULL && rte_ring_sc_dequeue(fwd->injected, (void **)&mbuf) == 0) {
		const struct announce_where *where = announce_where(mbuf);
		const struct dp_port *in = fwd->view->by_id[where->in];
		const struct dp_port *out =
				where->out != FDB_ANY ? fwd->view->by_id[where->out] : NULL;
		struct forward_pkt pkt = {
				.mbuf = mbuf,
				.eth = *rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *),
				.tci = where->vid,
				.l2_len = sizeof(pkt.eth),
		};

		if (in == NULL || (where->out != FDB_ANY && out == NULL))
			rte_pktmbuf_free(mbuf);
		else if (out != NULL)
			forward_known(fwd, &pkt, in, out);
		else
			flood(fwd, &pkt, in);
	}
}

/* To wherever @entry says. */
static void
forward_by(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in,
		const struct fdb_entry *entry)
{
	const struct dp_port *out = NULL;

	if (entry != NULL)
		out = fwd->view->by_id[fdb_entry_port(entry)];
	if (out != NULL)
		forward_known(fwd, pkt, in, out);
	else
		flood(fwd, pkt, in);
}

/* Learn from the source, then forward. @entries: what the FDB has for source and destination. */
static void
forward_one(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in,
		const uint64_t keys[2], struct fdb_entry *const entries[2])
{
	if (unlikely(fwd->view->has_work) && hold_came_back(fwd, in, entries)) {
		forward_by(fwd, pkt, in, entries[1]);
		return;
	}
	switch (fdb_learn(fwd->fdb, entries[0], keys[0], in->id, in->fdb_max)) {
	case FDB_STATIC:
		drop_in(fwd, in, pkt->mbuf, STATS_DROP_RX_SRC_STATIC);
		return;
	case FDB_REFUSED:
		stats_add(&in->state->stats[fwd->worker].learn_refused, 1);
		break;
	case FDB_LEARNED:
	case FDB_BUSY:
		break;
	}
	forward_by(fwd, pkt, in, entries[1]);
}

void
forward_burst(struct forward *fwd, const struct dp_port *in, struct rte_mbuf **mbufs, uint16_t nb)
{
	struct stats_worker *stats = &in->state->stats[fwd->worker];
	struct capture *capture = atomic_load_explicit(&in->state->capture, memory_order_acquire);
	struct forward_pkt pkts[FORWARD_BURST];
	struct fdb_entry *entries[2 * FORWARD_BURST];
	uint64_t keys[2 * FORWARD_BURST];
	uint64_t bytes = 0;
	uint16_t n = 0;

	if (unlikely(capture != NULL))
		capture_packets(capture, in->id, mbufs, nb, true);
	for (uint16_t i = 0; i < nb; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], const void *));
	for (uint16_t i = 0; i < nb; i++) {
		struct forward_pkt *pkt = &pkts[n];
		enum stats_drop drop = forward_parse(in, mbufs[i], pkt);
		uint64_t dst, src;

		bytes += mbufs[i]->pkt_len;
		if (drop == STATS_DROP_NONE) {
			dst = fdb_mac(pkt->eth.dst_addr.addr_bytes);
			src = fdb_mac(pkt->eth.src_addr.addr_bytes);
			drop = check_addresses(in, dst, src);
		}
		if (unlikely(drop != STATS_DROP_NONE)) {
			drop_in(fwd, in, mbufs[i], drop);
			continue;
		}
		keys[2 * n] = fdb_key(src, pkt->tci & VLAN_ID_MASK);
		keys[2 * n + 1] = fdb_key(dst, pkt->tci & VLAN_ID_MASK);
		n++;
	}
	stats_add(&stats->rx_packets, nb);
	stats_add(&stats->rx_bytes, bytes);
	fdb_lookup(fwd->fdb, keys, 2 * n, entries);
	for (uint16_t i = 0; i < n; i++)
		forward_one(fwd, &pkts[i], in, &keys[2 * i], &entries[2 * i]);
}

unsigned int
forward_round(struct forward *fwd)
{
	const struct dp_share *share = &fwd->view->shares[fwd->worker];
	unsigned int total = 0;

	if (unlikely(fwd->view->has_work)) {
		total = hold_drain(fwd);
		forward_injected(fwd);
	}
	for (uint16_t i = 0; i < share->nb_rxqs; i++) {
		const struct dp_rxq *rxq = &share->rxqs[i];
		struct rte_mbuf *mbufs[FORWARD_BURST];
		uint16_t nb = rte_eth_rx_burst(rxq->port->id, rxq->queue, mbufs, FORWARD_BURST);

		if (nb != 0)
			forward_burst(fwd, rxq->port, mbufs, nb);
		total += nb;
	}
	forward_flush(fwd);
	return total;
}
