/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Detach and attach as the application asks for them: begin, and learn of the end by looking or by
 * waiting. The handshake itself is the device's (avpd_guest.c).
 *
 * How it works
 * Each request has a serial number, which the device's answer carries. A request of the other kind
 * replaces one that is under way: the device calls that off, and the port keeps the last one only.
 */

#ifndef AVPH_MIGRATE_H
#define AVPH_MIGRATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct avph_port;

/** The last request. */
struct avph_migration {
	pthread_mutex_t lock; /* for all that follows */
	pthread_cond_t ended;
	uint32_t serial; /* 0: there was none */
	uint32_t type;   /* AVPD_MSG_DETACH or AVPD_MSG_ATTACH */
	bool pending;
	int result;        /* once it is not: 0 or -errno */
	uint32_t took_us;  /* likewise */
	uint64_t begin_us; /* CLOCK_MONOTONIC, as the next one */
	uint64_t limit_us; /* the device must have told the end by then */
};

void avph_migration_init(struct avph_migration *migration);
void avph_migration_fini(struct avph_migration *migration);

/**
 * Ask the device for a detach or attach.
 *
 * @type    AVPD_MSG_DETACH, AVPD_MSG_ATTACH
 * @serial  out: of the request; may be NULL
 * Returns 0; -EALREADY when the same is under way; or what avph_port_send() returns. Any thread.
 */
int avph_migration_begin(
		struct avph_port *port, uint32_t type, uint32_t timeout_ms, uint32_t *serial);

/** Wait for the end of request @serial: its result, or -ECANCELED when another one has replaced it.
 * Any thread but the control thread, which would wait for itself. */
int avph_migration_wait(struct avph_migration *migration, uint32_t serial);

/** Look at the last request. Returns 0 with its @result and @took_us (either may be NULL),
 * -EINPROGRESS, or -ENOENT when there was none. Any thread. */
int avph_migration_look(struct avph_migration *migration, int *result, uint32_t *took_us);

/** The device says that request @serial has ended. */
void avph_migration_ended(struct avph_migration *migration, uint32_t serial, int result);
/** The device will say nothing any more. */
void avph_migration_lost(struct avph_migration *migration);

#endif /* AVPH_MIGRATE_H */
