"""The warden's own tests: its units under the address and undefined-behaviour sanitizers, its parsers under libFuzzer,
and that it compiles for both architectures.

`tests/warden/` holds the C. The unit tests are never skipped: where the warden can be built, they can.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from sandbox.warden import frames
from sandbox.warden.frames import Host, Put

HERE = Path(__file__).parent / "warden"
SOURCES = Path(__file__).parent.parent / "sandbox" / "warden"
STRICT = ("-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FUZZ_SECONDS = 10


def run(command: list[str], seconds: float = 120.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, its outputs together and as text."""
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        env={**os.environ, **environment},
        check=False,
    )


def compiled(compiler: str, flags: tuple[str, ...], files: list[Path], program: Path) -> Path:
    """Compiles, or fails with what the compiler said."""
    command = [compiler, *STRICT, *flags, f"-I{SOURCES}", f"-I{HERE}", "-o", str(program), *map(str, files)]
    done = run(command)
    assert done.returncode == 0, done.stdout
    return program


def clang_with_fuzzer(folder: Path) -> str:
    """A clang that has libFuzzer and the sanitizers; empty where there is none."""
    source = folder / "empty.c"
    source.write_text("int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n ? 0 : 0; }\n")
    for name in ("clang", *(f"clang-{version}" for version in range(22, 12, -1))):
        command = [name, "-fsanitize=fuzzer,address,undefined", "-o", str(folder / "empty"), str(source)]
        if shutil.which(name) and run(command).returncode == 0:
            return name
    return ""


def test_the_units_under_sanitizers(tmp_path: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "no C compiler: apt-get install gcc libc6-dev"
    others = (SOURCES / f"{name}.c" for name in ("spawn", "route", "datagram", "container"))
    files = [*sorted(HERE.glob("test_*.c")), *others]
    program = compiled(compiler, SANITIZED, files, tmp_path / "test")
    # Undisturbed by a TMPDIR: the tests make their folders in /tmp, as short paths.
    done = run([str(program)], ASAN_OPTIONS="detect_leaks=0", UBSAN_OPTIONS="print_stacktrace=1")
    for folder in Path("/tmp").glob("warden-test-*"):
        shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": passed") == 9, done.stdout


def seeds() -> list[bytes]:
    """Inputs to begin with: the first byte says which parser they are for."""
    put = b"".join(frames.pack_put(Put("/home/dev/.ssh/key", b"content", 0o600)))
    put += b"".join(frames.pack_put(Put("/home/dev/link", b"target", kind=3)))
    spawn = frames.pack_spawn(
        7, ["/bin/sh", "-c", "x"], {"A": "1"}, "/", file_size=1, memory=1, processes=1, open_files=1
    )
    plan = frames.pack_plan(3.0, 10, 10, 8, 1 << 30, 1 << 30)
    datagram = frames.pack_datagram(("192.0.2.1", 53), ("127.0.0.1", 40000), b"answer")
    stream = plan + put + spawn + datagram + frames.pack(Host.WATCH, 3, b"/home/dev/.ssh/key")
    stream += frames.pack(Host.LIST, 4, b"/home") + frames.pack(Host.READ, 5, b"/home/dev/.ssh/key")
    stream += frames.pack(Host.SURVEY, 6) + frames.pack(Host.STOP, 7) + frames.pack(Host.HOLD, 4096)
    stat = b"7 (a) b) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654321 10000 200"
    status = b"Name:\tx\nTgid:\t7\nNSpid:\t7\t3\t2\n"
    address = struct.pack("<HH4s8x", 2, 0x5000, bytes([192, 0, 2, 1]))
    return [
        b"\0" + stream,
        *(b"\1" + bytes([frame[4], 3]) + frame[12:] for frame in (put, spawn, datagram)),
        b"\2" + stat,
        b"\3" + bytes([200]) + stat + status,
        b"\4" + spawn[12:],
        *(b"\5" + bytes([call]) + bytes([1, 0] * 6) + address for call in range(12)),
        b"\6" + struct.pack("<3i", frames.Warden.EXITED, 7, 256),
    ]


@pytest.mark.slow
def test_the_parsers_under_a_fuzzer(tmp_path: Path) -> None:
    clang = clang_with_fuzzer(tmp_path)
    if not clang:
        pytest.skip("no clang with libFuzzer here: apt-get install clang libclang-rt-dev")
    names = ("filter", "net", "connection", "route", "datagram", "plant", "process", "spawn", "feign", "container")
    files = [HERE / "fuzz_warden.c", *(SOURCES / f"{name}.c" for name in names)]
    flags = ("-fsanitize=fuzzer", *SANITIZED)
    program = compiled(clang, flags, files, tmp_path / "fuzz")
    shut_in = tmp_path / "shut-in"
    (shut_in / "seeds").mkdir(parents=True)
    for number, seed in enumerate(seeds()):
        (shut_in / "seeds" / str(number)).write_bytes(seed)
    done = run(
        # Paths are the fuzzer's, which has shut itself into the folder.
        [str(program), "/seeds", f"-max_total_time={FUZZ_SECONDS}", "-max_len=4096", "-artifact_prefix=/"],
        seconds=FUZZ_SECONDS * 6,
        WARDEN_FUZZ_FOLDER=str(shut_in),
        ASAN_OPTIONS="detect_leaks=0:symbolize=0",
    )
    if done.returncode == 77:
        pytest.skip("namespaces are refused here, so that the fuzzer cannot be shut in")
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n(the input is in {shut_in}/crash-*)"
    assert "DONE" in done.stdout, done.stdout[-3000:]


def test_it_compiles_for_arm64(tmp_path: Path) -> None:
    compiler = shutil.which("aarch64-linux-gnu-gcc")
    if not compiler:
        pytest.skip("no compiler for arm64 here: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
    files = sorted(SOURCES.glob("*.c"))
    program = compiled(compiler, ("-O2", "-static"), files, tmp_path / "warden")
    assert program.read_bytes()[:4] == b"\x7fELF"


def test_the_frames_have_the_same_numbers_in_c_and_in_python(tmp_path: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    host = {**{kind: kind.name for kind in Host}}
    warden = {**{kind: kind.name for kind in frames.Warden}}
    warden[frames.Warden.OUTPUT_ENDED] = "OUTPUT_LOST"
    strings = {**{kind: kind.name for kind in frames.Text}}
    del strings[frames.Text.NUMBER_AND_NAME]
    lines = [f"_Static_assert(H_{name} == {int(kind)}, \"{name}\");" for kind, name in host.items()]
    lines += [f"_Static_assert(W_{name} == {int(kind)}, \"{name}\");" for kind, name in warden.items()]
    lines += [f"_Static_assert(S_{name} == {int(kind)}, \"{name}\");" for kind, name in strings.items()]
    lines += [f"_Static_assert(MAX_FRAME == {frames.MAX_FRAME} && WINDOW == {frames.WINDOW}, \"sizes\");"]
    source = tmp_path / "same.c"
    source.write_text('#include "warden.h"\n' + "\n".join(lines) + "\n")
    done = run([compiler, "-fsyntax-only", f"-I{SOURCES}", str(source)])
    assert done.returncode == 0, done.stdout
