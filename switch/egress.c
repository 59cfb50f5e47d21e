/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Making a packet fit to leave at a port.
 *
 * How it works: a packet from a guest lies in memory that the guest may still write. Within its
 * trust domain it is passed on as it is. When it leaves the domain, what is sent begins with the
 * header that was checked. To a port with buffers of its own (another guest's) it is copied, once,
 * into one of these, which the port then sends by pointer. To others it goes in a private mbuf,
 * with the guest's payload chained behind it, or copied whole if it is short, or the port sends no
 * chains or reads packets by DMA. Packets that no guest can write are changed in place when nobody
 * else refers to their data, and get such a private header when somebody does.
 */

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_memcpy.h>

#include "egress.h"

/** Up to this many bytes a copy costs less than a chain, and gives the guest its buffer back. */
#define EGRESS_COPY_MAX 256u

#define TAG_FLAGS (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_TX_VLAN)

/* May the data be written: does nobody else refer to it? */
static bool
data_is_ours(const struct rte_mbuf *mbuf)
{
	if (rte_mbuf_refcnt_read(mbuf) != 1 || RTE_MBUF_CLONED(mbuf))
		return false;
	return !RTE_MBUF_HAS_EXTBUF(mbuf) || rte_mbuf_ext_refcnt_read(mbuf->shinfo) == 1;
}

static bool
is_tag_type(rte_be16_t ether_type)
{
	return ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
			ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

/* Write the checked header, with a tag unless the port inserts it. Room must be there. */
static void
write_header(void *data, const struct forward_pkt *pkt, bool with_tag)
{
	struct rte_ether_hdr *eth = data;

	*eth = pkt->eth;
	if (with_tag) {
		struct rte_vlan_hdr *tag = (struct rte_vlan_hdr *)(eth + 1);

		eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		tag->vlan_tci = rte_cpu_to_be_16(pkt->tci);
		tag->eth_proto = pkt->eth.ether_type;
	}
}

static void
set_tag(struct rte_mbuf *mbuf, const struct forward_pkt *pkt, bool inserted_by_port)
{
	mbuf->ol_flags &= ~(uint64_t)TAG_FLAGS;
	mbuf->vlan_tci = pkt->tci;
	if (inserted_by_port)
		mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
}

/* A whole private copy, without the header. */
static struct rte_mbuf *
copy_payload(struct rte_mempool *pool, const struct forward_pkt *pkt, const struct rte_mbuf *mbuf)
{
	struct rte_mbuf *copy;

	if (mbuf->pkt_len > pkt->l2_len)
		return rte_pktmbuf_copy(mbuf, pool, pkt->l2_len, UINT32_MAX);
	copy = rte_pktmbuf_alloc(pool);
	if (copy != NULL)
		copy->hash = mbuf->hash;
	return copy;
}

/* A private mbuf in front of the payload. @mbuf is taken over when this succeeds. */
static struct rte_mbuf *
chain_payload(struct rte_mempool *pool, const struct forward_pkt *pkt, struct rte_mbuf *mbuf)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);

	if (head == NULL)
		return NULL;
	rte_pktmbuf_adj(mbuf, pkt->l2_len);
	head->ol_flags = mbuf->ol_flags & ~(uint64_t)(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	head->hash = mbuf->hash;
	head->port = mbuf->port;
	head->pkt_len = mbuf->pkt_len;
	head->nb_segs = mbuf->nb_segs + 1;
	head->next = mbuf;
	if (mbuf->data_len == 0) {
		/* The header had a segment of its own. */
		head->next = mbuf->next;
		head->nb_segs--;
		mbuf->next = NULL;
		mbuf->nb_segs = 1;
		rte_pktmbuf_free(mbuf);
	}
	return head;
}

/* Put the checked header, in private memory, in front of the payload. */
static enum stats_drop
send_private(struct rte_mempool *pool, const struct forward_pkt *pkt, struct rte_mbuf *mbuf,
		const struct dp_port *out, bool tag, struct rte_mbuf **sent)
{
	bool with_tag = tag && !out->tx_vlan_insert;
	uint16_t len = sizeof(struct rte_ether_hdr) + (with_tag ? VLAN_TAG_SIZE : 0);
	/* only a guest's memory is unknown to a device that uses DMA */
	bool readable = !out->tx_by_dma || !pkt->guest_writable;
	bool chain = out->tx_multi_segs && readable && mbuf->pkt_len > EGRESS_COPY_MAX;
	struct rte_mbuf *head;

	head = chain ? chain_payload(pool, pkt, mbuf) : copy_payload(pool, pkt, mbuf);
	if (head == NULL) {
		rte_pktmbuf_free(mbuf);
		return STATS_DROP_TX_NO_MBUF;
	}
	if (!chain)
		rte_pktmbuf_free(mbuf);
	if (head->nb_segs > 1 && !out->tx_multi_segs) {
		rte_pktmbuf_free(head);
		return STATS_DROP_TX_TOO_LONG;
	}
	write_header(rte_pktmbuf_prepend(head, len), pkt, with_tag);
	set_tag(head, pkt, tag && !with_tag);
	*sent = head;
	return STATS_DROP_NONE;
}

/* Does the data already begin as it has to leave? */
static bool
is_as_needed(const struct forward_pkt *pkt, const struct rte_mbuf *mbuf, bool with_tag)
{
	const struct rte_vlan_hdr *tag;

	if (!with_tag)
		return pkt->l2_len == sizeof(struct rte_ether_hdr);
	if (pkt->l2_len == sizeof(struct rte_ether_hdr))
		return false;
	tag = rte_pktmbuf_mtod_offset(mbuf, const struct rte_vlan_hdr *, sizeof(pkt->eth));
	return tag->vlan_tci == rte_cpu_to_be_16(pkt->tci);
}

/* Change the header where it is. Returns false when there is no room. */
static bool
rewrite_header(const struct forward_pkt *pkt, struct rte_mbuf *mbuf, bool with_tag)
{
	uint16_t len = sizeof(struct rte_ether_hdr) + (with_tag ? VLAN_TAG_SIZE : 0);

	if (len > pkt->l2_len + rte_pktmbuf_headroom(mbuf))
		return false;
	rte_pktmbuf_adj(mbuf, pkt->l2_len);
	write_header(rte_pktmbuf_prepend(mbuf, len), pkt, with_tag);
	return true;
}

/* egress_prepare(), for what is called for each packet of a run. */
static inline enum stats_drop
prepare(struct rte_mempool *pool, const struct forward_pkt *pkt, const struct dp_port *in,
		const struct dp_port *out, struct rte_mbuf **sent)
{
	struct rte_mbuf *mbuf = pkt->mbuf;
	bool tag = vlan_leaves_tagged(&out->vlan, pkt->tci & VLAN_ID_MASK);
	bool with_tag = tag && !out->tx_vlan_insert;
	bool same_domain = dp_same_domain(in, out);

	if (!tag && out->vlan.mode == VLAN_MODE_TRUNK && is_tag_type(pkt->eth.ether_type)) {
		rte_pktmbuf_free(mbuf);
		return STATS_DROP_TX_DOUBLE_TAG;
	}
	if (mbuf->pkt_len - pkt->l2_len + sizeof(struct rte_ether_hdr) > out->tx_max_len) {
		rte_pktmbuf_free(mbuf);
		return STATS_DROP_TX_TOO_LONG;
	}
	if ((pkt->guest_writable && !same_domain) || (mbuf->nb_segs > 1 && !out->tx_multi_segs))
		return send_private(pool, pkt, mbuf, out, tag, sent);
	if (!is_as_needed(pkt, mbuf, with_tag) &&
			(!data_is_ours(mbuf) || !rewrite_header(pkt, mbuf, with_tag)))
		return send_private(pool, pkt, mbuf, out, tag, sent);
	/* A driver that inserts tags by software refuses, and loses, a header that is shared. */
	if (tag && !with_tag && !data_is_ours(mbuf))
		return send_private(pool, pkt, mbuf, out, tag, sent);
	set_tag(mbuf, pkt, tag && !with_tag);
	*sent = mbuf;
	return STATS_DROP_NONE;
}

enum stats_drop
egress_prepare(struct rte_mempool *pool, const struct forward_pkt *pkt, const struct dp_port *in,
		const struct dp_port *out, struct rte_mbuf **sent)
{
	return prepare(pool, pkt, in, out, sent);
}

static void
run_one_by_one(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out, struct forward_txq *txq)
{
	for (uint16_t i = 0; i < nb; i++) {
		enum stats_drop drop =
				egress_prepare(fwd->pool, &pkts[i], in, out, &txq->pkts[txq->nb]);

		if (likely(drop == STATS_DROP_NONE))
			txq->nb++;
		else
			forward_count_drop(fwd, out, drop, 1);
	}
}

/* Bytes of a packet without its tag. */
static inline uint32_t
untagged_len(const struct forward_pkt *pkt)
{
	return pkt->mbuf->pkt_len - pkt->l2_len + sizeof(struct rte_ether_hdr);
}

/* Packets that leave as they came, untagged, at an access port. */
static void
run_as_it_is(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out, struct forward_txq *txq)
{
	for (uint16_t i = 0; i < nb; i++) {
		struct rte_mbuf *mbuf = pkts[i].mbuf;

		if (unlikely(pkts[i].l2_len != sizeof(struct rte_ether_hdr) ||
				    mbuf->pkt_len > out->tx_max_len)) {
			run_one_by_one(fwd, &pkts[i], 1, in, out, txq);
			continue;
		}
		mbuf->ol_flags &= ~(uint64_t)TAG_FLAGS;
		txq->pkts[txq->nb++] = mbuf;
	}
}

/* Can it be copied into a buffer with @room for a packet? */
static inline bool
fits_a_buffer(const struct forward_pkt *pkt, const struct dp_port *out, uint16_t room)
{
	return pkt->mbuf->nb_segs == 1 && untagged_len(pkt) + VLAN_TAG_SIZE <= room &&
			untagged_len(pkt) <= out->tx_max_len;
}

/* Copy a packet that fits. */
static inline void
copy_packet(struct rte_mbuf *copy, const struct forward_pkt *pkt, const struct dp_port *out,
		bool tag)
{
	const struct rte_mbuf *mbuf = pkt->mbuf;
	bool with_tag = tag && !out->tx_vlan_insert;
	uint16_t l2_len = sizeof(struct rte_ether_hdr) + (with_tag ? VLAN_TAG_SIZE : 0);
	uint16_t len = mbuf->data_len - pkt->l2_len;
	uint8_t *data = rte_pktmbuf_mtod(copy, uint8_t *);

	rte_memcpy(data + l2_len, rte_pktmbuf_mtod_offset(mbuf, const void *, pkt->l2_len), len);
	write_header(data, pkt, with_tag);
	copy->data_len = l2_len + len;
	copy->pkt_len = l2_len + len;
	copy->port = mbuf->port;
	copy->hash = mbuf->hash;
	copy->ol_flags |= mbuf->ol_flags & ~(uint64_t)(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	set_tag(copy, pkt, tag && !with_tag);
}

/* Packets that leave their guest's domain for another guest's port. */
static void
run_by_copy(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out, struct forward_txq *txq)
{
	const bool tag = vlan_leaves_tagged(&out->vlan, pkts->tci & VLAN_ID_MASK);
	struct rte_mbuf *copies[FORWARD_BURST];
	struct rte_mbuf *done[FORWARD_BURST];
	uint16_t used = 0;
	uint16_t room;

	if (unlikely(rte_pktmbuf_alloc_bulk(out->tx_pool, copies, nb) != 0)) {
		run_one_by_one(fwd, pkts, nb, in, out, txq);
		return;
	}
	room = rte_pktmbuf_tailroom(copies[0]);
	for (uint16_t i = 0; i < nb; i++)
		rte_prefetch0_write(rte_pktmbuf_mtod(copies[i], void *));
	for (uint16_t i = 0; i < nb; i++) {
		if (unlikely(!fits_a_buffer(&pkts[i], out, room))) {
			run_one_by_one(fwd, &pkts[i], 1, in, out, txq);
			continue;
		}
		copy_packet(copies[used], &pkts[i], out, tag);
		txq->pkts[txq->nb++] = copies[used];
		done[used++] = pkts[i].mbuf;
	}
	rte_pktmbuf_free_bulk(done, used);
	if (unlikely(used < nb))
		rte_pktmbuf_free_bulk(copies + used, nb - used);
}

/* May untagged packets of this VLAN, if they are not too long, leave at the port as they are? */
static inline bool
takes_untagged(const struct dp_port *out, uint16_t vid)
{
	return out->vlan.mode == VLAN_MODE_ACCESS && !vlan_leaves_tagged(&out->vlan, vid) &&
			out->tx_multi_segs;
}

/* Could a packet of a trunk's native VLAN still begin with a tag? That is looked at one by one. */
static inline bool
may_double_tag(const struct dp_port *out, uint16_t vid)
{
	return out->vlan.mode == VLAN_MODE_TRUNK && !vlan_leaves_tagged(&out->vlan, vid);
}

void
egress_run(struct forward *fwd, const struct forward_pkt *pkts, uint16_t nb,
		const struct dp_port *in, const struct dp_port *out, struct forward_txq *txq)
{
	const uint16_t vid = pkts->tci & VLAN_ID_MASK;
	const bool leaves_domain = pkts->guest_writable && !dp_same_domain(in, out);

	if (!leaves_domain && takes_untagged(out, vid))
		run_as_it_is(fwd, pkts, nb, in, out, txq);
	else if (leaves_domain && out->tx_pool != NULL && !may_double_tag(out, vid))
		run_by_copy(fwd, pkts, nb, in, out, txq);
	else
		run_one_by_one(fwd, pkts, nb, in, out, txq);
}

bool
egress_copy(const struct forward_pkt *pkt, const struct dp_port *out, struct forward_txq *txq)
{
	const uint16_t vid = pkt->tci & VLAN_ID_MASK;
	struct rte_mbuf *copy;

	if (out->tx_pool == NULL || may_double_tag(out, vid))
		return false;
	copy = rte_pktmbuf_alloc(out->tx_pool);
	if (copy == NULL)
		return false;
	if (!fits_a_buffer(pkt, out, rte_pktmbuf_tailroom(copy))) {
		rte_pktmbuf_free(copy);
		return false;
	}
	copy_packet(copy, pkt, out, vlan_leaves_tagged(&out->vlan, vid));
	txq->pkts[txq->nb++] = copy;
	return true;
}

int
egress_make_private(struct rte_mempool *pool, struct forward_pkt *pkt)
{
	struct rte_mbuf *copy;

	if (!pkt->guest_writable && data_is_ours(pkt->mbuf)) {
		if (pkt->l2_len != sizeof(struct rte_ether_hdr))
			rewrite_header(pkt, pkt->mbuf, false);
		pkt->l2_len = sizeof(struct rte_ether_hdr);
		return 0;
	}
	copy = copy_payload(pool, pkt, pkt->mbuf);
	if (copy == NULL)
		return -ENOMEM;
	write_header(rte_pktmbuf_prepend(copy, sizeof(struct rte_ether_hdr)), pkt, false);
	rte_pktmbuf_free(pkt->mbuf);
	pkt->mbuf = copy;
	pkt->l2_len = sizeof(struct rte_ether_hdr);
	pkt->guest_writable = false;
	return 0;
}
