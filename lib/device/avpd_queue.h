/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the datapath sees of a device: a memory to map, a layout, and a channel of messages.
 * Nothing is shared besides, and neither side calls the other, so that device and datapath may live
 * in two processes.
 *
 * How it works
 * The channel is a SOCK_SEQPACKET pair, one message per packet. Whenever the guest's state
 * changes the device sends AVPD_MSG_GUEST with a new epoch. With @reset set the datapath must first
 * stop touching the FIFOs, take back every buffer the guest holds, and format the data FIFOs anew;
 * then, whatever it had to do, it answers AVPD_MSG_DONE with that epoch. Only after that does the
 * device answer the guest's request, so a guest never sees FIFOs that are being rebuilt. A datapath
 * that does not answer in AVPD_DONE_TIMEOUT_MS makes the guest's request fail, nothing else.
 *
 * Changes may come faster than a datapath takes them: then they are folded into one message, with
 * the last epoch, and with @reset if any of them had it. Only an answer to the last epoch counts.
 *
 * The datapath may queue packets while guest.running, and must not while it is not. A guest that is
 * asked to let go stays running until it does, or the time is over.
 */

#ifndef AVPD_QUEUE_H
#define AVPD_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>

#include "avpd_layout.h"

/** Below the 500 ms after which a guest gives up, and long enough for a worker that the system has
 * taken off its CPU in the middle of a burst. */
#define AVPD_DONE_TIMEOUT_MS 400u

/** All that a datapath needs to serve a device. The descriptors are the datapath's own copies. */
struct avpd_view {
	int mem_fd;  /* to map: layout.mem_size bytes, shared */
	int chan_fd; /* messages below, SOCK_SEQPACKET, non-blocking */
	struct avpd_layout layout;
};

/** What is known of the guest. */
struct avpd_guest {
	uint8_t connected;  /* a client holds the device */
	uint8_t configured; /* its driver has configured it */
	uint8_t link_up;    /* its driver wants packets */
	uint8_t running;    /* connected, configured, link up, and not detached: packets may flow */
	uint8_t migration;  /* enum avp_migration, as in the register */
	uint8_t nb_tx_queues; /* FIFOs in use, 1..layout.nb_queues; 0 while not configured */
	uint8_t nb_rx_queues;
	uint8_t reserved;
	uint32_t features;       /* accepted, AVP_FEATURE_* */
	uint32_t mtu;            /* bytes without Ethernet header; 0 = never set */
	uint32_t driver_type;    /* enum avp_driver_type */
	uint32_t driver_version; /* AVP_VERSION() */
};

enum avpd_msg_type {
	/* device to datapath */
	AVPD_MSG_GUEST = 1, /* .guest, .reset */
	AVPD_MSG_MIGRATED,  /* .migrated: end of a detach or attach */
	/* datapath to device */
	AVPD_MSG_DONE,   /* .epoch of the AVPD_MSG_GUEST that has been carried out */
	AVPD_MSG_DETACH, /* .ask */
	AVPD_MSG_ATTACH, /* .ask */
	AVPD_MSG_HOST,   /* .host, whenever it has changed */
	AVPD_MSG_RX,     /* .vectors: the guest is to be interrupted */
};

/** What the guest is told of the datapath's end; all 0 until the datapath says something else. */
struct avpd_host {
	uint8_t link_up; /* packets flow, as far as the host is concerned */
	uint8_t reserved[3];
	uint32_t mtu; /* bytes without Ethernet header: the guest's limit; 0 = none but the largest
		       * packet */
};

/** A request for a detach or attach. */
struct avpd_ask {
	uint32_t timeout_ms; /* for the guest's acknowledge; 0: do not wait for one */
	uint32_t serial;     /* any number: names the request in its answer */
};

struct avpd_msg {
	uint32_t type;  /* enum avpd_msg_type */
	uint32_t epoch; /* counts AVPD_MSG_GUEST; 0 before the first */
	union {
		struct {
			struct avpd_guest guest;
			uint8_t reset;
		} state;
		struct {
			int32_t result;     /* 0;
					     * -ETIMEDOUT: no acknowledge, moved all the same;
					     * -EIO: the guest answered with an error;
					     * -ENOTCONN: there is no client, or no driver, or it
					     * went before it attached;
					     * -EALREADY: under way, or nothing to do;
					     * -ECANCELED: the other one was asked for */
			uint32_t migration; /* enum avp_migration reached */
			uint32_t serial;    /* of the request that has ended */
		} migrated;
		struct avpd_ask ask;
		struct avpd_host host;
		uint32_t vectors; /* bit n: vector n */
	};
};

#endif /* AVPD_QUEUE_H */
