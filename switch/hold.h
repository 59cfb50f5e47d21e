/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packets kept for a port whose guest is away, for a moment, because its VM moves. Here are the
 * memory, the queues and the worker's side; port_hold.c decides when.
 *
 * How it works: a port that holds has a struct hold in the view and no link in its state, so that
 * the packet path, which tests for link, finds out at no cost to other ports. Each worker has
 * queues of its own in it, so nothing is locked, and a flow, which is one worker's, keeps its
 * order: while a worker's queue is not empty, what comes goes behind. A worker sends its queues on
 * in bursts, one round after the other, as soon as the FDB and the hold's mode say where to.
 *
 * A packet is copied into the queue, without its tag, and into a new mbuf when it leaves: neither a
 * guest's buffers nor the uplinks' mbufs are taken up for seconds. Queues are lists of chunks of
 * one memory, whose size is the switch's bound; without a free chunk a queue gives up its oldest
 * one.
 *
 * There are two queues per worker. At the end of a move, hosts on this side send to the guest
 * directly, while older packets of theirs may still be on the way back from the node that the guest
 * has left. What comes from there goes by the first queue, all else by the second, which waits
 * until a marker has come back that was sent there after the last of those packets
 * (hold_conf.marker).
 */

#ifndef HOLD_H
#define HOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>

#include "avp_err.h"
#include "dp.h"
#include "fdb.h"
#include "stats.h"

/** Bytes of a chunk: for the longest packet, with room to spare. */
#define HOLD_CHUNK_SIZE 16384u
#define HOLD_BYTES_MIN (UINT64_C(1) << 20)
#define HOLD_BYTES_MAX (UINT64_C(1) << 36)
#define HOLD_MS_MIN 10u
#define HOLD_MS_MAX 600000u

/** Of the marker: local experimental, IEEE 802. */
#define HOLD_MARKER_TYPE 0x88b5u
#define HOLD_MARKER_SIZE 24u

struct forward;
struct forward_pkt;
struct hold_memory;
struct rte_mbuf;

enum hold_mode {
	HOLD_KEEP, /* keep all */
	HOLD_OPEN, /* the guest is back: to the port, as fast as it takes them */
	HOLD_PASS, /* as before, but what finds nothing in front of it passes by: about to end */
	HOLD_GONE, /* the VM is elsewhere: after its MACs, wherever they are learned */
};

/** Changed by the control thread only, but for @rest_open. */
struct hold_conf {
	_Atomic int mode;            /* enum hold_mode */
	_Atomic uint16_t first_port; /* what it sends goes by the first queue; FDB_ANY = none */
	_Atomic bool rest_open;      /* the second queue may go; also set by the marker */
	_Atomic uint64_t since_tsc;  /* what is older is forgotten, and is no loss */
	_Atomic uint64_t limit_tsc;  /* what has been here for longer is dropped */
	_Atomic uint64_t first_tsc;  /* when the last packet of the first port came; by workers */
	uint8_t marker[HOLD_MARKER_SIZE]; /* what follows the type of the marker; not to be guessed
					   */
};

/** The sum over all workers. */
struct hold_sum {
	uint64_t packets;
	uint64_t bytes; /* of packets */
	uint64_t dropped;
	uint64_t oldest_ms; /* 0 without packets */
};

/** Memory for all holds of a switch; what was never used takes up none. Returns 0 or -errno. */
int hold_memory_create(struct hold_memory **memory, uint64_t size, struct avp_err *err);
/** All holds have been destroyed. NULL is allowed. */
void hold_memory_destroy(struct hold_memory *memory);
/** Give memory back to the system if nothing is held. Control thread. */
void hold_memory_trim(struct hold_memory *memory);

/** @nb_workers  that may put. Returns NULL without memory. */
struct hold *hold_create(struct hold_memory *memory, unsigned int nb_workers, uint64_t limit_ms);
/** No worker may be using it; what it has is lost. Returns the number of packets. NULL is allowed.
 */
uint64_t hold_destroy(struct hold *hold);

/** What decides over the packets. */
struct hold_conf *hold_conf(struct hold *hold);

/** Add up; any thread. */
void hold_sum(const struct hold *hold, struct hold_sum *sum);

/** Is nothing kept, by any worker? */
bool hold_is_empty(const struct hold *hold);

/* The rest is for workers. */

/** Keep @pkt, which came from @in for @out, which has a hold, or send it on when it may go.
 * Consumes pkt->mbuf. */
void hold_put(struct forward *fwd, struct forward_pkt *pkt, const struct dp_port *in,
		const struct dp_port *out);

/**
 * Is a packet one that was on the way back from the node which the guest has left? Its sender may
 * be a host on this side: nothing must be learned from it.
 *
 * @entries  what the FDB has for source and destination
 */
bool hold_came_back(const struct forward *fwd, const struct dp_port *in,
		struct fdb_entry *const entries[2]);

/** Does a hold want a copy of a flood? */
bool hold_wants_flood(const struct dp_port *out, const struct forward_pkt *pkt);

/** Send on what may go, and drop what is too old. Before a round. Returns how many packets moved,
 * or 1 when some wait for room at a port. */
unsigned int hold_drain(struct forward *fwd);

#endif /* HOLD_H */
