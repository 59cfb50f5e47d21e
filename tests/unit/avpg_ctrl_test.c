/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control requests of the guest driver, against a device that answers late, wrongly, or never.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_common.h>

#include "avpg_ctrl.h"
#include "avpg_fake.h"
#include "test_clock.h"

struct fixture {
	struct avpg_fake *fake;
	struct avpg_info info;
	struct avpg_ctrl ctrl;
};

static int
setup(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	fixture.fake = avpg_fake_create(&avpg_fake_default);
	if (fixture.fake == NULL || avpg_info_load(&fixture.info, &fixture.fake->hw, NULL) != 0 ||
			avpg_ctrl_open(&fixture.ctrl, &fixture.info) != 0)
		return 1;
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	avpg_fake_destroy(f->fake);
	return 0;
}

static void
mode(struct fixture *f, enum avpg_fake_mode mode)
{
	atomic_store(&f->fake->mode, mode);
}

static void
a_request_arrives_as_written(void **state)
{
	struct fixture *f = *state;
	struct avp_config config = {
			.device_id = 0xfeed,
			.driver_type = AVP_DRIVER_DPDK,
			.nb_rx_queues = 2,
			.nb_tx_queues = 1,
			.link_up = 1,
	};

	assert_int_equal(avpg_ctrl_set_mtu(&f->ctrl, 9000), 0);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_MTU);
	assert_int_equal(f->fake->last.arg.mtu, 9000);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), 0);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_LINK);
	assert_int_equal(f->fake->last.arg.link_up, 1);
	assert_int_equal(avpg_ctrl_configure(&f->ctrl, &config), 0);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_CONFIGURE);
	assert_memory_equal(&f->fake->last.arg.config, &config, sizeof(config));
	assert_int_equal(avpg_ctrl_shutdown(&f->ctrl), 0);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SHUTDOWN);
	assert_int_equal(f->ctrl.stats.requests, 4);
}

static void
the_devices_error_is_returned(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->fake->result, -ENOTSUP);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ENOTSUP);
	assert_int_equal(f->ctrl.stats.refused, 1);
}

static void
a_result_that_is_no_errno_is_a_protocol_error(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->fake->result, 1);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -EPROTO);
	atomic_store(&f->fake->result, -5000);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -EPROTO);
	mode(f, AVPG_FAKE_NO_RESULT);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -EPROTO);
}

static void
silence_ends_after_the_time_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t start = test_now_ms();
	uint64_t took;

	mode(f, AVPG_FAKE_SILENT);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ETIMEDOUT);
	took = test_now_ms() - start;
	assert_in_range(took, AVPG_CTRL_TIME_LIMIT_MS, 10 * AVPG_CTRL_TIME_LIMIT_MS);
	assert_int_equal(f->ctrl.stats.timeouts, 1);
}

static void
a_late_answer_is_not_taken_for_a_new_ones(void **state)
{
	struct fixture *f = *state;

	/* the first is refused, but too late to be heard */
	mode(f, AVPG_FAKE_SILENT);
	atomic_store(&f->fake->result, -EIO);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ETIMEDOUT);
	assert_true(avpg_fake_wait(&f->fake->taken, 1));
	/* nothing that matters is asked for while that is so */
	assert_int_equal(avpg_ctrl_set_mtu(&f->ctrl, 1400), -ETIMEDOUT);
	assert_int_equal(avpg_ctrl_set_mtu(&f->ctrl, 1400), -ETIMEDOUT);
	assert_int_equal(atomic_load(&f->fake->taken), 1);
	assert_int_equal(f->fake->slot->arg.mtu, 1500);
	/* its answer comes; the next request gets its own */
	mode(f, AVPG_FAKE_ANSWER);
	assert_true(avpg_fake_wait(&f->fake->answers, 2));
	atomic_store(&f->fake->result, 0);
	assert_int_equal(avpg_ctrl_set_mtu(&f->ctrl, 1300), 0);
	assert_int_equal(f->fake->last.arg.mtu, 1300);
	assert_int_equal(f->ctrl.stats.late, 1);
	assert_int_equal(f->ctrl.stats.lost, 0);
}

/* The device is no faster, but right again: so is the driver, without an attach. */
static void
a_lost_answer_does_not_block_later_requests(void **state)
{
	struct fixture *f = *state;
	atomic_store(&f->fake->refused_id, AVP_REQ_SET_LINK);
	for (unsigned int i = 1; i <= 2; i++) {
		const unsigned int taken = atomic_load(&f->fake->taken);
		uint64_t shortest = UINT64_MAX;

		mode(f, AVPG_FAKE_LOSE);
		assert_int_equal(avpg_ctrl_shutdown(&f->ctrl), -ETIMEDOUT);
		/* or it would be answered late */
		assert_true(avpg_fake_wait(&f->fake->taken, taken + 1));
		mode(f, AVPG_FAKE_ANSWER);
		/* it gets its own answer, not that to what it took to be in step again */
		assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -EPERM);
		assert_int_equal(f->ctrl.stats.lost, i);
		assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_LINK);
		for (uint32_t mtu = 1400; mtu < 1405; mtu++) {
			const uint64_t start = test_now_ms();

			assert_int_equal(avpg_ctrl_set_mtu(&f->ctrl, mtu), 0);
			shortest = RTE_MIN(shortest, test_now_ms() - start);
		}
		assert_true(shortest < AVPG_CTRL_TIME_LIMIT_MS / 2);
	}
}

