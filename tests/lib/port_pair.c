/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The two ends of port_pair.h.
 */

#include <dlfcn.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_mempool.h>
#include <rte_udp.h>

#include "port_pair.h"
#include "test_clock.h"

#define HEADERS \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))
#define MAX_ARGS 32
#define LIMIT_MS 20000

static char folder[64];

static void
folder_remove(void)
{
	rmdir(folder);
}

const char *
pair_folder(void)
{
	if (folder[0] == '\0') {
		snprintf(folder, sizeof(folder), "/tmp/avp-test.XXXXXX");
		assert_non_null(mkdtemp(folder));
		atexit(folder_remove);
	}
	return folder;
}

int
pair_eal_init(int argc, char **argv, const char *file_prefix)
{
	static const char *const fixed[] = {"--no-huge", "--no-pci", "--no-shconf",
			"--no-telemetry", "-m", "512", "--log-level=lib.eal:error",
			"--file-prefix"};
	const char *args[MAX_ARGS];
	char *copy[MAX_ARGS];
	cpu_set_t cpus;
	int nb = 0;

	args[nb++] = argv[0];
	for (size_t i = 0; i < RTE_DIM(fixed); i++)
		args[nb++] = fixed[i];
	args[nb++] = file_prefix;
	/* as "-d" does, which refuses plug-ins below folders that anyone can write, such as /tmp */
	for (int i = 1; i < argc; i++) {
		if (dlopen(argv[i], RTLD_NOW) == NULL) {
			fprintf(stderr, "%s\n", dlerror());
			return -1;
		}
	}
	memcpy(copy, args, sizeof(copy));
	/* EAL ties this thread to one CPU, the same one in every process of a test */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0 || rte_eal_init(nb, copy) < 0)
		return -1;
	/* empty, and stays so without shared configuration and telemetry; now, since we may be
	 * killed */
	rmdir(rte_eal_get_runtime_dir());
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

/*
 * Ends
 */

static void
end_setup(struct pair_end *end, const struct pair_end_conf *conf)
{
	struct rte_eth_conf eth_conf = {
			.rxmode.offloads = conf->rx_offloads,
			.txmode.offloads = conf->tx_offloads,
			.intr_conf = {.lsc = conf->lsc, .rxq = conf->rx_intr},
	};
	static unsigned int nb_pools; /* a pool that a failed test has left is in nobody's way */
	char pool_name[RTE_MEMPOOL_NAMESIZE];
	uint16_t room = conf->mbuf_room == 0 ? 2048 : conf->mbuf_room;

	assert_int_equal(rte_eth_dev_get_port_by_name(end->name, &end->port_id), 0);
	end->nb_queues = conf->nb_queues;
	if (end->pool == NULL) {
		snprintf(pool_name, sizeof(pool_name), "pair%u", nb_pools++);
		end->pool = rte_pktmbuf_pool_create(pool_name, PAIR_NB_MBUFS, 0, 0,
				(uint16_t)(RTE_PKTMBUF_HEADROOM + room), SOCKET_ID_ANY);
		assert_non_null(end->pool);
	}
	assert_int_equal(rte_eth_dev_configure(
					 end->port_id, end->nb_queues, end->nb_queues, &eth_conf),
			0);
	for (uint16_t q = 0; q < end->nb_queues; q++) {
		assert_int_equal(rte_eth_rx_queue_setup(end->port_id, q, 256, 0, NULL, end->pool),
				0);
		assert_int_equal(rte_eth_tx_queue_setup(end->port_id, q, 256, 0, NULL), 0);
	}
}

static void
end_add(struct pair_end *end, const struct pair *pair, const struct pair_end_conf *conf,
		const char *more)
{
	char args[256];

	snprintf(args, sizeof(args), "socket=%s%s%s", pair->socket,
			conf->devargs == NULL ? "" : conf->devargs, more == NULL ? "" : more);
	assert_int_equal(rte_eal_hotplug_add("vdev", end->name, args), 0);
	end->present = true;
	end_setup(end, conf);
	pair_end_start(end);
}

