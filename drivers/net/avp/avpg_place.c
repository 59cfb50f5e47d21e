/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Connecting to a host's socket, and mapping what it has: avpg_place.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_log.h>

#include <avp/avp_abi.h>

#include "avp_sock.h"
#include "avpg_place.h"
#include "avpg_user.h"

/* For the server to answer a message: one that does not is taken for gone, for good, so a busy
 * machine must be given time. */
#define CLIENT_TIMEOUT_MS 5000
#define REGION_CONFIG 7 /* vfio-user's number for PCI config space; BARs have their own */

static void
unmap(void *mem, size_t size)
{
	if (mem != NULL)
		munmap(mem, size);
}

void
avpg_place_release(struct avpg_place *place, bool keep_mem)
{
	vuser_client_destroy(place->client);
	if (place->map == NULL)
		unmap(place->mem, place->mem_size);
	else if (!keep_mem)
		avpg_map_put(place->map);
	unmap(place->memmap, place->memmap_size);
	unmap(place->device, place->device_size);
	*place = (struct avpg_place){0};
}

/* Is there memory behind all of the region, and will it stay? A host that cuts it off kills us. */
static int
region_check(const char *socket, uint32_t index, const struct vuser_client_region *region,
		struct avp_err *err)
{
	struct stat st;
	int seals;

	if (region->fd < 0 || region->size == 0)
		return avp_err_set(err, ENODEV, "%s: BAR %u: cannot be mapped", socket, index);
	if (fstat(region->fd, &st) != 0)
		return avp_err_set(err, errno, "%s: BAR %u: %s", socket, index, strerror(errno));
	if (region->size > SIZE_MAX / 2 || region->fd_off > SSIZE_MAX || st.st_size < 0 ||
			region->fd_off + region->size > (uint64_t)st.st_size)
		return avp_err_set(err, EINVAL, "%s: BAR %u: %llu bytes: its file has %lld", socket,
				index, (unsigned long long)region->size, (long long)st.st_size);
	seals = fcntl(region->fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
		USER_LOG(WARNING, "%s: BAR %u: not sealed: the host can crash this process", socket,
				index);
	return 0;
}

static int
region_map(struct vuser_client *client, const char *socket, uint32_t index, int prot, void **mem,
		size_t *size, struct avp_err *err)
{
	struct vuser_client_region region;
	int ret = vuser_client_region(client, index, &region);

	if (ret != 0)
		return avp_err_set(err, -ret, "%s: BAR %u: no description: %s", socket, index,
				strerror(-ret));
	ret = region_check(socket, index, &region, err);
	if (ret != 0)
		goto out_close;
	*mem = mmap(NULL, region.size, prot, MAP_SHARED, region.fd, (off_t)region.fd_off);
	if (*mem == MAP_FAILED) {
		*mem = NULL;
		ret = avp_err_set(err, errno, "%s: BAR %u: %llu bytes: cannot be mapped: %s",
				socket, index, (unsigned long long)region.size, strerror(errno));
		goto out_close;
	}
	*size = region.size;

out_close:
	avp_sock_close(&region.fd);
	return ret;
}

/* A vfio-user socket may be of any device: is it one of ours? Then switch memory decoding on. */
static int
config_check(struct vuser_client *client, const char *socket, struct avp_err *err)
{
	enum { COMMAND = 4, SUBSYS = 0x2c };
	const uint16_t command = 1 << 1 | 1 << 2; /* memory, bus master */
	uint16_t id[2], subsys[2];
	int ret = vuser_client_read(client, REGION_CONFIG, 0, id, sizeof(id));

	if (ret == 0)
		ret = vuser_client_read(client, REGION_CONFIG, SUBSYS, subsys, sizeof(subsys));
	if (ret != 0)
		return avp_err_set(err, -ret, "%s: config space cannot be read: %s", socket,
				strerror(-ret));
	if (id[0] != AVP_PCI_VENDOR_ID || id[1] != AVP_PCI_DEVICE_ID ||
			subsys[0] != AVP_PCI_SUBSYS_VENDOR_ID ||
			subsys[1] != AVP_PCI_SUBSYS_DEVICE_ID)
		return avp_err_set(err, ENODEV,
				"%s: device %04x:%04x, subsystem %04x:%04x: not an AVP device",
				socket, id[0], id[1], subsys[0], subsys[1]);
	ret = vuser_client_write(client, REGION_CONFIG, COMMAND, &command, sizeof(command));
	if (ret != 0)
		return avp_err_set(err, -ret, "%s: config space cannot be written: %s", socket,
				strerror(-ret));
	return 0;
}

int
avpg_place_connect(struct avpg_place *place, const char *socket, struct avp_err *err)
{
	int ret;

	*place = (struct avpg_place){0};
	ret = vuser_client_connect(&place->client, socket, CLIENT_TIMEOUT_MS, err);
	if (ret != 0)
		return ret;
	ret = config_check(place->client, socket, err);
	if (ret == 0)
		ret = region_map(place->client, socket, AVP_BAR_MEMORY, PROT_READ | PROT_WRITE,
				&place->mem, &place->mem_size, err);
	if (ret == 0)
		ret = region_map(place->client, socket, AVP_BAR_MEMMAP, PROT_READ, &place->memmap,
				&place->memmap_size, err);
	if (ret == 0)
		ret = region_map(place->client, socket, AVP_BAR_DEVICE, PROT_READ, &place->device,
				&place->device_size, err);
	if (ret != 0)
		goto err_release;
	place->map = avpg_map_create(place->mem, place->mem_size);
	if (place->map == NULL) {
		ret = avp_err_set(err, ENOMEM, "no memory");
		goto err_release;
	}
	return 0;

err_release:
	avpg_place_release(place, false);
	return ret;
}
