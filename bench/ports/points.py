# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""From measured points to medians and ratios."""

import statistics

# Classes of placement, by a cache line's round trip, ns: below the first the CPUs share a core, below
# the second they are close, else apart.
PLACES = {"same": (0, 60), "near": (60, 150), "apart": (150, float("inf"))}
PLACE_TITLES = {"same": "CPUs of one core", "near": "CPUs near", "apart": "CPUs apart"}
# A polling thread that had less of its CPU than this was disturbed.
MIN_CPU = 0.92


def place_of(ns):
    """The class of a probe; one without an answer, 0, has none."""
    return next((name for name, (low, high) in PLACES.items() if 0 < ns and low <= ns < high), None)


def placement(point):
    """The class before and after, or "moved" when it changed meanwhile."""
    places = {place_of(ns) for ns in point["probe_ns"]}
    return places.pop() if len(places) == 1 and None not in places else "moved"


def main_place(points):
    """The class that most points have; None without any."""
    some = [p["place"] for p in points if p["usable"]]
    return max(PLACES, key=some.count) if some else None


def disturbed(point):
    return min(point["host"]["cpu"], point["guest"]["cpu"]) < MIN_CPU


def figure(point):
    """What ratios are made of: the more the better."""
    return 1e9 / point["round_trip"]["p50_ns"] if "round_trip" in point else point["host"]["pps"]


def neighbour(point, others):
    """Of usable points of the same placement the nearest in time, or None."""
    some = [p for p in others if p["usable"] and p["place"] == point["place"]]
    return min(some, key=lambda p: abs(p["time"] - point["time"]), default=None)


def add_ratios(points):
    """To each point its ratio to the nearest one of its reference with the same work."""
    by_rival = {}
    for point in points:
        by_rival.setdefault((point["work_key"], point["rival"]), []).append(point)
    for point in points:
        nearest = neighbour(point, by_rival.get((point["work_key"], point["reference"]), []))
        if nearest is not None and point["usable"]:
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
    for place in PLACES:
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
        for trip in ("round_trip", "one_way"):
            for key in ("p50_ns", "p99_ns", "p999_ns"):
                row[trip + "_" + key] = median([p[trip][key] for p in some if trip in p])
        rows[place] = row
    return rows
