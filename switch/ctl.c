/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The control socket: clients, their buffers, and when they are read from.
 *
 * How it works: all on the control thread, by the loop's events. A client has one buffer for a
 * request being received and one for an answer being sent; while an answer is not all sent, no
 * further request of that client is read; nor while an answer has to wait for others.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_common.h>

#include "avp_sock.h"
#include "ctl.h"
#include "port.h"
#include "sw_log.h"

SW_LOG_TOPIC(ctl);

struct ctl_client {
	struct avp_watch watch; /* first: the loop gives us this */
	struct ctl *ctl;
	struct ctl_client *next;
	size_t in_len;
	size_t out_len;
	size_t out_sent;
	char *out;       /* answer being sent, NULL = none */
	bool is_waiting; /* for an answer that is not there yet */
	json_t *id;      /* of the request it is to */
	char in[CTL_REQUEST_MAX + 1];
};

struct ctl {
	struct avp_watch watch; /* first; the listening socket */
	struct sw *sw;
	struct ctl_client *clients;
	unsigned int nb_clients;
	int spare_fd; /* given up for a moment to tell a client that there are none left */
};

static void
client_close(struct ctl_client *client)
{
	struct ctl *ctl = client->ctl;
	struct ctl_client **link = &ctl->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	ctl->nb_clients--;
	avp_watch_remove(ctl->sw->loop, &client->watch);
	avp_sock_close(&client->watch.fd);
	port_capture_drop_owner(ctl->sw, client);
	ctl_migrate_drop_client(ctl->sw, client);
	json_decref(client->id);
	free(client->out);
	free(client);
}

/* Send as much as goes. Returns 0, or -errno when the client is gone. */
static int
client_send(struct ctl_client *client)
{
	while (client->out != NULL) {
		ssize_t n = send(client->watch.fd, client->out + client->out_sent,
				client->out_len - client->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0)
			return -errno;
		client->out_sent += n;
		if (client->out_sent == client->out_len) {
			free(client->out);
			client->out = NULL;
		}
	}
	return avp_watch_modify(client->ctl->sw->loop, &client->watch,
			client->out != NULL                  ? EPOLLOUT
					: client->is_waiting ? 0 /* but for its end */
							     : EPOLLIN);
}

static int
client_answer(struct ctl_client *client, const char *line, size_t len)
{
	client->out = ctl_answer(client->ctl->sw, client, line, len, &client->id);
	if (client->is_waiting)
		return client_send(client);
	if (client->out == NULL)
		return -ENOMEM;
	client->out_len = strlen(client->out);
	client->out_sent = 0;
	return client_send(client);
}

/* Answer the requests that have come in, one after the other's answer is sent. */
static int
client_work(struct ctl_client *client)
{
	while (client->out == NULL && !client->is_waiting) {
		char *end = memchr(client->in, '\n', client->in_len);
		size_t used;
		int rc;

		if (end == NULL)
			return client->in_len > CTL_REQUEST_MAX ? -EMSGSIZE : 0;
		used = end + 1 - client->in;
		rc = client_answer(client, client->in, used - 1);
		if (rc != 0)
			return rc;
		client->in_len -= used;
		memmove(client->in, client->in + used, client->in_len);
	}
	return 0;
}

void
ctl_client_wait(struct ctl_client *client)
{
	client->is_waiting = true;
}

bool
ctl_client_is_waiting(const struct ctl_client *client)
{
	return client->is_waiting;
}

void
ctl_client_answer(struct ctl_client *client, json_t *result)
{
	int rc = -ENOMEM;

	client->out = ctl_make_answer(client->id, result);
	client->id = NULL;
	client->is_waiting = false;
	if (client->out != NULL) {
		client->out_len = strlen(client->out);
		client->out_sent = 0;
		rc = client_send(client);
	}
	if (rc == 0)
		rc = client_work(client);
	if (rc != 0)
		client_close(client);
}

static int
client_receive(struct ctl_client *client)
{
	ssize_t n = recv(client->watch.fd, client->in + client->in_len,
			sizeof(client->in) - client->in_len, MSG_DONTWAIT);

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
	client->in_len += n;
	return 0;
}

