/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * BAR 2 as mapped, for as long as somebody needs it: the device's glue, and mbufs whose data lie in
 * it, which an application may free long after the device is gone (avpg_recycle.h).
 */

#ifndef AVPG_MAP_H
#define AVPG_MAP_H

#include <stdatomic.h>
#include <stddef.h>

struct avpg_map {
	void *mem;
	size_t size; /* bytes */
	atomic_uint users;
};

/** Take over a mapping, with one user; the last one's munmap() ends it. NULL: no memory, and the
 * mapping is still the caller's. */
struct avpg_map *avpg_map_create(void *mem, size_t size);

/** One more user. Any thread that is one. */
void avpg_map_get(struct avpg_map *map);

/** One less. Any thread; NULL is allowed. */
void avpg_map_put(struct avpg_map *map);

#endif /* AVPG_MAP_H */
