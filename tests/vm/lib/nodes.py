# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Two nodes on one machine, a VM that moves between them, and hosts that speak through it.

    alone()
    with Nodes(build) as nodes:
        vm = nodes.start_vm("a", "dpdk-22.11", driver)
        vm.forward()
        nodes.send(1000)
        nodes.migrate("a", "b")
        nodes.lost() == 0

    h1 eth0 --- h1 [ switch a ] cable === cable [ switch b ] h2 --- eth0 h2
                      |  |                       |  |
                 red p0  p1 blue            red p0  p1 blue       VM: testpmd, p0 <-> p1

Each node is a network namespace with an avp-switch; red and blue are tagged on the cable between
them. h1 is in red, h2 in blue. The VM's testpmd sends what comes from h1 to h2 and back, as a router
does. QEMU's migration goes over another cable. All of it is in a PID namespace of its own, which takes
every process along when the test ends, however that happens.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from . import vm as machine
from .stream import Closed, Stream, Timeout
from .testpmd import Testpmd

TOP = machine.TOP
sys.path.append(os.path.join(TOP, "tests/lib"))

import avp_switch  # noqa: E402
import netns  # noqa: E402

DRIVER_IN_GUEST = "/opt/avp/librte_net_avp.so"
NAMES = ("a", "b")
NETWORKS = {"red": 10, "blue": 20}
PORTS = (("p0", "red", "02:00:00:00:00:10"), ("p1", "blue", "02:00:00:00:00:11"))
HOSTS = (("h1", "red", "02:00:00:00:01:01"), ("h2", "blue", "02:00:00:00:01:02"))
MIGRATE_LIMIT_S = 120
LINK_LIMIT_S = 30
# An emulated guest on a busy host may take seconds to take up its ports again.
HOLD_MS = 60000
# So that what was held for these seconds finds room: an emulated guest needs long to read it.
RING_LEN, BUFFERS = 4096, 12288
# Room in the kernel's rings towards the switch for all that was held: it comes at once, and the switch shares
# its CPU.
RING = "blocksz=4096,framesz=2048,framecnt=16384"


def alone():
    """Go on in a PID namespace of our own, as its first process."""
    if os.getpid() != 1:
        os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                              sys.executable, *sys.argv])


