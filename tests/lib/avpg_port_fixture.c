/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The fixture of avpg_port_fixture.h.
 */

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <ethdev_driver.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "avpg_port_fixture.h"

int
fixture_eal_init(void)
{
	static const char *const args[] = {"test", "--no-huge", "--no-pci", "--no-shconf",
			"--no-telemetry", "-m", "64", "--log-level=lib.eal:error"};
	char *argv[RTE_DIM(args)];
	cpu_set_t cpus;

	/* EAL moves the pointers about, and does not write what they point at */
	memcpy(argv, args, sizeof(argv));
	/* it ties this thread to one CPU, and with it all threads that a test starts from it */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0 || rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -1;
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* What a bus would have made. */
static struct rte_driver driver = {.name = "simulated"};
static struct rte_device device = {.name = "simulated0", .driver = &driver, .numa_node = -1};

void
fixture_probe(struct avpg_fixture *f)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocate("simulated0");
	struct avp_err err = {0};

	assert_non_null(dev);
	dev->data->dev_private = rte_zmalloc(NULL, sizeof(struct avpg_port), 64);
	assert_non_null(dev->data->dev_private);
	dev->device = &device;
	if (f->intr_handle == NULL)
		f->intr_handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	assert_non_null(f->intr_handle);
	rte_intr_type_set(f->intr_handle, RTE_INTR_HANDLE_VDEV);
	dev->intr_handle = f->intr_handle;
	f->fake->intr_handle = f->intr_handle;
	if (avpg_ethdev_init(dev, &f->fake->hw, &err) != 0)
		fail_msg("%s", err.msg);
	rte_eth_dev_probing_finish(dev);
	f->port_id = dev->data->port_id;
	f->port = dev->data->dev_private;
}

int
fixture_probe_fails(struct avpg_fake *fake)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocate("simulated1");
	struct avp_err err = {0};
	int ret;

	assert_non_null(dev);
	dev->data->dev_private = rte_zmalloc(NULL, sizeof(struct avpg_port), 64);
	ret = avpg_ethdev_init(dev, &fake->hw, &err);
	assert_int_not_equal(ret, 0);
	assert_true(err.msg[0] != '\0');
	assert_null(fake->handler);
	assert_false(fake->destroyed);
	rte_eth_dev_release_port(dev);
	return ret;
}

void
fixture_close(struct avpg_fixture *f)
{
	rte_eth_dev_stop(f->port_id);
	assert_int_equal(rte_eth_dev_close(f->port_id), 0);
	assert_true(f->fake->destroyed);
	assert_null(f->fake->handler);
	f->fake->destroyed = false;
	f->port = NULL;
}

void
fixture_create(struct avpg_fixture *f, const struct avpg_fake_conf *conf, uint32_t mbuf_room)
{
	memset(f, 0, sizeof(*f));
	f->fake = avpg_fake_create(conf);
	assert_non_null(f->fake);
	f->pool = rte_pktmbuf_pool_create("fixture", FIXTURE_NB_MBUFS, 0, 0,
			(uint16_t)(RTE_PKTMBUF_HEADROOM + mbuf_room), SOCKET_ID_ANY);
	assert_non_null(f->pool);
	fixture_probe(f);
}

