/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Clocks for tests that wait for something, with a limit.
 */

#ifndef TESTS_TEST_TIME_H
#define TESTS_TEST_TIME_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
test_clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t
test_now_ns(void)
{
	return test_clock_ns(CLOCK_MONOTONIC);
}

/** Between two looks, so that others can run. */
static inline void
test_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

#endif /* TESTS_TEST_TIME_H */
