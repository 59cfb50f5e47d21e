/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Random operations on net_avp_host and net_avp_user in one process, while two threads send and
 * receive: start and stop, numbers of queues, links, detach and attach, devices that come and go at
 * either end. Order and content of every flow are checked all the time (random_flow.h), and now and
 * then that every mbuf, buffer, descriptor and mapping is back.
 *
 * How it works
 * The operations thread knows in which state the ends are, chooses an operation, and knows what it
 * must return in that state. Whenever both ends are up, packets must flow both ways before it goes
 * on. After some operations comes a round's end: all is put up again, all that is owed must arrive,
 * all is removed, and the process must have what it had at the end of the first round.
 *
 * Arguments: the plug-ins of the two drivers; seconds (10), seed (the time). With
 * RANDOM_OPS_VERBOSE in the environment every operation is printed. The same seed means the same
 * choices, not the same timing.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#include "avph_api.h"
#include "port_pair.h"
#include "random_ends.h"
#include "random_flow.h"
#include "random_poll.h"
#include "sim_guest.h"
#include "test_clock.h"

#define DEFAULT_SECONDS 10u
#define MIN_ROUND 20u
#define MAX_ROUND 80u
/* Packets to wait for when all is up. */
#define MAX_WANTED 400u

struct world {
	struct random rnd;
	struct random_end host;
	struct random_end guest;
	char socket[96];
	bool host_present;
	bool host_configured;
	bool host_started;
	bool host_link; /* wanted up */
	bool guest_present;
	bool guest_configured;
	bool guest_started;
	bool guest_link;
	bool gone;                 /* the guest's host has been closed */
	bool detached;             /* the device, by the host */
	struct random_usage usage; /* at the end of the first round */
	unsigned int nb_rounds;
	unsigned int nb_up;    /* operations after which packets had to flow */
	unsigned int nb_again; /* times that something was too slow, and done again */
};

static atomic_uint nb_removals;  /* that the guest has been told of */
static atomic_bool host_removed; /* and may be told of */

/*
 * Operations begin and end
 */

/* FIFOs are emptied, and flows may take other ways through them. */
static void
loss_begin(void)
{
	random_flow_loss_begin();
	random_flow_era();
	random_poll_pass();
}

static void
loss_end(void)
{
	random_poll_pass();
	random_flow_look_again();
	random_poll_pass();
	random_flow_loss_end();
	random_flow_era();
}

/* What an operation of the guest that talks to the device must return now. */
static int
guest_result(const struct world *w)
{
	if (w->gone)
		return -EIO;
	return w->detached ? -EBUSY : 0;
}

/* And one that waits for the device where it is detached. */
static int
guest_result_detached(const struct world *w)
{
	return w->gone ? -EIO : 0;
}

/* Is it too slow, where it should have worked? Then it is to be done again. */
static bool
again(struct world *w, int ret, int want, uint64_t limit)
{
	if (ret == want)
		return false;
	if (want != 0 || (ret != -ETIMEDOUT && ret != -EBUSY) || test_now_ms() > limit)
		random_die("returned %d (%s), not %d", ret, rte_strerror(-ret), want);
	random_trace("  again: %s", rte_strerror(-ret));
	w->nb_again++;
	random_nap();
	return true;
}

/* Call it until it returns what it must, unless it is wrong and not only slow. */
static int
guest_call_for(struct world *w, int (*fn)(uint16_t port_id), int want)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;

	while (again(w, fn(w->guest.port_id), want, limit))
		;
	return want;
}

static int
guest_call(struct world *w, int (*fn)(uint16_t port_id))
{
	return guest_call_for(w, fn, guest_result(w));
}

static void
host_call(const struct world *w, int (*fn)(uint16_t port_id))
{
	int ret = fn(w->host.port_id);

	if (ret != 0)
		random_die("%s: returned %d (%s)", w->host.name, ret, rte_strerror(-ret));
}

