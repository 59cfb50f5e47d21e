/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * How long does a guest wait for the answer to a control request, when the host is idle and when
 * its lcores poll and guests send as fast as they can?
 *
 *     guest_latency SOURCE-FOLDER
 *
 * Two ports of two queues send to each other by way of two polling threads, which with the guests'
 * threads take all CPUs of a small machine. Requests of three kinds are measured: refused (the
 * control thread alone), MTU (a change that the datapath has to follow) and configure (all FIFOs of
 * the port are made anew; a guest may ask for about one per millisecond). Prints a table and JSON;
 * goals are displayed, nothing passes or fails.
 */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>

#include "port_env.h"

#define NB_SAMPLES 3000
#define NB_CONFIGURES 600
#define NB_PORTS 3 /* the third one is measured, and is idle but polled */
#define NB_QUEUES 2
#define BURST 32
#define PACE_NS 1000000l

struct kind {
	const char *name;
	uint32_t nb;
	int (*request)(struct sim_guest *guest, uint32_t i);
};

struct result {
	double p50_us;
	double p99_us;
	double max_us;
};

static struct port ports[NB_PORTS];
static struct sim_guest guests[NB_PORTS];
static _Atomic uint32_t poll_hard; /* 0: sleep between polls, as an idle switch does */
static _Atomic uint32_t sending;
static _Atomic uint32_t stop;
static _Atomic uint64_t nb_packets;

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
nap(long ns)
{
	const struct timespec time = {.tv_nsec = ns};

	nanosleep(&time, NULL);
}

/*
 * Load
 */

/* An lcore: one queue of each port, packets of the first go to the second and the other way. */
static void *
poll_queues(void *arg)
{
	const uint16_t queue = (uint16_t)(uintptr_t)arg;
	struct rte_mbuf *pkts[BURST];

	if (rte_thread_register() != 0)
		fprintf(stderr, "guest_latency: no lcore id left\n");
	while (atomic_load(&stop) == 0) {
		for (int i = 0; i < NB_PORTS; i++) {
			const uint16_t nb = rte_eth_rx_burst(ports[i].id, queue, pkts, BURST);
			const uint16_t to = ports[i == 2 ? 2 : 1 - i].id;
			const uint16_t sent = rte_eth_tx_burst(to, queue, pkts, nb);

			rte_pktmbuf_free_bulk(&pkts[sent], nb - sent);
			atomic_fetch_add_explicit(&nb_packets, sent, memory_order_relaxed);
		}
		if (atomic_load_explicit(&poll_hard, memory_order_relaxed) == 0)
			nap(100000);
	}
	rte_thread_unregister();
	return NULL;
}

/* A guest that sends and receives without rest. */
static void *
run_guest(void *arg)
{
	struct sim_guest *guest = arg;
	static const uint8_t head[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	struct sim_pkt *pkt = calloc(1, sizeof(*pkt));
	struct sim_pkt *got = calloc(1, sizeof(*got));

	while (pkt != NULL && got != NULL && atomic_load(&stop) == 0) {
		memcpy(pkt->data, head, sizeof(head));
		pkt->len = 64;
		if (atomic_load(&sending) == 0) {
			nap(1000000);
			continue;
		}
		for (uint32_t lane = 0; lane < NB_QUEUES; lane++) {
			for (int i = 0; i < BURST; i++)
				sim_guest_send(guest, lane, pkt, 0);
			while (sim_guest_recv(guest, lane, got) == 0)
				;
		}
	}
	free(pkt);
	free(got);
	return NULL;
}

/*
 * Measuring
 */

static int
request_refused(struct sim_guest *guest, uint32_t i)
{
	struct avp_request request = {.req_id = 1000 + i};

	return sim_guest_request(guest, &request) < 0 ? 0 : -1;
}

static int
request_mtu(struct sim_guest *guest, uint32_t i)
{
	struct avp_request request = {.req_id = AVP_REQ_SET_MTU, .arg.mtu = 1000 + i % 400};

	return sim_guest_request(guest, &request);
}

static int
request_configure(struct sim_guest *guest, uint32_t i)
{
	(void)i;
	return sim_guest_configure(guest, NB_QUEUES, NB_QUEUES, 0, true);
}

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int
measure(const struct kind *kind, struct result *result)
{
	static double us[NB_SAMPLES];

	for (uint32_t i = 0; i < kind->nb; i++) {
		const double start = now_us();

		if (kind->request(&guests[2], i) < 0) {
			fprintf(stderr, "guest_latency: %s: refused\n", kind->name);
			return -1;
		}
		us[i] = now_us() - start;
		nap(PACE_NS);
	}
	qsort(us, kind->nb, sizeof(us[0]), compare);
	result->p50_us = us[kind->nb / 2];
	result->p99_us = us[kind->nb * 99 / 100];
	result->max_us = us[kind->nb - 1];
	return 0;
}

/*
 * Report
 */

static void
read_cpu(char *cpu, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(cpu, size, "unknown");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
			snprintf(cpu, size, "%s", strchr(line, ':') + 2);
			cpu[strcspn(cpu, "\n\"\\")] = '\0';
			break;
		}
	}
	if (file != NULL)
		fclose(file);
}

static void
read_commit(const char *source, char *commit, size_t size)
{
	char command[512];
	FILE *file;

	snprintf(command, sizeof(command), "git -C '%s' describe --always --dirty 2>/dev/null",
			source);
	file = popen(command, "r");
	if (file == NULL || fgets(commit, (int)size, file) == NULL)
		snprintf(commit, size, "unknown");
	if (file != NULL)
		pclose(file);
	commit[strcspn(commit, "\n")] = '\0';
}

