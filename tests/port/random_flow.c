/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The flows of random_flow.h.
 */

#include <inttypes.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "random_flow.h"

#define MAGIC 0x4f41u
#define VLAN_SIZE sizeof(struct rte_vlan_hdr)

/* What a packet says of itself, after its headers. */
struct mark {
	uint16_t magic;
	uint8_t from : 7; /* enum random_side */
	uint8_t tagged : 1;
	uint8_t flow;
	uint32_t number;
	uint32_t era;
	uint16_t size;
} __attribute__((packed));

struct headers {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
} __attribute__((packed, aligned(2)));

#define HEAD_SIZE (sizeof(struct headers) + sizeof(struct mark))
_Static_assert(HEAD_SIZE <= RANDOM_MIN_PKT, "the smallest packets have room for it");

/* A flow in an era. */
struct span {
	_Atomic uint32_t era;   /* of this entry, 0 = none; set last, by the sender */
	_Atomic uint32_t first; /* number sent in it */
	_Atomic uint32_t next;  /* number that must come; the receiver's */
	_Atomic uint64_t queue; /* on which they come: configuration << 16 | queue + 1 */
};

struct flow {
	_Atomic uint32_t sent;       /* number of the next one; the sender's */
	_Atomic uint64_t loss_until; /* smaller numbers may be lost; the operations thread's */
	struct span spans[RANDOM_NB_ERAS];
};

static struct flow flows[NB_SIDES][RANDOM_NB_FLOWS];
static _Atomic uint64_t received[NB_SIDES];
/* even ones, but for the time that an operation takes */
static _Atomic uint32_t era = 2;
static _Atomic uint32_t first_era = 2; /* that must be known; those before are forgotten */
static _Atomic uint32_t generation;
static _Atomic uint32_t loss_era; /* the last operation that emptied FIFOs began in it */

static uint16_t
tci_of(uint32_t flow, uint32_t number)
{
	return (uint16_t)(1 + (flow * 37 + number) % 4094);
}

/* All bytes of a packet, with the tag, if any, beside it. */
static void
fill(uint8_t *data, const struct mark *mark, const struct rte_ether_addr *dst)
{
	struct headers headers = {
			.eth.src_addr.addr_bytes = {0x02, 0xee, 0, 0, 0, (uint8_t)mark->flow},
			.eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
			.ip.version_ihl = RTE_IPV4_VHL_DEF,
			.ip.total_length = rte_cpu_to_be_16(
					(uint16_t)(mark->size - sizeof(struct rte_ether_hdr))),
			.ip.time_to_live = 64,
			.ip.next_proto_id = IPPROTO_UDP,
			.ip.src_addr = rte_cpu_to_be_32(0x0a000000 + mark->flow),
			.ip.dst_addr = rte_cpu_to_be_32(0x0a010000 + 7 * mark->flow),
			.udp.src_port = rte_cpu_to_be_16((uint16_t)(1000 + 13 * mark->flow)),
			.udp.dst_port = RTE_BE16(4789),
	};
	uint32_t word = mark->flow * 0x01000193 ^ mark->number * 0x9e3779b1 ^ mark->from << 7;

	headers.eth.dst_addr = *dst;
	memcpy(data, &headers, sizeof(headers));
	memcpy(data + sizeof(headers), mark, sizeof(*mark));
	for (uint32_t i = HEAD_SIZE; i < mark->size; i++) {
		if (i % 4 == 0)
			word = word * 1664525 + 1013904223;
		data[i] = (uint8_t)(word >> (i % 4 * 8));
	}
}

/*
 * Sending
 */

