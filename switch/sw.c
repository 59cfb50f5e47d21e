/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The switch as a whole: making it, its clock, and taking it down.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "avp_sock.h"
#include "ctl.h"
#include "fdb.h"
#include "hold.h"
#include "lcore.h"
#include "port.h"
#include "sw.h"

#define TICK_US 100000u
#define TICKS_PER_SECOND (1000000u / TICK_US)
#define POOL_CACHE 256u
#define INJECTED_SIZE 1024u

void
sw_conf_init(struct sw_conf *conf)
{
	*conf = (struct sw_conf){
			.workers = 1,
			.fdb_age = 300,
			.fdb_size = 16384,
			.fdb_port_max = 1024,
			.mbufs = 16384,
			.mbuf_size = 2048,
			.idle_us = 250,
			.hold_bytes = 64 << 20,
			.hold_ms = 5000,
			.control = SW_DEFAULT_CONTROL,
	};
}

static uint32_t
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Ten times a second: links; once a second: the FDB's time. */
static void
tick_expired(struct avp_timer *timer)
{
	struct sw *sw = (struct sw *)((char *)timer - offsetof(struct sw, tick));

	port_poll_links(sw);
	if (++sw->nb_ticks % TICKS_PER_SECOND == 0)
		fdb_age(sw->fdb, now_s());
}

static void
link_changed(struct avp_watch *watch, uint32_t events __rte_unused)
{
	struct sw *sw = (struct sw *)((char *)watch - offsetof(struct sw, link_watch));
	uint64_t count;

	if (read(watch->fd, &count, sizeof(count)) == sizeof(count))
		port_poll_links(sw);
}

static int
create_loop(struct sw *sw, struct avp_err *err)
{
	int rc;

	sw->loop = avp_loop_create();
	sw->link_watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	sw->link_watch.ready = link_changed;
	if (sw->loop == NULL || sw->link_watch.fd < 0)
		return avp_err_set(err, errno, "event loop: %s", strerror(errno));
	rc = avp_watch_add(sw->loop, &sw->link_watch, EPOLLIN);
	if (rc == 0)
		rc = avp_timer_init(sw->loop, &sw->tick, tick_expired);
	if (rc == 0)
		rc = avp_timer_init(sw->loop, &sw->move_timer, port_move_expired);
	if (rc != 0)
		return avp_err_set(err, -rc, "event loop: %s", strerror(-rc));
	avp_timer_set(&sw->tick, TICK_US, TICK_US);
	return 0;
}

static int
create_tables(struct sw *sw, struct avp_err *err)
{
	const struct sw_conf *conf = &sw->conf;
	struct fdb_conf fdb_conf = {
			.size = conf->fdb_size,
			.age_s = conf->fdb_age,
			.nb_workers = conf->workers,
			.socket_id = rte_socket_id(),
	};
	struct lcore_conf lcore_conf = {
			.nb_workers = conf->workers,
			.idle_us = conf->busy_poll ? 0 : conf->idle_us,
	};
	size_t rcu_size = rte_rcu_qsbr_get_memsize(SW_MAX_WORKERS);
	int rc;

	sw->pool = rte_pktmbuf_pool_create("avp_switch", conf->mbufs, POOL_CACHE, 0,
			conf->mbuf_size + RTE_PKTMBUF_HEADROOM, rte_socket_id());
	if (sw->pool == NULL)
		return avp_err_set(err, rte_errno, "mbufs=%lu of mbuf_size=%lu: %s, see --memory",
				(unsigned long)conf->mbufs, (unsigned long)conf->mbuf_size,
				rte_strerror(rte_errno));
	sw->rcu = rte_zmalloc("rcu", rcu_size, RTE_CACHE_LINE_SIZE);
	if (sw->rcu == NULL || rte_rcu_qsbr_init(sw->rcu, SW_MAX_WORKERS) != 0)
		return avp_err_set(err, ENOMEM, "not enough memory, see --memory");
	fdb_conf.rcu = sw->rcu;
	rc = fdb_create(&sw->fdb, &fdb_conf, err);
	if (rc != 0)
		return rc;
	fdb_age(sw->fdb, now_s());
	rc = hold_memory_create(&sw->hold_memory, conf->hold_bytes, err);
	if (rc != 0)
		return rc;
	sw->injected = rte_ring_create("avp_injected", INJECTED_SIZE, rte_socket_id(),
			RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (sw->injected == NULL)
		return avp_err_set(err, ENOMEM, "not enough memory, see --memory");
	lcore_conf.injected = sw->injected;
	lcore_conf.fdb = sw->fdb;
	lcore_conf.pool = sw->pool;
	lcore_conf.rcu = sw->rcu;
	return lcore_create(&sw->lcores, &lcore_conf, err);
}

int
sw_create(struct sw **sw_out, const struct sw_conf *conf, struct avp_err *err)
{
	struct sw *sw = calloc(1, sizeof(*sw));
	int rc;

	if (sw == NULL)
		return avp_err_set(err, ENOMEM, "not enough memory");
	sw->conf = *conf;
	sw->link_watch.fd = -1;
	rc = create_tables(sw, err);
	if (rc == 0)
		rc = create_loop(sw, err);
	if (rc != 0) {
		sw_destroy(sw);
		return rc;
	}
	*sw_out = sw;
	return 0;
}

static void
destroy_loop(struct sw *sw)
{
	if (sw->loop == NULL)
		return;
	if (sw->tick.loop != NULL)
		avp_timer_fini(&sw->tick);
	if (sw->move_timer.loop != NULL)
		avp_timer_fini(&sw->move_timer);
	if (sw->link_watch.fd >= 0)
		avp_watch_remove(sw->loop, &sw->link_watch);
	avp_loop_destroy(sw->loop);
}

static void
destroy_injected(struct rte_ring *ring)
{
	struct rte_mbuf *mbuf;

	while (ring != NULL && rte_ring_sc_dequeue(ring, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	rte_ring_free(ring);
}

void
sw_destroy(struct sw *sw)
{
	if (sw == NULL)
		return;
	ctl_destroy(sw->ctl);
	port_del_all(sw);
	destroy_loop(sw);
	avp_sock_close(&sw->link_watch.fd);
	lcore_destroy(sw->lcores);
	destroy_injected(sw->injected);
	hold_memory_destroy(sw->hold_memory);
	fdb_destroy(sw->fdb);
	rte_free(sw->rcu);
	rte_mempool_free(sw->pool);
	free(sw);
}
