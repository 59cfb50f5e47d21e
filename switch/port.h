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
	PORT_NB_PARAMS,
};

extern const struct param port_param_table[PORT_NB_PARAMS + 1];

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
	struct port_rules rules;
	struct dp_state *state;
	struct rte_device *rte_dev;
	struct avp_log_limit link_limit; /* of messages on the link, which a guest can change */
	void *capture_owner;             /* the client that started the capture */
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
