/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_migrate.c: every way that a detach or attach begins and ends. The same over a
 * socket, with registers and interrupts, is in avpd_device_test.c.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avpd_migrate.h"

static struct avpd_migrate
detached(void)
{
	struct avpd_migrate m;
	int32_t result = 1;

	avpd_migrate_init(&m);
	assert_int_equal(avpd_migrate_detach(&m), 0);
	assert_true(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
	assert_int_equal(result, 0);
	return m;
}

static void
starts_attached_with_nothing_asked(void **state)
{
	struct avpd_migrate m;
	int32_t result;

	(void)state;
	avpd_migrate_init(&m);
	assert_int_equal(m.status, AVP_MIGRATION_NONE);
	assert_false(avpd_migrate_pending(&m));
	assert_false(avpd_migrate_detached(&m));
	assert_false(avpd_migrate_expired(&m, &result));
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
	assert_false(avpd_migrate_guest_gone(&m, &result));
}

static void
detach_ends_with_the_acknowledge(void **state)
{
	struct avpd_migrate m;
	int32_t result = 1;

	(void)state;
	avpd_migrate_init(&m);
	assert_int_equal(avpd_migrate_detach(&m), 0);
	assert_int_equal(m.status, AVP_MIGRATION_DETACHED);
	assert_true(avpd_migrate_pending(&m));
	assert_false(avpd_migrate_detached(&m)); /* it may use the device until it lets go */
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_NONE, &result));
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_ATTACHED, &result));
	assert_false(avpd_migrate_ack(&m, 77, &result));
	assert_true(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
	assert_int_equal(result, 0);
	assert_true(avpd_migrate_detached(&m));
	assert_false(avpd_migrate_pending(&m));
	assert_int_equal(m.status, AVP_MIGRATION_DETACHED);
}

static void
detach_without_driver_times_out_and_is_reached(void **state)
{
	struct avpd_migrate m;
	int32_t result = 1;

	(void)state;
	avpd_migrate_init(&m);
	avpd_migrate_detach(&m);
	assert_true(avpd_migrate_expired(&m, &result));
	assert_int_equal(result, -ETIMEDOUT);
	assert_true(avpd_migrate_detached(&m));
	assert_false(avpd_migrate_expired(&m, &result));
}

static void
detach_that_the_guest_failed_is_reached(void **state)
{
	struct avpd_migrate m;
	int32_t result = 1;

	(void)state;
	avpd_migrate_init(&m);
	avpd_migrate_detach(&m);
	assert_true(avpd_migrate_ack(&m, AVP_MIGRATION_ERROR, &result));
	assert_int_equal(result, -EIO);
	assert_true(avpd_migrate_detached(&m));
}

static void
detach_is_done_when_the_guest_is_gone(void **state)
{
	struct avpd_migrate m;
	int32_t result = 1;

	(void)state;
	avpd_migrate_init(&m);
	avpd_migrate_detach(&m);
	assert_true(avpd_migrate_guest_gone(&m, &result));
	assert_int_equal(result, 0);
	assert_true(avpd_migrate_detached(&m));
	assert_int_equal(m.status, AVP_MIGRATION_DETACHED);
}

static void
detached_stays_for_the_next_guest(void **state)
{
	struct avpd_migrate m = detached();
	int32_t result;

	(void)state;
	assert_false(avpd_migrate_guest_gone(&m, &result));
	assert_true(avpd_migrate_detached(&m));
	assert_int_equal(m.status, AVP_MIGRATION_DETACHED);
	/* which acknowledges at probe; nobody waits for that */
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
}

static void
attach_ends_with_the_acknowledge(void **state)
{
	struct avpd_migrate m = detached();
	int32_t result = 1;

	(void)state;
	assert_int_equal(avpd_migrate_attach(&m), 0);
	assert_int_equal(m.status, AVP_MIGRATION_ATTACHED);
	assert_false(avpd_migrate_detached(&m)); /* it may configure now */
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
	assert_true(avpd_migrate_ack(&m, AVP_MIGRATION_ATTACHED, &result));
	assert_int_equal(result, 0);
	assert_int_equal(m.phase, AVPD_MIGRATE_ATTACHED);
	assert_int_equal(m.status, AVP_MIGRATION_ATTACHED);
}