void
fixture_start(struct avpg_fixture *f, uint16_t nb_rx, uint16_t nb_tx)
{
	assert_int_equal(rte_eth_dev_configure(f->port_id, nb_rx, nb_tx, &f->conf), 0);
	for (uint16_t i = 0; i < nb_rx; i++)
		assert_int_equal(rte_eth_rx_queue_setup(f->port_id, i, 64, 0, NULL, f->pool), 0);
	for (uint16_t i = 0; i < nb_tx; i++)
		assert_int_equal(rte_eth_tx_queue_setup(f->port_id, i, 64, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(f->port_id), 0);
}

/* What only the pool's creation writes. */
static void
check_mbuf_header(struct rte_mempool *pool, void *arg, void *obj, unsigned int idx)
{
	struct rte_mbuf *m = obj;
	uint32_t *nb_bad = arg;
	bool good = m->pool == pool && m->buf_addr == (uint8_t *)obj + sizeof(*m) &&
			m->buf_len == rte_pktmbuf_data_room_size(pool) && m->priv_size == 0 &&
			RTE_MBUF_DIRECT(m);

	if (!good)
		print_message("mbuf %u: overwritten\n", idx);
	*nb_bad += !good;
}

void
fixture_check_pool(const struct avpg_fixture *f)
{
	uint32_t nb_bad = 0;

	rte_mempool_obj_iter(f->pool, check_mbuf_header, &nb_bad);
	assert_int_equal(nb_bad, 0);
	assert_int_equal(rte_mempool_avail_count(f->pool), FIXTURE_NB_MBUFS);
}

void
fixture_destroy(struct avpg_fixture *f)
{
	if (f->port != NULL)
		fixture_close(f);
	fixture_check_pool(f);
	rte_mempool_free(f->pool);
	rte_intr_instance_free(f->intr_handle);
	avpg_fake_destroy(f->fake);
}

void
fixture_recreate(struct avpg_fixture *f, const struct avpg_fake_conf *conf, uint32_t mbuf_room)
{
	fixture_destroy(f);
	fixture_create(f, conf, mbuf_room);
}

int
fixture_group_setup(void **state __rte_unused)
{
	return fixture_eal_init();
}

int
fixture_setup(void **state)
{
	static struct avpg_fixture fixture;

	fixture_create(&fixture, &avpg_fake_default, 2048);
	*state = &fixture;
	return 0;
}

int
fixture_teardown(void **state)
{
	fixture_destroy(*state);
	return 0;
}

uint64_t
fixture_xstat(const struct avpg_fixture *f, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(f->port_id, name, &id) != 0)
		fail_msg("%s: no such xstat", name);
	assert_int_equal(rte_eth_xstats_get_by_id(f->port_id, &id, &value, 1), 1);
	return value;
}

uint8_t
fixture_byte(uint32_t seed, uint32_t i)
{
	static const uint8_t own_mac[] = {0x02, 0, 0, 0, 0, 0x01};

	if (i < sizeof(own_mac))
		return own_mac[i];
	/* of 256 and of every buffer size, a different one */
	return (uint8_t)(seed * 31 + i * 7 + i / 251);
}

void
fixture_bytes(uint8_t *data, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = fixture_byte(seed, i);
}

struct rte_mbuf *
fixture_mbuf(struct avpg_fixture *f, uint32_t len, uint32_t seg_size, uint32_t seed)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(f->pool);
	struct rte_mbuf *tail = head;
	uint32_t done = 0;

	assert_non_null(head);
	seg_size = RTE_MIN(seg_size, rte_pktmbuf_tailroom(head));
	for (;;) {
		uint32_t n = RTE_MIN(len - done, seg_size);
		uint8_t *to = rte_pktmbuf_mtod(tail, uint8_t *);

		for (uint32_t i = 0; i < n; i++)
			to[i] = fixture_byte(seed, done + i);
		tail->data_len = (uint16_t)n;
		done += n;
		if (done == len)
			break;
		tail->next = rte_pktmbuf_alloc(f->pool);
		tail = tail->next;
		assert_non_null(tail);
		head->nb_segs++;
	}
	head->pkt_len = len;
	return head;
}

void
fixture_check_mbuf(const struct rte_mbuf *m, const uint8_t *data, uint32_t len)
{
	uint32_t nb_segs = m->nb_segs;
	uint32_t done = 0;

	rte_mbuf_sanity_check(m, 1);
	assert_int_equal(m->pkt_len, len);
	for (; m != NULL; m = m->next, nb_segs--) {
		assert_true(nb_segs > 0);
		assert_true(done + m->data_len <= len);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), data + done, m->data_len);
		done += m->data_len;
	}
	assert_int_equal(nb_segs, 0);
	assert_int_equal(done, len);
}

bool
fixture_link_is_up(const struct avpg_fixture *f)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get_nowait(f->port_id, &link), 0);
	return link.link_status == RTE_ETH_LINK_UP;
}

void
fixture_wait_link(const struct avpg_fixture *f, bool up)
{
	for (int i = 0; i < 40000 && fixture_link_is_up(f) != up; i++)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	assert_int_equal(fixture_link_is_up(f), up);
}

void
fixture_wait_served(struct avpg_fixture *f)
{
	int pending = 1;

	for (int i = 0; i < 40000 && pending > 0; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
		sem_getvalue(&f->port->wake, &pending);
	}
	assert_int_equal(pending, 0);
	pthread_mutex_lock(&f->port->ctl_lock);
	pthread_mutex_unlock(&f->port->ctl_lock);
}

