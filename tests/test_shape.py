"""The shape of the code, checked: sizes, which way imports point, what may act, and what no file may contain.

The checks take the root as an argument, so that the tests at the end can show that each catches what it is for.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULE_LINES = 420
FUNCTION_LINES = 60
DECOY_LINES = 75
"""A decoy's `plant` is mostly the text of the files that it plants."""

ACTING = frozenset({
    "aiohttp", "asyncio", "concurrent", "ctypes", "docker", "fcntl", "http", "httpx", "multiprocessing", "os",
    "psutil", "pty", "requests", "resource", "select", "selectors", "shutil", "signal", "socket", "socketserver",
    "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request", "urllib3",
})  # fmt: skip
"""What nothing right of the recording may import: sockets, processes, clocks, the environment."""

RIGHT_OF_THE_RECORDING = (
    "judge", "report", "events", "profiles", "rules", "reporters", "show", "behaviour", "noise", "learn", "differences",
    "lockfiles", "changes",
)  # fmt: skip
STARTS_PROGRAMS = ("process", "backends")
REACHES_OUT = ("fetch", "upstream", "gateway.registry")
ONLY_IMPORTED_BY = {
    "cli": ("__main__",),
    "schedule": ("cli", "commands", "gate", "judged_again", "previous", "scan"),
    "pipeline": ("cli", "commands", "judged_again", "scan", "scan_memory", "schedule", "together"),
}
VAGUE = re.compile(r"(?:^|_)(?:utils?|helpers?|common|managers?)(?:_|$)")


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a text; the same files are looked at many times."""
    return ast.parse(text)


class Module:
    """One Python file of the package, and what it imports."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        parts = path.relative_to(root / "sandbox").with_suffix("").parts
        self.name = ".".join(part for part in parts if part != "__init__") or "__init__"
        self.text = path.read_text(encoding="utf-8")
        self.tree = parsed(self.text)

    def imports(self) -> Iterator[str]:
        """Every module imported, also inside functions; not those for type checking alone."""
        ignored = {
            id(child)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for child in ast.walk(node)
        }
        for node in ast.walk(self.tree):
            if id(node) in ignored:
                continue
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: a relative import"
                yield node.module or ""
                yield from (f"{node.module}.{name.name}" for name in node.names)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
                yield "__import__"

    def own_imports(self, known: set[str]) -> set[str]:
        """The modules of this package that it imports."""
        names = {name.removeprefix("sandbox.") for name in self.imports() if name.startswith("sandbox.")}
        return names & known - {self.name}


def modules(root: Path) -> dict[str, Module]:
    """Every module of the package, by its name without `sandbox.`."""
    found = [Module(root, path) for path in sorted((root / "sandbox").rglob("*.py"))]
    return {module.name: module for module in found if "_profiles" not in module.path.parts}


def within(name: str, places: tuple[str, ...]) -> bool:
    """Whether a module is one of `places`, or stands in a folder that is."""
    return any(name == place or name.startswith(place + ".") for place in places)


def is_any(imported: str, names: frozenset[str] | set[str]) -> bool:
    """Whether an import is one of `names`, or of something inside one."""
    return any(imported == name or imported.startswith(name + ".") for name in names)


def too_long(root: Path) -> list[str]:
    """Modules and functions over their size."""
    found = []
    for path in [*sorted((root / "sandbox").rglob("*.py")), *sorted((root / "tools").glob("*.py"))]:
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > MODULE_LINES:
            found.append(f"{path.relative_to(root)}: {lines} lines, more than {MODULE_LINES}")
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > (DECOY_LINES if path.parent.name == "decoys" else FUNCTION_LINES):
                    found.append(f"{path.relative_to(root)}: {node.name} has {length} lines")
    return found


