/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_layout.c: nothing overlaps, nothing can be resized, and memory is given out and
 * taken back as said.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include <avp/avp_fifo.h>

#include "avpd_layout.h"

static struct avpd_mem *
mem_create(uint32_t nb_slots, uint32_t nb_queues, uint32_t ring_len, uint32_t nb_bufs)
{
	const struct avpd_mem_conf conf = {
			.name = "test",
			.nb_slots = nb_slots,
			.slot_size = avpd_slot_size(nb_queues, ring_len),
			.nb_bufs = nb_bufs,
	};
	struct avpd_mem *mem = NULL;
	struct avp_err err;

	if (avpd_mem_create(&mem, &conf, &err) != 0)
		fail_msg("%s", err.msg);
	return mem;
}

static void
add_port(struct avpd_mem *mem, uint32_t nb_queues, uint32_t ring_len, uint32_t nb_bufs,
		struct avpd_layout *layout)
{
	struct avp_err err;

	if (avpd_mem_add_port(mem, nb_queues, ring_len, nb_bufs, layout, &err) != 0)
		fail_msg("%s", err.msg);
}

/* What a port takes, as runs of bytes. */
struct run {
	uint64_t start;
	uint64_t size;
};

static uint32_t
port_runs(const struct avpd_layout *l, struct run *runs)
{
	const uint64_t first[] = {
			l->tx_fifo_off, l->rx_fifo_off, l->alloc_fifo_off, l->free_fifo_off};
	uint32_t n = 0;

	runs[n++] = (struct run){l->ctrl_off, sizeof(struct avp_request)};
	runs[n++] = (struct run){l->req_fifo_off, avp_fifo_size(AVPD_CTRL_FIFO_LEN)};
	runs[n++] = (struct run){l->resp_fifo_off, avp_fifo_size(AVPD_CTRL_FIFO_LEN)};
	for (uint32_t kind = 0; kind < 4; kind++) {
		for (uint32_t q = 0; q < l->nb_queues; q++)
			runs[n++] = (struct run){first[kind] + q * (uint64_t)l->fifo_stride,
					avp_fifo_size(l->ring_len)};
	}
	runs[n++] = (struct run){l->bufs_off + (uint64_t)l->first_buf * l->buf_stride,
			(uint64_t)l->nb_own_bufs * l->buf_stride};
	return n;
}

#define MAX_RUNS 40u

static void
assert_no_overlap(const struct run *runs, uint32_t n, uint64_t mem_size)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(runs[i].start % AVPD_CACHE_LINE, 0);
		assert_true(runs[i].start + runs[i].size <= mem_size);
		for (uint32_t j = 0; j < i; j++)
			assert_true(runs[i].start + runs[i].size <= runs[j].start ||
					runs[j].start + runs[j].size <= runs[i].start);
	}
}

static void
parts_of_a_port_do_not_overlap(void **state)
{
	static const uint32_t queues[] = {1, 3, 8};
	static const uint32_t rings[] = {64, 256, 4096};

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		struct avpd_mem *mem = mem_create(1, queues[i / 3], rings[i % 3], 1000);
		struct run runs[MAX_RUNS];
		struct avpd_layout layout;

		add_port(mem, queues[i / 3], rings[i % 3], 1000, &layout);
		assert_no_overlap(runs, port_runs(&layout, runs), layout.mem_size);
		assert_int_equal(layout.mem_size, avpd_mem_size(mem));
		assert_int_equal(layout.nb_bufs, 1000);
		avpd_mem_destroy(mem);
	}
}

static void
ports_of_a_domain_do_not_overlap(void **state)
{
	struct avpd_mem *mem = mem_create(4, 2, 256, 4 * 777);
	struct run runs[4 * MAX_RUNS];
	struct avpd_layout layouts[4];
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		add_port(mem, 1 + i % 2, 256, 777, &layouts[i]);
		assert_int_equal(layouts[i].slot, i);
		assert_int_equal(layouts[i].first_buf, 777 * i);
		assert_int_equal(layouts[i].nb_bufs, 4 * 777);
		assert_int_equal(layouts[i].bufs_va, layouts[0].bufs_va);
		n += port_runs(&layouts[i], &runs[n]);
	}
	assert_no_overlap(runs, n, layouts[0].mem_size);
	avpd_mem_destroy(mem);
}

