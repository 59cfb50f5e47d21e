/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl capture: the switch writes the file, and goes on as long as this connection lasts. We wait
 * for Ctrl-C, ask now and then whether it has ended by itself, and print what there was.
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctl.h"
#include "output.h"

#define CAPTURE_ASK_MS 200

/* The parameters of capture.start: the switch has another working directory. */
static enum ctl_status
capture_params(const struct ctl_args *args, json_t **params, struct ctl_error *err)
{
	const char *file = args->words[1];
	char here[PATH_MAX];
	json_t *count;

	*params = ctl_params(args, "port");
	count = json_object_get(*params, "count");
	if (count != NULL && json_integer_value(count) == 0) {
		json_decref(*params);
		return ctl_usage(err, "count=0: not a number from 1 on");
	}
	if (count != NULL)
		json_object_set(*params, "limit", count);
	json_object_del(*params, "count");
	if (file[0] == '/') {
		json_object_set_new(*params, "file", json_string(file));
		return CTL_DONE;
	}
	if (getcwd(here, sizeof(here)) == NULL) {
		json_decref(*params);
		return ctl_fail(err, errno, "%s: no working directory to begin its path with: %s",
				file, ctl_strerror(errno));
	}
	json_object_set_new(*params, "file",
			json_sprintf("%s/%s", strcmp(here, "/") == 0 ? "" : here, file));
	return CTL_DONE;
}

/* A descriptor that becomes readable on Ctrl-C and its likes, which no longer end the program. */
static int
capture_catch_signals(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Is the capture of @port going on? */
static enum ctl_status
capture_ask(struct ctl *ctl, const char *port, bool *running, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *list, *entry;
	size_t i;

	status = ctl_request(ctl, "capture.show", json_object(), &list, err);
	if (status != CTL_DONE)
		return status;
	*running = false;
	json_array_foreach (list, i, entry) {
		if (strcmp(ctl_member(entry, "port"), port) == 0)
			*running = !json_is_false(json_object_get(entry, "running"));
	}
	json_decref(list);
	return CTL_DONE;
}

/* Until a signal, or until the capture has ended by itself. */
static enum ctl_status
capture_wait(struct ctl *ctl, const char *port, int signal_fd, struct ctl_error *err)
{
	struct pollfd entry = {.fd = signal_fd, .events = POLLIN};
	enum ctl_status status;
	bool running = true;

	while (running) {
		if (poll(&entry, 1, CAPTURE_ASK_MS) > 0)
			return CTL_DONE;
		status = capture_ask(ctl, port, &running, err);
		if (status != CTL_DONE)
			return status;
	}
	return CTL_DONE;
}

static enum ctl_status
capture_stop(struct ctl *ctl, const char *port, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *result;
	uint64_t lost;

	status = ctl_request(ctl, "capture.stop", json_pack("{s:s}", "port", port), &result, err);
	if (status != CTL_DONE)
		return status;
	lost = ctl_member_u64(result, "lost");
	if (ctl->json) {
		ctl_print_json(ctl->out, result);
	} else {
		fprintf(ctl->out, "%" PRIu64 " packets captured\n",
				ctl_member_u64(result, "packets"));
		if (lost > 0)
			fprintf(ctl->out,
					"%" PRIu64 " packets lost: they came faster than the file "
					"could be written\n",
					lost);
	}
	json_decref(result);
	return CTL_DONE;
}

enum ctl_status
ctl_capture(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	const char *port = args->words[0];
	enum ctl_status status;
	json_t *params, *result;
	sigset_t before;
	int signal_fd;

	status = capture_params(args, &params, err);
	if (status != CTL_DONE)
		return status;
	signal_fd = capture_catch_signals(&before);
	if (signal_fd < 0) {
		json_decref(params);
		return ctl_fail(err, errno, "no signalfd: %s", ctl_strerror(errno));
	}
	status = ctl_request(ctl, "capture.start", params, &result, err);
	if (status == CTL_DONE) {
		fprintf(ctl->notes, "capturing %s to %s, Ctrl-C ends\n", port,
				ctl_member(result, "file"));
		fflush(ctl->notes);
		json_decref(result);
		status = capture_wait(ctl, port, signal_fd, err);
	}
	if (status == CTL_DONE)
		status = capture_stop(ctl, port, err);
	close(signal_fd);
	return status;
}
