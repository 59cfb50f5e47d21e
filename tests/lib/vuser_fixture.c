/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Tests of the vfio-user server: vuser_fixture.h.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "avp_sock.h"
#include "vuser_fixture.h"

static void
fixture_die(const char *what)
{
	fprintf(stderr, "vuser_fixture: %s: %s\n", what, strerror(errno));
	abort();
}

static void
fixture_log(void *ctx, enum avp_log_level level, const char *msg)
{
	const struct vuser_fixture *f = ctx;

	if (f->keep_log)
		fprintf(stderr, "log %d: %s\n", (int)level, msg);
}

static void
fixture_drop_eventfds(struct vuser_fixture *f)
{
	for (uint32_t i = 0; i < VUSER_FIXTURE_VECTORS; i++)
		avp_sock_close(&f->eventfds[i]);
}

static void
fixture_connected(void *ctx)
{
	struct vuser_fixture *f = ctx;

	atomic_fetch_add(&f->connects, 1);
}

static void
fixture_disconnected(void *ctx)
{
	struct vuser_fixture *f = ctx;

	fixture_drop_eventfds(f);
	atomic_fetch_add(&f->disconnects, 1);
}

static int
fixture_region_read(void *ctx, uint32_t region, uint64_t off, void *data, uint32_t size)
{
	struct vuser_fixture *f = ctx;

	if (off + size > f->regions[region].size)
		abort(); /* the server has not checked */
	memcpy(data, f->mem + off, size);
	atomic_fetch_add(&f->reads, 1);
	return atomic_load(&f->result);
}

static int
fixture_region_write(void *ctx, uint32_t region, uint64_t off, const void *data, uint32_t size)
{
	struct vuser_fixture *f = ctx;

	if (off + size > f->regions[region].size)
		abort();
	memcpy(f->mem + off, data, size);
	atomic_fetch_add(&f->writes, 1);
	return atomic_load(&f->result);
}

static int
fixture_set_irqs(void *ctx, const struct vuser_irq_set *set)
{
	struct vuser_fixture *f = ctx;

	if (set->index >= VUSER_FIXTURE_IRQS || set->start > f->irqs[set->index].count ||
			set->count > f->irqs[set->index].count - set->start)
		abort();
	f->last_set = *set;
	if (set->data != NULL)
		memcpy(f->last_data, set->data, set->count);
	if (set->count == 0)
		fixture_drop_eventfds(f);
	for (uint32_t i = 0; set->fds != NULL && i < set->count; i++) {
		int fd = set->fds[i];

		if (set->index != 2 || set->action != VUSER_IRQ_TRIGGER) {
			avp_sock_close(&fd);
			continue;
		}
		avp_sock_close(&f->eventfds[set->start + i]);
		f->eventfds[set->start + i] = fd;
	}
	atomic_fetch_add(&f->sets, 1);
	return atomic_load(&f->result);
}

static int
fixture_reset(void *ctx)
{
	struct vuser_fixture *f = ctx;

	if (f->disconnect_in_reset)
		vuser_server_disconnect(f->server);
	atomic_fetch_add(&f->resets, 1);
	return atomic_load(&f->result);
}

static const struct vuser_server_ops fixture_ops = {
		.connected = fixture_connected,
		.disconnected = fixture_disconnected,
		.region_read = fixture_region_read,
		.region_write = fixture_region_write,
		.set_irqs = fixture_set_irqs,
		.reset = fixture_reset,
};

static void
fixture_make_device(struct vuser_fixture *f)
{
	const uint32_t rw = VUSER_REGION_READ | VUSER_REGION_WRITE;

	for (uint32_t i = 0; i < VUSER_FIXTURE_REGIONS; i++)
		f->regions[i].fd = -1;
	for (uint32_t i = 0; i < VUSER_FIXTURE_VECTORS; i++)
		f->eventfds[i] = -1;
	f->regions[0] = (struct vuser_region){.size = 4096, .flags = rw, .fd = -1};
	f->regions[2] = (struct vuser_region){
			.size = VUSER_FIXTURE_MEM_SIZE,
			.flags = rw | VUSER_REGION_MMAP,
			.fd = memfd_create("bar2", MFD_CLOEXEC),
			.fd_off = 8192,
	};
	if (f->regions[2].fd < 0 || ftruncate(f->regions[2].fd, 8192 + VUSER_FIXTURE_MEM_SIZE) < 0)
		fixture_die("memfd");
	f->regions[4] = f->regions[2];
	f->regions[4].size = 4096;
	f->regions[4].flags = VUSER_REGION_READ | VUSER_REGION_MMAP;
	f->regions[7] = (struct vuser_region){
			.size = VUSER_FIXTURE_CONFIG_SIZE,
			.flags = rw,
			.fd = -1,
	};
	f->irqs[0] = (struct vuser_irq){VUSER_IRQ_EVENTFD | VUSER_IRQ_MASKABLE, 1};
	f->irqs[2] = (struct vuser_irq){
			VUSER_IRQ_EVENTFD | VUSER_IRQ_NORESIZE, VUSER_FIXTURE_VECTORS};
	f->irqs[4] = (struct vuser_irq){0, 1};
}

