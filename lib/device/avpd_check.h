/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Every check of packet data that a guest wrote, and the writing of descriptors for it. Inline and
 * free of DPDK: used by the datapath, by unit tests and by fuzzers. Indices of FIFOs are checked in
 * avp_fifo.h, control requests in avpd_ctrl.c.
 *
 * How it works
 * A label taken from a FIFO becomes the index of a buffer, or is refused; a private array says
 * whether the guest may give that buffer now. Only then is its descriptor read: five aligned 8-byte
 * loads into a private copy, once. What comes out is a struct avpd_pkt of checked numbers, and only
 * these are used from then on, whatever the guest does to the descriptor meanwhile.
 *
 * Label to index takes no division. A stride is 64 times an odd number d, and an odd number has an
 * inverse modulo 2^64: for the offset 64 * d * i, multiplying by it gives 64 * i, and rotating
 * right by 6 gives i. Both steps can be undone, so any offset that is not the start of a buffer
 * gives something else than an index below nb_bufs: one comparison checks range and stride.
 */

#ifndef AVPD_CHECK_H
#define AVPD_CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <avp/avp_cring.h>

#include "avpd_layout.h"

/** What is wrong with a packet, or a returned buffer, of the guest. */
enum avpd_check {
	AVPD_CHECK_OK = 0,
	AVPD_CHECK_BAD_RANGE,  /* the label is outside the packet buffers */
	AVPD_CHECK_BAD_STRIDE, /* it is not the start of a buffer */
	AVPD_CHECK_BAD_OWNER,  /* the buffer is not the guest's to give, on this FIFO, now */
	AVPD_CHECK_BAD_DATA, /* the data does not start in its own buffer, behind the descriptor */
	AVPD_CHECK_BAD_DATA_LEN, /* the data runs past its buffer, or is empty, or the first segment
				  * of several has no whole Ethernet header: programs read that
				  * without looking */
	AVPD_CHECK_BAD_CHAIN,   /* 0 or more than 5 segments, another number of them than announced,
				 * or one buffer twice (a loop) */
	AVPD_CHECK_BAD_PKT_LEN, /* not the sum of the segments, below 14 bytes, above the limit */
	AVPD_CHECK_NB
};

/** Name of a result, as in counters: "bad_range" and so on. */
static inline const char *
avpd_check_name(enum avpd_check check)
{
	switch (check) {
	case AVPD_CHECK_OK:
		return "ok";
	case AVPD_CHECK_BAD_RANGE:
		return "bad_range";
	case AVPD_CHECK_BAD_STRIDE:
		return "bad_stride";
	case AVPD_CHECK_BAD_OWNER:
		return "bad_owner";
	case AVPD_CHECK_BAD_DATA:
		return "bad_data";
	case AVPD_CHECK_BAD_DATA_LEN:
		return "bad_data_len";
	case AVPD_CHECK_BAD_CHAIN:
		return "bad_chain";
	case AVPD_CHECK_BAD_PKT_LEN:
		return "bad_pkt_len";
	case AVPD_CHECK_NB:
		break;
	}
	return "unknown";
}

/** The packet buffers of a memory, as mapped here. Private, constant once initialised. */
struct avpd_bufs {
	uint8_t *base;      /* buffer 0 */
	uint64_t bufs_va;   /* its label */
	uint64_t inverse;   /* of stride / AVPD_CACHE_LINE, modulo 2^64 */
	uint32_t stride;    /* bytes, an odd number of cache lines, < 65536 */
	uint32_t nb_bufs;   /* of the whole memory, all ports */
	uint32_t data_off;  /* bytes from a buffer's start to its data when it is given out */
	uint32_t data_size; /* bytes there */
};

/** One segment, checked. */
struct avpd_seg {
	uint32_t buf_idx;
	uint16_t data_off; /* bytes from the buffer's start, >= sizeof(struct avp_desc) */
	uint16_t data_len; /* bytes, > 0; data_off + data_len <= stride */
};

/** A packet, checked: the private copy of what its descriptors said. */
struct avpd_pkt {
	uint32_t pkt_len;  /* bytes, the sum of the segments */
	uint16_t ol_flags; /* AVP_DESC_*, as the guest wrote them */
	uint16_t vlan_tci; /* as the guest wrote it */
	uint8_t nb_segs;   /* 1..AVP_MAX_SEGS */
	uint8_t nb_own;    /* leading entries of seg[] whose buf_idx is a buffer that the guest gave
			    * and owned; equal to nb_segs when the packet is good */
	uint8_t reserved[6];
	struct avpd_seg seg[AVP_MAX_SEGS];
};

