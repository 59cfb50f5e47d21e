/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Where DPDK releases differ: 22.11, 23.11, 24.11 and 25.11 build. Code is written for the newest
 * names; this header gives them to older releases. Every check of a DPDK version is here, and
 * nothing else is.
 */

#ifndef AVP_COMPAT_H
#define AVP_COMPAT_H

#include <rte_common.h>
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
 * Use as the parameter list of the function, with the names dev and stats.
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
struct eth_queue_stats;
#define AVP_STATS_GET_PARAMS                                  \
	struct rte_eth_dev *dev, struct rte_eth_stats *stats, \
			struct eth_queue_stats *qstats __rte_unused
#else
#define AVP_STATS_GET_PARAMS struct rte_eth_dev *dev, struct rte_eth_stats *stats
#endif

/* 25.11: what a driver's rx_queue_count returns. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define AVP_RX_QUEUE_COUNT_RET int
#else
#define AVP_RX_QUEUE_COUNT_RET uint32_t
#endif

#endif /* AVP_COMPAT_H */
