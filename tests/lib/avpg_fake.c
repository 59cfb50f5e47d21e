/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The simulated device of avpg_fake.h.
 *
 * BAR 2: control slot, request and response FIFO, then tx, rx, alloc and free FIFOs, then buffers.
 * The memory map cuts it in two areas whose order of labels is not that of BAR 2.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_interrupts.h>

#include "avpg_fake.h"
#include "avpg_map.h"
#include "guarded_mem.h"

#define PAGE 4096u
#define CTRL_SIZE PAGE /* slot and control FIFOs */
#define REQ_OFF 256u
#define RESP_OFF 1024u
#define ARM_OFF 2048u
#define ARM_STRIDE 64u
#define PAUSE_NS 20000
#define LIMIT_NS UINT64_C(2000000000)

const struct avpg_fake_conf avpg_fake_default = {
		.nb_queues = 2,
		.min_rx_queues = 1,
		.ring_len = 64,
		.nb_bufs = 48,
		.buf_data_size = 2048,
		.max_rx_size = AVP_MAX_PKT_SIZE,
		.features = AVP_FEATURE_VLAN,
};

static uint64_t
round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void
pause_a_bit(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

bool
avpg_fake_wait(atomic_uint *value, unsigned int want)
{
	for (uint64_t i = 0; i < LIMIT_NS / PAUSE_NS; i++) {
		if (atomic_load(value) == want)
			return true;
		pause_a_bit();
	}
	return false;
}

/*
 * Buffers and FIFOs
 */

uint64_t
avpg_fake_buf_va(const struct avpg_fake *fake, uint32_t idx)
{
	return AVPG_FAKE_MEM_VA + fake->bufs_off + (uint64_t)idx * fake->buf_stride;
}

uint8_t *
avpg_fake_at(const struct avpg_fake *fake, uint64_t va)
{
	return fake->mem + (va - AVPG_FAKE_MEM_VA);
}

struct avp_desc *
avpg_fake_desc_at(const struct avpg_fake *fake, uint64_t va)
{
	return (struct avp_desc *)avpg_fake_at(fake, va);
}

struct avp_desc *
avpg_fake_desc(const struct avpg_fake *fake, uint32_t idx)
{
	return avpg_fake_desc_at(fake, avpg_fake_buf_va(fake, idx));
}

uint8_t *
avpg_fake_data(const struct avpg_fake *fake, uint32_t idx)
{
	return (uint8_t *)avpg_fake_desc(fake, idx) + AVPG_FAKE_BUF_DATA_OFF;
}

uint32_t
avpg_fake_own_buf(const struct avpg_fake *fake)
{
	return fake->conf.nb_queues * fake->conf.nb_bufs;
}

_Atomic uint32_t *
avpg_fake_arm(const struct avpg_fake *fake, uint32_t i)
{
	return (_Atomic uint32_t *)(void *)(fake->mem + ARM_OFF + (size_t)i * ARM_STRIDE);
}

bool
avpg_fake_put(struct avp_fifo_end *end, uint64_t va)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (avp_fifo_room(end, 1, &fault) == 0)
		return false;
	avp_fifo_set(end, 0, va);
	avp_fifo_put_done(end, 1);
	return true;
}

uint32_t
avpg_fake_count(struct avp_fifo_end *end)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	return avp_fifo_avail(end, end->len, &fault);
}

uint32_t
avpg_fake_queued(struct avp_fifo_end *end)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	return end->len - 1 - avp_fifo_room(end, end->len, &fault);
}

bool
avpg_fake_get(struct avp_fifo_end *end, uint64_t *va)
{
	if (avpg_fake_count(end) == 0)
		return false;
	*va = avp_fifo_at(end, 0);
	avp_fifo_get_done(end, 1);
	return true;
}

uint64_t
avpg_fake_pkt(struct avpg_fake *fake, uint32_t idx, const void *data, uint32_t len,
		uint32_t seg_size)
{
	uint32_t nb_segs = len == 0 ? 1 : (len + seg_size - 1) / seg_size;

	for (uint32_t i = 0; i < nb_segs; i++) {
		struct avp_desc *desc = avpg_fake_desc(fake, idx + i);
		uint32_t n = len - i * seg_size < seg_size ? len - i * seg_size : seg_size;

		*desc = (struct avp_desc){
				.desc_va = avpg_fake_buf_va(fake, idx + i),
				.next_va = i + 1 < nb_segs ? avpg_fake_buf_va(fake, idx + i + 1)
							   : 0,
				.data_va = avpg_fake_buf_va(fake, idx + i) + AVPG_FAKE_BUF_DATA_OFF,
				.data_len = (uint16_t)n,
				.nb_segs = i == 0 ? (uint8_t)nb_segs : 0,
				.pkt_len = i == 0 ? (uint16_t)len : 0,
		};
		memcpy(avpg_fake_data(fake, idx + i), (const uint8_t *)data + i * seg_size, n);
	}
	return avpg_fake_buf_va(fake, idx);
}

