/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Ports as DPDK devices: probing, configuring, starting, and the way back.
 */

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include "port.h"
#include "sw_log.h"

SW_LOG_TOPIC(ethdev);

#define RING_SIZE 1024u
#define AVP_DRIVER "net_avp_host"
#define EVENT_TRY_US 100u
#define EVENT_TRIES 10000u

/** What drivers want that ethdev has no word for. */
static const struct quirk {
	const char *driver;
	bool all_rxqs;     /* packets come in at every queue that exists, so poll all */
	bool rx_equals_tx; /* as many rx queues as tx queues */
	bool others_mtu;   /* ethdev takes no more than 1500, or none at all, but it is the kernel's
			    * interface that limits, or the guest's driver */
} quirks[] = {
		{"net_af_packet", .all_rxqs = true, .others_mtu = true},
		{"net_tap", .rx_equals_tx = true, .others_mtu = true},
		{"net_vhost", .others_mtu = true},
};

static const struct quirk *
find_quirk(const char *driver)
{
	static const struct quirk none;

	for (unsigned int i = 0; i < RTE_DIM(quirks); i++)
		if (strcmp(quirks[i].driver, driver) == 0)
			return &quirks[i];
	return &none;
}

/* Find the ethdev of a device that has just been probed. */
static int
find_id(const char *dev_name, uint16_t *id)
{
	uint16_t i;

	if (rte_eth_dev_get_port_by_name(dev_name, id) == 0)
		return 0;
	RTE_ETH_FOREACH_DEV (i) {
		struct rte_eth_dev_info info;

		if (rte_eth_dev_info_get(i, &info) == 0 &&
				strcmp(rte_dev_name(info.device), dev_name) == 0) {
			*id = i;
			return 0;
		}
	}
	return -ENODEV;
}

/* Undo a probe when the device is known by its name only. */
static int
remove_by_name(const struct port *port)
{
	struct rte_devargs da = {0};
	int rc = rte_devargs_parse(&da, port->device);

	if (rc == 0)
		rc = rte_eal_hotplug_remove(rte_bus_name(da.bus), da.name);
	rte_devargs_reset(&da);
	return rc;
}

/* Is the kernel's interface there that net_af_packet is to use? The driver only logs what it is. */
static int
check_iface(const struct port *port, const struct rte_devargs *da, struct avp_err *err)
{
	static const char key[] = "iface=";
	const char *arg = da->args;
	char iface[64];

	if (strncmp(da->name, "net_af_packet", 13) != 0)
		return 0;
	while (arg != NULL && strncmp(arg, key, sizeof(key) - 1) != 0) {
		arg = strchr(arg, ',');
		arg = arg != NULL ? arg + 1 : NULL;
	}
	if (arg == NULL)
		return 0;
	arg += sizeof(key) - 1;
	snprintf(iface, sizeof(iface), "%.*s", (int)strcspn(arg, ","), arg);
	if (if_nametoindex(iface) != 0 || errno != ENODEV)
		return 0;
	return avp_err_set(err, ENODEV, "%s: iface=%s: no such interface", port->name, iface);
}

static int
probe(const struct sw *sw, struct port *port, struct avp_err *err)
{
	struct rte_devargs da = {0};
	int rc = rte_devargs_parse(&da, port->device);
	char dev_name[sizeof(da.name)];
	uint16_t id;

	if (rc != 0)
		return avp_err_set(err, EINVAL, "%s: device=%.128s: no driver of DPDK's knows it",
				port->name, port->device);
	snprintf(dev_name, sizeof(dev_name), "%s", da.name);
	rc = check_iface(port, &da, err);
	rte_devargs_reset(&da);
	if (rc != 0)
		return rc;
	if (find_id(dev_name, &id) == 0 && sw->ports[id] != NULL)
		return avp_err_set(err, EEXIST, "%s: device=%s: port %s has it", port->name,
				dev_name, sw->ports[id]->name);
	if (find_id(dev_name, &id) != 0) {
		if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS)
			return avp_err_set(err, ENOSPC,
					"%s: this DPDK is built for at most %d ports "
					"(RTE_MAX_ETHPORTS)",
					port->name, RTE_MAX_ETHPORTS);
		rc = rte_dev_probe(port->device);
		/* Most drivers return -1 for whatever was wrong. */
		if (rc == -1)
			return avp_err_set(err, EIO,
					"%s: device=%.128s: its driver refused it, see the "
					"driver's "
					"message in the log",
					port->name, port->device);
		if (rc != 0)
			return avp_err_set(err, -rc,
					"%s: device=%.128s: %s, see the driver's message in the "
					"log",
					port->name, port->device, strerror(-rc));
		if (find_id(dev_name, &id) != 0) {
			remove_by_name(port);
			return avp_err_set(err, ENODEV, "%s: device=%s: is no Ethernet device",
					port->name, dev_name);
		}
	}
	port->id = id;
	return 0;
}

