/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a port on the control thread: its memory, device and lanes, and what the device says of
 * the guest.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ethdev_driver.h>

#include "avp_mbuf.h"
#include "avp_sock.h"
#include "avph_log.h"
#include "avph_port.h"

/* Neighbours together may hold at most one part in this many of a pool, each of them. */
#define PTR_SHARE 4u
/* However many FIFOs there are. */
#define PTR_MIN AVPH_BURST
/* Reap a free FIFO when this many packets may be on it. */
#define REAP_MAX 64u

/*
 * Lanes
 */

static struct avp_fifo *
lane_fifo(const struct avph_port *port, uint64_t first_off, uint32_t i)
{
	return RTE_PTR_ADD(port->mem->base, first_off + (uint64_t)i * port->layout.fifo_stride);
}

static void
lane_format(struct avp_fifo_end *end, struct avp_fifo *fifo, uint32_t len)
{
	avp_fifo_format(fifo, len);
	avp_fifo_end_init(end, fifo, len);
}

static bool
port_recycles(const struct avph_port *port)
{
	return (port->guest.features & AVP_FEATURE_RECYCLE) != 0;
}

static bool
port_is_compact(const struct avph_port *port)
{
	return (port->guest.features & AVP_FEATURE_COMPACT) != 0;
}

/* Entries that the guest has not read, as far as it tells the truth: at most a ring full. The lane
 * may be written by its lcore meanwhile. */
static uint32_t
lane_nb_unread(const struct avph_port *port, const struct avph_tx_lane *lane)
{
	return port_is_compact(port) ? avp_cring_used(&lane->crx) : avp_fifo_used(&lane->rx);
}

uint32_t
avph_port_nb_unread(const struct avph_port *port)
{
	uint32_t nb = 0;

	for (uint32_t i = 0; port->guest.running && i < port->guest.nb_rx_queues; i++)
		nb += lane_nb_unread(port, &port->tx_lanes[i]);
	return nb;
}

/* What carries packets, in the form that the guest has chosen. */
static void
lane_format_pkts(const struct avph_port *port, struct avp_fifo_end *end, struct avp_cring_end *cend,
		uint64_t first_off, uint32_t i)
{
	struct avp_fifo *fifo = lane_fifo(port, first_off, i);
	const uint32_t len = port->layout.ring_len;

	if (!port_is_compact(port)) {
		lane_format(end, fifo, len);
		return;
	}
	avp_cring_format((struct avp_cring *)fifo, len);
	avp_cring_end_init(cend, (struct avp_cring *)fifo, len);
}

static _Atomic uint32_t *
lane_arm(const struct avph_port *port, uint32_t i)
{
	return RTE_PTR_ADD(port->mem->base, port->layout.arm_off + (uint64_t)i * AVPD_ARM_STRIDE);
}

/* Make all data FIFOs and lanes anew; the guest has no buffers. */
static void
port_format(struct avph_port *port)
{
	const struct avpd_layout *layout = &port->layout;

	for (uint32_t i = 0; i < layout->nb_queues; i++) {
		struct avph_rx_lane *rx = &port->rx_lanes[i];
		struct avph_tx_lane *tx = &port->tx_lanes[i];

		lane_format_pkts(port, &rx->tx, &rx->ctx, layout->tx_fifo_off, i);
		lane_format(&rx->alloc, lane_fifo(port, layout->alloc_fifo_off, i),
				layout->ring_len);
		rx->nb_alloc = 0;
		rx->owner = avph_owner(layout->slot, i, AVPH_GIVEN_ALLOC);
		lane_format_pkts(port, &tx->rx, &tx->crx, layout->rx_fifo_off, i);
		lane_format(&tx->free, lane_fifo(port, layout->free_fifo_off, i), layout->ring_len);
		atomic_store(lane_arm(port, i), 0);
		tx->nb_held = 0;
		tx->nb_ptr = 0;
		tx->seen_nb = 0;
		tx->seen_nb_ptr = 0;
		rte_spinlock_init(&tx->back.lock);
		atomic_store(&tx->back.nb, 0);
		atomic_store(&tx->back.nb_ptr, 0);
		tx->owner = avph_owner(layout->slot, i, AVPH_GIVEN_RX);
		rte_spinlock_init(&tx->lock);
	}
}

