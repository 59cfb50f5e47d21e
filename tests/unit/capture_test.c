/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/capture.c: what is captured, and what counts as lost. Packets come far faster than the
 * writer wakes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "capture.h"
#include "eal_fixture.h"

#define BURST 32u
#define NB_BURSTS 400u /* more than the ring and the pool hold */
#define LIMIT 5u
#define SMALL 60u /* bytes of a packet */

static uint16_t port_id;
static struct rte_mempool *pool;

static int
setup_group(void **state)
{
	(void)state;
	pool = rte_pktmbuf_pool_create("test", 255, 0, 0, 2048, 0);
	return pool != NULL && rte_dev_probe("net_ring_test") == 0
			? rte_eth_dev_get_port_by_name("net_ring_test", &port_id)
			: -1;
}

/* Hand NB_BURSTS bursts to a capture with @limit; return how it ended. */
static struct capture_status
run(uint64_t limit)
{
	char file[] = "/tmp/avp-capture-XXXXXX";
	struct capture_conf conf = {.port_name = "p0",
			.port_id = port_id,
			.file = file,
			.limit = limit,
			.snaplen = CAPTURE_SNAPLEN_MIN};
	struct capture_status status;
	struct capture *capture = NULL;
	struct rte_mbuf *mbufs[BURST];
	struct avp_err err = {0};

	close(mkstemp(file));
	unlink(file);
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, mbufs, BURST), 0);
	for (unsigned int i = 0; i < BURST; i++)
		memset(rte_pktmbuf_append(mbufs[i], SMALL), 0, SMALL);
	if (capture_create(&capture, &conf, &err) != 0)
		fail_msg("%s", err.msg);
	for (unsigned int i = 0; i < NB_BURSTS; i++)
		capture_packets(capture, port_id, mbufs, BURST, true);
	capture_destroy(capture, &status);
	rte_pktmbuf_free_bulk(mbufs, BURST);
	unlink(file);
	return status;
}

static void
packets_after_the_limit_are_not_lost(void **state)
{
	struct capture_status status = run(LIMIT);

	(void)state;
	assert_int_equal(status.error, 0);
	assert_int_equal(status.packets, LIMIT);
	assert_int_equal(status.lost, 0);
	assert_false(status.running);
}

static void
without_a_limit_each_packet_is_captured_or_lost(void **state)
{
	struct capture_status status = run(0);

	(void)state;
	assert_int_equal(status.error, 0);
	assert_int_equal(status.packets + status.lost, NB_BURSTS * BURST);
	assert_true(status.packets > 0);
}

static void
packets_that_were_lost_leave_the_limit_as_it_is(void **state)
{
	const uint64_t limit =
			3000; /* more than fit before the writer wakes, less than there are */
	struct capture_status status = run(limit);

	(void)state;
	assert_true(status.packets <= limit);
	if (status.running)
		assert_int_equal(status.packets + status.lost, NB_BURSTS * BURST);
	else
		assert_int_equal(status.packets, limit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(packets_after_the_limit_are_not_lost),
			cmocka_unit_test(without_a_limit_each_packet_is_captured_or_lost),
			cmocka_unit_test(packets_that_were_lost_leave_the_limit_as_it_is),
	};

	if (eal_fixture_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, setup_group, NULL);
}
