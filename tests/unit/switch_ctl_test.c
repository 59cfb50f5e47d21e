/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/ctl*.c: requests and their answers, and clients that behave badly.
 */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include <rte_common.h>
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#include "avp_sock.h"
#include "avph_api.h"
#include "ctl.h"
#include "eal_fixture.h"
#include "fdb.h"
#include "port.h"
#include "sw.h"

#define LIMIT_MS 5000

/** A switch without running workers. */
struct place {
	struct sw *sw;
	char dir[64];
};

static int
setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct sw_conf conf;
	struct avp_err err;

	if (place == NULL)
		return -1;
	snprintf(place->dir, sizeof(place->dir), "/tmp/switch_ctl_test.XXXXXX");
	if (mkdtemp(place->dir) == NULL)
		return -1;
	sw_conf_init(&conf);
	conf.mbufs = 2048;
	conf.fdb_size = 1024;
	snprintf(conf.control, sizeof(conf.control), "%s/switch.sock", place->dir);
	if (sw_create(&place->sw, &conf, &err) != 0 ||
			ctl_create(&place->sw->ctl, place->sw, &err) != 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	*state = place;
	return 0;
}

/* Fails when something is left in the folder. */
static int
teardown(void **state)
{
	struct place *place = *state;
	int rc;

	sw_destroy(place->sw);
	rc = rmdir(place->dir);
	free(place);
	return rc;
}

/* The answer to a request; the caller releases it. */
static json_t *
ask(struct place *place, const char *line)
{
	char *text = ctl_answer(place->sw, NULL, line, strlen(line), NULL);
	json_t *answer;

	assert_non_null(text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	answer = json_loads(text, 0, NULL);
	assert_non_null(answer);
	free(text);
	return answer;
}

/* Make a request that must be done; the caller releases its result. */
static json_t *
done(struct place *place, const char *line)
{
	json_t *answer = ask(place, line);
	json_t *result = json_incref(json_object_get(answer, "result"));

	if (result == NULL)
		fail_msg("%s: %s", line,
				json_string_value(json_object_get(
						json_object_get(answer, "error"), "message")));
	json_decref(answer);
	return result;
}

static void
expect_done(struct place *place, const char *line)
{
	json_decref(done(place, line));
}

static void
expect_refused(struct place *place, const char *line, const char *code, const char *message)
{
	json_t *answer = ask(place, line);
	const json_t *error = json_object_get(answer, "error");
	const char *got_code = json_string_value(json_object_get(error, "code"));
	const char *got = json_string_value(json_object_get(error, "message"));

	if (error == NULL || strcmp(got_code, code) != 0 || strstr(got, message) == NULL)
		fail_msg("%s: answer %s: %s; expected %s: %s", line, got_code, got, code, message);
	json_decref(answer);
}

static void
add_networks(struct place *place)
{
	expect_done(place,
			"{\"method\":\"network.add\",\"params\":{\"name\":\"blue\",\"vlan\":100}}");
	expect_done(place,
			"{\"method\":\"network.add\",\"params\":{\"name\":\"red\",\"vlan\":200}}");
}

#define PORT_ADD(name, more)                                    \
	"{\"method\":\"port.add\",\"params\":{\"name\":\"" name \
	"\",\"type\":\"vdev\",\"device\":\"net_null_" name "\"" more "}}"

static void
id_comes_back_as_it_was(void **state)
{
	struct place *place = *state;
	json_t *answer = ask(place, "{\"id\":[1,\"x\"],\"method\":\"version\"}");
	json_t *id = json_pack("[i, s]", 1, "x");

	assert_true(json_equal(json_object_get(answer, "id"), id));
	assert_int_equal(json_integer_value(json_object_get(
					 json_object_get(answer, "result"), "protocol")),
			1);
	json_decref(id);
	json_decref(answer);
	answer = ask(place, "garbage");
	assert_true(json_is_null(json_object_get(answer, "id")));
	json_decref(answer);
}

static void
what_is_no_request_is_refused(void **state)
{
	struct place *place = *state;

	expect_refused(place, "", "EINVAL", "request: ");
	expect_refused(place, "[]", "EINVAL", "request: must be an object");
	expect_refused(place, "{}", "EINVAL", "request: method: must be a string");
	expect_refused(place, "{\"method\":7}", "EINVAL", "request: method: must be a string");
	expect_refused(place, "{\"method\":\"port.fly\"}", "ENOSYS", "port.fly: no such method");
	expect_refused(place, "{\"method\":\"version\",\"params\":[]}", "EINVAL",
			"version: params: must be an object");
	expect_refused(place, "{\"method\":\"version\",\"params\":{\"x\":1}}", "EINVAL",
			"version: x: no such parameter");
	expect_refused(place, "{\"method\":\"version\",\"method\":\"stats\"}", "EINVAL",
			"duplicate");
	expect_refused(place, "{\"method\":\"version\"} x", "EINVAL", "end of file expected");
}

static void
network_name_and_vlan_are_taken_once(void **state)
{
	struct place *place = *state;

	add_networks(place);
	expect_refused(place,
			"{\"method\":\"network.add\",\"params\":{\"name\":\"blue\",\"vlan\":7}}",
			"EEXIST", "blue: there is a network of this name, VLAN 100");
	expect_refused(place,
			"{\"method\":\"network.add\",\"params\":{\"name\":\"x\",\"vlan\":200}}",
			"EEXIST", "x: vlan=200: is network red already");
	expect_refused(place,
			"{\"method\":\"network.add\",\"params\":{\"name\":\"x\",\"vlan\":4095}}",
			"EINVAL", "x: vlan=4095: must be a number from 1 to 4094");
	expect_refused(place, "{\"method\":\"network.del\",\"params\":{\"name\":\"x\"}}", "ENOENT",
			"x: no such network");
	expect_done(place, "{\"method\":\"network.del\",\"params\":{\"name\":\"red\"}}");
	expect_done(place, "{\"method\":\"network.add\",\"params\":{\"name\":\"x\",\"vlan\":200}}");
}

static void
network_in_use_is_not_deleted(void **state)
{
	struct place *place = *state;

	add_networks(place);
	expect_done(place, PORT_ADD("a", ",\"network\":\"blue\""));
	expect_done(place, PORT_ADD("t", ",\"trunks\":[\"red\"]"));
	expect_refused(place, "{\"method\":\"network.del\",\"params\":{\"name\":\"blue\"}}",
			"EBUSY", "blue: port a uses it");
	expect_refused(place, "{\"method\":\"network.del\",\"params\":{\"name\":\"red\"}}", "EBUSY",
			"red: port t uses it");
	expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"t\"}}");
	expect_done(place, "{\"method\":\"network.del\",\"params\":{\"name\":\"red\"}}");
}

