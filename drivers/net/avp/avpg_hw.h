/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What a bus hands to the guest driver's core: mapped BARs, register access, one interrupt. PCI
 * glue (net_avp) and vfio-user glue (net_avp_user) fill it in, and so can a test.
 *
 * The other way, a glue that learns that the device has gone says so with avpg_port_gone()
 * (avpg_port.h).
 */

#ifndef AVPG_HW_H
#define AVPG_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct avpg_hw;
struct avpg_map;

/** What restore() has found, if no error. */
enum avpg_restored {
	AVPG_RESTORED_NOTHING, /* all is as it was */
	AVPG_RESTORED,         /* configuration put back: the device asks for the attach itself */
	AVPG_RESTORED_NEW,     /* another device: it may be in use at once, unless it is detached */
};

struct avpg_hw_ops {
	/** Read or write a register of BAR 0. 0 or -errno (the device is gone). Any thread. */
	int (*read32)(struct avpg_hw *hw, uint32_t reg, uint32_t *value);
	int (*write32)(struct avpg_hw *hw, uint32_t reg, uint32_t value);
	/** Have @handler called, on DPDK's interrupt thread, when vector 0 is raised. It must not
	 * block. 0 or -errno; -ENOTSUP: nothing will call it, the core has to look by itself. */
	int (*intr_enable)(struct avpg_hw *hw, void (*handler)(void *arg), void *arg);
	/** No call is under way, and none will come, when this returns. Does nothing when not
	 * enabled. */
	void (*intr_disable)(struct avpg_hw *hw);
	/** Give the vectors from AVP_VECTOR_RX on, @nb of them, an eventfd each: efds of the
	 * ethdev's interrupt handle. And take them away. 0 or -errno; NULL where that is not
	 * possible. */
	int (*rx_intr_on)(struct avpg_hw *hw, uint32_t nb);
	void (*rx_intr_off)(struct avpg_hw *hw);
	/** While detached, again and again, so it must be cheap: if the device was exchanged under
	 * us, put its configuration back, or connect to the one that is there now. -errno: not yet,
	 * there is nothing to talk to. NULL where that cannot happen. Context: the port's thread,
	 * without ctl_lock. */
	int (*restore)(struct avpg_hw *hw);
	/** While a control request waits, now and then: is the device still there? If not, the glue
	 * calls avpg_port_gone(). NULL where the bus tells by itself. */
	void (*check)(struct avpg_hw *hw);
	/** The port is closed: let go of the BARs and free @hw. With keep_mem, BAR 2 stays mapped.
	 */
	void (*destroy)(struct avpg_hw *hw);
};

/** Embed it in the glue's own structure. */
struct avpg_hw {
	const struct avpg_hw_ops *ops;
	void *mem;             /* BAR 2; NULL when the device has none */
	struct avpg_map *map;  /* of BAR 2, when it may outlive the device: for "recycle" */
	size_t mem_size;       /* bytes */
	const void *memmap;    /* BAR 4; host-written, may change at attach */
	size_t memmap_size;    /* bytes */
	const void *device;    /* BAR 5; likewise */
	size_t device_size;    /* bytes */
	uint32_t max_queues;   /* that the user wants at most; 0 = as many as the device has */
	bool recycle;          /* the user wants "recycle", if the device has it */
	bool compact;          /* likewise "compact" */
	uint32_t recycle_hold; /* received buffers that an application may hold, of each rx queue;
				* 0 = half a FIFO */
	bool keep_mem;         /* set by the core: a burst that does not end still uses BAR 2 */
};

#endif /* AVPG_HW_H */
