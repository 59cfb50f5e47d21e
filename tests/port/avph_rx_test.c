/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Host receive, with a simulated guest: single packets and chains, both kinds of mempool, VLAN,
 * several FIFOs, bad entries, and that no buffer is lost.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ethdev.h>

#include "port_env.h"

static struct port port;
static struct sim_guest guest;
static struct sim_pkt sent;

static void
begin(const struct port_conf *conf, uint32_t nb_queues, uint32_t features)
{
	port_open(&port, "rx", conf);
	assert_int_equal(sim_guest_start(&guest, port.socket, nb_queues, features), 0);
	assert_true(wait_until(port_is_up, &port));
	for (uint32_t lane = 0; lane < nb_queues; lane++)
		guest_wait_alloc(&guest, &port, lane, 60);
}

/* Disconnect, and see that every buffer comes back. */
static void
end(void)
{
	assert_int_equal(guest.nb_dirty, 0);
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

/* Send what is in sent, and see that it arrives. Returns it. */
static struct rte_mbuf *
pass(uint32_t lane, uint32_t seg_size)
{
	struct rte_mbuf *mbuf;

	assert_int_equal(sim_guest_send(&guest, lane, &sent, seg_size), 0);
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	return mbuf;
}

/* Whoever is told of the link may send. */
static void
guest_has_buffers_before_the_first_burst(void **state)
{
	(void)state;
	port_open(&port, "rx", &(struct port_conf){.args = "queues=2"});
	assert_int_equal(sim_guest_start(&guest, port.socket, 2, 0), 0);
	assert_true(wait_until(port_is_up, &port));
	for (uint32_t lane = 0; lane < 2; lane++)
		assert_true(sim_guest_nb_alloc(&guest, lane) >= 60);
	end();
}

static void
packets_of_all_sizes_arrive(void **state)
{
	static const uint32_t sizes[] = {14, 60, 64, 1500, 2047, 2048, 2049, 4096, 9000, 9238};
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "mru=9238", .app_pool = *app_pool};

	begin(&conf, 1, 0);
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		struct rte_mbuf *mbuf;

		pkt_fill(&sent, sizes[i], i, i);
		mbuf = pass(0, 0);
		assert_true(pkt_is(mbuf, &sent));
		assert_int_equal(mbuf->nb_segs, (sizes[i] + 2047) / 2048);
		assert_int_equal(mbuf->port, port.id);
		assert_ptr_equal(mbuf->pool, *app_pool ? port.app_pool : port.own_pool);
		rte_pktmbuf_free(mbuf);
	}
	assert_int_equal(port_xstat(&port, "rx_q0_packets"), RTE_DIM(sizes));
	assert_int_equal(port_xstat_sum(&port, "rx_q0_drop_"), 0);
	end();
}

static void
chains_of_small_segments_arrive(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.app_pool = *app_pool};

	begin(&conf, 1, 0);
	for (uint32_t nb_segs = 1; nb_segs <= AVP_MAX_SEGS; nb_segs++) {
		struct rte_mbuf *mbuf;

		pkt_fill(&sent, 20 * nb_segs - 1, 0, nb_segs);
		mbuf = pass(0, 20);
		assert_int_equal(mbuf->nb_segs, nb_segs);
		assert_true(pkt_is(mbuf, &sent));
		rte_pktmbuf_free(mbuf);
	}
	assert_int_equal(port_xstat(&port, "rx_q0_chains"), AVP_MAX_SEGS - 1);
	end();
}

static void
thousands_of_packets_keep_their_order(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.app_pool = *app_pool};
	struct rte_mbuf *mbufs[64];
	uint32_t nb_sent = 0;
	uint32_t nb_seen = 0;

	begin(&conf, 1, 0);
	while (nb_seen < 20000) {
		uint16_t nb;

		for (;;) {
			pkt_fill(&sent, 64 + nb_sent % 1400, 0, nb_sent);
			if (nb_sent == 20000 || sim_guest_send(&guest, 0, &sent, 0) < 0)
				break;
			nb_sent++;
		}
		nb = rte_eth_rx_burst(port.id, 0, mbufs, 1 + nb_sent % 64);
		for (uint16_t i = 0; i < nb; i++, nb_seen++) {
			pkt_fill(&sent, 64 + nb_seen % 1400, 0, nb_seen);
			assert_true(pkt_is(mbufs[i], &sent));
		}
		rte_pktmbuf_free_bulk(mbufs, nb);
	}
	assert_int_equal(nb_sent, nb_seen);
	end();
}

static void
tag_given_out_of_band_is_inserted(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "vlan_offload=1", .app_pool = *app_pool};
	static struct sim_pkt want;
	struct rte_mbuf *mbuf;

	begin(&conf, 1, AVP_FEATURE_VLAN);
	pkt_fill(&sent, 100, 0, 1);
	sent.ol_flags = AVP_DESC_TX_VLAN;
	sent.vlan_tci = 0x6123;
	want = sent;
	memmove(want.data + 16, sent.data + 12, 88);
	memcpy(want.data + 12, "\x81\x00\x61\x23", 4);
	want.len = 104;
	mbuf = pass(0, 0);
	assert_true(pkt_is(mbuf, &want));
	assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN, 0);
	rte_pktmbuf_free(mbuf);
	end();
}

