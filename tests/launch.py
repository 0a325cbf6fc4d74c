"""Starts programs with a terminal's signal dispositions, however the tests themselves were started.

A shell's background job, nohup and some CI systems start what they start with SIGINT or SIGHUP ignored, and a child
inherits that: a test that interrupts its child would wait for ever.
"""

from __future__ import annotations

import sys

_CODE = """\
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def interruptible(*argv: str) -> list[str]:
    """The command line that becomes `argv`, in the same process, with SIGINT, SIGTERM and SIGHUP as by default."""
    return [sys.executable, "-I", "-S", "-c", _CODE, *argv]