static void
wait_link(const struct random_end *end, bool up)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;

	while (random_end_link(end) != up) {
		if (test_now_ms() > limit)
			random_die("%s: link is not %s", end->name, up ? "up" : "down");
		random_nap();
	}
}

/*
 * The guest's end
 */

static void
guest_stop(struct world *w)
{
	random_poll_park(&w->guest);
	if (rte_eth_dev_stop(w->guest.port_id) != 0)
		random_die("%s: does not stop", w->guest.name);
	w->guest_started = false;
	if (random_end_link(&w->guest))
		random_die("%s: stopped, and its link is up", w->guest.name);
}

static void
guest_start(struct world *w)
{
	const int ret = guest_call_for(w, rte_eth_dev_start, guest_result_detached(w));

	random_trace("  start: %d", ret);
	if (ret != 0)
		return;
	w->guest.stopped_rxqs = 0;
	w->guest.stopped_txqs = 0;
	w->guest_started = true;
	w->guest_link = true;
	random_poll_unpark(&w->guest);
}

static void
guest_configure(struct world *w)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	const int want = guest_result_detached(w);

	w->guest.interrupts = w->host.interrupts;
	while (again(w, random_end_configure(&w->guest, &w->rnd), want, limit))
		;
	w->guest_configured = want == 0;
}

/* A host that is closed gives its memory back: until the guest notices it reads zeros. */
static void
guest_look(const struct world *w)
{
	if (w->guest_configured && !w->gone && w->host_present)
		random_end_look(&w->guest);
}

static void
guest_remove(struct world *w)
{
	loss_begin();
	random_poll_park(&w->guest);
	guest_look(w);
	random_end_remove(&w->guest, &w->rnd);
	if (!w->gone && w->host_present)
		random_host_wait_alone(&w->host);
	w->guest_present = false;
	w->guest_configured = false;
	w->guest_started = false;
	w->gone = false;
	/* nobody waits for that host any more */
	if (!w->host_present)
		w->detached = false;
	loss_end();
}

static void
guest_add(struct world *w)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	int ret;

	loss_begin();
	for (;;) {
		ret = random_guest_add(&w->guest, &w->rnd, w->socket);
		if (ret == 0 || !w->host_present)
			break;
		again(w, ret, 0, limit);
	}
	random_trace("  probe: %d", ret);
	if (ret == 0 && !w->host_present)
		random_die("%s: probed, without a device", w->guest.name);
	if (ret == 0) {
		w->guest_present = true;
		guest_configure(w);
		guest_start(w);
	}
	loss_end();
}

static bool
can_guest_add(const struct world *w)
{
	return !w->guest_present;
}

static bool
can_guest_remove(const struct world *w)
{
	return w->guest_present;
}

static bool
can_guest_stop(const struct world *w)
{
	return w->guest_present && w->guest_started;
}

static bool
can_guest_start(const struct world *w)
{
	return w->guest_present && w->guest_configured && !w->guest_started;
}

/* With or without a stop before, and mostly started afterwards. */
static void
guest_reconfigure(struct world *w)
{
	loss_begin();
	if (w->guest_started)
		guest_stop(w);
	guest_look(w);
	guest_configure(w);
	if (w->guest_configured && !random_once_in(&w->rnd, 4))
		guest_start(w);
	loss_end();
}

/* The port is to be configured anew then. */
static void
guest_reset(struct world *w)
{
	loss_begin();
	random_poll_park(&w->guest);
	guest_look(w);
	if (w->guest_started)
		guest_stop(w);
	if (guest_call(w, rte_eth_dev_reset) == 0) {
		guest_configure(w);
		guest_start(w);
	}
	loss_end();
}

static void
guest_link_down(struct world *w)
{
	if (guest_call(w, rte_eth_dev_set_link_down) == 0)
		w->guest_link = false;
}

