#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Access and trunk ports and the native VLAN; a second switch is the trunk's other end, since not
every kernel has VLAN devices. A tap device as uplink."""

from hosts import HostsTest, frame, mac_of, main, send_frames
from netns import Namespace, veth
from switch import Switch, wait_for

# Hosts at up0 and so on; the cable named trunk leads to the other switch.
CONFIG = """
[network blue]
vlan = 100
[network red]
vlan = 200
[network green]
vlan = 300
[port blue]
type = vdev
device = net_af_packet0,iface=up0
network = blue
[port red]
type = vdev
device = net_af_packet1,iface=up1
network = red
[port green]
type = vdev
device = net_af_packet2,iface=up2
network = green
[port trunk]
type = vdev
device = net_af_packet3,iface=trunk
mode = trunk
native = green
trunks = blue, red
"""

BROADCAST = "ff:ff:ff:ff:ff:ff"
SOURCE = "02:00:00:00:00:77"


class OneSwitch(HostsTest):
    """The trunk's other end is a host that sends and counts frames."""

    def setUp(self):
        super().setUp()
        self.blue = self.host()
        self.red = self.host()
        self.green = self.host()
        self.trunk = self.stack.enter_context(Namespace("trunk"))
        veth(self.place, "trunk", self.trunk, "eth0")
        self.running = self.switch(CONFIG)

    def received(self, *hosts):
        return [host.counters("eth0")["rx_packets"] for host in hosts]

    def test_networks_do_not_see_each_other(self):
        send_frames(self.blue, [frame(BROADCAST, SOURCE)] * 20)
        wait_for(lambda: self.received(self.trunk) == [20], 5, "flood")
        self.assertEqual(self.received(self.blue, self.red, self.green), [0, 0, 0])
        # 60 bytes and the tag
        self.assertEqual(self.trunk.counters("eth0")["rx_bytes"], 20 * 64)

    def test_trunk_sends_the_native_network_untagged(self):
        send_frames(self.green, [frame(BROADCAST, SOURCE)])
        wait_for(lambda: self.received(self.trunk) == [1], 5, "flood")
        self.assertEqual(self.trunk.counters("eth0")["rx_bytes"], 60)

    def test_trunk_sorts_by_tag(self):
        send_frames(self.trunk, [frame(BROADCAST, SOURCE, tags=[100])] * 2 +
                    [frame(BROADCAST, SOURCE, tags=[200])] * 3 + [frame(BROADCAST, SOURCE)] * 4)
        wait_for(lambda: self.received(self.blue, self.red, self.green) == [2, 3, 4], 5,
                 lambda: "%s" % self.received(self.blue, self.red, self.green))
        self.assertEqual({e["network"] for e in self.running.request("fdb.show", port="trunk")},
                         {"blue", "red", "green"})

    def test_tagged_packet_does_not_enter_an_access_port(self):
        send_frames(self.blue, [frame(BROADCAST, SOURCE, tags=[200]),
                                frame(BROADCAST, SOURCE, tags=[100])])
        wait_for(lambda: self.running.drops("blue") == {"rx_tagged": 2}, 5, "drops")
        self.assertEqual(self.received(self.red, self.trunk), [0, 0])

    def test_trunk_takes_its_own_networks_only(self):
        send_frames(self.trunk, [frame(BROADCAST, SOURCE, tags=[400])])
        wait_for(lambda: self.running.drops("trunk") == {"rx_vlan": 1}, 5, "drops")

    def test_double_tag_does_not_change_the_network(self):
        send_frames(self.green, [frame(BROADCAST, SOURCE, tags=[0, 200])])
        wait_for(lambda: self.running.drops("trunk") == {"tx_double_tag": 1}, 5, "drops")
        self.assertEqual(self.received(self.trunk), [0])


class TwoSwitches(HostsTest):
    """The same three networks on both sides of a trunk, in the same addresses."""

    def setUp(self):
        super().setUp()
        self.left = [self.host("192.0.2.1") for _ in range(3)]
        self.other = self.stack.enter_context(Namespace("other"))
        self.right = [self.stack.enter_context(Namespace("right%d" % i)) for i in range(3)]
        for number, host in enumerate(self.right):
            veth(self.other, "up%d" % number, host, "eth0")
            host.run("ip address add 192.0.2.2/24 dev eth0")
        veth(self.place, "trunk", self.other, "trunk")
        self.running = self.switch(CONFIG)
        self.stack.enter_context(Switch(self.binary, CONFIG, (), self.other))

    def test_each_network_reaches_its_own_other_side(self):
        for left, right in zip(self.left, self.right):
            self.assert_reaches(left, "192.0.2.2")
            neighbour = left.run("ip neighbour show 192.0.2.2")
            self.assertIn(mac_of(right), neighbour)
        for port in ("blue", "red", "green", "trunk"):
            self.assertEqual(self.running.drops(port), {})

    def test_file_passes_the_trunk_tagged_and_untagged(self):
        self.assert_file_arrives(self.left[0], self.right[0], "192.0.2.2", 5 << 20)
        self.assert_file_arrives(self.right[2], self.left[2], "192.0.2.1", 5 << 20)

    def test_port_changes_its_network_while_it_works(self):
        self.assert_reaches(self.left[0], "192.0.2.2")
        self.running.request("port.set", name="blue", network=None)
        self.assert_does_not_reach(self.left[0], "192.0.2.2")
        self.assertEqual(self.running.macs(port="blue"), {})
        self.running.request("port.set", name="blue", network="blue")
        self.assert_reaches(self.left[0], "192.0.2.2")

    def test_port_comes_and_goes_while_others_work(self):
        self.assert_reaches(self.left[0], "192.0.2.2")
        ping = self.left[0].popen(["ping", "-q", "-i", "0.002", "-c", "1000", "192.0.2.2"])
        try:
            for _ in range(5):
                self.running.request("port.del", name="red")
                self.running.request("port.add", name="red", type="vdev",
                                     device="net_af_packet1,iface=up1", network="red")
            self.assertEqual(ping.wait(30), 0)
        finally:
            ping.kill()
            ping.wait()
        self.assert_reaches(self.left[1], "192.0.2.2")

    def test_tap_device_is_an_uplink(self):
        self.running.request("port.add", name="tap", type="vdev",
                             device="net_tap0,iface=tap0", network="blue")
        self.place.run("ip address add 192.0.2.5/24 dev tap0")
        self.place.run("ip link set tap0 up")
        self.assert_reaches(self.right[0], "192.0.2.5")
        self.assert_file_arrives(self.right[0], self.place, "192.0.2.5", 5 << 20)
        self.assert_file_arrives(self.place, self.right[0], "192.0.2.2", 5 << 20)
        self.running.request("port.del", name="tap")


if __name__ == "__main__":
    main()
