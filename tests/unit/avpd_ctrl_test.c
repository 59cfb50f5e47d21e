/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_ctrl.c: what each control request does, what is refused and with which error, and
 * what a hostile guest gets with slot and FIFOs.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avpd_ctrl.h"

#define SLOT_VA UINT64_C(0x400000000000)
#define DEVICE_ID UINT64_C(0x1122334455667788)
#define NB_QUEUES 4u
#define MAX_RX_SIZE 9018u

/* The device's side, and beside it the guest's ends of the FIFOs. */
struct fixture {
	struct avpd_ctrl ctrl;
	struct avpd_guest guest;
	bool detached;
	struct avp_fifo_end req;
	struct avp_fifo_end resp;
	struct avp_request *slot;
};

static void
guest_ends_init(struct fixture *f)
{
	avp_fifo_end_init(&f->req, f->ctrl.req.fifo, AVPD_CTRL_FIFO_LEN);
	avp_fifo_end_init(&f->resp, f->ctrl.resp.fifo, AVPD_CTRL_FIFO_LEN);
}

static int
setup(void **state)
{
	const struct avpd_ctrl_limits limits = {
			.device_id = DEVICE_ID,
			.features = AVP_FEATURE_VLAN,
			.nb_queues = NB_QUEUES,
			.max_rx_size = MAX_RX_SIZE,
	};
	struct avpd_ctrl_place place = {.slot_va = SLOT_VA};
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	place.slot = aligned_alloc(64, 64);
	place.req_fifo = aligned_alloc(64, 192);
	place.resp_fifo = aligned_alloc(64, 192);
	if (place.slot == NULL || place.req_fifo == NULL || place.resp_fifo == NULL)
		return -1;
	avpd_ctrl_init(&f->ctrl, &place, &limits);
	f->slot = place.slot;
	f->guest.connected = 1;
	guest_ends_init(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	free(f->slot);
	free(f->ctrl.req.fifo);
	free(f->ctrl.resp.fifo);
	free(f);
	return 0;
}

static void
put_label(struct fixture *f, uint64_t label)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	assert_true(avp_fifo_room(&f->req, 1, &fault) > 0);
	avp_fifo_set(&f->req, 0, label);
	avp_fifo_put_done(&f->req, 1);
}

static enum avpd_ctrl_result
take(struct fixture *f)
{
	return avpd_ctrl_take(&f->ctrl, &f->guest, f->detached);
}

static enum avpd_ctrl_result
request(struct fixture *f, const struct avp_request *request)
{
	*f->slot = *request;
	put_label(f, SLOT_VA);
	return take(f);
}

/* Number of answers that have come; each names the slot. */
static uint32_t
answers(struct fixture *f)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint32_t n = avp_fifo_avail(&f->resp, AVPD_CTRL_FIFO_LEN, &fault);

	assert_int_equal(fault, AVP_FIFO_OK);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(avp_fifo_at(&f->resp, i), SLOT_VA);
	avp_fifo_get_done(&f->resp, n);
	return n;
}

static struct avp_request
configuration(void)
{
	return (struct avp_request){
			.req_id = AVP_REQ_CONFIGURE,
			.arg.config =
					{
							.device_id = DEVICE_ID,
							.driver_type = AVP_DRIVER_DPDK,
							.driver_version = AVP_VERSION(1, 2, 13),
							.features = AVP_FEATURE_VLAN,
							.nb_tx_queues = 2,
							.nb_rx_queues = 3,
					},
			.result = 77,
	};
}

static void
configure(struct fixture *f)
{
	const struct avp_request config = configuration();

	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(answers(f), 1);
}

static void
set_link(struct fixture *f, uint8_t up, enum avpd_ctrl_result expected)
{
	const struct avp_request link = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = up};

	assert_int_equal(request(f, &link), expected);
}

/* The request is refused with @result, and changes nothing. */
static void
assert_refused(struct fixture *f, const struct avp_request *bad, int32_t result)
{
	const struct avpd_guest before = f->guest;

	assert_int_equal(request(f, bad), AVPD_CTRL_REFUSED);
	assert_int_equal(answers(f), 1);
	assert_int_equal(f->slot->result, result);
	assert_memory_equal(&before, &f->guest, sizeof(before));
}

static void
nothing_asked_is_nothing_taken(void **state)
{
	assert_int_equal(take(*state), AVPD_CTRL_NONE);
}

