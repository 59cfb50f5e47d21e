/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Queues of the guest driver: setup and release, which FIFOs belong to which, and their gates.
 *
 * A tx queue has the tx FIFO and the alloc FIFO of its number. The rx FIFOs in use may be more than
 * the rx queues, since the device can ask for a minimum: each rx queue has a contiguous share.
 */

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "avp_mbuf.h"
#include "avpg_port.h"
#include "avpg_recycle.h"

/* The longest that bursts may stay inside when their gates are shut. */
#define CLOSE_LIMIT_MS 500
/* A host that goes on sending is not waited for longer than this, once what there was is received.
 */
#define DRAIN_NEW_US 1000u
/* For the application to send what it has received, and then to ask for more: so often that it must
 * have done with what it had. One that is not run for a moment does not ask. */
#define DRAIN_APP_US 20000u
#define DRAIN_APP_POLLS 3u
#define DRAIN_YIELD_US 100u /* look again when others have run, for so long; then sleep between */
#define DRAIN_SLEEP_NS 20000

int
avpg_rx_queue_setup(struct rte_eth_dev *dev, uint16_t queue_id, uint16_t nb_desc,
		unsigned int socket_id, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	struct avpg_port *port = dev->data->dev_private;
	uint32_t room = rte_pktmbuf_data_room_size(pool);
	struct avpg_rxq *q;

	if (nb_desc != port->info.rx.len)
		AVPG_LOG(INFO, "%s: rx queue %u: %u descriptors: the device's FIFOs have %u each",
				port->name, queue_id, nb_desc, port->info.rx.len);
	room = room > RTE_PKTMBUF_HEADROOM ? room - RTE_PKTMBUF_HEADROOM : 0;
	if (room < AVPG_MIN_MBUF_ROOM) {
		AVPG_LOG(ERR, "%s: rx queue %u: mempool %s: %u data bytes per mbuf: at least %u",
				port->name, queue_id, pool->name, room, AVPG_MIN_MBUF_ROOM);
		return -EINVAL;
	}
	avpg_rx_queue_release(dev, queue_id);
	q = rte_zmalloc_socket("avpg_rxq", sizeof(*q), RTE_CACHE_LINE_SIZE, (int)socket_id);
	if (q == NULL)
		return -ENOMEM;
	avp_gate_init(&q->gate);
	q->pool = pool;
	q->port = port;
	q->mbuf_room = room;
	q->port_id = dev->data->port_id;
	q->queue_id = queue_id;
	q->deferred = conf->rx_deferred_start != 0;
	dev->data->rx_queues[queue_id] = q;
	pthread_mutex_lock(&port->ctl_lock);
	port->rxqs[queue_id] = q;
	pthread_mutex_unlock(&port->ctl_lock);
	return 0;
}

int
avpg_tx_queue_setup(struct rte_eth_dev *dev, uint16_t queue_id, uint16_t nb_desc,
		unsigned int socket_id, const struct rte_eth_txconf *conf)
{
	struct avpg_port *port = dev->data->dev_private;
	struct avpg_txq *q;

	avpg_tx_queue_release(dev, queue_id);
	q = rte_zmalloc_socket("avpg_txq", sizeof(*q), RTE_CACHE_LINE_SIZE, (int)socket_id);
	if (q == NULL)
		return -ENOMEM;
	avp_gate_init(&q->gate);
	q->port = port;
	q->port_id = dev->data->port_id;
	q->queue_id = queue_id;
	q->nb_desc = nb_desc;
	q->deferred = conf->tx_deferred_start != 0;
	dev->data->tx_queues[queue_id] = q;
	pthread_mutex_lock(&port->ctl_lock);
	port->txqs[queue_id] = q;
	pthread_mutex_unlock(&port->ctl_lock);
	return 0;
}

void
avpg_rx_queue_release(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_port *port = dev->data->dev_private;

	pthread_mutex_lock(&port->ctl_lock);
	port->rxqs[queue_id] = NULL;
	pthread_mutex_unlock(&port->ctl_lock);
	rte_free(dev->data->rx_queues[queue_id]);
	dev->data->rx_queues[queue_id] = NULL;
}

