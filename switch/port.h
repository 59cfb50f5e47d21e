/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Ports: adding, removing and changing them at run time, and what is known of them. Control thread
 * only; the workers see the views that are made here.
 */

#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "avp_err.h"
#include "avp_log.h"
#include "dp.h"
#include "params.h"
#include "sw.h"

enum port_type {
	PORT_TYPE_AVP,
	PORT_TYPE_VDEV,
	PORT_TYPE_PCI,
};

/** What a port may and may not; can be changed while it runs. */
struct port_rules {
	struct vlan_rules vlan;
	bool check_source_mac;
	uint32_t fdb_max;
};

/** Parameters of port.add and port.set, as given. */
struct port_params {
	struct params_given given;
	char name[PARAMS_NAME_SIZE];
	char type[PARAMS_NAME_SIZE];
	char mode[PARAMS_NAME_SIZE];
	char network[PARAMS_NAME_SIZE];
	char native[PARAMS_NAME_SIZE];
	char domain[PARAMS_NAME_SIZE];
	char device[PARAMS_TEXT_SIZE];
	char socket[PARAMS_TEXT_SIZE];
	const json_t *trunks;
	uint64_t fdb_max;
	uint64_t queues;
	uint64_t mtu;
	uint64_t ring;
	uint64_t buffers;
	uint64_t mru;
	uint32_t socket_mode;
	uint8_t mac[6];
	bool check_source_mac;
	bool vlan_offload;
	bool incoming;
};

/** Which parameters were given: index in port_param_table. */
enum port_param {
	PORT_PARAM_NAME,
	PORT_PARAM_MODE,
	PORT_PARAM_NETWORK,
	PORT_PARAM_NATIVE,
	PORT_PARAM_TRUNKS,
	PORT_PARAM_CHECK_SOURCE_MAC,
	PORT_PARAM_FDB_MAX,
	/* those before can be changed by port.set, the rest is for port.add */
	PORT_PARAM_TYPE,
	PORT_PARAM_DEVICE,
	PORT_PARAM_QUEUES,
	PORT_PARAM_MTU,
	PORT_PARAM_SOCKET,
	PORT_PARAM_SOCKET_MODE,
	PORT_PARAM_MAC,
	PORT_PARAM_RING,
	PORT_PARAM_BUFFERS,
	PORT_PARAM_MRU,
	PORT_PARAM_VLAN_OFFLOAD,
	PORT_PARAM_DOMAIN,
	PORT_PARAM_INCOMING,
	PORT_NB_PARAMS,
};

extern const struct param port_param_table[PORT_NB_PARAMS + 1];

/** Where a port is in the move of its VM; docs/switch.md has what may follow what. */
enum port_move_state {
	PORT_MOVE_NONE,     /* the guest has the device, or none is there */
	PORT_MOVE_INCOMING, /* the guest is still elsewhere */
	PORT_MOVE_DETACHING,
	PORT_MOVE_DETACHED,
	PORT_MOVE_DEPARTED, /* the guest is elsewhere now */
	PORT_MOVE_ATTACHING,
};

/** How a detach or attach ended. */
enum port_move_result {
	PORT_MOVE_OK,
	PORT_MOVE_TIMEOUT,
	PORT_MOVE_GUEST_ERROR,
	PORT_MOVE_ABSENT, /* nobody is connected to the port, or has no driver for it */
	PORT_MOVE_CANCELLED,
	PORT_MOVE_FAILED, /* the driver refused, see the log */
};

/** Tells the end of a detach or attach; once, and never from within the call that began it. */
typedef void port_move_done(
		void *arg, struct port *port, enum port_move_result result, uint32_t took_us);

struct hold;
struct hold_sum;

