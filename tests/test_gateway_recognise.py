"""Bait is found in every encoding that can be undone, split or whole; innocent data is scanned fast and in silence."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import itertools
import json
import lzma
import random
import string
import time
import zipfile
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.bait import Token
from sandbox.gateway.recognise import Match, Recogniser

LETTERS = string.ascii_letters + string.digits
DRAW = random.Random(7)
SECRET = "".join(DRAW.choices(LETTERS + "/+", k=40))
SHORT = "".join(DRAW.choices(LETTERS, k=12))
ODD = "pa:ss~" + "".join(DRAW.choices(LETTERS, k=9)) + "!" + "".join(DRAW.choices(LETTERS, k=9))
JWT = ".".join("".join(DRAW.choices(LETTERS + "-_", k=k)) for k in (36, 90, 43))
PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(
    "".join(DRAW.choices(LETTERS + "+/", k=64)) for _ in range(6)
) + "\n-----END PRIVATE KEY-----\n"  # fmt: skip
TOKENS = [Token("cloud", "secret", SECRET), Token("shell", "short", SHORT), Token("odd", "password", ODD),
          Token("web", "session", JWT), Token("keys", "private key", PEM)]  # fmt: skip


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", data)
    return file.getvalue()


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 for URLs, unpadded": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 in lines": lambda data: base64.encodebytes(data),
    "base64 in CRLF lines": lambda data: base64.encodebytes(data).replace(b"\n", b"\r\n"),
    "hex": lambda data: data.hex().encode(),
    "hex upper": lambda data: data.hex().upper().encode(),
    "hex with colons": lambda data: data.hex(":").encode(),
    "hex with escapes": lambda data: b"".join(b"\\x%02x" % code for code in data),
    "hex as numbers": lambda data: b", ".join(b"0x%02x" % code for code in data),
    "decimal": lambda data: json.dumps(list(data)).encode(),
    "base32": base64.b32encode,
    "base32 lower": lambda data: base64.b32encode(data).lower().rstrip(b"="),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "deflate": raw_deflate,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "reversed": lambda data: data[::-1],
    "url": lambda data: b"".join(b"%%%02X" % code for code in data),
    "url where needed": lambda data: quote(data, safe="").encode(),
    "json": lambda data: json.dumps(data.decode("latin-1")).encode(),
    "unicode": lambda data: b"".join(b"\\u%04x" % code for code in data),
    "html": lambda data: b"".join(b"&#%d;" % code for code in data),
    "utf-16": lambda data: data.decode("latin-1").encode("utf-16-le"),
}


def found(data: bytes, token: str, where: str = "body") -> bool:
    return any(TOKENS[index].value == token for index, _ in Recogniser(TOKENS).scan(data, where).hits)


@pytest.mark.parametrize("token", [SECRET, SHORT, ODD, JWT, PEM], ids=["secret", "short", "odd", "jwt", "pem"])
@pytest.mark.parametrize("name", list(ENCODINGS))
def test_every_encoding_of_every_kind_of_token(name: str, token: str) -> None:
    assert found(ENCODINGS[name](token.encode()), token)
    assert found(ENCODINGS[name](b'{"host":"a","value":"' + token.encode() + b'"}'), token)


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(ENCODINGS, repeat=2)))
def test_every_pair_of_encodings(outer: str, inner: str) -> None:
    assert found(ENCODINGS[outer](ENCODINGS[inner](b"x=" + SECRET.encode())), SECRET)


@settings(max_examples=300, deadline=None)
@given(
    names=st.lists(st.sampled_from(list(ENCODINGS)), min_size=3, max_size=3),
    before=st.binary(max_size=40),
    after=st.binary(max_size=40),
)
def test_any_three_encodings(names: list[str], before: bytes, after: bytes) -> None:
    data = before + b" " + SECRET.encode() + b" " + after
    for name in names:
        data = ENCODINGS[name](data)
    assert found(data, SECRET)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(["body", "header", "url", "dns", "data"]))
def test_never_raises(data: bytes, where: str) -> None:
    recogniser = Recogniser(TOKENS)
    assert recogniser.feed("flow", where, data) == []
    recogniser.feed("flow", where, data[1:])
    recogniser.flush()


@pytest.mark.parametrize("sign", [" ", ".", "-", "\n", ", ", '","', " | "])
def test_letters_with_a_sign_between_any_two(sign: str) -> None:
    for text in (SECRET, SHORT, base64.b64encode(SECRET.encode()).decode()):
        assert found(f"x.y=1 {sign.join(text)} z".encode(), SHORT if text == SHORT else SECRET)
        assert found(sign.join("xy" + text).encode(), SHORT if text == SHORT else SECRET)


BEGINNINGS = [
    b"\x1f\x8b\x08\x1f", b"x\x9c", b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\x00", b"\\u00", b"%4", b"41", b"AAAA", b"&#",
    b"[1,2,", b"0x4,", b"\n \n", b"a.b.c.d.", b"a, b, c, ", b"ab:cd:", b"\x00", b"=", b'"',
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(BEGINNINGS), max_size=200))
def test_never_raises_on_beginnings(pieces: list[bytes]) -> None:
    assert Recogniser(TOKENS).scan(b"".join(pieces)).hits == ()


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("offset", range(4))
def test_base64_at_any_offset(layers: int, offset: int) -> None:
    data = SECRET.encode()
    for _ in range(layers):
        data = b"q" * offset + base64.b64encode(b"z" * offset + data) + b"trail"
    assert found(data, SECRET)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, raw_deflate])
@pytest.mark.parametrize("cut", [1, 5, 9])
def test_truncated_streams(compress: Callable[[bytes], bytes], cut: int) -> None:
    text = SECRET.encode() + b" " + DRAW.randbytes(2000)
    assert found(compress(text)[:-cut], SECRET)
    assert found(base64.b64encode(compress(text)[:-cut]), SECRET)


def test_a_damaged_stream_gives_what_comes_before() -> None:
    data = bytearray(gzip.compress(SECRET.encode() + b" " + DRAW.randbytes(60000)))
    data[-2000:] = bytes(2000)
    assert found(bytes(data), SECRET)


def test_encodings_are_outermost_first_and_plain_has_none() -> None:
    recogniser = Recogniser(TOKENS)
    assert recogniser.feed(1, "body", SECRET.encode()) == [Match(TOKENS[0], "body", ())]
    data = base64.b64encode(gzip.compress(SECRET.encode()))
    assert Match(TOKENS[0], "body", ("base64", "gzip")) in recogniser.feed(1, "body", data)


def test_told_once_for_each_flow_place_and_encoding() -> None:
    recogniser = Recogniser(TOKENS)
    data = b"k=" + SECRET.encode()
    assert len(recogniser.feed(1, "body", data)) == 1
    assert recogniser.feed(1, "body", data + b"&again") == []
    assert len(recogniser.feed(2, "body", data)) == 1
    assert len(recogniser.feed(1, "header", b"X-K: " + SECRET.encode())) == 1


def test_a_key_is_known_by_one_line_and_not_by_its_first_or_last() -> None:
    lines = PEM.splitlines()
    best = max(lines[1:-1], key=lambda line: len(set(line)))
    assert found(b"".join(line.encode() for line in lines), PEM)
    assert found(best.encode(), PEM)
    assert not found(f"{lines[0]}\nMIIB\n{lines[-1]}".encode(), PEM)


def test_multipart_form() -> None:
    part = zipped(SECRET.encode())
    body = (b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.zip"\r\n\r\n' + part + b"\r\n--b--\r\n")
    assert found(body, SECRET)
    assert found(body.replace(part, raw_deflate(SECRET.encode() * 3)), SECRET)


def test_parts_of_a_token_do_not_match() -> None:
    assert not found(SECRET[:-1].encode(), SECRET)
    assert not found(base64.b64encode(SECRET[1:].encode()), SECRET)
    assert not found(JWT.split(".")[1].encode(), JWT)


def names(chunks: list[str], form: Callable[[int, str], str]) -> list[bytes]:
    return [form(place, chunk).encode() for place, chunk in enumerate(chunks)]


def cut(text: str, size: int) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


@pytest.mark.parametrize("form", [
    lambda _, chunk: f"{chunk}.evil.test",
    lambda _, chunk: f"{chunk}.s1.evil.test.",
    lambda place, chunk: f"{place}.{chunk}.evil.test",
    lambda place, chunk: f"{chunk}.{place}.id7.evil.test",
    lambda place, chunk: f"{place:02d}-{chunk}.evil.test",
    lambda place, chunk: f"{place:03d}{chunk}.evil.test",
    lambda place, chunk: f"{chunk}{place:02d}.evil.test",
    lambda place, chunk: f"{chunk[:9]}.{chunk[9:]}.evil.test" if len(chunk) > 9 else f"{chunk}.evil.test",
], ids=["plain", "session", "number first", "number last", "dash", "glued", "glued last", "two labels"])  # fmt: skip
@pytest.mark.parametrize("encode", [
    lambda text: text.encode().hex(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.b32encode(text.encode()).decode().rstrip("=").lower(),
    lambda text: gzip.compress(text.encode()).hex(),
], ids=["hex", "base64", "base32", "gzip hex"])  # fmt: skip
@pytest.mark.parametrize("size", [10, 30])
def test_split_over_dns_names(form: Callable[[int, str], str], encode: Callable[[str], str], size: int) -> None:
    recogniser = Recogniser(TOKENS)
    asked = [name for name in names(cut(encode(SECRET), size), form) for _ in ("A", "AAAA")]
    matches = [match for name in asked for match in recogniser.feed("dns", "dns", name)]
    matches += [match for _, match in recogniser.flush()]
    assert TOKENS[0] in {match.token for match in matches}


@pytest.mark.parametrize(("network", "digits"), [("20010db8" + "0" * 8, 16), ("20010db80001", 20), ("20010db8", 24)])
def test_split_over_addresses_whose_names_are_asked(network: str, digits: int) -> None:
    recogniser = Recogniser(TOKENS)
    addresses = [network + chunk.ljust(digits, "0") for chunk in cut(SECRET.encode().hex(), digits)]
    asked = [".".join(reversed(address)) + ".ip6.arpa" for address in addresses]
    matches = [match for name in asked for match in recogniser.feed("dns", "dns", name.encode())]
    assert TOKENS[0] in {match.token for match in matches + [match for _, match in recogniser.flush()]}


def test_numbered_names_in_any_order() -> None:
    recogniser = Recogniser(TOKENS)
    asked = names(cut(SECRET.encode().hex(), 16), lambda place, chunk: f"{chunk}.{place}.evil.test")
    DRAW.shuffle(asked)
    matches = [match for name in asked for match in recogniser.feed("dns", "dns", name)]
    assert TOKENS[0] in {match.token for match in matches + [match for _, match in recogniser.flush()]}


def test_letters_that_became_lower_case_on_the_way() -> None:
    token = TOKENS[1]
    (match,) = Recogniser(TOKENS).feed("dns", "dns", SHORT.lower().encode() + b".evil.test")
    assert (match.token, match.encodings) == (token, ("lowercase",))
    name = base64.b64encode(SHORT.encode()).lower().rstrip(b"=") + b".evil.test"
    (match,) = Recogniser(TOKENS).feed("dns", "dns", name)
    assert match.encodings == ("lowercase", "base64")


@pytest.mark.parametrize(("where", "form"), [
    ("url", lambda place, chunk: f"https://evil.test/up?i={place}&d={chunk}"),
    ("url", lambda place, chunk: f"https://evil.test/{place}/{chunk}"),
    ("url", lambda place, chunk: f"https://evil.test/{chunk}.png"),
    ("header", lambda place, chunk: f"Host: evil.test\r\nX-Part: {chunk}\r\nX-At: {place}"),
    ("body", lambda place, chunk: json.dumps({"seq": place, "data": chunk})),
    ("body", lambda place, chunk: f"n={place}&v={chunk}"),
    ("body", lambda _, chunk: chunk),
    ("body", lambda place, chunk: f"{place:04d}:{chunk}"),
    ("data", lambda _, chunk: chunk),
], ids=["query", "segments", "file name", "header", "json", "form", "whole", "numbered", "data"])  # fmt: skip
def test_split_over_requests(where: str, form: Callable[[int, str], str]) -> None:
    for chunks in (cut(SECRET, 7), cut(SECRET.encode().hex(), 10), cut(base64.b64encode(SECRET.encode()).decode(), 9)):
        recogniser = Recogniser(TOKENS)
        sent = names([quote(chunk, safe="") for chunk in chunks] if where == "url" else chunks, form)
        matches = [match for data in sent for match in recogniser.feed("flow", where, data)]
        matches += [match for _, match in recogniser.flush()]
        assert TOKENS[0] in {match.token for match in matches}, (where, sent)


def test_split_inside_one_message() -> None:
    chunks = cut(SECRET, 8)
    query = "&".join(f"p{place}={chunk}" for place, chunk in enumerate(chunks))
    assert Recogniser(TOKENS).feed(1, "url", f"https://evil.test/?{query}".encode())
    assert Recogniser(TOKENS).feed(1, "body", json.dumps({"parts": chunks}).encode())
    lines = "\r\n".join(f"X-P{place}: {chunk}" for place, chunk in enumerate(chunks))
    assert Recogniser(TOKENS).feed(1, "header", lines.encode())


WORDY = "npm_" + "".join(DRAW.choices(LETTERS, k=36))
TINY = [f"k{place}={letter}" for place, letter in enumerate(WORDY)]
SHARDS = [WORDY[place : place + 6] for place in range(0, 40, 6)]


@pytest.mark.parametrize(("where", "data"), [
    ("header", "Host: a.test\nCookie: " + "; ".join(f"s{place}={shard}" for place, shard in enumerate(SHARDS))),
    ("header", "Host: a.test\nX-Tags: " + ",".join(SHARDS)),
    ("url", "https://evil.test/" + "/".join(SHARDS)),
    ("url", "https://evil.test/" + "/".join(WORDY) + ".gif"),
    ("url", "https://evil.test/?" + "&".join(TINY)),
    ("url", "https://evil.test/?" + "&".join(reversed(TINY))),
    ("url", "https://evil.test/?" + "&".join(DRAW.sample(TINY, 40))),
    ("url", "https://evil.test/?" + "&".join(reversed(SHARDS))),
    ("body", "&".join(TINY)),
    ("body", json.dumps(list(WORDY))),
    ("body", json.dumps(list(WORDY[::-1]))),
    ("body", json.dumps(dict(enumerate(WORDY)))),
    ("body", json.dumps({"n": 7, "d": list(WORDY * 3)})),
    ("body", json.dumps([{"i": place, "d": shard} for place, shard in enumerate(SHARDS)])),
    ("body", json.dumps([{"i": str(place), "d": shard} for place, shard in enumerate(["x_", *SHARDS])])),
])  # fmt: skip
def test_small_pieces_inside_one_message(where: str, data: str) -> None:
    recogniser = Recogniser([Token("npm", "token", WORDY)])
    assert recogniser.feed(1, where, data.encode())


def test_pieces_as_names_of_files() -> None:
    recogniser = Recogniser([Token("npm", "token", WORDY)])
    sent = [f"https://evil.test/img/{piece}.gif".encode() for piece in cut(WORDY, 4)]
    matches = [match for data in sent for match in recogniser.feed("flow", "url", data)]
    assert matches + [match for _, match in recogniser.flush()]


def test_split_over_headers_of_changing_names() -> None:
    recogniser = Recogniser(TOKENS)
    matches = []
    for place in range(0, len(SECRET), 8):
        own = f"X-A-{place}: {SECRET[place : place + 4]}\r\nX-B-{place}: {SECRET[place + 4 : place + 8]}"
        sent = f"Host: evil.test\r\nUser-Agent: node\r\n{own}\r\nAccept: */*\r\nSec-Fetch-Mode: cors"
        matches += recogniser.feed("flow", "header", sent.encode())
    assert TOKENS[0] in {match.token for match in matches + [match for _, match in recogniser.flush()]}


def test_split_over_processes_that_share_a_stream() -> None:
    recogniser = Recogniser(TOKENS)
    matches = []
    for process, chunk in enumerate(cut(SECRET, 10)):
        matches += recogniser.feed(("evil.test", process), "body", chunk.encode(), stream="evil.test")
    assert [match.token for match in matches] == [TOKENS[0]]


def test_who_asks_after_somebody_that_sent_it_whole_has_not_sent_it() -> None:
    recogniser = Recogniser(TOKENS)
    for number in range(6):
        headers = f"user-agent: tool\npackage-id: {'abcdef'[number] * 5}\nauthorization: Bearer {SECRET}\nhost: h.test"
        recogniser.feed("installer", "header", headers.encode(), "h.test")
    later = recogniser.feed("package", "header", b"accept: application/json; q=1.0\nhost: h.test", "h.test")
    assert later == []
    assert [(flow, match.token.name) for flow, match in recogniser.flush() if flow == "package"] == []


def test_a_bomb_is_bounded_and_said() -> None:
    bomb = gzip.compress(gzip.compress(bytes(30_000_000)) + bytes(100_000_000))
    recogniser = Recogniser(TOKENS)
    began = time.process_time()
    recogniser.feed(1, "body", bomb)
    assert time.process_time() - began < 5
    assert recogniser.truncated
    assert recogniser.take_losses()
    assert recogniser.take_losses() == {}


def test_innocent_data_is_not_said_to_be_incomplete() -> None:
    text = "".join(DRAW.choice(["function foo(bar) {", "return this.indexOf(x)\n", '"version": "1.2.3",',
                                '  "integrity": "sha512-' + base64.b64encode(DRAW.randbytes(64)).decode() + '",\n'])
                   for _ in range(20000)).encode()  # fmt: skip
    for data in (text, DRAW.randbytes(1_000_000), base64.b64encode(DRAW.randbytes(700_000)), gzip.compress(text),
                 DRAW.randbytes(400_000).hex().encode(), zipped(text), bytes(2_000_000), b"A" * 500_000):  # fmt: skip
        recogniser = Recogniser(TOKENS)
        assert recogniser.feed(1, "body", data) == []
        assert not recogniser.truncated


def test_many_messages_are_bounded_and_said() -> None:
    recogniser = Recogniser(TOKENS)
    for number in range(700):
        recogniser.feed(1, "body", json.dumps({f"{number}": str(number * 7919)}).encode())
    assert "too many places in messages to remember" in recogniser.take_losses()
