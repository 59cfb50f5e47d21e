/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Where everything lies in BAR 2 (see avpd_layout.h), and the memory behind it: memfd, seals, pages
 * of each port.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <avp/avp_cring.h>

#include "avp_sock.h"
#include "avpd_layout.h"

#define SMALL_PAGE_SIZE 4096u
#define HUGE_PAGE_SIZE (2u << 20)

/* Labels: values that are no address of anybody, in ranges of 1 TiB that differ from one memory to
 * the next, so that a label kept from an old one is noticed. */
#define LABEL_VA_BASE (UINT64_C(1) << 46)
#define LABEL_PA_BASE (UINT64_C(1) << 44)
#define LABEL_STEP (UINT64_C(1) << 40)
#define LABEL_STEPS 8u

/* A run of bytes, [start, end). */
struct range {
	uint64_t start;
	uint64_t end;
};

struct mem_port {
	bool used;
	uint32_t first_buf;
	uint32_t nb_bufs;
};

struct avpd_mem {
	char name[AVPD_MEM_NAME_SIZE];
	int fd;
	uint64_t size;
	uint64_t bufs_off;
	uint64_t mem_va;
	uint64_t mem_pa;
	uint32_t page_size;
	uint32_t slot_size;
	uint32_t nb_slots;
	uint32_t nb_bufs;
	struct mem_port ports[AVPD_MAX_SLOTS];
};

static uint64_t
align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static uint64_t
power_of_two_up(uint64_t value)
{
	uint64_t result = 1;

	while (result < value)
		result *= 2;
	return result;
}

/* A FIFO, or a compact ring in its place. */
static uint32_t
fifo_stride(uint32_t len)
{
	return (uint32_t)align_up(avp_cring_size(len), AVPD_CACHE_LINE);
}
AVP_ASSERT(sizeof(struct avp_cring) >= sizeof(struct avp_fifo) &&
		sizeof(struct avp_cdesc) >= sizeof(uint64_t));

/* Where the parts of a slot are, from its start. Returns the bytes used. */
static uint64_t
slot_layout(uint32_t nb_queues, uint32_t ring_len, struct avpd_layout *layout)
{
	const uint64_t kind_size = (uint64_t)nb_queues * fifo_stride(ring_len);
	uint64_t off = 0;

	layout->ctrl_off = off;
	off += align_up(sizeof(struct avp_request), AVPD_CACHE_LINE);
	layout->req_fifo_off = off;
	off += fifo_stride(AVPD_CTRL_FIFO_LEN);
	layout->resp_fifo_off = off;
	off += fifo_stride(AVPD_CTRL_FIFO_LEN);
	layout->arm_off = off;
	off += (uint64_t)nb_queues * AVPD_ARM_STRIDE;
	layout->tx_fifo_off = off;
	off += kind_size;
	layout->rx_fifo_off = off;
	off += kind_size;
	layout->alloc_fifo_off = off;
	off += kind_size;
	layout->free_fifo_off = off;
	off += kind_size;
	layout->fifo_stride = fifo_stride(ring_len);
	return off;
}

uint32_t
avpd_slot_size(uint32_t nb_queues, uint32_t ring_len)
{
	struct avpd_layout layout;

	return (uint32_t)align_up(slot_layout(nb_queues, ring_len, &layout), SMALL_PAGE_SIZE);
}

/* Have the kernel reserve huge pages for all of @fd. A mapping that is shared does that, and the
 * reservation stays with the file. */
static int
reserve_huge_pages(int fd, uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, size);
	return 0;
}

int
avpd_memfd_create(const char *name, uint64_t size, bool huge_pages)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int ret;
	int fd = memfd_create(name, huge_pages ? flags | MFD_HUGETLB | MFD_HUGE_2MB : flags);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		ret = -errno;
		goto err_close;
	}
	if (huge_pages) {
		ret = reserve_huge_pages(fd, size);
		if (ret < 0)
			goto err_close;
	}
	return fd;

err_close:
	avp_sock_close(&fd);
	return ret;
}

