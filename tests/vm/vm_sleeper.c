/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A guest's application that sleeps: it forwards between ports 0 and 1, and waits in epoll, with rx
 * interrupts, while there is nothing to forward. sleep_test.py runs it.
 *
 * It prints "ready" when it forwards, "link PORT up|down" for each event, and at the end, which
 * SIGTERM is, "wakes N packets N".
 */

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>

#define NB_PORTS 2u
#define BURST 32u
/* SIGTERM may come between looking at quit and going to sleep. */
#define SLEEP_MS 500

static atomic_bool quit;

static void
on_signal(int number)
{
	(void)number;
	atomic_store(&quit, true);
}

static int
on_link(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct rte_eth_link link = {0};

	(void)type;
	(void)arg;
	(void)ret;
	if (rte_eth_link_get_nowait(port, &link) == 0)
		printf("link %u %s\n", port, link.link_status == RTE_ETH_LINK_UP ? "up" : "down");
	return 0;
}

static int
port_start(uint16_t port, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = {.intr_conf = {.lsc = 1, .rxq = 1}};
	int ret = rte_eth_dev_configure(port, 1, 1, &conf);

	if (ret == 0)
		ret = rte_eth_rx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL, pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, on_link, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret == 0)
		ret = rte_eth_promiscuous_enable(port);
	if (ret == 0)
		ret = rte_eth_dev_rx_intr_ctl_q(
				port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL);
	if (ret != 0)
		printf("port %u: %s\n", port, rte_strerror(-ret));
	return ret;
}

/* Forward what there is on a port. Returns the number of packets. */
static unsigned int
forward(uint16_t from)
{
	struct rte_mbuf *pkts[BURST];
	const uint16_t nb = rte_eth_rx_burst(from, 0, pkts, BURST);
	uint16_t sent = 0;

	while (sent < nb && !atomic_load(&quit))
		sent += rte_eth_tx_burst(from ^ 1, 0, pkts + sent, nb - sent);
	rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
	return nb;
}

static void
run(void)
{
	struct rte_epoll_event events[NB_PORTS];
	uint64_t packets = 0;
	uint64_t wakes = 0;

	while (!atomic_load(&quit)) {
		unsigned int nb;

		for (uint16_t port = 0; port < NB_PORTS; port++)
			rte_eth_dev_rx_intr_enable(port, 0);
		wakes += rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, NB_PORTS, SLEEP_MS) > 0;
		for (uint16_t port = 0; port < NB_PORTS; port++)
			rte_eth_dev_rx_intr_disable(port, 0);
		do {
			nb = forward(0) + forward(1);
			packets += nb;
		} while (nb > 0);
	}
	printf("wakes %" PRIu64 " packets %" PRIu64 "\n", wakes, packets);
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool;
	int ret = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (rte_eal_init(argc, argv) < 0)
		return EXIT_FAILURE;
	signal(SIGTERM, on_signal);
	pool = rte_pktmbuf_pool_create(
			"sleeper", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL || rte_eth_dev_count_avail() < NB_PORTS)
		return EXIT_FAILURE;
	for (uint16_t port = 0; port < NB_PORTS && ret == 0; port++)
		ret = port_start(port, pool);
	if (ret == 0) {
		printf("ready\n");
		run();
	}
	for (uint16_t port = 0; port < NB_PORTS; port++) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	rte_eal_cleanup();
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
