/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The FDB; how it works is told in fdb.h.
 */

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_jhash.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>
#include <rte_spinlock.h>

#include "fdb.h"

/* In fdb_entry.where, beside the port. */
#define ENTRY_STATIC UINT32_C(0x10000)
#define ENTRY_KEPT UINT32_C(0x20000)
#define NOWHERE UINT32_C(0x80000000)

#define RECENT_SMALL 131072u /* places: 512 KiB */

struct fdb_entry {
	_Atomic uint64_t key;   /* fixed while published */
	_Atomic uint32_t where; /* port, ENTRY_STATIC, ENTRY_KEPT */
	_Atomic uint32_t next;  /* where a kept or static one has been seen: port, ENTRY_STATIC */
	_Atomic uint32_t seen_s;
	uint32_t free_next;  /* while free: index of the next free entry; under lock */
	_Atomic bool in_use; /* published; written under lock */
};

struct fdb {
	struct rte_hash *hash;
	struct fdb_entry *entries;
	uint32_t size; /* of entries: one more than there are keys */
	uint32_t age_s;
	uint32_t free_first; /* index; under lock */
	rte_spinlock_t lock;
	uint32_t *nb_learned; /* per port; written under lock */
	_Atomic uint32_t now_s;
	uint64_t recent_factor; /* odd; random, so that nobody can choose keys of one place */
	unsigned int recent_shift;
	unsigned int nb_workers;
	uint32_t *recent[]; /* of each worker: index of the entry found last in each place */
};

static uint16_t
where_port(uint32_t where)
{
	return where & UINT16_MAX;
}

static bool
where_is_static(uint32_t where)
{
	return (where & ENTRY_STATIC) != 0;
}

/* Is it to stay where it is, whatever is seen? */
static bool
where_is_fixed(uint32_t where)
{
	return (where & (ENTRY_STATIC | ENTRY_KEPT)) != 0;
}

static uint32_t
entry_where(const struct fdb_entry *entry)
{
	return atomic_load_explicit(&entry->where, memory_order_relaxed);
}

static void
set_where(struct fdb_entry *entry, uint32_t where)
{
	atomic_store_explicit(&entry->where, where, memory_order_relaxed);
}

static uint32_t
entry_next(const struct fdb_entry *entry)
{
	return atomic_load_explicit(&entry->next, memory_order_relaxed);
}

static void
set_next(struct fdb_entry *entry, uint32_t next)
{
	atomic_store_explicit(&entry->next, next, memory_order_relaxed);
}

static bool
is_in_use(const struct fdb_entry *entry)
{
	return atomic_load_explicit(&entry->in_use, memory_order_relaxed);
}

/* With release: whoever sees it in use sees it filled in. */
static void
set_in_use(struct fdb_entry *entry, bool in_use)
{
	atomic_store_explicit(&entry->in_use, in_use, memory_order_release);
}

static uint64_t
entry_key(const struct fdb_entry *entry)
{
	return atomic_load_explicit(&entry->key, memory_order_relaxed);
}

uint16_t
fdb_entry_port(const struct fdb_entry *entry)
{
	return where_port(entry_where(entry));
}

uint16_t
fdb_entry_next(const struct fdb_entry *entry)
{
	uint32_t next = entry_next(entry);

	return next != NOWHERE && (entry_where(entry) & ENTRY_KEPT) != 0 ? where_port(next)
									 : FDB_ANY;
}

/* Under lock. Called by rte_hash once no worker can hold the entry any more. */
static void
entry_free(void *ctx, void *data)
{
	struct fdb *fdb = ctx;
	struct fdb_entry *entry = data;

	entry->free_next = fdb->free_first;
	fdb->free_first = entry - fdb->entries;
}

/* Under lock. There is one entry more than the hash has keys, so one is always left: when all keys
 * are taken it is rte_hash that fails, after trying to reclaim what workers have let go of. */
static struct fdb_entry *
entry_alloc(struct fdb *fdb)
{
	struct fdb_entry *entry = &fdb->entries[fdb->free_first];

	assert(fdb->free_first < fdb->size);
	fdb->free_first = entry->free_next;
	return entry;
}

