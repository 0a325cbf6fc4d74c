"""Chrome: saved passwords, cookies and the key that seals them."""

from __future__ import annotations

import base64

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._stores import database

LOGINS = (
    "CREATE TABLE meta (key LONGVARCHAR NOT NULL UNIQUE PRIMARY KEY, value LONGVARCHAR);"
    "CREATE TABLE logins (origin_url VARCHAR NOT NULL, action_url VARCHAR, username_element VARCHAR, "
    "username_value VARCHAR, password_element VARCHAR, password_value BLOB, signon_realm VARCHAR NOT NULL, "
    "date_created INTEGER NOT NULL, blacklisted_by_user INTEGER NOT NULL, times_used INTEGER, "
    "id INTEGER PRIMARY KEY);"
)
COOKIES = (
    "CREATE TABLE meta (key LONGVARCHAR NOT NULL UNIQUE PRIMARY KEY, value LONGVARCHAR);"
    "CREATE TABLE cookies (creation_utc INTEGER NOT NULL, host_key TEXT NOT NULL, name TEXT NOT NULL, "
    "value TEXT NOT NULL, encrypted_value BLOB NOT NULL, path TEXT NOT NULL, expires_utc INTEGER NOT NULL, "
    "is_secure INTEGER NOT NULL, is_httponly INTEGER NOT NULL);"
)
CREATED = 13_398_000_000_000_000
"""Microseconds since 1601, as Chrome counts: July 2025."""


def plant(draw: Draw, person: Person) -> Bait:
    """A profile below ~/.config/google-chrome. Some entries predate encryption and stand in clear text."""
    password, session = _tokens.password(draw, 22), draw.text(_tokens.URL64, 48)
    key = base64.b64encode(b"v10" + _tokens.noise(draw, 48)).decode()
    preferences = {
        "profile": {"name": person.name, "exit_type": "Normal"},
        "account_info": [{"email": person.email}],
    }
    state = {
        "os_crypt": {"encrypted_key": key, "portal": {"prev_desktop": "GNOME"}},
        "profile": {
            "info_cache": {"Default": {"name": "Work", "user_name": person.email}},
            "last_used": "Default",
        },
    }
    root = "~/.config/google-chrome"
    return Bait(
        decoy="chrome",
        files=(
            BaitFile(f"{root}/Default/Login Data", _logins(draw, person, password), age=3.2),
            BaitFile(f"{root}/Default/Cookies", _cookies(draw, session), age=0.4),
            BaitFile(f"{root}/Default/Preferences", _tokens.document(preferences), age=0.4, weight="low"),
            BaitFile(f"{root}/Local State", _tokens.document(state), age=0.4),
        ),
        tokens=(
            Token("chrome", "saved password", password),
            Token("chrome", "session cookie", session),
            Token("chrome", "sealed key", key),
        ),
    )


def _sealed(draw: Draw, length: int) -> bytes:
    return b"v11" + _tokens.noise(draw, length)


def _logins(draw: Draw, person: Person, password: str) -> bytes:
    company = f"https://sso.{person.company}.internal/"
    entries: list[tuple[str, bytes]] = [
        ("https://github.com/", _sealed(draw, 48)),
        ("https://accounts.google.com/", _sealed(draw, 32)),
        (company, password.encode()),
    ]
    rows = [
        (
            "logins",
            (
                url,
                url + "login",
                "email",
                person.email,
                "password",
                value,
                url,
                CREATED,
                0,
                31 + number,
                number,
            ),
        )
        for number, (url, value) in enumerate(entries, start=1)
    ]
    return database(LOGINS, [("meta", ("version", "41")), *rows])


def _cookies(draw: Draw, session: str) -> bytes:
    entries = [
        (".github.com", "user_session", "", _sealed(draw, 80)),
        (".google.com", "SID", "", _sealed(draw, 176)),
        (".slack.com", "d", "", _sealed(draw, 144)),
        (".console.aws.amazon.com", "aws-creds", session, b""),
    ]
    expires = CREATED + 110_000_000_000_000
    rows = [
        ("cookies", (CREATED, host, name, value, sealed, "/", expires, 1, 1)) for host, name, value, sealed in entries
    ]
    return database(COOKIES, [("meta", ("version", "23")), *rows])


DECOY = Decoy(
    "Chrome",
    "saved passwords, cookies and sealed key of a Chrome profile",
    plant,
    ("GlassWorm, October 2025",),
)
