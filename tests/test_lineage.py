"""Who did it: roles and packages of processes, whatever a hostile package does to be taken for another."""

from __future__ import annotations

import pytest

from sandbox.events import Header, ProgramStarted
from sandbox.facts import gather
from sandbox.globs import Matcher
from sandbox.lineage import Actor, Process, Program, Table, package_of, program_name
from tests.recording import NPM, PIP, PROJECT, Story

BUILD = "/tmp/pip-install-x1/thing-dep_" + "0123456789abcdef" * 2
CLONE = "/home/dev/.npm/_cacache/tmp/git-cloneAb12"
IN_PROCESS = "/opt/pip/pip/_vendor/pyproject_hooks/_in_process/_in_process.py"


def actor(story: Story, serial: int) -> Actor:
    return gather(story.recording()).table.processes[serial].actor


def who(story: Story, serial: int) -> tuple[str, str]:
    found = actor(story, serial)
    return found.role, found.package


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/python3.11", "python"),
        ("/usr/bin/node", "node"),
        ("nodejs-22", "nodejs"),
        ("/usr/bin/base64", "base64"),
        ("perl5.36.0", "perl"),
        ("-bash", "bash"),
        ("/tmp/x (deleted)", "x"),
        ("/usr/bin/g++", "g++"),
        ("", ""),
    ],
)
def test_the_bare_name_of_a_program(path: str, name: str) -> None:
    assert program_name(path) == name


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/p/node_modules/a", "a"),
        ("/p/node_modules/a/lib/x", "a"),
        ("/p/node_modules/@s/a/lib", "@s/a"),
        ("/p/node_modules/a/node_modules/b", "b"),
        ("/p/node_modules/.bin", None),
        ("/p/node_modules/@s", None),
        ("/p/node_modules/", None),
        ("/p", None),
        ("", None),
    ],
)
def test_the_package_of_a_folder(path: str, package: str | None) -> None:
    assert package_of(path) == package


def test_npm_is_the_installer_also_when_it_renames_itself() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    fork = story.fork(root)
    story.run(fork, "/usr/bin/node", ["npm install thing"])
    assert who(story, root) == ("installer", "thing")
    assert who(story, fork) == ("installer", "thing")


def test_a_lifecycle_script_is_its_packages_and_so_are_its_children() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root, "@s/dep")
    child = story.child(script, "/usr/bin/node", ["node", "x.js"], "/tmp")
    elsewhere = story.child(child, "/usr/bin/dash", ["sh"], f"{PROJECT}/node_modules/innocent")
    for serial in (script, child, elsewhere):
        assert who(story, serial) == ("package", "@s/dep")
        assert actor(story, serial).stem == script


def test_a_script_that_becomes_npm_stays_a_script() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root)
    story.run(script, "/usr/bin/node", NPM)
    assert who(story, script) == ("package", "thing")


@pytest.mark.parametrize("argv", [NPM, ["npm install thing"], ["a title of its own", "", ""], []])
def test_a_copy_by_fork_is_no_new_program(argv: list[str]) -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    fork = story.fork(root)
    story.add(ProgramStarted, process=fork, exe=NPM[0], argv=argv, cwd=f"{PROJECT}/node_modules/thing")
    assert who(story, fork) == ("installer", "thing")
    program = actor(story, fork).program
    assert program is not None
    assert program.forked


def test_the_root_of_an_installation_that_becomes_something_else_is_no_installer() -> None:
    story = Story()
    root = story.begin("install", "install", PIP)
    assert who(story, root)[0] == "installer"
    story.run(root, "/usr/bin/python3.11", ["python", "/tmp/evil.py"])
    assert who(story, root) == ("package", "thing")


def test_an_install_phase_that_begins_with_something_else() -> None:
    story = Story()
    root = story.begin("install:unpack", "install", ["/usr/bin/tar", "-xzf", "x.tgz"])
    assert who(story, root) == ("installer", "thing")


def test_git_is_a_tool_and_what_it_runs_for_itself_too() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    git = story.child(root, "/usr/bin/git", ["git", "ls-remote", "https://h.test/x.git"])
    helper = story.child(git, "/usr/lib/git-core/git-remote-http", ["git-remote-https", "origin"])
    shell = story.child(git, "/usr/bin/dash", ["sh", "-c", "ssh h"])
    other = story.child(shell, "/usr/bin/curl", ["curl", "h"])
    assert [who(story, serial)[0] for serial in (git, helper, shell, other)] == ["tool", "tool", "tool", "package"]


def test_a_program_of_the_packages_called_git_is_no_tool() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    assert who(story, story.child(root, "/home/dev/.local/bin/git", ["git", "status"]))[0] == "package"
    assert who(story, story.child(root, "/usr/bin/uname", ["uname", "-a"]))[0] == "tool"
    assert who(story, story.child(root, "/usr/bin/dash", ["sh", "-c", "x"])) == ("package", "thing")


def test_a_git_dependency_is_named_by_its_repository() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    story.child(root, "/usr/bin/git", ["git", "clone", "--depth=1", "file:///srv/relay.git", CLONE])
    inner = story.child(root, "/usr/bin/node", NPM, CLONE)
    prepare = story.child(inner, "/usr/bin/dash", ["sh", "-c", "node prepare.js"], CLONE)
    unknown = story.child(root, "/usr/bin/dash", ["sh", "-c", "x"], CLONE + "Other")
    assert who(story, inner)[0] == "installer"
    assert who(story, prepare) == ("package", "(git dependency file:///srv/relay.git)")
    assert who(story, unknown) == ("package", "(git dependency)")


