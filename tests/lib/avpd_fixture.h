/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * For tests of a whole device: the device on a socket, its loop in a thread; a guest that finds its
 * way through the BARs as a driver does; and the datapath's end of the channel. Whatever goes wrong
 * in here ends the test.
 */

#ifndef TESTS_AVPD_FIXTURE_H
#define TESTS_AVPD_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_fifo.h>

#include "avpd_device.h"
#include "vuser_client.h"

/* How long anything may take, generous for sanitizers and busy machines. */
#define AVPD_FIXTURE_WAIT_MS 10000

struct avpd_fixture {
	struct avpd_conf conf; /* may be changed before avpd_fixture_start() */
	uint32_t nb_queues;
	uint32_t ring_len;
	uint32_t nb_bufs;

	struct avp_loop *loop;
	struct avpd_mem *mem;
	struct avpd_layout layout;
	struct avpd_device *dev;
	struct avpd_view view; /* chan_fd -1 until avpd_fixture_open_view() */
	char dir[64];
	char path[96];
	uint32_t serial; /* of the last detach or attach sent */
	int fds_before;  /* open descriptors at avpd_fixture_init() */
};

/** Fill in @f: 2 queues of 64, VLAN offered, packets of up to 9238 bytes. */
void avpd_fixture_init(struct avpd_fixture *f);
void avpd_fixture_start(struct avpd_fixture *f);
void avpd_fixture_stop(struct avpd_fixture *f);

/** Open the datapath's view, and take the message that says how things are. */
void avpd_fixture_open_view(struct avpd_fixture *f);
void avpd_fixture_close_view(struct avpd_fixture *f);

/** The next message from the device; false when none comes in @timeout_ms. */
bool avpd_fixture_receive(struct avpd_fixture *f, struct avpd_msg *msg, int timeout_ms);

/** The next message, which must be an AVPD_MSG_GUEST, or an AVPD_MSG_MIGRATED. */
struct avpd_msg avpd_fixture_expect_guest(struct avpd_fixture *f);
struct avpd_msg avpd_fixture_expect_migrated(struct avpd_fixture *f);

void avpd_fixture_send(struct avpd_fixture *f, uint32_t type, uint32_t epoch, uint32_t timeout_ms);

/** Tell the device of the datapath's end. */
void avpd_fixture_send_host(struct avpd_fixture *f, bool link_up, uint32_t mtu);

/** Take what the device sends until @epoch of it is the last, answering all. */
void avpd_fixture_answer_all(struct avpd_fixture *f);

/** Open descriptors of this process. */
int avpd_fixture_count_fds(void);

/** Wait until there are @n open descriptors: the server closes in a thread of its own what its
 * clients sent. Returns the number there are in the end. */
int avpd_fixture_wait_fds(int n);

/** A guest, with what its driver finds in the BARs. */
struct fake_guest {
	struct vuser_client *client;
	uint8_t *mem;
	uint64_t mem_size;
	struct avp_memmap *memmap;
	uint64_t memmap_size;
	struct avp_device_info *info;
	uint64_t info_size;
	struct avp_request *slot;
	struct avp_fifo_end req;
	struct avp_fifo_end resp;
	int event_fd; /* on vector 0 */
};

/** Connect, map, set vector 0, and find the control FIFOs. */
void fake_guest_connect(struct fake_guest *g, const struct avpd_fixture *f);
void fake_guest_disconnect(struct fake_guest *g);

/** Where @pa is mapped, found through the memory map. */
void *fake_guest_translate(const struct fake_guest *g, uint64_t pa);

/** Take up the control FIFOs anew, as after an attach. */
void fake_guest_find_ctrl(struct fake_guest *g);

/** Write a request; and wait for its answer, or see that there is none in @timeout_ms. */
void fake_guest_ask(struct fake_guest *g, const struct avp_request *request);
bool fake_guest_answered(struct fake_guest *g, int32_t *result, int timeout_ms);

/** Both. Returns the result. */
int32_t fake_guest_request(struct fake_guest *g, const struct avp_request *request);

/** A configuration that the device takes. */
struct avp_request fake_guest_configuration(const struct fake_guest *g, bool link_up);

uint32_t fake_guest_read_reg(struct fake_guest *g, uint32_t reg);
void fake_guest_write_reg(struct fake_guest *g, uint32_t reg, uint32_t value);

/** Wait for vector 0; false when it does not come in @timeout_ms. */
bool fake_guest_interrupted(struct fake_guest *g, int timeout_ms);

#endif /* TESTS_AVPD_FIXTURE_H */
