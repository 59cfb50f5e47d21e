/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests of the guest driver: write the control slot, ring, wait for the answer.
 *
 * How it works
 * There is one slot and answers carry no number, so an answer can be told from a late one only by
 * counting: the device answers each request once, in order, and takes the next one when it has done
 * with the last. A request that was not answered in time stays owed, and no other is sent until its
 * answer has come; when it comes, the next request goes on as if nothing had been. That way a late
 * answer is never taken for a new one's.
 *
 * An answer may also be lost. The next request then waits half of its time for it, and sends
 * something harmless, an MTU that the device has already, if the device has taken the silent
 * request. When the device takes that too it is done with the other, and all is in step again (see
 * resync()). A device that does not even take the requests gets no further one: what is on the FIFO
 * names the slot, which must then stay as it is.
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
	_Atomic uint64_t lost;     /* never answered, as the device has shown by going on */
	_Atomic uint64_t bad;      /* entries of the response FIFO that are no answer */
	_Atomic uint64_t fifo_faults;
};

struct avpg_ctrl {
	struct avp_fifo_end req;
	struct avp_fifo_end resp;
	struct avp_request *slot;
	uint64_t slot_va;
	uint32_t owed;         /* requests that the device has not answered */
	uint32_t mtu;          /* that the device took last, or what it will not mind */
	struct avpg_hw *hw;    /* may be NULL: to ask whether the device is still there */
	atomic_bool cancelled; /* the device is gone: no request waits any longer */
	struct avpg_ctrl_stats stats;
};

/**
 * Take up the control FIFOs of a device just found or just attached. Answers to requests that
 * somebody else has sent are thrown away.
 *
 * Returns 0, or -EINVAL when the FIFOs make no sense. Leaves cancelled, hw and stats as they are.
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

/** What such a result means, for messages. */
const char *avpg_ctrl_error(int ret);

#endif /* AVPG_CTRL_H */
