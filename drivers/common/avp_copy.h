/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Copies of packet data, with the widest registers that this CPU has and the EAL allows, whatever
 * the build is for. rte_memcpy() has those of the build.
 */

#ifndef AVP_COPY_H
#define AVP_COPY_H

#include <stddef.h>

#include <rte_branch_prediction.h>
#include <rte_memcpy.h>

/** Below this many bytes a call costs more than wide registers gain. */
#define AVP_COPY_WIDE_MIN 256u

/** Copies @size >= AVP_COPY_WIDE_MIN bytes; they do not overlap. */
typedef void (*avp_copy_fn)(void *dst, const void *src, size_t size);

/** The best one for this CPU: AVX-512 where the EAL's --force-max-simd-bitwidth allows 512, else
 * AVX2, else what rte_memcpy() does. */
avp_copy_fn avp_copy_choose(void);

/** Copy @size bytes, of any number. @wide: of avp_copy_choose(). */
static inline void
avp_copy(avp_copy_fn wide, void *dst, const void *src, size_t size)
{
	if (likely(size < AVP_COPY_WIDE_MIN))
		rte_memcpy(dst, src, size);
	else
		wide(dst, src, size);
}

#endif /* AVP_COPY_H */
