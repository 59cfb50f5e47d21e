/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * lib/device/avpd_device.c and what it is made of, from end to end: a client on a socket on one
 * side, the datapath's channel on the other.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "avpd_fixture.h"
#include "avpd_pci.h"
#include "test_clock.h"
#include "vuser_server.h"

/* Long enough to see that something does not happen, when it would otherwise at once. */
#define NOT_MS 30

static int
setup(void **state)
{
	struct avpd_fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	avpd_fixture_init(f);
	avpd_fixture_start(f);
	*state = f;
	return 0;
}

/* No test may leave a descriptor open. */
static int
teardown(void **state)
{
	struct avpd_fixture *f = *state;
	const int before = f->fds_before;

	avpd_fixture_stop(f);
	free(f);
	return avpd_fixture_wait_fds(before) == before ? 0 : -1;
}

static struct avpd_status
status(struct avpd_fixture *f)
{
	struct avpd_status s;

	avpd_device_status(f->dev, &s);
	return s;
}

/* Wait until the device has noticed that its client has gone. */
static void
wait_disconnected(struct avpd_fixture *f)
{
	const struct timespec pause = {.tv_nsec = 100000};

	for (uint32_t i = 0; i < AVPD_FIXTURE_WAIT_MS * 10; i++) {
		if (!status(f).guest.connected)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("still connected");
}

static void
disconnect(struct avpd_fixture *f, struct fake_guest *g)
{
	fake_guest_disconnect(g);
	wait_disconnected(f);
}

static const struct avp_request link_up = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = 1};
static const struct avp_request link_down = {.req_id = AVP_REQ_SET_LINK, .arg.link_up = 0};
static const struct avp_request shut_down = {.req_id = AVP_REQ_SHUTDOWN};

/* Ask, have the datapath do it, and get the answer. */
static int32_t
request_with_datapath(struct avpd_fixture *f, struct fake_guest *g, const struct avp_request *req)
{
	struct avpd_msg msg;
	int32_t result;

	fake_guest_ask(g, req);
	msg = avpd_fixture_expect_guest(f);
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	assert_true(fake_guest_answered(g, &result, AVPD_FIXTURE_WAIT_MS));
	return result;
}

/* Connect and configure with the link up, a view being open. */
static void
connect_running(struct avpd_fixture *f, struct fake_guest *g)
{
	struct avp_request config;

	fake_guest_connect(g, f);
	avpd_fixture_expect_guest(f);
	config = fake_guest_configuration(g, true);
	assert_int_equal(request_with_datapath(f, g, &config), 0);
	assert_int_equal(status(f).guest.running, 1);
}

/*
 * What a client finds
 */

static void
client_finds_the_bars_of_the_contract(void **state)
{
	static const struct {
		uint32_t size, mapped;
	} expected[9] = {
			[0] = {4096, 0},
			[1] = {4096, 0},
			[4] = {65536, 1},
			[5] = {4096, 1},
			[7] = {256, 0},
	};
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	fake_guest_connect(&g, f);
	for (uint32_t i = 0; i < 9; i++) {
		struct vuser_client_region region;

		assert_int_equal(vuser_client_region(g.client, i, &region), 0);
		if (i == AVP_BAR_MEMORY) {
			assert_int_equal(region.size, f->layout.mem_size);
			assert_int_equal(region.flags & VUSER_REGION_MMAP, VUSER_REGION_MMAP);
		} else {
			assert_int_equal(region.size, expected[i].size);
			assert_int_equal((region.flags & VUSER_REGION_MMAP) != 0,
					expected[i].mapped);
		}
		if (region.fd >= 0)
			close(region.fd);
	}
	fake_guest_disconnect(&g);
}

static void
client_finds_the_identity_of_the_contract(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	uint32_t id = 0;
	uint32_t ones = UINT32_MAX;

	fake_guest_connect(&g, f);
	assert_int_equal(vuser_client_read(g.client, 7, 0, &id, 4), 0);
	assert_int_equal(id, 0x11101af4);
	assert_int_equal(vuser_client_write(g.client, 7, AVPD_PCI_BAR0, &ones, 4), 0);
	assert_int_equal(vuser_client_read(g.client, 7, AVPD_PCI_BAR0, &id, 4), 0);
	assert_int_equal(id, 0xfffff000);
	fake_guest_disconnect(&g);
}

