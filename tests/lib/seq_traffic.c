/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A host's packets with sequence numbers, sent and received on one interface: what is lost, what
 * comes twice or out of order, and how long nothing came.
 *
 *     seq_traffic INTERFACE OWN_MAC TO_MAC FLOW_OUT FLOW_IN
 *
 * Commands on standard input, one per line; the answer is a line of JSON:
 *
 *     rate N    send N packets per second from now on; 0: none
 *     stats     counters so far
 *     reset     begin anew, at sequence number 0 both ways: when nothing is on the way
 *     quit
 *
 * One thread; it sleeps until a packet comes or the next millisecond's packets are due. Packets
 * that fall due while the host keeps it from running are sent afterwards, so that the number is
 * right.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "seq_count.h"

#define ETHERTYPE_SEQ 0x88b6 /* IEEE: for local experiments; avp-switch uses the other one */
#define MAGIC 0x41565053u    /* "AVPS" */
#define PKT_SIZE 60
#define MAX_SEQ (1u << 26) /* sequence numbers that can be told apart: 8 MiB of bits */
#define BURST 64
#define TICK_NS 1000000
#define RCVBUF (64 << 20)

struct seq_pkt {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t type;
	uint8_t pad[2];
	uint32_t magic;
	uint32_t flow;
	uint32_t seq;
	uint8_t rest[PKT_SIZE - 28];
};

struct traffic {
	int fd;
	uint32_t flow_in;
	struct seq_pkt pkt; /* the next to be sent */
	uint64_t rate;
	int64_t rate_since_ns;
	uint64_t rate_sent; /* since then */
	uint64_t lost_here; /* by the socket: not the path's fault */
	uint64_t sent;
	struct seq_count count;
	int64_t gap_began_ns; /* when the longest gap began, of the calendar */
};

static int64_t
now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int
parse_mac(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
			       &mac[4], &mac[5]) == 6
			? 0
			: -EINVAL;
}

static int
open_interface(const char *name)
{
	struct sockaddr_ll addr = {
			.sll_family = AF_PACKET,
			.sll_protocol = htons(ETHERTYPE_SEQ),
			.sll_ifindex = (int)if_nametoindex(name),
	};
	int size = RCVBUF;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETHERTYPE_SEQ));

	if (fd < 0)
		return -errno;
	if (addr.sll_ifindex == 0 ||
			setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0 ||
			bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* Send what has fallen due. */
static void
send_due(struct traffic *t)
{
	struct mmsghdr msgs[BURST];
	struct iovec iovs[BURST];
	struct seq_pkt pkts[BURST];
	uint64_t due;
	int nb, sent, i;

	due = (uint64_t)((double)(now_ns(CLOCK_MONOTONIC) - t->rate_since_ns) * (double)t->rate /
			1e9);
	while (t->rate_sent < due) {
		nb = due - t->rate_sent < BURST ? (int)(due - t->rate_sent) : BURST;
		memset(msgs, 0, sizeof(msgs));
		for (i = 0; i < nb; i++) {
			pkts[i] = t->pkt;
			pkts[i].seq = htonl((uint32_t)(t->sent + (uint64_t)i));
			iovs[i] = (struct iovec){&pkts[i], sizeof(pkts[i])};
			msgs[i].msg_hdr.msg_iov = &iovs[i];
			msgs[i].msg_hdr.msg_iovlen = 1;
		}
		sent = sendmmsg(t->fd, msgs, (unsigned int)nb, 0);
		if (sent <= 0)
			return; /* the queue is full: later */
		t->rate_sent += (uint64_t)sent;
		t->sent += (uint64_t)sent;
	}
}

static void
note_packet(struct traffic *t, const struct seq_pkt *pkt)
{
	const int64_t max_gap_ns = t->count.max_gap_ns;

	if (pkt->magic != htonl(MAGIC) || pkt->flow != htonl(t->flow_in))
		return;
	seq_count_note(&t->count, ntohl(pkt->seq), now_ns(CLOCK_MONOTONIC));
	if (t->count.max_gap_ns != max_gap_ns)
		t->gap_began_ns = now_ns(CLOCK_REALTIME) - t->count.max_gap_ns;
}

static void
receive(struct traffic *t)
{
	static struct seq_pkt pkts[BURST];
	struct mmsghdr msgs[BURST];
	struct iovec iovs[BURST];
	int nb, i;

	do {
		memset(msgs, 0, sizeof(msgs));
		for (i = 0; i < BURST; i++) {
			iovs[i] = (struct iovec){&pkts[i], sizeof(pkts[i])};
			msgs[i].msg_hdr.msg_iov = &iovs[i];
			msgs[i].msg_hdr.msg_iovlen = 1;
		}
		nb = recvmmsg(t->fd, msgs, BURST, MSG_DONTWAIT, NULL);
		for (i = 0; i < nb; i++)
			if (msgs[i].msg_len >= offsetof(struct seq_pkt, rest))
				note_packet(t, &pkts[i]);
	} while (nb == BURST);
}

static void
print_stats(struct traffic *t)
{
	const struct seq_count *c = &t->count;
	struct tpacket_stats kernel = {0};
	socklen_t size = sizeof(kernel);

	if (getsockopt(t->fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &size) == 0)
		t->lost_here += kernel.tp_drops;
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"duplicated\": %" PRIu64
	       ", \"reordered\": %" PRIu64 ", \"next\": %" PRIu64 ", \"max_gap_us\": %" PRId64
	       ", \"gap_began_us\": %" PRId64 ", \"lost_here\": %" PRIu64 "}\n",
			t->sent, c->received, c->duplicated, c->reordered, c->next,
			c->max_gap_ns / 1000, t->gap_began_ns / 1000, t->lost_here);
}

