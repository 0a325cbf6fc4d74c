"""Personas: read strictly, planted whole, and never with a word that gives the guest away."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import discovery
from sandbox.bait import Bait, Draw
from sandbox.errors import UsageError
from sandbox.persona import (
    TELLING,
    Persona,
    bait_texts,
    etc_files,
    file_texts,
    furniture,
    load_personas,
    machine_files,
    plant,
    telling_word,
)

FOLDER = Path(__file__).parent.parent / "profiles" / "personas"
REGISTRIES = ("registry.corp.test/", "https://index.corp.test/simple/")


@pytest.fixture(scope="module")
def laptop() -> Persona:
    return load_personas([FOLDER])["laptop"]


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Writes the laptop with changes as a persona of its own, and gives its folder."""

    def write(**changes: object) -> Path:
        content = copy.deepcopy(yaml.safe_load((FOLDER / "laptop.yaml").read_text()))
        content.update(changes)
        (tmp_path / "laptop.yaml").write_text(yaml.safe_dump(content))
        return tmp_path

    return write


def test_the_laptop_passes_what_malware_checks(laptop: Persona) -> None:
    assert laptop.cpus >= 4
    assert laptop.uptime > 3 * 86400
    assert laptop.memory > 8 * 2**30
    assert (laptop.locale, laptop.timezone) == ("en_US.UTF-8", "America/New_York")
    assert laptop.path[0] == f"{laptop.home}/.local/bin"
    assert laptop.decoys == "all"


def test_variables_are_a_shell_s(laptop: Persona) -> None:
    variables = laptop.variables()
    assert variables["HOME"] == "/home/dev"
    assert variables["PATH"].startswith("/home/dev/.local/bin:")
    assert variables["LANG"] == "en_US.UTF-8"
    assert not any(name.startswith(("NODE_", "LD_", "PYTHON")) for name in variables)


def test_a_persona_speaks_what_its_programs_know(laptop: Persona) -> None:
    known = laptop.at_home(("C", "POSIX", "en_US.utf8"))
    assert known == laptop
    plain = laptop.at_home(("C", "C.utf8", "POSIX", "de_DE.utf8"))
    assert plain.variables()["LANG"] == "C.UTF-8"
    assert etc_files(plain)["/etc/default/locale"].strip() == b"LANG=C.UTF-8"
    named = {file.path: file.content for file in furniture(plain, Draw(1))}
    assert named["~/.config/user-dirs.locale"].strip() == b"C"
    everything = b"\n".join([*file_texts(furniture(plain, Draw(1))), *etc_files(plain).values()])
    assert b"en_US" not in everything


def test_the_person_is_the_persona_s(laptop: Persona) -> None:
    person = laptop.person(*REGISTRIES)
    assert (person.user, person.home, person.host) == (laptop.user, laptop.home, laptop.host)
    assert (person.npm_registry, person.pypi_registry) == REGISTRIES


def test_all_decoys_are_planted(laptop: Persona) -> None:
    baits = plant(laptop, Draw(1), laptop.person(*REGISTRIES))
    assert [bait.decoy for bait in baits] == list(discovery.load("decoys", "DECOY"))
    assert len(baits) >= 35
    variables = [name for bait in baits for name in bait.environment]
    assert 3 <= len(variables) <= 6


def test_some_decoys_are_planted(written: Any) -> None:
    few = load_personas([written(decoys=["ssh", "aws"])])["laptop"]
    assert [bait.decoy for bait in plant(few, Draw(1), few.person(*REGISTRIES))] == ["ssh", "aws"]


def test_planting_repeats_with_its_seed(laptop: Persona) -> None:
    person = laptop.person(*REGISTRIES)
    assert plant(laptop, Draw(4), person) == plant(laptop, Draw(4), person)
    assert furniture(laptop, Draw(4)) == furniture(laptop, Draw(4))
    one = {token.value for bait in plant(laptop, Draw(4), person) for token in bait.tokens}
    two = {token.value for bait in plant(laptop, Draw(), person) for token in bait.tokens}
    assert not one & two


def test_the_runner_says_that_it_is_one() -> None:
    runner = load_personas([FOLDER])["runner"]
    variables = runner.variables()
    assert (variables["CI"], variables["GITHUB_ACTIONS"], variables["HOME"]) == ("true", "true", "/home/runner")
    assert variables["GITHUB_WORKSPACE"] == runner.project
    assert variables["GITHUB_REPOSITORY"].partition("/")[0] == runner.company
    assert runner.uptime > 20 * 60 and runner.cpus > 2  # below which malware leaves


