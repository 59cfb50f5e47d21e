/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * From words on the command line to a command and its checked arguments. There is one syntax:
 *
 *     avpctl [OPTIONS] OBJECT VERB [WORD...] [KEY=VALUE...] [OPTIONS]
 *
 * Options may stand anywhere. What is not understood is answered with the nearest thing that would
 * be.
 */

#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include <stdint.h>

#include "ctl.h"

/** Options that go with every command. */
struct ctl_globals {
	const char *socket_path; /* NULL if not given */
	unsigned int timeout_ms; /* 0 if not given */
	bool json;
	bool help;
	bool version;
};

/**
 * Take the options that go with every command out of the words.
 *
 * @argc  number of @argv, command name included; out: of what is left
 * @argv  out: what is left, in its order
 */
enum ctl_status ctl_args_globals(
		int *argc, char **argv, struct ctl_globals *globals, struct ctl_error *err);

/**
 * Find the command that the words begin with.
 *
 * @argv  words without the program's name and without global options
 * @used  out: number of words that name the command
 */
enum ctl_status ctl_args_command(int argc, char **argv, const struct ctl_command **command,
		int *used, struct ctl_error *err);

/** Parse the words after the command. On CTL_DONE, @args needs ctl_args_fini(). */
enum ctl_status ctl_args_parse(const struct ctl_command *command, int argc, char **argv,
		struct ctl_args *args, struct ctl_error *err);
void ctl_args_fini(struct ctl_args *args);

/**
 * Parse a number of seconds with a fraction.
 *
 * @min, @max  seconds
 */
enum ctl_status ctl_args_seconds(const char *what, const char *text, double min, double max,
		double *seconds, struct ctl_error *err);

/** Parse a whole number from 1 on. */
enum ctl_status ctl_args_count(
		const char *what, const char *text, uint64_t *count, struct ctl_error *err);

/** Is @text what somebody types who means @word? Edit distance, and other systems' words. */
bool ctl_args_near(const char *text, const char *word);

#endif /* CTL_ARGS_H */
