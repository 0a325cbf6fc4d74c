"""What a phase printed about its failure, in one line."""

from __future__ import annotations

import pytest

from sandbox import events
from sandbox.events import NOT_LOADED, PlannedPhase
from sandbox.facts import gather
from sandbox.judge import judge
from sandbox.printed import told
from sandbox.rules import Rule
from tests.recording import NPM, Story
from tests.test_judge import PROFILES

NPM_SAID = """\
npm warn deprecated inflight@1.0.6: This module is not supported
../src/a.cc:15:77: error: 'SourceLocation' does not name a type
npm error code 1
npm error path /home/dev/project/node_modules/thing
npm error command failed
npm error command sh -c node-gyp rebuild
npm error A complete log of this run can be found in: /home/dev/.npm/_logs/x.log
"""
NPM_ASKED = """\
npm error code ETARGET
npm error notarget No matching version found for left-pad@9.
"""
PIP_SAID = """\
  error: subprocess-exited-with-error
  \u00d7 Building wheel for thing did not run successfully.
error: subprocess-exited-with-error
ERROR: Failed building wheel for thing
ERROR: Could not build wheels for thing
"""
NODE_SAID = """\
(node:7) ExperimentalWarning: something
(Use `node --trace-warnings ...` to show where the warning was created)
Error: Cannot find module 'vue'
Require stack:
- /home/dev/project/node_modules/thing/index.js
"""
PYTHON_SAID = """\
x.py:1: DeprecationWarning: something
Traceback (most recent call last):
  File "<string>", line 1, in <module>
ModuleNotFoundError: No module named 'flask'
"""


def story(kind: str, text: bytes, stream: str = "stderr", code: int = 1) -> events.Recording:
    planned = PlannedPhase("it", kind)
    made = Story(phases=[PlannedPhase("install", "install"), planned] if kind == "import" else [planned])
    if kind == "import":
        made.end(made.begin("install", "install", NPM))
    root = made.begin("it", kind, NPM)
    made.end(root, code=code)
    made.add(events.OutputWritten, process=root, stream=stream, data=text, size=len(text))
    return made.whole()


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("install", NPM_SAID, "command sh -c node-gyp rebuild"),
        ("install", NPM_ASKED, "No matching version found for left-pad@9."),
        ("install", PIP_SAID, "Failed building wheel for thing"),
        ("install", "make: nothing to be done\n", ""),
        ("install", "", ""),
        ("import", NODE_SAID, "Error: Cannot find module 'vue'"),
        ("import", PYTHON_SAID, "ModuleNotFoundError: No module named 'flask'"),
        ("import", "", ""),
    ],
)
def test_the_telling_line(kind: str, text: str, said: str) -> None:
    assert told(gather(story(kind, text.encode())), "it") == said


def test_what_was_printed_elsewhere_does_not_count() -> None:
    assert told(gather(story("install", NPM_SAID.encode(), stream="stdout")), "it") == ""
    assert told(gather(story("install", NPM_SAID.encode())), "another phase") == ""


def test_a_hostile_line_is_short_and_shows_what_is_invisible() -> None:
    line = told(gather(story("install", b"npm error \x1b[2J\xff\xe2\x80\xae" + b"x" * 10_000)), "it")
    assert line.isprintable()
    assert len(line) < 200


def test_it_stands_beside_the_reason_and_changes_no_verdict(never: dict[str, Rule]) -> None:
    report = judge(story("install", NPM_ASKED.encode()), PROFILES["npm"], never)
    assert report.verdict == "inconclusive"
    assert report.coverage.missing[0] == (
        "the phase it exited with 1; it printed: No matching version found for left-pad@9."
    )
    raised = judge(story("import", NODE_SAID.encode(), code=NOT_LOADED), PROFILES["npm"], never)
    assert raised.coverage.missing == (
        "the phase it raised, and was not loaded; it printed: Error: Cannot find module 'vue'",
    )
    fine = judge(story("install", NPM_ASKED.encode(), code=0), PROFILES["npm"], never)
    assert (fine.verdict, fine.coverage.missing) == ("clean", ())


@pytest.fixture
def never() -> dict[str, Rule]:
    """A rule that finds nothing: without any, no verdict is clean."""
    return {"never": Rule(title="x", severity="low", confidence="low", verdict="suspicious", attack=("T1",),
                          check=lambda _: ())}  # fmt: skip
