/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Zero-copy in the guest, against net_avp_host in the same process: whatever an application does to
 * the mbufs it gets, the bytes are right, and in the end every mbuf is in its mempool and every
 * buffer the host's. Most tests run with "recycle" and without.
 *
 * Arguments: the plug-ins of the two drivers.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <rte_dev.h>
#include <rte_ether.h>
#include <rte_ring.h>

#include "avph_api.h"
#include "port_pair.h"

#define POLLS 200000

static const struct pair_end_conf jumbo = {.nb_queues = 1, .devargs = ",mru=9238"};

static struct pair pair;
static struct pair other;

/* How a test runs: its guest's devargs, and whether that is by pointer. */
struct mode {
	const char *devargs;
	bool by_pointer;
	const char *text;    /* what the driver says of it */
	uint16_t max_queued; /* packets that a tx FIFO or ring of 256 entries takes */
};
static struct mode on = {NULL, true, "by pointer, compact rings", 256};
static struct mode off_in_guest = {",recycle=0", false, "by copy, compact rings", 256};
static struct mode on_fifos = {",compact=0", true, "by pointer", 255};
static struct mode off_fifos = {",recycle=0,compact=0", false, "by copy", 255};

static int
setup_none(void **state)
{
	(void)state;
	memset(&pair, 0, sizeof(pair));
	memset(&other, 0, sizeof(other));
	return 0;
}

/* The host's own buffers: all in its pool, once it has no guest. */
static void
check_host_pool(const struct pair *p)
{
	struct rte_mempool *mp = rte_avp_host_mempool(p->host.port_id);

	assert_non_null(mp);
	for (int i = 0; i < POLLS && !rte_mempool_full(mp); i++)
		sched_yield();
	assert_int_equal(rte_mempool_in_use_count(mp), 0);
}

/* What only a mempool's creation writes, and what every mbuf in it must be. */
static void
check_mbuf(struct rte_mempool *pool, void *arg, void *obj, unsigned int idx)
{
	struct rte_mbuf *m = obj;

	(void)arg;
	(void)idx;
	assert_ptr_equal(m->pool, pool);
	assert_ptr_equal(m->buf_addr, (uint8_t *)obj + sizeof(*m));
	assert_int_equal(m->buf_len, rte_pktmbuf_data_room_size(pool));
	assert_true(RTE_MBUF_DIRECT(m));
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_int_equal(m->nb_segs, 1);
	assert_null(m->next);
}

static void
check_leaks(struct pair *p)
{
	if (p->guest.present)
		pair_end_remove(&p->guest);
	if (p->guest.pool != NULL) {
		pair_end_check_pool(&p->guest);
		rte_mempool_obj_iter(p->guest.pool, check_mbuf, NULL);
	}
	if (p->host.present) {
		pair_end_wait_link(&p->host, false);
		check_host_pool(p);
	}
	pair_destroy(p);
}

static int
teardown(void **state)
{
	(void)state;
	check_leaks(&pair);
	check_leaks(&other);
	return 0;
}

static void
begin(const struct mode *mode, const struct pair_end_conf *host, const char *more)
{
	char args[64];
	struct pair_end_conf guest = {.nb_queues = host->nb_queues, .devargs = args};

	snprintf(args, sizeof(args), "%s%s", mode->devargs == NULL ? "" : mode->devargs,
			more == NULL ? "" : more);
	pair_create(&pair, 0, host, &guest);
}

/* Receive just @nb packets. */
static void
receive_on(const struct pair_end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	uint16_t done = 0;

	for (int i = 0; i < POLLS && done < nb; i++)
		done += rte_eth_rx_burst(end->port_id, queue, pkts + done, nb - done);
	assert_int_equal(done, nb);
}

/* Packets on their way to the application in the guest: @nb of @size bytes. */
static void
deliver(struct pair *p, struct pair_stream *stream, struct rte_mbuf **pkts, uint16_t nb,
		uint32_t size)
{
	for (uint16_t i = 0; i < nb; i++) {
		rte_eth_tx_burst(p->host.port_id, 0, NULL, 0);
		assert_int_equal(pair_send(&p->host, stream, 1, size), 1);
		receive_on(&p->guest, 0, &pkts[i], 1);
	}
}

/* The guest sends @m; the host gets and checks it. */
static void
send_back(struct pair *p, struct pair_stream *stream, struct rte_mbuf *m)
{
	struct rte_mbuf *got;

	/* a host gives the guest buffers to send in when it looks for packets */
	assert_int_equal(rte_eth_rx_burst(p->host.port_id, 0, &got, 1), 0);
	assert_int_equal(rte_eth_tx_burst(p->guest.port_id, 0, &m, 1), 1);
	receive_on(&p->host, 0, &got, 1);
	pair_stream_check(stream, got);
}

static uint64_t
rx_by_pointer(const struct pair *p)
{
	return pair_end_xstat_sum(&p->guest, "rx_q", "by_pointer");
}