static void
device_information_says_what_the_layout_is(void **state)
{
	struct avpd_fixture *f = *state;
	const struct avpd_layout *l = &f->layout;
	struct fake_guest g;

	fake_guest_connect(&g, f);
	assert_int_equal(g.memmap->magic, AVP_MEMMAP_MAGIC);
	assert_int_equal(g.memmap->version, AVP_MEMMAP_VERSION);
	assert_int_equal(g.memmap->nb_maps, 1);
	assert_int_equal(g.memmap->maps[0].area_size, l->mem_size);
	assert_int_equal(g.info->magic, AVP_DEVICE_MAGIC);
	assert_int_equal(g.info->version, AVP_VERSION(1, 2, 13));
	assert_string_equal(g.info->name, "p0");
	assert_ptr_equal(fake_guest_translate(&g, g.info->tx_fifo_pa), g.mem + l->tx_fifo_off);
	assert_ptr_equal(fake_guest_translate(&g, g.info->rx_fifo_pa), g.mem + l->rx_fifo_off);
	assert_ptr_equal(
			fake_guest_translate(&g, g.info->alloc_fifo_pa), g.mem + l->alloc_fifo_off);
	assert_ptr_equal(fake_guest_translate(&g, g.info->free_fifo_pa), g.mem + l->free_fifo_off);
	assert_ptr_equal(fake_guest_translate(&g, g.info->buf_pa), g.mem + l->bufs_off);
	assert_int_equal(g.info->buf_va, l->bufs_va);
	assert_int_equal(g.info->ctrl_slot_va - g.memmap->maps[0].area_va, l->ctrl_off);
	assert_int_equal(g.info->tx_fifo_size, l->fifo_stride);
	assert_int_equal(g.info->features, AVP_FEATURE_VLAN);
	assert_int_equal(g.info->min_rx_queues, 1);
	assert_int_equal(g.info->num_rx_queues, 2);
	assert_int_equal(g.info->max_rx_queues, 2);
	assert_int_equal(g.info->min_tx_queues, 1);
	assert_int_equal(g.info->max_tx_queues, 2);
	assert_int_equal(g.info->mode, AVP_MODE_GUEST);
	assert_int_equal(g.info->buf_data_size, 2048);
	assert_int_equal(g.info->max_rx_size, 9238);
	assert_memory_equal(g.info->mac, f->conf.mac, 6);
	assert_int_equal(g.info->device_id, status(f).device_id);
	assert_int_not_equal(g.info->device_id, 0);
	assert_int_equal(g.info->pools[0].pool_size, (uint64_t)l->nb_bufs * l->buf_stride);
	fake_guest_disconnect(&g);
}

static void
mapped_bars_can_be_read_and_written_by_message(void **state)
{
	struct avpd_fixture *f = *state;
	const uint64_t off = f->layout.bufs_off + 4090; /* across two pages */
	const char text[] = "sixteen  bytes..";
	char back[sizeof(text)];
	struct fake_guest g;
	uint32_t magic = 0;

	fake_guest_connect(&g, f);
	assert_int_equal(vuser_client_write(g.client, AVP_BAR_MEMORY, off, text, sizeof(text)), 0);
	assert_memory_equal(g.mem + off, text, sizeof(text));
	assert_int_equal(vuser_client_read(g.client, AVP_BAR_MEMORY, off, back, sizeof(back)), 0);
	assert_memory_equal(back, text, sizeof(text));
	assert_int_equal(vuser_client_read(g.client, AVP_BAR_MEMMAP, 0, &magic, 4), 0);
	assert_int_equal(magic, AVP_MEMMAP_MAGIC);
	assert_int_equal(vuser_client_read(g.client, AVP_BAR_DEVICE, 0, &magic, 4), 0);
	assert_int_equal(magic, AVP_DEVICE_MAGIC);
	fake_guest_disconnect(&g);
}

static void
bars_that_a_guest_wrote_over_are_right_for_the_next(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct fake_guest next;

	fake_guest_connect(&g, f);
	memset(g.memmap, 0xff, g.memmap_size);
	memset(g.info, 0xff, g.info_size);
	disconnect(f, &g);
	fake_guest_connect(&next, f);
	assert_int_equal(next.memmap->nb_maps, 1);
	assert_int_equal(next.memmap->maps[1].area_size, 0);
	assert_int_equal(next.memmap->maps[AVP_MAX_MAPS - 1].area_size, 0);
	assert_int_equal(next.info->magic, AVP_DEVICE_MAGIC);
	assert_int_equal(next.info->device_id, status(f).device_id);
	assert_int_equal(fake_guest_request(&next, &shut_down), 0);
	fake_guest_disconnect(&next);
}

/*
 * Control requests
 */

static void
requests_are_answered_without_a_datapath(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;

	fake_guest_connect(&g, f);
	config = fake_guest_configuration(&g, false);
	assert_int_equal(fake_guest_request(&g, &config), 0);
	assert_int_equal(status(f).guest.running, 0);
	assert_int_equal(fake_guest_request(&g, &link_up), 0);
	assert_int_equal(status(f).guest.running, 1);
	assert_int_equal(fake_guest_request(&g, &link_down), 0);
	assert_int_equal(fake_guest_request(&g, &shut_down), 0);
	assert_int_equal(status(f).guest.configured, 0);
	assert_int_equal(status(f).counters.requests, 4);
	assert_int_equal(status(f).counters.requests_refused, 0);
	fake_guest_disconnect(&g);
}

static void
answer_waits_for_the_datapath(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	struct avpd_msg msg;
	int32_t result = 1;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.guest.connected, 1);
	assert_int_equal(msg.state.reset, 0);
	config = fake_guest_configuration(&g, true);
	fake_guest_ask(&g, &config);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.reset, 1);
	assert_int_equal(msg.state.guest.running, 1);
	assert_int_equal(msg.state.guest.nb_tx_queues, 2);
	assert_int_equal(msg.state.guest.features, AVP_FEATURE_VLAN);
	assert_false(fake_guest_answered(&g, &result, NOT_MS));
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch - 1, 0); /* of something before it */
	assert_false(fake_guest_answered(&g, &result, NOT_MS));
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	assert_true(fake_guest_answered(&g, &result, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(result, 0);
	fake_guest_ask(&g, &link_down);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.reset, 0);
	assert_int_equal(msg.state.guest.running, 0);
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	assert_true(fake_guest_answered(&g, &result, AVPD_FIXTURE_WAIT_MS));
	fake_guest_disconnect(&g);
}

