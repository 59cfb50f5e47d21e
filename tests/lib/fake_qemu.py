#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Takes QEMU's arguments, serves its monitors, and runs nothing.

    fake_qemu.py [--answer COMMAND=JSON]... [--die TEXT] QEMU_ARGUMENT...

For avpctl, which starts it as it would QEMU. Every -qmp socket answers any number of clients, one after
the other: each command with {} or what --answer says. With --die it says TEXT and ends at once. The
arguments are in FOLDER/arguments, where FOLDER is that of the first socket, without its last part.
"""

import json
import os
import socket
import sys
import threading

GREETING = {"QMP": {"version": {"qemu": {"major": 11, "minor": 1, "micro": 0}}, "capabilities": []}}


def parse(words):
    """Our own options, and QEMU's words."""
    answers = {"query-status": {"status": "running", "running": True},
               "query-version": GREETING["QMP"]["version"]}
    while words and words[0] in ("--answer", "--die"):
        if words[0] == "--die":
            sys.exit(words[1])
        command, _, value = words[1].partition("=")
        answers[command] = json.loads(value)
        words = words[2:]
    return answers, words


def talk(client, answers):
    """Serve one client."""
    stream = client.makefile("rw", encoding="utf-8")
    stream.write(json.dumps(GREETING) + "\n")
    stream.flush()
    for line in stream:
        request = json.loads(line)
        answer = answers.get(request["execute"], {})
        key = "error" if "desc" in answer else "return"
        stream.write(json.dumps({"event": "NOISE"}) + "\n")
        stream.write(json.dumps({key: answer, "id": request["id"]}) + "\n")
        stream.flush()
        if request["execute"] == "quit":
            os._exit(0)


def listen(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(4)
    return server


def serve(server, answers):
    """Serve one monitor."""
    while True:
        client, _ = server.accept()
        try:
            talk(client, answers)
        except OSError:
            pass
        client.close()


def main():
    answers, words = parse(sys.argv[1:])
    paths = [words[at + 1].split(":", 1)[1].split(",")[0]
             for at, word in enumerate(words) if word == "-qmp"]
    try:
        with open(os.path.dirname(paths[0]) + ".arguments", "w", encoding="utf-8") as file:
            json.dump(words, file)
    except OSError:
        pass  # a full disk is no reason for QEMU to end
    # as QEMU does: all listen before any of them answers
    servers = [listen(path) for path in paths]
    threads = [threading.Thread(target=serve, args=(server, answers)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
