/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * guest_host.h
 */

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "avph_api.h"
#include "guest_host.h"
#include "test_clock.h"

#define BURST 32
#define STRIDE 2240u
#define BUF_LEN (STRIDE - 64u)
#define NB_HEAL 200u
/* last byte of the destination: where the host passes an honest packet on to */
#define TO_B 1
#define TO_EVIL 9
#define ECHO 8

extern char **environ;

static void
nap(void)
{
	const struct timespec time = {.tv_nsec = 200000};

	nanosleep(&time, NULL);
}

/* Note the first error; the test sees it in host_check(). */
static void
host_error(struct host *host, const char *error)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&host->error, &none, error);
}

/*
 * What comes from the hostile guest
 */

/* The number of the buffer that a segment lies in, or -1 when it is none that evil may have. */
static int64_t
buf_of_mbuf(const struct host *host, const struct rte_mbuf *mbuf)
{
	uint32_t base = 0;

	for (uint32_t i = 0; i < RTE_DIM(host->bufs); i++) {
		const uintptr_t off = (uintptr_t)mbuf->buf_addr - host->bufs[i].first;

		if (off % STRIDE == 0 && off / STRIDE < host->bufs[i].nb)
			return (int64_t)(base + off / STRIDE);
		base += host->bufs[i].nb;
	}
	return -1;
}

/* Every byte of a clean packet can be read, and lies in a buffer that is nobody else's. */
static void
look_at(struct host *host, const struct rte_mbuf *mbuf)
{
	const struct rte_mbuf *head = mbuf;
	const char *reason;
	uint32_t len = 0;
	uint32_t nb = 0;
	uint8_t sum = 0;

	if (rte_mbuf_check(mbuf, 1, &reason) != 0)
		host_error(host, reason);
	for (; mbuf != NULL && nb < AVP_MAX_SEGS + 1; mbuf = mbuf->next, nb++) {
		const int64_t idx = buf_of_mbuf(host, mbuf);
		const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

		if (idx < 0) {
			host_error(host, "a segment lies in no buffer of the port");
			return;
		}
		if (mbuf->buf_len != BUF_LEN || mbuf->data_len == 0 ||
				mbuf->data_off + mbuf->data_len > BUF_LEN) {
			host_error(host, "a segment goes beyond its buffer");
			return;
		}
		if (atomic_exchange(&host->live[idx], 1) != 0)
			host_error(host, "a buffer came twice");
		for (uint32_t i = 0; i < mbuf->data_len; i += 61)
			sum ^= data[i];
		len += mbuf->data_len;
	}
	if (mbuf != NULL || nb != head->nb_segs || len != head->pkt_len || len < AVP_MIN_PKT_SIZE ||
			len > AVP_MAX_PKT_SIZE + 4)
		host_error(host, "a packet's lengths are wrong");
	atomic_fetch_xor(&host->sum, sum); /* so that the bytes are read */
	atomic_fetch_add(&host->nb_clean, 1);
}

static void
not_live(struct host *host, const struct rte_mbuf *mbuf)
{
	for (; mbuf != NULL; mbuf = mbuf->next) {
		const int64_t idx = buf_of_mbuf(host, mbuf);

		if (idx >= 0)
			atomic_store(&host->live[idx], 0);
	}
}

/* Give packets to the evil port; what it does not take is freed. */
static void
send_evil(struct host *host, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	const uint16_t sent = nb == 0 ? 0 : rte_eth_tx_burst(host->evil.id, queue, pkts, nb);

	rte_pktmbuf_free_bulk(&pkts[sent], nb - sent);
}

/* Half of the packets go back to where they came from, the rest is freed; those of the honest
 * guest that comes afterwards say that they want to go back. */
static void
release(struct host *host, uint16_t queue, struct rte_mbuf **pkts, uint32_t nb)
{
	struct rte_mbuf *echoes[HOST_HOLD];
	uint16_t nb_echoes = 0;

	for (uint32_t i = 0; i < nb; i++) {
		const uint8_t *data = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		not_live(host, pkts[i]);
		if (pkts[i]->data_len > 5 && data[5] % 2 == 0)
			echoes[nb_echoes++] = pkts[i];
		else
			rte_pktmbuf_free(pkts[i]);
	}
	send_evil(host, queue, echoes, nb_echoes);
}

static void
hold_release(struct host *host, uint16_t queue, uint32_t nb)
{
	struct host_hold *hold = &host->holds[queue];

	release(host, queue, hold->pkts, nb);
	hold->nb -= nb;
	memmove(hold->pkts, hold->pkts + nb, hold->nb * sizeof(hold->pkts[0]));
}

