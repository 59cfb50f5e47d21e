/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The configuration file, in the format of DPDK's cfgfile.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_cfgfile.h>

#include "avp_log.h"
#include "config.h"
#include "ctl.h"
#include "fdb.h"
#include "hold.h"
#include "port.h"

struct switch_params {
	struct params_given given;
	struct sw_conf conf;
};

static const struct param switch_table[] = {
		PARAM("workers", PARAM_UINT, struct switch_params, conf.workers, .min = 1,
				.max = SW_MAX_WORKERS),
		PARAM("fdb_age", PARAM_UINT, struct switch_params, conf.fdb_age, .min = 1,
				.max = 86400),
		PARAM("fdb_size", PARAM_UINT, struct switch_params, conf.fdb_size,
				.min = FDB_SIZE_MIN, .max = FDB_SIZE_MAX),
		PARAM("fdb_port_max", PARAM_UINT, struct switch_params, conf.fdb_port_max, .min = 1,
				.max = FDB_SIZE_MAX),
		PARAM("mbufs", PARAM_UINT, struct switch_params, conf.mbufs, .min = 1024,
				.max = 4194304),
		PARAM("mbuf_size", PARAM_UINT, struct switch_params, conf.mbuf_size, .min = 2048,
				.max = 16384),
		PARAM("idle_us", PARAM_UINT, struct switch_params, conf.idle_us, .min = 0,
				.max = 10000),
		PARAM("hold_bytes", PARAM_UINT, struct switch_params, conf.hold_bytes,
				.min = HOLD_BYTES_MIN, .max = HOLD_BYTES_MAX),
		PARAM("hold_ms", PARAM_UINT, struct switch_params, conf.hold_ms, .min = HOLD_MS_MIN,
				.max = HOLD_MS_MAX),
		PARAM("busy_poll", PARAM_BOOL, struct switch_params, conf.busy_poll),
		{0},
};

static const struct param network_table[] = {
		{.name = "vlan", .type = PARAM_UINT},
		{0},
};

/* The entries of section number @index as an object, read by @table. */
static json_t *
read_section(struct rte_cfgfile *cfg, int index, const struct param *table, const char *section,
		struct avp_err *err)
{
	char name[CFG_NAME_LEN];
	int nb = rte_cfgfile_section_num_entries_by_index(cfg, name, index);
	struct rte_cfgfile_entry *entries = calloc(nb > 0 ? nb : 1, sizeof(*entries));
	json_t *object = json_object();

	if (entries == NULL || object == NULL) {
		avp_err_set(err, ENOMEM, "[%s]: not enough memory", section);
		goto err_free;
	}
	nb = rte_cfgfile_section_entries_by_index(cfg, index, name, entries, nb);
	for (int i = 0; i < nb; i++) {
		json_t *value;

		if (json_object_get(object, entries[i].name) != NULL) {
			avp_err_set(err, EINVAL, "[%s]: %s: given twice", section, entries[i].name);
			goto err_free;
		}
		value = params_from_text(table, entries[i].name, entries[i].value, section, err);
		if (value == NULL)
			goto err_free;
		json_object_set_new(object, entries[i].name, value);
	}
	free(entries);
	return object;

err_free:
	free(entries);
	json_decref(object);
	return NULL;
}

static int
read_switch(struct rte_cfgfile *cfg, int index, struct sw_conf *conf, struct avp_err *err)
{
	json_t *object = read_section(cfg, index, switch_table, "switch", err);
	struct switch_params params = {.conf = *conf};
	int rc;

	if (object == NULL)
		return -err->code;
	rc = params_read(switch_table, object, "[switch]", &params, err);
	if (rc == 0)
		*conf = params.conf;
	json_decref(object);
	return rc;
}

/* [network NAME] and [port NAME]: the name becomes a parameter. */
static int
read_named(struct rte_cfgfile *cfg, int index, const char *section, const struct param *table,
		json_t *list, struct avp_err *err)
{
	const char *name = strchr(section, ' ') + 1;
	json_t *object;

	while (*name == ' ')
		name++;
	if (!params_is_name(name))
		return avp_err_set(
				err, EINVAL, "[%s]: name: 1 to 31 of A-Z a-z 0-9 _ . -", section);
	object = read_section(cfg, index, table, name, err);
	if (object == NULL)
		return -err->code;
	if (json_object_get(object, "name") != NULL) {
		json_decref(object);
		return avp_err_set(err, EINVAL, "[%s]: name: the section has it already", section);
	}
	json_object_set_new(object, "name", json_string(name));
	json_array_append_new(list, object);
	return 0;
}

