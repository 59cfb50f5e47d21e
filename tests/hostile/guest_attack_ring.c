/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Attacks on compact rings: guest_evil.h. What is wrong with one entry after the other is
 * avph_compact_test's business; here they change while the host reads them.
 */

#include <stddef.h>

#include "guest_evil.h"

#define FEATURES (AVP_FEATURE_COMPACT | AVP_FEATURE_RECYCLE)
#define DATA_OFF 192u
#define MAX_BURST 8u

/* Any number that makes a difference to the host. */
static uint32_t
some_buf_idx(struct evil *evil, uint64_t rnd)
{
	const uint32_t beyond[] = {0, evil->nb_bufs - 1, evil->nb_bufs, evil->nb_bufs + 1,
			UINT32_MAX, (uint32_t)(rnd >> 32)};

	if (rnd % 8 < 6)
		return sim_guest_buf_idx(&evil->guest, evil->seen[(rnd >> 8) % evil->nb_seen]);
	return beyond[(rnd >> 8) % 6];
}

static uint64_t
some_place(struct evil *evil, uint64_t rnd)
{
	static const uint16_t offs[] = {DATA_OFF, DATA_OFF, 64, 63, 0, 2240, 2239, UINT16_MAX};
	static const uint16_t lens[] = {60, 60, 100, 13, 0, 2048, 2049, UINT16_MAX};

	return avp_cring_place(
			some_buf_idx(evil, rnd), offs[(rnd >> 24) % 8], lens[(rnd >> 27) % 8]);
}

/* Flags, among them those that nobody has given a meaning, and a tag. */
static uint64_t
some_state(uint64_t rnd)
{
	static const uint16_t flags[] = {0, 0, 0, AVP_CDESC_MORE, AVP_CDESC_VLAN,
			AVP_CDESC_MORE | AVP_CDESC_VLAN, 0xfff0, 0};

	return avp_cring_state(flags[(rnd >> 30) % 8], (uint16_t)(rnd >> 40));
}

static void
ring_storm(struct evil *evil)
{
	const uint32_t lane = evil_below(evil, evil->nb_lanes);
	const uint32_t nb = 1 + evil_below(evil, MAX_BURST);
	struct avp_cring_words words[MAX_BURST];

	evil_collect(evil);
	for (uint32_t i = 0; i < nb; i++) {
		const uint64_t rnd = evil_random(&evil->rnd);

		if (rnd % 2 == 0 && evil->nb_labels[lane] > 0) {
			const uint64_t va = evil->labels[lane][--evil->nb_labels[lane]];

			words[i].place = avp_cring_place(
					sim_guest_buf_idx(&evil->guest, va), DATA_OFF, 60);
			words[i].state = avp_cring_state(rnd % 16 == 0 ? AVP_CDESC_MORE : 0, 0);
		} else {
			words[i].place = some_place(evil, rnd >> 1);
			words[i].state = some_state(rnd);
		}
	}
	evil_put_entries(evil, lane, words, nb);
}

/* Entries that the host reads, of which it may or may not have read the other half; now and then
 * ones that it would read next, or is about to write; and what is told to have been read. */
static void *
ring_storm_racer(void *arg)
{
	struct evil *evil = arg;
	uint64_t rnd = evil->rnd ^ 0xc0de;

	for (;;) {
		const uint64_t r = evil_random(&rnd);
		struct sim_lane *lane = &evil->guest.lanes[r % evil->nb_lanes];
		struct avp_cring_end *end = (r >> 8) % 8 ? &lane->ctx : &lane->crx;
		struct avp_cring_words *entry = (void *)&end->ring->entries[(r >> 16) % end->len];

		if ((r >> 50) % 4096 == 0)
			evil_poke32(&lane->crx.ring->read, (uint32_t)evil_random(&rnd));
		else if ((r >> 40) % 64 == 0)
			evil_poke64(&entry->state, some_state(r) | (r >> 63));
		else
			evil_poke64(&entry->place, some_place(evil, evil_random(&rnd)));
		if (r >> 56 == 0)
			evil_pause(1);
	}
	return NULL;
}

const struct evil_attack evil_ring_attacks[] = {
		{"ring_storm", ring_storm, ring_storm_racer, FEATURES},
		{NULL, NULL, NULL, 0},
};
