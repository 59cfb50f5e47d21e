/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A VM as avpctl sees it: a folder below /run/avp/vm with what is known about it (vm.json), the
 * sockets of its QEMU, and a lock. There is no daemon: whoever holds the lock is at work on the VM.
 *
 *     vm.json        the description below
 *     qmp.sock       QEMU's monitor, for avpctl
 *     monitor.sock   another one, for whoever else; `vm show` uses it
 *     qtest.sock     for the PCI configuration of cards (qtest_pci.h)
 *     qemu.log       what QEMU has said
 *     lock           locked with fcntl() by the avpctl that works on the VM
 *
 * The description: {"name", "qemu": program, "args": [words], "bus", "switch": control socket,
 * "pid", "state", "ports": [{"name", "addr", "params": of port.add, "socket", "mac"}]}. "state" is
 * starting, running, incoming (not yet to run here), or leaving (it may run elsewhere already).
 */

#ifndef CTL_VM_H
#define CTL_VM_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "client.h"
#include "error.h"
#include "qmp.h"

#define CTL_VM_DEFAULT_DIR "/run/avp/vm"
#define CTL_VM_DIR_ENV "AVP_VM_DIR"
#define CTL_VM_CONFIG_DIR "/etc/avp/vm"
#define CTL_VM_PATH_SIZE 108  /* that of a UNIX socket */
#define CTL_VM_FOLDER_SIZE 94 /* leaves room for "/monitor.sock" */

struct ctl_vm {
	char name[32];
	char folder[CTL_VM_FOLDER_SIZE];
	int lock_fd;  /* -1: not locked */
	json_t *info; /* the description; NULL before it is known */
};

/** Where VMs are: @given, else the environment, else the default. */
const char *ctl_vm_dir(const char *given);

/** Find out whether it is a name, and make the paths of it. */
enum ctl_status ctl_vm_init(
		struct ctl_vm *vm, const char *dir, const char *name, struct ctl_error *err);
void ctl_vm_fini(struct ctl_vm *vm);

/** Path of a file in the VM's folder. Returns @out. */
const char *ctl_vm_path(const struct ctl_vm *vm, const char *file, char out[CTL_VM_PATH_SIZE]);

/** Make the folder of a VM that is not there yet, and lock it. */
enum ctl_status ctl_vm_create(struct ctl_vm *vm, struct ctl_error *err);

/** Read the description; ENOENT if there is no such VM. */
enum ctl_status ctl_vm_load(struct ctl_vm *vm, struct ctl_error *err);

/** Lock a VM that is there; EBUSY names who has it. */
enum ctl_status ctl_vm_lock(struct ctl_vm *vm, struct ctl_error *err);

/** The process that has the lock; 0 if none. */
pid_t ctl_vm_lock_holder(const struct ctl_vm *vm);

/** Write the description, after changes. */
enum ctl_status ctl_vm_save(const struct ctl_vm *vm, struct ctl_error *err);
enum ctl_status ctl_vm_set_state(struct ctl_vm *vm, const char *state, struct ctl_error *err);

/** Remove the folder. */
void ctl_vm_remove(struct ctl_vm *vm);

/**
 * Start QEMU and connect to its monitor.
 *
 * @incoming  with its processors stopped, for what comes from another node
 */
enum ctl_status ctl_vm_launch(struct ctl_vm *vm, bool incoming, unsigned int timeout_ms,
		struct ctl_qmp **qmp, struct ctl_error *err);

/** End QEMU: by its monitor, or if that does not help, by a signal. */
enum ctl_status ctl_vm_end(struct ctl_vm *vm, struct ctl_qmp *qmp, struct ctl_error *err);

/** Is its QEMU there? */
bool ctl_vm_alive(const struct ctl_vm *vm);

/** Names of the VM's ports: a new array. */
json_t *ctl_vm_port_names(const struct ctl_vm *vm);

/** Delete the VM's ports at the switch. All are tried; the first failure is returned. */
enum ctl_status ctl_vm_del_ports(
		const struct ctl_vm *vm, struct ctl_client *client, struct ctl_error *err);

#endif /* CTL_VM_H */
