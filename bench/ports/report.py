# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""From measured points to medians, a table, Markdown and SVG."""

import html
import statistics

# A cache line's round trip, ns: below, the two CPUs share a cache; above, they do not.
NEAR_NS = 250
# A polling thread that had less of its CPU than this was disturbed.
MIN_CPU = 0.92
# What was aimed at, of near points: rival, test, figure, the figure's rival to compare with, the
# goals for 64 and 1518 bytes, and whether more is better.
GOALS = [
    ("stock driver, packets per second", "ends", "avp-stock", "vhost-packed", "mpps", (1.3, 1.05), True),
    ("our driver by copy, packets per second", "ends", "avp-copy", "vhost-packed", "mpps", (1.7, 1.2),
     True),
    ("recycle, packets per second", "ends", "avp-recycle", "vhost-packed", "mpps", (3.5, 11), True),
    ("recycle, of the pointer ring's packets per second", "ends", "avp-recycle", "ring", "mpps",
     (0.7, 0.7), True),
    ("switch's cycles, one domain, by copy", "switch", "avp-domain-copy", "vhost-packed", "host_cycles",
     (0.6, 0.2), False),
    ("switch's cycles, one domain, recycle", "switch", "avp-domain-recycle", "vhost-packed",
     "host_cycles", (0.3, 0.08), False),
    ("switch's cycles, isolated, recycle", "switch", "avp-recycle", "vhost-packed", "host_cycles",
     (0.45, 0.45), False),
    ("recycle, round trip", "ping", "avp-recycle", "vhost-packed", "p50_ns", (0.6, 0.5), False),
]
COLORS = {"avp": "#2b6cb0", "limit": "#9aa5b1", "rival": "#c05621"}


def placement(point):
    """"near", "far", or "moved" when it changed meanwhile."""
    near = [0 < ns <= NEAR_NS for ns in point["probe_ns"]]
    if all(near):
        return "near"
    return "moved" if any(near) else "far"


def disturbed(point):
    return min(point["host"]["cpu"], point["guest"]["cpu"]) < MIN_CPU


def figure(point):
    """What ratios are made of: the more the better."""
    return 1e9 / point["p50_ns"] if "p50_ns" in point else point["host"]["pps"]


def add_ratios(points):
    """To each point its ratio to the nearest one in time of its reference, same work, same placement."""
    for point in points:
        rivals = [p for p in points if p["rival"] == point["reference"] and p["work_key"] == point["work_key"]
                  and p["place"] == point["place"] and p["usable"]]
        if rivals and point["usable"]:
            nearest = min(rivals, key=lambda p: abs(p["time"] - point["time"]))
            point["ratio"] = figure(point) / figure(nearest)


def prepare(points):
    for point in points:
        point["place"] = placement(point)
        point["usable"] = point["place"] != "moved" and not (point["real_time"] and disturbed(point))
    add_ratios(points)


def median(values):
    return statistics.median(values) if values else None


def spread(values):
    """Half of the distance between the quartiles, in percent of the median."""
    if len(values) < 4:
        return None
    low, middle, high = statistics.quantiles(values, n=4)
    return 50 * (high - low) / middle if middle else None


def summarize(points):
    """Of points with the same work and rival: figures by placement."""
    rows = {}
    for place in ("near", "far"):
        some = [p for p in points if p["usable"] and p["place"] == place]
        if not some:
            continue
        pps = [p["host"]["pps"] for p in some]
        row = {"n": len(some), "mpps": median(pps) / 1e6, "best_mpps": max(pps) / 1e6,
               "spread": spread(pps),
               "host_cycles": median([p["host"]["cycles"] for p in some]),
               "guest_cycles": median([p["guest"]["cycles"] for p in some]),
               "ratio": median([p["ratio"] for p in some if "ratio" in p]),
               "lost": sum(p["lost"] for p in some),
               "mem_mib": median([p["mem_kib"] / 1024 for p in some if p.get("mem_kib")])}
        for key in ("p50_ns", "p99_ns", "p999_ns"):
            row[key] = median([p[key] for p in some if key in p])
        rows[place] = row
    return rows


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
PING_COLUMNS = [
    ("p50 ns", lambda r: number(r["p50_ns"], "%.0f")),
    ("p99 ns", lambda r: number(r["p99_ns"], "%.0f")),
    ("p99.9 ns", lambda r: number(r["p999_ns"], "%.0f")),
    ("ratio", lambda r: number(r["ratio"], "%.2f")),
    ("lost", lambda r: "%d" % r["lost"]),
    ("n", lambda r: "%d" % r["n"]),
]


