"""Runs a command in a network namespace of its own that has a loopback and nothing else.

`make test-offline` proves with it that the unit tests are unit tests: one that reaches for the network fails.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def main() -> None:
    """Leave the network, bring the loopback up, and become the command; with `--or-online` before it, become the
    command also where a namespace is refused."""
    command = sys.argv[1:]
    try:
        leave()
    except OSError as error:
        if command[0] != "--or-online":
            raise
        print(f"note: with the network, since a namespace without one was refused: {error}", file=sys.stderr)
    command = command[1:] if command[0] == "--or-online" else command
    os.execvp(command[0], command)


def leave() -> None:
    """Into a new network namespace. Raises OSError where that is refused."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "this machine allows no network namespace (see `baitbox doctor`)")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


if __name__ == "__main__":
    main()