void
vuser_fixture_start_no_thread(struct vuser_fixture *f)
{
	struct avp_err err;

	f->open_before = vuser_fixture_count_fds();
	fixture_make_device(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/vuser_test.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		fixture_die("folder");
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	f->loop = avp_loop_create();
	if (f->loop == NULL)
		fixture_die("loop");
	f->log = (struct avp_log){fixture_log, f};
	const struct vuser_server_conf conf = {
			.path = f->path,
			.perm = {0600, (uid_t)-1, (gid_t)-1},
			.negotiate_ms = f->negotiate_ms,
			.regions = f->regions,
			.nb_regions = VUSER_FIXTURE_REGIONS,
			.irqs = f->irqs,
			.nb_irqs = VUSER_FIXTURE_IRQS,
			.ops = &fixture_ops,
			.ctx = f,
			.log = &f->log,
	};
	if (vuser_server_create(&f->server, f->loop, &conf, &err) < 0)
		fixture_die(err.msg);
}

void
vuser_fixture_start(struct vuser_fixture *f)
{
	vuser_fixture_start_no_thread(f);
	if (avp_loop_start(f->loop, "vuser-test", false) < 0)
		fixture_die("thread");
}

static int
fixture_destroy_server(void *arg)
{
	struct vuser_fixture *f = arg;

	vuser_server_destroy(f->server);
	return 0;
}

bool
vuser_fixture_stop(struct vuser_fixture *f)
{
	avp_loop_call(f->loop, fixture_destroy_server, f);
	avp_loop_destroy(f->loop);
	avp_sock_close(&f->regions[2].fd);
	if (rmdir(f->dir) < 0) {
		/* a server has left its socket */
		fprintf(stderr, "vuser_fixture: %s: %s\n", f->dir, strerror(errno));
		return false;
	}
	return vuser_fixture_wait_fds(f->open_before);
}

bool
vuser_fixture_wait(const atomic_uint *counter, unsigned int value)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000};

	for (int i = 0; i < VUSER_FIXTURE_WAIT_MS * 5; i++) {
		if (atomic_load(counter) >= value)
			return true;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "counter is %u, not %u\n", atomic_load(counter), value);
	return false;
}

static int
fixture_count_vectors(void *arg)
{
	const struct vuser_fixture *f = arg;
	int count = 0;

	for (uint32_t i = 0; i < VUSER_FIXTURE_VECTORS; i++)
		count += f->eventfds[i] >= 0;
	return count;
}

uint32_t
vuser_fixture_count_vectors(struct vuser_fixture *f)
{
	return (uint32_t)avp_loop_call(f->loop, fixture_count_vectors, f);
}

int
vuser_fixture_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (dir == NULL)
		fixture_die("/proc/self/fd");
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 3; /* ".", ".." and the folder itself */
}

static void
fixture_list_fds(void)
{
	char path[32];
	char target[128];

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, target, sizeof(target));
		if (len > 0)
			fprintf(stderr, "  %d: %.*s\n", fd, (int)len, target);
	}
}

bool
vuser_fixture_wait_fds(int count)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000};
	int now = vuser_fixture_count_fds();

	for (int i = 0; now != count && i < VUSER_FIXTURE_WAIT_MS * 5; i++) {
		nanosleep(&pause, NULL);
		now = vuser_fixture_count_fds();
	}
	if (now != count) {
		fprintf(stderr, "%d descriptors are open, not %d:\n", now, count);
		fixture_list_fds();
	}
	return now == count;
}

int
vuser_raw_connect(const struct vuser_fixture *f)
{
	struct avp_err err;

	int sock = avp_sock_connect(f->path, &err);
	if (sock < 0)
		fixture_die(err.msg);
	return sock;
}

static bool
raw_wait(int sock, short events)
{
	struct pollfd pfd = {.fd = sock, .events = events};

	return poll(&pfd, 1, VUSER_FIXTURE_WAIT_MS) == 1;
}

bool
vuser_raw_send(int sock, const void *data, size_t size, const int *fds, uint32_t nb_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * VUSER_RAW_MAX_FDS)] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nb_fds > VUSER_RAW_MAX_FDS)
		abort();
	if (nb_fds > 0) {
		hdr.msg_control = control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nb_fds);
	}
	while (iov.iov_len > 0) {
		ssize_t len = sendmsg(sock, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (len < 0 && (errno != EAGAIN || !raw_wait(sock, POLLOUT)))
			return false;
		if (len <= 0)
			continue;
		iov.iov_base = (uint8_t *)iov.iov_base + len;
		iov.iov_len -= (size_t)len;
		hdr.msg_control = NULL;
		hdr.msg_controllen = 0;
	}
	return true;
}

