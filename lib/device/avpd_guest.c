/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What is known of the guest, and all that changes it: its driver's control requests (decided in
 * avpd_ctrl.c), the migration handshake (avpd_migrate.c), its client coming and going.
 *
 * How it works
 * Whoever changes dev->guest calls avpd_guest_changed(), which works out what follows from it, and
 * sends it to the datapath. A control request that changed it is answered when the datapath is in
 * step again (avpd_guest_in_step()), or after AVPD_DONE_TIMEOUT_MS with an error.
 */

#include <errno.h>
#include <string.h>

#include "avpd_internal.h"

#define US_PER_MS 1000u

/*
 * State of the guest
 */

/* Work out what follows from a change of the guest's state, and tell the datapath. */
void
avpd_guest_changed(struct avpd_device *dev, bool reset)
{
	struct avpd_guest *guest = &dev->guest;

	guest->migration = (uint8_t)dev->migrate.status;
	guest->running = guest->connected && guest->configured && guest->link_up &&
			!avpd_migrate_detached(&dev->migrate);
	avpd_chan_guest(dev, reset);
}

/* Forget all that a driver has said. */
static void
guest_clear(struct avpd_device *dev)
{
	const uint8_t connected = dev->guest.connected;

	dev->guest = (struct avpd_guest){.connected = connected};
	dev->rx_pending = 0;
}

/* Signal what is pending and enabled. The guest may get one interrupt more than there were events:
 * reading the status tells it. */
void
avpd_guest_intr_update(struct avpd_device *dev)
{
	if ((dev->regs.intr_status & dev->regs.intr_mask) != 0)
		avpd_irq_raise(&dev->irq, AVP_VECTOR_MIGRATION);
}

void
avpd_guest_rx_update(struct avpd_device *dev)
{
	for (uint32_t v = AVP_VECTOR_RX; dev->rx_pending >> v != 0 && v < AVP_NB_VECTORS; v++) {
		if ((dev->rx_pending & 1u << v) == 0 || !avpd_irq_is_set(&dev->irq, v))
			continue;
		/* a counter that is full has been signalled already */
		avpd_irq_raise(&dev->irq, v);
		dev->rx_pending &= ~(1u << v);
	}
}

/*
 * The host's end
 */

/* A driver may read them before it accepts the feature. */
void
avpd_guest_host_show(struct avpd_device *dev)
{
	dev->ctrl.limits.host_mtu = dev->host.mtu;
	if ((dev->features & AVP_FEATURE_LINK_EVENTS) == 0)
		return;
	dev->regs.link_status = dev->host.link_up ? AVP_LINK_UP : AVP_LINK_DOWN;
	dev->regs.link_mtu = dev->host.mtu;
}

void
avpd_guest_host(struct avpd_device *dev, const struct avpd_host *host)
{
	if (host->link_up == dev->host.link_up && host->mtu == dev->host.mtu)
		return;
	dev->host = *host;
	avpd_guest_host_show(dev);
	if ((dev->guest.features & AVP_FEATURE_LINK_EVENTS) == 0)
		return;
	dev->regs.intr_status |= AVP_INTR_LINK;
	avpd_guest_intr_update(dev);
}

void
avpd_guest_rx(struct avpd_device *dev, uint32_t vectors)
{
	if ((dev->guest.features & AVP_FEATURE_RX_INTR) == 0)
		return;
	dev->rx_pending |= vectors;
	avpd_guest_rx_update(dev);
}

/* A driver has said which features it uses: what came before is none of its business. */
static void
features_changed(struct avpd_device *dev)
{
	if ((dev->guest.features & AVP_FEATURE_LINK_EVENTS) == 0)
		dev->regs.intr_status &= ~AVP_INTR_LINK;
	dev->rx_pending = 0;
}

/*
 * Control requests
 */

static void
answer(struct avpd_device *dev, int32_t result)
{
	avp_timer_set(&dev->done_timer, 0, 0);
	dev->counters.requests++;
	dev->counters.requests_refused += result < 0;
	avpd_ctrl_answer(&dev->ctrl, result);
	avp_log(dev->log, AVP_LOG_DEBUG, "%s: request %u: result %d", dev->name, dev->ctrl.req_id,
			result);
}

