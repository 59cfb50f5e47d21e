/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Operations on compact rings, the tx and rx FIFOs of AVP_FEATURE_COMPACT: the only place where
 * their words are loaded and stored. Used by the host, by the guest drivers and by tests.
 *
 * How it works
 * There is no write index. An entry says itself, by its phase bit, whether it has been written in
 * this round; a consumer that waits looks at the entry that comes next, and has with it the first
 * packet. The phase bit of the first entry of a burst is stored last, with release: until then a
 * consumer sees nothing of the burst, and from then on all of it. So a chain of segments, which is
 * never split between bursts, is either there whole or not at all. The other entries in the first
 * one's line are kept back with it: a consumer that waits looks at that line all the time, and it
 * would go back and forth for each.
 *
 * The consumer tells what it has read by a count that goes up for ever. The producer looks at it
 * only when it knows of no more room, which is once in a round or so; the line does not go back and
 * forth.
 *
 * Each side keeps a struct avp_cring_end: its own count, the ring's length, and what it saw of the
 * peer. Of the shared structure it reads nothing but the peer's count and the entries, once each.
 */

#ifndef AVP_CRING_H
#define AVP_CRING_H

#include <avp/avp_abi.h>
#include <avp/avp_fifo.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Limits of its length, entries: a chain always fits. */
#define AVP_CRING_MIN_LEN 8u
/** Entries in a cache line. */
#define AVP_CRING_LINE_ENTRIES 4u

/** An entry as two words, each of which is loaded and stored at once. */
struct avp_cring_words {
	uint64_t place; /* buf_idx, data_off, data_len */
	uint64_t state; /* flags, vlan_tci, reserved */
};
AVP_ASSERT(sizeof(struct avp_cring_words) == sizeof(struct avp_cdesc));

/** One side's end of a compact ring. Private memory of that side, used by one thread at a time. */
struct avp_cring_end {
	struct avp_cring *ring;
	uint32_t len;  /* entries, a power of two */
	uint32_t own;  /* entries written (producer) or read (consumer) so far, modulo 2^32 */
	uint32_t peer; /* producer: the consumer's count, as last seen */
	/* producer: entries of the burst that lie in the line of its first, not stored yet */
	struct avp_cring_words first[AVP_CRING_LINE_ENTRIES];
};

static inline uint64_t
avp_cring_place(uint32_t buf_idx, uint32_t data_off, uint32_t data_len)
{
	return buf_idx | (uint64_t)(uint16_t)data_off << 32 | (uint64_t)(uint16_t)data_len << 48;
}

/** @flags: AVP_CDESC_MORE, AVP_CDESC_VLAN; the phase bit is avp_cring_set()'s business. */
static inline uint64_t
avp_cring_state(uint16_t flags, uint16_t vlan_tci)
{
	return flags | (uint32_t)vlan_tci << 16;
}

static inline uint32_t
avp_cring_buf_idx(uint64_t place)
{
	return (uint32_t)place;
}

static inline uint16_t
avp_cring_data_off(uint64_t place)
{
	return (uint16_t)(place >> 32);
}

static inline uint16_t
avp_cring_data_len(uint64_t place)
{
	return (uint16_t)(place >> 48);
}

static inline uint16_t
avp_cring_vlan_tci(uint64_t state)
{
	return (uint16_t)(state >> 16);
}

/** Bytes that a compact ring of @len entries takes. */
static inline size_t
avp_cring_size(uint32_t len)
{
	return sizeof(struct avp_cring) + (size_t)len * sizeof(struct avp_cdesc);
}

/** Make @ring empty. No peer may be using it. */
static inline void
avp_cring_format(struct avp_cring *ring, uint32_t len)
{
	uint64_t *word = (uint64_t *)ring->entries;

	for (uint32_t i = 0; i < 2 * len; i++)
		__atomic_store_n(&word[i], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->elem_size, (uint32_t)sizeof(struct avp_cdesc), __ATOMIC_RELAXED);
	__atomic_store_n(&ring->reserved0, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->read, 0, __ATOMIC_RELEASE);
}

/** Make an end for a ring of @len entries that has just been formatted. */
static inline void
avp_cring_end_init(struct avp_cring_end *end, struct avp_cring *ring, uint32_t len)
{
	end->ring = ring;
	end->len = len;
	end->own = 0;
	end->peer = 0;
}

