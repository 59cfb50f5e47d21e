/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A job of vm_traffic: one or two streams of packets through the guest, compared byte by byte.
 *
 * How it works
 * A stream sends on one port and expects its packets on another. What it may have on the way is
 * limited by a window, counted in buffers of the guest, so that nothing on the way can overflow and
 * every packet must come back, each flow in its order. With @lossy packets may be lost, as when the
 * guest is killed, but still none may be changed, doubled, or overtaken by another of its flow.
 */

#ifndef TRAFFIC_JOB_H
#define TRAFFIC_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_mbuf.h>

#include "traffic_pkt.h"

#define TRAFFIC_MAX_STREAMS 4
#define TRAFFIC_MAX_QUEUES 8
#define TRAFFIC_ERROR_SIZE 320

/** A port as the jobs use it. */
struct traffic_port {
	uint16_t id;
	uint16_t nb_queues; /* rx and tx each */
};

struct traffic_stream {
	struct traffic_spec spec;
	const struct traffic_port *from;
	const struct traffic_port *to;
	uint32_t count;    /* packets to send, 0 = until stopped */
	uint32_t nb_segs;  /* at most so many segments in a sent mbuf, cut at random */
	bool vlan_offload; /* give the tag out of band (RTE_MBUF_F_TX_VLAN), not in the data */

	uint32_t next_seq[TRAFFIC_MAX_FLOWS]; /* to send */
	uint32_t want_seq[TRAFFIC_MAX_FLOWS]; /* expected next */
	uint32_t in_flight;                   /* buffers */
	uint64_t sent;
	uint64_t expected; /* of those sent, so many must come back */
	uint64_t received;
	uint64_t lost;
	uint64_t bytes;                        /* received */
	uint64_t chains;                       /* received packets of more than one segment */
	uint64_t rx_queue[TRAFFIC_MAX_QUEUES]; /* received on each queue */
	struct rte_mbuf *pending;              /* refused by the port; the next to send */
	uint16_t pending_queue;
	uint32_t pending_cost;
};

struct traffic_job {
	uint32_t number; /* 0: none */
	struct traffic_stream streams[TRAFFIC_MAX_STREAMS];
	uint32_t nb_streams;
	uint32_t window; /* buffers of each stream on the way */
	bool lossy;
	bool stopping;
	uint64_t limit_tsc;             /* without progress for so long the job fails */
	uint64_t progress_tsc;          /* when something was sent or received last */
	uint64_t stale;                 /* packets of earlier jobs */
	uint64_t bad;                   /* everything that should not have come as it came */
	char error[TRAFFIC_ERROR_SIZE]; /* the first of these */
};

/** Prepare a job whose streams' parameters are set. */
void traffic_job_begin(struct traffic_job *job, uint32_t number, uint64_t limit_ms);

/**
 * Send and receive a little.
 *
 * Returns the number of packets moved.
 */
uint32_t traffic_job_poll(struct traffic_job *job, struct rte_mempool *pool);

/** Is there nothing more to wait for? Fills in job->error when that is a failure. */
bool traffic_job_done(struct traffic_job *job);

/** Free what was not sent, and print the result as one line of JSON. */
void traffic_job_end(struct traffic_job *job, FILE *out);

#endif /* TRAFFIC_JOB_H */