/** No buffer; where an index may be absent. */
#define AVPD_NO_BUF UINT32_MAX

#define AVPD_LIKELY(cond) __builtin_expect(!!(cond), 1)
#define AVPD_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

/**
 * Describe the buffers of a mapped memory.
 *
 * @mem  where the start of BAR 2 is mapped
 * Returns 0, or -EINVAL when the layout's strides or sizes are not what the checks are built for.
 */
static inline int
avpd_bufs_init(struct avpd_bufs *bufs, void *mem, const struct avpd_layout *layout)
{
	const uint32_t stride = layout->buf_stride;
	const uint64_t lines = stride / AVPD_CACHE_LINE;
	uint64_t inverse = lines; /* right in the lowest 3 bits, as for every odd number */

	if (stride % AVPD_CACHE_LINE != 0 || lines % 2 == 0 || stride > UINT16_MAX)
		return -EINVAL;
	if (layout->buf_data_off < sizeof(struct avp_desc) || layout->buf_data_off >= stride ||
			layout->buf_data_size > stride - layout->buf_data_off)
		return -EINVAL;
	/* Newton: each step doubles the number of right bits, 3 -> 96. */
	for (int i = 0; i < 5; i++)
		inverse *= 2 - lines * inverse;
	bufs->base = (uint8_t *)mem + layout->bufs_off;
	bufs->bufs_va = layout->bufs_va;
	bufs->inverse = inverse;
	bufs->stride = stride;
	bufs->nb_bufs = layout->nb_bufs;
	bufs->data_off = layout->buf_data_off;
	bufs->data_size = layout->buf_data_size;
	return 0;
}

/** Where buffer @idx is mapped: its descriptor, guest-writable at any time. */
static inline void *
avpd_buf_ptr(const struct avpd_bufs *bufs, uint32_t idx)
{
	return bufs->base + (size_t)idx * bufs->stride;
}

/** The label of buffer @idx. */
static inline uint64_t
avpd_buf_va(const struct avpd_bufs *bufs, uint32_t idx)
{
	return bufs->bufs_va + (uint64_t)idx * bufs->stride;
}

/**
 * Turn a label into an index.
 *
 * @buf_va  as the guest wrote it; the caller has read it once
 * @idx     out: below nb_bufs; written only on success
 * Returns AVPD_CHECK_OK, _BAD_RANGE or _BAD_STRIDE.
 */
static inline enum avpd_check
avpd_check_label(const struct avpd_bufs *bufs, uint64_t buf_va, uint32_t *idx)
{
	const uint64_t off = buf_va - bufs->bufs_va;
	uint64_t i = off * bufs->inverse;

	i = i >> 6 | i << 58;
	if (AVPD_LIKELY(i < bufs->nb_bufs)) {
		*idx = (uint32_t)i;
		return AVPD_CHECK_OK;
	}
	return off < (uint64_t)bufs->nb_bufs * bufs->stride ? AVPD_CHECK_BAD_STRIDE
							    : AVPD_CHECK_BAD_RANGE;
}
AVP_ASSERT(AVPD_CACHE_LINE == 1 << 6);

/**
 * Check a buffer that the guest gives: range, stride, owner. All that is needed of an entry of a
 * free FIFO; its descriptor is not read.
 *
 * @owners  private, one entry per buffer of the memory; may be written by other threads
 * @owner   the value that says that the guest may give it, on the FIFO that @buf_va came from
 * @idx     out: written only on success. The caller must note the new owner before it checks the
 *          next entry: this is what finds a buffer that is given twice.
 * Returns AVPD_CHECK_OK, _BAD_RANGE, _BAD_STRIDE or _BAD_OWNER.
 */
static inline enum avpd_check
avpd_check_buf(const struct avpd_bufs *bufs, const uint16_t *owners, uint16_t owner,
		uint64_t buf_va, uint32_t *idx)
{
	uint32_t i;
	enum avpd_check check = avpd_check_label(bufs, buf_va, &i);

	if (AVPD_UNLIKELY(check != AVPD_CHECK_OK))
		return check;
	if (AVPD_UNLIKELY(__atomic_load_n(&owners[i], __ATOMIC_RELAXED) != owner))
		return AVPD_CHECK_BAD_OWNER;
	*idx = i;
	return AVPD_CHECK_OK;
}

