/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What a guest reaches of the device besides packets, with any input at all, against a model:
 * control slot and FIFOs (avpd_ctrl.c), registers (avpd_regs.c), configuration space (avpd_pci.c),
 * MSI-X table (avpd_irq.c), acknowledge (avpd_migrate.c). An input is a sequence of operations.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "avpd_ctrl.h"
#include "avpd_irq.h"
#include "avpd_migrate.h"
#include "avpd_pci.h"
#include "avpd_regs.h"
#include "fuzz_input.h"

#define SLOT_VA UINT64_C(0x400000000000)
#define DEVICE_ID UINT64_C(42)
#define NB_QUEUES 4u
#define MAX_RX_SIZE 1518u
#define MEM_SIZE (UINT64_C(4) << 20)

/* Control slot and FIFOs in one piece with something around them that must not change. */
#define GUARD 0xb7u
#define REQ_OFF 128u
#define RESP_OFF 384u
#define AREA_SIZE 640u
#define FIFO_SIZE (16u + 8u * AVPD_CTRL_FIFO_LEN)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct avpd_ctrl ctrl;
	struct avpd_guest guest;
	struct avpd_regs regs;
	struct avpd_pci pci;
	struct avpd_irq irq;
	struct avpd_migrate migrate;
	uint8_t *area;
	/* the model */
	uint32_t intr_mask;
	uint32_t intr_status;
	uint32_t ack;
	uint8_t config[AVPD_PCI_CONFIG_SIZE];
};

static void
compare_u64(const char *what, uint64_t is, uint64_t expected)
{
	if (is == expected)
		return;
	fprintf(stderr, "%s: 0x%llx, the model says 0x%llx\n", what, (unsigned long long)is,
			(unsigned long long)expected);
	abort();
}

static void
require(const char *what, bool holds)
{
	compare_u64(what, holds, true);
}

/*
 * Control requests
 */

struct expected {
	int32_t result;
	bool changes; /* and if not, the request is answered at once */
	bool resets;
};

/* What the contract says of a configuration. */
static struct expected
model_configure(const struct world *w, const struct avp_config *config)
{
	if (config->device_id != DEVICE_ID)
		return (struct expected){-ESTALE, false, false};
	if ((config->features | AVP_FEATURE_VLAN) != AVP_FEATURE_VLAN)
		return (struct expected){-ENOTSUP, false, false};
	if (config->nb_rx_queues < 1 || config->nb_rx_queues > NB_QUEUES ||
			config->nb_tx_queues > NB_QUEUES || config->link_up > 1)
		return (struct expected){-EINVAL, false, false};
	if (w->migrate.phase == AVPD_MIGRATE_DETACHED)
		return (struct expected){-EBUSY, false, false};
	return (struct expected){0, true, true};
}

static struct expected
model_link(const struct world *w, uint8_t link_up)
{
	if (link_up > 1)
		return (struct expected){-EINVAL, false, false};
	if (link_up == 1 && w->migrate.phase == AVPD_MIGRATE_DETACHED)
		return (struct expected){-EBUSY, false, false};
	if (link_up == 1 && w->guest.configured == 0)
		return (struct expected){-EINVAL, false, false};
	return (struct expected){0, w->guest.link_up != link_up, false};
}

static struct expected
model_request(const struct world *w, const struct avp_request *request)
{
	switch (request->req_id) {
	case AVP_REQ_CONFIGURE:
		return model_configure(w, &request->arg.config);
	case AVP_REQ_SET_LINK:
		return model_link(w, request->arg.link_up);
	case AVP_REQ_SHUTDOWN:
		return (struct expected){0, w->guest.configured, w->guest.configured};
	case AVP_REQ_SET_MTU:
		if (request->arg.mtu < 68 || request->arg.mtu > MAX_RX_SIZE - 14)
			return (struct expected){-EINVAL, false, false};
		return (struct expected){0, w->guest.mtu != request->arg.mtu, false};
	default:
		return (struct expected){-EOPNOTSUPP, false, false};
	}
}

