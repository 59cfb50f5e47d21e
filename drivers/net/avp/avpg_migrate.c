/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Detach and attach (contract, "Migration handshake"), in a thread of the port: it waits for the
 * device's answers, which DPDK's interrupt thread may not.
 *
 * How it works
 * The interrupt handler only wakes the thread. That reads what there is: detach or attach, or news
 * of the host's link (avpg_link.c). Detach lets packets pass that are on their way, closes the
 * gates, so that no lcore touches the FIFOs any more, tells the device, and acknowledges. Attach
 * reads everything that the device says of itself anew, since it may be another one, gives it the
 * application's configuration, and opens the gates. An attach of the device that was never let go
 * calls a detach off, and changes nothing.
 *
 * After a live migration the interrupt may have to be restored first, or another socket connected
 * to: while detached, the thread looks by itself, often at first, since packets wait for it. Where
 * there is no interrupt it always does.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "avp_compat.h"
#include "avpg_port.h"

/* Between two looks of the thread, when it has to look by itself, */
#define LOOK_MS 50u
/* ... and for the first time after a detach, when it is only to see whether the device is another
 * now. */
#define LOOK_FAST_MS 1u
#define LOOK_FAST_FOR_MS 60000u

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
on_interrupt(void *arg)
{
	struct avpg_port *port = arg;

	sem_post(&port->wake);
}

/* The end of a detach or attach. What is left to do is short: the application may wait for it, and
 * is not refused what it asks for when the host knows that all is done. */
static void
acknowledge(struct avpg_port *port, enum avp_migration reached)
{
	atomic_store(&port->migrating, false);
	if (port->hw->ops->write32(port->hw, AVP_REG_MIGRATION_ACK, reached) != 0)
		AVPG_LOG(WARNING, "%s: acknowledge %d: the device is gone", port->name, reached);
}

void
avpg_state_set(struct avpg_port *port, enum avpg_state state)
{
	enum avpg_state old = avpg_port_state(port);

	while (old != AVPG_GONE && !atomic_compare_exchange_weak(&port->state, &old, state))
		;
}

static void
detach(struct avpg_port *port)
{
	int ret;

	/* nothing to let go of: a port that has been moved, or begins so */
	if (avpg_port_state(port) != AVPG_ATTACHED) {
		acknowledge(port, AVP_MIGRATION_DETACHED);
		return;
	}
	atomic_store(&port->migrating, true);
	avpg_queues_drain(port);
	ret = avpg_queues_close(port);
	port->detached_ms = now_ms();
	avpg_state_set(port, AVPG_DETACHED);
	if (ret == 0)
		ret = avpg_ctrl_shutdown(&port->ctrl);
	atomic_fetch_add(&port->detaches, 1);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: detach: %s", port->name, strerror(-ret));
	else
		AVPG_LOG(NOTICE, "%s: detached", port->name);
	acknowledge(port, ret == 0 ? AVP_MIGRATION_DETACHED : AVP_MIGRATION_ERROR);
}

/* Can the application's configuration go on with this device? */
static int
compatible(const struct avpg_port *port, const struct avpg_info *info)
{
	if (port->configured &&
			(port->nb_rx_queues > info->max_rx_queues ||
					port->nb_tx_queues > info->max_tx_queues)) {
		AVPG_LOG(ERR, "%s: attach: %u rx and %u tx queues in use: the device has %u and %u",
				port->name, port->nb_rx_queues, port->nb_tx_queues,
				info->max_rx_queues, info->max_tx_queues);
		return -ENOTSUP;
	}
	if (avpg_intr_check(port, info) != 0)
		return -ENOTSUP;
	if (memcmp(info->mac, port->dev->data->mac_addrs, sizeof(info->mac)) != 0)
		AVPG_LOG(WARNING, "%s: attach: the device has another MAC address: keeping ours",
				port->name);
	return 0;
}

/* Take up what is there now instead of the device that we knew. */
static int
take_device(struct avpg_port *port)
{
	struct avp_err err = {0};
	struct avpg_info info;
	int ret = avpg_info_load(&info, port->hw, &err);

	if (ret != 0) {
		AVPG_LOG(ERR, "%s: attach: %s", port->name, err.msg);
		return ret;
	}
	ret = compatible(port, &info);
	if (ret != 0)
		return ret;
	memcpy(info.mac, port->dev->data->mac_addrs, sizeof(info.mac));
	port->info = info;
	port->told_mtu = 0;
	ret = avpg_ctrl_open(&port->ctrl, &port->info);
	if (ret != 0 || !port->configured)
		return ret;
	ret = avpg_port_configure(port);
	return ret != 0 ? ret : avpg_queues_reload(port);
}

/* Is it the device that we have not let go of? */
static bool
never_left(const struct avpg_port *port)
{
	struct avp_err err = {0};
	struct avpg_info info;

	return avpg_port_state(port) == AVPG_ATTACHED &&
			avpg_info_load(&info, port->hw, &err) == 0 &&
			info.device_id == port->info.device_id;
}

