/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests: takes them from the request FIFO and the control slot, decides, and answers.
 *
 * How it works
 * The slot is copied once when its label comes out of the FIFO; what the guest writes there later
 * does not matter. A request that changes the guest's state is answered in two steps, because the
 * datapath must have carried it out first: avpd_ctrl_take() gives the new state, and the device
 * calls avpd_ctrl_answer() when the datapath is done. Until then no other request is taken.
 *
 * What changes the guest's state takes the datapath some time, which the devices of a process
 * share: bursts are waited for, a link that goes up or down is told to the application. So a guest
 * may ask for AVPD_CTRL_BURST changes in a row, and then one every AVPD_CTRL_REFILL polls; what it
 * sends faster waits in the FIFO. Drivers in the field wait 5 ms for each answer.
 */

#ifndef AVPD_CTRL_H
#define AVPD_CTRL_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>
#include <avp/avp_fifo.h>

#include "avpd_queue.h"

#define AVPD_CTRL_BURST 32u
#define AVPD_CTRL_REFILL 4u

/** Smallest MTU that a guest may set: what IPv4 requires of every link. */
#define AVPD_CTRL_MIN_MTU 68u

/** What requests are checked against. */
struct avpd_ctrl_limits {
	uint64_t device_id;
	uint32_t features;    /* offered */
	uint32_t nb_queues;   /* most of each kind */
	uint32_t max_rx_size; /* bytes of the largest packet for the guest */
	uint32_t host_mtu;    /* bytes; 0 = no limit. For guests that are told of it */
};

/** What avpd_ctrl_take() has found. */
enum avpd_ctrl_result {
	AVPD_CTRL_NONE,    /* no request, or none that may be taken now */
	AVPD_CTRL_BAD,     /* an entry that does not name the slot: dropped, no answer */
	AVPD_CTRL_DONE,    /* answered with success; nothing has changed */
	AVPD_CTRL_REFUSED, /* answered with an error */
	AVPD_CTRL_CHANGED, /* the guest's state has changed: tell the datapath, then answer */
	AVPD_CTRL_RESET,   /* likewise, and the data FIFOs must be made anew */
};

struct avpd_ctrl {
	struct avpd_ctrl_limits limits;
	struct avp_fifo_end req;
	struct avp_fifo_end resp;
	struct avp_request *slot; /* guest-writable; copied once per request */
	uint64_t slot_va;
	uint32_t req_id;           /* of the request that waits for avpd_ctrl_answer() */
	bool waiting;              /* there is one */
	uint32_t tokens;           /* changes that the guest may still ask for */
	uint32_t polls;            /* since the last token was added */
	enum avp_fifo_fault fault; /* last seen; OK once the guest's side is right again */
	uint64_t nb_faults;        /* times that it changed to something else than OK */
};

/** Where the three things are mapped, and what the guest calls the slot. */
struct avpd_ctrl_place {
	struct avp_request *slot;
	struct avp_fifo *req_fifo;
	struct avp_fifo *resp_fifo;
	uint64_t slot_va;
};

/** Begin. The FIFOs are formatted. */
void avpd_ctrl_init(struct avpd_ctrl *ctrl, const struct avpd_ctrl_place *place,
		const struct avpd_ctrl_limits *limits);

/** Make slot and FIFOs anew, and forget a request that waits. */
void avpd_ctrl_format(struct avpd_ctrl *ctrl);

/** One more poll interval has passed: what limits the rate of changes. */
void avpd_ctrl_tick(struct avpd_ctrl *ctrl);

/**
 * Take one request, unless one waits.
 *
 * @guest     the guest's state; changed when the result is CHANGED or RESET
 * @detached  the guest has been detached: it may not configure or set its link up
 */
enum avpd_ctrl_result avpd_ctrl_take(
		struct avpd_ctrl *ctrl, struct avpd_guest *guest, bool detached);

/** Answer the request that waits. @result: 0 or -errno. */
void avpd_ctrl_answer(struct avpd_ctrl *ctrl, int32_t result);

#endif /* AVPD_CTRL_H */
