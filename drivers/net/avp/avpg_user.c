/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * net_avp_user: the guest driver for a process on the host, without a VM. It connects to an AVP
 * port's vfio-user socket as QEMU would, maps the BARs, and hands them to the core.
 *
 * How it works
 * Registers are read and written by messages, one at a time (client_lock). Vector 0 is an eventfd,
 * and DPDK's interrupt thread watches it and the socket. When the server has closed the socket, or
 * sends what nobody has asked for, the device is gone for good: the BARs stay mapped until the port
 * is closed, since bursts may be under way.
 *
 * Not so while the port is detached, when no burst is under way: the server may be started again,
 * or the port be moved to another one (avpg_api.h). Then the port's thread connects anew, to the
 * same path, until somebody is there; a move connects first, and then lets go of the old
 * connection. What a connection has brought, BARs above all, is a struct avpg_place. The last one's
 * is kept until the next, for those who look at FIFOs without being in a gate.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <ethdev_vdev.h>
#include <rte_interrupts.h>
#include <rte_kvargs.h>

#include "avp_sock.h"
#include "avpg_place.h"
#include "avpg_port.h"
#include "avpg_user.h"
#include "vuser_client.h"

#define IRQ_MSIX 2 /* vfio-user's index */
#define UNREGISTER_PAUSE_NS 100000

#define ARG_SOCKET "socket"
#define ARG_QUEUES "queues"
#define ARG_RECYCLE "recycle"
#define ARG_RECYCLE_HOLD "recycle_hold"
#define ARG_COMPACT "compact"

int avpg_user_logtype;

RTE_INIT(avpg_user_log_init)
{
	avpg_user_logtype =
			rte_log_register_type_and_pick_level("pmd.net.avp_user", RTE_LOG_NOTICE);
	if (avpg_user_logtype < 0)
		avpg_user_logtype = RTE_LOGTYPE_EAL;
}

/* A file descriptor that DPDK's interrupt thread watches. */
struct user_watch {
	struct rte_intr_handle *handle;
	rte_intr_callback_fn callback;
	bool registered;
};

#define SOCKET_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

struct avpg_user {
	struct avpg_hw hw;     /* with the BARs of the last connection */
	struct avpg_place old; /* the BARs of the one before it */
	struct vuser_client *client;
	pthread_mutex_t client_lock;      /* client: one call at a time */
	pthread_mutex_t connect_lock;     /* one connects at a time; for socket, too */
	_Atomic(struct avpg_port *) port; /* NULL until there is one, and when it closes */
	char socket[SOCKET_SIZE];         /* to connect to */
	atomic_bool lost;                 /* the connection, while the port is detached */
	atomic_bool moved; /* the port's thread has not seen the new connection yet */
	int irq_fd;
	struct rte_intr_handle *rx_handle; /* eventfds of the rx queues */
	struct user_watch irq_watch;
	struct user_watch sock_watch;
	void (*irq_handler)(void *arg);
	void *irq_arg;
};

/* What the user wrote. */
struct user_args {
	const char *name; /* of the device */
	char socket[SOCKET_SIZE];
	uint32_t queues; /* 0 = not given */
	uint32_t recycle;
	uint32_t compact;
	uint32_t recycle_hold; /* 0 = not given */
};

static struct avpg_user *
user_of(struct avpg_hw *hw)
{
	return container_of(hw, struct avpg_user, hw);
}

/* Where it is now. */
static struct avpg_place
place_now(const struct avpg_user *user)
{
	return (struct avpg_place){
			.client = user->client,
			.map = user->hw.map,
			.mem = user->hw.mem,
			.mem_size = user->hw.mem_size,
			.memmap = (void *)(uintptr_t)user->hw.memmap,
			.memmap_size = user->hw.memmap_size,
			.device = (void *)(uintptr_t)user->hw.device,
			.device_size = user->hw.device_size,
	};
}