/* The five 8-byte words of a descriptor that mean something to the host, as read at one time. */
struct avpd_desc_words {
	uint64_t w24; /* ol_flags in the highest 16 bits */
	uint64_t next_va;
	uint64_t data_va;
	uint64_t w48; /* data_len 16 bits, nb_segs 8, (8), pkt_len 16, (16) */
	uint64_t w56; /* (16), vlan_tci 16, (32) */
};

/* The only read of a descriptor. Atomic loads cannot be done twice, or torn, by the compiler. */
static inline void
avpd_desc_fetch(const void *desc, struct avpd_desc_words *words)
{
	const uint64_t *word = (const uint64_t *)desc;

	words->w24 = __atomic_load_n(&word[3], __ATOMIC_RELAXED);
	words->next_va = __atomic_load_n(&word[4], __ATOMIC_RELAXED);
	words->data_va = __atomic_load_n(&word[5], __ATOMIC_RELAXED);
	words->w48 = __atomic_load_n(&word[6], __ATOMIC_RELAXED);
	words->w56 = __atomic_load_n(&word[7], __ATOMIC_RELAXED);
}

/** Where the guest says now that the chain goes on: good for a look ahead, and no more. */
static inline uint64_t
avpd_desc_peek_next(const struct avpd_bufs *bufs, uint32_t idx)
{
	const uint64_t *word = (const uint64_t *)avpd_buf_ptr(bufs, idx);

	return __atomic_load_n(&word[4], __ATOMIC_RELAXED);
}

static inline uint16_t
avpd_words_data_len(const struct avpd_desc_words *words)
{
	return (uint16_t)words->w48;
}

static inline uint8_t
avpd_words_nb_segs(const struct avpd_desc_words *words)
{
	return (uint8_t)(words->w48 >> 16);
}

static inline uint16_t
avpd_words_pkt_len(const struct avpd_desc_words *words)
{
	return (uint16_t)(words->w48 >> 32);
}

/* Check where the data of the segment is, and note it. */
static inline enum avpd_check
avpd_check_data(const struct avpd_bufs *bufs, uint64_t buf_va, const struct avpd_desc_words *words,
		struct avpd_seg *seg)
{
	const uint64_t data_off = words->data_va - buf_va;
	const uint32_t data_len = avpd_words_data_len(words);

	if (AVPD_UNLIKELY(data_off - sizeof(struct avp_desc) >=
			    bufs->stride - sizeof(struct avp_desc)))
		return AVPD_CHECK_BAD_DATA;
	if (AVPD_UNLIKELY(data_len - 1 >= bufs->stride - (uint32_t)data_off))
		return AVPD_CHECK_BAD_DATA_LEN;
	seg->data_off = (uint16_t)data_off;
	seg->data_len = (uint16_t)data_len;
	return AVPD_CHECK_OK;
}

/* Check the sum of the segments against what the first descriptor says. */
static inline enum avpd_check
avpd_check_pkt_len(uint32_t sum, uint32_t pkt_len, uint32_t max_pkt)
{
	if (AVPD_UNLIKELY(sum != pkt_len || pkt_len < AVP_MIN_PKT_SIZE || pkt_len > max_pkt))
		return AVPD_CHECK_BAD_PKT_LEN;
	return AVPD_CHECK_OK;
}

/* Check segment @n of a chain, whose head has been checked and is in pkt->seg[0]. */
static inline enum avpd_check
avpd_check_next(const struct avpd_bufs *bufs, const uint16_t *owners, uint16_t owner,
		uint64_t buf_va, struct avpd_desc_words *words, struct avpd_pkt *pkt, uint32_t n)
{
	struct avpd_seg *seg = &pkt->seg[n];
	enum avpd_check check = avpd_check_buf(bufs, owners, owner, buf_va, &seg->buf_idx);

	if (check != AVPD_CHECK_OK)
		return check;
	for (uint32_t i = 0; i < n; i++) {
		if (pkt->seg[i].buf_idx == seg->buf_idx)
			return AVPD_CHECK_BAD_CHAIN;
	}
	pkt->nb_own++;
	avpd_desc_fetch(avpd_buf_ptr(bufs, seg->buf_idx), words);
	return avpd_check_data(bufs, buf_va, words, seg);
}

/* All of a packet whose first descriptor, in @words, does not say that it is the only one. Not
 * inline: it would only push the common case out of the caller's loop. */
