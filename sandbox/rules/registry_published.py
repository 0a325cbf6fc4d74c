"""A registry's publishing interface was used.

What: a request that publishes a package, lists or makes tokens, or asks who the token belongs to; or a
command that does (`npm publish`, `npm whoami`, `twine upload`).
Why it matters: worms spread by publishing themselves with the tokens that they find. Installing only ever
reads: publishing or asking for tokens has no honest reason, malicious.
What to do: reject the package; where it ran outside, revoke the tokens and look at what was published with
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.deviations import request_deeds, way_out
from sandbox.facts import Deed
from sandbox.profiles import registry_hosts
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped
from sandbox.rules._names import host_of

_ACCOUNT = re.compile(
    r"/-/(whoami|npm/v1/(tokens?|user|oidc)|user/|org/|package/[^/]+/(access|collaborators)|v1/login)"
)
_AUDIT = re.compile(r"/-/npm/v1/security/(advisories/bulk|audits(/quick)?)\Z")
"""Questions about what is installed, which change nothing."""
_TAGS = re.compile(r"/-/package/[^/]+/dist-tags")
"""Which anybody may read, and only who publishes may set."""
_SEARCH = re.compile(r"/-/v1/search\?.*maintainer")
_UPLOAD = re.compile(r"/(legacy|_/oidc/mint-token)/?(\?|$)|/pypi/?\?:action=|/_/oidc/")
_COMMAND = re.compile(
    r"\bnpm(-cli\.js)? +(?:-\S+ +)*"
    r"(publish|whoami|token|login|adduser|access|owner|dist-tag|deprecate|unpublish|profile)\b"
    r"|\b(yarn|pnpm|bun) +(npm +)?(publish|whoami|login)\b"
    r"|\btwine +(upload|register)\b|\b(flit|poetry|uv|hatch) +publish\b"
)


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    registries = set(registry_hosts(case.header))
    deeds = [deed for deed in _requests(case) if _publishes(deed, registries) and not case.judged.is_own_habit(deed)]
    for line, event, actor in case.facts.programs:
        program = actor.program
        if program is None or program.forked or actor.role != "package":
            continue
        words = " ".join([program.name, *program.argv[1:8]])[:2000]
        if _COMMAND.search(words.replace("/npm-cli.js", "/npm")) or _COMMAND.search(" ".join(program.argv[:8])[:2000]):
            deeds.append(case.deed("run", line, event, actor, subject=words))
    for group in grouped(sorted(deeds, key=lambda deed: deed.line)):
        yield case.finding(
            group,
            decoys=[sent.decoy for deed in group if deed.connection for _, sent in deed.connection.sent_decoys],
            ways_out=[way_out(deed) for deed in group if deed.verb == "request"],
        )


def _requests(case: Case) -> Iterator[Deed]:
    """Every request of a package, and those of others that no profile expects."""
    yield from (deed for deed in case.of("request") if deed.actor.role != "package")
    for connection in case.facts.connections:
        if connection.actor.role == "package":
            yield from (deed for deed in request_deeds(case.facts, connection) if not _is_audit(case, deed))


def _is_audit(case: Case, deed: Deed) -> bool:
    """npm's own question for advisories, by a program that may ask it: any other's is a way to hand things over."""
    path = "/" + deed.subject.partition("://")[2].partition("/")[2]
    return _AUDIT.search(path) is not None and case.judged.is_expected(deed)


def _publishes(deed: Deed, registries: set[str]) -> bool:
    """Account questions anywhere; changes only at a registry of the plan (elsewhere they are plain requests)."""
    path = "/" + deed.subject.partition("://")[2].partition("/")[2]
    if _ACCOUNT.search(path) or _SEARCH.search(path) or (_UPLOAD.search(path) and deed.method == "POST"):
        return True
    if _TAGS.search(path) and deed.method not in ("GET", "HEAD"):
        return True
    return host_of(deed.subject) in registries and deed.method in ("PUT", "DELETE", "PATCH", "POST")


RULE = Rule(
    title="used a registry's publishing interface",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1195.002", "T1528"),
    check=check,
)