static int
mem_conf_check(const struct avpd_mem_conf *conf, struct avp_err *err)
{
	const uint32_t max_slot_size = avpd_slot_size(AVP_MAX_QUEUES, AVPD_MAX_RING);

	if (conf->nb_slots == 0 || conf->nb_slots > AVPD_MAX_SLOTS)
		return avp_err_set(err, EINVAL, "%s: memory for %u ports: 1 to %u", conf->name,
				conf->nb_slots, AVPD_MAX_SLOTS);
	if (conf->slot_size == 0 || conf->slot_size > max_slot_size)
		return avp_err_set(err, EINVAL, "%s: slots of %u bytes: 1 to %u", conf->name,
				conf->slot_size, max_slot_size);
	if (conf->nb_bufs == 0 || conf->nb_bufs > (uint64_t)conf->nb_slots * AVPD_MAX_BUFS)
		return avp_err_set(err, EINVAL, "%s: buffers=%u: 1 to %u for each of %u ports",
				conf->name, conf->nb_bufs, AVPD_MAX_BUFS, conf->nb_slots);
	return 0;
}

/* Choose where the labels start. */
static void
mem_labels_init(struct avpd_mem *mem)
{
	uint8_t steps[2] = {0, 0};

	/* without random numbers the labels are as good, they only look alike */
	if (getrandom(steps, sizeof(steps), GRND_NONBLOCK) < 0)
		steps[0] = (uint8_t)getpid();
	mem->mem_va = LABEL_VA_BASE + steps[0] % LABEL_STEPS * LABEL_STEP;
	mem->mem_pa = LABEL_PA_BASE + steps[1] % LABEL_STEPS * LABEL_STEP;
}

/* Make the memfd, with huge pages if they are wanted and there. */
static int
mem_open(struct avpd_mem *mem, const struct avpd_mem_conf *conf, uint64_t size, struct avp_err *err)
{
	const uint64_t huge_size = power_of_two_up(size < HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE : size);
	int fd;

	if (conf->huge_pages) {
		fd = avpd_memfd_create(mem->name, huge_size, true);
		if (fd >= 0) {
			mem->fd = fd;
			mem->size = huge_size;
			mem->page_size = HUGE_PAGE_SIZE;
			return 0;
		}
		avp_log(conf->log, AVP_LOG_WARNING,
				"%s: no %llu free pages of 2 MiB: using pages of 4 KiB, expect "
				"lower rates",
				conf->name, (unsigned long long)(huge_size / HUGE_PAGE_SIZE));
	}
	mem->size = power_of_two_up(size);
	mem->page_size = SMALL_PAGE_SIZE;
	fd = avpd_memfd_create(mem->name, mem->size, false);
	if (fd < 0)
		return avp_err_set(err, -fd, "%s: memory of %llu bytes: %s", conf->name,
				(unsigned long long)mem->size, strerror(-fd));
	mem->fd = fd;
	return 0;
}

int
avpd_mem_create(struct avpd_mem **out, const struct avpd_mem_conf *conf, struct avp_err *err)
{
	struct avpd_mem *mem;
	int ret = mem_conf_check(conf, err);

	if (ret < 0)
		return ret;
	mem = calloc(1, sizeof(*mem));
	if (mem == NULL)
		return avp_err_set(err, ENOMEM, "%s: out of memory", conf->name);
	snprintf(mem->name, sizeof(mem->name), "avp-%s", conf->name);
	mem->slot_size = (uint32_t)align_up(conf->slot_size, AVPD_CACHE_LINE);
	mem->nb_slots = conf->nb_slots;
	mem->nb_bufs = conf->nb_bufs;
	mem->bufs_off = align_up((uint64_t)mem->nb_slots * mem->slot_size, SMALL_PAGE_SIZE);
	mem_labels_init(mem);
	ret = mem_open(mem, conf, mem->bufs_off + (uint64_t)mem->nb_bufs * AVPD_BUF_STRIDE, err);
	if (ret < 0)
		goto err_free;
	*out = mem;
	return 0;

err_free:
	free(mem);
	return ret;
}

void
avpd_mem_destroy(struct avpd_mem *mem)
{
	if (mem == NULL)
		return;
	avp_sock_close(&mem->fd);
	free(mem);
}

static struct range
slot_range(const struct avpd_mem *mem, uint32_t slot)
{
	const uint64_t start = (uint64_t)slot * mem->slot_size;

	return (struct range){start, start + mem->slot_size};
}

static struct range
bufs_range(const struct avpd_mem *mem, uint32_t first_buf, uint32_t nb_bufs)
{
	const uint64_t start = mem->bufs_off + (uint64_t)first_buf * AVPD_BUF_STRIDE;

	return (struct range){start, start + (uint64_t)nb_bufs * AVPD_BUF_STRIDE};
}

