/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a guest port: made of what a bus has found, configured, started, stopped, closed, and the
 * ethdev operations of the application. Queues are in avpg_queue.c, detach and attach in
 * avpg_migrate.c.
 *
 * Threads: the application calls operations of a port one at a time, on any thread but an lcore
 * that is inside a burst. A detach or attach under way makes those that talk to the device
 * return -EBUSY; stop and close wait for it.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_ether.h>
#include <rte_malloc.h>

#include "avpg_port.h"
#include "avpg_recycle.h"

/* How long an application that starts waits for a detach or attach that is under way: twice what
 * one takes whose device does not answer. */
#define MIGRATION_PATIENCE_S 2

int avpg_logtype;

RTE_INIT(avpg_log_init)
{
	avpg_logtype = rte_log_register_type_and_pick_level("pmd.net.avp", RTE_LOG_NOTICE);
	if (avpg_logtype < 0)
		avpg_logtype = RTE_LOGTYPE_EAL;
}

const char *
avpg_state_text(enum avpg_state state)
{
	switch (state) {
	case AVPG_ATTACHED:
		return "attached";
	case AVPG_DETACHED:
		return "detached by the host";
	case AVPG_FAILED:
		return "the device that came back cannot be used";
	case AVPG_GONE:
		return "the device is gone";
	}
	return "?";
}

static int
busy(struct avpg_port *port, const char *what)
{
	atomic_fetch_add(&port->ops_busy, 1);
	AVPG_LOG(WARNING, "%s: %s: busy with a detach or attach, try again", port->name, what);
	return -EBUSY;
}

/* ctl_lock is held: keep it if @allowed. */
static int
ctl_keep(struct avpg_port *port, const char *what, bool allowed)
{
	const enum avpg_state state = avpg_port_state(port);

	if (allowed)
		return 0;
	pthread_mutex_unlock(&port->ctl_lock);
	atomic_fetch_add(&port->ops_no_device, 1);
	AVPG_LOG(WARNING, "%s: %s: refused: %s", port->name, what, avpg_state_text(state));
	return state == AVPG_GONE ? -ENODEV : -EBUSY;
}

int
avpg_ctl_begin(struct avpg_port *port, const char *what)
{
	if (atomic_load(&port->migrating))
		return busy(port, what);
	/* the port's thread may have it for a link event: that is not the application's business */
	pthread_mutex_lock(&port->ctl_lock);
	return ctl_keep(port, what, avpg_port_state(port) == AVPG_ATTACHED);
}

int
avpg_ctl_begin_detached(struct avpg_port *port, const char *what)
{
	struct timespec end;

	/* a detach or attach that is under way is waited for, but not for ever */
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += MIGRATION_PATIENCE_S;
	if (pthread_mutex_clocklock(&port->ctl_lock, CLOCK_MONOTONIC, &end) != 0)
		return busy(port, what);
	return ctl_keep(port, what,
			avpg_port_state(port) == AVPG_ATTACHED ||
					avpg_port_state(port) == AVPG_DETACHED);
}

void
avpg_ctl_end(struct avpg_port *port)
{
	pthread_mutex_unlock(&port->ctl_lock);
}

void
avpg_port_gone(struct avpg_port *port)
{
	if (atomic_exchange(&port->state, AVPG_GONE) == AVPG_GONE)
		return;
	atomic_store(&port->ctrl.cancelled, true);
	sem_post(&port->wake);
}

