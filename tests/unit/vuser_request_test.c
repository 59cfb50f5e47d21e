/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/vuser/vuser_request.c: the answer to each command, over a socket.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "vuser_fixture.h"

struct bench {
	struct vuser_fixture f;
	int sock;
	struct vuser_raw_msg reply;
};

static int
setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (bench == NULL)
		return -1;
	vuser_fixture_start(&bench->f);
	bench->sock = vuser_raw_connect(&bench->f);
	*state = bench;
	return vuser_raw_negotiate(bench->sock);
}

static int
teardown(void **state)
{
	struct bench *bench = *state;

	close(bench->sock);
	bool clean = vuser_fixture_stop(&bench->f);
	free(bench);
	return clean ? 0 : -1;
}

static int
call(struct bench *bench, uint16_t cmd, const void *body, uint32_t size)
{
	return vuser_raw_call(bench->sock, cmd, body, size, NULL, 0, &bench->reply);
}

/* With @nb eventfds (or what /dev/null is), which are closed here. */
static int
call_with_fds(struct bench *bench, uint16_t cmd, const void *body, uint32_t size, uint32_t nb,
		bool eventfds)
{
	int fds[VUSER_RAW_MAX_FDS] = {0};

	for (uint32_t i = 0; i < nb; i++) {
		fds[i] = eventfds ? eventfd(0, EFD_CLOEXEC) : open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	int ret = vuser_raw_call(bench->sock, cmd, body, size, fds, nb, &bench->reply);
	for (uint32_t i = 0; i < nb; i++)
		close(fds[i]);
	return ret;
}

static void
device_info_counts_regions_and_irqs(void **state)
{
	struct vuser_device_info info = {.argsz = sizeof(info)};

	assert_int_equal(call(*state, VUSER_CMD_DEVICE_INFO, &info, sizeof(info)), 0);
	struct bench *bench = *state;
	assert_int_equal(bench->reply.body_size, sizeof(info));
	memcpy(&info, bench->reply.body, sizeof(info));
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.flags, VUSER_DEVICE_PCI | VUSER_DEVICE_RESET);
	assert_int_equal(info.nb_regions, 9);
	assert_int_equal(info.nb_irqs, 5);
	info.argsz = sizeof(info) - 1;
	assert_int_equal(call(bench, VUSER_CMD_DEVICE_INFO, &info, sizeof(info)), EINVAL);
}

static void
region_info_brings_a_descriptor_for_mapped_regions_only(void **state)
{
	struct bench *bench = *state;

	for (uint32_t i = 0; i < VUSER_FIXTURE_REGIONS; i++) {
		const struct vuser_region *region = &bench->f.regions[i];
		struct vuser_region_info info = {.argsz = 4096, .index = i};
		bool mapped = i == 2 || i == 4;

		assert_int_equal(call(bench, VUSER_CMD_REGION_INFO, &info, sizeof(info)), 0);
		assert_int_equal(bench->reply.body_size, sizeof(info));
		memcpy(&info, bench->reply.body, sizeof(info));
		assert_int_equal(info.argsz, sizeof(info));
		assert_int_equal(info.index, i);
		assert_int_equal(info.size, region->size);
		assert_int_equal(info.flags, region->flags);
		assert_int_equal(info.cap_off, 0);
		assert_int_equal(bench->reply.nb_fds, mapped ? 1 : 0);
		if (!mapped)
			continue;
		assert_int_equal(info.fd_off, 8192);
		assert_int_equal(lseek(bench->reply.fds[0], 0, SEEK_END),
				8192 + VUSER_FIXTURE_MEM_SIZE);
		close(bench->reply.fds[0]);
	}
	struct vuser_region_info info = {.argsz = sizeof(info), .index = VUSER_FIXTURE_REGIONS};
	assert_int_equal(call(bench, VUSER_CMD_REGION_INFO, &info, sizeof(info)), EINVAL);
	info = (struct vuser_region_info){.argsz = sizeof(info) - 1};
	assert_int_equal(call(bench, VUSER_CMD_REGION_INFO, &info, sizeof(info)), EINVAL);
}

