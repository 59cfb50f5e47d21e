/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The guest driver's core: state of a port and of its queues, and what its files offer each other.
 * No bus is known here; see avpg_hw.h.
 *
 * How it works
 * Three kinds of thread meet in a port. Lcores run bursts on queues, each queue on one lcore at a
 * time. The application's control thread calls ethdev operations. The port's own thread carries out
 * detach and attach when the device has asked for it. The last two exclude each other with
 * ctl_lock, which is a sleeping lock that no burst ever takes.
 *
 * A burst may use the FIFOs only inside its queue's gate. Whoever wants to change what bursts use
 * closes the gates of the port, which waits for the bursts under way; a burst that finds its gate
 * closed returns 0.
 */

#ifndef AVPG_PORT_H
#define AVPG_PORT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_log.h>

#include <avp/avp_abi.h>
#include <avp/avp_cring.h>
#include <avp/avp_fifo.h>

#include "avp_compat.h"
#include "avp_copy.h"
#include "avp_gate.h"
#include "avpg_addr.h"
#include "avpg_ctrl.h"
#include "avpg_hw.h"

/** Packets that a burst handles in one go; longer bursts are made of several. */
#define AVPG_BURST 32u
/** mbufs that these may take at once, and so the most that one packet may take. */
#define AVPG_BURST_MBUFS 160u
/** Least room for data in an mbuf of a receive queue; even the largest packet then fits. */
#define AVPG_MIN_MBUF_ROOM 64u
_Static_assert(AVP_MAX_PKT_SIZE <= AVPG_BURST_MBUFS * AVPG_MIN_MBUF_ROOM,
		"a packet must fit the mbufs of one burst");
/** How long a detach waits for packets that are on their way. */
#define AVPG_DRAIN_LIMIT_US 200000u
/** Counters of a port, those of queues apart. */
#define AVPG_MAX_PORT_COUNTERS 24u
/** Groups that an application can have listed. */
#define AVPG_MAX_GROUPS 64u
/** Bytes of a VLAN tag. */
#define AVPG_VLAN_SIZE 4u

/** The largest MTU, whatever the device: AVP_MAX_PKT_SIZE less Ethernet header and two tags. */
#define AVPG_MAX_MTU (AVP_MAX_PKT_SIZE - AVP_MIN_PKT_SIZE - 2 * AVPG_VLAN_SIZE)

struct avpg_recycle;
struct avpg_table;

extern int avpg_logtype;
/** @fmt starts with "%s: ", for the name of the port. */
#define AVPG_LOG(level, fmt, ...) rte_log(RTE_LOG_##level, avpg_logtype, fmt "\n", __VA_ARGS__)

/** Why a received packet was not handed to the application. Names are in avpg_stats.c. */
enum avpg_rx_drop {
	AVPG_RX_OK,
	AVPG_RX_BAD_LABEL,   /* head's label outside BAR 2, or not aligned */
	AVPG_RX_BAD_CHAIN,   /* number of segments is not 1..5 or not that of the chain */
	AVPG_RX_BAD_SEGMENT, /* a segment's descriptor or data outside BAR 2 */
	AVPG_RX_BAD_LEN,     /* segments do not add up to the packet */
	AVPG_RX_TOO_SHORT,   /* less than an Ethernet header */
	AVPG_RX_TOO_LONG,    /* more than the device said it would send */
	AVPG_RX_IN_USE,      /* a buffer of it has not been given back */
	AVPG_RX_OTHER_MAC,   /* for another station, and the port is not promiscuous; no error */
	AVPG_RX_OTHER_GROUP, /* for a group that was not asked for; no error */
	AVPG_RX_NB_DROPS,
};

/** Why a packet was not sent and is lost. */
enum avpg_tx_drop {
	AVPG_TX_OK,
	AVPG_TX_TOO_SHORT, /* less than an Ethernet header */
	AVPG_TX_TOO_LONG,  /* more than five buffers, or than the contract, have room for */
	AVPG_TX_BAD_MBUF,  /* segments do not add up to the packet */
	AVPG_TX_NB_DROPS,
};

/** Written by the lcore that owns the queue, read by anybody. */
struct avpg_rx_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t by_pointer;  /* packets not copied */
	uint64_t copied_held; /* packets copied because the application holds many that were not */
	uint64_t no_mbuf;     /* times that the mempool had too few; nothing is lost */
	uint64_t fifo_faults; /* the host's index or length was wrong */
	uint64_t drop[AVPG_RX_NB_DROPS];
};

