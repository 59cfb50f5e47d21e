/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Reading the memory map (BAR 4) and the device information (BAR 5), and turning "physical" labels
 * into places in BAR 2. A queue's path from label to pointer is inline in avpg_addr.h.
 *
 * Each field is fetched once. The host may write while we read: then we may see a mixture, but
 * whatever we see is checked against the size of BAR 2 that the bus has mapped.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "avp_log.h"
#include "avpg_addr.h"

/* A range of BAR 2. */
struct range {
	uint64_t off;  /* bytes from the start of BAR 2 */
	uint64_t size; /* bytes */
};

/* Fetch the fields of @dst from BAR 5 at @src, in one go; later changes are not seen. */
static void
device_info_fetch(struct avp_device_info *dst, const void *src)
{
	const uint64_t *from = src;
	uint64_t words[sizeof(*dst) / sizeof(uint64_t)];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = AVPG_FETCH(&from[i]);
	memcpy(dst, words, sizeof(*dst));
}
AVP_ASSERT(sizeof(struct avp_device_info) % sizeof(uint64_t) == 0);

static int
memmap_check(const struct avpg_hw *hw, uint32_t *nb_maps, struct avp_err *err)
{
	const struct avp_memmap *map = hw->memmap;
	uint32_t magic = AVPG_FETCH(&map->magic);
	uint32_t version = AVPG_FETCH(&map->version);
	uint32_t nb = AVPG_FETCH(&map->nb_maps);
	size_t room = (hw->memmap_size - offsetof(struct avp_memmap, maps)) /
			sizeof(struct avp_memmap_entry);

	if (magic != AVP_MEMMAP_MAGIC)
		return avp_err_set(err, ENODEV, "memory map: magic 0x%x: must be 0x%x", magic,
				AVP_MEMMAP_MAGIC);
	if (version != AVP_MEMMAP_VERSION)
		return avp_err_set(err, ENOTSUP, "memory map: version %u: must be %u", version,
				AVP_MEMMAP_VERSION);
	if (nb == 0 || nb > AVP_MAX_MAPS || nb > room)
		return avp_err_set(err, EINVAL,
				"memory map: %u areas: 1..%u fit a BAR of %zu bytes", nb,
				AVP_MAX_MAPS, hw->memmap_size);
	*nb_maps = nb;
	return 0;
}

/*
 * Find the area of BAR 2 with "physical" label @pa in it. Returns what lies from there to the
 * area's end, as far as it is in BAR 2; size 0 when there is none.
 */
static struct range
pa_to_range(const struct avpg_hw *hw, uint32_t nb_maps, uint64_t pa)
{
	const struct avp_memmap *map = hw->memmap;
	struct range none = {0, 0};
	uint64_t start = 0;

	for (uint32_t i = 0; i < nb_maps; i++) {
		uint64_t area_pa = AVPG_FETCH(&map->maps[i].area_pa);
		uint64_t size = AVPG_FETCH(&map->maps[i].area_size);

		if (size > hw->mem_size - start)
			size = hw->mem_size - start;
		if (pa - area_pa < size)
			return (struct range){start + (pa - area_pa), size - (pa - area_pa)};
		start += size;
	}
	return none;
}

/* As the device has made the first; until it has made one, as much as there is memory for. */
static uint32_t
fifo_set_len(const struct avpg_fifo_set *set)
{
	struct avp_fifo_end end;

	if (avp_fifo_end_open(&end, set->fifo[0], true, set->max_len) == 0)
		return end.len;
	return UINT32_C(1) << (31 - __builtin_clz(set->max_len));
}

