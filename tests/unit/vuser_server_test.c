/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/vuser/vuser_server.c: who gets in, what is answered, and what stays open.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avp_sock.h"
#include "vuser_fixture.h"

static int
setup(void **state)
{
	struct vuser_fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	vuser_fixture_start(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	bool clean = vuser_fixture_stop(*state);
	free(*state);
	return clean ? 0 : -1;
}

static int
connect_client(const struct vuser_fixture *f)
{
	int sock = vuser_raw_connect(f);

	assert_int_equal(vuser_raw_negotiate(sock), 0);
	return sock;
}

static void
client_gets_the_slot_with_its_version(void **state)
{
	struct vuser_fixture *f = *state;
	int sock = vuser_raw_connect(f);

	assert_int_equal(atomic_load(&f->connects), 0);
	assert_int_equal(vuser_raw_negotiate(sock), 0);
	assert_int_equal(atomic_load(&f->connects), 1);
	close(sock);
	assert_true(vuser_fixture_wait(&f->disconnects, 1));
}

static void
version_reply_names_only_what_was_proposed(void **state)
{
	static const char proposal[] = "{\"capabilities\":{\"max_msg_fds\":8,\"twin_socket\":{}}}";
	uint8_t body[sizeof(struct vuser_version) + sizeof(proposal)] = {0};
	struct vuser_raw_msg reply;
	int sock = vuser_raw_connect(*state);

	body[2] = 7; /* a minor version above ours */
	memcpy(body + sizeof(struct vuser_version), proposal, sizeof(proposal));
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_VERSION, body, sizeof(body), NULL, 0,
					 &reply),
			0);
	assert_int_equal(reply.body[0], 0);
	assert_int_equal(reply.body[2], 0);
	assert_string_equal((char *)reply.body + 4, "{\"capabilities\":{\"max_msg_fds\":16}}");
	/* QEMU's buffer for the reply is as large as its request */
	assert_true(reply.body_size <= sizeof(body));
	close(sock);
}

static void
second_client_is_refused_and_first_undisturbed(void **state)
{
	struct vuser_fixture *f = *state;
	int first = connect_client(f);

	for (int i = 0; i < 20; i++) {
		int second = vuser_raw_connect(f);

		assert_int_equal(vuser_raw_negotiate(second), EBUSY);
		assert_true(vuser_raw_closed(second));
		close(second);
		assert_int_equal(vuser_raw_call(first, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0,
						 NULL),
				0);
	}
	assert_int_equal(atomic_load(&f->connects), 1);
	assert_int_equal(atomic_load(&f->disconnects), 0);
	assert_int_equal(atomic_load(&f->resets), 20);
	close(first);
}

static void
successor_of_a_dead_client_is_let_in_at_once(void **state)
{
	struct vuser_fixture *f = *state;

	for (unsigned int i = 0; i < 200; i++) {
		int sock = connect_client(f);

		/* requests that are never read must not keep the slot either */
		for (uint16_t n = 0; n < 40; n++)
			assert_true(vuser_raw_command(
					sock, n, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0));
		close(sock);
	}
	assert_int_equal(atomic_load(&f->connects), 200);
	assert_true(vuser_fixture_wait(&f->disconnects, 200));
}

static void
reset_that_disconnects_is_answered_first(void **state)
{
	struct vuser_fixture *f = *state;
	int sock = connect_client(f);

	f->disconnect_in_reset = true;
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL), 0);
	assert_true(vuser_raw_closed(sock));
	assert_true(vuser_fixture_wait(&f->disconnects, 1));
	close(sock);
}

static void
commands_without_reply_are_carried_out_in_order(void **state)
{
	struct vuser_fixture *f = *state;
	int sock = connect_client(f);
	struct {
		struct vuser_hdr hdr;
		struct vuser_region_rw rw;
		uint32_t data;
	} write = {
			{1, VUSER_CMD_REGION_WRITE, 36, VUSER_HDR_NO_REPLY, 0},
			{0, 0, 4},
			0,
	};
	const struct vuser_region_rw read = {0, 0, 4};
	struct vuser_raw_msg reply;

	for (uint32_t i = 1; i <= 500; i++) {
		write.data = i;
		assert_true(vuser_raw_send(sock, &write, 36, NULL, 0));
	}
	write.rw.region = 3; /* wrong ones are not answered either */
	assert_true(vuser_raw_send(sock, &write, 36, NULL, 0));
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_REGION_READ, &read, sizeof(read), NULL, 0,
					 &reply),
			0);
	memcpy(&write.data, reply.body + sizeof(read), sizeof(write.data));
	assert_int_equal(write.data, 500);
	assert_int_equal(atomic_load(&f->writes), 500);
	close(sock);
}

