/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * net_avp_host and net_avp_user in two processes: flows both ways, traffic from either end and
 * back, the guest's port configured anew, detached and attached, and either process killed in the
 * middle of it. host_user_test.c has more, in one process.
 *
 * How it works
 * The test starts itself again as a host and as a guest, which connect to each other. Each checks
 * what it can see (contents, order, mempool) and says so by its exit status. Those that send back
 * what they receive do so until their standard input is closed; a host takes commands there.
 * Arguments of the test: the plug-ins of the two drivers; of a role: "role", its name, socket,
 * number of queues, and the plug-ins.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "avph_api.h"
#include "port_pair.h"
#include "role_child.h"
#include "test_clock.h"

#define MAX_QUEUES 8
#define FLOW_PACKETS 150u
#define ALL_PACKETS (FLOW_PACKETS * PAIR_MAX_FLOWS)
#define DETACH 'd' /* commands for a host; it says that it is ready when done */
#define ATTACH 'a'
#define NB_DETACHES 3
#define MAX_IN_FLIGHT 24 /* packets that the FIFOs of one that sends back hold without loss */
#define MAC "02:00:00:00:0b:01"

/* Arguments of a role, by position. */
enum { ARG_ROLE = 1, ARG_NAME, ARG_SOCKET, ARG_QUEUES, ARG_PLUGINS };

static char **test_argv;

/*
 * Roles
 */

static struct pair pair;
static uint16_t nb_queues;
static const char *role_name;

/* Do what standard input says. False when it is closed. */
static bool
obey(void)
{
	int command = role_command();

	if (command == DETACH)
		assert_int_equal(rte_avp_host_detach(pair.host.port_id, ROLE_LIMIT_MS), 0);
	else if (command == ATTACH)
		assert_int_equal(rte_avp_host_attach(pair.host.port_id, ROLE_LIMIT_MS), 0);
	if (command > 0)
		role_say_ready();
	return command >= 0;
}

/* Send all of them, unless the other end goes away. */
static void
send_all(struct pair_end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	uint16_t sent = rte_eth_tx_burst(end->port_id, queue, pkts, nb);

	while (sent < nb && pair_end_link(end)) {
		test_pause();
		sent += rte_eth_tx_burst(end->port_id, queue, pkts + sent, nb - sent);
	}
	rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
}

/* Send back everything on the queue that it came from, until standard input is closed. */
static void
send_back(struct pair_end *end)
{
	while (obey()) {
		uint32_t total = 0;

		for (uint16_t q = 0; q < nb_queues; q++) {
			struct rte_mbuf *pkts[PAIR_BURST];
			uint16_t nb = rte_eth_rx_burst(end->port_id, q, pkts, PAIR_BURST);

			send_all(end, q, pkts, nb);
			total += nb;
		}
		if (total == 0)
			test_pause();
	}
}

/* Send @nb packets; each comes back, in order. */
static void
send_and_receive(struct pair_end *end, struct pair_stream *stream, uint32_t nb, uint32_t size)
{
	uint64_t limit = test_now_ms() + ROLE_LIMIT_MS;

	while (nb > 0 || stream->in_flight > 0) {
		uint32_t room = stream->in_flight < MAX_IN_FLIGHT
				? MAX_IN_FLIGHT - stream->in_flight
				: 0;

		nb -= pair_send(end, stream, RTE_MIN(nb, room), size);
		if (pair_receive(end, stream) == 0)
			test_pause();
		assert_true(test_now_ms() < limit);
	}
}

/* Packets of some sizes, with mbufs of two sizes. */
static void
send_and_receive_all(struct pair_end *end, struct pair_stream *stream)
{
	static const uint32_t sizes[] = {64, 9000, 1518, 2048, 2049, 60};

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		stream->seg_size = 2048;
		send_and_receive(end, stream, 2000, sizes[i]);
		stream->seg_size = 700;
		send_and_receive(end, stream, 200, sizes[i]);
	}
}

static void
end_remove(struct pair_end *end)
{
	pair_end_remove(end);
	pair_end_check_pool(end);
}

static void
host_listen(void)
{
	char devargs[64];
	struct pair_end_conf conf = {.nb_queues = nb_queues, .devargs = devargs};

	snprintf(devargs, sizeof(devargs), ",mru=9238,queues=%u,mac=" MAC, MAX_QUEUES);
	pair_host_add(&pair, &conf);
	role_say_ready();
}

static void
role_host(void **state)
{
	(void)state;
	host_listen();
	send_back(&pair.host);
	end_remove(&pair.host);
}

