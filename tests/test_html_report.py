"""The HTML report as text: nothing hostile is markup, what left is decoded and marked, what is left out is said.

What a browser makes of it is in `pages`.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import events, report
from sandbox.facts import gather
from sandbox.reporters import html
from sandbox.reporters._html_bodies import Decoder
from sandbox.reporters._html_events import Room, Texts, columns
from sandbox.reporters._html_index import trend
from sandbox.reporters._html_markup import data_block, source_hash, tag
from sandbox.reporters._html_recorded import recorded
from tests.hostile_report import filled, hostile_recording, hostile_report, large_recording
from tests.html_samples import STOLEN, TOKEN, Skeleton, data_of, page_of, story
from tests.packages.build import build
from tests.test_reporters import SAMPLES, finding, package, whole

ASSETS = Path(html.__file__).parent / "_assets"


# Markup ---------------------------------------------------------------------------------------------------------


@given(st.text())
def test_text_is_never_markup(value: str) -> None:
    made = tag("p", value, title=value)
    parsed = Skeleton(made)
    assert parsed.elements == [("p", ("title",))]
    assert "".join(parsed.texts).isprintable() and made.isascii()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_data_block_holds_what_was_put_in_and_ends_where_it_should(value: str) -> None:
    block = data_block("x", {"a": [value]})
    parsed = Skeleton(block)
    assert parsed.elements == [("script", ("type", "id"))]
    assert json.loads("".join(parsed.blocks)) == {"a": [value]}
    inside = block.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert inside.isascii() and not set("<>&") & set(inside)


def test_attributes_that_are_not_wanted_are_left_out() -> None:
    assert tag("input", class_="a", open=True, id=None, checked=False) == '<input class="a" open>'


# The page -------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.text())
def test_no_text_changes_the_structure_of_the_page(value: str) -> None:
    def made(text: str) -> list[tuple[str, tuple[str, ...]]]:
        one = package(
            "malicious", target="x" + text, purl="x" + text, digest="x" + text, expected=("x" + text,),
            findings=(finding("x" + text, title="x" + text, package="x" + text),), recordings=("x" + text,),
        )  # fmt: skip
        return Skeleton(html.page(whole(one))).elements

    assert made(value) == made("")


def test_hostile_text_in_every_field_makes_no_element_and_no_attribute() -> None:
    page = html.page(hostile_report("x", count=4), {"x": hostile_recording()})
    parsed = Skeleton(page)
    assert {name for name, _ in parsed.elements} <= {
        "html", "head", "meta", "title", "style", "body", "a", "header", "h1", "h2", "h3", "h4", "button", "noscript",
        "p", "main", "section", "details", "summary", "span", "strong", "dl", "div", "dt", "dd", "code", "article",
        "ol", "ul", "li", "figure", "figcaption", "svg", "rect", "text", "path", "polygon", "table", "caption",
        "thead", "tbody", "tr", "th", "td", "fieldset", "legend", "label", "input", "script", "footer",
    }  # fmt: skip
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on") or name in ("style", "src", "srcdoc")]
    assert all(value.startswith("#") for _, name, value in parsed.attributes if name == "href")
    assert [name for name, _ in parsed.elements].count("script") == 2
    assert page.isascii() and "\x1b" not in page and "\x00" not in page
    assert "\\u202e" in page


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    page = html.page(SAMPLES["several"])
    policy = next(value for _, name, value in Skeleton(page).attributes if name == "content" and "default-src" in value)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert style and script
    assert f"script-src {source_hash(script[1])};" in policy and f"style-src {source_hash(style[1])};" in policy
    assert "default-src 'none'" in policy and "trusted-types 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert page.index("Content-Security-Policy") < page.index("<title>")


def test_the_script_and_style_make_no_markup_and_reach_nothing() -> None:
    style, script = html.sources()
    makes_markup = ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "srcdoc", "</script", "<!--")
    runs_or_reaches = ("eval(", "Function(", "import(", "fetch(", "XMLHttpRequest", "WebSocket", "Storage")
    for word in (*makes_markup, *runs_or_reaches):
        assert word not in script
    for word in ("url(", "@import", "</style"):
        assert word not in style
    assert "http" not in script + style
    assert {path.name for path in ASSETS.iterdir()} == {"report.css", *html._SCRIPTS}


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_is_enough_to_read(dark: bool) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for what is drawn."""
    style, _ = html.sources()
    rule = re.search(r':root\[data-theme="dark"\] \{(.*?)\}' if dark else r":root \{(.*?)\}", style, re.DOTALL)
    assert rule
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", rule[1]))

    def light(name: str) -> float:
        parts = [int(colours[name][place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        low, high = sorted((light(one), light(other)))
        return (high + 0.05) / (low + 0.05)

    for ground in ("ground", "raised", "chosen"):
        for text in ("text", "link", "malicious", "suspicious", "inconclusive", "clean"):
            assert contrast(text, ground) >= 4.5, (text, ground)
        assert contrast("soft", ground) >= 4.5, ground
    assert contrast("mark-text", "mark") >= 4.5
    for lane in ("lane-file", "lane-network", "lane-bait"):
        assert contrast(lane, "band") >= 3 and contrast(lane, "ground") >= 3


def test_both_ways_to_be_dark_are_the_same() -> None:
    style, _ = html.sources()
    system, chosen = (
        re.search(pattern, style, re.DOTALL)
        for pattern in (r':root:not\(\[data-theme="light"\]\) \{\n(.*?)\}', r':root\[data-theme="dark"\] \{(.*?)\}')
    )
    assert system and chosen
    assert re.findall(r"--\S+: \S+;", system[1]) == re.findall(r"--\S+: \S+;", chosen[1])


def test_the_verdict_and_why_come_first_and_everything_is_told() -> None:
    texts = " ".join(Skeleton(page_of(story().recording())).texts)
    order = ["malicious", "It hunts secrets", "What to do:", "Why", "sent ssh bait", "The path of each secret",
             "What was not seen", "Phases: 1 of 2 ran", "Provenance:", "What was recorded, as laptop"]  # fmt: skip
    places = [texts.index(words) for words in order]
    assert places == sorted(places)
    assert "was killed by signal 9" in texts and "x.jsonl" in texts


def test_of_several_packages_there_is_an_index_and_the_worst_come_first() -> None:
    both = whole(package("clean", target="npm:good"), package("malicious", target="npm:bad", findings=(finding(),)))
    parsed = Skeleton(html.page(both))
    names = [value for _, name, value in parsed.attributes if name == "id" and value.startswith("package-")]
    assert [name for name in names if re.fullmatch(r"package-\d", name)] == ["package-1", "package-0"]
    assert ("a", "href", "#package-1") in parsed.attributes
    assert Skeleton(html.page(SAMPLES["none"])).texts


def test_what_the_reader_must_know_of_a_lockfile_is_told() -> None:
    note = report.Note(text="a git entry was not run", file="yarn.lock", line=7)
    origin = report.Origin(file="yarn.lock", line=12, reason="changed", previous="1.0.0", direct=True)
    texts = " ".join(
        Skeleton(html.page(msgspec.structs.replace(whole(package("clean", origins=(origin,))), notes=(note,)))).texts
    )
    assert "yarn.lock:7" in texts and "a git entry was not run" in texts
    assert "yarn.lock:12" in texts and "changed, from 1.0.0; a direct dependency" in texts


def test_a_recording_that_cannot_be_read_is_said() -> None:
    one = package("clean", recordings=("gone.jsonl",))
    assert "The recording gone.jsonl could not be read" in html.page(whole(one), {})
    assert "There is no recording of this package" in html.page(whole(one))
    assert "There is no recording of this package" in html.page(whole(package("clean")), {})


def test_several_personas_each_have_their_recording() -> None:
    one = package("malicious", findings=(STOLEN,), recordings=("a", "b"))
    other = msgspec.structs.replace(story().recording(), header=msgspec.structs.replace(story().header, persona="ci"))
    page = html.page(whole(one), {"a": story().recording(), "b": other})
    assert "What was recorded, as laptop" in page and "What was recorded, as ci" in page
    assert len(Skeleton(page).blocks) == 2
    assert page.count('class="path"') == 1, "the same path in both is told once"


def test_nights_are_drawn_and_told() -> None:
    first, second = "2026-11-24T03:00:00Z", "2026-11-25T03:00:00Z"
    nights = (
        report.Night(ended=first, counts={"clean": 200, "malicious": 1}),
        report.Night(ended=second, counts={"clean": 0}),
    )
    made = trend(nights)
    parsed = Skeleton(made)
    assert ("rect", "class", "bar malicious") in parsed.attributes
    assert [text for text in parsed.texts if text.strip()][-10:-5] == [first, "1", "0", "0", "200"]
    for packages in (SAMPLES["several"].packages, SAMPLES["several"].packages[:1]):  # `--since-last` may leave one
        page = html.page(msgspec.structs.replace(SAMPLES["several"], packages=packages, nights=nights))
        assert "Over the nights" in page
    assert "Over the nights" not in html.page(msgspec.structs.replace(SAMPLES["several"], nights=nights[:1]))


# What was recorded ----------------------------------------------------------------------------------------------


def test_the_request_its_layers_and_the_files_are_in_the_data() -> None:
    data = data_of(page_of(story().recording()))
    (request,) = data["requests"]
    assert request["url"] == "https://c.test/in" and request["tokens"] == ["npm_token: publish token"]
    assert [view.get("encodings", []) for view in request["body"]] == [[], ["base64", "gzip"]]
    assert [TOKEN, "npm_token: publish token"] in request["body"][1]["parts"]
    (file,) = data["files"]
    assert file["path"] == "/tmp/payload.sh" and file["run"] and file["deeds"] == ["made", "mode 0755"]
    assert data["total"] == len(story().events) and data["events"]["left_out"] == {}


def test_columns_hold_every_event_as_it_was() -> None:
    """Unpacked as the page's script does it."""
    recording = story().recording()
    made, texts = columns(recording.events, Room(), frozenset(), Texts())
    place = at = line = 0
    for number, event in enumerate(recording.events):
        kind = made.kind[number]
        at += made.times[number]
        line += made.lines[number]
        assert made.kinds[kind] == event.__struct_config__.tag and line == number + 2
        assert at == round(event.at * 1e6) and texts.all[made.phase[number]] == event.phase
        for name, sort in made.fields[kind]:
            value = made.values[place]
            place += 1
            if name == "path":
                assert sort == "s" and texts.all[int(value)] == event.path
            elif sort == "n":
                assert value == getattr(event, name)
    assert place == len(made.values)


def test_what_there_is_no_room_for_is_counted_the_least_telling_first() -> None:
    recording = large_recording(5000)
    facts = gather(recording)
    room = Room(events=1000)
    data = recorded(facts, (), room, Decoder())
    made = data["events"]
    assert len(made.kind) == 1000 and room.events == 0
    assert sum(made.left_out.values()) == len(recording.events) - 1000
    assert set(made.left_out) == {"file.probed", "file.opened"}
    kept = [made.kinds[kind] for kind in made.kind]
    assert kept.count("process.started") == 300 and kept[-1] == "guest.ended"
    lines = [sum(made.lines[: place + 1]) for place in range(1000)]
    assert len(recording.events) - 1 in lines, "the bait that was opened stays"


def test_texts_are_bounded_too() -> None:
    long = [events.FileOpened(at=1, process=1, path=f"/{number}" + "x" * 3000, access="read") for number in range(3000)]
    room = Room(characters=2_000_000)
    made, texts = columns(long, room, frozenset(), Texts())
    assert len(made.kind) < 1000 and sum(map(len, texts.all)) <= 2_000_000
    assert made.left_out == {"file.opened": 3000 - len(made.kind)}
    assert max(map(len, texts.all)) <= 2000


@pytest.mark.parametrize("events_that_fit", [1000, 4000, 200_000])
def test_of_many_packages_the_worst_keep_their_events(monkeypatch: pytest.MonkeyPatch, events_that_fit: int) -> None:
    monkeypatch.setattr(html, "Room", lambda: Room(events=events_that_fit))
    recordings = {"good": large_recording(3000), "bad": large_recording(3000)}
    both = whole(package("clean", recordings=("good",)), package("malicious", recordings=("bad",)))
    page = html.page(both, recordings)
    blocks = [json.loads(block) for block in Skeleton(page).blocks]
    kept = [len(block["events"]["kind"]) for block in blocks]
    assert kept == {1000: [1000], 4000: [3000, 1000], 200_000: [3000, 3000]}[events_that_fit]
    assert 'id="recording-1-0"' in page
    assert ("Left out for size. By itself it can be shown with: baitbox judge good" in page) == (len(kept) == 1)


def test_a_recording_that_many_packages_share_is_in_the_page_once() -> None:
    """One guest for a whole lockfile: each package's path of secrets is told all the same."""
    thieves = [package("malicious", findings=(STOLEN,), recordings=("x",)), package("clean", recordings=("x",))]
    page = html.page(whole(*thieves, package("suspicious", findings=(STOLEN,), recordings=("x",))), {
        "x": story().recording()
    })  # fmt: skip
    assert len(Skeleton(page).blocks) == 1
    assert page.count("the recording stands at ") == 2 and page.count('href="#package-0"') == 3
    assert page.count('class="path"') == 2


@pytest.mark.parametrize("number", [-(10**40), -1, 2**53 + 1, 10**40])
def test_no_number_is_too_much_for_the_script(number: int) -> None:
    """A recording that somebody wrote by hand."""
    texts = itertools.cycle(["x"])
    found: list[Any] = []
    for kind in get_args(events.AnyEvent):
        event = filled(kind, texts, number)
        found.append(msgspec.structs.replace(event, at=max(-1e308, min(1e308, float(number)))))
    header = events.Header(package="x")
    page = page_of(events.Recording(header, found))

    def every(value: Any) -> Iterator[Any]:
        if isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                yield from every(one)
        else:
            yield value

    numbers = [value for value in every(data_of(page)) if isinstance(value, int | float)]
    assert len(numbers) > 100 and max(map(abs, numbers)) <= 2**53


def test_the_same_report_and_recording_are_the_same_page() -> None:
    assert page_of(story().recording()) == page_of(story().recording())


def test_the_page_of_a_hundred_thousand_events_is_of_reasonable_size() -> None:
    page = page_of(large_recording(100_000))
    assert len(page) < 12_000_000
    assert len(data_of(page)["events"]["kind"]) == pytest.approx(100_000, abs=5)


@pytest.mark.native
def test_a_check_writes_the_page_and_keeps_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    archive = build("npm-postinstall", tmp_path)
    out = tmp_path / "report.html"
    command = [sys.executable, "-m", "sandbox", "check", str(archive), "--format", "html", "--output", str(out)]
    done = subprocess.run(command, env={**os.environ, "TMPDIR": str(folder)}, cwd=tmp_path, check=False)
    assert done.returncode == 11
    page = out.read_text("utf-8")
    data = data_of(page)
    sent_bait = [request for request in data["requests"] if request["tokens"] and not request["everyday"]]
    assert sent_bait and any(bait for view in sent_bait[0]["body"] for _, bait in view["parts"])
    assert 'class="flow lying"' in page and str(folder) not in page
    assert list(folder.iterdir()) == []
