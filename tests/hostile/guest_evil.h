/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A hostile guest: what the attacks in guest_attack*.c are made of. It is a process of its own
 * (guest_evil.c) that a test starts and kills, with a page shared with the test.
 *
 * It keeps itself going: with honest packets in between, so that the host has something to work on,
 * and by putting its own FIFO ends right again after it has damaged them.
 */

#ifndef TESTS_GUEST_EVIL_H
#define TESTS_GUEST_EVIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim_guest.h"

#define EVIL_MAX_LANES 2u
#define EVIL_MAX_BUFS 8192u

/** Shared with the test; descriptor inherited. */
struct evil_share {
	_Atomic uint64_t nb_steps; /* of the attack, done so far */
	_Atomic uint64_t nb_put;   /* entries put on tx FIFOs */
	_Atomic uint32_t stop;     /* test: put nothing more, and wait until all has been taken */
	_Atomic uint32_t stopped;
};

struct evil {
	struct sim_guest guest;
	struct avp_device_info info;
	struct avp_memmap memmap;
	struct evil_share *share;
	const char *socket;
	uint64_t rnd;
	uint32_t features; /* that it configures with */
	uint32_t nb_lanes;
	uint32_t stride;  /* bytes from buffer to buffer */
	uint32_t nb_bufs; /* that fit between the first buffer and the end of BAR 2 */
	uint64_t labels[EVIL_MAX_LANES][EVIL_MAX_BUFS]; /* that the guest may send */
	uint32_t nb_labels[EVIL_MAX_LANES];
	uint64_t seen[EVIL_MAX_BUFS]; /* every label that ever came on an alloc FIFO */
	_Atomic uint32_t nb_seen;     /* the racer looks at them as well */
	bool is_seen[EVIL_MAX_BUFS];
	bool keeps_rx; /* packets received are not returned */
	bool ignores_rx;
	uint64_t held[EVIL_MAX_BUFS]; /* labels of packets received and not returned */
	uint32_t nb_held;
};

/** One attack: @step is called again and again until the process is killed. */
struct evil_attack {
	const char *name;
	void (*step)(struct evil *evil);
	void *(*racer)(void *evil); /* a second thread, or NULL */
	uint32_t features;
};

extern const struct evil_attack evil_attacks[];
extern const struct evil_attack evil_ctrl_attacks[];
extern const struct evil_attack evil_ring_attacks[];
/** NULL: no attack of this name. */
const struct evil_attack *evil_find(const char *name);

/** Pseudo-random numbers (xorshift64): never 0 if @state is not. The racer has a state of its own.
 */
static inline uint64_t
evil_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

uint32_t evil_below(struct evil *evil, uint32_t limit);

/** Connect and configure; waits for the port to be free. Returns 0 or -errno. */
int evil_connect(struct evil *evil);
/** Forget what it has, as after a reset. What it has seen stays: a racer may be at it. */
void evil_forget(struct evil *evil);

/** Configure anew: what has been lost to a damaged FIFO comes back, what the guest had is gone. */
void evil_renew(struct evil *evil);

/** Take all empty buffers that have come, and serve the rx FIFOs as keeps_rx and ignores_rx say. */
void evil_collect(struct evil *evil);
/** Wait until labels[@lane] has @nb; configures anew when none come any more, and all that the
 * guest had is lost then. */
void evil_wait_labels(struct evil *evil, uint32_t lane, uint32_t nb);
/** An empty buffer of a lane; waits for one. */
uint64_t evil_take(struct evil *evil, uint32_t lane);
/** The label of a buffer that is not this guest's; any one of them. */
uint64_t evil_foreign(struct evil *evil);
struct avp_desc *evil_desc(const struct evil *evil, uint64_t va);
/** Make it an honest packet of one segment. */
void evil_fill(struct evil *evil, uint64_t va, uint32_t len);
/** Make an honest chain of @nb_segs times 100 bytes; @vas out. */
void evil_chain(struct evil *evil, uint32_t lane, uint64_t *vas, uint32_t nb_segs);

/** Put a number on a FIFO; waits for room, opens the end anew when it is damaged. */
void evil_put_tx(struct evil *evil, uint32_t lane, uint64_t va);
void evil_put_free(struct evil *evil, uint32_t lane, uint64_t va);
/** Put entries on a compact tx ring, as one burst; waits for room. */
void evil_put_entries(
		struct evil *evil, uint32_t lane, const struct avp_cring_words *words, uint32_t nb);
/** Send some honest packets. */
void evil_send(struct evil *evil, uint32_t lane, uint32_t nb);

/** A thousand changes of fields of descriptors, any that the guest has ever seen. */
void evil_race(struct evil *evil, uint64_t *rnd);

/** Give the host time. A step that was too fast for it is simply done again. */
void evil_pause(uint32_t us);

/** Write as a racing thread does: one field, at any time. */
static inline void
evil_poke32(uint32_t *at, uint32_t value)
{
	atomic_store_explicit((_Atomic uint32_t *)at, value, memory_order_relaxed);
}

static inline void
evil_poke64(void *at, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)at, value, memory_order_relaxed);
}

#endif /* TESTS_GUEST_EVIL_H */
