# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Bars as SVG."""

import html

COLORS = {"avp": "#2b6cb0", "limit": "#9aa5b1", "rival": "#c05621"}
# Tests whose figure is a time.
TIMED = ("ping", "paced")


def svg_name(key):
    return "ports-%s.svg" % key


def svg(report, key, title):
    """A bar for each rival, of the placement that most points had; None without any."""
    work = report["works"][key]
    place = report["main_place"]
    timed = work["test"] in TIMED
    bars = []
    for name, result in report["results"][key].items():
        if place in result:
            row = result[place]
            kind = "limit" if name == report["limit"] else "avp" if result["avp"] else "rival"
            bars.append((result["label"], row["round_trip_p50_ns"] if timed else row["mpps"], kind))
    if not bars:
        return None
    return svg_bars("%s; %s" % (work["title"], title), "ns, p50" if timed else "Mpps", bars)


def all_plots(report):
    """Texts by the names of their files."""
    texts = {svg_name(key): svg(report, key, "most points: " + str(report["main_place"]))
             for key in report["works"]}
    return {name: text for name, text in texts.items() if text is not None}


def svg_bars(title, unit, bars):
    left, width, step, top = 400, 420, 22, 44
    largest = max(value for _, value, _ in bars) or 1
    height = top + step * len(bars) + 12
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" '
             'font-size="12">' % (left + width + 80, height),
             '<rect width="100%" height="100%" fill="white"/>',
             '<text x="10" y="20" font-size="14">%s (%s)</text>' % (html.escape(title), unit)]
    for i, (label, value, kind) in enumerate(bars):
        y = top + i * step
        size = width * value / largest
        form = "%.0f" if value >= 100 else "%.1f" if value >= 10 else "%.2f"
        lines.append('<text x="%d" y="%d" text-anchor="end">%s</text>'
                     % (left - 8, y + 12, html.escape(label)))
        lines.append('<rect x="%d" y="%d" width="%.1f" height="16" fill="%s"/>'
                     % (left, y, max(size, 1), COLORS[kind]))
        lines.append('<text x="%.1f" y="%d">%s</text>' % (left + size + 6, y + 12, form % value))
    return "\n".join(lines + ["</svg>"]) + "\n"
