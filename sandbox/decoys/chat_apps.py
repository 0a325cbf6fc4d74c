"""Chat programs: sessions of Slack, Discord, Telegram and Signal."""

from __future__ import annotations

import base64
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._stores import mark, opaque


def plant(draw: Draw, person: Person) -> Bait:
    """The store of each program, with a session in it."""
    team = _tokens.digits(draw, 12)
    numbers = f"{team}-{_tokens.digits(draw, 12)}-{_tokens.digits(draw, 13)}"
    slack = f"xoxc-{numbers}-{draw.text(_tokens.HEX, 64)}"
    user = base64.b64encode(_tokens.digits(draw, 18).encode()).decode()
    discord = f"{user}.G{draw.text(_tokens.URL64, 5)}.{draw.text(_tokens.URL64, 38)}"
    telegram, session, signal = mark(draw), mark(draw), draw.text(_tokens.HEX, 64)
    teams = {"teams": {"T" + draw.text("0123456789ABCDEFGHJKMNP", 8): {"name": person.company, "token": slack}}}
    test = {
        "ok": True,
        "team": person.company,
        "user": _tokens.account(person),
        "url": f"https://{person.company}.slack.com/",
    }
    desktop = b"TDF$" + (5_007_001).to_bytes(4, "little")
    tdata = "~/.local/share/TelegramDesktop/tdata"
    return Bait(
        decoy="chat_apps",
        files=(
            BaitFile(
                "~/.config/Slack/Local Storage/leveldb/000005.ldb",
                _log(draw, "localConfig_v2", json.dumps(teams)),
                age=1,
            ),
            BaitFile(
                "~/.config/discord/Local Storage/leveldb/000004.log",
                _log(draw, "token", f'"{discord}"'),
                age=3,
            ),
            BaitFile(f"{tdata}/key_datas", opaque(draw, desktop, 380, telegram), age=515),
            BaitFile(f"{tdata}/D877F783D5D3EF8Cs", opaque(draw, desktop, 700, session), age=11),
            BaitFile("~/.config/Signal/config.json", _tokens.document({"key": signal}), age=470),
        ),
        endpoints=(
            Endpoint(("slack.com",), "/api/(auth.test|team.info|users.list)", _tokens.document(test)),
            Endpoint(
                ("discord.com",),
                "/api/(v[0-9]+/)?users/@me",
                _tokens.document({"username": _tokens.account(person)}),
            ),
        ),
        tokens=(
            Token("chat_apps", "Slack session", slack),
            Token("chat_apps", "Discord token", discord),
            Token("chat_apps", "Telegram key", telegram),
            Token("chat_apps", "Telegram session", session),
            Token("chat_apps", "Signal database key", signal),
        ),
    )


def _log(draw: Draw, key: str, value: str) -> bytes:
    """One entry as a browser's local storage keeps it."""
    return _tokens.noise(draw, 7) + bytes([1, *bytes(7), 1]) + f"_file://\0\1{key}".encode() + b"\x01" + value.encode()


DECOY = Decoy("Chat programs", "sessions of Slack, Discord, Telegram and Signal", plant, ("GlassWorm, October 2025",))
