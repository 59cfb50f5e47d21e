/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * VLANs: which one a packet belongs to when it comes in at a port, and how it leaves. Pure
 * functions on a port's rules; docs/switch.md has the table.
 */

#ifndef VLAN_H
#define VLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "stats.h"

#define VLAN_NONE 0u
#define VLAN_ID_MAX 4094u
#define VLAN_ID_MASK 0x0fffu
#define VLAN_TABLE_SIZE 4096u
#define VLAN_TAG_SIZE 4u

enum vlan_mode {
	VLAN_MODE_ACCESS,
	VLAN_MODE_TRUNK,
};

/** The VLAN rules of a port. */
struct vlan_rules {
	enum vlan_mode mode;
	uint16_t untagged;                     /* access VLAN or native VLAN, VLAN_NONE = none */
	uint64_t tagged[VLAN_TABLE_SIZE / 64]; /* trunk: bit set = VLAN allowed */
};

static inline bool
vlan_is_tagged_member(const struct vlan_rules *rules, uint16_t vid)
{
	return (rules->tagged[vid / 64] >> (vid % 64) & 1) != 0;
}

/** Is the port in this VLAN? @vid  1..4094 */
static inline bool
vlan_is_member(const struct vlan_rules *rules, uint16_t vid)
{
	return rules->untagged == vid || vlan_is_tagged_member(rules, vid);
}

/** Does a packet of this VLAN leave with a tag? The port must be a member. */
static inline bool
vlan_leaves_tagged(const struct vlan_rules *rules, uint16_t vid)
{
	return rules->untagged != vid;
}

/**
 * Find the VLAN of a packet that comes in.
 *
 * @tagged  it has a tag
 * @tci     that tag, host order
 * @vid     out: 1..4094
 * Returns STATS_DROP_NONE, or why the packet must be dropped.
 */
static inline enum stats_drop
vlan_classify(const struct vlan_rules *rules, bool tagged, uint16_t tci, uint16_t *vid)
{
	uint16_t tag_vid = tagged ? tci & VLAN_ID_MASK : VLAN_NONE;

	if (tag_vid == VLAN_NONE) {
		*vid = rules->untagged;
		return *vid != VLAN_NONE ? STATS_DROP_NONE : STATS_DROP_RX_UNTAGGED;
	}
	*vid = tag_vid;
	if (rules->mode == VLAN_MODE_ACCESS)
		return STATS_DROP_RX_TAGGED;
	return vlan_is_member(rules, tag_vid) ? STATS_DROP_NONE : STATS_DROP_RX_VLAN;
}

void vlan_rules_init(struct vlan_rules *rules);
void vlan_rules_set_tagged(struct vlan_rules *rules, uint16_t vid, bool member);

#endif /* VLAN_H */
