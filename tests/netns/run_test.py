#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""How the switch runs and ends: idle, busy, captured, stopped."""

import os
import re
import signal
import tempfile
import time

from hosts import HostsTest, main
from switch import Client, Refused, wait_for

CONFIG = """
[network blue]
vlan = 100
[port u0]
type = vdev
device = net_af_packet0,iface=up0
network = blue
[port u1]
type = vdev
device = net_af_packet1,iface=up1
network = blue
[port p0]
type = avp
network = blue
"""

IDLE_MAX_PERCENT = 5


class Run(HostsTest):
    def setUp(self):
        super().setUp()
        self.a = self.host("192.0.2.1")
        self.b = self.host("192.0.2.2")

    def cpu_percent(self, switch, seconds=2):
        cpu, start = switch.cpu_seconds(), time.monotonic()
        time.sleep(seconds)  # what is measured is time passing without an event
        return 100 * (switch.cpu_seconds() - cpu) / (time.monotonic() - start)

    def test_idle_switch_leaves_its_core_alone(self):
        switch = self.switch(CONFIG)
        self.assert_reaches(self.a, "192.0.2.2")
        time.sleep(0.5)
        percent = self.cpu_percent(switch)
        print("idle: %.1f %% of a core" % percent)
        self.assertLess(percent, IDLE_MAX_PERCENT)

    def sleeps(self, switch, seconds=1):
        """How often the worker went to sleep by itself: unlike its time, no matter of load."""
        def count():
            for task in os.listdir("/proc/%d/task" % switch.process.pid):
                with open("/proc/%d/task/%s/status" % (switch.process.pid, task),
                          encoding="ascii") as file:
                    status = file.read()
                if re.match(r"Name:\s+\w+-worker", status):
                    return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status).group(1))
            raise AssertionError("no worker thread")
        before = count()
        time.sleep(seconds)
        return count() - before

    def test_busy_poll_keeps_polling(self):
        self.assertLess(self.sleeps(self.switch(CONFIG, "--busy-poll")), 50)

    def test_worker_sleeps_when_nothing_moves(self):
        self.assertGreater(self.sleeps(self.switch(CONFIG)), 200)

    def test_capture_holds_both_directions(self):
        switch = self.switch(CONFIG)
        self.assert_reaches(self.a, "192.0.2.2")
        path = switch.path("u0.pcapng")
        switch.request("capture.start", port="u0", file=path)
        self.a.run("ping -c 10 -i 0.01 192.0.2.2")
        with self.assertRaises(Refused) as refused:
            switch.request("capture.start", port="u0", file=path + "2")
        self.assertEqual(refused.exception.code, "EEXIST")
        done = switch.request("capture.stop", port="u0")
        self.assertEqual(done["lost"], 0)
        lines = self.place.run(["tcpdump", "-n", "-r", path, "icmp"]).splitlines()
        self.assertEqual(sum("echo request" in line for line in lines), 10, lines)
        self.assertEqual(sum("echo reply" in line for line in lines), 10, lines)
        with self.assertRaises(Refused) as refused:
            switch.request("capture.start", port="u0", file=path)
        self.assertEqual(refused.exception.code, "EEXIST")

    def test_capture_ends_at_its_limit(self):
        switch = self.switch(CONFIG)
        path = switch.path("u0.pcapng")
        switch.request("capture.start", port="u0", file=path, limit=7)
        self.a.run("ping -c 20 -i 0.01 192.0.2.2")
        show = wait_for(lambda: [c for c in switch.request("capture.show") if not c["running"]], 5,
                        "limit")
        self.assertEqual([(c["port"], c["packets"]) for c in show], [("u0", 7)])
        self.assertEqual(switch.request("capture.stop", port="u0")["packets"], 7)
        lines = [line for line in self.place.run(["tcpdump", "-n", "-r", path]).splitlines()
                 if re.match(r"\d\d:", line)]
        self.assertEqual(len(lines), 7, lines)

    def test_capture_ends_with_its_client(self):
        switch = self.switch(CONFIG)
        client = Client(switch.path("switch.sock"))
        client.request("capture.start", port="u0", file=switch.path("u0.pcapng"))
        self.assertEqual(len(switch.request("capture.show")), 1)
        client.close()
        wait_for(lambda: switch.request("capture.show") == [], 5, "end")

    def test_signal_ends_it_in_good_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                switch = self.switch(CONFIG)
                ping = self.a.popen(["ping", "-q", "-i", "0.002", "192.0.2.2"])
                try:
                    self.assert_reaches(self.b, "192.0.2.1")
                    self.assertTrue(os.path.exists(switch.path("p0.sock")))
                    self.assertEqual(switch.stop(number), 0, switch.said())
                finally:
                    ping.kill()
                    ping.wait()
                left = [f for f in os.listdir(switch.folder) if f.endswith(".sock")]
                self.assertEqual(left, [])

    def test_second_switch_on_the_same_socket_is_refused(self):
        switch = self.switch(CONFIG)
        other = self.place.popen([self.binary, "--no-huge", "--control",
                                  switch.path("switch.sock")], stdout=-1, stderr=-2, text=True)
        said, _ = other.communicate(timeout=20)
        self.assertEqual(other.returncode, 1, said)
        self.assertIn("in use by pid %d" % switch.process.pid, said)
        self.assertEqual(len(switch.request("port.show")), 3)

    def test_wrong_configuration_is_told_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="avp-switch-test.") as folder:
            path = os.path.join(folder, "switch.sock")
            config = os.path.join(folder, "switch.conf")
            with open(config, "w", encoding="ascii") as file:
                file.write(CONFIG)
                file.write("[port u9]\ntype = vdev\ndevice = net_null9\nnetwork = nowhere\n")
            done = self.place.popen([self.binary, "--no-huge", "-c", config, "-s", path],
                                    stdout=-1, stderr=-2, text=True)
            said, _ = done.communicate(timeout=20)
            self.assertEqual(os.listdir(folder), ["switch.conf"])
        self.assertEqual(done.returncode, 1, said)
        self.assertIn("avp-switch: %s: [port u9]: u9: nowhere: no such network" % config, said)


if __name__ == "__main__":
    main()
