"""What the user asked for, from one piece of text. Nothing is fetched here; only a folder is looked into.

Grammar, with what each means:

    npm:NAME  npm:@SCOPE/NAME         the version that npm itself would install (`latest`)
    npm:NAME@1.2.3                    one version            npm:NAME@^1.2 || 3.x    the best in a range
    npm:NAME@next                     a dist-tag
    pypi:NAME  pypi:NAME[extra,more]  the version that pip itself would install
    pypi:NAME==1.2.3                  one version            pypi:NAME>=1,<2         the best in a specifier
    pkg:npm/... pkg:pypi/...          a package URL (purl); ?file_name=x.tar.gz wants the source archive
    ./x.tgz                           an npm package file    ./x.whl ./x.tar.gz ./x.zip    a PyPI one
    ./folder                          a package folder: with package.json npm's, with pyproject.toml, setup.py
                                      or setup.cfg PyPI's
    npm:./PATH  pypi:./PATH[extra]    the same, where the path alone does not say which

A path starts with `./`, `../`, `/` or `~/`, is `.` or `..`, or ends like a package file.
"""

from __future__ import annotations

import os
import re
from typing import Literal

import msgspec

from sandbox.errors import UsageError

EcosystemName = Literal["npm", "pypi"]

_NPM_NAME = re.compile(r"(?:@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9~][A-Za-z0-9._~-]*")
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NPM_REQUEST = re.compile(r"[0-9A-Za-z.+~^<>=|* _-]+")
_ARCHIVE_SUFFIXES: dict[str, EcosystemName] = {
    ".tgz": "npm", ".whl": "pypi", ".tar.gz": "pypi", ".zip": "pypi",
}  # fmt: skip
_LOCKFILES = frozenset({
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb",
    "requirements.txt", "poetry.lock", "uv.lock", "pdm.lock", "pipfile.lock", "pylock.toml",
})  # fmt: skip
_GIT = re.compile(r"(?:git\+|git://|git@|ssh://|github:|gitlab:|bitbucket:|gist:)", re.IGNORECASE)
_PYPI_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_LONGEST_NAME = 214
_LONGEST_REQUEST = 256
_LONGEST_TEXT = 4096


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One package, as asked for and not yet looked up. `requested` is the version, range, dist-tag or
    specifier as written (empty: what the package manager would take); `path` is for archives and folders.
    `digests` are what a lockfile pins (`sha512:HEX`...): a file that matches none of them is refused. Where not
    `project_settings`, the current directory's `.npmrc` does not say which registry is asked."""

    text: str
    ecosystem: EcosystemName
    kind: Literal["registry", "archive", "folder"] = "registry"
    name: str = ""
    requested: str = ""
    extras: tuple[str, ...] = ()
    path: str = ""
    prefer: Literal["wheel", "sdist"] = "wheel"
    digests: tuple[str, ...] = ()
    project_settings: bool = True

    @classmethod
    def parse(cls, text: str, *, sdist: bool = False) -> Target:
        """Read `text` by the grammar above; `sdist` asks for the source archive of a PyPI package.

        Raises UsageError, and nothing else, with one sentence that says what is wrong.
        """
        target = _parse(_checked_text(text))
        if not sdist:
            return target
        if target.ecosystem != "pypi" or target.kind != "registry":
            raise UsageError(
                f"{shown(text)} has no source archive to prefer", "--sdist is for pypi:NAME targets"
            )
        return msgspec.structs.replace(target, prefer="sdist")


def valid_npm_name(name: str) -> bool:
    """True for a name that npm's registry can hold, scoped or not, and is nothing else anywhere."""
    return (
        len(name) <= _LONGEST_NAME
        and _NPM_NAME.fullmatch(name) is not None
        and name.lower() not in ("node_modules", "favicon.ico")
    )


def valid_pypi_name(name: str) -> bool:
    """True for a valid project name, normalised or not."""
    return len(name) <= _LONGEST_NAME and _PYPI_NAME.fullmatch(name) is not None


def normalised(name: str) -> str:
    """A PyPI project's name in the one form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shown(text: str) -> str:
    """`text` as it may stand in a message: bounded, and with nothing that a terminal would act on."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:100])
    return safe + ("..." if len(text) > 100 else "")


