"""What of this host a native guest will see: found without starting anything twice, mounted in neutral places."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import msgspec
import pytest
from packaging.tags import sys_tags

from sandbox import interpreter, process, toolchain
from sandbox.errors import BackendError
from sandbox.toolchain import GUEST_NODE, GUEST_PYTHON, HostTools, Node, Python


def python(prefix: str = "/home/someone/.pyenv/versions/3.11.7", **fields: object) -> Python:
    values: dict[str, object] = {
        "implementation": "cpython",
        "version": "3.11.7",
        "executable": f"{prefix}/bin/python3.11",
        "prefix": prefix,
        "stdlib": f"{prefix}/lib/python3.11",
        "include": f"{prefix}/include/python3.11",
        "library": "",
        "packages": [f"{prefix}/lib/python3.11/site-packages"],
        "tags": ["cp311-cp311-linux_x86_64", "py3-none-any"],
        **fields,
    }
    return msgspec.convert(values, Python)


def install_node(folder: Path, version: str = "20.1.2", body: str = "") -> Path:
    """A version manager's node: a program that counts its starts, npm beside it, headers of its version."""
    program = folder / "bin" / "node"
    program.parent.mkdir(parents=True)
    facts = json.dumps({"executable": str(program), "version": version})
    program.write_text(body or f"#!/bin/sh\necho started >> '{folder}/starts'\necho '{facts}'\n")
    program.chmod(0o755)
    npm = folder / "lib/node_modules/npm"
    (npm / "bin").mkdir(parents=True)
    (npm / "bin/npm-cli.js").write_text("")
    (npm / "package.json").write_text('{"name": "npm", "version": "10.8.2"}')
    (folder / "bin/npm").symlink_to("../lib/node_modules/npm/bin/npm-cli.js")
    headers = folder / "include/node"
    headers.mkdir(parents=True)
    numbers = zip(("MAJOR", "MINOR", "PATCH"), version.split("."), strict=True)
    (headers / "node_version.h").write_text("".join(f"#define NODE_{part}_VERSION {n}\n" for part, n in numbers))
    for name in ("node_api.h", "common.gypi"):
        (headers / name).write_text("")
    return folder


def starts(folder: Path) -> int:
    return len((folder / "starts").read_text().splitlines()) if (folder / "starts").exists() else 0


def test_a_node_outside_usr_is_mounted_piece_by_piece(tmp_path: Path) -> None:
    folder = install_node(tmp_path / "nvm").resolve()
    tools = toolchain.find(str(folder / "bin"), cache=tmp_path / "cache.json")
    mounts = [mount for mount in tools.mounts if mount[1].startswith(GUEST_NODE)]
    assert mounts == [
        (str(folder / "bin/node"), "/opt/node/bin/node"),
        (str(folder / "include/node"), "/opt/node/include/node"),
        (str(folder / "lib/node_modules/npm"), "/opt/node/lib/node_modules/npm"),
    ]
    assert ("/opt/node/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js") in tools.links
    seen = tools.toolchain
    assert (seen.node, seen.node_version) == ("/opt/node/bin/node", "20.1.2")
    assert (seen.npm_cli, seen.npm_version) == ("/opt/node/lib/node_modules/npm/bin/npm-cli.js", "10.8.2")
    assert seen.environment["npm_config_nodedir"] == "/opt/node"


