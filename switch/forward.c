/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The packet path of a worker: classify, check, learn, look up, hand on.
 *
 * How it works: forward_burst() reads each header once into a struct forward_pkt (a guest may
 * change the data under our hands). Packets in a row with the same addresses and VLAN are a run:
 * what is found out of one of them holds for all. The sources and destinations of all runs are
 * looked up at once, and each run is put into the array of a port, which forward_flush() sends. No
 * system call, no waiting and no log here; the only lock is that of a tx queue that workers have to
 * share.
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
	const void *data = rte_pktmbuf_mtod(mbuf, const void *);
	struct rte_vlan_hdr tag;
	enum stats_drop drop;
	bool tagged = false;
	uint16_t vid;

	/* Two sizes that the compiler knows: no call of memcpy(). */
	if (likely(mbuf->data_len >= sizeof(head)))
		memcpy(head, data, sizeof(head));
	else if (mbuf->data_len >= sizeof(pkt->eth))
		memcpy(head, data, sizeof(pkt->eth));
	else
		return STATS_DROP_RX_RUNT;
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
	uint16_t sent;

	if (unlikely(capture != NULL))
		capture_packets(capture, out->id, mbufs, nb, false);
	for (uint16_t i = 0; i < nb; i++)
		bytes += mbufs[i]->pkt_len;
	if (out->shares_txq)
		rte_spinlock_lock(&out->state->tx_locks[queue]);
	sent = rte_eth_tx_burst(out->id, queue, mbufs, nb);
	if (out->shares_txq)
		rte_spinlock_unlock(&out->state->tx_locks[queue]);
	for (uint16_t i = sent; i < nb; i++)
		bytes -= mbufs[i]->pkt_len;
	stats_add(&stats->tx_packets, sent);
	stats_add(&stats->tx_bytes, bytes);
	return sent;
}

/* Send what is in an array, and empty it. */
static void
send_pending(struct forward *fwd, const struct dp_port *out, struct forward_txq *txq)
{
	uint16_t sent = forward_tx(fwd, out, txq->pkts, txq->nb);

	if (unlikely(sent < txq->nb)) {
		forward_count_drop(fwd, out, STATS_DROP_TX_FULL, txq->nb - sent);
		rte_pktmbuf_free_bulk(txq->pkts + sent, txq->nb - sent);
	}
	txq->nb = 0;
}

void
forward_flush(struct forward *fwd)
{
	for (uint16_t i = 0; i < fwd->nb_pending; i++) {
		struct forward_txq *txq = &fwd->txqs[fwd->pending[i]];

		if (txq->nb != 0)
			send_pending(fwd, fwd->view->by_id[fwd->pending[i]], txq);
		txq->is_pending = false;
	}
	fwd->nb_pending = 0;
}

/* The array of a port, with room for @nb packets. */
static inline struct forward_txq *
txq_for(struct forward *fwd, const struct dp_port *out, uint16_t nb)
{
	struct forward_txq *txq = &fwd->txqs[out->id];

	if (unlikely(txq->nb + nb > FORWARD_BURST))
		send_pending(fwd, out, txq);
	if (!txq->is_pending) {
		txq->is_pending = true;
		fwd->pending[fwd->nb_pending++] = out->id;
	}
	return txq;
}

static inline void
send_run(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb, const struct dp_port *in,
		const struct dp_port *out)
{
	egress_run(fwd, pkts, nb, in, out, txq_for(fwd, out, nb));
}

void
forward_send(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out)
{
	send_run(fwd, pkts, nb, in, out);
}

/* Drop a run; @port counts it. */
static void
drop_run(const struct forward *fwd, const struct dp_port *port, const struct forward_pkt *pkts,
		uint16_t nb, enum stats_drop drop)
{
	forward_count_drop(fwd, port, drop, nb);
	for (uint16_t i = 0; i < nb; i++)
		rte_pktmbuf_free(pkts[i].mbuf);
}

/* Each packet is looked at: any may be the one that ends the wait of others. */
static __rte_noinline void
hold_run(struct forward *fwd, struct forward_pkt *pkts, uint16_t nb, const struct dp_port *in,
		const struct dp_port *out)
{
	for (uint16_t i = 0; i < nb; i++)
		hold_put(fwd, &pkts[i], in, out);
}

