/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A real secondary process and net_avp_user: it is told that it cannot use the port, has none, and
 * neither it nor what it tries harms the primary process.
 *
 * How it works
 * Processes share memory through huge pages only, so this needs 2 MiB ones, and root to mount a
 * hugetlbfs, in a mount namespace of its own; else it is skipped. The test starts itself again as
 * the secondary process, which writes to a pipe what it sees. Arguments of the test: the plug-ins
 * of the two drivers; of the secondary: "secondary", folder, file prefix, and the plug-ins.
 */

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "port_pair.h"

#define SKIPPED 77
#define NB_PAGES 48u /* of 2 MiB */
#define LIMIT_S 60
#define NR_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define FREE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

enum { ARG_ROLE = 1, ARG_FOLDER, ARG_PREFIX, ARG_PLUGINS };

static char **test_argv;
static int test_argc;
static char prefix[32];
static struct pair pair, other;

/*
 * Both roles
 */

static int
eal_init(const char *folder, const char *file_prefix, const char *type)
{
	char huge_dir[96];
	char proc_type[32];
	char prefix_arg[64];
	char *args[] = {test_argv[0], huge_dir, proc_type, prefix_arg, (char[]){"--no-pci"},
			(char[]){"--no-telemetry"}, (char[]){"-m64"},
			(char[]){"--log-level=lib.eal:error"}, NULL};
	cpu_set_t cpus;

	snprintf(huge_dir, sizeof(huge_dir), "--huge-dir=%s/huge", folder);
	snprintf(proc_type, sizeof(proc_type), "--proc-type=%s", type);
	snprintf(prefix_arg, sizeof(prefix_arg), "--file-prefix=%s", file_prefix);
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0 || rte_eal_init(8, args) < 0)
		return -1;
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* As "-d" does. */
static int
plugins_load(char **paths)
{
	for (; *paths != NULL; paths++) {
		if (dlopen(*paths, RTLD_NOW) == NULL) {
			fprintf(stderr, "%s\n", dlerror());
			return -1;
		}
	}
	return 0;
}

/*
 * The secondary process
 */

static int
secondary_main(char **argv)
{
	char args[128];
	uint16_t port_id;

	if (plugins_load(argv + ARG_PLUGINS) != 0 ||
			eal_init(argv[ARG_FOLDER], argv[ARG_PREFIX], "secondary") != 0)
		return 1;
	fprintf(stderr, "secondary: ports %u\n", rte_eth_dev_count_avail());
	fprintf(stderr, "secondary: found %d\n",
			rte_eth_dev_get_port_by_name("net_avp_user0", &port_id));
	/* asks the primary, which can, and then all others, of which this one cannot */
	snprintf(args, sizeof(args), "socket=%s/p1.sock", argv[ARG_FOLDER]);
	fprintf(stderr, "secondary: added %d\n",
			rte_eal_hotplug_add("vdev", "net_avp_user1", args));
	fprintf(stderr, "secondary: ports %u\n", rte_eth_dev_count_avail());
	return 0;
}