static void
pair_name(struct pair *pair)
{
	if (pair->socket[0] == '\0')
		snprintf(pair->socket, sizeof(pair->socket), "%s/p%u.sock", pair_folder(),
				pair->number);
	snprintf(pair->host.name, sizeof(pair->host.name), "net_avp_host%u", pair->number);
	snprintf(pair->guest.name, sizeof(pair->guest.name), "net_avp_user%u", pair->number);
}

void
pair_host_add(struct pair *pair, const struct pair_end_conf *conf)
{
	pair_name(pair);
	end_add(&pair->host, pair, conf, getenv("PAIR_HOST_ARGS"));
}

void
pair_guest_add(struct pair *pair, const struct pair_end_conf *conf)
{
	pair_name(pair);
	end_add(&pair->guest, pair, conf, getenv("PAIR_GUEST_ARGS"));
}

void
pair_create(struct pair *pair, unsigned int number, const struct pair_end_conf *host,
		const struct pair_end_conf *guest)
{
	memset(pair, 0, sizeof(*pair));
	pair->number = number;
	pair_host_add(pair, host);
	pair_guest_add(pair, guest);
	pair_end_wait_link(&pair->guest, true);
	pair_end_wait_link(&pair->host, true);
}

void
pair_end_start(struct pair_end *end)
{
	assert_int_equal(rte_eth_dev_start(end->port_id), 0);
}

void
pair_end_stop(struct pair_end *end)
{
	assert_int_equal(rte_eth_dev_stop(end->port_id), 0);
}

void
pair_end_remove(struct pair_end *end)
{
	if (!end->present)
		return;
	rte_eth_dev_stop(end->port_id);
	assert_int_equal(rte_eth_dev_close(end->port_id), 0);
	assert_int_equal(rte_eal_hotplug_remove("vdev", end->name), 0);
	end->present = false;
}

void
pair_end_check_pool(const struct pair_end *end)
{
	assert_int_equal(rte_mempool_avail_count(end->pool), PAIR_NB_MBUFS);
}

void
pair_destroy(struct pair *pair)
{
	struct pair_end *ends[] = {&pair->guest, &pair->host};

	for (size_t i = 0; i < RTE_DIM(ends); i++)
		pair_end_remove(ends[i]);
	for (size_t i = 0; i < RTE_DIM(ends); i++) {
		if (ends[i]->pool == NULL)
			continue;
		pair_end_check_pool(ends[i]);
		rte_mempool_free(ends[i]->pool);
		ends[i]->pool = NULL;
	}
}

bool
pair_end_link(const struct pair_end *end)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get_nowait(end->port_id, &link), 0);
	return link.link_status == RTE_ETH_LINK_UP;
}

void
pair_end_wait_link(const struct pair_end *end, bool up)
{
	uint64_t limit = test_now_ms() + LIMIT_MS;

	while (pair_end_link(end) != up) {
		if (test_now_ms() > limit)
			fail_msg("%s: link is not %s after %u ms", end->name, up ? "up" : "down",
					LIMIT_MS);
		test_pause();
	}
}

uint64_t
pair_end_xstat(const struct pair_end *end, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(end->port_id, name, &id) != 0)
		fail_msg("%s: %s: no such xstat", end->name, name);
	assert_int_equal(rte_eth_xstats_get_by_id(end->port_id, &id, &value, 1), 1);
	return value;
}

void
pair_end_print(const struct pair_end *end)
{
	static struct rte_eth_xstat_name names[1024];
	static struct rte_eth_xstat values[RTE_DIM(names)];
	int nb = rte_eth_xstats_get_names(end->port_id, names, RTE_DIM(names));

	if (nb < 0 || rte_eth_xstats_get(end->port_id, values, RTE_DIM(values)) != nb)
		return;
	for (int i = 0; i < nb && i < (int)RTE_DIM(names); i++)
		if (values[i].value != 0)
			print_message("%s: %s %llu\n", end->name, names[i].name,
					(unsigned long long)values[i].value);
}

