/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * include/avp/avp_fifo.h: what it does with honest and with hostile peers, and across two threads
 * against rte_avp_fifo.h of the installed DPDK, which the stock driver uses.
 */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_avp_fifo.h>

#include <avp/avp_fifo.h>

#define LEN 8u
#define FIRST_LABEL UINT64_C(0x400000001000)

/* One FIFO with both ends, as two honest sides see it. */
struct pair {
	struct avp_fifo_end prod;
	struct avp_fifo_end cons;
	struct avp_fifo *fifo;
};

static struct avp_fifo *
fifo_alloc(uint32_t len)
{
	struct avp_fifo *fifo = aligned_alloc(64, (avp_fifo_size(len) + 63) / 64 * 64);

	assert_non_null(fifo);
	avp_fifo_format(fifo, len);
	return fifo;
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -1;
	p->fifo = fifo_alloc(LEN);
	avp_fifo_end_init(&p->prod, p->fifo, LEN);
	avp_fifo_end_init(&p->cons, p->fifo, LEN);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	free(p->fifo);
	free(p);
	return 0;
}

/* Put up to @n, counted on from *@next. Returns how many; a fault fails the test. */
static uint32_t
put(struct pair *p, uint32_t n, uint64_t *next)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t room = avp_fifo_room(&p->prod, n, &fault);

	assert_int_equal(fault, AVP_FIFO_OK);
	n = n < room ? n : room;
	for (uint32_t i = 0; i < n; i++)
		avp_fifo_set(&p->prod, i, (*next)++);
	avp_fifo_put_done(&p->prod, n);
	return n;
}

/* Get up to @n, and compare them. */
static uint32_t
get(struct pair *p, uint32_t n, uint64_t *expected)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t avail = avp_fifo_avail(&p->cons, n, &fault);

	assert_int_equal(fault, AVP_FIFO_OK);
	n = n < avail ? n : avail;
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(avp_fifo_at(&p->cons, i), (*expected)++);
	avp_fifo_get_done(&p->cons, n);
	return n;
}

static void
format_makes_it_empty(void **state)
{
	struct pair *p = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	assert_int_equal(p->fifo->len, LEN);
	assert_int_equal(p->fifo->elem_size, 8);
	assert_int_equal(p->fifo->write, 0);
	assert_int_equal(p->fifo->read, 0);
	assert_int_equal(avp_fifo_avail(&p->cons, 1, &fault), 0);
	assert_int_equal(avp_fifo_room(&p->prod, LEN, &fault), LEN - 1);
	assert_int_equal(fault, AVP_FIFO_OK);
}

static void
put_stops_when_full(void **state)
{
	struct pair *p = *state;
	uint64_t next = 0;

	assert_int_equal(put(p, LEN, &next), LEN - 1);
	assert_int_equal(put(p, 1, &next), 0);
	assert_int_equal((p->fifo->write + 1) & (LEN - 1), p->fifo->read);
}

static void
order_is_kept_across_many_wraps(void **state)
{
	struct pair *p = *state;
	uint64_t next = 1;
	uint64_t expected = 1;

	for (uint32_t i = 0; i < 1000; i++) {
		put(p, i % (LEN + 1), &next);
		get(p, (i * 5) % (LEN + 1), &expected);
	}
	get(p, LEN, &expected);
	assert_int_equal(expected, next);
	assert_true(next > 1000);
}

static void
entries_are_invisible_until_published(void **state)
{
	struct pair *p = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	assert_int_equal(avp_fifo_room(&p->prod, 2, &fault), LEN - 1);
	avp_fifo_set(&p->prod, 0, 1);
	avp_fifo_set(&p->prod, 1, 2);
	assert_int_equal(avp_fifo_avail(&p->cons, 1, &fault), 0);
	avp_fifo_put_done(&p->prod, 2);
	assert_int_equal(avp_fifo_avail(&p->cons, 1, &fault), 2);
}

static void
known_entries_need_no_look_at_the_peer(void **state)
{
	struct pair *p = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint64_t next = 0;

	put(p, 3, &next);
	assert_int_equal(avp_fifo_avail(&p->cons, 1, &fault), 3);
	p->fifo->write = UINT32_MAX; /* not looked at: three are known, two are wanted */
	assert_int_equal(avp_fifo_avail(&p->cons, 2, &fault), 3);
	assert_int_equal(fault, AVP_FIFO_OK);
}