/**
 * Make an end for a ring that the peer has formatted and this side has not used yet.
 *
 * @max_size  bytes of memory there are at @ring
 * Returns 0, or -EINVAL when length or entry size make no sense.
 */
static inline int
avp_cring_end_open(struct avp_cring_end *end, struct avp_cring *ring, uint64_t max_size)
{
	uint32_t len, elem_size;

	if (max_size < sizeof(*ring))
		return -EINVAL;
	len = __atomic_load_n(&ring->len, __ATOMIC_RELAXED);
	elem_size = __atomic_load_n(&ring->elem_size, __ATOMIC_RELAXED);
	if (!avp_fifo_len_valid(len) || len < AVP_CRING_MIN_LEN ||
			elem_size != sizeof(struct avp_cdesc) || avp_cring_size(len) > max_size)
		return -EINVAL;
	avp_cring_end_init(end, ring, len);
	return 0;
}

/* Where entry number @i is, counted for ever. */
static inline struct avp_cring_words *
avp_cring_entry(const struct avp_cring_end *end, uint32_t i)
{
	return (struct avp_cring_words *)&end->ring->entries[i & (end->len - 1)];
}

/* The phase bit of entry number @i, counted for ever: 1 in the first round. */
static inline uint64_t
avp_cring_phase(const struct avp_cring_end *end, uint32_t i)
{
	return (i & end->len) == 0 ? AVP_CDESC_PHASE : 0;
}

/**
 * Entries that the producer may write now.
 *
 * @want   look at the consumer's count only when fewer than this are known to be free
 * @fault  out: AVP_FIFO_BAD_INDEX when that count makes no sense and is taken as not moved;
 *         written only then
 * Returns 0..len. Context: the producer's thread.
 */
static inline uint32_t
avp_cring_room(struct avp_cring_end *end, uint32_t want, enum avp_fifo_fault *fault)
{
	const uint32_t used = end->own - end->peer;
	uint32_t peer;

	if (end->len - used >= want)
		return end->len - used;
	/* pairs with the release in avp_cring_get_done() */
	peer = __atomic_load_n(&end->ring->read, __ATOMIC_ACQUIRE);
	if (__builtin_expect(end->own - peer > used, 0))
		*fault = AVP_FIFO_BAD_INDEX;
	else
		end->peer = peer;
	return end->len - (end->own - end->peer);
}

/* Entries of a burst that lie in the line of its first: 1..4. */
static inline uint32_t
avp_cring_nb_first(const struct avp_cring_end *end)
{
	return AVP_CRING_LINE_ENTRIES - end->own % AVP_CRING_LINE_ENTRIES;
}

/** Fetch the lines of the next @n entries to be written, of those that avp_cring_room() allowed,
 * but for the first, which the consumer is looking at. */
static inline void
avp_cring_prefetch_put(const struct avp_cring_end *end, uint32_t n)
{
	for (uint32_t i = avp_cring_nb_first(end); i < n; i += AVP_CRING_LINE_ENTRIES)
		avp_prefetch_write(avp_cring_entry(end, end->own + i));
}

/** Write entry @i of those that avp_cring_room() allowed; none is visible to the peer before
 * avp_cring_put_done(). */
static inline void
avp_cring_set(struct avp_cring_end *end, uint32_t i, uint64_t place, uint64_t state)
{
	struct avp_cring_words *entry = avp_cring_entry(end, end->own + i);

	state |= avp_cring_phase(end, end->own + i);
	if (i < avp_cring_nb_first(end)) {
		end->first[i].place = place;
		end->first[i].state = state;
		return;
	}
	__atomic_store_n(&entry->place, place, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->state, state, __ATOMIC_RELAXED);
}

