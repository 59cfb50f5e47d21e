/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The devargs of a net_avp_host port; docs/driver-host.md lists them for users.
 */

#ifndef AVPH_ARGS_H
#define AVPH_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include <avp/avp_abi.h>

#include "avp_err.h"
#include "avp_sock.h"

#define AVPH_SOCKET_SIZE 108 /* bytes, as in struct sockaddr_un */
#define AVPH_DOMAIN_SIZE 32  /* bytes, the terminating zero included */
#define AVPH_RUN_DIR "/run/avp"

#define AVPH_DEFAULT_RING 256u
/* Bytes: 1500 of MTU, Ethernet header, two VLAN tags. It fits one buffer, so that the stock driver
 * keeps to its simple path. */
#define AVPH_DEFAULT_MRU 1522u
#define AVPH_MIN_MRU 90u            /* bytes: the smallest MTU of IPv4, and the same headers */
#define AVPH_BUFS_PER_QUEUE_MIN 128 /* half may be with the guest for sending, half received */
#define AVPH_DEFAULT_DOMAIN_SIZE 256u
#define AVPH_MIN_DOMAIN_SIZE 16u /* MiB */
#define AVPH_MAX_DOMAIN_SIZE 4096u

struct avph_args {
	char socket[AVPH_SOCKET_SIZE];
	char domain[AVPH_DOMAIN_SIZE]; /* empty: isolated */
	uint32_t domain_size;          /* MiB */
	uint32_t queues;
	uint32_t ring;    /* entries of a FIFO */
	uint32_t buffers; /* of this port */
	uint32_t mru;     /* bytes */
	bool vlan_offload;
	bool recycle;
	bool compact;
	bool link_events;
	bool rx_interrupts;
	bool incoming;       /* begin detached */
	bool default_socket; /* no socket= was given */
	struct rte_ether_addr mac;
	struct avp_sock_perm perm;
};

/**
 * Parse devargs, and fill in defaults.
 *
 * @name    of the port, for messages and the default socket
 * @params  "key=value,...", may be NULL or empty
 * Returns 0, or -errno with @err filled in.
 */
int avph_args_parse(
		struct avph_args *args, const char *name, const char *params, struct avp_err *err);

#endif /* AVPH_ARGS_H */
