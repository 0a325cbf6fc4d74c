"""The run's source of randomness, and the formats that decoys share."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bait import Draw, Person, Token
from sandbox.decoys import _keys, _stores, _tokens, _wallets
from sandbox.decoys._commands import command, words


def test_a_seed_repeats_and_the_system_s_source_does_not() -> None:
    assert Draw(5).text("abc", 40) == Draw(5).text("abc", 40)
    assert Draw(5).bytes(16) == Draw(5).bytes(16)
    assert Draw().bytes(16) != Draw().bytes(16)


def test_draws_stay_within_what_was_asked() -> None:
    draw = Draw(1)
    assert {draw.number(3, 5) for _ in range(60)} == {3, 4, 5}
    assert set(draw.text("xy", 60)) == {"x", "y"}
    assert len(draw.bytes(9)) == 9


def test_the_person_s_addresses_can_never_be_anybody_s() -> None:
    assert Person().email.endswith(".internal")


@given(st.integers(0, 2**32))
def test_noise_has_its_length(seed: int) -> None:
    assert len(_tokens.noise(Draw(seed), 37)) == 37
    assert _tokens.noise(Draw(seed), 37) == _tokens.noise(Draw(seed), 37)


@given(st.text("abcXYZ012", min_size=1, max_size=40))
def test_checksums_are_six_digits_in_base_62(body: str) -> None:
    tail = _tokens.checksummed("p_", body)[2 + len(body) :]
    number = 0
    for character in tail:
        number = number * 62 + _tokens.BASE62.index(character)
    assert (len(tail), number) == (6, zlib.crc32(body.encode()))


@given(st.integers(10**11, 10**12 - 1))
def test_key_ids_keep_their_account(number: int) -> None:
    key = _tokens.aws_key_id(Draw(1), str(number))
    assert len(key) == 20
    assert (int.from_bytes(base64.b32decode(key[4:])[:6]) & 0x7FFFFFFFFF80) >> 7 == number


def test_long_secrets_are_known_by_parts() -> None:
    assert _tokens.pieces("d", "n", "s" * 128) == [Token("d", "n", "s" * 128)]
    end, middle = _tokens.pieces("d", "n", "".join(chr(33 + number % 90) for number in range(400)))
    assert (len(end.value), len(middle.value)) == (64, 64)
    assert end.value != middle.value


def test_of_a_web_token_the_signature_is_known() -> None:
    long, short = _tokens.jwt(Draw(1), {"exp": 1}), _tokens.jwt(Draw(1), {"exp": 1}, "HS256")
    assert [token.value for token in _tokens.pieces("d", "n", short)] == [short.rpartition(".")[2]]
    assert all(token.value in long.rpartition(".")[2] for token in _tokens.pieces("d", "n", long))


@pytest.mark.parametrize("seed", range(6))
def test_key_lines_are_whole_lines_and_never_the_shared_first(seed: int) -> None:
    pair = _keys.ed25519(Draw(seed), "a@b")
    lines = pair.private.splitlines()
    held = [token.value for token in pair.tokens("ssh", "key")]
    assert len(held) == 3
    assert all(value in lines and len(value) == 70 for value in held)
    assert lines[1] not in held
    assert len({token.name for token in pair.tokens("ssh", "key")}) == 3


@given(st.binary(max_size=40))
def test_base_58_keeps_the_number(data: bytes) -> None:
    text = _wallets.base58(data)
    number = 0
    for character in text:
        number = number * 58 + _wallets.BASE58.index(character)
    assert number == int.from_bytes(data)
    assert len(text) - len(text.lstrip("1")) == len(data) - len(data.lstrip(b"\0"))


def test_seed_phrases_have_enough_words_to_choose_from() -> None:
    assert len(set(_wallets.WORDS)) == len(_wallets.WORDS) > 128


def test_opaque_content_holds_its_mark_whole() -> None:
    inside = _stores.mark(Draw(1))
    content = _stores.opaque(Draw(2), b"MAGIC", 300, inside)
    assert content.startswith(b"MAGIC")
    assert inside.encode() in content


def test_web_tokens_have_three_parts() -> None:
    header, payload, signature = _tokens.jwt(Draw(1), {"exp": 1}).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "RS256"
    assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {"exp": 1}
    assert len(signature) == 342


def test_a_command_quotes_what_it_prints() -> None:
    script = command("thing", "thing 1.0", {words("say it"): "it's $HOME `here`", "nothing": ""}).script
    assert "$HOME" in script
    assert "'say it'|'say it'' '*)" in script
    assert "nothing) : ;;" in script
