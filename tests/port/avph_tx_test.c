/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Host transmit, with a simulated guest: by copy and by pointer, chains, VLAN, limits, flow hash,
 * lanes shared by queues, bad returns, and that no buffer is lost.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ethdev.h>

#include "port_env.h"

static struct port port;
static struct sim_guest guest;
static struct sim_pkt sent;
static struct sim_pkt got;

/* Packets come from the application's pool, so they must be copied, unless a test takes them from
 * the port's own. */
static void
begin(struct port_conf conf, uint32_t nb_queues, uint32_t features)
{
	conf.app_pool = true;
	port_open(&port, "tx", &conf);
	assert_int_equal(sim_guest_start(&guest, port.socket, nb_queues, features), 0);
	assert_true(wait_until(port_is_up, &port));
}

static void
end(void)
{
	sim_guest_disconnect(&guest);
	assert_true(wait_until(port_is_down, &port));
	assert_true(port_pool_full(&port));
	port_close(&port);
}

static int
clean_up(void **state)
{
	(void)state;
	sim_guest_disconnect(&guest);
	port_abandon(&port);
	return 0;
}

static uint16_t
send_one(uint16_t queue, struct rte_mbuf *mbuf)
{
	return rte_eth_tx_burst(port.id, queue, &mbuf, 1);
}

/* Send what is in sent, as mbufs of @pool with @seg_size bytes each. */
static void
send_sent(struct rte_mempool *pool, uint32_t seg_size)
{
	assert_int_equal(send_one(0, pkt_mbuf(pool, &sent, seg_size)), 1);
}

static void
assert_got(const struct sim_pkt *want)
{
	assert_int_equal(sim_guest_recv(&guest, 0, &got), 0);
	assert_int_equal(got.len, want->len);
	assert_memory_equal(got.data, want->data, want->len);
	assert_int_equal(got.ol_flags, want->ol_flags);
	assert_int_equal(got.vlan_tci, want->vlan_tci);
}

static void
packets_of_all_sizes_are_copied(void **state)
{
	static const uint32_t sizes[] = {14, 60, 64, 1500, 2047, 2048, 2049, 4096, 9000, 9238};
	static const uint32_t seg_sizes[] = {0, 13, 1000};

	(void)state;
	begin((struct port_conf){.args = "mru=9238"}, 1, 0);
	for (unsigned int i = 0; i < RTE_DIM(sizes) * RTE_DIM(seg_sizes); i++) {
		const uint32_t size = sizes[i / RTE_DIM(seg_sizes)];

		pkt_fill(&sent, size, i, i);
		send_sent(port.app_pool, seg_sizes[i % RTE_DIM(seg_sizes)]);
		assert_got(&sent);
		assert_int_equal(got.nb_segs, (size + 2047) / 2048);
	}
	assert_int_equal(port_xstat(&port, "tx_q0_copied"), 30);
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 0);
	assert_true(rte_mempool_full(port.app_pool));
	end();
}

static void
packets_in_the_ports_memory_pass_by_pointer(void **state)
{
	unsigned int nb_given; /* empty buffers that the guest has */
	uint64_t va;

	(void)state;
	begin((struct port_conf){.args = "mru=9238"}, 1, 0);
	nb_given = rte_mempool_in_use_count(port.own_pool);
	for (uint32_t seg_size = 0; seg_size <= 2000; seg_size += 1000) {
		const struct avp_desc *desc;
		struct rte_mbuf *mbuf;

		pkt_fill(&sent, 3500, 0, seg_size);
		mbuf = pkt_mbuf(port.own_pool, &sent, seg_size);
		assert_int_equal(send_one(0, mbuf), 1);
		assert_true(sim_guest_take_rx(&guest, 0, &va));
		sim_guest_read(&guest, va, &got);
		assert_int_equal(got.len, sent.len);
		assert_memory_equal(got.data, sent.data, sent.len);
		/* the mbufs stay until the guest returns the head */
		assert_int_equal(rte_eth_tx_burst(port.id, 0, NULL, 0), 0);
		assert_int_equal(rte_mempool_in_use_count(port.own_pool), nb_given + got.nb_segs);
		/* and are its data, not a copy of them */
		desc = sim_guest_ptr(&guest, va);
		rte_pktmbuf_mtod(mbuf, uint8_t *)[20] ^= 0xff;
		assert_int_equal(*((const uint8_t *)sim_guest_ptr(&guest, desc->data_va) + 20),
				(uint8_t)~sent.data[20]);
		assert_true(sim_guest_put_free(&guest, 0, va));
		assert_int_equal(rte_eth_tx_done_cleanup(port.id, 0, 0), 1);
		assert_int_equal(rte_mempool_in_use_count(port.own_pool), nb_given);
	}
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 3);
	assert_int_equal(port_xstat(&port, "tx_q0_copied"), 0);
	end();
}

