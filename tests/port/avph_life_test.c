/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Life of a host port: devices made and removed, guests that come and go at any moment with packets
 * on the way, link and events, reconfiguration, information, detach and attach.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "avph_api.h"
#include "port_env.h"

#define RECONNECTS 200

static struct port port;
static struct port other;
static struct sim_guest guest;
static struct sim_guest second;
static struct sim_pkt sent;
static struct sim_pkt got;

static int
clean_up(void **state)
{
	(void)state;
	sim_guest_disconnect(&guest);
	port_abandon(&port);
	port_abandon(&other);
	return 0;
}

static void
begin(const struct port_conf *conf, uint32_t nb_queues)
{
	port_open(&port, "life", conf);
	assert_int_equal(sim_guest_start(&guest, port.socket, nb_queues, 0), 0);
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

/* A packet each way on lane 0 arrives. */
static void
assert_works(void)
{
	struct rte_mbuf *mbuf;

	guest_wait_alloc(&guest, &port, 0, 32);
	pkt_fill(&sent, 200, 0, 1);
	assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	assert_true(pkt_is(mbuf, &sent));
	assert_int_equal(rte_eth_tx_burst(port.id, 0, &mbuf, 1), 1);
	assert_int_equal(guest_recv(&guest, 0, &got), 0);
	assert_int_equal(got.len, sent.len);
	assert_memory_equal(got.data, sent.data, sent.len);
}

static void
devices_with_wrong_arguments_are_refused(void **state)
{
	static const char *const wrong[] = {"queues=9", "ring=100", "buffers=100", "mac=1:2",
			"mru=9239", "vlan_offload=2", "mode=9", "colour=red", "queues=1,queues=1",
			"domain_size=64", "owner=nobody-by-that-name", "queues"};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		assert_true(port_probe(&port, "wrong", wrong[i]) < 0);
		assert_int_equal(rte_eth_dev_count_avail(), 0);
	}
}

static void
a_socket_in_use_is_refused(void **state)
{
	char args[160];

	(void)state;
	assert_int_equal(port_probe(&port, "life", NULL), 0);
	snprintf(args, sizeof(args), "socket=%s", port.socket);
	assert_true(rte_eal_hotplug_add("vdev", "net_avp_host_other", args) < 0);
	assert_int_equal(rte_eth_dev_count_avail(), 1);
	assert_int_equal(rte_eal_hotplug_remove("vdev", port.name), 0);
	/* free again */
	assert_int_equal(port_probe(&port, "life", NULL), 0);
	assert_int_equal(rte_eal_hotplug_remove("vdev", port.name), 0);
	assert_int_equal(access(port.socket, F_OK), -1);
	port.own_pool = NULL;
}

