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

#include <rte_ether.h>
#include <rte_malloc.h>

#include "avpg_port.h"

int avpg_logtype;

RTE_INIT(avpg_log_init)
{
	avpg_logtype = rte_log_register_type_and_pick_level("pmd.net.avp", RTE_LOG_NOTICE);
	if (avpg_logtype < 0)
		avpg_logtype = RTE_LOGTYPE_EAL;
}

#define RX_OFFLOADS (RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_SCATTER)
#define TX_OFFLOADS (RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)

static const char *
state_text(enum avpg_state state)
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

/* Begin an operation that talks to the device. 0, or -errno and nothing to undo. */
static int
ctl_begin(struct avpg_port *port, const char *what)
{
	enum avpg_state state;

	if (pthread_mutex_trylock(&port->ctl_lock) != 0) {
		AVPG_LOG(WARNING, "%s: %s: busy with a detach or attach, try again", port->name,
				what);
		return -EBUSY;
	}
	state = avpg_port_state(port);
	if (state == AVPG_ATTACHED)
		return 0;
	pthread_mutex_unlock(&port->ctl_lock);
	AVPG_LOG(WARNING, "%s: %s: refused: %s", port->name, what, state_text(state));
	return state == AVPG_GONE ? -ENODEV : -EBUSY;
}

static void
ctl_end(struct avpg_port *port)
{
	pthread_mutex_unlock(&port->ctl_lock);
}

bool
avpg_port_link_refresh(struct avpg_port *port)
{
	struct rte_eth_link link = {
			.link_speed = RTE_ETH_SPEED_NUM_UNKNOWN,
			.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
			.link_autoneg = RTE_ETH_LINK_FIXED,
			.link_status = RTE_ETH_LINK_DOWN,
	};

	if (avpg_port_wants_link(port) && avpg_port_state(port) == AVPG_ATTACHED)
		link.link_status = RTE_ETH_LINK_UP;
	return rte_eth_linkstatus_set(port->dev, &link) == 0;
}

void
avpg_port_gone(struct avpg_port *port)
{
	if (atomic_exchange(&port->state, AVPG_GONE) == AVPG_GONE)
		return;
	atomic_store(&port->ctrl.cancelled, true);
	sem_post(&port->wake);
}

/* Tell the device of an MTU that it does not know; that it refuses is no reason to stop. */
static void
tell_mtu(struct avpg_port *port)
{
	uint16_t mtu = port->dev->data->mtu;
	int ret;

	if (mtu == port->told_mtu || (port->told_mtu == 0 && mtu == RTE_ETHER_MTU))
		return;
	ret = avpg_ctrl_set_mtu(&port->ctrl, mtu);
	if (ret == 0)
		port->told_mtu = mtu;
	else
		AVPG_LOG(WARNING, "%s: mtu %u: not taken by the device: %s", port->name, mtu,
				avpg_ctrl_error(ret));
}

int
avpg_port_configure(struct avpg_port *port)
{
	uint64_t offloads = port->dev->data->dev_conf.rxmode.offloads;
	struct avp_config config;
	int ret;

	port->features = 0;
	if ((offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0)
		port->features |= port->info.features & AVP_FEATURE_VLAN;
	port->nb_rx_fifos = (uint8_t)RTE_MAX(port->nb_rx_queues, port->info.min_rx_queues);
	port->nb_tx_fifos = (uint8_t)RTE_MAX(port->nb_tx_queues, port->info.min_tx_queues);
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
		return ret;
	}
	tell_mtu(port);
	return 0;
}