static void
packets_that_somebody_else_has_are_copied(void **state)
{
	struct rte_mbuf *mbuf;
	struct rte_mbuf *clone;

	(void)state;
	begin((struct port_conf){0}, 1, 0);
	pkt_fill(&sent, 500, 0, 1);
	mbuf = pkt_mbuf(port.own_pool, &sent, 0);
	rte_pktmbuf_refcnt_update(mbuf, 1);
	assert_int_equal(send_one(0, mbuf), 1);
	assert_got(&sent);
	clone = rte_pktmbuf_clone(mbuf, port.app_pool);
	assert_non_null(clone);
	assert_int_equal(send_one(0, clone), 1);
	assert_got(&sent);
	assert_int_equal(port_xstat(&port, "tx_q0_copied"), 2);
	/* nobody else any more */
	assert_int_equal(rte_mbuf_refcnt_read(mbuf), 1);
	assert_int_equal(send_one(0, mbuf), 1);
	assert_got(&sent);
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 1);
	end();
}

static void
chains_become_one_buffer_for_a_guest_of_small_packets(void **state)
{
	(void)state;
	begin((struct port_conf){0}, 1, 0);
	pkt_fill(&sent, 1000, 0, 1);
	send_sent(port.own_pool, 300);
	assert_got(&sent);
	assert_int_equal(got.nb_segs, 1);
	assert_int_equal(port_xstat(&port, "tx_q0_copied"), 1);
	end();
}

static void
chains_of_too_many_segments_are_copied(void **state)
{
	(void)state;
	begin((struct port_conf){.args = "mru=9238"}, 1, 0);
	pkt_fill(&sent, 6000, 0, 1);
	send_sent(port.own_pool, 1200);
	assert_got(&sent);
	assert_int_equal(got.nb_segs, 5);
	send_sent(port.own_pool, 1000);
	assert_got(&sent);
	assert_int_equal(got.nb_segs, 3);
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 1);
	assert_int_equal(port_xstat(&port, "tx_q0_copied"), 1);
	end();
}

static void
too_long_and_too_short_packets_are_dropped(void **state)
{
	(void)state;
	begin((struct port_conf){.args = "mru=1000"}, 1, 0);
	pkt_fill(&sent, 1001, 0, 1);
	send_sent(port.app_pool, 0);
	pkt_fill(&sent, 13, 0, 1);
	send_sent(port.app_pool, 0);
	pkt_fill(&sent, 1000, 0, 1);
	send_sent(port.app_pool, 0);
	assert_got(&sent);
	assert_int_equal(sim_guest_recv(&guest, 0, &got), -EAGAIN);
	assert_int_equal(port_xstat(&port, "tx_q0_drop_too_long"), 1);
	assert_int_equal(port_xstat(&port, "tx_q0_drop_too_short"), 1);
	assert_int_equal(port_xstat(&port, "tx_q0_packets"), 1);
	end();
}

