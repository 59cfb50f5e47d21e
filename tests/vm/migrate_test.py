#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""A VM moves between two nodes while two hosts speak through it, and whatever may go wrong does.

    migrate_test.py --build FOLDER [--driver FILE] FLAVOUR CHECK...

CHECK is "moves" or "failures". With --driver the guest has ours, else its own. One VM serves all checks;
each ends with the VM running where it says, and its network up.
"""

import argparse
import os
import signal
import sys
import time

from lib.checks import SKIP, Checks, skip_without_vm
from lib.nodes import Nodes, alone, netns
from lib.vm import Failed, driver, wait_for

# What is held for a few seconds must fit into the guest's ring.
RATE = 500
# So slow that there is time to break something.
SLOW = "bandwidth_mbit=40"
QUIET_S = 1
LATE_S = 0.5
LONG_S = 50  # and less than a guest is waited for
UP_LIMIT_S = 60

# Stands between the two avpctl: cuts the connection when it sees "run", before it or after it, and with
# "deaf" nothing gets through from then on.
CUTTER = """import os, subprocess, sys, threading
folder, how, *words = sys.argv[1:]
if os.path.exists(folder + "/deaf"):
    sys.exit(1)
child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

def back():
    for line in child.stdout:
        os.write(1, line)
    os._exit(0)

threading.Thread(target=back, daemon=True).start()
for line in sys.stdin:
    cut = '"run"' in line
    if cut and how == "deaf":
        open(folder + "/deaf", "w").close()
    if cut and how != "before":
        os.close(1)
    if not cut or how != "before":
        child.stdin.write(line.encode())
        child.stdin.flush()
    if cut:
        os._exit(1)
"""


def expect(condition, *message):
    if not condition:
        raise AssertionError(" ".join(map(str, message)))


class Run:
    """The VM under test, and where it is."""

    def __init__(self, nodes, checks, ours):
        self.nodes = nodes
        self.checks = checks
        self.ours = ours

    @property
    def here(self):
        return self.nodes.where

    @property
    def there(self):
        return "b" if self.here == "a" else "a"

    def expect_on(self, name):
        """The VM runs on this node, and is not on the other."""
        self.nodes.where = name
        vm, other = self.nodes[name].vm("vm1"), self.nodes[self.there].vm("vm1")
        expect(vm is not None and vm["status"] == "running", "on", name, vm)
        expect(other is None, "on the other", other)
        expect(vm["busy"] == 0, vm)

    def expect_network(self, limit=UP_LIMIT_S):
        """Packets pass both ways through the VM, all of them once it works again."""
        self.nodes.settle()
        self.nodes.reset()
        self.nodes.send(100)
        wait_for(lambda: all(way["received"] > 20 for way in self.nodes.stats().values()), limit,
                 "packets both ways", every=0.5)
        self.nodes.settle()
        self.nodes.reset()
        self.nodes.send(RATE)
        time.sleep(QUIET_S)
        for way, stats in self.nodes.settle().items():
            expect(stats["lost"] == 0 and stats["sent"] > 0, way, stats)

    def expect_nothing_left(self, name):
        """No port of the VM at this node's switch."""
        ports = [port["name"] for port in self.nodes[name].switch.call("port show")]
        expect(not {"p0", "p1"} & set(ports), "left at", name, ports)


def move(run, *words):
    """Move the VM under traffic; every packet arrives once and in order."""
    run.nodes.settle()
    run.nodes.reset()
    run.nodes.send(RATE)
    time.sleep(QUIET_S)
    source, target = run.here, run.there
    result = run.nodes.migrate(source, target, *words)
    time.sleep(QUIET_S)
    stats = run.nodes.settle()
    run.expect_on(target)
    run.expect_nothing_left(source)
    for way, numbers in stats.items():
        expect(numbers["lost"] == 0 and numbers["duplicated"] == 0 and numbers["reordered"] == 0,
               way, numbers, result)
    for name, port in result["ports"].items():
        for what in ("detach", "attach"):
            expect(port[what]["result"] == "ok", name, what, result)
    return result


def check_empty(run):
    """A VM in which nothing drives its cards yet costs no time-out."""
    with run.checks("guest_without_a_driver_is_not_waited_for"):
        begin = time.monotonic()
        result = run.nodes.migrate(run.here, run.there, "detach_ms=60000", "attach_ms=60000")
        run.expect_on(run.nodes.where)
        for port in result["ports"].values():
            for what in ("detach", "attach"):
                expect(port[what]["result"] == "absent", result)
        expect(time.monotonic() - begin < LONG_S, "took", time.monotonic() - begin)