/* Put @size bytes into mbufs of random sizes, with random room in front. */
static struct rte_mbuf *
chain(struct random *rnd, struct rte_mempool *pool, const uint8_t *data, uint32_t size)
{
	static const uint16_t seg_sizes[] = {9238, 9238, 2048, 2047, 1000, 511, 100, 61};
	const uint16_t seg_size = seg_sizes[random_below(rnd, RTE_DIM(seg_sizes))];
	struct rte_mbuf *head = NULL;

	for (uint32_t done = 0; done < size;) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		uint32_t nb;

		if (mbuf == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		mbuf->data_off = (uint16_t)random_below(rnd, RTE_PKTMBUF_HEADROOM + 1);
		nb = RTE_MIN(size - done, (uint32_t)rte_pktmbuf_tailroom(mbuf));
		nb = RTE_MIN(nb, (uint32_t)seg_size);
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)nb), data + done, nb);
		done += nb;
		if (head == NULL)
			head = mbuf;
		else if (rte_pktmbuf_chain(head, mbuf) != 0)
			random_die("%u bytes of %u: more than RTE_MBUF_MAX_NB_SEGS", done, size);
	}
	return head;
}

static struct mark
mark_of(struct random *rnd, const struct random_end *from, const struct random_packet *packet)
{
	struct flow *f = &flows[from->side][packet->flow];

	return (struct mark){
			.magic = MAGIC,
			.from = from->side,
			.flow = (uint8_t)packet->flow,
			.number = atomic_load(&f->sent) + packet->index,
			.era = packet->era,
			.size = (uint16_t)packet->size,
			.tagged = packet->size + VLAN_SIZE <= from->max_pkt &&
					random_once_in(rnd, 16),
	};
}

static void
mark_tag(struct rte_mbuf *mbuf, const struct mark *mark)
{
	if (mark->tagged) {
		mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
		mbuf->vlan_tci = tci_of(mark->flow, mark->number);
	}
}

struct rte_mbuf *
random_flow_make(struct random *rnd, const struct random_end *from, struct rte_mempool *pool,
		const struct random_packet *packet)
{
	static _Thread_local uint8_t bytes[RANDOM_MAX_PKT];
	const struct mark mark = mark_of(rnd, from, packet);
	struct rte_mbuf *mbuf;

	fill(bytes, &mark, &from->dst);
	mbuf = chain(rnd, pool, bytes, mark.size);
	if (mbuf != NULL)
		mark_tag(mbuf, &mark);
	return mbuf;
}

void
random_flow_remake(struct random *rnd, const struct random_end *from,
		const struct random_packet *packet, struct rte_mbuf *mbuf)
{
	static _Thread_local uint8_t bytes[RANDOM_MAX_PKT];
	const struct mark mark = mark_of(rnd, from, packet);
	uint32_t done = 0;

	fill(bytes, &mark, &from->dst);
	for (struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next) {
		memcpy(rte_pktmbuf_mtod(seg, void *), bytes + done, seg->data_len);
		done += seg->data_len;
		seg->ol_flags &= RTE_MBUF_F_EXTERNAL;
		seg->vlan_tci = 0;
	}
	mark_tag(mbuf, &mark);
}

uint32_t
random_flow_begin(enum random_side from, uint32_t flow)
{
	struct flow *f = &flows[from][flow];
	const uint32_t now = atomic_load(&era);
	struct span *span = &f->spans[now % RANDOM_NB_ERAS];

	if (atomic_load(&span->era) == now)
		return now;
	atomic_store(&span->first, atomic_load(&f->sent));
	atomic_store(&span->next, atomic_load(&f->sent));
	atomic_store(&span->queue, 0);
	atomic_store(&span->era, now);
	return now;
}

void
random_flow_sent(enum random_side from, uint32_t flow, uint32_t nb)
{
	atomic_fetch_add(&flows[from][flow].sent, nb);
}

/*
 * Receiving
 */

static void
check_place(const struct random_end *to, uint16_t queue, const struct mark *mark, struct span *span)
{
	const uint64_t here = (uint64_t)to->config << 16 | (queue + 1u);
	const uint64_t there = atomic_load(&span->queue);

	/* odd eras are those in which it changes */
	if (mark->era % 2 != 0 || there == here)
		return;
	if (there >> 16 == to->config && there != 0)
		random_die("%s: flow %u, number %u, era %u: on queue %u, the last one on %u",
				to->name, mark->flow, mark->number, mark->era, queue,
				(unsigned int)(there & 0xffff) - 1);
	atomic_store(&span->queue, here);
}

