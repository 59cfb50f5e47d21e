/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control socket: one JSON object per line each way; docs/switch.md has the protocol. A client
 * that is slow, silent or hostile costs bounded memory and nobody's time.
 */

#ifndef CTL_H
#define CTL_H

#include <stdbool.h>

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
 * @client  who asks; only compared, but for ctl_client_wait(); NULL = the configuration file
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
/* ctl_migrate.c */
ctl_handler ctl_port_detach, ctl_port_attach, ctl_port_depart;
/* ctl_capture.c */
ctl_handler ctl_capture_start, ctl_capture_stop, ctl_capture_show;
/* ctl_answer.c */
ctl_handler ctl_version;

/**
 * Do not answer now: the handler returns NULL, and ctl_client_answer() follows, once. Until then no
 * other request of the client is read.
 */
void ctl_client_wait(struct ctl_client *client);
bool ctl_client_is_waiting(const struct ctl_client *client);
/** Send the answer. @result is taken over. Not from within the handler. */
void ctl_client_answer(struct ctl_client *client, json_t *result);
/** ctl_migrate.c: nobody waits for an answer any more. */
void ctl_migrate_drop_client(struct sw *sw, const struct ctl_client *client);

/** Listen on the switch's control socket. Returns 0 or -errno with @err filled in. */
int ctl_create(struct ctl **ctl, struct sw *sw, struct avp_err *err);
/** Close clients and socket, and remove the socket's file. */
void ctl_destroy(struct ctl *ctl);

/**
 * Answer one request.
 *
 * @id  out: of a request that is answered later, a new reference
 * Returns the answer, one line with its newline, for the caller to free; NULL without memory, or
 * when the client has to wait.
 */
char *ctl_answer(struct sw *sw, struct ctl_client *client, const char *line, size_t len,
		json_t **id);

/** Make an answer's line of a request's id and its result, which are taken over. The caller frees;
 * NULL without memory. */
char *ctl_make_answer(json_t *id, json_t *result);

#endif /* CTL_H */
