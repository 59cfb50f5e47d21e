#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""avpctl from its command line to its output, against a control server that answers as told.

    ctl_cli_test.py AVPCTL
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

from fake_switch import CLOSE, HANG, Error, FakeSwitch  # noqa: E402

LIMIT_S = 30

NETWORKS = [{"name": "blue", "vlan": 100, "ports": ["p0", "up0"]},
            {"name": "red", "vlan": 7, "ports": []}]

P0 = {
    "name": "p0", "type": "avp", "id": 3, "device": "net_avp_host_p0,socket=/run/avp/p0.sock",
    "driver": "net_avp_host", "link": "up", "mac": "02:00:00:12:34:56", "mtu": 1500,
    "mode": "access", "network": "blue", "native": None, "trunks": [], "check_source_mac": True,
    "avp": {"socket": "/run/avp/p0.sock", "domain": None, "queues": 1, "ring": 256,
            "mem_bytes": 2359296, "connected": True, "configured": True,
            "features": 0, "features_offered": (1 << 18) + (1 << 17) + (1 << 16) + 1},
}
UP0 = {
    "name": "up0", "type": "vdev", "id": 4, "link": "down", "mac": "02:00:00:00:00:01",
    "driver": "net_af_packet", "mode": "trunk", "network": None, "native": "red",
    "trunks": ["blue", "green"], "check_source_mac": False,
}
FDB = [{"mac": "02:00:00:12:34:56", "network": "blue", "vlan": 100, "port": "p0",
        "type": "static", "age_s": None},
       {"mac": "02:00:00:00:00:07", "network": "red", "vlan": 7, "port": "up0",
        "type": "dynamic", "age_s": 12}]


def counters(name, packets, dropped=0):
    """An entry of `stats`."""
    return {"name": name, "rx_packets": packets, "rx_bytes": 100 * packets, "tx_packets": 5,
            "tx_bytes": 500, "drops": {"rx_runt": 0, "tx_full": dropped}, "xstats": {"rx_q0": 1}}


def text(block):
    """The text of an indented block."""
    return textwrap.dedent(block).lstrip("\n")


class Cli(unittest.TestCase):
    """Runs avpctl."""

    maxDiff = None
    avpctl = None

    def run_at(self, path, *words, cwd=None, env=None):
        return subprocess.run([self.avpctl, "-s", path, *words], check=False, text=True, cwd=cwd,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S,
                              env=env)

    def help(self, *words):
        done = subprocess.run([self.avpctl, *words, "--help"], check=True, text=True,
                              stdout=subprocess.PIPE)
        return done.stdout

    def check(self, words, answers, status=0, out=None, err="", requests=None):
        """Run against these answers and compare everything."""
        with FakeSwitch(answers) as switch:
            done = self.run_at(switch.path, *words)
        got = done.stderr.replace(switch.path, "SOCKET")
        self.assertEqual(got, err)
        if out is not None:
            self.assertEqual(done.stdout, out)
        self.assertEqual(done.returncode, status)
        if requests is not None:
            self.assertEqual(switch.requests, requests)
        return done.stdout


