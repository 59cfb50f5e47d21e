/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Ports whose VM moves: detach, departure, attach, announcement.
 *
 * How it works: a request only begins things; while something is under way a timer looks at the
 * ports' drivers, which tell the end, and at the holds. So the control thread waits for nobody, and
 * other VMs' ports are not waited for. Those of one request are taken for one VM's, whose
 * application may forward between them, and drops what the other one does not take. So they are
 * asked to detach together, when each has read what it was given, and what is held is let go when
 * all are back. What may follow what:
 *
 *     none -- detach --> detaching --> detached -- depart --> departed -- attach --+
 *      ^                     |             |                                       |
 *      +---- attaching <-----+-- attach ---+-------------- incoming -- attach -----+
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_ring.h>

#include "address.h"
#include "announce.h"
#include "avph_api.h"
#include "fdb.h"
#include "hold.h"
#include "lcore.h"
#include "port.h"
#include "sw_log.h"

SW_LOG_TOPIC(move);

/** How often ports on the move are looked at. */
#define POLL_US 200u
/** Before it is asked to detach, a guest reads what it has been given, and so long after that it
 * sends what it makes of it. */
#define GRACE_US 1000u
/** A guest that leaves something unread is asked after so long, or a quarter of its time if that is
 * less. One that does not run for a moment would lose it: the stock driver does not look again. */
#define READ_LIMIT_US 250000u
/** A guest that is back has read most of what it was given for so long before it counts as settled:
 * the processor is the other node's, its caches are cold, and nobody may run it for a moment. */
#define SETTLE_US 1000000u

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000) + ts.tv_nsec / 1000;
}

const char *
port_move_name(const struct port *port)
{
	static const char *const names[] = {
			[PORT_MOVE_NONE] = "none",
			[PORT_MOVE_INCOMING] = "incoming",
			[PORT_MOVE_DETACHING] = "detaching",
			[PORT_MOVE_DETACHED] = "detached",
			[PORT_MOVE_DEPARTED] = "departed",
			[PORT_MOVE_ATTACHING] = "attaching",
	};

	return port->move.has_error ? "error" : names[port->move.state];
}

void
port_move_wake(struct sw *sw)
{
	avp_timer_set(&sw->move_timer, POLL_US, POLL_US);
}

/* The end of what was under way. */
static void
finish(struct port *port, enum port_move_result result, uint32_t took_us)
{
	port_move_done *done = port->move.done;

	port->move.done = NULL;
	if (done != NULL)
		done(port->move.done_arg, port, result, took_us);
}

/* Are all ports of this one's request @ready? */
static bool
group_is(struct sw *sw, const struct port *port, bool (*ready)(struct port *port, uint64_t now))
{
	const uint64_t now = now_us();
	bool all = true;

	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL && sw->ports[id]->move.group == port->move.group)
			all &= ready(sw->ports[id], now);
	return all;
}

/* Has its guest done with what it was given? */
static bool
may_be_asked(struct port *port, uint64_t now)
{
	struct port_move *move = &port->move;
	struct rte_avp_host_info info;

	if (move->is_asked || move->state != PORT_MOVE_DETACHING || now >= move->ask_limit_us)
		return true;
	if (rte_avp_host_info_get(port->id, &info) == 0 && info.nb_unread > 0)
		move->ask_us = now + GRACE_US;
	return now >= move->ask_us;
}

/* Is its guest back, or not to be waited for? */
static bool
is_back(struct port *port, uint64_t now)
{
	(void)now;
	return port->move.state != PORT_MOVE_ATTACHING;
}

/* Ask the guest. */
static int
ask(struct port *port)
{
	struct port_move *move = &port->move;
	int rc;

	move->is_asked = true;
	rc = move->state == PORT_MOVE_ATTACHING
			? rte_avp_host_attach_begin(port->id, move->timeout_ms)
			: rte_avp_host_detach_begin(port->id, move->timeout_ms);
	if (rc != 0 && rc != -EALREADY)
		SW_LOG(ERR, "%s: guest cannot be asked to %s: %s", port->name,
				move->state == PORT_MOVE_ATTACHING ? "attach" : "detach",
				strerror(-rc));
	return rc == -EALREADY ? 0 : rc;
}

static enum port_move_result
result_of(int rc)
{
	switch (rc) {
	case 0:
	case -EALREADY:
		return PORT_MOVE_OK;
	case -ETIMEDOUT:
		return PORT_MOVE_TIMEOUT;
	case -EIO:
		return PORT_MOVE_GUEST_ERROR;
	case -ENOTCONN:
		return PORT_MOVE_ABSENT;
	}
	return PORT_MOVE_FAILED;
}

