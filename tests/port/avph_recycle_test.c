/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The host's side of "recycle", with simulated guests that do what is right and what is not: a
 * buffer from an rx FIFO is taken once, on whichever FIFO it comes back, from the guest that got
 * it, and none is ever lost.
 */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ethdev.h>

#include "avph_api.h"
#include "port_env.h"

static struct port a;
static struct port b;
static struct sim_guest guest_a;
static struct sim_guest guest_b;
static struct sim_pkt sent;
static struct sim_pkt got;

static int
clean_up(void **state)
{
	(void)state;
	sim_guest_disconnect(&guest_a);
	sim_guest_disconnect(&guest_b);
	port_abandon(&a);
	port_abandon(&b);
	return 0;
}

static void
open_one(struct port *port, struct sim_guest *guest, const char *name, const struct port_conf *conf,
		uint32_t nb_queues)
{
	port_open(port, name, conf);
	assert_int_equal(sim_guest_start(guest, port->socket, nb_queues, AVP_FEATURE_RECYCLE), 0);
	assert_true(wait_until(port_is_up, port));
	guest_wait_alloc(guest, port, 0, 60);
}

/* All that the port ever had is its own again, once its guest is gone. */
static void
close_one(struct port *port, struct sim_guest *guest)
{
	sim_guest_disconnect(guest);
	assert_true(wait_until(port_is_down, port));
	assert_true(port_pool_full(port));
	port_close(port);
}

/* The switch sends @sent to the guest: by pointer, or by copy when it has a pool of its own.
 * Returns the head's label. */
static uint64_t
give_on(struct port *port, struct sim_guest *guest, uint16_t queue, uint32_t lane)
{
	struct rte_mempool *pool = port->app_pool != NULL ? port->app_pool : port->own_pool;
	struct rte_mbuf *mbuf = pkt_mbuf(pool, &sent, 2048);
	uint64_t va = 0;

	assert_non_null(mbuf);
	assert_int_equal(rte_eth_tx_burst(port->id, queue, &mbuf, 1), 1);
	assert_true(sim_guest_take_rx(guest, lane, &va));
	return va;
}

static uint64_t
give(struct port *port, struct sim_guest *guest)
{
	return give_on(port, guest, 0, 0);
}

static uint16_t
receive(struct port *port, uint16_t queue, struct rte_mbuf **mbuf)
{
	return rte_eth_rx_burst(port->id, queue, mbuf, 1);
}

static void
assert_received(struct port *port, uint16_t queue)
{
	struct rte_mbuf *mbuf = NULL;

	assert_int_equal(receive(port, queue, &mbuf), 1);
	assert_true(pkt_is(mbuf, &sent));
	rte_pktmbuf_free(mbuf);
}

static void
assert_refused(struct port *port, uint16_t queue, uint64_t nb_bad)
{
	struct rte_mbuf *mbuf;
	char name[32];

	snprintf(name, sizeof(name), "rx_q%u_drop_bad_owner", queue);
	assert_int_equal(receive(port, queue, &mbuf), 0);
	assert_int_equal(port_xstat(port, name), nb_bad);
}

static void
the_bit_is_offered_unless_it_is_off(void **state)
{
	static const char *const args[] = {"", "recycle=1", "recycle=0"};
	const uint32_t stride = 2240; /* also told for "compact" */

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(args); i++) {
		const bool on = i < 2;

		port_open(&a, "a", &(struct port_conf){.args = args[i]});
		assert_int_equal(sim_guest_connect(&guest_a, a.socket), 0);
		assert_int_equal(guest_a.info->features & AVP_FEATURE_RECYCLE,
				on ? AVP_FEATURE_RECYCLE : 0);
		assert_int_equal(guest_a.info->buf_stride, stride);
		assert_int_equal(sim_guest_configure(&guest_a, 1, 1, AVP_FEATURE_RECYCLE, true),
				on ? 0 : -ENOTSUP);
		sim_guest_disconnect(&guest_a);
		port_close(&a);
	}
}

