/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What a guest has set up in its AVP cards' PCI configuration, read from a stopped QEMU and put
 * back into another: QEMU migrates nothing of a vfio-user device, so at the destination BARs have
 * no address, and memory decoding and MSI-X are off. Our driver restores that itself; for any other
 * it has to be done from outside, before the guest runs.
 */

#ifndef CTL_QTEST_PCI_H
#define CTL_QTEST_PCI_H

#include <jansson.h>

#include "error.h"

/**
 * Read the state of all AVP cards of a VM. It must be stopped: the guest uses the same registers.
 *
 * @path   of QEMU's qtest socket
 * @cards  out: array of objects, for ctl_qtest_pci_restore()
 */
enum ctl_status ctl_qtest_pci_save(
		const char *path, unsigned int timeout_ms, json_t **cards, struct ctl_error *err);

/** Put it back, into a VM that does not run yet. Cards that the guest had not set up are left. */
enum ctl_status ctl_qtest_pci_restore(const char *path, unsigned int timeout_ms,
		const json_t *cards, struct ctl_error *err);

#endif /* CTL_QTEST_PCI_H */
