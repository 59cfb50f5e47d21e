/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * A hostile guest at avp-switch: it sends what it may, and at full speed rewrites the header to
 * what it may not while the switch looks at it. Whatever gets through must have a header that the
 * port may send: nobody else's source, no tag, no other VLAN (docs/switch.md, "What a guest cannot
 * do"). Meanwhile two guests of another network talk to each other, and lose nothing.
 *
 *     guest_switch_test AVP-SWITCH GUEST-EVIL
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "guest_evil.h"
#include "sim_guest.h"
#include "test_clock.h"

#define WAIT_MS 20000
#define RACE_MS 2000
#define MIN_SEEN 500 /* packets of the hostile guest that others must have got meanwhile */
#define WINDOW 64
#define PAYLOAD_LEN 300

extern char **environ;

enum who { ACCESS_RED, ACCESS_RED2, ACCESS_BLUE, TRUNK, GREEN1, GREEN2, NB_GUESTS };

static const char *const names[NB_GUESTS] = {"a", "c", "b", "t", "g1", "g2"};

/* Ports: evil, a, c in red; b in blue; t a trunk of both; g1 and g2 among themselves. */
static const char config[] = "[network red]\nvlan = 100\n"
			     "[network blue]\nvlan = 200\n"
			     "[network green]\nvlan = 300\n"
			     "[port a]\ntype = avp\nnetwork = red\nmac = 02:00:00:00:00:0a\n"
			     "[port c]\ntype = avp\nnetwork = red\nmac = 02:00:00:00:00:0c\n"
			     "[port b]\ntype = avp\nnetwork = blue\nmac = 02:00:00:00:00:0b\n"
			     "[port t]\ntype = avp\ntrunks = red,blue\nmac = 02:00:00:00:00:0d\n"
			     "[port g1]\ntype = avp\nnetwork = green\nmac = 02:00:00:00:00:01\n"
			     "[port g2]\ntype = avp\nnetwork = green\nmac = 02:00:00:00:00:02\n"
			     "[port evil]\ntype = avp\nmac = 02:00:00:00:00:0e\n";

static const char *switch_program;
static const char *evil_program;
static char folder[] = "/tmp/guest_switch.XXXXXX";
static pid_t switch_pid;
static pid_t evil_pid;
static struct sim_guest guests[NB_GUESTS];
static struct evil_share *share;
static uint64_t nb_seen; /* packets of the hostile guest */
static bool inner_tags;  /* it may have sent tags within tags */
static uint64_t nb_green_sent;
static uint64_t nb_green;

static const char *
path(const char *name)
{
	static char paths[4][108];
	static unsigned int next;
	char *it = paths[next++ % 4];

	snprintf(it, sizeof(paths[0]), "%s/%s", folder, name);
	return it;
}

static void
nap(void)
{
	const struct timespec time = {.tv_nsec = 200000};

	nanosleep(&time, NULL);
}

/*
 * The switch
 */

/* Ask the switch; the result is a new reference. */
static json_t *
ask(const char *method, json_t *params)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	json_t *request = json_pack("{s:i, s:s, s:o}", "id", 1, "method", method, "params", params);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *file = fdopen(fd, "r+");
	json_t *answer;
	json_t *result;

	assert_non_null(file);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path("switch.sock"));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	json_dumpf(request, file, JSON_COMPACT);
	fputc('\n', file);
	fflush(file);
	json_decref(request);
	answer = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
	fclose(file);
	assert_non_null(answer);
	result = json_incref(json_object_get(answer, "result"));
	if (result == NULL)
		fail_msg("%s: %s", method, json_dumps(answer, JSON_COMPACT));
	json_decref(answer);
	return result;
}

/* A reason to drop of the hostile guest's port. */
static uint64_t
drops(const char *reason)
{
	json_t *stats = ask("stats", json_pack("{s:s}", "name", "evil"));
	const json_t *all = json_object_get(json_array_get(stats, 0), "drops");
	const json_t *value = json_object_get(all, reason);
	uint64_t nb;

	assert_true(json_is_integer(value));
	nb = (uint64_t)json_integer_value(value);
	json_decref(stats);
	return nb;
}

