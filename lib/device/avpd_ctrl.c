/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests, one function each; see avpd_ctrl.h.
 */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "avpd_ctrl.h"

#define SLOT_WORDS (sizeof(struct avp_request) / sizeof(uint32_t))
AVP_ASSERT(sizeof(struct avp_request) % sizeof(uint32_t) == 0);
#define RESULT_WORD (offsetof(struct avp_request, result) / sizeof(uint32_t))

/* Whether a request was carried out, changed something, or why not. */
struct verdict {
	int32_t result; /* 0 or -errno */
	bool changed;
	bool reset;
};

static const struct verdict done = {0, false, false};

static struct verdict
refuse(int32_t result)
{
	return (struct verdict){result, false, false};
}

/* Read the slot, once: relaxed, since the FIFO's acquire has ordered it. */
static void
slot_copy(struct avp_request *request, struct avp_request *slot)
{
	_Atomic uint32_t *from = (_Atomic uint32_t *)slot;
	uint32_t words[SLOT_WORDS];

	for (size_t i = 0; i < SLOT_WORDS; i++)
		words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	memcpy(request, words, sizeof(*request));
}

static void
slot_write(struct avp_request *slot, size_t word, uint32_t value)
{
	_Atomic uint32_t *to = (_Atomic uint32_t *)slot;

	atomic_store_explicit(&to[word], value, memory_order_relaxed);
}

void
avpd_ctrl_init(struct avpd_ctrl *ctrl, const struct avpd_ctrl_place *place,
		const struct avpd_ctrl_limits *limits)
{
	memset(ctrl, 0, sizeof(*ctrl));
	ctrl->limits = *limits;
	ctrl->slot = place->slot;
	ctrl->slot_va = place->slot_va;
	ctrl->req.fifo = place->req_fifo;
	ctrl->resp.fifo = place->resp_fifo;
	ctrl->tokens = AVPD_CTRL_BURST;
	avpd_ctrl_format(ctrl);
}

void
avpd_ctrl_format(struct avpd_ctrl *ctrl)
{
	for (size_t i = 0; i < SLOT_WORDS; i++)
		slot_write(ctrl->slot, i, 0);
	avp_fifo_format(ctrl->req.fifo, AVPD_CTRL_FIFO_LEN);
	avp_fifo_format(ctrl->resp.fifo, AVPD_CTRL_FIFO_LEN);
	avp_fifo_end_init(&ctrl->req, ctrl->req.fifo, AVPD_CTRL_FIFO_LEN);
	avp_fifo_end_init(&ctrl->resp, ctrl->resp.fifo, AVPD_CTRL_FIFO_LEN);
	ctrl->waiting = false;
	ctrl->fault = AVP_FIFO_OK;
}

void
avpd_ctrl_tick(struct avpd_ctrl *ctrl)
{
	if (ctrl->tokens == AVPD_CTRL_BURST)
		return;
	if (++ctrl->polls < AVPD_CTRL_REFILL)
		return;
	ctrl->polls = 0;
	ctrl->tokens++;
}

static struct verdict
set_mtu(const struct avpd_ctrl *ctrl, const struct avp_request *request, struct avpd_guest *guest)
{
	const uint32_t mtu = request->arg.mtu;
	const bool told = (guest->features & AVP_FEATURE_LINK_EVENTS) != 0;

	if (mtu < AVPD_CTRL_MIN_MTU || mtu > ctrl->limits.max_rx_size - AVP_MIN_PKT_SIZE)
		return refuse(-EINVAL);
	if (told && ctrl->limits.host_mtu != 0 && mtu > ctrl->limits.host_mtu)
		return refuse(-EINVAL);
	if (mtu == guest->mtu)
		return done;
	guest->mtu = mtu;
	return (struct verdict){0, true, false};
}

static struct verdict
set_link(const struct avp_request *request, struct avpd_guest *guest, bool detached)
{
	const uint8_t link_up = request->arg.link_up;

	if (link_up > 1)
		return refuse(-EINVAL);
	if (link_up && detached)
		return refuse(-EBUSY);
	if (link_up && !guest->configured)
		return refuse(-EINVAL);
	if (link_up == guest->link_up)
		return done;
	guest->link_up = link_up;
	return (struct verdict){0, true, false};
}