static void
client_ready(struct avp_watch *watch, uint32_t events)
{
	struct ctl_client *client = (struct ctl_client *)watch;
	int rc = 0;

	if ((events & EPOLLOUT) != 0)
		rc = client_send(client);
	else if ((events & EPOLLIN) != 0)
		rc = client_receive(client);
	else if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		rc = -ECONNRESET;
	if (rc == 0)
		rc = client_work(client);
	if (rc == -EMSGSIZE)
		SW_LOG(WARNING, "control client: closed: a request of more than %u bytes",
				CTL_REQUEST_MAX);
	if (rc != 0)
		client_close(client);
}

static void
refuse(int fd, const char *code, const char *why)
{
	char answer[256];
	int len = snprintf(answer, sizeof(answer),
			"{\"id\":null,\"error\":{\"code\":\"%s\",\"message\":"
			"\"control socket: %s\"}}\n",
			code, why);

	if (send(fd, answer, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		SW_LOG(DEBUG, "control client: not told that it is refused: %s", strerror(errno));
	avp_sock_close(&fd);
}

static int
open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A client that waits and cannot be accepted would wake us for ever. */
static void
refuse_without_fds(struct ctl *ctl)
{
	int fd;

	avp_sock_close(&ctl->spare_fd);
	fd = accept4(ctl->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		refuse(fd, "EMFILE", "no file descriptors left");
	ctl->spare_fd = open_spare();
}

static void
ctl_accept(struct avp_watch *watch, uint32_t events __rte_unused)
{
	struct ctl *ctl = (struct ctl *)watch;
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ctl_client *client;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse_without_fds(ctl);
		return;
	}
	client = ctl->nb_clients < CTL_CLIENTS_MAX ? malloc(sizeof(*client)) : NULL;
	if (client == NULL) {
		refuse(fd, "EBUSY", RTE_STR(CTL_CLIENTS_MAX) " clients are connected already");
		return;
	}
	client->ctl = ctl;
	client->watch.fd = fd;
	client->watch.ready = client_ready;
	client->in_len = 0;
	client->out = NULL;
	client->is_waiting = false;
	client->id = NULL;
	if (avp_watch_add(ctl->sw->loop, &client->watch, EPOLLIN) != 0) {
		avp_sock_close(&fd);
		free(client);
		return;
	}
	client->next = ctl->clients;
	ctl->clients = client;
	ctl->nb_clients++;
}

int
ctl_create(struct ctl **ctl_out, struct sw *sw, struct avp_err *err)
{
	struct avp_sock_perm perm = {.mode = 0660, .owner = (uid_t)-1, .group = (gid_t)-1};
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int rc;

	if (ctl == NULL)
		return avp_err_set(err, ENOMEM, "control socket: not enough memory");
	ctl->sw = sw;
	ctl->spare_fd = open_spare();
	ctl->watch.ready = ctl_accept;
	ctl->watch.fd = avp_sock_listen(sw->conf.control, &perm, err);
	if (ctl->watch.fd < 0) {
		rc = ctl->watch.fd;
		goto err_free;
	}
	rc = avp_watch_add(sw->loop, &ctl->watch, EPOLLIN);
	if (rc != 0) {
		avp_err_set(err, -rc, "%s: %s", sw->conf.control, strerror(-rc));
		goto err_close;
	}
	*ctl_out = ctl;
	return 0;

err_close:
	unlink(sw->conf.control);
	avp_sock_close(&ctl->watch.fd);
err_free:
	avp_sock_close(&ctl->spare_fd);
	free(ctl);
	return rc;
}

void
ctl_destroy(struct ctl *ctl)
{
	if (ctl == NULL)
		return;
	while (ctl->clients != NULL)
		client_close(ctl->clients);
	avp_watch_remove(ctl->sw->loop, &ctl->watch);
	unlink(ctl->sw->conf.control);
	avp_sock_close(&ctl->watch.fd);
	avp_sock_close(&ctl->spare_fd);
	free(ctl);
}
