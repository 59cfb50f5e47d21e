/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Memory in chunks and queues in them: hold_queue.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <rte_common.h>
#include <rte_spinlock.h>

#include "hold_queue.h"

struct chunk {
	uint32_t next; /* in a queue, or of the free ones */
	uint32_t end;  /* where the records end, once it is not the last any more */
	uint8_t data[HOLD_CHUNK_SIZE - 2 * sizeof(uint32_t)];
};

#define DATA_SIZE ((uint32_t)sizeof(((struct chunk *)NULL)->data))

struct hold_memory {
	struct chunk *chunks;
	uint32_t nb_chunks;
	rte_spinlock_t lock; /* of the rest */
	uint32_t free_first;
	uint32_t nb_used;  /* chunks that are in a queue */
	uint32_t nb_fresh; /* the first so many have been used, ever: the rest is on no list */
};

int
hold_memory_create(struct hold_memory **memory_out, uint64_t size, struct avp_err *err)
{
	struct hold_memory *memory = calloc(1, sizeof(*memory));

	if (memory == NULL)
		return avp_err_set(err, ENOMEM, "not enough memory");
	memory->nb_chunks = size / sizeof(struct chunk);
	memory->free_first = HOLD_NO_CHUNK;
	rte_spinlock_init(&memory->lock);
	memory->chunks = mmap(NULL, memory->nb_chunks * sizeof(struct chunk),
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->chunks == MAP_FAILED) {
		int code = errno;

		free(memory);
		return avp_err_set(err, code, "hold_bytes=%lu: %s", (unsigned long)size,
				strerror(code));
	}
	*memory_out = memory;
	return 0;
}

void
hold_memory_destroy(struct hold_memory *memory)
{
	if (memory == NULL)
		return;
	munmap(memory->chunks, memory->nb_chunks * sizeof(struct chunk));
	free(memory);
}

/* The control thread may run ahead of a worker that holds the lock: it must let it go on. */
static void
control_lock(struct hold_memory *memory)
{
	const struct timespec ts = {.tv_nsec = 10000};

	while (!rte_spinlock_trylock(&memory->lock))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

void
hold_memory_trim(struct hold_memory *memory)
{
	control_lock(memory);
	if (memory->nb_used == 0 && memory->nb_fresh > 0) {
		madvise(memory->chunks, memory->nb_fresh * sizeof(struct chunk), MADV_DONTNEED);
		memory->nb_fresh = 0;
		memory->free_first = HOLD_NO_CHUNK;
	}
	rte_spinlock_unlock(&memory->lock);
}

static uint32_t
chunk_alloc(struct hold_memory *memory)
{
	uint32_t index;

	rte_spinlock_lock(&memory->lock);
	index = memory->free_first;
	if (index != HOLD_NO_CHUNK)
		memory->free_first = memory->chunks[index].next;
	else if (memory->nb_fresh < memory->nb_chunks)
		index = memory->nb_fresh++;
	if (index != HOLD_NO_CHUNK)
		memory->nb_used++;
	rte_spinlock_unlock(&memory->lock);
	return index;
}

static void
chunk_free(struct hold_memory *memory, uint32_t index)
{
	memory->chunks[index].next = memory->free_first;
	memory->free_first = index;
	memory->nb_used--;
}

void
hold_queue_init(struct hold_queue *queue, struct hold_memory *memory)
{
	*queue = (struct hold_queue){
			.memory = memory,
			.first = HOLD_NO_CHUNK,
			.last = HOLD_NO_CHUNK,
	};
}

void
hold_queue_clear(struct hold_queue *queue)
{
	control_lock(queue->memory);
	while (queue->first != HOLD_NO_CHUNK) {
		uint32_t index = queue->first;

		queue->first = index != queue->last ? queue->memory->chunks[index].next
						    : HOLD_NO_CHUNK;
		chunk_free(queue->memory, index);
	}
	rte_spinlock_unlock(&queue->memory->lock);
	hold_queue_init(queue, queue->memory);
}

static uint32_t
record_size(uint32_t pkt_len)
{
	return RTE_ALIGN_CEIL(sizeof(struct hold_record) + pkt_len, 8u);
}

static uint32_t
chunk_end(const struct hold_queue *queue, uint32_t index)
{
	return index == queue->last ? queue->write : queue->memory->chunks[index].end;
}

/* Take the first chunk, all of whose packets have been read, out of the queue. */
static uint32_t
unlink_first(struct hold_queue *queue)
{
	uint32_t index = queue->first;

	queue->read = 0;
	if (index == queue->last)
		queue->first = queue->last = HOLD_NO_CHUNK;
	else
		queue->first = queue->memory->chunks[index].next;
	return index;
}

/* A chunk for the end of the queue: if there is no other, the one at its beginning. */
static uint32_t
find_chunk(struct hold_queue *queue, uint64_t *nb_lost)
{
	uint32_t index = chunk_alloc(queue->memory);
	uint32_t oldest = queue->first;

	if (index != HOLD_NO_CHUNK || oldest == HOLD_NO_CHUNK)
		return index;
	for (; queue->first == oldest; (*nb_lost)++)
		hold_queue_take(queue);
	return chunk_alloc(queue->memory);
}

struct hold_record *
hold_queue_add(struct hold_queue *queue, uint32_t pkt_len, uint64_t *nb_lost)
{
	uint32_t size = record_size(pkt_len);
	struct hold_record *record;

	if (size > DATA_SIZE)
		return NULL;
	if (queue->last == HOLD_NO_CHUNK || queue->write + size > DATA_SIZE) {
		uint32_t index = find_chunk(queue, nb_lost);

		if (index == HOLD_NO_CHUNK)
			return NULL;
		if (queue->last == HOLD_NO_CHUNK) {
			queue->first = index;
			queue->read = 0;
		} else {
			queue->memory->chunks[queue->last].end = queue->write;
			queue->memory->chunks[queue->last].next = index;
		}
		queue->last = index;
		queue->write = 0;
	}
	record = (struct hold_record *)(queue->memory->chunks[queue->last].data + queue->write);
	record->pkt_len = pkt_len;
	queue->write += size;
	queue->nb_pkts++;
	queue->nb_bytes += pkt_len;
	return record;
}

struct hold_cursor
hold_queue_begin(const struct hold_queue *queue)
{
	return (struct hold_cursor){.chunk = queue->first, .at = queue->read};
}

struct hold_record *
hold_queue_next(const struct hold_queue *queue, struct hold_cursor *cursor)
{
	struct hold_record *record;

	if (cursor->chunk == HOLD_NO_CHUNK)
		return NULL;
	if (cursor->at == chunk_end(queue, cursor->chunk)) {
		if (cursor->chunk == queue->last)
			return NULL;
		cursor->chunk = queue->memory->chunks[cursor->chunk].next;
		cursor->at = 0;
	}
	record = (struct hold_record *)(queue->memory->chunks[cursor->chunk].data + cursor->at);
	cursor->at += record_size(record->pkt_len);
	return record;
}

void
hold_queue_take(struct hold_queue *queue)
{
	struct hold_cursor cursor = hold_queue_begin(queue);
	const struct hold_record *record = hold_queue_next(queue, &cursor);

	queue->nb_pkts--;
	queue->nb_bytes -= record->pkt_len;
	queue->read = cursor.at;
	/* A chunk that is read goes back at once, also the last one. */
	if (queue->read == chunk_end(queue, queue->first)) {
		uint32_t index = unlink_first(queue);

		rte_spinlock_lock(&queue->memory->lock);
		chunk_free(queue->memory, index);
		rte_spinlock_unlock(&queue->memory->lock);
	}
}
