/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * How much memory does this process use, but for its program? What DPDK's heap has given out, and
 * pages of everything else that is mapped: of files, such as the memory that two ends share, once,
 * however often they are mapped. DPDK's own memory is reserved at start and so not looked at.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

#include "ports.h"

#define MAX_FILES 256u

/* A file that is mapped, and the most that any mapping has of it. */
struct file {
	unsigned long inode;
	uint64_t kib;
};

static uint64_t
heap_kib(void)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < rte_socket_count(); i++) {
		struct rte_malloc_socket_stats stats;

		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
			bytes += stats.heap_allocsz_bytes;
	}
	return bytes / 1024;
}

/* Names that the EAL gives to its memory. */
static bool
is_eal_memory(const char *line)
{
	return strstr(line, "/memfd:seg_") != NULL || strstr(line, "/memfd:nohuge") != NULL ||
			strstr(line, "/memfd:memseg") != NULL;
}

/* The file's place in the list; NULL when it is full. */
static struct file *
file_find(struct file *files, uint32_t *nb_files, unsigned long inode)
{
	for (uint32_t i = 0; i < *nb_files; i++)
		if (files[i].inode == inode)
			return &files[i];
	if (*nb_files == MAX_FILES)
		return NULL;
	files[*nb_files].inode = inode;
	files[*nb_files].kib = 0;
	return &files[(*nb_files)++];
}

uint64_t
mem_kib(void)
{
	struct file files[MAX_FILES];
	uint32_t nb_files = 0;
	unsigned long inode = 0;
	unsigned long kib;
	bool counts = false;
	uint64_t total = heap_kib();
	uint64_t of_file = 0;
	char line[512];
	FILE *smaps = fopen("/proc/self/smaps", "re");

	while (smaps != NULL && fgets(line, sizeof(line), smaps) != NULL) {
		if (sscanf(line, "%*x-%*x %*s %*x %*s %lu", &inode) == 1) {
			of_file = 0;
			counts = !is_eal_memory(line);
		} else if (counts &&
				(sscanf(line, "Rss: %lu kB", &kib) == 1 ||
						sscanf(line, "Shared_Hugetlb: %lu kB", &kib) == 1 ||
						sscanf(line, "Private_Hugetlb: %lu kB", &kib) ==
								1)) {
			struct file *file = inode == 0 ? NULL : file_find(files, &nb_files, inode);

			of_file += kib;
			if (file == NULL)
				total += kib;
			else
				file->kib = RTE_MAX(file->kib, of_file);
		}
	}
	if (smaps != NULL)
		fclose(smaps);
	for (uint32_t i = 0; i < nb_files; i++)
		total += files[i].kib;
	return total;
}
