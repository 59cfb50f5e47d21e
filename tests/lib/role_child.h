/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A test that starts itself again as other processes, each of which plays a role. A role says that
 * it is ready, takes commands from its standard input, and tells by its exit status whether all was
 * as it should be. Failures end the test (cmocka assertions).
 */

#ifndef ROLE_CHILD_H
#define ROLE_CHILD_H

#include <sys/types.h>

#define ROLE_LIMIT_MS 40000

/** One of at most four at a time. */
struct role_child {
	pid_t pid;
	int in;  /* its standard input */
	int out; /* what it says when it is ready */
};

/** Start the program @argv[0]. It is killed when the test ends, however that happens. */
void role_child_start(struct role_child *child, char *const argv[]);
/** Wait until it says that it is ready. */
void role_child_wait_ready(struct role_child *child);
/** Tell it something, and wait until it is ready again. */
void role_child_command(struct role_child *child, char command);
/** Wait for its end; returns its status, as of waitpid(). */
int role_child_wait(struct role_child *child);
/** Close its standard input, and wait for its end in good order. */
void role_child_end(struct role_child *child);
void role_child_kill(struct role_child *child);
/** For a test's teardown: kill those that are left. */
int role_children_end(void **state);

/** For the role itself. */
void role_say_ready(void);
/** Returns a command; 0: there is none; -1: standard input is closed. */
int role_command(void);

#endif /* ROLE_CHILD_H */
