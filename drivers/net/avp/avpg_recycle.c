/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a generation of recycled buffers, and what bursts do seldom: avpg_recycle.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>

#include "avpg_port.h"
#include "avpg_recycle.h"

/* Slots that are looked at for one idle mbuf, at most. */
#define MAX_LOOKS 256u
/* Larger than any number of mbufs that are out. */
#define LEFT_BIAS (1u << 30)

static void
recycle_destroy(struct avpg_recycle *recycle)
{
	for (uint32_t i = 0; i < recycle->nb_tables; i++) {
		free(recycle->tables[i].slots);
		free(recycle->tables[i].next);
		free(recycle->tables[i].fifo);
	}
	free(recycle->queue_of);
	avpg_map_put(recycle->map);
	free(recycle);
}

static int
table_init(struct avpg_table *table, struct avpg_recycle *recycle)
{
	table->recycle = recycle;
	table->pending = AVPG_STACK_END;
	atomic_init(&table->freed, AVPG_STACK_END);
	/* pages that no buffer needs are never touched */
	table->slots = calloc(recycle->mem.nb_bufs, sizeof(table->slots[0]));
	table->next = calloc(recycle->mem.nb_bufs, sizeof(table->next[0]));
	table->fifo = calloc(recycle->mem.nb_bufs, sizeof(table->fifo[0]));
	return table->slots != NULL && table->next != NULL && table->fifo != NULL ? 0 : -ENOMEM;
}

struct avpg_recycle *
avpg_recycle_create(const struct avpg_port *port)
{
	const struct avpg_mem *mem = &port->info.mem;
	struct avpg_recycle *recycle;
	int ret = 0;

	if (port->hw->map == NULL || mem->buf_stride == 0)
		return NULL;
	recycle = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*recycle));
	if (recycle == NULL)
		return NULL;
	memset(recycle, 0, sizeof(*recycle));
	recycle->mem = *mem;
	atomic_init(&recycle->left, LEFT_BIAS);
	recycle->queue_of = calloc(mem->nb_bufs, sizeof(recycle->queue_of[0]));
	if (recycle->queue_of == NULL)
		ret = -ENOMEM;
	while (recycle->nb_tables < port->nb_rx_queues && ret == 0)
		ret = table_init(&recycle->tables[recycle->nb_tables++], recycle);
	if (ret != 0) {
		recycle_destroy(recycle);
		return NULL;
	}
	avpg_map_get(port->hw->map);
	recycle->map = port->hw->map;
	return recycle;
}

/* @nb of the mbufs that were out when it was retired are not any more; the last destroys it. */
static void
recycle_leave(struct avpg_recycle *recycle, uint32_t nb)
{
	/* what the others did to it is before its end */
	if (atomic_fetch_sub_explicit(&recycle->left, nb, memory_order_acq_rel) == nb)
		recycle_destroy(recycle);
}

void
avpg_recycle_free(void *addr, void *opaque)
{
	struct avpg_table *table = opaque;
	const struct avpg_recycle *recycle = table->recycle;
	const uint32_t idx = (uint32_t)avpg_mem_buf_idx(&recycle->mem,
			(uintptr_t)addr - sizeof(struct avp_desc) -
					(uintptr_t)avpg_mem_buf(&recycle->mem, 0));
	uint32_t head = atomic_load_explicit(&table->freed, memory_order_relaxed);

	/* the mbuf is about to have its own buffer again; that of the slot is not the host's yet */
	atomic_store_explicit(&table->slots[idx].state, AVPG_SLOT_APP, memory_order_relaxed);
	do {
		if (unlikely(head == AVPG_STACK_CLOSED)) {
			recycle_leave(table->recycle, 1);
			return;
		}
		table->next[idx] = head;
		/* pairs with the acquire in avpg_table_take_freed() */
	} while (!atomic_compare_exchange_weak_explicit(
			&table->freed, &head, idx, memory_order_release, memory_order_relaxed));
}

void
avpg_table_bind(struct avpg_table *table, uint32_t idx, struct rte_mbuf *m)
{
	struct avpg_slot *slot = &table->slots[idx];

	slot->shinfo.free_cb = avpg_recycle_free;
	slot->shinfo.fcb_opaque = table;
	rte_mbuf_ext_refcnt_set(&slot->shinfo, 1);
	m->buf_addr = avpg_mem_buf(&table->recycle->mem, idx) + sizeof(struct avp_desc);
	/* BAR 2 is mapped for no other device: without an IOMMU there is no address to give */
	rte_mbuf_iova_set(m,
			rte_eal_iova_mode() == RTE_IOVA_VA ? (uintptr_t)m->buf_addr : RTE_BAD_IOVA);
	m->buf_len = (uint16_t)avpg_mem_buf_len(&table->recycle->mem);
	m->shinfo = &slot->shinfo;
}

