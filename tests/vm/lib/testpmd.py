# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""testpmd in a guest, with its prompt on one of the guest's consoles.

    pmd = Testpmd(vm, "-l 0,1 -a 0000:00:10.0", "--rxq 8 --txq 8")
    pmd.command("start")
"""

import re

from .stream import Closed, Timeout
from .vm import Failed, wait_for

PROMPT = b"testpmd> "
PANIC = b"EAL: PANIC"
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
START_LIMIT = 60


class Panic(Failed):
    """testpmd has ended itself."""


class Testpmd:
    """One interactive testpmd. It is started at once, in place of any earlier one on the console;
    eal and app are its arguments."""

    def __init__(self, vm, eal, app="", console=0):
        self.vm = vm
        self.recent = b""
        self.stream = vm.streams["console%d" % console]
        self.pid_file = "/run/testpmd%d.pid" % console
        self.pid = int(vm.run("cat %s 2>/dev/null || echo 0" % self.pid_file))
        if self.pid:
            self.kill()
        self.stream.drop()
        line = "exec dpdk-testpmd %s -- -i %s" % (eal, app)
        device = "/dev/hvc%d" % console
        # A session of its own with the console as its terminal: output comes line by line.
        vm.run("setsid sh -c 'echo $$ >%s; %s' <%s >%s 2>&1 &"
               % (self.pid_file, line, device, device))
        self.started = self.read_to_prompt(START_LIMIT)
        self.pid = int(vm.run("cat " + self.pid_file))
        self.hurry_interrupts()

    def hurry_interrupts(self):
        """Let the EAL's interrupt thread go before the main thread.

        The stock driver leaves its interrupt callback behind when its device is removed. Should the
        interrupt thread look at it after the main thread has closed the descriptor, then the EAL
        ends the process ("PANIC in eal_intr_thread_main").
        """
        self.vm.run("renice -n 10 -p %d; for task in /proc/%d/task/*; do "
                    "case $(cat $task/comm) in *intr*) renice -n -20 -p ${task##*/};; esac; done"
                    % (self.pid, self.pid))

    def read_to_prompt(self, limit):
        def find(buffer):
            seen = self.recent + buffer
            ends = [seen.find(mark) + len(mark) for mark in (PROMPT, PANIC) if mark in seen]
            return min(ends) - len(self.recent) if ends else None

        text = self.recent + self.stream.take(find, limit, "prompt")
        self.recent = b""
        if text.endswith(PANIC):
            raise Panic("EAL: panic")
        return ESCAPES.sub(b"", text[:-len(PROMPT)]).decode(errors="replace").replace("\r", "")

    def command(self, line, limit=30):
        """Have a command executed; return what was printed until the next prompt."""
        # What came since the last prompt, such as news of a link. Its end may be half a mark.
        dropped = self.stream.drop()
        if PANIC in dropped:
            raise Panic("testpmd: before %s: EAL: panic" % line)
        self.recent = next(PANIC[:size] for size in range(len(PANIC), -1, -1)
                           if dropped.endswith(PANIC[:size]))
        self.stream.send(line.encode() + b"\n")
        try:
            out = self.read_to_prompt(limit)
        except Panic as error:
            raise Panic("testpmd: %s: %s" % (line, error)) from error
        except (Closed, Timeout) as error:
            raise Failed("testpmd: %s: %s" % (line, error)) from error
        if re.search(r"^(Bad arguments|Command not found|Ambiguous command)", out, re.M):
            raise Failed("testpmd: %s: %s" % (line, out.strip()))
        return out

    def running(self):
        return self.vm.run("kill -0 %d" % self.pid, check=False)[0] == 0

    def quit(self, limit=30):
        """End it in good order; return what it said."""
        self.stream.drop()
        self.stream.send(b"quit\n")
        out = self.stream.until(b"Bye...", limit).decode(errors="replace")
        wait_for(lambda: not self.running(), limit, "end of testpmd")
        return out.replace("\r", "")

    def kill(self, limit=10):
        """End it with SIGKILL: it has no say in it."""
        self.vm.run("kill -9 %d" % self.pid, check=False)
        wait_for(lambda: not self.running(), limit, "end of testpmd")

    def stats(self, port):
        """Counters of a port, such as {"RX-packets": 1, ...}."""
        out = self.command("show port stats %d" % port)
        return {name: int(value) for name, value in re.findall(r"([RT]X-\w+): +(\d+)", out)}
