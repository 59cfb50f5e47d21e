#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""How a VM's network cards compare: AVP with the stock driver and with ours, virtio-net, e1000.

    bench/vm/run.py --build build       as root; `make bench-vm` builds what is needed first

One guest has a card of each kind, and for each a testpmd that exchanges the addresses of packets and
sends them back. All cards are connected to one avp-switch, in which a device of its own (net_load.c)
makes the packets and takes the time until they are back:

    net_load - avp-switch - AVP, vhost-user, or tap - QEMU - guest with testpmd

Only one testpmd forwards at a time. The cards take turns, in random order, every round; a point
during which a CPU was busy with something else is measured again.

QEMU emulates the guest's CPU, so only ratios mean something. The guest has one CPU, which shares one
of the host's with QEMU's main loop: that moves e1000's packets, and goes first. The other one is the
switch's worker's. While a point is measured both have real-time priority.
"""

import argparse
import contextlib
import datetime
import json
import mmap
import os
import platform
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests/vm"), os.path.join(TOP, "tests/lib"),
                os.path.join(TOP, "bench/ports")]
sys.dont_write_bytecode = True

import avp_switch  # noqa: E402
from host_info import cpu_model, output  # noqa: E402
import netns  # noqa: E402
from lib import vm as machine  # noqa: E402
from lib.stream import Closed, Timeout  # noqa: E402
from lib.testpmd import Testpmd  # noqa: E402
import vm_report as reporting  # noqa: E402

FLAVOUR = "dpdk-22.11"
DRIVER = "drivers/net/avp/librte_net_avp.so"
LOAD = "bench/librte_net_load.so"
DRIVER_IN_GUEST = "/opt/avp/librte_net_avp.so"
SIZES = (64, 512, 1514)
# So many packets are on the way: several bursts, and less than the smallest ring holds.
WINDOW = 128
SETTLE_MS = 300
WARM_MS = 60
POINT_MS = 300
ROUNDS = 7
# No round begins later than so long after the first one, however busy the machine is.
SECONDS = 360
ATTEMPTS = 3
LINK_LIMIT_S = 30
ANSWER_LIMIT_S = 15
LOG_LINES = 20
SKIP = 77
# A CPU that those whose it is had less than this of was disturbed.
MIN_CPU = 0.92
FIRST_SLOT = 0x10
TAP = "tap0"
SHARED = "memory-backend-memfd,id=memory,size=%dM,share=on"
MEMORY = 768


class Card:
    """A network card of the guest.

    label  in tables
    port   parameters of its port of the switch; {dir} is a folder for sockets, {mac} its address
    qemu   arguments for QEMU, with {slot} and {mac} besides; none for AVP, which Vm makes itself
    ours   our driver, or the one of the guest's DPDK
    """

    def __init__(self, label, port, qemu=(), ours=False):
        self.label = label
        self.port = port
        self.qemu = qemu
        self.ours = ours


def avp(label, ours):
    return Card(label, "type=avp socket={dir}/{name} mac={mac} check_source_mac=off ring=512", ours=ours)


REFERENCE = "virtio"
# AVP first, as Vm gives their slots; the order is that of tables.
CARDS = {
    "avp-stock": avp("AVP, stock driver", False),
    "avp-ours": avp("AVP, our driver", True),
    # Runs with a split ring got stuck, once seen in rte_vhost_dequeue_burst of DPDK 22.11.
    "virtio": Card("virtio-net over vhost-user, packed ring",
                   "type=vdev device=net_vhost{number},iface={dir}/{name}",
                   ["-chardev", "socket,id=chardev{number},path={dir}/{name}",
                    "-netdev", "vhost-user,id=net{number},chardev=chardev{number}",
                    "-device", "virtio-net-pci,netdev=net{number},bus=pcie.0,addr={slot},mac={mac},"
                    "disable-legacy=on,rx_queue_size=512,tx_queue_size=512,mrg_rxbuf=off,packed=on"]),
    "e1000": Card("e1000, by way of tap and net_af_packet",
                  "type=vdev device=net_af_packet0,iface=" + TAP + ",blocksz=4096,framesz=2048,"
                  "framecnt=512,qdisc_bypass=1",
                  ["-netdev", "tap,id=net{number},ifname=" + TAP + ",script=no,downscript=no",
                   "-device", "e1000,netdev=net{number},bus=pcie.0,addr={slot},mac={mac}"]),
}
FAILURES = (avp_switch.Failed, netns.Failed, machine.Failed, Closed, Timeout, OSError,
            subprocess.SubprocessError)


def say(what):
    print("bench-vm: [%s] %s" % (time.strftime("%H:%M:%S"), what), flush=True)


class Load:
    """The other side of net_load: its shared file."""

    ANSWERED, COMMAND, ANSWER, SIZE = 4, 8, 256, 512

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(self.SIZE)
            self.shared = mmap.mmap(file.fileno(), self.SIZE)
        self.asked = 0

    def text(self, offset, size):
        return self.shared[offset:offset + size].split(b"\0")[0].decode()

    def run(self, mac, size, window, warm_ms, ms):
        command = b"%d %d %d %d %s\0" % (size, window, warm_ms, ms, mac.encode())
        self.shared[self.COMMAND:self.COMMAND + len(command)] = command
        self.asked += 1
        self.shared[:4] = struct.pack("=I", self.asked)
        asked = self.shared[:4]
        machine.wait_for(lambda: self.shared[self.ANSWERED:self.ANSWERED + 4] == asked,
                         (warm_ms + ms) / 1000 + ANSWER_LIMIT_S, "answer of net_load", 0.01)
        answer = json.loads(self.text(self.ANSWER, self.SIZE - self.ANSWER))
        if "error" in answer:
            raise machine.Failed("net_load: " + answer["error"])
        return answer


def on_failure(stack, print_logs):
    """Have logs printed, while they are there, when the stack ends by a failure."""
    stack.push(lambda kind, *_: print_logs() if kind and issubclass(kind, FAILURES) else None)


def tasks(pid):
    """The threads of a process."""
    return [int(task) for task in os.listdir("/proc/%d/task" % pid)]


def about_task(pid, task, what):
    with open("/proc/%d/task/%d/%s" % (pid, task, what), encoding="ascii") as file:
        return file.read().strip()


def cpu_ns(pid):
    """What all threads of a process have had of CPUs."""
    total = 0
    for task in tasks(pid):
        with contextlib.suppress(OSError):  # it has ended
            total += int(about_task(pid, task, "schedstat").split()[0])
    return total


class Bench:
    """Switch, guest and load, all running; the stack ends them."""

    def __init__(self, args, stack):
        self.args = args
        self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="avp-bench-vm."))
        self.cpus = sorted(os.sched_getaffinity(0))[:2]  # the host's, the guest's
        self.macs = {name: "02:00:00:00:02:%02x" % i for i, name in enumerate(args.cards)}
        namespace = stack.enter_context(netns.Namespace("bench-vm"))
        self.make_tap(namespace)
        self.switch = stack.enter_context(avp_switch.Switch(
            args.build, ["--busy-poll", "--cores", str(self.cpus[0]),
                         "--driver", os.path.join(args.build, LOAD)], namespace))
        on_failure(stack, lambda: machine.print_log("avp-switch", self.switch.log, LOG_LINES))
        self.load = Load(os.path.join(self.folder, "load"))
        self.connect()
        self.vm = stack.enter_context(self.make_vm(namespace))
        on_failure(stack, self.vm.print_logs)
        self.pmds = {name: self.start_testpmd(number, name)
                     for number, name in enumerate(args.cards)}
        self.switch.wait_for(self.links_up, LINK_LIMIT_S, "link at all ports")
        self.priorities = self.place()

    def make_tap(self, namespace):
        if "e1000" not in self.args.cards:
            return
        namespace.run("sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'")
        namespace.run("ip tuntap add %s mode tap" % TAP)
        namespace.run("ip link set %s up" % TAP)

    def words(self, text, name):
        number = list(self.args.cards).index(name)
        return text.format(dir=self.folder, name=name, number=number, mac=self.macs[name],
                           slot=hex(FIRST_SLOT + number))

    def connect(self):
        """A network with a port for each card, and one for the load."""
        self.switch.call("network add net vlan=1")
        self.switch.call("port add load type=vdev device=net_load0,shared=%s/load network=net"
                         % self.folder)
        for name, card in self.args.cards.items():
            self.switch.call("port add %s network=net %s" % (name, self.words(card.port, name)))

    def make_vm(self, namespace):
        cards = self.args.cards
        with open(machine.driver(FLAVOUR, os.path.join(self.args.build, DRIVER)), "rb") as file:
            files = {DRIVER_IN_GUEST[1:]: file.read()}
        extra = ["-object", SHARED % MEMORY, "-machine", "memory-backend=memory"]
        extra += [self.words(word, name) for name, card in cards.items() for word in card.qemu]
        sockets = [os.path.join(self.folder, name) for name, card in cards.items() if not card.qemu]
        return machine.Vm(FLAVOUR, sockets, memory=MEMORY, cpus=1, files=files,
                          extra=extra, consoles=len(cards), namespace=namespace)

    def start_testpmd(self, number, name):
        """The card goes to vfio-pci, whatever has it; a testpmd of its own opens it.

        virtio's DMA is not subject to the guest's IOMMU, so addresses have to be physical ones.
        """
        card, address = self.args.cards[name], self.vm.pci(number)
        device = "/sys/bus/pci/devices/" + address
        self.vm.run("echo vfio-pci >%s/driver_override; ! test -e %s/driver || "
                    "echo %s >%s/driver/unbind; echo %s >/sys/bus/pci/drivers_probe; "
                    "test $(basename $(readlink %s/driver)) = vfio-pci"
                    % (device, device, address, device, address, device))
        pmd = Testpmd(self.vm, "--lcores 0@0,1@0 --iova-mode=pa --file-prefix=%s %s-a %s" % (
            name, "-d %s " % DRIVER_IN_GUEST if card.ours else "", address),
            "--total-num-mbufs=4096 --rxd=512 --txd=512 --port-topology=loop "
            "--forward-mode=macswap", console=number)
        if ("OpenAVP driver bound" in pmd.started) != card.ours:
            raise machine.Failed("%s: not the driver that was wanted" % name)
        return pmd

    def links_up(self):
        return all(port["link"] == "up" for port in self.switch.call("port show"))

    def place(self):
        """Give QEMU its CPU; return the priorities of the threads that share the two CPUs."""
        qemu, switch = self.vm.process.pid, self.switch.process.pid
        for task in tasks(qemu):
            os.sched_setaffinity(task, {self.cpus[1]})
        threads = [cpu["thread-id"] for cpu in self.vm.qmp("query-cpus-fast")]
        threads += [task for task in tasks(switch) if "worker" in about_task(switch, task, "comm")]
        return {**dict.fromkeys(threads, 1), qemu: 2}

    @contextlib.contextmanager
    def real_time(self):
        """Nothing else has the two CPUs; not for long, since that may be all that there are."""
        try:
            for task, priority in self.priorities.items():
                os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(priority))
            yield
        finally:
            for task in self.priorities:
                os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))

    def cpu_times(self):
        """Time, and what the two CPUs' owners have had of them; all in ns."""
        return time.monotonic_ns(), cpu_ns(self.switch.process.pid), cpu_ns(self.vm.process.pid)

    def measure(self, name, size, window):
        """One point, of a card whose testpmd forwards."""
        for _ in range(ATTEMPTS):
            with self.real_time():
                before = self.cpu_times()
                point = self.load.run(self.macs[name], size, window, WARM_MS, self.args.ms)
                after = self.cpu_times()
            wall, *shares = [now - then for then, now in zip(before, after)]
            point["cpu"] = [round(share / wall, 3) for share in shares]
            point["usable"] = min(point["cpu"]) >= MIN_CPU
            if point["usable"]:
                break
        return {"card": name, "size": size, "window": window, **point}

    def round(self, number):
        """All points of all cards."""
        points = []
        for name in random.sample(list(self.args.cards), len(self.args.cards)):
            self.pmds[name].command("start")
            with self.real_time():  # QEMU translates what runs for the first time
                self.load.run(self.macs[name], SIZES[0], WINDOW, SETTLE_MS, 1)
            for size in SIZES:
                points += [self.measure(name, size, WINDOW), self.measure(name, size, 1)]
            self.pmds[name].command("stop")
        for point in points:
            point["round"] = number
        return points


