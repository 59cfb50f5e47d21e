/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Which packets the guest driver receives, and in which form: stations, groups, sizes, VLAN tags,
 * as set by the application and switched while packets flow. The device is simulated.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "avpg_port_fixture.h"

#define TCI 0x6123u

static const struct rte_ether_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct rte_ether_addr other = {{0x02, 0, 0, 0, 0, 0x02}};

static struct rte_ether_addr
group(uint8_t i)
{
	return (struct rte_ether_addr){{0x01, 0, 0x5e, 0, 0, i}};
}

/* Does a packet to @dst come out? */
static bool
comes(struct avpg_fixture *f, const struct rte_ether_addr *dst)
{
	struct rte_mbuf *m;
	uint16_t nb;

	fixture_host_send(f, 0, 0, 100, 2048);
	memcpy(avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake)), dst, sizeof(*dst));
	nb = rte_eth_rx_burst(f->port_id, 0, &m, 1);
	if (nb == 1)
		rte_pktmbuf_free(m);
	/* taken in any case, and its buffer given back */
	assert_int_equal(avpg_fake_queued(&f->fake->rx[0]), 0);
	assert_true(avpg_fake_get(&f->fake->free[0], &(uint64_t){0}));
	return nb == 1;
}

static void
other_stations_come_when_promiscuous(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_ether_addr own;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_macaddr_get(f->port_id, &own), 0);
	assert_true(comes(f, &own));
	assert_true(comes(f, &broadcast));
	assert_false(comes(f, &other));
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_other_mac"), 1);
	assert_int_equal(rte_eth_promiscuous_enable(f->port_id), 0);
	assert_true(comes(f, &other));
	assert_int_equal(rte_eth_promiscuous_disable(f->port_id), 0);
	assert_false(comes(f, &other));
}

static void
groups_come_until_all_multicast_is_switched_off(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_ether_addr any = group(1);
	struct rte_eth_stats stats;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_allmulticast_get(f->port_id), 1);
	assert_true(comes(f, &any));
	assert_int_equal(rte_eth_allmulticast_disable(f->port_id), 0);
	assert_int_equal(rte_eth_allmulticast_get(f->port_id), 0);
	assert_false(comes(f, &any));
	assert_true(comes(f, &broadcast));
	assert_int_equal(fixture_xstat(f, "rx_q0_drop_other_group"), 1);
	assert_int_equal(rte_eth_stats_get(f->port_id, &stats), 0);
	assert_int_equal(stats.ierrors, 0);
	/* it outlives a stop and a start */
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	assert_false(comes(f, &any));
	assert_int_equal(rte_eth_promiscuous_enable(f->port_id), 0);
	assert_true(comes(f, &any));
	assert_int_equal(rte_eth_promiscuous_disable(f->port_id), 0);
	assert_int_equal(rte_eth_allmulticast_enable(f->port_id), 0);
	assert_true(comes(f, &any));
}

static void
listed_groups_come_without_all_multicast(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_ether_addr list[AVPG_MAX_GROUPS + 1];
	struct rte_ether_addr in = group(7), out = group(8);

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_allmulticast_disable(f->port_id), 0);
	for (uint32_t i = 0; i < RTE_DIM(list); i++)
		list[i] = group((uint8_t)(i + 100));
	list[AVPG_MAX_GROUPS - 1] = in;
	assert_int_equal(rte_eth_dev_set_mc_addr_list(f->port_id, list, AVPG_MAX_GROUPS), 0);
	assert_true(comes(f, &in));
	assert_true(comes(f, &list[0]));
	assert_false(comes(f, &out));
	/* what is refused leaves the list as it was */
	assert_int_equal(rte_eth_dev_set_mc_addr_list(f->port_id, list, AVPG_MAX_GROUPS + 1),
			-ENOSPC);
	list[1] = other;
	assert_int_equal(rte_eth_dev_set_mc_addr_list(f->port_id, list, 2), -EINVAL);
	assert_true(comes(f, &in));
	assert_int_equal(rte_eth_dev_set_mc_addr_list(f->port_id, NULL, 0), 0);
	assert_false(comes(f, &in));
}

static void
the_list_changes_without_loss(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_ether_addr list[] = {group(1)};
	struct rte_mbuf *pkts[8];

	fixture_start(f, 1, 1);
	for (uint32_t i = 0; i < RTE_DIM(pkts); i++)
		fixture_host_send(f, 0, i, 100, 2048);
	assert_int_equal(rte_eth_dev_set_mc_addr_list(f->port_id, list, 1), 0);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, pkts, 8), 8);
	rte_pktmbuf_free_bulk(pkts, 8);
	/* and while the port is stopped nothing flows because of it */
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_set_mc_addr_list(f->port_id, list, 1), 0);
	fixture_host_send(f, 0, 0, 100, 2048);
	assert_int_equal(avpg_rx_burst(f->port->rxqs[0], pkts, 8), 0);
}