/* Does a port use any of the page at @page? */
static bool
page_used(const struct avpd_mem *mem, uint64_t page)
{
	const uint64_t page_end = page + mem->page_size;

	for (uint32_t slot = 0; slot < mem->nb_slots; slot++) {
		const struct mem_port *port = &mem->ports[slot];
		const struct range s = slot_range(mem, slot);
		const struct range b = bufs_range(mem, port->first_buf, port->nb_bufs);

		if (port->used &&
				((s.start < page_end && page < s.end) ||
						(b.start < page_end && page < b.end)))
			return true;
	}
	return false;
}

/* Back @range with memory. */
static int
range_fill(const struct avpd_mem *mem, struct range range)
{
	const off_t start = (off_t)(range.start & ~(uint64_t)(mem->page_size - 1));
	const off_t end = (off_t)align_up(range.end, mem->page_size);
	int ret;

	do
		ret = fallocate(mem->fd, 0, start, end - start);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Give back the pages of @range, which no port uses any more, but for those at its ends that
 * another port has a part of. */
static void
range_punch(const struct avpd_mem *mem, struct range range)
{
	uint64_t start = range.start & ~(uint64_t)(mem->page_size - 1);
	uint64_t end = align_up(range.end, mem->page_size);
	int ret;

	if (mem->page_size == HUGE_PAGE_SIZE)
		return; /* it would give up the reservation, and a port added later could fail */
	if (page_used(mem, start))
		start += mem->page_size;
	if (start < end && page_used(mem, end - mem->page_size))
		end -= mem->page_size;
	if (start >= end)
		return;
	do
		ret = fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
				(off_t)(end - start));
	while (ret < 0 && errno == EINTR);
}

/* Find @nb_bufs consecutive buffers that no port has: at 0, or behind another port's run. */
static int
find_bufs(const struct avpd_mem *mem, uint32_t nb_bufs, uint32_t *first_buf)
{
	uint64_t best = UINT64_MAX;

	for (uint32_t i = 0; i <= mem->nb_slots; i++) {
		const bool at_start = i == mem->nb_slots;
		uint64_t start;
		bool free_run;

		if (!at_start && !mem->ports[i].used)
			continue;
		start = at_start ? 0 : (uint64_t)mem->ports[i].first_buf + mem->ports[i].nb_bufs;
		free_run = start + nb_bufs <= mem->nb_bufs;
		for (uint32_t j = 0; j < mem->nb_slots && free_run; j++) {
			const struct mem_port *port = &mem->ports[j];

			free_run = !port->used || start + nb_bufs <= port->first_buf ||
					(uint64_t)port->first_buf + port->nb_bufs <= start;
		}
		if (free_run && start < best)
			best = start;
	}
	if (best == UINT64_MAX)
		return -ENOSPC;
	*first_buf = (uint32_t)best;
	return 0;
}

static int
find_slot(const struct avpd_mem *mem)
{
	for (uint32_t slot = 0; slot < mem->nb_slots; slot++) {
		if (!mem->ports[slot].used)
			return (int)slot;
	}
	return -ENOSPC;
}

static int
port_check(const struct avpd_mem *mem, uint32_t nb_queues, uint32_t ring_len, uint32_t nb_bufs,
		struct avp_err *err)
{
	struct avpd_layout layout;
	uint64_t need;

	if (nb_queues == 0 || nb_queues > AVP_MAX_QUEUES)
		return avp_err_set(err, EINVAL, "%s: queues=%u: 1 to %u", mem->name, nb_queues,
				AVP_MAX_QUEUES);
	if (ring_len < AVPD_MIN_RING || ring_len > AVPD_MAX_RING ||
			(ring_len & (ring_len - 1)) != 0)
		return avp_err_set(err, EINVAL, "%s: ring=%u: a power of two, %u to %u", mem->name,
				ring_len, AVPD_MIN_RING, AVPD_MAX_RING);
	if (nb_bufs == 0 || nb_bufs > AVPD_MAX_BUFS)
		return avp_err_set(err, EINVAL, "%s: buffers=%u: 1 to %u", mem->name, nb_bufs,
				AVPD_MAX_BUFS);
	need = slot_layout(nb_queues, ring_len, &layout);
	if (need > mem->slot_size)
		return avp_err_set(err, EINVAL,
				"%s: queues=%u ring=%u: takes %llu bytes, a slot of this memory "
				"has %u",
				mem->name, nb_queues, ring_len, (unsigned long long)need,
				mem->slot_size);
	return 0;
}

