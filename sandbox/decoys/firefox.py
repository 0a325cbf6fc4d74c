"""Firefox: saved logins, the key database that opens them, and cookies."""

from __future__ import annotations

import base64
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._stores import database, mark

KEYS = (
    "CREATE TABLE metaData (id PRIMARY KEY UNIQUE ON CONFLICT REPLACE, item1, item2);"
    "CREATE TABLE nssPrivate (id PRIMARY KEY UNIQUE ON CONFLICT ABORT, a0, a11, a102);"
)
COOKIES = (
    "CREATE TABLE moz_cookies (id INTEGER PRIMARY KEY, originAttributes TEXT NOT NULL DEFAULT '', name TEXT, "
    "value TEXT, host TEXT, path TEXT, expiry INTEGER, isSecure INTEGER, isHttpOnly INTEGER);"
)
SEALED = bytes.fromhex("303a0410f8000000000000000000000000000001301406082a864886f70d03070408")
"""The outer form of an NSS-encrypted value: key id and triple-DES, before vector and text."""


def plant(draw: Draw, person: Person) -> Bait:
    """A profile below ~/.mozilla/firefox."""
    profile = f"{draw.text(_tokens.LOWER, 8)}.default-release"
    session, salt = draw.text(_tokens.BASE62, 44), mark(draw)
    user, password = (base64.b64encode(SEALED + _tokens.noise(draw, 26)).decode() for _ in range(2))
    login = {
        "id": 1,
        "hostname": "https://github.com",
        "httpRealm": None,
        "formSubmitURL": "https://github.com",
        "encryptedUsername": user,
        "encryptedPassword": password,
        "guid": "{" + _tokens.identifier(draw) + "}",
        "encType": 1,
        "timeCreated": _tokens.ISSUED * 1000,
        "timesUsed": 58,
    }
    logins = {"nextId": 2, "logins": [login], "version": 3}
    keys = database(
        KEYS,
        [
            ("metaData", ("password", salt.encode(), SEALED + _tokens.noise(draw, 74))),
            (
                "nssPrivate",
                (
                    1,
                    _tokens.noise(draw, 96),
                    _tokens.noise(draw, 96),
                    bytes.fromhex("f8") + bytes(14) + b"\x01",
                ),
            ),
        ],
    )
    jar = [
        (1, "", "user_session", session, "github.com", "/", _tokens.EXPIRES, 1, 1),
        (2, "", "dotcom_user", _tokens.account(person), ".github.com", "/", _tokens.EXPIRES, 1, 1),
    ]
    profiles = (
        f"[Profile0]\nName=default-release\nIsRelative=1\nPath={profile}\nDefault=1\n\n"
        "[General]\nStartWithLastProfile=1\nVersion=2\n"
    )
    root = "~/.mozilla/firefox"
    return Bait(
        decoy="firefox",
        files=(
            BaitFile(f"{root}/profiles.ini", profiles.encode(), 0o644, 730, "low"),
            BaitFile(f"{root}/{profile}/key4.db", keys, age=730),
            BaitFile(f"{root}/{profile}/logins.json", json.dumps(logins).encode(), age=27),
            BaitFile(
                f"{root}/{profile}/cookies.sqlite",
                database(COOKIES, [("moz_cookies", row) for row in jar]),
                age=0.8,
            ),
        ),
        tokens=(
            Token("firefox", "session cookie", session),
            Token("firefox", "key database", salt),
            Token("firefox", "sealed user name", user),
            Token("firefox", "sealed password", password),
        ),
    )


DECOY = Decoy(
    "Firefox",
    "saved logins, key database and cookies of a Firefox profile",
    plant,
    ("GlassWorm, October 2025",),
)
