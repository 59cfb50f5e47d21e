# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Switches as programs of their own, with two guests' ports: this project's, and those that Debian has.

    with Program("avp-switch", ...) as program:
        program.guests     # ends for bench_ports
"""

import os
import subprocess
import tempfile
import time

START_LIMIT_S = 15
STOP_LIMIT_S = 5
VIRTIO = "net_virtio_user{i},path={dir}/v{i},queue_size=512,"
PACKED = VIRTIO + "packed_vq=1,in_order=1,mrg_rxbuf=0,vectorized=1"
AVP_PORT = """
[port p{i}]
type = avp
network = net
check_source_mac = no
socket = {dir}/p{i}
ring = 512
{more}
"""
VHOST_PORT = """
[port p{i}]
type = vdev
network = net
device = net_vhost{i},iface={dir}/v{i}
"""


def avp_switch(port, more=""):
    """Configuration and command of avp-switch."""

    def command(args, folder, huge):
        config = "[network net]\nvlan = 1\n" + "".join(
            port.format(i=i, dir=folder, more=more) for i in range(2))
        path = os.path.join(folder, "switch.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(config)
        return ([args.switch, "--config", path, "--control", os.path.join(folder, "control"),
                 "--busy-poll", "--cores", "{cpu}"] + ([] if huge else ["--no-huge"]))
    return command


def testpmd(_, folder, huge):
    """testpmd that passes packets between two vhost ports, without looking at them."""
    command = ["dpdk-testpmd", "--no-pci", "--no-shconf", "--no-telemetry", "--lcores=0@{cpu},1@{cpu}",
               "--file-prefix=bench%d" % os.getpid(), "-m256"]
    command += ["--in-memory", "--single-file-segments"] if huge else ["--no-huge"]
    command += ["--vdev=net_vhost%d,iface=%s/v%d" % (i, folder, i) for i in range(2)]
    return command + ["--", "--auto-start", "--no-flush-rx", "--forward-mode=io", "--burst=32",
                      "--total-num-mbufs=8192", "--rxd=512", "--txd=512", "--stats-period=3600"]


# The one that ratios are given to.
REFERENCE = "testpmd-vhost"

# Name: label, command, guest's end, is it ours.
PROGRAMS = {
    "switch-stock": ("avp-switch, AVP, stock driver (emulated)", avp_switch(AVP_PORT),
                     "stock:{dir}/p{i}", True),
    "switch-copy": ("avp-switch, AVP, our driver by copy", avp_switch(AVP_PORT),
                    "net_avp_user{i},socket={dir}/p{i},recycle=0", True),
    "switch-recycle": ("avp-switch, AVP, our driver, recycle", avp_switch(AVP_PORT),
                       "net_avp_user{i},socket={dir}/p{i}", True),
    "switch-domain": ("avp-switch, AVP, one domain, our driver, recycle",
                      avp_switch(AVP_PORT, "domain = d"), "net_avp_user{i},socket={dir}/p{i}", True),
    "switch-vhost": ("avp-switch, vhost-user, packed", avp_switch(VHOST_PORT), PACKED, False),
    "testpmd-vhost": ("testpmd io (no switch), vhost-user, packed", testpmd, PACKED, False),
}


class Program:
    """One of them, running; ready when its sockets are there."""

    def __init__(self, name, args, folder, cpu, huge):
        self.label, command, guest, _ = PROGRAMS[name]
        self.guests = [guest.format(i=i, dir=folder) for i in range(2)]
        self.sockets = [os.path.join(folder, ("v%d" if "path=" in guest else "p%d") % i)
                        for i in range(2)]
        self.output = tempfile.TemporaryFile(mode="w+")
        words = [word.format(cpu=cpu) for word in command(args, folder, huge)]
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + words,
                                        stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT)

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def __enter__(self):
        end = time.monotonic() + START_LIMIT_S
        while not all(os.path.exists(path) for path in self.sockets):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError("%s did not start: %s" % (self.label, self.said()[-300:]))
            time.sleep(0.02)
        return self

    def cpu_seconds(self):
        """User and system time of all its threads: one of them polls, the others sleep."""
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
