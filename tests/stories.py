"""Short stories of what programs do, and what the rules say of them."""

from __future__ import annotations

from functools import cache

from sandbox import discovery, events, profiles
from sandbox.judge import judge
from sandbox.profiles import Profiles
from sandbox.rules import Rule
from tests.recording import PROJECT, Story, installed

RULES: dict[str, Rule] = discovery.load("rules", "RULE")


@cache
def sheets(ecosystem: str) -> Profiles:
    return profiles.load([profiles.profile_folder()], ecosystem)


def by_node() -> tuple[Story, int]:
    story = installed()
    root = story.begin("import:thing (require)", "import", ["/usr/bin/node", "-e", 'require("thing")'])
    story.read(root, f"{PROJECT}/node_modules/thing/index.js")
    return story, root


def rules_of(story: Story, root: int) -> set[str]:
    story.end(root)
    return {finding.rule for finding in judge(story.whole(), sheets("npm"), RULES).findings}


def asks(story: Story, root: int, method: str, url: str, where: str = "") -> None:
    host = url.split("/")[2]
    where_to = {"protocol": "tcp", "address": "198.18.0.9", "port": 443, "host": host}
    story.add(events.ConnectionOpened, process=root, connection=1, **where_to)
    story.add(events.RequestSent, process=root, connection=1, method=method, url=url, headers=[])
    if where:
        sent = {"decoy": "npm_token", "token": "publish token", "host": host, "where": where}
        story.add(events.DecoySent, process=root, connection=1, **sent)
