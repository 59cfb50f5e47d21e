/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A hostile guest, a process, against a port of net_avp_host, beside ports of an honest one. Each
 * attack must be counted under its name and change nothing else: no packet of the honest guest is
 * lost, late or changed, what comes out of the attacked port lies in its own buffers, and an honest
 * guest that comes afterwards finds the port as good as new.
 *
 *     guest_attack_test PROGRAM own|attached|domain
 *
 * own: the host receives into the port's own mempool; attached: into one of the application's;
 * domain: the three ports share a memory, and only what a tenant cannot do to itself is tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "guest_host.h"
#include "test_clock.h"

#define MAX_COUNTERS 6
#define NB_KILLS 40
#define RACE_MS 1000

struct attack {
	const char *claim;
	const char *name;
	const char *counters[MAX_COUNTERS]; /* must rise; "*" is any queue */
	bool domain;                        /* is for ports of a domain too */
};

static struct host host;
static struct host_conf conf;

/* Until every counter has risen, and the honest guest has got a good many packets meanwhile. */
static void
attack_until_counted(const struct attack *attack)
{
	uint64_t before[MAX_COUNTERS] = {0};

	for (int i = 0; i < MAX_COUNTERS && attack->counters[i] != NULL; i++)
		before[i] = host_counter(&host, attack->counters[i]);
	host_attack(&host, attack->name, 1);
	for (int i = 0; i < MAX_COUNTERS && attack->counters[i] != NULL; i++)
		host_wait_counter(&host, attack->counters[i], before[i]);
	host_wait_honest(&host, 300);
}

static void
is_counted_and_harms_nobody(void **state)
{
	attack_until_counted(*state);
	host_kill(&host);
	host_expect_healed(&host);
}

/* Fields change for a second while the host reads them. Each entry is a packet or a counted drop:
 * nothing is lost without a name. */
static void
race_gives_clean_packets_or_counted_drops(void **state)
{
	const struct attack *attack = *state;
	const uint64_t packets = host_counter(&host, "rx_q*_packets");
	const uint64_t drops = port_xstat_sum(&host.evil, "rx_q0_drop_") +
			port_xstat_sum(&host.evil, "rx_q1_drop_");
	const uint64_t clean = atomic_load(&host.nb_clean);
	uint64_t new_packets;
	uint64_t new_drops;

	attack_until_counted(attack);
	host_go_on(&host, RACE_MS);
	host_settle(&host);
	new_packets = host_counter(&host, "rx_q*_packets") - packets;
	new_drops = port_xstat_sum(&host.evil, "rx_q0_drop_") +
			port_xstat_sum(&host.evil, "rx_q1_drop_") - drops;
	print_message("%llu packets, %llu drops\n", (unsigned long long)new_packets,
			(unsigned long long)new_drops);
	assert_true(new_packets > 0);
	assert_int_equal(new_packets + new_drops, atomic_load(&host.share->nb_put));
	assert_int_equal(new_packets, atomic_load(&host.nb_clean) - clean);
	host_kill(&host);
	host_expect_healed(&host);
}

static void
long_attack_harms_nobody(void **state)
{
	attack_until_counted(*state);
	host_go_on(&host, RACE_MS);
	host_kill(&host);
	host_expect_healed(&host);
}