def _checked_text(text: str) -> str:
    stripped = text.strip(" ")
    if not stripped:
        raise UsageError("the target is empty", "write npm:NAME, pypi:NAME or a path")
    if len(stripped) > _LONGEST_TEXT:
        raise UsageError(f"the target is longer than {_LONGEST_TEXT} characters: {shown(stripped)}")
    if not stripped.isprintable():
        raise UsageError(f"the target has control or undecodable characters: {shown(stripped)}")
    return stripped


def _parse(text: str) -> Target:
    if text.startswith("pkg:"):
        return _parse_purl(text)
    prefix, colon, rest = text.partition(":")
    if colon and prefix in ("npm", "pypi"):
        ecosystem: EcosystemName = "npm" if prefix == "npm" else "pypi"
        _refuse_urls(text, rest)
        if _is_path(rest):
            return _parse_path(text, rest, ecosystem)
        return _parse_npm(text, rest) if ecosystem == "npm" else _parse_pypi(text, rest)
    _refuse_urls(text, text)
    if _is_path(text):
        return _parse_path(text, text, None)
    raise UsageError(
        f"{shown(text)} does not say which registry it is from",
        f"write npm:{shown(text)} or pypi:{shown(text)}; a path starts with ./ or /",
    )


def _refuse_urls(text: str, rest: str) -> None:
    if _GIT.match(rest):
        raise UsageError(
            f"{shown(text)} is a git target, which is not supported yet", "check out and check the folder"
        )
    if re.match(r"(?:https?|file|ftp):", rest, re.IGNORECASE):
        raise UsageError(f"{shown(text)} is a URL, which is not supported", "download it and check the file")
    name = os.path.basename(rest).lower()
    if name in _LOCKFILES or re.fullmatch(r".*(?:requirements|constraints).*\.txt|pylock\..*\.toml", name):
        raise UsageError(
            f"{shown(text)} is a lockfile, not a package",
            "`baitbox scan` checks everything in it, and `baitbox gate` what changed in it",
        )


def _is_path(text: str) -> bool:
    return text in (".", "..", "~") or text.startswith(("./", "../", "/", "~/")) or _suffix(text) != ""


def _suffix(path: str) -> str:
    bare = _without_extras(path)[0].lower()
    # `npm:x.zip` could be a name, but nobody means that; `@scope/x.tgz` could not be a path.
    if bare.startswith("@") or "://" in bare:
        return ""
    return next((suffix for suffix in _ARCHIVE_SUFFIXES if bare.endswith(suffix)), "")


def _without_extras(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.+?)\[([^\[\]/]*)\]", text)
    return (match[1], match[2]) if match else (text, "")


def _parse_path(text: str, written: str, ecosystem: EcosystemName | None) -> Target:
    bare, extras_text = written, ""
    if ecosystem != "npm" and not os.path.exists(os.path.expanduser(written)):
        bare, extras_text = _without_extras(written)
    path = os.path.abspath(os.path.expanduser(bare))
    if os.path.isdir(path):
        found = ecosystem or _folder_ecosystem(text, bare, path)
        return Target(text=text, ecosystem=found, kind="folder", path=path, extras=_extras(text, extras_text))
    suffix = _suffix(bare)
    if suffix:
        found = ecosystem or _ARCHIVE_SUFFIXES[suffix]
        if (found, suffix) in (("npm", ".whl"), ("npm", ".zip")):
            raise UsageError(f"{shown(text)}: an npm package file ends in .tgz or .tar.gz")
        return Target(
            text=text, ecosystem=found, kind="archive", path=path, extras=_extras(text, extras_text)
        )
    if os.path.exists(path):
        raise UsageError(f"{shown(text)} is neither a package folder nor a .tgz, .whl, .tar.gz or .zip file")
    # Nothing is there. That is no mistake of grammar: the fetch says so, with the exit code for "not found".
    return Target(text=text, ecosystem=ecosystem or "npm", kind="folder", path=path)


def _folder_ecosystem(text: str, written: str, path: str) -> EcosystemName:
    npm = os.path.lexists(os.path.join(path, "package.json"))
    pypi = any(os.path.lexists(os.path.join(path, name)) for name in _PYPI_PROJECT_FILES)
    if npm and pypi:
        choice = written if written.startswith((".", "/", "~")) else f"./{written}"
        raise UsageError(
            f"{shown(text)} is both an npm and a PyPI package",
            f"write npm:{shown(choice)} or pypi:{shown(choice)}",
        )
    if not npm and not pypi:
        raise UsageError(f"{shown(text)} has no package.json, pyproject.toml, setup.py or setup.cfg")
    return "npm" if npm else "pypi"


