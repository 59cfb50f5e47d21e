/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Log topics of the switch. Each file names its own with SW_LOG_TOPIC(module).
 */

#ifndef SW_LOG_H
#define SW_LOG_H

#include <rte_log.h>

/** Register this file's topic, avp.switch.<module>; once per file, at file scope. */
#define SW_LOG_TOPIC(module) static RTE_LOG_REGISTER(sw_logtype, avp.switch.module, NOTICE)

/** SW_LOG(NOTICE, "%s: added", name): no newline at the end. Never on the packet path. */
#define SW_LOG(level, ...) SW_LOG_LINE(level, __VA_ARGS__, "")
#define SW_LOG_LINE(level, fmt, ...) rte_log(RTE_LOG_##level, sw_logtype, fmt "%s\n", __VA_ARGS__)

#endif /* SW_LOG_H */
