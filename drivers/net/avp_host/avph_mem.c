/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Memories of ports and of trust domains: avph_mem.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_malloc.h>

#include "avph_log.h"
#include "avph_mem.h"
#include "avph_process.h"

#define MIB (UINT64_C(1) << 20)
#define SMALL_PAGE_SIZE UINT64_C(4096)
/* A domain's slots hold ports of 8 queues of this many entries, or what its first port asks. */
#define DOMAIN_RING 1024u
/* At most one part in this many of a domain's memory is for slots. */
#define DOMAIN_SLOTS_SHARE 4u

/* What the memory of @args is to hold. */
static struct avpd_mem_conf
mem_conf(const struct avph_args *args, const char *name)
{
	struct avpd_mem_conf conf = {
			.name = name,
			.nb_slots = 1,
			.slot_size = avpd_slot_size(args->queues, args->ring),
			.nb_bufs = args->buffers,
			.huge_pages = rte_eal_has_hugepages() != 0,
			.log = &avph_device_log,
	};
	const uint64_t domain_size = args->domain_size * MIB;

	if (args->domain[0] == '\0')
		return conf;
	conf.name = args->domain;
	conf.slot_size = avpd_slot_size(AVP_MAX_QUEUES, RTE_MAX(args->ring, DOMAIN_RING));
	conf.nb_slots = (uint32_t)RTE_MIN(
			domain_size / DOMAIN_SLOTS_SHARE / conf.slot_size, AVPD_MAX_SLOTS);
	conf.nb_slots = RTE_MAX(conf.nb_slots, 1u);
	conf.nb_bufs = (uint32_t)((domain_size - SMALL_PAGE_SIZE -
						  (uint64_t)conf.nb_slots * conf.slot_size) /
			AVPD_BUF_STRIDE);
	return conf;
}

static struct avph_mem *
mem_find(const struct avph_process *process, const char *domain)
{
	struct avph_mem *mem;

	LIST_FOREACH (mem, &process->mems, entry) {
		if (domain[0] != '\0' && strcmp(mem->domain, domain) == 0)
			return mem;
	}
	return NULL;
}

int
avph_mem_get(struct avph_mem **out, struct avph_process *process, const struct avph_args *args,
		const char *name, struct avp_err *err)
{
	const struct avpd_mem_conf conf = mem_conf(args, name);
	struct avph_mem *mem = mem_find(process, args->domain);
	int ret;

	if (mem != NULL) {
		mem->nb_users++;
		*out = mem;
		return 0;
	}
	mem = calloc(1, sizeof(*mem));
	if (mem == NULL)
		return avp_err_set(err, ENOMEM, "%s: out of memory", name);
	ret = avpd_mem_create(&mem->mem, &conf, err);
	if (ret < 0)
		goto err_free;
	memcpy(mem->domain, args->domain, sizeof(mem->domain));
	mem->nb_users = 1;
	LIST_INSERT_HEAD(&process->mems, mem, entry);
	*out = mem;
	return 0;

err_free:
	free(mem);
	return ret;
}

void
avph_mem_put(struct avph_mem *mem)
{
	if (mem == NULL || --mem->nb_users > 0)
		return;
	LIST_REMOVE(mem, entry);
	if (mem->base != NULL)
		munmap(mem->base, mem->size);
	rte_free(mem->held);
	rte_free(mem->owners);
	avpd_mem_destroy(mem->mem);
	free(mem);
}

/* Map the memory and make the arrays, now that the layout is known. */
static int
mem_map(struct avph_mem *mem, const struct avpd_layout *layout, const char *name,
		struct avp_err *err)
{
	void *base;
	int ret;

	/* huge pages: those of the whole memory have been reserved at its creation */
	base = mmap(NULL, layout->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			avpd_mem_fd(mem->mem), 0);
	if (base == MAP_FAILED)
		return avp_err_set(err, errno, "%s: mapping %llu bytes: %s", name,
				(unsigned long long)layout->mem_size, strerror(errno));
	mem->owners = rte_calloc("avph_owners", layout->nb_bufs, sizeof(mem->owners[0]),
			RTE_CACHE_LINE_SIZE);
	mem->held = rte_calloc(
			"avph_held", layout->nb_bufs, sizeof(mem->held[0]), RTE_CACHE_LINE_SIZE);
	if (mem->owners == NULL || mem->held == NULL) {
		ret = avp_err_set(err, ENOMEM,
				"%s: no memory of the EAL for the state of %u buffers", name,
				layout->nb_bufs);
		goto err_free;
	}
	ret = avpd_bufs_init(&mem->bufs, base, layout);
	if (ret < 0) {
		avp_err_set(err, -ret, "%s: layout of the buffers: unknown", name);
		goto err_free;
	}
	mem->base = base;
	mem->size = layout->mem_size;
	return 0;

err_free:
	rte_free(mem->held);
	rte_free(mem->owners);
	mem->held = NULL;
	mem->owners = NULL;
	munmap(base, layout->mem_size);
	return ret;
}

int
avph_mem_add_port(struct avph_mem *mem, const struct avph_args *args, const char *name,
		struct avpd_layout *layout, struct avp_err *err)
{
	int ret = avpd_mem_add_port(mem->mem, args->queues, args->ring, args->buffers, layout, err);

	if (ret < 0 || mem->base != NULL)
		return ret;
	ret = mem_map(mem, layout, name, err);
	if (ret < 0)
		avpd_mem_remove_port(mem->mem, layout);
	return ret;
}
