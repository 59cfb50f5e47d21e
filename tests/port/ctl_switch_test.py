#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""avpctl and avp-switch together: every command does what it says, at a real switch.

    ctl_switch_test.py BUILD
"""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
sys.dont_write_bytecode = True

from avp_switch import Switch  # noqa: E402

LIMIT_S = 30


class Together(unittest.TestCase):
    """One switch for each test."""

    maxDiff = None
    build = None

    def setUp(self):
        self.switch = self.enterContext(Switch(self.build))

    def refused(self, line, message):
        """The switch refuses this, in these words."""
        done = self.switch.run(line)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (1, "", "avpctl: %s\n" % message))
        error = json.loads(self.switch.run(line, "--json").stderr)["error"]
        self.assertEqual(error["message"], message)
        self.assertRegex(error["code"], "^E[A-Z]+$")

    def has_avp(self):
        done = self.switch.run("port add probe type=avp")
        if "no net_avp_host" in done.stderr:
            self.skipTest("this build has no net_avp_host")
        self.assertEqual(done.stderr, "")
        self.switch.call("port del probe")

    def test_networks_come_and_go(self):
        self.switch.call("network add blue vlan=100")
        self.switch.call("network add red vlan=7")
        self.switch.call("port add n0 type=vdev device=net_null0 network=blue")
        self.assertEqual(self.switch.call("network show"),
                         [{"name": "red", "vlan": 7, "ports": []},
                          {"name": "blue", "vlan": 100, "ports": ["n0"]}])
        self.assertEqual(self.switch.run("network show red").stdout, "NAME  VLAN  PORTS\n"
                                                                     "red      7  -\n")
        self.refused("network del blue", "blue: port n0 uses it")
        self.switch.call("network del red")
        self.assertEqual(len(self.switch.call("network show")), 1)

    def test_vhost_port_has_the_mtu_that_its_guest_has(self):
        """The driver is told nothing, and refuses to be."""
        self.switch.call("port add v0 type=vdev device=net_vhost0,iface=%s/v0 mtu=9000"
                         % self.switch.folder)
        self.assertEqual(self.switch.call("port show v0")[0]["mtu"], 9000)

    def test_ports_can_be_changed_while_they_work(self):
        for name, vlan in (("blue", 100), ("red", 7)):
            self.switch.call("network add %s vlan=%d" % (name, vlan))
        self.switch.call("port add n0 type=vdev device=net_null0")
        port = self.switch.call("port show n0")[0]
        self.assertEqual((port["mode"], port["network"], port["driver"]),
                         ("access", None, "net_null"))
        self.switch.call("port set n0 mode=trunk trunks=blue native=red fdb_max=5")
        port = self.switch.call("port show n0")[0]
        self.assertEqual((port["mode"], port["trunks"], port["native"], port["fdb_max"]),
                         ("trunk", ["blue"], "red", 5))
        self.assertIn(" trunk  blue native=red\n", self.switch.run("port show").stdout)
        self.switch.call("port set n0 mode=access network=blue")
        self.assertEqual(self.switch.call("network show blue")[0]["ports"], ["n0"])
        self.switch.call("port del n0")
        self.assertEqual(self.switch.call("port show"), [])

    def test_every_key_of_port_add_is_known_to_the_switch(self):
        text = self.switch.run("port add", "--help").stdout
        values = {"network": "", "trunks": "", "native": "", "mode": "access", "type": "vdev",
                  "device": "net_null9", "check_source_mac": "off", "fdb_max": "9", "queues": "1",
                  "mtu": "1500", "ring": "256", "buffers": "1024", "mac": "02:00:00:00:00:01",
                  "mru": "2048", "vlan_offload": "on", "domain": "one", "socket": "/nowhere/p.sock",
                  "socket_mode": "0600", "incoming": "on"}
        keys = re.findall(r"^  (\w+)=", text, re.M)
        self.assertEqual(set(keys), set(values))
        for key in set(keys) - {"type", "device"}:
            done = self.switch.run("port add x%s type=vdev device=net_null_%s %s=%s"
                                   % (key[:8], key[:8], key, values[key]))
            self.assertNotRegex(done.stderr, "no such parameter", key)

    def test_ports_are_detached_and_attached(self):
        self.has_avp()
        self.switch.call("network add blue vlan=100")
        for name in ("p0", "p1"):
            self.switch.call("port add %s network=blue" % name)
        done = self.switch.run("port detach p1 p0 timeout_ms=100")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^NAME  RESULT +US\np0    absent +\d+\np1    absent +\d+\n$")
        self.assertEqual(self.switch.call("port show p0")[0]["migration"], "detached")
        self.switch.call("port depart p0")
        self.assertEqual(self.switch.call("port show p0")[0]["migration"], "departed")
        addresses = '[{"vlan":100,"mac":"02:00:00:00:00:01","address":"192.0.2.1"}]'
        ends = json.loads(self.switch.run("port attach p0 p1 --json",
                                          "addresses=" + addresses).stdout)
        self.assertEqual([(end["name"], end["result"]) for end in ends],
                         [("p0", "absent"), ("p1", "absent")])
        self.assertEqual(self.switch.call("port show p0")[0]["addresses"], json.loads(addresses))
        self.refused("port depart p0", "p0: is not detached")
        self.assertIn("must be JSON or @FILE",
                      self.switch.run("port attach p0", "addresses=x").stderr)

    def test_refusals_name_object_value_and_limit(self):
        self.switch.call("network add blue vlan=100")
        self.refused("network add blue vlan=5", "blue: there is a network of this name, VLAN 100")
        self.refused("port del p9", "p9: no such port")
        self.assertIn("4094", self.switch.run("network add red vlan=5000").stderr)

    def test_stats_count_what_a_port_received(self):
        self.switch.call("network add blue vlan=100")
        self.switch.call("port add n0 type=vdev device=net_null0 network=blue")
        # Several, for on a busy machine the switch's lcore may miss one of them.
        lines = self.switch.run("stats n0 --watch 0.2 --count 8 --json").stdout.splitlines()
        shown = [json.loads(line)["ports"][0] for line in lines]
        last = shown[-1]
        self.assertEqual(len(shown), 8)
        self.assertGreater(last["rx_packets"], shown[0]["rx_packets"])
        self.assertEqual(last["rx_bytes"], 64 * last["rx_packets"])
        self.assertGreater(max(one["rates"]["rx_packets"] for one in shown[1:]), 0)
        # Its packets have no source address.
        self.assertGreater(last["drops"]["rx_src_invalid"], 0)
        self.assertIn("rx_src_invalid", self.switch.run("stats").stdout)

    def test_capture_ends_at_its_count(self):
        self.switch.call("network add blue vlan=100")
        self.switch.call("port add n0 type=vdev device=net_null0 network=blue")
        file = os.path.join(self.switch.folder, "x.pcapng")
        done = self.switch.run("capture n0 %s count=10" % file)
        self.assertEqual(done.stderr, "capturing n0 to %s, Ctrl-C ends\n" % file)
        self.assertEqual(done.stdout, "10 packets captured\n")
        with open(file, "rb") as capture:
            self.assertEqual(capture.read(4), b"\x0a\x0d\x0d\x0a")
        done = self.switch.run("capture n0 %s count=10" % file)
        self.assertEqual(done.returncode, 1)
        self.assertIn(file, done.stderr)

    def test_capture_ends_with_an_interrupt(self):
        self.switch.call("port add n0 type=vdev device=net_null0,no-rx=1")
        process = subprocess.Popen([self.switch.avpctl, "-s", self.switch.socket, "capture", "n0",
                                    "x.pcapng"], cwd=self.switch.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertRegex(process.stderr.readline(), "^capturing n0 to /.*/x.pcapng, Ctrl-C ends$")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.communicate(timeout=LIMIT_S), ("0 packets captured\n", ""))
        self.assertEqual(process.returncode, 0)

    def test_capture_of_a_killed_avpctl_ends(self):
        self.switch.call("port add n0 type=vdev device=net_null0,no-rx=1")
        process = subprocess.Popen([self.switch.avpctl, "-s", self.switch.socket, "capture", "n0",
                                    "x.pcapng"], cwd=self.switch.folder, stderr=subprocess.PIPE)
        process.stderr.readline()
        process.kill()
        process.communicate(timeout=LIMIT_S)
        self.switch.wait_for(lambda: self.switch.call("port show n0")[0]["capture"] is None,
                             LIMIT_S, "end of the capture")

    def test_avp_port_has_a_socket_that_qemu_can_use(self):
        self.has_avp()
        self.switch.call("network add blue vlan=100")
        self.switch.call("port add p0 network=blue queues=2 mac=02:00:00:00:00:42")
        value = json.loads(self.switch.call("port show p0 --qemu")[1])
        path = value["socket"]["path"]
        self.assertTrue(stat.S_ISSOCK(os.stat(path).st_mode))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertIn("socket=" + path, self.switch.call("port show p0 --user")[1])
        port = self.switch.call("port show p0")[0]
        self.assertEqual((port["mac"], port["avp"]["queues"], port["check_source_mac"]),
                         ("02:00:00:00:00:42", 2, True))
        self.assertIn("02:00:00:00:00:42  blue", self.switch.run("fdb show").stdout)
        self.switch.call("port del p0")
        self.assertFalse(os.path.exists(path))

    def test_switch_stops_in_good_order(self):
        self.switch.call("port add n0 type=vdev device=net_null0")
        self.switch.stop()
        done = self.switch.run("stats")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no switch is running there", done.stderr)


if __name__ == "__main__":
    Together.build = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
