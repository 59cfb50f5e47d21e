/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/hold.c and hold_queue.c: packets for a port whose guest is away are kept, leave in their
 * order, and within bounds. Ports are net_ring devices, as in forward_test.c: port 1 is the one
 * that holds, port 2 an uplink.
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

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#include "dp_fixture.h"
#include "eal_fixture.h"
#include "fdb.h"
#include "forward.h"
#include "hold.h"

#define HOLDER 1u
#define UPLINK 2u
#define OTHER 3u
#define VID 100u
#define POOL_SIZE 4095u
#define LEN 60u
#define ETH_LEN 14u
#define MEMORY_SIZE (UINT64_C(1) << 20)
#define LIMIT_MS 5000u
#define ROUNDS_MAX 1000u

struct place {
	struct dp_fixture dp;
	struct hold_memory *memory;
	struct hold *hold;
};

static const uint8_t mac_guest[6] = {0x02, 0, 0, 0, 0, 0xa};
static const uint8_t mac_host[6] = {0x02, 0, 0, 0, 0, 0xb};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int
group_setup(void **state)
{
	(void)state;
	return dp_group_setup(POOL_SIZE);
}

/* The guest's MAC is the holder's, which has no link. */
static int
setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct dp_fixture *dp = &place->dp;

	*state = place;
	if (place == NULL || dp_fixture_init(dp, VID, 9000) != 0 ||
			hold_memory_create(&place->memory, MEMORY_SIZE, NULL) != 0)
		return -1;
	place->hold = hold_create(place->memory, 1, LIMIT_MS);
	dp->view.ports[HOLDER].hold = place->hold;
	atomic_store(&dp->states[HOLDER]->link_up, false);
	dp->view.has_work = true;
	dp->view.nb_holds = 1;
	dp->view.holds[0] = &dp->view.ports[HOLDER];
	return fdb_add_static(dp->fdb, fdb_key(fdb_mac(mac_guest), VID), dp_port_ids[HOLDER]);
}

/* Every mbuf must have come back. */
static int
teardown(void **state)
{
	struct place *place = *state;
	int rc;

	hold_destroy(place->hold);
	hold_memory_destroy(place->memory);
	rc = dp_fixture_fini(&place->dp);
	free(place);
	return rc;
}

/* A packet with a number behind its header. */
static struct rte_mbuf *
make_packet(const uint8_t *dst, uint32_t number, uint16_t len)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dp_pool);
	uint8_t *data;

	assert_non_null(mbuf);
	data = (uint8_t *)rte_pktmbuf_append(mbuf, len);
	memset(data, 0x5a, len);
	memcpy(data, dst, 6);
	memcpy(data + 6, mac_host, 6);
	data[12] = 0x08;
	data[13] = 0x00;
	memcpy(data + ETH_LEN, &number, sizeof(number));
	return mbuf;
}

/* Packets for the guest with the numbers @from to @to - 1. */
static void
send_numbers(struct place *place, unsigned int in, uint32_t from, uint32_t to)
{
	for (uint32_t number = from; number < to; number++)
		dp_forward(&place->dp, in, make_packet(mac_guest, number, LEN));
}

/* The number of the next packet that was sent to a port; -1 = none. */
static int64_t
next_number(unsigned int out)
{
	struct rte_mbuf *mbuf;
	uint32_t number;

	if (rte_eth_rx_burst(dp_port_ids[out], 0, &mbuf, 1) == 0)
		return -1;
	memcpy(&number, rte_pktmbuf_mtod_offset(mbuf, uint8_t *, ETH_LEN), sizeof(number));
	rte_pktmbuf_free(mbuf);
	return number;
}

/* Expect the numbers @from to @to - 1 at a port, in their order, and no more. */
static void
expect_numbers(unsigned int out, uint32_t from, uint32_t to)
{
	for (uint32_t number = from; number < to; number++)
		assert_int_equal(next_number(out), number);
	assert_int_equal(next_number(out), -1);
}

