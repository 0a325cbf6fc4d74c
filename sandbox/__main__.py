"""The `baitbox` command: listens for signals first, because the imports that follow take a while."""

from __future__ import annotations

from sandbox import signals


def _command() -> int:
    import sys

    from sandbox.cli import run

    return run(sys.argv[1:])


def main() -> None:
    """Run the command line and end the process."""
    signals.run(_command)


if __name__ == "__main__":
    main()
