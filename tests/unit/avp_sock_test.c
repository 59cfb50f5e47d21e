/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * common/avp_sock.c: who may have the path, and who may connect.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avp_sock.h"

struct place {
	char dir[64];
	char path[96];
};

static const struct avp_sock_perm private_perm = {0600, (uid_t)-1, (gid_t)-1};

static int
setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return -1;
	snprintf(place->dir, sizeof(place->dir), "/tmp/avp_sock.XXXXXX");
	if (mkdtemp(place->dir) == NULL)
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/p0.sock", place->dir);
	*state = place;
	return 0;
}

static int
teardown(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	int ret = rmdir(place->dir); /* fails if something else was left */
	free(place);
	return ret;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void
mode_is_exact_whatever_the_umask(void **state)
{
	const struct place *place = *state;
	const mode_t masks[] = {0, 022, 077};
	const mode_t modes[] = {0600, 0660, 0666, 0777};

	for (int i = 0; i < 3; i++) {
		mode_t saved = umask(masks[i]);

		for (int m = 0; m < 4; m++) {
			struct avp_sock_perm perm = {modes[m], (uid_t)-1, (gid_t)-1};
			int fd = avp_sock_listen(place->path, &perm, NULL);

			assert_true(fd >= 0);
			assert_int_equal(mode_of(place->path), S_IFSOCK | modes[m]);
			assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
			assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
			avp_sock_unlisten(&fd, place->path);
			assert_int_equal(fd, -1);
			assert_int_equal(access(place->path, F_OK), -1);
		}
		umask(saved);
	}
}

static void
owner_is_set_or_refused_with_the_file_gone(void **state)
{
	const struct place *place = *state;
	struct avp_sock_perm perm = {0660, 12345, 12346};
	struct avp_err err;
	struct stat st;

	int fd = avp_sock_listen(place->path, &perm, &err);
	if (geteuid() == 0) {
		assert_true(fd >= 0);
		assert_int_equal(lstat(place->path, &st), 0);
		assert_int_equal(st.st_uid, 12345);
		assert_int_equal(st.st_gid, 12346);
		avp_sock_unlisten(&fd, place->path);
		return;
	}
	assert_int_equal(fd, -EPERM);
	assert_non_null(strstr(err.msg, "owner 12345:12346"));
	assert_int_equal(access(place->path, F_OK), -1);
}

static void
living_socket_is_not_replaced_and_its_process_named(void **state)
{
	const struct place *place = *state;
	struct avp_err err;
	char pid[32];

	int fd = avp_sock_listen(place->path, &private_perm, NULL);
	assert_true(fd >= 0);
	assert_int_equal(avp_sock_listen(place->path, &private_perm, &err), -EADDRINUSE);
	snprintf(pid, sizeof(pid), "in use by pid %d", (int)getpid());
	assert_non_null(strstr(err.msg, pid));
	assert_non_null(strstr(err.msg, place->path));
	int client = avp_sock_connect(place->path, &err);
	assert_true(client >= 0);
	avp_sock_close(&client);
	avp_sock_unlisten(&fd, place->path);
}

static void
stale_socket_of_a_dead_process_is_replaced(void **state)
{
	const struct place *place = *state;
	struct avp_err err;
	int status;

	pid_t child = fork();
	if (child == 0)
		_exit(avp_sock_listen(place->path, &private_perm, NULL) >= 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(S_ISSOCK(mode_of(place->path)));
	assert_int_equal(avp_sock_connect(place->path, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.msg, "nobody listens"));
	int fd = avp_sock_listen(place->path, &private_perm, &err);
	assert_true(fd >= 0);
	avp_sock_unlisten(&fd, place->path);
}

static void
file_that_is_no_socket_is_not_touched(void **state)
{
	const struct place *place = *state;
	struct avp_err err;

	int file = open(place->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(avp_sock_listen(place->path, &private_perm, &err), -ENOTSOCK);
	assert_non_null(strstr(err.msg, "not a socket"));
	assert_true(S_ISREG(mode_of(place->path)));
	unlink(place->path);
	assert_int_equal(symlink("/nonexistent", place->path), 0);
	assert_int_equal(avp_sock_listen(place->path, &private_perm, &err), -ENOTSOCK);
	assert_true(S_ISLNK(mode_of(place->path)));
}

static void
unlisten_leaves_the_file_of_somebody_else(void **state)
{
	const struct place *place = *state;
	struct avp_err err;

	int first = avp_sock_listen(place->path, &private_perm, NULL);
	unlink(place->path); /* a user's mistake */
	int second = avp_sock_listen(place->path, &private_perm, NULL);
	assert_true(first >= 0 && second >= 0);
	avp_sock_unlisten(&first, place->path);
	int client = avp_sock_connect(place->path, &err);
	assert_true(client >= 0);
	avp_sock_close(&client);
	avp_sock_unlisten(&second, place->path);
	avp_sock_unlisten(&second, place->path);
}

static void *
try_listen(void *arg)
{
	return (void *)(intptr_t)avp_sock_listen(arg, &private_perm, NULL);
}

static void
of_racing_servers_exactly_one_gets_a_stale_path(void **state)
{
	struct place *place = *state;

	for (int round = 0; round < 50; round++) {
		pthread_t threads[4];
		int winner = -1, winners = 0;

		int stale = avp_sock_listen(place->path, &private_perm, NULL);
		assert_true(stale >= 0);
		avp_sock_close(&stale);
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, try_listen, place->path),
					0);
		for (int i = 0; i < 4; i++) {
			void *fd;

			pthread_join(threads[i], &fd);
			if ((intptr_t)fd < 0) {
				assert_int_equal((intptr_t)fd, -EADDRINUSE);
				continue;
			}
			winner = (int)(intptr_t)fd;
			winners++;
		}
		assert_int_equal(winners, 1);
		int client = avp_sock_connect(place->path, NULL);
		assert_true(client >= 0);
		avp_sock_close(&client);
		avp_sock_unlisten(&winner, place->path);
	}
}

static void
bad_paths_are_refused_by_name(void **state)
{
	struct avp_err err;
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(avp_sock_listen(path, &private_perm, &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.msg, "199 bytes: at most 107"));
	assert_int_equal(avp_sock_listen("", &private_perm, &err), -EINVAL);
	assert_int_equal(avp_sock_listen("/nonexistent/p0", &private_perm, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/p0: "));
	assert_int_equal(avp_sock_connect("/nonexistent/p0", &err), -ENOENT);
	assert_int_equal(avp_sock_listen("/tmp/avp_sock_mode", &(struct avp_sock_perm){04777, 0, 0},
					 &err),
			-EINVAL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(mode_is_exact_whatever_the_umask),
			TEST(owner_is_set_or_refused_with_the_file_gone),
			TEST(living_socket_is_not_replaced_and_its_process_named),
			TEST(stale_socket_of_a_dead_process_is_replaced),
			TEST(file_that_is_no_socket_is_not_touched),
			TEST(unlisten_leaves_the_file_of_somebody_else),
			TEST(of_racing_servers_exactly_one_gets_a_stale_path),
			TEST(bad_paths_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