static uint64_t
tx_by_pointer(const struct pair *p)
{
	return pair_end_xstat_sum(&p->guest, "tx_q", "by_pointer");
}

/* No end has found anything wrong with what the other one did. */
static void
check_nothing_dropped(const struct pair *p)
{
	static const char *const host[] = {"drop_bad_owner", "drop_bad_data", "drop_bad_chain",
			"drop_bad_data_len", "drop_bad_pkt_len", "drop_bad_range",
			"drop_bad_stride"};
	static const char *const guest[] = {"drop_in_use", "drop_bad_label", "drop_bad_segment"};

	for (size_t i = 0; i < RTE_DIM(host); i++)
		assert_int_equal(pair_end_xstat_sum(&p->host, "rx_q", host[i]), 0);
	assert_int_equal(pair_end_xstat_sum(&p->host, "tx_q", "free_bad_owner"), 0);
	for (size_t i = 0; i < RTE_DIM(guest); i++)
		assert_int_equal(pair_end_xstat_sum(&p->guest, "rx_q", guest[i]), 0);
}

/*
 * Tests
 */

static void
forwarded_packets_are_not_copied(void **state)
{
	static const uint32_t sizes[] = {60, 64, 1518, 2048, 2049, 5000, 9238};
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_eth_burst_mode text;
	uint32_t nb = 0;

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	for (uint32_t round = 0; round < 3000; round++) {
		struct rte_mbuf *m;

		deliver(&pair, &to_guest, &m, 1, sizes[round % RTE_DIM(sizes)]);
		send_back(&pair, &to_host, m);
		nb++;
	}
	assert_int_equal(rx_by_pointer(&pair), mode->by_pointer ? nb : 0);
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? nb : 0);
	assert_int_equal(rte_eth_rx_burst_mode_get(pair.guest.port_id, 0, &text), 0);
	assert_string_equal(text.info, mode->text);
	check_nothing_dropped(&pair);
}

static void
a_host_that_does_not_offer_it_is_served_by_copy(void **state)
{
	const struct pair_end_conf host = {.nb_queues = 1, .devargs = ",recycle=0"};
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *m;

	(void)state;
	begin(&on, &host, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	deliver(&pair, &to_guest, &m, 1, 100);
	send_back(&pair, &to_host, m);
	assert_int_equal(rx_by_pointer(&pair), 0);
	assert_int_equal(tx_by_pointer(&pair), 0);
}

/* A thread that is no lcore and frees what it is given. */
struct freer {
	struct rte_ring *ring;
	pthread_t thread;
	atomic_bool quit;
};

static void *
free_all(void *arg)
{
	struct freer *freer = arg;
	void *pkts[PAIR_BURST];

	for (;;) {
		bool quit = atomic_load(&freer->quit);
		unsigned int nb = rte_ring_dequeue_burst(freer->ring, pkts, PAIR_BURST, NULL);

		rte_pktmbuf_free_bulk((struct rte_mbuf **)pkts, nb);
		if (nb == 0 && quit)
			return NULL;
		if (nb == 0)
			sched_yield();
	}
}

static void
freer_start(struct freer *freer, const char *name)
{
	freer->ring = rte_ring_create(name, 1024, SOCKET_ID_ANY, RING_F_SP_ENQ);
	assert_non_null(freer->ring);
	atomic_init(&freer->quit, false);
	assert_int_equal(pthread_create(&freer->thread, NULL, free_all, freer), 0);
}

static void
freer_stop(struct freer *freer)
{
	atomic_store(&freer->quit, true);
	pthread_join(freer->thread, NULL);
	rte_ring_free(freer->ring);
}

static void
packets_may_be_freed_on_other_threads(void **state)
{
	const struct mode *mode = *state;
	struct freer freers[2];
	struct pair_stream stream;
	uint32_t done = 0;

	begin(mode, &jumbo, NULL);
	freer_start(&freers[0], "freer0");
	freer_start(&freers[1], "freer1");
	pair_stream_init(&stream, &pair, 1, 2048);
	for (uint32_t polls = 0; done < 20000 && polls < 100 * POLLS; polls++) {
		struct rte_mbuf *pkts[PAIR_BURST];
		uint16_t nb;

		pair_send(&pair.host, &stream, 16, polls % 64 == 0 ? 5000 : 64);
		nb = rte_eth_rx_burst(pair.guest.port_id, 0, pkts, PAIR_BURST);
		/* some of them here, at the same time */
		for (uint16_t i = 0; i < nb; i++)
			if (i % 3 == 2 || rte_ring_enqueue(freers[i % 3].ring, pkts[i]) != 0)
				rte_pktmbuf_free(pkts[i]);
		done += nb;
		if (nb == 0)
			sched_yield();
	}
	assert_true(done >= 20000);
	freer_stop(&freers[0]);
	freer_stop(&freers[1]);
	check_nothing_dropped(&pair);
}

static void
packets_may_be_freed_in_any_order(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream stream;
	struct rte_mbuf *pkts[64];

	begin(mode, &jumbo, NULL);
	pair_stream_init(&stream, &pair, 1, 2048);
	for (uint32_t round = 0; round < 200; round++) {
		deliver(&pair, &stream, pkts, 24, round % 3 == 0 ? 9000 : 100);
		for (uint32_t i = 0; i < 24; i++) {
			uint32_t k = round % 2 == 0 ? 23 - i : (i * 7 + round) % 24;
			struct rte_mbuf *m = pkts[k];

			/* the segments of some of them one by one, last first */
			if (i % 4 == 0 && m->nb_segs > 1) {
				struct rte_mbuf *first = m->next;

				m->next = NULL;
				m->nb_segs = 1;
				rte_pktmbuf_free(first);
			}
			rte_pktmbuf_free(m);
		}
	}
	check_nothing_dropped(&pair);
}

static void
clones_may_be_sent_and_freed(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	uint64_t nb_sole = 0;

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	for (uint32_t round = 0; round < 1000; round++) {
		struct rte_mbuf *m, *clone;

		deliver(&pair, &to_guest, &m, 1, round % 5 == 0 ? 5000 : 200);
		clone = rte_pktmbuf_clone(m, pair.guest.pool);
		assert_non_null(clone);
		switch (round % 4) {
		case 0: /* the clone leaves first: the packet is nobody else's again */
			rte_pktmbuf_free(clone);
			send_back(&pair, &to_host, m);
			nb_sole++;
			break;
		case 1: /* the clone is sent while the packet is there: by copy */
			send_back(&pair, &to_host, clone);
			rte_pktmbuf_free(m);
			break;
		case 2: /* the packet is sent while the clone is there: by copy */
			send_back(&pair, &to_host, m);
			to_host.received[0]--;
			send_back(&pair, &to_host, clone);
			break;
		default: /* only the clone is left */
			rte_pktmbuf_free(m);
			send_back(&pair, &to_host, clone);
			break;
		}
	}
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? nb_sole : 0);
	check_nothing_dropped(&pair);
}