static void
guest_link_up(struct world *w)
{
	if (guest_call(w, rte_eth_dev_set_link_up) == 0)
		w->guest_link = true;
}

static bool
can_guest_link_down(const struct world *w)
{
	return can_guest_stop(w) && w->guest_link;
}

static bool
can_guest_link_up(const struct world *w)
{
	return can_guest_stop(w) && !w->guest_link;
}

static bool
is_guest_gone(const struct world *w)
{
	return w->guest_present && w->gone;
}

/* A host that has told of a limit is obeyed, whether the guest knows of it yet or not. */
static int
set_any_mtu(uint16_t port_id)
{
	static uint16_t mtu;
	struct rte_eth_dev_info info;
	int ret;

	if (rte_eth_dev_info_get(port_id, &info) != 0)
		random_die("port %u: no info", port_id);
	mtu = (uint16_t)(info.min_mtu + (mtu * 7u + 1) % (info.max_mtu - info.min_mtu));
	ret = rte_eth_dev_set_mtu(port_id, mtu);
	random_trace("  mtu %u: %d", mtu, ret);
	return ret == -EINVAL ? 0 : ret;
}

static void
guest_mtu(struct world *w)
{
	guest_call(w, set_any_mtu);
}

/* One that is stopped is started, or the other way round. */
static void
guest_queue(struct world *w)
{
	const bool rx = random_once_in(&w->rnd, 2);
	const uint16_t queue =
			(uint16_t)random_below(&w->rnd, rx ? w->guest.nb_rxq : w->guest.nb_txq);
	uint32_t *stopped = rx ? &w->guest.stopped_rxqs : &w->guest.stopped_txqs;
	const bool stop = (*stopped & RTE_BIT32(queue)) == 0;
	int ret;

	random_poll_park(&w->guest);
	if (rx)
		ret = stop ? rte_eth_dev_rx_queue_stop(w->guest.port_id, queue)
			   : rte_eth_dev_rx_queue_start(w->guest.port_id, queue);
	else
		ret = stop ? rte_eth_dev_tx_queue_stop(w->guest.port_id, queue)
			   : rte_eth_dev_tx_queue_start(w->guest.port_id, queue);
	random_trace("  %s queue %u: %s: %d", rx ? "rx" : "tx", queue, stop ? "stop" : "start",
			ret);
	if (ret != 0)
		random_die("%s: %s", w->guest.name, rte_strerror(-ret));
	*stopped ^= RTE_BIT32(queue);
	random_poll_unpark(&w->guest);
}

/* Flows have the guest's own address: they need neither. */
static void
guest_filters(struct world *w)
{
	const uint16_t id = w->guest.port_id;
	int ret;

	if (random_once_in(&w->rnd, 2))
		ret = rte_eth_promiscuous_get(id) ? rte_eth_promiscuous_disable(id)
						  : rte_eth_promiscuous_enable(id);
	else
		ret = rte_eth_allmulticast_get(id) ? rte_eth_allmulticast_disable(id)
						   : rte_eth_allmulticast_enable(id);
	if (ret != 0 && !w->gone)
		random_die("%s: filter: %s", w->guest.name, rte_strerror(-ret));
}

static bool
can_guest_ask(const struct world *w)
{
	return w->guest_present && w->guest_configured;
}

static int
toggle_strip(uint16_t port_id)
{
	const int now = rte_eth_dev_get_vlan_offload(port_id);

	return rte_eth_dev_set_vlan_offload(port_id, now ^ RTE_ETH_VLAN_STRIP_OFFLOAD);
}

/* A device that strips is configured anew, with any other nothing is lost. */
static void
guest_vlan(struct world *w)
{
	const bool lossy = w->host.strips && guest_result(w) == 0;

	if (lossy)
		loss_begin();
	guest_call(w, toggle_strip);
	if (lossy)
		loss_end();
}

/*
 * The host's end
 */

