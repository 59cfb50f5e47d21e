/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Holding of packets, as the control thread sees it: when it begins, what happens to what is held,
 * when it is over, also of ports that have been deleted meanwhile.
 *
 * How it works: a view with the hold comes first, then the port's link goes down for the workers,
 * and then all of them have been quiescent once: from there on nothing is given to the port any
 * more. At the end the other way round: the link comes up once all queues are empty, and the view
 * without the hold comes after.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "fdb.h"
#include "hold.h"
#include "lcore.h"
#include "port.h"
#include "sw_log.h"

SW_LOG_TOPIC(hold);

/** The marker of a node that answers is back long before; and if nothing comes any more, it will
 * not. */
#define MARKER_MIN_US 500000u
#define MARKER_QUIET_US 100000u
#define MARKER_MAX_US 2000000u

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000) + ts.tv_nsec / 1000;
}

static void
set_mode(struct hold *hold, enum hold_mode mode)
{
	/* Pairs with the acquire in hold.c. */
	atomic_store_explicit(&hold_conf(hold)->mode, mode, memory_order_release);
}

int
port_hold_prepare(struct sw *sw, struct port *port, struct avp_err *err)
{
	port->hold = hold_create(sw->hold_memory, sw->conf.workers, sw->conf.hold_ms);
	return port->hold != NULL ? 0
				  : avp_err_set(err, ENOMEM, "%s: not enough memory, see --memory",
						    port->name);
}

int
port_hold_begin(struct sw *sw, struct port *const ports[], unsigned int nb, struct avp_err *err)
{
	bool is_new[RTE_MAX_ETHPORTS] = {false};
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nb && rc == 0; i++) {
		is_new[i] = ports[i]->hold == NULL;
		if (is_new[i])
			rc = port_hold_prepare(sw, ports[i], err);
		else
			set_mode(ports[i]->hold, HOLD_KEEP);
	}
	if (rc == 0)
		rc = port_publish(sw, err);
	if (rc != 0) {
		for (; i > 0; i--) {
			if (is_new[i - 1]) {
				hold_destroy(ports[i - 1]->hold);
				ports[i - 1]->hold = NULL;
			}
		}
		return rc;
	}
	for (i = 0; i < nb; i++)
		atomic_store_explicit(&ports[i]->state->link_up, false, memory_order_relaxed);
	lcore_synchronize(sw->lcores);
	return 0;
}

void
port_hold_end(struct sw *sw, struct port *port)
{
	struct hold *hold = port->hold;
	struct avp_err err;
	uint64_t nb_lost;

	if (hold == NULL)
		return;
	atomic_store_explicit(&port->state->link_up, port->link_up, memory_order_relaxed);
	port->hold = NULL;
	if (port_publish(sw, &err) != 0) {
		/* The next look at it tries again. */
		port->hold = hold;
		return;
	}
	nb_lost = hold_destroy(hold);
	if (nb_lost > 0)
		SW_LOG(WARNING, "%s: held packets are lost: %lu", port->name,
				(unsigned long)nb_lost);
	hold_memory_trim(sw->hold_memory);
}

void
port_hold_forget(struct port *port)
{
	atomic_store_explicit(&hold_conf(port->hold)->since_tsc, rte_get_tsc_cycles(),
			memory_order_relaxed);
}

void
port_hold_keep(struct sw *sw, struct port *port)
{
	set_mode(port->hold, HOLD_KEEP);
	fdb_unkeep(sw->fdb, port->id);
}

void
port_hold_depart(struct sw *sw, struct port *port)
{
	fdb_keep_static(sw->fdb, port->id);
	port->has_static = false;
	set_mode(port->hold, HOLD_GONE);
}

void
port_hold_open(struct port *port)
{
	set_mode(port->hold, HOLD_OPEN);
}

/* Have the workers drop what is held, all of it. */
static void
drop_all(struct hold *hold)
{
	atomic_store_explicit(&hold_conf(hold)->limit_tsc, 0, memory_order_relaxed);
}

void
port_hold_expire(struct hold *hold)
{
	if (atomic_load_explicit(&hold_conf(hold)->rest_open, memory_order_acquire))
		drop_all(hold);
}

