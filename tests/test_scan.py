"""What of a scan needs no guest: which packages there are, their files by the lock's digests, and what changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sandbox import judged_again, lock_search, locked, scan, scan_items, scan_memory, together, toolchain
from sandbox.cache import Cache
from sandbox.errors import TargetError
from sandbox.plan import Artifact, Toolchain
from sandbox.registries import Registries, registry_settings
from sandbox.report import PackageReport
from sandbox.settings import Settings
from sandbox.store import FinishedScan, ScanResult, Store, pack
from sandbox.targets import Target
from sandbox.upstream import Upstream
from tests import locks
from tests.packages import build
from tests.packages.registry import Registry
from tests.recording import installed

Verdicts = dict[str, str]


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Registries:
    """Registries that nobody listens at: nothing here asks them."""
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/npm/")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    return registry_settings(project=None)


def collected(folder: Path, registries: Registries) -> scan_items.Items:
    """The items of every lockfile in a folder."""
    found, _ = lock_search.find([str(folder)])
    return scan_items.collect(found, registries)


def test_a_package_of_two_lockfiles_is_one_item_with_both_places(tmp_path: Path, registries: Registries) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        text = locks.npm_lock({"left-pad": locks.package("1.3.0", b"x")}, {"left-pad": "1.3.0"})
        (tmp_path / name / "package-lock.json").write_text(text)
    items = collected(tmp_path, registries)
    assert len(items.items) == 1
    item = next(iter(items.items.values()))
    assert [Path(origin.file).parent.name for origin in item.origins] == ["one", "two"]
    assert all(held == [item] for held in items.by_lock.values())


def test_what_cannot_be_run_is_an_item_or_a_note_and_never_left_out(tmp_path: Path, registries: Registries) -> None:
    packages = {
        "from-git": locks.package("1.0.0", resolved="git+ssh://git@code.test/x/from-git.git#abc"),
        "from-url": locks.package("1.0.0", b"x", resolved="https://elsewhere.test/from-url.tgz"),
        "left-pad": locks.package("1.3.0", b"x"),
    }
    (tmp_path / "package-lock.json").write_text(locks.npm_lock(packages))
    items = collected(tmp_path, registries)
    by_name = {item.entry.name: item for item in items.items.values()}
    assert set(by_name) == set(packages)
    assert by_name["left-pad"].is_registry
    assert all(by_name[name].missing and by_name[name].target is None for name in ("from-git", "from-url"))


@pytest.mark.parametrize(
    ("name", "write"),
    [("pnpm-lock.yaml", locks.pnpm_lock), ("yarn.lock", locks.yarn_classic_lock), ("bun.lock", locks.bun_lock)],
)
def test_every_package_manager_pins_the_same_packages(
    name: str, write: Callable[[dict[str, bytes]], str], tmp_path: Path, registries: Registries
) -> None:
    """Also yarn 1, whose lockfiles name a registry that nobody has configured: the digest says which file is meant."""
    contents = {"left-pad": b"x", "right-pad": b"y"}
    (tmp_path / name).write_text(write(contents))
    items = list(collected(tmp_path, registries).items.values())
    assert [item.missing for item in items] == [[], []]
    found = {item.entry.name: item.target.digests for item in items if item.is_registry and item.target}
    assert {key: locks.digest(content) in found[key] for key, content in contents.items()} == dict.fromkeys(found, True)


def test_what_a_lockfile_leaves_open_is_a_line_of_its_own(tmp_path: Path, registries: Registries) -> None:
    (tmp_path / "requirements.txt").write_text("six==1.17.0\nflask>=2\n--no-such-option\n")
    items = collected(tmp_path, registries)
    assert [one.verdict for one in items.lockfiles] == ["inconclusive"]
    assert ["flask" in text for text in items.lockfiles[0].coverage.missing] == [True]
    assert ["--no-such-option" in note.text for note in items.notes] == [True]
    assert items.errors == []


def test_a_lockfile_that_cannot_be_read_is_a_line_and_an_error(tmp_path: Path, registries: Registries) -> None:
    (tmp_path / "package-lock.json").write_text("{")
    items = collected(tmp_path, registries)
    assert [one.verdict for one in items.lockfiles] == ["inconclusive"]
    assert len(items.errors) == 1


def fetched(archive: Path, tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> locked.Packed:
    """A package by a lockfile's digest, from a registry that has `archive`."""
    with Registry([archive]) as registry:
        monkeypatch.setenv("npm_config_registry", registry.npm_url)
        target = Target(text="npm:a@1.0.0", ecosystem="npm", name="a", requested="1.0.0", digests=(digest,))
        with Upstream(registry_settings(project=None), Cache(tmp_path / "cache"), pause=0) as upstream:
            packed = locked.packed(target, "", upstream, Toolchain())
            assert not any(path.endswith("/a") for path in registry.asked), "metadata were not needed"
            return packed


