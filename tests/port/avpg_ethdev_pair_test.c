/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The ethdev API of net_avp_user with a real net_avp_host at the other end: sizes, limits that come
 * from the host's arguments, and a burst that does not end while the port is stopped and removed.
 *
 * Arguments: the plug-ins of the two drivers.
 */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_dev.h>

#include "port_pair.h"

static char **test_argv;
static int test_argc;
static struct pair pair;

static int
group_setup(void **state)
{
	(void)state;
	return pair_eal_init(test_argc, test_argv, "avpg_ethdev_pair");
}

static int
teardown(void **state)
{
	(void)state;
	pair_destroy(&pair);
	return 0;
}

static void
begin(const char *host_args)
{
	struct pair_end_conf host = {.nb_queues = 1, .devargs = host_args};
	struct pair_end_conf guest = {.nb_queues = 1, .tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS};

	host.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	pair_create(&pair, 0, &host, &guest);
}

static void
packets_to_9238_bytes_pass_whole(void **state)
{
	static const uint32_t sizes[] = {60, 1518, 2048, 2049, 9014, 9237, 9238};
	struct pair_stream there, back;

	(void)state;
	begin(",mru=9238");
	assert_int_equal(rte_eth_dev_set_mtu(pair.guest.port_id, 9216), 0);
	pair_stream_init(&there, &pair, 4, 2048);
	pair_stream_init(&back, &pair, 4, 1000);
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		pair_transfer(&pair.host, &pair.guest, &there, 200, sizes[i]);
		pair_transfer(&pair.guest, &pair.host, &back, 200, sizes[i]);
	}
}

static void
mtu_is_set_while_packets_flow(void **state)
{
	struct pair_stream there;
	uint16_t mtu;

	(void)state;
	begin(",mru=9238");
	pair_stream_init(&there, &pair, 4, 2048);
	for (uint16_t i = 0; i < 20; i++) {
		/* some are on their way */
		assert_true(pair_send(&pair.host, &there, 20, 1000) > 0);
		assert_int_equal(rte_eth_dev_set_mtu(pair.guest.port_id, 1500 + 100 * i), 0);
		while (there.in_flight > 0)
			pair_receive(&pair.guest, &there);
		assert_int_equal(rte_eth_dev_get_mtu(pair.guest.port_id, &mtu), 0);
		assert_int_equal(mtu, 1500 + 100 * i);
	}
	assert_int_equal(pair_end_xstat(&pair.guest, "ctrl_refused"), 0);
}

