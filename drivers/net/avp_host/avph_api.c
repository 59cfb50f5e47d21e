/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What applications call beyond ethdev (avph_api.h), and the same for telemetry:
 * /avp_host/list and /avp_host/info,<port>.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ethdev_driver.h>
#include <rte_errno.h>

#include "avph_log.h"
#include "avph_port.h"

#define MAX_MIGRATE_MS 60000u

struct rte_mempool *
rte_avp_host_mempool(uint16_t port_id)
{
	const struct avph_port *port = avph_port_by_id(port_id);

	if (port == NULL) {
		rte_errno = ENODEV;
		return NULL;
	}
	return port->pool->mp;
}

struct info_args {
	struct avph_port *port;
	struct rte_avp_host_info *info;
};

static int
info_on_loop(void *arg)
{
	const struct info_args *args = arg;
	struct avph_port *port = args->port;
	struct rte_avp_host_info *info = args->info;
	const struct avpd_guest *guest = &port->guest;
	struct avpd_status status;

	avpd_device_status(port->device, &status);
	*info = (struct rte_avp_host_info){
			.mem_size = avpd_mem_size(port->mem->mem),
			.mem_used = avpd_mem_used(port->mem->mem),
			.device_id = status.device_id,
			.ring_len = port->layout.ring_len,
			.nb_bufs = port->layout.nb_own_bufs,
			.page_size = avpd_mem_page_size(port->mem->mem),
			.max_pkt_size = port->args.mru,
			.features_offered = port->features,
			.features = guest->features,
			.mtu = guest->mtu,
			.driver_type = guest->driver_type,
			.driver_version = guest->driver_version,
			.nb_queues = (uint8_t)port->layout.nb_queues,
			.nb_tx_queues = guest->nb_tx_queues,
			.nb_rx_queues = guest->nb_rx_queues,
			.connected = guest->connected,
			.configured = guest->configured,
			.link_up = guest->link_up,
			.running = guest->running,
			.migration = guest->migration,
			.connects = status.counters.connects,
			.requests = status.counters.requests,
			.requests_refused = status.counters.requests_refused,
			.requests_bad = status.counters.requests_bad,
			.ctrl_fifo_faults = status.counters.fifo_faults,
	};
	memcpy(info->socket_path, port->args.socket, sizeof(info->socket_path));
	memcpy(info->domain, port->args.domain, sizeof(info->domain));
	return 0;
}

int
rte_avp_host_info_get(uint16_t port_id, struct rte_avp_host_info *info)
{
	struct info_args args = {avph_port_by_id(port_id), info};

	if (args.port == NULL)
		return -ENODEV;
	return avp_loop_call(args.port->process->loop, info_on_loop, &args);
}

static int
migrate(uint16_t port_id, uint32_t msg_type, uint32_t timeout_ms)
{
	struct avph_port *port = avph_port_by_id(port_id);

	if (port == NULL)
		return -ENODEV;
	if (timeout_ms == 0 || timeout_ms > MAX_MIGRATE_MS)
		return -EINVAL;
	return avph_port_migrate(port, msg_type, timeout_ms);
}

int
rte_avp_host_detach(uint16_t port_id, uint32_t timeout_ms)
{
	return migrate(port_id, AVPD_MSG_DETACH, timeout_ms);
}

int
rte_avp_host_attach(uint16_t port_id, uint32_t timeout_ms)
{
	return migrate(port_id, AVPD_MSG_ATTACH, timeout_ms);
}

/*
 * Telemetry
 */

static int
tel_list(const char *cmd, const char *params, struct rte_tel_data *data)
{
	uint16_t port_id;

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	RTE_ETH_FOREACH_DEV (port_id) {
		if (avph_port_by_id(port_id) != NULL)
			rte_tel_data_add_array_int(data, port_id);
	}
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
	rte_tel_data_add_dict_uint(data, "connects", info->connects);
	rte_tel_data_add_dict_uint(data, "requests", info->requests);
	rte_tel_data_add_dict_uint(data, "requests_refused", info->requests_refused);
	rte_tel_data_add_dict_uint(data, "requests_bad", info->requests_bad);
	rte_tel_data_add_dict_uint(data, "ctrl_fifo_faults", info->ctrl_fifo_faults);
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
	if (*end != '\0' || port_id >= RTE_MAX_ETHPORTS)
		return -EINVAL;
	ret = rte_avp_host_info_get((uint16_t)port_id, &info);
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