static void
a_full_fifo_leaves_packets_with_the_application(void **state)
{
	struct rte_mbuf *mbufs[100];

	(void)state;
	begin((struct port_conf){.args = "ring=64"}, 1, 0);
	for (uint32_t i = 0; i < 100; i++) {
		pkt_fill(&sent, 100 + i, 0, i);
		mbufs[i] = pkt_mbuf(port.app_pool, &sent, 0);
	}
	assert_int_equal(rte_eth_tx_burst(port.id, 0, mbufs, 100), 63);
	assert_int_equal(rte_eth_tx_burst(port.id, 0, mbufs + 63, 37), 0);
	assert_true(port_xstat(&port, "tx_q0_fifo_full") > 0);
	for (uint32_t i = 0; i < 100; i++) {
		if (i == 63)
			assert_int_equal(rte_eth_tx_burst(port.id, 0, mbufs + 63, 37), 37);
		pkt_fill(&sent, 100 + i, 0, i);
		assert_got(&sent);
	}
	end();
}

static void
the_guest_never_has_more_than_its_free_fifo_takes(void **state)
{
	struct rte_mbuf *mbufs[64];
	uint64_t taken[63];

	(void)state;
	begin((struct port_conf){.args = "ring=64"}, 1, 0);
	pkt_fill(&sent, 100, 0, 0);
	for (uint32_t i = 0; i < 64; i++)
		mbufs[i] = pkt_mbuf(port.app_pool, &sent, 0);
	assert_int_equal(rte_eth_tx_burst(port.id, 0, mbufs, 63), 63);
	for (uint32_t i = 0; i < 63; i++)
		assert_true(sim_guest_take_rx(&guest, 0, &taken[i]));
	assert_int_equal(send_one(0, mbufs[63]), 0);
	assert_true(sim_guest_put_free(&guest, 0, taken[0]));
	assert_int_equal(send_one(0, mbufs[63]), 1);
	end();
}

static void
an_empty_pool_leaves_packets_with_the_application(void **state)
{
	struct rte_mbuf *mbufs[128];
	uint64_t taken[128];
	uint16_t nb;

	(void)state;
	begin((struct port_conf){.args = "ring=256,buffers=128"}, 1, 0);
	guest_wait_alloc(&guest, &port, 0, 64);
	pkt_fill(&sent, 100, 0, 0);
	for (uint32_t i = 0; i < 128; i++)
		mbufs[i] = pkt_mbuf(port.app_pool, &sent, 0);
	/* half of the buffers are the guest's for sending */
	nb = rte_eth_tx_burst(port.id, 0, mbufs, 128);
	assert_int_equal(nb, 64);
	assert_int_equal(port_xstat(&port, "tx_q0_pool_empty"), 1);
	for (uint16_t i = 0; i < nb; i++)
		assert_true(sim_guest_take_rx(&guest, 0, &taken[i]));
	assert_int_equal(rte_eth_tx_burst(port.id, 0, mbufs + nb, 1), 0);
	for (uint16_t i = 0; i < nb; i++)
		assert_true(sim_guest_put_free(&guest, 0, taken[i]));
	assert_int_equal(rte_eth_tx_burst(port.id, 0, mbufs + nb, 64), 64);
	assert_true(rte_mempool_full(port.app_pool));
	end();
}

static void
insert_tag(struct sim_pkt *pkt, const char *tag)
{
	memmove(pkt->data + 16, pkt->data + 12, pkt->len - 12);
	memcpy(pkt->data + 12, tag, 4);
	pkt->len += 4;
}

/* Send a packet with a tag out of band. */
static void
send_tagged(struct rte_mempool *pool, uint32_t seg_size)
{
	struct rte_mbuf *mbuf = pkt_mbuf(pool, &sent, seg_size);

	mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
	mbuf->vlan_tci = 0x2005;
	assert_int_equal(send_one(0, mbuf), 1);
}

static void
tag_goes_out_of_band_to_a_guest_that_takes_it_so(void **state)
{
	static struct sim_pkt want;

	(void)state;
	begin((struct port_conf){.args = "vlan_offload=1,mru=9238"}, 1, AVP_FEATURE_VLAN);
	pkt_fill(&sent, 3000, 0, 1);
	want = sent;
	want.ol_flags = AVP_DESC_RX_VLAN;
	want.vlan_tci = 0x2005;
	send_tagged(port.app_pool, 0);
	assert_got(&want);
	send_tagged(port.own_pool, 0);
	assert_got(&want);
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 1);
	end();
}

