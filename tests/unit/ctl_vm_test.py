#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""avpctl vm: start, show, stop, and what can be said of migration without a VM.

    ctl_vm_test.py AVPCTL

The switch is one that answers as told, and QEMU is tests/lib/fake_qemu.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib")
sys.path.insert(0, LIB)

from fake_switch import Error, FakeSwitch  # noqa: E402

QEMU = os.path.join(LIB, "fake_qemu.py")
LIMIT_S = 60
PORT = {"name": "p0", "type": "avp", "mac": "02:00:00:00:00:01", "mode": "access",
        "network": "blue", "link": "down", "migration": "none", "hold": None, "addresses": [],
        "avp": {"socket": "/run/avp/p0.sock", "connected": False, "queues": 1, "ring": 256,
                "buffers": 1024, "mru": 1522, "features": 0, "features_offered": 0}}
NO_PORT = Error("ENOENT", "p0: no such port")


class Vm(unittest.TestCase):
    """A folder of VMs, a file of one, and avpctl."""

    avpctl = None
    maxDiff = None

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="avp-ctl-vm.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.dir = os.path.join(self.folder, "vm")
        os.mkdir(self.dir)
        self.addCleanup(self.kill_all)

    def kill_all(self):
        """Whatever was started and not stopped."""
        for name in os.listdir(self.folder + "/vm"):
            path = os.path.join(self.folder, "vm", name, "vm.json")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    pid = json.load(file).get("pid")
                if pid:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass

    def config(self, options="", more=""):
        path = os.path.join(self.folder, "vm1.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[vm]\nqemu = %s\nargs = %s\nargs = -m 64 -serial file:${folder}/s\n"
                       "[port p0]\nnetwork = blue\n%s\n" % (QEMU, options, more))
        return "config=" + path

    def hosts(self, migrate="tcp:127.0.0.1:0"):
        path = os.path.join(self.folder, "hosts.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[host b]\ncommand = false\nmigrate = %s\n" % migrate)
        return path

    def run_at(self, switch, *words):
        return subprocess.run([self.avpctl, "--socket", switch.path, *words, "dir=" + self.dir],
                              check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=LIMIT_S)

    def start(self, switch, options=""):
        done = self.run_at(switch, "vm", "start", "vm1", self.config(options))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def switch(self, **more):
        """One at which the port is not there until it is added."""
        return FakeSwitch({"port.show": NO_PORT, "port.add": PORT, "port.del": {}, **more})

    def state(self, switch):
        done = self.run_at(switch, "--json", "vm", "show")
        return [vm["status"] for vm in json.loads(done.stdout)]


class StartAndStop(Vm):
    """Life of a VM."""

    def test_start_makes_the_port_and_passes_it_to_qemu(self):
        with self.switch() as switch:
            self.start(switch)
            with open(os.path.join(self.dir, "vm1.arguments"), encoding="utf-8") as file:
                words = json.load(file)
            self.assertEqual(words[:4], ["-m", "64", "-serial", "file:%s/vm1/s" % self.dir])
            device = json.loads(words[words.index("-device") + 1])
            self.assertEqual(device, {"driver": "vfio-user-pci", "id": "p0", "bus": "pcie.0",
                                      "addr": "0x10", "socket": {
                                          "type": "unix", "path": "/run/avp/p0.sock"}})
            self.assertIn("-qtest", words)
            self.assertNotIn("-S", words)
            self.assertEqual(switch.requests[-1], (
                "port.add", {"network": "blue", "name": "p0", "type": "avp"}))

    def test_show_tells_what_qemu_says(self):
        with self.switch() as switch:
            self.assertEqual(self.state(switch), [])
            self.start(switch, "--answer 'query-status={\"status\":\"paused\"}'")
            self.assertEqual(self.state(switch), ["paused"])

    def test_show_of_a_folder_that_is_not_there(self):
        with self.switch() as switch:
            self.dir = os.path.join(self.folder, "none")
            done = self.run_at(switch, "vm", "show")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("%s: no such file" % self.dir, done.stderr)

    def test_stop_ends_qemu_and_deletes_the_port_that_start_made(self):
        with self.switch() as switch:
            self.start(switch)
            done = self.run_at(switch, "vm", "stop", "vm1")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(switch.requests[-1], ("port.del", {"name": "p0"}))
            self.assertFalse(os.path.exists(os.path.join(self.dir, "vm1")))
            self.assertEqual(self.state(switch), [])

    def test_port_that_was_there_stays(self):
        with self.switch(**{"port.show": [PORT]}) as switch:
            self.start(switch)
            self.run_at(switch, "vm", "stop", "vm1")
            self.assertEqual([name for name, _ in switch.requests], ["port.show"])

    def test_vm_whose_qemu_has_died_can_be_stopped(self):
        with self.switch() as switch:
            self.start(switch)
            self.kill_all()
            time.sleep(0.1)
            self.assertEqual(self.state(switch), ["dead"])
            self.assertEqual(self.run_at(switch, "vm", "stop", "vm1").returncode, 0)
            self.assertEqual(self.state(switch), [])

    def test_second_start_is_refused(self):
        with self.switch() as switch:
            self.start(switch)
            done = self.run_at(switch, "vm", "start", "vm1", self.config())
            self.assertEqual(done.returncode, 1)
            self.assertIn("vm1: there is such a VM", done.stderr)
            self.assertEqual(self.state(switch), ["running"])