static void
role_host_that_sends(void **state)
{
	struct pair_stream stream;

	(void)state;
	host_listen();
	pair_end_wait_link(&pair.host, true);
	pair_stream_init(&stream, &pair, 8, 2048);
	assert_int_equal(rte_ether_unformat_addr(MAC, &stream.dst), 0);
	send_and_receive_all(&pair.host, &stream);
	end_remove(&pair.host);
}

static void
guest_connect(struct pair_stream *stream)
{
	struct pair_end_conf conf = {.nb_queues = nb_queues};

	pair_guest_add(&pair, &conf);
	pair_end_wait_link(&pair.guest, true);
	pair_stream_init(stream, &pair, 8, 2048);
}

static void
role_guest(void **state)
{
	struct pair_stream stream;

	(void)state;
	guest_connect(&stream);
	send_and_receive_all(&pair.guest, &stream);
	end_remove(&pair.guest);
}

static void
role_guest_that_sends_back(void **state)
{
	struct pair_stream stream;

	(void)state;
	guest_connect(&stream);
	send_back(&pair.guest);
	end_remove(&pair.guest);
}

/* Configure it for fewer queues, and for as many as before, again and again. */
static void
role_guest_that_restarts(void **state)
{
	struct rte_eth_conf conf = {0};
	struct pair_stream stream;

	(void)state;
	guest_connect(&stream);
	for (uint16_t i = 0; i < 3 * nb_queues; i++) {
		uint16_t nb = nb_queues - i % nb_queues;

		pair_end_stop(&pair.guest);
		pair.guest.nb_queues = nb;
		assert_int_equal(rte_eth_dev_configure(pair.guest.port_id, nb, nb, &conf), 0);
		for (uint16_t q = 0; q < nb; q++) {
			assert_int_equal(rte_eth_rx_queue_setup(pair.guest.port_id, q, 0, 0, NULL,
							 pair.guest.pool),
					0);
			assert_int_equal(rte_eth_tx_queue_setup(pair.guest.port_id, q, 0, 0, NULL),
					0);
		}
		pair_end_start(&pair.guest);
		pair_end_wait_link(&pair.guest, true);
		/* a flow may be on another queue now */
		pair_stream_init(&stream, &pair, 8, 2048);
		send_and_receive(&pair.guest, &stream, 500, i % 2 == 0 ? 64 : 5000);
	}
	end_remove(&pair.guest);
}

/* Traffic until the host detaches the device; afterwards everything comes back again. */
static void
role_guest_that_is_detached(void **state)
{
	struct pair_stream stream;

	(void)state;
	guest_connect(&stream);
	for (int i = 0; i < NB_DETACHES; i++) {
		stream.lossy = true;
		send_and_receive(&pair.guest, &stream, 500, 2000);
		role_say_ready();
		while (pair_end_link(&pair.guest)) {
			pair_send(&pair.guest, &stream, 32, 1000);
			pair_receive(&pair.guest, &stream);
		}
		assert_int_equal(pair_send(&pair.guest, &stream, 1, 64), 0);
		assert_int_equal(pair_receive(&pair.guest, &stream), 0);
		role_say_ready();
		pair_end_wait_link(&pair.guest, true);
		/* nothing of what was on the way then */
		pair_stream_init(&stream, &pair, 8, 2048);
		send_and_receive(&pair.guest, &stream, 500, 2000);
	}
	end_remove(&pair.guest);
}

static atomic_bool gone;

static int
on_removal(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	(void)port_id;
	(void)type;
	(void)arg;
	(void)ret;
	atomic_store(&gone, true);
	return 0;
}

/* Traffic until the host has gone; ready once it flows. */
static void
role_guest_without_end(void **state)
{
	struct pair_stream stream;
	uint32_t received = 0;
	bool ready = false;

	(void)state;
	guest_connect(&stream);
	stream.lossy = true;
	rte_eth_dev_callback_register(pair.guest.port_id, RTE_ETH_EVENT_INTR_RMV, on_removal, NULL);
	while (!atomic_load(&gone)) {
		pair_send(&pair.guest, &stream, 32, received % 2 == 0 ? 64 : 5000);
		received += pair_receive(&pair.guest, &stream);
		if (!ready && received >= 500) {
			role_say_ready();
			ready = true;
		}
	}
	assert_false(pair_end_link(&pair.guest));
	assert_int_equal(pair_send(&pair.guest, &stream, 1, 64), 0);
	assert_int_equal(pair_receive(&pair.guest, &stream), 0);
	end_remove(&pair.guest);
}

/*
 * Flows both ways, of packets of all sizes, until there is no more to send, all has come, and the
 * test says that the other end is as far, too.
 */
