/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The device's answers to its vfio-user client: connecting, regions, interrupts, reset.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "avpd_internal.h"

static void
client_connected(void *ctx)
{
	struct avpd_device *dev = ctx;

	dev->counters.connects++;
	dev->guest.connected = 1;
	dev->is_expected = avpd_migrate_detached(&dev->migrate);
	/* the last client may have written over these, and the driver is to see what is here now */
	avpd_info_write(dev);
	avpd_ctrl_format(&dev->ctrl);
	avpd_guest_changed(dev, false);
	avp_tick_start(dev->loop, &dev->poll_tick);
	AVPD_LOG_PEER(dev, AVP_LOG_NOTICE, "%s: client connected", dev->name);
}

static void
client_disconnected(void *ctx)
{
	struct avpd_device *dev = ctx;

	avp_tick_stop(&dev->poll_tick);
	avpd_irq_fini(&dev->irq);
	dev->guest.connected = 0;
	avpd_guest_gone(dev);
	AVPD_LOG_PEER(dev, AVP_LOG_NOTICE, "%s: client disconnected", dev->name);
}

static int
client_reset(void *ctx)
{
	struct avpd_device *dev = ctx;

	dev->counters.resets++;
	avpd_guest_gone(dev);
	AVPD_LOG_PEER(dev, AVP_LOG_INFO, "%s: reset by its client", dev->name);
	return 0;
}

static int
client_set_irqs(void *ctx, const struct vuser_irq_set *set)
{
	struct avpd_device *dev = ctx;
	const int ret = avpd_irq_set(&dev->irq, set);

	/* what was raised while nobody could be told */
	if (ret == 0 && set->fds != NULL) {
		avpd_guest_intr_update(dev);
		avpd_guest_rx_update(dev);
	}
	return ret;
}

/* A mapped BAR that the client does not map: its file is read and written. */
static int
file_read(int fd, uint64_t off, void *data, uint32_t size)
{
	ssize_t got;

	do
		got = pread(fd, data, size, (off_t)off);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (uint32_t)got == size ? 0 : -EIO;
}

/* Through a mapping, since huge pages cannot be written to otherwise. */
static int
file_write(int fd, uint32_t page_size, uint64_t off, const void *data, uint32_t size)
{
	const uint64_t start = off & ~(uint64_t)(page_size - 1);
	const uint64_t end = (off + size + page_size - 1) & ~(uint64_t)(page_size - 1);
	void *map = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);

	if (map == MAP_FAILED)
		return -errno;
	memcpy((uint8_t *)map + (off - start), data, size);
	munmap(map, end - start);
	return 0;
}

static int
client_read(void *ctx, uint32_t region, uint64_t off, void *data, uint32_t size)
{
	struct avpd_device *dev = ctx;

	switch (region) {
	case AVP_BAR_MMIO:
		dev->has_driver = true;
		avpd_regs_read(&dev->regs, off, data, size);
		return 0;
	case AVP_BAR_MSIX:
		avpd_irq_bar_read(&dev->irq, off, data, size);
		return 0;
	case AVP_BAR_MEMORY:
	case AVP_BAR_MEMMAP:
	case AVP_BAR_DEVICE:
		return file_read(dev->regions[region].fd, off, data, size);
	case AVPD_REGION_CONFIG:
		avpd_pci_read(&dev->pci, off, data, size);
		return 0;
	default:
		return -EINVAL;
	}
}

static void
regs_write(struct avpd_device *dev, uint64_t off, const void *data, uint32_t size)
{
	const uint32_t written = avpd_regs_write(&dev->regs, off, data, size);

	if ((written & AVPD_REGS_MASK_WRITTEN) != 0)
		avpd_guest_intr_update(dev);
	if ((written & AVPD_REGS_ACK_WRITTEN) != 0)
		avpd_guest_acknowledged(dev);
}

static int
client_write(void *ctx, uint32_t region, uint64_t off, const void *data, uint32_t size)
{
	struct avpd_device *dev = ctx;
	const uint32_t page_size = (uint32_t)sysconf(_SC_PAGESIZE);

	switch (region) {
	case AVP_BAR_MMIO:
		dev->has_driver = true;
		regs_write(dev, off, data, size);
		return 0;
	case AVP_BAR_MSIX:
		avpd_irq_bar_write(&dev->irq, off, data, size);
		return 0;
	case AVP_BAR_MEMORY:
		return file_write(dev->regions[region].fd, avpd_mem_page_size(dev->mem), off, data,
				size);
	case AVP_BAR_MEMMAP:
	case AVP_BAR_DEVICE:
		return file_write(dev->regions[region].fd, page_size, off, data, size);
	case AVPD_REGION_CONFIG:
		avpd_pci_write(&dev->pci, off, data, size);
		return 0;
	default:
		return -EINVAL;
	}
}

const struct vuser_server_ops avpd_client_ops = {
		.connected = client_connected,
		.disconnected = client_disconnected,
		.region_read = client_read,
		.region_write = client_write,
		.set_irqs = client_set_irqs,
		.reset = client_reset,
};
