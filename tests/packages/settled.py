"""The check that keeps a fixture inert: it acts only as the planted user, where the internet is local.

True in a guest alone: uid 1000, home /home/dev, no route through any interface but `lo`, and a local route
for every address (a machine on a network, or off it, has no `/0 host LOCAL`). It only reads two files, so that
it is never itself what a sensor reports.
"""

from __future__ import annotations

from textwrap import dedent, indent

_JAVASCRIPT = """\
function settled() {
  try {
    const routes = fs.readFileSync("/proc/net/route", "utf8").trim().split("\\n").slice(1);
    const tree = fs.readFileSync("/proc/net/fib_trie", "utf8");
    const onlyLocal = routes.every((line) => line.startsWith("lo\\t")) && tree.includes("/0 host LOCAL");
    return process.getuid() === 1000 && os.homedir() === "/home/dev" && onlyLocal;
  } catch {
    return false;
  }
}
"""

_PYTHON = '''\
def settled():
    try:
        with open("/proc/net/route") as routes, open("/proc/net/fib_trie") as tree:
            away = [line for line in routes.readlines()[1:] if not line.startswith("lo\\t")]
            only_local = not away and "/0 host LOCAL" in tree.read()
        return os.getuid() == 1000 and os.path.expanduser("~") == "/home/dev" and only_local
    except OSError:
        return False
'''

_SHELL = """\
#!/bin/sh
settled() {
  [ "$(id -u)" = 1000 ] && [ "$HOME" = /home/dev ] || return 1
  grep -q '/0 host LOCAL' /proc/net/fib_trie 2>/dev/null || return 1
  ! tail -n +2 /proc/net/route | grep -qv '^lo'
}
settled || exit 0
"""


def javascript(body: str, modules: str = "", home: str = "/home/dev") -> str:
    """A CommonJS script whose `body` (which may await) runs in a guest only, with this home."""
    required = ["fs", "os", *modules.split()]
    head = "".join(f'const {name.split("/")[0]} = require("node:{name}");\n' for name in required)
    return head + _script(body).replace('"/home/dev"', f'"{home}"', 1)


def module(body: str, modules: str = "") -> str:
    """The same as an ES module."""
    head = "".join(f'import {name} from "node:{name}";\n' for name in ["fs", "os", *modules.split()])
    return head + _script(body)


def _script(body: str) -> str:
    main = indent(dedent(body).strip("\n"), "  ")
    call = "if (settled()) main().catch(() => {});"
    return f"{_JAVASCRIPT}\nasync function main() {{\n{main}\n}}\n\n{call}\n"


def python(body: str, modules: str = "", name: str = "main", call: bool = True) -> str:
    """A Python module whose function `name` runs `body` in a guest only, at once where `call`."""
    head = "".join(f"import {item}\n" for item in ["os", *modules.split()])
    main = indent(dedent(body).strip("\n"), "    ")
    last = f"\n\nif settled():\n    {name}()\n" if call else "\n"
    return f"{head}\n\n{_PYTHON}\n\ndef {name}():\n{main}\n{last}"


def shell(body: str) -> str:
    """A POSIX shell script that ends at once outside a guest."""
    return _SHELL + dedent(body).strip("\n") + "\n"