static void
check_number(const struct random_end *to, uint16_t queue, const struct mark *mark)
{
	struct flow *f = &flows[mark->from][mark->flow];
	struct span *span = &f->spans[mark->era % RANDOM_NB_ERAS];
	const uint32_t want = atomic_load(&span->next);

	if (atomic_load(&span->era) != mark->era)
		random_die("%s: queue %u: flow %u, number %u: of era %u, which nobody knows",
				to->name, queue, mark->flow, mark->number, mark->era);
	if (mark->number < want)
		random_die("%s: queue %u: flow %u, era %u: number %u after %u", to->name, queue,
				mark->flow, mark->era, mark->number, want - 1);
	if (mark->number > want && mark->number > atomic_load(&f->loss_until))
		random_die("%s: queue %u: flow %u, era %u: number %u, but %u is missing; only "
			   "those "
			   "before %" PRIu64 " may be",
				to->name, queue, mark->flow, mark->era, mark->number, want,
				atomic_load(&f->loss_until));
	if (mark->era < atomic_load(&loss_era))
		random_die("%s: queue %u: flow %u, number %u, of era %u, outlived era %u", to->name,
				queue, mark->flow, mark->number, mark->era, atomic_load(&loss_era));
	atomic_store(&span->next, mark->number + 1);
	check_place(to, queue, mark, span);
}

/* The packet's bytes, without its tag. Returns their number. */
static uint32_t
bytes_of(const struct random_end *to, const struct rte_mbuf *mbuf, uint8_t *data, uint32_t *tci)
{
	const uint64_t both = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	uint32_t size = mbuf->pkt_len;
	const void *found;
	uint16_t type;

	if (size < RANDOM_MIN_PKT || size > RANDOM_MAX_PKT + VLAN_SIZE)
		random_die("%s: packet of %u bytes", to->name, size);
	found = rte_pktmbuf_read(mbuf, 0, size, data);
	if (found == NULL)
		random_die("%s: packet of %u bytes: mbufs have less", to->name, size);
	if (found != data)
		memcpy(data, found, size);
	*tci = 0;
	memcpy(&type, data + offsetof(struct rte_ether_hdr, ether_type), sizeof(type));
	if ((mbuf->ol_flags & both) == both) {
		*tci = mbuf->vlan_tci;
	} else if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		memcpy(&type, data + sizeof(struct rte_ether_hdr), sizeof(type));
		*tci = rte_be_to_cpu_16(type);
		size -= VLAN_SIZE;
		memmove(data + 2 * RTE_ETHER_ADDR_LEN, data + 2 * RTE_ETHER_ADDR_LEN + VLAN_SIZE,
				size - 2 * RTE_ETHER_ADDR_LEN);
	}
	return size;
}

static void
check_bytes(const struct random_end *to, const struct mark *mark, const uint8_t *data,
		uint32_t size)
{
	static _Thread_local uint8_t want[RANDOM_MAX_PKT];
	struct rte_ether_addr dst;

	memcpy(&dst, data, sizeof(dst));
	if (mark->size != size)
		random_die("%s: flow %u, number %u: %u bytes, sent with %u", to->name, mark->flow,
				mark->number, size, mark->size);
	fill(want, mark, &dst);
	for (uint32_t i = 0; i < size; i++)
		if (data[i] != want[i])
			random_die("%s: flow %u, number %u, %u bytes: byte %u is 0x%02x, not "
				   "0x%02x",
					to->name, mark->flow, mark->number, size, i, data[i],
					want[i]);
}

