/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The event loop: avp_loop.h.
 *
 * How it works: epoll, with the watch as its cookie. A batch of events is fetched into the loop; a
 * watch that is removed while the batch is worked off is struck out of the rest of it. Calls from
 * other threads are a list under a lock, an eventfd wakes the loop, and a condition wakes the
 * callers. Each timer is a timerfd; all ticks share one.
 */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "avp_loop.h"

#define LOOP_BATCH 64

/* Lives on its caller's stack until it is done. */
struct loop_call {
	int (*fn)(void *arg);
	void *arg;
	int ret;
	bool done;
	struct loop_call *next;
};

struct avp_loop {
	int epoll_fd;
	struct avp_watch wake; /* an eventfd: there are calls, or stop */

	struct epoll_event batch[LOOP_BATCH];
	int batch_size;
	int batch_next; /* not yet handled */
	bool handling;

	struct avp_timer tick_timer; /* runs while there are ticks */
	struct avp_tick *ticks;
	struct avp_tick *tick_next; /* of those that are being called */

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t called;
	struct loop_call *calls;
	struct loop_call **calls_end;
	bool has_thread;
	bool stop;
	pthread_t thread;
};

static void
loop_take_calls(struct avp_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	while (loop->calls != NULL) {
		struct loop_call *call = loop->calls;

		loop->calls = call->next;
		if (loop->calls == NULL)
			loop->calls_end = &loop->calls;
		pthread_mutex_unlock(&loop->lock);
		int ret = call->fn(call->arg);
		pthread_mutex_lock(&loop->lock);
		call->ret = ret;
		call->done = true;
		pthread_cond_broadcast(&loop->called);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void
loop_woken(struct avp_watch *watch, uint32_t events)
{
	struct avp_loop *loop =
			(struct avp_loop *)((char *)watch - offsetof(struct avp_loop, wake));
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	loop_take_calls(loop);
}

static void
loop_wake(struct avp_loop *loop)
{
	const uint64_t one = 1;

	/* EAGAIN: 2^64 - 2 wake-ups are waiting, one more changes nothing */
	while (write(loop->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void
loop_ticked(struct avp_timer *timer)
{
	struct avp_loop *loop =
			(struct avp_loop *)((char *)timer - offsetof(struct avp_loop, tick_timer));

	for (struct avp_tick *tick = loop->ticks; tick != NULL; tick = loop->tick_next) {
		loop->tick_next = tick->next;
		tick->ticked(tick);
	}
}

struct avp_loop *
avp_loop_create(void)
{
	struct avp_loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (loop == NULL)
		return NULL;
	loop->calls_end = &loop->calls;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		goto err_free;
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake.fd < 0)
		goto err_close;
	loop->wake.ready = loop_woken;
	ret = avp_watch_add(loop, &loop->wake, EPOLLIN);
	if (ret < 0) {
		errno = -ret;
		goto err_close_wake;
	}
	ret = avp_timer_init(loop, &loop->tick_timer, loop_ticked);
	if (ret < 0) {
		errno = -ret;
		goto err_close_wake;
	}
	return loop;

err_close_wake:
	ret = errno;
	close(loop->wake.fd);
	errno = ret;
err_close:
	ret = errno;
	close(loop->epoll_fd);
	errno = ret;
err_free:
	ret = errno;
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	errno = ret;
	return NULL;
}

void
avp_loop_destroy(struct avp_loop *loop)
{
	if (loop == NULL)
		return;
	pthread_mutex_lock(&loop->lock);
	bool has_thread = loop->has_thread;
	loop->stop = true;
	pthread_mutex_unlock(&loop->lock);
	if (has_thread) {
		assert(!pthread_equal(loop->thread, pthread_self()));
		loop_wake(loop);
		pthread_join(loop->thread, NULL);
	}
	assert(loop->ticks == NULL);
	avp_timer_fini(&loop->tick_timer);
	avp_watch_remove(loop, &loop->wake);
	close(loop->wake.fd);
	close(loop->epoll_fd);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

int
avp_loop_run_once(struct avp_loop *loop, int timeout_ms)
{
	assert(!loop->handling);
	int nb = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, timeout_ms);
	if (nb < 0)
		return errno == EINTR ? 0 : -errno;

	int handled = 0;
	loop->handling = true;
	loop->batch_size = nb;
	for (loop->batch_next = 0; loop->batch_next < loop->batch_size;) {
		const struct epoll_event *event = &loop->batch[loop->batch_next++];
		struct avp_watch *watch = event->data.ptr;

		if (watch == NULL) /* removed meanwhile */
			continue;
		watch->ready(watch, event->events);
		handled++;
	}
	loop->batch_size = 0;
	loop->handling = false;
	return handled;
}

/* Once there are no calls left, later ones are made directly. */
static bool
loop_may_end(struct avp_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bool end = loop->stop && loop->calls == NULL;
	if (end)
		loop->has_thread = false;
	pthread_mutex_unlock(&loop->lock);
	return end;
}

static void *
loop_thread(void *arg)
{
	struct avp_loop *loop = arg;

	while (!loop_may_end(loop))
		avp_loop_run_once(loop, -1);
	return NULL;
}

int
avp_loop_start(struct avp_loop *loop, const char *name, bool priority)
{
	const struct sched_param param = {.sched_priority = 1};
	sigset_t all, saved;

	sigfillset(&all);
	pthread_mutex_lock(&loop->lock);
	assert(!loop->has_thread && !loop->stop);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	int ret = pthread_create(&loop->thread, NULL, loop_thread, loop);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (ret == 0) {
		loop->has_thread = true;
		pthread_setname_np(loop->thread, name);
		if (priority)
			pthread_setschedparam(loop->thread, SCHED_RR, &param);
	}
	pthread_mutex_unlock(&loop->lock);
	return -ret;
}

int
avp_loop_call(struct avp_loop *loop, int (*fn)(void *arg), void *arg)
{
	struct loop_call call = {.fn = fn, .arg = arg};

	pthread_mutex_lock(&loop->lock);
	if (!loop->has_thread || pthread_equal(loop->thread, pthread_self())) {
		pthread_mutex_unlock(&loop->lock);
		return fn(arg);
	}
	*loop->calls_end = &call;
	loop->calls_end = &call.next;
	loop_wake(loop);
	while (!call.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	return call.ret;
}

int
avp_watch_add(struct avp_loop *loop, struct avp_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	return 0;
}

int
avp_watch_modify(struct avp_loop *loop, struct avp_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		return -errno;
	return 0;
}

void
avp_watch_remove(struct avp_loop *loop, struct avp_watch *watch)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = loop->batch_next; i < loop->batch_size; i++) {
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
	}
}

static void
timer_ready(struct avp_watch *watch, uint32_t events)
{
	struct avp_timer *timer =
			(struct avp_timer *)((char *)watch - offsetof(struct avp_timer, watch));
	uint64_t count;

	(void)events;
	/* EAGAIN: set anew between the event and now */
	if (read(timer->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	timer->expired(timer); /* may have ended the timer */
}

int
avp_timer_init(struct avp_loop *loop, struct avp_timer *timer,
		void (*expired)(struct avp_timer *timer))
{
	timer->expired = expired;
	timer->loop = loop;
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->fd < 0)
		return -errno;
	timer->watch.fd = timer->fd;
	timer->watch.ready = timer_ready;
	int ret = avp_watch_add(loop, &timer->watch, EPOLLIN);
	if (ret < 0) {
		close(timer->fd);
		timer->fd = -1;
	}
	return ret;
}

static struct timespec
timer_spec(uint64_t us)
{
	return (struct timespec){
			.tv_sec = (time_t)(us / 1000000),
			.tv_nsec = (long)(us % 1000000) * 1000,
	};
}

void
avp_timer_set(struct avp_timer *timer, uint64_t delay_us, uint64_t period_us)
{
	const struct itimerspec spec = {
			.it_value = timer_spec(delay_us),
			.it_interval = timer_spec(period_us),
	};

	/* can only fail for a bad descriptor or a time out of range: our own mistake */
	int ret = timerfd_settime(timer->fd, 0, &spec, NULL);
	assert(ret == 0);
	(void)ret;
}

void
avp_timer_fini(struct avp_timer *timer)
{
	if (timer->fd < 0)
		return;
	avp_watch_remove(timer->loop, &timer->watch);
	close(timer->fd);
	timer->fd = -1;
}

void
avp_tick_start(struct avp_loop *loop, struct avp_tick *tick)
{
	if (tick->loop != NULL)
		return;
	tick->loop = loop;
	tick->prev = NULL;
	tick->next = loop->ticks;
	if (loop->ticks != NULL)
		loop->ticks->prev = tick;
	else
		avp_timer_set(&loop->tick_timer, AVP_TICK_US, AVP_TICK_US);
	loop->ticks = tick;
}

void
avp_tick_stop(struct avp_tick *tick)
{
	struct avp_loop *loop = tick->loop;

	if (loop == NULL)
		return;
	if (loop->tick_next == tick)
		loop->tick_next = tick->next;
	if (tick->prev != NULL)
		tick->prev->next = tick->next;
	else
		loop->ticks = tick->next;
	if (tick->next != NULL)
		tick->next->prev = tick->prev;
	tick->loop = NULL;
	if (loop->ticks == NULL)
		avp_timer_set(&loop->tick_timer, 0, 0);
}