/* What to accept of the device's features, by the offloads that the application wants. */
static uint32_t
features_wanted(const struct avpg_port *port)
{
	uint64_t offloads = port->dev->data->dev_conf.rxmode.offloads;
	uint32_t wanted = AVP_FEATURE_LINK_EVENTS;

	if ((offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0)
		wanted |= AVP_FEATURE_VLAN;
	if (port->hw->recycle)
		wanted |= AVP_FEATURE_RECYCLE;
	if (port->hw->compact && port->info.mem.buf_stride != 0)
		wanted |= AVP_FEATURE_COMPACT;
	if (port->dev->data->dev_conf.intr_conf.rxq != 0)
		wanted |= AVP_FEATURE_RX_INTR;
	return port->info.features & wanted;
}

/* Take up the compact rings, which the device has just made. */
static int
rings_open(struct avpg_port *port)
{
	const struct avpg_fifo_set *rx = &port->info.rx;
	const struct avpg_fifo_set *tx = &port->info.tx;
	int ret = 0;

	if ((port->features & AVP_FEATURE_COMPACT) == 0)
		return 0;
	for (uint32_t i = 0; i < port->nb_rx_fifos && ret == 0; i++)
		ret = avp_cring_end_open(
				&port->crx[i].end, (struct avp_cring *)rx->fifo[i], rx->size);
	for (uint32_t i = 0; i < port->nb_tx_fifos && ret == 0; i++)
		ret = avp_cring_end_open(
				&port->ctx[i].end, (struct avp_cring *)tx->fifo[i], tx->size);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: compact rings: length or entry size makes no sense", port->name);
	return ret;
}

static void
count_fifos(struct avpg_port *port)
{
	port->nb_rx_fifos = (uint8_t)RTE_MAX(port->nb_rx_queues, port->info.min_rx_queues);
	port->nb_tx_fifos = (uint8_t)RTE_MAX(port->nb_tx_queues, port->info.min_tx_queues);
}

int
avpg_port_configure(struct avpg_port *port)
{
	struct avp_config config;
	int ret;

	/* the device takes back all buffers */
	avpg_recycle_retire(port->recycle);
	port->recycle = NULL;
	port->features = features_wanted(port);
	if ((port->features & AVP_FEATURE_RECYCLE) != 0)
		port->recycle = avpg_recycle_create(port);
	if (port->recycle == NULL)
		port->features &= ~AVP_FEATURE_RECYCLE;
	count_fifos(port);
	config = (struct avp_config){
			.device_id = port->info.device_id,
			.driver_type = AVP_DRIVER_DPDK,
			.driver_version = AVP_DEVICE_VERSION,
			.features = port->features,
			.nb_tx_queues = port->nb_tx_fifos,
			.nb_rx_queues = port->nb_rx_fifos,
			.link_up = avpg_port_wants_link(port),
	};
	ret = avpg_ctrl_configure(&port->ctrl, &config);
	if (ret != 0) {
		AVPG_LOG(ERR, "%s: configure: %u rx and %u tx queues, features 0x%x: %s",
				port->name, config.nb_rx_queues, config.nb_tx_queues,
				config.features, avpg_ctrl_error(ret));
		goto err_retire;
	}
	ret = rings_open(port);
	if (ret != 0)
		goto err_retire;
	/* from here on every change is told */
	avpg_port_link_load(port);
	avpg_port_mtu_follow(port);
	return 0;

err_retire:
	avpg_recycle_retire(port->recycle);
	port->recycle = NULL;
	return ret;
}

static int
avpg_dev_configure(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = avpg_ctl_begin_detached(port, "configure");

	if (ret != 0)
		return ret;
	port->configured = false;
	port->nb_rx_queues = (uint8_t)dev->data->nb_rx_queues;
	port->nb_tx_queues = (uint8_t)dev->data->nb_tx_queues;
	port->app_mtu = dev->data->mtu;
	ret = avpg_intr_check(port, &port->info);
	/* else the device learns of it when it attaches */
	if (ret == 0 && avpg_port_state(port) == AVPG_ATTACHED)
		ret = avpg_port_configure(port);
	else if (ret == 0)
		count_fifos(port);
	port->configured = ret == 0;
	avpg_ctl_end(port);
	return ret;
}

/* Every queue that ethdev knows of must be there: the application may poll any of them. */
static int
queues_check(const struct avpg_port *port)
{
	for (uint32_t i = 0; i < port->nb_rx_queues; i++) {
		if (port->rxqs[i] == NULL) {
			AVPG_LOG(ERR, "%s: start: rx queue %u: not set up", port->name, i);
			return -EINVAL;
		}
	}
	for (uint32_t i = 0; i < port->nb_tx_queues; i++) {
		if (port->txqs[i] == NULL) {
			AVPG_LOG(ERR, "%s: start: tx queue %u: not set up", port->name, i);
			return -EINVAL;
		}
	}
	return 0;
}

/* Interface up, and bursts in. Gates are closed. */
static int
link_on(struct avpg_port *port)
{
	int ret = avpg_ctrl_set_link(&port->ctrl, true);

	if (ret != 0) {
		AVPG_LOG(ERR, "%s: link up: %s", port->name, avpg_ctrl_error(ret));
		return ret;
	}
	ret = avpg_queues_reload(port);
	if (ret != 0)
		return ret;
	avpg_queues_open(port);
	return 0;
}

/*
 * Bursts out, and interface down. What the device says to it changes nothing for us. Where a burst
 * does not end no more than that is done: what it uses must not be taken from it.
 */
static int
link_off(struct avpg_port *port)
{
	int ret = avpg_queues_close(port);

	if (ret != 0)
		return ret;
	if (!avpg_port_wants_link(port) || avpg_port_state(port) != AVPG_ATTACHED)
		return 0;
	ret = avpg_ctrl_set_link(&port->ctrl, false);
	if (ret != 0)
		AVPG_LOG(WARNING, "%s: link down: %s", port->name, avpg_ctrl_error(ret));
	return 0;
}

static int
avpg_dev_start(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = avpg_ctl_begin_detached(port, "start");

	if (ret != 0)
		return ret;
	ret = port->configured ? queues_check(port) : -EINVAL;
	if (ret == 0) {
		avpg_queues_note_start(port);
		ret = avpg_intr_start(port);
	}
	/* else an attach does it */
	if (ret == 0 && avpg_port_state(port) == AVPG_ATTACHED) {
		ret = link_on(port);
		if (ret != 0)
			avpg_intr_stop(port);
	}
	if (ret == 0) {
		port->started = true;
		port->link_off = false;
		avpg_port_link_refresh(port);
	} else {
		avpg_queues_note_stop(port);
	}
	avpg_ctl_end(port);
	return ret;
}

static int
avpg_dev_stop(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	int ret;

	pthread_mutex_lock(&port->ctl_lock);
	ret = link_off(port);
	/* else it stays started for ethdev, which has cut it off from bursts, and closes nothing */
	if (ret == 0) {
		port->started = false;
		avpg_intr_stop(port);
		avpg_queues_note_stop(port);
		avpg_port_link_refresh(port);
	}
	pthread_mutex_unlock(&port->ctl_lock);
	return ret;
}

static int
avpg_dev_set_link_up(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = avpg_ctl_begin(port, "link up");

	if (ret != 0)
		return ret;
	if (!port->started)
		ret = -EINVAL;
	else if (port->link_off)
		ret = link_on(port);
	if (ret == 0)
		port->link_off = false;
	avpg_port_link_refresh(port);
	avpg_ctl_end(port);
	return ret;
}

static int
avpg_dev_set_link_down(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = avpg_ctl_begin(port, "link down");

	if (ret != 0)
		return ret;
	ret = link_off(port);
	if (ret == 0)
		port->link_off = port->started;
	else
		avpg_queues_reopen(port);
	avpg_port_link_refresh(port);
	avpg_ctl_end(port);
	return ret;
}

/* A burst is under way and does not end: leave it all that it may touch, for good. */
static int
close_in_use(struct avpg_port *port, int error)
{
	AVPG_LOG(ERR, "%s: close: a burst is still under way: its queues and BAR 2 stay",
			port->name);
	port->hw->keep_mem = true;
	port->hw->ops->destroy(port->hw);
	port->hw = NULL;
	port->dev->data->dev_private = NULL; /* ethdev would free it */
	return error;
}

static int
avpg_dev_close(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int busy, ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	avpg_migrate_stop(port);
	avpg_intr_stop(port);
	busy = avpg_queues_close(port);
	if (avpg_port_state(port) == AVPG_ATTACHED) {
		ret = avpg_ctrl_shutdown(&port->ctrl);
		if (ret != 0)
			AVPG_LOG(WARNING, "%s: shut down: %s", port->name, avpg_ctrl_error(ret));
	}
	if (busy != 0)
		return close_in_use(port, busy);
	for (uint16_t i = 0; i < AVP_MAX_QUEUES; i++) {
		if (port->rxqs[i] != NULL)
			avpg_rx_queue_release(dev, i);
		if (port->txqs[i] != NULL)
			avpg_tx_queue_release(dev, i);
	}
	avpg_recycle_retire(port->recycle);
	port->recycle = NULL;
	/* first: until then the bus may still find out that the device is gone, and wake the thread
	 */
	port->hw->ops->destroy(port->hw);
	port->hw = NULL;
	dev->intr_handle = NULL;
	pthread_mutex_destroy(&port->ctl_lock);
	sem_destroy(&port->wake);
	return 0;
}

static int
avpg_dev_is_removed(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	uint32_t status;

	/* the bus finds out when a register does not answer */
	port->hw->ops->read32(port->hw, AVP_REG_MIGRATION_STATUS, &status);
	return avpg_port_state(port) == AVPG_GONE;
}

static int
avpg_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = avpg_ctl_begin(port, "set mtu");

	if (ret != 0)
		return ret;
	if (port->configured)
		ret = avpg_ctrl_set_mtu(&port->ctrl, mtu);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: mtu %u: %s", port->name, mtu, avpg_ctrl_error(ret));
	else if (port->configured)
		port->told_mtu = mtu;
	if (ret == 0)
		port->app_mtu = mtu;
	avpg_ctl_end(port);
	return ret;
}

