#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Our net_avp and a guest's PCI bus: who binds, who is refused, hotplug, a lost configuration.

    pci_test.py DRIVER VM_TRAFFIC PLUGIN

The traffic through our driver is in stock_test.py; here a little of it shows that a port works.
"""

import re
import sys

from lib.checks import Checks, skip_without_vm
from lib.testpmd import Testpmd
from lib.traffic import Port, Traffic
from lib.vm import Failed, Vm, wait_for

FLAVOUR = "dpdk-22.11"
DRIVER = "/opt/avp/librte_net_avp.so"
FOLDER = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/"
BOUND = "net_avp: %s: OpenAVP driver bound"
MACS = ["02:00:00:00:02:%02x" % number for number in range(5)]
# Sockets that become devices at boot; the last port is for hotplug.
COLD = 4
HOT = 4
ROOT_PORT = "0000:00:0d.0"
HOT_CARD = "0000:01:00.0"
IVSHMEM = "0000:00:0e.0"
QEMU_ARGS = ["-device", "pcie-root-port,id=hot,bus=pcie.0,addr=0xd,chassis=1,slot=1,"
             "pref64-reserve=256M",
             "-object", "memory-backend-ram,id=shm,size=1M,share=on",
             "-device", "ivshmem-plain,memdev=shm,bus=pcie.0,addr=0xe"]
# Config space
COMMAND, BARS, CAPABILITIES = 0x04, 0x10, 0x34
MSIX = 0x11


def expect(condition, *message):
    if not condition:
        raise AssertionError(" ".join(map(str, message)))


def bound(pmd):
    """Addresses of the cards that our driver has taken."""
    return re.findall(BOUND % "([0-9a-f:.]+)", pmd.started)


class Guest:
    """The VM, and traffic through it."""

    def __init__(self, vm, traffic):
        self.vm = vm
        self.traffic = traffic
        self.plugged = False  # the card for hotplug, by QEMU

    def cards(self, *numbers):
        return " ".join("-a " + self.vm.pci(number) for number in numbers)

    def testpmd(self, eal, app="", console=0):
        pmd = Testpmd(self.vm, "-l 0,1 --file-prefix t%d %s" % (console, eal),
                      "--total-num-mbufs=4096 " + app, console)
        return pmd

    def streams(self, first, second, **keys):
        streams = self.traffic.both(first, second, **{
            "sizes": "64,1500,1514", "flows": 16, "count": 2000, "seed": 1, **keys})
        for stream in streams:
            stream["dmac"] = MACS[stream["from"]]
        return streams

    def forward(self, *pairs):
        """Packets there and back through each pair of ports, at the same time."""
        for pair in pairs:
            for port in pair:
                self.traffic.expect_link(port, "up")
        return self.traffic.run([stream for pair in pairs for stream in self.streams(*pair)])

    def expect_by_pointer(self, pmd, *ports):
        """What they have received was not copied: BAR 2 could be mapped for longer than the card."""
        for port in ports:
            out = pmd.command("show port xstats %d" % port)
            expect(re.search(r"^rx_q0_by_pointer: [1-9]", out, re.M), out)

    def config(self, address):
        """Config space of a card as the kernel sees it."""
        text = self.vm.run("hexdump -v -e '1/1 \"%%02x \"' -n 256 /sys/bus/pci/devices/%s/config"
                           % address)
        return bytes(int(word, 16) for word in text.split())

    def config_write(self, address, offset, *values):
        data = "".join("\\%03o" % value for value in values)
        self.vm.run("printf '%s' | dd of=/sys/bus/pci/devices/%s/config bs=1 seek=%d "
                    "conv=notrunc 2>/dev/null" % (data, address, offset))

    def lose_configuration(self, address):
        """Leave the card as a live migration does: no BARs, no decoding, no MSI-X."""
        config = self.config(address)
        at = config[CAPABILITIES]
        while config[at] != MSIX:
            at = config[at + 1]
            expect(at != 0, "no MSI-X capability")
        expect(config[at + 3] & 0x80, "MSI-X was not on")
        self.config_write(address, at + 2, 0, 0)
        self.config_write(address, COMMAND, 0, 0)
        self.config_write(address, BARS, *([0] * 24))
        after = self.config(address)
        expect(not any(after[COMMAND:COMMAND + 1]) and not after[at + 3] & 0x80, "nothing lost")

    def to_driver(self, address, name):
        """Give a card to another driver of the kernel's."""
        self.vm.run("device=/sys/bus/pci/devices/%s\necho %s >$device/driver_override\n"
                    "echo %s >$device/driver/unbind\necho %s >/sys/bus/pci/drivers_probe"
                    % (address, name, address, address))
        now = self.vm.run("basename $(readlink /sys/bus/pci/devices/%s/driver)" % address)
        expect(now.strip() == name, "driver is", now)


