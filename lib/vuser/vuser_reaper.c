/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Closing in a thread: vuser_reaper.h.
 *
 * How it works: a ring of descriptors under a lock. The thread ends, and frees all, when the owner
 * has let go and the ring is empty; nobody waits for it, because it may be stuck.
 */

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include "avp_sock.h"
#include "vuser_msg.h"
#include "vuser_reaper.h"

/* Descriptors that wait. QEMU maps memory in bursts of hundreds, each with one; they take the
 * thread microseconds. */
#define REAPER_ROOM 256u

/* A message's descriptors, those of one that is half there, and a few sockets. */
#define REAPER_RESERVE (3u * VUSER_MAX_FDS)

#define REAPER_STACK_SIZE (256u * 1024u)

struct vuser_reaper {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	bool has_thread;
	bool let_go;
	uint32_t first;
	uint32_t count;
	int fds[REAPER_ROOM];
};

static void
reaper_free(struct vuser_reaper *reaper)
{
	pthread_cond_destroy(&reaper->changed);
	pthread_mutex_destroy(&reaper->lock);
	free(reaper);
}

static void *
reaper_thread(void *arg)
{
	struct vuser_reaper *reaper = arg;

	pthread_mutex_lock(&reaper->lock);
	while (reaper->count > 0 || !reaper->let_go) {
		if (reaper->count == 0) {
			pthread_cond_wait(&reaper->changed, &reaper->lock);
			continue;
		}
		int fd = reaper->fds[reaper->first];

		pthread_mutex_unlock(&reaper->lock);
		avp_sock_close(&fd);
		pthread_mutex_lock(&reaper->lock);
		/* only now, so that what is being closed counts too */
		reaper->first = (reaper->first + 1) % REAPER_ROOM;
		reaper->count--;
	}
	pthread_mutex_unlock(&reaper->lock);
	reaper_free(reaper);
	return NULL;
}

/* Under the lock. */
static bool
reaper_start(struct vuser_reaper *reaper)
{
	pthread_attr_t attr;
	sigset_t all, saved;
	pthread_t thread;

	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* normal priority, whatever the loop has: freeing gigabytes is not urgent */
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	/* a program that locks its memory would pay for the default of 8 MiB */
	pthread_attr_setstacksize(&attr, REAPER_STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	reaper->has_thread = pthread_create(&thread, &attr, reaper_thread, reaper) == 0;
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	if (reaper->has_thread)
		pthread_setname_np(thread, "vuser-close");
	return reaper->has_thread;
}

struct vuser_reaper *
vuser_reaper_create(void)
{
	struct vuser_reaper *reaper = calloc(1, sizeof(*reaper));

	if (reaper == NULL)
		return NULL;
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->changed, NULL);
	return reaper;
}

void
vuser_reaper_destroy(struct vuser_reaper *reaper)
{
	if (reaper == NULL)
		return;
	pthread_mutex_lock(&reaper->lock);
	bool has_thread = reaper->has_thread;
	reaper->let_go = true;
	pthread_cond_signal(&reaper->changed);
	pthread_mutex_unlock(&reaper->lock);
	if (!has_thread)
		reaper_free(reaper);
}

bool
vuser_reaper_has_room(struct vuser_reaper *reaper)
{
	pthread_mutex_lock(&reaper->lock);
	bool has_room = reaper->count <= REAPER_ROOM - REAPER_RESERVE;
	pthread_mutex_unlock(&reaper->lock);
	return has_room;
}

void
vuser_reaper_close(struct vuser_reaper *reaper, int *fd)
{
	if (*fd < 0)
		return;
	if (reaper == NULL) {
		avp_sock_close(fd);
		return;
	}
	pthread_mutex_lock(&reaper->lock);
	bool taken = reaper->count < REAPER_ROOM && (reaper->has_thread || reaper_start(reaper));
	if (taken) {
		reaper->fds[(reaper->first + reaper->count) % REAPER_ROOM] = *fd;
		reaper->count++;
		*fd = -1;
		pthread_cond_signal(&reaper->changed);
	}
	pthread_mutex_unlock(&reaper->lock);
	avp_sock_close(fd);
}