/* One kind of FIFO, all @nb of them; @stride bytes apart, 0 when there is but one. */
static int
fifo_set_load(struct avpg_fifo_set *set, const struct avpg_hw *hw, uint32_t nb_maps, uint64_t pa,
		uint32_t nb, uint32_t stride, const char *what, struct avp_err *err)
{
	struct range range = pa_to_range(hw, nb_maps, pa);
	uint64_t each = nb > 1 ? stride : range.size;

	if (each > avp_cring_size(AVP_FIFO_MAX_LEN))
		each = avp_cring_size(AVP_FIFO_MAX_LEN);
	if (range.off % sizeof(uint64_t) != 0 || (nb > 1 && stride % sizeof(uint64_t) != 0))
		return avp_err_set(err, EINVAL,
				"%s FIFO: label 0x%" PRIx64 ", stride %u: not aligned", what, pa,
				stride);
	if (each < avp_fifo_size(AVP_FIFO_MIN_LEN) ||
			range.size < (uint64_t)stride * (nb - 1) + each)
		return avp_err_set(err, EINVAL,
				"%s FIFO: label 0x%" PRIx64 ", %u of %u bytes: not in BAR 2", what,
				pa, nb, stride);
	for (uint32_t i = 0; i < nb; i++)
		set->fifo[i] = (struct avp_fifo *)((uint8_t *)hw->mem + range.off +
				(uint64_t)stride * i);
	set->size = each;
	if (each > avp_fifo_size(AVP_FIFO_MAX_LEN))
		each = avp_fifo_size(AVP_FIFO_MAX_LEN);
	set->max_len = (uint32_t)((each - sizeof(struct avp_fifo)) / sizeof(uint64_t));
	set->len = fifo_set_len(set);
	return 0;
}

static int
ctrl_load(struct avpg_info *info, const struct avpg_hw *hw, uint32_t nb_maps,
		const struct avp_device_info *dev, struct avp_err *err)
{
	struct range slot = pa_to_range(hw, nb_maps, dev->ctrl_slot_pa);
	int ret;

	if (slot.size < sizeof(struct avp_request) || slot.off % sizeof(uint32_t) != 0)
		return avp_err_set(err, EINVAL, "control slot: label 0x%" PRIx64 ": not in BAR 2",
				dev->ctrl_slot_pa);
	info->ctrl_slot = (struct avp_request *)((uint8_t *)hw->mem + slot.off);
	info->ctrl_slot_va = dev->ctrl_slot_va;
	ret = fifo_set_load(&info->req, hw, nb_maps, dev->req_fifo_pa, 1, 0, "request", err);
	if (ret != 0)
		return ret;
	return fifo_set_load(&info->resp, hw, nb_maps, dev->resp_fifo_pa, 1, 0, "response", err);
}

static int
queues_load(struct avpg_info *info, const struct avpg_hw *hw, uint32_t nb_maps,
		const struct avp_device_info *dev, struct avp_err *err)
{
	uint32_t nb_rx = info->max_rx_queues;
	uint32_t nb_tx = info->max_tx_queues;
	int ret;

	ret = fifo_set_load(&info->tx, hw, nb_maps, dev->tx_fifo_pa, nb_tx, dev->tx_fifo_size, "tx",
			err);
	if (ret != 0)
		return ret;
	ret = fifo_set_load(&info->rx, hw, nb_maps, dev->rx_fifo_pa, nb_rx, dev->rx_fifo_size, "rx",
			err);
	if (ret != 0)
		return ret;
	ret = fifo_set_load(&info->alloc, hw, nb_maps, dev->alloc_fifo_pa, nb_tx,
			dev->alloc_fifo_size, "alloc", err);
	if (ret != 0)
		return ret;
	return fifo_set_load(&info->free, hw, nb_maps, dev->free_fifo_pa, nb_rx,
			dev->free_fifo_size, "free", err);
}

