/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/forward.c and egress.c: where packets go, with which header, and what a guest that changes
 * its packet after the check can do. Ports are net_ring devices: what is sent to one is received
 * from it again.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#include "address.h"
#include "dp_fixture.h"
#include "eal_fixture.h"
#include "fdb.h"
#include "forward.h"

#define VID 100u
#define OTHER_VID 200u
#define POOL_SIZE 2047u
#define SHORT_LEN 60u  /* whole packets: copied when they leave a domain */
#define LONG_LEN 1000u /* chained */
#define OWN_SIZE 63u   /* buffers that a port has of its own */
#define OWN_LEN 500u   /* fits into one of them, LONG_LEN does not */
#define ETH_LEN 14u

static const uint8_t mac_a[6] = {0x02, 0, 0, 0, 0, 0xa};
static const uint8_t mac_b[6] = {0x02, 0, 0, 0, 0, 0xb};
static const uint8_t mac_c[6] = {0x02, 0, 0, 0, 0, 0xc};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static struct rte_mempool *own_pool;

/* Once: DPDK, the pools and the ports. */
static int
group_setup(void **state)
{
	(void)state;
	own_pool = rte_pktmbuf_pool_create(
			"own", OWN_SIZE, 0, 0, RTE_PKTMBUF_HEADROOM + 600, SOCKET_ID_ANY);
	return own_pool != NULL ? dp_group_setup(POOL_SIZE) : -1;
}

static int
setup(void **state)
{
	struct dp_fixture *place = calloc(1, sizeof(*place));

	*state = place;
	return place != NULL ? dp_fixture_init(place, VID, 1514) : -1;
}

/* Every mbuf must have come back. */
static int
teardown(void **state)
{
	int rc = dp_fixture_fini(*state);

	if (rte_mempool_avail_count(own_pool) != OWN_SIZE) {
		print_error("%u buffers of the ports are missing\n",
				OWN_SIZE - rte_mempool_avail_count(own_pool));
		rc = -1;
	}
	free(*state);
	return rc;
}

/* A packet of @len bytes with a tag unless @tci is 0. Its payload is its own offsets. */
static struct rte_mbuf *
make_packet(const uint8_t *dst, const uint8_t *src, uint16_t tci, uint16_t len)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dp_pool);
	uint8_t *data = (uint8_t *)rte_pktmbuf_append(mbuf, len);
	unsigned int at = 12;

	memcpy(data, dst, 6);
	memcpy(data + 6, src, 6);
	if (tci != 0) {
		data[at++] = 0x81;
		data[at++] = 0x00;
		data[at++] = tci >> 8;
		data[at++] = tci;
	}
	data[at++] = 0x08;
	data[at++] = 0x00;
	for (; at < len; at++)
		data[at] = at;
	return mbuf;
}

static void
expect_nothing(unsigned int out)
{
	struct rte_mbuf *mbuf = dp_sent_to(out);

	if (mbuf != NULL)
		fail_msg("port %u got a packet of %u bytes", out, mbuf->pkt_len);
}

/* Expect a packet with these addresses, tag (0 = none) and length at a port. */
static void
expect_packet(unsigned int out, const uint8_t *dst, const uint8_t *src, uint16_t tci, uint16_t len)
{
	struct rte_mbuf *mbuf = dp_sent_to(out);
	uint8_t data[2048];
	const uint8_t *p;

	assert_non_null(mbuf);
	assert_int_equal(mbuf->pkt_len, len);
	p = rte_pktmbuf_read(mbuf, 0, len, data);
	assert_memory_equal(p, dst, 6);
	assert_memory_equal(p + 6, src, 6);
	if (tci != 0) {
		assert_int_equal(p[12] << 8 | p[13], RTE_ETHER_TYPE_VLAN);
		assert_int_equal(p[14] << 8 | p[15], tci);
	}
	assert_int_equal(p[tci != 0 ? 16 : 12] << 8 | p[tci != 0 ? 17 : 13], RTE_ETHER_TYPE_IPV4);
	rte_pktmbuf_free(mbuf);
}

/* All drops of all ports. */
static uint64_t
all_drops(const struct dp_fixture *place)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < DP_NB_PORTS; i++)
		for (unsigned int d = 0; d < STATS_NB_DROPS; d++)
			sum += dp_drops(place, i, d);
	return sum;
}

static void
expect_drop(struct dp_fixture *place, unsigned int port, enum stats_drop drop)
{
	for (unsigned int i = 0; i < DP_NB_PORTS; i++)
		expect_nothing(i);
	if (dp_drops(place, port, drop) != 1 || all_drops(place) != 1)
		fail_msg("%s of port %u is %d, all drops are %d", stats_drop_name(drop), port,
				(int)dp_drops(place, port, drop), (int)all_drops(place));
}

