#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Guest images boot, obey the agent, and run testpmd; no AVP device is involved."""

import sys

from lib.checks import Checks, skip_without_vm
from lib.testpmd import Testpmd
from lib.vm import Failed, Timeout, Vm, wait_for


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def check_agent(checks, vm):
    with checks(vm.flavour + "_agent_returns_output_and_status"):
        status, output = vm.run("echo one; echo two >&2; exit 3", check=False)
        expect((status, output) == (3, "one\ntwo\n"), "got %d, %r" % (status, output))
    with checks(vm.flavour + "_agent_kills_a_command_at_its_limit"):
        status, _ = vm.run("sleep 600", limit=1, check=False)
        expect(status == 137, "exit status %d instead of 137" % status)
    with checks(vm.flavour + "_added_file_is_in_the_guest"):
        expect(vm.run("cat /opt/added/file") == "added\n", "other content")
    with checks(vm.flavour + "_vfio_pci_knows_the_device"):
        # Whether the id has been taken shows when it is refused a second time.
        status, _ = vm.run("echo 1af4 1110 >/sys/bus/pci/drivers/vfio-pci/new_id", check=False)
        expect(status != 0, "1af4:1110 was not among vfio-pci's ids")
        groups = vm.run("ls /sys/kernel/iommu_groups").split()
        expect(groups, "no IOMMU groups")


def check_testpmd(checks, vm):
    name = vm.flavour + "_testpmd_"
    pmd = None
    with checks(name + "forwards_between_null_ports"):
        pmd = Testpmd(vm, "-l 0,1 --no-pci --vdev net_null0 --vdev net_null1",
                      "--total-num-mbufs=2048")
        pmd.command("start")
        wait_for(lambda: pmd.stats(1)["TX-packets"] > 1000, 30, "packets")
        out = pmd.command("stop")
        expect("TX-packets: 0 " not in out, out)
    with checks(name + "unknown_command_is_an_error"):
        try:
            pmd.command("no such command")
        except Failed:
            pass
        else:
            raise AssertionError("no error")
    with checks(name + "has_the_stock_avp_driver"):
        maps = vm.run("grep -o 'librte_net_avp[^ ]*' /proc/%d/maps" % pmd.pid)
        expect("librte_net_avp.so." in maps, maps)
    with checks(name + "killed_is_gone_and_starts_again"):
        pmd.kill()
        expect(not pmd.running(), "pid %d is still there" % pmd.pid)
        pmd = Testpmd(vm, "-l 0,1 --no-pci --vdev net_null0", "--total-num-mbufs=2048")
        expect("net_null0" in pmd.command("show port info 0"), "no port")
    with checks(name + "quits"):
        pmd.quit()


def check_end(checks, vm):
    with checks(vm.flavour + "_kill_ends_qemu"):
        vm.kill()
        expect(vm.wait(1) == -9, "exit status %s" % vm.process.returncode)


def check_time_out(checks, vm):
    with checks(vm.flavour + "_waiting_in_vain_tells_what_came"):
        vm.run("echo here I am >/dev/hvc1")
        try:
            vm.streams["console1"].until(b"never", 0.5)
        except Timeout as error:
            expect("here I am" in str(error), str(error))
        else:
            raise AssertionError("no time-out")


def main():
    skip_without_vm()
    checks = Checks()
    for flavour in ("dpdk-22.11", "dpdk-24.11"):
        vm = Vm(flavour, files={"opt/added/file": b"added\n"})
        checks.on_failure = vm.print_logs
        try:
            with checks(flavour + "_boots"):
                vm.start()
            if vm.started():
                check_agent(checks, vm)
                check_time_out(checks, vm)
                check_testpmd(checks, vm)
                check_end(checks, vm)
        finally:
            vm.close()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