uint64_t
pair_end_xstat_sum(const struct pair_end *end, const char *prefix, const char *suffix)
{
	uint64_t sum = 0;
	char name[64];

	for (uint16_t q = 0; q < end->nb_queues; q++) {
		snprintf(name, sizeof(name), "%s%u_%s", prefix, q, suffix);
		sum += pair_end_xstat(end, name);
	}
	return sum;
}

/*
 * Packets
 */

void
pair_stream_init(struct pair_stream *stream, const struct pair *pair, uint32_t nb_flows,
		uint32_t seg_size)
{
	memset(stream, 0, sizeof(*stream));
	assert_true(nb_flows <= PAIR_MAX_FLOWS);
	stream->nb_flows = nb_flows;
	stream->seg_size = seg_size;
	assert_int_equal(rte_eth_macaddr_get(pair->guest.port_id, &stream->dst), 0);
}

/* All bytes of a packet. */
static void
packet_bytes(uint8_t *data, const struct pair_stream *stream, uint32_t flow, uint32_t number,
		uint32_t size)
{
	struct rte_ether_hdr eth = {
			.src_addr.addr_bytes = {0x02, 0xee, 0, 0, 0, (uint8_t)flow},
			.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
	};
	struct rte_ipv4_hdr ip = {
			.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(size - sizeof(eth))),
			.time_to_live = 64,
			.next_proto_id = 17,
			.src_addr = rte_cpu_to_be_32(0x0a000000 + flow),
			.dst_addr = rte_cpu_to_be_32(0x0a010000 + 7 * flow),
	};
	struct rte_udp_hdr udp = {
			.src_port = rte_cpu_to_be_16((uint16_t)(1000 + flow * 13)),
			.dst_port = rte_cpu_to_be_16(4789),
			.dgram_len = rte_cpu_to_be_16((uint16_t)(size - sizeof(eth) - sizeof(ip))),
	};
	uint32_t mark[] = {flow, number, size};

	eth.dst_addr = stream->dst;
	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)(flow * 5 + number * 3 + i * 7 + i / 253);
	memcpy(data, &eth, sizeof(eth));
	memcpy(data + sizeof(eth), &ip, sizeof(ip));
	memcpy(data + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
	memcpy(data + HEADERS, mark, sizeof(mark));
}
_Static_assert(HEADERS + 12 <= PAIR_MIN_SIZE, "the smallest packet has room for the mark");

struct rte_mbuf *
pair_stream_make(struct pair_stream *stream, struct rte_mempool *pool, uint32_t flow, uint32_t size)
{
	static uint8_t bytes[PAIR_MAX_SIZE];
	uint32_t nb_segs = (size + stream->seg_size - 1) / stream->seg_size;
	struct rte_mbuf *segs[256];

	assert_true(nb_segs <= RTE_DIM(segs) && size <= sizeof(bytes));
	if (rte_pktmbuf_alloc_bulk(pool, segs, nb_segs) != 0)
		return NULL;
	packet_bytes(bytes, stream, flow, stream->sent[flow]++, size);
	for (uint32_t i = 0; i < nb_segs; i++) {
		uint32_t off = i * stream->seg_size;
		uint32_t n = RTE_MIN(size - off, stream->seg_size);

		memcpy(rte_pktmbuf_mtod(segs[i], void *), bytes + off, n);
		segs[i]->data_len = (uint16_t)n;
		segs[i]->next = i + 1 < nb_segs ? segs[i + 1] : NULL;
	}
	segs[0]->nb_segs = (uint16_t)nb_segs;
	segs[0]->pkt_len = size;
	return segs[0];
}

