/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What all net_avp_host ports of a process share: the control thread, the memories of trust
 * domains, and the pools of closed ports that still have buffers out.
 */

#ifndef AVPH_PROCESS_H
#define AVPH_PROCESS_H

#include <sys/queue.h>

#include "avp_err.h"
#include "avp_loop.h"

struct avph_mem;
struct avph_pool;

/** How often a closed port's pool is looked at, and how many looks in a row must find it full: a
 * mempool counts an mbuf as back a moment before the lcore that freed it is done with the pool. */
#define AVPH_LEFTOVER_CHECK_US 100000u
#define AVPH_LEFTOVER_CHECKS 2u

struct avph_process {
	struct avp_loop *loop;
	unsigned int nb_ports; /* under the lock of get and put */
	/* the rest belongs to the control thread */
	struct avp_timer leftover_timer;
	LIST_HEAD(, avph_mem) mems;
	LIST_HEAD(, avph_pool) leftovers;
};

/** Count a port; the first one starts the control thread. Any thread but that one. NULL with @err
 * filled in. */
struct avph_process *avph_process_get(struct avp_err *err);

/** The last port ends the control thread. Any thread but that one. */
void avph_process_put(struct avph_process *process);

/**
 * Let go of the pool of a closed port, and with it of the port's place in its memory: at once when
 * all its mbufs are back, else as soon as they are.
 *
 * Context: control thread; no lcore is within a burst of a port of the same memory.
 */
void avph_process_leave_pool(struct avph_process *process, struct avph_pool *pool);

#endif /* AVPH_PROCESS_H */
