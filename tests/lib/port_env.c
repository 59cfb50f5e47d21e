/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Ports for tests: port_env.h.
 */

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "avph_api.h"
#include "port_env.h"
#include "test_clock.h"

#define APP_POOL_SIZE 4096
#define POLL_NS 50000l

static char env_folder[64];

/* With our file prefix it is nobody else's, and empty without shared configuration. */
static void
remove_runtime_dir(void)
{
	rmdir(rte_eal_get_runtime_dir());
}

int
port_env_init(void **state)
{
	char args[][32] = {"test", "--no-huge", "--no-pci", "--no-shconf", "-m", "512",
			"--log-level", "lib.eal:warning", "--file-prefix", ""};
	char *argv[RTE_DIM(args) + 1] = {NULL};
	cpu_set_t cpus;

	(void)state;
	snprintf(args[RTE_DIM(args) - 1], sizeof(args[0]), "avptest%d", (int)getpid());
	for (unsigned int i = 0; i < RTE_DIM(args); i++)
		argv[i] = args[i];
	snprintf(env_folder, sizeof(env_folder), "/tmp/avptest.XXXXXX");
	if (mkdtemp(env_folder) == NULL)
		return -errno;
	/* before telemetry does the same for its socket, to come after it */
	atexit(remove_runtime_dir);
	/* EAL ties this thread to one CPU, and with it all threads that a test starts from it */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0 || rte_eal_init(RTE_DIM(args), argv) < 0)
		return -1;
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

int
port_env_fini(void **state)
{
	int ret = rte_eal_cleanup();

	(void)state;
	/* not empty: a port has left its socket behind */
	if (rmdir(env_folder) < 0) {
		fprintf(stderr, "%s: %s\n", env_folder, strerror(errno));
		ret = -1;
	}
	return ret;
}

const char *
port_env_path(const char *name)
{
	static char paths[8][108];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", env_folder, name);
	return path;
}

int
port_probe(struct port *port, const char *name, const char *args)
{
	char devargs[256];
	int ret;

	memset(port, 0, sizeof(*port));
	snprintf(port->name, sizeof(port->name), "net_avp_host_%s", name);
	snprintf(port->socket, sizeof(port->socket), "%s", port_env_path(name));
	snprintf(devargs, sizeof(devargs), "socket=%s%s%s", port->socket,
			args == NULL || args[0] == '\0' ? "" : ",", args == NULL ? "" : args);
	ret = rte_eal_hotplug_add("vdev", port->name, devargs);
	if (ret < 0)
		return ret;
	ret = rte_eth_dev_get_port_by_name(port->name, &port->id);
	if (ret < 0)
		return ret;
	port->own_pool = rte_avp_host_mempool(port->id);
	return port->own_pool == NULL ? -rte_errno : 0;
}

void
port_open(struct port *port, const char *name, const struct port_conf *conf)
{
	const uint16_t nb_rxq = RTE_MAX(conf->nb_rxq, 1);
	const uint16_t nb_txq = RTE_MAX(conf->nb_txq, 1);
	struct rte_eth_conf eth_conf = {0};
	struct rte_mempool *pool;

	assert_int_equal(port_probe(port, name, conf->args), 0);
	if (conf->app_pool) {
		port->app_pool = rte_pktmbuf_pool_create(port->name, APP_POOL_SIZE, 32, 0,
				RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
		assert_non_null(port->app_pool);
	}
	pool = conf->app_pool ? port->app_pool : port->own_pool;
	eth_conf.rxmode.offloads = conf->rx_offloads;
	eth_conf.intr_conf.lsc = conf->lsc;
	assert_int_equal(rte_eth_dev_configure(port->id, nb_rxq, nb_txq, &eth_conf), 0);
	for (uint16_t q = 0; q < nb_rxq; q++)
		assert_int_equal(rte_eth_rx_queue_setup(port->id, q, 0, 0, NULL, pool), 0);
	for (uint16_t q = 0; q < nb_txq; q++)
		assert_int_equal(rte_eth_tx_queue_setup(port->id, q, 0, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(port->id), 0);
}

void
port_close(struct port *port)
{
	assert_int_equal(rte_eth_dev_stop(port->id), 0);
	assert_int_equal(rte_eal_hotplug_remove("vdev", port->name), 0);
	if (port->app_pool != NULL)
		assert_true(rte_mempool_full(port->app_pool));
	rte_mempool_free(port->app_pool);
	port->app_pool = NULL;
	port->own_pool = NULL;
}

void
port_abandon(struct port *port)
{
	if (port->own_pool == NULL)
		return;
	if (rte_eth_dev_is_valid_port(port->id))
		rte_eth_dev_stop(port->id);
	rte_eal_hotplug_remove("vdev", port->name);
	port->own_pool = NULL;
	rte_mempool_free(port->app_pool);
	port->app_pool = NULL;
}

bool
port_pool_full(const struct port *port)
{
	return rte_mempool_full(port->own_pool) != 0;
}

/* Sum of the xstats of that name, or whose names begin so. */
static uint64_t
xstat_sum(const struct port *port, const char *name, bool prefix)
{
	const int nb = rte_eth_xstats_get(port->id, NULL, 0);
	struct rte_eth_xstat_name *names = calloc((size_t)nb, sizeof(*names));
	struct rte_eth_xstat *xstats = calloc((size_t)nb, sizeof(*xstats));
	uint64_t sum = 0;
	bool found = false;

	assert_true(nb > 0 && names != NULL && xstats != NULL);
	assert_int_equal(rte_eth_xstats_get_names(port->id, names, (unsigned int)nb), nb);
	assert_int_equal(rte_eth_xstats_get(port->id, xstats, (unsigned int)nb), nb);
	for (int i = 0; i < nb; i++) {
		const char *it = names[xstats[i].id].name;

		if (prefix ? strncmp(it, name, strlen(name)) != 0 : strcmp(it, name) != 0)
			continue;
		found = true;
		sum += xstats[i].value;
	}
	free(names);
	free(xstats);
	if (!found)
		fail_msg("%s: no xstat %s", port->name, name);
	return sum;
}

uint64_t
port_xstat(const struct port *port, const char *name)
{
	return xstat_sum(port, name, false);
}

uint64_t
port_xstat_sum(const struct port *port, const char *prefix)
{
	return xstat_sum(port, prefix, true);
}

static void
nap(void)
{
	const struct timespec time = {.tv_nsec = POLL_NS};

	nanosleep(&time, NULL);
}

bool
wait_until(bool (*done)(void *arg), void *arg)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;

	while (!done(arg)) {
		if (test_now_ms() > end)
			return done(arg);
		nap();
	}
	return true;
}

static bool
port_link(const struct port *port)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get_nowait(port->id, &link), 0);
	return link.link_status == RTE_ETH_LINK_UP;
}

