/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Help: see help.h.
 */

#include "help.h"

#include <string.h>

#include "ctl.h"

#define HELP_SIZE 128

static const char *
command_line(char out[HELP_SIZE], const struct ctl_command *command)
{
	const struct ctl_option *option = command->options;
	const char *parts[] = {command->object, command->verb, command->words};
	size_t used = 0, i;

	out[0] = '\0';
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i] != NULL && parts[i][0] != '\0')
			used += (size_t)snprintf(out + used, HELP_SIZE - used, "%s%s",
					i > 0 ? " " : "", parts[i]);
	}
	if (command->keys != NULL)
		used += (size_t)snprintf(out + used, HELP_SIZE - used, " [KEY=VALUE...]");
	for (; option != NULL && option->name != NULL; option++) {
		if (option->value == NULL)
			used += (size_t)snprintf(
					out + used, HELP_SIZE - used, " [%s]", option->name);
		else
			used += (size_t)snprintf(out + used, HELP_SIZE - used,
					option->optional ? " [%s [%s]]" : " [%s %s]", option->name,
					option->value);
	}
	return out;
}

static void
print_globals(FILE *stream)
{
	fprintf(stream,
			"\n"
			"Options of every command:\n"
			"  -s, --socket PATH      control socket of the switch\n"
			"                         (default: $" CTL_SOCKET_ENV
			", else " CTL_DEFAULT_SOCKET ")\n"
			"  -j, --json             results and errors as JSON\n"
			"  -t, --timeout SECONDS  longest wait for an answer (default %d)\n"
			"  -h, --help             this help, or that of the command\n"
			"  -V, --version          version of avpctl\n"
			"\n"
			"Exit status: 0 done, 1 refused or failed, 2 wrong command line.\n",
			CTL_DEFAULT_TIMEOUT_MS / 1000);
}

static void
print_list(FILE *stream, const char *object)
{
	const struct ctl_command *command;
	char line[HELP_SIZE];

	for (command = ctl_commands; command->object != NULL; command++) {
		if (object == NULL || strcmp(object, command->object) == 0)
			fprintf(stream, "  %s\n          %s\n", command_line(line, command),
					command->summary);
	}
}

static void
print_command(FILE *stream, const struct ctl_command *command)
{
	const struct ctl_option *option;
	const struct ctl_key *key;
	char line[HELP_SIZE];

	fprintf(stream, "usage: avpctl %s\n\n%s\n", command_line(line, command), command->summary);
	if (command->keys != NULL)
		fprintf(stream, "\nKeys:\n");
	for (key = command->keys; key != NULL && key->name != NULL; key++) {
		snprintf(line, sizeof(line), "%s=%s", key->name, key->value);
		fprintf(stream, "  %-24s  %s\n", line, key->help);
	}
	if (command->options != NULL)
		fprintf(stream, "\nOptions:\n");
	for (option = command->options; option != NULL && option->name != NULL; option++) {
		snprintf(line, sizeof(line), "%s %s", option->name,
				option->value != NULL ? option->value : "");
		fprintf(stream, "  %-24s  %s\n", line, option->help);
	}
	if (command->notes != NULL)
		fprintf(stream, "\n%s", command->notes);
}

bool
ctl_help(FILE *stream, int argc, char **argv)
{
	const struct ctl_command *command;
	bool known = false;

	if (argc == 0) {
		fprintf(stream,
				"usage: avpctl [OPTIONS] COMMAND\n"
				"\n"
				"Talk to avp-switch. Commands:\n");
		print_list(stream, NULL);
		print_globals(stream);
		return true;
	}
	for (command = ctl_commands; command->object != NULL; command++) {
		if (strcmp(command->object, argv[0]) != 0)
			continue;
		if (command->verb == NULL || (argc > 1 && strcmp(command->verb, argv[1]) == 0)) {
			print_command(stream, command);
			print_globals(stream);
			return true;
		}
		known = true;
	}
	if (!known || argc > 1)
		return false;
	fprintf(stream, "usage: avpctl [OPTIONS] %s COMMAND\n\n", argv[0]);
	print_list(stream, argv[0]);
	print_globals(stream);
	return true;
}