static void
without_the_bit_it_is_refused(void **state)
{
	uint64_t va;

	(void)state;
	port_open(&a, "a", &(struct port_conf){0});
	assert_int_equal(sim_guest_start(&guest_a, a.socket, 1, 0), 0);
	assert_true(wait_until(port_is_up, &a));
	guest_wait_alloc(&guest_a, &a, 0, 60);
	pkt_fill(&sent, 100, 0, 1);
	va = give(&a, &guest_a);
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_refused(&a, 0, 1);
	/* it is still the guest's, to be given back */
	assert_true(sim_guest_put_free(&guest_a, 0, va));
	assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 1);
	close_one(&a, &guest_a);
}

static void
what_it_got_a_guest_may_send(void **state)
{
	static const uint32_t sizes[] = {60, 100, 1500, 1522};
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "", .app_pool = *app_pool};

	open_one(&a, &guest_a, "a", &conf, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		const uint32_t nb_alloc = sim_guest_nb_alloc(&guest_a, 0);
		uint64_t va;

		/* there are 1024 buffers: all of them go round */
		pkt_fill(&sent, sizes[i % RTE_DIM(sizes)], i, i);
		va = give(&a, &guest_a);
		sim_guest_read(&guest_a, va, &got);
		assert_memory_equal(got.data, sent.data, sent.len);
		assert_true(sim_guest_put_tx(&guest_a, 0, va));
		assert_received(&a, 0);
		assert_int_equal(sim_guest_nb_alloc(&guest_a, 0), nb_alloc);
	}
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 0);
	assert_int_equal(port_xstat(&a, "tx_q0_fifo_full"), 0);
	close_one(&a, &guest_a);
}

static void
any_fifo_of_the_port_will_do(void **state)
{
	const struct port_conf conf = {.args = "queues=4", .nb_rxq = 4, .nb_txq = 4};

	(void)state;
	open_one(&a, &guest_a, "a", &conf, 4);
	for (uint32_t i = 0; i < 1600; i++) {
		const uint16_t from = i % 4;
		const uint16_t to = i / 4 % 4;
		uint64_t va;

		pkt_fill(&sent, 100, i, i);
		va = give_on(&a, &guest_a, from, from);
		assert_true(sim_guest_put_tx(&guest_a, to, va));
		assert_received(&a, to);
	}
	/* returning is as before: on the free FIFO of the same number */
	for (uint16_t q = 0; q < 4; q++) {
		uint64_t va = give_on(&a, &guest_a, q, q);

		assert_true(sim_guest_put_free(&guest_a, (q + 1) % 4, va));
		assert_int_equal(rte_eth_tx_done_cleanup(a.id, (q + 1) % 4, 0), 0);
		assert_true(sim_guest_put_free(&guest_a, q, va));
		assert_int_equal(rte_eth_tx_done_cleanup(a.id, q, 0), 1);
	}
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 0);
	close_one(&a, &guest_a);
}

static void
a_buffer_is_taken_once(void **state)
{
	uint64_t va;

	(void)state;
	open_one(&a, &guest_a, "a", &(struct port_conf){.args = "queues=2", .nb_rxq = 2}, 2);
	pkt_fill(&sent, 100, 0, 1);
	va = give(&a, &guest_a);
	/* twice in one burst, then on another FIFO, then returned */
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_received(&a, 0);
	assert_refused(&a, 0, 1);
	assert_true(sim_guest_put_tx(&guest_a, 1, va));
	assert_refused(&a, 1, 1);
	assert_true(sim_guest_put_free(&guest_a, 0, va));
	assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 0);
	assert_int_equal(port_xstat(&a, "tx_q0_free_bad_owner"), 1);
	/* returned, then sent */
	va = give(&a, &guest_a);
	assert_true(sim_guest_put_free(&guest_a, 0, va));
	assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 1);
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_refused(&a, 0, 2);
	close_one(&a, &guest_a);
}

static void
a_neighbours_buffer_is_refused(void **state)
{
	uint64_t va;

	(void)state;
	open_one(&a, &guest_a, "a", &(struct port_conf){.args = "domain=d"}, 1);
	open_one(&b, &guest_b, "b", &(struct port_conf){.args = "domain=d"}, 1);
	pkt_fill(&sent, 100, 0, 1);
	va = give(&b, &guest_b);
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_refused(&a, 0, 1);
	assert_true(sim_guest_put_tx(&guest_b, 0, va));
	assert_received(&b, 0);
	close_one(&a, &guest_a);
	close_one(&b, &guest_b);
}

