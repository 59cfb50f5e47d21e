#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""A guest moves from one switch to another, and no packet is lost or overtaken:

    host 0 -- [switch A, p0] -- cable -- [switch B, p0] -- host 1

The guest is testpmd with net_avp_user that answers pings: one process on A, then one on B with the
same MAC, which stands for the VM that has moved.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

from hosts import HostsTest, frame, mac_of, main, send_frames
from netns import Namespace, veth
from switch import Client, Guest, Refused, wait_for

# Rings with room for all that is held: it comes at once, and on a busy machine nobody may be there
# to take it.
CONFIG = """
[switch]
hold_ms = %(hold_ms)d
[network blue]
vlan = 100
[port cable]
type = vdev
device = net_af_packet0,iface=cable,framecnt=8192
trunks = blue
[port host]
type = vdev
device = net_af_packet1,iface=up%(host)d,framecnt=8192
network = blue
[port p0]
type = avp
network = blue
mac = 02:00:00:00:00:77
%(more)s
"""

MAC = "02:00:00:00:00:77"
GUEST = "192.0.2.77"
HOLD_MS = 20000
LINK_LIMIT_S = 20
PING_LIMIT_S = 60
TOO_MANY = 3000


# ping's receive buffer is too small for what comes at once after a move.
PING = """
import os, select, socket, struct, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
out.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff
ident = struct.pack("!H", os.getpid() & 0xffff)  # others' answers come as well
asked, answers, end = 0, [], None
next_s = time.monotonic()
while end is None or (time.monotonic() < end and len(answers) < asked):
    ready, _, _ = select.select([out, sys.stdin], [], [], max(0, next_s - time.monotonic()))
    if sys.stdin in ready and end is None:
        sys.stdin.readline()
        end = time.monotonic() + 5
    if out in ready:
        packet = out.recv(2048)
        if packet[20] == 0 and packet[24:26] == ident:
            answers.append(struct.unpack("!H", packet[26:28])[0])
    if time.monotonic() >= next_s:
        next_s += float(sys.argv[2])
        if end is None:
            asked += 1
            head = b"\\x08\\0%s" + ident + struct.pack("!H", asked)
            sum_ = struct.pack("!H", checksum(head.replace(b"%s", b"\\0\\0")))
            out.sendto(head.replace(b"%s", sum_), (sys.argv[1], 0))
print(asked, *answers)
"""


# A guest that forwards between two networks. Its rings have room for what comes while nobody has a CPU
# for it.
FORWARDER_CONFIG = """
[switch]
hold_ms = 20000
[network blue]
vlan = 100
[network red]
vlan = 200
[port h0]
type = vdev
device = net_af_packet0,iface=up0,framecnt=8192
network = blue
[port h1]
type = vdev
device = net_af_packet1,iface=up1,framecnt=8192
network = red
[port p0]
type = avp
network = blue
mac = 02:00:00:00:00:10
ring = 4096
buffers = 12288
[port p1]
type = avp
network = red
mac = 02:00:00:00:00:11
ring = 4096
buffers = 12288
"""
FORWARDER_MACS = ["02:00:00:00:00:10", "02:00:00:00:00:11"]
FORWARDER_RATE = 2000
FORWARDER_MOVES = 20

# Prints frames from a MAC.
LISTEN = """
import socket, sys
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
port.bind(("eth0", 0))
port.settimeout(30)
print("ready", flush=True)
left = int(sys.argv[2])
while left:
    data = port.recv(2048)
    if data[6:12].hex() == sys.argv[1]:
        print(data.hex(), flush=True)
        left -= 1
"""