static void
bad_index_is_taken_as_no_move(void **state)
{
	static const uint32_t bad[] = {LEN, LEN + 1, 1u << 31, UINT32_MAX};
	struct pair *p = *state;
	uint64_t next = 0;

	put(p, 2, &next);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		enum avp_fifo_fault fault = AVP_FIFO_OK;

		p->fifo->write = bad[i];
		assert_int_equal(avp_fifo_avail(&p->cons, LEN, &fault), 0);
		assert_int_equal(fault, AVP_FIFO_BAD_INDEX);
		fault = AVP_FIFO_OK;
		p->fifo->read = bad[i];
		assert_int_equal(avp_fifo_room(&p->prod, LEN, &fault), LEN - 1 - 2);
		assert_int_equal(fault, AVP_FIFO_BAD_INDEX);
	}
	p->fifo->write = 2;
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	assert_int_equal(avp_fifo_avail(&p->cons, LEN, &fault), 2);
	assert_int_equal(fault, AVP_FIFO_OK);
}

static void
write_index_running_backwards_takes_nothing_back(void **state)
{
	struct pair *p = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint64_t next = 0;

	put(p, 4, &next);
	assert_int_equal(avp_fifo_avail(&p->cons, LEN, &fault), 4);
	assert_int_equal(fault, AVP_FIFO_OK);
	p->fifo->write = 2;
	assert_int_equal(avp_fifo_avail(&p->cons, LEN, &fault), 4);
	assert_int_equal(fault, AVP_FIFO_BACKWARDS);
}

static void
read_index_beyond_the_write_index_gives_no_room(void **state)
{
	struct pair *p = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint64_t next = 0;

	put(p, 4, &next);
	p->fifo->read = 6; /* more than was written */
	assert_int_equal(avp_fifo_room(&p->prod, LEN, &fault), LEN - 1 - 4);
	assert_int_equal(fault, AVP_FIFO_BACKWARDS);
}

static void
overwritten_length_changes_nothing_and_is_put_right(void **state)
{
	struct pair *p = *state;
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint64_t next = 0;

	put(p, 3, &next);
	p->fifo->len = 1u << 30;
	assert_int_equal(avp_fifo_avail(&p->cons, LEN, &fault), 3);
	assert_int_equal(fault, AVP_FIFO_BAD_LEN);
	assert_int_equal(p->fifo->len, LEN);
	p->fifo->elem_size = 0;
	fault = AVP_FIFO_OK;
	assert_int_equal(avp_fifo_room(&p->prod, LEN, &fault), LEN - 1 - 3);
	assert_int_equal(fault, AVP_FIFO_BAD_LEN);
	assert_int_equal(p->fifo->elem_size, 8);
}

/* Where entries are is decided by the end's own length and index, even across the FIFO's end. */
static void
entries_are_found_whatever_the_peer_writes_over_the_header(void **state)
{
	static const uint32_t bad[] = {0, 4, 1u << 30, UINT32_MAX};
	struct pair *p = *state;
	uint64_t next = 0;
	uint64_t expected = 0;

	for (size_t i = 0; i < 4 * LEN; i++) {
		enum avp_fifo_fault fault = AVP_FIFO_OK;

		assert_int_equal(avp_fifo_room(&p->prod, 3, &fault) >= 3, 1);
		p->fifo->len = bad[i % 4];
		p->fifo->write = bad[i / 4 % 4];
		for (uint32_t k = 0; k < 3; k++)
			avp_fifo_set(&p->prod, k, next++);
		avp_fifo_put_done(&p->prod, 3);
		assert_int_equal(avp_fifo_avail(&p->cons, 3, &fault), 3);
		p->fifo->len = bad[i / 4 % 4];
		p->fifo->read = bad[i % 4];
		for (uint32_t k = 0; k < 3; k++)
			assert_int_equal(avp_fifo_at(&p->cons, k), expected++);
		avp_fifo_get_done(&p->cons, 3);
	}
}

static void
open_takes_up_a_fifo_in_use(void **state)
{
	struct pair *p = *state;
	struct pair other = *p;
	uint64_t next = 0;
	uint64_t expected = 0;

	put(p, 5, &next);
	get(p, 2, &expected);
	assert_int_equal(avp_fifo_end_open(&other.prod, p->fifo, true, LEN), 0);
	assert_int_equal(avp_fifo_end_open(&other.cons, p->fifo, false, LEN), 0);
	put(&other, 2, &next);
	get(&other, LEN, &expected);
	assert_int_equal(expected, 7);
}