static void
host_stop(struct world *w)
{
	random_poll_park(&w->host);
	host_call(w, rte_eth_dev_stop);
	w->host_started = false;
	if (random_end_link(&w->host))
		random_die("%s: stopped, and its link is up", w->host.name);
}

static void
host_start(struct world *w)
{
	host_call(w, rte_eth_dev_start);
	w->host_started = true;
	random_poll_unpark(&w->host);
}

static void
host_configure(struct world *w)
{
	const int ret = random_end_configure(&w->host, &w->rnd);

	if (ret != 0)
		random_die("%s: configure: %s", w->host.name, rte_strerror(-ret));
	w->host_configured = true;
}

/* Nothing is lost, but what the host sends from now on takes other FIFOs. It sends nothing in
 * between, so that all of an era takes the same. */
static void
host_reconfigure(struct world *w)
{
	if (w->host_started)
		host_stop(w);
	random_flow_era();
	random_flow_era();
	random_end_look(&w->host);
	host_configure(w);
	if (!random_once_in(&w->rnd, 4))
		host_start(w);
}

/* The guest has waited for a host, and connects to this one by itself, which knows of no detach. */
static void
host_wait_guest(struct world *w)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	struct rte_avp_host_info info = {0};

	while (!info.connected || info.configured != w->guest_configured) {
		if (test_now_ms() > limit)
			random_die("%s: the guest that was detached does not come", w->host.name);
		random_nap();
		rte_avp_host_info_get(w->host.port_id, &info);
	}
	w->detached = false;
}

static void
host_add(struct world *w)
{
	/* a guest that waits needs as many queues as it is configured with */
	const uint32_t min_queues = w->detached ? RTE_MAX(w->guest.nb_rxq, w->guest.nb_txq) : 0;

	random_host_add(&w->host, &w->rnd, w->socket, min_queues);
	/* a guest that is still there has been told */
	atomic_store(&host_removed, false);
	w->host_present = true;
	w->host_link = true;
	host_configure(w);
	host_start(w);
	if (w->detached)
		host_wait_guest(w);
}

/* Under the guest's feet, if there is one. */
static void
host_remove(struct world *w)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	const unsigned int before = atomic_load(&nb_removals);

	loss_begin();
	random_poll_park(&w->host);
	random_end_look(&w->host);
	atomic_store(&host_removed, true);
	random_end_remove(&w->host, &w->rnd);
	w->host_present = false;
	w->host_configured = false;
	w->host_started = false;
	/* a guest that is detached waits for another host */
	if (!w->guest_present || w->gone)
		w->detached = false;
	else if (!w->detached) {
		while (atomic_load(&nb_removals) == before) {
			if (test_now_ms() > limit)
				random_die("%s: has not noticed that the host has gone",
						w->guest.name);
			random_nap();
		}
		w->gone = true;
		if (random_end_link(&w->guest) || rte_eth_dev_is_removed(w->guest.port_id) != 1)
			random_die("%s: the host has gone, and it seems to be there",
					w->guest.name);
	}
	loss_end();
}

static bool
can_host_add(const struct world *w)
{
	return !w->host_present;
}

static bool
can_host_any(const struct world *w)
{
	return w->host_present;
}

static bool
can_host_start(const struct world *w)
{
	return w->host_present && !w->host_started;
}

static bool
can_host_stop(const struct world *w)
{
	return w->host_present && w->host_started;
}

static void
host_link_down(struct world *w)
{
	host_call(w, rte_eth_dev_set_link_down);
	w->host_link = false;
}

static void
host_link_up(struct world *w)
{
	host_call(w, rte_eth_dev_set_link_up);
	w->host_link = true;
}

static bool
can_host_link_down(const struct world *w)
{
	return w->host_present && w->host_link;
}

static bool
can_host_link_up(const struct world *w)
{
	return w->host_present && !w->host_link;
}