/** The move of a port's VM; port_move.c. */
struct port_move {
	enum port_move_state state;
	enum port_move_state returns_to; /* after a detach */
	bool has_error;                  /* the last detach or attach did not end well */
	bool is_asked;                   /* the guest has been asked */
	bool announces;                  /* when attached */
	uint32_t group;                  /* ports of the last request, a VM's, have the same */
	uint32_t timeout_ms;
	uint64_t ask_us;       /* when the guest is asked, if it has read everything, */
	uint64_t ask_limit_us; /* or, to be detached, at the latest */
	uint64_t opened_us;    /* when the guest was back, 0 = not yet */
	uint64_t settling_us;  /* then, or when it was last seen to leave much unread */
	uint64_t limit_us; /* when waiting for a link, or for the MAC elsewhere, ends; 0 = no wait
			    */
	uint64_t announce_us; /* when it was announced first, 0 = no announcements to come */
	unsigned int nb_announced;
	port_move_done *done; /* NULL = nothing under way */
	void *done_arg;
};

struct port {
	char name[PARAMS_NAME_SIZE];
	char domain[PARAMS_NAME_SIZE];     /* empty = isolated */
	char device[2 * PARAMS_TEXT_SIZE]; /* DPDK's device string */
	char driver[64];
	enum port_type type;
	uint16_t id;        /* DPDK's */
	uint16_t domain_id; /* 0 = isolated */
	uint16_t nb_rxq;
	uint16_t nb_txq;
	uint16_t mtu;
	uint32_t tx_max_len;
	uint64_t tx_offloads;
	uint8_t mac[6];
	bool is_started;
	bool has_lsc;
	bool link_up;    /* the driver's */
	bool has_static; /* its MAC has static entries */
	struct port_rules rules;
	struct dp_state *state;
	struct rte_device *rte_dev;
	struct avp_log_limit link_limit; /* of messages on the link, which a guest can change */
	void *capture_owner;             /* the client that started the capture */
	struct hold *hold;               /* NULL = packets are not held */
	struct port_move move;
};

/** A port that was deleted while packets are still held for its VM, which is elsewhere. */
struct departed {
	char name[PARAMS_NAME_SIZE];
	struct dp_port dp; /* with a number from RTE_MAX_ETHPORTS on */
	uint16_t port_id;  /* the port's */
	uint64_t limit_us;
};

/* port_params.c */

/** Read the parameters of port.add (@is_add) or port.set. Returns 0 or -errno with @err. */
int port_params_read(
		const json_t *in, bool is_add, struct port_params *params, struct avp_err *err);

/**
 * Work out the rules of a port.
 *
 * @old     the rules so far, NULL for a new port
 * @is_avp  the port's type
 * Returns 0 or -errno with @err filled in.
 */
int port_rules_make(const struct sw *sw, const struct port_params *params,
		const struct port_rules *old, bool is_avp, struct port_rules *rules,
		struct avp_err *err);

/* port.c */

/** Each returns 0 or -errno with @err filled in. */
int port_add(struct sw *sw, const struct port_params *params, struct port **port,
		struct avp_err *err);
int port_set(struct sw *sw, struct port *port, const struct port_params *params,
		struct avp_err *err);
void port_del(struct sw *sw, struct port *port);
void port_del_all(struct sw *sw);

/** Returns NULL with @err (ENOENT) filled in. */
struct port *port_find(const struct sw *sw, const char *name, struct avp_err *err);

/** Look at the link of all ports; forget what was learned from those that have lost it. */
void port_poll_links(struct sw *sw);

/** Let the workers see the ports as they are. Returns 0, or -ENOMEM with @err. */
int port_publish(struct sw *sw, struct avp_err *err);
/** No view may have it any more. NULL is allowed. */
void port_state_free(struct dp_state *state);
/** Add the static entries of an AVP port's MAC, or remove them. Nothing happens to those that are
 * as they should be. */
int port_add_static(struct sw *sw, struct port *port, struct avp_err *err);
void port_del_static(struct sw *sw, struct port *port);

/** Does any port belong to this VLAN? */
bool port_uses_vlan(const struct port *port, uint16_t vid);

/* port_capture.c */

struct capture_conf;
struct capture_status;
int port_capture_start(struct sw *sw, struct port *port, struct capture_conf *conf, void *owner,
		struct avp_err *err);
/** Returns 0, or -ENOENT when there is none. */
int port_capture_stop(struct sw *sw, struct port *port, struct capture_status *status);
/** Stop what @owner has started. */
void port_capture_drop_owner(struct sw *sw, const void *owner);