/* Be where @place is. */
static void
place_set(struct avpg_user *user, const struct avpg_place *place)
{
	user->client = place->client;
	user->hw.map = place->map;
	user->hw.mem = place->mem;
	user->hw.mem_size = place->mem_size;
	user->hw.memmap = place->memmap;
	user->hw.memmap_size = place->memmap_size;
	user->hw.device = place->device;
	user->hw.device_size = place->device_size;
}

/*
 * Watches
 */

static int
watch_start(struct user_watch *watch, int fd, rte_intr_callback_fn callback, void *arg)
{
	int ret;

	watch->handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (watch->handle == NULL)
		return -ENOMEM;
	watch->callback = callback;
	if (rte_intr_fd_set(watch->handle, fd) != 0 ||
			rte_intr_type_set(watch->handle, RTE_INTR_HANDLE_EXT) != 0) {
		ret = -EINVAL;
		goto err_free;
	}
	ret = rte_intr_callback_register(watch->handle, callback, arg);
	if (ret < 0)
		goto err_free;
	watch->registered = true;
	return 0;

err_free:
	rte_intr_instance_free(watch->handle);
	watch->handle = NULL;
	return ret;
}

/* No callback is under way, and none will come, when this returns. */
static void
watch_stop(struct user_watch *watch, void *arg)
{
	if (!watch->registered)
		return;
	while (rte_intr_callback_unregister(watch->handle, watch->callback, arg) == -EAGAIN)
		nanosleep(&(struct timespec){.tv_nsec = UNREGISTER_PAUSE_NS}, NULL);
	rte_intr_instance_free(watch->handle);
	watch->handle = NULL;
	watch->registered = false;
}

/* Is nobody using the BARs, so that others may take their place? */
static bool
is_detached(const struct avpg_port *port)
{
	const enum avpg_state state = avpg_port_state(port);

	return state == AVPG_DETACHED || state == AVPG_FAILED;
}

/* The connection is lost. A port that is detached connects anew. */
static void
user_gone(struct avpg_user *user)
{
	struct avpg_port *port = atomic_load(&user->port);

	if (port == NULL)
		return;
	if (!is_detached(port))
		avpg_port_gone(port);
	else if (!atomic_exchange(&user->lost, true))
		sem_post(&port->wake);
}

