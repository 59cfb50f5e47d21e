/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * drivers/net/avp/avpg_link.c: what becomes of a port's link and MTU when the device tells of the
 * host's, and when it does not.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_port_fixture.h"

static struct avpg_fixture fixture;
static atomic_uint nb_events;

static int
on_lsc(uint16_t port_id __rte_unused, enum rte_eth_event_type type __rte_unused,
		void *arg __rte_unused, void *ret __rte_unused)
{
	atomic_fetch_add(&nb_events, 1);
	return 0;
}

static void
create(uint32_t features)
{
	struct avpg_fake_conf conf = avpg_fake_default;

	conf.features = features;
	fixture_create(&fixture, &conf, 2048);
	fixture.conf.intr_conf.lsc = 1;
	atomic_store(&nb_events, 0);
	atomic_store(&fixture.fake->link_status, AVP_LINK_UP);
	assert_int_equal(rte_eth_dev_callback_register(
					 fixture.port_id, RTE_ETH_EVENT_INTR_LSC, on_lsc, NULL),
			0);
}

static int
setup(void **state)
{
	create(AVP_FEATURE_LINK_EVENTS);
	*state = &fixture;
	return 0;
}

static int
setup_without(void **state)
{
	create(AVP_FEATURE_VLAN);
	*state = &fixture;
	return 0;
}

static bool
link_is_up(const struct avpg_fixture *f)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get_nowait(f->port_id, &link), 0);
	return link.link_status == RTE_ETH_LINK_UP;
}

static uint16_t
mtu(const struct avpg_fixture *f)
{
	uint16_t mtu;

	assert_int_equal(rte_eth_dev_get_mtu(f->port_id, &mtu), 0);
	return mtu;
}

/* An event that the application must hear of. */
static void
event(struct avpg_fixture *f, enum avp_link status, uint32_t host_mtu)
{
	unsigned int before = atomic_load(&nb_events);

	avpg_fake_link_event(f->fake, status, host_mtu);
	assert_true(avpg_fake_wait(&nb_events, before + 1));
}

static void
the_link_is_down_while_the_hosts_is(void **state)
{
	struct avpg_fixture *f = *state;

	atomic_store(&f->fake->link_status, AVP_LINK_DOWN);
	fixture_start(f, 1, 1);
	assert_int_equal(f->fake->config.features, AVP_FEATURE_LINK_EVENTS);
	assert_false(link_is_up(f)); /* it was so when the port was configured */
	event(f, AVP_LINK_UP, 0);
	assert_true(link_is_up(f));
	event(f, AVP_LINK_DOWN, 0);
	assert_false(link_is_up(f));
	/* what the application wants alone is not enough */
	assert_int_equal(rte_eth_dev_set_link_down(f->port_id), 0);
	assert_int_equal(rte_eth_dev_set_link_up(f->port_id), 0);
	assert_false(link_is_up(f));
	event(f, AVP_LINK_UP, 0);
	assert_true(link_is_up(f));
	assert_int_equal(rte_eth_dev_set_link_down(f->port_id), 0);
	assert_false(link_is_up(f));
}

static void
a_device_that_tells_nothing_leaves_the_link_to_the_application(void **state)
{
	struct avpg_fixture *f = *state;

	atomic_store(&f->fake->link_status, AVP_LINK_DOWN);
	atomic_store(&f->fake->link_mtu, 1000);
	fixture_start(f, 1, 1);
	assert_int_equal(f->fake->config.features & AVP_FEATURE_LINK_EVENTS, 0);
	assert_true(link_is_up(f));
	assert_int_equal(mtu(f), 1500);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 9000), 0);
}

static void
the_mtu_follows_the_hosts_down_and_up_again(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;

	fixture_start(f, 1, 1);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 9000), 0);
	event(f, AVP_LINK_UP, 1400);
	assert_int_equal(mtu(f), 1400);
	/* and the host learns that it does */
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_MTU);
	assert_int_equal(f->fake->last.arg.mtu, 1400);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.max_mtu, 1400);
	assert_int_equal(rte_eth_dev_set_mtu(f->port_id, 1401), -EINVAL);
	event(f, AVP_LINK_UP, 5000);
	assert_int_equal(mtu(f), 5000);
	event(f, AVP_LINK_UP, 0);
	assert_int_equal(mtu(f), 9000);
	assert_int_equal(f->fake->last.arg.mtu, 9000);
}

static void
a_limit_that_is_there_from_the_start_holds(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;

	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	atomic_store(&f->fake->link_mtu, 1300);
	fixture_probe(f);
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.max_mtu, 1300);
	fixture_start(f, 1, 1);
	assert_int_equal(mtu(f), 1300);
}

static void
a_host_that_wants_no_packets_to_fit_is_not_listened_to(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_eth_dev_info info;

	fixture_start(f, 1, 1);
	avpg_fake_link_event(f->fake, AVP_LINK_DOWN, 10);
	assert_true(avpg_fake_wait(&nb_events, 1));
	assert_int_equal(mtu(f), 1500);
	event(f, (enum avp_link)77, 1u << 31);
	assert_true(link_is_up(f)); /* it does not say down */
	assert_int_equal(rte_eth_dev_info_get(f->port_id, &info), 0);
	assert_int_equal(info.max_mtu, 9216);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(the_link_is_down_while_the_hosts_is),
			cmocka_unit_test_setup_teardown(
					a_device_that_tells_nothing_leaves_the_link_to_the_application,
					setup_without, fixture_teardown),
			TEST(the_mtu_follows_the_hosts_down_and_up_again),
			TEST(a_limit_that_is_there_from_the_start_holds),
			TEST(a_host_that_wants_no_packets_to_fit_is_not_listened_to),
	};

	return cmocka_run_group_tests_name("avpg_link", tests, fixture_group_setup, NULL);
}
