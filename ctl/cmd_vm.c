/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * avpctl vm: start, stop, show. Moving one is in cmd_vm_migrate.c (the side that gives) and
 * vm_receive.c (the side that takes).
 */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "output.h"
#include "vm.h"
#include "vm_cmd.h"
#include "vm_config.h"

#define LAUNCH_LIMIT_MS 30000
#define MONITOR_LIMIT_MS 2000

static const char *
text_key(const struct ctl_args *args, const char *key)
{
	return json_string_value(json_object_get(args->keys, key));
}

enum ctl_status
ctl_vm_of_args(struct ctl_vm *vm, const struct ctl_args *args, struct ctl_error *err)
{
	return ctl_vm_init(vm, ctl_vm_dir(text_key(args, "dir")), args->words[0], err);
}

/* Have the switch show a port of the VM, or make it. */
static enum ctl_status
take_port(struct ctl *ctl, const char *name, json_t *port, struct ctl_error *err)
{
	json_t *shown = NULL, *entry, *avp;
	enum ctl_status status;
	bool made = false;

	status = ctl_request(ctl, "port.show", json_pack("{s:s}", "name", name), &shown, err);
	if (status != CTL_DONE && strcmp(err->code, "ENOENT") == 0) {
		status = ctl_request(ctl, "port.add", json_incref(json_object_get(port, "params")),
				&shown, err);
		made = status == CTL_DONE;
	}
	if (status != CTL_DONE)
		return status;
	entry = json_is_array(shown) ? json_array_get(shown, 0) : shown;
	avp = json_object_get(entry, "avp");
	if (!json_is_object(avp))
		status = ctl_fail(err, EINVAL, "%s: type %s: a VM takes avp ports", name,
				ctl_member(entry, "type"));
	else if (json_is_true(json_object_get(avp, "connected")))
		status = ctl_fail(err, EBUSY, "%s: another guest is connected to it", name);
	json_object_set_new(port, "made", json_boolean(made));
	json_object_set(port, "socket", json_object_get(avp, "socket"));
	json_object_set(port, "mac", json_object_get(entry, "mac"));
	json_decref(shown);
	return status;
}

static enum ctl_status
take_ports(struct ctl *ctl, struct ctl_vm *vm, struct ctl_error *err)
{
	enum ctl_status status = CTL_DONE;
	json_t *port;
	size_t i;

	json_array_foreach (json_object_get(vm->info, "ports"), i, port) {
		if (status == CTL_DONE)
			status = take_port(ctl, ctl_member(port, "name"), port, err);
	}
	return status;
}

static enum ctl_status
start(struct ctl *ctl, struct ctl_vm *vm, struct ctl_error *err)
{
	struct ctl_qmp *qmp = NULL;
	struct ctl_error ignored;
	enum ctl_status status;

	status = ctl_vm_create(vm, err);
	if (status != CTL_DONE)
		return status;
	status = take_ports(ctl, vm, err);
	if (status == CTL_DONE)
		status = ctl_vm_set_state(vm, "starting", err);
	if (status == CTL_DONE)
		status = ctl_vm_launch(vm, false, LAUNCH_LIMIT_MS, &qmp, err);
	if (status != CTL_DONE) {
		if (ctl_vm_alive(vm))
			ctl_vm_end(vm, qmp, &ignored);
		if (ctl->client != NULL)
			ctl_vm_del_ports(vm, ctl->client, &ignored);
		ctl_vm_remove(vm);
	}
	ctl_qmp_close(qmp);
	return status;
}

enum ctl_status
ctl_vm_start(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	const char *config = text_key(args, "config");
	enum ctl_status status;
	struct ctl_vm vm;
	char path[256];

	status = ctl_vm_of_args(&vm, args, err);
	if (status != CTL_DONE)
		return status;
	snprintf(path, sizeof(path), "%s/%s.conf", CTL_VM_CONFIG_DIR, vm.name);
	status = ctl_vm_config_load(config != NULL ? config : path, &vm.info, err);
	if (status != CTL_DONE)
		return status;
	json_object_set_new(vm.info, "name", json_string(vm.name));
	json_object_set_new(vm.info, "switch", json_string(ctl->socket_path));
	status = start(ctl, &vm, err);
	if (status == CTL_DONE && ctl->json)
		ctl_print_json(ctl->out, vm.info);
	ctl_vm_fini(&vm);
	return status;
}

enum ctl_status
ctl_vm_stop(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	struct ctl_client *client = NULL;
	char path[CTL_VM_PATH_SIZE];
	struct ctl_qmp *qmp = NULL;
	struct ctl_error ignored;
	enum ctl_status status;
	struct ctl_vm vm;

	status = ctl_vm_of_args(&vm, args, err);
	if (status == CTL_DONE)
		status = ctl_vm_load(&vm, err);
	if (status == CTL_DONE)
		status = ctl_vm_lock(&vm, err);
	if (status == CTL_DONE && ctl_vm_alive(&vm)) {
		ctl_qmp_open(&qmp, ctl_vm_path(&vm, "qmp.sock", path), MONITOR_LIMIT_MS, &ignored);
		status = ctl_vm_end(&vm, qmp, err);
		ctl_qmp_close(qmp);
	}
	if (status == CTL_DONE) {
		ctl_vm_remove(&vm);
		/* With its switch the ports are gone as well. */
		status = ctl_client_open(
				&client, ctl_member(vm.info, "switch"), ctl->timeout_ms, &ignored);
		if (status == CTL_DONE)
			status = ctl_vm_del_ports(&vm, client, err);
		else
			status = CTL_DONE;
		ctl_client_close(client);
	}
	ctl_vm_fini(&vm);
	return status;
}

