#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""How long does the control socket take to answer, idle and with all queues saturated?

    control_latency.py SWITCH PLUGIN

Two guests send to each other as fast as they can, each with two queues. Prints a table and JSON; the
exit status is 1 when 99 of 100 answers are not below the goals: 1 ms idle, 5 ms saturated.
"""

import json
import os
import platform
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lib"))

from switch import Guest, Switch, wait_for  # noqa: E402

CONFIG = """
[network blue]
vlan = 100
[port p0]
type = avp
network = blue
queues = 2
check_source_mac = no
[port p1]
type = avp
network = blue
queues = 2
check_source_mac = no
"""

REQUESTS = ("version", "port.show", "stats", "fdb.show", "network.show")
ROUNDS = 200
GOALS_MS = {"idle": 1.0, "saturated": 5.0}


def measure(switch):
    """Milliseconds of each answer."""
    times = {}
    for _ in range(ROUNDS):
        for method in REQUESTS:
            start = time.perf_counter()
            switch.request(method)
            times.setdefault(method, []).append(1000 * (time.perf_counter() - start))
            time.sleep(0.001)  # one client that asks now and then, not a flood
    return times


def summary(times):
    result = {}
    for method, values in times.items():
        values.sort()
        result[method] = {"median_ms": round(values[len(values) // 2], 3),
                          "p99_ms": round(values[len(values) * 99 // 100], 3),
                          "max_ms": round(values[-1], 3)}
    return result


def rate(switch, seconds=1):
    """Packets per second that come from the guests."""
    before = sum(port["rx_packets"] for port in switch.request("stats"))
    time.sleep(seconds)
    return int((sum(port["rx_packets"] for port in switch.request("stats")) - before) / seconds)


def main():
    binary, plugin = (os.path.abspath(path) for path in sys.argv[1:3])
    report = {"benchmark": "control_latency", "cpus": os.cpu_count(), "kernel": platform.release(),
              "goals_p99_ms": GOALS_MS}
    with Switch(binary, CONFIG) as switch:
        report["dpdk"] = switch.request("version")["dpdk"]
        report["idle"] = summary(measure(switch))
        with Guest(plugin, [switch.path("p0.sock"), switch.path("p1.sock")],
                   app=("--forward-mode=txonly", "--rxq=2", "--txq=2")):
            wait_for(lambda: rate(switch, 0.2) > 1000, 30, "traffic")
            report["packets_per_second"] = rate(switch)
            report["saturated"] = summary(measure(switch))
    missed = []
    for state, goal in GOALS_MS.items():
        for method, values in report[state].items():
            print("%-10s %-13s median %7.3f ms   99 %% %7.3f ms   max %7.3f ms"
                  % (state, method, values["median_ms"], values["p99_ms"], values["max_ms"]))
            if values["p99_ms"] >= goal:
                missed.append("%s %s" % (state, method))
    report["missed"] = missed
    print(json.dumps(report))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