static void
open_refuses_what_makes_no_sense(void **state)
{
	static const struct {
		uint32_t write, read, len, elem_size;
	} bad[] = {
			{LEN, 0, LEN, 8},
			{0, LEN, LEN, 8},
			{0, 0, 0, 8},
			{0, 0, 2, 8},
			{0, 0, LEN - 1, 8},
			{0, 0, LEN, 4},
			{0, 0, LEN * 2, 8}, /* more than there is memory for */
			{0, 0, 1u << 31, 8},
	};
	struct pair *p = *state;
	struct avp_fifo_end end;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p->fifo->write = bad[i].write;
		p->fifo->read = bad[i].read;
		p->fifo->len = bad[i].len;
		p->fifo->elem_size = bad[i].elem_size;
		assert_int_equal(avp_fifo_end_open(&end, p->fifo, true, LEN), -EINVAL);
	}
}

/* Any indices at all: what is announced is always within the FIFO, and adds up. */
static void
onlookers_see_what_is_published_and_change_nothing(void **state)
{
	struct pair *p = *state;
	struct avp_fifo_end before;
	uint64_t next = FIRST_LABEL;

	assert_int_equal(avp_fifo_used(&p->cons), 0);
	put(p, 5, &next);
	avp_fifo_set(&p->prod, 0, next); /* written, not published */
	before = p->cons;
	assert_int_equal(avp_fifo_used(&p->cons), 5);
	assert_int_equal(avp_fifo_used(&p->prod), 5);
	assert_memory_equal(&before, &p->cons, sizeof(before));
	/* whatever a peer writes, it is a number of entries that the FIFO can have */
	p->fifo->write = UINT32_MAX;
	p->fifo->len = 1u << 20;
	assert_true(avp_fifo_used(&p->cons) < LEN);
}

static void
random_peer_indices_never_exceed_the_fifo(void **state)
{
	struct pair *p = *state;
	unsigned int seed = 1;

	print_message("seed %u\n", seed);
	for (uint32_t i = 0; i < 200000; i++) {
		enum avp_fifo_fault fault = AVP_FIFO_OK;
		uint32_t n;

		p->fifo->read = (uint32_t)rand_r(&seed) % (2 * LEN);
		p->fifo->write = (uint32_t)rand_r(&seed) % (2 * LEN);
		n = avp_fifo_room(&p->prod, (uint32_t)rand_r(&seed) % LEN, &fault);
		assert_true(n < LEN);
		if (n > 0)
			avp_fifo_put_done(&p->prod, (uint32_t)rand_r(&seed) % (n + 1));
		n = avp_fifo_avail(&p->cons, (uint32_t)rand_r(&seed) % LEN, &fault);
		assert_true(n < LEN);
		if (n > 0)
			avp_fifo_get_done(&p->cons, (uint32_t)rand_r(&seed) % (n + 1));
	}
}

/*
 * Two threads
 */

#define THREAD_ENTRIES 10000000u
#define THREAD_LEN 1024u
#define THREAD_BURST 32u

/* Put or get up to THREAD_BURST entries; returns how many. */
typedef uint32_t (*transfer_fn)(void *side, uint64_t *labels, uint32_t n);

static uint32_t
our_put(void *side, uint64_t *labels, uint32_t n)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t room = avp_fifo_room(side, n, &fault);

	n = fault != AVP_FIFO_OK ? 0 : n < room ? n : room;
	for (uint32_t i = 0; i < n; i++)
		avp_fifo_set(side, i, labels[i]);
	avp_fifo_put_done(side, n);
	return n;
}

static uint32_t
our_get(void *side, uint64_t *labels, uint32_t n)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t avail = avp_fifo_avail(side, n, &fault);

	n = fault != AVP_FIFO_OK ? 0 : n < avail ? n : avail;
	for (uint32_t i = 0; i < n; i++)
		labels[i] = avp_fifo_at(side, i);
	avp_fifo_get_done(side, n);
	return n;
}

static uint32_t
stock_put(void *side, uint64_t *labels, uint32_t n)
{
	return avp_fifo_put(side, (void **)(uintptr_t)labels, n);
}

static uint32_t
stock_get(void *side, uint64_t *labels, uint32_t n)
{
	return avp_fifo_get(side, (void **)(uintptr_t)labels, n);
}

struct producer {
	transfer_fn put;
	void *side;
};

