/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Feature bit "recycle", the guest's side: which mbuf goes with which packet buffer, so that
 * received packets are handed out, and sent back, without a copy. avpg_rx.c and avpg_tx.c use it.
 *
 * How it works
 * Each rx queue has a table with a slot for every packet buffer of the device. When a packet comes,
 * an mbuf of the queue's mempool is bound to its buffer: the buffer is attached to it as external
 * memory, with shared information in the slot. From there on:
 *
 *                  rx burst                 rx burst
 *     (no mbuf) ---------------> APP <------------------ idle: mbuf, and the host has the buffer
 *         ^                     |   |                     ^
 *         |     freed (any thread)  +---- tx burst -------+
 *         |                     v
 *         +---- rx burst --- APP, no mbuf: on its way to the free FIFO
 *
 * An application that sends the packet back lets tx bursts keep the mbuf bound: when the host next
 * uses the buffer, nothing needs to be allocated or attached. In this state an mbuf of the
 * application's mempool waits for a packet, as it does in the rx ring of a NIC; the number is
 * limited in the same way, and all go back to the mempool when the port is stopped.
 *
 * An application that frees the packet, on any thread, frees the mbuf to its mempool as always; the
 * last user of the buffer calls avpg_recycle_free(), which pushes the buffer onto a stack of the
 * table (one compare and swap, no waiting). The queue's own rx burst takes the whole stack now and
 * then and puts the labels on the free FIFOs, of which it is the only producer.
 *
 * Who writes what: a slot's state changes to APP only in the rx bursts of its queue, which find
 * nobody else changing it then; from APP only by the one who has the packet: the mbuf's last user,
 * or the tx burst it was given to, and what was freed by the rx burst that tells the host. So a
 * host that gives the same buffer again is noticed, and one that gives it on two FIFOs of different
 * queues reaches two tables, and two mbufs, that see the same bytes: no more than it can do to the
 * bytes anyway.
 *
 * Generations: whatever makes the device forget which buffers are ours (configure, attach, close)
 * retires the whole structure. mbufs that are still out keep it, and BAR 2 mapped, but what they
 * return goes nowhere; tx bursts know only the new one. The last of them frees it.
 */

#ifndef AVPG_RECYCLE_H
#define AVPG_RECYCLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include <avp/avp_abi.h>

#include "avpg_addr.h"
#include "avpg_map.h"

struct avpg_port;

/** mbufs that a table has at hand for packets to come. */
#define AVPG_NB_SPARE 64u

/** In a slot's state, besides the mbuf: the application has the buffer, or had it and the host does
 * not know yet. */
#define AVPG_SLOT_APP ((uintptr_t)1)

struct avpg_slot {
	_Atomic uintptr_t state; /* the mbuf bound to the buffer, or 0; and AVPG_SLOT_APP */
	struct rte_mbuf_ext_shared_info shinfo;
};

/** Ends of the stack of freed buffers. */
#define AVPG_STACK_END UINT32_MAX
#define AVPG_STACK_CLOSED (UINT32_MAX - 1) /* retired: nobody takes any more */

/** What one rx queue knows of the buffers. */
struct avpg_table {
	struct avpg_recycle *recycle;
	struct avpg_slot *slots; /* by number of the buffer */
	uint32_t *next;          /* likewise: link of the stack, of what is freed */
	uint8_t *fifo;           /* likewise: number of the rx FIFO that it came from */
	/* the rx bursts', or whoever has closed their gate */
	uint32_t nb_out;   /* buffers with the application, but for what is not seen yet */
	uint32_t nb_bound; /* slots with an mbuf, likewise */
	uint32_t seen_sent;
	uint32_t pending; /* stack of freed buffers for which a free FIFO had no room */
	uint32_t hand;    /* where to look for an idle mbuf */
	uint32_t nb_spare;
	struct rte_mbuf *spare[AVPG_NB_SPARE];
	_Atomic uint32_t freed __rte_cache_aligned; /* stack; any thread pushes */
} __rte_cache_aligned;

/** All of a port's, for one generation. */
struct avpg_recycle {
	struct avpg_map *map;
	struct avpg_mem mem;
	uint8_t *queue_of; /* by number of the buffer: the rx queue that had it last */
	uint32_t nb_tables;
	_Atomic uint32_t left; /* once retired: mbufs that are out */
	struct avpg_table tables[AVP_MAX_QUEUES];
	/* by tx queue, which writes it: buffers of each rx queue that it has sent back, ever */
	struct {
		_Atomic uint32_t nb[AVP_MAX_QUEUES];
	} __rte_cache_aligned sent[AVP_MAX_QUEUES];
};

/**
 * A new generation for the port's device, with a table for each rx queue.
 *
 * NULL: no memory, or the device or its bus cannot do it. Context: ctl_lock held.
 */
struct avpg_recycle *avpg_recycle_create(const struct avpg_port *port);

/** Give mbufs that are not with the application back to their mempools. Gates closed. NULL is
 * allowed. */
void avpg_recycle_trim(struct avpg_recycle *recycle);

/** The device has taken back all buffers, or will never hear of them. Gates closed; no queue may
 * use it afterwards. NULL is allowed. */
void avpg_recycle_retire(struct avpg_recycle *recycle);