/* Take up the offloads as they now are. A device that strips learns of it as a new configuration:
 * what the FIFOs hold is lost. Any other need not know. */
static int
strip_set(struct avpg_port *port)
{
	uint32_t features = port->features;
	int ret;

	if (!port->configured || ((features_wanted(port) ^ features) & AVP_FEATURE_VLAN) == 0) {
		avpg_queues_set_strip(port);
		return 0;
	}
	ret = avpg_port_configure(port);
	/* the FIFOs are new ones */
	return ret == 0 && avpg_port_wants_link(port) ? avpg_queues_reload(port) : ret;
}

/* The device has refused: back to what was, as ethdev does too. */
static void
strip_set_back(struct avpg_port *port)
{
	port->dev->data->dev_conf.rxmode.offloads ^= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (strip_set(port) == 0)
		return;
	AVPG_LOG(ERR, "%s: VLAN offload: neither set nor set back: link down, stop and start again",
			port->name);
	port->link_off = port->started;
}

static int
avpg_vlan_offload_set(struct rte_eth_dev *dev, int mask)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret;

	if ((mask & RTE_ETH_VLAN_STRIP_MASK) == 0)
		return 0;
	ret = avpg_ctl_begin(port, "VLAN offload");
	if (ret != 0)
		return ret;
	ret = avpg_queues_close(port);
	if (ret == 0) {
		ret = strip_set(port);
		if (ret != 0)
			strip_set_back(port);
	}
	avpg_queues_reopen(port);
	avpg_port_link_refresh(port);
	avpg_ctl_end(port);
	return ret;
}