static const struct attack attacks[] = {
		{"write index of tx FIFO out of range", "tx_index_range",
				{"rx_q0_tx_fifo_bad_index"}, false},
		{"write index of tx FIFO backwards", "tx_index_backwards",
				{"rx_q0_tx_fifo_backwards"}, false},
		{"read index of alloc FIFO out of range", "alloc_index_range",
				{"rx_q0_alloc_fifo_bad_index"}, false},
		{"read index of alloc FIFO backwards", "alloc_index_backwards",
				{"rx_q0_alloc_fifo_backwards"}, false},
		{"read index of rx FIFO out of range", "rx_index_range",
				{"tx_q0_rx_fifo_bad_index"}, false},
		{"read index of rx FIFO backwards", "rx_index_backwards",
				{"tx_q0_rx_fifo_backwards"}, false},
		{"write index of free FIFO out of range", "free_index_range",
				{"tx_q0_free_fifo_bad_index"}, false},
		{"write index of free FIFO backwards", "free_index_backwards",
				{"tx_q0_free_bad_owner"}, false},
		{"len and elem_size of FIFOs overwritten", "fifo_header_overwritten",
				{"rx_q0_tx_fifo_bad_len", "rx_q0_alloc_fifo_bad_len",
						"tx_q0_rx_fifo_bad_len", "tx_q0_free_fifo_bad_len"},
				false},
		{"label outside the buffers", "label_outside",
				{"rx_q0_drop_bad_range", "tx_q0_free_bad_range"}, true},
		{"label not at a buffer's start", "label_misaligned",
				{"rx_q0_drop_bad_stride", "tx_q0_free_bad_stride"}, true},
		{"label of a buffer that the guest does not own", "label_foreign",
				{"rx_q0_drop_bad_owner", "tx_q0_free_bad_owner"}, true},
		{"label twice on one FIFO", "label_twice", {"rx_q0_drop_bad_owner"}, true},
		{"label on two FIFOs", "label_on_two_lanes",
				{"rx_q1_drop_bad_owner", "rx_q0_packets"}, true},
		{"label on tx and free FIFO", "label_on_tx_and_free",
				{"tx_q0_free_bad_owner", "rx_q0_drop_bad_owner"}, true},
		{"chain that loops", "chain_loops", {"rx_q0_drop_bad_chain"}, true},
		{"chain that is too long", "chain_too_long", {"rx_q0_drop_bad_chain"}, true},
		{"chain of another length than announced", "chain_miscounted",
				{"rx_q0_drop_bad_chain"}, true},
		{"chain that leads away", "chain_leads_away",
				{"rx_q0_drop_bad_owner", "rx_q0_drop_bad_stride",
						"rx_q0_drop_bad_range"},
				true},
		{"lengths that do not add up", "lengths_do_not_add_up", {"rx_q0_drop_bad_pkt_len"},
				true},
		{"packet shorter than an Ethernet header", "packet_too_short",
				{"rx_q0_drop_bad_pkt_len"}, true},
		{"packet longer than any may be", "packet_too_long", {"rx_q0_drop_bad_pkt_len"},
				true},
		{"length of zero", "length_is_zero", {"rx_q0_drop_bad_data_len"}, true},
		{"length beyond the buffer", "length_beyond_buffer", {"rx_q0_drop_bad_data_len"},
				true},
		{"data in a neighbour, the descriptor, a FIFO, nowhere", "data_elsewhere",
				{"rx_q0_drop_bad_data"}, true},
		{"tag to insert without headroom", "no_headroom", {"rx_q0_drop_no_headroom"}, true},
		{"packets received and never read", "rx_not_read", {"tx_q0_fifo_full"}, true},
		{"packets received and never returned", "rx_not_returned", {"tx_q0_fifo_full"},
				true},
};

static const struct attack races[] = {
		{"fields of descriptors change while they are read", "race_fields",
				{"rx_q*_packets", "rx_q*_drop_bad_data", "rx_q*_drop_bad_data_len",
						"rx_q*_drop_bad_chain", "rx_q*_drop_bad_pkt_len",
						"rx_q*_drop_bad_owner"},
				true},
		{"entries of FIFOs change while they are read", "race_entries",
				{"rx_q*_packets", "rx_q*_drop_bad_range", "rx_q*_drop_bad_owner"},
				true},
};

