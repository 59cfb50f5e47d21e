#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What does moving a net_avp_user port from one switch to another cost its traffic?

    migrate_ports.py SWITCH PROGRAM [--rates 1000,...] [--runs 20] [--out FILE]

    host 0 -- [switch A] -- uplink (memif) -- [switch B] -- host 1
                   guest, here or there

The hosts send numbered packets to the guest, which sends them back: PROGRAM, bench/move_traffic.c.
A run is one move to the other switch, as docs/migration.md has it: detach, move, depart, attach. Prints
a table and, with --out, writes JSON: per rate the worst and the median of packets lost, duplicated, out
of order, and of times. Detach is from when the guest is asked until it has acknowledged; the outage
from the request to detach until all is attached. A rate that does not arrive when nothing moves is
left out.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
sys.dont_write_bytecode = True

from switch import Switch, wait_for  # noqa: E402

CONFIG = """
[switch]
hold_ms = 10000
hold_bytes = 1073741824
[network blue]
vlan = 100
[port uplink]
type = vdev
device = net_memif0,role=%(role)s,socket=%(socket)s,socket-abstract=no,rsize=14
trunks = blue
[port host]
type = avp
network = blue
mac = 02:00:00:00:00:%(host)02x
ring = 4096
buffers = 16384
[port p0]
type = avp
network = blue
mac = 02:00:00:00:00:77
ring = 4096
buffers = 16384
%(more)s
"""
MAC = "02:00:00:00:00:77"
START_LIMIT_S = 30
SETTLE_LIMIT_S = 60
STEADY_S = 1.0
AFTER_S = 1.0
TIMEOUT_MS = 10000
COUNTS = ("lost", "duplicated", "reordered")
TIMES = ("detach_us", "attach_us", "outage_us", "gap_us")


class Traffic:
    """Hosts and guest: the program."""

    def __init__(self, program, sockets):
        words = [program, "--no-huge", "-m512", "--no-shconf", "--no-pci", "--no-telemetry",
                 "--lcores=(0-2)@(0-%d)" % (os.cpu_count() - 1)]
        words += ["--vdev=net_avp_user%d,socket=%s" % pair for pair in enumerate(sockets)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, bufsize=1)

    def ask(self, line):
        """Have it do something; return what it says."""
        self.process.stdin.write(line + "\n")
        while True:
            said = self.process.stdout.readline()
            if not said:
                raise SystemExit("migrate_ports: %s has ended" % self.process.args[0])
            if said[0] in "[{":  # the rest is the EAL's
                return json.loads(said)

    def settle(self):
        """Send nothing any more; the counters when nothing comes any more."""
        self.ask("rate 0")
        last, end = None, time.monotonic() + SETTLE_LIMIT_S
        while time.monotonic() < end:
            time.sleep(0.3)
            stats = self.ask("stats")
            if stats == last:
                break
            last = stats
        for way in stats:
            way["lost"] = way["sent"] - way["received"]
        return stats

    def close(self):
        self.process.kill()
        self.process.communicate()


