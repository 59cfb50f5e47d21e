/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A hostile guest that goes for the control thread: requests without end, a slot that changes
 * while a request is carried out, storms on registers, configuration space, interrupts and resets.
 * Meanwhile packets of the honest guest flow, its requests are answered, and the control thread
 * does not eat a CPU.
 */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_common.h>

#include "avph_api.h"
#include "guest_host.h"
#include "test_clock.h"

#define NB_REQUESTS 100
#define STORM_MS 700
/* These are no measurements, for which there is bench/ctrl_latency: far above what an answer takes
 * on a machine that has other things to do, and far below what drivers wait. */
#define ANSWER_MS 20
/* Part of a CPU that requests, of which a poll takes only so many, may keep the control thread
 * busy; of 100. */
#define CPU_PERCENT 30
/* Changes that a guest may ask for: so many at once, then one per millisecond; with some slack for
 * timers that are late and then early. */
#define CHANGES_BURST 32
#define CHANGES_PER_MS 1.2
#define CONTROL_THREAD "avp-control\n"

/* What must be seen to have risen, so that the storm is known to have got there. */
enum effect {
	EFFECT_REQUESTS,
	EFFECT_REFUSED,
	EFFECT_BAD,
	EFFECT_FAULTS,
	EFFECT_RESETS,
	EFFECT_STEPS, /* nothing but what the guest says: accesses of registers are not counted */
};

struct storm {
	const char *claim;
	const char *name;
	enum effect effect;
	bool bounded; /* the control thread's CPU time is, and what the guest can change */
};

static struct host host;
static struct host_conf conf;

/*
 * The control thread
 */

/* CPU time of the control thread so far, in nanoseconds. */
static uint64_t
control_ns(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned long long ns = 0;
	bool found = false;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir)) != NULL) {
		char path[300];
		char name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file == NULL)
			continue;
		if (fgets(name, sizeof(name), file) == NULL)
			name[0] = '\0';
		fclose(file);
		if (strcmp(name, CONTROL_THREAD) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", entry->d_name);
		file = fopen(path, "re");
		assert_non_null(file);
		found = fscanf(file, "%llu", &ns) == 1;
		fclose(file);
	}
	closedir(dir);
	assert_true(found);
	return ns;
}

static uint64_t
effect_value(enum effect effect)
{
	struct rte_avp_host_info info;

	assert_int_equal(rte_avp_host_info_get(host.evil.id, &info), 0);
	switch (effect) {
	case EFFECT_REQUESTS:
		return info.requests;
	case EFFECT_REFUSED:
		return info.requests_refused;
	case EFFECT_BAD:
		return info.requests_bad;
	case EFFECT_FAULTS:
		return info.ctrl_fifo_faults;
	case EFFECT_RESETS:
		return host_counter(&host, "guest_resets");
	case EFFECT_STEPS:
		break;
	}
	return host.share == NULL ? 0 : atomic_load(&host.share->nb_steps);
}

/*
 * The honest guest's requests
 */

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Requests that change something, so that the datapath has a part in each. Its packets flow
 * through other FIFOs at the same time. */
static void
honest_requests_are_answered(void)
{
	uint64_t us[NB_REQUESTS];

	for (unsigned int i = 0; i < NB_REQUESTS; i++) {
		struct avp_request request = {.req_id = AVP_REQ_SET_MTU, .arg.mtu = 1000 + i};
		const uint64_t start = test_now_us();
		const int ret = sim_guest_request(&host.guest_a, &request);

		us[i] = test_now_us() - start;
		if (ret != 0)
			fail_msg("request %u of the honest guest: %s after %llu us", i,
					strerror(-ret), (unsigned long long)us[i]);
		host_check(&host);
	}
	qsort(us, NB_REQUESTS, sizeof(us[0]), compare);
	print_message("answers to others: median %llu us, longest %llu us\n",
			(unsigned long long)us[NB_REQUESTS / 2],
			(unsigned long long)us[NB_REQUESTS - 1]);
	assert_true(us[NB_REQUESTS / 2] < ANSWER_MS * 1000);
}

