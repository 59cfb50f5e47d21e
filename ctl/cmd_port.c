/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl port: add, del, set, show. What --qemu and --user print is in port_args.c.
 */

#include <errno.h>
#include <string.h>

#include "ctl.h"
#include "output.h"
#include "port_args.h"

enum ctl_status
ctl_port_add(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	json_t *params = ctl_params(args, "name");
	const char *type = json_string_value(json_object_get(args->keys, "type"));
	bool device = json_object_get(args->keys, "device") != NULL;
	enum ctl_status status = CTL_DONE;

	if (type == NULL && device)
		status = ctl_usage(err, "port add %s: device= needs type=vdev or type=pci",
				args->words[0]);
	else if (type == NULL && json_object_set_new(params, "type", json_string("avp")) != 0)
		status = ctl_no_memory(err);
	if (status != CTL_DONE) {
		json_decref(params);
		return status;
	}
	return ctl_simple_request(ctl, "port.add", params, err);
}

enum ctl_status
ctl_port_del(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	return ctl_simple_request(ctl, "port.del", ctl_params(args, "name"), err);
}

enum ctl_status
ctl_port_set(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	if (json_object_size(args->keys) == 0)
		return ctl_usage(err, "port set %s: nothing to change; KEY=VALUE", args->words[0]);
	return ctl_simple_request(ctl, "port.set", ctl_params(args, "name"), err);
}

/* "blue" of an access port, "blue,red native=green" of a trunk. */
static const char *
port_networks(char *out, size_t out_size, const json_t *port)
{
	const char *native = json_string_value(json_object_get(port, "native"));
	char trunks[512];

	if (strcmp(ctl_member(port, "mode"), "trunk") != 0)
		snprintf(out, out_size, "%s", ctl_member(port, "network"));
	else
		snprintf(out, out_size, "%s%s%s",
				ctl_join(trunks, sizeof(trunks), json_object_get(port, "trunks")),
				native != NULL ? " native=" : "", native != NULL ? native : "");
	return out;
}

/* How far the guest has come, in one word. */
static const char *
port_guest(const json_t *port)
{
	const json_t *avp = json_object_get(port, "avp");

	if (!json_is_object(avp))
		return "-";
	if (json_is_true(json_object_get(avp, "configured")))
		return "configured";
	return json_is_true(json_object_get(avp, "connected")) ? "connected" : "none";
}

static const char *
port_memory(char out[CTL_CELL_SIZE], const json_t *port)
{
	const json_t *mem = json_object_get(json_object_get(port, "avp"), "mem_bytes");

	if (!json_is_integer(mem) || json_integer_value(mem) < 0)
		return "-";
	return ctl_human_size(out, (uint64_t)json_integer_value(mem));
}

static enum ctl_status
print_ports(struct ctl *ctl, const json_t *ports, struct ctl_error *err)
{
	static const char *const titles[] = {"NAME", "TYPE", "LINK", "GUEST", "MAC", ">MEMORY",
			"MODE", "NETWORKS", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char networks[600], memory[CTL_CELL_SIZE];
	json_t *port;
	size_t i;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (ports, i, port) {
		ctl_table_add(table,
				(const char *[]){ctl_member(port, "name"), ctl_member(port, "type"),
						ctl_member(port, "link"), port_guest(port),
						ctl_member(port, "mac"), port_memory(memory, port),
						ctl_member(port, "mode"),
						port_networks(networks, sizeof(networks), port)});
	}
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

static enum ctl_status
print_port_args(struct ctl *ctl, const json_t *ports, bool qemu, struct ctl_error *err)
{
	const json_t *port = json_array_get(ports, 0);

	if (!json_is_object(port))
		return ctl_fail(err, EPROTO, "port.show: an answer without the port");
	if (!json_is_string(json_object_get(json_object_get(port, "avp"), "socket")))
		return ctl_fail(err, EINVAL,
				"%s: type %s: only an avp port can be given to a guest",
				ctl_member(port, "name"), ctl_member(port, "type"));
	return qemu ? ctl_port_qemu(ctl, port, err) : ctl_port_user(ctl, port, err);
}

enum ctl_status
ctl_port_show(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	bool qemu = args->options[CTL_PORT_SHOW_QEMU].given;
	bool user = args->options[CTL_PORT_SHOW_USER].given;
	enum ctl_status status;
	json_t *ports;

	if (qemu && user)
		return ctl_usage(err, "--qemu and --user: one at a time");
	if ((qemu || user) && args->nb_words == 0)
		return ctl_usage(err, "%s: needs the NAME of a port", qemu ? "--qemu" : "--user");
	status = ctl_request(ctl, "port.show", ctl_params(args, "name"), &ports, err);
	if (status != CTL_DONE)
		return status;
	if (qemu || user)
		status = print_port_args(ctl, ports, qemu, err);
	else if (ctl->json)
		ctl_print_json(ctl->out, ports);
	else if (args->nb_words > 0)
		ctl_print_record(ctl->out, json_array_get(ports, 0), 0);
	else
		status = print_ports(ctl, ports, err);
	json_decref(ports);
	return status;
}