static void
the_socket_has_the_mode_asked_for(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(port_probe(&port, "life", "mode=0640"), 0);
	assert_int_equal(stat(port.socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	port_abandon(&port);
}

static void
the_port_is_what_it_was_asked_to_be(void **state)
{
	struct rte_avp_host_info info;
	struct rte_eth_dev_info dev_info;
	struct rte_ether_addr mac;

	(void)state;
	port_open(&port, "life",
			&(struct port_conf){.args = "queues=3,ring=128,buffers=2000,mru=4000,"
						    "vlan_offload=1,mac=02:01:02:03:04:05"});
	assert_int_equal(rte_avp_host_info_get(port.id, &info), 0);
	assert_string_equal(info.socket_path, port.socket);
	assert_string_equal(info.domain, "");
	assert_int_equal(info.nb_queues, 3);
	assert_int_equal(info.ring_len, 128);
	assert_int_equal(info.nb_bufs, 2000);
	assert_int_equal(info.max_pkt_size, 4000);
	assert_int_equal(info.features_offered,
			AVP_FEATURE_VLAN | AVP_FEATURE_RECYCLE | AVP_FEATURE_LINK_EVENTS |
					AVP_FEATURE_RX_INTR | AVP_FEATURE_COMPACT);
	assert_true(info.mem_used >= 2000 * 2240 && info.mem_used <= info.mem_size);
	assert_int_equal(info.connected, 0);
	assert_int_equal(rte_eth_macaddr_get(port.id, &mac), 0);
	assert_memory_equal(mac.addr_bytes, "\x02\x01\x02\x03\x04\x05", 6);
	assert_int_equal(rte_eth_dev_info_get(port.id, &dev_info), 0);
	assert_int_equal(dev_info.max_mtu, 3978);
	assert_true(dev_info.max_tx_queues >= 64);
	assert_int_equal(rte_eth_dev_set_mtu(port.id, 3978), 0);
	assert_true(rte_eth_dev_set_mtu(port.id, 3979) < 0);

	assert_int_equal(sim_guest_start(&guest, port.socket, 2, AVP_FEATURE_VLAN), 0);
	assert_true(wait_until(port_is_up, &port));
	assert_int_equal(guest.info->max_rx_size, 4000);
	assert_memory_equal(guest.info->mac, mac.addr_bytes, 6);
	assert_int_equal(rte_avp_host_info_get(port.id, &info), 0);
	assert_int_equal(info.connected + info.configured + info.link_up + info.running, 4);
	assert_int_equal(info.nb_tx_queues, 2);
	assert_int_equal(info.nb_rx_queues, 2);
	assert_int_equal(info.features, AVP_FEATURE_VLAN);
	assert_int_equal(info.driver_type, AVP_DRIVER_DPDK);
	assert_int_equal(info.connects, 1);
	assert_int_equal(info.device_id, guest.info->device_id);
	end();
	assert_int_equal(rte_avp_host_info_get(port.id, &info), -ENODEV);
	assert_null(rte_avp_host_mempool(port.id));
}

static void
a_pool_of_another_port_is_refused(void **state)
{
	struct rte_eth_conf conf = {0};

	(void)state;
	assert_int_equal(port_probe(&port, "life", NULL), 0);
	assert_int_equal(port_probe(&other, "other", NULL), 0);
	assert_int_equal(rte_eth_dev_configure(port.id, 1, 1, &conf), 0);
	assert_true(rte_eth_rx_queue_setup(port.id, 0, 0, 0, NULL, other.own_pool) < 0);
	assert_int_equal(rte_eth_rx_queue_setup(port.id, 0, 0, 0, NULL, port.own_pool), 0);
	port_abandon(&port);
	port_abandon(&other);
}

static int
count_event(uint16_t port_id, enum rte_eth_event_type event, void *arg, void *ret)
{
	RTE_SET_USED(port_id);
	RTE_SET_USED(event);
	RTE_SET_USED(ret);
	atomic_fetch_add((atomic_uint *)arg, 1);
	return 0;
}

static bool
has_counted(void *arg)
{
	return atomic_load((atomic_uint *)arg) > 0;
}

/* One event has come since the last call. */
static void
assert_event(atomic_uint *events)
{
	assert_true(wait_until(has_counted, events));
	assert_int_equal(atomic_exchange(events, 0), 1);
}

static void
the_link_follows_guest_and_application(void **state)
{
	static atomic_uint events;

	(void)state;
	atomic_store(&events, 0);
	port_open(&port, "life", &(struct port_conf){.lsc = true});
	assert_int_equal(rte_eth_dev_callback_register(
					 port.id, RTE_ETH_EVENT_INTR_LSC, count_event, &events),
			0);
	assert_true(port_is_down(&port));
	assert_int_equal(sim_guest_start(&guest, port.socket, 1, 0), 0);
	assert_event(&events);
	assert_true(port_is_up(&port));
	assert_int_equal(sim_guest_set_link(&guest, false), 0);
	assert_event(&events);
	assert_true(port_is_down(&port));
	assert_int_equal(sim_guest_set_link(&guest, true), 0);
	assert_event(&events);
	assert_works();
	assert_int_equal(rte_eth_dev_set_link_down(port.id), 0);
	assert_event(&events);
	assert_true(port_is_down(&port));
	assert_int_equal(rte_eth_dev_set_link_up(port.id), 0);
	assert_event(&events);
	assert_works();
	sim_guest_disconnect(&guest);
	assert_event(&events);
	assert_true(port_is_down(&port));
	assert_int_equal(rte_eth_dev_callback_unregister(
					 port.id, RTE_ETH_EVENT_INTR_LSC, count_event, &events),
			0);
	end();
}

static void
nothing_flows_while_the_guest_is_down(void **state)
{
	struct rte_mbuf *mbuf;

	(void)state;
	begin(&(struct port_conf){0}, 1);
	pkt_fill(&sent, 100, 0, 1);
	assert_int_equal(sim_guest_set_link(&guest, false), 0);
	assert_true(wait_until(port_is_down, &port));
	assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
	assert_int_equal(rte_eth_rx_burst(port.id, 0, &mbuf, 1), 0);
	mbuf = pkt_mbuf(port.own_pool, &sent, 0);
	assert_int_equal(rte_eth_tx_burst(port.id, 0, &mbuf, 1), 0);
	rte_pktmbuf_free(mbuf);
	/* and nothing is lost */
	assert_int_equal(sim_guest_set_link(&guest, true), 0);
	assert_true(wait_until(port_is_up, &port));
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	assert_true(pkt_is(mbuf, &sent));
	rte_pktmbuf_free(mbuf);
	assert_works();
	end();
}

static void
a_stopped_port_continues_where_it_was(void **state)
{
	struct rte_mbuf *mbuf;

	(void)state;
	begin(&(struct port_conf){0}, 1);
	pkt_fill(&sent, 100, 0, 1);
	assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
	assert_int_equal(rte_eth_dev_stop(port.id), 0);
	assert_true(port_is_down(&port));
	assert_int_equal(rte_eth_dev_start(port.id), 0);
	assert_true(port_is_up(&port));
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	rte_pktmbuf_free(mbuf);
	assert_works();
	/* with other numbers of queues, too */
	assert_int_equal(rte_eth_dev_stop(port.id), 0);
	assert_int_equal(rte_eth_dev_configure(port.id, 2, 3, &(struct rte_eth_conf){0}), 0);
	for (uint16_t i = 0; i < 2; i++)
		assert_int_equal(rte_eth_rx_queue_setup(port.id, i, 0, 0, NULL, port.own_pool), 0);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(rte_eth_tx_queue_setup(port.id, i, 0, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(port.id), 0);
	assert_works();
	end();
}

static void
a_guest_may_change_its_queues(void **state)
{
	static const uint32_t numbers[][2] = {{4, 4}, {1, 1}, {2, 4}, {4, 1}};

	(void)state;
	begin(&(struct port_conf){.args = "queues=4,ring=64", .nb_rxq = 2, .nb_txq = 2}, 4);
	for (unsigned int i = 0; i < RTE_DIM(numbers); i++) {
		struct rte_mbuf *mbuf;

		assert_int_equal(sim_guest_configure(&guest, numbers[i][0], numbers[i][1], 0, true),
				0);
		for (uint32_t lane = 0; lane < numbers[i][0]; lane++) {
			guest_wait_alloc(&guest, &port, lane, 60);
			pkt_fill(&sent, 100, lane, i);
			assert_int_equal(sim_guest_send(&guest, lane, &sent, 0), 0);
			assert_int_equal(port_recv(&port, lane % 2, &mbuf, 1), 1);
			assert_true(pkt_is(mbuf, &sent));
			rte_pktmbuf_free(mbuf);
		}
		/* left behind on purpose: the next configuration takes them back */
		assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
		mbuf = pkt_mbuf(port.own_pool, &sent, 0);
		assert_int_equal(rte_eth_tx_burst(port.id, 1, &mbuf, 1), 1);
	}
	assert_true(port_xstat(&port, "guest_bufs_taken_back") > 0);
	assert_int_equal(sim_guest_shutdown(&guest), 0);
	assert_true(wait_until(port_is_down, &port));
	assert_true(port_pool_full(&port));
	end();
}

/* Leave packets everywhere they can be. */
static void
leave_packets(uint32_t how)
{
	struct rte_mbuf *mbufs[32];
	uint64_t va;
	uint16_t nb;

	pkt_fill(&sent, 60 + how * 7 % 3000, how, how);
	for (uint32_t i = 0; i < 20; i++)
		(void)sim_guest_send(&guest, 0, &sent, 0);
	nb = rte_eth_rx_burst(port.id, 0, mbufs, how % 16);
	nb = (uint16_t)(nb - rte_eth_tx_burst(port.id, 0, mbufs, nb));
	rte_pktmbuf_free_bulk(mbufs, nb);
	for (uint32_t i = 0; i < how % 5; i++)
		(void)sim_guest_take_rx(&guest, 0, &va);
	for (uint32_t i = 0; i < how % 3; i++)
		(void)sim_guest_recv(&guest, 0, &got);
	for (uint32_t i = 0; i < how % 7; i++)
		(void)sim_guest_alloc(&guest, 0, &va);
}

static void
guests_come_and_go_with_packets_on_the_way(void **state)
{
	const bool *app_pool = *state;
	int fds = 0;

	port_open(&port, "life", &(struct port_conf){.args = "mru=9238", .app_pool = *app_pool});
	for (uint32_t i = 0; i < RECONNECTS; i++) {
		assert_int_equal(sim_guest_start(&guest, port.socket, 1, 0), 0);
		assert_true(wait_until(port_is_up, &port));
		guest_wait_alloc(&guest, &port, 0, 60);
		leave_packets(i);
		if (i % 2 == 1)
			assert_int_equal(sim_guest_shutdown(&guest), 0);
		sim_guest_disconnect(&guest);
		assert_true(wait_until(port_is_down, &port));
		assert_true(port_pool_full(&port));
		if (i == 10)
			fds = dup(0);
	}
	/* nothing has stayed open: the next descriptor is the one of before */
	close(fds);
	assert_int_equal(dup(0), fds);
	close(fds);
	port_close(&port);
}

struct poller {
	pthread_t thread;
	atomic_bool stop;
};

/* An application that sends back whatever comes, and never pauses. */
static void *
poller_run(void *arg)
{
	struct poller *poller = arg;

	if (rte_thread_register() < 0)
		return NULL;
	while (!atomic_load(&poller->stop)) {
		struct rte_mbuf *mbufs[32];
		const uint16_t nb = rte_eth_rx_burst(port.id, 0, mbufs, 32);
		const uint16_t nb_tx = rte_eth_tx_burst(port.id, 0, mbufs, nb);

		rte_pktmbuf_free_bulk(mbufs + nb_tx, nb - nb_tx);
		if (nb == 0)
			sched_yield();
	}
	rte_thread_unregister();
	return NULL;
}

static bool
guest_has_buffers(void *arg)
{
	return sim_guest_nb_alloc(arg, 0) >= 60;
}

static void
guests_come_and_go_under_a_polling_lcore(void **state)
{
	const bool *app_pool = *state;
	struct poller poller = {0};

	port_open(&port, "life", &(struct port_conf){.app_pool = *app_pool});
	assert_int_equal(pthread_create(&poller.thread, NULL, poller_run, &poller), 0);
	for (uint32_t i = 0; i < RECONNECTS; i++) {
		assert_int_equal(sim_guest_start(&guest, port.socket, 1, 0), 0);
		assert_true(wait_until(guest_has_buffers, &guest));
		for (uint32_t n = 0; n < 50 + i % 50; n++) {
			pkt_fill(&sent, 60 + n, 0, n);
			(void)sim_guest_send(&guest, 0, &sent, 0);
			(void)sim_guest_recv(&guest, 0, &got);
		}
		/* more than the port can have sent back when the guest goes */
		while (sim_guest_recv(&guest, 0, &got) == 0)
			;
		pkt_fill(&sent, 1000, 0, i);
		for (uint32_t n = 0; n < 200; n++)
			(void)sim_guest_send(&guest, 0, &sent, 0);
		if (i % 2 == 0)
			assert_int_equal(guest_recv(&guest, 0, &got), 0);
		sim_guest_disconnect(&guest);
	}
	assert_true(wait_until(port_is_down, &port));
	atomic_store(&poller.stop, true);
	pthread_join(poller.thread, NULL);
	assert_int_equal(port_xstat_sum(&port, "rx_q0_drop_"), 0);
	assert_true(port_pool_full(&port));
	port_close(&port);
}

static void
a_port_closes_under_its_guest(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		begin(&(struct port_conf){.args = "mru=9238"}, 1);
		leave_packets(i);
		if (i % 2 == 0) {
			port_close(&port);
		} else {
			/* as an application does that forgets to stop */
			assert_int_equal(rte_eal_hotplug_remove("vdev", port.name), 0);
			port.own_pool = NULL;
		}
		assert_int_equal(rte_eth_dev_count_avail(), 0);
		sim_guest_disconnect(&guest);
	}
}

static bool
pool_is_gone(void *name)
{
	return rte_mempool_lookup(name) == NULL;
}

static void
mbufs_may_come_back_after_close(void **state)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mbuf *mbuf;
	struct rte_mbuf *chain;

	(void)state;
	begin(&(struct port_conf){.args = "mru=9238"}, 1);
	snprintf(name, sizeof(name), "%s", port.own_pool->name);
	pkt_fill(&sent, 300, 0, 1);
	assert_int_equal(sim_guest_send(&guest, 0, &sent, 0), 0);
	assert_int_equal(port_recv(&port, 0, &mbuf, 1), 1);
	pkt_fill(&got, 5000, 0, 1);
	assert_int_equal(sim_guest_send(&guest, 0, &got, 0), 0);
	assert_int_equal(port_recv(&port, 0, &chain, 1), 1);
	port_close(&port);
	sim_guest_disconnect(&guest);
	/* the memory is still there; the port may be made again meanwhile */
	assert_true(pkt_is(mbuf, &sent));
	assert_true(pkt_is(chain, &got));
	begin(&(struct port_conf){0}, 1);
	assert_works();
	assert_non_null(rte_mempool_lookup(name));
	rte_pktmbuf_free(mbuf);
	rte_pktmbuf_free(chain);
	assert_true(wait_until(pool_is_gone, name));
	end();
}

static void
a_second_client_is_refused(void **state)
{
	(void)state;
	begin(&(struct port_conf){0}, 1);
	assert_true(sim_guest_connect(&second, port.socket) < 0);
	assert_works();
	end();
}

struct acker {
	pthread_t thread;
	uint32_t ack; /* 0: never */
	atomic_uint seen;
};

static uint32_t
read_migration_status(void)
{
	uint32_t status = 0;

	assert_int_equal(vuser_client_read(guest.client, AVP_BAR_MMIO, AVP_REG_MIGRATION_STATUS,
					 &status, sizeof(status)),
			0);
	return status;
}

static bool
status_is_asked(void *arg)
{
	return read_migration_status() == *(const uint32_t *)arg;
}

/* The guest's side of the handshake, without an interrupt. */
static void *
acker_run(void *arg)
{
	struct acker *acker = arg;
	uint32_t value = acker->ack;
	const uint32_t asked = value;

	if (!wait_until(status_is_asked, &value))
		return NULL;
	if (asked == AVP_MIGRATION_DETACHED)
		sim_guest_shutdown(&guest);
	vuser_client_write(
			guest.client, AVP_BAR_MMIO, AVP_REG_MIGRATION_ACK, &value, sizeof(value));
	return NULL;
}

static int
migrate_acknowledged(int (*migrate)(uint16_t port_id, uint32_t timeout_ms), uint32_t ack)
{
	struct acker acker = {.ack = ack};
	int ret;

	assert_int_equal(pthread_create(&acker.thread, NULL, acker_run, &acker), 0);
	ret = migrate(port.id, 10000);
	pthread_join(acker.thread, NULL);
	return ret;
}

static void
the_guest_is_detached_and_attached(void **state)
{
	struct rte_avp_host_info info;

	(void)state;
	begin(&(struct port_conf){0}, 1);
	leave_packets(13);
	assert_int_equal(migrate_acknowledged(rte_avp_host_detach, AVP_MIGRATION_DETACHED), 0);
	assert_true(wait_until(port_is_down, &port));
	assert_true(port_pool_full(&port));
	assert_int_equal(rte_avp_host_info_get(port.id, &info), 0);
	assert_int_equal(info.migration, AVP_MIGRATION_DETACHED);
	assert_int_equal(rte_avp_host_detach(port.id, 100), -EALREADY);
	assert_int_equal(migrate_acknowledged(rte_avp_host_attach, AVP_MIGRATION_ATTACHED), 0);
	sim_guest_disconnect(&guest);
	assert_int_equal(sim_guest_start(&guest, port.socket, 1, 0), 0);
	assert_works();
	end();
}

static void
a_guest_that_does_not_acknowledge_is_detached_all_the_same(void **state)
{
	(void)state;
	begin(&(struct port_conf){0}, 1);
	assert_int_equal(rte_avp_host_detach(port.id, 20), -ETIMEDOUT);
	assert_true(port_is_down(&port));
	assert_int_equal(rte_avp_host_detach(port.id, 0), -EINVAL);
	assert_int_equal(rte_avp_host_detach(port.id, 60001), -EINVAL);
	assert_int_equal(rte_avp_host_detach(77, 10), -ENODEV);
	end();
}

static void
a_port_without_a_guest_detaches_at_once(void **state)
{
	(void)state;
	port_open(&port, "life", &(struct port_conf){0});
	assert_int_equal(rte_avp_host_detach(port.id, 10000), -ENOTCONN);
	assert_int_equal(rte_avp_host_attach(port.id, 10000), -ENOTCONN);
	port_close(&port);
}

static void
counters_start_at_zero_and_can_be_reset(void **state)
{
	struct rte_eth_stats stats;

	(void)state;
	port_open(&port, "life", &(struct port_conf){.nb_rxq = 2, .nb_txq = 2});
	assert_int_equal(port_xstat(&port, "rx_q1_drop_bad_owner"), 0);
	assert_int_equal(port_xstat_sum(&port, "rx_"), 0);
	assert_int_equal(port_xstat_sum(&port, "tx_"), 0);
	assert_int_equal(sim_guest_start(&guest, port.socket, 1, 0), 0);
	assert_works();
	assert_true(sim_guest_put_tx(&guest, 0, 4711));
	assert_int_equal(rte_eth_rx_burst(port.id, 0, &(struct rte_mbuf *){NULL}, 1), 0);
	assert_int_equal(rte_eth_stats_get(port.id, &stats), 0);
	assert_int_equal(stats.ipackets, 1);
	assert_int_equal(stats.ibytes, 200);
	assert_int_equal(stats.opackets, 1);
	assert_int_equal(stats.obytes, 200);
	assert_int_equal(stats.ierrors, 1);
	assert_int_equal(stats.oerrors, 0);
	assert_int_equal(rte_eth_xstats_reset(port.id), 0);
	assert_int_equal(rte_eth_stats_get(port.id, &stats), 0);
	assert_int_equal(stats.ipackets + stats.opackets + stats.ierrors, 0);
	assert_works();
	assert_int_equal(port_xstat(&port, "rx_q0_packets"), 1);
	end();
}

static int
telemetry_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char greeting[1024];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dpdk_telemetry.v2",
			rte_eal_get_runtime_dir());
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
			recv(fd, greeting, sizeof(greeting), 0) <= 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