/* As many rounds as there is something to do. */
static void
drain(struct place *place)
{
	for (unsigned int i = 0; i < ROUNDS_MAX && hold_drain(&place->dp.fwd) > 1; i++)
		rte_rcu_qsbr_quiescent(place->dp.rcu, 0);
}

static void
set_mode(struct place *place, enum hold_mode mode)
{
	atomic_store(&hold_conf(place->hold)->mode, mode);
}

static uint64_t
held(const struct place *place)
{
	struct hold_sum sum;

	hold_sum(place->hold, &sum);
	return sum.packets;
}

static void
learn(struct place *place, const uint8_t *mac, unsigned int port)
{
	uint64_t key = fdb_key(fdb_mac(mac), VID);
	struct fdb_entry *entry;

	fdb_lookup(place->dp.fdb, 0, &key, 1, &entry);
	assert_int_equal(fdb_learn(place->dp.fdb, entry, key, dp_port_ids[port], 16), FDB_LEARNED);
}

static void
held_packets_come_first_and_in_order(void **state)
{
	struct place *place = *state;

	send_numbers(place, UPLINK, 0, 300);
	drain(place);
	assert_int_equal(next_number(HOLDER), -1);
	assert_int_equal(held(place), 300);
	set_mode(place, HOLD_OPEN);
	/* New ones wait behind them, between rounds too. */
	send_numbers(place, UPLINK, 300, 310);
	assert_int_equal(next_number(HOLDER), -1);
	hold_drain(&place->dp.fwd);
	send_numbers(place, UPLINK, 310, 320);
	drain(place);
	assert_true(hold_is_empty(place->hold));
	set_mode(place, HOLD_PASS);
	send_numbers(place, UPLINK, 320, 330);
	expect_numbers(HOLDER, 0, 330);
}

/* As when all that the other node has held arrives. */
static void
burst_that_is_too_much_for_the_guest_is_held(void **state)
{
	struct place *place = *state;
	uint32_t number = 0;
	int64_t got;

	set_mode(place, HOLD_OPEN);
	send_numbers(place, UPLINK, 0, 3000);
	for (unsigned int i = 0; i < ROUNDS_MAX && number < 3000; i++) {
		drain(place);
		while ((got = next_number(HOLDER)) >= 0)
			assert_int_equal(got, number++);
	}
	assert_int_equal(number, 3000);
	assert_int_equal(dp_drops(&place->dp, HOLDER, STATS_DROP_TX_FULL), 0);
}

static void
nothing_of_a_packet_is_taken_up_while_it_is_held(void **state)
{
	struct place *place = *state;
	struct hold_sum sum;

	send_numbers(place, 0, 0, 100);
	assert_int_equal(rte_mempool_avail_count(dp_pool), POOL_SIZE);
	hold_sum(place->hold, &sum);
	assert_int_equal(sum.packets, 100);
	assert_int_equal(sum.bytes, 100 * LEN);
	assert_int_equal(sum.dropped, 0);
}

static void
packet_rewritten_after_it_came_is_held_as_it_was_checked(void **state)
{
	struct place *place = *state;
	struct rte_mbuf *mbuf = make_packet(mac_guest, 7, LEN);
	struct rte_mbuf *sent;

	place->dp.view.ports[0].guest_writable = true;
	rte_mbuf_refcnt_update(mbuf, 1);
	dp_forward(&place->dp, 0, mbuf);
	memset(rte_pktmbuf_mtod(mbuf, void *), 0xff, LEN);
	rte_pktmbuf_free(mbuf);
	set_mode(place, HOLD_OPEN);
	drain(place);
	assert_int_equal(rte_eth_rx_burst(dp_port_ids[HOLDER], 0, &sent, 1), 1);
	assert_memory_equal(rte_pktmbuf_mtod(sent, void *), mac_guest, 6);
	assert_int_equal(sent->pkt_len, LEN);
	rte_pktmbuf_free(sent);
}

