/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Feature bit "compact", the host's side, with a simulated guest: packets of all forms pass both
 * ways, and of what a guest writes into a ring nothing that is wrong goes further, each kind of it
 * under its name, with all of its buffers the host's in the end.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_ether.h>

#include "port_env.h"
#include "test_random.h"

#define DATA_OFF 192u
#define FEATURES (AVP_FEATURE_COMPACT | AVP_FEATURE_RECYCLE)

static struct port a;
static struct sim_guest guest;
static struct sim_pkt sent;

static int
clean_up(void **state)
{
	(void)state;
	sim_guest_disconnect(&guest);
	port_abandon(&a);
	return 0;
}

static void
begin(const struct port_conf *conf, uint32_t features)
{
	port_open(&a, "a", conf);
	assert_int_equal(sim_guest_start(&guest, a.socket, 1, features), 0);
	assert_true(wait_until(port_is_up, &a));
	guest_wait_alloc(&guest, &a, 0, 60);
}

/* All that the port ever had is its own again, once its guest is gone. */
static void
end(void)
{
	sim_guest_disconnect(&guest);
	assert_true(wait_until(port_is_down, &a));
	assert_true(port_pool_full(&a));
	port_close(&a);
}

/* Copy @sent into @nb buffers of the alloc FIFO, and describe it. */
static void
build(struct avp_cring_words *words, uint32_t nb)
{
	const uint32_t each = (sent.len + nb - 1) / nb;

	for (uint32_t i = 0; i < nb; i++) {
		const uint32_t off = i * each;
		const uint32_t len = sent.len - off < each ? sent.len - off : each;
		uint64_t va;

		while (!sim_guest_alloc(&guest, 0, &va))
			assert_int_equal(rte_eth_rx_burst(a.id, 0, &(struct rte_mbuf *){NULL}, 1),
					0);
		memcpy((uint8_t *)sim_guest_ptr(&guest, va) + DATA_OFF, sent.data + off, len);
		words[i].place = avp_cring_place(sim_guest_buf_idx(&guest, va), DATA_OFF, len);
		words[i].state = avp_cring_state(i + 1 < nb ? AVP_CDESC_MORE : 0, 0);
	}
}

static void
assert_received(void)
{
	struct rte_mbuf *mbuf = NULL;

	assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbuf, 1), 1);
	assert_true(pkt_is(mbuf, &sent));
	rte_pktmbuf_free(mbuf);
}

static void
assert_good_passes(void)
{
	struct avp_cring_words words[1];

	pkt_fill(&sent, 300, 9, 9);
	build(words, 1);
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_received();
}

/* Nothing comes, and it is counted once, under that name and no other. */
static void
assert_dropped(const char *reason)
{
	const uint64_t before = port_xstat_sum(&a, "rx_q0_drop_");
	struct rte_mbuf *mbuf;
	char name[48];
	uint64_t count;

	snprintf(name, sizeof(name), "rx_q0_drop_%s", reason);
	count = port_xstat(&a, name);
	assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbuf, 1), 0);
	assert_int_equal(port_xstat(&a, name), count + 1);
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), before + 1);
}

static void
the_bit_is_offered_unless_it_is_off(void **state)
{
	static const char *const args[] = {"", "compact=1", "compact=0"};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(args); i++) {
		const bool on = i < 2;

		port_open(&a, "a", &(struct port_conf){.args = args[i]});
		assert_int_equal(sim_guest_connect(&guest, a.socket), 0);
		assert_int_equal(guest.info->features & AVP_FEATURE_COMPACT,
				on ? AVP_FEATURE_COMPACT : 0);
		assert_int_equal(sim_guest_configure(&guest, 1, 1, AVP_FEATURE_COMPACT, true),
				on ? 0 : -ENOTSUP);
		sim_guest_disconnect(&guest);
		port_close(&a);
	}
}

static void
packets_come_in(void **state)
{
	static const uint32_t sizes[] = {14, 60, 64, 1500, 2048};
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "mru=9238", .app_pool = *app_pool};

	begin(&conf, AVP_FEATURE_COMPACT);
	for (uint32_t i = 0; i < 3000; i++) {
		struct avp_cring_words words[AVP_MAX_SEGS];
		const uint32_t nb = i % 7 < AVP_MAX_SEGS ? i % 7 + 1 : 1;

		pkt_fill(&sent, nb == 1 ? sizes[i % RTE_DIM(sizes)] : 200 + i, i, i);
		build(words, nb);
		assert_true(sim_guest_put_entries(&guest, 0, words, nb));
		assert_received();
	}
	assert_int_equal(port_xstat(&a, "rx_q0_packets"), 3000);
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 0);
	end();
}

