/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Completion: see complete.h. Names of ports and networks come from the switch, if there is one,
 * those of VMs from their folder.
 */

#include "complete.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "vm.h"

static void
offer(struct ctl *ctl, const char *start, const char *word, const char *end)
{
	if (strncmp(word, start, strlen(start)) == 0)
		fprintf(ctl->out, "%s%s\n", word, end);
}

/* The names of what there is: @method is network.show or port.show. */
static void
offer_names(struct ctl *ctl, const char *method, const char *start, const char *before)
{
	struct ctl_error err;
	const char *name;
	json_t *list, *entry;
	size_t i;

	if (ctl_request(ctl, method, json_object(), &list, &err) != CTL_DONE)
		return;
	json_array_foreach (list, i, entry) {
		name = json_string_value(json_object_get(entry, "name"));
		if (name != NULL && strncmp(name, start, strlen(start)) == 0)
			fprintf(ctl->out, "%s%s\n", before, name);
	}
	json_decref(list);
}

/* The names of VMs, which are those of folders. */
static void
offer_vms(struct ctl *ctl, const char *start)
{
	struct dirent **entries;
	int nb, i;

	nb = scandir(ctl_vm_dir(NULL), &entries, NULL, alphasort);
	for (i = 0; i < nb; i++) {
		if (entries[i]->d_name[0] != '.')
			offer(ctl, start, entries[i]->d_name, "");
		free(entries[i]);
	}
	if (nb >= 0)
		free(entries);
}

/* First word, or second: each command's word once; entries of one object are neighbours. */
static void
offer_commands(struct ctl *ctl, const char *object, const char *start)
{
	const struct ctl_command *command;
	const char *last = "";

	for (command = ctl_commands; command->object != NULL; command++) {
		if (object == NULL) {
			if (strcmp(command->object, last) != 0)
				offer(ctl, start, command->object, "");
			last = command->object;
		} else if (strcmp(command->object, object) == 0 && command->verb != NULL) {
			offer(ctl, start, command->verb, "");
		}
	}
}

/* The values of KEY=: names, or the choices that the help shows as "a|b". */
static void
offer_values(struct ctl *ctl, const struct ctl_command *command, const char *word)
{
	const struct ctl_key *key = command->keys;
	size_t key_size = strcspn(word, "=") + 1, choice_len;
	char line[128], before[64];
	const char *choice;

	while (key != NULL && key->name != NULL && strncmp(key->name, word, key_size - 1) != 0)
		key++;
	if (key == NULL || key->name == NULL)
		return;
	snprintf(before, sizeof(before), "%s=", key->name);
	if (strcmp(key->value, "NETWORK") == 0)
		offer_names(ctl, "network.show", word + key_size, before);
	else if (strcmp(key->value, "PORT") == 0)
		offer_names(ctl, "port.show", word + key_size, before);
	if (strchr(key->value, '|') == NULL)
		return;
	for (choice = key->value; *choice != '\0';
			choice += choice_len + (choice[choice_len] == '|')) {
		choice_len = strcspn(choice, "|");
		snprintf(line, sizeof(line), "%s%.*s", before, (int)choice_len, choice);
		offer(ctl, word, line, "");
	}
}

static void
offer_arguments(struct ctl *ctl, const struct ctl_command *command, int nb_words, const char *word)
{
	const struct ctl_option *option = command->options;
	const struct ctl_key *key = command->keys;
	bool network = strcmp(command->object, "network") == 0;
	bool adds = command->verb != NULL && strcmp(command->verb, "add") == 0;

	if (word[0] == '-') {
		for (; option != NULL && option->name != NULL; option++)
			offer(ctl, word, option->name, "");
		offer(ctl, word, "--json", "");
		offer(ctl, word, "--help", "");
		return;
	}
	if (strchr(word, '=') != NULL) {
		offer_values(ctl, command, word);
		return;
	}
	if (nb_words == 0 && strcmp(command->object, "vm") == 0)
		offer_vms(ctl, word);
	else if (nb_words == 0 && command->max_words > 0 && !adds)
		offer_names(ctl, network ? "network.show" : "port.show", word, "");
	if (nb_words < (int)command->min_words)
		return;
	for (; key != NULL && key->name != NULL; key++)
		offer(ctl, word, key->name, "=");
}

void
ctl_complete(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_command *command;
	struct ctl_error err;
	int used, i, nb_words = 0;

	if (argc == 0)
		return;
	if (argc == 1) {
		offer_commands(ctl, NULL, argv[0]);
		return;
	}
	if (ctl_args_command(argc - 1, argv, &command, &used, &err) != CTL_DONE) {
		if (argc == 2)
			offer_commands(ctl, argv[0], argv[1]);
		return;
	}
	for (i = used; i < argc - 1; i++)
		nb_words += argv[i][0] != '-' && strchr(argv[i], '=') == NULL;
	offer_arguments(ctl, command, nb_words, argv[argc - 1]);
}
