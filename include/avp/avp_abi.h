/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The contract between a guest driver and an AVP device: PCI identity, registers, the contents of
 * the BARs, packet descriptors, control requests, feature bits. docs/device.md explains it in full.
 *
 * Everything here is shared between two sides that do not trust each other. All fields are little
 * endian. A "_va" or "_pa" is a label that the device has chosen: the guest turns it into an offset
 * in BAR2, the host into the number of a buffer; neither side may use it as an address.
 *
 * No functions here but one-line accessors of offsets; FIFO operations are in avp_fifo.h.
 */

#ifndef AVP_ABI_H
#define AVP_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define AVP_ASSERT(cond) static_assert(cond, #cond)
#else
#define AVP_ASSERT(cond) _Static_assert(cond, #cond)
#endif

/** Assert that @field of struct @type lies @offset bytes from the start and is @size bytes long. */
#define AVP_ASSERT_FIELD(type, field, offset, size)            \
	AVP_ASSERT(offsetof(struct type, field) == (offset) && \
			sizeof(((struct type *)0)->field) == (size))

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the AVP contract is little endian and this code does not swap bytes"
#endif

/*
 * PCI identity
 */

#define AVP_PCI_VENDOR_ID 0x1af4
#define AVP_PCI_DEVICE_ID 0x1110
#define AVP_PCI_SUBSYS_VENDOR_ID 0x1af4
/** 1af4:1110 with the subsystem 1af4:1100 is QEMU's ivshmem, a different device. */
#define AVP_PCI_SUBSYS_DEVICE_ID 0x1104
#define AVP_PCI_CLASS 0x020000 /* Ethernet controller */

/** BARs, by number. BAR 2 is 64 bits wide and takes number 3 as well. */
enum avp_bar {
	AVP_BAR_MMIO = 0,   /* registers, trapped */
	AVP_BAR_MSIX = 1,   /* MSI-X table and pending bits, trapped */
	AVP_BAR_MEMORY = 2, /* shared memory: control slot, FIFOs, packet buffers; mapped */
	AVP_BAR_MEMMAP = 4, /* struct avp_memmap; mapped, the host never reads it back */
	AVP_BAR_DEVICE = 5, /* struct avp_device_info; mapped, the host never reads it back */
};

/*
 * Limits
 */

#define AVP_MAX_QUEUES 8      /* of each kind; field of 8 bits, arrays of 8 in every driver */
#define AVP_MAX_SEGS 5        /* segments of one packet */
#define AVP_MAX_PKT_SIZE 9238 /* bytes: 9216 MTU, Ethernet header, two VLAN tags */
#define AVP_MIN_PKT_SIZE 14   /* bytes: an Ethernet header */
#define AVP_MAX_MAPS 2048     /* entries of the memory map */
#define AVP_MAX_MEMPOOLS 8    /* entries of the device information's pool list */
#define AVP_NAME_SIZE 32      /* bytes, the terminating zero included */
#define AVP_ETHER_ADDR_SIZE 6 /* bytes */

/*
 * Registers (BAR 0), 32 bits each
 */

#define AVP_REG_INTR_MASK 0x00        /* rw: AVP_INTR_MASK_ALL or AVP_INTR_MASK_NONE */
#define AVP_REG_INTR_STATUS 0x04      /* ro, clears on read: AVP_INTR_* */
#define AVP_REG_MIGRATION_STATUS 0x08 /* ro for the guest: enum avp_migration */
#define AVP_REG_MIGRATION_ACK 0x0c    /* wo for the guest: enum avp_migration */
/* Both 0 unless AVP_FEATURE_LINK_EVENTS is offered: */
#define AVP_REG_LINK_STATUS 0x10  /* ro: enum avp_link */
#define AVP_REG_LINK_MTU 0x14     /* ro: bytes, the largest MTU that the host wants; 0 = any */
#define AVP_REG_SPACE_SIZE 0x1000 /* bytes of BAR 0; what is not named above reads 0 */

#define AVP_INTR_MASK_ALL 0xffffffffu /* all interrupts enabled */
#define AVP_INTR_MASK_NONE 0u         /* all interrupts disabled */

/** Bits of the interrupt status register. */
#define AVP_INTR_MIGRATION (1u << 1)
#define AVP_INTR_LINK (1u << 2) /* link status or MTU has changed; AVP_FEATURE_LINK_EVENTS */

/** Values of the link status register: the host's end alone. */
enum avp_link {
	AVP_LINK_UNKNOWN = 0, /* the device does not tell */
	AVP_LINK_DOWN = 1,
	AVP_LINK_UP = 2,
};