/* The armed words, if the device has any. */
static int
arm_load(struct avpg_info *info, const struct avpg_hw *hw, uint32_t nb_maps,
		const struct avp_device_info *dev, struct avp_err *err)
{
	const struct avp_device_ext *ext =
			(const void *)((const uint8_t *)hw->device + AVP_DEVICE_EXT_OFF);
	struct range words;
	uint32_t stride;
	uint64_t pa;

	if ((dev->features & AVP_FEATURE_RX_INTR) == 0)
		return 0;
	if (hw->device_size < AVP_DEVICE_EXT_OFF + sizeof(*ext))
		return avp_err_set(err, EINVAL, "BAR %d: %zu bytes: no room for the armed words",
				AVP_BAR_DEVICE, hw->device_size);
	pa = AVPG_FETCH(&ext->rx_arm_pa);
	stride = AVPG_FETCH(&ext->rx_arm_size);
	words = pa_to_range(hw, nb_maps, pa);
	if (words.off % sizeof(uint32_t) != 0 || stride % sizeof(uint32_t) != 0 || stride == 0)
		return avp_err_set(err, EINVAL,
				"armed words: label 0x%" PRIx64 ", stride %u: not aligned", pa,
				stride);
	if (words.size < (uint64_t)stride * (info->max_rx_queues - 1u) + sizeof(uint32_t))
		return avp_err_set(err, EINVAL,
				"armed words: label 0x%" PRIx64 ", %u of %u bytes: not in BAR 2",
				pa, info->max_rx_queues, stride);
	info->arm = (uint8_t *)hw->mem + words.off;
	info->arm_stride = stride;
	return 0;
}

/* Which buffer is which, if the device tells, and arithmetic and mbufs can do with it. */
static void
geometry_load(struct avpg_mem *mem, const struct avp_device_info *dev)
{
	const uint32_t stride = dev->buf_stride;
	const uint64_t lines = stride / sizeof(struct avp_desc);

	if ((dev->features & (AVP_FEATURE_RECYCLE | AVP_FEATURE_COMPACT)) == 0)
		return;
	if (stride % sizeof(struct avp_desc) != 0 || lines % 2 == 0 || lines == 1 ||
			stride > UINT16_MAX ||
			mem->buf_data_size > stride - sizeof(struct avp_desc) ||
			((uintptr_t)mem->base + mem->bufs_off) % sizeof(struct avp_desc) != 0 ||
			mem->size - mem->bufs_off < stride)
		return;
	mem->buf_stride = stride;
	mem->nb_bufs = (mem->size - mem->bufs_off) / stride < AVPG_MAX_BUFS
			? (uint32_t)((mem->size - mem->bufs_off) / stride)
			: AVPG_MAX_BUFS;
	/* Newton: each step doubles the number of right bits, 3 -> 96 */
	mem->buf_inverse = lines;
	for (int i = 0; i < 5; i++)
		mem->buf_inverse *= 2 - lines * mem->buf_inverse;
}

static int
bufs_load(struct avpg_info *info, const struct avpg_hw *hw, uint32_t nb_maps,
		const struct avp_device_info *dev, struct avp_err *err)
{
	struct range bufs = pa_to_range(hw, nb_maps, dev->buf_pa);

	if (dev->buf_data_size < AVPG_MIN_BUF_DATA_SIZE || dev->buf_data_size > UINT16_MAX)
		return avp_err_set(err, EINVAL, "packet buffers of %u data bytes: must be %u..%u",
				dev->buf_data_size, AVPG_MIN_BUF_DATA_SIZE, UINT16_MAX);
	if (bufs.size < dev->buf_data_size)
		return avp_err_set(err, EINVAL, "packet buffers: label 0x%" PRIx64 ": not in BAR 2",
				dev->buf_pa);
	info->mem = (struct avpg_mem){
			.base = hw->mem,
			.size = hw->mem_size,
			.bufs_va = dev->buf_va,
			.bufs_off = bufs.off,
			.buf_data_size = dev->buf_data_size,
	};
	geometry_load(&info->mem, dev);
	return 0;
}

/* A count of queues that makes sense: 1..8 at most, and no more needed than there are. */
static int
queue_counts_load(struct avpg_info *info, const struct avp_device_info *dev, struct avp_err *err)
{
	if (dev->max_rx_queues == 0 || dev->min_rx_queues > dev->max_rx_queues ||
			dev->min_rx_queues > AVP_MAX_QUEUES)
		return avp_err_set(err, EINVAL, "rx queues: %u to %u: must be within 1..%u",
				dev->min_rx_queues, dev->max_rx_queues, AVP_MAX_QUEUES);
	if (dev->max_tx_queues == 0 || dev->min_tx_queues > dev->max_tx_queues ||
			dev->min_tx_queues > AVP_MAX_QUEUES)
		return avp_err_set(err, EINVAL, "tx queues: %u to %u: must be within 1..%u",
				dev->min_tx_queues, dev->max_tx_queues, AVP_MAX_QUEUES);
	info->min_rx_queues = dev->min_rx_queues > 0 ? dev->min_rx_queues : 1;
	info->max_rx_queues =
			dev->max_rx_queues < AVP_MAX_QUEUES ? dev->max_rx_queues : AVP_MAX_QUEUES;
	info->min_tx_queues = dev->min_tx_queues > 0 ? dev->min_tx_queues : 1;
	info->max_tx_queues =
			dev->max_tx_queues < AVP_MAX_QUEUES ? dev->max_tx_queues : AVP_MAX_QUEUES;
	return 0;
}

