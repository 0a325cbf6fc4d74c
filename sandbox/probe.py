"""Asks the kernel what a guest needs, by trying it. Runs as a program of its own, because entering a user namespace
cannot be undone, and then prints one JSON object.

Only the standard library, so that it also runs with `python -I -S`; `ask` alone is for baitbox.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import sys
from collections.abc import Callable

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_REC, MS_SLAVE = 0x4000, 0x80000
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_GET_ACTION_AVAIL = 2
SECCOMP_GET_NOTIF_SIZES = 3
SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5
SECCOMP_NUMBERS = {"x86_64": 317, "aarch64": 277}

libc = ctypes.CDLL(None, use_errno=True)


def error_of(result: int) -> str:
    """ "" where a call succeeded, else the name of its error."""
    if result >= 0:
        return ""
    return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def seccomp(operation: int, flags: int, argument: object) -> str:
    """The error of a seccomp call that changes nothing, or ENOSYS where the number is not known."""
    number = SECCOMP_NUMBERS.get(platform.machine())
    if number is None:
        return "ENOSYS"
    return error_of(libc.syscall(number, operation, flags, argument))


def in_child(flags: int) -> str:
    """The error of unshare(flags) and then of mapping the user, tried in a child that is thrown away."""

    def attempt() -> str:
        user, group = os.getuid(), os.getgid()
        said = error_of(libc.unshare(flags))
        return map_user(user, group) if not said and flags & CLONE_NEWUSER else said

    return of_child(attempt)


def own_proc() -> str:
    """The error of mounting /proc for new namespaces, as the warden does: the kernel refuses it where parts of the
    present one are masked, as in most containers."""

    def mounted() -> str:
        said = error_of(libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None))
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        return said or error_of(libc.mount(b"proc", b"/proc", b"proc", flags, None))

    def attempt() -> str:
        user, group = os.getuid(), os.getgid()
        said = error_of(libc.unshare(CLONE_NEWUSER)) or map_user(user, group)
        # The next child is the first process of the new namespace, whose /proc it is.
        return said or error_of(libc.unshare(CLONE_NEWPID | CLONE_NEWNS)) or of_child(mounted)

    return of_child(attempt)


def of_child(attempt: Callable[[], str]) -> str:
    """What `attempt` says in a child that is thrown away."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "EIO"
        try:
            said = attempt()
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said_there = file.read().decode()
    os.waitpid(child, 0)
    return said_there


def map_user(user: int, group: int) -> str:
    """Map the present user to 1000 in the new user namespace: where a security module forbids it, it shows
    here."""
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"1000 {user} 1"),
            ("gid_map", f"1000 {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    except OSError as problem:
        return errno.errorcode.get(problem.errno or 0, "EIO")
    return ""


def probe() -> dict[str, str]:
    """The error name of each thing that was tried, "" where it works."""
    sizes = (ctypes.c_uint16 * 3)()
    action = ctypes.c_uint32(SECCOMP_RET_USER_NOTIF)
    notification = seccomp(SECCOMP_GET_NOTIF_SIZES, 0, ctypes.byref(sizes))
    # Flags are checked before the (missing) filter is read: EFAULT says that the kernel knows the flag.
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    killable = seccomp(SECCOMP_SET_MODE_FILTER, flags, None)
    return {
        "notification": notification or seccomp(SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)),
        "killable": "" if killable == "EFAULT" else killable or "EIO",
        "namespaces": in_child(CLONE_NEWUSER | CLONE_NEWNET),
        "proc": own_proc(),
        "time": in_child(CLONE_NEWUSER | CLONE_NEWTIME),
    }


def ask() -> dict[str, str]:
    """What `probe` finds in a process of its own; empty where it says nothing that can be read."""
    from sandbox import process

    try:
        found = json.loads(process.run([sys.executable, "-I", "-S", __file__], timeout=10).stdout)
        return {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


if __name__ == "__main__":
    print(json.dumps(probe()))
