/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The ends of random_ends.h.
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "avph_api.h"
#include "random_ends.h"
#include "test_clock.h"

#define MAC "02:00:00:00:00:77"
#define MAX_XSTATS 1024u
/* Queues of an application at the host's end may be more than FIFOs. */
#define MAX_HOST_QUEUES 10u
#define MAX_GUEST_QUEUES 8u

void
random_end_init(struct random_end *end, enum random_side side)
{
	end->side = side;
	snprintf(end->name, sizeof(end->name),
			side == SIDE_HOST ? "net_avp_host0" : "net_avp_user0");
	if (rte_ether_unformat_addr(MAC, &end->dst) != 0)
		random_die(MAC);
	end->pool = rte_pktmbuf_pool_create(side == SIDE_HOST ? "random_host" : "random_guest",
			RANDOM_NB_MBUFS, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (end->pool == NULL)
		random_die("%s: mempool: %s", end->name, rte_strerror(rte_errno));
}

void
random_end_fini(struct random_end *end)
{
	rte_mempool_free(end->pool);
	end->pool = NULL;
}

/*
 * Coming and going
 */

void
random_host_add(struct random_end *host, struct random *rnd, const char *socket,
		uint32_t min_queues)
{
	static const uint32_t rings[] = {64, 256, 256, 1024};
	static const uint32_t mrus[] = {1522, 2048, 9238, 9238};
	const uint32_t mru = mrus[random_below(rnd, RTE_DIM(mrus))];
	char args[256];
	int ret;

	snprintf(args, sizeof(args),
			"socket=%s,mac=" MAC ",queues=%u,ring=%u,mru=%u,vlan_offload=%u"
			",recycle=%u,compact=%u,link_events=%u,rx_interrupts=%u%s",
			socket, RTE_MAX(min_queues, 1 + random_below(rnd, 8)),
			rings[random_below(rnd, RTE_DIM(rings))], mru, host->strips,
			random_below(rnd, 4) != 0, random_below(rnd, 3) != 0,
			random_below(rnd, 4) != 0, host->interrupts,
			random_once_in(rnd, 4) ? ",domain=random,domain_size=256" : "");
	random_trace("host: add %s", args);
	ret = rte_eal_hotplug_add("vdev", host->name, args);
	if (ret != 0 || rte_eth_dev_get_port_by_name(host->name, &host->port_id) != 0)
		random_die("%s: %s: %s", host->name, args, rte_strerror(-ret));
	host->own_pool = rte_avp_host_mempool(host->port_id);
	host->max_pkt = mru;
	host->nb_rxq = 0;
	host->nb_txq = 0;
}

int
random_guest_add(struct random_end *guest, struct random *rnd, const char *socket)
{
	struct rte_eth_dev_info info;
	char args[256];
	int nb, ret;

	nb = snprintf(args, sizeof(args), "%s,socket=%s%s", guest->name, socket,
			random_once_in(rnd, 4) ? ",compact=0" : "");
	if (random_once_in(rnd, 4))
		snprintf(args + nb, sizeof(args) - (size_t)nb, ",recycle=0");
	else if (random_once_in(rnd, 2))
		snprintf(args + nb, sizeof(args) - (size_t)nb, ",recycle_hold=%u",
				1 + random_below(rnd, 64));
	random_trace("  %s", args);
	if (random_once_in(rnd, 2))
		ret = rte_dev_probe(args);
	else
		ret = rte_eal_hotplug_add("vdev", guest->name, strchr(args, ',') + 1);
	if (ret != 0)
		return ret;
	if (rte_eth_dev_get_port_by_name(guest->name, &guest->port_id) != 0 ||
			rte_eth_dev_info_get(guest->port_id, &info) != 0)
		random_die("%s: there is no port after the probe", guest->name);
	guest->max_pkt = RANDOM_MAX_PKT;
	guest->nb_rxq = 0;
	guest->nb_txq = 0;
	return 0;
}

void
random_end_remove(struct random_end *end, struct random *rnd)
{
	struct rte_eth_dev_info info;
	int ret;

	if (rte_eth_dev_info_get(end->port_id, &info) != 0)
		random_die("%s: no info", end->name);
	if (random_once_in(rnd, 2)) {
		/* a port that was never configured has nothing to stop, which is no error */
		if (rte_eth_dev_stop(end->port_id) != 0 || rte_eth_dev_close(end->port_id) != 0)
			random_die("%s: cannot be stopped and closed", end->name);
		ret = rte_eal_hotplug_remove("vdev", end->name);
	} else {
		ret = rte_dev_remove(info.device);
	}
	if (ret != 0)
		random_die("%s: cannot be removed: %s", end->name, rte_strerror(-ret));
	end->own_pool = NULL;
}

/*
 * Configuration
 */

/* Mempool of a receive queue. */
static struct rte_mempool *
rx_pool(const struct random_end *end, struct random *rnd)
{
	return end->own_pool != NULL && random_once_in(rnd, 2) ? end->own_pool : end->pool;
}

/* Descriptors of a queue: all, or not many. */
static uint16_t
nb_desc(const struct rte_eth_desc_lim *lim, struct random *rnd)
{
	const uint32_t max = RTE_MIN(lim->nb_max, 256u);

	return random_once_in(rnd, 2) ? 0 : (uint16_t)(16 + random_below(rnd, max - 15));
}

static void
setup_queues(struct random_end *end, const struct rte_eth_dev_info *info, struct random *rnd)
{
	int ret = 0;

	for (uint16_t q = 0; q < end->nb_rxq && ret == 0; q++)
		ret = rte_eth_rx_queue_setup(end->port_id, q, nb_desc(&info->rx_desc_lim, rnd), 0,
				NULL, rx_pool(end, rnd));
	for (uint16_t q = 0; q < end->nb_txq && ret == 0; q++)
		ret = rte_eth_tx_queue_setup(
				end->port_id, q, nb_desc(&info->tx_desc_lim, rnd), 0, NULL);
	if (ret != 0)
		random_die("%s: queue setup: %s", end->name, rte_strerror(-ret));
}

int
random_end_configure(struct random_end *end, struct random *rnd)
{
	struct rte_eth_conf conf = {.intr_conf.lsc = 1};
	struct rte_eth_dev_info info;
	uint32_t max_rx, max_tx;
	int ret;

	if (rte_eth_dev_info_get(end->port_id, &info) != 0)
		random_die("%s: no info", end->name);
	max_rx = RTE_MIN(info.max_rx_queues,
			end->side == SIDE_HOST ? MAX_HOST_QUEUES : MAX_GUEST_QUEUES);
	max_tx = RTE_MIN(info.max_tx_queues,
			end->side == SIDE_HOST ? MAX_HOST_QUEUES : MAX_GUEST_QUEUES);
	if (random_once_in(rnd, 2))
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	end->sleeps = end->side == SIDE_GUEST && end->interrupts && random_once_in(rnd, 2);
	conf.intr_conf.rxq = end->sleeps;
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	end->nb_rxq = (uint16_t)(1 + random_below(rnd, max_rx));
	end->nb_txq = (uint16_t)(1 + random_below(rnd, max_tx));
	end->config++;
	ret = rte_eth_dev_configure(end->port_id, end->nb_rxq, end->nb_txq, &conf);
	random_trace("%s: configure: %u rx, %u tx, strip %d, interrupts %d: %d", end->name,
			end->nb_rxq, end->nb_txq, conf.rxmode.offloads != 0, end->sleeps, ret);
	if (ret == 0)
		setup_queues(end, &info, rnd);
	return ret;
}

/*
 * Looking
 */

/* Does the counter say that somebody has broken a rule? */
static bool
must_be_zero(const char *name)
{
	return strstr(name, "drop_") != NULL || strstr(name, "bad_") != NULL ||
			strstr(name, "backwards") != NULL || strstr(name, "fault") != NULL ||
			strcmp(name, "rx_errors") == 0 || strcmp(name, "tx_errors") == 0;
}

/* Look at all counters, or print them. */
static void
counters(const struct random_end *end, bool print)
{
	static struct rte_eth_xstat_name names[MAX_XSTATS];
	static struct rte_eth_xstat values[MAX_XSTATS];
	const int nb = rte_eth_xstats_get_names(end->port_id, names, MAX_XSTATS);

	if (nb < 0 || nb > (int)MAX_XSTATS ||
			rte_eth_xstats_get(end->port_id, values, MAX_XSTATS) != nb)
		random_die("%s: xstats: %d", end->name, nb);
	for (int i = 0; i < nb; i++) {
		if (values[i].value == 0)
			continue;
		if (print)
			random_trace("%s: %s %" PRIu64, end->name, names[i].name, values[i].value);
		else if (must_be_zero(names[i].name))
			random_die("%s: %s is %" PRIu64, end->name, names[i].name, values[i].value);
	}
}

void
random_end_trace(const struct random_end *end)
{
	counters(end, true);
}

bool
random_end_link(const struct random_end *end)
{
	struct rte_eth_link link;

	if (rte_eth_link_get_nowait(end->port_id, &link) != 0)
		random_die("%s: no link status", end->name);
	return link.link_status == RTE_ETH_LINK_UP;
}

void
random_host_wait_alone(const struct random_end *host)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	struct rte_avp_host_info info;

	for (;;) {
		if (rte_avp_host_info_get(host->port_id, &info) != 0)
			random_die("%s: no information", host->name);
		if (!info.connected)
			return;
		if (test_now_ms() > limit)
			random_die("%s: does not notice that its client has gone", host->name);
		random_nap();
	}
}

