/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a mapping: avpg_map.h.
 */

#include <stdlib.h>
#include <sys/mman.h>

#include "avpg_map.h"

struct avpg_map *
avpg_map_create(void *mem, size_t size)
{
	struct avpg_map *map = calloc(1, sizeof(*map));

	if (map == NULL)
		return NULL;
	map->mem = mem;
	map->size = size;
	atomic_init(&map->users, 1);
	return map;
}

void
avpg_map_get(struct avpg_map *map)
{
	atomic_fetch_add_explicit(&map->users, 1, memory_order_relaxed);
}

void
avpg_map_put(struct avpg_map *map)
{
	/* what any user did with the memory is before its end */
	if (map == NULL || atomic_fetch_sub_explicit(&map->users, 1, memory_order_acq_rel) != 1)
		return;
	munmap(map->mem, map->size);
	free(map);
}
