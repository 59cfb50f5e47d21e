/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * For tests of a whole device, see avpd_fixture.h.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "avp_sock.h"
#include "avpd_fixture.h"
#include "test_clock.h"

#define CHECK(cond, ...)                                                \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
			fprintf(stderr, __VA_ARGS__);                   \
			fprintf(stderr, "\n");                          \
			abort();                                        \
		}                                                       \
	} while (0)

void
avpd_fixture_init(struct avpd_fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->fds_before = avpd_fixture_count_fds();
	f->nb_queues = 2;
	f->ring_len = 64;
	f->nb_bufs = 300;
	f->conf = (struct avpd_conf){
			.name = "p0",
			.perm = {.mode = 0600, .owner = (uid_t)-1, .group = (gid_t)-1},
			.mac = {2, 0, 0, 0, 0, 9},
			.features = AVP_FEATURE_VLAN,
			.max_rx_size = AVP_MAX_PKT_SIZE,
	};
	f->view.chan_fd = -1;
	f->view.mem_fd = -1;
}

void
avpd_fixture_start(struct avpd_fixture *f)
{
	struct avpd_mem_conf mem_conf = {
			.name = f->conf.name,
			.nb_slots = 1,
			.slot_size = avpd_slot_size(f->nb_queues, f->ring_len),
			.nb_bufs = f->nb_bufs,
	};
	struct avp_err err;

	snprintf(f->dir, sizeof(f->dir), "/tmp/avpd-test-XXXXXX");
	CHECK(mkdtemp(f->dir) != NULL, "mkdtemp: %s", strerror(errno));
	snprintf(f->path, sizeof(f->path), "%s/p0.sock", f->dir);
	f->conf.socket_path = f->path;
	f->loop = avp_loop_create();
	CHECK(f->loop != NULL, "loop: %s", strerror(errno));
	CHECK(avp_loop_start(f->loop, "avpd-test", false) == 0, "no thread");
	CHECK(avpd_mem_create(&f->mem, &mem_conf, &err) == 0, "%s", err.msg);
	CHECK(avpd_mem_add_port(f->mem, f->nb_queues, f->ring_len, f->nb_bufs, &f->layout, &err) ==
					0,
			"%s", err.msg);
	CHECK(avpd_device_create(&f->dev, f->loop, &f->conf, f->mem, &f->layout, &err) == 0, "%s",
			err.msg);
}

void
avpd_fixture_stop(struct avpd_fixture *f)
{
	avpd_fixture_close_view(f);
	avpd_device_destroy(f->dev);
	avpd_mem_remove_port(f->mem, &f->layout);
	avpd_mem_destroy(f->mem);
	avp_loop_destroy(f->loop);
	CHECK(rmdir(f->dir) == 0, "%s: %s", f->dir, strerror(errno));
}

void
avpd_fixture_open_view(struct avpd_fixture *f)
{
	struct avpd_msg msg;

	CHECK(avpd_device_open_view(f->dev, &f->view) == 0, "no view");
	msg = avpd_fixture_expect_guest(f);
	CHECK(msg.state.reset == 1, "first message without reset");
	avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
}

void
avpd_fixture_close_view(struct avpd_fixture *f)
{
	avp_sock_close(&f->view.chan_fd);
	avp_sock_close(&f->view.mem_fd);
}

bool
avpd_fixture_receive(struct avpd_fixture *f, struct avpd_msg *msg, int timeout_ms)
{
	struct pollfd pfd = {.fd = f->view.chan_fd, .events = POLLIN};
	ssize_t size;

	if (poll(&pfd, 1, timeout_ms) != 1)
		return false;
	size = recv(f->view.chan_fd, msg, sizeof(*msg), 0);
	CHECK(size == sizeof(*msg), "message of %zd bytes", size);
	return true;
}

static struct avpd_msg
expect(struct avpd_fixture *f, uint32_t type)
{
	struct avpd_msg msg;

	CHECK(avpd_fixture_receive(f, &msg, AVPD_FIXTURE_WAIT_MS), "no message of type %u", type);
	CHECK(msg.type == type, "message of type %u, not %u", msg.type, type);
	return msg;
}

