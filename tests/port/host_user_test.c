/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * net_avp_host and net_avp_user in one process: packets of every size both ways, chains, queues,
 * VLAN, a shared domain, stop and start, reconnecting, and detach and attach. Every byte and the
 * order of every flow are checked, and that no mbuf is lost.
 *
 * Arguments: the plug-ins of the two drivers.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_dev.h>
#include <rte_ether.h>

#include "avph_api.h"
#include "port_pair.h"

#define JUMBO ",mru=9238"

static const struct pair_end_conf plain = {.nb_queues = 1};
static const struct pair_end_conf jumbo_host = {.nb_queues = 1, .devargs = JUMBO};

static struct pair pair;

static int
setup(void **state)
{
	memset(&pair, 0, sizeof(pair));
	*state = &pair;
	return 0;
}

static int
teardown(void **state)
{
	pair_destroy(*state);
	return 0;
}

/* Both ways, @nb packets of each size. */
static void
both_ways(struct pair *p, uint32_t nb_flows, uint32_t seg_size, uint32_t nb, uint32_t size)
{
	struct pair_stream to_host, to_guest;

	pair_stream_init(&to_host, p, nb_flows, seg_size);
	pair_stream_init(&to_guest, p, nb_flows, seg_size);
	pair_transfer(&p->guest, &p->host, &to_host, nb, size);
	pair_transfer(&p->host, &p->guest, &to_guest, nb, size);
}

static void
packets_of_every_size_arrive_both_ways(void **state)
{
	struct pair *p = *state;

	pair_create(p, 0, &jumbo_host, &plain);
	for (uint32_t size = PAIR_MIN_SIZE; size <= 9000;) {
		uint32_t around = size % 2048;

		both_ways(p, 1, 2048, 8, size);
		/* every size around the end of a buffer, an mbuf, and a cache line's worth */
		size += size < 200 || around < 4 || around > 2044 ? 1 : RTE_MIN(61u, 2045 - around);
	}
	both_ways(p, 1, 2048, 200, 9000);
	both_ways(p, 1, 2048, 200, 9238);
	both_ways(p, 1, 2048, 20000, 64);
}

static void
chains_of_any_shape_arrive_both_ways(void **state)
{
	static const uint32_t seg_sizes[] = {60, 100, 511, 1000, 2047};
	struct pair_end_conf guest = {.nb_queues = 1, .mbuf_room = 2048};
	struct pair *p = *state;

	pair_create(p, 0, &jumbo_host, &guest);
	for (size_t i = 0; i < RTE_DIM(seg_sizes); i++) {
		for (uint32_t size = PAIR_MIN_SIZE; size <= 9238; size += 83)
			both_ways(p, 1, seg_sizes[i], 3, size);
		both_ways(p, 1, seg_sizes[i], 50, 9238);
	}
}

static void
small_mbufs_are_chained(void **state)
{
	struct pair_end_conf guest = {.nb_queues = 1, .mbuf_room = 300};
	struct pair_stream stream;
	struct rte_mbuf *m;
	struct pair *p = *state;

	pair_create(p, 0, &jumbo_host, &guest);
	for (uint32_t size = PAIR_MIN_SIZE; size <= 9238; size += 101)
		both_ways(p, 1, 300, 2, size);
	pair_stream_init(&stream, p, 1, 2048);
	assert_int_equal(pair_send(&p->host, &stream, 1, 601), 1);
	assert_int_equal(rte_eth_rx_burst(p->guest.port_id, 0, &m, 1), 1);
	/* by pointer an mbuf has the room of a buffer */
	assert_int_equal(m->nb_segs, pair_end_xstat(&p->guest, "rx_q0_by_pointer") > 0 ? 1 : 3);
	pair_stream_check(&stream, m);
}

static void
eight_queues_keep_the_order_of_every_flow(void **state)
{
	struct pair_end_conf host = {.nb_queues = 8, .devargs = ",queues=8,mru=9238"};
	struct pair_end_conf guest = {.nb_queues = 8};
	struct pair *p = *state;

	pair_create(p, 0, &host, &guest);
	both_ways(p, 64, 2048, 20000, 64);
	both_ways(p, 64, 2048, 2000, 1518);
	both_ways(p, 64, 2048, 500, 9000);
	/* the flows are spread: no queue has none of them */
	for (uint16_t q = 0; q < 8; q++) {
		char name[32];

		snprintf(name, sizeof(name), "rx_q%u_packets", q);
		assert_true(pair_end_xstat(&p->guest, name) > 0);
		assert_true(pair_end_xstat(&p->host, name) > 0);
	}
}