static inline bool
is_held(const struct dp_port *port)
{
	return !forward_has_link(port) && port->hold != NULL;
}

/* The ports that a packet from @in is flooded to. One that it can be passed to as it is, is last.
 */
static uint16_t
flood_ports(const struct forward *fwd, const struct dp_port *in, const struct forward_pkt *pkt,
		const struct dp_port **outs)
{
	const uint16_t vid = pkt->tci & VLAN_ID_MASK;
	const struct dp_port *last = NULL;
	uint16_t nb = 0;

	for (uint16_t i = 0; i < fwd->view->nb_ports; i++) {
		const struct dp_port *out = &fwd->view->ports[i];

		if (out == in || !vlan_is_member(&out->vlan, vid) ||
				(!forward_has_link(out) && !hold_wants_flood(out, pkt)))
			continue;
		if (last == NULL && dp_same_domain(in, out))
			last = out;
		else
			outs[nb++] = out;
	}
	if (last != NULL)
		outs[nb++] = last;
	return nb;
}

static void
flood_to(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in,
		const struct dp_port *out)
{
	if (unlikely(is_held(out)))
		hold_put(fwd, pkt, in, out);
	else
		forward_send(fwd, pkt, 1, in, out);
}

/* To every other port of the VLAN that has link, or wants to hold it. What has buffers of its own
 * to send from gets a copy in one of them, which is all the copying that it needs; the others share
 * what is made private for them. The last one gets the packet itself. */
static void
flood(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in)
{
	const struct dp_port *outs[RTE_MAX_ETHPORTS];
	uint16_t nb = flood_ports(fwd, in, pkt, outs);
	bool is_shared = false;

	if (in->state->addresses != NULL)
		address_note(in->state->addresses, pkt);
	if (nb == 0) {
		drop_run(fwd, in, pkt, 1, STATS_DROP_RX_NO_MEMBER);
		return;
	}
	for (uint16_t i = 0; i < nb; i++)
		is_shared |= nb > 1 && outs[i]->tx_pool == NULL && !dp_same_domain(in, outs[i]);
	if (is_shared && egress_make_private(fwd->pool, pkt) != 0) {
		drop_run(fwd, in, pkt, 1, STATS_DROP_RX_NO_MBUF);
		return;
	}
	for (uint16_t i = 0; i + 1 < nb; i++) {
		struct forward_pkt clone = *pkt;

		if (!is_held(outs[i]) && egress_copy(pkt, outs[i], txq_for(fwd, outs[i], 1)))
			continue;
		clone.mbuf = rte_pktmbuf_clone(pkt->mbuf, fwd->pool);
		if (clone.mbuf == NULL)
			forward_count_drop(fwd, outs[i], STATS_DROP_TX_NO_MBUF, 1);
		else
			flood_to(fwd, &clone, in, outs[i]);
	}
	flood_to(fwd, pkt, in, outs[nb - 1]);
}

/* To the port that the FDB names. */
static void
forward_known(struct forward *fwd, struct forward_pkt *pkts, uint16_t nb, const struct dp_port *in,
		const struct dp_port *out)
{
	if (out == in)
		drop_run(fwd, in, pkts, nb, STATS_DROP_RX_SAME_PORT);
	else if (!vlan_is_member(&out->vlan, pkts->tci & VLAN_ID_MASK))
		drop_run(fwd, out, pkts, nb, STATS_DROP_TX_NOT_MEMBER);
	else if (likely(forward_has_link(out)))
		send_run(fwd, pkts, nb, in, out);
	else if (out->hold != NULL)
		hold_run(fwd, pkts, nb, in, out);
	else
		drop_run(fwd, out, pkts, nb, STATS_DROP_TX_LINK_DOWN);
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
			forward_known(fwd, &pkt, 1, in, out);
		else
			flood(fwd, &pkt, in);
	}
}

/* Learn from the source of a run. Returns whether it may be forwarded. */
static bool
learn_run(struct forward *fwd, uint16_t nb, const struct dp_port *in, uint64_t key,
		struct fdb_entry *entry)
{
	switch (fdb_learn(fwd->fdb, entry, key, in->id, in->fdb_max)) {
	case FDB_STATIC:
		return false;
	case FDB_REFUSED:
		stats_add(&in->state->stats[fwd->worker].learn_refused, nb);
		break;
	case FDB_LEARNED:
	case FDB_BUSY:
		break;
	}
	return true;
}

