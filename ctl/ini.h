/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Files of sections, as the switch's configuration:
 *
 *     ; a comment has a line of its own
 *     [port p0]
 *     network = blue
 *
 * A section becomes an object {"type": "port", "name": "p0", "line": 2, "keys": {"network":
 * ["blue"]}}; a key may be given again, and then has several values. The name is "" where there is
 * none.
 */

#ifndef CTL_INI_H
#define CTL_INI_H

#include <jansson.h>

#include "error.h"

/** Keys that a type of section may have; the last one NULL. */
struct ctl_ini_type {
	const char *type; /* NULL ends the list */
	bool named;       /* has a name, as "p0" above */
	const char *const *keys;
};

/** Read a file. @sections: out, array in the file's order. What is not in @types is an error. */
enum ctl_status ctl_ini_load(const char *path, const struct ctl_ini_type *types, json_t **sections,
		struct ctl_error *err);

/** The one value of a key; @otherwise if it is not given. */
const char *ctl_ini_value(const json_t *section, const char *key, const char *otherwise);

#endif /* CTL_INI_H */