static void
replies_to_a_slow_reader_arrive_whole_and_in_order(void **state)
{
	struct vuser_fixture *f = *state;
	const struct vuser_region_rw rw = {0, 2, VUSER_MAX_XFER_SIZE};
	struct vuser_region_info info = {.argsz = sizeof(info), .index = 2};
	struct vuser_raw_msg *reply = malloc(sizeof(*reply));
	int sock = connect_client(f);

	/* far more than the socket holds; the odd ones bring a descriptor */
	for (uint16_t i = 0; i < 200; i++) {
		if (i % 2 == 0)
			assert_true(vuser_raw_command(
					sock, i, VUSER_CMD_REGION_READ, &rw, sizeof(rw), NULL, 0));
		else
			assert_true(vuser_raw_command(sock, i, VUSER_CMD_REGION_INFO, &info,
					sizeof(info), NULL, 0));
	}
	for (uint16_t i = 0; i < 200; i++) {
		assert_int_equal(vuser_raw_receive(sock, reply), 1);
		assert_int_equal(reply->hdr.id, i);
		assert_int_equal(reply->hdr.flags, VUSER_HDR_TYPE_REPLY);
		assert_int_equal(reply->body_size,
				i % 2 == 0 ? sizeof(rw) + VUSER_MAX_XFER_SIZE : sizeof(info));
		assert_int_equal(reply->nb_fds, i % 2);
		if (reply->nb_fds == 1)
			close(reply->fds[0]);
	}
	assert_int_equal(atomic_load(&f->reads), 100);
	free(reply);
	close(sock);
}

static void
region_is_not_mappable_for_a_client_that_takes_no_descriptors(void **state)
{
	static const char proposal[] = "{\"capabilities\":{\"max_msg_fds\":0}}";
	uint8_t body[sizeof(struct vuser_version) + sizeof(proposal)] = {0};
	struct vuser_region_info info = {.argsz = sizeof(info), .index = 2};
	struct vuser_raw_msg reply;
	int sock = vuser_raw_connect(*state);

	memcpy(body + sizeof(struct vuser_version), proposal, sizeof(proposal));
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_VERSION, body, sizeof(body), NULL, 0, NULL),
			0);
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_REGION_INFO, &info, sizeof(info), NULL, 0,
					 &reply),
			0);
	assert_int_equal(reply.nb_fds, 0);
	memcpy(&info, reply.body, sizeof(info));
	assert_int_equal(info.flags, VUSER_REGION_READ | VUSER_REGION_WRITE);
	close(sock);
}

static void
wrong_version_is_refused(void **state)
{
	const struct vuser_version versions[] = {{1, 0}, {UINT16_MAX, 0}};

	for (int i = 0; i < 2; i++) {
		int sock = vuser_raw_connect(*state);

		assert_int_equal(vuser_raw_call(sock, VUSER_CMD_VERSION, &versions[i], 4, NULL, 0,
						 NULL),
				ENOTSUP);
		assert_true(vuser_raw_closed(sock));
		close(sock);
	}
}

static int
other_server(void *arg)
{
	struct vuser_fixture *f = arg;
	const struct vuser_server_conf conf = {
			.path = f->path,
			.perm = {0600, (uid_t)-1, (gid_t)-1},
	};
	struct vuser_server *server;
	struct avp_err err;

	int ret = vuser_server_create(&server, f->loop, &conf, &err);
	if (ret != -EADDRINUSE || strstr(err.msg, "already in use by pid") == NULL)
		return -1;
	return 0;
}

static void
second_server_on_the_path_is_refused(void **state)
{
	struct vuser_fixture *f = *state;
	int sock = connect_client(f);

	assert_int_equal(avp_loop_call(f->loop, other_server, f), 0);
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL), 0);
	close(sock);
	sock = connect_client(f);
	close(sock);
}

/* Negotiate with a server whose loop this thread runs. */
static int
connect_client_by_hand(struct vuser_fixture *f)
{
	const struct vuser_version version = {0, 0};
	struct vuser_raw_msg reply;
	int sock = vuser_raw_connect(f);

	assert_true(vuser_raw_command(
			sock, 1, VUSER_CMD_VERSION, &version, sizeof(version), NULL, 0));
	/* accept, then the message; each time an earlier client may have its turn */
	assert_in_range(avp_loop_run_once(f->loop, 1000), 1, 2);
	assert_in_range(avp_loop_run_once(f->loop, 1000), 1, 2);
	assert_int_equal(vuser_raw_receive(sock, &reply), 1);
	assert_int_equal(reply.hdr.flags, VUSER_HDR_TYPE_REPLY);
	return sock;
}

static void
send_resets(int sock, uint16_t nb)
{
	for (uint16_t i = 0; i < nb; i++)
		assert_true(vuser_raw_command(sock, i, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0));
}

static void
work_per_wake_up_is_bounded(void **state)
{
	struct vuser_fixture f = {.loop = NULL};

	(void)state;
	vuser_fixture_start_no_thread(&f);
	int sock = connect_client_by_hand(&f);
	send_resets(sock, 100);
	assert_int_equal(avp_loop_run_once(f.loop, 1000), 1);
	assert_int_equal(atomic_load(&f.resets), 32);
	assert_int_equal(avp_loop_run_once(f.loop, 1000), 1);
	assert_int_equal(atomic_load(&f.resets), 64);
	close(sock);
	assert_true(vuser_fixture_stop(&f));
}

