/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Packet buffers, seen from the host: who has each of them, which mbuf goes with it, and the
 * mempool of fixed mbufs that a port's own buffers are.
 *
 * How it works
 * The host keeps two private arrays for each memory, indexed by buffer number: the owner, and the
 * mbuf that the host holds while the guest has the buffer. A buffer given out on a lane (a FIFO
 * pair of a port) must come back on that lane: its owner entry says which. So an entry is only ever
 * changed by the one lcore that serves this lane in this direction, or by the control thread while
 * the lane's gate is shut, and needs no atomic read-modify-write.
 *
 *   host --alloc FIFO--> guest --tx FIFO--> host       owner: port, lane, AVPH_GIVEN_ALLOC
 *   host --rx FIFO-----> guest --free FIFO-> host      owner: port, lane, AVPH_GIVEN_RX
 *
 * Of a chain given on an rx FIFO only the head changes owner: the guest returns only the head, and
 * the host then frees the chain of its own mbufs.
 *
 * A guest that has taken up AVP_FEATURE_RECYCLE may send what it got: a buffer given on an rx FIFO
 * may come back on any tx FIFO of the port. Then two lcores may find it returned at the same time,
 * so the entries that say "given on this rx FIFO" are changed to anything else only under the lock
 * of that FIFO's lane (struct avph_returns), taken once for a burst. The lcore that takes a buffer
 * from a tx FIFO first makes it one that was given on the alloc FIFO of the same number; from there
 * on it is checked and taken as any other. Of a chain each buffer then has its owner and is held by
 * itself.
 *
 * A port's own buffers are the objects of its mempool: mbuf headers in private memory, whose
 * buf_addr points into the shared memory behind the buffer's descriptor, for ever. In DPDK's terms
 * they are mbufs with a pinned external buffer, so that applications may clone them. An application
 * sees them as they are if it receives into this mempool; with any other mempool, that pool's mbufs
 * get the buffer attached, by way of the same shared information, and the fixed mbuf goes back to
 * its pool when the last of them is freed.
 */

#ifndef AVPH_BUF_H
#define AVPH_BUF_H

#include <stdatomic.h>
#include <sys/queue.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <avp/avp_fifo.h>

#include "avp_err.h"
#include "avpd_check.h"
#include "avpd_layout.h"

struct avph_mem;

/** Bytes from an mbuf's buf_addr to the end of its buffer: all but the descriptor. */
#define AVPH_BUF_LEN (AVPD_BUF_STRIDE - sizeof(struct avp_desc))

/** How a guest got a buffer. */
enum avph_given {
	AVPH_GIVEN_ALLOC = 0, /* empty, on an alloc FIFO; comes back on the tx FIFO */
	AVPH_GIVEN_RX = 1,    /* with a packet, on an rx FIFO; comes back on the free FIFO */
};

/** The owner entry of a buffer that no guest may give. */
#define AVPH_OWNER_HOST 0u

/** The owner entry of a buffer that the guest of @slot has; never AVPH_OWNER_HOST. */
static inline uint16_t
avph_owner(uint32_t slot, uint32_t lane, enum avph_given given)
{
	return (uint16_t)((slot + 1) << 4 | lane << 1 | given);
}
AVP_ASSERT(AVP_MAX_QUEUES <= 8 && (AVPD_MAX_SLOTS + 1) << 4 <= UINT16_MAX);

/* Bits of an owner entry. */
#define AVPH_OWNER_LANE (7u << 1)
#define AVPH_OWNER_GIVEN 1u

/** The number of the FIFO on which it was given. */
static inline uint32_t
avph_owner_lane(uint16_t owner)
{
	return (owner & AVPH_OWNER_LANE) >> 1;
}

/** Does an owner entry say that its buffer was given on any rx FIFO of the port that @same_port
 * names? */
static inline bool
avph_owner_is_rx(uint16_t owner, uint16_t same_port)
{
	const uint16_t rx = (uint16_t)((same_port & ~(AVPH_OWNER_LANE | AVPH_OWNER_GIVEN)) |
			AVPH_GIVEN_RX);

	return (owner & ~AVPH_OWNER_LANE) == rx;
}

/** Does an owner entry name the port in @slot? */
static inline bool
avph_owner_is_slot(uint16_t owner, uint32_t slot)
{
	return owner >> 4 == (uint16_t)(slot + 1);
}

static inline uint16_t
avph_owner_get(const uint16_t *owners, uint32_t idx)
{
	return atomic_load_explicit((const _Atomic uint16_t *)&owners[idx], memory_order_relaxed);
}

/* Relaxed: whoever reads this entry and acts on it is the same lcore, or gets the buffer through
 * something that orders (a mempool, a ring, a gate). Others only compare it. */
static inline void
avph_owner_set(uint16_t *owners, uint32_t idx, uint16_t owner)
{
	atomic_store_explicit((_Atomic uint16_t *)&owners[idx], owner, memory_order_relaxed);
}

