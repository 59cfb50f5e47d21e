/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Operations on the FIFOs of the contract: the only place where their indices and entries are
 * loaded and stored. Used by the host, by the guest drivers and by tests.
 *
 * How it works
 * Each side keeps a struct avp_fifo_end: its own index, and the last one it saw of the peer. Only
 * these decide where entries are; of the shared structure a side reads nothing but the peer's index
 * and the entries, once each, and it checks the index before use. The length is the one given at
 * init: what a peer writes over the shared one changes nothing, and is reported.
 *
 * A producer writes entries with avp_fifo_set() and publishes them with avp_fifo_put_done()
 * (release); a consumer learns of them in avp_fifo_avail() (acquire), reads them with avp_fifo_at()
 * and gives the room back with avp_fifo_get_done() (release), which the producer takes in
 * avp_fifo_room() (acquire).
 */

#ifndef AVP_FIFO_H
#define AVP_FIFO_H

#include <errno.h>
#include <stdbool.h>

#include <avp/avp_abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Limits of a FIFO's length, entries. */
#define AVP_FIFO_MIN_LEN 4u
#define AVP_FIFO_MAX_LEN 65536u

/** Entries in a cache line. */
#define AVP_FIFO_LINE_ENTRIES 8u

/** What was wrong with the peer's side of a FIFO. */
enum avp_fifo_fault {
	AVP_FIFO_OK = 0,
	AVP_FIFO_BAD_INDEX, /* peer's index is not below the length: taken as if it had not moved */
	AVP_FIFO_BACKWARDS, /* peer's index has moved backwards: likewise */
	AVP_FIFO_BAD_LEN,   /* the shared length or entry size was overwritten; written anew */
};

/** One side's end of a FIFO. Private memory of that side, used by one thread at a time. */
struct avp_fifo_end {
	struct avp_fifo *fifo;
	uint32_t len;  /* entries, a power of two */
	uint32_t own;  /* own index: next to write (producer) or to read (consumer) */
	uint32_t peer; /* peer's index as last seen, always below len */
};

/** Bytes that a FIFO of @len entries takes. */
static inline size_t
avp_fifo_size(uint32_t len)
{
	return sizeof(struct avp_fifo) + (size_t)len * sizeof(uint64_t);
}

static inline bool
avp_fifo_len_valid(uint32_t len)
{
	return len >= AVP_FIFO_MIN_LEN && len <= AVP_FIFO_MAX_LEN && (len & (len - 1)) == 0;
}

/** Make @fifo empty, with room for @len - 1 entries. No peer may be using it. */
static inline void
avp_fifo_format(struct avp_fifo *fifo, uint32_t len)
{
	__atomic_store_n(&fifo->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&fifo->elem_size, (uint32_t)sizeof(uint64_t), __ATOMIC_RELAXED);
	__atomic_store_n(&fifo->read, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&fifo->write, 0, __ATOMIC_RELEASE);
}

/**
 * Make an end for a FIFO that this side has just formatted.
 *
 * @len  as given to avp_fifo_format()
 */
static inline void
avp_fifo_end_init(struct avp_fifo_end *end, struct avp_fifo *fifo, uint32_t len)
{
	end->fifo = fifo;
	end->len = len;
	end->own = 0;
	end->peer = 0;
}

/**
 * Make an end for a FIFO that the peer has formatted, and that may be in use already.
 *
 * @producer  true: the own index is the write index
 * @max_len   the most entries for which there is memory behind @fifo
 * Returns 0, or -EINVAL when length, entry size or an index make no sense.
 */
static inline int
avp_fifo_end_open(struct avp_fifo_end *end, struct avp_fifo *fifo, bool producer, uint32_t max_len)
{
	uint32_t len = __atomic_load_n(&fifo->len, __ATOMIC_RELAXED);
	uint32_t elem_size = __atomic_load_n(&fifo->elem_size, __ATOMIC_RELAXED);
	uint32_t write = __atomic_load_n(&fifo->write, __ATOMIC_ACQUIRE);
	uint32_t read = __atomic_load_n(&fifo->read, __ATOMIC_ACQUIRE);

	if (!avp_fifo_len_valid(len) || len > max_len || elem_size != sizeof(uint64_t))
		return -EINVAL;
	if (write >= len || read >= len)
		return -EINVAL;
	end->fifo = fifo;
	end->len = len;
	end->own = producer ? write : read;
	end->peer = producer ? read : write;
	return 0;
}

/* Look whether a peer wrote over what only the formatting side may write; put it right. */
static inline bool
avp_fifo_header_overwritten(const struct avp_fifo_end *end)
{
	struct avp_fifo *fifo = end->fifo;

	if (__builtin_expect(__atomic_load_n(&fifo->len, __ATOMIC_RELAXED) == end->len &&
					    __atomic_load_n(&fifo->elem_size, __ATOMIC_RELAXED) ==
							    sizeof(uint64_t),
			    1))
		return false;
	__atomic_store_n(&fifo->len, end->len, __ATOMIC_RELAXED);
	__atomic_store_n(&fifo->elem_size, (uint32_t)sizeof(uint64_t), __ATOMIC_RELAXED);
	return true;
}

/**
 * Entries that the producer may write now.
 *
 * @want   look at the peer's index only when fewer than this are known to be free
 * @fault  out: what is wrong with the peer's side; written only when something is
 * Returns 0..len - 1. Context: the producer's thread.
 */