/* Is the device being moved? Then it is not to be touched until it attaches. */
static int
migration_check(struct avpg_port *port, struct avp_err *err)
{
	struct avpg_hw *hw = port->hw;
	uint32_t status;
	int ret = hw->ops->read32(hw, AVP_REG_MIGRATION_STATUS, &status);

	if (ret != 0)
		return avp_err_set(
				err, -ret, "migration status: cannot be read: %s", strerror(-ret));
	avpg_state_set(port, status == AVP_MIGRATION_DETACHED ? AVPG_DETACHED : AVPG_ATTACHED);
	if (status == AVP_MIGRATION_DETACHED)
		hw->ops->write32(hw, AVP_REG_MIGRATION_ACK, AVP_MIGRATION_DETACHED);
	/* nobody has to be told of it */
	port->told_state = avpg_port_state(port);
	return 0;
}

/* Whether it is detached, what the device says of itself, and its control FIFOs. */
static int
port_take_device(struct avpg_port *port, struct avp_err *err)
{
	const struct rte_ether_addr *mac = (const struct rte_ether_addr *)port->info.mac;
	int ret = migration_check(port, err);

	if (ret != 0)
		return ret;
	ret = avpg_info_load(&port->info, port->hw, err);
	if (ret != 0)
		return ret;
	if (!rte_is_valid_assigned_ether_addr(mac))
		return avp_err_set(err, EINVAL,
				"MAC address " RTE_ETHER_ADDR_PRT_FMT ": no station can have it",
				RTE_ETHER_ADDR_BYTES(mac));
	ret = avpg_ctrl_open(&port->ctrl, &port->info);
	if (ret != 0)
		return avp_err_set(err, -ret,
				"control FIFOs: length, entry size or an index makes no sense");
	avpg_port_link_load(port);
	return 0;
}

