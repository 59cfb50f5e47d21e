/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * The table of all commands. Parser, help and completion read it; a new command is an entry here
 * and a function in a cmd_*.c.
 */

#include <stddef.h>

#include "ctl.h"

static const struct ctl_key network_add_keys[] = {
		{"vlan", CTL_KIND_NUMBER, "ID", "VLAN of the network, 1-4094"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key port_add_keys[] = {
		{"type", CTL_KIND_STRING, "avp|vdev|pci", "what the port is; default avp"},
		{"device", CTL_KIND_STRING, "DEVICE", "DPDK device of a vdev or pci port"},
		{"network", CTL_KIND_NAME, "NETWORK", "untagged network of an access port"},
		{"mode", CTL_KIND_STRING, "access|trunk",
				"default: trunk if trunks or native is given"},
		{"native", CTL_KIND_NAME, "NETWORK", "untagged network of a trunk"},
		{"trunks", CTL_KIND_LIST, "NET,NET...", "tagged networks of a trunk"},
		{"check_source_mac", CTL_KIND_SWITCH, "on|off",
				"avp: only its own MAC may be a source; default on"},
		{"fdb_max", CTL_KIND_NUMBER, "N", "MACs that may be learned at the port"},
		{"queues", CTL_KIND_NUMBER, "N", "avp: 1-8; vdev and pci: receive queues, 1-16"},
		{"ring", CTL_KIND_NUMBER, "N", "avp: entries of a FIFO, a power of two, 64-4096"},
		{"buffers", CTL_KIND_NUMBER, "N", "avp: packet buffers"},
		{"mac", CTL_KIND_STRING, "MAC",
				"avp: the card's address; default: from name and machine"},
		{"mru", CTL_KIND_NUMBER, "BYTES", "avp: longest packet for the guest, up to 9238"},
		{"mtu", CTL_KIND_NUMBER, "BYTES", "vdev and pci: set at the port, 68-9216"},
		{"vlan_offload", CTL_KIND_SWITCH, "on|off", "avp: offer VLAN strip and insert"},
		{"domain", CTL_KIND_STRING, "NAME",
				"avp: share packet memory with ports of this domain"},
		{"socket", CTL_KIND_STRING, "PATH",
				"avp: vfio-user socket; default: beside the switch's"},
		{"socket_mode", CTL_KIND_STRING, "MODE",
				"avp: permissions of it, octal; default 0600"},
		{"incoming", CTL_KIND_SWITCH, "on|off",
				"avp: for a VM that is still on another node; see port attach"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key port_set_keys[] = {
		{"mode", CTL_KIND_STRING, "access|trunk", "kind of port, if that is to change"},
		{"network", CTL_KIND_NAME, "NETWORK",
				"untagged network of an access port; empty: none"},
		{"native", CTL_KIND_NAME, "NETWORK", "untagged network of a trunk; empty: none"},
		{"trunks", CTL_KIND_LIST, "NET,NET...",
				"all tagged networks of a trunk; empty: none"},
		{"check_source_mac", CTL_KIND_SWITCH, "on|off",
				"avp: only its own MAC may be a source"},
		{"fdb_max", CTL_KIND_NUMBER, "N", "MACs that may be learned at the port"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key port_detach_keys[] = {
		{"timeout_ms", CTL_KIND_NUMBER, "MS",
				"for the guests to acknowledge, 1-60000; default 1000"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key port_attach_keys[] = {
		{"timeout_ms", CTL_KIND_NUMBER, "MS",
				"for the guests to acknowledge, 1-60000; 0: wait for none; default "
				"1000"},
		{"announce", CTL_KIND_SWITCH, "on|off",
				"tell the network where the VM is now; default on"},
		{"addresses", CTL_KIND_STRING, "JSON",
				"addresses to announce: what port show --json has of the old port, "
				"or "
				"@FILE with it"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_option port_show_options[] = {
		[CTL_PORT_SHOW_QEMU] = {"--qemu", NULL, false,
				"print QEMU's arguments that give a VM the port NAME"},
		[CTL_PORT_SHOW_USER] = {"--user", NULL, false,
				"print DPDK's argument that opens the port NAME without a VM"},
		{NULL, NULL, false, NULL},
};

static const struct ctl_key fdb_keys[] = {
		{"port", CTL_KIND_STRING, "PORT", "only entries of this port"},
		{"network", CTL_KIND_STRING, "NETWORK", "only entries of this network"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_option stats_options[] = {
		[CTL_STATS_WATCH] = {"--watch", "SECONDS", true,
				"rates, again every SECONDS (default 1) until Ctrl-C"},
		[CTL_STATS_COUNT] = {"--count", "N", false, "with --watch: end after N intervals"},
		{NULL, NULL, false, NULL},
};

static const struct ctl_key capture_keys[] = {
		{"count", CTL_KIND_NUMBER, "N", "end after N packets"},
		{"snaplen", CTL_KIND_NUMBER, "BYTES", "keep this much of each packet, 64-65535"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key vm_keys[] = {
		{"dir", CTL_KIND_STRING, "DIR", "where running VMs are; default /run/avp/vm"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key vm_start_keys[] = {
		{"config", CTL_KIND_STRING, "FILE", "default /etc/avp/vm/NAME.conf"},
		{"dir", CTL_KIND_STRING, "DIR", "where running VMs are; default /run/avp/vm"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_key vm_migrate_keys[] = {
		{"downtime_ms", CTL_KIND_NUMBER, "MS",
				"begin the switch-over when what is left takes this long, 1-60000; "
				"default 300"},
		{"detach_ms", CTL_KIND_NUMBER, "MS",
				"how long guests may take to let go of their ports, 1-60000; "
				"default 1000"},
		{"attach_ms", CTL_KIND_NUMBER, "MS",
				"how long they may take to take them up again, 1-60000; default "
				"10000"},
		{"stop_ms", CTL_KIND_NUMBER, "MS",
				"turn back when the VM has stood still this long, 100-600000; "
				"default 10000"},
		{"timeout_s", CTL_KIND_NUMBER, "S",
				"turn back when memory is not sent by then, 1-86400; default 600"},
		{"bandwidth_mbit", CTL_KIND_NUMBER, "N",
				"QEMU sends no faster, 1-1000000; default: no limit"},
		{"restore", CTL_KIND_SWITCH, "on|off",
				"put back the cards' PCI configuration from outside; default on"},
		{"log", CTL_KIND_STRING, "FILE", "append each step with its times, as JSON"},
		{"dir", CTL_KIND_STRING, "DIR", "where running VMs are; default /run/avp/vm"},
		{NULL, 0, NULL, NULL},
};

static const struct ctl_option vm_migrate_options[] = {
		[CTL_VM_MIGRATE_TO] = {"--to", "HOST", false, "the node to move it to"},
		[CTL_VM_MIGRATE_HOSTS] = {"--hosts", "FILE", false,
				"the list of nodes; default /etc/avp/hosts.conf"},
		{NULL, NULL, false, NULL},
};

const struct ctl_command ctl_commands[] = {
		{"network", "add", "NAME", 1, 1, network_add_keys, NULL,
				"add a network, a VLAN with a name", NULL, ctl_network_add},
		{"network", "del", "NAME", 1, 1, NULL, NULL, "delete a network that no port uses",
				NULL, ctl_network_del},
		{"network", "show", "[NAME]", 0, 1, NULL, NULL, "list networks and their ports",
				NULL, ctl_network_show},
		{"port", "add", "NAME", 1, 1, port_add_keys, NULL, "add a port",
				"Examples:\n"
				"  avpctl port add p0 network=blue queues=2\n"
				"  avpctl port add up0 type=vdev device=net_af_packet0,iface=eth1 "
				"trunks=blue,red\n",
				ctl_port_add},
		{"port", "del", "NAME", 1, 1, NULL, NULL,
				"delete a port; a VM at it loses the card", NULL, ctl_port_del},
		{"port", "set", "NAME", 1, 1, port_set_keys, NULL, "change a port while it works",
				NULL, ctl_port_set},
		{"port", "detach", "NAME...", 1, CTL_MAX_WORDS, port_detach_keys, NULL,
				"have VMs let go of their ports; packets for them are held",
				"All ports at once. Prints how each ended; the exit status is 1 "
				"unless all are ok,\n"
				"or absent: nobody is connected, or the guest has no driver.\n",
				ctl_port_detach},
		{"port", "attach", "NAME...", 1, CTL_MAX_WORDS, port_attach_keys, NULL,
				"have VMs take up ports, here or where they were",
				"Calls off a detach, and a departure. Held packets come first.\n",
				ctl_port_attach},
		{"port", "depart", "NAME...", 1, CTL_MAX_WORDS, NULL, NULL,
				"the VMs of detached ports are on another node: send what is held "
				"there",
				NULL, ctl_port_depart},
		{"port", "show", "[NAME]", 0, 1, NULL, port_show_options,
				"list ports, or show all of one",
				"With --qemu and --user standard output is ready to be pasted; "
				"hints are on\n"
				"standard error. QEMU must be 10.1 or newer.\n",
				ctl_port_show},
		{"fdb", "show", "", 0, 0, fdb_keys, NULL,
				"list the MAC addresses that the switch knows", NULL, ctl_fdb_show},
		{"fdb", "flush", "", 0, 0, fdb_keys, NULL, "forget learned MAC addresses", NULL,
				ctl_fdb_flush},
		{"stats", NULL, "[PORT]", 0, 1, NULL, stats_options,
				"show packets, bytes and drops", NULL, ctl_stats},
		{"capture", NULL, "PORT FILE", 2, 2, capture_keys, NULL,
				"write a port's packets to a pcapng file until Ctrl-C",
				"The switch writes FILE, with its own rights; FILE must not exist "
				"yet.\n",
				ctl_capture},
		{"vm", "start", "NAME", 1, 1, vm_start_keys, NULL, "start a VM, with its ports",
				NULL, ctl_vm_start},
		{"vm", "stop", "NAME", 1, 1, vm_keys, NULL,
				"switch a VM off at once; its ports go as well", NULL, ctl_vm_stop},
		{"vm", "show", "[NAME]", 0, 1, vm_keys, NULL, "list the VMs of this node", NULL,
				ctl_vm_show},
		{"vm", "migrate", "NAME", 1, 1, vm_migrate_keys, vm_migrate_options,
				"move a running VM to another node, without losing packets",
				"Ctrl-C, or avpctl vm cancel NAME, turns back.\n", ctl_vm_migrate},
		{"vm", "cancel", "NAME", 1, 1, vm_keys, NULL,
				"turn back a migration, also one that ended in doubt: it runs here",
				NULL, ctl_vm_cancel},
		{"vm", "receive", "NAME", 1, 1, vm_keys, NULL,
				"the other side of vm migrate, which starts it", NULL,
				ctl_vm_receive},
		{"version", NULL, "", 0, 0, NULL, NULL,
				"show the version of avpctl and of the switch", NULL, ctl_version},
		{NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
