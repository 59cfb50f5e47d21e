#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""From points to figures: vm_report.py."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import vm_report  # noqa: E402


def rate(card, number, pps, usable=True, lost=0):
    return {"card": card, "round": number, "size": 64, "window": 128, "pps": pps, "p50_us": 1.0,
            "p99_us": 2.0, "lost": lost, "usable": usable}


def trip(card, number, p50_us, **more):
    return {"card": card, "round": number, "size": 64, "window": 1, "pps": 1.0, "p50_us": p50_us,
            "p99_us": 2 * p50_us, "lost": 0, "usable": True, **more}


def row(points, kind, card="a"):
    return vm_report.summarize(points, "ref", card, kind, 64)


class Figures(unittest.TestCase):
    def test_ratio_is_of_the_same_round(self):
        points = [rate("a", 0, 200), rate("ref", 0, 100), rate("a", 1, 60), rate("ref", 1, 30),
                  rate("a", 2, 900), rate("ref", 2, 300)]
        self.assertEqual(row(points, "rate")["ratio"], 2)
        self.assertEqual(row(points, "rate")["value"], 200)

    def test_rounds_without_the_reference_have_no_ratio(self):
        points = [rate("a", 0, 200), rate("ref", 1, 100)]
        self.assertIsNone(row(points, "rate")["ratio"])

    def test_ratio_of_round_trips_is_above_1_for_the_shorter(self):
        points = [trip("a", 0, 50), trip("ref", 0, 100)]
        self.assertEqual(row(points, "trip")["ratio"], 2)
        self.assertEqual(row(points, "trip")["p99_us"], 100)

    def test_rates_and_round_trips_are_apart(self):
        points = [rate("a", 0, 200), trip("a", 0, 50)]
        self.assertEqual((row(points, "rate")["value"], row(points, "trip")["value"]), (200, 50))

    def test_disturbed_points_are_left_out(self):
        points = [rate("a", 0, 200), rate("a", 1, 2, usable=False)]
        self.assertEqual((row(points, "rate")["value"], row(points, "rate")["n"]), (200, 1))
        self.assertIsNone(row(points[1:], "rate"))

    def test_a_card_that_passes_nothing_has_no_figures(self):
        silent = trip("a", 0, 1)
        del silent["p50_us"], silent["p99_us"]
        self.assertIsNone(row([silent, trip("ref", 0, 5)], "trip"))

    def test_lost_packets_are_summed(self):
        self.assertEqual(row([rate("a", 0, 9, lost=1), rate("a", 1, 9, lost=2)], "rate")["lost"], 3)


class Output(unittest.TestCase):
    def setUp(self):
        about = dict.fromkeys(("commit", "command", "cpu", "kernel", "qemu", "guest", "dpdk", "date"), "x")
        points = [rate("a", 0, 3000), rate("ref", 0, 1500), trip("a", 0, 50), trip("ref", 0, 100),
                  rate("c", 0, 1, usable=False)]
        self.report = vm_report.make(about | {"cpus": 2, "ms": 7},
                                     {"a": "Card A", "ref": "Reference", "c": "Card C"}, "ref", points)

    def test_tables_have_a_row_for_each_card(self):
        text = vm_report.as_text(self.report)
        self.assertRegex(text, r"Card A +3\.0 +- +2\.00 +0\n")
        self.assertRegex(text, r"Card A +50\.0 +100\.0 +- +2\.00\n")
        self.assertRegex(text, r"Card C +- +- +- +-\n")

    def test_it_says_what_was_left_out_and_that_only_ratios_count(self):
        for text in (vm_report.as_text(self.report), vm_report.as_markdown(self.report)):
            self.assertIn("1 rounds, 5 points of 7 ms, 1 left out", text)
            self.assertIn("ratio to Reference", text)

    def test_markdown_rows_have_as_many_cells_as_the_header(self):
        lines = [line for line in vm_report.as_markdown(self.report).split("\n") if line[:1] == "|"]
        self.assertEqual({line.count("|") for line in lines}, {6})


if __name__ == "__main__":
    unittest.main()