static void
the_mac_address_cannot_be_changed(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_ether_addr own, now, added = other;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_macaddr_get(f->port_id, &own), 0);
	assert_memory_equal(&own, f->fake->info->mac, sizeof(own));
	assert_int_equal(rte_eth_dev_default_mac_addr_set(f->port_id, &added), -ENOTSUP);
	assert_int_equal(rte_eth_dev_mac_addr_add(f->port_id, &added, 0), -ENOTSUP);
	assert_int_equal(rte_eth_macaddr_get(f->port_id, &now), 0);
	assert_memory_equal(&own, &now, sizeof(own));
	assert_true(comes(f, &own));
	assert_false(comes(f, &other));
	/* the one that it has may be set */
	assert_int_equal(rte_eth_dev_default_mac_addr_set(f->port_id, &own), 0);
}

/*
 * MTU
 */

static void
mtu_limits_are_the_devices(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	struct rte_eth_dev_info info;
	uint16_t mtu;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.min_mtu, 68);
	assert_int_equal(info.max_mtu, 9216);
	assert_int_equal(info.max_rx_pktlen, 9238);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 67), -EINVAL);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 9217), -EINVAL);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 68), 0);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 9216), 0);
	assert_int_equal(rte_eth_dev_get_mtu(f->port_id, &mtu), 0);
	assert_int_equal(mtu, 9216);
	fixture_traffic(f, AVP_MAX_PKT_SIZE);
	fixture_destroy(f);
	conf.max_rx_size = 2000;
	fixture_create(f, &conf, 2048);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.max_mtu, 2000 - RTE_ETHER_HDR_LEN);
}

static void
mtu_changes_while_it_runs(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;
	uint16_t mtu;

	fixture_start(f, 1, 1);
	fixture_host_send(f, 0, 0, 100, 2048);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 4000), 0);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_MTU);
	assert_int_equal(f->fake->last.arg.mtu, 4000);
	/* what was on its way still is */
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
	rte_pktmbuf_free(m);
	/* a device that refuses has the last word */
	atomic_store(&f->fake->refused_id, AVP_REQ_SET_MTU);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 5000), -EPERM);
	assert_int_equal(rte_eth_dev_get_mtu(f->port_id, &mtu), 0);
	assert_int_equal(mtu, 4000);
}

static void
another_device_is_told_the_mtu_at_attach(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 4000), 0);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 3000), -EBUSY);
	f->fake->info->device_id++;
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_MTU);
	assert_int_equal(f->fake->last.arg.mtu, 4000);
}

/*
 * VLAN. A device that offers it carries tags beside the packet, once it has been told to.
 */

/* Make a device that offers features, and a port with these offloads. */
static void
start_vlan(struct avpg_fixture *f, uint32_t features, uint64_t rx_offloads)
{
	struct avpg_fake_conf conf = avpg_fake_default;

	fixture_destroy(f);
	conf.features = features;
	fixture_create(f, &conf, 2048);
	f->conf.rxmode.offloads = rx_offloads;
	f->conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	fixture_start(f, 1, 1);
}

/* As the host, send a packet with a tag: beside the data, or in them. */
static void
host_send_tagged(struct avpg_fixture *f, bool beside)
{
	struct avp_desc *desc = fixture_host_send(f, 0, 0, 100, 2048);
	struct rte_ether_hdr *eth;
	struct rte_vlan_hdr *vlan;

	if (beside) {
		desc->ol_flags = AVP_DESC_RX_VLAN;
		desc->vlan_tci = TCI;
		return;
	}
	eth = (struct rte_ether_hdr *)avpg_fake_data(f->fake, avpg_fake_own_buf(f->fake));
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN);
	vlan = (struct rte_vlan_hdr *)(eth + 1);
	vlan->vlan_tci = rte_cpu_to_be_16(TCI);
}