static void
host_vlan(struct world *w)
{
	host_call(w, toggle_strip);
}

static void
host_mtu(struct world *w)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(w->host.port_id, &info);
	uint16_t mtu;

	if (ret != 0)
		random_die("%s: no info", w->host.name);
	mtu = (uint16_t)(info.min_mtu + random_below(&w->rnd, info.max_mtu + 1u - info.min_mtu));
	ret = rte_eth_dev_set_mtu(w->host.port_id, mtu);
	if (ret != 0)
		random_die("%s: mtu %u: %s", w->host.name, mtu, rte_strerror(-ret));
}

/* A client that has no driver of ours, does some of what drivers do, resets the device, and goes
 * without a word. It may be too slow for the device. */
static void
device_reset(struct world *w)
{
	struct sim_guest guest = {0};
	int ret;

	loss_begin();
	ret = sim_guest_connect(&guest, w->socket);
	if (ret == 0 && random_once_in(&w->rnd, 2)) {
		sim_guest_configure(&guest, 1, 1, 0, true);
		for (uint32_t i = random_below(&w->rnd, 20); i > 0; i--)
			random_poll_pass();
	}
	if (ret == 0)
		ret = vuser_client_reset(guest.client);
	random_trace("  reset: %d", ret);
	if (ret != 0 && ret != -ETIMEDOUT)
		random_die("a client cannot reset the device: %s", rte_strerror(-ret));
	if (random_once_in(&w->rnd, 2))
		sim_guest_configure(&guest, 1, 1, 0, true);
	sim_guest_disconnect(&guest);
	random_host_wait_alone(&w->host);
	loss_end();
}

static bool
can_reset(const struct world *w)
{
	return w->host_present && !w->guest_present && !w->detached;
}

/* The end of a detach or attach. Nobody to ask is right where no guest is, or one that has not
 * connected again yet. */
static int
asked(const struct world *w, int ret)
{
	if (ret == 0 && !w->guest_present)
		random_die("somebody has acknowledged");
	return ret == -ENOTCONN ? 0 : ret;
}

/* A driver that is too slow acknowledges with an error: it is detached all the same. */
static void
detach(struct world *w)
{
	int ret;

	loss_begin();
	ret = asked(w, rte_avp_host_detach(w->host.port_id, RANDOM_LIMIT_MS));
	random_trace("  detach: %d", ret);
	if (ret != 0 && ret != -EIO)
		random_die("detach: %s", rte_strerror(-ret));
	w->nb_again += ret == -EIO;
	w->detached = true;
	if (w->guest_present)
		wait_link(&w->guest, false);
	loss_end();
}

static void
attach(struct world *w)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	int ret;

	loss_begin();
	do
		ret = asked(w, rte_avp_host_attach(w->host.port_id, RANDOM_LIMIT_MS));
	while (again(w, ret == -EIO ? -ETIMEDOUT : ret, 0, limit));
	w->detached = false;
	loss_end();
}

static bool
can_detach(const struct world *w)
{
	return w->host_present && !w->detached;
}

static bool
can_attach(const struct world *w)
{
	return w->host_present && w->detached;
}

/*
 * Both
 */

static void
look(struct world *w)
{
	if (w->host_configured)
		random_end_look(&w->host);
	guest_look(w);
}

static void
swap(struct world *w)
{
	const bool host = atomic_load(&w->host.polled);
	const bool guest = atomic_load(&w->guest.polled);

	random_poll_park(&w->host);
	random_poll_park(&w->guest);
	random_poll_swap();
	if (host)
		random_poll_unpark(&w->host);
	if (guest)
		random_poll_unpark(&w->guest);
}

/* Let FIFOs become full, or empty. */
static void
pause_some(struct world *w)
{
	atomic_bool *const flags[] = {
			&w->host.no_rx, &w->host.no_tx, &w->guest.no_rx, &w->guest.no_tx};
	atomic_bool *flag = flags[random_below(&w->rnd, RTE_DIM(flags))];

	atomic_store(flag, !atomic_load(flag));
	for (uint32_t i = random_below(&w->rnd, 40); i > 0; i--)
		random_poll_pass();
}