static void
size_is_a_power_of_two(void **state)
{
	struct avpd_mem *mem = mem_create(1, 1, 256, 600);
	struct stat st;

	(void)state;
	assert_int_equal(avpd_mem_size(mem) & (avpd_mem_size(mem) - 1), 0);
	assert_int_equal(fstat(avpd_mem_fd(mem), &st), 0);
	assert_int_equal(st.st_size, avpd_mem_size(mem));
	avpd_mem_destroy(mem);
}

static void
memory_cannot_be_resized(void **state)
{
	struct avpd_mem *mem = mem_create(1, 1, 256, 600);
	const int fd = avpd_mem_fd(mem);

	(void)state;
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)(2 * avpd_mem_size(mem))), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	avpd_mem_destroy(mem);
}

static uint64_t
kernel_bytes(const struct avpd_mem *mem)
{
	struct stat st;

	assert_int_equal(fstat(avpd_mem_fd(mem), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void
port_takes_what_it_uses_and_hardly_more(void **state)
{
	const uint64_t bufs = 1024 * (uint64_t)AVPD_BUF_STRIDE;
	struct avpd_mem *mem = mem_create(1, 1, 256, 1024);
	struct avpd_layout layout;

	(void)state;
	assert_int_equal(avpd_mem_used(mem), 0);
	add_port(mem, 1, 256, 1024, &layout);
	assert_int_equal(avpd_mem_used(mem), kernel_bytes(mem));
	assert_true(avpd_mem_used(mem) >= bufs + avpd_slot_size(1, 256));
	assert_true(avpd_mem_used(mem) <= bufs + avpd_slot_size(1, 256) + 4096);
	avpd_mem_remove_port(mem, &layout);
	assert_int_equal(kernel_bytes(mem), 0);
	avpd_mem_destroy(mem);
}

static void
using_a_port_takes_no_more_memory(void **state)
{
	struct avpd_mem *mem = mem_create(1, 2, 256, 1024);
	struct avpd_layout l;
	uint64_t before;
	uint8_t *map;

	(void)state;
	add_port(mem, 2, 256, 1024, &l);
	before = kernel_bytes(mem);
	map = mmap(NULL, l.mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, avpd_mem_fd(mem), 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	memset(map + l.ctrl_off, 1, l.free_fifo_off + 2 * l.fifo_stride - l.ctrl_off);
	memset(map + l.bufs_off, 1, (uint64_t)l.nb_own_bufs * l.buf_stride);
	assert_int_equal(kernel_bytes(mem), before);
	munmap(map, l.mem_size);
	avpd_mem_destroy(mem);
}

/* Buffers of neighbours share a page: it stays until the last of them goes. */
static void
removing_a_port_leaves_its_neighbours_alone(void **state)
{
	struct avpd_mem *mem = mem_create(3, 1, 64, 3 * 101);
	struct avpd_layout l[3];
	uint8_t *map;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		add_port(mem, 1, 64, 101, &l[i]);
	map = mmap(NULL, l[0].mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, avpd_mem_fd(mem), 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (uint32_t i = 0; i < 3; i++)
		memset(map + l[i].bufs_off + (uint64_t)l[i].first_buf * l[i].buf_stride, (int)i + 1,
				101 * (size_t)l[i].buf_stride);
	avpd_mem_remove_port(mem, &l[1]);
	for (uint32_t i = 0; i < 3; i += 2) {
		const uint8_t *bufs =
				map + l[i].bufs_off + (uint64_t)l[i].first_buf * l[i].buf_stride;

		for (size_t at = 0; at < 101 * (size_t)l[i].buf_stride; at++) {
			if (bufs[at] != i + 1)
				fail_msg("port %u: byte %zu", i, at);
		}
	}
	avpd_mem_remove_port(mem, &l[0]);
	avpd_mem_remove_port(mem, &l[2]);
	assert_int_equal(kernel_bytes(mem), 0);
	munmap(map, l[0].mem_size);
	avpd_mem_destroy(mem);
}

static void
place_of_a_removed_port_is_used_again(void **state)
{
	struct avpd_mem *mem = mem_create(3, 1, 64, 300);
	struct avpd_layout l[3];
	struct avpd_layout again;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		add_port(mem, 1, 64, 100, &l[i]);
	avpd_mem_remove_port(mem, &l[1]);
	add_port(mem, 1, 64, 60, &again);
	assert_int_equal(again.slot, 1);
	assert_int_equal(again.first_buf, 100);
	assert_int_equal(again.nb_own_bufs, 60);
	avpd_mem_destroy(mem);
}

static void
full_memory_refuses_another_port(void **state)
{
	struct avpd_mem *mem = mem_create(2, 1, 64, 250);
	struct avpd_layout l;
	struct avp_err err;

	(void)state;
	add_port(mem, 1, 64, 150, &l);
	assert_int_equal(avpd_mem_add_port(mem, 1, 64, 101, &l, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "101 buffers"));
	add_port(mem, 1, 64, 100, &l);
	assert_int_equal(avpd_mem_add_port(mem, 1, 64, 1, &l, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "no slot left"));
	avpd_mem_destroy(mem);
}

static void
port_that_does_not_fit_is_refused_by_name_and_limit(void **state)
{
	static const struct {
		uint32_t nb_queues, ring_len, nb_bufs;
		const char *words;
	} bad[] = {
			{0, 256, 100, "queues=0: 1 to 8"},
			{9, 256, 100, "queues=9: 1 to 8"},
			{1, 32, 100, "ring=32: a power of two, 64 to 4096"},
			{1, 100, 100, "ring=100: a power of two, 64 to 4096"},
			{1, 8192, 100, "ring=8192: a power of two, 64 to 4096"},
			{1, 256, 0, "buffers=0: 1 to 262144"},
			{1, 256, 262145, "buffers=262145: 1 to 262144"},
			{2, 256, 100, "queues=2 ring=256: takes"},
	};
	struct avpd_mem *mem = mem_create(1, 1, 256, 100);
	struct avpd_layout l;
	struct avp_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(avpd_mem_add_port(mem, bad[i].nb_queues, bad[i].ring_len,
						 bad[i].nb_bufs, &l, &err),
				-EINVAL);
		if (strstr(err.msg, bad[i].words) == NULL)
			fail_msg("%s: not in: %s", bad[i].words, err.msg);
	}
	assert_int_equal(kernel_bytes(mem), 0);
	avpd_mem_destroy(mem);
}

static void
memory_of_nonsense_is_refused(void **state)
{
	static const struct avpd_mem_conf bad[] = {
			{.name = "x", .nb_slots = 0, .slot_size = 4096, .nb_bufs = 1},
			{.name = "x", .nb_slots = 65, .slot_size = 4096, .nb_bufs = 1},
			{.name = "x", .nb_slots = 1, .slot_size = 0, .nb_bufs = 1},
			{.name = "x", .nb_slots = 1, .slot_size = UINT32_MAX, .nb_bufs = 1},
			{.name = "x", .nb_slots = 1, .slot_size = 4096, .nb_bufs = 0},
			{.name = "x",
					.nb_slots = 1,
					.slot_size = 4096,
					.nb_bufs = AVPD_MAX_BUFS + 1},
	};
	struct avpd_mem *mem = NULL;
	struct avp_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(avpd_mem_create(&mem, &bad[i], &err), -EINVAL);
	assert_null(mem);
	avpd_mem_destroy(NULL);
}

static void
labels_are_no_addresses_of_ours(void **state)
{
	struct avpd_mem *mem = mem_create(1, 1, 256, 600);
	struct avpd_layout l;
	void *map;

	(void)state;
	add_port(mem, 1, 256, 600, &l);
	map = mmap(NULL, l.mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, avpd_mem_fd(mem), 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_true(l.mem_va + l.mem_size <= (uintptr_t)map ||
			(uintptr_t)map + l.mem_size <= l.mem_va);
	assert_int_equal(l.bufs_va - l.mem_va, l.bufs_off);
	assert_true(l.mem_va + l.mem_size <= l.mem_pa || l.mem_pa + l.mem_size <= l.mem_va);
	munmap(map, l.mem_size);
	avpd_mem_destroy(mem);
}

static void
count_warning(void *ctx, enum avp_log_level level, const char *msg)
{
	int *count = ctx;

	assert_int_equal(level, AVP_LOG_WARNING);
	assert_non_null(strstr(msg, "2 MiB"));
	(*count)++;
}

/* Works in both worlds: with huge pages they are used, without there is a warning. */
static void
huge_pages_are_used_or_missed_with_a_warning(void **state)
{
	int warnings = 0;
	const struct avp_log log = {count_warning, &warnings};
	const struct avpd_mem_conf conf = {
			.name = "test",
			.nb_slots = 1,
			.slot_size = avpd_slot_size(1, 64),
			.nb_bufs = 100,
			.huge_pages = true,
			.log = &log,
	};
	struct avpd_mem *mem = NULL;
	struct avpd_layout l;
	struct avp_err err;

	(void)state;
	assert_int_equal(avpd_mem_create(&mem, &conf, &err), 0);
	assert_int_equal(warnings, avpd_mem_page_size(mem) == 4096 ? 1 : 0);
	print_message("pages of %u bytes\n", avpd_mem_page_size(mem));
	add_port(mem, 1, 64, 100, &l);
	assert_true(avpd_mem_used(mem) >= 100 * AVPD_BUF_STRIDE);
	if (avpd_mem_page_size(mem) > 4096) {
		assert_int_equal(avpd_mem_used(mem), 2u << 20);
		assert_int_equal(kernel_bytes(mem), 2u << 20);
	}
	avpd_mem_remove_port(mem, &l);
	avpd_mem_destroy(mem);
}

static void
sixty_four_ports_of_256_fit_in_a_gibibyte(void **state)
{
	struct avpd_mem *mems[64];
	uint64_t used = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		struct avpd_layout l;

		mems[i] = mem_create(1, 1, 256, 2048);
		add_port(mems[i], 1, 256, 2048, &l);
		used += kernel_bytes(mems[i]);
	}
	for (uint32_t i = 0; i < 64; i++)
		avpd_mem_destroy(mems[i]);
	print_message("%llu bytes\n", (unsigned long long)used);
	assert_true(used < (UINT64_C(1) << 30));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(parts_of_a_port_do_not_overlap),
			cmocka_unit_test(ports_of_a_domain_do_not_overlap),
			cmocka_unit_test(size_is_a_power_of_two),
			cmocka_unit_test(memory_cannot_be_resized),
			cmocka_unit_test(port_takes_what_it_uses_and_hardly_more),
			cmocka_unit_test(using_a_port_takes_no_more_memory),
			cmocka_unit_test(removing_a_port_leaves_its_neighbours_alone),
			cmocka_unit_test(place_of_a_removed_port_is_used_again),
			cmocka_unit_test(full_memory_refuses_another_port),
			cmocka_unit_test(port_that_does_not_fit_is_refused_by_name_and_limit),
			cmocka_unit_test(memory_of_nonsense_is_refused),
			cmocka_unit_test(labels_are_no_addresses_of_ours),
			cmocka_unit_test(huge_pages_are_used_or_missed_with_a_warning),
			cmocka_unit_test(sixty_four_ports_of_256_fit_in_a_gibibyte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