/* What must hold of the guest's state whatever it asked for. */
static void
check_guest(const struct world *w)
{
	const struct avpd_guest *g = &w->guest;

	require("queues within the limit",
			g->nb_tx_queues <= NB_QUEUES && g->nb_rx_queues <= NB_QUEUES);
	require("queues if and only if configured",
			(g->nb_tx_queues > 0) == g->configured &&
					(g->nb_rx_queues > 0) == g->configured);
	require("features were offered", (g->features & ~AVP_FEATURE_VLAN) == 0);
	require("link up only if configured", g->link_up <= g->configured);
	require("mtu fits", g->mtu <= MAX_RX_SIZE - 14);
	require("request index", w->ctrl.req.own < AVPD_CTRL_FIFO_LEN);
	require("response index", w->ctrl.resp.own < AVPD_CTRL_FIFO_LEN);
	require("tokens", w->ctrl.tokens <= AVPD_CTRL_BURST);
}

static void
op_take(struct world *w)
{
	const bool waiting = w->ctrl.waiting;
	const uint32_t tokens = w->ctrl.tokens;
	const uint32_t own = w->ctrl.req.own;
	const uint32_t resp = w->ctrl.resp.own;
	const struct avpd_guest before = w->guest;
	struct avp_request request;
	struct expected expected;
	enum avpd_ctrl_result result;

	memcpy(&request, w->area, sizeof(request));
	expected = model_request(w, &request);
	result = avpd_ctrl_take(&w->ctrl, &w->guest, avpd_migrate_detached(&w->migrate));
	check_guest(w);
	if (result == AVPD_CTRL_NONE || result == AVPD_CTRL_BAD)
		require("no change without a request",
				memcmp(&before, &w->guest, sizeof(before)) == 0);
	if (result == AVPD_CTRL_NONE) {
		compare_u64("nothing taken", w->ctrl.req.own, own);
		return;
	}
	require("nothing taken while one waits", !waiting);
	require("nothing taken without tokens", tokens > 0);
	compare_u64("one entry taken", w->ctrl.req.own, (own + 1) % AVPD_CTRL_FIFO_LEN);
	if (result == AVPD_CTRL_BAD)
		return;
	compare_u64("result of take", result,
			expected.changes ? expected.resets ? AVPD_CTRL_RESET : AVPD_CTRL_CHANGED
					: expected.result ? AVPD_CTRL_REFUSED
							  : AVPD_CTRL_DONE);
	compare_u64("waits", w->ctrl.waiting, expected.changes);
	if (expected.changes) {
		compare_u64("not answered yet", w->ctrl.resp.own, resp);
		return;
	}
	memcpy(&request, w->area, sizeof(request));
	compare_u64("result in the slot", (uint32_t)request.result, (uint32_t)expected.result);
	require("refused without a change", memcmp(&before, &w->guest, sizeof(before)) == 0);
}

/* A request that is likely to be good. */
static void
op_write_request(struct world *w, struct fuzz_input *in)
{
	struct avp_request request;

	memset(&request, 0, sizeof(request));
	request.req_id = fuzz_u8(in) % 6;
	if (request.req_id == AVP_REQ_CONFIGURE) {
		request.arg.config = (struct avp_config){
				.device_id = fuzz_u8(in) % 8 == 0 ? fuzz_u64(in) : DEVICE_ID,
				.features = fuzz_u8(in) % 8 == 0 ? fuzz_u32(in) : fuzz_u8(in) % 2,
				.nb_tx_queues = fuzz_u8(in) % 8 == 0 ? fuzz_u16(in)
								     : fuzz_u8(in) % 6,
				.nb_rx_queues = fuzz_u8(in) % 8 == 0 ? fuzz_u16(in)
								     : fuzz_u8(in) % 6,
				.link_up = fuzz_u8(in) % 3,
		};
	} else if (request.req_id == AVP_REQ_SET_LINK) {
		request.arg.link_up = fuzz_u8(in) % 3;
	} else {
		request.arg.mtu = fuzz_u16(in);
	}
	memcpy(w->area, &request, sizeof(request));
}

/* Put an entry on the request FIFO as an honest driver does. */
static void
op_put_label(struct world *w, uint64_t label)
{
	struct avp_fifo *fifo = (struct avp_fifo *)(w->area + REQ_OFF);
	const uint32_t at = fifo->write % AVPD_CTRL_FIFO_LEN;

	fifo->entries[at] = label;
	fifo->write = (at + 1) % AVPD_CTRL_FIFO_LEN;
}

/* Write anything anywhere that a guest may write. */
static void
op_scribble(struct world *w, struct fuzz_input *in)
{
	static const struct {
		uint32_t off, size;
	} areas[] = {{0, sizeof(struct avp_request)}, {REQ_OFF, FIFO_SIZE}, {RESP_OFF, FIFO_SIZE},
			{REQ_OFF, 16}, {RESP_OFF, 16}};
	const uint32_t which = fuzz_u8(in) % 5;
	const uint32_t off = fuzz_u8(in) % areas[which].size;
	const uint32_t left = areas[which].size - off;
	const uint32_t want = 1 + fuzz_u8(in) % 8;

	for (uint32_t i = 0; i < (want < left ? want : left); i++)
		w->area[areas[which].off + off + i] = fuzz_u8(in);
}