static int
avpg_dev_configure(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = ctl_begin(port, "configure");

	if (ret != 0)
		return ret;
	port->configured = false;
	port->nb_rx_queues = (uint8_t)dev->data->nb_rx_queues;
	port->nb_tx_queues = (uint8_t)dev->data->nb_tx_queues;
	ret = avpg_port_configure(port);
	port->configured = ret == 0;
	ctl_end(port);
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

static void
queue_states_set(struct rte_eth_dev_data *data, uint8_t state)
{
	for (uint16_t i = 0; i < data->nb_rx_queues; i++)
		data->rx_queue_state[i] = state;
	for (uint16_t i = 0; i < data->nb_tx_queues; i++)
		data->tx_queue_state[i] = state;
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

/* Bursts out, and interface down. What the device says to it changes nothing for us. */
static void
link_off(struct avpg_port *port)
{
	int ret;

	avpg_queues_close(port);
	if (avpg_port_state(port) != AVPG_ATTACHED)
		return;
	ret = avpg_ctrl_set_link(&port->ctrl, false);
	if (ret != 0)
		AVPG_LOG(WARNING, "%s: link down: %s", port->name, avpg_ctrl_error(ret));
}

static int
avpg_dev_start(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = ctl_begin(port, "start");

	if (ret != 0)
		return ret;
	ret = port->configured ? queues_check(port) : -EINVAL;
	if (ret == 0)
		ret = link_on(port);
	if (ret == 0) {
		port->started = true;
		port->link_off = false;
		queue_states_set(dev->data, RTE_ETH_QUEUE_STATE_STARTED);
		avpg_port_link_refresh(port);
	}
	ctl_end(port);
	return ret;
}

static int
avpg_dev_stop(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	pthread_mutex_lock(&port->ctl_lock);
	if (avpg_port_wants_link(port))
		link_off(port);
	port->started = false;
	queue_states_set(dev->data, RTE_ETH_QUEUE_STATE_STOPPED);
	avpg_port_link_refresh(port);
	pthread_mutex_unlock(&port->ctl_lock);
	return 0;
}

static int
avpg_dev_set_link_up(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = ctl_begin(port, "link up");

	if (ret != 0)
		return ret;
	if (!port->started)
		ret = -EINVAL;
	else if (port->link_off)
		ret = link_on(port);
	if (ret == 0)
		port->link_off = false;
	avpg_port_link_refresh(port);
	ctl_end(port);
	return ret;
}

static int
avpg_dev_set_link_down(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = ctl_begin(port, "link down");

	if (ret != 0)
		return ret;
	if (avpg_port_wants_link(port))
		link_off(port);
	port->link_off = port->started;
	avpg_port_link_refresh(port);
	ctl_end(port);
	return 0;
}

static int
avpg_dev_close(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	avpg_migrate_stop(port);
	avpg_queues_close(port);
	if (avpg_port_state(port) == AVPG_ATTACHED) {
		ret = avpg_ctrl_shutdown(&port->ctrl);
		if (ret != 0)
			AVPG_LOG(WARNING, "%s: shut down: %s", port->name, avpg_ctrl_error(ret));
	}
	for (uint16_t i = 0; i < AVP_MAX_QUEUES; i++) {
		if (port->rxqs[i] != NULL)
			avpg_rx_queue_release(dev, i);
		if (port->txqs[i] != NULL)
			avpg_tx_queue_release(dev, i);
	}
	/* first: until then the bus may still find out that the device is gone, and wake the thread
	 */
	port->hw->ops->destroy(port->hw);
	port->hw = NULL;
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

/* The least of what the device has and what the user wants. */
static uint16_t
queue_limit(const struct avpg_port *port, uint8_t device_max)
{
	uint32_t wanted = port->hw->max_queues;

	return (uint16_t)(wanted == 0 ? device_max : RTE_MIN(wanted, (uint32_t)device_max));
}

static int
avpg_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	struct avpg_port *port = dev->data->dev_private;
	struct rte_eth_desc_lim lim = {.nb_min = 1, .nb_max = UINT16_MAX, .nb_align = 1};

	/* not under ctl_lock: of the fields read here an attach changes none to one that is wrong
	 */
	info->max_rx_queues = queue_limit(port, port->info.max_rx_queues);
	info->max_tx_queues = queue_limit(port, port->info.max_tx_queues);
	info->max_mac_addrs = 1;
	info->min_rx_bufsize = AVPG_MIN_MBUF_ROOM;
	info->max_rx_pktlen = port->info.max_rx_size;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = (uint16_t)RTE_MIN(
			port->info.max_rx_size - RTE_ETHER_HDR_LEN, (uint32_t)AVPG_MAX_MTU);
	info->rx_offload_capa = RX_OFFLOADS;
	info->tx_offload_capa = TX_OFFLOADS;
	/* a FIFO's length is the host's choice; any number of descriptors is taken for it */
	info->rx_desc_lim = lim;
	info->tx_desc_lim = lim;
	info->tx_desc_lim.nb_seg_max = UINT16_MAX;
	info->tx_desc_lim.nb_mtu_seg_max = UINT16_MAX;
	info->default_rxportconf.burst_size = AVPG_BURST;
	info->default_txportconf.burst_size = AVPG_BURST;
	info->default_rxportconf.nb_queues = 1;
	info->default_txportconf.nb_queues = 1;
	return 0;
}

static int
avpg_link_update(struct rte_eth_dev *dev, int wait_to_complete __rte_unused)
{
	return avpg_port_link_refresh(dev->data->dev_private) ? 0 : -1;
}

static int
avpg_promiscuous_enable(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	atomic_store_explicit(&port->promiscuous, true, memory_order_relaxed);
	return 0;
}

static int
avpg_promiscuous_disable(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	atomic_store_explicit(&port->promiscuous, false, memory_order_relaxed);
	return 0;
}

/* Packets to any group are received at all times, as every AVP driver does. */
static int
avpg_allmulticast_set(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}

static int
avpg_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = ctl_begin(port, "set mtu");

	if (ret != 0)
		return ret;
	if (port->configured)
		ret = avpg_ctrl_set_mtu(&port->ctrl, mtu);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: mtu %u: %s", port->name, mtu, avpg_ctrl_error(ret));
	else if (port->configured)
		port->told_mtu = mtu;
	ctl_end(port);
	return ret;
}

static int
avpg_mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	struct avpg_port *port = dev->data->dev_private;

	if (rte_is_same_ether_addr(mac, &dev->data->mac_addrs[0]))
		return 0;
	AVPG_LOG(ERR, "%s: MAC address: the device's, it cannot be changed", port->name);
	return -ENOTSUP;
}