struct avpg_tx_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t by_pointer;  /* packets no byte of which was copied */
	uint64_t no_buffer;   /* times that the alloc FIFO had too few; nothing is lost */
	uint64_t no_room;     /* times that the tx FIFO was full; nothing is lost */
	uint64_t closed;      /* times that the port or queue was not to be used; likewise */
	uint64_t bad_buffer;  /* entries of the alloc FIFO that could not be used */
	uint64_t fifo_faults; /* the host's index or length was wrong */
	uint64_t drop[AVPG_TX_NB_DROPS];
};

/** An rx FIFO and the free FIFO on which its buffers go back. */
struct avpg_rx_fifo {
	struct avp_fifo_end rx;
	struct avp_cring_end *crx; /* instead of it, with "compact"; the port's */
	struct avp_fifo_end free;
	_Atomic uint32_t *arm; /* its armed word; NULL without rx interrupts */
};

struct avpg_rxq {
	struct avp_gate gate;
	struct avpg_mem mem;
	struct rte_mempool *pool;
	struct avpg_port *port;
	struct avpg_table *table; /* of buffers by pointer; NULL: all by copy */
	uint32_t hold;            /* such buffers that the application may have */
	uint32_t max_idle;        /* mbufs of its mempool that may wait for packets */
	uint64_t rearm;           /* avp_mbuf_rearm() */
	avp_copy_fn wide_copy;
	uint32_t max_rx_size;      /* bytes */
	uint32_t mbuf_room;        /* data bytes of one mbuf of the pool */
	struct rte_ether_addr mac; /* whose packets it takes */
	uint16_t port_id;
	uint16_t queue_id;
	atomic_bool armed;  /* the application may be asleep; by any thread */
	uint8_t first_fifo; /* this queue's share of the port's rx FIFOs */
	uint8_t nb_fifos;
	uint8_t next_fifo;  /* of the share: where the next burst starts */
	bool compact;       /* rx FIFOs are compact rings */
	bool strip_by_copy; /* the device leaves tags in, and the application wants them out */
	bool deferred;      /* not started with the port */
	bool stopped;       /* by itself; its gate stays closed when those of the port open */
	struct avpg_rx_stats stats;
	struct avpg_rx_fifo fifos[AVP_MAX_QUEUES];
	struct avpg_rx_stats base;    /* stats at the last reset */
	_Atomic uint32_t nb_shut_out; /* bursts that found the gate shut; by its lcore only */
} __rte_cache_aligned;

static inline uint32_t
avpg_rx_nb_shut_out(const struct avpg_rxq *q)
{
	return atomic_load_explicit(&q->nb_shut_out, memory_order_relaxed);
}

struct avpg_txq {
	struct avp_gate gate;
	struct avpg_mem mem;
	struct avp_fifo_end tx;
	struct avp_cring_end *ctx; /* instead of it, with "compact"; the port's */
	struct avp_fifo_end alloc;
	struct avpg_port *port;
	struct avpg_recycle *recycle; /* what may be sent by pointer; NULL: nothing */
	avp_copy_fn wide_copy;
	uint32_t max_pkt_size; /* bytes, VLAN tag in the data included */
	uint32_t data_off; /* of an empty buffer's data, from its start; 0: its descriptor says */
	uint32_t spare;    /* entries of the tx FIFO left free, so that nb_desc are not exceeded */
	uint16_t port_id;
	uint16_t queue_id;
	uint16_t nb_desc;  /* as asked for: packets that may wait for the host */
	bool vlan_by_desc; /* the device inserts tags */
	bool deferred;     /* as of a rx queue */
	bool stopped;
	struct avpg_tx_stats stats;
	struct avpg_tx_stats base;
} __rte_cache_aligned;

enum avpg_state {
	AVPG_ATTACHED, /* the device is ours */
	AVPG_DETACHED, /* it has asked us to let go: what is configured and started waits */
	AVPG_FAILED,   /* it came back as one that we cannot use */
	AVPG_GONE,     /* unplugged, or its server has died; final */
};

