/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_pci.c: what a kernel finds in configuration space, and what it cannot change.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include <linux/pci_regs.h>

#include "avpd_pci.h"

#define MEM_SIZE (UINT64_C(4) << 20)

static uint32_t
read_at(const struct avpd_pci *pci, uint32_t off, uint32_t size)
{
	uint32_t value = 0;

	avpd_pci_read(pci, off, &value, size);
	return value;
}

static void
write_at(struct avpd_pci *pci, uint32_t off, uint32_t value, uint32_t size)
{
	avpd_pci_write(pci, off, &value, size);
}

/* Size a BAR as a kernel does: write all ones, read back. */
static uint32_t
size_bar(struct avpd_pci *pci, uint32_t bar)
{
	write_at(pci, AVPD_PCI_BAR0 + 4 * bar, UINT32_MAX, 4);
	return read_at(pci, AVPD_PCI_BAR0 + 4 * bar, 4);
}

static void
identity_is_that_of_the_contract(void **state)
{
	struct avpd_pci pci;

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	assert_int_equal(read_at(&pci, PCI_VENDOR_ID, 4), 0x11101af4);
	assert_int_equal(read_at(&pci, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11041af4);
	assert_int_equal(read_at(&pci, PCI_CLASS_REVISION, 4) >> 8, 0x020000);
	assert_int_equal(read_at(&pci, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(read_at(&pci, PCI_INTERRUPT_PIN, 1), 0);
}

static void
bars_are_sized_by_writing_all_ones(void **state)
{
	struct avpd_pci pci;

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	assert_int_equal(size_bar(&pci, 0), 0xfffff000);
	assert_int_equal(size_bar(&pci, 1), 0xfffff000);
	assert_int_equal(size_bar(&pci, 2), 0xffc0000c); /* 4 MiB, 64 bits, prefetchable */
	assert_int_equal(size_bar(&pci, 3), 0xffffffff);
	assert_int_equal(size_bar(&pci, 4), 0xffff0000);
	assert_int_equal(size_bar(&pci, 5), 0xfffff000);
	write_at(&pci, PCI_ROM_ADDRESS, UINT32_MAX, 4);
	assert_int_equal(read_at(&pci, PCI_ROM_ADDRESS, 4), 0);
}

static void
bar_above_4_gib_is_sized_in_both_halves(void **state)
{
	struct avpd_pci pci;

	(void)state;
	avpd_pci_init(&pci, UINT64_C(8) << 30);
	assert_int_equal(size_bar(&pci, 2), 0x0000000c);
	assert_int_equal(size_bar(&pci, 3), 0xfffffffe);
}

static void
bar_keeps_the_address_it_is_given(void **state)
{
	struct avpd_pci pci;

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	write_at(&pci, PCI_BASE_ADDRESS_0, 0xfebd5123, 4);
	assert_int_equal(read_at(&pci, PCI_BASE_ADDRESS_0, 4), 0xfebd5000);
	write_at(&pci, PCI_BASE_ADDRESS_0, 0xe0002000, 4);
	assert_int_equal(read_at(&pci, PCI_BASE_ADDRESS_0, 4), 0xe0002000);
	write_at(&pci, PCI_BASE_ADDRESS_2, 0x12c00000, 4);
	write_at(&pci, PCI_BASE_ADDRESS_3, 0x38, 4);
	assert_int_equal(read_at(&pci, PCI_BASE_ADDRESS_2, 4), 0x12c0000c);
	assert_int_equal(read_at(&pci, PCI_BASE_ADDRESS_3, 4), 0x38);
}

static void
command_keeps_what_the_device_has(void **state)
{
	struct avpd_pci pci;

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	write_at(&pci, PCI_COMMAND, 0xffff, 2);
	assert_int_equal(read_at(&pci, PCI_COMMAND, 2),
			PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
					PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(read_at(&pci, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
}

static void
capability_list_has_msix_alone(void **state)
{
	struct avpd_pci pci;
	uint32_t cap;

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	cap = read_at(&pci, PCI_CAPABILITY_LIST, 1);
	assert_int_equal(read_at(&pci, cap, 1), PCI_CAP_ID_MSIX);
	assert_int_equal(read_at(&pci, cap + 1, 1), 0);
	assert_int_equal(read_at(&pci, cap + PCI_MSIX_FLAGS, 2), AVP_NB_VECTORS - 1);
	assert_int_equal(read_at(&pci, cap + PCI_MSIX_TABLE, 4), 0x000 | 1);
	assert_int_equal(read_at(&pci, cap + PCI_MSIX_PBA, 4), 0x800 | 1);
	write_at(&pci, cap + PCI_MSIX_FLAGS, 0xffff, 2);
	assert_int_equal(read_at(&pci, cap + PCI_MSIX_FLAGS, 2), 0xc000 | (AVP_NB_VECTORS - 1));
}

static void
everything_else_is_read_only(void **state)
{
	static const struct {
		uint32_t from, to;
	} writable[] = {
			{PCI_COMMAND, 2},
			{PCI_CACHE_LINE_SIZE, 2},
			{PCI_BASE_ADDRESS_0, 24},
			{PCI_INTERRUPT_LINE, 1},
			{AVPD_PCI_MSIX_CAP + PCI_MSIX_FLAGS, 2},
	};
	struct avpd_pci pci;
	struct avpd_pci fresh;
	uint8_t ones[AVPD_PCI_CONFIG_SIZE];

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	fresh = pci;
	memset(ones, 0xff, sizeof(ones));
	avpd_pci_write(&pci, 0, ones, sizeof(ones));
	for (uint32_t i = 0; i < AVPD_PCI_CONFIG_SIZE; i++) {
		bool may = false;

		for (size_t j = 0; j < sizeof(writable) / sizeof(writable[0]); j++)
			may |= i - writable[j].from < writable[j].to;
		if (!may && pci.config[i] != fresh.config[i])
			fail_msg("byte 0x%x", i);
	}
	avpd_pci_reset(&pci);
	assert_memory_equal(pci.config, fresh.config, sizeof(pci.config));
}

static void
single_bytes_can_be_written(void **state)
{
	struct avpd_pci pci;

	(void)state;
	avpd_pci_init(&pci, MEM_SIZE);
	write_at(&pci, PCI_BASE_ADDRESS_0 + 3, 0xfe, 1);
	write_at(&pci, PCI_BASE_ADDRESS_0 + 1, 0xbcdf, 2);
	assert_int_equal(read_at(&pci, PCI_BASE_ADDRESS_0, 4), 0xfebcd000);
	write_at(&pci, PCI_INTERRUPT_LINE, 11, 1);
	assert_int_equal(read_at(&pci, PCI_INTERRUPT_LINE, 1), 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(identity_is_that_of_the_contract),
			cmocka_unit_test(bars_are_sized_by_writing_all_ones),
			cmocka_unit_test(bar_above_4_gib_is_sized_in_both_halves),
			cmocka_unit_test(bar_keeps_the_address_it_is_given),
			cmocka_unit_test(command_keeps_what_the_device_has),
			cmocka_unit_test(capability_list_has_msix_alone),
			cmocka_unit_test(everything_else_is_read_only),
			cmocka_unit_test(single_bytes_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
