/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * AVP ports: the device string from the parameters, and what net_avp_host says of them.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <rte_ethdev.h>

#include "avph_api.h"
#include "port.h"

#define MACHINE_ID "/etc/machine-id"
#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t
fnv(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * FNV_PRIME;
	return hash;
}

/* A locally administered address that stays the same on this machine for this name. */
static void
make_mac(const char *name, uint8_t mac[6])
{
	char machine[64] = "";
	FILE *file = fopen(MACHINE_ID, "re");
	uint64_t hash;

	if (file != NULL) {
		if (fgets(machine, sizeof(machine), file) == NULL)
			machine[0] = '\0';
		fclose(file);
	}
	hash = fnv(fnv(FNV_START, machine), name);
	hash = (hash ^ hash >> 32) * FNV_PRIME;
	mac[0] = 0x02;
	for (unsigned int i = 1; i < 6; i++)
		mac[i] = hash >> (8 * i + 16);
}

/* Append to @device; what does not fit makes the length too long, which the caller sees. */
static void __attribute__((format(printf, 3, 4)))
append(char *device, size_t *len, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (*len < sizeof(((struct port *)NULL)->device))
		*len += vsnprintf(device + *len, sizeof(((struct port *)NULL)->device) - *len, fmt,
				args);
	va_end(args);
}

/* Where the driver will make its socket must exist: it would only log why it refuses. */
static int
check_socket_folder(const char *name, const char *path, struct avp_err *err)
{
	const char *slash = strrchr(path, '/');
	char folder[PARAMS_TEXT_SIZE];
	struct stat st;

	snprintf(folder, sizeof(folder), "%.*s/", slash != NULL ? (int)(slash - path) : 0, path);
	if (stat(folder, &st) == 0)
		return 0;
	if (errno == ENOENT)
		return avp_err_set(err, ENOENT, "%s: socket=%s: no such folder", name, path);
	return avp_err_set(err, errno, "%s: socket=%s: %s", name, path, strerror(errno));
}

/* The default socket is beside the control socket. */
static int
find_socket(const struct sw *sw, const struct port_params *params, char *path, size_t size,
		struct avp_err *err)
{
	const char *slash = strrchr(sw->conf.control, '/');
	int dir_len = slash != NULL ? (int)(slash - sw->conf.control) : 0;
	int len;

	if (PARAMS_GIVEN(params, PORT_PARAM_SOCKET))
		len = snprintf(path, size, "%s", params->socket);
	else
		len = snprintf(path, size, "%.*s/%s.sock", dir_len, sw->conf.control, params->name);
	if ((size_t)len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return avp_err_set(err, ENAMETOOLONG, "%s: socket=%.64s...: at most %zu bytes",
				params->name, path,
				sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	if (strchr(path, ',') != NULL)
		return avp_err_set(err, EINVAL, "%s: socket=%s: a comma is not possible here",
				params->name, path);
	return check_socket_folder(params->name, path, err);
}

int
port_avp_device(const struct sw *sw, struct port *port, const struct port_params *params,
		struct avp_err *err)
{
	char socket[PARAMS_TEXT_SIZE];
	uint8_t mac[6];
	size_t len = 0;
	int rc = find_socket(sw, params, socket, sizeof(socket), err);

	if (rc != 0)
		return rc;
	if (PARAMS_GIVEN(params, PORT_PARAM_MAC))
		memcpy(mac, params->mac, sizeof(mac));
	else
		make_mac(params->name, mac);
	append(port->device, &len, "net_avp_host_%s,socket=%s", params->name, socket);
	append(port->device, &len, ",mac=%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
			mac[3], mac[4], mac[5]);
	if (PARAMS_GIVEN(params, PORT_PARAM_QUEUES))
		append(port->device, &len, ",queues=%" PRIu64, params->queues);
	if (PARAMS_GIVEN(params, PORT_PARAM_RING))
		append(port->device, &len, ",ring=%" PRIu64, params->ring);
	if (PARAMS_GIVEN(params, PORT_PARAM_BUFFERS))
		append(port->device, &len, ",buffers=%" PRIu64, params->buffers);
	if (PARAMS_GIVEN(params, PORT_PARAM_MRU))
		append(port->device, &len, ",mru=%" PRIu64, params->mru);
	if (PARAMS_GIVEN(params, PORT_PARAM_SOCKET_MODE))
		append(port->device, &len, ",mode=%04" PRIo32, params->socket_mode);
	if (PARAMS_GIVEN(params, PORT_PARAM_VLAN_OFFLOAD))
		append(port->device, &len, ",vlan_offload=%d", params->vlan_offload);
	if (params->incoming)
		append(port->device, &len, ",incoming=1");
	if (port->domain[0] != '\0')
		append(port->device, &len, ",domain=%s", port->domain);
	if (len >= sizeof(port->device))
		return avp_err_set(err, ENAMETOOLONG, "%s: device: %zu bytes, at most %zu",
				port->name, len, sizeof(port->device) - 1);
	return 0;
}

struct rte_mempool *
port_avp_mempool(const struct port *port)
{
	return port->type == PORT_TYPE_AVP ? rte_avp_host_mempool(port->id) : NULL;
}

uint32_t
port_avp_max_pkt_size(const struct port *port)
{
	struct rte_avp_host_info info;

	if (port->type != PORT_TYPE_AVP || rte_avp_host_info_get(port->id, &info) != 0)
		return 0;
	return info.max_pkt_size;
}

json_t *
port_avp_show(const struct port *port)
{
	struct rte_avp_host_info info;
	char device_id[32];
	char version[32];
	json_t *show;
	json_t *more;

	if (rte_avp_host_info_get(port->id, &info) != 0)
		return NULL;
	snprintf(device_id, sizeof(device_id), "0x%016" PRIx64, info.device_id);
	snprintf(version, sizeof(version), "%u.%u.%u", info.driver_version >> 16,
			info.driver_version >> 8 & 0xff, info.driver_version & 0xff);
	show = json_pack("{s:s, s:s?, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:i}", "socket",
			info.socket_path, "domain", info.domain[0] != '\0' ? info.domain : NULL,
			"device_id", device_id, "queues", (int)info.nb_queues, "ring",
			(int)info.ring_len, "buffers", (int)info.nb_bufs, "mru",
			(int)info.max_pkt_size, "bar2_bytes", (json_int_t)info.mem_size,
			"mem_bytes", (json_int_t)info.mem_used, "page_bytes", (int)info.page_size);
	more = json_pack("{s:b, s:b, s:b, s:i, s:I, s:I, s:i, s:i, s:i, s:s?, s:i, s:I, s:I, s:I, "
			 "s:I, s:I}",
			"connected", (int)info.connected, "configured", (int)info.configured,
			"running", (int)info.running, "migration", (int)info.migration, "features",
			(json_int_t)info.features, "features_offered",
			(json_int_t)info.features_offered, "rx_queues", (int)info.nb_rx_queues,
			"tx_queues", (int)info.nb_tx_queues, "driver_type", (int)info.driver_type,
			"driver_version", info.driver_version != 0 ? version : NULL, "guest_mtu",
			(int)info.mtu, "connects", (json_int_t)info.connects, "requests",
			(json_int_t)info.requests, "requests_refused",
			(json_int_t)info.requests_refused, "requests_bad",
			(json_int_t)info.requests_bad, "ctrl_fifo_faults",
			(json_int_t)info.ctrl_fifo_faults);
	if (json_object_update(show, more) != 0) {
		json_decref(show);
		show = NULL;
	}
	json_decref(more);
	return show;
}