def test_a_warm_cache_starts_nothing_and_a_changed_program_is_asked_again(tmp_path: Path) -> None:
    folder = install_node(tmp_path / "nvm")
    cache = tmp_path / "deep" / "cache.json"
    first = toolchain.find(str(folder / "bin"), cache=cache)
    assert starts(folder) == 1
    second = toolchain.find(str(folder / "bin"), cache=cache)
    assert starts(folder) == 1
    assert second.toolchain == first.toolchain
    os.utime(folder / "bin/node", ns=(1, 1))
    toolchain.find(str(folder / "bin"), cache=cache)
    assert starts(folder) == 2
    assert [path.name for path in cache.parent.iterdir()] == ["cache.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b"{}", b'{"x": {"y": []}}'])
def test_a_spoilt_cache_is_no_cache(tmp_path: Path, content: bytes) -> None:
    folder = install_node(tmp_path / "nvm")
    cache = tmp_path / "cache.json"
    cache.write_bytes(content)
    assert toolchain.find(str(folder / "bin"), cache=cache).toolchain.node_version == "20.1.2"


def test_a_cache_that_lies_about_its_kind_is_not_believed(tmp_path: Path) -> None:
    folder = install_node(tmp_path / "nvm")
    cache = tmp_path / "cache.json"
    toolchain.find(str(folder / "bin"), cache=cache)
    facts = json.loads(cache.read_bytes())
    cache.write_text(json.dumps({key: {"executable": 7} for key in facts}))
    assert toolchain.find(str(folder / "bin"), cache=cache).toolchain.node_version == "20.1.2"
    assert starts(folder) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    folder = install_node(tmp_path / "nvm")
    blocked = tmp_path / "file"
    blocked.write_text("")
    tools = toolchain.find(str(folder / "bin"), cache=blocked / "cache.json")
    assert tools.toolchain.node_version == "20.1.2"


def test_headers_of_another_version_do_not_count(tmp_path: Path) -> None:
    folder = install_node(tmp_path / "nvm")
    (folder / "include/node/node_version.h").write_text("#define NODE_MAJOR_VERSION 18\n")
    tools = toolchain.find(str(folder / "bin"), cache=tmp_path / "cache.json")
    assert tools.headers == ""
    assert "npm_config_nodedir" not in tools.toolchain.environment


def test_what_is_missing_is_named_with_what_to_install(tmp_path: Path) -> None:
    tools = toolchain.find(str(tmp_path), cache=tmp_path / "cache.json")
    tools.require(["python", "pip"])
    with pytest.raises(BackendError, match="the guest needs node: no program called node") as caught:
        tools.require(["node", "npm"])
    assert "apt-get install nodejs" in caught.value.hint


def test_a_node_without_npm_asks_for_npm(tmp_path: Path) -> None:
    tools = HostTools(node=Node(executable="/usr/bin/node", version="20.1.2"))
    with pytest.raises(BackendError, match="the guest needs npm") as caught:
        tools.require(["node", "npm"])
    assert "apt-get install npm" in caught.value.hint


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("#!/bin/sh\nexit 3\n", "ended with code 3"),
        ("#!/bin/sh\necho hello\n", "does not answer as Node.js does"),
        ("#!/nonexistent/interpreter\n", "cannot be started"),
    ],
)
def test_a_broken_node_is_said_to_be_broken(tmp_path: Path, body: str, reason: str) -> None:
    folder = install_node(tmp_path / "nvm", body=body)
    tools = toolchain.find(str(folder / "bin"), cache=tmp_path / "cache.json")
    with pytest.raises(BackendError, match=reason):
        tools.require(["node"])


def test_a_missing_python_is_said(tmp_path: Path) -> None:
    tools = toolchain.find(python=str(tmp_path / "python3"), cache=tmp_path / "cache.json")
    with pytest.raises(BackendError, match="there is no program") as caught:
        tools.require(["python"])
    assert "CPython" in caught.value.hint


def test_a_python_in_a_home_is_mounted_piece_by_piece(tmp_path: Path) -> None:
    prefix = tmp_path / "home/someone/.local"
    for piece in ("bin/python3.11", "lib/python3.11/os.py", "include/python3.11/Python.h", "lib/libpython3.11.so.1.0"):
        (prefix / piece).parent.mkdir(parents=True, exist_ok=True)
        (prefix / piece).write_text("")
    (prefix / "share/keyrings").mkdir(parents=True)
    found = python(str(prefix), library=str(prefix / "lib/libpython3.11.so.1.0"))
    tools = HostTools(python=found)
    assert tools.mounts == [
        (f"{prefix}/bin/python3.11", "/opt/python/bin/python3.11"),
        (f"{prefix}/lib/python3.11", "/opt/python/lib/python3.11"),
        (f"{prefix}/include/python3.11", "/opt/python/include/python3.11"),
        (f"{prefix}/lib/libpython3.11.so.1.0", "/opt/python/lib/libpython3.11.so.1.0"),
    ]
    assert tools.links == [("/opt/python/bin/python", "python3.11"), ("/opt/python/bin/python3", "python3.11")]
    assert f"{GUEST_PYTHON}/lib/python3.11/site-packages" in tools.masks
    assert tools.toolchain.python == "/opt/python/bin/python3.11"
    assert tools.toolchain.environment == {"LD_LIBRARY_PATH": "/opt/python/lib"}
    assert not any(str(prefix) in guest for _host, guest in tools.mounts)


def test_a_conda_python_brings_its_libraries(tmp_path: Path) -> None:
    for piece in ("conda-meta", "bin", "lib/python3.11", "include/python3.11"):
        (tmp_path / piece).mkdir(parents=True)
    (tmp_path / "bin/python3.11").write_text("")
    tools = HostTools(python=python(str(tmp_path)))
    assert (f"{tmp_path}/lib", "/opt/python/lib") in tools.mounts


