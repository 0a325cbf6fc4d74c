"""Cursor: its server configuration and its login."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._stores import database


def plant(draw: Draw, person: Person) -> Bait:
    """~/.cursor/mcp.json, the editor's state database and the command-line login."""
    claims: dict[str, object] = {
        "sub": "auth0|user_" + draw.text(_tokens.BASE62, 26),
        "iss": "https://authentication.cursor.sh",
        "exp": _tokens.EXPIRES,
        "scope": "openid profile email offline_access",
    }
    access, refresh = _tokens.jwt(draw, claims, "HS256"), _tokens.jwt(draw, claims, "HS256")
    key, figma = "sntrys_" + draw.text(_tokens.BASE62, 64), "figd_" + draw.text(_tokens.URL64, 40)
    servers = {
        "sentry": {"command": "npx", "args": ["-y", "sentry-mcp"], "env": {"SENTRY_AUTH_TOKEN": key}},
        "figma": {"url": "http://127.0.0.1:3845/mcp", "headers": {"X-Figma-Token": figma}},
    }
    state = database(
        "CREATE TABLE ItemTable (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB);",
        [
            ("ItemTable", ("cursorAuth/accessToken", access)),
            ("ItemTable", ("cursorAuth/refreshToken", refresh)),
            ("ItemTable", ("cursorAuth/cachedEmail", person.email)),
            ("ItemTable", ("cursorAuth/stripeMembershipType", "pro")),
        ],
    )
    return Bait(
        decoy="cursor",
        files=(
            BaitFile("~/.cursor/mcp.json", _tokens.document({"mcpServers": servers}), age=29),
            BaitFile("~/.config/Cursor/User/globalStorage/state.vscdb", state, 0o644, 1.1),
            BaitFile(
                "~/.config/cursor/auth.json",
                _tokens.document({"accessToken": access, "refreshToken": refresh}),
                age=12,
            ),
        ),
        tokens=(
            Token("cursor", "Sentry server token", key),
            Token("cursor", "Figma server token", figma),
            *_tokens.pieces("cursor", "access token", access),
            *_tokens.pieces("cursor", "refresh token", refresh),
        ),
    )


DECOY = Decoy("Cursor credentials", "~/.cursor/mcp.json and the editor's login", plant, ("Bitwarden CLI, April 2026",))