/* The type says whether a guest can write to received packets: it must not be wrong. */
static int
check_driver(const struct port *port, struct avp_err *err)
{
	if (port->type == PORT_TYPE_AVP || strcmp(port->driver, AVP_DRIVER) != 0)
		return 0;
	return avp_err_set(err, EINVAL, "%s: device=%.128s: " AVP_DRIVER ": add it with type=avp",
			port->name, port->device);
}

/* How many queues of each kind. */
static int
choose_queues(const struct sw *sw, struct port *port, const struct port_params *params,
		const struct rte_eth_dev_info *info, struct avp_err *err)
{
	const struct quirk *quirk = find_quirk(port->driver);
	uint16_t max_rxq = RTE_MIN(info->max_rx_queues, (uint16_t)DP_MAX_QUEUES);
	uint16_t max_txq = RTE_MIN(info->max_tx_queues, (uint16_t)DP_MAX_QUEUES);

	port->nb_txq = RTE_MIN((uint16_t)sw->conf.workers, max_txq);
	port->nb_rxq = 1;
	if (quirk->all_rxqs)
		port->nb_rxq = max_rxq;
	else if (port->type == PORT_TYPE_AVP)
		/* One for each worker: the driver deals the guest's queues out to them. */
		port->nb_rxq = RTE_MIN(sw->conf.workers, info->default_rxportconf.nb_queues);
	else if (PARAMS_GIVEN(params, PORT_PARAM_QUEUES))
		port->nb_rxq = params->queues;
	if (quirk->rx_equals_tx)
		port->nb_rxq = port->nb_txq = RTE_MAX(port->nb_rxq, port->nb_txq);
	if (port->nb_rxq > max_rxq || port->nb_txq > max_txq || port->nb_txq == 0)
		return avp_err_set(err, EINVAL, "%s: queues=%u: %s has at most %u rx and %u tx",
				port->name, port->nb_rxq, port->driver, max_rxq, max_txq);
	return 0;
}

static int
setup_queues(const struct sw *sw, struct port *port, struct avp_err *err)
{
	struct rte_mempool *pool = port_avp_mempool(port);
	uint16_t nb_rxd = RING_SIZE;
	uint16_t nb_txd = RING_SIZE;
	int socket_id = rte_eth_dev_socket_id(port->id);
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &nb_rxd, &nb_txd);

	if (pool == NULL)
		pool = sw->pool;
	for (uint16_t q = 0; rc == 0 && q < port->nb_rxq; q++)
		rc = rte_eth_rx_queue_setup(port->id, q, nb_rxd, socket_id, NULL, pool);
	if (rc != 0)
		return avp_err_set(err, -rc, "%s: rx queues: %s, see the driver's message",
				port->name, strerror(-rc));
	for (uint16_t q = 0; rc == 0 && q < port->nb_txq; q++)
		rc = rte_eth_tx_queue_setup(port->id, q, nb_txd, socket_id, NULL);
	if (rc != 0)
		return avp_err_set(err, -rc, "%s: tx queues: %s, see the driver's message",
				port->name, strerror(-rc));
	return 0;
}