static void
irq_info_tells_flags_and_count(void **state)
{
	struct bench *bench = *state;

	for (uint32_t i = 0; i < VUSER_FIXTURE_IRQS; i++) {
		struct vuser_irq_info info = {.argsz = sizeof(info), .index = i};

		assert_int_equal(call(bench, VUSER_CMD_IRQ_INFO, &info, sizeof(info)), 0);
		assert_int_equal(bench->reply.body_size, sizeof(info));
		memcpy(&info, bench->reply.body, sizeof(info));
		assert_int_equal(info.index, i);
		assert_int_equal(info.flags, bench->f.irqs[i].flags);
		assert_int_equal(info.count, bench->f.irqs[i].count);
	}
	struct vuser_irq_info info = {.argsz = sizeof(info), .index = VUSER_FIXTURE_IRQS};
	assert_int_equal(call(bench, VUSER_CMD_IRQ_INFO, &info, sizeof(info)), EINVAL);
}

static void
dma_map_is_accepted_and_its_descriptor_closed(void **state)
{
	struct bench *bench = *state;
	struct vuser_dma_map map = {.argsz = sizeof(map), .flags = 3, .size = 1 << 20};
	int open_before = vuser_fixture_count_fds();

	for (int i = 0; i < 600; i++) {
		map.dma_pa = (uint64_t)i << 20;
		assert_int_equal(call_with_fds(bench, VUSER_CMD_DMA_MAP, &map, sizeof(map), i % 2,
						 false),
				0);
		assert_int_equal(bench->reply.body_size, 0);
	}
	assert_true(vuser_fixture_wait_fds(open_before));
	/* all 64 bits of addresses, but not past them */
	map.dma_pa = UINT64_MAX - (1 << 20) + 1;
	assert_int_equal(call(bench, VUSER_CMD_DMA_MAP, &map, sizeof(map)), 0);
	map.dma_pa++;
	assert_int_equal(call(bench, VUSER_CMD_DMA_MAP, &map, sizeof(map)), EINVAL);
	map = (struct vuser_dma_map){.argsz = sizeof(map), .flags = 4, .size = 4096};
	assert_int_equal(call(bench, VUSER_CMD_DMA_MAP, &map, sizeof(map)), EINVAL);
	map = (struct vuser_dma_map){.argsz = sizeof(map), .flags = 1};
	assert_int_equal(call(bench, VUSER_CMD_DMA_MAP, &map, sizeof(map)), EINVAL);
}

static void
dma_unmap_echoes_the_entry(void **state)
{
	struct bench *bench = *state;
	struct vuser_dma_unmap unmap = {.argsz = 64, .dma_pa = 0x1000, .size = 0x2000};

	assert_int_equal(call(bench, VUSER_CMD_DMA_UNMAP, &unmap, sizeof(unmap)), 0);
	unmap.argsz = sizeof(unmap);
	assert_int_equal(bench->reply.body_size, sizeof(unmap));
	assert_memory_equal(bench->reply.body, &unmap, sizeof(unmap));
	unmap.flags = VUSER_DMA_UNMAP_ALL;
	assert_int_equal(call(bench, VUSER_CMD_DMA_UNMAP, &unmap, sizeof(unmap)), EINVAL);
	unmap.dma_pa = unmap.size = 0;
	assert_int_equal(call(bench, VUSER_CMD_DMA_UNMAP, &unmap, sizeof(unmap)), 0);
	unmap.flags = VUSER_DMA_UNMAP_GET_DIRTY;
	assert_int_equal(call(bench, VUSER_CMD_DMA_UNMAP, &unmap, sizeof(unmap)), ENOTSUP);
	unmap.flags = 8;
	assert_int_equal(call(bench, VUSER_CMD_DMA_UNMAP, &unmap, sizeof(unmap)), EINVAL);
}