/* Readable: the answer to a call that is under way, or the end. */
static void
on_socket(void *arg)
{
	struct avpg_user *user = arg;
	uint8_t byte;
	ssize_t len;
	int error;

	if (pthread_mutex_trylock(&user->client_lock) != 0)
		return;
	len = recv(vuser_client_fd(user->client), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	error = errno;
	pthread_mutex_unlock(&user->client_lock);
	if (len < 0 && (error == EAGAIN || error == EINTR))
		return;
	/* it stays readable from now on: look no more */
	rte_intr_callback_unregister_pending(
			user->sock_watch.handle, user->sock_watch.callback, user, NULL);
	user_gone(user);
}

static void
on_irq(void *arg)
{
	struct avpg_user *user = arg;
	uint64_t count;

	if (read(user->irq_fd, &count, sizeof(count)) == sizeof(count))
		user->irq_handler(user->irq_arg);
}

/*
 * struct avpg_hw_ops
 */

/* After a call that failed: was it the device that refused, or is the connection lost? */
static void
check_alive(struct avpg_user *user)
{
	uint32_t nb_regions, nb_irqs;

	if (vuser_client_device(user->client, &nb_regions, &nb_irqs) != 0)
		user_gone(user);
}

static int
user_read32(struct avpg_hw *hw, uint32_t reg, uint32_t *value)
{
	struct avpg_user *user = user_of(hw);
	int ret;

	pthread_mutex_lock(&user->client_lock);
	ret = vuser_client_read(user->client, AVP_BAR_MMIO, reg, value, sizeof(*value));
	if (ret != 0)
		check_alive(user);
	pthread_mutex_unlock(&user->client_lock);
	return ret;
}

static int
user_write32(struct avpg_hw *hw, uint32_t reg, uint32_t value)
{
	struct avpg_user *user = user_of(hw);
	int ret;

	pthread_mutex_lock(&user->client_lock);
	ret = vuser_client_write(user->client, AVP_BAR_MMIO, reg, &value, sizeof(value));
	if (ret != 0)
		check_alive(user);
	pthread_mutex_unlock(&user->client_lock);
	return ret;
}

static int
user_set_vector(struct avpg_user *user, uint32_t count)
{
	int ret;

	pthread_mutex_lock(&user->client_lock);
	ret = vuser_client_set_irqs(
			user->client, IRQ_MSIX, AVP_VECTOR_MIGRATION, count, &user->irq_fd);
	pthread_mutex_unlock(&user->client_lock);
	return ret;
}

static int
user_intr_enable(struct avpg_hw *hw, void (*handler)(void *arg), void *arg)
{
	struct avpg_user *user = user_of(hw);
	int ret;

	user->irq_handler = handler;
	user->irq_arg = arg;
	user->irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (user->irq_fd < 0)
		return -errno;
	ret = watch_start(&user->irq_watch, user->irq_fd, on_irq, user);
	if (ret != 0)
		goto err_close;
	ret = user_set_vector(user, 1);
	if (ret != 0)
		goto err_stop;
	return 0;

err_stop:
	watch_stop(&user->irq_watch, user);
err_close:
	avp_sock_close(&user->irq_fd);
	return ret;
}

static void
user_intr_disable(struct avpg_hw *hw)
{
	struct avpg_user *user = user_of(hw);

	if (user->irq_fd < 0)
		return;
	user_set_vector(user, 0);
	watch_stop(&user->irq_watch, user);
	avp_sock_close(&user->irq_fd);
}

/* Have vectors from AVP_VECTOR_RX on signal @fds. */
static int
user_set_rx_vectors(struct avpg_user *user, uint32_t nb, const int *fds)
{
	int ret;

	pthread_mutex_lock(&user->client_lock);
	ret = vuser_client_set_irqs(user->client, IRQ_MSIX, AVP_VECTOR_RX, nb, fds);
	pthread_mutex_unlock(&user->client_lock);
	return ret;
}

static void
user_rx_intr_off(struct avpg_hw *hw)
{
	struct avpg_user *user = user_of(hw);
	const int none[AVP_MAX_QUEUES] = {-1, -1, -1, -1, -1, -1, -1, -1};
	int nb = rte_intr_nb_efd_get(user->rx_handle);

	if (nb > 0)
		user_set_rx_vectors(user, (uint32_t)nb, none);
	for (int i = 0; i < nb; i++) {
		int fd = rte_intr_efds_index_get(user->rx_handle, i);

		avp_sock_close(&fd);
	}
	rte_intr_nb_efd_set(user->rx_handle, 0);
}

static int
user_rx_intr_on(struct avpg_hw *hw, uint32_t nb)
{
	struct avpg_user *user = user_of(hw);
	int fds[AVP_MAX_QUEUES];
	int ret = 0;

	for (uint32_t i = 0; i < nb; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fds[i] < 0) {
			ret = -errno;
			goto err_off;
		}
		rte_intr_efds_index_set(user->rx_handle, (int)i, fds[i]);
		rte_intr_nb_efd_set(user->rx_handle, (int)i + 1);
	}
	rte_intr_max_intr_set(user->rx_handle, (int)nb + AVP_VECTOR_RX);
	ret = user_set_rx_vectors(user, nb, fds);
	if (ret == 0)
		return 0;

err_off:
	user_rx_intr_off(hw);
	return ret;
}

/*
 * Going to another place
 */

static void
watch_socket(struct avpg_user *user, const char *name)
{
	int ret = watch_start(&user->sock_watch, vuser_client_fd(user->client), on_socket, user);

	if (ret != 0)
		USER_LOG(WARNING,
				"%s: the socket is not watched: %s: that the host has gone will "
				"not be noticed",
				name, strerror(-ret));
}

