/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * net_avp_host and net_avp_user in two processes: traffic both ways whose order and content are
 * checked for each flow, and either of them killed in the middle of it.
 *
 * How it works
 * The test starts itself again as a host, which sends back what it receives or has flows of its
 * own, and as guests. Each checks what it can see (contents, order, mempool) and says so by its
 * exit status; a host runs until its standard input is closed. Arguments of the test: the plug-ins
 * of the two drivers; of a role: "role", its name, socket, number of queues, and the plug-ins.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "port_pair.h"

#define LIMIT_MS 40000
#define MAX_CHILDREN 4
#define MAX_QUEUES 8
#define FLOW_PACKETS 150u
#define ALL_PACKETS (FLOW_PACKETS * PAIR_MAX_FLOWS)
#define READY 'r'
#define READY_FD 3 /* where a role says so; its standard output is for messages */

/* Arguments of a role, by position. */
enum { ARG_ROLE = 1, ARG_NAME, ARG_SOCKET, ARG_QUEUES, ARG_PLUGINS };

static char **test_argv;

static void
pause_a_bit(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/*
 * Roles
 */

static struct pair pair;
static uint16_t nb_queues;
static const char *role_name;

static void
say_ready(void)
{
	assert_int_equal(write(READY_FD, &(char){READY}, 1), 1);
}

static bool
input_closed(void)
{
	struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&pfd, 1, 0) != 0;
}

static void
host_add(void)
{
	char devargs[64];
	struct pair_end_conf conf = {.nb_queues = nb_queues, .devargs = devargs};

	snprintf(devargs, sizeof(devargs), ",mru=9238,queues=%u", MAX_QUEUES);
	pair_host_add(&pair, &conf);
	say_ready();
}

/* Send back everything on the queue that it came from. */
static void
role_host(void **state)
{
	(void)state;
	host_add();
	while (!input_closed()) {
		uint32_t total = 0;

		for (uint16_t q = 0; q < nb_queues; q++) {
			struct rte_mbuf *pkts[PAIR_BURST];
			uint16_t nb = rte_eth_rx_burst(pair.host.port_id, q, pkts, PAIR_BURST);
			uint16_t sent = 0;

			/* a guest that was killed takes nothing any more */
			for (int i = 0; i < 1000 && sent < nb; i++)
				sent += rte_eth_tx_burst(
						pair.host.port_id, q, pkts + sent, nb - sent);
			rte_pktmbuf_free_bulk(pkts + sent, nb - sent);
			total += nb;
		}
		if (total == 0)
			pause_a_bit();
	}
	pair_end_remove(&pair.host);
	pair_end_check_pool(&pair.host);
}

static void
guest_connect(struct pair_stream *stream)
{
	struct pair_end_conf conf = {.nb_queues = nb_queues};

	pair_guest_add(&pair, &conf);
	pair_end_wait_link(&pair.guest, true);
	pair_stream_init(stream, &pair, 8, 2048);
}

/* Everything comes back, in order. */
static void
role_guest(void **state)
{
	static const uint32_t sizes[] = {64, 9000, 1518, 2048, 2049, 60};
	struct pair_stream stream;
	uint64_t limit = now_ms() + LIMIT_MS;

	(void)state;
	guest_connect(&stream);
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		uint32_t to_send = 2000;

		while (to_send > 0 || stream.in_flight > 0) {
			/* the FIFOs of the echo hold so many without loss */
			uint32_t room = stream.in_flight < 24 ? 24 - stream.in_flight : 0;

			to_send -= pair_send(
					&pair.guest, &stream, RTE_MIN(to_send, room), sizes[i]);
			if (pair_receive(&pair.guest, &stream) == 0)
				pause_a_bit();
			assert_true(now_ms() < limit);
		}
	}
	pair_end_remove(&pair.guest);
	pair_end_check_pool(&pair.guest);
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
			say_ready();
			ready = true;
		}
	}
	assert_false(pair_end_link(&pair.guest));
	assert_int_equal(pair_send(&pair.guest, &stream, 1, 64), 0);
	assert_int_equal(pair_receive(&pair.guest, &stream), 0);
	pair_end_remove(&pair.guest);
	pair_end_check_pool(&pair.guest);
}

/*
 * Flows both ways, of packets of all sizes, until there is no more to send, all has come, and the
 * test says that the other end is as far, too.
 */
