/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Commands: vuser_request.h.
 *
 * Each handler gets a body of at least the size that the table says, and no more descriptors than
 * it says. It copies the fixed part into a local, checks every field that it uses, and only then
 * acts.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vuser_request.h"

static void
req_reply(struct vuser_req *req, const void *data, uint32_t size)
{
	memcpy(req->reply, data, size);
	req->reply_size = size;
}

static int
req_dma_map(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_dma_map map;

	(void)conf;
	memcpy(&map, req->body, sizeof(map));
	if (map.argsz < sizeof(map))
		return -EINVAL;
	if ((map.flags & ~(VUSER_DMA_MAP_READ | VUSER_DMA_MAP_WRITE)) != 0)
		return -EINVAL;
	if (map.size == 0 || map.dma_pa + (map.size - 1) < map.dma_pa)
		return -EINVAL;
	/* the device never touches the guest's memory: nothing is mapped, nothing is kept */
	return 0;
}

static int
req_dma_unmap(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_dma_unmap unmap;

	(void)conf;
	memcpy(&unmap, req->body, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap))
		return -EINVAL;
	if (unmap.flags == VUSER_DMA_UNMAP_ALL) {
		if (unmap.dma_pa != 0 || unmap.size != 0)
			return -EINVAL;
	} else if ((unmap.flags & VUSER_DMA_UNMAP_GET_DIRTY) != 0) {
		return -ENOTSUP; /* nobody can have started to log */
	} else if (unmap.flags != 0) {
		return -EINVAL;
	} else if (unmap.size == 0 || unmap.dma_pa + (unmap.size - 1) < unmap.dma_pa) {
		return -EINVAL;
	}
	unmap.argsz = sizeof(unmap);
	req_reply(req, &unmap, sizeof(unmap));
	return 0;
}

