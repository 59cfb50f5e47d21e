/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What net_avp_user gets of a host's socket: the connection, and the BARs, mapped and checked.
 */

#ifndef AVPG_PLACE_H
#define AVPG_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "avp_err.h"
#include "avpg_map.h"
#include "vuser_client.h"

/** All of them NULL: nowhere. */
struct avpg_place {
	struct vuser_client *client;
	struct avpg_map *map; /* of BAR 2 */
	void *mem;            /* the BARs, as in struct avpg_hw */
	size_t mem_size;
	void *memmap;
	size_t memmap_size;
	void *device;
	size_t device_size;
};

/** Connect to @socket, see that an AVP device is there, switch its memory on. 0, or -errno with
 * @err filled in, and nothing to release. Blocks while the host answers. */
int avpg_place_connect(struct avpg_place *place, const char *socket, struct avp_err *err);

/** Let go of it. @keep_mem: not of BAR 2. Does nothing when nowhere. */
void avpg_place_release(struct avpg_place *place, bool keep_mem);

#endif /* AVPG_PLACE_H */