static void
configure_is_answered_when_the_datapath_is_done(void **state)
{
	struct fixture *f = *state;
	const struct avp_request config = configuration();

	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	assert_int_equal(answers(f), 0);
	assert_int_equal(f->guest.configured, 1);
	assert_int_equal(f->guest.link_up, 0);
	assert_int_equal(f->guest.nb_tx_queues, 2);
	assert_int_equal(f->guest.nb_rx_queues, 3);
	assert_int_equal(f->guest.features, AVP_FEATURE_VLAN);
	assert_int_equal(f->guest.driver_type, AVP_DRIVER_DPDK);
	assert_int_equal(f->guest.driver_version, AVP_VERSION(1, 2, 13));
	assert_int_equal(f->slot->result, 77);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(answers(f), 1);
	assert_int_equal(f->slot->result, 0);
	assert_int_equal(f->slot->req_id, AVP_REQ_CONFIGURE);
}

static void
no_request_is_taken_while_one_waits(void **state)
{
	struct fixture *f = *state;
	const struct avp_request config = configuration();

	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	put_label(f, SLOT_VA);
	assert_int_equal(take(f), AVPD_CTRL_NONE);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(take(f), AVPD_CTRL_RESET);
}

static void
slot_rewritten_during_the_request_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const struct avp_request config = configuration();

	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	memset(f->slot, 0xff, sizeof(*f->slot));
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(f->guest.nb_rx_queues, 3);
	assert_int_equal(f->slot->result, 0);
	assert_int_equal(f->slot->req_id, UINT32_MAX); /* only the result is written */
}

static void
configuration_out_of_range_is_refused(void **state)
{
	struct fixture *f = *state;
	struct avp_request bad;

	bad = configuration();
	bad.arg.config.device_id++;
	assert_refused(f, &bad, -ESTALE);
	bad = configuration();
	bad.arg.config.features = AVP_FEATURE_VLAN | AVP_FEATURE_RECYCLE;
	assert_refused(f, &bad, -ENOTSUP);
	bad = configuration();
	bad.arg.config.features = 1u << 31;
	assert_refused(f, &bad, -ENOTSUP);
	bad = configuration();
	bad.arg.config.nb_rx_queues = 0;
	assert_refused(f, &bad, -EINVAL);
	bad.arg.config.nb_rx_queues = NB_QUEUES + 1;
	assert_refused(f, &bad, -EINVAL);
	bad.arg.config.nb_rx_queues = 256 + 1; /* 1 if it were cut to a byte */
	assert_refused(f, &bad, -EINVAL);
	bad = configuration();
	bad.arg.config.nb_tx_queues = NB_QUEUES + 1;
	assert_refused(f, &bad, -EINVAL);
	bad.arg.config.nb_tx_queues = 256 + 1;
	assert_refused(f, &bad, -EINVAL);
	bad = configuration();
	bad.arg.config.link_up = 2;
	assert_refused(f, &bad, -EINVAL);
}

static void
mtu_above_the_hosts_is_refused_if_the_guest_was_told_of_it(void **state)
{
	struct avp_request mtu = {.req_id = AVP_REQ_SET_MTU, .arg.mtu = 1501};
	struct avp_request config = configuration();
	struct fixture *f = *state;

	f->ctrl.limits.features |= AVP_FEATURE_LINK_EVENTS;
	f->ctrl.limits.host_mtu = 1500;
	configure(f);
	assert_int_equal(request(f, &mtu), AVPD_CTRL_CHANGED);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(answers(f), 1);
	config.arg.config.features = AVP_FEATURE_LINK_EVENTS;
	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(answers(f), 1);
	mtu.arg.mtu = 1502;
	assert_refused(f, &mtu, -EINVAL);
	mtu.arg.mtu = 1500;
	assert_int_equal(request(f, &mtu), AVPD_CTRL_CHANGED);
	avpd_ctrl_answer(&f->ctrl, 0);
}

static void
features_may_be_left_out(void **state)
{
	struct fixture *f = *state;
	struct avp_request config = configuration();

	config.arg.config.features = 0;
	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	assert_int_equal(f->guest.features, 0);
}

static void
driver_without_tx_queues_gets_one_fifo(void **state)
{
	struct fixture *f = *state;
	struct avp_request config = configuration();

	config.arg.config.nb_tx_queues = 0;
	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	assert_int_equal(f->guest.nb_tx_queues, 1);
}

static void
configure_may_set_the_link_up(void **state)
{
	struct fixture *f = *state;
	struct avp_request config = configuration();

	config.arg.config.link_up = 1;
	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	assert_int_equal(f->guest.link_up, 1);
}

static void
link_goes_up_and_down(void **state)
{
	struct fixture *f = *state;

	configure(f);
	set_link(f, 1, AVPD_CTRL_CHANGED);
	assert_int_equal(f->guest.link_up, 1);
	avpd_ctrl_answer(&f->ctrl, 0);
	set_link(f, 1, AVPD_CTRL_DONE);
	set_link(f, 0, AVPD_CTRL_CHANGED);
	assert_int_equal(f->guest.link_up, 0);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(answers(f), 3);
}

