"""Settings: command-line flags over environment variables over `[tool.baitbox]` in ./pyproject.toml.

Every option is declared once, as a field of `Settings`: its type, default, help and flag. The command line
(`sandbox.options`), the environment variable (`BAITBOX_` and the field's name) and the key in
pyproject.toml (the field's name, with dashes) are derived from it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from sandbox.errors import UsageError

ENVIRONMENT_PREFIX = "BAITBOX_"
HOMELESS = Path(os.devnull, "baitbox")
"""A folder that can never be."""


def default_cache() -> Path:
    """Where fetched packages are kept: `$XDG_CACHE_HOME/baitbox`, by default `~/.cache/baitbox`."""
    return _folder("XDG_CACHE_HOME", ".cache")


def default_store() -> Path:
    """Where results are kept: `$XDG_DATA_HOME/baitbox`, by default `~/.local/share/baitbox`."""
    return _folder("XDG_DATA_HOME", ".local/share")


def _folder(variable: str, below_home: str) -> Path:
    base = os.environ.get(variable, "")
    try:
        return (Path(base) if base.startswith("/") else Path.home() / below_home) / "baitbox"
    except RuntimeError:  # neither HOME nor an entry in passwd: no error for a command that needs no such folder
        return HOMELESS


def require_folders(settings: Settings, *names: Literal["cache", "store"]) -> None:
    """Raise UsageError for a folder that was not named, where there is no home to have it in."""
    for name in names:
        if getattr(settings, name) == HOMELESS:
            variable = {"cache": "XDG_CACHE_HOME", "store": "XDG_DATA_HOME"}[name]
            what = f"there is no home folder for the {name}: neither HOME nor an entry for this user in /etc/passwd"
            raise UsageError(what, f"name a folder: --{name} DIR, {ENVIRONMENT_PREFIX}{name.upper()} or {variable}")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one invocation behaves. `load` makes it; only tests build it by hand."""

    backend: Annotated[
        Literal["auto", "native", "docker"],
        Meta(description="Where the guest runs."),
    ] = "auto"
    image: Annotated[
        str,
        Meta(
            description="Docker: the image that guests are made of, with its own npm or pip.",
            extra={"metavar": "IMAGE", "shown": "one that baitbox builds"},
        ),
    ] = ""
    runtime: Annotated[
        str,
        Meta(
            description="Docker: the OCI runtime that makes the container.",
            extra={"metavar": "NAME", "shown": "the daemon's"},
        ),
    ] = ""
    personas: Annotated[
        tuple[str, ...],
        Meta(
            description="The machine that the guest pretends to be; may be repeated: a run for each.",
            extra={"flag": "--persona", "metavar": "NAME", "shown": "laptop"},
        ),
    ] = ("laptop",)
    format: Annotated[
        str,
        Meta(description="How the report is written.", extra={"metavar": "FORMAT", "choices": "reporters"}),
    ] = "terminal"
    output: Annotated[
        Path | None,
        Meta(description="Write the report here instead of to stdout.", extra={"metavar": "FILE"}),
    ] = None
    reports: Annotated[
        tuple[str, ...],
        Meta(
            description="Write one more report, of this format, to this file; may be repeated.",
            extra={"flag": "--report", "metavar": "FORMAT=FILE"},
        ),
    ] = ()
    fail_on: Annotated[
        Literal["malicious", "suspicious"],
        Meta(description="From which verdict on a finding fails the run."),
    ] = "suspicious"
    allow_inconclusive: Annotated[
        bool,
        Meta(description="Exit 0 where the verdict is inconclusive."),
    ] = False
    timeout: Annotated[
        float,
        Meta(description="Limit for the install phase.", ge=1, le=86400, extra={"metavar": "SECONDS"}),
    ] = 300.0
    jobs: Annotated[
        int,
        Meta(
            description="Packages checked at the same time; 0 takes half of the processors (scan: all).",
            ge=0,
            le=256,
            extra={"metavar": "N"},
        ),
    ] = 0
    keep: Annotated[
        Path | None,
        Meta(description="Keep the recordings in this folder.", extra={"metavar": "DIR"}),
    ] = None
    profiles: Annotated[
        tuple[Path, ...],
        Meta(
            description="A folder with profiles of your own; may be repeated.",
            extra={"flag": "--profile", "metavar": "DIR"},
        ),
    ] = ()
    cache: Annotated[
        Path,
        Meta(
            description="Where fetched packages are kept.",
            extra={"metavar": "DIR", "shown": "~/.cache/baitbox"},
        ),
    ] = msgspec.field(default_factory=default_cache)
    store: Annotated[
        Path,
        Meta(
            description="Where results and their recordings are kept.",
            extra={"metavar": "DIR", "shown": "~/.local/share/baitbox", "of_the_machine": True},
        ),
    ] = msgspec.field(default_factory=default_store)
    no_cache: Annotated[
        bool,
        Meta(description="Run anew what has a stored result; the new one is stored."),
    ] = False
    max_age: Annotated[
        float,
        Meta(
            description="Run anew what was run longer ago: its dependencies may be others now.",
            ge=0,
            le=36500,
            extra={"metavar": "DAYS"},
        ),
    ] = 7.0
    reuse_inconclusive: Annotated[
        bool,
        Meta(description="Take stored results too in which something was not seen."),
    ] = False
    sdist: Annotated[
        bool,
        Meta(description="PyPI: take the source distribution even where there is a wheel."),
    ] = False
    quiet: Annotated[
        bool,
        Meta(description="No progress on stderr."),
    ] = False


