"""The doctor: looks, changes nothing, and says for each refusal what to do about it."""

from __future__ import annotations

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import cli, doctor, probe, process, registries, upstream
from sandbox.doctor import Check
from sandbox.errors import RegistryError

WORKS = {"notification": "", "killable": "", "namespaces": "", "proc": "", "time": ""}


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one empty folder in it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def sysctls(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    values: dict[str, str] = {}
    monkeypatch.setattr(doctor, "sysctl", lambda name: values.get(name, ""))
    return values


def test_this_machine_is_examined_and_left_as_it_was(tmp_path: Path) -> None:
    checks = doctor.examine(tmp_path / "cache")
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"kernel", "seccomp notification", "user namespaces", "bubblewrap", "warden", "node", "cache"} <= set(names)
    assert all(check.hint for check in checks if not check.ok)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        (
            "kernel.apparmor_restrict_unprivileged_userns", "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
    ],
)  # fmt: skip
def test_refused_namespaces_name_the_setting_that_forbids(
    sysctls: dict[str, str], name: str, value: str, remedy: str
) -> None:
    sysctls[name] = value
    found = doctor.namespaces({**WORKS, "namespaces": "EPERM"})
    assert not found.ok
    assert found.needed
    assert found.detail == "refused: EPERM"
    assert remedy in found.hint


def test_refused_namespaces_without_such_a_setting_are_probably_a_container(sysctls: dict[str, str]) -> None:
    assert "container" in doctor.namespaces({**WORKS, "namespaces": "EPERM"}).hint


def test_a_probe_that_says_nothing_is_a_refusal() -> None:
    asked = (doctor.notification, doctor.namespaces, doctor.own_proc, doctor.killable, doctor.time_namespaces)
    for check in (one({}) for one in asked):
        assert not check.ok


@pytest.mark.parametrize(
    ("system", "release", "ok"),
    [
        ("Linux", "6.1.0-18-amd64", True),
        ("Linux", "5.10.0", True),
        ("Linux", "5.4.0-generic", False),
        ("Linux", "unknown", False),
        ("Darwin", "24.1.0", False),
    ],
)
def test_the_kernel_has_to_be_new_enough(
    monkeypatch: pytest.MonkeyPatch, system: str, release: str, ok: bool
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.release", lambda: release)
    assert doctor.kernel().ok is ok


def test_arm_is_said_to_be_untested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert "only x86_64 is tested" in doctor.kernel().detail


def test_bubblewrap_is_missing_old_or_fine(path: Path) -> None:
    assert doctor.bubblewrap().detail == "not found"
    assert doctor.trial().detail == "not tried: no bwrap"
    program(path, "bwrap", "echo bubblewrap 0.6.1")
    assert not doctor.bubblewrap().ok
    assert "0.7" in doctor.bubblewrap().hint
    program(path, "bwrap", "echo bubblewrap 0.8.0")
    assert doctor.bubblewrap().ok
    assert doctor.trial().ok


def test_a_bubblewrap_that_cannot_make_a_guest_is_quoted(path: Path) -> None:
    program(path, "bwrap", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    found = doctor.trial()
    assert not found.ok
    assert found.detail == "bwrap: No permissions to create new namespace"
    program(path, "bwrap", "exit 3")
    assert doctor.trial().detail == "bwrap ended with 3"
    assert doctor.bubblewrap().detail == "not found"


def test_a_program_that_cannot_be_started_is_not_ok(path: Path) -> None:
    (path / "bwrap").write_text("#!/no/such/interpreter\n")
    (path / "bwrap").chmod(0o755)
    assert not doctor.bubblewrap().ok
    assert not doctor.trial().ok


def test_a_missing_or_foreign_warden_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "doctor.py"))
    assert doctor.warden().detail == "No such file or directory"
    (tmp_path / "warden").mkdir()
    program(tmp_path / "warden", "warden", "exit 2")
    assert not doctor.warden().ok
    program(tmp_path / "warden", "warden", "echo warden 1")
    assert doctor.warden().ok


def test_missing_package_managers_do_not_stop_the_others(path: Path) -> None:
    found = {check.name: check for check in doctor.toolchains()}
    assert not found["node"].ok
    assert not found["npm"].ok
    assert found["python"].ok
    assert "apt-get" in found["node"].hint
    assert not any(check.needed for check in found.values())


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = doctor.cache_folder(tmp_path / "file" / "cache")
    assert not found.ok
    assert "--cache" in found.hint


def test_little_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SPACE_WANTED", 1 << 80)
    assert not doctor.cache_folder(tmp_path).ok


