/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Random numbers, trace, and the end: random.h.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "random.h"
#include "test_clock.h"

#define TRACE_LINES 500u
#define TRACE_SIZE 160u
#define MAX_PATHS 4u

static char trace[TRACE_LINES][TRACE_SIZE];
static uint64_t nb_traced;
static _Atomic uint64_t traced_ms;
static uint64_t start_ms;
static uint64_t the_seed;
static bool is_verbose;
static const char *paths[MAX_PATHS];
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;

void
random_seed(struct random *rnd, uint64_t seed, uint64_t user)
{
	/* splitmix64 */
	uint64_t z = seed + (user + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	rnd->state = z == 0 ? 1 : z;
}

uint32_t
random_below(struct random *rnd, uint32_t limit)
{
	uint64_t x = rnd->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	rnd->state = x;
	return (uint32_t)((x >> 32) * limit >> 32);
}

void
random_nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

void
random_init(uint64_t seed, bool verbose)
{
	the_seed = seed;
	is_verbose = verbose;
	start_ms = test_now_ms();
	atomic_store(&traced_ms, start_ms);
}

void
random_watch(void)
{
	const uint64_t traced = atomic_load(&traced_ms);

	if (test_now_ms() - traced > 2 * RANDOM_LIMIT_MS)
		random_die("nothing has happened for %u ms", 2 * RANDOM_LIMIT_MS);
}

void
random_trace(const char *format, ...)
{
	const uint64_t ms = test_now_ms() - start_ms;
	va_list args;
	char *line;
	int len;

	pthread_mutex_lock(&trace_lock);
	atomic_store(&traced_ms, test_now_ms());
	line = trace[nb_traced++ % TRACE_LINES];
	len = snprintf(line, TRACE_SIZE, "%5" PRIu64 ".%03" PRIu64 " ", ms / 1000, ms % 1000);
	va_start(args, format);
	vsnprintf(line + len, TRACE_SIZE - (size_t)len, format, args);
	va_end(args);
	if (is_verbose)
		fprintf(stderr, "%s\n", line);
	pthread_mutex_unlock(&trace_lock);
}

void
random_remove_at_end(const char *path)
{
	for (unsigned int i = 0; i < MAX_PATHS; i++) {
		if (paths[i] == NULL) {
			paths[i] = path;
			return;
		}
	}
}

void
random_die(const char *format, ...)
{
	va_list args;

	/* the first one is right: the others end here, too */
	pthread_mutex_lock(&trace_lock);
	for (uint64_t i = nb_traced > TRACE_LINES ? nb_traced - TRACE_LINES : 0; i < nb_traced; i++)
		fprintf(stderr, "%s\n", trace[i % TRACE_LINES]);
	fprintf(stderr, "%5" PRIu64 ".%03" PRIu64 " FAILED: ", (test_now_ms() - start_ms) / 1000,
			(test_now_ms() - start_ms) % 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nseed %" PRIu64 "\n", the_seed);
	for (unsigned int i = 0; i < MAX_PATHS; i++)
		if (paths[i] != NULL && unlink(paths[i]) != 0)
			rmdir(paths[i]);
	_exit(1);
}
