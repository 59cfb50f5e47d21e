/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What to put on the command line of whoever shall be the guest of an AVP port: QEMU, or a DPDK
 * program without a VM. Results can be pasted into a shell; with --json they are an array of the
 * arguments as they are, without a shell's quotes. Hints go to ctl->notes.
 */

#ifndef CTL_PORT_ARGS_H
#define CTL_PORT_ARGS_H

#include "ctl.h"

/** For QEMU. @port: of port.show, an AVP port. */
enum ctl_status ctl_port_qemu(struct ctl *ctl, const json_t *port, struct ctl_error *err);

/** For a DPDK program, with the driver net_avp_user. */
enum ctl_status ctl_port_user(struct ctl *ctl, const json_t *port, struct ctl_error *err);

#endif /* CTL_PORT_ARGS_H */