static void
port_is_shown_as_it_was_added(void **state)
{
	struct place *place = *state;
	json_t *port;

	add_networks(place);
	port = done(place,
			PORT_ADD("a", ",\"native\":\"red\",\"trunks\":[\"blue\"],\"fdb_max\":5"));
	assert_string_equal(json_string_value(json_object_get(port, "mode")), "trunk");
	assert_string_equal(json_string_value(json_object_get(port, "native")), "red");
	assert_true(json_is_null(json_object_get(port, "network")));
	assert_int_equal(json_array_size(json_object_get(port, "trunks")), 1);
	assert_int_equal(json_integer_value(json_object_get(port, "fdb_max")), 5);
	assert_true(json_is_false(json_object_get(port, "check_source_mac")));
	assert_string_equal(json_string_value(json_object_get(port, "driver")), "net_null");
	json_decref(port);
}

static void
port_changes_as_it_is_told(void **state)
{
	struct place *place = *state;
	json_t *port;

	add_networks(place);
	expect_done(place, PORT_ADD("a", ",\"network\":\"blue\""));
	port = done(place,
			"{\"method\":\"port.set\",\"params\":{\"name\":\"a\",\"mode\":\"trunk\","
			"\"native\":\"blue\",\"trunks\":[\"red\"]}}");
	assert_true(json_is_null(json_object_get(port, "network")));
	json_decref(port);
	port = done(place, "{\"method\":\"port.set\",\"params\":{\"name\":\"a\",\"native\":null}}");
	assert_true(json_is_null(json_object_get(port, "native")));
	assert_int_equal(json_array_size(json_object_get(port, "trunks")), 1);
	json_decref(port);
	expect_refused(place,
			"{\"method\":\"port.set\",\"params\":{\"name\":\"a\",\"network\":\"red\"}}",
			"EINVAL", "a: network: only with mode=access");
	port = done(place,
			"{\"method\":\"port.set\",\"params\":{\"name\":\"a\",\"mode\":\"access\","
			"\"network\":\"red\"}}");
	assert_string_equal(json_string_value(json_object_get(port, "network")), "red");
	assert_int_equal(json_array_size(json_object_get(port, "trunks")), 0);
	json_decref(port);
	expect_refused(place, "{\"method\":\"port.set\",\"params\":{\"name\":\"a\",\"queues\":2}}",
			"EINVAL", "a: queues: cannot be changed");
	expect_refused(place, "{\"method\":\"port.set\",\"params\":{\"name\":\"b\"}}", "ENOENT",
			"b: no such port");
}

