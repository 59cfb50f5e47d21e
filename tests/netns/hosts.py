# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What the tests of this folder share: hosts at a switch, their traffic, and how a test is run."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from netns import Namespace, lacking, veth  # noqa: E402
from switch import Guest, Switch  # noqa: E402

SKIP = 77
TRANSFER_LIMIT_S = 60


class HostsTest(unittest.TestCase):
    """A test with a namespace for the switch, and one for each host."""

    binary = None  # avp-switch
    plugin = None  # librte_net_avp.so

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.place = self.stack.enter_context(Namespace("switch"))
        self.nb_hosts = 0

    def host(self, address=None, place=None):
        """A host with eth0, and a cable from there to the switch; its end there is up<number>."""
        number = self.nb_hosts
        self.nb_hosts += 1
        host = self.stack.enter_context(Namespace("host%d" % number))
        veth(place or self.place, "up%d" % number, host, "eth0")
        if address:
            host.run("ip address add %s/24 dev eth0" % address)
        return host

    def switch(self, config, *options, place=None):
        return self.stack.enter_context(Switch(self.binary, config, options,
                                               place or self.place))

    def guest(self, *sockets):
        return self.stack.enter_context(Guest(self.plugin, sockets))

    def assert_reaches(self, host, address, count=3):
        host.run("ping -c %d -i 0.1 -W 2 %s" % (count, address))

    def assert_does_not_reach(self, host, address):
        words = host.command(["ping", "-c", "2", "-i", "0.1", "-W", "1", address])
        done = subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0, "%s answers" % address)

    def assert_file_arrives(self, sender, receiver, address, size):
        """Send random bytes over TCP, and compare checksums."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            data = os.urandom(size)
            with open(path, "wb") as file:
                file.write(data)
            server = receiver.popen(["socat", "-u", "TCP-LISTEN:5000,reuseaddr", "-"],
                                    stdout=subprocess.PIPE)
            try:
                client = sender.popen(["socat", "-u", "FILE:" + path,
                                       "TCP:%s:5000,retry=100,interval=0.1" % address])
                received, _ = server.communicate(timeout=TRANSFER_LIMIT_S)
                self.assertEqual(client.wait(TRANSFER_LIMIT_S), 0)
            finally:
                server.kill()
                server.wait()
        self.assertEqual(len(received), size)
        self.assertEqual(hashlib.sha256(received).hexdigest(), hashlib.sha256(data).hexdigest())


def mac_of(host, interface="eth0"):
    return json.loads(host.run("ip -json link show dev " + interface))[0]["address"]


def send_frames(host, frames, interface="eth0"):
    """Send raw Ethernet frames, given as bytes."""
    script = ("import socket, sys\n"
              "out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
              "out.bind((sys.argv[1], 0))\n"
              "for line in sys.argv[2:]:\n"
              "    out.send(bytes.fromhex(line))\n")
    host.run([sys.executable, "-c", script, interface, *(frame.hex() for frame in frames)])


def frame(dst, src, payload=b"", ethertype=0x88b5, tags=()):
    """An Ethernet frame of at least 60 bytes with these VLAN tags. 88b5 is free for experiments."""
    data = bytes.fromhex(dst.replace(":", "")) + bytes.fromhex(src.replace(":", ""))
    for tci in tags:
        data += b"\x81\x00" + tci.to_bytes(2, "big")
    return (data + ethertype.to_bytes(2, "big") + payload).ljust(60, b"\0")


def main():
    """Run the tests of the program: SWITCH PLUGIN [TEST...]."""
    reason = lacking()
    if reason:
        print("skipped: " + reason)
        sys.exit(SKIP)
    HostsTest.binary = os.path.abspath(sys.argv.pop(1))
    HostsTest.plugin = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__", verbosity=2)
