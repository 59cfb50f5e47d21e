/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Attacks by way of control requests, registers, configuration space and interrupts: guest_evil.h.
 */

#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest_evil.h"
#include "vuser_client.h"

#define REGION_CONFIG 7u
#define IRQ_MSIX 2u
#define CONFIG_SIZE 256u

/*
 * Control requests
 */

static struct avp_request *
slot(const struct evil *evil)
{
	const struct avp_device_info *info = evil->guest.info;

	return (void *)(evil->guest.mem +
			(info->ctrl_slot_pa - evil->guest.memmap->maps[0].area_pa));
}

/* A request that is often right. */
static void
make_request(struct evil *evil, struct avp_request *request)
{
	memset(request, 0, sizeof(*request));
	request->req_id = evil_below(evil, 8) == 0 ? (uint32_t)evil_random(&evil->rnd)
						   : 1 + evil_below(evil, 4);
	switch (request->req_id) {
	case AVP_REQ_SET_MTU:
		request->arg.mtu = 60 + evil_below(evil, 1500);
		break;
	case AVP_REQ_SET_LINK:
		request->arg.link_up = (uint8_t)evil_below(evil, 3);
		break;
	case AVP_REQ_CONFIGURE:
		request->arg.config.device_id = evil->guest.info->device_id;
		request->arg.config.driver_type = AVP_DRIVER_DPDK;
		request->arg.config.features = evil_below(evil, 2);
		/* with the armed words in what is scribbled on */
		if (evil_below(evil, 2) == 0)
			request->arg.config.features |= evil->guest.info->features &
					(AVP_FEATURE_LINK_EVENTS | AVP_FEATURE_RX_INTR);
		request->arg.config.nb_tx_queues = (uint16_t)evil_below(evil, 4);
		request->arg.config.nb_rx_queues = (uint16_t)evil_below(evil, 4);
		request->arg.config.link_up = (uint8_t)evil_below(evil, 2);
		break;
	default:
		break;
	}
}

/* Put a label on the request FIFO if there is room, and throw answers away. */
static void
push_request(struct evil *evil, uint64_t label)
{
	struct avp_fifo_end *req = &evil->guest.req;
	struct avp_fifo_end *resp = &evil->guest.resp;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	const uint32_t avail = avp_fifo_avail(resp, resp->len, &fault);

	if (avail > 0)
		avp_fifo_get_done(resp, avail);
	if (avp_fifo_room(req, 1, &fault) == 0)
		return;
	avp_fifo_set(req, 0, label);
	avp_fifo_put_done(req, 1);
}

/* Requests without end, each as soon as there is room. */
static void
request_storm(struct evil *evil)
{
	for (int i = 0; i < 256; i++) {
		struct avp_request request;

		make_request(evil, &request);
		memcpy(slot(evil), &request, sizeof(request));
		push_request(evil, evil->guest.info->ctrl_slot_va);
	}
}

/* Nothing but what makes the host build all FIFOs anew. */
static void
configure_storm(struct evil *evil)
{
	for (int i = 0; i < 256; i++) {
		struct avp_request request = {.req_id = AVP_REQ_CONFIGURE};

		request.arg.config.device_id = evil->guest.info->device_id;
		request.arg.config.driver_type = AVP_DRIVER_DPDK;
		request.arg.config.nb_tx_queues = 1;
		request.arg.config.nb_rx_queues = 1;
		request.arg.config.link_up = 1;
		memcpy(slot(evil), &request, sizeof(request));
		push_request(evil, evil->guest.info->ctrl_slot_va);
	}
}

/* The slot changes while the request is carried out. */
static void *
request_race_racer(void *arg)
{
	struct evil *evil = arg;
	uint32_t *words = (void *)slot(evil);
	uint64_t rnd = evil->rnd ^ 0xc0de;

	for (;;) {
		const uint64_t r = evil_random(&rnd);
		const uint32_t values[] = {0, 1, 2, 3, 4, UINT32_MAX, 0x00010001, 0xffff0001,
				(uint32_t)(r >> 32)};

		evil_poke32(&words[(r >> 8) % 9], values[(r >> 16) % 9]);
	}
	return NULL;
}