static void
slow_datapath_fails_the_request_alone(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	struct avpd_msg msg;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	avpd_fixture_expect_guest(f);
	config = fake_guest_configuration(&g, true);
	assert_int_equal(fake_guest_request(&g, &config), -ETIMEDOUT);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.guest.configured, 1);
	msg = avpd_fixture_expect_guest(f); /* and back */
	assert_int_equal(msg.state.guest.configured, 0);
	assert_int_equal(msg.state.reset, 1);
	assert_int_equal(status(f).guest.configured, 0);
	assert_int_equal(status(f).guest.connected, 1);
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	/* a link that could not be set is as it was */
	assert_int_equal(fake_guest_request(&g, &link_down), -ETIMEDOUT);
	assert_int_equal(avpd_fixture_expect_guest(f).state.guest.link_up, 0);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.guest.link_up, 1);
	assert_int_equal(msg.state.reset, 0);
	assert_int_equal(status(f).guest.running, 1);
	fake_guest_disconnect(&g);
}

static void
request_is_answered_when_the_datapath_closes(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	int32_t result = 1;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	avpd_fixture_expect_guest(f);
	config = fake_guest_configuration(&g, true);
	fake_guest_ask(&g, &config);
	avpd_fixture_expect_guest(f);
	avpd_fixture_close_view(f);
	assert_true(fake_guest_answered(&g, &result, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(result, 0);
	fake_guest_disconnect(&g);
}

static void
new_view_replaces_the_last_and_learns_the_state(void **state)
{
	struct avpd_fixture *f = *state;
	struct avpd_view old;
	struct fake_guest g;
	struct avpd_msg msg;
	char byte;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	old = f->view;
	assert_int_equal(avpd_device_open_view(f->dev, &f->view), 0);
	assert_int_equal(recv(old.chan_fd, &byte, 1, 0), 0);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.reset, 1);
	assert_int_equal(msg.state.guest.running, 1);
	assert_memory_equal(&f->view.layout, &f->layout, sizeof(f->layout));
	close(old.chan_fd);
	close(old.mem_fd);
	fake_guest_disconnect(&g);
}

static void
bad_entries_and_refusals_are_counted(void **state)
{
	struct avpd_fixture *f = *state;
	const struct avp_request unknown = {.req_id = 99};
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	struct fake_guest g;

	fake_guest_connect(&g, f);
	assert_true(avp_fifo_room(&g.req, 1, &fault) > 0);
	avp_fifo_set(&g.req, 0, 0xdead);
	avp_fifo_put_done(&g.req, 1);
	assert_int_equal(fake_guest_request(&g, &unknown), -EOPNOTSUPP);
	assert_int_equal(status(f).counters.requests_bad, 1);
	assert_int_equal(status(f).counters.requests, 1);
	assert_int_equal(status(f).counters.requests_refused, 1);
	fake_guest_disconnect(&g);
}

static int
compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median, since the machine may be busy with something else; the benchmark looks closer. */
static void
idle_device_answers_in_under_a_millisecond(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	uint64_t us[101];

	fake_guest_connect(&g, f);
	for (uint32_t i = 0; i < 101; i++) {
		const uint64_t start = test_now_us();

		assert_int_equal(fake_guest_request(&g, &link_down), 0);
		us[i] = test_now_us() - start;
	}
	qsort(us, 101, sizeof(us[0]), compare_u64);
	print_message("median %llu us, longest %llu us\n", (unsigned long long)us[50],
			(unsigned long long)us[100]);
	assert_true(us[50] < 1000);
	fake_guest_disconnect(&g);
}

/* Requests as fast as the FIFO takes them: the device goes on serving, and so does its loop. */
static void
requests_without_end_leave_the_loop_alive(void **state)
{
	struct avpd_fixture *f = *state;
	const uint64_t end = test_now_us() + 500000;
	struct avp_request config;
	struct fake_guest g;
	uint64_t longest = 0;

	fake_guest_connect(&g, f);
	config = fake_guest_configuration(&g, true);
	*g.slot = config;
	while (test_now_us() < end) {
		enum avp_fifo_fault fault = AVP_FIFO_OK;
		uint32_t n = avp_fifo_room(&g.req, AVPD_CTRL_FIFO_LEN, &fault);
		uint64_t start;

		for (uint32_t i = 0; i < n; i++)
			avp_fifo_set(&g.req, i, g.info->ctrl_slot_va);
		avp_fifo_put_done(&g.req, n);
		avp_fifo_get_done(&g.resp, avp_fifo_avail(&g.resp, 1, &fault));
		start = test_now_us();
		assert_int_equal(status(f).guest.connected, 1);
		if (test_now_us() - start > longest)
			longest = test_now_us() - start;
	}
	print_message("%llu requests, the loop was away for %llu us at most\n",
			(unsigned long long)status(f).counters.requests,
			(unsigned long long)longest);
	assert_true(status(f).counters.requests > 0);
	/* 32 at once, then one each millisecond */
	assert_true(status(f).counters.requests < 32 + 1000);
	fake_guest_disconnect(&g);
}

/*
 * The client comes and goes
 */

static void
disconnect_clears_the_guest_and_resets_the_datapath(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;
	struct avpd_status s;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	fake_guest_write_reg(&g, AVP_REG_INTR_MASK, 0);
	assert_int_equal(status(f).nb_vectors_set, 1);
	disconnect(f, &g);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.reset, 1);
	assert_int_equal(msg.state.guest.connected, 0);
	assert_int_equal(msg.state.guest.running, 0);
	s = status(f);
	assert_int_equal(s.guest.configured, 0);
	assert_int_equal(s.guest.features, 0);
	assert_int_equal(s.nb_vectors_set, 0);
	assert_int_equal(s.intr_mask, AVP_INTR_MASK_ALL);
	assert_int_equal(s.counters.connects, 1);
}