static void
region_reads_and_writes_reach_the_device(void **state)
{
	static const uint32_t sizes[] = {1, 2, 4, 8, 3, 256, 4096};
	struct bench *bench = *state;
	uint8_t body[sizeof(struct vuser_region_rw) + 4096];

	for (int i = 0; i < 7; i++) {
		struct vuser_region_rw rw = {
				.off = 4096 - sizes[i], .region = 7, .count = sizes[i]};

		memcpy(body, &rw, sizeof(rw));
		memset(body + sizeof(rw), 0x40 + i, sizes[i]);
		assert_int_equal(call(bench, VUSER_CMD_REGION_WRITE, body,
						 (uint32_t)sizeof(rw) + sizes[i]),
				0);
		assert_int_equal(bench->reply.body_size, sizeof(rw));
		assert_memory_equal(bench->reply.body, &rw, sizeof(rw));
		assert_int_equal(call(bench, VUSER_CMD_REGION_READ, &rw, sizeof(rw)), 0);
		assert_int_equal(bench->reply.body_size, sizeof(rw) + sizes[i]);
		assert_memory_equal(bench->reply.body, body, sizeof(rw) + sizes[i]);
	}
	struct vuser_region_rw largest = {.region = 2, .count = VUSER_MAX_XFER_SIZE};
	assert_int_equal(call(bench, VUSER_CMD_REGION_READ, &largest, sizeof(largest)), 0);
	assert_int_equal(bench->reply.body_size, sizeof(largest) + VUSER_MAX_XFER_SIZE);
}

static void
region_ranges_are_checked(void **state)
{
	static const struct {
		struct vuser_region_rw rw;
		int error;
	} cases[] = {
			{{4096, 0, 1}, EINVAL}, /* offset, region, count */
			{{4095, 0, 2}, EINVAL},
			{{UINT64_MAX, 0, 1}, EINVAL},
			{{UINT64_MAX - 3, 0, 4}, EINVAL},
			{{1ull << 32, 0, 4}, EINVAL},
			{{0, 0, 0}, EINVAL},
			{{0, 0, UINT32_MAX}, EINVAL},
			{{0, 2, VUSER_MAX_XFER_SIZE + 1}, EINVAL},
			{{0, 3, 4}, EINVAL},
			{{0, 9, 4}, EINVAL},
			{{0, UINT32_MAX, 4}, EINVAL},
	};
	struct bench *bench = *state;
	uint8_t body[sizeof(struct vuser_region_rw) + 4] = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(body, &cases[i].rw, sizeof(cases[i].rw));
		assert_int_equal(call(bench, VUSER_CMD_REGION_READ, body, 16), cases[i].error);
		assert_int_equal(
				call(bench, VUSER_CMD_REGION_WRITE, body,
						16 + (cases[i].rw.count <= 4 ? cases[i].rw.count : 4)),
				cases[i].error);
	}
	struct vuser_region_rw rw = {.region = 4, .count = 4};
	memcpy(body, &rw, sizeof(rw));
	assert_int_equal(call(bench, VUSER_CMD_REGION_WRITE, body, 20), EACCES);
	assert_int_equal(call(bench, VUSER_CMD_REGION_READ, body, 16), 0);
	rw.region = 0;
	memcpy(body, &rw, sizeof(rw));
	assert_int_equal(call(bench, VUSER_CMD_REGION_WRITE, body, 19), EINVAL); /* data missing */
	rw.count = 3;
	memcpy(body, &rw, sizeof(rw));
	assert_int_equal(call(bench, VUSER_CMD_REGION_WRITE, body, 20), EINVAL); /* too much */
	assert_int_equal(atomic_load(&bench->f.writes), 0);
}

