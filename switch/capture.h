/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Capture of one port's packets, in both directions, to a pcapng file.
 *
 * How it works: a worker that finds a capture at a port copies the packets to mbufs of the
 * capture's own pool and puts them on a ring; a thread of the capture's own takes them from there
 * and writes the file, so that a slow disk holds up neither workers nor control socket. What does
 * not fit is counted as lost. At its limit, or after an error, a capture stays with its numbers and
 * records nothing more.
 */

#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "avp_err.h"

#define CAPTURE_SNAPLEN_MIN 64u
#define CAPTURE_SNAPLEN_MAX 65535u
#define CAPTURE_FILE_SIZE 512u /* bytes of a path */

struct capture;
struct rte_mbuf;

struct capture_conf {
	const char *port_name;
	uint16_t port_id;
	const char *file; /* must not exist */
	uint64_t limit;   /* packets, 0 = none */
	uint32_t snaplen; /* bytes kept of a packet */
};

struct capture_status {
	uint64_t packets; /* written */
	uint64_t lost;    /* did not fit */
	int error;        /* of the writer, errno or 0 */
	bool running;     /* neither at its limit nor stopped by an error */
};

/** Open the file and start the thread. Returns 0 or -errno with @err filled in. */
int capture_create(struct capture **capture, const struct capture_conf *conf, struct avp_err *err);

/** No worker may see it any more. Writes what is left, closes the file, frees. */
void capture_destroy(struct capture *capture, struct capture_status *status);

void capture_status(const struct capture *capture, struct capture_status *status);
const char *capture_file(const struct capture *capture);

/** Copy packets of a burst. Context: worker. Never waits. */
void capture_packets(struct capture *capture, uint16_t port_id, struct rte_mbuf *const *mbufs,
		uint16_t nb, bool is_rx);

#endif /* CAPTURE_H */