static void
print_head(const char *source, bool real_time)
{
	struct utsname kernel;
	char cpu[128];
	char commit[64];

	uname(&kernel);
	read_cpu(cpu, sizeof(cpu));
	read_commit(source, commit, sizeof(commit));
	printf("{\"benchmark\": \"guest_latency\", \"cpu\": \"%s\", \"cpus\": %ld, "
	       "\"kernel\": \"%s\", \"dpdk\": \"%s\", \"commit\": \"%s\", "
	       "\"requester_real_time\": %s",
			cpu, sysconf(_SC_NPROCESSORS_ONLN), kernel.release, rte_version(), commit,
			real_time ? "true" : "false");
}

static const struct kind kinds[] = {
		{"refused", NB_SAMPLES, request_refused},
		{"mtu", NB_SAMPLES, request_mtu},
		{"configure", NB_CONFIGURES, request_configure},
};
static const char *const loads[] = {"idle", "saturated"};
static const double goals_us[] = {1000, 5000};
static struct result results[RTE_DIM(loads)][RTE_DIM(kinds)];

static void
print_table(const double *rates)
{
	printf("%-10s %-10s %10s %10s %10s   goal\n", "load", "request", "p50 us", "p99 us",
			"max us");
	for (unsigned int l = 0; l < RTE_DIM(loads); l++) {
		for (unsigned int k = 0; k < RTE_DIM(kinds); k++) {
			const struct result *r = &results[l][k];

			printf("%-10s %-10s %10.0f %10.0f %10.0f   p99 < %.0f us: %s\n", loads[l],
					kinds[k].name, r->p50_us, r->p99_us, r->max_us, goals_us[l],
					r->p99_us < goals_us[l] ? "reached" : "not reached");
		}
	}
	printf("packets per second: idle %.0f, saturated %.0f\n", rates[0], rates[1]);
}

static void
print_json(const char *source, bool real_time, const double *rates)
{
	print_head(source, real_time);
	for (unsigned int l = 0; l < RTE_DIM(loads); l++) {
		printf(", \"%s\": {\"packets_per_second\": %.0f, \"goal_p99_us\": %.0f", loads[l],
				rates[l], goals_us[l]);
		for (unsigned int k = 0; k < RTE_DIM(kinds); k++) {
			const struct result *r = &results[l][k];

			printf(", \"%s\": {\"requests\": %u, \"p50_us\": %.1f, \"p99_us\": %.1f, "
			       "\"max_us\": %.1f, \"reached\": %s}",
					kinds[k].name, kinds[k].nb, r->p50_us, r->p99_us, r->max_us,
					r->p99_us < goals_us[l] ? "true" : "false");
		}
		printf("}");
	}
	printf("}\n");
}

/*
 * Set-up
 */

static void
open_all(void)
{
	static const char *const names[NB_PORTS] = {"p0", "p1", "p2"};
	const struct port_conf conf = {
			.args = "queues=2", .nb_rxq = NB_QUEUES, .nb_txq = NB_QUEUES};

	for (int i = 0; i < NB_PORTS; i++) {
		port_open(&ports[i], names[i], &conf);
		if (sim_guest_start(&guests[i], ports[i].socket, NB_QUEUES, 0) < 0)
			fprintf(stderr, "guest_latency: %s: no guest\n", names[i]);
	}
}

static int
run(double *rates)
{
	for (unsigned int l = 0; l < RTE_DIM(loads); l++) {
		const uint64_t packets = atomic_load(&nb_packets);
		const double start = now_us();

		atomic_store(&poll_hard, l);
		atomic_store(&sending, l);
		for (unsigned int k = 0; k < RTE_DIM(kinds); k++) {
			if (measure(&kinds[k], &results[l][k]) < 0)
				return 1;
		}
		rates[l] = (double)(atomic_load(&nb_packets) - packets) * 1e6 / (now_us() - start);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const struct sched_param param = {.sched_priority = 2};
	pthread_t threads[NB_QUEUES + 2];
	double rates[RTE_DIM(loads)];
	bool real_time;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: guest_latency SOURCE-FOLDER\n");
		return 2;
	}
	if (port_env_init(NULL) != 0)
		return 1;
	rte_log_set_level_pattern("pmd.net.avp_host*", RTE_LOG_ERR);
	open_all();
	for (uintptr_t q = 0; q < NB_QUEUES; q++)
		pthread_create(&threads[q], NULL, poll_queues, (void *)q);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[NB_QUEUES + i], NULL, run_guest, &guests[i]);
	/* the device's part is to be measured, not how long this thread waits for a CPU */
	real_time = pthread_setschedparam(pthread_self(), SCHED_RR, &param) == 0;
	ret = run(rates);
	atomic_store(&stop, 1);
	for (unsigned int i = 0; i < RTE_DIM(threads); i++)
		pthread_join(threads[i], NULL);
	if (ret == 0) {
		print_table(rates);
		print_json(argv[1], real_time, rates);
	}
	for (int i = 0; i < NB_PORTS; i++) {
		sim_guest_disconnect(&guests[i]);
		wait_until(port_is_down, &ports[i]);
		port_close(&ports[i]);
	}
	return port_env_fini(NULL) != 0 ? 1 : ret;
}