static void
numbers_of_queues_may_differ(void **state)
{
	static const uint16_t guests[] = {1, 2, 3, 5, 8};
	struct pair_end_conf host = {.nb_queues = 3, .devargs = ",queues=8"};
	struct pair_end_conf guest = {.nb_queues = 1};
	struct pair *p = *state;

	pair_create(p, 0, &host, &guest);
	for (size_t i = 0; i < RTE_DIM(guests); i++) {
		pair_end_remove(&p->guest);
		guest.nb_queues = guests[i];
		pair_guest_add(p, &guest);
		pair_end_wait_link(&p->host, true);
		both_ways(p, 30, 2048, 3000, 200);
	}
}

/* One packet with a tag asked for, from one end to the other. */
static struct rte_mbuf *
send_tagged(struct pair_end *from, struct pair_end *to, struct pair_stream *stream)
{
	struct rte_mbuf *m = pair_stream_make(stream, from->pool, 0, 100);
	struct rte_mbuf *got = NULL;

	assert_non_null(m);
	m->ol_flags |= RTE_MBUF_F_TX_VLAN;
	m->vlan_tci = 0x3064;
	/* a host gives the guest buffers to send in when it looks for packets */
	assert_int_equal(rte_eth_rx_burst(to->port_id, 0, &got, 1), 0);
	assert_int_equal(rte_eth_tx_burst(from->port_id, 0, &m, 1), 1);
	assert_int_equal(rte_eth_rx_burst(to->port_id, 0, &got, 1), 1);
	return got;
}

static void
expect_tag_stripped(struct rte_mbuf *m, struct pair_stream *stream)
{
	const uint64_t both = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;

	assert_true((m->ol_flags & both) == both);
	assert_int_equal(m->vlan_tci, 0x3064);
	pair_stream_check(stream, m);
}

static void
expect_tag_in_data(struct rte_mbuf *m, struct pair_stream *stream)
{
	assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED, 0);
	assert_int_equal(m->pkt_len, 104);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 12), "\x81\x00\x30\x64", 4);
	assert_int_equal(rte_vlan_strip(m), 0);
	pair_stream_check(stream, m);
}

/* Tags to the guest and from it, with stripping on or off at the guest. */
static void
vlan_both_ways(struct pair *p, bool strip)
{
	struct pair_stream stream;

	pair_stream_init(&stream, p, 1, 2048);
	struct rte_mbuf *m = send_tagged(&p->host, &p->guest, &stream);

	if (strip)
		expect_tag_stripped(m, &stream);
	else
		expect_tag_in_data(m, &stream);
	pair_stream_init(&stream, p, 1, 2048);
	expect_tag_in_data(send_tagged(&p->guest, &p->host, &stream), &stream);
}

static void
tags_are_stripped_and_inserted_with_and_without_the_device(void **state)
{
	static const char *const devargs[] = {",vlan_offload=1", ",vlan_offload=0"};
	struct pair *p = *state;

	for (size_t i = 0; i < RTE_DIM(devargs); i++) {
		for (int strip = 0; strip < 2; strip++) {
			struct pair_end_conf host = {
					.nb_queues = 1,
					.devargs = devargs[i],
					.tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT,
			};
			struct pair_end_conf guest = {
					.nb_queues = 1,
					.rx_offloads = strip ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0,
					.tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT,
			};

			pair_create(p, 0, &host, &guest);
			vlan_both_ways(p, strip);
			/* switched while it runs */
			assert_int_equal(rte_eth_dev_set_vlan_offload(p->guest.port_id,
							 strip ? 0 : RTE_ETH_VLAN_STRIP_OFFLOAD),
					0);
			vlan_both_ways(p, !strip);
			both_ways(p, 1, 2048, 500, 700);
			pair_destroy(p);
		}
	}
}