static void
request_bad_label(struct evil *evil)
{
	push_request(evil,
			evil_below(evil, 2) ? evil_random(&evil->rnd)
					    : evil->guest.info->ctrl_slot_va + 4);
	evil_pause(1);
}

static void
request_fifo_damaged(struct evil *evil)
{
	struct avp_fifo *fifos[] = {evil->guest.req.fifo, evil->guest.resp.fifo};
	uint32_t *words = (void *)fifos[evil_below(evil, 2)];

	evil_poke32(&words[evil_below(evil, 4)], (uint32_t)evil_random(&evil->rnd) % 40);
	evil_pause(20);
}

/*
 * Registers, configuration space, interrupts
 */

static void
register_storm(struct evil *evil)
{
	struct vuser_client *client = evil->guest.client;

	for (int i = 0; i < 64; i++) {
		uint8_t data[64];
		const uint32_t size = 1 + evil_below(evil, sizeof(data));
		const uint32_t bar = evil_below(evil, 2) ? AVP_BAR_MMIO : AVP_BAR_MSIX;
		const uint32_t off = evil_below(evil, 32);

		memset(data, (int)evil_below(evil, 256), sizeof(data));
		if (evil_below(evil, 2))
			vuser_client_write(client, bar, off, data, size);
		else
			vuser_client_read(client, bar, off, data, size);
	}
}

static void
config_storm(struct evil *evil)
{
	struct vuser_client *client = evil->guest.client;

	for (int i = 0; i < 64; i++) {
		uint8_t data[16];
		const uint32_t off = evil_below(evil, CONFIG_SIZE - sizeof(data));

		memset(data, (int)evil_below(evil, 256), sizeof(data));
		vuser_client_write(client, REGION_CONFIG, off, data, 1 + evil_below(evil, 16));
		vuser_client_read(client, REGION_CONFIG, off, data, sizeof(data));
	}
}

/* Vectors that come and go; some of them are no eventfds, or full ones. */
static void
irq_storm(struct evil *evil)
{
	const uint64_t almost = UINT64_MAX - 1;
	int fds[AVP_NB_VECTORS];
	const uint32_t mask = evil_below(evil, 2) ? AVP_INTR_MASK_ALL : AVP_INTR_MASK_NONE;

	for (uint32_t i = 0; i < AVP_NB_VECTORS; i++) {
		fds[i] = eventfd(0, 0);
		if (fds[i] >= 0 && write(fds[i], &almost, sizeof(almost)) < 0)
			evil_pause(1);
	}
	if (evil_below(evil, 4) == 0) {
		close(fds[3]);
		fds[3] = dup(STDERR_FILENO);
	}
	vuser_client_set_irqs(evil->guest.client, IRQ_MSIX, 0, AVP_NB_VECTORS, fds);
	vuser_client_write(evil->guest.client, AVP_BAR_MMIO, AVP_REG_INTR_MASK, &mask, 4);
	for (uint32_t i = 0; i < AVP_NB_VECTORS; i++)
		close(fds[i]);
	if (evil_below(evil, 4) == 0)
		vuser_client_set_irqs(evil->guest.client, IRQ_MSIX, 0, 0, NULL);
}

static void
ack_storm(struct evil *evil)
{
	for (int i = 0; i < 64; i++) {
		const uint32_t ack = evil_below(evil, 5);
		uint32_t status;

		vuser_client_write(
				evil->guest.client, AVP_BAR_MMIO, AVP_REG_MIGRATION_ACK, &ack, 4);
		vuser_client_read(
				evil->guest.client, AVP_BAR_MMIO, AVP_REG_INTR_STATUS, &status, 4);
	}
}

static void
reset_storm(struct evil *evil)
{
	for (int i = 0; i < 16; i++)
		vuser_client_reset(evil->guest.client);
}

/* Come and go, with buffers in hand and packets under way. */
static void
reconnect_storm(struct evil *evil)
{
	evil_send(evil, 0, evil_below(evil, 40));
	sim_guest_disconnect(&evil->guest);
	if (evil_connect(evil) < 0)
		_exit(1);
}