static void
packet_longer_than_an_mbuf_leaves_whole(void **state)
{
	struct place *place = *state;
	struct rte_mbuf *head = make_packet(mac_guest, 1, 2000);
	struct rte_mbuf *tail = make_packet(mac_guest, 2, 2000);
	struct rte_mbuf *sent;
	uint8_t room[4000];
	const uint8_t *data;

	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	dp_forward(&place->dp, UPLINK, head);
	set_mode(place, HOLD_OPEN);
	drain(place);
	assert_int_equal(rte_eth_rx_burst(dp_port_ids[HOLDER], 0, &sent, 1), 1);
	rte_mbuf_sanity_check(sent, 1);
	assert_int_equal(sent->pkt_len, 4000);
	data = rte_pktmbuf_read(sent, 0, 4000, room);
	assert_int_equal(data[1999], 0x5a);
	assert_memory_equal(data + 2000, mac_guest, 6);
	assert_int_equal(data[3999], 0x5a);
	rte_pktmbuf_free(sent);
}

static void
port_that_takes_no_more_loses_none(void **state)
{
	struct place *place = *state;
	uint32_t number = 0;
	int64_t got;

	/* More than the ring of the port has room for. */
	send_numbers(place, UPLINK, 0, 3000);
	set_mode(place, HOLD_OPEN);
	drain(place);
	assert_true(held(place) > 0);
	for (unsigned int i = 0; i < ROUNDS_MAX && number < 3000; i++) {
		while ((got = next_number(HOLDER)) >= 0)
			assert_int_equal(got, number++);
		drain(place);
	}
	assert_int_equal(number, 3000);
	assert_int_equal(dp_drops(&place->dp, HOLDER, STATS_DROP_TX_FULL), 0);
	assert_true(hold_is_empty(place->hold));
}

static void
packets_that_wait_too_long_are_dropped_and_counted(void **state)
{
	struct place *place = *state;

	send_numbers(place, UPLINK, 0, 10);
	atomic_store(&hold_conf(place->hold)->limit_tsc, 0);
	drain(place);
	assert_int_equal(held(place), 0);
	assert_int_equal(dp_drops(&place->dp, HOLDER, STATS_DROP_TX_HOLD_OVERFLOW), 10);
	atomic_store(&hold_conf(place->hold)->limit_tsc, UINT64_MAX / 2);
	send_numbers(place, UPLINK, 10, 20);
	set_mode(place, HOLD_OPEN);
	drain(place);
	expect_numbers(HOLDER, 10, 20);
}

static void
memory_is_bounded_and_the_oldest_give_way(void **state)
{
	enum { NB = 20000 };
	struct place *place = *state;
	struct hold_sum sum;
	uint32_t number;

	send_numbers(place, UPLINK, 0, NB);
	hold_sum(place->hold, &sum);
	assert_true(sum.dropped > 0);
	assert_true(sum.bytes < MEMORY_SIZE);
	assert_true(sum.bytes > MEMORY_SIZE / 2);
	assert_int_equal(sum.packets + sum.dropped, NB);
	assert_int_equal(dp_drops(&place->dp, HOLDER, STATS_DROP_TX_HOLD_OVERFLOW), sum.dropped);
	set_mode(place, HOLD_OPEN);
	number = sum.dropped;
	for (unsigned int i = 0; i < ROUNDS_MAX && number < NB; i++) {
		int64_t got;

		while ((got = next_number(HOLDER)) >= 0)
			assert_int_equal(got, number++);
		drain(place);
	}
	assert_int_equal(number, NB);
}

/* Two ports share the memory: what the first has is not taken by the second. */
static void
port_without_packets_of_its_own_drops_the_new_one(void **state)
{
	struct place *place = *state;
	struct hold *second = hold_create(place->memory, 1, LIMIT_MS);
	uint64_t before;

	send_numbers(place, UPLINK, 0, 20000);
	before = held(place);
	place->dp.view.ports[HOLDER].hold = second;
	send_numbers(place, UPLINK, 0, 5);
	assert_true(hold_is_empty(second));
	place->dp.view.ports[HOLDER].hold = place->hold;
	assert_int_equal(held(place), before);
	hold_destroy(second);
}

