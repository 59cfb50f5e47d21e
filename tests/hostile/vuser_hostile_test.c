/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A hostile peer on the socket of a vfio-user server. Whatever it does, the server goes on to serve
 * a good client, and has no more descriptors open and no more memory in use than before.
 */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
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

#include "vuser_fixture.h"

/* Time scaled down: what stands for "1 byte per second" is a byte per millisecond here. */
#define NEGOTIATE_MS 60u

struct bench {
	struct vuser_fixture f;
	size_t memory_before;
};

/* Of all threads; 0 with sanitizers, which find leaks themselves. */
static size_t
memory_in_use(void)
{
	return mallinfo2().uordblks;
}

/* It may have to try again: the server need not have noticed yet that the client before is gone. */
static void
good_client_is_served(struct vuser_fixture *f)
{
	const struct vuser_region_rw rw = {0, 7, 4};
	const struct timespec pause = {.tv_nsec = 1000 * 1000};
	int sock = vuser_raw_connect(f);
	int ret = vuser_raw_negotiate(sock);

	for (int i = 0; ret == EBUSY && i < VUSER_FIXTURE_WAIT_MS; i++) {
		close(sock);
		nanosleep(&pause, NULL);
		sock = vuser_raw_connect(f);
		ret = vuser_raw_negotiate(sock);
	}
	assert_int_equal(ret, 0);
	assert_int_equal(
			vuser_raw_call(sock, VUSER_CMD_REGION_READ, &rw, sizeof(rw), NULL, 0, NULL),
			0);
	close(sock);
}

static int
setup_with(void **state, uint32_t negotiate_ms)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (bench == NULL)
		return -1;
	bench->f.negotiate_ms = negotiate_ms;
	vuser_fixture_start(&bench->f);
	const int open_before = vuser_fixture_count_fds();
	/* what a first client makes the C library and the server keep is no leak */
	good_client_is_served(&bench->f);
	if (!vuser_fixture_wait(&bench->f.disconnects, 1) || !vuser_fixture_wait_fds(open_before))
		return -1;
	bench->memory_before = memory_in_use();
	*state = bench;
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, 0);
}

static int
setup_hurried(void **state)
{
	return setup_with(state, NEGOTIATE_MS);
}

static int
teardown(void **state)
{
	struct bench *bench = *state;
	int ret = 0;

	good_client_is_served(&bench->f);
	vuser_fixture_wait(&bench->f.disconnects, atomic_load(&bench->f.connects));
	size_t memory = memory_in_use();
	if (memory > bench->memory_before + 32768) {
		fprintf(stderr, "%zu bytes are in use, %zu before\n", memory, bench->memory_before);
		ret = -1;
	}
	if (!vuser_fixture_stop(&bench->f))
		ret = -1;
	free(bench);
	return ret;
}

static int
connect_client(struct vuser_fixture *f)
{
	int sock = vuser_raw_connect(f);

	assert_int_equal(vuser_raw_negotiate(sock), 0);
	return sock;
}

/* Bodies that are right, so that only what a test does to them is wrong. */
struct sample {
	uint16_t cmd;
	uint32_t size;
	uint32_t nb_fds;
	_Alignas(8) uint8_t body[64];
};

#define SAMPLES 11u

