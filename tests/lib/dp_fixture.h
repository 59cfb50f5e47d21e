/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A worker of the switch without the switch: an FDB, a view with four ports, and what forward.h
 * needs to run in the test's thread. Ports are net_ring devices: what is sent to one is received
 * from it again.
 */

#ifndef TESTS_DP_FIXTURE_H
#define TESTS_DP_FIXTURE_H

#include <stdint.h>

#include "dp.h"
#include "forward.h"

#define DP_NB_PORTS 4u

struct dp_fixture {
	struct rte_rcu_qsbr *rcu;
	struct fdb *fdb;
	struct dp_view view;
	struct dp_state *states[DP_NB_PORTS];
	struct forward fwd;
};

/** Of the ports, by their place in the view. */
extern uint16_t dp_port_ids[DP_NB_PORTS];
extern struct rte_mempool *dp_pool;

/** Once in a program, after the EAL: the ports, and a pool of @nb_mbufs. Returns 0 or -1. */
int dp_group_setup(unsigned int nb_mbufs);

/** Access ports of the VLAN @vid, with links, that send chains of up to @tx_max_len bytes and
 * insert no tags. Returns 0 or -1. */
int dp_fixture_init(struct dp_fixture *dp, uint16_t vid, uint32_t tx_max_len);
/** Receive what was sent and not looked at. Returns 0, or -1 when an mbuf has not come back. */
int dp_fixture_fini(struct dp_fixture *dp);

/** A packet comes in at a port, and the worker is quiescent. */
void dp_forward(struct dp_fixture *dp, unsigned int in, struct rte_mbuf *mbuf);

/** What was sent to a port, NULL = nothing. The caller frees. */
struct rte_mbuf *dp_sent_to(unsigned int out);

/** Packets of a port that were dropped. */
uint64_t dp_drops(const struct dp_fixture *dp, unsigned int port, enum stats_drop drop);

#endif /* TESTS_DP_FIXTURE_H */