static void
packets_from_before_a_mark_are_forgotten_and_no_loss(void **state)
{
	struct place *place = *state;

	send_numbers(place, UPLINK, 0, 10);
	atomic_store(&hold_conf(place->hold)->since_tsc, rte_get_tsc_cycles());
	send_numbers(place, UPLINK, 10, 20);
	set_mode(place, HOLD_OPEN);
	drain(place);
	expect_numbers(HOLDER, 10, 20);
	assert_int_equal(dp_drops(&place->dp, HOLDER, STATS_DROP_TX_HOLD_OVERFLOW), 0);
}

static void
floods_are_held_for_a_guest_that_comes_back_here(void **state)
{
	struct place *place = *state;

	dp_forward(&place->dp, UPLINK, make_packet(broadcast, 5, LEN));
	expect_numbers(0, 5, 6);
	expect_numbers(OTHER, 5, 6);
	assert_int_equal(held(place), 1);
	set_mode(place, HOLD_OPEN);
	drain(place);
	expect_numbers(HOLDER, 5, 6);
}

/* The other node has had its own copy. */
static void
floods_are_forgotten_when_the_guest_is_elsewhere(void **state)
{
	struct place *place = *state;

	dp_forward(&place->dp, OTHER, make_packet(broadcast, 5, LEN));
	expect_numbers(UPLINK, 5, 6);
	fdb_keep_static(place->dp.fdb, dp_port_ids[HOLDER]);
	set_mode(place, HOLD_GONE);
	learn(place, mac_guest, UPLINK);
	drain(place);
	dp_forward(&place->dp, OTHER, make_packet(broadcast, 6, LEN));
	expect_numbers(UPLINK, 6, 7);
	assert_int_equal(next_number(HOLDER), -1);
	assert_int_equal(held(place), 0);
}

static void
unknown_unicast_of_others_is_not_held(void **state)
{
	static const uint8_t mac_else[6] = {0x02, 0, 0, 0, 0, 0xe};
	struct place *place = *state;

	dp_forward(&place->dp, 0, make_packet(mac_else, 1, LEN));
	assert_int_equal(held(place), 0);
	expect_numbers(UPLINK, 1, 2);
}

static void
held_packets_follow_the_guest_before_new_ones(void **state)
{
	struct place *place = *state;

	send_numbers(place, 0, 0, 100);
	fdb_keep_static(place->dp.fdb, dp_port_ids[HOLDER]);
	set_mode(place, HOLD_GONE);
	send_numbers(place, 0, 100, 200);
	drain(place);
	assert_int_equal(next_number(UPLINK), -1);
	learn(place, mac_guest, UPLINK);
	/* The MAC is known to be there, but what is held goes first. */
	send_numbers(place, 0, 200, 300);
	assert_int_equal(next_number(UPLINK), -1);
	drain(place);
	send_numbers(place, 0, 300, 310);
	expect_numbers(UPLINK, 0, 310);
	assert_int_equal(fdb_settle(place->dp.fdb, dp_port_ids[HOLDER]), 0);
	send_numbers(place, 0, 310, 320);
	expect_numbers(UPLINK, 310, 320);
	assert_int_equal(next_number(HOLDER), -1);
}

/* A host behind the uplink sent it here because the guest was here. */
static void
packet_may_go_back_to_where_it_came_from_when_the_guest_has_moved(void **state)
{
	struct place *place = *state;

	send_numbers(place, UPLINK, 0, 5);
	fdb_keep_static(place->dp.fdb, dp_port_ids[HOLDER]);
	set_mode(place, HOLD_GONE);
	learn(place, mac_guest, UPLINK);
	drain(place);
	send_numbers(place, UPLINK, 5, 10);
	expect_numbers(UPLINK, 0, 10);
}

