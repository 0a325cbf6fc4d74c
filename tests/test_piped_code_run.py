"""Which of a shell's words are its own flags."""

from __future__ import annotations

import pytest

from sandbox.lineage import Program
from sandbox.rules import piped_code_run


@pytest.mark.parametrize(
    ("words", "interactive"),
    [
        (["-i"], True),
        (["-eo", "pipefail", "-i"], True),
        (["-o", "posix", "+O", "extglob", "-i"], True),
        (["--rcfile", "/tmp/x", "-i"], True),
        (["-", "-i"], True),
        (["script", "-i"], False),
        (["-e", "script", "-version"], False),
        (["-ic", "true"], False),
        (["-eo", "pipefail", "script", "-i"], False),
        ([], False),
    ],
)
def test_a_shell_is_interactive_by_its_own_flags_alone(words: list[str], interactive: bool) -> None:
    program = Program(at=0.0, line=1, exe="/bin/bash", argv=["bash", *words], cwd="/")
    assert piped_code_run._is_interactive(program) is interactive