static void
answer_of_an_older_epoch_counts_for_nothing(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	struct avpd_msg first;
	struct avpd_msg msg;
	int32_t result = 1;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	avpd_fixture_expect_guest(f);
	config = fake_guest_configuration(&g, true);
	fake_guest_ask(&g, &config);
	first = avpd_fixture_expect_guest(f); /* the datapath is slow */
	disconnect(f, &g);
	avpd_fixture_expect_guest(f);
	fake_guest_connect(&g, f);
	avpd_fixture_expect_guest(f);
	config = fake_guest_configuration(&g, true);
	fake_guest_ask(&g, &config);
	msg = avpd_fixture_expect_guest(f);
	avpd_fixture_send(f, AVPD_MSG_DONE, first.epoch, 0);
	avpd_fixture_send(f, AVPD_MSG_DONE, first.epoch + 1, 0);
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch + 1, 0);
	assert_false(fake_guest_answered(&g, &result, NOT_MS));
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	assert_true(fake_guest_answered(&g, &result, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(result, 0);
	fake_guest_disconnect(&g);
}

/* A datapath that takes no messages at all: none is lost that matters, and no memory piles up. */
static void
changes_fold_when_the_datapath_does_not_read(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	uint32_t nb_msgs = 0;
	struct fake_guest g;
	struct avpd_msg msg;
	struct avpd_msg last = {0};

	avpd_fixture_open_view(f);
	for (uint32_t i = 0; i < 400; i++) {
		struct vuser_client *client;
		struct avp_err err;

		assert_int_equal(vuser_client_connect(&client, f->path, AVPD_FIXTURE_WAIT_MS, &err),
				0);
		vuser_client_destroy(client);
		wait_disconnected(f);
	}
	fake_guest_connect(&g, f);
	/* 1 for the view, 2 for each client, and this one */
	while (last.epoch < 1 + 2 * 400 + 1) {
		msg = avpd_fixture_expect_guest(f);
		assert_true(msg.epoch > last.epoch);
		last = msg;
		nb_msgs++;
	}
	print_message("%u messages for epoch %u\n", nb_msgs, last.epoch);
	assert_true(nb_msgs < last.epoch);
	/* it says that somebody is there, and that somebody has gone before */
	assert_int_equal(last.state.guest.connected, 1);
	assert_int_equal(last.state.reset, 1);
	assert_false(avpd_fixture_receive(f, &msg, NOT_MS));
	config = fake_guest_configuration(&g, true);
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	fake_guest_disconnect(&g);
}

static void
thousand_connections_leave_nothing_behind(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	uint64_t used;
	int fds;

	avpd_fixture_open_view(f);
	fds = avpd_fixture_count_fds();
	used = avpd_mem_used(f->mem);
	for (uint32_t i = 0; i < 1000; i++) {
		fake_guest_connect(&g, f);
		if (i % 8 == 0) {
			struct avp_request config = fake_guest_configuration(&g, true);
			struct avpd_msg msg;
			int32_t result;

			fake_guest_ask(&g, &config);
			do {
				msg = avpd_fixture_expect_guest(f);
				avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
			} while (!msg.state.guest.configured);
			assert_true(fake_guest_answered(&g, &result, AVPD_FIXTURE_WAIT_MS));
			assert_int_equal(result, 0);
		}
		disconnect(f, &g);
		avpd_fixture_answer_all(f);
	}
	assert_int_equal(avpd_fixture_wait_fds(fds), fds);
	assert_int_equal(avpd_mem_used(f->mem), used);
	assert_int_equal(status(f).counters.connects, 1000);
}

static void
reset_clears_what_the_driver_did(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;
	uint32_t command = 6;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	assert_int_equal(vuser_client_write(g.client, 7, AVPD_PCI_COMMAND, &command, 2), 0);
	fake_guest_write_reg(&g, AVP_REG_INTR_MASK, 0);
	assert_int_equal(vuser_client_reset(g.client), 0);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.reset, 1);
	assert_int_equal(msg.state.guest.connected, 1);
	assert_int_equal(msg.state.guest.configured, 0);
	assert_int_equal(vuser_client_read(g.client, 7, AVPD_PCI_COMMAND, &command, 2), 0);
	assert_int_equal(command & 0xffff, 0);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_MASK), AVP_INTR_MASK_ALL);
	assert_int_equal(status(f).nb_vectors_set, 1);
	assert_int_equal(status(f).counters.resets, 1);
	fake_guest_find_ctrl(&g);
	assert_int_equal(g.req.own, 0); /* made anew */
	assert_int_equal(fake_guest_request(&g, &shut_down), 0);
	fake_guest_disconnect(&g);
}

/*
 * Migration
 */