class StartFails(Vm):
    """Nothing is left of a VM that does not start."""

    def fails(self, switch, *, options="", more="", says=""):
        done = self.run_at(switch, "vm", "start", "vm1", self.config(options, more))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "vm1")))

    def test_last_words_of_qemu_are_told(self):
        with self.switch() as switch:
            self.fails(switch, options="--die 'no such machine'",
                       says="vm1: QEMU has ended: no such machine")
            self.assertEqual(switch.requests[-1], ("port.del", {"name": "p0"}))

    def test_busy_port_is_refused(self):
        busy = {**PORT, "avp": {**PORT["avp"], "connected": True}}
        with self.switch(**{"port.show": [busy]}) as switch:
            self.fails(switch, says="p0: another guest is connected to it")

    def test_port_of_another_kind_is_refused(self):
        with self.switch(**{"port.show": [{"name": "p0", "type": "vdev"}]}) as switch:
            self.fails(switch, says="p0: type vdev: a VM takes avp ports")

    def test_refusal_of_the_switch_is_told(self):
        with self.switch(**{"port.add": Error("ENOENT", "blue: no such network")}) as switch:
            self.fails(switch, says="blue: no such network")

    def test_key_that_no_port_has_is_refused_before_anything_is_made(self):
        with self.switch() as switch:
            self.fails(switch, more="colour = red", says="line 7: colour: no such key in [port]")
            self.assertEqual(switch.requests, [])

    def test_names_and_folders_that_cannot_be(self):
        with self.switch() as switch:
            for name in ("", "..", "a/b", "x" * 32):
                done = self.run_at(switch, "vm", "stop", name)
                self.assertEqual(done.returncode, 2, name)
            self.dir = "/tmp/" + "x" * 100
            done = self.run_at(switch, "vm", "stop", "vm1")
            self.assertIn("too long: at most 93 bytes", done.stderr)


class Migrate(Vm):
    """What is refused before anything begins; the VM goes on."""

    def refused(self, switch, *words, status=1, says="", **hosts):
        done = self.run_at(switch, "vm", "migrate", "vm1", "--hosts", self.hosts(**hosts), *words)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(says, done.stderr)

    def test_without_a_host_it_is_a_mistake(self):
        with self.switch() as switch:
            self.refused(switch, status=2, says="--to HOST: a node of %s" % self.hosts())

    def test_where_qemu_cannot_listen(self):
        with self.switch() as switch:
            for migrate in ("tcp:127.0.0.1:65536", "tcp:127.0.0.1:", "tcp:4444", "tcp:h:-1", "foo",
                            "unix:", "tcp:h:1x"):
                self.refused(switch, "--to", "b", migrate=migrate,
                             says="hosts.conf: [host b]: migrate=%s: must be tcp:ADDRESS:PORT, "
                                  "PORT from 0 to 65535, or unix:PATH" % migrate)

    def test_numbers_have_limits(self):
        with self.switch() as switch:
            self.refused(switch, "--to", "b", "downtime_ms=0", status=2,
                         says="downtime_ms=0: from 1 to 60000")
            self.refused(switch, "--to", "b", "detach_ms=soon", status=2,
                         says="detach_ms=soon: not a number; detach_ms: how long guests may take to "
                              "let go of their ports, 1-60000; default 1000")

    def test_unknown_vm_and_host(self):
        with self.switch() as switch:
            self.refused(switch, "--to", "c", says="no section [host c]; there are: b")
            self.refused(switch, "--to", "b", says="vm1: no such VM")

    def test_vm_that_does_not_run(self):
        with self.switch() as switch:
            self.start(switch, "--answer 'query-status={\"status\":\"paused\"}'")
            self.refused(switch, "--to", "b", says="vm1: is paused: only a running VM can be moved")

    def test_port_without_its_guest(self):
        with self.switch() as switch:
            self.start(switch)
            switch.answers["port.show"] = [PORT]
            self.refused(switch, "--to", "b", says="p0: QEMU is not connected to it")
            self.assertEqual(self.state(switch), ["running"])

    def test_node_that_cannot_be_reached(self):
        there = {**PORT, "avp": {**PORT["avp"], "connected": True}}
        with self.switch() as switch:
            self.start(switch)
            switch.answers["port.show"] = [there]
            self.refused(switch, "--to", "b", says="host b closed the connection; vm1 runs here")
            self.assertEqual(self.state(switch), ["running"])
            # a log that cannot be written is no reason to turn back
            self.refused(switch, "--to", "b", "log=/dev/full",
                         says="log: cannot be written, and is not any more: no space left on device")
            self.refused(switch, "--to", "b", "log=/dev/full",
                         says="host b closed the connection; vm1 runs here")


