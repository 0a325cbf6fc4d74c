"""The HTML report as it is seen and reached: by day and night, on a phone, on paper, by keyboard and ear."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.pages.conftest import PHONE, use_everything
from tests.test_reporters import COVERAGE

pytestmark = [
    pytest.mark.browser,
    # The client's own: it leaves sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


# Looks ----------------------------------------------------------------------------------------------------------


def ground(browser: Any) -> str:
    return str(browser.run("return getComputedStyle(document.body).backgroundColor"))


def test_it_is_dark_as_the_system_is_or_as_the_reader_says(browser: Any, stolen: Path) -> None:
    browser.open(stolen)
    light = ground(browser)
    browser.media(dark=True)
    dark = ground(browser)
    assert light == "rgb(255, 255, 255)" and dark == "rgb(20, 23, 27)"
    theme = browser.one("#theme")
    theme.click()
    assert (theme.text, ground(browser)) == ("Theme: light", light)
    theme.click()
    assert (theme.text, ground(browser)) == ("Theme: dark", dark)
    browser.media()
    assert ground(browser) == dark
    theme.click()
    assert (theme.text, ground(browser)) == ("Theme: as the system", light)


@pytest.mark.parametrize("which", ["stolen", "hostile"])
def test_on_a_phone_nothing_stands_out_at_the_side(browser: Any, which: str, request: pytest.FixtureRequest) -> None:
    browser.size(*PHONE, mobile=True)
    browser.open(request.getfixturevalue(which))
    use_everything(browser)
    wide = browser.run("""
      const width = document.documentElement.clientWidth;
      const within = '.scroll, pre, .row, .skip, .hidden, svg, .space';
      const beyond = [...document.querySelectorAll('body *')].filter(
        (one) => one.getBoundingClientRect().right > width + 1 && !one.closest(within));
      return [document.documentElement.scrollWidth, width, beyond.slice(0, 5).map((one) => one.outerHTML)];
      """)
    assert wide[0] <= wide[1] and wide[2] == []
    assert browser.all("svg.standing")[0].is_displayed() and not browser.all("svg.lying")[0].is_displayed()


def test_on_paper_what_is_folded_is_open_and_controls_are_gone(browser: Any, stolen: Path) -> None:
    browser.open(stolen)
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    browser.media(print_=True)
    assert not browser.all("details:not([open]):not(.tree details)")
    assert not any(one.is_displayed() for one in browser.all("button:not([data-sort]), select, input"))
    assert browser.one(".path").is_displayed() and browser.all("table")[0].is_displayed()
    browser.run("window.dispatchEvent(new Event('afterprint'))")
    paper = base64.b64decode(browser.command("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF-") and len(paper) > 20_000


def test_without_script_the_verdict_and_why_are_there(browser: Any, stolen: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(stolen)
        text = browser.one("body").text
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
    wanted = ("MALICIOUS", "sent ssh bait", "The path of each secret", "need JavaScript", COVERAGE.not_exercised[0])
    for words in wanted:
        assert words in text
    assert not browser.all(".needs-script")[0].is_displayed()


# Everybody ------------------------------------------------------------------------------------------------------

_CONTROLS = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "spinbutton", "application", "grid",
             "DisclosureTriangle", "region", "toolbar"}  # fmt: skip


def accessible(browser: Any) -> list[tuple[str, str, bool]]:
    """Role, name, and whether it takes focus, of everything that a screen reader meets."""
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    found = []
    for node in nodes:
        if not node.get("ignored"):
            focusable = any(one["name"] == "focusable" and one["value"]["value"] for one in node.get("properties", []))
            name = str(node.get("name", {}).get("value", ""))
            found.append((str(node.get("role", {}).get("value", "")), name, focusable))
    return found


def test_every_control_has_a_name_and_every_part_a_place(browser: Any, stolen: Path) -> None:
    browser.open(stolen)
    use_everything(browser)
    nodes = accessible(browser)
    nameless = [node for node in nodes if (node[0] in _CONTROLS or node[2]) and not node[1].strip()
                and node[0] not in ("RootWebArea", "main")]  # fmt: skip
    assert nameless == []
    roles = {role for role, _, _ in nodes}
    assert {"banner", "main", "contentinfo", "heading", "application", "grid", "table"} <= roles
    assert browser.run("return document.documentElement.lang") == "en"
    levels = [int(one.tag_name[1]) for one in browser.all("h1, h2, h3, h4, h5")]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in pairwise(levels))
    ids = browser.run("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby"):
        pointed = browser.run("return [...document.querySelectorAll(`[${arguments[0]}]`)].map("
                              "(one) => one.getAttribute(arguments[0]))", name)  # fmt: skip
        assert pointed and set(pointed) <= set(ids)


def test_everything_is_reached_by_the_tab_key(browser: Any, stolen: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(stolen)
    wanted = browser.run("""
      const stops = document.querySelectorAll('a[href], button, summary, input, select, [tabindex="0"]');
      return [...stops].filter((one) => one.checkVisibility() && !one.disabled).length""")
    seen = []
    body = browser.one("body")
    for _ in range(wanted + 2):
        (browser.driver.switch_to.active_element or body).send_keys(Keys.TAB)
        seen.append(browser.run("""
          const one = document.activeElement;
          one.__seen = one.__seen || Math.random();
          return [one.__seen, one.localName, getComputedStyle(one).outlineStyle];"""))
        if seen[-1][1] == "body":
            break
    reached = {mark for mark, name, _ in seen if name != "body"}
    assert len(reached) == wanted
    assert seen[0][1] == "a", "the way past the head comes first"
    assert all(outline != "none" for _, name, outline in seen if name != "body")