def test_a_file_is_taken_by_the_locks_digest_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = build.npm(tmp_path, "a", {"index.js": ""}, bin="index.js")
    digest = locks.digest(archive.read_bytes())
    packed = fetched(archive, tmp_path, digest, monkeypatch)
    assert packed.artifact.digest == digest
    assert packed.artifact.manifest["bin"] == "index.js"
    assert packed.url.endswith("/npm/a/-/a-1.0.0.tgz")


def test_another_file_than_the_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = build.npm(tmp_path, "a", {"index.js": ""})
    with pytest.raises(TargetError, match="not what the lockfile says"):
        fetched(archive, tmp_path, locks.digest(b"what the author published"), monkeypatch)


def python_target(files: list[Path]) -> Target:
    """A target of a lockfile that pins these files of the project `a`."""
    digests = tuple(locks.digest(file.read_bytes(), "sha256") for file in files)
    return Target(text="pypi:a==1.0.0", ecosystem="pypi", name="a", requested="==1.0.0", digests=digests)


TOOLS = Toolchain(tags=("py3-none-any",), python_version="3.11.2")


def test_of_several_files_that_a_lock_pins_the_one_that_is_taken_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [build.wheel(tmp_path, "a", {"a.py": ""}), build.sdist(tmp_path, "a", {"setup.py": "", "a.py": ""})]
    target, cache = python_target(files), Cache(tmp_path / "cache")
    with Registry(files) as registry:
        monkeypatch.setenv("PIP_INDEX_URL", registry.pypi_url)
        registries = registry_settings(project=None)
        assert locked.light(target, cache, registries, TOOLS) is None
        with Upstream(registries, cache, pause=0) as upstream:
            first = locked.packed(target, "", upstream, TOOLS)
        seen = locked.light(target, cache, registries, TOOLS)
        assert seen is not None
        assert (seen.digest, seen.purl, seen.spec) == (first.artifact.digest, first.artifact.purl, first.artifact.spec)
        assert first.filename.endswith(".whl")
        asked = len(registry.asked)
        with Upstream(registries, cache, pause=0) as upstream:
            assert locked.packed(target, "", upstream, TOOLS) == first
        assert len(registry.asked) == asked, "neither the page nor the file is asked for again"
        # Another Python may take another file, and another lockfile pins others.
        assert locked.light(target, cache, registries, msgspec.structs.replace(TOOLS, tags=())) is None
        assert locked.light(python_target(files[1:]), cache, registries, TOOLS) is None


def test_what_is_taken_is_not_remembered_while_a_pinned_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be published yet, and then be taken."""
    files = [build.wheel(tmp_path, "a", {"a.py": ""}), build.sdist(tmp_path, "a", {"setup.py": "", "a.py": ""})]
    target, cache = python_target(files), Cache(tmp_path / "cache")
    with Registry(files[1:]) as registry:
        monkeypatch.setenv("PIP_INDEX_URL", registry.pypi_url)
        registries = registry_settings(project=None)
        with Upstream(registries, cache, pause=0) as upstream:
            assert locked.packed(target, "", upstream, TOOLS).artifact.kind == "sdist"
        assert locked.light(target, cache, registries, TOOLS) is None


def test_an_archive_is_described_once(tmp_path: Path) -> None:
    archive = build.npm(tmp_path, "a", {"index.js": ""})
    cache, digest = Cache(tmp_path / "cache"), locks.digest(archive.read_bytes())
    first = locked.describe(archive, digest, "package.tgz", "npm", cache)
    archive.write_bytes(b"no archive any more")
    assert locked.describe(archive, digest, "package.tgz", "npm", cache) == first


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    with pytest.raises(TargetError, match="not a package"):
        locked.describe(tmp_path / "a.tgz", locks.digest(b"no archive"), "package.tgz", "npm", Cache(tmp_path / "c"))


def report(name: str, verdict: str) -> PackageReport:
    """A report."""
    return PackageReport(purl=f"pkg:npm/{name}@1", target=name, digest="sha512:1", verdict=verdict)  # type: ignore[arg-type]


def finished(verdicts: Verdicts) -> FinishedScan:
    """A scan that came to its end."""
    results = [ScanResult(purl=f"pkg:npm/{name}@1", digest="sha512:1", verdict=one) for name, one in verdicts.items()]  # type: ignore[arg-type]
    return FinishedScan(
        id=1, fingerprint="", what="", started=0.0, finished=86_400.0, lockfiles=(), settings={},
        results={one.package: one for one in results},
    )  # fmt: skip


def test_since_last_lists_what_is_new_what_changed_and_what_is_gone() -> None:
    last = finished({"same": "clean", "worse": "clean", "gone": "clean", "bad": "malicious"})
    now = [report("same", "clean"), report("worse", "suspicious"), report("new", "clean"), report("bad", "malicious")]
    listed, notes = scan.since(now, last)
    assert [one.target for one in listed] == ["worse", "new", "bad"]
    texts = [note.text.partition(" since")[0] for note in notes]
    assert texts == ["1 packages are clean as they were at 1970-01-02T00:00:00Z", "changed", "new", "gone"]


def test_without_an_earlier_scan_all_is_listed_and_that_is_said() -> None:
    listed, notes = scan.since([report("a", "clean")], None)
    assert len(listed) == 1
    assert "no earlier scan" in notes[0].text


class Steps:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def step(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)


def test_the_time_that_is_left_is_told_by_what_was_run_not_by_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    steps = Steps()
    pace = scan.Pace(steps, 110)
    pace.knew(90)
    pace.step("first")
    clock[0] += 50
    pace.done += 10
    pace.step("second")
    assert steps.texts == ["90 of 110 packages: first", "100 of 110 packages, about 50 s left: second"]


def test_what_a_registry_gives_out_under_another_digest_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to run, so no guest is made; both packages stand in the report, and the scan is an error."""
    archives = [build.npm(tmp_path, name, {"index.js": ""}) for name in ("a", "b")]
    lock = tmp_path / "package-lock.json"
    lock.write_text(locks.npm_lock({name: locks.package("1.0.0", b"another") for name in ("a", "b")}))
    settings = Settings(backend="native", cache=tmp_path / "cache", store=tmp_path / "store")
    if scan.pipeline.choose_backend(Settings()).name != "native":
        pytest.skip("no native guests here")
    with Registry(archives) as registry:
        monkeypatch.setenv("npm_config_registry", registry.npm_url)
        outcome = scan.scan([str(lock)], settings, Steps())
    assert [one.verdict for one in outcome.report.packages] == ["inconclusive", "inconclusive"]
    assert len(outcome.errors) == 2
    assert all("not what the lockfile says" in str(error) for _, error in outcome.errors)
    assert all(one.origins for one in outcome.report.packages)


