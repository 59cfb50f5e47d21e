/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Parsing the command line: see args.h.
 */

#include "args.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX_NEAR 16                 /* longer words get no hint */
#define ARGS_MAX_NUMBER 9007199254740991 /* 2^53 - 1: what every JSON reader takes */

/* The value of an option: "--name=value", or the next word. */
static enum ctl_status
option_value(const char *name, int argc, char **argv, int *i, const char **value,
		struct ctl_error *err)
{
	const char *equals = strchr(argv[*i], '=');

	if (equals != NULL) {
		*value = equals + 1;
		return CTL_DONE;
	}
	if (*i + 1 >= argc)
		return ctl_usage(err, "%s: needs a value", name);
	*value = argv[++*i];
	return CTL_DONE;
}

/* Is @word the option @name, perhaps with "=value"? */
static bool
option_is(const char *word, const char *name)
{
	size_t name_len = strlen(name);

	return strncmp(word, name, name_len) == 0 &&
			(word[name_len] == '\0' || word[name_len] == '=');
}

enum ctl_status
ctl_args_seconds(const char *what, const char *text, double min, double max, double *seconds,
		struct ctl_error *err)
{
	char *end;

	errno = 0;
	*seconds = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0)
		return ctl_usage(err, "%s: \"%s\": not a number of seconds", what, text);
	if (!(*seconds >= min && *seconds <= max))
		return ctl_usage(err, "%s: %s: from %g to %g seconds", what, text, min, max);
	return CTL_DONE;
}

/* Take the word @argv[*i] if it is a global option. */
static enum ctl_status
global_option(int argc, char **argv, int *i, struct ctl_globals *globals, bool *taken,
		struct ctl_error *err)
{
	const char *word = argv[*i], *value = NULL;
	enum ctl_status status = CTL_DONE;
	double seconds;

	*taken = true;
	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
		globals->help = true;
	} else if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
		globals->version = true;
	} else if (strcmp(word, "-j") == 0 || strcmp(word, "--json") == 0) {
		globals->json = true;
	} else if (strcmp(word, "-s") == 0 || option_is(word, "--socket")) {
		status = option_value("--socket", argc, argv, i, &globals->socket_path, err);
	} else if (strcmp(word, "-t") == 0 || option_is(word, "--timeout")) {
		status = option_value("--timeout", argc, argv, i, &value, err);
		if (status == CTL_DONE)
			status = ctl_args_seconds("--timeout", value, 0.001, 3600, &seconds, err);
		if (status == CTL_DONE)
			globals->timeout_ms = (unsigned int)(seconds * 1000);
	} else {
		*taken = false;
	}
	return status;
}

enum ctl_status
ctl_args_globals(int *argc, char **argv, struct ctl_globals *globals, struct ctl_error *err)
{
	enum ctl_status status;
	int i, nb_left = 0;
	bool taken;

	memset(globals, 0, sizeof(*globals));
	/* An error further on is reported as asked for anywhere. */
	for (i = 1; i < *argc; i++)
		globals->json |= strcmp(argv[i], "-j") == 0 || strcmp(argv[i], "--json") == 0;
	for (i = 0; i < *argc; i++) {
		taken = false;
		if (i > 0) {
			status = global_option(*argc, argv, &i, globals, &taken, err);
			if (status != CTL_DONE)
				return status;
		}
		if (!taken)
			argv[nb_left++] = argv[i];
	}
	*argc = nb_left;
	argv[nb_left] = NULL;
	return CTL_DONE;
}