def acting_where_only_thinking(root: Path) -> list[str]:
    """Acting imports in what is right of the recording, and in everything that it imports in turn."""
    known = modules(root)
    pending = [name for name in known if within(name, RIGHT_OF_THE_RECORDING)]
    seen: dict[str, str] = dict.fromkeys(pending, "")
    found = []
    while pending:
        name = pending.pop()
        module = known[name]
        for imported in sorted(set(module.imports())):
            if is_any(imported, ACTING) or imported == "__import__":
                through = f" (reached from {seen[name]})" if seen[name] else ""
                found.append(f"sandbox.{name} imports {imported}{through}")
        for other in sorted(module.own_imports(set(known)) - set(seen)):
            seen[other] = name
            pending.append(other)
    return found


def importing_elsewhere(root: Path, what: set[str], allowed: tuple[str, ...]) -> list[str]:
    """Modules outside `allowed` that import one of `what`."""
    return [
        f"sandbox.{name} imports {imported}"
        for name, module in modules(root).items()
        if not within(name, allowed)
        for imported in sorted(set(module.imports()))
        if is_any(imported, what)
    ]


def wrong_way(root: Path) -> list[str]:
    """Imports against the direction of the program, and circles."""
    known = modules(root)
    arrows = {name: module.own_imports(set(known)) for name, module in known.items()}
    found = [
        f"sandbox.{name} imports sandbox.{above}"
        for above, allowed in ONLY_IMPORTED_BY.items()
        for name, others in arrows.items()
        if above in others and not within(name, allowed)
    ]
    for start in arrows:
        seen: set[str] = set()
        pending = [one for one in arrows[start] if not start.startswith(one)]
        while pending:
            name = pending.pop()
            if name == start:
                found.append(f"sandbox.{start} imports itself by way of others")
                break
            if name not in seen:
                seen.add(name)
                pending += arrows[name]
    return found


def untested(root: Path) -> list[str]:
    """Modules that no test file is named after and none imports. What discovery finds is tested as a folder."""
    tests = sorted((root / "tests").rglob("test_*.py"))
    names = {path.stem.removeprefix("test_") for path in tests}
    texts = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    found = []
    for name in modules(root):
        folder, _, stem = name.rpartition(".")
        if stem.startswith("_") or name == "__init__":
            continue
        if within(name, ("rules", "decoys", "reporters", "ecosystems", "lockfiles")) and folder.split(".")[0] in names:
            continue
        imported = re.search(rf"\bsandbox\.{re.escape(name)}\b", texts) or re.search(
            rf"from {re.escape('.'.join(filter(None, ['sandbox', folder])))} import [^\n]*\b{stem}\b", texts
        )
        if not names & {stem, name.replace(".", "_")} and not imported:
            found.append(f"sandbox.{name}: no tests/test_{name.replace('.', '_')}.py, and no test imports it")
    return found


def forbidden_texts() -> dict[str, re.Pattern[str]]:
    """What no file may contain. Put together here, so that this file does not contain it either."""
    dot = re.escape(".")
    hosts = [("npm", "js", "org"), ("npm", "js", "com"), ("py", "pi", "org"), ("python", "hosted", "org")]
    found = {f"{a}{b}.{c}": re.compile(rf"{a}{b}{dot}{c}", re.IGNORECASE) for a, b, c in hosts}
    found["a path of one machine"] = re.compile("/(?:" + "wo" + r"rk/(?:main|venv|shared|\.)|ro" + r"ot/\.pyenv)")
    return found