static int
start_switch(void)
{
	char *argv[] = {(char *)(uintptr_t)switch_program, (char *)(uintptr_t) "--no-huge",
			(char *)(uintptr_t) "-c", (char *)(uintptr_t)path("switch.conf"),
			(char *)(uintptr_t) "-s", (char *)(uintptr_t)path("switch.sock"),
			(char *)(uintptr_t) "--log-level", (char *)(uintptr_t) "error", NULL};
	const uint64_t end = test_now_ms() + WAIT_MS;
	FILE *file = fopen(path("switch.conf"), "we");

	if (file == NULL || fputs(config, file) == EOF || fclose(file) != 0)
		return -1;
	if (posix_spawn(&switch_pid, argv[0], NULL, NULL, argv, environ) != 0)
		return -1;
	/* the last port of the file */
	while (access(path("evil.sock"), F_OK) != 0) {
		if (test_now_ms() > end || waitpid(switch_pid, NULL, WNOHANG) != 0)
			return -1;
		nap();
	}
	return 0;
}

static int
group_setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || start_switch() != 0)
		return -1;
	/* answered when it runs */
	json_decref(ask("version", json_object()));
	for (unsigned int i = 0; i < NB_GUESTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%s.sock", names[i]);
		if (sim_guest_start(&guests[i], path(name), 1, 0) != 0)
			return -1;
	}
	return 0;
}

static int
group_teardown(void **state)
{
	int status = 0;

	(void)state;
	for (unsigned int i = 0; i < NB_GUESTS; i++)
		sim_guest_disconnect(&guests[i]);
	if (switch_pid > 0) {
		kill(switch_pid, SIGTERM);
		waitpid(switch_pid, &status, 0);
	}
	unlink(path("switch.conf"));
	if (rmdir(folder) != 0) {
		print_error("%s: %s\n", folder, strerror(errno));
		return -1;
	}
	/* a sanitizer's find in the switch shows here */
	return status == 0 ? 0 : -1;
}

/*
 * What the others see
 */

static void
fail_packet(enum who who, const struct sim_pkt *pkt, const char *what)
{
	char head[64];
	size_t at = 0;

	for (unsigned int i = 0; i < 18; i++)
		at += (size_t)snprintf(head + at, sizeof(head) - at, "%02x%s", pkt->data[i],
				i == 5 || i == 11 ? " " : "");
	fail_msg("%s got a packet of %u bytes, %s: %s", names[who], pkt->len, what, head);
}

/* A packet of the hostile guest, which has come to @who. */
static void
check_packet(enum who who, const struct sim_pkt *pkt)
{
	static const uint8_t evil_mac[6] = {2, 0, 0, 0, 0, 0xe};
	static const uint8_t red_tag[4] = {0x81, 0x00, 0x00, 0x64};
	static const uint8_t no_tag[2] = {0x08, 0x00};

	if (who == ACCESS_BLUE)
		fail_packet(who, pkt, "of another VLAN");
	if (who == GREEN1 || who == GREEN2)
		fail_packet(who, pkt, "of another network");
	if (memcmp(pkt->data + 6, evil_mac, 6) != 0)
		fail_packet(who, pkt, "with a source that the port must not use");
	if (who == TRUNK && memcmp(pkt->data + 12, red_tag, 4) != 0)
		fail_packet(who, pkt, "not tagged with the port's VLAN");
	/* behind a tag with VLAN id 0 a guest may send what it likes within its network */
	if (who != TRUNK && !inner_tags && memcmp(pkt->data + 12, no_tag, 2) != 0)
		fail_packet(who, pkt, "tagged");
	nb_seen++;
}

static void
green_fill(struct sim_pkt *pkt, uint64_t seq)
{
	static const uint8_t head[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

	memcpy(pkt->data, head, sizeof(head));
	for (uint32_t i = sizeof(head); i < PAYLOAD_LEN; i++)
		pkt->data[i] = (uint8_t)(seq * 13 + i);
	pkt->len = PAYLOAD_LEN;
	pkt->ol_flags = 0;
}

/* Send and receive on all honest ports, for a moment. */
static void
serve(void)
{
	static struct sim_pkt pkt;
	static struct sim_pkt want;

	while (nb_green_sent - nb_green < WINDOW) {
		green_fill(&pkt, nb_green_sent);
		if (sim_guest_send(&guests[GREEN1], 0, &pkt, 0) != 0)
			break;
		nb_green_sent++;
	}
	for (unsigned int who = 0; who < NB_GUESTS; who++) {
		while (sim_guest_recv(&guests[who], 0, &pkt) == 0) {
			green_fill(&want, nb_green);
			if (who != GREEN2) {
				check_packet((enum who)who, &pkt);
				continue;
			}
			if (pkt.len != want.len || memcmp(pkt.data, want.data, want.len) != 0)
				fail_packet(GREEN2, &pkt, "lost, late or changed");
			nb_green++;
		}
	}
	nap();
}

static void
attack(const char *name)
{
	char fd_text[16];
	char *argv[] = {(char *)(uintptr_t)evil_program, (char *)(uintptr_t)name,
			(char *)(uintptr_t)path("evil.sock"), (char *)(uintptr_t) "5", fd_text,
			NULL};
	/* inherited by the process, on purpose */
	const int fd = memfd_create("guest_evil", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*share)), 0);
	share = mmap(NULL, sizeof(*share), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(share, MAP_FAILED);
	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	assert_int_equal(posix_spawn(&evil_pid, argv[0], NULL, NULL, argv, environ), 0);
	close(fd);
}

