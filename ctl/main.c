/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl: the program. All it does is in ctl_main(), which tests can call.
 */

#include <stdio.h>

#include "ctl.h"

int
main(int argc, char **argv)
{
	return ctl_main(argc, argv, stdout, stderr);
}