/* Mbufs of others that a lane's guest may have: its part of the smallest pool in the memory. */
static uint32_t
port_max_ptr(const struct avph_port *port, uint32_t nb_lanes)
{
	uint32_t smallest = port->layout.nb_own_bufs;

	for (uint32_t i = 0; i < AVPD_MAX_SLOTS; i++) {
		const struct avph_port *other = port->mem->ports[i];

		if (other != NULL)
			smallest = RTE_MIN(smallest, other->layout.nb_own_bufs);
	}
	return RTE_MAX(RTE_MIN(smallest / PTR_SHARE / nb_lanes, port->layout.ring_len - 1),
			PTR_MIN);
}

/* Does the guest return each buffer of a chain by itself? */
static bool
port_returns_each(const struct avph_port *port)
{
	return port_recycles(port) || port_is_compact(port);
}

/* Does the guest get chains? */
static bool
port_chains(const struct avph_port *port)
{
	return port->args.mru > AVPD_BUF_DATA_SIZE;
}

/* Look at the armed words if the guest writes them. The gates are shut. */
static void
port_set_interrupts(struct avph_port *port)
{
	const bool on = (port->guest.features & AVP_FEATURE_RX_INTR) != 0;

	for (uint32_t i = 0; i < port->layout.nb_queues; i++)
		port->tx_lanes[i].arm = on ? lane_arm(port, i) : NULL;
	avph_intr_set(&port->intr, on);
}

static void
port_set_limits(struct avph_port *port)
{
	const uint32_t nb_rx = RTE_MAX(port->guest.nb_rx_queues, 1);
	const uint32_t per_pkt = port_returns_each(port) && port_chains(port) ? AVP_MAX_SEGS : 1;
	const uint32_t ring_len = port->layout.ring_len;

	for (uint32_t i = 0; i < port->layout.nb_queues; i++) {
		struct avph_tx_lane *tx = &port->tx_lanes[i];

		/* half of the buffers may be with the guest for sending, the rest for receiving */
		port->rx_lanes[i].max_alloc = RTE_MIN(ring_len - 1,
				port->layout.nb_own_bufs / (2 * port->layout.nb_queues));
		tx->max_ptr = port_max_ptr(port, nb_rx);
		/* all must fit the free FIFO; what was sent back waits on a tx FIFO until an
		 * application receives, which one that is busy sending may never do */
		tx->max_held = ring_len - 1 - per_pkt;
		if (port_recycles(port))
			tx->max_held += (ring_len - 1) * per_pkt;
		tx->reap_at = RTE_MIN(RTE_MIN(ring_len / 4, tx->max_ptr / 2), REAP_MAX);
	}
}

static void
port_deal_rx_lanes(struct avph_port *port)
{
	for (uint32_t q = 0; q < port->nb_rx_queues; q++) {
		struct avph_rx_queue *queue = port->rx_queues[q];

		if (queue == NULL)
			continue;
		queue->nb_lanes = 0;
		queue->next = 0;
		queue->tx_lanes = port->tx_lanes;
		queue->recycle = port_recycles(port);
		queue->compact = port_is_compact(port);
		queue->rearm = avp_mbuf_rearm(queue->port_id);
		for (uint32_t f = q; f < port->guest.nb_tx_queues; f += port->nb_rx_queues)
			queue->lanes[queue->nb_lanes++] = &port->rx_lanes[f];
	}
}

static void
port_deal_tx_lanes(struct avph_port *port)
{
	const uint32_t nb_queues = port->nb_tx_queues;
	const uint32_t nb_lanes = port->guest.nb_rx_queues;

	for (uint32_t q = 0; q < nb_queues && nb_lanes > 0; q++) {
		struct avph_tx_queue *queue = port->tx_queues[q];
		const uint32_t first = q % nb_lanes;

		if (queue == NULL)
			continue;
		queue->nb_lanes = 0;
		for (uint32_t f = first; f < nb_lanes; f += nb_queues)
			queue->lanes[queue->nb_lanes++] = &port->tx_lanes[f];
		/* with more queues than lanes: is there another one with the same? */
		queue->shared = first + nb_lanes < nb_queues;
		queue->vlan = (port->guest.features & AVP_FEATURE_VLAN) != 0;
		queue->chains = port_chains(port);
		queue->recycle = port_recycles(port);
		queue->compact = port_is_compact(port);
		queue->each = port_returns_each(port);
		queue->wide_copy = avp_copy_choose();
		queue->max_pkt = port->args.mru;
	}
}

/*
 * Gates
 */

