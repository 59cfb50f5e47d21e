/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Files of sections: see ini.h.
 */

#include "ini.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ini {
	const char *path;
	unsigned int line;
	const struct ctl_ini_type *types;
	const struct ctl_ini_type *type; /* of the current section */
	json_t *sections;
	json_t *section; /* the current one */
	struct ctl_error *err;
};

/* Cut blanks off both ends. */
static char *
trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static enum ctl_status
ini_section(struct ini *ini, char *text)
{
	char *end = strchr(text, ']'), *name;
	const struct ctl_ini_type *type;
	size_t i;
	json_t *other;

	if (end == NULL || end[1] != '\0')
		return ctl_fail(ini->err, EINVAL, "%s: line %u: %s: a section is [TYPE NAME]",
				ini->path, ini->line, text);
	*end = '\0';
	text = trim(text + 1);
	name = text + strcspn(text, " \t");
	if (*name != '\0')
		*name++ = '\0';
	name = trim(name);
	for (type = ini->types; type->type != NULL && strcmp(type->type, text) != 0; type++)
		;
	if (type->type == NULL)
		return ctl_fail(ini->err, EINVAL, "%s: line %u: [%s]: no such section", ini->path,
				ini->line, text);
	if (type->named != (*name != '\0'))
		return ctl_fail(ini->err, EINVAL, "%s: line %u: [%s %s]: %s", ini->path, ini->line,
				text, name,
				type->named ? "needs a name: [TYPE NAME]" : "takes no name");
	json_array_foreach (ini->sections, i, other) {
		if (strcmp(json_string_value(json_object_get(other, "type")), text) == 0 &&
				strcmp(json_string_value(json_object_get(other, "name")), name) ==
						0)
			return ctl_fail(ini->err, EEXIST, "%s: line %u: [%s %s]: given twice",
					ini->path, ini->line, text, name);
	}
	ini->type = type;
	ini->section = json_pack("{s:s, s:s, s:i, s:{}}", "type", text, "name", name, "line",
			(int)ini->line, "keys");
	if (ini->section == NULL)
		return ctl_fail(ini->err, EINVAL, "%s: line %u: not UTF-8", ini->path, ini->line);
	json_array_append_new(ini->sections, ini->section);
	return CTL_DONE;
}

static enum ctl_status
ini_key(struct ini *ini, char *text)
{
	char *value = strchr(text, '=');
	json_t *keys, *values;
	size_t i;

	if (value == NULL)
		return ctl_fail(ini->err, EINVAL,
				"%s: line %u: %s: neither [SECTION] nor KEY = VALUE", ini->path,
				ini->line, text);
	*value++ = '\0';
	text = trim(text);
	value = trim(value);
	if (ini->section == NULL)
		return ctl_fail(ini->err, EINVAL, "%s: line %u: %s: before the first [SECTION]",
				ini->path, ini->line, text);
	for (i = 0; ini->type->keys[i] != NULL && strcmp(ini->type->keys[i], text) != 0; i++)
		;
	if (ini->type->keys[i] == NULL)
		return ctl_fail(ini->err, EINVAL, "%s: line %u: %s: no such key in [%s]", ini->path,
				ini->line, text, ini->type->type);
	keys = json_object_get(ini->section, "keys");
	values = json_object_get(keys, text);
	if (values == NULL) {
		values = json_array();
		json_object_set_new(keys, text, values);
	}
	if (json_array_append_new(values, json_string(value)) != 0)
		return ctl_fail(ini->err, EINVAL, "%s: line %u: %s: the value is not UTF-8",
				ini->path, ini->line, text);
	return CTL_DONE;
}

static enum ctl_status
ini_line(struct ini *ini, char *text)
{
	ini->line++;
	text = trim(text);
	if (text[0] == '\0' || text[0] == ';' || text[0] == '#')
		return CTL_DONE;
	return text[0] == '[' ? ini_section(ini, text) : ini_key(ini, text);
}

enum ctl_status
ctl_ini_load(const char *path, const struct ctl_ini_type *types, json_t **sections,
		struct ctl_error *err)
{
	struct ini ini = {.path = path, .types = types, .err = err};
	enum ctl_status status = CTL_DONE;
	size_t room = 0;
	char *line = NULL;
	FILE *file;

	file = fopen(path, "re");
	if (file == NULL)
		return ctl_fail(err, errno, "%s: %s", path, ctl_strerror(errno));
	ini.sections = json_array();
	while (status == CTL_DONE && getline(&line, &room, file) >= 0)
		status = ini_line(&ini, line);
	if (status == CTL_DONE && ferror(file))
		status = ctl_fail(err, errno, "%s: %s", path, ctl_strerror(errno));
	free(line);
	fclose(file);
	if (status == CTL_DONE)
		*sections = ini.sections;
	else
		json_decref(ini.sections);
	return status;
}

const char *
ctl_ini_value(const json_t *section, const char *key, const char *otherwise)
{
	json_t *values = json_object_get(json_object_get(section, "keys"), key);

	return values != NULL ? json_string_value(json_array_get(values, 0)) : otherwise;
}