/* Have the new device signal the eventfds that there are. */
static int
vectors_set(struct avpg_user *user)
{
	const int nb = rte_intr_nb_efd_get(user->rx_handle);
	int fds[AVP_MAX_QUEUES];
	int ret = user->irq_fd >= 0 ? user_set_vector(user, 1) : 0;

	for (int i = 0; i < nb; i++)
		fds[i] = rte_intr_efds_index_get(user->rx_handle, i);
	return ret == 0 && nb > 0 ? user_set_rx_vectors(user, (uint32_t)nb, fds) : ret;
}

/* Go to @place, which is the port's from now on. ctl_lock held; the port is detached. */
static void
user_go(struct avpg_user *user, const struct avpg_port *port, const struct avpg_place *place)
{
	struct vuser_client *client;
	int ret;

	watch_stop(&user->sock_watch, user);
	avpg_place_release(&user->old, false);
	pthread_mutex_lock(&user->client_lock);
	client = user->client;
	user->old = place_now(user);
	user->old.client = NULL;
	place_set(user, place);
	pthread_mutex_unlock(&user->client_lock);
	vuser_client_destroy(client);
	atomic_store(&user->lost, false);
	ret = vectors_set(user);
	if (ret != 0)
		USER_LOG(ERR, "%s: interrupts: cannot be enabled again: %s", port->name,
				strerror(-ret));
	watch_socket(user, port->name);
}

/* Connect to @socket and go there, if the port is detached then. connect_lock held. */
static int
user_connect(struct avpg_user *user, const char *socket, struct avp_err *err)
{
	struct avpg_port *port = atomic_load(&user->port);
	struct avpg_place place;
	int ret = avpg_place_connect(&place, socket, err);

	if (ret != 0)
		return ret;
	pthread_mutex_lock(&port->ctl_lock);
	if (is_detached(port)) {
		user_go(user, port, &place);
	} else {
		ret = avp_err_set(err, EBUSY, "%s: has been attached meanwhile", port->name);
		avpg_place_release(&place, false);
	}
	pthread_mutex_unlock(&port->ctl_lock);
	return ret;
}

int
avpg_user_move(struct avpg_user *user, const char *socket, struct avp_err *err)
{
	struct avpg_port *port = atomic_load(&user->port);
	int ret;

	pthread_mutex_lock(&user->connect_lock);
	if (!is_detached(port)) {
		ret = avp_err_set(err, EBUSY, "%s: %s: have its host detach it first", port->name,
				avpg_state_text(avpg_port_state(port)));
		goto out_unlock;
	}
	if (strcmp(socket, user->socket) == 0 && !atomic_load(&user->lost)) {
		ret = avp_err_set(err, EALREADY, "%s: is connected to %s", port->name, socket);
		goto out_unlock;
	}
	ret = user_connect(user, socket, err);
	if (ret != 0)
		goto out_unlock;
	USER_LOG(NOTICE, "%s: moved from %s to %s", port->name, user->socket, socket);
	snprintf(user->socket, sizeof(user->socket), "%s", socket);
	atomic_store(&user->moved, true);
	sem_post(&port->wake);

out_unlock:
	pthread_mutex_unlock(&user->connect_lock);
	return ret;
}

void
avpg_user_describe(struct avpg_user *user, char *socket, size_t size, const char **state)
{
	const struct avpg_port *port = atomic_load(&user->port);

	pthread_mutex_lock(&user->connect_lock);
	snprintf(socket, size, "%s", user->socket);
	*state = atomic_load(&user->lost) ? "waits for the socket"
					  : avpg_state_text(avpg_port_state(port));
	pthread_mutex_unlock(&user->connect_lock);
}

/* Connect again when the connection is lost. */
static int
user_restore(struct avpg_hw *hw)
{
	struct avpg_user *user = user_of(hw);
	struct avp_err err = {0};
	int ret;

	if (atomic_exchange(&user->moved, false))
		return AVPG_RESTORED_NEW;
	if (!atomic_load(&user->lost))
		return AVPG_RESTORED_NOTHING;
	/* a move is under way: it knows better where to */
	if (pthread_mutex_trylock(&user->connect_lock) != 0)
		return -EAGAIN;
	ret = user_connect(user, user->socket, &err);
	if (ret == 0)
		USER_LOG(NOTICE, "%s: connected again", user->socket);
	pthread_mutex_unlock(&user->connect_lock);
	return ret == 0 ? AVPG_RESTORED_NEW : ret;
}

