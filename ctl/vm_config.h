/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The files that an operator writes: a VM's, /etc/avp/vm/NAME.conf, and the list of nodes,
 * /etc/avp/hosts.conf. docs/migration.md describes both.
 */

#ifndef CTL_VM_CONFIG_H
#define CTL_VM_CONFIG_H

#include <jansson.h>

#include "error.h"

#define CTL_HOSTS_DEFAULT "/etc/avp/hosts.conf"

/**
 * Read a VM's file.
 *
 * @info  out: the beginning of a description (vm.h): "qemu", "args", "bus", "ports" with "name",
 * "addr", "params"
 */
enum ctl_status ctl_vm_config_load(const char *path, json_t **info, struct ctl_error *err);

/**
 * Read the section of one node.
 *
 * @host  out: {"name", "command", "avpctl", "switch", "dir", "migrate", "qemu" or null}
 */
enum ctl_status ctl_hosts_load(
		const char *path, const char *name, json_t **host, struct ctl_error *err);

#endif /* CTL_VM_CONFIG_H */
