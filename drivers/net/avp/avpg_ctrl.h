/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests of the guest driver: write the control slot, ring, wait for the answer.
 *
 * How it works
 * There is one slot and answers carry no number, so an answer can be told from a late one only by
 * counting: the device answers each request once, in order. A request that was not answered in time
 * stays owed; until its answer has come no other is written into the slot. That way a late answer
 * is never taken for a new one's, and the slot never changes under a device that is slow.
 *
 * Threads: one at a time, which the caller sees to (port.ctl_lock); cancelled may be set by any.
 */

#ifndef AVPG_CTRL_H
#define AVPG_CTRL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>
#include <avp/avp_fifo.h>

#include "avpg_addr.h"

/** The longest that a request takes, what an earlier one is still owed included. */
#define AVPG_CTRL_TIME_LIMIT_MS 500u

/** One counter per thing that can happen to a request; written by the control threads. */
struct avpg_ctrl_stats {
	_Atomic uint64_t requests; /* put on the request FIFO */
	_Atomic uint64_t refused;  /* answered with a negative errno */
	_Atomic uint64_t timeouts; /* not answered in time */
	_Atomic uint64_t late;     /* answered after that */
	_Atomic uint64_t bad;      /* entries of the response FIFO that are no answer */
	_Atomic uint64_t fifo_faults;
};

struct avpg_ctrl {
	struct avp_fifo_end req;
	struct avp_fifo_end resp;
	struct avp_request *slot;
	uint64_t slot_va;
	uint32_t owed;         /* requests that the device has not answered */
	atomic_bool cancelled; /* the device is gone: no request waits any longer */
	struct avpg_ctrl_stats stats;
};

/**
 * Take up the control FIFOs of a device just found or just attached. Answers to requests that
 * somebody else has sent are thrown away.
 *
 * Returns 0, or -EINVAL when the FIFOs make no sense. Leaves cancelled and stats as they are.
 */
int avpg_ctrl_open(struct avpg_ctrl *ctrl, const struct avpg_info *info);

/**
 * Send one request and wait for its answer.
 *
 * Each returns 0; the device's negative errno; -ETIMEDOUT when the device has not answered, this
 * one or an earlier one; -ENODEV when cancelled; -EPROTO when the answer makes no sense.
 */
int avpg_ctrl_set_mtu(struct avpg_ctrl *ctrl, uint32_t mtu);
int avpg_ctrl_set_link(struct avpg_ctrl *ctrl, bool up);
int avpg_ctrl_configure(struct avpg_ctrl *ctrl, const struct avp_config *config);
int avpg_ctrl_shutdown(struct avpg_ctrl *ctrl);

#endif /* AVPG_CTRL_H */