static void
make_sample(struct sample *sample, unsigned int n)
{
	const struct vuser_dma_map map = {32, 3, 0, 0x100000, 0x1000};
	const struct vuser_dma_unmap unmap = {24, 0, 0x100000, 0x1000};
	const struct vuser_device_info device = {.argsz = 16};
	const struct vuser_region_info region = {.argsz = 32, .index = 2};
	const struct vuser_irq_info irq = {.argsz = 16, .index = 2};
	const struct vuser_irq_set_msg set = {20, 0x24, 2, 0, 2};
	const struct vuser_irq_set_msg bools = {24, 0x22, 2, 0, 4};
	const struct vuser_region_rw rw = {0, 7, 8};
	const struct {
		uint16_t cmd;
		const void *body;
		uint32_t body_size;
		uint32_t size;
		uint32_t nb_fds;
	} samples[SAMPLES] = {
			{VUSER_CMD_DMA_MAP, &map, sizeof(map), sizeof(map), 1},
			{VUSER_CMD_DMA_UNMAP, &unmap, sizeof(unmap), sizeof(unmap), 0},
			{VUSER_CMD_DEVICE_INFO, &device, sizeof(device), sizeof(device), 0},
			{VUSER_CMD_REGION_INFO, &region, sizeof(region), sizeof(region), 0},
			{VUSER_CMD_IRQ_INFO, &irq, sizeof(irq), sizeof(irq), 0},
			{VUSER_CMD_SET_IRQS, &set, sizeof(set), sizeof(set), 2},
			{VUSER_CMD_SET_IRQS, &bools, sizeof(bools), 24, 0},
			{VUSER_CMD_REGION_READ, &rw, sizeof(rw), sizeof(rw), 0},
			{VUSER_CMD_REGION_WRITE, &rw, sizeof(rw), 24, 0},
			{VUSER_CMD_DEVICE_RESET, NULL, 0, 0, 0},
			{VUSER_CMD_DEVICE_FEATURE, &device, sizeof(device), 16, 0},
	};

	memset(sample, 0, sizeof(*sample));
	sample->cmd = samples[n].cmd;
	sample->size = samples[n].size;
	sample->nb_fds = samples[n].nb_fds;
	if (samples[n].body != NULL)
		memcpy(sample->body, samples[n].body, samples[n].body_size);
}

static int
error_of(uint16_t cmd)
{
	return cmd == VUSER_CMD_DEVICE_FEATURE ? ENOTTY : 0;
}

/* Whole message in @msg (80 bytes); returns its size. */
static uint32_t
make_message(uint8_t *msg, const struct sample *sample)
{
	const struct vuser_hdr hdr = {
			.id = 7,
			.cmd = sample->cmd,
			.size = (uint32_t)sizeof(hdr) + sample->size,
	};

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), sample->body, sample->size);
	return hdr.size;
}

static void
open_eventfds(int *fds, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
}

static void
close_all(const int *fds, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		close(fds[i]);
}

static int
call_sample(int sock, const struct sample *sample, uint32_t size, uint32_t nb_fds)
{
	int fds[VUSER_RAW_MAX_FDS] = {0};

	open_eventfds(fds, nb_fds);
	int ret = vuser_raw_call(sock, sample->cmd, sample->body, size, fds, nb_fds, NULL);
	close_all(fds, nb_fds);
	return ret;
}

static void
samples_are_good_as_they_are(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	struct sample sample;

	for (unsigned int n = 0; n < SAMPLES; n++) {
		make_sample(&sample, n);
		assert_int_equal(call_sample(sock, &sample, sample.size, sample.nb_fds),
				error_of(sample.cmd));
	}
	close(sock);
}

static void
command_truncated_at_any_length_is_an_error(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	struct sample sample;

	for (unsigned int n = 0; n < SAMPLES; n++) {
		make_sample(&sample, n);
		for (uint32_t size = 0; size < sample.size; size++)
			assert_int_equal(call_sample(sock, &sample, size, sample.nb_fds),
					sample.cmd == VUSER_CMD_DEVICE_FEATURE ? ENOTTY : EINVAL);
	}
	close(sock);
}