class Cancel(Vm):
    """A VM that an avpctl which was killed has left behind."""

    def cancel(self, *, migration, device=0):
        """Cancel it, with its port as given; return the names of what was asked of the switch."""
        port = {**PORT, "migration": migration, "avp": {**PORT["avp"], "migration": device}}
        with self.switch(**{"port.attach": [{"name": "p0", "result": "ok"}]}) as switch:
            self.start(switch, "--answer 'query-migrate={\"status\":\"none\"}'")
            switch.answers["port.show"] = [port]
            del switch.requests[:]
            done = self.run_at(switch, "vm", "cancel", "vm1")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.state(switch), ["running"])
            methods = [method for method, _ in switch.requests]
            self.run_at(switch, "vm", "stop", "vm1")
            return methods

    def test_ports_that_are_detached_are_attached(self):
        for migration in ("detached", "departed"):
            with self.subTest(migration):
                self.assertEqual(self.cancel(migration=migration), ["port.show", "port.attach"])

    def test_ports_that_are_attached_are_left_alone(self):
        self.assertEqual(self.cancel(migration="none"), ["port.show"])

    def test_guest_that_has_not_acknowledged_a_detach_is_attached(self):
        self.assertEqual(self.cancel(migration="error", device=1), ["port.show", "port.attach"])

    def test_guest_that_has_not_acknowledged_an_attach_is_left_alone(self):
        self.assertEqual(self.cancel(migration="error", device=2), ["port.show"])


