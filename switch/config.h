/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The configuration file: [switch], [network NAME], [port NAME]. It is read through the same tables
 * as requests on the control socket.
 */

#ifndef CONFIG_H
#define CONFIG_H

#include <jansson.h>

#include "avp_err.h"
#include "sw.h"

/**
 * Read @file.
 *
 * @conf      in: defaults; out: what [switch] says
 * @networks  out: array of parameters of network.add, a new reference
 * @ports     out: array of parameters of port.add, a new reference
 * Returns 0 or -errno with @err filled in; then nothing is returned in @networks and @ports.
 */
int config_load(const char *file, struct sw_conf *conf, json_t **networks, json_t **ports,
		struct avp_err *err);

/**
 * Add these networks and ports.
 *
 * @file  where they are from, for messages
 * Returns 0 or -errno with @err filled in.
 */
int config_apply(struct sw *sw, const char *file, const json_t *networks, const json_t *ports,
		struct avp_err *err);

#endif /* CONFIG_H */