static void
the_guest_filters_by_address_unless_promiscuous(void **state)
{
	struct pair_stream stream;
	struct rte_mbuf *m;
	struct pair *p = *state;

	pair_create(p, 0, &plain, &plain);
	pair_stream_init(&stream, p, 1, 2048);
	stream.dst.addr_bytes[5] ^= 0x55;
	assert_int_equal(pair_send(&p->host, &stream, 1, 100), 1);
	assert_int_equal(rte_eth_rx_burst(p->guest.port_id, 0, &m, 1), 0);
	assert_int_equal(pair_end_xstat(&p->guest, "rx_q0_drop_other_mac"), 1);
	assert_int_equal(rte_eth_promiscuous_enable(p->guest.port_id), 0);
	stream.received[0] = 1;
	pair_transfer(&p->host, &p->guest, &stream, 10, 100);
	/* the address is the device's */
	assert_int_equal(rte_eth_dev_default_mac_addr_set(p->guest.port_id, &stream.dst), -ENOTSUP);
}

static void
the_mtu_reaches_the_device(void **state)
{
	struct rte_eth_dev_info info;
	struct rte_avp_host_info host_info;
	struct pair *p = *state;

	pair_create(p, 0, &jumbo_host, &plain);
	assert_int_equal(rte_eth_dev_info_get(p->guest.port_id, &info), 0);
	assert_int_equal(info.max_mtu, 9216);
	assert_int_equal(rte_eth_dev_set_mtu(p->guest.port_id, 9000), 0);
	assert_int_equal(rte_avp_host_info_get(p->host.port_id, &host_info), 0);
	assert_int_equal(host_info.mtu, 9000);
	assert_int_not_equal(rte_eth_dev_set_mtu(p->guest.port_id, 9217), 0);
	/* a new configuration brings it along */
	pair_end_stop(&p->guest);
	pair_end_remove(&p->guest);
}

static void
ports_of_one_domain_forward_without_a_copy(void **state)
{
	struct pair_end_conf host = {.nb_queues = 1, .devargs = ",domain=tenant,mru=9238"};
	struct pair_stream stream;
	struct pair a = {0}, b = {0};
	uint32_t received = 0;
	uint32_t sent = 0;

	(void)state;
	pair_create(&a, 1, &host, &plain);
	pair_create(&b, 2, &host, &plain);
	pair_stream_init(&stream, &b, 4, 2048);
	for (uint32_t round = 0; round < 100000 && received < 4000; round++) {
		struct rte_mbuf *pkts[PAIR_BURST];
		uint32_t size = sent % 2 == 0 ? 64 : 5000;
		uint16_t nb, done = 0;

		if (sent < 4000)
			sent += pair_send(&a.guest, &stream, RTE_MIN(4000 - sent, 16u), size);
		nb = rte_eth_rx_burst(a.host.port_id, 0, pkts, PAIR_BURST);
		while (done < nb) {
			done += rte_eth_tx_burst(b.host.port_id, 0, pkts + done, nb - done);
			received += pair_receive(&b.guest, &stream);
		}
		received += pair_receive(&b.guest, &stream);
		rte_eth_tx_burst(b.host.port_id, 0, NULL, 0);
	}
	assert_int_equal(received, 4000);
	assert_int_equal(pair_end_xstat(&b.host, "tx_q0_by_pointer"), 4000);
	assert_int_equal(pair_end_xstat(&b.host, "tx_q0_copied"), 0);
	pair_end_remove(&a.guest);
	pair_end_remove(&b.guest);
	pair_end_remove(&b.host);
	pair_destroy(&a);
	pair_destroy(&b);
}

static void
stop_and_start_any_number_of_times(void **state)
{
	struct pair *p = *state;

	pair_create(p, 0, &plain, &plain);
	for (int i = 0; i < 10; i++) {
		both_ways(p, 4, 2048, 500, 300);
		pair_end_stop(&p->guest);
		assert_false(pair_end_link(&p->guest));
		pair_end_wait_link(&p->host, false);
		pair_end_start(&p->guest);
		pair_end_wait_link(&p->host, true);
		assert_true(pair_end_link(&p->guest));
	}
	for (int i = 0; i < 10; i++) {
		pair_end_stop(&p->host);
		pair_end_start(&p->host);
		pair_end_wait_link(&p->host, true);
		both_ways(p, 4, 2048, 500, 300);
	}
}

