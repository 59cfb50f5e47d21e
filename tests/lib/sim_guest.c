/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The simulated guest: sim_guest.h.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "sim_guest.h"
#include "test_clock.h"

/* Where data begins in a buffer from an alloc FIFO. */
#define DATA_OFF 192u

#define CALL_TIMEOUT_MS 10000u
#define ANSWER_TIMEOUT_NS 10000000000ll
#define POLL_NS 50000l

static int
map_bar(struct sim_guest *guest, uint32_t bar)
{
	struct vuser_client_region region = {.fd = -1};
	void *map;
	int ret = vuser_client_region(guest->client, bar, &region);

	if (ret < 0)
		return ret;
	if (region.fd < 0)
		return -ENXIO;
	map = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
			(off_t)region.fd_off);
	ret = map == MAP_FAILED ? -errno : 0;
	close(region.fd);
	if (ret < 0)
		return ret;
	guest->bar_map[bar] = map;
	guest->bar_size[bar] = region.size;
	return 0;
}

/* A "physical" label: there is one area. */
static void *
ptr_of_pa(const struct sim_guest *guest, uint64_t pa)
{
	return guest->mem + (pa - guest->memmap->maps[0].area_pa);
}

int
sim_guest_open_ctrl(struct sim_guest *guest)
{
	int ret = avp_fifo_end_open(&guest->req, ptr_of_pa(guest, guest->info->req_fifo_pa), true,
			AVP_FIFO_MAX_LEN);

	return ret < 0 ? ret
		       : avp_fifo_end_open(&guest->resp,
					 ptr_of_pa(guest, guest->info->resp_fifo_pa), false,
					 AVP_FIFO_MAX_LEN);
}

int
sim_guest_connect(struct sim_guest *guest, const char *path)
{
	static const uint32_t bars[] = {AVP_BAR_MEMORY, AVP_BAR_MEMMAP, AVP_BAR_DEVICE};
	struct avp_err err = {0};
	int ret;

	memset(guest, 0, sizeof(*guest));
	ret = vuser_client_connect(&guest->client, path, CALL_TIMEOUT_MS, &err);
	if (ret < 0) {
		fprintf(stderr, "sim_guest: %s\n", err.msg);
		return ret;
	}
	for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
		ret = map_bar(guest, bars[i]);
		if (ret < 0) {
			fprintf(stderr, "sim_guest: BAR %u: %s\n", bars[i], strerror(-ret));
			sim_guest_disconnect(guest);
			return ret;
		}
	}
	guest->mem = guest->bar_map[AVP_BAR_MEMORY];
	guest->mem_size = guest->bar_size[AVP_BAR_MEMORY];
	guest->memmap = guest->bar_map[AVP_BAR_MEMMAP];
	guest->info = guest->bar_map[AVP_BAR_DEVICE];
	ret = sim_guest_open_ctrl(guest);
	if (ret < 0)
		sim_guest_disconnect(guest);
	return ret;
}

void
sim_guest_disconnect(struct sim_guest *guest)
{
	vuser_client_destroy(guest->client);
	guest->client = NULL;
	for (uint32_t bar = 0; bar < 6; bar++) {
		if (guest->bar_map[bar] != NULL)
			munmap(guest->bar_map[bar], guest->bar_size[bar]);
		guest->bar_map[bar] = NULL;
	}
	guest->mem = NULL;
}

