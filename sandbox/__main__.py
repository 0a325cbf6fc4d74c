"""The `baitbox` command: minds signals first, because the imports that follow take a while."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `signals` listens: no traceback of an import

from sandbox import signals  # the signals come first


def _command() -> int:
    import sys

    from sandbox.cli import run

    return run(sys.argv[1:])


def main() -> None:
    """Run the command line and end the process."""
    signals.run(_command)


if __name__ == "__main__":
    main()
