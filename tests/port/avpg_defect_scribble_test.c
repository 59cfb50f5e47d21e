/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A host that writes random values into everything that it shares with the guest, while the guest
 * driver works on it: nothing of the guest's may be overwritten, lost, or wait without end. DPDK's
 * own net_avp reads lengths and indices twice and checks neither (docs/driver-guest.md, "What the
 * stock driver does wrong").
 *
 * Overruns of BAR 2 meet guard pages, those of mbufs are found in the pool's headers. Together some
 * 2 s; TEST_SECONDS=60 in the environment is that long for each. TEST_SEED repeats what was
 * written, though not when.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"
#include "avpg_scribbler.h"
#include "test_random.h"
#include "test_time.h"

#define NB_FLIPPED 4u
#define MBUF_ROOM 512u                      /* small, so that most packets take several */
#define BURST_LIMIT_NS UINT64_C(2000000000) /* CPU time of one burst call */
#define CTRL_LIMIT_NS                                                               \
	UINT64_C(20000000000) /* of one operation: some requests, on a busy machine \
			       */

/* When a test that takes @ms by default is to end. */
static uint64_t
end_of_test(uint64_t ms)
{
	const char *seconds = getenv("TEST_SECONDS");

	return test_now_ns() + (seconds != NULL ? strtoull(seconds, NULL, 0) * 1000 : ms) * 1000000;
}

/* Go on until @end, or longer, if what the test is about has not been seen: the machine is busy. */
static bool
go_on(uint64_t end, bool seen)
{
	uint64_t t = test_now_ns();

	return t < end || (!seen && t < end + CTRL_LIMIT_NS);
}

/*
 * The host's good half: it goes on as if nothing was wrong. Whether it gets what it expects does
 * not matter here.
 */
static void
host_step(struct avpg_fake *fake, uint64_t *random)
{
	uint8_t data[AVP_MAX_PKT_SIZE];
	uint32_t q = (uint32_t)(test_random(random) % fake->conf.nb_queues);
	uint32_t len = AVP_MIN_PKT_SIZE + (uint32_t)(test_random(random) % 9000);
	uint32_t first = avpg_fake_own_buf(fake);
	uint64_t va;

	memset(data, 0xff, sizeof(data)); /* broadcast */
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t idx = first +
				(uint32_t)(test_random(random) % (fake->nb_bufs - first - 5));

		avpg_fake_put(&fake->rx[q], avpg_fake_pkt(fake, idx, data, len, 2048));
		avpg_fake_get(&fake->free[q], &va);
		avpg_fake_get(&fake->tx[q], &va);
		va = avpg_fake_buf_va(fake, (uint32_t)(test_random(random) % first));
		avpg_fake_desc_at(fake, va)->data_va = va + AVPG_FAKE_BUF_DATA_OFF;
		avpg_fake_put(&fake->alloc[q], va);
	}
}

static uint64_t bytes_sum; /* so that bytes are really read */

/* A packet as the application sees it must hold together, and all of it be there. */
static void
check_packet(const struct rte_mbuf *m)
{
	uint64_t sum = 0;
	uint32_t len = 0;
	uint32_t nb_segs = 0;

	rte_mbuf_sanity_check(m, 1);
	assert_in_range(m->pkt_len, AVP_MIN_PKT_SIZE, AVP_MAX_PKT_SIZE);
	/* an Ethernet header may be read without asking */
	assert_true(m->data_len >= AVP_MIN_PKT_SIZE);
	for (const struct rte_mbuf *seg = m; seg != NULL; seg = seg->next) {
		const uint8_t *data = rte_pktmbuf_mtod(seg, const uint8_t *);

		assert_true(seg->data_off + seg->data_len <= seg->buf_len);
		for (uint32_t i = 0; i < seg->data_len; i++)
			sum += data[i];
		len += seg->data_len;
		nb_segs++;
	}
	assert_int_equal(m->pkt_len, len);
	assert_int_equal(m->nb_segs, nb_segs);
	bytes_sum += sum;
}

static void
receive_some(struct avpg_fixture *f, uint64_t *random)
{
	struct rte_mbuf *pkts[64];
	uint64_t start = test_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint16_t sent = 0;
	uint16_t nb = rte_eth_rx_burst(f->port_id, (uint16_t)(test_random(random) % 2), pkts,
			(uint16_t)(1 + test_random(random) % RTE_DIM(pkts)));

	assert_true(test_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start < BURST_LIMIT_NS);
	for (uint16_t i = 0; i < nb; i++)
		check_packet(pkts[i]);
	/* some go back as they are, which without copies is another way through the driver */
	if (test_random(random) % 2 == 0)
		sent = rte_eth_tx_burst(f->port_id, (uint16_t)(test_random(random) % 2), pkts, nb);
	rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
}

