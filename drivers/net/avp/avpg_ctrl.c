/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests: see avpg_ctrl.h for how an answer is told from a late one.
 *
 * Waiting looks without a pause at first, then lets other threads of the CPU run between two looks,
 * and only then sleeps, for a part of the time that it has waited: an answer is noticed within
 * microseconds where the device is quick, and a slow one costs no CPU. No lock is taken here, and
 * no interrupt is needed.
 */

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include <rte_pause.h>

#include "avpg_ctrl.h"

#define NS_PER_MS UINT64_C(1000000)
#define SPIN_NS UINT64_C(20000)    /* first look again at once, for so long */
#define YIELD_NS UINT64_C(2000000) /* then when others have run: the device may need this CPU */
#define SLEEP_PART 16u             /* then after a sleep of this part of the time waited, */
#define LONGEST_SLEEP_NS NS_PER_MS /* up to this */
#define CHECK_NS (10 * NS_PER_MS)  /* how often to ask the bus whether the device is there */
/** After so long an owed answer gets no more time of its own: see settle(). */
#define PATIENCE_NS (AVPG_CTRL_TIME_LIMIT_MS / 2 * NS_PER_MS)
/** A device that has taken a request that changes nothing answers it within this. */
#define QUIET_NS (100 * NS_PER_MS)
#define DEFAULT_MTU 1500u

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

/* Requests that the device has not taken yet. */
static uint32_t
untaken(struct avpg_ctrl *ctrl)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t room = avp_fifo_room(&ctrl->req, ctrl->req.len, &fault);

	if (fault != AVP_FIFO_OK)
		count(&ctrl->stats.fifo_faults);
	return ctrl->req.len - 1 - room;
}

/* Between two looks. */
static void
pause_after(uint64_t waited_ns)
{
	uint64_t pause_ns = waited_ns / SLEEP_PART;

	if (waited_ns < SPIN_NS) {
		rte_pause();
		return;
	}
	if (waited_ns < YIELD_NS) {
		sched_yield();
		return;
	}
	if (pause_ns > LONGEST_SLEEP_NS)
		pause_ns = LONGEST_SLEEP_NS;
	nanosleep(&(struct timespec){.tv_nsec = (long)pause_ns}, NULL);
}

/* What to wait for. */
struct goal {
	uint32_t owed;  /* answers: no more than these missing */
	bool all_taken; /* and every request taken */
};

/*
 * Wait until @goal is reached. -ETIMEDOUT, or -ENODEV when the device is gone.
 *
 * The order matters: what was answered before a request was taken is seen with it.
 */
static int
wait_for(struct avpg_ctrl *ctrl, struct goal goal, uint64_t limit_ns)
{
	uint64_t start_ns = now_ns();
	uint64_t check_ns = start_ns + CHECK_NS;

	for (;;) {
		bool taken = !goal.all_taken || untaken(ctrl) == 0;
		uint64_t t_ns;

		collect(ctrl);
		if (ctrl->owed <= goal.owed && taken)
			return 0;
		if (atomic_load_explicit(&ctrl->cancelled, memory_order_relaxed))
			return -ENODEV;
		t_ns = now_ns();
		if (t_ns >= limit_ns)
			return -ETIMEDOUT;
		if (t_ns >= check_ns && ctrl->hw != NULL && ctrl->hw->ops->check != NULL) {
			ctrl->hw->ops->check(ctrl->hw);
			check_ns = t_ns + CHECK_NS;
			continue;
		}
		pause_after(t_ns - start_ns);
	}
}

static int
wait_answers(struct avpg_ctrl *ctrl, uint64_t limit_ns)
{
	return wait_for(ctrl, (struct goal){.owed = 0}, limit_ns);
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

/*
 * An answer is missing, and the device has taken the request: is it slow, or is the answer lost?
 *
 * Ask for something that changes nothing, an MTU that it has. That it takes it shows that it has
 * done with the one before: the missing answer is here now, or never will be. Then what is still to
 * come is the answer to this one; where one answer came, it may be either's, and a short silence
 * tells.
 */
static int
resync(struct avpg_ctrl *ctrl, uint64_t limit_ns)
{
	const struct avp_request nothing = {.req_id = AVP_REQ_SET_MTU, .arg.mtu = ctrl->mtu};
	const uint32_t missing = ctrl->owed;
	uint64_t quiet_ns;
	int ret = put_request(ctrl, &nothing);

	if (ret == 0)
		ret = wait_for(ctrl, (struct goal){.owed = UINT32_MAX, .all_taken = true},
				limit_ns);
	if (ret != 0 || ctrl->owed == 0)
		return ret;
	if (ctrl->owed == missing + 1) {
		/* none of the missing: then this one's is the next */
		ret = wait_for(ctrl, (struct goal){.owed = missing}, limit_ns);
		if (ret != 0)
			return ret;
	} else {
		quiet_ns = now_ns() + QUIET_NS;
		ret = wait_answers(ctrl, quiet_ns < limit_ns ? quiet_ns : limit_ns);
		if (ret != -ETIMEDOUT)
			return ret;
	}
	atomic_fetch_add_explicit(&ctrl->stats.lost, ctrl->owed, memory_order_relaxed);
	ctrl->owed = 0;
	return 0;
}

/* See to it that no answer is owed, so that the next one is that to the next request. */
static int
settle(struct avpg_ctrl *ctrl, uint64_t limit_ns)
{
	uint32_t late = ctrl->owed;
	int ret;

	if (late == 0)
		return 0;
	ret = wait_answers(ctrl, limit_ns - PATIENCE_NS);
	if (ret == 0) {
		count(&ctrl->stats.late);
		return 0;
	}
	/* a request that is still on the FIFO may be taken at any time, and with it the slot */
	if (ret != -ETIMEDOUT || untaken(ctrl) > 0)
		return ret;
	return resync(ctrl, limit_ns);
}

static int
request(struct avpg_ctrl *ctrl, const struct avp_request *req)
{
	uint64_t limit_ns = now_ns() + AVPG_CTRL_TIME_LIMIT_MS * NS_PER_MS;
	int ret;

	if (atomic_load_explicit(&ctrl->cancelled, memory_order_relaxed))
		return -ENODEV;
	ret = settle(ctrl, limit_ns);
	if (ret != 0)
		goto err_count;
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

const char *
avpg_ctrl_error(int ret)
{
	switch (ret) {
	case -ETIMEDOUT:
		return "no answer from the device";
	case -ENODEV:
		return "the device is gone";
	case -EPROTO:
		return "the device's answer makes no sense";
	default:
		return strerror(-ret);
	}
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
	ctrl->mtu = DEFAULT_MTU;
	/* what a driver before us has put there and the device has not taken yet */
	ctrl->owed = (req.own - req.peer) & (req.len - 1);
	avp_fifo_get_done(&ctrl->resp, (resp.peer - resp.own) & (resp.len - 1));
	return 0;
}

int
avpg_ctrl_set_mtu(struct avpg_ctrl *ctrl, uint32_t mtu)
{
	struct avp_request req = {.req_id = AVP_REQ_SET_MTU, .arg.mtu = mtu};
	int ret = request(ctrl, &req);

	if (ret == 0)
		ctrl->mtu = mtu;
	return ret;
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
