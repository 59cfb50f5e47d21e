/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Two threads that send and receive at both ends of a port, each on its share of the queues, and
 * keep some of the mbufs, or hand them to each other.
 */

#ifndef RANDOM_POLL_H
#define RANDOM_POLL_H

#include "random.h"

#define RANDOM_NB_POLLERS 2u

void random_poll_start(struct random_end *ends[NB_SIDES], uint64_t seed);
/** The pollers are waited for; nothing is kept any more. */
void random_poll_stop(void);

/** Wait until each poller has come round: what it did when this was called is over. */
void random_poll_pass(void);
/** Keep the pollers away from an end, or let them at it again. */
void random_poll_park(struct random_end *end);
void random_poll_unpark(struct random_end *end);

/** Whether packets are made. */
void random_poll_traffic(bool on);
/** Have everything freed that the pollers keep, and wait for it; until called with false. */
void random_poll_flush(bool on);
/** Exchange the pollers' shares of the queues. Both ends are parked. */
void random_poll_swap(void);

#endif /* RANDOM_POLL_H */
