#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Run the commands of docs/driver-host.md: each testpmd starts, shows its port, and ends.

    driver_host_doc_test.py PLUGIN DOCUMENT
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import dpdk_plugin  # noqa: E402

PLUGIN, DOCUMENT = sys.argv.pop(1), sys.argv.pop(1)


def documented():
    """The commands, one per line, indented by four as code is."""
    with open(DOCUMENT, encoding="utf-8") as text:
        return re.findall(r"^    (dpdk-testpmd .*)$", text.read(), re.M)


class Document(unittest.TestCase):
    """The page's commands."""

    def test_commands_work_as_written(self):
        """But for the folders of plug-in and sockets."""
        commands = documented()
        self.assertTrue(commands, "no testpmd command in the document")
        with tempfile.TemporaryDirectory() as folder:
            for command in commands:
                plugin = re.search(r" -d build/(\S+)", command)
                self.assertTrue(("/" + PLUGIN).endswith("/" + plugin.group(1)), command)
                words = command.replace(plugin.group(), "").replace("/tmp/", folder + "/").split()
                words[1:1] = [*dpdk_plugin.arguments(PLUGIN), "--file-prefix", "doc%d" % os.getpid()]
                done = subprocess.run(words, input="show port info 0\nquit\n", text=True, timeout=50,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                      env=dpdk_plugin.environment(PLUGIN, RUNTIME_DIRECTORY=folder))
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertIn("Driver name: net_avp_host", done.stdout)
                self.assertIn("Link status: down", done.stdout)

    def test_all_counters_are_explained(self):
        """Every name of avph_stats.c is somewhere in the table, or its beginning and end are."""
        with open(DOCUMENT, encoding="utf-8") as text:
            page = text.read()
        source = os.path.join(os.path.dirname(DOCUMENT), "../drivers/net/avp_host/avph_stats.c")
        with open(source, encoding="utf-8") as text:
            names = re.findall(r'\] = "(\w+)"', text.read())
        self.assertGreater(len(names), 30)
        for name in names:
            ends = [name] + [name[i:] for i in range(len(name)) if name[i] == "_"]
            self.assertTrue(any("%s`" % end in page for end in ends)
                            or "%s_*`" % "_".join(name.split("_")[:2]) in page, name)

    def test_all_arguments_are_explained(self):
        """Every key of avph_args.c has its place in the table."""
        with open(DOCUMENT, encoding="utf-8") as text:
            page = text.read()
        source = os.path.join(os.path.dirname(DOCUMENT), "../drivers/net/avp_host/avph_args.c")
        with open(source, encoding="utf-8") as text:
            keys = re.findall(r'\{"(\w+)", arg_', text.read())
        self.assertGreater(len(keys), 10)
        for key in keys:
            self.assertRegex(page, r"\n\| [^|]*`%s`[^|]* \|" % key)


if __name__ == "__main__":
    if shutil.which("dpdk-testpmd") is None:
        print("skipped: no dpdk-testpmd")
        sys.exit(77)
    unittest.main()
