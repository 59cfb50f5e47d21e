#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""AVP beside everything else that could connect a guest, in one run.

    run.py --program bench_ports --plugin librte_net_avp.so [--plan default] [--out FOLDER]

Each point is a process of its own that takes under a second. The works of the plan are gone through
in rounds until the time is over; in a round the rivals come in random order, with the reference
between them, and every round the sides change CPUs. Prints tables; the folder gets ports.json (every
point, and a summary), ports.md and a plot for each work.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from host_info import cpu_model, output  # noqa: E402
import plots  # noqa: E402
import points as pointing  # noqa: E402
import report as reporting  # noqa: E402
import programs  # noqa: E402
from rivals import LIMIT, REFERENCE, RIVALS  # noqa: E402
from works import PLANS  # noqa: E402

POINT_LIMIT_S = 20
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
HUGE_NEEDED = 1024  # pages: two processes, and the memory of ports; Open vSwitch takes much for them
MEM_MB = 384
REFERENCE_EVERY = 4
# A program needs some of the time to start, and is not at a real-time priority: this long at least.
PROGRAM_MS = 300
# Addresses that the switch learns in a millisecond, at least.
LEARNED_PER_MS = 400


@contextlib.contextmanager
def huge_pages():
    """Have some, if we may; as many as before afterwards. Yields whether there are."""

    def read(name):
        with open(HUGE_PAGES + name, encoding="ascii") as file:
            return int(file.read())

    def write(nb):
        with open(HUGE_PAGES + "nr_hugepages", "w", encoding="ascii") as file:
            file.write(str(nb))

    try:
        before = read("nr_hugepages")
        lacking = HUGE_NEEDED - read("free_hugepages")
    except OSError:
        yield False
        return
    if lacking > 0:
        with contextlib.suppress(OSError):
            write(before + lacking)
    try:
        yield read("free_hugepages") >= HUGE_NEEDED
    finally:
        if lacking > 0:
            with contextlib.suppress(OSError):
                write(before)


class Failed(Exception):
    """A point could not be measured."""


