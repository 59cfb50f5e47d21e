/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The process of the hostile guest: guest_evil ATTACK SOCKET SEED SHARE-FD. It ends by being
 * killed, or with status 1 when it cannot go on; with its parent in any case.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "guest_evil.h"
#include "test_clock.h"

#define CONNECT_TRIES 2000
#define CONNECT_NAP_NS 5000000l
/* Without a buffer, or room, for so long the guest begins anew, and what it has put is lost. Longer
 * than a busy system keeps the host's lcore from its CPU. */
#define RENEW_MS 200u

/* Begin anew when nothing has come since *@since_ms, then count from now. */
static void
renew_if_overdue(struct evil *evil, uint64_t *since_ms)
{
	if (test_now_ms() - *since_ms < RENEW_MS)
		return;
	evil_renew(evil);
	*since_ms = test_now_ms();
}

uint32_t
evil_below(struct evil *evil, uint32_t limit)
{
	return (uint32_t)(evil_random(&evil->rnd) >> 32) % limit;
}

/* One of all steps, with the flags as they happen to be; half of them honest ones. */
static void
random_step(struct evil *evil)
{
	const struct evil_attack *table = evil_below(evil, 3) ? evil_attacks : evil_ctrl_attacks;
	uint32_t nb = 0;

	evil->ignores_rx = evil_below(evil, 8) == 0;
	evil->keeps_rx = evil_below(evil, 8) == 0;
	if (evil_below(evil, 2)) {
		evil_send(evil, evil_below(evil, evil->nb_lanes), evil_below(evil, 32));
		return;
	}
	while (table[nb].name != NULL)
		nb++;
	table += evil_below(evil, nb);
	/* the racer needs its mappings */
	if (strcmp(table->name, "reconnect_storm") != 0)
		table->step(evil);
}

/* The races, one after the other, with breaks. */
static void *
random_racer(void *arg)
{
	struct evil *evil = arg;
	uint64_t rnd = evil->rnd ^ 0xabcd;

	for (;;) {
		if (evil_random(&rnd) % 64 == 0)
			evil_race(evil, &rnd);
		else
			evil_pause(1);
	}
	return NULL;
}

static const struct evil_attack random_attack = {"random", random_step, random_racer, 0};

const struct evil_attack *
evil_find(const char *name)
{
	const struct evil_attack *const tables[] = {
			evil_attacks, evil_ctrl_attacks, evil_ring_attacks};

	for (uint32_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct evil_attack *attack = tables[i]; attack->name != NULL; attack++)
			if (strcmp(attack->name, name) == 0)
				return attack;
	return strcmp(name, random_attack.name) == 0 ? &random_attack : NULL;
}

void
evil_forget(struct evil *evil)
{
	memset(evil->nb_labels, 0, sizeof(evil->nb_labels));
	evil->nb_held = 0;
}

int
evil_connect(struct evil *evil)
{
	const struct timespec nap = {.tv_nsec = CONNECT_NAP_NS};
	int ret = -ENOENT;

	/* the port may still be busy with the end of the guest before */
	for (int i = 0; i < CONNECT_TRIES && ret < 0; i++) {
		if (i > 0)
			nanosleep(&nap, NULL);
		ret = sim_guest_connect(&evil->guest, evil->socket);
	}
	if (ret < 0)
		return ret;
	/* it will write over these */
	evil->info = *evil->guest.info;
	evil->memmap = *evil->guest.memmap;
	evil->guest.info = &evil->info;
	evil->guest.memmap = &evil->memmap;
	evil->nb_lanes = evil->info.max_tx_queues;
	if (evil->nb_lanes > EVIL_MAX_LANES)
		evil->nb_lanes = EVIL_MAX_LANES;
	evil->stride = 35 * 64;
	evil->nb_bufs = (uint32_t)((evil->guest.mem_size -
						   (evil->guest.info->buf_pa -
								   evil->guest.memmap->maps[0]
										   .area_pa)) /
			evil->stride);
	evil_forget(evil);
	return sim_guest_configure(
			&evil->guest, evil->nb_lanes, evil->nb_lanes, evil->features, true);
}

void
evil_pause(uint32_t us)
{
	const struct timespec time = {.tv_nsec = us * 1000l};

	nanosleep(&time, NULL);
}

struct avp_desc *
evil_desc(const struct evil *evil, uint64_t va)
{
	return sim_guest_ptr(&evil->guest, va);
}

