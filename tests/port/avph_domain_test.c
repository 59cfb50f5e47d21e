/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Trust domains, with two simulated guests: ports of one domain pass packets by pointer, others by
 * copy; a guest that keeps what it gets cannot starve its neighbours; ports come and go while
 * neighbours have their buffers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <rte_eal.h>
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
open_one(struct port *port, struct sim_guest *guest, const char *name, const struct port_conf *conf)
{
	port_open(port, name, conf);
	assert_int_equal(sim_guest_start(guest, port->socket, 1, 0), 0);
	assert_true(wait_until(port_is_up, port));
	guest_wait_alloc(guest, port, 0, 60);
}

static void
close_one(struct port *port, struct sim_guest *guest)
{
	sim_guest_disconnect(guest);
	assert_true(wait_until(port_is_down, port));
	port_close(port);
}

/* Guest A sends what is in sent, the switch passes it on to B. */
static void
forward(void)
{
	struct rte_mbuf *mbuf;

	assert_int_equal(sim_guest_send(&guest_a, 0, &sent, 0), 0);
	assert_int_equal(port_recv(&a, 0, &mbuf, 1), 1);
	assert_int_equal(rte_eth_tx_burst(b.id, 0, &mbuf, 1), 1);
}

static void
assert_got(void)
{
	assert_int_equal(guest_recv(&guest_b, 0, &got), 0);
	assert_int_equal(got.len, sent.len);
	assert_memory_equal(got.data, sent.data, sent.len);
}

static void
packets_pass_by_pointer(void **state)
{
	static const uint32_t sizes[] = {60, 1500, 2048, 2049, 9000};
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "domain=d,mru=9238", .app_pool = *app_pool};

	open_one(&a, &guest_a, "a", &conf);
	open_one(&b, &guest_b, "b", &conf);
	for (uint32_t i = 0; i < 2000; i++) {
		pkt_fill(&sent, sizes[i % RTE_DIM(sizes)], i, i);
		forward();
		assert_got();
	}
	assert_int_equal(port_xstat(&b, "tx_q0_by_pointer"), 2000);
	assert_int_equal(port_xstat(&b, "tx_q0_copied"), 0);
	assert_int_equal(guest_a.nb_dirty, 0);
	/* B has returned all: they are A's again */
	assert_true(rte_eth_tx_done_cleanup(b.id, 0, 0) > 0);
	sim_guest_disconnect(&guest_a);
	assert_true(wait_until(port_is_down, &a));
	assert_true(port_pool_full(&a));
	close_one(&a, &guest_a);
	close_one(&b, &guest_b);
}

static void
packets_of_others_are_copied(void **state)
{
	static const char *const domains[][2] = {
			{"", ""}, {"domain=d", ""}, {"domain=d", "domain=e"}};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(domains); i++) {
		open_one(&a, &guest_a, "a", &(struct port_conf){.args = domains[i][0]});
		open_one(&b, &guest_b, "b", &(struct port_conf){.args = domains[i][1]});
		pkt_fill(&sent, 1000, i, i);
		forward();
		assert_got();
		assert_int_equal(port_xstat(&b, "tx_q0_copied"), 1);
		assert_int_equal(port_xstat(&b, "tx_q0_by_pointer"), 0);
		close_one(&a, &guest_a);
		close_one(&b, &guest_b);
	}
}

static void
a_guest_cannot_give_what_a_neighbour_has(void **state)
{
	struct rte_mbuf *mbuf;
	uint64_t va;

	(void)state;
	open_one(&a, &guest_a, "a", &(struct port_conf){.args = "domain=d"});
	open_one(&b, &guest_b, "b", &(struct port_conf){.args = "domain=d"});
	pkt_fill(&sent, 100, 0, 1);
	/* the other guest's empty buffer; the labels are the same in all of the domain */
	assert_int_equal(sim_guest_build(&guest_b, 0, &sent, 0, &va), 0);
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_true(sim_guest_put_free(&guest_a, 0, va));
	assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbuf, 1), 0);
	assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 0);
	assert_int_equal(port_xstat(&a, "rx_q0_drop_bad_owner"), 1);
	assert_int_equal(port_xstat(&a, "tx_q0_free_bad_owner"), 1);
	/* a packet that the other guest has */
	forward();
	assert_true(sim_guest_take_rx(&guest_b, 0, &va));
	assert_true(sim_guest_put_tx(&guest_a, 0, va));
	assert_true(sim_guest_put_free(&guest_a, 0, va));
	assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbuf, 1), 0);
	assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 0);
	assert_int_equal(port_xstat(&a, "rx_q0_drop_bad_owner"), 2);
	assert_int_equal(port_xstat(&a, "tx_q0_free_bad_owner"), 2);
	sim_guest_read(&guest_b, va, &got);
	assert_memory_equal(got.data, sent.data, sent.len);
	close_one(&a, &guest_a);
	close_one(&b, &guest_b);
}

