/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Closing what a stranger has sent. close() can wait: for a network peer (SO_LINGER), for a file
 * system that is a process of the stranger's (FUSE), for gigabytes to be freed. The loop serves all
 * devices and never waits, so a thread does it; each server has its own, started when it is first
 * needed, so that a client can only ever hold up the closing of its own descriptors.
 */

#ifndef VUSER_REAPER_H
#define VUSER_REAPER_H

#include <stdbool.h>

struct vuser_reaper;

/** Returns NULL with errno set. */
struct vuser_reaper *vuser_reaper_create(void);

/** Let go: what is left to close is closed by the thread, whenever it can. NULL is allowed. */
void vuser_reaper_destroy(struct vuser_reaper *reaper);

/** Is there room for all that one more message or connection can bring? */
bool vuser_reaper_has_room(struct vuser_reaper *reaper);

/** Close *@fd unless negative, some time soon, and set it to -1. Without a reaper (NULL), without
 * room or without a thread: now. */
void vuser_reaper_close(struct vuser_reaper *reaper, int *fd);

#endif /* VUSER_REAPER_H */
