/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Between the glue net_avp_user (avpg_user.c) and what can be asked of its ports beyond ethdev
 * (avpg_api.c).
 */

#ifndef AVPG_USER_H
#define AVPG_USER_H

#include <stddef.h>
#include <stdint.h>

#include "avp_err.h"

struct avpg_user;

/** A message of this driver's, @fmt for its arguments. */
extern int avpg_user_logtype;
#define USER_LOG(level, fmt, ...) rte_log(RTE_LOG_##level, avpg_user_logtype, fmt "\n", __VA_ARGS__)

/** Connect a detached port to @socket instead of the one that it has. 0 or -errno with @err filled
 * in; see rte_avp_user_move(). The port is not closed meanwhile. */
int avpg_user_move(struct avpg_user *user, const char *socket, struct avp_err *err);

/** The socket that it is connected to, or tries to connect to; and how it is. For people. */
void avpg_user_describe(struct avpg_user *user, char *socket, size_t size, const char **state);

/** Let a port be asked, from when it is complete until it begins to end. Any thread but an lcore.
 */
void avpg_api_add(uint16_t port_id, struct avpg_user *user);
void avpg_api_remove(const struct avpg_user *user);

#endif /* AVPG_USER_H */
