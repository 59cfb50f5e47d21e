/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Memory between pages that nobody may touch: what runs over its ends, by up to 16 MiB, is killed,
 * whoever does it and without a sanitizer.
 */

#ifndef TESTS_GUARDED_MEM_H
#define TESTS_GUARDED_MEM_H

#include <stdbool.h>
#include <stddef.h>

/** Zeroed. @size: a multiple of the page size. NULL when out of memory. */
void *guarded_mem_alloc(size_t size);
/** @size: as given before. @keep: all but the guards. NULL is allowed. */
void guarded_mem_free(void *mem, size_t size, bool keep);

#endif /* TESTS_GUARDED_MEM_H */
