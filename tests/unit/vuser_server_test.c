/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/vuser/vuser_server.c: who gets in, what is answered, and what stays open.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
	vuser_fixture_stop(*state);
	free(*state);
	return 0;
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(client_gets_the_slot_with_its_version),
			TEST(version_reply_names_only_what_was_proposed),
			TEST(second_client_is_refused_and_first_undisturbed),
			TEST(successor_of_a_dead_client_is_let_in_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
