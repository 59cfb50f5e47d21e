/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl --help, made from the table of commands.
 */

#ifndef CTL_HELP_H
#define CTL_HELP_H

#include <stdbool.h>
#include <stdio.h>

/**
 * Print help on the command that the words begin with: on all, on those of an object, on one.
 * Returns false if there is no such command: nothing is printed then.
 */
bool ctl_help(FILE *stream, int argc, char **argv);

#endif /* CTL_HELP_H */
