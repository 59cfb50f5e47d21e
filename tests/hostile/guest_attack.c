/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Attacks on FIFOs, labels, descriptors and memory: guest_evil.h.
 */

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "guest_evil.h"
#include "vuser_client.h"

#define HOLD 1000u /* how long a damaged index stays, us */

/*
 * FIFOs
 */

/* An index that is not below the length. */
static uint32_t
index_too_high(struct evil *evil, const struct avp_fifo_end *end)
{
	static const uint32_t extra[] = {0, 1, 255, 65536, UINT32_MAX / 2};
	const uint32_t pick = evil_below(evil, 6);

	return pick == 5 ? UINT32_MAX : end->len + extra[pick];
}

static void
damage(struct evil *evil, uint32_t *index, uint32_t value, uint32_t right)
{
	evil_poke32(index, value);
	evil_pause(HOLD);
	evil_poke32(index, right);
	evil_collect(evil);
}

static void
tx_index_range(struct evil *evil)
{
	struct avp_fifo_end *end = &evil->guest.lanes[0].tx;

	evil_send(evil, 0, 4);
	damage(evil, &end->fifo->write, index_too_high(evil, end), end->own);
}

/* Take @nb buffers and make packets of them, but keep @kept more, and have room on the tx FIFO. */
static void
prepare(struct evil *evil, uint64_t *vas, uint32_t nb, uint32_t kept)
{
	struct avp_fifo_end *tx = &evil->guest.lanes[0].tx;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	evil_wait_labels(evil, 0, nb + kept);
	while (avp_fifo_room(tx, nb, &fault) < nb) {
		evil_pause(1);
		evil_collect(evil);
	}
	for (uint32_t i = 0; i < nb; i++) {
		vas[i] = evil->labels[0][--evil->nb_labels[0]];
		evil_fill(evil, vas[i], 60);
	}
}

/* Put them all on the tx FIFO at once, looking at nothing. */
static void
put_all(struct evil *evil, const uint64_t *vas, uint32_t nb)
{
	struct avp_fifo_end *tx = &evil->guest.lanes[0].tx;

	for (uint32_t i = 0; i < nb; i++)
		avp_fifo_set(tx, i, vas[i]);
	avp_fifo_put_done(tx, nb);
}

/* Shows as such while the host knows of entries that it has not taken yet: many come at once, and
 * then the last of them seem to be taken back. */
static void
tx_index_backwards(struct evil *evil)
{
	struct avp_fifo_end *end = &evil->guest.lanes[0].tx;
	uint64_t vas[90];

	prepare(evil, vas, 90, 0);
	put_all(evil, vas, 90);
	for (uint32_t i = 0; i < 6400; i++) {
		evil_poke32(&end->fifo->write, (end->own - i % 24) & (end->len - 1));
		if (i % 100 == 0)
			evil_pause(1);
	}
	evil_poke32(&end->fifo->write, end->own);
	/* the host may have been led round, and then read on from there */
	evil_pause(HOLD);
	evil_collect(evil);
}

/* The host looks at it when many packets are on their way back. */
static void
damage_free(struct evil *evil, uint32_t value)
{
	struct avp_fifo_end *end = &evil->guest.lanes[0].free;

	/* so that what is behind the index are labels */
	evil_send(evil, 0, 300);
	evil->ignores_rx = true;
	evil_poke32(&end->fifo->write, value);
	evil_send(evil, 0, 80);
	evil_pause(HOLD);
	evil_poke32(&end->fifo->write, end->own);
	evil->ignores_rx = false;
	evil_collect(evil);
}

static void
free_index_range(struct evil *evil)
{
	damage_free(evil, index_too_high(evil, &evil->guest.lanes[0].free));
}

/* The host takes all at once, so this is many old labels for it. */
static void
free_index_backwards(struct evil *evil)
{
	const struct avp_fifo_end *end = &evil->guest.lanes[0].free;

	damage_free(evil, (end->own - 1 - evil_below(evil, 8)) & (end->len - 1));
}

/* The host looks at it only when the FIFO seems too full for what it wants to add, and backwards
 * shows only if it is not quite full: so the guest keeps some buffers. */
