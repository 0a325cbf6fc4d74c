"""The action, the hook and the examples of docs/ci: parsed, and their shell steps run, as far as they can be here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from git_repository import Repository
from locks import npm_lock, package

from sandbox import lockfiles

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "ci").glob("*.md"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GIT_ENTRY = {"git-words": package("1.0.0", resolved="git+ssh://git@forge.test/words.git#0123456789abcdef")}
SAMPLES = (
    "package-lock.json", "web/npm-shrinkwrap.json", "requirements.txt", "requirements-dev.txt", "dev-requirements.txt",
    "requirements/base.txt", "constraints.txt",
)  # fmt: skip
"""Names that lockfiles have; those of the formats are added by the tests."""


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def fenced(language: str) -> list[object]:
    """Every such block, as a parameter."""
    return [
        pytest.param(text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, language))
    ]


class Runner(msgspec.Struct):
    """A machine of a CI service: programs, temporary folders, a checkout."""

    root: Path
    checkout: Path
    environment: dict[str, str]
    outputs: dict[str, dict[str, str]] = {}

    def bash(self, script: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a step as GitHub's runner does."""
        path = self.root / "step.sh"
        path.write_text(script, encoding="utf-8")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)],
            cwd=self.checkout, env=self.environment | dict(environment or {}), capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip

    def called(self, program: str) -> list[str]:
        """How a stand-in was called."""
        log = self.root / f"{program}.log"
        return log.read_text().splitlines() if log.exists() else []

    def act(self, event: Mapping[str, str], **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the action's steps in order, until one fails; what the last one that ran ended with."""
        given = {name: str(one["default"]) for name, one in ACTION["inputs"].items()}
        assert set(inputs) <= set(given)
        given |= inputs
        done = None
        for step in ACTION["runs"]["steps"]:
            if "uses" in step:
                continue  # runs only where it was asked for, or is GitHub's own
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "what a stranger chose must not become a part of the script"
            environment = {name: self.filled(value, given, event) for name, value in step.get("env", {}).items()}
            for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"):
                (self.root / name).touch()
                environment[name] = str(self.root / name)
            done = self.bash(step["run"], environment)
            lines = (self.root / "GITHUB_OUTPUT").read_text().splitlines()
            (self.root / "GITHUB_OUTPUT").write_text("")
            if "id" in step:
                self.outputs[step["id"]] = dict(line.split("=", 1) for line in lines)
            if done.returncode:
                break
        assert done is not None
        return done

    def filled(self, text: str, inputs: Mapping[str, str], event: Mapping[str, str]) -> str:
        """A value with its expressions replaced; what an event does not have is empty, as on GitHub."""

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("inputs."):
                return inputs[name.removeprefix("inputs.")]
            if name.startswith("steps."):
                _, step, _, output = name.split(".")
                return self.outputs.get(step, {}).get(output, "")
            return {"github.action_path": str(ROOT)}.get(name, event.get(name, ""))

        return re.sub(r"\$\{\{ ([a-z_.-]+) \}\}", value, text)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    programs = tmp_path / "programs"
    programs.mkdir()
    scripts = {"baitbox": f'exec {sys.executable} -m sandbox "$@"'}
    for name in ("sudo", "apt-get", "gh"):
        scripts[name] = f'echo "$*" >> {tmp_path}/{name}.log'
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    origin = Repository(tmp_path / "origin")
    origin.commit({"package-lock.json": npm_lock({}), "README.md": "words\n"})
    origin.git("checkout", "-q", "-b", "change")
    origin.commit({"package-lock.json": npm_lock(GIT_ENTRY)})
    checkout = tmp_path / "checkout"
    origin.git("clone", "-q", "--depth=1", "--branch=change", f"file://{origin.root}", str(checkout))
    environment = {name: os.environ[name] for name in ("LANG",) if name in os.environ} | {
        "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home"),
        "RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_ACTIONS": "true", "TMPDIR": str(tmp_path / "temp"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data"),
    }  # fmt: skip
    for name in ("home", "temp"):
        (tmp_path / name).mkdir()
    yield Runner(tmp_path, checkout, environment)
    assert not (checkout / "stolen").exists()


def base_of(runner: Runner) -> str:
    return Repository(runner.root / "origin").git("rev-parse", "main")


# The action ---------------------------------------------------------------------------------------------------


def test_the_action_has_the_parts_that_the_page_names() -> None:
    page = (ROOT / "docs" / "ci" / "github-actions.md").read_text(encoding="utf-8")
    for name, one in ACTION["inputs"].items():
        assert f"| `{name}` |" in page
        assert one["description"]
    for name, output in ACTION["outputs"].items():
        assert f"`{name}`" in page
        assert output["value"] == f"${{{{ steps.gate.outputs.{name} }}}}"
    with_them = [step for text in blocks(ROOT / "docs" / "ci" / "github-actions.md", "yaml")
                 for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]
                 if step.get("uses", "").startswith("OWNER/baitbox@")]  # fmt: skip
    assert len(with_them) == 2
    assert all(set(step.get("with", {})) <= set(ACTION["inputs"]) for step in with_them)