static int
stop_attack(void **state)
{
	(void)state;
	if (evil_pid > 0) {
		kill(evil_pid, SIGKILL);
		waitpid(evil_pid, NULL, 0);
		evil_pid = 0;
	}
	if (share != NULL)
		munmap(share, sizeof(*share));
	share = NULL;
	return 0;
}

/* Race for a while; the honest ports look at each packet. */
static void
race(const char *name)
{
	uint64_t end = test_now_ms() + RACE_MS;
	const uint64_t green = nb_green;

	nb_seen = 0;
	attack(name);
	while (test_now_ms() < end || nb_seen < MIN_SEEN || nb_green - green < MIN_SEEN) {
		serve();
		if (waitpid(evil_pid, NULL, WNOHANG) != 0) {
			evil_pid = 0;
			fail_msg("the hostile guest has ended by itself");
		}
		if (test_now_ms() > end + WAIT_MS)
			fail_msg("%llu packets of the hostile guest, %llu of the honest one",
					(unsigned long long)nb_seen,
					(unsigned long long)(nb_green - green));
	}
	print_message("%llu packets of the hostile guest seen, %llu of the honest one\n",
			(unsigned long long)nb_seen, (unsigned long long)(nb_green - green));
	stop_attack(NULL);
	/* what is under way */
	end = test_now_ms() + WAIT_MS;
	while (nb_green < nb_green_sent && test_now_ms() < end)
		serve();
	assert_int_equal(nb_green, nb_green_sent);
}

static void
set_port(json_t *params)
{
	json_decref(ask("port.set", params));
}

/* The own address of each port is still its port's. */
static void
expect_addresses_kept(void)
{
	json_t *fdb = ask("fdb.show", json_object());
	const json_t *entry;
	size_t i;
	size_t nb = 0;

	json_array_foreach (fdb, i, entry) {
		const char *mac = json_string_value(json_object_get(entry, "mac"));
		const char *port = json_string_value(json_object_get(entry, "port"));

		if (strcmp(mac, "02:00:00:00:00:0c") == 0) {
			nb++;
			assert_string_equal(port, "c");
		}
		if (strcmp(port, "evil") == 0)
			assert_string_equal(mac, "02:00:00:00:00:0e");
	}
	assert_true(nb > 0);
	json_decref(fdb);
}

static void
access_port_cannot_spoof_or_hop_vlans(void **state)
{
	(void)state;
	set_port(json_pack("{s:s, s:s, s:s}", "name", "evil", "mode", "access", "network", "red"));
	race("header_race");
	assert_true(drops("rx_src_mac") > 0);
	assert_true(drops("rx_tagged") > 0);
	expect_addresses_kept();
}

static void
trunk_port_cannot_reach_other_vlans(void **state)
{
	(void)state;
	set_port(json_pack("{s:s, s:s, s:[s]}", "name", "evil", "mode", "trunk", "trunks", "red"));
	race("tag_race");
	assert_true(drops("rx_src_mac") > 0);
	assert_true(drops("rx_vlan") > 0);
	expect_addresses_kept();
}

static void
damaged_descriptors_harm_nobody(void **state)
{
	(void)state;
	set_port(json_pack("{s:s, s:s, s:s}", "name", "evil", "mode", "access", "network", "red"));
	inner_tags = true;
	attack("race_fields");
	for (const uint64_t until = nb_green + MIN_SEEN, end = test_now_ms() + WAIT_MS;
			nb_green < until;) {
		serve();
		assert_true(test_now_ms() < end);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_teardown(
					access_port_cannot_spoof_or_hop_vlans, stop_attack),
			cmocka_unit_test_teardown(trunk_port_cannot_reach_other_vlans, stop_attack),
			cmocka_unit_test_teardown(damaged_descriptors_harm_nobody, stop_attack),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: guest_switch_test AVP-SWITCH GUEST-EVIL\n");
		return 1;
	}
	switch_program = argv[1];
	evil_program = argv[2];
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
