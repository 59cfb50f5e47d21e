/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The host end of the VM tests: a DPDK application on net_avp_host ports that sends packets into a
 * guest and compares what comes back with what should (traffic_job.h, traffic_pkt.h).
 *
 *   vm_traffic EAL-ARGUMENTS
 *
 * It uses every port that EAL has, and takes commands, one per line, from standard input; each is
 * answered with one line of JSON on standard output. Ports are named by number.
 *
 *   stream KEY=VALUE...   add a stream to the next job; keys: see stream_keys
 *   run KEY=VALUE...      do the job; keys: see job_keys; the answer comes at its end
 *   start KEY=VALUE...    begin the job and answer at once
 *   stop                  end the job begun with start, and answer with its result
 *   reset                 drop jobs and streams, whatever state they are in
 *   link PORT up|down MS  wait for this state of the link; the answer tells the state reached
 *   setlink PORT up|down  the host's wish, as with ethtool
 *   info PORT             state of the port and of the guest's driver
 *   counters PORT         the port's xstats that are not 0
 *   pools                 mbufs that are out of their pools
 *   detach PORT MS, attach PORT MS
 *   quit
 *
 * How it works
 * One thread does it all: it polls the ports, and standard input now and then. Between jobs packets
 * are received and dropped.
 */

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "avph_api.h"
#include "traffic_job.h"

#define MAX_PORTS 8
#define POOL_SIZE 16384u
#define POOL_CACHE 256u
#define NB_DESC 256u
#define LINE_SIZE 1024
/* Polls of the ports between two looks at standard input. */
#define POLLS_PER_LOOK 64u
#define IDLE_US 50u

struct traffic {
	struct traffic_port ports[MAX_PORTS];
	uint16_t nb_ports;
	struct rte_mempool *pool;
	struct traffic_job job;  /* under way if its number is not 0 */
	struct traffic_job next; /* being described */
	uint32_t nb_jobs;
	bool running_quietly; /* the job was begun with start */
	bool quit;
	char line[LINE_SIZE]; /* what has come of the next command */
	size_t line_len;
};

/* Link events of each port, counted on a thread of EAL's. */
static _Atomic uint32_t link_events[MAX_PORTS];

static void
answer_error(const char *command, const char *what)
{
	printf("{\"error\": \"%s: %s\"}\n", command, what);
}

/*
 * Ports
 */

static int
link_changed(uint16_t port_id, enum rte_eth_event_type type __rte_unused, void *arg __rte_unused,
		void *ret __rte_unused)
{
	if (port_id < MAX_PORTS)
		atomic_fetch_add_explicit(&link_events[port_id], 1, memory_order_relaxed);
	return 0;
}

static int
port_setup_queues(struct traffic *t, uint16_t port_id, uint16_t nb_queues, bool fixed)
{
	struct rte_mempool *pool = fixed ? rte_avp_host_mempool(port_id) : t->pool;
	int ret = pool == NULL ? -ENODEV : 0;

	for (uint16_t queue = 0; queue < nb_queues && ret == 0; queue++) {
		ret = rte_eth_rx_queue_setup(port_id, queue, NB_DESC, SOCKET_ID_ANY, NULL, pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port_id, queue, NB_DESC, SOCKET_ID_ANY, NULL);
	}
	return ret;
}

