/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Receive interrupts of the guest, see avph_intr.h.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_common.h>

#include "avp_sock.h"
#include "avph_intr.h"

static void
take_up(struct avph_intr *intr)
{
	/* pairs with the release in avph_intr_fire() */
	const uint32_t vectors = atomic_exchange_explicit(&intr->vectors, 0, memory_order_acquire);

	if (vectors != 0)
		intr->raise(intr, vectors);
}

static void
on_kick(struct avp_watch *watch, uint32_t events)
{
	struct avph_intr *intr = RTE_PTR_SUB(watch, offsetof(struct avph_intr, kick));
	uint64_t count;

	RTE_SET_USED(events);
	if (read(watch->fd, &count, sizeof(count)) == sizeof(count))
		take_up(intr);
}

static void
on_tick(struct avp_tick *tick)
{
	struct avph_intr *intr = RTE_PTR_SUB(tick, offsetof(struct avph_intr, tick));

	/* first: what is noted after this wakes us */
	if (!atomic_load_explicit(&intr->may_kick, memory_order_relaxed))
		atomic_store(&intr->may_kick, true);
	if (atomic_load(&intr->vectors) != 0)
		take_up(intr);
}

int
avph_intr_init(struct avph_intr *intr, struct avp_loop *loop,
		void (*raise)(struct avph_intr *intr, uint32_t vectors))
{
	int ret;

	memset(intr, 0, sizeof(*intr));
	intr->loop = loop;
	intr->raise = raise;
	intr->tick.ticked = on_tick;
	intr->kick.ready = on_kick;
	intr->kick.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (intr->kick.fd < 0)
		return -errno;
	ret = avp_watch_add(loop, &intr->kick, EPOLLIN);
	if (ret < 0)
		avp_sock_close(&intr->kick.fd);
	return ret;
}

void
avph_intr_fini(struct avph_intr *intr)
{
	if (intr->kick.fd < 0)
		return;
	avph_intr_set(intr, false);
	avp_watch_remove(intr->loop, &intr->kick);
	avp_sock_close(&intr->kick.fd);
}

void
avph_intr_set(struct avph_intr *intr, bool on)
{
	if (on == intr->running)
		return;
	intr->running = on;
	atomic_store(&intr->vectors, 0);
	atomic_store(&intr->may_kick, on);
	if (on)
		avp_tick_start(intr->loop, &intr->tick);
	else
		avp_tick_stop(&intr->tick);
}

void
avph_intr_fire(struct avph_intr *intr, _Atomic uint32_t *arm, uint32_t armed)
{
	const uint64_t one = 1;

	if (armed < AVP_VECTOR_RX || armed >= AVP_NB_VECTORS)
		return;
	atomic_store_explicit(arm, 0, memory_order_relaxed);
	/* A total order with may_kick: either the tick sees this, or we may kick. */
	atomic_fetch_or(&intr->vectors, 1u << armed);
	if (!atomic_exchange(&intr->may_kick, false))
		return;
	atomic_fetch_add_explicit(&intr->nb_kicks, 1, memory_order_relaxed);
	/* its counter cannot be full: it is read each time that it is not 0 */
	if (write(intr->kick.fd, &one, sizeof(one)) != sizeof(one))
		atomic_store(&intr->may_kick, true);
}
