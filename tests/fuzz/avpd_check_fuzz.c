/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_check.h with any descriptors at all, against a model that says the same in long
 * words: divisions, 128-bit arithmetic, one field after the other.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "avpd_check.h"
#include "fuzz_input.h"

#define NB_BUFS 8u
#define BUFS_VA UINT64_C(0x400000001000)
#define STRIDE ((uint32_t)AVPD_BUF_STRIDE)
#define GUEST 1u

__extension__ typedef __int128 wide;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct avpd_bufs bufs;
	uint16_t owners[NB_BUFS];
	uint8_t *mem;
};

/* A label: often right, often nearly right. */
static uint64_t
choose_label(struct fuzz_input *in)
{
	const uint8_t kind = fuzz_u8(in);
	const uint64_t start = BUFS_VA + (uint64_t)(fuzz_u8(in) % (NB_BUFS + 1)) * STRIDE;

	switch (kind % 8) {
	case 0:
		return 0;
	case 1:
		return start + fuzz_u16(in);
	case 2:
		return start - fuzz_u8(in);
	case 3:
		return fuzz_u64(in);
	default:
		return start;
	}
}

static void
fill_desc(struct world *w, struct fuzz_input *in, uint32_t idx)
{
	struct avp_desc *desc = avpd_buf_ptr(&w->bufs, idx);
	const uint64_t own = avpd_buf_va(&w->bufs, idx);

	memset(desc, 0, sizeof(*desc));
	desc->data_va = fuzz_u8(in) % 8 == 0 ? choose_label(in) : own + fuzz_u8(in) % 8 * 40;
	desc->data_len = fuzz_u8(in) % 4 == 0 ? fuzz_u16(in) : fuzz_u8(in);
	desc->next_va = fuzz_u8(in) % 2 == 0 ? 0 : choose_label(in);
	desc->nb_segs = fuzz_u8(in) % 7;
	desc->pkt_len = fuzz_u8(in) % 4 == 0 ? fuzz_u16(in) : fuzz_u8(in);
	desc->ol_flags = fuzz_u8(in);
	desc->vlan_tci = fuzz_u8(in);
	if (fuzz_u8(in) % 2 == 0) {
		/* make the sum right, as far as the chain goes straight on */
		desc->pkt_len = desc->data_len;
		desc->nb_segs = desc->next_va == 0 ? 1 : desc->nb_segs;
	}
	w->owners[idx] = fuzz_u8(in) % 8 == 0 ? 0 : GUEST;
}

/* Give the head the length and the number of segments that its chain has. */
static void
make_consistent(struct world *w, uint64_t head_va)
{
	struct avp_desc *head = NULL;
	uint64_t va = head_va;
	uint32_t sum = 0;
	uint32_t n = 0;

	for (; va != 0 && n < NB_BUFS; n++) {
		const uint64_t off = va - BUFS_VA;
		struct avp_desc *desc;

		if (off % STRIDE != 0 || off / STRIDE >= NB_BUFS)
			return;
		desc = avpd_buf_ptr(&w->bufs, (uint32_t)(off / STRIDE));
		head = head == NULL ? desc : head;
		sum += desc->data_len;
		va = desc->next_va;
	}
	if (head == NULL)
		return;
	head->nb_segs = (uint8_t)n;
	head->pkt_len = (uint16_t)sum;
}

/*
 * The model
 */

static enum avpd_check
model_label(const struct world *w, uint64_t va, uint32_t *idx)
{
	const wide off = (wide)va - (wide)BUFS_VA;

	if (off < 0 || off >= (wide)NB_BUFS * STRIDE)
		return AVPD_CHECK_BAD_RANGE;
	if (off % STRIDE != 0)
		return AVPD_CHECK_BAD_STRIDE;
	*idx = (uint32_t)(off / STRIDE);
	return w->owners[*idx] == GUEST ? AVPD_CHECK_OK : AVPD_CHECK_BAD_OWNER;
}

static enum avpd_check
model_data(const struct avp_desc *desc, uint32_t idx, struct avpd_seg *seg)
{
	const wide buf = (wide)BUFS_VA + (wide)idx * STRIDE;
	const wide start = (wide)desc->data_va - buf;

	if (start < (wide)sizeof(struct avp_desc) || start >= (wide)STRIDE)
		return AVPD_CHECK_BAD_DATA;
	if (desc->data_len == 0 || start + desc->data_len > (wide)STRIDE)
		return AVPD_CHECK_BAD_DATA_LEN;
	seg->data_off = (uint16_t)start;
	seg->data_len = desc->data_len;
	return AVPD_CHECK_OK;
}

/* One segment: label, twice in the chain, data. */
static enum avpd_check
model_seg(const struct world *w, uint64_t va, struct avpd_pkt *pkt, const struct avp_desc **desc)
{
	struct avpd_seg *seg = &pkt->seg[pkt->nb_own];
	enum avpd_check check = model_label(w, va, &seg->buf_idx);

	if (check != AVPD_CHECK_OK)
		return check;
	for (uint32_t i = 0; i < pkt->nb_own; i++) {
		if (pkt->seg[i].buf_idx == seg->buf_idx)
			return AVPD_CHECK_BAD_CHAIN;
	}
	pkt->nb_own++;
	*desc = (const struct avp_desc *)(w->bufs.base + (size_t)seg->buf_idx * STRIDE);
	return model_data(*desc, seg->buf_idx, seg);
}