/* Open one end anew from what is in the shared memory, if that makes sense. */
static void
repair(struct avp_fifo_end *end, bool producer)
{
	const struct avp_fifo_end was = *end;

	/* its own index it knows; the peer's is the host's to say */
	evil_poke32(producer ? &end->fifo->write : &end->fifo->read, was.own);
	if (avp_fifo_end_open(end, was.fifo, producer, was.len) < 0)
		*end = was;
}

void
evil_renew(struct evil *evil)
{
	evil_forget(evil);
	if (sim_guest_configure(
			    &evil->guest, evil->nb_lanes, evil->nb_lanes, evil->features, true) < 0)
		fprintf(stderr, "guest_evil: the port does not take a configuration\n");
}

static void
put(struct evil *evil, struct avp_fifo_end *end, uint64_t va)
{
	enum avp_fifo_fault fault = AVP_FIFO_OK;
	uint64_t since_ms = test_now_ms();

	while (avp_fifo_room(end, 1, &fault) == 0) {
		if (fault != AVP_FIFO_OK)
			repair(end, true);
		renew_if_overdue(evil, &since_ms);
		evil_collect(evil);
		sched_yield();
		fault = AVP_FIFO_OK;
	}
	avp_fifo_set(end, 0, va);
	avp_fifo_put_done(end, 1);
}

void
evil_put_tx(struct evil *evil, uint32_t lane, uint64_t va)
{
	put(evil, &evil->guest.lanes[lane].tx, va);
	atomic_fetch_add(&evil->share->nb_put, 1);
}

void
evil_put_entries(struct evil *evil, uint32_t lane, const struct avp_cring_words *words, uint32_t nb)
{
	uint64_t since_ms = test_now_ms();

	while (!sim_guest_put_entries(&evil->guest, lane, words, nb)) {
		renew_if_overdue(evil, &since_ms);
		evil_collect(evil);
		sched_yield();
	}
	atomic_fetch_add(&evil->share->nb_put, nb);
}

void
evil_put_free(struct evil *evil, uint32_t lane, uint64_t va)
{
	put(evil, &evil->guest.lanes[lane].free, va);
}

static void
note_label(struct evil *evil, uint32_t lane, uint64_t va)
{
	const uint64_t idx = (va - evil->guest.info->buf_va) / evil->stride;

	/* it may have overwritten the entry itself */
	if (va % 8 != evil->guest.info->buf_va % 8 || idx >= evil->nb_bufs)
		return;
	if (evil->nb_labels[lane] < EVIL_MAX_BUFS)
		evil->labels[lane][evil->nb_labels[lane]++] = va;
	if (idx < EVIL_MAX_BUFS && !evil->is_seen[idx]) {
		evil->is_seen[idx] = true;
		/* before it is counted: the racer may take any that is */
		evil->seen[evil->nb_seen] = va;
		atomic_fetch_add(&evil->nb_seen, 1);
	}
}

/* The next buffer that the host has sent, whatever the form of the rx FIFO. */
static bool
take_rx(struct evil *evil, uint32_t lane, uint64_t *va)
{
	struct avp_cring_words words;

	if (!evil->guest.compact)
		return sim_guest_take_rx(&evil->guest, lane, va);
	if (!sim_guest_take_entry(&evil->guest, lane, &words))
		return false;
	*va = sim_guest_buf_va(&evil->guest, avp_cring_buf_idx(words.place));
	return true;
}

/* Serve an rx FIFO. A free FIFO that is full loses the label: the guest's own loss. */
static void
serve_rx(struct evil *evil, uint32_t lane)
{
	uint64_t va;

	if (evil->ignores_rx)
		return;
	while (take_rx(evil, lane, &va)) {
		if (!evil->keeps_rx)
			sim_guest_put_free(&evil->guest, lane, va);
		else if (evil->nb_held < EVIL_MAX_BUFS)
			evil->held[evil->nb_held++] = va;
	}
}

void
evil_collect(struct evil *evil)
{
	for (uint32_t lane = 0; lane < evil->nb_lanes; lane++) {
		struct avp_fifo_end *alloc = &evil->guest.lanes[lane].alloc;
		enum avp_fifo_fault fault = AVP_FIFO_OK;
		uint32_t avail = avp_fifo_avail(alloc, alloc->len, &fault);

		while (avail-- > 0) {
			note_label(evil, lane, avp_fifo_at(alloc, 0));
			avp_fifo_get_done(alloc, 1);
		}
		if (fault != AVP_FIFO_OK)
			repair(alloc, false);
		serve_rx(evil, lane);
	}
}

