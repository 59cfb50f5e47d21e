#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Our net_avp interrupts a guest's application that sleeps: packets, and the host's link.

    sleep_test.py DRIVER VM_SLEEPER VM_TRAFFIC PLUGIN
"""

import re
import sys

from lib.checks import Checks, skip_without_vm
from lib.traffic import Port, Traffic
from lib.vm import Vm, wait_for

FLAVOUR = "dpdk-22.11"
DRIVER = "/opt/avp/librte_net_avp.so"
SLEEPER = "/opt/avp/vm_sleeper"
LOG = "/run/sleeper.log"
PID = "/run/sleeper.pid"
MACS = ["02:00:00:00:03:%02x" % number for number in range(2)]


def expect(condition, *message):
    if not condition:
        raise AssertionError(" ".join(map(str, message)))


class Sleeper:
    """The application in the guest, on both cards."""

    def __init__(self, vm):
        self.vm = vm
        cards = " ".join("-a " + vm.pci(number) for number in range(2))
        vm.run("setsid sh -c 'echo $$ >%s; exec %s -l 0 -d %s %s' </dev/null >%s 2>&1 &"
               % (PID, SLEEPER, DRIVER, cards, LOG))
        wait_for(lambda: "ready" in self.log(), 60, "sleeper", every=0.5)
        self.pid = int(vm.run("cat " + PID))

    def log(self):
        return self.vm.run("cat %s 2>/dev/null || :" % LOG)

    def cpu(self):
        """Seconds of CPU that all its threads have used."""
        fields = self.vm.run("cat /proc/%d/stat" % self.pid).rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def wait_line(self, pattern):
        wait_for(lambda: re.search(pattern, self.log(), re.M), 20, pattern, every=0.2)

    def end(self):
        """Have it end; what it has to say at the end."""
        self.vm.run("kill -TERM %d" % self.pid)
        self.wait_line("^wakes ")
        wait_for(lambda: self.vm.run("ls -d /proc/%d 2>/dev/null || :" % self.pid) == "", 20,
                 "end of the sleeper", every=0.2)
        return map(int, re.search(r"^wakes (\d+) packets (\d+)", self.log(), re.M).groups())


def streams(traffic, **keys):
    both = traffic.both(0, 1, sizes="64,1500,1514", flows=4, seed=1, **keys)
    for stream in both:
        stream["dmac"] = MACS[stream["from"]]
    return both


def check_sleep(checks, vm, traffic):
    sleeper = Sleeper(vm)
    for port in (0, 1):
        traffic.expect_link(port, "up")
    with checks("packets_wake_a_guest_that_sleeps"):
        for _ in range(20):
            traffic.run(streams(traffic, count=3))
    with checks("all_packets_come_back_at_speed_too"):
        traffic.run(streams(traffic, count=2000))
    with checks("it_sleeps_while_there_is_nothing"):
        before = sleeper.cpu()
        vm.run("sleep 4")  # nothing happens: that is what is looked at
        used = sleeper.cpu() - before
        expect(used < 1, "%g s of CPU in 4 s" % used)
    with checks("the_hosts_link_is_an_event"):
        traffic.command("setlink 0 down")
        sleeper.wait_line("^link 0 down")
        traffic.command("setlink 0 up")
        sleeper.wait_line("^link 0 up")
        expect("link 1" not in sleeper.log(), sleeper.log())
        traffic.expect_link(0, "up")
        traffic.run(streams(traffic, count=100))
    with checks("it_is_woken_after_a_detach_and_attach"):
        for port in (0, 1):
            for ask in ("detach", "attach"):
                answer = traffic.command("%s %d 5000" % (ask, port), 10)
                expect(answer["result"] == 0, ask, answer)
            traffic.expect_link(port, "up")
        traffic.run(streams(traffic, count=3))
    with checks("it_was_woken_by_interrupts"):
        wakes, packets = sleeper.end()
        # it counts no end of its time limit, and packets of both ports may come together
        expect(wakes >= 20, "%d wakes for %d packets" % (wakes, packets))


def main():
    driver, sleeper, program, plugin = sys.argv[1:5]
    skip_without_vm()
    checks = Checks()
    files = {}
    for name, path in ((DRIVER, driver), (SLEEPER, sleeper)):
        with open(path, "rb") as file:
            files[name[1:]] = file.read()
    ports = [Port("p%d" % number, queues=1, mac=mac) for number, mac in enumerate(MACS)]
    with Traffic(program, plugin, ports) as traffic, \
            Vm(FLAVOUR, traffic.sockets, memory=1024, files=files) as vm:

        def on_failure():
            print(vm.run("cat %s || :" % LOG))
            vm.print_logs()
            traffic.print_logs()
            traffic.reset()

        checks.on_failure = on_failure
        check_sleep(checks, vm, traffic)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
