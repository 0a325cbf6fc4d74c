"""Honest npm packages that do what a thief does for good reasons: every one must come out clean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

from tests.packages import build
from tests.packages.fixture import Built, Expectation, Fixture

CLEAN = Expectation(verdicts=("clean",))
TOOL_URL = "https://binaries.tile-press.test/v1.0.0/tile-press-linux-x64"


def _neighbour(
    name: str,
    package: str,
    why: str,
    files: build.Files | Callable[[], build.Files],
    *,
    profile: str = "",
    needs: tuple[Literal["index", "compiler"], ...] = (),
    served: dict[str, bytes] | None = None,
    folder_target: bool = False,
    **manifest: Any,
) -> Fixture:
    """A package that must come out clean."""

    def make(folder: Path) -> Built:
        whole = files() if callable(files) else files
        pack = build.npm_folder if folder_target else build.npm
        return Built(target=pack(folder, package, whole, **manifest), served=served or {})

    return Fixture(
        name=name, ecosystem="npm", kind="neighbour", package=package, build=make, why=why, expect=CLEAN,
        profile=dedent(profile).lstrip("\n"), needs=needs,
    )  # fmt: skip


def _code(text: str) -> str:
    return dedent(text).lstrip("\n")


def _addon() -> build.Files:
    return {
        "binding.gyp": json.dumps({"targets": [{"target_name": "addon", "sources": ["addon.c"]}]}),
        "addon.c": (build.C_SOURCES / "addon.c").read_bytes(),
        "index.js": 'module.exports = require("./build/Release/addon.node");\n',
    }


_DOWNLOAD = _code(
    """
    const fs = require("node:fs");
    const path = require("node:path");

    const url = "https://binaries.tile-press.test/v1.0.0/tile-press-linux-x64";
    const target = path.join(__dirname, "bin", "tile-press");

    async function main() {
      const answer = await fetch(url);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.writeFileSync(target, Buffer.from(await answer.arrayBuffer()), { mode: 0o755 });
    }

    main().catch((error) => console.warn(`tile-press: using the slower JavaScript build (${error.message})`));
    """
)

_DOWNLOAD_PROFILE = """
    about: fetches the compiled program of its own release
    expect:
      - why: the compiled program of this release, from the release's own host
        phases: [install]
        request: ["https://binaries.tile-press.test/v1.0.0/*"]
      - why: the host of the compiled program has to be found and reached
        phases: [install]
        lookup: [binaries.tile-press.test]
        connect: ["binaries.tile-press.test:443"]
"""

DOTENV_PROFILE = """
    about: loads the settings of the project that it is used in
    expect:
      - why: reading the project's own .env is what it is for
        phases: [import, run]
        read: ["./.env"]
"""

_HUSKY_PROFILE = """
    about: points git at the hooks that it brings
    expect:
      - why: asks git for the repository and sets core.hooksPath, in the project only
        phases: [install]
        run: [/usr/bin/git, /usr/lib/git-core/git]
        args: ["*git rev-parse --git-dir", "*git config core.hooksPath .husky"]
