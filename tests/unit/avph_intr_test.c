/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * drivers/net/avp_host/avph_intr.c: who has armed a FIFO is woken once, and a guest that arms all
 * the time costs no more than it may. The loop has no thread: the test runs it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "avph_intr.h"
#include "test_clock.h"

#define WAIT_MS 10000

struct fixture {
	struct avp_loop *loop;
	struct avph_intr intr;
	uint32_t raised; /* vectors, of all calls */
	unsigned int calls;
	_Atomic uint32_t arm;
};

static struct fixture fixture;

static void
on_raise(struct avph_intr *intr, uint32_t vectors)
{
	assert_ptr_equal(intr, &fixture.intr);
	assert_int_not_equal(vectors, 0);
	fixture.raised |= vectors;
	fixture.calls++;
}

static int
setup(void **state)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture.loop = avp_loop_create();
	if (fixture.loop == NULL || avph_intr_init(&fixture.intr, fixture.loop, on_raise) != 0)
		return 1;
	avph_intr_set(&fixture.intr, true);
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	avph_intr_fini(&f->intr);
	avp_loop_destroy(f->loop);
	return 0;
}

static void
publish(struct fixture *f, uint32_t armed)
{
	atomic_store(&f->arm, armed);
	avph_intr_published(&f->intr, &f->arm);
}

static uint64_t
kicks(struct fixture *f)
{
	return atomic_load(&f->intr.nb_kicks);
}

static void
what_is_not_armed_wakes_nobody(void **state)
{
	struct fixture *f = *state;

	publish(f, 0);
	assert_int_equal(kicks(f), 0);
	assert_int_equal(atomic_load(&f->intr.vectors), 0);
}

static void
an_armed_fifo_raises_its_vector_once(void **state)
{
	struct fixture *f = *state;

	publish(f, 3);
	assert_int_equal(atomic_load(&f->arm), 0);
	assert_int_equal(kicks(f), 1);
	avph_intr_published(&f->intr, &f->arm);
	while (f->calls == 0)
		assert_true(avp_loop_run_once(f->loop, WAIT_MS) >= 0);
	assert_int_equal(f->raised, 1u << 3);
	for (int i = 0; i < 20; i++)
		avp_loop_run_once(f->loop, 1);
	assert_int_equal(f->calls, 1);
}

static void
vectors_that_are_none_are_not_raised(void **state)
{
	static const uint32_t none[] = {AVP_NB_VECTORS, 32, 33, 0x101, UINT32_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		publish(f, none[i]);
	assert_int_equal(atomic_load(&f->intr.vectors), 0);
	assert_int_equal(kicks(f), 0);
}

/* Two between ticks: the second one has to wait for the tick, and is not forgotten. */
static void
what_may_not_kick_is_raised_at_the_tick(void **state)
{
	struct fixture *f = *state;

	publish(f, 1);
	publish(f, 8);
	assert_int_equal(kicks(f), 1);
	while (f->raised != (1u << 1 | 1u << 8))
		assert_true(avp_loop_run_once(f->loop, WAIT_MS) >= 0);
	publish(f, 2);
	while ((f->raised & 1u << 2) == 0)
		assert_true(avp_loop_run_once(f->loop, WAIT_MS) >= 0);
}

static void
a_guest_that_arms_all_the_time_is_bounded(void **state)
{
	const uint64_t start_us = test_now_us();
	struct fixture *f = *state;
	uint64_t nb = 0;

	while (test_now_us() - start_us < 50000) {
		for (uint32_t i = 0; i < 1000; i++, nb++)
			publish(f, 1 + i % 8);
		avp_loop_run_once(f->loop, 0);
	}
	/* a kick a tick; and each time round, one message for all vectors */
	assert_true(kicks(f) <= (test_now_us() - start_us) / AVP_TICK_US + 2);
	assert_true(f->calls < nb / 100);
	assert_int_equal(f->raised, 0x1fe);
}

static void
when_it_is_off_nothing_is_raised(void **state)
{
	struct fixture *f = *state;

	publish(f, 1);
	avph_intr_set(&f->intr, false);
	for (int i = 0; i < 5; i++)
		avp_loop_run_once(f->loop, 1);
	assert_int_equal(f->calls, 0);
	avph_intr_set(&f->intr, true);
	publish(f, 2);
	while (f->calls == 0)
		assert_true(avp_loop_run_once(f->loop, WAIT_MS) >= 0);
	assert_int_equal(f->raised, 1u << 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(what_is_not_armed_wakes_nobody),
			TEST(an_armed_fifo_raises_its_vector_once),
			TEST(vectors_that_are_none_are_not_raised),
			TEST(what_may_not_kick_is_raised_at_the_tick),
			TEST(a_guest_that_arms_all_the_time_is_bounded),
			TEST(when_it_is_off_nothing_is_raised),
	};

	return cmocka_run_group_tests_name("avph_intr", tests, NULL, NULL);
}
