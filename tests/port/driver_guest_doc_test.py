#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Run the two terminals of docs/driver-guest.md, and compare its tables with the driver.

    driver_guest_doc_test.py SOURCE-ROOT BUILD-ROOT
"""

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import dpdk_plugin  # noqa: E402

SOURCE, BUILD = sys.argv.pop(1), sys.argv.pop(1)
LIMIT = 60  # seconds
PROMPT = "testpmd> "


def page():
    with open(os.path.join(SOURCE, "docs/driver-guest.md"), encoding="utf-8") as text:
        return text.read()


class Terminal:
    """A testpmd that is talked to."""

    def __init__(self, command, folder):
        words = command.replace("/tmp/", folder + "/").split()
        index = words.index("-d") + 1
        plugin = os.path.join(BUILD, os.path.relpath(words[index], "build"))
        words[index - 1:index + 1] = dpdk_plugin.arguments(plugin)
        index = words.index("--file-prefix") + 1
        words[index] += str(os.getpid())
        self.output = ""
        # a terminal: to a pipe testpmd would write in blocks
        self.end, other = pty.openpty()
        self.process = subprocess.Popen(words, stdin=other, stdout=other, stderr=other, cwd=SOURCE,
                                        env=dpdk_plugin.environment(plugin, RUNTIME_DIRECTORY=folder))
        os.close(other)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.end, 4096)
            except OSError:  # all of them are gone at the other end
                return
            self.output += data.decode(errors="replace").replace("\r", "")

    def expect(self, pattern, start=0):
        """Wait until the output after @start has the pattern."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            found = re.search(pattern, self.output[start:])
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError("no %r in:\n%s" % (pattern, self.output))

    def type(self, line, pattern):
        """Enter a command, wait until it has printed the pattern, return the match."""
        start = len(self.output)
        os.write(self.end, (line + "\n").encode())
        return self.expect(pattern, start)

    def quit(self):
        """End it; return its exit status."""
        if self.process.poll() is None:
            os.write(self.end, b"quit\n")
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        os.close(self.end)
        return self.process.returncode


class Document(unittest.TestCase):
    """The page's commands and tables."""

    @unittest.skipUnless(shutil.which("dpdk-testpmd"), "no dpdk-testpmd")
    def test_two_terminals_work_as_written(self):
        """But for the folders of plug-in and socket, and the file prefixes."""
        commands = re.findall(r"^    (dpdk-testpmd .*--vdev .*)$", page(), re.M)
        typed = re.findall(r"^    (start .*|show .*)$", page(), re.M)
        self.assertEqual(len(commands), 2)
        self.assertEqual(len(typed), 3)
        terminals = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                for command in commands:
                    terminals.append(Terminal(command, folder))
                    terminals[-1].expect(re.escape(PROMPT))
                guest = terminals[1]
                guest.type(typed[0], r"packet forwarding")
                self.wait_packets(guest, typed[1])
                guest.type(typed[2], r"ctrl_requests: [1-9]")
            finally:
                statuses = [terminal.quit() for terminal in reversed(terminals)]
            self.assertEqual(statuses, [0, 0], terminals[0].output + terminals[1].output)

    def wait_packets(self, guest, show):
        """Packets come back, more and more of them."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            shown = guest.type(show, r"RX-packets: (\d+)[^#]*RX-errors: (\d+)[^#]*#")
            self.assertEqual(shown.group(2), "0")
            if int(shown.group(1)) > 1000:
                return
        self.fail(guest.output)

    def test_all_counters_are_explained(self):
        """Every name of avpg_stats.c is in a table, under its kind."""
        with open(os.path.join(SOURCE, "drivers/net/avp/avpg_stats.c"), encoding="utf-8") as text:
            names = re.findall(r'(RX|TX|CTRL|PORT)_COUNTER\("(\w+)"', text.read())
        self.assertGreater(len(names), 20)
        for kind, name in names:
            prefix = {"RX": "rx_qN_", "TX": "tx_qN_"}.get(kind, "")
            self.assertRegex(page(), r"\n\|[^|]*`%s`[^|]*\|" % (prefix + name))

    def test_all_arguments_are_explained(self):
        """Every key of avpg_user.c has its place in the table."""
        with open(os.path.join(SOURCE, "drivers/net/avp/avpg_user.c"), encoding="utf-8") as text:
            keys = re.findall(r'#define ARG_\w+ "(\w+)"', text.read())
        self.assertGreaterEqual(len(keys), 2)
        for key in keys:
            self.assertRegex(page(), r"\n\| `%s` \|" % key)

    def test_tests_of_defects_exist(self):
        """Each that the table names is run by a test program."""
        section = page().split("\n## What the stock driver does wrong\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| .* \| .* \| (.*) \|$", section, re.M)[2:]
        self.assertEqual(len(rows), 26)
        sources = ""
        for folder in ("tests/port", "tests/unit"):
            for name in os.listdir(os.path.join(SOURCE, folder)):
                if name.endswith("_test.c"):
                    with open(os.path.join(SOURCE, folder, name), encoding="utf-8") as text:
                        sources += text.read()
        for row in rows:
            names = re.findall(r"`(\w+)`", row)
            self.assertGreater(len(names), 0, row)
            for name in names:
                self.assertRegex(sources, r"\b%s\(void \*\*state" % name)
                self.assertRegex(sources, r"(TEST|cmocka_unit_test\w*)\(\s*%s\b" % name)


if __name__ == "__main__":
    unittest.main()