/* Describe a port whose place has been found. */
static void
port_layout(const struct avpd_mem *mem, uint32_t slot, uint32_t nb_queues, uint32_t ring_len,
		struct avpd_layout *layout)
{
	const uint64_t slot_off = (uint64_t)slot * mem->slot_size;

	memset(layout, 0, sizeof(*layout));
	slot_layout(nb_queues, ring_len, layout);
	layout->ctrl_off += slot_off;
	layout->req_fifo_off += slot_off;
	layout->resp_fifo_off += slot_off;
	layout->arm_off += slot_off;
	layout->tx_fifo_off += slot_off;
	layout->rx_fifo_off += slot_off;
	layout->alloc_fifo_off += slot_off;
	layout->free_fifo_off += slot_off;
	layout->mem_size = mem->size;
	layout->ring_len = ring_len;
	layout->nb_queues = nb_queues;
	layout->slot = slot;
	layout->bufs_off = mem->bufs_off;
	layout->buf_stride = AVPD_BUF_STRIDE;
	layout->buf_data_size = AVPD_BUF_DATA_SIZE;
	layout->buf_data_off = sizeof(struct avp_desc) + AVPD_BUF_HEADROOM;
	layout->nb_bufs = mem->nb_bufs;
	layout->first_buf = mem->ports[slot].first_buf;
	layout->nb_own_bufs = mem->ports[slot].nb_bufs;
	layout->bufs_va = mem->mem_va + mem->bufs_off;
	layout->mem_va = mem->mem_va;
	layout->mem_pa = mem->mem_pa;
}

int
avpd_mem_add_port(struct avpd_mem *mem, uint32_t nb_queues, uint32_t ring_len, uint32_t nb_bufs,
		struct avpd_layout *layout, struct avp_err *err)
{
	uint32_t first_buf;
	int slot;
	int ret = port_check(mem, nb_queues, ring_len, nb_bufs, err);

	if (ret < 0)
		return ret;
	slot = find_slot(mem);
	if (slot < 0)
		return avp_err_set(err, ENOSPC, "%s: no slot left: it holds %u ports", mem->name,
				mem->nb_slots);
	if (find_bufs(mem, nb_bufs, &first_buf) < 0)
		return avp_err_set(err, ENOSPC, "%s: no %u buffers left in a row: it holds %u",
				mem->name, nb_bufs, mem->nb_bufs);
	ret = range_fill(mem, slot_range(mem, (uint32_t)slot));
	if (ret < 0)
		goto err_punch_slot;
	ret = range_fill(mem, bufs_range(mem, first_buf, nb_bufs));
	if (ret < 0)
		goto err_punch_bufs;
	mem->ports[slot] = (struct mem_port){true, first_buf, nb_bufs};
	port_layout(mem, (uint32_t)slot, nb_queues, ring_len, layout);
	return 0;

err_punch_bufs:
	range_punch(mem, bufs_range(mem, first_buf, nb_bufs));
err_punch_slot:
	range_punch(mem, slot_range(mem, (uint32_t)slot));
	return avp_err_set(err, ENOMEM, "%s: no memory for %u buffers: %s", mem->name, nb_bufs,
			strerror(-ret));
}

void
avpd_mem_remove_port(struct avpd_mem *mem, const struct avpd_layout *layout)
{
	struct mem_port *port = &mem->ports[layout->slot];
	const struct range bufs = bufs_range(mem, port->first_buf, port->nb_bufs);

	port->used = false;
	range_punch(mem, bufs);
	range_punch(mem, slot_range(mem, layout->slot));
}

int
avpd_mem_fd(const struct avpd_mem *mem)
{
	return mem->fd;
}

uint64_t
avpd_mem_size(const struct avpd_mem *mem)
{
	return mem->size;
}

uint64_t
avpd_mem_used(const struct avpd_mem *mem)
{
	struct stat st;

	if (mem->page_size == HUGE_PAGE_SIZE)
		return mem->size;
	if (fstat(mem->fd, &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

uint32_t
avpd_mem_page_size(const struct avpd_mem *mem)
{
	return mem->page_size;
}
