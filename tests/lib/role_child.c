/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The processes of role_child.h.
 */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "role_child.h"
#include "test_clock.h"

#define MAX_CHILDREN 4
#define READY 'r'
#define READY_FD 3 /* where a role says so; its standard output is for messages */

/* Those that a test has started and not seen end. */
static pid_t started[MAX_CHILDREN];

int
role_children_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		if (started[i] == 0)
			continue;
		kill(started[i], SIGKILL);
		waitpid(started[i], NULL, 0);
		started[i] = 0;
	}
	return 0;
}

static void
child_note(pid_t from, pid_t to)
{
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		if (started[i] == from) {
			started[i] = to;
			return;
		}
	}
	fail_msg("more than %d children", MAX_CHILDREN);
}

void
role_child_start(struct role_child *child, char *const argv[])
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], READY_FD);
		execv(argv[0], argv);
		_exit(127);
	}
	child_note(0, child->pid);
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = out[0];
}

void
role_child_wait_ready(struct role_child *child)
{
	struct pollfd pfd = {.fd = child->out, .events = POLLIN};
	char c = '?';

	assert_int_equal(poll(&pfd, 1, ROLE_LIMIT_MS), 1);
	assert_int_equal(read(child->out, &c, 1), 1);
	assert_int_equal(c, READY);
}

void
role_child_command(struct role_child *child, char command)
{
	assert_int_equal(write(child->in, &command, 1), 1);
	role_child_wait_ready(child);
}

int
role_child_wait(struct role_child *child)
{
	uint64_t limit = test_now_ms() + ROLE_LIMIT_MS;
	int status = -1;
	pid_t pid;

	while ((pid = waitpid(child->pid, &status, WNOHANG)) == 0 && test_now_ms() < limit)
		test_pause();
	if (pid == 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, &status, 0);
		child_note(child->pid, 0);
		fail_msg("pid %d: still there after %u ms", child->pid, ROLE_LIMIT_MS);
	}
	child_note(child->pid, 0);
	if (child->in >= 0)
		close(child->in);
	close(child->out);
	return status;
}

void
role_child_end(struct role_child *child)
{
	close(child->in);
	child->in = -1;
	assert_int_equal(role_child_wait(child), 0);
}

void
role_child_kill(struct role_child *child)
{
	kill(child->pid, SIGKILL);
	assert_true(WIFSIGNALED(role_child_wait(child)));
}

void
role_say_ready(void)
{
	assert_int_equal(write(READY_FD, &(char){READY}, 1), 1);
}

int
role_command(void)
{
	struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
	char command;

	if (poll(&pfd, 1, 0) == 0)
		return 0;
	return read(STDIN_FILENO, &command, 1) == 1 ? command : -1;
}