/** Values of the migration status and acknowledge registers. */
enum avp_migration {
	AVP_MIGRATION_NONE = 0,     /* nothing asked */
	AVP_MIGRATION_DETACHED = 1, /* the guest must let go, or has let go */
	AVP_MIGRATION_ATTACHED = 2, /* the guest may come back, or has come back */
	AVP_MIGRATION_ERROR = 3,    /* it failed */
};

/** MSI-X vectors. 0 is for all that has a bit in the interrupt status, 1..8 for rx interrupts. */
#define AVP_VECTOR_MIGRATION 0
#define AVP_VECTOR_RX 1
#define AVP_NB_VECTORS 9

/*
 * Memory map (BAR 4)
 */

#define AVP_MEMMAP_MAGIC 0x20131969u
#define AVP_MEMMAP_VERSION 1u

/** One area of BAR 2. BAR 2 is the concatenation of the areas, in the order of the list. */
struct avp_memmap_entry {
	uint64_t area_va;   /* label of the area's start in the "virtual" world */
	uint64_t area_pa;   /* label of the area's start in the "physical" world */
	uint64_t area_size; /* bytes */
};
AVP_ASSERT(sizeof(struct avp_memmap_entry) == 24);
AVP_ASSERT_FIELD(avp_memmap_entry, area_va, 0, 8);
AVP_ASSERT_FIELD(avp_memmap_entry, area_pa, 8, 8);
AVP_ASSERT_FIELD(avp_memmap_entry, area_size, 16, 8);

/** Written by the device at attach, read by the guest. */
struct avp_memmap {
	uint32_t magic;   /* AVP_MEMMAP_MAGIC */
	uint32_t version; /* AVP_MEMMAP_VERSION */
	uint32_t nb_maps; /* entries that follow, 1..AVP_MAX_MAPS */
	uint32_t reserved;
	struct avp_memmap_entry maps[AVP_MAX_MAPS];
};
AVP_ASSERT_FIELD(avp_memmap, magic, 0, 4);
AVP_ASSERT_FIELD(avp_memmap, version, 4, 4);
AVP_ASSERT_FIELD(avp_memmap, nb_maps, 8, 4);
AVP_ASSERT_FIELD(avp_memmap, maps, 16, 24 * AVP_MAX_MAPS);

/*
 * Device information (BAR 5)
 */

#define AVP_DEVICE_MAGIC 0x20131975u

/** Version of the contract, as in device information and configuration. */
#define AVP_VERSION(release, major, minor) \
	((uint32_t)(release) << 16 | (uint32_t)(major) << 8 | (uint32_t)(minor))
/** What this device says it is: the last one that every driver in the field accepts. */
#define AVP_DEVICE_VERSION AVP_VERSION(1, 2, 13)
/** Two versions go together when these are equal, or the driver's is the higher one. */
#define AVP_VERSION_COMPAT(version) ((version) >> 8)

/** Kinds of device, avp_device_info.mode. */
enum avp_mode {
	AVP_MODE_HOST = 0,
	AVP_MODE_GUEST = 1,
	AVP_MODE_TRACE = 2,
};

/** A pool of packet buffers; for information, no known driver reads it. */
struct avp_mempool_info {
	uint64_t pool_va;
	uint64_t pool_pa;
	uint64_t pool_size; /* bytes */
};
AVP_ASSERT(sizeof(struct avp_mempool_info) == 24);
AVP_ASSERT_FIELD(avp_mempool_info, pool_va, 0, 8);
AVP_ASSERT_FIELD(avp_mempool_info, pool_pa, 8, 8);
AVP_ASSERT_FIELD(avp_mempool_info, pool_size, 16, 8);

/** Written by the device at attach, read by the guest. "tx" and "rx" are the guest's. */
struct avp_device_info {
	uint32_t magic;   /* AVP_DEVICE_MAGIC */
	uint32_t version; /* AVP_VERSION() */
	char name[AVP_NAME_SIZE];

	uint64_t tx_fifo_pa; /* the first FIFO of each kind ... */
	uint64_t rx_fifo_pa;
	uint64_t alloc_fifo_pa;
	uint64_t free_fifo_pa;

	uint32_t features; /* AVP_FEATURE_* offered */
	uint8_t min_rx_queues;
	uint8_t num_rx_queues; /* recommended */
	uint8_t max_rx_queues;
	uint8_t min_tx_queues;
	uint8_t num_tx_queues; /* recommended */
	uint8_t max_tx_queues;
	uint8_t reserved0[2];

