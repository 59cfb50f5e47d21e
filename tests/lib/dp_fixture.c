/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The worker without a switch: dp_fixture.h.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#include "dp_fixture.h"
#include "fdb.h"

#define FDB_SIZE 64u

uint16_t dp_port_ids[DP_NB_PORTS];
struct rte_mempool *dp_pool;

static int
port_start(unsigned int i)
{
	const struct rte_eth_conf conf = {0};
	uint16_t *id = &dp_port_ids[i];
	char name[32];

	snprintf(name, sizeof(name), "net_ring_test%u", i);
	return rte_dev_probe(name) != 0 || rte_eth_dev_get_port_by_name(name, id) != 0 ||
					rte_eth_dev_configure(*id, 1, 1, &conf) != 0 ||
					rte_eth_rx_queue_setup(*id, 0, 512, 0, NULL, dp_pool) !=
							0 ||
					rte_eth_tx_queue_setup(*id, 0, 512, 0, NULL) != 0 ||
					rte_eth_dev_start(*id) != 0
			? -1
			: 0;
}

int
dp_group_setup(unsigned int nb_mbufs)
{
	dp_pool = rte_pktmbuf_pool_create(
			"test", nb_mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (dp_pool == NULL)
		return -1;
	for (unsigned int i = 0; i < DP_NB_PORTS; i++)
		if (port_start(i) != 0)
			return -1;
	return 0;
}

int
dp_fixture_init(struct dp_fixture *dp, uint16_t vid, uint32_t tx_max_len)
{
	struct fdb_conf conf = {
			.size = FDB_SIZE,
			.age_s = 300,
			.nb_workers = 1,
			.socket_id = SOCKET_ID_ANY,
	};

	*dp = (struct dp_fixture){.view.nb_ports = DP_NB_PORTS};
	dp->rcu = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (dp->rcu == NULL)
		return -1;
	rte_rcu_qsbr_init(dp->rcu, 1);
	rte_rcu_qsbr_thread_register(dp->rcu, 0);
	rte_rcu_qsbr_thread_online(dp->rcu, 0);
	conf.rcu = dp->rcu;
	if (fdb_create(&dp->fdb, &conf, NULL) != 0)
		return -1;
	for (unsigned int i = 0; i < DP_NB_PORTS; i++) {
		struct dp_port *port = &dp->view.ports[i];

		dp->states[i] = rte_zmalloc("state", sizeof(struct dp_state), RTE_CACHE_LINE_SIZE);
		if (dp->states[i] == NULL)
			return -1;
		atomic_store(&dp->states[i]->link_up, true);
		*port = (struct dp_port){
				.id = dp_port_ids[i],
				.nb_txq = 1,
				.tx_multi_segs = true,
				.tx_max_len = tx_max_len,
				.fdb_max = 16,
				.vlan.untagged = vid,
				.state = dp->states[i],
		};
		dp->view.by_id[dp_port_ids[i]] = port;
	}
	dp->fwd = (struct forward){.view = &dp->view, .fdb = dp->fdb, .pool = dp_pool};
	return 0;
}

int
dp_fixture_fini(struct dp_fixture *dp)
{
	unsigned int nb_missing;

	for (unsigned int i = 0; i < DP_NB_PORTS; i++) {
		struct rte_mbuf *mbuf;

		while ((mbuf = dp_sent_to(i)) != NULL)
			rte_pktmbuf_free(mbuf);
		rte_free(dp->states[i]);
	}
	nb_missing = rte_mempool_in_use_count(dp_pool);
	if (nb_missing > 0)
		fprintf(stderr, "%u mbufs are missing\n", nb_missing);
	rte_rcu_qsbr_thread_offline(dp->rcu, 0);
	fdb_destroy(dp->fdb);
	rte_free(dp->rcu);
	return nb_missing > 0 ? -1 : 0;
}

void
dp_forward(struct dp_fixture *dp, unsigned int in, struct rte_mbuf *mbuf)
{
	forward_burst(&dp->fwd, &dp->view.ports[in], &mbuf, 1);
	forward_flush(&dp->fwd);
	rte_rcu_qsbr_quiescent(dp->rcu, 0);
}

struct rte_mbuf *
dp_sent_to(unsigned int out)
{
	struct rte_mbuf *mbuf;

	return rte_eth_rx_burst(dp_port_ids[out], 0, &mbuf, 1) == 1 ? mbuf : NULL;
}

uint64_t
dp_drops(const struct dp_fixture *dp, unsigned int port, enum stats_drop drop)
{
	return atomic_load(&dp->states[port]->stats[0].drops[drop]);
}
