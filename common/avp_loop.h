/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * An event loop on epoll: file descriptors, timers, and calls from other threads. The sockets and
 * control requests of all devices of a process are served by one loop in one thread, which is never
 * a thread that polls packets.
 *
 * Threads: unless said otherwise a function may be called only on the loop's thread, or, while a
 * loop has no thread, by whoever calls avp_loop_run_once().
 */

#ifndef COMMON_AVP_LOOP_H
#define COMMON_AVP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct avp_loop;

/** Make a loop without a thread. Returns NULL with errno set. Any thread. */
struct avp_loop *avp_loop_create(void);

/** Stop the thread if there is one, and free. Watches and timers must have been removed. Not from a
 * callback of the loop. NULL is allowed. */
void avp_loop_destroy(struct avp_loop *loop);

/**
 * Run the loop in a thread of its own, with all signals blocked.
 *
 * @name      of the thread, at most 15 characters
 * @priority  try SCHED_RR, ahead of normal threads; without the right to it goes on without
 * Returns 0 or -errno.
 */
int avp_loop_start(struct avp_loop *loop, const char *name, bool priority);

/** For a loop without a thread: wait up to @timeout_ms for events (-1 = no limit), handle them.
 * Returns the number handled or -errno. */
int avp_loop_run_once(struct avp_loop *loop, int timeout_ms);

/**
 * Run @fn on the loop's thread, wait for it, and return what it returned. Any thread; on the loop's
 * own thread, or when it has none, @fn is called directly. The caller waits without a limit: never
 * under a lock that the loop's thread may take.
 */
int avp_loop_call(struct avp_loop *loop, int (*fn)(void *arg), void *arg);

/** A watched file descriptor; embed it in the object that owns the descriptor. */
struct avp_watch {
	int fd;
	void (*ready)(struct avp_watch *watch, uint32_t events); /* EPOLLIN and so on */
};

/**
 * Start to watch. @watch->fd and @watch->ready must be set; the descriptor stays the caller's.
 * Level-triggered. Returns 0 or -errno.
 */
int avp_watch_add(struct avp_loop *loop, struct avp_watch *watch, uint32_t events);
int avp_watch_modify(struct avp_loop *loop, struct avp_watch *watch, uint32_t events);
/** Stop; @watch is not called any more, not even for an event already fetched. Before close(). */
void avp_watch_remove(struct avp_loop *loop, struct avp_watch *watch);

/** A timer; embed it. */
struct avp_timer {
	void (*expired)(struct avp_timer *timer);
	/* private to the loop */
	int fd;
	struct avp_loop *loop;
	struct avp_watch watch;
};

/** Prepare a timer that does not run. Returns 0 or -errno (it holds a file descriptor). */
int avp_timer_init(struct avp_loop *loop, struct avp_timer *timer,
		void (*expired)(struct avp_timer *timer));
/** Expire @delay_us from now, then every @period_us (0 = once). @delay_us 0 stops the timer. */
void avp_timer_set(struct avp_timer *timer, uint64_t delay_us, uint64_t period_us);
/** Also from @expired; a timer that was all zero but for fd = -1, or has ended, is left alone. */
void avp_timer_fini(struct avp_timer *timer);

/** How often ticks come. */
#define AVP_TICK_US 250u

/**
 * Something that has to look at memory all the time, embedded. All ticks of a loop share one timer:
 * where there are many, waking up costs more than looking. Nothing is called while there is none.
 */
struct avp_tick {
	void (*ticked)(struct avp_tick *tick); /* may start and stop ticks */
	/* private to the loop */
	struct avp_loop *loop; /* NULL: stopped */
	struct avp_tick *next;
	struct avp_tick *prev;
};

/** @tick->ticked must be set, the rest 0. Nothing happens if it has been started. */
void avp_tick_start(struct avp_loop *loop, struct avp_tick *tick);
/** Nothing happens if it has not been started. */
void avp_tick_stop(struct avp_tick *tick);

#endif /* COMMON_AVP_LOOP_H */
