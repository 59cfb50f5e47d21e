/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Mempools of fixed mbufs, and taking buffers back: avph_buf.h.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>

#include "avph_buf.h"
#include "avph_mem.h"

#define POOL_NAME_PREFIX "avph_"
#define POOL_MAX_CACHE 256u
/* At most 1.5 / 32 of a pool may be in the cache of any one lcore. */
#define POOL_CACHE_SHARE 32u

void
avph_ext_free(void *addr, void *fixed_mbuf)
{
	struct rte_mbuf *mbuf = fixed_mbuf;

	RTE_SET_USED(addr);
	rte_mbuf_ext_refcnt_set(mbuf->shinfo, 1);
	mbuf->ol_flags = RTE_MBUF_F_EXTERNAL;
	mbuf->next = NULL;
	mbuf->nb_segs = 1;
	rte_mbuf_raw_free(mbuf);
}

/* Bind mbuf @i of the pool to buffer @i of the port, for ever. */
static void
pool_init_mbuf(struct rte_mempool *mp, void *opaque, void *obj, unsigned int i)
{
	const struct avph_pool *pool = opaque;
	struct rte_mbuf *mbuf = obj;
	struct avph_mbuf_priv *priv;

	memset(mbuf, 0, mp->elt_size);
	mbuf->priv_size = sizeof(*priv);
	mbuf->buf_addr = (uint8_t *)avpd_buf_ptr(&pool->mem->bufs, pool->layout.first_buf + i) +
			sizeof(struct avp_desc);
	/* Without an IOMMU the buffer has no one address that a NIC could use: it may lie on two
	 * pages anywhere. */
	rte_mbuf_iova_set(mbuf,
			rte_eal_iova_mode() == RTE_IOVA_VA ? (uintptr_t)mbuf->buf_addr
							   : RTE_BAD_IOVA);
	mbuf->buf_len = AVPH_BUF_LEN;
	mbuf->data_off = RTE_MIN(RTE_PKTMBUF_HEADROOM, mbuf->buf_len);
	mbuf->pool = mp;
	mbuf->nb_segs = 1;
	mbuf->port = RTE_MBUF_PORT_INVALID;
	mbuf->ol_flags = RTE_MBUF_F_EXTERNAL;
	mbuf->next = NULL;
	rte_mbuf_refcnt_set(mbuf, 1);
	priv = rte_mbuf_to_priv(mbuf);
	priv->shinfo.free_cb = avph_ext_free;
	priv->shinfo.fcb_opaque = mbuf;
	priv->buf_idx = pool->layout.first_buf + i;
	rte_mbuf_ext_refcnt_set(&priv->shinfo, 1);
	mbuf->shinfo = &priv->shinfo;
}

/* A power of two, so that bursts and the cache stay aligned; 0 for very small pools. */
static unsigned int
pool_cache_size(uint32_t nb_bufs)
{
	const uint32_t share = RTE_MIN(nb_bufs / POOL_CACHE_SHARE, POOL_MAX_CACHE);

	return share < 4 ? 0 : rte_align32prevpow2(share);
}

static int
pool_create_mp(struct avph_pool *pool, int numa_node)
{
	static _Atomic unsigned int count; /* a leftover may still have the name of its port */
	struct rte_pktmbuf_pool_private priv = {
			.mbuf_data_room_size = AVPH_BUF_LEN,
			.mbuf_priv_size = sizeof(struct avph_mbuf_priv),
			.flags = RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF,
	};
	const uint32_t nb_bufs = pool->layout.nb_own_bufs;
	char name[RTE_MEMPOOL_NAMESIZE];
	int ret;

	snprintf(name, sizeof(name), POOL_NAME_PREFIX "%u", atomic_fetch_add(&count, 1));
	pool->mp = rte_mempool_create_empty(name, nb_bufs,
			sizeof(struct rte_mbuf) + sizeof(struct avph_mbuf_priv),
			pool_cache_size(nb_bufs), sizeof(priv), numa_node, 0);
	if (pool->mp == NULL)
		return -rte_errno;
	ret = rte_mempool_set_ops_byname(pool->mp, rte_mbuf_best_mempool_ops(), NULL);
	if (ret < 0)
		return ret;
	rte_pktmbuf_pool_init(pool->mp, &priv);
	ret = rte_mempool_populate_default(pool->mp);
	if (ret < 0)
		return ret;
	if ((uint32_t)ret != nb_bufs)
		return -ENOMEM;
	rte_mempool_obj_iter(pool->mp, pool_init_mbuf, pool);
	return 0;
}

int
avph_pool_create(struct avph_pool **out, struct avph_mem *mem, const struct avpd_layout *layout,
		const char *name, int numa_node, struct avp_err *err)
{
	struct avph_pool *pool = calloc(1, sizeof(*pool));
	int ret;

	if (pool == NULL)
		return avp_err_set(err, ENOMEM, "%s: out of memory", name);
	pool->mem = mem;
	pool->layout = *layout;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	ret = pool_create_mp(pool, numa_node);
	if (ret < 0)
		goto err_destroy;
	*out = pool;
	return 0;

err_destroy:
	avph_pool_destroy(pool);
	return avp_err_set(err, -ret, "%s: buffers=%u: no mempool of that size: %s", name,
			layout->nb_own_bufs, rte_strerror(-ret));
}

void
avph_pool_destroy(struct avph_pool *pool)
{
	if (pool == NULL)
		return;
	rte_mempool_free(pool->mp);
	free(pool);
}

uint32_t
avph_buf_take_back(struct avph_mem *mem, uint32_t slot)
{
	uint32_t nb_taken = 0;

	for (uint32_t i = 0; i < mem->bufs.nb_bufs; i++) {
		if (!avph_owner_is_slot(avph_owner_get(mem->owners, i), slot))
			continue;
		avph_owner_set(mem->owners, i, AVPH_OWNER_HOST);
		rte_pktmbuf_free(avph_held_mbuf(mem->held[i]));
		nb_taken++;
	}
	return nb_taken;
}
