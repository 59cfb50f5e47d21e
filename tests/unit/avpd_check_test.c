/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_check.h: everything that a guest can say wrong of a packet, by its name.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avpd_check.h"

#define NB_BUFS 16u
#define BUFS_OFF 4096u
#define BUFS_VA (UINT64_C(0x400000000000) + BUFS_OFF)
#define STRIDE ((uint32_t)AVPD_BUF_STRIDE)
#define DATA_OFF ((uint32_t)(sizeof(struct avp_desc) + AVPD_BUF_HEADROOM))
#define MAX_PKT 9238u
#define GUEST 7u
#define HOST 0u

struct fixture {
	struct avpd_bufs bufs;
	struct avpd_layout layout;
	uint16_t owners[NB_BUFS];
	uint8_t *mem;
};

static void
layout_init(struct avpd_layout *layout, uint32_t nb_bufs)
{
	*layout = (struct avpd_layout){
			.bufs_off = BUFS_OFF,
			.bufs_va = BUFS_VA,
			.buf_stride = STRIDE,
			.buf_data_size = AVPD_BUF_DATA_SIZE,
			.buf_data_off = DATA_OFF,
			.nb_bufs = nb_bufs,
	};
}

static int
setup(void **state)
{
	const size_t size = (BUFS_OFF + NB_BUFS * STRIDE + 63) / 64 * 64;
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->mem = aligned_alloc(64, size);
	if (f->mem == NULL)
		return -1;
	memset(f->mem, 0xa5, size);
	layout_init(&f->layout, NB_BUFS);
	if (avpd_bufs_init(&f->bufs, f->mem, &f->layout) < 0)
		return -1;
	for (uint32_t i = 0; i < NB_BUFS; i++)
		f->owners[i] = GUEST;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	free(f->mem);
	free(f);
	return 0;
}

static struct avp_desc *
desc(const struct fixture *f, uint32_t idx)
{
	return avpd_buf_ptr(&f->bufs, idx);
}

static uint64_t
label(uint32_t idx)
{
	return BUFS_VA + (uint64_t)idx * STRIDE;
}

/* A good packet of @nb_segs segments of @data_len bytes, in buffers 0, 2, 4 ... */
static void
make_pkt(struct fixture *f, uint8_t nb_segs, uint16_t data_len)
{
	for (uint32_t i = 0; i < nb_segs; i++) {
		struct avp_desc *d = desc(f, 2 * i);

		memset(d, 0, sizeof(*d));
		d->desc_va = label(2 * i);
		d->data_va = label(2 * i) + DATA_OFF;
		d->data_len = data_len;
		d->next_va = i + 1 < nb_segs ? label(2 * (i + 1)) : 0;
	}
	desc(f, 0)->nb_segs = nb_segs;
	desc(f, 0)->pkt_len = (uint16_t)(nb_segs * data_len);
}

static enum avpd_check
check(const struct fixture *f, struct avpd_pkt *pkt)
{
	memset(pkt, 0x5a, sizeof(*pkt));
	return avpd_check_pkt(&f->bufs, f->owners, GUEST, MAX_PKT, label(0), pkt);
}

/* The check ends with @result, and @nb_own buffers have been found to be the guest's. */
#define ASSERT_CHECK(f, result, own)                                                            \
	do {                                                                                    \
		struct avpd_pkt pkt_;                                                           \
		assert_string_equal(avpd_check_name(check(f, &pkt_)), avpd_check_name(result)); \
		assert_int_equal(pkt_.nb_own, own);                                             \
		for (uint32_t i_ = 0; i_ < pkt_.nb_own; i_++)                                   \
			assert_int_equal(pkt_.seg[i_].buf_idx, 2 * i_);                         \
	} while (0)

/*
 * Labels
 */

static void
every_buffer_start_gives_its_index(void **state)
{
	struct avpd_layout layout;
	struct avpd_bufs bufs;

	(void)state;
	layout_init(&layout, AVPD_MAX_BUFS * AVPD_MAX_SLOTS);
	assert_int_equal(avpd_bufs_init(&bufs, NULL, &layout), 0);
	for (uint32_t i = 0; i < layout.nb_bufs; i += i < 100000 ? 1 : 997) {
		uint32_t idx = AVPD_NO_BUF;

		if (avpd_check_label(&bufs, avpd_buf_va(&bufs, i), &idx) != AVPD_CHECK_OK ||
				idx != i)
			fail_msg("buffer %u: %u", i, idx);
	}
}

