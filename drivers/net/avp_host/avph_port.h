/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The driver's central structures: port, lanes, queues. Who may touch what:
 *
 *   lanes   one lcore each, by way of the queue that serves them, within an open gate; the control
 *           thread while all gates of the port are shut
 *   queues  set up by the application while the port is stopped; bursts read them
 *   port    the control thread; ethdev operations call into it with avp_loop_call()
 *
 * How it works
 * A lane is FIFO number i of a pair of kinds: {tx, alloc} is served by host receive, {rx, free} by
 * host transmit. Applications have queues in any number, guests have FIFOs in another; the control
 * thread deals lanes out to queues whenever one of the numbers changes (avph_port_deal_lanes()).
 * With at least as many FIFOs as queues each FIFO belongs to one queue. With fewer, rx queues
 * beyond them have nothing to do, and tx queues share lanes under a lock.
 */

#ifndef AVPH_PORT_H
#define AVPH_PORT_H

#include <stdatomic.h>
#include <sys/queue.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_spinlock.h>

#include <avp/avp_cring.h>
#include <avp/avp_fifo.h>

#include "avp_copy.h"
#include "avp_gate.h"
#include "avp_loop.h"
#include "avpd_device.h"
#include "avph_api.h"
#include "avph_args.h"
#include "avph_buf.h"
#include "avph_intr.h"
#include "avph_mem.h"
#include "avph_migrate.h"
#include "avph_process.h"
#include "avph_stats.h"

/** Queues that an application may have, of each kind; more than FIFOs, so that each lcore can have
 * its own. */
#define AVPH_MAX_APP_QUEUES 64u
/** Packets that a burst works on at a time. */
#define AVPH_BURST 32u

/** Guest's FIFOs tx and alloc number i. */
struct avph_rx_lane {
	union {
		struct avp_fifo_end tx;
		struct avp_cring_end ctx; /* with "compact" */
	};
	struct avp_fifo_end alloc;
	uint32_t nb_alloc;  /* buffers that the guest has for sending */
	uint32_t max_alloc; /* and may have */
	uint16_t owner;     /* entry of those buffers */
} __rte_cache_aligned;

/** Buffers given on an rx FIFO, as far as several lcores have to do with them: with the bit
 * "recycle" they come back on any tx FIFO. */
struct avph_returns {
	rte_spinlock_t lock; /* taken to end the guest's ownership of such a buffer */
	_Atomic uint32_t nb; /* buffers that have come back on a tx FIFO, ever; under the lock */
	_Atomic uint32_t nb_ptr; /* of these: in mbufs of others */
} __rte_cache_aligned;

/** Guest's FIFOs rx and free number i. */
struct avph_tx_lane {
	union {
		struct avp_fifo_end rx;
		struct avp_cring_end crx; /* with "compact" */
	};
	struct avp_fifo_end free;
	_Atomic uint32_t *arm; /* guest-written; NULL: it does not use rx interrupts */
	uint32_t room;         /* in rx, for this burst */
	uint32_t nb_put;       /* entries of this burst, not yet published */
	uint32_t nb_held;      /* packets that the guest has not returned, as far as we looked; with
				* "recycle" buffers */
	uint32_t max_held;     /* beyond this nothing is given */
	uint32_t reap_at;      /* look at the free FIFO when nb_held reaches this */
	uint32_t nb_ptr;       /* mbufs of others among what it has: packets passed by pointer */
	uint32_t max_ptr; /* beyond this packets are copied, so that a guest that returns nothing
			   * cannot drain the pools of its neighbours */
	uint32_t seen_nb; /* of back.nb, and so on: left nb_held already */
	uint32_t seen_nb_ptr;
	uint16_t owner;      /* entry of the heads of those packets */
	rte_spinlock_t lock; /* taken only when several queues share the lane */
	struct avph_returns back;
} __rte_cache_aligned;

struct avph_rx_queue {
	struct avp_gate gate;
	struct avph_mem *mem __rte_cache_aligned;
	struct rte_mempool *fixed_pool; /* the port's own */
	struct rte_mempool *app_pool;   /* NULL: receive into fixed_pool */
	struct avph_rx_lane *lanes[AVP_MAX_QUEUES];
	struct avph_tx_lane *tx_lanes; /* all of the port, by number */
	uint16_t nb_lanes;
	uint16_t next; /* lane to begin the next burst with */
	uint16_t port_id;
	uint16_t queue_id;
	bool vlan_strip;
	bool recycle;   /* the guest may send what it got */
	bool compact;   /* tx FIFOs are compact rings */
	uint64_t rearm; /* avp_mbuf_rearm() */
	struct avph_rx_stats stats;
};

