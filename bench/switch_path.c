/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What does the switch's own part of forwarding a packet cost, without the drivers' part? Ports are
 * pairs of rte_rings; one thread is the guests, which make packets, and the worker, whose rounds
 * are timed:
 *
 *     switch_path [--ports N] [--busy N] [--macs N] [--run N] [--size N] [--rounds N]
 *                 [--isolated | --buffers]
 *
 * Of the TSC cycles of a round the median over all rounds is told: what interrupts the thread hits
 * few of them. Instructions do not depend on the machine's other work:
 *
 *     valgrind --tool=callgrind --toggle-collect=forward_round \
 *             build/bench/switch_path --rounds 1000
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "fdb.h"
#include "forward.h"

#define VID 1u
#define RING_SIZE 1024u
#define WARM_ROUNDS 200u
#define MAX_ROUNDS 1000000u

struct bench {
	/* options */
	unsigned int nb_ports;
	unsigned int nb_busy;   /* that send, the others are idle */
	unsigned int nb_macs;   /* in the FDB */
	unsigned int run;       /* packets in a row with the same addresses */
	unsigned int size;      /* bytes of packet */
	unsigned int nb_rounds; /* that are timed */
	bool isolated;          /* ports of guests in domains of their own */
	bool buffers;           /* the same, and they have buffers of their own */
	/* state */
	struct rte_ring *to_switch[RTE_MAX_ETHPORTS];
	struct rte_ring *from_switch[RTE_MAX_ETHPORTS];
	struct rte_mempool *pool;
	struct rte_rcu_qsbr *rcu;
	struct dp_view *view;
	struct fdb *fdb;
	struct forward *fwd;
	uint64_t random;
	uint64_t nb_sent;
	uint64_t nb_received;
};

static unsigned int
number(const char *name, const char *text, unsigned int min, unsigned int max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end == '\0' && value >= min && value <= max)
		return value;
	fprintf(stderr, "--%s %s: from %u to %u\n", name, text, min, max);
	exit(2);
}

static void
parse(struct bench *bench, int argc, char **argv)
{
	static const struct option options[] = {
			{"ports", required_argument, NULL, 'p'},
			{"busy", required_argument, NULL, 'b'},
			{"macs", required_argument, NULL, 'm'},
			{"run", required_argument, NULL, 'r'},
			{"size", required_argument, NULL, 's'},
			{"rounds", required_argument, NULL, 'n'},
			{"isolated", no_argument, NULL, 'i'},
			{"buffers", no_argument, NULL, 'o'},
			{0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			bench->nb_ports = number("ports", optarg, 2, RTE_MAX_ETHPORTS);
			break;
		case 'b':
			bench->nb_busy = number("busy", optarg, 2, RTE_MAX_ETHPORTS);
			break;
		case 'm':
			bench->nb_macs = number("macs", optarg, 2, FDB_SIZE_MAX);
			break;
		case 'r':
			bench->run = number("run", optarg, 1, UINT16_MAX);
			break;
		case 's':
			bench->size = number("size", optarg, RTE_ETHER_HDR_LEN, 2048);
			break;
		case 'n':
			bench->nb_rounds = number("rounds", optarg, 1, MAX_ROUNDS);
			break;
		case 'o':
			bench->buffers = true;
			/* fall through */
		case 'i':
			bench->isolated = true;
			break;
		default:
			exit(2);
		}
	}
	if (bench->nb_busy == 0 || bench->nb_busy > bench->nb_ports)
		bench->nb_busy = bench->nb_ports;
	if (bench->nb_macs < bench->nb_busy)
		bench->nb_macs = bench->nb_busy;
}

/* The n-th MAC is behind port n % nb_busy. */
static struct rte_ether_addr
mac(unsigned int n)
{
	return (struct rte_ether_addr){{2, 0, 0, n >> 16, n >> 8, n}};
}

static uint32_t
next_random(struct bench *bench)
{
	bench->random ^= bench->random << 13;
	bench->random ^= bench->random >> 7;
	bench->random ^= bench->random << 17;
	return bench->random >> 16;
}