static void
wrong_port_is_refused_and_leaves_nothing(void **state)
{
	struct place *place = *state;
	json_t *ports;

	add_networks(place);
	expect_done(place, PORT_ADD("a", ""));
	expect_refused(place, PORT_ADD("a", ""), "EEXIST", "a: there is a port of this name");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"vdev\","
			"\"device\":\"net_null_a\"}}",
			"EEXIST", "b: device=net_null_a: port a has it");
	expect_refused(place, "{\"method\":\"port.add\",\"params\":{\"name\":\"b\"}}", "EINVAL",
			"b: type: missing");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"tap\"}}",
			"EINVAL", "b: type=tap: must be avp, vdev or pci");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"vdev\"}}",
			"EINVAL", "b: device: missing");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"vdev\","
			"\"device\":\"net_nosuch0\"}}",
			"EINVAL", "b: device=net_nosuch0: no driver of DPDK's knows it");
	expect_refused(place, PORT_ADD("b", ",\"network\":\"green\""), "ENOENT",
			"b: green: no such network");
	expect_refused(place, PORT_ADD("b", ",\"mode\":\"hybrid\""), "EINVAL",
			"b: mode=hybrid: must be access or trunk");
	expect_refused(place, PORT_ADD("b", ",\"mode\":\"access\",\"trunks\":[\"red\"]"), "EINVAL",
			"b: trunks: only with mode=trunk");
	expect_refused(place, PORT_ADD("b", ",\"check_source_mac\":true"), "EINVAL",
			"b: check_source_mac: only for a port of type avp");
	expect_refused(place, PORT_ADD("b", ",\"ring\":256"), "EINVAL",
			"b: ring: not for a port of type vdev");
	expect_refused(place, PORT_ADD("b", ",\"queues\":16,\"mtu\":60"), "EINVAL",
			"b: mtu=60: must");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"queues\":9}}",
			"EINVAL", "b: queues=9: must be a number from 1 to 8");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"queues\":17}}",
			"EINVAL", "b: queues=17: must be a number from 1 to 8");
	expect_refused(place, PORT_ADD("b", ",\"queues\":17"), "EINVAL",
			"b: queues=17: must be a number from 1 to 16");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"ring\":100}}",
			"EINVAL", "b: ring=100: must be a power of two");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"queues\":2,\"buffers\":255}}",
			"EINVAL", "b: buffers=255: at least 256 for 2 queues");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"mru\":89}}",
			"EINVAL", "b: mru=89: must be a number from 90 to 9238");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"socket\":\"/dev/null\"}}",
			"ENOTSOCK", "b: device=");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"socket\":\"/nonexistent/b.sock\"}}",
			"ENOENT", "b: socket=/nonexistent/b.sock: no such folder");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"avp\","
			"\"socket\":\"/dev/null/b.sock\"}}",
			"ENOTDIR", "b: socket=/dev/null/b.sock: Not a directory");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"vdev\","
			"\"device\":\"net_af_packet0,qpairs=1,iface=nosuch0,framecnt=512\"}}",
			"ENODEV", "b: iface=nosuch0: no such interface");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"vdev\","
			"\"device\":\"net_null0,nosuch=1\"}}",
			"EIO", "b: device=net_null0,nosuch=1: its driver refused it");
	ports = done(place, "{\"method\":\"port.show\"}");
	assert_int_equal(json_array_size(ports), 1);
	json_decref(ports);
}

/* What DPDK does, with mistakes put in: see tests/unit/meson.build. */
static bool info_fails;
static unsigned int nb_again;
static uint32_t driver_version;

int __real_rte_avp_host_info_get(uint16_t port_id, struct rte_avp_host_info *info);
int __wrap_rte_avp_host_info_get(uint16_t port_id, struct rte_avp_host_info *info);
int __real_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
		rte_eth_dev_cb_fn cb_fn, void *cb_arg);
int __wrap_rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
		rte_eth_dev_cb_fn cb_fn, void *cb_arg);

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	return info_fails ? -EIO : __real_rte_eth_dev_info_get(port_id, info);
}