static void
tag_given_out_of_band_stays_out_of_band_with_strip(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "vlan_offload=1",
			.app_pool = *app_pool,
			.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP};
	struct rte_mbuf *mbuf;

	begin(&conf, 1, AVP_FEATURE_VLAN);
	pkt_fill(&sent, 100, 0, 1);
	sent.ol_flags = AVP_DESC_TX_VLAN;
	sent.vlan_tci = 0x6123;
	mbuf = pass(0, 0);
	assert_true(pkt_is(mbuf, &sent));
	assert_true(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN);
	assert_true(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
	assert_int_equal(mbuf->vlan_tci, 0x6123);
	rte_pktmbuf_free(mbuf);
	end();
}

static void
tag_in_the_data_is_stripped_when_wanted(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {
			.app_pool = *app_pool, .rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP};
	static struct sim_pkt want;
	struct rte_mbuf *mbuf;

	begin(&conf, 1, 0);
	pkt_fill(&want, 100, 0, 1);
	sent = want;
	memmove(sent.data + 16, want.data + 12, 88);
	memcpy(sent.data + 12, "\x81\x00\x00\x05", 4);
	sent.len = 104;
	mbuf = pass(0, 0);
	assert_true(pkt_is(mbuf, &want));
	assert_true(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
	assert_int_equal(mbuf->vlan_tci, 5);
	rte_pktmbuf_free(mbuf);
	/* switched off at run time it stays where it is */
	assert_int_equal(rte_eth_dev_set_vlan_offload(port.id, 0), 0);
	mbuf = pass(0, 0);
	assert_true(pkt_is(mbuf, &sent));
	assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN, 0);
	rte_pktmbuf_free(mbuf);
	end();
}

static void
one_queue_serves_all_fifos(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "queues=8,ring=64", .app_pool = *app_pool};
	struct rte_mbuf *mbufs[8];
	uint32_t seen = 0;

	begin(&conf, 8, 0);
	/* one FIFO is always full: the others must not starve behind it */
	for (int i = 0; i < 60; i++) {
		pkt_fill(&sent, 60, 0, 0);
		if (sim_guest_send(&guest, 0, &sent, 0) < 0)
			break;
	}
	for (uint32_t lane = 1; lane < 8; lane++) {
		pkt_fill(&sent, 60, lane, lane);
		assert_int_equal(sim_guest_send(&guest, lane, &sent, 0), 0);
	}
	for (int burst = 0; burst < 16; burst++) {
		const uint16_t nb = rte_eth_rx_burst(port.id, 0, mbufs, 4);

		for (uint16_t i = 0; i < nb; i++) {
			for (uint32_t lane = 1; lane < 8; lane++) {
				pkt_fill(&sent, 60, lane, lane);
				if (pkt_is(mbufs[i], &sent))
					seen |= 1u << lane;
			}
		}
		rte_pktmbuf_free_bulk(mbufs, nb);
	}
	assert_int_equal(seen, 0xfe);
	end();
}

static void
queues_share_the_fifos_out(void **state)
{
	const struct port_conf conf = {.args = "queues=4,ring=64", .nb_rxq = 6};
	struct rte_mbuf *mbuf;

	(void)state;
	begin(&conf, 4, 0);
	for (uint16_t lane = 0; lane < 4; lane++) {
		pkt_fill(&sent, 60, lane, lane);
		assert_int_equal(sim_guest_send(&guest, lane, &sent, 0), 0);
		for (uint16_t queue = 0; queue < 6; queue++) {
			const uint16_t nb = rte_eth_rx_burst(port.id, queue, &mbuf, 1);

			assert_int_equal(nb, queue == lane ? 1 : 0);
			if (nb == 1) {
				assert_true(pkt_is(mbuf, &sent));
				rte_pktmbuf_free(mbuf);
			}
		}
	}
	end();
}

