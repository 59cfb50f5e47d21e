/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A simulated AVP device for tests of the guest driver: BARs in plain memory, registers, and a
 * thread that answers control requests as the test tells it to. Being a test's, it may lie.
 *
 * The data FIFOs have no thread: the test plays the host, with the ends below.
 */

#ifndef AVPG_FAKE_H
#define AVPG_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <avp/avp_abi.h>
#include <avp/avp_fifo.h>

#include "avpg_hw.h"

#define AVPG_FAKE_BUF_DATA_OFF 192u
/** Labels are nothing like addresses. */
#define AVPG_FAKE_MEM_VA UINT64_C(0x7fee00000000)
#define AVPG_FAKE_MEM_PA UINT64_C(0x1234500000000)
#define AVPG_FAKE_CTRL_LEN 16u
#define AVPG_FAKE_INFO_SIZE 4096u

struct avpg_fake_conf {
	uint32_t nb_queues;     /* of each kind */
	uint32_t min_rx_queues; /* that the device insists on */
	uint32_t ring_len;
	uint32_t nb_bufs;       /* of each tx queue; as many again are the test's, to send */
	uint32_t buf_data_size; /* bytes */
	uint32_t max_rx_size;   /* bytes */
	uint32_t features;      /* AVP_FEATURE_* offered */
};

/** Id of the device until it is restarted; each time it has the next one. */
#define AVPG_FAKE_FIRST_ID 0xfeedu

/** How control requests are answered. */
enum avpg_fake_mode {
	AVPG_FAKE_ANSWER,    /* at once, with .result */
	AVPG_FAKE_SILENT,    /* taken, and answered when the mode is AVPG_FAKE_ANSWER again, until
			      * when no other is taken */
	AVPG_FAKE_LOSE,      /* taken, and never answered */
	AVPG_FAKE_DEAF,      /* not even taken */
	AVPG_FAKE_NOISY,     /* an answer, with entries that are none before it */
	AVPG_FAKE_NO_RESULT, /* answered without writing a result */
	AVPG_FAKE_WRONG_ID,  /* answered, after the request's number was changed */
};

struct avpg_fake {
	struct avpg_hw hw;
	struct avpg_fake_conf conf;
	uint8_t *mem; /* BAR 2, guarded_mem_alloc() */
	uint64_t device_id;
	size_t mem_size;
	struct avp_memmap *memmap;
	struct avp_device_info *info; /* and what is behind it, AVPG_FAKE_INFO_SIZE bytes */
	struct avp_request *slot;
	uint64_t slot_va;
	uint64_t fifos_off; /* of BAR 2 */
	uint32_t fifo_stride;
	uint64_t bufs_off;
	uint32_t buf_stride;
	uint32_t nb_bufs; /* all of them */

	/* the host's ends; formatted when the guest configures the device */
	struct avp_fifo_end tx[AVP_MAX_QUEUES];
	struct avp_fifo_end rx[AVP_MAX_QUEUES];
	struct avp_fifo_end alloc[AVP_MAX_QUEUES];
	struct avp_fifo_end free[AVP_MAX_QUEUES];
	struct avp_fifo_end req;
	struct avp_fifo_end resp;

	/* control, by the thread */
	pthread_t thread;
	bool thread_running;
	atomic_uint running;
	atomic_bool quit;
	atomic_int mode;              /* enum avpg_fake_mode */
	atomic_int result;            /* to answer */
	atomic_uint refused_id;       /* requests of this kind are answered with -EPERM instead */
	atomic_uint refused_features; /* likewise configurations that accept any of these */
	atomic_uint answers;          /* given */
	atomic_uint taken;            /* requests */
	_Atomic uint32_t last_id;
	struct avp_request last;  /* valid when taken has moved */
	struct avp_config config; /* the last one */
	atomic_bool link_up;

