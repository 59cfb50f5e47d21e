/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The device model: one AVP device, as a guest sees it over vfio-user. No DPDK here.
 *
 * A device owns its socket, registers, interrupts, BARs 4 and 5, and the control FIFOs; the data
 * FIFOs and all packet buffers are the datapath's (avpd_queue.h). It looks at the request FIFO
 * every AVPD_CTRL_POLL_US while a client is connected, since the contract has no doorbell.
 *
 * Threads: create and destroy from any thread (they call into the loop); all else on the loop.
 */

#ifndef AVPD_DEVICE_H
#define AVPD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>

#include "avp_err.h"
#include "avp_log.h"
#include "avp_loop.h"
#include "avp_sock.h"
#include "avpd_layout.h"
#include "avpd_queue.h"

/** How often a connected device looks at its request FIFO, and how many requests it then takes. */
#define AVPD_CTRL_POLL_US AVP_TICK_US
#define AVPD_CTRL_POLL_MAX 4u

struct avpd_conf {
	const char *name;        /* of the port; in messages and device information; copied */
	const char *socket_path; /* copied */
	struct avp_sock_perm perm;
	uint8_t mac[AVP_ETHER_ADDR_SIZE];
	uint32_t features;    /* AVP_FEATURE_* offered */
	uint32_t max_rx_size; /* bytes of the largest packet for the guest, <= AVP_MAX_PKT_SIZE */
	bool incoming; /* begin detached, until a guest that comes from elsewhere is let in */
	const struct avp_log *log; /* not copied; may be NULL */
};

/** Things that happened, for people; never reset. */
struct avpd_counters {
	uint64_t connects;
	uint64_t resets;           /* vfio-user device resets */
	uint64_t requests;         /* control requests answered */
	uint64_t requests_refused; /* of these, with an error */
	uint64_t requests_bad;     /* entries of the request FIFO that do not name the slot */
	uint64_t fifo_faults;      /* control FIFO indices or length overwritten */
	uint64_t interrupts;
};

/** What `avpctl port show` says of a device. */
struct avpd_status {
	struct avpd_guest guest;
	struct avpd_counters counters;
	uint64_t device_id;
	uint32_t nb_vectors_set; /* MSI-X vectors that have an eventfd */
	uint32_t intr_mask;      /* as written by the guest */
};

struct avpd_device;

/**
 * Make a device in @mem, and listen on its socket.
 *
 * @mem     its memory, with a port added as @layout says; must outlive the device
 * @layout  copied
 * Returns 0 or -errno with @err filled in.
 */
int avpd_device_create(struct avpd_device **dev, struct avp_loop *loop,
		const struct avpd_conf *conf, struct avpd_mem *mem,
		const struct avpd_layout *layout, struct avp_err *err);
void avpd_device_destroy(struct avpd_device *dev);

/**
 * Open the datapath's view. One at a time: a new one replaces the last, whose channel is closed.
 * The device sends the present state at once, with reset set.
 *
 * @view  out; the caller closes both descriptors
 * Returns 0 or -errno. Any thread.
 */
int avpd_device_open_view(struct avpd_device *dev, struct avpd_view *view);

/** Any thread. */
void avpd_device_status(struct avpd_device *dev, struct avpd_status *status);

#endif /* AVPD_DEVICE_H */
