/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What an application can ask of a net_avp_user port beyond ethdev. Link with librte_net_avp.so;
 * all else of the driver is reached through ethdev.
 */

#ifndef AVPG_API_H
#define AVPG_API_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The driver is built with all else hidden. */
#pragma GCC visibility push(default)

/**
 * Move a port that its host has detached to another host's socket. When that host lets it in, at
 * once or with an attach, the port goes on as it is: same number, queues, configuration.
 *
 * On error nothing has changed: the port still waits for the host that it was detached by. The
 * same from outside: telemetry, /net_avp_user/move,PORT,PATH.
 *
 * @socket  path, at most 107 characters
 * Returns 0 when connected, or -errno, logged: -ENODEV when @port_id is no net_avp_user port,
 * -EINVAL, -ENAMETOOLONG; -EBUSY when the port is not detached, or the socket has another client;
 * -EALREADY when it is connected there; what connecting has failed with, -ENOENT and -ECONNREFUSED
 * among others. Control context; blocks while the host answers, for 5 s a message at most.
 */
int rte_avp_user_move(uint16_t port_id, const char *socket);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* AVPG_API_H */
