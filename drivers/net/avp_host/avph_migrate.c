/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The application's requests for detach and attach: avph_migrate.h.
 */

#include <errno.h>
#include <time.h>

#include <rte_cycles.h>

#include "avph_migrate.h"
#include "avph_port.h"

#define US_PER_MS 1000u
/* How long the device may be late with its answer after the guest's time is over. */
#define GRACE_MS 1000u

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

void
avph_migration_init(struct avph_migration *migration)
{
	pthread_condattr_t attr;

	*migration = (struct avph_migration){0};
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&migration->ended, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&migration->lock, NULL);
}

void
avph_migration_fini(struct avph_migration *migration)
{
	pthread_mutex_destroy(&migration->lock);
	pthread_cond_destroy(&migration->ended);
}

/* The lock is held. */
static void
end_locked(struct avph_migration *migration, int result)
{
	if (!migration->pending)
		return;
	migration->pending = false;
	migration->result = result;
	migration->took_us = (uint32_t)(now_us() - migration->begin_us);
	pthread_cond_broadcast(&migration->ended);
}

void
avph_migration_ended(struct avph_migration *migration, uint32_t serial, int result)
{
	pthread_mutex_lock(&migration->lock);
	if (serial == migration->serial)
		end_locked(migration, result);
	pthread_mutex_unlock(&migration->lock);
}

void
avph_migration_lost(struct avph_migration *migration)
{
	pthread_mutex_lock(&migration->lock);
	end_locked(migration, -EPIPE);
	pthread_mutex_unlock(&migration->lock);
}

struct begin_args {
	struct avph_port *port;
	uint32_t type;
	uint32_t timeout_ms;
	uint32_t serial; /* out */
};

/* The lock is held. */
static int
begin_locked(struct avph_migration *migration, struct begin_args *args)
{
	struct avpd_msg msg = {.type = args->type};
	const uint32_t next = migration->serial + 1;
	int ret;

	if (migration->pending && migration->type == args->type)
		return -EALREADY;
	msg.ask.timeout_ms = args->timeout_ms;
	msg.ask.serial = next == 0 ? 1 : next;
	ret = avph_port_send(args->port, &msg);
	if (ret < 0)
		return ret;
	end_locked(migration, -ECANCELED);
	migration->serial = msg.ask.serial;
	migration->type = args->type;
	migration->pending = true;
	migration->begin_us = now_us();
	migration->limit_us =
			migration->begin_us + ((uint64_t)args->timeout_ms + GRACE_MS) * US_PER_MS;
	args->serial = msg.ask.serial;
	return 0;
}

static int
begin_on_loop(void *arg)
{
	struct begin_args *args = arg;
	struct avph_migration *migration = &args->port->migration;
	int ret;

	pthread_mutex_lock(&migration->lock);
	ret = begin_locked(migration, args);
	pthread_mutex_unlock(&migration->lock);
	return ret;
}

int
avph_migration_begin(struct avph_port *port, uint32_t type, uint32_t timeout_ms, uint32_t *serial)
{
	struct begin_args args = {port, type, timeout_ms, 0};
	int ret = avp_loop_call(port->process->loop, begin_on_loop, &args);

	if (serial != NULL)
		*serial = args.serial;
	return ret;
}

int
avph_migration_wait(struct avph_migration *migration, uint32_t serial)
{
	struct timespec limit;
	int ret;

	pthread_mutex_lock(&migration->lock);
	limit.tv_sec = (time_t)(migration->limit_us / US_PER_S);
	limit.tv_nsec = (long)(migration->limit_us % US_PER_S) * 1000;
	while (migration->serial == serial && migration->pending) {
		if (pthread_cond_timedwait(&migration->ended, &migration->lock, &limit) ==
				ETIMEDOUT)
			end_locked(migration, -ETIMEDOUT);
	}
	ret = migration->serial == serial ? migration->result : -ECANCELED;
	pthread_mutex_unlock(&migration->lock);
	return ret;
}

int
avph_migration_look(struct avph_migration *migration, int *result, uint32_t *took_us)
{
	int ret = 0;

	pthread_mutex_lock(&migration->lock);
	if (migration->pending && now_us() > migration->limit_us)
		end_locked(migration, -ETIMEDOUT);
	if (migration->serial == 0)
		ret = -ENOENT;
	else if (migration->pending)
		ret = -EINPROGRESS;
	if (ret == 0 && result != NULL)
		*result = migration->result;
	if (ret == 0 && took_us != NULL)
		*took_us = migration->took_us;
	pthread_mutex_unlock(&migration->lock);
	return ret;
}