void
random_flow_check(const struct random_end *to, uint16_t queue, struct rte_mbuf *mbuf)
{
	static _Thread_local uint8_t data[RANDOM_MAX_PKT + VLAN_SIZE];
	const char *reason;
	struct mark mark;
	uint32_t tci, size;

	if (to->side == SIDE_GUEST && random_flow_generation() % 2 != 0)
		return;
	if (rte_mbuf_check(mbuf, 1, &reason) != 0)
		random_die("%s: queue %u: mbuf: %s", to->name, queue, reason);
	if (mbuf->port != to->port_id)
		random_die("%s: queue %u: mbuf of port %u", to->name, queue, mbuf->port);
	size = bytes_of(to, mbuf, data, &tci);
	memcpy(&mark, data + sizeof(struct headers), sizeof(mark));
	if (mark.magic != MAGIC || mark.from != 1u - to->side || mark.flow >= RANDOM_NB_FLOWS ||
			mark.size > RANDOM_MAX_PKT)
		random_die("%s: queue %u: %u bytes that nobody has sent: 0x%x, side %u, flow %u",
				to->name, queue, size, mark.magic, mark.from, mark.flow);
	check_bytes(to, &mark, data, size);
	if (tci != (mark.tagged ? tci_of(mark.flow, mark.number) : 0))
		random_die("%s: queue %u: flow %u, number %u: VLAN tag 0x%x", to->name, queue,
				mark.flow, mark.number, tci);
	check_number(to, queue, &mark);
	atomic_fetch_add(&received[mark.from], 1);
}

/*
 * What the operations thread knows
 */

void
random_flow_era(void)
{
	const uint32_t now = atomic_fetch_add(&era, 1) + 1;

	if (now - atomic_load(&first_era) >= RANDOM_NB_ERAS)
		random_die("more than %u eras without a look at what is owed", RANDOM_NB_ERAS);
}

uint32_t
random_flow_generation(void)
{
	return atomic_load(&generation);
}

void
random_flow_loss_begin(void)
{
	atomic_fetch_add(&generation, 1);
	for (int side = 0; side < NB_SIDES; side++)
		for (uint32_t i = 0; i < RANDOM_NB_FLOWS; i++)
			atomic_store(&flows[side][i].loss_until, UINT64_MAX);
}

void
random_flow_look_again(void)
{
	atomic_fetch_add(&generation, 1);
}

void
random_flow_loss_end(void)
{
	for (int side = 0; side < NB_SIDES; side++)
		for (uint32_t i = 0; i < RANDOM_NB_FLOWS; i++)
			atomic_store(&flows[side][i].loss_until, atomic_load(&flows[side][i].sent));
	atomic_store(&loss_era, atomic_load(&era));
}

/* What the flow still owes in one era. */
static uint32_t
span_owed(struct flow *f, uint32_t i)
{
	struct span *span = &f->spans[i % RANDOM_NB_ERAS];
	const uint32_t now = atomic_load(&era);
	uint32_t end = atomic_load(&f->sent);

	if (atomic_load(&span->era) != i)
		return 0;
	for (uint32_t n = i + 1; n <= now; n++) {
		struct span *after = &f->spans[n % RANDOM_NB_ERAS];

		if (atomic_load(&after->era) != n)
			continue;
		end = atomic_load(&after->first);
		break;
	}
	if (end <= atomic_load(&f->loss_until))
		return 0;
	return end - atomic_load(&span->next);
}

static uint64_t
flow_owed(struct flow *f)
{
	const uint32_t now = atomic_load(&era);
	uint64_t owed = 0;

	for (uint32_t i = atomic_load(&first_era); i <= now; i++)
		owed += span_owed(f, i);
	return owed;
}

uint64_t
random_flow_owed(enum random_side from)
{
	uint64_t owed = 0;

	for (uint32_t i = 0; i < RANDOM_NB_FLOWS; i++)
		owed += flow_owed(&flows[from][i]);
	return owed;
}

uint64_t
random_flow_received(enum random_side from)
{
	return atomic_load(&received[from]);
}

void
random_flow_forget(void)
{
	random_flow_era();
	random_flow_era();
	atomic_store(&first_era, atomic_load(&era));
}

void
random_flow_trace(enum random_side from)
{
	for (uint32_t i = 0; i < RANDOM_NB_FLOWS; i++) {
		struct flow *f = &flows[from][i];
		const uint64_t owed = flow_owed(f);

		if (owed > 0)
			random_trace("flow %u from %s: %" PRIu64
				     " missing of %u, lost may be those "
				     "before %" PRIu64,
					i, from == SIDE_HOST ? "host" : "guest", owed,
					atomic_load(&f->sent), atomic_load(&f->loss_until));
	}
}
