/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The two ends of the port as the operations thread sees them: made, configured, looked at and
 * removed. What fails although it may not ends the process.
 */

#ifndef RANDOM_ENDS_H
#define RANDOM_ENDS_H

#include "random.h"

/* More than all FIFOs of a port have entries. */
#define RANDOM_NB_MBUFS 16383u

/** Make the application's mempool, once. */
void random_end_init(struct random_end *end, enum random_side side);
void random_end_fini(struct random_end *end);

/** A host port with random arguments on @socket, and queues for a guest that has @min_queues. */
void random_host_add(struct random_end *host, struct random *rnd, const char *socket,
		uint32_t min_queues);
/** A guest; returns what DPDK did. */
int random_guest_add(struct random_end *guest, struct random *rnd, const char *socket);

/** Another number of queues of each kind, random ones. The port is stopped. Returns what
 * rte_eth_dev_configure() did; when that is an error the port has no queues. */
int random_end_configure(struct random_end *end, struct random *rnd);
/** Close, if that is not left to it, and remove the device. The end is parked. */
void random_end_remove(struct random_end *end, struct random *rnd);

/** Counters of what must not happen are 0; and all that can be asked can be asked. */
void random_end_look(const struct random_end *end);
/** Print what is not 0, for a failure. */
void random_end_trace(const struct random_end *end);
bool random_end_link(const struct random_end *end);

/** Wait until the device has no client. */
void random_host_wait_alone(const struct random_end *host);

/** Wait until every mbuf is back in @pool. */
void random_pool_wait(struct rte_mempool *pool, const char *what);

/** What a process may not have more and more of. */
struct random_usage {
	unsigned int nb_fds;
	unsigned int nb_threads;
	unsigned int nb_maps;     /* of files, deleted ones included */
	unsigned int heap_blocks; /* of the EAL's memory */
	uint64_t heap_size;
};

void random_usage_get(struct random_usage *usage);

#endif /* RANDOM_ENDS_H */