/* What QEMU says of itself in one word, by the monitor that nobody else needs. */
void
ctl_vm_status(const struct ctl_vm *vm, char out[32])
{
	char path[CTL_VM_PATH_SIZE];
	struct ctl_qmp *qmp;
	struct ctl_error ignored;
	json_t *answer;

	snprintf(out, 32, "%s", ctl_vm_alive(vm) ? "silent" : "dead");
	if (!ctl_vm_alive(vm) ||
			ctl_qmp_open(&qmp, ctl_vm_path(vm, "monitor.sock", path), MONITOR_LIMIT_MS,
					&ignored) != CTL_DONE)
		return;
	if (ctl_qmp_call(qmp, "query-status", NULL, &answer, &ignored) == CTL_DONE) {
		snprintf(out, 32, "%s", ctl_member(answer, "status"));
		json_decref(answer);
	}
	ctl_qmp_close(qmp);
}

/* Add one VM to the list; one that goes away while we look is left out. */
static void
collect(json_t *list, const char *dir, const char *name, struct ctl_error *err)
{
	struct ctl_vm vm;
	char word[32];
	pid_t holder;

	if (ctl_vm_init(&vm, dir, name, err) != CTL_DONE || ctl_vm_load(&vm, err) != CTL_DONE)
		return;
	holder = ctl_vm_lock_holder(&vm);
	ctl_vm_status(&vm, word);
	json_array_append_new(list,
			json_pack("{s:s, s:s, s:O?, s:O?, s:i, s:o, s:O?, s:s}", "name", vm.name,
					"status", word, "state", json_object_get(vm.info, "state"),
					"pid", json_object_get(vm.info, "pid"), "busy", (int)holder,
					"ports", ctl_vm_port_names(&vm), "switch",
					json_object_get(vm.info, "switch"), "folder", vm.folder));
	ctl_vm_fini(&vm);
}

/* The folder of the default need not be there yet; one that was named must. */
static enum ctl_status
collect_all(json_t *list, const char *given, struct ctl_error *err)
{
	const char *dir = ctl_vm_dir(given);
	struct dirent **entries;
	int nb, i;

	nb = scandir(dir, &entries, NULL, alphasort);
	if (nb < 0)
		return errno == ENOENT && given == NULL
				? CTL_DONE
				: ctl_fail(err, errno, "%s: %s", dir, ctl_strerror(errno));
	for (i = 0; i < nb; i++) {
		if (entries[i]->d_name[0] != '.')
			collect(list, dir, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return CTL_DONE;
}

static enum ctl_status
print_vms(struct ctl *ctl, const json_t *list, struct ctl_error *err)
{
	static const char *const titles[] = {"NAME", "STATUS", ">PID", ">BUSY", "PORTS", NULL};
	struct ctl_table *table = ctl_table_create(titles);
	char ports[256], pid[CTL_CELL_SIZE], busy[CTL_CELL_SIZE];
	json_t *vm;
	size_t i;
	int ret;

	if (table == NULL)
		return ctl_no_memory(err);
	json_array_foreach (list, i, vm) {
		ctl_member_number(busy, vm, "busy");
		ctl_table_add(table,
				(const char *[]){ctl_member(vm, "name"), ctl_member(vm, "status"),
						ctl_member_number(pid, vm, "pid"),
						strcmp(busy, "0") == 0 ? "-" : busy,
						ctl_join(ports, sizeof(ports),
								json_object_get(vm, "ports"))});
	}
	ret = ctl_table_print(table, ctl->out);
	ctl_table_destroy(table);
	return ret == 0 ? CTL_DONE : ctl_no_memory(err);
}

enum ctl_status
ctl_vm_show(struct ctl *ctl, const struct ctl_args *args, struct ctl_error *err)
{
	const char *dir = text_key(args, "dir");
	enum ctl_status status = CTL_DONE;
	json_t *list = json_array();

	if (list == NULL)
		return ctl_no_memory(err);
	if (args->nb_words > 0) {
		collect(list, ctl_vm_dir(dir), args->words[0], err);
		status = json_array_size(list) > 0 ? CTL_DONE : CTL_FAILED;
	} else {
		status = collect_all(list, dir, err);
	}
	if (status == CTL_DONE && ctl->json)
		ctl_print_json(ctl->out, list);
	else if (status == CTL_DONE && args->nb_words > 0)
		ctl_print_record(ctl->out, json_array_get(list, 0), 0);
	else if (status == CTL_DONE)
		status = print_vms(ctl, list, err);
	json_decref(list);
	return status;
}
