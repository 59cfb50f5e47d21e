/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Control methods port.detach, port.attach and port.depart. The first two are answered when all
 * ports have come to their end.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>

#include "address.h"
#include "ctl.h"
#include "port.h"

#define TIMEOUT_MS_MIN 1u
#define TIMEOUT_MS_MAX 60000u
#define TIMEOUT_MS_DEFAULT 1000u

struct move_params {
	struct params_given given;
	const json_t *names;
	uint64_t timeout_ms;
	bool announce;
};

static const struct param depart_table[] = {
		PARAM("names", PARAM_LIST, struct move_params, names, .required = true),
		{0},
};

static const struct param detach_table[] = {
		PARAM("names", PARAM_LIST, struct move_params, names, .required = true),
		PARAM("timeout_ms", PARAM_UINT, struct move_params, timeout_ms,
				.min = TIMEOUT_MS_MIN, .max = TIMEOUT_MS_MAX),
		{0},
};

static const struct param attach_table[] = {
		PARAM("names", PARAM_LIST, struct move_params, names, .required = true),
		/* 0: nobody is waited for */
		PARAM("timeout_ms", PARAM_UINT, struct move_params, timeout_ms,
				.max = TIMEOUT_MS_MAX),
		PARAM("announce", PARAM_BOOL, struct move_params, announce),
		{0},
};

/** How one port of a request ended. */
struct move_end {
	struct ctl_move *move;
	char name[PARAMS_NAME_SIZE];
	enum port_move_result result;
	uint32_t took_us;
};

/** A request that waits for the end of its ports. */
struct ctl_move {
	struct ctl_move *next;
	struct sw *sw;
	struct ctl_client *client; /* NULL: gone */
	unsigned int nb_ends;
	unsigned int nb_left; /* still under way */
	struct move_end ends[];
};

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct port *const *)a)->name, (*(struct port *const *)b)->name);
}

/* The ports of a request, each once, by name. Returns how many, or -errno with @err. */
static int
find_ports(const struct sw *sw, const json_t *names, struct port *ports[RTE_MAX_ETHPORTS],
		struct avp_err *err)
{
	size_t nb = json_array_size(names);

	if (nb == 0)
		return avp_err_set(err, EINVAL, "names: at least one port");
	if (nb > RTE_MAX_ETHPORTS)
		return avp_err_set(err, EINVAL, "names: %zu ports: there are at most %u", nb,
				RTE_MAX_ETHPORTS);
	for (size_t i = 0; i < nb; i++) {
		ports[i] = port_find(sw, json_string_value(json_array_get(names, i)), err);
		if (ports[i] == NULL)
			return -err->code;
	}
	qsort(ports, nb, sizeof(ports[0]), by_name);
	for (size_t i = 1; i < nb; i++)
		if (ports[i] == ports[i - 1])
			return avp_err_set(err, EINVAL, "names: %s: given twice", ports[i]->name);
	return nb;
}

static json_t *
show_end(const char *name, enum port_move_result result, uint32_t took_us)
{
	static const char *const names[] = {
			[PORT_MOVE_OK] = "ok",
			[PORT_MOVE_TIMEOUT] = "timeout",
			[PORT_MOVE_GUEST_ERROR] = "guest_error",
			[PORT_MOVE_ABSENT] = "absent",
			[PORT_MOVE_CANCELLED] = "cancelled",
			[PORT_MOVE_FAILED] = "failed",
	};

	return json_pack("{s:s, s:s, s:I}", "name", name, "result", names[result], "took_us",
			(json_int_t)took_us);
}

/* All ports have ended: answer. */
static void
move_over(struct ctl_move *move)
{
	struct ctl_move **link = &move->sw->moves;
	json_t *result;

	while (*link != move)
		link = &(*link)->next;
	*link = move->next;
	if (move->client != NULL) {
		result = json_array();
		for (unsigned int i = 0; i < move->nb_ends; i++)
			json_array_append_new(result,
					show_end(move->ends[i].name, move->ends[i].result,
							move->ends[i].took_us));
		ctl_client_answer(move->client, result);
	}
	free(move);
}

static void
port_done(void *arg, struct port *port, enum port_move_result result, uint32_t took_us)
{
	struct move_end *end = arg;

	memcpy(end->name, port->name, sizeof(end->name));
	end->result = result;
	end->took_us = took_us;
	if (--end->move->nb_left == 0)
		move_over(end->move);
}

void
ctl_migrate_drop_client(struct sw *sw, const struct ctl_client *client)
{
	for (struct ctl_move *move = sw->moves; move != NULL; move = move->next)
		if (move->client == client)
			move->client = NULL;
}

static struct ctl_move *
move_create(struct sw *sw, struct ctl_client *client, unsigned int nb, void *args[],
		struct avp_err *err)
{
	struct ctl_move *move;

	if (client == NULL) {
		avp_err_set(err, EINVAL, "detach and attach: only over the control socket");
		return NULL;
	}
	move = calloc(1, sizeof(*move) + nb * sizeof(move->ends[0]));
	if (move == NULL) {
		avp_err_set(err, ENOMEM, "not enough memory");
		return NULL;
	}
	move->sw = sw;
	move->client = client;
	move->nb_ends = move->nb_left = nb;
	for (unsigned int i = 0; i < nb; i++) {
		move->ends[i].move = move;
		args[i] = &move->ends[i];
	}
	return move;
}