class Bench:
    """Two switches, and where the guest is."""

    def __init__(self, switches, traffic):
        self.switches = switches
        self.traffic = traffic
        self.here = 0

    def begin(self, rate):
        self.traffic.ask("reset")
        self.traffic.ask("rate %d" % rate)
        time.sleep(STEADY_S)

    def carries(self, rate):
        """Does the rate arrive when nothing moves?"""
        self.begin(rate)
        before = self.traffic.ask("stats")
        time.sleep(STEADY_S)
        after = self.traffic.ask("stats")
        stats = self.traffic.settle()
        arrived = [b["received"] - a["received"] for a, b in zip(before, after)]
        return min(arrived) > 0.95 * STEADY_S * rate and all(way["lost"] == 0 for way in stats)

    def move(self):
        """To the other switch; the results of detach and attach, and how long all of it took."""
        source, target = self.switches[self.here], self.switches[1 - self.here]
        target.request("port.detach", names=["p0"])  # what came so far, the guest has had
        began = time.perf_counter()
        detach, = source.request("port.detach", names=["p0"], timeout_ms=TIMEOUT_MS)
        moved = self.traffic.ask("move " + target.path("p0.sock"))
        source.request("port.depart", names=["p0"])
        attach, = target.request("port.attach", names=["p0"], timeout_ms=TIMEOUT_MS)
        outage = time.perf_counter() - began
        if detach["result"] != "ok" or moved["result"] != 0 or attach["result"] != "ok":
            raise SystemExit("migrate_ports: %s %s %s" % (detach, moved, attach))
        return detach["took_us"], attach["took_us"], outage

    def renew(self):
        """The port that the guest has left waits for it to come back."""
        source = self.switches[self.here]
        wait_for(lambda: source.port("p0")["hold"] is None, SETTLE_LIMIT_S, "nothing held")
        source.request("port.del", name="p0")
        source.request("port.add", name="p0", type="avp", network="blue", mac=MAC, ring=4096,
                       buffers=16384, incoming=True)
        self.here = 1 - self.here

    def run(self, rate):
        """One move at a rate; what was seen."""
        self.begin(rate)
        detach_us, attach_us, outage = self.move()
        time.sleep(AFTER_S)
        stats = self.traffic.settle()
        self.renew()
        seen = {what: sum(way[what] for way in stats) for what in COUNTS}
        seen.update(detach_us=detach_us, attach_us=attach_us, outage_us=int(outage * 1e6),
                    gap_us=max(way["max_gap_us"] for way in stats),
                    sent=sum(way["sent"] for way in stats))
        return seen


def print_row(result):
    cells = ["%d/%d" % (result["worst"][name], result["median"][name]) for name in COUNTS]
    cells += ["%.1f/%.1f" % (result["worst"][name] / 1000, result["median"][name] / 1000)
              for name in TIMES]
    print("%9d " % result["rate"] + " ".join("%13s" % cell for cell in cells), flush=True)


def measure(bench, args):
    results = []
    for rate in args.rates:
        if not bench.carries(rate):
            print("%9d  more than these CPUs carry" % rate, flush=True)
            results.append({"rate": rate, "carried": False})
            continue
        runs = [bench.run(rate) for _ in range(args.runs)]
        results.append({"rate": rate, "carried": True, "runs": runs, "worst": {
            name: max(run[name] for run in runs) for name in COUNTS + TIMES}, "median": {
            name: statistics.median(run[name] for run in runs) for name in COUNTS + TIMES}})
        print_row(results[-1])
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("switch")
    parser.add_argument("program")
    parser.add_argument("--rates", default="1000,10000,100000,300000,1000000",
                        type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--out", help="file for the JSON")
    args = parser.parse_args()
    print("packets/s: of each host, both ways; worst/median of %d moves; times in ms" % args.runs)
    print("%9s " % "packets/s" + " ".join(
        "%13s" % name.replace("_us", "") for name in COUNTS + TIMES))
    with tempfile.TemporaryDirectory() as folder:
        config = {"socket": os.path.join(folder, "memif.sock"), "host": 1, "role": "server", "more": ""}
        with Switch(args.switch, CONFIG % config) as one, Switch(args.switch, CONFIG % {
                **config, "host": 2, "role": "client", "more": "incoming = yes"}) as other:
            traffic = Traffic(args.program, [one.path("host.sock"), other.path("host.sock"),
                                             one.path("p0.sock")])
            try:
                for switch in (one, other):
                    wait_for(lambda switch=switch: all(
                        switch.port(name)["link"] == "up" for name in ("host", "uplink")),
                        START_LIMIT_S, "links")
                results = measure(Bench([one, other], traffic), args)
            finally:
                traffic.close()
    report = {"benchmark": "migrate_ports", "cpus": os.cpu_count(), "kernel": platform.release(),
              "runs": args.runs, "results": results}
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            file.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
