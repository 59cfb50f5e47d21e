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

#include <ethdev_driver.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_log.h>

#include <avp/avp_abi.h>
#include <avp/avp_fifo.h>

#include "avp_compat.h"
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
/** Bytes of a VLAN tag. */
#define AVPG_VLAN_SIZE 4u

/** The largest MTU, whatever the device: AVP_MAX_PKT_SIZE less Ethernet header and two tags. */
#define AVPG_MAX_MTU (AVP_MAX_PKT_SIZE - AVP_MIN_PKT_SIZE - 2 * AVPG_VLAN_SIZE)

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
	AVPG_RX_OTHER_MAC,   /* for another station, and the port is not promiscuous; no error */
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
	uint64_t no_mbuf;     /* times that the mempool had too few; nothing is lost */
	uint64_t fifo_faults; /* the host's index or length was wrong */
	uint64_t drop[AVPG_RX_NB_DROPS];
};

struct avpg_tx_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t no_buffer;   /* times that the alloc FIFO had too few; nothing is lost */
	uint64_t no_room;     /* times that the tx FIFO was full; nothing is lost */
	uint64_t bad_buffer;  /* entries of the alloc FIFO that could not be used */
	uint64_t fifo_faults; /* the host's index or length was wrong */
	uint64_t drop[AVPG_TX_NB_DROPS];
};

/** An rx FIFO and the free FIFO on which its buffers go back. */
struct avpg_rx_fifo {
	struct avp_fifo_end rx;
	struct avp_fifo_end free;
};

struct avpg_rxq {
	struct avp_gate gate;
	struct avpg_mem mem;
	struct rte_mempool *pool;
	struct avpg_port *port;
	uint32_t max_rx_size;      /* bytes */
	uint32_t mbuf_room;        /* data bytes of one mbuf of the pool */
	struct rte_ether_addr mac; /* whose packets it takes */
	uint16_t port_id;
	uint16_t queue_id;
	uint16_t nb_desc;   /* as asked for; the FIFO's length is the host's */
	uint8_t first_fifo; /* this queue's share of the port's rx FIFOs */
	uint8_t nb_fifos;
	uint8_t next_fifo;  /* of the share: where the next burst starts */
	bool strip_by_copy; /* the device leaves tags in, and the application wants them out */
	struct avpg_rx_stats stats;
	struct avpg_rx_fifo fifos[AVP_MAX_QUEUES];
	struct avpg_rx_stats base; /* stats at the last reset */
} __rte_cache_aligned;

struct avpg_txq {
	struct avp_gate gate;
	struct avpg_mem mem;
	struct avp_fifo_end tx;
	struct avp_fifo_end alloc;
	struct avpg_port *port;
	uint32_t max_pkt_size; /* bytes, VLAN tag in the data included */
	uint16_t port_id;
	uint16_t queue_id;
	uint16_t nb_desc;
	bool vlan_by_desc; /* the device inserts tags */
	struct avpg_tx_stats stats;
	struct avpg_tx_stats base;
} __rte_cache_aligned;

enum avpg_state {
	AVPG_ATTACHED, /* the device is ours */
	AVPG_DETACHED, /* it has asked us to let go; configure and start are refused */
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
	pthread_mutex_t ctl_lock;              /* info, ctrl, and all below but what is atomic */
	uint32_t features;                     /* accepted */
	uint32_t told_mtu;                     /* that the device knows of */
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
	_Atomic(enum avpg_state) state;
	/* the port's own thread, see avpg_migrate.c */
	pthread_t thread;
	bool thread_running;
	bool gone_told; /* the application, that the device is gone; the thread's */
	bool polled;    /* the device cannot interrupt */
	atomic_bool thread_quit;
	sem_t wake;
	_Atomic uint64_t detaches;
	_Atomic uint64_t attaches;
	_Atomic uint64_t attach_failures;
};

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

/** Set ethdev's link status from the port's state. True: it has changed. */
bool avpg_port_link_refresh(struct avpg_port *port);

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
void avpg_rxq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_rxq_info *info);
void avpg_txq_info_get(struct rte_eth_dev *dev, uint16_t queue_id, struct rte_eth_txq_info *info);

/**
 * Take up the FIFOs, with indices as they now are, and give each rx queue its share of them. Gates
 * must be closed. Returns 0 or -errno, with a message logged.
 */
int avpg_queues_reload(struct avpg_port *port);

/** Let bursts in. */
void avpg_queues_open(struct avpg_port *port);

/** Keep bursts out, and wait until none is under way. -ETIMEDOUT when an lcore stays inside one. */
int avpg_queues_close(struct avpg_port *port);

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
int avpg_xstats_get_names(
		struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int size);
int avpg_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *stats, unsigned int size);

/*
 * avpg_migrate.c: detach and attach
 */

/** Start the port's thread and enable the device's interrupt. 0 or -errno with @err filled in. */
int avpg_migrate_start(struct avpg_port *port, struct avp_err *err);

/** Disable the interrupt and end the thread; a detach or attach under way ends early. */
void avpg_migrate_stop(struct avpg_port *port);

#endif /* AVPG_PORT_H */