class Requests(Cli):
    """What is sent."""

    def test_network_add_sends_name_and_vlan(self):
        self.check(["network", "add", "blue", "vlan=100"], {"network.add": {}}, out="",
                   requests=[("network.add", {"name": "blue", "vlan": 100})])

    def test_port_add_is_of_type_avp_unless_told_otherwise(self):
        self.check(["port", "add", "p0", "network=blue"], {"port.add": P0}, out="",
                   requests=[("port.add", {"name": "p0", "network": "blue", "type": "avp"})])

    def test_port_add_sends_every_kind_of_value(self):
        self.check(["port", "add", "p0", "trunks=a,b", "check-source-mac=off", "queues=2",
                    "socket_mode=0660", "vlan_offload=yes", "type=avp", "native="],
                   {"port.add": P0}, out="",
                   requests=[("port.add", {"name": "p0", "trunks": ["a", "b"], "queues": 2,
                                           "check_source_mac": False, "socket_mode": "0660",
                                           "vlan_offload": True, "type": "avp",
                                           "native": None})])

    def test_device_of_a_port_may_have_commas_and_equals_signs(self):
        self.check(["port", "add", "up0", "type=vdev", "device=net_af_packet0,iface=eth1"],
                   {"port.add": UP0}, out="",
                   requests=[("port.add", {"name": "up0", "type": "vdev",
                                           "device": "net_af_packet0,iface=eth1"})])

    def test_port_set_and_del_send_the_name(self):
        self.check(["port", "set", "p0", "network="], {"port.set": P0}, out="",
                   requests=[("port.set", {"name": "p0", "network": None})])
        self.check(["port", "del", "p0"], {"port.del": {}}, out="",
                   requests=[("port.del", {"name": "p0"})])

    def test_fdb_flush_sends_its_filter_and_prints_the_number(self):
        self.check(["fdb", "flush", "port=p0", "network=blue"], {"fdb.flush": {"flushed": 3}},
                   out="3 forgotten\n",
                   requests=[("fdb.flush", {"port": "p0", "network": "blue"})])

    def test_socket_comes_from_the_environment(self):
        with FakeSwitch({"network.del": {}}) as switch:
            done = subprocess.run([self.avpctl, "network", "del", "blue"], check=False,
                                  env={**os.environ, "AVP_SWITCH_SOCKET": switch.path},
                                  timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(switch.requests, [("network.del", {"name": "blue"})])


class Output(Cli):
    """What is shown."""

    def test_network_show_prints_a_table(self):
        self.check(["network", "show"], {"network.show": NETWORKS}, out=text("""
            NAME  VLAN  PORTS
            blue   100  p0,up0
            red      7  -
            """), requests=[("network.show", {})])

    def test_port_show_prints_a_table(self):
        self.check(["port", "show"], {"port.show": [P0, UP0]}, out=text("""
            NAME  TYPE  LINK  GUEST       MAC                 MEMORY  MODE    NETWORKS
            p0    avp   up    configured  02:00:00:12:34:56  2.2 MiB  access  blue
            up0   vdev  down  -           02:00:00:00:00:01        -  trunk   blue,green native=red
            """))

    def test_port_show_of_one_prints_all_of_it(self):
        self.check(["port", "show", "p0"], {"port.show": [P0]}, out=text("""
            name              p0
            type              avp
            id                3
            device            net_avp_host_p0,socket=/run/avp/p0.sock
            driver            net_avp_host
            link              up
            mac               02:00:00:12:34:56
            mtu               1500
            mode              access
            network           blue
            native            -
            trunks            -
            check_source_mac  yes
            avp:
              socket            /run/avp/p0.sock
              domain            -
              queues            1
              ring              256
              mem_bytes         2359296 (2.2 MiB)
              connected         yes
              configured        yes
              features          0
              features_offered  458753 (vlan_offload, recycle, link_events, rx_interrupts)
            """), requests=[("port.show", {"name": "p0"})])

    def test_fdb_show_prints_a_table(self):
        self.check(["fdb", "show"], {"fdb.show": FDB}, out=text("""
            MAC                NETWORK  VLAN  PORT  TYPE      AGE
            02:00:00:12:34:56  blue      100  p0    static      -
            02:00:00:00:00:07  red         7  up0   dynamic  12 s
            """))

    def test_stats_prints_counters_and_reasons_of_drops(self):
        self.check(["stats"], {"stats": [counters("p0", 1234567), counters("p1", 0, 9)]},
                   out=text("""
            PORT  RX-PACKETS   RX-BYTES  TX-PACKETS  TX-BYTES  DROPS
            p0       1234567  123456700           5       500      0
            p1             0          0           5       500      9

            PORT  DROPPED  PACKETS
            p1    tx_full        9
            """))

    def test_json_of_each_show_is_the_result_of_the_protocol(self):
        for words, method, result in [("network show", "network.show", NETWORKS),
                                      ("port show", "port.show", [P0, UP0]),
                                      ("port show p0", "port.show", [P0]),
                                      ("fdb show", "fdb.show", FDB),
                                      ("stats", "stats", [counters("p0", 5)])]:
            with self.subTest(words):
                out = self.check([*words.split(), "--json"], {method: result})
                self.assertEqual(json.loads(out), result)
                self.assertEqual(list(json.loads(out)[0]), list(result[0]), "order of the keys")

    def test_text_from_the_switch_cannot_move_the_cursor(self):
        out = self.check(["network", "show"],
                         {"network.show": [{"name": "a\x1b[2J", "vlan": 1, "ports": []}]})
        self.assertIn("a?[2J", out)

    def test_version_shows_both_ends(self):
        out = self.check(["version", "--json"], {"version": {"version": "0.9", "pid": 1}})
        self.assertEqual(json.loads(out)["switch"], {"version": "0.9", "pid": 1})
        own = subprocess.run([self.avpctl, "--version"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        self.assertEqual(own, "avpctl %s\n" % json.loads(out)["avpctl"]["version"])


class GuestArguments(Cli):
    """port show --qemu and --user."""

    def arguments(self, words, port):
        """What a shell makes of the output, and the JSON form."""
        with FakeSwitch({"port.show": [port]}) as switch:
            done = self.run_at(switch.path, "port", "show", *words)
            as_json = self.run_at(switch.path, "port", "show", *words, "--json")
        self.assertEqual((done.returncode, as_json.returncode), (0, 0), done.stderr)
        self.assertEqual(as_json.stderr, "")
        shell = subprocess.run(["bash", "-c", 'eval "set -- $1"; printf "%s\\n" "$@"', "-",
                                done.stdout], check=True, text=True, stdout=subprocess.PIPE)
        self.assertEqual(shell.stdout.splitlines(), json.loads(as_json.stdout))
        return json.loads(as_json.stdout), done

    def test_qemu_arguments_can_be_pasted_into_a_shell(self):
        (option, value), done = self.arguments(["--qemu", "p0"], P0)
        self.assertEqual(done.stdout, "-device '{\"driver\":\"vfio-user-pci\",\"socket\":"
                         "{\"type\":\"unix\",\"path\":\"/run/avp/p0.sock\"}}'\n")
        self.assertEqual(option, "-device")
        self.assertEqual(json.loads(value)["socket"]["path"], "/run/avp/p0.sock")
        self.assertIn("intel-iommu,caching-mode=on", done.stderr)

    def test_odd_paths_are_quoted_for_shell_and_json(self):
        path = "/tmp/it's \"odd\" $HOME.sock"
        (_, value), _ = self.arguments(["--qemu", "p0"], {**P0, "avp": {"socket": path}})
        self.assertEqual(json.loads(value)["socket"]["path"], path)

    def test_user_argument_has_a_number_of_its_own(self):
        (option, value), _ = self.arguments(["p0", "--user"], P0)
        self.assertEqual((option, value), ("--vdev", "net_avp_user3,socket=/run/avp/p0.sock"))

    def test_only_avp_ports_have_a_guest(self):
        self.check(["port", "show", "--qemu", "up0"], {"port.show": [UP0]}, 1, out="",
                   err="avpctl: up0: type vdev: only an avp port can be given to a guest\n")


class Watch(Cli):
    """stats --watch."""

    @staticmethod
    def growing(step):
        """Counters that grow by this much from one request to the next."""
        calls = []

        def answer(_):
            calls.append(None)
            return [counters("p0", step * len(calls), len(calls))]
        return answer

    def test_rates_are_those_of_a_second(self):
        out = self.check(["stats", "--watch", "0.2", "--count", "2", "--json"],
                         {"stats": self.growing(1000)})
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(lines), 2)
        for line in lines:
            port = line["ports"][0]
            # the time between two looks is the real one, on a busy machine any
            self.assertGreater(line["interval_s"], 0)
            self.assertAlmostEqual(port["rates"]["rx_packets"], 1000 / line["interval_s"], delta=1)
            self.assertAlmostEqual(port["rates"]["rx_bytes"], 1e5 / line["interval_s"], delta=10)
            self.assertAlmostEqual(port["rates"]["drops"], 1 / line["interval_s"], delta=0.1)
            self.assertEqual(port["rates"]["tx_packets"], 0)
        self.assertEqual([line["ports"][0]["rx_packets"] for line in lines], [2000, 3000])

    def test_counters_that_begin_anew_are_a_rate_of_zero(self):
        answers = [5000, 10]
        out = self.check(["stats", "--watch=0.05", "--count", "1", "--json"],
                         {"stats": lambda _: [counters("p0", answers.pop(0))]})
        self.assertEqual(json.loads(out)["ports"][0]["rates"]["rx_packets"], 0)

    def test_table_has_a_line_for_each_port(self):
        out = self.check(["stats", "p0", "--watch", "0.05", "--count", "2"],
                         {"stats": self.growing(0)})
        tables = out.split("\n\n")
        self.assertEqual(len(tables), 2)
        for table in tables:
            titles, line = table.splitlines()
            self.assertEqual(titles.split(), ["PORT", "RX-PKT/S", "RX-BIT/S", "TX-PKT/S",
                                              "TX-BIT/S", "DROPS/S"])
            self.assertEqual(line.split()[:5], ["p0", "0", "0", "0", "0"])
            self.assertEqual(len(line), len(titles))

    def test_ends_with_an_error_when_the_switch_goes(self):
        answers = [[counters("p0", 1)], CLOSE]
        self.check(["stats", "--watch", "0.05"], {"stats": lambda _: answers.pop(0)}, 1,
                   err="avpctl: stats: the switch closed the connection\n")


class Capture(Cli):
    """capture."""

    def answers(self, running, **more):
        return {"capture.start": lambda params: {"file": params["file"]},
                "capture.show": lambda _: [{"port": "p0", "packets": 1, "lost": 0,
                                            "running": running}],
                "capture.stop": {"packets": 7, "lost": 0}, **more}

    def test_path_is_made_absolute_and_the_count_sent(self):
        with FakeSwitch(self.answers(False)) as switch:
            done = self.run_at(switch.path, "capture", "p0", "x.pcapng", "count=7",
                               cwd=switch.folder.name)
        folder = os.path.realpath(os.path.dirname(switch.path))
        self.assertEqual(switch.requests[0], ("capture.start", {
            "port": "p0", "file": folder + "/x.pcapng", "limit": 7}))
        self.assertEqual((done.returncode, done.stdout), (0, "7 packets captured\n"))
        self.assertEqual(done.stderr, "capturing p0 to %s/x.pcapng, Ctrl-C ends\n" % folder)

    def test_count_of_0_is_refused_by_its_name(self):
        self.check(["capture", "p0", "/x", "count=0"], self.answers(False), 2, out="",
                   err="avpctl: count=0: not a number from 1 on\n", requests=[])

    def test_interrupt_stops_it_and_prints_the_number(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), FakeSwitch(self.answers(True)) as switch:
                process = subprocess.Popen([self.avpctl, "-s", switch.path, "capture", "p0",
                                            "/x"], text=True, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
                self.assertEqual(process.stderr.readline(), "capturing p0 to /x, Ctrl-C ends\n")
                process.send_signal(number)
                out, err = process.communicate(timeout=LIMIT_S)
                self.assertEqual((process.returncode, out, err), (0, "7 packets captured\n", ""))
            self.assertEqual(switch.requests[-1], ("capture.stop", {"port": "p0"}))

    def test_lost_packets_are_told(self):
        out = self.check(["capture", "p0", "/x"],
                         self.answers(False, **{"capture.stop": {"packets": 1, "lost": 2}}),
                         err="capturing p0 to /x, Ctrl-C ends\n")
        self.assertIn("2 packets lost", out)

    def test_refusal_is_passed_on(self):
        self.check(["capture", "p0", "/x"],
                   {"capture.start": Error("EEXIST", "/x: file exists")}, 1, out="",
                   err="avpctl: /x: file exists\n")


class Errors(Cli):
    """Exit status and messages."""

    def test_refusal_is_printed_and_status_is_1(self):
        answers = {"port.add": Error("EINVAL", "p0: queues=12: at most 8")}
        self.check(["port", "add", "p0", "queues=12"], answers, 1, out="",
                   err="avpctl: p0: queues=12: at most 8\n")
        self.check(["port", "add", "p0", "queues=12", "--json"], answers, 1, out="",
                   err='{"error": {"code": "EINVAL", "message": "p0: queues=12: at most 8"}}\n')

    def test_no_switch_is_said_with_the_socket(self):
        with tempfile.TemporaryDirectory(prefix="avp-") as folder:
            path = os.path.join(folder, "switch.sock")
            done = self.run_at(path, "stats")
            self.assertEqual(done.stderr,
                             "avpctl: %s: no switch is running there: no such file\n" % path)
            self.assertEqual(done.returncode, 1)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_over:
                left_over.bind(path)
            done = self.run_at(path, "stats")
            self.assertEqual(done.stderr, "avpctl: %s: no switch is listening there: "
                             "connection refused\n" % path)
            done = self.run_at(path, "stats", "--json")
            self.assertEqual(json.loads(done.stderr)["error"]["code"], "ECONNREFUSED")
            self.assertEqual(done.returncode, 1)

    def test_silent_switch_is_given_up_in_time(self):
        began = time.monotonic()
        self.check(["--timeout", "0.3", "stats"], {"stats": HANG}, 1, out="",
                   err="avpctl: stats: no answer from the switch within 0.3 s\n")
        self.assertLess(time.monotonic() - began, 5)

    def test_answers_that_make_no_sense_are_errors(self):
        for answer, err in [(b"hello\n", "stats: the switch's answer is not JSON: "),
                            (b"[1]\n", "stats: the switch's answer is not an object\n"),
                            (b'{"id":1}\n', "stats: an answer without a result\n"),
                            (b'{"id":1,"error":{}}\n', "stats: refused without a reason\n"),
                            (CLOSE, "stats: the switch closed the connection\n")]:
            with self.subTest(answer), FakeSwitch({"stats": answer}) as switch:
                done = self.run_at(switch.path, "stats")
                self.assertEqual(done.returncode, 1)
                self.assertTrue(done.stderr.startswith("avpctl: " + err), done.stderr)

    def test_answer_to_an_unreadable_line_is_an_answer(self):
        self.check(["stats"], {"stats": b'{"id":null,"error":{"code":"EBUSY","message":"full"}}\n'},
                   1, err="avpctl: full\n")

    def test_answers_may_be_long_and_come_in_pieces(self):
        entries = FDB * 20000
        out = self.check(["fdb", "show", "--json"], {"fdb.show": entries})
        self.assertEqual(len(json.loads(out)), len(entries))

    def test_wrong_command_lines_are_status_2_with_a_hint(self):
        for words, err in [
                ("", "no command given; avpctl --help lists them"),
                ("prot show", 'prot: no such command; did you mean "port"?'),
                ("port list", 'port list: no such command; did you mean "show"?; '
                              "there are: add, del, set, detach, attach, depart, show"),
                ("port", "port: then one of: add, del, set, detach, attach, depart, show"),
                ("port del", "port del: needs NAME"),
                ("port add network=blue", "port add: needs NAME"),
                ("port add p0 netwrk=blue", 'netwrk: no such key; did you mean "network"?'),
                ("port add p0 type avp", "type: keys are written KEY=VALUE: type=avp"),
                ("port add p0 queues=two", "queues=two: not a number; queues: avp: 1-8; vdev and pci: receive queues, 1-16"),
                ("port add p0 vlan_offload=maybe", "vlan_offload=maybe: on or off"),
                ("port add p0 queues=1 queues=2", "queues: given twice"),
                ("port add p0 device=x", "port add p0: device= needs type=vdev or type=pci"),
                ("port set p0", "port set p0: nothing to change; KEY=VALUE"),
                ("port show --quemu p0",
                 '--quemu: port show has no such option; did you mean "--qemu"?'),
                ("port show --qemu", "--qemu: needs the NAME of a port"),
                ("network add blue", "network add blue: needs vlan=ID"),
                ("network show a b", "b: a word too many"),
                ("stats --count 3", "--count: only with --watch"),
                ("stats --watch 0", "--watch: 0: from 0.01 to 86400 seconds"),
                ("--socket", "--socket: needs a value"),
                ("--frobnicate", "--frobnicate: no such option; avpctl --help lists them")]:
            with self.subTest(words):
                done = subprocess.run([self.avpctl, *words.split()], check=False, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertEqual(done.stderr, "avpctl: %s\n" % err)
                self.assertEqual((done.returncode, done.stdout), (2, ""))

    def test_full_standard_output_is_an_error(self):
        with FakeSwitch({"network.show": NETWORKS}) as switch, open("/dev/full", "wb") as full:
            done = subprocess.run([self.avpctl, "-s", switch.path, "network", "show"],
                                  check=False, text=True, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)


class Completion(Cli):
    """What bash offers, through the script that it loads."""

    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../ctl/avpctl.bash")

    def offers(self, line, answers=None):
        with FakeSwitch(answers or {}) as switch:
            done = subprocess.run(
                ["bash", "-c", 'compopt() { :; }; . "$1"; COMP_LINE=$2; COMP_POINT=${#2}; _avpctl; '
                 'printf "%s\\n" "${COMPREPLY[@]}"', "-", self.script,
                 line.replace("avpctl", self.avpctl, 1)],
                check=True, text=True, stdout=subprocess.PIPE, timeout=LIMIT_S,
                env={**os.environ, "AVP_SWITCH_SOCKET": switch.path})
        return done.stdout.split()

    def test_words_of_commands(self):
        self.assertEqual(self.offers("avpctl "),
                         ["network", "port", "fdb", "stats", "capture", "vm", "version"])
        self.assertEqual(self.offers("avpctl po"), ["port"])
        self.assertEqual(self.offers("avpctl port s"), ["set", "show"])

    def test_names_come_from_the_switch(self):
        ports = {"port.show": [P0, UP0], "network.show": NETWORKS}
        self.assertEqual(self.offers("avpctl port show ", ports), ["p0", "up0"])
        self.assertEqual(self.offers("avpctl port del u", ports), ["up0"])
        self.assertEqual(self.offers("avpctl port add p9 network=b", ports), ["blue"])
        self.assertEqual(self.offers("avpctl port add ", ports), [])

    def test_keys_and_their_choices(self):
        self.assertEqual(self.offers("avpctl port add p0 vl"), ["vlan_offload="])
        self.assertEqual(self.offers("avpctl port add p0 type="), ["avp", "vdev", "pci"])
        self.assertEqual(self.offers("avpctl port show --q"), ["--qemu"])


class Help(Cli):
    """--help."""

    def test_help_names_every_command(self):
        for line in ("network add NAME", "port show [NAME] [--qemu] [--user]",
                     "stats [PORT] [--watch [SECONDS]] [--count N]", "capture PORT FILE"):
            self.assertIn("  " + line, self.help())

    def test_help_of_an_object_has_its_commands_only(self):
        self.assertIn("port add", self.help("port"))
        self.assertNotIn("network add", self.help("port"))

    def test_help_of_a_command_has_its_keys(self):
        self.assertIn("check_source_mac=on|off", self.help("port", "add"))

    def test_help_fits_a_terminal(self):
        for words in ([], ["port"], ["port", "add"], ["port", "show"], ["stats"], ["capture"]):
            for line in self.help(*words).splitlines():
                self.assertLessEqual(len(line), 90, line)


class Documents(Cli):
    """Man page and docs/avpctl.md against the help."""

    docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")

    def names(self):
        """All commands, keys and options that the help names."""
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)\b", self.help(), re.M)
        found = set(commands) - {"network", "port", "fdb"}
        for command in commands:
            found.update(re.findall(r"^  (\w+)=", self.help(*command.split()), re.M))
            found.update(re.findall(r"(--[a-z]+)\b", self.help(*command.split())))
        self.assertGreater(len(found), 30)
        return found

    def test_documents_name_every_command_key_and_option(self):
        for file in ("avpctl.md", "man/avpctl.1"):
            with open(os.path.join(self.docs, file), encoding="utf-8") as document:
                content = document.read().replace("\\-", "-")
            for name in sorted(self.names()):
                with self.subTest(file=file, name=name):
                    self.assertIn(name, content)

    def read(self, name):
        with open(os.path.join(self.docs, name), encoding="utf-8") as document:
            return document.read()

    def test_keys_of_port_add_are_the_parameters_of_the_protocol(self):
        table = self.read("switch.md").split("\n### port.add\n")[1].split("\n### ")[0]
        parameters = set(re.findall(r"^\| `(\w+)` \|", table, re.M)) - {"name"}
        keys = set(re.findall(r"^  (\w+)=", self.help("port", "add"), re.M))
        self.assertGreater(len(parameters), 10)
        self.assertEqual(keys, parameters)

    def test_man_page_of_the_configuration_has_every_key(self):
        chapter = self.read("switch.md").split("\n## Configuration file\n")[1]
        keys = set(re.findall(r"^(\w+) += ", chapter.split("\n## ")[0], re.M))
        keys |= set(re.findall(r"^  (\w+)=", self.help("port", "add"), re.M))
        self.assertGreater(len(keys), 20)
        page = self.read("man/avp-switch.conf.5")
        self.assertEqual([key for key in sorted(keys) if "\n.B %s\n" % key not in page], [])

    def test_man_page_of_the_switch_has_every_option(self):
        chapter = self.read("switch.md").split("\n## Options\n")[1].split("\n## ")[0]
        options = set(re.findall(r"`[^`]*(--[a-z-]+)", chapter)) - {"--"}
        self.assertGreater(len(options), 8)
        page = self.read("man/avp-switch.8").replace("\\-", "-")
        self.assertEqual([option for option in sorted(options) if option not in page], [])

    def test_man_pages_have_no_mistakes_of_form(self):
        if shutil.which("groff") is None:
            self.skipTest("no groff")
        for page in sorted(os.listdir(os.path.join(self.docs, "man"))):
            done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-z",
                                   os.path.join(self.docs, "man", page)], check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.stdout, "", page)


if __name__ == "__main__":
    Cli.avpctl = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