static void
the_link_can_be_set_down_and_up(void **state)
{
	struct rte_mbuf *m;
	struct pair_stream stream;
	struct pair *p = *state;

	pair_create(p, 0, &plain, &plain);
	assert_int_equal(rte_eth_dev_set_link_down(p->guest.port_id), 0);
	assert_false(pair_end_link(&p->guest));
	pair_end_wait_link(&p->host, false);
	pair_stream_init(&stream, p, 1, 2048);
	assert_int_equal(pair_send(&p->guest, &stream, 1, 100), 0);
	assert_int_equal(rte_eth_rx_burst(p->guest.port_id, 0, &m, 1), 0);
	assert_int_equal(rte_eth_dev_set_link_up(p->guest.port_id), 0);
	pair_end_wait_link(&p->host, true);
	both_ways(p, 1, 2048, 100, 100);
}

static void
a_configuration_can_change(void **state)
{
	struct pair_end_conf host = {.nb_queues = 1, .devargs = ",queues=4"};
	struct rte_eth_conf conf = {0};
	struct pair *p = *state;

	pair_create(p, 0, &host, &plain);
	for (uint16_t nb = 4; nb > 0; nb--) {
		pair_end_stop(&p->guest);
		p->guest.nb_queues = nb;
		assert_int_equal(rte_eth_dev_configure(p->guest.port_id, nb, nb, &conf), 0);
		for (uint16_t q = 0; q < nb; q++) {
			assert_int_equal(rte_eth_rx_queue_setup(p->guest.port_id, q, 0, 0, NULL,
							 p->guest.pool),
					0);
			assert_int_equal(
					rte_eth_tx_queue_setup(p->guest.port_id, q, 0, 0, NULL), 0);
		}
		pair_end_start(&p->guest);
		pair_end_wait_link(&p->host, true);
		both_ways(p, 16, 2048, 1000, 128);
	}
}

static void
a_guest_may_leave_and_come_back_with_packets_in_flight(void **state)
{
	struct pair_end_conf host = {.nb_queues = 2, .devargs = ",queues=2,mru=9238"};
	struct pair_end_conf guest = {.nb_queues = 2};
	struct pair_stream to_host, to_guest;
	struct pair *p = *state;

	pair_create(p, 0, &host, &guest);
	for (int i = 0; i < 20; i++) {
		pair_stream_init(&to_host, p, 8, 2048);
		pair_stream_init(&to_guest, p, 8, 2048);
		pair_transfer(&p->guest, &p->host, &to_host, 100, 5000);
		/* these are never received */
		assert_true(pair_send(&p->guest, &to_host, 30, i % 2 ? 64 : 9000) > 0);
		assert_true(pair_send(&p->host, &to_guest, 30, i % 2 ? 9000 : 64) > 0);
		pair_end_remove(&p->guest);
		pair_end_wait_link(&p->host, false);
		pair_end_check_pool(&p->guest);
		pair_end_check_pool(&p->host);
		pair_guest_add(p, &guest);
		pair_end_wait_link(&p->host, true);
		both_ways(p, 8, 2048, 200, 200);
	}
}

static void
a_running_port_of_either_kind_can_be_removed(void **state)
{
	struct pair *p = *state;
	struct pair_end *ends[] = {&p->guest, &p->host};

	for (size_t i = 0; i < RTE_DIM(ends); i++) {
		pair_create(p, 0, &plain, &plain);
		both_ways(p, 1, 2048, 100, 100);
		assert_int_equal(rte_eal_hotplug_remove("vdev", ends[i]->name), 0);
		assert_false(rte_eth_dev_is_valid_port(ends[i]->port_id));
		ends[i]->present = false;
		pair_destroy(p);
	}
}

static atomic_uint nb_removals;

static int
on_removal(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	(void)port_id;
	(void)type;
	(void)arg;
	(void)ret;
	atomic_fetch_add(&nb_removals, 1);
	return 0;
}

static void
wait_removals(unsigned int want)
{
	for (int i = 0; i < 40000 && atomic_load(&nb_removals) != want; i++)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	assert_int_equal(atomic_load(&nb_removals), want);
}