/** Publish the @n > 0 entries written with avp_cring_set(). */
static inline void
avp_cring_put_done(struct avp_cring_end *end, uint32_t n)
{
	struct avp_cring_words *entry = avp_cring_entry(end, end->own);

	for (uint32_t i = 1; i < avp_cring_nb_first(end) && i < n; i++) {
		__atomic_store_n(&entry[i].place, end->first[i].place, __ATOMIC_RELAXED);
		__atomic_store_n(&entry[i].state, end->first[i].state, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&entry->place, end->first[0].place, __ATOMIC_RELAXED);
	/* pairs with the acquire in avp_cring_at() */
	__atomic_store_n(&entry->state, end->first[0].state, __ATOMIC_RELEASE);
	end->own += n;
}

/** Read entry @i from the next one on, once. False: it has not been written; nor then has any
 * behind it. */
static inline bool
avp_cring_at(const struct avp_cring_end *end, uint32_t i, struct avp_cring_words *words)
{
	const struct avp_cring_words *entry = avp_cring_entry(end, end->own + i);

	/* pairs with the release in avp_cring_put_done() */
	words->state = __atomic_load_n(&entry->state, __ATOMIC_ACQUIRE);
	if (((words->state ^ avp_cring_phase(end, end->own + i)) & AVP_CDESC_PHASE) != 0)
		return false;
	words->place = __atomic_load_n(&entry->place, __ATOMIC_RELAXED);
	return true;
}

/**
 * Read the entries of up to @nb_pkts packets.
 *
 * @words    out: room for @max entries
 * @max      more than AVP_MAX_SEGS
 * @nb_pkts  in and out: packets
 * Returns the number of entries read. They are whole packets, of at most AVP_MAX_SEGS entries each.
 * A packet whose last entry here has AVP_CDESC_MORE is a bad one: longer than that, or its rest is
 * not there.
 */
static inline uint32_t
avp_cring_fetch(const struct avp_cring_end *end, struct avp_cring_words *words, uint32_t max,
		uint32_t *nb_pkts)
{
	uint32_t whole = 0; /* entries of whole packets */
	uint32_t nb = 0;
	uint32_t n = 0;

	if (!avp_cring_at(end, 0, &words[0])) {
		*nb_pkts = 0;
		return 0;
	}
	for (uint32_t i = AVP_CRING_LINE_ENTRIES; i < *nb_pkts; i += AVP_CRING_LINE_ENTRIES)
		__builtin_prefetch(avp_cring_entry(end, end->own + i));
	while (nb < *nb_pkts && n < max && avp_cring_at(end, n, &words[n])) {
		const bool more = (words[n++].state & AVP_CDESC_MORE) != 0;

		if (__builtin_expect(more && n - whole < AVP_MAX_SEGS, 0))
			continue;
		whole = n;
		nb++;
	}
	/* where there was a whole burst there may be another: fetch it while this one is at work */
	if (nb == *nb_pkts)
		for (uint32_t i = 0; i < nb; i += AVP_CRING_LINE_ENTRIES)
			__builtin_prefetch(avp_cring_entry(end, end->own + n + i));
	/* a chain that has no end, unless it only does not fit here any more */
	if (__builtin_expect(n > whole && n < max, 0)) {
		whole = n;
		nb++;
	}
	*nb_pkts = nb;
	return whole;
}

/** Is there an entry to read? Context: any thread while the consumer's is not reading. */
static inline bool
avp_cring_ready(const struct avp_cring_end *end)
{
	struct avp_cring_words words;

	return avp_cring_at(end, 0, &words);
}

/** Entries that the consumer of this end has taken, as it has told: for onlookers. */
static inline uint32_t
avp_cring_taken(const struct avp_cring_end *end)
{
	return __atomic_load_n(&end->ring->read, __ATOMIC_RELAXED);
}

/** Entries that wait for the consumer of this end, for onlookers: up to @max are looked at. What it
 * has told is in shared memory, and so the number may be any if a peer writes there. */
static inline uint32_t
avp_cring_waiting(const struct avp_cring_end *end, uint32_t max)
{
	struct avp_cring_end from;
	struct avp_cring_words words;
	uint32_t n = 0;

	from.ring = end->ring;
	from.len = end->len;
	from.own = avp_cring_taken(end);
	while (n < max && n < end->len && avp_cring_at(&from, n, &words))
		n++;
	return n;
}

/** Entries that the consumer has not told to have read, for onlookers at the producer's side. */
static inline uint32_t
avp_cring_used(const struct avp_cring_end *end)
{
	/* the producer's thread may be writing it */
	const uint32_t own = __atomic_load_n(&end->own, __ATOMIC_RELAXED);
	const uint32_t used = own - avp_cring_taken(end);

	return used <= end->len ? used : end->len;
}

/** Give the room of @n entries back to the producer. */
static inline void
avp_cring_get_done(struct avp_cring_end *end, uint32_t n)
{
	end->own += n;
	/* pairs with the acquire in avp_cring_room() */
	__atomic_store_n(&end->ring->read, end->own, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif /* AVP_CRING_H */