struct avpd_msg
avpd_fixture_expect_guest(struct avpd_fixture *f)
{
	return expect(f, AVPD_MSG_GUEST);
}

struct avpd_msg
avpd_fixture_expect_migrated(struct avpd_fixture *f)
{
	return expect(f, AVPD_MSG_MIGRATED);
}

void
avpd_fixture_send(struct avpd_fixture *f, uint32_t type, uint32_t epoch, uint32_t timeout_ms)
{
	struct avpd_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = type;
	msg.epoch = epoch;
	msg.ask.timeout_ms = timeout_ms;
	if (type == AVPD_MSG_DETACH || type == AVPD_MSG_ATTACH)
		msg.ask.serial = ++f->serial;
	CHECK(send(f->view.chan_fd, &msg, sizeof(msg), MSG_NOSIGNAL) == sizeof(msg), "send: %s",
			strerror(errno));
}

void
avpd_fixture_send_host(struct avpd_fixture *f, bool link_up, uint32_t mtu)
{
	const struct avpd_msg msg = {
			.type = AVPD_MSG_HOST,
			.host = {.link_up = link_up, .mtu = mtu},
	};

	CHECK(send(f->view.chan_fd, &msg, sizeof(msg), MSG_NOSIGNAL) == sizeof(msg), "send: %s",
			strerror(errno));
}

void
avpd_fixture_answer_all(struct avpd_fixture *f)
{
	struct avpd_msg msg;

	while (avpd_fixture_receive(f, &msg, 0)) {
		if (msg.type == AVPD_MSG_GUEST)
			avpd_fixture_send(f, AVPD_MSG_DONE, msg.epoch, 0);
	}
}

int
avpd_fixture_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	CHECK(dir != NULL, "/proc/self/fd: %s", strerror(errno));
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

int
avpd_fixture_wait_fds(int n)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int now = avpd_fixture_count_fds();

	for (uint32_t i = 0; i < AVPD_FIXTURE_WAIT_MS && now != n; i++) {
		nanosleep(&pause, NULL);
		now = avpd_fixture_count_fds();
	}
	return now;
}

static void *
map_bar(struct fake_guest *g, uint32_t bar, uint64_t *size)
{
	struct vuser_client_region region;
	void *map;
	int ret = vuser_client_region(g->client, bar, &region);

	CHECK(ret == 0, "region %u: %s", bar, strerror(-ret));
	CHECK(region.fd >= 0, "region %u: no descriptor", bar);
	map = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
			(off_t)region.fd_off);
	CHECK(map != MAP_FAILED, "region %u: %s", bar, strerror(errno));
	close(region.fd);
	*size = region.size;
	return map;
}

void
fake_guest_connect(struct fake_guest *g, const struct avpd_fixture *f)
{
	struct avp_err err;

	memset(g, 0, sizeof(*g));
	CHECK(vuser_client_connect(&g->client, f->path, AVPD_FIXTURE_WAIT_MS, &err) == 0, "%s",
			err.msg);
	g->mem = map_bar(g, AVP_BAR_MEMORY, &g->mem_size);
	g->memmap = map_bar(g, AVP_BAR_MEMMAP, &g->memmap_size);
	g->info = map_bar(g, AVP_BAR_DEVICE, &g->info_size);
	g->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(g->event_fd >= 0, "eventfd: %s", strerror(errno));
	CHECK(vuser_client_set_irqs(g->client, 2, AVP_VECTOR_MIGRATION, 1, &g->event_fd) == 0,
			"set irqs");
	fake_guest_find_ctrl(g);
}

void
fake_guest_disconnect(struct fake_guest *g)
{
	vuser_client_destroy(g->client);
	close(g->event_fd);
	munmap(g->mem, g->mem_size);
	munmap(g->memmap, g->memmap_size);
	munmap(g->info, g->info_size);
}