/* A request has changed the guest's state: have the datapath follow, then answer. */
static void
follow(struct avpd_device *dev, bool reset)
{
	dev->waiting_reset = reset;
	avpd_guest_changed(dev, reset);
	if (avpd_chan_in_step(dev))
		answer(dev, 0);
	else
		avp_timer_set(&dev->done_timer, AVPD_DONE_TIMEOUT_MS * US_PER_MS, 0);
}

static void
log_configured(struct avpd_device *dev)
{
	const struct avpd_guest *guest = &dev->guest;

	if (guest->configured)
		AVPD_LOG_PEER(dev, AVP_LOG_INFO,
				"%s: configured: driver type %u version 0x%x, %u tx and %u rx "
				"queues, features 0x%x",
				dev->name, guest->driver_type, guest->driver_version,
				guest->nb_tx_queues, guest->nb_rx_queues, guest->features);
	else
		AVPD_LOG_PEER(dev, AVP_LOG_INFO, "%s: shut down by its driver", dev->name);
}

/* Take one request. Returns whether there was one. */
static bool
take_request(struct avpd_device *dev)
{
	const struct avpd_guest before = dev->guest;
	const bool detached = avpd_migrate_detached(&dev->migrate);
	const enum avpd_ctrl_result event = avpd_ctrl_take(&dev->ctrl, &dev->guest, detached);

	dev->has_driver |= event != AVPD_CTRL_NONE;
	switch (event) {
	case AVPD_CTRL_NONE:
		return false;
	case AVPD_CTRL_BAD:
		dev->counters.requests_bad++;
		return true;
	case AVPD_CTRL_REFUSED:
		dev->counters.requests_refused++;
		dev->counters.requests++;
		AVPD_LOG_PEER(dev, AVP_LOG_WARNING, "%s: request %u refused", dev->name,
				dev->ctrl.req_id);
		return true;
	case AVPD_CTRL_DONE:
		dev->counters.requests++;
		return true;
	case AVPD_CTRL_CHANGED:
		dev->link_before = before.link_up;
		dev->mtu_before = before.mtu;
		follow(dev, false);
		return true;
	case AVPD_CTRL_RESET:
		log_configured(dev);
		features_changed(dev);
		follow(dev, true);
		return true;
	}
	return false;
}

void
avpd_guest_poll(struct avp_tick *tick)
{
	struct avpd_device *dev = AVPD_CONTAINER_OF(tick, struct avpd_device, poll_tick);

	avpd_ctrl_tick(&dev->ctrl);
	for (uint32_t i = 0; i < AVPD_CTRL_POLL_MAX; i++) {
		if (!take_request(dev))
			break;
	}
}

/* The datapath is too slow: back to what the guest will think the state is. */
void
avpd_guest_done_expired(struct avp_timer *timer)
{
	struct avpd_device *dev = AVPD_CONTAINER_OF(timer, struct avpd_device, done_timer);

	if (!dev->ctrl.waiting)
		return;
	AVPD_LOG_PEER(dev, AVP_LOG_ERR, "%s: request %u: datapath has not answered in %u ms",
			dev->name, dev->ctrl.req_id, AVPD_DONE_TIMEOUT_MS);
	if (dev->waiting_reset) {
		/* FIFOs that are half made anew cannot serve the former configuration either */
		guest_clear(dev);
	} else if (dev->guest.configured) {
		dev->guest.link_up = dev->link_before;
		dev->guest.mtu = dev->mtu_before;
	}
	avpd_guest_changed(dev, dev->waiting_reset);
	answer(dev, -ETIMEDOUT);
}

void
avpd_guest_in_step(struct avpd_device *dev)
{
	if (dev->ctrl.waiting)
		answer(dev, 0);
}

/*
 * Migration
 */

static const char *
result_text(int32_t result)
{
	switch (result) {
	case 0:
		return "acknowledged";
	case -ENOTCONN:
		return "no driver to acknowledge it";
	}
	return strerror(-result);
}

/* A detach or attach has ended: make the guest's state that of the new phase. */
static void
migrated(struct avpd_device *dev, int32_t result)
{
	const bool detached = avpd_migrate_detached(&dev->migrate);
	const bool reset = detached && dev->guest.configured;

	avp_timer_set(&dev->migrate_timer, 0, 0);
	/* a driver that has not shut the device down has still lost it */
	if (reset)
		guest_clear(dev);
	if (reset && dev->ctrl.waiting)
		answer(dev, -EBUSY);
	avpd_guest_changed(dev, reset);
	avpd_chan_migrated(dev, dev->migrate_serial, result);
	dev->is_expected &= detached;
	avp_log(dev->log, AVP_LOG_NOTICE, "%s: %s: %s", dev->name,
			detached ? "detached" : "attached", result_text(result));
}