void
avpg_tx_queue_release(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_port *port = dev->data->dev_private;

	pthread_mutex_lock(&port->ctl_lock);
	port->txqs[queue_id] = NULL;
	pthread_mutex_unlock(&port->ctl_lock);
	rte_free(dev->data->tx_queues[queue_id]);
	dev->data->tx_queues[queue_id] = NULL;
}

static int
fifo_open(const struct avpg_port *port, struct avp_fifo_end *end, const struct avpg_fifo_set *set,
		uint32_t i, bool producer, const char *what)
{
	int ret = avp_fifo_end_open(end, set->fifo[i], producer, set->max_len);

	if (ret != 0)
		AVPG_LOG(ERR, "%s: %s FIFO %u: length, entry size or an index makes no sense",
				port->name, what, i);
	return ret;
}

uint8_t
avpg_rxq_share(const struct avpg_port *port, uint16_t queue_id, uint8_t *first)
{
	uint32_t nb_queues = port->nb_rx_queues;
	uint32_t nb_fifos = port->nb_rx_fifos;

	*first = (uint8_t)(queue_id * nb_fifos / nb_queues);
	return (uint8_t)((queue_id + 1) * nb_fifos / nb_queues - *first);
}

static void
rxq_set_strip(const struct avpg_port *port, struct avpg_rxq *q)
{
	uint64_t offloads = port->dev->data->dev_conf.rxmode.offloads;

	q->strip_by_copy = (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0 &&
			(port->features & AVP_FEATURE_VLAN) == 0;
}

/* Buffers of a FIFO that an application may hold: never so many that the host has no more to give,
 * which is as many as fit the free FIFO. */
static uint32_t
hold_limit(const struct avpg_port *port)
{
	uint32_t len = port->info.rx.len;
	uint32_t wanted = port->hw->recycle_hold;

	return wanted == 0 ? len / 2 : RTE_MIN(wanted, len - len / 8);
}

static void
rxq_set_recycle(const struct avpg_port *port, struct avpg_rxq *q)
{
	q->table = NULL;
	if (port->recycle == NULL)
		return;
	q->table = &port->recycle->tables[q->queue_id];
	/* mbufs that cannot have another buffer attached: all by copy */
	q->hold = (rte_pktmbuf_priv_flags(q->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0
			? 0
			: hold_limit(port);
}

static bool
is_compact(const struct avpg_port *port)
{
	return (port->features & AVP_FEATURE_COMPACT) != 0;
}

static int
rxq_reload(struct avpg_port *port, struct avpg_rxq *q)
{
	q->mem = port->info.mem;
	q->max_rx_size = port->info.max_rx_size;
	memcpy(&q->mac, port->info.mac, sizeof(q->mac));
	rxq_set_strip(port, q);
	rxq_set_recycle(port, q);
	q->nb_fifos = avpg_rxq_share(port, q->queue_id, &q->first_fifo);
	q->next_fifo = 0;
	q->compact = is_compact(port);
	q->rearm = avp_mbuf_rearm(q->port_id);
	q->wide_copy = avp_copy_choose();
	q->max_idle = q->nb_fifos * port->info.rx.len;
	if (port->info.max_rx_size > q->mbuf_room)
		port->dev->data->scattered_rx = 1;
	for (uint32_t i = 0; i < q->nb_fifos; i++) {
		struct avpg_rx_fifo *fifo = &q->fifos[i];
		int ret = 0;

		fifo->crx = is_compact(port) ? &port->crx[q->first_fifo + i].end : NULL;
		if (fifo->crx == NULL)
			ret = fifo_open(port, &fifo->rx, &port->info.rx, q->first_fifo + i, false,
					"rx");
		if (ret == 0)
			ret = fifo_open(port, &fifo->free, &port->info.free, q->first_fifo + i,
					true, "free");
		if (ret != 0)
			return ret;
		fifo->arm = (port->features & AVP_FEATURE_RX_INTR) != 0
				? avpg_info_arm(&port->info, q->first_fifo + i)
				: NULL;
	}
	return 0;
}

static int
txq_reload(struct avpg_port *port, struct avpg_txq *q)
{
	uint32_t capacity;
	int ret;

	q->mem = port->info.mem;
	q->max_pkt_size = RTE_MIN(AVP_MAX_SEGS * q->mem.buf_data_size, (uint32_t)AVP_MAX_PKT_SIZE);
	q->vlan_by_desc = (port->features & AVP_FEATURE_VLAN) != 0;
	q->recycle = port->recycle;
	q->wide_copy = avp_copy_choose();
	q->data_off = q->recycle != NULL || is_compact(port)
			? q->mem.buf_stride - q->mem.buf_data_size
			: 0;
	q->ctx = is_compact(port) ? &port->ctx[q->queue_id].end : NULL;
	ret = q->ctx != NULL ? 0 : fifo_open(port, &q->tx, &port->info.tx, q->queue_id, true, "tx");
	if (ret != 0)
		return ret;
	capacity = avpg_tx_fifo_capacity(q);
	q->spare = q->nb_desc < capacity ? capacity - q->nb_desc : 0;
	/* a chain takes several entries of a ring, and must always fit */
	if (q->ctx != NULL)
		q->spare = RTE_MIN(q->spare, capacity - AVP_MAX_SEGS);
	return fifo_open(port, &q->alloc, &port->info.alloc, q->queue_id, false, "alloc");
}

int
avpg_queues_reload(struct avpg_port *port)
{
	int ret = 0;

	port->dev->data->scattered_rx = 0;
	for (uint32_t i = 0; i < port->nb_rx_queues && ret == 0; i++)
		if (port->rxqs[i] != NULL)
			ret = rxq_reload(port, port->rxqs[i]);
	for (uint32_t i = 0; i < port->nb_tx_queues && ret == 0; i++)
		if (port->txqs[i] != NULL)
			ret = txq_reload(port, port->txqs[i]);
	return ret;
}

void
avpg_queues_set_strip(struct avpg_port *port)
{
	for (uint32_t i = 0; i < port->nb_rx_queues; i++)
		if (port->rxqs[i] != NULL)
			rxq_set_strip(port, port->rxqs[i]);
}

/* All queues there may be, of both kinds. */
#define NB_GATES (2 * AVP_MAX_QUEUES)

/* The gate of queue @i, rx queues first, tx queues after them; NULL for one not set up. */
static struct avp_gate *
gate_at(const struct avpg_port *port, uint32_t i)
{
	if (i < AVP_MAX_QUEUES)
		return port->rxqs[i] == NULL ? NULL : &port->rxqs[i]->gate;
	i -= AVP_MAX_QUEUES;
	return port->txqs[i] == NULL ? NULL : &port->txqs[i]->gate;
}

void
avpg_queues_open(struct avpg_port *port)
{
	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++) {
		if (port->rxqs[i] != NULL && !port->rxqs[i]->stopped)
			avp_gate_open(&port->rxqs[i]->gate);
		if (port->txqs[i] != NULL && !port->txqs[i]->stopped)
			avp_gate_open(&port->txqs[i]->gate);
	}
	avpg_intr_wake(port);
}

void
avpg_queues_reopen(struct avpg_port *port)
{
	if (avpg_port_wants_link(port) && avpg_port_state(port) == AVPG_ATTACHED)
		avpg_queues_open(port);
}

int
avpg_queues_close(struct avpg_port *port)
{
	struct avp_gate *gates[NB_GATES];
	int ret;

	for (uint32_t i = 0; i < NB_GATES; i++)
		gates[i] = gate_at(port, i);
	ret = avp_gate_shut(gates, NB_GATES, CLOSE_LIMIT_MS);
	if (ret == 0)
		avpg_recycle_trim(port->recycle);
	else
		AVPG_LOG(WARNING, "%s: a burst is still under way after %u ms", port->name,
				CLOSE_LIMIT_MS);
	return ret;
}

/*
 * Packets on their way
 */

/* An rx FIFO, as it was when draining began. */
struct drain_mark {
	uint32_t write;
	uint32_t used;
	bool passed; /* all of that has been received */
};

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool
tx_is_drained(const struct avpg_port *port)
{
	for (uint32_t i = 0; i < port->nb_tx_queues; i++)
		if (port->txqs[i] != NULL && avpg_tx_fifo_used(port->txqs[i]) > 0)
			return false;
	return true;
}

static bool
fifo_is_drained(const struct avpg_rx_fifo *fifo, struct drain_mark *mark, bool settle)
{
	const uint32_t used = avpg_rx_fifo_used(fifo);
	/* what of the mark is left; once the reader is past it this is more than there ever was */
	const uint32_t left = fifo->crx != NULL
			? mark->write - avp_cring_taken(fifo->crx)
			: (mark->write - AVPG_FETCH(&fifo->rx.fifo->read)) & (fifo->rx.len - 1);

	mark->passed |= left == 0 || left > mark->used;
	return used == 0 || (settle && mark->passed);
}

/* @settle: what has come since then does not count. Queues that are stopped by themselves receive
 * nothing. */
static bool
rx_is_drained(const struct avpg_port *port, struct drain_mark *marks, bool settle)
{
	bool drained = true;

	for (uint32_t i = 0; i < port->nb_rx_queues; i++) {
		const struct avpg_rxq *q = port->rxqs[i];

		for (uint32_t k = 0; q != NULL && !q->stopped && k < q->nb_fifos; k++)
			drained &= fifo_is_drained(&q->fifos[k], &marks[q->first_fifo + k], settle);
	}
	return drained;
}

static void
rx_mark(const struct avpg_port *port, struct drain_mark *marks)
{
	for (uint32_t i = 0; i < port->nb_rx_queues; i++) {
		const struct avpg_rxq *q = port->rxqs[i];

		for (uint32_t k = 0; q != NULL && k < q->nb_fifos; k++) {
			const struct avpg_rx_fifo *fifo = &q->fifos[k];
			struct drain_mark *mark = &marks[q->first_fifo + k];

			mark->used = avpg_rx_fifo_used(fifo);
			mark->write = fifo->crx != NULL ? avp_cring_taken(fifo->crx) + mark->used
							: AVPG_FETCH(&fifo->rx.fifo->write);
		}
	}
}

/* How a drain goes. */
struct drain {
	const struct avpg_port *port;
	struct drain_mark marks[AVP_MAX_QUEUES];
	uint32_t nb_shut_out[AVP_MAX_QUEUES]; /* of each rx queue, when the gates were shut */
};

/* Wait until @done, AVPG_DRAIN_LIMIT_US at most. */
static bool
drain_wait(struct drain *drain, bool (*done)(struct drain *drain, uint64_t waited_us))
{
	const uint64_t start_us = now_us();

	for (;;) {
		const uint64_t waited_us = now_us() - start_us;

		if (done(drain, waited_us))
			return true;
		if (waited_us >= AVPG_DRAIN_LIMIT_US || atomic_load(&drain->port->ctrl.cancelled))
			return false;
		if (waited_us < DRAIN_YIELD_US)
			sched_yield();
		else
			nanosleep(&(struct timespec){.tv_nsec = DRAIN_SLEEP_NS}, NULL);
	}
}

static bool
drained_rx(struct drain *drain, uint64_t waited_us)
{
	return rx_is_drained(drain->port, drain->marks, waited_us > DRAIN_NEW_US);
}

/* Has the application asked for more, in vain, of each queue? */
static bool
app_goes_on(const struct drain *drain)
{
	bool goes_on = true;

	for (uint32_t i = 0; i < drain->port->nb_rx_queues; i++) {
		const struct avpg_rxq *q = drain->port->rxqs[i];

		goes_on &= q == NULL || q->stopped ||
				avpg_rx_nb_shut_out(q) - drain->nb_shut_out[i] >= DRAIN_APP_POLLS;
	}
	return goes_on;
}

/* Does the application have no received buffers any more, or only such as it keeps? The gates of rx
 * queues are shut. */
static bool
drained_app(struct drain *drain, uint64_t waited_us)
{
	return avpg_recycle_nb_out(drain->port->recycle) == 0 ||
			(waited_us >= DRAIN_APP_US && app_goes_on(drain));
}

static bool
drained_tx(struct drain *drain, uint64_t waited_us __rte_unused)
{
	return tx_is_drained(drain->port);
}

static int
shut_gates_of(const struct avpg_port *port, bool rx)
{
	struct avp_gate *gates[AVP_MAX_QUEUES];

	for (uint32_t i = 0; i < AVP_MAX_QUEUES; i++)
		gates[i] = gate_at(port, rx ? i : AVP_MAX_QUEUES + i);
	return avp_gate_shut(gates, AVP_MAX_QUEUES, CLOSE_LIMIT_MS);
}

void
avpg_queues_drain(struct avpg_port *port)
{
	struct drain drain = {.port = port};
	uint32_t nb_kept;
	bool drained;

	if (!avpg_port_wants_link(port))
		return;
	rx_mark(port, drain.marks);
	drained = drain_wait(&drain, drained_rx);
	if (shut_gates_of(port, true) != 0)
		return;
	for (uint32_t i = 0; i < port->nb_rx_queues; i++)
		if (port->rxqs[i] != NULL)
			drain.nb_shut_out[i] = avpg_rx_nb_shut_out(port->rxqs[i]);
	drain_wait(&drain, drained_app);
	if (shut_gates_of(port, false) != 0)
		return;
	nb_kept = avpg_recycle_nb_out(port->recycle);
	if (nb_kept > 0)
		AVPG_LOG(NOTICE,
				"%s: the application has %u buffers of the device: if the VM "
				"moves, what is in them is lost",
				port->name, nb_kept);
	drained &= drain_wait(&drain, drained_tx);
	if (!drained)
		AVPG_LOG(NOTICE, "%s: packets that nobody has taken in %u us are left behind",
				port->name, AVPG_DRAIN_LIMIT_US);
}

/*
 * Queues one at a time. The device is not told: what it has for a stopped queue waits in the FIFO.
 */

/* What ethdev calls the state of a queue. */
static uint8_t
state_of(bool stopped)
{
	return stopped ? RTE_ETH_QUEUE_STATE_STOPPED : RTE_ETH_QUEUE_STATE_STARTED;
}

void
avpg_queues_note_start(struct avpg_port *port)
{
	struct rte_eth_dev_data *data = port->dev->data;

	for (uint32_t i = 0; i < port->nb_rx_queues; i++) {
		port->rxqs[i]->stopped = port->rxqs[i]->deferred;
		data->rx_queue_state[i] = state_of(port->rxqs[i]->stopped);
	}
	for (uint32_t i = 0; i < port->nb_tx_queues; i++) {
		port->txqs[i]->stopped = port->txqs[i]->deferred;
		data->tx_queue_state[i] = state_of(port->txqs[i]->stopped);
	}
}

void
avpg_queues_note_stop(struct avpg_port *port)
{
	struct rte_eth_dev_data *data = port->dev->data;

	for (uint32_t i = 0; i < data->nb_rx_queues; i++)
		data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (uint32_t i = 0; i < data->nb_tx_queues; i++)
		data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
}

/* Open or close one gate; @stopped and @state are the queue's. */
static int
queue_set(struct avpg_port *port, struct avp_gate *gate, bool *stopped, uint8_t *state, bool stop)
{
	int ret = 0;

	pthread_mutex_lock(&port->ctl_lock);
	if (stop)
		ret = avp_gate_shut(&gate, 1, CLOSE_LIMIT_MS);
	if (ret == 0) {
		*stopped = stop;
		*state = state_of(stop);
	}
	/* an attach or a link that comes up opens it later */
	if (!*stopped && avpg_port_wants_link(port) && avpg_port_state(port) == AVPG_ATTACHED)
		avp_gate_open(gate);
	avpg_intr_wake(port);
	pthread_mutex_unlock(&port->ctl_lock);
	if (ret != 0)
		AVPG_LOG(ERR, "%s: queue not stopped: a burst is still under way after %u ms",
				port->name, CLOSE_LIMIT_MS);
	return ret;
}

int
avpg_rx_queue_start(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_rxq *q = dev->data->rx_queues[queue_id];

	return queue_set(q->port, &q->gate, &q->stopped, &dev->data->rx_queue_state[queue_id],
			false);
}

int
avpg_rx_queue_stop(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_rxq *q = dev->data->rx_queues[queue_id];

	return queue_set(
			q->port, &q->gate, &q->stopped, &dev->data->rx_queue_state[queue_id], true);
}

int
avpg_tx_queue_start(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_txq *q = dev->data->tx_queues[queue_id];

	return queue_set(q->port, &q->gate, &q->stopped, &dev->data->tx_queue_state[queue_id],
			false);
}

int
avpg_tx_queue_stop(struct rte_eth_dev *dev, uint16_t queue_id)
{
	struct avpg_txq *q = dev->data->tx_queues[queue_id];

	return queue_set(
			q->port, &q->gate, &q->stopped, &dev->data->tx_queue_state[queue_id], true);
}