/** A port; ethdev's dev_private. */
struct avpg_port {
	struct rte_eth_dev *dev;
	struct avpg_hw *hw;
	const char *name; /* the port's, for messages */
	struct avpg_info info;
	struct avpg_ctrl ctrl;
	struct avpg_recycle *recycle; /* of this configuration; NULL: by copy */
	/* The ends of compact rings, by number of the FIFO: where a side is, it alone knows, and
	 * queues come and go. Used by their queues' lcores. */
	struct avpg_ring {
		struct avp_cring_end end;
	} __rte_cache_aligned crx[AVP_MAX_QUEUES], ctx[AVP_MAX_QUEUES];
	pthread_mutex_t ctl_lock;              /* info, ctrl, and all below but what is atomic */
	uint32_t features;                     /* accepted */
	uint32_t told_mtu;                     /* that the device knows of */
	uint16_t app_mtu;                      /* that the application wants */
	struct avpg_rxq *rxqs[AVP_MAX_QUEUES]; /* NULL: not set up; ethdev has its own list */
	struct avpg_txq *txqs[AVP_MAX_QUEUES];
	uint8_t nb_rx_queues; /* as configured by the application */
	uint8_t nb_tx_queues;
	uint8_t nb_rx_fifos; /* in use since configure, >= rx queues */
	uint8_t nb_tx_fifos;
	bool configured; /* by the application */
	bool started;    /* likewise */
	bool link_off;   /* started, but the application has set the link down */
	atomic_bool promiscuous;
	atomic_bool all_groups; /* all-multicast; else only those of the list */
	uint32_t nb_groups;     /* list and number change while gates are closed */
	struct rte_ether_addr groups[AVPG_MAX_GROUPS];
	uint32_t max_queues;        /* that the user wants at most; 0 = as many as the device has */
	atomic_bool host_link_down; /* as the device said last; false where it does not say */
	_Atomic uint32_t host_mtu;  /* likewise, a limit in bytes; 0 = none */
	_Atomic(enum avpg_state) state;
	atomic_bool migrating; /* a detach or attach is under way; not a mere link event */
	/* the port's own thread, see avpg_migrate.c */
	pthread_t thread;
	bool thread_running;
	enum avpg_state told_state; /* that the application knows of, by events */
	uint64_t detached_ms;       /* since when; CLOCK_MONOTONIC, as the next one */
	uint64_t looked_ms;         /* when the thread read the registers last */
	bool rx_intr; /* rx queues have eventfds: between start and stop, if asked for */
	bool polled;  /* the device cannot interrupt */
	atomic_bool thread_quit;
	sem_t wake;
	_Atomic uint64_t detaches;
	_Atomic uint64_t attaches;
	_Atomic uint64_t attach_failures;
	_Atomic uint64_t ops_busy;      /* operations refused during a detach or attach */
	_Atomic uint64_t ops_no_device; /* and while the device is not there */
	uint64_t counters_base[AVPG_MAX_PORT_COUNTERS]; /* where avpg_stats.c has reset them to */
};

/** Entries that a queue's FIFO has, and those that packets can be in. 0: not taken up yet. */
static inline uint32_t
avpg_rx_fifo_len(const struct avpg_rx_fifo *fifo)
{
	return fifo->crx != NULL ? fifo->crx->len : fifo->rx.len;
}

static inline uint32_t
avpg_rx_fifo_capacity(const struct avpg_rx_fifo *fifo)
{
	if (fifo->crx != NULL)
		return fifo->crx->len;
	return fifo->rx.len == 0 ? 0 : fifo->rx.len - 1;
}

/** Entries that wait to be read. */
static inline uint32_t
avpg_rx_fifo_used(const struct avpg_rx_fifo *fifo)
{
	return fifo->crx != NULL ? avp_cring_waiting(fifo->crx, UINT32_MAX)
				 : avp_fifo_used(&fifo->rx);
}

static inline uint32_t
avpg_tx_fifo_capacity(const struct avpg_txq *q)
{
	if (q->ctx != NULL)
		return q->ctx->len;
	return q->tx.len == 0 ? 0 : q->tx.len - 1;
}

static inline uint32_t
avpg_tx_fifo_used(const struct avpg_txq *q)
{
	return q->ctx != NULL ? avp_cring_used(q->ctx) : avp_fifo_used(&q->tx);
}

static inline enum avpg_state
avpg_port_state(const struct avpg_port *port)
{
	return atomic_load_explicit(
			&((struct avpg_port *)(uintptr_t)port)->state, memory_order_acquire);
}

/*
 * avpg_ethdev.c
 */

