/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Networks: VLAN ids with names.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "network.h"

static uint16_t
find(const struct network_table *table, const char *name)
{
	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		if (strcmp(table->names[vid], name) == 0)
			return vid;
	return VLAN_NONE;
}

int
network_add(struct network_table *table, const char *name, uint16_t vid, struct avp_err *err)
{
	uint16_t taken = find(table, name);

	assert(vid != VLAN_NONE && vid <= VLAN_ID_MAX && strlen(name) < PARAMS_NAME_SIZE);
	if (taken != VLAN_NONE)
		return avp_err_set(err, EEXIST, "%s: there is a network of this name, VLAN %u",
				name, taken);
	if (table->names[vid][0] != '\0')
		return avp_err_set(err, EEXIST, "%s: vlan=%u: is network %s already", name, vid,
				table->names[vid]);
	memcpy(table->names[vid], name, strlen(name) + 1);
	return 0;
}

void
network_del(struct network_table *table, uint16_t vid)
{
	table->names[vid][0] = '\0';
}

uint16_t
network_find(const struct network_table *table, const char *name, struct avp_err *err)
{
	uint16_t vid = find(table, name);

	if (vid == VLAN_NONE)
		avp_err_set(err, ENOENT, "%s: no such network", name);
	return vid;
}

const char *
network_name(const struct network_table *table, uint16_t vid)
{
	return vid <= VLAN_ID_MAX && table->names[vid][0] != '\0' ? table->names[vid] : NULL;
}
