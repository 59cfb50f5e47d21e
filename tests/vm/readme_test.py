#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""The README's commands: a switch with two ports, dpdk-testpmd at them without a VM and in one.

    readme_test.py SOURCE-ROOT BUILD-ROOT

They are run as written, but with another folder than /tmp and another build folder.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile

from lib.checks import Checks, skip_without_vm
from lib.stream import Stream
from lib.vm import die_with_parent, print_log, wait_for

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import dpdk_plugin  # noqa: E402

PROMPT = b"testpmd> "
LIMIT = 90
ALONE, IN_VM = "A port without a VM", "The same in a VM"


def expect(condition, *message):
    if not condition:
        raise AssertionError(" ".join(map(str, message)))


class Readme:
    """Its sections' commands, for this build and folder."""

    def __init__(self, source, build, folder):
        self.source = source
        self.build = build
        self.folder = folder
        with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
            self.text = file.read()

    def blocks(self, section):
        """Lists of lines."""
        text = self.text.split("\n## %s\n" % section)[1].split("\n## ")[0].replace("\\\n", "")
        return [re.sub("^    ", "", block, flags=re.M).strip().split("\n")
                for block in re.findall(r"(?:^    .*\n)+", text, re.M)]

    def here(self, command):
        command = re.sub(r"(?<!\S)build/", self.build + "/", command)
        return command.replace("/tmp/", self.folder + "/")

    def popen(self, command, name, **options):
        """A process of a terminal; its output goes to a log."""
        with open(os.path.join(self.folder, name + ".log"), "wb") as log:
            return subprocess.Popen(["sh", "-c", "exec " + self.here(command)], cwd=self.source,
                                    preexec_fn=die_with_parent,
                                    **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log,
                                       **options})


class Terminal:
    """testpmd, with a terminal of its own."""

    def __init__(self, readme, command, env=None):
        end, other = pty.openpty()
        self.process = readme.popen(command, "testpmd", stdin=other, stdout=other, stderr=other,
                                    env=env)
        os.close(other)
        self.stream = Stream("testpmd", lambda size: os.read(end, size),
                             lambda data: os.write(end, data),
                             os.path.join(readme.folder, "testpmd.log"))
        self.started = self.stream.until(PROMPT, LIMIT).decode(errors="replace")

    def type(self, line):
        self.stream.drop()
        self.stream.send(line.encode() + b"\n")
        return self.stream.until(PROMPT, LIMIT).decode(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()


def work_at(terminal, lines):
    """What the README types: packets go both ways, then testpmd ends."""
    start, show, end = lines
    terminal.type(start)
    wait_for(lambda: [int(number) > 100 for number in
                      re.findall(r"RX-packets: (\d+)", terminal.type(show))] == [True, True],
             20, "packets at both ports", every=0.2)
    terminal.stream.send(end.encode() + b"\n")
    expect(terminal.process.wait(LIMIT) == 0, "exit status", terminal.process.returncode)


def start_switch(readme, lines):
    """The first terminal, but for `make`."""
    switch = readme.popen(lines[1], "switch")
    wait_for(lambda: os.path.exists(os.path.join(readme.folder, "avp.sock")), LIMIT, "switch")
    return switch


def run_shell(readme, lines):
    """A shell's lines, all of which must succeed."""
    done = subprocess.run(["sh", "-e", "-c", readme.here("\n".join(lines))], check=False, text=True,
                          cwd=readme.source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0, lines, done.stdout)
    return done.stdout


def check(checks, readme):
    first, second, typed, third = readme.blocks(ALONE)
    expect(len(second) == 5 and len(typed) == 3, second, typed)
    switch = terminal = None
    plugin = os.path.join(readme.build, "drivers/net/avp/librte_net_avp.so")
    try:
        with checks("switch_starts_and_makes_ports"):
            expect(first[0] == "make", first)
            switch = start_switch(readme, first)
            run_shell(readme, second[:4])
        with checks("testpmd_without_a_vm"):
            command = re.sub(r"-d (\S+)", " ".join(dpdk_plugin.arguments(plugin)), second[4])
            terminal = Terminal(readme, command, dpdk_plugin.environment(
                plugin, RUNTIME_DIRECTORY=readme.folder))
            shown = run_shell(readme, third[:2])
            expect(shown.count(" up ") == 2, shown)
            work_at(terminal, typed)
        with checks("testpmd_in_a_vm"):
            command = readme.blocks(IN_VM)[0][1]
            terminal = Terminal(readme, command, {**os.environ, "BUILD": readme.build})
            expect(terminal.started.count("OpenAVP driver bound") == 2, terminal.started)
            work_at(terminal, typed)
    finally:
        for process in (terminal, switch):
            if process is not None:
                process.kill()


def main():
    skip_without_vm()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="avp-readme.") as folder:
        readme = Readme(sys.argv[1], sys.argv[2], folder)
        checks.on_failure = lambda: [print_log(name, os.path.join(folder, name + ".log"), 30)
                                     for name in ("switch", "testpmd")]
        check(checks, readme)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