/* Let the FDB know a MAC. */
static void
teach(struct dp_fixture *place, const uint8_t *mac, unsigned int port)
{
	uint64_t key = fdb_key(fdb_mac(mac), VID);

	assert_int_equal(fdb_learn(place->fdb, NULL, key, dp_port_ids[port], 16), FDB_LEARNED);
}

static void
make_trunk(struct dp_fixture *place, unsigned int port, uint16_t native, uint16_t allowed)
{
	struct vlan_rules *vlan = &place->view.ports[port].vlan;

	vlan->mode = VLAN_MODE_TRUNK;
	vlan->untagged = native;
	vlan_rules_set_tagged(vlan, allowed, true);
}

static void
unknown_unicast_goes_to_every_other_port_of_the_vlan(void **state)
{
	struct dp_fixture *place = *state;

	place->view.ports[3].vlan.untagged = OTHER_VID;
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	expect_nothing(0);
	expect_packet(1, mac_b, mac_a, 0, SHORT_LEN);
	expect_packet(2, mac_b, mac_a, 0, SHORT_LEN);
	expect_nothing(3);
	assert_int_equal(all_drops(place), 0);
}

static void
learned_address_gets_its_packets_alone(void **state)
{
	struct dp_fixture *place = *state;

	dp_forward(place, 1, make_packet(broadcast, mac_b, 0, SHORT_LEN));
	for (unsigned int i = 0; i < DP_NB_PORTS; i++)
		if (i != 1)
			expect_packet(i, broadcast, mac_b, 0, SHORT_LEN);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	expect_packet(1, mac_b, mac_a, 0, SHORT_LEN);
	expect_nothing(2);
	expect_nothing(3);
}

static void
packet_for_where_it_came_from_is_dropped(void **state)
{
	struct dp_fixture *place = *state;

	teach(place, mac_b, 0);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	expect_drop(place, 0, STATS_DROP_RX_SAME_PORT);
}

static void
port_without_link_gets_nothing(void **state)
{
	struct dp_fixture *place = *state;

	teach(place, mac_b, 1);
	atomic_store(&place->states[1]->link_up, false);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	expect_drop(place, 1, STATS_DROP_TX_LINK_DOWN);
	/* A flood passes it by and is no loss. */
	dp_forward(place, 0, make_packet(broadcast, mac_a, 0, SHORT_LEN));
	expect_nothing(1);
	expect_packet(2, broadcast, mac_a, 0, SHORT_LEN);
	expect_packet(3, broadcast, mac_a, 0, SHORT_LEN);
	assert_int_equal(all_drops(place), 1);
}

static void
flood_to_nobody_is_counted(void **state)
{
	struct dp_fixture *place = *state;

	place->view.ports[0].vlan.untagged = OTHER_VID;
	dp_forward(place, 0, make_packet(broadcast, mac_a, 0, SHORT_LEN));
	expect_drop(place, 0, STATS_DROP_RX_NO_MEMBER);
}

static void
port_that_left_the_vlan_gets_nothing(void **state)
{
	struct dp_fixture *place = *state;

	teach(place, mac_b, 1);
	place->view.ports[1].vlan.untagged = OTHER_VID;
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	expect_drop(place, 1, STATS_DROP_TX_NOT_MEMBER);
}

static void
spoofed_source_is_dropped(void **state)
{
	struct dp_fixture *place = *state;
	struct dp_port *port = &place->view.ports[0];

	port->check_source_mac = true;
	port->mac = fdb_mac(mac_a);
	dp_forward(place, 0, make_packet(broadcast, mac_b, 0, SHORT_LEN));
	expect_drop(place, 0, STATS_DROP_RX_SRC_MAC);
	dp_forward(place, 0, make_packet(broadcast, mac_a, 0, SHORT_LEN));
	expect_packet(1, broadcast, mac_a, 0, SHORT_LEN);
}

static void
source_of_another_avp_port_is_dropped(void **state)
{
	struct dp_fixture *place = *state;

	fdb_add_static(place->fdb, fdb_key(fdb_mac(mac_a), VID), dp_port_ids[2]);
	dp_forward(place, 0, make_packet(broadcast, mac_a, 0, SHORT_LEN));
	expect_drop(place, 0, STATS_DROP_RX_SRC_STATIC);
}

static void
multicast_source_is_dropped(void **state)
{
	struct dp_fixture *place = *state;

	dp_forward(place, 0, make_packet(mac_b, broadcast, 0, SHORT_LEN));
	expect_drop(place, 0, STATS_DROP_RX_SRC_INVALID);
}

