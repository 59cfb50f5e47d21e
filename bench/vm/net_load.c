/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * net_load: an Ethernet device whose other end makes packets and waits for them to come back; a
 * plug-in for avp-switch. run.py says what for.
 *
 *     --vdev net_load0,shared=FILE
 *
 * What a switch receives from this device is for a guest, which sends it back; what the switch
 * transmits to it has been there. So packets are made and counted by the lcore that polls the port,
 * and round trips are exact: no other thread has to run.
 *
 * FILE has a struct shared, through which whoever made the file gives commands:
 *
 *     SIZE WINDOW WARM MILLISECONDS MAC    packets of SIZE bytes to MAC, WINDOW of them on the way,
 *                                          for WARM milliseconds, then counted for MILLISECONDS
 *
 * The answer is JSON. The loop is closed: a packet is sent when one has come back, so that a guest
 * cannot be offered more than it takes. When none has come back for LOST_MS, those on the way count
 * as lost.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_kvargs.h>
#include <rte_mbuf.h>

#include "avp_compat.h"

#define MIN_SIZE 60u
#define MAX_SIZE 1514u
#define MAX_WINDOW 512u
#define MAX_MS 60000u
#define MAX_SAMPLES (1u << 20)
#define LOST_MS 100u
/* For local experiments. */
#define ETHER_TYPE 0x88b5
#define ARG_SHARED "shared"

/* The file. A command is there when asked exceeds answered, an answer when they are equal. */
struct shared {
	_Atomic uint32_t asked;    /* by the other side */
	_Atomic uint32_t answered; /* by the lcore that polls */
	char command[248];
	char answer[256];
};

/* What each packet begins with. What is behind it is whatever the mbuf had there. */
struct head {
	struct rte_ether_hdr eth;
	uint64_t sent_tsc;
	uint32_t run;
} __rte_packed __rte_aligned(2);

/* One command, and what came of it. */
struct job {
	uint32_t pkt_len;
	uint32_t window;
	uint32_t warm_ms;
	uint32_t ms;
	struct rte_ether_addr to;
	bool counting; /* it is warm */
	uint64_t start_tsc;
	uint64_t end_tsc;
	uint64_t progress_tsc; /* when a packet came last */
	uint32_t on_the_way;
	uint64_t received;
	uint64_t lost;
	uint32_t nb_samples;
};

/* Private data of a port. Bursts are those of one lcore. */
struct load {
	struct shared *shared;
	uint16_t port_id;
	struct rte_ether_addr mac;
	struct rte_mempool *pool;
	uint32_t *samples; /* MAX_SAMPLES; round trips, TSC cycles */
	uint32_t run;      /* the command that is being executed; packets of others are dropped */
	bool running;
	struct job job;
};

static uint64_t
ms_to_tsc(uint32_t ms)
{
	return rte_get_tsc_hz() / 1000 * ms;
}

static int
compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a;
	const uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The other side may go on. */
static void
answered(struct load *load)
{
	load->running = false;
	/* Pairs with whoever waits for it, another process, which then reads the answer. */
	atomic_store_explicit(&load->shared->answered, load->run, memory_order_release);
}

static void
job_end(struct load *load, uint64_t now_tsc)
{
	const struct job *job = &load->job;
	const double us = (double)rte_get_tsc_hz() / 1e6;
	char *out = load->shared->answer;
	const size_t size = sizeof(load->shared->answer);
	int len = snprintf(out, size,
			"{\"received\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"pps\": %.1f",
			job->received, job->lost,
			(double)job->received * 1e6 * us / (double)(now_tsc - job->start_tsc));

	if (job->nb_samples != 0) {
		qsort(load->samples, job->nb_samples, sizeof(*load->samples), compare);
		len += snprintf(out + len, size - (size_t)len,
				", \"p50_us\": %.2f, \"p99_us\": %.2f",
				load->samples[job->nb_samples / 2] / us,
				load->samples[(uint64_t)job->nb_samples * 99 / 100] / us);
	}
	snprintf(out + len, size - (size_t)len, "}");
	answered(load);
}

/* From here on packets count. Those on the way are some of those that were sent before. */
static void
job_count(struct job *job, uint64_t now_tsc)
{
	job->counting = true;
	job->start_tsc = now_tsc;
	job->end_tsc = now_tsc + ms_to_tsc(job->ms);
	job->received = 0;
	job->lost = 0;
	job->nb_samples = 0;
}

