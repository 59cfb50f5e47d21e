#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Two hosts and more on AF_PACKET uplinks of one network: traffic, learning, flooding, counters."""

import time

from hosts import HostsTest, frame, mac_of, main, send_frames
from switch import wait_for

CONFIG = """
[switch]
fdb_age = %(age)d
[network blue]
vlan = 100
[port u0]
type = vdev
device = net_af_packet0,iface=up0
network = blue
fdb_max = 8
[port u1]
type = vdev
device = net_af_packet1,iface=up1
network = blue
[port u2]
type = vdev
device = net_af_packet2,iface=up2
network = blue
"""


class Forward(HostsTest):
    def setUp(self):
        super().setUp()
        self.a = self.host("192.0.2.1")
        self.b = self.host("192.0.2.2")
        self.c = self.host("192.0.2.3")

    def test_hosts_ping_and_pull_a_file(self):
        switch = self.switch(CONFIG % {"age": 300})
        self.assert_reaches(self.a, "192.0.2.2")
        self.assert_reaches(self.c, "192.0.2.1")
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", 20 << 20)
        for port in ("u0", "u1", "u2"):
            self.assertEqual(switch.drops(port), {})

    def test_hosts_ping_and_pull_a_file_with_two_workers(self):
        self.switch(CONFIG % {"age": 300}, "--workers", "2")
        self.assert_reaches(self.a, "192.0.2.2")
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", 20 << 20)
        self.assert_file_arrives(self.b, self.c, "192.0.2.3", 20 << 20)

    def test_one_lcore_does_it_all(self):
        switch = self.switch(CONFIG % {"age": 300}, "--", "-l", "0")
        self.assertEqual(switch.request("version")["workers"], 1)
        self.assert_reaches(self.a, "192.0.2.2")
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", 20 << 20)

    def test_known_host_gets_its_packets_alone(self):
        switch = self.switch(CONFIG % {"age": 300})
        self.assert_reaches(self.a, "192.0.2.2")
        self.assertEqual(switch.macs(), {mac_of(self.a): "u0", mac_of(self.b): "u1"})
        before = self.c.counters("eth0")["rx_packets"]
        self.a.run("ping -c 50 -i 0.002 192.0.2.2")
        self.assertEqual(self.c.counters("eth0")["rx_packets"], before)

    def test_counters_agree_with_the_interfaces(self):
        switch = self.switch(CONFIG % {"age": 300})
        self.assert_reaches(self.a, "192.0.2.2")
        before = [self.place.counters("up0"), switch.stats("u0")]
        self.a.run("ping -c 50 -i 0.002 -s 1000 192.0.2.2")

        def agree():
            link, stats = self.place.counters("up0"), switch.stats("u0")
            return all(link[c] - before[0][c] == stats[c] - before[1][c]
                       for c in ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes"))
        wait_for(agree, 5, lambda: "%s %s" % (self.place.counters("up0"), switch.stats("u0")))
        self.assertGreaterEqual(switch.stats("u0")["rx_packets"], before[1]["rx_packets"] + 50)

    def test_host_that_moves_is_found_again(self):
        switch = self.switch(CONFIG % {"age": 300})
        source = "02:00:00:00:00:77"
        send_frames(self.a, [frame("ff:ff:ff:ff:ff:ff", source)])
        wait_for(lambda: switch.macs().get(source) == "u0", 5, "learned")
        send_frames(self.c, [frame("ff:ff:ff:ff:ff:ff", source)])
        wait_for(lambda: switch.macs().get(source) == "u2", 5, "moved")

    def test_unused_mac_is_forgotten(self):
        switch = self.switch(CONFIG % {"age": 2})
        source = "02:00:00:00:00:77"
        send_frames(self.a, [frame("ff:ff:ff:ff:ff:ff", source)])
        wait_for(lambda: source in switch.macs(), 5, "learned")
        start = time.monotonic()
        wait_for(lambda: source not in switch.macs(), 10, "forgotten")
        self.assertGreater(time.monotonic() - start, 0.9)

    def test_port_learns_no_more_than_its_limit(self):
        switch = self.switch(CONFIG % {"age": 300})
        send_frames(self.a, [frame("ff:ff:ff:ff:ff:ff", "02:00:00:00:01:%02x" % i)
                             for i in range(50)])
        wait_for(lambda: switch.stats("u0")["learn_refused"] >= 42, 5, "refused")
        self.assertEqual(len(switch.macs(port="u0")), 8)
        send_frames(self.b, [frame("ff:ff:ff:ff:ff:ff", "02:00:00:00:02:%02x" % i)
                             for i in range(50)])
        wait_for(lambda: len(switch.macs(port="u1")) >= 50, 5, "the other port's share")
        self.assertEqual(switch.request("fdb.flush", port="u0"), {"flushed": 8})
        self.assertEqual(switch.macs(port="u0"), {})

    def test_stp_and_multicast_sources_stay_out(self):
        switch = self.switch(CONFIG % {"age": 300})
        send_frames(self.a, [frame("01:80:c2:00:00:00", "02:00:00:00:00:77"),
                             frame("02:00:00:00:00:01", "03:00:00:00:00:77")])
        wait_for(lambda: switch.drops("u0") == {"rx_link_local": 1, "rx_src_invalid": 1}, 5,
                 lambda: "drops: %s" % switch.drops("u0"))


if __name__ == "__main__":
    main()