/* The driver has told the end, or could not be asked. */
static void
reached(struct sw *sw, struct port *port, int rc, uint32_t took_us)
{
	struct port_move *move = &port->move;
	enum port_move_result result = result_of(rc);
	bool attached = move->state == PORT_MOVE_ATTACHING;

	move->has_error = result != PORT_MOVE_OK && result != PORT_MOVE_ABSENT;
	if (attached) {
		move->state = PORT_MOVE_NONE;
		move->opened_us = 0;
		move->limit_us = now_us() + sw->conf.hold_ms * 1000;
	} else {
		move->state = move->returns_to;
	}
	SW_LOG(NOTICE, "%s: %s after %u us%s", port->name, attached ? "attached" : "detached",
			took_us, rc == 0 ? "" : ", not acknowledged by the guest");
	port_poll_links(sw);
	finish(port, result, took_us);
}

/* One packet of ours to the worker. */
static void
inject(struct sw *sw, struct rte_mbuf *mbuf, uint16_t in, uint16_t out, uint16_t vid)
{
	if (mbuf == NULL)
		return;
	*announce_where(mbuf) = (struct announce_where){.in = in, .out = out, .vid = vid};
	if (rte_ring_sp_enqueue(sw->injected, mbuf) != 0)
		rte_pktmbuf_free(mbuf);
}

/* Its MAC on each of its VLANs, and what else is known. */
static void
announce(struct sw *sw, const struct port *port)
{
	struct address known[ADDRESS_MAX];
	unsigned int nb = address_list(port->state->addresses, known);
	struct address own = {.family = ADDRESS_NONE};

	memcpy(own.mac, port->mac, sizeof(own.mac));
	for (own.vid = 1; own.vid <= VLAN_ID_MAX; own.vid++)
		if (port_uses_vlan(port, own.vid))
			inject(sw, announce_make(sw->pool, &own), port->id, FDB_ANY, own.vid);
	for (unsigned int i = 0; i < nb; i++)
		if (port_uses_vlan(port, known[i].vid))
			inject(sw, announce_make(sw->pool, &known[i]), port->id, FDB_ANY,
					known[i].vid);
}

/* Returns whether more announcements follow. */
static bool
poll_announce(struct sw *sw, struct port *port)
{
	static const uint32_t times_ms[] = {ANNOUNCE_TIMES_MS};
	struct port_move *move = &port->move;
	struct avp_err err;

	if (move->announce_us == 0)
		return false;
	if (move->nb_announced < RTE_DIM(times_ms)) {
		if (now_us() >= move->announce_us + times_ms[move->nb_announced] * 1000) {
			announce(sw, port);
			move->nb_announced++;
		}
		return true;
	}
	if (!rte_ring_empty(sw->injected))
		return true;
	move->announce_us = 0;
	if (port_publish(sw, &err) != 0)
		move->announce_us = 1;
	return move->announce_us != 0;
}

/* Has the guest read most of what it was given, and for a while? Until then what comes is held as
 * well: it might find the guest's FIFO full. */
static bool
has_settled(struct port *port, uint64_t now)
{
	struct port_move *move = &port->move;
	struct rte_avp_host_info info;

	if (rte_avp_host_info_get(port->id, &info) != 0)
		return true;
	if (info.nb_unread > info.ring_len / 4)
		move->settling_us = now;
	return now >= move->settling_us + SETTLE_US;
}

/* The port is attached, and held packets are waiting or on their way. */
static void
poll_attached(struct sw *sw, struct port *port)
{
	struct port_move *move = &port->move;
	const uint64_t now = now_us();

	if (move->opened_us == 0 && port->link_up &&
			(now >= move->limit_us || group_is(sw, port, is_back))) {
		port_hold_open(port);
		move->opened_us = now;
		move->settling_us = now;
		if (move->announces) {
			move->announce_us = move->opened_us;
			move->nb_announced = 0;
		}
	}
	if (move->opened_us != 0) {
		bool is_late = now >= move->opened_us + sw->conf.hold_ms * 1000;

		if (is_late)
			port_hold_expire(port->hold);
		if ((is_late || has_settled(port, now)) &&
				port_hold_is_over(sw, port, move->opened_us))
			port_hold_end(sw, port);
	} else if (now >= move->limit_us) {
		SW_LOG(WARNING, "%s: no link %lu ms after attach: packets are not held any longer",
				port->name, (unsigned long)sw->conf.hold_ms);
		port_hold_end(sw, port);
	}
}