/* Returns false at the end. */
static bool
command(struct traffic *t, const char *line)
{
	if (strncmp(line, "rate ", 5) == 0) {
		t->rate = strtoull(line + 5, NULL, 10);
		t->rate_since_ns = now_ns(CLOCK_MONOTONIC);
		t->rate_sent = 0;
		printf("{}\n");
	} else if (strcmp(line, "stats\n") == 0) {
		print_stats(t);
	} else if (strcmp(line, "reset\n") == 0) {
		seq_count_reset(&t->count);
		t->sent = 0;
		t->gap_began_ns = 0;
		t->lost_here = 0;
		printf("{}\n");
	} else if (strcmp(line, "quit\n") == 0) {
		return false;
	} else {
		printf("{\"error\": \"no such command\"}\n");
	}
	fflush(stdout);
	return true;
}

static void
run(struct traffic *t)
{
	struct pollfd entries[2] = {
			{.fd = t->fd, .events = POLLIN},
			{.fd = STDIN_FILENO, .events = POLLIN},
	};
	const struct timespec tick = {.tv_nsec = TICK_NS};
	char line[64];
	bool more = true;

	while (more) {
		ppoll(entries, 2, t->rate > 0 ? &tick : NULL, NULL);
		receive(t);
		send_due(t);
		if (entries[1].revents != 0)
			more = fgets(line, sizeof(line), stdin) != NULL && command(t, line);
	}
}

int
main(int argc, char **argv)
{
	struct traffic t = {.fd = -1};

	if (argc != 6 || parse_mac(argv[2], t.pkt.src) != 0 || parse_mac(argv[3], t.pkt.dst) != 0) {
		fprintf(stderr, "usage: seq_traffic INTERFACE OWN_MAC TO_MAC FLOW_OUT FLOW_IN\n");
		return 2;
	}
	t.fd = open_interface(argv[1]);
	if (t.fd < 0) {
		fprintf(stderr, "seq_traffic: %s: %s\n", argv[1], strerror(-t.fd));
		return 1;
	}
	if (seq_count_init(&t.count, MAX_SEQ) != 0)
		return 1;
	t.pkt.type = htons(ETHERTYPE_SEQ);
	t.pkt.magic = htonl(MAGIC);
	t.pkt.flow = htonl((uint32_t)strtoul(argv[4], NULL, 10));
	t.flow_in = (uint32_t)strtoul(argv[5], NULL, 10);
	setvbuf(stdin, NULL, _IONBF, 0); /* what poll() does not see, nobody may hold */
	run(&t);
	seq_count_free(&t.count);
	close(t.fd);
	return 0;
}
