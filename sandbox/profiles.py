"""What is expected: YAML allowlists, read strictly, each exception with its `why`.

`base.yaml` <- `npm.yaml` or `pypi.yaml` <- `packages/<ecosystem>/<name>.yaml`. A package's sheet applies to
what is attributed to that package, wherever it stands in the tree. A planted file is explained only by an
entry that names it in full: no wildcard ever covers bait.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from sandbox.errors import UsageError
from sandbox.events import Header
from sandbox.facts import Connection, Deed
from sandbox.globs import Matcher
from sandbox.placeholders import PACKAGE as _PACKAGE
from sandbox.placeholders import expand as expand
from sandbox.placeholders import is_plain_name as is_plain_name
from sandbox.placeholders import registry_hosts as registry_hosts
from sandbox.sheets import VERBS, Expectation, Sheet, read

_UNSEGMENTED = ("lookup", "syscall", "send")
_ROLES = ("installer", "tool", "package")
_MANY_PAGES = 500
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_REVERSE = re.compile(rf"(?:{_OCTET}\.){{1,4}}in-addr\.arpa|(?:[0-9a-f]\.){{1,32}}ip6\.arpa")


class Entry(msgspec.Struct, frozen=True, eq=False):
    """One expectation and where it stands: `source` is its sheet's id, such as `packages/npm/esbuild`."""

    source: str
    number: int
    expectation: Expectation

    @property
    def is_own(self) -> bool:
        """Whether it stands in a package's own sheet."""
        return self.source.startswith("packages/")

    @property
    def why(self) -> str:
        """The reason given."""
        return self.expectation.why


class Profiles:
    """All sheets that count for one ecosystem. `for_recording` makes them ready to explain deeds."""

    def __init__(self, sheets: dict[str, list[tuple[Path, Sheet]]], ecosystem: str) -> None:
        self.ecosystem = ecosystem
        self._sheets = sheets

    def __len__(self) -> int:
        return sum(len(sheet.expect) for found in self._sheets.values() for _, sheet in found)

    def sheets(self) -> Iterator[tuple[str, Path, Sheet]]:
        """Every sheet with its id and file, sorted."""
        for name in sorted(self._sheets):
            for path, sheet in self._sheets[name]:
                yield name, path, sheet

    def absent(self) -> tuple[str, ...]:
        """Globs of the addresses that a guest is told to hold nothing, sorted."""
        entries = (entry for _, _, sheet in self.sheets() for entry in sheet.expect if entry.absent)
        return tuple(sorted({glob for entry in entries for glob in entry.globs("request")}))

    def with_sheets(self, sheets: Mapping[str, Sheet]) -> Profiles:
        """These profiles and further sheets, by their ids, which are taken as they are."""
        further = {name: [*self._sheets.get(name, []), (Path(), sheet)] for name, sheet in sheets.items()}
        return Profiles({**self._sheets, **further}, self.ecosystem)

    def chain(self, name: str) -> list[Entry]:
        """The entries of a sheet and of all that it extends, its own first."""
        found: list[Entry] = []
        seen: set[str] = set()
        pending = [name]
        while pending:
            current = pending.pop(0)
            if current in seen:
                continue
            seen.add(current)
            for _, sheet in self._sheets.get(current, []):
                found += [Entry(current, number, entry) for number, entry in enumerate(sheet.expect)]
                if sheet.extends:
                    pending.append(sheet.extends)
        return found

    def for_recording(self, header: Header) -> Expectations:
        """These profiles with the home, project and registries of one recording."""
        return Expectations(self, header)