/* Returns whether the port has to be looked at again soon. */
static bool
poll_port(struct sw *sw, struct port *port)
{
	struct port_move *move = &port->move;
	bool announces = poll_announce(sw, port);
	uint32_t took_us = 0;
	int state_rc;
	int rc;

	switch (move->state) {
	case PORT_MOVE_DETACHING:
	case PORT_MOVE_ATTACHING:
		if (!move->is_asked) {
			if (!group_is(sw, port, may_be_asked))
				return true;
			rc = ask(port);
			if (rc != 0)
				reached(sw, port, rc, 0);
			return true;
		}
		state_rc = rte_avp_host_migration_result(port->id, &rc, &took_us);
		if (state_rc != -EINPROGRESS)
			reached(sw, port, state_rc == 0 ? rc : state_rc, took_us);
		return true;
	case PORT_MOVE_DEPARTED:
		if (port->hold != NULL &&
				port_hold_has_left(sw, port->id, port->hold, move->limit_us))
			port_hold_end(sw, port);
		return announces || port->hold != NULL;
	case PORT_MOVE_NONE:
		if (port->hold != NULL)
			poll_attached(sw, port);
		return announces || port->hold != NULL || move->announce_us != 0;
	case PORT_MOVE_INCOMING:
	case PORT_MOVE_DETACHED:
		break;
	}
	return announces;
}

void
port_move_expired(struct avp_timer *timer)
{
	struct sw *sw = (struct sw *)((char *)timer - offsetof(struct sw, move_timer));
	bool goes_on = departed_poll(sw) != 0;

	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL && poll_port(sw, sw->ports[id]))
			goes_on = true;
	if (!goes_on)
		avp_timer_set(timer, 0, 0);
}

static int
check_type(const struct port *port, struct avp_err *err)
{
	return port->type == PORT_TYPE_AVP
			? 0
			: avp_err_set(err, EINVAL, "%s: only a port of type avp has a guest",
					  port->name);
}

static int
check_free(const struct port *port, struct avp_err *err)
{
	return port->move.state != PORT_MOVE_ATTACHING && port->move.state != PORT_MOVE_DETACHING
			? 0
			: avp_err_set(err, EBUSY, "%s: is %s already", port->name,
					  port_move_name(port));
}

static uint32_t
read_limit_us(uint32_t timeout_ms)
{
	return RTE_MIN(READ_LIMIT_US, timeout_ms * 1000 / 4);
}

/* @quiet_us: how long it may take to be quiet. */
static void
begin(struct sw *sw, struct port *port, enum port_move_state state, uint32_t timeout_ms,
		uint32_t quiet_us, port_move_done *done, void *arg)
{
	struct port_move *move = &port->move;
	const uint64_t now = now_us();

	move->state = state;
	move->has_error = false;
	move->is_asked = false;
	move->timeout_ms = timeout_ms;
	move->group = sw->last_move_group;
	move->ask_us = now + RTE_MIN(quiet_us, GRACE_US);
	move->ask_limit_us = now + quiet_us;
	move->announce_us = 0;
	move->done = done;
	move->done_arg = arg;
}

int
port_move_detach(struct sw *sw, struct port *const ports[], unsigned int nb, uint32_t timeout_ms,
		port_move_done *done, void *const args[], struct avp_err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < nb && rc == 0; i++) {
		rc = check_type(ports[i], err);
		if (rc == 0)
			rc = check_free(ports[i], err);
		if (rc == 0 && ports[i]->move.state == PORT_MOVE_DEPARTED)
			rc = avp_err_set(err, EINVAL, "%s: its VM has departed", ports[i]->name);
	}
	if (rc == 0)
		rc = port_hold_begin(sw, ports, nb, err);
	if (rc != 0)
		return rc;
	sw->last_move_group++;
	for (unsigned int i = 0; i < nb; i++) {
		enum port_move_state was = ports[i]->move.state;

		if (was == PORT_MOVE_INCOMING)
			port_hold_forget(ports[i]);
		else if (was == PORT_MOVE_NONE)
			fdb_keep_learned(sw->fdb, ports[i]->id);
		begin(sw, ports[i], PORT_MOVE_DETACHING, timeout_ms,
				was == PORT_MOVE_NONE ? read_limit_us(timeout_ms) : 0, done,
				args[i]);
		ports[i]->move.returns_to = was == PORT_MOVE_INCOMING ? was : PORT_MOVE_DETACHED;
	}
	port_move_wake(sw);
	return 0;
}

/* Where the MAC was learned until now: what comes from there goes before the rest, until the marker
 * that is sent there is back. Returns the VLAN in which that is, VLAN_NONE = nowhere. */