/* Serve one queue of the evil port. */
static bool
serve_evil(struct host *host, uint16_t queue)
{
	struct host_hold *hold = &host->holds[queue];
	struct rte_mbuf *pkts[BURST];
	const uint16_t nb = rte_eth_rx_burst(host->evil.id, queue, pkts, BURST);

	for (uint16_t i = 0; i < nb; i++)
		look_at(host, pkts[i]);
	if (hold->nb + nb > HOST_HOLD)
		hold_release(host, queue, hold->nb + nb - HOST_HOLD);
	memcpy(&hold->pkts[hold->nb], pkts, nb * sizeof(pkts[0]));
	hold->nb += nb;
	if (nb == 0)
		hold_release(host, queue, hold->nb);
	return nb > 0;
}

/*
 * Workers
 */

/* What honest packets are waiting for. */
struct pending {
	struct rte_mbuf *pkts[BURST];
	uint16_t nb;
	uint16_t next;
};

/* Pass on from a to b, losing nothing, and to evil what it takes. */
static bool
serve_honest(struct host *host, struct pending *pending, bool evil)
{
	struct rte_mbuf *pkts[BURST];
	struct rte_mbuf *to_evil[BURST];
	struct rte_mbuf *none[1];
	uint16_t nb_evil = 0;
	uint16_t nb;

	/* nothing comes this way, but it is polled as every port is */
	nb = rte_eth_rx_burst(host->b.id, 0, none, 1);
	rte_pktmbuf_free_bulk(none, nb);
	if (pending->next < pending->nb) {
		pending->next += rte_eth_tx_burst(host->b.id, 0, &pending->pkts[pending->next],
				pending->nb - pending->next);
		return true;
	}
	nb = rte_eth_rx_burst(host->a.id, 0, pkts, BURST);
	pending->nb = 0;
	pending->next = 0;
	for (uint16_t i = 0; i < nb; i++) {
		if (rte_pktmbuf_mtod(pkts[i], const uint8_t *)[5] == TO_B)
			pending->pkts[pending->nb++] = pkts[i];
		else if (evil && atomic_load(&host->healing) == 0)
			to_evil[nb_evil++] = pkts[i];
		else
			rte_pktmbuf_free(pkts[i]);
	}
	send_evil(host, 0, to_evil, nb_evil);
	return nb > 0;
}

struct worker_args {
	struct host *host;
	uint16_t queue;
};

static void *
worker_run(void *arg)
{
	struct worker_args args = *(struct worker_args *)arg;
	struct host *host = args.host;
	struct pending pending = {.nb = 0};

	free(arg);
	if (rte_thread_register() != 0)
		host_error(host, "no lcore id for a worker");
	while (atomic_load(&host->stop) == 0) {
		const bool evil = atomic_load(&host->pause) == 0;
		bool busy = false;

		if (!evil)
			hold_release(host, args.queue, host->holds[args.queue].nb);
		atomic_store(&host->paused[args.queue], !evil);
		if (evil)
			busy |= serve_evil(host, args.queue);
		if (args.queue == 0)
			busy |= serve_honest(host, &pending, evil);
		if (!busy)
			sched_yield();
	}
	rte_pktmbuf_free_bulk(&pending.pkts[pending.next], pending.nb - pending.next);
	hold_release(host, args.queue, host->holds[args.queue].nb);
	rte_thread_unregister();
	return NULL;
}

static void
host_pause(struct host *host)
{
	atomic_store(&host->pause, 1);
	for (int i = 0; i < HOST_NB_WORKERS; i++) {
		while (atomic_load(&host->paused[i]) == 0)
			sched_yield();
	}
}

static void
host_resume(struct host *host)
{
	atomic_store(&host->pause, 0);
	for (int i = 0; i < HOST_NB_WORKERS; i++) {
		while (atomic_load(&host->paused[i]) != 0)
			sched_yield();
	}
}

/*
 * The honest guest
 */

/* Packet number @seq: of every length, some of them chains. */
static void
honest_fill(struct sim_pkt *pkt, uint64_t seq)
{
	pkt_fill(pkt, 60 + (uint32_t)(seq * 37 % 1440), (uint32_t)seq % 7, (uint32_t)seq);
	pkt->data[5] = TO_B;
}

