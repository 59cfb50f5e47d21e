/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Two hosts and a guest for migrate_ports.py, in one process: three net_avp_user ports, each of a
 * switch. A host sends numbered packets to the guest, which sends each back, and keeps what its
 * port does not take. What is lost, what comes twice or out of order, how long nothing came.
 *
 *     move_traffic EAL-ARGUMENTS    net_avp_user0 and 1 are the hosts' ports, 2 the guest's
 *
 * Commands on standard input, one per line; the answer is a line of JSON:
 *
 *     rate N       each host sends N packets per second from now on; 0: none
 *     stats        counters of both hosts so far
 *     reset        begin anew, at number 0: when nothing is on the way
 *     move PATH    the guest's port, which has been detached, goes to this socket
 *     quit
 *
 * Three lcores: the first takes commands, the others are hosts and guest. They sleep when there is
 * nothing to do, for the CPUs are the switches' as well.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_byteorder.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "avpg_api.h"
#include "seq_count.h"

#define ETHERTYPE_SEQ 0x88b6u /* IEEE: for local experiments; avp-switch uses the other one */
#define PKT_SIZE 60u
#define MAX_SEQ (1u << 28) /* numbers that can be told apart: 32 MiB of bits */
#define BURST 32u
#define NB_HOSTS 2u
#define NB_MBUFS 16383u
#define IDLE_NS 50000
#define NS_PER_S 1000000000

struct seq_pkt {
	struct rte_ether_hdr eth;
	rte_be16_t host;
	rte_be32_t seq;
};

struct host {
	uint16_t port_id;
	struct rte_ether_addr mac;
	uint64_t sent;
	struct seq_count count;
};

static struct host hosts[NB_HOSTS];
static struct rte_ether_addr guest_mac;
static uint16_t guest_port;
static struct rte_mempool *pool;
static uint64_t rate;
static uint64_t rate_sent; /* since rate_since_ns, each host */
static int64_t rate_since_ns;

static atomic_bool quit;
/* A command for the hosts' lcore, which takes it away when it has been done. */
static const char *_Atomic command;

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void
idle(void)
{
	nanosleep(&(struct timespec){.tv_nsec = IDLE_NS}, NULL);
}

/*
 * Hosts
 */

static bool
make(const struct host *host, uint64_t number, struct rte_mbuf **out)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct seq_pkt *pkt;

	if (m == NULL)
		return false;
	m->data_len = PKT_SIZE;
	m->pkt_len = PKT_SIZE;
	pkt = rte_pktmbuf_mtod(m, struct seq_pkt *);
	memset(pkt, 0, PKT_SIZE);
	pkt->eth.dst_addr = guest_mac;
	pkt->eth.src_addr = host->mac;
	pkt->eth.ether_type = RTE_BE16(ETHERTYPE_SEQ);
	pkt->host = rte_cpu_to_be_16((uint16_t)(host - hosts));
	pkt->seq = rte_cpu_to_be_32((uint32_t)number);
	*out = m;
	return true;
}

/* Send up to @nb packets. Returns how many the port took. */
static uint16_t
host_send(struct host *host, uint64_t nb)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t made = 0;
	uint16_t sent;

	while (made < RTE_MIN(nb, BURST) && make(host, host->sent + made, &pkts[made]))
		made++;
	sent = rte_eth_tx_burst(host->port_id, 0, pkts, made);
	rte_pktmbuf_free_bulk(pkts + sent, made - sent);
	host->sent += sent;
	return sent;
}

static void
host_check(struct host *host, const struct rte_mbuf *m, int64_t now)
{
	const struct seq_pkt *pkt = rte_pktmbuf_mtod(m, const struct seq_pkt *);

	/* the switch announces MACs */
	if (m->pkt_len != PKT_SIZE || pkt->eth.ether_type != RTE_BE16(ETHERTYPE_SEQ) ||
			pkt->host != rte_cpu_to_be_16((uint16_t)(host - hosts)))
		return;
	seq_count_note(&host->count, rte_be_to_cpu_32(pkt->seq), now);
}

static uint16_t
host_receive(struct host *host)
{
	struct rte_mbuf *pkts[BURST];
	const uint16_t nb = rte_eth_rx_burst(host->port_id, 0, pkts, BURST);
	const int64_t now = now_ns();

	for (uint16_t i = 0; i < nb; i++)
		host_check(host, pkts[i], now);
	rte_pktmbuf_free_bulk(pkts, nb);
	return nb;
}

/* Send what has fallen due, both hosts the same; what one's port does not take is sent later. */
static uint64_t
send_due(void)
{
	const uint64_t due =
			(uint64_t)((double)(now_ns() - rate_since_ns) * (double)rate / NS_PER_S);
	uint64_t nb = RTE_MIN(due - rate_sent, BURST);

	if (rate == 0 || due <= rate_sent)
		return 0;
	for (uint32_t i = 0; i < NB_HOSTS; i++) {
		uint64_t left = nb;

		while (left > 0 && !atomic_load_explicit(&quit, memory_order_relaxed)) {
			left -= host_send(&hosts[i], left);
			if (left > 0)
				host_receive(&hosts[i]);
		}
	}
	rate_sent += nb;
	return nb;
}