static int
req_device_info(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_device_info info;

	memcpy(&info, req->body, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info = (struct vuser_device_info){
			.argsz = sizeof(info),
			.flags = VUSER_DEVICE_PCI | VUSER_DEVICE_RESET,
			.nb_regions = conf->nb_regions,
			.nb_irqs = conf->nb_irqs,
	};
	req_reply(req, &info, sizeof(info));
	return 0;
}

static int
req_region_info(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_region_info info;

	memcpy(&info, req->body, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= conf->nb_regions)
		return -EINVAL;
	const struct vuser_region *region = &conf->regions[info.index];
	info = (struct vuser_region_info){
			.argsz = sizeof(info),
			.index = info.index,
	};
	if (region->size > 0) {
		info.flags = region->flags;
		info.size = region->size;
		info.fd_off = region->fd_off;
		if (region->fd < 0 || !req->peer_takes_fds)
			info.flags &= ~VUSER_REGION_MMAP;
		if ((info.flags & VUSER_REGION_MMAP) != 0)
			req->reply_fd = region->fd;
	}
	req_reply(req, &info, sizeof(info));
	return 0;
}

static int
req_irq_info(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_irq_info info;

	memcpy(&info, req->body, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= conf->nb_irqs)
		return -EINVAL;
	info = (struct vuser_irq_info){
			.argsz = sizeof(info),
			.flags = conf->irqs[info.index].flags,
			.index = info.index,
			.count = conf->irqs[info.index].count,
	};
	req_reply(req, &info, sizeof(info));
	return 0;
}

/* An eventfd that write() will not wait for. Asks the kernel for the name only: fstat() on a
 * stranger's file may wait for a stranger's file system. */
static bool
req_fd_is_eventfd(int fd)
{
	static const char name[] = "anon_inode:[eventfd";
	char path[32];
	char target[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(path, target, sizeof(target));
	if (len < (ssize_t)sizeof(name) - 1 || memcmp(target, name, sizeof(name) - 1) != 0)
		return false;
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool
req_one_bit(uint32_t word)
{
	return word != 0 && (word & (word - 1)) == 0;
}

static int
req_irqs_check(const struct vuser_server_conf *conf, const struct vuser_req *req,
		const struct vuser_irq_set_msg *msg)
{
	const uint32_t data = VUSER_IRQ_SET_NONE | VUSER_IRQ_SET_BOOL | VUSER_IRQ_SET_EVENTFD;
	const uint32_t action = VUSER_IRQ_SET_MASK | VUSER_IRQ_SET_UNMASK | VUSER_IRQ_SET_TRIGGER;

	if (msg->argsz < sizeof(*msg) || (msg->flags & ~(data | action)) != 0 ||
			!req_one_bit(msg->flags & data) || !req_one_bit(msg->flags & action))
		return -EINVAL;
	if (msg->index >= conf->nb_irqs)
		return -EINVAL;
	const struct vuser_irq *irq = &conf->irqs[msg->index];
	if (msg->start > irq->count || msg->count > irq->count - msg->start)
		return -EINVAL;
	if ((msg->flags & VUSER_IRQ_SET_TRIGGER) == 0 && (irq->flags & VUSER_IRQ_MASKABLE) == 0)
		return -EINVAL;
	if ((msg->flags & VUSER_IRQ_SET_EVENTFD) != 0) {
		if ((irq->flags & VUSER_IRQ_EVENTFD) == 0)
			return -EINVAL;
		/* all of them or none, which takes away those that are there */
		return req->nb_fds == 0 || req->nb_fds == msg->count ? 0 : -EINVAL;
	}
	if (req->nb_fds != 0)
		return -EINVAL;
	if ((msg->flags & VUSER_IRQ_SET_BOOL) != 0 && req->body_size - sizeof(*msg) < msg->count)
		return -EINVAL;
	return 0;
}

/* Hand eventfds over. */
static int
req_irqs_set(const struct vuser_server_conf *conf, struct vuser_req *req, struct vuser_irq_set *set)
{
	int fds[VUSER_MAX_FDS];

	for (uint32_t i = 0; i < req->nb_fds; i++) {
		if (!req_fd_is_eventfd(req->fds[i]))
			return -EINVAL;
	}
	memcpy(fds, req->fds, req->nb_fds * sizeof(fds[0]));
	for (uint32_t i = 0; i < req->nb_fds; i++)
		req->fds[i] = -1;
	set->fds = fds;
	return conf->ops->set_irqs(conf->ctx, set);
}

/* Take eventfds away, as many at a time as a message could have brought. */
static int
req_irqs_unset(const struct vuser_server_conf *conf, struct vuser_irq_set *set)
{
	int fds[VUSER_MAX_FDS];
	uint32_t left = set->count;
	int ret = 0;

	for (uint32_t i = 0; i < VUSER_MAX_FDS; i++)
		fds[i] = -1;
	set->fds = fds;
	for (; left > 0 && ret == 0; left -= set->count) {
		set->count = left < VUSER_MAX_FDS ? left : VUSER_MAX_FDS;
		ret = conf->ops->set_irqs(conf->ctx, set);
		set->start += set->count;
	}
	return ret;
}

static int
req_set_irqs(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_irq_set_msg msg;

	memcpy(&msg, req->body, sizeof(msg));
	int ret = req_irqs_check(conf, req, &msg);
	if (ret < 0)
		return ret;
	struct vuser_irq_set set = {
			.index = msg.index,
			.action = (msg.flags & VUSER_IRQ_SET_MASK) != 0 ? VUSER_IRQ_MASK
					: (msg.flags & VUSER_IRQ_SET_UNMASK) != 0
					? VUSER_IRQ_UNMASK
					: VUSER_IRQ_TRIGGER,
			.start = msg.start,
			.count = msg.count,
	};
	if (msg.count == 0) {
		/* disables the index; with anything but a trigger it has no meaning */
		if (set.action != VUSER_IRQ_TRIGGER || set.start != 0 ||
				(msg.flags & VUSER_IRQ_SET_BOOL) != 0)
			return -EINVAL;
		return conf->ops->set_irqs(conf->ctx, &set);
	}
	if ((msg.flags & VUSER_IRQ_SET_EVENTFD) != 0)
		return req->nb_fds > 0 ? req_irqs_set(conf, req, &set) : req_irqs_unset(conf, &set);
	if ((msg.flags & VUSER_IRQ_SET_BOOL) != 0)
		set.data = req->body + sizeof(msg);
	return conf->ops->set_irqs(conf->ctx, &set);
}

static int
req_region_check(const struct vuser_server_conf *conf, const struct vuser_region_rw *rw,
		uint32_t flag)
{
	if (rw->region >= conf->nb_regions)
		return -EINVAL;
	const struct vuser_region *region = &conf->regions[rw->region];
	if ((region->flags & flag) == 0)
		return region->size == 0 ? -EINVAL : -EACCES;
	if (rw->count == 0 || rw->count > VUSER_MAX_XFER_SIZE)
		return -EINVAL;
	if (rw->off >= region->size || rw->count > region->size - rw->off)
		return -EINVAL;
	return 0;
}

static int
req_region_read(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_region_rw rw;

	memcpy(&rw, req->body, sizeof(rw));
	int ret = req_region_check(conf, &rw, VUSER_REGION_READ);
	if (ret < 0)
		return ret;
	req_reply(req, &rw, sizeof(rw));
	/* what a callback leaves out must not show what was here before */
	memset(req->reply + sizeof(rw), 0, rw.count);
	ret = conf->ops->region_read(
			conf->ctx, rw.region, rw.off, req->reply + sizeof(rw), rw.count);
	req->reply_size += rw.count;
	return ret;
}

static int
req_region_write(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	struct vuser_region_rw rw;

	memcpy(&rw, req->body, sizeof(rw));
	int ret = req_region_check(conf, &rw, VUSER_REGION_WRITE);
	if (ret < 0)
		return ret;
	if (rw.count != req->body_size - sizeof(rw))
		return -EINVAL;
	ret = conf->ops->region_write(
			conf->ctx, rw.region, rw.off, req->body + sizeof(rw), rw.count);
	req_reply(req, &rw, sizeof(rw));
	return ret;
}

static int
req_device_reset(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	(void)req;
	return conf->ops->reset(conf->ctx);
}

/* QEMU 11.1 asks to export each mapped region as a DMA buffer. ENOTTY is what VFIO says of a
 * feature that a device does not have, and QEMU goes on. */
static int
req_device_feature(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	(void)conf;
	(void)req;
	return -ENOTTY;
}

static int
req_twice(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	(void)conf;
	(void)req;
	return -EINVAL;
}

static int
req_not_supported(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	(void)conf;
	(void)req;
	return -ENOTSUP;
}

/* What each command needs at least, and may bring at most. */
static const struct req_command {
	int (*handle)(const struct vuser_server_conf *conf, struct vuser_req *req);
	uint32_t min_size; /* bytes of the body */
	uint32_t max_fds;
} req_commands[VUSER_CMD_COUNT] = {
		[VUSER_CMD_VERSION] = {req_twice, 0, 0},
		[VUSER_CMD_DMA_MAP] = {req_dma_map, sizeof(struct vuser_dma_map), 1},
		[VUSER_CMD_DMA_UNMAP] = {req_dma_unmap, sizeof(struct vuser_dma_unmap), 0},
		[VUSER_CMD_DEVICE_INFO] = {req_device_info, sizeof(struct vuser_device_info), 0},
		[VUSER_CMD_REGION_INFO] = {req_region_info, sizeof(struct vuser_region_info), 0},
		[VUSER_CMD_REGION_IO_FDS] = {req_not_supported, 0, 0},
		[VUSER_CMD_IRQ_INFO] = {req_irq_info, sizeof(struct vuser_irq_info), 0},
		[VUSER_CMD_SET_IRQS] = {req_set_irqs, sizeof(struct vuser_irq_set_msg),
				VUSER_MAX_FDS},
		[VUSER_CMD_REGION_READ] = {req_region_read, sizeof(struct vuser_region_rw), 0},
		[VUSER_CMD_REGION_WRITE] = {req_region_write, sizeof(struct vuser_region_rw), 0},
		[VUSER_CMD_DMA_READ] = {req_not_supported, 0, 0},
		[VUSER_CMD_DMA_WRITE] = {req_not_supported, 0, 0},
		[VUSER_CMD_DEVICE_RESET] = {req_device_reset, 0, 0},
		[VUSER_CMD_REGION_WRITE_MULTI] = {req_not_supported, 0, 0},
		[VUSER_CMD_DEVICE_FEATURE] = {req_device_feature, 0, 0},
		[VUSER_CMD_MIG_DATA_READ] = {req_not_supported, 0, 0},
		[VUSER_CMD_MIG_DATA_WRITE] = {req_not_supported, 0, 0},
};

int
vuser_request_handle(const struct vuser_server_conf *conf, struct vuser_req *req)
{
	req->reply_size = 0;
	req->reply_fd = -1;
	if (req->cmd >= VUSER_CMD_COUNT || req_commands[req->cmd].handle == NULL)
		return -ENOSYS;
	const struct req_command *command = &req_commands[req->cmd];
	if (req->body_size < command->min_size)
		return -EINVAL;
	if (req->nb_fds > command->max_fds || req->fds_lost)
		return -EINVAL;
	int ret = command->handle(conf, req);
	assert(ret <= 0);
	if (ret < 0) {
		req->reply_size = 0;
		req->reply_fd = -1;
	}
	return ret;
}