static void
user_destroy(struct avpg_hw *hw)
{
	struct avpg_user *user = user_of(hw);
	struct avpg_place place;

	avpg_api_remove(user);
	atomic_store(&user->port, NULL);
	watch_stop(&user->sock_watch, user);
	rte_intr_instance_free(user->rx_handle);
	place = place_now(user);
	avpg_place_release(&place, hw->keep_mem);
	avpg_place_release(&user->old, false);
	pthread_mutex_destroy(&user->client_lock);
	pthread_mutex_destroy(&user->connect_lock);
	free(user);
}

static const struct avpg_hw_ops user_ops = {
		.read32 = user_read32,
		.write32 = user_write32,
		.intr_enable = user_intr_enable,
		.intr_disable = user_intr_disable,
		.rx_intr_on = user_rx_intr_on,
		.rx_intr_off = user_rx_intr_off,
		.restore = user_restore,
		.destroy = user_destroy,
};

static int
user_create(struct avpg_user **out, const struct user_args *args, struct avp_err *err)
{
	struct avpg_user *user = calloc(1, sizeof(*user));
	struct avpg_place place;
	int ret;

	if (user == NULL)
		return avp_err_set(err, ENOMEM, "no memory");
	user->hw.ops = &user_ops;
	user->hw.max_queues = args->queues;
	user->hw.recycle = args->recycle != 0;
	user->hw.compact = args->compact != 0;
	user->hw.recycle_hold = args->recycle_hold;
	user->irq_fd = -1;
	/* what ethdev reads the eventfds of rx queues from; nobody watches it by itself */
	user->rx_handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (user->rx_handle == NULL ||
			rte_intr_type_set(user->rx_handle, RTE_INTR_HANDLE_VDEV) != 0 ||
			rte_intr_efd_counter_size_set(user->rx_handle, sizeof(uint64_t)) != 0) {
		ret = avp_err_set(err, ENOMEM, "no memory");
		goto err_free;
	}
	ret = avpg_place_connect(&place, args->socket, err);
	if (ret != 0)
		goto err_free;
	place_set(user, &place);
	snprintf(user->socket, sizeof(user->socket), "%s", args->socket);
	pthread_mutex_init(&user->client_lock, NULL);
	pthread_mutex_init(&user->connect_lock, NULL);
	*out = user;
	return 0;

err_free:
	rte_intr_instance_free(user->rx_handle);
	free(user);
	return ret;
}

/*
 * The vdev
 */

static int
parse_number(const struct user_args *args, const char *key, const char *value, uint32_t min,
		uint32_t max, uint32_t *out)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || number < min ||
			number > max) {
		USER_LOG(ERR, "%s: %s=%s: must be %u..%u", args->name, key, value, min, max);
		return -EINVAL;
	}
	*out = (uint32_t)number;
	return 0;
}

static int
parse_arg(const char *key, const char *value, void *opaque)
{
	struct user_args *args = opaque;
	size_t len = value == NULL ? 0 : strlen(value);

	if (len == 0) {
		USER_LOG(ERR, "%s: %s: needs a value", args->name, key);
		return -EINVAL;
	}
	if (strcmp(key, ARG_QUEUES) == 0)
		return parse_number(args, key, value, 1, AVP_MAX_QUEUES, &args->queues);
	if (strcmp(key, ARG_RECYCLE) == 0)
		return parse_number(args, key, value, 0, 1, &args->recycle);
	if (strcmp(key, ARG_COMPACT) == 0)
		return parse_number(args, key, value, 0, 1, &args->compact);
	if (strcmp(key, ARG_RECYCLE_HOLD) == 0)
		return parse_number(args, key, value, 1, AVP_FIFO_MAX_LEN, &args->recycle_hold);
	if (strcmp(key, ARG_SOCKET) != 0) {
		USER_LOG(ERR,
				"%s: %s=%s: not known: " ARG_SOCKET "=PATH, " ARG_QUEUES
				"=N, " ARG_RECYCLE "=0|1, " ARG_RECYCLE_HOLD "=N and " ARG_COMPACT
				"=0|1 are%s",
				args->name, key, value,
				strcmp(key, "mac") == 0 ? "; the address is the host port's" : "");
		return -EINVAL;
	}
	if (len >= sizeof(args->socket)) {
		USER_LOG(ERR, "%s: " ARG_SOCKET "=%s: %zu characters: at most %zu", args->name,
				value, len, sizeof(args->socket) - 1);
		return -EINVAL;
	}
	memcpy(args->socket, value, len + 1);
	return 0;
}

