/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * QMP, the monitor protocol of QEMU: commands with answers, and events that come at any time.
 */

#ifndef CTL_QMP_H
#define CTL_QMP_H

#include <jansson.h>

#include "error.h"
#include "stream.h"

struct ctl_qmp;

/**
 * Connect to a monitor socket, take its greeting and leave negotiation mode. A monitor serves one
 * client at a time: with another one on it there is no greeting.
 *
 * @timeout_ms  for this, and later for each command
 */
enum ctl_status ctl_qmp_open(struct ctl_qmp **qmp, const char *path, unsigned int timeout_ms,
		struct ctl_error *err);

/** Close and free; NULL is allowed. QEMU goes on. */
void ctl_qmp_close(struct ctl_qmp *qmp);

/**
 * Have a command executed.
 *
 * @arguments  taken over, also on failure; NULL: none
 * @result     out: a new reference; NULL: not wanted
 * Returns CTL_FAILED also when QEMU refused: then @err has its words.
 */
enum ctl_status ctl_qmp_call(struct ctl_qmp *qmp, const char *command, json_t *arguments,
		json_t **result, struct ctl_error *err);

/**
 * Wait for the next event.
 *
 * @event  out: a new reference; NULL if none came within the limit
 * Returns CTL_FAILED when QEMU is gone.
 */
enum ctl_status ctl_qmp_event(struct ctl_qmp *qmp, const struct ctl_limit *limit, json_t **event,
		struct ctl_error *err);

/** The socket, to be polled for input; look for events before, since one may be read already. */
int ctl_qmp_fd(const struct ctl_qmp *qmp);

#endif /* CTL_QMP_H */