int
__wrap_rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
		rte_eth_dev_cb_fn cb_fn, void *cb_arg)
{
	if (nb_again > 0) {
		nb_again--;
		return -EAGAIN;
	}
	return __real_rte_eth_dev_callback_unregister(port_id, event, cb_fn, cb_arg);
}

int
__wrap_rte_avp_host_info_get(uint16_t port_id, struct rte_avp_host_info *info)
{
	int rc = __real_rte_avp_host_info_get(port_id, info);

	info->driver_version = driver_version;
	return rc;
}

static void
device_that_cannot_be_used_is_removed_again(void **state)
{
	struct place *place = *state;

	info_fails = true;
	expect_refused(place, PORT_ADD("a", ""), "EIO", "a: no device information: ");
	info_fails = false;
	expect_done(place, PORT_ADD("a", ""));
	/* the second time says the same as the first: nothing of it was there */
	for (unsigned int i = 0; i < 2; i++)
		expect_refused(place,
				"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":"
				"\"vdev\",\"device\":\"crypto_null0\"}}",
				"ENODEV", "b: device=crypto_null0: is no Ethernet device");
}

static void
link_event_under_way_is_waited_for(void **state)
{
	struct place *place = *state;

	expect_done(place, PORT_ADD("a", ""));
	nb_again = 3;
	expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"a\"}}");
	assert_int_equal(nb_again, 0);
	expect_done(place, PORT_ADD("a", ""));
}

static void
avp_port_is_made_with_a_socket_and_a_lasting_mac(void **state)
{
	struct place *place = *state;
	const char *add = "{\"method\":\"port.add\",\"params\":{\"name\":\"p0\",\"type\":\"avp\","
			  "\"network\":\"blue\"}}";
	json_t *first;
	json_t *again;
	char path[96];

	add_networks(place);
	first = done(place, add);
	snprintf(path, sizeof(path), "%s/p0.sock", place->dir);
	assert_int_equal(access(path, F_OK), 0);
	assert_true(json_is_true(json_object_get(first, "check_source_mac")));
	assert_string_equal(json_string_value(json_object_get(first, "link")), "down");
	assert_string_equal(
			json_string_value(json_object_get(json_object_get(first, "avp"), "socket")),
			path);
	expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"p0\"}}");
	assert_int_not_equal(access(path, F_OK), 0);
	again = done(place, add);
	assert_string_equal(json_string_value(json_object_get(first, "mac")),
			json_string_value(json_object_get(again, "mac")));
	json_decref(first);
	json_decref(again);
}

static void
version_of_the_guests_driver_is_shown_as_text(void **state)
{
	struct place *place = *state;
	json_t *list;
	json_t *port;

	add_networks(place);
	port = done(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"p0\",\"type\":\"avp\","
			"\"network\":\"blue\"}}");
	assert_true(json_is_null(json_object_get(json_object_get(port, "avp"), "driver_version")));
	json_decref(port);
	driver_version = 0x1020d;
	list = done(place, "{\"method\":\"port.show\"}");
	driver_version = 0;
	port = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(
					    json_object_get(port, "avp"), "driver_version")),
			"1.2.13");
	json_decref(list);
}

static void
avp_port_has_a_static_entry_in_each_of_its_networks(void **state)
{
	struct place *place = *state;
	json_t *entries;

	add_networks(place);
	expect_done(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"p0\",\"type\":\"avp\","
			"\"mac\":\"02:00:00:00:00:01\",\"native\":\"red\",\"trunks\":[\"blue\"]}}");
	entries = done(place, "{\"method\":\"fdb.show\"}");
	assert_int_equal(json_array_size(entries), 2);
	json_decref(entries);
	expect_done(place,
			"{\"method\":\"port.set\",\"params\":{\"name\":\"p0\",\"native\":null}}");
	entries = done(place, "{\"method\":\"fdb.show\"}");
	assert_int_equal(json_array_size(entries), 1);
	assert_string_equal(
			json_string_value(json_object_get(json_array_get(entries, 0), "network")),
			"blue");
	assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 0), "type")),
			"static");
	json_decref(entries);
	expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"p0\"}}");
	entries = done(place, "{\"method\":\"fdb.show\"}");
	assert_int_equal(json_array_size(entries), 0);
	json_decref(entries);
}

static void
count_entry(const struct fdb_info *info, void *ctx)
{
	unsigned int *nb = ctx;

	(void)info;
	(*nb)++;
}