@pytest.mark.native
def test_the_action_on_a_pull_request_of_a_shallow_checkout(runner: Runner) -> None:
    done = runner.act({"github.event.pull_request.base.sha": base_of(runner)})
    assert done.returncode == 5, done.stderr
    outputs = runner.outputs["gate"]
    assert (outputs["verdict"], outputs["exit-code"]) == ("inconclusive", "5")
    assert json.loads(Path(outputs["json"]).read_text())["packages"][0]["target"] == "npm:git-words@1.0.0"
    assert json.loads(Path(outputs["sarif"]).read_text())["version"] == "2.1.0"
    assert "git-words" in Path(outputs["markdown"]).read_text()
    assert "git-words" in (runner.root / "GITHUB_STEP_SUMMARY").read_text()
    assert "::warning file=package-lock.json,line=" in done.stderr
    assert runner.called("sudo") in ([], ["sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0"])
    done = runner.act({"github.event.pull_request.base.sha": base_of(runner)}, **{"allow-inconclusive": "true"})
    assert (done.returncode, runner.outputs["gate"]["verdict"]) == (0, "inconclusive")


@pytest.mark.native
def test_the_action_where_nothing_changed(runner: Runner) -> None:
    done = runner.act({}, base="HEAD", lockfiles="package-lock.json")
    assert done.returncode == 0, done.stderr
    assert runner.outputs["gate"]["verdict"] == "clean"
    assert "no package is new or changed since HEAD" in done.stdout


@pytest.mark.native
@pytest.mark.parametrize("base", ["", "$(touch stolen)", "; touch stolen", "--upload-pack=touch stolen;", "nope"])
def test_the_action_without_a_base_that_there_is(runner: Runner, base: str) -> None:
    done = runner.act({}, base=base)
    assert done.returncode == 2
    assert "base" in done.stdout if not base else "revision" in done.stderr
    assert {name for name, value in runner.outputs["gate"].items() if value} <= {"exit-code"}


@pytest.mark.native
@pytest.mark.parametrize("base", ["main", "origin/main"])
def test_the_action_fetches_a_branch_by_its_name(runner: Runner, base: str) -> None:
    done = runner.act({}, base=base)
    assert done.returncode == 5, done.stderr
    assert "no revision" not in done.stderr


@pytest.mark.native
@pytest.mark.parametrize("single", [True, False])
def test_the_action_on_the_first_push_of_a_branch(runner: Runner, single: bool) -> None:
    shutil.rmtree(runner.checkout)
    origin = Repository(runner.root / "origin")
    only = ["--single-branch"] if single else []
    origin.git("clone", "-q", *only, "--branch=change", f"file://{origin.root}", str(runner.checkout))
    event = {
        "github.event.before": "0" * 40, "github.ref_name": "change", "github.event.repository.default_branch": "main"
    }  # fmt: skip
    done = runner.act(event)
    assert done.returncode == 5, done.stderr
    assert origin.git("-C", str(runner.checkout), "rev-parse", "--is-shallow-repository") == "false"
    done = runner.act(event | {"github.ref_name": "main"})
    assert done.returncode == 2
    assert "there is no base" in done.stdout