static void
print_stats(void)
{
	for (uint32_t i = 0; i < NB_HOSTS; i++) {
		const struct seq_count *c = &hosts[i].count;

		printf("%s{\"sent\": %" PRIu64 ", \"received\": %" PRIu64
		       ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64
		       ", \"max_gap_us\": %" PRId64 "}",
				i == 0 ? "[" : ", ", hosts[i].sent, c->received, c->duplicated,
				c->reordered, c->max_gap_ns / 1000);
	}
	printf("]\n");
}

static void
host_command(const char *line)
{
	if (strncmp(line, "rate ", 5) == 0) {
		rate = strtoull(line + 5, NULL, 10);
		rate_since_ns = now_ns();
		rate_sent = 0;
	} else if (strcmp(line, "stats") == 0) {
		print_stats();
		return;
	} else if (strcmp(line, "reset") == 0) {
		for (uint32_t i = 0; i < NB_HOSTS; i++) {
			seq_count_reset(&hosts[i].count);
			hosts[i].sent = 0;
		}
	} else {
		printf("{\"error\": \"no such command\"}\n");
		return;
	}
	printf("{}\n");
}

static int
hosts_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&quit)) {
		const char *line = atomic_load(&command);
		uint64_t nb = send_due();

		for (uint32_t i = 0; i < NB_HOSTS; i++)
			nb += host_receive(&hosts[i]);
		if (line != NULL) {
			host_command(line);
			atomic_store(&command, NULL);
		} else if (nb == 0) {
			idle();
		}
	}
	return 0;
}

/*
 * The guest
 */

static int
guest_main(void *arg)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t nb = 0; /* not sent yet */

	(void)arg;
	while (!atomic_load(&quit)) {
		const uint16_t got =
				rte_eth_rx_burst(guest_port, 0, pkts + nb, (uint16_t)(BURST - nb));
		uint16_t sent;

		for (uint16_t i = nb; i < nb + got; i++) {
			struct rte_ether_hdr *eth =
					rte_pktmbuf_mtod(pkts[i], struct rte_ether_hdr *);

			eth->dst_addr = eth->src_addr;
			eth->src_addr = guest_mac;
		}
		nb = (uint16_t)(nb + got);
		sent = rte_eth_tx_burst(guest_port, 0, pkts, nb);
		nb = (uint16_t)(nb - sent);
		memmove(pkts, pkts + sent, nb * sizeof(pkts[0]));
		if (got + sent == 0)
			idle();
	}
	rte_pktmbuf_free_bulk(pkts, nb);
	return 0;
}

/*
 * All
 */

static int
port_start(unsigned int number, uint16_t *port_id, struct rte_ether_addr *mac)
{
	const struct rte_eth_conf conf = {0};
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "net_avp_user%u", number);
	ret = rte_eth_dev_get_port_by_name(name, port_id);
	if (ret == 0)
		ret = rte_eth_dev_configure(*port_id, 1, 1, &conf);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(*port_id, 0, 0, 0, NULL, pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(*port_id, 0, 0, 0, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(*port_id);
	if (ret == 0)
		ret = rte_eth_macaddr_get(*port_id, mac);
	if (ret != 0)
		fprintf(stderr, "move_traffic: %s: %s\n", name, strerror(-ret));
	return ret;
}

static int
set_up(void)
{
	if (rte_lcore_count() < 3) {
		fprintf(stderr, "move_traffic: %u lcores: 3 are needed\n", rte_lcore_count());
		return -1;
	}
	pool = rte_pktmbuf_pool_create(
			"move", NB_MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return -1;
	for (uint32_t i = 0; i < NB_HOSTS; i++) {
		if (seq_count_init(&hosts[i].count, MAX_SEQ) != 0 ||
				port_start(i, &hosts[i].port_id, &hosts[i].mac) != 0)
			return -1;
	}
	return port_start(NB_HOSTS, &guest_port, &guest_mac);
}

static void
serve(void)
{
	char line[256];
	int ret;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "quit") == 0)
			return;
		if (strncmp(line, "move ", 5) == 0) {
			ret = rte_avp_user_move(guest_port, line + 5);
			printf("{\"result\": %d}\n", ret);
		} else {
			atomic_store(&command, line);
			while (atomic_load(&command) != NULL)
				idle();
		}
		fflush(stdout);
	}
}

int
main(int argc, char **argv)
{
	unsigned int lcore;

	if (rte_eal_init(argc, argv) < 0 || set_up() != 0)
		return EXIT_FAILURE;
	lcore = rte_get_next_lcore(-1, 1, 0);
	rte_eal_remote_launch(hosts_main, NULL, lcore);
	rte_eal_remote_launch(guest_main, NULL, rte_get_next_lcore(lcore, 1, 0));
	serve();
	atomic_store(&quit, true);
	rte_eal_mp_wait_lcore();
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
