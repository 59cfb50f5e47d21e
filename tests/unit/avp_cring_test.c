/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Compact rings: what one side writes the other reads, once, in bursts that are there whole or not
 * at all; and nothing that a peer writes makes an end leave its memory.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <avp/avp_cring.h>

#include "guarded_mem.h"
#include "test_random.h"

#define LEN 16u
#define PAGE_SIZE 4096u

struct fixture {
	void *mem;
	size_t size;
	struct avp_cring *ring;
	struct avp_cring_end producer;
	struct avp_cring_end consumer;
};

static int
setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.size = avp_cring_size(LEN);
	/* the memory ends with the last entry */
	f.mem = guarded_mem_alloc(PAGE_SIZE);
	if (f.mem == NULL)
		return -1;
	f.ring = (struct avp_cring *)((uint8_t *)f.mem + PAGE_SIZE - f.size);
	memset(f.ring, 0xff, f.size);
	avp_cring_format(f.ring, LEN);
	avp_cring_end_init(&f.producer, f.ring, LEN);
	if (avp_cring_end_open(&f.consumer, f.ring, f.size) != 0)
		return -1;
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	guarded_mem_free(f->mem, PAGE_SIZE, false);
	return 0;
}

/* Write @nb entries, numbered from @first on, the last of them not followed by another. */
static void
put(struct fixture *f, uint32_t nb, uint32_t first)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	assert_true(avp_cring_room(&f->producer, nb, &fault) >= nb);
	for (uint32_t i = 0; i < nb; i++)
		avp_cring_set(&f->producer, i, avp_cring_place(first + i, 64, 100),
				avp_cring_state(0, 0));
	avp_cring_put_done(&f->producer, nb);
	assert_int_equal(fault, AVP_FIFO_OK);
}

/* Read all there is, at most @max; entries are numbered from @first on. Returns how many. */
static uint32_t
get(struct fixture *f, uint32_t max, uint32_t first)
{
	struct avp_cring_words words[LEN];
	uint32_t nb_pkts = max;
	const uint32_t nb = avp_cring_fetch(&f->consumer, words, LEN, &nb_pkts);

	assert_int_equal(nb, nb_pkts);
	for (uint32_t i = 0; i < nb; i++)
		assert_int_equal(avp_cring_buf_idx(words[i].place), first + i);
	avp_cring_get_done(&f->consumer, nb);
	return nb;
}

static void
words_hold_what_an_entry_has(void **state)
{
	struct fixture *f = *state;
	const struct avp_cdesc *desc = &f->ring->entries[0];

	avp_cring_set(&f->producer, 0, avp_cring_place(0x12345678, 0x1234, 0xfedc),
			avp_cring_state(AVP_CDESC_MORE | AVP_CDESC_VLAN, 0xabcd));
	avp_cring_put_done(&f->producer, 1);
	assert_int_equal(desc->buf_idx, 0x12345678);
	assert_int_equal(desc->data_off, 0x1234);
	assert_int_equal(desc->data_len, 0xfedc);
	assert_int_equal(desc->flags, AVP_CDESC_PHASE | AVP_CDESC_MORE | AVP_CDESC_VLAN);
	assert_int_equal(desc->vlan_tci, 0xabcd);
	assert_int_equal(desc->reserved, 0);
	assert_int_equal(avp_cring_buf_idx(0x1234fedc00000007), 7);
	assert_int_equal(avp_cring_data_off(0x1234fedc00000007), 0xfedc);
	assert_int_equal(avp_cring_data_len(0x1234fedc00000007), 0x1234);
	assert_int_equal(avp_cring_vlan_tci(0xabcd0001), 0xabcd);
}

/* Any size of burst, many rounds, so that each begins at each place of a line. */
static void
entries_arrive_once_and_in_order(void **state)
{
	struct fixture *f = *state;
	uint32_t put_nb = 0, got_nb = 0;
	uint64_t seed = test_random_seed();

	while (got_nb < 10000) {
		enum avp_fifo_fault fault = AVP_FIFO_OK;
		const uint32_t room = avp_cring_room(&f->producer, LEN, &fault);
		const uint32_t nb = (uint32_t)(test_random(&seed) % (room + 1));

		assert_int_equal(room, LEN - (put_nb - got_nb));
		if (nb > 0)
			put(f, nb, put_nb);
		put_nb += nb;
		got_nb += get(f, 1 + (uint32_t)(test_random(&seed) % LEN), got_nb);
	}
	got_nb += get(f, LEN, got_nb);
	assert_int_equal(put_nb, got_nb);
	assert_int_equal(avp_cring_waiting(&f->consumer, LEN), 0);
}