class _Page:
    """What one role, of one package, may do in one kind of phase; `rest` is what holds for every package."""

    def __init__(self, entries: Iterable[Entry], header: Header, package: str, rest: _Page | None = None) -> None:
        self._rest = rest
        plain: dict[str, list[tuple[str, Entry]]] = {verb: [] for verb in VERBS}
        self._conditional: dict[str, list[tuple[Matcher[Entry], Entry]]] = {verb: [] for verb in VERBS}
        for entry in entries:
            expectation = entry.expectation
            for verb in VERBS:
                asks = (expectation.args, expectation.program, expectation.methods, expectation.silent)
                conditional = any(asks) or verb == "request"
                globs = [glob for raw in expectation.globs(verb) for glob in expand(verb, raw, header, package)]
                if not globs:
                    continue
                if conditional:
                    pairs = [(glob, entry) for glob in globs]
                    self._conditional[verb].append((Matcher(pairs, verb not in _UNSEGMENTED), entry))
                else:
                    plain[verb] += [(glob, entry) for glob in globs]
        self._plain = {verb: Matcher(pairs, verb not in _UNSEGMENTED) for verb, pairs in plain.items()}
        self._memory: dict[tuple[str, str, bool], Entry | None] = {}

    def plain(self, verb: str, subject: str, bait: bool) -> Entry | None:
        """An entry without further conditions; what is written may be changed too."""
        key = (verb, subject, bait)
        if key in self._memory:
            return self._memory[key]
        found = self._look(self._plain[verb], subject, bait)
        if found is None and verb == "change":
            found = self._look(self._plain["write"], subject, bait)
        if found is None and self._rest is not None:
            found = self._rest.plain(verb, subject, bait)
        if len(self._memory) < 200_000:
            self._memory[key] = found
        return found

    def conditional(self, deed: Deed) -> Entry | None:
        """An entry with conditions that this deed meets."""
        candidates = self._conditional[deed.verb]
        if deed.verb == "change":
            candidates = candidates + self._conditional["write"]
        for matcher, entry in candidates:
            found = self._look(matcher, deed.subject, _only_in_full(deed))
            if found is not None and _meets(entry.expectation, deed):
                return entry
        return self._rest.conditional(deed) if self._rest is not None else None

    @staticmethod
    def _look(matcher: Matcher[Entry], subject: str, bait: bool) -> Entry | None:
        return matcher.exact(subject) if bait else matcher.find(subject)


class Expectations:
    """Profiles with one recording's places filled in: explains deeds, or does not."""

    def __init__(self, profiles: Profiles, header: Header) -> None:
        self._profiles = profiles
        self._header = header
        self._common = profiles.chain(profiles.ecosystem)
        self._sources = {entry.source for entry in self._common}
        self._naming = [entry for entry in self._common if _names_the_package(entry.expectation)]
        self._pages: dict[tuple[str, str, str], _Page] = {}
        self._shared: dict[tuple[str, str], _Page] = {}
        self._most = _MANY_PAGES + 8 * len(header.members)
        self.used: dict[Entry, str] = {}
        """The entries that explained something out of the ordinary (bait, or by a package's own sheet), each with
        the first thing that it explained."""
        self._sheet = f"packages/{profiles.ecosystem}/{package_key(profiles.ecosystem, header.package)}"

    def why_it_may_fail(self, phase: str) -> str:
        """The sheet and the reason for which an import of the package under test may raise; empty without one."""
        for name, _, sheet in self._profiles.sheets():
            if name == self._sheet:
                for entry in sheet.may_fail:
                    if phase in entry.phases:
                        return f"{name}: {phase}: {entry.why}"
        return ""

    def page(self, role: str, package: str, kind: str) -> _Page:
        """The page for a role of a package in a kind of phase; made once."""
        package = package_key(self._profiles.ecosystem, package)
        if len(self._pages) > self._most:
            package = ""  # a hostile guest makes packages up; those without a page of their own have no exceptions
        key = (role, package, kind)
        page = self._pages.get(key)
        if page is None:
            sheet = f"packages/{self._profiles.ecosystem}/{package}"
            own = [entry for entry in self._profiles.chain(sheet) if entry.source not in self._sources]
            own += self._naming
            entries = [entry for entry in own if _applies(entry.expectation, role, kind)]
            page = self._pages[key] = _Page(entries, self._header, package, self._rest(role, kind))
        return page

    def _rest(self, role: str, kind: str) -> _Page:
        """What holds for every package alike: made once, since a lockfile has hundreds of packages."""
        page = self._shared.get((role, kind))
        if page is None:
            common = [entry for entry in self._common if entry not in self._naming]
            entries = [entry for entry in common if _applies(entry.expectation, role, kind)]
            page = self._shared[role, kind] = _Page(entries, self._header, "")
        return page

    def explain(self, deed: Deed) -> Entry | None:
        """The entry that makes a deed ordinary; None makes it a deviation."""
        unknown = deed.actor.process.serial == 0 and deed.verb == "lookup"
        for role in _ROLES if unknown else (deed.actor.role,):
            page = self.page(role, deed.actor.package, deed.kind)
            entry = page.plain(deed.verb, deed.subject, _only_in_full(deed)) or page.conditional(deed)
            if entry is not None:
                if deed.decoy or entry.is_own:
                    self.used.setdefault(entry, deed.subject)
                return entry
        return None

    def explain_by_own(self, deed: Deed) -> Entry | None:
        """The entry of the package's own sheet that makes a deed ordinary, whatever is so for everybody."""
        package = package_key(self._profiles.ecosystem, deed.actor.package)
        entries = [
            entry
            for entry in self._profiles.chain(f"packages/{self._profiles.ecosystem}/{package}")
            if entry.source not in self._sources and _applies(entry.expectation, deed.actor.role, deed.kind)
        ]
        page = _Page(entries, self._header, package)
        return page.plain(deed.verb, deed.subject, _only_in_full(deed)) or page.conditional(deed)


