/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The server: accepts, negotiates, carries messages between a client and vuser_request.c.
 * Interface: vuser_server.h.
 *
 * How it works: every connection is a small state machine on the loop. It begins among the
 * newcomers, of which there are few and which have little time. Its first message must be the
 * version; with it, and only then, the newcomer becomes the client, if there is none. A refused one
 * gets an error reply and is closed. So neither a second client nor one that never speaks can keep
 * out or disturb another.
 *
 * Descriptors: those that come with a message and that no callback takes are closed by a thread
 * (vuser_reaper.h), and so are the sockets, since unread messages go with them.
 *
 * Limits: a connection receives into memory of its own, 4 KiB or the size of the message, which is
 * bounded. While a reply does not fit into the socket nothing more is read from it, so there is
 * never more than one reply waiting. A wake-up does a bounded number of system calls; what is left
 * wakes the loop again, after the other connections have had their turn.
 */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vuser_caps.h"
#include "vuser_msg.h"
#include "vuser_request.h"
#include "vuser_server.h"

#define SERVER_NEWCOMERS_MAX 8u
#define SERVER_NEGOTIATE_MS 2000u
#define SERVER_ACCEPT_PAUSE_MS 100u
#define SERVER_HOLD_MS 5u

/* Work per wake-up. */
#define SERVER_ACCEPTS 4u
#define SERVER_RECEIVES 32u

/* A client that has not been told our limit may use the protocol's; that is an error, but no reason
 * to break with it. What is larger has no meaning at all. */
#define SERVER_SKIP_MAX (VUSER_DEFAULT_XFER_SIZE + 4096u)

/* Messages per second that peers can cause. */
#define SERVER_LOG_BURST 10u

enum conn_state {
	CONN_NEW,     /* has not negotiated yet */
	CONN_CLIENT,  /* has */
	CONN_REFUSED, /* has been answered with an error; closed once that is sent */
};

struct vuser_conn {
	struct avp_watch watch;
	struct vuser_server *server;
	TAILQ_ENTRY(vuser_conn) next; /* newcomers and refused ones */
	enum conn_state state;
	bool gone;            /* must be closed as soon as nobody works on it */
	bool held;            /* not read from until the reaper has room */
	uint64_t deadline_ms; /* of newcomers and refused ones */
	uint32_t skip;        /* bytes of an oversized message still to come */
	struct vuser_rx rx;
	uint8_t *out; /* rest of a reply; NULL: none */
	uint32_t out_size;
	uint32_t out_sent;
	int out_fd; /* goes with its first byte; the device's */
	bool takes_fds;
};

TAILQ_HEAD(conn_list, vuser_conn);

struct vuser_server {
	struct vuser_server_conf conf;
	char *path;
	struct avp_loop *loop;
	struct avp_watch listener;
	bool paused;  /* not accepting: no descriptors left, or no room to close them */
	bool holding; /* some connection is held */
	struct vuser_reaper *reaper;
	struct avp_timer timer;
	struct conn_list newcomers; /* oldest first */
	uint32_t nb_newcomers;
	struct vuser_conn *client;
	struct vuser_conn *handling;     /* whose message is being handled */
	uint8_t *reply;                  /* a whole message */
	struct avp_log_limit life_limit; /* of messages on clients that come and go */
	struct avp_log_limit debug_limit;
};

static uint64_t
server_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#define server_log(server, level, fmt, ...)                                                        \
	avp_log_limited((server)->conf.log,                                                        \
			(level) == AVP_LOG_DEBUG ? &(server)->debug_limit : &(server)->life_limit, \
			level, "%s: " fmt, (server)->path, __VA_ARGS__)

static int
conn_pid(const struct vuser_conn *conn)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(conn->watch.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return (int)cred.pid;
}

/* Set the timer to the next thing that has to happen. */
static void
server_set_timer(struct vuser_server *server)
{
	const struct vuser_conn *oldest = TAILQ_FIRST(&server->newcomers);
	uint64_t delay_ms = 0;

	if (oldest != NULL) {
		uint64_t now = server_now_ms();

		delay_ms = oldest->deadline_ms > now ? oldest->deadline_ms - now : 1;
	}
	if (server->paused && (delay_ms == 0 || delay_ms > SERVER_ACCEPT_PAUSE_MS))
		delay_ms = SERVER_ACCEPT_PAUSE_MS;
	if (server->holding && (delay_ms == 0 || delay_ms > SERVER_HOLD_MS))
		delay_ms = SERVER_HOLD_MS;
	avp_timer_set(&server->timer, delay_ms * 1000, 0);
}

