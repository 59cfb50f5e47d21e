/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * What an old guest driver leaves to the host, and what the contract's fields once were: DPDK's own
 * net_avp sends from buffers as it finds them, and the fields that hold labels here were pointers
 * of the host's (docs/driver-guest.md, "What the stock driver does wrong").
 */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ethdev.h>

#include "port_env.h"

#define MAX_MAPPINGS 4096u
/* The address sanitizer maps tens of TiB for itself, and labels may look as if they were there. */
#define MAX_MAPPING_SIZE (UINT64_C(1) << 40)
#define NB_ROUNDS 3000u

static struct port port;
static struct sim_guest guest;
static struct sim_pkt sent;
static struct sim_pkt got;

static void
begin(uint32_t features)
{
	const struct port_conf conf = {.args = "mru=9238,vlan_offload=1", .app_pool = true};

	port_open(&port, "defect", &conf);
	assert_int_equal(sim_guest_start(&guest, port.socket, 1, features), 0);
	assert_true(wait_until(port_is_up, &port));
	guest_wait_alloc(&guest, &port, 0, 60);
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

/* Guest to host, written as the stock driver does: ORed and appended to what the buffer had. */
static void
guest_sends(uint32_t len, uint16_t ol_flags)
{
	struct rte_mbuf *mbuf;

	pkt_fill(&sent, len, len, len);
	sent.ol_flags = ol_flags;
	sent.vlan_tci = 0x123;
	guest_wait_alloc(&guest, &port, 0, AVP_MAX_SEGS);
	assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	assert_int_equal(mbuf->pkt_len, len + (ol_flags != 0 ? 4 : 0));
	if (ol_flags == 0)
		assert_true(pkt_is(mbuf, &sent));
	rte_pktmbuf_free(mbuf);
}

/* Host to guest. Returns the head's label, which the guest still has to return. */
static uint64_t
host_sends(uint32_t len)
{
	struct rte_mbuf *mbuf;
	uint64_t va = 0;

	pkt_fill(&sent, len, len, len);
	mbuf = pkt_mbuf(port.app_pool, &sent, 0);
	assert_int_equal(rte_eth_tx_burst(port.id, 0, &mbuf, 1), 1);
	assert_true(sim_guest_take_rx(&guest, 0, &va));
	sim_guest_read(&guest, va, &got);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.data, sent.data, len);
	return va;
}

/* All that a guest can write of a packet's descriptors, data pointers and links included. */
static void
spoil_chain(uint64_t va)
{
	while (va != 0) {
		struct avp_desc *desc = sim_guest_ptr(&guest, va);

		va = desc->next_va;
		memset(desc, 0xff, sizeof(*desc));
	}
}

static void
buffers_that_come_back_dirty_are_clean_when_they_go_out_again(void **state)
{
	(void)state;
	begin(AVP_FEATURE_VLAN);
	for (uint32_t i = 0; i < NB_ROUNDS; i++) {
		uint32_t len = i % 3 == 0 ? 9000 : 60 + i % 1000;
		uint64_t va;

		/* flags, tag, lengths and links stay in the buffers that were sent */
		guest_sends(len, i % 2 == 0 ? AVP_DESC_TX_VLAN : 0);
		va = host_sends(len);
		spoil_chain(va);
		assert_true(sim_guest_put_free(&guest, 0, va));
		assert_int_equal(guest.nb_dirty, 0);
	}
	assert_int_equal(port_xstat_sum(&port, "rx_q0_drop_"), 0);
	end();
}

/* An address range of this process. */
struct mapping {
	uint64_t start, end;
};

static uint32_t
mappings_read(struct mapping *maps)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	uint32_t nb = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		char access[8];

		assert_true(nb < MAX_MAPPINGS);
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &maps[nb].start, &maps[nb].end,
				    access) == 3 &&
				access[0] == 'r' &&
				maps[nb].end - maps[nb].start < MAX_MAPPING_SIZE)
			nb++;
	}
	fclose(file);
	return nb;
}

/* How many words of @mem are addresses that are mapped here, which is where the host is. */
static uint32_t
count_addresses(const struct mapping *maps, uint32_t nb_maps, const void *mem, size_t size)
{
	const uint64_t *words = mem;
	uint32_t nb = 0;

	for (size_t i = 0; i < size / sizeof(*words); i++) {
		if (words[i] >> 32 < 2) /* two small numbers side by side */
			continue;
		for (uint32_t k = 0; k < nb_maps; k++) {
			if (words[i] < maps[k].start || words[i] >= maps[k].end)
				continue;
			print_message("offset 0x%zx: 0x%" PRIx64 "\n", i * sizeof(*words),
					words[i]);
			nb++;
		}
	}
	return nb;
}

