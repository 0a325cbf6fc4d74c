"""What differs between two runs of the same thing and means nothing: hashes, temporary names, numbers, versions.

`Quiet` writes a deed's subject as profiles write it (`~/x`, `./x`), with a placeholder such as `<hash>` for each
well-shaped token of noise. It is narrow on purpose, because what it hides a thief can hide in: a host is never touched,
nor is a path at which bait stands, nor a decoy's name, nor any word of a command line that is not plainly a path.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address

from sandbox.events import Header
from sandbox.plaintext import home_relative

PLACEHOLDERS = ("<hash>", "<uuid>", "<time>", "<version>", "<temp>", "<pid>", "<port>")
"""Everything that stands for noise; no other text in angle brackets is ours."""

_LONGEST = 4096
"""A longer text stays as it is: no honest name is, and patterns must not become slow."""
_EPHEMERAL = 32768
"""Ports from here on are given out by the system to whoever asks for any."""
_PATHS = ("read", "write", "change", "run", "survive")
_NETWORK_FILES = ("/dev/tcp/", "/dev/udp/")
"""Paths that a shell takes for hosts."""

_ALONE = (r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])")
"""A token is one only where no letter or digit touches it."""


def _token(placeholder: str, pattern: str, *, keep: str = "", alone: bool = True) -> tuple[re.Pattern[str], str]:
    """What is replaced, and by what; `keep` is what stands before it and stays."""
    before, after = _ALONE if alone else ("", "")
    return re.compile(f"(?P<keep>{keep}){before}(?:{pattern}){after}"), placeholder


_TOKENS = (
    # Content-addressed folders: short levels, then the rest of the hash.
    _token(
        "<hash>/<hash>/<hash>", r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{8,128}",
        keep=r"/_cacache/(?:content-v2/sha[0-9]+|index-v5)/",
    ),
    _token("<hash>/<hash>", r"[0-9a-f]{2}/[0-9a-f]{38,62}", keep=r"/\.git/objects/"),
    _token("<uuid>", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    _token("<time>", r"20\d\d-[01]\d-[0-3]\d[T_-][0-2]\d[:_-]?[0-5]\d[:_-]?[0-5]\d(?:[._]\d{1,9})?Z?"),
    _token("<pid>", r"[0-9]{1,10}(?=/|$)", keep="/proc/|/task/"),
    _token("<pid>", r"[0-9]{1,10}", keep=r"(?:^|(?<=[/._-]))(?:pid|pym|worker|process)[-_.]"),
    _token("<hash>", r"(?=[a-f]*[0-9])[0-9a-f]{8,128}"),
    _token("<hash>", r"(?=[A-F]*[0-9])[0-9A-F]{8,128}"),
    # How Python's and Rust's libraries write a file: under a name of their own, wherever it is, and then rename it.
    _token("<temp>", r"(?=[a-z_]*[0-9])[a-z0-9_]{8}(?=/|$)", keep=r"(?:^|(?<=/))tmp", alone=False),
    _token("<temp>", r"(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{6}(?=/|$)", keep=r"(?:^|(?<=/))\.tmp", alone=False),
    # How npm writes a file: beside it, with a number, and then renames it.
    _token("<temp>", r"[0-9]{4,10}$", keep=r"\.(?:json|lock|js|yaml|yml|cfg|ini|txt|db)\."),
    # Three numbers, not four, which are an address.
    _token(
        "<version>",
        r"[0-9]{1,6}(?:\.[0-9]{1,6}){2}(?:-(?:alpha|beta|rc|next|canary|dev|pre)(?:[.-]?[0-9]{1,12}){0,4})?"
        r"(?![0-9A-Za-z]|\.[0-9])",
        keep=r"(?<![0-9A-Za-z.])v?",
        alone=False,
    ),
)  # fmt: skip
_TEMPORARY = re.compile(r"/(?:tmp|var/tmp|dev/shm)/")
_TEMPORARY_NAMES = tuple(
    re.compile(rf"(?P<keep>(?:^|/){before})(?:{name})(?P<rest>(?:\.[a-z0-9]{{1,8}})?)(?=/|$)")
    for before, name in (
        ("(?:tmp|pip-[a-z-]{1,40}-|build-env-)", "[a-z0-9_]{8}"),  # Python's mkdtemp
        ("cc", "[A-Za-z0-9]{6}"),  # the compiler's
        # mktemp's and node's, of which one character at least is a digit or a capital.
        ("[^/<>]{1,80}[-._]", "(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{6}(?:[A-Za-z0-9]{4})?"),
    )
)
_SEMAPHORE = re.compile(r"(?P<keep>^/dev/shm/(?:sem\.|psm_|wnsm_)(?:mp-)?)[A-Za-z0-9_]{6,10}$")
_PLAIN_PATH = re.compile(
    r"(?P<option>(?:--?[A-Za-z0-9][A-Za-z0-9_-]*=)?)(?P<path>(?:/(?!/)|~/|\./)[^\s'\"<>|;&$`()*?{}:@\\]*)"
)


class Quiet:
    """Writes the deeds of one recording without their noise."""

    def __init__(self, header: Header, planted: Collection[str] = ()) -> None:
        self._home, self._project = header.home, header.project
        self._planted = frozenset(planted) | {file.path for file in header.planted}
        version = header.version.strip()
        # A version of one number is too short to be told from any other number.
        wanted = len(version) <= 64 and re.fullmatch(r"[0-9]+(?:\.[0-9A-Za-z]+)+(?:[.+-][0-9A-Za-z]+)*", version)
        own = rf"(?P<keep>(?<![0-9A-Za-z.])v?){re.escape(version)}(?![0-9A-Za-z]|\.[0-9])"
        self._version = re.compile(own) if wanted else None
        self._known: dict[tuple[str, str], str] = {}

    def subject(self, verb: str, subject: str, decoy: str = "") -> str:
        """A deed's subject, in the words of profiles. Bait, hosts and the names of calls stay as they are."""
        key = (verb, subject)
        found = None if decoy else self._known.get(key)
        if found is None:
            found = self._written(verb, subject, decoy)
            if not decoy and len(self._known) < 200_000:
                self._known[key] = found
        return found

    def path(self, path: str) -> str:
        """A path, with home and project written `~` and `.`."""
        placed = self._placed(path)
        return placed if path in self._planted else self._without_tokens(placed)

    def _placed(self, path: str) -> str:
        return "." if path == self._project else home_relative(path, self._home, self._project)

    def arguments(self, line: str) -> str:
        """A command line's arguments: only words that are plainly paths are touched. What a word that is no path
        holds may be a host, an address or code."""
        if len(line) > _LONGEST:
            return line
        return " ".join(self._word(word) for word in line.split(" "))

    def _written(self, verb: str, subject: str, decoy: str) -> str:
        if verb in _PATHS:
            return self._placed(subject) if decoy else self.path(subject)
        if verb == "request":
            return self._url(subject)
        if verb in ("connect", "bind"):
            return "unix:" + self.path(subject[5:]) if subject.startswith("unix:") else local_port(subject)
        return subject

    def _url(self, url: str) -> str:
        scheme, found, rest = url.partition("://")
        if not found or len(url) > _LONGEST:
            return url
        end = next((place for place, character in enumerate(rest) if character in "/?#"), len(rest))
        host, rest = local_port(rest[:end]), rest[end:]
        names_another = "://" in rest or "%3a%2f" in rest.lower()
        return f"{scheme}://{host}{rest if names_another else self._without_tokens(rest, url=True)}"

    def _word(self, word: str) -> str:
        found = _PLAIN_PATH.fullmatch(word)
        if found is None or found["path"].startswith("/dev/"):
            return word
        return found["option"] + self.path(found["path"])

    def _without_tokens(self, text: str, *, url: bool = False) -> str:
        """Once more until nothing changes, so that a text without noise is always written the same."""
        if len(text) > _LONGEST or text.startswith(_NETWORK_FILES):
            return text
        while (after := self._once(text, url)) != text:
            text = after
        return text

    def _once(self, text: str, url: bool) -> str:
        if not url:  # first: the random end of a name may look like a hash
            text = _SEMAPHORE.sub(r"\g<keep><temp>", text)
            folder = _TEMPORARY.match(text)
            end = folder.end() if folder else len(text)
            names = text[end:]
            for name in _TEMPORARY_NAMES:
                names = name.sub(r"\g<keep><temp>\g<rest>", names)
            text = text[:end] + names
        if self._version is not None:
            text = self._version.sub(r"\g<keep><version>", text)
        for token, placeholder in _TOKENS:
            text = token.sub(rf"\g<keep>{placeholder}", text)
        return text


def local_port(place: str) -> str:
    """`host:port` with `<port>` for one that the system gave out on this host itself; any other place as it is."""
    host, colon, port = place.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) < _EPHEMERAL:
        return place
    if host == "localhost":
        return f"{host}:<port>"
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return place
    return f"{host}:<port>" if address.is_loopback or address.is_unspecified else place
