/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Jobs of vm_traffic; see traffic_job.h.
 */

#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "traffic_job.h"

#define BURST 32
#define GUEST_BUF_SIZE 2048u
#define LINEAR_SIZE (TRAFFIC_MAX_SIZE + 64u)

__rte_format_printf(2, 3) static void job_fail(struct traffic_job *job, const char *fmt, ...)
{
	va_list args;

	job->bad++;
	if (job->error[0] != '\0')
		return;
	va_start(args, fmt);
	vsnprintf(job->error, sizeof(job->error), fmt, args);
	va_end(args);
}

void
traffic_job_begin(struct traffic_job *job, uint32_t number, uint64_t limit_ms)
{
	job->number = number;
	job->limit_tsc = limit_ms * rte_get_tsc_hz() / 1000;
	job->progress_tsc = rte_rdtsc();
}

static uint32_t
guest_bufs(uint32_t pkt_len)
{
	return (pkt_len + GUEST_BUF_SIZE - 1) / GUEST_BUF_SIZE;
}

/*
 * Sending
 */

/* Cut @size bytes into an mbuf chain, at random places if it may have several segments. */
static struct rte_mbuf *
chain_of(struct rte_mempool *pool, const uint8_t *data, uint32_t size, uint32_t nb_segs,
		uint64_t random)
{
	struct rte_mbuf *head = NULL;
	struct rte_mbuf *last = NULL;

	while (size > 0) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		uint32_t nb = size;

		if (mbuf == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		/* the first keeps the headers together */
		if (nb_segs > 1 && size > 128)
			nb = 64 + (uint32_t)(random % (size - 64));
		nb = RTE_MIN(nb, (uint32_t)rte_pktmbuf_tailroom(mbuf));
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)nb), data, nb);
		data += nb;
		size -= nb;
		random = random / 7 + nb;
		nb_segs -= nb_segs > 1;
		if (head == NULL) {
			head = mbuf;
		} else {
			last->next = mbuf;
			head->nb_segs++;
			head->pkt_len += nb;
		}
		last = mbuf;
	}
	return head;
}

static struct rte_mbuf *
make_packet(const struct traffic_stream *stream, struct rte_mempool *pool,
		const struct traffic_id *id)
{
	struct traffic_spec spec = stream->spec;
	uint8_t data[LINEAR_SIZE];
	struct rte_mbuf *mbuf;
	uint32_t size;

	size = traffic_build(&spec, id, false, data);
	if (stream->vlan_offload) {
		memmove(data + sizeof(struct rte_vlan_hdr), data, 2 * RTE_ETHER_ADDR_LEN);
		mbuf = chain_of(pool, data + sizeof(struct rte_vlan_hdr),
				size - sizeof(struct rte_vlan_hdr), stream->nb_segs,
				traffic_random(spec.seed, id->seq, id->flow));
		if (mbuf != NULL) {
			mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
			mbuf->vlan_tci = (uint16_t)spec.vlan;
		}
		return mbuf;
	}
	return chain_of(pool, data, size, stream->nb_segs,
			traffic_random(spec.seed, id->seq, id->flow));
}

/* Make the next packet of a stream, if there is one and it may go. */
static bool
stream_prepare(struct traffic_job *job, uint16_t number, struct rte_mempool *pool)
{
	struct traffic_stream *stream = &job->streams[number];
	struct traffic_id id = {.job = job->number, .stream = number};

	if (stream->pending != NULL)
		return true;
	if (job->stopping || (stream->count != 0 && stream->sent >= stream->count))
		return false;
	if (stream->in_flight >= job->window)
		return false;
	id.flow = (uint16_t)(traffic_random(stream->spec.seed, stream->sent, 0) %
			stream->spec.nb_flows);
	id.seq = stream->next_seq[id.flow];
	stream->pending = make_packet(stream, pool, &id);
	if (stream->pending == NULL)
		return false;
	stream->next_seq[id.flow]++;
	stream->pending_queue = id.flow % stream->from->nb_queues;
	stream->pending_cost = traffic_comes_back(&stream->spec, &id)
			? guest_bufs(stream->pending->pkt_len)
			: 0;
	return true;
}

