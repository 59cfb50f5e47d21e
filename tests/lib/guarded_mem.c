/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The memory of guarded_mem.h: address space without access, made accessible in the middle.
 */

#include <stdint.h>
#include <sys/mman.h>

#include "guarded_mem.h"

#define GUARD_SIZE ((size_t)16 << 20)

void *
guarded_mem_alloc(size_t size)
{
	uint8_t *all = mmap(NULL, size + 2 * GUARD_SIZE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	if (mprotect(all + GUARD_SIZE, size, PROT_READ | PROT_WRITE) != 0) {
		munmap(all, size + 2 * GUARD_SIZE);
		return NULL;
	}
	return all + GUARD_SIZE;
}

void
guarded_mem_free(void *mem, size_t size, bool keep)
{
	if (mem == NULL)
		return;
	munmap((uint8_t *)mem - GUARD_SIZE, GUARD_SIZE);
	munmap((uint8_t *)mem + size, GUARD_SIZE);
	if (!keep)
		munmap(mem, size);
}