static int
parse_args(const char *text, struct user_args *args)
{
	struct rte_kvargs *list = rte_kvargs_parse(text == NULL ? "" : text, NULL);
	int ret;

	if (list == NULL) {
		USER_LOG(ERR, "%s: %s: not a list of key=value", args->name, text);
		return -EINVAL;
	}
	ret = rte_kvargs_process(list, NULL, parse_arg, args);
	rte_kvargs_free(list);
	if (ret == 0 && args->socket[0] == '\0') {
		USER_LOG(ERR, "%s: no " ARG_SOCKET "=PATH: which port to connect to?", args->name);
		ret = -EINVAL;
	}
	return ret == 0 ? 0 : -EINVAL;
}

/* Make the ethdev and have the socket watched. On error @user is still the caller's. */
static int
ethdev_create(struct rte_vdev_device *vdev, struct avpg_user *user, struct avp_err *err)
{
	struct rte_eth_dev *dev = rte_eth_vdev_allocate(vdev, sizeof(struct avpg_port));
	int ret;

	if (dev == NULL)
		return avp_err_set(err, ENOMEM, "no memory for a port, or its name is taken");
	dev->intr_handle = user->rx_handle;
	ret = avpg_ethdev_init(dev, &user->hw, err);
	if (ret != 0)
		goto err_release;
	atomic_store(&user->port, dev->data->dev_private);
	watch_socket(user, rte_vdev_device_name(vdev));
	avpg_api_add(dev->data->port_id, user);
	rte_eth_dev_probing_finish(dev);
	return 0;

err_release:
	rte_eth_dev_release_port(dev);
	return ret;
}

static int
avpg_user_probe(struct rte_vdev_device *vdev)
{
	struct user_args args = {.name = rte_vdev_device_name(vdev), .recycle = 1, .compact = 1};
	struct avp_err err = {0};
	struct avpg_user *user = NULL;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		USER_LOG(ERR, "%s: secondary processes cannot use this port", args.name);
		return -ENOTSUP;
	}
	ret = parse_args(rte_vdev_device_args(vdev), &args);
	if (ret != 0)
		return ret;
	ret = user_create(&user, &args, &err);
	if (ret == 0) {
		ret = ethdev_create(vdev, user, &err);
		if (ret != 0)
			user_destroy(&user->hw);
	}
	if (ret != 0)
		USER_LOG(ERR, "%s: %s", args.name, err.msg);
	return ret;
}

static int
avpg_user_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));
	int ret = 0;

	if (dev == NULL)
		return 0; /* closed before */
	if (dev->data->dev_started != 0)
		ret = rte_eth_dev_stop(dev->data->port_id);
	return ret != 0 ? ret : rte_eth_dev_close(dev->data->port_id);
}

static struct rte_vdev_driver avpg_user_driver = {
		.probe = avpg_user_probe,
		.remove = avpg_user_remove,
};

RTE_PMD_REGISTER_VDEV(net_avp_user, avpg_user_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_avp_user,
		ARG_SOCKET "=<path> " ARG_QUEUES "=<1-8> " ARG_RECYCLE "=<0|1> " ARG_RECYCLE_HOLD
			   "=<n>");