static void
link_local_destination_stays_on_its_link(void **state)
{
	struct dp_fixture *place = *state;
	const uint8_t lldp[6] = {0x01, 0x80, 0xc2, 0, 0, 0x0e};
	const uint8_t beyond[6] = {0x01, 0x80, 0xc2, 0, 0, 0x10};

	dp_forward(place, 0, make_packet(lldp, mac_a, 0, SHORT_LEN));
	expect_drop(place, 0, STATS_DROP_RX_LINK_LOCAL);
	dp_forward(place, 0, make_packet(beyond, mac_a, 0, SHORT_LEN));
	expect_packet(1, beyond, mac_a, 0, SHORT_LEN);
}

static void
short_header_is_dropped(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, 0, ETH_LEN);

	rte_pktmbuf_trim(mbuf, 1);
	dp_forward(place, 0, mbuf);
	expect_drop(place, 0, STATS_DROP_RX_RUNT);
}

static void
tag_cut_off_is_dropped(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, VID, 18);

	make_trunk(place, 0, 0, VID);
	rte_pktmbuf_trim(mbuf, 1);
	dp_forward(place, 0, mbuf);
	expect_drop(place, 0, STATS_DROP_RX_RUNT);
}

static void
trunk_gets_a_tag_and_access_port_none(void **state)
{
	struct dp_fixture *place = *state;

	make_trunk(place, 1, 0, VID);
	dp_forward(place, 0, make_packet(broadcast, mac_a, 0, SHORT_LEN));
	expect_packet(1, broadcast, mac_a, VID, SHORT_LEN + VLAN_TAG_SIZE);
	expect_packet(2, broadcast, mac_a, 0, SHORT_LEN);
	dp_forward(place, 1, make_packet(broadcast, mac_b, VID, SHORT_LEN));
	expect_packet(0, broadcast, mac_b, 0, SHORT_LEN - VLAN_TAG_SIZE);
	expect_packet(2, broadcast, mac_b, 0, SHORT_LEN - VLAN_TAG_SIZE);
}

static void
trunk_with_the_offload_gets_the_tag_beside_the_data(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf;

	make_trunk(place, 1, 0, VID);
	place->view.ports[1].tx_vlan_insert = true;
	teach(place, mac_b, 1);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	mbuf = dp_sent_to(1);
	assert_non_null(mbuf);
	assert_int_equal(mbuf->pkt_len, SHORT_LEN);
	assert_int_equal(mbuf->vlan_tci, VID);
	assert_true((mbuf->ol_flags & RTE_MBUF_F_TX_VLAN) != 0);
	assert_true((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN) == 0);
	rte_pktmbuf_free(mbuf);
}

/* Drivers that do it by software write into the header, and refuse one that is shared. */
static void
flood_to_a_trunk_with_the_offload_has_a_header_of_its_own(void **state)
{
	const uint16_t lens[] = {SHORT_LEN, LONG_LEN};
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf;

	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		for (unsigned int trunk = 1; trunk < DP_NB_PORTS; trunk += 2) {
			make_trunk(place, trunk, 0, VID);
			place->view.ports[trunk].tx_vlan_insert = true;
		}
		dp_forward(place, 0, make_packet(broadcast, mac_a, 0, lens[i]));
		for (unsigned int trunk = 1; trunk < DP_NB_PORTS; trunk += 2) {
			mbuf = dp_sent_to(trunk);
			assert_non_null(mbuf);
			assert_int_equal(rte_vlan_insert(&mbuf), 0);
			assert_int_equal(mbuf->pkt_len, lens[i] + VLAN_TAG_SIZE);
			rte_pktmbuf_free(mbuf);
		}
		expect_packet(2, broadcast, mac_a, 0, lens[i]);
	}
}

static void
tag_taken_off_by_the_port_counts(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, 0, SHORT_LEN);

	make_trunk(place, 0, 0, VID);
	mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	mbuf->vlan_tci = VID;
	dp_forward(place, 0, mbuf);
	expect_packet(1, broadcast, mac_a, 0, SHORT_LEN);
}

static void
priority_of_a_tag_is_kept(void **state)
{
	struct dp_fixture *place = *state;

	make_trunk(place, 0, VID, OTHER_VID);
	make_trunk(place, 1, 0, VID);
	teach(place, mac_b, 1);
	/* A priority tag, VLAN id 0: the packet is the native VLAN's. */
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0xa000, SHORT_LEN));
	expect_packet(1, mac_b, mac_a, 0xa000 | VID, SHORT_LEN);
}