/* A sends, the switch passes it to B by pointer, B sends it back by pointer, and so on. */
static void
a_neighbours_pool_gets_back_what_was_passed_by_pointer(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "domain=d,buffers=256", .app_pool = *app_pool};
	struct rte_mbuf *mbuf;
	uint64_t va;

	open_one(&a, &guest_a, "a", &conf, 1);
	open_one(&b, &guest_b, "b", &conf, 1);
	for (uint32_t i = 0; i < 3000; i++) {
		pkt_fill(&sent, 100, i, i);
		assert_int_equal(sim_guest_send(&guest_a, 0, &sent, 0), 0);
		assert_int_equal(port_recv(&a, 0, &mbuf, 1), 1);
		assert_int_equal(rte_eth_tx_burst(b.id, 0, &mbuf, 1), 1);
		assert_true(sim_guest_take_rx(&guest_b, 0, &va));
		assert_true(sim_guest_put_tx(&guest_b, 0, va));
		assert_int_equal(port_recv(&b, 0, &mbuf, 1), 1);
		assert_true(pkt_is(mbuf, &sent));
		assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
		assert_true(sim_guest_take_rx(&guest_a, 0, &va));
		assert_true(sim_guest_put_tx(&guest_a, 0, va));
		assert_received(&a, 0);
	}
	/* what came back is not held against B: nothing had to be copied */
	assert_int_equal(port_xstat(&b, "tx_q0_by_pointer"), 3000);
	assert_int_equal(port_xstat(&a, "tx_q0_by_pointer"), 3000);
	close_one(&a, &guest_a);
	close_one(&b, &guest_b);
}

/* The labels of a chain. */
static uint32_t
labels_of(struct sim_guest *guest, uint64_t va, uint64_t *labels)
{
	uint32_t nb = 0;

	for (; va != 0; va = ((struct avp_desc *)sim_guest_ptr(guest, va))->next_va)
		labels[nb++] = va;
	return nb;
}

static const struct port_conf jumbo = {.args = "mru=9238"};

static void
chains_come_back_whole_or_in_parts(void **state)
{
	uint64_t labels[AVP_MAX_SEGS];

	(void)state;
	open_one(&a, &guest_a, "a", &jumbo, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		pkt_fill(&sent, 9000, i, i);
		assert_int_equal(labels_of(&guest_a, give(&a, &guest_a), labels), 5);
		if (i % 2 == 0) {
			assert_true(sim_guest_put_tx(&guest_a, 0, labels[0]));
			assert_received(&a, 0);
			continue;
		}
		for (uint32_t k = 5; k-- > 0;)
			assert_true(sim_guest_put_free(&guest_a, 0, labels[k]));
		assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 5);
	}
	assert_int_equal(port_xstat_sum(&a, "tx_q0_free_bad"), 0);
	close_one(&a, &guest_a);
}

static struct avp_desc *
desc_at(uint64_t va)
{
	return sim_guest_ptr(&guest_a, va);
}

static void
a_chain_may_mix_buffers_got_and_buffers_for_sending(void **state)
{
	uint64_t got_va, empty_va;
	struct avp_desc *head, *tail;

	(void)state;
	open_one(&a, &guest_a, "a", &jumbo, 1);
	for (uint32_t i = 0; i < 500; i++) {
		pkt_fill(&sent, 1000, i, i);
		got_va = give(&a, &guest_a);
		assert_true(sim_guest_alloc(&guest_a, 0, &empty_va));
		head = desc_at(i % 2 ? got_va : empty_va);
		tail = desc_at(i % 2 ? empty_va : got_va);
		memcpy(sim_guest_ptr(&guest_a, desc_at(empty_va)->data_va), sent.data, 1000);
		head->data_len = 1000;
		tail->data_len = 1000;
		tail->next_va = 0;
		head->next_va = i % 2 ? empty_va : got_va;
		head->nb_segs = 2;
		head->pkt_len = 2000;
		assert_true(sim_guest_put_tx(&guest_a, 0, i % 2 ? got_va : empty_va));
		memcpy(sent.data + 1000, sent.data, 1000);
		sent.len = 2000;
		assert_received(&a, 0);
	}
	close_one(&a, &guest_a);
}

