/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Captures of ports: who started them, and when they stop.
 */

#include <errno.h>
#include <stdatomic.h>

#include "capture.h"
#include "lcore.h"
#include "port.h"
#include "sw_log.h"

SW_LOG_TOPIC(capture);

static struct capture *
current(const struct port *port)
{
	return atomic_load_explicit(&port->state->capture, memory_order_relaxed);
}

int
port_capture_start(struct sw *sw __rte_unused, struct port *port, struct capture_conf *conf,
		void *owner, struct avp_err *err)
{
	struct capture *capture = current(port);
	int rc;

	if (capture != NULL)
		return avp_err_set(err, EEXIST, "%s: is being captured to %s", port->name,
				capture_file(capture));
	conf->port_name = port->name;
	conf->port_id = port->id;
	rc = capture_create(&capture, conf, err);
	if (rc != 0)
		return rc;
	port->capture_owner = owner;
	/* Pairs with the acquire in forward.c. */
	atomic_store_explicit(&port->state->capture, capture, memory_order_release);
	SW_LOG(NOTICE, "%s: capture to %s started", port->name, conf->file);
	return 0;
}

int
port_capture_stop(struct sw *sw, struct port *port, struct capture_status *status)
{
	struct capture_status last;
	struct capture *capture = current(port);

	if (capture == NULL)
		return -ENOENT;
	atomic_store_explicit(&port->state->capture, NULL, memory_order_relaxed);
	lcore_synchronize(sw->lcores);
	capture_destroy(capture, &last);
	port->capture_owner = NULL;
	SW_LOG(NOTICE, "%s: capture stopped: %lu packets, %lu lost", port->name,
			(unsigned long)last.packets, (unsigned long)last.lost);
	if (status != NULL)
		*status = last;
	return 0;
}

void
port_capture_drop_owner(struct sw *sw, const void *owner)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++)
		if (sw->ports[id] != NULL && sw->ports[id]->capture_owner == owner)
			port_capture_stop(sw, sw->ports[id], NULL);
}
