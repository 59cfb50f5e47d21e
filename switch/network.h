/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Networks: VLAN ids with names. Control thread only.
 */

#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

#include "avp_err.h"
#include "params.h"
#include "vlan.h"

struct network_table {
	char names[VLAN_TABLE_SIZE][PARAMS_NAME_SIZE]; /* by VLAN id, empty = none */
};

/** Returns 0, or -EEXIST with @err filled in when name or VLAN id is taken. */
int network_add(struct network_table *table, const char *name, uint16_t vid, struct avp_err *err);
void network_del(struct network_table *table, uint16_t vid);

/** Returns the VLAN id, or VLAN_NONE with @err (ENOENT) filled in. */
uint16_t network_find(const struct network_table *table, const char *name, struct avp_err *err);

/** Returns NULL when the VLAN has no name. */
const char *network_name(const struct network_table *table, uint16_t vid);

#endif /* NETWORK_H */