static void
link_of_an_unconfigured_device_stays_down(void **state)
{
	struct fixture *f = *state;
	const struct avp_request up = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = 1};

	assert_refused(f, &up, -EINVAL);
	set_link(f, 0, AVPD_CTRL_DONE);
}

static void
link_state_is_0_or_1(void **state)
{
	struct fixture *f = *state;
	const struct avp_request bad = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = 2};

	configure(f);
	assert_refused(f, &bad, -EINVAL);
}

static void
mtu_is_between_68_and_the_largest_packet(void **state)
{
	static const uint32_t bad[] = {0, 67, MAX_RX_SIZE - 13, 65536 + 1500, UINT32_MAX};
	struct fixture *f = *state;
	struct avp_request mtu = {.req_id = AVP_REQ_SET_MTU};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mtu.arg.mtu = bad[i];
		assert_refused(f, &mtu, -EINVAL);
	}
	mtu.arg.mtu = MAX_RX_SIZE - 14;
	assert_int_equal(request(f, &mtu), AVPD_CTRL_CHANGED);
	assert_int_equal(f->guest.mtu, MAX_RX_SIZE - 14);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(request(f, &mtu), AVPD_CTRL_DONE);
	mtu.arg.mtu = 68;
	assert_int_equal(request(f, &mtu), AVPD_CTRL_CHANGED);
}

static void
shut_down_takes_everything_back(void **state)
{
	struct fixture *f = *state;
	const struct avp_request down = {.req_id = AVP_REQ_SHUTDOWN};

	configure(f);
	set_link(f, 1, AVPD_CTRL_CHANGED);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(request(f, &down), AVPD_CTRL_RESET);
	assert_int_equal(f->guest.configured, 0);
	assert_int_equal(f->guest.link_up, 0);
	assert_int_equal(f->guest.nb_tx_queues, 0);
	assert_int_equal(f->guest.nb_rx_queues, 0);
	assert_int_equal(f->guest.features, 0);
	assert_int_equal(f->guest.connected, 1);
	avpd_ctrl_answer(&f->ctrl, 0);
	assert_int_equal(request(f, &down), AVPD_CTRL_DONE);
}

static void
detached_guest_may_only_let_go(void **state)
{
	struct fixture *f = *state;
	const struct avp_request config = configuration();
	const struct avp_request up = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = 1};
	const struct avp_request shut = {.req_id = AVP_REQ_SHUTDOWN};

	configure(f);
	f->detached = true;
	assert_refused(f, &config, -EBUSY);
	assert_refused(f, &up, -EBUSY);
	set_link(f, 0, AVPD_CTRL_DONE);
	assert_int_equal(request(f, &shut), AVPD_CTRL_RESET);
}

static void
unknown_request_is_refused(void **state)
{
	static const uint32_t bad[] = {0, 5, 0x100 + AVP_REQ_SHUTDOWN, UINT32_MAX};
	struct fixture *f = *state;
	struct avp_request unknown = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unknown.req_id = bad[i];
		assert_refused(f, &unknown, -EOPNOTSUPP);
	}
}

static void
label_that_is_not_the_slot_is_dropped(void **state)
{
	static const uint64_t bad[] = {0, SLOT_VA + 1, SLOT_VA - 64, UINT64_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_label(f, bad[i]);
		assert_int_equal(take(f), AVPD_CTRL_BAD);
		assert_int_equal(answers(f), 0);
	}
	configure(f);
}

static void
resets_are_limited_in_rate(void **state)
{
	struct fixture *f = *state;
	const struct avp_request config = configuration();
	uint32_t nb = 0;

	*f->slot = config;
	for (uint32_t i = 0; i < 2 * AVPD_CTRL_BURST; i++) {
		put_label(f, SLOT_VA);
		if (take(f) != AVPD_CTRL_RESET)
			break;
		avpd_ctrl_answer(&f->ctrl, 0);
		assert_int_equal(answers(f), 1);
		nb++;
	}
	assert_int_equal(nb, AVPD_CTRL_BURST);
	for (uint32_t i = 1; i < AVPD_CTRL_REFILL; i++)
		avpd_ctrl_tick(&f->ctrl);
	assert_int_equal(take(f), AVPD_CTRL_NONE);
	avpd_ctrl_tick(&f->ctrl);
	assert_int_equal(take(f), AVPD_CTRL_RESET); /* it has waited, and was not lost */
	avpd_ctrl_answer(&f->ctrl, 0);
	for (uint32_t i = 0; i < 1000 * AVPD_CTRL_REFILL; i++)
		avpd_ctrl_tick(&f->ctrl);
	assert_int_equal(f->ctrl.tokens, AVPD_CTRL_BURST);
}