static void
job_begin(struct load *load)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	const uint64_t now_tsc = rte_rdtsc();
	struct job job = {0};

	if (sscanf(load->shared->command, "%" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %17s",
			    &job.pkt_len, &job.window, &job.warm_ms, &job.ms, mac) != 5 ||
			rte_ether_unformat_addr(mac, &job.to) != 0 || job.pkt_len < MIN_SIZE ||
			job.pkt_len > MAX_SIZE || job.window < 1 || job.window > MAX_WINDOW ||
			job.warm_ms > MAX_MS || job.ms < 1 || job.ms > MAX_MS) {
		snprintf(load->shared->answer, sizeof(load->shared->answer),
				"{\"error\": \"want: SIZE (%u to %u) WINDOW (1 to %u) WARM "
				"(to %u) MILLISECONDS (1 to %u) MAC\"}",
				MIN_SIZE, MAX_SIZE, MAX_WINDOW, MAX_MS, MAX_MS);
		answered(load);
		return;
	}
	job.end_tsc = now_tsc + ms_to_tsc(job.warm_ms);
	job.progress_tsc = now_tsc;
	load->job = job;
	load->running = true;
}

/* Begin and end jobs, and give up packets. */
static void
job_poll(struct load *load)
{
	struct job *job = &load->job;
	uint64_t now_tsc;

	if (!load->running) {
		/* Pairs with the release of whoever has written the command. */
		const uint32_t asked =
				atomic_load_explicit(&load->shared->asked, memory_order_acquire);

		if (asked == load->run)
			return;
		load->run = asked;
		job_begin(load);
		return;
	}
	now_tsc = rte_rdtsc();
	if (now_tsc >= job->end_tsc) {
		if (job->counting)
			job_end(load, now_tsc);
		else
			job_count(job, now_tsc);
	} else if (job->on_the_way != 0 && now_tsc - job->progress_tsc > ms_to_tsc(LOST_MS)) {
		job->lost += job->on_the_way;
		job->on_the_way = 0;
		job->progress_tsc = now_tsc;
	}
}

/* Packets that have room in the window. */
static uint16_t
load_rx_burst(void *queue, struct rte_mbuf **mbufs, uint16_t nb)
{
	struct load *load = queue;
	struct job *job = &load->job;
	struct head head;

	job_poll(load);
	if (!load->running)
		return 0;
	nb = (uint16_t)RTE_MIN(nb, job->window - job->on_the_way);
	if (nb == 0 || rte_pktmbuf_alloc_bulk(load->pool, mbufs, nb) != 0)
		return 0;
	head = (struct head){
			{job->to, load->mac, RTE_BE16(ETHER_TYPE)},
			rte_rdtsc(),
			load->run,
	};
	for (uint16_t i = 0; i < nb; i++) {
		memcpy(rte_pktmbuf_mtod(mbufs[i], void *), &head, sizeof(head));
		mbufs[i]->data_len = (uint16_t)job->pkt_len;
		mbufs[i]->pkt_len = job->pkt_len;
		mbufs[i]->port = load->port_id;
	}
	job->on_the_way += nb;
	return nb;
}

/* Takes all. Packets that are not of the job that is running are those of one that has ended, or
 * others' broadcasts. */
static uint16_t
load_tx_burst(void *queue, struct rte_mbuf **mbufs, uint16_t nb)
{
	struct load *load = queue;
	struct job *job = &load->job;
	const uint64_t now_tsc = rte_rdtsc();

	for (uint16_t i = 0; i < nb; i++) {
		struct head buf;
		const struct head *got = rte_pktmbuf_read(mbufs[i], 0, sizeof(buf), &buf);

		if (!load->running || got == NULL || got->eth.ether_type != RTE_BE16(ETHER_TYPE) ||
				got->run != load->run || mbufs[i]->pkt_len != job->pkt_len)
			continue;
		job->received++;
		job->on_the_way -= RTE_MIN(1u, job->on_the_way);
		job->progress_tsc = now_tsc;
		if (job->nb_samples < MAX_SAMPLES)
			load->samples[job->nb_samples++] =
					(uint32_t)RTE_MIN(now_tsc - got->sent_tsc, UINT32_MAX);
	}
	rte_pktmbuf_free_bulk(mbufs, nb);
	return nb;
}

/*
 * Life of the port
 */

static int
load_configure(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}

static int
load_start(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_UP;
	return 0;
}

static int
load_stop(struct rte_eth_dev *dev)
{
	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	return 0;
}

static int
load_close(struct rte_eth_dev *dev)
{
	struct load *load = dev->data->dev_private;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	munmap(load->shared, sizeof(*load->shared));
	free(load->samples);
	dev->data->mac_addrs = NULL; /* part of the private data */
	return 0;
}