static void
peer_may_vanish_after_any_byte(void **state)
{
	struct bench *bench = *state;
	struct sample sample;
	uint8_t msg[80];
	int fds[2];

	for (unsigned int n = 0; n < SAMPLES; n++) {
		make_sample(&sample, n);
		uint32_t size = make_message(msg, &sample);
		for (uint32_t cut = 1; cut <= size; cut++) {
			int sock = connect_client(&bench->f);

			open_eventfds(fds, 2);
			assert_true(vuser_raw_send(sock, msg, cut, fds, sample.nb_fds));
			close_all(fds, 2);
			close(sock);
		}
	}
	/* and while it negotiates */
	const struct vuser_hdr hdr = {1, VUSER_CMD_VERSION, 64, 0, 0};
	memset(msg, 0, sizeof(msg));
	memcpy(msg, &hdr, sizeof(hdr));
	for (uint32_t cut = 0; cut <= 64; cut++) {
		int sock = vuser_raw_connect(&bench->f);

		assert_true(vuser_raw_send(sock, msg, cut, NULL, 0));
		close(sock);
	}
}

static void
oversized_command_is_an_error_or_the_end(void **state)
{
	/* the last that is received, the first that is skipped, the last one, the first that is not
	 */
	static const struct {
		uint32_t size;
		int result;
	} cases[] = {
			{VUSER_MAX_MSG_SIZE, EINVAL},
			{VUSER_MAX_MSG_SIZE + 1, EMSGSIZE},
			{1024 * 1024 + 4096, EMSGSIZE},
			{1024 * 1024 + 4097, -1},
			{UINT32_MAX, -1},
	};
	struct bench *bench = *state;
	uint8_t *msg = calloc(1, 1024 * 1024 + 4096);
	struct vuser_raw_msg *reply = malloc(sizeof(*reply));

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vuser_hdr hdr = {
				(uint16_t)i, VUSER_CMD_REGION_WRITE, cases[i].size, 0, 0};
		int sock = connect_client(&bench->f);

		memcpy(msg, &hdr, sizeof(hdr));
		if (cases[i].result < 0) {
			assert_true(vuser_raw_send(sock, &hdr, sizeof(hdr), NULL, 0));
			assert_true(vuser_raw_closed(sock));
			close(sock);
			continue;
		}
		assert_true(vuser_raw_send(sock, msg, cases[i].size, NULL, 0));
		assert_int_equal(vuser_raw_receive(sock, reply), 1);
		assert_int_equal(reply->hdr.id, i);
		assert_int_equal(reply->hdr.flags, VUSER_HDR_TYPE_REPLY | VUSER_HDR_ERROR);
		assert_int_equal(reply->hdr.error, cases[i].result);
		/* the stream is still in step */
		assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0,
						 NULL),
				0);
		close(sock);
	}
	free(msg);
	free(reply);
}

static void
trailing_bytes_do_no_harm(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	uint8_t body[128] = {0};
	struct sample sample;

	for (unsigned int n = 0; n < SAMPLES; n++) {
		make_sample(&sample, n);
		memcpy(body, sample.body, sample.size);
		int ret = vuser_raw_call(sock, sample.cmd, body, sizeof(body), NULL, 0, NULL);
		/* a write must have exactly its data */
		assert_int_equal(ret,
				sample.cmd == VUSER_CMD_REGION_WRITE ? EINVAL
								     : error_of(sample.cmd));
	}
	close(sock);
}

static void
commands_before_the_version_are_refused(void **state)
{
	struct bench *bench = *state;
	struct sample sample;

	for (unsigned int n = 0; n < SAMPLES; n++) {
		int sock = vuser_raw_connect(&bench->f);

		make_sample(&sample, n);
		assert_int_equal(call_sample(sock, &sample, sample.size, sample.nb_fds), EINVAL);
		assert_true(vuser_raw_closed(sock));
		close(sock);
	}
	assert_int_equal(atomic_load(&bench->f.connects), 1); /* the one of the set-up */
}

static void
second_version_is_refused_and_the_client_stays(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);

	assert_int_equal(vuser_raw_negotiate(sock), EINVAL);
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL), 0);
	close(sock);
}

