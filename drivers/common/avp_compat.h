/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Where DPDK releases differ: 22.11, 23.11, 24.11 and 25.11 build. Code is written for the newest
 * names; this header gives them to older releases. Every check of a DPDK version is here, and
 * nothing else is.
 */

#ifndef AVP_COMPAT_H
#define AVP_COMPAT_H

#include <pthread.h>

#include <rte_common.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_telemetry.h>
#include <rte_version.h>

/* 24.03: RTE_LOG_LINE, which adds the newline. */
#ifndef RTE_LOG_LINE
#define RTE_LOG_LINE(l, t, ...) \
	RTE_LOG(l, t, RTE_FMT(RTE_FMT_HEAD(__VA_ARGS__, ) "\n", RTE_FMT_TAIL(__VA_ARGS__, )))
#endif

/* 23.03: the telemetry functions for numbers got new names. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

/*
 * 25.11: numbers per queue left struct rte_eth_stats, and stats_get got a third parameter for them.
 * Use as the parameter list of the function, with the names dev and stats; in there
 * AVP_STATS_GET_QUEUES points to the AVP_QUEUE_STATS to fill in, or is NULL when nobody asks.
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
struct eth_queue_stats;
#define AVP_STATS_GET_PARAMS                                  \
	struct rte_eth_dev *dev, struct rte_eth_stats *stats, \
			struct eth_queue_stats *qstats __rte_unused
#define AVP_QUEUE_STATS struct eth_queue_stats
#define AVP_STATS_GET_QUEUES qstats
#else
#define AVP_STATS_GET_PARAMS struct rte_eth_dev *dev, struct rte_eth_stats *stats
#define AVP_QUEUE_STATS struct rte_eth_stats
#define AVP_STATS_GET_QUEUES stats
#endif

/* 25.11: a driver's name is exported without a number, for sources that include rte_dev.h. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define AVP_PMD_EXPORT_NAME(name) RTE_PMD_EXPORT_NAME(name)
#else
#define AVP_PMD_EXPORT_NAME(name) RTE_PMD_EXPORT_NAME(name, __COUNTER__)
#endif

/* 25.11: what a driver's rx_queue_count returns. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define AVP_RX_QUEUE_COUNT_RET int
#else
#define AVP_RX_QUEUE_COUNT_RET uint32_t
#endif

/*
 * 23.11: threads that are no lcores are of DPDK's own kind. A thread's main function is
 * AVP_THREAD_RET name(void *arg), and returns AVP_THREAD_DONE. The name has at most 15 characters.
 * Returns 0 or -errno; end with pthread_join().
 */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#include <rte_thread.h>
#define AVP_THREAD_RET uint32_t
#define AVP_THREAD_DONE 0
#else
#define AVP_THREAD_RET void *
#define AVP_THREAD_DONE NULL
#endif

static inline int
avp_compat_ctrl_thread(
		pthread_t *thread, const char *name, AVP_THREAD_RET (*main)(void *), void *arg)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	rte_thread_t id = {0};
	int ret = rte_thread_create_control(&id, name, main, arg);

	*thread = (pthread_t)id.opaque_id;
	return ret > 0 ? -ret : ret;
#else
	return rte_ctrl_thread_create(thread, name, NULL, main, arg);
#endif
}

/*
 * Capture files, for sources that include rte_pcapng.h. 23.03: interfaces are added by a call;
 * before, opening the file added all. 23.11: rte_pcapng_copy() takes the time itself. 25.11: link
 * types. AVP_PCAPNG_ADD_INTERFACE returns less than 0 when the file cannot be written.
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define AVP_PCAPNG_ADD_INTERFACE(file, port_id, name) \
	rte_pcapng_add_interface(file, port_id, DLT_EN10MB, name, NULL, NULL)
#elif RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define AVP_PCAPNG_ADD_INTERFACE(file, port_id, name) \
	rte_pcapng_add_interface(file, port_id, name, NULL, NULL)
#else
#define AVP_PCAPNG_ADD_INTERFACE(file, port_id, name) 0
#endif
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#define AVP_PCAPNG_COPY(port_id, mbuf, pool, len, direction) \
	rte_pcapng_copy(port_id, 0, mbuf, pool, len, direction, NULL)
#else
#define AVP_PCAPNG_COPY(port_id, mbuf, pool, len, direction) \
	rte_pcapng_copy(port_id, 0, mbuf, pool, len, rte_rdtsc(), direction)
#endif

#endif /* AVP_COMPAT_H */
