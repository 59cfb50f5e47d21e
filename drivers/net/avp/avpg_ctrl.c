/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests: see avpg_ctrl.h for how an answer is told from a late one.
 *
 * Waiting polls without a pause at first, since a quick device answers in microseconds, then sleeps
 * ever longer between two looks. No lock is taken here, and no interrupt is needed.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rte_pause.h>

#include "avpg_ctrl.h"

#define SPIN_NS UINT64_C(50000)           /* first look again at once, for so long */
#define FIRST_SLEEP_NS UINT64_C(20000)    /* then with pauses, */
#define LONGEST_SLEEP_NS UINT64_C(500000) /* which double up to this */

#define NO_RESULT INT32_MIN /* in the slot until the device has written one */

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint32_t
answers_avail(struct avpg_ctrl *ctrl)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t nb = avp_fifo_avail(&ctrl->resp, 1, &fault);

	if (fault != AVP_FIFO_OK)
		count(&ctrl->stats.fifo_faults);
	return nb;
}

/* Take what is on the response FIFO, until nothing is owed. */
static void
collect(struct avpg_ctrl *ctrl)
{
	uint32_t nb = answers_avail(ctrl);
	uint32_t i;

	for (i = 0; i < nb && ctrl->owed > 0; i++) {
		if (avp_fifo_at(&ctrl->resp, i) == ctrl->slot_va)
			ctrl->owed--;
		else
			count(&ctrl->stats.bad);
	}
	if (i > 0)
		avp_fifo_get_done(&ctrl->resp, i);
}

/* Throw away answers that nobody is waiting for. What is there now: the host cannot keep us at it.
 */
static void
discard(struct avpg_ctrl *ctrl)
{
	uint32_t nb = answers_avail(ctrl);

	for (uint32_t i = 0; i < nb; i++)
		count(&ctrl->stats.bad);
	if (nb > 0)
		avp_fifo_get_done(&ctrl->resp, nb);
}

/* Wait until every request has been answered. */
static int
wait_answers(struct avpg_ctrl *ctrl, uint64_t limit_ns)
{
	uint64_t start_ns = now_ns();
	uint64_t pause_ns = FIRST_SLEEP_NS;

	for (;;) {
		uint64_t t_ns;

		collect(ctrl);
		if (ctrl->owed == 0)
			return 0;
		if (atomic_load_explicit(&ctrl->cancelled, memory_order_relaxed))
			return -ENODEV;
		t_ns = now_ns();
		if (t_ns >= limit_ns)
			return -ETIMEDOUT;
		if (t_ns - start_ns < SPIN_NS) {
			rte_pause();
			continue;
		}
		nanosleep(&(struct timespec){.tv_nsec = (long)pause_ns}, NULL);
		pause_ns *= 2;
		if (pause_ns > LONGEST_SLEEP_NS)
			pause_ns = LONGEST_SLEEP_NS;
	}
}

static int
put_request(struct avpg_ctrl *ctrl, const struct avp_request *req)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t room = avp_fifo_room(&ctrl->req, 1, &fault);

	if (fault != AVP_FIFO_OK)
		count(&ctrl->stats.fifo_faults);
	if (room == 0)
		return -ETIMEDOUT;
	*ctrl->slot = *req;
	ctrl->slot->result = NO_RESULT;
	avp_fifo_set(&ctrl->req, 0, ctrl->slot_va);
	/* the release in here publishes the slot as well */
	avp_fifo_put_done(&ctrl->req, 1);
	ctrl->owed++;
	count(&ctrl->stats.requests);
	return 0;
}

/* What the device has written; the acquire that showed us its answer orders this after it. */
static int
read_result(struct avpg_ctrl *ctrl, uint32_t req_id)
{
	uint32_t answered_id = AVPG_FETCH(&ctrl->slot->req_id);
	int32_t result = AVPG_FETCH(&ctrl->slot->result);

	if (answered_id != req_id || result > 0 || result < -4095) {
		count(&ctrl->stats.bad);
		return -EPROTO;
	}
	if (result < 0)
		count(&ctrl->stats.refused);
	return result;
}

static int
request(struct avpg_ctrl *ctrl, const struct avp_request *req)
{
	uint64_t limit_ns = now_ns() + AVPG_CTRL_TIME_LIMIT_MS * UINT64_C(1000000);
	uint32_t late = ctrl->owed;
	int ret;

	if (atomic_load_explicit(&ctrl->cancelled, memory_order_relaxed))
		return -ENODEV;
	ret = wait_answers(ctrl, limit_ns);
	if (ret != 0)
		goto err_count;
	if (late > 0)
		count(&ctrl->stats.late);
	discard(ctrl);
	ret = put_request(ctrl, req);
	if (ret != 0)
		goto err_count;
	ret = wait_answers(ctrl, limit_ns);
	if (ret != 0)
		goto err_count;
	return read_result(ctrl, req->req_id);

err_count:
	if (ret == -ETIMEDOUT)
		count(&ctrl->stats.timeouts);
	return ret;
}

int
avpg_ctrl_open(struct avpg_ctrl *ctrl, const struct avpg_info *info)
{
	struct avp_fifo_end req, resp;
	int ret;

	ret = avp_fifo_end_open(&req, info->req.fifo[0], true, info->req.max_len);
	if (ret != 0)
		return ret;
	ret = avp_fifo_end_open(&resp, info->resp.fifo[0], false, info->resp.max_len);
	if (ret != 0)
		return ret;
	ctrl->req = req;
	ctrl->resp = resp;
	ctrl->slot = info->ctrl_slot;
	ctrl->slot_va = info->ctrl_slot_va;
	/* what a driver before us has put there and the device has not taken yet */
	ctrl->owed = (req.own - req.peer) & (req.len - 1);
	avp_fifo_get_done(&ctrl->resp, (resp.peer - resp.own) & (resp.len - 1));
	return 0;
}

int
avpg_ctrl_set_mtu(struct avpg_ctrl *ctrl, uint32_t mtu)
{
	struct avp_request req = {.req_id = AVP_REQ_SET_MTU, .arg.mtu = mtu};

	return request(ctrl, &req);
}

int
avpg_ctrl_set_link(struct avpg_ctrl *ctrl, bool up)
{
	struct avp_request req = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = up};

	return request(ctrl, &req);
}

int
avpg_ctrl_configure(struct avpg_ctrl *ctrl, const struct avp_config *config)
{
	struct avp_request req = {.req_id = AVP_REQ_CONFIGURE, .arg.config = *config};

	return request(ctrl, &req);
}

int
avpg_ctrl_shutdown(struct avpg_ctrl *ctrl)
{
	struct avp_request req = {.req_id = AVP_REQ_SHUTDOWN};

	return request(ctrl, &req);
}