/* The request has begun: its answer comes later. */
static json_t *
wait_for(struct ctl_move *move)
{
	move->next = move->sw->moves;
	move->sw->moves = move;
	ctl_client_wait(move->client);
	return NULL;
}

json_t *
ctl_port_detach(struct sw *sw, struct ctl_client *client, const json_t *params, struct avp_err *err)
{
	struct move_params p = {.timeout_ms = TIMEOUT_MS_DEFAULT};
	struct port *ports[RTE_MAX_ETHPORTS];
	void *args[RTE_MAX_ETHPORTS];
	struct ctl_move *move;
	int nb;

	if (params_read(detach_table, params, "port.detach", &p, err) != 0)
		return NULL;
	nb = find_ports(sw, p.names, ports, err);
	if (nb < 0)
		return NULL;
	move = move_create(sw, client, nb, args, err);
	if (move == NULL)
		return NULL;
	if (port_move_detach(sw, ports, nb, p.timeout_ms, port_done, args, err) != 0) {
		free(move);
		return NULL;
	}
	return wait_for(move);
}

static int
read_address(const json_t *in, struct address *address, struct avp_err *err)
{
	const json_t *vlan = json_object_get(in, "vlan");
	const char *mac = json_string_value(json_object_get(in, "mac"));
	const json_t *ip = json_object_get(in, "address");
	const char *text = json_string_value(ip);
	struct rte_ether_addr ether;

	memset(address, 0, sizeof(*address));
	if (!json_is_integer(vlan) || json_integer_value(vlan) < 1 ||
			json_integer_value(vlan) > VLAN_ID_MAX)
		return avp_err_set(err, EINVAL, "addresses: vlan: must be a number from 1 to %u",
				VLAN_ID_MAX);
	if (mac == NULL || rte_ether_unformat_addr(mac, &ether) != 0 ||
			!rte_is_valid_assigned_ether_addr(&ether))
		return avp_err_set(err, EINVAL, "addresses: mac=%.32s: must be xx:xx:xx:xx:xx:xx",
				mac != NULL ? mac : "");
	address->vid = json_integer_value(vlan);
	memcpy(address->mac, &ether, sizeof(address->mac));
	if (json_is_null(ip))
		return 0;
	address->family = ADDRESS_IPV4;
	if (text != NULL && inet_pton(AF_INET, text, address->ip) == 1)
		return 0;
	address->family = ADDRESS_IPV6;
	if (text != NULL && inet_pton(AF_INET6, text, address->ip) == 1)
		return 0;
	return avp_err_set(err, EINVAL, "addresses: address=%.64s: must be an IP address or null",
			text != NULL ? text : "");
}

/* As port.show has them on the node where the guest was. Each port takes those of its VLANs. */
static int
read_addresses(const json_t *in, struct address list[ADDRESS_MAX], unsigned int *nb,
		struct avp_err *err)
{
	const json_t *item;
	size_t i;

	*nb = 0;
	if (in == NULL)
		return 0;
	if (!json_is_array(in) || json_array_size(in) > ADDRESS_MAX)
		return avp_err_set(err, EINVAL, "addresses: must be an array of at most %u",
				ADDRESS_MAX);
	json_array_foreach (in, i, item) {
		int rc = read_address(item, &list[i], err);

		if (rc != 0)
			return rc;
		(*nb)++;
	}
	return 0;
}

json_t *
ctl_port_attach(struct sw *sw, struct ctl_client *client, const json_t *params, struct avp_err *err)
{
	struct move_params p = {.timeout_ms = TIMEOUT_MS_DEFAULT, .announce = true};
	const json_t *addresses = json_object_get(params, "addresses");
	struct address list[ADDRESS_MAX];
	struct port *ports[RTE_MAX_ETHPORTS];
	void *args[RTE_MAX_ETHPORTS];
	struct ctl_move *move;
	json_t *others;
	unsigned int nb_addresses = 0;
	int nb;

	others = json_copy((json_t *)params);
	json_object_del(others, "addresses");
	nb = params_read(attach_table, others, "port.attach", &p, err);
	if (nb == 0)
		nb = read_addresses(addresses, list, &nb_addresses, err);
	if (nb == 0)
		nb = find_ports(sw, p.names, ports, err);
	json_decref(others);
	if (nb < 0)
		return NULL;
	move = move_create(sw, client, nb, args, err);
	if (move == NULL)
		return NULL;
	if (port_move_attach(sw, ports, nb, p.timeout_ms, p.announce, port_done, args, err) != 0) {
		free(move);
		return NULL;
	}
	for (unsigned int i = nb_addresses; i-- > 0;)
		for (int k = 0; k < nb; k++)
			if (port_uses_vlan(ports[k], list[i].vid))
				address_add(ports[k]->state->addresses, &list[i]);
	return wait_for(move);
}

json_t *
ctl_port_depart(struct sw *sw, struct ctl_client *client __rte_unused, const json_t *params,
		struct avp_err *err)
{
	struct move_params p = {.names = NULL};
	struct port *ports[RTE_MAX_ETHPORTS];
	json_t *result;
	int nb;

	if (params_read(depart_table, params, "port.depart", &p, err) != 0)
		return NULL;
	nb = find_ports(sw, p.names, ports, err);
	if (nb < 0 || port_move_depart(sw, ports, nb, err) != 0)
		return NULL;
	result = json_array();
	for (int i = 0; i < nb; i++)
		json_array_append_new(result, show_end(ports[i]->name, PORT_MOVE_OK, 0));
	return result;
}
