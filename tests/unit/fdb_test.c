/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/fdb.c: learning, moving, aging, limits, static entries; and a random run against a model.
 */

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include "eal_fixture.h"
#include "fdb.h"

#define SIZE 128u
#define AGE_S 300u
#define NOW_S 1000u
#define NO_LIMIT UINT32_MAX

struct place {
	struct rte_rcu_qsbr *rcu;
	struct fdb *fdb;
};

static int
setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct fdb_conf conf = {
			.size = SIZE, .age_s = AGE_S, .nb_workers = 1, .socket_id = SOCKET_ID_ANY};
	struct avp_err err;

	if (place == NULL)
		return -1;
	place->rcu = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(place->rcu, 1);
	rte_rcu_qsbr_thread_register(place->rcu, 0);
	rte_rcu_qsbr_thread_online(place->rcu, 0);
	conf.rcu = place->rcu;
	if (fdb_create(&place->fdb, &conf, &err) != 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	fdb_age(place->fdb, NOW_S);
	*state = place;
	return 0;
}

static int
teardown(void **state)
{
	struct place *place = *state;

	rte_rcu_qsbr_thread_offline(place->rcu, 0);
	fdb_destroy(place->fdb);
	rte_free(place->rcu);
	free(place);
	return 0;
}

/* The key of the n-th MAC in a VLAN. */
static uint64_t
key(unsigned int n, uint16_t vid)
{
	uint8_t mac[6] = {0x02, 0, 0, 0, n >> 8, n};

	return fdb_key(fdb_mac(mac), vid);
}

static struct fdb_entry *
look(struct place *place, uint64_t k)
{
	struct fdb_entry *entry;
	struct fdb_entry *again;

	/* The second time by what the worker knows. */
	fdb_lookup(place->fdb, 0, &k, 1, &entry);
	fdb_lookup(place->fdb, 0, &k, 1, &again);
	assert_ptr_equal(again, entry);
	return entry;
}

/* The port that a key is known behind, -1 = none. */
static int
port_of(struct place *place, uint64_t k)
{
	struct fdb_entry *entry = look(place, k);

	return entry != NULL ? fdb_entry_port(entry) : -1;
}

/* As a worker does: look up, then learn. */
static enum fdb_learned
see(struct place *place, uint64_t k, uint16_t port, uint32_t max)
{
	return fdb_learn(place->fdb, look(place, k), k, port, max);
}

static void
learned_mac_is_found_in_its_vlan_only(void **state)
{
	struct place *place = *state;

	assert_int_equal(port_of(place, key(1, 10)), -1);
	assert_int_equal(see(place, key(1, 10), 3, NO_LIMIT), FDB_LEARNED);
	assert_int_equal(port_of(place, key(1, 10)), 3);
	assert_int_equal(port_of(place, key(1, 11)), -1);
	assert_int_equal(port_of(place, key(2, 10)), -1);
}

static void
one_lookup_answers_each_key(void **state)
{
	struct place *place = *state;
	uint64_t keys[FDB_LOOKUP_MAX];
	struct fdb_entry *entries[FDB_LOOKUP_MAX];

	for (unsigned int i = 0; i < FDB_LOOKUP_MAX; i++) {
		keys[i] = key(i, 1);
		if (i % 3 == 0)
			see(place, keys[i], i, NO_LIMIT);
	}
	fdb_lookup(place->fdb, 0, keys, FDB_LOOKUP_MAX, entries);
	for (unsigned int i = 0; i < FDB_LOOKUP_MAX; i++) {
		if (i % 3 == 0)
			assert_int_equal(fdb_entry_port(entries[i]), i);
		else
			assert_null(entries[i]);
	}
}

static void
mac_moves_to_where_it_was_seen_last(void **state)
{
	struct place *place = *state;

	see(place, key(1, 10), 3, NO_LIMIT);
	assert_int_equal(see(place, key(1, 10), 4, NO_LIMIT), FDB_LEARNED);
	assert_int_equal(port_of(place, key(1, 10)), 4);
}