static struct avp_fifo *
fifo_at(const struct avpg_fake *fake, uint32_t kind, uint32_t i)
{
	return (struct avp_fifo *)(fake->mem + fake->fifos_off +
			(uint64_t)(kind * fake->conf.nb_queues + i) * fake->fifo_stride);
}

static uint64_t
fifo_pa(const struct avpg_fake *fake, uint32_t kind)
{
	return AVPG_FAKE_MEM_PA + fake->fifos_off +
			(uint64_t)kind * fake->conf.nb_queues * fake->fifo_stride;
}

void
avpg_fake_format(struct avpg_fake *fake)
{
	struct avp_fifo_end *ends[] = {fake->tx, fake->rx, fake->alloc, fake->free};

	for (uint32_t kind = 0; kind < 4; kind++) {
		for (uint32_t i = 0; i < fake->conf.nb_queues; i++) {
			struct avp_fifo *fifo = fifo_at(fake, kind, i);

			avp_fifo_format(fifo, fake->conf.ring_len);
			avp_fifo_end_init(&ends[kind][i], fifo, fake->conf.ring_len);
		}
	}
	for (uint32_t i = 0; i < avpg_fake_own_buf(fake); i++) {
		/* as the contract lets it be: what the last packet left is still there */
		struct avp_desc *desc = avpg_fake_desc(fake, i);

		memset(desc, 0xa5, sizeof(*desc));
		desc->data_va = avpg_fake_buf_va(fake, i) + AVPG_FAKE_BUF_DATA_OFF;
		avpg_fake_put(&fake->alloc[i / fake->conf.nb_bufs], avpg_fake_buf_va(fake, i));
	}
}

/*
 * Control requests
 */

static void
request_note(struct avpg_fake *fake)
{
	fake->last = *fake->slot;
	if (fake->last.req_id == AVP_REQ_CONFIGURE) {
		fake->config = fake->last.arg.config;
		atomic_store(&fake->link_up, fake->config.link_up);
		avpg_fake_format(fake);
	}
	if (fake->last.req_id == AVP_REQ_SET_LINK)
		atomic_store(&fake->link_up, fake->last.arg.link_up);
	if (fake->last.req_id == AVP_REQ_SHUTDOWN)
		atomic_store(&fake->link_up, false);
	atomic_store(&fake->last_id, fake->last.req_id);
	atomic_fetch_add(&fake->taken, 1);
}

static void
request_answer(struct avpg_fake *fake, enum avpg_fake_mode mode)
{
	bool refused = fake->last.req_id == atomic_load(&fake->refused_id) ||
			(fake->last.req_id == AVP_REQ_CONFIGURE &&
					(fake->config.features &
							atomic_load(&fake->refused_features)) != 0);

	if (mode != AVPG_FAKE_NO_RESULT)
		fake->slot->result = refused ? -EPERM : atomic_load(&fake->result);
	if (mode == AVPG_FAKE_WRONG_ID)
		fake->slot->req_id ^= 1;
	for (int i = 0; i < 5 && mode == AVPG_FAKE_NOISY; i++)
		avpg_fake_put(&fake->resp, fake->slot_va + 8 * (uint64_t)(i + 1));
	avpg_fake_put(&fake->resp, fake->slot_va);
	atomic_fetch_add(&fake->answers, 1);
}

/* As the contract has it: one after the other. */
static void *
thread_main(void *arg)
{
	struct avpg_fake *fake = arg;
	bool owed = false;

	atomic_store(&fake->running, 1);

	while (!atomic_load(&fake->quit)) {
		enum avpg_fake_mode mode = (enum avpg_fake_mode)atomic_load(&fake->mode);
		uint64_t va;

		if (!owed && mode != AVPG_FAKE_DEAF && avpg_fake_get(&fake->req, &va)) {
			owed = mode != AVPG_FAKE_LOSE;
			request_note(fake);
		}
		if (owed && mode != AVPG_FAKE_SILENT && mode != AVPG_FAKE_DEAF) {
			request_answer(fake, mode);
			owed = false;
		}
		pause_a_bit();
	}
	return NULL;
}