static void
nonsense_for_a_header_ends_the_connection(void **state)
{
	static const struct vuser_hdr headers[] = {
			{1, VUSER_CMD_DEVICE_RESET, 0, 0, 0}, {1, VUSER_CMD_DEVICE_RESET, 15, 0, 0},
			{1, VUSER_CMD_DEVICE_RESET, 16, VUSER_HDR_TYPE_REPLY, 0},
			{1, VUSER_CMD_DEVICE_RESET, 16, 2, 0},
			{1, VUSER_CMD_DEVICE_RESET, 16, 0xf, 0},
			{0x4547, 0x2054, 0x7474682f, 0x312f7074, 0x0d0a302e}, /* HTTP */
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < 2 * sizeof(headers) / sizeof(headers[0]); i++) {
		int sock = vuser_raw_connect(&bench->f);

		if (i % 2 == 0)
			assert_int_equal(vuser_raw_negotiate(sock), 0);
		assert_true(vuser_raw_send(sock, &headers[i / 2], sizeof(headers[0]), NULL, 0));
		assert_true(vuser_raw_closed(sock));
		close(sock);
	}
}

static void
too_many_descriptors_are_refused(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	struct sample sample;

	for (unsigned int n = 0; n < SAMPLES; n++) {
		make_sample(&sample, n);
		for (uint32_t nb = sample.nb_fds + 1; nb <= VUSER_RAW_MAX_FDS; nb += 7)
			assert_int_equal(call_sample(sock, &sample, sample.size, nb), EINVAL);
		assert_int_equal(
				call_sample(sock, &sample, sample.size, VUSER_RAW_MAX_FDS), EINVAL);
	}
	close(sock);
	int newcomer = vuser_raw_connect(&bench->f);
	int fd = eventfd(0, EFD_CLOEXEC);
	const struct vuser_version version = {0, 0};
	assert_int_equal(vuser_raw_call(newcomer, VUSER_CMD_VERSION, &version, sizeof(version), &fd,
					 1, NULL),
			EINVAL);
	close(fd);
	close(newcomer);
}

static void
wrong_kinds_of_descriptors_are_refused(void **state)
{
	const struct vuser_irq_set_msg set = {20, 0x24, 2, 0, 1};
	const struct vuser_dma_map map = {32, 3, 0, 0x100000, 0x1000};
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	int pipes[2], socks[2], kinds[7];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), 0);
	kinds[0] = pipes[0];
	kinds[1] = pipes[1];
	kinds[2] = socks[0];
	kinds[3] = open("/", O_PATH | O_CLOEXEC);
	kinds[4] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	/* a file that is called like an eventfd */
	kinds[5] = memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC);
	/* the server's own socket, for a cycle that only the kernel's collector could free */
	kinds[6] = sock;
	for (int i = 0; i < 7; i++) {
		assert_int_equal(vuser_raw_call(sock, VUSER_CMD_SET_IRQS, &set, sizeof(set),
						 &kinds[i], 1, NULL),
				EINVAL);
		assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DMA_MAP, &map, sizeof(map),
						 &kinds[i], 1, NULL),
				0);
	}
	assert_int_equal(atomic_load(&bench->f.sets), 0);
	for (int i = 0; i < 7; i++)
		close(kinds[i]);
	close(socks[1]);
	/* its own socket is closed once more by the server, some time soon */
	assert_true(vuser_fixture_wait(&bench->f.disconnects, 2));
}

static void
bytes_may_come_one_at_a_time(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	struct vuser_raw_msg *reply = malloc(sizeof(*reply));
	struct sample sample;
	uint8_t msg[80];
	int fds[2];

	for (unsigned int n = 0; n < SAMPLES; n++) {
		make_sample(&sample, n);
		uint32_t size = make_message(msg, &sample);
		open_eventfds(fds, 2);
		for (uint32_t i = 0; i < size; i++)
			assert_true(vuser_raw_send(
					sock, msg + i, 1, fds, i == size - 1 ? sample.nb_fds : 0));
		close_all(fds, 2);
		assert_int_equal(vuser_raw_receive(sock, reply), 1);
		assert_int_equal(reply->hdr.error, error_of(sample.cmd));
		close_all(reply->fds, reply->nb_fds);
	}
	free(reply);
	close(sock);
}

