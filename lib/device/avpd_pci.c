/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * PCI configuration space: a table of bytes and a table of the bits that may be written. The bits
 * of a BAR below its size may not, and this is all that sizing needs: whoever writes all ones reads
 * back the size.
 */

#include <string.h>

#include <linux/pci_regs.h>

#include "avpd_pci.h"

AVP_ASSERT(AVPD_PCI_COMMAND == PCI_COMMAND && AVPD_PCI_BAR0 == PCI_BASE_ADDRESS_0);

static void
put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void
put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)value);
	put16(at + 2, (uint16_t)(value >> 16));
}

static void
bar32_init(struct avpd_pci *pci, enum avp_bar bar, uint32_t size)
{
	const uint32_t off = AVPD_PCI_BAR0 + 4 * (uint32_t)bar;

	put32(&pci->config[off], PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_32);
	put32(&pci->writable[off], ~(size - 1));
}

static void
bar64_init(struct avpd_pci *pci, enum avp_bar bar, uint64_t size)
{
	const uint32_t off = AVPD_PCI_BAR0 + 4 * (uint32_t)bar;
	const uint64_t mask = ~(size - 1) & PCI_BASE_ADDRESS_MEM_MASK;

	put32(&pci->config[off],
			PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64 |
					PCI_BASE_ADDRESS_MEM_PREFETCH);
	put32(&pci->writable[off], (uint32_t)mask);
	put32(&pci->writable[off + 4], (uint32_t)(mask >> 32));
}

static void
identity_init(struct avpd_pci *pci)
{
	put16(&pci->config[PCI_VENDOR_ID], AVP_PCI_VENDOR_ID);
	put16(&pci->config[PCI_DEVICE_ID], AVP_PCI_DEVICE_ID);
	put16(&pci->config[PCI_SUBSYSTEM_VENDOR_ID], AVP_PCI_SUBSYS_VENDOR_ID);
	put16(&pci->config[PCI_SUBSYSTEM_ID], AVP_PCI_SUBSYS_DEVICE_ID);
	put32(&pci->config[PCI_CLASS_REVISION], (uint32_t)AVP_PCI_CLASS << 8);
	put16(&pci->config[PCI_STATUS], PCI_STATUS_CAP_LIST);
	pci->config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_NORMAL;
	pci->config[PCI_CAPABILITY_LIST] = AVPD_PCI_MSIX_CAP;
	put16(&pci->writable[PCI_COMMAND],
			PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
					PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	pci->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	pci->writable[PCI_LATENCY_TIMER] = 0xff;
	pci->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static void
msix_init(struct avpd_pci *pci)
{
	uint8_t *cap = &pci->config[AVPD_PCI_MSIX_CAP];

	cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
	cap[PCI_CAP_LIST_NEXT] = 0;
	put16(&cap[PCI_MSIX_FLAGS], AVP_NB_VECTORS - 1);
	put32(&cap[PCI_MSIX_TABLE], AVPD_MSIX_TABLE_OFF | AVP_BAR_MSIX);
	put32(&cap[PCI_MSIX_PBA], AVPD_MSIX_PBA_OFF | AVP_BAR_MSIX);
	put16(&pci->writable[AVPD_PCI_MSIX_CAP + PCI_MSIX_FLAGS],
			PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void
avpd_pci_init(struct avpd_pci *pci, uint64_t mem_size)
{
	memset(pci, 0, sizeof(*pci));
	identity_init(pci);
	bar32_init(pci, AVP_BAR_MMIO, AVP_REG_SPACE_SIZE);
	bar32_init(pci, AVP_BAR_MSIX, AVPD_BAR_MSIX_SIZE);
	bar64_init(pci, AVP_BAR_MEMORY, mem_size);
	bar32_init(pci, AVP_BAR_MEMMAP, AVPD_BAR_MEMMAP_SIZE);
	bar32_init(pci, AVP_BAR_DEVICE, AVPD_BAR_DEVICE_SIZE);
	msix_init(pci);
}

void
avpd_pci_reset(struct avpd_pci *pci)
{
	/* all writable bits are 0 after a reset */
	for (uint32_t i = 0; i < AVPD_PCI_CONFIG_SIZE; i++)
		pci->config[i] &= (uint8_t)~pci->writable[i];
}

void
avpd_pci_read(const struct avpd_pci *pci, uint64_t off, void *data, uint32_t size)
{
	memcpy(data, &pci->config[off], size);
}

void
avpd_pci_write(struct avpd_pci *pci, uint64_t off, const void *data, uint32_t size)
{
	const uint8_t *bytes = data;

	for (uint32_t i = 0; i < size; i++) {
		const uint8_t writable = pci->writable[off + i];

		pci->config[off + i] = (uint8_t)((pci->config[off + i] & ~writable) |
				(bytes[i] & writable));
	}
}
