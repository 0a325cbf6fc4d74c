"""Noise: well-shaped tokens become placeholders; hosts, bait and everything that is not plainly noise stay."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.events import Header, PlantedFile
from sandbox.noise import PLACEHOLDERS, Quiet, local_port

HASH = "9f86d081884c7d659a2feaa0c55ad015"
BAITED = f"/home/dev/.config/thing/{HASH}/token"
HEADER = Header(package="thing", version="2.3.0", planted=[PlantedFile("vault", BAITED)])
QUIET = Quiet(HEADER)

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
HOSTS = st.one_of(
    st.lists(LABELS, min_size=2, max_size=4).map(".".join),
    st.integers(0, 2**32 - 1).map(lambda number: ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))),
    st.from_regex(r"[0-9a-f]{8,40}\.test", fullmatch=True),
    st.from_regex(r"v?[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}\.test", fullmatch=True),
)
PIECES = st.sampled_from([
    "/", "-", ".", "_", "@", "=", "<", ">", "v", "tmp", "pid-", "/proc/", "/tmp/", "/task/", "2.3.0", "1.2.3", "4.5",
    "1.2.3.4", HASH, "deadbeef", "DEADBEEF01", "Ab12Cd", "12345", "cc", ".json.", "x", "_cacache/index-v5/ab/cd/",
    "550e8400-e29b-41d4-a716-446655440000", "2026-11-25T13_24_44_123Z", "-rc.1", "<hash>", "~", "pip-install-",
])  # fmt: skip
NOISY = st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=14).map("".join)
VERBS = st.sampled_from(["read", "write", "change", "run", "survive", "connect", "request", "lookup", "bind", "send"])


@pytest.mark.parametrize(
    ("path", "quiet"),
    [
        (f"/home/dev/.cache/thing/{HASH}.json", "~/.cache/thing/<hash>.json"),
        (f"/home/dev/.npm/_cacache/index-v5/ab/cd/{HASH}", "~/.npm/_cacache/index-v5/<hash>/<hash>/<hash>"),
        ("/home/dev/project/.git/objects/ab/" + HASH + "000000", "./.git/objects/<hash>/<hash>"),
        ("/home/dev/.npm/_logs/2026-11-25T13_24_44_123Z-debug-0.log", "~/.npm/_logs/<time>-debug-0.log"),
        ("/tmp/550e8400-e29b-41d4-a716-446655440000/x", "/tmp/<uuid>/x"),
        ("/tmp/tmpab12_d9x/setup.py", "/tmp/tmp<temp>/setup.py"),
        ("/tmp/pip-build-env-qwertyui/overlay", "/tmp/pip-build-env-<temp>/overlay"),
        ("/tmp/thing-Ab12Cd/run", "/tmp/thing-<temp>/run"),
        ("/tmp/ccAbcdef.s", "/tmp/cc<temp>.s"),
        ("/dev/shm/sem.mp-a1b2c3d4", "/dev/shm/sem.mp-<temp>"),
        ("/proc/4711/environ", "/proc/<pid>/environ"),
        ("/tmp/worker-4711.sock", "/tmp/worker-<pid>.sock"),
        ("/home/dev/project/package-lock.json.123456", "./package-lock.json.<temp>"),
        ("/home/dev/project/node_modules/x/x-v2.3.0-linux.node", "./node_modules/x/x-v<version>-linux.node"),
        ("/home/dev/.cache/thing/1.22.333-beta.4/x", "~/.cache/thing/<version>/x"),
        ("/home/dev/.config/hatch/tmp99bf3i2l", "~/.config/hatch/tmp<temp>"),
        ("/home/dev/.local/share/uv/.tmpCBoHub", "~/.local/share/uv/.tmp<temp>"),
        ("/home/dev/project", "."),
        ("/home/dev", "~"),
    ],
)  # fmt: skip
def test_noise_in_a_path_has_a_placeholder(path: str, quiet: str) -> None:
    assert QUIET.path(path) == quiet


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/python3.11", "/usr/lib/x86_64-linux-gnu/libssl.so.3", "/etc/passwd", "/tmp/build-helpers/x",
        "/opt/203.0.113.9/x", "/srv/deadbeef/x", "/srv/facade/x", "/srv/a1b2c3d/x", "/home/other/file",
        "/srv/x9f86d081884c7d65/y", "/home/dev2/x", "/dev/tcp/9f86d081884c/443", "/tmp/tmpfile",
        "/srv/tmpdirectory/x", "/srv/xtmp99bf3i2l", "/srv/pid4711/x",
        "/srv/" + "ab" * 65 + "/x", "/proc/self/environ",
    ],
)  # fmt: skip
def test_what_is_not_plainly_noise_stays(path: str) -> None:
    assert QUIET.path(path) == path


def test_the_names_of_two_secrets_are_never_one() -> None:
    other = BAITED.replace("9f86", "9f87")
    assert QUIET.subject("read", BAITED, "vault") == f"~/.config/thing/{HASH}/token"
    assert QUIET.subject("read", BAITED) == f"~/.config/thing/{HASH}/token"
    assert QUIET.subject("read", other) == "~/.config/thing/<hash>/token"
    assert QUIET.subject("read", other, "vault") == other.replace("/home/dev", "~")


@pytest.mark.parametrize(
    ("verb", "subject", "quiet"),
    [
        ("connect", "127.0.0.1:43211", "127.0.0.1:<port>"),
        ("connect", "[::1]:43211", "[::1]:<port>"),
        ("bind", "0.0.0.0:60000", "0.0.0.0:<port>"),
        ("connect", "127.0.0.1:8080", "127.0.0.1:8080"),
        ("connect", "203.0.113.9:43211", "203.0.113.9:43211"),
        ("connect", f"{HASH}.test:43211", f"{HASH}.test:43211"),
        ("connect", "unix:/tmp/x-Ab12Cd/s", "unix:/tmp/x-<temp>/s"),
        ("lookup", f"{HASH}.collector.test", f"{HASH}.collector.test"),
        ("send", f"aws dns {HASH}.collector.test", f"aws dns {HASH}.collector.test"),
        ("syscall", "socket packet 12345678", "socket packet 12345678"),
        ("request", f"https://{HASH}.test/v2.3.0/{HASH}?k={HASH}", f"https://{HASH}.test/v<version>/<hash>?k=<hash>"),
        ("request", f"https://x.test/go?to=https://{HASH}.test/", f"https://x.test/go?to=https://{HASH}.test/"),
        ("request", f"https://x.test/go?to=http%3A%2F%2F{HASH}.test", f"https://x.test/go?to=http%3A%2F%2F{HASH}.test"),
        ("request", "http://127.0.0.1:43211/x", "http://127.0.0.1:<port>/x"),
        ("request", "nonsense", "nonsense"),
    ],
)
def test_places_are_left_alone(verb: str, subject: str, quiet: str) -> None:
    assert QUIET.subject(verb, subject) == quiet


@pytest.mark.parametrize(
    ("line", "quiet"),
    [
        ("-c /home/dev/project/x/a.js", "-c ./x/a.js"),
        (f"--out=/tmp/x-Ab12Cd/y {HASH}", f"--out=/tmp/x-<temp>/y {HASH}"),
        (f"-s https://{HASH}.test/x", f"-s https://{HASH}.test/x"),
        (f"{HASH}.test 443", f"{HASH}.test 443"),
        ("3405803785 443", "3405803785 443"),
        (f"-c cat</dev/tcp/{HASH}/443", f"-c cat</dev/tcp/{HASH}/443"),
        (f"/dev/tcp/{HASH}/443", f"/dev/tcp/{HASH}/443"),
        (f"//{HASH}/share", f"//{HASH}/share"),
        (f"/x/{HASH};id", f"/x/{HASH};id"),
        ("", ""),
    ],
)
def test_only_paths_in_a_command_line_are_touched(line: str, quiet: str) -> None:
    assert QUIET.arguments(line) == quiet


def test_an_own_version_that_says_nothing_is_not_looked_for() -> None:
    for version in ("", "7", "a.b", "1.2.3)|(.*", "1." * 60 + "1"):
        quiet = Quiet(Header(version=version))
        assert quiet.path("/srv/7/a.b/x") == "/srv/7/a.b/x"
    assert Quiet(Header(version="1.2")).path("/srv/1.2/x-v1.2.so") == "/srv/<version>/x-v<version>.so"
    assert Quiet(Header(version="1.2")).path("/srv/11.2/1.2.5.9") == "/srv/11.2/1.2.5.9"


@given(NOISY)
def test_a_quiet_path_is_quiet(text: str) -> None:
    once = QUIET.path("/" + text)
    assert QUIET.path(once) == once


@given(VERBS, NOISY)
def test_a_quiet_subject_is_quiet(verb: str, text: str) -> None:
    once = QUIET.subject(verb, text)
    assert QUIET.subject(verb, once) == once


@given(st.text(max_size=200) | NOISY)
def test_a_quiet_command_line_is_quiet_and_has_as_many_words(line: str) -> None:
    once = QUIET.arguments(line)
    assert QUIET.arguments(once) == once
    assert once.count(" ") == line.count(" ")


@given(HOSTS, HOSTS, st.sampled_from(["/", "/x", f"/{HASH}?a={HASH}", ":8443/1.2.3", ""]))
def test_two_hosts_are_never_one(one: str, other: str, rest: str) -> None:
    for make in (
        lambda host: QUIET.subject("request", f"https://{host}{rest}"),
        lambda host: QUIET.subject("connect", f"{host}:43211"),
        lambda host: QUIET.subject("lookup", host),
        lambda host: QUIET.subject("send", f"aws dns {host}"),
        lambda host: QUIET.arguments(f"-s https://{host}{rest} {host}:80 --to={host} u@{host}:/x >/dev/tcp/{host}/1"),
    ):
        assert (make(one) == make(other)) == (one == other)


@given(NOISY)
def test_what_is_hidden_has_a_shape(text: str) -> None:
    """Whatever is not a placeholder stood in the text, in that order."""
    kept = re.split("|".join(map(re.escape, PLACEHOLDERS)), QUIET.path("/" + text))
    place = 0
    for piece in kept:
        found = ("/" + text).find(piece.removeprefix("~").removeprefix("."), place) if piece else place
        assert found >= 0 or "/home/dev" in text
        place = max(found, place)


@given(st.text(max_size=60))
def test_a_port_is_hidden_of_this_host_only(text: str) -> None:
    if local_port(text) != text:
        assert re.fullmatch(r"(localhost|127\.[0-9.]+|0\.0\.0\.0|\[?[0:]*:[01]?\]?|.*ffff.*):[0-9]{5}", text)


def test_a_long_text_stays_and_costs_little() -> None:
    for text in ("/" + HASH * 400, "/tmp/" + "a-" * 5000, "/" + "1.2.3/" * 2000):
        assert QUIET.path(text) == text
    for text in ("/tmp/" + "a-" * 2000, "/" + "1." * 2000, "/tmp/" + "-" * 4000, "/" + "0" * 4000):
        QUIET.path(text)
