/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control thread and what belongs to it: avph_process.h.
 */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <rte_mempool.h>

#include "avp_compat.h"
#include "avph_buf.h"
#include "avph_log.h"
#include "avph_mem.h"
#include "avph_process.h"

#define CONTROL_THREAD_NAME "avp-control"
/* Between the checks at the end of the control thread, when there is no time for the timer's. */
#define LAST_CHECK_NS 1000000

/* DPDK probes devices without a context of ours: this is it. */
static struct avph_process the_process;
static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

struct loop_start {
	struct avp_loop *loop;
	int ret;
};

static void
pool_release(struct avph_pool *pool)
{
	struct avph_mem *mem = pool->mem;

	avpd_mem_remove_port(mem->mem, &pool->layout);
	avph_pool_destroy(pool);
	avph_mem_put(mem);
}

/* Release the leftovers whose mbufs are all back. */
static void
leftovers_check(struct avph_process *process)
{
	struct avph_pool *pool = LIST_FIRST(&process->leftovers);

	while (pool != NULL) {
		struct avph_pool *next = LIST_NEXT(pool, entry);

		if (!rte_mempool_full(pool->mp)) {
			pool->nb_full = 0;
		} else if (++pool->nb_full >= AVPH_LEFTOVER_CHECKS) {
			AVPH_LOG(NOTICE, "%s: the last buffers have come back after close",
					pool->name);
			LIST_REMOVE(pool, entry);
			pool_release(pool);
		}
		pool = next;
	}
}

static void
leftover_timer_expired(struct avp_timer *timer)
{
	struct avph_process *process =
			RTE_PTR_SUB(timer, offsetof(struct avph_process, leftover_timer));

	leftovers_check(process);
	if (LIST_EMPTY(&process->leftovers))
		avp_timer_set(timer, 0, 0);
}

static void
leftover_timer_start(struct avph_process *process)
{
	avp_timer_set(&process->leftover_timer, AVPH_LEFTOVER_CHECK_US, AVPH_LEFTOVER_CHECK_US);
}

void
avph_process_leave_pool(struct avph_process *process, struct avph_pool *pool)
{
	if (rte_mempool_full(pool->mp)) {
		pool_release(pool);
		return;
	}
	AVPH_LOG(NOTICE, "%s: %u buffers are still in use elsewhere: kept until they are back",
			pool->name, rte_mempool_in_use_count(pool->mp));
	LIST_INSERT_HEAD(&process->leftovers, pool, entry);
	leftover_timer_start(process);
}

static int
process_timer_init(void *arg)
{
	struct avph_process *process = arg;
	int ret = avp_timer_init(process->loop, &process->leftover_timer, leftover_timer_expired);

	if (ret == 0 && !LIST_EMPTY(&process->leftovers))
		leftover_timer_start(process);
	return ret;
}

static int
process_timer_fini(void *arg)
{
	const struct timespec apart = {.tv_nsec = LAST_CHECK_NS};
	struct avph_process *process = arg;
	const struct avph_pool *pool;

	avp_timer_fini(&process->leftover_timer);
	for (unsigned int i = 0; i < AVPH_LEFTOVER_CHECKS && !LIST_EMPTY(&process->leftovers);
			i++) {
		nanosleep(&apart, NULL);
		leftovers_check(process);
	}
	LIST_FOREACH (pool, &process->leftovers, entry)
		AVPH_LOG(WARNING,
				"%s: %u buffers are not back: its memory stays until a port is "
				"opened "
				"after they are",
				pool->name, rte_mempool_in_use_count(pool->mp));
	return 0;
}

/* A new thread begins on the CPUs of the one that makes it: this one's. */
static AVP_THREAD_RET
start_loop(void *arg)
{
	struct loop_start *start = arg;

	start->ret = avp_loop_start(start->loop, CONTROL_THREAD_NAME, true);
	return AVP_THREAD_DONE;
}

/* Start the loop where the EAL has its control threads, never on a CPU that polls if there is
 * another. The caller is an lcore, as a rule. */
static int
start_loop_off_lcores(struct avp_loop *loop)
{
	struct loop_start start = {.loop = loop};
	pthread_t thread;
	int ret = avp_compat_ctrl_thread(&thread, CONTROL_THREAD_NAME, start_loop, &start);

	if (ret != 0)
		return ret;
	pthread_join(thread, NULL);
	return start.ret;
}

static int
process_start(struct avph_process *process, struct avp_err *err)
{
	int ret;

	process->loop = avp_loop_create();
	if (process->loop == NULL)
		return avp_err_set(err, errno, "control thread: %s", strerror(errno));
	ret = start_loop_off_lcores(process->loop);
	if (ret < 0)
		goto err_destroy;
	ret = avp_loop_call(process->loop, process_timer_init, process);
	if (ret < 0)
		goto err_destroy;
	return 0;

err_destroy:
	avp_loop_destroy(process->loop);
	process->loop = NULL;
	return avp_err_set(err, -ret, "control thread: %s", strerror(-ret));
}

struct avph_process *
avph_process_get(struct avp_err *err)
{
	struct avph_process *process = &the_process;
	int ret = 0;

	pthread_mutex_lock(&the_lock);
	if (process->nb_ports == 0)
		ret = process_start(process, err);
	if (ret == 0)
		process->nb_ports++;
	pthread_mutex_unlock(&the_lock);
	return ret == 0 ? process : NULL;
}

void
avph_process_put(struct avph_process *process)
{
	pthread_mutex_lock(&the_lock);
	if (--process->nb_ports == 0) {
		avp_loop_call(process->loop, process_timer_fini, process);
		avp_loop_destroy(process->loop);
		process->loop = NULL;
	}
	pthread_mutex_unlock(&the_lock);
}
