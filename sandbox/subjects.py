"""What `diff` and `learn` are given and give: recordings read, the profiles that count for them, proposals written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox import events, profiles
from sandbox.errors import TargetError, UsageError
from sandbox.events import Recording
from sandbox.profiles import Profiles

Named = tuple[str, Recording]
"""What a recording's file is called, and the recording."""


def is_recording(text: str) -> bool:
    """Whether the user named a recording, there or not: its name says so, which no package's does."""
    return text.endswith((".jsonl", ".jsonl.gz"))


def read(path: Path) -> Recording:
    """A recording. Raises TargetError where it cannot be read, or is none."""
    try:
        return events.read(path)
    except FileNotFoundError:
        hint = "`baitbox check --keep DIR` keeps recordings, `baitbox store export RUN` writes a stored run's"
        raise TargetError(f"there is no recording {path}", hint) from None
    except OSError as error:
        raise TargetError(f"the recording {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TargetError(f"{path} is not a recording: {error}") from None


def sheets_for(recorded: Sequence[Named], folders: Sequence[Path]) -> Profiles:
    """The profiles for some recordings. Raises UsageError where they are of different ecosystems."""
    ecosystems = {recording.header.ecosystem for _, recording in recorded}
    if len(ecosystems) != 1:
        raise UsageError("recordings of npm and of PyPI packages have nothing in common", "give one ecosystem's only")
    return profiles.load([profiles.profile_folder(), *folders], ecosystems.pop())


def require_alike(before: Sequence[Named], after: Sequence[Named]) -> None:
    """Raise UsageError where one side is of several packages that ran together, and the other of one."""
    batches = [name for name, recording in (*before, *after) if recording.header.members]
    if batches and len(batches) < len(before) + len(after):
        raise UsageError(
            f"{batches[0]} is of several packages that ran together, and the other side is of one",
            "compare it with another scan's; or record the package alone: `baitbox check --keep DIR TARGET`",
        )


def require_alone(recorded: Sequence[Named]) -> None:
    """Raise UsageError for a recording of several packages that ran together: not all in it is surely one's doing."""
    for name, recording in recorded:
        if recording.header.members:
            raise UsageError(
                f"{name} is of several packages that ran together, from which no profile can be learned",
                "run each package alone: `baitbox learn TARGET`",
            )


def write(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write sheets by their ids into a folder for `--profile`. Raises UsageError where one is there, or cannot be
    written."""
    paths = {name: folder / f"{name}.yaml" for name in files}
    for path in paths.values():
        if path.exists():
            raise UsageError(f"{path} is there already", "give another folder: a reviewed profile is never replaced")
    for name, path in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(files[name])
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return list(paths.values())