static void
inner_tag_does_not_become_the_only_one(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, 0xa000, SHORT_LEN);

	/* From an access port, behind a priority tag, a tag of a VLAN that it may not use. */
	make_trunk(place, 1, VID, OTHER_VID);
	memcpy(rte_pktmbuf_mtod_offset(mbuf, uint8_t *, 16), "\x81\x00\x00\xc8", 4);
	teach(place, mac_b, 1);
	dp_forward(place, 0, mbuf);
	expect_drop(place, 1, STATS_DROP_TX_DOUBLE_TAG);
}

static void
too_long_packet_is_dropped(void **state)
{
	struct dp_fixture *place = *state;

	teach(place, mac_b, 1);
	place->view.ports[1].tx_max_len = LONG_LEN;
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, LONG_LEN));
	expect_packet(1, mac_b, mac_a, 0, LONG_LEN);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, LONG_LEN + 1));
	expect_drop(place, 1, STATS_DROP_TX_TOO_LONG);
}

static void
chain_is_made_one_for_a_port_that_sends_none(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *head = make_packet(mac_b, mac_a, 0, SHORT_LEN);
	struct rte_mbuf *tail = make_packet(mac_b, mac_a, 0, LONG_LEN);

	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	place->view.ports[1].tx_multi_segs = false;
	teach(place, mac_b, 1);
	dp_forward(place, 0, head);
	head = dp_sent_to(1);
	assert_non_null(head);
	assert_int_equal(head->nb_segs, 1);
	assert_int_equal(head->pkt_len, SHORT_LEN + LONG_LEN);
	assert_int_equal(*rte_pktmbuf_mtod_offset(head, uint8_t *, 59), 59);
	assert_memory_equal(rte_pktmbuf_mtod_offset(head, uint8_t *, 60), mac_b, 6);
	rte_pktmbuf_free(head);
}

static void
full_port_is_counted(void **state)
{
	struct dp_fixture *place = *state;
	unsigned int nb = 0;

	teach(place, mac_b, 1);
	while (all_drops(place) == 0 && nb++ < POOL_SIZE)
		dp_forward(place, 0, make_packet(mac_b, mac_a, 0, SHORT_LEN));
	assert_int_equal(dp_drops(place, 1, STATS_DROP_TX_FULL), 1);
	assert_int_equal(atomic_load(&place->states[1]->stats[0].tx_packets), nb - 1);
	assert_int_equal(atomic_load(&place->states[0]->stats[0].rx_packets), nb);
	assert_int_equal(atomic_load(&place->states[0]->stats[0].rx_bytes), nb * SHORT_LEN);
}

static void
burst_to_one_port_keeps_its_order(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *burst[FORWARD_BURST];

	teach(place, mac_b, 1);
	teach(place, mac_c, 2);
	for (unsigned int i = 0; i < 2 * FORWARD_BURST; i++) {
		burst[i % FORWARD_BURST] =
				make_packet(i % 8 == 7 ? mac_c : mac_b, mac_a, 0, SHORT_LEN + i);
		if (i % FORWARD_BURST == FORWARD_BURST - 1)
			forward_burst(&place->fwd, &place->view.ports[0], burst, FORWARD_BURST);
	}
	forward_flush(&place->fwd);
	for (unsigned int i = 0; i < 2 * FORWARD_BURST; i++) {
		if (i % 8 == 7)
			expect_packet(2, mac_c, mac_a, 0, SHORT_LEN + i);
		else
			expect_packet(1, mac_b, mac_a, 0, SHORT_LEN + i);
	}
}

static void
burst_that_fills_the_queue_is_sent_whole(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *burst[FORWARD_BURST];

	teach(place, mac_b, 1);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < FORWARD_BURST; i++)
			burst[i] = make_packet(mac_b, mac_a, 0, SHORT_LEN + i);
		forward_burst(&place->fwd, &place->view.ports[0], burst, FORWARD_BURST);
		dp_forward(place, 0, make_packet(mac_b, mac_a, 0, LONG_LEN));
		for (unsigned int i = 0; i < FORWARD_BURST; i++)
			expect_packet(1, mac_b, mac_a, 0, SHORT_LEN + i);
		expect_packet(1, mac_b, mac_a, 0, LONG_LEN);
	}
}

/* A guest's packet of @len bytes goes from port 0 to port 1, and the guest writes other addresses
 * and another VLAN into it after the check. */
static void
send_and_rewrite(struct dp_fixture *place, uint16_t tci, uint16_t len)
{
	struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, tci, len);
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	rte_mbuf_refcnt_update(mbuf, 1); /* the guest's hold on its memory */
	forward_burst(&place->fwd, &place->view.ports[0], &mbuf, 1);
	memset(data, 0xee, tci != 0 ? 18 : ETH_LEN);
	forward_flush(&place->fwd);
	rte_pktmbuf_free(mbuf);
}

