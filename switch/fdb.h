/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The FDB: which port a MAC of a VLAN is behind.
 *
 * How it works: rte_hash with lock-free readers; the key is MAC and VLAN in 8 bytes, the data an
 * entry of a fixed array. An entry is filled in before its key is published, and used again only
 * after all workers have been quiescent (RCU), so a worker may use what a lookup gave it until it
 * reports its next quiescent state. Changes are made under a spinlock: by the control thread, which
 * waits for it, and by workers that learn, which do not (the next packet will be learned). A look
 * at a known MAC takes no lock and writes at most once a second.
 *
 * In front of it each worker has a table of its own, indexed by a hash of the key, of the entry
 * that it found last in that place. An entry's own key says whether it is the one, so nothing has
 * to be told to these tables when something changes; a wrong or an old one is looked up in
 * rte_hash.
 *
 * Entries of a VM that moves are kept: they do not age, are not flushed, and stay where they are
 * when their MAC is seen elsewhere. Where that was is only noted (fdb_entry_next()), until what the
 * old port holds has been sent there and the entry may follow (fdb_settle()).
 *
 * Hashed with rte_jhash and a random seed: collisions of a CRC do not depend on its seed, so a
 * guest could make them.
 */

#ifndef FDB_H
#define FDB_H

#include <stdbool.h>
#include <stdint.h>

#include "avp_err.h"

#define FDB_SIZE_MIN 64u
#define FDB_SIZE_MAX 1048576u
#define FDB_LOOKUP_MAX 64u /* keys in one lookup */
#define FDB_ANY UINT16_MAX /* any port, any VLAN */

struct fdb;
struct fdb_entry;
struct rte_rcu_qsbr;

struct fdb_conf {
	uint32_t size;            /* entries, FDB_SIZE_MIN..FDB_SIZE_MAX */
	uint32_t age_s;           /* a learned entry lives this long after its last packet */
	unsigned int nb_workers;  /* that look up */
	int socket_id;            /* for memory */
	struct rte_rcu_qsbr *rcu; /* the workers' */
};

enum fdb_learned {
	FDB_LEARNED, /* now, or known already */
	FDB_STATIC,  /* it is another port's static entry */
	FDB_REFUSED, /* the port has its share, or the table is full */
	FDB_BUSY,    /* somebody else is changing the table; try with the next packet */
};

/** What a show or a test sees of an entry. */
struct fdb_info {
	uint8_t mac[6];
	uint16_t vid;
	uint16_t port;
	bool is_static;
	bool is_kept;
	uint32_t age_s;
};

/** A MAC in the low 48 bits, in memory order. */
static inline uint64_t
fdb_mac(const uint8_t mac[6])
{
	return (uint64_t)mac[0] | (uint64_t)mac[1] << 8 | (uint64_t)mac[2] << 16 |
			(uint64_t)mac[3] << 24 | (uint64_t)mac[4] << 32 | (uint64_t)mac[5] << 40;
}

static inline uint64_t
fdb_key(uint64_t mac, uint16_t vid)
{
	return mac | (uint64_t)vid << 48;
}

/** Returns 0 or -errno with @err filled in. */
int fdb_create(struct fdb **fdb, const struct fdb_conf *conf, struct avp_err *err);
/** No worker may be using it. */
void fdb_destroy(struct fdb *fdb);

/**
 * Look up keys, NULL for those that are not there.
 *
 * @worker  which one asks, below fdb_conf.nb_workers
 * @nb      at most FDB_LOOKUP_MAX
 * Context: a registered worker; entries are good until its next quiescent state.
 */
void fdb_lookup(struct fdb *fdb, unsigned int worker, const uint64_t keys[], unsigned int nb,
		struct fdb_entry *entries[]);

uint16_t fdb_entry_port(const struct fdb_entry *entry);

/** Where the MAC of a kept entry has been seen since, FDB_ANY = nowhere, or it is not kept. */
uint16_t fdb_entry_next(const struct fdb_entry *entry);

/**
 * See a packet from a MAC: learn it, move it, or note that it is in use.
 *
 * @entry  what fdb_lookup() gave for @key, may be NULL
 * @max    learned entries that @port may have
 * Context: a registered worker. Never waits.
 */
enum fdb_learned fdb_learn(struct fdb *fdb, struct fdb_entry *entry, uint64_t key, uint16_t port,
		uint32_t max);

/* The rest is for the control thread. */

/** Add a static entry, in place of a learned one; of one kept elsewhere it becomes the next place.
 * Returns 0, -EEXIST when static elsewhere, -ENOSPC. */
int fdb_add_static(struct fdb *fdb, uint64_t key, uint16_t port);
/** Remove a port's static entry. */
void fdb_del_static(struct fdb *fdb, uint64_t key, uint16_t port);

/** Where a key was learned, FDB_ANY = it is unknown, static or kept. */
uint16_t fdb_where_learned(struct fdb *fdb, uint64_t key);

/** Keep the learned entries of @port, and forget what was noted of all its entries. */
void fdb_keep_learned(struct fdb *fdb, uint16_t port);
/** Keep the static ones too. */
void fdb_keep_static(struct fdb *fdb, uint16_t port);
/** Undo both. Learned entries go where they were seen since. */
void fdb_unkeep(struct fdb *fdb, uint16_t port);
/** Let kept entries of @port follow their MACs. Returns how many have been seen nowhere. */
uint32_t fdb_settle(struct fdb *fdb, uint16_t port);
/** Remove the kept entries of @port. */
void fdb_del_kept(struct fdb *fdb, uint16_t port);
/** The kept entries of @port are another's from now on. */
void fdb_move_kept(struct fdb *fdb, uint16_t port, uint16_t to);

/** Remove the learned entries of @port and @vid, each may be FDB_ANY; not those that are kept.
 * Returns how many. */
uint32_t fdb_flush(struct fdb *fdb, uint16_t port, uint16_t vid);

/** Tell the time; once a second. Removes what is too old; returns how many. */
uint32_t fdb_age(struct fdb *fdb, uint32_t now_s);

/** Call @fn for each entry. @fn may not change the FDB. */
void fdb_walk(struct fdb *fdb, void (*fn)(const struct fdb_info *info, void *ctx), void *ctx);

#endif /* FDB_H */
