/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The driver's log topic, "pmd.net.avp_host", and the way from the device model's messages to it.
 */

#ifndef AVPH_LOG_H
#define AVPH_LOG_H

#include <rte_log.h>

#include "avp_compat.h"
#include "avp_log.h"

extern int avph_logtype;
#define RTE_LOGTYPE_AVP_HOST avph_logtype

/** AVPH_LOG(NOTICE, "%s: what happened: why", name): no newline. Never on the packet path. */
#define AVPH_LOG(level, ...) RTE_LOG_LINE(level, AVP_HOST, __VA_ARGS__)

/** For code that knows no DPDK. */
extern const struct avp_log avph_device_log;

#endif /* AVPH_LOG_H */