static void
tag_in_the_data_goes_out_of_band_to_a_guest_that_takes_it_so(void **state)
{
	static struct sim_pkt want;

	(void)state;
	begin((struct port_conf){.args = "vlan_offload=1,mru=9238"}, 1, AVP_FEATURE_VLAN);
	pkt_fill(&want, 3000, 0, 1);
	sent = want;
	insert_tag(&sent, "\x81\x00\x20\x05");
	want.ol_flags = AVP_DESC_RX_VLAN;
	want.vlan_tci = 0x2005;
	send_sent(port.app_pool, 0);
	assert_got(&want);
	send_sent(port.app_pool, 18);
	assert_got(&want);
	send_sent(port.own_pool, 0);
	assert_got(&want);
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 1);
	/* of two tags the outer one */
	insert_tag(&want, "\x81\x00\x00\x07");
	insert_tag(&sent, "\x81\x00\x00\x07");
	memcpy(sent.data + 12, "\x81\x00\x20\x05\x81\x00\x00\x07", 8);
	send_sent(port.app_pool, 0);
	assert_got(&want);
	end();
}

static void
tag_is_put_into_the_data_for_other_guests(void **state)
{
	static struct sim_pkt want;

	(void)state;
	/* offered, not accepted */
	begin((struct port_conf){.args = "vlan_offload=1,mru=9238"}, 1, 0);
	for (uint32_t len = 60; len <= 3000; len += 2940) {
		pkt_fill(&sent, len, 0, 1);
		want = sent;
		insert_tag(&want, "\x81\x00\x20\x05");
		send_tagged(port.app_pool, 0);
		assert_got(&want);
		send_tagged(port.app_pool, 7);
		assert_got(&want);
		send_tagged(port.own_pool, 0);
		assert_got(&want);
	}
	assert_int_equal(port_xstat(&port, "tx_q0_by_pointer"), 2);
	end();
}

static void
tag_counts_towards_the_largest_packet(void **state)
{
	(void)state;
	begin((struct port_conf){.args = "mru=1000"}, 1, 0);
	pkt_fill(&sent, 997, 0, 1);
	send_tagged(port.app_pool, 0);
	assert_int_equal(port_xstat(&port, "tx_q0_drop_too_long"), 1);
	pkt_fill(&sent, 996, 0, 1);
	send_tagged(port.app_pool, 0);
	assert_int_equal(sim_guest_recv(&guest, 0, &got), 0);
	assert_int_equal(got.len, 1000);
	end();
}

static void
flows_spread_over_fifos_and_keep_their_order(void **state)
{
	uint32_t lane_of[64];
	uint32_t next[64] = {0};
	uint32_t nb_on[8] = {0};

	(void)state;
	begin((struct port_conf){.args = "queues=8,ring=256"}, 8, 0);
	memset(lane_of, 0xff, sizeof(lane_of));
	for (uint32_t seq = 0; seq < 3; seq++) {
		for (uint32_t flow = 0; flow < 64; flow++) {
			pkt_fill(&sent, 64, flow, 0);
			sent.data[60] = (uint8_t)flow;
			sent.data[61] = (uint8_t)seq;
			send_sent(port.app_pool, 0);
		}
	}
	for (uint32_t lane = 0; lane < 8; lane++) {
		while (sim_guest_recv(&guest, lane, &got) == 0) {
			const uint8_t flow = got.data[60];

			assert_true(lane_of[flow] == UINT32_MAX || lane_of[flow] == lane);
			lane_of[flow] = lane;
			assert_int_equal(got.data[61], next[flow]++);
			nb_on[lane]++;
		}
	}
	for (uint32_t lane = 0; lane < 8; lane++)
		assert_true(nb_on[lane] > 0);
	for (uint32_t flow = 0; flow < 64; flow++)
		assert_int_equal(next[flow], 3);
	end();
}

