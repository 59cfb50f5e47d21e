/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Detach and attach of host ports, with guests of every kind: at work, merely probed, absent,
 * silent, and those that answer with an error or with nonsense; several ports at once; called off;
 * and ports that wait for a guest from elsewhere. The guest is a simulated one, which does what it
 * is told.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ethdev.h>

#include "avph_api.h"
#include "port_env.h"
#include "test_clock.h"

#define NB_PORTS 4
/* Time for a guest that will not answer, */
#define SHORT_MS 100u
/* ... and for one that will. */
#define LONG_MS 20000u
#define NOT_YET 1

static struct port ports[NB_PORTS];
static struct sim_guest guests[NB_PORTS];
static struct sim_pkt sent;
static struct sim_pkt got;

static int
clean_up(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NB_PORTS; i++) {
		sim_guest_disconnect(&guests[i]);
		port_abandon(&ports[i]);
	}
	return 0;
}

static void
open_port(unsigned int i, const char *args)
{
	char name[8];

	snprintf(name, sizeof(name), "m%u", i);
	port_open(&ports[i], name, &(struct port_conf){.args = args});
}

/* A port with a guest at work, which has buffers. */
static void
open_at_work(unsigned int i)
{
	open_port(i, NULL);
	assert_int_equal(sim_guest_start(&guests[i], ports[i].socket, 1, 0), 0);
	assert_true(wait_until(port_is_up, &ports[i]));
	guest_wait_alloc(&guests[i], &ports[i], 0, 60);
}

static void
close_port(unsigned int i)
{
	sim_guest_disconnect(&guests[i]);
	assert_true(wait_until(port_is_down, &ports[i]));
	assert_true(port_pool_full(&ports[i]));
	port_close(&ports[i]);
}

static uint32_t
reg_read(unsigned int i, uint32_t reg)
{
	uint32_t value = UINT32_MAX;

	assert_int_equal(vuser_client_read(guests[i].client, AVP_BAR_MMIO, reg, &value,
					 sizeof(value)),
			0);
	return value;
}

static void
acknowledge(unsigned int i, uint32_t value)
{
	assert_int_equal(vuser_client_write(guests[i].client, AVP_BAR_MMIO, AVP_REG_MIGRATION_ACK,
					 &value, sizeof(value)),
			0);
}

static bool
has_ended(void *arg)
{
	return rte_avp_host_migration_result(((struct port *)arg)->id, NULL, NULL) == 0;
}

/* Wait for the end of what was begun on a port. */
static int
result_of(unsigned int i, uint32_t *took_us)
{
	int result = NOT_YET;

	assert_true(wait_until(has_ended, &ports[i]));
	assert_int_equal(rte_avp_host_migration_result(ports[i].id, &result, took_us), 0);
	return result;
}

static struct rte_avp_host_info
info_of(unsigned int i)
{
	struct rte_avp_host_info info;

	assert_int_equal(rte_avp_host_info_get(ports[i].id, &info), 0);
	return info;
}

/* The device is nobody's: no packets, all buffers back. */
static void
assert_detached(unsigned int i)
{
	assert_int_equal(info_of(i).migration, AVP_MIGRATION_DETACHED);
	assert_int_equal(info_of(i).running, 0);
	assert_int_equal(info_of(i).configured, 0);
	assert_true(wait_until(port_is_down, &ports[i]));
	assert_true(port_pool_full(&ports[i]));
}