class Runner:
    """Measures points."""

    def __init__(self, args, huge):
        self.args = args
        self.huge = huge
        self.points = []
        self.not_measured = {}
        self.failed = {}  # the last time, and not yet measured again
        self.start = time.monotonic()

    def options(self, work, cpus, ms):
        """Options of bench_ports that all rivals have."""
        options = ["--test", work.test, "--work", work.work, "--burst", str(work.burst),
                   "--in-flight", str(work.in_flight), "--segments", str(work.segments),
                   "--cpus", "%d,%d" % tuple(cpus), "--mem", str(MEM_MB), "--ms", str(ms)]
        options += ["--huge"] if self.huge else []
        options += ["--vlan"] if work.vlan else []
        options += ["--load", str(work.load)] if work.load else []
        for plugin in self.args.plugin:
            options += ["--plugin", plugin]
        return options

    def command(self, work, rival, folder, cpus):
        """The command of a point."""
        host = rival.host + (rival.jumbo_host if work.jumbo else rival.usual_host)
        guest = (rival.chain_guest if work.chains else rival.guest)
        if work.jumbo and not work.chains:
            guest += rival.jumbo_guest
        host += rival.vlan_host if work.vlan else ""
        command = [self.args.program, *self.options(work, cpus, self.args.ms)]
        for i in range(work.pairs):
            for side, spec in (("--host", host), ("--guest", guest)):
                command += [side, spec.format(i=i, dir=folder, queues=work.queues)]
        sizes = [min(size, rival.clip or size) for size in work.sizes]
        command += ["--size", ",".join(str(size) for size in sizes), "--warm", "40",
                    "--queues", str(work.queues), "--processes", str(work.processes),
                    "--mbufs", str(2048 * work.queues - 1 if work.pairs <= 2 else 1535)]
        if work.jumbo and not rival.avp and not work.chains:
            command += ["--mbuf-room", "9216"]
        command += ["--real-time"] if self.real_time(rival) else []
        command += rival.args + (rival.vlan_args if work.vlan else [])
        if rival.setup:
            command = ["unshare", "--net", "sh", "-c", rival.setup + 'exec "$@"', "sh"] + command
        return command

    def real_time(self, rival):
        return rival.real_time and self.args.real_time

    def bench_ports(self, command):
        """Run it; returns the point, or raises Failed."""
        try:
            done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=POINT_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Failed("no end after %d s" % POINT_LIMIT_S) from None
        if done.returncode != 0:
            # the first says what was wrong, the last what came of it
            lines = [line for line in done.stderr.split("\n") if line]
            said = "; ".join(dict.fromkeys(lines[:1] + lines[-1:]))
            raise Failed(said or "exit status %d" % done.returncode)
        return json.loads(done.stdout.strip().split("\n")[-1])

    def through(self, work, name, folder, cpus):
        """A point with a program for a switch, which has the host's CPU for itself."""
        command = [self.args.program, *self.options(work, cpus, max(self.args.ms, PROGRAM_MS)),
                   "--size", ",".join(str(size) for size in work.sizes),
                   "--warm", str(50 + (work.macs or 0) // LEARNED_PER_MS)]
        command += ["--macs", str(work.macs)] if work.macs else []
        command += ["--real-time"] if self.args.real_time else []
        try:
            with programs.start(name, work, self.args, folder, cpus[0], self.huge) as program:
                for guest in program.guests:
                    command += ["--guest", guest]
                command += program.vlan_args if work.vlan else []
                begin, before = time.monotonic(), program.cpu_seconds()
                point = self.bench_ports(command)
                share = (program.cpu_seconds() - before) / (time.monotonic() - begin)
        except programs.Failed as error:
            raise Failed(str(error)) from None
        pps = point["guest"]["pps"]
        # all the cycles that its CPU had, for each packet
        point["host"] = {"pps": pps, "cycles": point["tsc_hz"] / pps if pps else 0, "cpu": share}
        point.pop("mem_kib", None)
        return point

    def measure(self, work, name, swapped):
        """One point, or Failed."""
        cpus = list(reversed(self.args.cpus)) if swapped else self.args.cpus
        folder = tempfile.mkdtemp(prefix="bench-ports.")
        begin = time.monotonic()
        try:
            if work.test == "through":
                point = self.through(work, name, folder, cpus)
            else:
                point = self.bench_ports(self.command(work, RIVALS[name], folder, cpus))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if point["host"]["pps"] == 0:
            raise Failed("no packet came through")
        point.update(rival=name, reference=work.reference, work_key=work.key, swapped=swapped,
                     time=round(begin - self.start, 3), took=round(time.monotonic() - begin, 3),
                     real_time=work.test == "through" or self.real_time(RIVALS[name]))
        return point

    def fits(self, work, name):
        """Can this rival do this work at all? Notes why not, where that is of interest."""
        if work.test == "through":
            return self.args.switch is not None
        rival = RIVALS[name]
        for need in work.needs:
            if need in rival.cannot:
                self.not_measured[work.key, name] = rival.cannot[need]
                return False
        return max(work.sizes) <= rival.max_size

    def round(self, work, swapped, until):
        """All rivals once, in random order, the reference between them. False: time is over."""
        names = [name for name in work.rivals if self.fits(work, name) and name != work.reference and
                 self.args.rival in (None, name)]
        if not names:
            return True
        random.shuffle(names)
        if self.fits(work, work.reference):
            for i in range(len(names), -1, -REFERENCE_EVERY):
                names.insert(i, work.reference)
        for name in names:
            if (work.key, name) in self.not_measured:
                continue
            if until is not None and time.monotonic() > until:
                return False
            try:
                self.points.append(self.measure(work, name, swapped))
                self.failed.pop((work.key, name), None)
            except Failed as failure:
                # once may be for others that run; twice is for a reason
                if self.failed.get((work.key, name)):
                    self.not_measured[work.key, name] = str(failure)
                self.failed[work.key, name] = str(failure)
                print("%s, %s: not measured: %s" % (work.key, name, failure), file=sys.stderr)
        return True

    def run(self, works, seconds):
        """Rounds until the time is over; one at least."""
        nb = 0
        while True:
            for work in works:
                # the first round is made in any case: a table has no holes because of the time
                until = self.start + seconds if nb > 0 else None
                if nb % work.weight == 0 and not self.round(work, nb % 2 == 1, until):
                    return
            nb += 1
            if time.monotonic() > self.start + seconds:
                return


def about(args, huge):
    """Where and how it was measured."""
    top = os.path.dirname(os.path.abspath(__file__))
    return {"commit": output("git", "-C", top, "describe", "--always", "--dirty"),
            "command": "bench/ports/run.py --plan %s%s%s" % (
                args.plan, " --seconds %d" % args.seconds if args.seconds is not None else "",
                "".join(" --work " + key for key in args.work or [])),
            "cpu": cpu_model(),
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "dpdk": "DPDK " + output("pkg-config", "--modversion", "libdpdk"),
            "pages": "2 MiB pages" if huge else "4 KiB pages",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}


def about_rival(name):
    """What a table needs to know of it."""
    if name in programs.PROGRAMS:
        label, _, ours = programs.PROGRAMS[name]
        return {"label": label, "avp": ours}
    return {"label": RIVALS[name].label, "avp": RIVALS[name].avp}


def make_report(about_run, works, runner):
    """All of it, as it goes into the JSON."""
    points = runner.points
    pointing.prepare(points)
    results = {}
    for work in works:
        results[work.key] = {}
        # the reference is measured beside them whether it is one of them or not
        for name in dict.fromkeys([*work.rivals, work.reference]):
            some = [p for p in points if p["work_key"] == work.key and p["rival"] == name]
            if some:
                results[work.key][name] = {**about_rival(name), **pointing.summarize(some)}
    moved = sum(p["place"] == "moved" for p in points)
    left_out = sum(not p["usable"] for p in points)
    return {"benchmark": "ports", "about": about_run, "limit": LIMIT,
            "reference": REFERENCE,
            "works": {w.key: {"title": w.title, "test": w.test, "work": w.work, "sizes": w.sizes,
                              "reference": w.reference}
                      for w in works},
            "results": results,
            "not_measured": {"%s, %s" % key: why
                             for key, why in {**runner.failed, **runner.not_measured}.items()},
            "main_place": pointing.main_place(points),
            "counts": {"points": len(points), "left_out": left_out, "moved": moved,
                       "disturbed": left_out - moved},
            "points": points}


def write(folder, report):
    """ports.json, ports.md and the plots."""
    os.makedirs(folder, exist_ok=True)
    files = {"ports.json": json.dumps(report, indent=1) + "\n",
             "ports.md": reporting.as_markdown(report)}
    files.update(plots.all_plots(report))
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", required=True, help="bench_ports")
    parser.add_argument("--plugin", action="append", default=[], help="driver to load")
    parser.add_argument("--switch", help="avp-switch, to compare it with other programs")
    parser.add_argument("--plan", choices=PLANS, default="default")
    parser.add_argument("--work", action="append", help="only the work of this key")
    parser.add_argument("--rival", choices=[*RIVALS, *programs.PROGRAMS],
                        help="only this one, beside the reference")
    parser.add_argument("--seconds", type=int, help="how long to go on (the plan's)")
    parser.add_argument("--ms", type=int, default=150, help="how long to measure a point")
    parser.add_argument("--cpus", type=lambda text: [int(n) for n in text.split(",")], default=[0, 1])
    parser.add_argument("--no-real-time", dest="real_time", action="store_false",
                        help="let other processes have the CPUs meanwhile")
    parser.add_argument("--out", help="folder for JSON, Markdown and plots")
    args = parser.parse_args()
    args.program = os.path.abspath(args.program)
    args.switch = args.switch and os.path.abspath(args.switch)
    args.plugin = [os.path.abspath(path) for path in args.plugin]
    return args


def main():
    args = parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: two CPUs are needed")
        return 77
    make_works, seconds = PLANS[args.plan]
    works = [work for work in make_works() if not args.work or work.key in args.work]
    if not works:
        sys.exit("run.py: no such work; there are: %s" % " ".join(w.key for w in make_works()))
    if args.seconds is not None:
        seconds = args.seconds
    args.real_time = args.real_time and os.geteuid() == 0
    with huge_pages() as huge:
        about_run = about(args, huge)  # before somebody changes the tree
        runner = Runner(args, huge)
        runner.run(works, seconds)
    report = make_report(about_run, works, runner)
    print(reporting.as_text(report))
    if args.out:
        write(args.out, report)
        print("JSON, Markdown and plots: " + os.path.relpath(args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
