"""Every way in which baitbox itself can fail: one class, one exit code, one hint for the reader.

Raised with a sentence that names the thing; caught once, in `cli.main`. Inside modules the builtin
exceptions serve (`ValueError` for what cannot be parsed); only what a user must read is a `BaitboxError`.
"""

from __future__ import annotations

EXIT_CLEAN = 0
EXIT_BUG = 1
EXIT_INCONCLUSIVE = 5
EXIT_SUSPICIOUS = 10
EXIT_MALICIOUS = 11
EXIT_INTERRUPTED = 130


class BaitboxError(Exception):
    """Something that stopped the run; `str(error)` is one sentence, `hint` says what to do next."""

    exit_code = EXIT_BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BaitboxError):
    """The command line, a setting or a profile cannot be used as written."""

    exit_code = 2


class TargetError(BaitboxError):
    """The package is not there, cannot be read, or is not what its digest says."""

    exit_code = 3


class RegistryError(TargetError):
    """A registry could not be reached, or answered with something other than what was asked for."""


class TooLargeError(RegistryError):
    """A registry's file or document is larger than what is fetched."""


class UnfitError(TargetError):
    """The package is there, and none of its files is for the guest's system or Python."""


class StoreError(BaitboxError):
    """The store cannot be opened, read or written, or something in it is damaged. `check` works without it."""

    exit_code = 3


class BackendError(BaitboxError):
    """No guest can be made here, or the one made could not be prepared."""

    exit_code = 4
