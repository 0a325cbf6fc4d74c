"""A real headless Chromium, and pages of the HTML report for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import events, report
from sandbox.reporters import html
from tests.hostile_report import hostile_recording, hostile_report, large_recording
from tests.html_samples import STOLEN, page_of, story
from tests.test_reporters import finding

DESKTOP, PHONE = (1280, 900), (360, 740)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.browser import browser

    with browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def browser(chromium: Any) -> Any:
    """At a desk, with a light system."""
    chromium.size(*DESKTOP)
    chromium.media()
    return chromium


def written(folder: Path, text: str) -> Path:
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


@pytest.fixture(scope="module")
def stolen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thief's page."""
    (line,) = [line for line, event in enumerate(story().events, 2) if isinstance(event, events.RequestSent)]
    evidence = report.Evidence(at=story().events[line - 2].at, phase="install", process=3, text="POST", line=line)
    found = finding(decoys=("npm_token",), ways_out=STOLEN.ways_out, evidence=(evidence,))
    page = page_of(story().recording(), findings=(found,))
    return written(tmp_path_factory.mktemp("stolen"), page)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a hundred thousand events."""
    return written(tmp_path_factory.mktemp("large"), page_of(large_recording(100_000)))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single package's page, hostile in every field."""
    text = html.page(hostile_report("x"), {"x": hostile_recording()})
    return written(tmp_path_factory.mktemp("hostile"), text)


def use_everything(browser: Any) -> None:
    """Open whatever opens and press whatever can be pressed, twice: what is drawn late is then drawn too. Of the many
    buttons that lead to an event, some."""
    for _ in range(2):
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        browser.settle()
        browser.run("""[...document.querySelectorAll('main button')]
          .filter((one, place) => !one.classList.contains('jump') || place % 40 === 0).forEach((one) => one.click())""")
        browser.settle()
    browser.run("""
      const press = (selector, keys) => document.querySelectorAll(selector).forEach((one) => keys.forEach(
        (key) => one.dispatchEvent(new KeyboardEvent('keydown', {key}))));
      press('.rows', ['Home', 'ArrowDown', 'PageDown', 'End']);
      press('.view', ['ArrowDown', '+', 'n', 'p', 'Enter', '0']);
      for (const control of document.querySelectorAll('select')) {
        for (const option of control.options) {
          control.value = option.value;
          control.dispatchEvent(new Event('change'));
        }
      }
      for (const one of document.querySelectorAll('main *')) {
        for (const kind of ['mouseover', 'focus', 'pointerdown', 'pointerup']) one.dispatchEvent(new MouseEvent(kind));
      }""")
    browser.settle()
