"""The HTML report in a real headless Chromium: nothing hostile runs, everything can be used, much is not slow."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sandbox import events, report
from sandbox.reporters import html
from tests.hostile_report import hostile_recording, hostile_report, large_recording
from tests.html_samples import STOLEN, page_of, story
from tests.test_reporters import COVERAGE, finding, package, whole

pytestmark = [
    pytest.mark.browser,
    # The client's own: it leaves sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
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


def assert_quiet(browser: Any, page: Path) -> None:
    assert not browser.dialog()
    assert browser.run("return window.__pwned") is None
    assert browser.errors() == []
    assert browser.asked() == [page.as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.run("return location.href").startswith(page.as_uri())


# Hostile content ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 4])
def test_no_script_runs_from_what_a_package_controls(browser: Any, tmp_path: Path, count: int) -> None:
    page = written(tmp_path, html.page(hostile_report("x", count=count), {"x": hostile_recording()}))
    browser.open(page)
    use_everything(browser)
    assert browser.all(".recording h4"), "what was recorded was drawn"
    assert_quiet(browser, page)
    found = browser.run("""
      const all = [...document.querySelectorAll('*')];
      return {
        names: [...new Set(all.map((one) => one.localName))],
        handlers: all.filter((one) => [...one.attributes].some(({name}) => /^on|^srcdoc$/.test(name))).length,
        links: all.filter((one) => one.hasAttribute('href') && !one.getAttribute('href').startsWith('#')).length,
        scripts: [...document.scripts].filter((one) => one.type !== 'application/json').length,
        text: document.body.innerText,
      };""")
    assert not set(found["names"]) & {"img", "iframe", "link", "base", "form", "object", "embed", "video", "use"}
    assert (found["handlers"], found["links"], found["scripts"]) == (0, 0, 1)
    assert "<script>window.__pwned=1</script>" in found["text"]
    assert "\u202e" not in found["text"] and "\\u202e" in found["text"]


def test_markup_that_got_in_all_the_same_would_not_run(browser: Any, stolen: Path, tmp_path: Path) -> None:
    """The second line of defence; and that the test above would see it if the first failed."""
    markup = "<script>window.__pwned=1</script><img src=http://collector.test/x onerror=window.__pwned=2>"
    text = stolen.read_text("utf-8").replace("<main", f"{markup}<main")
    page = written(tmp_path, text)
    browser.open(page)
    browser.settle()
    assert browser.run("return window.__pwned") is None
    errors = browser.errors()
    assert {"script-src-elem", "img-src"} <= {error.split(" ")[0] for error in errors}
    assert not [address for address in browser.asked() if "collector" in address]
    refused = browser.run("try { document.body.innerHTML = '<b>x</b>'; return 'done'; } catch (e) { return e.name; }")
    assert refused == "TypeError"
    bare = written(tmp_path, text.replace("Content-Security-Policy", "x"))
    browser.open(bare)
    browser.settle()
    assert browser.run("return window.__pwned") in (1, 2), "without the policy it would have"
    assert [address for address in browser.asked() if "collector" in address]
    browser.errors()


# Using it -------------------------------------------------------------------------------------------------------


def test_requests_show_their_layers_and_the_bait_in_them(browser: Any, stolen: Path) -> None:
    browser.open(stolen)
    (mark,) = browser.all(".requests mark")
    assert mark.text.endswith("npm_" + "A1b2" * 9) and "npm_token: publish token" in mark.text
    captions = [one.text for one in browser.all(".requests .layer figcaption")]
    assert captions == ["As it left", "As it left", "Under base64, then gzip"]
    assert_quiet(browser, stolen)


def test_events_are_filtered_by_kind_phase_process_and_text(browser: Any, stolen: Path) -> None:
    browser.open(stolen)
    total = len(story().events)

    def status() -> str:
        return str(browser.one(".events .count").text)

    def choose(number: int, value: str) -> None:
        browser.run(
            "const one = document.querySelectorAll('.events select')[arguments[0]];"
            "one.value = [...one.options].find((o) => o.text.startsWith(arguments[1])).value;"
            "one.dispatchEvent(new Event('change'));",
            number, value,
        )  # fmt: skip

    assert status() == f"{total} events of {total}"
    choose(0, "request.sent")
    assert status() == f"1 event of {total}"
    assert "https://c.test/in" in browser.one(".events .row .words").text
    choose(0, "bait")
    assert status() == f"2 events of {total}"
    choose(0, "all")
    box = browser.one(".events input[type=search]")
    box.send_keys("PAYLOAD.sh")
    browser.driver.execute_async_script("setTimeout(arguments[0], 400)")
    assert status() == f"4 events of {total}"
    box.clear()
    browser.named("Show all").click()
    number = browser.one(".events input[type=number]")
    number.send_keys("4")
    assert status() == f"{sum(event.process == 4 for event in story().events)} events of {total}"
    browser.named("Show all").click()
    browser.one(".events input[type=checkbox]").click()
    assert status() == f"1 event of {total}"


def test_evidence_leads_to_its_event_and_that_tells_all_of_it(browser: Any, stolen: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(stolen)
    browser.one(".evidence button").click()
    browser.settle()
    detail = browser.one(".events .detail").text
    assert "request.sent" in detail and "https://c.test/in" in detail and "Evidence of: sent ssh bait" in detail
    active = browser.run("return document.activeElement.getAttribute('role')")
    assert active == "grid"
    browser.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert "decoy.sent" in browser.one(".events .detail").text
    browser.driver.switch_to.active_element.send_keys(Keys.HOME)
    assert browser.one(".events .row.active").get_attribute("aria-rowindex") == "1"
    assert browser.one(".rows").get_attribute("aria-activedescendant") == browser.one(".row.active").get_attribute("id")


def test_the_timeline_zooms_and_pans_by_key_button_wheel_and_touch(browser: Any, stolen: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(stolen)
    view = browser.one(".view")

    def span() -> tuple[float, float]:
        words = browser.one(".timeline .status").text.split()
        return float(words[0]), float(words[3])

    view.send_keys("0")
    whole_from, whole_to = span()
    assert whole_from == 0
    view.send_keys("++")
    start, end = span()
    assert end - start == pytest.approx((whole_to - whole_from) / 4, abs=0.002)
    view.send_keys(Keys.ARROW_RIGHT)
    assert span()[0] > start
    view.send_keys(Keys.HOME)
    assert span()[0] == 0
    view.send_keys("-")
    assert span()[1] > end - start
    browser.named("All").click()
    assert span() == (whole_from, whole_to)
    browser.named("Zoom in").click()
    assert span()[1] - span()[0] < whole_to
    view.send_keys("0n")
    assert "Bait 1 of 2" in browser.one(".timeline .status").text and ".npmrc" in browser.one(".timeline .status").text
    view.send_keys("n")
    assert "decoy.sent" in browser.one(".timeline .status").text
    view.send_keys("0" + Keys.ARROW_DOWN)
    assert "Process " in browser.one(".timeline .status").text
    view.send_keys("0")
    top = browser.run("return arguments[0].getBoundingClientRect().top", view) + 60
    browser.command("Input.dispatchMouseEvent", type="mouseWheel", deltaX=0, deltaY=-100, modifiers=2, x=400, y=top)
    browser.settle()
    assert span()[1] - span()[0] < whole_to
    view.send_keys("0")
    browser.size(*PHONE, mobile=True)
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", view)
    top = browser.run("return arguments[0].getBoundingClientRect().top", view) + 60
    browser.command("Input.synthesizePinchGesture", x=180, y=top, scaleFactor=2.0)
    browser.settle()
    assert span()[1] - span()[0] < whole_to


def test_processes_open_and_lead_to_their_events(browser: Any, stolen: Path) -> None:
    browser.open(stolen)
    browser.named("Open all").click()
    browser.settle()
    summaries = [one.text for one in browser.all(".tree summary")]
    assert len(summaries) == 4 and "/usr/bin/node x.js" in summaries[2] and "bait" in summaries[2]
    browser.named("Close all").click()
    assert not browser.all(".tree > ul > li > details[open]")
    browser.named("Open all").click()
    browser.run("document.querySelector('.tree ul ul ul .about > button').click()")
    assert browser.one(".events input[type=number]").get_attribute("value") != ""


def test_an_index_sorts_filters_and_opens(browser: Any, tmp_path: Path) -> None:
    packages = [package("clean", target=f"npm:good-{number}") for number in range(30)]
    packages[7] = package("malicious", target="npm:thief", findings=(finding(),), recordings=("x",))
    packages[9] = package("suspicious", target="npm:odd", findings=(finding(verdict="suspicious"),) * 3)
    page = written(tmp_path, html.page(whole(*packages), {"x": story().recording()}, [("2026-11-24", {"clean": 29})]))
    browser.open(page)

    def names() -> list[str]:
        return [one.text for one in browser.all("table.index tbody tr:not([hidden]) th")]

    assert names()[:2] == ["npm:thief", "npm:odd"] and len(names()) == 30
    browser.one("table.index button[data-sort='1']").click()
    assert names()[0] == "npm:good-0" and names()[-1] == "npm:thief"
    assert browser.one("table.index th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    browser.one("table.index button[data-sort='3']").click()
    browser.one("table.index button[data-sort='3']").click()
    assert names()[0] == "npm:odd"
    browser.one("input[value=clean]").click()
    assert sorted(names()) == ["npm:odd", "npm:thief"]
    browser.one("#index input[type=search]").send_keys("thief")
    assert names() == ["npm:thief"] and browser.one("#index .count").text == "1 of 30 packages"
    assert browser.one("#package-7 > details").get_attribute("open") is not None
    assert browser.one("#package-3 > details").get_attribute("open") is None
    assert browser.all("#package-7 .timeline")
    browser.one("input[value=clean]").click()
    browser.run("document.querySelector('#index input[type=search]').value = ''")
    browser.one("a[href='#package-3']").send_keys("\n") if browser.one("a[href='#package-3']").is_displayed() else None
    browser.run("location.hash = '#package-3'")
    browser.settle()
    assert browser.one("#package-3 > details").get_attribute("open") is not None
    assert_quiet(browser, page)


def test_evidence_leads_to_a_recording_that_another_section_has(browser: Any, tmp_path: Path) -> None:
    (line,) = [line for line, event in enumerate(story().events, 2) if isinstance(event, events.RequestSent)]
    evidence = report.Evidence(at=story().events[line - 2].at, phase="install", process=3, text="POST", line=line)
    thieves = [
        package("malicious", target=name, findings=(finding(title=name, evidence=(evidence,)),), recordings=("x",))
        for name in ("npm:one", "npm:other")
    ]
    browser.open(written(tmp_path, html.page(whole(*thieves), {"x": story().recording()})))
    browser.run("document.querySelector('#package-0 > details').open = false")
    browser.run("document.querySelector('#package-1 .evidence button').click()")
    browser.settle()
    detail = browser.one("#package-0 .events .detail").text
    assert "https://c.test/in" in detail and "npm:one; npm:other" in detail


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


# Much -----------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_events_open_scroll_filter_and_zoom_at_once(browser: Any, large: Path) -> None:
    """In processor time of the page's own thread: this machine may be busy with other things."""
    browser.open(large)
    browser.settle()
    opened = browser.seconds()
    assert opened < 2
    assert browser.one(".events .count").text == "100,000 events of 100,000"
    assert len(browser.all(".row")) < 80

    def cost(act: Any) -> float:
        before = browser.seconds()
        act()
        browser.settle()
        return float(browser.seconds() - before)

    scrolled = cost(lambda: browser.run(
        "const box = document.querySelector('.rows');"
        "for (let n = 0; n <= 20; n += 1) {"
        "  box.scrollTop = box.scrollHeight * n / 20; box.dispatchEvent(new Event('scroll')); }"
    ))  # fmt: skip
    assert scrolled < 1
    assert "guest.ended" in browser.run("return document.querySelector('.rows').textContent")
    searched = cost(lambda: browser.run(
        "const box = document.querySelector('.events input[type=search]'); box.value = 'file-77.js';"
        "box.dispatchEvent(new Event('input')); return new Promise((done) => setTimeout(done, 300));"
    ))  # fmt: skip
    assert searched < 0.5
    assert browser.one(".events .count").text.startswith("12 events")
    view = browser.one(".view")
    zoomed = cost(lambda: [view.send_keys(key) for key in "+++++-n0"])
    assert zoomed < 1
    opening = cost(lambda: browser.named("Open all").click())
    assert opening < 1
    longest = browser.run("""return new Promise((done) => new PerformanceObserver((list) =>
      done(Math.max(...list.getEntries().map((one) => one.duration)))).observe({type: 'longtask', buffered: true}))""")
    print(f"opened {opened:.2f} s, scrolled {scrolled:.2f}, searched {searched:.2f}, zoomed {zoomed:.2f}, "
          f"opening {opening:.2f}; longest task {longest:.0f} ms of wall time")  # fmt: skip


def test_what_was_left_out_for_size_is_said(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.reporters._html_events import Room

    monkeypatch.setattr(html, "Room", lambda: Room(events=2000))
    browser.open(written(tmp_path, page_of(large_recording(5000))))
    said = browser.one(".events .warning").text
    assert said.startswith("3,000 events of 5,000 left out for size") and "file.probed" in said
    assert browser.one(".events .count").text == "2,000 events of 5,000"


def test_a_block_that_is_damaged_is_said(browser: Any, stolen: Path, tmp_path: Path) -> None:
    text = stolen.read_text("utf-8").replace('id="recording-0-0">{', 'id="recording-0-0">{{')
    browser.open(written(tmp_path, text))
    assert "This recording cannot be shown" in browser.one(".recording").text
    assert browser.one(".badge").text.endswith("MALICIOUS")