/* Bursts that end in the middle of a chain, and more entries than a burst looks at. */
static void
a_burst_takes_whole_packets(void **state)
{
	struct rte_mbuf *pkts[64];
	uint16_t nb = 0;

	(void)state;
	begin(&(struct port_conf){.args = "mru=9238,ring=512"}, AVP_FEATURE_COMPACT);
	guest_wait_alloc(&guest, &a, 0, 200);
	pkt_fill(&sent, 1000, 1, 1);
	for (uint32_t i = 0; i < 40; i++) {
		struct avp_cring_words words[AVP_MAX_SEGS];

		build(words, i % 2 == 0 ? 5 : 1);
		assert_true(sim_guest_put_entries(&guest, 0, words, i % 2 == 0 ? 5 : 1));
	}
	assert_int_equal(rte_eth_rx_queue_count(a.id, 0), 120);
	for (int i = 0; i < 100 && nb < 40; i++) {
		const uint16_t n = rte_eth_rx_burst(a.id, 0, pkts, (uint16_t)(1 + i % 8));

		for (uint16_t k = 0; k < n; k++)
			assert_true(pkt_is(pkts[k], &sent));
		rte_pktmbuf_free_bulk(pkts, n);
		nb = (uint16_t)(nb + n);
	}
	assert_int_equal(nb, 40);
	end();
}

/* Take the packet that the port has given, and compare. Returns its entries. */
static uint32_t
take(struct avp_cring_words *words)
{
	uint32_t off = 0;
	uint32_t nb = 0;

	do {
		const uint8_t *data;
		uint32_t len;

		assert_true(nb < AVP_MAX_SEGS);
		assert_true(sim_guest_take_entry(&guest, 0, &words[nb]));
		len = avp_cring_data_len(words[nb].place);
		data = sim_guest_ptr(&guest,
				sim_guest_buf_va(&guest, avp_cring_buf_idx(words[nb].place)));
		assert_non_null(data);
		assert_true(off + len <= sent.len);
		assert_memory_equal(
				data + avp_cring_data_off(words[nb].place), sent.data + off, len);
		off += len;
	} while ((words[nb++].state & AVP_CDESC_MORE) != 0);
	assert_int_equal(off, sent.len);
	return nb;
}

static void
give_back(const struct avp_cring_words *words, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++)
		assert_true(sim_guest_put_free(&guest, 0,
				sim_guest_buf_va(&guest, avp_cring_buf_idx(words[i].place))));
}

static void
packets_go_out(void **state)
{
	static const uint32_t sizes[] = {60, 64, 1500, 2048, 2049, 9000, 9238};
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "mru=9238", .app_pool = *app_pool};

	begin(&conf, AVP_FEATURE_COMPACT);
	for (uint32_t i = 0; i < 3000; i++) {
		struct rte_mempool *pool = a.app_pool != NULL ? a.app_pool : a.own_pool;
		struct avp_cring_words words[AVP_MAX_SEGS];
		struct rte_mbuf *mbuf;
		uint32_t nb;

		pkt_fill(&sent, sizes[i % RTE_DIM(sizes)], i, i);
		mbuf = pkt_mbuf(pool, &sent, 2048);
		assert_non_null(mbuf);
		assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
		nb = take(words);
		assert_int_equal(nb, (sent.len + 2047) / 2048);
		give_back(words, nb);
	}
	assert_int_equal(port_xstat(&a, *app_pool ? "tx_q0_copied" : "tx_q0_by_pointer"), 3000);
	assert_int_equal(port_xstat_sum(&a, "tx_q0_free_bad_"), 0);
	end();
}