static inline uint32_t
avp_fifo_room(struct avp_fifo_end *end, uint32_t want, enum avp_fifo_fault *fault)
{
	const uint32_t mask = end->len - 1;
	uint32_t used = (end->own - end->peer) & mask;
	uint32_t peer;

	if (mask - used >= want)
		return mask - used;
	/* pairs with the release in avp_fifo_get_done() */
	peer = __atomic_load_n(&end->fifo->read, __ATOMIC_ACQUIRE);
	if (__builtin_expect(peer > mask, 0))
		*fault = AVP_FIFO_BAD_INDEX;
	else if (__builtin_expect(((end->own - peer) & mask) > used, 0))
		*fault = AVP_FIFO_BACKWARDS;
	else
		end->peer = peer;
	if (__builtin_expect(avp_fifo_header_overwritten(end), 0))
		*fault = AVP_FIFO_BAD_LEN;
	return mask - ((end->own - end->peer) & mask);
}

/** Ask for the cache line at @addr to be written soon: what a peer's core wrote or read last is
 * then on its way here, in one go, while other things are done. Any address will do. */
static inline void
avp_prefetch_write(const void *addr)
{
#if defined(__x86_64__)
	/* the builtin is a prefetch for reading unless the compiler may assume a newer CPU; on
	 * older ones this does nothing */
	__asm__("prefetchw (%0)" : : "r"(addr));
#else
	__builtin_prefetch(addr, 1);
#endif
}

/** Fetch the lines of the next @n entries to be written, of those that avp_fifo_room() allowed. */
static inline void
avp_fifo_prefetch_put(const struct avp_fifo_end *end, uint32_t n)
{
	const uint32_t mask = end->len - 1;

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i += AVP_FIFO_LINE_ENTRIES)
		avp_prefetch_write(&end->fifo->entries[(end->own + i) & mask]);
	/* the line of the last one, where they do not begin with a line */
	avp_prefetch_write(&end->fifo->entries[(end->own + n - 1) & mask]);
}

/** Write entry @i of those that avp_fifo_room() allowed; not visible to the peer yet. */
static inline void
avp_fifo_set(const struct avp_fifo_end *end, uint32_t i, uint64_t value)
{
	__atomic_store_n(&end->fifo->entries[(end->own + i) & (end->len - 1)], value,
			__ATOMIC_RELAXED);
}

/** Publish the @n entries written with avp_fifo_set(). */
static inline void
avp_fifo_put_done(struct avp_fifo_end *end, uint32_t n)
{
	end->own = (end->own + n) & (end->len - 1);
	/* pairs with the acquire in avp_fifo_avail() */
	__atomic_store_n(&end->fifo->write, end->own, __ATOMIC_RELEASE);
}

/**
 * Entries that the consumer may read now.
 *
 * @want   look at the peer's index only when fewer than this are known to be there
 * @fault  out: what is wrong with the peer's side; written only when something is
 * Returns 0..len - 1. Context: the consumer's thread.
 */
static inline uint32_t
avp_fifo_avail(struct avp_fifo_end *end, uint32_t want, enum avp_fifo_fault *fault)
{
	const uint32_t mask = end->len - 1;
	uint32_t known = (end->peer - end->own) & mask;
	uint32_t peer;

	if (known >= want)
		return known;
	/* pairs with the release in avp_fifo_put_done() */
	peer = __atomic_load_n(&end->fifo->write, __ATOMIC_ACQUIRE);
	if (__builtin_expect(peer > mask, 0))
		*fault = AVP_FIFO_BAD_INDEX;
	else if (__builtin_expect(((peer - end->own) & mask) < known, 0))
		*fault = AVP_FIFO_BACKWARDS;
	else
		end->peer = peer;
	if (__builtin_expect(avp_fifo_header_overwritten(end), 0))
		*fault = AVP_FIFO_BAD_LEN;
	return (end->peer - end->own) & mask;
}

/** Read entry @i of those that avp_fifo_avail() announced; once, the peer may change it. */
static inline uint64_t
avp_fifo_at(const struct avp_fifo_end *end, uint32_t i)
{
	return __atomic_load_n(
			&end->fifo->entries[(end->own + i) & (end->len - 1)], __ATOMIC_RELAXED);
}

/** Entries that avp_fifo_avail() announced last and that have not been taken since: known without
 * a look at what the peer writes. */
static inline uint32_t
avp_fifo_known(const struct avp_fifo_end *end)
{
	return (end->peer - end->own) & (end->len - 1);
}

/** Give the room of @n entries back to the producer. */
static inline void
avp_fifo_get_done(struct avp_fifo_end *end, uint32_t n)
{
	end->own = (end->own + n) & (end->len - 1);
	/* pairs with the acquire in avp_fifo_room() */
	__atomic_store_n(&end->fifo->read, end->own, __ATOMIC_RELEASE);
}

/**
 * Entries that are in the FIFO, as both sides have published it: for onlookers.
 *
 * Returns 0..len - 1; which of these, a peer can choose. Context: any thread, changes nothing.
 */
static inline uint32_t
avp_fifo_used(const struct avp_fifo_end *end)
{
	uint32_t write = __atomic_load_n(&end->fifo->write, __ATOMIC_RELAXED);
	uint32_t read = __atomic_load_n(&end->fifo->read, __ATOMIC_RELAXED);

	return (write - read) & (end->len - 1);
}

#ifdef __cplusplus
}
#endif

#endif /* AVP_FIFO_H */