static void
host_look(const struct random_end *end)
{
	struct rte_avp_host_info info;

	if (rte_avp_host_info_get(end->port_id, &info) != 0)
		random_die("%s: no information", end->name);
	if (info.requests_bad != 0 || info.ctrl_fifo_faults != 0)
		random_die("%s: %" PRIu64 " bad requests, %" PRIu64 " faults of control FIFOs",
				end->name, info.requests_bad, info.ctrl_fifo_faults);
}

void
random_end_look(const struct random_end *end)
{
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	struct rte_eth_stats stats;
	int ret = rte_eth_stats_get(end->port_id, &stats);

	for (uint16_t q = 0; q < end->nb_rxq && ret == 0; q++)
		ret = rte_eth_rx_queue_info_get(end->port_id, q, &rxq);
	for (uint16_t q = 0; q < end->nb_txq && ret == 0; q++)
		ret = rte_eth_tx_queue_info_get(end->port_id, q, &txq);
	if (ret != 0)
		random_die("%s: cannot be asked: %s", end->name, rte_strerror(-ret));
	if (stats.ierrors != 0 || stats.oerrors != 0)
		random_die("%s: %" PRIu64 " errors in, %" PRIu64 " out", end->name, stats.ierrors,
				stats.oerrors);
	counters(end, false);
	if (end->side == SIDE_HOST)
		host_look(end);
}

