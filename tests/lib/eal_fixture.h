/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * DPDK for unit tests: no huge pages, no root, no devices but those that a test makes.
 */

#ifndef EAL_FIXTURE_H
#define EAL_FIXTURE_H

/** Start DPDK in this program, once, before its tests. Returns 0, or -1 with a message printed. */
int eal_fixture_init(void);

#endif /* EAL_FIXTURE_H */