static void
unused_mac_is_forgotten_after_its_age(void **state)
{
	struct place *place = *state;

	see(place, key(1, 10), 3, NO_LIMIT);
	see(place, key(2, 10), 3, NO_LIMIT);
	assert_int_equal(fdb_age(place->fdb, NOW_S + 100), 0);
	see(place, key(2, 10), 3, NO_LIMIT);
	assert_int_equal(fdb_age(place->fdb, NOW_S + AGE_S - 1), 0);
	assert_int_equal(fdb_age(place->fdb, NOW_S + AGE_S), 1);
	assert_int_equal(port_of(place, key(1, 10)), -1);
	assert_int_equal(port_of(place, key(2, 10)), 3);
	assert_int_equal(fdb_age(place->fdb, NOW_S + 100 + AGE_S), 1);
}

static void
port_learns_no_more_than_its_limit(void **state)
{
	struct place *place = *state;

	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(see(place, key(i, 1), 3, 5), FDB_LEARNED);
	assert_int_equal(see(place, key(5, 1), 3, 5), FDB_REFUSED);
	assert_int_equal(port_of(place, key(5, 1)), -1);
	assert_int_equal(see(place, key(0, 1), 3, 5), FDB_LEARNED);
	/* Another port's share is its own. */
	assert_int_equal(see(place, key(5, 1), 4, 5), FDB_LEARNED);
	/* A MAC cannot be drawn to a full port either; one that leaves makes room. */
	assert_int_equal(see(place, key(5, 1), 3, 5), FDB_REFUSED);
	assert_int_equal(port_of(place, key(5, 1)), 4);
	assert_int_equal(see(place, key(0, 1), 4, 5), FDB_LEARNED);
	assert_int_equal(see(place, key(6, 1), 3, 5), FDB_LEARNED);
}

static void
forgotten_macs_make_room_under_the_limit(void **state)
{
	struct place *place = *state;

	for (unsigned int i = 0; i < 5; i++)
		see(place, key(i, 1), 3, 5);
	assert_int_equal(fdb_flush(place->fdb, 3, FDB_ANY), 5);
	assert_int_equal(see(place, key(9, 1), 3, 5), FDB_LEARNED);
}

static void
static_mac_is_not_learned_elsewhere(void **state)
{
	struct place *place = *state;

	assert_int_equal(fdb_add_static(place->fdb, key(1, 1), 3), 0);
	assert_int_equal(see(place, key(1, 1), 4, NO_LIMIT), FDB_STATIC);
	assert_int_equal(see(place, key(1, 1), 3, NO_LIMIT), FDB_LEARNED);
	assert_int_equal(port_of(place, key(1, 1)), 3);
	assert_int_equal(fdb_add_static(place->fdb, key(1, 1), 4), -EEXIST);
	assert_int_equal(fdb_add_static(place->fdb, key(1, 1), 3), 0);
}

static void
static_mac_takes_the_place_of_a_learned_one(void **state)
{
	struct place *place = *state;

	see(place, key(1, 1), 4, 1);
	assert_int_equal(fdb_add_static(place->fdb, key(1, 1), 3), 0);
	assert_int_equal(port_of(place, key(1, 1)), 3);
	/* It no longer counts for the port that had learned it. */
	assert_int_equal(see(place, key(2, 1), 4, 1), FDB_LEARNED);
}

static void
static_mac_neither_ages_nor_is_flushed(void **state)
{
	struct place *place = *state;

	fdb_add_static(place->fdb, key(1, 1), 3);
	assert_int_equal(fdb_age(place->fdb, NOW_S + 10 * AGE_S), 0);
	assert_int_equal(fdb_flush(place->fdb, FDB_ANY, FDB_ANY), 0);
	fdb_del_static(place->fdb, key(1, 1), 4);
	assert_int_equal(port_of(place, key(1, 1)), 3);
	fdb_del_static(place->fdb, key(1, 1), 3);
	assert_int_equal(port_of(place, key(1, 1)), -1);
}

