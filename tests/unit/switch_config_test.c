/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * switch/config.c: what is read from the file, and what is refused with which words.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* after the four that it needs */
#include <cmocka.h>

#include "config.h"

/* Load a file with this content. */
static int
load(const char *content, struct sw_conf *conf, json_t **networks, json_t **ports,
		struct avp_err *err)
{
	char path[] = "/tmp/switch_config_test.XXXXXX";
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	sw_conf_init(conf);
	rc = config_load(path, conf, networks, ports, err);
	unlink(path);
	return rc;
}

static void
file_of_the_manual_is_read(void **state)
{
	json_t *networks;
	json_t *ports;
	const json_t *port;
	struct sw_conf conf;
	struct avp_err err;

	(void)state;
	assert_int_equal(load("; a comment\n"
			      "[switch]\n"
			      "fdb_age = 60 ; seconds\n"
			      "busy_poll = yes\n"
			      "workers = 2\n"
			      "\n"
			      "[network blue]\n"
			      "vlan = 100\n"
			      "[port p0]\n"
			      "type = avp\n"
			      "network = blue\n"
			      "check_source_mac = no\n"
			      "queues = 4\n"
			      "[port up0]\n"
			      "type = vdev\n"
			      "device = net_af_packet0,iface=eth1\n"
			      "trunks = blue, red\n",
					 &conf, &networks, &ports, &err),
			0);
	assert_int_equal(conf.fdb_age, 60);
	assert_true(conf.busy_poll);
	assert_int_equal(conf.workers, 2);
	assert_int_equal(conf.fdb_size, 16384);
	assert_int_equal(json_array_size(networks), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(networks, 0), "vlan")),
			100);
	assert_int_equal(json_array_size(ports), 2);
	port = json_array_get(ports, 0);
	assert_string_equal(json_string_value(json_object_get(port, "name")), "p0");
	assert_true(json_is_false(json_object_get(port, "check_source_mac")));
	assert_int_equal(json_integer_value(json_object_get(port, "queues")), 4);
	port = json_array_get(ports, 1);
	assert_string_equal(json_string_value(json_object_get(port, "device")),
			"net_af_packet0,iface=eth1");
	assert_int_equal(json_array_size(json_object_get(port, "trunks")), 2);
	json_decref(networks);
	json_decref(ports);
}

static void
example_is_read(void **state)
{
	json_t *networks;
	json_t *ports;
	struct sw_conf conf;
	struct avp_err err;

	(void)state;
	sw_conf_init(&conf);
	if (config_load(SWITCH_CONF_EXAMPLE, &conf, &networks, &ports, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(json_array_size(networks), 2);
	assert_int_equal(json_array_size(ports), 3);
	json_decref(networks);
	json_decref(ports);
}

static void
wrong_files_are_refused_with_section_key_and_value(void **state)
{
	static const char *const files[][2] = {
			{"[switches]\nfdb_age = 1\n", "[switches]: there are [switch]"},
			{"[switch]\nfdb_agee = 1\n", "switch: fdb_agee: no such parameter"},
			{"[switch]\nfdb_age = 0\n", "fdb_age=0: must be a number from 1 to 86400"},
			{"[switch]\nfdb_age = x\n", "fdb_age=\"x\": must be a number"},
			{"[switch]\nbusy_poll = 1\n", "switch: busy_poll=1: must be yes or no"},
			{"[switch]\nworkers = 9\n", "workers=9: must be a number from 1 to 8"},
			{"[switch]\nworkers = 1\nworkers = 2\n", "[switch]: workers: given twice"},
			{"[switch]\nworkers = 1\n[switch]\nworkers = 2\n", "[switch] (once)"},
			{"[network]\nvlan = 1\n", "[network]: there are [switch]"},
			{"[network a/b]\nvlan = 1\n", "[network a/b]: name: 1 to 31"},
			{"[network a]\nvlan = 1\nname = b\n", "a: name: no such parameter"},
			{"[port a]\ntyp = avp\n", "a: typ: no such parameter"},
			{"[port a]\nname = b\n", "[port a]: name: the section has it already"},
			{"[port a]\ncheck_source_mac = maybe\n", "must be yes or no"},
			{"workers = 1\n", ": must be made of [sections]"},
			{"[switch]\nworkers\n", ": line 2: workers: must be KEY = VALUE"},
			{"[switch]\n\n # a = b\n", ": line 3:  # a = b: must be KEY = VALUE"},
			{"# text\r\n[switch]\n", ": line 1: # text: must be KEY = VALUE"},
			{"[switch]\nbusy_poll ; = yes\n", ": line 2: busy_poll ; = yes: must"},
			{"[switch]\nfdb\033\n", ": line 2: fdb\\x1b: must be KEY = VALUE"},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		json_t *networks = NULL;
		json_t *ports = NULL;
		struct sw_conf conf;
		struct avp_err err = {0};

		if (load(files[i][0], &conf, &networks, &ports, &err) == 0 ||
				strstr(err.msg, files[i][1]) == NULL)
			fail_msg("%s: said \"%s\"", files[i][0], err.msg);
		assert_null(networks);
		assert_null(ports);
	}
}

static void
comments_and_empty_lines_are_passed_over(void **state)
{
	json_t *networks;
	json_t *ports;
	struct sw_conf conf;
	struct avp_err err;

	(void)state;
	if (load(";\n \t; # text\r\n\r\n[switch] ; ours\n\tfdb_age = 60;\n  \n;end", &conf,
			    &networks, &ports, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(conf.fdb_age, 60);
	json_decref(networks);
	json_decref(ports);
}

static void
what_cannot_be_added_is_named_with_file_and_section(void **state)
{
	json_t *networks = json_pack("[{s:s, s:i}]", "name", "blue", "vlan", 4095);
	json_t *ports = json_pack("[{s:s, s:s}]", "name", "p0", "type", "tap");
	static struct sw sw;
	struct avp_err err;

	(void)state;
	assert_int_equal(config_apply(&sw, "x.conf", networks, NULL, &err), -EINVAL);
	assert_string_equal(err.msg,
			"x.conf: [network blue]: blue: vlan=4095: must be a number from 1 to 4094");
	assert_int_equal(config_apply(&sw, "x.conf", NULL, ports, &err), -EINVAL);
	assert_string_equal(err.msg, "x.conf: [port p0]: p0: type=tap: must be avp, vdev or pci");
	json_decref(networks);
	json_decref(ports);
}

static void
file_that_is_not_there_is_named(void **state)
{
	json_t *networks;
	json_t *ports;
	struct sw_conf conf;
	struct avp_err err;

	(void)state;
	assert_int_equal(config_load("/nowhere/x.conf", &conf, &networks, &ports, &err), -ENOENT);
	assert_string_equal(err.msg, "/nowhere/x.conf: No such file or directory");
	assert_int_equal(config_load("/tmp", &conf, &networks, &ports, &err), -EISDIR);
	assert_string_equal(err.msg, "/tmp: Is a directory");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(file_of_the_manual_is_read),
			cmocka_unit_test(example_is_read),
			cmocka_unit_test(wrong_files_are_refused_with_section_key_and_value),
			cmocka_unit_test(comments_and_empty_lines_are_passed_over),
			cmocka_unit_test(what_cannot_be_added_is_named_with_file_and_section),
			cmocka_unit_test(file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
