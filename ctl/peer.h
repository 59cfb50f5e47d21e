/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The other node in a migration: an `avpctl vm receive` there, started by the command of
 * hosts.conf.
 */

#ifndef CTL_PEER_H
#define CTL_PEER_H

#include <jansson.h>

#include "error.h"

struct ctl_peer;

/**
 * Start it. Whether it got anywhere shows with the first call.
 *
 * @host  of ctl_hosts_load(); not kept
 */
enum ctl_status ctl_peer_open(struct ctl_peer **peer, const json_t *host, const char *vm_name,
		struct ctl_error *err);

/** Close the connection, and see that the command ends. NULL is allowed. */
void ctl_peer_close(struct ctl_peer *peer);

/**
 * Have it do something; methods are those of vm_receive.c.
 *
 * @params    taken over, also on failure
 * @result    out: a new reference; NULL: not wanted
 * @answered  out: false if there was no answer, so that nobody knows whether it was done; may be
 * NULL
 */
enum ctl_status ctl_peer_call(struct ctl_peer *peer, const char *method, json_t *params,
		unsigned int timeout_ms, json_t **result, bool *answered, struct ctl_error *err);

#endif /* CTL_PEER_H */