static void
a_packet_that_is_sent_twice_is_copied(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *m;

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	deliver(&pair, &to_guest, &m, 1, 100);
	rte_mbuf_refcnt_update(m, 1);
	send_back(&pair, &to_host, m);
	assert_int_equal(tx_by_pointer(&pair), 0);
	to_host.received[0]--;
	send_back(&pair, &to_host, m);
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? 1 : 0);
}

/* An mbuf of the application's own with @size bytes. */
static struct rte_mbuf *
foreign(const uint8_t *data, uint16_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pair.guest.pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, size), data, size);
	return m;
}

/* Take the first @size bytes off and chain an mbuf of the application's with them in front. */
static struct rte_mbuf *
replace_head(struct rte_mbuf *m, uint16_t size)
{
	struct rte_mbuf *head = foreign(rte_pktmbuf_mtod(m, const uint8_t *), size);

	assert_non_null(rte_pktmbuf_adj(m, size));
	assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	return head;
}

/* Likewise the last ones of a packet in one mbuf, behind. */
static struct rte_mbuf *
replace_tail(struct rte_mbuf *m, uint16_t size)
{
	struct rte_mbuf *tail = foreign(
			rte_pktmbuf_mtod_offset(m, const uint8_t *, m->data_len - size), size);

	assert_int_equal(rte_pktmbuf_trim(m, size), 0);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	return m;
}

static void
chains_with_mbufs_of_others_may_be_sent(void **state)
{
	static const uint32_t sizes[] = {60, 700, 2048, 4000, 8000, 9000};
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	for (uint32_t round = 0; round < 1200; round++) {
		uint32_t size = sizes[round % RTE_DIM(sizes)];
		struct rte_mbuf *m;

		deliver(&pair, &to_guest, &m, 1, size);
		switch (round % 5) {
		case 0:
			m = replace_head(m, 20);
			break;
		case 1: /* too short for the first of several buffers */
			m = replace_head(m, 10);
			break;
		case 2:
			if (m->nb_segs == 1)
				m = replace_tail(m, 30);
			break;
		case 3:
			m = replace_head(m, 14);
			m = replace_head(m, 7);
			break;
		default: /* an empty one in between */
			m = replace_head(m, 16);
			m->next->data_off += 0;
			break;
		}
		send_back(&pair, &to_host, m);
	}
	/* none was all ours, all the same */
	assert_true(tx_by_pointer(&pair) <= 1200 / 5);
	check_nothing_dropped(&pair);
}

