/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The other node: see peer.h.
 */

#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"
#include "stream.h"

#define END_LIMIT_MS 10000
#define POLL_US 5000
#define NB_WORDS 16

struct ctl_peer {
	struct ctl_stream stream;
	char name[64];
	pid_t pid;
};

extern char **environ;

/* Run the words with the socket as standard input and output. */
static int
spawn(char *const words[], int fd, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int ret;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	ret = posix_spawn(pid, words[0], &files, &attr, words, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return ret;
}

static void
set_word(char *words[], int *nb, const char *word)
{
	words[(*nb)++] = (char *)(uintptr_t)word;
}

enum ctl_status
ctl_peer_open(struct ctl_peer **peer, const json_t *host, const char *vm_name,
		struct ctl_error *err)
{
	struct ctl_peer *new = calloc(1, sizeof(*new));
	char *words[NB_WORDS], dir[256], script[512];
	int fds[2], nb = 0, ret;

	if (new == NULL)
		return ctl_no_memory(err);
	snprintf(new->name, sizeof(new->name), "host %.50s", ctl_member(host, "name"));
	snprintf(dir, sizeof(dir), "dir=%s", ctl_member(host, "dir"));
	snprintf(script, sizeof(script), "exec %s \"$@\"", ctl_member(host, "command"));
	set_word(words, &nb, "/bin/sh");
	set_word(words, &nb, "-c");
	set_word(words, &nb, script);
	set_word(words, &nb, "sh");
	set_word(words, &nb, ctl_member(host, "avpctl"));
	set_word(words, &nb, "--socket");
	set_word(words, &nb, ctl_member(host, "switch"));
	set_word(words, &nb, "vm");
	set_word(words, &nb, "receive");
	set_word(words, &nb, vm_name);
	set_word(words, &nb, dir);
	words[nb] = NULL;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		free(new);
		return ctl_fail(err, errno, "no socket: %s", ctl_strerror(errno));
	}
	ret = spawn(words, fds[1], &new->pid);
	close(fds[1]);
	if (ret != 0) {
		close(fds[0]);
		free(new);
		return ctl_fail(err, ret, "/bin/sh: %s", ctl_strerror(ret));
	}
	new->stream = (struct ctl_stream){.in_fd = fds[0], .out_fd = fds[0], .peer = new->name};
	*peer = new;
	return CTL_DONE;
}

void
ctl_peer_close(struct ctl_peer *peer)
{
	struct ctl_limit limit = ctl_limit_in(END_LIMIT_MS);

	if (peer == NULL)
		return;
	ctl_stream_fini(&peer->stream);
	while (waitpid(peer->pid, NULL, WNOHANG) == 0) {
		if (ctl_now_us() > limit.end_us) {
			kill(peer->pid, SIGKILL);
			waitpid(peer->pid, NULL, 0);
			break;
		}
		usleep(POLL_US);
	}
	free(peer);
}

enum ctl_status
ctl_peer_call(struct ctl_peer *peer, const char *method, json_t *params, unsigned int timeout_ms,
		json_t **result, bool *answered, struct ctl_error *err)
{
	struct ctl_limit limit = ctl_limit_in(timeout_ms);
	json_t *message, *error, *value;
	enum ctl_status status;

	if (answered != NULL)
		*answered = false;
	message = json_pack("{s:s, s:o*}", "method", method, "params", params);
	status = ctl_stream_send_object(&peer->stream, message, &limit, method, err);
	if (status == CTL_DONE)
		status = ctl_stream_object(&peer->stream, &message, &limit, method, err);
	if (status != CTL_DONE)
		return status;
	if (answered != NULL)
		*answered = true;
	error = json_object_get(message, "error");
	value = json_object_get(message, "result");
	if (error != NULL) {
		char text[sizeof(err->msg)];

		snprintf(text, sizeof(text), "%s: %.400s", peer->name,
				ctl_member(error, "message"));
		status = ctl_refused(err, ctl_member(error, "code"), text);
	} else if (value == NULL) {
		status = ctl_fail(err, EPROTO, "%s: %s: an answer without a result", peer->name,
				method);
	} else if (result != NULL) {
		*result = json_incref(value);
	}
	json_decref(message);
	return status;
}