static void
descriptors_with_every_byte_are_bounded(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	const int open_before = vuser_fixture_count_fds();
	struct sample sample;
	uint8_t msg[80];
	int fds[16];

	make_sample(&sample, 0);
	uint32_t size = make_message(msg, &sample);
	open_eventfds(fds, 16);
	for (uint32_t i = 0; i < size - 1; i++)
		assert_true(vuser_raw_send(sock, msg + i, 1, fds, 16));
	close_all(fds, 16);
	/* 16 are kept until the message is there, the others are closed */
	assert_true(vuser_fixture_wait_fds(open_before + 16));
	assert_true(vuser_raw_send(sock, msg + size - 1, 1, NULL, 0));
	struct vuser_raw_msg *reply = malloc(sizeof(*reply));
	assert_int_equal(vuser_raw_receive(sock, reply), 1);
	assert_int_equal(reply->hdr.error, EINVAL);
	assert_true(vuser_fixture_wait_fds(open_before));
	free(reply);
	close(sock);
}

/* Milliseconds until @fd is readable; it must be. */
static long
wait_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(poll(&pfd, 1, VUSER_FIXTURE_WAIT_MS), 1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
}

static void
slow_newcomer_is_dropped_in_time_and_in_nobodys_way(void **state)
{
	struct bench *bench = *state;
	const struct vuser_hdr hdr = {1, VUSER_CMD_VERSION, 4096, 0, 0};
	int slow = vuser_raw_connect(&bench->f);
	int sock = connect_client(&bench->f);
	unsigned int sent = 0;

	/* a byte per millisecond would take four seconds */
	assert_true(vuser_raw_send(slow, &hdr, sizeof(hdr), NULL, 0));
	struct pollfd pfd = {.fd = slow, .events = POLLIN};
	while (poll(&pfd, 1, 1) == 0 && vuser_raw_send(slow, "{", 1, NULL, 0))
		sent++;
	assert_true(vuser_raw_closed(slow));
	assert_in_range(sent, 0, 10 * NEGOTIATE_MS);
	close(slow);
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL), 0);
	close(sock);
}

static void
silent_newcomers_do_not_keep_a_client_out(void **state)
{
	struct bench *bench = *state;
	int crowd[100];

	for (int i = 0; i < 100; i++)
		crowd[i] = vuser_raw_connect(&bench->f);
	int sock = connect_client(&bench->f);
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL), 0);
	/* eight of them may wait at most; the others have been closed already */
	int closed = 0;
	for (int i = 0; i < 100; i++) {
		struct pollfd pfd = {.fd = crowd[i], .events = POLLIN};

		closed += poll(&pfd, 1, 0) == 1;
	}
	assert_in_range(closed, 92, 100);
	for (int i = 0; i < 100; i++) {
		wait_readable(crowd[i]); /* all are closed in the end */
		close(crowd[i]);
	}
	close(sock);
}

static void
refused_peer_that_does_not_read_is_dropped(void **state)
{
	struct bench *bench = *state;
	int sock = connect_client(&bench->f);
	int size = 1;

	for (int i = 0; i < 10; i++) {
		int second = vuser_raw_connect(&bench->f);

		setsockopt(second, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		assert_int_equal(vuser_raw_negotiate(second), EBUSY);
		close(second);
	}
	assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL), 0);
	close(sock);
}

/* A second device whose server shares the loop; it can only be asked what it is. */
static void
neighbour_connected(void *ctx)
{
	(void)ctx;
}

static const struct vuser_server_ops neighbour_ops = {
		.connected = neighbour_connected,
		.disconnected = neighbour_connected,
};

struct neighbour {
	struct avp_loop *loop;
	struct vuser_fixture f; /* just the path and the server */
};