static void
every_other_offset_is_refused(void **state)
{
	const struct fixture *f = *state;
	const uint64_t end = (uint64_t)NB_BUFS * STRIDE;

	for (uint64_t off = 0; off < end + 2 * STRIDE; off++) {
		uint32_t idx = AVPD_NO_BUF;
		enum avpd_check expected = off >= end ? AVPD_CHECK_BAD_RANGE
				: off % STRIDE == 0   ? AVPD_CHECK_OK
						      : AVPD_CHECK_BAD_STRIDE;

		if (avpd_check_label(&f->bufs, BUFS_VA + off, &idx) != expected)
			fail_msg("offset %llu", (unsigned long long)off);
		if (expected == AVPD_CHECK_OK)
			assert_int_equal(idx, off / STRIDE);
		else
			assert_int_equal(idx, AVPD_NO_BUF);
	}
	for (uint64_t off = 1; off < 3 * STRIDE; off++) {
		uint32_t idx;

		if (avpd_check_label(&f->bufs, BUFS_VA - off, &idx) != AVPD_CHECK_BAD_RANGE)
			fail_msg("offset -%llu", (unsigned long long)off);
	}
}

static void
labels_far_away_are_out_of_range(void **state)
{
	const struct fixture *f = *state;
	uint64_t seed = 88172645463325252u;
	uint32_t idx;

	for (uint32_t i = 0; i < 1000000; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		if (seed - BUFS_VA < (uint64_t)NB_BUFS * STRIDE)
			continue;
		if (avpd_check_label(&f->bufs, seed, &idx) != AVPD_CHECK_BAD_RANGE)
			fail_msg("label 0x%llx", (unsigned long long)seed);
	}
	assert_int_equal(avpd_check_label(&f->bufs, 0, &idx), AVPD_CHECK_BAD_RANGE);
	assert_int_equal(avpd_check_label(&f->bufs, UINT64_MAX, &idx), AVPD_CHECK_BAD_RANGE);
	/* what only differs in bits that a narrower index would lose */
	for (uint32_t bit = 32; bit < 64; bit++) {
		if (avpd_check_label(&f->bufs, label(1) + (UINT64_C(1) << bit), &idx) !=
				AVPD_CHECK_BAD_RANGE)
			fail_msg("bit %u", bit);
	}
}

static void
strides_that_the_checks_cannot_do_are_refused(void **state)
{
	static const uint32_t bad[] = {0, 1, 32, 100, 128, 2048, 4096, 2176, 65536 + 64};
	struct fixture *f = *state;
	struct avpd_bufs bufs;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->layout.buf_stride = bad[i];
		assert_int_equal(avpd_bufs_init(&bufs, f->mem, &f->layout), -EINVAL);
	}
	f->layout.buf_stride = STRIDE;
	f->layout.buf_data_off = sizeof(struct avp_desc) - 1;
	assert_int_equal(avpd_bufs_init(&bufs, f->mem, &f->layout), -EINVAL);
	f->layout.buf_data_off = DATA_OFF;
	f->layout.buf_data_size = STRIDE - DATA_OFF + 1;
	assert_int_equal(avpd_bufs_init(&bufs, f->mem, &f->layout), -EINVAL);
}

static void
buffer_of_another_owner_is_refused(void **state)
{
	struct fixture *f = *state;
	uint32_t idx = AVPD_NO_BUF;

	assert_int_equal(avpd_check_buf(&f->bufs, f->owners, GUEST, label(3), &idx), AVPD_CHECK_OK);
	assert_int_equal(idx, 3);
	f->owners[3] = HOST; /* what the caller does, so that the second time is one too many */
	idx = AVPD_NO_BUF;
	assert_int_equal(avpd_check_buf(&f->bufs, f->owners, GUEST, label(3), &idx),
			AVPD_CHECK_BAD_OWNER);
	assert_int_equal(idx, AVPD_NO_BUF);
}

/*
 * Packets
 */

static void
single_segment_is_taken_as_written(void **state)
{
	struct fixture *f = *state;
	struct avpd_pkt pkt;

	make_pkt(f, 1, 60);
	desc(f, 0)->ol_flags = AVP_DESC_TX_VLAN;
	desc(f, 0)->vlan_tci = 0x6123;
	desc(f, 0)->data_va = label(0) + 100;
	assert_int_equal(check(f, &pkt), AVPD_CHECK_OK);
	assert_int_equal(pkt.nb_segs, 1);
	assert_int_equal(pkt.nb_own, 1);
	assert_int_equal(pkt.pkt_len, 60);
	assert_int_equal(pkt.ol_flags, AVP_DESC_TX_VLAN);
	assert_int_equal(pkt.vlan_tci, 0x6123);
	assert_int_equal(pkt.seg[0].buf_idx, 0);
	assert_int_equal(pkt.seg[0].data_off, 100);
	assert_int_equal(pkt.seg[0].data_len, 60);
}