@pytest.mark.parametrize("who", ["laptop", "runner"])
@pytest.mark.parametrize("seed", range(8))
def test_nothing_planted_gives_the_guest_away(who: str, seed: int) -> None:
    laptop, draw = load_personas([FOLDER])[who], Draw(seed)
    for bait in plant(laptop, draw, laptop.person(*REGISTRIES)):
        everything = b"\n".join(bait_texts(bait)).lower()
        assert not [word for word in TELLING if word in everything], bait.decoy
        assert not [
            word for endpoint in bait.endpoints for word in TELLING if word.decode() in " ".join(endpoint.hosts)
        ]
    machine = {**etc_files(laptop, draw), **machine_files(laptop)}
    texts = [
        *file_texts(furniture(laptop, draw)),
        *(part for pair in machine.items() for part in (pair[0].encode(), pair[1])),
    ]
    texts += [f"{name}={value}".encode() for name, value in laptop.variables().items()]
    assert telling_word(texts) == ""


def test_every_path_is_planted_once(laptop: Persona) -> None:
    def absolute(path: str) -> str:
        return (
            path.replace("~/", f"{laptop.home}/", 1).replace("./", f"{laptop.project}/", 1) if path[0] in "~." else path
        )

    baits = plant(laptop, Draw(1), laptop.person(*REGISTRIES))
    paths = [absolute(each.path) for bait in baits for each in bait.files]
    paths += [absolute(each.path) for each in furniture(laptop, Draw(1))]
    paths += [f"{laptop.home}/.local/bin/{command.name}" for bait in baits for command in bait.commands]
    paths += list(etc_files(laptop))
    assert len(set(paths)) == len(paths)
    folders = {str(parent) for path in paths for parent in Path(path).parents}
    assert not folders & set(paths)


def test_a_telling_word_by_chance_is_drawn_again(laptop: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    decoy = discovery.load("decoys", "DECOY")["vpn"]
    calls: list[int] = []

    class Unlucky:
        @staticmethod
        def plant(draw: Draw, person: object) -> Bait:
            calls.append(1)
            return Bait("vpn", environment={"KEY": "xFaKe1"}) if len(calls) == 1 else decoy.plant(draw, person)

    monkeypatch.setattr("sandbox.persona.discovery.load", lambda *_: {"vpn": Unlucky})
    baits = plant(laptop, Draw(1), laptop.person(*REGISTRIES))
    assert len(calls) == 2
    assert baits[0].files


def test_a_persona_that_names_a_telling_word_is_refused(written: Any) -> None:
    persona = load_personas([written(host="honeypot-3")])["laptop"]
    with pytest.raises(UsageError, match="'honey'"):
        plant(persona, Draw(1), persona.person(*REGISTRIES))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, r"unknown field `colour`"),
        ({"cpus": 0}, r"\$\.cpus"),
        ({"cpus": "eight"}, r"\$\.cpus"),
        ({"decoys": ["aws", "nonsense"]}, r"no decoy 'nonsense' - at `\$\.decoys\[1\]`"),
        ({"decoys": "some"}, r"\$\.decoys"),
        ({"id": "other"}, r"\$\.id"),
        ({"home": "home/dev"}, r"\$\.home"),
        ({"name": "a:b"}, r"\$\.name"),
        ({"host": "a\nb"}, r"\$\.host"),
        ({"path": ["bin"]}, r"\$\.path\[0\]"),
        ({"environment": {"EDITOR": 3}}, r"\$\.environment"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_with_its_place(written: Any, changes: dict[str, object], said: str) -> None:
    folder = written(**changes)
    with pytest.raises(UsageError, match=said) as caught:
        load_personas([folder])
    assert str(folder / "laptop.yaml") in str(caught.value)


@pytest.mark.parametrize("text", ["", "id: [", "- a\n", "\x00", "id: laptop\n"])
def test_what_is_no_persona_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "laptop.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"laptop\.yaml"):
        load_personas([tmp_path])


def test_a_later_folder_wins_and_an_empty_one_adds_nothing(written: Any, tmp_path: Path) -> None:
    mine = written(host="my-desk")
    assert load_personas([FOLDER, mine])["laptop"].host == "my-desk"
    assert load_personas([tmp_path / "missing"]) == {}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_login_shell_starts_in_the_home(laptop: Persona, tmp_path: Path, shell: str) -> None:
    for each in furniture(laptop, Draw(1)):
        if each.path.startswith("~/."):
            place = tmp_path / each.path[2:]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(each.content)
    run = subprocess.run(
        [shell, "-l", "-c", "echo $PATH"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert run.stderr == ""
    assert f"{tmp_path}/.local/bin" in run.stdout