/* A guest with the bit writes all of an empty buffer's descriptor; one without finds it written. */
static void
descriptors_for_sending_are_written_once(void **state)
{
	static const uint32_t features[] = {AVP_FEATURE_RECYCLE, 0, AVP_FEATURE_RECYCLE};

	(void)state;
	open_one(&a, &guest_a, "a", &jumbo, 1);
	for (size_t k = 0; k < RTE_DIM(features); k++) {
		assert_int_equal(sim_guest_configure(&guest_a, 1, 1, features[k], true), 0);
		assert_true(wait_until(port_is_up, &a));
		guest_a.nb_dirty = 0;
		for (uint32_t i = 0; i < 3000; i++) {
			guest_wait_alloc(&guest_a, &a, 0, 5);
			pkt_fill(&sent, i % 8 == 0 ? 9000 : 60 + i % 1000, i, i);
			assert_int_equal(sim_guest_send(&guest_a, 0, &sent, 0), 0);
			assert_received(&a, 0);
		}
		if (features[k] != 0)
			assert_true(guest_a.nb_dirty > 1000);
		else
			assert_int_equal(guest_a.nb_dirty, 0);
	}
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 0);
	close_one(&a, &guest_a);
}

static void
a_bad_chain_loses_no_buffer(void **state)
{
	uint64_t labels[AVP_MAX_SEGS];
	struct rte_mbuf *mbuf;

	(void)state;
	open_one(&a, &guest_a, "a", &jumbo, 1);
	/* a thousand times what the port has */
	for (uint32_t i = 0; i < 5000; i++) {
		pkt_fill(&sent, 9000, i, i);
		assert_int_equal(labels_of(&guest_a, give(&a, &guest_a), labels), 5);
		if (i % 3 == 0)
			desc_at(labels[i % 5])->data_len = 0;
		else if (i % 3 == 1)
			desc_at(labels[i % 5])->data_va = 1;
		else
			desc_at(labels[4])->next_va = labels[i % 5];
		assert_true(sim_guest_put_tx(&guest_a, 0, labels[0]));
		assert_int_equal(receive(&a, 0, &mbuf), 0);
		/* none is the guest's any more */
		for (uint32_t k = 0; k < 5; k++)
			assert_true(sim_guest_put_free(&guest_a, 0, labels[k]));
		assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 0);
	}
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 5000);
	assert_int_equal(port_xstat(&a, "tx_q0_fifo_full"), 0);
	close_one(&a, &guest_a);
}

static void
a_guest_that_keeps_all_blocks_only_itself(void **state)
{
	static uint64_t labels[1024];
	struct rte_mbuf *mbuf;
	uint32_t nb = 0;

	(void)state;
	open_one(&a, &guest_a, "a", &(struct port_conf){0}, 1);
	pkt_fill(&sent, 100, 0, 1);
	for (;;) {
		mbuf = pkt_mbuf(a.own_pool, &sent, 0);
		if (rte_eth_tx_burst(a.id, 0, &mbuf, 1) == 0)
			break;
		assert_true(sim_guest_take_rx(&guest_a, 0, &labels[nb++]));
	}
	/* as many as the free and the tx FIFO have room for */
	assert_int_equal(nb, 510);
	assert_int_equal(port_xstat(&a, "tx_q0_fifo_full"), 1);
	rte_pktmbuf_free(mbuf);
	/* it can send, and sending some back it gets more */
	assert_int_equal(sim_guest_send(&guest_a, 0, &sent, 0), 0);
	assert_received(&a, 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(sim_guest_put_tx(&guest_a, 0, labels[i]));
		assert_received(&a, 0);
	}
	for (uint32_t i = 0; i < 100; i++)
		(void)give(&a, &guest_a);
	/* and leaving it holds nothing */
	close_one(&a, &guest_a);
}

static void
when_mbufs_run_out_the_packets_wait(void **state)
{
	const struct port_conf conf = {.args = "mru=9238", .app_pool = true};
	struct rte_mbuf *mbufs[4096];
	uint32_t nb = 0;
	uint64_t va[2];

	(void)state;
	open_one(&a, &guest_a, "a", &conf, 1);
	pkt_fill(&sent, 9000, 0, 1);
	va[0] = give(&a, &guest_a);
	va[1] = give(&a, &guest_a);
	while (nb < RTE_DIM(mbufs) && (mbufs[nb] = rte_pktmbuf_alloc(a.app_pool)) != NULL)
		nb++;
	/* enough for the heads, not for the chain */
	rte_pktmbuf_free_bulk(&mbufs[nb - 3], 3);
	nb -= 3;
	assert_true(sim_guest_put_tx(&guest_a, 0, va[0]));
	assert_true(sim_guest_put_tx(&guest_a, 0, va[1]));
	assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbufs[nb], 1), 0);
	assert_true(port_xstat(&a, "rx_q0_no_mbuf") > 0);
	rte_pktmbuf_free_bulk(mbufs, nb);
	assert_received(&a, 0);
	assert_received(&a, 0);
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 0);
	close_one(&a, &guest_a);
}