static bool
honest_send(struct host *host, struct sim_pkt *pkt)
{
	const uint64_t seq = atomic_load(&host->nb_honest_sent);

	if (atomic_load(&host->honest_stop) != 0)
		return false;
	honest_fill(pkt, seq);
	if (sim_guest_send(&host->guest_a, 0, pkt, seq % 5 == 0 ? 400 : 0) < 0)
		return false;
	atomic_store(&host->nb_honest_sent, seq + 1);
	if (seq % 4 == 0) {
		pkt->data[5] = TO_EVIL;
		sim_guest_send(&host->guest_a, 0, pkt, 0);
	}
	return true;
}

static bool
honest_recv(struct host *host, struct sim_pkt *pkt, struct sim_pkt *want)
{
	const uint64_t seq = atomic_load(&host->nb_honest);

	if (sim_guest_recv(&host->guest_b, 0, pkt) < 0)
		return false;
	honest_fill(want, seq);
	if (pkt->len != want->len || memcmp(pkt->data, want->data, want->len) != 0)
		host_error(host, "an honest packet is lost, late or changed");
	atomic_store(&host->nb_honest, seq + 1);
	return true;
}

static void *
honest_run(void *arg)
{
	static struct sim_pkt pkt;
	static struct sim_pkt want;
	struct host *host = arg;

	while (atomic_load(&host->error) == NULL) {
		bool busy = false;

		for (int i = 0; i < 8; i++)
			busy |= honest_send(host, &pkt);
		while (honest_recv(host, &pkt, &want))
			busy = true;
		if (atomic_load(&host->honest_stop) != 0 &&
				atomic_load(&host->nb_honest) == atomic_load(&host->nb_honest_sent))
			break;
		if (atomic_load(&host->honest_stop) > 1)
			break;
		if (!busy)
			nap();
	}
	return NULL;
}

/*
 * Start and stop
 */

static void
note_buf(struct rte_mempool *pool, void *arg, void *obj, unsigned int i)
{
	struct host_bufs *bufs = arg;
	const struct rte_mbuf *mbuf = obj;

	(void)pool;
	(void)i;
	if (bufs->first == 0 || (uintptr_t)mbuf->buf_addr < bufs->first)
		bufs->first = (uintptr_t)mbuf->buf_addr;
	bufs->nb++;
}

static void
note_bufs(struct host *host, const struct port *port, struct host_bufs *bufs)
{
	rte_mempool_obj_iter(port->own_pool, note_buf, bufs);
	host->nb_bufs += bufs->nb;
}

static void
open_ports(struct host *host, const struct host_conf *conf)
{
	char args[64] = "queues=2,mru=9238,vlan_offload=1";
	char good_args[64] = "";
	struct port_conf evil = {
			.args = args, .nb_rxq = 2, .nb_txq = 2, .app_pool = conf->app_pool};
	const struct port_conf good = {.args = good_args};

	if (conf->domain != NULL) {
		snprintf(args, sizeof(args), "queues=2,%s", conf->domain);
		/* few enough to be drained by a neighbour that keeps them */
		snprintf(good_args, sizeof(good_args), "buffers=256,%s", conf->domain);
	}
	port_open(&host->a, "a", &good);
	port_open(&host->b, "b", &good);
	port_open(&host->evil, "evil", &evil);
	note_bufs(host, &host->evil, &host->bufs[0]);
	if (conf->domain != NULL) {
		note_bufs(host, &host->a, &host->bufs[1]);
		note_bufs(host, &host->b, &host->bufs[2]);
	}
	host->live = calloc(host->nb_bufs, sizeof(*host->live));
	assert_non_null(host->live);
}

void
host_start(struct host *host, const struct host_conf *conf)
{
	memset(host, 0, sizeof(*host));
	host->conf = *conf;
	rte_log_set_level_pattern("pmd.net.avp_host*", RTE_LOG_WARNING);
	open_ports(host, conf);
	assert_int_equal(sim_guest_start(&host->guest_a, host->a.socket, 1, 0), 0);
	assert_int_equal(sim_guest_start(&host->guest_b, host->b.socket, 1, 0), 0);
	assert_true(wait_until(port_is_up, &host->a));
	assert_true(wait_until(port_is_up, &host->b));
	for (uint16_t i = 0; i < HOST_NB_WORKERS; i++) {
		struct worker_args *args = malloc(sizeof(*args));

		assert_non_null(args);
		*args = (struct worker_args){host, i};
		assert_int_equal(pthread_create(&host->workers[i], NULL, worker_run, args), 0);
	}
	assert_int_equal(pthread_create(&host->honest, NULL, honest_run, host), 0);
	host_wait_honest(host, 100);
}