static const struct attack long_attacks[] = {
		{"entries of compact rings of any content, that change while they are read",
				"ring_storm",
				{"rx_q*_packets", "rx_q*_drop_bad_range", "rx_q*_drop_bad_owner",
						"rx_q*_drop_bad_data", "rx_q*_drop_bad_data_len",
						"rx_q*_drop_bad_chain"},
				true},
		{"random bytes all over BAR 2", "scribble",
				{"rx_q*_tx_fifo_bad_index", "rx_q*_tx_fifo_bad_len"}, false},
		{"pages of BAR 2 given back to the system", "punch_holes",
				{"rx_q*_tx_fifo_bad_len"}, false},
		{"coming and going with buffers in hand", "reconnect_storm",
				{"guest_resets", "guest_bufs_taken_back"}, true},
};

/* Any attack, killed at any moment. */
static void
guest_may_vanish_at_any_moment(void **state)
{
	uint64_t rnd = 0x1234567;

	(void)state;
	for (int i = 0; i < NB_KILLS; i++) {
		const uint64_t r = evil_random(&rnd);
		const struct attack *attack = &attacks[(r >> 8) % RTE_DIM(attacks)];
		const uint64_t end = test_now_ms() + (r >> 20) % 30;

		if ((r >> 16) % 4 == 0)
			attack = &long_attacks[0];
		if (conf.domain != NULL && !attack->domain)
			attack = &races[0];
		host_attack(&host, attack->name, (uint64_t)i);
		while (test_now_ms() < end)
			host_check(&host);
		host_kill(&host);
		host_check(&host);
	}
	host_wait_honest(&host, 100);
	host_expect_healed(&host);
}

/* A guest that returns nothing gets only so much of its neighbours' memory: they have as many
 * buffers as its FIFO has entries, and go on with the rest of them. */
static void
neighbours_are_not_drained(void **state)
{
	(void)state;
	host_attack(&host, "rx_not_returned", 1);
	host_wait_counter(&host, "tx_q0_fifo_full", host_counter(&host, "tx_q0_fifo_full"));
	host_go_on(&host, RACE_MS);
	host_kill(&host);
	host_expect_healed(&host);
}

static int
group_setup(void **state)
{
	if (port_env_init(state) != 0)
		return -1;
	host_start(&host, &conf);
	return 0;
}

static int
group_teardown(void **state)
{
	host_stop(&host);
	return port_env_fini(state);
}

static int
clean_up(void **state)
{
	(void)state;
	host_kill(&host);
	return 0;
}

static unsigned int
add(struct CMUnitTest *tests, unsigned int nb, const struct attack *table, unsigned int nb_attacks,
		CMUnitTestFunction run)
{
	for (unsigned int i = 0; i < nb_attacks; i++) {
		if (conf.domain != NULL && !table[i].domain)
			continue;
		tests[nb++] = (struct CMUnitTest){.name = table[i].claim,
				.test_func = run,
				.teardown_func = clean_up,
				.initial_state = (void *)(uintptr_t)&table[i]};
	}
	return nb;
}

int
main(int argc, char **argv)
{
	static struct CMUnitTest tests[64];
	unsigned int nb = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: guest_attack_test PROGRAM own|attached|domain\n");
		return 1;
	}
	conf.evil_program = argv[1];
	conf.app_pool = strcmp(argv[2], "attached") == 0;
	conf.domain = strcmp(argv[2], "domain") == 0 ? "domain=tenant,domain_size=32" : NULL;
	nb = add(tests, nb, attacks, RTE_DIM(attacks), is_counted_and_harms_nobody);
	nb = add(tests, nb, races, RTE_DIM(races), race_gives_clean_packets_or_counted_drops);
	nb = add(tests, nb, long_attacks, RTE_DIM(long_attacks), long_attack_harms_nobody);
	tests[nb++] = (struct CMUnitTest)cmocka_unit_test_teardown(
			guest_may_vanish_at_any_moment, clean_up);
	if (conf.domain != NULL)
		tests[nb++] = (struct CMUnitTest)cmocka_unit_test_teardown(
				neighbours_are_not_drained, clean_up);
	/* one entry per test of the array is what cmocka wants to know */
	return _cmocka_run_group_tests("guest_attack", tests, nb, group_setup, group_teardown);
}
