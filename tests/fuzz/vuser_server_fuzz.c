/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Fuzzer of the vfio-user server: an input is what a client does, and a model of the protocol says
 * what must come back: to each whole message that wants a reply one with its id and command, of the
 * size that the command has, in order; the end of the connection when, and only when, the framing
 * is broken or the first message was refused. The device of the fixture ends the run if it is asked
 * for something that it has not.
 *
 * An input is a list of steps, each a byte and what belongs to it:
 *   0x00 n bytes..            send n bytes as they are
 *   0x20 n                    send n KiB of zeros
 *   0x40 + cmd how n bytes..  send a command; how: bits 0-1 descriptors, 2 eventfds, 3 without
 * reply 0x80                      send a good version message 0xa0                      let the
 * server work, once 0xc0                      hang up, and connect again 0xe0 n send a byte with n
 * more than 16 descriptors
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "avp_sock.h"
#include "vuser_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECTED_MAX 4096u
#define SKIP_MAX (1024u * 1024u + 4096u)

enum model_state {
	MODEL_NEW,     /* nothing said yet */
	MODEL_ASKED,   /* the version, or something else, has been sent */
	MODEL_CLIENT,  /* and was accepted */
	MODEL_UNKNOWN, /* it wanted no reply, so who knows */
	MODEL_ENDED,   /* the server must close; replies to what came before may still arrive */
};

struct expected {
	uint16_t id;
	uint16_t cmd;
};

/* One connection, from the client's side. */
struct session {
	int sock;
	enum model_state state;
	bool refused;

	uint8_t hdr[sizeof(struct vuser_hdr)]; /* of the message that is being sent */
	uint32_t hdr_have;
	uint32_t body_left;

	struct expected expected[EXPECTED_MAX];
	uint32_t nb_expected;
	uint32_t nb_got;
	struct vuser_rx rx; /* the reply that is being received */
};

static struct vuser_fixture fixture;
static int fuzz_fds[2][VUSER_RAW_MAX_FDS]; /* not eventfds, eventfds */
static const uint8_t *current;
static size_t current_size;

static void
violation(const char *what)
{
	fprintf(stderr, "the server %s; input of %zu bytes:\n", what, current_size);
	for (size_t i = 0; i < current_size; i++)
		fprintf(stderr, "%02x", current[i]);
	fprintf(stderr, "\n");
	abort();
}

static void
check(bool good, const char *what)
{
	if (!good)
		violation(what);
}

/* The model: what does this byte of the client mean? */
static void
model_message_done(struct session *s)
{
	struct vuser_hdr hdr;
	bool wants_reply;

	memcpy(&hdr, s->hdr, sizeof(hdr));
	s->hdr_have = 0;
	wants_reply = (hdr.flags & VUSER_HDR_NO_REPLY) == 0;
	if (s->state == MODEL_NEW)
		s->state = wants_reply ? MODEL_ASKED : MODEL_UNKNOWN;
	if (wants_reply && s->nb_expected < EXPECTED_MAX)
		s->expected[s->nb_expected++] = (struct expected){hdr.id, hdr.cmd};
}

static void
model_byte(struct session *s, uint8_t byte)
{
	struct vuser_hdr hdr;

	if (s->state == MODEL_ENDED)
		return;
	if (s->hdr_have == sizeof(hdr)) {
		if (--s->body_left == 0)
			model_message_done(s);
		return;
	}
	s->hdr[s->hdr_have++] = byte;
	if (s->hdr_have < sizeof(hdr))
		return;
	memcpy(&hdr, s->hdr, sizeof(hdr));
	if (hdr.size < sizeof(hdr) || (hdr.flags & 0xf) != 0 || hdr.size > SKIP_MAX ||
			(s->state == MODEL_NEW && hdr.size > VUSER_SMALL_MSG_SIZE)) {
		s->state = s->state == MODEL_UNKNOWN ? MODEL_UNKNOWN : MODEL_ENDED;
		return;
	}
	s->body_left = hdr.size - (uint32_t)sizeof(hdr);
	if (s->body_left == 0)
		model_message_done(s);
}

/* Is this the payload of a good reply to that command? */
static bool
payload_is_right(uint16_t cmd, const uint8_t *payload, uint32_t size)
{
	struct vuser_region_rw rw;

	switch (cmd) {
	case VUSER_CMD_VERSION:
		return size > sizeof(struct vuser_version) && payload[size - 1] == '\0';
	case VUSER_CMD_DMA_MAP:
	case VUSER_CMD_SET_IRQS:
	case VUSER_CMD_DEVICE_RESET:
		return size == 0;
	case VUSER_CMD_DMA_UNMAP:
		return size == sizeof(struct vuser_dma_unmap);
	case VUSER_CMD_DEVICE_INFO:
		return size == sizeof(struct vuser_device_info);
	case VUSER_CMD_REGION_INFO:
		return size == sizeof(struct vuser_region_info);
	case VUSER_CMD_IRQ_INFO:
		return size == sizeof(struct vuser_irq_info);
	case VUSER_CMD_REGION_READ:
		if (size < sizeof(rw))
			return false;
		memcpy(&rw, payload, sizeof(rw));
		return rw.count > 0 && size == sizeof(rw) + rw.count;
	case VUSER_CMD_REGION_WRITE:
		return size == sizeof(rw);
	default:
		return false; /* the others are never good */
	}
}