void
host_stop(struct host *host)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;

	host_kill(host);
	atomic_store(&host->honest_stop, 1);
	while (atomic_load(&host->nb_honest) < atomic_load(&host->nb_honest_sent) &&
			atomic_load(&host->error) == NULL && test_now_ms() < end)
		nap();
	atomic_store(&host->honest_stop, 2);
	pthread_join(host->honest, NULL);
	atomic_store(&host->stop, 1);
	for (int i = 0; i < HOST_NB_WORKERS; i++)
		pthread_join(host->workers[i], NULL);
	host_check(host);
	assert_int_equal(atomic_load(&host->nb_honest), atomic_load(&host->nb_honest_sent));
	assert_int_equal(host->guest_a.nb_dirty, 0);
	sim_guest_disconnect(&host->guest_a);
	sim_guest_disconnect(&host->guest_b);
	assert_true(wait_until(port_is_down, &host->a));
	assert_true(wait_until(port_is_down, &host->b));
	assert_true(port_pool_full(&host->a));
	assert_true(port_pool_full(&host->b));
	assert_true(port_pool_full(&host->evil));
	port_close(&host->evil);
	port_close(&host->b);
	port_close(&host->a);
	free((void *)host->live);
}

/*
 * The hostile guest's process
 */

static int
spawn(struct host *host, const char *attack, uint64_t seed, int share_fd)
{
	char seed_text[32];
	char fd_text[16];
	char *argv[] = {(char *)(uintptr_t)host->conf.evil_program, (char *)(uintptr_t)attack,
			host->evil.socket, seed_text, fd_text, NULL};

	snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
	snprintf(fd_text, sizeof(fd_text), "%d", share_fd);
	return posix_spawn(&host->pid, argv[0], NULL, NULL, argv, environ);
}

void
host_attack(struct host *host, const char *attack, uint64_t seed)
{
	/* inherited by the process, on purpose */
	const int fd = memfd_create("guest_evil", 0);
	int ret;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*host->share)), 0);
	if (host->share != NULL)
		munmap(host->share, sizeof(*host->share));
	host->share = mmap(NULL, sizeof(*host->share), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(host->share, MAP_FAILED);
	ret = spawn(host, attack, seed, fd);
	close(fd);
	if (ret != 0) {
		host->pid = 0;
		fail_msg("%s: %s", host->conf.evil_program, strerror(ret));
	}
}

static bool
evil_is_gone(void *arg)
{
	const struct host *host = arg;
	struct rte_avp_host_info info;

	return rte_avp_host_info_get(host->evil.id, &info) == 0 && !info.connected;
}

void
host_kill(struct host *host)
{
	if (host->guest_after.client != NULL)
		sim_guest_disconnect(&host->guest_after);
	atomic_store(&host->healing, 0);
	if (host->pid == 0)
		return;
	kill(host->pid, SIGKILL);
	waitpid(host->pid, NULL, 0);
	host->pid = 0;
	assert_true(wait_until(evil_is_gone, host));
	assert_true(wait_until(port_is_down, &host->evil));
}

static bool
evil_is_settled(void *arg)
{
	const struct host *host = arg;

	return atomic_load(&host->share->stopped) != 0;
}

void
host_settle(struct host *host)
{
	atomic_store(&host->share->stop, 1);
	if (!wait_until(evil_is_settled, host))
		fail_msg("the host has not taken all that the guest sent");
}

/*
 * Looking
 */

void
host_check(struct host *host)
{
	const char *error = atomic_load(&host->error);
	int status;

	if (error != NULL)
		fail_msg("%s (honest packet %llu)", error,
				(unsigned long long)atomic_load(&host->nb_honest));
	if (host->pid != 0 && waitpid(host->pid, &status, WNOHANG) == host->pid) {
		host->pid = 0;
		fail_msg("the hostile guest has ended by itself, status 0x%x",
				(unsigned int)status);
	}
}

void
host_wait_honest(struct host *host, uint64_t nb)
{
	const uint64_t until = atomic_load(&host->nb_honest) + nb;
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;

	while (atomic_load(&host->nb_honest) < until) {
		host_check(host);
		if (test_now_ms() > end)
			fail_msg("the honest guest gets no packets: %llu sent, %llu received",
					(unsigned long long)atomic_load(&host->nb_honest_sent),
					(unsigned long long)atomic_load(&host->nb_honest));
		nap();
	}
}

void
host_go_on(struct host *host, unsigned int ms)
{
	const uint64_t start = test_now_ms();

	for (unsigned int i = 1; i <= 10; i++) {
		host_wait_honest(host, 10);
		while (test_now_ms() < start + ms * i / 10) {
			host_check(host);
			nap();
		}
	}
}

