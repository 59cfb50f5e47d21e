/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * In place of port_avp.c while there is no net_avp_host to link with: AVP ports are refused.
 */

#include <errno.h>

#include "port.h"

int
port_avp_device(const struct sw *sw, struct port *port, const struct port_params *params,
		struct avp_err *err)
{
	(void)sw;
	(void)port;
	return avp_err_set(
			err, ENOTSUP, "%s: type=avp: this build has no net_avp_host", params->name);
}

struct rte_mempool *
port_avp_mempool(const struct port *port)
{
	(void)port;
	return NULL;
}

uint32_t
port_avp_max_pkt_size(const struct port *port)
{
	(void)port;
	return 0;
}

json_t *
port_avp_show(const struct port *port)
{
	(void)port;
	return NULL;
}
