/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The states of the migration handshake, see avpd_migrate.h.
 */

#include <errno.h>

#include "avpd_migrate.h"

void
avpd_migrate_init(struct avpd_migrate *migrate)
{
	*migrate = (struct avpd_migrate){
			.phase = AVPD_MIGRATE_ATTACHED,
			.status = AVP_MIGRATION_NONE,
	};
}

void
avpd_migrate_init_detached(struct avpd_migrate *migrate)
{
	*migrate = (struct avpd_migrate){
			.phase = AVPD_MIGRATE_DETACHED,
			.status = AVP_MIGRATION_DETACHED,
			.acknowledged = true, /* there is nobody to ask */
	};
}

bool
avpd_migrate_pending(const struct avpd_migrate *migrate)
{
	return migrate->phase == AVPD_MIGRATE_DETACHING || migrate->phase == AVPD_MIGRATE_ATTACHING;
}

bool
avpd_migrate_detached(const struct avpd_migrate *migrate)
{
	return migrate->phase == AVPD_MIGRATE_DETACHED;
}

int
avpd_migrate_detach(struct avpd_migrate *migrate)
{
	if (migrate->phase == AVPD_MIGRATE_DETACHING)
		return -EALREADY;
	if (migrate->phase == AVPD_MIGRATE_DETACHED && migrate->acknowledged)
		return -EALREADY;
	migrate->phase = AVPD_MIGRATE_DETACHING;
	migrate->status = AVP_MIGRATION_DETACHED;
	migrate->acknowledged = false;
	return 0;
}

int
avpd_migrate_attach(struct avpd_migrate *migrate)
{
	if (migrate->phase == AVPD_MIGRATE_ATTACHING)
		return -EALREADY;
	if (migrate->phase == AVPD_MIGRATE_ATTACHED && migrate->acknowledged)
		return -EALREADY;
	migrate->phase = AVPD_MIGRATE_ATTACHING;
	migrate->status = AVP_MIGRATION_ATTACHED;
	migrate->acknowledged = false;
	return 0;
}

/* Go on to what was asked for. */
static void
reach(struct avpd_migrate *migrate, bool acknowledged)
{
	migrate->phase = migrate->phase == AVPD_MIGRATE_DETACHING ? AVPD_MIGRATE_DETACHED
								  : AVPD_MIGRATE_ATTACHED;
	migrate->acknowledged = acknowledged;
}

bool
avpd_migrate_ack(struct avpd_migrate *migrate, uint32_t value, int32_t *result)
{
	/* A guest that was slow may acknowledge when nobody waits any more. */
	if (!avpd_migrate_pending(migrate)) {
		migrate->acknowledged |= value == migrate->status && value != AVP_MIGRATION_NONE;
		return false;
	}
	if (value != migrate->status && value != AVP_MIGRATION_ERROR)
		return false;
	*result = value == AVP_MIGRATION_ERROR ? -EIO : 0;
	reach(migrate, value != AVP_MIGRATION_ERROR);
	return true;
}

bool
avpd_migrate_expired(struct avpd_migrate *migrate, int32_t *result)
{
	if (!avpd_migrate_pending(migrate))
		return false;
	*result = -ETIMEDOUT;
	reach(migrate, false);
	return true;
}

bool
avpd_migrate_guest_gone(struct avpd_migrate *migrate, int32_t *result)
{
	const bool pending = avpd_migrate_pending(migrate);

	if (pending) {
		*result = migrate->phase == AVPD_MIGRATE_DETACHING ? 0 : -ENOTCONN;
		reach(migrate, migrate->phase == AVPD_MIGRATE_DETACHING);
	}
	/* Who comes next has nothing to come back to. Detached it stays, and reads it at probe. */
	if (migrate->phase == AVPD_MIGRATE_ATTACHED)
		avpd_migrate_init(migrate);
	return pending;
}