static void
backlog_of_a_dead_client_does_not_keep_its_successor_out(void **state)
{
	struct vuser_fixture f = {.loop = NULL};

	(void)state;
	vuser_fixture_start_no_thread(&f);
	int sock = connect_client_by_hand(&f);
	send_resets(sock, 200);
	close(sock);
	sock = connect_client_by_hand(&f);
	assert_int_equal(atomic_load(&f.disconnects), 1);
	assert_in_range(atomic_load(&f.resets), 1, 199);
	close(sock);
	assert_true(vuser_fixture_stop(&f));
}

/* Descriptors of every kind that a client may think of. */
static int
open_kind(unsigned int kind)
{
	int fds[2];

	switch (kind % 5) {
	case 0:
		return eventfd(0, EFD_CLOEXEC);
	case 1:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 2:
		return memfd_create("guest", MFD_CLOEXEC);
	case 3:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
			return -1;
		break;
	default:
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -1;
	}
	close(fds[1]);
	return fds[0];
}

/* A message of any kind with up to 20 descriptors, 4 more than fit. */
static void
send_with_descriptors(int sock, unsigned int n)
{
	uint8_t body[64] = {0};
	int fds[20];
	const uint32_t nb_fds = n % 21;
	const uint16_t cmd = (uint16_t)(n / 3 % (VUSER_CMD_COUNT + 1));
	const struct vuser_irq_set_msg irqs = {sizeof(irqs), 0x24, 2, n % 30, nb_fds};

	if (cmd == VUSER_CMD_SET_IRQS)
		memcpy(body, &irqs, sizeof(irqs));
	else
		body[0] = sizeof(body);
	for (uint32_t i = 0; i < 20; i++)
		fds[i] = -1;
	for (uint32_t i = 0; i < nb_fds; i++) {
		fds[i] = open_kind(n % 2 == 0 ? 0 : n + i);
		assert_true(fds[i] >= 0);
	}
	vuser_raw_command(sock, (uint16_t)n, cmd, body, n % 7 == 0 ? n % 64 : 64, fds, nb_fds);
	for (uint32_t i = 0; i < nb_fds; i++)
		close(fds[i]);
}

#define CONNECTIONS 10000u

static void
no_descriptor_leaks_over_ten_thousand_connections(void **state)
{
	struct vuser_fixture *f = *state;
	const int open_before = vuser_fixture_count_fds();

	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		int sock = vuser_raw_connect(f);

		if (i % 8 != 0)
			assert_int_equal(vuser_raw_negotiate(sock), 0);
		send_with_descriptors(sock, i);
		if (i % 4 == 0)
			send_with_descriptors(sock, i + 11);
		/* every second one goes without waiting for an answer */
		if (i % 2 == 0) {
			struct vuser_raw_msg msg;

			if (vuser_raw_receive(sock, &msg) == 1 && msg.nb_fds > 0)
				close(msg.fds[0]);
		}
		close(sock);
	}
	int last = connect_client(f);
	close(last);
	assert_true(vuser_fixture_wait(&f->disconnects, atomic_load(&f->connects)));
	assert_true(vuser_fixture_wait_fds(open_before));
	/* the messages did get through */
	assert_true(atomic_load(&f->sets) > 100);
}

static void
no_descriptor_leaks_over_ten_thousand_messages(void **state)
{
	struct vuser_fixture *f = *state;
	struct vuser_raw_msg *msg = malloc(sizeof(*msg));
	const int open_before = vuser_fixture_count_fds();
	int sock = connect_client(f);

	for (unsigned int i = 0; i < 10000; i++) {
		send_with_descriptors(sock, i);
		assert_int_equal(vuser_raw_receive(sock, msg), 1);
		assert_int_equal(msg->hdr.id, i);
		for (uint32_t n = 0; n < msg->nb_fds; n++)
			close(msg->fds[n]);
	}
	uint32_t vectors = vuser_fixture_count_vectors(f);
	assert_in_range(vectors, 1, VUSER_FIXTURE_VECTORS);
	assert_true(vuser_fixture_wait_fds(open_before + 2 + (int)vectors));
	close(sock);
	assert_true(vuser_fixture_wait_fds(open_before));
	free(msg);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(client_gets_the_slot_with_its_version),
			TEST(version_reply_names_only_what_was_proposed),
			TEST(second_client_is_refused_and_first_undisturbed),
			TEST(successor_of_a_dead_client_is_let_in_at_once),
			TEST(reset_that_disconnects_is_answered_first),
			TEST(commands_without_reply_are_carried_out_in_order),
			TEST(replies_to_a_slow_reader_arrive_whole_and_in_order),
			TEST(region_is_not_mappable_for_a_client_that_takes_no_descriptors),
			TEST(wrong_version_is_refused),
			TEST(second_server_on_the_path_is_refused),
			cmocka_unit_test(work_per_wake_up_is_bounded),
			cmocka_unit_test(backlog_of_a_dead_client_does_not_keep_its_successor_out),
			TEST(no_descriptor_leaks_over_ten_thousand_connections),
			TEST(no_descriptor_leaks_over_ten_thousand_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
