/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A fuzzer that is a whole guest: a process (tests/hostile/guest_evil.c) does at random what a
 * driver does and what it must not do, against a real port; then it is killed, and the next one
 * comes. Nothing of it may reach the honest guest beside it, or break the port.
 *
 *     guest_fuzz GUEST-EVIL [-s SEED] [-t SECONDS] [-a]
 *
 * -a: the host receives into a pool of the application's. Threads race here, so a seed gives the
 * same operations but not the same outcome; what breaks does so again after some tries.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest_host.h"
#include "test_clock.h"

#define MAX_ROUND_MS 400
#define HEAL_EVERY 4

static struct host host;
static struct host_conf conf;
static uint64_t seed;
static unsigned int seconds = 3;

static void
whole_guest(void **state)
{
	const uint64_t end = test_now_ms() + 1000ull * seconds;
	uint64_t rnd = seed * 2 + 1;
	unsigned int nb = 0;

	(void)state;
	host_start(&host, &conf);
	do {
		const uint64_t round = evil_random(&rnd);

		/* some use compact rings: all operations of the others are on FIFOs */
		host_attack(&host, round % 4 == 0 ? "ring_storm" : "random", round);
		host_go_on(&host, 10 + (unsigned int)(round >> 40) % MAX_ROUND_MS);
		host_kill(&host);
		if (++nb % HEAL_EVERY == 0)
			host_expect_healed(&host);
	} while (test_now_ms() < end);
	host_expect_healed(&host);
	printf("%u guests, %llu clean packets, %llu honest ones\n", nb,
			(unsigned long long)atomic_load(&host.nb_clean),
			(unsigned long long)atomic_load(&host.nb_honest));
	host_stop(&host);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whole_guest)};
	int option;

	seed = (uint64_t)time(NULL);
	while ((option = getopt(argc, argv, "s:t:a")) != -1) {
		if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (option == 't')
			seconds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 'a')
			conf.app_pool = true;
		else
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr, "usage: guest_fuzz GUEST-EVIL [-s SEED] [-t SECONDS] [-a]\n");
		return 2;
	}
	conf.evil_program = argv[optind];
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
