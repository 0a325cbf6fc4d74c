"""Writes data to stdout: reports, lists, what a program may read."""

from __future__ import annotations

import os
import sys

from sandbox.errors import UsageError


def emit(text: str) -> None:
    """Write data to stdout. A reader who went away (`| head`) is no error, and does not change the exit
    code. Raises UsageError where it cannot be written: a full disk."""
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except OSError as error:
        # Python flushes stdout once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"the output cannot be written: {error.strerror}") from None