static void
deleted_port_leaves_no_entry(void **state)
{
	struct place *place = *state;
	unsigned int nb = 0;

	add_networks(place);
	expect_done(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"p0\",\"type\":\"avp\","
			"\"network\":\"blue\"}}");
	fdb_learn(place->sw->fdb, NULL, fdb_key(0x0102, 100), 0, 10);
	fdb_walk(place->sw->fdb, count_entry, &nb);
	assert_int_equal(nb, 2);
	nb = 0;
	expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"p0\"}}");
	fdb_walk(place->sw->fdb, count_entry, &nb);
	assert_int_equal(nb, 0);
}

static void
port_that_leaves_a_network_is_forgotten_there(void **state)
{
	struct place *place = *state;
	unsigned int nb = 0;

	add_networks(place);
	expect_done(place, PORT_ADD("a", ",\"trunks\":[\"red\",\"blue\"]"));
	fdb_learn(place->sw->fdb, NULL, fdb_key(0x0102, 100), 0, 10);
	fdb_learn(place->sw->fdb, NULL, fdb_key(0x0102, 200), 0, 10);
	expect_done(place,
			"{\"method\":\"port.set\",\"params\":{\"name\":\"a\",\"trunks\":[\"red\"]}"
			"}");
	fdb_walk(place->sw->fdb, count_entry, &nb);
	assert_int_equal(nb, 1);
}

static void
mac_is_taken_once_in_a_network(void **state)
{
	struct place *place = *state;

	add_networks(place);
	expect_done(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"p0\",\"type\":\"avp\","
			"\"mac\":\"02:00:00:00:00:01\",\"network\":\"blue\"}}");
	expect_refused(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"p1\",\"type\":\"avp\","
			"\"mac\":\"02:00:00:00:00:01\",\"trunks\":[\"red\",\"blue\"]}}",
			"EEXIST", "another port of network blue has it");
	expect_done(place,
			"{\"method\":\"port.add\",\"params\":{\"name\":\"p1\",\"type\":\"avp\","
			"\"mac\":\"02:00:00:00:00:01\",\"network\":\"red\"}}");
	expect_refused(place,
			"{\"method\":\"port.set\",\"params\":{\"name\":\"p1\",\"network\":\"blue\"}"
			"}",
			"EEXIST", "another port of network blue has it");
}

/* A guest can change it a thousand times a second. */
static void
messages_on_the_link_are_limited_in_rate(void **state)
{
	struct place *place = *state;
	char *text = NULL;
	size_t size;
	FILE *log = open_memstream(&text, &size);
	unsigned int nb = 0;

	assert_non_null(log);
	expect_done(place, PORT_ADD("a", ""));
	rte_openlog_stream(log);
	for (int i = 0; i < 1000; i++) {
		struct port *port = place->sw->ports[0];

		port->link_up = !port->link_up;
		port_poll_links(place->sw);
	}
	rte_openlog_stream(NULL);
	fclose(log);
	for (const char *at = text; (at = strstr(at, "a: link ")) != NULL; at++)
		nb++;
	/* four in each second that it took, and now and then how many were left out */
	assert_in_range(nb, 1, 100);
	free(text);
}

/* As type vdev the switch would not know that a guest can write to its packets. */
static void
an_avp_device_is_refused_as_another_type(void **state)
{
	struct place *place = *state;
	char request[256];

	snprintf(request, sizeof(request),
			"{\"method\":\"port.add\",\"params\":{\"name\":\"b\",\"type\":\"vdev\","
			"\"device\":\"net_avp_host_b,socket=%s/b.sock\"}}",
			place->dir);
	expect_refused(place, request, "EINVAL", "net_avp_host: add it with type=avp");
	expect_refused(place, "{\"method\":\"port.show\",\"params\":{\"name\":\"b\"}}", "ENOENT",
			"b: no such port");
}

static void
one_port_too_many_is_refused_with_the_limit(void **state)
{
	struct place *place = *state;
	char request[256];

	for (unsigned int i = 0; i <= RTE_MAX_ETHPORTS; i++) {
		snprintf(request, sizeof(request),
				"{\"method\":\"port.add\",\"params\":{\"name\":\"n%u\",\"type\":"
				"\"vdev\","
				"\"device\":\"net_null%u\"}}",
				i, i);
		if (i < RTE_MAX_ETHPORTS)
			expect_done(place, request);
		else
			expect_refused(place, request, "ENOSPC",
					"at most " RTE_STR(RTE_MAX_ETHPORTS));
	}
}