/* Receive it; is the tag out of the data? */
static bool
comes_stripped(struct avpg_fixture *f, uint32_t stripped_len)
{
	const uint64_t flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	struct rte_mbuf *m;
	bool stripped;

	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
	assert_true(avpg_fake_get(&f->fake->free[0], &(uint64_t){0}));
	stripped = (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
	if (stripped) {
		assert_int_equal(m->ol_flags & flags, flags);
		assert_int_equal(m->vlan_tci, TCI);
		assert_int_equal(m->pkt_len, stripped_len);
	} else {
		assert_int_equal(m->ol_flags & flags, 0);
		assert_int_equal(m->pkt_len, 100);
	}
	rte_pktmbuf_free(m);
	return stripped;
}

static void
tags_are_stripped_by_the_device_or_by_the_driver(void **state)
{
	struct avpg_fixture *f = *state;

	start_vlan(f, AVP_FEATURE_VLAN, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	assert_int_equal(f->fake->config.features & AVP_FEATURE_VLAN, AVP_FEATURE_VLAN);
	host_send_tagged(f, true);
	assert_true(comes_stripped(f, 100));
	start_vlan(f, 0, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	assert_int_equal(f->fake->config.features & AVP_FEATURE_VLAN, 0);
	host_send_tagged(f, false);
	assert_true(comes_stripped(f, 96));
	start_vlan(f, 0, 0);
	host_send_tagged(f, false);
	assert_false(comes_stripped(f, 0));
}

static void
tags_are_inserted_by_the_device_or_by_the_driver(void **state)
{
	struct avpg_fixture *f = *state;

	for (int by_device = 0; by_device < 2; by_device++) {
		uint8_t data[AVP_MAX_SEGS * 2048];
		struct rte_mbuf *m;
		struct avp_desc head;

		start_vlan(f, AVP_FEATURE_VLAN, by_device ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0);
		m = fixture_mbuf(f, 100, 2048, 3);
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = TCI;
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_int_equal(fixture_host_take(f, 0, &head, data), by_device ? 100 : 104);
		assert_int_equal(head.ol_flags, by_device ? AVP_DESC_TX_VLAN : 0);
		if (by_device) {
			assert_int_equal(head.vlan_tci, TCI);
			continue;
		}
		assert_memory_equal(data + 12, "\x81\x00\x61\x23", 4);
		assert_int_equal(data[16], fixture_byte(3, 12));
	}
}

static void
stripping_is_switched_while_it_runs(void **state)
{
	struct avpg_fixture *f = *state;

	start_vlan(f, AVP_FEATURE_VLAN, 0);
	for (int i = 0; i < 3; i++) {
		host_send_tagged(f, false);
		assert_false(comes_stripped(f, 0));
		assert_int_equal(rte_eth_dev_set_vlan_offload(
						 f->port_id, RTE_ETH_VLAN_STRIP_OFFLOAD),
				0);
		assert_int_equal(f->fake->config.features & AVP_FEATURE_VLAN, AVP_FEATURE_VLAN);
		assert_int_equal(f->fake->config.link_up, 1);
		host_send_tagged(f, true);
		assert_true(comes_stripped(f, 100));
		assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, 0), 0);
		assert_int_equal(f->fake->config.features & AVP_FEATURE_VLAN, 0);
	}
}

static void
switching_loses_nothing_when_the_device_has_no_part(void **state)
{
	struct avpg_fixture *f = *state;
	unsigned int taken;

	start_vlan(f, 0, 0);
	taken = atomic_load(&f->fake->taken);
	host_send_tagged(f, false);
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	assert_true(comes_stripped(f, 96));
	host_send_tagged(f, false);
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, 0), 0);
	assert_false(comes_stripped(f, 0));
	assert_int_equal(atomic_load(&f->fake->taken), taken);
}

static void
a_switch_that_the_device_refuses_changes_nothing(void **state)
{
	struct avpg_fixture *f = *state;

	start_vlan(f, AVP_FEATURE_VLAN, 0);
	atomic_store(&f->fake->refused_features, AVP_FEATURE_VLAN);
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, RTE_ETH_VLAN_STRIP_OFFLOAD),
			-EPERM);
	assert_int_equal(rte_eth_dev_get_vlan_offload(f->port_id), 0);
	assert_int_equal(f->fake->config.features & AVP_FEATURE_VLAN, 0);
	assert_true(fixture_link_is_up(f));
	host_send_tagged(f, false);
	assert_false(comes_stripped(f, 0));
	/* one that refuses everything has no FIFOs for us any more, and that shows */
	atomic_store(&f->fake->refused_id, AVP_REQ_CONFIGURE);
	assert_int_equal(rte_eth_dev_set_vlan_offload(f->port_id, RTE_ETH_VLAN_STRIP_OFFLOAD),
			-EPERM);
	assert_false(fixture_link_is_up(f));
	atomic_store(&f->fake->refused_id, 0);
	assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
	assert_int_equal(rte_eth_dev_configure(f->port_id, 1, 1, &f->conf), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
	fixture_traffic(f, 1000);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(other_stations_come_when_promiscuous),
			TEST(groups_come_until_all_multicast_is_switched_off),
			TEST(listed_groups_come_without_all_multicast),
			TEST(the_list_changes_without_loss),
			TEST(the_mac_address_cannot_be_changed),
			TEST(mtu_limits_are_the_devices),
			TEST(mtu_changes_while_it_runs),
			TEST(another_device_is_told_the_mtu_at_attach),
			TEST(tags_are_stripped_by_the_device_or_by_the_driver),
			TEST(tags_are_inserted_by_the_device_or_by_the_driver),
			TEST(stripping_is_switched_while_it_runs),
			TEST(switching_loses_nothing_when_the_device_has_no_part),
			TEST(a_switch_that_the_device_refuses_changes_nothing),
	};

	return cmocka_run_group_tests_name("avpg_ethdev_filter", tests, fixture_group_setup, NULL);
}
