/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What an application can ask of a net_avp_host port beyond ethdev. Link with
 * librte_net_avp_host.so; all else of the driver is reached through ethdev.
 */

#ifndef AVPH_API_H
#define AVPH_API_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The driver is built with all else hidden. */
#pragma GCC visibility push(default)

struct rte_mempool;

/**
 * The port's own mempool: one fixed mbuf per packet buffer of the port. Given to
 * rte_eth_rx_queue_setup() it makes receive free of cost per packet; with any other mempool the
 * buffers are attached to that pool's mbufs as external buffers.
 *
 * Returns NULL with rte_errno = ENODEV when @port_id is no net_avp_host port. The pool lives as
 * long as the port, and on until its last mbuf has come back; take none from it after close.
 */
struct rte_mempool *rte_avp_host_mempool(uint16_t port_id);

/** State of a port that ethdev has no word for. */
struct rte_avp_host_info {
	char socket_path[108];
	char domain[32];   /* empty: isolated */
	uint64_t mem_size; /* bytes of BAR 2 */
	uint64_t mem_used; /* bytes that the system gave to this port's memory */
	uint64_t device_id;
	uint32_t ring_len;         /* entries of a FIFO */
	uint32_t nb_bufs;          /* packet buffers of the port */
	uint32_t page_size;        /* bytes, of the shared memory */
	uint32_t max_pkt_size;     /* bytes, mru */
	uint32_t features_offered; /* AVP_FEATURE_* */
	uint32_t features;         /* taken up by the guest */
	uint32_t mtu;              /* as set by the guest, 0 = never */
	uint32_t driver_type;
	uint32_t driver_version;
	uint8_t nb_queues;    /* FIFOs of each kind */
	uint8_t nb_tx_queues; /* in use by the guest */
	uint8_t nb_rx_queues;
	uint8_t connected;
	uint8_t configured;
	uint8_t link_up;
	uint8_t running;
	uint8_t migration;  /* enum avp_migration */
	uint32_t nb_unread; /* entries of FIFOs to the guest that it has not read yet */
	uint64_t connects;
	uint64_t requests;
	uint64_t requests_refused;
	uint64_t requests_bad;     /* entries of the request FIFO that do not name the slot */
	uint64_t ctrl_fifo_faults; /* index or length of a control FIFO overwritten */
};

/** Fill in @info. Returns 0 or -ENODEV. Control context: takes a call into the control thread. */
int rte_avp_host_info_get(uint16_t port_id, struct rte_avp_host_info *info);

/**
 * Ask the guest to let go of the device (detach), or to take it up again (attach). These return at
 * once; rte_avp_host_migration_result() tells the end. Any number of ports may be under way.
 *
 * A request replaces one of the other kind that is under way on the port: that way a detach is
 * called off.
 *
 * @timeout_ms  1..60000, for the guest's acknowledge; for an attach also 0: nobody is waited for,
 * as after a detach elsewhere that found no driver.
 *
 * Returns 0 or -errno: -ENODEV, -EINVAL, -EALREADY when the same is under way, -EPIPE when the
 * port's device is broken, -EAGAIN when too much is under way with it. Control context: takes a
 * call into the control thread. May be called in a callback of ethdev.
 */
int rte_avp_host_detach_begin(uint16_t port_id, uint32_t timeout_ms);
int rte_avp_host_attach_begin(uint16_t port_id, uint32_t timeout_ms);

/**
 * How did the last detach or attach end?
 *
 * @result   out, unless NULL: 0; -ETIMEDOUT when the guest has not acknowledged in time; -EIO when
 * it acknowledged with an error; -EALREADY when there was nothing to do; -ENOTCONN, at once, when
 * nobody is there to ask: no client, or one whose guest has no driver for the device; also when the
 * client went before it had attached; -EPIPE. Detached or attached it is in any case.
 * @took_us  out, unless NULL: from begin to end
 * Returns 0 when both are filled in, -EINPROGRESS, -ENOENT when there was no request yet, -ENODEV.
 * Any thread that keeps the port from being closed; waits for nothing.
 */
int rte_avp_host_migration_result(uint16_t port_id, int *result, uint32_t *took_us);

/**
 * The same as begin, and wait for the end.
 *
 * Returns what begin or migration_result say, or -ECANCELED when the other one has been asked for
 * meanwhile. Control context, blocks; not in a callback of ethdev.
 */
int rte_avp_host_detach(uint16_t port_id, uint32_t timeout_ms);
int rte_avp_host_attach(uint16_t port_id, uint32_t timeout_ms);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* AVPH_API_H */