static void
the_hash_of_a_nic_decides_if_there_is_one(void **state)
{
	uint32_t first = UINT32_MAX;

	(void)state;
	begin((struct port_conf){.args = "queues=4,ring=64"}, 4, 0);
	for (uint32_t flow = 0; flow < 16; flow++) {
		struct rte_mbuf *mbuf;
		uint32_t lane;

		pkt_fill(&sent, 64, flow, 0);
		mbuf = pkt_mbuf(port.app_pool, &sent, 0);
		mbuf->hash.rss = 0x1234;
		mbuf->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		assert_int_equal(send_one(0, mbuf), 1);
		for (lane = 0; lane < 4; lane++) {
			if (sim_guest_recv(&guest, lane, &got) == 0)
				break;
		}
		if (first == UINT32_MAX)
			first = lane;
		assert_int_equal(lane, first);
	}
	end();
}

static void
queues_beyond_the_fifos_share_them(void **state)
{
	(void)state;
	begin((struct port_conf){.args = "queues=2,ring=64", .nb_txq = 64}, 2, 0);
	for (uint16_t queue = 0; queue < 64; queue++) {
		pkt_fill(&sent, 64, queue, queue);
		assert_int_equal(send_one(queue, pkt_mbuf(port.app_pool, &sent, 0)), 1);
		assert_int_equal(sim_guest_recv(&guest, (queue + 1) % 2, &got), -EAGAIN);
		assert_int_equal(sim_guest_recv(&guest, queue % 2, &got), 0);
		assert_memory_equal(got.data, sent.data, sent.len);
	}
	end();
}

#define SENDERS 3u
#define SENDER_PKTS 5000u

struct sender {
	pthread_t thread;
	uint16_t queue;
	atomic_uint failed;
};

static void *
sender_run(void *arg)
{
	struct sender *sender = arg;
	struct sim_pkt pkt;

	if (rte_thread_register() < 0) {
		atomic_store(&sender->failed, 1);
		return NULL;
	}
	for (uint32_t i = 0; i < SENDER_PKTS; i++) {
		struct rte_mbuf *mbuf;

		pkt_fill(&pkt, 64, sender->queue, 0);
		memcpy(pkt.data + 50, &sender->queue, sizeof(sender->queue));
		memcpy(pkt.data + 52, &i, sizeof(i));
		mbuf = pkt_mbuf(port.app_pool, &pkt, 0);
		while (send_one(sender->queue, mbuf) == 0)
			sched_yield();
	}
	rte_thread_unregister();
	return NULL;
}

static void
threads_may_share_a_fifo(void **state)
{
	struct sender senders[SENDERS];
	uint32_t next[SENDERS] = {0};

	(void)state;
	begin((struct port_conf){.args = "ring=64", .nb_txq = SENDERS}, 1, 0);
	for (uint16_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.queue = i};
		assert_int_equal(pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]),
				0);
	}
	for (uint32_t nb = 0; nb < SENDERS * SENDER_PKTS; nb++) {
		uint16_t queue;
		uint32_t seq;

		assert_int_equal(guest_recv(&guest, 0, &got), 0);
		memcpy(&queue, got.data + 50, sizeof(queue));
		memcpy(&seq, got.data + 52, sizeof(seq));
		assert_true(queue < SENDERS);
		assert_int_equal(seq, next[queue]++);
	}
	for (uint16_t i = 0; i < SENDERS; i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(atomic_load(&senders[i].failed), 0);
	}
	end();
}

static void
bad_returns_are_counted_and_free_nothing(void **state)
{
	uint64_t head;
	uint64_t empty;

	(void)state;
	begin((struct port_conf){.args = "mru=9238"}, 1, 0);
	guest_wait_alloc(&guest, &port, 0, 64);
	assert_true(sim_guest_alloc(&guest, 0, &empty));
	pkt_fill(&sent, 3000, 0, 1);
	send_sent(port.app_pool, 0);
	assert_true(sim_guest_take_rx(&guest, 0, &head));
	/* outside, between buffers, one that was for sending, a tail, the head twice */
	assert_true(sim_guest_put_free(&guest, 0, 1));
	assert_true(sim_guest_put_free(&guest, 0, guest.info->buf_va + 8));
	assert_true(sim_guest_put_free(&guest, 0, empty));
	assert_true(sim_guest_put_free(&guest, 0,
			((const struct avp_desc *)sim_guest_ptr(&guest, head))->next_va));
	assert_true(sim_guest_put_free(&guest, 0, head));
	assert_true(sim_guest_put_free(&guest, 0, head));
	assert_int_equal(rte_eth_tx_done_cleanup(port.id, 0, 0), 1);
	assert_int_equal(port_xstat(&port, "tx_q0_free_bad_range"), 1);
	assert_int_equal(port_xstat(&port, "tx_q0_free_bad_stride"), 1);
	assert_int_equal(port_xstat(&port, "tx_q0_free_bad_owner"), 3);
	/* it still is good for sending */
	assert_true(sim_guest_put_tx(&guest, 0, empty));
	end();
}