	uint32_t tx_fifo_size; /* ... and the bytes from one to the next */
	uint32_t rx_fifo_size;
	uint32_t alloc_fifo_size;
	uint32_t free_fifo_size;
	uint32_t reserved1;

	uint64_t req_fifo_pa;  /* control requests, guest to device */
	uint64_t resp_fifo_pa; /* and their answers */
	uint64_t ctrl_slot_pa; /* struct avp_request */
	uint64_t ctrl_slot_va;

	uint64_t buf_va; /* start of the area that holds all packet buffers, as label ... */
	uint64_t buf_pa; /* ... and to find it in BAR 2 */
	struct avp_mempool_info pools[AVP_MAX_MEMPOOLS];

	uint8_t mac[AVP_ETHER_ADDR_SIZE];
	uint8_t mode; /* enum avp_mode */
	uint8_t reserved2;
	uint32_t buf_data_size; /* data bytes in each packet buffer */
	uint32_t buf_stride; /* bytes from one to the next, 0 unless AVP_FEATURE_RECYCLE or _COMPACT
			      */
	uint64_t device_id;  /* differs whenever the device has been made anew */
	uint32_t max_rx_size; /* bytes of the largest packet for the guest, <= AVP_MAX_PKT_SIZE */
	uint32_t reserved4;
};
AVP_ASSERT(sizeof(struct avp_device_info) == 376);
AVP_ASSERT_FIELD(avp_device_info, magic, 0, 4);
AVP_ASSERT_FIELD(avp_device_info, version, 4, 4);
AVP_ASSERT_FIELD(avp_device_info, name, 8, 32);
AVP_ASSERT_FIELD(avp_device_info, tx_fifo_pa, 40, 8);
AVP_ASSERT_FIELD(avp_device_info, rx_fifo_pa, 48, 8);
AVP_ASSERT_FIELD(avp_device_info, alloc_fifo_pa, 56, 8);
AVP_ASSERT_FIELD(avp_device_info, free_fifo_pa, 64, 8);
AVP_ASSERT_FIELD(avp_device_info, features, 72, 4);
AVP_ASSERT_FIELD(avp_device_info, min_rx_queues, 76, 1);
AVP_ASSERT_FIELD(avp_device_info, num_rx_queues, 77, 1);
AVP_ASSERT_FIELD(avp_device_info, max_rx_queues, 78, 1);
AVP_ASSERT_FIELD(avp_device_info, min_tx_queues, 79, 1);
AVP_ASSERT_FIELD(avp_device_info, num_tx_queues, 80, 1);
AVP_ASSERT_FIELD(avp_device_info, max_tx_queues, 81, 1);
AVP_ASSERT_FIELD(avp_device_info, tx_fifo_size, 84, 4);
AVP_ASSERT_FIELD(avp_device_info, rx_fifo_size, 88, 4);
AVP_ASSERT_FIELD(avp_device_info, alloc_fifo_size, 92, 4);
AVP_ASSERT_FIELD(avp_device_info, free_fifo_size, 96, 4);
AVP_ASSERT_FIELD(avp_device_info, req_fifo_pa, 104, 8);
AVP_ASSERT_FIELD(avp_device_info, resp_fifo_pa, 112, 8);
AVP_ASSERT_FIELD(avp_device_info, ctrl_slot_pa, 120, 8);
AVP_ASSERT_FIELD(avp_device_info, ctrl_slot_va, 128, 8);
AVP_ASSERT_FIELD(avp_device_info, buf_va, 136, 8);
AVP_ASSERT_FIELD(avp_device_info, buf_pa, 144, 8);
AVP_ASSERT_FIELD(avp_device_info, pools, 152, 192);
AVP_ASSERT_FIELD(avp_device_info, mac, 344, 6);
AVP_ASSERT_FIELD(avp_device_info, mode, 350, 1);
AVP_ASSERT_FIELD(avp_device_info, buf_data_size, 352, 4);
AVP_ASSERT_FIELD(avp_device_info, buf_stride, 356, 4);
AVP_ASSERT_FIELD(avp_device_info, device_id, 360, 8);
AVP_ASSERT_FIELD(avp_device_info, max_rx_size, 368, 4);

/**
 * Behind it: for AVP_FEATURE_RX_INTR, 0 where that is not offered.
 *
 * Each rx FIFO has a word in BAR 2. The guest writes the number of a vector, AVP_VECTOR_RX and up,
 * to have it raised when a packet is put on the FIFO; then the device writes 0. 0: not armed.
 */