static int
avpg_vlan_offload_set(struct rte_eth_dev *dev, int mask)
{
	struct avpg_port *port = dev->data->dev_private;
	bool up;
	int ret;

	if ((mask & RTE_ETH_VLAN_STRIP_MASK) == 0)
		return 0;
	ret = ctl_begin(port, "VLAN offload");
	if (ret != 0)
		return ret;
	up = avpg_port_wants_link(port);
	/* the device learns it as a new configuration: what the FIFOs hold is lost */
	ret = avpg_queues_close(port);
	if (ret == 0 && port->configured)
		ret = avpg_port_configure(port);
	if (ret == 0 && up)
		ret = avpg_queues_reload(port);
	if (ret == 0 && up)
		avpg_queues_open(port);
	ctl_end(port);
	return ret;
}

static int
avpg_burst_mode_get(struct rte_eth_dev *dev __rte_unused, uint16_t queue_id __rte_unused,
		struct rte_eth_burst_mode *mode)
{
	snprintf(mode->info, sizeof(mode->info), "by copy");
	return 0;
}

static const struct eth_dev_ops avpg_ops = {
		.dev_configure = avpg_dev_configure,
		.dev_start = avpg_dev_start,
		.dev_stop = avpg_dev_stop,
		.dev_close = avpg_dev_close,
		.dev_set_link_up = avpg_dev_set_link_up,
		.dev_set_link_down = avpg_dev_set_link_down,
		.is_removed = avpg_dev_is_removed,
		.dev_infos_get = avpg_dev_infos_get,
		.link_update = avpg_link_update,
		.promiscuous_enable = avpg_promiscuous_enable,
		.promiscuous_disable = avpg_promiscuous_disable,
		.allmulticast_enable = avpg_allmulticast_set,
		.allmulticast_disable = avpg_allmulticast_set,
		.mtu_set = avpg_mtu_set,
		.mac_addr_set = avpg_mac_addr_set,
		.vlan_offload_set = avpg_vlan_offload_set,
		.rx_queue_setup = avpg_rx_queue_setup,
		.rx_queue_release = avpg_rx_queue_release,
		.tx_queue_setup = avpg_tx_queue_setup,
		.tx_queue_release = avpg_tx_queue_release,
		.rxq_info_get = avpg_rxq_info_get,
		.txq_info_get = avpg_txq_info_get,
		.rx_burst_mode_get = avpg_burst_mode_get,
		.tx_burst_mode_get = avpg_burst_mode_get,
		.stats_get = avpg_stats_get,
		.stats_reset = avpg_stats_reset,
		.xstats_get = avpg_xstats_get,
		.xstats_get_names = avpg_xstats_get_names,
		.xstats_reset = avpg_stats_reset,
};

/* A device that is being moved is not to be touched; whoever probes it may try again later. */
static int
migration_check(struct avpg_hw *hw, struct avp_err *err)
{
	uint32_t status;
	int ret = hw->ops->read32(hw, AVP_REG_MIGRATION_STATUS, &status);

	if (ret != 0)
		return avp_err_set(
				err, -ret, "migration status: cannot be read: %s", strerror(-ret));
	if (status != AVP_MIGRATION_DETACHED)
		return 0;
	hw->ops->write32(hw, AVP_REG_MIGRATION_ACK, AVP_MIGRATION_DETACHED);
	return avp_err_set(err, EBUSY, "detached by the host: try again when it is back");
}

/* State that needs nothing of the device. */
static int
port_init(struct avpg_port *port, struct rte_eth_dev *dev, struct avpg_hw *hw, struct avp_err *err)
{
	port->dev = dev;
	port->hw = hw;
	port->name = dev->data->name;
	atomic_init(&port->state, AVPG_ATTACHED);
	atomic_init(&port->promiscuous, false);
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

/* What the device says of itself, and its control FIFOs. */
static int
port_take_device(struct avpg_port *port, struct avp_err *err)
{
	const struct rte_ether_addr *mac = (const struct rte_ether_addr *)port->info.mac;
	int ret = migration_check(port->hw, err);

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
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV |
			RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	ret = avpg_migrate_start(port, err);
	if (ret != 0)
		goto err_fini; /* the rest is freed with the ethdev */
	AVPG_LOG(INFO, "%s: \"%s\" version %u.%u.%u: %u rx and %u tx queues, packets to %u bytes",
			port->name, port->info.name, port->info.version >> 16,
			port->info.version >> 8 & 0xff, port->info.version & 0xff,
			port->info.max_rx_queues, port->info.max_tx_queues, port->info.max_rx_size);
	return 0;

err_fini:
	pthread_mutex_destroy(&port->ctl_lock);
	sem_destroy(&port->wake);
	return ret;
}