static void
a_guest_sees_no_address_of_the_hosts(void **state)
{
	static struct mapping maps[MAX_MAPPINGS];
	/* such would be found */
	const uint64_t own[] = {0, (uint64_t)(uintptr_t)&port, (uint64_t)(uintptr_t)own};
	uint32_t nb_maps;

	(void)state;
	begin(0);
	for (uint32_t i = 0; i < 200; i++) {
		guest_sends(i % 2 == 0 ? 9000 : 100, 0);
		assert_true(sim_guest_put_free(&guest, 0, host_sends(i % 2 == 0 ? 100 : 9000)));
	}
	nb_maps = mappings_read(maps);
	assert_int_equal(count_addresses(maps, nb_maps, own, sizeof(own)), 2);
	assert_int_equal(count_addresses(maps, nb_maps, guest.mem, guest.mem_size), 0);
	assert_int_equal(count_addresses(maps, nb_maps, guest.memmap,
					 guest.bar_size[AVP_BAR_MEMMAP]),
			0);
	assert_int_equal(count_addresses(maps, nb_maps, guest.info, guest.bar_size[AVP_BAR_DEVICE]),
			0);
	end();
}

/* Real addresses of this process, which only who dereferences them finds good. */
static void
addresses_that_a_guest_writes_are_not_followed(void **state)
{
	static const struct {
		size_t offset;
		bool is_label; /* then it is refused; all else is nobody's */
	} fields[] = {{0, false}, {offsetof(struct avp_desc, desc_va), false}, {16, false},
			{offsetof(struct avp_desc, next_va), true},
			{offsetof(struct avp_desc, data_va), true}, {56, false}};
	static struct avp_desc trap __rte_aligned(64);
	const uint64_t address = (uint64_t)(uintptr_t)&trap;
	struct rte_mbuf *mbuf;
	uint64_t va, dropped;

	(void)state;
	trap = (struct avp_desc){.data_va = address, .data_len = 100, .nb_segs = 1, .pkt_len = 100};
	begin(0);
	for (size_t i = 0; i < RTE_DIM(fields); i++) {
		dropped = port_xstat_sum(&port, "rx_q0_drop_");
		pkt_fill(&sent, 100, 0, (uint32_t)i);
		guest_wait_alloc(&guest, &port, 0, 1);
		assert_int_equal(sim_guest_build(&guest, 0, &sent, 0, &va), 0);
		memcpy((uint8_t *)sim_guest_ptr(&guest, va) + fields[i].offset, &address,
				sizeof(address));
		assert_true(sim_guest_put_tx(&guest, 0, va));
		if (fields[i].is_label) {
			assert_int_equal(rte_eth_rx_burst(port.id, 0, &mbuf, 1), 0);
		} else {
			assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
			assert_true(pkt_is(mbuf, &sent));
			rte_pktmbuf_free(mbuf);
		}
		assert_int_equal(
				port_xstat_sum(&port, "rx_q0_drop_"), dropped + fields[i].is_label);
	}
	/* and as the label itself, to send and to return */
	dropped = port_xstat_sum(&port, "rx_q0_drop_");
	assert_true(sim_guest_put_tx(&guest, 0, address));
	assert_int_equal(rte_eth_rx_burst(port.id, 0, &mbuf, 1), 0);
	assert_int_equal(port_xstat_sum(&port, "rx_q0_drop_"), dropped + 1);
	assert_true(sim_guest_put_free(&guest, 0, address));
	assert_true(sim_guest_put_free(&guest, 0, host_sends(100)));
	assert_true(sim_guest_put_free(&guest, 0, host_sends(200)));
	assert_int_equal(trap.data_len, 100);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(
					buffers_that_come_back_dirty_are_clean_when_they_go_out_again,
					clean_up),
			cmocka_unit_test_teardown(a_guest_sees_no_address_of_the_hosts, clean_up),
			cmocka_unit_test_teardown(
					addresses_that_a_guest_writes_are_not_followed, clean_up),
	};

	return cmocka_run_group_tests_name("avph_defect", tests, port_env_init, port_env_fini);
}