	/* registers */
	atomic_uint intr_mask;
	atomic_uint intr_status;
	atomic_uint migration_status;
	atomic_uint link_status; /* enum avp_link */
	atomic_uint link_mtu;
	atomic_uint ack;        /* as written */
	atomic_uint acks;       /* times written */
	pthread_t ack_thread;   /* by whom */
	atomic_int lives;       /* register accesses that still work; then it is gone, -ENODEV */
	bool early_irq;         /* raise vector 0 as soon as it is enabled */
	void *intr_handle;      /* struct rte_intr_handle, by avpg_port_fixture */
	uint32_t nb_rx_vectors; /* that have an eventfd */
	void (*handler)(void *arg);
	void *handler_arg;
	bool destroyed; /* the driver has let go */
};

/** What most tests want: 2 queues, 64 entries, 2048 data bytes, everything offered. */
extern const struct avpg_fake_conf avpg_fake_default;

/** Make a device, its thread running. NULL when out of memory. */
struct avpg_fake *avpg_fake_create(const struct avpg_fake_conf *conf);
void avpg_fake_destroy(struct avpg_fake *fake);

/** End the thread: from here on the test owns the control FIFOs too. */
void avpg_fake_stop(struct avpg_fake *fake);
/** Start it again; 0 or -1. */
int avpg_fake_resume(struct avpg_fake *fake);

/** Make everything that is shared anew, as a host does that was started again. 0 or -1. */
int avpg_fake_restart(struct avpg_fake *fake);

/** Make the data FIFOs anew, and fill the alloc FIFOs. Done by itself at configure. */
void avpg_fake_format(struct avpg_fake *fake);

/** Raise vector 0 with that migration status; wait up to 2 s for the acknowledge. Returns it. */
uint32_t avpg_fake_migrate(struct avpg_fake *fake, enum avp_migration status);

/** Say that the host's link or MTU is another now, as a device with AVP_FEATURE_LINK_EVENTS. */
void avpg_fake_link_event(struct avpg_fake *fake, enum avp_link status, uint32_t mtu);

/** Buffer @idx: its label, its descriptor, its data. */
uint64_t avpg_fake_buf_va(const struct avpg_fake *fake, uint32_t idx);
struct avp_desc *avpg_fake_desc(const struct avpg_fake *fake, uint32_t idx);
uint8_t *avpg_fake_data(const struct avpg_fake *fake, uint32_t idx);
/** What a label names; the test must know that it is good. */
struct avp_desc *avpg_fake_desc_at(const struct avpg_fake *fake, uint64_t va);
uint8_t *avpg_fake_at(const struct avpg_fake *fake, uint64_t va);

/** The first of the buffers that are the test's, conf.nb_bufs of them for each queue. */
uint32_t avpg_fake_own_buf(const struct avpg_fake *fake);

/**
 * Describe a good packet of @len bytes, in buffers from @idx on, each with @seg_size of them.
 * Returns the label of the head.
 */
uint64_t avpg_fake_pkt(struct avpg_fake *fake, uint32_t idx, const void *data, uint32_t len,
		uint32_t seg_size);

/** Offer AVP_FEATURE_RX_INTR, if the device does not do so already. */
void avpg_fake_offer_rx_intr(struct avpg_fake *fake);
/** The armed word of an rx FIFO; there with AVP_FEATURE_RX_INTR. */
_Atomic uint32_t *avpg_fake_arm(const struct avpg_fake *fake, uint32_t i);

/** Put a label on a FIFO; false when it is full. */
bool avpg_fake_put(struct avp_fifo_end *end, uint64_t va);
/** Take one; false when it is empty. */
bool avpg_fake_get(struct avp_fifo_end *end, uint64_t *va);
/** Entries that could be taken; for a consumer's end: tx, free. */
uint32_t avpg_fake_count(struct avp_fifo_end *end);
/** Entries that have not been taken; for a producer's end: rx, alloc. */
uint32_t avpg_fake_queued(struct avp_fifo_end *end);

/** Wait up to 2 s until *@value is @want. */
bool avpg_fake_wait(atomic_uint *value, unsigned int want);

#endif /* AVPG_FAKE_H */