/* Edit distance in which two neighbours that changed places count once. */
static unsigned int
distance(const char *a, const char *b)
{
	unsigned int d[ARGS_MAX_NEAR + 2][ARGS_MAX_NEAR + 2];
	size_t a_len = strlen(a), b_len = strlen(b), i, j;
	unsigned int best;

	if (a_len > ARGS_MAX_NEAR || b_len > ARGS_MAX_NEAR)
		return UINT32_MAX;
	for (i = 0; i <= a_len; i++)
		d[i][0] = (unsigned int)i;
	for (j = 0; j <= b_len; j++)
		d[0][j] = (unsigned int)j;
	for (i = 1; i <= a_len; i++) {
		for (j = 1; j <= b_len; j++) {
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
					d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[a_len][b_len];
}

bool
ctl_args_near(const char *text, const char *word)
{
	static const char *const synonyms[][2] = {
			{"list", "show"},
			{"ls", "show"},
			{"get", "show"},
			{"info", "show"},
			{"rm", "del"},
			{"remove", "del"},
			{"delete", "del"},
			{"destroy", "del"},
			{"create", "add"},
			{"new", "add"},
			{"change", "set"},
			{"modify", "set"},
			{"update", "set"},
			{"clear", "flush"},
			{"mac", "fdb"},
			{"vlan", "network"},
			{"interface", "port"},
			{"counters", "stats"},
			{"dump", "capture"},
			{"id", "vlan"},
			{"name", "network"},
			{"tag", "vlan"},
			{"trunk", "trunks"},
			{"net", "network"},
			{"mtu", "mru"},
			{"args", "device"},
			{"vhost-user", "avp"},
	};
	size_t word_len = strlen(word), i;

	for (i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++) {
		if (strcmp(text, synonyms[i][0]) == 0 && strcmp(word, synonyms[i][1]) == 0)
			return true;
	}
	if (strlen(text) >= 3 && strncmp(text, word, strlen(text)) == 0)
		return true;
	return distance(text, word) <= (word_len > 5 ? 2 : 1);
}

/* The hint to add to a message about @text, given the words it could have been. */
struct hint {
	const char *text;
	char out[64];
};

static void
hint_try(struct hint *hint, const char *word)
{
	if (hint->out[0] == '\0' && ctl_args_near(hint->text, word))
		snprintf(hint->out, sizeof(hint->out), "; did you mean \"%s\"?", word);
}

static enum ctl_status
unknown_object(const char *word, struct ctl_error *err)
{
	const struct ctl_command *command;
	struct hint hint = {.text = word};

	for (command = ctl_commands; command->object != NULL; command++)
		hint_try(&hint, command->object);
	return ctl_usage(err, "%s: no such command%s", word,
			hint.out[0] != '\0' ? hint.out : "; avpctl --help lists them");
}

static enum ctl_status
unknown_verb(const char *object, const char *word, struct ctl_error *err)
{
	const struct ctl_command *command;
	struct hint hint = {.text = word != NULL ? word : ""};
	char verbs[128] = "";
	size_t used = 0;

	for (command = ctl_commands; command->object != NULL; command++) {
		if (strcmp(command->object, object) != 0)
			continue;
		used += (size_t)snprintf(verbs + used, sizeof(verbs) - used, "%s%s",
				used > 0 ? ", " : "", command->verb);
		if (word != NULL)
			hint_try(&hint, command->verb);
	}
	if (word == NULL)
		return ctl_usage(err, "%s: then one of: %s", object, verbs);
	return ctl_usage(err, "%s %s: no such command%s; there are: %s", object, word, hint.out,
			verbs);
}

enum ctl_status
ctl_args_command(int argc, char **argv, const struct ctl_command **command, int *used,
		struct ctl_error *err)
{
	const struct ctl_command *entry;
	bool known = false;

	if (argc == 0)
		return ctl_usage(err, "no command given; avpctl --help lists them");
	if (argv[0][0] == '-')
		return ctl_usage(err, "%s: no such option; avpctl --help lists them", argv[0]);
	for (entry = ctl_commands; entry->object != NULL; entry++) {
		if (strcmp(entry->object, argv[0]) != 0)
			continue;
		known = true;
		if (entry->verb == NULL || (argc > 1 && strcmp(entry->verb, argv[1]) == 0)) {
			*command = entry;
			*used = entry->verb == NULL ? 1 : 2;
			return CTL_DONE;
		}
	}
	if (!known)
		return unknown_object(argv[0], err);
	return unknown_verb(argv[0], argc > 1 ? argv[1] : NULL, err);
}

static bool
is_digits(const char *text)
{
	return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

enum ctl_status
ctl_args_count(const char *what, const char *text, uint64_t *count, struct ctl_error *err)
{
	errno = 0;
	*count = strtoull(text, NULL, 10);
	if (!is_digits(text) || *count == 0)
		return ctl_usage(err, "%s: \"%s\": not a number from 1 on", what, text);
	if (errno != 0 || *count > ARGS_MAX_NUMBER)
		return ctl_usage(err, "%s: %s: too large", what, text);
	return CTL_DONE;
}

static enum ctl_status
parse_number(const struct ctl_key *key, const char *text, json_t **value, struct ctl_error *err)
{
	unsigned long long number;

	errno = 0;
	number = strtoull(text, NULL, 10);
	if (!is_digits(text))
		return ctl_usage(err, "%s=%s: not a number; %s: %s", key->name, text, key->name,
				key->help);
	if (errno != 0 || number > ARGS_MAX_NUMBER)
		return ctl_usage(err, "%s=%s: too large", key->name, text);
	*value = json_integer((json_int_t)number);
	return CTL_DONE;
}

static enum ctl_status
parse_switch(const char *key, const char *text, json_t **value, struct ctl_error *err)
{
	bool on = strcmp(text, "on") == 0 || strcmp(text, "yes") == 0;

	if (!on && strcmp(text, "off") != 0 && strcmp(text, "no") != 0)
		return ctl_usage(err, "%s=%s: on or off", key, text);
	*value = json_boolean(on);
	return CTL_DONE;
}

/* "a,b" as array; the empty text is the empty list. */
static enum ctl_status
parse_list(const char *key, const char *text, json_t **value, struct ctl_error *err)
{
	size_t item_len;

	*value = json_array();
	if (text[0] == '\0')
		return CTL_DONE;
	for (;;) {
		item_len = strcspn(text, ",");
		if (item_len == 0) {
			json_decref(*value);
			*value = NULL;
			return ctl_usage(err, "%s=...%s: names with one comma between two", key,
					text);
		}
		if (json_array_append_new(*value, json_stringn(text, item_len)) != 0) {
			json_decref(*value);
			*value = NULL;
			return ctl_usage(err, "%s: the value is not UTF-8", key);
		}
		if (text[item_len] == '\0')
			return CTL_DONE;
		text += item_len + 1;
	}
}

static enum ctl_status
parse_string(const char *key, const char *text, json_t **value, struct ctl_error *err)
{
	if (text[0] == '\0')
		return ctl_usage(err, "%s=: needs a value", key);
	*value = json_string(text);
	if (*value == NULL)
		return ctl_usage(err, "%s: the value is not UTF-8", key);
	return CTL_DONE;
}

static const struct ctl_key *
find_key(const struct ctl_key *keys, const char *name)
{
	for (; keys != NULL && keys->name != NULL; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

static enum ctl_status
unknown_key(const struct ctl_command *command, const char *name, struct ctl_error *err)
{
	const char *verb = command->verb != NULL ? command->verb : "";
	const struct ctl_key *key;
	struct hint hint = {.text = name};
	char names[256] = "";
	size_t used = 0;

	if (command->keys == NULL)
		return ctl_usage(err, "%s: %s %s takes no KEY=VALUE", name, command->object, verb);
	for (key = command->keys; key->name != NULL; key++) {
		hint_try(&hint, key->name);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
				used > 0 ? ", " : "", key->name);
	}
	if (hint.out[0] != '\0')
		return ctl_usage(err, "%s: no such key%s", name, hint.out);
	return ctl_usage(err, "%s: no such key; there are: %s", name, names);
}

/* KEY=VALUE. Keys have underscores, as in the configuration file and in JSON; hyphens will do. */
static enum ctl_status
parse_pair(const struct ctl_command *command, const char *word, struct ctl_args *args,
		struct ctl_error *err)
{
	const char *text = strchr(word, '=') + 1;
	const struct ctl_key *key;
	enum ctl_status status;
	json_t *value = NULL;
	char name[64];
	size_t i;

	for (i = 0; i < sizeof(name) - 1 && word[i] != '='; i++)
		name[i] = word[i] == '-' ? '_' : word[i];
	name[i] = '\0';
	key = find_key(command->keys, name);
	if (key == NULL)
		return unknown_key(command, name, err);
	if (json_object_get(args->keys, name) != NULL)
		return ctl_usage(err, "%s: given twice", name);
	switch (key->kind) {
	case CTL_KIND_NUMBER:
		status = parse_number(key, text, &value, err);
		break;
	case CTL_KIND_SWITCH:
		status = parse_switch(name, text, &value, err);
		break;
	case CTL_KIND_LIST:
		status = parse_list(name, text, &value, err);
		break;
	case CTL_KIND_NAME:
		if (text[0] == '\0') {
			value = json_null();
			status = CTL_DONE;
			break;
		}
		/* fall through */
	default:
		status = parse_string(name, text, &value, err);
		break;
	}
	if (status == CTL_DONE && json_object_set_new(args->keys, name, value) != 0)
		return ctl_no_memory(err);
	return status;
}

static bool
is_number(const char *text)
{
	return text != NULL && text[0] != '\0' && strspn(text, "0123456789.") == strlen(text);
}

static enum ctl_status
parse_option(const struct ctl_command *command, int argc, char **argv, int *i,
		struct ctl_args *args, struct ctl_error *err)
{
	const struct ctl_option *option = command->options;
	struct hint hint = {.text = argv[*i]};
	unsigned int n;

	for (n = 0; option != NULL && option->name != NULL; n++, option++) {
		if (!option_is(argv[*i], option->name)) {
			hint_try(&hint, option->name);
			continue;
		}
		if (args->options[n].given)
			return ctl_usage(err, "%s: given twice", option->name);
		args->options[n].given = true;
		if (option->value == NULL && strchr(argv[*i], '=') != NULL)
			return ctl_usage(err, "%s: takes no value", option->name);
		if (option->value == NULL)
			return CTL_DONE;
		if (option->optional && strchr(argv[*i], '=') == NULL &&
				(*i + 1 >= argc || !is_number(argv[*i + 1])))
			return CTL_DONE;
		return option_value(option->name, argc, argv, i, &args->options[n].value, err);
	}
	return ctl_usage(err, "%s: %s%s%s has no such option%s", argv[*i], command->object,
			command->verb != NULL ? " " : "",
			command->verb != NULL ? command->verb : "", hint.out);
}

static enum ctl_status
too_many_words(const struct ctl_command *command, char **argv, int i, struct ctl_error *err)
{
	if (find_key(command->keys, argv[i]) != NULL)
		return ctl_usage(err, "%s: keys are written KEY=VALUE: %s=%s", argv[i], argv[i],
				argv[i + 1] != NULL ? argv[i + 1] : "...");
	if (command->keys != NULL)
		return ctl_usage(err, "%s: a word too many, or a key without its value: KEY=VALUE",
				argv[i]);
	return ctl_usage(err, "%s: a word too many", argv[i]);
}

/* Does @word begin with "KEY=" and a key of the command? A file's name may have a '=' too. */
static bool
is_pair(const struct ctl_command *command, const char *word)
{
	const struct ctl_key *key = command->keys;

	for (; key != NULL && key->name != NULL; key++) {
		if (option_is(word, key->name) && strchr(word, '=') != NULL)
			return true;
	}
	return false;
}

enum ctl_status
ctl_args_parse(const struct ctl_command *command, int argc, char **argv, struct ctl_args *args,
		struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE;
	int i;

	memset(args, 0, sizeof(*args));
	args->keys = json_object();
	if (args->keys == NULL)
		return ctl_no_memory(err);
	for (i = 0; i < argc && status == CTL_DONE; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			status = parse_option(command, argc, argv, &i, args, err);
		else if (args->nb_words < command->min_words && !is_pair(command, argv[i]))
			args->words[args->nb_words++] = argv[i];
		else if (strchr(argv[i], '=') != NULL)
			status = parse_pair(command, argv[i], args, err);
		else if (args->nb_words < command->max_words)
			args->words[args->nb_words++] = argv[i];
		else
			status = too_many_words(command, argv, i, err);
	}
	if (status == CTL_DONE && args->nb_words < command->min_words)
		status = ctl_usage(err, "%s%s%s: needs %s", command->object,
				command->verb != NULL ? " " : "",
				command->verb != NULL ? command->verb : "", command->words);
	if (status != CTL_DONE)
		ctl_args_fini(args);
	return status;
}

void
ctl_args_fini(struct ctl_args *args)
{
	json_decref(args->keys);
	args->keys = NULL;
}