static void
headers_may_be_added_and_removed(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	for (uint32_t round = 0; round < 500; round++) {
		struct rte_mbuf *m, *got;
		uint16_t add = (uint16_t)(1 + round % 64);
		uint8_t *head;

		deliver(&pair, &to_guest, &m, 1, 300);
		assert_true(rte_pktmbuf_headroom(m) >= 64);
		/* a tunnel's header in front, its trailer behind */
		head = (uint8_t *)rte_pktmbuf_prepend(m, add);
		assert_non_null(head);
		memset(head, (int)round, add);
		memset(rte_pktmbuf_append(m, 5), 0x55, 5);
		assert_int_equal(rte_eth_rx_burst(pair.host.port_id, 0, &got, 1), 0);
		assert_int_equal(rte_eth_tx_burst(pair.guest.port_id, 0, &m, 1), 1);
		receive_on(&pair.host, 0, &got, 1);
		assert_int_equal(got->pkt_len, 300 + add + 5);
		for (uint16_t i = 0; i < add; i++)
			assert_int_equal(rte_pktmbuf_mtod(got, uint8_t *)[i], (uint8_t)round);
		assert_non_null(rte_pktmbuf_adj(got, add));
		assert_int_equal(rte_pktmbuf_trim(got, 5), 0);
		/* taken off here, it comes back with less: and the guest takes off the rest */
		head = (uint8_t *)rte_pktmbuf_prepend(got, 8);
		memset(head, 0xaa, 8);
		assert_int_equal(rte_eth_promiscuous_enable(pair.guest.port_id), 0);
		rte_eth_tx_burst(pair.host.port_id, 0, NULL, 0);
		assert_int_equal(rte_eth_tx_burst(pair.host.port_id, 0, &got, 1), 1);
		receive_on(&pair.guest, 0, &m, 1);
		assert_int_equal(m->pkt_len, 308);
		assert_non_null(rte_pktmbuf_adj(m, 8));
		send_back(&pair, &to_host, m);
	}
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? 1000 : 0);
	check_nothing_dropped(&pair);
}

static void
an_application_that_keeps_many_gets_copies(void **state)
{
	static struct rte_mbuf *pkts[1000];
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;

	begin(mode, &jumbo, mode->by_pointer ? ",recycle_hold=40" : NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	deliver(&pair, &to_guest, pkts, 1000, 64);
	assert_int_equal(rx_by_pointer(&pair), mode->by_pointer ? 40 : 0);
	assert_int_equal(pair_end_xstat(&pair.guest, "rx_q0_copied_held"),
			mode->by_pointer ? 960 : 0);
	/* sent back, which frees, and there is room for others */
	for (uint32_t i = 0; i < 1000; i++)
		send_back(&pair, &to_host, pkts[i]);
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? 40 : 0);
	deliver(&pair, &to_guest, pkts, 30, 64);
	assert_int_equal(rx_by_pointer(&pair), mode->by_pointer ? 70 : 0);
	rte_pktmbuf_free_bulk(pkts, 30);
	deliver(&pair, &to_guest, pkts, 30, 64);
	assert_int_equal(rx_by_pointer(&pair), mode->by_pointer ? 100 : 0);
	rte_pktmbuf_free_bulk(pkts, 30);
	check_nothing_dropped(&pair);
}

static void
by_default_half_a_fifo_may_be_kept(void **state)
{
	static struct rte_mbuf *pkts[600];
	struct pair_stream stream;

	(void)state;
	begin(&on, &jumbo, NULL);
	pair_stream_init(&stream, &pair, 1, 2048);
	deliver(&pair, &stream, pkts, 600, 64);
	assert_int_equal(rx_by_pointer(&pair), 128);
	assert_int_equal(pair_end_xstat(&pair.guest, "rx_q0_copied_held"), 472);
	/* and of packets of five buffers each */
	rte_pktmbuf_free_bulk(pkts, 600);
	deliver(&pair, &stream, pkts, 200, 9000);
	assert_int_equal(rx_by_pointer(&pair), 128 + 128 / 5);
	rte_pktmbuf_free_bulk(pkts, 200);
}

/* What was sent back and waits for the host's application is no reason to give no more. */
static void
a_host_that_only_sends_is_not_stuck(void **state)
{
	static struct rte_mbuf *pkts[400];
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *none;
	uint16_t sent = 0;

	begin(mode, &jumbo, ",queues=1");
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	assert_int_equal(rte_eth_rx_burst(pair.host.port_id, 0, &none, 1), 0);
	for (uint16_t i = 0; i < 350; i++) {
		deliver(&pair, &to_guest, &pkts[i], 1, 64);
		sent += rte_eth_tx_burst(
				pair.guest.port_id, 0, &pkts[sent], (uint16_t)(i + 1 - sent));
	}
	assert_in_range(sent, 100, mode->max_queued);
	for (int i = 0; i < POLLS && (sent < 350 || to_host.received[0] < 350); i++) {
		pair_receive(&pair.host, &to_host);
		sent += rte_eth_tx_burst(
				pair.guest.port_id, 0, &pkts[sent], (uint16_t)(350 - sent));
	}
	assert_int_equal(to_host.received[0], 350);
	check_nothing_dropped(&pair);
}

/* A sender looks at what the other end has read only now and then; chains take more than it looked
 * for. */
