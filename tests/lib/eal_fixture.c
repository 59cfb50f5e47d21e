/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * DPDK for unit tests.
 */

#include <stdio.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "eal_fixture.h"

int
eal_fixture_init(void)
{
	static char args[][32] = {"test", "--no-huge", "-m256", "--no-shconf", "--no-pci",
			"--no-telemetry", "--lcores=0@0", "--log-level=lib.*:error"};
	char *argv[RTE_DIM(args) + 1] = {NULL};

	for (unsigned int i = 0; i < RTE_DIM(args); i++)
		argv[i] = args[i];
	if (rte_eal_init(RTE_DIM(args), argv) >= 0)
		return 0;
	fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
	return -1;
}
