/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A mapped memory and what the host knows of its buffers. It is one port's, or shared by the ports
 * of a trust domain in this process: the first port of a domain decides how much it can hold.
 *
 * Context: all of this on the control thread.
 */

#ifndef AVPH_MEM_H
#define AVPH_MEM_H

#include <stdint.h>
#include <sys/queue.h>

#include "avp_err.h"
#include "avpd_check.h"
#include "avpd_layout.h"
#include "avph_args.h"

struct avph_port;
struct avph_process;

struct avph_mem {
	/* read by lcores, constant while ports exist */
	struct avpd_bufs bufs;
	uint16_t *owners; /* by buffer number; see avph_buf.h */
	uintptr_t *held; /* by buffer number: what is kept while a guest has the buffer, avph_held()
			  */

	LIST_ENTRY(avph_mem) entry; /* of the process's list */
	struct avpd_mem *mem;
	void *base; /* BAR 2, mapped once; NULL until the first port */
	uint64_t size;
	unsigned int nb_users; /* ports, and pools that have outlived theirs */
	struct avph_port *ports[AVPD_MAX_SLOTS];
	char domain[AVPH_DOMAIN_SIZE]; /* empty: one port's own */
};

/**
 * Get a memory for a port: a new one, or its domain's. Counts a user.
 *
 * @name  of the port
 * Returns 0 or -errno with @err filled in.
 */
int avph_mem_get(struct avph_mem **mem, struct avph_process *process, const struct avph_args *args,
		const char *name, struct avp_err *err);

/** End a use of it; the last one frees it. NULL is allowed. */
void avph_mem_put(struct avph_mem *mem);

/** Give a port its place in the memory, and map it. avpd_mem_remove_port() is the opposite. */
int avph_mem_add_port(struct avph_mem *mem, const struct avph_args *args, const char *name,
		struct avpd_layout *layout, struct avp_err *err);

#endif /* AVPH_MEM_H */