static void
session_check_reply(struct session *s)
{
	struct vuser_hdr hdr;
	const uint32_t flags = VUSER_HDR_TYPE_REPLY;

	memcpy(&hdr, s->rx.msg, sizeof(hdr));
	check(s->nb_got < s->nb_expected, "sends a reply that nobody asked for");
	const struct expected *want = &s->expected[s->nb_got++];
	check(hdr.id == want->id && hdr.cmd == want->cmd, "answers something else");
	if ((hdr.flags & VUSER_HDR_ERROR) != 0) {
		check(hdr.flags == (flags | VUSER_HDR_ERROR), "sets flags that it should not");
		check(hdr.size == sizeof(hdr), "sends a payload with an error");
		check(hdr.error > 0 && hdr.error < 4096, "sends an error that is none");
		check(s->rx.nb_fds == 0, "sends descriptors with an error");
	} else {
		check(hdr.flags == flags && hdr.error == 0, "sets flags that it should not");
		check(payload_is_right(hdr.cmd, s->rx.msg + sizeof(hdr),
				      hdr.size - (uint32_t)sizeof(hdr)),
				"sends a payload of the wrong form");
		check(s->rx.nb_fds <= (hdr.cmd == VUSER_CMD_REGION_INFO ? 1 : 0),
				"sends descriptors that it should not");
	}
	if (s->nb_got == 1 && s->state != MODEL_UNKNOWN) {
		if ((hdr.flags & VUSER_HDR_ERROR) != 0)
			s->refused = true;
		else if (s->state == MODEL_ASKED)
			s->state = MODEL_CLIENT;
	}
}

/* Receive all that is there. */
static void
session_drain(struct session *s)
{
	struct vuser_hdr hdr = {.size = 0};
	int ret = 1;

	while (s->sock >= 0 && ret > 0) {
		memcpy(&hdr, s->rx.msg, sizeof(hdr));
		ret = vuser_rx_once(&s->rx, s->sock,
				s->rx.have < sizeof(hdr) ? (uint32_t)sizeof(hdr) : hdr.size);
		if (ret < 0) {
			check(s->rx.have == 0, "ends within a message");
			check(s->state == MODEL_ENDED || s->state == MODEL_UNKNOWN || s->refused,
					"hangs up without a reason");
			avp_sock_close(&s->sock);
			break;
		}
		memcpy(&hdr, s->rx.msg, sizeof(hdr));
		if (s->rx.have == sizeof(hdr)) {
			check(hdr.size >= sizeof(hdr) && hdr.size <= VUSER_MAX_MSG_SIZE,
					"sends a size out of range");
			if (vuser_rx_reserve(&s->rx, hdr.size) < 0)
				abort();
		}
		if (s->rx.have >= sizeof(hdr) && s->rx.have == hdr.size) {
			session_check_reply(s);
			vuser_rx_reset(&s->rx);
		}
	}
}

/* Has all happened that must happen? */
static bool
session_is_settled(const struct session *s)
{
	if (s->sock < 0 || s->state == MODEL_UNKNOWN)
		return true;
	return s->state != MODEL_ENDED && !s->refused && s->nb_got == s->nb_expected;
}

/* Until the server has nothing left to do. When it has not done all that it must, it may be waiting
 * for the thread that closes descriptors: give it time. */
static void
session_settle(struct session *s)
{
	for (int i = 0; i < 1000; i++) {
		do {
			session_drain(s);
		} while (avp_loop_run_once(fixture.loop, 0) > 0);
		session_drain(s);
		if (session_is_settled(s))
			return;
		avp_loop_run_once(fixture.loop, 10);
	}
}

static void
session_send(struct session *s, const uint8_t *data, size_t size, const int *fds, uint32_t nb_fds)
{
	while (s->sock >= 0 && size > 0) {
		struct pollfd pfd = {.fd = s->sock, .events = POLLOUT};

		if (poll(&pfd, 1, 0) == 0) {
			session_settle(s);
			continue;
		}
		if (!vuser_raw_send(s->sock, data, 1, fds, nb_fds))
			return; /* gone; what it says when it went is checked later */
		model_byte(s, *data);
		data++;
		size--;
		if (size == 0)
			return;
		/* the rest in one piece, as most clients would */
		if (!vuser_raw_send(s->sock, data, size, NULL, 0))
			return;
		for (size_t i = 0; i < size; i++)
			model_byte(s, data[i]);
		return;
	}
}