static uint32_t
stream_send(struct traffic_job *job, uint16_t number, struct rte_mempool *pool)
{
	struct traffic_stream *stream = &job->streams[number];
	uint32_t nb = 0;

	while (nb < BURST && stream_prepare(job, number, pool)) {
		if (rte_eth_tx_burst(stream->from->id, stream->pending_queue, &stream->pending,
				    1) == 0)
			break;
		stream->pending = NULL;
		stream->in_flight += stream->pending_cost;
		stream->expected += stream->pending_cost > 0;
		stream->sent++;
		nb++;
	}
	return nb;
}

/*
 * Receiving
 */

/* What a packet should have been, and where it differs first. */
static void
fail_compare(struct traffic_job *job, const struct traffic_id *id, const uint8_t *got,
		uint32_t got_size, const uint8_t *want, uint32_t want_size)
{
	uint32_t at = 0;

	while (at < got_size && at < want_size && got[at] == want[at])
		at++;
	job_fail(job,
			"stream %u flow %u packet %u: differs at byte %u: got %02x, expected %02x; "
			"%u bytes, expected %u",
			id->stream, id->flow, id->seq, at, at < got_size ? got[at] : 0,
			at < want_size ? want[at] : 0, got_size, want_size);
}

/* Is it the next of its flow that should come? */
static void
check_order(struct traffic_job *job, struct traffic_stream *stream, const struct traffic_id *id)
{
	struct traffic_id want = *id;

	want.seq = stream->want_seq[id->flow];
	while (want.seq < id->seq) {
		stream->lost += traffic_comes_back(&stream->spec, &want);
		if (!job->lossy && traffic_comes_back(&stream->spec, &want))
			job_fail(job, "stream %u flow %u: packet %u came, %u is missing",
					id->stream, id->flow, id->seq, want.seq);
		want.seq++;
	}
	if (id->seq < want.seq)
		job_fail(job, "stream %u flow %u: packet %u came after %u, or twice", id->stream,
				id->flow, id->seq, want.seq - 1);
	else
		stream->want_seq[id->flow] = id->seq + 1;
}

/* Copy the packet; a tag that the driver has taken out is put back. Returns its size. */
static uint32_t
linearize(const struct rte_mbuf *mbuf, uint8_t *out)
{
	const uint32_t macs = 2 * RTE_ETHER_ADDR_LEN;
	uint32_t at = 0;

	for (const struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next) {
		const uint32_t nb = RTE_MIN((uint32_t)seg->data_len, LINEAR_SIZE - 4 - at);

		memcpy(out + at, rte_pktmbuf_mtod(seg, const uint8_t *), nb);
		at += nb;
	}
	if (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED && at >= macs) {
		const uint16_t tag[2] = {
				RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(mbuf->vlan_tci)};

		memmove(out + macs + sizeof(tag), out + macs, at - macs);
		memcpy(out + macs, tag, sizeof(tag));
		at += sizeof(tag);
	}
	return at;
}

static void
check_packet(struct traffic_job *job, const struct traffic_port *port, uint16_t queue,
		const struct rte_mbuf *mbuf)
{
	uint8_t got[LINEAR_SIZE], want[LINEAR_SIZE];
	const uint32_t got_size = linearize(mbuf, got);
	struct traffic_stream *stream;
	const char *reason;
	struct traffic_id id;
	uint32_t want_size;

	if (rte_mbuf_check(mbuf, 1, &reason) != 0) {
		job_fail(job, "port %u: an mbuf that is none: %s", port->id, reason);
		return;
	}
	if (!traffic_identify(got, got_size, &id)) {
		job_fail(job, "port %u: a packet of %u bytes that nobody sent", port->id, got_size);
		return;
	}
	if (id.job != job->number) {
		job->stale++;
		return;
	}
	if (id.stream >= job->nb_streams || job->streams[id.stream].to != port ||
			id.flow >= job->streams[id.stream].spec.nb_flows) {
		job_fail(job, "port %u: a packet of stream %u flow %u", port->id, id.stream,
				id.flow);
		return;
	}
	stream = &job->streams[id.stream];
	if (!traffic_comes_back(&stream->spec, &id)) {
		job_fail(job, "stream %u flow %u packet %u: came though not for the guest",
				id.stream, id.flow, id.seq);
		return;
	}
	want_size = traffic_build(&stream->spec, &id, true, want);
	if (got_size != want_size || memcmp(got, want, got_size) != 0)
		fail_compare(job, &id, got, got_size, want, want_size);
	check_order(job, stream, &id);
	want_size = guest_bufs(traffic_size(&stream->spec, &id));
	stream->in_flight -= RTE_MIN(stream->in_flight, want_size);
	stream->received++;
	stream->bytes += got_size;
	stream->chains += mbuf->nb_segs > 1;
	stream->rx_queue[queue]++;
}

