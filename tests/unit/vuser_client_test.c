/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/vuser/vuser_client.c: against our server, and against servers that answer wrongly.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avp_sock.h"
#include "vuser_client.h"
#include "vuser_fixture.h"

struct bench {
	struct vuser_fixture f;
	struct vuser_client *client;
};

static int
setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (bench == NULL)
		return -1;
	vuser_fixture_start(&bench->f);
	*state = bench;
	return vuser_client_connect(&bench->client, bench->f.path, VUSER_FIXTURE_WAIT_MS, NULL);
}

static int
teardown(void **state)
{
	struct bench *bench = *state;

	vuser_client_destroy(bench->client);
	bool clean = vuser_fixture_stop(&bench->f);
	free(bench);
	return clean ? 0 : -1;
}

static void
device_is_described(void **state)
{
	struct bench *bench = *state;
	struct vuser_client_region region;
	uint32_t regions, irqs, flags, count;

	assert_int_equal(vuser_client_device(bench->client, &regions, &irqs), 0);
	assert_int_equal(regions, VUSER_FIXTURE_REGIONS);
	assert_int_equal(irqs, VUSER_FIXTURE_IRQS);
	assert_int_equal(vuser_client_irq(bench->client, 2, &flags, &count), 0);
	assert_int_equal(count, VUSER_FIXTURE_VECTORS);
	assert_int_equal(vuser_client_irq(bench->client, 5, &flags, &count), -EINVAL);
	assert_int_equal(vuser_client_region(bench->client, 7, &region), 0);
	assert_int_equal(region.size, VUSER_FIXTURE_CONFIG_SIZE);
	assert_int_equal(region.fd, -1);
	assert_int_equal(vuser_client_region(bench->client, 9, &region), -EINVAL);
	assert_int_equal(vuser_client_region(bench->client, 2, &region), 0);
	void *map = mmap(NULL, region.size, PROT_READ, MAP_SHARED, region.fd, (off_t)region.fd_off);
	assert_ptr_not_equal(map, MAP_FAILED);
	munmap(map, region.size);
	close(region.fd);
}