static void
a_guest_survives_a_host_that_vanishes(void **state)
{
	struct pair_stream stream;
	struct rte_mbuf *m;
	struct pair *p = *state;

	pair_create(p, 0, &plain, &plain);
	for (unsigned int i = 0; i < 5; i++) {
		atomic_store(&nb_removals, 0);
		assert_int_equal(rte_eth_dev_callback_register(p->guest.port_id,
						 RTE_ETH_EVENT_INTR_RMV, on_removal, NULL),
				0);
		both_ways(p, 1, 2048, 100, 100);
		pair_stream_init(&stream, p, 1, 2048);
		assert_true(pair_send(&p->guest, &stream, 20, 100) > 0);
		assert_true(pair_send(&p->host, &stream, 20, 100) > 0);
		pair_end_remove(&p->host);
		wait_removals(1);
		pair_end_wait_link(&p->guest, false);
		assert_int_equal(rte_eth_dev_is_removed(p->guest.port_id), 1);
		assert_int_equal(pair_send(&p->guest, &stream, 1, 100), 0);
		assert_int_equal(rte_eth_rx_burst(p->guest.port_id, 0, &m, 1), 0);
		assert_int_equal(rte_eth_dev_set_mtu(p->guest.port_id, 1400), -EIO);
		pair_end_remove(&p->guest);
		pair_end_check_pool(&p->guest);
		pair_end_check_pool(&p->host);
		pair_host_add(p, &plain);
		pair_guest_add(p, &plain);
		pair_end_wait_link(&p->host, true);
	}
	assert_int_equal(atomic_load(&nb_removals), 1);
}

/* The host's control thread has better things to do than to answer, for a while. */
static int
dawdle(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	(void)port_id;
	(void)type;
	(void)arg;
	(void)ret;
	nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
	return 0;
}

static void
a_host_that_is_slow_is_not_gone(void **state)
{
	struct rte_eth_conf conf = {.intr_conf.lsc = 1};
	struct pair *p = *state;

	pair_create(p, 0, &plain, &plain);
	pair_end_stop(&p->host);
	assert_int_equal(rte_eth_dev_configure(p->host.port_id, 1, 1, &conf), 0);
	pair_end_start(&p->host);
	assert_int_equal(rte_eth_dev_callback_register(
					 p->host.port_id, RTE_ETH_EVENT_INTR_LSC, dawdle, NULL),
			0);
	pair_end_stop(&p->guest);
	/* reads a register, after the callback */
	assert_int_equal(rte_eth_dev_is_removed(p->guest.port_id), 0);
	rte_eth_dev_callback_unregister(p->host.port_id, RTE_ETH_EVENT_INTR_LSC, dawdle, NULL);
	pair_end_start(&p->guest);
	pair_end_wait_link(&p->host, true);
	both_ways(p, 1, 2048, 100, 100);
}

/* An lcore that forwards what the guest receives, whatever happens to the port. */
struct forwarder {
	struct pair_end *guest;
	pthread_t thread;
	atomic_bool quit;
	atomic_uint forwarded;
};

static void *
forward(void *arg)
{
	struct forwarder *f = arg;

	while (!atomic_load(&f->quit)) {
		struct rte_mbuf *pkts[PAIR_BURST];
		uint16_t nb = rte_eth_rx_burst(f->guest->port_id, 0, pkts, PAIR_BURST);
		uint16_t sent = rte_eth_tx_burst(f->guest->port_id, 0, pkts, nb);

		rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
		atomic_fetch_add(&f->forwarded, sent);
	}
	return NULL;
}

static void
detach_and_attach_with_packets_in_flight(void **state)
{
	struct forwarder forwarder = {0};
	struct pair_stream stream;
	struct pair *p = *state;

	pair_create(p, 0, &jumbo_host, &plain);
	pair_stream_init(&stream, p, 1, 2048);
	stream.lossy = true;
	forwarder.guest = &p->guest;
	assert_int_equal(pthread_create(&forwarder.thread, NULL, forward, &forwarder), 0);
	for (int i = 0; i < 10; i++) {
		unsigned int before = atomic_load(&forwarder.forwarded);

		for (int k = 0; k < 200000 && atomic_load(&forwarder.forwarded) < before + 500;
				k++) {
			pair_send(&p->host, &stream, 8, 3000);
			pair_receive(&p->host, &stream);
		}
		assert_true(atomic_load(&forwarder.forwarded) >= before + 500);
		assert_int_equal(rte_avp_host_detach(p->host.port_id, 2000), 0);
		pair_end_wait_link(&p->guest, false);
		/* nothing is changed while it is so, and nothing breaks */
		assert_int_equal(rte_eth_dev_set_mtu(p->guest.port_id, 1400), -EBUSY);
		before = atomic_load(&forwarder.forwarded);
		assert_int_equal(pair_send(&p->host, &stream, 8, 100), 0);
		assert_int_equal(rte_avp_host_attach(p->host.port_id, 2000), 0);
		pair_end_wait_link(&p->guest, true);
		pair_end_wait_link(&p->host, true);
	}
	atomic_store(&forwarder.quit, true);
	pthread_join(forwarder.thread, NULL);
	assert_int_equal(pair_end_xstat(&p->guest, "detaches"), 10);
	assert_int_equal(pair_end_xstat(&p->guest, "attaches"), 10);
	assert_int_equal(pair_end_xstat(&p->guest, "attach_failures"), 0);
}