/* Waits until the driver has sent what is to bring it in step, then lets the device answer. */
static void *
answer_when_asked_again(void *arg)
{
	struct fixture *f = arg;
	const struct avp_fifo *req = f->fake->req.fifo;
	uint64_t limit = test_now_ms() + 2000;

	while (AVPG_FETCH(&req->write) == AVPG_FETCH(&req->read) && test_now_ms() < limit)
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	mode(f, AVPG_FAKE_ANSWER);
	return NULL;
}

static void
an_answer_later_than_the_drivers_patience_is_not_a_new_ones(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	mode(f, AVPG_FAKE_SILENT);
	atomic_store(&f->fake->refused_id, AVP_REQ_SHUTDOWN);
	assert_int_equal(avpg_ctrl_shutdown(&f->ctrl), -ETIMEDOUT);
	assert_true(avpg_fake_wait(&f->fake->taken, 1));
	assert_int_equal(pthread_create(&thread, NULL, answer_when_asked_again, f), 0);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), 0);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&f->fake->taken), 3);
	assert_int_equal(f->fake->last.req_id, AVP_REQ_SET_LINK);
	assert_int_equal(f->ctrl.owed, 0);
	assert_int_equal(f->ctrl.stats.lost, 0);
}

static void
a_quick_answer_is_noticed_in_microseconds(void **state)
{
	struct fixture *f = *state;
	uint64_t best_us = UINT64_MAX;

	/* a busy machine may make any one of them slow; the device itself looks every 70 us */
	for (int i = 0; i < 200; i++) {
		struct timespec start, end;
		uint64_t us;

		clock_gettime(CLOCK_MONOTONIC, &start);
		assert_int_equal(avpg_ctrl_set_link(&f->ctrl, i & 1), 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		us = (uint64_t)((end.tv_sec - start.tv_sec) * 1000000 +
				(end.tv_nsec - start.tv_nsec) / 1000);
		best_us = us < best_us ? us : best_us;
	}
	assert_true(best_us < 200);
}

static void
entries_that_are_no_answer_are_ignored(void **state)
{
	struct fixture *f = *state;

	mode(f, AVPG_FAKE_NOISY);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), 0);
	assert_int_equal(f->ctrl.stats.bad, 5);
}

static void
answers_to_nothing_are_thrown_away(void **state)
{
	struct fixture *f = *state;

	/* as many as fit, each of which looks like an answer */
	while (avpg_fake_put(&f->fake->resp, f->fake->slot_va))
		;
	mode(f, AVPG_FAKE_SILENT);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ETIMEDOUT);
	assert_int_equal(f->ctrl.stats.bad, AVPG_FAKE_CTRL_LEN - 1);
}

static void *
cancel_soon(void *arg)
{
	struct fixture *f = arg;

	avpg_fake_wait(&f->fake->taken, 1);
	atomic_store(&f->ctrl.cancelled, true);
	return NULL;
}

static void
unplug_ends_a_request_at_once(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	mode(f, AVPG_FAKE_SILENT);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, f), 0);
	/* not the -ETIMEDOUT that the end of the time limit would give */
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ENODEV);
	assert_string_equal(avpg_ctrl_error(-ENODEV), "the device is gone");
	pthread_join(thread, NULL);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ENODEV);
}

static void
wild_indices_do_not_hang_or_harm(void **state)
{
	struct fixture *f = *state;

	avpg_fake_stop(f->fake);
	f->fake->resp.fifo->write = 0xdeadbeef;
	f->fake->req.fifo->read = 0xdeadbeef;
	f->fake->resp.fifo->len = 0x40000000;
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ETIMEDOUT);
	assert_true(f->ctrl.stats.fifo_faults > 0);
}

static void
a_request_left_by_another_driver_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct avpg_ctrl next = {0};

	mode(f, AVPG_FAKE_DEAF);
	assert_int_equal(avpg_ctrl_set_link(&f->ctrl, true), -ETIMEDOUT);
	assert_int_equal(avpg_ctrl_open(&next, &f->info), 0);
	assert_int_equal(next.owed, 1);
	mode(f, AVPG_FAKE_ANSWER);
	assert_int_equal(avpg_ctrl_set_mtu(&next, 1280), 0);
	assert_int_equal(f->fake->last.arg.mtu, 1280);
	assert_int_equal(atomic_load(&f->fake->taken), 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(a_request_arrives_as_written),
			TEST(the_devices_error_is_returned),
			TEST(a_result_that_is_no_errno_is_a_protocol_error),
			TEST(silence_ends_after_the_time_limit),
			TEST(a_late_answer_is_not_taken_for_a_new_ones),
			TEST(a_lost_answer_does_not_block_later_requests),
			TEST(an_answer_later_than_the_drivers_patience_is_not_a_new_ones),
			TEST(a_quick_answer_is_noticed_in_microseconds),
			TEST(entries_that_are_no_answer_are_ignored),
			TEST(answers_to_nothing_are_thrown_away),
			TEST(unplug_ends_a_request_at_once),
			TEST(wild_indices_do_not_hang_or_harm),
			TEST(a_request_left_by_another_driver_is_waited_for),
	};

	return cmocka_run_group_tests_name("avpg_ctrl", tests, NULL, NULL);
}