static __attribute__((noinline, unused)) enum avpd_check
avpd_check_chain(const struct avpd_bufs *bufs, const uint16_t *owners, uint16_t owner,
		uint32_t max_pkt, struct avpd_desc_words *words, struct avpd_pkt *pkt)
{
	const uint32_t nb_segs = avpd_words_nb_segs(words);
	const uint32_t pkt_len = avpd_words_pkt_len(words);
	uint32_t sum = pkt->seg[0].data_len;

	if (nb_segs == 0 || nb_segs > AVP_MAX_SEGS)
		return AVPD_CHECK_BAD_CHAIN;
	if (nb_segs > 1 && sum < AVP_MIN_PKT_SIZE)
		return AVPD_CHECK_BAD_DATA_LEN;
	for (uint32_t n = 1; n < nb_segs; n++) {
		enum avpd_check check;

		if (words->next_va == 0)
			return AVPD_CHECK_BAD_CHAIN;
		check = avpd_check_next(bufs, owners, owner, words->next_va, words, pkt, n);
		if (check != AVPD_CHECK_OK)
			return check;
		sum += pkt->seg[n].data_len;
	}
	if (words->next_va != 0)
		return AVPD_CHECK_BAD_CHAIN;
	pkt->nb_segs = (uint8_t)nb_segs;
	pkt->pkt_len = pkt_len;
	return avpd_check_pkt_len(sum, pkt_len, max_pkt);
}

/**
 * Check a packet that the guest sends.
 *
 * @owners, @owner  as for avpd_check_buf(); the owner must be the same for the whole chain
 * @max_pkt         bytes of the largest packet taken
 * @buf_va          label of the first buffer, as read once from the tx FIFO
 * @pkt             out. On failure only nb_own and the buf_idx of that many segments are valid:
 *                  these buffers the guest has given, and the caller takes them back
 *
 * Either way the caller must note the new owner of pkt->nb_own buffers before it checks the next
 * packet: this is what finds a buffer that is given twice.
 *
 * Returns what is wrong, the first thing found in the order of the chain. A buffer of the chain
 * behind the one where the check ended stays the guest's.
 * Context: the lcore that owns the queue. Bounded by AVP_MAX_SEGS descriptors.
 */
static inline enum avpd_check
avpd_check_pkt(const struct avpd_bufs *bufs, const uint16_t *owners, uint16_t owner,
		uint32_t max_pkt, uint64_t buf_va, struct avpd_pkt *pkt)
{
	struct avpd_desc_words words;
	enum avpd_check check;

	pkt->nb_own = 0;
	check = avpd_check_buf(bufs, owners, owner, buf_va, &pkt->seg[0].buf_idx);
	if (AVPD_UNLIKELY(check != AVPD_CHECK_OK))
		return check;
	pkt->nb_own = 1;
	/* the index has been checked, and with it the offset: no need to multiply again */
	avpd_desc_fetch(bufs->base + (buf_va - bufs->bufs_va), &words);
	check = avpd_check_data(bufs, buf_va, &words, &pkt->seg[0]);
	if (AVPD_UNLIKELY(check != AVPD_CHECK_OK))
		return check;
	pkt->ol_flags = (uint16_t)(words.w24 >> 48);
	pkt->vlan_tci = (uint16_t)(words.w56 >> 16);
	if (AVPD_UNLIKELY(avpd_words_nb_segs(&words) != 1 || words.next_va != 0))
		return avpd_check_chain(bufs, owners, owner, max_pkt, &words, pkt);
	pkt->nb_segs = 1;
	pkt->pkt_len = avpd_words_pkt_len(&words);
	return avpd_check_pkt_len(pkt->seg[0].data_len, pkt->pkt_len, max_pkt);
}

/**
 * Check what an entry of a compact ring says of its buffer: range, then the place of the data. Who
 * has the buffer is the caller's business.
 *
 * @place  the entry's first word, as read once
 * @seg    out: valid only on success, but for buf_idx, which is so unless it is _BAD_RANGE
 * Returns AVPD_CHECK_OK, _BAD_RANGE, _BAD_DATA or _BAD_DATA_LEN.
 */