void
avpg_fake_stop(struct avpg_fake *fake)
{
	if (!fake->thread_running)
		return;
	atomic_store(&fake->quit, true);
	pthread_join(fake->thread, NULL);
	fake->thread_running = false;
}

int
avpg_fake_resume(struct avpg_fake *fake)
{
	atomic_store(&fake->quit, false);
	atomic_store(&fake->running, 0);
	if (pthread_create(&fake->thread, NULL, thread_main, fake) != 0)
		return -1;
	fake->thread_running = true;
	/* on a busy machine that alone can take as long as the driver waits for an answer */
	return avpg_fake_wait(&fake->running, 1) ? 0 : -1;
}

/*
 * struct avpg_hw_ops
 */

static struct avpg_fake *
fake_of(struct avpg_hw *hw)
{
	return (struct avpg_fake *)((uint8_t *)hw - offsetof(struct avpg_fake, hw));
}

/* One register access more. */
static bool
is_gone(struct avpg_fake *fake)
{
	return atomic_fetch_sub(&fake->lives, 1) <= 0;
}

static int
fake_read32(struct avpg_hw *hw, uint32_t reg, uint32_t *value)
{
	struct avpg_fake *fake = fake_of(hw);

	if (is_gone(fake))
		return -ENODEV;
	switch (reg) {
	case AVP_REG_INTR_MASK:
		*value = atomic_load(&fake->intr_mask);
		return 0;
	case AVP_REG_INTR_STATUS:
		*value = atomic_exchange(&fake->intr_status, 0);
		return 0;
	case AVP_REG_MIGRATION_STATUS:
		*value = atomic_load(&fake->migration_status);
		return 0;
	case AVP_REG_LINK_STATUS:
		*value = atomic_load(&fake->link_status);
		return 0;
	case AVP_REG_LINK_MTU:
		*value = atomic_load(&fake->link_mtu);
		return 0;
	default:
		*value = 0;
		return 0;
	}
}

static int
fake_write32(struct avpg_hw *hw, uint32_t reg, uint32_t value)
{
	struct avpg_fake *fake = fake_of(hw);

	if (is_gone(fake))
		return -ENODEV;
	if (reg == AVP_REG_INTR_MASK)
		atomic_store(&fake->intr_mask, value);
	if (reg == AVP_REG_MIGRATION_ACK) {
		fake->ack_thread = pthread_self();
		atomic_store(&fake->ack, value);
		atomic_fetch_add(&fake->acks, 1);
	}
	return 0;
}

static int
fake_intr_enable(struct avpg_hw *hw, void (*handler)(void *arg), void *arg)
{
	struct avpg_fake *fake = fake_of(hw);

	fake->handler = handler;
	fake->handler_arg = arg;
	if (fake->early_irq)
		handler(arg);
	return 0;
}

static void
fake_intr_disable(struct avpg_hw *hw)
{
	fake_of(hw)->handler = NULL;
}

static void
fake_hw_destroy(struct avpg_hw *hw)
{
	fake_of(hw)->destroyed = true;
}

static void
fake_rx_intr_off(struct avpg_hw *hw)
{
	struct avpg_fake *fake = fake_of(hw);

	for (uint32_t i = 0; i < fake->nb_rx_vectors; i++)
		close(rte_intr_efds_index_get(fake->intr_handle, (int)i));
	rte_intr_nb_efd_set(fake->intr_handle, 0);
	fake->nb_rx_vectors = 0;
}

