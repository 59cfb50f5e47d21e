/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Queues of packets as bytes, in chunks of a memory that they share; for hold.c. A queue belongs to
 * one worker; only the memory's list of free chunks has a lock, taken once per chunk.
 */

#ifndef HOLD_QUEUE_H
#define HOLD_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "hold.h"

#define HOLD_NO_CHUNK UINT32_MAX

/** In front of a packet's bytes, which have no tag. */
struct hold_record {
	uint64_t time_tsc; /* when it came */
	uint32_t pkt_len;
	uint32_t rss;
	uint16_t tci;
	bool has_rss;
};

struct hold_queue {
	struct hold_memory *memory;
	uint32_t first; /* chunk; HOLD_NO_CHUNK = none */
	uint32_t last;
	uint32_t read;  /* offset in the first */
	uint32_t write; /* offset in the last */
	uint64_t nb_pkts;
	uint64_t nb_bytes;
};

/** A place in a queue. */
struct hold_cursor {
	uint32_t chunk;
	uint32_t at;
};

void hold_queue_init(struct hold_queue *queue, struct hold_memory *memory);
/** Give up all chunks. */
void hold_queue_clear(struct hold_queue *queue);

/**
 * Make room for a packet of @pkt_len bytes, which the caller fills in.
 *
 * @nb_lost  added to: packets given up for it, from the oldest on
 * Returns NULL when there is no room.
 */
struct hold_record *hold_queue_add(struct hold_queue *queue, uint32_t pkt_len, uint64_t *nb_lost);

/** Where the oldest packet is. */
struct hold_cursor hold_queue_begin(const struct hold_queue *queue);
/** The packet at @cursor, which moves on behind it; NULL at the end. */
struct hold_record *hold_queue_next(const struct hold_queue *queue, struct hold_cursor *cursor);
/** Take out the oldest packet. */
void hold_queue_take(struct hold_queue *queue);

static inline uint8_t *
hold_record_data(struct hold_record *record)
{
	return (uint8_t *)(record + 1);
}

#endif /* HOLD_QUEUE_H */
