# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Hosts made of network namespaces, for traffic through the switch. Needs root.

    with Namespace("ns1") as ns1, Namespace("switch") as sw:
        veth(sw, "up0", ns1, "eth0")
        ns1.run("ip address add 192.0.2.1/24 dev eth0")

The namespaces have no name in the system: each lives as long as a process that holds it, and that
one is killed by the kernel when its parent ends, however that happens. With the namespace go its
interfaces, and with them their other ends. So nothing is ever left behind.
"""

import json
import os
import shlex
import subprocess

MADE_LIMIT_S = 10


class Failed(Exception):
    """A command failed; the message has what it printed."""


def bound_to_parent(command):
    """The command, killed by the kernel when the process that starts it ends."""
    return ["setpriv", "--pdeathsig", "KILL"] + command


class Namespace:
    """A network namespace with the loopback interface up."""

    def __init__(self, name):
        self.name = name
        self.holder = None

    def __enter__(self):
        # The holder says when it is in its namespace, then waits for an end of input that never comes.
        self.holder = subprocess.Popen(
            bound_to_parent(["unshare", "--net", "sh", "-c",
                             "ip link set lo up && echo made && exec cat"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "made\n":
            self.close()
            raise Failed("%s: no network namespace; root is needed" % self.name)
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Let go of the namespace; it ends with the last process in it."""
        if self.holder is None:
            return
        self.holder.stdin.close()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder = None

    def command(self, words):
        """The command line that runs these words in the namespace."""
        return bound_to_parent(["nsenter", "-t", str(self.holder.pid), "-n", "--"] + words)

    def run(self, line, limit_s=30):
        """Run a command in the namespace; return what it printed."""
        words = shlex.split(line) if isinstance(line, str) else line
        done = subprocess.run(self.command(words), check=False, text=True, timeout=limit_s,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failed("%s: %s: exit status %d: %s"
                         % (self.name, line, done.returncode, done.stdout.strip()))
        return done.stdout

    def popen(self, words, **more):
        """Start a command in the namespace."""
        return subprocess.Popen(self.command(words), stdin=subprocess.DEVNULL, **more)

    def counters(self, interface):
        """Packets and bytes that an interface has received (rx) and sent (tx)."""
        link = json.loads(self.run("ip -json -statistics link show dev " + interface))[0]
        return {"%s_%s" % (way, what): link["stats64"][way][what]
                for way in ("rx", "tx") for what in ("packets", "bytes")}


def veth(one, one_name, other, other_name, mtu=1500):
    """A cable between two namespaces, both ends up, that carries nothing of its own.

    IPv6 would send packets that nobody asked for. Checksums are computed at once, because AF_PACKET
    hands over packets as they are and nobody would do it later; with that, packets are as long on
    the cable as they would be on a real one.
    """
    one.run("ip link add %s mtu %d type veth peer name %s mtu %d netns %d"
            % (one_name, mtu, other_name, mtu, other.holder.pid))
    for namespace, name in ((one, one_name), (other, other_name)):
        namespace.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/%s/disable_ipv6"
                       % shlex.quote(name)])
        namespace.run("ethtool -K %s tx off tso off gso off gro off" % name)
        namespace.run("ip link set %s up" % name)


def lacking():
    """Why namespaces cannot be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return None