static void
alloc_index(struct evil *evil, bool backwards)
{
	struct avp_fifo_end *end = &evil->guest.lanes[0].alloc;
	uint64_t vas[40];
	uint32_t back;

	prepare(evil, vas, 40, 100);
	/* The host keeps the FIFO and the guest's hands at a FIFO full together, and looks again
	 * when it knows of less room than a refill: so that is how far the index has come since. */
	back = end->len - 1 - evil_below(evil, 32);
	evil_poke32(&end->fifo->read,
			backwards ? (end->own - back) & (end->len - 1) : index_too_high(evil, end));
	put_all(evil, vas, 40);
	evil_pause(HOLD);
	evil_poke32(&end->fifo->read, end->own);
}

static void
alloc_index_range(struct evil *evil)
{
	alloc_index(evil, false);
}

static void
alloc_index_backwards(struct evil *evil)
{
	alloc_index(evil, true);
}

static void
rx_index_range(struct evil *evil)
{
	struct avp_fifo_end *end = &evil->guest.lanes[0].rx;

	evil->ignores_rx = true;
	evil_poke32(&end->fifo->read, index_too_high(evil, end));
	evil_send(evil, 0, 8);
	evil_pause(HOLD);
}

/* There seems to be a little room, and then less, for the bursts that come back. */
static void
rx_index_backwards(struct evil *evil)
{
	struct avp_fifo_end *end = &evil->guest.lanes[0].rx;
	uint64_t vas[20];

	/* the host stops when the guest has as much as it can return */
	if (atomic_load(&evil->share->nb_steps) % 16 == 15)
		evil_renew(evil);
	evil->ignores_rx = true;
	prepare(evil, vas, 20, 0);
	put_all(evil, vas, 20);
	for (int i = 0; i < 20; i++) {
		const uint32_t write = atomic_load((_Atomic uint32_t *)&end->fifo->write);

		evil_poke32(&end->fifo->read, (write + 1 + evil_below(evil, 24)) & (end->len - 1));
		evil_pause(2);
	}
}

/* The guest's own operations would put them right, so it makes none for a while. */
static void
fifo_header_overwritten(struct evil *evil)
{
	static const uint32_t values[] = {0, 1, 3, 128, 512, 65536, UINT32_MAX};
	struct sim_lane *lane = &evil->guest.lanes[0];
	struct avp_fifo *fifos[] = {
			lane->tx.fifo, lane->alloc.fifo, lane->rx.fifo, lane->free.fifo};
	uint64_t vas[40];

	evil->ignores_rx = evil_below(evil, 8) != 0;
	prepare(evil, vas, 40, 0);
	for (int i = 0; i < 4; i++)
		evil_poke32(evil_below(evil, 2) ? &fifos[i]->len : &fifos[i]->elem_size,
				values[evil_below(evil, 7)]);
	put_all(evil, vas, 40);
	evil_pause(HOLD);
}

/*
 * Labels
 */

static void
put_everywhere(struct evil *evil, uint64_t va)
{
	evil_put_tx(evil, 0, va);
	evil_put_free(evil, 0, va);
}

static void
label_outside(struct evil *evil)
{
	const struct avp_device_info *info = evil->guest.info;
	const uint64_t end = info->buf_va + (uint64_t)evil->nb_bufs * evil->stride;
	const uint64_t labels[] = {0, 1, UINT64_MAX, info->buf_va - evil->stride, info->buf_va - 1,
			end + evil->stride, info->ctrl_slot_va,
			info->buf_va + (UINT64_C(1) << 32) * evil->stride, evil_random(&evil->rnd)};

	put_everywhere(evil, labels[evil_below(evil, sizeof(labels) / sizeof(labels[0]))]);
	evil_send(evil, 0, 1);
}

static void
label_misaligned(struct evil *evil)
{
	put_everywhere(evil, evil_take(evil, 0) + 1 + evil_below(evil, evil->stride - 1));
}

static void
label_foreign(struct evil *evil)
{
	put_everywhere(evil, evil_foreign(evil));
	evil_send(evil, 0, 1);
}

static void
label_twice(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);

	evil_fill(evil, va, 60);
	evil_put_tx(evil, 0, va);
	evil_put_tx(evil, 0, va);
}

static void
label_on_two_lanes(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);

	evil_fill(evil, va, 60);
	evil_put_tx(evil, 1, va);
	evil_put_tx(evil, 0, va);
	evil_put_tx(evil, 1, va);
}

static void
label_on_tx_and_free(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);

	evil_fill(evil, va, 60);
	evil_put_tx(evil, 0, va);
	evil_put_free(evil, 0, va);
	evil->keeps_rx = true;
	while (evil->nb_held > 0) {
		const uint64_t rx_va = evil->held[--evil->nb_held];

		evil_put_tx(evil, 0, rx_va);
		evil_put_free(evil, 0, rx_va);
		evil_put_free(evil, 0, rx_va);
	}
}

