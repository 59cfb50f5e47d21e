#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Does bench_ports still measure? Without huge pages and root: every test of it, no packet lost.

    ports_test.py PROGRAM PLUGIN
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM, PLUGIN = (os.path.abspath(path) for path in sys.argv[1:3])
HOST = "net_avp_host{i},socket={dir}/p{i},mru=9238,queues=2,ring=512"
USER = "net_avp_user{i},socket={dir}/p{i}"
STOCK = "stock:{dir}/p{i}"
LIMIT_S = 60


def measure(host, guest, *args, pairs=1):
    with tempfile.TemporaryDirectory(prefix="bench-ports.") as folder:
        command = [PROGRAM, "--plugin", PLUGIN, "--mem", "128", "--warm", "1", "--ms", "30",
                   "--in-flight", "100"]
        for i in range(pairs):
            command += ["--host", host.format(i=i, dir=folder), "--guest", guest.format(i=i, dir=folder)]
        done = subprocess.run(command + list(args), check=False, text=True, timeout=LIMIT_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Ports(unittest.TestCase):
    def check(self, point):
        self.assertGreater(point["host"]["pps"], 0, point)
        self.assertGreater(point["guest"]["cycles"], 0, point)
        self.assertEqual(point["lost"], 0, point)

    def test_two_ends(self):
        for guest in (USER, STOCK):
            for size in ("64", "1518", "9000", "64,1518"):
                for work in ("io", "mac", "full"):
                    with self.subTest(guest=guest, size=size, work=work):
                        self.check(measure(HOST, guest, "--size", size, "--work", work,
                                           "--mbuf-room", "9216"))

    def test_host_with_a_mempool_of_the_application(self):
        self.check(measure(HOST, USER, "--app-pool"))

    def test_pointer_rings(self):
        self.check(measure("ring:r{i}", "ring:r{i}"))

    def test_guests_through_a_switch_loop(self):
        for domain in ("", ",domain=d"):
            with self.subTest(domain=domain):
                self.check(measure(HOST + domain, USER, "--test", "switch", pairs=2))

    def test_queues(self):
        self.check(measure(HOST, USER, "--queues", "2"))

    def test_one_way(self):
        for test in ("to-guest", "to-host"):
            with self.subTest(test=test):
                self.check(measure(HOST, USER, "--test", test))

    def test_packets_of_several_mbufs(self):
        for test in ("to-guest", "to-host"):
            with self.subTest(test=test):
                self.check(measure(HOST, USER, "--test", test, "--size", "1500", "--segments", "5"))
        self.check(measure(HOST, USER, "--size", "9000", "--work", "full"))

    def test_tags(self):
        for offload in ([], ["--vlan-offload"]):
            for size in ("64", "1518"):
                with self.subTest(offload=offload, size=size):
                    self.check(measure(HOST + ",vlan_offload=1", USER, "--vlan", "--size", size, *offload))

    def test_many_ports(self):
        self.check(measure(HOST, USER, "--in-flight", "32", "--mbufs", "800", pairs=8))

    def test_at_a_rate(self):
        point = measure(HOST, USER, "--test", "paced", "--load", "50")
        self.assertGreater(point["highest_pps"], 0)
        self.assertLess(point["host"]["pps"], point["highest_pps"])
        for trip in ("round_trip", "one_way"):
            self.assertGreater(point[trip]["n"], 0)
        self.assertEqual(point["lost"], 0)

    def test_two_processes(self):
        self.check(measure(HOST, USER, "--processes", "2"))

    def test_round_trip(self):
        point = measure(HOST, USER, "--test", "ping")
        for trip in ("round_trip", "one_way"):
            self.assertGreater(point[trip]["n"], 0)
            self.assertGreater(point[trip]["p50_ns"], 20)
            self.assertGreaterEqual(point[trip]["p999_ns"], point[trip]["p99_ns"])
        self.assertGreater(point["round_trip"]["p50_ns"], point["one_way"]["p50_ns"])
        self.assertEqual(point["lost"], 0)

    def test_guests_with_a_host_that_is_missing(self):
        done = subprocess.run([PROGRAM, "--test", "through", "--guest", "stock:/nowhere"],
                              check=False, text=True, timeout=LIMIT_S, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 2)
        self.assertIn("through: an even number of ends is needed", done.stderr)

    def test_wrong_combinations_are_refused(self):
        for more, reason in ((["--test", "paced", "--vlan"], "paced: packets carry times"),
                             (["--macs", "10"], "--macs: only with --test through"),
                             (["--size", "9000", "--mbuf-room", "1000"], "--size: a packet has 8 segments")):
            done = subprocess.run([PROGRAM, "--host", "ring:r", "--guest", "ring:r", *more], check=False,
                                  text=True, timeout=LIMIT_S, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2)
            self.assertIn(reason, done.stderr)

    def test_end_that_cannot_be_made_is_named(self):
        done = subprocess.run([PROGRAM, "--host", "net_nothing0", "--guest", "net_nothing1"],
                              check=False, text=True, timeout=LIMIT_S, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("net_nothing0: ", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