static void
what_it_got_a_guest_may_send(void **state)
{
	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "mru=9238", .app_pool = *app_pool};

	begin(&conf, FEATURES);
	for (uint32_t i = 0; i < 3000; i++) {
		struct rte_mempool *pool = a.app_pool != NULL ? a.app_pool : a.own_pool;
		struct avp_cring_words words[AVP_MAX_SEGS];
		struct rte_mbuf *mbuf;
		uint32_t nb;

		pkt_fill(&sent, i % 3 == 0 ? 9000 : 100 + i % 1000, i, i);
		mbuf = pkt_mbuf(pool, &sent, 2048);
		assert_non_null(mbuf);
		assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
		nb = take(words);
		for (uint32_t k = 0; k < nb; k++)
			words[k].state &= ~(uint64_t)AVP_CDESC_PHASE;
		assert_true(sim_guest_put_entries(&guest, 0, words, nb));
		assert_received();
	}
	assert_int_equal(port_xstat_sum(&a, "rx_q0_drop_"), 0);
	assert_int_equal(port_xstat(&a, "tx_q0_fifo_full"), 0);
	end();
}

static void
without_recycle_it_is_refused(void **state)
{
	struct avp_cring_words words[AVP_MAX_SEGS];
	struct rte_mbuf *mbuf;

	(void)state;
	begin(&(struct port_conf){.args = ""}, AVP_FEATURE_COMPACT);
	pkt_fill(&sent, 100, 0, 1);
	mbuf = pkt_mbuf(a.own_pool, &sent, 2048);
	assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
	assert_int_equal(take(words), 1);
	words[0].state = 0;
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_dropped("bad_owner");
	/* it is still the guest's, to be given back */
	give_back(words, 1);
	assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 1);
	assert_good_passes();
	end();
}

/* One entry that is wrong in one way; whether its buffer is gone afterwards, the pool tells. */
static void
bad_entries_are_dropped_by_name(void **state)
{
	const struct {
		const char *reason;
		uint32_t idx; /* in place of the right one, unless 0 */
		uint32_t off, len;
		uint16_t flags;
	} bad[] = {
			{"bad_range", UINT32_MAX, DATA_OFF, 100, 0},
			{"bad_range", 1024, DATA_OFF, 100, 0}, /* one behind the last */
			{"bad_data", 0, 0, 100, 0},
			{"bad_data", 0, 63, 100, 0},
			{"bad_data", 0, 2240, 100, 0},
			{"bad_data", 0, UINT16_MAX, 100, 0},
			{"bad_data_len", 0, DATA_OFF, 0, 0},
			{"bad_data_len", 0, DATA_OFF, 2049, 0},
			{"bad_data_len", 0, 2239, 14, 0},
			{"bad_data_len", 0, 64, UINT16_MAX, 0},
			{"bad_pkt_len", 0, DATA_OFF, 13, 0},
			{"bad_chain", 0, DATA_OFF, 100, AVP_CDESC_MORE},
	};

	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "", .app_pool = *app_pool};

	begin(&conf, FEATURES);
	assert_int_equal(guest.info->pools[0].pool_size / guest.info->buf_stride, 1024);
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		struct avp_cring_words words[1];

		pkt_fill(&sent, 100, 1, 1);
		build(words, 1);
		words[0].place = avp_cring_place(
				bad[i].idx != 0 ? bad[i].idx : avp_cring_buf_idx(words[0].place),
				bad[i].off, bad[i].len);
		words[0].state = avp_cring_state(bad[i].flags, 0);
		assert_true(sim_guest_put_entries(&guest, 0, words, 1));
		assert_dropped(bad[i].reason);
		assert_good_passes();
	}
	end();
}

static void
a_buffer_counts_once(void **state)
{
	struct avp_cring_words words[3];

	(void)state;
	begin(&(struct port_conf){.args = ""}, FEATURES);
	pkt_fill(&sent, 100, 1, 1);
	build(words, 1);
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_received();
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_dropped("bad_owner");
	/* twice in one burst: the first is good */
	build(words, 1);
	words[1] = words[0];
	assert_true(sim_guest_put_entries(&guest, 0, words, 2));
	assert_received();
	assert_dropped("bad_owner");
	/* twice in a chain */
	pkt_fill(&sent, 200, 1, 1);
	build(words, 2);
	words[2] = words[0];
	words[1].state = AVP_CDESC_MORE;
	words[2].state = 0;
	assert_true(sim_guest_put_entries(&guest, 0, words, 3));
	assert_dropped("bad_owner");
	/* never given */
	words[0].place = avp_cring_place(1023, DATA_OFF, 100);
	words[0].state = 0;
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_dropped("bad_owner");
	assert_good_passes();
	end();
}

