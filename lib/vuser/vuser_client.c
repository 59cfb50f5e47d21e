/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The client: vuser_client.h.
 *
 * How it works: one request at a time, its reply awaited with poll(). A reply that does not come in
 * time or is not what was asked for leaves the stream in an unknown state, so the client is dead
 * from then on: every call returns -ENOTCONN.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "avp_sock.h"
#include "vuser_caps.h"
#include "vuser_client.h"
#include "vuser_msg.h"

struct vuser_client {
	int sock;
	bool dead;
	uint16_t next_id;
	unsigned int timeout_ms;
	struct vuser_caps caps; /* of the server */
	struct vuser_rx rx;
	uint8_t *msg; /* the request; VUSER_MAX_MSG_SIZE bytes */
};

/* One exchange. */
struct client_call {
	enum vuser_cmd cmd;
	uint32_t size; /* payload bytes in client->msg, after the header */
	const int *fds;
	uint32_t nb_fds;
	uint32_t min_reply; /* payload bytes of the reply, without error; 0: it has none */
	uint32_t max_reply;
};

static uint64_t
client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint8_t *
client_payload(struct vuser_client *client)
{
	return client->msg + sizeof(struct vuser_hdr);
}

static int
client_wait(const struct vuser_client *client, short events, uint64_t deadline_ms)
{
	struct pollfd pfd = {.fd = client->sock, .events = events};

	for (;;) {
		uint64_t now = client_now_ms();

		if (now >= deadline_ms)
			return -ETIMEDOUT;
		int ret = poll(&pfd, 1, (int)(deadline_ms - now));
		if (ret > 0)
			return 0;
		if (ret < 0 && errno != EINTR)
			return -errno;
	}
}