static void
transmit_some(struct avpg_fixture *f, uint64_t *random)
{
	struct rte_mbuf *pkts[40];
	uint16_t nb = (uint16_t)(1 + test_random(random) % RTE_DIM(pkts));
	uint64_t start;
	uint16_t sent;

	for (uint16_t i = 0; i < nb; i++) {
		uint32_t len = AVP_MIN_PKT_SIZE + (uint32_t)(test_random(random) % 600);

		if (test_random(random) % 16 == 0)
			len += 8000;
		pkts[i] = fixture_mbuf(f, len, MBUF_ROOM, i);
		if (test_random(random) % 4 == 0)
			pkts[i]->ol_flags |= RTE_MBUF_F_TX_VLAN;
	}
	start = test_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	sent = rte_eth_tx_burst(f->port_id, (uint16_t)(test_random(random) % 2), pkts, nb);
	assert_true(test_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start < BURST_LIMIT_NS);
	assert_true(sent <= nb);
	rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
}

/* The host is itself again: so must be the port, whatever has happened to it. */
static void
recover(struct avpg_fixture *f)
{
	uint32_t ack = AVP_MIGRATION_NONE;

	assert_int_equal(avpg_fake_restart(f->fake), 0);
	fixture_wait_served(f);
	/* twice: the thread may have read, before that, that it is to detach */
	for (int i = 0; i < 2 && ack != AVP_MIGRATION_ATTACHED; i++)
		ack = avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED);
	assert_int_equal(ack, AVP_MIGRATION_ATTACHED);
	fixture_wait_served(f);
	rte_eth_dev_stop(f->port_id);
	fixture_start(f, 2, 2);
	fixture_traffic(f, 1000);
}

/* Bursts for @ms, under a host that offers @features and scribbles over @what. */
static void
bursts_under_scribbler(struct avpg_fixture *f, uint32_t features, unsigned int what, uint64_t ms)
{
	struct avpg_fake_conf conf = avpg_fake_default;
	uint64_t random = test_random_seed();
	uint64_t end = end_of_test(ms);
	struct avpg_scribbler scribbler;
	struct rte_eth_stats stats = {0};
	bool seen = false;
	uint64_t nb = 0;

	conf.features = features;
	fixture_recreate(f, &conf, MBUF_ROOM);
	fixture_start(f, 2, 2);
	assert_int_equal(avpg_scribbler_start(&scribbler, f->fake, what, random + 1), 0);
	/* packets passed, and were dropped */
	for (; go_on(end, seen);
			seen = stats.ipackets > 0 && stats.opackets > 0 && stats.ierrors > 0) {
		host_step(f->fake, &random);
		receive_some(f, &random);
		transmit_some(f, &random);
		assert_int_equal(rte_eth_stats_get(f->port_id, &stats), 0);
		/* without copies mbufs wait in the driver for packets */
		if (++nb % 64 == 0 && (features & AVP_FEATURE_RECYCLE) == 0)
			fixture_check_pool(f);
	}
	print_message("%llu writes during %llu rounds\n", avpg_scribbler_stop(&scribbler),
			(unsigned long long)nb);
	assert_true(seen);
	assert_int_equal(fixture_xstat(f, "rx_q0_by_pointer") > 0,
			(features & AVP_FEATURE_RECYCLE) != 0);
	/* and the port is as good as new, if the host is: one that offers its control FIFOs as
	 * buffers gets them overwritten */
	rte_eth_dev_stop(f->port_id);
	fixture_check_pool(f);
	recover(f);
	fixture_traffic(f, 9000);
}

static void
descriptors_that_change_while_they_are_read_harm_no_burst(void **state)
{
	bursts_under_scribbler(*state, 0, AVPG_SCRIBBLE_DESCS, 400);
}

static void
fifos_that_change_while_they_are_read_harm_no_burst(void **state)
{
	bursts_under_scribbler(*state, AVP_FEATURE_VLAN, AVPG_SCRIBBLE_FIFOS, 300);
}