static int
load_info(struct rte_eth_dev *dev __rte_unused, struct rte_eth_dev_info *info)
{
	info->max_mac_addrs = 1;
	info->max_rx_pktlen = RTE_ETHER_MAX_JUMBO_FRAME_LEN;
	info->max_rx_queues = 1;
	info->max_tx_queues = 1;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	return 0;
}

static int
load_rx_queue_setup(struct rte_eth_dev *dev, uint16_t queue, uint16_t nb_desc __rte_unused,
		unsigned int socket __rte_unused, const struct rte_eth_rxconf *conf __rte_unused,
		struct rte_mempool *pool)
{
	struct load *load = dev->data->dev_private;

	load->pool = pool;
	dev->data->rx_queues[queue] = load;
	return 0;
}

static int
load_tx_queue_setup(struct rte_eth_dev *dev, uint16_t queue, uint16_t nb_desc __rte_unused,
		unsigned int socket __rte_unused, const struct rte_eth_txconf *conf __rte_unused)
{
	dev->data->tx_queues[queue] = dev->data->dev_private;
	return 0;
}

static int
load_link_update(struct rte_eth_dev *dev __rte_unused, int wait __rte_unused)
{
	return 0;
}

static int
load_promiscuous(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}

static int
load_stats_get(AVP_STATS_GET_PARAMS)
{
	const struct load *load = dev->data->dev_private;

	stats->opackets = load->job.received;
	return 0;
}

static const struct eth_dev_ops load_ops = {
		.dev_configure = load_configure,
		.dev_start = load_start,
		.dev_stop = load_stop,
		.dev_close = load_close,
		.dev_infos_get = load_info,
		.rx_queue_setup = load_rx_queue_setup,
		.tx_queue_setup = load_tx_queue_setup,
		.link_update = load_link_update,
		.promiscuous_enable = load_promiscuous,
		.promiscuous_disable = load_promiscuous,
		.allmulticast_enable = load_promiscuous,
		.allmulticast_disable = load_promiscuous,
		.stats_get = load_stats_get,
};

static int
map_shared(const char *key __rte_unused, const char *path, void *arg)
{
	struct shared **shared = arg;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*shared = mmap(NULL, sizeof(**shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (*shared == MAP_FAILED) {
		*shared = NULL;
		return -errno;
	}
	return 0;
}

static int
load_create(struct rte_vdev_device *vdev, struct shared *shared)
{
	uint32_t *samples = calloc(MAX_SAMPLES, sizeof(*samples));
	struct rte_eth_dev *dev = rte_eth_vdev_allocate(vdev, sizeof(struct load));
	struct load *load;

	if (samples == NULL || dev == NULL) {
		free(samples);
		if (dev != NULL)
			rte_eth_dev_release_port(dev);
		return -ENOMEM;
	}
	load = dev->data->dev_private;
	load->shared = shared;
	load->samples = samples;
	load->port_id = dev->data->port_id;
	load->run = atomic_load_explicit(&shared->asked, memory_order_relaxed);
	rte_eth_random_addr(load->mac.addr_bytes);
	dev->data->mac_addrs = &load->mac;
	dev->data->dev_link = (struct rte_eth_link){.link_speed = RTE_ETH_SPEED_NUM_10G,
			.link_duplex = RTE_ETH_LINK_FULL_DUPLEX};
	dev->dev_ops = &load_ops;
	dev->rx_pkt_burst = load_rx_burst;
	dev->tx_pkt_burst = load_tx_burst;
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int
load_probe(struct rte_vdev_device *vdev)
{
	static const char *const keys[] = {ARG_SHARED, NULL};
	struct rte_kvargs *args = rte_kvargs_parse(rte_vdev_device_args(vdev), keys);
	struct shared *shared = NULL;
	int ret;

	if (args == NULL)
		return -EINVAL;
	ret = rte_kvargs_process(args, ARG_SHARED, map_shared, &shared);
	rte_kvargs_free(args);
	if (shared == NULL)
		return ret != 0 ? ret : -EINVAL;
	ret = load_create(vdev, shared);
	if (ret != 0)
		munmap(shared, sizeof(*shared));
	return ret;
}

static int
load_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL)
		return 0;
	load_close(dev);
	return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver load_driver = {.probe = load_probe, .remove = load_remove};

RTE_PMD_REGISTER_VDEV(net_load, load_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_load, ARG_SHARED "=<path>");