static int
client_send(struct vuser_client *client, const struct client_call *call, uint64_t deadline_ms)
{
	const struct vuser_hdr hdr = {
			.id = client->next_id,
			.cmd = (uint16_t)call->cmd,
			.size = (uint32_t)sizeof(hdr) + call->size,
			.flags = VUSER_HDR_TYPE_COMMAND,
	};
	uint32_t sent = 0;

	memcpy(client->msg, &hdr, sizeof(hdr));
	while (sent < hdr.size) {
		ssize_t len = vuser_tx_once(client->sock, client->msg + sent, hdr.size - sent,
				call->fds, sent == 0 ? call->nb_fds : 0);

		if (len < 0)
			return (int)len;
		sent += (uint32_t)len;
		if (len > 0)
			continue;
		int ret = client_wait(client, POLLOUT, deadline_ms);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Receive until @want bytes of the message are there. */
static int
client_receive_to(struct vuser_client *client, uint32_t want, uint64_t deadline_ms)
{
	while (client->rx.have < want) {
		int ret = vuser_rx_once(&client->rx, client->sock, want);

		if (ret == 0)
			ret = client_wait(client, POLLIN, deadline_ms);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Receive the reply into client->rx, which the caller resets. An error that the server reports goes
 * to @error; the return value tells whether the exchange itself was good. */
static int
client_receive(struct vuser_client *client, const struct client_call *call, uint64_t deadline_ms,
		int *error)
{
	struct vuser_hdr hdr;

	int ret = client_receive_to(client, sizeof(hdr), deadline_ms);
	if (ret < 0)
		return ret;
	memcpy(&hdr, client->rx.msg, sizeof(hdr));
	if ((hdr.flags & VUSER_HDR_TYPE_MASK) != VUSER_HDR_TYPE_REPLY ||
			hdr.id != client->next_id || hdr.cmd != call->cmd)
		return -EPROTO;
	if ((hdr.flags & VUSER_HDR_ERROR) != 0) {
		/* errno values end below 4096 */
		*error = hdr.error > 0 && hdr.error < 4096 ? -(int)hdr.error : -EIO;
		return hdr.size == sizeof(hdr) ? 0 : -EPROTO;
	}
	if (hdr.size < sizeof(hdr) + call->min_reply || hdr.size > sizeof(hdr) + call->max_reply)
		return -EPROTO;
	ret = vuser_rx_reserve(&client->rx, hdr.size);
	if (ret < 0)
		return ret;
	return client_receive_to(client, hdr.size, deadline_ms);
}

/* The reply's payload is in client->rx until the next call. */
static int
client_call(struct vuser_client *client, const struct client_call *call)
{
	const uint64_t deadline_ms = client_now_ms() + client->timeout_ms;
	int error = 0;

	if (client->dead)
		return -ENOTCONN;
	vuser_rx_reset(&client->rx);
	int ret = client_send(client, call, deadline_ms);
	if (ret == 0)
		ret = client_receive(client, call, deadline_ms, &error);
	client->next_id++;
	if (ret < 0) {
		client->dead = true;
		return ret;
	}
	return error;
}

static int
client_negotiate(struct vuser_client *client, const char *path, struct avp_err *err)
{
	struct vuser_version version = {
			.major = VUSER_VERSION_MAJOR,
			.minor = VUSER_VERSION_MINOR,
	};
	uint8_t *payload = client_payload(client);
	struct vuser_caps own;
	struct vuser_hdr hdr;

	vuser_caps_own(&own);
	memcpy(payload, &version, sizeof(version));
	int len = vuser_caps_format(
			&own, (char *)payload + sizeof(version), VUSER_SMALL_MSG_SIZE / 2);
	if (len < 0)
		return avp_err_set(err, -len, "%s: capabilities: %s", path, strerror(-len));
	const struct client_call call = {
			.cmd = VUSER_CMD_VERSION,
			.size = (uint32_t)sizeof(version) + (uint32_t)len,
			.min_reply = sizeof(version),
			.max_reply = VUSER_SMALL_MSG_SIZE - sizeof(hdr),
	};
	int ret = client_call(client, &call);
	if (ret == -EBUSY)
		return avp_err_set(err, EBUSY, "%s: the device has another client", path);
	if (ret < 0)
		return avp_err_set(err, -ret, "%s: server does not negotiate: %s", path,
				strerror(-ret));
	memcpy(&hdr, client->rx.msg, sizeof(hdr));
	memcpy(&version, client->rx.msg + sizeof(hdr), sizeof(version));
	if (version.major != VUSER_VERSION_MAJOR || version.minor > VUSER_VERSION_MINOR)
		return avp_err_set(err, EPROTO, "%s: server speaks version %u.%u: %u.%u here", path,
				version.major, version.minor, VUSER_VERSION_MAJOR,
				VUSER_VERSION_MINOR);
	ret = vuser_caps_parse(&client->caps, client->rx.msg + sizeof(hdr) + sizeof(version),
			hdr.size - (uint32_t)(sizeof(hdr) + sizeof(version)));
	if (ret < 0 || client->caps.max_xfer == 0)
		return avp_err_set(err, EPROTO, "%s: server's capabilities make no sense", path);
	return 0;
}

int
vuser_client_connect(struct vuser_client **out, const char *path, unsigned int timeout_ms,
		struct avp_err *err)
{
	struct vuser_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return avp_err_set(err, ENOMEM, "%s: no memory", path);
	client->timeout_ms = timeout_ms;
	client->sock = -1;
	vuser_rx_init(&client->rx, NULL);
	client->msg = malloc(VUSER_MAX_MSG_SIZE);
	int ret = 0;
	if (client->msg == NULL) {
		ret = avp_err_set(err, ENOMEM, "%s: no memory", path);
		goto err_destroy;
	}
	ret = avp_sock_connect(path, err);
	if (ret < 0)
		goto err_destroy;
	client->sock = ret;
	ret = client_negotiate(client, path, err);
	if (ret < 0)
		goto err_destroy;
	*out = client;
	return 0;

err_destroy:
	vuser_client_destroy(client);
	return ret;
}

void
vuser_client_destroy(struct vuser_client *client)
{
	if (client == NULL)
		return;
	vuser_rx_reset(&client->rx);
	avp_sock_close(&client->sock);
	free(client->msg);
	free(client);
}

int
vuser_client_fd(const struct vuser_client *client)
{
	return client->sock;
}

/*
 * Ask for a description: @info goes out as it is, and is what has come back afterwards.
 *
 * @size       bytes of @info
 * @max_reply  payload bytes that the reply may have
 */
static int
client_query(struct vuser_client *client, enum vuser_cmd cmd, void *info, uint32_t size,
		uint32_t max_reply)
{
	const struct client_call call = {
			.cmd = cmd,
			.size = size,
			.min_reply = size,
			.max_reply = max_reply,
	};

	memcpy(client_payload(client), info, size);
	int ret = client_call(client, &call);
	if (ret == 0)
		memcpy(info, client->rx.msg + sizeof(struct vuser_hdr), size);
	return ret;
}

int
vuser_client_device(struct vuser_client *client, uint32_t *nb_regions, uint32_t *nb_irqs)
{
	struct vuser_device_info info = {.argsz = sizeof(info)};

	int ret = client_query(client, VUSER_CMD_DEVICE_INFO, &info, sizeof(info), sizeof(info));
	if (ret < 0)
		return ret;
	*nb_regions = info.nb_regions;
	*nb_irqs = info.nb_irqs;
	return 0;
}

int
vuser_client_region(struct vuser_client *client, uint32_t index, struct vuser_client_region *region)
{
	struct vuser_region_info info = {.argsz = sizeof(info), .index = index};

	/* with capabilities, if it has any */
	int ret = client_query(client, VUSER_CMD_REGION_INFO, &info, sizeof(info),
			VUSER_SMALL_MSG_SIZE - sizeof(struct vuser_hdr));
	if (ret < 0)
		return ret;
	if (info.index != index) {
		client->dead = true;
		return -EPROTO;
	}
	*region = (struct vuser_client_region){
			.size = info.size,
			.flags = info.flags,
			.fd = -1,
			.fd_off = info.fd_off,
	};
	if ((info.flags & VUSER_REGION_MMAP) != 0 && client->rx.nb_fds == 1) {
		region->fd = client->rx.fds[0];
		client->rx.fds[0] = -1;
	}
	return 0;
}

int
vuser_client_irq(struct vuser_client *client, uint32_t index, uint32_t *flags, uint32_t *count)
{
	struct vuser_irq_info info = {.argsz = sizeof(info), .index = index};

	int ret = client_query(client, VUSER_CMD_IRQ_INFO, &info, sizeof(info), sizeof(info));
	if (ret < 0)
		return ret;
	*flags = info.flags;
	*count = info.count;
	return 0;
}

/* The most that goes into one read or write. */
static uint32_t
client_piece(const struct vuser_client *client, uint32_t left)
{
	uint32_t max = client->caps.max_xfer < VUSER_MAX_XFER_SIZE ? client->caps.max_xfer
								   : VUSER_MAX_XFER_SIZE;

	return left < max ? left : max;
}

/* Does the reply in client->rx speak of the range that was asked for? */
static int
client_check_rw(struct vuser_client *client, const struct vuser_region_rw *asked)
{
	struct vuser_region_rw rw;

	memcpy(&rw, client->rx.msg + sizeof(struct vuser_hdr), sizeof(rw));
	if (rw.off == asked->off && rw.region == asked->region && rw.count == asked->count)
		return 0;
	client->dead = true;
	return -EPROTO;
}

int
vuser_client_read(struct vuser_client *client, uint32_t region, uint64_t off, void *data,
		uint32_t size)
{
	for (uint32_t done = 0; done < size;) {
		const struct vuser_region_rw rw = {
				.off = off + done,
				.region = region,
				.count = client_piece(client, size - done),
		};
		const struct client_call call = {
				.cmd = VUSER_CMD_REGION_READ,
				.size = sizeof(rw),
				.min_reply = (uint32_t)sizeof(rw) + rw.count,
				.max_reply = (uint32_t)sizeof(rw) + rw.count,
		};

		memcpy(client_payload(client), &rw, sizeof(rw));
		int ret = client_call(client, &call);
		if (ret == 0)
			ret = client_check_rw(client, &rw);
		if (ret < 0)
			return ret;
		memcpy((uint8_t *)data + done,
				client->rx.msg + sizeof(struct vuser_hdr) + sizeof(rw), rw.count);
		done += rw.count;
	}
	return 0;
}

int
vuser_client_write(struct vuser_client *client, uint32_t region, uint64_t off, const void *data,
		uint32_t size)
{
	for (uint32_t done = 0; done < size;) {
		const struct vuser_region_rw rw = {
				.off = off + done,
				.region = region,
				.count = client_piece(client, size - done),
		};
		const struct client_call call = {
				.cmd = VUSER_CMD_REGION_WRITE,
				.size = (uint32_t)sizeof(rw) + rw.count,
				.min_reply = sizeof(rw),
				.max_reply = sizeof(rw),
		};

		memcpy(client_payload(client), &rw, sizeof(rw));
		memcpy(client_payload(client) + sizeof(rw), (const uint8_t *)data + done, rw.count);
		int ret = client_call(client, &call);
		if (ret == 0)
			ret = client_check_rw(client, &rw);
		if (ret < 0)
			return ret;
		done += rw.count;
	}
	return 0;
}

static int
client_set_irqs_once(struct vuser_client *client, const struct vuser_irq_set_msg *msg,
		const int *fds, uint32_t nb_fds)
{
	const struct client_call call = {
			.cmd = VUSER_CMD_SET_IRQS,
			.size = sizeof(*msg),
			.fds = fds,
			.nb_fds = nb_fds,
	};

	memcpy(client_payload(client), msg, sizeof(*msg));
	return client_call(client, &call);
}

/* A message carries descriptors for all of its vectors or for none: how many from fds[0] on are
 * alike, up to @max? */
static uint32_t
client_run(const int *fds, uint32_t max)
{
	uint32_t run = 1;

	while (run < max && (fds[run] >= 0) == (fds[0] >= 0))
		run++;
	return run;
}

int
vuser_client_set_irqs(struct vuser_client *client, uint32_t index, uint32_t start, uint32_t count,
		const int *fds)
{
	struct vuser_irq_set_msg msg = {
			.argsz = sizeof(msg),
			.flags = VUSER_IRQ_SET_TRIGGER,
			.index = index,
	};
	uint32_t max = client->caps.max_fds < VUSER_MAX_FDS ? client->caps.max_fds : VUSER_MAX_FDS;

	if (count == 0) {
		msg.flags |= VUSER_IRQ_SET_NONE;
		return client_set_irqs_once(client, &msg, NULL, 0);
	}
	if (max == 0)
		return -ENOTSUP;
	msg.flags |= VUSER_IRQ_SET_EVENTFD;
	for (uint32_t done = 0; done < count; done += msg.count) {
		const uint32_t left = count - done;

		msg.start = start + done;
		msg.count = client_run(fds + done, left < max ? left : max);
		int ret = client_set_irqs_once(
				client, &msg, fds + done, fds[done] >= 0 ? msg.count : 0);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int
vuser_client_reset(struct vuser_client *client)
{
	const struct client_call call = {.cmd = VUSER_CMD_DEVICE_RESET};

	return client_call(client, &call);
}
