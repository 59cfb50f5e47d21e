/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avp-switch: start, run until a signal, stop. The only file that ends the program.
 *
 * Threads: this one is DPDK's main lcore and does the control work; worker lcores move packets
 * (lcore.c); net_avp_host has a thread for the sockets of its ports; each capture has a writer.
 */

#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_version.h>
#include <systemd/sd-daemon.h>

#include "avp_sock.h"
#include "config.h"
#include "ctl.h"
#include "lcore.h"
#include "options.h"
#include "port.h"
#include "sw.h"
#include "sw_log.h"

SW_LOG_TOPIC(main);

#define EXIT_USAGE 2

struct app {
	struct options opt;
	struct options_eal eal;
	struct sw_conf conf;
	struct sw *sw;
	struct avp_watch signals;
	bool stop;
	json_t *networks;
	json_t *ports;
};

static void
got_signal(struct avp_watch *watch, uint32_t events __rte_unused)
{
	struct app *app = (struct app *)((char *)watch - offsetof(struct app, signals));
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	SW_LOG(NOTICE, "switch: stopping: %s", strsignal(info.ssi_signo));
	app->stop = true;
}

/* Before DPDK makes threads, so that they have these signals blocked too. */
static int
open_signals(struct app *app, struct avp_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	app->signals.ready = got_signal;
	app->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return app->signals.fd >= 0 ? 0 : avp_err_set(err, errno, "signalfd: %s", strerror(errno));
}

static bool
has_free_huge_pages(void)
{
	unsigned long nb = 0;
	glob_t found;

	if (glob("/sys/kernel/mm/hugepages/*/free_hugepages", 0, NULL, &found) != 0)
		return false;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");
		unsigned long n;

		if (file == NULL)
			continue;
		if (fscanf(file, "%lu", &n) == 1)
			nb += n;
		fclose(file);
	}
	globfree(&found);
	return nb > 0;
}

/* The configuration file, and over it the command line. */
static int
load_conf(struct app *app, struct avp_err *err)
{
	const struct options *opt = &app->opt;
	int rc;

	sw_conf_init(&app->conf);
	rc = options_check_cpus(opt, err);
	if (rc == 0 && opt->config != NULL)
		rc = config_load(opt->config, &app->conf, &app->networks, &app->ports, err);
	if (rc != 0)
		return rc;
	if (opt->workers != 0)
		app->conf.workers = opt->workers;
	if (opt->busy_poll)
		app->conf.busy_poll = true;
	if (opt->control != NULL &&
			(size_t)snprintf(app->conf.control, sizeof(app->conf.control), "%s",
					opt->control) >= sizeof(app->conf.control))
		return avp_err_set(err, ENAMETOOLONG, "--control %.64s...: too long", opt->control);
	return 0;
}

static int
start_dpdk(struct app *app, struct avp_err *err)
{
	bool no_huge = app->opt.no_huge;
	int rc;

	rte_openlog_stream(stderr);
	if (!no_huge && !has_free_huge_pages()) {
		no_huge = true;
		SW_LOG(NOTICE,
				"switch: no huge pages free: using normal pages, expect lower "
				"rates");
	}
	rc = options_make_eal(&app->opt, app->conf.workers, no_huge, &app->eal, err);
	if (rc != 0)
		return rc;
	if (rte_eal_init(app->eal.argc, app->eal.argv) < 0)
		return avp_err_set(err, rte_errno != 0 ? rte_errno : EIO,
				"DPDK does not start, see its messages before: %s",
				rte_strerror(rte_errno));
	if (app->eal.own_lcores) {
		unsigned int nb = rte_lcore_count() - 1;

		app->conf.workers = RTE_MAX(1u, RTE_MIN(nb, SW_MAX_WORKERS));
	}
	return 0;
}

/* The folder of the sockets; that it cannot be made shows when the socket is. */
static void
make_run_folder(const char *control)
{
	char folder[PARAMS_TEXT_SIZE];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", control);
	slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return;
	*slash = '\0';
	if (mkdir(folder, 0755) == 0)
		SW_LOG(INFO, "%s: made", folder);
}

static int
start_switch(struct app *app, struct avp_err *err)
{
	int rc = sw_create(&app->sw, &app->conf, err);

	if (rc != 0)
		return rc;
	make_run_folder(app->conf.control);
	rc = avp_watch_add(app->sw->loop, &app->signals, EPOLLIN);
	if (rc != 0)
		return avp_err_set(err, -rc, "signals: %s", strerror(-rc));
	rc = ctl_create(&app->sw->ctl, app->sw, err);
	if (rc == 0)
		rc = config_apply(app->sw, app->opt.config, app->networks, app->ports, err);
	if (rc == 0 && rte_lcore_count() > 1) {
		rc = lcore_start(app->sw->lcores);
		if (rc != 0)
			avp_err_set(err, -rc, "workers do not start: %s", strerror(-rc));
	}
	return rc;
}

static bool
control_work(void *ctx)
{
	struct app *app = ctx;

	avp_loop_run_once(app->sw->loop, 0);
	return !app->stop;
}

/* Answers must not wait for the time slices of busy workers. Not for threads made from here on. */
static void
run_ahead_of_workers(void)
{
	struct sched_param param = {.sched_priority = 1};

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) != 0)
		SW_LOG(INFO, "switch: control work has no priority: %s", strerror(errno));
}

static void
run(struct app *app)
{
	SW_LOG(NOTICE, "switch: running: %u worker%s, control socket %s",
			(unsigned int)app->conf.workers, app->conf.workers == 1 ? "" : "s",
			app->conf.control);
	sd_notify(0, "READY=1");
	if (rte_lcore_count() == 1)
		lcore_run_single(app->sw->lcores, control_work, app);
	else
		run_ahead_of_workers();
	while (!app->stop)
		avp_loop_run_once(app->sw->loop, -1);
	sd_notify(0, "STOPPING=1");
}

static void
stop(struct app *app)
{
	if (app->sw != NULL) {
		/* Ports are taken from running workers, as at any other time. */
		ctl_destroy(app->sw->ctl);
		app->sw->ctl = NULL;
		port_del_all(app->sw);
		lcore_stop(app->sw->lcores);
		avp_watch_remove(app->sw->loop, &app->signals);
		sw_destroy(app->sw);
	}
	json_decref(app->networks);
	json_decref(app->ports);
	avp_sock_close(&app->signals.fd);
}

int
main(int argc, char **argv)
{
	static struct app app = {.signals.fd = -1};
	struct avp_err err;

	if (options_parse(&app.opt, argc, argv, &err) != 0) {
		fprintf(stderr, "avp-switch: %s\n", err.msg);
		return EXIT_USAGE;
	}
	if (app.opt.action == OPTIONS_HELP) {
		fputs(options_help, stdout);
		return EXIT_SUCCESS;
	}
	if (app.opt.action == OPTIONS_VERSION) {
		printf("avp-switch %s, %s\n", AVP_VERSION, rte_version());
		return EXIT_SUCCESS;
	}
	if (load_conf(&app, &err) != 0 || open_signals(&app, &err) != 0 ||
			start_dpdk(&app, &err) != 0) {
		fprintf(stderr, "avp-switch: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	if (start_switch(&app, &err) != 0) {
		fprintf(stderr, "avp-switch: %s\n", err.msg);
		stop(&app);
		rte_eal_cleanup();
		return EXIT_FAILURE;
	}
	run(&app);
	stop(&app);
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