/* Skip to the end of a detach or attach, answering what comes before. */
static struct avpd_msg
wait_migrated(struct avpd_fixture *f)
{
	struct avpd_msg msg;

	do {
		assert_true(avpd_fixture_receive(f, &msg, AVPD_FIXTURE_WAIT_MS));
		if (msg.type == AVPD_MSG_GUEST)
			avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	} while (msg.type != AVPD_MSG_MIGRATED);
	return msg;
}

static void
guest_lets_go_and_comes_back(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	struct avpd_msg msg;
	uint64_t old_id;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	old_id = g.info->device_id;

	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.guest.migration, AVP_MIGRATION_DETACHED);
	assert_int_equal(msg.state.guest.running, 1); /* until it lets go */
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_MIGRATION);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), 0);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 1);
	assert_int_equal(request_with_datapath(f, &g, &shut_down), 0);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 1);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, 0);
	assert_int_equal(msg.migrated.migration, AVP_MIGRATION_DETACHED);
	config = fake_guest_configuration(&g, true);
	assert_int_equal(fake_guest_request(&g, &config), -EBUSY);

	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_MIGRATION);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 2);
	assert_int_not_equal(g.info->device_id, old_id);
	fake_guest_find_ctrl(&g);
	assert_int_equal(fake_guest_request(&g, &config), -ESTALE); /* the id of before */
	config = fake_guest_configuration(&g, true);
	avpd_fixture_answer_all(f);
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 2);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, 0);
	assert_int_equal(msg.migrated.migration, AVP_MIGRATION_ATTACHED);
	assert_int_equal(status(f).guest.running, 1);
	fake_guest_disconnect(&g);
}

static void
detach_of_a_silent_driver_times_out_and_is_reached(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, 20);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.guest.running, 1);
	msg = avpd_fixture_expect_guest(f);
	assert_int_equal(msg.state.guest.running, 0);
	assert_int_equal(msg.state.guest.configured, 0);
	assert_int_equal(msg.state.reset, 1);
	msg = avpd_fixture_expect_migrated(f);
	assert_int_equal(msg.migrated.result, -ETIMEDOUT);
	assert_int_equal(msg.migrated.migration, AVP_MIGRATION_DETACHED);
	fake_guest_disconnect(&g);
}

static void
guest_that_fails_to_let_go_is_detached(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 3);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -EIO);
	assert_int_equal(status(f).guest.running, 0);
	fake_guest_disconnect(&g);
}

static void
driver_that_is_probed_while_detached_is_told_so(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;

	avpd_fixture_open_view(f);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	msg = wait_migrated(f); /* nobody to ask: at once */
	assert_int_equal(msg.migrated.result, -ENOTCONN);
	fake_guest_connect(&g, f);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 1);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 1);
	assert_int_equal(vuser_client_reset(g.client), 0);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 1);
	avpd_fixture_answer_all(f);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -EALREADY);
	fake_guest_disconnect(&g);
}

/* The end of a request that nobody acknowledges, and that may not last. */
static void
expect_alone(struct avpd_fixture *f, enum avp_migration reached)
{
	struct avpd_msg msg = wait_migrated(f);

	assert_int_equal(msg.migrated.result, -ENOTCONN);
	assert_int_equal(msg.migrated.migration, reached);
}

static void
guest_without_a_driver_is_not_waited_for(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	uint16_t config;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	/* what firmware and kernels look at */
	assert_int_equal(vuser_client_read(g.client, 7, 0, &config, sizeof(config)), 0);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	expect_alone(f, AVP_MIGRATION_DETACHED);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	expect_alone(f, AVP_MIGRATION_ATTACHED);
	fake_guest_disconnect(&g);
}

static void
reset_makes_a_guest_one_without_a_driver(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	avpd_fixture_answer_all(f);
	assert_int_equal(vuser_client_reset(g.client), 0);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	expect_alone(f, AVP_MIGRATION_DETACHED);
	fake_guest_disconnect(&g);
}

static void
driver_that_has_only_written_a_register_is_waited_for(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	fake_guest_write_reg(&g, AVP_REG_INTR_MASK, 0);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, 20);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -ETIMEDOUT);
	fake_guest_disconnect(&g);
}

static void
driver_that_comes_while_nobody_is_waited_for_learns_of_the_attach(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	expect_alone(f, AVP_MIGRATION_DETACHED);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 1);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 1);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, 0);
	expect_alone(f, AVP_MIGRATION_ATTACHED);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 2);
	fake_guest_find_ctrl(&g);
	config = fake_guest_configuration(&g, true);
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 2);
	/* now it is one to wait for */
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, 20);
	assert_int_equal(wait_migrated(f).migrated.result, -ETIMEDOUT);
	fake_guest_disconnect(&g);
}

static void
client_that_goes_ends_the_handshake(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	disconnect(f, &g);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, 0);
	fake_guest_connect(&g, f);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 1);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	disconnect(f, &g);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -ENOTCONN);
	fake_guest_connect(&g, f);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 0);
	fake_guest_disconnect(&g);
}

static void
attach_calls_a_detach_off(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	struct avpd_msg msg;
	uint64_t id;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	id = g.info->device_id;
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -ECANCELED);
	assert_int_equal(msg.migrated.serial, f->serial - 1);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 2);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 2);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, 0);
	assert_int_equal(msg.migrated.serial, f->serial);
	assert_int_equal(status(f).guest.running, 1); /* it never had to let go */
	assert_int_equal(g.info->device_id, id);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -EALREADY);
	assert_int_equal(msg.migrated.serial, f->serial);
	fake_guest_disconnect(&g);
}