def test_a_clone_is_known_by_its_working_folder_too() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    story.child(root, "/usr/bin/git", ["git", "fetch", "git@h.test:o/relay.git"], CLONE)
    prepare = story.child(root, "/usr/bin/dash", ["sh", "-c", "x"], CLONE)
    assert who(story, prepare)[1] == "(git dependency git@h.test:o/relay.git)"


@pytest.mark.parametrize(
    ("cwd", "package"), [(BUILD, "thing-dep"), (f"{BUILD}/sub", "thing-dep"), ("/tmp/pip-req-build-a1", "thing")]
)
def test_a_build_is_its_packages(cwd: str, package: str) -> None:
    story = Story(ecosystem="pypi")
    root = story.begin("install", "install", PIP)
    build = story.child(root, "/usr/bin/python3.11", ["python", IN_PROCESS, "build_wheel"], cwd)
    assert who(story, build) == ("package", package)


def test_pip_in_a_build_environment_is_still_pip_but_another_script_is_not() -> None:
    story = Story(ecosystem="pypi")
    root = story.begin("install", "install", PIP)
    inner = story.child(root, "/usr/bin/python3.11", ["python", PIP[1], "install", "setuptools"])
    module = story.child(root, "/usr/bin/python3.11", ["python", "-m", "pip", "install", "wheel"])
    other = story.child(root, "/usr/bin/python3.11", ["python", "/tmp/pip/__pip-runner__.py", "install"])
    assert [who(story, serial)[0] for serial in (inner, module, other)] == ["installer", "installer", "package"]


def test_an_orphan_is_never_the_installers() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    early = story.fork(root, known=False)
    script = story.script(root, "dep")
    late = story.fork(root, known=False)
    own_session = story.fork(script, session=77)
    heir = story.fork(0, known=False, session=77)
    assert who(story, early) == ("package", "thing")
    assert who(story, late) == ("package", "dep")
    assert who(story, heir) == ("package", "dep")
    assert actor(story, heir).stem == actor(story, own_session).stem == script


def test_a_process_without_a_parent_that_is_no_root() -> None:
    story = Story()
    story.begin("install", "install", NPM)
    assert who(story, story.fork(0)) == ("package", "thing")


def test_a_process_that_nobody_announced_acts_for_the_target() -> None:
    story = Story()
    story.read(99, "/etc/passwd")
    assert who(story, 99) == ("package", "thing")


def test_a_serial_that_is_announced_twice_counts_once() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root)
    again = story.events[-3]
    story.events.append(again)
    assert who(story, script) == ("package", "thing")


def test_other_phases_are_the_targets() -> None:
    story = Story()
    root = story.begin("import:thing (require)", "import", ["/usr/bin/node", "-e", 'require("thing")'])
    assert who(story, root) == ("package", "thing")


def test_all_names_of_a_program() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root)
    op = "/home/dev/.local/bin/op"
    stub = story.child(script, "/usr/bin/dash", ["/bin/sh", op, "x"], path=op)
    program = actor(story, stub).program
    assert program is not None
    assert program.script == "/home/dev/.local/bin/op"
    assert program.names == ("dash", "op")
    assert program.command == "/usr/bin/dash /home/dev/.local/bin/op x"


def test_a_long_argument_stands_for_its_beginning() -> None:
    code = "x" * 5000
    told = Program(at=0, line=1, exe="/usr/bin/node", argv=["node", "-e", code, "last"], cwd="/").command
    assert told == f"/usr/bin/node -e {code[:1000]}\0 last"
    assert Matcher([("/usr/bin/node **", 1)]).find(told)
    assert not Matcher([(f"/usr/bin/node -e {code[:1000]} last", 1)]).find(told)
    short = Program(at=0, line=1, exe="/usr/bin/node", argv=["node", "-e", code[:1000]], cwd="/").command
    assert short == f"/usr/bin/node -e {code[:1000]}"


def test_places_that_the_user_can_write_are_not_the_systems() -> None:
    table = Table(Header(), [])
    assert table.is_system("/usr/bin/git")
    for path in ("/home/dev/x", "/tmp/x", "/dev/shm/x", "relative", "/memfd:x", "/proc/self/exe"):
        assert not table.is_system(path)


def test_a_program_without_arguments_is_no_manager() -> None:
    program = Program(at=0, line=1, exe="/usr/bin/node", argv=[], cwd="/")
    process = Process(1, None, 0, None)
    table = Table(Header(package="t"), [])
    assert not table._is_manager(program)
    assert table._role(process, Actor(process, "installer", "t", None, 1), program) == ("package", "t")


@pytest.mark.parametrize(
    ("exe", "argv", "runs"),
    [
        ("/bin/busybox", ["wget", "-O-", "http://x.test"], "/bin/wget"),
        ("/bin/busybox", ["/bin/sh", "-c", "true"], "/bin/sh"),
        ("/bin/busybox", ["-sh"], "/bin/sh"),
        ("/bin/busybox", ["/bin/busybox", "nc", "x.test"], "/bin/nc"),
        ("/bin/busybox", ["busybox"], "/bin/busybox"),
        ("/bin/busybox", [], "/bin/busybox"),
        ("/usr/bin/toybox", ["cat"], "/usr/bin/cat"),
        ("/tmp/busybox", ["cat"], "/tmp/busybox"),  # not the system's: its first argument is only its word
        ("/home/dev/project/busybox", ["cat"], "/home/dev/project/busybox"),
        ("/usr/bin/node", ["cat"], "/usr/bin/node"),
    ],
)
def test_one_program_under_many_names_is_the_one_that_was_called(exe: str, argv: list[str], runs: str) -> None:
    story = Story()
    root = story.begin("import:thing", "import", ["/usr/bin/node", "-e", "x"])
    program = actor(story, story.child(root, exe, argv)).program
    assert program is not None
    assert program.exe == runs
