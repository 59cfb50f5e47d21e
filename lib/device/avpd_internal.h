/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The device's own structure, for the files that put the parts together: avpd_device.c (its life),
 * avpd_client.c (answers to the vfio-user client), avpd_guest.c (what is known of the guest),
 * avpd_info.c (BARs 4 and 5), avpd_chan.c (channel to the datapath). All of it belongs to the
 * loop's thread.
 */

#ifndef AVPD_INTERNAL_H
#define AVPD_INTERNAL_H

#include <stddef.h>

#include "avpd_ctrl.h"
#include "avpd_device.h"
#include "avpd_irq.h"
#include "avpd_migrate.h"
#include "avpd_pci.h"
#include "avpd_regs.h"
#include "vuser_server.h"

#define AVPD_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Messages per second that the guest or its client can cause, per device. */
#define AVPD_LOG_BURST 10u

/** Log something that the client or the guest did. */
#define AVPD_LOG_PEER(dev, level, ...)                             \
	do {                                                       \
		if (avp_log_allowed(&(dev)->log_limit))            \
			avp_log((dev)->log, (level), __VA_ARGS__); \
	} while (0)

/** Regions of a PCI device in vfio: 6 BARs, ROM, configuration space, VGA. */
#define AVPD_REGION_CONFIG 7u
#define AVPD_NB_REGIONS 9u

/**
 * The device's end of the channel. What could not be sent yet is not queued: the message is made
 * from the present state when there is room, with @reset if any change since the last one had it.
 */
struct avpd_chan {
	struct avp_watch watch; /* .fd -1: no view is open */
	bool watching_out;      /* waits for room */
	bool unsent;
	bool unsent_reset;
	uint32_t epoch;      /* of the last change of the guest's state */
	uint32_t done_epoch; /* of the last answer; in step with the datapath when equal */
	bool unsent_migrated;
	int32_t migrated_result;
	uint32_t migrated_status;
	uint32_t migrated_serial;
};

struct avpd_device {
	char *name;
	const struct avp_log *log;
	struct avp_log_limit log_limit;
	struct avp_loop *loop;
	uint8_t mac[AVP_ETHER_ADDR_SIZE];
	uint32_t features;
	uint32_t max_rx_size;

	struct avpd_mem *mem;
	struct avpd_layout layout;
	void *slot_map; /* the part of BAR 2 that the device itself uses */
	size_t slot_map_size;
	int memmap_fd; /* BAR 4, */
	void *memmap;  /* its first page, only written */
	int info_fd;   /* BAR 5, */
	void *info;    /* all of it, only written */

	struct avpd_pci pci;
	struct avpd_irq irq;
	struct avpd_regs regs;
	struct avpd_ctrl ctrl;
	struct avpd_migrate migrate;
	uint32_t migrate_serial; /* of the request that began what is pending */
	bool has_driver;         /* one has used registers or control slot since the last reset */
	bool is_expected; /* ... or may be on its way: the client came to a detached device */
	struct avpd_chan chan;

	struct avpd_guest guest;
	struct avpd_host host;
	uint32_t rx_pending; /* vectors to raise as soon as they have an eventfd, bit n: vector n */
	bool waiting_reset;  /* the request that waits for the datapath makes the FIFOs anew; */
	uint8_t link_before; /* if not: what to go back to when the datapath does not answer */
	uint32_t mtu_before;
	uint64_t device_id;
	struct avpd_counters counters;

	struct avp_tick poll_tick;      /* while a client is connected */
	struct avp_timer done_timer;    /* ... while a request waits for the datapath */
	struct avp_timer migrate_timer; /* ... while a detach or attach is under way */

	struct vuser_region regions[AVPD_NB_REGIONS];
	struct vuser_irq irqs[AVPD_NB_IRQS];
	struct vuser_server *server;
};

/* avpd_info.c */

/** Make the memories of BARs 4 and 5. Returns 0 or -errno with @err filled in. */
int avpd_info_init(struct avpd_device *dev, struct avp_err *err);
void avpd_info_fini(struct avpd_device *dev);

/** Give the device a new id. */
void avpd_info_new_id(struct avpd_device *dev);

/** Write BARs 4 and 5, over whatever a guest has left there. */
void avpd_info_write(struct avpd_device *dev);

/* avpd_chan.c */

void avpd_chan_init(struct avpd_device *dev);
void avpd_chan_fini(struct avpd_device *dev);

/** Make a new channel in place of the old one. Returns the datapath's end, or -errno. */
int avpd_chan_open(struct avpd_device *dev);

/** The guest's state has changed: a new epoch, sent as soon as there is room. */
void avpd_chan_guest(struct avpd_device *dev, bool reset);

/** The detach or attach that was asked for with @serial has ended. */
void avpd_chan_migrated(struct avpd_device *dev, uint32_t serial, int32_t result);

/** The datapath has carried out every change, or there is none. */
bool avpd_chan_in_step(const struct avpd_device *dev);

/* avpd_guest.c */

/** dev->guest has changed: tell the datapath, which has to make the FIFOs anew if @reset. */
void avpd_guest_changed(struct avpd_device *dev, bool reset);

/** Signal what is pending and enabled. The guest may get one interrupt more than there were events:
 * reading the status tells it. */
void avpd_guest_intr_update(struct avpd_device *dev);

/** Raise the vectors for received packets that have been waiting for an eventfd. */
void avpd_guest_rx_update(struct avpd_device *dev);

/** The acknowledge register has been written. */
void avpd_guest_acknowledged(struct avpd_device *dev);

/** Show the datapath's end in the registers. */
void avpd_guest_host_show(struct avpd_device *dev);

/** The datapath's end has changed. */
void avpd_guest_host(struct avpd_device *dev, const struct avpd_host *host);

/** Packets have come on rx FIFOs that the guest has armed. @vectors: bit n: vector n. */
void avpd_guest_rx(struct avpd_device *dev, uint32_t vectors);

/** The guest's driver is gone, with its client or by a reset. */
void avpd_guest_gone(struct avpd_device *dev);

/** The datapath has carried out the last change, or has closed its channel. */
void avpd_guest_in_step(struct avpd_device *dev);

/** The datapath asks for a detach or attach. */
void avpd_guest_detach(struct avpd_device *dev, const struct avpd_ask *ask);
void avpd_guest_attach(struct avpd_device *dev, const struct avpd_ask *ask);

/* Timers of the device. */
void avpd_guest_poll(struct avp_tick *tick);
void avpd_guest_done_expired(struct avp_timer *timer);
void avpd_guest_migrate_expired(struct avp_timer *timer);

/* avpd_client.c */

extern const struct vuser_server_ops avpd_client_ops;

#endif /* AVPD_INTERNAL_H */