def check_moves(run):
    """There and back, with nothing lost."""
    run.expect_network()
    process = run.nodes.vm.run("cat /run/testpmd0.pid")
    for words in ([], ["downtime_ms=50"]):
        for _ in range(2):
            with run.checks("moves_to_%s%s" % (run.there, "".join("_" + word for word in words))):
                move(run, *words)
    if run.ours:
        with run.checks("driver_restores_its_cards_by_itself"):
            move(run, "restore=off")
    with run.checks("application_is_the_same_process"):
        expect(run.nodes.vm.run("cat /run/testpmd0.pid") == process and run.nodes.vm.pmd.running(),
               "another testpmd")


def fail(run, break_it, *words, when=("progress", None), limit=120):
    """Migrate, break something at that point; return the error."""
    migration = run.nodes.begin_migration(run.here, run.there, SLOW, *words)
    migration.wait_for(*when)
    break_it(migration)
    status, message = migration.end(limit)
    expect(status == 1, "exit status", status, message)
    return message


def kill_qemu(run, name):
    os.kill(run.nodes[name].vm("vm1")["pid"], signal.SIGKILL)


def check_failures(run):
    """Whatever breaks, the VM runs here afterwards."""
    nodes = run.nodes
    run.expect_network()

    def stays(message):
        expect("vm1 runs here" in message, message)
        run.expect_on(run.here)
        run.expect_network()

    with run.checks("user_cancels_with_ctrl_c"):
        message = fail(run, lambda migration: migration.process.send_signal(signal.SIGINT))
        expect("cancelled" in message, message)
        stays(message)
        run.expect_nothing_left(run.there)
    with run.checks("user_cancels_with_vm_cancel"):
        def cancel(_):
            done = nodes[run.here].run("vm", "cancel", "vm1", "dir=" + nodes[run.here].folder)
            expect(done.returncode == 0, done.stderr)
        stays(fail(run, cancel))
    with run.checks("user_cancels_while_a_guest_hangs"):
        begin = time.monotonic()
        nodes.vm.run("kill -STOP %d" % nodes.vm.pmd.pid)
        message = fail(run, lambda migration: migration.process.send_signal(signal.SIGINT),
                       "detach_ms=60000", "attach_ms=500", when=("begin", "detach"))
        took_s = time.monotonic() - begin
        nodes.vm.run("kill -CONT %d" % nodes.vm.pmd.pid)
        expect("cancelled" in message and took_s < LONG_S, message, took_s)
        stays(message)
    with run.checks("destination_qemu_dies"):
        stays(fail(run, lambda _: kill_qemu(run, run.there)))
        run.expect_nothing_left(run.there)
    with run.checks("destination_qemu_dies_at_the_switch_over"):
        stays(fail(run, lambda _: kill_qemu(run, run.there), when=("begin", "detach")))
    with run.checks("destination_switch_dies"):
        message = fail(run, lambda _: nodes.kill_switch(run.there))
        nodes.restart_switch(run.there)
        stays(message)
    with run.checks("cable_for_migration_is_cut"):
        message = fail(run, lambda _: nodes.cable("manage", "down"))
        nodes.cable("manage", "up")
        stays(message)
    with run.checks("cable_between_switches_is_cut_meanwhile"):
        nodes.cable("cable", "down")
        nodes.migrate(run.here, run.there)
        run.expect_on(nodes.where)
        nodes.cable("cable", "up")
        run.expect_network()
    with run.checks("destination_has_such_a_port_already"):
        nodes[run.there].switch.call("port add p1 network=blue")
        message = fail(run, lambda _: None, when=("begin", "prepare"))
        nodes[run.there].switch.call("port del p1")
        expect("p1" in message and "vm1 runs here as before" in message, message)
        stays(message)
        run.expect_nothing_left(run.there)
    with run.checks("avpctl_is_killed"):
        migration = nodes.begin_migration(run.here, run.there, SLOW)
        migration.wait_for("begin", "detach", limit=60)
        migration.process.kill()
        migration.process.communicate()
        done = nodes[run.here].run("vm", "cancel", "vm1", "dir=" + nodes[run.here].folder)
        expect(done.returncode == 0, done.stderr)
        wait_for(lambda: nodes[run.there].vm("vm1") is None, 30, "end of the other side")
        run.expect_on(run.here)
        run.expect_network()
    check_doubt(run, stays)
    check_guests(run)
    with run.checks("source_switch_dies"):
        message = fail(run, lambda _: nodes.kill_switch(run.here))
        expect("network is not up" in message and "vm1 runs here" in message, message)
        run.expect_on(run.here)