def test_the_action_installs_only_what_is_missing(runner: Runner) -> None:
    script = next(one["run"] for one in ACTION["runs"]["steps"] if one["name"] == "Install what a guest needs")
    bare = runner.root / "bare"
    bare.mkdir()
    for name in ("bash", "grep", "sh"):
        (bare / name).symlink_to(str(shutil.which(name)))
    done = runner.bash(script, {"PATH": f"{runner.root / 'programs'}:{bare}"})
    assert done.returncode == 0, done.stderr
    assert runner.called("sudo")[1].endswith("--no-install-recommends bubblewrap gcc libc6-dev")


@pytest.mark.together
@pytest.mark.native
@pytest.mark.registry
@pytest.mark.slow
def test_the_action_installs_baitbox_where_there_is_none(runner: Runner) -> None:
    (runner.root / "programs" / "baitbox").unlink()
    script = next(one["run"] for one in ACTION["runs"]["steps"] if one["name"] == "Install baitbox")
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    path = ":".join(part for part in os.environ["PATH"].split(":") if not (Path(part) / "baitbox").exists())
    environment = clean | {"ACTION": str(ROOT), "GITHUB_PATH": str(runner.root / "path"), "PATH": path}
    done = runner.bash(script, environment | {"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    installed = (runner.root / "path").read_text().strip()
    said = runner.bash(f"{installed}/baitbox --version && {installed}/baitbox doctor", {"PYTHONPATH": ""})
    assert said.returncode == 0, said.stdout
    assert said.stdout.startswith("baitbox ")
    # What an installation needs beside its modules came along: the runner image's Dockerfile.
    asked = runner.bash(f'{installed}/python -c "from sandbox import images; print(images.tag())"', {"PYTHONPATH": ""})
    assert asked.stdout.startswith("baitbox-runner:"), asked.stderr


# The pages ----------------------------------------------------------------------------------------------------


def steps_of(document: Any) -> Iterator[str]:
    """The shell scripts of a GitHub workflow or a GitLab pipeline."""
    jobs = document.get("jobs", document) if isinstance(document, dict) else {}
    for job in jobs.values():
        if not isinstance(job, dict):
            continue
        yield from (step["run"] for step in job.get("steps", ()) if "run" in step)
        for key in ("before_script", "script"):
            if key in job:
                yield "\n".join(job[key])


@pytest.mark.parametrize("text", fenced("yaml"))
def test_the_yaml_of_the_pages_is_yaml_and_its_scripts_are_bash(text: str, runner: Runner) -> None:
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    for script in steps_of(document):
        assert "${{" not in script
        path = runner.root / "script.sh"
        path.write_text(script)
        subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("text", fenced("json"))
def test_the_json_of_the_pages_is_json(text: str) -> None:
    assert json.loads(text)["packageRules"][0]["ignoreTests"] is False


@pytest.mark.parametrize("text", fenced("yaml"))
def test_no_example_leaves_the_gate_out_by_the_names_of_files(text: str) -> None:
    """A required check that was skipped stays pending."""
    document = yaml.load(text, yaml.BaseLoader)  # `on` stays a word
    events = document.get("on", {})
    triggers = list(events.values()) if isinstance(events, dict) else []
    rules = [rule for job in document.values() if isinstance(job, dict) for rule in job.get("rules", ())]
    for one in [*triggers, *rules]:
        assert not {"paths", "paths-ignore", "changes"} & set(one)


def test_every_page_has_an_example() -> None:
    assert len(PAGES) == 6
    for page in PAGES:
        assert blocks(page, "(?:yaml|json|groovy)"), page.name


def test_the_script_of_the_gitlab_page(runner: Runner) -> None:
    (text,) = blocks(ROOT / "docs" / "ci" / "gitlab-ci.md", "yaml")
    job = yaml.safe_load(text)["baitbox"]
    Repository(runner.root / "origin").git("-C", str(runner.checkout), "fetch", "-q", "--unshallow", "origin", "main")
    done = runner.bash("\n".join(job["script"]), {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base_of(runner)})
    assert done.returncode == 5, done.stderr
    junit = (runner.checkout / job["artifacts"]["reports"]["junit"]).read_text()
    assert "git-words" in junit
    assert all((runner.checkout / path).exists() for path in job["artifacts"]["paths"])


def test_the_script_of_the_jenkins_page(runner: Runner) -> None:
    (text,) = blocks(ROOT / "docs" / "ci" / "jenkins.md", "groovy")
    assert text.count("{") == text.count("}")
    (script,) = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    done = runner.bash(script, {"CHANGE_TARGET": "main"})
    assert done.returncode == 5, done.stderr
    for name in re.findall(r"(?:testResults|artifacts): '([^']+)'", text):
        assert (runner.checkout / name).exists()


@pytest.mark.parametrize(("page", "called"), [("github-actions", "pr comment 7"), ("dependabot", "pr merge --auto")])
def test_the_steps_that_use_githubs_program(runner: Runner, page: str, called: str) -> None:
    documents = [yaml.safe_load(text) for text in blocks(ROOT / "docs" / "ci" / f"{page}.md", "yaml")]
    scripts = [script for document in documents for script in steps_of(document)]
    assert scripts
    for script in scripts:
        done = runner.bash(script, {"NUMBER": "7", "REPORT": "report.md", "PULL_REQUEST": "https://forge.test/7"})
        assert done.returncode == 0, done.stderr
    assert runner.called("gh")[0].startswith(called)


# pre-commit ---------------------------------------------------------------------------------------------------


HOOK = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]


def test_the_hook_takes_every_lockfile_and_little_else() -> None:
    pattern = re.compile(HOOK["files"])
    named = [name.replace("*", "x") for one in lockfiles.formats().values() for name in one.names]
    for name in [*SAMPLES, *named]:
        matched = pattern.search(name) or pattern.search(name.replace("pipfile", "Pipfile"))
        assert matched, name
        assert lockfiles.by_name(name)
    for name in ("package.json", "README.md", "requirements.in", "src/lock.py", "x/package-lock.json.bak"):
        assert not pattern.search(name), name


def test_the_local_hook_of_the_page_takes_the_same_files() -> None:
    (local,) = [text for text in blocks(ROOT / "docs" / "ci" / "pre-commit.md", "yaml") if "repo: local" in text]
    assert yaml.safe_load(local)["repos"][0]["hooks"][0]["files"] == HOOK["files"]


def test_the_hooks_entry(runner: Runner) -> None:
    (runner.checkout / "package-lock.json").write_text(npm_lock(GIT_ENTRY))
    done = runner.bash(f"{HOOK['entry']} package-lock.json")
    assert done.returncode == 0, done.stderr
    (runner.checkout / "package-lock.json").write_text(npm_lock({"other": GIT_ENTRY["git-words"]}))
    assert runner.bash(f"{HOOK['entry']} package-lock.json").returncode == 5
    pushed = f"{HOOK['entry']} --base HEAD --head HEAD package-lock.json"
    assert runner.bash(pushed).returncode == 0


@pytest.mark.registry
@pytest.mark.slow
def test_the_hook_under_the_real_pre_commit(runner: Runner) -> None:
    packages = runner.root / "pre-commit"
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(packages)]
    subprocess.run([*command, "pre-commit==4.3.0"], check=True)
    local = next(text for text in blocks(ROOT / "docs" / "ci" / "pre-commit.md", "yaml") if "repo: local" in text)
    (runner.checkout / ".pre-commit-config.yaml").write_text(local)
    lock = runner.checkout / "package-lock.json"
    environment = {"PYTHONPATH": f"{packages}:{ROOT}", "PRE_COMMIT_HOME": str(runner.root / "hooks")}
    run = f"git add -A && {sys.executable} -m pre_commit run"
    done = runner.bash(run, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped" in done.stdout  # no lockfile is staged
    lock.write_text(npm_lock({"other": GIT_ENTRY["git-words"]}))
    done = runner.bash(run, environment)
    assert done.returncode == 1
    assert "exit code: 5" in done.stdout
    assert "npm:other@1.0.0" in done.stdout
