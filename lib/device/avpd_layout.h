/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Where everything lies in BAR 2, and the memory behind it.
 *
 * A memory (struct avpd_mem) is one sealed memfd. It belongs to one port, or to all ports of a
 * trust domain; every port of it is given the whole of it as BAR 2. It starts with slots, one per
 * port, that hold control slot and FIFOs; then come packet buffers of one fixed stride, of which
 * each port owns a contiguous run:
 *
 *   | slot 0 | slot 1 | ... | buffer 0 | buffer 1 | ............... |
 *     ctrl, req, resp, armed words x n, tx x n, rx x n, alloc x n, free x n
 *
 * Only what ports use is backed by memory, from their creation on, so that neither side can fault
 * on it later. The size is a power of two because it is a BAR's; what lies behind the last buffer
 * has no memory until a guest touches it, which the size bounds. Pages of 2 MiB are reserved for
 * all of the memory at once, since the kernel does so anyway for whoever maps it.
 */

#ifndef AVPD_LAYOUT_H
#define AVPD_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <avp/avp_abi.h>

#include "avp_err.h"
#include "avp_log.h"

/** Bytes of a cache line, for what two sides share. */
#define AVPD_CACHE_LINE 64u
/** From a buffer's start to its data when it is given out; descriptor first, then headroom. */
#define AVPD_BUF_HEADROOM 128u
/** Data bytes of a buffer. 2048 as in the field: the stock driver's own buffers have the same. */
#define AVPD_BUF_DATA_SIZE 2048u
/** Bytes from one buffer to the next: 35 cache lines. An odd number, since a power of two costs a
 * third of the speed (cache sets). */
#define AVPD_BUF_STRIDE (sizeof(struct avp_desc) + AVPD_BUF_HEADROOM + AVPD_BUF_DATA_SIZE)
AVP_ASSERT(AVPD_BUF_STRIDE % AVPD_CACHE_LINE == 0 && (AVPD_BUF_STRIDE / AVPD_CACHE_LINE) % 2 == 1);

/** Entries of the request and response FIFOs. */
#define AVPD_CTRL_FIFO_LEN 16u

/** From one armed word to the next: a line each, as each is another lcore's business. */
#define AVPD_ARM_STRIDE AVPD_CACHE_LINE

/** Limits of what a user may ask for. */
#define AVPD_MIN_RING 64u
#define AVPD_MAX_RING 4096u
#define AVPD_MAX_BUFS 262144u /* per port */
#define AVPD_MAX_SLOTS 64u    /* ports of a domain */

/**
 * Where things of one port are. Plain data: it may be sent to another process. All offsets are
 * bytes from the start of BAR 2.
 */
struct avpd_layout {
	uint64_t mem_size;     /* of BAR 2 */
	uint64_t ctrl_off;     /* struct avp_request */
	uint64_t req_fifo_off; /* AVPD_CTRL_FIFO_LEN entries, as the next one */
	uint64_t resp_fifo_off;
	uint64_t arm_off;     /* armed word of the first rx FIFO; AVPD_ARM_STRIDE bytes apart */
	uint64_t tx_fifo_off; /* first FIFO of each kind; guest's names */
	uint64_t rx_fifo_off;
	uint64_t alloc_fifo_off;
	uint64_t free_fifo_off;
	uint32_t fifo_stride;   /* bytes from one FIFO of a kind to the next */
	uint32_t ring_len;      /* entries of a FIFO */
	uint32_t nb_queues;     /* FIFOs of each kind */
	uint32_t slot;          /* of this port in the memory */
	uint64_t bufs_off;      /* buffer 0 of the memory */
	uint32_t buf_stride;    /* bytes */
	uint32_t buf_data_size; /* bytes, from data_off */
	uint32_t buf_data_off;  /* from a buffer's start: descriptor and headroom */
	uint32_t nb_bufs;       /* of the whole memory: what a label may name */
	uint32_t first_buf;     /* this port's own run */
	uint32_t nb_own_bufs;
	uint64_t bufs_va; /* "virtual" label of buffer 0 */
	uint64_t mem_va;  /* labels of the start of BAR 2 */
	uint64_t mem_pa;
};

/** A memory. Used by one thread at a time; the descriptor may be used by any. */
struct avpd_mem;

/** What a memory is to hold. */
struct avpd_mem_conf {
	const char *name;   /* for messages and for /proc; copied */
	uint32_t nb_slots;  /* 1..AVPD_MAX_SLOTS: ports that it can hold */
	uint32_t slot_size; /* bytes, from avpd_slot_size() for the largest port expected */
	uint32_t nb_bufs;   /* of all ports together */
	bool huge_pages;    /* try 2 MiB pages first; when there are too few: a warning, 4 KiB */
	const struct avp_log *log; /* for that warning; may be NULL */
};

/** Bytes of the name of a memory that are kept, terminating zero included. */
#define AVPD_MEM_NAME_SIZE 64

/** Bytes that control slot and FIFOs of a port of @nb_queues x @ring_len take. */
uint32_t avpd_slot_size(uint32_t nb_queues, uint32_t ring_len);

/**
 * Make a memfd of a fixed size: sealed against shrinking, growing and further seals.
 *
 * @name        as seen in /proc
 * @size        bytes, a multiple of the page size
 * @huge_pages  2 MiB pages, all of them reserved
 * Returns the descriptor or -errno; -ENOMEM when there are too few huge pages.
 */
int avpd_memfd_create(const char *name, uint64_t size, bool huge_pages);

/**
 * Make a memory: memfd, size, seals against shrinking and growing. Nothing is mapped, and nothing
 * is backed by memory yet.
 *
 * Returns 0 or -errno with @err filled in.
 */
int avpd_mem_create(struct avpd_mem **mem, const struct avpd_mem_conf *conf, struct avp_err *err);

/** All ports must have left it. NULL is allowed. */
void avpd_mem_destroy(struct avpd_mem *mem);

/**
 * Give a port its slot and its run of buffers, and back them with memory.
 *
 * @layout  out
 * Returns 0, or -errno with @err filled in: -ENOSPC when slots or buffers have run out, -ENOMEM
 * when the system has no memory for them, -EINVAL when the port does not fit a slot.
 */
int avpd_mem_add_port(struct avpd_mem *mem, uint32_t nb_queues, uint32_t ring_len, uint32_t nb_bufs,
		struct avpd_layout *layout, struct avp_err *err);

/** Take slot and buffers back. Pages of normal size that no other port uses go back to the system,
 * huge pages when the memory is destroyed. */
void avpd_mem_remove_port(struct avpd_mem *mem, const struct avpd_layout *layout);

/** The memfd; stays the memory's. */
int avpd_mem_fd(const struct avpd_mem *mem);
uint64_t avpd_mem_size(const struct avpd_mem *mem);
/** Bytes that the system has given to this memory so far (from fstat), or reserved for it. */
uint64_t avpd_mem_used(const struct avpd_mem *mem);
/** Bytes of a page of this memory. */
uint32_t avpd_mem_page_size(const struct avpd_mem *mem);

#endif /* AVPD_LAYOUT_H */
