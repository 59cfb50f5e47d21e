/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * How far apart are the two CPUs now? The median of many round trips: one writes odd numbers to a
 * cache line, the other answers with the next even one. In a virtual machine the CPUs move between
 * caches of the real ones, which changes results more than anything that a driver does.
 */

#include <stdlib.h>

#include <rte_cycles.h>

#include "ports.h"

#define NB_ROUNDS 2000u
/* How long one side waits for the other. */
#define LIMIT_S 1

/* Wait for a value. */
static bool
wait_for(_Atomic uint32_t *word, uint32_t value, uint64_t end_tsc)
{
	/* acquire: pairs with the releases below, and orders nothing else */
	while (atomic_load_explicit(word, memory_order_acquire) != value) {
		if (rte_rdtsc() > end_tsc)
			return false;
	}
	return true;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t
probe(struct control *control, enum side_id side)
{
	const uint64_t end_tsc = rte_rdtsc() + LIMIT_S * rte_get_tsc_hz();
	const uint32_t number = atomic_load(&control->state[side].probes) + 1;
	const uint32_t base = 2 * NB_ROUNDS * number;
	static uint64_t trips[NB_ROUNDS];

	atomic_store(&control->state[side].probes, number);
	if (!wait_for(&control->state[1 - side].probes, number, end_tsc))
		return 0;
	for (uint32_t i = 0; i < 2 * NB_ROUNDS; i += 2) {
		const uint64_t start = rte_rdtsc();

		if (side == SIDE_HOST) {
			atomic_store_explicit(&control->line, base + i + 1, memory_order_release);
			if (!wait_for(&control->line, base + i + 2, end_tsc))
				return 0;
			trips[i / 2] = rte_rdtsc() - start;
		} else {
			if (!wait_for(&control->line, base + i + 1, end_tsc))
				return 0;
			atomic_store_explicit(&control->line, base + i + 2, memory_order_release);
		}
	}
	if (side == SIDE_GUEST)
		return 0;
	qsort(trips, NB_ROUNDS, sizeof(trips[0]), compare);
	return trips[NB_ROUNDS / 2];
}
