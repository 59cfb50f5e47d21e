/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The host of a hostile guest: a DPDK program with three ports of net_avp_host. "evil" is the
 * hostile guest's; "a" and "b" belong to an honest guest, all of whose packets must get from a to b
 * in order, complete and unchanged, whatever happens at the third.
 *
 * How it works
 * Two threads work as lcores do. The first one passes packets from a to b, and a copy of every
 * fourth one, or in a domain the packet itself, to evil; and it serves evil's first queue. The
 * second one serves evil's second queue. What evil sends is looked at closely: each segment must
 * lie within its own buffer, and no buffer may be there twice. A third thread is the honest guest.
 * The hostile guest is a process (guest_evil.c).
 */

#ifndef TESTS_GUEST_HOST_H
#define TESTS_GUEST_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest_evil.h"
#include "port_env.h"

#define HOST_NB_WORKERS 2
#define HOST_HOLD 64

struct host_conf {
	const char *evil_program;
	const char *domain; /* devargs of a domain for all three; NULL: isolated */
	bool app_pool;      /* receive from evil into a pool of the application's */
};

/** Packets that a worker keeps for a while, so that a buffer given twice is seen. */
struct host_hold {
	struct rte_mbuf *pkts[HOST_HOLD];
	uint32_t nb;
};

/** Buffers of one port: buf_addr is one of @nb, stride apart. */
struct host_bufs {
	uintptr_t first;
	uint32_t nb;
};

struct host {
	struct host_conf conf;
	struct port evil;
	struct port a;
	struct port b;

	/* what may come from evil: its own buffers, and in a domain, where it may send on what it
	 * got (AVP_FEATURE_RECYCLE), its neighbours' */
	struct host_bufs bufs[3];
	uint32_t nb_bufs;
	_Atomic uint8_t *live; /* by buffer: is in the application's hands */

	pthread_t workers[HOST_NB_WORKERS];
	pthread_t honest;
	_Atomic uint32_t stop;
	_Atomic uint32_t pause; /* workers keep away from evil and hold nothing of it */
	_Atomic uint32_t paused[HOST_NB_WORKERS];
	_Atomic uint32_t healing; /* evil gets no copies of honest packets */
	struct host_hold holds[HOST_NB_WORKERS];

	struct sim_guest guest_a;
	struct sim_guest guest_b;
	struct sim_guest guest_after; /* honest, on the evil port, when the attack is over */
	_Atomic uint32_t honest_stop; /* send no more, and end when all has come */
	_Atomic uint64_t nb_honest_sent;
	_Atomic uint64_t nb_honest;  /* received in order and unchanged */
	_Atomic uint64_t nb_clean;   /* packets from evil that were looked at */
	_Atomic uint8_t sum;         /* of bytes of these */
	_Atomic(const char *) error; /* the first thing that was wrong */

	/* the hostile guest's process */
	pid_t pid; /* 0: none */
	struct evil_share *share;
};

/** Start ports, workers and the honest guest. Fails the test when it cannot. */
void host_start(struct host *host, const struct host_conf *conf);
/** Stop all of it; everything must have come back. */
void host_stop(struct host *host);

/** Start the hostile guest. */
void host_attack(struct host *host, const char *attack, uint64_t seed);
/** Kill it, wherever it is, and wait until the port knows. */
void host_kill(struct host *host);
/** Have it stop sending, and wait until the host has taken all of it. */
void host_settle(struct host *host);

/** Fail the test if something was wrong, or if the hostile guest has given up. */
void host_check(struct host *host);
/** Wait until the honest guest has got @nb more packets. */
void host_wait_honest(struct host *host, uint64_t nb);
/** Let it go on for so long, and see that the honest guest got packets in each tenth of it. */
void host_go_on(struct host *host, unsigned int ms);
/** Wait until a counter of the evil port is above @above; @name may be of any queue with "*". */
void host_wait_counter(struct host *host, const char *name, uint64_t above);
/** Value of such a counter: "rx_q0_packets", or "rx_q*_packets" for the sum. */
uint64_t host_counter(struct host *host, const char *name);

/** After an attack: an honest guest comes to the evil port and finds it as good as new, and when it
 * has gone every buffer is back. */
void host_expect_healed(struct host *host);

#endif /* TESTS_GUEST_HOST_H */