int
sim_guest_request(struct sim_guest *guest, struct avp_request *request)
{
	struct avp_request *slot = ptr_of_pa(guest, guest->info->ctrl_slot_pa);
	const uint64_t end = test_now_ns() + ANSWER_TIMEOUT_NS;
	const struct timespec nap = {.tv_nsec = POLL_NS};
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (avp_fifo_room(&guest->req, 1, &fault) == 0)
		return -ENOSPC;
	memcpy(slot, request, sizeof(*slot));
	avp_fifo_set(&guest->req, 0, guest->info->ctrl_slot_va);
	avp_fifo_put_done(&guest->req, 1);
	while (avp_fifo_avail(&guest->resp, 1, &fault) == 0) {
		if (test_now_ns() > end)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
	avp_fifo_get_done(&guest->resp, 1);
	memcpy(request, slot, sizeof(*request));
	return request->result;
}

static int
open_fifos(struct sim_guest *guest)
{
	const struct avp_device_info *info = guest->info;
	int ret = 0;

	for (uint32_t i = 0; i < info->max_rx_queues && ret == 0; i++) {
		struct sim_lane *lane = &guest->lanes[i];
		uint8_t *tx = ptr_of_pa(guest, info->tx_fifo_pa);
		uint8_t *rx = ptr_of_pa(guest, info->rx_fifo_pa);
		uint8_t *alloc = ptr_of_pa(guest, info->alloc_fifo_pa);
		uint8_t *free_fifo = ptr_of_pa(guest, info->free_fifo_pa);

		if (guest->compact) {
			ret |= avp_cring_end_open(&lane->ctx, (void *)(tx + i * info->tx_fifo_size),
					info->tx_fifo_size);
			ret |= avp_cring_end_open(&lane->crx, (void *)(rx + i * info->rx_fifo_size),
					info->rx_fifo_size);
		} else {
			ret |= avp_fifo_end_open(&lane->tx, (void *)(tx + i * info->tx_fifo_size),
					true, AVP_FIFO_MAX_LEN);
			ret |= avp_fifo_end_open(&lane->rx, (void *)(rx + i * info->rx_fifo_size),
					false, AVP_FIFO_MAX_LEN);
		}
		ret |= avp_fifo_end_open(&lane->alloc, (void *)(alloc + i * info->alloc_fifo_size),
				false, AVP_FIFO_MAX_LEN);
		ret |= avp_fifo_end_open(&lane->free,
				(void *)(free_fifo + i * info->free_fifo_size), true,
				AVP_FIFO_MAX_LEN);
	}
	return ret == 0 ? 0 : -EINVAL;
}

int
sim_guest_configure(struct sim_guest *guest, uint32_t nb_tx, uint32_t nb_rx, uint32_t features,
		bool link_up)
{
	struct avp_request request = {.req_id = AVP_REQ_CONFIGURE};
	int ret;

	request.arg.config.device_id = guest->info->device_id;
	request.arg.config.driver_type = AVP_DRIVER_DPDK;
	request.arg.config.driver_version = AVP_DEVICE_VERSION;
	request.arg.config.features = features;
	request.arg.config.nb_tx_queues = (uint16_t)nb_tx;
	request.arg.config.nb_rx_queues = (uint16_t)nb_rx;
	request.arg.config.link_up = link_up;
	ret = sim_guest_request(guest, &request);
	if (ret < 0)
		return ret;
	guest->recycle = (features & AVP_FEATURE_RECYCLE) != 0;
	guest->compact = (features & AVP_FEATURE_COMPACT) != 0;
	return open_fifos(guest);
}

int
sim_guest_set_link(struct sim_guest *guest, bool up)
{
	struct avp_request request = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = up};

	return sim_guest_request(guest, &request);
}

int
sim_guest_shutdown(struct sim_guest *guest)
{
	struct avp_request request = {.req_id = AVP_REQ_SHUTDOWN};

	return sim_guest_request(guest, &request);
}

int
sim_guest_start(struct sim_guest *guest, const char *path, uint32_t nb_queues, uint32_t features)
{
	int ret = sim_guest_connect(guest, path);

	if (ret < 0)
		return ret;
	ret = sim_guest_configure(guest, nb_queues, nb_queues, features, true);
	if (ret < 0)
		sim_guest_disconnect(guest);
	return ret;
}

void *
sim_guest_ptr(const struct sim_guest *guest, uint64_t va)
{
	const uint64_t bufs_off = guest->info->buf_pa - guest->memmap->maps[0].area_pa;
	const uint64_t off = va - guest->info->buf_va + bufs_off;

	return off < guest->mem_size ? guest->mem + off : NULL;
}

bool
sim_guest_alloc(struct sim_guest *guest, uint32_t lane, uint64_t *va)
{
	struct avp_fifo_end *alloc = &guest->lanes[lane].alloc;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	struct avp_desc *desc;

	if (avp_fifo_avail(alloc, 1, &fault) == 0)
		return false;
	*va = avp_fifo_at(alloc, 0);
	avp_fifo_get_done(alloc, 1);
	desc = sim_guest_ptr(guest, *va);
	if (desc->ol_flags != 0 || desc->data_len != 0 || desc->next_va != 0 ||
			desc->desc_va != *va)
		guest->nb_dirty++;
	if (guest->recycle)
		*desc = (struct avp_desc){.desc_va = *va, .data_va = *va + DATA_OFF};
	return true;
}

uint32_t
sim_guest_nb_alloc(struct sim_guest *guest, uint32_t lane)
{
	struct avp_fifo_end *alloc = &guest->lanes[lane].alloc;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	return avp_fifo_avail(alloc, alloc->len, &fault);
}

static bool
fifo_put(struct avp_fifo_end *end, uint64_t va)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (avp_fifo_room(end, 1, &fault) == 0)
		return false;
	avp_fifo_set(end, 0, va);
	avp_fifo_put_done(end, 1);
	return true;
}

bool
sim_guest_put_tx(struct sim_guest *guest, uint32_t lane, uint64_t va)
{
	return fifo_put(&guest->lanes[lane].tx, va);
}

bool
sim_guest_put_free(struct sim_guest *guest, uint32_t lane, uint64_t va)
{
	return fifo_put(&guest->lanes[lane].free, va);
}

