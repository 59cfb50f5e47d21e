/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A VM's file and the list of nodes: see vm_config.h.
 */

#include "vm_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "ctl.h"
#include "ini.h"
#include "vm.h"

#define FIRST_SLOT 0x10u
#define MAX_PORTS 16
#define MAX_PORT_WORDS 32

static const char *const vm_keys[] = {"qemu", "args", "bus", NULL};
/* Those of `port add` that make sense for a card of a VM, and where the guest finds it. */
static const char *const port_keys[] = {"addr", "network", "mode", "native", "trunks",
		"check_source_mac", "fdb_max", "queues", "ring", "buffers", "mac", "mru",
		"vlan_offload", "domain", "socket", "socket_mode", NULL};
static const struct ctl_ini_type vm_types[] = {
		{"vm", false, vm_keys}, {"port", true, port_keys}, {NULL, false, NULL}};

static const char *const host_keys[] = {
		"command", "avpctl", "switch", "dir", "migrate", "qemu", NULL};
static const struct ctl_ini_type host_types[] = {{"host", true, host_keys}, {NULL, false, NULL}};

/* Split at blanks; what is between " or ' belongs together. */
static enum ctl_status
split_words(const char *text, json_t *words, const char *path, struct ctl_error *err)
{
	char *word = malloc(strlen(text) + 1);
	size_t used = 0;
	char quote = '\0';
	bool any = false;

	if (word == NULL)
		return ctl_no_memory(err);
	for (;; text++) {
		if (*text == '\0' || (quote == '\0' && (*text == ' ' || *text == '\t'))) {
			word[used] = '\0';
			if (any)
				json_array_append_new(words, json_string(word));
			any = false;
			used = 0;
			if (*text == '\0')
				break;
		} else if (quote == '\0' && (*text == '"' || *text == '\'')) {
			quote = *text;
			any = true;
		} else if (*text == quote) {
			quote = '\0';
		} else {
			word[used++] = *text;
			any = true;
		}
	}
	free(word);
	if (quote != '\0')
		return ctl_fail(err, EINVAL, "%s: [vm]: args: a %c without its other", path, quote);
	return CTL_DONE;
}

/* The keys of a port as `port add` takes them on the command line, and its checks of them. */
static enum ctl_status
port_params(const json_t *section, const char *path, json_t **params, struct ctl_error *err)
{
	const char *name = json_string_value(json_object_get(section, "name"));
	static char add_object[] = "port", add_verb[] = "add";
	char *words[MAX_PORT_WORDS] = {NULL}, *add[] = {add_object, add_verb};
	const struct ctl_command *command;
	enum ctl_status status;
	struct ctl_error cause;
	struct ctl_args args;
	int nb_words = 0, used, i;
	const char *key;
	json_t *values;

	if (ctl_args_command(2, add, &command, &used, err) != CTL_DONE)
		return CTL_FAILED;
	words[nb_words++] = strdup(name);
	json_object_foreach (json_object_get(section, "keys"), key, values) {
		if (strcmp(key, "addr") == 0 || nb_words == MAX_PORT_WORDS)
			continue;
		if (asprintf(&words[nb_words], "%s=%s", key,
				    json_string_value(json_array_get(values, 0))) >= 0)
			nb_words++;
	}
	status = ctl_args_parse(command, nb_words, words, &args, &cause);
	if (status == CTL_DONE) {
		*params = json_incref(args.keys);
		ctl_args_fini(&args);
		json_object_set_new(*params, "name", json_string(name));
		json_object_set_new(*params, "type", json_string("avp"));
	} else {
		status = ctl_fail(err, EINVAL, "%s: [port %s]: %.400s", path, name, cause.msg);
	}
	for (i = 0; i < nb_words; i++)
		free(words[i]);
	return status;
}

static enum ctl_status
add_port(const json_t *section, const char *path, json_t *ports, struct ctl_error *err)
{
	enum ctl_status status;
	char addr[16];
	json_t *params;

	if (json_array_size(ports) == MAX_PORTS)
		return ctl_fail(err, EINVAL, "%s: at most %d ports", path, MAX_PORTS);
	status = port_params(section, path, &params, err);
	if (status != CTL_DONE)
		return status;
	snprintf(addr, sizeof(addr), "0x%x", FIRST_SLOT + (unsigned int)json_array_size(ports));
	if (json_array_append_new(ports,
			    json_pack("{s:O, s:s, s:o}", "name", json_object_get(section, "name"),
					    "addr", ctl_ini_value(section, "addr", addr), "params",
					    params)) != 0)
		return ctl_no_memory(err);
	return CTL_DONE;
}