static void
error_of_the_device_reaches_the_client(void **state)
{
	struct bench *bench = *state;
	const struct vuser_region_rw rw = {.count = 4};

	atomic_store(&bench->f.result, -ENXIO);
	assert_int_equal(call(bench, VUSER_CMD_REGION_READ, &rw, sizeof(rw)), ENXIO);
	assert_int_equal(call(bench, VUSER_CMD_DEVICE_RESET, NULL, 0), ENXIO);
	assert_int_equal(atomic_load(&bench->f.resets), 1);
	atomic_store(&bench->f.result, 0);
	assert_int_equal(call(bench, VUSER_CMD_DEVICE_RESET, NULL, 0), 0);
}

static int
set_irqs(struct bench *bench, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		uint32_t nb_fds)
{
	struct vuser_irq_set_msg msg = {
			.argsz = sizeof(msg),
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
	};

	return call_with_fds(bench, VUSER_CMD_SET_IRQS, &msg, sizeof(msg), nb_fds, true);
}

#define SET_FDS (VUSER_IRQ_SET_EVENTFD | VUSER_IRQ_SET_TRIGGER)

static void
eventfds_are_set_replaced_and_taken_away(void **state)
{
	struct bench *bench = *state;
	struct vuser_fixture *f = &bench->f;

	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 16, 16), 0);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 16, 16, 16), 0);
	assert_int_equal(vuser_fixture_count_vectors(f), 32);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 15, 2, 2), 0);
	assert_int_equal(vuser_fixture_count_vectors(f), 32);
	/* QEMU takes a run of vectors away by sending none, with flags 0x24 */
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 1, 31, 0), 0);
	assert_int_equal(vuser_fixture_count_vectors(f), 1);
	assert_true(f->eventfds[0] >= 0);
	assert_int_equal(fcntl(f->eventfds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(f->eventfds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 40, 0), 0);
	assert_int_equal(vuser_fixture_count_vectors(f), 0);
}

static void
count_zero_disables_the_index(void **state)
{
	struct bench *bench = *state;
	struct vuser_fixture *f = &bench->f;

	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 16, 16), 0);
	assert_int_equal(
			set_irqs(bench, VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_TRIGGER, 2, 0, 0, 0), 0);
	assert_int_equal(vuser_fixture_count_vectors(f), 0);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 3, 2, 2), 0);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 0, 0), 0);
	assert_int_equal(vuser_fixture_count_vectors(f), 0);
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_MASK, 0, 0, 0, 0),
			EINVAL);
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_BOOL | VUSER_IRQ_SET_TRIGGER, 2, 0, 0, 0),
			EINVAL);
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_TRIGGER, 2, 1, 0, 0),
			EINVAL);
}

static void
irqs_that_do_not_exist_or_fit_are_refused(void **state)
{
	struct bench *bench = *state;
	const uint32_t none = VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_TRIGGER;

	assert_int_equal(set_irqs(bench, none, 5, 0, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, UINT32_MAX, 0, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, 2, 40, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, 2, 0, 41, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, 2, 39, 2, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, 2, UINT32_MAX, 2, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, 2, 2, UINT32_MAX, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none, 1, 0, 1, 0), EINVAL);    /* no vectors */
	assert_int_equal(set_irqs(bench, SET_FDS, 4, 0, 1, 1), EINVAL); /* no eventfds */
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 4, 3), EINVAL);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 4, 5), EINVAL);
	assert_int_equal(set_irqs(bench, none, 2, 0, 4, 4), EINVAL);
	assert_int_equal(set_irqs(bench, SET_FDS, 2, 0, 17, 17), EINVAL); /* more than fit */
	assert_int_equal(set_irqs(bench, 0, 2, 0, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_NONE, 2, 0, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none | VUSER_IRQ_SET_BOOL, 2, 0, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none | VUSER_IRQ_SET_MASK, 2, 0, 1, 0), EINVAL);
	assert_int_equal(set_irqs(bench, none | 0x40, 2, 0, 1, 0), EINVAL);
	/* only index 0 can be masked */
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_MASK, 2, 0, 1, 0),
			EINVAL);
	assert_int_equal(atomic_load(&bench->f.sets), 0);
}

