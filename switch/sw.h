/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The switch as a whole: everything that lives as long as the process. The control thread owns it;
 * workers see only what lcore.c gives them.
 */

#ifndef SW_H
#define SW_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>

#include "avp_err.h"
#include "avp_loop.h"
#include "dp.h"
#include "network.h"
#include "stats.h"

#define SW_DEFAULT_CONTROL "/run/avp/switch.sock"

struct ctl;
struct ctl_move;
struct departed;
struct fdb;
struct hold_memory;
struct lcore_set;
struct port;
struct rte_mempool;
struct rte_rcu_qsbr;
struct rte_ring;

/** Settings fixed at start; section [switch] of the configuration file and the command line. */
struct sw_conf {
	uint64_t workers;      /* 1..SW_MAX_WORKERS */
	uint64_t fdb_age;      /* seconds */
	uint64_t fdb_size;     /* entries */
	uint64_t fdb_port_max; /* learned entries of a port, unless it says otherwise */
	uint64_t mbufs;        /* in the pool of uplinks */
	uint64_t mbuf_size;    /* bytes of packet in one */
	uint64_t idle_us;      /* longest sleep of a worker, 0 = none */
	uint64_t hold_bytes;   /* packets kept for VMs that move, in memory */
	uint64_t hold_ms;      /* and in time */
	bool busy_poll;
	char control[PARAMS_TEXT_SIZE]; /* path of the control socket */
};

struct sw {
	struct sw_conf conf;
	struct avp_loop *loop;
	struct rte_mempool *pool;
	struct rte_rcu_qsbr *rcu;
	struct fdb *fdb;
	struct lcore_set *lcores;
	struct network_table networks;
	struct port *ports[RTE_MAX_ETHPORTS]; /* by DPDK port id */
	struct departed *departed[DP_MAX_DEPARTED];
	struct hold_memory *hold_memory;
	struct rte_ring *injected;   /* packets of ours that a worker sends */
	struct avp_timer move_timer; /* runs while a port is on the move */
	uint32_t last_move_group;
	struct ctl *ctl;
	struct ctl_move *moves; /* requests that wait for their end */
	struct avp_timer tick;
	struct avp_watch link_watch; /* an eventfd that link callbacks write to */
	uint32_t nb_ticks;
};

void sw_conf_init(struct sw_conf *conf);

/** Make tables and pools, the event loop, and the workers' set. Returns 0 or -errno with @err. */
int sw_create(struct sw **sw, const struct sw_conf *conf, struct avp_err *err);

/** Close all ports and free all; the workers have stopped. */
void sw_destroy(struct sw *sw);

#endif /* SW_H */