/* It has asked to be shut down, and waits for the datapath: its answer must come all the same. */
static void
attach_calls_a_detach_off_that_is_half_done(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	struct avpd_msg msg;
	int32_t result = 1;

	avpd_fixture_open_view(f);
	connect_running(f, &g);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	fake_guest_ask(&g, &shut_down);
	do
		msg = avpd_fixture_expect_guest(f);
	while (msg.state.guest.configured);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, -ECANCELED);
	/* the last change counts, and comes behind that */
	msg = avpd_fixture_expect_guest(f);
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	assert_true(fake_guest_answered(&g, &result, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(result, 0);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 1); /* of no interest any more */
	config = fake_guest_configuration(&g, true);
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 2);
	msg = wait_migrated(f);
	assert_int_equal(msg.migrated.result, 0);
	fake_guest_disconnect(&g);
}

static void
incoming_device_shows_that_it_is_detached(void **state)
{
	struct avpd_fixture f;
	struct fake_guest g;
	struct avp_request config;
	struct avpd_msg msg;

	(void)state;
	avpd_fixture_init(&f);
	f.conf.incoming = true;
	avpd_fixture_start(&f);
	assert_int_equal(status(&f).guest.migration, AVP_MIGRATION_DETACHED);
	avpd_fixture_open_view(&f);
	fake_guest_connect(&g, &f);
	assert_int_equal(vuser_client_reset(g.client), 0);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 1);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), 0);
	config = fake_guest_configuration(&g, true);
	assert_int_equal(fake_guest_request(&g, &config), -EBUSY);
	avpd_fixture_answer_all(&f);
	avpd_fixture_send(&f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_MIGRATION_STATUS), 2);
	fake_guest_write_reg(&g, AVP_REG_MIGRATION_ACK, 2);
	msg = wait_migrated(&f);
	assert_int_equal(msg.migrated.result, 0);
	fake_guest_disconnect(&g);
	avpd_fixture_stop(&f);
}

/* It has not used its registers yet: it does not run. */
static void
guest_from_elsewhere_is_waited_for(void **state)
{
	struct avpd_fixture f;
	struct fake_guest g;

	(void)state;
	avpd_fixture_init(&f);
	f.conf.incoming = true;
	avpd_fixture_start(&f);
	avpd_fixture_open_view(&f);
	fake_guest_connect(&g, &f);
	assert_int_equal(vuser_client_reset(g.client), 0);
	avpd_fixture_send(&f, AVPD_MSG_ATTACH, 0, 20);
	assert_int_equal(wait_migrated(&f).migrated.result, -ETIMEDOUT);
	/* it has not come: there is no driver */
	avpd_fixture_send(&f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	expect_alone(&f, AVP_MIGRATION_DETACHED);
	fake_guest_disconnect(&g);
	avpd_fixture_stop(&f);
}

static void
masked_interrupt_waits_for_the_mask(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	fake_guest_write_reg(&g, AVP_REG_INTR_MASK, AVP_INTR_MASK_NONE);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	avpd_fixture_expect_guest(f);
	avpd_fixture_expect_guest(f);
	assert_false(fake_guest_interrupted(&g, NOT_MS));
	fake_guest_write_reg(&g, AVP_REG_INTR_MASK, AVP_INTR_MASK_ALL);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_MIGRATION);
	fake_guest_write_reg(&g, AVP_REG_INTR_MASK, AVP_INTR_MASK_ALL);
	assert_false(fake_guest_interrupted(&g, NOT_MS));
	fake_guest_disconnect(&g);
}

/* As on the destination of a migration, where the vector is programmed again only later. */
static void
interrupt_waits_for_its_vector(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	avpd_fixture_open_view(f);
	fake_guest_connect(&g, f);
	assert_int_equal(vuser_client_set_irqs(g.client, 2, 0, 0, NULL), 0);
	avpd_fixture_send(f, AVPD_MSG_ATTACH, 0, AVPD_FIXTURE_WAIT_MS);
	avpd_fixture_expect_guest(f);
	avpd_fixture_expect_guest(f);
	assert_false(fake_guest_interrupted(&g, NOT_MS));
	assert_int_equal(vuser_client_set_irqs(g.client, 2, 0, 1, &g.event_fd), 0);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	fake_guest_disconnect(&g);
}

/*
 * Making and destroying
 */

static void
device_that_cannot_be_made_leaves_nothing_behind(void **state)
{
	struct avpd_fixture *f = *state;
	struct avpd_conf conf = f->conf;
	const int fds = avpd_fixture_count_fds();
	struct avpd_device *dev = NULL;
	struct avp_err err;

	assert_int_equal(avpd_device_create(&dev, f->loop, &conf, f->mem, &f->layout, &err),
			-EADDRINUSE);
	assert_non_null(strstr(err.msg, f->path));
	conf.max_rx_size = AVP_MAX_PKT_SIZE + 1;
	assert_int_equal(avpd_device_create(&dev, f->loop, &conf, f->mem, &f->layout, &err),
			-EINVAL);
	assert_non_null(strstr(err.msg, "9239"));
	assert_non_null(strstr(err.msg, "9238"));
	conf.max_rx_size = 0;
	assert_int_equal(avpd_device_create(&dev, f->loop, &conf, f->mem, &f->layout, &err),
			-EINVAL);
	assert_null(dev);
	assert_int_equal(avpd_fixture_wait_fds(fds), fds);
	avpd_device_destroy(NULL);
}

