"""Shell and interpreter histories, in which secrets were once typed."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """The histories of bash, zsh, Python and node, each with a secret among everyday commands."""
    postgres, deploy = _tokens.password(draw, 22), draw.text(_tokens.HEX, 40)
    registry, signing = _tokens.password(draw, 22), draw.text(_tokens.URL64, 44)
    inside = f"{person.company}.internal"
    bash = [
        "cd code/storefront",
        "git pull --rebase",
        "npm ci",
        "npm run dev",
        f"PGPASSWORD={postgres} psql -h db.{inside} -U app storefront",
        "git switch -c fix/cart-rounding",
        "npm test -- cart",
        "git commit -am 'round totals once'",
        "git push -u origin HEAD",
        f"curl -s -H 'Authorization: Bearer {deploy}' https://deploy.{inside}/api/releases | jq .",
        "docker compose up -d db",
        "ssh bastion",
        "kubectl -n storefront get pods",
        "python3 -m venv .venv && . .venv/bin/activate",
        "pip install -r requirements.txt",
        "df -h",
        "history | grep psql",
        "vim src/cart.ts",
        "cd ~/project",
        "git status",
    ]
    zsh = [
        "ls -la",
        f"echo {registry} | docker login registry.{inside} -u {_tokens.account(person)} --password-stdin",
        "brew --version",
        "cd code",
    ]
    python = [
        "import jwt",
        f"jwt.encode({{'sub': 1}}, '{signing}', algorithm='HS256')",
        "import datetime",
        "2**31 - 1",
    ]
    node = [
        f"new Pool({{password: '{postgres}'}})",
        "const {Pool} = require('pg')",
        "[1, 2, 3].at(-1)",
        ".exit",
    ]
    stamped = [f": {_tokens.ISSUED - 40_000 + 311 * number}:0;{line}" for number, line in enumerate(zsh)]

    def history(name: str, lines: list[str], age: float) -> BaitFile:
        return BaitFile(f"~/{name}", ("\n".join(lines) + "\n").encode(), age=age)

    return Bait(
        decoy="shell_history",
        files=(
            history(".bash_history", bash, 0.3),
            history(".zsh_history", stamped, 410),
            history(".python_history", python, 17),
            history(".node_repl_history", node, 48),
        ),
        tokens=(
            Token("shell_history", "database password", postgres),
            Token("shell_history", "deployment token", deploy),
            Token("shell_history", "registry password", registry),
            Token("shell_history", "signing key", signing),
        ),
    )


DECOY = Decoy(
    "Shell histories",
    "histories of bash, zsh, Python and node with secrets in some commands",
    plant,
    ("node-ipc, May 2026", "durabletask, May 2026"),
)
