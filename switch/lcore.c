/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Workers; how they work is told in lcore.h.
 */

#include <errno.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

#include "lcore.h"
#include "sw_log.h"

SW_LOG_TOPIC(lcore);

#define REAP_ROUNDS 1024u
#define SYNCHRONIZE_SLEEP_US 10u

struct worker {
	struct lcore_set *set;
	unsigned int lcore_id;
	unsigned int nb_rounds;
	unsigned int nb_empty; /* rounds since the last packet */
	uint32_t sleep_us;     /* the next sleep */
	struct forward fwd;
} __rte_cache_aligned;

struct lcore_set {
	struct lcore_conf conf;
	_Atomic(struct dp_view *) view;
	_Atomic bool stop;
	struct worker workers[SW_MAX_WORKERS];
};

int
lcore_create(struct lcore_set **set_out, const struct lcore_conf *conf, struct avp_err *err)
{
	struct lcore_set *set = rte_zmalloc("lcore", sizeof(*set), 0);

	if (set == NULL)
		return avp_err_set(err, ENOMEM, "workers=%u: not enough memory, see --memory",
				conf->nb_workers);
	set->conf = *conf;
	for (unsigned int i = 0; i < conf->nb_workers; i++) {
		struct worker *worker = &set->workers[i];

		worker->set = set;
		worker->fwd.worker = i;
		worker->fwd.fdb = conf->fdb;
		worker->fwd.pool = conf->pool;
		worker->fwd.injected = i == 0 ? conf->injected : NULL;
		rte_rcu_qsbr_thread_register(conf->rcu, i);
	}
	*set_out = set;
	return 0;
}

void
lcore_destroy(struct lcore_set *set)
{
	if (set == NULL)
		return;
	for (unsigned int i = 0; i < set->conf.nb_workers; i++)
		rte_rcu_qsbr_thread_unregister(set->conf.rcu, i);
	rte_free(set);
}

/* One round with the published view. Returns the number of packets. */
static unsigned int
poll_queues(struct worker *worker)
{
	/* Pairs with the release in lcore_publish(). */
	worker->fwd.view = atomic_load_explicit(&worker->set->view, memory_order_acquire);
	return worker->fwd.view != NULL ? forward_round(&worker->fwd) : 0;
}

/* Let the drivers take back what guests have returned, which they do in tx_burst: a guest that
 * nothing is sent to would keep others' buffers. */
static void
reap_tx(struct worker *worker)
{
	const struct dp_view *view = worker->fwd.view;

	for (uint16_t i = 0; view != NULL && i < view->nb_ports; i++) {
		const struct dp_port *port = &view->ports[i];

		if (port->guest_writable && !port->shares_txq)
			rte_eth_tx_burst(port->id, worker->fwd.worker % port->nb_txq, NULL, 0);
	}
}

static void
sleep_us(uint32_t us)
{
	struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* Returns how long to sleep after a round, 0 = poll again at once. */
static uint32_t
idle_after_round(struct worker *worker, unsigned int nb_pkts)
{
	uint32_t now_us;

	if (nb_pkts != 0 || worker->set->conf.idle_us == 0) {
		worker->nb_empty = 0;
		return 0;
	}
	if (worker->nb_empty < LCORE_IDLE_POLLS) {
		if (worker->nb_empty++ == 0)
			worker->sleep_us = RTE_MIN(LCORE_FIRST_SLEEP_US, worker->set->conf.idle_us);
		rte_pause();
		return 0;
	}
	now_us = worker->sleep_us;
	worker->sleep_us = RTE_MIN(2 * now_us, worker->set->conf.idle_us);
	return now_us;
}

static int
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct rte_rcu_qsbr *rcu = worker->set->conf.rcu;
	unsigned int id = worker->fwd.worker;

	SW_LOG(INFO, "worker %u: runs on lcore %u", id, rte_lcore_id());
	rte_rcu_qsbr_thread_online(rcu, id);
	while (!atomic_load_explicit(&worker->set->stop, memory_order_relaxed)) {
		uint32_t us = idle_after_round(worker, poll_queues(worker));

		if (us != 0 || ++worker->nb_rounds % REAP_ROUNDS == 0)
			reap_tx(worker);
		rte_rcu_qsbr_quiescent(rcu, id);
		if (us != 0) {
			rte_rcu_qsbr_thread_offline(rcu, id);
			sleep_us(us);
			rte_rcu_qsbr_thread_online(rcu, id);
		}
	}
	rte_rcu_qsbr_thread_offline(rcu, id);
	return 0;
}

int
lcore_start(struct lcore_set *set)
{
	unsigned int lcore_id;
	unsigned int i = 0;

	RTE_LCORE_FOREACH_WORKER (lcore_id) {
		int rc;

		if (i == set->conf.nb_workers)
			break;
		set->workers[i].lcore_id = lcore_id;
		rc = rte_eal_remote_launch(worker_main, &set->workers[i], lcore_id);
		if (rc != 0)
			return rc;
		i++;
	}
	return 0;
}

void
lcore_stop(struct lcore_set *set)
{
	atomic_store_explicit(&set->stop, true, memory_order_relaxed);
	rte_eal_mp_wait_lcore();
}

void
lcore_synchronize(struct lcore_set *set)
{
	uint64_t token = rte_rcu_qsbr_start(set->conf.rcu);

	/* Asleep, not polling: a worker may wait for this very CPU. */
	while (rte_rcu_qsbr_check(set->conf.rcu, token, false) == 0)
		sleep_us(SYNCHRONIZE_SLEEP_US);
}

struct dp_view *
lcore_publish(struct lcore_set *set, struct dp_view *view)
{
	/* Pairs with the acquire in poll_queues(). */
	struct dp_view *old = atomic_exchange_explicit(&set->view, view, memory_order_acq_rel);

	lcore_synchronize(set);
	return old;
}

void
lcore_run_single(struct lcore_set *set, bool (*control)(void *ctx), void *ctx)
{
	struct worker *worker = &set->workers[0];
	struct rte_rcu_qsbr *rcu = set->conf.rcu;
	uint64_t period_tsc = rte_get_tsc_hz() / 1000000 * LCORE_CONTROL_US;
	uint64_t next_tsc = 0;
	bool go_on = true;

	SW_LOG(INFO, "worker 0: shares lcore %u with the control work", rte_lcore_id());
	while (go_on) {
		uint32_t us;

		rte_rcu_qsbr_thread_online(rcu, 0);
		us = idle_after_round(worker, poll_queues(worker));
		if (us != 0 || ++worker->nb_rounds % REAP_ROUNDS == 0)
			reap_tx(worker);
		rte_rcu_qsbr_thread_offline(rcu, 0);
		if (us != 0)
			sleep_us(us);
		if (us != 0 || rte_rdtsc() >= next_tsc) {
			go_on = control(ctx);
			next_tsc = rte_rdtsc() + period_tsc;
		}
	}
}
