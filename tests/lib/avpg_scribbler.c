/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The scribbler of avpg_scribbler.h. Fields get values of their own kind, so that more than the
 * first check of a driver is reached.
 */

#include <stddef.h>

#include "avpg_scribbler.h"
#include "test_random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CTRL_SIZE 4096u /* of BAR 2, as avpg_fake lays it out */

uint64_t
avpg_odd_value(const struct avpg_fake *fake, uint64_t *random)
{
	static const uint64_t bases[] = {0, 1, 8, 9, 14, 255, 4096, 9238, UINT16_MAX, INT32_MAX,
			UINT32_MAX, INT64_MAX, UINT64_MAX, AVPG_FAKE_MEM_PA, 2 * AVPG_FAKE_MEM_PA,
			AVPG_FAKE_MEM_VA};
	uint64_t value = test_random(random);
	uint64_t base = bases[value / 4 % COUNT(bases)];

	switch (value % 4) {
	case 0:
		return test_random(random);
	case 1:
		return base + value / 64 % 5 - 2;
	case 2:
		return base + fake->mem_size - value / 64 % 128;
	default:
		return base + value / 64 % fake->mem_size;
	}
}

/* The label of a buffer, or not quite. */
static uint64_t
some_label(const struct avpg_fake *fake, uint64_t *random)
{
	uint64_t value = test_random(random);

	if (value % 8 == 0)
		return avpg_odd_value(fake, random);
	if (value % 8 == 1)
		return AVPG_FAKE_MEM_VA + value / 8 % fake->mem_size / 64 * 64;
	return avpg_fake_buf_va(fake, (uint32_t)(value / 8 % fake->nb_bufs));
}

static uint16_t
some_len(uint64_t *random)
{
	static const uint16_t lens[] = {0, 1, 13, 14, 60, 100, 2047, 2048, 2049, 5000, 9237, 9238,
			9239, UINT16_MAX};
	uint64_t value = test_random(random);

	return value % 4 == 0 ? (uint16_t)(value >> 8) : lens[value / 4 % COUNT(lens)];
}

#define STORE(ptr, value) \
	atomic_store_explicit((_Atomic __typeof__(*(ptr)) *)(ptr), (value), memory_order_relaxed)

static void
scribble_desc(struct avpg_fake *fake, uint64_t *random)
{
	uint64_t value = test_random(random);
	struct avp_desc *desc = avpg_fake_desc(fake, (uint32_t)(value / 16 % fake->nb_bufs));

	switch (value % 8) {
	case 0:
	case 1:
		STORE(&desc->pkt_len, some_len(random));
		break;
	case 2:
	case 3:
		STORE(&desc->data_len, some_len(random));
		break;
	case 4:
		STORE(&desc->nb_segs, (uint8_t)(value >> 32) % 8);
		break;
	case 5:
		STORE(&desc->next_va, some_label(fake, random));
		break;
	case 6:
		STORE(&desc->data_va, some_label(fake, random) + AVPG_FAKE_BUF_DATA_OFF);
		break;
	default:
		STORE((uint64_t *)desc + (value >> 32) % 8, avpg_odd_value(fake, random));
		break;
	}
}

static void
scribble_fifo(struct avpg_fake *fake, struct avp_fifo *fifo, uint32_t len, uint64_t *random)
{
	uint64_t value = test_random(random);
	uint32_t *header[] = {&fifo->write, &fifo->read, &fifo->len, &fifo->elem_size};

	switch (value % 8) {
	case 0: /* an index that can be */
	case 1:
		STORE(header[value / 8 % 2], (uint32_t)(value >> 32) % len);
		break;
	case 2:
		STORE(header[value / 8 % 4], (uint32_t)avpg_odd_value(fake, random));
		break;
	case 3: /* a length that can be */
		STORE(&fifo->len, 1u << value / 8 % 32);
		break;
	default:
		STORE(&fifo->entries[value / 8 % len], some_label(fake, random));
		break;
	}
}

