/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The device's end of the channel to the datapath; messages are in avpd_queue.h.
 *
 * How it works
 * Every change of the guest's state has a new epoch. A message is the state at the time it is sent:
 * when the datapath is so slow that the socket is full, changes fold into one, which carries the
 * last epoch, and a reset if any of them had it. Answers to older epochs mean nothing.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "avp_sock.h"
#include "avpd_internal.h"

/* Messages taken from the datapath in a row; the rest when the loop comes round again. */
#define CHAN_BATCH 16u

static void chan_ready(struct avp_watch *watch, uint32_t events);

void
avpd_chan_init(struct avpd_device *dev)
{
	memset(&dev->chan, 0, sizeof(dev->chan));
	dev->chan.watch.fd = -1;
	dev->chan.watch.ready = chan_ready;
}

/* Close the channel. Nobody has to be waited for any more. */
static void
chan_close(struct avpd_device *dev)
{
	struct avpd_chan *chan = &dev->chan;

	if (chan->watch.fd < 0)
		return;
	avp_watch_remove(dev->loop, &chan->watch);
	avp_sock_close(&chan->watch.fd);
	chan->watching_out = false;
	chan->unsent = false;
	chan->unsent_reset = false;
	chan->unsent_migrated = false;
}

void
avpd_chan_fini(struct avpd_device *dev)
{
	chan_close(dev);
}

bool
avpd_chan_in_step(const struct avpd_device *dev)
{
	return dev->chan.watch.fd < 0 || dev->chan.done_epoch == dev->chan.epoch;
}

/* Returns 0, -EAGAIN when there is no room, or another -errno when the datapath is gone. */
static int
chan_send(const struct avpd_chan *chan, const struct avpd_msg *msg)
{
	ssize_t sent;

	do
		sent = send(chan->watch.fd, msg, sizeof(*msg), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Send a message that says how things are now. */
static int
send_state(struct avpd_device *dev, enum avpd_msg_type type)
{
	const struct avpd_chan *chan = &dev->chan;
	struct avpd_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = type;
	msg.epoch = chan->epoch;
	if (type == AVPD_MSG_GUEST) {
		msg.state.guest = dev->guest;
		msg.state.reset = chan->unsent_reset;
	} else {
		msg.migrated.result = chan->migrated_result;
		msg.migrated.migration = chan->migrated_status;
		msg.migrated.serial = chan->migrated_serial;
	}
	return chan_send(chan, &msg);
}

static void
watch_out(struct avpd_device *dev, bool out)
{
	struct avpd_chan *chan = &dev->chan;

	if (chan->watching_out == out)
		return;
	if (avp_watch_modify(dev->loop, &chan->watch, out ? EPOLLIN | EPOLLOUT : EPOLLIN) == 0)
		chan->watching_out = out;
}

/* Send what is due. */
static void
chan_flush(struct avpd_device *dev)
{
	struct avpd_chan *chan = &dev->chan;
	int ret = 0;

	if (chan->watch.fd < 0)
		return;
	if (chan->unsent) {
		ret = send_state(dev, AVPD_MSG_GUEST);
		chan->unsent = ret < 0;
		chan->unsent_reset &= ret < 0;
	}
	if (ret == 0 && chan->unsent_migrated) {
		ret = send_state(dev, AVPD_MSG_MIGRATED);
		chan->unsent_migrated = ret < 0;
	}
	if (ret < 0 && ret != -EAGAIN) {
		/* closed by the other end: chan_ready() is told, and clears up */
		chan->unsent = false;
		chan->unsent_migrated = false;
	}
	watch_out(dev, ret == -EAGAIN);
}

void
avpd_chan_guest(struct avpd_device *dev, bool reset)
{
	struct avpd_chan *chan = &dev->chan;

	chan->epoch++;
	if (chan->watch.fd < 0)
		return;
	chan->unsent = true;
	chan->unsent_reset |= reset;
	chan_flush(dev);
}

void
avpd_chan_migrated(struct avpd_device *dev, uint32_t serial, int32_t result)
{
	struct avpd_chan *chan = &dev->chan;

	if (chan->watch.fd < 0)
		return;
	chan->unsent_migrated = true;
	chan->migrated_result = result;
	chan->migrated_status = dev->migrate.status;
	chan->migrated_serial = serial;
	chan_flush(dev);
}

static void
handle_msg(struct avpd_device *dev, const struct avpd_msg *msg)
{
	struct avpd_chan *chan = &dev->chan;

	switch (msg->type) {
	case AVPD_MSG_DONE:
		/* an unsent change has the last epoch: no answer can be to that one */
		if (chan->unsent || msg->epoch != chan->epoch)
			break;
		chan->done_epoch = msg->epoch;
		avpd_guest_in_step(dev);
		break;
	case AVPD_MSG_DETACH:
		avpd_guest_detach(dev, &msg->ask);
		break;
	case AVPD_MSG_ATTACH:
		avpd_guest_attach(dev, &msg->ask);
		break;
	case AVPD_MSG_HOST:
		avpd_guest_host(dev, &msg->host);
		break;
	case AVPD_MSG_RX:
		avpd_guest_rx(dev, msg->vectors);
		break;
	default:
		avp_log(dev->log, AVP_LOG_ERR, "%s: message of type %u from the datapath: unknown",
				dev->name, msg->type);
		break;
	}
}

/* Take one message. Returns false when there is none, or the channel is closed. */
static bool
chan_receive(struct avpd_device *dev)
{
	struct avpd_msg msg;
	const ssize_t size = recv(dev->chan.watch.fd, &msg, sizeof(msg), MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (size <= 0) {
		avp_log(dev->log, AVP_LOG_INFO, "%s: datapath has closed its channel", dev->name);
		chan_close(dev);
		avpd_guest_in_step(dev);
		avpd_guest_host(dev, &(const struct avpd_host){0});
		return false;
	}
	if (size == sizeof(msg))
		handle_msg(dev, &msg);
	else
		avp_log(dev->log, AVP_LOG_ERR, "%s: message of %zd bytes from the datapath: %zu",
				dev->name, size, sizeof(msg));
	return dev->chan.watch.fd >= 0;
}

static void
chan_ready(struct avp_watch *watch, uint32_t events)
{
	struct avpd_device *dev = AVPD_CONTAINER_OF(watch, struct avpd_device, chan.watch);

	if ((events & EPOLLOUT) != 0)
		chan_flush(dev);
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	for (uint32_t i = 0; i < CHAN_BATCH; i++) {
		if (!chan_receive(dev))
			break;
	}
}

int
avpd_chan_open(struct avpd_device *dev)
{
	struct avpd_chan *chan = &dev->chan;
	int fds[2];
	int ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	chan_close(dev);
	chan->watch.fd = fds[0];
	ret = avp_watch_add(dev->loop, &chan->watch, EPOLLIN);
	if (ret < 0)
		goto err_close;
	avpd_chan_guest(dev, true);
	return fds[1];

err_close:
	avp_sock_close(&chan->watch.fd);
	avp_sock_close(&fds[1]);
	return ret;
}