/* Sent and given back: the first that the host sees counts. */
static void
sent_or_returned_counts_once(void **state)
{
	struct avp_cring_words words[AVP_MAX_SEGS];
	struct rte_mbuf *mbuf;

	(void)state;
	begin(&(struct port_conf){.args = ""}, FEATURES);
	pkt_fill(&sent, 100, 0, 1);
	for (int returned_first = 0; returned_first < 2; returned_first++) {
		mbuf = pkt_mbuf(a.own_pool, &sent, 2048);
		assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
		assert_int_equal(take(words), 1);
		words[0].state = 0;
		give_back(words, 1);
		assert_true(sim_guest_put_entries(&guest, 0, words, 1));
		if (returned_first) {
			assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 1);
			assert_dropped("bad_owner");
		} else {
			assert_received();
			assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 0);
			assert_int_equal(port_xstat(&a, "tx_q0_free_bad_owner"), 1);
		}
	}
	assert_good_passes();
	end();
}

static void
bad_chains_are_dropped(void **state)
{
	struct avp_cring_words words[8];

	const bool *app_pool = *state;
	const struct port_conf conf = {.args = "mru=9238", .app_pool = *app_pool};

	begin(&conf, FEATURES);
	/* six: five are too many, and the sixth is one of its own */
	pkt_fill(&sent, 600, 1, 1);
	build(words, 5);
	words[4].state |= AVP_CDESC_MORE;
	assert_true(sim_guest_put_entries(&guest, 0, words, 5));
	pkt_fill(&sent, 100, 1, 1);
	build(words, 1);
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_dropped("bad_chain");
	assert_received();
	/* a first segment without a whole header */
	build(words, 2);
	words[0].place = avp_cring_place(avp_cring_buf_idx(words[0].place), DATA_OFF, 13);
	assert_true(sim_guest_put_entries(&guest, 0, words, 2));
	assert_dropped("bad_data_len");
	/* too long in all */
	pkt_fill(&sent, 5 * 1848, 1, 1);
	build(words, 5);
	assert_true(sim_guest_put_entries(&guest, 0, words, 5));
	assert_dropped("bad_pkt_len");
	/* one bad segment is enough, wherever */
	for (uint32_t i = 0; i < 3; i++) {
		pkt_fill(&sent, 600, 1, 1);
		build(words, 3);
		words[i].place = avp_cring_place(i == 1 ? 5000 : avp_cring_buf_idx(words[i].place),
				DATA_OFF, i == 1 ? 100 : 0);
		assert_true(sim_guest_put_entries(&guest, 0, words, 3));
		assert_dropped(i == 1 ? "bad_range" : "bad_data_len");
		assert_good_passes();
	}
	end();
}

/* The guest's count of what it has read: whatever it says, no entry is overwritten. */
static void
a_wrong_count_is_no_room(void **state)
{
	struct rte_mbuf *mbuf = NULL;
	uint32_t nb = 0;

	(void)state;
	begin(&(struct port_conf){.args = "ring=64"}, AVP_FEATURE_COMPACT);
	guest.lanes[0].crx.ring->read = 0x80000000;
	pkt_fill(&sent, 100, 1, 1);
	for (;; nb++) {
		mbuf = pkt_mbuf(a.own_pool, &sent, 0);
		assert_non_null(mbuf);
		if (rte_eth_tx_burst(a.id, 0, &mbuf, 1) == 0)
			break;
	}
	rte_pktmbuf_free(mbuf);
	/* as many as may be with the guest */
	assert_int_equal(nb, 63);
	assert_true(port_xstat(&a, "tx_q0_rx_fifo_bad_index") > 0);
	end();
}

/* What follows the addresses of @sent becomes a tag, or goes. */
static void
sent_set_tag(uint16_t tci)
{
	const uint8_t tag[] = {0x81, 0x00, (uint8_t)(tci >> 8), (uint8_t)tci};

	memcpy(sent.data + 12, tag, sizeof(tag));
}

static void
sent_cut_tag(void)
{
	sent.len -= 4;
	memmove(sent.data + 12, sent.data + 16, sent.len - 12);
}