/**
 * Make an ethdev of a device. The glue has allocated @dev, with a struct avpg_port as private data.
 *
 * @hw  the port's from now on, on success; hw->ops->destroy() ends it when the port is closed
 * Returns 0 or -errno with @err filled in.
 */
int avpg_ethdev_init(struct rte_eth_dev *dev, struct avpg_hw *hw, struct avp_err *err);

/** The device does not answer any more and never will. Any thread but an lcore; does not block: the
 * port's thread does what follows from it. */
void avpg_port_gone(struct avpg_port *port);

/** Tell the device how the application has configured the port, FIFOs in use included; then what
 * the FIFOs hold is new. Gates must be closed. 0 or -errno. ctl_lock held. */
int avpg_port_configure(struct avpg_port *port);

/** Do applications' packets flow when the device is there? */
static inline bool
avpg_port_wants_link(const struct avpg_port *port)
{
	return port->started && !port->link_off;
}

/** Begin an operation that talks to the device, or changes what bursts use: take ctl_lock. 0, or
 * -errno, logged and counted, and nothing to undo. @what: names the operation. */
int avpg_ctl_begin(struct avpg_port *port, const char *what);
/** The same for one that can be carried out without the device, and waits for the attach then. */
int avpg_ctl_begin_detached(struct avpg_port *port, const char *what);
void avpg_ctl_end(struct avpg_port *port);

/** Words for people. */
const char *avpg_state_text(enum avpg_state state);

/*
 * avpg_link.c
 */

/** Set ethdev's link status from the port's state. True: it has changed. */
bool avpg_port_link_refresh(struct avpg_port *port);
int avpg_link_update(struct rte_eth_dev *dev, int wait_to_complete);

/** The largest MTU that device and host allow. Any thread. */
uint16_t avpg_port_max_mtu(const struct avpg_port *port);

/** Read what the device says of the host's link and MTU, if it does. */
void avpg_port_link_load(struct avpg_port *port);

/** Set ethdev's MTU to what the application wants or the host allows, and tell the device if it
 * does not know. True: it has changed. ctl_lock held, device configured. */
bool avpg_port_mtu_follow(struct avpg_port *port);

/** The device says that link or MTU has changed. True: the port's has, too. ctl_lock held. */
bool avpg_port_link_event(struct avpg_port *port);

/*
 * avpg_intr.c; ctl_lock held, but for the two that ethdev calls
 */

int avpg_rx_intr_enable(struct rte_eth_dev *dev, uint16_t queue_id);
int avpg_rx_intr_disable(struct rte_eth_dev *dev, uint16_t queue_id);

/** If the application wants rx interrupts: can it have them of this device? 0 or -ENOTSUP, logged.
 */
int avpg_intr_check(const struct avpg_port *port, const struct avpg_info *info);

/** Give the rx queues their eventfds, if the application wants that. 0 or -errno, logged. */
int avpg_intr_start(struct avpg_port *port);
void avpg_intr_stop(struct avpg_port *port);

/** Wake whoever has armed a queue: something else than a packet has come. */
void avpg_intr_wake(struct avpg_port *port);

/*
 * avpg_queue.c; what walks over all queues wants ctl_lock held
 */

int avpg_rx_queue_setup(struct rte_eth_dev *dev, uint16_t queue_id, uint16_t nb_desc,
		unsigned int socket_id, const struct rte_eth_rxconf *conf,
		struct rte_mempool *pool);
int avpg_tx_queue_setup(struct rte_eth_dev *dev, uint16_t queue_id, uint16_t nb_desc,
		unsigned int socket_id, const struct rte_eth_txconf *conf);
void avpg_rx_queue_release(struct rte_eth_dev *dev, uint16_t queue_id);
void avpg_tx_queue_release(struct rte_eth_dev *dev, uint16_t queue_id);
int avpg_rx_queue_start(struct rte_eth_dev *dev, uint16_t queue_id);
int avpg_rx_queue_stop(struct rte_eth_dev *dev, uint16_t queue_id);
int avpg_tx_queue_start(struct rte_eth_dev *dev, uint16_t queue_id);
int avpg_tx_queue_stop(struct rte_eth_dev *dev, uint16_t queue_id);

/** The port starts or stops: note which queues do so with it, for ethdev too. */
void avpg_queues_note_start(struct avpg_port *port);
void avpg_queues_note_stop(struct avpg_port *port);