static void
chains_of_up_to_five_are_taken(void **state)
{
	struct fixture *f = *state;
	struct avpd_pkt pkt;

	for (uint8_t nb = 2; nb <= AVP_MAX_SEGS; nb++) {
		make_pkt(f, nb, 1800);
		assert_int_equal(check(f, &pkt), AVPD_CHECK_OK);
		assert_int_equal(pkt.nb_segs, nb);
		assert_int_equal(pkt.nb_own, nb);
		assert_int_equal(pkt.pkt_len, nb * 1800);
		for (uint32_t i = 0; i < nb; i++) {
			assert_int_equal(pkt.seg[i].buf_idx, 2 * i);
			assert_int_equal(pkt.seg[i].data_off, DATA_OFF);
			assert_int_equal(pkt.seg[i].data_len, 1800);
		}
	}
}

static void
bad_label_of_the_head_gives_nothing_back(void **state)
{
	struct fixture *f = *state;
	struct avpd_pkt pkt;

	make_pkt(f, 1, 60);
	assert_int_equal(avpd_check_pkt(&f->bufs, f->owners, GUEST, MAX_PKT, BUFS_VA - 1, &pkt),
			AVPD_CHECK_BAD_RANGE);
	assert_int_equal(pkt.nb_own, 0);
	assert_int_equal(avpd_check_pkt(&f->bufs, f->owners, GUEST, MAX_PKT, BUFS_VA + 1, &pkt),
			AVPD_CHECK_BAD_STRIDE);
	assert_int_equal(pkt.nb_own, 0);
	f->owners[0] = HOST;
	assert_int_equal(check(f, &pkt), AVPD_CHECK_BAD_OWNER);
	assert_int_equal(pkt.nb_own, 0);
}

static void
data_must_start_in_its_buffer_behind_the_descriptor(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 1, 60);
	desc(f, 0)->data_va = label(0) + 63;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
	desc(f, 0)->data_va = label(0) + 64;
	ASSERT_CHECK(f, AVPD_CHECK_OK, 1);
	desc(f, 0)->data_va = label(0) - 1;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
	desc(f, 0)->data_va = label(1);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
	desc(f, 0)->data_va = label(1) + 64;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
	desc(f, 0)->data_va = 0;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
	desc(f, 0)->data_va = label(0) + 64 + (UINT64_C(1) << 32);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
	desc(f, 0)->data_va = UINT64_MAX;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 1);
}

static void
data_must_end_in_its_buffer(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 1, (uint16_t)(STRIDE - DATA_OFF));
	ASSERT_CHECK(f, AVPD_CHECK_OK, 1);
	desc(f, 0)->data_len++;
	desc(f, 0)->pkt_len++;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 1);
	desc(f, 0)->data_len = UINT16_MAX;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 1);
	desc(f, 0)->data_len = 0;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 1);
	desc(f, 0)->data_va = label(0) + STRIDE - 1;
	desc(f, 0)->data_len = 2;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 1);
}

static void
number_of_segments_must_be_1_to_5(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 1, 60);
	desc(f, 0)->nb_segs = 0;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 1);
	desc(f, 0)->nb_segs = 6;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 1);
	desc(f, 0)->nb_segs = 255;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 1);
}

static void
number_of_segments_must_be_that_of_the_chain(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 3, 100);
	desc(f, 0)->nb_segs = 4;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 3);
	desc(f, 0)->nb_segs = 2;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 2);
	desc(f, 0)->nb_segs = 1;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 1);
}

static void
chain_that_loops_is_refused(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 5, 100);
	desc(f, 8)->next_va = label(0);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 5);
	desc(f, 4)->next_va = label(0);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 3);
	desc(f, 4)->next_va = label(4);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 3);
	desc(f, 0)->next_va = label(0);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_CHAIN, 1);
}

