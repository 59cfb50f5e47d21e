/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The registers of BAR 0. Accesses may have any size and alignment: a read gives the bytes of the
 * little-endian registers, and clears the interrupt status if it touches any byte of it; a write
 * changes the bytes it has and acts as if the whole register had been written with the result. What
 * is not a register reads 0 and ignores writes; so does the acknowledge when read.
 */

#ifndef AVPD_REGS_H
#define AVPD_REGS_H

#include <stdint.h>

#include <avp/avp_abi.h>

struct avpd_regs {
	uint32_t intr_mask;        /* guest-written */
	uint32_t intr_status;      /* AVP_INTR_*; set by the device, cleared when read */
	uint32_t migration_status; /* enum avp_migration; by the device */
	uint32_t migration_ack;    /* guest-written, any value */
	uint32_t link_status;      /* enum avp_link; by the device, as the next one */
	uint32_t link_mtu;         /* bytes */
};

/** What a write has done, for the device to act on. */
#define AVPD_REGS_MASK_WRITTEN (1u << 0)
#define AVPD_REGS_ACK_WRITTEN (1u << 1)

/** As after power-on. All interrupts are enabled: a guest that has been moved here does not write
 * the mask again before it waits for an interrupt. */
void avpd_regs_init(struct avpd_regs *regs);

/** @off + @size is within AVP_REG_SPACE_SIZE. */
void avpd_regs_read(struct avpd_regs *regs, uint64_t off, void *data, uint32_t size);

/** Returns AVPD_REGS_*. */
uint32_t avpd_regs_write(struct avpd_regs *regs, uint64_t off, const void *data, uint32_t size);

#endif /* AVPD_REGS_H */