def _names_the_package(expectation: Expectation) -> bool:
    return any(_PACKAGE in glob for verb in VERBS for glob in expectation.globs(verb))


def _applies(expectation: Expectation, role: str, kind: str) -> bool:
    return expectation.by in ("any", role) and (not expectation.phases or kind in expectation.phases)


def _meets(expectation: Expectation, deed: Deed) -> bool:
    if expectation.program:
        program = deed.actor.program
        if program is None or not _any(expectation.program, program.command, segmented=True):
            return False
    if expectation.args and not _any(expectation.args, deed.arguments):
        return False
    if expectation.silent and not _is_silent(deed.connection):
        return False
    if deed.verb == "send" and expectation.methods:
        return _is_sent_by(expectation.methods, deed)
    if deed.verb != "request":
        return True
    if expectation.methods:
        return deed.method in expectation.methods
    return deed.method in ("GET", "HEAD") and not deed.event.body_size


def _only_in_full(deed: Deed) -> bool:
    """Whether no wildcard covers it: bait, and names below the zones of addresses that are no address's."""
    if deed.verb == "lookup" and deed.subject.endswith((".in-addr.arpa", ".ip6.arpa")):
        return _REVERSE.fullmatch(deed.subject) is None
    return bool(deed.decoy)


def _is_silent(connection: Connection | None) -> bool:
    """Whether nothing was sent but what was understood; datagrams always are something."""
    return connection is not None and not connection.data and connection.protocol != "udp"


def _is_sent_by(methods: tuple[str, ...], deed: Deed) -> bool:
    """Whether bait left with nothing but bodiless requests of these methods to its own host: a connection that carried
    anything else as well is not told apart."""
    requests = [request for _, request in deed.connection.requests]
    hosts = {urlsplit(request.url).netloc.lower() for request in requests}
    only = all(request.method.upper() in methods and not request.body_size for request in requests)
    return bool(requests) and only and not deed.connection.data and hosts == {deed.event.host.lower()}


@cache
def _free(globs: tuple[str, ...], segmented: bool) -> Matcher[bool]:
    return Matcher([(glob, True) for glob in globs], segmented)


def _any(globs: tuple[str, ...], text: str, segmented: bool = False) -> bool:
    return bool(_free(globs, segmented).find(text))


def package_key(ecosystem: str, name: str) -> str:
    """A package's name as its sheet's file is called."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "pypi" else name


def profile_folder() -> Path:
    """Where the built-in profiles are: in the wheel beside this module, in a checkout beside the package."""
    here = Path(__file__).resolve().parent
    packed = here / "_profiles"
    return packed if packed.is_dir() else here.parent / "profiles"


def load(folders: Sequence[Path], ecosystem: str) -> Profiles:
    """Read the sheets of all folders that count for an ecosystem; a later folder adds to an earlier one's.

    Raises UsageError naming the file and the path to the key where one cannot be used as written."""
    sheets: dict[str, list[tuple[Path, Sheet]]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder of profiles", "see `baitbox profiles`")
        for path in _files(folder, ecosystem):
            name = path.relative_to(folder).with_suffix("").as_posix()
            sheets.setdefault(name, []).append((path, read(path)))
            if sheets[name][-1][1].may_fail and not name.startswith("packages/"):
                raise UsageError(f"{path}: may_fail: only in the sheet of a package")
    for found in sheets.values():
        for path, sheet in found:
            if sheet.extends and sheet.extends not in sheets:
                raise UsageError(f"{path}: extends: there is no profile called {sheet.extends!r}")
    if folders and ecosystem not in sheets:
        raise UsageError(f"no profile {ecosystem}.yaml in {', '.join(map(str, folders))}")
    return Profiles(sheets, ecosystem)


def _files(folder: Path, ecosystem: str) -> list[Path]:
    common = [path for path in (folder / "base.yaml", folder / f"{ecosystem}.yaml") if path.exists()]
    return common + sorted((folder / "packages" / ecosystem).rglob("*.yaml"))
