/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * bench_ports: measure one point and print it as one line of JSON. See ports.h; run.py calls it.
 */

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "ports.h"

#define MAX_EAL_ARGS 24
/* How long ends may take to be made, and to come up. */
#define SETUP_LIMIT_MS 10000
/* No packet for so long: there are none left. */
#define QUIET_MS 300
/* How long a side may take to see a new phase: some, where others use the CPU too. */
#define PHASE_LIMIT_MS 5000
/* Of a long time to warm up the last part is as while measuring. */
#define LAST_WARM_MS 100u
/* The lcore of a side; lcore 0 is main's, and sleeps. */
#define SIDE_LCORE 1u

/*
 * EAL
 */

/* One process has both sides' lcores, or one. */
static int
eal_start(const struct options *options, bool has_host, bool has_guest)
{
	/* never on the CPU that another program polls on */
	const bool on_host = has_host && options->nb_ends[SIDE_HOST] > 0;
	const uint32_t main_cpu = options->cpus[on_host ? SIDE_HOST : SIDE_GUEST];
	char lcores[96];
	char prefix[32];
	char mem[16];
	const char *args[MAX_EAL_ARGS] = {"bench_ports", "--no-pci", "--no-telemetry",
			"--no-shconf", "--iova-mode=va", "--force-max-simd-bitwidth=512",
			"--lcores", lcores, "-m", mem, "--file-prefix", prefix};
	char *copy[MAX_EAL_ARGS];
	int nb = 12;

	snprintf(lcores, sizeof(lcores), "0@%u", main_cpu);
	for (enum side_id side = 0; side < NB_SIDES; side++) {
		if (side == SIDE_HOST ? has_host : has_guest)
			snprintf(lcores + strlen(lcores), sizeof(lcores) - strlen(lcores), ",%u@%u",
					SIDE_LCORE + side, options->cpus[side]);
	}
	snprintf(prefix, sizeof(prefix), "bench%d", (int)getpid());
	snprintf(mem, sizeof(mem), "%u", options->mem_mb);
	if (options->huge) {
		args[nb++] = "--in-memory";
		args[nb++] = "--single-file-segments"; /* few files for those who share memory */
	} else {
		args[nb++] = "--no-huge";
	}
	if (!options->log)
		args[nb++] = "--log-level=*:error";
	/* as "-d" does, which refuses plug-ins below folders that anyone can write */
	for (uint32_t i = 0; i < options->nb_plugins; i++) {
		if (dlopen(options->plugins[i], RTLD_NOW) == NULL) {
			fprintf(stderr, "bench_ports: %s\n", dlerror());
			return -ENOENT;
		}
	}
	memcpy(copy, args, sizeof(copy)); /* it reorders them */
	nb = rte_eal_init(nb, copy);
	rmdir(rte_eal_get_runtime_dir()); /* empty */
	return nb < 0 ? nb : 0;
}

/*
 * Phases
 */