static void
header_rewritten_by_the_guest_is_not_sent(void **state)
{
	struct dp_fixture *place = *state;
	const uint16_t lens[] = {SHORT_LEN, LONG_LEN};

	place->view.ports[0].guest_writable = true;
	teach(place, mac_b, 1);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		place->view.ports[1].tx_multi_segs = true;
		place->view.ports[1].tx_pool = own_pool;
		send_and_rewrite(place, 0, lens[i]);
		expect_packet(1, mac_b, mac_a, 0, lens[i]);
		place->view.ports[1].tx_pool = NULL;
		send_and_rewrite(place, 0, lens[i]);
		expect_packet(1, mac_b, mac_a, 0, lens[i]);
		place->view.ports[1].tx_multi_segs = false;
		send_and_rewrite(place, 0, lens[i]);
		expect_packet(1, mac_b, mac_a, 0, lens[i]);
	}
}

static void
guest_memory_is_copied_for_a_port_that_uses_dma(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, 0, LONG_LEN);
	struct rte_mbuf *sent;

	place->view.ports[0].guest_writable = true;
	place->view.ports[1].tx_by_dma = true;
	teach(place, mac_b, 1);
	rte_mbuf_refcnt_update(mbuf, 1); /* the guest's hold on its memory */
	dp_forward(place, 0, mbuf);
	sent = dp_sent_to(1);
	assert_non_null(sent);
	assert_int_equal(sent->nb_segs, 1);
	assert_int_equal(sent->pkt_len, LONG_LEN);
	assert_int_equal(rte_mbuf_refcnt_read(mbuf), 1); /* nobody but the guest */
	rte_pktmbuf_free(sent);
	rte_pktmbuf_free(mbuf);
}

static void
tag_rewritten_by_the_guest_is_not_sent(void **state)
{
	struct dp_fixture *place = *state;
	const uint16_t lens[] = {SHORT_LEN, LONG_LEN};

	place->view.ports[0].guest_writable = true;
	make_trunk(place, 0, 0, VID);
	make_trunk(place, 1, 0, VID);
	teach(place, mac_b, 1);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		send_and_rewrite(place, VID, lens[i]);
		expect_packet(1, mac_b, mac_a, VID, lens[i]);
	}
}

/* A guest's port and its domain; it has buffers of its own. */
static void
make_guest(struct dp_fixture *place, unsigned int port, uint16_t domain)
{
	place->view.ports[port].guest_writable = true;
	place->view.ports[port].domain = domain;
	place->view.ports[port].tx_pool = own_pool;
}

static void
packet_for_another_guest_is_copied_into_its_ports_buffers(void **state)
{
	struct dp_fixture *place = *state;
	const uint16_t lens[] = {SHORT_LEN, OWN_LEN};

	make_guest(place, 0, 0);
	make_guest(place, 1, 0);
	teach(place, mac_b, 1);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, 0, lens[i]);
		struct rte_mbuf *sent;

		rte_mbuf_refcnt_update(mbuf, 1); /* the guest's hold on its memory */
		dp_forward(place, 0, mbuf);
		sent = dp_sent_to(1);
		assert_non_null(sent);
		assert_ptr_equal(sent->pool, own_pool);
		assert_int_equal(sent->nb_segs, 1);
		assert_int_equal(sent->pkt_len, lens[i]);
		assert_memory_equal(rte_pktmbuf_mtod(sent, uint8_t *),
				rte_pktmbuf_mtod(mbuf, uint8_t *), lens[i]);
		rte_mbuf_sanity_check(sent, 1);
		assert_int_equal(rte_mbuf_refcnt_read(mbuf), 1); /* nobody but the guest */
		rte_pktmbuf_free(sent);
		rte_pktmbuf_free(mbuf);
	}
}

static void
copy_in_a_ports_buffer_has_the_tag_of_a_trunk(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *sent;

	make_guest(place, 0, 0);
	make_guest(place, 1, 0);
	make_trunk(place, 1, 0, VID);
	teach(place, mac_b, 1);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, OWN_LEN));
	expect_packet(1, mac_b, mac_a, VID, OWN_LEN + VLAN_TAG_SIZE);
	place->view.ports[1].tx_vlan_insert = true;
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, OWN_LEN));
	sent = dp_sent_to(1);
	assert_non_null(sent);
	assert_ptr_equal(sent->pool, own_pool);
	assert_int_equal(sent->pkt_len, OWN_LEN);
	assert_int_equal(sent->vlan_tci, VID);
	assert_true((sent->ol_flags & RTE_MBUF_F_TX_VLAN) != 0);
	rte_pktmbuf_free(sent);
}