/*
 * Descriptors
 */

static void
chain_loops(struct evil *evil)
{
	uint64_t vas[AVP_MAX_SEGS];
	const uint32_t nb = 2 + evil_below(evil, AVP_MAX_SEGS - 1);

	evil_chain(evil, 0, vas, nb);
	evil_desc(evil, vas[evil_below(evil, nb)])->next_va = vas[0];
	evil_desc(evil, vas[0])->nb_segs = AVP_MAX_SEGS;
	evil_put_tx(evil, 0, vas[0]);
}

static void
chain_too_long(struct evil *evil)
{
	uint64_t vas[AVP_MAX_SEGS + 3];

	evil_chain(evil, 0, vas, AVP_MAX_SEGS + 1 + evil_below(evil, 3));
	if (evil_below(evil, 2))
		evil_desc(evil, vas[0])->nb_segs = evil_below(evil, 2) ? 255 : AVP_MAX_SEGS;
	evil_put_tx(evil, 0, vas[0]);
}

/* 0 segments; one with a successor; too few. */
static void
chain_miscounted(struct evil *evil)
{
	uint64_t vas[3];

	evil_chain(evil, 0, vas, 3);
	evil_desc(evil, vas[0])->nb_segs = (uint8_t)evil_below(evil, 3);
	if (evil_below(evil, 2))
		evil_desc(evil, vas[1])->next_va = 0;
	evil_desc(evil, vas[0])->pkt_len = 100;
	evil_put_tx(evil, 0, vas[0]);
}

static void
chain_leads_away(struct evil *evil)
{
	uint64_t vas[2];

	evil_chain(evil, 0, vas, 2);
	switch (evil_below(evil, 3)) {
	case 0:
		evil_desc(evil, vas[0])->next_va = evil_foreign(evil);
		break;
	case 1:
		evil_desc(evil, vas[0])->next_va = vas[1] + 8;
		break;
	default:
		evil_desc(evil, vas[0])->next_va = evil_random(&evil->rnd) | 1;
		break;
	}
	evil_put_tx(evil, 0, vas[0]);
}

static void
lengths_do_not_add_up(struct evil *evil)
{
	uint64_t vas[2];

	evil_chain(evil, 0, vas, 2);
	evil_desc(evil, vas[0])->pkt_len = evil_below(evil, 2) ? 199 : 201;
	evil_put_tx(evil, 0, vas[0]);
}

/* They add up, to too little. */
static void
packet_too_short(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);

	evil_fill(evil, va, 1 + evil_below(evil, AVP_MIN_PKT_SIZE - 1));
	evil_put_tx(evil, 0, va);
}

/* They add up, to too much. */
static void
packet_too_long(struct evil *evil)
{
	uint64_t vas[AVP_MAX_SEGS];

	evil_chain(evil, 0, vas, AVP_MAX_SEGS);
	for (int i = 0; i < AVP_MAX_SEGS; i++)
		evil_desc(evil, vas[i])->data_len = 2048;
	evil_desc(evil, vas[0])->pkt_len = AVP_MAX_SEGS * 2048;
	evil_put_tx(evil, 0, vas[0]);
}

static void
length_is_zero(struct evil *evil)
{
	uint64_t vas[2];

	evil_chain(evil, 0, vas, 2);
	evil_desc(evil, vas[evil_below(evil, 2)])->data_len = 0;
	evil_desc(evil, vas[0])->pkt_len = 100;
	evil_put_tx(evil, 0, vas[0]);
}

static void
length_beyond_buffer(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);
	struct avp_desc *desc = evil_desc(evil, va);
	const uint32_t room = evil->stride - (uint32_t)(sizeof(*desc) + 128);
	const uint32_t len = evil_below(evil, 2) ? room + 1 : UINT16_MAX;

	evil_fill(evil, va, 60);
	desc->data_len = (uint16_t)len;
	desc->pkt_len = (uint16_t)len;
	evil_put_tx(evil, 0, va);
}

static void
data_elsewhere(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);
	const struct avp_device_info *info = evil->guest.info;
	const uint64_t places[] = {0, UINT64_MAX, va, va + 63, va - 64, va + evil->stride,
			va - evil->stride + 192, info->ctrl_slot_va, info->buf_va - 4096,
			evil_random(&evil->rnd)};

	evil_fill(evil, va, 60);
	evil_desc(evil, va)->data_va = places[evil_below(evil, sizeof(places) / sizeof(places[0]))];
	evil_put_tx(evil, 0, va);
}