static void
flush_takes_port_and_vlan_only(void **state)
{
	struct place *place = *state;

	see(place, key(1, 1), 3, NO_LIMIT);
	see(place, key(1, 2), 3, NO_LIMIT);
	see(place, key(2, 1), 4, NO_LIMIT);
	see(place, key(2, 2), 4, NO_LIMIT);
	assert_int_equal(fdb_flush(place->fdb, 3, 2), 1);
	assert_int_equal(port_of(place, key(1, 2)), -1);
	assert_int_equal(port_of(place, key(1, 1)), 3);
	assert_int_equal(fdb_flush(place->fdb, FDB_ANY, 1), 2);
	assert_int_equal(port_of(place, key(2, 2)), 4);
	assert_int_equal(fdb_flush(place->fdb, FDB_ANY, FDB_ANY), 1);
}

static void
full_table_refuses_until_there_is_room(void **state)
{
	struct place *place = *state;

	for (unsigned int i = 0; i < SIZE; i++)
		assert_int_equal(see(place, key(i, 1), i % 7, NO_LIMIT), FDB_LEARNED);
	assert_int_equal(see(place, key(SIZE, 1), 1, NO_LIMIT), FDB_REFUSED);
	assert_int_equal(fdb_add_static(place->fdb, key(SIZE, 1), 1), -ENOSPC);
	for (unsigned int i = 0; i < SIZE; i++)
		assert_int_equal(port_of(place, key(i, 1)), i % 7);
	assert_int_equal(fdb_flush(place->fdb, FDB_ANY, FDB_ANY), SIZE);
	/* What a worker may still hold is not used again before it is quiescent. */
	assert_int_equal(see(place, key(SIZE, 1), 1, NO_LIMIT), FDB_REFUSED);
	rte_rcu_qsbr_quiescent(place->rcu, 0);
	for (unsigned int i = 0; i < SIZE; i++)
		assert_int_equal(see(place, key(1000 + i, 1), 2, NO_LIMIT), FDB_LEARNED);
}

static void
entry_keeps_its_meaning_until_the_worker_is_quiescent(void **state)
{
	struct place *place = *state;
	struct fdb_entry *held;

	see(place, key(1, 1), 3, NO_LIMIT);
	held = look(place, key(1, 1));
	fdb_flush(place->fdb, FDB_ANY, FDB_ANY);
	for (unsigned int i = 0; i < SIZE; i++)
		see(place, key(100 + i, 1), 5, NO_LIMIT);
	assert_int_equal(fdb_entry_port(held), 3);
}

static void
count_entry(const struct fdb_info *info, void *ctx)
{
	unsigned int *counts = ctx;

	counts[info->is_static]++;
	if (!info->is_static) {
		assert_int_equal(info->vid, 7);
		assert_int_equal(info->port, 3);
		assert_int_equal(info->mac[0], 0x02);
		assert_int_equal(info->mac[5], 1);
		assert_int_equal(info->age_s, 5);
	}
}

static void
walk_shows_each_entry_once(void **state)
{
	struct place *place = *state;
	unsigned int counts[2] = {0};

	see(place, key(1, 7), 3, NO_LIMIT);
	fdb_add_static(place->fdb, key(2, 7), 4);
	fdb_age(place->fdb, NOW_S + 5);
	fdb_walk(place->fdb, count_entry, counts);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 1);
}

#define MODEL_KEYS 300u
#define MODEL_PORTS 4u
#define MODEL_LIMIT 40u

/* Random learning and flushing gives what a plain table gives. */
static void
random_use_agrees_with_a_plain_table(void **state)
{
	struct place *place = *state;
	int model[MODEL_KEYS];
	unsigned int counts[MODEL_PORTS] = {0};
	unsigned int total = 0;
	unsigned int seed = time(NULL);

	print_message("seed %u\n", seed);
	for (unsigned int i = 0; i < MODEL_KEYS; i++)
		model[i] = -1;
	for (unsigned int step = 0; step < 200000; step++) {
		unsigned int n = rand_r(&seed) % MODEL_KEYS;
		int port = rand_r(&seed) % MODEL_PORTS;

		rte_rcu_qsbr_quiescent(place->rcu, 0);
		if (rand_r(&seed) % 500 == 0) {
			assert_int_equal(fdb_flush(place->fdb, port, FDB_ANY), counts[port]);
			for (unsigned int i = 0; i < MODEL_KEYS; i++)
				if (model[i] == port)
					model[i] = -1;
			total -= counts[port];
			counts[port] = 0;
			continue;
		}
		if (model[n] == port) {
			assert_int_equal(see(place, key(n, 1), port, MODEL_LIMIT), FDB_LEARNED);
		} else if (counts[port] == MODEL_LIMIT || (model[n] < 0 && total == SIZE)) {
			assert_int_equal(see(place, key(n, 1), port, MODEL_LIMIT), FDB_REFUSED);
		} else {
			assert_int_equal(see(place, key(n, 1), port, MODEL_LIMIT), FDB_LEARNED);
			if (model[n] >= 0)
				counts[model[n]]--;
			else
				total++;
			counts[port]++;
			model[n] = port;
		}
		assert_int_equal(port_of(place, key(n, 1)), model[n]);
	}
}