static void
a_guest_that_returns_nothing_does_not_starve_its_neighbours(void **state)
{
	uint64_t va;

	(void)state;
	/* a small pool next to a long FIFO */
	open_one(&a, &guest_a, "a", &(struct port_conf){.args = "domain=d,buffers=256"});
	open_one(&b, &guest_b, "b", &(struct port_conf){.args = "domain=d,ring=1024"});
	pkt_fill(&sent, 100, 0, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		forward();
		assert_true(sim_guest_take_rx(&guest_b, 0, &va));
	}
	/* a quarter of the pool went by pointer, the rest into B's own buffers */
	assert_int_equal(port_xstat(&b, "tx_q0_by_pointer"), 64);
	assert_int_equal(port_xstat(&b, "tx_q0_copied"), 936);
	assert_int_equal(port_xstat(&a, "rx_q0_alloc_starved"), 0);
	sim_guest_disconnect(&guest_b);
	assert_true(wait_until(port_is_down, &b));
	assert_true(port_pool_full(&b));
	close_one(&a, &guest_a);
	close_one(&b, &guest_b);
}

static void
a_guest_that_goes_gives_back_its_neighbours_buffers(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "domain=d", .app_pool = *app_pool};

	open_one(&a, &guest_a, "a", &conf);
	open_one(&b, &guest_b, "b", &conf);
	pkt_fill(&sent, 100, 0, 1);
	for (uint32_t i = 0; i < 100; i++)
		forward();
	assert_int_equal(port_xstat(&b, "tx_q0_by_pointer"), 100);
	sim_guest_disconnect(&guest_a);
	assert_true(wait_until(port_is_down, &a));
	assert_false(port_pool_full(&a));
	sim_guest_disconnect(&guest_b);
	assert_true(wait_until(port_is_down, &b));
	assert_true(port_pool_full(&a));
	assert_true(port_pool_full(&b));
	port_close(&a);
	port_close(&b);
}

static bool
pool_is_gone(void *name)
{
	return rte_mempool_lookup(name) == NULL;
}

static void
buffers_of_a_closed_port_stay_until_the_neighbour_returns_them(void **state)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_avp_host_info before;
	struct rte_avp_host_info after;

	(void)state;
	open_one(&a, &guest_a, "a", &(struct port_conf){.args = "domain=d"});
	open_one(&b, &guest_b, "b", &(struct port_conf){.args = "domain=d"});
	snprintf(name, sizeof(name), "%s", a.own_pool->name);
	pkt_fill(&sent, 100, 0, 1);
	for (uint32_t i = 0; i < 10; i++)
		forward();
	assert_int_equal(rte_avp_host_info_get(b.id, &before), 0);
	close_one(&a, &guest_a);
	assert_non_null(rte_mempool_lookup(name));
	for (uint32_t i = 0; i < 10; i++)
		assert_got();
	assert_int_equal(rte_eth_tx_done_cleanup(b.id, 0, 0), 10);
	assert_true(wait_until(pool_is_gone, name));
	assert_int_equal(rte_avp_host_info_get(b.id, &after), 0);
	assert_true(after.mem_used + 1000 * 2240 <= before.mem_used);
	/* and the place in the domain is free again */
	open_one(&a, &guest_a, "a", &(struct port_conf){.args = "domain=d"});
	forward();
	assert_got();
	close_one(&a, &guest_a);
	close_one(&b, &guest_b);
}

static void
a_domain_has_one_memory_of_the_size_asked_for(void **state)
{
	struct rte_avp_host_info info_a;
	struct rte_avp_host_info info_b;

	(void)state;
	assert_int_equal(port_probe(&a, "a", "domain=d,domain_size=16"), 0);
	assert_int_equal(rte_avp_host_info_get(a.id, &info_a), 0);
	assert_string_equal(info_a.domain, "d");
	assert_int_equal(info_a.mem_size, 16 << 20);
	assert_true(info_a.mem_used < 4 << 20);
	/* 7000 buffers and A's do not fit, 4000 do */
	assert_true(port_probe(&b, "b", "domain=d,buffers=7000") < 0);
	assert_int_equal(port_probe(&b, "b", "domain=d,buffers=4000"), 0);
	assert_int_equal(rte_avp_host_info_get(b.id, &info_b), 0);
	assert_int_equal(info_b.mem_size, 16 << 20);
	assert_true(info_b.mem_used > info_a.mem_used + 4000 * 2240);
	port_abandon(&a);
	port_abandon(&b);
}

int
main(void)
{
	static bool own_pool = false;
	static bool app_pool = true;
	const struct CMUnitTest tests[] = {
			{"packets_pass_by_pointer", packets_pass_by_pointer, NULL, clean_up,
					&own_pool},
			{"packets_pass_by_pointer_attached", packets_pass_by_pointer, NULL,
					clean_up, &app_pool},
			cmocka_unit_test_teardown(packets_of_others_are_copied, clean_up),
			cmocka_unit_test_teardown(
					a_guest_cannot_give_what_a_neighbour_has, clean_up),
			cmocka_unit_test_teardown(
					a_guest_that_returns_nothing_does_not_starve_its_neighbours,
					clean_up),
			{"a_guest_that_goes_gives_back_its_neighbours_buffers",
					a_guest_that_goes_gives_back_its_neighbours_buffers, NULL,
					clean_up, &own_pool},
			{"a_guest_that_goes_gives_back_its_neighbours_buffers_attached",
					a_guest_that_goes_gives_back_its_neighbours_buffers, NULL,
					clean_up, &app_pool},
			cmocka_unit_test_teardown(
					buffers_of_a_closed_port_stay_until_the_neighbour_returns_them,
					clean_up),
			cmocka_unit_test_teardown(
					a_domain_has_one_memory_of_the_size_asked_for, clean_up),
	};

	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
