/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Two ends of AVP ports in one process, for port tests: a net_avp_host and a net_avp_user that are
 * connected by a socket, each with a mempool of its own, and packets whose every byte is known.
 *
 * A packet is Ethernet, IPv4 and UDP of one flow, with the number that it has in its flow.
 * Failures end the test (cmocka assertions).
 */

#ifndef PORT_PAIR_H
#define PORT_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define PAIR_NB_MBUFS 2047u
#define PAIR_MAX_FLOWS 64u
/** Bytes of the smallest packet that carries flow and number. */
#define PAIR_MIN_SIZE 60u
#define PAIR_MAX_SIZE 9238u
#define PAIR_BURST 32u

/** How to make one end. */
struct pair_end_conf {
	uint16_t nb_queues; /* of each kind, of the application */
	uint16_t mbuf_room; /* data bytes; 0 = 2048 */
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	bool rx_intr;        /* wants rx interrupts */
	bool lsc;            /* wants RTE_ETH_EVENT_INTR_LSC */
	const char *devargs; /* besides the socket, beginning with a comma; NULL = none */
};

/** A port of either driver. */
struct pair_end {
	char name[20]; /* of the vdev */
	uint16_t port_id;
	uint16_t nb_queues;
	struct rte_mempool *pool;
	bool present;
};

struct pair {
	unsigned int number; /* in names */
	char socket[96];     /* empty: chosen from the number */
	struct pair_end host;
	struct pair_end guest;
};

/** EAL without huge pages, PCI or files; @argv: program, plug-ins. 0 or -1. */
int pair_eal_init(int argc, char **argv, const char *file_prefix);

/** A folder for sockets, made on first use; removed at exit. */
const char *pair_folder(void);

/** Make, configure and start an end. PAIR_HOST_ARGS and PAIR_GUEST_ARGS of the environment are
 * added to every host's and guest's devargs: ",recycle=0" runs a whole test without. */
void pair_host_add(struct pair *pair, const struct pair_end_conf *conf);
void pair_guest_add(struct pair *pair, const struct pair_end_conf *conf);
/** Both, host first. */
void pair_create(struct pair *pair, unsigned int number, const struct pair_end_conf *host,
		const struct pair_end_conf *guest);

/** Stop, close and remove it; the mempool stays. */
void pair_end_remove(struct pair_end *end);
/** Every mbuf is back. */
void pair_end_check_pool(const struct pair_end *end);
/** Remove both, check and free the mempools. */
void pair_destroy(struct pair *pair);

void pair_end_start(struct pair_end *end);
void pair_end_stop(struct pair_end *end);
bool pair_end_link(const struct pair_end *end);
/** Wait up to 2 s for the link to be so. */
void pair_end_wait_link(const struct pair_end *end, bool up);
uint64_t pair_end_xstat(const struct pair_end *end, const char *name);
/** Print every xstat that is not 0: for a test that has failed. */
void pair_end_print(const struct pair_end *end);
/** The sum of xstats "<prefix><queue>_<suffix>" over the queues. */
uint64_t pair_end_xstat_sum(const struct pair_end *end, const char *prefix, const char *suffix);

/** What the packets of a transfer are. */
struct pair_stream {
	uint32_t sent[PAIR_MAX_FLOWS];     /* number of the next one */
	uint32_t received[PAIR_MAX_FLOWS]; /* likewise: what must come next */
	uint16_t queue[PAIR_MAX_FLOWS];    /* on which it comes, all of it, and 1; 0 = not yet */
	struct rte_ether_addr dst;
	uint32_t nb_flows;
	uint32_t seg_size; /* data bytes of an mbuf that is sent */
	bool lossy;        /* numbers may be missing, but must rise */
	uint32_t in_flight;
};

/** A stream from one end to the other; with the guest's address, whichever way. */
void pair_stream_init(struct pair_stream *stream, const struct pair *pair, uint32_t nb_flows,
		uint32_t seg_size);

/** The next packet of flow @flow, @size bytes; NULL when the pool is empty. */
struct rte_mbuf *pair_stream_make(
		struct pair_stream *stream, struct rte_mempool *pool, uint32_t flow, uint32_t size);
/** Check a received packet, all of it, and free it. Returns its flow. */
uint32_t pair_stream_check(struct pair_stream *stream, struct rte_mbuf *m);

/** Send packets of @size bytes of all flows in turn, until @nb have been taken or no more are.
 * Returns the number taken. */
uint32_t pair_send(struct pair_end *from, struct pair_stream *stream, uint32_t nb, uint32_t size);
/** The same with one flow, @nb <= PAIR_BURST. */
uint32_t pair_send_flow(struct pair_end *from, struct pair_stream *stream, uint32_t flow,
		uint32_t nb, uint32_t size);
/** Receive and check what there is, on all queues; a flow keeps to one. Returns the number. */
uint32_t pair_receive(struct pair_end *to, struct pair_stream *stream);
/** Send @nb packets and receive them all, within 5 s. */
void pair_transfer(struct pair_end *from, struct pair_end *to, struct pair_stream *stream,
		uint32_t nb, uint32_t size);

#endif /* PORT_PAIR_H */