def _parse_npm(text: str, rest: str) -> Target:
    at = rest.find("@", 1)
    name, requested = (rest, "") if at < 0 else (rest[:at], rest[at + 1 :].strip())
    if at >= 0 and not requested:
        raise UsageError(
            f"{shown(text)} ends in @ without a version", f"write npm:{shown(name)} for the latest"
        )
    return _npm_target(text, name, requested)


def _npm_target(text: str, name: str, requested: str) -> Target:
    if not valid_npm_name(name):
        raise UsageError(f"{_quoted(name)} is not a valid npm package name")
    if len(requested) > _LONGEST_REQUEST or (requested and not _NPM_REQUEST.fullmatch(requested)):
        raise UsageError(f"{_quoted(requested)} is not an npm version, range or dist-tag")
    return Target(text=text, ecosystem="npm", name=name, requested=requested)


def _parse_pypi(text: str, rest: str) -> Target:
    match = re.fullmatch(r"([^\[\]<>=!~;@ ]*) *(?:\[([^\[\]]*)\])? *(.*)", rest)
    name, extras, requested = (match[1], match[2] or "", match[3].strip()) if match else (rest, "", "")
    if requested.startswith("@") and _PYPI_NAME.fullmatch(name):
        raise UsageError(
            f"{shown(text)}: a PyPI version is written with ==", f"write pypi:{name}=={requested[1:].strip()}"
        )
    return _pypi_target(text, name, _extras(text, extras), requested)


def _pypi_target(text: str, name: str, extras: tuple[str, ...], requested: str) -> Target:
    if not valid_pypi_name(name):
        raise UsageError(f"{_quoted(name)} is not a valid PyPI project name")
    if requested:
        # Imported where it is first needed: npm targets do without it.
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            if len(requested) > _LONGEST_REQUEST or not requested.isascii():
                raise InvalidSpecifier(requested)
            SpecifierSet(requested)
        except InvalidSpecifier:
            raise UsageError(
                f"{_quoted(requested)} is not a PyPI version specifier",
                "write pypi:NAME==1.2.3 or pypi:NAME>=1,<2",
            ) from None
    return Target(text=text, ecosystem="pypi", name=name, requested=requested, extras=extras)


def _extras(text: str, written: str) -> tuple[str, ...]:
    extras = tuple(dict.fromkeys(normalised(part.strip()) for part in written.split(",") if part.strip()))
    if len(extras) > 64 or not all(valid_pypi_name(extra) for extra in extras):
        raise UsageError(f"{shown(text)}: {_quoted(written)} are not valid extras")
    return extras


def _parse_purl(text: str) -> Target:
    from packageurl import PackageURL  # 28 ms: only who writes a purl pays for it

    try:
        purl = PackageURL.from_string(text)
    except (ValueError, LookupError, AttributeError, TypeError):
        raise UsageError(
            f"{shown(text)} is not a package URL", "write pkg:npm/NAME@VERSION or pkg:pypi/NAME@VERSION"
        ) from None
    qualifiers = dict(purl.qualifiers)
    file_name = str(qualifiers.pop("file_name", ""))
    kind = str(qualifiers.pop("packagetype", ""))
    if purl.type not in ("npm", "pypi"):
        raise UsageError(
            f"{shown(text)}: packages of type {_quoted(purl.type)} are not supported, only npm and pypi"
        )
    if qualifiers or purl.subpath:
        extra = next(iter(qualifiers), "a subpath")
        raise UsageError(f"{shown(text)}: {_quoted(extra)} is not understood in a package URL")
    version = purl.version or ""
    if not all(part.isprintable() for part in (purl.name, purl.namespace or "", version)):
        raise UsageError(f"{shown(text)} hides control characters")
    if purl.type == "npm":
        name = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
        return _npm_target(text, name, version)
    if purl.namespace:
        raise UsageError(f"{shown(text)}: a PyPI package has no namespace")
    target = _pypi_target(text, purl.name, (), f"=={version}" if version else "")
    if kind == "sdist" or file_name.endswith((".tar.gz", ".zip")):
        return msgspec.structs.replace(target, prefer="sdist")
    return target


def _quoted(text: str) -> str:
    return f"“{shown(text)}”"
