/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Devargs of the host port: defaults, every key, and errors that name key, value and limit.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "avph_args.h"

static struct avph_args args;
static struct avp_err err;

static int
parse(const char *params)
{
	memset(&err, 0, sizeof(err));
	return avph_args_parse(&args, "p0", params, &err);
}

static void
defaults_need_no_argument(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL), 0);
	assert_int_equal(parse(""), 0);
	assert_string_equal(args.socket, "/run/avp/p0.sock");
	assert_true(args.default_socket);
	assert_string_equal(args.domain, "");
	assert_int_equal(args.queues, 1);
	assert_int_equal(args.ring, 256);
	assert_int_equal(args.buffers, 1024);
	assert_int_equal(args.mru, 1522);
	assert_false(args.vlan_offload);
	assert_true(args.recycle);
	assert_true(args.link_events);
	assert_true(args.rx_interrupts);
	assert_false(args.incoming);
	assert_int_equal(args.perm.mode, 0600);
	assert_int_equal(args.perm.owner, (uid_t)-1);
	assert_int_equal(args.perm.group, (gid_t)-1);
	assert_true(rte_is_local_admin_ether_addr(&args.mac));
	assert_true(rte_is_unicast_ether_addr(&args.mac));
}

static void
random_addresses_differ(void **state)
{
	struct rte_ether_addr mac;

	(void)state;
	assert_int_equal(parse(NULL), 0);
	mac = args.mac;
	assert_int_equal(parse(NULL), 0);
	assert_false(rte_is_same_ether_addr(&mac, &args.mac));
}

static void
every_key_is_taken(void **state)
{
	(void)state;
	assert_int_equal(parse("socket=/tmp/s,queues=8,ring=4096,buffers=50000,"
			       "mac=02:00:00:00:00:07,mru=9238,vlan_offload=1,recycle=0,domain=red,"
			       "link_events=0,rx_interrupts=0,incoming=1,"
			       "domain_size=512,mode=0660,owner=12,group=34"),
			0);
	assert_string_equal(args.socket, "/tmp/s");
	assert_false(args.default_socket);
	assert_int_equal(args.queues, 8);
	assert_int_equal(args.ring, 4096);
	assert_int_equal(args.buffers, 50000);
	assert_memory_equal(args.mac.addr_bytes, "\2\0\0\0\0\7", 6);
	assert_int_equal(args.mru, 9238);
	assert_true(args.vlan_offload);
	assert_false(args.recycle);
	assert_false(args.link_events);
	assert_false(args.rx_interrupts);
	assert_true(args.incoming);
	assert_string_equal(args.domain, "red");
	assert_int_equal(args.domain_size, 512);
	assert_int_equal(args.perm.mode, 0660);
	assert_int_equal(args.perm.owner, 12);
	assert_int_equal(args.perm.group, 34);
	assert_int_equal(parse("owner=root,group=root"), 0);
	assert_int_equal(args.perm.owner, 0);
	assert_int_equal(args.perm.group, 0);
}

static void
buffers_follow_from_queues_and_ring(void **state)
{
	(void)state;
	assert_int_equal(parse("queues=4,ring=1024"), 0);
	assert_int_equal(args.buffers, 4 * 4 * 1024);
	assert_int_equal(parse("ring=64"), 0);
	assert_int_equal(args.buffers, 256);
	assert_int_equal(parse("queues=8,ring=4096"), 0);
	assert_int_equal(args.buffers, 131072);
	assert_int_equal(parse("queues=2,buffers=256"), 0);
}

static void
errors_name_key_value_and_limit(void **state)
{
	static const struct {
		const char *params;
		const char *msg;
	} wrong[] = {
			{"queues=12", "p0: queues=12: at most 8"},
			{"queues=0", "p0: queues=0: at least 1"},
			{"queues=-1", "p0: queues=-1: not a number"},
			{"queues=2x", "p0: queues=2x: not a number"},
			{"queues=", "p0: queues=: not a number"},
			{"queues=99999999999999999999",
					"p0: queues=99999999999999999999: at most 8"},
			{"ring=100", "p0: ring=100: not a power of two"},
			{"ring=32", "p0: ring=32: at least 64"},
			{"ring=8192", "p0: ring=8192: at most 4096"},
			{"buffers=127", "p0: buffers=127: at least 128 for 1 queues"},
			{"queues=2,buffers=255", "p0: buffers=255: at least 256 for 2 queues"},
			{"buffers=262145", "p0: buffers=262145: at most 262144"},
			{"mac=1:2:3", "p0: mac=1:2:3: not a MAC address"},
			{"mac=01:00:00:00:00:01",
					"p0: mac=01:00:00:00:00:01: not a unicast "
					"address"},
			{"mac=00:00:00:00:00:00",
					"p0: mac=00:00:00:00:00:00: not a unicast "
					"address"},
			{"mru=89", "p0: mru=89: at least 90"},
			{"mru=9239", "p0: mru=9239: at most 9238"},
			{"vlan_offload=yes", "p0: vlan_offload=yes: not a number"},
			{"vlan_offload=2", "p0: vlan_offload=2: at most 1"},
			{"recycle=2", "p0: recycle=2: at most 1"},
			{"rx_interrupts=2", "p0: rx_interrupts=2: at most 1"},
			{"incoming=2", "p0: incoming=2: at most 1"},
			{"link_events=2", "p0: link_events=2: at most 1"},
			{"mode=0888", "p0: mode=0888: not a number"},
			{"mode=1777", "p0: mode=1777: at most 777"},
			{"socket=", "p0: socket=: empty"},
			{"domain=", "p0: domain=: empty"},
			{"domain=a-name-that-is-32-characters-lon",
					"p0: domain=a-name-that-is-32-characters-lon: at most 31 "
					"characters"},
			{"domain_size=64", "p0: domain_size=64: needs domain="},
			{"domain=d,domain_size=15", "p0: domain_size=15: at least 16"},
			{"domain=d,domain_size=4097", "p0: domain_size=4097: at most 4096"},
			{"owner=no-such-user", "p0: owner=no-such-user: no such user"},
			{"group=no-such-group", "p0: group=no-such-group: no such group"},
			{"color=red", "p0: color: net_avp_host has no such argument"},
			{"queues=1,queues=1", "p0: queues: given twice"},
			{"queues", "p0: queues: needs a value"},
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(wrong); i++) {
		assert_true(parse(wrong[i].params) < 0);
		assert_string_equal(err.msg, wrong[i].msg);
		assert_true(err.code > 0);
	}
}

static void
a_socket_path_must_fit(void **state)
{
	char params[160] = "socket=/";

	(void)state;
	memset(params + 8, 'a', 106);
	assert_int_equal(parse(params), 0);
	assert_int_equal(strlen(args.socket), 107);
	params[114] = 'a';
	assert_int_equal(parse(params), -ENAMETOOLONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(defaults_need_no_argument),
			cmocka_unit_test(random_addresses_differ),
			cmocka_unit_test(every_key_is_taken),
			cmocka_unit_test(buffers_follow_from_queues_and_ring),
			cmocka_unit_test(errors_name_key_value_and_limit),
			cmocka_unit_test(a_socket_path_must_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