static void
what_does_not_fit_a_ports_buffer_goes_another_way(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *burst[3];
	const uint16_t lens[3] = {SHORT_LEN, LONG_LEN, OWN_LEN};

	make_guest(place, 0, 0);
	make_guest(place, 1, 0);
	teach(place, mac_b, 1);
	for (unsigned int i = 0; i < RTE_DIM(burst); i++)
		burst[i] = make_packet(mac_b, mac_a, 0, lens[i]);
	forward_burst(&place->fwd, &place->view.ports[0], burst, RTE_DIM(burst));
	forward_flush(&place->fwd);
	for (unsigned int i = 0; i < RTE_DIM(burst); i++)
		expect_packet(1, mac_b, mac_a, 0, lens[i]);
	assert_int_equal(all_drops(place), 0);
}

static void
port_without_a_free_buffer_gets_its_packets_all_the_same(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *all[OWN_SIZE];

	make_guest(place, 0, 0);
	make_guest(place, 1, 0);
	make_guest(place, 2, 0);
	teach(place, mac_b, 1);
	assert_int_equal(rte_pktmbuf_alloc_bulk(own_pool, all, OWN_SIZE), 0);
	dp_forward(place, 0, make_packet(mac_b, mac_a, 0, OWN_LEN));
	dp_forward(place, 0, make_packet(broadcast, mac_a, 0, OWN_LEN));
	rte_pktmbuf_free_bulk(all, OWN_SIZE);
	expect_packet(1, mac_b, mac_a, 0, OWN_LEN);
	for (unsigned int i = 1; i < DP_NB_PORTS; i++)
		expect_packet(i, broadcast, mac_a, 0, OWN_LEN);
	assert_int_equal(all_drops(place), 0);
}

static void
flood_within_a_domain_passes_one_by_pointer_and_copies_for_the_others(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, 0, OWN_LEN);
	unsigned int nb_as_it_is = 0;

	for (unsigned int i = 0; i < DP_NB_PORTS; i++)
		make_guest(place, i, 5);
	place->view.ports[3].domain = 6;
	dp_forward(place, 0, mbuf);
	for (unsigned int i = 1; i < DP_NB_PORTS; i++) {
		struct rte_mbuf *sent = dp_sent_to(i);

		assert_non_null(sent);
		assert_int_equal(rte_mbuf_refcnt_read(sent), 1);
		assert_int_equal(sent->pkt_len, OWN_LEN);
		if (sent == mbuf)
			nb_as_it_is++;
		else
			assert_ptr_equal(sent->pool, own_pool);
		assert_true(sent != mbuf || i != 3);
		rte_pktmbuf_free(sent);
	}
	assert_int_equal(nb_as_it_is, 1);
}

/* Three packets in a row with the same addresses, from port 0. */
static void
forward_three(struct dp_fixture *place, const uint8_t *dst)
{
	struct rte_mbuf *burst[3];

	for (unsigned int i = 0; i < RTE_DIM(burst); i++)
		burst[i] = make_packet(dst, mac_a, 0, SHORT_LEN);
	forward_burst(&place->fwd, &place->view.ports[0], burst, RTE_DIM(burst));
	forward_flush(&place->fwd);
}

static void
each_packet_of_a_run_is_counted(void **state)
{
	struct dp_fixture *place = *state;

	place->view.ports[0].fdb_max = 0;
	teach(place, mac_b, 1);
	forward_three(place, mac_b);
	for (unsigned int i = 0; i < 3; i++)
		expect_packet(1, mac_b, mac_a, 0, SHORT_LEN);
	assert_int_equal(atomic_load(&place->states[0]->stats[0].learn_refused), 3);
	atomic_store(&place->states[1]->link_up, false);
	forward_three(place, mac_b);
	assert_int_equal(dp_drops(place, 1, STATS_DROP_TX_LINK_DOWN), 3);
	place->view.ports[1].vlan.untagged = OTHER_VID;
	forward_three(place, mac_b);
	assert_int_equal(dp_drops(place, 1, STATS_DROP_TX_NOT_MEMBER), 3);
	teach(place, mac_c, 0);
	forward_three(place, mac_c);
	assert_int_equal(dp_drops(place, 0, STATS_DROP_RX_SAME_PORT), 3);
	fdb_add_static(place->fdb, fdb_key(fdb_mac(mac_a), VID), dp_port_ids[2]);
	forward_three(place, mac_c);
	assert_int_equal(dp_drops(place, 0, STATS_DROP_RX_SRC_STATIC), 3);
	assert_int_equal(all_drops(place), 12);
}