struct avp_device_ext {
	uint64_t rx_arm_pa;   /* uint32_t, of the first rx FIFO ... */
	uint32_t rx_arm_size; /* ... and the bytes from one to the next, a multiple of 4 */
	uint32_t reserved;
};
AVP_ASSERT(sizeof(struct avp_device_ext) == 16);
AVP_ASSERT_FIELD(avp_device_ext, rx_arm_pa, 0, 8);
AVP_ASSERT_FIELD(avp_device_ext, rx_arm_size, 8, 4);
#define AVP_DEVICE_EXT_OFF 376 /* in BAR 5 */
AVP_ASSERT(AVP_DEVICE_EXT_OFF == sizeof(struct avp_device_info));

/*
 * Feature bits: offered in avp_device_info.features, taken up in avp_config.features.
 * 0-15 belong to the AVP ecosystem, 16-31 to this project. All of them are assigned here.
 */

#define AVP_FEATURE_VLAN (1u << 0) /* the device strips and inserts VLAN tags */
/** The guest may send a buffer that it got from an rx FIFO, and gives back each of a chain by
 * itself.
 */
#define AVP_FEATURE_RECYCLE (1u << 16)
/** The device tells of changes of the host's link and MTU: two registers, AVP_INTR_LINK. */
#define AVP_FEATURE_LINK_EVENTS (1u << 17)
/** The device raises a vector of the guest's choice when it gives a packet on an armed rx FIFO. */
#define AVP_FEATURE_RX_INTR (1u << 18)
/** The tx and rx FIFOs are compact rings, and buffers have no descriptors. */
#define AVP_FEATURE_COMPACT (1u << 19)

/*
 * FIFO; operations are in avp_fifo.h. At most len - 1 entries are in it.
 */

struct avp_fifo {
	uint32_t write;     /* index of the next entry to write; written by the producer */
	uint32_t read;      /* index of the next entry to read; written by the consumer */
	uint32_t len;       /* entries, a power of two */
	uint32_t elem_size; /* bytes of an entry: 8 */
	uint64_t entries[]; /* "virtual" labels */
};
AVP_ASSERT(sizeof(struct avp_fifo) == 16);
AVP_ASSERT_FIELD(avp_fifo, write, 0, 4);
AVP_ASSERT_FIELD(avp_fifo, read, 4, 4);
AVP_ASSERT_FIELD(avp_fifo, len, 8, 4);
AVP_ASSERT_FIELD(avp_fifo, elem_size, 12, 4);
AVP_ASSERT(offsetof(struct avp_fifo, entries) == 16);

/*
 * Compact ring: what lies where a tx or rx FIFO would, when AVP_FEATURE_COMPACT has been taken up.
 * An entry describes one segment of a packet. Operations are in avp_cring.h.
 */

#define AVP_CDESC_PHASE 0x0001 /* the entry is written: 1 in the first round, then 0, and so on */
#define AVP_CDESC_MORE 0x0002  /* the packet goes on in the next entry */
#define AVP_CDESC_VLAN                                                       \
	0x0004 /* first entry of a packet only: vlan_tci is its tag, as with \
		* AVP_DESC_TX_VLAN and AVP_DESC_RX_VLAN */

struct avp_cdesc {
	uint32_t buf_idx;  /* number of the buffer: it starts at buf_va + buf_idx * buf_stride */
	uint16_t data_off; /* bytes from the buffer's start to the data, >= sizeof(struct avp_desc)
			    */
	uint16_t data_len; /* bytes of data */
	uint16_t flags;    /* AVP_CDESC_* */
	uint16_t vlan_tci; /* CPU order */
	uint32_t reserved; /* 0 */
};
AVP_ASSERT(sizeof(struct avp_cdesc) == 16);
AVP_ASSERT_FIELD(avp_cdesc, buf_idx, 0, 4);
AVP_ASSERT_FIELD(avp_cdesc, data_off, 4, 2);
AVP_ASSERT_FIELD(avp_cdesc, data_len, 6, 2);
AVP_ASSERT_FIELD(avp_cdesc, flags, 8, 2);
AVP_ASSERT_FIELD(avp_cdesc, vlan_tci, 10, 2);

struct avp_cring {
	uint32_t reserved0;
	uint32_t read; /* entries that have been read, modulo 2^32; written by the consumer, not
			* each time */
	uint32_t len;  /* entries, a power of two */
	uint32_t elem_size; /* bytes of an entry: 16 */
	uint8_t reserved1[48];
	struct avp_cdesc entries[];
};
AVP_ASSERT(sizeof(struct avp_cring) == 64);
AVP_ASSERT_FIELD(avp_cring, read, 4, 4);
AVP_ASSERT_FIELD(avp_cring, len, 8, 4);
AVP_ASSERT_FIELD(avp_cring, elem_size, 12, 4);
AVP_ASSERT(offsetof(struct avp_cring, entries) == 64);