static void
device_can_be_destroyed_under_a_running_guest(void **state)
{
	struct avpd_fixture f;
	struct fake_guest g;

	(void)state;
	avpd_fixture_init(&f);
	avpd_fixture_start(&f);
	avpd_fixture_open_view(&f);
	connect_running(&f, &g);
	avpd_fixture_send(&f, AVPD_MSG_DETACH, 0, AVPD_FIXTURE_WAIT_MS);
	avpd_fixture_stop(&f);
	fake_guest_disconnect(&g);
	assert_int_equal(avpd_fixture_wait_fds(f.fds_before), f.fds_before);
}

/*
 * Link events
 */

/* Make the device again, with @features. */
static void
offer(struct avpd_fixture *f, uint32_t features)
{
	avpd_fixture_stop(f);
	f->conf.features = features;
	avpd_fixture_start(f);
	avpd_fixture_open_view(f);
}

/* Wait until the register has the value. */
static bool
reg_becomes(struct fake_guest *g, uint32_t reg, uint32_t value)
{
	for (int i = 0; i < AVPD_FIXTURE_WAIT_MS; i++) {
		if (fake_guest_read_reg(g, reg) == value)
			return true;
		usleep(1000);
	}
	return false;
}

static void
changes_of_the_hosts_link_and_mtu_interrupt_a_guest_that_wants_them(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	offer(f, AVP_FEATURE_LINK_EVENTS);
	connect_running(f, &g);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_STATUS), AVP_LINK_DOWN);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_MTU), 0);
	avpd_fixture_send_host(f, true, 0);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_LINK);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_STATUS), AVP_LINK_UP);
	avpd_fixture_send_host(f, true, 1400);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_MTU), 1400);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_LINK);
	/* what is not new is no event */
	avpd_fixture_send_host(f, true, 1400);
	avpd_fixture_send_host(f, false, 1400);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(status(f).counters.interrupts, 3);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_STATUS), AVP_LINK_DOWN);
	/* a reset changes nothing of the host's end */
	assert_int_equal(vuser_client_reset(g.client), 0);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_MTU), 1400);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_STATUS), AVP_LINK_DOWN);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), 0);
	fake_guest_disconnect(&g);
}

static void
a_guest_that_does_not_want_link_events_gets_none(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;

	offer(f, AVP_FEATURE_LINK_EVENTS);
	fake_guest_connect(&g, f);
	avpd_fixture_expect_guest(f);
	config = fake_guest_configuration(&g, true);
	config.arg.config.features = 0;
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	avpd_fixture_send_host(f, true, 1400);
	assert_true(reg_becomes(&g, AVP_REG_LINK_MTU, 1400));
	assert_int_equal(status(f).counters.interrupts, 0);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), 0);
	fake_guest_disconnect(&g);
}

static void
without_link_events_their_registers_read_0(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	offer(f, AVP_FEATURE_VLAN);
	connect_running(f, &g);
	avpd_fixture_send_host(f, true, 1400);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, 0); /* which is taken after it */
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_MIGRATION);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_STATUS), AVP_LINK_UNKNOWN);
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_MTU), 0);
	fake_guest_disconnect(&g);
}

static void
a_datapath_that_is_gone_is_a_link_that_is_down(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;

	offer(f, AVP_FEATURE_LINK_EVENTS);
	connect_running(f, &g);
	avpd_fixture_send_host(f, true, 0);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	avpd_fixture_close_view(f);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_LINK_STATUS), AVP_LINK_DOWN);
	fake_guest_disconnect(&g);
}

/*
 * Rx interrupts
 */

/* As avpd_fixture_send(), for what has come on armed FIFOs. */
static void
send_rx(struct avpd_fixture *f, uint32_t vectors)
{
	const struct avpd_msg msg = {.type = AVPD_MSG_RX, .vectors = vectors};

	assert_int_equal(send(f->view.chan_fd, &msg, sizeof(msg), MSG_NOSIGNAL), sizeof(msg));
}

static void
the_armed_words_are_where_device_information_says(void **state)
{
	struct avpd_fixture *f = *state;
	const struct avp_device_ext *ext;
	struct fake_guest g;
	uint8_t *words;

	offer(f, AVP_FEATURE_RX_INTR);
	fake_guest_connect(&g, f);
	ext = (const void *)((const uint8_t *)g.info + AVP_DEVICE_EXT_OFF);
	words = fake_guest_translate(&g, ext->rx_arm_pa);
	assert_int_equal(words - g.mem, f->layout.arm_off);
	assert_int_equal(ext->rx_arm_size, AVPD_ARM_STRIDE);
	/* between what the control slot and the first FIFO take */
	assert_true(f->layout.arm_off >=
			f->layout.resp_fifo_off + avp_fifo_size(AVPD_CTRL_FIFO_LEN));
	assert_true(f->layout.arm_off + f->nb_queues * AVPD_ARM_STRIDE <= f->layout.tx_fifo_off);
	fake_guest_disconnect(&g);
	offer(f, AVP_FEATURE_VLAN);
	fake_guest_connect(&g, f);
	ext = (const void *)((const uint8_t *)g.info + AVP_DEVICE_EXT_OFF);
	assert_int_equal(ext->rx_arm_pa + ext->rx_arm_size, 0);
	fake_guest_disconnect(&g);
}

