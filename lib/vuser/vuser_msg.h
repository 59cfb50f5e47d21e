/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Framing of vfio-user messages on a UNIX socket, and the descriptors that come with them. For
 * server and client; both use a non-blocking socket.
 *
 * A receiver never asks the kernel for more than what is left of the present message. So the
 * descriptors it gets belong to that message, whichever of its bytes they came with.
 */

#ifndef VUSER_MSG_H
#define VUSER_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vuser_proto.h"
#include "vuser_reaper.h"

/* Most descriptors in one message, both ways. QEMU takes 16 at most for a server's limit. */
#define VUSER_MAX_FDS 16u

/* Most data in one read or write. AVP's largest is all of config space, 4 KiB. */
#define VUSER_MAX_XFER_SIZE (64u * 1024u)

/* Largest message that is received into memory. */
#define VUSER_MAX_MSG_SIZE     \
	(VUSER_MAX_XFER_SIZE + \
			(uint32_t)(sizeof(struct vuser_hdr) + sizeof(struct vuser_region_rw)))

/* Room that a receiver always has; larger messages get theirs while they last. */
#define VUSER_SMALL_MSG_SIZE 4096u

/** A message under way. */
struct vuser_rx {
	struct vuser_reaper *reaper; /* closes descriptors; NULL: closed at once */
	uint8_t *msg;                /* small, or allocated */
	uint32_t room;               /* bytes at msg */
	uint32_t have;               /* bytes received */
	uint32_t nb_fds;
	int fds[VUSER_MAX_FDS]; /* ours until somebody takes them and leaves -1 */
	bool fds_lost;          /* more came than fit; they have been closed */
	_Alignas(uint64_t) uint8_t small[VUSER_SMALL_MSG_SIZE];
};

void vuser_rx_init(struct vuser_rx *rx, struct vuser_reaper *reaper);

/** Make ready for the next message: closes descriptors that nobody has taken. */
void vuser_rx_reset(struct vuser_rx *rx);

/** Make room for a message of @size bytes, keeping what is there. Returns 0 or -ENOMEM. */
int vuser_rx_reserve(struct vuser_rx *rx, uint32_t size);

/**
 * Receive once, until at most @want bytes are there.
 *
 * @want  <= room
 * Returns 1 if something came, 0 if there is nothing now, -EPIPE at the end of the stream, or
 * -errno.
 */
int vuser_rx_once(struct vuser_rx *rx, int sock, uint32_t want);

/**
 * Send, as much as fits at once.
 *
 * @fds  sent with the first byte; stay the caller's
 * Returns the bytes sent, 0 if nothing fits now, or -errno. Never raises SIGPIPE.
 */
ssize_t vuser_tx_once(int sock, const void *data, size_t size, const int *fds, uint32_t nb_fds);

#endif /* VUSER_MSG_H */