/*
 * Packet descriptor: the first bytes of every packet buffer. All of it is guest-writable.
 */

#define AVP_DESC_TX_VLAN 0x0001 /* the guest asks for the insertion of vlan_tci */
#define AVP_DESC_RX_VLAN 0x0800 /* the device has stripped a tag and put it in vlan_tci */

struct avp_desc {
	uint64_t reserved0;
	uint64_t desc_va; /* this descriptor's own label */
	uint8_t reserved1[14];
	uint16_t ol_flags; /* AVP_DESC_* */
	uint64_t next_va;  /* next descriptor of the chain, or 0 */
	uint64_t data_va;  /* data of this segment */
	uint16_t data_len; /* bytes in this segment */
	uint8_t nb_segs;   /* of the chain; first segment only; <= AVP_MAX_SEGS */
	uint8_t reserved2;
	uint16_t pkt_len; /* bytes of all segments; first segment only */
	uint8_t reserved3[4];
	uint16_t vlan_tci; /* CPU order */
	uint8_t reserved4[4];
};
AVP_ASSERT(sizeof(struct avp_desc) == 64);
AVP_ASSERT_FIELD(avp_desc, desc_va, 8, 8);
AVP_ASSERT_FIELD(avp_desc, ol_flags, 30, 2);
AVP_ASSERT_FIELD(avp_desc, next_va, 32, 8);
AVP_ASSERT_FIELD(avp_desc, data_va, 40, 8);
AVP_ASSERT_FIELD(avp_desc, data_len, 48, 2);
AVP_ASSERT_FIELD(avp_desc, nb_segs, 50, 1);
AVP_ASSERT_FIELD(avp_desc, pkt_len, 52, 2);
AVP_ASSERT_FIELD(avp_desc, vlan_tci, 58, 2);

/*
 * Control requests: one at a time, in the control slot.
 */

enum avp_req_id {
	AVP_REQ_SET_MTU = 1,
	AVP_REQ_SET_LINK = 2,
	AVP_REQ_CONFIGURE = 3,
	AVP_REQ_SHUTDOWN = 4,
};

enum avp_driver_type {
	AVP_DRIVER_DPDK = 1,
	AVP_DRIVER_KERNEL = 2,
	AVP_DRIVER_QEMU = 3,
};

/** What a driver asks for, and says of itself. */
struct avp_config {
	uint64_t device_id;   /* as read from the device information */
	uint32_t driver_type; /* enum avp_driver_type */
	uint32_t driver_version;
	uint32_t features;     /* accepted, a subset of those offered */
	uint16_t nb_tx_queues; /* of the guest; 1..max_tx_queues */
	uint16_t nb_rx_queues; /* of the guest; min_rx_queues..max_rx_queues */
	uint8_t link_up;       /* 1 = up, 0 = down */
} __attribute__((packed));
AVP_ASSERT(sizeof(struct avp_config) == 25);
AVP_ASSERT_FIELD(avp_config, device_id, 0, 8);
AVP_ASSERT_FIELD(avp_config, driver_type, 8, 4);
AVP_ASSERT_FIELD(avp_config, driver_version, 12, 4);
AVP_ASSERT_FIELD(avp_config, features, 16, 4);
AVP_ASSERT_FIELD(avp_config, nb_tx_queues, 20, 2);
AVP_ASSERT_FIELD(avp_config, nb_rx_queues, 22, 2);
AVP_ASSERT_FIELD(avp_config, link_up, 24, 1);

/** The control slot. The guest writes it, queues its label, and reads the result back. */
struct avp_request {
	uint32_t req_id; /* enum avp_req_id */
	union {
		uint32_t mtu;             /* AVP_REQ_SET_MTU, bytes */
		uint8_t link_up;          /* AVP_REQ_SET_LINK */
		struct avp_config config; /* AVP_REQ_CONFIGURE */
		uint8_t size[28];         /* the whole of it */
	} arg;
	int32_t result; /* 0 or a negative errno (Linux numbers); written by the device */
};
AVP_ASSERT(sizeof(struct avp_request) == 36);
AVP_ASSERT_FIELD(avp_request, req_id, 0, 4);
AVP_ASSERT_FIELD(avp_request, arg, 4, 28);
AVP_ASSERT_FIELD(avp_request, result, 32, 4);

#endif /* AVP_ABI_H */