bool
port_is_up(void *arg)
{
	return port_link(arg);
}

bool
port_is_down(void *arg)
{
	return !port_link(arg);
}

uint16_t
port_recv(const struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;
	uint16_t nb_done = 0;

	while (nb_done < nb && test_now_ms() <= end) {
		const uint16_t got = rte_eth_rx_burst(
				port->id, queue, &pkts[nb_done], (uint16_t)(nb - nb_done));

		nb_done = (uint16_t)(nb_done + got);
		if (got == 0)
			nap();
	}
	return nb_done;
}

void
pkt_fill(struct sim_pkt *pkt, uint32_t len, uint32_t flow, uint32_t seed)
{
	const struct rte_ether_hdr eth = {
			.dst_addr.addr_bytes = {2, 0, 0, 0, 0, 1},
			.src_addr.addr_bytes = {2, 0, 0, 0, 0, 2},
			.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
	};
	const struct rte_ipv4_hdr ip = {
			.version_ihl = RTE_IPV4_VHL_DEF,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1)),
			.dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 2)),
	};
	const struct rte_udp_hdr udp = {
			.src_port = rte_cpu_to_be_16((uint16_t)(1024 + flow)),
			.dst_port = RTE_BE16(4789),
	};
	uint8_t headers[sizeof(eth) + sizeof(ip) + sizeof(udp)];

	memcpy(headers, &eth, sizeof(eth));
	memcpy(headers + sizeof(eth), &ip, sizeof(ip));
	memcpy(headers + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
	assert_true(len <= sizeof(pkt->data));
	pkt->len = len;
	pkt->nb_segs = 0;
	pkt->ol_flags = 0;
	pkt->vlan_tci = 0;
	for (uint32_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		pkt->data[i] = (uint8_t)(seed >> 24);
	}
	memcpy(pkt->data, headers, RTE_MIN(len, sizeof(headers)));
}

struct rte_mbuf *
pkt_mbuf(struct rte_mempool *pool, const struct sim_pkt *pkt, uint32_t seg_size)
{
	struct rte_mbuf *head = NULL;
	uint32_t done = 0;

	while (done < pkt->len) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		uint32_t size;

		assert_non_null(mbuf);
		size = RTE_MIN(pkt->len - done, (uint32_t)rte_pktmbuf_tailroom(mbuf));
		if (seg_size != 0)
			size = RTE_MIN(size, seg_size);
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)size), pkt->data + done, size);
		done += size;
		if (head == NULL)
			head = mbuf;
		else
			assert_int_equal(rte_pktmbuf_chain(head, mbuf), 0);
	}
	return head;
}

bool
pkt_is(const struct rte_mbuf *mbuf, const struct sim_pkt *pkt)
{
	const char *reason;
	uint8_t *copy;
	const void *data;
	bool same;

	if (rte_mbuf_check(mbuf, 1, &reason) != 0) {
		fprintf(stderr, "mbuf: %s\n", reason);
		return false;
	}
	if (mbuf->pkt_len != pkt->len)
		return false;
	copy = malloc(pkt->len);
	assert_non_null(copy);
	data = rte_pktmbuf_read(mbuf, 0, pkt->len, copy);
	same = data != NULL && memcmp(data, pkt->data, pkt->len) == 0;
	free(copy);
	return same;
}

int
guest_recv(struct sim_guest *guest, uint32_t lane, struct sim_pkt *pkt)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;
	int ret = sim_guest_recv(guest, lane, pkt);

	while (ret == -EAGAIN && test_now_ms() <= end) {
		nap();
		ret = sim_guest_recv(guest, lane, pkt);
	}
	return ret;
}

void
guest_wait_alloc(struct sim_guest *guest, const struct port *port, uint32_t lane, uint32_t nb)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;
	struct rte_eth_dev_info info;
	struct rte_mbuf *mbuf;

	assert_int_equal(rte_eth_dev_info_get(port->id, &info), 0);
	while (sim_guest_nb_alloc(guest, lane) < nb) {
		for (uint16_t q = 0; q < info.nb_rx_queues; q++)
			assert_int_equal(rte_eth_rx_burst(port->id, q, &mbuf, 1), 0);
		if (test_now_ms() > end)
			fail_msg("%s: %u buffers on alloc FIFO %u, not %u", port->name,
					sim_guest_nb_alloc(guest, lane), lane, nb);
		nap();
	}
}