static void
attach(struct avpg_port *port)
{
	int ret;

	if (never_left(port)) {
		AVPG_LOG(NOTICE, "%s: the host has called a detach off", port->name);
		acknowledge(port, AVP_MIGRATION_ATTACHED);
		return;
	}
	atomic_store(&port->migrating, true);
	ret = avpg_queues_close(port);
	if (ret == 0)
		ret = take_device(port);
	avpg_state_set(port, ret == 0 ? AVPG_ATTACHED : AVPG_FAILED);
	atomic_fetch_add(ret == 0 ? &port->attaches : &port->attach_failures, 1);
	if (ret == 0 && avpg_port_wants_link(port) && avpg_port_state(port) == AVPG_ATTACHED)
		avpg_queues_open(port);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: attach: %s", port->name, strerror(-ret));
	else
		AVPG_LOG(NOTICE, "%s: attached", port->name);
	acknowledge(port, ret == 0 ? AVP_MIGRATION_ATTACHED : AVP_MIGRATION_ERROR);
}

/* Is the device away, and its bus one that may have to restore it? */
static bool
may_need_restore(const struct avpg_port *port)
{
	enum avpg_state state = avpg_port_state(port);

	return port->hw->ops->restore != NULL && (state == AVPG_DETACHED || state == AVPG_FAILED);
}

/* What the device wants. */
struct news {
	enum avp_migration migration; /* to be detached or attached, or nothing: NONE */
	bool link;                    /* us to know of link or MTU */
	bool gone;                    /* nothing any more */
};

/* Is it time to read the registers? @woken: by the device, or by somebody who knows. */
static bool
time_to_look(struct avpg_port *port, bool woken, int restored)
{
	const uint64_t now = now_ms();

	if (avpg_port_state(port) == AVPG_GONE || restored < 0)
		return false;
	if (!woken && restored == AVPG_RESTORED_NOTHING && now - port->looked_ms < LOOK_MS)
		return false;
	port->looked_ms = now;
	return true;
}

/* What does the device want of us? One that is another now may have been here before us, and asks
 * for nothing. A device that is not there reads as all ones, which is none of the states. */
static enum avp_migration
migration_read(struct avpg_port *port, uint32_t pending, int restored)
{
	struct avpg_hw *hw = port->hw;
	uint32_t status;

	if ((pending & AVP_INTR_MIGRATION) == 0 && restored != AVPG_RESTORED_NEW)
		return AVP_MIGRATION_NONE;
	if (hw->ops->read32(hw, AVP_REG_MIGRATION_STATUS, &status) != 0)
		return AVP_MIGRATION_NONE;
	if (restored == AVPG_RESTORED_NEW && status == AVP_MIGRATION_NONE)
		return AVP_MIGRATION_ATTACHED;
	if (status != AVP_MIGRATION_DETACHED && status != AVP_MIGRATION_ATTACHED)
		return AVP_MIGRATION_NONE;
	return (enum avp_migration)status;
}

static struct news
news_read(struct avpg_port *port, bool woken)
{
	struct avpg_hw *hw = port->hw;
	struct news news = {.migration = AVP_MIGRATION_NONE};
	int restored = AVPG_RESTORED_NOTHING;
	uint32_t pending = 0;

	if (may_need_restore(port))
		restored = hw->ops->restore(hw);
	/* the mask was the other device's */
	if (restored > 0)
		hw->ops->write32(hw, AVP_REG_INTR_MASK, AVP_INTR_MASK_ALL);
	if (time_to_look(port, woken, restored) &&
			hw->ops->read32(hw, AVP_REG_INTR_STATUS, &pending) == 0)
		news.migration = migration_read(port, pending, restored);
	news.link = (pending & AVP_INTR_LINK) != 0;
	news.gone = avpg_port_state(port) == AVPG_GONE;
	return news;
}

static void
tell(struct avpg_port *port, enum rte_eth_event_type event)
{
	rte_eth_dev_callback_process(port->dev, event, NULL);
}

/*
 * Tell the application what became of the device. A detach is what ethdev calls an error that the
 * driver recovers from by itself: it begins, and ends well or not.
 */
static void
tell_state(struct avpg_port *port, enum avpg_state was, enum avpg_state is)
{
	if (is == was)
		return;
	if (was != AVPG_DETACHED && is != AVPG_GONE)
		tell(port, RTE_ETH_EVENT_ERR_RECOVERING);
	if (is == AVPG_ATTACHED)
		tell(port, RTE_ETH_EVENT_RECOVERY_SUCCESS);
	else if (is == AVPG_FAILED || (is == AVPG_GONE && was == AVPG_DETACHED))
		tell(port, RTE_ETH_EVENT_RECOVERY_FAILED);
	if (is == AVPG_FAILED)
		tell(port, RTE_ETH_EVENT_INTR_RESET);
	if (is == AVPG_GONE) {
		AVPG_LOG(NOTICE, "%s: the device is gone: close and remove the port", port->name);
		tell(port, RTE_ETH_EVENT_INTR_RMV);
	}
}