static void
packets_leave_with_the_tag_of_the_port_they_leave_by(void **state)
{
	struct place *place = *state;
	struct vlan_rules *vlan = &place->dp.view.ports[UPLINK].vlan;
	struct rte_mbuf *sent;
	const uint8_t *data;

	vlan->mode = VLAN_MODE_TRUNK;
	vlan->untagged = VLAN_NONE;
	vlan_rules_set_tagged(vlan, VID, true);
	send_numbers(place, 0, 0, 1);
	fdb_keep_static(place->dp.fdb, dp_port_ids[HOLDER]);
	set_mode(place, HOLD_GONE);
	learn(place, mac_guest, UPLINK);
	drain(place);
	assert_int_equal(rte_eth_rx_burst(dp_port_ids[UPLINK], 0, &sent, 1), 1);
	data = rte_pktmbuf_mtod(sent, const uint8_t *);
	assert_int_equal(sent->pkt_len, LEN + VLAN_TAG_SIZE);
	assert_int_equal(data[12] << 8 | data[13], RTE_ETHER_TYPE_VLAN);
	assert_int_equal(data[14] << 8 | data[15], VID);
	rte_pktmbuf_free(sent);
}

/* The marker of the hold, as it comes back. */
static struct rte_mbuf *
make_marker(struct place *place)
{
	struct rte_mbuf *mbuf = make_packet(mac_guest, 0, LEN);

	*rte_pktmbuf_mtod_offset(mbuf, rte_be16_t *, 12) = RTE_BE16(HOLD_MARKER_TYPE);
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, ETH_LEN), hold_conf(place->hold)->marker,
			HOLD_MARKER_SIZE);
	return mbuf;
}

static void
rest_waits_until_the_marker_is_back(void **state)
{
	struct place *place = *state;

	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	atomic_store(&hold_conf(place->hold)->rest_open, false);
	send_numbers(place, 0, 200, 210);
	send_numbers(place, UPLINK, 0, 100);
	set_mode(place, HOLD_OPEN);
	drain(place);
	/* What the uplink sends passes, and is not delayed. */
	send_numbers(place, UPLINK, 100, 150);
	drain(place);
	expect_numbers(HOLDER, 0, 150);
	send_numbers(place, 0, 210, 220);
	drain(place);
	assert_int_equal(next_number(HOLDER), -1);
	dp_forward(&place->dp, UPLINK, make_marker(place));
	drain(place);
	send_numbers(place, 0, 220, 230);
	drain(place);
	/* The guest does not see the marker. */
	expect_numbers(HOLDER, 200, 230);
}

static void
marker_among_held_packets_counts_when_they_have_gone(void **state)
{
	struct place *place = *state;

	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	atomic_store(&hold_conf(place->hold)->rest_open, false);
	send_numbers(place, 0, 100, 110);
	send_numbers(place, UPLINK, 0, 100);
	dp_forward(&place->dp, UPLINK, make_marker(place));
	assert_false(atomic_load(&hold_conf(place->hold)->rest_open));
	set_mode(place, HOLD_OPEN);
	drain(place);
	expect_numbers(HOLDER, 0, 110);
}

/* Else what is sent to the host would go to the node that the guest has left. */
static void
sender_of_a_packet_that_came_back_is_not_learned(void **state)
{
	uint64_t key = fdb_key(fdb_mac(mac_host), VID);
	struct place *place = *state;
	struct fdb_entry *entry;

	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	learn(place, mac_host, 0);
	send_numbers(place, UPLINK, 0, 1);
	fdb_lookup(place->dp.fdb, 0, &key, 1, &entry);
	assert_int_equal(fdb_entry_port(entry), dp_port_ids[0]);
	atomic_store(&hold_conf(place->hold)->first_port, FDB_ANY);
	send_numbers(place, UPLINK, 1, 2);
	assert_int_equal(fdb_entry_port(entry), dp_port_ids[UPLINK]);
	/* Nor is it dropped because its MAC is a static one's. */
	fdb_add_static(place->dp.fdb, key, dp_port_ids[0]);
	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	send_numbers(place, UPLINK, 2, 3);
	assert_int_equal(dp_drops(&place->dp, UPLINK, STATS_DROP_RX_SRC_STATIC), 0);
	assert_int_equal(held(place), 3);
}

/* In one burst: with the same addresses they are a run. */
static void
forward_together(struct place *place, unsigned int in, struct rte_mbuf **mbufs, uint16_t nb)
{
	forward_burst(&place->dp.fwd, &place->dp.view.ports[in], mbufs, nb);
	forward_flush(&place->dp.fwd);
	rte_rcu_qsbr_quiescent(place->dp.rcu, 0);
}

