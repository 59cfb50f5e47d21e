/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control socket: one JSON object per line each way; docs/switch.md has the protocol. A client
 * that is slow, silent or hostile costs bounded memory and nobody's time.
 */

#ifndef CTL_H
#define CTL_H

#include <jansson.h>

#include "avp_err.h"
#include "sw.h"

/** Bytes of one request; a client that sends more without a newline is closed. */
#define CTL_REQUEST_MAX 65536u
#define CTL_CLIENTS_MAX 32

struct ctl_client;

/**
 * Do what a method does.
 *
 * @client  who asks; only compared
 * @params  an object, or NULL
 * Returns the result, a new reference, or NULL with @err filled in.
 */
typedef json_t *ctl_handler(struct sw *sw, struct ctl_client *client, const json_t *params,
		struct avp_err *err);

/* ctl_port.c */
ctl_handler ctl_port_add, ctl_port_del, ctl_port_set, ctl_port_show, ctl_stats;
/* ctl_network.c */
ctl_handler ctl_network_add, ctl_network_del, ctl_network_show;
/* ctl_fdb.c */
ctl_handler ctl_fdb_show, ctl_fdb_flush;
/* ctl_capture.c */
ctl_handler ctl_capture_start, ctl_capture_stop, ctl_capture_show;
/* ctl_answer.c */
ctl_handler ctl_version;

/** Listen on the switch's control socket. Returns 0 or -errno with @err filled in. */
int ctl_create(struct ctl **ctl, struct sw *sw, struct avp_err *err);
/** Close clients and socket, and remove the socket's file. */
void ctl_destroy(struct ctl *ctl);

/**
 * Answer one request.
 *
 * Returns the answer, one line with its newline, for the caller to free; NULL without memory.
 */
char *ctl_answer(struct sw *sw, struct ctl_client *client, const char *line, size_t len);

#endif /* CTL_H */
