/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What a server answers to each command of a client that has negotiated: checks, then the device's
 * callbacks. No socket here.
 */

#ifndef VUSER_REQUEST_H
#define VUSER_REQUEST_H

#include <stdint.h>

#include "vuser_msg.h"
#include "vuser_server.h"

struct vuser_req {
	uint16_t cmd;
	const uint8_t *body; /* without the header; private memory, so it does not change */
	uint32_t body_size;
	int *fds; /* a handler that takes one leaves -1 */
	uint32_t nb_fds;
	bool fds_lost;
	bool peer_takes_fds;

	uint8_t *reply;      /* room for VUSER_MAX_MSG_SIZE - sizeof(struct vuser_hdr) */
	uint32_t reply_size; /* out */
	int reply_fd;        /* out: -1, or one of the device's, not to be closed */
};

/** Check and carry out. Returns 0, or -errno for an error reply (without @reply). */
int vuser_request_handle(const struct vuser_server_conf *conf, struct vuser_req *req);

#endif /* VUSER_REQUEST_H */
