"""The files by which one machine is told from another."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from sandbox.bait import Draw
from sandbox.persona import Persona, etc_files, load_personas, machine_files


@pytest.fixture(scope="module")
def laptop() -> Persona:
    return load_personas([Path(__file__).parent.parent / "profiles" / "personas"])["laptop"]


def test_accounts_agree(laptop: Persona) -> None:
    files = etc_files(laptop)
    accounts = {line.split(":")[0]: line.split(":") for line in files["/etc/passwd"].decode().splitlines()}
    assert accounts["dev"] == ["dev", "x", "1000", "1000", "Jordan Avery,,,", "/home/dev", "/bin/bash"]
    assert all(len(fields) == 7 for fields in accounts.values())
    groups = {line.split(":")[2] for line in files["/etc/group"].decode().splitlines()}
    assert {fields[3] for fields in accounts.values()} <= groups


def test_names_are_looked_up_in_files_then_dns(laptop: Persona) -> None:
    files = etc_files(laptop)
    assert b"hosts: files dns\n" in files["/etc/nsswitch.conf"]
    assert files["/etc/resolv.conf"] == b"nameserver 192.168.1.1\n"
    assert files["/etc/hostname"] == b"nl-thinkpad\n"
    assert b"127.0.1.1\tnl-thinkpad\n" in files["/etc/hosts"]
    assert files["/etc/timezone"] == b"America/New_York\n"
    assert all(content.endswith(b"\n") for content in files.values())


def test_a_machine_id_is_drawn(laptop: Persona) -> None:
    assert "/etc/machine-id" not in etc_files(laptop)
    assert re.fullmatch(rb"[0-9a-f]{32}\n", etc_files(laptop, Draw(1))["/etc/machine-id"])


@pytest.mark.parametrize("count", [1, 2, 8, 64])
def test_processors_are_counted_alike_everywhere(laptop: Persona, count: int) -> None:
    files = machine_files(msgspec.structs.replace(laptop, cpus=count), now=1_800_000_000.0)
    assert files["/proc/cpuinfo"].count(b"\nmodel name\t: ") == count
    assert len(re.findall(rb"^cpu\d+ ", files["/proc/stat"], re.MULTILINE)) == count
    assert files["/sys/devices/system/cpu/online"] == (b"0\n" if count == 1 else b"0-%d\n" % (count - 1))
    assert b"btime %d\n" % (1_800_000_000 - laptop.uptime) in files["/proc/stat"]
    for line in re.findall(rb"^cpu.*$", files["/proc/stat"], re.MULTILINE):
        assert all(int(field) >= 0 for field in line.split()[1:])


def test_memory_is_the_persona_s(laptop: Persona) -> None:
    meminfo = machine_files(laptop)["/proc/meminfo"].decode()
    amounts = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.splitlines()}
    assert amounts["MemTotal"] == laptop.memory // 1024
    assert amounts["MemFree"] < amounts["MemAvailable"] < amounts["MemTotal"]
