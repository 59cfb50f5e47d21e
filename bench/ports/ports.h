/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * bench_ports, the measurement of one point: what two polling threads, each on a CPU of its own,
 * reach with given port ends, given work and given packets.
 *
 * How it works
 * main.c (options in options.c) starts the EAL (once, or once in each of two processes) and makes
 * the ends (end.c; stock.c for the emulated guest). Then each side's lcore runs side_main()
 * (side.c, latency.c, pkt.c), and main.c leads both through the phases below by way of struct
 * control, which is shared memory so that the sides may be processes. Before and after the run the
 * two lcores measure how long a cache line takes from one to the other and back (probe.c).
 *
 * The sides are called host (the switch's) and guest. In every test the guest's side makes the
 * packets, unless it is the host that is to send; nothing is allocated elsewhere.
 */

#ifndef BENCH_PORTS_H
#define BENCH_PORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#define MAX_ENDS 64u
#define MAX_QUEUES 8u
#define MAX_SIZES 16u
#define MAX_BURST 64u
#define MAX_SEGS 8u
#define MAX_PKT_SIZE 9238u
#define MAX_PLUGINS 8u

enum side_id {
	SIDE_HOST,
	SIDE_GUEST,
	NB_SIDES,
};

/* What the packets do. */
enum test {
	TEST_ENDS,     /* go round between host end i and guest end i */
	TEST_SWITCH,   /* the host passes them from end i to end i ^ 1, guests send them back */
	TEST_PING,     /* there is just one, and its round trip is timed by the host */
	TEST_PACED,    /* the host sends them at a rate, the guest sends them back; all are timed */
	TEST_TO_GUEST, /* go from the host to the guest, where they are freed */
	TEST_TO_HOST,  /* the other way */
	TEST_THROUGH,  /* guests send them to each other, two by two, through another program */
};

/* What is done to the packets on both sides. */
enum work {
	WORK_IO,   /* nothing */
	WORK_MAC,  /* Ethernet addresses exchanged */
	WORK_FULL, /* the guest rewrites all bytes, the host exchanges the addresses */
};

enum phase {
	PHASE_WAIT,    /* ends are being made */
	PHASE_LEARN,   /* packets go, while a switch learns; left out where that takes no time */
	PHASE_WARM,    /* packets go, nothing is counted */
	PHASE_MEASURE, /* counted */
	PHASE_DRAIN,   /* the side that made the packets takes them out */
	PHASE_STOP,
};

/* One point. */
struct point {
	enum test test;
	enum work work;
	uint32_t sizes[MAX_SIZES]; /* bytes of packets, in turn */
	uint32_t nb_sizes;
	uint32_t burst;
	uint32_t in_flight; /* packets per pair of ends and queue */
	uint32_t nb_queues;
	uint32_t nb_desc;   /* for queue setup */
	uint32_t mbuf_room; /* data bytes */
	uint32_t nb_mbufs;  /* of each end's mempool */
	uint32_t nb_segs;   /* mbufs of a packet when it is made, at least */
	uint32_t nb_macs;   /* addresses that packets have in all, 0: one for each end */
	uint32_t load;      /* percent of the highest rate */
	uint32_t warm_ms;
	uint32_t measure_ms;
	bool vlan;          /* both sides take a tag off, and put it on */
	bool vlan_offload;  /* let drivers do that */
	bool host_own_pool; /* receive into the port's own mempool, where it has one */
};

/* What the command line says. */
struct options {
	struct point point;
	const char *specs[NB_SIDES][MAX_ENDS];
	uint32_t nb_ends[NB_SIDES];
	const char *plugins[MAX_PLUGINS];
	uint32_t nb_plugins;
	uint32_t cpus[NB_SIDES];
	uint32_t nb_processes;
	uint32_t mem_mb;
	bool huge;
	bool real_time;
	bool log;
};

/* Times, TSC cycles: exact below 64, then 64 steps for each power of two. */
#define HIST_STEPS 64u
#define HIST_SIZE (HIST_STEPS * 27u)

/* What a side has counted. Written by its lcore, read by main after the end. */
struct side_result {
	uint64_t packets;  /* received while measuring */
	uint64_t bursts;   /* that had packets */
	uint64_t rx_tsc;   /* spent in bursts that had packets: receiving, */
	uint64_t work_tsc; /* working (making and freeing, one way), */
	uint64_t tx_tsc;   /* and sending */
	uint64_t measure_tsc;
	uint64_t cpu_ns;       /* of the thread, while measuring */
	uint64_t probe_tsc[2]; /* round trip of a cache line, before and after */
	double highest_pps;    /* found by the sender of TEST_PACED */
	uint32_t hist[HIST_SIZE];
} __rte_cache_aligned;

/* What main needs to know of a side while it runs; written by its lcore. */
struct side_state {
	_Atomic uint32_t seen;        /* phase that it has come to */
	_Atomic uint32_t done;        /* 1: it has come to its end */
	_Atomic uint32_t probes;      /* that it has begun */
	_Atomic uint64_t made;        /* packets sent for the first time */
	_Atomic uint64_t drained;     /* packets that came back, or were never taken */
	_Atomic uint64_t last_rx_tsc; /* of packets drained */
} __rte_cache_aligned;

/* Shared by the sides. */
struct control {
	_Atomic uint32_t phase __rte_cache_aligned; /* enum phase; written by main */
	_Atomic uint32_t ready[NB_SIDES];           /* 1: ends are there; 2: failed */
	_Atomic uint32_t links[NB_SIDES];           /* 1: all are up; 2: failed */
	_Atomic uint32_t line __rte_cache_aligned;  /* of the probe */
	struct side_state state[NB_SIDES];
	struct side_result result[NB_SIDES];
};

/* A port, or what takes its place. */
struct end {
	uint16_t (*rx)(struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb);
	uint16_t (*tx)(struct end *end, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb);
	uint16_t port_id;
	struct stock *stock;
	struct rte_mempool *pool; /* that it receives into */
	bool strips_vlan;
	bool inserts_vlan;
	const char *spec;
	char name[64];
};

/* A side: what its lcore works with. */
struct side {
	enum side_id id;
	const struct point *point;
	struct control *control;
	struct end *ends;
	uint32_t nb_ends;
	bool real_time;
	struct side_result *result; /* in control */
	/* private to the lcore */
	bool stamped; /* packets carry the time when they were sent */
	uint32_t phase;
	uint64_t start_tsc;
	uint64_t start_cpu_ns;
	uint32_t random;
	uint32_t next_mac[MAX_ENDS];
	uint32_t hist_of_none[HIST_SIZE]; /* of packets whose time does not count */
};

/* options.c */

/** Read the command line. What is wrong with it is printed, and ends the program. */
void options_parse(struct options *options, int argc, char **argv);
const char *test_name(enum test test);
const char *work_name(enum work work);

/* result.c */

/** Print the point as JSON, one line. @ends_kib: memory of a pair of ends, 0 = not known. */
void result_print(const struct options *options, const struct control *control, uint64_t ends_kib);
uint64_t total_made(const struct control *control);
uint64_t total_drained(const struct control *control);

/* end.c */

/** Make the end that @spec names: "net_something0,args", "ring:NAME" or "stock:SOCKET". Returns 0
 * or -errno; the reason is printed. */
int end_open(struct end *end, enum side_id side, const char *spec, const struct point *point);
/** Can packets pass? */
bool end_is_up(const struct end *end);

/* stock.c: a guest that behaves like the driver of unmodified DPDK packages */

struct stock *stock_open(const char *socket, struct rte_mempool *pool, uint32_t nb_queues);
uint16_t stock_rx(struct stock *stock, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb);
uint16_t stock_tx(struct stock *stock, uint16_t queue, struct rte_mbuf **pkts, uint16_t nb);

/* side.c */

/** Run the test on this lcore; @arg is a struct side. */
int side_main(void *arg);

/** Of the calling thread: 0, as usual, or real-time. Who leads must be above those that poll. */
void thread_priority(int priority);
/** The place in a histogram that counts @value, TSC cycles. */
uint32_t hist_index(uint64_t value);

/* mem.c */

/** Memory that this process uses, whoever else does. */
uint64_t mem_kib(void);

/* probe.c */

/** Measure with the other side's lcore; returns the least round trip in TSC cycles, 0 when the
 * other one did not come or did not answer in time. */
uint64_t probe(struct control *control, enum side_id side);

#endif /* BENCH_PORTS_H */