static void
send_run(struct place *place, unsigned int in, const uint8_t *dst, uint32_t from, uint32_t to)
{
	struct rte_mbuf *mbufs[FORWARD_BURST];

	for (uint32_t number = from; number < to; number++)
		mbufs[number - from] = make_packet(dst, number, LEN);
	forward_together(place, in, mbufs, to - from);
}

static void
each_packet_of_a_run_is_held_in_its_order(void **state)
{
	struct place *place = *state;

	send_run(place, UPLINK, mac_guest, 0, 30);
	assert_int_equal(held(place), 30);
	set_mode(place, HOLD_OPEN);
	send_run(place, UPLINK, mac_guest, 30, 40);
	drain(place);
	set_mode(place, HOLD_PASS);
	send_run(place, UPLINK, mac_guest, 40, 50);
	expect_numbers(HOLDER, 0, 50);
}

static void
each_packet_of_a_flooded_run_is_held(void **state)
{
	struct place *place = *state;

	send_run(place, UPLINK, broadcast, 0, 10);
	expect_numbers(0, 0, 10);
	expect_numbers(OTHER, 0, 10);
	set_mode(place, HOLD_OPEN);
	drain(place);
	expect_numbers(HOLDER, 0, 10);
}

static void
marker_within_a_run_counts_at_its_place(void **state)
{
	const enum hold_mode modes[] = {HOLD_OPEN, HOLD_PASS};
	struct place *place = *state;

	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	for (unsigned int i = 0; i < RTE_DIM(modes); i++) {
		/* With an empty queue, what comes before the marker may pass. */
		for (unsigned int before = 0; before < 2; before++) {
			struct rte_mbuf *mbufs[3];
			uint32_t number = 0;

			set_mode(place, modes[i]);
			atomic_store(&hold_conf(place->hold)->rest_open, false);
			send_run(place, 0, mac_guest, 2, 10);
			for (unsigned int n = 0; n < RTE_DIM(mbufs); n++)
				mbufs[n] = n == before ? make_marker(place)
						       : make_packet(mac_guest, number++, LEN);
			forward_together(place, UPLINK, mbufs, RTE_DIM(mbufs));
			drain(place);
			assert_true(atomic_load(&hold_conf(place->hold)->rest_open));
			expect_numbers(HOLDER, 0, 10);
		}
	}
}

static void
sender_of_a_run_that_came_back_is_not_learned(void **state)
{
	uint64_t key = fdb_key(fdb_mac(mac_host), VID);
	struct place *place = *state;
	struct fdb_entry *entry;

	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	fdb_add_static(place->dp.fdb, key, dp_port_ids[0]);
	send_run(place, UPLINK, mac_guest, 0, 10);
	fdb_lookup(place->dp.fdb, 0, &key, 1, &entry);
	assert_int_equal(fdb_entry_port(entry), dp_port_ids[0]);
	assert_int_equal(dp_drops(&place->dp, UPLINK, STATS_DROP_RX_SRC_STATIC), 0);
	assert_int_equal(held(place), 10);
}

/* With buffers of their own, others get copies and no packet is made private. */
static void
flood_of_a_guest_is_held_as_it_was_checked(void **state)
{
	const uint16_t domains[] = {5, 6};
	struct place *place = *state;

	atomic_store(&place->dp.states[UPLINK]->link_up, false);
	for (unsigned int i = 0; i < DP_NB_PORTS; i++) {
		place->dp.view.ports[i].guest_writable = true;
		place->dp.view.ports[i].domain = 5;
		place->dp.view.ports[i].tx_pool = dp_pool;
	}
	for (unsigned int i = 0; i < RTE_DIM(domains); i++) {
		struct rte_mbuf *mbuf = make_packet(broadcast, 7, LEN);
		struct rte_mbuf *sent;

		place->dp.view.ports[HOLDER].domain = domains[i];
		set_mode(place, HOLD_KEEP);
		rte_mbuf_refcnt_update(mbuf, 1);
		dp_forward(&place->dp, 0, mbuf);
		expect_numbers(OTHER, 7, 8);
		assert_int_equal(next_number(HOLDER), -1);
		memset(rte_pktmbuf_mtod(mbuf, void *), 0xfe, LEN);
		rte_pktmbuf_free(mbuf);
		set_mode(place, HOLD_OPEN);
		drain(place);
		assert_int_equal(rte_eth_rx_burst(dp_port_ids[HOLDER], 0, &sent, 1), 1);
		assert_memory_equal(rte_pktmbuf_mtod(sent, void *), broadcast, 6);
		assert_memory_equal(rte_pktmbuf_mtod_offset(sent, void *, 6), mac_host, 6);
		assert_int_equal(sent->pkt_len, LEN);
		rte_pktmbuf_free(sent);
	}
}