static enum avpd_check
model_pkt(const struct world *w, uint64_t va, uint32_t max_pkt, struct avpd_pkt *pkt)
{
	const struct avp_desc *head = NULL;
	const struct avp_desc *desc = NULL;
	uint32_t sum = 0;
	enum avpd_check check = model_seg(w, va, pkt, &head);

	if (check != AVPD_CHECK_OK)
		return check;
	if (head->nb_segs == 0 || head->nb_segs > AVP_MAX_SEGS)
		return AVPD_CHECK_BAD_CHAIN;
	if (head->nb_segs > 1 && head->data_len < AVP_MIN_PKT_SIZE)
		return AVPD_CHECK_BAD_DATA_LEN;
	desc = head;
	sum = head->data_len;
	while (pkt->nb_own < head->nb_segs) {
		if (desc->next_va == 0)
			return AVPD_CHECK_BAD_CHAIN;
		check = model_seg(w, desc->next_va, pkt, &desc);
		if (check != AVPD_CHECK_OK)
			return check;
		sum += desc->data_len;
	}
	if (desc->next_va != 0)
		return AVPD_CHECK_BAD_CHAIN;
	pkt->nb_segs = head->nb_segs;
	pkt->pkt_len = sum;
	pkt->ol_flags = head->ol_flags;
	pkt->vlan_tci = head->vlan_tci;
	return sum != head->pkt_len || sum < AVP_MIN_PKT_SIZE || sum > max_pkt
			? AVPD_CHECK_BAD_PKT_LEN
			: AVPD_CHECK_OK;
}

static void
fail(const char *what, uint64_t is, uint64_t expected)
{
	fprintf(stderr, "%s: %llu, the model says %llu\n", what, (unsigned long long)is,
			(unsigned long long)expected);
	abort();
}

static void
compare_u64(const char *what, uint64_t is, uint64_t expected)
{
	if (is != expected)
		fail(what, is, expected);
}

static void
compare(enum avpd_check check, const struct avpd_pkt *pkt, enum avpd_check expected,
		const struct avpd_pkt *model)
{
	compare_u64("check", check, expected);
	compare_u64("nb_own", pkt->nb_own, model->nb_own);
	for (uint32_t i = 0; i < pkt->nb_own; i++)
		compare_u64("buf_idx", pkt->seg[i].buf_idx, model->seg[i].buf_idx);
	if (check != AVPD_CHECK_OK)
		return;
	compare_u64("nb_segs", pkt->nb_segs, model->nb_segs);
	compare_u64("nb_segs", pkt->nb_segs, pkt->nb_own);
	compare_u64("pkt_len", pkt->pkt_len, model->pkt_len);
	compare_u64("ol_flags", pkt->ol_flags, model->ol_flags);
	compare_u64("vlan_tci", pkt->vlan_tci, model->vlan_tci);
	for (uint32_t i = 0; i < pkt->nb_segs; i++) {
		compare_u64("data_off", pkt->seg[i].data_off, model->seg[i].data_off);
		compare_u64("data_len", pkt->seg[i].data_len, model->seg[i].data_len);
	}
}

/* What has been checked can be written as it is, and is then found to be good again. */
static void
write_back(struct world *w, uint32_t max_pkt, const struct avpd_pkt *pkt)
{
	struct avpd_pkt again;

	memset(&again, 0, sizeof(again));
	avpd_desc_write_pkt(&w->bufs, pkt);
	compare_u64("written packet",
			avpd_check_pkt(&w->bufs, w->owners, GUEST, max_pkt,
					avpd_buf_va(&w->bufs, pkt->seg[0].buf_idx), &again),
			AVPD_CHECK_OK);
	compare(AVPD_CHECK_OK, &again, AVPD_CHECK_OK, pkt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct avpd_layout layout = {
			.bufs_va = BUFS_VA,
			.buf_stride = STRIDE,
			.buf_data_off = sizeof(struct avp_desc) + AVPD_BUF_HEADROOM,
			.buf_data_size = AVPD_BUF_DATA_SIZE,
			.nb_bufs = NB_BUFS,
	};
	struct fuzz_input in = {data, size, 0};
	struct world w = {.mem = aligned_alloc(64, (size_t)NB_BUFS * STRIDE)};

	if (w.mem == NULL || avpd_bufs_init(&w.bufs, w.mem, &layout) < 0)
		abort();
	memset(w.mem, 0, (size_t)NB_BUFS * STRIDE);
	while (!fuzz_ended(&in)) {
		const uint32_t max_pkt = fuzz_u8(&in) % 2 == 0 ? 9238 : 300;
		const uint64_t head = choose_label(&in);
		struct avpd_pkt pkt;
		struct avpd_pkt model;
		enum avpd_check check;

		memset(&pkt, 0xee, sizeof(pkt));
		memset(&model, 0, sizeof(model));
		for (uint32_t i = 0; i < NB_BUFS; i++)
			fill_desc(&w, &in, i);
		if (fuzz_u8(&in) % 2 == 0)
			make_consistent(&w, head);
		check = avpd_check_pkt(&w.bufs, w.owners, GUEST, max_pkt, head, &pkt);
		compare(check, &pkt, model_pkt(&w, head, max_pkt, &model), &model);
		if (check == AVPD_CHECK_OK)
			write_back(&w, max_pkt, &pkt);
	}
	free(w.mem);
	return 0;
}
