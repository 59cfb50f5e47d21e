/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Parameters of port.add and port.set, and the rules that follow from them.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fdb.h"
#include "port.h"

#define PORT_QUEUES_MAX 16u
#define AVP_QUEUES_MAX 8u
#define AVP_BUFFERS_MIN 128u /* for each queue */

const struct param port_param_table[PORT_NB_PARAMS + 1] = {
		[PORT_PARAM_NAME] = PARAM(
				"name", PARAM_NAME, struct port_params, name, .required = true),
		[PORT_PARAM_MODE] = PARAM("mode", PARAM_NAME, struct port_params, mode),
		[PORT_PARAM_NETWORK] =
				PARAM("network", PARAM_NAME_NULL, struct port_params, network),
		[PORT_PARAM_NATIVE] = PARAM("native", PARAM_NAME_NULL, struct port_params, native),
		[PORT_PARAM_TRUNKS] = PARAM("trunks", PARAM_LIST, struct port_params, trunks),
		[PORT_PARAM_CHECK_SOURCE_MAC] = PARAM("check_source_mac", PARAM_BOOL,
				struct port_params, check_source_mac),
		[PORT_PARAM_FDB_MAX] = PARAM("fdb_max", PARAM_UINT, struct port_params, fdb_max,
				.min = 1, .max = FDB_SIZE_MAX),
		[PORT_PARAM_TYPE] = PARAM("type", PARAM_NAME, struct port_params, type),
		[PORT_PARAM_DEVICE] = PARAM("device", PARAM_TEXT, struct port_params, device),
		[PORT_PARAM_QUEUES] = PARAM("queues", PARAM_UINT, struct port_params, queues,
				.min = 1, .max = PORT_QUEUES_MAX),
		[PORT_PARAM_MTU] = PARAM(
				"mtu", PARAM_UINT, struct port_params, mtu, .min = 68, .max = 9216),
		[PORT_PARAM_SOCKET] = PARAM("socket", PARAM_PATH, struct port_params, socket),
		[PORT_PARAM_SOCKET_MODE] = PARAM("socket_mode", PARAM_OCTAL, struct port_params,
				socket_mode, .min = 0, .max = 0777),
		[PORT_PARAM_MAC] = PARAM("mac", PARAM_MAC, struct port_params, mac),
		[PORT_PARAM_RING] = PARAM("ring", PARAM_UINT, struct port_params, ring, .min = 64,
				.max = 4096),
		[PORT_PARAM_BUFFERS] = PARAM("buffers", PARAM_UINT, struct port_params, buffers,
				.min = AVP_BUFFERS_MIN, .max = 262144),
		[PORT_PARAM_MRU] = PARAM(
				"mru", PARAM_UINT, struct port_params, mru, .min = 90, .max = 9238),
		[PORT_PARAM_VLAN_OFFLOAD] =
				PARAM("vlan_offload", PARAM_BOOL, struct port_params, vlan_offload),
		[PORT_PARAM_DOMAIN] = PARAM("domain", PARAM_NAME, struct port_params, domain),
		[PORT_PARAM_INCOMING] = PARAM("incoming", PARAM_BOOL, struct port_params, incoming),
		{0},
};

#define BIT(param) (UINT32_C(1) << (param))
#define CHANGEABLE (BIT(PORT_PARAM_TYPE) - 1)
#define AVP_ONLY                                                                               \
	(BIT(PORT_PARAM_SOCKET) | BIT(PORT_PARAM_SOCKET_MODE) | BIT(PORT_PARAM_MAC) |          \
			BIT(PORT_PARAM_RING) | BIT(PORT_PARAM_BUFFERS) | BIT(PORT_PARAM_MRU) | \
			BIT(PORT_PARAM_VLAN_OFFLOAD) | BIT(PORT_PARAM_DOMAIN) |                \
			BIT(PORT_PARAM_INCOMING))
#define UPLINK_ONLY (BIT(PORT_PARAM_DEVICE) | BIT(PORT_PARAM_MTU))

/* The first parameter of @params that is in @refused, or NULL. */
static const char *
first_of(const struct port_params *params, uint32_t refused)
{
	uint32_t bits = params->given.bits & refused;

	return bits != 0 ? port_param_table[__builtin_ctz(bits)].name : NULL;
}

static int
check_avp(const struct port_params *params, struct avp_err *err)
{
	const char *name = params->name;
	unsigned int queues = PARAMS_GIVEN(params, PORT_PARAM_QUEUES) ? params->queues : 1;

	if (PARAMS_GIVEN(params, PORT_PARAM_RING) && (params->ring & (params->ring - 1)) != 0)
		return avp_err_set(err, EINVAL, "%s: ring=%u: must be a power of two", name,
				(unsigned int)params->ring);
	if (PARAMS_GIVEN(params, PORT_PARAM_BUFFERS) && params->buffers < AVP_BUFFERS_MIN * queues)
		return avp_err_set(err, EINVAL, "%s: buffers=%u: at least %u for %u queues", name,
				(unsigned int)params->buffers, AVP_BUFFERS_MIN * queues, queues);
	return 0;
}

static int
check_type(const struct port_params *params, struct avp_err *err)
{
	const char *name = params->name;
	const char *refused;
	bool is_avp = strcmp(params->type, "avp") == 0;

	if (!PARAMS_GIVEN(params, PORT_PARAM_TYPE))
		return avp_err_set(err, EINVAL, "%s: type: missing", name);
	if (!is_avp && strcmp(params->type, "vdev") != 0 && strcmp(params->type, "pci") != 0)
		return avp_err_set(err, EINVAL, "%s: type=%s: must be avp, vdev or pci", name,
				params->type);
	refused = first_of(params, is_avp ? UPLINK_ONLY : AVP_ONLY);
	if (refused != NULL)
		return avp_err_set(err, EINVAL, "%s: %s: not for a port of type %s", name, refused,
				params->type);
	if (!is_avp && !PARAMS_GIVEN(params, PORT_PARAM_DEVICE))
		return avp_err_set(err, EINVAL, "%s: device: missing", name);
	return is_avp ? check_avp(params, err) : 0;
}