/* Let an idle mbuf have its own buffer again. Nobody returns a packet buffer here: the callback is
 * not called. */
static void
mbuf_unbind(struct rte_mbuf *m)
{
	m->ol_flags = RTE_MBUF_F_EXTERNAL;
	rte_mbuf_ext_refcnt_set(m->shinfo, 2);
	rte_pktmbuf_detach(m);
}

/* An idle mbuf, unbound from its buffer; NULL: none found. */
static struct rte_mbuf *
table_steal(struct avpg_table *table)
{
	for (uint32_t i = 0; i < MAX_LOOKS; i++) {
		struct avpg_slot *slot = &table->slots[table->hand];
		const uintptr_t state = avpg_slot_get(slot);

		table->hand = table->hand + 1 < table->recycle->mem.nb_bufs ? table->hand + 1 : 0;
		if (state == 0 || (state & AVPG_SLOT_APP) != 0)
			continue;
		avpg_slot_set(slot, 0);
		table->nb_bound--;
		mbuf_unbind((struct rte_mbuf *)state);
		return (struct rte_mbuf *)state;
	}
	return NULL;
}

bool
avpg_table_fill_spare(
		struct avpg_table *table, struct rte_mempool *pool, uint32_t nb, uint32_t max_idle)
{
	const uint32_t bulk = AVPG_NB_SPARE / 2;

	if (likely(table->nb_spare >= nb))
		return true;
	avpg_table_see_sent(table);
	if (table->nb_bound - table->nb_out < max_idle &&
			rte_mempool_get_bulk(pool, (void **)&table->spare[table->nb_spare], bulk) ==
					0) {
		table->nb_spare += bulk;
		return true;
	}
	while (table->nb_spare < nb) {
		struct rte_mbuf *m = table_steal(table);

		if (m == NULL && rte_mempool_get_bulk(pool, (void **)&m, 1) != 0)
			return false;
		table->spare[table->nb_spare++] = m;
	}
	return true;
}

static void
table_trim(struct avpg_table *table)
{
	/* buffers on their way to the free FIFO may have mbufs that nobody else has */
	for (uint32_t i = table->pending; i != AVPG_STACK_END; i = table->next[i]) {
		struct avpg_slot *slot = &table->slots[i];

		avpg_slot_set(slot, avpg_slot_get(slot) & ~AVPG_SLOT_APP);
	}
	for (uint32_t i = 0; i < table->recycle->mem.nb_bufs; i++) {
		const uintptr_t state = avpg_slot_get(&table->slots[i]);

		if (state == 0 || (state & AVPG_SLOT_APP) != 0)
			continue;
		avpg_slot_set(&table->slots[i], 0);
		table->nb_bound--;
		mbuf_unbind((struct rte_mbuf *)state);
		rte_mbuf_raw_free((struct rte_mbuf *)state);
	}
	for (uint32_t i = table->pending; i != AVPG_STACK_END; i = table->next[i])
		avpg_slot_set(&table->slots[i], AVPG_SLOT_APP);
	while (table->nb_spare > 0)
		rte_mbuf_raw_free(table->spare[--table->nb_spare]);
}

void
avpg_recycle_trim(struct avpg_recycle *recycle)
{
	for (uint32_t i = 0; recycle != NULL && i < recycle->nb_tables; i++)
		table_trim(&recycle->tables[i]);
}

/* How many of the table's mbufs are out, that will come to a closed stack? */
static uint32_t
table_close(struct avpg_table *table)
{
	uint32_t idx = atomic_exchange_explicit(
			&table->freed, AVPG_STACK_CLOSED, memory_order_acq_rel);

	avpg_table_see_sent(table);
	for (; idx != AVPG_STACK_END; idx = table->next[idx])
		table->nb_out--;
	return table->nb_out;
}

uint32_t
avpg_recycle_nb_out(struct avpg_recycle *recycle)
{
	uint32_t nb_out = 0;

	for (uint32_t i = 0; recycle != NULL && i < recycle->nb_tables; i++) {
		struct avpg_table *table = &recycle->tables[i];
		/* pairs with the release in avpg_recycle_free(); others push, nobody takes */
		uint32_t idx = atomic_load_explicit(&table->freed, memory_order_acquire);

		avpg_table_see_sent(table);
		nb_out += table->nb_out;
		for (; idx != AVPG_STACK_END; idx = table->next[idx])
			nb_out--;
	}
	return nb_out;
}

void
avpg_recycle_retire(struct avpg_recycle *recycle)
{
	uint32_t nb_out = 0;

	if (recycle == NULL)
		return;
	avpg_recycle_trim(recycle);
	for (uint32_t i = 0; i < recycle->nb_tables; i++)
		nb_out += table_close(&recycle->tables[i]);
	recycle_leave(recycle, LEFT_BIAS - nb_out);
}