/* The thread that would wait for room in the server's queue is the one that makes it. */
static int
connect_patiently(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", fixture.path);
	for (int i = 0; i < 1000; i++) {
		if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			return sock;
		avp_loop_run_once(fixture.loop, 10);
	}
	violation("does not accept");
	return -1;
}

static void
session_open(struct session *s)
{
	memset(s, 0, offsetof(struct session, expected));
	s->nb_expected = 0;
	s->nb_got = 0;
	vuser_rx_init(&s->rx, NULL);
	s->sock = connect_patiently();
}

static void
session_close(struct session *s)
{
	session_settle(s);
	if (s->sock >= 0) {
		check(s->state != MODEL_ENDED && !s->refused, "does not hang up");
		check(s->state == MODEL_UNKNOWN || s->nb_got == s->nb_expected, "does not answer");
	}
	avp_sock_close(&s->sock);
	vuser_rx_reset(&s->rx);
	while (avp_loop_run_once(fixture.loop, 0) > 0)
		;
	check(atomic_load(&fixture.connects) == atomic_load(&fixture.disconnects),
			"does not notice that its client has gone");
}

static void
send_version(struct session *s)
{
	static const char caps[] = "{\"capabilities\":{\"max_msg_fds\":16}}";
	uint8_t msg[sizeof(struct vuser_hdr) + sizeof(struct vuser_version) + sizeof(caps)] = {0};
	const struct vuser_hdr hdr = {1, VUSER_CMD_VERSION, sizeof(msg), 0, 0};

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr) + sizeof(struct vuser_version), caps, sizeof(caps));
	session_send(s, msg, sizeof(msg), NULL, 0);
}

/* The bytes of an input, 0 when there are none left. */
struct reader {
	const uint8_t *data;
	size_t left;
};

static uint8_t
take_byte(struct reader *r)
{
	if (r->left == 0)
		return 0;
	r->left--;
	return *r->data++;
}

/* Up to @max bytes; returns how many. */
static uint32_t
take_bytes(struct reader *r, uint8_t *out, uint32_t max)
{
	uint32_t nb = r->left < max ? (uint32_t)r->left : max;

	memcpy(out, r->data, nb);
	r->data += nb;
	r->left -= nb;
	return nb;
}

static void
send_command(struct session *s, uint8_t cmd, struct reader *r)
{
	uint8_t msg[sizeof(struct vuser_hdr) + 256];
	uint8_t how = take_byte(r);
	uint32_t size = take_bytes(r, msg + sizeof(struct vuser_hdr), take_byte(r));
	const struct vuser_hdr hdr = {
			.id = (uint16_t)(s->nb_expected * 257u),
			.cmd = cmd,
			.size = (uint32_t)sizeof(hdr) + size,
			.flags = (how & 8) != 0 ? VUSER_HDR_NO_REPLY : 0,
	};

	memcpy(msg, &hdr, sizeof(hdr));
	session_send(s, msg, hdr.size, fuzz_fds[(how & 4) != 0], how & 3);
}

static void
step(struct session *s, struct reader *r)
{
	static const uint8_t zeros[1024];
	uint8_t bytes[256];
	uint8_t op = take_byte(r);

	switch (op & 0xe0) {
	case 0x20:
		for (uint8_t nb = take_byte(r); nb > 0; nb--)
			session_send(s, zeros, sizeof(zeros), NULL, 0);
		break;
	case 0x40:
	case 0x60:
		send_command(s, op & 0x1f, r);
		break;
	case 0x80:
		send_version(s);
		break;
	case 0xa0:
		avp_loop_run_once(fixture.loop, 0);
		session_drain(s);
		break;
	case 0xc0:
		session_close(s);
		session_open(s);
		break;
	case 0xe0:
		session_send(s, &op, 1, fuzz_fds[0], 17 + (take_byte(r) & 31));
		break;
	default:
		session_send(s, bytes, take_bytes(r, bytes, take_byte(r)), NULL, 0);
	}
}

static void
stop(void)
{
	if (!vuser_fixture_stop(&fixture))
		violation("has left descriptors open");
	for (unsigned int i = 0; i < VUSER_RAW_MAX_FDS; i++) {
		close(fuzz_fds[0][i]);
		close(fuzz_fds[1][i]);
	}
}

static void
start(void)
{
	for (unsigned int i = 0; i < VUSER_RAW_MAX_FDS; i++) {
		fuzz_fds[0][i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		fuzz_fds[1][i] = eventfd(0, EFD_CLOEXEC);
	}
	fixture.negotiate_ms = 600 * 1000;
	vuser_fixture_start_no_thread(&fixture);
	atexit(stop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session session;
	struct reader reader = {data, size};

	if (fixture.loop == NULL)
		start();
	current = data;
	current_size = size;
	session_open(&session);
	while (reader.left > 0)
		step(&session, &reader);
	session_close(&session);

	/* whatever that was: is a good client served? */
	session_open(&session);
	send_version(&session);
	session_settle(&session);
	check(session.state == MODEL_CLIENT, "does not let a good client in");
	session_close(&session);
	current_size = 0;
	return 0;
}