static void
tags_in_the_data_are_taken_out(void **state)
{
	const struct port_conf conf = {
			.args = "vlan_offload=1", .rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP};
	struct avp_cring_words words[AVP_MAX_SEGS];
	struct rte_mbuf *mbuf = NULL;
	uint64_t bytes;

	(void)state;
	begin(&conf, AVP_FEATURE_COMPACT | AVP_FEATURE_VLAN);
	for (uint16_t tci = 1; tci < 200; tci++) {
		pkt_fill(&sent, 60 + tci, tci, tci);
		sent_set_tag(tci);
		build(words, 1);
		assert_true(sim_guest_put_entries(&guest, 0, words, 1));
		sent_cut_tag();
		bytes = port_xstat(&a, "rx_q0_bytes");
		assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbuf, 1), 1);
		assert_int_equal(port_xstat(&a, "rx_q0_bytes"), bytes + sent.len);
		assert_true((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0);
		assert_int_equal(mbuf->vlan_tci, tci);
		assert_true(pkt_is(mbuf, &sent));
		rte_pktmbuf_free(mbuf);
		/* and on the way to the guest, which has it beside the packet */
		pkt_fill(&sent, 64 + tci, tci, tci);
		sent_set_tag(tci);
		mbuf = pkt_mbuf(a.own_pool, &sent, 2048);
		assert_non_null(mbuf);
		sent_cut_tag();
		assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
		assert_int_equal(take(words), 1);
		assert_true((words[0].state & AVP_CDESC_VLAN) != 0);
		assert_int_equal(avp_cring_vlan_tci(words[0].state), tci);
		give_back(words, 1);
	}
	end();
}

