/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What telemetry says of ports: /avp_host/list and /avp_host/info,<port>.
 *
 * Its thread asks at any time, and nobody tells it of ports that the application is about to close.
 * So it looks for ports in a list of its own, which a port leaves before anything else of it ends.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <ethdev_driver.h>

#include "avp_compat.h"
#include "avph_port.h"

static LIST_HEAD(, avph_port) the_ports = LIST_HEAD_INITIALIZER(the_ports);
static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

void
avph_telemetry_add(struct avph_port *port)
{
	pthread_mutex_lock(&the_lock);
	LIST_INSERT_HEAD(&the_ports, port, telemetry_entry);
	pthread_mutex_unlock(&the_lock);
}

void
avph_telemetry_remove(struct avph_port *port)
{
	pthread_mutex_lock(&the_lock);
	LIST_REMOVE(port, telemetry_entry);
	pthread_mutex_unlock(&the_lock);
}

static int
tel_list(const char *cmd, const char *params, struct rte_tel_data *data)
{
	const struct avph_port *port;

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	pthread_mutex_lock(&the_lock);
	LIST_FOREACH (port, &the_ports, telemetry_entry)
		rte_tel_data_add_array_int(data, port->eth_dev->data->port_id);
	pthread_mutex_unlock(&the_lock);
	return 0;
}

static void
tel_add_info(struct rte_tel_data *data, const struct rte_avp_host_info *info)
{
	rte_tel_data_add_dict_string(data, "socket", info->socket_path);
	rte_tel_data_add_dict_string(data, "domain", info->domain);
	rte_tel_data_add_dict_uint(data, "mem_size", info->mem_size);
	rte_tel_data_add_dict_uint(data, "mem_used", info->mem_used);
	rte_tel_data_add_dict_uint(data, "page_size", info->page_size);
	rte_tel_data_add_dict_uint(data, "device_id", info->device_id);
	rte_tel_data_add_dict_uint(data, "queues", info->nb_queues);
	rte_tel_data_add_dict_uint(data, "ring", info->ring_len);
	rte_tel_data_add_dict_uint(data, "buffers", info->nb_bufs);
	rte_tel_data_add_dict_uint(data, "mru", info->max_pkt_size);
	rte_tel_data_add_dict_uint(data, "features_offered", info->features_offered);
	rte_tel_data_add_dict_uint(data, "features", info->features);
	rte_tel_data_add_dict_uint(data, "guest_mtu", info->mtu);
	rte_tel_data_add_dict_uint(data, "guest_driver_type", info->driver_type);
	rte_tel_data_add_dict_uint(data, "guest_driver_version", info->driver_version);
	rte_tel_data_add_dict_uint(data, "guest_tx_queues", info->nb_tx_queues);
	rte_tel_data_add_dict_uint(data, "guest_rx_queues", info->nb_rx_queues);
	rte_tel_data_add_dict_uint(data, "guest_connected", info->connected);
	rte_tel_data_add_dict_uint(data, "guest_configured", info->configured);
	rte_tel_data_add_dict_uint(data, "guest_link_up", info->link_up);
	rte_tel_data_add_dict_uint(data, "guest_running", info->running);
	rte_tel_data_add_dict_uint(data, "migration", info->migration);
	rte_tel_data_add_dict_uint(data, "unread", info->nb_unread);
	rte_tel_data_add_dict_uint(data, "connects", info->connects);
	rte_tel_data_add_dict_uint(data, "requests", info->requests);
	rte_tel_data_add_dict_uint(data, "requests_refused", info->requests_refused);
	rte_tel_data_add_dict_uint(data, "requests_bad", info->requests_bad);
	rte_tel_data_add_dict_uint(data, "ctrl_fifo_faults", info->ctrl_fifo_faults);
}

/* The lock is held until the answer is there: the port cannot be closed before. */
static int
info_get(unsigned long port_id, struct rte_avp_host_info *info)
{
	struct avph_port *port;
	int ret = -ENODEV;

	pthread_mutex_lock(&the_lock);
	LIST_FOREACH (port, &the_ports, telemetry_entry) {
		if (port->eth_dev->data->port_id != port_id)
			continue;
		avph_port_info(port, info);
		ret = 0;
		break;
	}
	pthread_mutex_unlock(&the_lock);
	return ret;
}

static int
tel_info(const char *cmd, const char *params, struct rte_tel_data *data)
{
	struct rte_avp_host_info info;
	unsigned long port_id;
	char *end;
	int ret;

	RTE_SET_USED(cmd);
	if (params == NULL || params[0] < '0' || params[0] > '9')
		return -EINVAL;
	port_id = strtoul(params, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	ret = info_get(port_id, &info);
	if (ret < 0)
		return ret;
	rte_tel_data_start_dict(data);
	tel_add_info(data, &info);
	return 0;
}

RTE_INIT(avph_telemetry_init)
{
	rte_telemetry_register_cmd("/avp_host/list", tel_list,
			"Ports of the driver net_avp_host. Takes no parameters");
	rte_telemetry_register_cmd("/avp_host/info", tel_info,
			"Device and guest of a net_avp_host port. Parameters: port id");
}