static void
exchange(struct pair_end *end)
{
	static const uint32_t sizes[] = {64, 1518, 9238, 60, 2048, 200, 2049, 64, 5000, 129};
	const uint64_t limit = test_now_ms() + ROLE_LIMIT_MS;
	struct pair_stream in, out;
	uint32_t sent = 0, received = 0;
	bool done = false;

	pair_end_wait_link(end, true);
	pair_stream_init(&in, &pair, PAIR_MAX_FLOWS, 2048);
	pair_stream_init(&out, &pair, PAIR_MAX_FLOWS, 1000);
	for (uint32_t round = 0; role_command() == 0; round++) {
		uint32_t flow = round * 7 % PAIR_MAX_FLOWS;
		uint32_t nb = RTE_MIN(1 + round % 11, FLOW_PACKETS - out.sent[flow]);
		uint32_t got = pair_receive(end, &in);

		sent += pair_send_flow(end, &out, flow, nb, sizes[round % RTE_DIM(sizes)]);
		received += got;
		for (uint16_t q = 0; q < end->nb_queues; q++)
			rte_eth_tx_burst(end->port_id, q, NULL, 0);
		if (!done && sent == ALL_PACKETS && received == ALL_PACKETS) {
			role_say_ready();
			done = true;
		}
		if (got == 0)
			test_pause();
		if (test_now_ms() > limit) {
			pair_end_print(end);
			fail_msg("%s: %u packets sent, %u received, of %u each", end->name, sent,
					received, ALL_PACKETS);
		}
	}
	for (uint32_t flow = 0; flow < PAIR_MAX_FLOWS; flow++)
		assert_int_equal(in.received[flow], FLOW_PACKETS);
}

static void
role_host_flows(void **state)
{
	(void)state;
	host_listen();
	exchange(&pair.host);
	end_remove(&pair.host);
}

static void
role_guest_flows(void **state)
{
	struct pair_end_conf conf = {.nb_queues = nb_queues};

	(void)state;
	pair_guest_add(&pair, &conf);
	exchange(&pair.guest);
	end_remove(&pair.guest);
}

static int
role_main(int argc, char **argv)
{
	const struct CMUnitTest roles[] = {
			{"host", role_host, NULL, NULL, NULL},
			{"host-that-sends", role_host_that_sends, NULL, NULL, NULL},
			{"guest", role_guest, NULL, NULL, NULL},
			{"guest-that-sends-back", role_guest_that_sends_back, NULL, NULL, NULL},
			{"guest-that-restarts", role_guest_that_restarts, NULL, NULL, NULL},
			{"guest-that-is-detached", role_guest_that_is_detached, NULL, NULL, NULL},
			{"guest-without-end", role_guest_without_end, NULL, NULL, NULL},
			{"host-flows", role_host_flows, NULL, NULL, NULL},
			{"guest-flows", role_guest_flows, NULL, NULL, NULL},
	};
	char prefix[32];

	role_name = argv[ARG_NAME];
	nb_queues = (uint16_t)atoi(argv[ARG_QUEUES]);
	snprintf(pair.socket, sizeof(pair.socket), "%s", argv[ARG_SOCKET]);
	snprintf(prefix, sizeof(prefix), "avp-%s-%d", role_name, getpid());
	argv[ARG_PLUGINS - 1] = argv[0];
	if (pair_eal_init(argc - ARG_PLUGINS + 1, argv + ARG_PLUGINS - 1, prefix) != 0)
		return 1;
	cmocka_set_test_filter(role_name);
	return cmocka_run_group_tests_name(role_name, roles, NULL, NULL);
}

/*
 * The test
 */

static char socket_path[96];

static void
child_start(struct role_child *child, const char *role, const char *queues)
{
	char *argv[] = {test_argv[0], (char *)(uintptr_t) "role", (char *)(uintptr_t)role,
			socket_path, (char *)(uintptr_t)queues, test_argv[1], test_argv[2], NULL};

	role_child_start(child, argv);
}

/* A host that sends back, and a guest in that role, @times times. */
static void
guest_of_role(const char *role, const char *queues, int times)
{
	struct role_child host, guest;

	child_start(&host, "host", queues);
	role_child_wait_ready(&host);
	for (int i = 0; i < times; i++) {
		child_start(&guest, role, queues);
		assert_int_equal(role_child_wait(&guest), 0);
	}
	role_child_end(&host);
}

static void
everything_comes_back_from_another_process(void **state)
{
	(void)state;
	guest_of_role("guest", "1", 2);
}

static void
everything_comes_back_over_eight_queues(void **state)
{
	(void)state;
	guest_of_role("guest", "8", 2);
}