class Option(msgspec.Struct, frozen=True):
    """One field of `Settings`, as users meet it."""

    name: str
    type: Any
    """The bare type, without its `Meta`."""
    annotated: Any
    help: str
    flag: str
    environment: str
    key: str
    """Empty where a repository's pyproject.toml has no say: whoever wrote it could bring results along."""
    shown: str
    """The default, as documentation shows it; empty where there is none."""
    metavar: str

    @property
    def many(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.type) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """What it can be, where that is a closed list."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()


def options() -> dict[str, Option]:
    """Every setting, by field name, in the order of declaration."""
    return {field.name: _option(field) for field in msgspec.structs.fields(Settings)}


def _option(field: msgspec.structs.FieldInfo) -> Option:
    bare, meta = get_args(field.type)
    extra = meta.extra or {}
    offered = names_in(extra.get("choices", ""))
    choices = get_args(bare) if get_origin(bare) is Literal else offered
    default = f"{field.default:g}" if isinstance(field.default, float) else f"{field.default}"
    if field.default in (None, (), "", msgspec.NODEFAULT) or bare is bool:
        default = ""
    return Option(
        name=field.name,
        type=bare,
        annotated=field.type,
        help=f"{meta.description} One of: {', '.join(offered)}." if offered else meta.description or "",
        flag=extra.get("flag", "--" + field.name.replace("_", "-")),
        environment=ENVIRONMENT_PREFIX + field.name.upper(),
        key="" if extra.get("of_the_machine") else field.name.replace("_", "-"),
        shown=extra.get("shown", default),
        metavar=extra.get("metavar", "|".join(choices)),
    )


def names_in(folder: str) -> tuple[str, ...]:
    """The ids that `sandbox/<folder>` offers, as options have them (`allow-scripts` for `allow_scripts.py`), from its
    file names alone: nothing is imported for `--help`."""
    if not folder:
        return ()
    files = (Path(__file__).parent / folder).glob("*.py")
    return tuple(sorted(file.stem.replace("_", "-") for file in files if not file.stem.startswith("_")))


def load(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    folder: Path,
    packages: Iterable[Path] = (),
    pyproject: str | None = None,
) -> Settings:
    """The settings in force. `flags` by field name, None where not given; `folder` is where pyproject.toml is
    looked for, `packages` are the package folders under test; `pyproject` is the text to read instead of that file.
    Raises UsageError, naming where the unusable value came from."""
    known = options()
    values: dict[str, Any] = {}
    if pyproject is not None or not inside_package(folder, packages):
        for name, value in _from_file(folder / "pyproject.toml", known, pyproject).items():
            where = f"`{known[name].key}` of [tool.baitbox] in pyproject.toml"
            values[name] = _convert(known[name], value, where)
    for option in known.values():
        text = environment.get(option.environment, "")
        if text:
            value = [part for part in text.split(",") if part] if option.many else text
            values[option.name] = _convert(option, value, option.environment)
    for name, value in flags.items():
        if value is not None and value != []:
            values[name] = _convert(known[name], value, known[name].flag)
    settings = Settings(**values)
    for name in (settings.format, *(name for name, _ in report_files(settings.reports))):
        _check_format(name)
    _check_files(settings)
    return settings


def report_files(texts: Iterable[str]) -> list[tuple[str, Path]]:
    """Format and file of each `FORMAT=FILE`. Raises UsageError for what is none."""
    found: list[tuple[str, Path]] = []
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file) or "\0" in file:
            raise UsageError(f"{text!r} names no report", "--report FORMAT=FILE, such as --report sarif=baitbox.sarif")
        try:
            found.append((name, Path(file).expanduser()))
        except RuntimeError as error:  # ~NAME, of a user that there is not
            raise UsageError(f"{text!r} names no file: {error}") from None
    return found


def inside_package(folder: Path, packages: Iterable[Path]) -> bool:
    """Whether `folder` belongs to a package under test: then its pyproject.toml is the package's word, and a
    package must not choose how it is judged."""
    here = folder.resolve()
    return any(here.is_relative_to(package.resolve()) for package in packages)


def _from_file(file: Path, known: Mapping[str, Option], text: str | None = None) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8") if text is None else text
        table = tomllib.loads(text).get("tool", {}).get("baitbox", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}", "the settings are looked for in [tool.baitbox] there"
        ) from None
    if not isinstance(table, dict):
        raise UsageError(f"`tool.baitbox` in {file} is not a table")
    keys = {option.key: option.name for option in known.values() if option.key}
    for key in table:
        if key not in keys:
            raise UsageError(
                f"[tool.baitbox] in {file} has no setting `{key}`", f"there are: {', '.join(sorted(keys))}"
            )
    return {keys[key]: value for key, value in table.items()}


def _convert(option: Option, value: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, option.annotated, strict=False, dec_hook=_to_path)
    except msgspec.ValidationError as error:
        choices = ("true", "false") if option.type is bool else option.choices
        hint = f"one of: {', '.join(choices)}" if choices else ""
        raise UsageError(f"{where} cannot be {value!r}: {error}", hint) from None


def _to_path(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # ~NAME, of a user that there is not
            raise ValueError(f"{value!r}: {error}") from None
    if kind is Path and isinstance(value, Path):
        return value
    raise ValueError("not a path")


def _check_files(settings: Settings) -> None:
    """Two reports in one file would be the last of them."""
    given = [*(file for _, file in report_files(settings.reports)), *([settings.output] if settings.output else [])]
    files = [os.path.abspath(file) for file in given]
    for file in files:
        if files.count(file) > 1:
            raise UsageError(f"two reports cannot be written to {file}")


def _check_format(name: str) -> None:
    names = names_in("reporters")
    if name.replace("_", "-") not in names:
        raise UsageError(f"there is no report format {name!r}", f"there are: {', '.join(names)}")