static void
conn_leave_newcomers(struct vuser_conn *conn)
{
	struct vuser_server *server = conn->server;

	TAILQ_REMOVE(&server->newcomers, conn, next);
	server->nb_newcomers--;
	server_set_timer(server);
}

static void
conn_close(struct vuser_conn *conn, const char *why)
{
	struct vuser_server *server = conn->server;

	if (server->handling == conn) {
		conn->gone = true; /* by a callback of its own message */
		return;
	}
	bool is_client = conn->state == CONN_CLIENT;
	server_log(server, is_client ? AVP_LOG_NOTICE : AVP_LOG_DEBUG, "client of pid %d gone: %s",
			conn_pid(conn), why);
	if (is_client)
		server->client = NULL;
	else
		conn_leave_newcomers(conn);
	avp_watch_remove(server->loop, &conn->watch);
	/* the peer knows at once; what it had in flight is the reaper's */
	shutdown(conn->watch.fd, SHUT_RDWR);
	vuser_reaper_close(server->reaper, &conn->watch.fd);
	vuser_rx_reset(&conn->rx);
	free(conn->out);
	free(conn);
	if (is_client)
		server->conf.ops->disconnected(server->conf.ctx);
}

/* Send what is left of a reply. Returns 1 when all is sent, 0 when some is left, -errno. */
static int
conn_flush(struct vuser_conn *conn)
{
	const int nb_fds = conn->out_sent == 0 && conn->out_fd >= 0 ? 1 : 0;

	if (conn->out == NULL)
		return 1;
	ssize_t len = vuser_tx_once(conn->watch.fd, conn->out + conn->out_sent,
			conn->out_size - conn->out_sent, &conn->out_fd, (uint32_t)nb_fds);
	if (len < 0)
		return (int)len;
	conn->out_sent += (uint32_t)len;
	if (conn->out_sent < conn->out_size)
		return 0;
	free(conn->out);
	conn->out = NULL;
	return avp_watch_modify(conn->server->loop, &conn->watch, EPOLLIN) == 0 ? 1 : -EIO;
}

/* Send a message, or what fits of it, and keep the rest. */
static int
conn_send(struct vuser_conn *conn, const uint8_t *msg, uint32_t size, int fd)
{
	assert(conn->out == NULL);
	ssize_t len = vuser_tx_once(conn->watch.fd, msg, size, &fd, fd >= 0 ? 1 : 0);
	if (len < 0)
		return (int)len;
	if ((uint32_t)len == size)
		return 0;
	conn->out_size = size - (uint32_t)len;
	conn->out_sent = 0;
	conn->out_fd = len == 0 ? fd : -1;
	conn->out = malloc(conn->out_size);
	if (conn->out == NULL)
		return -ENOMEM;
	memcpy(conn->out, msg + len, conn->out_size);
	return avp_watch_modify(conn->server->loop, &conn->watch, EPOLLOUT);
}

/* Answer the present message: with the payload that is in server->reply, or with an error. */
static int
conn_reply(struct vuser_conn *conn, int error, uint32_t payload_size, int fd)
{
	struct vuser_hdr hdr;

	memcpy(&hdr, conn->rx.msg, sizeof(hdr));
	if ((hdr.flags & VUSER_HDR_NO_REPLY) != 0)
		return 0;
	hdr.flags = VUSER_HDR_TYPE_REPLY;
	hdr.size = (uint32_t)sizeof(hdr) + payload_size;
	hdr.error = 0;
	if (error < 0) {
		hdr.flags |= VUSER_HDR_ERROR;
		hdr.size = sizeof(hdr);
		hdr.error = (uint32_t)-error;
	}
	memcpy(conn->server->reply, &hdr, sizeof(hdr));
	return conn_send(conn, conn->server->reply, hdr.size, error < 0 ? -1 : fd);
}

/* A client that has died may not have been noticed yet when its successor knocks. */
static bool
server_is_taken(struct vuser_server *server)
{
	if (server->client == NULL)
		return false;
	struct pollfd pfd = {.fd = server->client->watch.fd, .events = POLLRDHUP};
	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		conn_close(server->client, "hung up");
	return server->client != NULL;
}