static void
everything_comes_back_from_a_guest(void **state)
{
	static const char *const queues[] = {"1", "4"};
	struct role_child host, guest;

	(void)state;
	for (size_t i = 0; i < RTE_DIM(queues); i++) {
		child_start(&host, "host-that-sends", queues[i]);
		role_child_wait_ready(&host);
		child_start(&guest, "guest-that-sends-back", queues[i]);
		assert_int_equal(role_child_wait(&host), 0);
		/* it sees that the host has gone */
		role_child_end(&guest);
	}
}

static void
a_guest_may_change_its_configuration(void **state)
{
	(void)state;
	guest_of_role("guest-that-restarts", "4", 1);
}

static void
a_guest_is_detached_and_attached(void **state)
{
	struct role_child host, guest;

	(void)state;
	child_start(&host, "host", "2");
	role_child_wait_ready(&host);
	child_start(&guest, "guest-that-is-detached", "2");
	for (int i = 0; i < NB_DETACHES; i++) {
		role_child_wait_ready(&guest);
		role_child_command(&host, DETACH);
		role_child_wait_ready(&guest);
		role_child_command(&host, ATTACH);
	}
	assert_int_equal(role_child_wait(&guest), 0);
	role_child_end(&host);
}

/* Each end with its own number of queues. */
static void
flows(const char *host_queues, const char *guest_queues)
{
	struct role_child host, guest;

	child_start(&host, "host-flows", host_queues);
	role_child_wait_ready(&host);
	child_start(&guest, "guest-flows", guest_queues);
	role_child_wait_ready(&guest);
	role_child_wait_ready(&host);
	/* the guest first: its host is not gone yet */
	role_child_end(&guest);
	role_child_end(&host);
}

static void
every_flow_keeps_its_order_both_ways(void **state)
{
	(void)state;
	flows("8", "8");
}

static void
every_flow_keeps_its_order_with_any_numbers_of_queues(void **state)
{
	(void)state;
	flows("3", "8");
	flows("8", "3");
	flows("2", "1");
}

static void
a_killed_guest_costs_the_host_nothing(void **state)
{
	struct role_child host, guest;

	(void)state;
	child_start(&host, "host", "2");
	role_child_wait_ready(&host);
	for (int i = 0; i < 4; i++) {
		child_start(&guest, "guest-without-end", "2");
		role_child_wait_ready(&guest);
		role_child_kill(&guest);
	}
	child_start(&guest, "guest", "2");
	assert_int_equal(role_child_wait(&guest), 0);
	role_child_end(&host); /* its mempool is full again */
}

static void
a_guest_outlives_a_killed_host(void **state)
{
	struct role_child host, guest;

	(void)state;
	for (int i = 0; i < 3; i++) {
		/* the socket of the dead one before is in its way no more */
		child_start(&host, "host", "1");
		role_child_wait_ready(&host);
		child_start(&guest, "guest-without-end", "1");
		role_child_wait_ready(&guest);
		role_child_kill(&host);
		assert_int_equal(role_child_wait(&guest), 0);
	}
	unlink(socket_path);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(everything_comes_back_from_another_process,
					role_children_end),
			cmocka_unit_test_teardown(
					everything_comes_back_over_eight_queues, role_children_end),
			cmocka_unit_test_teardown(
					every_flow_keeps_its_order_both_ways, role_children_end),
			cmocka_unit_test_teardown(
					every_flow_keeps_its_order_with_any_numbers_of_queues,
					role_children_end),
			cmocka_unit_test_teardown(
					everything_comes_back_from_a_guest, role_children_end),
			cmocka_unit_test_teardown(
					a_guest_may_change_its_configuration, role_children_end),
			cmocka_unit_test_teardown(
					a_guest_is_detached_and_attached, role_children_end),
			cmocka_unit_test_teardown(
					a_killed_guest_costs_the_host_nothing, role_children_end),
			cmocka_unit_test_teardown(
					a_guest_outlives_a_killed_host, role_children_end),
	};

	if (argc > ARG_PLUGINS && strcmp(argv[ARG_ROLE], "role") == 0)
		return role_main(argc, argv);
	if (argc < 3) {
		fprintf(stderr, "usage: %s HOST-PLUG-IN GUEST-PLUG-IN\n", argv[0]);
		return 2;
	}
	test_argv = argv;
	snprintf(socket_path, sizeof(socket_path), "%s/p.sock", pair_folder());
	cmocka_set_test_filter(getenv("TEST_FILTER")); /* NULL: all */
	return cmocka_run_group_tests_name("host_user_process", tests, NULL, NULL);
}