/*
 * Begin anew with the device that is there, whatever it is: the application has stopped the port
 * and configures it next. The way out when a device came back that does not suit what the port was
 * configured for, and when control requests have got out of step.
 */
static int
reset(struct avpg_port *port)
{
	struct avp_err err = {0};
	int ret = avpg_queues_close(port);

	if (ret != 0)
		return ret;
	if (avpg_port_state(port) == AVPG_ATTACHED)
		avpg_ctrl_shutdown(&port->ctrl);
	port->configured = false;
	port->told_mtu = 0;
	ret = port_take_device(port, &err);
	if (ret != 0)
		avpg_state_set(port, AVPG_FAILED);
	/* who asked for it needs no event */
	port->told_state = avpg_port_state(port);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: reset: %s", port->name, err.msg);
	else
		memcpy(port->dev->data->mac_addrs, port->info.mac, sizeof(port->info.mac));
	return ret;
}

static int
avpg_dev_reset(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	enum avpg_state state;
	int ret;

	pthread_mutex_lock(&port->ctl_lock);
	state = avpg_port_state(port);
	if (state == AVPG_GONE)
		ret = -ENODEV;
	else if (state == AVPG_DETACHED)
		ret = -EBUSY; /* the host has it */
	else
		ret = reset(port);
	avpg_port_link_refresh(port);
	pthread_mutex_unlock(&port->ctl_lock);
	return ret;
}

static const struct eth_dev_ops avpg_ops = {
		.dev_configure = avpg_dev_configure,
		.dev_start = avpg_dev_start,
		.dev_stop = avpg_dev_stop,
		.dev_close = avpg_dev_close,
		.dev_reset = avpg_dev_reset,
		.dev_set_link_up = avpg_dev_set_link_up,
		.dev_set_link_down = avpg_dev_set_link_down,
		.is_removed = avpg_dev_is_removed,
		.dev_infos_get = avpg_dev_infos_get,
		.link_update = avpg_link_update,
		.promiscuous_enable = avpg_promiscuous_enable,
		.promiscuous_disable = avpg_promiscuous_disable,
		.allmulticast_enable = avpg_allmulticast_enable,
		.allmulticast_disable = avpg_allmulticast_disable,
		.set_mc_addr_list = avpg_mc_addr_list_set,
		.mtu_set = avpg_mtu_set,
		.mac_addr_set = avpg_mac_addr_set,
		.vlan_offload_set = avpg_vlan_offload_set,
		.rx_queue_setup = avpg_rx_queue_setup,
		.rx_queue_release = avpg_rx_queue_release,
		.tx_queue_setup = avpg_tx_queue_setup,
		.tx_queue_release = avpg_tx_queue_release,
		.rx_queue_start = avpg_rx_queue_start,
		.rx_queue_stop = avpg_rx_queue_stop,
		.tx_queue_start = avpg_tx_queue_start,
		.tx_queue_stop = avpg_tx_queue_stop,
		.tx_done_cleanup = avpg_tx_done_cleanup,
		.fw_version_get = avpg_fw_version_get,
		.get_monitor_addr = avpg_get_monitor_addr,
		.eth_dev_priv_dump = avpg_priv_dump,
		.rx_queue_intr_enable = avpg_rx_intr_enable,
		.rx_queue_intr_disable = avpg_rx_intr_disable,
		.rxq_info_get = avpg_rxq_info_get,
		.txq_info_get = avpg_txq_info_get,
		.rx_burst_mode_get = avpg_burst_mode_get,
		.tx_burst_mode_get = avpg_burst_mode_get,
		.stats_get = avpg_stats_get,
		.stats_reset = avpg_stats_reset,
		.xstats_get = avpg_xstats_get,
		.xstats_get_names = avpg_xstats_get_names,
		.xstats_reset = avpg_xstats_reset,
};

