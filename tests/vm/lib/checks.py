# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Many checks in one test program, each under a name of its own.

    checks = Checks()
    with checks("testpmd_starts"):
        assert ..., "what is wrong"
    sys.exit(checks.status())

A machine takes seconds to boot, so one serves many checks. What one check leaves broken may fail
those after it: read the first failure first.
"""

import contextlib
import signal
import sys
import time
import traceback

from .vm import lacking

SKIP = 77


def skip_without_vm():
    """End the test program as skipped if this system cannot run it."""
    reason = lacking()
    if reason:
        print("skipped: " + reason)
        sys.exit(SKIP)
    # A time limit of the test runner's: leave by the finally clauses.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Checks:
    """Runs checks and counts; see the top of this file."""

    def __init__(self, on_failure=None):
        self.on_failure = on_failure
        self.passed = []
        self.failed = []

    @contextlib.contextmanager
    def __call__(self, name):
        start = time.monotonic()
        try:
            yield
        except Exception as error:  # whatever it is, the checks after this one are made
            self.failed.append(name)
            print("FAILED %s (%.1f s): %s" % (name, time.monotonic() - start, error))
            if not isinstance(error, AssertionError):
                traceback.print_exc(file=sys.stdout)
            if self.on_failure:
                self.on_failure()
        else:
            self.passed.append(name)
            print("ok %s (%.1f s)" % (name, time.monotonic() - start))
        sys.stdout.flush()

    def status(self):
        """Print the sum; return the program's exit status."""
        print("%d checks passed, %d failed%s" % (
            len(self.passed), len(self.failed),
            ": " + " ".join(self.failed) if self.failed else ""))
        return 1 if self.failed or not self.passed else 0
