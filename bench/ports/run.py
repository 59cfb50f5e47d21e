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

import report as reporting  # noqa: E402
import programs  # noqa: E402
from rivals import LIMIT, REFERENCE, RIVALS  # noqa: E402

POINT_LIMIT_S = 20
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
HUGE_NEEDED = 640  # pages: two processes, and the memory of ports
MEM_MB = 384
REFERENCE_EVERY = 4
IMIX = [64] * 7 + [576] * 4 + [1518]

ENDS = ["avp-stock", "avp-copy", "avp-recycle", "avp-recycle-app", "vhost-packed", "vhost-split",
        "vhost-split-vec", "memif", "memif-zc", "tap", "af-packet", "ring"]
SWITCH = ["avp-domain-stock", "avp-domain-copy", "avp-domain-recycle", "avp-stock", "avp-copy",
          "avp-recycle", "vhost-packed", "vhost-split", "memif", "memif-zc", "ring"]
FAST = ["avp-stock", "avp-copy", "avp-recycle", "vhost-packed", "vhost-split", "memif", "memif-zc", "ring"]


# A program needs some of the time to start, and is not at a real-time priority: this long at least.
PROGRAM_MS = 300


class Work:
    """What one table is about."""

    def __init__(self, test="ends", work="mac", size=64, rivals=ENDS, queues=1, burst=32, in_flight=256,
                 processes=1, weight=1):
        self.test = test
        self.work = work
        self.sizes = size if isinstance(size, list) else [size]
        self.rivals = rivals
        self.queues = queues
        self.burst = burst
        self.in_flight = in_flight
        self.processes = processes
        self.weight = weight  # gone through in one round of so many

    @property
    def reference(self):
        return programs.REFERENCE if self.test == "through" else REFERENCE

    @property
    def key(self):
        parts = [self.test, self.work, "imix" if len(self.sizes) > 1 else str(self.sizes[0])]
        parts += ["q%d" % self.queues] if self.queues != 1 else []
        parts += ["b%d" % self.burst] if self.burst != 32 else []
        parts += ["p%d" % self.processes] if self.processes != 1 else []
        return "-".join(parts)

    @property
    def title(self):
        tests = {"ends": "Two ends", "switch": "Guest, switch loop, guest",
                 "ping": "Round trip of one packet", "to-guest": "Host to guest",
                 "to-host": "Guest to host", "through": "Guest, switch program, guest"}
        works = {"io": "payload untouched", "mac": "addresses rewritten on both sides",
                 "full": "all bytes rewritten by the guest"}
        size = "IMIX" if len(self.sizes) > 1 else "%d bytes" % self.sizes[0]
        more = ", %d queues" % self.queues if self.queues != 1 else ""
        more += ", bursts of %d" % self.burst if self.burst != 32 else ""
        more += ", two processes" if self.processes != 1 else ""
        return "%s, %s, %s%s" % (tests[self.test], size, works[self.work], more)


def plan_default():
    works = [Work(size=size) for size in (64, 1518)]
    works += [Work(test="switch", size=size, rivals=SWITCH) for size in (64, 1518)]
    works += [Work(test="ping", size=size, weight=2) for size in (64, 1518)]
    works += [Work(test="through", size=size, rivals=list(programs.PROGRAMS), weight=2)
              for size in (64, 1518)]
    return works