static void
chains_find_all_the_room_there_is(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *pkts[8];

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	for (uint32_t singles = 200; singles < 256; singles += 5) {
		for (uint32_t i = 0; i < singles; i++) {
			deliver(&pair, &to_guest, pkts, 1, 100);
			send_back(&pair, &to_host, pkts[0]);
		}
		assert_int_equal(pair_send(&pair.host, &to_guest, 8, 9000), 8);
		receive_on(&pair.guest, 0, pkts, 8);
		rte_eth_rx_burst(pair.host.port_id, 0, NULL, 0);
		assert_int_equal(rte_eth_tx_burst(pair.guest.port_id, 0, pkts, 8), 8);
		receive_on(&pair.host, 0, pkts, 8);
		for (uint32_t i = 0; i < 8; i++)
			pair_stream_check(&to_host, pkts[i]);
	}
	check_nothing_dropped(&pair);
}

/* One end's application: it sends all that it received before it receives again. */
struct stubborn {
	struct pair_end *end;
	struct rte_mbuf *pkts[PAIR_BURST];
	uint16_t nb;
};

/* One call of the application; false: it did nothing. */
static bool
stubborn_step(struct stubborn *app)
{
	uint16_t sent;

	if (app->nb == 0) {
		app->nb = rte_eth_rx_burst(app->end->port_id, 0, app->pkts, PAIR_BURST);
		return app->nb > 0;
	}
	sent = rte_eth_tx_burst(app->end->port_id, 0, app->pkts, app->nb);
	app->nb -= sent;
	memmove(app->pkts, app->pkts + sent, app->nb * sizeof(app->pkts[0]));
	return sent > 0;
}

/* More packets than a FIFO has entries go round between such applications, either of which may be
 * far behind the other: they never wait for each other. */
static void
more_packets_than_a_fifo_has_entries_go_round(void **state)
{
	const struct pair_end_conf host = {.nb_queues = 1, .devargs = ",ring=256"};
	struct stubborn apps[2] = {{.end = &pair.host}, {.end = &pair.guest}};
	struct pair_stream to_guest;
	unsigned int idle = 0; /* turns in which nobody did anything */
	uint32_t nb_made = 0;

	begin(*state, &host, ",queues=1");
	pair_stream_init(&to_guest, &pair, 1, 2048);
	srandom(1);
	for (int i = 0; i < POLLS / 10 && idle < 200; i++) {
		/* one until it is stuck, then the other; or few calls of each */
		const unsigned int nb = i % 64 < 32 ? 1000 : 1 + (unsigned int)random() % 8;
		unsigned int k = 0;

		if (nb_made < 400 && apps[0].nb == 0) {
			apps[0].pkts[0] = pair_stream_make(&to_guest, pair.host.pool, 0, 64);
			assert_non_null(apps[0].pkts[0]);
			apps[0].nb = 1;
			nb_made++;
		}
		while (k < nb && stubborn_step(&apps[i % 2]))
			k++;
		idle = k > 0 ? 0 : idle + 1;
	}
	for (size_t i = 0; i < RTE_DIM(apps); i++)
		rte_pktmbuf_free_bulk(apps[i].pkts, apps[i].nb);
	assert_in_range(idle, 0, 199);
	assert_int_equal(nb_made, 400);
	check_nothing_dropped(&pair);
}

static void
a_mempool_that_runs_out_is_no_end(void **state)
{
	static struct rte_mbuf *all[PAIR_NB_MBUFS + 1];
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *m, *none;
	uint32_t nb = 0;

	begin(mode, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	deliver(&pair, &to_guest, &m, 1, 64);
	send_back(&pair, &to_host, m);
	while ((all[nb] = rte_pktmbuf_alloc(pair.guest.pool)) != NULL)
		nb++;
	/* the mbufs that wait for packets go round, whichever buffers come */
	for (uint32_t i = 0; i < 1000 && mode->by_pointer; i++) {
		deliver(&pair, &to_guest, &m, 1, 64);
		send_back(&pair, &to_host, m);
	}
	if (!mode->by_pointer) {
		assert_int_equal(pair_send(&pair.host, &to_guest, 1, 64), 1);
		assert_int_equal(rte_eth_rx_burst(pair.guest.port_id, 0, &none, 1), 0);
		assert_true(pair_end_xstat(&pair.guest, "rx_q0_no_mbuf") > 0);
	}
	rte_pktmbuf_free_bulk(all, nb);
	if (!mode->by_pointer) {
		receive_on(&pair.guest, 0, &m, 1);
		send_back(&pair, &to_host, m);
	}
}

static void
any_queue_of_the_port_takes_it_back(void **state)
{
	const struct pair_end_conf host = {.nb_queues = 4, .devargs = ",queues=4"};
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	uint64_t nb = 0;

	begin(mode, &host, NULL);
	pair_stream_init(&to_guest, &pair, 16, 2048);
	pair_stream_init(&to_host, &pair, 16, 2048);
	for (uint32_t round = 0; round < 3000; round++) {
		assert_int_equal(pair_send(&pair.host, &to_guest, 1, 100), 1);
		for (uint16_t q = 0; q < 4; q++) {
			struct rte_mbuf *m;

			if (rte_eth_rx_burst(pair.guest.port_id, q, &m, 1) == 0)
				continue;
			/* the host gives the guest buffers to send in */
			pair_receive(&pair.host, &to_host);
			assert_int_equal(rte_eth_tx_burst(pair.guest.port_id, (uint16_t)(round % 4),
							 &m, 1),
					1);
			nb++;
		}
		/* a flow comes back on any of them */
		memset(to_host.queue, 0, sizeof(to_host.queue));
		pair_receive(&pair.host, &to_host);
	}
	assert_int_equal(nb, 3000);
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? 3000 : 0);
	check_nothing_dropped(&pair);
}

