"""What nobody looks at becomes a line of the report."""

from __future__ import annotations

from sandbox.left_open import line
from sandbox.report import Note


def test_notes_say_where_they_stand_where_that_is_not_the_lines_own_name() -> None:
    notes = [
        Note(file="uv.lock", line=0, text="no wheels"),
        Note(file="uv.lock", line=7, text="a git source"),
        Note(file="a/more.txt", line=3, text="no version"),
    ]
    found = line("uv.lock", notes, reason="new")
    assert found.verdict == "inconclusive"
    assert found.coverage.missing == ("no wheels", "line 7: a git source", "a/more.txt, line 3: no version")
    assert [(one.file, one.line, one.reason) for one in found.origins] == [("uv.lock", 0, "new")]


def test_a_lockfile_that_cannot_be_read_says_so_first() -> None:
    found = line("uv.lock", [Note(file="uv.lock", line=2, text="cut short")], problem="not TOML")
    assert found.coverage.missing[0] == "not checked: the lockfile cannot be read: not TOML"
    assert found.coverage.missing[1] == "line 2: cut short"
    assert found.origins[0].line == 2