static int
device_check(const struct avp_device_info *dev, struct avp_err *err)
{
	if (dev->magic != AVP_DEVICE_MAGIC)
		return avp_err_set(err, ENODEV, "device information: magic 0x%x: must be 0x%x",
				dev->magic, AVP_DEVICE_MAGIC);
	if (AVP_VERSION_COMPAT(dev->version) > AVP_VERSION_COMPAT(AVP_DEVICE_VERSION))
		return avp_err_set(err, ENOTSUP,
				"device version %u.%u.%u: this driver knows up to %u.%u.x",
				dev->version >> 16, dev->version >> 8 & 0xff, dev->version & 0xff,
				AVP_DEVICE_VERSION >> 16, AVP_DEVICE_VERSION >> 8 & 0xff);
	if (dev->max_rx_size < AVP_MIN_PKT_SIZE || dev->max_rx_size > AVP_MAX_PKT_SIZE)
		return avp_err_set(err, EINVAL, "largest packet of %u bytes: must be %u..%u",
				dev->max_rx_size, AVP_MIN_PKT_SIZE, AVP_MAX_PKT_SIZE);
	return 0;
}

static int
bars_check(const struct avpg_hw *hw, struct avp_err *err)
{
	if (hw->mem == NULL || hw->mem_size == 0)
		return avp_err_set(err, ENODEV, "BAR %d: missing", AVP_BAR_MEMORY);
	if (hw->memmap == NULL ||
			hw->memmap_size < offsetof(struct avp_memmap, maps) +
							sizeof(struct avp_memmap_entry))
		return avp_err_set(err, ENODEV, "BAR %d: %zu bytes: too small", AVP_BAR_MEMMAP,
				hw->memmap == NULL ? 0 : hw->memmap_size);
	if (hw->device == NULL || hw->device_size < sizeof(struct avp_device_info))
		return avp_err_set(err, ENODEV, "BAR %d: %zu bytes: at least %zu needed",
				AVP_BAR_DEVICE, hw->device == NULL ? 0 : hw->device_size,
				sizeof(struct avp_device_info));
	return 0;
}

int
avpg_info_load(struct avpg_info *info, const struct avpg_hw *hw, struct avp_err *err)
{
	struct avp_device_info dev;
	struct avpg_info new = {0};
	uint32_t nb_maps = 0;
	int ret;

	ret = bars_check(hw, err);
	if (ret != 0)
		return ret;
	device_info_fetch(&dev, hw->device);
	if ((ret = device_check(&dev, err)) != 0 || (ret = memmap_check(hw, &nb_maps, err)) != 0 ||
			(ret = queue_counts_load(&new, &dev, err)) != 0 ||
			(ret = bufs_load(&new, hw, nb_maps, &dev, err)) != 0 ||
			(ret = ctrl_load(&new, hw, nb_maps, &dev, err)) != 0 ||
			(ret = queues_load(&new, hw, nb_maps, &dev, err)) != 0 ||
			(ret = arm_load(&new, hw, nb_maps, &dev, err)) != 0)
		return ret;
	new.device_id = dev.device_id;
	new.version = dev.version;
	new.features = dev.features;
	new.max_rx_size = dev.max_rx_size;
	memcpy(new.mac, dev.mac, sizeof(new.mac));
	avp_log_escape(new.name, sizeof(new.name), dev.name, strnlen(dev.name, sizeof(dev.name)));
	*info = new;
	return 0;
}