/* Learn from the source, then forward. @entries: what the FDB has for source and destination; with
 * @in they decide whether a run has come back, for all of it. */
static void
forward_run(struct forward *fwd, struct forward_pkt *pkts, uint16_t nb, const struct dp_port *in,
		const uint64_t keys[2], struct fdb_entry *const entries[2])
{
	bool came_back = unlikely(fwd->view->has_work) && hold_came_back(fwd, in, entries);
	const struct dp_port *out = NULL;

	if (likely(!came_back) && !learn_run(fwd, nb, in, keys[0], entries[0])) {
		drop_run(fwd, in, pkts, nb, STATS_DROP_RX_SRC_STATIC);
		return;
	}
	if (entries[1] != NULL)
		out = fwd->view->by_id[fdb_entry_port(entries[1])];
	if (out != NULL) {
		forward_known(fwd, pkts, nb, in, out);
		return;
	}
	for (uint16_t i = 0; i < nb; i++)
		flood(fwd, &pkts[i], in);
}

/* The runs of a burst. */
struct runs {
	uint16_t nb;
	uint16_t nb_pkts[FORWARD_BURST];  /* in each */
	uint64_t keys[2 * FORWARD_BURST]; /* of source and destination */
};

/* Read the headers of a burst, drop what may not come in. */
static void
parse_burst(struct forward *fwd, const struct dp_port *in, struct rte_mbuf **mbufs, uint16_t nb,
		struct forward_pkt *pkts, struct runs *runs)
{
	uint64_t last[2] = {0, 0}; /* no packet has these: no VLAN is 0 */

	runs->nb = 0;
	for (uint16_t i = 0; i < nb; i++) {
		enum stats_drop drop = forward_parse(in, mbufs[i], pkts);
		uint64_t dst, src, keys[2];

		pkts->mbuf = mbufs[i];
		if (unlikely(drop != STATS_DROP_NONE)) {
			drop_run(fwd, in, pkts, 1, drop);
			continue;
		}
		dst = fdb_mac(pkts->eth.dst_addr.addr_bytes);
		src = fdb_mac(pkts->eth.src_addr.addr_bytes);
		keys[0] = fdb_key(src, pkts->tci & VLAN_ID_MASK);
		keys[1] = fdb_key(dst, pkts->tci & VLAN_ID_MASK);
		if (keys[0] != last[0] || keys[1] != last[1]) {
			drop = check_addresses(in, dst, src);
			if (unlikely(drop != STATS_DROP_NONE)) {
				drop_run(fwd, in, pkts, 1, drop);
				continue;
			}
			runs->keys[2 * runs->nb] = last[0] = keys[0];
			runs->keys[2 * runs->nb + 1] = last[1] = keys[1];
			runs->nb_pkts[runs->nb++] = 0;
		}
		runs->nb_pkts[runs->nb - 1]++;
		pkts++;
	}
}

void
forward_burst(struct forward *fwd, const struct dp_port *in, struct rte_mbuf **mbufs, uint16_t nb)
{
	struct stats_worker *stats = &in->state->stats[fwd->worker];
	struct capture *capture = atomic_load_explicit(&in->state->capture, memory_order_acquire);
	struct forward_pkt pkts[FORWARD_BURST];
	struct forward_pkt *first = pkts;
	struct fdb_entry *entries[2 * FORWARD_BURST];
	struct runs runs;
	uint64_t bytes = 0;

	if (unlikely(capture != NULL))
		capture_packets(capture, in->id, mbufs, nb, true);
	for (uint16_t i = 0; i < nb; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], const void *));
		bytes += mbufs[i]->pkt_len;
	}
	stats_add(&stats->rx_packets, nb);
	stats_add(&stats->rx_bytes, bytes);
	parse_burst(fwd, in, mbufs, nb, pkts, &runs);
	fdb_lookup(fwd->fdb, fwd->worker, runs.keys, 2 * runs.nb, entries);
	for (uint16_t i = 0; i < runs.nb; i++) {
		forward_run(fwd, first, runs.nb_pkts[i], in, &runs.keys[2 * i], &entries[2 * i]);
		first += runs.nb_pkts[i];
	}
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