void
avph_port_shut(struct avph_port *port)
{
	struct avp_gate *gates[2 * AVPH_MAX_APP_QUEUES];

	for (uint32_t i = 0; i < AVPH_MAX_APP_QUEUES; i++) {
		struct avph_rx_queue *rx = port->rx_queues[i];
		struct avph_tx_queue *tx = port->tx_queues[i];

		gates[2 * i] = rx == NULL ? NULL : &rx->gate;
		gates[2 * i + 1] = tx == NULL ? NULL : &tx->gate;
	}
	avp_gate_shut(gates, RTE_DIM(gates), AVP_GATE_NO_LIMIT);
}

static void
port_open_gates(struct avph_port *port)
{
	for (uint32_t i = 0; i < port->nb_rx_queues; i++) {
		struct avph_rx_queue *queue = port->rx_queues[i];

		if (queue == NULL || queue->nb_lanes == 0)
			continue;
		/* a guest that has been told that all is up may send at once */
		avph_rx_fill(queue);
		avp_gate_open(&queue->gate);
	}
	for (uint32_t i = 0; i < port->nb_tx_queues; i++) {
		struct avph_tx_queue *queue = port->tx_queues[i];

		if (queue != NULL && queue->nb_lanes > 0)
			avp_gate_open(&queue->gate);
	}
}

bool
avph_port_link(const struct avph_port *port)
{
	return port->started && port->link_wanted && port->guest.running;
}

void
avph_port_update(struct avph_port *port)
{
	avph_port_shut(port);
	port_set_limits(port);
	port_set_interrupts(port);
	port_deal_rx_lanes(port);
	port_deal_tx_lanes(port);
	if (avph_port_link(port))
		port_open_gates(port);
	avph_port_tell_host(port);
}

/* The other ports of the memory: their limits may have changed, and no burst that began before is
 * under way afterwards. */
static void
port_update_neighbours(struct avph_port *port)
{
	for (uint32_t i = 0; i < AVPD_MAX_SLOTS; i++) {
		if (port->mem->ports[i] != NULL && port->mem->ports[i] != port)
			avph_port_update(port->mem->ports[i]);
	}
}

/* Take back what the guest has, and begin anew. The gates are shut. */
static void
port_rebuild(struct avph_port *port)
{
	const uint32_t nb_taken = avph_buf_take_back(port->mem, port->layout.slot);

	avph_count(&port->nb_resets, 1);
	avph_count(&port->nb_taken_back, nb_taken);
	port_format(port);
}

/*
 * Tell the application. Its callbacks are no business for a thread that goes before all others; nor
 * is ethdev's spinlock on the list of them, whose holder may be waiting for the very CPU that we
 * would spin on, until the kernel stops us after a second. So go down for it.
 */
static void
port_event(struct avph_port *port, enum rte_eth_event_type event)
{
	const struct sched_param normal = {.sched_priority = 0};
	const pthread_t self = pthread_self();
	struct sched_param param;
	bool lowered = false;
	int policy;

	if (pthread_getschedparam(self, &policy, &param) == 0 && policy != SCHED_OTHER)
		lowered = pthread_setschedparam(self, SCHED_OTHER, &normal) == 0;
	rte_eth_dev_callback_process(port->eth_dev, event, NULL);
	if (lowered)
		pthread_setschedparam(self, policy, &param);
}

void
avph_port_link_report(struct avph_port *port, bool event)
{
	const bool up = avph_port_link(port);
	const struct rte_eth_link link = {
			.link_speed = up ? RTE_ETH_SPEED_NUM_UNKNOWN : RTE_ETH_SPEED_NUM_NONE,
			.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
			.link_autoneg = RTE_ETH_LINK_FIXED,
			.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};
	const bool was_up = port->eth_dev->data->dev_link.link_status == RTE_ETH_LINK_UP;

	rte_eth_linkstatus_set(port->eth_dev, &link);
	if (event && up != was_up && port->eth_dev->data->dev_conf.intr_conf.lsc != 0)
		port_event(port, RTE_ETH_EVENT_INTR_LSC);
}

/*
 * The device's channel
 */

