/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Link and MTU of a port: what the application wants, and what the host says of its end.
 *
 * How it works
 * A device with AVP_FEATURE_LINK_EVENTS has two registers for the host's end, and interrupts when
 * they change. The port's thread reads them then (avpg_migrate.c), and after each configuration;
 * all others use what it has read, since to read a register is a system call or a trap. The link is
 * up when both ends want it. The MTU is what the application wants, or the host's limit where that
 * is less, and the device is told of it again.
 */

#include <string.h>

#include "avpg_port.h"

bool
avpg_port_link_refresh(struct avpg_port *port)
{
	struct rte_eth_link link = {
			.link_speed = RTE_ETH_SPEED_NUM_UNKNOWN,
			.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
			.link_autoneg = RTE_ETH_LINK_FIXED,
			.link_status = RTE_ETH_LINK_DOWN,
	};

	if (avpg_port_wants_link(port) && avpg_port_state(port) == AVPG_ATTACHED &&
			!atomic_load_explicit(&port->host_link_down, memory_order_relaxed))
		link.link_status = RTE_ETH_LINK_UP;
	return rte_eth_linkstatus_set(port->dev, &link) == 0;
}

int
avpg_link_update(struct rte_eth_dev *dev, int wait_to_complete __rte_unused)
{
	return avpg_port_link_refresh(dev->data->dev_private) ? 0 : -1;
}

uint16_t
avpg_port_max_mtu(const struct avpg_port *port)
{
	const uint32_t host_mtu = atomic_load_explicit(
			&((struct avpg_port *)(uintptr_t)port)->host_mtu, memory_order_relaxed);
	uint32_t mtu = RTE_MIN(port->info.max_rx_size - RTE_ETHER_HDR_LEN, (uint32_t)AVPG_MAX_MTU);

	/* a host that wants less than any link must carry is not listened to */
	if (host_mtu >= RTE_ETHER_MIN_MTU)
		mtu = RTE_MIN(mtu, host_mtu);
	return (uint16_t)mtu;
}

/* True: the host's link has changed. */
static bool
host_load(struct avpg_port *port)
{
	struct avpg_hw *hw = port->hw;
	uint32_t status = AVP_LINK_UNKNOWN;
	uint32_t mtu = 0;
	bool down;

	if ((port->info.features & AVP_FEATURE_LINK_EVENTS) != 0 &&
			(hw->ops->read32(hw, AVP_REG_LINK_STATUS, &status) != 0 ||
					hw->ops->read32(hw, AVP_REG_LINK_MTU, &mtu) != 0))
		return false;
	down = status == AVP_LINK_DOWN;
	atomic_store_explicit(&port->host_mtu, mtu, memory_order_relaxed);
	return atomic_exchange_explicit(&port->host_link_down, down, memory_order_relaxed) != down;
}

void
avpg_port_link_load(struct avpg_port *port)
{
	host_load(port);
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

bool
avpg_port_mtu_follow(struct avpg_port *port)
{
	uint16_t mtu = RTE_MIN(port->app_mtu, avpg_port_max_mtu(port));
	uint16_t old = port->dev->data->mtu;

	port->dev->data->mtu = mtu;
	tell_mtu(port);
	if (mtu != old)
		AVPG_LOG(NOTICE, "%s: mtu %u: as the host allows, after %u", port->name, mtu, old);
	return mtu != old;
}

bool
avpg_port_link_event(struct avpg_port *port)
{
	bool changed = host_load(port) && avpg_port_wants_link(port);

	if (port->configured)
		changed |= avpg_port_mtu_follow(port);
	return changed;
}
