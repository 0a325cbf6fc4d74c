"""Whether a file is the one that a lockfile pins."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from sandbox.errors import TargetError
from sandbox.pinned import comparable, require, strongest

CONTENT = b"some words"
KNOWN = "sha512:" + hashlib.sha512(CONTENT).hexdigest()


def digest(algorithm: str, content: bytes = CONTENT) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words.tgz"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("algorithm", ["sha512", "sha384", "sha256", "sha224", "sha1", "md5"])
def test_the_file_is_hashed_in_the_lockfiles_algorithm(file: Path, algorithm: str) -> None:
    require(file, (digest(algorithm),), KNOWN, "words")
    require(file, (digest(algorithm, b"another"), digest(algorithm).upper().replace(algorithm.upper(), algorithm)),
            KNOWN, "words")  # fmt: skip
    with pytest.raises(TargetError, match="words is not what the lockfile says") as error:
        require(file, (digest(algorithm, b"another"),), KNOWN, "words")
    assert error.value.exit_code == 3
    assert error.value.hint


def test_a_weak_digest_beside_a_strong_one_proves_nothing(file: Path) -> None:
    with pytest.raises(TargetError, match="is not what the lockfile says"):
        require(file, (digest("sha1"), digest("sha512", b"another")), KNOWN, "words")
    require(file, (digest("sha1", b"another"), digest("sha512")), KNOWN, "words")


def test_nothing_pinned_asks_nothing_and_an_unknown_algorithm_is_refused(file: Path) -> None:
    require(file, (), KNOWN, "words")
    with pytest.raises(TargetError, match="no algorithm that is known: crc32"):
        require(file, ("crc32:00",), KNOWN, "words")


def test_the_best_algorithm_counts() -> None:
    assert strongest(("md5:1", "sha256:2", "sha1:3", "sha256:4")) == ("sha256:2", "sha256:4")
    assert strongest(("crc32:1",)) == ()
    assert comparable("sha256:9", ("sha256:2",))
    assert not comparable("sha512:9", ("sha256:2",))
    assert not comparable("sha512:9", ())