static uint16_t
next_of(struct place *place, uint64_t k)
{
	return fdb_entry_next(look(place, k));
}

static void
kept_mac_neither_ages_nor_moves_nor_is_flushed(void **state)
{
	struct place *place = *state;

	see(place, key(1, 10), 3, NO_LIMIT);
	see(place, key(2, 10), 4, NO_LIMIT);
	fdb_keep_learned(place->fdb, 3);
	fdb_age(place->fdb, NOW_S + AGE_S);
	assert_int_equal(port_of(place, key(1, 10)), 3);
	assert_int_equal(port_of(place, key(2, 10)), -1);
	assert_int_equal(fdb_flush(place->fdb, 3, FDB_ANY), 0);
	assert_int_equal(next_of(place, key(1, 10)), FDB_ANY);
	assert_int_equal(see(place, key(1, 10), 5, NO_LIMIT), FDB_LEARNED);
	assert_int_equal(port_of(place, key(1, 10)), 3);
	assert_int_equal(next_of(place, key(1, 10)), 5);
}

static void
kept_mac_follows_when_it_may(void **state)
{
	struct place *place = *state;

	fdb_add_static(place->fdb, key(1, 10), 3);
	fdb_add_static(place->fdb, key(1, 11), 3);
	see(place, key(2, 10), 3, NO_LIMIT);
	fdb_keep_learned(place->fdb, 3);
	fdb_keep_static(place->fdb, 3);
	assert_int_equal(fdb_settle(place->fdb, 3), 3);
	see(place, key(1, 10), 5, NO_LIMIT);
	see(place, key(2, 10), 5, NO_LIMIT);
	assert_int_equal(fdb_settle(place->fdb, 3), 1);
	assert_int_equal(port_of(place, key(1, 10)), 5);
	assert_int_equal(port_of(place, key(2, 10)), 5);
	assert_int_equal(port_of(place, key(1, 11)), 3);
	/* They are learned ones now, and count as such. */
	assert_int_equal(see(place, key(3, 10), 5, 2), FDB_REFUSED);
	assert_int_equal(see(place, key(4, 10), 3, 1), FDB_LEARNED);
	assert_int_equal(fdb_flush(place->fdb, 5, FDB_ANY), 2);
	fdb_del_kept(place->fdb, 3);
	assert_int_equal(port_of(place, key(1, 11)), -1);
}

static void
static_mac_refuses_and_notes_until_it_is_kept(void **state)
{
	struct place *place = *state;

	fdb_add_static(place->fdb, key(1, 10), 3);
	assert_int_equal(see(place, key(1, 10), 5, NO_LIMIT), FDB_STATIC);
	/* From before it was to be kept: of no interest. */
	fdb_keep_learned(place->fdb, 3);
	assert_int_equal(see(place, key(1, 10), 6, NO_LIMIT), FDB_STATIC);
	assert_int_equal(next_of(place, key(1, 10)), FDB_ANY);
	fdb_keep_static(place->fdb, 3);
	assert_int_equal(next_of(place, key(1, 10)), 6);
}