static void
random_words_all_over_shared_memory_harm_no_burst(void **state)
{
	bursts_under_scribbler(*state, AVP_FEATURE_VLAN,
			AVPG_SCRIBBLE_DESCS | AVPG_SCRIBBLE_FIFOS | AVPG_SCRIBBLE_DATA, 300);
}

static void
descriptors_that_change_harm_no_burst_by_pointer(void **state)
{
	bursts_under_scribbler(*state, AVP_FEATURE_RECYCLE, AVPG_SCRIBBLE_DESCS, 400);
}

static void
random_words_all_over_shared_memory_harm_no_burst_by_pointer(void **state)
{
	bursts_under_scribbler(*state, AVP_FEATURE_RECYCLE | AVP_FEATURE_VLAN,
			AVPG_SCRIBBLE_DESCS | AVPG_SCRIBBLE_FIFOS | AVPG_SCRIBBLE_DATA, 300);
}

/* Two values for one word of each of the first buffers' descriptors. */
struct flipper {
	struct avpg_fake *fake;
	size_t offset;
	uint64_t value[2]; /* the first is added to the buffer's label */
	pthread_t thread;
	atomic_bool quit;
};

/* As quickly as can be, so that who looks twice sees both. */
static void *
flipper_main(void *arg)
{
	struct flipper *flipper = arg;

	for (uint32_t i = 0; !atomic_load_explicit(&flipper->quit, memory_order_relaxed); i++) {
		uint64_t va = avpg_fake_buf_va(flipper->fake, i % NB_FLIPPED);
		uint64_t value = i / NB_FLIPPED % 2 == 0 ? va + flipper->value[0]
							 : flipper->value[1];

		atomic_store_explicit((_Atomic uint64_t *)avpg_fake_at(
						      flipper->fake, va + flipper->offset),
				value, memory_order_relaxed);
	}
	return NULL;
}

static void
flipper_stop(struct flipper *flipper)
{
	atomic_store(&flipper->quit, true);
	pthread_join(flipper->thread, NULL);
}

static void
a_data_pointer_that_flips_is_not_looked_at_twice(void **state)
{
	struct avpg_fixture *f = *state;
	/* in BAR 2, and nowhere */
	struct flipper flipper = {.fake = f->fake,
			.offset = offsetof(struct avp_desc, data_va),
			.value = {AVPG_FAKE_BUF_DATA_OFF, INT64_MAX}};
	uint64_t end = end_of_test(300);
	struct rte_mbuf *m;
	uint64_t va;

	fixture_start(f, 1, 1);
	/* the device has no other buffers than these */
	while (avpg_fake_queued(&f->fake->alloc[0]) > 0) {
		m = fixture_mbuf(f, 60, 60, 0);
		assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
		assert_true(avpg_fake_get(&f->fake->tx[0], &va));
	}
	assert_int_equal(pthread_create(&flipper.thread, NULL, flipper_main, &flipper), 0);
	/* both are seen */
	while (go_on(end,
			fixture_xstat(f, "tx_q0_bad_buffer") > 0 &&
					fixture_xstat(f, "tx_q0_packets") >
							avpg_fake_default.nb_bufs)) {
		for (uint32_t i = 0; i < NB_FLIPPED; i++) {
			avpg_fake_put(&f->fake->alloc[0], avpg_fake_buf_va(f->fake, i));
			m = fixture_mbuf(f, 60, 60, i);
			if (rte_eth_tx_burst(f->port_id, 0, &m, 1) == 0)
				rte_pktmbuf_free(m);
			avpg_fake_get(&f->fake->tx[0], &va);
		}
	}
	flipper_stop(&flipper);
	assert_true(fixture_xstat(f, "tx_q0_bad_buffer") > 0);
	assert_true(fixture_xstat(f, "tx_q0_packets") > avpg_fake_default.nb_bufs);
}