def table_rows(work, summaries, place):
    """Header and rows of text; no columns that nobody has anything in."""
    columns = PING_COLUMNS if work["test"] == "ping" else LOOP_COLUMNS
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
        for place in ("near", "far"):
            header, rows = table_rows(work, report["results"][key], place)
            if rows:
                yield "%s; CPUs %s" % (work["title"], place), key, place, header, rows


def goal_ratio(report, goal, size):
    """The ratio of medians, or of neighbours in time where that is what ratios are made of; or None."""
    _, test, rival, against, field, _, _ = goal
    results = report["results"].get("%s-mac-%d" % (test, size), {})
    rows = [results.get(name, {}).get("near") for name in (rival, against)]
    if None in rows:
        return None
    if field == "mpps" and against == report["reference"]:
        return rows[0]["ratio"]
    return rows[0][field] / rows[1][field]


def goals(report):
    """Header and rows; no rows where nothing near was measured."""
    rows = []
    for goal in GOALS:
        for size, limit in zip((64, 1518), goal[5]):
            ratio = goal_ratio(report, goal, size)
            if ratio is not None:
                reached = ratio >= limit if goal[6] else ratio <= limit
                rows.append([goal[0], "%d B" % size, "%s %.2f" % (">=" if goal[6] else "<=", limit),
                             "%.2f" % ratio, "reached" if reached else "not reached"])
    return ["Ratio to vhost-user packed, CPUs near", "size", "goal", "measured", ""], rows


def as_text(report):
    parts = ["\n%s\n%s" % (title, text_table(header, rows))
             for title, _, _, header, rows in sections(report)]
    header, rows = goals(report)
    if rows:
        parts.append("\n" + text_table(header, rows))
    shown = {key for _, key, _, _, _ in sections(report)}
    parts += ["\n%s: no usable point" % work["title"] for key, work in report["works"].items()
              if key not in shown]
    for rival, reason in report["not_measured"].items():
        parts.append("not measured: %s: %s" % (rival, reason))
    parts.append("\n%(points)d points, %(left_out)d left out (%(moved)d as a CPU moved, %(disturbed)d as "
                 "others ran)" % report["counts"])
    return "\n".join(parts)


def as_markdown(report):
    about = report["about"]
    parts = ["Commit %(commit)s, `%(command)s`, %(cpu)s with %(cpus)d CPUs, Linux %(kernel)s, %(dpdk)s, "
             "%(pages)s, %(date)s." % about]
    plotted = set()
    for title, key, _, header, rows in sections(report):
        parts += ["### " + title, markdown_table(header, rows)]
        if key not in plotted:
            parts.append("![%s](%s)" % (html.escape(title), svg_name(key)))
        plotted.add(key)
    header, rows = goals(report)
    if rows:
        parts += ["### Goals", markdown_table(header, rows)]
    if report["not_measured"]:
        parts.append("\n".join("- not measured: %s: %s" % item
                               for item in report["not_measured"].items()))
    return "\n\n".join(parts) + "\n"


def svg_name(key):
    return "ports-%s.svg" % key


def svg(report, key):
    """Bars, one for each rival, of the near points; far ones where there are no others."""
    work = report["works"][key]
    results = report["results"][key]
    place = "near" if any("near" in r for r in results.values()) else "far"
    ping = work["test"] == "ping"
    bars = []
    for name, result in results.items():
        if place in result:
            row = result[place]
            value = row["p50_ns"] if ping else row["mpps"]
            kind = "limit" if name == report["limit"] else "avp" if result["avp"] else "rival"
            bars.append((result["label"], value, kind))
    if not bars:
        return None
    return svg_bars("%s; CPUs %s" % (work["title"], place), "ns, p50" if ping else "Mpps", bars)


def svg_bars(title, unit, bars):
    left, width, step, top = 330, 420, 22, 44
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
