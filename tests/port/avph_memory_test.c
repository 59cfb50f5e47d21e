/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What ports cost: 64 of them, with one queue of 256 entries each, are open at once in 1 GiB as the
 * kernel counts it, and what the driver says of its shared memory is right within 5 %.
 *
 * DPDK as packaged has room for 32 ports in a process, so there are two.
 */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "avph_api.h"
#include "port_env.h"

#define NB_PORTS 64
#define NB_PROCESSES 2
#define LIMIT (UINT64_C(1) << 30)

struct usage {
	uint64_t kernel; /* bytes that this process's shared memory takes */
	uint64_t rss;    /* bytes resident in the process: all else, and some of those again */
	uint64_t said;   /* by rte_avp_host_info_get() */
	uint32_t nb_ports;
};

/* Memory behind all memfds of ports that are open here. Each port has some of its own, and none is
 * open twice but for copies of the same descriptor. */
static uint64_t
kernel_usage(void)
{
	ino_t seen[NB_PORTS * 8];
	unsigned int nb_seen = 0;
	uint64_t sum = 0;
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[300];
		char target[128];
		struct stat st;
		unsigned int i = 0;
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		size = readlink(path, target, sizeof(target) - 1);
		if (size < 0)
			continue;
		target[size] = '\0';
		if (strncmp(target, "/memfd:avp-", 11) != 0 || stat(path, &st) < 0)
			continue;
		while (i < nb_seen && seen[i] != st.st_ino)
			i++;
		if (i < nb_seen)
			continue;
		assert_true(nb_seen < RTE_DIM(seen));
		seen[nb_seen++] = st.st_ino;
		sum += (uint64_t)st.st_blocks * 512;
	}
	closedir(dir);
	return sum;
}

static uint64_t
process_rss(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %llu", &pages), 1);
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Open this process's part of the ports. */
static struct usage
open_ports(struct port *ports, uint32_t nb)
{
	struct usage usage = {.nb_ports = nb};

	for (uint32_t i = 0; i < nb; i++) {
		struct rte_avp_host_info info;
		char name[16];

		snprintf(name, sizeof(name), "m%u", i);
		port_open(&ports[i], name,
				&(struct port_conf){.args = "queues=1,ring=256,mru=9238"});
		assert_int_equal(rte_avp_host_info_get(ports[i].id, &info), 0);
		usage.said += info.mem_used;
	}
	usage.kernel = kernel_usage();
	usage.rss = process_rss();
	return usage;
}

/* The other process: open, tell, and keep them open until told to end. */
static int
child(int from_parent, int to_parent)
{
	struct port ports[NB_PORTS / NB_PROCESSES];
	struct usage usage;
	char go;

	if (port_env_init(NULL) < 0)
		return 1;
	usage = open_ports(ports, RTE_DIM(ports));
	if (write(to_parent, &usage, sizeof(usage)) != sizeof(usage) ||
			read(from_parent, &go, 1) != 1)
		return 1;
	for (uint32_t i = 0; i < RTE_DIM(ports); i++)
		port_close(&ports[i]);
	return port_env_fini(NULL) < 0 ? 1 : 0;
}

static int to_child[2];
static int from_child[2];
static pid_t child_pid;

static void
sixty_four_ports_fit_into_one_gib(void **state)
{
	struct port ports[NB_PORTS / NB_PROCESSES];
	struct usage here;
	struct usage there;
	int status;

	(void)state;
	assert_int_equal(read(from_child[0], &there, sizeof(there)), sizeof(there));
	here = open_ports(ports, RTE_DIM(ports));
	/* the kernel's number is not 0 because nothing was found */
	assert_true(here.kernel >= RTE_DIM(ports) * 1024 * UINT64_C(2240));
	print_message("%u ports: %llu bytes shared, said %llu; processes: %llu bytes\n",
			here.nb_ports + there.nb_ports,
			(unsigned long long)(here.kernel + there.kernel),
			(unsigned long long)(here.said + there.said),
			(unsigned long long)(here.rss + there.rss));
	assert_int_equal(here.nb_ports + there.nb_ports, NB_PORTS);
	assert_true(here.kernel + there.kernel + here.rss + there.rss <= LIMIT);
	assert_true(here.said * 100 >= here.kernel * 95 && here.said * 100 <= here.kernel * 105);
	assert_true(there.said * 100 >= there.kernel * 95 &&
			there.said * 100 <= there.kernel * 105);
	assert_int_equal(write(to_child[1], "", 1), 1);
	assert_int_equal(waitpid(child_pid, &status, 0), child_pid);
	assert_int_equal(status, 0);
	for (uint32_t i = 0; i < RTE_DIM(ports); i++)
		port_close(&ports[i]);
	assert_int_equal(kernel_usage(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(sixty_four_ports_fit_into_one_gib),
	};

	if (RTE_MAX_ETHPORTS < NB_PORTS / NB_PROCESSES) {
		printf("skipped: this DPDK has room for %d ports\n", RTE_MAX_ETHPORTS);
		return 77;
	}
	if (pipe(to_child) < 0 || pipe(from_child) < 0)
		return 1;
	/* before the EAL has threads */
	child_pid = fork();
	if (child_pid < 0)
		return 1;
	if (child_pid == 0) {
		close(to_child[1]);
		close(from_child[0]);
		return child(to_child[0], from_child[1]);
	}
	close(to_child[0]);
	close(from_child[1]);
	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
