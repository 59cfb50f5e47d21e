#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""From points to figures: points.py, goals.py, report.py, plots.py, works.py."""

import os
import sys
import tempfile
import types
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import goals  # noqa: E402
import plots  # noqa: E402
import points as pointing  # noqa: E402
import report  # noqa: E402
import rivals  # noqa: E402
import run  # noqa: E402
import works  # noqa: E402


def times(p50_ns):
    return {"p50_ns": p50_ns, "p99_ns": 2 * p50_ns, "p999_ns": 3 * p50_ns}


def point(rival, mpps, time, probe=(120, 130), cpu=1.0, work="w", **more):
    side = {"pps": mpps * 1e6, "cycles": 10, "cpu": cpu}
    return {"rival": rival, "work_key": work, "time": time, "probe_ns": list(probe), "host": side,
            "guest": dict(side), "lost": 0, "real_time": True,
            "reference": "ref", **more}


class Points(unittest.TestCase):
    def ratio(self, points):
        pointing.prepare(points)
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
        self.assertEqual(self.ratio([point("a", 1, 10, round_trip=times(500)), point("ref", 1, 9, round_trip=times(1000))]), 2)

    def test_no_ratio_without_a_usable_reference(self):
        self.assertIsNone(self.ratio([point("a", 30, 10), point("ref", 10, 9, cpu=0.5)]))

    def test_points_of_a_cpu_that_moved_are_left_out(self):
        points = [point("a", 30, 1), point("a", 90, 2, probe=(120, 450)), point("a", 10, 3, cpu=0.5)]
        pointing.prepare(points)
        summary = pointing.summarize(points)
        self.assertEqual(list(summary), ["near"])
        self.assertEqual((summary["near"]["n"], summary["near"]["mpps"]), (1, 30))

    def test_classes_of_placement(self):
        for probe, place in (((40, 45), "same"), ((60, 149), "near"), ((150, 260), "apart"),
                             ((59, 60), "moved"), ((140, 160), "moved")):
            with self.subTest(probe=probe):
                self.assertEqual(pointing.placement(point("a", 1, 1, probe=probe)), place)

    def test_probe_without_an_answer_has_no_class(self):
        for probe in ((0, 0), (100, 0)):
            self.assertEqual(pointing.placement(point("a", 1, 1, probe=probe)), "moved")

    def test_main_placement_is_that_of_most_usable_points(self):
        points = [point("a", 1, 1, probe=(200, 200)), point("a", 1, 2, probe=(200, 200)),
                  point("a", 1, 3, probe=(200, 200), cpu=0.5), point("a", 1, 4), point("a", 1, 5),
                  point("a", 1, 6)]
        pointing.prepare(points)
        self.assertEqual(pointing.main_place(points), "near")
        self.assertIsNone(pointing.main_place([]))

    def test_spread_is_half_the_distance_of_the_quartiles(self):
        self.assertEqual(pointing.spread([100, 90, 110, 100, 80, 120, 100]), 10)
        self.assertIsNone(pointing.spread([1, 2, 3]))


def make_report(points, limit="ring"):
    """A report of these points; rivals whose names begin with "avp" or "switch" are ours."""
    pointing.prepare(points)
    keys = dict.fromkeys(p["work_key"] for p in points)
    results = {key: {name: {"label": name, "avp": name.startswith(("avp", "switch")),
                            **pointing.summarize([p for p in points if p["rival"] == name and
                                                  p["work_key"] == key])}
                     for name in dict.fromkeys(p["rival"] for p in points if p["work_key"] == key)}
               for key in keys}
    return {
        "about": dict.fromkeys(("commit", "command", "cpu", "kernel", "dpdk", "pages", "date"), "x")
        | {"cpus": 2},
        "limit": limit, "reference": "vhost-packed", "not_measured": {}, "points": points,
        "main_place": pointing.main_place(points), "results": results,
        "works": {key: {"title": "Title", "test": key.split("-", maxsplit=1)[0]} for key in keys},
        "counts": {"points": len(points), "left_out": 0, "moved": 0, "disturbed": 0}}


class Goals(unittest.TestCase):
    def rows(self, points):
        """Rows of the table by their titles."""
        header, rows = goals.table(make_report(points))
        self.assertTrue(all(len(row) == len(header) for row in rows))
        return {row[0]: row[2:] for row in rows}

    def test_every_goal_has_a_row_and_a_reason(self):
        rows = self.rows([point("ref", 1, 1, probe=(200, 200))])
        self.assertEqual(len(rows), len(goals.GOALS) + 2)
        for row in rows.values():
            self.assertEqual(row[1], "no point was near in this run")
            self.assertRegex(row[3], "^not measured: |^reached")

    def test_ratio_is_of_neighbours_in_time(self):
        row = self.rows([point("avp-stock", 13, 1, work="ends-mac-64"),
                         point("vhost-packed", 10, 2, work="ends-mac-64"),
                         point("vhost-packed", 99, 9, work="ends-mac-64")])[goals.GOALS[0].title]
        self.assertEqual(row, ["1.30", "reached"])

    def test_cycles_are_to_be_few(self):
        for cycles, reached in ((29, "reached"), (31, "not reached")):
            ours = point("avp-domain", 1, 1, work="switch-mac-64")
            theirs = point("vhost-packed", 1, 2, work="switch-mac-64")
            ours["host"]["cycles"], theirs["host"]["cycles"] = cycles, 100
            rows = self.rows([ours, theirs])
            self.assertEqual([row[1] for title, row in rows.items()
                              if "one domain, our driver, the same, 64" in title], [reached])

    def test_the_best_of_several_rivals_counts(self):
        rows = self.rows([point("switch", 40, 1, work="through-mac-64"),
                          point("ovs-normal", 5, 2, work="through-mac-64"),
                          point("ovs-flows", 20, 3, work="through-mac-64")])
        self.assertEqual(rows["avp-switch, isolated, the same, 64 B"],
                         ["2.00 (ovs-flows)", "not reached"])

    def test_goals_about_two_works(self):
        few = point("switch", 2, 1, work="through-mac-64-m10")
        many = point("switch", 1, 2, work="through-mac-64-m1000000")
        few["host"]["cycles"], many["host"]["cycles"] = 100, 150
        self.assertEqual([row for title, row in self.rows([few, many]).items() if "FDB" in title],
                         [["1.50", "reached"]])

    def test_works_of_goals_are_in_the_default_plan(self):
        plan = {work.key: work.rivals for work in works.plan_default()}
        for goal in goals.GOALS:
            if goal.rival in works.known([goal.rival]):
                self.assertIn(goal.rival, plan[goal.works[0]])
                self.assertTrue(set(goal.against) <= set(plan[goal.works[1]]))

    def test_losses_and_slower_tables_are_named(self):
        rows = self.rows([point("avp", 1, 1, work="ends-mac-64", lost=3),
                          point("memif", 2, 2, work="ends-mac-64"),
                          point("ring", 9, 2, work="ends-mac-64")])
        self.assertEqual(rows["packets lost by AVP ports"], ["3", "not reached"])
        self.assertEqual(rows["tables with AVP ahead of every rival"],
                         ["0 of 1", "not reached: ends-mac-64"])