/* A tag is to be put in, and there is nowhere to put it. */
static void
no_headroom(struct evil *evil)
{
	const uint64_t va = evil_take(evil, 0);
	struct avp_desc *desc = evil_desc(evil, va);

	evil_fill(evil, va, 60);
	desc->data_va = va + sizeof(*desc) + evil_below(evil, 4);
	desc->ol_flags = AVP_DESC_TX_VLAN;
	desc->vlan_tci = 5;
	evil_put_tx(evil, 0, va);
}

/*
 * Races: entries and descriptors change while they are read
 */

/* A value for @field that may or may not be right, of those that make a difference. */
static void
race_field(struct evil *evil, uint64_t va, uint64_t rnd)
{
	struct avp_desc *desc = evil_desc(evil, va);
	const uint64_t other = evil->seen[(rnd >> 40) % evil->nb_seen];
	const uint64_t data_vas[] = {va + 192, va + 192, va + 64, va + 2000, va, other + 192, 0};
	const uint16_t lens[] = {60, 60, 60, 60, 60, 100, 2176, 2177};
	const uint8_t segs[] = {1, 1, 1, 2, 5, 6};

	switch (rnd % 6) {
	case 0:
		evil_poke64(&desc->data_va, data_vas[(rnd >> 8) % 7]);
		break;
	case 1:
		atomic_store((_Atomic uint16_t *)&desc->data_len, lens[(rnd >> 8) % 8]);
		break;
	case 2:
		atomic_store((_Atomic uint16_t *)&desc->pkt_len, lens[(rnd >> 8) % 8]);
		break;
	case 3:
		atomic_store((_Atomic uint8_t *)&desc->nb_segs, segs[(rnd >> 8) % 6]);
		break;
	case 4:
		evil_poke64(&desc->next_va, (rnd >> 8) % 4 ? 0 : other);
		break;
	default:
		atomic_store((_Atomic uint16_t *)&desc->ol_flags,
				(rnd >> 8) % 4 ? 0 : AVP_DESC_TX_VLAN);
		break;
	}
}

void
evil_race(struct evil *evil, uint64_t *rnd)
{
	for (int i = 0; i < 1000; i++) {
		const uint64_t r = evil_random(rnd);

		race_field(evil, evil->seen[(r >> 20) % evil->nb_seen], r >> 1);
	}
}

static void *
race_fields_racer(void *arg)
{
	struct evil *evil = arg;
	uint64_t rnd = evil->rnd ^ 0x5eed;

	for (;;)
		evil_race(evil, &rnd);
	return NULL;
}

/* Now and then any label, whether it is the guest's or not: so that none is lost by what the racer
 * did. */
static void
race_fields(struct evil *evil)
{
	const uint32_t lane = evil_below(evil, evil->nb_lanes);
	struct avp_desc *desc;
	uint64_t va;

	evil_collect(evil);
	if (evil->nb_labels[lane] > 0 && evil_below(evil, 8) != 0)
		va = evil->labels[lane][--evil->nb_labels[lane]];
	else
		va = evil->seen[evil_below(evil, evil->nb_seen)];
	desc = evil_desc(evil, va);
	if (evil_below(evil, 8) != 0) {
		desc->data_va = va + 192;
		desc->data_len = 60;
		desc->pkt_len = 60;
		desc->nb_segs = 1;
		desc->next_va = 0;
	}
	evil_put_tx(evil, lane, va);
}

/* The same entry of two FIFOs at the same moment, with the other lane's lcore as the prey. */
static void *
race_entries_racer(void *arg)
{
	struct evil *evil = arg;
	uint64_t rnd = evil->rnd ^ 0xface;

	for (;;) {
		const uint64_t r = evil_random(&rnd);
		struct sim_lane *lane = &evil->guest.lanes[r % evil->nb_lanes];
		struct avp_fifo_end *end = (r >> 8) % 2 ? &lane->tx : &lane->free;

		evil_poke64(&end->fifo->entries[(r >> 16) % end->len],
				(r >> 9) % 16 == 0 ? r : evil->seen[(r >> 30) % evil->nb_seen]);
	}
	return NULL;
}

/*
 * Memory
 */