static void
bad_entries_are_counted_and_cost_no_buffer(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.app_pool = *app_pool};
	struct rte_mbuf *mbuf;
	struct avp_desc *desc;
	uint64_t va;

	begin(&conf, 1, 0);
	pkt_fill(&sent, 100, 0, 0);
	/* outside, between buffers, never given */
	assert_true(sim_guest_put_tx(&guest, 0, 0));
	assert_true(sim_guest_put_tx(&guest, 0, guest.info->buf_va + 64));
	assert_true(sim_guest_put_tx(&guest, 0, guest.info->buf_va + 1023 * 2240));
	/* twice the same: the first counts */
	assert_int_equal(sim_guest_build(&guest, 0, &sent, 0, &va), 0);
	assert_true(sim_guest_put_tx(&guest, 0, va));
	assert_true(sim_guest_put_tx(&guest, 0, va));
	/* a chain that loops */
	assert_int_equal(sim_guest_build(&guest, 0, &sent, 50, &va), 0);
	desc = sim_guest_ptr(&guest, va);
	desc = sim_guest_ptr(&guest, desc->next_va);
	desc->next_va = va;
	assert_true(sim_guest_put_tx(&guest, 0, va));
	/* lengths that lie */
	assert_int_equal(sim_guest_build(&guest, 0, &sent, 0, &va), 0);
	desc = sim_guest_ptr(&guest, va);
	desc->data_len = 3000;
	assert_true(sim_guest_put_tx(&guest, 0, va));
	assert_int_equal(sim_guest_build(&guest, 0, &sent, 0, &va), 0);
	desc = sim_guest_ptr(&guest, va);
	desc->pkt_len = 99;
	assert_true(sim_guest_put_tx(&guest, 0, va));
	/* a good one behind them */
	pkt_fill(&sent, 200, 0, 7);
	assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);

	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	assert_true(pkt_is(mbuf, &sent));
	rte_pktmbuf_free(mbuf);
	assert_int_equal(port_xstat(&port, "rx_q0_drop_bad_range"), 1);
	assert_int_equal(port_xstat(&port, "rx_q0_drop_bad_stride"), 1);
	assert_int_equal(port_xstat(&port, "rx_q0_drop_bad_owner"), 2);
	assert_int_equal(port_xstat(&port, "rx_q0_drop_bad_chain"), 1);
	assert_int_equal(port_xstat(&port, "rx_q0_drop_bad_data_len"), 1);
	assert_int_equal(port_xstat(&port, "rx_q0_drop_bad_pkt_len"), 1);
	assert_int_equal(port_xstat(&port, "rx_q0_packets"), 2);
	end();
}

static void
an_empty_application_pool_loses_no_packet(void **state)
{
	const struct port_conf conf = {.app_pool = true};
	struct rte_mbuf *all[4096];
	struct rte_mbuf *mbufs[40];
	unsigned int nb = 0;

	(void)state;
	begin(&conf, 1, 0);
	while (nb < RTE_DIM(all) && (all[nb] = rte_pktmbuf_alloc(port.app_pool)) != NULL)
		nb++;
	pkt_fill(&sent, 5000, 0, 3);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
	assert_int_equal(rte_eth_rx_burst(port.id, 0, mbufs, 32), 0);
	assert_true(port_xstat(&port, "rx_q0_no_mbuf") > 0);
	/* enough for one chain of three and a bit */
	rte_pktmbuf_free_bulk(all, 4);
	assert_int_equal(rte_eth_rx_burst(port.id, 0, mbufs, 32), 1);
	assert_true(pkt_is(mbufs[0], &sent));
	rte_pktmbuf_free_bulk(all + 4, nb - 4);
	assert_int_equal(port_recv(&port, 0, mbufs + 1, 9), 9);
	for (int i = 1; i < 10; i++)
		assert_true(pkt_is(mbufs[i], &sent));
	rte_pktmbuf_free_bulk(mbufs, 10);
	end();
}

static void
attached_buffers_outlive_clones_and_the_guest(void **state)
{
	const struct port_conf conf = {.app_pool = true};
	struct rte_mbuf *mbuf;
	struct rte_mbuf *clone;

	(void)state;
	begin(&conf, 1, 0);
	pkt_fill(&sent, 3000, 0, 3);
	mbuf = pass(0, 0);
	clone = rte_pktmbuf_clone(mbuf, port.app_pool);
	assert_non_null(clone);
	rte_pktmbuf_free(mbuf);
	sim_guest_disconnect(&guest);
	assert_true(wait_until(port_is_down, &port));
	assert_true(pkt_is(clone, &sent));
	assert_false(port_pool_full(&port));
	rte_pktmbuf_free(clone);
	end();
}

/* A test that runs with both kinds of mempool. */
#define BOTH(name)                                                 \
	{#name, name, NULL, clean_up, &own_pool},                  \
	{                                                          \
#name "_attached", name, NULL, clean_up, &app_pool \
	}

int
main(void)
{
	static bool own_pool = false;
	static bool app_pool = true;
	const struct CMUnitTest tests[] = {
			BOTH(packets_of_all_sizes_arrive),
			BOTH(chains_of_small_segments_arrive),
			BOTH(thousands_of_packets_keep_their_order),
			BOTH(tag_given_out_of_band_is_inserted),
			BOTH(tag_given_out_of_band_stays_out_of_band_with_strip),
			BOTH(tag_in_the_data_is_stripped_when_wanted),
			BOTH(one_queue_serves_all_fifos),
			cmocka_unit_test_teardown(
					guest_has_buffers_before_the_first_burst, clean_up),
			cmocka_unit_test_teardown(queues_share_the_fifos_out, clean_up),
			BOTH(bad_entries_are_counted_and_cost_no_buffer),
			cmocka_unit_test_teardown(
					an_empty_application_pool_loses_no_packet, clean_up),
			cmocka_unit_test_teardown(
					attached_buffers_outlive_clones_and_the_guest, clean_up),
	};

	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
