# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What was aimed at, and whether it is reached. All goals are for CPUs that are near.

A ratio is the median of ratios of points to their neighbours in time with the same placement.
"""

import statistics

import plots
import points as pointing
from rivals import LIMIT, REFERENCE
from works import MACS, PORTS, QUEUES

SIZES = (64, 1518)
OVS = ("ovs-normal", "ovs-flows")


def pps(point):
    return point["host"]["pps"]


def host_cycles(point):
    return point["host"]["cycles"]


def both_cycles(point):
    return point["host"]["cycles"] + point["guest"]["cycles"]


def round_trip(point):
    return point["round_trip"]["p50_ns"]


class Goal:
    """A ratio of a figure between two rivals, or two works of one."""

    def __init__(self, title, works, rival, against, figure, limit, least=True):
        self.title = title
        self.works = works      # keys: of the rival's points, of those it is compared to
        self.rival = rival
        self.against = against  # rivals; the best one counts
        self.figure = figure
        self.limit = limit
        self.least = least      # or at most


def by_test(title, test, rival, against, figure, limits, least=True):
    return [Goal("%s, %d B" % (title, size), ("%s-mac-%d" % (test, size),) * 2, rival, against, figure, limit, least)
            for size, limit in zip(SIZES, limits)]


VHOST = (REFERENCE,)
GOALS = [
    *by_test("stock driver, packets per second to vhost-user packed", "ends", "avp-stock", VHOST, pps,
             (1.3, 1.05)),
    *by_test("our driver by copy, the same", "ends", "avp-copy", VHOST, pps, (1.7, 1.2)),
    *by_test("recycle with the base contract's rings, the same", "ends", "avp-recycle", VHOST, pps,
             (3.5, 11)),
    *by_test("our driver, the same", "ends", "avp", VHOST, pps, (4.2, 13)),
    *by_test("our driver, packets per second to pointer rings", "ends", "avp", (LIMIT,), pps, (0.7, 0.7)),
    *by_test("switch's cycles, one domain, by copy, to vhost-user packed", "switch", "avp-domain-copy",
             VHOST, host_cycles, (0.6, 0.2), False),
    *by_test("switch's cycles, one domain, our driver, the same", "switch", "avp-domain", VHOST,
             host_cycles, (0.3, 0.08), False),
    *by_test("switch's cycles, isolated, our driver, the same", "switch", "avp", VHOST, host_cycles,
             (0.45, 0.45), False),
    *by_test("round trip, our driver, p50 to vhost-user packed", "ping", "avp", VHOST, round_trip,
             (0.6, 0.5), False),
    *by_test("avp-switch, one domain, packets per second to Open vSwitch", "through", "switch-domain", OVS,
             pps, (4, 8)),
    *by_test("avp-switch, isolated, the same", "through", "switch", OVS, pps, (4, 8)),
    Goal("%d queues, cycles per packet to those of %d" % QUEUES[::-1],
         ("ends-mac-64-q%d" % QUEUES[1], "ends-mac-64"), "avp", ("avp",), both_cycles, 1 / 0.9, False),
    Goal("%d ports (room of Debian's DPDK; goal: 64), host's cycles to those of %d" % PORTS[::-1],
         ("ends-mac-64-n%d-p2" % PORTS[1], "ends-mac-64-n%d-p2" % PORTS[0]), "avp", ("avp",),
         host_cycles, 1.3, False),
    Goal("FDB of %d MACs, switch's cycles to those with %d" % MACS[::-1],
         ("through-mac-64-m%d" % MACS[1], "through-mac-64-m%d" % MACS[0]), "switch", ("switch",),
         host_cycles, 2, False),
]


def some(points, key, rival, place):
    return [p for p in points if p["work_key"] == key and p["rival"] == rival and p["place"] == place and
            p["usable"]]


def ratio(report, goal, place):
    """(the median ratio, the name it is to), or None."""
    found = []
    mine = some(report["points"], goal.works[0], goal.rival, place)
    for against in goal.against:
        theirs = some(report["points"], goal.works[1], against, place)
        if mine and theirs:
            found.append((statistics.median(goal.figure(p) / goal.figure(pointing.neighbour(p, theirs))
                                            for p in mine), against))
    # the best rival is the one that leaves least of the lead
    return min(found, default=None) if goal.least else max(found, default=None)


def lost(report, place):
    """Packets that AVP ports lost, and points."""
    ours = [p for p in report["points"] if p["usable"] and p["place"] == place and
            report["results"][p["work_key"]][p["rival"]]["avp"]]
    return sum(p["lost"] for p in ours), len(ours)


def best_of(rows, place, avp, timed):
    """(figure, row) of the best of AVP, or of its rivals; None without any."""
    some = [(1 / r[place]["round_trip_p50_ns"] if timed else r[place]["mpps"], r)
            for r in rows if place in r and r["avp"] == avp]
    return max(some, key=lambda entry: entry[0], default=None)


def slower(report, place):
    """Tables in which the best of AVP is behind a rival; and how many tables there are."""
    behind = []
    nb = 0
    for key, work in report["works"].items():
        rows = [row for name, row in report["results"][key].items() if name != report["limit"]]
        timed = work["test"] in plots.TIMED
        ours, theirs = (best_of(rows, place, avp, timed) for avp in (True, False))
        if ours is None or theirs is None:
            continue
        nb += 1
        if ours[0] < theirs[0]:
            behind.append(key)
    return behind, nb


def cells(report, place):
    """For each row of the table: what was measured, and what that means."""
    for goal in GOALS:
        found = ratio(report, goal, place)
        if found is None:
            yield "-", missing(report, goal, place)
            continue
        value, against = found
        reached = value >= goal.limit if goal.least else value <= goal.limit
        note = " (%s)" % against if len(goal.against) > 1 else ""
        yield "%.2f%s" % (value, note), "reached" if reached else "not reached"
    nb_lost, nb = lost(report, place)
    yield "%d" % nb_lost if nb else "-", ("reached" if nb_lost == 0 else "not reached") if nb else (
        "not measured: no usable point")
    behind, nb = slower(report, place)
    yield ("%d of %d" % (nb - len(behind), nb) if nb else "-",
           "not measured: no usable point" if not nb else
           "not reached: " + ", ".join(behind) if behind else "reached")


def missing(report, goal, place):
    """Why there is no ratio."""
    pairs = [(goal.works[0], goal.rival)] + [(goal.works[1], name) for name in goal.against]
    for key, name in pairs:
        reason = report["not_measured"].get("%s, %s" % (key, name))
        if reason:
            return "not measured: %s: %s" % (name, reason)
        if key not in report["works"]:
            return "not measured: %s is not in this run" % key
        if not any(p["work_key"] == key and p["rival"] == name for p in report["points"]):
            return "not measured: %s is not in this run" % name
    return "not measured: no usable point"


def table(report):
    """Header and rows: for CPUs near, and for the placement that most points had."""
    places = ["near"]
    if report["main_place"] not in (None, "near"):
        places.append(report["main_place"])
    titles = [(goal.title, "%s %.2f" % (">=" if goal.least else "<=", goal.limit)) for goal in GOALS]
    titles += [("packets lost by AVP ports", "0"), ("tables with AVP ahead of every rival", "all")]
    columns = []
    for place in places:
        if any(p["usable"] and p["place"] == place for p in report["points"]):
            columns.append(list(cells(report, place)))
        else:
            columns.append([("-", "no point was %s in this run" % place)] * len(titles))
    header = ["", "goal"]
    for place in places:
        header += [pointing.PLACE_TITLES[place], ""]
    return header, [[*title, *[cell for column in columns for cell in column[i]]]
                    for i, title in enumerate(titles)]