def plan_full():
    works = [Work(size=size, work=work) for size in (64, 128, 256, 512, 1024, 1518, 9000, IMIX)
             for work in ("mac", "io", "full")]
    works += [Work(test="switch", work=work, size=size, rivals=SWITCH)
              for size in (64, 512, 1518, 9000, IMIX) for work in ("mac", "io", "full")]
    works += [Work(test=test, size=size) for size in (64, 1518) for test in ("to-guest", "to-host")]
    works += [Work(test="ping", size=size) for size in (64, 512, 1518, 9000)]
    works += [Work(test="through", size=size, rivals=list(programs.PROGRAMS))
              for size in (64, 512, 1518)]
    works += [Work(burst=burst, size=size, rivals=FAST) for burst in (1, 4, 8, 16, 64)
              for size in (64, 1518)]
    works += [Work(queues=queues, in_flight=256 // queues, rivals=FAST) for queues in (2, 4, 8)]
    works += [Work(processes=2, size=size, rivals=FAST[:-1]) for size in (64, 1518)]
    return works


# Works, and seconds that the whole may take.
PLANS = {
    "smoke": (lambda: [Work(), Work(test="switch", rivals=SWITCH), Work(test="ping")], 0),
    "default": (plan_default, 280),
    "full": (plan_full, 44 * 60),
}


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
        self.start = time.monotonic()

    def command(self, work, rival, folder, cpus):
        """The command of a point."""
        jumbo = max(work.sizes) > 1518
        ends = 2 if work.test == "switch" else 1
        command = [self.args.program]
        for i in range(ends):
            for side, spec in (("--host", rival.host + (rival.jumbo_host if jumbo else rival.usual_host)),
                               ("--guest", rival.guest + (rival.jumbo_guest if jumbo else ""))):
                command += [side, spec.format(i=i, dir=folder, queues=work.queues)]
        sizes = [min(size, rival.clip or size) for size in work.sizes]
        command += ["--test", work.test, "--work", work.work,
                    "--size", ",".join(str(size) for size in sizes),
                    "--burst", str(work.burst), "--in-flight", str(work.in_flight),
                    "--queues", str(work.queues), "--processes", str(work.processes),
                    "--cpus", "%d,%d" % tuple(cpus),
                    "--mem", str(MEM_MB), "--ms", str(self.args.ms), "--warm", "40"]
        command += ["--mbufs", str(2048 * work.queues - 1)]
        command += ["--mbuf-room", "9216"] if jumbo and not rival.avp else []
        command += ["--huge"] if self.huge else []
        command += ["--real-time"] if self.real_time(rival) else []
        for plugin in self.args.plugin:
            command += ["--plugin", plugin]
        command += rival.args
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
            lines = [line for line in done.stderr.split("\n") if line]
            lines = [line for line in lines if line.startswith("bench_ports: ")] or lines
            raise Failed(lines[0] if lines else "exit status %d" % done.returncode)
        return json.loads(done.stdout.strip().split("\n")[-1])

    def through(self, work, name, folder, cpus):
        """A point with a program for a switch, which has the host's CPU for itself."""
        command = [self.args.program, "--test", "through", "--work", work.work, "--burst",
                   str(work.burst), "--size", ",".join(str(size) for size in work.sizes),
                   "--in-flight", str(work.in_flight), "--mem", str(MEM_MB), "--cpus",
                   "%d,%d" % tuple(cpus), "--ms", str(max(self.args.ms, PROGRAM_MS))]
        command += ["--huge"] if self.huge else []
        command += ["--real-time"] if self.args.real_time else []
        for plugin in self.args.plugin:
            command += ["--plugin", plugin]
        try:
            with programs.Program(name, self.args, folder, cpus[0], self.huge) as program:
                for guest in program.guests:
                    command += ["--guest", guest]
                begin, before = time.monotonic(), program.cpu_seconds()
                point = self.bench_ports(command)
                share = (program.cpu_seconds() - before) / (time.monotonic() - begin)
        except RuntimeError as error:
            raise Failed(str(error)) from None
        pps = point["guest"]["pps"]
        # all the cycles that its CPU had, for each packet
        point["host"] = {"pps": pps, "cycles": point["tsc_hz"] / pps if pps else 0, "cpu": share}
        del point["mem_kib"]
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
        """Can this rival do this work at all?"""
        if work.test == "through":
            return self.args.switch is not None
        rival = RIVALS[name]
        return (work.test in rival.tests and work.processes in rival.processes and
                max(work.sizes) <= rival.max_size)

    def round(self, work, swapped, until):
        """All rivals once, in random order, the reference between them. False: time is over."""
        names = [name for name in work.rivals if self.fits(work, name) and name != work.reference and
                 self.args.rival in (None, name)]
        if not names:
            return True
        random.shuffle(names)
        for i in range(len(names), -1, -REFERENCE_EVERY):
            names.insert(i, work.reference)
        for name in names:
            if (work.key, name) in self.not_measured:
                continue
            if until is not None and time.monotonic() > until:
                return False
            try:
                self.points.append(self.measure(work, name, swapped))
            except Failed as failure:
                self.not_measured[work.key, name] = str(failure)
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


def output(*command):
    """What a command prints, or "unknown"."""
    try:
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.machine()


def about(args, huge):
    """Where and how it was measured."""
    top = os.path.dirname(os.path.abspath(__file__))
    return {"commit": output("git", "-C", top, "describe", "--always", "--dirty"),
            "command": "bench/ports/run.py --plan %s" % args.plan, "cpu": cpu_model(),
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "dpdk": "DPDK " + output("pkg-config", "--modversion", "libdpdk"),
            "pages": "2 MiB pages" if huge else "4 KiB pages",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}


def about_rival(name):
    """What a table needs to know of it."""
    if name in programs.PROGRAMS:
        label, _, _, ours = programs.PROGRAMS[name]
        return {"label": label, "avp": ours}
    return {"label": RIVALS[name].label, "avp": RIVALS[name].avp}


def make_report(args, huge, works, runner):
    """All of it, as it goes into the JSON."""
    points = runner.points
    reporting.prepare(points)
    results = {}
    for work in works:
        results[work.key] = {}
        for name in work.rivals:
            some = [p for p in points if p["work_key"] == work.key and p["rival"] == name]
            if some:
                results[work.key][name] = {**about_rival(name), **reporting.summarize(some)}
    moved = sum(p["place"] == "moved" for p in points)
    left_out = sum(not p["usable"] for p in points)
    return {"benchmark": "ports", "about": about(args, huge), "limit": LIMIT,
            "reference": REFERENCE,
            "works": {w.key: {"title": w.title, "test": w.test, "work": w.work, "sizes": w.sizes,
                              "reference": w.reference}
                      for w in works},
            "results": results,
            "not_measured": {"%s, %s" % key: why for key, why in runner.not_measured.items()},
            "counts": {"points": len(points), "left_out": left_out, "moved": moved,
                       "disturbed": left_out - moved},
            "points": points}


def write(folder, report):
    """ports.json, ports.md and the plots."""
    os.makedirs(folder, exist_ok=True)
    files = {"ports.json": json.dumps(report, indent=1) + "\n",
             "ports.md": reporting.as_markdown(report)}
    for key in report["works"]:
        plot = reporting.svg(report, key)
        if plot is not None:
            files[reporting.svg_name(key)] = plot
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
        runner = Runner(args, huge)
        runner.run(works, seconds)
    report = make_report(args, huge, works, runner)
    print(reporting.as_text(report))
    if args.out:
        write(args.out, report)
        print("JSON, Markdown and plots: " + os.path.relpath(args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
