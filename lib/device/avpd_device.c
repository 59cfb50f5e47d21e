/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a device: create and destroy, the datapath's view, status. What happens while it lives is
 * in avpd_client.c (the vfio-user client) and avpd_guest.c (the guest's driver).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "avpd_internal.h"

static int
conf_check(const struct avpd_conf *conf, struct avp_err *err)
{
	const uint32_t min_rx_size = AVPD_CTRL_MIN_MTU + AVP_MIN_PKT_SIZE;

	if (conf->max_rx_size < min_rx_size || conf->max_rx_size > AVP_MAX_PKT_SIZE)
		return avp_err_set(err, EINVAL, "%s: packets of up to %u bytes: %u to %u",
				conf->name, conf->max_rx_size, min_rx_size, AVP_MAX_PKT_SIZE);
	return 0;
}

/* Map control slot, request and response FIFO, and hand them to avpd_ctrl. */
static int
slot_map(struct avpd_device *dev, struct avp_err *err)
{
	const struct avpd_layout *layout = &dev->layout;
	const struct avpd_ctrl_limits limits = {
			.features = dev->features,
			.nb_queues = layout->nb_queues,
			.max_rx_size = dev->max_rx_size,
	};
	const uint64_t page = avpd_mem_page_size(dev->mem);
	const uint64_t start = layout->ctrl_off & ~(page - 1);
	const uint64_t end = (layout->tx_fifo_off + page - 1) & ~(page - 1);
	void *map = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED,
			avpd_mem_fd(dev->mem), (off_t)start);
	struct avpd_ctrl_place place;

	if (map == MAP_FAILED)
		return avp_err_set(err, errno, "%s: mapping the control slot: %s", dev->name,
				strerror(errno));
	dev->slot_map = map;
	dev->slot_map_size = end - start;
	place.slot = (void *)((uint8_t *)map + (layout->ctrl_off - start));
	place.req_fifo = (void *)((uint8_t *)map + (layout->req_fifo_off - start));
	place.resp_fifo = (void *)((uint8_t *)map + (layout->resp_fifo_off - start));
	place.slot_va = layout->mem_va + layout->ctrl_off;
	avpd_ctrl_init(&dev->ctrl, &place, &limits);
	return 0;
}

static void
regions_init(struct avpd_device *dev)
{
	const uint32_t trapped = VUSER_REGION_READ | VUSER_REGION_WRITE;
	const uint32_t mapped = trapped | VUSER_REGION_MMAP;

	for (uint32_t i = 0; i < AVPD_NB_REGIONS; i++)
		dev->regions[i].fd = -1;
	dev->regions[AVP_BAR_MMIO] = (struct vuser_region){AVP_REG_SPACE_SIZE, trapped, -1, 0};
	dev->regions[AVP_BAR_MSIX] = (struct vuser_region){AVPD_BAR_MSIX_SIZE, trapped, -1, 0};
	dev->regions[AVP_BAR_MEMORY] = (struct vuser_region){
			dev->layout.mem_size, mapped, avpd_mem_fd(dev->mem), 0};
	dev->regions[AVP_BAR_MEMMAP] =
			(struct vuser_region){AVPD_BAR_MEMMAP_SIZE, mapped, dev->memmap_fd, 0};
	dev->regions[AVP_BAR_DEVICE] =
			(struct vuser_region){AVPD_BAR_DEVICE_SIZE, mapped, dev->info_fd, 0};
	dev->regions[AVPD_REGION_CONFIG] =
			(struct vuser_region){AVPD_PCI_CONFIG_SIZE, trapped, -1, 0};
	dev->irqs[AVPD_IRQ_MSIX] =
			(struct vuser_irq){VUSER_IRQ_EVENTFD | VUSER_IRQ_NORESIZE, AVP_NB_VECTORS};
}

static int
timers_init(struct avpd_device *dev, struct avp_err *err)
{
	int ret = avp_timer_init(dev->loop, &dev->done_timer, avpd_guest_done_expired);

	if (ret < 0)
		goto err_none;
	ret = avp_timer_init(dev->loop, &dev->migrate_timer, avpd_guest_migrate_expired);
	if (ret < 0)
		goto err_done;
	dev->poll_tick.ticked = avpd_guest_poll;
	return 0;

err_done:
	avp_timer_fini(&dev->done_timer);
err_none:
	return avp_err_set(err, -ret, "%s: timer: %s", dev->name, strerror(-ret));
}

static void
timers_fini(struct avpd_device *dev)
{
	avp_tick_stop(&dev->poll_tick);
	avp_timer_fini(&dev->migrate_timer);
	avp_timer_fini(&dev->done_timer);
}

static int
server_create(struct avpd_device *dev, const struct avpd_conf *conf, struct avp_err *err)
{
	const struct vuser_server_conf server_conf = {
			.path = conf->socket_path,
			.perm = conf->perm,
			.regions = dev->regions,
			.nb_regions = AVPD_NB_REGIONS,
			.irqs = dev->irqs,
			.nb_irqs = AVPD_NB_IRQS,
			.ops = &avpd_client_ops,
			.ctx = dev,
			.log = conf->log,
	};

	regions_init(dev);
	return vuser_server_create(&dev->server, dev->loop, &server_conf, err);
}