static void
another_port_gets_a_copy(void **state)
{
	const struct mode *mode = *state;
	struct pair_end_conf plain = {.nb_queues = 1, .devargs = mode->devargs};
	struct pair_stream to_guest, to_host;

	begin(mode, &jumbo, NULL);
	pair_create(&other, 1, &jumbo, &plain);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	for (uint32_t i = 0; i < 1000; i++) {
		struct rte_mbuf *m;

		deliver(&pair, &to_guest, &m, 1, i % 2 == 0 ? 100 : 5000);
		send_back(&other, &to_host, m);
	}
	assert_int_equal(tx_by_pointer(&other), 0);
	check_nothing_dropped(&pair);
	check_nothing_dropped(&other);
}

static void
a_stopped_port_has_no_mbufs_and_may_start_again(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *pkts[30];

	begin(mode, &jumbo, NULL);
	for (uint32_t round = 0; round < 10; round++) {
		pair_stream_init(&to_guest, &pair, 1, 2048);
		pair_stream_init(&to_host, &pair, 1, 2048);
		deliver(&pair, &to_guest, pkts, 30, 2500);
		for (uint32_t i = 0; i < 10; i++)
			send_back(&pair, &to_host, pkts[i]);
		pair_end_stop(&pair.guest);
		pair_end_wait_link(&pair.host, false);
		/* all but those that we have: two mbufs each */
		assert_int_equal(rte_mempool_in_use_count(pair.guest.pool), 40);
		rte_pktmbuf_free_bulk(pkts + 10, 10);
		assert_int_equal(rte_mempool_in_use_count(pair.guest.pool), 20);
		pair_end_start(&pair.guest);
		pair_end_wait_link(&pair.host, true);
		/* they are still the port's */
		to_host.received[0] = 20;
		for (uint32_t i = 20; i < 30; i++)
			send_back(&pair, &to_host, pkts[i]);
	}
	assert_int_equal(tx_by_pointer(&pair), mode->by_pointer ? 200 : 0);
	check_nothing_dropped(&pair);
}

/* What was received before the port went away is still to be read, and to be freed. */
static void
check_and_free(struct pair_stream *stream, struct rte_mbuf **pkts, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		pair_stream_check(stream, pkts[i]);
}

static void
packets_outlive_their_port(void **state)
{
	const struct mode *mode = *state;
	struct pair_end_conf plain = {.nb_queues = 1, .devargs = mode->devargs};
	struct pair_stream stream, check;
	struct rte_mbuf *pkts[40];

	begin(mode, &jumbo, NULL);
	for (uint32_t round = 0; round < 5; round++) {
		pair_stream_init(&stream, &pair, 1, 2048);
		pair_stream_init(&check, &pair, 1, 2048);
		deliver(&pair, &stream, pkts, 40, round % 2 == 0 ? 64 : 4000);
		pair_end_remove(&pair.guest);
		pair_end_wait_link(&pair.host, false);
		/* the host has everything back, whoever still looks at it */
		check_host_pool(&pair);
		check_and_free(&check, pkts, round == 4 ? 40 : 20);
		pair_guest_add(&pair, &plain);
		pair_end_wait_link(&pair.host, true);
		/* with the next one running */
		pair_stream_init(&stream, &pair, 1, 2048);
		pair_transfer(&pair.host, &pair.guest, &stream, 50, 64);
		if (round != 4)
			rte_pktmbuf_free_bulk(pkts + 20, 20);
		pair_transfer(&pair.host, &pair.guest, &stream, 500, 64);
		check_nothing_dropped(&pair);
	}
}

/* When the host has gone what was received by pointer is there, with whatever in it. */
static void
read_and_free(const struct mode *mode, struct pair_stream *stream, struct rte_mbuf **pkts,
		uint32_t nb)
{
	static uint8_t bytes[PAIR_MAX_SIZE];
	const void *data;

	if (!mode->by_pointer) {
		check_and_free(stream, pkts, nb);
		return;
	}
	for (uint32_t i = 0; i < nb; i++) {
		data = rte_pktmbuf_read(pkts[i], 0, pkts[i]->pkt_len, bytes);
		assert_ptr_equal(data, bytes);
		memset(rte_pktmbuf_mtod(pkts[i], void *), 1, pkts[i]->data_len);
		rte_pktmbuf_free(pkts[i]);
	}
}