static void
ports_come_and_go_many_times(void **state)
{
	struct place *place = *state;

	add_networks(place);
	for (unsigned int i = 0; i < 100; i++) {
		expect_done(place, PORT_ADD("a", ",\"network\":\"blue\""));
		expect_done(place,
				"{\"method\":\"port.add\",\"params\":{\"name\":\"p0\","
				"\"type\":\"avp\",\"network\":\"red\"}}");
		expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"a\"}}");
		expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"p0\"}}");
	}
}

static void
capture_needs_a_port_and_a_new_file(void **state)
{
	struct place *place = *state;
	char message[192];
	char request[256];
	char path[96];

	expect_done(place, PORT_ADD("a", ""));
	expect_refused(place,
			"{\"method\":\"capture.start\",\"params\":{\"port\":\"a\",\"file\":\"x\"}}",
			"EINVAL", "capture: file=\"x\": must be an absolute path");
	expect_refused(place,
			"{\"method\":\"capture.start\",\"params\":{\"port\":\"b\",\"file\":\"/"
			"x\"}}",
			"ENOENT", "b: no such port");
	expect_refused(place, "{\"method\":\"capture.stop\",\"params\":{\"port\":\"a\"}}", "ENOENT",
			"a: is not being captured");
	snprintf(path, sizeof(path), "%s/a.pcapng", place->dir);
	snprintf(request, sizeof(request),
			"{\"method\":\"capture.start\",\"params\":{\"port\":\"a\",\"file\":\"%s\"}"
			"}",
			path);
	expect_done(place, request);
	expect_refused(place, request, "EEXIST", "a: is being captured to ");
	expect_done(place, "{\"method\":\"capture.stop\",\"params\":{\"port\":\"a\"}}");
	snprintf(message, sizeof(message), "a: file=%s: is there already, delete it or", path);
	expect_refused(place, request, "EEXIST", message);
	expect_refused(place,
			"{\"method\":\"capture.start\",\"params\":{\"port\":\"a\",\"file\":"
			"\"/nonexistent/x\"}}",
			"ENOENT", "a: file=/nonexistent/x: No such file or directory");
	unlink(path);
	/* A capture ends with its port. */
	expect_done(place, request);
	expect_done(place, "{\"method\":\"port.del\",\"params\":{\"name\":\"a\"}}");
	unlink(path);
}

/*
 * Clients
 */

static int
connect_client(struct place *place)
{
	struct avp_err err;
	int fd = avp_sock_connect(place->sw->conf.control, &err);

	assert_true(fd >= 0);
	while (avp_loop_run_once(place->sw->loop, 0) > 0)
		;
	return fd;
}

static void
put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Let the switch work until the client has a line, or the end of its connection (length 0). */
static size_t
get_line(struct place *place, int fd, char *line, size_t size)
{
	size_t len = 0;

	for (int i = 0; i < LIMIT_MS; i++) {
		ssize_t n;

		avp_loop_run_once(place->sw->loop, 1);
		n = recv(fd, line + len, size - len - 1, MSG_DONTWAIT);
		if (n == 0)
			return 0;
		if (n > 0)
			len += n;
		line[len] = '\0';
		if (len > 0 && line[len - 1] == '\n')
			return len;
	}
	fail_msg("no answer within %d ms, only \"%s\"", LIMIT_MS, line);
	return 0;
}

static void
expect_closed(struct place *place, int fd)
{
	char line[1024];

	assert_int_equal(get_line(place, fd, line, sizeof(line)), 0);
	close(fd);
}

#define VERSION "{\"id\":1,\"method\":\"version\"}\n"

static void
requests_of_one_send_are_answered_in_order(void **state)
{
	struct place *place = *state;
	int fd = connect_client(place);
	char line[4096];
	char *second;

	put(fd,
			"{\"id\":1,\"method\":\"network.show\"}\n{\"id\":2,\"method\":\"stats\"}\n{"
			"\"id\":3");
	while (get_line(place, fd, line, sizeof(line)) != 0 && strstr(line, "\"id\":2") == NULL)
		;
	second = strstr(line, "\"id\":2");
	assert_non_null(second);
	put(fd, ",\"method\":\"version\"}\n");
	get_line(place, fd, line, sizeof(line));
	assert_non_null(strstr(line, "\"id\":3"));
	close(fd);
}

