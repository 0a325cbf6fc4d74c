"""Claude Code: its credentials, settings and server configurations, and the `claude` command."""

from __future__ import annotations

import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, StubCommand, Token
from sandbox.decoys import _tokens
from sandbox.decoys._commands import command, words


def plant(draw: Draw, person: Person) -> Bait:
    """The files in the home and below ~/.claude, the project's .mcp.json, the `claude` command."""
    key, gateway = _tokens.anthropic(draw, "api03"), _tokens.anthropic(draw, "api03")
    access, refresh = _tokens.anthropic(draw, "oat01"), _tokens.anthropic(draw, "ort01")
    server, linear = _tokens.github(draw, "ghp_"), "lin_api_" + draw.text(_tokens.BASE62, 40)
    oauth = {
        "accessToken": access,
        "refreshToken": refresh,
        "expiresAt": _tokens.EXPIRES * 1000,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
    settings = {
        "model": "opus",
        "env": {"ANTHROPIC_AUTH_TOKEN": gateway},
        "permissions": {"allow": ["Bash(npm run test:*)", "Bash(git diff:*)"], "deny": []},
    }
    servers = {"linear": {"command": "npx", "args": ["-y", "linear-mcp"], "env": {"LINEAR_API_KEY": linear}}}
    project = {
        "mcpServers": {"postgres": {"command": "npx", "args": ["-y", "mcp-postgres", "postgres://localhost/app"]}}
    }
    return Bait(
        decoy="claude",
        files=(
            BaitFile("~/.claude.json", _tokens.document(_state(draw, person, key, server)), age=1.5),
            BaitFile("~/.claude/.credentials.json", json.dumps({"claudeAiOauth": oauth}).encode(), age=6),
            BaitFile("~/.claude/settings.json", _tokens.document(settings), age=37),
            BaitFile("~/.claude/mcp.json", _tokens.document({"mcpServers": servers}), age=51),
            BaitFile(
                "~/.claude/CLAUDE.md",
                b"- Prefer small commits.\n- Run the tests before pushing.\n",
                0o644,
                90,
                "low",
            ),
            BaitFile("./.mcp.json", _tokens.document(project), 0o644, 25, "low"),
        ),
        environment={"ANTHROPIC_API_KEY": key},
        endpoints=(
            Endpoint(
                ("api.anthropic.com",),
                "/v1/models",
                _tokens.document({"data": [{"type": "model", "id": "claude-sonnet-4-5"}], "has_more": False}),
                "GET",
            ),
        ),
        commands=(_claude(),),
        tokens=(
            Token("claude", "interface key", key),
            Token("claude", "settings key", gateway),
            Token("claude", "access token", access),
            Token("claude", "refresh token", refresh),
            Token("claude", "GitHub server token", server),
            Token("claude", "Linear server key", linear),
        ),
    )


def _state(draw: Draw, person: Person, key: str, server: str) -> dict[str, object]:
    github = {"command": "npx", "args": ["-y", "github-mcp"], "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": server}}
    return {
        "numStartups": 214,
        "installMethod": "global",
        "autoUpdates": True,
        "userID": draw.text(_tokens.HEX, 64),
        "primaryApiKey": key,
        "oauthAccount": {
            "accountUuid": _tokens.identifier(draw),
            "emailAddress": person.email,
            "organizationUuid": _tokens.identifier(draw),
            "organizationName": person.company,
        },
        "mcpServers": {"github": github},
        "projects": {person.project: {"allowedTools": [], "hasTrustDialogAccepted": True, "history": []}},
        "hasCompletedOnboarding": True,
    }


def _claude() -> StubCommand:
    ready = "I've looked through the project. What would you like me to work on?"
    return command(
        "claude",
        "2.0.46 (Claude Code)",
        {
            "*'output-format json'*|*'output-format=json'*": json.dumps(
                {"type": "result", "subtype": "success", "is_error": False, "num_turns": 3, "result": ready}
            ),
            "*-p*|*--print*|*--dangerously-skip-permissions*": ready,
            words("mcp list"): "github: npx -y github-mcp - ✓ Connected\nlinear: npx -y linear-mcp - ✓ Connected",
            words("config list"): '{"model": "opus", "theme": "dark"}',
        },
        "Usage: claude [options] [command] [prompt]",
    )


DECOY = Decoy(
    "Claude Code credentials",
    "~/.claude.json and the files below ~/.claude, ANTHROPIC_API_KEY, the claude command",
    plant,
    ("nx, August 2025", "SANDWORM typosquats, February 2026", "Bitwarden CLI, April 2026"),
)
