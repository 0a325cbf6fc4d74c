"""The store on disk: what goes in comes out or is missing, never something else."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from sandbox.cache import TTL, Answer, Cache, default_root, split_digest
from sandbox.errors import BackendError


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def put(cache: Cache, content: bytes, algorithm: str = "sha256") -> str:
    with cache.writer(algorithm) as writer:
        writer.write(content)
        return writer.finish()


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def files(cache: Cache) -> list[Path]:
    return [path for path in cache.root.rglob("*") if path.is_file()]


def test_nothing_is_made_before_it_is_needed(cache: Cache) -> None:
    assert cache.read(digest_of(b"x")) is None
    assert cache.find(digest_of(b"x")) is None
    assert cache.size(digest_of(b"x")) is None
    assert cache.answer("key") is None
    assert cache.prune() == 0
    assert not cache.root.exists()


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_blob_is_known_by_its_digest(cache: Cache, algorithm: str) -> None:
    digest = put(cache, b"hello", algorithm)
    assert digest == digest_of(b"hello", algorithm)
    assert cache.read(digest) == b"hello"
    assert cache.size(digest) == 5
    path = cache.find(digest)
    assert path is not None
    assert path.read_bytes() == b"hello"
    assert cache.root.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o077 == 0
    assert put(cache, b"hello", algorithm) == digest


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_a_weak_digest_is_checked_but_a_strong_one_is_the_name(cache: Cache, algorithm: str) -> None:
    with cache.writer(algorithm) as writer:
        writer.write(b"hel")
        writer.write(b"lo")
        assert writer.finish(digest_of(b"hello", algorithm)) == digest_of(b"hello", "sha512")
    assert cache.read(digest_of(b"hello", "sha512")) == b"hello"
    with pytest.raises(ValueError, match="too weak"):
        cache.read(digest_of(b"hello", algorithm))


def test_a_wrong_digest_leaves_nothing(cache: Cache) -> None:
    with pytest.raises(ValueError, match="instead of"), cache.writer() as writer:  # noqa: PT012
        writer.write(b"evil")
        writer.finish(digest_of(b"good"))
    with pytest.raises(KeyboardInterrupt), cache.writer() as writer:  # noqa: PT012
        writer.write(b"half")
        raise KeyboardInterrupt
    assert files(cache) == []


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../x", "sha256:" + "G" * 64, "crc:00", "sha512:" + "0" * 64]
)
def test_only_digests_become_paths(cache: Cache, digest: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        split_digest(digest)
    with pytest.raises(ValueError, match="not a digest"):
        cache.read(digest)


def test_damage_is_a_miss_and_goes(cache: Cache) -> None:
    for look in (cache.read, cache.find):
        digest = put(cache, b"hello")
        cache.blob_path(digest).write_bytes(b"jello")
        assert look(digest) is None
        assert files(cache) == []


def test_a_large_blob_is_trusted_as_it_was_left(cache: Cache) -> None:
    content = b"x" * (9 * 1024**2)
    digest = put(cache, content)
    path = cache.blob_path(digest)
    before = path.stat().st_mtime_ns
    assert cache.find(digest) == path
    os.utime(path, ns=(time.time_ns(), time.time_ns()))  # touched: hashed again, and still right
    assert cache.find(digest) == path
    with path.open("r+b") as file:
        file.write(b"y")
    assert path.stat().st_mtime_ns != before
    assert cache.find(digest) is None


def test_answers_age(cache: Cache) -> None:
    now = time.time()
    answer = Answer(key="npm left-pad", stored=now, blob=put(cache, b"{}"), etag='"x"', encoding="gzip")
    cache.remember(answer)
    found = cache.answer("npm left-pad")
    assert found == answer
    assert found.fresh()
    assert not found.fresh(now + TTL + 1)
    assert not found.fresh(now - 10)  # a clock set back must not make it fresh for years
    assert cache.answer("npm other") is None
    cache.remember(Answer(key="file", stored=0, blob=answer.blob, immutable=True))
    again = cache.answer("file")
    assert again is not None
    assert again.fresh()


def test_a_damaged_answer_is_a_miss(cache: Cache) -> None:
    cache.remember(Answer(key="k", stored=0, blob=put(cache, b"{}")))
    (path,) = (cache.root / "answers").rglob("*/*")
    for content in (
        b"",
        b"{",
        b"[]",
        b'{"key":"k","stored":0,"blob":"../x"}',
        path.read_bytes().replace(b'"k"', b'"j"'),
    ):
        path.write_bytes(content)
        assert cache.answer("k") is None


def test_pruning_removes_the_least_recently_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=1000)
    digests = [put(cache, bytes([number]) * 300) for number in range(4)]
    for age, digest in enumerate(digests):
        path = cache.blob_path(digest)
        os.utime(path, ns=((1_000_000 - age * 1000) * 10**9, path.stat().st_mtime_ns))
    assert cache.read(digests[3]) is not None  # the oldest, used again
    assert cache.prune() == 600
    assert [cache.size(digest) for digest in digests] == [300, None, None, 300]


def test_pruning_removes_what_a_crash_left(cache: Cache) -> None:
    put(cache, b"x")
    (cache.root / "partial" / "abandoned").write_bytes(b"12345")
    assert cache.prune() == 0
    assert cache.prune(now=time.time() + 2 * 86_400) == 5


def test_tending_prunes_once_in_an_hour(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=100)
    for number in range(2):
        kept = put(cache, bytes([number]) * 300)
        cache.tend()
        assert (cache.size(kept) is None) == (number == 0)
    os.utime(cache.root / "pruned", (0, 0))
    cache.tend()
    assert cache.size(kept) is None


def test_a_full_disk_is_one_clear_sentence(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with cache.writer() as writer:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(BackendError, match="No space left") as error:
            writer.write(b"x")
    monkeypatch.undo()
    assert "free some" in error.value.hint
    assert error.value.exit_code == 4
    assert files(cache) == []


def test_a_cache_that_cannot_be_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BackendError, match="cannot be written") as error:
        put(Cache(tmp_path / "file" / "cache"), b"x")
    assert "--cache" in error.value.hint


def test_several_writers_at_once(cache: Cache) -> None:
    problems: list[BaseException] = []

    def work(seed: int) -> None:
        own = Cache(cache.root)
        try:
            for number in range(20):
                content = str(number % 5).encode() * 5000
                digest = put(own, content)
                assert own.read(digest) in (content, None)
                own.remember(Answer(key=str(number % 3), stored=seed, blob=digest))
                assert own.answer(str(number % 3)) is not None
        except BaseException as error:  # told to the test's own thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert list((cache.root / "partial").iterdir()) == []


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "baitbox"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "baitbox"