void
evil_wait_labels(struct evil *evil, uint32_t lane, uint32_t nb)
{
	uint64_t since_ms = test_now_ms();

	evil_collect(evil);
	while (evil->nb_labels[lane] < nb) {
		renew_if_overdue(evil, &since_ms);
		sched_yield();
		evil_collect(evil);
	}
}

uint64_t
evil_take(struct evil *evil, uint32_t lane)
{
	evil_wait_labels(evil, lane, 1);
	return evil->labels[lane][--evil->nb_labels[lane]];
}

uint64_t
evil_foreign(struct evil *evil)
{
	uint32_t idx;

	evil_collect(evil);
	do
		idx = evil_below(evil, evil->nb_bufs < 1024 ? evil->nb_bufs : 1024);
	while (evil->is_seen[idx]);
	return evil->guest.info->buf_va + (uint64_t)idx * evil->stride;
}

void
evil_fill(struct evil *evil, uint64_t va, uint32_t len)
{
	struct avp_desc *desc = evil_desc(evil, va);
	uint8_t *data = sim_guest_ptr(&evil->guest, va + sizeof(*desc) + 128);

	desc->ol_flags = 0;
	desc->next_va = 0;
	desc->data_va = va + sizeof(*desc) + 128;
	desc->data_len = (uint16_t)len;
	desc->nb_segs = 1;
	desc->pkt_len = (uint16_t)len;
	desc->vlan_tci = 0;
	memset(data, 0xee, len);
}

void
evil_chain(struct evil *evil, uint32_t lane, uint64_t *vas, uint32_t nb_segs)
{
	for (uint32_t i = 0; i < nb_segs; i++) {
		vas[i] = evil_take(evil, lane);
		evil_fill(evil, vas[i], 100);
		if (i > 0)
			evil_desc(evil, vas[i - 1])->next_va = vas[i];
	}
	evil_desc(evil, vas[0])->nb_segs = (uint8_t)nb_segs;
	evil_desc(evil, vas[0])->pkt_len = (uint16_t)(100 * nb_segs);
}

void
evil_send(struct evil *evil, uint32_t lane, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++) {
		const uint64_t va = evil_take(evil, lane);

		evil_fill(evil, va, 60 + evil_below(evil, 1000));
		evil_put_tx(evil, lane, va);
	}
}

/* The test wants an account: wait until the host has taken everything. */
static void
settle(struct evil *evil)
{
	for (uint32_t lane = 0; lane < evil->nb_lanes; lane++) {
		struct avp_fifo_end *tx = &evil->guest.lanes[lane].tx;
		enum avp_fifo_fault fault = AVP_FIFO_OK;

		while (avp_fifo_room(tx, tx->len, &fault) < tx->len - 1)
			sched_yield();
	}
	atomic_store(&evil->share->stopped, 1);
	for (;;)
		pause();
}

static int
attack_run(struct evil *evil, const struct evil_attack *attack)
{
	pthread_t racer;

	evil_collect(evil);
	if (attack->racer != NULL) {
		/* it needs something to race for */
		while (evil->nb_seen < 64) {
			sched_yield();
			evil_collect(evil);
		}
		if (pthread_create(&racer, NULL, attack->racer, evil) != 0)
			return 1;
	}
	while (atomic_load(&evil->share->stop) == 0) {
		attack->step(evil);
		atomic_fetch_add(&evil->share->nb_steps, 1);
	}
	settle(evil);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct evil evil;
	const struct evil_attack *attack = argc == 5 ? evil_find(argv[1]) : NULL;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (attack == NULL) {
		fprintf(stderr, "usage: guest_evil ATTACK SOCKET SEED SHARE-FD\n");
		return 1;
	}
	evil.socket = argv[2];
	evil.features = attack->features;
	evil.rnd = strtoull(argv[3], NULL, 0) * 2 + 1;
	evil.share = mmap(NULL, sizeof(*evil.share), PROT_READ | PROT_WRITE, MAP_SHARED,
			atoi(argv[4]), 0);
	if (evil.share == MAP_FAILED) {
		fprintf(stderr, "guest_evil: shared page: %s\n", strerror(errno));
		return 1;
	}
	ret = evil_connect(&evil);
	if (ret < 0) {
		fprintf(stderr, "guest_evil: %s: %s\n", evil.socket, strerror(-ret));
		return 1;
	}
	return attack_run(&evil, attack);
}
