/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The vdev driver net_avp_host: probe, remove, and the ethdev operations. What they change they
 * change on the control thread, by way of avp_loop_call(), so that it cannot meet a guest that
 * comes or goes.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_malloc.h>

#include "avph_log.h"
#include "avph_port.h"

/* Bytes of a packet around its MTU: Ethernet header and two VLAN tags, as in AVP_MAX_PKT_SIZE. */
#define MTU_OVERHEAD (sizeof(struct rte_ether_hdr) + 2 * sizeof(struct rte_vlan_hdr))

static struct avph_port *
dev_port(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* Run @fn on the control thread. */
static int
port_call(struct avph_port *port, int (*fn)(void *port))
{
	return avp_loop_call(port->process->loop, fn, port);
}

/*
 * Configure, start, stop
 */

static int
configure_on_loop(void *arg)
{
	struct avph_port *port = arg;

	port->nb_rx_queues = port->eth_dev->data->nb_rx_queues;
	port->nb_tx_queues = port->eth_dev->data->nb_tx_queues;
	avph_port_update(port);
	return 0;
}

static int
avph_dev_configure(struct rte_eth_dev *dev)
{
	return port_call(dev_port(dev), configure_on_loop);
}

static int
start_on_loop(void *arg)
{
	struct avph_port *port = arg;

	port->started = true;
	avph_port_update(port);
	avph_port_link_report(port, true);
	return 0;
}

static int
avph_dev_start(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;

	data->scattered_rx = 1;
	for (uint16_t i = 0; i < data->nb_rx_queues; i++)
		data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	for (uint16_t i = 0; i < data->nb_tx_queues; i++)
		data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STARTED;
	return port_call(dev_port(dev), start_on_loop);
}

static int
stop_on_loop(void *arg)
{
	struct avph_port *port = arg;

	port->started = false;
	avph_port_update(port);
	avph_port_link_report(port, false);
	return 0;
}

static int
avph_dev_stop(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;
	int ret = port_call(dev_port(dev), stop_on_loop);

	for (uint16_t i = 0; i < data->nb_rx_queues; i++)
		data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (uint16_t i = 0; i < data->nb_tx_queues; i++)
		data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	return ret;
}

static int
link_up_on_loop(void *arg)
{
	struct avph_port *port = arg;

	port->link_wanted = true;
	avph_port_update(port);
	avph_port_link_report(port, true);
	return 0;
}

static int
link_down_on_loop(void *arg)
{
	struct avph_port *port = arg;

	port->link_wanted = false;
	avph_port_update(port);
	avph_port_link_report(port, true);
	return 0;
}

static int
avph_dev_set_link_up(struct rte_eth_dev *dev)
{
	return port_call(dev_port(dev), link_up_on_loop);
}

static int
avph_dev_set_link_down(struct rte_eth_dev *dev)
{
	return port_call(dev_port(dev), link_down_on_loop);
}

/* The control thread keeps the link's state in dev->data: there is nothing to ask for. */
static int
avph_link_update(struct rte_eth_dev *dev, int wait_to_complete)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(wait_to_complete);
	return 0;
}

/*
 * Queues
 */

struct queue_args {
	struct avph_port *port;
	void *rx;
	void *tx;
	uint16_t id;
};

static int
set_rx_on_loop(void *arg)
{
	const struct queue_args *args = arg;
	struct avph_port *port = args->port;

	avph_port_shut(port);
	port->rx_queues[args->id] = args->rx;
	avph_port_update(port);
	return 0;
}

static int
set_tx_on_loop(void *arg)
{
	const struct queue_args *args = arg;
	struct avph_port *port = args->port;

	avph_port_shut(port);
	port->tx_queues[args->id] = args->tx;
	avph_port_update(port);
	return 0;
}

/* May packets be received into @mp? */
static int
rx_pool_check(const struct avph_port *port, struct rte_mempool *mp)
{
	if (mp == NULL) {
		AVPH_LOG(ERR, "%s: receive queue without a mempool", port->name);
		return -EINVAL;
	}
	if (mp == port->pool->mp)
		return 0;
	/* the own ones of other ports among them */
	if (rte_pktmbuf_priv_flags(mp) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) {
		AVPH_LOG(ERR, "%s: mempool %s: its mbufs have buffers pinned to them", port->name,
				mp->name);
		return -EINVAL;
	}
	return 0;
}