static int
fake_rx_intr_on(struct avpg_hw *hw, uint32_t nb)
{
	struct avpg_fake *fake = fake_of(hw);

	for (uint32_t i = 0; i < nb; i++)
		rte_intr_efds_index_set(
				fake->intr_handle, (int)i, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	rte_intr_nb_efd_set(fake->intr_handle, (int)nb);
	rte_intr_max_intr_set(fake->intr_handle, (int)nb + 1);
	fake->nb_rx_vectors = nb;
	return 0;
}

static const struct avpg_hw_ops fake_ops = {
		.read32 = fake_read32,
		.write32 = fake_write32,
		.intr_enable = fake_intr_enable,
		.intr_disable = fake_intr_disable,
		.rx_intr_on = fake_rx_intr_on,
		.rx_intr_off = fake_rx_intr_off,
		.destroy = fake_hw_destroy,
};

uint32_t
avpg_fake_migrate(struct avpg_fake *fake, enum avp_migration status)
{
	unsigned int acks = atomic_load(&fake->acks);

	atomic_store(&fake->migration_status, status);
	atomic_store(&fake->intr_status, AVP_INTR_MIGRATION);
	if (fake->handler != NULL && atomic_load(&fake->intr_mask) != AVP_INTR_MASK_NONE)
		fake->handler(fake->handler_arg);
	for (uint64_t i = 0; i < LIMIT_NS / PAUSE_NS && atomic_load(&fake->acks) == acks; i++)
		pause_a_bit();
	return atomic_load(&fake->acks) == acks ? UINT32_MAX : atomic_load(&fake->ack);
}

void
avpg_fake_link_event(struct avpg_fake *fake, enum avp_link status, uint32_t mtu)
{
	atomic_store(&fake->link_status, status);
	atomic_store(&fake->link_mtu, mtu);
	if ((fake->config.features & AVP_FEATURE_LINK_EVENTS) == 0)
		return;
	atomic_fetch_or(&fake->intr_status, AVP_INTR_LINK);
	if (fake->handler != NULL && atomic_load(&fake->intr_mask) != AVP_INTR_MASK_NONE)
		fake->handler(fake->handler_arg);
}

/*
 * Making one
 */

static void
memmap_write(struct avpg_fake *fake, uint64_t mem_size)
{
	/* the first area is the first page; its label is above that of the second */
	*fake->memmap = (struct avp_memmap){
			.magic = AVP_MEMMAP_MAGIC,
			.version = AVP_MEMMAP_VERSION,
			.nb_maps = 2,
			.maps =
					{
							{AVPG_FAKE_MEM_VA, 2 * AVPG_FAKE_MEM_PA,
									CTRL_SIZE},
							{AVPG_FAKE_MEM_VA + CTRL_SIZE,
									AVPG_FAKE_MEM_PA +
											CTRL_SIZE,
									mem_size - CTRL_SIZE},
					},
	};
}

static void
info_write(struct avpg_fake *fake)
{
	const struct avpg_fake_conf *conf = &fake->conf;

	*fake->info = (struct avp_device_info){
			.magic = AVP_DEVICE_MAGIC,
			.version = AVP_DEVICE_VERSION,
			.name = "simulated",
			.tx_fifo_pa = fifo_pa(fake, 0),
			.rx_fifo_pa = fifo_pa(fake, 1),
			.alloc_fifo_pa = fifo_pa(fake, 2),
			.free_fifo_pa = fifo_pa(fake, 3),
			.features = conf->features,
			.min_rx_queues = (uint8_t)conf->min_rx_queues,
			.num_rx_queues = (uint8_t)conf->nb_queues,
			.max_rx_queues = (uint8_t)conf->nb_queues,
			.min_tx_queues = 1,
			.num_tx_queues = (uint8_t)conf->nb_queues,
			.max_tx_queues = (uint8_t)conf->nb_queues,
			.tx_fifo_size = fake->fifo_stride,
			.rx_fifo_size = fake->fifo_stride,
			.alloc_fifo_size = fake->fifo_stride,
			.free_fifo_size = fake->fifo_stride,
			.req_fifo_pa = 2 * AVPG_FAKE_MEM_PA + REQ_OFF,
			.resp_fifo_pa = 2 * AVPG_FAKE_MEM_PA + RESP_OFF,
			.ctrl_slot_pa = 2 * AVPG_FAKE_MEM_PA,
			.ctrl_slot_va = fake->slot_va,
			.buf_va = AVPG_FAKE_MEM_VA + fake->bufs_off,
			.buf_pa = AVPG_FAKE_MEM_PA + fake->bufs_off,
			.mac = {0x02, 0, 0, 0, 0, 0x01},
			.buf_data_size = conf->buf_data_size,
			.device_id = fake->device_id,
			.max_rx_size = conf->max_rx_size,
			.buf_stride = conf->features & AVP_FEATURE_RECYCLE ? fake->buf_stride : 0,
	};
}

/* What is behind the device information. */
static void
ext_write(struct avpg_fake *fake)
{
	const struct avp_device_ext ext = {
			.rx_arm_pa = 2 * AVPG_FAKE_MEM_PA + ARM_OFF,
			.rx_arm_size = ARM_STRIDE,
	};

	if ((fake->conf.features & AVP_FEATURE_RX_INTR) != 0)
		memcpy((uint8_t *)fake->info + AVP_DEVICE_EXT_OFF, &ext, sizeof(ext));
}

void
avpg_fake_offer_rx_intr(struct avpg_fake *fake)
{
	fake->conf.features |= AVP_FEATURE_RX_INTR;
	fake->info->features |= AVP_FEATURE_RX_INTR;
	ext_write(fake);
}

static int
bars_create(struct avpg_fake *fake, uint64_t mem_size)
{
	fake->mem = guarded_mem_alloc(mem_size);
	fake->memmap = calloc(1, sizeof(*fake->memmap));
	fake->info = calloc(1, AVPG_FAKE_INFO_SIZE);
	fake->mem_size = mem_size;
	if (fake->mem == NULL || fake->memmap == NULL || fake->info == NULL)
		return -1;
	fake->hw = (struct avpg_hw){
			.ops = &fake_ops,
			.mem = fake->mem,
			.mem_size = mem_size,
			.memmap = fake->memmap,
			.memmap_size = sizeof(*fake->memmap),
			.device = fake->info,
			.device_size = AVPG_FAKE_INFO_SIZE,
	};
	if ((fake->conf.features & AVP_FEATURE_RECYCLE) == 0)
		return 0;
	fake->hw.recycle = true;
	fake->hw.map = avpg_map_create(fake->mem, mem_size);
	return fake->hw.map != NULL ? 0 : -1;
}

int
avpg_fake_restart(struct avpg_fake *fake)
{
	struct avp_fifo *req = (struct avp_fifo *)(fake->mem + REQ_OFF);
	struct avp_fifo *resp = (struct avp_fifo *)(fake->mem + RESP_OFF);

	avpg_fake_stop(fake);
	avp_fifo_format(req, AVPG_FAKE_CTRL_LEN);
	avp_fifo_end_init(&fake->req, req, AVPG_FAKE_CTRL_LEN);
	avp_fifo_format(resp, AVPG_FAKE_CTRL_LEN);
	avp_fifo_end_init(&fake->resp, resp, AVPG_FAKE_CTRL_LEN);
	/* a driver that knows what was there before must not take it for the same */
	fake->device_id++;
	memmap_write(fake, fake->mem_size);
	info_write(fake);
	ext_write(fake);
	avpg_fake_format(fake);
	return avpg_fake_resume(fake);
}

struct avpg_fake *
avpg_fake_create(const struct avpg_fake_conf *conf)
{
	struct avpg_fake *fake = calloc(1, sizeof(*fake));

	if (fake == NULL)
		return NULL;
	fake->conf = *conf;
	atomic_store(&fake->lives, INT_MAX);
	fake->fifo_stride = (uint32_t)round_up(avp_fifo_size(conf->ring_len), 64);
	fake->fifos_off = CTRL_SIZE;
	fake->bufs_off =
			round_up(CTRL_SIZE + (uint64_t)4 * conf->nb_queues * fake->fifo_stride, 64);
	fake->buf_stride = (uint32_t)round_up(AVPG_FAKE_BUF_DATA_OFF + conf->buf_data_size, 64);
	fake->nb_bufs = 2 * conf->nb_queues * conf->nb_bufs;
	fake->slot_va = AVPG_FAKE_MEM_VA + 0x1000000000;
	if (bars_create(fake,
			    round_up(fake->bufs_off + (uint64_t)fake->nb_bufs * fake->buf_stride,
					    PAGE)) != 0)
		goto err_destroy;
	fake->slot = (struct avp_request *)fake->mem;
	fake->device_id = AVPG_FAKE_FIRST_ID - 1;
	if (avpg_fake_restart(fake) != 0)
		goto err_destroy;
	return fake;

err_destroy:
	avpg_fake_destroy(fake);
	return NULL;
}

void
avpg_fake_destroy(struct avpg_fake *fake)
{
	if (fake == NULL)
		return;
	avpg_fake_stop(fake);
	/* mbufs that are still out keep BAR 2, but nothing around it */
	avpg_map_put(fake->hw.map);
	guarded_mem_free(fake->mem, fake->mem_size, fake->hw.map != NULL);
	free(fake->memmap);
	free(fake->info);
	free(fake);
}