/* Everything but the structure itself. */
static int
device_init(struct avpd_device *dev, const struct avpd_conf *conf, struct avp_err *err)
{
	int ret = slot_map(dev, err);

	if (ret < 0)
		return ret;
	ret = avpd_info_init(dev, err);
	if (ret < 0)
		goto err_unmap;
	ret = timers_init(dev, err);
	if (ret < 0)
		goto err_info;
	avpd_pci_init(&dev->pci, dev->layout.mem_size);
	avpd_irq_init(&dev->irq);
	avpd_regs_init(&dev->regs);
	avpd_guest_host_show(dev);
	if (conf->incoming)
		avpd_migrate_init_detached(&dev->migrate);
	else
		avpd_migrate_init(&dev->migrate);
	dev->regs.migration_status = dev->migrate.status;
	dev->guest.migration = (uint8_t)dev->migrate.status;
	avpd_chan_init(dev);
	avpd_info_new_id(dev);
	avpd_info_write(dev);
	ret = server_create(dev, conf, err);
	if (ret < 0)
		goto err_timers;
	return 0;

err_timers:
	timers_fini(dev);
err_info:
	avpd_info_fini(dev);
err_unmap:
	munmap(dev->slot_map, dev->slot_map_size);
	return ret;
}

struct create_args {
	struct avpd_device *dev;
	const struct avpd_conf *conf;
	struct avp_err *err;
};

static int
create_on_loop(void *arg)
{
	const struct create_args *args = arg;

	return device_init(args->dev, args->conf, args->err);
}

int
avpd_device_create(struct avpd_device **out, struct avp_loop *loop, const struct avpd_conf *conf,
		struct avpd_mem *mem, const struct avpd_layout *layout, struct avp_err *err)
{
	struct create_args args = {.conf = conf, .err = err};
	struct avpd_device *dev;
	int ret = conf_check(conf, err);

	if (ret < 0)
		return ret;
	dev = calloc(1, sizeof(*dev));
	if (dev == NULL)
		return avp_err_set(err, ENOMEM, "%s: out of memory", conf->name);
	dev->name = strdup(conf->name);
	if (dev->name == NULL) {
		ret = avp_err_set(err, ENOMEM, "%s: out of memory", conf->name);
		goto err_free;
	}
	dev->log = conf->log;
	dev->log_limit.burst = AVPD_LOG_BURST;
	dev->loop = loop;
	memcpy(dev->mac, conf->mac, sizeof(dev->mac));
	dev->features = conf->features;
	dev->max_rx_size = conf->max_rx_size;
	dev->mem = mem;
	dev->layout = *layout;
	dev->memmap_fd = -1;
	dev->info_fd = -1;
	args.dev = dev;
	ret = avp_loop_call(loop, create_on_loop, &args);
	if (ret < 0)
		goto err_free;
	*out = dev;
	return 0;

err_free:
	free(dev->name);
	free(dev);
	return ret;
}

static int
destroy_on_loop(void *arg)
{
	struct avpd_device *dev = arg;

	vuser_server_destroy(dev->server); /* with the disconnected callback */
	avpd_chan_fini(dev);
	timers_fini(dev);
	avpd_irq_fini(&dev->irq);
	avpd_info_fini(dev);
	munmap(dev->slot_map, dev->slot_map_size);
	return 0;
}

void
avpd_device_destroy(struct avpd_device *dev)
{
	if (dev == NULL)
		return;
	avp_loop_call(dev->loop, destroy_on_loop, dev);
	free(dev->name);
	free(dev);
}

struct view_args {
	struct avpd_device *dev;
	struct avpd_view *view;
};

static int
open_view_on_loop(void *arg)
{
	const struct view_args *args = arg;
	struct avpd_device *dev = args->dev;
	int ret;
	int mem_fd = fcntl(avpd_mem_fd(dev->mem), F_DUPFD_CLOEXEC, 0);

	if (mem_fd < 0)
		return -errno;
	ret = avpd_chan_open(dev);
	if (ret < 0)
		goto err_close;
	args->view->mem_fd = mem_fd;
	args->view->chan_fd = ret;
	args->view->layout = dev->layout;
	return 0;

err_close:
	avp_sock_close(&mem_fd);
	return ret;
}

int
avpd_device_open_view(struct avpd_device *dev, struct avpd_view *view)
{
	struct view_args args = {dev, view};

	return avp_loop_call(dev->loop, open_view_on_loop, &args);
}

struct status_args {
	struct avpd_device *dev;
	struct avpd_status *status;
};

static int
status_on_loop(void *arg)
{
	const struct status_args *args = arg;
	const struct avpd_device *dev = args->dev;
	struct avpd_status *status = args->status;

	status->guest = dev->guest;
	status->counters = dev->counters;
	status->counters.fifo_faults = dev->ctrl.nb_faults;
	status->counters.interrupts = dev->irq.nb_signalled;
	status->device_id = dev->device_id;
	status->nb_vectors_set = avpd_irq_nb_set(&dev->irq);
	status->intr_mask = dev->regs.intr_mask;
	return 0;
}

void
avpd_device_status(struct avpd_device *dev, struct avpd_status *status)
{
	struct status_args args = {dev, status};

	avp_loop_call(dev->loop, status_on_loop, &args);
}