class Output(unittest.TestCase):
    def setUp(self):
        self.report = make_report([point("a<b", 30.5, 1), point("ref", 10, 2)])

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

    def test_document_gets_tables_and_plots_between_its_markers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "doc.md")
            for _ in range(2):  # again gives the same
                if not os.path.exists(path):
                    with open(path, "w", encoding="utf-8") as file:
                        file.write("before\n%s\nold\n%s\nafter\n" % report.MARKERS)
                report.write_doc(path, self.report)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.assertTrue(text.startswith("before\n"))
                self.assertTrue(text.endswith("after\n"))
                self.assertNotIn("old", text)
                self.assertEqual(text.count("| a<b |"), 1)
                self.assertIn("(performance/ports-w.svg)", text)
            self.assertEqual(os.listdir(os.path.join(folder, "performance")), ["ports-w.svg"])

    def test_brief_table_has_the_best_of_both_sides_of_each_work(self):
        made = make_report([point("avp-copy", 20, 1), point("avp", 30, 1), point("memif", 10, 2),
                            point("vhost", 15, 2), point("ring", 99, 2),
                            point("avp", 1, 1, work="ping-v", round_trip=times(500)),
                            point("memif", 1, 1, work="ping-v", round_trip=times(1000)),
                            point("avp", 1, 1, work="alone")])
        self.assertEqual(report.brief_table(made, "near")[1],
                         [["Title", "avp", "30.00", "vhost", "15.00", "2.00", "1, 1"],
                          ["Title", "avp", "500 ns", "memif", "1000 ns", "2.00", "1, 1"]])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "doc.md")
            with open(path, "w", encoding="utf-8") as file:
                file.write("%s\n%s\n%s\nold\n%s\n" % (*report.MARKERS, *report.BRIEF_MARKERS))
            report.put_between(path, report.BRIEF_MARKERS, report.as_brief([made]))
            with open(path, encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(text.startswith("%s\n%s\n%s\n" % (*report.MARKERS, report.BRIEF_MARKERS[0])))
            self.assertIn("| Title | avp | 500 ns | memif |", text)
            self.assertNotIn("old", text)

    def test_brief_table_takes_what_was_measured_again(self):
        first, again = (make_report([point("avp", mpps, 1, work=work), point("memif", 10, 2, work=work)])
                        for work, mpps in (("a", 20), ("b", 40)))
        first["works"]["a"]["title"] = again["works"]["b"]["title"] = "Same"
        text = report.as_brief([first, again])
        self.assertIn("Measured again, marked *: commit x", text)
        self.assertIn("| Same * | avp | 40.00 | memif | 10.00 | 4.00 | 1, 1 |", text)
        self.assertNotIn("20.00", text)

    def test_plot_is_xml_with_a_bar_for_each_rival(self):
        root = xml.etree.ElementTree.fromstring(plots.svg(self.report, "w", ""))
        bars = [e for e in root if e.tag.endswith("rect") and e.get("height") == "16"]
        self.assertEqual([round(float(bar.get("width"))) for bar in bars], [420, 138])


class Works(unittest.TestCase):
    def test_keys_are_unique(self):
        for make, _ in works.PLANS.values():
            keys = [work.key for work in make()]
            self.assertEqual(len(keys), len(set(keys)))

    def test_report_has_a_row_for_each_point_that_was_measured(self):
        work = next(work for work in works.plan_default() if work.reference not in work.rivals)
        runner = types.SimpleNamespace(failed={}, not_measured={}, points=[
            point(work.rivals[0], 2, 1, work=work.key), point(work.reference, 1, 2, work=work.key)])
        args = types.SimpleNamespace(plan="default", seconds=540, work=None)
        made = run.make_report(run.about(args, False), [work], runner)
        self.assertEqual(made["about"]["command"], "bench/ports/run.py --plan default --seconds 540")
        self.assertEqual(list(made["results"][work.key]), [work.rivals[0], work.reference])
        self.assertTrue(goals.table(made))

    def test_rivals_exist(self):
        for make, _ in works.PLANS.values():
            for work in make():
                names = works.PROGRAMS if work.test == "through" else rivals.RIVALS
                self.assertTrue(set(work.rivals) <= set(names), work.key)


if __name__ == "__main__":
    unittest.main()
