/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Reads numbers from a fuzzer's input; 0 when it has ended.
 */

#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
	const uint8_t *data;
	size_t size;
	size_t at;
};

static inline bool
fuzz_ended(const struct fuzz_input *in)
{
	return in->at >= in->size;
}

static inline uint8_t
fuzz_u8(struct fuzz_input *in)
{
	return fuzz_ended(in) ? 0 : in->data[in->at++];
}

static inline uint16_t
fuzz_u16(struct fuzz_input *in)
{
	const uint16_t low = fuzz_u8(in);

	return (uint16_t)(low | fuzz_u8(in) << 8);
}

static inline uint32_t
fuzz_u32(struct fuzz_input *in)
{
	const uint32_t low = fuzz_u16(in);

	return low | (uint32_t)fuzz_u16(in) << 16;
}

static inline uint64_t
fuzz_u64(struct fuzz_input *in)
{
	const uint64_t low = fuzz_u32(in);

	return low | (uint64_t)fuzz_u32(in) << 32;
}

#endif /* TESTS_FUZZ_INPUT_H */