static void
mac_that_stays_is_as_it_was(void **state)
{
	struct place *place = *state;

	fdb_add_static(place->fdb, key(1, 10), 3);
	see(place, key(2, 10), 3, NO_LIMIT);
	see(place, key(3, 10), 3, NO_LIMIT);
	fdb_keep_learned(place->fdb, 3);
	fdb_keep_static(place->fdb, 3);
	see(place, key(1, 10), 5, NO_LIMIT);
	see(place, key(2, 10), 5, NO_LIMIT);
	fdb_unkeep(place->fdb, 3);
	assert_int_equal(see(place, key(1, 10), 5, NO_LIMIT), FDB_STATIC);
	assert_int_equal(port_of(place, key(1, 10)), 3);
	/* A learned one goes where it was seen. */
	assert_int_equal(port_of(place, key(2, 10)), 5);
	assert_int_equal(port_of(place, key(3, 10)), 3);
	assert_int_equal(fdb_flush(place->fdb, 3, FDB_ANY), 1);
}

static void
static_mac_may_follow_a_kept_one(void **state)
{
	struct place *place = *state;

	fdb_add_static(place->fdb, key(1, 10), 3);
	assert_int_equal(fdb_add_static(place->fdb, key(1, 10), 4), -EEXIST);
	fdb_keep_static(place->fdb, 3);
	assert_int_equal(fdb_add_static(place->fdb, key(1, 10), 4), 0);
	assert_int_equal(port_of(place, key(1, 10)), 3);
	assert_int_equal(next_of(place, key(1, 10)), 4);
	assert_int_equal(see(place, key(1, 10), 5, NO_LIMIT), FDB_STATIC);
	assert_int_equal(see(place, key(1, 10), 4, NO_LIMIT), FDB_LEARNED);
	assert_int_equal(fdb_settle(place->fdb, 3), 0);
	assert_int_equal(port_of(place, key(1, 10)), 4);
	assert_int_equal(fdb_add_static(place->fdb, key(1, 10), 5), -EEXIST);
	fdb_del_static(place->fdb, key(1, 10), 4);
	assert_int_equal(port_of(place, key(1, 10)), -1);
}

static void
port_that_goes_is_nobodys_next_place(void **state)
{
	struct place *place = *state;

	fdb_add_static(place->fdb, key(1, 10), 3);
	fdb_keep_static(place->fdb, 3);
	see(place, key(1, 10), 5, NO_LIMIT);
	fdb_flush(place->fdb, 5, FDB_ANY);
	assert_int_equal(next_of(place, key(1, 10)), FDB_ANY);
	fdb_move_kept(place->fdb, 3, 40);
	assert_int_equal(port_of(place, key(1, 10)), 40);
	fdb_del_static(place->fdb, key(1, 10), 3);
	assert_int_equal(port_of(place, key(1, 10)), 40);
}

static void
where_it_was_learned_is_told_of_learned_ones_only(void **state)
{
	struct place *place = *state;

	assert_int_equal(fdb_where_learned(place->fdb, key(1, 10)), FDB_ANY);
	see(place, key(1, 10), 3, NO_LIMIT);
	assert_int_equal(fdb_where_learned(place->fdb, key(1, 10)), 3);
	fdb_keep_learned(place->fdb, 3);
	assert_int_equal(fdb_where_learned(place->fdb, key(1, 10)), FDB_ANY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(learned_mac_is_found_in_its_vlan_only),
			TEST(one_lookup_answers_each_key),
			TEST(mac_moves_to_where_it_was_seen_last),
			TEST(unused_mac_is_forgotten_after_its_age),
			TEST(port_learns_no_more_than_its_limit),
			TEST(forgotten_macs_make_room_under_the_limit),
			TEST(static_mac_is_not_learned_elsewhere),
			TEST(static_mac_takes_the_place_of_a_learned_one),
			TEST(static_mac_neither_ages_nor_is_flushed),
			TEST(flush_takes_port_and_vlan_only),
			TEST(full_table_refuses_until_there_is_room),
			TEST(entry_keeps_its_meaning_until_the_worker_is_quiescent),
			TEST(walk_shows_each_entry_once),
			TEST(random_use_agrees_with_a_plain_table),
			TEST(kept_mac_neither_ages_nor_moves_nor_is_flushed),
			TEST(kept_mac_follows_when_it_may),
			TEST(static_mac_refuses_and_notes_until_it_is_kept),
			TEST(mac_that_stays_is_as_it_was),
			TEST(static_mac_may_follow_a_kept_one),
			TEST(port_that_goes_is_nobodys_next_place),
			TEST(where_it_was_learned_is_told_of_learned_ones_only),
	};

	if (eal_fixture_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
