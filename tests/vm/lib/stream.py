# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""A byte stream that is always read, kept in a file, and waited on with a time limit."""

import threading
import time


class Timeout(Exception):
    """What was waited for did not come; the message says what did."""


class Closed(Exception):
    """The other side has closed the stream."""


class Stream:
    """One end of a connected socket or pipe.

    A thread of its own reads, so the writer never has to wait. What has been read but not taken is
    in self.buffer, which belongs to whoever holds self.changed.
    """

    def __init__(self, name, read, write, log):
        self.name = name
        self.read = read
        self.write = write
        self.log = open(log, "ab", buffering=0)  # closed by pump
        self.buffer = b""
        self.closed = False
        self.changed = threading.Condition()
        threading.Thread(target=self.pump, daemon=True).start()

    def pump(self):
        while True:
            try:
                data = self.read(65536)
            except OSError:
                data = b""
            with self.changed:
                self.buffer += data
                self.closed = data == b""
                self.changed.notify_all()
            if data == b"":
                self.log.close()
                return
            self.log.write(data)

    def send(self, data):
        try:
            self.write(data)
        except OSError as error:
            raise Closed("%s: %s" % (self.name, error)) from error

    def take(self, find, limit, what):
        """Wait until find(buffer) gives a number of bytes; take so many away and return them."""
        end = time.monotonic() + limit
        with self.changed:
            while True:
                size = find(self.buffer)
                if size is not None:
                    taken, self.buffer = self.buffer[:size], self.buffer[size:]
                    return taken
                tail = self.buffer[-400:].decode(errors="replace")
                if self.closed:
                    raise Closed("%s: closed while waiting for %s; last: %r"
                                 % (self.name, what, tail))
                left = end - time.monotonic()
                if left <= 0:
                    raise Timeout("%s: no %s within %g s; last: %r"
                                  % (self.name, what, limit, tail))
                self.changed.wait(left)

    def line(self, limit, what="line"):
        """Take one line, without its end."""
        def find(buffer):
            end = buffer.find(b"\n")
            return None if end < 0 else end + 1
        return self.take(find, limit, what).decode(errors="replace").rstrip("\r\n")

    def until(self, mark, limit):
        """Take everything up to and including the bytes of mark."""
        def find(buffer):
            at = buffer.find(mark)
            return None if at < 0 else at + len(mark)
        return self.take(find, limit, repr(mark.decode()))

    def drop(self):
        """Take whatever is there."""
        with self.changed:
            taken, self.buffer = self.buffer, b""
        return taken
