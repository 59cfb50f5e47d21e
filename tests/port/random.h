/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the files of random_ops_test share: random numbers, the trace of what has been done, how to
 * fail, and the two ends of the port.
 *
 * How it works
 * Three threads: two pollers (random_poll.c), which send, receive, and check, as lcores of an
 * application do, and the operations thread (random_ops_test.c, random_ends.c), which does all
 * else. It keeps ethdev's rules: no burst on a port that is being stopped or configured, no queue
 * polled by two threads. Whoever finds something wrong ends the process, with the seed and the last
 * operations.
 */

#ifndef RANDOM_H
#define RANDOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mempool.h>

/** The longest that anything may take; loaded machines are slow. */
#define RANDOM_LIMIT_MS 60000u
#define RANDOM_MAX_PKT 9238u
#define RANDOM_MIN_PKT 64u

/** xorshift64, seeded so that no two users have the same numbers. */
struct random {
	uint64_t state;
};

void random_seed(struct random *rnd, uint64_t seed, uint64_t user);
/** 0..limit-1 */
uint32_t random_below(struct random *rnd, uint32_t limit);
/** True once in @n times. */
static inline bool
random_once_in(struct random *rnd, uint32_t n)
{
	return random_below(rnd, n) == 0;
}

/** Which end of the port; also the direction of what it sends. */
enum random_side { SIDE_HOST, SIDE_GUEST, NB_SIDES };

/** An end of the port. Pollers read, while it is polled; the operations thread writes. */
struct random_end {
	enum random_side side;
	char name[24]; /* of the vdev */
	uint16_t port_id;
	uint16_t nb_rxq;
	uint16_t nb_txq;
	uint32_t config;       /* changes with the queues */
	uint32_t stopped_rxqs; /* bits: not to be polled */
	uint32_t stopped_txqs;
	uint32_t max_pkt;             /* bytes, to send */
	bool strips;                  /* the device can strip VLAN tags; the host's */
	bool interrupts;              /* the device can interrupt for packets */
	bool sleeps;                  /* and is asked to: pollers may sleep; the guest's */
	struct rte_mempool *pool;     /* of the application */
	struct rte_mempool *own_pool; /* of the port, where it has one */
	struct rte_ether_addr dst;    /* of what it sends */
	atomic_bool polled;           /* pollers may call its bursts */
	atomic_bool no_rx;            /* but are not to receive, */
	atomic_bool no_tx;            /* or to send */
};

/** Remembers what is done; the last lines are printed when something fails. */
void random_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** A path to remove when something fails; a static string. */
void random_remove_at_end(const char *path);
/** Print what is wrong, the trace, and end the process. Any thread. */
void random_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/** The seed, for messages. */
void random_init(uint64_t seed, bool verbose);
/** Die when nothing has been traced for a long time: some call hangs. A poller. */
void random_watch(void);

/** For the next look at something that another thread does. */
void random_nap(void);

#endif /* RANDOM_H */