/* Something has happened. The application is told last, with no lock held. */
static void
serve(struct avpg_port *port, bool woken)
{
	struct news news = news_read(port, woken);
	enum avpg_state was, is;
	bool link_changed;

	if (news.migration == AVP_MIGRATION_NONE && !news.link && !news.gone)
		return;
	pthread_mutex_lock(&port->ctl_lock);
	news.gone = avpg_port_state(port) == AVPG_GONE;
	if (news.gone) {
		avpg_queues_close(port);
		avpg_intr_wake(port);
	} else if (news.migration == AVP_MIGRATION_DETACHED)
		detach(port);
	else if (news.migration == AVP_MIGRATION_ATTACHED)
		attach(port);
	link_changed = news.link && avpg_port_state(port) == AVPG_ATTACHED &&
			avpg_port_link_event(port);
	link_changed |= avpg_port_link_refresh(port);
	was = port->told_state;
	is = avpg_port_state(port);
	port->told_state = is;
	pthread_mutex_unlock(&port->ctl_lock);
	if (link_changed && port->dev->data->dev_conf.intr_conf.lsc != 0)
		tell(port, RTE_ETH_EVENT_INTR_LSC);
	tell_state(port, was, is);
}

/* Until the thread looks by itself; 0: it does not. */
static uint32_t
look_after_ms(const struct avpg_port *port)
{
	if (avpg_port_state(port) == AVPG_GONE)
		return 0;
	if (!may_need_restore(port))
		return port->polled ? LOOK_MS : 0;
	return now_ms() - port->detached_ms < LOOK_FAST_FOR_MS ? LOOK_FAST_MS : LOOK_MS;
}

/* Wait for an interrupt, or for the time to look without one. True: there was one. */
static bool
wait_for_wake(struct avpg_port *port)
{
	const uint32_t after_ms = look_after_ms(port);
	struct timespec end;
	int ret;

	if (after_ms == 0) {
		while (sem_wait(&port->wake) != 0)
			;
		return true;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += after_ms * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	do
		ret = sem_clockwait(&port->wake, CLOCK_MONOTONIC, &end);
	while (ret != 0 && errno == EINTR);
	return ret == 0;
}

static AVP_THREAD_RET
thread_main(void *arg)
{
	struct avpg_port *port = arg;

	for (;;) {
		const bool woken = wait_for_wake(port);

		if (atomic_load(&port->thread_quit))
			return AVP_THREAD_DONE;
		serve(port, woken);
	}
}

int
avpg_migrate_start(struct avpg_port *port, struct avp_err *err)
{
	struct avpg_hw *hw = port->hw;
	char name[16];
	int ret;

	atomic_store(&port->thread_quit, false);
	/* a device that is detached already */
	port->detached_ms = now_ms();
	snprintf(name, sizeof(name), "avpg-%u", port->dev->data->port_id);
	ret = hw->ops->intr_enable(hw, on_interrupt, port);
	port->polled = ret == -ENOTSUP;
	if (port->polled)
		AVPG_LOG(NOTICE, "%s: no interrupts: looking for news of the host every %u ms",
				port->name, LOOK_MS);
	else if (ret != 0)
		return avp_err_set(err, -ret, "interrupt: cannot be enabled: %s", strerror(-ret));
	ret = avp_compat_ctrl_thread(&port->thread, name, thread_main, port);
	if (ret != 0) {
		avp_err_set(err, -ret, "no thread: %s", strerror(-ret));
		goto err_stop;
	}
	port->thread_running = true;
	ret = hw->ops->write32(hw, AVP_REG_INTR_MASK, AVP_INTR_MASK_ALL);
	if (ret != 0) {
		avp_err_set(err, -ret, "interrupt mask: cannot be written: %s", strerror(-ret));
		goto err_stop;
	}
	/* for what was asked before the interrupt was on */
	sem_post(&port->wake);
	return 0;

err_stop:
	avpg_migrate_stop(port);
	return ret;
}

void
avpg_migrate_stop(struct avpg_port *port)
{
	struct avpg_hw *hw = port->hw;

	if (avpg_port_state(port) != AVPG_GONE)
		hw->ops->write32(hw, AVP_REG_INTR_MASK, AVP_INTR_MASK_NONE);
	hw->ops->intr_disable(hw);
	if (!port->thread_running)
		return;
	atomic_store(&port->thread_quit, true);
	atomic_store(&port->ctrl.cancelled, true);
	sem_post(&port->wake);
	pthread_join(port->thread, NULL);
	port->thread_running = false;
	atomic_store(&port->ctrl.cancelled, avpg_port_state(port) == AVPG_GONE);
}
