/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Copies with registers of 32 and 64 bytes: avp_copy.h.
 */

#include <stdint.h>

#include <rte_cpuflags.h>
#include <rte_vect.h>

#include "avp_copy.h"

static void
copy_build(void *dst, const void *src, size_t size)
{
	rte_memcpy(dst, src, size);
}

#ifdef RTE_ARCH_X86_64

#include <immintrin.h>

/* The last bytes are copied by registers that overlap the ones before: there are at least 256. */
__attribute__((target("avx2"))) static void
copy_avx2(void *dst, const void *src, size_t size)
{
	const uint8_t *from = src;
	uint8_t *to = dst;
	size_t i;

	for (i = 0; i + 64 <= size; i += 64) {
		const __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(from + i));
		const __m256i high =
				_mm256_loadu_si256((const __m256i *)(const void *)(from + i + 32));

		_mm256_storeu_si256((__m256i *)(void *)(to + i), low);
		_mm256_storeu_si256((__m256i *)(void *)(to + i + 32), high);
	}
	if (i < size) {
		const __m256i low = _mm256_loadu_si256(
				(const __m256i *)(const void *)(from + size - 64));
		const __m256i high = _mm256_loadu_si256(
				(const __m256i *)(const void *)(from + size - 32));

		_mm256_storeu_si256((__m256i *)(void *)(to + size - 64), low);
		_mm256_storeu_si256((__m256i *)(void *)(to + size - 32), high);
	}
	_mm256_zeroupper();
}

__attribute__((target("avx512f"))) static void
copy_avx512(void *dst, const void *src, size_t size)
{
	const uint8_t *from = src;
	uint8_t *to = dst;
	size_t i;

	for (i = 0; i + 64 <= size; i += 64)
		_mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
	if (i < size)
		_mm512_storeu_si512(to + size - 64, _mm512_loadu_si512(from + size - 64));
	_mm256_zeroupper();
}

avp_copy_fn
avp_copy_choose(void)
{
	const uint16_t bits = rte_vect_get_max_simd_bitwidth();

	if (bits >= RTE_VECT_SIMD_512 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512F) == 1)
		return copy_avx512;
	if (bits >= RTE_VECT_SIMD_256 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) == 1)
		return copy_avx2;
	return copy_build;
}

#else

avp_copy_fn
avp_copy_choose(void)
{
	return copy_build;
}

#endif