/* The guest's side of an attach, as a driver does it. */
static void
come_back(unsigned int i)
{
	assert_int_equal(reg_read(i, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_ATTACHED);
	sim_guest_disconnect(&guests[i]);
	assert_int_equal(sim_guest_start(&guests[i], ports[i].socket, 1, 0), 0);
}

/* A packet each way arrives. */
static void
assert_works(unsigned int i)
{
	struct rte_mbuf *mbuf;

	guest_wait_alloc(&guests[i], &ports[i], 0, 32);
	pkt_fill(&sent, 200, 0, 1);
	assert_int_equal(sim_guest_send(&guests[i], 0, &sent, 0), 0);
	assert_int_equal(port_recv(&ports[i], 0, &mbuf, 1), 1);
	assert_true(pkt_is(mbuf, &sent));
	assert_int_equal(rte_eth_tx_burst(ports[i].id, 0, &mbuf, 1), 1);
	assert_int_equal(guest_recv(&guests[i], 0, &got), 0);
	assert_int_equal(got.len, sent.len);
	assert_memory_equal(got.data, sent.data, sent.len);
}

static void
begin_returns_before_the_guest_has_answered(void **state)
{
	uint32_t took_us = 0;
	int result = NOT_YET;

	(void)state;
	open_at_work(0);
	assert_int_equal(rte_avp_host_migration_result(ports[0].id, &result, &took_us), -ENOENT);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(rte_avp_host_migration_result(ports[0].id, &result, &took_us),
			-EINPROGRESS);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), -EALREADY);
	assert_int_equal(rte_avp_host_detach(ports[0].id, LONG_MS), -EALREADY);
	assert_int_equal(result, NOT_YET);
	/* until it lets go, packets flow */
	assert_works(0);
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_DETACHED);
	assert_int_equal(sim_guest_shutdown(&guests[0]), 0);
	acknowledge(0, AVP_MIGRATION_DETACHED);
	assert_int_equal(result_of(0, &took_us), 0);
	assert_in_range(took_us, 1, LONG_MS * 1000);
	assert_detached(0);
	close_port(0);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	open_port(0, NULL);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, 0), -EINVAL);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, 60001), -EINVAL);
	assert_int_equal(rte_avp_host_detach_begin(77, SHORT_MS), -ENODEV);
	assert_int_equal(rte_avp_host_attach_begin(77, SHORT_MS), -ENODEV);
	assert_int_equal(rte_avp_host_migration_result(77, NULL, NULL), -ENODEV);
	assert_int_equal(rte_avp_host_migration_result(ports[0].id, NULL, NULL), -ENOENT);
	close_port(0);
}

static void
a_guest_that_is_merely_probed_acknowledges(void **state)
{
	(void)state;
	open_port(0, NULL);
	assert_int_equal(sim_guest_connect(&guests[0], ports[0].socket), 0);
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_NONE);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), 0);
	acknowledge(0, AVP_MIGRATION_DETACHED);
	assert_int_equal(result_of(0, NULL), 0);
	assert_detached(0);
	assert_int_equal(sim_guest_configure(&guests[0], 1, 1, 0, true), -EBUSY);
	close_port(0);
}

static void
an_absent_guest_is_not_waited_for(void **state)
{
	uint32_t took_us = UINT32_MAX;

	(void)state;
	open_port(0, NULL);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(result_of(0, &took_us), -ENOTCONN);
	assert_in_range(took_us, 0, LONG_MS * 1000 / 2);
	assert_detached(0);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(result_of(0, &took_us), -ENOTCONN);
	/* who comes now is no guest that comes back */
	assert_int_equal(sim_guest_start(&guests[0], ports[0].socket, 1, 0), 0);
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_NONE);
	assert_works(0);
	close_port(0);
}

static void
a_guest_without_a_driver_is_not_waited_for(void **state)
{
	uint32_t took_us = UINT32_MAX;

	(void)state;
	open_port(0, NULL);
	assert_int_equal(sim_guest_connect(&guests[0], ports[0].socket), 0);
	assert_int_equal(rte_avp_host_detach(ports[0].id, LONG_MS), -ENOTCONN);
	assert_detached(0);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(result_of(0, &took_us), -ENOTCONN);
	assert_in_range(took_us, 0, LONG_MS * 1000 / 2);
	/* a driver that comes now works */
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_ATTACHED);
	assert_int_equal(sim_guest_open_ctrl(&guests[0]), 0);
	assert_int_equal(sim_guest_configure(&guests[0], 1, 1, 0, true), 0);
	assert_works(0);
	close_port(0);
}

/* Its guest had no driver where it comes from. */
static void
an_incoming_guest_that_is_not_expected_is_not_waited_for(void **state)
{
	(void)state;
	open_port(0, "incoming=1");
	assert_int_equal(sim_guest_connect(&guests[0], ports[0].socket), 0);
	assert_int_equal(rte_avp_host_attach(ports[0].id, 0), -ENOTCONN);
	assert_int_equal(info_of(0).migration, AVP_MIGRATION_ATTACHED);
	close_port(0);
}

static void
a_hung_guest_loses_the_device_when_its_time_is_over(void **state)
{
	uint32_t took_us = 0;

	(void)state;
	open_at_work(0);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, SHORT_MS), 0);
	assert_int_equal(result_of(0, &took_us), -ETIMEDOUT);
	assert_true(took_us >= SHORT_MS * 1000);
	assert_detached(0);
	/* what it had has been counted, and it gets nothing more */
	assert_true(port_xstat(&ports[0], "guest_bufs_taken_back") > 0);
	assert_int_equal(sim_guest_configure(&guests[0], 1, 1, 0, true), -EBUSY);
	/* the other side fares no better, and the guest may come later on its own */
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, SHORT_MS), 0);
	assert_int_equal(result_of(0, &took_us), -ETIMEDOUT);
	come_back(0);
	assert_works(0);
	close_port(0);
}