static void
bytes_that_come_one_by_one_are_a_request(void **state)
{
	struct place *place = *state;
	int fd = connect_client(place);
	char line[1024];

	for (const char *c = VERSION; *c != '\0'; c++) {
		assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
		avp_loop_run_once(place->sw->loop, 0);
	}
	assert_true(get_line(place, fd, line, sizeof(line)) > 0);
	assert_non_null(strstr(line, "protocol"));
	close(fd);
}

static void
request_without_end_closes_the_client(void **state)
{
	struct place *place = *state;
	int fd = connect_client(place);
	char junk[4096];

	memset(junk, 'x', sizeof(junk));
	for (unsigned int i = 0; i < CTL_REQUEST_MAX / sizeof(junk) + 1; i++) {
		send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
		avp_loop_run_once(place->sw->loop, 0);
	}
	for (int i = 0; i < LIMIT_MS; i++) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

		avp_loop_run_once(place->sw->loop, 0);
		if (poll(&poll_fd, 1, 1) == 1 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0) {
			close(fd);
			return;
		}
	}
	fail_msg("still open after %d ms", LIMIT_MS);
}

static void
zero_bytes_are_no_request(void **state)
{
	struct place *place = *state;
	int fd = connect_client(place);
	char line[1024];

	assert_int_equal(send(fd, "{\0}\n", 4, MSG_NOSIGNAL), 4);
	assert_true(get_line(place, fd, line, sizeof(line)) > 0);
	assert_non_null(strstr(line, "EINVAL"));
	close(fd);
}

static void
a_client_is_told_that_there_are_no_descriptors(void **state)
{
	struct place *place = *state;
	int next = dup(STDERR_FILENO);
	struct rlimit before, few;
	struct avp_err err;
	char line[1024];
	int fd;

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = next + 1; /* one more: the client's own */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		fd = avp_sock_connect(place->sw->conf.control, &err);
		for (int k = 0; k < 3; k++)
			avp_loop_run_once(place->sw->loop, 0);
		assert_int_equal(avp_loop_run_once(place->sw->loop, 0), 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_true(fd >= 0);
		assert_true(get_line(place, fd, line, sizeof(line)) > 0);
		assert_non_null(strstr(line, "EMFILE"));
		expect_closed(place, fd);
	}
	fd = connect_client(place);
	put(fd, "{\"method\":\"version\"}\n");
	get_line(place, fd, line, sizeof(line));
	assert_non_null(strstr(line, "protocol"));
	close(fd);
}

static void
one_client_too_many_is_told_and_closed(void **state)
{
	struct place *place = *state;
	int fds[CTL_CLIENTS_MAX];
	char line[1024];
	int fd;

	for (unsigned int i = 0; i < CTL_CLIENTS_MAX; i++)
		fds[i] = connect_client(place);
	fd = connect_client(place);
	assert_true(get_line(place, fd, line, sizeof(line)) > 0);
	assert_non_null(strstr(line, "EBUSY"));
	expect_closed(place, fd);
	close(fds[0]);
	while (avp_loop_run_once(place->sw->loop, 10) > 0)
		;
	fds[0] = connect_client(place);
	put(fds[0], VERSION);
	assert_true(get_line(place, fds[0], line, sizeof(line)) > 0);
	assert_non_null(strstr(line, "protocol"));
	for (unsigned int i = 0; i < CTL_CLIENTS_MAX; i++)
		close(fds[i]);
}