/* Until a point in time, not for a time: signals, as many as net_tap has, would prolong that. */
static void
nap_ms(uint32_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* Wait until the word is set. Returns 0, -ECANCELED when it says so, or -ETIMEDOUT. */
static int
wait_word(_Atomic uint32_t *word)
{
	for (uint32_t ms = 0; ms < SETUP_LIMIT_MS; ms++) {
		const uint32_t value = atomic_load(word);

		if (value != 0)
			return value == 1 ? 0 : -ECANCELED;
		nap_ms(1);
	}
	return -ETIMEDOUT;
}

static int
make_ends(const struct options *options, struct side *side)
{
	int ret = 0;

	side->nb_ends = options->nb_ends[side->id];
	side->ends = calloc(RTE_MAX(side->nb_ends, 1u), sizeof(*side->ends));
	side->real_time = options->real_time;
	side->point = &options->point;
	side->result = &side->control->result[side->id];
	if (side->ends == NULL)
		ret = -ENOMEM;
	for (uint32_t i = 0; ret == 0 && i < side->nb_ends; i++)
		ret = end_open(&side->ends[i], side->id, options->specs[side->id][i],
				&options->point);
	atomic_store(&side->control->ready[side->id], ret == 0 ? 1 : 2);
	return ret;
}

static int
wait_links(struct side *side)
{
	for (uint32_t i = 0; i < side->nb_ends; i++) {
		for (uint32_t ms = 0; !end_is_up(&side->ends[i]); ms++) {
			if (ms == SETUP_LIMIT_MS) {
				fprintf(stderr, "bench_ports: %s: link is not up after %u ms\n",
						side->ends[i].spec, SETUP_LIMIT_MS);
				atomic_store(&side->control->links[side->id], 2);
				return -ETIMEDOUT;
			}
			nap_ms(1);
		}
	}
	atomic_store(&side->control->links[side->id], 1);
	return 0;
}

/* On the side's lcore. */
static int
run_side(void *arg)
{
	struct side *side = arg;

	side_main(side);
	atomic_store(&side->control->state[side->id].done, 1);
	return 0;
}

/* Wait for an lcore without polling: it may be on this thread's CPU. */
static void
wait_side(struct control *control, enum side_id id)
{
	while (atomic_load(&control->state[id].done) == 0)
		nap_ms(1);
}

/* Begin a phase; both sides are in it on return. */
static void
lead_to(struct control *control, enum phase phase)
{
	atomic_store(&control->phase, phase);
	for (uint32_t ms = 0; ms < PHASE_LIMIT_MS; ms++) {
		if (atomic_load(&control->state[SIDE_HOST].seen) == phase &&
				atomic_load(&control->state[SIDE_GUEST].seen) == phase)
			return;
		nap_ms(1);
	}
}

/* Have all packets come back that ever will? */
static bool
is_drained(struct control *control, uint64_t begin_tsc)
{
	uint64_t last_tsc = begin_tsc;

	if (total_drained(control) >= total_made(control))
		return true;
	for (enum side_id id = 0; id < NB_SIDES; id++)
		last_tsc = RTE_MAX(last_tsc, atomic_load(&control->state[id].last_rx_tsc));
	return rte_rdtsc() > last_tsc + QUIET_MS * rte_get_tsc_hz() / 1000;
}

/* From the time that both sides run. */
static void
lead_phases(const struct point *point, struct control *control)
{
	const uint32_t last_ms = RTE_MIN(point->warm_ms, LAST_WARM_MS);
	uint64_t begin_tsc;

	if (point->warm_ms > last_ms) {
		lead_to(control, PHASE_LEARN);
		nap_ms(point->warm_ms - last_ms);
	}
	lead_to(control, PHASE_WARM);
	nap_ms(last_ms);
	lead_to(control, PHASE_MEASURE);
	nap_ms(point->measure_ms);
	lead_to(control, PHASE_DRAIN);
	begin_tsc = rte_rdtsc();
	for (uint32_t ms = 0; ms < PHASE_LIMIT_MS && !is_drained(control, begin_tsc); ms++)
		nap_ms(1);
	atomic_store(&control->phase, PHASE_STOP);
}

/*
 * Processes
 */

/* Make both sides' ends in turn, run both. */
static int
run_threads(const struct options *options, struct control *control)
{
	static struct side sides[NB_SIDES];
	int ret = eal_start(options, true, true);
	const uint64_t before_kib = ret == 0 ? mem_kib() : 0;
	uint64_t after_kib;

	for (enum side_id id = 0; ret == 0 && id < NB_SIDES; id++) {
		sides[id].id = id;
		sides[id].control = control;
		ret = make_ends(options, &sides[id]);
	}
	for (enum side_id id = 0; ret == 0 && id < NB_SIDES; id++)
		ret = wait_links(&sides[id]);
	if (ret < 0)
		return ret;
	if (options->real_time)
		thread_priority(2);
	for (enum side_id id = 0; id < NB_SIDES; id++)
		rte_eal_remote_launch(run_side, &sides[id], SIDE_LCORE + id);
	lead_phases(&options->point, control);
	for (enum side_id id = 0; id < NB_SIDES; id++)
		wait_side(control, id);
	after_kib = mem_kib();
	result_print(options, control,
			after_kib > before_kib
					? (after_kib - before_kib) / options->nb_ends[SIDE_GUEST]
					: 0);
	return 0;
}

/* One of two processes. The guest's begins when the host's ends are there. */
static int
run_process(const struct options *options, struct control *control, enum side_id id)
{
	static struct side side;
	int ret = 0;

	side.id = id;
	side.control = control;
	if (id == SIDE_GUEST)
		ret = wait_word(&control->ready[SIDE_HOST]);
	if (ret == 0)
		ret = eal_start(options, id == SIDE_HOST, id == SIDE_GUEST);
	if (ret == 0)
		ret = make_ends(options, &side);
	else
		atomic_store(&control->ready[id], 2);
	if (ret == 0)
		ret = wait_word(&control->ready[1 - id]);
	if (ret == 0)
		ret = wait_links(&side);
	if (ret == 0)
		ret = wait_word(&control->links[1 - id]);
	if (ret < 0)
		return ret;
	if (options->real_time)
		thread_priority(2);
	rte_eal_remote_launch(run_side, &side, SIDE_LCORE + id);
	if (id == SIDE_HOST)
		lead_phases(&options->point, control);
	wait_side(control, id);
	return 0;
}

static int
run_processes(const struct options *options, struct control *control)
{
	const pid_t host = getpid();
	const pid_t guest = fork();
	int status;
	int ret;

	if (guest < 0)
		return -errno;
	if (guest == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != host)
			_exit(1);
		_exit(run_process(options, control, SIDE_GUEST) == 0 ? 0 : 1);
	}
	ret = run_process(options, control, SIDE_HOST);
	if (ret < 0)
		kill(guest, SIGKILL);
	if (waitpid(guest, &status, 0) != guest || status != 0)
		ret = ret < 0 ? ret : -ECHILD;
	if (ret == 0)
		result_print(options, control, 0);
	return ret;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct control *control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ret;

	options_parse(&options, argc, argv);
	if (control == MAP_FAILED)
		return 1;
	if (options.nb_processes == 1)
		ret = run_threads(&options, control);
	else
		ret = run_processes(&options, control);
	if (ret < 0)
		fprintf(stderr, "bench_ports: not measured: %s\n", strerror(-ret));
	fflush(stdout);
	/* no orderly end: that of some drivers can hang, and the system cleans up as well */
	_exit(ret < 0 ? 1 : 0);
}