/* Every second port receives into its own mempool, the others into the application's. */
static int
port_start(struct traffic *t, uint16_t port_id)
{
	struct rte_eth_conf conf = {.intr_conf.lsc = 1};
	struct rte_avp_host_info host;
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port_id, &info);

	if (ret == 0)
		ret = rte_avp_host_info_get(port_id, &host);
	if (ret != 0)
		return ret;
	conf.rxmode.mtu = info.max_mtu;
	conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.txmode.offloads = info.tx_offload_capa &
			(RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
	ret = rte_eth_dev_configure(port_id, host.nb_queues, host.nb_queues, &conf);
	if (ret == 0)
		ret = port_setup_queues(t, port_id, host.nb_queues, port_id % 2 == 1);
	if (ret == 0)
		ret = rte_eth_dev_callback_register(
				port_id, RTE_ETH_EVENT_INTR_LSC, link_changed, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(port_id);
	t->ports[t->nb_ports++] = (struct traffic_port){port_id, host.nb_queues};
	return ret;
}

static int
ports_start(struct traffic *t)
{
	uint16_t port_id;

	t->pool = rte_pktmbuf_pool_create(
			"app", POOL_SIZE, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (t->pool == NULL)
		return -rte_errno;
	RTE_ETH_FOREACH_DEV (port_id) {
		int ret = port_id < MAX_PORTS ? port_start(t, port_id) : -E2BIG;

		if (ret != 0) {
			fprintf(stderr, "vm_traffic: port %u: %s\n", port_id, strerror(-ret));
			return ret;
		}
	}
	return t->nb_ports > 0 ? 0 : -ENODEV;
}

/* Between jobs: whatever comes is dropped. */
static void
ports_drain(struct traffic *t)
{
	for (uint16_t i = 0; i < t->nb_ports; i++) {
		for (uint16_t queue = 0; queue < t->ports[i].nb_queues; queue++) {
			struct rte_mbuf *mbufs[32];
			const uint16_t nb = rte_eth_rx_burst(t->ports[i].id, queue, mbufs, 32);

			rte_pktmbuf_free_bulk(mbufs, nb);
			rte_eth_tx_burst(t->ports[i].id, queue, NULL, 0);
		}
	}
}

static void
ports_close(struct traffic *t)
{
	for (uint16_t i = 0; i < t->nb_ports; i++) {
		rte_eth_dev_stop(t->ports[i].id);
		rte_eth_dev_close(t->ports[i].id);
	}
}

/*
 * Keys of streams and jobs
 */

struct key {
	const char *name;
	bool (*set)(struct traffic *t, struct traffic_stream *stream, const char *value);
};

static bool
to_number(const char *value, unsigned long max, unsigned long *number)
{
	char *end;

	*number = strtoul(value, &end, 0);
	return *value != '\0' && *end == '\0' && *number <= max;
}

static const struct traffic_port *
to_port(const struct traffic *t, const char *value)
{
	unsigned long number;

	if (!to_number(value, t->nb_ports - 1u, &number))
		return NULL;
	return &t->ports[number];
}

static bool
set_from(struct traffic *t, struct traffic_stream *stream, const char *value)
{
	stream->from = to_port(t, value);
	return stream->from != NULL;
}

static bool
set_to(struct traffic *t, struct traffic_stream *stream, const char *value)
{
	stream->to = to_port(t, value);
	return stream->to != NULL;
}

/* A function that sets a number: its name, the member, the least and the greatest value. */
#define SETTER(name, member, least, greatest)                                                 \
	static bool name(struct traffic *t, struct traffic_stream *stream, const char *value) \
	{                                                                                     \
		const unsigned long min = (least);                                            \
		unsigned long number;                                                         \
                                                                                              \
		RTE_SET_USED(t);                                                              \
		RTE_SET_USED(stream);                                                         \
		if (!to_number(value, greatest, &number) || number < min)                     \
			return false;                                                         \
		member = (__typeof__(member))number;                                          \
		return true;                                                                  \
	}

SETTER(set_count, stream->count, 0, UINT32_MAX)
SETTER(set_flows, stream->spec.nb_flows, 1, TRAFFIC_MAX_FLOWS)
SETTER(set_seed, stream->spec.seed, 0, UINT32_MAX)
SETTER(set_segs, stream->nb_segs, 1, 16)
SETTER(set_vlan, stream->spec.vlan, 0, UINT16_MAX)
SETTER(set_out_vlan, stream->spec.out_vlan, 0, UINT16_MAX)
SETTER(set_vlan_offload, stream->vlan_offload, 0, 1)
SETTER(set_mixed_dst, stream->spec.mixed_dst, 0, 1)
SETTER(set_drop_foreign, stream->spec.drop_foreign, 0, 1)
SETTER(set_window, t->next.window, 1, 65536)
SETTER(set_limit, t->next.limit_tsc, 1, 600000)
SETTER(set_lossy, t->next.lossy, 0, 1)

/* Such as "60,64,100-9000": taken in turn. */
static bool
set_sizes(struct traffic *t __rte_unused, struct traffic_stream *stream, const char *value)
{
	struct traffic_spec *spec = &stream->spec;

	spec->nb_ranges = 0;
	while (*value != '\0') {
		struct traffic_range *range = &spec->ranges[spec->nb_ranges];
		char *end;

		if (spec->nb_ranges++ == TRAFFIC_MAX_RANGES)
			return false;
		range->min = (uint32_t)strtoul(value, &end, 10);
		range->max = *end == '-' ? (uint32_t)strtoul(end + 1, &end, 10) : range->min;
		if (range->min < 62 || range->max < range->min || range->max > TRAFFIC_MAX_SIZE)
			return false;
		if (*end != ',' && *end != '\0')
			return false;
		value = *end == ',' ? end + 1 : end;
	}
	return spec->nb_ranges > 0;
}

static bool
set_change(struct traffic *t __rte_unused, struct traffic_stream *stream, const char *value)
{
	static const char *const names[] = {"none", "swap", "macs"};

	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		if (strcmp(names[i], value) == 0) {
			stream->spec.change = (enum traffic_change)i;
			return true;
		}
	}
	return false;
}

static bool
set_dmac(struct traffic *t __rte_unused, struct traffic_stream *stream, const char *value)
{
	return rte_ether_unformat_addr(value, &stream->spec.dmac) == 0;
}

static bool
set_out_smac(struct traffic *t __rte_unused, struct traffic_stream *stream, const char *value)
{
	return rte_ether_unformat_addr(value, &stream->spec.out_smac) == 0;
}

static bool
set_out_dmac(struct traffic *t __rte_unused, struct traffic_stream *stream, const char *value)
{
	return rte_ether_unformat_addr(value, &stream->spec.out_dmac) == 0;
}

static const struct key stream_keys[] = {
		{"from", set_from},   /* port to send on */
		{"to", set_to},       /* port to expect it back on */
		{"count", set_count}, /* packets, 0 = until stopped */
		{"sizes", set_sizes}, /* bytes without FCS */
		{"flows", set_flows},
		{"seed", set_seed},
		{"segs", set_segs},                 /* at most, of a sent mbuf */
		{"dmac", set_dmac},                 /* destination of what is sent */
		{"mixed_dst", set_mixed_dst},       /* 1: enum traffic_dst in turn */
		{"drop_foreign", set_drop_foreign}, /* 1: the guest filters */
		{"vlan", set_vlan},                 /* TCI of what is sent */
		{"vlan_offload", set_vlan_offload}, /* 1: TCI beside the data */
		{"out_vlan", set_out_vlan},         /* TCI of what comes back */
		{"change", set_change},             /* none, swap, macs */
		{"out_smac", set_out_smac},         /* addresses for "macs" */
		{"out_dmac", set_out_dmac},
};

static const struct key job_keys[] = {
		{"window", set_window}, /* buffers on the way, of each stream */
		{"limit", set_limit},   /* ms without progress */
		{"lossy", set_lossy},   /* 1: packets may be lost */
};

/* Apply "key=value key=value ..."; answers with an error if one is wrong. */
static bool
set_keys(struct traffic *t, struct traffic_stream *stream, const struct key *keys, size_t nb_keys,
		char *args)
{
	char *save = NULL;

	for (char *word = strtok_r(args, " ", &save); word != NULL;
			word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');
		bool good = false;

		if (value != NULL)
			*value++ = '\0';
		for (size_t i = 0; i < nb_keys && value != NULL; i++) {
			if (strcmp(keys[i].name, word) == 0)
				good = keys[i].set(t, stream, value);
		}
		if (!good) {
			answer_error(word, value != NULL ? value : "no value");
			return false;
		}
	}
	return true;
}

/*
 * Commands
 */

static void
command_stream(struct traffic *t, char *args)
{
	struct traffic_stream *stream = &t->next.streams[t->next.nb_streams];

	if (t->next.nb_streams == TRAFFIC_MAX_STREAMS) {
		answer_error("stream", "too many");
		return;
	}
	*stream = (struct traffic_stream){
			.count = 1000,
			.nb_segs = 1,
			.spec = {.nb_flows = 1, .ranges = {{62, 62}}, .nb_ranges = 1},
	};
	stream->spec.vlan = TRAFFIC_NO_VLAN;
	stream->spec.out_vlan = TRAFFIC_NO_VLAN;
	if (!set_keys(t, stream, stream_keys, RTE_DIM(stream_keys), args))
		return;
	if (stream->from == NULL || stream->to == NULL) {
		answer_error("stream", "from and to are needed");
		return;
	}
	t->next.nb_streams++;
	printf("{\"stream\": %u}\n", t->next.nb_streams);
}

static void
begin_job(struct traffic *t, char *args, bool quietly)
{
	if (t->job.number != 0 || t->next.nb_streams == 0) {
		answer_error("run", t->job.number != 0 ? "a job is running" : "no stream");
		return;
	}
	t->next.window = 64;
	t->next.limit_tsc = 10000;
	if (!set_keys(t, NULL, job_keys, RTE_DIM(job_keys), args))
		return;
	t->job = t->next;
	t->next = (struct traffic_job){0};
	t->running_quietly = quietly;
	traffic_job_begin(&t->job, ++t->nb_jobs, t->job.limit_tsc);
	if (quietly)
		printf("{\"job\": %u}\n", t->job.number);
}

static void
command_run(struct traffic *t, char *args)
{
	begin_job(t, args, false);
}

static void
command_start(struct traffic *t, char *args)
{
	begin_job(t, args, true);
}

static void
command_stop(struct traffic *t, char *args __rte_unused)
{
	if (t->job.number == 0) {
		answer_error("stop", "no job is running");
		return;
	}
	t->running_quietly = false;
	t->job.stopping = true;
	t->job.progress_tsc = rte_rdtsc();
}

static void
command_reset(struct traffic *t, char *args __rte_unused)
{
	for (uint32_t i = 0; i < t->job.nb_streams; i++)
		rte_pktmbuf_free(t->job.streams[i].pending);
	t->job = (struct traffic_job){0};
	t->next = (struct traffic_job){0};
	printf("{}\n");
}

/* Keep things moving while a command waits. */
static void
keep_moving(struct traffic *t)
{
	if (t->job.number == 0)
		ports_drain(t);
	else
		traffic_job_poll(&t->job, t->pool);
	usleep(IDLE_US);
}

static void
command_link(struct traffic *t, char *args)
{
	char *save = NULL;
	const char *number = strtok_r(args, " ", &save);
	const char *state = strtok_r(NULL, " ", &save);
	const char *ms = strtok_r(NULL, " ", &save);
	const struct traffic_port *port = number != NULL ? to_port(t, number) : NULL;
	struct rte_eth_link link = {0};
	uint64_t end;
	bool up;

	if (port == NULL || state == NULL || ms == NULL) {
		answer_error("link", "PORT up|down MS");
		return;
	}
	up = strcmp(state, "up") == 0;
	end = rte_rdtsc() + strtoul(ms, NULL, 10) * rte_get_tsc_hz() / 1000;
	while (rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status != up &&
			rte_rdtsc() < end)
		keep_moving(t);
	printf("{\"link\": \"%s\", \"events\": %u}\n", link.link_status ? "up" : "down",
			atomic_load_explicit(&link_events[port->id], memory_order_relaxed));
}

static void
command_setlink(struct traffic *t, char *args)
{
	char *state = strchr(args, ' ');
	const struct traffic_port *port;
	int ret;

	if (state != NULL)
		*state++ = '\0';
	port = to_port(t, args);
	if (port == NULL || state == NULL) {
		answer_error("setlink", "PORT up|down");
		return;
	}
	ret = strcmp(state, "up") == 0 ? rte_eth_dev_set_link_up(port->id)
				       : rte_eth_dev_set_link_down(port->id);
	printf("{\"result\": %d}\n", ret);
}

static void
command_info(struct traffic *t, char *args)
{
	const struct traffic_port *port = to_port(t, args);
	struct rte_avp_host_info info;

	if (port == NULL || rte_avp_host_info_get(port->id, &info) != 0) {
		answer_error("info", "no such port");
		return;
	}
	printf("{\"connected\": %u, \"configured\": %u, \"link_up\": %u, \"running\": %u, "
	       "\"migration\": %u, \"nb_tx_queues\": %u, \"nb_rx_queues\": %u, \"features\": %u, "
	       "\"driver_version\": %u, \"connects\": %" PRIu64 ", \"requests\": %" PRIu64
	       ", \"requests_refused\": %" PRIu64 ", \"mem_used\": %" PRIu64 ", \"nb_bufs\": %u}\n",
			info.connected, info.configured, info.link_up, info.running, info.migration,
			info.nb_tx_queues, info.nb_rx_queues, info.features, info.driver_version,
			info.connects, info.requests, info.requests_refused, info.mem_used,
			info.nb_bufs);
}

static void
command_counters(struct traffic *t, char *args)
{
	const struct traffic_port *port = to_port(t, args);
	const char *comma = "";
	int nb;

	if (port == NULL) {
		answer_error("counters", "no such port");
		return;
	}
	nb = rte_eth_xstats_get(port->id, NULL, 0);
	printf("{");
	for (uint64_t i = 0; nb > 0 && i < (uint64_t)nb; i++) {
		struct rte_eth_xstat_name name;
		uint64_t value = 0;

		if (rte_eth_xstats_get_names_by_id(port->id, &name, 1, &i) != 1 ||
				rte_eth_xstats_get_by_id(port->id, &i, &value, 1) != 1 ||
				value == 0)
			continue;
		printf("%s\"%s\": %" PRIu64, comma, name.name, value);
		comma = ", ";
	}
	printf("}\n");
}

static void
command_pools(struct traffic *t, char *args __rte_unused)
{
	printf("{\"app\": %u", rte_mempool_in_use_count(t->pool));
	for (uint16_t i = 0; i < t->nb_ports; i++) {
		const struct rte_mempool *pool = rte_avp_host_mempool(t->ports[i].id);

		if (pool != NULL)
			printf(", \"port%u\": %u", i, rte_mempool_in_use_count(pool));
	}
	printf("}\n");
}

static void
command_migrate(struct traffic *t, char *args, int (*call)(uint16_t port_id, uint32_t timeout_ms))
{
	char *ms = strchr(args, ' ');
	const struct traffic_port *port;
	int ret;

	if (ms != NULL)
		*ms++ = '\0';
	port = to_port(t, args);
	if (port == NULL || ms == NULL) {
		answer_error("detach or attach", "PORT MS");
		return;
	}
	ret = call(port->id, (uint32_t)strtoul(ms, NULL, 10));
	printf("{\"result\": %d, \"text\": \"%s\"}\n", ret, strerror(-ret));
}

static void
command_detach(struct traffic *t, char *args)
{
	command_migrate(t, args, rte_avp_host_detach);
}

static void
command_attach(struct traffic *t, char *args)
{
	command_migrate(t, args, rte_avp_host_attach);
}

static void
command_quit(struct traffic *t, char *args __rte_unused)
{
	t->quit = true;
	printf("{}\n");
}

static const struct command {
	const char *name;
	void (*run)(struct traffic *t, char *args);
} commands[] = {
		{"stream", command_stream},
		{"run", command_run},
		{"start", command_start},
		{"stop", command_stop},
		{"reset", command_reset},
		{"link", command_link},
		{"setlink", command_setlink},
		{"info", command_info},
		{"counters", command_counters},
		{"pools", command_pools},
		{"detach", command_detach},
		{"attach", command_attach},
		{"quit", command_quit},
};

static void
execute(struct traffic *t, char *line)
{
	char *args = strchr(line, ' ');

	if (args != NULL)
		*args++ = '\0';
	else
		args = line + strlen(line);
	for (unsigned int i = 0; i < RTE_DIM(commands); i++) {
		if (strcmp(commands[i].name, line) == 0) {
			commands[i].run(t, args);
			return;
		}
	}
	answer_error(line, "no such command");
}

/* Read what has come, and execute whole lines. */
static void
look_at_input(struct traffic *t, int timeout_ms)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char *end;
	ssize_t nb;

	if (poll(&input, 1, timeout_ms) <= 0)
		return;
	nb = read(STDIN_FILENO, t->line + t->line_len, sizeof(t->line) - 1 - t->line_len);
	if (nb <= 0) {
		t->quit = true;
		return;
	}
	t->line_len += (size_t)nb;
	t->line[t->line_len] = '\0';
	while ((end = strchr(t->line, '\n')) != NULL) {
		*end = '\0';
		execute(t, t->line);
		t->line_len -= (size_t)(end + 1 - t->line);
		memmove(t->line, end + 1, t->line_len + 1);
	}
}

static void
loop(struct traffic *t)
{
	while (!t->quit) {
		bool idle = t->job.number == 0;

		if (idle)
			ports_drain(t);
		for (unsigned int i = 0; i < POLLS_PER_LOOK && t->job.number != 0; i++) {
			if (traffic_job_poll(&t->job, t->pool) > 0)
				continue;
			if (!t->running_quietly && traffic_job_done(&t->job)) {
				traffic_job_end(&t->job, stdout);
				break;
			}
			traffic_job_done(&t->job);
			usleep(IDLE_US);
		}
		look_at_input(t, idle ? 1 : 0);
		fflush(stdout);
	}
}

int
main(int argc, char **argv)
{
	static struct traffic traffic;
	int ret = rte_eal_init(argc, argv);

	if (ret < 0) {
		fprintf(stderr, "vm_traffic: EAL: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	ret = ports_start(&traffic);
	if (ret == 0) {
		printf("{\"ports\": %u}\n", traffic.nb_ports);
		fflush(stdout);
		loop(&traffic);
	}
	ports_close(&traffic);
	rte_eal_cleanup();
	return ret == 0 ? 0 : 1;
}