static void
packets_outlive_the_host(void **state)
{
	const struct mode *mode = *state;
	struct pair_end_conf plain = {.nb_queues = 1, .devargs = mode->devargs};
	struct pair_stream stream, check;
	struct rte_mbuf *pkts[40];

	begin(mode, &jumbo, NULL);
	pair_stream_init(&stream, &pair, 1, 2048);
	pair_stream_init(&check, &pair, 1, 2048);
	deliver(&pair, &stream, pkts, 40, 2500);
	pair_end_remove(&pair.host);
	pair_end_wait_link(&pair.guest, false);
	read_and_free(mode, &check, pkts, 15);
	pair_end_remove(&pair.guest);
	read_and_free(mode, &check, pkts + 15, 25);
	pair_end_check_pool(&pair.guest);
	pair_host_add(&pair, &jumbo);
	pair_guest_add(&pair, &plain);
	pair_end_wait_link(&pair.host, true);
}

static void
what_was_received_before_an_attach_is_not_the_new_devices(void **state)
{
	const struct mode *mode = *state;
	struct pair_stream to_guest, to_host;
	struct rte_mbuf *pkts[60];
	uint64_t before;

	begin(mode, &jumbo, NULL);
	for (uint32_t round = 0; round < 5; round++) {
		pair_stream_init(&to_guest, &pair, 1, 2048);
		pair_stream_init(&to_host, &pair, 1, 2048);
		deliver(&pair, &to_guest, pkts, 60, 64);
		assert_int_equal(rte_avp_host_detach(pair.host.port_id, 2000), 0);
		rte_pktmbuf_free_bulk(pkts, 20);
		assert_int_equal(rte_avp_host_attach(pair.host.port_id, 2000), 0);
		pair_end_wait_link(&pair.guest, true);
		pair_end_wait_link(&pair.host, true);
		rte_pktmbuf_free_bulk(pkts + 20, 20);
		before = tx_by_pointer(&pair);
		to_host.received[0] = 40;
		/* nobody has used the buffers meanwhile, so what is in them is still right */
		for (uint32_t i = 40; i < 60; i++)
			send_back(&pair, &to_host, pkts[i]);
		assert_int_equal(tx_by_pointer(&pair), before);
		/* and the port is as new */
		to_guest.received[0] = 60;
		pair_transfer(&pair.host, &pair.guest, &to_guest, 300, 64);
		check_nothing_dropped(&pair);
	}
}

/* A guest that forwards, and keeps each packet for a while in between. */
struct forwarder {
	pthread_t thread;
	atomic_bool quit;
	uint32_t nb_kept; /* packets that could not be sent: in memory that is not its own */
};

static void *
forward_all(void *arg)
{
	struct forwarder *forwarder = arg;
	const uint16_t port_id = pair.guest.port_id;

	while (!atomic_load(&forwarder->quit)) {
		struct rte_mbuf *pkts[8];
		const uint16_t nb = rte_eth_rx_burst(port_id, 0, pkts, RTE_DIM(pkts));
		uint16_t sent;

		if (nb > 0)
			nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
		sent = rte_eth_tx_burst(port_id, 0, pkts, nb);
		forwarder->nb_kept += nb - sent;
		rte_pktmbuf_free_bulk(&pkts[sent], nb - sent);
	}
	return NULL;
}

/* The device's memory does not move with a VM: what lies there must be on its way back before.
 * (What was copied is the application's own, and moves with it.) */
static void
a_detach_waits_for_what_is_being_forwarded(void **state)
{
	struct pair_stream to_guest, to_host;
	struct forwarder forwarder = {0};

	begin(*state, &jumbo, NULL);
	pair_stream_init(&to_guest, &pair, 1, 2048);
	pair_stream_init(&to_host, &pair, 1, 2048);
	assert_int_equal(pthread_create(&forwarder.thread, NULL, forward_all, &forwarder), 0);
	for (int round = 0; round < 30; round++) {
		const uint64_t wanted = to_host.received[0] + 60;
		uint32_t sent = 0;

		while (sent < 60)
			sent += pair_send(&pair.host, &to_guest, 60 - sent, 200);
		assert_int_equal(rte_avp_host_detach_begin(pair.host.port_id, 5000), 0);
		for (int i = 0; i < POLLS &&
				rte_avp_host_migration_result(pair.host.port_id, NULL, NULL) ==
						-EINPROGRESS;
				i++) {
			pair_receive(&pair.host, &to_host);
			sched_yield();
		}
		assert_int_equal(rte_avp_host_attach(pair.host.port_id, 5000), 0);
		pair_end_wait_link(&pair.guest, true);
		assert_int_equal(to_host.received[0], wanted);
	}
	atomic_store(&forwarder.quit, true);
	pthread_join(forwarder.thread, NULL);
	assert_int_equal(forwarder.nb_kept, 0);
}

