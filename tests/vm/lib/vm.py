# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""A virtual machine that runs one of the guest images of vm/initramfs.

    with Vm("dpdk-22.11", ["/run/p0.sock"]) as vm:
        vm.run("lspci")

QEMU's monitor and the guest's agent and consoles are socket pairs, so they need no names and end
with either side. QEMU is killed by the kernel if the test dies, however that happens.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .stream import Closed, Stream, Timeout

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
QEMU = os.path.join(TOP, "vm/qemu")
BUILD_IMAGE = os.path.join(TOP, "vm/initramfs/build")
BUILD_DRIVER = os.path.join(TOP, "devtools/guest-driver")

# Seconds. A guest is up in 3 on an idle host.
BOOT_LIMIT = 90
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """A command in the guest failed."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def lacking():
    """What is missing for virtual machines on this system, or None."""
    if subprocess.run([QEMU, "--has-vfio-user"], check=False).returncode != 0:
        return "no QEMU with the vfio-user-pci device; devtools/setup-qemu-root makes one"
    return None


def image(flavour):
    """The folder of a guest image, which is made if it is not there."""
    out = subprocess.run([BUILD_IMAGE, flavour], check=True, text=True, stdout=subprocess.PIPE)
    return out.stdout.strip()


def driver(flavour, plugin):
    """The guest driver for a flavour: plugin, if it is for that release of DPDK; else one made for it.

    None without the headers of that release; devtools/setup-dpdk-release gets them.
    """
    release = flavour.replace("dpdk-", "")
    out = subprocess.run(["pkg-config", "--modversion", "libdpdk"], check=True, text=True,
                         stdout=subprocess.PIPE)
    if out.stdout.startswith(release + "."):
        return plugin
    setup = os.environ.get("AVP_SETUP_DIR") or os.path.join(TOP, ".setup")
    if not os.path.exists(os.path.join(setup, "release", release)):
        return None
    out = subprocess.run([BUILD_DRIVER, release], check=True, text=True, stdout=subprocess.PIPE)
    return out.stdout.strip()


def print_log(whose, path, lines):
    """Print the last lines of a log, if there is any."""
    try:
        with open(path, errors="replace", encoding="utf-8") as log:
            text = [line[:300] for line in log.read().replace("\r", "").split("\n") if line]
    except OSError as error:
        text = [str(error)]
    if text:
        print("---- %s: %s, last %d lines" % (whose, os.path.basename(path), lines))
        print("\n".join("  " + line for line in text[-lines:]), flush=True)


def cpio(files):
    """An archive in the format that the kernel unpacks, of files {path: content}."""
    archive = b""
    folders = {os.path.dirname(path) for path in files}
    for folder in list(folders):
        while os.path.dirname(folder):
            folder = os.path.dirname(folder)
            folders.add(folder)
    entries = [(folder, 0o040755, b"") for folder in sorted(folders) if folder]
    entries += [(path, 0o100755, content) for path, content in sorted(files.items())]
    for number, (name, mode, content) in enumerate(entries + [("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        archive += head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)
    return archive


class Vm:
    """One guest; see the top of this file.

    sockets   vfio-user sockets; each becomes a PCI device, on bus 0, from slot 0x10 on
    huge      pages of 2 MiB that the guest sets aside for DPDK
    files     further files for the guest: {path without leading /: content, bytes}
    extra     further arguments for QEMU
    consoles  how many, for programs in the guest
    namespace network namespace that QEMU runs in; this one unless given
    """

    def __init__(self, flavour, sockets=(), memory=768, cpus=2, huge=128, files=None,
                 extra=(), consoles=2, namespace=None):
        self.flavour = flavour
        self.sockets = list(sockets)
        self.memory = memory
        self.cpus = cpus
        self.huge = huge
        self.files = files or {}
        self.extra = list(extra)
        self.consoles = consoles
        self.namespace = namespace
        self.folder = tempfile.mkdtemp(prefix="avp-vm.")
        self.process = None
        self.streams = {}
        self.ends = []
        self.last_id = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.close()

    def start(self):
        """Start QEMU and wait for the guest's agent. May be called again after kill()."""
        self.kill()
        ends = {}
        args = self.arguments(ends)
        if self.namespace is not None:
            args = self.namespace.command(args)
        log = os.path.join(self.folder, "qemu.log")
        with open(log, "ab") as output:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, preexec_fn=die_with_parent,
                                            pass_fds=[end.fileno() for end in ends.values()])
        for end in ends.values():
            end.close()
        try:
            greeting = json.loads(self.streams["qmp"].line(10))
            if "QMP" not in greeting:
                raise Failed("qmp: %s" % greeting)
            self.qmp("qmp_capabilities")
            self.run("true", BOOT_LIMIT)
        except BaseException:
            self.print_logs()
            self.kill()
            raise

    def arguments(self, ends):
        """QEMU's command line; ends gets the sockets to pass to it."""
        folder = image(self.flavour)
        args = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "q35,kernel-irqchip=split", "-accel", "tcg,thread=multi",
                "-cpu", "max", "-smp", str(self.cpus), "-m", str(self.memory),
                "-device", "intel-iommu,caching-mode=on",
                "-kernel", os.path.join(folder, "vmlinuz"),
                "-initrd", self.initrd(os.path.join(folder, "initrd")),
                "-append", "console=ttyS0 quiet panic=-1 intel_iommu=on mitigations=off "
                           "no_timer_check "  # fails on a busy host, and panics
                           "hugepages=%d" % self.huge,
                "-serial", "file:" + os.path.join(self.folder, "serial.log"),
                "-device", "virtio-serial-pci,max_ports=%d" % (self.consoles + 2)]
        for name in ["qmp", "agent"] + ["console%d" % n for n in range(self.consoles)]:
            ours, ends[name] = socket.socketpair()
            self.streams[name] = Stream(name, ours.recv, ours.sendall,
                                        os.path.join(self.folder, name + ".log"))
            self.ends.append(ours)
            args += ["-chardev", "socket,id=%s,fd=%d" % (name, ends[name].fileno())]
        args += ["-mon", "chardev=qmp,mode=control",
                 "-device", "virtserialport,chardev=agent,name=agent,nr=%d" % (self.consoles + 1)]
        for number in range(self.consoles):
            args += ["-device", "virtconsole,chardev=console%d,nr=%d" % (number, number)]
        for number, path in enumerate(self.sockets):
            args += ["-device", json.dumps({
                "driver": "vfio-user-pci", "id": "avp%d" % number, "bus": "pcie.0",
                "addr": hex(0x10 + number), "socket": {"type": "unix", "path": path}})]
        return args + self.extra

    def initrd(self, base):
        """The image's initramfs, with our own files behind it."""
        if not self.files:
            return base
        path = os.path.join(self.folder, "initrd")
        shutil.copyfile(base, path)
        with open(path, "ab") as out:
            out.write(cpio(self.files))
        return path

    def started(self):
        return self.process is not None and self.process.poll() is None

    def pci(self, number):
        """PCI address in the guest of the device on sockets[number]."""
        return "0000:00:%02x.0" % (0x10 + number)

    def qmp(self, command, limit=10, **arguments):
        """Have QEMU's monitor execute a command; return its result."""
        stream = self.streams["qmp"]
        stream.send(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(stream.line(limit, "answer to " + command))
            if "error" in answer:
                raise Failed("qmp: %s: %s" % (command, answer["error"]["desc"]))
            if "return" in answer:
                return answer["return"]

    def run(self, command, limit=30, check=True):
        """Run a shell command in the guest; return what it printed.

        It is killed in the guest after limit seconds. With check, failure is an exception;
        without, the answer is a tuple of exit status and output.
        """
        stream = self.streams["agent"]
        self.last_id += 1
        stream.send(("%d %d %s\n" % (self.last_id, limit, command.replace("\n", "; "))).encode())
        # The guest's clock may run slower than ours when the host is busy.
        wait = limit * 2 + 30
        while True:
            number, status, size = map(int, stream.line(wait, "answer to " + command).split())
            output = stream.take(lambda buffer, size=size: size if len(buffer) >= size else None,
                                 wait, "output of " + command).decode(errors="replace")
            if number == self.last_id:
                break
        if not check:
            return status, output
        if status != 0:
            raise Failed("guest: %s: exit status %d: %s" % (command, status, output.strip()))
        return output

    def wait(self, limit):
        """Wait for QEMU to end."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Timeout("QEMU still runs after %g s" % limit) from None

    def kill(self):
        """Kill QEMU with SIGKILL, as a crash would; the guest has no say in it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
        self.ends.clear()
        self.streams.clear()

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self, lines=40):
        """Print the ends of QEMU's and the guest's logs."""
        for name in ["qemu", "serial"] + sorted(self.streams):
            print_log(self.flavour, os.path.join(self.folder, name + ".log"), lines)


def wait_for(condition, limit, what, every=0.05):
    """Ask condition() until it gives something true; return that."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout("no %s within %g s; last: %r" % (what, limit, value))
        time.sleep(every)


__all__ = ["Closed", "Failed", "Timeout", "Vm", "driver", "image", "lacking", "wait_for"]
