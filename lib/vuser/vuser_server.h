/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A vfio-user server: gives a device to one client at a time (QEMU, or a driver without a VM) over
 * a UNIX socket. Knows nothing of AVP.
 *
 * The owner describes the device (regions, interrupts), and is called for what it has to decide.
 * Everything that a client sends is checked here: a callback sees only regions, ranges and
 * interrupt numbers that exist. All of it runs on the loop's thread; callbacks must not block.
 */

#ifndef VUSER_SERVER_H
#define VUSER_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "avp_err.h"
#include "avp_log.h"
#include "avp_loop.h"
#include "avp_sock.h"
#include "vuser_proto.h"

/** A region; a PCI device's are: 0-5 BARs, 6 ROM, 7 config space, 8 VGA. size 0: absent. */
struct vuser_region {
	uint64_t size;   /* bytes */
	uint32_t flags;  /* VUSER_REGION_* */
	int fd;          /* what to map when VUSER_REGION_MMAP; the owner's, sent as a copy */
	uint64_t fd_off; /* where the region starts in it */
};

/** An interrupt index; a PCI device's are: 0 INTx, 1 MSI, 2 MSI-X, 3 error, 4 request. */
struct vuser_irq {
	uint32_t flags; /* VUSER_IRQ_* */
	uint32_t count; /* vectors */
};

enum vuser_irq_action {
	VUSER_IRQ_MASK,
	VUSER_IRQ_UNMASK,
	VUSER_IRQ_TRIGGER,
};

/** A checked set-irqs request: start + count is within the index. */
struct vuser_irq_set {
	uint32_t index;
	enum vuser_irq_action action;
	uint32_t start;
	uint32_t count;      /* 0 with TRIGGER and no data: disable the whole index */
	const int *fds;      /* NULL, or @count eventfds (-1 = none for that vector); the callback
			      * takes each that is not -1, even when it fails */
	const uint8_t *data; /* NULL, or @count booleans: do it for those that are 1 */
};

/**
 * The device's answers. 0 or -errno; -errno goes to the client as the reply's error.
 *
 * A callback may call vuser_server_disconnect(), but not vuser_server_destroy(). Eventfds are
 * checked to be such, and have O_NONBLOCK set.
 */
struct vuser_server_ops {
	void (*connected)(void *ctx);    /* a client has negotiated its version */
	void (*disconnected)(void *ctx); /* and is gone; always paired */
	int (*region_read)(void *ctx, uint32_t region, uint64_t off, void *data, uint32_t size);
	int (*region_write)(
			void *ctx, uint32_t region, uint64_t off, const void *data, uint32_t size);
	int (*set_irqs)(void *ctx, const struct vuser_irq_set *set);
	int (*reset)(void *ctx);
};

struct vuser_server_conf {
	const char *path; /* copied */
	struct avp_sock_perm perm;
	uint32_t negotiate_ms; /* how long a client may take to say its version; 0: 2000 */
	const struct vuser_region *regions; /* not copied; may change while no client is there */
	uint32_t nb_regions;
	const struct vuser_irq *irqs; /* not copied */
	uint32_t nb_irqs;
	const struct vuser_server_ops *ops;
	void *ctx;
	const struct avp_log *log; /* not copied; may be NULL */
};

struct vuser_server;

/**
 * Listen on a socket and serve the device. Context: the loop's thread (avp_loop_call()).
 *
 * @server  out: the server; valid until vuser_server_destroy()
 * Returns 0, or -errno with @err filled in: EADDRINUSE when another process serves that path.
 */
int vuser_server_create(struct vuser_server **server, struct avp_loop *loop,
		const struct vuser_server_conf *conf, struct avp_err *err);

/** Close the connection (with the disconnected callback) and the socket; remove its file. Context:
 * the loop's thread, but no callback of this server. NULL is allowed. */
void vuser_server_destroy(struct vuser_server *server);

/** Close the connection if there is one, as if the client had gone. From a callback of the server:
 * as soon as that has returned. */
void vuser_server_disconnect(struct vuser_server *server);

#endif /* VUSER_SERVER_H */