static int
avph_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int numa_node,
		const struct rte_eth_rxconf *conf, struct rte_mempool *mp)
{
	struct avph_port *port = dev_port(dev);
	const uint64_t offloads = dev->data->dev_conf.rxmode.offloads | conf->offloads;
	struct avph_rx_queue *queue;
	struct queue_args args;
	int ret = rx_pool_check(port, mp);

	RTE_SET_USED(nb_desc); /* the FIFO's length is the device's: ring= */
	if (ret < 0)
		return ret;
	queue = rte_zmalloc_socket("avph_rxq", sizeof(*queue), RTE_CACHE_LINE_SIZE, (int)numa_node);
	if (queue == NULL)
		return -ENOMEM;
	avp_gate_init(&queue->gate);
	queue->mem = port->mem;
	queue->fixed_pool = port->pool->mp;
	queue->app_pool = mp == port->pool->mp ? NULL : mp;
	queue->port_id = dev->data->port_id;
	queue->queue_id = id;
	queue->vlan_strip = (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	args = (struct queue_args){port, .rx = queue, .id = id};
	dev->data->rx_queues[id] = queue;
	return avp_loop_call(port->process->loop, set_rx_on_loop, &args);
}

static int
avph_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int numa_node,
		const struct rte_eth_txconf *conf)
{
	struct avph_port *port = dev_port(dev);
	struct avph_tx_queue *queue;
	struct queue_args args;

	RTE_SET_USED(nb_desc);
	RTE_SET_USED(conf);
	queue = rte_zmalloc_socket("avph_txq", sizeof(*queue), RTE_CACHE_LINE_SIZE, (int)numa_node);
	if (queue == NULL)
		return -ENOMEM;
	avp_gate_init(&queue->gate);
	queue->mem = port->mem;
	queue->intr = &port->intr;
	queue->fixed_pool = port->pool->mp;
	queue->queue_id = id;
	args = (struct queue_args){port, .tx = queue, .id = id};
	dev->data->tx_queues[id] = queue;
	return avp_loop_call(port->process->loop, set_tx_on_loop, &args);
}

static void
avph_rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	struct avph_port *port = dev_port(dev);
	struct queue_args args = {port, .id = id};

	if (dev->data->rx_queues[id] == NULL)
		return;
	avp_loop_call(port->process->loop, set_rx_on_loop, &args);
	rte_free(dev->data->rx_queues[id]);
	dev->data->rx_queues[id] = NULL;
}

static void
avph_tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	struct avph_port *port = dev_port(dev);
	struct queue_args args = {port, .id = id};

	if (dev->data->tx_queues[id] == NULL)
		return;
	avp_loop_call(port->process->loop, set_tx_on_loop, &args);
	rte_free(dev->data->tx_queues[id]);
	dev->data->tx_queues[id] = NULL;
}

static void
avph_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info)
{
	const struct avph_port *port = dev_port(dev);
	const struct avph_rx_queue *queue = dev->data->rx_queues[id];

	info->mp = queue->app_pool != NULL ? queue->app_pool : queue->fixed_pool;
	info->scattered_rx = 1;
	info->nb_desc = (uint16_t)port->layout.ring_len;
	info->conf.offloads = queue->vlan_strip ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0;
}

static void
avph_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	RTE_SET_USED(id);
	info->nb_desc = (uint16_t)dev_port(dev)->layout.ring_len;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

static int
avph_rx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	const struct avph_rx_queue *queue = dev->data->rx_queues[id];

	if (queue == NULL)
		return -EINVAL;
	snprintf(mode->info, sizeof(mode->info), "%s",
			queue->app_pool == NULL ? "fixed mbufs" : "attached buffers");
	return 0;
}

static int
avph_tx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	if (dev->data->tx_queues[id] == NULL)
		return -EINVAL;
	snprintf(mode->info, sizeof(mode->info), "%s",
			dev_port(dev)->args.domain[0] != '\0' ? "by pointer within the domain"
							      : "by copy");
	return 0;
}

static AVP_RX_QUEUE_COUNT_RET
avph_rx_queue_count(void *queue)
{
	return (AVP_RX_QUEUE_COUNT_RET)avph_rx_pending(queue);
}

static int
avph_tx_done_cleanup(void *queue, uint32_t free_cnt)
{
	RTE_SET_USED(free_cnt); /* all that the guest has returned: it is not more work */
	return (int)avph_tx_reap(queue);
}

