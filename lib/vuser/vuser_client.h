/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A vfio-user client: what a guest driver without a VM needs of the protocol. Calls block until the
 * server has answered, for as long as the time given at connect; one thread at a time.
 */

#ifndef VUSER_CLIENT_H
#define VUSER_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "avp_err.h"
#include "vuser_proto.h"

struct vuser_client;

/** A region as the server describes it. */
struct vuser_client_region {
	uint64_t size;   /* bytes, 0 = absent */
	uint32_t flags;  /* VUSER_REGION_* */
	int fd;          /* -1, or what to map: the caller closes it */
	uint64_t fd_off; /* where the region starts in it */
};

/**
 * Connect and negotiate.
 *
 * @timeout_ms  the longest that any one call may wait for the server
 * Returns 0 or -errno with @err filled in.
 */
int vuser_client_connect(struct vuser_client **client, const char *path, unsigned int timeout_ms,
		struct avp_err *err);
void vuser_client_destroy(struct vuser_client *client);

/** The socket: readable or hung up means that the server is gone. Stays the client's. */
int vuser_client_fd(const struct vuser_client *client);

/** How many regions and interrupt indexes there are. Returns 0 or -errno. */
int vuser_client_device(struct vuser_client *client, uint32_t *nb_regions, uint32_t *nb_irqs);

/** Describe region @index. Returns 0 or -errno. */
int vuser_client_region(
		struct vuser_client *client, uint32_t index, struct vuser_client_region *region);

/** Flags (VUSER_IRQ_*) and vectors of interrupt @index. Returns 0 or -errno. */
int vuser_client_irq(struct vuser_client *client, uint32_t index, uint32_t *flags, uint32_t *count);

/** Read or write a range of a region, in as many messages as the server's limit asks for. Returns 0
 * or -errno. */
int vuser_client_read(struct vuser_client *client, uint32_t region, uint64_t off, void *data,
		uint32_t size);
int vuser_client_write(struct vuser_client *client, uint32_t region, uint64_t off, const void *data,
		uint32_t size);

/** Have vectors @start.. of interrupt @index signal @fds (count of them, -1 = none); count 0:
 * disable all. The descriptors stay the caller's. */
int vuser_client_set_irqs(struct vuser_client *client, uint32_t index, uint32_t start,
		uint32_t count, const int *fds);

int vuser_client_reset(struct vuser_client *client);

#endif /* VUSER_CLIENT_H */
