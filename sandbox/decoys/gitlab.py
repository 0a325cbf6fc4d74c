"""GitLab: glab's token, for the company's own server and for the public one."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """glab's configuration and the account interface on both servers."""
    own, public = ("glpat-" + draw.text(_tokens.URL64, 19) + draw.text(_tokens.BASE62, 1) for _ in range(2))
    server, login = f"git.{person.company}.internal", _tokens.account(person)
    config = (
        f"git_protocol: ssh\neditor: vim\nhost: {server}\nhosts:\n"
        f"    {server}:\n        token: {own}\n        api_protocol: https\n        user: {login}\n"
        f"    gitlab.com:\n        token: {public}\n        api_protocol: https\n        user: {login}\n"
    )
    hosts = ("gitlab.com", server)
    user = {
        "id": draw.number(1_000_000, 9_000_000),
        "username": login,
        "name": person.name,
        "state": "active",
    }
    projects = [
        {
            "id": draw.number(1_000, 90_000),
            "path_with_namespace": "platform/storefront",
            "visibility": "private",
        }
    ]
    mine = {
        "id": draw.number(100, 9_000),
        "active": True,
        "revoked": False,
        "scopes": ["api", "write_repository"],
    }
    return Bait(
        decoy="gitlab",
        files=(BaitFile("~/.config/glab-cli/config.yml", config.encode(), age=96),),
        endpoints=(
            Endpoint(hosts, "/api/v4/user", _tokens.document(user), "GET"),
            Endpoint(hosts, "/api/v4/personal_access_tokens(/self)?", _tokens.document(mine), "GET"),
            Endpoint(hosts, "/api/v4/(projects|groups)", _tokens.document(projects), "GET"),
            Endpoint(hosts, "/api/v4/projects", _tokens.document(projects[0]), "POST", 201),
            Endpoint(
                hosts,
                "/api/v4/projects/[^/]+/variables",
                _tokens.document([{"key": "DEPLOY_ENV", "value": "production", "protected": True}]),
            ),
        ),
        tokens=(Token("gitlab", "company token", own), Token("gitlab", "gitlab.com token", public)),
    )


DECOY = Decoy("GitLab tokens", "glab's tokens for a company server and gitlab.com, and the account behind them", plant)
