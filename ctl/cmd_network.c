/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl network: add, del, show.
 */

#include "ctl.h"
#include "output.h"

enum ctl_status
ctl_network_add(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	if (json_object_get(args->keys, "vlan") == NULL)
		return ctl_usage(err, "network add %s: needs vlan=ID", args->words[0]);
	return ctl_simple_request(ctl, "network.add", ctl_params(args, "name"), err);
}

enum ctl_status
ctl_network_del(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	return ctl_simple_request(ctl, "network.del", ctl_params(args, "name"), err);
}

static enum ctl_status
print_networks(struct ctl *ctl, const json_t *networks, struct ctl_error *err)
{
	static const char *const titles[] = {"NAME", ">VLAN", "PORTS", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char vlan[CTL_CELL_SIZE], ports[1024];
	json_t *network;
	size_t i;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (networks, i, network) {
		ctl_table_add(table,
				(const char *[]){ctl_member(network, "name"),
						ctl_member_number(vlan, network, "vlan"),
						ctl_join(ports, sizeof(ports),
								json_object_get(network,
										"ports"))});
	}
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

enum ctl_status
ctl_network_show(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *networks;

	status = ctl_request(ctl, "network.show", ctl_params(args, "name"), &networks, err);
	if (status != CTL_DONE)
		return status;
	if (ctl->json)
		ctl_print_json(ctl->out, networks);
	else
		status = print_networks(ctl, networks, err);
	json_decref(networks);
	return status;
}
