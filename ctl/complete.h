/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What could come next on avpctl's command line, for the completion of shells
 * (ctl/avpctl.bash calls `avpctl __complete WORD...`).
 */

#ifndef CTL_COMPLETE_H
#define CTL_COMPLETE_H

#include "ctl.h"

#define CTL_COMPLETE_WORD "__complete"

/**
 * Print what the last word could become, one candidate per line.
 *
 * @argv  words after the program's name; the last one is not finished and may be empty
 */
void ctl_complete(struct ctl *ctl, int argc, char **argv);

#endif /* CTL_COMPLETE_H */