static int
neighbour_create(void *arg)
{
	struct neighbour *n = arg;
	const struct vuser_server_conf conf = {
			.path = n->f.path,
			.perm = {0600, (uid_t)-1, (gid_t)-1},
			.ops = &neighbour_ops,
	};

	return vuser_server_create(&n->f.server, n->loop, &conf, NULL);
}

static int
neighbour_destroy(void *arg)
{
	struct neighbour *n = arg;

	vuser_server_destroy(n->f.server);
	return 0;
}

/* A neighbour with a client. */
static int
neighbour_start(struct neighbour *n, struct vuser_fixture *f)
{
	n->loop = f->loop;
	snprintf(n->f.path, sizeof(n->f.path), "%s/next", f->dir);
	assert_int_equal(avp_loop_call(f->loop, neighbour_create, n), 0);
	return connect_client(&n->f);
}

static void
neighbour_stop(struct neighbour *n, int sock)
{
	close(sock);
	avp_loop_call(n->loop, neighbour_destroy, n);
}

static void
call_neighbour(int sock, int times)
{
	const struct vuser_device_info info = {.argsz = sizeof(info)};

	for (int i = 0; i < times; i++)
		assert_int_equal(vuser_raw_call(sock, VUSER_CMD_DEVICE_INFO, &info, sizeof(info),
						 NULL, 0, NULL),
				0);
}

struct flood {
	int sock;
	atomic_bool stop;
	atomic_uint sent;
};

static void *
flood(void *arg)
{
	struct flood *flood = arg;
	uint8_t msg[VUSER_MAX_MSG_SIZE] = {0};
	const struct vuser_hdr hdr = {
			1, VUSER_CMD_REGION_WRITE, sizeof(msg), VUSER_HDR_NO_REPLY, 0};
	const struct vuser_region_rw rw = {0, 2, VUSER_MAX_XFER_SIZE};
	const struct vuser_hdr small = {
			1, VUSER_CMD_DEVICE_RESET, sizeof(small), VUSER_HDR_NO_REPLY, 0};

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), &rw, sizeof(rw));
	while (!atomic_load(&flood->stop)) {
		vuser_raw_send(flood->sock, msg, sizeof(msg), NULL, 0);
		for (int i = 0; i < 100; i++)
			vuser_raw_send(flood->sock, &small, sizeof(small), NULL, 0);
		atomic_fetch_add(&flood->sent, 1);
	}
	return NULL;
}

static void
flooding_client_does_not_starve_its_neighbour(void **state)
{
	struct bench *bench = *state;
	struct neighbour *n = calloc(1, sizeof(*n));
	struct flood attack = {.sock = connect_client(&bench->f)};
	int sock = neighbour_start(n, &bench->f);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, flood, &attack), 0);
	assert_true(vuser_fixture_wait(&attack.sent, 10));
	unsigned int resets = atomic_load(&bench->f.resets);
	call_neighbour(sock, 200);
	/* between two of its answers the other has had a few turns, not thousands */
	assert_in_range(atomic_load(&bench->f.resets) - resets, 0, 200 * 200);
	atomic_store(&attack.stop, true);
	pthread_join(thread, NULL);
	close(attack.sock);
	neighbour_stop(n, sock);
	free(n);
}

static void
client_that_never_reads_is_not_read_from(void **state)
{
	struct bench *bench = *state;
	struct neighbour *n = calloc(1, sizeof(*n));
	const struct vuser_region_rw rw = {0, 2, VUSER_MAX_XFER_SIZE};
	int sock = neighbour_start(n, &bench->f);
	int deaf = connect_client(&bench->f);
	struct pollfd pfd = {.fd = deaf, .events = POLLOUT};
	unsigned int asked = 0;
	size_t memory_before = memory_in_use();

	/* until neither side's buffer has room for a moment */
	while (poll(&pfd, 1, 100) == 1) {
		if (!vuser_raw_command(deaf, 1, VUSER_CMD_REGION_READ, &rw, sizeof(rw), NULL, 0))
			break;
		asked++;
	}
	assert_in_range(atomic_load(&bench->f.reads), 1, asked / 2);
	/* a request and a reply at most */
	assert_in_range(memory_in_use() - memory_before, 0, 3 * VUSER_MAX_MSG_SIZE);
	call_neighbour(sock, 10);
	close(deaf);
	neighbour_stop(n, sock);
	free(n);
}

