"""The HTML report in a real headless Chromium: nothing hostile runs, everything can be used, much is not slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandbox import events, report
from sandbox.reporters import html
from tests.hostile_report import hostile_recording, hostile_report, large_recording
from tests.html_samples import page_of, story
from tests.pages.conftest import PHONE, use_everything, written
from tests.test_reporters import finding, package, whole

pytestmark = [
    pytest.mark.browser,
    # The client's own: it leaves sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


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
    counts: list[dict[str, int]] = [{"clean": 29}, {"clean": 28, "malicious": 1, "suspicious": 1}]
    nights = tuple(report.Night(ended=f"2026-11-2{day}T03:00:00Z", counts=one) for day, one in enumerate(counts))
    night = msgspec.structs.replace(whole(*packages), nights=nights)
    page = written(tmp_path, html.page(night, {"x": story().recording()}))
    browser.open(page)
    assert len(browser.all("svg.trend rect")) == 4

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
