/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * common/avp_loop.c: events, timers, and calls from other threads.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avp_loop.h"

#define WAIT_MS 10000

/* A watch on an eventfd that takes another one away when it is ready. */
struct probe {
	struct avp_watch watch;
	struct avp_loop *loop;
	struct probe *victim;
	unsigned int calls;
};

static void
probe_ready(struct avp_watch *watch, uint32_t events)
{
	struct probe *probe = (struct probe *)watch;

	assert_true((events & EPOLLIN) != 0);
	probe->calls++;
	if (probe->victim != NULL)
		avp_watch_remove(probe->loop, &probe->victim->watch);
}

static void
probe_init(struct probe *probe, struct avp_loop *loop)
{
	*probe = (struct probe){.loop = loop};
	probe->watch.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	probe->watch.ready = probe_ready;
	assert_true(probe->watch.fd >= 0);
	assert_int_equal(avp_watch_add(loop, &probe->watch, EPOLLIN), 0);
}

static void
watch_removed_by_another_of_the_same_batch_is_not_called(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct probe first, second;

	(void)state;
	probe_init(&first, loop);
	probe_init(&second, loop);
	first.victim = &second;
	second.victim = &first;
	assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	assert_int_equal(first.calls + second.calls, 1);
	avp_watch_remove(loop, &first.watch);
	avp_watch_remove(loop, &second.watch);
	close(first.watch.fd);
	close(second.watch.fd);
	avp_loop_destroy(loop);
}

static void
watch_without_events_is_quiet_until_modified(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct probe probe;

	(void)state;
	probe_init(&probe, loop);
	assert_int_equal(avp_watch_modify(loop, &probe.watch, 0), 0);
	assert_int_equal(avp_loop_run_once(loop, 0), 0);
	assert_int_equal(avp_watch_modify(loop, &probe.watch, EPOLLIN), 0);
	assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	avp_watch_remove(loop, &probe.watch);
	close(probe.watch.fd);
	avp_loop_destroy(loop);
}

struct ticks {
	struct avp_timer timer;
	unsigned int count;
	bool end;
};

static void
tick(struct avp_timer *timer)
{
	struct ticks *ticks = (struct ticks *)timer;

	ticks->count++;
	if (ticks->end)
		avp_timer_fini(timer);
}

static void
periodic_timer_repeats_and_stops(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct ticks ticks = {.count = 0};

	(void)state;
	assert_int_equal(avp_timer_init(loop, &ticks.timer, tick), 0);
	assert_int_equal(avp_loop_run_once(loop, 0), 0);
	avp_timer_set(&ticks.timer, 100, 100);
	while (ticks.count < 3)
		assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	avp_timer_set(&ticks.timer, 0, 0);
	assert_int_equal(avp_loop_run_once(loop, 5), 0);
	avp_timer_fini(&ticks.timer);
	avp_timer_fini(&ticks.timer);
	avp_loop_destroy(loop);
}

static void
timer_may_end_itself(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct ticks ticks = {.end = true};

	(void)state;
	assert_int_equal(avp_timer_init(loop, &ticks.timer, tick), 0);
	avp_timer_set(&ticks.timer, 1, 1);
	assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	assert_int_equal(ticks.count, 1);
	assert_int_equal(avp_loop_run_once(loop, 5), 0);
	avp_loop_destroy(loop);
}

struct caller {
	struct avp_loop *loop;
	pthread_t thread;
	unsigned int *sum; /* changed on the loop's thread only, so without a lock */
	unsigned int wrong;
};

static int
add_one(void *arg)
{
	struct caller *caller = arg;

	return (int)++*caller->sum;
}

static void *
call_many(void *arg)
{
	struct caller *caller = arg;

	for (int i = 0; i < 2000; i++) {
		if (avp_loop_call(caller->loop, add_one, caller) <= 0)
			caller->wrong++;
	}
	return NULL;
}

static void
calls_of_many_threads_run_one_at_a_time(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct caller callers[4];
	unsigned int sum = 0;

	(void)state;
	assert_int_equal(avp_loop_start(loop, "loop-test", true), 0);
	for (int i = 0; i < 4; i++) {
		callers[i] = (struct caller){.loop = loop, .sum = &sum};
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]),
				0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].wrong, 0);
	}
	assert_int_equal(sum, 4 * 2000);
	avp_loop_destroy(loop);
}