void
fixture_traffic(struct avpg_fixture *f, uint32_t len)
{
	uint32_t data_size = f->fake->conf.buf_data_size;
	struct rte_mbuf *m = fixture_mbuf(f, len, 2048, 1);
	uint8_t bytes[AVP_MAX_PKT_SIZE];
	uint8_t got[AVP_MAX_PKT_SIZE];
	struct avp_desc head;
	uint64_t va;

	assert_int_equal(rte_eth_tx_burst(f->port_id, 0, &m, 1), 1);
	assert_int_equal(fixture_host_take(f, 0, &head, got), len);
	assert_int_equal(head.nb_segs, (len + data_size - 1) / data_size);
	fixture_bytes(bytes, len, 1);
	assert_memory_equal(got, bytes, len);
	fixture_host_send(f, 0, 0, len, data_size);
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 1);
	fixture_bytes(bytes, len, 0);
	fixture_check_mbuf(m, bytes, len);
	rte_pktmbuf_free(m);
	/* without a copy the buffers go back now, each by itself */
	assert_int_equal(rte_eth_rx_burst(f->port_id, 0, &m, 1), 0);
	assert_true(avpg_fake_get(&f->fake->free[0], &va));
	while (avpg_fake_get(&f->fake->free[0], &va))
		;
}

struct avp_desc *
fixture_host_send(struct avpg_fixture *f, uint32_t q, uint32_t n, uint32_t len, uint32_t seg_size)
{
	uint8_t bytes[AVP_MAX_PKT_SIZE];
	uint64_t va;

	assert_true(len <= sizeof(bytes));
	fixture_bytes(bytes, len, n);
	va = avpg_fake_pkt(f->fake, avpg_fake_own_buf(f->fake) + n, bytes, len, seg_size);
	assert_true(avpg_fake_put(&f->fake->rx[q], va));
	return avpg_fake_desc_at(f->fake, va);
}

uint32_t
fixture_host_take(struct avpg_fixture *f, uint32_t q, struct avp_desc *head, uint8_t *data)
{
	uint32_t data_size = f->fake->conf.buf_data_size;
	uint32_t nb_segs = 0;
	uint32_t len = 0;
	uint64_t va;

	assert_true(avpg_fake_get(&f->fake->tx[q], &va));
	*head = *avpg_fake_desc_at(f->fake, va);
	while (va != 0) {
		struct avp_desc desc = *avpg_fake_desc_at(f->fake, va);

		nb_segs++;
		assert_in_range(nb_segs, 1, AVP_MAX_SEGS);
		assert_int_equal(desc.desc_va, va);
		assert_int_equal(desc.data_va, va + AVPG_FAKE_BUF_DATA_OFF);
		assert_in_range(desc.data_len, 1, data_size);
		/* all but the last are full */
		assert_true(desc.next_va == 0 || desc.data_len == data_size);
		assert_true(nb_segs == 1 || (desc.ol_flags == 0 && desc.vlan_tci == 0));
		memcpy(data + len, avpg_fake_at(f->fake, desc.data_va), desc.data_len);
		len += desc.data_len;
		assert_true(avpg_fake_put(&f->fake->alloc[q], va));
		va = desc.next_va;
	}
	assert_int_equal(head->nb_segs, nb_segs);
	assert_int_equal(head->pkt_len, len);
	assert_int_equal(head->ol_flags & ~AVP_DESC_TX_VLAN, 0);
	return len;
}

void
fixture_replace_device(struct avpg_fixture *f, const struct avpg_fake_conf *conf)
{
	struct avpg_fake *next = avpg_fake_create(conf);

	assert_non_null(next);
	/* the port keeps its struct avpg_hw, and that is in the old device */
	avpg_fake_stop(f->fake);
	avpg_fake_stop(next);
	next->hw.ops = f->fake->hw.ops;
	next->handler = f->fake->handler;
	next->handler_arg = f->fake->handler_arg;
	atomic_store(&next->intr_mask, AVP_INTR_MASK_ALL);
	struct avpg_fake old = *f->fake;

	*f->fake = *next;
	*next = old;
	avpg_fake_destroy(next);
	avpg_fake_resume(f->fake);
}
