# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""From measured points to medians and ratios, as text and Markdown."""

import os
import statistics
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../ports"))

from points import spread  # noqa: E402
from report import markdown_table, number, text_table  # noqa: E402

NOTE = ("The guest's CPU is emulated by QEMU (TCG), so only ratios mean something. They are medians of each "
        "round's ratio to %s, above 1 for what is better.")
# Title, the one figure that ratios and spreads are of, and whether more of it is better.
KINDS = {
    "rate": ("Packets to the guest and back, thousands per second, %d on the way", "pps", True),
    "trip": ("Round trip with one packet on the way, us", "p50_us", False),
}


def kind_of(point):
    return "trip" if point["window"] == 1 else "rate"


def usable(point, figure):
    """A round trip without a packet that came back has no figure."""
    return point["usable"] and point.get(figure, 0) > 0


def ratios(points, reference, card, figure, more_is_better):
    """Of each round that has both."""
    by_round = {name: {p["round"]: p[figure] for p in points if p["card"] == name}
                for name in (card, reference)}
    both = sorted(set(by_round[card]) & set(by_round[reference]))
    values = [by_round[card][n] / by_round[reference][n] for n in both]
    return values if more_is_better else [1 / value for value in values]


def summarize(points, reference, card, kind, size):
    """What a table says of a card at a size, or None without a usable point."""
    _, figure, more_is_better = KINDS[kind]
    some = [p for p in points if kind_of(p) == kind and p["size"] == size and usable(p, figure)]
    own = [p for p in some if p["card"] == card]
    if not own:
        return None
    quotients = ratios(some, reference, card, figure, more_is_better)
    values = [p[figure] for p in own]
    return {"value": statistics.median(values), "spread": spread(values), "n": len(own),
            "p99_us": statistics.median([p["p99_us"] for p in own]),
            "ratio": statistics.median(quotients) if quotients else None,
            "lost": sum(p["lost"] for p in own)}


def make(about, labels, reference, points):
    """All of it, as it goes into the JSON. labels is {card: label}, in the order of tables."""
    sizes = sorted({point["size"] for point in points})
    return {"benchmark": "vm", "about": about, "labels": labels, "reference": reference,
            "sizes": sizes, "rounds": len({point["round"] for point in points}),
            "window": max(point["window"] for point in points),
            "left_out": sum(not point["usable"] for point in points),
            "results": {kind: {card: {str(size): summarize(points, reference, card, kind, size)
                                      for size in sizes} for card in labels} for kind in KINDS},
            "points": points}


def cells(kind, row):
    """One card at one size."""
    if row is None:
        return ["-"] * len(columns(kind, 0))
    if kind == "rate":
        return [number(row["value"] / 1000), number(row["spread"], "%.0f"),
                number(row["ratio"], "%.2f"), "%d" % row["lost"]]
    return [number(row["value"]), number(row["p99_us"]), number(row["spread"], "%.0f"),
            number(row["ratio"], "%.2f")]


def columns(kind, size):
    first = ["%d B" % size]
    return first + (["+-%", "ratio", "lost"] if kind == "rate" else ["p99", "+-%", "ratio"])


def tables(report):
    """Title, header, rows, of each."""
    for kind, (title, _, _) in KINDS.items():
        header = sum((columns(kind, size) for size in report["sizes"]), [""])
        rows = [[label] + sum((cells(kind, report["results"][kind][card][str(size)])
                               for size in report["sizes"]), [])
                for card, label in report["labels"].items()]
        yield (title % report["window"] if "%d" in title else title), header, rows


def note(report):
    return NOTE % report["labels"][report["reference"]]


def closing(report):
    return ("%d rounds, %d points of %d ms, %d left out as others ran"
            % (report["rounds"], len(report["points"]), report["about"]["ms"], report["left_out"]))


def as_text(report):
    parts = ["\n%s\n%s" % (title, text_table(header, rows)) for title, header, rows in tables(report)]
    return "\n".join(parts + ["\n" + note(report), closing(report)])


def as_markdown(report):
    parts = ["Commit %(commit)s, `%(command)s`, %(cpu)s with %(cpus)d CPUs, Linux %(kernel)s, "
             "%(qemu)s, guest %(guest)s, host %(dpdk)s, %(date)s." % report["about"], note(report)]
    for title, header, rows in tables(report):
        parts += ["### " + title, markdown_table(header, rows)]
    return "\n\n".join(parts + [closing(report)]) + ".\n"
