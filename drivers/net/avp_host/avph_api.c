/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What applications call beyond ethdev (avph_api.h).
 */

#include <errno.h>
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
			.nb_unread = avph_port_nb_unread(port),
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

void
avph_port_info(struct avph_port *port, struct rte_avp_host_info *info)
{
	struct info_args args = {port, info};

	avp_loop_call(port->process->loop, info_on_loop, &args);
}

int
rte_avp_host_info_get(uint16_t port_id, struct rte_avp_host_info *info)
{
	struct avph_port *port = avph_port_by_id(port_id);

	if (port == NULL)
		return -ENODEV;
	avph_port_info(port, info);
	return 0;
}

static int
migrate_begin(uint16_t port_id, uint32_t type, uint32_t timeout_ms, uint32_t *serial)
{
	struct avph_port *port = avph_port_by_id(port_id);

	if (port == NULL)
		return -ENODEV;
	if (timeout_ms > MAX_MIGRATE_MS || (timeout_ms == 0 && type == AVPD_MSG_DETACH))
		return -EINVAL;
	return avph_migration_begin(port, type, timeout_ms, serial);
}

static int
migrate(uint16_t port_id, uint32_t type, uint32_t timeout_ms)
{
	uint32_t serial;
	int ret = migrate_begin(port_id, type, timeout_ms, &serial);

	return ret < 0 ? ret : avph_migration_wait(&avph_port_by_id(port_id)->migration, serial);
}

int
rte_avp_host_detach_begin(uint16_t port_id, uint32_t timeout_ms)
{
	return migrate_begin(port_id, AVPD_MSG_DETACH, timeout_ms, NULL);
}

int
rte_avp_host_attach_begin(uint16_t port_id, uint32_t timeout_ms)
{
	return migrate_begin(port_id, AVPD_MSG_ATTACH, timeout_ms, NULL);
}

int
rte_avp_host_migration_result(uint16_t port_id, int *result, uint32_t *took_us)
{
	struct avph_port *port = avph_port_by_id(port_id);

	return port == NULL ? -ENODEV : avph_migration_look(&port->migration, result, took_us);
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