/** Which of the rx FIFOs in use a queue has; returns their number. The port must be configured. */
uint8_t avpg_rxq_share(const struct avpg_port *port, uint16_t queue_id, uint8_t *first);

/**
 * Take up the FIFOs, with indices as they now are, and give each rx queue its share of them. Gates
 * must be closed. Returns 0 or -errno, with a message logged.
 */
int avpg_queues_reload(struct avpg_port *port);

/** Decide anew who takes tags out of received packets. Gates must be closed. */
void avpg_queues_set_strip(struct avpg_port *port);

/** Let bursts in, but those of queues that were stopped by themselves. */
void avpg_queues_open(struct avpg_port *port);

/** Open the gates that avpg_queues_close() has closed, if the port is in use. */
void avpg_queues_reopen(struct avpg_port *port);

/**
 * Before bursts are kept out: give the application time to receive what is there, then, while it
 * receives no more, to send what it has of the device's buffers, and the host to take what was
 * sent. No longer than they need, and each AVPG_DRAIN_LIMIT_US at most.
 */
void avpg_queues_drain(struct avpg_port *port);

/** Keep bursts out, and wait until none is under way. -ETIMEDOUT when an lcore stays inside one:
 * gates are closed all the same. */
int avpg_queues_close(struct avpg_port *port);

/*
 * avpg_filter.c: which packets are received
 */

int avpg_promiscuous_enable(struct rte_eth_dev *dev);
int avpg_promiscuous_disable(struct rte_eth_dev *dev);
int avpg_allmulticast_enable(struct rte_eth_dev *dev);
int avpg_allmulticast_disable(struct rte_eth_dev *dev);
int avpg_mc_addr_list_set(
		struct rte_eth_dev *dev, struct rte_ether_addr *groups, uint32_t nb_groups);
int avpg_mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac);

/** Are packets to this group, or to all stations, received? Context: a burst of the port. */
static inline bool
avpg_filter_group(const struct avpg_port *port, const struct rte_ether_addr *dst)
{
	if (atomic_load_explicit(&((struct avpg_port *)(uintptr_t)port)->all_groups,
			    memory_order_relaxed) ||
			rte_is_broadcast_ether_addr(dst))
		return true;
	for (uint32_t i = 0; i < port->nb_groups; i++)
		if (rte_is_same_ether_addr(&port->groups[i], dst))
			return true;
	return false;
}

/*
 * avpg_info.c: what an application can learn; all but the dump on any thread, at any time
 */

int avpg_dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info);
int avpg_fw_version_get(struct rte_eth_dev *dev, char *version, size_t size);
void avpg_rxq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_rxq_info *info);
void avpg_txq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_txq_info *info);
int avpg_burst_mode_get(
		struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_burst_mode *mode);
AVP_RX_QUEUE_COUNT_RET avpg_rx_queue_count(void *rxq);
int avpg_rx_descriptor_status(void *rxq, uint16_t offset);
int avpg_tx_descriptor_status(void *txq, uint16_t offset);
int avpg_tx_done_cleanup(void *txq, uint32_t nb_free);
int avpg_get_monitor_addr(void *rxq, struct rte_power_monitor_cond *cond);
int avpg_priv_dump(struct rte_eth_dev *dev, FILE *file);

/*
 * avpg_rx.c, avpg_tx.c: the burst functions
 */

uint16_t avpg_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t avpg_tx_burst(void *txq, struct rte_mbuf **pkts, uint16_t nb_pkts);

/*
 * avpg_stats.c
 */

int avpg_stats_get(AVP_STATS_GET_PARAMS);
int avpg_stats_reset(struct rte_eth_dev *dev);
int avpg_xstats_reset(struct rte_eth_dev *dev);
int avpg_xstats_get_names(
		struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int size);
int avpg_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *stats, unsigned int size);

/*
 * avpg_migrate.c: detach and attach
 */

/** Start the port's thread and enable the device's interrupt. 0 or -errno with @err filled in. */
int avpg_migrate_start(struct avpg_port *port, struct avp_err *err);

/** Change the state, unless it is the final one. ctl_lock held. */
void avpg_state_set(struct avpg_port *port, enum avpg_state state);

/** Disable the interrupt and end the thread; a detach or attach under way ends early. */
void avpg_migrate_stop(struct avpg_port *port);

#endif /* AVPG_PORT_H */
