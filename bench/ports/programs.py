# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Switches as programs of their own, with two guests' ports: this project's, and those that Debian has.

    with start(name, work, args, folder, cpu, huge) as program:
        program.guests     # ends for bench_ports

All their threads have one CPU, the host's.
"""

import os
import shutil
import subprocess
import tempfile
import time

START_LIMIT_S = 15
STOP_LIMIT_S = 5
VIRTIO = "net_virtio_user{i},path={dir}/v{i},queue_size=512,"
PACKED = VIRTIO + "packed_vq=1,in_order=1,mrg_rxbuf=0,vectorized=1"
USER = "net_avp_user{i},socket={dir}/p{i}"
STOCK = "stock:{dir}/p{i}"
FDB_SPARE = 64
OVS_PROGRAM = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
OVS_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Failed(Exception):
    """A program did not start."""


class Program:
    """One of them, running; ready when its sockets are there."""

    guest = USER
    vlan_args = []  # of bench_ports, where packets have tags

    def __init__(self, work, args, folder, cpu, huge):
        self.work = work
        self.args = args
        self.folder = folder
        self.cpu = cpu
        self.huge = huge
        self.output = tempfile.TemporaryFile(mode="w+")
        self.processes = []

    @property
    def guests(self):
        return [self.guest.format(i=i, dir=self.folder) for i in range(2)]

    @property
    def sockets(self):
        name = "v%d" if "path=" in self.guest else "p%d"
        return [os.path.join(self.folder, name % i) for i in range(2)]

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *words, env=None):
        """Start one of its processes; it ends with this one, if not before."""
        if shutil.which(words[0]) is None:
            raise Failed("%s: not found" % words[0])
        self.processes.append(subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(self.cpu), *words], env=env,
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT))

    def start(self):
        """Start the processes; the last one is the switch."""
        raise NotImplementedError

    def wait(self, paths):
        end = time.monotonic() + START_LIMIT_S
        while not all(os.path.exists(path) for path in paths):
            if self.processes[-1].poll() is not None or time.monotonic() > end:
                self.output.seek(0)
                raise Failed("%s did not start: %s" % (type(self).__name__, self.output.read()[-300:]))
            time.sleep(0.02)

    def __enter__(self):
        try:
            self.start()
            self.wait(self.sockets)
        except Failed:
            self.__exit__()
            raise
        return self

    def cpu_seconds(self):
        """User and system time of all the switch's threads: one of them polls, the others sleep."""
        with open("/proc/%d/stat" % self.processes[-1].pid, encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.output.close()


class AvpSwitch(Program):
    """avp-switch with AVP ports."""

    port = "type = avp\ncheck_source_mac = no\nsocket = {dir}/p{i}\nring = 512"
    tagged = "vlan_offload = yes"  # where packets have tags
    vlan_args = ["--vlan-offload"]
    more = ""

    def config(self):
        macs = self.work.macs or 0
        size = min(max(16384, macs + FDB_SPARE), 1 << 20)
        lines = ["[switch]", "fdb_size = %d" % size, "fdb_port_max = %d" % size,
                 "[network net]", "vlan = 100"]
        for i in range(2):
            lines += ["[port p%d]" % i, self.port.format(i=i, dir=self.folder),
                      "mode = trunk\ntrunks = net\n" + self.tagged if self.work.vlan else "network = net",
                      self.more]
        return "\n".join(lines) + "\n"

    def start(self):
        with open(self.path("switch.conf"), "w", encoding="ascii") as file:
            file.write(self.config())
        self.run(self.args.switch, "--config", self.path("switch.conf"), "--control",
                 self.path("control"), "--busy-poll", "--cores", str(self.cpu),
                 *([] if self.huge else ["--no-huge"]))


class AvpSwitchStock(AvpSwitch):
    guest = STOCK


class AvpSwitchCopy(AvpSwitch):
    guest = USER + ",recycle=0"


class AvpSwitchDomain(AvpSwitch):
    more = "domain = d"


class AvpSwitchDomainStock(AvpSwitchDomain):
    guest = STOCK


class AvpSwitchVhost(AvpSwitch):
    guest = PACKED
    port = "type = vdev\ndevice = net_vhost{i},iface={dir}/v{i}\nmtu = 1504"
    tagged = ""
    vlan_args = []


class Testpmd(Program):
    """testpmd that passes packets between two vhost ports, without looking at them."""

    guest = PACKED

    def start(self):
        memory = ["--in-memory", "--single-file-segments"] if self.huge else ["--no-huge"]
        self.run("dpdk-testpmd", "--no-pci", "--no-shconf", "--no-telemetry",
                 "--lcores=0@%d,1@%d" % (self.cpu, self.cpu), "--file-prefix=bench%d" % os.getpid(),
                 "-m256", *memory,
                 *["--vdev=net_vhost%d,iface=%s" % (i, path) for i, path in enumerate(self.sockets)],
                 "--", "--auto-start", "--no-flush-rx", "--forward-mode=io", "--burst=32",
                 "--total-num-mbufs=8192", "--rxd=512", "--txd=512", "--stats-period=3600")


class Ovs(Program):
    """Open vSwitch with one PMD thread, its database and sockets in the folder: no other is touched.

    It learns MACs (NORMAL).
    """

    guest = PACKED
    flows = ()
    dpdk = ()

    def ports(self):
        return [("v%d" % i, ["type=dpdkvhostuser"]) for i in range(2)]

    def ctl(self, program, *words):
        try:
            done = subprocess.run([program, *words], check=False, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=START_LIMIT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(str(error)) from None
        if done.returncode != 0:
            raise Failed("%s: %s" % (program, done.stdout.strip()))
        return done.stdout

    def settings(self):
        mask = hex(1 << self.cpu)
        extra = ["--no-pci", "--no-telemetry", *self.dpdk]
        extra += ["--in-memory", "--single-file-segments"] if self.huge else ["--no-huge", "-m", "512"]
        words = ["set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                 "other_config:pmd-cpu-mask=" + mask, "other_config:dpdk-lcore-mask=" + mask,
                 'other_config:dpdk-extra="%s"' % " ".join(extra)]
        words += ["other_config:dpdk-socket-mem=256"] if self.huge else []
        words += ["--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                  "other_config:mac-table-size=%d" % (max(8192, (self.work.macs or 0) + FDB_SPARE))]
        for i, (name, options) in enumerate(self.ports()):
            words += ["--", "add-port", "br0", name, "--", "set", "interface", name,
                      "ofport_request=%d" % (i + 1), *options]
        return words

    def start(self):
        folders = dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"), self.folder)
        env = {**os.environ, **folders}
        database = "unix:" + self.path("db.sock")
        self.ctl("ovsdb-tool", "create", self.path("conf.db"), OVS_SCHEMA)
        self.run("ovsdb-server", self.path("conf.db"), "--remote=p" + database,
                 "--unixctl=" + self.path("db.ctl"), "--pidfile=" + self.path("db.pid"), env=env)
        self.wait([self.path("db.sock")])
        self.ctl("ovs-vsctl", "--db=" + database, "--no-wait", "--", "init", "--", *self.settings())
        self.run(OVS_PROGRAM, database, "--unixctl=" + self.path("switch.ctl"),
                 "--pidfile=" + self.path("switch.pid"), env=env)
        self.wait([self.path("br0.mgmt"), *self.sockets])
        bridge = "unix:" + self.path("br0.mgmt")
        # what is not known yet goes to the other guest only, not to the kernel as well
        self.ctl("ovs-ofctl", "mod-port", bridge, "br0", "no-flood")
        if self.flows:
            self.ctl("ovs-ofctl", "del-flows", bridge)
        for flow in self.flows:
            self.ctl("ovs-ofctl", "add-flow", bridge, flow)


class OvsFlows(Ovs):
    """From port to port without looking at packets."""

    flows = ("in_port=1,actions=output:2", "in_port=2,actions=output:1")


class OvsAvp(Ovs):
    """With AVP ports, served by this project's driver."""

    guest = USER

    def ports(self):
        return [("p%d" % i, ["type=dpdk", "options:dpdk-devargs=net_avp_host%d,socket=%s,ring=512"
                             % (i, path), "options:n_rxq_desc=512", "options:n_txq_desc=512"])
                for i, path in enumerate(self.sockets)]

    @property
    def dpdk(self):
        return ("-d", os.path.join(os.path.dirname(self.args.plugin[0]), "..", "avp_host",
                                   "librte_net_avp_host.so"))


# The one that ratios are given to.
REFERENCE = "ovs-flows"

# Name: label, class, is it ours. The order is that of tables.
PROGRAMS = {
    "switch-stock": ("avp-switch, AVP, stock driver (emulated)", AvpSwitchStock, True),
    "switch-copy": ("avp-switch, AVP, our driver by copy", AvpSwitchCopy, True),
    "switch": ("avp-switch, AVP, our driver", AvpSwitch, True),
    "switch-domain-stock": ("avp-switch, AVP, one domain, stock driver (emulated)", AvpSwitchDomainStock,
                            True),
    "switch-domain": ("avp-switch, AVP, one domain, our driver", AvpSwitchDomain, True),
    "switch-vhost": ("avp-switch, vhost-user, packed in-order vectorized", AvpSwitchVhost, False),
    "testpmd-vhost": ("testpmd io (no switch), vhost-user, packed in-order vectorized", Testpmd, False),
    "ovs-normal": ("Open vSwitch, learning, vhost-user, packed in-order vectorized", Ovs, False),
    "ovs-flows": ("Open vSwitch, fixed flows, vhost-user, packed in-order vectorized", OvsFlows, False),
    "ovs-avp": ("Open vSwitch, learning, AVP, our driver", OvsAvp, False),
}


def start(name, work, args, folder, cpu, huge):
    return PROGRAMS[name][1](work, args, folder, cpu, huge)
