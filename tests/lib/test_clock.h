/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Time for tests: to limit waiting, and to measure.
 */

#ifndef TEST_CLOCK_H
#define TEST_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Of a clock that nobody sets. */
static inline uint64_t
test_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t
test_now_us(void)
{
	return test_now_ns() / 1000;
}

static inline uint64_t
test_now_ms(void)
{
	return test_now_ns() / 1000000;
}

/** Between two looks at what is waited for. */
static inline void
test_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

#endif /* TEST_CLOCK_H */
