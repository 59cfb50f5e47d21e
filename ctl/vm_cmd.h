/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What the files of `avpctl vm` share beyond vm.h.
 */

#ifndef CTL_VM_CMD_H
#define CTL_VM_CMD_H

#include "ctl.h"
#include "vm.h"

/** The VM that a command's first word names, in the folder of its key "dir". */
enum ctl_status ctl_vm_of_args(
		struct ctl_vm *vm, const struct ctl_args *args, struct ctl_error *err);

/** What QEMU says of itself: "running", "paused", "inmigrate"...; "dead", or "silent". */
void ctl_vm_status(const struct ctl_vm *vm, char out[32]);

#endif /* CTL_VM_CMD_H */
