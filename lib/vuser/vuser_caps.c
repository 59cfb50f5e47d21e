/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Capabilities: vuser_caps.h.
 */

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "vuser_caps.h"
#include "vuser_msg.h"

#define CAPS_PGSIZE 4096u

static void
caps_defaults(struct vuser_caps *caps)
{
	*caps = (struct vuser_caps){
			.max_fds = VUSER_DEFAULT_MSG_FDS,
			.max_xfer = VUSER_DEFAULT_XFER_SIZE,
			.pgsizes = CAPS_PGSIZE,
	};
}

void
vuser_caps_own(struct vuser_caps *caps)
{
	*caps = (struct vuser_caps){
			.max_fds = VUSER_MAX_FDS,
			.max_xfer = VUSER_MAX_XFER_SIZE,
			.pgsizes = CAPS_PGSIZE,
			.has_max_fds = true,
			.has_max_xfer = true,
			.has_pgsizes = true,
	};
}

/* A number from 0 up; what is above @max counts as @max. */
static int
caps_number(const json_t *object, const char *name, uint64_t max, uint64_t *value, bool *has)
{
	const json_t *number = json_object_get(object, name);

	if (number == NULL)
		return 0;
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return -EINVAL;
	*value = (uint64_t)json_integer_value(number);
	if (*value > max)
		*value = max;
	*has = true;
	return 0;
}

static int
caps_read(struct vuser_caps *caps, const json_t *object)
{
	uint64_t max_fds = caps->max_fds;
	uint64_t max_xfer = caps->max_xfer;

	if (caps_number(object, "max_msg_fds", UINT32_MAX, &max_fds, &caps->has_max_fds) < 0 ||
			caps_number(object, "max_data_xfer_size", UINT32_MAX, &max_xfer,
					&caps->has_max_xfer) < 0 ||
			caps_number(object, "pgsizes", UINT64_MAX, &caps->pgsizes,
					&caps->has_pgsizes) < 0)
		return -EINVAL;
	caps->max_fds = (uint32_t)max_fds;
	caps->max_xfer = (uint32_t)max_xfer;
	return 0;
}

int
vuser_caps_parse(struct vuser_caps *caps, const void *data, uint32_t size)
{
	const char *text = data;

	caps_defaults(caps);
	if (size == 0)
		return 0;
	if (text[size - 1] != '\0')
		return -EINVAL;
	json_t *root = json_loadb(text, size - 1, JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL)
		return -EINVAL;
	int ret = -EINVAL;
	const json_t *object = json_object_get(root, "capabilities");
	if (!json_is_object(root) || (object != NULL && !json_is_object(object)))
		goto out;
	ret = object != NULL ? caps_read(caps, object) : 0;
out:
	json_decref(root);
	return ret;
}

void
vuser_caps_agree(struct vuser_caps *caps, const struct vuser_caps *proposed)
{
	vuser_caps_own(caps);
	caps->has_max_fds = proposed->has_max_fds;
	caps->has_max_xfer = proposed->has_max_xfer;
	caps->has_pgsizes = proposed->has_pgsizes;
}

int
vuser_caps_format(const struct vuser_caps *caps, char *out, uint32_t room)
{
	json_t *root = json_object();
	json_t *object = json_object();
	int ret = 0;

	if (caps->has_max_fds)
		ret |= json_object_set_new(object, "max_msg_fds", json_integer(caps->max_fds));
	if (caps->has_max_xfer)
		ret |= json_object_set_new(
				object, "max_data_xfer_size", json_integer(caps->max_xfer));
	if (caps->has_pgsizes)
		ret |= json_object_set_new(
				object, "pgsizes", json_integer((json_int_t)caps->pgsizes));
	ret |= json_object_set_new(root, "capabilities", object);
	size_t len = ret == 0 ? json_dumpb(root, out, room, JSON_COMPACT) : 0;
	json_decref(root);
	if (len == 0 || len >= room)
		return -EMSGSIZE;
	out[len] = '\0';
	return (int)len + 1;
}
