/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * For tests of the vfio-user server: a server in this process with a device that remembers what it
 * was asked, and a client that sends whatever bytes the test likes.
 *
 * The device has the shape of AVP's: region 0 trapped, 2 mapped, 3 absent, 4 mapped and read-only,
 * 7 config space; interrupt 2 with VUSER_FIXTURE_VECTORS vectors, others absent or with one.
 */

#ifndef TESTS_VUSER_FIXTURE_H
#define TESTS_VUSER_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "avp_loop.h"
#include "vuser_msg.h"
#include "vuser_proto.h"
#include "vuser_server.h"

#define VUSER_FIXTURE_REGIONS 9u
#define VUSER_FIXTURE_IRQS 5u
#define VUSER_FIXTURE_VECTORS 40u
#define VUSER_FIXTURE_MEM_SIZE (256u * 1024u)
#define VUSER_FIXTURE_CONFIG_SIZE 4096u

/* How long a reply may take, generous for sanitizers and busy machines. */
#define VUSER_FIXTURE_WAIT_MS 10000

struct vuser_fixture {
	struct avp_loop *loop;
	struct vuser_server *server;
	char dir[64];
	char path[96];
	uint32_t negotiate_ms; /* set before vuser_fixture_start(); 0: the default */
	bool keep_log;         /* messages to stderr */
	struct avp_log log;
	int open_before;

	/* the device; written on the loop's thread */
	struct vuser_region regions[VUSER_FIXTURE_REGIONS];
	struct vuser_irq irqs[VUSER_FIXTURE_IRQS];
	uint8_t mem[VUSER_FIXTURE_MEM_SIZE]; /* what all regions read and write */
	int eventfds[VUSER_FIXTURE_VECTORS];
	struct vuser_irq_set last_set;
	uint8_t last_data[VUSER_FIXTURE_VECTORS];
	bool disconnect_in_reset;

	atomic_int result; /* of every callback that can fail */
	atomic_uint connects;
	atomic_uint disconnects;
	atomic_uint resets;
	atomic_uint sets;
	atomic_uint reads;
	atomic_uint writes;
};

/** Server on a socket in a new folder, its loop in a thread. Ends the test when it cannot. */
void vuser_fixture_start(struct vuser_fixture *f);
/** The same, but the caller runs the loop. */
void vuser_fixture_start_no_thread(struct vuser_fixture *f);
/** Returns false when more or fewer descriptors are open than at the start; the test must have
 * closed its own. */
bool vuser_fixture_stop(struct vuser_fixture *f);

/** Wait until a counter of the fixture has reached @value, with a limit. */
bool vuser_fixture_wait(const atomic_uint *counter, unsigned int value);

/** Vectors that have an eventfd now. */
uint32_t vuser_fixture_count_vectors(struct vuser_fixture *f);

/** Open descriptors of this process. */
int vuser_fixture_count_fds(void);

/** Wait until so many are open, with a limit: the server closes some in a thread. */
bool vuser_fixture_wait_fds(int count);

/** A message as received. */
struct vuser_raw_msg {
	struct vuser_hdr hdr;
	uint8_t body[VUSER_MAX_MSG_SIZE];
	uint32_t body_size;
	int fds[VUSER_MAX_FDS]; /* the test closes them */
	uint32_t nb_fds;
};

/** A connected, blocking socket. */
int vuser_raw_connect(const struct vuser_fixture *f);

/** More than a server takes. */
#define VUSER_RAW_MAX_FDS 64u

/** Send bytes with descriptors. Returns false when the server has gone. */
bool vuser_raw_send(int sock, const void *data, size_t size, const int *fds, uint32_t nb_fds);

/** Send a command with a right header. */
bool vuser_raw_command(int sock, uint16_t id, uint16_t cmd, const void *body, uint32_t body_size,
		const int *fds, uint32_t nb_fds);

/** Receive a message. Returns 1; 0 when the server has closed; a negative value when it did neither
 * in time, or sent nonsense. */
int vuser_raw_receive(int sock, struct vuser_raw_msg *msg);

/** Exchange; returns the reply's error (0 = none) and its payload, or a negative value. */
int vuser_raw_call(int sock, uint16_t cmd, const void *body, uint32_t body_size, const int *fds,
		uint32_t nb_fds, struct vuser_raw_msg *reply);

/** Negotiate with capabilities as QEMU's. Returns the reply's error, or a negative value. */
int vuser_raw_negotiate(int sock);

/** True if the server has closed the connection, or does so in time. */
bool vuser_raw_closed(int sock);

#endif /* TESTS_VUSER_FIXTURE_H */