static void *
producer_main(void *arg)
{
	const struct producer *producer = arg;
	uint64_t labels[THREAD_BURST];
	uint32_t done = 0;

	while (done < THREAD_ENTRIES) {
		uint32_t n = THREAD_ENTRIES - done;
		uint32_t put_now;

		n = n < THREAD_BURST ? n : THREAD_BURST;
		for (uint32_t i = 0; i < n; i++)
			labels[i] = FIRST_LABEL + (uint64_t)(done + i) * 64;
		put_now = producer->put(producer->side, labels, n);
		if (put_now == 0)
			sched_yield();
		done += put_now;
	}
	return NULL;
}

/* Take all entries, and compare order and content. Returns the first wrong one, or none. */
static uint32_t
consume(transfer_fn get_fn, void *side)
{
	uint64_t labels[THREAD_BURST];
	uint32_t done = 0;
	uint32_t wrong = UINT32_MAX;

	while (done < THREAD_ENTRIES) {
		uint32_t n = get_fn(side, labels, THREAD_BURST);

		if (n == 0)
			sched_yield();
		for (uint32_t i = 0; i < n; i++) {
			if (labels[i] != FIRST_LABEL + (uint64_t)(done + i) * 64 &&
					wrong == UINT32_MAX)
				wrong = done + i;
		}
		done += n;
	}
	return wrong;
}

static void
run_threads(transfer_fn put_fn, void *prod, transfer_fn get_fn, void *cons)
{
	struct producer producer = {put_fn, prod};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, producer_main, &producer), 0);
	assert_int_equal(consume(get_fn, cons), UINT32_MAX);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* The stock FIFO is not instrumented for the thread sanitizer, and relies on volatile. */
static void
skip_under_tsan(void)
{
#if defined(__SANITIZE_THREAD__)
	skip();
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
	skip();
#endif
#endif
}

static void
stock_consumer_gets_what_we_put(void **state)
{
	struct avp_fifo *fifo = fifo_alloc(THREAD_LEN);
	struct avp_fifo_end end;

	(void)state;
	skip_under_tsan();
	avp_fifo_end_init(&end, fifo, THREAD_LEN);
	run_threads(our_put, &end, stock_get, fifo);
	free(fifo);
}

static void
we_get_what_a_stock_producer_puts(void **state)
{
	struct avp_fifo *fifo = fifo_alloc(THREAD_LEN);
	struct avp_fifo_end end;

	(void)state;
	skip_under_tsan();
	avp_fifo_end_init(&end, fifo, THREAD_LEN);
	run_threads(stock_put, fifo, our_get, &end);
	free(fifo);
}

static void
we_get_what_we_put(void **state)
{
	struct avp_fifo *fifo = fifo_alloc(THREAD_LEN);
	struct avp_fifo_end prod;
	struct avp_fifo_end cons;

	(void)state;
	avp_fifo_end_init(&prod, fifo, THREAD_LEN);
	avp_fifo_end_init(&cons, fifo, THREAD_LEN);
	run_threads(our_put, &prod, our_get, &cons);
	free(fifo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(format_makes_it_empty, setup, teardown),
			cmocka_unit_test_setup_teardown(put_stops_when_full, setup, teardown),
			cmocka_unit_test_setup_teardown(
					order_is_kept_across_many_wraps, setup, teardown),
			cmocka_unit_test_setup_teardown(
					entries_are_invisible_until_published, setup, teardown),
			cmocka_unit_test_setup_teardown(
					known_entries_need_no_look_at_the_peer, setup, teardown),
			cmocka_unit_test_setup_teardown(
					bad_index_is_taken_as_no_move, setup, teardown),
			cmocka_unit_test_setup_teardown(
					write_index_running_backwards_takes_nothing_back, setup,
					teardown),
			cmocka_unit_test_setup_teardown(
					read_index_beyond_the_write_index_gives_no_room, setup,
					teardown),
			cmocka_unit_test_setup_teardown(
					overwritten_length_changes_nothing_and_is_put_right, setup,
					teardown),
			cmocka_unit_test_setup_teardown(
					entries_are_found_whatever_the_peer_writes_over_the_header,
					setup, teardown),
			cmocka_unit_test_setup_teardown(
					open_takes_up_a_fifo_in_use, setup, teardown),
			cmocka_unit_test_setup_teardown(
					open_refuses_what_makes_no_sense, setup, teardown),
			cmocka_unit_test_setup_teardown(
					onlookers_see_what_is_published_and_change_nothing, setup,
					teardown),
			cmocka_unit_test_setup_teardown(
					random_peer_indices_never_exceed_the_fifo, setup, teardown),
			cmocka_unit_test(we_get_what_we_put),
			cmocka_unit_test(stock_consumer_gets_what_we_put),
			cmocka_unit_test(we_get_what_a_stock_producer_puts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