telemetry_tells_of_the_port(void **state)
{
	char command[64];
	char answer[16384];
	ssize_t size;
	int fd;

	(void)state;
	begin(&(struct port_conf){0}, 1);
	fd = telemetry_connect();
	assert_true(fd >= 0);
	snprintf(command, sizeof(command), "/avp_host/info,%u", port.id);
	assert_true(send(fd, command, strlen(command), 0) > 0);
	size = recv(fd, answer, sizeof(answer) - 1, 0);
	assert_true(size > 0);
	answer[size] = '\0';
	/* telemetry writes / as \/ */
	assert_non_null(strstr(answer, "\"guest_running\":1"));
	assert_non_null(strstr(answer, "\"ring\":256"));
	assert_true(send(fd, "/avp_host/info,red", 18, 0) > 0);
	size = recv(fd, answer, sizeof(answer) - 1, 0);
	assert_true(size > 0);
	answer[size] = '\0';
	assert_null(strstr(answer, "ring"));
	close(fd);
	end();
}

struct asker {
	int fd;
	_Atomic bool quit;
	_Atomic uint32_t nb_told; /* answers with a port in them */
};

static void *
ask_for_ever(void *arg)
{
	static const char command[] = "/avp_host/info,0";
	struct asker *asker = arg;
	char answer[16384];

	while (!atomic_load(&asker->quit)) {
		ssize_t size = send(asker->fd, command, sizeof(command) - 1, 0);

		if (size > 0)
			size = recv(asker->fd, answer, sizeof(answer) - 1, 0);
		if (size <= 0)
			break;
		answer[size] = '\0';
		if (strstr(answer, "\"ring\":256") != NULL)
			atomic_fetch_add(&asker->nb_told, 1);
	}
	return NULL;
}

