/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Figures of a point: histograms of round trips, and the line of JSON.
 */

#include <inttypes.h>
#include <stdio.h>

#include <rte_cycles.h>

#include "ports.h"

uint32_t
hist_index(uint64_t value)
{
	uint32_t shift;

	if (value < HIST_STEPS)
		return (uint32_t)value;
	shift = 63 - (uint32_t)__builtin_clzll(value) - 6;
	return RTE_MIN((shift + 1) * HIST_STEPS + (uint32_t)(value >> shift) - HIST_STEPS,
			HIST_SIZE - 1);
}

/* The middle of the values that a place counts. */
static uint64_t
hist_value(uint32_t index)
{
	const uint32_t shift = index / HIST_STEPS;

	if (shift == 0)
		return index;
	return ((uint64_t)(index % HIST_STEPS + HIST_STEPS) << (shift - 1)) +
			(UINT64_C(1) << (shift - 1)) / 2;
}

static uint64_t
hist_total(const uint32_t *hist)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < HIST_SIZE; i++)
		total += hist[i];
	return total;
}

/* The least value that @share of those counted are not above. */
static uint64_t
hist_quantile(const uint32_t *hist, double share)
{
	const uint64_t total = hist_total(hist);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < HIST_SIZE; i++) {
		sum += hist[i];
		if (sum > 0 && (double)sum >= share * (double)total)
			return hist_value(i);
	}
	return 0;
}

uint64_t
total_made(const struct control *control)
{
	return atomic_load(&control->state[SIDE_HOST].made) +
			atomic_load(&control->state[SIDE_GUEST].made);
}

uint64_t
total_drained(const struct control *control)
{
	return atomic_load(&control->state[SIDE_HOST].drained) +
			atomic_load(&control->state[SIDE_GUEST].drained);
}

static double
per_packet(const struct side_result *result, uint64_t tsc)
{
	return result->packets > 0 ? (double)tsc / (double)result->packets : 0;
}

static void
print_side(const char *name, const struct side_result *result)
{
	const uint64_t busy_tsc = result->rx_tsc + result->work_tsc + result->tx_tsc;
	const double seconds = (double)result->measure_tsc / (double)rte_get_tsc_hz();

	printf(", \"%s\": {\"pps\": %.0f, \"cycles\": %.2f, \"rx\": %.2f, \"work\": %.2f, "
	       "\"tx\": %.2f, \"per_burst\": %.2f, \"busy\": %.3f, \"cpu\": %.3f}",
			name, seconds > 0 ? (double)result->packets / seconds : 0,
			per_packet(result, busy_tsc), per_packet(result, result->rx_tsc),
			per_packet(result, result->work_tsc), per_packet(result, result->tx_tsc),
			result->bursts > 0 ? (double)result->packets / (double)result->bursts : 0,
			seconds > 0 ? (double)busy_tsc / (double)result->measure_tsc : 0,
			seconds > 0 ? (double)result->cpu_ns / 1e9 / seconds : 0);
}

/* Nothing where no packet was timed. */
static void
print_times(const char *name, const uint32_t *hist)
{
	const double ns = 1e9 / (double)rte_get_tsc_hz();
	const uint64_t total = hist_total(hist);

	if (total == 0)
		return;
	printf(", \"%s\": {\"n\": %" PRIu64
	       ", \"p50_ns\": %.0f, \"p99_ns\": %.0f, \"p999_ns\": %.0f}",
			name, total, (double)hist_quantile(hist, 0.5) * ns,
			(double)hist_quantile(hist, 0.99) * ns,
			(double)hist_quantile(hist, 0.999) * ns);
}

void
result_print(const struct options *options, const struct control *control, uint64_t ends_kib)
{
	const struct side_result *host = &control->result[SIDE_HOST];
	const struct side_result *guest = &control->result[SIDE_GUEST];
	const double ns = 1e9 / (double)rte_get_tsc_hz();
	const uint64_t made = total_made(control);
	const uint64_t drained = total_drained(control);

	printf("{\"test\": \"%s\", \"work\": \"%s\", \"size\": %u, \"cpus\": [%u, %u]",
			test_name(options->point.test), work_name(options->point.work),
			options->point.sizes[0], options->cpus[SIDE_HOST],
			options->cpus[SIDE_GUEST]);
	print_side("host", host);
	print_side("guest", guest);
	printf(", \"made\": %" PRIu64 ", \"lost\": %" PRId64, made, (int64_t)(made - drained));
	if (ends_kib > 0)
		printf(", \"mem_kib\": %" PRIu64, ends_kib);
	printf(", \"probe_ns\": [%.0f, %.0f], \"tsc_hz\": %" PRIu64,
			(double)host->probe_tsc[0] * ns, (double)host->probe_tsc[1] * ns,
			rte_get_tsc_hz());
	print_times("round_trip", host->hist);
	print_times("one_way", guest->hist);
	if (host->highest_pps > 0)
		printf(", \"highest_pps\": %.0f", host->highest_pps);
	printf("}\n");
}