static void
mask_unmask_and_trigger_reach_the_device(void **state)
{
	struct bench *bench = *state;
	const struct vuser_irq_set *set = &bench->f.last_set;
	struct {
		struct vuser_irq_set_msg msg;
		uint8_t data[4];
	} bools = {
			{sizeof(bools.msg), VUSER_IRQ_SET_BOOL | VUSER_IRQ_SET_TRIGGER, 2, 5, 4},
			{1, 0, 1, 1},
	};

	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_MASK, 0, 0, 1, 0), 0);
	assert_int_equal(set->action, VUSER_IRQ_MASK);
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_UNMASK, 0, 0, 1, 0), 0);
	assert_int_equal(set->action, VUSER_IRQ_UNMASK);
	assert_int_equal(set_irqs(bench, VUSER_IRQ_SET_EVENTFD | VUSER_IRQ_SET_UNMASK, 0, 0, 1, 1),
			0);
	assert_non_null(set->fds);
	assert_int_equal(call(bench, VUSER_CMD_SET_IRQS, &bools, sizeof(bools)), 0);
	assert_int_equal(set->action, VUSER_IRQ_TRIGGER);
	assert_int_equal(set->start, 5);
	assert_int_equal(set->count, 4);
	assert_memory_equal(bench->f.last_data, bools.data, 4);
	assert_int_equal(call(bench, VUSER_CMD_SET_IRQS, &bools, sizeof(bools) - 1), EINVAL);
}

static void
only_eventfds_are_taken_as_such(void **state)
{
	struct bench *bench = *state;
	const struct vuser_irq_set_msg msg = {sizeof(msg), SET_FDS, 2, 0, 2};

	assert_int_equal(call_with_fds(bench, VUSER_CMD_SET_IRQS, &msg, sizeof(msg), 2, false),
			EINVAL);
	assert_int_equal(atomic_load(&bench->f.sets), 0);
}

static void
what_is_not_offered_is_refused_and_the_client_stays(void **state)
{
	static const struct {
		uint16_t cmd;
		int error;
	} cases[] = {
			{VUSER_CMD_VERSION, EINVAL},
			{VUSER_CMD_REGION_IO_FDS, ENOTSUP},
			{VUSER_CMD_DMA_READ, ENOTSUP},
			{VUSER_CMD_DMA_WRITE, ENOTSUP},
			{VUSER_CMD_REGION_WRITE_MULTI, ENOTSUP},
			{VUSER_CMD_DEVICE_FEATURE, ENOTTY},
			{VUSER_CMD_MIG_DATA_READ, ENOTSUP},
			{VUSER_CMD_MIG_DATA_WRITE, ENOTSUP},
			{0, ENOSYS},
			{14, ENOSYS},
			{19, ENOSYS},
			{UINT16_MAX, ENOSYS},
	};
	struct bench *bench = *state;
	const uint8_t body[64] = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(call(bench, cases[i].cmd, body, sizeof(body)), cases[i].error);
	assert_int_equal(call(bench, VUSER_CMD_DEVICE_RESET, NULL, 0), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(device_info_counts_regions_and_irqs),
			TEST(region_info_brings_a_descriptor_for_mapped_regions_only),
			TEST(irq_info_tells_flags_and_count),
			TEST(dma_map_is_accepted_and_its_descriptor_closed),
			TEST(dma_unmap_echoes_the_entry),
			TEST(region_reads_and_writes_reach_the_device),
			TEST(region_ranges_are_checked),
			TEST(error_of_the_device_reaches_the_client),
			TEST(eventfds_are_set_replaced_and_taken_away),
			TEST(count_zero_disables_the_index),
			TEST(irqs_that_do_not_exist_or_fit_are_refused),
			TEST(mask_unmask_and_trigger_reach_the_device),
			TEST(only_eventfds_are_taken_as_such),
			TEST(what_is_not_offered_is_refused_and_the_client_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