/* The first message. Returns 0 and has made the newcomer the client, or -errno for the reply. */
static int
conn_negotiate(struct vuser_conn *conn, const struct vuser_hdr *hdr, uint32_t *payload_size)
{
	struct vuser_server *server = conn->server;
	uint8_t *payload = server->reply + sizeof(*hdr);
	const uint8_t *body = conn->rx.msg + sizeof(*hdr);
	uint32_t body_size = hdr->size - (uint32_t)sizeof(*hdr);
	struct vuser_version version;
	struct vuser_caps theirs, caps;

	if (hdr->cmd != VUSER_CMD_VERSION || body_size < sizeof(version) || conn->rx.nb_fds > 0 ||
			conn->rx.fds_lost)
		return -EINVAL;
	memcpy(&version, body, sizeof(version));
	if (version.major != VUSER_VERSION_MAJOR)
		return -ENOTSUP;
	int ret = vuser_caps_parse(
			&theirs, body + sizeof(version), body_size - (uint32_t)sizeof(version));
	if (ret < 0)
		return ret;
	if (server_is_taken(server))
		return -EBUSY;

	version.minor = VUSER_VERSION_MINOR;
	memcpy(payload, &version, sizeof(version));
	vuser_caps_agree(&caps, &theirs);
	ret = vuser_caps_format(&caps, (char *)payload + sizeof(version), VUSER_SMALL_MSG_SIZE / 2);
	if (ret < 0)
		return ret;
	*payload_size = (uint32_t)sizeof(version) + (uint32_t)ret;
	conn->takes_fds = theirs.max_fds > 0;
	conn_leave_newcomers(conn);
	conn->state = CONN_CLIENT;
	server->client = conn;
	server_log(server, AVP_LOG_NOTICE, "client of pid %d connected", conn_pid(conn));
	server->conf.ops->connected(server->conf.ctx);
	return 0;
}

static int
conn_handle_first(struct vuser_conn *conn, const struct vuser_hdr *hdr)
{
	uint32_t payload_size = 0;

	int error = conn_negotiate(conn, hdr, &payload_size);
	if (error < 0) {
		conn->state = CONN_REFUSED;
		server_log(conn->server, AVP_LOG_WARNING,
				"client of pid %d refused: command %u: %s", conn_pid(conn),
				hdr->cmd, strerror(-error));
	}
	return conn_reply(conn, error, payload_size, -1);
}

static int
conn_handle_request(struct vuser_conn *conn, const struct vuser_hdr *hdr)
{
	struct vuser_server *server = conn->server;
	struct vuser_req req = {
			.cmd = hdr->cmd,
			.body = conn->rx.msg + sizeof(*hdr),
			.body_size = hdr->size - (uint32_t)sizeof(*hdr),
			.fds = conn->rx.fds,
			.nb_fds = conn->rx.nb_fds,
			.fds_lost = conn->rx.fds_lost,
			.peer_takes_fds = conn->takes_fds,
			.reply = server->reply + sizeof(*hdr),
	};

	int error = vuser_request_handle(&server->conf, &req);
	if (error < 0)
		server_log(server, AVP_LOG_DEBUG, "command %u of %u bytes refused: %s", hdr->cmd,
				hdr->size, strerror(-error));
	return conn_reply(conn, error, req.reply_size, req.reply_fd);
}

/* A message is complete. Returns 0 or -errno: close. */
static int
conn_handle(struct vuser_conn *conn)
{
	struct vuser_server *server = conn->server;
	struct vuser_hdr hdr;

	memcpy(&hdr, conn->rx.msg, sizeof(hdr));
	server->handling = conn;
	int ret = conn->state == CONN_NEW ? conn_handle_first(conn, &hdr)
					  : conn_handle_request(conn, &hdr);
	server->handling = NULL;
	vuser_rx_reset(&conn->rx);
	if (ret == 0 && conn->state == CONN_REFUSED && conn->out == NULL)
		return -ECONNREFUSED; /* all said */
	return ret;
}

/* The header is there: is it one, and where does the rest go? */
static int
conn_check_header(struct vuser_conn *conn)
{
	struct vuser_hdr hdr;

	memcpy(&hdr, conn->rx.msg, sizeof(hdr));
	if (hdr.size < sizeof(hdr) || (hdr.flags & VUSER_HDR_TYPE_MASK) != VUSER_HDR_TYPE_COMMAND)
		return -EBADMSG;
	if (conn->state == CONN_NEW && hdr.size > VUSER_SMALL_MSG_SIZE)
		return -EMSGSIZE;
	if (hdr.size <= VUSER_MAX_MSG_SIZE)
		return vuser_rx_reserve(&conn->rx, hdr.size);
	if (hdr.size > SERVER_SKIP_MAX)
		return -EMSGSIZE;
	conn->skip = hdr.size - (uint32_t)sizeof(hdr);
	return 0;
}