static void
large_reads_and_writes_are_sent_in_pieces(void **state)
{
	struct bench *bench = *state;
	uint8_t *out = malloc(VUSER_FIXTURE_MEM_SIZE);
	uint8_t *in = malloc(VUSER_FIXTURE_MEM_SIZE);

	assert_non_null(out);
	assert_non_null(in);
	for (uint32_t i = 0; i < VUSER_FIXTURE_MEM_SIZE; i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(vuser_client_write(bench->client, 2, 0, out, VUSER_FIXTURE_MEM_SIZE), 0);
	assert_int_equal(vuser_client_read(bench->client, 2, 0, in, VUSER_FIXTURE_MEM_SIZE), 0);
	assert_memory_equal(in, out, VUSER_FIXTURE_MEM_SIZE);
	assert_int_equal(
			atomic_load(&bench->f.reads), VUSER_FIXTURE_MEM_SIZE / VUSER_MAX_XFER_SIZE);
	free(out);
	free(in);
}

static void
error_reply_does_not_end_the_connection(void **state)
{
	struct bench *bench = *state;
	uint32_t word;

	assert_int_equal(vuser_client_read(bench->client, 0, 4094, &word, 4), -EINVAL);
	assert_int_equal(vuser_client_read(bench->client, 0, 0, &word, 4), 0);
	atomic_store(&bench->f.result, -EIO);
	assert_int_equal(vuser_client_reset(bench->client), -EIO);
	atomic_store(&bench->f.result, 0);
	assert_int_equal(vuser_client_reset(bench->client), 0);
}

static void
eventfds_with_gaps_arrive_at_their_vectors(void **state)
{
	struct bench *bench = *state;
	int fds[VUSER_FIXTURE_VECTORS];

	for (uint32_t i = 0; i < VUSER_FIXTURE_VECTORS; i++)
		fds[i] = i % 7 == 3 ? -1 : eventfd(0, EFD_CLOEXEC);
	assert_int_equal(vuser_client_set_irqs(bench->client, 2, 0, VUSER_FIXTURE_VECTORS, fds), 0);
	for (uint32_t i = 0; i < VUSER_FIXTURE_VECTORS; i++) {
		uint64_t one = 1;

		assert_int_equal(bench->f.eventfds[i] >= 0, fds[i] >= 0);
		if (fds[i] < 0)
			continue;
		/* is it the same one? */
		assert_int_equal(write(bench->f.eventfds[i], &one, sizeof(one)), sizeof(one));
		struct pollfd pfd = {.fd = fds[i], .events = POLLIN};
		assert_int_equal(poll(&pfd, 1, 0), 1);
		close(fds[i]);
	}
	assert_int_equal(vuser_client_set_irqs(bench->client, 2, 0, 0, NULL), 0);
	assert_int_equal(vuser_fixture_count_vectors(&bench->f), 0);
}

static void
second_client_is_told_that_the_device_is_taken(void **state)
{
	struct bench *bench = *state;
	struct vuser_client *second;
	struct avp_err err;

	assert_int_equal(vuser_client_connect(&second, bench->f.path, 1000, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "another client"));
}

static int
disconnect(void *arg)
{
	vuser_server_disconnect(arg);
	return 0;
}

static void
client_of_a_server_that_went_stays_dead(void **state)
{
	struct bench *bench = *state;
	struct pollfd pfd = {.fd = vuser_client_fd(bench->client), .events = POLLIN};

	avp_loop_call(bench->f.loop, disconnect, bench->f.server);
	assert_int_equal(poll(&pfd, 1, VUSER_FIXTURE_WAIT_MS), 1);
	assert_int_equal(vuser_client_reset(bench->client), -EPIPE);
	assert_int_equal(vuser_client_reset(bench->client), -ENOTCONN);
}

/* A server that sends the same bytes whatever it is asked, after a good version reply. */
struct liar {
	int listener;
	const void *answer;
	size_t size;
};

static void *
lie(void *arg)
{
	const struct liar *liar = arg;
	static const struct {
		struct vuser_hdr hdr;
		struct vuser_version version;
	} version = {{0, VUSER_CMD_VERSION, 20, VUSER_HDR_TYPE_REPLY, 0}, {0, 0}};
	struct pollfd pfd = {.fd = liar->listener, .events = POLLIN};
	struct vuser_raw_msg *msg = malloc(sizeof(*msg));

	poll(&pfd, 1, VUSER_FIXTURE_WAIT_MS);
	int sock = accept4(liar->listener, NULL, NULL, SOCK_CLOEXEC);
	if (vuser_raw_receive(sock, msg) == 1 &&
			vuser_raw_send(sock, &version, sizeof(version), NULL, 0) &&
			vuser_raw_receive(sock, msg) == 1) {
		vuser_raw_send(sock, liar->answer, liar->size, NULL, 0);
		vuser_raw_receive(sock, msg); /* until the client has gone */
	}
	close(sock);
	free(msg);
	return NULL;
}

static void
wrong_answers_are_noticed(void **state)
{
	/* the client's second message has id 1; it reads 4 bytes of region 0, and gets 36 */
	struct {
		struct vuser_hdr hdr;
		struct vuser_region_rw rw;
		uint32_t data;
	} answers[] = {
			{{1, 9, 36, 1, 0}, {0, 0, 4}, 5},  /* right */
			{{2, 9, 36, 1, 0}, {0, 0, 4}, 5},  /* another id */
			{{1, 10, 36, 1, 0}, {0, 0, 4}, 5}, /* another command */
			{{1, 9, 36, 0, 0}, {0, 0, 4}, 5},  /* a command */
			{{1, 9, 32, 1, 0}, {0, 0, 4}, 5},  /* too short */
			{{1, 9, 40, 1, 0}, {0, 0, 4}, 5},  /* too long */
			{{1, 9, UINT32_MAX, 1, 0}, {0, 0, 4}, 5}, {{1, 9, 0, 1, 0}, {0, 0, 4}, 5},
			{{1, 9, 36, 1, 0}, {0, 0, 8}, 5}, /* another range */
			{{1, 9, 36, 1, 0}, {4, 0, 4}, 5},
			{{1, 9, 36, 0x21, 5}, {0, 0, 4}, 5}, /* an error with a payload */
			{{1, 9, 16, 0x21, 0}, {0, 0, 0}, 0}, /* an error without a number */
	};
	const struct avp_sock_perm perm = {0600, (uid_t)-1, (gid_t)-1};
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vuser_liar.%d", (int)getpid());
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct liar liar = {avp_sock_listen(path, &perm, NULL), &answers[i],
				answers[i].hdr.size == 16 ? 16 : 36};
		struct vuser_client *client;
		pthread_t thread;
		uint32_t word = 0;

		assert_true(liar.listener >= 0);
		assert_int_equal(pthread_create(&thread, NULL, lie, &liar), 0);
		assert_int_equal(vuser_client_connect(&client, path, 2000, NULL), 0);
		int ret = vuser_client_read(client, 0, 0, &word, 4);
		if (i == 0)
			assert_int_equal(word, 5);
		else
			assert_int_equal(ret, i == 11 ? -EIO : -EPROTO);
		vuser_client_destroy(client);
		pthread_join(thread, NULL);
		avp_sock_unlisten(&liar.listener, path);
	}
}

static void
silent_server_is_given_up(void **state)
{
	const struct avp_sock_perm perm = {0600, (uid_t)-1, (gid_t)-1};
	struct vuser_client *client;
	struct avp_err err;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vuser_silent.%d", (int)getpid());
	int listener = avp_sock_listen(path, &perm, NULL);
	assert_true(listener >= 0);
	assert_int_equal(vuser_client_connect(&client, path, 20, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.msg, path));
	avp_sock_unlisten(&listener, path);
	assert_int_equal(vuser_client_connect(&client, path, 20, &err), -ENOENT);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(device_is_described),
			TEST(large_reads_and_writes_are_sent_in_pieces),
			TEST(error_reply_does_not_end_the_connection),
			TEST(eventfds_with_gaps_arrive_at_their_vectors),
			TEST(second_client_is_told_that_the_device_is_taken),
			TEST(client_of_a_server_that_went_stays_dead),
			cmocka_unit_test(wrong_answers_are_noticed),
			cmocka_unit_test(silent_server_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
