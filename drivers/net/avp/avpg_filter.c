/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Which packets the guest driver receives: own address, broadcast, groups, everything.
 *
 * The device knows nothing of addresses, so bursts filter (avpg_rx.c). As every AVP driver does,
 * this one receives all groups until the application says otherwise: all-multicast is on from the
 * start. When it is off, the list of groups counts.
 */

#include <errno.h>
#include <string.h>

#include <rte_ether.h>

#include "avpg_port.h"

int
avpg_promiscuous_enable(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	atomic_store_explicit(&port->promiscuous, true, memory_order_relaxed);
	return 0;
}

int
avpg_promiscuous_disable(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	atomic_store_explicit(&port->promiscuous, false, memory_order_relaxed);
	return 0;
}

int
avpg_allmulticast_enable(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	atomic_store_explicit(&port->all_groups, true, memory_order_relaxed);
	return 0;
}

int
avpg_allmulticast_disable(struct rte_eth_dev *dev)
{
	struct avpg_port *port = dev->data->dev_private;

	atomic_store_explicit(&port->all_groups, false, memory_order_relaxed);
	return 0;
}

static int
groups_check(const struct avpg_port *port, const struct rte_ether_addr *groups, uint32_t nb_groups)
{
	if (nb_groups > AVPG_MAX_GROUPS) {
		AVPG_LOG(ERR, "%s: %u multicast addresses: at most %u", port->name, nb_groups,
				AVPG_MAX_GROUPS);
		return -ENOSPC;
	}
	for (uint32_t i = 0; i < nb_groups; i++) {
		if (rte_is_multicast_ether_addr(&groups[i]))
			continue;
		AVPG_LOG(ERR, "%s: multicast address " RTE_ETHER_ADDR_PRT_FMT ": not of a group",
				port->name, RTE_ETHER_ADDR_BYTES(&groups[i]));
		return -EINVAL;
	}
	return 0;
}

int
avpg_mc_addr_list_set(struct rte_eth_dev *dev, struct rte_ether_addr *groups, uint32_t nb_groups)
{
	struct avpg_port *port = dev->data->dev_private;
	int ret = groups_check(port, groups, nb_groups);

	if (ret != 0)
		return ret;
	pthread_mutex_lock(&port->ctl_lock);
	ret = avpg_queues_close(port);
	if (ret == 0) {
		if (nb_groups > 0)
			memcpy(port->groups, groups, nb_groups * sizeof(*groups));
		port->nb_groups = nb_groups;
	}
	avpg_queues_reopen(port);
	pthread_mutex_unlock(&port->ctl_lock);
	return ret;
}

int
avpg_mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	struct avpg_port *port = dev->data->dev_private;

	if (rte_is_same_ether_addr(mac, &dev->data->mac_addrs[0]))
		return 0;
	AVPG_LOG(ERR, "%s: MAC address: the device's, it cannot be changed", port->name);
	return -ENOTSUP;
}