static int32_t
config_check(const struct avpd_ctrl_limits *limits, const struct avp_config *config)
{
	if (config->device_id != limits->device_id)
		return -ESTALE;
	if ((config->features & ~limits->features) != 0)
		return -ENOTSUP;
	if (config->nb_rx_queues == 0 || config->nb_rx_queues > limits->nb_queues)
		return -EINVAL;
	if (config->nb_tx_queues > limits->nb_queues || config->link_up > 1)
		return -EINVAL;
	return 0;
}

static struct verdict
configure(const struct avpd_ctrl *ctrl, const struct avp_request *request, struct avpd_guest *guest,
		bool detached)
{
	const struct avp_config *config = &request->arg.config;
	const int32_t result = config_check(&ctrl->limits, config);

	if (result < 0)
		return refuse(result);
	if (detached)
		return refuse(-EBUSY);
	guest->configured = 1;
	guest->link_up = config->link_up;
	/* a program that only receives has no tx queue; one FIFO is there in any case */
	guest->nb_tx_queues = config->nb_tx_queues == 0 ? 1 : (uint8_t)config->nb_tx_queues;
	guest->nb_rx_queues = (uint8_t)config->nb_rx_queues;
	guest->features = config->features;
	guest->driver_type = config->driver_type;
	guest->driver_version = config->driver_version;
	return (struct verdict){0, true, true};
}

static struct verdict
shut_down(struct avpd_guest *guest)
{
	if (!guest->configured)
		return done;
	guest->configured = 0;
	guest->link_up = 0;
	guest->nb_tx_queues = 0;
	guest->nb_rx_queues = 0;
	guest->features = 0;
	return (struct verdict){0, true, true};
}

static struct verdict
decide(const struct avpd_ctrl *ctrl, const struct avp_request *request, struct avpd_guest *guest,
		bool detached)
{
	switch (request->req_id) {
	case AVP_REQ_SET_MTU:
		return set_mtu(ctrl, request, guest);
	case AVP_REQ_SET_LINK:
		return set_link(request, guest, detached);
	case AVP_REQ_CONFIGURE:
		return configure(ctrl, request, guest, detached);
	case AVP_REQ_SHUTDOWN:
		return shut_down(guest);
	default:
		return refuse(-EOPNOTSUPP);
	}
}

/* Note what is wrong with the guest's side of a FIFO, once for as long as it stays wrong. An
 * overwritten length has been put right, so each time is a new one. */
static void
note_fault(struct avpd_ctrl *ctrl, enum avp_fifo_fault fault)
{
	if (fault != AVP_FIFO_OK && (fault != ctrl->fault || fault == AVP_FIFO_BAD_LEN))
		ctrl->nb_faults++;
	ctrl->fault = fault;
}

/* Take the next entry of the request FIFO. */
static bool
take_label(struct avpd_ctrl *ctrl, uint64_t *label)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	const uint32_t avail = avp_fifo_avail(&ctrl->req, 1, &fault);

	note_fault(ctrl, fault);
	if (avail == 0)
		return false;
	*label = avp_fifo_at(&ctrl->req, 0);
	avp_fifo_get_done(&ctrl->req, 1);
	return true;
}

enum avpd_ctrl_result
avpd_ctrl_take(struct avpd_ctrl *ctrl, struct avpd_guest *guest, bool detached)
{
	struct avp_request request;
	struct verdict verdict;
	uint64_t label;

	if (ctrl->waiting || ctrl->tokens == 0 || !take_label(ctrl, &label))
		return AVPD_CTRL_NONE;
	if (label != ctrl->slot_va)
		return AVPD_CTRL_BAD;
	slot_copy(&request, ctrl->slot);
	verdict = decide(ctrl, &request, guest, detached);
	ctrl->req_id = request.req_id;
	ctrl->waiting = true;
	if (verdict.changed) {
		ctrl->tokens--;
		return verdict.reset ? AVPD_CTRL_RESET : AVPD_CTRL_CHANGED;
	}
	avpd_ctrl_answer(ctrl, verdict.result);
	return verdict.result == 0 ? AVPD_CTRL_DONE : AVPD_CTRL_REFUSED;
}

void
avpd_ctrl_answer(struct avpd_ctrl *ctrl, int32_t result)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	ctrl->waiting = false;
	slot_write(ctrl->slot, RESULT_WORD, (uint32_t)result);
	/* A guest that does not take its answers, or says so, loses them. */
	if (avp_fifo_room(&ctrl->resp, 1, &fault) > 0) {
		avp_fifo_set(&ctrl->resp, 0, ctrl->slot_va);
		avp_fifo_put_done(&ctrl->resp, 1);
	}
	if (fault != AVP_FIFO_OK)
		ctrl->nb_faults++;
}