/* Should the marker be back? */
static bool
marker_is_overdue(struct hold *hold, uint64_t opened_us)
{
	uint64_t first_tsc =
			atomic_load_explicit(&hold_conf(hold)->first_tsc, memory_order_relaxed);
	uint64_t tsc_per_us = rte_get_tsc_hz() / 1000000;
	uint64_t quiet_us = (rte_get_tsc_cycles() - first_tsc) / tsc_per_us;
	uint64_t open_us = now_us() - opened_us;

	return open_us >= MARKER_MAX_US ||
			(open_us >= MARKER_MIN_US && quiet_us >= MARKER_QUIET_US);
}

bool
port_hold_is_over(struct sw *sw, struct port *port, uint64_t opened_us)
{
	struct hold_conf *conf = hold_conf(port->hold);
	bool passes = atomic_load_explicit(&conf->mode, memory_order_relaxed) == HOLD_PASS;

	if (!atomic_load_explicit(&conf->rest_open, memory_order_acquire)) {
		if (!marker_is_overdue(port->hold, opened_us))
			return false;
		SW_LOG(INFO, "%s: no marker has come back: going on without", port->name);
		atomic_store_explicit(&conf->rest_open, true, memory_order_release);
	}
	if (!hold_is_empty(port->hold))
		return false;
	/* Queues that are empty when all workers know that they may pass by remain so. */
	if (!passes) {
		set_mode(port->hold, HOLD_PASS);
		lcore_synchronize(sw->lcores);
	}
	return hold_is_empty(port->hold);
}

bool
port_hold_has_left(struct sw *sw, uint16_t id, struct hold *hold, uint64_t limit_us)
{
	if (now_us() >= limit_us) {
		/* Whoever wants the VM now is flooded. What waits is dropped by the workers. */
		fdb_del_kept(sw->fdb, id);
		drop_all(hold);
		return hold_is_empty(hold);
	}
	if (!hold_is_empty(hold) || fdb_settle(sw->fdb, id) != 0)
		return false;
	/* A worker may have kept one more before it saw that. */
	lcore_synchronize(sw->lcores);
	return hold_is_empty(hold);
}

struct departed *
departed_create(struct sw *sw, struct port *port)
{
	struct departed *departed = NULL;
	unsigned int i = 0;

	if (port->move.state != PORT_MOVE_DEPARTED || port->hold == NULL)
		return NULL;
	while (i < DP_MAX_DEPARTED && sw->departed[i] != NULL)
		i++;
	if (i < DP_MAX_DEPARTED)
		departed = calloc(1, sizeof(*departed));
	if (departed == NULL) {
		SW_LOG(WARNING, "%s: held packets are lost: at most %u deleted ports can have any",
				port->name, DP_MAX_DEPARTED);
		return NULL;
	}
	*departed = (struct departed){
			.dp = {.id = RTE_MAX_ETHPORTS + i,
					.nb_txq = 1,
					.vlan = port->rules.vlan,
					.state = port->state,
					.hold = port->hold},
			.port_id = port->id,
			.limit_us = port->move.limit_us,
	};
	memcpy(departed->name, port->name, sizeof(departed->name));
	sw->departed[i] = departed;
	port_move_wake(sw);
	return departed;
}

static bool
departed_end(struct sw *sw, unsigned int i)
{
	struct departed *departed = sw->departed[i];
	struct avp_err err;
	uint64_t nb_lost;

	sw->departed[i] = NULL;
	if (port_publish(sw, &err) != 0) {
		sw->departed[i] = departed;
		return false;
	}
	fdb_del_kept(sw->fdb, departed->dp.id);
	nb_lost = hold_destroy(departed->dp.hold);
	SW_LOG(INFO, "%s: nothing is held for it any more, %lu packets are lost", departed->name,
			(unsigned long)nb_lost);
	port_state_free(departed->dp.state);
	free(departed);
	hold_memory_trim(sw->hold_memory);
	return true;
}

unsigned int
departed_poll(struct sw *sw)
{
	unsigned int nb = 0;

	for (unsigned int i = 0; i < DP_MAX_DEPARTED; i++) {
		const struct departed *departed = sw->departed[i];

		if (departed == NULL)
			continue;
		if (!port_hold_has_left(
				    sw, departed->dp.id, departed->dp.hold, departed->limit_us) ||
				!departed_end(sw, i))
			nb++;
	}
	return nb;
}

void
departed_end_all(struct sw *sw)
{
	for (unsigned int i = 0; i < DP_MAX_DEPARTED; i++)
		if (sw->departed[i] != NULL)
			departed_end(sw, i);
}