uint64_t
host_counter(struct host *host, const char *name)
{
	const char *star = strchr(name, '*');
	char of_queue[RTE_ETH_XSTATS_NAME_SIZE];
	uint64_t sum = 0;

	if (star == NULL)
		return port_xstat(&host->evil, name);
	for (int q = 0; q < 2; q++) {
		snprintf(of_queue, sizeof(of_queue), "%.*s%d%s", (int)(star - name), name, q,
				star + 1);
		sum += port_xstat(&host->evil, of_queue);
	}
	return sum;
}

/* All counters of the evil port that are not 0, and how far its guest is. */
static void
print_state(struct host *host)
{
	struct rte_eth_xstat_name names[256];
	struct rte_eth_xstat xstats[256];
	const int nb = rte_eth_xstats_get(host->evil.id, xstats, RTE_DIM(xstats));

	if (nb < 0 || nb > (int)RTE_DIM(xstats) ||
			rte_eth_xstats_get_names(host->evil.id, names, RTE_DIM(names)) != nb)
		return;
	for (int i = 0; i < nb; i++) {
		if (xstats[i].value != 0)
			print_error("%s %llu\n", names[i].name,
					(unsigned long long)xstats[i].value);
	}
	if (host->pid != 0)
		print_error("%llu steps of the attack\n",
				(unsigned long long)atomic_load(&host->share->nb_steps));
}

void
host_wait_counter(struct host *host, const char *name, uint64_t above)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;

	while (host_counter(host, name) <= above) {
		host_check(host);
		if (test_now_ms() > end)
			print_state(host);
		if (test_now_ms() > end)
			fail_msg("%s does not rise above %llu", name, (unsigned long long)above);
		nap();
	}
}

/*
 * Afterwards
 */

static void
echo_one(struct host *host, struct sim_guest *guest, uint32_t seq, bool wait)
{
	static struct sim_pkt pkt;
	static struct sim_pkt back;

	pkt_fill(&pkt, 60 + seq * 7 % 1400, seq % 5, seq);
	pkt.data[5] = ECHO;
	if (!wait) {
		assert_int_equal(sim_guest_send(guest, seq % 2, &pkt, 0), 0);
		return;
	}
	/* a copy of an honest packet that was on its way may come in between */
	do
		assert_int_equal(guest_recv(guest, seq % 2, &back), 0);
	while (back.data[5] == TO_EVIL);
	host_check(host);
	assert_int_equal(back.len, pkt.len);
	assert_memory_equal(back.data, pkt.data, pkt.len);
}

static void
wait_alloc(struct host *host, struct sim_guest *guest)
{
	const uint64_t end = test_now_ms() + PORT_ENV_WAIT_MS;

	while (sim_guest_nb_alloc(guest, 0) < 64 || sim_guest_nb_alloc(guest, 1) < 64) {
		host_check(host);
		if (test_now_ms() > end)
			fail_msg("no buffers for the honest guest");
		nap();
	}
}

void
host_expect_healed(struct host *host)
{
	struct sim_guest *guest = &host->guest_after;
	uint64_t drops;

	host_check(host);
	assert_true(wait_until(evil_is_gone, host));
	/* or they might fill the FIFOs that the echoes need */
	atomic_store(&host->healing, 1);
	assert_int_equal(sim_guest_start(guest, host->evil.socket, 2, 0), 0);
	assert_true(wait_until(port_is_up, &host->evil));
	wait_alloc(host, guest);
	drops = port_xstat_sum(&host->evil, "rx_q0_drop_") +
			port_xstat_sum(&host->evil, "rx_q1_drop_");
	for (uint32_t i = 0; i < NB_HEAL; i += 20) {
		for (uint32_t n = 0; n < 20; n++)
			echo_one(host, guest, i + n, false);
		for (uint32_t n = 0; n < 20; n++)
			echo_one(host, guest, i + n, true);
	}
	assert_int_equal(guest->nb_dirty, 0);
	assert_int_equal(port_xstat_sum(&host->evil, "rx_q0_drop_") +
					port_xstat_sum(&host->evil, "rx_q1_drop_"),
			drops);
	sim_guest_disconnect(guest);
	assert_true(wait_until(port_is_down, &host->evil));
	host_pause(host);
	assert_true(port_pool_full(&host->evil));
	if (host->evil.app_pool != NULL)
		assert_true(rte_mempool_full(host->evil.app_pool));
	host_resume(host);
	atomic_store(&host->healing, 0);
	host_check(host);
}
