/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A host that has gone mad: random values, more often than not odd ones, into the shared memory of
 * a simulated device (avpg_fake.h), while the test goes on.
 */

#ifndef AVPG_SCRIBBLER_H
#define AVPG_SCRIBBLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "avpg_fake.h"

/** What is written over. */
enum avpg_scribble {
	AVPG_SCRIBBLE_DESCS = 1 << 0, /* descriptors of all buffers */
	AVPG_SCRIBBLE_FIFOS = 1 << 1, /* data FIFOs: indices, lengths, entries */
	AVPG_SCRIBBLE_CTRL = 1 << 2,  /* control slot, request and response FIFO */
	AVPG_SCRIBBLE_INFO = 1 << 3,  /* BARs 4 and 5 */
	AVPG_SCRIBBLE_DATA = 1 << 4,  /* any word of BAR 2 behind the control slot's page */
};

struct avpg_scribbler {
	struct avpg_fake *fake;
	uint64_t random; /* the thread's */
	unsigned int what;
	pthread_t thread;
	atomic_bool quit;
	atomic_ullong nb_writes;
};

/** A number that is at the edge of something: of an integer type, of BAR 2, of a label. */
uint64_t avpg_odd_value(const struct avpg_fake *fake, uint64_t *random);

/** One write, here and now. @what: AVPG_SCRIBBLE_*, one or more. */
void avpg_scribble(struct avpg_fake *fake, unsigned int what, uint64_t *random);

/** The same without a pause, in a thread. 0 or -1. */
int avpg_scribbler_start(struct avpg_scribbler *scribbler, struct avpg_fake *fake,
		unsigned int what, uint64_t seed);
/** Returns the number of writes. */
unsigned long long avpg_scribbler_stop(struct avpg_scribbler *scribbler);

#endif /* AVPG_SCRIBBLER_H */
