/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The guest driver's way from labels to pointers, against a device that lies about itself.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "avpg_addr.h"
#include "avpg_fake.h"

static int
setup(void **state)
{
	*state = avpg_fake_create(&avpg_fake_default);
	return *state == NULL;
}

static int
teardown(void **state)
{
	avpg_fake_destroy(*state);
	return 0;
}

static int
load(struct avpg_fake *fake, struct avpg_info *info)
{
	struct avp_err err = {0};
	int ret = avpg_info_load(info, &fake->hw, &err);

	/* whoever refuses says why */
	assert_int_equal(ret == 0, err.msg[0] == '\0');
	return ret;
}

static void
a_good_device_is_taken(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_info info;

	assert_int_equal(load(fake, &info), 0);
	assert_ptr_equal(info.ctrl_slot, fake->slot);
	assert_ptr_equal(info.req.fifo[0], fake->req.fifo);
	assert_ptr_equal(info.resp.fifo[0], fake->resp.fifo);
	for (uint32_t i = 0; i < 2; i++) {
		assert_ptr_equal(info.tx.fifo[i], fake->tx[i].fifo);
		assert_ptr_equal(info.rx.fifo[i], fake->rx[i].fifo);
		assert_ptr_equal(info.alloc.fifo[i], fake->alloc[i].fifo);
		assert_ptr_equal(info.free.fifo[i], fake->free[i].fifo);
	}
	assert_true(info.tx.max_len >= avpg_fake_default.ring_len);
	assert_ptr_equal(avpg_desc_at(&info.mem, avpg_fake_buf_va(fake, 5)),
			avpg_fake_desc(fake, 5));
	assert_string_equal(info.name, "simulated");
}

static void
a_label_must_lie_in_bar_2_with_all_its_bytes(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_info info;
	uint64_t start = AVPG_FAKE_MEM_VA;
	uint64_t end = start + fake->hw.mem_size;

	assert_int_equal(load(fake, &info), 0);
	assert_ptr_equal(avpg_mem_at(&info.mem, start, 1), fake->mem);
	assert_ptr_equal(avpg_mem_at(&info.mem, start, fake->hw.mem_size), fake->mem);
	assert_ptr_equal(avpg_mem_at(&info.mem, end - 1, 1), fake->mem + fake->hw.mem_size - 1);
	assert_null(avpg_mem_at(&info.mem, start - 1, 1));
	assert_null(avpg_mem_at(&info.mem, end, 1));
	assert_null(avpg_mem_at(&info.mem, end - 1, 2));
	assert_null(avpg_mem_at(&info.mem, start, fake->hw.mem_size + 1));
	assert_null(avpg_mem_at(&info.mem, end - 64, UINT64_MAX));
	assert_null(avpg_mem_at(&info.mem, 0, 64));
	assert_null(avpg_mem_at(&info.mem, UINT64_MAX, 64));
	assert_null(avpg_mem_at(&info.mem, (uint64_t)(uintptr_t)fake, 64));
}

static void
a_descriptor_must_be_aligned(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_info info;
	uint64_t va = avpg_fake_buf_va(fake, 3);

	assert_int_equal(load(fake, &info), 0);
	assert_non_null(avpg_desc_at(&info.mem, va));
	for (uint32_t off = 1; off < 64; off++)
		assert_null(avpg_desc_at(&info.mem, va + off));
}

/* A lie, and what it must be answered with. */
struct lie {
	const char *what;
	size_t offset; /* in device information */
	size_t size;
	uint64_t value;
	int error;
};

#define LIE(field, value, error)                                                             \
	{                                                                                    \
#field " = " #value, offsetof(struct avp_device_info, field),                \
				sizeof(((struct avp_device_info *)0)->field), (value), error \
	}

static const struct lie lies[] = {
		LIE(magic, 0, -ENODEV),
		LIE(magic, 0xffffffff, -ENODEV),
		LIE(version, AVP_VERSION(1, 3, 0), -ENOTSUP),
		LIE(version, 0xffffffff, -ENOTSUP),
		LIE(max_rx_queues, 0, -EINVAL),
		LIE(min_rx_queues, 3, -EINVAL),
		LIE(max_tx_queues, 0, -EINVAL),
		LIE(min_tx_queues, 255, -EINVAL),
		LIE(tx_fifo_pa, 0, -EINVAL),
		LIE(rx_fifo_pa, UINT64_MAX, -EINVAL),
		LIE(alloc_fifo_pa, UINT64_MAX - 7, -EINVAL),
		LIE(free_fifo_pa, AVPG_FAKE_MEM_PA, -EINVAL),
		LIE(rx_fifo_pa, AVPG_FAKE_MEM_PA + 4096 + 4, -EINVAL),
		LIE(tx_fifo_size, 0, -EINVAL),
		LIE(tx_fifo_size, 16, -EINVAL),
		LIE(tx_fifo_size, 0x40000, -EINVAL), /* the second would not fit */
		LIE(tx_fifo_size, 0xffffffff, -EINVAL),
		LIE(rx_fifo_size, 0x80000000, -EINVAL),
		LIE(alloc_fifo_size, 100, -EINVAL),
		LIE(req_fifo_pa, 0, -EINVAL),
		LIE(resp_fifo_pa, 2 * AVPG_FAKE_MEM_PA + 4096 - 16, -EINVAL),
		LIE(ctrl_slot_pa, 2 * AVPG_FAKE_MEM_PA + 4096 - 32, -EINVAL),
		LIE(ctrl_slot_pa, 2 * AVPG_FAKE_MEM_PA + 1, -EINVAL),
		LIE(buf_pa, 0, -EINVAL),
		LIE(buf_data_size, 0, -EINVAL),
		LIE(buf_data_size, 63, -EINVAL),
		LIE(buf_data_size, 65536, -EINVAL),
		LIE(buf_data_size, 0xffffffff, -EINVAL),
		LIE(max_rx_size, 0, -EINVAL),
		LIE(max_rx_size, 9239, -EINVAL),
};

