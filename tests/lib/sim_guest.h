/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A simulated guest: speaks to a port's socket as a driver without a VM would, but does what a test
 * tells it, good or bad. It trusts the device, checks nothing, and has no DPDK in it.
 *
 * It behaves like the stock driver where a test does not say otherwise: it takes buffers from the
 * alloc FIFO, ORs into their flags and appends to their lengths, and returns only the head of a
 * chain on the free FIFO.
 */

#ifndef TESTS_SIM_GUEST_H
#define TESTS_SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>
#include <avp/avp_cring.h>
#include <avp/avp_fifo.h>

#include "vuser_client.h"

/** The guest's ends of the FIFOs of one number. */
struct sim_lane {
	struct avp_fifo_end tx;
	struct avp_fifo_end alloc;
	struct avp_fifo_end rx;
	struct avp_fifo_end free;
	struct avp_cring_end ctx; /* in place of tx and rx, with AVP_FEATURE_COMPACT */
	struct avp_cring_end crx;
};

struct sim_guest {
	struct vuser_client *client;
	void *bar_map[6];
	size_t bar_size[6];
	uint8_t *mem; /* BAR 2 */
	uint64_t mem_size;
	const struct avp_memmap *memmap;
	const struct avp_device_info *info;
	struct avp_fifo_end req;
	struct avp_fifo_end resp;
	struct sim_lane lanes[AVP_MAX_QUEUES];
	bool recycle;      /* it has taken up AVP_FEATURE_RECYCLE */
	bool compact;      /* and AVP_FEATURE_COMPACT: then what has to do with descriptors is not
			    * for it, but the functions for entries are */
	uint32_t nb_dirty; /* buffers from alloc FIFOs that were not as the contract says, or, with
			    * that feature, would not be without */
};

/** A packet as the guest sees it. */
struct sim_pkt {
	uint32_t len;      /* bytes in data */
	uint32_t nb_segs;  /* out */
	uint16_t ol_flags; /* AVP_DESC_* */
	uint16_t vlan_tci;
	uint8_t data[AVP_MAX_PKT_SIZE + 1024];
};

/** Connect and map the BARs. Returns 0 or -errno; the reason is printed. */
int sim_guest_connect(struct sim_guest *guest, const char *path);
/** Go away without a word, as a killed VM does. Safe to call twice. */
void sim_guest_disconnect(struct sim_guest *guest);

/** Open the ends of the control FIFOs anew, as after an attach. */
int sim_guest_open_ctrl(struct sim_guest *guest);

/** Have @request carried out. Returns its result, -ETIMEDOUT when there is no answer. */
int sim_guest_request(struct sim_guest *guest, struct avp_request *request);

/** Configure, up or not, and open the ends of all FIFOs anew. */
int sim_guest_configure(struct sim_guest *guest, uint32_t nb_tx, uint32_t nb_rx, uint32_t features,
		bool link_up);
int sim_guest_set_link(struct sim_guest *guest, bool up);
int sim_guest_shutdown(struct sim_guest *guest);
/** Connect and configure, with the same number of queues each way, up. */
int sim_guest_start(
		struct sim_guest *guest, const char *path, uint32_t nb_queues, uint32_t features);

/** What a "virtual" label names; NULL when it is outside BAR 2. */
void *sim_guest_ptr(const struct sim_guest *guest, uint64_t va);

/** Take an empty buffer from an alloc FIFO; false: there is none. */
bool sim_guest_alloc(struct sim_guest *guest, uint32_t lane, uint64_t *va);
/** Buffers that wait on an alloc FIFO. */
uint32_t sim_guest_nb_alloc(struct sim_guest *guest, uint32_t lane);
/** Put any number on the tx or the free FIFO; false: it is full. */
bool sim_guest_put_tx(struct sim_guest *guest, uint32_t lane, uint64_t va);
bool sim_guest_put_free(struct sim_guest *guest, uint32_t lane, uint64_t va);
/** Take the next label from an rx FIFO; false: it is empty. */
bool sim_guest_take_rx(struct sim_guest *guest, uint32_t lane, uint64_t *va);

/**
 * Fill buffers with a packet, but put nothing on the tx FIFO.
 *
 * @seg_size  bytes per segment; 0: as few segments as possible
 * Returns 0 with the head's label, or -ENOBUFS.
 */
int sim_guest_build(struct sim_guest *guest, uint32_t lane, const struct sim_pkt *pkt,
		uint32_t seg_size, uint64_t *va);
/** The same, and send it. Returns 0, -ENOBUFS, or -ENOSPC. */
int sim_guest_send(struct sim_guest *guest, uint32_t lane, const struct sim_pkt *pkt,
		uint32_t seg_size);

/** Copy the packet that @va is the head of. */
void sim_guest_read(const struct sim_guest *guest, uint64_t va, struct sim_pkt *pkt);
/** Receive a packet and return its buffers. Returns 0 or -EAGAIN. */
int sim_guest_recv(struct sim_guest *guest, uint32_t lane, struct sim_pkt *pkt);

/** The number of the buffer with that label, as entries have it. */
uint32_t sim_guest_buf_idx(const struct sim_guest *guest, uint64_t va);
uint64_t sim_guest_buf_va(const struct sim_guest *guest, uint32_t buf_idx);
/** Put entries on a tx ring, as one burst; false: it is full. */
bool sim_guest_put_entries(struct sim_guest *guest, uint32_t lane,
		const struct avp_cring_words *words, uint32_t nb);
/** Take the next entry from an rx ring; false: it is empty. */
bool sim_guest_take_entry(struct sim_guest *guest, uint32_t lane, struct avp_cring_words *words);

#endif /* TESTS_SIM_GUEST_H */