/*
 * The switch: the header changes after the check
 */

#define HEADER_SIZE 18u
#define DATA_OFF 192u

/* What the port may send, and what it may not: as someone else, to another VLAN. */
struct headers {
	uint8_t good[HEADER_SIZE];
	uint8_t spoofed[HEADER_SIZE];
};

/* from an access port */
static const struct headers untagged = {
		{2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xe, 0x08, 0x00, 'e', 'v', 'i', 'l'},
		{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xc, 0x81, 0x00, 0x00, 0xc8, 0x08, 0x00},
};

/* from a trunk that has VLAN 100, not 200 */
static const struct headers tagged = {
		{2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xe, 0x81, 0x00, 0x00, 0x64, 0x08, 0x00},
		{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xc, 0x81, 0x00, 0x00, 0xc8, 0x08, 0x00},
};

static void
flip_header(const struct headers *headers, uint8_t *data, uint64_t r)
{
	const uint8_t *from = r & 1 ? headers->good : headers->spoofed;

	switch ((r >> 1) % 4) {
	case 0: /* the source */
		memcpy(data + 6, from + 6, 6);
		break;
	case 1: /* the tag */
		memcpy(data + 12, from + 12, 6);
		break;
	case 2: /* the destination */
		memcpy(data, from, 6);
		if ((r >> 8) % 4 == 0)
			memset(data, 0xff, 6);
		break;
	default:
		memcpy(data, headers->good, HEADER_SIZE);
		break;
	}
}

static void
race_headers(struct evil *evil, const struct headers *headers)
{
	uint64_t rnd = evil->rnd ^ 0xfade;

	for (;;) {
		const uint64_t r = evil_random(&rnd);
		const uint64_t va = evil->seen[(r >> 24) % evil->nb_seen];

		uint8_t *data = sim_guest_ptr(&evil->guest, va + DATA_OFF);

		/* the other thread may be about to write the label */
		if (data != NULL)
			flip_header(headers, data, r);
	}
}

static void *
header_race_racer(void *arg)
{
	race_headers(arg, &untagged);
	return NULL;
}

static void *
tag_race_racer(void *arg)
{
	race_headers(arg, &tagged);
	return NULL;
}

/* Short packets, long ones and chains: each leaves the switch in another way. */
static void
send_header(struct evil *evil, const struct headers *headers)
{
	static const uint32_t lens[] = {60, 250, 600, 1400};
	uint64_t vas[2];

	if (evil_below(evil, 4) == 0) {
		evil_chain(evil, 0, vas, 2);
	} else {
		vas[0] = evil_take(evil, 0);
		evil_fill(evil, vas[0], lens[evil_below(evil, 4)]);
	}
	memcpy(sim_guest_ptr(&evil->guest, vas[0] + DATA_OFF), headers->good, HEADER_SIZE);
	evil_put_tx(evil, 0, vas[0]);
}

static void
header_race(struct evil *evil)
{
	send_header(evil, &untagged);
}

static void
tag_race(struct evil *evil)
{
	send_header(evil, &tagged);
}

const struct evil_attack evil_ctrl_attacks[] = {
		{"request_storm", request_storm, NULL, 0},
		{"configure_storm", configure_storm, NULL, 0},
		{"request_race", request_storm, request_race_racer, 0},
		{"request_bad_label", request_bad_label, NULL, 0},
		{"request_fifo_damaged", request_fifo_damaged, NULL, 0},
		{"register_storm", register_storm, NULL, 0},
		{"config_storm", config_storm, NULL, 0},
		{"irq_storm", irq_storm, NULL, 0},
		{"ack_storm", ack_storm, NULL, 0},
		{"reset_storm", reset_storm, NULL, 0},
		{"reconnect_storm", reconnect_storm, NULL, 0},
		{"header_race", header_race, header_race_racer, 0},
		{"tag_race", tag_race, tag_race_racer, 0},
		{NULL, NULL, NULL, 0},
};