/* port_hold.c */

/** Begin to hold what comes for @ports. Returns 0, or -errno with @err and nothing changed. */
int port_hold_begin(
		struct sw *sw, struct port *const ports[], unsigned int nb, struct avp_err *err);
/** The hold of a port that the workers do not see yet. Returns 0, or -errno with @err. */
int port_hold_prepare(struct sw *sw, struct port *port, struct avp_err *err);
/** End it: the port works as usual. What is left is lost. */
void port_hold_end(struct sw *sw, struct port *port);
/** Forget what is held from before. */
void port_hold_forget(struct port *port);
/** Keep all; the MACs may not move. */
void port_hold_keep(struct sw *sw, struct port *port);
/** The MACs may move, and what is held follows them. */
void port_hold_depart(struct sw *sw, struct port *port);
/** The guest is back. */
void port_hold_open(struct port *port);
/** No longer wait for a guest: drop what is held, once none of it is waiting for the marker. */
void port_hold_expire(struct hold *hold);
/** Has everything been given to the guest? @opened_us: when it came back. */
bool port_hold_is_over(struct sw *sw, struct port *port, uint64_t opened_us);
/** Has everything followed the VM, or been given up at @limit_us? */
bool port_hold_has_left(struct sw *sw, uint16_t id, struct hold *hold, uint64_t limit_us);

/** What remains of a port that is about to be deleted. Returns NULL when nothing has to. */
struct departed *departed_create(struct sw *sw, struct port *port);
/** Look at all; end those that are over. Returns how many there still are. */
unsigned int departed_poll(struct sw *sw);
void departed_end_all(struct sw *sw);

/* port_move.c */

/**
 * Have the guests of @ports let go of their devices, all at once. What comes for them is held from
 * now on.
 *
 * @done  called for each port, with its element of @args
 * Returns 0, or -errno with @err filled in and nothing changed.
 */
int port_move_detach(struct sw *sw, struct port *const ports[], unsigned int nb,
		uint32_t timeout_ms, port_move_done *done, void *const args[], struct avp_err *err);
/** Have them take the devices up again, or for the first time here. */
int port_move_attach(struct sw *sw, struct port *const ports[], unsigned int nb,
		uint32_t timeout_ms, bool announce, port_move_done *done, void *const args[],
		struct avp_err *err);
/** Their VM is elsewhere now: what is held follows it. */
int port_move_depart(
		struct sw *sw, struct port *const ports[], unsigned int nb, struct avp_err *err);
/** The port is added for a guest that is still elsewhere. Before workers see it. */
int port_move_incoming(struct sw *sw, struct port *port, struct avp_err *err);
/** May the port be deleted? Returns 0, or -EBUSY with @err. */
int port_move_check_del(const struct port *port, struct avp_err *err);
/** Nobody waits any more for what @arg was given for. */
void port_move_drop_arg(struct sw *sw, const void *arg);
/** The port is deleted. */
void port_move_fini(struct port *port);
/** Its name, as in port.show. */
const char *port_move_name(const struct port *port);
/** Called by sw.c. */
void port_move_expired(struct avp_timer *timer);
/** Look at ports on the move, now. */
void port_move_wake(struct sw *sw);

/* port_ethdev.c */

/** Probe the device, configure and start it. Returns 0 or -errno with @err. */
int port_ethdev_open(struct sw *sw, struct port *port, const struct port_params *params,
		struct avp_err *err);
void port_ethdev_close(struct port *port);
bool port_ethdev_has_link(const struct port *port);

/* port_avp.c */

/** Make the device string of an AVP port. */
int port_avp_device(const struct sw *sw, struct port *port, const struct port_params *params,
		struct avp_err *err);
/** The mempool for its rx queues; NULL = the switch's. */
struct rte_mempool *port_avp_mempool(const struct port *port);
/** The longest packet for the guest, bytes; 0 = not known. */
uint32_t port_avp_max_pkt_size(const struct port *port);
/** What port.show has under "avp". A new reference, or NULL. */
json_t *port_avp_show(const struct port *port);

#endif /* PORT_H */