static void
attach_of_a_fresh_device_is_a_destination(void **state)
{
	struct avpd_migrate m;

	(void)state;
	avpd_migrate_init(&m);
	assert_int_equal(avpd_migrate_attach(&m), 0);
	assert_int_equal(m.status, AVP_MIGRATION_ATTACHED);
	assert_true(avpd_migrate_pending(&m));
}

static void
attach_fails_when_the_guest_is_gone(void **state)
{
	struct avpd_migrate m = detached();
	int32_t result = 1;

	(void)state;
	avpd_migrate_attach(&m);
	assert_true(avpd_migrate_guest_gone(&m, &result));
	assert_int_equal(result, -ENOTCONN);
	assert_int_equal(m.phase, AVPD_MIGRATE_ATTACHED);
	assert_int_equal(m.status, AVP_MIGRATION_NONE);
}

static void
twice_the_same_is_already_done(void **state)
{
	struct avpd_migrate m;
	int32_t result;

	(void)state;
	avpd_migrate_init(&m);
	assert_int_equal(avpd_migrate_detach(&m), 0);
	assert_int_equal(avpd_migrate_detach(&m), -EALREADY);
	avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result);
	assert_int_equal(avpd_migrate_detach(&m), -EALREADY);
	assert_int_equal(avpd_migrate_attach(&m), 0);
	assert_int_equal(avpd_migrate_attach(&m), -EALREADY);
	avpd_migrate_ack(&m, AVP_MIGRATION_ATTACHED, &result);
	assert_int_equal(avpd_migrate_attach(&m), -EALREADY);
	assert_int_equal(avpd_migrate_detach(&m), 0);
}

static void
what_was_not_acknowledged_can_be_asked_again(void **state)
{
	struct avpd_migrate m;
	int32_t result;

	(void)state;
	avpd_migrate_init(&m);
	avpd_migrate_detach(&m);
	avpd_migrate_expired(&m, &result);
	assert_int_equal(avpd_migrate_detach(&m), 0);
	avpd_migrate_expired(&m, &result);
	/* a late acknowledge counts */
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
	assert_int_equal(avpd_migrate_detach(&m), -EALREADY);
}

static void
attach_calls_a_detach_off(void **state)
{
	struct avpd_migrate m;
	int32_t result = 1;

	(void)state;
	avpd_migrate_init(&m);
	avpd_migrate_detach(&m);
	assert_int_equal(avpd_migrate_attach(&m), 0);
	/* the guest was on its way to let go */
	assert_false(avpd_migrate_ack(&m, AVP_MIGRATION_DETACHED, &result));
	assert_true(avpd_migrate_ack(&m, AVP_MIGRATION_ATTACHED, &result));
	assert_int_equal(result, 0);
	assert_false(avpd_migrate_detached(&m));
}

static void
incoming_starts_detached(void **state)
{
	struct avpd_migrate m;
	int32_t result = 1;

	(void)state;
	avpd_migrate_init_detached(&m);
	assert_true(avpd_migrate_detached(&m));
	assert_false(avpd_migrate_pending(&m));
	assert_int_equal(m.status, AVP_MIGRATION_DETACHED);
	assert_int_equal(avpd_migrate_detach(&m), -EALREADY);
	/* clients may come and go */
	assert_false(avpd_migrate_guest_gone(&m, &result));
	assert_true(avpd_migrate_detached(&m));
	assert_int_equal(avpd_migrate_attach(&m), 0);
	assert_false(avpd_migrate_detached(&m));
	assert_true(avpd_migrate_ack(&m, AVP_MIGRATION_ATTACHED, &result));
	assert_int_equal(result, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(starts_attached_with_nothing_asked),
			cmocka_unit_test(detach_ends_with_the_acknowledge),
			cmocka_unit_test(detach_without_driver_times_out_and_is_reached),
			cmocka_unit_test(detach_that_the_guest_failed_is_reached),
			cmocka_unit_test(detach_is_done_when_the_guest_is_gone),
			cmocka_unit_test(detached_stays_for_the_next_guest),
			cmocka_unit_test(attach_ends_with_the_acknowledge),
			cmocka_unit_test(attach_of_a_fresh_device_is_a_destination),
			cmocka_unit_test(attach_fails_when_the_guest_is_gone),
			cmocka_unit_test(twice_the_same_is_already_done),
			cmocka_unit_test(what_was_not_acknowledged_can_be_asked_again),
			cmocka_unit_test(attach_calls_a_detach_off),
			cmocka_unit_test(incoming_starts_detached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
