#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""From points to figures: report.py."""

import os
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report  # noqa: E402


def point(rival, mpps, time, probe=(120, 130), cpu=1.0, work="w", **more):
    side = {"pps": mpps * 1e6, "cycles": 10, "cpu": cpu}
    return {"rival": rival, "work_key": work, "time": time, "probe_ns": list(probe), "host": side,
            "guest": dict(side), "lost": 0, "real_time": True,
            "reference": "ref", **more}


class Points(unittest.TestCase):
    def ratio(self, points):
        report.prepare(points)
        return points[0].get("ratio")

    def test_ratio_is_to_the_nearest_reference_in_time(self):
        self.assertEqual(self.ratio([point("a", 30, 10), point("ref", 10, 9), point("ref", 60, 14)]), 3)

    def test_ratio_is_to_a_reference_of_the_same_placement(self):
        self.assertEqual(self.ratio([point("a", 30, 10), point("ref", 60, 9, probe=(450, 450)),
                                     point("ref", 10, 14)]), 3)

    def test_ratio_is_to_a_reference_of_the_same_work(self):
        self.assertEqual(self.ratio([point("a", 30, 10), point("ref", 60, 9, work="other"),
                                     point("ref", 10, 14)]), 3)

    def test_ratio_of_round_trips_is_above_1_for_the_shorter(self):
        self.assertEqual(self.ratio([point("a", 1, 10, p50_ns=500), point("ref", 1, 9, p50_ns=1000)]), 2)

    def test_no_ratio_without_a_usable_reference(self):
        self.assertIsNone(self.ratio([point("a", 30, 10), point("ref", 10, 9, cpu=0.5)]))

    def test_points_of_a_cpu_that_moved_are_left_out(self):
        points = [point("a", 30, 1), point("a", 90, 2, probe=(120, 450)), point("a", 10, 3, cpu=0.5)]
        report.prepare(points)
        summary = report.summarize(points)
        self.assertEqual(list(summary), ["near"])
        self.assertEqual((summary["near"]["n"], summary["near"]["mpps"]), (1, 30))

    def test_probe_without_an_answer_is_not_near(self):
        self.assertEqual(report.placement(point("a", 1, 1, probe=(0, 0))), "far")

    def test_spread_is_half_the_distance_of_the_quartiles(self):
        self.assertEqual(report.spread([100, 90, 110, 100, 80, 120, 100]), 10)
        self.assertIsNone(report.spread([1, 2, 3]))


class Output(unittest.TestCase):
    def setUp(self):
        points = [point("a<b", 30.5, 1), point("ref", 10, 2)]
        report.prepare(points)
        self.report = {
            "about": dict.fromkeys(("commit", "command", "cpu", "kernel", "dpdk", "pages", "date"), "x")
            | {"cpus": 2},
            "limit": "ring", "reference": "vhost-packed", "works": {"w": {"title": "Title", "test": "ends"}}, "not_measured": {},
            "counts": {"points": 2, "left_out": 0, "moved": 0, "disturbed": 0},
            "results": {"w": {name: {"label": name, "avp": False, **report.summarize(
                [p for p in points if p["rival"] == name])} for name in ("a<b", "ref")}}}

    def test_table_has_a_row_for_each_rival_and_no_empty_column(self):
        text = report.as_text(self.report)
        self.assertRegex(text, r"a<b +30\.5 +30\.5 +3\.05 +10 +10 +0 +1\n")
        self.assertNotIn("MiB", text)

    def test_work_without_a_usable_point_is_named(self):
        self.report["works"]["v"] = {"title": "Other", "test": "ends"}
        self.report["results"]["v"] = {}
        self.assertIn("Other: no usable point", report.as_text(self.report))

    def test_markdown_names_the_plot(self):
        self.assertIn("(ports-w.svg)", report.as_markdown(self.report))

    def test_goals_say_what_is_reached(self):
        rows = {name: {"near": {"mpps": mpps, "ratio": mpps / 10, "p50_ns": 0, "host_cycles": 0}}
                for name, mpps in (("avp-stock", 13), ("avp-recycle", 30), ("vhost-packed", 10),
                                   ("ring", 40))}
        self.report["results"] = {"ends-mac-64": rows}
        self.assertEqual([row[1:] for row in report.goals(self.report)[1]],
                         [["64 B", ">= 1.30", "1.30", "reached"],
                          ["64 B", ">= 3.50", "3.00", "not reached"],
                          ["64 B", ">= 0.70", "0.75", "reached"]])

    def test_plot_is_xml_with_a_bar_for_each_rival(self):
        root = xml.etree.ElementTree.fromstring(report.svg(self.report, "w"))
        bars = [e for e in root if e.tag.endswith("rect") and e.get("height") == "16"]
        self.assertEqual([round(float(bar.get("width"))) for bar in bars], [420, 138])


if __name__ == "__main__":
    unittest.main()