/* An ARP packet of a guest that tells its address 10.0.0.@last. */
static struct rte_mbuf *
make_arp(uint8_t last)
{
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, 0, SHORT_LEN);
	struct rte_arp_hdr arp = {
			.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
			.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
			.arp_hlen = 6,
			.arp_plen = 4,
			.arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST),
			.arp_data.arp_sip = rte_cpu_to_be_32(0x0a000000u | last),
	};

	memcpy(&arp.arp_data.arp_sha, mac_a, sizeof(mac_a));
	*rte_pktmbuf_mtod_offset(mbuf, rte_be16_t *, 12) = RTE_BE16(RTE_ETHER_TYPE_ARP);
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, ETH_LEN), &arp, sizeof(arp));
	return mbuf;
}

static void
addresses_are_noted_of_each_packet_of_a_run(void **state)
{
	struct dp_fixture *place = *state;
	struct address list[ADDRESS_MAX];
	struct rte_mbuf *burst[3];

	place->states[0]->addresses = address_table_create();
	assert_non_null(place->states[0]->addresses);
	for (unsigned int i = 0; i < RTE_DIM(burst); i++)
		burst[i] = make_arp(i);
	forward_burst(&place->fwd, &place->view.ports[0], burst, RTE_DIM(burst));
	forward_flush(&place->fwd);
	assert_int_equal(address_list(place->states[0]->addresses, list), RTE_DIM(burst));
	for (unsigned int i = 0; i < RTE_DIM(burst); i++)
		assert_int_equal(list[i].ip[3], RTE_DIM(burst) - 1 - i);
	address_table_destroy(place->states[0]->addresses);
}

static void
bad_packet_does_not_end_or_join_a_run(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *burst[3];

	teach(place, mac_b, 1);
	burst[0] = make_packet(mac_b, mac_a, 0, SHORT_LEN);
	burst[1] = make_packet(mac_b, broadcast, 0, SHORT_LEN);
	burst[2] = make_packet(mac_b, mac_a, 0, SHORT_LEN + 1);
	forward_burst(&place->fwd, &place->view.ports[0], burst, RTE_DIM(burst));
	forward_flush(&place->fwd);
	expect_packet(1, mac_b, mac_a, 0, SHORT_LEN);
	expect_packet(1, mac_b, mac_a, 0, SHORT_LEN + 1);
	expect_drop(place, 0, STATS_DROP_RX_SRC_INVALID);
}

static void
flood_of_a_guest_is_private_too(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, 0, LONG_LEN);
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);

	place->view.ports[0].guest_writable = true;
	make_trunk(place, 2, 0, VID);
	rte_mbuf_refcnt_update(mbuf, 1);
	forward_burst(&place->fwd, &place->view.ports[0], &mbuf, 1);
	memset(data, 0xee, LONG_LEN);
	forward_flush(&place->fwd);
	rte_pktmbuf_free(mbuf);
	expect_packet(1, broadcast, mac_a, 0, LONG_LEN);
	expect_packet(2, broadcast, mac_a, VID, LONG_LEN + VLAN_TAG_SIZE);
	expect_packet(3, broadcast, mac_a, 0, LONG_LEN);
}

static void
flood_of_a_guest_shares_nothing_with_it(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(broadcast, mac_a, 0, LONG_LEN);
	const uint8_t *begin = rte_pktmbuf_mtod(mbuf, uint8_t *);

	place->view.ports[0].guest_writable = true;
	dp_forward(place, 0, mbuf);
	for (unsigned int i = 1; i < DP_NB_PORTS; i++) {
		struct rte_mbuf *sent = dp_sent_to(i);

		assert_non_null(sent);
		for (const struct rte_mbuf *seg = sent; seg != NULL; seg = seg->next) {
			const uint8_t *data = rte_pktmbuf_mtod(seg, const uint8_t *);

			assert_true(data + seg->data_len <= begin || data >= begin + LONG_LEN);
		}
		rte_pktmbuf_free(sent);
	}
}

static void
long_packet_of_a_guest_leaves_with_its_payload_shared(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, 0, LONG_LEN);
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	struct rte_mbuf *sent;

	place->view.ports[0].guest_writable = true;
	teach(place, mac_b, 1);
	dp_forward(place, 0, mbuf);
	sent = dp_sent_to(1);
	assert_non_null(sent);
	assert_int_equal(sent->nb_segs, 2);
	assert_int_equal(sent->data_len, ETH_LEN);
	assert_ptr_equal(rte_pktmbuf_mtod(sent->next, uint8_t *), data + ETH_LEN);
	rte_mbuf_sanity_check(sent, 1);
	rte_pktmbuf_free(sent);
}

