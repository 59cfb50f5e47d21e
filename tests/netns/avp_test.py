#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Two hosts reach each other through a guest that forwards between two AVP ports:

    host 0 -- uplink -- [left] -- p0 -- guest -- p1 -- [right] -- uplink -- host 1

The guest is testpmd with net_avp_user: the same path as with a VM, without one.
"""

from hosts import HostsTest, frame, mac_of, main, send_frames
from switch import Guest, Refused, wait_for

CONFIG = """
[network left]
vlan = 100
[network right]
vlan = 200
[port u0]
type = vdev
device = net_af_packet0,iface=up0
network = left
[port u1]
type = vdev
device = net_af_packet1,iface=up1
network = right
[port p0]
type = avp
network = left
check_source_mac = no
%(p0)s
[port p1]
type = avp
network = right
check_source_mac = no
%(p1)s
"""

LINK_LIMIT_S = 20
FORWARDING = 50 << 20  # bytes over TCP


class Avp(HostsTest):
    def setUp(self):
        super().setUp()
        self.a = self.host("192.0.2.1")
        self.b = self.host("192.0.2.2")

    def start(self, p0="", p1="", *options):
        self.running = self.switch(CONFIG % {"p0": p0, "p1": p1}, *options)

    def link_up(self, port):
        wait_for(lambda: self.running.port(port)["link"] == "up", LINK_LIMIT_S, port + " up")

    def both_links(self, state):
        wait_for(lambda: all(self.running.port(p)["link"] == state for p in ("p0", "p1")),
                 LINK_LIMIT_S, "links " + state)

    def connect(self):
        guest = self.guest(self.running.path("p0.sock"), self.running.path("p1.sock"))
        self.both_links("up")
        return guest

    def no_losses(self):
        for port in ("u0", "u1", "p0", "p1"):
            self.assertEqual(self.running.drops(port), {}, port)

    def test_hosts_ping_and_pull_a_file_through_the_guest(self):
        self.start()
        self.connect()
        self.assert_reaches(self.a, "192.0.2.2", 10)
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", FORWARDING)
        self.assert_file_arrives(self.b, self.a, "192.0.2.1", FORWARDING)

    def test_addresses_behind_a_guest_are_noted(self):
        self.start()
        self.connect()
        self.assertEqual(self.running.port("p1")["addresses"], [])
        # Its request for the other's address comes from the guest at the other port.
        self.assert_reaches(self.a, "192.0.2.2")
        self.assertEqual(self.running.port("p1")["addresses"],
                         [{"vlan": 200, "mac": mac_of(self.a), "address": "192.0.2.1"}])
        self.assertIsNone(self.running.port("u0").get("addresses"))

    def test_counters_of_both_ports_agree(self):
        self.start()
        self.connect()
        self.assert_reaches(self.a, "192.0.2.2")
        self.a.run("ping -c 100 -i 0.002 -s 1200 192.0.2.2")

        def agree():
            stats = {port: self.running.stats(port) for port in ("p0", "p1", "u0", "u1")}
            return all(stats["p0"]["tx_" + what] == stats["p1"]["rx_" + what] ==
                       stats["u1"]["tx_" + what] == stats["u0"]["rx_" + what]
                       for what in ("packets", "bytes"))
        wait_for(agree, 5, lambda: "%s" % [self.running.stats(p) for p in ("p0", "p1")])
        self.no_losses()

    def test_several_queues_and_workers(self):
        self.start("queues = 4", "queues = 4", "--workers", "2")
        guest = self.stack.enter_context(Guest(
            self.plugin, [self.running.path("p0.sock"), self.running.path("p1.sock")],
            app=("--forward-mode=io", "--rxq=4", "--txq=4")))
        self.both_links("up")
        self.assert_reaches(self.a, "192.0.2.2")
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", FORWARDING)
        self.assertFalse(guest.ended())

    def test_one_domain_passes_packets_by_pointer(self):
        self.start("domain = tenant", "domain = tenant")
        self.connect()
        self.assert_reaches(self.a, "192.0.2.2")
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", FORWARDING)

    def test_guest_answers_for_its_own_address_only(self):
        self.start()
        for port in ("p0", "p1"):
            self.running.request("port.set", name=port, check_source_mac=True)
        self.stack.enter_context(Guest(self.plugin, [self.running.path("p0.sock")],
                                       app=("--forward-mode=icmpecho",)))
        self.link_up("p0")
        self.a.run("ping -c 5 -i 0.1 -W 2 192.0.2.77")
        neighbour = self.a.run("ip neighbour show 192.0.2.77")
        self.assertIn(self.running.port("p0")["mac"], neighbour)
        self.assertEqual(self.running.drops("p0"), {})

    def test_guest_on_a_trunk_answers_in_each_network(self):
        for offload in (True, False):
            with self.subTest(vlan_offload=offload):
                self.start()
                self.running.request("port.del", name="p0")
                self.running.request("port.add", name="p0", type="avp", native="left",
                                     trunks=["right"], vlan_offload=offload)
                guest = self.stack.enter_context(Guest(self.plugin, [self.running.path("p0.sock")],
                                                       app=("--forward-mode=icmpecho",)))
                self.link_up("p0")
                self.a.run("ping -c 5 -i 0.1 -W 2 192.0.2.77")
                self.b.run("ping -c 5 -i 0.1 -W 2 192.0.2.77")
                self.assertEqual(self.running.drops("p0"), {})
                guest.stop()
                self.assertEqual(self.running.stop(), 0)

    def test_jumbo_frames_pass_in_chains(self):
        for host, end in ((self.a, "up0"), (self.b, "up1")):
            host.run("ip link set eth0 mtu 9000")
            self.place.run("ip link set %s mtu 9000" % end)
        self.running = self.switch(
            ("[switch]\nmbuf_size = 9216\n" + CONFIG)
            .replace("iface=up0", "iface=up0,blocksz=36864,framesz=9216,framecnt=512\nmtu = 9000")
            .replace("iface=up1", "iface=up1,blocksz=36864,framesz=9216,framecnt=512\nmtu = 9000")
            % {"p0": "mru = 9238", "p1": "mru = 9238"})
        self.stack.enter_context(Guest(
            self.plugin, [self.running.path("p0.sock"), self.running.path("p1.sock")],
            app=("--forward-mode=io", "--max-pkt-len=9018", "--enable-scatter")))
        self.both_links("up")
        self.assert_reaches(self.a, "192.0.2.2")
        for size in (1500, 2100, 4200, 8972):
            self.a.run("ping -c 3 -i 0.1 -W 2 -M do -s %d 192.0.2.2" % size)
        self.assert_file_arrives(self.a, self.b, "192.0.2.2", FORWARDING)

    def test_guest_that_goes_and_comes_is_served_again(self):
        self.start()
        for _ in range(3):
            guest = self.connect()
            self.assert_reaches(self.a, "192.0.2.2")
            ping = self.a.popen(["ping", "-q", "-i", "0.002", "192.0.2.2"])
            guest.process.kill()
            self.both_links("down")
            ping.kill()
            ping.wait()
            self.assertEqual(self.running.macs(port="p0"), {})
        down = self.running.drops("p0").get("tx_link_down", 0)
        static = self.running.port("p0")["mac"]
        send_frames(self.a, [frame(static, "02:00:00:00:00:77")] * 5)
        wait_for(lambda: self.running.drops("p0")["tx_link_down"] == down + 5, 5, "counted")

    def test_source_check_keeps_other_addresses_in(self):
        self.start()
        self.connect()
        self.assert_reaches(self.a, "192.0.2.2")
        self.running.request("port.set", name="p1", check_source_mac=True)
        self.assert_does_not_reach(self.a, "192.0.2.2")
        self.assertGreater(self.running.drops("p1")["rx_src_mac"], 0)
        self.running.request("port.set", name="p1", check_source_mac=False)
        self.assert_reaches(self.a, "192.0.2.2")

    def test_address_of_an_avp_port_cannot_be_taken(self):
        self.start()
        self.connect()
        send_frames(self.a, [frame("ff:ff:ff:ff:ff:ff", self.running.port("p0")["mac"])])
        wait_for(lambda: self.running.drops("u0") == {"rx_src_static": 1}, 5, "drop")
        with self.assertRaises(Refused) as refused:
            self.running.request("port.add", name="p2", type="avp", network="left",
                                 mac=self.running.port("p0")["mac"])
        self.assertEqual(refused.exception.code, "EEXIST")
        self.assertNotIn("p2", [p["name"] for p in self.running.request("port.show")])

    def test_port_is_deleted_under_traffic(self):
        self.start()
        guest = self.connect()
        self.assert_reaches(self.a, "192.0.2.2")
        ping = self.a.popen(["ping", "-q", "-i", "0.002", "192.0.2.2"])
        try:
            self.running.request("port.del", name="p1")
            self.running.request("port.del", name="p0")
        finally:
            ping.kill()
            ping.wait()
        guest.stop()
        for name, network in (("p0", "left"), ("p1", "right")):
            self.running.request("port.add", name=name, type="avp", network=network,
                                 check_source_mac=False)
        self.connect()
        self.assert_reaches(self.a, "192.0.2.2")

    def test_show_tells_the_memory_that_the_kernel_gave(self):
        self.start("", "queues = 8\nring = 1024")
        for port in ("p0", "p1"):
            show = self.running.port(port)["avp"]
            self.assertLessEqual(show["mem_bytes"], show["bar2_bytes"])
            self.assertGreater(show["mem_bytes"], 1 << 20)
        self.assertEqual(self.running.port("p1")["avp"]["queues"], 8)
        self.assertEqual(self.running.port("p1")["avp"]["ring"], 1024)


if __name__ == "__main__":
    main()
