# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""The host end: tests/vm/vm_traffic.c, a DPDK application on net_avp_host ports.

    with Traffic(program, plugin, [Port("p0", queues=8), Port("p1")]) as traffic:
        traffic.run([traffic.stream(0, 1, sizes="64,9000", count=500)])
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from .stream import Closed, Stream, Timeout
from .vm import Failed, die_with_parent, print_log

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib"))

import dpdk_plugin  # noqa: E402


class Port:
    """Arguments of one net_avp_host port."""

    def __init__(self, name, **args):
        self.name = name
        self.args = args
        self.mac = args.get("mac")

    def devargs(self, socket):
        args = "".join(",%s=%s" % pair for pair in sorted(self.args.items()))
        return "socket=%s%s" % (socket, args)


class Bad(AssertionError):
    """Packets did not come back as they should."""


class Traffic:
    """One vm_traffic; sockets is the list of its ports' sockets."""

    def __init__(self, program, plugin, ports, cpu=None):
        self.ports = ports
        self.folder = tempfile.mkdtemp(prefix="avp-traffic.")
        self.sockets = [os.path.join(self.folder, port.name + ".sock") for port in ports]
        last = os.sched_getaffinity(0)
        # Memory without huge pages and files, so that many can run and none leaves anything.
        args = [program, "--no-huge", "-m", "512", "--no-shconf", "--no-pci", "--no-telemetry",
                "-l", str(max(last) if cpu is None else cpu), *dpdk_plugin.arguments(plugin)]
        for number, (port, socket) in enumerate(zip(ports, self.sockets)):
            args += ["--vdev", "net_avp_host%d,%s" % (number, port.devargs(socket))]
        with open(os.path.join(self.folder, "stderr.log"), "wb") as errors:
            self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, preexec_fn=die_with_parent, bufsize=0,
                                            env=dpdk_plugin.environment(plugin))
        self.stream_ = Stream("vm_traffic", self.process.stdout.read, self.write,
                              os.path.join(self.folder, "stdout.log"))
        try:
            ready = self.answer(30, "start")
            if ready["ports"] != len(ports):
                raise Failed("vm_traffic has %d ports instead of %d" % (ready["ports"], len(ports)))
        except BaseException:
            self.print_logs()
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def write(self, data):
        self.process.stdin.write(data)

    def answer(self, limit, what):
        answer = json.loads(self.stream_.line(limit, "answer to " + what))
        if "error" in answer and "bad" not in answer:
            raise Failed("vm_traffic: %s" % answer["error"])
        return answer

    def command(self, line, limit=10):
        self.stream_.send(line.encode() + b"\n")
        return self.answer(limit, line)

    @staticmethod
    def words(keys):
        return " ".join("%s=%s" % pair for pair in keys.items())

    @staticmethod
    def stream(source, sink, **keys):
        """One stream of a job; see vm_traffic.c for the keys."""
        return {"from": source, "to": sink, **keys}

    def both(self, first, second, **keys):
        """Two streams, there and back, with the same keys."""
        return [self.stream(first, second, **keys), self.stream(second, first, **keys)]

    def describe(self, streams):
        for keys in streams:
            self.command("stream " + self.words(keys))

    def judge(self, result, exact):
        """Raise an exception if a job's result is not as it should be."""
        if result["bad"]:
            raise Bad("%d bad, the first: %s" % (result["bad"], result["error"]))
        for number, stream in enumerate(result["streams"]):
            if exact and stream["received"] != stream["expected"]:
                raise Bad("stream %d: %d of %d received" % (
                    number, stream["received"], stream["expected"]))
            if exact and stream["received"] == 0:
                raise Bad("stream %d: nothing received" % number)
        return result

    def run(self, streams, limit=20, **keys):
        """Do a job to its end: every packet must come back, in order, unchanged."""
        self.describe(streams)
        result = self.command("run %s" % self.words({"limit": limit * 1000, **keys}), 300)
        return self.judge(result, exact=not keys.get("lossy"))

    def start(self, streams, limit=20, **keys):
        """Begin a job that goes on in the background. Packets may be lost."""
        self.describe(streams)
        self.command("start %s" % self.words({"limit": limit * 1000, "lossy": 1, **keys}))

    def stop(self):
        """End the background job: what came must have been right and in order."""
        return self.judge(self.command("stop", 300), exact=False)

    def reset(self):
        """Forget jobs, whatever state a failure left them in."""
        try:
            self.command("reset")
        except (Failed, Closed, Timeout) as error:
            print("vm_traffic: reset: %s" % error)

    def expect_link(self, port, state, limit=10):
        """Wait for a state of a port's link."""
        answer = self.command("link %d %s %d" % (port, state, limit * 1000), limit + 20)
        if answer["link"] != state:
            raise AssertionError("port %d: link is still %s after %g s; %s" % (
                port, answer["link"], limit, self.command("info %d" % port)))
        return answer["events"]

    def counters(self, port):
        return self.command("counters %d" % port)

    def info(self, port):
        return self.command("info %d" % port)

    def print_logs(self, lines=30):
        for name in ("stderr.log", "stdout.log"):
            print_log("vm_traffic", os.path.join(self.folder, name), lines)

    def close(self):
        """End it: with "quit", so that what it leaves is its own doing."""
        status = 0
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b"quit\n")
                status = self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()
        left = [path for path in self.sockets if os.path.exists(path)]
        shutil.rmtree(self.folder, ignore_errors=True)
        return status, left