struct avph_tx_queue {
	struct avp_gate gate;
	struct avph_mem *mem __rte_cache_aligned;
	struct avph_intr *intr;
	struct rte_mempool *fixed_pool;
	struct avph_tx_lane *lanes[AVP_MAX_QUEUES];
	uint16_t nb_lanes;
	uint16_t queue_id;
	bool shared;  /* its one lane is other queues' too */
	bool vlan;    /* the guest takes tags out of band */
	bool chains;  /* the guest takes chains of packets that would fit one buffer */
	bool recycle; /* the guest may send what it got */
	bool compact; /* rx FIFOs are compact rings */
	avp_copy_fn wide_copy;
	bool each;        /* the guest returns each buffer by itself */
	uint32_t max_pkt; /* bytes, mru */
	struct avph_tx_stats stats;
};

struct avph_port {
	LIST_ENTRY(avph_port) telemetry_entry;
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_eth_dev *eth_dev;
	struct avph_process *process;
	struct avph_args args;
	struct rte_ether_addr mac;
	struct avph_mem *mem;
	struct avph_pool *pool;
	struct avpd_layout layout;
	struct avpd_device *device;
	struct avp_watch chan; /* datapath's end of the device's channel */
	struct avpd_guest guest;
	struct avpd_host host; /* as the device was told last */
	bool started;
	bool link_wanted;      /* dev_set_link_up/down */
	uint16_t mtu;          /* as set by the application, 0 = not */
	uint16_t nb_rx_queues; /* of the application, as configured */
	uint16_t nb_tx_queues;
	uint32_t features;              /* offered */
	_Atomic uint64_t nb_resets;     /* times that the FIFOs were made anew */
	_Atomic uint64_t nb_taken_back; /* buffers that the guest had then */
	struct avph_migration migration;
	struct avph_intr intr;
	struct avph_rx_queue *rx_queues[AVPH_MAX_APP_QUEUES];
	struct avph_tx_queue *tx_queues[AVPH_MAX_APP_QUEUES];
	struct avph_rx_lane rx_lanes[AVP_MAX_QUEUES];
	struct avph_tx_lane tx_lanes[AVP_MAX_QUEUES];
};

/**
 * Make the device, its memory and pool, and listen. Called on the control thread, as all below.
 *
 * Returns 0 or -errno with @err filled in. The caller has filled in name, eth_dev, process, args.
 */
int avph_port_open(struct avph_port *port, struct avp_err *err);
/** Undo it: the guest is disconnected, its buffers are taken back. */
void avph_port_close(struct avph_port *port);

/** Let packets flow if they may: started, link wanted, guest running; else keep the gates shut.
 * Deals the lanes out anew. */
void avph_port_update(struct avph_port *port);
/** Shut all gates of the port. */
void avph_port_shut(struct avph_port *port);

/** Tell the device of the link and MTU here, if they have changed. */
void avph_port_tell_host(struct avph_port *port);

/** Is the link up? */
bool avph_port_link(const struct avph_port *port);
/** Tell ethdev of the link, and the application if it wants to know and it changed. */
void avph_port_link_report(struct avph_port *port, bool event);

/** Send the device a message. 0, -EAGAIN when the channel is full, -EPIPE when the device is gone.
 */
int avph_port_send(struct avph_port *port, const struct avpd_msg *msg);

/** The port with this ethdev number, or NULL. Threads of the application, which know whether they
 * have closed it. */
struct avph_port *avph_port_by_id(uint16_t port_id);

/** Entries of FIFOs to the guest that it has not read. Control thread. */
uint32_t avph_port_nb_unread(const struct avph_port *port);

/** What rte_avp_host_info_get() tells. Any thread that keeps the port from being closed. */
void avph_port_info(struct avph_port *port, struct rte_avp_host_info *info);

/** Let telemetry find an open port, and no more: after the second it is not looked at. Any thread
 * but the control thread. */
void avph_telemetry_add(struct avph_port *port);
void avph_telemetry_remove(struct avph_port *port);

/* The packet path: avph_rx.c, avph_rx_compact.c, avph_tx.c. Context: the queue's lcore. */
uint16_t avph_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t avph_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
/** Give the guest buffers to send with, before the first burst. Control thread; the gate is shut.
 */
void avph_rx_fill(struct avph_rx_queue *queue);
/** Packets that wait to be received. */
uint32_t avph_rx_pending(struct avph_rx_queue *queue);
/** Take back what the guest has returned. Returns the number of packets. */
uint32_t avph_tx_reap(struct avph_tx_queue *queue);

#endif /* AVPH_PORT_H */
