"""A stolen token, recorded, and the pages that tell of it."""

from __future__ import annotations

import base64
import gzip
import json
from html.parser import HTMLParser
from typing import Any

from sandbox import events
from sandbox.bait import Draw, Person
from sandbox.reporters import html
from tests.recording import HOME, PROJECT, Story
from tests.test_reporters import finding, package, whole

TOKEN = "npm_" + "A1b2" * 9


class Skeleton(HTMLParser):
    """The elements and attribute names of a page, its texts, and its data blocks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.blocks: list[str] = []
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._open = "data" if ("type", "application/json") in attrs else tag

    def handle_data(self, data: str) -> None:
        if self._open == "data":
            self.blocks.append(data)
        elif self._open not in ("script", "style"):
            self.texts.append(data)


def connect(made: Story, process: int, host: str) -> None:
    made.add(events.ConnectionOpened, process=process, protocol="tcp", address="52.0.0.1", port=443, host=host,
             connection=5)  # fmt: skip


def story() -> Story:
    """A package whose script reads the npm token and sends it, in gzip in base64, and drops and runs a file."""
    made = Story()
    root = made.begin("install", "install", ["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install"])
    script = made.script(root)
    thief = made.child(script, "/usr/bin/node", ["node", "x.js"], f"{PROJECT}/node_modules/thing")
    made.read(thief, f"{HOME}/.npmrc")
    made.read(thief, "/tmp/payload.sh", "write", created=True)
    made.add(events.FileChanged, process=thief, path="/tmp/payload.sh", change="mode", mode=0o755)
    made.child(thief, "/tmp/payload.sh", ["/tmp/payload.sh"])
    body = base64.b64encode(gzip.compress(f'{{"token":"{TOKEN}","user":"dev"}}'.encode(), mtime=0))
    connect(made, thief, "c.test")
    made.add(events.RequestSent, process=thief, connection=5, method="POST", url="https://c.test/in",
             headers=[("a", "b")], body=body, body_size=len(body))  # fmt: skip
    made.add(events.DecoySent, process=thief, decoy="npm_token", token="publish token", connection=5, host="c.test",
             where="body", encodings=["base64", "gzip"])  # fmt: skip
    return made.end(root)


STOLEN = finding(decoys=("npm_token",), ways_out=("https POST to c.test",), package="thing")


def page_of(recording: events.Recording, **fields: Any) -> str:
    one = package("malicious", **{"findings": (STOLEN,), "recordings": ("x.jsonl",), **fields})
    return html.page(whole(one), {"x.jsonl": recording})


def data_of(page: str) -> dict[str, Any]:
    (block,) = Skeleton(page).blocks
    found: dict[str, Any] = json.loads(block)
    return found


def sent(*encodings: str, decoy: str = "npm_token", token: str = "publish token") -> events.DecoySent:
    return events.DecoySent(
        at=1, decoy=decoy, token=token, connection=1, host="c.test", where="body", encodings=list(encodings)
    )


def values(decoy: Any, seed: int = 77) -> dict[str, str]:
    return {token.name: token.value for token in decoy.plant(Draw(seed), Person(npm_registry="r.test")).tokens}
