/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * UNIX stream sockets: avp_sock.h.
 *
 * How it works: listening means to find out whether the file at the path is in use, to remove it if
 * not, and to bind. Two processes that do this at once would remove each other's file, so they
 * exclude each other by a lock on the directory. Permissions: Linux creates the file with the mode
 * of the socket's own inode, less the umask, so that fchmod() before bind() keeps it from ever
 * being wider than asked; umask(), which is the whole process's, is left alone. Nobody can connect
 * before listen(), and by then mode and owner are final.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "avp_sock.h"

#define SOCK_BACKLOG 16

/* How long to wait for another process that is just binding in the same directory; a lock held for
 * longer is somebody's mischief, and is ignored. */
#define SOCK_LOCK_TRIES 20
#define SOCK_LOCK_WAIT_NS (5 * 1000 * 1000)

/* How long connect() may wait for room in the server's queue. */
#define SOCK_CONNECT_WAIT_S 5

void
avp_sock_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static int
sock_address(struct sockaddr_un *addr, const char *path, struct avp_err *err)
{
	size_t len = strlen(path);

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (len == 0)
		return avp_err_set(err, EINVAL, "socket path: empty");
	if (len >= sizeof(addr->sun_path))
		return avp_err_set(err, ENAMETOOLONG, "%.64s...: path of %zu bytes: at most %zu",
				path, len, sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, path, len + 1);
	return 0;
}

static pid_t
sock_peer_pid(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return cred.pid;
}

/* Does somebody listen at this address? 0: no, and there is no file or a stale one.
 * -EADDRINUSE: yes. Other errors: cannot be told. */
static int
sock_probe(const struct sockaddr_un *addr, struct avp_err *err)
{
	const char *path = addr->sun_path;
	int ret = 0;

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return avp_err_set(err, errno, "%s: no socket: %m", path);
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0) {
		pid_t pid = sock_peer_pid(fd);

		if (pid > 0)
			ret = avp_err_set(err, EADDRINUSE, "%s: already in use by pid %d", path,
					(int)pid);
		else
			ret = avp_err_set(err, EADDRINUSE, "%s: already in use", path);
	} else if (errno == EAGAIN || errno == EPROTOTYPE) {
		ret = avp_err_set(err, EADDRINUSE, "%s: already in use (%m)", path);
	} else if (errno != ECONNREFUSED && errno != ENOENT) {
		ret = avp_err_set(err, errno, "%s: cannot tell whether it is in use: %m", path);
	}
	avp_sock_close(&fd);
	return ret;
}

/* Remove the file if it is a socket without a listener. */
static int
sock_remove_stale(const struct sockaddr_un *addr, struct avp_err *err)
{
	const char *path = addr->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return avp_err_set(err, errno, "%s: %m", path);
	}
	if (!S_ISSOCK(st.st_mode))
		return avp_err_set(err, ENOTSOCK, "%s: exists and is not a socket", path);
	int ret = sock_probe(addr, err);
	if (ret < 0)
		return ret;
	if (unlink(path) < 0 && errno != ENOENT)
		return avp_err_set(err, errno, "%s: stale socket cannot be removed: %m", path);
	return 0;
}

/* Returns a descriptor that holds the lock, or -1: go on without. */
static int
sock_lock_dir(const char *path)
{
	const struct timespec wait = {.tv_nsec = SOCK_LOCK_WAIT_NS};
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (int i = 0; i < SOCK_LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		nanosleep(&wait, NULL);
	}
	avp_sock_close(&fd);
	return -1;
}

static int
sock_bind(int fd, const struct sockaddr_un *addr, const struct avp_sock_perm *perm,
		struct avp_err *err)
{
	const char *path = addr->sun_path;

	if (fchmod(fd, perm->mode) < 0)
		return avp_err_set(err, errno, "%s: mode %03o: %m", path, perm->mode);
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return avp_err_set(err, errno, "%s: cannot be bound: %m", path);
	if (chmod(path, perm->mode) < 0) {
		avp_err_set(err, errno, "%s: mode %03o: %m", path, perm->mode);
		goto err_unlink;
	}
	if ((perm->owner != (uid_t)-1 || perm->group != (gid_t)-1) &&
			lchown(path, perm->owner, perm->group) < 0) {
		avp_err_set(err, errno, "%s: owner %d:%d: %m", path, (int)perm->owner,
				(int)perm->group);
		goto err_unlink;
	}
	if (listen(fd, SOCK_BACKLOG) < 0) {
		avp_err_set(err, errno, "%s: cannot be listened on: %m", path);
		goto err_unlink;
	}
	return 0;

err_unlink:;
	int saved = errno;
	unlink(path);
	return -saved;
}

int
avp_sock_listen(const char *path, const struct avp_sock_perm *perm, struct avp_err *err)
{
	struct sockaddr_un addr;

	int ret = sock_address(&addr, path, err);
	if (ret < 0)
		return ret;
	if ((perm->mode & ~(mode_t)0777) != 0)
		return avp_err_set(err, EINVAL, "%s: mode %03o: at most 777", path, perm->mode);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return avp_err_set(err, errno, "%s: no socket: %m", path);

	int lock = sock_lock_dir(path);
	ret = sock_remove_stale(&addr, err);
	if (ret == 0)
		ret = sock_bind(fd, &addr, perm, err);
	avp_sock_close(&lock);
	if (ret < 0) {
		avp_sock_close(&fd);
		return ret;
	}
	return fd;
}

void
avp_sock_unlisten(int *fd, const char *path)
{
	struct sockaddr_un addr;

	if (*fd < 0)
		return;
	avp_sock_close(fd);
	if (sock_address(&addr, path, NULL) < 0)
		return;
	int lock = sock_lock_dir(path);
	sock_remove_stale(&addr, NULL);
	avp_sock_close(&lock);
}

int
avp_sock_connect(const char *path, struct avp_err *err)
{
	const struct timeval none = {0};
	const struct timeval limit = {.tv_sec = SOCK_CONNECT_WAIT_S};
	struct sockaddr_un addr;

	int ret = sock_address(&addr, path, err);
	if (ret < 0)
		return ret;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return avp_err_set(err, errno, "%s: no socket: %m", path);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	while (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == EINTR)
			continue;
		ret = errno == EAGAIN ? ETIMEDOUT : errno;
		if (ret == ECONNREFUSED)
			avp_err_set(err, ret, "%s: nobody listens there any more", path);
		else
			avp_err_set(err, ret, "%s: cannot connect: %m", path);
		avp_sock_close(&fd);
		return -ret;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	return fd;
}