/* There is nobody to ask, or who was expected is not. A driver that comes now reads the status. */
static void
migrate_alone(struct avpd_device *dev)
{
	int32_t result;

	if (dev->guest.connected)
		avpd_migrate_expired(&dev->migrate, &result);
	else
		avpd_migrate_guest_gone(&dev->migrate, &result);
	dev->regs.migration_status = dev->migrate.status;
	migrated(dev, -ENOTCONN);
}

/* Begin what dev->migrate has been told. */
static void
migrate_begin(struct avpd_device *dev, const struct avpd_ask *ask)
{
	dev->migrate_serial = ask->serial;
	dev->regs.migration_status = dev->migrate.status;
	dev->regs.migration_ack = AVP_MIGRATION_NONE;
	avpd_guest_changed(dev, false);
	if (dev->guest.connected) {
		dev->regs.intr_status |= AVP_INTR_MIGRATION;
		avpd_guest_intr_update(dev);
	}
	if (dev->guest.connected && (dev->has_driver || dev->is_expected) && ask->timeout_ms != 0)
		avp_timer_set(&dev->migrate_timer, (uint64_t)ask->timeout_ms * US_PER_MS, 0);
	else
		migrate_alone(dev);
}

/* The other of the two is under way: it will not end any more. */
static void
migrate_cancel(struct avpd_device *dev)
{
	if (avpd_migrate_pending(&dev->migrate))
		avpd_chan_migrated(dev, dev->migrate_serial, -ECANCELED);
}

void
avpd_guest_detach(struct avpd_device *dev, const struct avpd_ask *ask)
{
	struct avpd_migrate next = dev->migrate;
	const int ret = avpd_migrate_detach(&next);

	if (ret < 0) {
		avpd_chan_migrated(dev, ask->serial, ret);
		return;
	}
	migrate_cancel(dev);
	dev->migrate = next;
	migrate_begin(dev, ask);
}

void
avpd_guest_attach(struct avpd_device *dev, const struct avpd_ask *ask)
{
	struct avpd_migrate next = dev->migrate;
	int ret = avpd_migrate_attach(&next);

	/* a driver at work here has nothing to come back to */
	if (dev->migrate.phase == AVPD_MIGRATE_ATTACHED && dev->guest.configured)
		ret = -EALREADY;
	if (ret < 0) {
		avpd_chan_migrated(dev, ask->serial, ret);
		return;
	}
	migrate_cancel(dev);
	dev->migrate = next;
	if (!dev->guest.configured && !dev->ctrl.waiting) {
		/* As a device made anew: what the guest knew of the old one does not hold any more.
		 * Not so when it has not let go yet, or is about to and waits for the answer: then
		 * the detach is only called off. */
		avpd_info_new_id(dev);
		avpd_info_write(dev);
		avpd_ctrl_format(&dev->ctrl);
	}
	migrate_begin(dev, ask);
}

void
avpd_guest_migrate_expired(struct avp_timer *timer)
{
	struct avpd_device *dev = AVPD_CONTAINER_OF(timer, struct avpd_device, migrate_timer);
	int32_t result;

	if (avpd_migrate_expired(&dev->migrate, &result))
		migrated(dev, result);
}

void
avpd_guest_acknowledged(struct avpd_device *dev)
{
	int32_t result;

	if (avpd_migrate_ack(&dev->migrate, dev->regs.migration_ack, &result))
		migrated(dev, result);
}

/* The guest's driver is gone, with its client or by a reset: all that it had is the device's. */
void
avpd_guest_gone(struct avpd_device *dev)
{
	int32_t result;
	const bool ended = avpd_migrate_guest_gone(&dev->migrate, &result);

	avp_timer_set(&dev->done_timer, 0, 0);
	avpd_regs_init(&dev->regs);
	dev->regs.migration_status = dev->migrate.status;
	avpd_guest_host_show(dev);
	avpd_pci_reset(&dev->pci);
	avpd_irq_reset(&dev->irq);
	avpd_ctrl_format(&dev->ctrl);
	guest_clear(dev);
	dev->has_driver = false;
	avpd_guest_changed(dev, true);
	if (ended)
		migrated(dev, result);
}