def test_tools_in_usr_stay_where_they_are_and_usr_local_is_elsewhere() -> None:
    system = HostTools(
        node=Node(executable="/usr/bin/node", version="20.1.2"),
        npm="/usr/share/nodejs/npm",
        headers="/usr/include/node",
        python=python("/usr", packages=["/usr/lib/python3/dist-packages"]),
    )
    assert system.mounts == []
    assert system.links == []
    assert "/usr/lib/python3/dist-packages" in system.masks
    assert system.toolchain.node == "/usr/bin/node"
    assert system.toolchain.npm_cli == "/usr/share/nodejs/npm/bin/npm-cli.js"
    assert system.toolchain.python == "/usr/bin/python3.11"
    assert system.toolchain.environment == {"npm_config_nodedir": "/usr"}
    local = HostTools(node=Node(executable="/usr/local/bin/node", version="20.1.2"), python=python("/usr/local"))
    assert ("/usr/local/bin/node", "/opt/node/bin/node") in local.mounts
    assert local.toolchain.python == "/opt/python/bin/python3.11"


def test_packages_that_are_not_mounted_are_not_masked() -> None:
    tools = HostTools(python=python(packages=["/srv/elsewhere/site-packages"]))
    assert not any(mask.startswith(("/opt", "/srv")) for mask in tools.masks)


def test_npms_own_settings_are_blanked(tmp_path: Path) -> None:
    folder = install_node(tmp_path / "nvm")
    (folder / "lib/node_modules/npm/npmrc").write_text("//registry.test/:_authToken=secret\n")
    tools = toolchain.find(str(folder / "bin"), cache=tmp_path / "cache.json")
    assert tools.blanks == ["/opt/node/lib/node_modules/npm/npmrc"]
    assert HostTools().blanks == []


def test_this_python_is_found_with_its_tags_and_pip(tmp_path: Path) -> None:
    tools = toolchain.find(cache=tmp_path / "cache.json")
    assert tools.python is not None
    assert os.path.realpath(sys.base_prefix) == tools.python.prefix
    assert tools.toolchain.python_version == ".".join(str(part) for part in sys.version_info[:3])
    assert tools.toolchain.tags == tuple(str(tag) for tag in sys_tags())
    assert tools.toolchain.pip == "/opt/pip/pip/__pip-runner__.py"
    assert tools.toolchain.pip_version
    assert "site-packages" not in tools.toolchain.pip
    assert all(host == os.path.realpath(host) or "libpython" in host for host, _guest in tools.mounts)


def test_another_python_is_asked_once(tmp_path: Path) -> None:
    base = getattr(sys, "_base_executable", sys.executable)
    cache = tmp_path / "cache.json"
    other = toolchain.find(python=base, cache=cache)
    assert other.python is not None
    assert other.python == msgspec.convert(interpreter.describe(), Python)
    before = cache.stat().st_mtime_ns
    assert toolchain.find(python=base, cache=cache).python == other.python
    assert cache.stat().st_mtime_ns == before


def test_the_cache_folder_follows_the_desktop_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install_node(tmp_path / "nvm")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    toolchain.find(str(folder / "bin"))
    assert (tmp_path / "xdg/baitbox/toolchain.json").is_file()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the rules say to ignore it
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    toolchain.find(str(folder / "bin"))
    assert (tmp_path / "home/.cache/baitbox/toolchain.json").is_file()


@pytest.mark.native
def test_the_mounts_are_enough_for_python_pip_and_node(tmp_path: Path) -> None:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        pytest.skip("bubblewrap is not installed")
    tools = toolchain.find(cache=tmp_path / "cache.json")
    seen = tools.toolchain
    argv = [bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/local"]
    for name in ("bin", "lib", "lib64", "sbin"):
        argv += ["--symlink", f"usr/{name}", f"/{name}"]
    argv += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--clearenv", "--setenv", "HOME", "/tmp"]
    for host, guest in tools.mounts:
        argv += ["--ro-bind", host, guest]
    for mask in tools.masks:
        argv += ["--tmpfs", mask]
    for path, target in tools.links:
        argv += ["--symlink", target, path]
    for key, value in seen.environment.items():
        argv += ["--setenv", key, value]
    commands = [[seen.python, "-c", "import ssl, ctypes, sys; print(sys.prefix)"], [seen.python, seen.pip, "--version"]]
    if tools.node is not None:
        commands.append([seen.node, seen.npm_cli, "--version"])
    for command in commands:
        done = process.run([*argv, *command], timeout=60)
        assert done.code == 0, (command, done.stderr)
        assert b"/home/" not in done.stdout