static void
pause_none(struct world *w)
{
	while (w->guest_started && !w->gone && !w->detached &&
			(w->guest.stopped_rxqs | w->guest.stopped_txqs) != 0)
		guest_queue(w);
	atomic_store(&w->host.no_rx, false);
	atomic_store(&w->host.no_tx, false);
	atomic_store(&w->guest.no_rx, false);
	atomic_store(&w->guest.no_tx, false);
}

static bool
can_always(const struct world *w)
{
	(void)w;
	return true;
}

static bool
is_up(const struct world *w)
{
	return w->host_present && w->host_started && w->host_link && w->guest_present &&
			w->guest_started && w->guest_link && !w->gone && !w->detached;
}

static bool
is_paused(const struct world *w)
{
	return atomic_load(&w->host.no_rx) || atomic_load(&w->host.no_tx) ||
			atomic_load(&w->guest.no_rx) || atomic_load(&w->guest.no_tx) ||
			w->guest.stopped_rxqs != 0 || w->guest.stopped_txqs != 0;
}

static void
wait_owed(struct world *w, enum random_side from)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;

	while (random_flow_owed(from) > 0) {
		if (test_now_ms() > limit) {
			random_flow_trace(from);
			random_end_trace(&w->host);
			random_end_trace(&w->guest);
			random_die("%" PRIu64 " packets do not arrive", random_flow_owed(from));
		}
		random_nap();
	}
}

/* Send nothing until all has arrived. */
static void
drain(struct world *w)
{
	random_poll_traffic(false);
	pause_none(w);
	wait_owed(w, SIDE_HOST);
	wait_owed(w, SIDE_GUEST);
	random_poll_traffic(true);
}

/* Packets must flow, both ways. */
static void
wait_flow(struct world *w, uint32_t nb)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	const uint64_t host = random_flow_received(SIDE_HOST) + nb;
	const uint64_t guest = random_flow_received(SIDE_GUEST) + nb;

	wait_link(&w->host, true);
	wait_link(&w->guest, true);
	while (random_flow_received(SIDE_HOST) < host || random_flow_received(SIDE_GUEST) < guest) {
		if (test_now_ms() > limit) {
			random_end_trace(&w->host);
			random_end_trace(&w->guest);
			random_die("of %u packets %" PRIu64 " to the guest and %" PRIu64
				   " to the host have not arrived in %u ms",
					nb, host - RTE_MIN(host, random_flow_received(SIDE_HOST)),
					guest - RTE_MIN(guest, random_flow_received(SIDE_GUEST)),
					RANDOM_LIMIT_MS);
		}
		random_nap();
	}
}

/*
 * Rounds
 */

