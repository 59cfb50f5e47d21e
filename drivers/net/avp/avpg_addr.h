/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Labels to pointers, and what the device says of itself. Everything in BARs 4 and 5 and in a
 * descriptor is written by a host that this driver does not trust: it is fetched once, checked, and
 * only the checked copy is used.
 */

#ifndef AVPG_ADDR_H
#define AVPG_ADDR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <avp/avp_abi.h>
#include <avp/avp_cring.h>
#include <avp/avp_fifo.h>

#include "avp_err.h"
#include "avpg_hw.h"

#define AVPG_FETCH_FN(name, type)                                                         \
	static inline type name(const type *ptr)                                          \
	{                                                                                 \
		return atomic_load_explicit((_Atomic type *)(uintptr_t)(const void *)ptr, \
				memory_order_relaxed);                                    \
	}
AVPG_FETCH_FN(avpg_fetch_u8, uint8_t)
AVPG_FETCH_FN(avpg_fetch_u16, uint16_t)
AVPG_FETCH_FN(avpg_fetch_u32, uint32_t)
AVPG_FETCH_FN(avpg_fetch_i32, int32_t)
AVPG_FETCH_FN(avpg_fetch_u64, uint64_t)

/** Load a field of shared memory once: the host may change it at any time. */
#define AVPG_FETCH(ptr)                            \
	_Generic(*(ptr), uint8_t                   \
			: avpg_fetch_u8, uint16_t  \
			: avpg_fetch_u16, uint32_t \
			: avpg_fetch_u32, int32_t  \
			: avpg_fetch_i32, uint64_t \
			: avpg_fetch_u64)(ptr)

/** Fewest data bytes of a packet buffer with which this driver works. */
#define AVPG_MIN_BUF_DATA_SIZE 64u

/** Packet buffers that a port can have to do with; a device has fewer. */
#define AVPG_MAX_BUFS (1u << 22)

/** BAR 2 and the labels of what lies in it; plain data, copied to each queue. */
struct avpg_mem {
	uint8_t *base;
	uint64_t size;          /* bytes */
	uint64_t bufs_va;       /* label of the start of the packet buffers */
	uint64_t bufs_off;      /* and where in BAR 2 that is */
	uint32_t buf_data_size; /* bytes */
	/* Where the device tells how far buffers lie apart, and it fits; else 0: */
	uint32_t buf_stride;  /* bytes, an odd number of cache lines, below 65536 */
	uint32_t nb_bufs;     /* that BAR 2 has room for */
	uint64_t buf_inverse; /* of buf_stride / 64, modulo 2^64 */
};

/** Bytes of the buffers behind their descriptors. */
static inline uint32_t
avpg_mem_buf_len(const struct avpg_mem *mem)
{
	return mem->buf_stride - (uint32_t)sizeof(struct avp_desc);
}

/** The number of the buffer that begins @off bytes from buffer 0; not below nb_bufs when none does.
 * For the arithmetic see lib/device/avpd_check.h; any @off is allowed. */
static inline uint64_t
avpg_mem_buf_idx(const struct avpg_mem *mem, uint64_t off)
{
	const uint64_t i = off * mem->buf_inverse;

	return i >> 6 | i << 58;
}

/** Buffer @idx, below nb_bufs; and its label. */
static inline uint8_t *
avpg_mem_buf(const struct avpg_mem *mem, uint32_t idx)
{
	return mem->base + mem->bufs_off + (size_t)idx * mem->buf_stride;
}

static inline uint64_t
avpg_mem_buf_va(const struct avpg_mem *mem, uint32_t idx)
{
	return mem->bufs_va + (uint64_t)idx * mem->buf_stride;
}

/**
 * Where a "virtual" label points.
 *
 * Returns NULL unless all of the @size bytes lie in BAR 2. Context: any, no side effects.
 */
static inline void *
avpg_mem_at(const struct avpg_mem *mem, uint64_t va, uint64_t size)
{
	/* below the start of the buffers this wraps round, twice, and is right again */
	uint64_t off = va - mem->bufs_va + mem->bufs_off;

	if (__builtin_expect(off >= mem->size || size > mem->size - off, 0))
		return NULL;
	return mem->base + off;
}

/** The descriptor that a label names; NULL when outside BAR 2 or not aligned as the contract says.
 */
static inline struct avp_desc *
avpg_desc_at(const struct avpg_mem *mem, uint64_t va)
{
	void *desc = avpg_mem_at(mem, va, sizeof(struct avp_desc));

	if (__builtin_expect(((uintptr_t)desc & (sizeof(struct avp_desc) - 1)) != 0, 0))
		return NULL;
	return desc;
}

/** The FIFOs of one kind. */
struct avpg_fifo_set {
	struct avp_fifo *fifo[AVP_MAX_QUEUES];
	uint64_t size;    /* bytes of memory that each has, at most what a compact ring may take */
	uint32_t max_len; /* entries of a FIFO for which that is enough */
	uint32_t len;     /* entries that the first one has; the others should have as many */
};

/** BARs 4 and 5, checked: all pointers are good for as long as BAR 2 is mapped. */
struct avpg_info {
	struct avpg_mem mem;
	struct avpg_fifo_set tx;
	struct avpg_fifo_set rx;
	struct avpg_fifo_set alloc;
	struct avpg_fifo_set free;
	struct avpg_fifo_set req; /* one of each: fifo[0] */
	struct avpg_fifo_set resp;
	uint8_t *arm;        /* armed word of the first rx FIFO; NULL: no rx interrupts */
	uint32_t arm_stride; /* bytes from one to the next */
	struct avp_request *ctrl_slot;
	uint64_t ctrl_slot_va;
	uint64_t device_id;
	uint32_t version;      /* AVP_VERSION() */
	uint32_t features;     /* AVP_FEATURE_* offered */
	uint32_t max_rx_size;  /* bytes, AVP_MIN_PKT_SIZE..AVP_MAX_PKT_SIZE */
	uint8_t min_rx_queues; /* 1..max_rx_queues */
	uint8_t max_rx_queues; /* 1..AVP_MAX_QUEUES */
	uint8_t min_tx_queues;
	uint8_t max_tx_queues;
	uint8_t mac[AVP_ETHER_ADDR_SIZE];
	char name[AVP_NAME_SIZE]; /* terminated, printable */
};

/**
 * Read and check what the device says of itself.
 *
 * @info  out; unchanged on error
 * Returns 0, or -errno with @err filled in: -ENODEV when a BAR is missing or is no AVP device's,
 * -ENOTSUP when its version is newer than ours, -EINVAL when it contradicts itself.
 */
int avpg_info_load(struct avpg_info *info, const struct avpg_hw *hw, struct avp_err *err);

/** Armed word of rx FIFO @i, which is below max_rx_queues; NULL when the device has none. */
static inline _Atomic uint32_t *
avpg_info_arm(const struct avpg_info *info, uint32_t i)
{
	if (info->arm == NULL)
		return NULL;
	return (_Atomic uint32_t *)(void *)(info->arm + (size_t)info->arm_stride * i);
}

#endif /* AVPG_ADDR_H */
