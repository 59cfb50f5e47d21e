# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""A running avp-switch, and avpctl to talk to it.

    with Switch(build) as switch:
        switch.call("network add blue vlan=100")
        switch.call("network show")[0]["vlan"] == 100

It needs neither root nor huge pages, as far as its ports do not. The kernel kills it when the test
ends, however that happens.
"""

import json
import os
import subprocess
import tempfile
import time

from netns import bound_to_parent

START_LIMIT_S = 20
STOP_LIMIT_S = 20


class Failed(Exception):
    """The switch or avpctl did not do what it was asked to."""


class Switch:
    """avp-switch of a build folder, with its sockets and log in a folder of its own.

    arguments  more of them for avp-switch
    namespace  where it runs; this one unless given
    """

    def __init__(self, build, arguments=(), namespace=None):
        self.program = os.path.join(build, "switch/avp-switch")
        self.avpctl = os.path.join(build, "ctl/avpctl")
        self.temporary = tempfile.TemporaryDirectory(prefix="avp-switch.")
        self.folder = self.temporary.name
        self.socket = os.path.join(self.folder, "switch.sock")
        self.log = os.path.join(self.folder, "switch.log")
        self.arguments = ["--no-huge", "--control", self.socket, *arguments]
        self.namespace = namespace
        self.process = None

    def __enter__(self):
        command = [self.program, *self.arguments, *([] if "--" in self.arguments else ["--"]),
                   "--no-pci"]
        command = (self.namespace.command(command) if self.namespace is not None
                   else bound_to_parent(command))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        try:
            self.wait_for(self.answers, START_LIMIT_S, "answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.temporary.cleanup()

    def answers(self):
        """Does the control socket answer yet?"""
        if self.process.poll() is not None:
            raise Failed("avp-switch: exit status %d: %s" % (self.process.returncode,
                                                             self.read_log().strip()))
        return os.path.exists(self.socket) and self.run("version").returncode == 0

    @staticmethod
    def wait_for(condition, limit_s, what):
        """Ask condition() until it says something true; return that."""
        end = time.monotonic() + limit_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise Failed("avp-switch: no %s within %g s" % (what, limit_s))
            time.sleep(0.02)

    def run(self, line, *options):
        """Run avpctl with these words; return what subprocess.run() does."""
        return subprocess.run([self.avpctl, "--socket", self.socket, *line.split(), *options],
                              check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def call(self, line):
        """Run avpctl with these words; return the switch's answer."""
        done = self.run(line, "--json")
        if done.returncode != 0:
            raise Failed("avpctl %s: %s\nlog of the switch:\n%s"
                         % (line, done.stderr.strip(), self.read_log()))
        return json.loads(done.stdout)

    def read_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        """Ask it to end, and see that it does so in good order."""
        self.process.terminate()
        try:
            status = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Failed("avp-switch: still there %d s after SIGTERM" % STOP_LIMIT_S) from None
        if status != 0:
            raise Failed("avp-switch: exit status %d after SIGTERM" % status)
        left = [name for name in os.listdir(self.folder) if name.endswith(".sock")]
        if left:
            raise Failed("avp-switch: sockets left behind: %s" % " ".join(left))
