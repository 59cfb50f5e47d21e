/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_regs.c: the registers, by accesses of every size and alignment.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avpd_regs.h"

static uint32_t
read32(struct avpd_regs *regs, uint32_t off)
{
	uint32_t value = 0;

	avpd_regs_read(regs, off, &value, sizeof(value));
	return value;
}

static uint32_t
write32(struct avpd_regs *regs, uint32_t off, uint32_t value)
{
	return avpd_regs_write(regs, off, &value, sizeof(value));
}

static void
interrupts_are_enabled_at_first(void **state)
{
	struct avpd_regs regs;

	(void)state;
	avpd_regs_init(&regs);
	assert_int_equal(read32(&regs, AVP_REG_INTR_MASK), AVP_INTR_MASK_ALL);
	assert_int_equal(read32(&regs, AVP_REG_INTR_STATUS), 0);
	assert_int_equal(read32(&regs, AVP_REG_MIGRATION_STATUS), AVP_MIGRATION_NONE);
}

static void
status_clears_on_read(void **state)
{
	struct avpd_regs regs;

	(void)state;
	avpd_regs_init(&regs);
	regs.intr_status = AVP_INTR_MIGRATION;
	assert_int_equal(read32(&regs, AVP_REG_INTR_MASK), AVP_INTR_MASK_ALL);
	assert_int_equal(read32(&regs, AVP_REG_MIGRATION_STATUS), 0);
	assert_int_equal(read32(&regs, AVP_REG_INTR_STATUS), AVP_INTR_MIGRATION);
	assert_int_equal(read32(&regs, AVP_REG_INTR_STATUS), 0);
}

/* All offsets and sizes around the registers: the bytes are right, and the status is cleared by an
 * access that has any of its bytes, and by no other. */
static void
reads_of_any_size_and_alignment_give_the_bytes(void **state)
{
	(void)state;
	for (uint32_t off = 0; off < 24; off++) {
		for (uint32_t size = 1; size <= 16; size++) {
			const uint32_t words[10] = {0x11223344, 0x55667788, 0x99aabbcc, 0,
					0x12345678, 0x9abcdef0};
			struct avpd_regs regs = {.intr_mask = words[0],
					.intr_status = words[1],
					.migration_status = words[2],
					.migration_ack = 0xddeeff00,
					.link_status = words[4],
					.link_mtu = words[5]};
			uint8_t bytes[16];

			memset(bytes, 0x5a, sizeof(bytes));
			avpd_regs_read(&regs, off, bytes, size);
			assert_memory_equal(bytes, (const uint8_t *)words + off, size);
			assert_int_equal(
					regs.intr_status, off < 8 && off + size > 4 ? 0 : words[1]);
		}
	}
}

static void
acknowledge_and_unknown_registers_read_0(void **state)
{
	struct avpd_regs regs;

	(void)state;
	avpd_regs_init(&regs);
	write32(&regs, AVP_REG_MIGRATION_ACK, 1);
	assert_int_equal(read32(&regs, AVP_REG_MIGRATION_ACK), 0);
	for (uint32_t off = 24; off < AVP_REG_SPACE_SIZE; off += 4) {
		assert_int_equal(write32(&regs, off, UINT32_MAX), 0);
		assert_int_equal(read32(&regs, off), 0);
	}
}

static void
status_registers_cannot_be_written(void **state)
{
	struct avpd_regs regs;

	(void)state;
	avpd_regs_init(&regs);
	assert_int_equal(write32(&regs, AVP_REG_INTR_STATUS, UINT32_MAX), 0);
	assert_int_equal(write32(&regs, AVP_REG_MIGRATION_STATUS, 2), 0);
	assert_int_equal(write32(&regs, AVP_REG_LINK_STATUS, 2), 0);
	assert_int_equal(write32(&regs, AVP_REG_LINK_MTU, 9000), 0);
	assert_int_equal(regs.link_status + regs.link_mtu, 0);
	assert_int_equal(regs.intr_status, 0);
	assert_int_equal(regs.migration_status, 0);
}

static void
writes_tell_what_they_were(void **state)
{
	const uint32_t all[4] = {0, 0, 0, 2};
	struct avpd_regs regs;

	(void)state;
	avpd_regs_init(&regs);
	assert_int_equal(write32(&regs, AVP_REG_INTR_MASK, 0), AVPD_REGS_MASK_WRITTEN);
	assert_int_equal(regs.intr_mask, 0);
	assert_int_equal(write32(&regs, AVP_REG_MIGRATION_ACK, 3), AVPD_REGS_ACK_WRITTEN);
	assert_int_equal(regs.migration_ack, 3);
	assert_int_equal(avpd_regs_write(&regs, 0, all, sizeof(all)),
			AVPD_REGS_MASK_WRITTEN | AVPD_REGS_ACK_WRITTEN);
	assert_int_equal(regs.migration_ack, 2);
}

static void
partial_writes_change_their_bytes_only(void **state)
{
	const uint8_t bytes[3] = {1, 2, 3};
	struct avpd_regs regs;

	(void)state;
	avpd_regs_init(&regs);
	assert_int_equal(avpd_regs_write(&regs, 1, bytes, 2), AVPD_REGS_MASK_WRITTEN);
	assert_int_equal(regs.intr_mask, 0xff0201ff);
	assert_int_equal(avpd_regs_write(&regs, 3, bytes, 3), AVPD_REGS_MASK_WRITTEN);
	assert_int_equal(regs.intr_mask, 0x010201ff);
	assert_int_equal(avpd_regs_write(&regs, 14, bytes, 3), AVPD_REGS_ACK_WRITTEN);
	assert_int_equal(regs.migration_ack, 0x02010000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(interrupts_are_enabled_at_first),
			cmocka_unit_test(status_clears_on_read),
			cmocka_unit_test(reads_of_any_size_and_alignment_give_the_bytes),
			cmocka_unit_test(acknowledge_and_unknown_registers_read_0),
			cmocka_unit_test(status_registers_cannot_be_written),
			cmocka_unit_test(writes_tell_what_they_were),
			cmocka_unit_test(partial_writes_change_their_bytes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