static void
start_stop_and_close_work_while_detached(void **state)
{
	struct pair *p = *state;

	pair_create(p, 0, &plain, &plain);
	both_ways(p, 1, 2048, 100, 100);
	assert_int_equal(rte_avp_host_detach(p->host.port_id, 2000), 0);
	pair_end_stop(&p->guest);
	pair_end_start(&p->guest);
	pair_end_stop(&p->guest);
	pair_end_remove(&p->guest);
	pair_end_check_pool(&p->guest);
	/* so does a driver that comes now */
	pair_guest_add(p, &plain);
	assert_false(pair_end_link(&p->guest));
	assert_int_equal(rte_avp_host_attach(p->host.port_id, 2000), 0);
	pair_end_wait_link(&p->guest, true);
	pair_end_wait_link(&p->host, true);
	both_ways(p, 1, 2048, 100, 100);
}

static void
a_second_guest_is_refused(void **state)
{
	struct pair *p = *state;
	char args[128];

	pair_create(p, 0, &plain, &plain);
	snprintf(args, sizeof(args), "socket=%s", p->socket);
	assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_avp_user7", args), 0);
	both_ways(p, 1, 2048, 100, 100);
}

static void
wrong_devargs_are_refused(void **state)
{
	static const char *const wrong[] = {"", "queues=1", "socket=", "socket=/nowhere/p.sock",
			"socket=/nowhere/p.sock,queues=0", "socket=/nowhere/p.sock,queues=9",
			"socket=/nowhere/p.sock,queues=-1", "socket=/nowhere/p.sock,queues=1x",
			"socket=/nowhere/p.sock,mac=02:00:00:00:00:01",
			"socket=/nowhere/p.sock,colour=3"};
	uint16_t port_id;

	(void)state;
	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_avp_user8", wrong[i]), 0);
		assert_int_not_equal(rte_eth_dev_get_port_by_name("net_avp_user8", &port_id), 0);
	}
}

static void
the_user_can_limit_the_queues(void **state)
{
	struct pair_end_conf host = {.nb_queues = 1, .devargs = ",queues=8"};
	struct pair_end_conf guest = {.nb_queues = 2, .devargs = ",queues=2"};
	struct rte_eth_dev_info info;
	struct pair *p = *state;

	pair_create(p, 0, &host, &guest);
	assert_int_equal(rte_eth_dev_info_get(p->guest.port_id, &info), 0);
	assert_int_equal(info.max_rx_queues, 2);
	assert_int_equal(info.max_tx_queues, 2);
	both_ways(p, 8, 2048, 1000, 100);
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(packets_of_every_size_arrive_both_ways),
			TEST(chains_of_any_shape_arrive_both_ways),
			TEST(small_mbufs_are_chained),
			TEST(eight_queues_keep_the_order_of_every_flow),
			TEST(numbers_of_queues_may_differ),
			TEST(tags_are_stripped_and_inserted_with_and_without_the_device),
			TEST(the_guest_filters_by_address_unless_promiscuous),
			TEST(the_mtu_reaches_the_device),
			TEST(ports_of_one_domain_forward_without_a_copy),
			TEST(stop_and_start_any_number_of_times),
			TEST(the_link_can_be_set_down_and_up),
			TEST(a_configuration_can_change),
			TEST(a_guest_may_leave_and_come_back_with_packets_in_flight),
			TEST(a_running_port_of_either_kind_can_be_removed),
			TEST(a_guest_survives_a_host_that_vanishes),
			TEST(a_host_that_is_slow_is_not_gone),
			TEST(detach_and_attach_with_packets_in_flight),
			TEST(start_stop_and_close_work_while_detached),
			TEST(a_second_guest_is_refused),
			TEST(wrong_devargs_are_refused),
			TEST(the_user_can_limit_the_queues),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* NULL: all */
	if (pair_eal_init(argc, argv, "avp-host-user") != 0)
		return 1;
	return cmocka_run_group_tests_name("host_user", tests, NULL, NULL);
}