static void
a_tag_is_stripped_and_inserted_in_place(void **state)
{
	const struct mode *mode = *state;
	struct pair_end_conf host = {.nb_queues = 1, .devargs = ",mru=9238"};
	struct pair_end_conf guest = {
			.nb_queues = 1,
			.devargs = mode->devargs,
			.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
			.tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT,
	};
	static const char *const offers[] = {",vlan_offload=1", ",vlan_offload=0"};

	for (size_t i = 0; i < 2 * RTE_DIM(offers); i++) {
		struct pair_stream to_guest, to_host;

		host.devargs = offers[i / 2];
		pair_create(&pair, 0, &host, &guest);
		/* a driver that looks at addresses takes another way */
		if (i % 2 == 1)
			assert_int_equal(rte_eth_promiscuous_enable(pair.guest.port_id), 0);
		pair_stream_init(&to_guest, &pair, 1, 2048);
		pair_stream_init(&to_host, &pair, 1, 2048);
		for (uint32_t round = 0; round < 100; round++) {
			struct rte_mbuf *m = pair_stream_make(&to_guest, pair.host.pool, 0, 500);

			assert_non_null(m);
			m->vlan_tci = 0x2123;
			assert_int_equal(rte_vlan_insert(&m), 0);
			rte_eth_tx_burst(pair.host.port_id, 0, NULL, 0);
			assert_int_equal(rte_eth_tx_burst(pair.host.port_id, 0, &m, 1), 1);
			receive_on(&pair.guest, 0, &m, 1);
			assert_true((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0);
			assert_int_equal(m->vlan_tci, 0x2123);
			assert_int_equal(m->pkt_len, 500);
			m->ol_flags |= RTE_MBUF_F_TX_VLAN;
			assert_int_equal(rte_eth_rx_burst(pair.host.port_id, 0, &m, 0), 0);
			assert_int_equal(rte_eth_tx_burst(pair.guest.port_id, 0, &m, 1), 1);
			receive_on(&pair.host, 0, &m, 1);
			assert_int_equal(m->pkt_len, 504);
			assert_int_equal(rte_vlan_strip(m), 0);
			assert_int_equal(m->vlan_tci, 0x2123);
			pair_stream_check(&to_host, m);
		}
		check_leaks(&pair);
		memset(&pair, 0, sizeof(pair));
	}
}

static void
wrong_devargs_are_refused(void **state)
{
	static const char *const wrong[] = {"recycle=2", "recycle=yes",
			"recycle=", "recycle_hold=0", "recycle_hold=65537", "recycle_hold=-1"};
	char args[160];

	(void)state;
	begin(&on, &jumbo, NULL);
	pair_end_remove(&pair.guest);
	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		snprintf(args, sizeof(args), "socket=%s,%s", pair.socket, wrong[i]);
		assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_avp_user9", args), 0);
	}
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_none, teardown)
#define BOTH(name)                                                                   \
	{#name "/on", name, setup_none, teardown, &on},                              \
			{#name "/off", name, setup_none, teardown, &off_in_guest},   \
			{#name "/on, FIFOs", name, setup_none, teardown, &on_fifos}, \
	{                                                                            \
#name "/off, FIFOs", name, setup_none, teardown, &off_fifos          \
	}
#define POINTER(name)                                                 \
	{#name "/rings", name, setup_none, teardown, &on},            \
	{                                                             \
#name "/FIFOs", name, setup_none, teardown, &on_fifos \
	}
	const struct CMUnitTest tests[] = {
			BOTH(forwarded_packets_are_not_copied),
			TEST(a_host_that_does_not_offer_it_is_served_by_copy),
			BOTH(packets_may_be_freed_on_other_threads),
			BOTH(packets_may_be_freed_in_any_order),
			BOTH(clones_may_be_sent_and_freed),
			BOTH(a_packet_that_is_sent_twice_is_copied),
			BOTH(chains_with_mbufs_of_others_may_be_sent),
			BOTH(headers_may_be_added_and_removed),
			BOTH(an_application_that_keeps_many_gets_copies),
			TEST(by_default_half_a_fifo_may_be_kept),
			BOTH(a_host_that_only_sends_is_not_stuck),
			BOTH(more_packets_than_a_fifo_has_entries_go_round),
			BOTH(chains_find_all_the_room_there_is),
			BOTH(a_mempool_that_runs_out_is_no_end),
			BOTH(any_queue_of_the_port_takes_it_back),
			BOTH(another_port_gets_a_copy),
			BOTH(a_stopped_port_has_no_mbufs_and_may_start_again),
			BOTH(packets_outlive_their_port),
			BOTH(packets_outlive_the_host),
			BOTH(what_was_received_before_an_attach_is_not_the_new_devices),
			POINTER(a_detach_waits_for_what_is_being_forwarded),
			BOTH(a_tag_is_stripped_and_inserted_in_place),
			TEST(wrong_devargs_are_refused),
	};

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* NULL: all */
	if (pair_eal_init(argc, argv, "avp-recycle") != 0)
		return 1;
	return cmocka_run_group_tests_name("recycle", tests, NULL, NULL);
}