/* Start it, wait for its end, and return its exit status with all that it has written. */
static int
secondary_run(char *text, size_t size)
{
	size_t len = 0;
	ssize_t got;
	int fds[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *argv[8] = {test_argv[0], (char[]){"secondary"},
				(char *)(uintptr_t)pair_folder(), prefix};

		for (int i = 1; i < test_argc && i < 4; i++)
			argv[3 + i] = test_argv[i];
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		alarm(LIMIT_S);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(fds[1]);
	while ((got = read(fds[0], text + len, size - 1 - len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/*
 * The primary process, which is the test
 */

static void
text_has(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		fail_msg("no \"%s\" in:\n%s", wanted, text);
}

static void
a_secondary_process_is_refused_and_harms_nothing(void **state)
{
	struct pair_end_conf conf = {.nb_queues = 1};
	static char text[32768];
	struct pair_stream there, back;
	struct pair_end_conf host_conf = {.nb_queues = 1};
	uint16_t port_id;
	int status;

	(void)state;
	pair_create(&pair, 0, &host_conf, &conf);
	other.number = 1;
	pair_host_add(&other, &host_conf);
	pair_stream_init(&there, &pair, 4, 2048);
	pair_stream_init(&back, &pair, 4, 2048);
	pair_transfer(&pair.host, &pair.guest, &there, 1000, 1000);
	status = secondary_run(text, sizeof(text));
	if (status != 0)
		fail_msg("the secondary has ended with %d:\n%s", status, text);
	text_has(text, "net_avp_user0: secondary processes cannot use this port");
	text_has(text, "secondary: ports 0\nsecondary: found -19\n");
	/* what it tried itself is refused for the same reason, and taken back in the primary */
	text_has(text, "net_avp_user1: secondary processes cannot use this port");
	if (strstr(text, "secondary: added 0\n") != NULL)
		fail_msg("a port was added:\n%s", text);
	text_has(strstr(text, "secondary: added"), "secondary: ports 0\n");
	assert_int_equal(rte_eth_dev_get_port_by_name("net_avp_user1", &port_id), -ENODEV);
	/* the port goes on, and the other host's is free for a guest */
	pair_transfer(&pair.host, &pair.guest, &there, 1000, 1000);
	pair_transfer(&pair.guest, &pair.host, &back, 1000, 1000);
	pair_guest_add(&other, &conf);
	pair_end_wait_link(&other.guest, true);
	pair_destroy(&other);
	pair_destroy(&pair);
}

static unsigned long
number_in(const char *path)
{
	unsigned long value = 0;
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

static int
number_write(const char *path, unsigned long value)
{
	FILE *file = fopen(path, "w");
	int ret;

	if (file == NULL)
		return -1;
	ret = fprintf(file, "%lu\n", value) < 0 ? -1 : 0;
	return fclose(file) == 0 ? ret : -1;
}

static unsigned long pages_added;

static void
pages_give_back(void)
{
	unsigned long now = number_in(NR_PAGES);

	if (pages_added > 0 && now >= pages_added)
		number_write(NR_PAGES, now - pages_added);
}

static void
folder_unmount(void)
{
	umount2(pair_folder(), MNT_DETACH);
}

/* Have enough free huge pages, and a file system for them. 0, or why not. */
static const char *
pages_prepare(void)
{
	const char *folder = pair_folder();
	char huge[96];

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return "not allowed to mount a hugetlbfs";
	/* for sockets and DPDK's files: gone with this process */
	if (mount("none", folder, "tmpfs", 0, NULL) != 0)
		return "no tmpfs";
	atexit(folder_unmount);
	snprintf(huge, sizeof(huge), "%s/huge", folder);
	if (mkdir(huge, 0700) != 0 || mount("none", huge, "hugetlbfs", 0, "pagesize=2M") != 0)
		return "no hugetlbfs of 2 MiB pages";
	if (number_in(FREE_PAGES) < NB_PAGES) {
		if (number_write(NR_PAGES, number_in(NR_PAGES) + NB_PAGES) == 0)
			pages_added = NB_PAGES;
		atexit(pages_give_back);
	}
	return number_in(FREE_PAGES) < NB_PAGES ? "fewer than 48 free pages of 2 MiB" : NULL;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(a_secondary_process_is_refused_and_harms_nothing),
	};
	const char *why;

	test_argv = argv;
	test_argc = argc;
	if (argc > ARG_PLUGINS && strcmp(argv[ARG_ROLE], "secondary") == 0)
		return secondary_main(argv);
	why = pages_prepare();
	if (why != NULL) {
		printf("skipped: %s\n", why);
		return SKIPPED;
	}
	setenv("RUNTIME_DIRECTORY", pair_folder(), 1);
	snprintf(prefix, sizeof(prefix), "avpg-secondary-%d", getpid());
	if (plugins_load(argv + 1) != 0 || eal_init(pair_folder(), prefix, "primary") != 0)
		return 1;
	return cmocka_run_group_tests_name("avpg_ethdev_secondary", tests, NULL, NULL);
}