class Pings:
    """A host that pings the guest all the time."""

    def __init__(self, host, interval_s=0.005):
        self.process = subprocess.Popen(
            host.command([sys.executable, "-c", PING, GUEST, str(interval_s)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        """The numbers of the answers in the order in which they came, and how many were asked."""
        said, _ = self.process.communicate("stop\n", timeout=PING_LIMIT_S)
        numbers = [int(n) for n in said.split()]
        return numbers[1:], numbers[0]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Sequence:
    """A host that sends and counts packets with sequence numbers: tests/lib/seq_traffic.c."""

    def __init__(self, host, mac, to_mac, number):
        self.process = subprocess.Popen(
            host.command([os.environ["SEQ_TRAFFIC"], "eth0", mac, to_mac, str(number),
                          str(1 - number)]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, line):
        """Have it do something; return what it says."""
        self.process.stdin.write(line + "\n")
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def results(answer):
    return [(port["name"], port["result"]) for port in answer]


class Migrate(HostsTest):
    def setUp(self):
        super().setUp()
        self.place_b = self.stack.enter_context(Namespace("switch B"))
        veth(self.place, "cable", self.place_b, "cable")
        self.hosts = [self.host("192.0.2.1"), self.host("192.0.2.2", self.place_b)]
        # A host that asks for the guest's MAC in vain would throw away what it has for it.
        for host in self.hosts:
            host.run("ip neighbour add %s lladdr %s dev eth0 nud permanent" % (GUEST, MAC))

    def start(self, *options, hold_ms=HOLD_MS):
        self.a = self.switch(CONFIG % {"hold_ms": hold_ms, "host": 0, "more": ""}, *options)
        self.b = self.switch(CONFIG % {"hold_ms": hold_ms, "host": 1, "more": "incoming = yes"},
                             *options, place=self.place_b)

    def guest_at(self, switch, port):
        """testpmd that answers pings, and keeps an answer that it cannot send while detached."""
        commands = switch.path("testpmd.commands")
        with open(commands, "w", encoding="ascii") as file:
            file.write("set fwd icmpecho retry\nset burst tx delay 10 retry 10000000\n")
        return Guest(self.plugin, [switch.path(port + ".sock")],
                     app=("--cmdline-file=" + commands,))

    def echo(self, switch):
        guest = self.stack.enter_context(self.guest_at(switch, "p0"))
        wait_for(lambda: switch.port("p0")["link"] == "up", LINK_LIMIT_S, guest.said)
        return guest

    def pings(self):
        pings = [Pings(host) for host in self.hosts]
        for ping in pings:
            self.addCleanup(ping.close)
        # B must have heard the guest: what is sent there is to find its way back.
        wait_for(lambda: self.b.macs().get(MAC) == "cable", 10, "guest's MAC on B")
        return pings

    def idle(self, switch):
        """Wait until nothing is held any more."""
        wait_for(lambda: switch.port("p0")["hold"] is None, 10,
                 lambda: "%s" % switch.port("p0")["hold"])

    def expect_all_in_order(self, pings):
        for ping in pings:
            numbers, asked = ping.stop()
            self.assertEqual(numbers, list(range(1, asked + 1)))
            self.assertGreater(asked, 10)

    def move(self, guest, before_attach=lambda: None):
        """From A to B."""
        self.assertEqual(results(self.a.request("port.detach", names=["p0"])), [("p0", "ok")])
        guest.stop()
        self.assertEqual(results(self.a.request("port.depart", names=["p0"])), [("p0", "ok")])
        before_attach()
        addresses = [{"vlan": 100, "mac": MAC, "address": GUEST}]
        self.assertEqual(results(self.b.request("port.attach", names=["p0"],
                                                     addresses=addresses)), [("p0", "absent")])
        return self.echo(self.b)

    def no_losses(self, *switches):
        for switch in switches:
            for port in switch.request("port.show"):
                self.assertEqual(switch.drops(port["name"]), {}, port["name"])

    def test_guest_that_comes_back_gets_what_was_held(self):
        self.start()
        self.echo(self.a)
        pings = self.pings()
        for _ in range(5):
            time.sleep(0.1)  # some traffic in between
            self.assertEqual(results(self.a.request("port.detach", names=["p0"])),
                             [("p0", "ok")])
            self.assertEqual(self.a.port("p0")["migration"], "detached")
            wait_for(lambda: self.a.port("p0")["hold"]["packets"] > 20, 10, "held")
            self.assertEqual(results(self.a.request("port.attach", names=["p0"])),
                             [("p0", "ok")])
            self.idle(self.a)
            self.assertEqual(self.a.port("p0")["migration"], "none")
        self.expect_all_in_order(pings)
        self.no_losses(self.a, self.b)

    def moves(self, *options):
        self.start(*options)
        guest = self.echo(self.a)
        pings = self.pings()
        time.sleep(0.3)
        self.move(guest)
        self.idle(self.b)
        wait_for(lambda: self.a.port("p0")["hold"] is None, 10, "nothing left on A")
        self.expect_all_in_order(pings)
        self.assertEqual(self.a.macs()[MAC], "cable")
        self.no_losses(self.b)
        self.assertEqual(self.a.drops("p0"), {})

    def test_guest_moves_and_no_packet_is_lost_or_overtaken(self):
        self.moves()

    def test_guest_moves_between_switches_of_two_workers(self):
        self.moves("--workers", "2")

    def test_guest_moves_between_switches_of_one_lcore(self):
        self.moves("--", "-l", "0")

    def test_port_can_be_deleted_before_the_guest_is_back(self):
        self.start()
        guest = self.echo(self.a)
        pings = self.pings()
        time.sleep(0.3)
        self.move(guest, lambda: self.a.request("port.del", name="p0"))
        self.idle(self.b)
        self.expect_all_in_order(pings)
        wait_for(lambda: self.a.macs().get(MAC) == "cable", 10, "MAC on A")
        self.assertEqual([p["name"] for p in self.a.request("port.show")], ["cable", "host"])

    def test_guest_that_has_departed_can_come_back(self):
        self.start()
        self.echo(self.a)
        pings = self.pings()
        time.sleep(0.3)
        self.a.request("port.detach", names=["p0"])
        self.a.request("port.depart", names=["p0"])
        self.assertEqual([e["type"] for e in self.a.request("fdb.show", port="p0")], ["kept"])
        wait_for(lambda: self.a.port("p0")["hold"]["packets"] > 20, 10, "held")
        self.assertEqual(results(self.a.request("port.attach", names=["p0"])), [("p0", "ok")])
        self.idle(self.a)
        self.assertEqual([e["type"] for e in self.a.request("fdb.show", port="p0")], ["static"])
        self.expect_all_in_order(pings)
        self.no_losses(self.a)

    def test_guest_is_announced_with_its_addresses(self):
        self.start()
        listening = subprocess.Popen(
            self.hosts[1].command([sys.executable, "-c", LISTEN, MAC.replace(":", ""), "8"]),
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(listening.stdout.close)
        self.addCleanup(listening.wait)
        self.addCleanup(listening.kill)
        self.assertEqual(listening.stdout.readline(), "ready\n")
        self.b.request("port.attach", names=["p0"],
                       addresses=[{"vlan": 100, "mac": MAC, "address": GUEST},
                                  {"vlan": 7, "mac": MAC, "address": "2001:db8::7"}])
        self.echo(self.b)
        frames = [bytes.fromhex(listening.stdout.readline()) for _ in range(8)]
        types = [data[12:14].hex() for data in frames]
        self.assertEqual((types.count("8035"), types.count("0806")), (4, 4), types)
        for data in frames:
            if data[12:14] == b"\x08\x06":
                self.assertEqual(data[28:32], bytes(int(n) for n in GUEST.split(".")))
        self.assertEqual(self.b.port("p0")["addresses"][0]["address"], GUEST)

    def test_broadcasts_before_the_guest_is_there_are_kept_and_its_own_packets_not(self):
        self.start()
        send_frames(self.hosts[1], [frame("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:99")] * 3)
        wait_for(lambda: self.b.port("p0")["hold"]["packets"] == 3, 5, "kept")
        send_frames(self.hosts[1], [frame(MAC, "02:00:00:00:00:99")] * 5)
        wait_for(lambda: self.a.stats("cable")["rx_packets"] >= 8, 5, "flooded to A")
        self.assertEqual(self.b.port("p0")["hold"]["packets"], 3)
        self.assertEqual(results(self.b.request("port.detach", names=["p0"])), [("p0", "ok")])
        wait_for(lambda: self.b.port("p0")["hold"]["packets"] == 0, 5, "forgotten")
        self.assertEqual(self.b.port("p0")["migration"], "incoming")
        self.assertEqual(self.b.drops("p0"), {})

    @contextlib.contextmanager
    def hung(self, guest):
        guest.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            guest.process.send_signal(signal.SIGCONT)

    def test_attach_calls_off_a_detach_that_hangs(self):
        self.start()
        guest = self.echo(self.a)
        answers = []
        with self.hung(guest):
            client = Client(self.a.path("switch.sock"))
            waiting = threading.Thread(target=lambda: answers.append(
                client.request("port.detach", names=["p0"], timeout_ms=60000)))
            waiting.start()
            # the guest has been asked
            wait_for(lambda: self.a.port("p0")["avp"]["migration"] == 1, 5, "detaching")
            with self.assertRaises(Refused) as refused:
                self.a.request("port.detach", names=["p0"])
            self.assertEqual(str(refused.exception), "EBUSY: p0: is detaching already")
            with self.assertRaises(Refused) as refused:
                self.a.request("port.del", name="p0")
            self.assertEqual(refused.exception.code, "EBUSY")
            # The switch goes on meanwhile, and attach is answered by its own limit.
            self.a.request("version")
            self.assertEqual(results(self.a.request("port.attach", names=["p0"],
                                                         timeout_ms=100)), [("p0", "timeout")])
            waiting.join(5)
            self.assertEqual(results(answers[0]), [("p0", "cancelled")])
            client.close()
            self.assertEqual(self.a.port("p0")["migration"], "error")
        wait_for(lambda: self.a.port("p0")["link"] == "up", LINK_LIMIT_S, "link")
        self.idle(self.a)
        self.assert_reaches(self.hosts[0], GUEST)

    def back_at_once(self, hold_ms=HOLD_MS):
        """A guest that has been detached and attached, and whose port still settles."""
        self.start(hold_ms=hold_ms)
        guest = self.echo(self.a)
        for what in ("port.detach", "port.attach"):
            self.assertEqual(results(self.a.request(what, names=["p0"])), [("p0", "ok")])
        self.assertIsNotNone(self.a.port("p0")["hold"])
        return guest

    def send_too_many(self):
        """More than the guest's FIFO takes, and see the rest held."""
        send_frames(self.hosts[0], [frame(MAC, "02:00:00:00:00:99")] * TOO_MANY)
        wait_for(lambda: self.a.port("p0")["hold"]["packets"] > 100, 5, "held")

    def test_guest_that_stalls_when_it_is_back_loses_nothing(self):
        guest = self.back_at_once()
        before = self.a.stats("p0")["tx_packets"]
        with self.hung(guest):
            self.send_too_many()
            time.sleep(1.5)  # longer than a port settles
            self.assertGreater(self.a.port("p0")["hold"]["packets"], 100)
        self.idle(self.a)
        self.assertGreaterEqual(self.a.stats("p0")["tx_packets"] - before, TOO_MANY)
        self.assertEqual(self.a.drops("p0"), {})

    def test_guest_that_does_not_catch_up_is_waited_for_so_long_only(self):
        guest = self.back_at_once(hold_ms=2000)
        with self.hung(guest):
            self.send_too_many()
            self.idle(self.a)
            drops = self.a.drops("p0")
            self.assertEqual(list(drops), ["tx_hold_overflow"])
            self.assertGreater(drops["tx_hold_overflow"], 100)
        self.assert_reaches(self.hosts[0], GUEST)

    def test_hung_guest_is_detached_at_the_limit(self):
        self.start()
        guest = self.echo(self.a)
        with self.hung(guest):
            begin = time.monotonic()
            answer = self.a.request("port.detach", names=["p0"], timeout_ms=300)
            self.assertEqual(results(answer), [("p0", "timeout")])
            self.assertLess(time.monotonic() - begin, 5)
            self.assertGreaterEqual(answer[0]["took_us"], 300000)
            self.assertEqual(self.a.port("p0")["migration"], "error")
            self.assertEqual(self.a.port("p0")["link"], "down")
            self.assertIsNotNone(self.a.port("p0")["hold"])

    def test_client_that_goes_away_leaves_the_detach_running(self):
        self.start()
        guest = self.echo(self.a)
        with self.hung(guest):
            client = Client(self.a.path("switch.sock"))
            client.socket.sendall(b'{"method":"port.detach","params":{"names":["p0"],'
                                  b'"timeout_ms":500}}\n')
            wait_for(lambda: self.a.port("p0")["migration"] == "detaching", 5, "detaching")
            client.close()
            wait_for(lambda: self.a.port("p0")["migration"] == "error", 5, "end")

    def test_nobody_announces_the_guest(self):
        self.start(hold_ms=500)
        self.echo(self.a)
        self.a.request("port.detach", names=["p0"])
        self.a.request("port.depart", names=["p0"])
        send_frames(self.hosts[0], [frame(MAC, "02:00:00:00:00:99")] * 7)
        self.idle(self.a)
        self.assertEqual(self.a.drops("p0"), {"tx_hold_overflow": 7})
        self.assertEqual(self.a.request("fdb.show", port="p0"), [])

    def test_what_cannot_be_moved_is_refused(self):
        self.start()
        self.assertEqual(results(self.a.request("port.detach", names=["p0"])),
                         [("p0", "absent")])
        for method, names, message in (
                ("port.detach", ["host"], "EINVAL: host: only a port of type avp has a guest"),
                ("port.detach", ["p9"], "ENOENT: p9: no such port"),
                ("port.detach", [], "EINVAL: names: at least one port"),
                ("port.depart", ["host"], "EINVAL: host: only a port of type avp has a guest"),
                ("port.attach", ["p0", "p0"], "EINVAL: names: p0: given twice")):
            with self.assertRaises(Refused) as refused:
                self.a.request(method, names=names)
            self.assertEqual(str(refused.exception), message)
        self.a.request("port.attach", names=["p0"])
        for method in ("port.attach", "port.depart"):
            with self.assertRaises(Refused) as refused:
                self.a.request(method, names=["p0"])
            self.assertEqual(str(refused.exception), "EINVAL: p0: is not detached")
        for given, message in (
                ([{"vlan": 0, "mac": MAC, "address": None}],
                 "addresses: vlan: must be a number from 1 to 4094"),
                ([{"vlan": 1, "mac": "x", "address": None}],
                 "addresses: mac=x: must be xx:xx:xx:xx:xx:xx"),
                ([{"vlan": 1, "mac": MAC, "address": "1.2.3"}],
                 "addresses: address=1.2.3: must be an IP address or null"),
                ({}, "addresses: must be an array of at most 16")):
            with self.assertRaises(Refused) as refused:
                self.b.request("port.attach", names=["p0"], addresses=given)
            self.assertEqual(str(refused.exception), "EINVAL: " + message)

    def test_guest_moves_to_another_port_of_the_same_switch(self):
        self.start()
        guest = self.echo(self.a)
        pings = self.pings()
        time.sleep(0.3)
        self.a.request("port.add", name="p1", type="avp", network="blue", mac=MAC, incoming=True)
        with self.assertRaises(Refused) as refused:
            self.a.request("port.attach", names=["p1"])
        self.assertEqual(refused.exception.code, "EEXIST")
        self.a.request("port.detach", names=["p0"])
        guest.stop()
        self.a.request("port.depart", names=["p0"])
        self.a.request("port.attach", names=["p1"])
        with self.guest_at(self.a, "p1"):
            wait_for(lambda: self.a.port("p1")["hold"] is None, LINK_LIMIT_S, "open")
            wait_for(lambda: self.a.port("p0")["hold"] is None, LINK_LIMIT_S, "left")
            self.expect_all_in_order(pings)
            self.assertEqual([(e["port"], e["type"]) for e in self.a.request("fdb.show")
                              if e["mac"] == MAC], [("p1", "static")])


class Forwarder(HostsTest):
    def test_application_that_forwards_between_its_ports_drops_nothing(self):
        """It does not keep what the other port cannot take: the ports let go and come back together."""
        hosts = [self.host(), self.host()]
        macs = [mac_of(host) for host in hosts]
        switch = self.switch(FORWARDER_CONFIG)
        guest = self.stack.enter_context(Guest(
            self.plugin, [switch.path("p0.sock"), switch.path("p1.sock")],
            app=["--forward-mode=mac"] + ["--eth-peer=%d,%s" % peer for peer in enumerate(macs)]))
        for name in ("p0", "p1"):
            wait_for(lambda port=name: switch.port(port)["link"] == "up", LINK_LIMIT_S, guest.said)
        traffic = [Sequence(host, mac, to, number) for number, (host, mac, to) in
                   enumerate(zip(hosts, macs, FORWARDER_MACS))]
        for host in traffic:
            self.addCleanup(host.close)
            host.ask("reset")  # it listens
        for host in traffic:
            host.ask("rate %d" % FORWARDER_RATE)
        for _ in range(FORWARDER_MOVES):
            time.sleep(0.05)
            for what in ("port.detach", "port.attach"):
                self.assertEqual(results(switch.request(what, names=["p0", "p1"])),
                                 [("p0", "ok"), ("p1", "ok")])
                time.sleep(0.01)
            for name in ("p0", "p1"):
                wait_for(lambda port=name: (switch.port(port)["hold"] or {"packets": 0})["packets"]
                         == 0, 10, "nothing held")
        for host in traffic:
            host.ask("rate 0")
        sent = [host.ask("stats")["sent"] for host in traffic]
        wait_for(lambda: [host.ask("stats")["received"] for host in traffic] == sent[::-1], 10,
                 lambda: "all: %s %s" % (sent, [host.ask("stats") for host in traffic]))
        for host in traffic:
            stats = host.ask("stats")
            self.assertEqual((stats["duplicated"], stats["reordered"]), (0, 0), stats)
        self.assertGreater(min(sent), 1000)


if __name__ == "__main__":
    main()
