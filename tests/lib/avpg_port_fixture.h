/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A port of the guest driver on a simulated device, for unit and port tests: EAL without huge pages
 * or PCI, an ethdev, a mempool. Failures end the test (cmocka assertions).
 */

#ifndef AVPG_PORT_FIXTURE_H
#define AVPG_PORT_FIXTURE_H

#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "avpg_fake.h"
#include "avpg_port.h"

#define FIXTURE_NB_MBUFS 1023u

struct avpg_fixture {
	struct avpg_fake *fake;
	struct rte_mempool *pool;
	uint16_t port_id;
	struct avpg_port *port;
	struct rte_eth_conf conf; /* for fixture_start() */
	struct rte_intr_handle *intr_handle;
};

/** Once per program; 0 or -1. */
int fixture_eal_init(void);

/** A device and a port on it, not configured. @mbuf_room: data bytes of an mbuf. */
void fixture_create(struct avpg_fixture *f, const struct avpg_fake_conf *conf, uint32_t mbuf_room);
/** Another device and pool in place of what there is. */
void fixture_recreate(
		struct avpg_fixture *f, const struct avpg_fake_conf *conf, uint32_t mbuf_room);
/** Stop and close the port; the device stays. */
void fixture_close(struct avpg_fixture *f);
/** Make the port again, after it was closed. */
void fixture_probe(struct avpg_fixture *f);
/** Make another port, of a device, and expect that to fail cleanly. Returns the -errno. */
int fixture_probe_fails(struct avpg_fake *fake);
/** Configure with so many queues, as f->conf says, set them up, start. */
void fixture_start(struct avpg_fixture *f, uint16_t nb_rx, uint16_t nb_tx);
/** All mbufs must be back in the pool, and no header of one overwritten by data of another. */
void fixture_check_pool(const struct avpg_fixture *f);
/** Stop and close what there is, and check the pool. */
void fixture_destroy(struct avpg_fixture *f);

/** For cmocka: once per program; the default device and mbufs of 2048 bytes, in *state. */
int fixture_group_setup(void **state);
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** The value of an xstat. */
uint64_t fixture_xstat(const struct avpg_fixture *f, const char *name);

/** An mbuf chain of @len bytes in segments of @seg_size, or of what an mbuf has room for, with
 * fixture_byte(seed, i) in them. */
struct rte_mbuf *fixture_mbuf(
		struct avpg_fixture *f, uint32_t len, uint32_t seg_size, uint32_t seed);
/** Byte @i of a packet: an address of ours first, a pattern after it. */
uint8_t fixture_byte(uint32_t seed, uint32_t i);
void fixture_bytes(uint8_t *data, uint32_t len, uint32_t seed);
/** Are the mbuf's bytes those? Checks lengths and number of segments too. */
void fixture_check_mbuf(const struct rte_mbuf *m, const uint8_t *data, uint32_t len);

bool fixture_link_is_up(const struct avpg_fixture *f);
/** Wait until the link is like that, with a limit. */
void fixture_wait_link(const struct avpg_fixture *f, bool up);
/** Wait until the port's thread has looked after everything: it has no lock, and waits again. */
void fixture_wait_served(struct avpg_fixture *f);

/** A packet of @len bytes each way over queue 0, whose buffers must be as many as needed. */
void fixture_traffic(struct avpg_fixture *f, uint32_t len);

/**
 * As the host, put a good packet of @len bytes, fixture_byte(n, i) in them, on rx FIFO @q, in the
 * test's buffer @n and those after it. Returns the head's descriptor, for what is to be wrong.
 */
struct avp_desc *fixture_host_send(
		struct avpg_fixture *f, uint32_t q, uint32_t n, uint32_t len, uint32_t seg_size);
/**
 * As the host, take a packet off tx FIFO @q, check every field of its descriptors, and give its
 * buffers again. Returns its length.
 *
 * @head  out: the first descriptor
 * @data  out: the bytes, as many as five buffers have
 */
uint32_t fixture_host_take(
		struct avpg_fixture *f, uint32_t q, struct avp_desc *head, uint8_t *data);

/** Put another device of @conf in the place of the one that is detached. */
void fixture_replace_device(struct avpg_fixture *f, const struct avpg_fake_conf *conf);

#endif /* AVPG_PORT_FIXTURE_H */