static const struct operation {
	const char *name;
	void (*run)(struct world *w);
	bool (*can)(const struct world *w);
	unsigned int weight;
} operations[] = {
		/* what ends a state in which nothing flows comes soon */
		{"guest: stop", guest_stop, can_guest_stop, 6},
		{"guest: start", guest_start, can_guest_start, 40},
		{"guest: reconfigure", guest_reconfigure, can_guest_remove, 8},
		{"guest: reset", guest_reset, can_guest_ask, 3},
		{"guest: link down", guest_link_down, can_guest_link_down, 6},
		{"guest: link up", guest_link_up, can_guest_link_up, 40},
		{"guest: set MTU", guest_mtu, can_guest_ask, 3},
		{"guest: stop or start a queue", guest_queue, is_up, 4},
		{"guest: toggle a filter", guest_filters, can_guest_ask, 2},
		{"guest: toggle VLAN stripping", guest_vlan, can_guest_ask, 3},
		{"guest: remove", guest_remove, can_guest_remove, 4},
		{"guest: remove, gone", guest_remove, is_guest_gone, 40},
		{"guest: add", guest_add, can_guest_add, 40},
		{"host: stop", host_stop, can_host_stop, 6},
		{"host: start", host_start, can_host_start, 40},
		{"host: reconfigure", host_reconfigure, can_host_any, 8},
		{"host: link down", host_link_down, can_host_link_down, 6},
		{"host: link up", host_link_up, can_host_link_up, 40},
		{"host: toggle VLAN stripping", host_vlan, can_host_any, 3},
		{"host: set MTU", host_mtu, can_host_any, 3},
		{"host: remove", host_remove, can_host_any, 2},
		{"host: add", host_add, can_host_add, 40},
		{"device: reset by another client", device_reset, can_reset, 10},
		{"detach", detach, can_detach, 8},
		{"attach", attach, can_attach, 40},
		{"look", look, can_always, 4},
		{"swap the pollers' queues", swap, can_always, 3},
		{"pause", pause_some, can_always, 6},
		{"resume", pause_none, is_paused, 40},
		{"drain", drain, is_up, 4},
};

static unsigned int nb_run[RTE_DIM(operations)];

static const struct operation *
choose(struct world *w)
{
	uint32_t total = 0;
	uint32_t at;

	for (size_t i = 0; i < RTE_DIM(operations); i++)
		total += operations[i].can(w) ? operations[i].weight : 0;
	at = random_below(&w->rnd, total);
	for (size_t i = 0;; i++) {
		if (!operations[i].can(w))
			continue;
		if (at < operations[i].weight)
			return &operations[i];
		at -= operations[i].weight;
	}
}

static void
step(struct world *w)
{
	const struct operation *op = choose(w);

	random_trace("%s", op->name);
	op->run(w);
	nb_run[op - operations]++;
	if (is_up(w) && !is_paused(w)) {
		wait_flow(w, random_below(&w->rnd, MAX_WANTED));
		w->nb_up++;
	} else {
		random_poll_pass();
	}
}

/* Whatever the state, until packets flow. */
static void
put_up(struct world *w)
{
	if (!w->host_present)
		host_add(w);
	if (w->guest_present && w->gone)
		guest_remove(w);
	if (w->detached)
		attach(w);
	if (!w->host_started)
		host_start(w);
	if (!w->host_link)
		host_link_up(w);
	if (!w->guest_present)
		guest_add(w);
	if (!w->guest_configured)
		guest_reconfigure(w);
	if (!w->guest_started)
		guest_start(w);
	if (!w->guest_link)
		guest_link_up(w);
	/* last: a queue is started by a guest that is up */
	pause_none(w);
	wait_flow(w, MAX_WANTED);
}

/* The same as at the end of the first round? Threads that have ended may still be seen. */
static void
check_usage(struct world *w)
{
	const uint64_t limit = test_now_ms() + RANDOM_LIMIT_MS;
	const struct random_usage *was = &w->usage;
	struct random_usage now;

	for (;;) {
		random_usage_get(&now);
		if (w->nb_rounds == 0)
			w->usage = now;
		if (memcmp(&now, was, sizeof(now)) == 0)
			return;
		if (test_now_ms() > limit)
			random_die("after %u rounds: %u descriptors, %u threads, %u mappings, %u "
				   "blocks, %" PRIu64 " bytes; after the first: %u, %u, %u, %u, "
				   "%" PRIu64,
					w->nb_rounds + 1, now.nb_fds, now.nb_threads, now.nb_maps,
					now.heap_blocks, now.heap_size, was->nb_fds,
					was->nb_threads, was->nb_maps, was->heap_blocks,
					was->heap_size);
		random_nap();
	}
}