static inline enum avpd_check
avpd_check_place(const struct avpd_bufs *bufs, uint64_t place, struct avpd_seg *seg)
{
	const uint32_t data_off = avp_cring_data_off(place);
	const uint32_t data_len = avp_cring_data_len(place);

	seg->buf_idx = avp_cring_buf_idx(place);
	seg->data_off = (uint16_t)data_off;
	seg->data_len = (uint16_t)data_len;
	if (AVPD_UNLIKELY(seg->buf_idx >= bufs->nb_bufs))
		return AVPD_CHECK_BAD_RANGE;
	if (AVPD_UNLIKELY(data_off - (uint32_t)sizeof(struct avp_desc) >=
			    bufs->stride - (uint32_t)sizeof(struct avp_desc)))
		return AVPD_CHECK_BAD_DATA;
	if (AVPD_UNLIKELY(data_len - 1 >= bufs->stride - data_off))
		return AVPD_CHECK_BAD_DATA_LEN;
	return AVPD_CHECK_OK;
}

/*
 * Writing descriptors: always all of it. The stock driver ORs into, and appends to, what it finds
 * in an empty buffer, and a guest that gets a packet must not take anything of another's for the
 * host's (docs/device.md).
 */

/* Overwrite the descriptor of buffer @idx. */
static inline void
avpd_desc_write(const struct avpd_bufs *bufs, uint32_t idx, uint64_t w24, uint64_t next_va,
		uint32_t data_off, uint64_t w48, uint64_t w56)
{
	uint64_t *word = (uint64_t *)avpd_buf_ptr(bufs, idx);
	const uint64_t buf_va = avpd_buf_va(bufs, idx);

	__atomic_store_n(&word[0], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&word[1], buf_va, __ATOMIC_RELAXED);
	__atomic_store_n(&word[2], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&word[3], w24, __ATOMIC_RELAXED);
	__atomic_store_n(&word[4], next_va, __ATOMIC_RELAXED);
	__atomic_store_n(&word[5], buf_va + data_off, __ATOMIC_RELAXED);
	__atomic_store_n(&word[6], w48, __ATOMIC_RELAXED);
	__atomic_store_n(&word[7], w56, __ATOMIC_RELAXED);
}

/** Make buffer @idx an empty one, as a guest expects it from an alloc FIFO. The buffer is the
 * host's; the FIFO's release makes it visible. */
static inline void
avpd_desc_write_empty(const struct avpd_bufs *bufs, uint32_t idx)
{
	avpd_desc_write(bufs, idx, 0, 0, bufs->data_off, 0, 0);
}

/**
 * Describe one segment of a packet for the guest.
 *
 * @seg       checked: within the buffer
 * @next_idx  the next segment's buffer, or AVPD_NO_BUF
 * @nb_segs, @pkt_len, @ol_flags, @vlan_tci  of the packet in its first segment; 0 in the others
 */
static inline void
avpd_desc_write_seg(const struct avpd_bufs *bufs, const struct avpd_seg *seg, uint32_t next_idx,
		uint8_t nb_segs, uint32_t pkt_len, uint16_t ol_flags, uint16_t vlan_tci)
{
	const uint64_t next_va = next_idx == AVPD_NO_BUF ? 0 : avpd_buf_va(bufs, next_idx);

	avpd_desc_write(bufs, seg->buf_idx, (uint64_t)ol_flags << 48, next_va, seg->data_off,
			seg->data_len | (uint64_t)nb_segs << 16 | (uint64_t)(uint16_t)pkt_len << 32,
			(uint64_t)vlan_tci << 16);
}

/** Describe a whole packet: seg[0..nb_segs) of @pkt, pkt_len, ol_flags and vlan_tci. */
static inline void
avpd_desc_write_pkt(const struct avpd_bufs *bufs, const struct avpd_pkt *pkt)
{
	const uint32_t last = (uint32_t)pkt->nb_segs - 1;

	avpd_desc_write_seg(bufs, &pkt->seg[0], last > 0 ? pkt->seg[1].buf_idx : AVPD_NO_BUF,
			pkt->nb_segs, pkt->pkt_len, pkt->ol_flags, pkt->vlan_tci);
	for (uint32_t i = 1; i <= last; i++)
		avpd_desc_write_seg(bufs, &pkt->seg[i],
				i < last ? pkt->seg[i + 1].buf_idx : AVPD_NO_BUF, 0, 0, 0, 0);
}

/* The words above are cut where the contract has its fields. */
AVP_ASSERT_FIELD(avp_desc, ol_flags, 24 + 6, 2);
AVP_ASSERT_FIELD(avp_desc, data_len, 48 + 0, 2);
AVP_ASSERT_FIELD(avp_desc, nb_segs, 48 + 2, 1);
AVP_ASSERT_FIELD(avp_desc, pkt_len, 48 + 4, 2);
AVP_ASSERT_FIELD(avp_desc, vlan_tci, 56 + 2, 2);

#endif /* AVPD_CHECK_H */
