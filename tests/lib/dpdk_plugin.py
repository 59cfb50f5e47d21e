# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""Loading our drivers into DPDK programs wherever the build folder is.

DPDK loads no driver by path from below a folder that anyone can write, such as /tmp. What it is
given by name it leaves to the dynamic linker, which does not mind: so tests give names, and say in
the environment where to look. The linker's path is not for users: they install the drivers, or
build them in a folder of their own.
"""

import os


def arguments(path):
    """EAL's arguments for the plug-in at the path."""
    return ["-d", os.path.basename(path)]


def environment(*paths, **more):
    """This process's environment, in which those plug-ins are found, and more."""
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
    folders += filter(None, [os.environ.get("LD_LIBRARY_PATH")])
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders), **more}