static void
check_guards(const struct world *w)
{
	for (uint32_t i = 0; i < AREA_SIZE; i++) {
		const bool used = i < sizeof(struct avp_request) || i - REQ_OFF < FIFO_SIZE ||
				i - RESP_OFF < FIFO_SIZE;

		if (!used)
			compare_u64("byte beside slot and FIFOs", w->area[i], GUARD);
	}
}

/*
 * Registers, configuration space, MSI-X table
 */

static void
op_regs_read(struct world *w, uint32_t off, uint32_t size)
{
	const uint32_t model[4] = {w->intr_mask, w->intr_status, w->migrate.status, 0};
	uint8_t bytes[16];

	w->regs.migration_status = w->migrate.status;
	avpd_regs_read(&w->regs, off, bytes, size);
	for (uint32_t i = 0; i < size; i++) {
		const uint32_t at = off + i;

		compare_u64("register byte", bytes[i],
				at < 16 ? model[at / 4] >> at % 4 * 8 & 0xff : 0);
		if (at / 4 == 1)
			w->intr_status = 0;
	}
	compare_u64("interrupt status", w->regs.intr_status, w->intr_status);
}

static void
op_regs_write(struct world *w, struct fuzz_input *in, uint32_t off, uint32_t size)
{
	uint8_t bytes[16];
	uint32_t expected = 0;
	uint32_t written;
	int32_t result;

	for (uint32_t i = 0; i < size; i++) {
		const uint32_t at = off + i;
		const uint32_t shift = at % 4 * 8;

		bytes[i] = fuzz_u8(in);
		if (at / 4 == 0) {
			w->intr_mask = (w->intr_mask & ~(0xffu << shift)) |
					(uint32_t)bytes[i] << shift;
			expected |= AVPD_REGS_MASK_WRITTEN;
		} else if (at / 4 == 3) {
			w->ack = (w->ack & ~(0xffu << shift)) | (uint32_t)bytes[i] << shift;
			expected |= AVPD_REGS_ACK_WRITTEN;
		}
	}
	written = avpd_regs_write(&w->regs, off, bytes, size);
	compare_u64("what was written", written, expected);
	compare_u64("mask", w->regs.intr_mask, w->intr_mask);
	compare_u64("acknowledge", w->regs.migration_ack, w->ack);
	if ((written & AVPD_REGS_ACK_WRITTEN) != 0 &&
			avpd_migrate_ack(&w->migrate, w->regs.migration_ack, &result))
		require("result of an acknowledge", result == 0 || result == -EIO);
}

/* Bits that a client may change, said once more. */
static uint8_t
model_writable(uint32_t off)
{
	static const uint8_t bar2[8] = {0, 0, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff};

	switch (off) {
	case 0x04:
		return 0x46;
	case 0x05:
		return 0x05;
	case 0x0c:
	case 0x0d:
	case 0x3c:
		return 0xff;
	case 0x43:
		return 0xc0;
	default:
		break;
	}
	if (off >= 0x18 && off < 0x20)
		return bar2[off - 0x18];
	if (off < 0x10 || off >= 0x28)
		return 0;
	if (off >= 0x20 && off < 0x24) /* BAR 4: 64 KiB */
		return off % 4 < 2 ? 0 : 0xff;
	return off % 4 == 0 ? 0 : off % 4 == 1 ? 0xf0 : 0xff;
}

static void
op_config(struct world *w, struct fuzz_input *in)
{
	const uint32_t off = fuzz_u8(in) % 0x60;
	const uint32_t size = 1 + fuzz_u8(in) % 8;
	uint8_t bytes[8];

	for (uint32_t i = 0; i < size; i++) {
		const uint8_t may = model_writable(off + i);

		bytes[i] = fuzz_u8(in);
		w->config[off + i] = (uint8_t)((w->config[off + i] & ~may) | (bytes[i] & may));
	}
	avpd_pci_write(&w->pci, off, bytes, size);
	avpd_pci_read(&w->pci, off, bytes, size);
	for (uint32_t i = 0; i < size; i++)
		compare_u64("byte of config space", bytes[i], w->config[off + i]);
}