def check_both_present(checks, guest):
    """Ours binds when DPDK's own driver is there too, however ours was found."""
    both = [guest.vm.pci(0), guest.vm.pci(1)]
    with checks("ours_binds_when_both_are_loaded"):
        pmd = guest.testpmd("-d %s %s" % (DRIVER, guest.cards(0, 1)))
        maps = guest.vm.run("cat /proc/%d/maps" % pmd.pid)
        expect(FOLDER.rsplit("/", 3)[0] and "librte_net_avp.so.23" in maps and DRIVER in maps, maps)
        expect(bound(pmd) == both, pmd.started)
        pmd.command("start")
        guest.forward((0, 1))
        guest.expect_by_pointer(pmd, 0, 1)
        pmd.quit()
    with checks("stock_binds_without_ours"):
        pmd = guest.testpmd(guest.cards(0, 1))
        expect(bound(pmd) == [], pmd.started)
        pmd.quit()
    link = FOLDER + "librte_net_openavp.so"
    with checks("ours_binds_from_the_plug_in_folder"):
        guest.vm.run("ln -s %s %s" % (DRIVER, link))
        pmd = guest.testpmd(guest.cards(0, 1))
        expect(bound(pmd) == both, pmd.started)
        pmd.quit()
    guest.vm.run("rm -f " + link)


def check_side_by_side(checks, guest):
    """Two processes of one guest, one with each driver, under traffic at the same time."""
    ours = stock = None
    with checks("stock_driver_beside_ours"):
        ours = guest.testpmd("-d %s %s" % (DRIVER, guest.cards(0, 1)), console=0)
        stock = guest.testpmd(guest.cards(2, 3), console=1)
        expect(bound(ours) == [guest.vm.pci(0), guest.vm.pci(1)], ours.started)
        expect(bound(stock) == [], stock.started)
        ours.command("start")
        stock.command("start")
        guest.forward((0, 1), (2, 3))
        ours.quit()
        guest.forward((2, 3))
        stock.quit()


def check_refused(checks, guest):
    with checks("ivshmem_is_refused"):
        pmd = guest.testpmd("-d %s %s -a %s" % (DRIVER, guest.cards(0, 1), IVSHMEM))
        expect("net_avp: %s: subsystem 1af4:1100: refused" % IVSHMEM in pmd.started, pmd.started)
        expect(bound(pmd) == [guest.vm.pci(0), guest.vm.pci(1)], pmd.started)
    with checks("a_secondary_process_is_refused"):
        _, out = guest.vm.run(
            "dpdk-testpmd -l 0,1 --file-prefix t0 --proc-type=secondary -d %s %s"
            " -- --num-procs 2 --proc-id 1 --auto-start </dev/null"
            % (DRIVER, guest.cards(0, 1)), check=False)
        for number in (0, 1):
            expect("net_avp: %s: secondary processes cannot use this port" % guest.vm.pci(number)
                   in out, out)
    with checks("the_primary_goes_on"):
        pmd.command("start")
        guest.forward((0, 1))
        pmd.quit()


def check_lost_configuration(checks, guest):
    """What a live migration takes away, the driver puts back."""
    pmd = guest.testpmd("-d %s %s" % (DRIVER, guest.cards(0, 1)))
    pmd.command("start")
    for number, times in enumerate(("once", "twice"), 1):
        with checks("a_lost_pci_configuration_is_put_back_" + times):
            guest.forward((0, 1))
            for port in (0, 1):
                answer = guest.traffic.command("detach %d 5000" % port, 10)
                expect(answer["result"] == 0, "detach:", answer)
            guest.vm.run("kill -STOP %d" % pmd.pid)
            for port in (0, 1):
                guest.lose_configuration(guest.vm.pci(port))
            guest.vm.run("kill -CONT %d" % pmd.pid)
            for port in (0, 1):
                answer = guest.traffic.command("attach %d 5000" % port, 10)
                expect(answer["result"] == 0, "attach:", answer)
            guest.forward((0, 1))
            for port in (0, 1):
                out = pmd.command("show port xstats %d" % port)
                expect(re.search(r"^attaches: %d$" % number, out, re.M), out)
    with checks("afterwards_interrupts_come_again"):
        for ask in ("detach", "attach"):
            answer = guest.traffic.command("%s 0 5000" % ask, 10)
            expect(answer["result"] == 0, ask, answer)
        guest.forward((0, 1))
        pmd.quit()