void *
fake_guest_translate(const struct fake_guest *g, uint64_t pa)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < g->memmap->nb_maps && i < AVP_MAX_MAPS; i++) {
		const struct avp_memmap_entry *entry = &g->memmap->maps[i];

		if (pa >= entry->area_pa && pa - entry->area_pa < entry->area_size)
			return g->mem + off + (pa - entry->area_pa);
		off += entry->area_size;
	}
	CHECK(false, "0x%llx: not in the memory map", (unsigned long long)pa);
	return NULL;
}

void
fake_guest_find_ctrl(struct fake_guest *g)
{
	struct avp_fifo *req = fake_guest_translate(g, g->info->req_fifo_pa);
	struct avp_fifo *resp = fake_guest_translate(g, g->info->resp_fifo_pa);

	g->slot = fake_guest_translate(g, g->info->ctrl_slot_pa);
	CHECK(avp_fifo_end_open(&g->req, req, true, AVPD_CTRL_FIFO_LEN) == 0, "request FIFO");
	CHECK(avp_fifo_end_open(&g->resp, resp, false, AVPD_CTRL_FIFO_LEN) == 0, "response FIFO");
}

void
fake_guest_ask(struct fake_guest *g, const struct avp_request *request)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	*g->slot = *request;
	CHECK(avp_fifo_room(&g->req, 1, &fault) > 0, "request FIFO is full");
	avp_fifo_set(&g->req, 0, g->info->ctrl_slot_va);
	avp_fifo_put_done(&g->req, 1);
}

/* The contract has no event for an answer, so a guest can only look. */
bool
fake_guest_answered(struct fake_guest *g, int32_t *result, int timeout_ms)
{
	const uint64_t end = test_now_us() + (uint64_t)timeout_ms * 1000;
	const struct timespec pause = {.tv_nsec = 20000};
	enum avp_fifo_fault fault = AVP_FIFO_OK;

	while (avp_fifo_avail(&g->resp, 1, &fault) == 0) {
		if (test_now_us() >= end)
			return false;
		nanosleep(&pause, NULL);
	}
	CHECK(avp_fifo_at(&g->resp, 0) == g->info->ctrl_slot_va, "answer does not name the slot");
	avp_fifo_get_done(&g->resp, 1);
	*result = g->slot->result;
	return true;
}

int32_t
fake_guest_request(struct fake_guest *g, const struct avp_request *request)
{
	int32_t result;

	fake_guest_ask(g, request);
	CHECK(fake_guest_answered(g, &result, AVPD_FIXTURE_WAIT_MS), "request %u: no answer",
			request->req_id);
	return result;
}

struct avp_request
fake_guest_configuration(const struct fake_guest *g, bool link_up)
{
	return (struct avp_request){
			.req_id = AVP_REQ_CONFIGURE,
			.arg.config =
					{
							.device_id = g->info->device_id,
							.driver_type = AVP_DRIVER_DPDK,
							.driver_version = AVP_VERSION(1, 2, 13),
							.features = g->info->features,
							.nb_tx_queues = g->info->max_tx_queues,
							.nb_rx_queues = g->info->max_rx_queues,
							.link_up = link_up,
					},
	};
}

uint32_t
fake_guest_read_reg(struct fake_guest *g, uint32_t reg)
{
	uint32_t value = 0;
	int ret = vuser_client_read(g->client, AVP_BAR_MMIO, reg, &value, sizeof(value));

	CHECK(ret == 0, "register 0x%x: %s", reg, strerror(-ret));
	return value;
}

void
fake_guest_write_reg(struct fake_guest *g, uint32_t reg, uint32_t value)
{
	int ret = vuser_client_write(g->client, AVP_BAR_MMIO, reg, &value, sizeof(value));

	CHECK(ret == 0, "register 0x%x: %s", reg, strerror(-ret));
}

bool
fake_guest_interrupted(struct fake_guest *g, int timeout_ms)
{
	struct pollfd pfd = {.fd = g->event_fd, .events = POLLIN};
	uint64_t count;

	if (poll(&pfd, 1, timeout_ms) != 1)
		return false;
	return read(g->event_fd, &count, sizeof(count)) == sizeof(count);
}