class Fifos:
    """Both ends of a QEMU pipe chardev, for whichever QEMU has it open."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        for end in ("in", "out"):
            os.mkfifo("%s.%s" % (self.path, end))
        # Both ways, so that neither open() waits nor a read ends while no QEMU has it.
        self.into = os.open(self.path + ".in", os.O_RDWR)
        self.out = os.open(self.path + ".out", os.O_RDWR)

    def stream(self, log):
        return Stream(os.path.basename(self.path), lambda size: os.read(self.out, size),
                      lambda data: os.write(self.into, data), log)


class MovingVm(machine.Vm):
    """A VM that avpctl starts: its agent and console are pipes, the same on both nodes."""

    def __init__(self, nodes, name, flavour, plugin, memory, huge):
        super().__init__(flavour, memory=memory, huge=huge)
        self.nodes = nodes
        self.name = name
        self.plugin = plugin
        self.pmd = None
        if plugin is not None:
            with open(plugin, "rb") as file:
                self.files[DRIVER_IN_GUEST[1:]] = file.read()
        for fifo in ("agent", "console0"):
            self.streams[fifo] = Fifos(self.folder, fifo).stream(
                os.path.join(self.folder, fifo + ".log"))

    def config(self):
        """The VM's file."""
        image = machine.image(self.flavour)
        lines = ["[vm]", "qemu = " + machine.QEMU]
        lines += ["args = " + line for line in (
            "-nodefaults -no-user-config -display none -no-reboot",
            "-machine q35,kernel-irqchip=split -accel tcg,thread=multi -cpu max",
            "-smp %d -m %d -device intel-iommu,caching-mode=on" % (self.cpus, self.memory),
            "-kernel %s/vmlinuz -initrd %s" % (image, self.initrd(os.path.join(image, "initrd"))),
            "-append \"console=ttyS0 quiet panic=-1 intel_iommu=on mitigations=off hugepages=%d\""
            % self.huge,
            "-serial file:${folder}.serial",
            "-device virtio-serial-pci,max_ports=4",
            "-chardev pipe,id=agent,path=%s/agent" % self.folder,
            "-device virtserialport,chardev=agent,name=agent,nr=3",
            "-chardev pipe,id=console0,path=%s/console0" % self.folder,
            "-device virtconsole,chardev=console0,nr=0")]
        for name, network, mac in PORTS:
            lines += ["[port %s]" % name, "network = " + network, "mac = " + mac,
                      "ring = %d" % RING_LEN, "buffers = %d" % BUFFERS]
        path = os.path.join(self.folder, self.name + ".conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def boot(self):
        """Wait for the guest, after `avpctl vm start`."""
        self.run("true", machine.BOOT_LIMIT)

    def forward(self, mode="mac"):
        """Have testpmd send what comes on one card out by the other, to the hosts."""
        cards = " ".join("-a " + self.pci(number) for number in range(2))
        ours = "" if self.plugin is None else "-d %s " % DRIVER_IN_GUEST
        peers = " ".join("--eth-peer=%d,%s" % (number, HOSTS[number][2]) for number in range(2))
        self.pmd = Testpmd(self, "-l 0,1 -m 64 " + ours + cards,
                           "--total-num-mbufs=4096 %s" % peers)
        bound = self.pmd.started.count("OpenAVP driver bound")
        if bound != (0 if self.plugin is None else 2):
            raise machine.Failed("our driver was bound to %d cards" % bound)
        # An application that keeps the packets that a card does not take: testpmd drops them else.
        self.pmd.command("set burst tx delay 100 retry 1000000")
        self.pmd.command("set fwd %s retry" % mode)
        self.pmd.command("start")


class Node:
    """One node: namespace, switch, folder of VMs."""

    def __init__(self, nodes, name, namespace, switch):
        self.nodes = nodes
        self.name = name
        self.namespace = namespace
        self.switch = switch
        self.folder = os.path.join(nodes.folder, name)

    def avpctl(self, *words):
        """The command line of avpctl on this node."""
        return self.namespace.command([self.switch.avpctl, "--socket", self.switch.socket, *words])

    def run(self, *words, limit=60):
        """Run avpctl on this node; return what subprocess.run() does."""
        return subprocess.run(self.avpctl(*words), check=False, text=True, timeout=limit,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def vm(self, name):
        """What `vm show` says of a VM; None if it is not here."""
        done = self.run("--json", "vm", "show", name, "dir=" + self.folder)
        return json.loads(done.stdout)[0] if done.returncode == 0 else None

    def qemu_log(self, name):
        with contextlib.suppress(OSError):
            with open(os.path.join(self.folder, name, "qemu.log"), errors="replace",
                      encoding="utf-8") as log:
                return log.read()
        return ""


class Migration:
    """A `vm migrate` under way, and its log."""

    def __init__(self, nodes, source, target, words):
        self.nodes = nodes
        self.log = tempfile.mktemp(prefix="log.", dir=nodes.folder)
        self.process = subprocess.Popen(
            nodes[source].avpctl(*nodes.move_words(source, target, "log=" + self.log, *words)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def lines(self):
        """The log so far."""
        try:
            with open(self.log, encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def wait_for(self, event, step=None, limit=30):
        """Wait for a line of the log: begin or end of a step, or "progress"."""
        machine.wait_for(lambda: self.process.poll() is not None or any(
            line["event"] == event and step in (None, line.get("step")) for line in self.lines()),
            limit, "%s of %s" % (event, step), every=0.01)

    def end(self, limit=MIGRATE_LIMIT_S):
        """Wait for its end; return (exit status, its result or its error's message)."""
        out, err = self.process.communicate(timeout=limit)
        if self.process.returncode == 0:
            return 0, json.loads(out)
        return self.process.returncode, json.loads(err.splitlines()[-1])["error"]["message"]


class Nodes:
    """Both nodes, their cables and hosts; see the top of this file."""

    def __init__(self, build, program=None):
        self.build = build
        self.program = program or os.path.join(build, "tests/lib/seq_traffic")
        self.stack = contextlib.ExitStack()
        self.folder = None
        self.nodes = {}
        self.hosts = []
        self.vm = None
        self.where = None

    def __enter__(self):
        try:
            self.set_up()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def __getitem__(self, name):
        return self.nodes[name]

    def set_up(self):
        self.folder = tempfile.mkdtemp(prefix="avp-nodes.")
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        spaces = {name: self.stack.enter_context(netns.Namespace(name))
                  for name in NAMES + ("h1", "h2")}
        netns.veth(spaces["a"], "cable", spaces["b"], "cable")
        netns.veth(spaces["a"], "manage", spaces["b"], "manage")
        for name, (host, _, mac) in zip(NAMES, HOSTS):
            netns.veth(spaces[name], host, spaces[host], "eth0")
            spaces[host].run("ip link set eth0 address " + mac)
            spaces[name].run("ip address add 10.99.0.%d/24 dev manage" % (NAMES.index(name) + 1))
        for name in NAMES:
            self.start_switch(name, spaces[name])
        self.write_hosts()
        for number, (host, _, mac) in enumerate(HOSTS):
            self.hosts.append(self.start_host(spaces[host], mac, PORTS[number][2], number))

    def start_switch(self, name, namespace):
        """An avp-switch with networks, the cable to the other and the host's."""
        config = os.path.join(self.folder, name + ".switch.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("[switch]\nhold_ms = %d\n" % HOLD_MS)
        switch = self.stack.enter_context(avp_switch.Switch(
            self.build, ["--config", config], namespace=namespace))
        self.nodes[name] = Node(self, name, namespace, switch)
        self.configure(name)

    def configure(self, name):
        switch = self.nodes[name].switch
        host, network, _ = HOSTS[NAMES.index(name)]
        for each, vlan in NETWORKS.items():
            switch.call("network add %s vlan=%d" % (each, vlan))
        switch.call("port add cable type=vdev device=net_af_packet0,iface=cable,%s trunks=%s"
                    % (RING, ",".join(NETWORKS)))
        switch.call("port add %s type=vdev device=net_af_packet1,iface=%s,%s network=%s"
                    % (host, host, RING, network))

    def kill_switch(self, name):
        """As a crash would."""
        self[name].switch.process.kill()
        self[name].switch.process.wait()

    def restart_switch(self, name):
        """Start it anew after kill_switch(); ports of VMs are not there any more."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self[name].switch.socket)
        self[name].switch.__enter__()
        self.configure(name)

    def cable(self, name, state):
        """Cut a cable between the nodes, or mend it: "cable" or "manage", "down" or "up"."""
        self["a"].namespace.run("ip link set %s %s" % (name, state))

    def write_hosts(self, **more):
        """hosts.conf, the same for both; more replaces keys of all."""
        self.hosts_file = os.path.join(self.folder, "hosts.conf")
        with open(self.hosts_file, "w", encoding="utf-8") as file:
            for number, (name, node) in enumerate(self.nodes.items(), 1):
                keys = {"command": "nsenter -t %d -n --" % node.namespace.holder.pid,
                        "avpctl": node.switch.avpctl, "switch": node.switch.socket,
                        "dir": node.folder, "migrate": "tcp:10.99.0.%d:0" % number, **more}
                file.write("[host %s]\n" % name)
                file.writelines("%s = %s\n" % pair for pair in keys.items())

    def start_host(self, namespace, mac, to_mac, number):
        process = self.stack.enter_context(subprocess.Popen(
            namespace.command([self.program, "eth0", mac, to_mac, str(number), str(1 - number)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1))
        self.stack.callback(process.kill)
        return process

    def make_vm(self, vm_name, flavour, plugin, memory, huge):
        """The VM that start_vm() starts."""
        return MovingVm(self, vm_name, flavour, plugin, memory, huge)

    def start_vm(self, name, flavour, plugin, memory=256, huge=32, vm_name="vm1"):
        """Start a VM on a node and wait until its guest is up."""
        self.vm = self.make_vm(vm_name, flavour, plugin, memory, huge)
        self.stack.callback(shutil.rmtree, self.vm.folder, ignore_errors=True)
        done = self[name].run("vm", "start", vm_name, "config=" + self.vm.config(),
                              "dir=" + self[name].folder)
        if done.returncode != 0:
            raise machine.Failed(done.stderr.strip())
        self.where = name
        self.vm.boot()
        return self.vm

    def ask(self, number, line):
        """Have a host's traffic program do something; return its answer."""
        process = self.hosts[number]
        process.stdin.write(line + "\n")
        return json.loads(process.stdout.readline())

    def send(self, rate):
        """Both hosts send so many packets per second from now on."""
        for number in range(2):
            self.ask(number, "rate %d" % rate)

    def stats(self):
        """Of both directions: {"h1 to h2": {...}, ...}."""
        one, two = (self.ask(number, "stats") for number in range(2))
        return {"h1 to h2": {**two, "sent": one["sent"]},
                "h2 to h1": {**one, "sent": two["sent"]}}

    def settle(self, limit=20):
        """Stop sending, wait until nothing comes any more; return stats() with "lost"."""
        self.send(0)
        last, end = None, time.monotonic() + limit
        while True:
            time.sleep(0.5)
            stats = self.stats()
            now = [way["received"] for way in stats.values()]
            if now == last or time.monotonic() > end:
                break
            last = now
        for way in stats.values():
            way["lost"] = way["sent"] - way["received"]
        return stats

    def reset(self):
        for number in range(2):
            self.ask(number, "reset")

    def move_words(self, source, target, *words):
        # An emulated guest on a busy host takes longer than a real one.
        patient = [key + "=20000" for key in ("detach_ms", "attach_ms")
                   if not any(word.startswith(key) for word in words)]
        return ["--json", "vm", "migrate", self.vm.name, "--to", target, "--hosts", self.hosts_file,
                "dir=" + self[source].folder, *patient, *words]

    def migrate(self, source, target, *words, limit=MIGRATE_LIMIT_S):
        """Move the VM; return avpctl's result. Words are keys of `vm migrate`."""
        done = self[source].run(*self.move_words(source, target, *words), limit=limit)
        if done.returncode != 0:
            raise machine.Failed("vm migrate: %s" % done.stderr.strip())
        self.where = target
        return json.loads(done.stdout)

    def begin_migration(self, source, target, *words):
        """Start `vm migrate`; a Migration."""
        return Migration(self, source, target, words)

    def ledger(self):
        """Where packets were counted, and where dropped: a line per port of each switch."""
        lines = []
        for name, node in self.nodes.items():
            if node.switch.process.poll() is not None:
                continue
            for port in node.switch.call("stats"):
                drops = {why: number for why, number in port["drops"].items() if number}
                lines.append("%s %s: rx %d tx %d %s" % (
                    name, port["name"], port["rx_packets"], port["tx_packets"], drops or ""))
        return lines

    def print_logs(self, lines=40):
        """Whatever may tell why something failed."""
        print("\n".join(self.ledger()))
        for name, node in self.nodes.items():
            machine.print_log("switch " + name, node.switch.log, lines)
            if self.vm is not None:
                machine.print_log("node " + name,
                                  os.path.join(node.folder, self.vm.name, "qemu.log"), lines)
                machine.print_log("node " + name,
                                  os.path.join(node.folder, self.vm.name + ".serial"), lines)
        if self.vm is not None:
            for stream in ("console0", "agent"):
                machine.print_log("guest", os.path.join(self.vm.folder, stream + ".log"), lines)


__all__ = ["Closed", "Nodes", "Timeout", "alone"]