static void
fault_behind_the_head_gives_back_what_was_checked(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 4, 100);
	desc(f, 2)->next_va = label(4) + 8;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_STRIDE, 2);
	desc(f, 2)->next_va = 8;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_RANGE, 2);
	desc(f, 2)->next_va = label(4);
	f->owners[4] = HOST;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_OWNER, 2);
	f->owners[4] = GUEST;
	desc(f, 4)->data_va = label(6) + 64;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA, 3);
	desc(f, 4)->data_va = label(4) + 64;
	desc(f, 4)->data_len = 0;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 3);
}

static void
packet_length_must_be_the_sum(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 1, 60);
	desc(f, 0)->pkt_len = 61;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_PKT_LEN, 1);
	desc(f, 0)->pkt_len = 59;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_PKT_LEN, 1);
	make_pkt(f, 3, 100);
	desc(f, 0)->pkt_len = 301;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_PKT_LEN, 3);
}

static void
packet_length_has_limits(void **state)
{
	struct fixture *f = *state;
	struct avpd_pkt pkt;

	make_pkt(f, 1, 14);
	ASSERT_CHECK(f, AVPD_CHECK_OK, 1);
	make_pkt(f, 1, 13);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_PKT_LEN, 1);
	make_pkt(f, 1, 1519);
	assert_int_equal(avpd_check_pkt(&f->bufs, f->owners, GUEST, 1518, label(0), &pkt),
			AVPD_CHECK_BAD_PKT_LEN);
	assert_int_equal(avpd_check_pkt(&f->bufs, f->owners, GUEST, 1519, label(0), &pkt),
			AVPD_CHECK_OK);
	make_pkt(f, 5, 1848);
	ASSERT_CHECK(f, AVPD_CHECK_BAD_PKT_LEN, 5); /* 9240 */
	desc(f, 8)->data_len = 1846;
	desc(f, 0)->pkt_len = 9238;
	ASSERT_CHECK(f, AVPD_CHECK_OK, 5);
}

static void
first_of_several_segments_has_the_ethernet_header(void **state)
{
	struct fixture *f = *state;

	make_pkt(f, 2, 14);
	ASSERT_CHECK(f, AVPD_CHECK_OK, 2);
	desc(f, 0)->data_len = 13;
	desc(f, 0)->pkt_len = 27;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 1);
	/* where reading 14 bytes would leave the buffer */
	desc(f, 0)->data_va = label(1) - 1;
	desc(f, 0)->data_len = 1;
	desc(f, 0)->pkt_len = 15;
	ASSERT_CHECK(f, AVPD_CHECK_BAD_DATA_LEN, 1);
	make_pkt(f, 2, 14);
	desc(f, 2)->data_len = 1;
	desc(f, 0)->pkt_len = 15;
	ASSERT_CHECK(f, AVPD_CHECK_OK, 2);
}

static void
every_result_has_its_own_name(void **state)
{
	(void)state;
	for (int i = 0; i < AVPD_CHECK_NB; i++) {
		assert_string_not_equal(avpd_check_name((enum avpd_check)i), "unknown");
		for (int j = 0; j < i; j++)
			assert_string_not_equal(avpd_check_name((enum avpd_check)i),
					avpd_check_name((enum avpd_check)j));
	}
	assert_string_equal(avpd_check_name(AVPD_CHECK_NB), "unknown");
}

/*
 * Fields that change while they are read: a thread rewrites the descriptor between two packets, and
 * what comes out is always consistent in itself.
 */

struct scribbler {
	struct fixture *f;
	atomic_bool stop;
};

static void *
scribbler_main(void *arg)
{
	struct scribbler *s = arg;
	_Atomic uint64_t *word = (_Atomic uint64_t *)avpd_buf_ptr(&s->f->bufs, 0);
	uint64_t n = 0;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		const uint64_t data_len = n % 3 == 0 ? 60 : n % 3 == 1 ? 2000 : 0xffff;
		const uint64_t pkt_len = n % 5 == 0 ? 60 : n % 5 == 1 ? 2000 : data_len;

		atomic_store_explicit(&word[5], label(n % 7 == 0 ? 1 : 0) + DATA_OFF + n % 64,
				memory_order_relaxed);
		atomic_store_explicit(&word[6], data_len | 1u << 16 | pkt_len << 32,
				memory_order_relaxed);
		atomic_store_explicit(&word[4], n % 11 == 0 ? label(0) : 0, memory_order_relaxed);
		n++;
	}
	return NULL;
}

