/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Capture to pcapng; how it works is told in capture.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <rte_ring.h>

#include "avp_compat.h"
#include "avp_sock.h"
#include "capture.h"
#include "forward.h"

#define RING_SIZE 1024u
#define POOL_SIZE 2047u
#define WRITE_BURST 32u
#define WRITER_PERIOD_US 5000

struct capture {
	struct rte_ring *ring;
	struct rte_mempool *pool;
	rte_pcapng_t *out; /* owns the file descriptor */
	pthread_t thread;
	bool has_thread;
	_Atomic bool stop;
	_Atomic bool full;         /* the limit is reached, or the file cannot be written */
	_Atomic uint64_t admitted; /* written, or on their way; at most the limit if there is one */
	_Atomic uint64_t packets;
	_Atomic uint64_t lost;
	_Atomic int error;
	uint64_t limit;
	uint32_t snaplen;
	char file[CAPTURE_FILE_SIZE];
};

static uint64_t
get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* How many of @nb packets may be recorded. Those beyond the limit are not lost. */
static uint16_t
admit(struct capture *capture, uint16_t nb)
{
	uint64_t before = get(&capture->admitted);
	uint16_t n = nb;

	if (capture->limit == 0)
		return nb;
	do
		n = (uint16_t)RTE_MIN((uint64_t)nb, capture->limit - before);
	while (n > 0 &&
			!atomic_compare_exchange_weak_explicit(&capture->admitted, &before,
					before + n, memory_order_relaxed, memory_order_relaxed));
	return n;
}

void
capture_packets(struct capture *capture, uint16_t port_id, struct rte_mbuf *const *mbufs,
		uint16_t nb, bool is_rx)
{
	enum rte_pcapng_direction direction =
			is_rx ? RTE_PCAPNG_DIRECTION_IN : RTE_PCAPNG_DIRECTION_OUT;
	struct rte_mbuf *copies[FORWARD_BURST];
	unsigned int n = 0;
	unsigned int done;

	if (atomic_load_explicit(&capture->full, memory_order_relaxed))
		return;
	nb = admit(capture, nb);
	for (uint16_t i = 0; i < nb; i++) {
		copies[n] = AVP_PCAPNG_COPY(
				port_id, mbufs[i], capture->pool, capture->snaplen, direction);
		if (copies[n] != NULL)
			n++;
	}
	done = rte_ring_mp_enqueue_burst(capture->ring, (void **)copies, n, NULL);
	if (done < n)
		rte_pktmbuf_free_bulk(copies + done, n - done);
	if (done < nb) {
		atomic_fetch_add_explicit(&capture->lost, nb - done, memory_order_relaxed);
		if (capture->limit != 0)
			atomic_fetch_sub_explicit(
					&capture->admitted, nb - done, memory_order_relaxed);
	}
}

static void
end(struct capture *capture, int error)
{
	atomic_store_explicit(&capture->error, error, memory_order_relaxed);
	atomic_store_explicit(&capture->full, true, memory_order_relaxed);
}

/* Write what is on the ring. Returns false when it was empty. */
static bool
write_some(struct capture *capture)
{
	struct rte_mbuf *mbufs[WRITE_BURST];
	unsigned int nb =
			rte_ring_sc_dequeue_burst(capture->ring, (void **)mbufs, WRITE_BURST, NULL);

	if (nb == 0)
		return false;
	if (atomic_load_explicit(&capture->error, memory_order_relaxed) == 0) {
		if (rte_pcapng_write_packets(capture->out, mbufs, nb) >= 0)
			atomic_fetch_add_explicit(&capture->packets, nb, memory_order_relaxed);
		else
			end(capture, errno);
	}
	rte_pktmbuf_free_bulk(mbufs, nb);
	if (capture->limit != 0 && get(&capture->packets) == capture->limit)
		end(capture, 0);
	return true;
}