/* A thread that takes back what comes on the free FIFO. */
struct reaper {
	atomic_bool quit;
	atomic_uint reaped;
};

static void *
reap(void *arg)
{
	struct reaper *reaper = arg;

	while (!atomic_load(&reaper->quit)) {
		int nb = rte_eth_tx_done_cleanup(a.id, 0, 0);

		if (nb > 0)
			atomic_fetch_add(&reaper->reaped, (unsigned int)nb);
		else
			sched_yield();
	}
	return NULL;
}

static void
of_two_lcores_one_takes_it(void **state)
{
	struct reaper reaper = {0};
	pthread_t thread;
	unsigned int nb_sent = 0;
	uint64_t va[64];

	(void)state;
	open_one(&a, &guest_a, "a", &(struct port_conf){0}, 1);
	pkt_fill(&sent, 100, 0, 1);
	for (uint32_t round = 0; round < 150; round++) {
		unsigned int before;

		for (uint32_t i = 0; i < 64; i++)
			va[i] = give(&a, &guest_a);
		before = nb_sent;
		atomic_store(&reaper.quit, false);
		atomic_store(&reaper.reaped, 0);
		assert_int_equal(pthread_create(&thread, NULL, reap, &reaper), 0);
		for (uint32_t i = 0; i < 64; i++) {
			struct rte_mbuf *mbuf;

			assert_true(sim_guest_put_free(&guest_a, 0, va[i]));
			assert_true(sim_guest_put_tx(&guest_a, 0, va[i]));
			if (receive(&a, 0, &mbuf) == 1) {
				nb_sent++;
				rte_pktmbuf_free(mbuf);
			}
		}
		atomic_store(&reaper.quit, true);
		pthread_join(thread, NULL);
		atomic_fetch_add(&reaper.reaped, (unsigned int)rte_eth_tx_done_cleanup(a.id, 0, 0));
		assert_int_equal(nb_sent - before + atomic_load(&reaper.reaped), 64);
	}
	assert_int_equal(port_xstat(&a, "rx_q0_drop_bad_owner") +
					port_xstat(&a, "tx_q0_free_bad_owner"),
			150 * 64);
	close_one(&a, &guest_a);
}

int
main(void)
{
	static bool no = false;
	static bool yes = true;
#define TEST(name) cmocka_unit_test_teardown(name, clean_up)
#define TEST_POOL(name, pool)                                  \
	{                                                      \
#name "/" #pool, name, NULL, clean_up, &(pool) \
	}
	const struct CMUnitTest tests[] = {
			TEST(the_bit_is_offered_unless_it_is_off),
			TEST(without_the_bit_it_is_refused),
			TEST_POOL(what_it_got_a_guest_may_send, no),
			TEST_POOL(what_it_got_a_guest_may_send, yes),
			TEST(any_fifo_of_the_port_will_do),
			TEST(a_buffer_is_taken_once),
			TEST(a_neighbours_buffer_is_refused),
			TEST_POOL(a_neighbours_pool_gets_back_what_was_passed_by_pointer, no),
			TEST_POOL(a_neighbours_pool_gets_back_what_was_passed_by_pointer, yes),
			TEST(chains_come_back_whole_or_in_parts),
			TEST(a_chain_may_mix_buffers_got_and_buffers_for_sending),
			TEST(descriptors_for_sending_are_written_once),
			TEST(a_bad_chain_loses_no_buffer),
			TEST(a_guest_that_keeps_all_blocks_only_itself),
			TEST(when_mbufs_run_out_the_packets_wait),
			TEST(of_two_lcores_one_takes_it),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* NULL: all */
	return cmocka_run_group_tests_name("avph_recycle", tests, port_env_init, port_env_fini);
}
