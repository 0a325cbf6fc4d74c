"""A sheet of a profile: one YAML file, read strictly. Each entry has its `why`; what is unknown, or is a proposal that
nobody has reviewed, is refused with the path to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import yaml

from sandbox.errors import UsageError
from sandbox.globs import alternatives

Verb = Literal[
    "read", "write", "change", "run", "connect", "request", "lookup", "syscall", "bind", "survive", "send"
]
VERBS: tuple[Verb, ...] = get_args(Verb)
PATHS = ("read", "write", "change", "run", "survive")
"""The verbs whose subject is a path."""
PROPOSED = "proposed:"
"""How the `why` of an entry begins that `baitbox learn` wrote and nobody has reviewed: such an entry is refused."""
_AT = re.compile(r"^(?P<message>.*?) - at `\$(?P<path>.*)`$", re.DOTALL)

Why = Annotated[str, msgspec.Meta(min_length=8)]
Globs = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of a sheet: what may be done, by whom, when, and why that is ordinary.

    `args` are globs of the whole argument line of `run` and `survive`; `methods` those of `request` (GET and
    HEAD without a body where none is given), and of `send` those of all requests on its connection; `program` globs of
    the doer's own command line. `absent`, of `request`: the guest is told that the file is not there, since the package
    then builds its own. `silent`, of `connect`: only where nothing was sent that could not be read.
    """

    why: Why
    by: Literal["installer", "tool", "package", "any"] = "package"
    phases: tuple[Literal["install", "start", "import", "run", "shell", "linger"], ...] = ()
    args: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    absent: bool = False
    silent: bool = False
    read: Globs | msgspec.UnsetType = msgspec.UNSET
    write: Globs | msgspec.UnsetType = msgspec.UNSET
    change: Globs | msgspec.UnsetType = msgspec.UNSET
    run: Globs | msgspec.UnsetType = msgspec.UNSET
    connect: Globs | msgspec.UnsetType = msgspec.UNSET
    request: Globs | msgspec.UnsetType = msgspec.UNSET
    lookup: Globs | msgspec.UnsetType = msgspec.UNSET
    syscall: Globs | msgspec.UnsetType = msgspec.UNSET
    bind: Globs | msgspec.UnsetType = msgspec.UNSET
    survive: Globs | msgspec.UnsetType = msgspec.UNSET
    send: Globs | msgspec.UnsetType = msgspec.UNSET

    def globs(self, verb: str) -> tuple[str, ...]:
        """The globs for one verb, none where the entry does not speak of it."""
        found = getattr(self, verb)
        return () if found is msgspec.UNSET else found


class MayFail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Import phases of this package, by their full names, that may raise, and why that is ordinary."""

    why: Why
    phases: Globs


class Sheet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One YAML file."""

    about: str = ""
    extends: str = ""
    expect: tuple[Expectation, ...] = ()
    may_fail: tuple[MayFail, ...] = ()
    """Only in a package's own sheet: an import that raises and stands here does not make the run inconclusive."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C where libyaml is built in
    """Safe YAML in which a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"{twice} stands twice, line {node.start_mark.line + 1}")
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def read(path: Path) -> Sheet:
    """A sheet. Raises UsageError naming the file and the path to the key where it cannot be used as written."""
    try:
        raw = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # _Loader is a safe loader
        sheet = msgspec.convert(raw if raw is not None else {}, Sheet)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except (msgspec.ValidationError, RecursionError) as error:
        found = _AT.match(str(error))
        where = f"{found['path'].lstrip('.')}: {found['message']}" if found else str(error)
        raise UsageError(f"{path}: {where}") from error
    for number, entry in enumerate(sheet.expect):
        problem = _problem(entry)
        if problem:
            raise UsageError(f"{path}: expect[{number}]{problem}")
    for number, excused in enumerate(sheet.may_fail):
        wrong = next((name for name in excused.phases if not name.startswith("import:") or "*" in name), None)
        if wrong is not None:
            raise UsageError(f"{path}: may_fail[{number}].phases: {wrong!r} is not the full name of an import phase")
    return sheet


def _problem(entry: Expectation) -> str:
    """What is wrong with an entry that has the right types; empty where nothing is."""
    if entry.why.lstrip().lower().startswith(PROPOSED):
        return ".why: a proposal that nobody has reviewed: check it, and say the reason in its place"
    verbs = [verb for verb in VERBS if entry.globs(verb)]
    if not verbs:
        return f": says nothing: one of {', '.join(VERBS)} is needed"
    if entry.methods and verbs not in (["request"], ["send"]):
        return ".methods: only of requests, and of what is sent in them"
    if entry.absent and (verbs != ["request"] or entry.methods):
        return ".absent: only of requests that fetch a file"
    if entry.silent and verbs != ["connect"]:
        return ".silent: only of connections"
    if entry.args and not set(verbs) <= {"run", "survive"}:
        return ".args: only of run and survive"
    for verb in verbs:
        for number, glob in enumerate(entry.globs(verb)):
            where = f".{verb}[{number}]: "
            if verb in PATHS and not (glob in ("~", ".") or glob.startswith(("/", "~/", "./"))):
                return f"{where}{glob!r} must begin with /, ~/ or ./"
            if verb == "request" and "://" not in glob:
                return f"{where}{glob!r} must be a URL with its scheme"
            try:
                alternatives(glob)
            except ValueError as error:
                return f"{where}{error}"
    for field, globs in (("program", entry.program), ("args", entry.args)):
        for number, glob in enumerate(globs):
            try:
                alternatives(glob)
            except ValueError as error:
                return f".{field}[{number}]: {error}"
    return ""