static int
configure(const struct sw *sw, struct port *port, const struct port_params *params,
		const struct rte_eth_dev_info *info, struct avp_err *err)
{
	struct rte_eth_conf conf = {0};
	int rc;

	conf.rxmode.offloads = info->rx_offload_capa &
			(RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_SCATTER);
	conf.txmode.offloads = info->tx_offload_capa &
			(RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
	if (port->nb_rxq > 1 && info->flow_type_rss_offloads != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads &
				(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	}
	port->has_lsc = (*info->dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	conf.intr_conf.lsc = port->has_lsc;
	port->tx_offloads = conf.txmode.offloads;
	rc = rte_eth_dev_configure(port->id, port->nb_rxq, port->nb_txq, &conf);
	if (rc != 0)
		return avp_err_set(err, -rc, "%s: %s does not take %u rx and %u tx queues: %s",
				port->name, port->driver, port->nb_rxq, port->nb_txq,
				strerror(-rc));
	if (PARAMS_GIVEN(params, PORT_PARAM_MTU) && !find_quirk(port->driver)->others_mtu) {
		rc = rte_eth_dev_set_mtu(port->id, params->mtu);
		if (rc != 0)
			return avp_err_set(err, -rc, "%s: mtu=%u: %s refuses it: %s", port->name,
					(unsigned int)params->mtu, port->driver, strerror(-rc));
	}
	return setup_queues(sw, port, err);
}

static int
link_event(uint16_t id __rte_unused, enum rte_eth_event_type type __rte_unused, void *arg,
		void *ret __rte_unused)
{
	/* On a thread of DPDK's or of the driver's: the control thread does the work. */
	const struct sw *sw = arg;
	uint64_t one = 1;

	return write(sw->link_watch.fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static int
start(struct sw *sw, struct port *port, const struct port_params *params, struct avp_err *err)
{
	struct rte_ether_addr mac;
	int rc;

	if (port->has_lsc)
		rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_LSC, link_event, sw);
	rc = rte_eth_dev_start(port->id);
	if (rc != 0)
		return avp_err_set(err, -rc, "%s: %s does not start: %s", port->name, port->driver,
				strerror(-rc));
	port->is_started = true;
	if (port->type != PORT_TYPE_AVP) {
		rc = rte_eth_promiscuous_enable(port->id);
		if (rc != 0 && rc != -ENOTSUP)
			SW_LOG(WARNING, "%s: not promiscuous: %s", port->name, strerror(-rc));
		rte_eth_dev_set_link_up(port->id);
	}
	if (rte_eth_macaddr_get(port->id, &mac) == 0)
		memcpy(port->mac, &mac, sizeof(port->mac));
	if (PARAMS_GIVEN(params, PORT_PARAM_MTU))
		port->mtu = params->mtu;
	else if (rte_eth_dev_get_mtu(port->id, &port->mtu) != 0)
		port->mtu = RTE_ETHER_MTU;
	port->tx_max_len = port->mtu + RTE_ETHER_HDR_LEN;
	if (port_avp_max_pkt_size(port) != 0)
		port->tx_max_len = port_avp_max_pkt_size(port);
	return 0;
}

int
port_ethdev_open(struct sw *sw, struct port *port, const struct port_params *params,
		struct avp_err *err)
{
	struct rte_eth_dev_info info;
	int rc = probe(sw, port, err);

	if (rc != 0)
		return rc;
	rc = rte_eth_dev_info_get(port->id, &info);
	if (rc != 0) {
		avp_err_set(err, -rc, "%s: no device information: %s", port->name, strerror(-rc));
		goto err_close;
	}
	port->rte_dev = info.device;
	snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	rc = check_driver(port, err);
	if (rc == 0)
		rc = choose_queues(sw, port, params, &info, err);
	if (rc == 0)
		rc = configure(sw, port, params, &info, err);
	if (rc == 0)
		rc = start(sw, port, params, err);
	if (rc != 0)
		goto err_close;
	return 0;

err_close:
	port_ethdev_close(port);
	return rc;
}

/* No more link events; one that is under way on another thread is waited for. */
static void
stop_events(const struct port *port)
{
	int rc = -EAGAIN;

	for (unsigned int i = 0; rc == -EAGAIN && i < EVENT_TRIES; i++) {
		if (i > 0)
			rte_delay_us_sleep(EVENT_TRY_US);
		rc = rte_eth_dev_callback_unregister(
				port->id, RTE_ETH_EVENT_INTR_LSC, link_event, (void *)-1);
	}
	if (rc == -EAGAIN)
		SW_LOG(WARNING, "%s: a link event has not ended after %u ms", port->name,
				EVENT_TRIES * EVENT_TRY_US / 1000);
}

void
port_ethdev_close(struct port *port)
{
	int rc;

	stop_events(port);
	if (port->is_started)
		rte_eth_dev_stop(port->id);
	port->is_started = false;
	rte_eth_dev_close(port->id);
	rc = port->rte_dev != NULL ? rte_dev_remove(port->rte_dev) : remove_by_name(port);
	if (rc != 0)
		SW_LOG(WARNING, "%s: device is not removed: %s", port->name, strerror(-rc));
	port->rte_dev = NULL;
}

bool
port_ethdev_has_link(const struct port *port)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}