static void
header_in_a_segment_of_its_own_is_replaced(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *head = make_packet(mac_b, mac_a, 0, ETH_LEN);
	struct rte_mbuf *tail = make_packet(mac_c, mac_c, 0, LONG_LEN);

	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	place->view.ports[0].guest_writable = true;
	teach(place, mac_b, 1);
	dp_forward(place, 0, head);
	head = dp_sent_to(1);
	assert_non_null(head);
	assert_int_equal(head->nb_segs, 2);
	assert_int_equal(head->pkt_len, ETH_LEN + LONG_LEN);
	rte_mbuf_sanity_check(head, 1);
	assert_memory_equal(rte_pktmbuf_mtod(head->next, uint8_t *), mac_c, 6);
	rte_pktmbuf_free(head);
}

static void
packet_within_a_domain_is_passed_by_pointer(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, 0, LONG_LEN);
	struct rte_mbuf *sent;

	place->view.ports[0].guest_writable = true;
	place->view.ports[0].domain = 5;
	place->view.ports[1].domain = 5;
	teach(place, mac_b, 1);
	dp_forward(place, 0, mbuf);
	sent = dp_sent_to(1);
	assert_ptr_equal(sent, mbuf);
	rte_pktmbuf_free(sent);
	/* Another domain is another tenant. */
	place->view.ports[1].domain = 6;
	mbuf = make_packet(mac_b, mac_a, 0, LONG_LEN);
	dp_forward(place, 0, mbuf);
	sent = dp_sent_to(1);
	assert_non_null(sent);
	assert_ptr_not_equal(sent, mbuf);
	rte_pktmbuf_free(sent);
}

static void
no_memory_for_a_private_header_is_counted(void **state)
{
	struct dp_fixture *place = *state;
	struct rte_mbuf *mbuf = make_packet(mac_b, mac_a, 0, LONG_LEN);
	struct rte_mbuf *all[POOL_SIZE - 1];

	place->view.ports[0].guest_writable = true;
	teach(place, mac_b, 1);
	assert_int_equal(rte_pktmbuf_alloc_bulk(dp_pool, all, RTE_DIM(all)), 0);
	dp_forward(place, 0, mbuf);
	rte_pktmbuf_free_bulk(all, RTE_DIM(all));
	expect_drop(place, 1, STATS_DROP_TX_NO_MBUF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(unknown_unicast_goes_to_every_other_port_of_the_vlan),
			TEST(learned_address_gets_its_packets_alone),
			TEST(packet_for_where_it_came_from_is_dropped),
			TEST(port_without_link_gets_nothing),
			TEST(flood_to_nobody_is_counted),
			TEST(port_that_left_the_vlan_gets_nothing),
			TEST(spoofed_source_is_dropped),
			TEST(source_of_another_avp_port_is_dropped),
			TEST(multicast_source_is_dropped),
			TEST(link_local_destination_stays_on_its_link),
			TEST(short_header_is_dropped),
			TEST(tag_cut_off_is_dropped),
			TEST(trunk_gets_a_tag_and_access_port_none),
			TEST(trunk_with_the_offload_gets_the_tag_beside_the_data),
			TEST(flood_to_a_trunk_with_the_offload_has_a_header_of_its_own),
			TEST(tag_taken_off_by_the_port_counts),
			TEST(priority_of_a_tag_is_kept),
			TEST(inner_tag_does_not_become_the_only_one),
			TEST(too_long_packet_is_dropped),
			TEST(chain_is_made_one_for_a_port_that_sends_none),
			TEST(full_port_is_counted),
			TEST(burst_to_one_port_keeps_its_order),
			TEST(burst_that_fills_the_queue_is_sent_whole),
			TEST(header_rewritten_by_the_guest_is_not_sent),
			TEST(tag_rewritten_by_the_guest_is_not_sent),
			TEST(guest_memory_is_copied_for_a_port_that_uses_dma),
			TEST(packet_for_another_guest_is_copied_into_its_ports_buffers),
			TEST(copy_in_a_ports_buffer_has_the_tag_of_a_trunk),
			TEST(what_does_not_fit_a_ports_buffer_goes_another_way),
			TEST(port_without_a_free_buffer_gets_its_packets_all_the_same),
			TEST(flood_within_a_domain_passes_one_by_pointer_and_copies_for_the_others),
			TEST(each_packet_of_a_run_is_counted),
			TEST(addresses_are_noted_of_each_packet_of_a_run),
			TEST(bad_packet_does_not_end_or_join_a_run),
			TEST(flood_of_a_guest_is_private_too),
			TEST(flood_of_a_guest_shares_nothing_with_it),
			TEST(long_packet_of_a_guest_leaves_with_its_payload_shared),
			TEST(header_in_a_segment_of_its_own_is_replaced),
			TEST(packet_within_a_domain_is_passed_by_pointer),
			TEST(no_memory_for_a_private_header_is_counted),
	};

	if (eal_fixture_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