/* A descriptor that close() waits for: a network connection whose other end does not take the data,
 * told to linger. Returns the end to keep, so that it stays so. */
static int
make_lingering(int *fd)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	const struct linger linger = {1, 30};
	socklen_t len = sizeof(addr);
	static uint8_t data[65536];

	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || *fd < 0 || bind(listener, (struct sockaddr *)&addr, len) < 0 ||
			listen(listener, 1) < 0 ||
			getsockname(listener, (struct sockaddr *)&addr, &len) < 0 ||
			connect(*fd, (struct sockaddr *)&addr, len) < 0)
		return -1;
	int other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	while (send(*fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return other;
}

static void
descriptor_that_close_waits_for_stops_nobody(void **state)
{
	struct bench *bench = *state;
	struct neighbour *n = calloc(1, sizeof(*n));
	const struct vuser_dma_map map = {32, 3, 0, 0x100000, 0x1000};
	struct timespec start, end;
	int lingering[4], others[4];

	for (int i = 0; i < 4; i++) {
		others[i] = make_lingering(&lingering[i]);
		if (others[i] < 0) {
			print_message("no network: %s\n", strerror(errno));
			skip();
		}
	}
	int sock = neighbour_start(n, &bench->f);
	int evil = connect_client(&bench->f);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 4; i++) {
		/* the server's is the last copy: three with a message, one unread in the socket */
		assert_true(vuser_raw_command(
				evil, 1, VUSER_CMD_DMA_MAP, &map, sizeof(map), &lingering[i], 1));
		close(lingering[i]);
	}
	call_neighbour(sock, 10);
	assert_int_equal(vuser_raw_call(evil, VUSER_CMD_DEVICE_RESET, NULL, 0, NULL, 0, NULL),
			-EPROTO);
	close(evil);
	call_neighbour(sock, 10);
	good_client_is_served(&bench->f);
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* with one of 30 s in the way this would not have been possible */
	assert_in_range(end.tv_sec - start.tv_sec, 0, 15);
	/* let them go, so that nothing is left open */
	for (int i = 0; i < 4; i++)
		close(others[i]);
	neighbour_stop(n, sock);
	free(n);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_HURRIED(name) cmocka_unit_test_setup_teardown(name, setup_hurried, teardown)
	const struct CMUnitTest tests[] = {
			TEST(samples_are_good_as_they_are),
			TEST(command_truncated_at_any_length_is_an_error),
			TEST(peer_may_vanish_after_any_byte),
			TEST(oversized_command_is_an_error_or_the_end),
			TEST(trailing_bytes_do_no_harm),
			TEST(commands_before_the_version_are_refused),
			TEST(second_version_is_refused_and_the_client_stays),
			TEST(nonsense_for_a_header_ends_the_connection),
			TEST(too_many_descriptors_are_refused),
			TEST(wrong_kinds_of_descriptors_are_refused),
			TEST(bytes_may_come_one_at_a_time),
			TEST(descriptors_with_every_byte_are_bounded),
			TEST_HURRIED(slow_newcomer_is_dropped_in_time_and_in_nobodys_way),
			TEST_HURRIED(silent_newcomers_do_not_keep_a_client_out),
			TEST(refused_peer_that_does_not_read_is_dropped),
			TEST(flooding_client_does_not_starve_its_neighbour),
			TEST(client_that_never_reads_is_not_read_from),
			TEST(descriptor_that_close_waits_for_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