int
port_params_read(const json_t *in, bool is_add, struct port_params *params, struct avp_err *err)
{
	const char *name = json_string_value(json_object_get(in, "name"));
	const char *type = json_string_value(json_object_get(in, "type"));
	struct param table[RTE_DIM(port_param_table)];
	const char *refused;
	int rc;

	memset(params, 0, sizeof(*params));
	memcpy(table, port_param_table, sizeof(table));
	if (type != NULL && strcmp(type, "avp") == 0)
		table[PORT_PARAM_QUEUES].max = AVP_QUEUES_MAX;
	rc = params_read(table, in, name != NULL && params_is_name(name) ? name : "port", params,
			err);
	if (rc != 0)
		return rc;
	if (is_add)
		return check_type(params, err);
	refused = first_of(params, ~(uint32_t)CHANGEABLE);
	if (refused != NULL)
		return avp_err_set(err, EINVAL,
				"%s: %s: cannot be changed, delete and add the port", params->name,
				refused);
	return 0;
}

/* VLAN of a network that may be "none" (empty). Returns 0 or -errno. */
static int
find_vlan(const struct sw *sw, const struct port_params *params, const char *network, uint16_t *vid,
		struct avp_err *err)
{
	struct avp_err cause;

	*vid = VLAN_NONE;
	if (network[0] == '\0')
		return 0;
	*vid = network_find(&sw->networks, network, &cause);
	if (*vid == VLAN_NONE)
		return avp_err_set(err, ENOENT, "%s: %s", params->name, cause.msg);
	return 0;
}

static int
make_access(const struct sw *sw, const struct port_params *params, struct vlan_rules *vlan,
		struct avp_err *err)
{
	const char *refused = first_of(params, BIT(PORT_PARAM_NATIVE) | BIT(PORT_PARAM_TRUNKS));

	if (refused != NULL)
		return avp_err_set(
				err, EINVAL, "%s: %s: only with mode=trunk", params->name, refused);
	if (!PARAMS_GIVEN(params, PORT_PARAM_NETWORK))
		return 0;
	return find_vlan(sw, params, params->network, &vlan->untagged, err);
}

static int
make_trunk(const struct sw *sw, const struct port_params *params, struct vlan_rules *vlan,
		struct avp_err *err)
{
	const json_t *item;
	uint16_t vid;
	size_t i;
	int rc;

	if (PARAMS_GIVEN(params, PORT_PARAM_NETWORK))
		return avp_err_set(err, EINVAL, "%s: network: only with mode=access", params->name);
	if (PARAMS_GIVEN(params, PORT_PARAM_NATIVE)) {
		rc = find_vlan(sw, params, params->native, &vlan->untagged, err);
		if (rc != 0)
			return rc;
	}
	if (!PARAMS_GIVEN(params, PORT_PARAM_TRUNKS))
		return 0;
	memset(vlan->tagged, 0, sizeof(vlan->tagged));
	json_array_foreach (params->trunks, i, item) {
		rc = find_vlan(sw, params, json_string_value(item), &vid, err);
		if (rc != 0)
			return rc;
		vlan_rules_set_tagged(vlan, vid, true);
	}
	return 0;
}

static int
find_mode(const struct port_params *params, const struct port_rules *old, enum vlan_mode *mode,
		struct avp_err *err)
{
	if (PARAMS_GIVEN(params, PORT_PARAM_MODE)) {
		if (strcmp(params->mode, "access") == 0)
			*mode = VLAN_MODE_ACCESS;
		else if (strcmp(params->mode, "trunk") == 0)
			*mode = VLAN_MODE_TRUNK;
		else
			return avp_err_set(err, EINVAL, "%s: mode=%s: must be access or trunk",
					params->name, params->mode);
	} else if (old != NULL) {
		*mode = old->vlan.mode;
	} else {
		*mode = PARAMS_GIVEN(params, PORT_PARAM_TRUNKS) ||
						PARAMS_GIVEN(params, PORT_PARAM_NATIVE)
				? VLAN_MODE_TRUNK
				: VLAN_MODE_ACCESS;
	}
	return 0;
}

int
port_rules_make(const struct sw *sw, const struct port_params *params, const struct port_rules *old,
		bool is_avp, struct port_rules *rules, struct avp_err *err)
{
	enum vlan_mode mode = VLAN_MODE_ACCESS;
	int rc = find_mode(params, old, &mode, err);

	if (rc != 0)
		return rc;
	if (old != NULL) {
		*rules = *old;
	} else {
		vlan_rules_init(&rules->vlan);
		rules->check_source_mac = is_avp;
		rules->fdb_max = sw->conf.fdb_port_max;
	}
	if (rules->vlan.mode != mode)
		vlan_rules_init(&rules->vlan);
	rules->vlan.mode = mode;
	if (PARAMS_GIVEN(params, PORT_PARAM_CHECK_SOURCE_MAC))
		rules->check_source_mac = params->check_source_mac;
	if (rules->check_source_mac && !is_avp)
		return avp_err_set(err, EINVAL, "%s: check_source_mac: only for a port of type avp",
				params->name);
	if (PARAMS_GIVEN(params, PORT_PARAM_FDB_MAX))
		rules->fdb_max = params->fdb_max;
	return mode == VLAN_MODE_ACCESS ? make_access(sw, params, &rules->vlan, err)
					: make_trunk(sw, params, &rules->vlan, err);
}