static void *
writer_main(void *arg)
{
	struct capture *capture = arg;
	bool last = false;

	/* One more round after the stop, for what the workers put there before. */
	while (!last) {
		struct timespec ts = {.tv_nsec = WRITER_PERIOD_US * 1000L};

		last = atomic_load_explicit(&capture->stop, memory_order_acquire);
		while (write_some(capture))
			;
		if (!last)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	return NULL;
}

static int
open_file(struct capture *capture, const struct capture_conf *conf, struct avp_err *err)
{
	int fd = open(conf->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST)
		return avp_err_set(err, EEXIST,
				"%s: file=%.128s: is there already, delete it or choose another",
				conf->port_name, conf->file);
	if (fd < 0)
		return avp_err_set(err, errno, "%s: file=%.128s: %s", conf->port_name, conf->file,
				strerror(errno));
	capture->out = rte_pcapng_fdopen(fd, NULL, NULL, "avp-switch", conf->port_name);
	if (capture->out == NULL)
		avp_sock_close(&fd);
	if (capture->out == NULL ||
			AVP_PCAPNG_ADD_INTERFACE(capture->out, conf->port_id, conf->port_name) <
					0) {
		unlink(conf->file);
		return avp_err_set(err, EIO, "%s: the pcapng header cannot be written", conf->file);
	}
	return 0;
}

static int
create_buffers(struct capture *capture, const struct capture_conf *conf, struct avp_err *err)
{
	char name[RTE_MEMZONE_NAMESIZE];

	snprintf(name, sizeof(name), "capture_%u", conf->port_id);
	capture->ring = rte_ring_create(name, RING_SIZE, rte_socket_id(), RING_F_SC_DEQ);
	capture->pool = rte_pktmbuf_pool_create(name, POOL_SIZE, 32, 0,
			RTE_MIN(rte_pcapng_mbuf_size(conf->snaplen), (uint32_t)UINT16_MAX),
			rte_socket_id());
	if (capture->ring == NULL || capture->pool == NULL)
		return avp_err_set(err, ENOMEM,
				"%s: snaplen=%u: not enough memory for %u packets, see --memory",
				conf->port_name, conf->snaplen, POOL_SIZE);
	return 0;
}

int
capture_create(struct capture **out, const struct capture_conf *conf, struct avp_err *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int rc;

	if (capture == NULL)
		return avp_err_set(err, ENOMEM, "%s: not enough memory", conf->port_name);
	capture->limit = conf->limit;
	capture->snaplen = conf->snaplen;
	snprintf(capture->file, sizeof(capture->file), "%s", conf->file);
	rc = create_buffers(capture, conf, err);
	if (rc == 0)
		rc = open_file(capture, conf, err);
	if (rc == 0) {
		rc = pthread_create(&capture->thread, NULL, writer_main, capture);
		capture->has_thread = rc == 0;
		if (rc != 0)
			rc = avp_err_set(err, rc, "%s: no thread for the capture: %s",
					conf->port_name, strerror(rc));
	}
	if (rc != 0) {
		capture_destroy(capture, NULL);
		return rc;
	}
	pthread_setname_np(capture->thread, "avp-capture");
	*out = capture;
	return 0;
}

void
capture_destroy(struct capture *capture, struct capture_status *status)
{
	if (capture == NULL)
		return;
	if (capture->has_thread) {
		/* Pairs with the acquire in writer_main(). */
		atomic_store_explicit(&capture->stop, true, memory_order_release);
		pthread_join(capture->thread, NULL);
	}
	if (status != NULL)
		capture_status(capture, status);
	if (capture->out != NULL)
		rte_pcapng_close(capture->out);
	rte_ring_free(capture->ring);
	rte_mempool_free(capture->pool);
	free(capture);
}

void
capture_status(const struct capture *capture, struct capture_status *status)
{
	status->packets = get(&capture->packets);
	status->lost = get(&capture->lost);
	status->error = atomic_load_explicit(&capture->error, memory_order_relaxed);
	status->running = !atomic_load_explicit(&capture->full, memory_order_relaxed);
}

const char *
capture_file(const struct capture *capture)
{
	return capture->file;
}