/* Each is a wait for bursts under way, and an event for the application. */
static void
link_changes_are_limited_in_rate(void **state)
{
	struct fixture *f = *state;
	uint32_t nb = 0;

	configure(f);
	f->slot->req_id = AVP_REQ_SET_LINK;
	for (uint32_t i = 0; i < 2 * AVPD_CTRL_BURST; i++) {
		f->slot->arg.link_up = !f->guest.link_up;
		put_label(f, SLOT_VA);
		if (take(f) != AVPD_CTRL_CHANGED)
			break;
		avpd_ctrl_answer(&f->ctrl, 0);
		assert_int_equal(answers(f), 1);
		nb++;
	}
	assert_int_equal(nb, AVPD_CTRL_BURST - 1); /* and the configuration */
	for (uint32_t i = 0; i < AVPD_CTRL_REFILL; i++)
		avpd_ctrl_tick(&f->ctrl);
	assert_int_equal(take(f), AVPD_CTRL_CHANGED);
}

static void
guest_that_takes_no_answers_loses_them(void **state)
{
	struct fixture *f = *state;

	configure(f);
	for (uint32_t i = 0; i < 3 * AVPD_CTRL_FIFO_LEN; i++)
		set_link(f, 0, AVPD_CTRL_DONE);
	assert_int_equal(answers(f), AVPD_CTRL_FIFO_LEN - 1);
	set_link(f, 0, AVPD_CTRL_DONE);
	assert_int_equal(answers(f), 1);
}

static void
nonsense_in_the_fifos_is_counted_and_passes(void **state)
{
	struct fixture *f = *state;

	configure(f);
	f->ctrl.req.fifo->write = 12345;
	assert_int_equal(take(f), AVPD_CTRL_NONE);
	assert_int_equal(take(f), AVPD_CTRL_NONE);
	assert_int_equal(f->ctrl.nb_faults, 1); /* for as long as it is the same */
	f->ctrl.req.fifo->write = f->req.own;
	f->ctrl.req.fifo->len = 1u << 31;
	assert_int_equal(take(f), AVPD_CTRL_NONE);
	assert_int_equal(f->ctrl.nb_faults, 2);
	f->ctrl.resp.fifo->read = UINT32_MAX;
	set_link(f, 0, AVPD_CTRL_DONE);
	assert_int_equal(f->ctrl.nb_faults, 2); /* there was known room, nobody looked */
	for (uint32_t i = 0; i < AVPD_CTRL_FIFO_LEN; i++)
		set_link(f, 0, AVPD_CTRL_DONE);
	assert_true(f->ctrl.nb_faults > 2);
	f->ctrl.resp.fifo->read = f->resp.own;
	/* one entry less than fits: that the first was taken was not said in time */
	assert_int_equal(answers(f), AVPD_CTRL_FIFO_LEN - 2);
	set_link(f, 0, AVPD_CTRL_DONE);
	assert_int_equal(answers(f), 1);
}

static void
format_forgets_a_request_that_waits(void **state)
{
	struct fixture *f = *state;
	const struct avp_request config = configuration();

	assert_int_equal(request(f, &config), AVPD_CTRL_RESET);
	put_label(f, SLOT_VA);
	avpd_ctrl_format(&f->ctrl);
	guest_ends_init(f);
	assert_false(f->ctrl.waiting);
	assert_int_equal(take(f), AVPD_CTRL_NONE);
	assert_int_equal(f->slot->req_id, 0);
	configure(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(nothing_asked_is_nothing_taken),
			TEST(configure_is_answered_when_the_datapath_is_done),
			TEST(no_request_is_taken_while_one_waits),
			TEST(slot_rewritten_during_the_request_changes_nothing),
			TEST(configuration_out_of_range_is_refused),
			TEST(mtu_above_the_hosts_is_refused_if_the_guest_was_told_of_it),
			TEST(features_may_be_left_out),
			TEST(driver_without_tx_queues_gets_one_fifo),
			TEST(configure_may_set_the_link_up),
			TEST(link_goes_up_and_down),
			TEST(link_of_an_unconfigured_device_stays_down),
			TEST(link_state_is_0_or_1),
			TEST(mtu_is_between_68_and_the_largest_packet),
			TEST(shut_down_takes_everything_back),
			TEST(detached_guest_may_only_let_go),
			TEST(unknown_request_is_refused),
			TEST(label_that_is_not_the_slot_is_dropped),
			TEST(resets_are_limited_in_rate),
			TEST(link_changes_are_limited_in_rate),
			TEST(guest_that_takes_no_answers_loses_them),
			TEST(nonsense_in_the_fifos_is_counted_and_passes),
			TEST(format_forgets_a_request_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