static void
scribble_ctrl(struct avpg_fake *fake, uint64_t *random)
{
	uint64_t value = test_random(random);

	switch (value % 4) {
	case 0:
		STORE((uint32_t *)fake->slot + value / 4 % (sizeof(*fake->slot) / 4),
				(uint32_t)avpg_odd_value(fake, random));
		break;
	case 1:
		scribble_fifo(fake, fake->req.fifo, AVPG_FAKE_CTRL_LEN, random);
		break;
	default:
		scribble_fifo(fake, fake->resp.fifo, AVPG_FAKE_CTRL_LEN, random);
		break;
	}
}

/* One field of BAR 4 or 5, but not the magic numbers. */
static void
scribble_info(struct avpg_fake *fake, uint64_t *random)
{
	uint64_t value = avpg_odd_value(fake, random);
	uint64_t where = test_random(random);
	uint32_t *words = (uint32_t *)fake->info;

	switch (where % 8) {
	case 0:
		STORE(&fake->memmap->nb_maps, (uint32_t)value);
		break;
	case 1:
	case 2:
		STORE((uint64_t *)fake->memmap->maps + where / 8 % 12, value);
		break;
	case 3: /* queue counts, one byte each */
		STORE(&fake->info->min_rx_queues + where / 8 % 6, (uint8_t)value);
		break;
	case 4:
		STORE(&words[2 + where / 8 % (sizeof(*fake->info) / 4 - 2)], (uint32_t)value);
		break;
	default: /* the addresses */
		STORE((uint64_t *)fake->info + 5 + where / 8 % 13, value);
		break;
	}
}

static void
scribble_data(struct avpg_fake *fake, uint64_t *random)
{
	uint64_t words = (fake->mem_size - CTRL_SIZE) / sizeof(uint64_t);
	uint64_t *at = (uint64_t *)(fake->mem + CTRL_SIZE) + test_random(random) % words;

	STORE(at, avpg_odd_value(fake, random));
}

void
avpg_scribble(struct avpg_fake *fake, unsigned int what, uint64_t *random)
{
	struct avp_fifo_end *ends[] = {fake->tx, fake->rx, fake->alloc, fake->free};
	unsigned int kind;
	uint64_t value;

	do {
		value = test_random(random);
		kind = what & 1u << value % 5;
	} while (kind == 0);
	value /= 5;
	if (kind == AVPG_SCRIBBLE_DESCS)
		scribble_desc(fake, random);
	else if (kind == AVPG_SCRIBBLE_FIFOS)
		scribble_fifo(fake, ends[value % 4][value / 4 % fake->conf.nb_queues].fifo,
				fake->conf.ring_len, random);
	else if (kind == AVPG_SCRIBBLE_CTRL)
		scribble_ctrl(fake, random);
	else if (kind == AVPG_SCRIBBLE_INFO)
		scribble_info(fake, random);
	else
		scribble_data(fake, random);
}

static void *
thread_main(void *arg)
{
	struct avpg_scribbler *scribbler = arg;

	while (!atomic_load_explicit(&scribbler->quit, memory_order_relaxed)) {
		avpg_scribble(scribbler->fake, scribbler->what, &scribbler->random);
		atomic_fetch_add_explicit(&scribbler->nb_writes, 1, memory_order_relaxed);
	}
	return NULL;
}

int
avpg_scribbler_start(struct avpg_scribbler *scribbler, struct avpg_fake *fake, unsigned int what,
		uint64_t seed)
{
	scribbler->fake = fake;
	scribbler->what = what;
	scribbler->random = seed;
	atomic_init(&scribbler->quit, false);
	atomic_init(&scribbler->nb_writes, 0);
	return pthread_create(&scribbler->thread, NULL, thread_main, scribbler) == 0 ? 0 : -1;
}

unsigned long long
avpg_scribbler_stop(struct avpg_scribbler *scribbler)
{
	atomic_store(&scribbler->quit, true);
	pthread_join(scribbler->thread, NULL);
	return atomic_load(&scribbler->nb_writes);
}