static void
limits_are_those_of_the_hosts_arguments(void **state)
{
	struct rte_eth_dev_info info;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	char version[16];

	(void)state;
	begin(",ring=512,mru=3000,queues=4");
	assert_int_equal(rte_eth_dev_info_get(pair.guest.port_id, &info), 0);
	assert_int_equal(info.rx_desc_lim.nb_max, 512);
	assert_int_equal(info.tx_desc_lim.nb_max, 512);
	assert_int_equal(info.max_rx_queues, 4);
	assert_int_equal(info.max_tx_queues, 4);
	assert_int_equal(info.max_rx_pktlen, 3000);
	assert_int_equal(info.max_mtu, 3000 - RTE_ETHER_HDR_LEN);
	assert_int_equal(rte_eth_rx_queue_info_get(pair.guest.port_id, 0, &rxq), 0);
	assert_int_equal(rxq.nb_desc, 512);
	assert_int_equal(rte_eth_tx_queue_info_get(pair.guest.port_id, 0, &txq), 0);
	assert_int_equal(txq.nb_desc, 256);
	assert_int_equal(txq.conf.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	assert_int_equal(rte_eth_dev_fw_version_get(pair.guest.port_id, version, sizeof(version)),
			0);
	assert_string_equal(version, "1.2.13");
	/* the host port's own */
	assert_int_equal(rte_eth_tx_queue_info_get(pair.host.port_id, 0, &txq), 0);
	assert_int_equal(txq.conf.offloads,
			RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
}

/*
 * A burst that does not end: it frees an mbuf whose data are the application's, and that waits.
 */

#define LIMIT_S 20
#define NB_LONG 64u /* more than the driver does in one go: it goes on after the wait */

struct long_burst {
	pthread_t thread;
	sem_t inside;
	sem_t go_on;
	struct rte_mbuf *pkts[NB_LONG];
	struct rte_mbuf_ext_shared_info shared;
	uint8_t data[64];
	uint16_t sent;
};

static void
wait_in_free(void *addr, void *opaque)
{
	struct long_burst *b = opaque;

	(void)addr;
	sem_post(&b->inside);
	while (sem_wait(&b->go_on) != 0)
		;
}

static void *
burst_main(void *arg)
{
	struct long_burst *b = arg;

	b->sent = rte_eth_tx_burst(pair.guest.port_id, 0, b->pkts, NB_LONG);
	return NULL;
}

static void
burst_begin(struct long_burst *b, struct pair_stream *stream)
{
	struct timespec limit;
	struct rte_mbuf *m;

	memset(b, 0, sizeof(*b));
	assert_int_equal(sem_init(&b->inside, 0, 0), 0);
	assert_int_equal(sem_init(&b->go_on, 0, 0), 0);
	for (uint32_t i = 0; i < NB_LONG; i++) {
		b->pkts[i] = pair_stream_make(stream, pair.guest.pool, 0, 60);
		assert_non_null(b->pkts[i]);
	}
	/* the first one's data, moved out of the mbuf */
	m = b->pkts[0];
	memcpy(b->data, rte_pktmbuf_mtod(m, void *), 60);
	b->shared.free_cb = wait_in_free;
	b->shared.fcb_opaque = b;
	rte_mbuf_ext_refcnt_set(&b->shared, 1);
	rte_pktmbuf_attach_extbuf(m, b->data, 0, sizeof(b->data), &b->shared);
	m->data_off = 0;
	m->data_len = 60;
	assert_int_equal(pthread_create(&b->thread, NULL, burst_main, b), 0);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += LIMIT_S;
	if (sem_timedwait(&b->inside, &limit) != 0)
		fail_msg("the burst has not freed its first mbuf after %d s", LIMIT_S);
}

static void
burst_end(struct long_burst *b)
{
	sem_post(&b->go_on);
	assert_int_equal(pthread_join(b->thread, NULL), 0);
	sem_destroy(&b->inside);
	sem_destroy(&b->go_on);
}

static void
a_port_is_not_taken_away_from_a_burst(void **state)
{
	struct pair_stream there, back;
	struct long_burst b;

	(void)state;
	begin(NULL);
	pair_stream_init(&back, &pair, 1, 2048);
	/* the host gives buffers when it receives */
	pair_transfer(&pair.guest, &pair.host, &back, 200, 60);
	pair_receive(&pair.host, &back);
	burst_begin(&b, &back);
	/* were the memory gone now, the rest of the burst would crash */
	assert_int_not_equal(rte_eal_hotplug_remove("vdev", pair.guest.name), 0);
	assert_int_equal(rte_eth_dev_stop(pair.guest.port_id), -ETIMEDOUT);
	assert_int_equal(rte_eth_dev_close(pair.guest.port_id), -EINVAL);
	burst_end(&b);
	assert_int_equal(b.sent, NB_LONG);
	back.in_flight += NB_LONG;
	while (back.in_flight > 0)
		pair_receive(&pair.host, &back);
	/* stopped at the second try, the port can be used again */
	assert_int_equal(rte_eth_dev_stop(pair.guest.port_id), 0);
	pair_end_start(&pair.guest);
	pair_end_wait_link(&pair.guest, true);
	pair_stream_init(&there, &pair, 4, 2048);
	pair_transfer(&pair.host, &pair.guest, &there, 1000, 1000);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(packets_to_9238_bytes_pass_whole, teardown),
			cmocka_unit_test_teardown(mtu_is_set_while_packets_flow, teardown),
			cmocka_unit_test_teardown(
					limits_are_those_of_the_hosts_arguments, teardown),
			cmocka_unit_test_teardown(a_port_is_not_taken_away_from_a_burst, teardown),
	};

	test_argc = argc;
	test_argv = argv;
	return cmocka_run_group_tests_name("avpg_ethdev_pair", tests, group_setup, NULL);
}
