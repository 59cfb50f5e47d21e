/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What net_avp_user ports can be asked beyond ethdev (avpg_api.h), by functions and by telemetry:
 * /net_avp_user/list, /net_avp_user/info,PORT and /net_avp_user/move,PORT,PATH.
 *
 * Telemetry's thread asks at any time, and nobody tells it of ports that the application is about
 * to close. So ports are looked for in a list, which a port leaves before anything else of it ends;
 * its lock is held until the answer is there.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <rte_ethdev.h>
#include <rte_log.h>

#include "avp_compat.h"
#include "avpg_api.h"
#include "avpg_user.h"

#define SOCKET_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

static struct avpg_user *the_users[RTE_MAX_ETHPORTS]; /* by number of the port */
static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

void
avpg_api_add(uint16_t port_id, struct avpg_user *user)
{
	pthread_mutex_lock(&the_lock);
	the_users[port_id] = user;
	pthread_mutex_unlock(&the_lock);
}

void
avpg_api_remove(const struct avpg_user *user)
{
	pthread_mutex_lock(&the_lock);
	for (unsigned int i = 0; i < RTE_DIM(the_users); i++)
		if (the_users[i] == user)
			the_users[i] = NULL;
	pthread_mutex_unlock(&the_lock);
}

int
rte_avp_user_move(uint16_t port_id, const char *socket)
{
	struct avp_err err = {0};
	int ret = -ENODEV;

	if (socket == NULL || socket[0] == '\0')
		return -EINVAL;
	if (strlen(socket) >= SOCKET_SIZE)
		return -ENAMETOOLONG;
	pthread_mutex_lock(&the_lock);
	if (port_id < RTE_DIM(the_users) && the_users[port_id] != NULL) {
		ret = avpg_user_move(the_users[port_id], socket, &err);
		if (ret != 0)
			USER_LOG(ERR, "port %u: move: %s", port_id, err.msg);
	}
	pthread_mutex_unlock(&the_lock);
	return ret;
}

/*
 * Telemetry
 */

/* A port's number, and what follows it: the end, or a comma and @rest. */
static int
parse_port(const char *params, uint16_t *port_id, const char **rest)
{
	unsigned long number;
	char *end;

	if (params == NULL || params[0] < '0' || params[0] > '9')
		return -EINVAL;
	number = strtoul(params, &end, 10);
	if (number >= RTE_DIM(the_users) || (*end != '\0' && *end != ','))
		return -EINVAL;
	*port_id = (uint16_t)number;
	*rest = *end == ',' ? end + 1 : NULL;
	return 0;
}

static int
tel_list(const char *cmd __rte_unused, const char *params __rte_unused, struct rte_tel_data *data)
{
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	pthread_mutex_lock(&the_lock);
	for (int i = 0; i < (int)RTE_DIM(the_users); i++)
		if (the_users[i] != NULL)
			rte_tel_data_add_array_int(data, i);
	pthread_mutex_unlock(&the_lock);
	return 0;
}

static int
add_info(uint16_t port_id, struct rte_tel_data *data)
{
	char socket[SOCKET_SIZE];
	const char *state = "";
	int ret = -ENODEV;

	pthread_mutex_lock(&the_lock);
	if (the_users[port_id] != NULL) {
		avpg_user_describe(the_users[port_id], socket, sizeof(socket), &state);
		ret = 0;
	}
	pthread_mutex_unlock(&the_lock);
	if (ret != 0)
		return ret;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_string(data, "socket", socket);
	rte_tel_data_add_dict_string(data, "state", state);
	return 0;
}

static int
tel_info(const char *cmd __rte_unused, const char *params, struct rte_tel_data *data)
{
	const char *rest;
	uint16_t port_id;
	int ret = parse_port(params, &port_id, &rest);

	if (ret != 0 || rest != NULL)
		return -EINVAL;
	return add_info(port_id, data);
}

static int
tel_move(const char *cmd __rte_unused, const char *params, struct rte_tel_data *data)
{
	const char *socket;
	uint16_t port_id;
	int ret = parse_port(params, &port_id, &socket);

	if (ret == 0)
		ret = rte_avp_user_move(port_id, socket);
	return ret != 0 ? ret : add_info(port_id, data);
}

RTE_INIT(avpg_api_init)
{
	rte_telemetry_register_cmd("/net_avp_user/list", tel_list,
			"Ports of the driver net_avp_user. Takes no parameters");
	rte_telemetry_register_cmd("/net_avp_user/info", tel_info,
			"Socket and state of a net_avp_user port. Parameters: port id");
	rte_telemetry_register_cmd("/net_avp_user/move", tel_move,
			"Connect a detached net_avp_user port to another socket. Parameters: "
			"port id, path");
}
