#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Check that the tests named in the feature table of docs/driver-guest.md exist and are run.

    driver_guest_features_test.py SOURCE-ROOT
"""

import glob
import os
import re
import sys
import unittest

SOURCE = sys.argv.pop(1)
COLUMNS = ["feature", "ours", "shown by", "net_avp", "virtio", "memif"]
# What has been looked up of the other drivers: yes, in part, no, or that the question has no sense;
# in brackets by their sources.
OTHERS = r"\(?[YP-](: [^()]+)?\)?( \([^()]+\))?$|$"


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as text:
        return text.read()


def table():
    """The rows of the table, as lists of cells."""
    page = read("docs/driver-guest.md")
    part = page[page.index("\n## Compared\n"):]
    part = part[:part.index("\n## ", 1)]
    lines = re.findall(r"^\| (.*) \|$", part, re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


class Table(unittest.TestCase):
    """The table of features."""

    def setUp(self):
        header, _, *self.rows = table()
        self.assertEqual(header, COLUMNS)

    def test_every_row_is_complete(self):
        self.assertGreater(len(self.rows), 35)
        for row in self.rows:
            self.assertEqual(len(row), len(COLUMNS), row)
            self.assertRegex(row[1], r"^[YP-](: .+)?$", row)
            for cell in row[3:]:
                self.assertRegex(cell, OTHERS, row)
        features = [row[0] for row in self.rows]
        self.assertEqual(len(features), len(set(features)), "a feature has two rows")

    def test_what_we_have_is_shown_by_tests(self):
        for row in self.rows:
            tests = re.findall(r"`([^`]+)`", row[2])
            self.assertEqual(row[2], ", ".join("`%s`" % test for test in tests), row)
            if not row[1].startswith("-"):
                self.assertTrue(tests, "no test: %s" % row)

    def test_the_tests_exist_and_are_run(self):
        for row in self.rows:
            for name in re.findall(r"`([^`]+)`", row[2]):
                self.check_test(name)

    def check_test(self, name):
        """Is FILE/FUNCTION a test that its file runs and that meson knows?"""
        self.assertRegex(name, r"^\w+/\w+$")
        file, function = name.split("/")
        paths = glob.glob(os.path.join(SOURCE, "tests/*/%s.*" % file))
        self.assertEqual(len(paths), 1, name)
        source = read(paths[0])
        if paths[0].endswith(".py"):
            self.assertTrue(re.search(r"def %s\(" % function, source), name)
        else:
            self.assertTrue(re.search(r"\n%s\(void \*\*state" % function, source), name)
            # its place in the table of tests, behind the function itself
            self.assertTrue(re.search(r"\b%s\b" % function, source.split("\nmain(")[1]), name)
        meson = read(os.path.join(os.path.dirname(paths[0]), "meson.build"))
        self.assertTrue(re.search(r"'%s(\.py)?'" % file, meson), name)


if __name__ == "__main__":
    unittest.main()
