#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Tables of a run, as text and as Markdown.

    report.py --doc docs/performance.md ports.json
    report.py --doc docs/performance.md --brief ports-full.json [MORE.json...]

puts the tables and plots of a run into the document, between its markers; the latter one table with a
row for each work. What was measured again later, in MORE, takes the place of what was before.
"""

import argparse
import html
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import goals  # noqa: E402
import plots  # noqa: E402
from points import PLACES, PLACE_TITLES  # noqa: E402


def number(value, form="%.1f"):
    return "-" if value is None else form % value


LOOP_COLUMNS = [
    ("Mpps", lambda r: number(r["mpps"], "%.2f" if r["mpps"] < 10 else "%.1f")),
    ("+-%", lambda r: number(r["spread"], "%.0f")),
    ("best", lambda r: number(r["best_mpps"], "%.2f" if r["best_mpps"] < 10 else "%.1f")),
    ("ratio", lambda r: number(r["ratio"], "%.2f")),
    ("host", lambda r: number(r["host_cycles"], "%.0f")),
    ("guest", lambda r: number(r["guest_cycles"], "%.0f")),
    ("lost", lambda r: "%d" % r["lost"]),
    ("MiB", lambda r: number(r["mem_mib"])),
    ("n", lambda r: "%d" % r["n"]),
]
TIME_COLUMNS = [
    ("Mpps", lambda r: number(r["mpps"], "%.2f")),
    ("p50 ns", lambda r: number(r["round_trip_p50_ns"], "%.0f")),
    ("p99 ns", lambda r: number(r["round_trip_p99_ns"], "%.0f")),
    ("p99.9 ns", lambda r: number(r["round_trip_p999_ns"], "%.0f")),
    ("one way p50", lambda r: number(r["one_way_p50_ns"], "%.0f")),
    ("p99", lambda r: number(r["one_way_p99_ns"], "%.0f")),
    ("p99.9", lambda r: number(r["one_way_p999_ns"], "%.0f")),
    ("ratio", lambda r: number(r["ratio"], "%.2f")),
    ("lost", lambda r: "%d" % r["lost"]),
    ("n", lambda r: "%d" % r["n"]),
]
def table_rows(work, summaries, place):
    """Header and rows of text; no columns that nobody has anything in."""
    columns = TIME_COLUMNS if work["test"] in plots.TIMED else LOOP_COLUMNS
    some = [summaries[key] for key in summaries if place in summaries[key]]
    columns = [(name, form) for name, form in columns if any(form(s[place]) != "-" for s in some)]
    return ([""] + [name for name, _ in columns],
            [[s["label"]] + [form(s[place]) for _, form in columns] for s in some])


def text_table(header, rows):
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]
    return "\n".join("  ".join([row[0].ljust(widths[0])] + [row[i].rjust(widths[i])
                                                           for i in range(1, len(row))])
                     for row in [header] + rows)


def markdown_table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def sections(report):
    """Title, work and summaries by placement, of each work that was measured."""
    for key, work in report["works"].items():
        for place in PLACES:
            header, rows = table_rows(work, report["results"][key], place)
            if rows:
                yield "%s; %s" % (work["title"], PLACE_TITLES[place]), key, place, header, rows


def counts_text(report):
    used = [p for p in report["points"] if p["usable"]]
    places = ", ".join("%d with %s" % (sum(p["place"] == place for p in used), title)
                       for place, title in PLACE_TITLES.items())
    return ("%(points)d points, %(left_out)d left out (%(moved)d as a CPU moved, %(disturbed)d as others "
            "ran); " % report["counts"]) + places + "."


def as_text(report):
    parts = ["\n%s\n%s" % (title, text_table(header, rows))
             for title, _, _, header, rows in sections(report)]
    header, rows = goals.table(report)
    parts.append("\nGoals\n" + text_table(header, rows))
    shown = {key for _, key, _, _, _ in sections(report)}
    parts += ["\n%s: no usable point" % work["title"] for key, work in report["works"].items()
              if key not in shown]
    for rival, reason in report["not_measured"].items():
        parts.append("not measured: %s: %s" % (rival, reason))
    parts.append("\n" + counts_text(report))
    return "\n".join(parts)


def as_markdown(report, plots_at="", places=None):
    """All of it, or the tables of some placements."""
    about = report["about"]
    parts = ["Commit %(commit)s, `%(command)s`, %(cpu)s with %(cpus)d CPUs, Linux %(kernel)s, %(dpdk)s, "
             "%(pages)s, %(date)s." % about, counts_text(report)]
    for title, key, place, header, rows in sections(report):
        if places is not None and place not in places:
            continue
        parts += ["### " + title, markdown_table(header, rows)]
        if place == report["main_place"]:
            parts.append("![%s](%s%s)" % (html.escape(title), plots_at, plots.svg_name(key)))
    parts += ["### Goals", markdown_table(*goals.table(report))]
    if report["not_measured"]:
        parts.append("\n".join("- not measured: %s: %s" % item
                               for item in report["not_measured"].items()))
    return "\n\n".join(parts) + "\n"


def brief_table(report, place):
    """Header and rows: the best of AVP and of its rivals in each work."""
    rows = []
    for key, work in report["works"].items():
        timed = work["test"] in plots.TIMED
        results = [r for name, r in report["results"][key].items() if name != report["limit"]]
        ours, theirs = (goals.best_of(results, place, avp, timed) for avp in (True, False))
        if ours is None or theirs is None:
            continue

        def cell(row, timed=timed):
            figure = row[place]["round_trip_p50_ns"] if timed else row[place]["mpps"]
            return number(figure, "%.0f ns" if timed else "%.2f")
        rows.append([work["title"], ours[1]["label"], cell(ours[1]), theirs[1]["label"], cell(theirs[1]),
                     "%.2f" % (ours[0] / theirs[0]), "%d, %d" % (ours[1][place]["n"], theirs[1][place]["n"])])
    return ["", "best of AVP", "Mpps, or p50", "best rival", "Mpps, or p50", "ratio", "n"], rows


def as_brief(reports):
    parts = []
    rows = {}
    for report in reports:
        header, some = brief_table(report, report["main_place"])
        mark = " *" * len(parts)
        rows.update((title, [title + mark, *cells]) for title, *cells in some)
        which = "Measured again, marked%s: commit" % mark if mark else "Commit"
        parts.append((which + " %(commit)s, `%(command)s`, %(date)s. " % report["about"]) + counts_text(report))
    return "\n\n".join(parts + [markdown_table(header, list(rows.values()))]) + "\n"


MARKERS = ("<!-- generated: bench/ports/report.py -->", "<!-- generated: end -->")
BRIEF_MARKERS = ("<!-- generated: bench/ports/report.py --brief -->", "<!-- generated: end of brief -->")
DOC_PLOTS = "performance"  # folder beside the document


def put_between(path, markers, part):
    """Put this part into the document."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = re.compile(re.escape(markers[0]) + ".*" + re.escape(markers[1]), re.DOTALL)
    if not block.search(text):
        sys.exit("report.py: %s: no line %s" % (path, markers[0]))
    with open(path, "w", encoding="utf-8") as file:
        file.write(block.sub(lambda _: "%s\n\n%s\n%s" % (markers[0], part, markers[1]), text))


def write_doc(path, report):
    """Put the report into the document, and its plots beside it."""
    places = {"near", report["main_place"]}
    put_between(path, MARKERS, as_markdown(report, DOC_PLOTS + "/", places))
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), DOC_PLOTS)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".svg"):
            os.unlink(os.path.join(folder, name))
    for name, plot in plots.all_plots(report).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(plot)


def main():
    parser = argparse.ArgumentParser(description="Put the tables of a run into a document.")
    parser.add_argument("--doc", required=True, help="document with markers")
    parser.add_argument("--brief", action="store_true", help="one table with a row for each work")
    parser.add_argument("json", nargs="+", help="ports.json of the run")
    args = parser.parse_args()
    reports = []
    for path in args.json:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    if args.brief:
        put_between(args.doc, BRIEF_MARKERS, as_brief(reports))
    elif len(reports) > 1:
        parser.error("several runs: with --brief only")
    else:
        write_doc(args.doc, reports[0])


if __name__ == "__main__":
    main()
