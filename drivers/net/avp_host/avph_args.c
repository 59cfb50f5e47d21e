/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Devargs: one small function per key, in a table.
 */

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_kvargs.h>

#include "avpd_layout.h"
#include "avph_args.h"

/* What a key's function works on. */
struct arg_ctx {
	struct avph_args *args;
	const char *name; /* of the port */
	const char *key;
	struct avp_err *err;
};

/* A number in decimal, or in octal for @base 8; nothing else around it. */
static int
arg_number(const struct arg_ctx *ctx, const char *value, int base, uint32_t min, uint32_t max,
		uint32_t *number)
{
	char *end;
	unsigned long result;

	errno = 0;
	result = strtoul(value, &end, base);
	if (!isdigit((unsigned char)value[0]) || *end != '\0')
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: not a number", ctx->name, ctx->key,
				value);
	if (errno != 0 || result > max)
		return avp_err_set(ctx->err, EINVAL,
				base == 8 ? "%s: %s=%s: at most %o" : "%s: %s=%s: at most %u",
				ctx->name, ctx->key, value, max);
	if (result < min)
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: at least %u", ctx->name, ctx->key,
				value, min);
	*number = (uint32_t)result;
	return 0;
}

static int
arg_string(const struct arg_ctx *ctx, const char *value, char *out, size_t out_size)
{
	if (value[0] == '\0')
		return avp_err_set(ctx->err, EINVAL, "%s: %s=: empty", ctx->name, ctx->key);
	if (strlen(value) >= out_size)
		return avp_err_set(ctx->err, ENAMETOOLONG, "%s: %s=%s: at most %zu characters",
				ctx->name, ctx->key, value, out_size - 1);
	snprintf(out, out_size, "%s", value);
	return 0;
}

static int
arg_socket(const struct arg_ctx *ctx, const char *value)
{
	ctx->args->default_socket = false;
	return arg_string(ctx, value, ctx->args->socket, sizeof(ctx->args->socket));
}

static int
arg_domain(const struct arg_ctx *ctx, const char *value)
{
	return arg_string(ctx, value, ctx->args->domain, sizeof(ctx->args->domain));
}

static int
arg_domain_size(const struct arg_ctx *ctx, const char *value)
{
	return arg_number(ctx, value, 10, AVPH_MIN_DOMAIN_SIZE, AVPH_MAX_DOMAIN_SIZE,
			&ctx->args->domain_size);
}

static int
arg_queues(const struct arg_ctx *ctx, const char *value)
{
	return arg_number(ctx, value, 10, 1, AVP_MAX_QUEUES, &ctx->args->queues);
}

static int
arg_ring(const struct arg_ctx *ctx, const char *value)
{
	int ret = arg_number(ctx, value, 10, AVPD_MIN_RING, AVPD_MAX_RING, &ctx->args->ring);

	if (ret == 0 && !rte_is_power_of_2(ctx->args->ring))
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: not a power of two", ctx->name,
				ctx->key, value);
	return ret;
}

static int
arg_buffers(const struct arg_ctx *ctx, const char *value)
{
	return arg_number(ctx, value, 10, 1, AVPD_MAX_BUFS, &ctx->args->buffers);
}

static int
arg_mac(const struct arg_ctx *ctx, const char *value)
{
	struct rte_ether_addr *mac = &ctx->args->mac;

	if (rte_ether_unformat_addr(value, mac) < 0)
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: not a MAC address", ctx->name,
				ctx->key, value);
	if (!rte_is_valid_assigned_ether_addr(mac))
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: not a unicast address", ctx->name,
				ctx->key, value);
	return 0;
}

static int
arg_mru(const struct arg_ctx *ctx, const char *value)
{
	return arg_number(ctx, value, 10, AVPH_MIN_MRU, AVP_MAX_PKT_SIZE, &ctx->args->mru);
}

static int
arg_bool(const struct arg_ctx *ctx, const char *value, bool *out)
{
	uint32_t on = 0;
	int ret = arg_number(ctx, value, 10, 0, 1, &on);

	*out = on != 0;
	return ret;
}

static int
arg_vlan_offload(const struct arg_ctx *ctx, const char *value)
{
	return arg_bool(ctx, value, &ctx->args->vlan_offload);
}

static int
arg_recycle(const struct arg_ctx *ctx, const char *value)
{
	return arg_bool(ctx, value, &ctx->args->recycle);
}

static int
arg_compact(const struct arg_ctx *ctx, const char *value)
{
	return arg_bool(ctx, value, &ctx->args->compact);
}

static int
arg_link_events(const struct arg_ctx *ctx, const char *value)
{
	return arg_bool(ctx, value, &ctx->args->link_events);
}

static int
arg_rx_interrupts(const struct arg_ctx *ctx, const char *value)
{
	return arg_bool(ctx, value, &ctx->args->rx_interrupts);
}

static int
arg_incoming(const struct arg_ctx *ctx, const char *value)
{
	return arg_bool(ctx, value, &ctx->args->incoming);
}

static int
arg_mode(const struct arg_ctx *ctx, const char *value)
{
	uint32_t mode = 0;
	int ret = arg_number(ctx, value, 8, 0, 0777, &mode);

	ctx->args->perm.mode = (mode_t)mode;
	return ret;
}