static void
forged_marker_is_a_packet_like_others(void **state)
{
	struct place *place = *state;
	struct rte_mbuf *mbuf = make_marker(place);

	rte_pktmbuf_mtod_offset(mbuf, uint8_t *, ETH_LEN)[HOLD_MARKER_SIZE - 1] ^= 1;
	atomic_store(&hold_conf(place->hold)->first_port, dp_port_ids[UPLINK]);
	atomic_store(&hold_conf(place->hold)->rest_open, false);
	set_mode(place, HOLD_OPEN);
	dp_forward(&place->dp, UPLINK, mbuf);
	drain(place);
	assert_false(atomic_load(&hold_conf(place->hold)->rest_open));
	assert_int_equal(rte_eth_rx_burst(dp_port_ids[HOLDER], 0, &mbuf, 1), 1);
	rte_pktmbuf_free(mbuf);
}

static void
port_that_holds_nothing_is_not_touched(void **state)
{
	struct place *place = *state;

	place->dp.view.ports[HOLDER].hold = NULL;
	place->dp.view.nb_holds = 0;
	send_numbers(place, 0, 0, 1);
	assert_int_equal(dp_drops(&place->dp, HOLDER, STATS_DROP_TX_LINK_DOWN), 1);
	atomic_store(&place->dp.states[HOLDER]->link_up, true);
	send_numbers(place, 0, 1, 2);
	expect_numbers(HOLDER, 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(held_packets_come_first_and_in_order),
			TEST(burst_that_is_too_much_for_the_guest_is_held),
			TEST(nothing_of_a_packet_is_taken_up_while_it_is_held),
			TEST(packet_rewritten_after_it_came_is_held_as_it_was_checked),
			TEST(packet_longer_than_an_mbuf_leaves_whole),
			TEST(port_that_takes_no_more_loses_none),
			TEST(packets_that_wait_too_long_are_dropped_and_counted),
			TEST(memory_is_bounded_and_the_oldest_give_way),
			TEST(port_without_packets_of_its_own_drops_the_new_one),
			TEST(packets_from_before_a_mark_are_forgotten_and_no_loss),
			TEST(floods_are_held_for_a_guest_that_comes_back_here),
			TEST(floods_are_forgotten_when_the_guest_is_elsewhere),
			TEST(unknown_unicast_of_others_is_not_held),
			TEST(held_packets_follow_the_guest_before_new_ones),
			TEST(packet_may_go_back_to_where_it_came_from_when_the_guest_has_moved),
			TEST(packets_leave_with_the_tag_of_the_port_they_leave_by),
			TEST(rest_waits_until_the_marker_is_back),
			TEST(marker_among_held_packets_counts_when_they_have_gone),
			TEST(sender_of_a_packet_that_came_back_is_not_learned),
			TEST(each_packet_of_a_run_is_held_in_its_order),
			TEST(each_packet_of_a_flooded_run_is_held),
			TEST(marker_within_a_run_counts_at_its_place),
			TEST(sender_of_a_run_that_came_back_is_not_learned),
			TEST(flood_of_a_guest_is_held_as_it_was_checked),
			TEST(forged_marker_is_a_packet_like_others),
			TEST(port_that_holds_nothing_is_not_touched),
	};

	if (eal_fixture_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