/* A descriptor that is its own second, and then has none: a chain of one buffer, twice. */
static void
a_buffer_that_follows_itself_becomes_no_endless_mbuf(void **state)
{
	struct avpg_fixture *f = *state;
	struct avpg_fake_conf conf = avpg_fake_default;
	uint64_t end = end_of_test(300);
	uint8_t data[60];
	uint64_t va;

	conf.features = AVP_FEATURE_RECYCLE;
	fixture_recreate(f, &conf, MBUF_ROOM);
	fixture_start(f, 1, 1);
	struct flipper flipper = {.fake = f->fake,
			.offset = offsetof(struct avp_desc, next_va),
			.value = {0, 0}};

	memset(data, 0xff, sizeof(data));
	for (uint32_t i = 0; i < NB_FLIPPED; i++) {
		avpg_fake_pkt(f->fake, i, data, sizeof(data), 2048);
		avpg_fake_desc(f->fake, i)->nb_segs = 2;
		avpg_fake_desc(f->fake, i)->data_len = sizeof(data) / 2;
	}
	assert_int_equal(pthread_create(&flipper.thread, NULL, flipper_main, &flipper), 0);
	while (go_on(end, fixture_xstat(f, "rx_q0_drop_bad_chain") > 0)) {
		struct rte_mbuf *m;

		for (uint32_t i = 0; i < NB_FLIPPED; i++) {
			avpg_fake_put(&f->fake->rx[0], avpg_fake_buf_va(f->fake, i));
			/* a chain of one buffer is no packet, whenever it was looked at */
			assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
			while (avpg_fake_get(&f->fake->free[0], &va))
				;
		}
	}
	flipper_stop(&flipper);
	assert_true(fixture_xstat(f, "rx_q0_drop_bad_chain") > 0);
}

/* One operation that talks to the device. What comes of it is the host's choice. */
static void
some_operation(struct avpg_fixture *f, uint64_t *random)
{
	uint64_t value = test_random(random);

	switch (value % 8) {
	case 0:
		rte_eth_dev_stop(f->port_id);
		rte_eth_dev_start(f->port_id);
		break;
	case 1:
		rte_eth_dev_set_mtu(f->port_id, (uint16_t)(1000 + value / 8 % 1000));
		break;
	case 2:
		rte_eth_dev_set_link_down(f->port_id);
		rte_eth_dev_set_link_up(f->port_id);
		break;
	case 3:
		rte_eth_dev_set_vlan_offload(
				f->port_id, value / 8 % 2 == 0 ? RTE_ETH_VLAN_STRIP_OFFLOAD : 0);
		break;
	case 4:
		rte_eth_dev_stop(f->port_id);
		rte_eth_dev_configure(f->port_id, 2, 2, &f->conf);
		rte_eth_dev_start(f->port_id);
		break;
	default: /* whatever it asks for, now or later */
		atomic_store(&f->fake->migration_status, (unsigned int)(value / 8 % 4));
		atomic_store(&f->fake->intr_status, (unsigned int)(value / 32 % 4));
		f->fake->handler(f->fake->handler_arg);
		break;
	}
}

static void
random_words_in_control_and_info_hang_no_operation(void **state)
{
	struct avpg_fixture *f = *state;
	uint64_t random = test_random_seed();
	uint64_t end = end_of_test(600);
	uint32_t level = rte_log_get_global_level();
	uint64_t nb = 0;

	/* each of them says what is wrong */
	rte_log_set_global_level(RTE_LOG_CRIT);
	fixture_start(f, 2, 2);
	for (; test_now_ns() < end; nb++) {
		uint64_t start = test_now_ns();

		for (uint64_t i = test_random(&random) % 4; i > 0; i--)
			avpg_scribble(f->fake, AVPG_SCRIBBLE_CTRL | AVPG_SCRIBBLE_INFO, &random);
		some_operation(f, &random);
		/* when it was refused a start, ethdev has burst functions of its own that complain
		 */
		if (rte_eth_devices[f->port_id].data->dev_started != 0) {
			receive_some(f, &random);
			transmit_some(f, &random);
		}
		assert_true(test_now_ns() - start < CTRL_LIMIT_NS);
		if (nb % 4 == 0)
			recover(f);
	}
	print_message("%llu operations\n", (unsigned long long)nb);
	recover(f);
	rte_log_set_global_level(level);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(descriptors_that_change_while_they_are_read_harm_no_burst),
			TEST(fifos_that_change_while_they_are_read_harm_no_burst),
			TEST(random_words_all_over_shared_memory_harm_no_burst),
			TEST(a_data_pointer_that_flips_is_not_looked_at_twice),
			TEST(a_buffer_that_follows_itself_becomes_no_endless_mbuf),
			TEST(descriptors_that_change_harm_no_burst_by_pointer),
			TEST(random_words_all_over_shared_memory_harm_no_burst_by_pointer),
			TEST(random_words_in_control_and_info_hang_no_operation),
	};

	return cmocka_run_group_tests_name(
			"avpg_defect_scribble", tests, fixture_group_setup, NULL);
}
