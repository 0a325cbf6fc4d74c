"""Which names carry data, and which programs do what: judgements that several rules share."""

from __future__ import annotations

import math
import re
from collections import Counter
from ipaddress import ip_address

_CODED = re.compile(r"[0-9a-f]{20,}|[a-z2-7]{32,}|[A-Za-z0-9_-]{40,}")
_HEX = re.compile(r"[0-9a-f]{40,}")
_LONG_LABEL = 32
_LONG_NAME = 60

DOWNLOADERS = frozenset({"curl", "wget", "aria2c", "fetch", "nc", "ncat", "netcat", "socat", "telnet", "ftp", "tftp"})
"""Programs that carry bytes over the network for a script."""

CARRIERS = DOWNLOADERS | {
    "dig", "nslookup", "host", "drill", "ssh", "scp", "sftp", "rsync", "rclone", "lftp", "ping", "mail", "mailx",
    "sendmail",
}  # fmt: skip
"""Programs whose arguments or input leave the machine."""

PRIVILEGED = frozenset({"sudo", "su", "doas", "pkexec", "runuser"})
"""Programs that run others with more rights."""

ABOUT_ITSELF = re.compile(r"-v|-V|--version|version|version --client|--help|-h|help")
"""What asks a client of a cloud or a vault for its version or its usage, and nothing else."""

LOADER = re.compile(r"ld-(linux|musl)[\w.-]*\.so\.[0-9]+|ld[0-9.-]*\.so(\.[0-9]+)?")
"""What the programs are called that load others with their libraries, and that `ldd` asks."""


def host_of(url: str) -> str:
    """The host and port of a URL as it stands there, without user or password."""
    return url.partition("://")[2].split("/", 1)[0].split("?", 1)[0].rpartition("@")[2].lower()


def parent(name: str) -> str:
    """The last two labels of a name: whoever owns them can hear what is asked below."""
    return ".".join(name.rstrip(".").split(".")[-2:])


def carries_data(name: str) -> bool:
    """Whether a name's labels look like encoded bytes rather than words."""
    labels = name.rstrip(".").split(".")[:-2]
    if any(_CODED.fullmatch(label) and _varied(label) for label in labels):
        return True
    if any(len(label) >= _LONG_LABEL and entropy(label) >= 3.3 and _digits(label) for label in labels):
        return True
    joined = "".join(labels)
    if _HEX.fullmatch(joined):
        return _varied(joined)
    return len(joined) >= _LONG_NAME and entropy(joined) >= 3.6 and _digits(joined)


def _varied(label: str) -> bool:
    return entropy(label) >= 2.8 and (_digits(label) or len(label) >= _LONG_LABEL)


def _digits(text: str) -> bool:
    return sum(character.isdigit() for character in text) >= len(text) / 16


def entropy(text: str) -> float:
    """Bits a character, of at most the first 256."""
    text = text[:256]
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values()) if text else 0.0


def without_port(place: str) -> str:
    """A host or address without its port and brackets."""
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0] if place.count(":") == 1 else place


def is_address(place: str) -> bool:
    """Whether a place, with or without a port, is a bare IP address."""
    try:
        ip_address(without_port(place))
    except ValueError:
        return False
    return True