/* The end of a round. Mbufs are still kept when the host's port is closed, or not. */
static void
round_end(struct world *w)
{
	const bool keep = random_once_in(&w->rnd, 2);

	random_trace("end of round %u%s", w->nb_rounds, keep ? ", keeping mbufs" : "");
	put_up(w);
	drain(w);
	random_poll_traffic(false);
	if (!keep)
		random_poll_flush(true);
	guest_remove(w);
	random_poll_park(&w->host);
	if (!keep)
		random_pool_wait(w->host.own_pool, "no guest");
	host_remove(w);
	random_poll_flush(true);
	random_pool_wait(w->host.pool, "host removed");
	random_pool_wait(w->guest.pool, "guest removed");
	if (keep) {
		/* the memory of a port that was closed before its mbufs were back goes with the
		 * next one */
		host_add(w);
		host_remove(w);
	}
	random_flow_forget();
	check_usage(w);
	random_poll_flush(false);
	w->nb_rounds++;
}

static void
run(struct world *w, uint64_t end_ms)
{
	do {
		uint32_t nb = MIN_ROUND + random_below(&w->rnd, MAX_ROUND - MIN_ROUND);

		random_poll_traffic(true);
		while (nb-- > 0 && (test_now_ms() < end_ms || w->nb_rounds < 2))
			step(w);
		round_end(w);
	} while (test_now_ms() < end_ms || w->nb_rounds < 2);
}

static int
on_event(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	const struct world *w = arg;

	(void)ret;
	if (type != RTE_ETH_EVENT_INTR_RMV || port_id != w->guest.port_id)
		return 0;
	if (!atomic_load(&host_removed))
		random_die("%s: is told that its host has gone, which is there", w->guest.name);
	atomic_fetch_add(&nb_removals, 1);
	return 0;
}

static void
print_sums(const struct world *w)
{
	for (size_t i = 0; i < RTE_DIM(operations); i++)
		printf("%6u %s\n", nb_run[i], operations[i].name);
	printf("%u rounds; packets had to flow after %u operations; %u were too slow\n",
			w->nb_rounds, w->nb_up, w->nb_again);
	printf("%" PRIu64 " packets to the guest, %" PRIu64 " to the host\n",
			random_flow_received(SIDE_HOST), random_flow_received(SIDE_GUEST));
}

int
main(int argc, char **argv)
{
	static struct world world;
	struct world *w = &world;
	struct random_end *ends[NB_SIDES] = {[SIDE_HOST] = &w->host, [SIDE_GUEST] = &w->guest};
	const uint64_t seconds = argc > 3 ? strtoull(argv[3], NULL, 10) : DEFAULT_SECONDS;
	const uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)time(NULL);
	const bool verbose = getenv("RANDOM_OPS_VERBOSE") != NULL;

	if (argc < 3) {
		fprintf(stderr, "usage: %s HOST-PLUG-IN GUEST-PLUG-IN [SECONDS [SEED]]\n", argv[0]);
		return 2;
	}
	printf("seed %" PRIu64 ", %" PRIu64 " seconds\n", seed, seconds);
	fflush(stdout);
	random_init(seed, verbose);
	random_seed(&w->rnd, seed, 0);
	if (pair_eal_init(3, argv, "avp-random") != 0)
		return 1;
	if (!verbose)
		rte_log_set_level_pattern("pmd.net.avp*", RTE_LOG_ERR);
	snprintf(w->socket, sizeof(w->socket), "%s/p.sock", pair_folder());
	random_remove_at_end(w->socket);
	random_remove_at_end(pair_folder());
	random_end_init(&w->host, SIDE_HOST);
	random_end_init(&w->guest, SIDE_GUEST);
	rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_RMV, on_event, w);
	random_poll_start(ends, seed);
	run(w, test_now_ms() + seconds * 1000);
	random_poll_stop();
	random_end_fini(&w->guest);
	random_end_fini(&w->host);
	print_sums(w);
	return rte_eal_cleanup() == 0 ? 0 : 1;
}