def test_one_needed_failure_is_no_backend() -> None:
    fine = Check(name="a", ok=True, detail="", needed=True)
    advice = Check(name="b", ok=False, detail="")
    assert doctor.native_works([fine, advice])
    assert not doctor.native_works([fine, Check(name="c", ok=False, detail="", needed=True)])


def test_the_table_shows_what_to_do_and_the_json_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [
        Check(name="kernel", ok=True, detail="Linux 6", hint="never shown", needed=True),
        Check(name="bubblewrap", ok=False, detail="not\x1b found", hint="apt-get install bubblewrap", needed=True),
        Check(name="node", ok=False, detail="not found", hint="apt-get install nodejs"),
    ]
    text = doctor.table(checks)
    assert "never shown" not in text
    assert "\x1b" not in text
    assert [line.split()[0] for line in text.splitlines()[:5]] == ["ok", "FAIL", "->", "warn", "->"]
    document = json.loads(doctor.as_json(checks))
    assert document["native"] is False
    assert document["checks"][0]["hint"] == ""
    assert document["checks"][1]["hint"] == "apt-get install bubblewrap"


def test_registries_are_asked_and_a_refusal_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = registries.Registries(
        npm=registries.Registry(ecosystem="npm", url="https://one.test/", source="~/.npmrc"),
        pypi=(
            registries.Registry(ecosystem="pypi", url="https://two.test/simple/"),
            registries.Registry(ecosystem="pypi", url="https://three.test/simple/"),
        ),
    )
    answers: dict[str, Exception | None] = {
        "https://one.test/left-pad": None,
        "https://two.test/simple/six/": RegistryError("two.test does not answer"),
        "https://three.test/simple/six/": upstream.NotFoundError("no six"),
    }

    def document(_self: object, url: str, accept: str) -> None:
        if (answer := answers.pop(url)) is not None:
            raise answer

    monkeypatch.setattr(registries, "registry_settings", lambda: found)
    monkeypatch.setattr(upstream.Upstream, "document", document)
    checks = doctor.registries()
    assert answers == {}
    assert [(check.name, check.ok) for check in checks] == [
        ("registry one.test", True), ("registry two.test", False), ("registry three.test", True),
    ]  # fmt: skip
    assert checks[1].detail == "two.test does not answer"
    assert "from ~/.npmrc" in checks[0].detail


@pytest.mark.registry
def test_the_registries_of_this_machine_answer() -> None:
    assert all(check.ok for check in doctor.registries())


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 4)])
def test_the_command_says_by_its_exit_code_whether_a_backend_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, ok: bool, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sandbox.settings.names_in", lambda folder: ("terminal",) if folder else ())
    monkeypatch.setattr(doctor, "examine", lambda _: [Check(name="kernel", ok=ok, detail="x", needed=True)])
    assert cli.run(["doctor"]) == code
    assert cli.run(["doctor", "--format", "json"]) == code
    assert json.loads(capsys.readouterr().out.split("\n\n", 1)[1].split("\n", 1)[1])["native"] is ok


def test_the_probe_runs_alone_and_agrees_with_the_kernel() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(probe.__file__))], capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert set(found) == set(WORKS)
    assert all(value == "" or value in errno.errorcode.values() for value in found.values())


@pytest.mark.native
def test_a_masked_proc_is_seen_before_a_guest_is_made() -> None:
    masked = ["bwrap", "--unshare-user", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"]
    masked += ["--tmpfs", "/proc/fs", "--"]
    code = (
        "from sandbox import doctor; from sandbox.backends.native import BACKEND; print(BACKEND.refused());"
        "print(doctor.trial().ok)"
    )
    done = subprocess.run([*masked, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    refused, trial = done.stdout.splitlines()
    assert "own /proc: refused: EPERM" in refused
    assert "systempaths=unconfined" in refused
    assert trial == "False"


def test_the_probe_does_not_change_the_process_that_asks() -> None:
    code = (
        "import os; from sandbox.probe import probe; place = '/proc/self/ns/user'; before = os.readlink(place);"
        "probe(); raise SystemExit(before != os.readlink(place))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_probe_on_an_unknown_machine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert probe.seccomp(probe.SECCOMP_GET_NOTIF_SIZES, 0, None) == "ENOSYS"


def test_a_broken_probe_is_a_refusal_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", lambda *_, **__: process.Completed(1, b"[]", b""))
    assert not doctor.namespaces(probe.ask()).ok
    monkeypatch.setattr(process, "run", lambda *_, **__: process.Completed(1, b"junk", b""))
    assert not doctor.namespaces(probe.ask()).ok
