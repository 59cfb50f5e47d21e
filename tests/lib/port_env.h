/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * For tests with DPDK ports: the EAL without huge pages, devices that come and go, packets with
 * content that can be checked, counters by name, and waiting with a limit. Failing here fails the
 * test that runs.
 */

#ifndef TESTS_PORT_ENV_H
#define TESTS_PORT_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "sim_guest.h"

#define PORT_ENV_WAIT_MS 20000

/** Initialise the EAL, once per process; more lcores than two are threads that share them. */
int port_env_init(void **state);
/** Clean up the EAL and what port_env_path() made. */
int port_env_fini(void **state);

/** A path in a folder of this process: "<folder>/<name>". A static buffer per call, 8 in turn. */
const char *port_env_path(const char *name);

/** How a port is set up. */
struct port_conf {
	const char *args; /* devargs but for socket= */
	uint16_t nb_rxq;  /* 0 = 1 */
	uint16_t nb_txq;  /* 0 = 1 */
	uint64_t rx_offloads;
	bool app_pool; /* receive into a pool of the application's, not the port's own */
	bool lsc;
};

struct port {
	uint16_t id;
	char name[32];
	char socket[108];
	struct rte_mempool *own_pool;
	struct rte_mempool *app_pool; /* NULL unless asked for */
};

/** Make device net_avp_host_<name>; returns 0 or -errno. */
int port_probe(struct port *port, const char *name, const char *args);
/** The same, and configure and start it as @conf says. */
void port_open(struct port *port, const char *name, const struct port_conf *conf);
/** Stop, close, remove. */
void port_close(struct port *port);

/** After a test that failed: remove it whatever its state. Does nothing after port_close(). */
void port_abandon(struct port *port);

/** Are all of the port's own mbufs in its pool? */
bool port_pool_full(const struct port *port);

/** Value of an xstat; fails when there is none of that name. */
uint64_t port_xstat(const struct port *port, const char *name);
/** Sum of the xstats whose names begin with @prefix (rx_q0_drop_). */
uint64_t port_xstat_sum(const struct port *port, const char *prefix);

/** Poll until @nb packets have come, with a limit. Returns the number. */
uint16_t port_recv(const struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb);

/** A packet of @len bytes: Ethernet, IPv4, UDP with ports from @flow; the rest from @seed. */
void pkt_fill(struct sim_pkt *pkt, uint32_t len, uint32_t flow, uint32_t seed);
/** The same bytes in mbufs of @pool, @seg_size bytes in each (0 = one). */
struct rte_mbuf *pkt_mbuf(struct rte_mempool *pool, const struct sim_pkt *pkt, uint32_t seg_size);
/** Has the mbuf chain just these bytes, and a right form? */
bool pkt_is(const struct rte_mbuf *mbuf, const struct sim_pkt *pkt);

/** Wait until @done says so, with a limit. Returns what it said last. */
bool wait_until(bool (*done)(void *arg), void *arg);

/** Is the link of port *(struct port *)@arg up, down? For wait_until(). */
bool port_is_up(void *arg);
bool port_is_down(void *arg);

/** Wait for a packet in the simulated guest. Returns 0 or -EAGAIN. */
int guest_recv(struct sim_guest *guest, uint32_t lane, struct sim_pkt *pkt);
/** Poll the port until the guest has so many empty buffers on a lane. */
void guest_wait_alloc(struct sim_guest *guest, const struct port *port, uint32_t lane, uint32_t nb);

#endif /* TESTS_PORT_ENV_H */
