"""GitHub: the tokens of gh, git and the shell, and the account behind them, where a thief makes its
repository."""

from __future__ import annotations

import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, StubCommand, Token
from sandbox.decoys import _tokens
from sandbox.decoys._commands import command, words

API = ("api.github.com",)
REPOSITORY = "/repos/[^/]+/[^/]+"


def plant(draw: Draw, person: Person) -> Bait:
    """Three tokens of three kinds, the `gh` command, and enough of the interface to go on with them."""
    oauth, classic = _tokens.github(draw, "gho_"), _tokens.github(draw, "ghp_")
    fine = _tokens.github_fine_grained(draw)
    login = _tokens.account(person)
    hosts = (
        f"github.com:\n    users:\n        {login}:\n            oauth_token: {oauth}\n"
        f"    git_protocol: ssh\n    oauth_token: {oauth}\n    user: {login}\n"
    )
    settings = 'version: "1"\ngit_protocol: ssh\neditor: vim\nprompt: enabled\naliases:\n    co: pr checkout\n'
    return Bait(
        decoy="github",
        files=(
            BaitFile("~/.config/gh/hosts.yml", hosts.encode(), age=143),
            BaitFile("~/.config/gh/config.yml", settings.encode(), age=380, weight="low"),
            BaitFile("~/.git-credentials", f"https://{login}:{classic}@github.com\n".encode(), age=270),
        ),
        environment={"GITHUB_TOKEN": fine},
        endpoints=_endpoints(draw, person, login),
        commands=(_gh(login, oauth),),
        tokens=(
            Token("github", "gh token", oauth),
            Token("github", "personal access token", classic),
            Token("github", "fine-grained token", fine),
        ),
    )


def _repository(draw: Draw, login: str, name: str) -> dict[str, object]:
    return {
        "id": draw.number(400_000_000, 900_000_000),
        "name": name,
        "full_name": f"{login}/{name}",
        "private": False,
        "owner": {"login": login, "type": "User"},
        "html_url": f"https://github.com/{login}/{name}",
        "default_branch": "main",
        "permissions": {"admin": True, "push": True, "pull": True},
    }


def _endpoints(draw: Draw, person: Person, login: str) -> tuple[Endpoint, ...]:
    user = {
        "login": login,
        "id": draw.number(10_000_000, 90_000_000),
        "type": "User",
        "name": person.name,
        "company": f"@{person.company}",
        "email": person.email,
        "public_repos": 14,
        "two_factor_authentication": False,
    }
    scopes = (
        ("X-OAuth-Scopes", "admin:org, gist, repo, workflow, write:packages"),
        ("X-RateLimit-Limit", "5000"),
        ("X-RateLimit-Remaining", "4961"),
    )
    listed = [_repository(draw, login, name) for name in ("dotfiles", "storefront", "notes")]
    viewer = {"data": {"viewer": {"login": login, "name": person.name, "organizations": {"nodes": []}}}}
    digest = draw.text(_tokens.HEX, 40)
    made = {"sha": digest, "url": f"https://api.github.com/{digest}"}
    written = {"content": {"sha": digest, "path": "README.md"}, "commit": made}
    reference = {"ref": "refs/heads/main", "object": {"type": "commit", **made}}
    public = {"key_id": _tokens.digits(draw, 19), "key": draw.text(_tokens.BASE64, 43) + "="}

    def answer(method: str, path: str, body: object, status: int = 200) -> Endpoint:
        return Endpoint(API, path, json.dumps(body).encode(), method, status, headers=scopes)

    return (
        answer("GET", "/user", user),
        answer("GET", "/user/repos", listed),
        answer("POST", "/user/repos", _repository(draw, login, "notes-archive"), 201),
        answer("GET", "/user/orgs", [{"login": person.company, "id": draw.number(1_000_000, 9_000_000)}]),
        answer("GET", "/user/emails", [{"email": person.email, "primary": True, "verified": True}]),
        answer("POST", "/orgs/[^/]+/repos", _repository(draw, person.company, "notes-archive"), 201),
        answer("POST", "/graphql", viewer),
        answer(
            "GET",
            "/search/(commits|code|repositories)",
            {"total_count": 0, "incomplete_results": False, "items": []},
        ),
        answer("POST", "/gists", {"id": draw.text(_tokens.HEX, 32), "public": False}, 201),
        answer("PUT", f"{REPOSITORY}/contents/.*", written, 201),
        answer("GET", f"{REPOSITORY}/contents/.*", []),
        answer("GET", f"{REPOSITORY}/git/.*", reference),
        answer("PATCH", f"{REPOSITORY}/git/.*", reference),
        answer("POST", f"{REPOSITORY}/git/.*", made, 201),
        answer("GET", f"{REPOSITORY}/actions/secrets/public-key", public),
        answer("GET", f"{REPOSITORY}/actions/secrets", {"total_count": 1, "secrets": [{"name": "NPM_TOKEN"}]}),
        answer("PUT", f"{REPOSITORY}/actions/secrets/.*", {}, 201),
        answer("POST", f"{REPOSITORY}/(releases|actions/.*|forks|hooks|keys)", made, 201),
        Endpoint(("uploads.github.com",), f"{REPOSITORY}/releases/.*", json.dumps(made).encode(), "POST", 201),
    )


def _gh(login: str, token: str) -> StubCommand:
    status = (
        f"github.com\n  ✓ Logged in to github.com account {login} (~/.config/gh/hosts.yml)\n"
        "  - Active account: true\n  - Git operations protocol: ssh\n"
        f"  - Token: gho_{'*' * 36}\n  - Token scopes: 'gist', 'repo', 'workflow'"
    )
    return command(
        "gh",
        "gh version 2.62.0 (2024-11-14)\nhttps://github.com/cli/cli/releases/tag/v2.62.0",
        {
            words("auth token"): token,
            "'auth status'*--show-token*|'auth status'*' -t'*": status.replace("gho_" + "*" * 36, token),
            words("auth status"): status,
            "'api user'*.login*": login,
            words("api user"): json.dumps({"login": login, "type": "User"}),
            words("api"): "[]",
            words("repo list"): f"{login}/storefront\tprivate\n{login}/dotfiles\tpublic",
            words("repo create"): f"https://github.com/{login}/notes-archive",
            words("config get git_protocol"): "ssh",
        },
        "Work seamlessly with GitHub from the command line.\n\nUSAGE\n  gh <command> <subcommand> [flags]",
    )


DECOY = Decoy(
    "GitHub tokens",
    "gh and git tokens, GITHUB_TOKEN, the gh command, and an account in which repositories can be made",
    plant,
    ("nx, August 2025", "Shai-Hulud, September and November 2025", "TanStack, May 2026"),
)
