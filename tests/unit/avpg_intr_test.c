/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * drivers/net/avp/avpg_intr.c: what a queue that is armed writes where, and what wakes it, on a
 * simulated device.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ethdev_driver.h>

#include "avpg_port_fixture.h"

static struct avpg_fixture fixture;

static void
create(uint32_t features)
{
	struct avpg_fake_conf conf = avpg_fake_default;

	conf.nb_queues = 4;
	conf.min_rx_queues = 3;
	conf.features = features;
	fixture_create(&fixture, &conf, 2048);
	fixture.conf.intr_conf.rxq = 1;
}

static int
setup(void **state)
{
	create(AVP_FEATURE_RX_INTR);
	*state = &fixture;
	return 0;
}

static int
setup_without(void **state)
{
	create(AVP_FEATURE_LINK_EVENTS);
	*state = &fixture;
	return 0;
}

/* Times that the queue's eventfd has been written. */
static uint64_t
wakes(const struct avpg_fixture *f, uint16_t queue)
{
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(f->port_id, queue);
	uint64_t count = 0;

	assert_true(fd >= 0);
	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static uint32_t
word(const struct avpg_fixture *f, uint32_t fifo)
{
	return atomic_load(avpg_fake_arm(f->fake, fifo));
}

static void
put_packet(struct avpg_fixture *f, uint32_t fifo)
{
	uint8_t bytes[100];

	fixture_bytes(bytes, sizeof(bytes), 1);
	assert_true(avpg_fake_put(&f->fake->rx[fifo],
			avpg_fake_pkt(f->fake, avpg_fake_own_buf(f->fake) + fifo, bytes,
					sizeof(bytes), 2048)));
}

/* Two queues on three FIFOs: the first has one, the second two. */
static void
all_fifos_of_a_queue_are_armed_with_its_vector(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 1);
	assert_int_equal(f->fake->config.features, AVP_FEATURE_RX_INTR);
	assert_int_equal(f->fake->nb_rx_vectors, 2);
	assert_int_equal(word(f, 0) + word(f, 1) + word(f, 2), 0);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), 0);
	assert_int_equal(word(f, 0), 0);
	assert_int_equal(word(f, 1), AVP_VECTOR_RX + 1);
	assert_int_equal(word(f, 2), AVP_VECTOR_RX + 1);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 0), 0);
	assert_int_equal(word(f, 0), AVP_VECTOR_RX);
	assert_int_equal(word(f, 3), 0);
	assert_int_equal(rte_eth_dev_rx_intr_disable(f->port_id, 1), 0);
	assert_int_equal(word(f, 1) + word(f, 2), 0);
	assert_int_equal(word(f, 0), AVP_VECTOR_RX);
	assert_int_equal(wakes(f, 0) + wakes(f, 1), 0);
}

static void
a_packet_that_is_there_already_wakes_at_once(void **state)
{
	struct avpg_fixture *f = *state;
	struct rte_mbuf *m;

	fixture_start(f, 2, 1);
	put_packet(f, 2);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 0), 0);
	assert_int_equal(wakes(f, 0), 0);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), 0);
	assert_int_equal(wakes(f, 1), 1);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 1, &m, 1), 1);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), 0);
	assert_int_equal(wakes(f, 1), 0);
}

static void
an_attach_and_the_end_of_the_device_wake_who_is_asleep(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 1);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), 0);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	assert_int_equal(wakes(f, 1), 0);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
	assert_int_equal(f->fake->config.features, AVP_FEATURE_RX_INTR);
	assert_int_equal(wakes(f, 1), 1);
	assert_int_equal(wakes(f, 0), 0);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), 0);
	avpg_port_gone(f->port);
	for (int i = 0; i < 20000 && wakes(f, 1) == 0; i++)
		usleep(100);
	assert_int_equal(rte_eth_dev_rx_intr_disable(f->port_id, 1), 0);
}

static void
a_device_without_them_cannot_take_over(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 1);
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_DETACHED), AVP_MIGRATION_DETACHED);
	f->fake->info->features = 0;
	assert_int_equal(avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ERROR);
	f->fake->info->features = AVP_FEATURE_RX_INTR;
	assert_int_equal(
			avpg_fake_migrate(f->fake, AVP_MIGRATION_ATTACHED), AVP_MIGRATION_ATTACHED);
}

static void
who_does_not_want_them_gets_none(void **state)
{
	struct avpg_fixture *f = *state;

	f->conf.intr_conf.rxq = 0;
	fixture_start(f, 2, 1);
	assert_int_equal(f->fake->config.features, 0);
	assert_int_equal(f->fake->nb_rx_vectors, 0);
	assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), -ENOTSUP);
	assert_int_equal(rte_eth_dev_rx_intr_disable(f->port_id, 1), -ENOTSUP);
	assert_int_equal(word(f, 1), 0);
}

static void
they_end_with_stop_and_come_back_with_start(void **state)
{
	struct avpg_fixture *f = *state;

	fixture_start(f, 2, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rte_eth_dev_rx_intr_enable(f->port_id, 1), 0);
		assert_int_equal(rte_eth_dev_stop(f->port_id), 0);
		assert_int_equal(f->fake->nb_rx_vectors, 0);
		assert_int_equal(rte_eth_dev_start(f->port_id), 0);
		assert_int_equal(f->fake->nb_rx_vectors, 2);
		assert_int_equal(wakes(f, 1), 0);
	}
}

static void
a_device_that_does_not_offer_them_refuses_the_configuration(void **state)
{
	struct avpg_fixture *f = *state;

	assert_int_equal(rte_eth_dev_configure(f->port_id, 1, 1, &f->conf), -ENOTSUP);
	f->conf.intr_conf.rxq = 0;
	fixture_start(f, 1, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
			TEST(all_fifos_of_a_queue_are_armed_with_its_vector),
			TEST(a_packet_that_is_there_already_wakes_at_once),
			TEST(an_attach_and_the_end_of_the_device_wake_who_is_asleep),
			TEST(a_device_without_them_cannot_take_over),
			TEST(who_does_not_want_them_gets_none),
			TEST(they_end_with_stop_and_come_back_with_start),
			cmocka_unit_test_setup_teardown(
					a_device_that_does_not_offer_them_refuses_the_configuration,
					setup_without, fixture_teardown),
	};

	return cmocka_run_group_tests_name("avpg_intr", tests, fixture_group_setup, NULL);
}
