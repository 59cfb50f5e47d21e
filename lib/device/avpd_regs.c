/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The registers of BAR 0, see avpd_regs.h.
 */

#include <stdbool.h>
#include <string.h>

#include "avpd_regs.h"

#define NB_REGS 6u
#define REGS_SIZE (NB_REGS * 4u)
AVP_ASSERT(AVP_REG_LINK_MTU + 4 == REGS_SIZE);

/* Does the access [@off, @off + @size) touch the register at @reg? */
static bool
touches(uint64_t off, uint32_t size, uint32_t reg)
{
	return off < reg + 4 && reg < off + size;
}

void
avpd_regs_init(struct avpd_regs *regs)
{
	*regs = (struct avpd_regs){.intr_mask = AVP_INTR_MASK_ALL};
}

void
avpd_regs_read(struct avpd_regs *regs, uint64_t off, void *data, uint32_t size)
{
	const uint32_t values[NB_REGS] = {
			[AVP_REG_INTR_MASK / 4] = regs->intr_mask,
			[AVP_REG_INTR_STATUS / 4] = regs->intr_status,
			[AVP_REG_MIGRATION_STATUS / 4] = regs->migration_status,
			[AVP_REG_LINK_STATUS / 4] = regs->link_status,
			[AVP_REG_LINK_MTU / 4] = regs->link_mtu,
	};

	memset(data, 0, size);
	if (off < REGS_SIZE) {
		const uint32_t left = REGS_SIZE - (uint32_t)off;

		memcpy(data, (const uint8_t *)values + off, size < left ? size : left);
	}
	if (touches(off, size, AVP_REG_INTR_STATUS))
		regs->intr_status = 0;
}

/* Write those bytes of the register at @reg that the access has. */
static bool
write_reg(uint32_t *value, uint32_t reg, uint64_t off, const uint8_t *bytes, uint32_t size)
{
	uint8_t *to = (uint8_t *)value;

	if (!touches(off, size, reg))
		return false;
	for (uint32_t i = 0; i < 4; i++) {
		if (reg + i >= off && reg + i < off + size)
			to[i] = bytes[reg + i - off];
	}
	return true;
}

uint32_t
avpd_regs_write(struct avpd_regs *regs, uint64_t off, const void *data, uint32_t size)
{
	uint32_t done = 0;

	if (write_reg(&regs->intr_mask, AVP_REG_INTR_MASK, off, data, size))
		done |= AVPD_REGS_MASK_WRITTEN;
	if (write_reg(&regs->migration_ack, AVP_REG_MIGRATION_ACK, off, data, size))
		done |= AVPD_REGS_ACK_WRITTEN;
	return done;
}
