"""Allow-lists: an entry for what is clean and ran its script, and for nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandbox import events
from sandbox.report import Finding, PackageReport
from sandbox.reporters import allow_scripts
from tests import report_samples as samples
from tests.recording import Story

THIEF, RECORDED = samples.thief()


KEPT = samples.RECORDING


def allowed(package: PackageReport, recording: events.Recording | None) -> tuple[list[str], dict[str, str]]:
    """The entries, which all three lists agree on, and who is left out and why."""
    recordings = {KEPT: recording} if recording is not None else {}
    made = json.loads(allow_scripts.render(samples.report(package.verdict, package), recordings=recordings))
    keys = made["onlyBuiltDependencies"]
    assert made["allowScripts"] == made["allowBuilds"] == dict.fromkeys(keys, True)
    assert sorted(made["evidence"]) == keys
    return keys, made["leftOut"]


def clean(name: str = "left-pod", version: str = "1.0.0", **fields: Any) -> PackageReport:
    return samples.package(name, version, "clean", recordings=(KEPT,), **fields)


def test_a_clean_package_whose_script_ran_gets_an_entry_with_evidence() -> None:
    made = json.loads(
        allow_scripts.render(samples.report("clean", clean()), recordings={KEPT: samples.honest()})
    )
    assert made["allowScripts"] == {"left-pod@1.0.0": True}
    evidence = made["evidence"]["left-pod@1.0.0"]
    assert evidence["digest"] == "sha512:" + "0a" * 64
    assert evidence["purl"] == "pkg:npm/left-pod@1.0.0"
    assert evidence["scripts"] == ["node x.js"]
    assert evidence["recordings"] == [KEPT]
    assert [phase["name"] for phase in evidence["phases"]] == ["install", "import:x"]


def test_a_scoped_package_keeps_its_name() -> None:
    assert allowed(clean("@acme/widget"), samples.honest("@acme/widget"))[0] == ["@acme/widget@1.0.0"]


def found(verdict: Any) -> tuple[Finding, ...]:
    return (samples.finding(verdict=verdict),)


@pytest.mark.parametrize(
    ("package", "recording", "why"),
    [
        (clean(), samples.honest(script=False), "no recording shows an install script of its own"),
        (clean(), samples.honest("other"), "no recording shows an install script of its own"),
        (clean(), None, "no recording is at hand that could tell its scripts from others"),
        (clean(digest=""), samples.honest(), "its digest is not known"),
        (clean(target="./left-pod-1.0.0.tgz"), samples.honest(), "not from a registry"),
        (clean(version="latest"), samples.honest(), "its name or version is none that an entry can hold"),
        (clean(version="1.0.0 || >=0"), samples.honest(), "its name or version is none that an entry can hold"),
        (clean(purl="pkg:pypi/left-pod@1.0.0"), samples.honest(), "not an npm package"),
        (clean(purl="left-pod"), samples.honest(), "it was not checked"),
        (clean(coverage=samples.coverage("something")), samples.honest(), "its verdict is clean"),
        *(
            (msgspec.structs.replace(clean(), verdict=verdict, findings=findings), samples.honest(), "its verdict is")
            for verdict, findings in (
                ("malicious", found("malicious")), ("suspicious", found("suspicious")), ("inconclusive", ()),
                ("clean", found("suspicious")),
            )
        ),
    ],
)  # fmt: skip
def test_there_is_no_entry_for_anything_else(
    package: PackageReport, recording: events.Recording | None, why: str
) -> None:
    keys, left_out = allowed(package, recording)
    assert keys == []
    (said,) = left_out.values()
    assert said.startswith(why)


def test_a_version_that_once_was_not_clean_has_no_entry() -> None:
    bad = msgspec.structs.replace(clean(), verdict="suspicious", findings=found("suspicious"))
    for packages in ((clean(), bad), (bad, clean())):
        made = json.loads(
            allow_scripts.render(samples.report("suspicious", *packages), recordings={KEPT: samples.honest()})
        )
        assert made["allowScripts"] == {}
        assert made["evidence"] == {}
        assert list(made["leftOut"]) == ["pkg:npm/left-pod@1.0.0"]


def test_two_versions_in_one_recording_are_not_told_apart() -> None:
    both = samples.report("clean", clean(), clean(version="2.0.0"))
    made = json.loads(allow_scripts.render(both, recordings={KEPT: samples.honest()}))
    assert made["allowScripts"] == {}
    assert len(made["leftOut"]) == 2


def test_a_script_of_another_phase_is_no_install_script() -> None:
    story = Story(package="left-pod")
    root = story.begin("run:left-pod", "run", ["/usr/bin/node", "x.js"])
    story.script(root, "left-pod")
    assert allowed(clean(), story.end(root).recording())[0] == []


@cache
def npm_matcher() -> str:
    """The module of the npm on this machine that reads `allowScripts`."""
    npm = shutil.which("npm")
    for folder in Path(npm).resolve().parents if npm else ():
        module = folder / "node_modules/@npmcli/arborist/lib/script-allowed.js"
        if module.is_file():
            return str(module)
    return ""


@pytest.mark.skipif(not shutil.which("node") or not npm_matcher(), reason="no npm here that knows allowScripts")
def test_npm_itself_reads_the_entries() -> None:
    keys, _ = allowed(clean("@acme/widget"), samples.honest("@acme/widget"))
    script = """
        const { isScriptAllowed } = require(process.argv[1]);
        const policy = Object.fromEntries(JSON.parse(process.argv[2]).map((key) => [key, true]));
        const url = 'https://registry.test/@acme/widget/-/widget-';
        const node = (version) => ({
            resolved: `${url}${version}.tgz`, isRegistryDependency: true, version, packageName: '@acme/widget',
            name: '@acme/widget',
        });
        console.log(JSON.stringify(['1.0.0', '1.0.1'].map((version) => isScriptAllowed(node(version), policy))));
    """
    command = ["node", "-e", script, npm_matcher(), json.dumps(keys)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [True, None], "this version, and no other"