def about(args):
    """Where and how it was measured."""
    return {"commit": output("git", "-C", TOP, "describe", "--always", "--dirty"),
            "command": "bench/vm/run.py --rounds %d" % args.rounds, "ms": args.ms,
            "cpu": cpu_model(), "cpus": os.cpu_count(), "kernel": platform.release(),
            "dpdk": "DPDK " + output("pkg-config", "--modversion", "libdpdk"),
            "guest": FLAVOUR, "qemu": output(machine.QEMU, "--version").split("\n")[0],
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}


def run(args):
    """Measure; return the points."""
    points = []
    with contextlib.ExitStack() as stack:
        say("starting avp-switch, booting the VM, starting a testpmd for each of %d cards"
            % len(args.cards))
        bench = Bench(args, stack)
        end = time.monotonic() + args.seconds
        for number in range(args.rounds):
            if number > 0 and time.monotonic() > end:
                say("no more rounds: %d s are over" % args.seconds)
                break
            say("round %d of %d" % (number + 1, args.rounds))
            points += bench.round(number)
    return points


def lacking():
    """Why it cannot run here, or None."""
    if len(os.sched_getaffinity(0)) < 2:
        return "two CPUs are needed"
    return netns.lacking() or machine.lacking()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("BUILD") or "build",
                        help="build folder (%(default)s)")
    parser.add_argument("--out", metavar="DIR", help="for vm.json and vm.md (BUILD/bench/vm)")
    parser.add_argument("--card", action="append", choices=sorted(CARDS),
                        help="measure this one and the reference; may be given again")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="%(default)s")
    parser.add_argument("--seconds", type=int, default=SECONDS,
                        help="no round begins later (%(default)s)")
    parser.add_argument("--ms", type=int, default=POINT_MS, help="a point takes (%(default)s)")
    args = parser.parse_args()
    args.build = os.path.join(TOP, args.build)
    args.out = args.out or os.path.join(args.build, "bench/vm")
    args.cards = {name: card for name, card in CARDS.items()
                  if not args.card or name in [*args.card, REFERENCE]}
    return args


def main():
    args = parse_args()
    reason = lacking()
    if reason:
        print("skipped: " + reason)
        return SKIP
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        points = run(args)
    except FAILURES as error:
        sys.exit("bench-vm: %s" % error)
    labels = {name: card.label for name, card in args.cards.items()}
    report = reporting.make(about(args), labels, REFERENCE, points)
    print(reporting.as_text(report))
    os.makedirs(args.out, exist_ok=True)
    for name, text in (("vm.json", json.dumps(report, indent=1) + "\n"),
                       ("vm.md", reporting.as_markdown(report))):
        with open(os.path.join(args.out, name), "w", encoding="utf-8") as file:
            file.write(text)
    print("JSON and Markdown: " + os.path.relpath(args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
