/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Random input for tests, repeatable: the seed is printed, and TEST_SEED in the environment sets
 * it.
 */

#ifndef TESTS_TEST_RANDOM_H
#define TESTS_TEST_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/** xorshift64; never 0 if *@state is not. */
static inline uint64_t
test_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/** A seed, new each time, printed. */
static inline uint64_t
test_random_seed(void)
{
	const char *wanted = getenv("TEST_SEED");
	struct timespec ts;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &ts);
	seed = wanted != NULL ? strtoull(wanted, NULL, 0)
			      : ((uint64_t)ts.tv_sec << 30 | (uint64_t)ts.tv_nsec);
	seed = seed == 0 ? 1 : seed;
	printf("TEST_SEED=0x%" PRIx64 "\n", seed);
	fflush(stdout);
	return seed;
}

#endif /* TESTS_TEST_RANDOM_H */