bool
vuser_raw_command(int sock, uint16_t id, uint16_t cmd, const void *body, uint32_t body_size,
		const int *fds, uint32_t nb_fds)
{
	static _Thread_local uint8_t msg[2 * VUSER_MAX_MSG_SIZE];
	const struct vuser_hdr hdr = {
			.id = id,
			.cmd = cmd,
			.size = (uint32_t)sizeof(hdr) + body_size,
	};

	if (hdr.size > sizeof(msg))
		abort();
	memcpy(msg, &hdr, sizeof(hdr));
	if (body_size > 0)
		memcpy(msg + sizeof(hdr), body, body_size);
	return vuser_raw_send(sock, msg, hdr.size, fds, nb_fds);
}

int
vuser_raw_receive(int sock, struct vuser_raw_msg *msg)
{
	struct vuser_rx rx;
	struct vuser_hdr hdr = {.size = sizeof(hdr)};
	int ret = 1;

	vuser_rx_init(&rx, NULL);
	while (ret >= 0 && rx.have < hdr.size) {
		ret = vuser_rx_once(&rx, sock, hdr.size);
		if (ret == 0 && !raw_wait(sock, POLLIN))
			ret = -ETIMEDOUT;
		if (rx.have == sizeof(hdr)) {
			memcpy(&hdr, rx.msg, sizeof(hdr));
			if (hdr.size < sizeof(hdr) || hdr.size > VUSER_MAX_MSG_SIZE)
				ret = -EPROTO;
			else if (vuser_rx_reserve(&rx, hdr.size) < 0)
				fixture_die("memory");
		}
	}
	if (ret == -EPIPE || ret == -ECONNRESET)
		ret = rx.have == 0 ? 0 : -EPROTO;
	if (ret > 0) {
		msg->hdr = hdr;
		msg->body_size = hdr.size - (uint32_t)sizeof(hdr);
		memcpy(msg->body, rx.msg + sizeof(hdr), msg->body_size);
		msg->nb_fds = rx.nb_fds;
		memcpy(msg->fds, rx.fds, sizeof(msg->fds));
		rx.nb_fds = 0;
	}
	vuser_rx_reset(&rx);
	return ret;
}

int
vuser_raw_call(int sock, uint16_t cmd, const void *body, uint32_t body_size, const int *fds,
		uint32_t nb_fds, struct vuser_raw_msg *reply)
{
	static _Thread_local uint16_t next_id;
	static _Thread_local struct vuser_raw_msg scratch;
	const uint16_t id = next_id++;

	if (reply == NULL)
		reply = &scratch;
	if (!vuser_raw_command(sock, id, cmd, body, body_size, fds, nb_fds))
		return -EPIPE;
	int ret = vuser_raw_receive(sock, reply);
	if (ret <= 0)
		return ret == 0 ? -EPIPE : ret;
	if (reply == &scratch) {
		for (uint32_t i = 0; i < reply->nb_fds; i++)
			avp_sock_close(&reply->fds[i]);
	}
	if (reply->hdr.id != id || reply->hdr.cmd != cmd ||
			(reply->hdr.flags & VUSER_HDR_TYPE_MASK) != VUSER_HDR_TYPE_REPLY)
		return -EPROTO;
	if ((reply->hdr.flags & VUSER_HDR_ERROR) == 0)
		return 0;
	return reply->body_size == 0 && reply->hdr.error > 0 ? (int)reply->hdr.error : -EPROTO;
}

int
vuser_raw_negotiate(int sock)
{
	static const char caps[] = "{\"capabilities\": {\"migration\": {\"pgsize\": 4096, "
				   "\"max_bitmap_size\": 268435456}, \"max_msg_fds\": 16, "
				   "\"max_data_xfer_size\": 1048576, \"pgsizes\": 4096, "
				   "\"max_dma_maps\": 65535, \"write_multiple\": true}}";
	uint8_t body[sizeof(struct vuser_version) + sizeof(caps)] = {0};

	memcpy(body + sizeof(struct vuser_version), caps, sizeof(caps));
	return vuser_raw_call(sock, VUSER_CMD_VERSION, body, sizeof(body), NULL, 0, NULL);
}

bool
vuser_raw_closed(int sock)
{
	uint8_t byte;

	if (!raw_wait(sock, POLLIN))
		return false;
	ssize_t len = recv(sock, &byte, 1, MSG_DONTWAIT);
	return len == 0 || (len < 0 && errno == ECONNRESET);
}