int
avph_port_send(struct avph_port *port, const struct avpd_msg *msg)
{
	ssize_t sent;

	if (port->chan.fd < 0)
		return -EPIPE;
	do
		sent = send(port->chan.fd, msg, sizeof(*msg), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void
chan_send_done(struct avph_port *port, uint32_t epoch)
{
	const struct avpd_msg msg = {.type = AVPD_MSG_DONE, .epoch = epoch};
	int ret = avph_port_send(port, &msg);

	if (ret < 0)
		AVPH_LOG(ERR, "%s: answer to the device: %s", port->name, strerror(-ret));
}

/* Have the device signal the guest. */
static void
raise_vectors(struct avph_intr *intr, uint32_t vectors)
{
	struct avph_port *port = RTE_PTR_SUB(intr, offsetof(struct avph_port, intr));
	const struct avpd_msg msg = {.type = AVPD_MSG_RX, .vectors = vectors};

	/* when the channel is full: at the next tick */
	if (avph_port_send(port, &msg) == -EAGAIN)
		atomic_fetch_or(&intr->vectors, vectors);
}

void
avph_port_tell_host(struct avph_port *port)
{
	struct avpd_msg msg = {.type = AVPD_MSG_HOST};
	const struct avpd_host *was = &port->host;
	int ret;

	msg.host.link_up = port->started && port->link_wanted;
	msg.host.mtu = port->mtu;
	if (port->chan.fd < 0 || (msg.host.link_up == was->link_up && msg.host.mtu == was->mtu))
		return;
	ret = avph_port_send(port, &msg);
	if (ret == 0)
		port->host = msg.host;
	else if (ret != -EAGAIN) /* with the next change */
		AVPH_LOG(ERR, "%s: link and MTU for the device: %s", port->name, strerror(-ret));
}

static void
log_guest(const struct avph_port *port, const struct avpd_guest *was)
{
	const struct avpd_guest *guest = &port->guest;

	if (guest->running && !was->running)
		AVPH_LOG(INFO, "%s: guest is running: %u tx and %u rx FIFOs", port->name,
				guest->nb_tx_queues, guest->nb_rx_queues);
	else if (!guest->running && was->running)
		AVPH_LOG(INFO, "%s: guest has stopped", port->name);
}

/* Does a change concern the packet path? An MTU does not, and keeping the lcores out for it would
 * cost packets, and an answer that waits for a burst. */
static bool
guest_lanes_changed(const struct avpd_guest *was, const struct avpd_guest *guest)
{
	return guest->running != was->running || guest->features != was->features ||
			guest->nb_tx_queues != was->nb_tx_queues ||
			guest->nb_rx_queues != was->nb_rx_queues;
}

static void
chan_handle_guest(struct avph_port *port, const struct avpd_msg *msg)
{
	const struct avpd_guest was = port->guest;
	struct avpd_guest guest = msg->state.guest;

	guest.nb_tx_queues = RTE_MIN(guest.nb_tx_queues, (uint8_t)port->layout.nb_queues);
	guest.nb_rx_queues = RTE_MIN(guest.nb_rx_queues, (uint8_t)port->layout.nb_queues);
	if (msg->state.reset)
		avph_port_shut(port);
	port->guest = guest;
	if (msg->state.reset)
		port_rebuild(port); /* in the form that this guest has chosen */
	if (msg->state.reset || guest_lanes_changed(&was, &guest))
		avph_port_update(port);
	chan_send_done(port, msg->epoch);
	/* The guest has its answer: from here on the application may take its time. */
	log_guest(port, &was);
	if (guest.nb_tx_queues != was.nb_tx_queues || guest.nb_rx_queues != was.nb_rx_queues ||
			guest.mtu != was.mtu)
		port_event(port, RTE_ETH_EVENT_QUEUE_STATE);
	avph_port_link_report(port, true);
}

static void
chan_handle(struct avph_port *port, const struct avpd_msg *msg)
{
	switch (msg->type) {
	case AVPD_MSG_GUEST:
		chan_handle_guest(port, msg);
		break;
	case AVPD_MSG_MIGRATED:
		avph_migration_ended(&port->migration, msg->migrated.serial, msg->migrated.result);
		break;
	default:
		AVPH_LOG(ERR, "%s: message of type %u from the device: unknown", port->name,
				msg->type);
		break;
	}
}

/* The device is gone without having been destroyed: nothing may touch the FIFOs any more. */
static void
chan_lost(struct avph_port *port)
{
	AVPH_LOG(ERR, "%s: the device has closed its channel", port->name);
	avp_watch_remove(port->process->loop, &port->chan);
	avp_sock_close(&port->chan.fd);
	memset(&port->guest, 0, sizeof(port->guest));
	avph_migration_lost(&port->migration);
	avph_port_update(port);
	avph_port_link_report(port, true);
}

static void
chan_ready(struct avp_watch *watch, uint32_t events)
{
	struct avph_port *port = RTE_PTR_SUB(watch, offsetof(struct avph_port, chan));
	struct avpd_msg msg;
	const ssize_t size = recv(watch->fd, &msg, sizeof(msg), MSG_DONTWAIT);

	RTE_SET_USED(events);
	if (size == (ssize_t)sizeof(msg))
		chan_handle(port, &msg);
	else if (size > 0)
		AVPH_LOG(ERR, "%s: message of %zd bytes from the device: %zu", port->name, size,
				sizeof(msg));
	else if (size == 0 || (errno != EAGAIN && errno != EINTR))
		chan_lost(port);
}

/*
 * Open and close
 */

/* Make the device, open its view, listen to its channel. */
static int
port_open_device(struct avph_port *port, struct avp_err *err)
{
	struct avpd_conf conf = {
			.name = port->name,
			.socket_path = port->args.socket,
			.perm = port->args.perm,
			.features = port->features,
			.max_rx_size = port->args.mru,
			.incoming = port->args.incoming,
			.log = &avph_device_log,
	};
	struct avpd_view view;
	int ret;

	memcpy(conf.mac, port->mac.addr_bytes, sizeof(conf.mac));
	/* if it cannot be made, listening says so better */
	if (port->args.default_socket)
		mkdir(AVPH_RUN_DIR, 0755);
	ret = avpd_device_create(&port->device, port->process->loop, &conf, port->mem->mem,
			&port->layout, err);
	if (ret < 0)
		return ret;
	ret = avpd_device_open_view(port->device, &view);
	if (ret < 0) {
		avp_err_set(err, -ret, "%s: view of the device: %s", port->name, strerror(-ret));
		goto err_destroy;
	}
	/* the memory is mapped already: this is a copy of its descriptor */
	avp_sock_close(&view.mem_fd);
	port->chan = (struct avp_watch){.fd = view.chan_fd, .ready = chan_ready};
	ret = avp_watch_add(port->process->loop, &port->chan, EPOLLIN);
	if (ret < 0) {
		avp_err_set(err, -ret, "%s: channel of the device: %s", port->name, strerror(-ret));
		goto err_close;
	}
	return 0;

err_close:
	avp_sock_close(&port->chan.fd);
err_destroy:
	avpd_device_destroy(port->device);
	return ret;
}

int
avph_port_open(struct avph_port *port, struct avp_err *err)
{
	int ret = avph_mem_get(&port->mem, port->process, &port->args, port->name, err);

	if (ret < 0)
		return ret;
	ret = avph_mem_add_port(port->mem, &port->args, port->name, &port->layout, err);
	if (ret < 0)
		goto err_mem;
	ret = avph_pool_create(&port->pool, port->mem, &port->layout, port->name,
			port->eth_dev->data->numa_node, err);
	if (ret < 0)
		goto err_remove;
	port->link_wanted = true;
	port->features = (port->args.vlan_offload ? AVP_FEATURE_VLAN : 0) |
			(port->args.recycle ? AVP_FEATURE_RECYCLE : 0);
	port->features |= port->args.compact ? AVP_FEATURE_COMPACT : 0;
	port->features |= port->args.link_events ? AVP_FEATURE_LINK_EVENTS : 0;
	port->features |= port->args.rx_interrupts ? AVP_FEATURE_RX_INTR : 0;
	port->chan.fd = -1;
	ret = avph_intr_init(&port->intr, port->process->loop, raise_vectors);
	if (ret < 0) {
		avp_err_set(err, -ret, "%s: eventfd: %s", port->name, strerror(-ret));
		goto err_pool;
	}
	avph_migration_init(&port->migration);
	port_format(port);
	ret = port_open_device(port, err);
	if (ret < 0)
		goto err_intr;
	port->mem->ports[port->layout.slot] = port;
	port_update_neighbours(port);
	return 0;

err_intr:
	avph_migration_fini(&port->migration);
	avph_intr_fini(&port->intr);
err_pool:
	avph_pool_destroy(port->pool);
err_remove:
	avpd_mem_remove_port(port->mem->mem, &port->layout);
err_mem:
	avph_mem_put(port->mem);
	return ret;
}

void
avph_port_close(struct avph_port *port)
{
	port->started = false;
	avph_port_shut(port);
	if (port->chan.fd >= 0) {
		avp_watch_remove(port->process->loop, &port->chan);
		avp_sock_close(&port->chan.fd);
	}
	avpd_device_destroy(port->device);
	avph_buf_take_back(port->mem, port->layout.slot);
	port->mem->ports[port->layout.slot] = NULL;
	port_update_neighbours(port);
	avph_migration_fini(&port->migration);
	avph_intr_fini(&port->intr);
	avph_process_leave_pool(port->process, port->pool);
}