static int
where_am_i(void *arg)
{
	pthread_t *thread = arg;

	*thread = pthread_self();
	return 42;
}

struct nested {
	struct avp_loop *loop;
	pthread_t inner;
	int ret;
};

static int
call_again(void *arg)
{
	struct nested *nested = arg;

	nested->ret = avp_loop_call(nested->loop, where_am_i, &nested->inner);
	return 7;
}

static void
call_is_direct_without_a_thread_and_on_it(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct nested nested = {.loop = loop};
	pthread_t thread;

	(void)state;
	assert_int_equal(avp_loop_call(loop, where_am_i, &thread), 42);
	assert_true(pthread_equal(thread, pthread_self()));
	assert_int_equal(avp_loop_start(loop, "loop-test", false), 0);
	assert_int_equal(avp_loop_call(loop, where_am_i, &thread), 42);
	assert_false(pthread_equal(thread, pthread_self()));
	assert_int_equal(avp_loop_call(loop, call_again, &nested), 7);
	assert_int_equal(nested.ret, 42);
	assert_true(pthread_equal(nested.inner, thread));
	avp_loop_destroy(loop);
}

static int
signals_blocked(void *arg)
{
	sigset_t now;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGINT) == 1;
}

static void
thread_takes_no_signals(void **state)
{
	struct avp_loop *loop = avp_loop_create();

	(void)state;
	assert_int_equal(avp_loop_start(loop, "loop-test", false), 0);
	assert_int_equal(avp_loop_call(loop, signals_blocked, NULL), 1);
	assert_int_equal(signals_blocked(NULL), 0);
	avp_loop_destroy(loop);
	avp_loop_destroy(NULL);
}

/* A tick that stops another one, or itself. */
struct ticker {
	struct avp_tick tick;
	struct ticker *victim;
	unsigned int calls;
};

static void
ticker_ticked(struct avp_tick *tick)
{
	struct ticker *ticker = (struct ticker *)tick;

	ticker->calls++;
	if (ticker->victim != NULL)
		avp_tick_stop(&ticker->victim->tick);
}

static void
ticks_come_to_all_that_have_started(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct ticker t[3] = {0};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		t[i].tick.ticked = ticker_ticked;
		avp_tick_start(loop, &t[i].tick);
		avp_tick_start(loop, &t[i].tick);
	}
	while (t[0].calls < 5)
		assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	assert_int_equal(t[1].calls, 5);
	assert_int_equal(t[2].calls, 5);
	avp_tick_stop(&t[1].tick);
	while (t[0].calls < 10)
		assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	assert_int_equal(t[1].calls, 5);
	assert_int_equal(t[2].calls, 10);
	avp_tick_stop(&t[0].tick);
	avp_tick_stop(&t[2].tick);
	avp_tick_stop(&t[2].tick);
	assert_int_equal(avp_loop_run_once(loop, 5), 0); /* nothing runs for nobody */
	avp_loop_destroy(loop);
}

static void
tick_stopped_by_another_of_the_same_round_does_not_come(void **state)
{
	struct avp_loop *loop = avp_loop_create();
	struct ticker t[4] = {0};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		t[i].tick.ticked = ticker_ticked;
		avp_tick_start(loop, &t[i].tick);
	}
	/* the last one started comes first */
	t[3].victim = &t[2];
	t[1].victim = &t[1];
	while (t[0].calls < 2)
		assert_int_equal(avp_loop_run_once(loop, WAIT_MS), 1);
	assert_int_equal(t[3].calls, 2);
	assert_int_equal(t[2].calls, 0);
	assert_int_equal(t[1].calls, 1);
	avp_tick_stop(&t[3].tick);
	avp_tick_stop(&t[0].tick);
	avp_loop_destroy(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(watch_removed_by_another_of_the_same_batch_is_not_called),
			cmocka_unit_test(watch_without_events_is_quiet_until_modified),
			cmocka_unit_test(periodic_timer_repeats_and_stops),
			cmocka_unit_test(timer_may_end_itself),
			cmocka_unit_test(ticks_come_to_all_that_have_started),
			cmocka_unit_test(tick_stopped_by_another_of_the_same_round_does_not_come),
			cmocka_unit_test(calls_of_many_threads_run_one_at_a_time),
			cmocka_unit_test(call_is_direct_without_a_thread_and_on_it),
			cmocka_unit_test(thread_takes_no_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