def remembering(folder: Path, registries: Registries) -> tuple[scan_memory.Memory, Artifact]:
    """What a scan's store knows, and a package that it may know of."""
    settings = Settings(store=folder / "store", cache=folder)
    bench = together.Bench(
        settings=settings, tools=toolchain.find(), registries=registries, cache=Cache(folder),
        persona=scan.pipeline.personas(settings)[0], backend=scan.pipeline.choose_backend(settings),
    )  # fmt: skip
    target = Target(text="npm:a@1.0.0", ecosystem="npm", name="a", requested="1.0.0", digests=(locks.digest(b"x"),))
    artifact = locked.light(target, bench.cache, registries, bench.tools.toolchain)
    assert artifact is not None
    return scan_memory.Memory(bench, lambda _: None), artifact


def test_a_batchs_result_is_known_apart_from_one_alone(tmp_path: Path, registries: Registries) -> None:
    memory, artifact = remembering(tmp_path, registries)
    alone, among = memory.keys(artifact)
    assert alone.text != among.text
    assert msgspec.structs.replace(among, plan=alone.plan) == alone


@pytest.mark.parametrize("digest", ["the lock's", "sha512:00"])
def test_what_was_run_alone_is_judged_again_by_other_rules(
    tmp_path: Path, registries: Registries, digest: str
) -> None:
    """A recording of another file than the lock's is none of this package."""
    memory, artifact = remembering(tmp_path, registries)
    path = tmp_path / "recording.jsonl"
    story = installed(package="a", digest=digest.replace("the lock's", artifact.digest))
    path.write_bytes(story.text())
    old = report("a", "suspicious")
    old = msgspec.structs.replace(old, purl=artifact.purl, digest=artifact.digest)
    with Store.open(tmp_path / "store") as store:
        store.save(memory.keys(artifact)[0], old, [pack(path, "laptop")], judge="older rules")
    found = memory.known([artifact])
    assert {purl: one.verdict for purl, one in found.items()} == (
        {artifact.purl: "clean"} if digest == "the lock's" else {}
    )
    with Store.open(tmp_path / "store") as store:
        (run,) = store.runs()
        assert run.verdict == ("clean" if found else "suspicious")


def test_packages_that_ran_together_are_judged_again_together(
    tmp_path: Path, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, artifact = remembering(tmp_path, registries)
    artifacts = [
        msgspec.structs.replace(artifact, name=name, purl=f"pkg:npm/{name}@1.0.0", spec=f"{name}@1.0.0")
        for name in ("a", "b", "c")
    ]
    recording = tmp_path / "recording.jsonl"
    recording.write_bytes(installed().text())
    results = [
        (
            memory.keys(one)[1],
            msgspec.structs.replace(report("x", "clean"), purl=one.purl, digest=one.digest),
            (),
        )
        for one in artifacts
    ]
    with Store.open(tmp_path / "store") as store:
        store.save_all(results, [pack(recording, "laptop")], judge="older rules")
    judged = []

    def judge_all(tasks: list[judged_again.Task], settings: Settings) -> list[judged_again.Reports]:
        judged.extend([run.key.purl for run in task.runs] for task in tasks)
        return [{run.key.purl: run.report for run in task.runs} for task in tasks]

    monkeypatch.setattr(scan_memory, "judge_all", judge_all)
    assert set(memory.known(artifacts)) == {one.purl for one in artifacts}
    assert judged == [[one.purl for one in artifacts]]
