"""npm: the publish token in ~/.npmrc, and the registry's account interface, which no installation asks."""

from __future__ import annotations

import re

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """~/.npmrc with a token for the registry of this run and one for the company's, NPM_TOKEN, the
    interface."""
    token, own = _tokens.npm(draw), _tokens.npm(draw)
    private = f"npm.{person.company}.internal"
    place = (person.npm_registry or private + "/public").strip("/")
    host, _, path = place.partition("/")
    npmrc = (
        f"//{place}/:_authToken={token}\n"
        f"@{person.company}:registry=https://{private}/\n//{private}/:_authToken={own}\n"
        f"init-author-name={person.name}\ninit-license=MIT\n"
    )
    login = _tokens.account(person)
    profile = {
        "name": login,
        "email": person.email,
        "email_verified": True,
        "tfa": None,
        "fullname": person.name,
    }
    entry = {
        "token": token[:8],
        "key": draw.text(_tokens.HEX, 64),
        "readonly": False,
        "automation": True,
        "created": "2025-09-02T10:21:44.117Z",
    }
    hosts = (host.partition(":")[0].lower(),)
    before = f"/{re.escape(path)}" if path else ""
    exchange = {"token": own, "token_type": "oidc", "expires": _tokens.EXPIRES_TEXT}

    def answer(path: str, body: object, method: str = "", status: int = 200) -> Endpoint:
        return Endpoint(hosts, before + path, _tokens.document(body), method, status)

    return Bait(
        decoy="npm_token",
        files=(BaitFile("~/.npmrc", npmrc.encode(), age=118),),
        environment={"NPM_TOKEN": token},
        endpoints=(
            answer("/-/whoami", {"username": login}),
            answer("/-/npm/v1/tokens", {"objects": [entry], "total": 1, "urls": {}}, "GET"),
            answer("/-/npm/v1/tokens", {**entry, "token": own}, "POST", 201),
            answer("/-/npm/v1/user", profile),
            answer("/-/npm/v1/oidc/token/exchange/package/.+", exchange, "POST", 201),
            answer(
                "/-/org/[^/]+/package",
                {f"@{person.company}/ui": "write", f"@{person.company}/config": "write"},
            ),
            answer("/-/user/.*", {"ok": True}, "PUT", 201),
        ),
        tokens=(
            Token("npm_token", "publish token", token),
            Token("npm_token", "company registry token", own),
        ),
    )


DECOY = Decoy(
    "npm publish token",
    "~/.npmrc, NPM_TOKEN, and the registry's account interface (whoami, tokens, user)",
    plant,
    ("Shai-Hulud, September and November 2025", "keyv, August 2026"),
)
