/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The states of the migration handshake (docs/device.md, "Migration"). Decides only; registers,
 * interrupts, timers and messages are the device's.
 *
 *              detach                 acknowledge, client gone or reset, time-out
 *   ATTACHED ---------> DETACHING --------------------------------------------> DETACHED
 *      ^                    |  attach                                               |
 *      |                    v                                                       |
 *      +---------------- ATTACHING <------------------------------------------------+
 *        acknowledge, client gone, time-out                                      attach
 */

#ifndef AVPD_MIGRATE_H
#define AVPD_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>

enum avpd_migrate_phase {
	AVPD_MIGRATE_ATTACHED,  /* as at the start */
	AVPD_MIGRATE_DETACHING, /* the guest has been asked to let go */
	AVPD_MIGRATE_DETACHED,
	AVPD_MIGRATE_ATTACHING, /* the guest has been told that it may come back */
};

struct avpd_migrate {
	enum avpd_migrate_phase phase;
	enum avp_migration status; /* value of the register */
	bool acknowledged;         /* the guest has confirmed the phase that was reached */
};

void avpd_migrate_init(struct avpd_migrate *migrate);
/** Begin detached: for a guest that is on its way to here. */
void avpd_migrate_init_detached(struct avpd_migrate *migrate);

/** A detach or attach is under way. */
bool avpd_migrate_pending(const struct avpd_migrate *migrate);

/** The guest must not use the device. Not yet while it is being asked to let go. */
bool avpd_migrate_detached(const struct avpd_migrate *migrate);

/**
 * Begin. When one is under way already the other kind replaces it.
 *
 * Returns 0, or -EALREADY when it is under way, or reached and acknowledged.
 */
int avpd_migrate_detach(struct avpd_migrate *migrate);
int avpd_migrate_attach(struct avpd_migrate *migrate);

/**
 * What ends a detach or attach. Each returns true when it did, with the result:
 *  ack         the guest wrote the acknowledge register: 0, or -EIO when it says that it failed
 *  expired     -ETIMEDOUT; the new phase is reached all the same
 *  guest_gone  client disconnected, or reset the device. A detach is done then: 0. An attach cannot
 *              be acknowledged any more: -ENOTCONN
 */
bool avpd_migrate_ack(struct avpd_migrate *migrate, uint32_t value, int32_t *result);
bool avpd_migrate_expired(struct avpd_migrate *migrate, int32_t *result);
bool avpd_migrate_guest_gone(struct avpd_migrate *migrate, int32_t *result);

#endif /* AVPD_MIGRATE_H */