static void
a_vector_that_has_no_eventfd_yet_is_raised_when_it_has(void **state)
{
	struct avpd_fixture *f = *state;
	struct fake_guest g;
	uint64_t count;
	int fd = eventfd(0, EFD_NONBLOCK);

	offer(f, AVP_FEATURE_RX_INTR | AVP_FEATURE_LINK_EVENTS);
	connect_running(f, &g);
	send_rx(f, 1u << 2);
	/* taken after it */
	avpd_fixture_send_host(f, true, 0);
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(fake_guest_read_reg(&g, AVP_REG_INTR_STATUS), AVP_INTR_LINK);
	assert_int_equal(status(f).counters.interrupts, 1);
	assert_int_equal(vuser_client_set_irqs(g.client, 2, 2, 1, &fd), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(vuser_client_set_irqs(g.client, 2, 2, 1, &fd), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	/* from now on at once; no vector beyond, and vector 0 by nobody */
	send_rx(f, UINT32_MAX);
	for (int i = 0; i < AVPD_FIXTURE_WAIT_MS && status(f).counters.interrupts < 3; i++)
		usleep(1000);
	assert_int_equal(status(f).counters.interrupts, 3);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_false(fake_guest_interrupted(&g, 0));
	fake_guest_disconnect(&g);
	close(fd);
}

static void
a_guest_that_does_not_want_rx_interrupts_gets_none(void **state)
{
	struct avpd_fixture *f = *state;
	struct avp_request config;
	struct fake_guest g;
	int fd = eventfd(0, EFD_NONBLOCK);

	offer(f, AVP_FEATURE_RX_INTR);
	fake_guest_connect(&g, f);
	avpd_fixture_expect_guest(f);
	assert_int_equal(vuser_client_set_irqs(g.client, 2, 1, 1, &fd), 0);
	config = fake_guest_configuration(&g, true);
	config.arg.config.features = 0;
	assert_int_equal(request_with_datapath(f, &g, &config), 0);
	send_rx(f, 1u << 1);
	avpd_fixture_send(f, AVPD_MSG_DETACH, 0, 0); /* taken after it */
	assert_true(fake_guest_interrupted(&g, AVPD_FIXTURE_WAIT_MS));
	assert_int_equal(status(f).counters.interrupts, 1);
	fake_guest_disconnect(&g);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(client_finds_the_bars_of_the_contract),
			TEST(client_finds_the_identity_of_the_contract),
			TEST(device_information_says_what_the_layout_is),
			TEST(mapped_bars_can_be_read_and_written_by_message),
			TEST(bars_that_a_guest_wrote_over_are_right_for_the_next),
			TEST(requests_are_answered_without_a_datapath),
			TEST(answer_waits_for_the_datapath),
			TEST(slow_datapath_fails_the_request_alone),
			TEST(request_is_answered_when_the_datapath_closes),
			TEST(new_view_replaces_the_last_and_learns_the_state),
			TEST(bad_entries_and_refusals_are_counted),
			TEST(idle_device_answers_in_under_a_millisecond),
			TEST(requests_without_end_leave_the_loop_alive),
			TEST(disconnect_clears_the_guest_and_resets_the_datapath),
			TEST(answer_of_an_older_epoch_counts_for_nothing),
			TEST(changes_fold_when_the_datapath_does_not_read),
			TEST(thousand_connections_leave_nothing_behind),
			TEST(reset_clears_what_the_driver_did),
			TEST(guest_lets_go_and_comes_back),
			TEST(detach_of_a_silent_driver_times_out_and_is_reached),
			TEST(guest_that_fails_to_let_go_is_detached),
			TEST(driver_that_is_probed_while_detached_is_told_so),
			TEST(guest_without_a_driver_is_not_waited_for),
			TEST(reset_makes_a_guest_one_without_a_driver),
			TEST(driver_that_has_only_written_a_register_is_waited_for),
			TEST(driver_that_comes_while_nobody_is_waited_for_learns_of_the_attach),
			TEST(client_that_goes_ends_the_handshake),
			TEST(attach_calls_a_detach_off),
			TEST(attach_calls_a_detach_off_that_is_half_done),
			cmocka_unit_test(incoming_device_shows_that_it_is_detached),
			cmocka_unit_test(guest_from_elsewhere_is_waited_for),
			TEST(masked_interrupt_waits_for_the_mask),
			TEST(interrupt_waits_for_its_vector),
			TEST(changes_of_the_hosts_link_and_mtu_interrupt_a_guest_that_wants_them),
			TEST(a_guest_that_does_not_want_link_events_gets_none),
			TEST(without_link_events_their_registers_read_0),
			TEST(a_datapath_that_is_gone_is_a_link_that_is_down),
			TEST(the_armed_words_are_where_device_information_says),
			TEST(a_vector_that_has_no_eventfd_yet_is_raised_when_it_has),
			TEST(a_guest_that_does_not_want_rx_interrupts_gets_none),
			TEST(device_that_cannot_be_made_leaves_nothing_behind),
			cmocka_unit_test(device_can_be_destroyed_under_a_running_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