/*
 * What the port is and does
 */

static int
avph_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct avph_port *port = dev_port(dev);

	info->max_mac_addrs = 1;
	/* guests may send more than mru, which is what they can be sent */
	info->max_rx_pktlen = port->args.mru;
	info->max_mtu = (uint16_t)(port->args.mru - MTU_OVERHEAD);
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_rx_queues = AVPH_MAX_APP_QUEUES;
	info->max_tx_queues = AVPH_MAX_APP_QUEUES;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_SCATTER;
	info->rx_queue_offload_capa = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	info->speed_capa = 0;
	info->default_rxportconf.ring_size = (uint16_t)port->layout.ring_len;
	info->default_rxportconf.nb_queues = (uint16_t)port->layout.nb_queues;
	info->default_rxportconf.burst_size = AVPH_BURST;
	info->default_txportconf = info->default_rxportconf;
	return 0;
}

/* All packets reach us as it is. */
static int
avph_accept_all(struct rte_eth_dev *dev)
{
	RTE_SET_USED(dev);
	return 0;
}

struct mtu_args {
	struct avph_port *port;
	uint16_t mtu;
};

static int
mtu_set_on_loop(void *arg)
{
	const struct mtu_args *args = arg;

	args->port->mtu = args->mtu;
	avph_port_tell_host(args->port);
	return 0;
}

/* A limit for what the application sends, which ethdev has checked against max_mtu, and for the
 * guest, which is told. */
static int
avph_mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
	struct avph_port *port = dev_port(dev);
	struct mtu_args args = {port, mtu};

	return avp_loop_call(port->process->loop, mtu_set_on_loop, &args);
}