static enum ctl_status
add_args(const json_t *section, const char *path, json_t *words, struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE;
	json_t *values = json_object_get(json_object_get(section, "keys"), "args"), *value;
	size_t i;

	json_array_foreach (values, i, value) {
		if (status == CTL_DONE)
			status = split_words(json_string_value(value), words, path, err);
	}
	return status;
}

enum ctl_status
ctl_vm_config_load(const char *path, json_t **info, struct ctl_error *err)
{
	json_t *sections, *section, *vm = NULL, *words = json_array(), *ports = json_array();
	enum ctl_status status;
	size_t i;

	status = ctl_ini_load(path, vm_types, &sections, err);
	if (status != CTL_DONE)
		goto err_free;
	json_array_foreach (sections, i, section) {
		if (status != CTL_DONE)
			break;
		if (strcmp(json_string_value(json_object_get(section, "type")), "vm") == 0) {
			vm = section;
			status = add_args(section, path, words, err);
		} else {
			status = add_port(section, path, ports, err);
		}
	}
	if (status == CTL_DONE && vm == NULL)
		status = ctl_fail(err, EINVAL, "%s: no [vm] section", path);
	if (status == CTL_DONE) {
		*info = json_pack("{s:s, s:s, s:O, s:O}", "qemu",
				ctl_ini_value(vm, "qemu", "qemu-system-x86_64"), "bus",
				ctl_ini_value(vm, "bus", "pcie.0"), "args", words, "ports", ports);
		if (*info == NULL)
			status = ctl_no_memory(err);
	}
	json_decref(sections);
err_free:
	json_decref(words);
	json_decref(ports);
	return status;
}

/* Can QEMU listen there? It is asked so late that the VM is about to move, and takes any number for
 * a port. */
static bool
is_migrate_address(const char *text)
{
	const char *port = strrchr(text, ':');
	unsigned long number;
	char *end;

	if (strncmp(text, "unix:", 5) == 0)
		return text[5] != '\0';
	if (strncmp(text, "tcp:", 4) != 0 || port == text + 3 || port[1] < '0' || port[1] > '9')
		return false;
	number = strtoul(port + 1, &end, 10);
	return *end == '\0' && number <= UINT16_MAX;
}

/* "; there are: a, b", or nothing. */
static void
list_hosts(const json_t *sections, char *text, size_t size)
{
	json_t *section;
	size_t used = 0;
	size_t i;

	text[0] = '\0';
	json_array_foreach (sections, i, section) {
		int len = snprintf(text + used, size - used, "%s%s",
				i == 0 ? "; there are: " : ", ",
				json_string_value(json_object_get(section, "name")));

		if (len < 0 || (size_t)len >= size - used)
			break;
		used += (size_t)len;
	}
}

enum ctl_status
ctl_hosts_load(const char *path, const char *name, json_t **host, struct ctl_error *err)
{
	const char *migrate;
	char others[256];
	enum ctl_status status;
	json_t *sections, *section;
	size_t i;

	status = ctl_ini_load(path, host_types, &sections, err);
	if (status != CTL_DONE)
		return status;
	*host = NULL;
	json_array_foreach (sections, i, section) {
		if (strcmp(json_string_value(json_object_get(section, "name")), name) != 0)
			continue;
		migrate = ctl_ini_value(section, "migrate", NULL);
		if (migrate == NULL || !is_migrate_address(migrate)) {
			status = ctl_fail(err, EINVAL,
					"%s: [host %s]: migrate=%s: must be tcp:ADDRESS:PORT, "
					"PORT from 0 to 65535, or unix:PATH",
					path, name, migrate != NULL ? migrate : "");
			break;
		}
		*host = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s?}", "name", name, "command",
				ctl_ini_value(section, "command", ""), "avpctl",
				ctl_ini_value(section, "avpctl", "avpctl"), "switch",
				ctl_ini_value(section, "switch", CTL_DEFAULT_SOCKET), "dir",
				ctl_ini_value(section, "dir", CTL_VM_DEFAULT_DIR), "migrate",
				migrate, "qemu", ctl_ini_value(section, "qemu", NULL));
		if (*host == NULL)
			status = ctl_no_memory(err);
	}
	if (status == CTL_DONE && *host == NULL) {
		list_hosts(sections, others, sizeof(others));
		status = ctl_fail(err, ENOENT, "%s: no section [host %s]%s", path, name, others);
	}
	json_decref(sections);
	return status;
}