/* A MAC behind a busy port. */
static unsigned int
some_mac(struct bench *bench, unsigned int port)
{
	unsigned int nb = (bench->nb_macs - port - 1) / bench->nb_busy + 1;

	return next_random(bench) % nb * bench->nb_busy + port;
}

static void
make_port(struct bench *bench, unsigned int i)
{
	struct dp_port *port = &bench->view->ports[i];
	struct rte_eth_conf conf = {0};
	char name[32];
	int id;

	snprintf(name, sizeof(name), "in%u", i);
	bench->to_switch[i] = rte_ring_create(
			name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "out%u", i);
	bench->from_switch[i] = rte_ring_create(
			name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	id = rte_eth_from_rings(name, &bench->to_switch[i], 1, &bench->from_switch[i], 1, 0);
	if (id < 0 || rte_eth_dev_configure(id, 1, 1, &conf) != 0 ||
			rte_eth_rx_queue_setup(id, 0, RING_SIZE, 0, NULL, bench->pool) != 0 ||
			rte_eth_tx_queue_setup(id, 0, RING_SIZE, 0, NULL) != 0 ||
			rte_eth_dev_start(id) != 0) {
		fprintf(stderr, "port %u of %u: DPDK does not make it\n", i, bench->nb_ports);
		exit(1);
	}
	*port = (struct dp_port){
			.id = id,
			.domain = bench->isolated ? 0 : 1,
			.nb_txq = 1,
			.guest_writable = true,
			.tx_multi_segs = true,
			.tx_max_len = 1522,
			.fdb_max = FDB_SIZE_MAX,
			.tx_pool = bench->buffers ? bench->pool : NULL,
			.vlan.untagged = VID,
			.state = rte_zmalloc("state", sizeof(struct dp_state), RTE_CACHE_LINE_SIZE),
	};
	atomic_store(&port->state->link_up, true);
	bench->view->by_id[id] = port;
	bench->view->shares[0].rxqs[bench->view->shares[0].nb_rxqs++] =
			(struct dp_rxq){.port = port};
}

static void
make_switch(struct bench *bench)
{
	struct fdb_conf conf = {.size = RTE_MAX(bench->nb_macs, FDB_SIZE_MIN),
			.age_s = 300,
			.nb_workers = 1,
			.socket_id = SOCKET_ID_ANY};
	struct avp_err err;

	bench->pool = rte_pktmbuf_pool_create("pool", 32767, 256, 0, 2304, SOCKET_ID_ANY);
	bench->rcu = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	bench->view = calloc(1, sizeof(*bench->view));
	bench->fwd = calloc(1, sizeof(*bench->fwd));
	if (bench->pool == NULL || bench->rcu == NULL || bench->view == NULL ||
			bench->fwd == NULL) {
		fprintf(stderr, "not enough memory\n");
		exit(1);
	}
	rte_rcu_qsbr_init(bench->rcu, 1);
	rte_rcu_qsbr_thread_register(bench->rcu, 0);
	rte_rcu_qsbr_thread_online(bench->rcu, 0);
	conf.rcu = bench->rcu;
	if (fdb_create(&bench->fdb, &conf, &err) != 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	for (unsigned int i = 0; i < bench->nb_ports; i++)
		make_port(bench, i);
	bench->view->nb_ports = bench->nb_ports;
	for (unsigned int n = 0; n < bench->nb_macs; n++) {
		struct rte_ether_addr addr = mac(n);

		fdb_learn(bench->fdb, NULL, fdb_key(fdb_mac(addr.addr_bytes), VID),
				bench->view->ports[n % bench->nb_busy].id, FDB_SIZE_MAX);
	}
	bench->fwd->view = bench->view;
	bench->fwd->fdb = bench->fdb;
	bench->fwd->pool = bench->pool;
}

/* Each busy port sends a burst to MACs behind the others. */
static void
guests_send(struct bench *bench)
{
	struct rte_ether_addr src = {0};
	struct rte_ether_addr dst = {0};

	for (unsigned int i = 0; i < bench->nb_busy; i++) {
		struct rte_mbuf *mbufs[FORWARD_BURST];

		if (rte_pktmbuf_alloc_bulk(bench->pool, mbufs, FORWARD_BURST) != 0)
			exit(1);
		for (unsigned int n = 0; n < FORWARD_BURST; n++) {
			struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbufs[n], void *);
			unsigned int other = 1 + next_random(bench) % (bench->nb_busy - 1);

			if (n % bench->run == 0) {
				src = mac(some_mac(bench, i));
				dst = mac(some_mac(bench, (i + other) % bench->nb_busy));
			}
			eth->src_addr = src;
			eth->dst_addr = dst;
			eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
			mbufs[n]->data_len = bench->size;
			mbufs[n]->pkt_len = bench->size;
		}
		bench->nb_sent += rte_ring_enqueue_bulk(
				bench->to_switch[i], (void *const *)mbufs, FORWARD_BURST, NULL);
	}
}

static void
guests_receive(struct bench *bench)
{
	for (unsigned int i = 0; i < bench->nb_ports; i++) {
		struct rte_mbuf *mbufs[FORWARD_BURST];
		unsigned int nb;

		while ((nb = rte_ring_dequeue_burst(bench->from_switch[i], (void **)mbufs,
					FORWARD_BURST, NULL)) != 0) {
			rte_pktmbuf_free_bulk(mbufs, nb);
			bench->nb_received += nb;
		}
	}
}

/* @nb rounds of the worker; their cycles in @cycles unless that is NULL. */
static void
run_rounds(struct bench *bench, unsigned int nb, uint64_t *cycles)
{
	for (unsigned int i = 0; i < nb; i++) {
		uint64_t start;

		guests_send(bench);
		start = rte_rdtsc();
		forward_round(bench->fwd);
		if (cycles != NULL)
			cycles[i] = rte_rdtsc() - start;
		rte_rcu_qsbr_quiescent(bench->rcu, 0);
		guests_receive(bench);
	}
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

int
main(int argc, char **argv)
{
	static char eal_args[][32] = {"switch_path", "--no-huge", "-m512", "--no-shconf",
			"--no-pci", "--no-telemetry", "--lcores=0", "--log-level=lib.*:error"};
	struct bench bench = {.nb_ports = 2,
			.nb_macs = 10,
			.run = 1,
			.size = 64,
			.nb_rounds = 5000,
			.random = 88172645463325252u};
	char *eal_argv[RTE_DIM(eal_args) + 1] = {NULL};
	double nb_pkts; /* in a round */
	uint64_t *cycles;

	parse(&bench, argc, argv);
	for (unsigned int i = 0; i < RTE_DIM(eal_args); i++)
		eal_argv[i] = eal_args[i];
	cycles = calloc(bench.nb_rounds, sizeof(*cycles));
	if (cycles == NULL || rte_eal_init(RTE_DIM(eal_args), eal_argv) < 0)
		return 1;
	make_switch(&bench);
	run_rounds(&bench, WARM_ROUNDS, NULL);
	bench.nb_sent = bench.nb_received = 0;
	run_rounds(&bench, bench.nb_rounds, cycles);
	qsort(cycles, bench.nb_rounds, sizeof(*cycles), compare);
	nb_pkts = bench.nb_busy * FORWARD_BURST;
	printf("{\"ports\": %u, \"busy\": %u, \"macs\": %u, \"run\": %u, \"size\": %u, "
	       "\"isolated\": %s, \"buffers\": %s, \"packets\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", "
	       "\"cycles_per_packet\": {\"p10\": %.1f, \"p50\": %.1f, \"p90\": %.1f}}\n",
			bench.nb_ports, bench.nb_busy, bench.nb_macs, bench.run, bench.size,
			bench.isolated ? "true" : "false", bench.buffers ? "true" : "false",
			bench.nb_sent, bench.nb_sent - bench.nb_received,
			cycles[bench.nb_rounds / 10] / nb_pkts,
			cycles[bench.nb_rounds / 2] / nb_pkts,
			cycles[bench.nb_rounds / 10 * 9] / nb_pkts);
	return bench.nb_received == bench.nb_sent ? 0 : 1;
}
