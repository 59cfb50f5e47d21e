/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/vuser/vuser_msg.c: which bytes and which descriptors belong to a message.
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
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "vuser_fixture.h"

struct pair {
	int ends[2];
	int open_before;
	struct vuser_rx rx;
};

static int
setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	if (pair == NULL)
		return -1;
	pair->open_before = vuser_fixture_count_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair->ends) < 0)
		return -1;
	vuser_rx_init(&pair->rx, NULL);
	*state = pair;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *pair = *state;

	vuser_rx_reset(&pair->rx);
	close(pair->ends[0]);
	close(pair->ends[1]);
	int left = vuser_fixture_count_fds() - pair->open_before;
	free(pair);
	return left;
}

/* Send @size bytes with @nb descriptors, which are closed here. */
static void
send_with(const struct pair *pair, size_t size, uint32_t nb)
{
	uint8_t bytes[64] = {0};
	int fds[VUSER_RAW_MAX_FDS] = {0};

	for (uint32_t i = 0; i < nb; i++)
		assert_true((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
	assert_true(vuser_raw_send(pair->ends[0], bytes, size, fds, nb));
	for (uint32_t i = 0; i < nb; i++)
		close(fds[i]);
}

static void
descriptors_of_the_next_message_stay_with_it(void **state)
{
	struct pair *pair = *state;

	/* the kernel would hand out the first message's bytes with the second's descriptors */
	send_with(pair, 16, 0);
	send_with(pair, 16, 3);
	send_with(pair, 16, 1);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	assert_int_equal(pair->rx.have, 16);
	assert_int_equal(pair->rx.nb_fds, 0);
	vuser_rx_reset(&pair->rx);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	assert_int_equal(pair->rx.nb_fds, 3);
	vuser_rx_reset(&pair->rx);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	assert_int_equal(pair->rx.nb_fds, 1);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 32), 0);
}

static void
descriptors_that_come_piecemeal_are_bounded(void **state)
{
	struct pair *pair = *state;

	for (int i = 0; i < 8; i++)
		send_with(pair, 1, 3);
	for (int i = 0; i < 8; i++)
		assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	assert_int_equal(pair->rx.have, 8);
	assert_int_equal(pair->rx.nb_fds, VUSER_MAX_FDS);
	assert_true(pair->rx.fds_lost);
	assert_int_equal(vuser_fixture_count_fds(), pair->open_before + 2 + (int)VUSER_MAX_FDS);
}

static void
too_many_descriptors_at_once_are_told(void **state)
{
	struct pair *pair = *state;

	send_with(pair, 4, VUSER_MAX_FDS);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	assert_false(pair->rx.fds_lost);
	vuser_rx_reset(&pair->rx);
	send_with(pair, 4, VUSER_MAX_FDS + 1);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	assert_int_equal(pair->rx.nb_fds, VUSER_MAX_FDS);
	assert_true(pair->rx.fds_lost);
}

static void
room_grows_and_keeps_what_is_there(void **state)
{
	struct pair *pair = *state;

	send_with(pair, 16, 0);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), 1);
	pair->rx.msg[15] = 99;
	assert_int_equal(vuser_rx_reserve(&pair->rx, VUSER_SMALL_MSG_SIZE), 0);
	assert_ptr_equal(pair->rx.msg, pair->rx.small);
	assert_int_equal(vuser_rx_reserve(&pair->rx, VUSER_SMALL_MSG_SIZE + 1), 0);
	assert_ptr_not_equal(pair->rx.msg, pair->rx.small);
	assert_int_equal(pair->rx.msg[15], 99);
	vuser_rx_reset(&pair->rx);
	assert_ptr_equal(pair->rx.msg, pair->rx.small);
}

static void
end_of_stream_is_told_on_both_sides(void **state)
{
	struct pair *pair = *state;

	shutdown(pair->ends[0], SHUT_RDWR);
	assert_int_equal(vuser_rx_once(&pair->rx, pair->ends[1], 16), -EPIPE);
	assert_int_equal(vuser_tx_once(pair->ends[1], "x", 1, NULL, 0), -EPIPE);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(descriptors_of_the_next_message_stay_with_it),
			TEST(descriptors_that_come_piecemeal_are_bounded),
			TEST(too_many_descriptors_at_once_are_told),
			TEST(room_grows_and_keeps_what_is_there),
			TEST(end_of_stream_is_told_on_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
