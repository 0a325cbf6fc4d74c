"""Which requests can carry data: their addresses and headers are the sender's own words."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import discovery, profiles
from sandbox.events import ConnectionOpened, DataSent, NameLookedUp, Recording, RequestSent, TlsEnded
from sandbox.judge import judge
from sandbox.rules import Rule
from tests.recording import HOME, NPM, Story

AGENT = [("Host", "api.test"), ("User-Agent", "python-requests/2.32.3"), ("Accept-Encoding", "gzip, deflate"),
         ("Accept", "*/*"), ("Connection", "keep-alive")]  # fmt: skip
LOOT = "38fe624cb750329effc45d9226bd9070720fecfb9be68b628debf952751e1140"
RULES: dict[str, Rule] = discovery.load("rules", "RULE")
SHEETS = profiles.load([profiles.profile_folder()], "npm")


def told(
    url: str = "https://api.test/v1/latest.json", headers: list[tuple[str, str]] | None = None, *, times: int = 1,
    host: str = "api.test", sni: str = "", **more: Any,
) -> bool:  # fmt: skip
    """Whether a package that read a secret and then asked for this is said to have sent it."""
    story = Story()
    script = story.script(story.begin("install", "install", NPM))
    story.read(script, f"{HOME}/.aws/credentials")
    if host:
        story.add(NameLookedUp, process=script, name=host, kind="A", answer="198.18.0.9")
    story.add(
        ConnectionOpened, process=script, protocol="tcp", address="198.18.0.9", port=443, host=host, connection=1
    )
    story.add(TlsEnded, connection=1, host=sni or host)
    sent = {"method": "GET", "url": url, "headers": AGENT if headers is None else headers, **more}
    for _ in range(times):
        story.add(RequestSent, process=script, connection=1, **sent)
    return _is_theft(story.recording())


def _is_theft(recording: Recording) -> bool:
    found = judge(recording, SHEETS, RULES).findings
    return any(finding.rule == "decoy_read_then_egress" for finding in found)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.test/", "https://api.test/simple/six/", "https://api.test/repos/thing/tool/releases/latest",
        "https://api.test/v1beta2/x86_64-unknown-linux-gnu/tool-1.22.10.tar.gz", "https://api.test/check?v=1.2.3&os=linux",
        "https://api.test/getLatestVersion?name=some-package",
    ],
)  # fmt: skip
def test_a_plain_question_tells_nothing(url: str) -> None:
    assert not told(url)
    assert not told(url, method="HEAD")


@pytest.mark.parametrize(
    "agent", ["node", "axios/1.7.9", "got (https://github.com/sindresorhus/got)", "Python-urllib/3.11",
              "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"],
)  # fmt: skip
def test_everyday_agents_tell_nothing(agent: str) -> None:
    assert not told(headers=[("host", "api.test"), ("user-agent", agent), ("accept-language", "*")])


@pytest.mark.parametrize(
    "url",
    [
        f"https://api.test/{LOOT}", f"https://api.test/?d={LOOT[:16]}", f"https://api.test/x#{'y' * 5}/../{LOOT}",
        "https://api.test/?d=aGVsbG8", "https://api.test/c2VjcmV0LWtleQ==", "https://api.test/?t=1699999999",
        "https://api.test/38/fe/62/4c/b7/50/32/9e/ff/c4/5d", "https://api.test/%38%fe%62",
        "https://api.test/a?" + "w-" * 60,
        "https://u:p@api.test/", "https://api.test:8443/", "https://other.test/", f"https://api.test/?k={LOOT[:8]}",
        "https://api.test/wordsfghjklmnpqrst", "http://[api.test/",
    ],
)  # fmt: skip
def test_an_address_that_tells_something(url: str) -> None:
    assert told(url)


@pytest.mark.parametrize(
    "header",
    [
        ("Cookie", "a=b"), ("Authorization", "Basic x"), ("X-Request", "1"), ("User-Agent", f"pip/24.0 {LOOT}"),
        ("Accept", "a" * 200), ("HoSt", "api.test"), ("Host", "other.test"), ("Content-Length", "7"),
        ("Accept-Language", "de;q=0.38, fr;q=0.62, x;q=0.c750b, y;q=0.a29ef, z;q=0.9c45d"),
    ],
)  # fmt: skip
def test_a_header_that_tells_something(header: tuple[str, str]) -> None:
    assert told(headers=[header])
    assert told(headers=[*AGENT, header])


def test_other_ways_to_tell_something_by_a_request() -> None:
    assert told(method="POST")
    assert told(method="PATCH")
    assert told(body=b"x", body_size=1)
    assert told(status=0)
    assert told(host="")
    assert told(sni="other.test")
    assert told(times=8)
    assert not told(times=7)
    assert told(headers=[*AGENT, AGENT[0]])


def test_a_registry_is_told_only_what_is_more_than_a_question() -> None:
    where: dict[str, Any] = {"host": "registry.test", "answered_by": "registry"}
    agent = ("user-agent", "latest-version/9 node/v22.12.0 linux x64")
    plain = [("host", "registry.test"), agent, ("pacote-version", "1.2")]
    assert not told("https://registry.test/thing", plain, **where)
    assert not told(f"https://registry.test/packages/a0/f4/{LOOT}/x-1.whl", [agent], **where)
    assert told(f"https://registry.test/thing?d={LOOT}", [agent], **where)
    assert told("https://registry.test/thing", [("user-agent", f"npm/10 {LOOT}")], **where)
    assert told("https://registry.test/thing", [agent, ("x-more", LOOT)], **where)
    assert told(f"https://registry.test/{LOOT}", [agent], host="registry.test", answered_by="empty")


def test_bytes_beside_a_plain_question() -> None:
    story = Story()
    script = story.script(story.begin("install", "install", NPM))
    story.read(script, f"{HOME}/.aws/credentials")
    story.add(
        ConnectionOpened, process=script, protocol="tcp", address="198.18.0.9", port=443, host="api.test", connection=1
    )
    story.add(RequestSent, process=script, connection=1, method="GET", url="https://api.test/", headers=AGENT)
    story.add(DataSent, process=script, connection=1, data=b"x", size=1)
    assert _is_theft(story.recording())


WORDS = ["maple", "river", "stone", "cloud", "amber", "field", "north", "ocean"]


@pytest.mark.parametrize(
    ("names", "theft"),
    [
        ([f"{word}.table.test" for word in WORDS], True),
        ([f"{word}.table.test" for word in WORDS[1:]], False),
        (["maple.table.test"] * 20, False),  # nothing new after the first
        ([f"www.{word}.test" for word in WORDS], False),
    ],
)
def test_many_names_of_words_below_one_tell_something(names: list[str], theft: bool) -> None:
    story = Story()
    script = story.script(story.begin("install", "install", NPM))
    story.read(script, f"{HOME}/.aws/credentials")
    for name in names:
        story.add(NameLookedUp, process=script, name=name, kind="A", answer="198.18.0.9")
    assert _is_theft(story.recording()) is theft