static void
scribble(struct evil *evil)
{
	const uint64_t nb_words = evil->guest.mem_size / 8;
	uint64_t *words = (void *)evil->guest.mem;

	if (atomic_load(&evil->share->nb_steps) == 0) {
		for (uint64_t i = 0; i < nb_words; i++)
			evil_poke64(&words[i], evil_random(&evil->rnd));
	}
	for (int i = 0; i < 4096; i++) {
		const uint64_t r = evil_random(&evil->rnd);

		/* every other one among FIFOs, where it hurts */
		evil_poke64(&words[r >> 8 & 1 ? (r >> 9) % 4096 : (r >> 9) % nb_words],
				r >> 1 & 1 ? evil_random(&evil->rnd) : r >> 50);
	}
	/* these belong to the device, which does not read them back */
	memset(evil->guest.bar_map[AVP_BAR_MEMMAP], (int)evil_below(evil, 256),
			evil->guest.bar_size[AVP_BAR_MEMMAP]);
	memset(evil->guest.bar_map[AVP_BAR_DEVICE], (int)evil_below(evil, 256),
			evil->guest.bar_size[AVP_BAR_DEVICE]);
}

/* The client has the memory's descriptor, and no seal keeps it from giving pages back. */
static void
punch_holes(struct evil *evil)
{
	struct vuser_client_region region = {.fd = -1};

	if (vuser_client_region(evil->guest.client, AVP_BAR_MEMORY, &region) < 0)
		return;
	for (int i = 0; i < 50; i++) {
		const uint64_t page = evil_random(&evil->rnd) % (region.size / 4096);

		if (i == 0 ||
				fallocate(region.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						(off_t)(page * 4096), 4096) < 0)
			fallocate(region.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					(off_t)region.size);
		evil_pause(10);
	}
	close(region.fd);
}

static void
rx_not_read(struct evil *evil)
{
	evil->ignores_rx = true;
	evil_send(evil, 0, 16);
}

static void
rx_not_returned(struct evil *evil)
{
	evil->keeps_rx = true;
	evil_collect(evil);
	evil_pause(1);
}

/* What goes well: so that a port with this guest is known to work. */
static void
honest(struct evil *evil)
{
	evil_send(evil, evil_below(evil, evil->nb_lanes), 32);
}

const struct evil_attack evil_attacks[] = {
		{"tx_index_range", tx_index_range, NULL, 0},
		{"tx_index_backwards", tx_index_backwards, NULL, 0},
		{"alloc_index_range", alloc_index_range, NULL, 0},
		{"alloc_index_backwards", alloc_index_backwards, NULL, 0},
		{"rx_index_range", rx_index_range, NULL, 0},
		{"rx_index_backwards", rx_index_backwards, NULL, 0},
		{"free_index_range", free_index_range, NULL, 0},
		{"free_index_backwards", free_index_backwards, NULL, 0},
		{"fifo_header_overwritten", fifo_header_overwritten, NULL, 0},
		{"label_outside", label_outside, NULL, 0},
		{"label_misaligned", label_misaligned, NULL, 0},
		{"label_foreign", label_foreign, NULL, 0},
		{"label_twice", label_twice, NULL, 0},
		{"label_on_two_lanes", label_on_two_lanes, NULL, 0},
		{"label_on_tx_and_free", label_on_tx_and_free, NULL, 0},
		{"chain_loops", chain_loops, NULL, 0},
		{"chain_too_long", chain_too_long, NULL, 0},
		{"chain_miscounted", chain_miscounted, NULL, 0},
		{"chain_leads_away", chain_leads_away, NULL, 0},
		{"lengths_do_not_add_up", lengths_do_not_add_up, NULL, 0},
		{"packet_too_short", packet_too_short, NULL, 0},
		{"packet_too_long", packet_too_long, NULL, 0},
		{"length_is_zero", length_is_zero, NULL, 0},
		{"length_beyond_buffer", length_beyond_buffer, NULL, 0},
		{"data_elsewhere", data_elsewhere, NULL, 0},
		{"no_headroom", no_headroom, NULL, 0},
		{"race_fields", race_fields, race_fields_racer, 0},
		{"race_entries", race_fields, race_entries_racer, 0},
		{"scribble", scribble, NULL, 0},
		{"punch_holes", punch_holes, NULL, 0},
		{"rx_not_read", rx_not_read, NULL, 0},
		{"rx_not_returned", rx_not_returned, NULL, 0},
		{"honest", honest, NULL, 0},
		{NULL, NULL, NULL, 0},
};
