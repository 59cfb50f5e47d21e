# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""A control server without a switch behind it: it answers what a test tells it to.

    with FakeSwitch({"network.show": [{"name": "blue", "vlan": 100, "ports": []}]}) as switch:
        ... connect to switch.path ...
        switch.requests == [("network.show", {})]

An answer is a result; an Error; bytes, which are sent as they are; HANG, no answer; CLOSE, the
connection is closed; or a function of the parameters that returns one of these.
"""

import json
import os
import socket
import tempfile
import threading

HANG = object()
CLOSE = object()


class Error:
    """The answer {"error": ...}."""

    def __init__(self, code, message):
        self.code = code
        self.message = message


class FakeSwitch:
    """Serves one connection after the other, in a thread, until the end of the with block."""

    def __init__(self, answers):
        self.answers = answers
        self.requests = []
        self.folder = tempfile.TemporaryDirectory(prefix="avp-")
        self.path = os.path.join(self.folder.name, "switch.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.client = None
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.folder.cleanup()

    def serve(self):
        """Accept until the listener is shut down."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as stream:
                try:
                    self.talk(stream)
                except (BrokenPipeError, ConnectionResetError):
                    pass

    def talk(self, stream):
        """Answer the requests of one connection."""
        for line in stream:
            request = json.loads(line)
            method, params = request["method"], request["params"]
            self.requests.append((method, params))
            answer = self.answers.get(method, Error("ENOSYS", method + ": no such method"))
            if callable(answer):
                answer = answer(params)
            if answer is CLOSE:
                return
            if answer is HANG:
                continue
            stream.write(answer if isinstance(answer, bytes) else encode(request["id"], answer))
            stream.flush()


def encode(number, answer):
    """The line that answers a request."""
    if isinstance(answer, Error):
        message = {"id": number, "error": {"code": answer.code, "message": answer.message}}
    else:
        message = {"id": number, "result": answer}
    return json.dumps(message).encode() + b"\n"