/* Whatever the guest writes while a request is looked at, what comes out is something that it may
 * ask for. */
static void
expect_sane_guest(void)
{
	struct rte_avp_host_info info;

	assert_int_equal(rte_avp_host_info_get(host.evil.id, &info), 0);
	assert_int_equal(info.features & ~info.features_offered, 0);
	assert_true(info.mtu == 0 ||
			(info.mtu >= 68 && info.mtu <= info.max_pkt_size - AVP_MIN_PKT_SIZE));
	assert_true(info.nb_tx_queues <= info.nb_queues && info.nb_rx_queues <= info.nb_queues);
	assert_true(info.link_up <= 1);
}

static void
watch_guest(unsigned int ms)
{
	const uint64_t end = test_now_ms() + ms;

	while (test_now_ms() < end) {
		expect_sane_guest();
		host_check(&host);
	}
}

static void
storm_slows_nobody(void **state)
{
	const struct storm *storm = *state;
	uint64_t before = storm->effect == EFFECT_STEPS ? 0 : effect_value(storm->effect);
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;
	uint64_t start;
	uint64_t cpu;
	uint64_t resets;

	host_attack(&host, storm->name, 3);
	while (effect_value(storm->effect) <= before + 2) {
		host_check(&host);
		if (test_now_ms() > end)
			fail_msg("%s: it has no effect", storm->name);
	}
	resets = effect_value(EFFECT_RESETS);
	cpu = control_ns();
	start = test_now_us();
	honest_requests_are_answered();
	host_go_on(&host, STORM_MS);
	cpu = (control_ns() - cpu) / 10 / (test_now_us() - start);
	print_message("control thread: %llu %% of a CPU\n", (unsigned long long)cpu);
	if (storm->bounded) {
		assert_true(cpu < CPU_PERCENT);
		resets = effect_value(EFFECT_RESETS) - resets;
		assert_true((double)resets < CHANGES_BURST +
						CHANGES_PER_MS * (double)(test_now_us() - start) /
								1000);
		watch_guest(STORM_MS);
	}
	host_kill(&host);
	host_expect_healed(&host);
}

static const struct storm storms[] = {
		{"requests without end", "request_storm", EFFECT_REQUESTS, true},
		{"configuring without end", "configure_storm", EFFECT_RESETS, true},
		{"slot that changes during the request", "request_race", EFFECT_REFUSED, true},
		{"requests that do not name the slot", "request_bad_label", EFFECT_BAD, true},
		{"request and response FIFO damaged", "request_fifo_damaged", EFFECT_FAULTS, true},
		{"storm on registers", "register_storm", EFFECT_STEPS, false},
		{"storm on configuration space", "config_storm", EFFECT_STEPS, false},
		{"storm of interrupt vectors", "irq_storm", EFFECT_STEPS, false},
		{"acknowledging what nobody asked", "ack_storm", EFFECT_STEPS, false},
		{"resets without end", "reset_storm", EFFECT_RESETS, false},
		{"coming and going without end", "reconnect_storm", EFFECT_RESETS, false},
};

static int
group_setup(void **state)
{
	if (port_env_init(state) != 0)
		return -1;
	host_start(&host, &conf);
	return 0;
}

static int
group_teardown(void **state)
{
	host_stop(&host);
	return port_env_fini(state);
}

static int
clean_up(void **state)
{
	(void)state;
	host_kill(&host);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct CMUnitTest tests[RTE_DIM(storms)];

	if (argc != 2) {
		fprintf(stderr, "usage: guest_ctrl_test PROGRAM\n");
		return 1;
	}
	conf.evil_program = argv[1];
	for (unsigned int i = 0; i < RTE_DIM(storms); i++)
		tests[i] = (struct CMUnitTest){.name = storms[i].claim,
				.test_func = storm_slows_nobody,
				.teardown_func = clean_up,
				.initial_state = (void *)(uintptr_t)&storms[i]};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
