/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * vfio-user messages as on the wire. Source: the protocol's specification
 * (docs/interop/vfio-user.rst of QEMU 10.1); names are ours. All numbers are in the byte order of
 * the host, which both ends share.
 */

#ifndef VUSER_PROTO_H
#define VUSER_PROTO_H

#include <assert.h>
#include <stdint.h>

#define VUSER_VERSION_MAJOR 0u
#define VUSER_VERSION_MINOR 0u

/* What a peer that does not say otherwise can take. */
#define VUSER_DEFAULT_MSG_FDS 1u
#define VUSER_DEFAULT_XFER_SIZE (1024u * 1024u)

enum vuser_cmd {
	VUSER_CMD_VERSION = 1,
	VUSER_CMD_DMA_MAP = 2,
	VUSER_CMD_DMA_UNMAP = 3,
	VUSER_CMD_DEVICE_INFO = 4,
	VUSER_CMD_REGION_INFO = 5,
	VUSER_CMD_REGION_IO_FDS = 6,
	VUSER_CMD_IRQ_INFO = 7,
	VUSER_CMD_SET_IRQS = 8,
	VUSER_CMD_REGION_READ = 9,
	VUSER_CMD_REGION_WRITE = 10,
	VUSER_CMD_DMA_READ = 11,  /* from server to client only */
	VUSER_CMD_DMA_WRITE = 12, /* from server to client only */
	VUSER_CMD_DEVICE_RESET = 13,
	VUSER_CMD_REGION_WRITE_MULTI = 15, /* only if negotiated */
	VUSER_CMD_DEVICE_FEATURE = 16,
	VUSER_CMD_MIG_DATA_READ = 17,
	VUSER_CMD_MIG_DATA_WRITE = 18,
	VUSER_CMD_COUNT
};

#define VUSER_HDR_TYPE_MASK 0xfu
#define VUSER_HDR_TYPE_COMMAND 0x0u
#define VUSER_HDR_TYPE_REPLY 0x1u
#define VUSER_HDR_NO_REPLY (1u << 4)
#define VUSER_HDR_ERROR (1u << 5)

struct vuser_hdr {
	uint16_t id; /* the sender's; comes back in the reply */
	uint16_t cmd;
	uint32_t size;  /* bytes of the message, this header included */
	uint32_t flags; /* VUSER_HDR_* */
	uint32_t error; /* errno, of a reply with VUSER_HDR_ERROR */
};
static_assert(sizeof(struct vuser_hdr) == 16, "wire format");

/* Followed by JSON with a final NUL; see vuser_caps.h. */
struct vuser_version {
	uint16_t major;
	uint16_t minor;
};
static_assert(sizeof(struct vuser_version) == 4, "wire format");

#define VUSER_DMA_MAP_READ (1u << 0)
#define VUSER_DMA_MAP_WRITE (1u << 1)

struct vuser_dma_map {
	uint32_t argsz;
	uint32_t flags; /* VUSER_DMA_MAP_* */
	uint64_t fd_off;
	uint64_t dma_pa; /* label of the guest's world */
	uint64_t size;
};
static_assert(sizeof(struct vuser_dma_map) == 32, "wire format");

/* Not in the specification any more, but in VFIO, whose numbers they are. */
#define VUSER_DMA_UNMAP_GET_DIRTY (1u << 0)
#define VUSER_DMA_UNMAP_ALL (1u << 1) /* with address and size 0 */

struct vuser_dma_unmap {
	uint32_t argsz;
	uint32_t flags; /* VUSER_DMA_UNMAP_* */
	uint64_t dma_pa;
	uint64_t size;
};
static_assert(sizeof(struct vuser_dma_unmap) == 24, "wire format");

#define VUSER_DEVICE_RESET (1u << 0) /* knows the reset command */
#define VUSER_DEVICE_PCI (1u << 1)

struct vuser_device_info {
	uint32_t argsz;
	uint32_t flags; /* VUSER_DEVICE_* */
	uint32_t nb_regions;
	uint32_t nb_irqs;
};
static_assert(sizeof(struct vuser_device_info) == 16, "wire format");

#define VUSER_REGION_READ (1u << 0)
#define VUSER_REGION_WRITE (1u << 1)
#define VUSER_REGION_MMAP (1u << 2) /* the reply brings a descriptor */

struct vuser_region_info {
	uint32_t argsz;
	uint32_t flags; /* VUSER_REGION_* */
	uint32_t index;
	uint32_t cap_off;
	uint64_t size;
	uint64_t fd_off;
};
static_assert(sizeof(struct vuser_region_info) == 32, "wire format");

#define VUSER_IRQ_EVENTFD (1u << 0)
#define VUSER_IRQ_MASKABLE (1u << 1)
#define VUSER_IRQ_NORESIZE (1u << 3)

struct vuser_irq_info {
	uint32_t argsz;
	uint32_t flags; /* VUSER_IRQ_* */
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vuser_irq_info) == 16, "wire format");

/* Exactly one of the first three, exactly one of the last three. */
#define VUSER_IRQ_SET_NONE (1u << 0)
#define VUSER_IRQ_SET_BOOL (1u << 1)
#define VUSER_IRQ_SET_EVENTFD (1u << 2)
#define VUSER_IRQ_SET_MASK (1u << 3)
#define VUSER_IRQ_SET_UNMASK (1u << 4)
#define VUSER_IRQ_SET_TRIGGER (1u << 5)

/* Followed by a byte per vector with VUSER_IRQ_SET_BOOL. */
struct vuser_irq_set_msg {
	uint32_t argsz;
	uint32_t flags; /* VUSER_IRQ_SET_* */
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(struct vuser_irq_set_msg) == 20, "wire format");

/* Followed by the data in a write, and in the reply to a read. */
struct vuser_region_rw {
	uint64_t off;
	uint32_t region;
	uint32_t count;
};
static_assert(sizeof(struct vuser_region_rw) == 16, "wire format");

#endif /* VUSER_PROTO_H */
