"""Builds the warden, the C program that runs inside a guest, as part of baitbox's own wheel.

It is compiled here and not shipped as a binary in the source tree: what runs next to a hostile package
should be readable. An editable install compiles it in place, so a fresh clone works after `pip install -e .`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ("-std=gnu11", "-static", "-s", "-O2", "-Wall", "-Wextra", "-fstack-protector-strong")
NEEDS = "apt-get install gcc libc6-dev"


def sources(folder: Path) -> list[Path]:
    """The warden's own C files: tests and fuzzers stand beside them and are not part of it."""
    return sorted(file for file in folder.glob("*.c") if not file.name.startswith(("test_", "fuzz_")))


def compile_warden(folder: Path) -> Path:
    """Compile the warden in `folder` and return the program's path; an unchanged one is left as it is."""
    files = sources(folder)
    if not files:
        raise RuntimeError(f"no C source of the warden in {folder}: the source tree is not complete")
    program = folder / "warden"
    inputs = [*files, *folder.glob("*.h"), Path(__file__)]
    if program.exists() and program.stat().st_mtime > max(file.stat().st_mtime for file in inputs):
        return program
    # Beside the old one and then renamed: a running warden cannot be written to ("text file busy").
    fresh = folder / f"warden.{os.getpid()}.new"
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    try:
        run([*compiler, *FLAGS, *extra, "-o", str(fresh), *map(str, files)])
        os.replace(fresh, program)
    finally:
        fresh.unlink(missing_ok=True)
    return program


def run(command: list[str]) -> None:
    """Run the compiler; what it says is shown, and a failure says what to install."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError:
        raise RuntimeError(f"no C compiler called {command[0]!r} to build the warden with: {NEEDS}") from None
    said = done.stdout.decode(errors="replace").strip()
    if said:
        print(said)
    if done.returncode != 0:
        missing = any(
            name in said for name in ("cannot find -lc", "No such file or directory", "cannot find -lpthread")
        )
        hint = f" (is the static C library there? {NEEDS})" if missing else ""
        raise RuntimeError(
            f"the warden does not compile: {shlex.join(command)} ended with {done.returncode}{hint}\n{said}"
        )


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's hooks are untyped here
    """Called by hatchling for every build; only wheels (editable ones too) need the program."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as made for this machine's processor."""
        if self.target_name != "wheel":
            return
        compile_warden(Path(self.root) / "sandbox" / "warden")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        # An editable install reads these where they are: a copy in site-packages would go stale unseen.
        if version != "editable":
            build_data["force_include"][os.path.join(self.root, "profiles")] = "sandbox/_profiles"
            runner = "sandbox/_image/Dockerfile.runner"
            build_data["force_include"][os.path.join(self.root, "Dockerfile.runner")] = runner