bool
sim_guest_take_rx(struct sim_guest *guest, uint32_t lane, uint64_t *va)
{
	struct avp_fifo_end *rx = &guest->lanes[lane].rx;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (avp_fifo_avail(rx, 1, &fault) == 0)
		return false;
	*va = avp_fifo_at(rx, 0);
	avp_fifo_get_done(rx, 1);
	return true;
}

int
sim_guest_build(struct sim_guest *guest, uint32_t lane, const struct sim_pkt *pkt,
		uint32_t seg_size, uint64_t *va)
{
	const uint32_t max = guest->info->buf_data_size;
	const uint32_t size = seg_size == 0 || seg_size > max ? max : seg_size;
	const uint32_t nb_segs = pkt->len == 0 ? 1 : (pkt->len + size - 1) / size;
	struct avp_desc *desc = NULL;
	struct avp_desc *head = NULL;

	if (sim_guest_nb_alloc(guest, lane) < nb_segs)
		return -ENOBUFS;
	for (uint32_t i = 0; i < nb_segs; i++) {
		const uint32_t off = i * size;
		const uint32_t len = pkt->len - off < size ? pkt->len - off : size;
		uint64_t buf_va;

		sim_guest_alloc(guest, lane, &buf_va);
		if (head == NULL)
			*va = buf_va;
		else
			desc->next_va = buf_va;
		desc = sim_guest_ptr(guest, buf_va);
		if (head == NULL)
			head = desc;
		memcpy((uint8_t *)sim_guest_ptr(guest, desc->data_va) + desc->data_len,
				pkt->data + off, len);
		desc->data_len = (uint16_t)(desc->data_len + len);
	}
	head->nb_segs = (uint8_t)nb_segs;
	head->pkt_len = (uint16_t)pkt->len;
	head->ol_flags |= pkt->ol_flags;
	if (pkt->ol_flags & AVP_DESC_TX_VLAN)
		head->vlan_tci = pkt->vlan_tci;
	return 0;
}

int
sim_guest_send(struct sim_guest *guest, uint32_t lane, const struct sim_pkt *pkt, uint32_t seg_size)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint64_t va;
	int ret;

	if (avp_fifo_room(&guest->lanes[lane].tx, 1, &fault) == 0)
		return -ENOSPC;
	ret = sim_guest_build(guest, lane, pkt, seg_size, &va);
	if (ret == 0)
		sim_guest_put_tx(guest, lane, va);
	return ret;
}

void
sim_guest_read(const struct sim_guest *guest, uint64_t va, struct sim_pkt *pkt)
{
	const struct avp_desc *head = sim_guest_ptr(guest, va);

	pkt->len = 0;
	pkt->nb_segs = 0;
	pkt->ol_flags = head->ol_flags;
	pkt->vlan_tci = head->vlan_tci;
	for (const struct avp_desc *desc = head; desc != NULL;
			desc = desc->next_va == 0 ? NULL : sim_guest_ptr(guest, desc->next_va)) {
		if (pkt->len + desc->data_len > sizeof(pkt->data))
			break;
		memcpy(pkt->data + pkt->len, sim_guest_ptr(guest, desc->data_va), desc->data_len);
		pkt->len += desc->data_len;
		pkt->nb_segs++;
	}
	/* what a driver would believe; a test that compares it finds a wrong one */
	if (head->pkt_len != pkt->len || head->nb_segs != pkt->nb_segs)
		pkt->len = UINT32_MAX;
}

int
sim_guest_recv(struct sim_guest *guest, uint32_t lane, struct sim_pkt *pkt)
{
	uint64_t va;

	if (!sim_guest_take_rx(guest, lane, &va))
		return -EAGAIN;
	sim_guest_read(guest, va, pkt);
	return sim_guest_put_free(guest, lane, va) ? 0 : -ENOSPC;
}

uint32_t
sim_guest_buf_idx(const struct sim_guest *guest, uint64_t va)
{
	return (uint32_t)((va - guest->info->buf_va) / guest->info->buf_stride);
}

uint64_t
sim_guest_buf_va(const struct sim_guest *guest, uint32_t buf_idx)
{
	return guest->info->buf_va + (uint64_t)buf_idx * guest->info->buf_stride;
}

bool
sim_guest_put_entries(struct sim_guest *guest, uint32_t lane, const struct avp_cring_words *words,
		uint32_t nb)
{
	struct avp_cring_end *ctx = &guest->lanes[lane].ctx;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	if (avp_cring_room(ctx, nb, &fault) < nb)
		return false;
	for (uint32_t i = 0; i < nb; i++)
		avp_cring_set(ctx, i, words[i].place, words[i].state);
	avp_cring_put_done(ctx, nb);
	return true;
}

bool
sim_guest_take_entry(struct sim_guest *guest, uint32_t lane, struct avp_cring_words *words)
{
	struct avp_cring_end *crx = &guest->lanes[lane].crx;

	if (!avp_cring_at(crx, 0, words))
		return false;
	avp_cring_get_done(crx, 1);
	return true;
}
