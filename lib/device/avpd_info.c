/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * BARs 4 and 5: memory map and device information. A guest maps both, and may write there what it
 * likes: they are written here, from our own state, and never read.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "avp_sock.h"
#include "avpd_internal.h"

/* Only the first page of the memory map says anything: there is one area. */
#define MEMMAP_PAGE_SIZE 4096u
AVP_ASSERT(offsetof(struct avp_memmap, maps) + sizeof(struct avp_memmap_entry) <= MEMMAP_PAGE_SIZE);

/* Make one of the two, and map what is written of it. */
static int
bar_create(const struct avpd_device *dev, const char *what, uint64_t size, size_t map_size,
		void **map, struct avp_err *err)
{
	char name[AVPD_MEM_NAME_SIZE];
	int ret;
	int fd;

	snprintf(name, sizeof(name), "avp-%s-%s", dev->name, what);
	fd = avpd_memfd_create(name, size, false);
	if (fd < 0)
		return avp_err_set(err, -fd, "%s: %s of %llu bytes: %s", dev->name, what,
				(unsigned long long)size, strerror(-fd));
	*map = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*map == MAP_FAILED) {
		ret = avp_err_set(err, errno, "%s: mapping the %s: %s", dev->name, what,
				strerror(errno));
		*map = NULL;
		goto err_close;
	}
	return fd;

err_close:
	avp_sock_close(&fd);
	return ret;
}

int
avpd_info_init(struct avpd_device *dev, struct avp_err *err)
{
	dev->memmap_fd = bar_create(
			dev, "memmap", AVPD_BAR_MEMMAP_SIZE, MEMMAP_PAGE_SIZE, &dev->memmap, err);
	if (dev->memmap_fd < 0)
		return dev->memmap_fd;
	dev->info_fd = bar_create(
			dev, "device", AVPD_BAR_DEVICE_SIZE, AVPD_BAR_DEVICE_SIZE, &dev->info, err);
	if (dev->info_fd < 0) {
		const int ret = dev->info_fd;

		avpd_info_fini(dev);
		return ret;
	}
	return 0;
}

void
avpd_info_fini(struct avpd_device *dev)
{
	if (dev->info != NULL)
		munmap(dev->info, AVPD_BAR_DEVICE_SIZE);
	if (dev->memmap != NULL)
		munmap(dev->memmap, MEMMAP_PAGE_SIZE);
	dev->info = NULL;
	dev->memmap = NULL;
	avp_sock_close(&dev->info_fd);
	avp_sock_close(&dev->memmap_fd);
}

void
avpd_info_new_id(struct avpd_device *dev)
{
	const uint64_t last = dev->device_id;
	uint64_t id;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id)) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		id = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	/* 0 is what a driver has that never read one */
	while (id == 0 || id == last)
		id++;
	dev->device_id = id;
	dev->ctrl.limits.device_id = id;
}

static void
memmap_write(const struct avpd_device *dev)
{
	union {
		struct avp_memmap memmap;
		uint8_t page[MEMMAP_PAGE_SIZE];
	} *to = dev->memmap;
	const struct avp_memmap_entry all = {
			.area_va = dev->layout.mem_va,
			.area_pa = dev->layout.mem_pa,
			.area_size = dev->layout.mem_size,
	};

	memset(to, 0, MEMMAP_PAGE_SIZE);
	to->memmap.magic = AVP_MEMMAP_MAGIC;
	to->memmap.version = AVP_MEMMAP_VERSION;
	to->memmap.nb_maps = 1;
	to->memmap.maps[0] = all;
	/* what a guest wrote behind it took memory; failing to get that back does no harm */
	(void)fallocate(dev->memmap_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			MEMMAP_PAGE_SIZE, AVPD_BAR_MEMMAP_SIZE - MEMMAP_PAGE_SIZE);
}

static void
info_addresses(const struct avpd_layout *layout, struct avp_device_info *info)
{
	info->tx_fifo_pa = layout->mem_pa + layout->tx_fifo_off;
	info->rx_fifo_pa = layout->mem_pa + layout->rx_fifo_off;
	info->alloc_fifo_pa = layout->mem_pa + layout->alloc_fifo_off;
	info->free_fifo_pa = layout->mem_pa + layout->free_fifo_off;
	info->tx_fifo_size = layout->fifo_stride;
	info->rx_fifo_size = layout->fifo_stride;
	info->alloc_fifo_size = layout->fifo_stride;
	info->free_fifo_size = layout->fifo_stride;
	info->req_fifo_pa = layout->mem_pa + layout->req_fifo_off;
	info->resp_fifo_pa = layout->mem_pa + layout->resp_fifo_off;
	info->ctrl_slot_pa = layout->mem_pa + layout->ctrl_off;
	info->ctrl_slot_va = layout->mem_va + layout->ctrl_off;
	info->buf_va = layout->bufs_va;
	info->buf_pa = layout->mem_pa + layout->bufs_off;
	info->pools[0] = (struct avp_mempool_info){
			.pool_va = info->buf_va,
			.pool_pa = info->buf_pa,
			.pool_size = (uint64_t)layout->nb_bufs * layout->buf_stride,
	};
}

static void
info_write(const struct avpd_device *dev)
{
	const uint8_t nb_queues = (uint8_t)dev->layout.nb_queues;
	struct avp_device_info info = {
			.magic = AVP_DEVICE_MAGIC,
			.version = AVP_DEVICE_VERSION,
			.features = dev->features,
			.min_rx_queues = 1,
			.num_rx_queues = nb_queues,
			.max_rx_queues = nb_queues,
			.min_tx_queues = 1,
			.num_tx_queues = nb_queues,
			.max_tx_queues = nb_queues,
			.mode = AVP_MODE_GUEST,
			.buf_data_size = dev->layout.buf_data_size,
			.buf_stride = (dev->features &
						      (AVP_FEATURE_RECYCLE |
								      AVP_FEATURE_COMPACT)) != 0
					? dev->layout.buf_stride
					: 0,
			.device_id = dev->device_id,
			.max_rx_size = dev->max_rx_size,
	};
	const struct avp_device_ext ext = {
			.rx_arm_pa = dev->layout.mem_pa + dev->layout.arm_off,
			.rx_arm_size = AVPD_ARM_STRIDE,
	};

	snprintf(info.name, sizeof(info.name), "%s", dev->name);
	memcpy(info.mac, dev->mac, sizeof(info.mac));
	info_addresses(&dev->layout, &info);
	memset(dev->info, 0, AVPD_BAR_DEVICE_SIZE);
	memcpy(dev->info, &info, sizeof(info));
	if ((dev->features & AVP_FEATURE_RX_INTR) != 0)
		memcpy((uint8_t *)dev->info + AVP_DEVICE_EXT_OFF, &ext, sizeof(ext));
}

void
avpd_info_write(struct avpd_device *dev)
{
	memmap_write(dev);
	info_write(dev);
}