static void
all_entries_can_be_used(void **state)
{
	struct fixture *f = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	put(f, LEN, 0);
	assert_int_equal(avp_cring_room(&f->producer, 1, &fault), 0);
	assert_int_equal(avp_cring_used(&f->producer), LEN);
	assert_int_equal(avp_cring_waiting(&f->consumer, UINT32_MAX), LEN);
	assert_int_equal(get(f, LEN, 0), LEN);
	assert_int_equal(avp_cring_used(&f->producer), 0);
	put(f, LEN, LEN);
	assert_int_equal(get(f, LEN, LEN), LEN);
}

/* Whatever the place in its line where a burst begins, nothing of it is seen before its end. */
static void
a_burst_is_there_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	uint32_t number = 0;

	for (uint32_t start = 0; start < 2 * LEN; start++) {
		for (uint32_t i = 0; i < 7; i++) {
			avp_cring_set(&f->producer, i, avp_cring_place(number + i, 64, 100), 0);
			assert_false(avp_cring_ready(&f->consumer));
			assert_int_equal(get(f, LEN, number), 0);
		}
		avp_cring_put_done(&f->producer, 7);
		assert_true(avp_cring_ready(&f->consumer));
		assert_int_equal(get(f, LEN, number), 7);
		number += 7;
		f->producer.peer = f->consumer.own;
		put(f, 2, number); /* the next one begins somewhere else */
		assert_int_equal(get(f, LEN, number), 2);
		number += 2;
		f->producer.peer = f->consumer.own;
	}
}

/* Write a chain of @nb entries; @open: its last says that there is another. */
static void
put_chain(struct fixture *f, uint32_t nb, bool open)
{
	for (uint32_t i = 0; i < nb; i++)
		avp_cring_set(&f->producer, i, avp_cring_place(i, 64, 100),
				avp_cring_state(i + 1 < nb || open ? AVP_CDESC_MORE : 0, 0));
	avp_cring_put_done(&f->producer, nb);
}

static void
chains_are_read_whole(void **state)
{
	struct fixture *f = *state;
	struct avp_cring_words words[LEN];
	uint32_t nb_pkts = 2;

	put_chain(f, 3, false);
	put_chain(f, 1, false);
	put_chain(f, 5, false);
	assert_int_equal(avp_cring_fetch(&f->consumer, words, LEN, &nb_pkts), 4);
	assert_int_equal(nb_pkts, 2);
	/* one that does not fit @max any more waits */
	nb_pkts = 3;
	assert_int_equal(avp_cring_fetch(&f->consumer, words, 8, &nb_pkts), 4);
	assert_int_equal(nb_pkts, 2);
	nb_pkts = 3;
	assert_int_equal(avp_cring_fetch(&f->consumer, words, 9, &nb_pkts), 9);
	assert_int_equal(nb_pkts, 3);
}

static void
a_chain_without_end_is_cut_after_five(void **state)
{
	struct fixture *f = *state;
	struct avp_cring_words words[LEN];
	uint32_t nb_pkts = 8;

	put_chain(f, 7, true);
	/* five, then two whose rest is not there */
	assert_int_equal(avp_cring_fetch(&f->consumer, words, LEN, &nb_pkts), 7);
	assert_int_equal(nb_pkts, 2);
	assert_true((words[4].state & AVP_CDESC_MORE) != 0);
	assert_true((words[6].state & AVP_CDESC_MORE) != 0);
}

static void
a_count_that_makes_no_sense_is_no_room(void **state)
{
	/* from what it was: backwards, or beyond what has been written */
	static const uint32_t wrong[] = {UINT32_MAX, LEN + 1, 0x80000000, 2 * LEN, 0x10000};
	struct fixture *f = *state;
	enum avp_fifo_fault fault;

	put(f, LEN, 0);
	assert_int_equal(get(f, 4, 0), 4);
	fault = AVP_FIFO_OK;
	assert_int_equal(avp_cring_room(&f->producer, LEN, &fault), 4);
	assert_int_equal(fault, AVP_FIFO_OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		f->ring->read = f->producer.peer + wrong[i];
		fault = AVP_FIFO_OK;
		assert_int_equal(avp_cring_room(&f->producer, LEN, &fault), 4);
		assert_int_equal(fault, AVP_FIFO_BAD_INDEX);
	}
	f->ring->read = f->consumer.own;
	fault = AVP_FIFO_OK;
	assert_int_equal(avp_cring_room(&f->producer, LEN, &fault), 4);
	assert_int_equal(fault, AVP_FIFO_OK);
}

