# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""avp-switch in a test, and guests without a VM.

    with Switch(binary, CONFIG, namespace=ns) as switch:
        switch.request("port.show")
        with Guest(plugin, [switch.path("p0.sock"), switch.path("p1.sock")]) as guest:
            ...

Every process ends with the test, however that ends.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import dpdk_plugin
from netns import bound_to_parent

START_LIMIT_S = 20
STOP_LIMIT_S = 10
ANSWER_LIMIT_S = 10


class Refused(Exception):
    """An answer with an error; code and message are attributes."""

    def __init__(self, error):
        super().__init__("%(code)s: %(message)s" % error)
        self.code = error["code"]
        self.message = error["message"]


def wait_for(condition, limit_s, what):
    """Ask again until the condition holds; return what it said. Fail after the limit."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s: not within %s s" % (what() if callable(what) else what, limit_s))
        time.sleep(0.02)


class Client:
    """A connection to the control socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(ANSWER_LIMIT_S)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("r")
        self.last_id = 0

    def request(self, method, **params):
        """Send a request and return its result; Refused when the answer is an error."""
        self.last_id += 1
        line = json.dumps({"id": self.last_id, "method": method, "params": params}) + "\n"
        self.socket.sendall(line.encode())
        answer = json.loads(self.file.readline())
        assert answer["id"] == self.last_id, answer
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def close(self):
        self.file.close()
        self.socket.close()


class Process:
    """A program under test, whose output is shown if something goes wrong."""

    def __init__(self, words, namespace=None, folder=None, env=None):
        self.output = tempfile.TemporaryFile(mode="w+", dir=folder)
        command = namespace.command(words) if namespace else bound_to_parent(words)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, env=env)

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def ended(self):
        return self.process.poll() is not None

    def stop(self, number=signal.SIGTERM, limit_s=STOP_LIMIT_S):
        """Send a signal, wait for the end, return the exit status."""
        if not self.ended():
            self.process.send_signal(number)
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("no end within %d s of %s; it said:\n%s"
                                 % (limit_s, signal.Signals(number).name, self.said())) from None

    def cpu_seconds(self):
        """User and system time of all its threads."""
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        if not self.ended():
            self.process.kill()
            self.process.wait()
        self.output.close()


class Switch(Process):
    """avp-switch with a configuration, in a folder of its own; ready when made."""

    def __init__(self, binary, config="", options=(), namespace=None):
        self.folder = tempfile.mkdtemp(prefix="avp-switch.")
        self.client = None
        with open(self.path("switch.conf"), "w", encoding="ascii") as file:
            file.write(config)
        super().__init__([binary, "--no-huge", "--config", self.path("switch.conf"), "--control",
                          self.path("switch.sock"), *options], namespace, self.folder)
        try:
            self.client = wait_for(self.connect, START_LIMIT_S, lambda: "start: " + self.said())
            # It listens early, so that two cannot start; it answers when its ports are there.
            with contextlib.suppress(ConnectionResetError, json.JSONDecodeError):
                self.request("version")
                return
            self.process.wait(STOP_LIMIT_S)
            raise AssertionError("start: " + self.said())
        except BaseException:
            self.close()
            raise

    def connect(self):
        assert not self.ended(), "ended with %d:\n%s" % (self.process.returncode, self.said())
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return Client(self.path("switch.sock"))
        return None

    def path(self, name):
        return os.path.join(self.folder, name)

    def request(self, method, **params):
        return self.client.request(method, **params)

    def port(self, name):
        return self.request("port.show", name=name)[0]

    def stats(self, name):
        return self.request("stats", name=name)[0]

    def drops(self, name):
        """The drops of a port that are not 0."""
        return {what: n for what, n in self.stats(name)["drops"].items() if n}

    def macs(self, **selection):
        """{MAC: port} of what was learned."""
        return {e["mac"]: e["port"] for e in self.request("fdb.show", **selection)
                if e["type"] == "dynamic"}

    def close(self):
        if self.client is not None:
            self.client.close()
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            status = self.stop()
            assert status == 0, "exit status %d:\n%s" % (status, self.said())
        elif not self.ended():
            self.stop()
            print(self.said())
        self.close()


class Guest(Process):
    """testpmd that forwards between AVP ports, two by two, as a guest would: no VM, no root."""

    def __init__(self, plugin, sockets, eal=(), app=("--forward-mode=io",)):
        vdevs = ["--vdev=net_avp_user%d,socket=%s" % (i, path) for i, path in enumerate(sockets)]
        super().__init__(["dpdk-testpmd", "--no-huge", "-m256", "--no-shconf", "--no-pci",
                          "--no-telemetry", "--lcores=(0,1)@(0-%d)" % (os.cpu_count() - 1),
                          *dpdk_plugin.arguments(plugin), *vdevs, *eal, "--", "--auto-start",
                          # or it throws away what comes before it forwards
                          "--no-flush-rx", "--total-num-mbufs=8192", "--stats-period=3600", *app],
                         env=dpdk_plugin.environment(plugin))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            print(self.said())
        self.close()