"""

_DOTENV = _code(
    """
    const fs = require("node:fs");
    const path = require("node:path");

    function parse(text) {
      const lines = text.split("\\n").filter((line) => /^[A-Z_]+=/.test(line));
      return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
    }

    function load() {
      try {
        return parse(fs.readFileSync(path.resolve(process.cwd(), ".env"), "utf8"));
      } catch {
        return {};
      }
    }

    module.exports = { parse, load, loaded: Object.keys(load()).length };
    """
)

_CONFIGSTORE = _code(
    """
    #!/usr/bin/env node
    const fs = require("node:fs");
    const os = require("node:os");
    const path = require("node:path");

    const base = process.env.XDG_CONFIG_HOME || path.join(os.homedir(), ".config");
    const file = path.join(base, "configstore", "tidy-cli.json");

    function read() {
      try {
        return JSON.parse(fs.readFileSync(file, "utf8"));
      } catch {
        return { runs: 0 };
      }
    }

    const state = read();
    state.runs += 1;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify(state), { mode: 0o600 });
    console.log(`run ${state.runs}`);
    """
)

_TELEMETRY = _code(
    """
    const fs = require("node:fs");
    const os = require("node:os");
    const path = require("node:path");

    function agreed() {
      if (process.env.DO_NOT_TRACK || process.env.CI) return false;
      try {
        const file = path.join(os.homedir(), ".config", "mesh-build", "telemetry.json");
        return JSON.parse(fs.readFileSync(file, "utf8")).agreed === true;
      } catch {
        return false;
      }
    }

    async function report(event) {
      if (agreed()) await fetch("https://telemetry.mesh-build.test/v1", { method: "POST", body: event });
    }

    report("loaded").catch(() => {});
    module.exports = { report };
    """
)

_HUSKY = _code(
    """
    const { spawnSync } = require("node:child_process");

    const git = (...words) => spawnSync("git", words, { stdio: "ignore" }).status === 0;

    if (!process.env.CI && git("rev-parse", "--git-dir")) git("config", "core.hooksPath", ".husky");
    """
)

_FUNDING = _code(
    """
    if (!process.env.DISABLE_OPENCOLLECTIVE) {
      console.log("\\u001b[96mThank you for using grid-flow. If you rely on it, consider helping:\\u001b[0m");
      console.log("> https://fund.grid-flow.test/donate");
    }
    """
)

_FILE_IO = _code(
    """
    #!/usr/bin/env node
    const fs = require("node:fs");
    const os = require("node:os");
    const path = require("node:path");

    if (process.argv.includes("--help")) {
      console.log("usage: list-lines [FILE]");
      process.exit(0);
    }
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "list-lines-"));
    const names = fs.readdirSync(process.cwd());
    fs.writeFileSync(path.join(scratch, "names.txt"), names.join("\\n"));
    fs.renameSync(path.join(scratch, "names.txt"), path.join(scratch, "sorted.txt"));
    console.log(fs.readFileSync(path.join(scratch, "sorted.txt"), "utf8").split("\\n").length);
    fs.rmSync(scratch, { recursive: true });
    """
)

_SERVER = _code(
    """
    const http = require("node:http");

    const server = http.createServer((request, response) => response.end("ready"));
    server.listen(0, "127.0.0.1", () => {
      http.get({ port: server.address().port, host: "127.0.0.1", agent: false }, (response) => {
        response.resume().on("end", () => server.close());
      });
    });
    module.exports = server;
    """
)

_WORKERS = _code(
    """
    const { execFileSync } = require("node:child_process");
    const { Worker, isMainThread, parentPort } = require("node:worker_threads");

    if (isMainThread) {
      new Worker(__filename).once("message", (sum) => (module.exports.sum = sum));
      const printed = execFileSync(process.execPath, ["-p", "process.versions.v8"]);
      module.exports.version = printed.toString().trim();
    } else {
      parentPort.postMessage([1, 2, 3].reduce((left, right) => left + right));
    }
    """
)

_SYSTEM = _code(
    """
    const { execSync } = require("node:child_process");
    const fs = require("node:fs");
    const os = require("node:os");

    const model = /^model name\\s*: (.*)$/m.exec(fs.readFileSync("/proc/cpuinfo", "utf8"));
    module.exports = {
      model: model ? model[1] : "unknown",
      kernel: execSync("uname -a").toString().trim(),
      processors: os.cpus().length,
      memory: os.totalmem(),
    };
    """
)

_INDEX = {"index.js": "module.exports = (text) => String(text).trim();\n"}

NEIGHBOURS = [
    _neighbour(
        "npm-native-addon", "fast-sum", "compiled by node-gyp: make, a compiler, hundreds of files",
        _addon, needs=("compiler",), gypfile=True,
    ),
    _neighbour(
        "npm-binary-download", "tile-press", "postinstall downloads the binary that its profile expects",
        {"install.js": _DOWNLOAD, **_INDEX}, scripts={"postinstall": "node install.js"},
        served={TOOL_URL: b"#!/bin/sh\necho tile-press 1.0.0\n"}, profile=_DOWNLOAD_PROFILE,
    ),
    _neighbour(
        "npm-dotenv", "env-lines", "reads the project's own .env, as dotenv does",
        {"index.js": _DOTENV}, profile=DOTENV_PROFILE,
    ),
    _neighbour(
        "npm-configstore", "tidy-cli", "its command keeps a counter in ~/.config/configstore",
        {"cli.js": _CONFIGSTORE, **_INDEX}, bin={"tidy-cli": "cli.js"},
    ),
    _neighbour(
        "npm-telemetry", "mesh-build", "asks whether telemetry was agreed to; it was not",
        {"index.js": _TELEMETRY},
    ),
    _neighbour(
        "npm-husky", "hooked-notes", "`prepare` of a package folder sets git's hooks path, as husky does",
        {"prepare.js": _HUSKY, ".husky/pre-commit": "npm test\n", **_INDEX}, folder_target=True,
        scripts={"prepare": "node prepare.js"}, profile=_HUSKY_PROFILE,
    ),
    _neighbour(
        "npm-funding", "grid-flow", "postinstall prints a request for donations, in colour",
        {"postinstall.js": _FUNDING, **_INDEX}, scripts={"postinstall": "node postinstall.js"},
    ),
    _neighbour(
        "npm-file-io", "list-lines", "its command lists the working directory and uses a temporary folder",
        {"cli.js": _FILE_IO, **_INDEX}, bin={"list-lines": "cli.js"},
    ),
    _neighbour(
        "npm-local-server", "ready-server", "starts an HTTP server on the loopback address and calls it",
        {"index.js": _SERVER},
    ),
    _neighbour(
        "npm-workers", "sum-workers", "a worker thread and a child of node's own",
        {"index.js": _WORKERS},
    ),
    _neighbour(
        "npm-system", "machine-facts", "reads /proc/cpuinfo and asks uname, as build tools do",
        {"index.js": _SYSTEM},
    ),
]  # fmt: skip