static void
a_length_that_a_peer_writes_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = test_random_seed();
	struct avp_cring_words words[LEN];
	uint32_t nb_pkts;

	f->ring->len = 1u << 30;
	f->ring->elem_size = 0;
	put(f, LEN, 0);
	assert_int_equal(get(f, LEN, 0), LEN);
	/* whatever is in the entries: the memory behind them would end the program */
	for (int round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < 2 * LEN; i++)
			((uint64_t *)f->ring->entries)[i] = test_random(&seed);
		nb_pkts = LEN;
		avp_cring_get_done(
				&f->consumer, avp_cring_fetch(&f->consumer, words, LEN, &nb_pkts));
	}
}

static void
rings_that_cannot_be_are_not_opened(void **state)
{
	struct fixture *f = *state;
	struct avp_cring_end end;
	const struct {
		uint32_t len, elem_size;
		uint64_t size;
	} wrong[] = {
			{LEN, 8, f->size},
			{LEN, 16, f->size - 1},
			{LEN, 16, 8},
			{0, 16, f->size},
			{4, 16, f->size},
			{LEN - 1, 16, f->size},
			{131072, 16, UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		f->ring->len = wrong[i].len;
		f->ring->elem_size = wrong[i].elem_size;
		assert_int_equal(avp_cring_end_open(&end, f->ring, wrong[i].size), -EINVAL);
	}
	f->ring->len = LEN;
	f->ring->elem_size = 16;
	assert_int_equal(avp_cring_end_open(&end, f->ring, f->size), 0);
}

/* Counts that go up for ever pass their end like any other number. */
static void
counts_wrap_round(void **state)
{
	struct fixture *f = *state;
	uint32_t number = 0;

	f->producer.own = f->producer.peer = f->consumer.own = 0u - 4 * LEN;
	f->ring->read = f->producer.own;
	for (int i = 0; i < 20; i++) {
		put(f, 5, number);
		assert_int_equal(get(f, LEN, number), 5);
		number += 5;
	}
}

#define THREAD_ENTRIES 300000u

static void *
produce(void *arg)
{
	struct fixture *f = arg;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t number = 0;

	while (number < THREAD_ENTRIES) {
		uint32_t nb = avp_cring_room(&f->producer, 6, &fault);

		if (nb > 6)
			nb = 1 + number % 6;
		if (nb > THREAD_ENTRIES - number)
			nb = THREAD_ENTRIES - number;
		for (uint32_t i = 0; i < nb; i++)
			avp_cring_set(&f->producer, i, avp_cring_place(number + i, 64, 100),
					avp_cring_state(i + 1 < nb && i < 4 ? AVP_CDESC_MORE : 0,
							(uint16_t)(number + i)));
		if (nb > 0)
			avp_cring_put_done(&f->producer, nb);
		number += nb;
	}
	return fault == AVP_FIFO_OK ? NULL : f;
}

/* Also run with the thread sanitizer. */
static void
two_threads_see_the_same(void **state)
{
	struct fixture *f = *state;
	uint32_t number = 0;
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, produce, f), 0);
	while (number < THREAD_ENTRIES) {
		struct avp_cring_words words[8];
		uint32_t nb_pkts = 3;
		const uint32_t nb = avp_cring_fetch(&f->consumer, words, 8, &nb_pkts);

		for (uint32_t i = 0; i < nb; i++, number++) {
			assert_int_equal(avp_cring_buf_idx(words[i].place), number);
			assert_int_equal(avp_cring_vlan_tci(words[i].state), (uint16_t)number);
		}
		/* chains are whole: the producer ends each burst with an end */
		if (nb > 0)
			assert_int_equal(words[nb - 1].state & AVP_CDESC_MORE, 0);
		avp_cring_get_done(&f->consumer, nb);
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(words_hold_what_an_entry_has),
			TEST(entries_arrive_once_and_in_order),
			TEST(all_entries_can_be_used),
			TEST(a_burst_is_there_whole_or_not_at_all),
			TEST(chains_are_read_whole),
			TEST(a_chain_without_end_is_cut_after_five),
			TEST(a_count_that_makes_no_sense_is_no_room),
			TEST(a_length_that_a_peer_writes_changes_nothing),
			TEST(rings_that_cannot_be_are_not_opened),
			TEST(counts_wrap_round),
			TEST(two_threads_see_the_same),
	};

	return cmocka_run_group_tests_name("avp_cring", tests, NULL, NULL);
}