/* Throw away a piece of an oversized message. As vuser_rx_once(). */
static int
conn_skip(struct vuser_conn *conn)
{
	struct vuser_rx *rx = &conn->rx;
	const uint32_t header = sizeof(struct vuser_hdr);

	rx->have = header;
	uint32_t want = rx->room - header < conn->skip ? rx->room : header + conn->skip;
	int ret = vuser_rx_once(rx, conn->watch.fd, want);
	if (ret <= 0)
		return ret;
	conn->skip -= rx->have - header;
	if (conn->skip > 0)
		return 1;
	ret = conn_reply(conn, -EMSGSIZE, 0, -1);
	vuser_rx_reset(rx);
	return ret < 0 ? ret : 1;
}

/* Receive once, and handle the message if that completed it. As vuser_rx_once(). */
static int
conn_receive(struct vuser_conn *conn)
{
	struct vuser_rx *rx = &conn->rx;
	struct vuser_hdr hdr;

	if (conn->skip > 0)
		return conn_skip(conn);
	bool in_header = rx->have < sizeof(hdr);
	memcpy(&hdr, rx->msg, sizeof(hdr));
	int ret = vuser_rx_once(rx, conn->watch.fd, in_header ? sizeof(hdr) : hdr.size);
	if (ret <= 0 || rx->have < sizeof(hdr))
		return ret;
	if (in_header) {
		ret = conn_check_header(conn);
		if (ret < 0)
			return ret;
		memcpy(&hdr, rx->msg, sizeof(hdr));
	}
	if (conn->skip > 0 || rx->have < hdr.size)
		return 1;
	ret = conn_handle(conn);
	return ret < 0 ? ret : 1;
}

static const char *
conn_reason(int error)
{
	switch (-error) {
	case EPIPE:
	case ECONNRESET:
		return "hung up";
	case EBADMSG:
		return "not a vfio-user message";
	case EMSGSIZE:
		return "message too large";
	default:
		return strerror(-error);
	}
}

/* Do not read from a connection until what it has sent before has been closed. */
static int
conn_hold(struct vuser_conn *conn)
{
	int ret = avp_watch_modify(conn->server->loop, &conn->watch, 0);

	if (ret < 0)
		return ret;
	conn->held = true;
	conn->server->holding = true;
	server_set_timer(conn->server);
	return 0;
}

static void
conn_release(struct vuser_conn *conn)
{
	if (conn->held && avp_watch_modify(conn->server->loop, &conn->watch, EPOLLIN) == 0)
		conn->held = false;
}

static void
conn_ready(struct avp_watch *watch, uint32_t events)
{
	struct vuser_conn *conn = (struct vuser_conn *)watch;
	static_assert(offsetof(struct vuser_conn, watch) == 0, "the cast above");

	int ret = conn_flush(conn);
	if (ret > 0 && conn->state == CONN_REFUSED)
		ret = -ECONNREFUSED;
	if (conn->held && (events & (EPOLLHUP | EPOLLERR)) != 0)
		ret = -EPIPE;
	for (uint32_t i = 0; i < SERVER_RECEIVES && ret > 0 && conn->out == NULL; i++) {
		if (!vuser_reaper_has_room(conn->server->reaper)) {
			ret = conn_hold(conn);
			break;
		}
		ret = conn_receive(conn);
		if (conn->gone)
			ret = -ECANCELED;
	}
	if (ret < 0)
		conn_close(conn, conn->gone ? "closed by the device" : conn_reason(ret));
}

static void
server_add_newcomer(struct vuser_server *server, int fd)
{
	struct vuser_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		goto err_close;
	conn->server = server;
	conn->watch.fd = fd;
	conn->watch.ready = conn_ready;
	vuser_rx_init(&conn->rx, server->reaper);
	conn->deadline_ms = server_now_ms() + server->conf.negotiate_ms;
	if (avp_watch_add(server->loop, &conn->watch, EPOLLIN) < 0)
		goto err_free;
	/* the oldest has had its chance */
	if (server->nb_newcomers == SERVER_NEWCOMERS_MAX)
		conn_close(TAILQ_FIRST(&server->newcomers), "too many at once");
	TAILQ_INSERT_TAIL(&server->newcomers, conn, next);
	server->nb_newcomers++;
	server_set_timer(server);
	return;

err_free:
	free(conn);
err_close:
	avp_sock_close(&fd);
	server_log(server, AVP_LOG_WARNING, "client turned away: %s", strerror(ENOMEM));
}