static void
spoilt_fifos_are_counted_and_survived(void **state)
{
	struct avp_fifo *fifo;
	struct rte_mbuf *mbuf;

	(void)state;
	begin((struct port_conf){.args = "ring=64"}, 1, 0);
	pkt_fill(&sent, 100, 0, 1);
	fifo = guest.lanes[0].rx.fifo;
	fifo->read = 12345;
	send_sent(port.app_pool, 0);
	assert_int_equal(port_xstat(&port, "tx_q0_rx_fifo_bad_index"), 0);
	/* only when the room it knows of is not enough does it look */
	for (int i = 0; i < 62; i++)
		send_sent(port.app_pool, 0);
	mbuf = pkt_mbuf(port.app_pool, &sent, 0);
	assert_int_equal(send_one(0, mbuf), 0);
	rte_pktmbuf_free(mbuf);
	assert_true(port_xstat(&port, "tx_q0_rx_fifo_bad_index") > 0);
	fifo->read = 0;
	for (int i = 0; i < 63; i++)
		assert_got(&sent);
	fifo->len = 1u << 30;
	send_sent(port.app_pool, 0);
	assert_int_equal(port_xstat(&port, "tx_q0_rx_fifo_bad_len"), 1);
	assert_got(&sent);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(packets_of_all_sizes_are_copied, clean_up),
			cmocka_unit_test_teardown(
					packets_in_the_ports_memory_pass_by_pointer, clean_up),
			cmocka_unit_test_teardown(
					packets_that_somebody_else_has_are_copied, clean_up),
			cmocka_unit_test_teardown(
					chains_become_one_buffer_for_a_guest_of_small_packets,
					clean_up),
			cmocka_unit_test_teardown(chains_of_too_many_segments_are_copied, clean_up),
			cmocka_unit_test_teardown(
					too_long_and_too_short_packets_are_dropped, clean_up),
			cmocka_unit_test_teardown(
					a_full_fifo_leaves_packets_with_the_application, clean_up),
			cmocka_unit_test_teardown(the_guest_never_has_more_than_its_free_fifo_takes,
					clean_up),
			cmocka_unit_test_teardown(an_empty_pool_leaves_packets_with_the_application,
					clean_up),
			cmocka_unit_test_teardown(
					tag_goes_out_of_band_to_a_guest_that_takes_it_so, clean_up),
			cmocka_unit_test_teardown(
					tag_in_the_data_goes_out_of_band_to_a_guest_that_takes_it_so,
					clean_up),
			cmocka_unit_test_teardown(
					tag_is_put_into_the_data_for_other_guests, clean_up),
			cmocka_unit_test_teardown(tag_counts_towards_the_largest_packet, clean_up),
			cmocka_unit_test_teardown(
					flows_spread_over_fifos_and_keep_their_order, clean_up),
			cmocka_unit_test_teardown(
					the_hash_of_a_nic_decides_if_there_is_one, clean_up),
			cmocka_unit_test_teardown(queues_beyond_the_fifos_share_them, clean_up),
			cmocka_unit_test_teardown(threads_may_share_a_fifo, clean_up),
			cmocka_unit_test_teardown(
					bad_returns_are_counted_and_free_nothing, clean_up),
			cmocka_unit_test_teardown(spoilt_fifos_are_counted_and_survived, clean_up),
	};

	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