/* It sends requests and reads no answers: it must not be served without end, nor hold up others. */
static void
client_that_does_not_read_is_not_read_from(void **state)
{
	struct place *place = *state;
	int deaf = connect_client(place);
	int other;
	char line[4096];
	unsigned int nb_sent = 0;
	unsigned int nb_answers = 0;
	bool stuck = false;

	while (!stuck && nb_sent < 100000) {
		if (send(deaf, VERSION, strlen(VERSION), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			nb_sent++;
		else
			stuck = errno == EAGAIN;
		avp_loop_run_once(place->sw->loop, 0);
	}
	assert_true(stuck);
	other = connect_client(place);
	put(other, VERSION);
	assert_true(get_line(place, other, line, sizeof(line)) > 0);
	/* When it reads at last, it gets all its answers. */
	for (unsigned int i = 0; i < 10 * nb_sent && nb_answers < nb_sent; i++) {
		ssize_t n = recv(deaf, line, sizeof(line), MSG_DONTWAIT);

		for (ssize_t j = 0; j < n; j++)
			nb_answers += line[j] == '\n';
		avp_loop_run_once(place->sw->loop, 0);
	}
	assert_int_equal(nb_answers, nb_sent);
	close(deaf);
	close(other);
}

static void
many_requests_at_once_are_all_answered(void **state)
{
	enum { NB = 1000 };
	struct place *place = *state;
	int fd = connect_client(place);
	char *requests = calloc(NB, strlen(VERSION) + 1);
	char line[4096];
	unsigned int nb_answers = 0;

	for (unsigned int i = 0; i < NB; i++)
		memcpy(requests + i * strlen(VERSION), VERSION, strlen(VERSION));
	put(fd, requests);
	/* The switch gets as far as it can before the first answer is read. */
	while (avp_loop_run_once(place->sw->loop, 0) > 0)
		;
	for (unsigned int i = 0; i < LIMIT_MS && nb_answers < NB; i++) {
		ssize_t n = recv(fd, line, sizeof(line), MSG_DONTWAIT);

		for (ssize_t j = 0; j < n; j++)
			nb_answers += line[j] == '\n';
		avp_loop_run_once(place->sw->loop, n > 0 ? 0 : 1);
	}
	assert_int_equal(nb_answers, NB);
	free(requests);
	close(fd);
}

static void
client_that_hangs_up_at_any_byte_does_no_harm(void **state)
{
	struct place *place = *state;

	for (size_t len = 0; len <= strlen(VERSION); len++) {
		int fd = connect_client(place);

		if (len > 0)
			assert_int_equal(send(fd, VERSION, len, MSG_NOSIGNAL), len);
		close(fd);
		while (avp_loop_run_once(place->sw->loop, 0) > 0)
			;
	}
	expect_done(place, "{\"method\":\"version\"}");
}

static void
capture_ends_with_the_client_that_started_it(void **state)
{
	struct place *place = *state;
	int fd = connect_client(place);
	char request[256];
	char line[1024];
	char path[96];
	json_t *captures;

	expect_done(place, PORT_ADD("a", ""));
	snprintf(path, sizeof(path), "%s/a.pcapng", place->dir);
	snprintf(request, sizeof(request),
			"{\"method\":\"capture.start\",\"params\":{\"port\":\"a\",\"file\":\"%s\"}}"
			"\n",
			path);
	put(fd, request);
	get_line(place, fd, line, sizeof(line));
	captures = done(place, "{\"method\":\"capture.show\"}");
	assert_int_equal(json_array_size(captures), 1);
	json_decref(captures);
	close(fd);
	while (avp_loop_run_once(place->sw->loop, 10) > 0)
		;
	captures = done(place, "{\"method\":\"capture.show\"}");
	assert_int_equal(json_array_size(captures), 0);
	json_decref(captures);
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(id_comes_back_as_it_was),
			TEST(what_is_no_request_is_refused),
			TEST(network_name_and_vlan_are_taken_once),
			TEST(network_in_use_is_not_deleted),
			TEST(port_is_shown_as_it_was_added),
			TEST(port_changes_as_it_is_told),
			TEST(wrong_port_is_refused_and_leaves_nothing),
			TEST(device_that_cannot_be_used_is_removed_again),
			TEST(link_event_under_way_is_waited_for),
			TEST(avp_port_is_made_with_a_socket_and_a_lasting_mac),
			TEST(version_of_the_guests_driver_is_shown_as_text),
			TEST(avp_port_has_a_static_entry_in_each_of_its_networks),
			TEST(deleted_port_leaves_no_entry),
			TEST(port_that_leaves_a_network_is_forgotten_there),
			TEST(mac_is_taken_once_in_a_network),
			TEST(messages_on_the_link_are_limited_in_rate),
			TEST(an_avp_device_is_refused_as_another_type),
			TEST(one_port_too_many_is_refused_with_the_limit),
			TEST(ports_come_and_go_many_times),
			TEST(capture_needs_a_port_and_a_new_file),
			TEST(requests_of_one_send_are_answered_in_order),
			TEST(bytes_that_come_one_by_one_are_a_request),
			TEST(request_without_end_closes_the_client),
			TEST(zero_bytes_are_no_request),
			TEST(a_client_is_told_that_there_are_no_descriptors),
			TEST(one_client_too_many_is_told_and_closed),
			TEST(client_that_does_not_read_is_not_read_from),
			TEST(many_requests_at_once_are_all_answered),
			TEST(client_that_hangs_up_at_any_byte_does_no_harm),
			TEST(capture_ends_with_the_client_that_started_it),
	};

	if (eal_fixture_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