static int
vlan_strip_on_loop(void *arg)
{
	struct avph_port *port = arg;
	const uint64_t offloads = port->eth_dev->data->dev_conf.rxmode.offloads;

	avph_port_shut(port);
	for (unsigned int i = 0; i < port->nb_rx_queues; i++) {
		if (port->rx_queues[i] != NULL)
			port->rx_queues[i]->vlan_strip =
					(offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	}
	avph_port_update(port);
	return 0;
}

static int
avph_vlan_offload_set(struct rte_eth_dev *dev, int mask)
{
	if ((mask & RTE_ETH_VLAN_STRIP_MASK) == 0)
		return 0;
	return port_call(dev_port(dev), vlan_strip_on_loop);
}

static int
avph_stats_get(AVP_STATS_GET_PARAMS)
{
	avph_stats_sum(dev, stats);
	return 0;
}

/*
 * Life
 */

static int
close_on_loop(void *arg)
{
	avph_port_close(arg);
	return 0;
}

static int
avph_dev_close(struct rte_eth_dev *dev)
{
	struct avph_port *port = dev_port(dev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	avph_telemetry_remove(port);
	/* queues first: to let go of one updates the port, which needs its memory */
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		avph_rx_queue_release(dev, i);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		avph_tx_queue_release(dev, i);
	port_call(port, close_on_loop);
	avph_process_put(port->process);
	AVPH_LOG(INFO, "%s: closed", port->name);
	/* it is in dev_private, which ethdev frees */
	dev->data->mac_addrs = NULL;
	return 0;
}

static const struct eth_dev_ops avph_ops = {
		.dev_configure = avph_dev_configure,
		.dev_start = avph_dev_start,
		.dev_stop = avph_dev_stop,
		.dev_set_link_up = avph_dev_set_link_up,
		.dev_set_link_down = avph_dev_set_link_down,
		.dev_close = avph_dev_close,
		.link_update = avph_link_update,
		.promiscuous_enable = avph_accept_all,
		.promiscuous_disable = avph_accept_all,
		.allmulticast_enable = avph_accept_all,
		.allmulticast_disable = avph_accept_all,
		.mtu_set = avph_mtu_set,
		.stats_get = avph_stats_get,
		.stats_reset = avph_stats_reset,
		.xstats_get = avph_xstats_get,
		.xstats_reset = avph_stats_reset,
		.xstats_get_names = avph_xstats_get_names,
		.dev_infos_get = avph_dev_infos_get,
		.rxq_info_get = avph_rxq_info_get,
		.txq_info_get = avph_txq_info_get,
		.rx_burst_mode_get = avph_rx_burst_mode_get,
		.tx_burst_mode_get = avph_tx_burst_mode_get,
		.vlan_offload_set = avph_vlan_offload_set,
		.rx_queue_setup = avph_rx_queue_setup,
		.rx_queue_release = avph_rx_queue_release,
		.tx_queue_setup = avph_tx_queue_setup,
		.tx_queue_release = avph_tx_queue_release,
		.tx_done_cleanup = avph_tx_done_cleanup,
};

struct avph_port *
avph_port_by_id(uint16_t port_id)
{
	if (!rte_eth_dev_is_valid_port(port_id) || rte_eth_devices[port_id].dev_ops != &avph_ops)
		return NULL;
	return dev_port(&rte_eth_devices[port_id]);
}

struct open_args {
	struct avph_port *port;
	struct avp_err *err;
};

static int
open_on_loop(void *arg)
{
	const struct open_args *args = arg;

	return avph_port_open(args->port, args->err);
}

/* Fill in what ethdev needs to know before the port is seen. */
static void
dev_init(struct rte_eth_dev *dev, struct avph_port *port)
{
	struct rte_eth_dev_data *data = dev->data;

	data->mac_addrs = &port->mac;
	data->dev_link.link_speed = RTE_ETH_SPEED_NUM_NONE;
	data->dev_link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	data->dev_link.link_autoneg = RTE_ETH_LINK_FIXED;
	data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	data->dev_flags |= RTE_ETH_DEV_INTR_LSC;
	data->promiscuous = 1;
	data->all_multicast = 1;
	dev->dev_ops = &avph_ops;
	dev->rx_pkt_burst = avph_rx_burst;
	dev->tx_pkt_burst = avph_tx_burst;
	dev->rx_queue_count = avph_rx_queue_count;
}

static int
dev_create(struct rte_vdev_device *vdev, const struct avph_args *args, struct avp_err *err)
{
	const char *name = rte_vdev_device_name(vdev);
	struct rte_eth_dev *dev;
	struct avph_port *port;
	struct open_args open_args;
	int ret;

	if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = (int)rte_socket_id();
	dev = rte_eth_vdev_allocate(vdev, sizeof(*port));
	if (dev == NULL)
		return avp_err_set(err, ENOMEM, "%s: no memory or number for a port", name);
	port = dev_port(dev);
	snprintf(port->name, sizeof(port->name), "%s", name);
	port->eth_dev = dev;
	port->args = *args;
	port->mac = args->mac;
	port->process = avph_process_get(err);
	if (port->process == NULL) {
		ret = -err->code;
		goto err_release;
	}
	dev_init(dev, port);
	open_args = (struct open_args){port, err};
	ret = avp_loop_call(port->process->loop, open_on_loop, &open_args);
	if (ret < 0)
		goto err_put;
	avph_telemetry_add(port);
	rte_eth_dev_probing_finish(dev);
	return 0;

err_put:
	avph_process_put(port->process);
err_release:
	dev->data->mac_addrs = NULL;
	rte_eth_dev_release_port(dev);
	return ret;
}

static int
avph_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct avp_err err = {0};
	struct avph_args args;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		AVPH_LOG(ERR, "%s: secondary process: only the primary process can have this port",
				name);
		return -ENOTSUP;
	}
	ret = avph_args_parse(&args, name, rte_vdev_device_args(vdev), &err);
	if (ret == 0)
		ret = dev_create(vdev, &args, &err);
	if (ret < 0) {
		AVPH_LOG(ERR, "%s", err.msg);
		return ret;
	}
	AVPH_LOG(INFO, "%s: listening on %s: %u queues, ring %u, %u buffers", name, args.socket,
			args.queues, args.ring, args.buffers);
	return 0;
}

static int
avph_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL)
		return 0; /* closed before */
	avph_dev_close(dev);
	return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver avph_driver = {
		.probe = avph_probe,
		.remove = avph_remove,
};

RTE_PMD_REGISTER_VDEV(net_avp_host, avph_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_avp_host,
		"socket=<path> queues=<1-8> ring=<64-4096> buffers=<n> mac=<address> mru=<90-9238> "
		"vlan_offload=<0|1> recycle=<0|1> compact=<0|1> incoming=<0|1> domain=<name> "
		"domain_size=<MiB> "
		"mode=<octal> "
		"owner=<user> "
		"group=<group>");
