/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Workers: threads that poll rx queues and forward, and sleep when nothing moves.
 *
 * How it works: a worker takes the published view anew for each round over its queues, and is
 * quiescent (RCU) between rounds. After LCORE_IDLE_POLLS rounds without a packet it sleeps between
 * rounds, longer each time; while it sleeps it counts as quiescent.
 */

#ifndef LCORE_H
#define LCORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "avp_err.h"
#include "forward.h"

/** Rounds without a packet after which a worker begins to sleep. */
#define LCORE_IDLE_POLLS 2048u
/** The first sleep; each further one is twice as long, up to lcore_conf.idle_us. */
#define LCORE_FIRST_SLEEP_US 20u

struct rte_rcu_qsbr;
struct rte_mempool;
struct rte_ring;

struct lcore_conf {
	unsigned int nb_workers; /* 1..SW_MAX_WORKERS */
	uint32_t idle_us;        /* longest sleep, 0 = never sleep */
	struct fdb *fdb;
	struct rte_mempool *pool;
	struct rte_ring *injected; /* packets of the control thread's, for the first worker */
	struct rte_rcu_qsbr *rcu;
};

struct lcore_set;

/** Returns 0 or -errno with @err filled in. */
int lcore_create(struct lcore_set **set, const struct lcore_conf *conf, struct avp_err *err);
/** After lcore_stop(). */
void lcore_destroy(struct lcore_set *set);

/** Start workers on the first nb_workers worker lcores. Returns 0 or -errno. */
int lcore_start(struct lcore_set *set);
/** Stop and join them. */
void lcore_stop(struct lcore_set *set);

/**
 * Let workers use @view from now on, and wait until none uses the one before.
 *
 * Returns the one before, for the caller to free; NULL at first. Context: control thread.
 */
struct dp_view *lcore_publish(struct lcore_set *set, struct dp_view *view);

/** Wait until every worker has been quiescent once. Context: control thread. */
void lcore_synchronize(struct lcore_set *set);

/**
 * Be worker 0 on this thread, for a switch with a single lcore.
 *
 * @control  called between rounds, every LCORE_CONTROL_US or when idle; returns false to stop. It
 *           may publish views.
 */
#define LCORE_CONTROL_US 1000u
void lcore_run_single(struct lcore_set *set, bool (*control)(void *ctx), void *ctx);

#endif /* LCORE_H */