/* The same, for an entry that another lcore may act on at once: it finds what was written before,
 * what is held above all. Pairs with the acquire in avph_owner_get_given(). */
static inline void
avph_owner_set_given(uint16_t *owners, uint32_t idx, uint16_t owner)
{
	atomic_store_explicit((_Atomic uint16_t *)&owners[idx], owner, memory_order_release);
}

static inline uint16_t
avph_owner_get_given(const uint16_t *owners, uint32_t idx)
{
	return atomic_load_explicit((const _Atomic uint16_t *)&owners[idx], memory_order_acquire);
}

/** A port's own buffers. Outlives its port while some of them are still in use elsewhere. */
struct avph_pool {
	LIST_ENTRY(avph_pool) entry; /* of the process's list of leftovers */
	struct rte_mempool *mp;
	struct avph_mem *mem;
	struct avpd_layout layout; /* of the port: slot, first_buf, nb_own_bufs */
	unsigned int nb_full;      /* checks in a row that found it full */
	char name[32];             /* of the port */
};

/** In the private area of each fixed mbuf. */
struct avph_mbuf_priv {
	/* of the buffer, whichever mbufs it is attached to. Its count is 1 while the mbuf is in the
	 * pool, or the guest has the buffer. */
	struct rte_mbuf_ext_shared_info shinfo;
	uint64_t buf_idx; /* number of the buffer, never changes */
};
AVP_ASSERT(sizeof(struct avph_mbuf_priv) % RTE_MBUF_PRIV_ALIGN == 0);

/** Free callback of the buffers, when the last mbuf that is freed is not the fixed one: that goes
 * back to its pool now. Any thread. */
void avph_ext_free(void *addr, void *fixed_mbuf);

/**
 * Make the mempool of a port whose memory has been added and mapped.
 *
 * @name  of the port
 * Returns 0 or -errno with @err filled in. The pool takes no reference on @mem.
 */
int avph_pool_create(struct avph_pool **pool, struct avph_mem *mem,
		const struct avpd_layout *layout, const char *name, int numa_node,
		struct avp_err *err);
/** All mbufs must be back. NULL is allowed. */
void avph_pool_destroy(struct avph_pool *pool);

/**
 * Take back all that the guest of @slot has, in all of the memory.
 *
 * Returns the number of buffers that its FIFO entries named. Context: control thread, with the
 * gates of that port shut.
 */
uint32_t avph_buf_take_back(struct avph_mem *mem, uint32_t slot);

/** The number of the buffer that @mbuf's buf_addr belongs to; false: none of this memory. */
static inline bool
avph_buf_of_mbuf(const struct avpd_bufs *bufs, const struct rte_mbuf *mbuf, uint32_t *idx)
{
	const uint64_t off = (uint64_t)((uintptr_t)mbuf->buf_addr - sizeof(struct avp_desc) -
			(uintptr_t)bufs->base);

	return avpd_check_label(bufs, bufs->bufs_va + off, idx) == AVPD_CHECK_OK;
}

/** Fetch the descriptor of the buffer that @mbuf may be in, to be written. Harmless for any mbuf.
 */
static inline void
avph_buf_prefetch_desc(const struct rte_mbuf *mbuf)
{
	avp_prefetch_write((const uint8_t *)mbuf->buf_addr - sizeof(struct avp_desc));
}

/*
 * What is held while a guest has a buffer: an mbuf chain, and marks in the lowest bits of the
 * pointer that say what need not be looked up when it comes back.
 */

/* A single mbuf in just the state in which it lies in its pool: no need to free it, only to put it
 * back. */
#define AVPH_HELD_RAW UINT64_C(1)
/* All of its mbufs are from the pool of the port whose guest has it. */
#define AVPH_HELD_OWN UINT64_C(2)
#define AVPH_HELD_MARKS (AVPH_HELD_RAW | AVPH_HELD_OWN)

static inline uintptr_t
avph_held(const struct rte_mbuf *mbuf, uintptr_t marks)
{
	return (uintptr_t)mbuf | marks;
}

static inline struct rte_mbuf *
avph_held_mbuf(uintptr_t held)
{
	return (struct rte_mbuf *)(held & ~(uintptr_t)AVPH_HELD_MARKS);
}

/** May the buffer of @mbuf be given to a guest of this memory: is nobody else using it? Only then
 * is @idx its number. The data are within the buffer. */
static inline bool
avph_buf_is_sole(const struct avpd_bufs *bufs, const struct rte_mbuf *mbuf, uint32_t *idx)
{
	if (!avph_buf_of_mbuf(bufs, mbuf, idx) || rte_mbuf_refcnt_read(mbuf) != 1)
		return false;
	if (!RTE_MBUF_HAS_EXTBUF(mbuf) || mbuf->shinfo->free_cb != avph_ext_free ||
			rte_mbuf_ext_refcnt_read(mbuf->shinfo) != 1)
		return false;
	return mbuf->data_len != 0 && (uint32_t)mbuf->data_off + mbuf->data_len <= AVPH_BUF_LEN;
}

#endif /* AVPH_BUF_H */
