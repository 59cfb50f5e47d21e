/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counters of a port: names and sums.
 */

#include <string.h>

#include "stats.h"

#define DROP_NAME(id, name) [STATS_DROP_##id] = (name),
static const char *const drop_names[] = {STATS_DROPS(DROP_NAME)};

const char *
stats_drop_name(enum stats_drop drop)
{
	return drop < STATS_NB_DROPS ? drop_names[drop] : "none";
}

static uint64_t
get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void
stats_add_up(const struct stats_worker *workers, unsigned int nb, struct stats_sum *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < nb; i++) {
		sum->rx_packets += get(&workers[i].rx_packets);
		sum->rx_bytes += get(&workers[i].rx_bytes);
		sum->tx_packets += get(&workers[i].tx_packets);
		sum->tx_bytes += get(&workers[i].tx_bytes);
		sum->learn_refused += get(&workers[i].learn_refused);
		for (unsigned int d = 0; d < STATS_NB_DROPS; d++)
			sum->drops[d] += get(&workers[i].drops[d]);
	}
}