static uint16_t
find_first_port(struct sw *sw, struct port *port)
{
	struct hold_conf *conf = hold_conf(port->hold);
	uint16_t first = FDB_ANY;
	uint16_t vid = VLAN_NONE;

	atomic_store_explicit(&conf->first_port, FDB_ANY, memory_order_relaxed);
	atomic_store_explicit(&conf->rest_open, true, memory_order_release);
	for (uint16_t v = 1; v <= VLAN_ID_MAX && first == FDB_ANY; v++) {
		if (!port_uses_vlan(port, v))
			continue;
		first = fdb_where_learned(sw->fdb, fdb_key(fdb_mac(port->mac), v));
		vid = v;
	}
	if (first == port->id || first >= RTE_MAX_ETHPORTS || sw->ports[first] == NULL)
		return VLAN_NONE;
	atomic_store_explicit(&conf->first_port, first, memory_order_relaxed);
	atomic_store_explicit(&conf->rest_open, false, memory_order_release);
	return vid;
}

static void
send_marker(struct sw *sw, const struct port *port, uint16_t vid)
{
	struct hold_conf *conf = hold_conf(port->hold);
	uint16_t first = atomic_load_explicit(&conf->first_port, memory_order_relaxed);

	if (vid == VLAN_NONE)
		return;
	inject(sw, announce_make_marker(sw->pool, conf, port->mac, sw->ports[first]->mac), port->id,
			first, vid);
}

int
port_move_attach(struct sw *sw, struct port *const ports[], unsigned int nb, uint32_t timeout_ms,
		bool announces, port_move_done *done, void *const args[], struct avp_err *err)
{
	uint16_t vids[RTE_MAX_ETHPORTS];
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nb && rc == 0; i++) {
		rc = check_type(ports[i], err);
		if (rc == 0 && ports[i]->move.state == PORT_MOVE_ATTACHING)
			rc = check_free(ports[i], err);
		if (rc == 0 && ports[i]->move.state == PORT_MOVE_NONE)
			rc = avp_err_set(err, EINVAL, "%s: is not detached", ports[i]->name);
	}
	if (rc == 0)
		rc = port_hold_begin(sw, ports, nb, err);
	if (rc != 0)
		return rc;
	for (i = 0; i < nb && rc == 0; i++) {
		vids[i] = find_first_port(sw, ports[i]);
		port_hold_keep(sw, ports[i]);
		rc = port_add_static(sw, ports[i], err);
	}
	if (rc != 0) {
		while (i-- > 0)
			if (ports[i]->move.state == PORT_MOVE_INCOMING)
				port_del_static(sw, ports[i]);
		return rc;
	}
	/* What workers had for the MACs has been sent: the marker comes after it. */
	lcore_synchronize(sw->lcores);
	sw->last_move_group++;
	for (i = 0; i < nb; i++) {
		finish(ports[i], PORT_MOVE_CANCELLED, 0);
		send_marker(sw, ports[i], vids[i]);
		begin(sw, ports[i], PORT_MOVE_ATTACHING, timeout_ms, 0, done, args[i]);
		ports[i]->move.announces = announces;
	}
	port_move_wake(sw);
	return 0;
}

int
port_move_depart(struct sw *sw, struct port *const ports[], unsigned int nb, struct avp_err *err)
{
	for (unsigned int i = 0; i < nb; i++) {
		if (check_type(ports[i], err) != 0)
			return -err->code;
		if (ports[i]->move.state != PORT_MOVE_DETACHED &&
				ports[i]->move.state != PORT_MOVE_DEPARTED)
			return avp_err_set(err, EINVAL, "%s: is not detached", ports[i]->name);
	}
	for (unsigned int i = 0; i < nb; i++) {
		struct port_move *move = &ports[i]->move;

		if (move->state == PORT_MOVE_DEPARTED)
			continue;
		move->state = PORT_MOVE_DEPARTED;
		move->has_error = false;
		move->limit_us = now_us() + sw->conf.hold_ms * 1000;
		port_hold_depart(sw, ports[i]);
		SW_LOG(NOTICE, "%s: its VM has departed", ports[i]->name);
	}
	port_move_wake(sw);
	return 0;
}

int
port_move_incoming(struct sw *sw, struct port *port, struct avp_err *err)
{
	port->move.state = PORT_MOVE_INCOMING;
	return port_hold_prepare(sw, port, err);
}

int
port_move_check_del(const struct port *port, struct avp_err *err)
{
	return check_free(port, err);
}

void
port_move_drop_arg(struct sw *sw, const void *arg)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL && sw->ports[id]->move.done_arg == arg)
			sw->ports[id]->move.done = NULL;
}

void
port_move_fini(struct port *port)
{
	finish(port, PORT_MOVE_CANCELLED, 0);
}
