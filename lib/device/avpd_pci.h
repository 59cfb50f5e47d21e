/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * PCI configuration space of the device: identity, BARs with sizing, command, MSI-X capability.
 *
 * QEMU emulates most of it and only forwards the guest's writes; a client without a VM may read and
 * write it like a kernel would. Nothing in it changes what the device does: BARs are mapped by the
 * client, and interrupts go wherever it has put eventfds. So a client may write here what it likes.
 */

#ifndef AVPD_PCI_H
#define AVPD_PCI_H

#include <stdint.h>

#include <avp/avp_abi.h>

#define AVPD_PCI_CONFIG_SIZE 256u
#define AVPD_PCI_NB_BARS 6u

/** Offsets in configuration space, of what is used by name. */
#define AVPD_PCI_COMMAND 0x04u
#define AVPD_PCI_BAR0 0x10u
#define AVPD_PCI_MSIX_CAP 0x40u

/** Sizes of the BARs that do not depend on the port, bytes. */
#define AVPD_BAR_MSIX_SIZE 0x1000u
#define AVPD_BAR_MEMMAP_SIZE 0x10000u
#define AVPD_BAR_DEVICE_SIZE 0x1000u
AVP_ASSERT(sizeof(struct avp_memmap) <= AVPD_BAR_MEMMAP_SIZE);
AVP_ASSERT(AVP_DEVICE_EXT_OFF + sizeof(struct avp_device_ext) <= AVPD_BAR_DEVICE_SIZE);

/** Where MSI-X table and pending bits are in their BAR. */
#define AVPD_MSIX_TABLE_OFF 0u
#define AVPD_MSIX_PBA_OFF 0x800u

struct avpd_pci {
	uint8_t config[AVPD_PCI_CONFIG_SIZE];
	uint8_t writable[AVPD_PCI_CONFIG_SIZE]; /* bits that a client may change */
};

/**
 * Make the configuration space, as after a reset.
 *
 * @mem_size  bytes of BAR 2, a power of two
 */
void avpd_pci_init(struct avpd_pci *pci, uint64_t mem_size);

/** Forget all that a client has written. */
void avpd_pci_reset(struct avpd_pci *pci);

/** Any size; @off + @size is within the space. */
void avpd_pci_read(const struct avpd_pci *pci, uint64_t off, void *data, uint32_t size);
void avpd_pci_write(struct avpd_pci *pci, uint64_t off, const void *data, uint32_t size);

#endif /* AVPD_PCI_H */
