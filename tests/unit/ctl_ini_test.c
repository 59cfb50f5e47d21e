/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Files of sections: what is read, and what is refused with the line that is wrong.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ini.h"
#include "vm_config.h"

static const char *const one_keys[] = {"a", "b", NULL};
static const char *const two_keys[] = {"c", NULL};
static const struct ctl_ini_type types[] = {
		{"one", false, one_keys}, {"two", true, two_keys}, {NULL, false, NULL}};

static char path[] = "/tmp/ctl_ini_test.XXXXXX";

static void
write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
refused(const char *text, const char *why)
{
	struct ctl_error err = {.msg = ""};
	json_t *sections = NULL;

	write_file(text);
	assert_int_equal(ctl_ini_load(path, types, &sections, &err), CTL_FAILED);
	assert_null(sections);
	if (strstr(err.msg, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	assert_non_null(strstr(err.msg, path));
}

static void
sections_keys_and_repeated_keys_are_read(void **state)
{
	json_t *sections, *section, *values;
	struct ctl_error err;

	(void)state;
	write_file("; comment\n\n[one]\n a = x y ; no comment \na=z=1\n# comment\n[two  n1]\nc "
		   "=\n");
	assert_int_equal(ctl_ini_load(path, types, &sections, &err), CTL_DONE);
	assert_int_equal(json_array_size(sections), 2);
	section = json_array_get(sections, 0);
	values = json_object_get(json_object_get(section, "keys"), "a");
	assert_int_equal(json_array_size(values), 2);
	assert_string_equal(json_string_value(json_array_get(values, 0)), "x y ; no comment");
	assert_string_equal(json_string_value(json_array_get(values, 1)), "z=1");
	assert_string_equal(ctl_ini_value(section, "b", "else"), "else");
	section = json_array_get(sections, 1);
	assert_string_equal(json_string_value(json_object_get(section, "name")), "n1");
	assert_string_equal(ctl_ini_value(section, "c", "else"), "");
	json_decref(sections);
}

static void
errors_name_the_line(void **state)
{
	(void)state;
	refused("[one]\nq = 1\n", "line 2: q: no such key in [one]");
	refused("[three]\n", "line 1: [three]: no such section");
	refused("[two]\n", "needs a name");
	refused("[one x]\n", "takes no name");
	refused("[one\n", "a section is [TYPE NAME]");
	refused("[two x]\n[two x]\n", "line 2: [two x]: given twice");
	refused("a = 1\n", "before the first [SECTION]");
	refused("[one]\nwords\n", "neither [SECTION] nor KEY = VALUE");
	refused("[one]\na = \xff\n", "not UTF-8");
}

static void
file_that_is_not_there_is_named(void **state)
{
	struct ctl_error err = {.msg = ""};
	json_t *sections;

	(void)state;
	assert_int_equal(ctl_ini_load("/nowhere/x.conf", types, &sections, &err), CTL_FAILED);
	assert_string_equal(err.code, "ENOENT");
	assert_non_null(strstr(err.msg, "/nowhere/x.conf"));
}

static void
vm_has_words_and_ports_with_their_slots(void **state)
{
	json_t *info, *ports, *params;
	struct ctl_error err;

	(void)state;
	write_file("[vm]\nargs = -m 1 -append \"a b\" 'c \"d'\nargs = -x\n"
		   "[port p0]\nnetwork = blue\nqueues = 2\ncheck_source_mac = off\n"
		   "[port p1]\naddr = 0x5\ntrunks = a,b\n");
	assert_int_equal(ctl_vm_config_load(path, &info, &err), CTL_DONE);
	assert_string_equal(json_string_value(json_object_get(info, "qemu")), "qemu-system-x86_64");
	assert_int_equal(json_array_size(json_object_get(info, "args")), 6);
	assert_string_equal(
			json_string_value(json_array_get(json_object_get(info, "args"), 3)), "a b");
	assert_string_equal(json_string_value(json_array_get(json_object_get(info, "args"), 4)),
			"c \"d");
	ports = json_object_get(info, "ports");
	assert_string_equal(json_string_value(json_object_get(json_array_get(ports, 0), "addr")),
			"0x10");
	assert_string_equal(json_string_value(json_object_get(json_array_get(ports, 1), "addr")),
			"0x5");
	params = json_object_get(json_array_get(ports, 0), "params");
	assert_int_equal(json_integer_value(json_object_get(params, "queues")), 2);
	assert_true(json_is_false(json_object_get(params, "check_source_mac")));
	assert_string_equal(json_string_value(json_object_get(params, "type")), "avp");
	assert_null(json_object_get(params, "addr"));
	json_decref(info);
}

static void
vm_refused(const char *text, const char *why)
{
	struct ctl_error err = {.msg = ""};
	json_t *info = NULL;

	write_file(text);
	assert_int_equal(ctl_vm_config_load(path, &info, &err), CTL_FAILED);
	if (strstr(err.msg, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void
vm_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	vm_refused("[port p0]\n", "no [vm] section");
	vm_refused("[vm]\nargs = \"x\n", "a \" without its other");
	vm_refused("[vm]\n[port p0]\nqueues = many\n", "[port p0]: queues=many: not a number");
	vm_refused("[vm]\n[port p0]\ndevice = x\n", "device: no such key in [port]");
}

static void
host_needs_an_address_for_migration(void **state)
{
	struct ctl_error err = {.msg = ""};
	json_t *host;

	(void)state;
	write_file("[host b]\ncommand = ssh b\n[host c]\nmigrate = tcp:192.0.2.3:0\n");
	assert_int_equal(ctl_hosts_load(path, "b", &host, &err), CTL_FAILED);
	assert_non_null(strstr(err.msg, "[host b]: migrate=: must be tcp:"));
	assert_int_equal(ctl_hosts_load(path, "d", &host, &err), CTL_FAILED);
	assert_non_null(strstr(err.msg, "no section [host d]; there are: b, c"));
	assert_int_equal(ctl_hosts_load(path, "c", &host, &err), CTL_DONE);
	assert_string_equal(json_string_value(json_object_get(host, "avpctl")), "avpctl");
	assert_string_equal(json_string_value(json_object_get(host, "command")), "");
	json_decref(host);
}

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd >= 0 ? close(fd) : -1;
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(sections_keys_and_repeated_keys_are_read),
			cmocka_unit_test(errors_name_the_line),
			cmocka_unit_test(file_that_is_not_there_is_named),
			cmocka_unit_test(vm_has_words_and_ports_with_their_slots),
			cmocka_unit_test(vm_that_makes_no_sense_is_refused),
			cmocka_unit_test(host_needs_an_address_for_migration),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
