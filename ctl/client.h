/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * One connection to the switch's control socket: requests and answers, one JSON object per line.
 * Nothing waits longer than the time limit.
 */

#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"
#include "stream.h"

struct ctl_client;

/**
 * Connect to the switch.
 *
 * @timeout_ms  limit for connecting, and later for sending each request and for its answer
 */
enum ctl_status ctl_client_open(struct ctl_client **client, const char *path,
		unsigned int timeout_ms, struct ctl_error *err);

/** Close and free; NULL is allowed. */
void ctl_client_close(struct ctl_client *client);

/**
 * Send a request and wait for its answer.
 *
 * @params  taken over, also on failure
 * @result  out: a new reference
 * Returns CTL_FAILED also when the switch refused: then @err is its answer.
 */
enum ctl_status ctl_client_call(struct ctl_client *client, const char *method, json_t *params,
		json_t **result, struct ctl_error *err);

/** The first half of ctl_client_call(): only send. */
enum ctl_status ctl_client_send(struct ctl_client *client, const char *method, json_t *params,
		struct ctl_error *err);

/** The second half: wait for the answer. @method: what was sent, for messages. */
enum ctl_status ctl_client_receive(struct ctl_client *client, const char *method, json_t **result,
		struct ctl_error *err);

/** Wait until there is something to receive. @ready: out: false if the limit passed before. */
enum ctl_status ctl_client_wait(struct ctl_client *client, const struct ctl_limit *limit,
		bool *ready, struct ctl_error *err);

#endif /* CTL_CLIENT_H */