def check_uio(checks, guest):
    with checks("works_with_uio_pci_generic"):
        for port in (0, 1):
            guest.to_driver(guest.vm.pci(port), "uio_pci_generic")
        pmd = guest.testpmd("-d %s %s" % (DRIVER, guest.cards(0, 1)))
        expect(bound(pmd) == [guest.vm.pci(0), guest.vm.pci(1)], pmd.started)
        expect("%s: no interrupts" % guest.vm.pci(0) in pmd.started, pmd.started)
        pmd.command("start")
        guest.forward((0, 1))
        guest.expect_by_pointer(pmd, 0, 1)
    with checks("uio_pci_generic_sees_the_hosts_link"):
        for state in ("down", "up"):
            guest.traffic.command("setlink 0 " + state)
            wait_for(lambda state=state: "Link status: " + state in
                     pmd.command("show port info 0"), 5, "link " + state, every=0.2)
        guest.forward((0, 1))
    with checks("uio_pci_generic_detaches_and_attaches"):
        for ask in ("detach", "attach"):
            answer = guest.traffic.command("%s 0 5000" % ask, 10)
            expect(answer["result"] == 0, ask, answer)
        guest.forward((0, 1))
        pmd.quit()
    for port in (0, 1):
        guest.to_driver(guest.vm.pci(port), "vfio-pci")


def plug(guest):
    """QEMU plugs a card in; once it is there, the guest's kernel finds it again."""
    if gone(guest) and not guest.plugged:
        guest.vm.qmp("device_add", driver="vfio-user-pci", id="hotcard", bus="hot",
                     socket={"type": "unix", "path": guest.traffic.sockets[HOT]})
        guest.plugged = True
    else:
        guest.vm.run("echo 1 >/sys/bus/pci/rescan")
    wait_for(lambda: guest.vm.run("readlink /sys/bus/pci/devices/%s/driver || :" % HOT_CARD)
             .strip().endswith("vfio-pci"), 30, "card on vfio-pci", every=0.2)


def pull(guest):
    """The guest's kernel takes the card from its user, as when QEMU pulls it out.

    QEMU 11.1.3 itself ends with a failed assertion in memory_region_del_subregion() when told to
    (device_del), whether the card is in use or not.
    """
    guest.vm.run("echo 1 >/sys/bus/pci/devices/%s/remove &" % HOT_CARD)


def gone(guest):
    return guest.vm.run("ls /sys/bus/pci/devices/%s 2>/dev/null || echo gone"
                        % HOT_CARD).strip() == "gone"


def check_hotplug(checks, guest):
    """A card comes and goes while testpmd runs."""
    pmd = guest.testpmd("-d %s %s" % (DRIVER, guest.cards(0)), "--hot-plug")
    for times in ("once", "twice"):
        with checks("a_card_that_is_plugged_in_works_" + times):
            plug(guest)
            out = pmd.command("port attach " + HOT_CARD)
            expect(BOUND % HOT_CARD in out and "Port 1 is attached" in out, out)
            pmd.command("port start 1")
            pmd.command("start")
            guest.forward((0, HOT))
        with checks("a_card_that_is_pulled_out_is_let_go_" + times):
            pull(guest)
            wait_for(lambda: gone(guest), 60, "end of the card", every=0.5)
            guest.traffic.expect_link(HOT, "down")
            expect(pmd.running(), "testpmd has ended")
            out = pmd.command("show port summary all")
            expect(HOT_CARD not in out and guest.vm.pci(0) in out, out)
            # testpmd has gone on with the port that is left
            pmd.command("stop")
    with checks("testpmd_ends_in_good_order"):
        pmd.quit()


def main():
    driver, program, plugin = sys.argv[1:4]
    skip_without_vm()
    checks = Checks()
    with open(driver, "rb") as file:
        files = {DRIVER[1:]: file.read()}
    ports = [Port("p%d" % number, queues=1, mac=mac) for number, mac in enumerate(MACS)]
    with Traffic(program, plugin, ports) as traffic, \
            Vm(FLAVOUR, traffic.sockets[:COLD], memory=1024, files=files, extra=QEMU_ARGS) as vm:

        def on_failure():
            vm.print_logs()
            traffic.print_logs()
            traffic.reset()

        checks.on_failure = on_failure
        guest = Guest(vm, traffic)
        for check in (check_both_present, check_side_by_side, check_refused,
                      check_lost_configuration, check_uio, check_hotplug):
            try:
                check(checks, guest)
            except (Failed, AssertionError) as error:
                with checks(check.__name__):
                    raise error
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