void
random_pool_wait(struct rte_mempool *pool, const char *what)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;

	while (!rte_mempool_full(pool)) {
		if (test_now_ms() > limit)
			random_die("%s: mempool %s: %u mbufs are not back", what, pool->name,
					rte_mempool_in_use_count(pool));
		random_nap();
	}
}

static unsigned int
count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	unsigned int nb = 0;

	if (dir == NULL)
		random_die("%s: %s", folder, strerror(errno));
	while (readdir(dir) != NULL)
		nb++;
	closedir(dir);
	return nb;
}

/* Mappings of shared memory; a thread's stack or malloc's arena may come and go. */
static unsigned int
count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned int nb = 0;
	char line[512];

	if (file == NULL)
		random_die("/proc/self/maps: %s", strerror(errno));
	while (fgets(line, sizeof(line), file) != NULL)
		nb += strstr(line, "rw-s") != NULL || strstr(line, "r--s") != NULL ||
				strstr(line, "memfd:") != NULL;
	fclose(file);
	return nb;
}

void
random_usage_get(struct random_usage *usage)
{
	struct rte_malloc_socket_stats heap = {0};

	rte_malloc_get_socket_stats((int)rte_socket_id(), &heap);
	*usage = (struct random_usage){
			.nb_fds = count_entries("/proc/self/fd"),
			.nb_threads = count_entries("/proc/self/task"),
			.nb_maps = count_maps(),
			.heap_blocks = heap.alloc_count,
			.heap_size = heap.heap_allocsz_bytes,
	};
}
