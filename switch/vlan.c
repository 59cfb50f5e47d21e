/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * VLAN rules of a port: changing them. Reading is in vlan.h.
 */

#include <string.h>

#include "vlan.h"

void
vlan_rules_init(struct vlan_rules *rules)
{
	memset(rules, 0, sizeof(*rules));
	rules->mode = VLAN_MODE_ACCESS;
}

void
vlan_rules_set_tagged(struct vlan_rules *rules, uint16_t vid, bool member)
{
	uint64_t bit = UINT64_C(1) << (vid % 64);

	if (member)
		rules->tagged[vid / 64] |= bit;
	else
		rules->tagged[vid / 64] &= ~bit;
}