static void
tags_travel_in_the_entry(void **state)
{
	const struct port_conf conf = {
			.args = "vlan_offload=1", .rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP};
	struct avp_cring_words words[AVP_MAX_SEGS];
	struct rte_mbuf *mbuf = NULL;

	(void)state;
	begin(&conf, AVP_FEATURE_COMPACT | AVP_FEATURE_VLAN);
	pkt_fill(&sent, 100, 1, 1);
	build(words, 1);
	words[0].state = avp_cring_state(AVP_CDESC_VLAN, 0x6064);
	assert_true(sim_guest_put_entries(&guest, 0, words, 1));
	assert_int_equal(rte_eth_rx_burst(a.id, 0, &mbuf, 1), 1);
	assert_true((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0);
	assert_int_equal(mbuf->vlan_tci, 0x6064);
	mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
	assert_int_equal(rte_eth_tx_burst(a.id, 0, &mbuf, 1), 1);
	assert_int_equal(take(words), 1);
	assert_true((words[0].state & AVP_CDESC_VLAN) != 0);
	assert_int_equal(avp_cring_vlan_tci(words[0].state), 0x6064);
	give_back(words, 1);
	end();
}

/* Nothing that the guest has not read is written over: not even by a packet that fits one buffer
 * until it gets a tag. */
static void
a_tag_makes_no_room(void **state)
{
	const struct port_conf conf = {
			.args = "mru=9238,ring=64,buffers=512,vlan_offload=0", .app_pool = true};
	const uint32_t sizes[] = {2044, 2045, 2047, 2048};
	struct avp_cring_words words;
	struct rte_mbuf *mbuf;
	uint32_t nb_sent;
	uint32_t nb_got;

	(void)state;
	begin(&conf, FEATURES);
	for (uint32_t i = 0; i < RTE_DIM(sizes); i++) {
		for (nb_sent = 0;; nb_sent++) {
			/* with one entry left, the largest of a kind */
			pkt_fill(&sent, nb_sent < 63 ? 100 : sizes[i], 0, nb_sent);
			mbuf = pkt_mbuf(a.app_pool, &sent, 0);
			if (nb_sent == 63) {
				mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
				mbuf->vlan_tci = 7;
			}
			if (rte_eth_tx_burst(a.id, 0, &mbuf, 1) == 0)
				break;
		}
		rte_pktmbuf_free(mbuf);
		assert_int_equal(nb_sent, sizes[i] + sizeof(struct rte_vlan_hdr) <= 2048 ? 64 : 63);
		for (nb_got = 0; sim_guest_take_entry(&guest, 0, &words); nb_got++) {
			assert_int_equal(avp_cring_data_len(words.place),
					nb_got < 63 ? 100 : sizes[i] + sizeof(struct rte_vlan_hdr));
			give_back(&words, 1);
			assert_int_equal(rte_eth_tx_done_cleanup(a.id, 0, 0), 1);
		}
		assert_int_equal(nb_got, nb_sent);
	}
	end();
}

/* A pool that has too few mbufs for a burst is no loss: the packets wait. */
static void
a_pool_that_runs_out_loses_nothing(void **state)
{
	static struct rte_mbuf *kept[8192];
	struct avp_cring_words words[AVP_MAX_SEGS];
	uint32_t nb = 0;

	(void)state;
	begin(&(struct port_conf){.args = "mru=9238", .app_pool = true}, AVP_FEATURE_COMPACT);
	pkt_fill(&sent, 1000, 1, 1);
	build(words, 5);
	assert_true(sim_guest_put_entries(&guest, 0, words, 5));
	while (nb < RTE_DIM(kept) && (kept[nb] = rte_pktmbuf_alloc(a.app_pool)) != NULL)
		nb++;
	assert_true(nb < RTE_DIM(kept));
	assert_int_equal(rte_eth_rx_burst(a.id, 0, &(struct rte_mbuf *){NULL}, 1), 0);
	assert_int_equal(port_xstat(&a, "rx_q0_no_mbuf"), 1);
	rte_pktmbuf_free_bulk(kept, nb);
	assert_received();
	end();
}

/* What the guest has, by number of the buffer. */
static bool has[1200];

/* Get what the alloc FIFO and the rx ring have. */
static void
storm_take(void)
{
	struct avp_cring_words words;
	uint64_t va;

	while (sim_guest_alloc(&guest, 0, &va))
		has[sim_guest_buf_idx(&guest, va)] = true;
	while (sim_guest_take_entry(&guest, 0, &words))
		has[avp_cring_buf_idx(words.place)] = true;
}

/* An entry that may be good, and is often wrong in one way. */
static struct avp_cring_words
storm_entry(uint64_t *seed)
{
	static const uint32_t lens[] = {0, 1, 13, 14, 64, 1500, 2048, 2049, 2176, 2177, 65535};
	static const uint32_t offs[] = {0, 63, 64, DATA_OFF, DATA_OFF, DATA_OFF, 2239, 2240, 65535};
	uint32_t idx = (uint32_t)(test_random(seed) % RTE_DIM(has));
	uint32_t off = DATA_OFF, len = 100;

	for (uint32_t i = 0; i < 200 && !has[idx]; i++)
		idx = (idx + 1) % RTE_DIM(has);
	if (test_random(seed) % 8 == 0)
		idx = (uint32_t)test_random(seed) >> (test_random(seed) % 32);
	if (test_random(seed) % 8 == 0)
		off = offs[test_random(seed) % RTE_DIM(offs)];
	if (test_random(seed) % 8 == 0)
		len = lens[test_random(seed) % RTE_DIM(lens)];
	return (struct avp_cring_words){avp_cring_place(idx, off, len),
			test_random(seed) & ~(uint64_t)AVP_CDESC_PHASE &
					(test_random(seed) % 4 == 0 ? UINT64_MAX
								    : ~(uint64_t)AVP_CDESC_MORE)};
}

/* The packets that a burst is, by the rule of chains. */
static uint32_t
storm_packets(const struct avp_cring_words *words, uint32_t nb)
{
	uint32_t packets = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < nb; i++) {
		n++;
		if ((words[i].state & AVP_CDESC_MORE) != 0 && n < AVP_MAX_SEGS && i + 1 < nb)
			continue;
		packets++;
		n = 0;
	}
	return packets;
}

/* A packet that came: within the port's buffers, and what it says of itself. */
static void
storm_check(const struct rte_mbuf *mbuf)
{
	uint32_t sum = 0;
	uint32_t nb = 0;

	for (const struct rte_mbuf *m = mbuf; m != NULL; m = m->next, nb++) {
		assert_ptr_equal(m->pool, a.own_pool);
		assert_true(m->data_len > 0 && (uint32_t)m->data_off + m->data_len <= m->buf_len);
		sum += m->data_len;
	}
	assert_int_equal(sum, mbuf->pkt_len);
	assert_int_equal(nb, mbuf->nb_segs);
	assert_in_range(nb, 1, AVP_MAX_SEGS);
	assert_in_range(sum, AVP_MIN_PKT_SIZE, AVP_MAX_PKT_SIZE);
}

