/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/vlan.h: what comes in where, and how it leaves.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* after the four that it needs */
#include <cmocka.h>

#include "vlan.h"

#define PRIO 0x6000u /* priority 3 */

/** A port and a packet, and what becomes of it. */
struct row {
	enum vlan_mode mode;
	uint16_t untagged; /* access or native VLAN */
	uint16_t allowed;  /* one VLAN of the trunk, 0 = none */
	bool tagged;
	uint16_t tci;
	enum stats_drop drop;
	uint16_t vid;
};

#define ACCESS VLAN_MODE_ACCESS
#define TRUNK VLAN_MODE_TRUNK
#define OK STATS_DROP_NONE

static const struct row rows[] = {
		/* access: only untagged */
		{ACCESS, 10, 0, false, 0, OK, 10},
		{ACCESS, 10, 0, true, 0, OK, 10},
		{ACCESS, 10, 0, true, PRIO, OK, 10},
		{ACCESS, 10, 0, true, 10, STATS_DROP_RX_TAGGED, 0},
		{ACCESS, 10, 0, true, 11, STATS_DROP_RX_TAGGED, 0},
		{ACCESS, 10, 0, true, 4095, STATS_DROP_RX_TAGGED, 0},
		{ACCESS, 0, 0, false, 0, STATS_DROP_RX_UNTAGGED, 0},
		{ACCESS, 0, 0, true, PRIO, STATS_DROP_RX_UNTAGGED, 0},
		{ACCESS, 0, 0, true, 10, STATS_DROP_RX_TAGGED, 0},
		/* trunk without native VLAN */
		{TRUNK, 0, 20, false, 0, STATS_DROP_RX_UNTAGGED, 0},
		{TRUNK, 0, 20, true, PRIO, STATS_DROP_RX_UNTAGGED, 0},
		{TRUNK, 0, 20, true, 20, OK, 20},
		{TRUNK, 0, 20, true, PRIO | 20, OK, 20},
		{TRUNK, 0, 20, true, 21, STATS_DROP_RX_VLAN, 0},
		{TRUNK, 0, 4094, true, 4094, OK, 4094},
		{TRUNK, 0, 4094, true, 4095, STATS_DROP_RX_VLAN, 0},
		{TRUNK, 0, 64, true, 63, STATS_DROP_RX_VLAN, 0},
		{TRUNK, 0, 0, true, 20, STATS_DROP_RX_VLAN, 0},
		/* trunk with native VLAN */
		{TRUNK, 30, 20, false, 0, OK, 30},
		{TRUNK, 30, 20, true, 0, OK, 30},
		{TRUNK, 30, 20, true, 30, OK, 30},
		{TRUNK, 30, 20, true, 20, OK, 20},
		{TRUNK, 30, 20, true, 31, STATS_DROP_RX_VLAN, 0},
};

static void
make_rules(const struct row *row, struct vlan_rules *rules)
{
	vlan_rules_init(rules);
	rules->mode = row->mode;
	rules->untagged = row->untagged;
	if (row->allowed != 0)
		vlan_rules_set_tagged(rules, row->allowed, true);
}

static void
packets_are_classified_as_the_table_says(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vlan_rules rules;
		uint16_t vid = 0;
		enum stats_drop drop;

		make_rules(&rows[i], &rules);
		drop = vlan_classify(&rules, rows[i].tagged, rows[i].tci, &vid);
		if (drop != rows[i].drop || (drop == OK && vid != rows[i].vid))
			fail_msg("row %u: %s, VLAN %u; expected %s, VLAN %u", i,
					stats_drop_name(drop), vid, stats_drop_name(rows[i].drop),
					rows[i].vid);
	}
}

static void
trunk_tags_all_but_the_native_vlan(void **state)
{
	struct vlan_rules rules;

	(void)state;
	vlan_rules_init(&rules);
	rules.mode = VLAN_MODE_TRUNK;
	rules.untagged = 30;
	vlan_rules_set_tagged(&rules, 20, true);
	vlan_rules_set_tagged(&rules, 30, true);
	assert_true(vlan_leaves_tagged(&rules, 20));
	assert_false(vlan_leaves_tagged(&rules, 30));
}

static void
member_is_forgotten_when_removed(void **state)
{
	struct vlan_rules rules;

	(void)state;
	vlan_rules_init(&rules);
	vlan_rules_set_tagged(&rules, 63, true);
	vlan_rules_set_tagged(&rules, 64, true);
	vlan_rules_set_tagged(&rules, 63, false);
	assert_false(vlan_is_member(&rules, 63));
	assert_true(vlan_is_member(&rules, 64));
	assert_false(vlan_is_member(&rules, 65));
}

static void
every_drop_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < STATS_NB_DROPS; i++) {
		assert_non_null(stats_drop_name(i));
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(stats_drop_name(i), stats_drop_name(j));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(packets_are_classified_as_the_table_says),
			cmocka_unit_test(trunk_tags_all_but_the_native_vlan),
			cmocka_unit_test(member_is_forgotten_when_removed),
			cmocka_unit_test(every_drop_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