static void
descriptor_that_changes_while_read_stays_consistent(void **state)
{
	struct fixture *f = *state;
	struct scribbler s = {.f = f};
	uint32_t nb_good = 0;
	pthread_t thread;

	make_pkt(f, 1, 60);
	assert_int_equal(pthread_create(&thread, NULL, scribbler_main, &s), 0);
	for (uint32_t i = 0; i < 2000000; i++) {
		struct avpd_pkt pkt;

		if (check(f, &pkt) != AVPD_CHECK_OK)
			continue;
		nb_good++;
		if (pkt.pkt_len != pkt.seg[0].data_len ||
				pkt.seg[0].data_off + pkt.seg[0].data_len > STRIDE ||
				pkt.seg[0].data_off < sizeof(struct avp_desc))
			fail_msg("packet of %u bytes: %u bytes at %u", pkt.pkt_len,
					pkt.seg[0].data_len, pkt.seg[0].data_off);
	}
	atomic_store(&s.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("%u packets were good\n", nb_good);
	assert_true(nb_good > 0);
}

/*
 * Writing
 */

static void
empty_buffer_is_what_the_stock_driver_takes_for_granted(void **state)
{
	struct fixture *f = *state;
	const struct avp_desc *d = desc(f, 3);

	avpd_desc_write_empty(&f->bufs, 3);
	assert_int_equal(d->desc_va, label(3));
	assert_int_equal(d->ol_flags, 0);
	assert_int_equal(d->next_va, 0);
	assert_int_equal(d->data_va, label(3) + DATA_OFF);
	assert_int_equal(d->data_len, 0);
	assert_int_equal(d->nb_segs, 0);
	assert_int_equal(d->pkt_len, 0);
	assert_int_equal(d->vlan_tci, 0);
}

static void
writing_leaves_no_byte_of_what_was_there(void **state)
{
	struct fixture *f = *state;
	struct avp_desc first;

	memset(desc(f, 3), 0x00, sizeof(first));
	avpd_desc_write_empty(&f->bufs, 3);
	first = *desc(f, 3);
	memset(desc(f, 3), 0xff, sizeof(first));
	avpd_desc_write_empty(&f->bufs, 3);
	assert_memory_equal(&first, desc(f, 3), sizeof(first));
}

static void
written_packet_is_read_back_the_same(void **state)
{
	struct fixture *f = *state;
	struct avpd_pkt pkt = {
			.pkt_len = 9000,
			.ol_flags = AVP_DESC_RX_VLAN,
			.vlan_tci = 0xf00f,
			.nb_own = 5,
			.nb_segs = 5,
	};
	struct avpd_pkt back;

	for (uint32_t i = 0; i < 5; i++)
		pkt.seg[i] = (struct avpd_seg){2 * i, (uint16_t)(DATA_OFF + i), 1800};
	avpd_desc_write_pkt(&f->bufs, &pkt);
	memset(&back, 0, sizeof(back));
	assert_int_equal(avpd_check_pkt(&f->bufs, f->owners, GUEST, MAX_PKT, label(0), &back),
			AVPD_CHECK_OK);
	assert_memory_equal(&pkt, &back, sizeof(pkt));
	assert_int_equal(desc(f, 2)->nb_segs, 0);
	assert_int_equal(desc(f, 2)->pkt_len, 0);
	assert_int_equal(desc(f, 2)->ol_flags, 0);
	assert_int_equal(desc(f, 2)->desc_va, label(2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(every_buffer_start_gives_its_index),
			TEST(every_other_offset_is_refused),
			TEST(labels_far_away_are_out_of_range),
			TEST(strides_that_the_checks_cannot_do_are_refused),
			TEST(buffer_of_another_owner_is_refused),
			TEST(single_segment_is_taken_as_written),
			TEST(chains_of_up_to_five_are_taken),
			TEST(bad_label_of_the_head_gives_nothing_back),
			TEST(data_must_start_in_its_buffer_behind_the_descriptor),
			TEST(data_must_end_in_its_buffer),
			TEST(number_of_segments_must_be_1_to_5),
			TEST(number_of_segments_must_be_that_of_the_chain),
			TEST(chain_that_loops_is_refused),
			TEST(fault_behind_the_head_gives_back_what_was_checked),
			TEST(packet_length_must_be_the_sum),
			TEST(packet_length_has_limits),
			TEST(first_of_several_segments_has_the_ethernet_header),
			TEST(every_result_has_its_own_name),
			TEST(descriptor_that_changes_while_read_stays_consistent),
			TEST(empty_buffer_is_what_the_stock_driver_takes_for_granted),
			TEST(writing_leaves_no_byte_of_what_was_there),
			TEST(written_packet_is_read_back_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