static void
a_guest_that_fails_loses_the_device_at_once(void **state)
{
	uint32_t took_us = UINT32_MAX;

	(void)state;
	open_at_work(0);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), 0);
	acknowledge(0, AVP_MIGRATION_ERROR);
	assert_int_equal(result_of(0, &took_us), -EIO);
	assert_in_range(took_us, 0, LONG_MS * 1000 / 2);
	assert_detached(0);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	acknowledge(0, AVP_MIGRATION_ERROR);
	assert_int_equal(result_of(0, NULL), -EIO);
	close_port(0);
}

static void
an_acknowledge_of_something_else_is_none(void **state)
{
	static const uint32_t wrong[] = {
			AVP_MIGRATION_NONE, AVP_MIGRATION_ATTACHED, 4, 0x80000001, UINT32_MAX};

	(void)state;
	open_at_work(0);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, SHORT_MS), 0);
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++)
		acknowledge(0, wrong[i]);
	assert_int_equal(result_of(0, NULL), -ETIMEDOUT);
	assert_detached(0);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, SHORT_MS), 0);
	acknowledge(0, AVP_MIGRATION_DETACHED);
	assert_int_equal(result_of(0, NULL), -ETIMEDOUT);
	close_port(0);
}

static void
a_guest_that_goes_has_let_go(void **state)
{
	(void)state;
	open_at_work(0);
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), 0);
	sim_guest_disconnect(&guests[0]);
	assert_int_equal(result_of(0, NULL), 0);
	assert_detached(0);
	/* the next one is told */
	assert_int_equal(sim_guest_connect(&guests[0], ports[0].socket), 0);
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_DETACHED);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	sim_guest_disconnect(&guests[0]);
	assert_int_equal(result_of(0, NULL), -ENOTCONN);
	close_port(0);
}

static void
ports_are_detached_at_the_same_time(void **state)
{
	uint64_t begin_ms;

	(void)state;
	for (unsigned int i = 0; i < NB_PORTS; i++)
		open_at_work(i);
	begin_ms = test_now_ms();
	for (unsigned int i = 0; i < NB_PORTS; i++)
		assert_int_equal(rte_avp_host_detach_begin(ports[i].id, 10 * SHORT_MS), 0);
	/* the last one answers, and need not wait for those that do not */
	acknowledge(NB_PORTS - 1, AVP_MIGRATION_DETACHED);
	assert_int_equal(result_of(NB_PORTS - 1, NULL), 0);
	assert_int_equal(rte_avp_host_migration_result(ports[0].id, NULL, NULL), -EINPROGRESS);
	for (unsigned int i = 0; i < NB_PORTS - 1; i++)
		assert_int_equal(result_of(i, NULL), -ETIMEDOUT);
	/* one after the other would have taken one time each */
	assert_true(test_now_ms() - begin_ms < 2 * 10 * SHORT_MS);
	for (unsigned int i = 0; i < NB_PORTS; i++)
		assert_detached(i);
	for (unsigned int i = 0; i < NB_PORTS; i++)
		close_port(i);
}

static void
an_attach_calls_a_detach_off(void **state)
{
	uint64_t device_id;

	(void)state;
	open_at_work(0);
	device_id = info_of(0).device_id;
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(rte_avp_host_migration_result(ports[0].id, NULL, NULL), -EINPROGRESS);
	/* the guest had not let go: it has the same device, and its packets flow */
	assert_int_equal(info_of(0).device_id, device_id);
	assert_works(0);
	acknowledge(0, AVP_MIGRATION_ATTACHED);
	assert_int_equal(result_of(0, NULL), 0);
	assert_works(0);
	assert_int_equal(info_of(0).device_id, device_id);
	close_port(0);
}

struct waiter {
	pthread_t thread;
	int ret;
};

static void *
wait_for_detach(void *arg)
{
	struct waiter *waiter = arg;

	waiter->ret = rte_avp_host_detach(ports[0].id, LONG_MS);
	return NULL;
}

static bool
is_detaching(void *arg)
{
	return rte_avp_host_migration_result(((struct port *)arg)->id, NULL, NULL) == -EINPROGRESS;
}