static void
op_msix(struct world *w, struct fuzz_input *in)
{
	const uint32_t off = fuzz_u16(in) % (AVPD_BAR_MSIX_SIZE - 16);
	uint8_t bytes[16];
	uint8_t back[16];

	for (uint32_t i = 0; i < 16; i++)
		bytes[i] = fuzz_u8(in);
	avpd_irq_bar_write(&w->irq, off, bytes, 16);
	avpd_irq_bar_read(&w->irq, off, back, 16);
	for (uint32_t i = 0; i < 16; i++)
		compare_u64("byte of the MSI-X table", back[i],
				off + i < AVPD_MSIX_TABLE_SIZE ? bytes[i] : 0);
}

/* What the datapath and time do. */
static void
op_migrate(struct world *w, struct fuzz_input *in)
{
	int32_t result = 1;

	switch (fuzz_u8(in) % 4) {
	case 0:
		if (avpd_migrate_detach(&w->migrate) == 0)
			w->regs.intr_status = w->intr_status = AVP_INTR_MIGRATION;
		break;
	case 1:
		if (avpd_migrate_attach(&w->migrate) == 0)
			w->regs.intr_status = w->intr_status = AVP_INTR_MIGRATION;
		break;
	case 2:
		if (avpd_migrate_expired(&w->migrate, &result))
			compare_u64("result of a time-out", (uint32_t)result, (uint32_t)-ETIMEDOUT);
		break;
	default:
		if (avpd_migrate_guest_gone(&w->migrate, &result))
			require("result of a loss", result == 0 || result == -ENOTCONN);
		break;
	}
	require("detached or not",
			!avpd_migrate_detached(&w->migrate) ||
					w->migrate.status == AVP_MIGRATION_DETACHED);
}

static void
operate(struct world *w, struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in) % 16;

	switch (op) {
	case 0:
	case 1:
		op_write_request(w, in);
		op_put_label(w, SLOT_VA);
		break;
	case 2:
		op_put_label(w, fuzz_u8(in) % 2 == 0 ? SLOT_VA : fuzz_u64(in));
		break;
	case 3:
	case 4:
		op_scribble(w, in);
		break;
	case 5:
		avpd_ctrl_tick(&w->ctrl);
		break;
	case 6:
		if (w->ctrl.waiting)
			avpd_ctrl_answer(&w->ctrl, fuzz_u8(in) % 2 == 0 ? 0 : -ETIMEDOUT);
		break;
	case 7:
		avpd_ctrl_format(&w->ctrl);
		break;
	case 8:
		op_regs_read(w, fuzz_u8(in) % 24, 1 + fuzz_u8(in) % 16);
		break;
	case 9:
		op_regs_write(w, in, fuzz_u8(in) % 24, 1 + fuzz_u8(in) % 16);
		break;
	case 10:
		op_config(w, in);
		break;
	case 11:
		op_msix(w, in);
		break;
	case 12:
		op_migrate(w, in);
		break;
	default:
		op_take(w);
		break;
	}
	check_guards(w);
}

static void
world_init(struct world *w)
{
	const struct avpd_ctrl_limits limits = {
			.device_id = DEVICE_ID,
			.features = AVP_FEATURE_VLAN,
			.nb_queues = NB_QUEUES,
			.max_rx_size = MAX_RX_SIZE,
	};
	struct avpd_ctrl_place place = {.slot_va = SLOT_VA};

	memset(w, 0, sizeof(*w));
	w->area = aligned_alloc(64, AREA_SIZE);
	if (w->area == NULL)
		abort();
	memset(w->area, GUARD, AREA_SIZE);
	place.slot = (struct avp_request *)w->area;
	place.req_fifo = (struct avp_fifo *)(w->area + REQ_OFF);
	place.resp_fifo = (struct avp_fifo *)(w->area + RESP_OFF);
	avpd_ctrl_init(&w->ctrl, &place, &limits);
	avpd_regs_init(&w->regs);
	avpd_pci_init(&w->pci, MEM_SIZE);
	avpd_irq_init(&w->irq);
	avpd_migrate_init(&w->migrate);
	w->intr_mask = AVP_INTR_MASK_ALL;
	avpd_pci_read(&w->pci, 0, w->config, sizeof(w->config));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size, 0};
	struct world w;

	world_init(&w);
	while (!fuzz_ended(&in))
		operate(&w, &in);
	avpd_irq_fini(&w.irq);
	free(w.area);
	return 0;
}
