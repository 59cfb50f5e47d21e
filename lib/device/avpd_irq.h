/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Interrupts: the eventfds that a client has put on the MSI-X vectors, and BAR 1 with the MSI-X
 * table and the pending bits.
 *
 * QEMU keeps the table itself. Clients that do not find plain memory for it here; what it says does
 * not matter, a vector that has an eventfd signals it. Pending bits are always 0.
 */

#ifndef AVPD_IRQ_H
#define AVPD_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>

#include "avpd_pci.h"
#include "vuser_server.h"

/** Number of the MSI-X interrupt index of a PCI device in vfio. */
#define AVPD_IRQ_MSIX 2u
#define AVPD_NB_IRQS 5u

#define AVPD_MSIX_TABLE_SIZE (AVP_NB_VECTORS * 16u)
AVP_ASSERT(AVPD_MSIX_TABLE_OFF + AVPD_MSIX_TABLE_SIZE <= AVPD_MSIX_PBA_OFF);

struct avpd_irq {
	int fds[AVP_NB_VECTORS]; /* -1 = none; owned */
	uint64_t nb_signalled;
	uint8_t table[AVPD_MSIX_TABLE_SIZE];
};

void avpd_irq_init(struct avpd_irq *irq);

/** Close all eventfds and clear the table: the client is gone. */
void avpd_irq_fini(struct avpd_irq *irq);

/** Clear the table; eventfds stay. */
void avpd_irq_reset(struct avpd_irq *irq);

/**
 * Carry out what a client asks for. Takes the descriptors in @set, also when it fails.
 *
 * Returns 0, or -errno: -EINVAL for another index than MSI-X, -ENOTSUP for masking, which belongs
 * in the MSI-X table.
 */
int avpd_irq_set(struct avpd_irq *irq, const struct vuser_irq_set *set);

/** Signal @vector. False when it has no eventfd, or the signal did not get out. */
bool avpd_irq_raise(struct avpd_irq *irq, uint32_t vector);

/** Has @vector an eventfd? */
bool avpd_irq_is_set(const struct avpd_irq *irq, uint32_t vector);

/** Number of vectors that have an eventfd. */
uint32_t avpd_irq_nb_set(const struct avpd_irq *irq);

/** BAR 1; @off + @size is within AVPD_BAR_MSIX_SIZE. */
void avpd_irq_bar_read(const struct avpd_irq *irq, uint64_t off, void *data, uint32_t size);
void avpd_irq_bar_write(struct avpd_irq *irq, uint64_t off, const void *data, uint32_t size);

#endif /* AVPD_IRQ_H */
