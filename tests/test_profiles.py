"""Profiles: read strictly, chained, and never covering bait with a wildcard."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import profiles
from sandbox.errors import UsageError
from sandbox.events import (
    DataSent,
    DecoySent,
    FileOpened,
    Header,
    NameLookedUp,
    PlantedFile,
    ProcessStarted,
    RequestSent,
)
from sandbox.facts import Connection, Deed
from sandbox.lineage import Actor, Process, Program, Role
from sandbox.profiles import Expectation, Expectations, Profiles, expand, load, registry_hosts

BASE = "expect:\n- read: ['/usr/**']\n  by: any\n  why: the system's files\n"
HEADER = Header(
    package="thing",
    registries=["registry.test", "https://Mirror.test:8443/npm/", "[", ""],
    planted=[PlantedFile("aws", "/home/dev/.aws/credentials")],
)


def folder(path: Path, **sheets: str) -> Path:
    """A folder of profiles: `packages__npm__x=...` is packages/npm/x.yaml."""
    for name, text in {"base": BASE, "npm": "extends: base\n", **sheets}.items():
        file = path / (name.replace("__", "/") + ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def deed(
    verb: str,
    subject: str,
    *,
    role: Role = "package",
    package: str = "thing",
    kind: str = "install",
    decoy: str = "",
    serial: int = 7,
    program: Program | None = None,
    **more: object,
) -> Deed:
    process = Process(serial, ProcessStarted(at=0, process=serial, pid=1), 2, None)
    actor = Actor(process, role, package, program, serial)
    event = FileOpened(at=0, path=subject, access="read")
    fields = {"event": event, **more}
    return Deed(
        verb=verb, subject=subject, actor=actor, phase=kind, kind=kind, line=2, at=0, decoy=decoy, **fields
    )  # type: ignore[arg-type]  # only fields that exist


def ready(path: Path, **sheets: str) -> Expectations:
    return load([folder(path, **sheets)], "npm").for_recording(HEADER)


@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
def test_the_built_in_profiles_load_and_every_entry_has_a_reason(ecosystem: str) -> None:
    found = load([profiles.profile_folder()], ecosystem)
    assert len(found) > 30
    for name, path, sheet in found.sheets():
        assert path.exists()
        assert sheet.about, name
        for entry in sheet.expect:
            assert len(entry.why) > 15, (name, entry)


@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
def test_every_package_sheet_extends_its_ecosystem(ecosystem: str) -> None:
    for name, _, sheet in load([profiles.profile_folder()], ecosystem).sheets():
        if name.startswith("packages/"):
            assert sheet.extends == ecosystem


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("expect:\n- {read: [/x], why: because it is, when: now}\n", "expect[0]: Object contains unknown field `when`"),
        ("surprise: 1\n", "unknown field `surprise`"),
        ("expect:\n- {read: [/x]}\n", "expect[0]: Object missing required field `why`"),
        ("expect:\n- {read: [/x], why: short}\n", "expect[0].why"),
        ("expect:\n- {why: because it is so}\n", "expect[0]: says nothing"),
        ("expect:\n- {read: [], why: because it is so}\n", "expect[0].read"),
        ("expect:\n- {read: [x], why: because it is so}\n", "expect[0].read[0]: 'x' must begin with"),
        ("expect:\n- {request: [host/x], why: because it is so}\n", "expect[0].request[0]"),
        ("expect:\n- {read: ['/{a'], why: because it is so}\n", "expect[0].read[0]: braces"),
        ("expect:\n- {read: [/x], methods: [GET], why: because it is so}\n", "expect[0].methods: only of requests"),
        ("expect:\n- {read: [/x], args: [x], why: because it is so}\n", "expect[0].args: only of run and survive"),
        ("expect:\n- {lookup: [x.test], silent: true, why: because it is so}\n", "expect[0].silent: only of"),
        ("expect:\n- {lookup: [x.test], absent: true, why: because it is so}\n", "expect[0].absent: only of"),
        (
            "expect:\n- {request: ['http://x.test/'], methods: [POST], absent: true, why: because it is so}\n",
            "expect[0].absent: only of requests that fetch a file",
        ),
        ("expect:\n- {read: [/x], read: [/y], why: because it is so}\n", "read stands twice, line 2"),
        ("expect:\n- {read: [/x], by: me, why: because it is so}\n", "expect[0].by"),
        ("expect: [\n", "is not YAML"),
        ("extends: nowhere\n", "there is no profile called 'nowhere'"),
        ("- a list\n", "Expected `object`"),
    ],
)
def test_a_wrong_sheet_is_refused_with_its_file_and_the_path_to_the_key(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(UsageError) as error:
        load([folder(tmp_path, packages__npm__bad=text)], "npm")
    assert "bad.yaml" in str(error.value)
    assert where in str(error.value)


def test_what_is_absent_is_gathered_from_every_sheet_and_stays_expected(tmp_path: Path) -> None:
    entry = "- {{request: ['https://{0}.test/v*/x.tgz'], {1} why: it looks for a ready-made addon}}\n"
    made = folder(
        tmp_path,
        packages__npm__b="expect:\n" + entry.format("b", "absent: true,") + entry.format("other", "phases: [install],"),
        packages__npm__thing="expect:\n" + entry.format("a", "absent: true,"),
    )
    assert load([made], "npm").absent() == ("https://a.test/v*/x.tgz", "https://b.test/v*/x.tgz")
    event = RequestSent(
        at=0, connection=1, method="GET", url="https://a.test/v1/x.tgz", headers=[], status=404, answered_by="absent"
    )
    asked = deed("request", event.url, method="GET", event=event)
    assert load([made], "npm").for_recording(HEADER).explain(asked) is not None


def test_an_empty_sheet_is_a_sheet(tmp_path: Path) -> None:
    assert len(load([folder(tmp_path, packages__npm__x="")], "npm")) == 1


def test_a_missing_folder_or_ecosystem_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        load([tmp_path / "none"], "npm")
    with pytest.raises(UsageError, match=r"no profile pypi\.yaml"):
        load([folder(tmp_path)], "pypi")


def test_an_unreadable_sheet_is_a_usage_error(tmp_path: Path) -> None:
    (folder(tmp_path) / "packages" / "npm" / "x.yaml").mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot be read"):
        load([tmp_path], "npm")


def test_the_chain_of_a_package_holds_for_that_package_only(tmp_path: Path) -> None:
    sheet = "extends: npm\nexpect:\n- {lookup: [cdn.test], why: because it is so}\n"
    known = ready(tmp_path, packages__npm__thing=sheet)
    assert known.explain(deed("lookup", "cdn.test")) is not None
    assert known.explain(deed("lookup", "cdn.test", package="other")) is None
    assert known.explain(deed("lookup", "cdn.test", role="installer")) is None
    assert [entry.source for entry in known.used] == ["packages/npm/thing"]
    assert known.explain(deed("read", "/usr/x", package="other")) is not None


def test_scopes_are_folders_and_python_names_are_normal(tmp_path: Path) -> None:
    sheet = "expect:\n- {lookup: [cdn.test], why: because it is so}\n"
    known = load([folder(tmp_path, **{"packages__npm__@scope__x": sheet})], "npm").for_recording(HEADER)
    assert known.explain(deed("lookup", "cdn.test", package="@scope/x")) is not None
    assert profiles.package_key("pypi", "Ruamel.YAML_clib") == "ruamel-yaml-clib"


def test_a_later_folder_adds(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "npm.yaml").write_text("expect:\n- {lookup: [corp.test], by: any, why: the company's proxy}\n")
    known = load([folder(tmp_path / "built"), own], "npm").for_recording(HEADER)
    assert known.explain(deed("lookup", "corp.test")) is not None
    assert known.explain(deed("read", "/usr/x")) is not None


def test_no_wildcard_covers_bait(tmp_path: Path) -> None:
    sheet = "extends: npm\nexpect:\n- {read: ['~/**'], why: because it is so}\n"
    known = ready(tmp_path, packages__npm__thing=sheet)
    assert known.explain(deed("read", "/home/dev/.aws/models")) is not None
    assert known.explain(deed("read", "/home/dev/.aws/credentials", decoy="aws")) is None
    exact = sheet.replace("~/**", "~/.aws/{credentials,config}")
    known = ready(tmp_path, packages__npm__thing=exact)
    assert known.explain(deed("read", "/home/dev/.aws/credentials", decoy="aws")) is not None


@pytest.mark.parametrize(
    ("name", "explained"),
    [
        ("9.2.0.192.in-addr.arpa", True),
        ("2.0.192.in-addr.arpa", True),
        (".".join("1a" * 16) + ".ip6.arpa", True),
        ("0.8.b.d.0.1.0.0.2.ip6.arpa", True),
        ("318aa5e79406ff1a.2.0.192.in-addr.arpa", False),
        ("1.9.2.0.192.in-addr.arpa", False),
        ("256.2.0.192.in-addr.arpa", False),
        ("09.2.0.192.in-addr.arpa", False),
        (".".join("1a" * 16) + ".0.ip6.arpa", False),
        ("xy.8.b.d.0.ip6.arpa", False),
    ],
)
def test_no_wildcard_covers_what_is_no_name_of_an_address(tmp_path: Path, name: str, explained: bool) -> None:
    sheet = 'expect:\n- {lookup: ["*.in-addr.arpa", "*.ip6.arpa"], why: names of addresses}\n'
    found = ready(tmp_path, npm=sheet)
    assert (found.explain(deed("lookup", name)) is not None) == explained


def test_roles_and_phases_are_conditions(tmp_path: Path) -> None:
    sheet = "expect:\n- {lookup: [a.test], by: tool, phases: [import], why: because it is so}\n"
    known = ready(tmp_path, npm=f"extends: base\n{sheet}")
    assert known.explain(deed("lookup", "a.test", role="tool", kind="import")) is not None
    assert known.explain(deed("lookup", "a.test", role="tool")) is None
    assert known.explain(deed("lookup", "a.test", kind="import")) is None


def test_a_lookup_by_nobody_known_may_have_been_anybodys(tmp_path: Path) -> None:
    sheet = "extends: base\nexpect:\n- {lookup: [a.test], by: installer, why: because it is so}\n"
    known = ready(tmp_path, npm=sheet)
    event = NameLookedUp(at=0, name="a.test", kind="A")
    assert known.explain(deed("lookup", "a.test", serial=0, event=event)) is not None
    assert known.explain(deed("lookup", "a.test", event=event)) is None


def test_requests_are_reads_unless_methods_say_otherwise(tmp_path: Path) -> None:
    sheet = (
        "extends: base\nexpect:\n- {request: ['https://a.test/x/*'], why: because it is so}\n"
        "- {request: ['https://a.test/post'], methods: [POST], why: because it is so}\n"
    )
    known = ready(tmp_path, npm=sheet)

    def explained(method: str, url: str, size: int = 0) -> bool:
        event = RequestSent(at=0, connection=1, method=method, url=url, headers=[], body_size=size)
        return known.explain(deed("request", url, method=method, event=event)) is not None

    assert explained("GET", "https://a.test/x/1")
    assert not explained("GET", "https://a.test/x/1?secret=1".replace("/x/1?", "/y?"))
    assert not explained("GET", "https://a.test/x/1", size=3)
    assert not explained("POST", "https://a.test/x/1")
    assert explained("POST", "https://a.test/post", size=3)
    assert not explained("PUT", "https://a.test/post")


def test_what_is_sent_is_explained_by_method_only_where_nothing_else_passed(tmp_path: Path) -> None:
    sheet = (
        "extends: base\nexpect:\n"
        "- {send: ['npm_token header <registries>'], methods: [GET, HEAD], why: because it is so}\n"
    )
    known = ready(tmp_path, npm=sheet)

    def explained(*asked: tuple[str, str, int], where: str = "header", decoy: str = "npm_token", data: int = 0) -> bool:
        process = Process(7, ProcessStarted(at=0, process=7, pid=1), 2, None)
        connection = Connection(1, 2, None, Actor(process, "package", "thing", None, 7), "import")
        for method, url, size in asked:
            request = RequestSent(at=0, connection=1, method=method, url=url, headers=[], body_size=size)
            connection.requests.append((3, request))
        connection.data += [(4, DataSent(at=0, connection=1, data=b"x", size=1))] * data
        event = DecoySent(at=0, decoy=decoy, token="t", connection=1, host="registry.test", where=where)
        subject = f"{decoy} {where} registry.test"
        return known.explain(deed("send", subject, kind="import", event=event, connection=connection)) is not None

    get = ("GET", "https://registry.test/left-pad", 0)
    assert explained(get, ("HEAD", "https://registry.test/x", 0))
    assert not explained()
    assert not explained(get, data=1)
    assert not explained(get, ("PUT", "https://registry.test/left-pad", 0))
    assert not explained(("GET", "https://registry.test/left-pad", 5))
    assert not explained(get, ("GET", "https://other.test/", 0))
    assert not explained(get, where="url")
    assert not explained(get, decoy="github")


def test_arguments_and_programs_are_conditions(tmp_path: Path) -> None:
    sheet = (
        "extends: base\nexpect:\n- {run: [/usr/bin/git], args: ['describe *', status], why: because it is so}\n"
        "- {read: [~/.gitconfig], program: ['/usr/bin/git **'], why: because it is so}\n"
        "- {write: [./x], program: ['/usr/bin/git **'], why: because it is so}\n"
    )
    known = ready(tmp_path, npm=sheet)
    git = Program(at=0, line=1, exe="/usr/bin/git", argv=["git", "status"], cwd="/")
    assert known.explain(deed("run", "/usr/bin/git", arguments="describe --tags")) is not None
    assert known.explain(deed("run", "/usr/bin/git", arguments="push")) is None
    assert known.explain(deed("read", "/home/dev/.gitconfig", program=git)) is not None
    assert known.explain(deed("read", "/home/dev/.gitconfig")) is None
    assert known.explain(deed("change", "/home/dev/project/x", program=git)) is not None


def test_what_may_be_written_may_be_changed(tmp_path: Path) -> None:
    known = ready(tmp_path, npm="extends: base\nexpect:\n- {write: [./out/**], why: because it is so}\n")
    assert known.explain(deed("change", "/home/dev/project/out/x")) is not None
    assert known.explain(deed("change", "/home/dev/project/in/x")) is None


def test_a_package_may_be_named_and_is_never_a_wildcard(tmp_path: Path) -> None:
    known = ready(
        tmp_path, npm="extends: base\nexpect:\n- {write: ['./node_modules/**/<package>/**'], why: because it is so}\n"
    )
    assert known.explain(deed("write", "/home/dev/project/node_modules/thing/x")) is not None
    assert known.explain(deed("write", "/home/dev/project/node_modules/a/node_modules/thing/x")) is not None
    assert known.explain(deed("write", "/home/dev/project/node_modules/other/x")) is None
    for hostile in ("*", "**", "{a,other}", "..", "", "a/b/c"):
        assert known.explain(deed("write", "/home/dev/project/node_modules/other/x", package=hostile)) is None


def test_made_up_packages_do_not_fill_the_memory(tmp_path: Path) -> None:
    known = ready(tmp_path)
    for number in range(700):
        known.page("package", f"p{number}", "install")
    assert len(known._pages) < 520


@pytest.mark.parametrize(
    ("verb", "glob", "expected"),
    [
        ("read", "~", ["/home/dev"]),
        ("read", "~/.x", ["/home/dev/.x"]),
        ("write", "./x", ["/home/dev/project/x"]),
        ("write", ".", ["/home/dev/project"]),
        ("connect", "unix:./s", ["unix:/home/dev/project/s"]),
        ("lookup", "<registries>", ["registry.test", "mirror.test:8443"]),
        ("request", "https://<registries>/**", ["https://registry.test/**", "https://mirror.test:8443/**"]),
    ],
)
def test_places_are_filled_in(verb: str, glob: str, expected: list[str]) -> None:
    assert expand(verb, glob, HEADER) == expected


def test_registries_are_hosts_however_they_are_written() -> None:
    assert registry_hosts(HEADER) == ["registry.test", "mirror.test:8443"]


def test_a_circle_of_sheets_ends(tmp_path: Path) -> None:
    found = load([folder(tmp_path, base="extends: npm\n" + BASE)], "npm")
    assert [entry.source for entry in found.chain("npm")] == ["base"]


MAY_FAIL = "may_fail:\n  - phases: ['import:x/sub (require)']\n    why: it needs a database\n"


def test_an_import_that_may_fail_is_named_in_its_package_s_own_sheet(tmp_path: Path) -> None:
    sheets = load([folder(tmp_path, **{"packages__npm__x": MAY_FAIL, "packages__npm__y": "about: y"})], "npm")
    known = sheets.for_recording(Header(ecosystem="npm", package="x"))
    said = "packages/npm/x: import:x/sub (require): it needs a database"
    assert known.why_it_may_fail("import:x/sub (require)") == said
    assert known.why_it_may_fail("import:x/sub") == ""
    assert known.why_it_may_fail("import:x (require)") == ""
    other = sheets.for_recording(Header(ecosystem="npm", package="y"))
    assert other.why_it_may_fail("import:x/sub (require)") == ""


@pytest.mark.parametrize(
    ("sheet", "text", "said"),
    [
        ("npm", MAY_FAIL, "may_fail: only in the sheet of a package"),
        ("packages__npm__x", MAY_FAIL.replace("import:", "run:"), "is not the full name of an import phase"),
        ("packages__npm__x", MAY_FAIL.replace("sub", "*"), "is not the full name of an import phase"),
        ("packages__npm__x", MAY_FAIL.replace("    why: it needs a database\n", ""), "may_fail[0]: Object missing"),
        ("packages__npm__x", MAY_FAIL.replace("it needs a database", "x"), "may_fail[0].why"),
        ("packages__npm__x", MAY_FAIL + "    when: never\n", "may_fail[0]: Object contains unknown field `when`"),
        ("packages__npm__x", "may_fail:\n  - phases: []\n    why: it needs a database\n", "may_fail[0].phases"),
    ],
)
def test_what_may_fail_is_read_strictly(tmp_path: Path, sheet: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load([folder(tmp_path, **{sheet: text})], "npm")
    assert said in str(caught.value)


def test_no_profiles_are_no_profiles() -> None:
    assert len(Profiles({}, "npm")) == 0
    assert Profiles({}, "npm").for_recording(HEADER).explain(deed("read", "/usr/x")) is None


def test_an_entry_speaks_only_of_its_verbs() -> None:
    entry = Expectation(why="because it is so", read=("/x",))
    assert entry.globs("read") == ("/x",)
    assert entry.globs("write") == ()


def test_the_packed_folder_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "_profiles").mkdir()
    monkeypatch.setattr(profiles, "__file__", str(tmp_path / "profiles.py"))
    assert profiles.profile_folder() == tmp_path / "_profiles"