uint32_t
pair_stream_check(struct pair_stream *stream, struct rte_mbuf *m)
{
	static uint8_t got[PAIR_MAX_SIZE], want[PAIR_MAX_SIZE];
	uint32_t mark[3];
	const void *data;

	rte_mbuf_sanity_check(m, 1);
	assert_in_range(m->pkt_len, PAIR_MIN_SIZE, PAIR_MAX_SIZE);
	data = rte_pktmbuf_read(m, 0, m->pkt_len, got);
	assert_non_null(data);
	memcpy(mark, (const uint8_t *)data + HEADERS, sizeof(mark));
	assert_true(mark[0] < stream->nb_flows);
	if (stream->lossy)
		assert_true(mark[1] >= stream->received[mark[0]]);
	else
		assert_int_equal(mark[1], stream->received[mark[0]]);
	stream->received[mark[0]] = mark[1] + 1;
	assert_int_equal(m->pkt_len, mark[2]);
	packet_bytes(want, stream, mark[0], mark[1], mark[2]);
	assert_memory_equal(data, want, mark[2]);
	rte_pktmbuf_free(m);
	return mark[0];
}

/* The queue that a flow is sent on: always the same. */
static uint16_t
flow_queue(const struct pair_end *from, uint32_t flow)
{
	return (uint16_t)(flow % from->nb_queues);
}

uint32_t
pair_send_flow(struct pair_end *from, struct pair_stream *stream, uint32_t flow, uint32_t nb,
		uint32_t size)
{
	struct rte_mbuf *pkts[PAIR_BURST];
	uint16_t made = 0;
	uint16_t taken;

	assert_true(nb <= PAIR_BURST);
	while (made < nb) {
		pkts[made] = pair_stream_make(stream, from->pool, flow, size);
		if (pkts[made] == NULL)
			break;
		made++;
	}
	taken = rte_eth_tx_burst(from->port_id, flow_queue(from, flow), pkts, made);
	/* what was not taken will be made again, with the same numbers */
	stream->sent[flow] -= made - taken;
	rte_pktmbuf_free_bulk(pkts + taken, made - taken);
	stream->in_flight += taken;
	return taken;
}

uint32_t
pair_send(struct pair_end *from, struct pair_stream *stream, uint32_t nb, uint32_t size)
{
	uint32_t total = 0;

	for (uint32_t flow = 0; total < nb; flow = (flow + 1) % stream->nb_flows) {
		uint32_t want = RTE_MIN(nb - total, PAIR_BURST / 4);
		uint32_t taken = pair_send_flow(from, stream, flow, want, size);

		total += taken;
		if (taken < want)
			break;
	}
	return total;
}

uint32_t
pair_receive(struct pair_end *to, struct pair_stream *stream)
{
	uint32_t total = 0;

	for (uint16_t q = 0; q < to->nb_queues; q++) {
		struct rte_mbuf *pkts[PAIR_BURST];
		uint16_t nb = rte_eth_rx_burst(to->port_id, q, pkts, PAIR_BURST);

		for (uint16_t i = 0; i < nb; i++) {
			uint32_t flow = pair_stream_check(stream, pkts[i]);

			if (stream->queue[flow] == 0)
				stream->queue[flow] = (uint16_t)(q + 1);
			assert_int_equal(stream->queue[flow], q + 1);
		}
		total += nb;
	}
	stream->in_flight -= total;
	return total;
}

void
pair_transfer(struct pair_end *from, struct pair_end *to, struct pair_stream *stream, uint32_t nb,
		uint32_t size)
{
	uint64_t limit = test_now_ms() + LIMIT_MS;
	uint32_t sent = 0;
	uint32_t received = 0;

	while (received < nb) {
		if (sent < nb)
			sent += pair_send(from, stream, RTE_MIN(nb - sent, 64u), size);
		received += pair_receive(to, stream);
		/* buffers that the other side has returned are seen on its next call */
		rte_eth_tx_burst(to->port_id, 0, NULL, 0);
		if (test_now_ms() <= limit)
			continue;
		pair_end_print(from);
		pair_end_print(to);
		fail_msg("%s to %s: %u of %u packets of %u bytes sent, %u received in %u "
			 "ms",
				from->name, to->name, sent, nb, size, received, LIMIT_MS);
	}
	assert_int_equal(received, nb);
}