def check_doubt(run, stays):
    """The connection is cut at the one moment at which it matters."""
    nodes = run.nodes
    cutter = os.path.join(nodes.folder, "cutter.py")
    with open(cutter, "w", encoding="utf-8") as file:
        file.write(CUTTER)

    def through(how):
        nodes.write_hosts(command="nsenter -t %d -n -- python3 %s %s %s" % (
            nodes[run.there].namespace.holder.pid, cutter, nodes.folder, how))

    with run.checks("connection_is_cut_before_the_vm_was_told_to_run"):
        through("before")
        status, message = nodes.begin_migration(run.here, run.there).end()
        expect(status == 1, status, message)
        stays(message)
    with run.checks("connection_is_cut_before_the_answer"):
        through("after")
        status, result = nodes.begin_migration(run.here, run.there).end()
        expect(status == 0, result)
        run.expect_on(run.there)
        run.expect_network()
    with run.checks("node_is_never_heard_of_again"):
        through("deaf")
        status, message = nodes.begin_migration(run.here, run.there).end()
        expect(status == 1 and "may run there" in message and "vm cancel vm1" in message, message)
        expect(nodes[run.here].vm("vm1")["status"] != "running", "runs in both places")
        there = nodes[run.there].run("vm", "stop", "vm1", "dir=" + nodes[run.there].folder)
        expect(there.returncode == 0, there.stderr)
        done = nodes[run.here].run("vm", "cancel", "vm1", "dir=" + nodes[run.here].folder)
        expect(done.returncode == 0, done.stderr)
        os.unlink(os.path.join(nodes.folder, "deaf"))
        run.expect_on(run.here)
        run.expect_network()
    nodes.write_hosts()


def check_guests(run):
    """Guests that do not acknowledge are moved all the same."""
    nodes = run.nodes

    def moved(result, *words):
        run.expect_on(nodes.where)
        for port in result["ports"].values():
            expect(port["detach"]["result"] in words, result)

    with run.checks("guest_that_is_late_is_waited_for"):
        # idle, so that QEMU gets to the end of the memory meanwhile
        nodes.vm.run("kill -STOP %d" % nodes.vm.pmd.pid)
        migration = nodes.begin_migration(run.here, run.there)
        migration.wait_for("begin", "detach", limit=60)
        time.sleep(LATE_S)
        nodes.vm.run("kill -CONT %d" % nodes.vm.pmd.pid)
        status, result = migration.end()
        expect(status == 0, result)
        nodes.where = run.there
        moved(result, "ok")
        run.expect_network()
    with run.checks("guest_that_hangs_is_moved"):
        nodes.vm.run("kill -STOP %d" % nodes.vm.pmd.pid)
        moved(nodes.migrate(run.here, run.there, "detach_ms=200", "attach_ms=500"), "timeout")
        nodes.vm.run("kill -CONT %d" % nodes.vm.pmd.pid)
    with run.checks("guest_without_a_driver_is_moved"):
        nodes.vm.pmd.kill()
        moved(nodes.migrate(run.here, run.there, "detach_ms=200", "attach_ms=500"), "timeout", "absent")
    with run.checks("driver_that_starts_after_the_move_works"):
        nodes.vm.forward()
        run.expect_network()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--driver", help="our driver's plug-in")
    parser.add_argument("flavour")
    parser.add_argument("what", choices=("moves", "failures"), nargs="+")
    args = parser.parse_args()
    skip_without_vm()
    if netns.lacking() is not None:
        print("skipped: " + netns.lacking())
        sys.exit(SKIP)
    alone()
    plugin = None
    if args.driver is not None:
        plugin = driver(args.flavour, args.driver)
        if plugin is None:
            print("skipped: no headers of that release; devtools/setup-dpdk-release gets them")
            sys.exit(SKIP)
    with Nodes(os.path.abspath(args.build)) as nodes:
        checks = Checks(nodes.print_logs)
        run = Run(nodes, checks, args.driver is not None)
        try:
            nodes.start_vm("a", args.flavour, plugin)
            if "moves" in args.what:
                check_empty(run)
            nodes.vm.forward()
        except Exception:
            nodes.print_logs()
            raise
        for what in args.what:
            {"moves": check_moves, "failures": check_failures}[what](run)
        sys.exit(checks.status())


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit("migrate_test: %s" % error)