/* Whatever is written into the ring is a packet, good or dropped under one name, and no buffer is
 * lost or there twice. */
static void
a_storm_of_entries_does_no_harm(void **state)
{
	uint64_t seed = test_random_seed();
	uint64_t nb_put = 0, nb_got = 0;

	(void)state;
	begin(&(struct port_conf){.args = "mru=9238"}, FEATURES);
	memset(has, 0, sizeof(has));
	pkt_fill(&sent, 500, 1, 1);
	for (uint32_t round = 0; round < 30000; round++) {
		const uint32_t nb = 1 + (uint32_t)(test_random(&seed) % 12);
		struct avp_cring_words words[12];
		struct rte_mbuf *pkts[16];
		uint16_t n;

		if (round % 4 == 0) {
			struct rte_mbuf *mbuf = pkt_mbuf(a.own_pool, &sent, 2048);

			/* also what it gets may come back */
			if (mbuf != NULL && rte_eth_tx_burst(a.id, 0, &mbuf, 1) == 0)
				rte_pktmbuf_free(mbuf);
		}
		storm_take();
		for (uint32_t i = 0; i < nb; i++)
			words[i] = storm_entry(&seed);
		assert_true(sim_guest_put_entries(&guest, 0, words, nb));
		nb_put += storm_packets(words, nb);
		for (uint32_t i = 0; i < nb; i++)
			if (avp_cring_buf_idx(words[i].place) < RTE_DIM(has))
				has[avp_cring_buf_idx(words[i].place)] = false;
		while ((n = rte_eth_rx_burst(a.id, 0, pkts, RTE_DIM(pkts))) > 0 ||
				rte_eth_rx_queue_count(a.id, 0) > 0) {
			for (uint16_t i = 0; i < n; i++)
				storm_check(pkts[i]);
			rte_pktmbuf_free_bulk(pkts, n);
			nb_got += n;
		}
	}
	assert_true(nb_got > 10000);
	assert_int_equal(nb_got + port_xstat_sum(&a, "rx_q0_drop_"), nb_put);
	end();
}

/* From one form to the other and back, with the same port. */
static void
each_configuration_has_the_form_it_asks_for(void **state)
{
	static const uint32_t features[] = {
			AVP_FEATURE_COMPACT, 0, FEATURES, AVP_FEATURE_RECYCLE, AVP_FEATURE_COMPACT};

	(void)state;
	port_open(&a, "a", &(struct port_conf){.args = ""});
	assert_int_equal(sim_guest_connect(&guest, a.socket), 0);
	for (size_t i = 0; i < RTE_DIM(features); i++) {
		assert_int_equal(sim_guest_configure(&guest, 1, 1, features[i], true), 0);
		assert_true(wait_until(port_is_up, &a));
		guest_wait_alloc(&guest, &a, 0, 60);
		if (guest.compact) {
			assert_good_passes();
			continue;
		}
		pkt_fill(&sent, 300, 1, 1);
		assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
		assert_received();
	}
	end();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean_up)
#define BOTH(name)                                                           \
	{#name "/own pool", name, NULL, clean_up, &own_pool},                \
	{                                                                    \
#name "/application's pool", name, NULL, clean_up, &app_pool \
	}
	static bool own_pool = false, app_pool = true;
	const struct CMUnitTest tests[] = {
			TEST(the_bit_is_offered_unless_it_is_off),
			BOTH(packets_come_in),
			TEST(a_burst_takes_whole_packets),
			BOTH(packets_go_out),
			BOTH(what_it_got_a_guest_may_send),
			TEST(without_recycle_it_is_refused),
			BOTH(bad_entries_are_dropped_by_name),
			TEST(a_buffer_counts_once),
			TEST(sent_or_returned_counts_once),
			BOTH(bad_chains_are_dropped),
			TEST(a_wrong_count_is_no_room),
			TEST(tags_travel_in_the_entry),
			TEST(tags_in_the_data_are_taken_out),
			TEST(a_tag_makes_no_room),
			TEST(a_pool_that_runs_out_loses_nothing),
			TEST(a_storm_of_entries_does_no_harm),
			TEST(each_configuration_has_the_form_it_asks_for),
	};

	return cmocka_run_group_tests_name("avph_compact", tests, port_env_init, port_env_fini);
}