/* The control thread may run ahead of a worker that holds the lock: it must let it go on. */
static void
control_lock(struct fdb *fdb)
{
	const struct timespec ts = {.tv_nsec = 10000};

	while (!rte_spinlock_trylock(&fdb->lock))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* The workers' tables have twice as many places as there are keys, and up to eight times where that
 * is little memory: most keys, or nearly all, have a place of their own. */
static int
recent_create(struct fdb *fdb)
{
	const uint32_t nb_keys = rte_align32pow2(fdb->size);
	const uint32_t nb = RTE_MAX(2 * nb_keys, RTE_MIN(8 * nb_keys, RECENT_SMALL));

	fdb->recent_factor = rte_rand() | 1;
	fdb->recent_shift = 64 - rte_log2_u32(nb);
	for (unsigned int i = 0; i < fdb->nb_workers; i++) {
		fdb->recent[i] = rte_zmalloc("fdb", nb * sizeof(*fdb->recent[i]), 0);
		if (fdb->recent[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

int
fdb_create(struct fdb **fdb_out, const struct fdb_conf *conf, struct avp_err *err)
{
	struct rte_hash_parameters params = {
			.name = "avp_switch_fdb",
			.entries = conf->size,
			.key_len = sizeof(uint64_t),
			.hash_func = rte_jhash,
			.hash_func_init_val = rte_rand(),
			.socket_id = conf->socket_id,
			.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF |
					RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = {.v = conf->rcu, .mode = RTE_HASH_QSBR_MODE_DQ};
	struct fdb *fdb = rte_zmalloc_socket("fdb",
			sizeof(*fdb) + conf->nb_workers * sizeof(fdb->recent[0]), 0,
			conf->socket_id);

	if (fdb == NULL)
		goto err_memory;
	fdb->size = conf->size + 1;
	fdb->nb_workers = conf->nb_workers;
	fdb->age_s = conf->age_s;
	rte_spinlock_init(&fdb->lock);
	fdb->nb_learned = rte_zmalloc("fdb", UINT16_MAX * sizeof(*fdb->nb_learned), 0);
	fdb->entries = rte_zmalloc_socket(
			"fdb", fdb->size * sizeof(*fdb->entries), 0, conf->socket_id);
	if (fdb->entries == NULL || fdb->nb_learned == NULL || recent_create(fdb) != 0)
		goto err_memory;
	for (uint32_t i = 0; i < fdb->size; i++)
		fdb->entries[i].free_next = i + 1;
	fdb->hash = rte_hash_create(&params);
	if (fdb->hash == NULL)
		goto err_memory;
	rcu.key_data_ptr = fdb;
	rcu.free_key_data_func = entry_free;
	if (rte_hash_rcu_qsbr_add(fdb->hash, &rcu) != 0)
		goto err_memory;
	*fdb_out = fdb;
	return 0;

err_memory:
	fdb_destroy(fdb);
	return avp_err_set(err, ENOMEM, "fdb_size=%u: not enough memory, see --memory", conf->size);
}

void
fdb_destroy(struct fdb *fdb)
{
	if (fdb == NULL)
		return;
	rte_hash_free(fdb->hash);
	for (unsigned int i = 0; i < fdb->nb_workers; i++)
		rte_free(fdb->recent[i]);
	rte_free(fdb->entries);
	rte_free(fdb->nb_learned);
	rte_free(fdb);
}

/* Look up those of @keys that @missing says, and note where they were. */
static void
lookup_in_hash(struct fdb *fdb, const uint64_t keys[], const uint8_t missing[], unsigned int nb,
		struct fdb_entry *entries[], uint32_t *const places[])
{
	const void *key_ptrs[FDB_LOOKUP_MAX];
	void *found[FDB_LOOKUP_MAX];
	uint64_t hits = 0;

	for (unsigned int i = 0; i < nb; i++)
		key_ptrs[i] = &keys[missing[i]];
	rte_hash_lookup_bulk_data(fdb->hash, key_ptrs, nb, &hits, found);
	for (unsigned int i = 0; i < nb; i++) {
		struct fdb_entry *entry = (hits >> i & 1) != 0 ? found[i] : NULL;

		entries[missing[i]] = entry;
		if (entry != NULL)
			*places[missing[i]] = entry - fdb->entries;
	}
}

void
fdb_lookup(struct fdb *fdb, unsigned int worker, const uint64_t keys[], unsigned int nb,
		struct fdb_entry *entries[])
{
	uint32_t *places[FDB_LOOKUP_MAX];
	uint8_t missing[FDB_LOOKUP_MAX];
	unsigned int nb_missing = 0;

	assert(nb <= FDB_LOOKUP_MAX && worker < fdb->nb_workers);
	for (unsigned int i = 0; i < nb; i++) {
		places[i] = &fdb->recent[worker][keys[i] * fdb->recent_factor >> fdb->recent_shift];
		rte_prefetch0(places[i]);
	}
	for (unsigned int i = 0; i < nb; i++) {
		entries[i] = &fdb->entries[*places[i]];
		rte_prefetch0(entries[i]);
	}
	for (unsigned int i = 0; i < nb; i++) {
		/* Pairs with set_in_use(). It was not in use when it got this key: what is seen in
		 * use, after this worker was quiescent, is what it is now. */
		if (unlikely(!atomic_load_explicit(&entries[i]->in_use, memory_order_acquire) ||
				    entry_key(entries[i]) != keys[i]))
			missing[nb_missing++] = i;
	}
	if (unlikely(nb_missing > 0))
		lookup_in_hash(fdb, keys, missing, nb_missing, entries, places);
}

/* Under lock: fill in an entry, then publish its key. Returns 0 or -ENOSPC. */
static int
entry_add(struct fdb *fdb, uint64_t key, uint32_t where)
{
	struct fdb_entry *entry = entry_alloc(fdb);

	atomic_store_explicit(&entry->key, key, memory_order_relaxed);
	set_where(entry, where);
	set_next(entry, NOWHERE);
	atomic_store_explicit(&entry->seen_s,
			atomic_load_explicit(&fdb->now_s, memory_order_relaxed),
			memory_order_relaxed);
	/* Publishes with release, so that a worker that finds the key sees the entry filled in. */
	if (rte_hash_add_key_data(fdb->hash, &key, entry) != 0) {
		entry_free(fdb, entry);
		return -ENOSPC;
	}
	set_in_use(entry, true);
	if (!where_is_static(where))
		fdb->nb_learned[where_port(where)]++;
	return 0;
}

/* Under lock. */
static void
entry_del(struct fdb *fdb, struct fdb_entry *entry)
{
	uint32_t where = entry_where(entry);
	uint64_t key;

	if (!where_is_static(where))
		fdb->nb_learned[where_port(where)]--;
	set_in_use(entry, false);
	key = entry_key(entry);
	rte_hash_del_key(fdb->hash, &key);
}

/* Under lock. */
static struct fdb_entry *
entry_find(const struct fdb *fdb, uint64_t key)
{
	void *entry = NULL;

	return rte_hash_lookup_data(fdb->hash, &key, &entry) >= 0 ? entry : NULL;
}

/* A fixed entry's MAC is seen at another port. */
static enum fdb_learned
note_next(struct fdb_entry *entry, uint32_t where, uint16_t port)
{
	uint32_t next = entry_next(entry);

	if (next != NOWHERE && where_is_static(next) && where_port(next) != port)
		return FDB_STATIC;
	if (next == NOWHERE || where_port(next) != port)
		set_next(entry, port);
	return (where & ENTRY_KEPT) != 0 ? FDB_LEARNED : FDB_STATIC;
}

/* Under lock: what the worker saw may have changed since. */
static enum fdb_learned
learn_locked(struct fdb *fdb, uint64_t key, uint16_t port, uint32_t max)
{
	struct fdb_entry *entry = entry_find(fdb, key);
	uint32_t where = entry != NULL ? entry_where(entry) : 0;

	if (entry != NULL && where_port(where) == port)
		return FDB_LEARNED;
	if (entry != NULL && where_is_fixed(where))
		return note_next(entry, where, port);
	if (fdb->nb_learned[port] >= max)
		return FDB_REFUSED;
	if (entry == NULL)
		return entry_add(fdb, key, port) == 0 ? FDB_LEARNED : FDB_REFUSED;
	fdb->nb_learned[where_port(where)]--;
	fdb->nb_learned[port]++;
	set_where(entry, port);
	atomic_store_explicit(&entry->seen_s,
			atomic_load_explicit(&fdb->now_s, memory_order_relaxed),
			memory_order_relaxed);
	return FDB_LEARNED;
}

enum fdb_learned
fdb_learn(struct fdb *fdb, struct fdb_entry *entry, uint64_t key, uint16_t port, uint32_t max)
{
	enum fdb_learned learned;

	if (entry != NULL) {
		uint32_t now_s = atomic_load_explicit(&fdb->now_s, memory_order_relaxed);
		uint32_t where = entry_where(entry);

		if (likely(where_port(where) == port)) {
			if (atomic_load_explicit(&entry->seen_s, memory_order_relaxed) != now_s)
				atomic_store_explicit(&entry->seen_s, now_s, memory_order_relaxed);
			return FDB_LEARNED;
		}
		if (where_is_fixed(where))
			return note_next(entry, where, port);
	}
	if (!rte_spinlock_trylock(&fdb->lock))
		return FDB_BUSY;
	learned = learn_locked(fdb, key, port, max);
	rte_spinlock_unlock(&fdb->lock);
	return learned;
}

/* Under lock: let a learned entry go elsewhere, or become static. */
static void
move_learned(struct fdb *fdb, struct fdb_entry *entry, uint32_t where)
{
	fdb->nb_learned[where_port(entry_where(entry))]--;
	if (!where_is_static(where))
		fdb->nb_learned[where_port(where)]++;
	set_where(entry, where);
}

int
fdb_add_static(struct fdb *fdb, uint64_t key, uint16_t port)
{
	const uint32_t wanted = port | ENTRY_STATIC;
	struct fdb_entry *entry;
	uint32_t where;
	int rc = 0;

	control_lock(fdb);
	entry = entry_find(fdb, key);
	where = entry != NULL ? entry_where(entry) : 0;
	if (entry == NULL)
		rc = entry_add(fdb, key, wanted);
	else if (where_port(where) != port && (where & ENTRY_KEPT) != 0)
		set_next(entry, wanted);
	else if (!where_is_static(where))
		move_learned(fdb, entry, wanted);
	else if (where_port(where) == port)
		set_where(entry, wanted);
	else
		rc = -EEXIST;
	rte_spinlock_unlock(&fdb->lock);
	return rc;
}

void
fdb_del_static(struct fdb *fdb, uint64_t key, uint16_t port)
{
	const uint32_t wanted = port | ENTRY_STATIC;
	struct fdb_entry *entry;

	control_lock(fdb);
	entry = entry_find(fdb, key);
	if (entry != NULL && (entry_where(entry) & ~ENTRY_KEPT) == wanted)
		entry_del(fdb, entry);
	else if (entry != NULL && entry_next(entry) == wanted)
		set_next(entry, NOWHERE);
	rte_spinlock_unlock(&fdb->lock);
}

uint16_t
fdb_where_learned(struct fdb *fdb, uint64_t key)
{
	const struct fdb_entry *entry;
	uint16_t port = FDB_ANY;

	control_lock(fdb);
	entry = entry_find(fdb, key);
	if (entry != NULL && !where_is_fixed(entry_where(entry)))
		port = where_port(entry_where(entry));
	rte_spinlock_unlock(&fdb->lock);
	return port;
}

/* Call @fn, under lock, for each entry of @port. One entry at a time: workers that want to learn do
 * not wait, they skip. */
static void
for_port(struct fdb *fdb, uint16_t port,
		void (*fn)(struct fdb *fdb, struct fdb_entry *entry, uint32_t where, void *arg),
		void *arg)
{
	for (uint32_t i = 0; i < fdb->size; i++) {
		struct fdb_entry *entry = &fdb->entries[i];

		if (!is_in_use(entry) || where_port(entry_where(entry)) != port)
			continue;
		control_lock(fdb);
		if (is_in_use(entry) && where_port(entry_where(entry)) == port)
			fn(fdb, entry, entry_where(entry), arg);
		rte_spinlock_unlock(&fdb->lock);
	}
}

static void
keep_learned(struct fdb *fdb __rte_unused, struct fdb_entry *entry, uint32_t where,
		void *arg __rte_unused)
{
	set_next(entry, NOWHERE);
	if (!where_is_static(where))
		set_where(entry, where | ENTRY_KEPT);
}

void
fdb_keep_learned(struct fdb *fdb, uint16_t port)
{
	for_port(fdb, port, keep_learned, NULL);
}

static void
keep_static(struct fdb *fdb __rte_unused, struct fdb_entry *entry, uint32_t where,
		void *arg __rte_unused)
{
	set_where(entry, where | ENTRY_KEPT);
}

void
fdb_keep_static(struct fdb *fdb, uint16_t port)
{
	for_port(fdb, port, keep_static, NULL);
}

static void
unkeep(struct fdb *fdb, struct fdb_entry *entry, uint32_t where, void *arg __rte_unused)
{
	uint32_t next = entry_next(entry);

	set_next(entry, NOWHERE);
	if (where_is_static(where) || next == NOWHERE)
		set_where(entry, where & ~ENTRY_KEPT);
	else
		move_learned(fdb, entry, next);
}

void
fdb_unkeep(struct fdb *fdb, uint16_t port)
{
	for_port(fdb, port, unkeep, NULL);
}

static void
settle(struct fdb *fdb, struct fdb_entry *entry, uint32_t where, void *arg)
{
	uint32_t next = entry_next(entry);
	uint32_t *nb_left = arg;

	if ((where & ENTRY_KEPT) == 0)
		return;
	if (next == NOWHERE) {
		(*nb_left)++;
		return;
	}
	if (where_is_static(where)) {
		if (!where_is_static(next))
			fdb->nb_learned[where_port(next)]++;
		set_where(entry, next);
	} else {
		move_learned(fdb, entry, next);
	}
	set_next(entry, NOWHERE);
}

uint32_t
fdb_settle(struct fdb *fdb, uint16_t port)
{
	uint32_t nb_left = 0;

	for_port(fdb, port, settle, &nb_left);
	return nb_left;
}

static void
del_kept(struct fdb *fdb, struct fdb_entry *entry, uint32_t where, void *arg __rte_unused)
{
	if ((where & ENTRY_KEPT) != 0)
		entry_del(fdb, entry);
}

void
fdb_del_kept(struct fdb *fdb, uint16_t port)
{
	for_port(fdb, port, del_kept, NULL);
}

static void
move_kept(struct fdb *fdb, struct fdb_entry *entry, uint32_t where, void *arg)
{
	uint16_t to = *(const uint16_t *)arg;

	if ((where & ENTRY_KEPT) == 0)
		return;
	if (!where_is_static(where)) {
		fdb->nb_learned[where_port(where)]--;
		fdb->nb_learned[to]++;
	}
	set_where(entry, (where & ~(uint32_t)UINT16_MAX) | to);
}

void
fdb_move_kept(struct fdb *fdb, uint16_t port, uint16_t to)
{
	for_port(fdb, port, move_kept, &to);
}

uint32_t
fdb_flush(struct fdb *fdb, uint16_t port, uint16_t vid)
{
	uint32_t nb = 0;

	for (uint32_t i = 0; i < fdb->size; i++) {
		struct fdb_entry *entry = &fdb->entries[i];
		uint32_t where;

		if (!is_in_use(entry))
			continue;
		/* One entry at a time: workers that want to learn do not wait, they skip. */
		control_lock(fdb);
		where = entry_where(entry);
		if (port != FDB_ANY && entry_next(entry) == port)
			set_next(entry, NOWHERE);
		if (is_in_use(entry) && !where_is_fixed(where) &&
				(port == FDB_ANY || where_port(where) == port) &&
				(vid == FDB_ANY || entry_key(entry) >> 48 == vid)) {
			entry_del(fdb, entry);
			nb++;
		}
		rte_spinlock_unlock(&fdb->lock);
	}
	return nb;
}

uint32_t
fdb_age(struct fdb *fdb, uint32_t now_s)
{
	uint32_t nb = 0;

	atomic_store_explicit(&fdb->now_s, now_s, memory_order_relaxed);
	for (uint32_t i = 0; i < fdb->size; i++) {
		struct fdb_entry *entry = &fdb->entries[i];
		uint32_t idle_s;

		if (!is_in_use(entry))
			continue;
		control_lock(fdb);
		idle_s = now_s - atomic_load_explicit(&entry->seen_s, memory_order_relaxed);
		if (is_in_use(entry) && !where_is_fixed(entry_where(entry)) &&
				idle_s >= fdb->age_s) {
			entry_del(fdb, entry);
			nb++;
		}
		rte_spinlock_unlock(&fdb->lock);
	}
	return nb;
}

void
fdb_walk(struct fdb *fdb, void (*fn)(const struct fdb_info *info, void *ctx), void *ctx)
{
	uint32_t now_s = atomic_load_explicit(&fdb->now_s, memory_order_relaxed);

	for (uint32_t i = 0; i < fdb->size; i++) {
		struct fdb_entry *entry = &fdb->entries[i];
		struct fdb_info info;
		bool in_use;

		if (!is_in_use(entry))
			continue;
		control_lock(fdb);
		in_use = is_in_use(entry);
		if (in_use) {
			uint32_t where = entry_where(entry);
			uint64_t key = entry_key(entry);

			memcpy(info.mac, &key, sizeof(info.mac));
			info.vid = key >> 48;
			info.port = where_port(where);
			info.is_static = where_is_static(where);
			info.is_kept = (where & ENTRY_KEPT) != 0;
			info.age_s = now_s -
					atomic_load_explicit(&entry->seen_s, memory_order_relaxed);
		}
		rte_spinlock_unlock(&fdb->lock);
		if (in_use)
			fn(&info, ctx);
	}
}
