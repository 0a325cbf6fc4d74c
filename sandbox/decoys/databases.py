"""Databases: the password files and histories of their command-line clients."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """Files of PostgreSQL, MySQL, Redis and MongoDB clients, and of the mail sender msmtp."""
    kinds = ("PostgreSQL", "MySQL", "Redis", "MongoDB", "mail", "PostgreSQL role", "MySQL role")
    secrets = {f"{kind} password": _tokens.password(draw, 24) for kind in kinds}
    postgres, mysql, redis, mongo, mail, role, other_role = secrets.values()
    inside = f"{person.company}.internal"
    texts = {
        ".pgpass": f"db.{inside}:5432:storefront:app:{postgres}\nlocalhost:5432:*:postgres:{postgres}\n",
        ".my.cnf": f"[client]\nuser = app\npassword = {mysql}\nhost = mysql.{inside}\n",
        ".psql_history": f"\\dt\nselect 1 from orders;\nalter role reporting with password '{role}';\n\\q\n",
        ".mysql_history": f"show databases;\nset password for 'reporting'@'%' = '{other_role}';\nuse shop;\n",
        ".rediscli_history": f"auth {redis}\nkeys session:*\ninfo memory\n",
        ".mongorc.js": f'db = connect("mongodb://app:{mongo}@mongo.{inside}:27017/shop?authSource=admin");\n',
        ".msmtprc": f"account default\nhost smtp.{inside}\nport 587\nuser {person.email}\npassword {mail}\n",
    }
    ages = (390, 455, 21, 260, 33, 610, 720)
    return Bait(
        decoy="databases",
        files=tuple(
            BaitFile(f"~/{name}", text.encode(), age=age) for (name, text), age in zip(texts.items(), ages, strict=True)
        ),
        tokens=tuple(Token("databases", name, value) for name, value in secrets.items()),
    )


DECOY = Decoy("Database clients", "password files and histories of database clients", plant, ("node-ipc, May 2026",))