static int
read_sections(struct rte_cfgfile *cfg, struct sw_conf *conf, json_t *networks, json_t *ports,
		struct avp_err *err)
{
	int nb = rte_cfgfile_num_sections(cfg, NULL, 0);
	bool has_switch = false;
	int rc = 0;

	for (int i = 0; rc == 0 && i < nb; i++) {
		char section[CFG_NAME_LEN] = "";

		rte_cfgfile_section_num_entries_by_index(cfg, section, i);
		if (strcmp(section, "switch") == 0 && !has_switch) {
			has_switch = true;
			rc = read_switch(cfg, i, conf, err);
		} else if (strncmp(section, "network ", 8) == 0) {
			rc = read_named(cfg, i, section, network_table, networks, err);
		} else if (strncmp(section, "port ", 5) == 0) {
			rc = read_named(cfg, i, section, port_param_table, ports, err);
		} else {
			rc = avp_err_set(err, EINVAL,
					"[%s]: there are [switch] (once), [network NAME] and [port "
					"NAME]",
					section);
		}
	}
	return rc;
}

/* Is there something in the line that DPDK would read, or nothing but spaces and a comment? */
static bool
is_good_line(char *line)
{
	char *comment = strchr(line, ';');
	const char *text = line;

	if (comment != NULL && (comment == line || comment[-1] != '\\'))
		*comment = '\0';
	while (isspace((unsigned char)*text))
		text++;
	if (*text == '#')
		return false;
	return *text == '\0' || *text == '[' || strchr(text, '=') != NULL;
}

/* DPDK passes over lines that it does not understand. */
static int
check_lines(const char *file, struct avp_err *err)
{
	FILE *in = fopen(file, "re");
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	char shown[64];
	int rc = 0;

	if (in == NULL)
		return avp_err_set(err, errno, "%s: %s", file, strerror(errno));
	while (rc == 0 && getline(&line, &size, in) >= 0) {
		number++;
		avp_log_escape(shown, sizeof(shown), line, strcspn(line, "\r\n"));
		if (!is_good_line(line))
			rc = avp_err_set(err, EINVAL,
					"%s: line %u: %s: must be KEY = VALUE, [SECTION] or a "
					"comment from ; on",
					file, number, shown);
	}
	free(line);
	fclose(in);
	return rc;
}

int
config_load(const char *file, struct sw_conf *conf, json_t **networks, json_t **ports,
		struct avp_err *err)
{
	struct rte_cfgfile *cfg;
	struct avp_err cause;
	struct stat st;
	int rc;

	if (access(file, R_OK) != 0)
		return avp_err_set(err, errno, "%s: %s", file, strerror(errno));
	/* To DPDK a folder is an empty file. */
	if (stat(file, &st) != 0)
		return avp_err_set(err, errno, "%s: %s", file, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return avp_err_set(err, EISDIR, "%s: %s", file, strerror(EISDIR));
	/* A pipe can be read once only. */
	if (S_ISREG(st.st_mode)) {
		rc = check_lines(file, err);
		if (rc != 0)
			return rc;
	}
	cfg = rte_cfgfile_load(file, 0);
	if (cfg == NULL)
		return avp_err_set(err, EINVAL,
				"%s: must be made of [sections] with lines KEY = VALUE below them; "
				"see DPDK's message, if any",
				file);
	*networks = json_array();
	*ports = json_array();
	rc = read_sections(cfg, conf, *networks, *ports, &cause);
	rte_cfgfile_close(cfg);
	if (rc == 0)
		return 0;
	json_decref(*networks);
	json_decref(*ports);
	*networks = *ports = NULL;
	return avp_err_set(err, -rc, "%s: %s", file, cause.msg);
}

static int
apply(struct sw *sw, const char *file, const char *kind, const json_t *list, ctl_handler *handler,
		struct avp_err *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		struct avp_err cause = {0};
		json_t *result = handler(sw, NULL, item, &cause);

		if (result == NULL)
			return avp_err_set(err, cause.code, "%s: [%s %s]: %s", file, kind,
					json_string_value(json_object_get(item, "name")),
					cause.msg);
		json_decref(result);
	}
	return 0;
}

int
config_apply(struct sw *sw, const char *file, const json_t *networks, const json_t *ports,
		struct avp_err *err)
{
	int rc = apply(sw, file, "network", networks, ctl_network_add, err);

	return rc != 0 ? rc : apply(sw, file, "port", ports, ctl_port_add, err);
}