static void
exchange(struct pair_end *end)
{
	static const uint32_t sizes[] = {64, 1518, 9238, 60, 2048, 200, 2049, 64, 5000, 129};
	const uint64_t limit = now_ms() + LIMIT_MS;
	struct pair_stream in, out;
	uint32_t sent = 0, received = 0;
	bool done = false;

	pair_end_wait_link(end, true);
	pair_stream_init(&in, &pair, PAIR_MAX_FLOWS, 2048);
	pair_stream_init(&out, &pair, PAIR_MAX_FLOWS, 1000);
	for (uint32_t round = 0; !input_closed(); round++) {
		uint32_t flow = round * 7 % PAIR_MAX_FLOWS;
		uint32_t nb = RTE_MIN(1 + round % 11, FLOW_PACKETS - out.sent[flow]);
		uint32_t got = pair_receive(end, &in);

		sent += pair_send_flow(end, &out, flow, nb, sizes[round % RTE_DIM(sizes)]);
		received += got;
		for (uint16_t q = 0; q < end->nb_queues; q++)
			rte_eth_tx_burst(end->port_id, q, NULL, 0);
		if (!done && sent == ALL_PACKETS && received == ALL_PACKETS) {
			say_ready();
			done = true;
		}
		if (got == 0)
			pause_a_bit();
		if (now_ms() > limit) {
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
	host_add();
	exchange(&pair.host);
	pair_end_remove(&pair.host);
	pair_end_check_pool(&pair.host);
}

static void
role_guest_flows(void **state)
{
	struct pair_end_conf conf = {.nb_queues = nb_queues};

	(void)state;
	pair_guest_add(&pair, &conf);
	exchange(&pair.guest);
	pair_end_remove(&pair.guest);
	pair_end_check_pool(&pair.guest);
}

static int
role_main(int argc, char **argv)
{
	const struct CMUnitTest roles[] = {
			{"host", role_host, NULL, NULL, NULL},
			{"guest", role_guest, NULL, NULL, NULL},
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

struct child {
	pid_t pid;
	int in;  /* its standard input; closing it ends a host */
	int out; /* what it says on READY_FD */
};

static char socket_path[96];

static void
child_exec(const char *role, const char *queues, const int in[2], const int out[2])
{
	char *argv[] = {test_argv[0], (char *)(uintptr_t) "role", (char *)(uintptr_t)role,
			socket_path, (char *)(uintptr_t)queues, test_argv[1], test_argv[2], NULL};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], READY_FD);
	execv(test_argv[0], argv);
	_exit(127);
}

/* Those that a test has started and not seen end. */
static pid_t started[MAX_CHILDREN];

static int
children_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		if (started[i] == 0)
			continue;
		kill(started[i], SIGKILL);
		waitpid(started[i], NULL, 0);
		started[i] = 0;
	}
	return 0;
}

static void
child_note(pid_t from, pid_t to)
{
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		if (started[i] == from) {
			started[i] = to;
			return;
		}
	}
	fail_msg("more than %d children", MAX_CHILDREN);
}

static void
child_start(struct child *child, const char *role, const char *queues)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0)
		child_exec(role, queues, in, out);
	child_note(0, child->pid);
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = out[0];
}

/* Wait until it says that it is ready. */
static void
child_wait_ready(struct child *child)
{
	struct pollfd pfd = {.fd = child->out, .events = POLLIN};
	char c = '?';

	assert_int_equal(poll(&pfd, 1, LIMIT_MS), 1);
	assert_int_equal(read(child->out, &c, 1), 1);
	assert_int_equal(c, READY);
}

/* Wait for its end and return its status. */
static int
child_wait(struct child *child)
{
	uint64_t limit = now_ms() + LIMIT_MS;
	int status = -1;
	pid_t pid;

	while ((pid = waitpid(child->pid, &status, WNOHANG)) == 0 && now_ms() < limit)
		pause_a_bit();
	if (pid == 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, &status, 0);
		child_note(child->pid, 0);
		fail_msg("pid %d: still there after %u ms", child->pid, LIMIT_MS);
	}
	child_note(child->pid, 0);
	close(child->in);
	close(child->out);
	return status;
}

static void
child_kill(struct child *child)
{
	kill(child->pid, SIGKILL);
	assert_true(WIFSIGNALED(child_wait(child)));
}

/* Have a host end in an orderly way. */
static void
host_end(struct child *host)
{
	close(host->in);
	host->in = -1;
	assert_int_equal(child_wait(host), 0);
}

static void
echo(const char *queues)
{
	struct child host, guest;

	child_start(&host, "host", queues);
	child_wait_ready(&host);
	for (int i = 0; i < 2; i++) {
		child_start(&guest, "guest", queues);
		assert_int_equal(child_wait(&guest), 0);
	}
	host_end(&host);
}

static void
everything_comes_back_from_another_process(void **state)
{
	(void)state;
	echo("1");
}

static void
everything_comes_back_over_eight_queues(void **state)
{
	(void)state;
	echo("8");
}

/* Each end with its own number of queues. */
static void
flows(const char *host_queues, const char *guest_queues)
{
	struct child host, guest;

	child_start(&host, "host-flows", host_queues);
	child_wait_ready(&host);
	child_start(&guest, "guest-flows", guest_queues);
	child_wait_ready(&guest);
	child_wait_ready(&host);
	/* the guest first: its host is not gone yet */
	close(guest.in);
	guest.in = -1;
	assert_int_equal(child_wait(&guest), 0);
	host_end(&host);
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
	struct child host, guest;

	(void)state;
	child_start(&host, "host", "2");
	child_wait_ready(&host);
	for (int i = 0; i < 4; i++) {
		child_start(&guest, "guest-without-end", "2");
		child_wait_ready(&guest);
		child_kill(&guest);
	}
	child_start(&guest, "guest", "2");
	assert_int_equal(child_wait(&guest), 0);
	host_end(&host); /* its mempool is full again */
}

static void
a_guest_outlives_a_killed_host(void **state)
{
	struct child host, guest;

	(void)state;
	for (int i = 0; i < 3; i++) {
		/* the socket of the dead one before is in its way no more */
		child_start(&host, "host", "1");
		child_wait_ready(&host);
		child_start(&guest, "guest-without-end", "1");
		child_wait_ready(&guest);
		child_kill(&host);
		assert_int_equal(child_wait(&guest), 0);
	}
	unlink(socket_path);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(
					everything_comes_back_from_another_process, children_end),
			cmocka_unit_test_teardown(
					everything_comes_back_over_eight_queues, children_end),
			cmocka_unit_test_teardown(
					every_flow_keeps_its_order_both_ways, children_end),
			cmocka_unit_test_teardown(
					every_flow_keeps_its_order_with_any_numbers_of_queues,
					children_end),
			cmocka_unit_test_teardown(
					a_killed_guest_costs_the_host_nothing, children_end),
			cmocka_unit_test_teardown(a_guest_outlives_a_killed_host, children_end),
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