static uint32_t
port_receive(struct traffic_job *job, const struct traffic_port *port)
{
	uint32_t nb_all = 0;

	for (uint16_t queue = 0; queue < port->nb_queues; queue++) {
		struct rte_mbuf *mbufs[BURST];
		const uint16_t nb = rte_eth_rx_burst(port->id, queue, mbufs, BURST);

		for (uint16_t i = 0; i < nb; i++)
			check_packet(job, port, queue, mbufs[i]);
		rte_pktmbuf_free_bulk(mbufs, nb);
		nb_all += nb;
	}
	return nb_all;
}

uint32_t
traffic_job_poll(struct traffic_job *job, struct rte_mempool *pool)
{
	uint32_t nb = 0;

	for (uint16_t i = 0; i < job->nb_streams; i++) {
		nb += stream_send(job, i, pool);
		nb += port_receive(job, job->streams[i].to);
		/* where nothing is expected, or what the guest returned is to be freed */
		rte_eth_tx_burst(job->streams[i].from->id, 0, NULL, 0);
	}
	if (nb > 0)
		job->progress_tsc = rte_rdtsc();
	return nb;
}

/*
 * End
 */

static bool
stream_complete(const struct traffic_job *job, const struct traffic_stream *stream)
{
	if (!job->stopping && (stream->count == 0 || stream->sent < stream->count))
		return false;
	return stream->pending == NULL && stream->received + stream->lost >= stream->expected;
}

bool
traffic_job_done(struct traffic_job *job)
{
	const uint64_t idle = rte_rdtsc() - job->progress_tsc;
	bool complete = true;

	for (uint32_t i = 0; i < job->nb_streams; i++)
		complete &= stream_complete(job, &job->streams[i]);
	if (complete || job->bad > 1000)
		return true;
	if (job->lossy) {
		/* Whatever is lost never makes room in the window: forget it now and then. */
		if (idle > job->limit_tsc / 100)
			for (uint32_t i = 0; i < job->nb_streams; i++)
				job->streams[i].in_flight = 0;
		return job->stopping && idle > job->limit_tsc / 10;
	}
	if (idle <= job->limit_tsc)
		return false;
	for (uint32_t i = 0; i < job->nb_streams; i++) {
		const struct traffic_stream *stream = &job->streams[i];

		if (!stream_complete(job, stream))
			job_fail(job,
					"stream %u stands still: %" PRIu64 " sent, %" PRIu64
					" received, %" PRIu64 " missing, one %s",
					i, stream->sent, stream->received,
					stream->expected - stream->received,
					stream->pending != NULL ? "refused by the port"
								: "not made");
	}
	return true;
}

void
traffic_job_end(struct traffic_job *job, FILE *out)
{
	fprintf(out,
			"{\"bad\": %" PRIu64 ", \"stale\": %" PRIu64
			", \"error\": \"%s\", \"streams\": [",
			job->bad, job->stale, job->error);
	for (uint32_t i = 0; i < job->nb_streams; i++) {
		struct traffic_stream *stream = &job->streams[i];

		fprintf(out,
				"%s{\"sent\": %" PRIu64 ", \"expected\": %" PRIu64
				", \"received\": %" PRIu64 ", \"lost\": %" PRIu64
				", \"bytes\": %" PRIu64 ", \"chains\": %" PRIu64 ", \"queues\": [",
				i > 0 ? ", " : "", stream->sent, stream->expected, stream->received,
				stream->lost, stream->bytes, stream->chains);
		for (uint16_t queue = 0; queue < stream->to->nb_queues; queue++)
			fprintf(out, "%s%" PRIu64, queue > 0 ? ", " : "", stream->rx_queue[queue]);
		fprintf(out, "]}");
		rte_pktmbuf_free(stream->pending);
		stream->pending = NULL;
	}
	fprintf(out, "]}\n");
	job->number = 0;
}