class Receive(Vm):
    """The taking side, spoken to directly."""

    before = []  # words in front of avpctl

    def talk(self, switch, *requests):
        """Send requests, close; return the answers."""
        done = subprocess.run([*self.before, self.avpctl, "--socket", switch.path, "vm", "receive",
                               "vm1", "dir=" + self.dir], check=False, text=True, timeout=LIMIT_S,
                              input="".join(json.dumps(each) + "\n" for each in requests),
                              stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def prepare(self, features=0, **answers):
        words = []
        for command, answer in answers.items():
            words += ["--answer", "%s=%s" % (command.replace("_", "-"), json.dumps(answer))]
        port = {"name": "p0", "addr": "0x10", "features": features, "queues": 1, "mru": 1522,
                "params": {"name": "p0", "type": "avp", "incoming": True}}
        return {"method": "prepare", "params": {
            "limit_ms": 5000, "uri": "tcp:127.0.0.1:0",
            "vm": {"name": "vm1", "qemu": QEMU, "bus": "pcie.0", "args": words, "ports": [port]}}}

    def test_nothing_is_left_when_the_source_goes(self):
        listens = {"socket-address": [{"type": "inet", "host": "127.0.0.1", "port": "4711"}]}
        with self.switch() as switch:
            answers = self.talk(switch, self.prepare(query_migrate=listens))
            self.assertEqual(answers[0]["result"]["uri"], "tcp:127.0.0.1:4711")
            self.assertEqual(switch.requests[-1], ("port.del", {"name": "p0"}))
            self.assertFalse(os.path.exists(os.path.join(self.dir, "vm1")))

    @unittest.skipIf(os.geteuid() != 0, "only root can mount")
    def test_nothing_is_left_on_a_disk_that_is_full(self):
        self.before = ["unshare", "--mount", "sh", "-c",
                       'mount -t tmpfs -o size=4k,mode=700 none "$0" && '
                       '{ head -c 8192 /dev/zero >"$0/fill" 2>/dev/null; "$@" && ls "$0" >&2; }', self.dir]
        with self.switch() as switch:
            answers = self.talk(switch, self.prepare())
            self.assertIn("vm.json: cannot be written: no space left on device",
                          answers[0]["error"]["message"])
            self.assertEqual(switch.requests[-1], ("port.del", {"name": "p0"}))

    def test_qemu_waits_stopped(self):
        with self.switch() as switch:
            self.talk(switch, self.prepare(), {"method": "abort"})
            with open(os.path.join(self.dir, "vm1.arguments"), encoding="utf-8") as file:
                words = json.load(file)
            self.assertEqual(words[-3:], ["-S", "-incoming", "defer"])

    def test_port_that_lacks_a_feature_is_refused(self):
        with self.switch() as switch:
            answers = self.talk(switch, self.prepare(features=1 << 16))
            self.assertIn("p0: the guest uses features 0x10000, the destination offers 0",
                          answers[0]["error"]["message"])
            self.assertFalse(os.path.exists(os.path.join(self.dir, "vm1")))

    def test_vm_that_was_told_to_run_stays(self):
        with self.switch(version={}, **{"port.attach": [{"name": "p0", "result": "ok"}]}) as switch:
            answers = self.talk(switch, self.prepare(query_migrate={"status": "completed"}),
                                {"method": "run", "params": {
                                    "load_ms": 1000, "attach": {"names": ["p0"]}}})
            self.assertEqual([step["step"] for step in answers[1]["result"]["steps"]],
                             ["load", "resume", "attach"])
            self.assertEqual(self.state(switch), ["running"])

    def test_port_whose_guest_has_no_driver_is_attached_last_and_not_waited_for(self):
        def attach(params):
            return [{"name": name, "result": "ok"} for name in params["names"]]

        def refuse(params):
            return attach(params) if params["names"] == ["p0"] else Error("EIO", "p1: broken")

        with self.switch(version={}, **{"port.attach": attach}) as switch:
            answers = self.talk(switch, self.prepare(query_migrate={"status": "completed"}),
                                {"method": "run", "params": {
                                    "load_ms": 1000, "absent": ["p0"],
                                    "attach": {"names": ["p0", "p1"], "timeout_ms": 500}}})
            self.assertEqual([port["name"] for port in answers[1]["result"]["ports"]], ["p1", "p0"])
            self.assertEqual([params for method, params in switch.requests if method == "port.attach"],
                             [{"names": ["p1"], "timeout_ms": 500}, {"names": ["p0"], "timeout_ms": 0}])
        with self.switch(version={}, **{"port.attach": refuse}) as switch:
            self.kill_all()
            shutil.rmtree(os.path.join(self.dir, "vm1"))
            answers = self.talk(switch, self.prepare(query_migrate={"status": "completed"}),
                                {"method": "run", "params": {
                                    "load_ms": 1000, "absent": ["p0"],
                                    "attach": {"names": ["p0", "p1"], "timeout_ms": 500}}})
            self.assertEqual([port["name"] for port in answers[1]["result"]["ports"]], ["p0"])
            self.assertEqual(answers[1]["result"]["attach_error"], "p1: broken")

    def test_vm_that_runs_is_told_of_whatever_the_switch_says(self):
        # an odd number of bytes, in the middle of a character where it is cut
        refusal = Error("EIO", "p0" + "\u00e4" * 400)
        with self.switch(version={}, **{"port.attach": refusal}) as switch:
            answers = self.talk(switch, self.prepare(query_migrate={"status": "completed"}),
                                {"method": "run", "params": {
                                    "load_ms": 1000, "attach": {"names": ["p0"]}}})
            self.assertTrue(answers[1]["result"]["attach_error"].startswith("p0"), answers[1])
            self.assertEqual(self.state(switch), ["running"])

    def test_vm_that_did_not_arrive_is_not_run(self):
        failed = {"status": "failed", "error-desc": "lost"}
        with self.switch(version={}) as switch:
            answers = self.talk(switch, self.prepare(query_migrate=failed),
                                {"method": "run", "params": {
                                    "load_ms": 1000, "attach": {"names": ["p0"]}}})
            self.assertIn("lost", answers[1]["error"]["message"])
            self.assertEqual(self.state(switch), [])

    def test_nonsense_is_answered(self):
        with self.switch() as switch:
            answers = self.talk(switch, {"method": "dance"}, {"method": "forget"}, {"method": "run"},
                                {"method": "status"}, {"method": "prepare"},
                                {"method": "query"})
            self.assertEqual([answer.get("error", {}).get("code") for answer in answers],
                             ["ENOSYS", "EINVAL", "EINVAL", "EINVAL", "EINVAL", None])
            self.assertEqual(answers[-1]["result"]["status"], "absent")


if __name__ == "__main__":
    Vm.avpctl = sys.argv.pop(1)
    unittest.main(argv=sys.argv)