static void
who_waits_for_a_detach_learns_that_it_was_called_off(void **state)
{
	struct waiter waiter = {.ret = NOT_YET};

	(void)state;
	open_at_work(0);
	assert_int_equal(pthread_create(&waiter.thread, NULL, wait_for_detach, &waiter), 0);
	assert_true(wait_until(is_detaching, &ports[0]));
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	pthread_join(waiter.thread, NULL);
	assert_int_equal(waiter.ret, -ECANCELED);
	acknowledge(0, AVP_MIGRATION_ATTACHED);
	assert_int_equal(result_of(0, NULL), 0);
	close_port(0);
}

/* The device follows what begin has asked for soon, not at once. */
static bool
is_new_device(void *old_id)
{
	return info_of(0).device_id != *(uint64_t *)old_id;
}

static void
an_attach_makes_a_new_device_with_clean_fifos(void **state)
{
	uint64_t device_id, va;

	(void)state;
	open_at_work(0);
	device_id = info_of(0).device_id;
	/* a packet that nobody has taken, a buffer that never comes back */
	pkt_fill(&sent, 200, 0, 1);
	assert_int_equal(sim_guest_send(&guests[0], 0, &sent, 0), 0);
	assert_true(sim_guest_alloc(&guests[0], 0, &va));
	assert_int_equal(rte_avp_host_detach_begin(ports[0].id, SHORT_MS), 0);
	assert_int_equal(result_of(0, NULL), -ETIMEDOUT);
	/* scribble where the device was */
	assert_true(sim_guest_put_tx(&guests[0], 0, va));
	assert_true(sim_guest_put_free(&guests[0], 0, va));
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	assert_true(wait_until(is_new_device, &device_id));
	assert_int_equal(guests[0].info->device_id, info_of(0).device_id);
	assert_int_equal(sim_guest_open_ctrl(&guests[0]), 0);
	assert_int_equal(sim_guest_configure(&guests[0], 1, 1, 0, true), 0);
	acknowledge(0, AVP_MIGRATION_ATTACHED);
	assert_int_equal(result_of(0, NULL), 0);
	assert_works(0);
	assert_int_equal(port_xstat_sum(&ports[0], "rx_q0_drop_"), 0);
	assert_int_equal(port_xstat_sum(&ports[0], "tx_q0_free_"), 0);
	close_port(0);
}

static void
an_incoming_port_keeps_its_guest_out_until_it_attaches(void **state)
{
	uint64_t device_id;

	(void)state;
	open_port(0, "incoming=1");
	assert_detached(0);
	assert_int_equal(sim_guest_connect(&guests[0], ports[0].socket), 0);
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_DETACHED);
	assert_int_equal(reg_read(0, AVP_REG_INTR_STATUS), 0);
	assert_int_equal(sim_guest_configure(&guests[0], 1, 1, 0, true), -EBUSY);
	assert_int_equal(rte_avp_host_detach(ports[0].id, LONG_MS), -EALREADY);
	device_id = info_of(0).device_id;
	assert_int_equal(rte_avp_host_attach_begin(ports[0].id, LONG_MS), 0);
	assert_int_equal(rte_avp_host_migration_result(ports[0].id, NULL, NULL), -EINPROGRESS);
	assert_true(wait_until(is_new_device, &device_id));
	assert_int_equal(reg_read(0, AVP_REG_INTR_STATUS), AVP_INTR_MIGRATION);
	assert_int_equal(reg_read(0, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_ATTACHED);
	assert_int_equal(sim_guest_open_ctrl(&guests[0]), 0);
	assert_int_equal(sim_guest_configure(&guests[0], 1, 1, 0, true), 0);
	acknowledge(0, AVP_MIGRATION_ATTACHED);
	assert_int_equal(result_of(0, NULL), 0);
	assert_works(0);
	close_port(0);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_teardown(fn, clean_up)
	const struct CMUnitTest tests[] = {
			TEST(begin_returns_before_the_guest_has_answered),
			TEST(what_makes_no_sense_is_refused),
			TEST(a_guest_that_is_merely_probed_acknowledges),
			TEST(an_absent_guest_is_not_waited_for),
			TEST(a_guest_without_a_driver_is_not_waited_for),
			TEST(an_incoming_guest_that_is_not_expected_is_not_waited_for),
			TEST(a_hung_guest_loses_the_device_when_its_time_is_over),
			TEST(a_guest_that_fails_loses_the_device_at_once),
			TEST(an_acknowledge_of_something_else_is_none),
			TEST(a_guest_that_goes_has_let_go),
			TEST(ports_are_detached_at_the_same_time),
			TEST(an_attach_calls_a_detach_off),
			TEST(who_waits_for_a_detach_learns_that_it_was_called_off),
			TEST(an_attach_makes_a_new_device_with_clean_fifos),
			TEST(an_incoming_port_keeps_its_guest_out_until_it_attaches),
	};

	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