/** Received buffers that the application has. NULL is allowed: 0. Gates of rx queues closed. */
uint32_t avpg_recycle_nb_out(struct avpg_recycle *recycle);

/** Free callback of the buffers. Any thread. */
void avpg_recycle_free(void *addr, void *table);

/** The number of the buffer that @m's memory may be, as avpg_mem_buf_idx(). */
static inline uint64_t
avpg_recycle_idx_of(const struct avpg_recycle *recycle, const struct rte_mbuf *m)
{
	return avpg_mem_buf_idx(&recycle->mem,
			(uintptr_t)m->buf_addr - sizeof(struct avp_desc) -
					(uintptr_t)avpg_mem_buf(&recycle->mem, 0));
}

static inline uintptr_t
avpg_slot_get(const struct avpg_slot *slot)
{
	/* pairs with the release in avpg_slot_set() */
	return atomic_load_explicit(
			&((struct avpg_slot *)(uintptr_t)slot)->state, memory_order_acquire);
}

static inline void
avpg_slot_set(struct avpg_slot *slot, uintptr_t state)
{
	atomic_store_explicit(&slot->state, state, memory_order_release);
}

static inline uint8_t
avpg_recycle_queue_of(const struct avpg_recycle *recycle, uint64_t idx)
{
	return atomic_load_explicit(
			(_Atomic uint8_t *)&recycle->queue_of[idx], memory_order_relaxed);
}

/** Is @m what was handed out with the buffer of @slot, and is nobody else using it? */
static inline bool
avpg_recycle_is_sole(const struct avpg_slot *slot, const struct rte_mbuf *m)
{
	return avpg_slot_get(slot) == ((uintptr_t)m | AVPG_SLOT_APP) &&
			rte_mbuf_refcnt_read(m) == 1 &&
			rte_mbuf_ext_refcnt_read(&slot->shinfo) == 1;
}

/**
 * Is @m one that this generation has handed out, and nobody else using its buffer?
 *
 * @queue, @idx  out: the rx queue, the number of the buffer
 * Returns its slot; then it is the caller's to send. Its data are within the buffer and not empty.
 */
static inline struct avpg_slot *
avpg_recycle_own(const struct avpg_recycle *recycle, const struct rte_mbuf *m, uint32_t *queue,
		uint32_t *idx)
{
	const uint64_t i = avpg_recycle_idx_of(recycle, m);
	struct avpg_slot *slot;

	if (i >= recycle->mem.nb_bufs)
		return NULL;
	*queue = avpg_recycle_queue_of(recycle, i);
	slot = &recycle->tables[*queue].slots[i];
	if (!avpg_recycle_is_sole(slot, m))
		return NULL;
	if (m->data_len == 0 ||
			(uint32_t)m->data_off + m->data_len > avpg_mem_buf_len(&recycle->mem))
		return NULL;
	*idx = (uint32_t)i;
	return slot;
}

/** The buffer goes to the host, the mbuf waits for its return. Context: tx burst of @tx_queue. */
static inline void
avpg_recycle_sent(struct avpg_recycle *recycle, struct avpg_slot *slot, struct rte_mbuf *m,
		uint32_t rx_queue, uint32_t tx_queue)
{
	_Atomic uint32_t *nb = &recycle->sent[tx_queue].nb[rx_queue];

	avpg_slot_set(slot, (uintptr_t)m);
	atomic_store_explicit(nb, atomic_load_explicit(nb, memory_order_relaxed) + 1,
			memory_order_relaxed);
}

/** Take what tx queues have sent back into account. Context: rx burst of the table's queue. */
static inline void
avpg_table_see_sent(struct avpg_table *table)
{
	struct avpg_recycle *recycle = table->recycle;
	const uint32_t queue = (uint32_t)(table - recycle->tables);
	uint32_t sum = 0;

	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++)
		sum += atomic_load_explicit(&recycle->sent[i].nb[queue], memory_order_relaxed);
	table->nb_out -= sum - table->seen_sent;
	table->seen_sent = sum;
}

/** The buffer's stack of freed ones, emptied: a list by table->next, or AVPG_STACK_END. */
static inline uint32_t
avpg_table_take_freed(struct avpg_table *table)
{
	if (likely(atomic_load_explicit(&table->freed, memory_order_relaxed) == AVPG_STACK_END))
		return AVPG_STACK_END;
	/* pairs with the release in avpg_recycle_free() */
	return atomic_exchange_explicit(&table->freed, AVPG_STACK_END, memory_order_acquire);
}

/** Attach buffer @idx to an mbuf, which hides the one that it came with. The slot's state and the
 * mbuf's fields about data are the caller's business. */
void avpg_table_bind(struct avpg_table *table, uint32_t idx, struct rte_mbuf *m);

/**
 * Have at least @nb <= AVP_MAX_SEGS spare mbufs: of the mempool, or idle ones. They are as in their
 * mempool.
 *
 * @max_idle  idle mbufs, beyond which the mempool is not asked for more
 */
bool avpg_table_fill_spare(
		struct avpg_table *table, struct rte_mempool *pool, uint32_t nb, uint32_t max_idle);

#endif /* AVPG_RECYCLE_H */