static void
server_pause(struct vuser_server *server)
{
	server->paused = avp_watch_modify(server->loop, &server->listener, 0) == 0;
	server_set_timer(server);
}

static void
server_accept(struct avp_watch *watch, uint32_t events)
{
	struct vuser_server *server = (struct vuser_server *)((char *)watch -
			offsetof(struct vuser_server, listener));

	(void)events;
	for (uint32_t i = 0; i < SERVER_ACCEPTS; i++) {
		if (!vuser_reaper_has_room(server->reaper)) {
			server->holding = true; /* look again soon */
			server_pause(server);
			break;
		}
		int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			server_add_newcomer(server, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* the connection stays where it is, and would wake us for ever */
			server_log(server, AVP_LOG_WARNING, "cannot accept clients for now: %s",
					strerror(errno));
			server_pause(server);
		}
		break;
	}
}

static void
server_timer(struct avp_timer *timer)
{
	struct vuser_server *server = (struct vuser_server *)((char *)timer -
			offsetof(struct vuser_server, timer));
	uint64_t now = server_now_ms();
	struct vuser_conn *conn;

	while ((conn = TAILQ_FIRST(&server->newcomers)) != NULL && conn->deadline_ms <= now)
		conn_close(conn, "did not negotiate in time");
	if (server->paused)
		server->paused = avp_watch_modify(server->loop, &server->listener, EPOLLIN) != 0;
	if (server->holding && vuser_reaper_has_room(server->reaper)) {
		server->holding = false;
		if (server->client != NULL)
			conn_release(server->client);
		TAILQ_FOREACH (conn, &server->newcomers, next)
			conn_release(conn);
	}
	server_set_timer(server);
}

static int
server_listen(struct vuser_server *server, struct avp_err *err)
{
	int ret = avp_timer_init(server->loop, &server->timer, server_timer);

	if (ret < 0)
		return avp_err_set(err, -ret, "%s: no timer: %s", server->path, strerror(-ret));
	ret = avp_sock_listen(server->path, &server->conf.perm, err);
	if (ret < 0)
		goto err_timer;
	server->listener.fd = ret;
	server->listener.ready = server_accept;
	ret = avp_watch_add(server->loop, &server->listener, EPOLLIN);
	if (ret < 0) {
		avp_err_set(err, -ret, "%s: cannot be watched: %s", server->path, strerror(-ret));
		goto err_unlisten;
	}
	return 0;

err_unlisten:
	avp_sock_unlisten(&server->listener.fd, server->path);
err_timer:
	avp_timer_fini(&server->timer);
	return ret;
}

int
vuser_server_create(struct vuser_server **out, struct avp_loop *loop,
		const struct vuser_server_conf *conf, struct avp_err *err)
{
	int ret;

	struct vuser_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return avp_err_set(err, ENOMEM, "%s: no memory", conf->path);
	server->conf = *conf;
	server->loop = loop;
	server->life_limit.burst = SERVER_LOG_BURST;
	server->debug_limit.burst = SERVER_LOG_BURST;
	TAILQ_INIT(&server->newcomers);
	if (server->conf.negotiate_ms == 0)
		server->conf.negotiate_ms = SERVER_NEGOTIATE_MS;
	server->path = strdup(conf->path);
	server->reply = malloc(VUSER_MAX_MSG_SIZE);
	server->reaper = vuser_reaper_create();
	if (server->path == NULL || server->reply == NULL || server->reaper == NULL) {
		ret = avp_err_set(err, ENOMEM, "%s: no memory", conf->path);
		goto err_free;
	}
	server->conf.path = server->path;
	ret = server_listen(server, err);
	if (ret < 0)
		goto err_free;
	*out = server;
	return 0;

err_free:
	vuser_reaper_destroy(server->reaper);
	free(server->reply);
	free(server->path);
	free(server);
	return ret;
}

void
vuser_server_disconnect(struct vuser_server *server)
{
	if (server->client != NULL)
		conn_close(server->client, "closed by the device");
}

void
vuser_server_destroy(struct vuser_server *server)
{
	if (server == NULL)
		return;
	assert(server->handling == NULL);
	vuser_server_disconnect(server);
	while (!TAILQ_EMPTY(&server->newcomers))
		conn_close(TAILQ_FIRST(&server->newcomers), "server ends");
	avp_watch_remove(server->loop, &server->listener);
	avp_sock_unlisten(&server->listener.fd, server->path);
	avp_timer_fini(&server->timer);
	vuser_reaper_destroy(server->reaper);
	free(server->reply);
	free(server->path);
	free(server);
}