/* State that needs nothing of the device. */
static int
port_init(struct avpg_port *port, struct rte_eth_dev *dev, struct avpg_hw *hw, struct avp_err *err)
{
	port->dev = dev;
	port->hw = hw;
	port->name = dev->data->name;
	atomic_init(&port->state, AVPG_ATTACHED);
	port->max_queues = hw->max_queues;
	atomic_init(&port->migrating, false);
	atomic_init(&port->promiscuous, false);
	/* what every AVP driver does, until the application says otherwise */
	atomic_init(&port->all_groups, true);
	dev->data->all_multicast = 1;
	atomic_init(&port->host_link_down, false);
	atomic_init(&port->host_mtu, 0);
	atomic_init(&port->ctrl.cancelled, false);
	port->ctrl.hw = hw;
	if (sem_init(&port->wake, 0, 0) != 0)
		return avp_err_set(err, errno, "semaphore: %s", strerror(errno));
	if (pthread_mutex_init(&port->ctl_lock, NULL) != 0) {
		sem_destroy(&port->wake);
		return avp_err_set(err, ENOMEM, "no lock");
	}
	return 0;
}

int
avpg_ethdev_init(struct rte_eth_dev *dev, struct avpg_hw *hw, struct avp_err *err)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = port_init(port, dev, hw, err);

	if (ret != 0)
		return ret;
	ret = port_take_device(port, err);
	if (ret != 0)
		goto err_fini;
	dev->data->mac_addrs = rte_zmalloc("avpg_mac", sizeof(struct rte_ether_addr), 0);
	if (dev->data->mac_addrs == NULL) {
		ret = avp_err_set(err, ENOMEM, "no memory for the MAC address");
		goto err_fini;
	}
	memcpy(dev->data->mac_addrs, port->info.mac, sizeof(struct rte_ether_addr));
	dev->dev_ops = &avpg_ops;
	dev->rx_pkt_burst = avpg_rx_burst;
	dev->tx_pkt_burst = avpg_tx_burst;
	dev->rx_queue_count = avpg_rx_queue_count;
	dev->rx_descriptor_status = avpg_rx_descriptor_status;
	dev->tx_descriptor_status = avpg_tx_descriptor_status;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV |
			RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	ret = avpg_migrate_start(port, err);
	if (ret != 0)
		goto err_fini; /* the rest is freed with the ethdev */
	AVPG_LOG(INFO, "%s: \"%s\" version %u.%u.%u: %u rx and %u tx queues, packets to %u bytes",
			port->name, port->info.name, port->info.version >> 16,
			port->info.version >> 8 & 0xff, port->info.version & 0xff,
			port->info.max_rx_queues, port->info.max_tx_queues, port->info.max_rx_size);
	if (avpg_port_state(port) == AVPG_DETACHED)
		AVPG_LOG(NOTICE, "%s: detached by the host: link down until it attaches",
				port->name);
	return 0;

err_fini:
	pthread_mutex_destroy(&port->ctl_lock);
	sem_destroy(&port->wake);
	return ret;
}