static void
a_device_that_contradicts_itself_is_refused(void **state)
{
	struct avpg_fake *fake = *state;
	struct avp_device_info good = *fake->info;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct avpg_info info = {.version = 77};

		print_message("%s\n", lies[i].what);
		*fake->info = good;
		memcpy((uint8_t *)fake->info + lies[i].offset, &lies[i].value, lies[i].size);
		assert_int_equal(load(fake, &info), lies[i].error);
		assert_int_equal(info.version, 77);
	}
}

static void
the_memory_map_is_checked(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_info info;
	static const uint32_t bad_counts[] = {0, 2049, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(bad_counts) / sizeof(bad_counts[0]); i++) {
		fake->memmap->nb_maps = bad_counts[i];
		assert_int_equal(load(fake, &info), -EINVAL);
	}
	fake->memmap->nb_maps = 2048; /* the rest is zero */
	assert_int_equal(load(fake, &info), 0);
	fake->hw.memmap_size = 16 + 3 * 24;
	assert_int_equal(load(fake, &info), -EINVAL);
	fake->memmap->nb_maps = 3;
	assert_int_equal(load(fake, &info), 0);
	fake->memmap->version = 2;
	assert_int_equal(load(fake, &info), -ENOTSUP);
	fake->memmap->magic++;
	assert_int_equal(load(fake, &info), -ENODEV);
}

static void
areas_beyond_bar_2_are_cut_off(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_info info;

	/* sizes that add up to more than 64 bits hold */
	fake->memmap->maps[1].area_size = UINT64_MAX;
	assert_int_equal(load(fake, &info), 0);
	assert_int_equal(info.mem.size, fake->hw.mem_size);
	/* and what lies behind the end does not exist */
	fake->memmap->maps[0].area_size = UINT64_MAX;
	assert_int_equal(load(fake, &info), -EINVAL);
}

static void
a_missing_bar_is_refused(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_hw good = fake->hw;
	struct avpg_info info;

	fake->hw.mem = NULL;
	assert_int_equal(load(fake, &info), -ENODEV);
	fake->hw = good;
	fake->hw.mem_size = 0;
	assert_int_equal(load(fake, &info), -ENODEV);
	fake->hw = good;
	fake->hw.memmap = NULL;
	assert_int_equal(load(fake, &info), -ENODEV);
	fake->hw = good;
	fake->hw.memmap_size = 16;
	assert_int_equal(load(fake, &info), -ENODEV);
	fake->hw = good;
	fake->hw.device_size = 375;
	assert_int_equal(load(fake, &info), -ENODEV);
	fake->hw = good;
	fake->hw.mem_size = 4096;
	assert_int_equal(load(fake, &info), -EINVAL);
}

static void
the_name_is_made_printable(void **state)
{
	struct avpg_fake *fake = *state;
	struct avpg_info info;

	memset(fake->info->name, '\033', sizeof(fake->info->name));
	assert_int_equal(load(fake, &info), 0);
	assert_non_null(memchr(info.name, '\0', sizeof(info.name)));
	assert_null(strchr(info.name, '\033'));
}

static void
armed_words_outside_bar_2_are_refused(void **state)
{
	struct avpg_fake *fake = *state;
	struct avp_device_ext *ext = (void *)((uint8_t *)fake->info + AVP_DEVICE_EXT_OFF);
	struct avp_device_ext good;
	struct avpg_info info;

	assert_int_equal(load(fake, &info), 0);
	assert_null(avpg_info_arm(&info, 0));
	avpg_fake_offer_rx_intr(fake);
	good = *ext;
	assert_int_equal(load(fake, &info), 0);
	assert_ptr_equal(avpg_info_arm(&info, 1), avpg_fake_arm(fake, 1));
	ext->rx_arm_pa++;
	assert_int_equal(load(fake, &info), -EINVAL);
	ext->rx_arm_pa = 7 * AVPG_FAKE_MEM_PA;
	assert_int_equal(load(fake, &info), -EINVAL);
	*ext = good;
	ext->rx_arm_size = 0;
	assert_int_equal(load(fake, &info), -EINVAL);
	ext->rx_arm_size = 6;
	assert_int_equal(load(fake, &info), -EINVAL);
	ext->rx_arm_size = 0xfffffffc;
	assert_int_equal(load(fake, &info), -EINVAL);
	/* the last word that fits the area, and the first that does not */
	ext->rx_arm_size = 4;
	ext->rx_arm_pa = 2 * AVPG_FAKE_MEM_PA + 4096 - 8;
	assert_int_equal(load(fake, &info), 0);
	ext->rx_arm_pa += 4;
	assert_int_equal(load(fake, &info), -EINVAL);
	*ext = good;
	fake->hw.device_size = sizeof(struct avp_device_info);
	assert_int_equal(load(fake, &info), -EINVAL);
	fake->info->features = 0;
	assert_int_equal(load(fake, &info), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(a_good_device_is_taken),
			TEST(armed_words_outside_bar_2_are_refused),
			TEST(a_label_must_lie_in_bar_2_with_all_its_bytes),
			TEST(a_descriptor_must_be_aligned),
			TEST(a_device_that_contradicts_itself_is_refused),
			TEST(the_memory_map_is_checked),
			TEST(areas_beyond_bar_2_are_cut_off),
			TEST(a_missing_bar_is_refused),
			TEST(the_name_is_made_printable),
	};

	return cmocka_run_group_tests_name("avpg_addr", tests, NULL, NULL);
}