@cache
def project_files(root: Path) -> tuple[Path, ...]:
    """Every file of the project, as git would take it; without git, what is not obviously made."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
        names = done.stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(root)) for path in root.rglob("*")]
    paths = [root / name for name in names if name and not name.startswith((".venv", ".git/"))]
    return tuple(path for path in paths if path.is_file() and "__pycache__" not in path.parts)


def forbidden_contents(root: Path) -> list[str]:
    """Files that contain what none may."""
    return [
        f"{path.relative_to(root)} contains {what}"
        for path in project_files(root)
        for what, pattern in forbidden_texts().items()
        if pattern.search(path.read_bytes().decode("utf-8", errors="replace"))
    ]


def vague_names(root: Path) -> list[str]:
    """Files whose name says nothing."""
    return [str(path.relative_to(root)) for path in project_files(root) if VAGUE.search(path.stem)]


def test_modules_and_functions_are_short() -> None:
    assert not too_long(ROOT)


def test_nothing_right_of_the_recording_acts() -> None:
    assert not acting_where_only_thinking(ROOT)


def test_programs_are_started_in_one_place() -> None:
    assert not importing_elsewhere(ROOT, {"subprocess", "pty"}, STARTS_PROGRAMS)


def test_the_outside_is_reached_in_one_place() -> None:
    assert not importing_elsewhere(ROOT, {"httpx", "urllib.request", "http.client", "requests"}, REACHES_OUT)


def test_imports_point_one_way() -> None:
    assert not wrong_way(ROOT)


def test_every_module_has_a_test() -> None:
    assert not untested(ROOT)


def test_no_file_names_a_registry_host_or_one_machine() -> None:
    assert not forbidden_contents(ROOT)


def test_file_names_say_something() -> None:
    assert not vague_names(ROOT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, for planting mistakes in."""
    shutil.copytree(ROOT / "sandbox", tmp_path / "sandbox", ignore=shutil.ignore_patterns("__pycache__", "warden"))
    (tmp_path / "tests").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "import subprocess",
        "from os import environ",
        "import urllib.request",
        "def f():\n    import socket",
        "socket = __import__('socket')",
        "import time as t",
    ],
)
def test_an_acting_rule_is_caught(copy: Path, line: str) -> None:
    before = acting_where_only_thinking(copy)
    (copy / "sandbox" / "rules" / "planted.py").write_text(f"{line}\n")
    found = set(acting_where_only_thinking(copy)) - set(before)
    assert found
    assert all(one.startswith("sandbox.rules.planted imports ") for one in found)


def test_an_acting_module_behind_a_rule_is_caught(copy: Path) -> None:
    (copy / "sandbox" / "rules" / "planted.py").write_text("from sandbox import behind\n")
    (copy / "sandbox" / "behind.py").write_text("import socket\n")
    assert "sandbox.behind imports socket (reached from rules.planted)" in acting_where_only_thinking(copy)


def test_starting_a_program_elsewhere_is_caught(copy: Path) -> None:
    (copy / "sandbox" / "planted.py").write_text("import subprocess\n")
    found = importing_elsewhere(copy, {"subprocess"}, STARTS_PROGRAMS)
    assert "sandbox.planted imports subprocess" in found


def test_an_import_against_the_direction_is_caught(copy: Path) -> None:
    (copy / "sandbox" / "planted.py").write_text("from sandbox import cli\n")
    (copy / "sandbox" / "one.py").write_text("import sandbox.other\n")
    (copy / "sandbox" / "other.py").write_text("from sandbox.one import x\n")
    found = wrong_way(copy)
    assert "sandbox.planted imports sandbox.cli" in found
    assert "sandbox.one imports itself by way of others" in found


def test_a_long_module_and_a_long_function_are_caught(copy: Path) -> None:
    (copy / "sandbox" / "planted.py").write_text("def f():\n" + "    pass\n" * 500)
    assert len([one for one in too_long(copy) if "planted" in one]) == 2


def test_a_module_without_a_test_is_caught(copy: Path) -> None:
    (copy / "sandbox" / "planted.py").write_text("")
    assert any(one.startswith("sandbox.planted:") for one in untested(copy))
    (copy / "tests" / "test_planted.py").write_text("")
    assert not any(one.startswith("sandbox.planted:") for one in untested(copy))


@pytest.mark.parametrize("what", sorted(forbidden_texts()))
def test_a_forbidden_text_is_caught(tmp_path: Path, what: str) -> None:
    texts = {"a path of one machine": "/".join(["", "work", "main"])}
    (tmp_path / "planted.md").write_text(f"see https://{texts.get(what, what)}/x")
    (tmp_path / "helpers.py").write_text("")
    project_files.cache_clear()
    assert forbidden_contents(tmp_path) == [f"planted.md contains {what}"]
    assert vague_names(tmp_path) == ["helpers.py"]
    project_files.cache_clear()
