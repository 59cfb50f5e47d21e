/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control thread of net_avp_host: where it runs. The EAL gets one CPU here, so that there is
 * another.
 */

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "avph_api.h"

#define CONTROL_THREAD_NAME "avp-control"
#define SKIPPED 77

static bool
thread_is_named(pid_t tid, const char *name)
{
	char path[64], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)tid);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	if (fgets(comm, sizeof(comm), file) != NULL)
		comm[strcspn(comm, "\n")] = '\0';
	fclose(file);
	return strcmp(comm, name) == 0;
}

/* Returns the id of this process's thread of that name, or 0. */
static pid_t
thread_find(const char *name)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t found = 0;

	assert_non_null(tasks);
	while ((entry = readdir(tasks)) != NULL) {
		const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0 && thread_is_named(tid, name))
			found = tid;
	}
	closedir(tasks);
	return found;
}

static void
control_thread_is_on_no_cpu_of_an_lcore(void **state)
{
	char devargs[64];
	cpu_set_t lcore, control;
	uint16_t port_id;
	pid_t tid;

	(void)state;
	snprintf(devargs, sizeof(devargs), "socket=/tmp/avptest.%d.sock", (int)getpid());
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_avp_host_p0", devargs), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_avp_host_p0", &port_id), 0);
	/* so that this program is linked with the driver */
	assert_non_null(rte_avp_host_mempool(port_id));
	tid = thread_find(CONTROL_THREAD_NAME);
	assert_true(tid > 0);
	assert_int_equal(sched_getaffinity(0, sizeof(lcore), &lcore), 0);
	assert_int_equal(sched_getaffinity(tid, sizeof(control), &control), 0);
	assert_int_equal(rte_eal_hotplug_remove("vdev", "net_avp_host_p0"), 0);
	assert_int_equal(CPU_COUNT(&lcore), 1);
	CPU_AND(&lcore, &lcore, &control);
	assert_int_equal(CPU_COUNT(&lcore), 0);
}

/* EAL on the first CPU that this test may use. Returns 0, -1, or SKIPPED when there is no other. */
static int
eal_on_one_cpu(void)
{
	char args[][32] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m",
			"128", "--log-level", "lib.eal:warning", "-l", ""};
	char *argv[RTE_DIM(args) + 1] = {NULL};
	cpu_set_t allowed;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -1;
	if (CPU_COUNT(&allowed) < 2)
		return SKIPPED;
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	snprintf(args[RTE_DIM(args) - 1], sizeof(args[0]), "%d", cpu);
	for (unsigned int i = 0; i < RTE_DIM(args); i++)
		argv[i] = args[i];
	return rte_eal_init(RTE_DIM(args), argv) < 0 ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(control_thread_is_on_no_cpu_of_an_lcore),
	};
	int ret = eal_on_one_cpu();

	if (ret == SKIPPED)
		printf("skipped: needs two CPUs\n");
	if (ret != 0)
		return ret == SKIPPED ? SKIPPED : 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rte_eal_cleanup();
	return ret;
}