static bool
asker_was_told(void *arg)
{
	struct asker *asker = arg;

	return atomic_exchange(&asker->nb_told, 0) > 0;
}

/* The telemetry thread knows nothing of when the application closes a port. */
static void
ports_close_under_telemetry(void **state)
{
	struct asker asker = {.fd = telemetry_connect()};
	pthread_t thread;

	(void)state;
	assert_true(asker.fd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, ask_for_ever, &asker), 0);
	for (uint32_t i = 0; i < RECONNECTS; i++) {
		port_open(&port, "life", &(struct port_conf){0});
		assert_int_equal(port.id, 0);
		assert_true(wait_until(asker_was_told, &asker));
		port_close(&port);
	}
	atomic_store(&asker.quit, true);
	pthread_join(thread, NULL);
	close(asker.fd);
}

int
main(void)
{
	static bool own_pool = false;
	static bool app_pool = true;
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(
					devices_with_wrong_arguments_are_refused, clean_up),
			cmocka_unit_test_teardown(a_socket_in_use_is_refused, clean_up),
			cmocka_unit_test_teardown(the_socket_has_the_mode_asked_for, clean_up),
			cmocka_unit_test_teardown(the_port_is_what_it_was_asked_to_be, clean_up),
			cmocka_unit_test_teardown(a_pool_of_another_port_is_refused, clean_up),
			cmocka_unit_test_teardown(the_link_follows_guest_and_application, clean_up),
			cmocka_unit_test_teardown(nothing_flows_while_the_guest_is_down, clean_up),
			cmocka_unit_test_teardown(a_stopped_port_continues_where_it_was, clean_up),
			cmocka_unit_test_teardown(a_guest_may_change_its_queues, clean_up),
			{"guests_come_and_go_with_packets_on_the_way",
					guests_come_and_go_with_packets_on_the_way, NULL, clean_up,
					&own_pool},
			{"guests_come_and_go_with_packets_on_the_way_attached",
					guests_come_and_go_with_packets_on_the_way, NULL, clean_up,
					&app_pool},
			{"guests_come_and_go_under_a_polling_lcore",
					guests_come_and_go_under_a_polling_lcore, NULL, clean_up,
					&own_pool},
			{"guests_come_and_go_under_a_polling_lcore_attached",
					guests_come_and_go_under_a_polling_lcore, NULL, clean_up,
					&app_pool},
			cmocka_unit_test_teardown(a_port_closes_under_its_guest, clean_up),
			cmocka_unit_test_teardown(mbufs_may_come_back_after_close, clean_up),
			cmocka_unit_test_teardown(a_second_client_is_refused, clean_up),
			cmocka_unit_test_teardown(the_guest_is_detached_and_attached, clean_up),
			cmocka_unit_test_teardown(
					a_guest_that_does_not_acknowledge_is_detached_all_the_same,
					clean_up),
			cmocka_unit_test_teardown(
					a_port_without_a_guest_detaches_at_once, clean_up),
			cmocka_unit_test_teardown(
					counters_start_at_zero_and_can_be_reset, clean_up),
			cmocka_unit_test_teardown(telemetry_tells_of_the_port, clean_up),
			cmocka_unit_test_teardown(ports_close_under_telemetry, clean_up),
	};

	return cmocka_run_group_tests(tests, port_env_init, port_env_fini);
}