/* A user or group, by number or by name. */
static int
arg_owner(const struct arg_ctx *ctx, const char *value)
{
	const struct passwd *user;
	uint32_t uid = 0;

	if (isdigit((unsigned char)value[0])) {
		int ret = arg_number(ctx, value, 10, 0, UINT32_MAX - 1, &uid);

		ctx->args->perm.owner = (uid_t)uid;
		return ret;
	}
	user = getpwnam(value);
	if (user == NULL)
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: no such user", ctx->name, ctx->key,
				value);
	ctx->args->perm.owner = user->pw_uid;
	return 0;
}

static int
arg_group(const struct arg_ctx *ctx, const char *value)
{
	const struct group *group;
	uint32_t gid = 0;

	if (isdigit((unsigned char)value[0])) {
		int ret = arg_number(ctx, value, 10, 0, UINT32_MAX - 1, &gid);

		ctx->args->perm.group = (gid_t)gid;
		return ret;
	}
	group = getgrnam(value);
	if (group == NULL)
		return avp_err_set(ctx->err, EINVAL, "%s: %s=%s: no such group", ctx->name,
				ctx->key, value);
	ctx->args->perm.group = group->gr_gid;
	return 0;
}

static const struct arg {
	const char *key;
	int (*parse)(const struct arg_ctx *ctx, const char *value);
} arg_table[] = {
		{"socket", arg_socket},
		{"queues", arg_queues},
		{"ring", arg_ring},
		{"buffers", arg_buffers},
		{"mac", arg_mac},
		{"mru", arg_mru},
		{"vlan_offload", arg_vlan_offload},
		{"recycle", arg_recycle},
		{"compact", arg_compact},
		{"link_events", arg_link_events},
		{"rx_interrupts", arg_rx_interrupts},
		{"incoming", arg_incoming},
		{"domain", arg_domain},
		{"domain_size", arg_domain_size},
		{"mode", arg_mode},
		{"owner", arg_owner},
		{"group", arg_group},
};

static int
args_parse_pair(struct avph_args *args, const char *name, const struct rte_kvargs_pair *pair,
		uint32_t *seen, struct avp_err *err)
{
	const struct arg_ctx ctx = {args, name, pair->key, err};

	for (unsigned int i = 0; i < RTE_DIM(arg_table); i++) {
		if (strcmp(arg_table[i].key, pair->key) != 0)
			continue;
		if (*seen & RTE_BIT32(i))
			return avp_err_set(err, EINVAL, "%s: %s: given twice", name, pair->key);
		*seen |= RTE_BIT32(i);
		if (pair->value == NULL)
			return avp_err_set(err, EINVAL, "%s: %s: needs a value", name, pair->key);
		return arg_table[i].parse(&ctx, pair->value);
	}
	return avp_err_set(
			err, EINVAL, "%s: %s: net_avp_host has no such argument", name, pair->key);
}

/* What depends on more than one key. */
static int
args_complete(struct avph_args *args, const char *name, struct avp_err *err)
{
	const uint32_t min_bufs = args->queues * AVPH_BUFS_PER_QUEUE_MIN;

	if (args->buffers == 0)
		args->buffers = RTE_MAX(4 * args->ring * args->queues, min_bufs);
	if (args->buffers < min_bufs)
		return avp_err_set(err, EINVAL, "%s: buffers=%u: at least %u for %u queues", name,
				args->buffers, min_bufs, args->queues);
	if (args->domain_size == 0)
		args->domain_size = AVPH_DEFAULT_DOMAIN_SIZE;
	else if (args->domain[0] == '\0')
		return avp_err_set(err, EINVAL, "%s: domain_size=%u: needs domain=", name,
				args->domain_size);
	if (!args->default_socket)
		return 0;
	if (snprintf(args->socket, sizeof(args->socket), AVPH_RUN_DIR "/%s.sock", name) >=
			(int)sizeof(args->socket))
		return avp_err_set(err, ENAMETOOLONG,
				"%s: socket " AVPH_RUN_DIR "/%s.sock: at most"
				" %d characters",
				name, name, AVPH_SOCKET_SIZE - 1);
	return 0;
}

int
avph_args_parse(struct avph_args *args, const char *name, const char *params, struct avp_err *err)
{
	struct rte_kvargs *kvlist;
	uint32_t seen = 0;
	int ret = 0;

	*args = (struct avph_args){
			.queues = 1,
			.ring = AVPH_DEFAULT_RING,
			.mru = AVPH_DEFAULT_MRU,
			.recycle = true,
			.compact = true,
			.link_events = true,
			.rx_interrupts = true,
			.default_socket = true,
			.perm = {.mode = 0600, .owner = (uid_t)-1, .group = (gid_t)-1},
	};
	rte_eth_random_addr(args->mac.addr_bytes);
	if (params == NULL || params[0] == '\0')
		return args_complete(args, name, err);
	kvlist = rte_kvargs_parse(params, NULL);
	if (kvlist == NULL)
		return avp_err_set(
				err, EINVAL, "%s: %s: not of the form key=value,...", name, params);
	for (unsigned int i = 0; i < kvlist->count && ret == 0; i++)
		ret = args_parse_pair(args, name, &kvlist->pairs[i], &seen, err);
	rte_kvargs_free(kvlist);
	return ret < 0 ? ret : args_complete(args, name, err);
}
