#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What does moving a VM cost its traffic?

    migrate_vm.py --build FOLDER [--rates 1000,10000,100000] [--runs 20] [--kinds ours,stock,vhost]

Two nodes on one machine, hosts on either side of the VM with numbered packets each way, as in
tests/vm/migrate_test.py. Kinds of card: AVP with our driver, AVP with the stock driver of the guest's
DPDK, and virtio-net over vhost-user (avp-switch with net_vhost), which avpctl moves in the same way but for
the detach, which it does not have. Prints a table and JSON: per kind and rate the worst and the median
of packets lost, duplicated, out of order, and of times. A rate that the guest does not forward
when nothing moves is left out. The guest is emulated: times are those of this machine only.
"""

import argparse
import glob
import json
import os
import platform
import statistics
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests/vm"), os.path.join(TOP, "tests/lib")]
sys.dont_write_bytecode = True

from lib import vm as machine  # noqa: E402
from lib.nodes import HOSTS, NETWORKS, PORTS, MovingVm, Nodes, alone, netns  # noqa: E402
from lib.testpmd import Testpmd  # noqa: E402

DRIVER = "drivers/net/avp/librte_net_avp.so"
VIRTIO = "dpdk/pmds-*/librte_net_virtio.so.*.*"
VIRTIO_IN_GUEST = "/opt/librte_net_virtio.so"
STEADY_S = 3
AFTER_S = 3
COUNTS = ("lost", "duplicated", "reordered")
TIMES = ("detach_us", "attach_us", "stopped_us", "without_ports_us", "gap_us")


class VirtioVm(MovingVm):
    """The same guest with virtio-net cards at vhost-user ports, which uio_pci_generic gives to DPDK."""

    def __init__(self, nodes, name, flavour, memory, huge):
        super().__init__(nodes, name, flavour, None, memory, huge)
        found = glob.glob("/usr/lib/x86_64-linux-gnu/" + VIRTIO)
        if not found:
            raise machine.Failed("librte_net_virtio: not installed")
        with open(found[0], "rb") as file:
            self.files[VIRTIO_IN_GUEST[1:]] = file.read()

    def config(self):
        path = super().config()
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("[port ")[0]
        lines = lines.replace(" -device intel-iommu,caching-mode=on",
                              " -object memory-backend-memfd,id=ram,share=on,size=%dM"
                              " -machine memory-backend=ram" % self.memory)
        for number, (port, _, mac) in enumerate(PORTS):
            lines += ("args = -chardev socket,id=%s,path=${folder}.%s"
                      " -netdev vhost-user,id=n%s,chardev=%s"
                      " -device virtio-net-pci,netdev=n%s,mac=%s,disable-legacy=on,romfile=,"
                      "bus=pcie.0,addr=%#x\n" % (port, port, port, port, port, mac, 0x10 + number))
        with open(path, "w", encoding="utf-8") as file:
            file.write(lines)
        return path

    def forward(self, mode="mac"):
        for number in range(2):
            self.run("echo %s >/sys/bus/pci/drivers/virtio-pci/unbind" % self.pci(number))
        self.run("echo 1af4 1041 >/sys/bus/pci/drivers/uio_pci_generic/new_id")
        cards = " ".join("-a " + self.pci(number) for number in range(2))
        peers = " ".join("--eth-peer=%d,%s" % (number, HOSTS[number][2]) for number in range(2))
        self.pmd = Testpmd(self, "-l 0,1 -m 64 -d %s %s" % (VIRTIO_IN_GUEST, cards),
                           "--total-num-mbufs=4096 " + peers)
        self.pmd.command("set burst tx delay 100 retry 1000000")
        self.pmd.command("set fwd %s retry" % mode)
        self.pmd.command("start")


class VirtioNodes(Nodes):
    """Nodes whose switches have the vhost-user ports all the time."""

    def configure(self, name):
        super().configure(name)
        os.makedirs(self[name].folder, exist_ok=True)
        for number, (port, network, _) in enumerate(PORTS):
            self[name].switch.call(
                "port add v%d type=vdev device=net_vhost%d,iface=%s/vm1.%s network=%s"
                % (number, number, self[name].folder, port, network))

    def make_vm(self, vm_name, flavour, plugin, memory, huge):
        return VirtioVm(self, vm_name, flavour, memory, huge)


def carries(nodes, rate):
    """Does the guest forward that rate when nothing moves?"""
    nodes.settle()
    nodes.reset()
    nodes.send(rate)
    time.sleep(STEADY_S)
    stats = nodes.settle()
    return all(way["lost"] == 0 and way["sent"] > rate for way in stats.values())


def drops(nodes):
    """Where packets have been lost so far that did not come to a guest: {"where reason": packets}."""
    stats = {name: {port["name"]: port for port in nodes[name].switch.call("stats")} for name in "ab"}
    lost = {"%s %s %s" % (name, port, why): number for name, ports in stats.items()
            for port, counters in ports.items() for why, number in counters["drops"].items()}
    for source, target in ("ab", "ba"):
        lost["cable %s to %s" % (source, target)] = (stats[source]["cable"]["tx_packets"]
                                                     - stats[target]["cable"]["rx_packets"])
    return lost


def one_run(nodes, rate):
    """Move the VM at a rate; what was seen."""
    nodes.settle()
    nodes.reset()
    before = drops(nodes)
    nodes.send(rate)
    time.sleep(1)
    source = nodes.where
    target = "b" if source == "a" else "a"
    result = nodes.migrate(source, target)
    time.sleep(AFTER_S)
    stats = nodes.settle(60).values()
    steps = {step["step"]: step["ended_us"] - step["began_us"] for step in result["steps"]}
    seen = {what: sum(way[what] for way in stats) for what in COUNTS}
    seen.update(detach_us=steps.get("detach", 0), attach_us=steps.get("attach", 0),
                stopped_us=result["stopped_us"], without_ports_us=max(result["detached_us"], 0),
                gap_us=max(way["max_gap_us"] for way in stats), sent=sum(
                    way["sent"] for way in stats))
    if seen["lost"]:
        # A port of the VM is a new one at the destination.
        seen["drops"] = {what: number - (0 if what.startswith(target + " p") else
                                         before.get(what, 0))
                         for what, number in drops(nodes).items()}
        print("# lost %d: not in a guest: %s" % (seen["lost"], {
            what: number for what, number in seen["drops"].items() if number}), flush=True)
    return seen


def measure(kind, args):
    """All rates of a kind of card."""
    plugin = None
    if kind == "ours":
        plugin = machine.driver(args.guest, os.path.join(args.build, DRIVER))
    results = []
    with (VirtioNodes if kind == "vhost" else Nodes)(args.build) as nodes:
        try:
            nodes.start_vm("a", args.guest, plugin).forward()
            for rate in args.rates:
                if not carries(nodes, rate):
                    print("%-6s %7d: more than this guest forwards" % (kind, rate), flush=True)
                    continue
                runs = [one_run(nodes, rate) for _ in range(args.runs)]
                results.append({"kind": kind, "rate": rate, "runs": runs, "worst": {
                    name: max(run[name] for run in runs) for name in COUNTS + TIMES}, "median": {
                    name: statistics.median(run[name] for run in runs) for name in COUNTS + TIMES}})
                print_row(results[-1])
        except Exception:
            nodes.print_logs()
            raise
    return results


def print_row(result):
    cells = ["%s/%s" % (result["worst"][name], result["median"][name]) for name in COUNTS]
    cells += ["%.1f/%.1f" % (result["worst"][name] / 1000, result["median"][name] / 1000)
              for name in TIMES]
    print("%-6s %7d " % (result["kind"], result["rate"])
          + " ".join("%15s" % cell for cell in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--guest", default="dpdk-22.11")
    parser.add_argument("--rates", default="1000,10000,100000",
                        type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kinds", default="ours,stock,vhost", type=lambda text: text.split(","))
    parser.add_argument("--out", help="file for the JSON")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    reason = machine.lacking() or netns.lacking()
    if reason:
        print("skipped: " + reason)
        sys.exit(77)
    alone()
    print("worst/median of %d runs; times in ms; networks %s" % (args.runs, ", ".join(NETWORKS)))
    print("%-6s %7s " % ("card", "packets/s") + " ".join(
        "%15s" % name.replace("_us", "") for name in COUNTS + TIMES))
    results = []
    for kind in args.kinds:
        results += measure(kind, args)
    report = {"cpus": os.cpu_count(), "kernel": platform.release(), "results": results}
    text = json.dumps(report, indent=1)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
