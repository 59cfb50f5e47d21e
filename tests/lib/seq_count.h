/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Counts numbered packets as they arrive: what comes twice or out of order, and how long nothing
 * came. One thread.
 */

#ifndef TESTS_SEQ_COUNT_H
#define TESTS_SEQ_COUNT_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct seq_count {
	uint64_t received; /* each number once */
	uint64_t duplicated;
	uint64_t reordered; /* came after a higher number */
	uint64_t next;      /* highest number seen, plus 1 */
	int64_t last_ns;    /* of a clock that begins above 0 */
	int64_t max_gap_ns;
	uint32_t max_seq; /* numbers that can be told apart */
	uint8_t *seen;    /* bit per number */
};

/** Begin at number 0. @max_seq: a multiple of 8. Returns 0 or -ENOMEM. */
static inline int
seq_count_init(struct seq_count *count, uint32_t max_seq)
{
	*count = (struct seq_count){.max_seq = max_seq, .seen = calloc(1, max_seq / 8)};
	return count->seen != NULL ? 0 : -ENOMEM;
}

static inline void
seq_count_free(struct seq_count *count)
{
	free(count->seen);
	count->seen = NULL;
}

static inline void
seq_count_reset(struct seq_count *count)
{
	memset(count->seen, 0, count->max_seq / 8);
	*count = (struct seq_count){.max_seq = count->max_seq, .seen = count->seen};
}

/** Packet @number has come at @now_ns. */
static inline void
seq_count_note(struct seq_count *count, uint32_t number, int64_t now_ns)
{
	const uint32_t seq = number % count->max_seq;

	if (count->last_ns != 0 && now_ns - count->last_ns > count->max_gap_ns)
		count->max_gap_ns = now_ns - count->last_ns;
	count->last_ns = now_ns;
	if ((count->seen[seq / 8] & 1 << seq % 8) != 0) {
		count->duplicated++;
		return;
	}
	count->seen[seq / 8] |= (uint8_t)(1 << seq % 8);
	count->received++;
	if (seq < count->next)
		count->reordered++;
	else
		count->next = (uint64_t)seq + 1;
}

#endif /* TESTS_SEQ_COUNT_H */
