/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the packet path sees of the switch: a view, made by the control thread and never changed
 * after. A change of ports or rules makes a new view, publishes it, and frees the old one when all
 * workers have been quiescent (port.c). What does change at run time (link, capture, counters) is
 * in struct dp_state, which outlives the views.
 */

#ifndef DP_H
#define DP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>
#include <rte_spinlock.h>

#include "stats.h"
#include "vlan.h"

/** Most rx queues of one port, and most tx queues. */
#define DP_MAX_QUEUES 16u
/** Deleted ports for whose VMs packets are still held. */
#define DP_MAX_DEPARTED 32u
/** Numbers of ports: DPDK's, then those of departed ones. */
#define DP_MAX_IDS (RTE_MAX_ETHPORTS + DP_MAX_DEPARTED)

struct address_table;
struct capture;
struct hold;
struct rte_mempool;

/** Changing state of a port. Freed after no view has it any more. */
struct dp_state {
	_Atomic bool link_up;                   /* false also while packets are held */
	_Atomic(struct capture *) capture;      /* NULL = none */
	struct address_table *addresses;        /* NULL = not an AVP port */
	rte_spinlock_t tx_locks[DP_MAX_QUEUES]; /* used if workers share tx queues */
	struct stats_worker stats[SW_MAX_WORKERS];
};

/** A port and its rules. */
struct dp_port {
	uint16_t id;     /* DPDK's */
	uint16_t domain; /* ports with the same one may read each other's packets; 0 = isolated */
	uint16_t nb_txq;
	bool shares_txq;       /* fewer tx queues than workers */
	bool guest_writable;   /* packets from here lie in memory that a guest may write */
	bool check_source_mac; /* only @mac may be a source */
	bool tx_vlan_insert;   /* offloads that are on */
	bool tx_multi_segs;
	bool tx_by_dma; /* its device reads packets itself: a guest's memory is not mapped for it */
	uint32_t tx_max_len;         /* bytes of the longest packet without tag */
	uint32_t fdb_max;            /* learned MACs */
	uint64_t mac;                /* fdb_mac() of its own */
	struct rte_mempool *tx_pool; /* of buffers that it sends without a copy; NULL = none */
	struct vlan_rules vlan;
	struct dp_state *state;
	struct hold *hold; /* NULL = packets are not held when there is no link, but dropped */
};

/** May the guests of two ports read and write each other's packets? */
static inline bool
dp_same_domain(const struct dp_port *a, const struct dp_port *b)
{
	return a->domain != 0 && a->domain == b->domain;
}

/** An rx queue that a worker polls. */
struct dp_rxq {
	const struct dp_port *port;
	uint16_t queue;
};

/** The rx queues of one worker. */
struct dp_share {
	uint16_t nb_rxqs;
	struct dp_rxq rxqs[RTE_MAX_ETHPORTS * DP_MAX_QUEUES];
};

struct dp_view {
	uint16_t nb_ports;
	struct dp_port ports[RTE_MAX_ETHPORTS];  /* the first nb_ports */
	const struct dp_port *by_id[DP_MAX_IDS]; /* NULL = no such port */
	bool has_work; /* there are holds, or packets of the control thread's to send */
	uint16_t nb_holds;
	const struct dp_port *holds[DP_MAX_IDS]; /* ports with a hold */
	struct dp_port departed[DP_MAX_DEPARTED];
	struct dp_share shares[SW_MAX_WORKERS];
};

#endif /* DP_H */
