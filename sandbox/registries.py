"""Which registries the host uses, as npm and pip would see it: their settings, environment and defaults.

Nothing is contacted and no program is started; reading it all takes a few milliseconds. No registry stands in
this code: without a setting, npm's and pip's own installed files say what their default is.

Three things differ from npm and pip on purpose. In a project's `.npmrc`, `${NAME}` is expanded only in
credentials, never in an address. Who checks a folder that holds the current directory should pass
`project=None`, or the checked package chooses where the user's token is sent. And `strict-ssl=false` and
`trusted-host` are not followed: say `cafile` or `cert` instead.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from sandbox.errors import RegistryError
from sandbox.npm_settings import Settings, npm_default, npm_settings
from sandbox.pip_settings import netrc_logins, pip_default, pip_settings

_HERE = Path(".")


class Credential(msgspec.Struct, frozen=True):
    """An `Authorization` value and where it belongs: `//host[:port]/path/`, npm's own form of the key. Its
    text form never shows the value."""

    prefix: str
    value: str

    def __repr__(self) -> str:
        return f"Credential({self.prefix!r}, hidden)"


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """One registry: an npm registry's base or a PyPI simple index. `url` ends in `/` and has no credentials;
    `source` is the file or variable that named it; `file_hosts` are further hosts known to hold its files."""

    ecosystem: Literal["npm", "pypi"]
    url: str
    source: str = ""
    file_hosts: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host name, without port."""
        return urlsplit(self.url).hostname or ""


class Registries(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that fetching needs to know about the host's registries."""

    npm: Registry | None = None
    npm_scopes: dict[str, Registry] = {}
    pypi: tuple[Registry, ...] = ()
    credentials: tuple[Credential, ...] = ()
    ca_files: tuple[str, ...] = ()
    ca_text: str = ""
    problems: dict[str, str] = {}
    """Why no registry can be used, by `npm`, `pypi` or an npm scope; it is raised to whoever asks for that
    one. A private scope whose registry is set wrongly must never fall back to the public one."""

    def for_npm(self, name: str) -> Registry:
        """The registry of an npm package, by its scope. Raises RegistryError where none is set."""
        scope = name.partition("/")[0] if name.startswith("@") else ""
        found = self.npm_scopes.get(scope, self.npm)
        if scope in self.problems or found is None:
            problem = self.problems.get(scope) or self.problems.get("npm", "no npm registry is known here")
            raise RegistryError(problem, "set npm_config_registry, or registry= in ~/.npmrc")
        return found

    def for_pypi(self) -> tuple[Registry, ...]:
        """The PyPI indexes, the main one first. Raises RegistryError where none is set."""
        if "pypi" in self.problems or not self.pypi:
            raise RegistryError(
                self.problems.get("pypi", "no PyPI index is known here"),
                "set PIP_INDEX_URL, or index-url in pip's settings",
            )
        return self.pypi

    def all(self) -> list[Registry]:
        """Every registry, npm's first."""
        return [*([self.npm] if self.npm else []), *self.npm_scopes.values(), *self.pypi]

    def authorization(self, url: str) -> str:
        """The `Authorization` value for `url`, from the longest key that it lies under; empty for none.

        Never over plain HTTP, unless a registry on that very host is itself set up so.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not any(
            registry.url.startswith("http:") and _nerf(registry.url, whole=False) == _nerf(url, whole=False)
            for registry in self.all()
        ):
            return ""
        key = _nerf(url)
        under = [credential for credential in self.credentials if key.startswith(credential.prefix)]
        return max(under, key=lambda credential: len(credential.prefix)).value if under else ""


def registry_settings(
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
    project: Path | None = _HERE,
    system: Path = Path("/"),
) -> Registries:
    """The host's registries. `project` is the directory whose `.npmrc` counts (None: no project's does);
    `environment`, `home` and `system` are the real ones unless a test says otherwise. Never raises: what is
    missing or wrong is raised by `for_npm` and `for_pypi`, to whoever needs it."""
    env = os.environ if environment is None else environment
    where = Path(os.path.expanduser("~")) if home is None else home
    problems: dict[str, str] = {}
    from_npm = npm_settings(env, where, project, system)
    from_pip = pip_settings(env, where, system, problems)
    npm, scopes, npm_credentials = _npm(env, from_npm, problems)
    pypi, pypi_credentials = _pypi(env, where, from_pip, problems)
    files = [_value(from_npm, "cafile"), _value(from_pip, "cert")]
    files += [env.get(name, "") for name in ("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")]
    return Registries(
        npm=npm, npm_scopes=scopes, pypi=pypi, credentials=(*npm_credentials, *pypi_credentials),
        ca_files=tuple(dict.fromkeys(os.path.expanduser(file) for file in files if file)),
        ca_text=_value(from_npm, "ca").replace("\\n", "\n"), problems=problems,
    )  # fmt: skip


def _nerf(url: str, *, whole: bool = True) -> str:
    """`//host[:port]/path/` without default port or last path part; without any path unless `whole`."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    default = {"https": 443, "http": 80}.get(parts.scheme)
    netloc = (parts.hostname or "") + (f":{port}" if port and port != default else "")
    return f"//{netloc}/" + (parts.path.lstrip("/").rpartition("/")[0] + "/" if whole else "").lstrip("/")


def _without_credentials(url: str) -> tuple[str, str]:
    """(`url` as a base without credentials, the Authorization value that they make). Raises ValueError."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or "${" in url or not url.isprintable():
        raise ValueError("not an http or https address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    bare = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    bare += parts.path if parts.path.endswith("/") else parts.path + "/"
    if parts.username is None:
        return bare, ""
    return bare, _basic(unquote(parts.username), unquote(parts.password or ""))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _npm(
    env: Mapping[str, str], settings: Settings, problems: dict[str, str]
) -> tuple[Registry | None, dict[str, Registry], list[Credential]]:
    credentials = _npm_credentials(settings)
    scopes: dict[str, Registry] = {}
    found: Registry | None = None
    url, source = settings.get("registry", ("", ""))
    if not url:
        url, source = npm_default(env), "npm's own default"
    if not url:
        problems["npm"] = "no npm registry is set, and no npm is installed that would say its default"
    for key, (address, named_by) in [*settings.items(), ("", (url, source))]:
        scope = key.removesuffix(":registry") if key.startswith("@") and key.endswith(":registry") else ""
        if (key and not scope) or not address:
            continue
        try:
            bare, authorization = _without_credentials(address)
        except ValueError:
            of_scope = f" of {scope}" if scope else ""
            problems[scope or "npm"] = f"the npm registry{of_scope} in {named_by} is not an http(s) address"
            continue
        if authorization:
            credentials.append(Credential(_nerf(bare), authorization))
        registry = Registry(ecosystem="npm", url=bare, source=named_by)
        if scope:
            scopes[scope] = registry
        else:
            found = registry
    return found, scopes, credentials


def _npm_credentials(settings: Settings) -> list[Credential]:
    by_prefix: dict[str, dict[str, str]] = {}
    for key, (value, _) in settings.items():
        prefix, colon, kind = key.rpartition(":")
        if key.startswith("//") and colon and kind in ("_authToken", "_auth", "username", "_password"):
            whole = prefix if prefix.endswith("/") else prefix + "/"
            try:
                by_prefix.setdefault(_nerf("https:" + whole), {})[kind] = value
            except ValueError:
                continue  # a key that is no address can belong to none
    found = []
    for prefix, parts in by_prefix.items():
        value = ""
        if parts.get("_authToken"):
            value = "Bearer " + parts["_authToken"]
        elif parts.get("_auth"):
            value = "Basic " + parts["_auth"]
        elif parts.get("username") and parts.get("_password"):
            try:
                password = base64.b64decode(parts["_password"], validate=False).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                continue
            value = _basic(parts["username"], password)
        if value and value.isascii() and value.isprintable() and "${" not in value:
            found.append(Credential(prefix, value))
    return found


def _pypi(
    env: Mapping[str, str], home: Path, settings: Settings, problems: dict[str, str]
) -> tuple[tuple[Registry, ...], list[Credential]]:
    main, source = settings.get("index-url", ("", ""))
    file_hosts: tuple[str, ...] = ()
    if not main:
        main, file_hosts = pip_default()
        source = "pip's own default"
    if _value(settings, "no-index").lower() in ("1", "true", "yes", "on", "y", "t"):
        problems["pypi"] = f"pip is told to use no index by {settings['no-index'][1]}"
        return (), []
    extra, extra_source = settings.get("extra-index-url", ("", ""))
    credentials = [Credential(f"//{host}/", _basic(*login)) for host, *login in netrc_logins(env, home)]
    found: list[Registry] = []
    for url, named_by in [(main, source), *((url, extra_source) for url in extra.split())]:
        if not url or "://" not in url or url.startswith("file:"):
            continue  # a folder of files is a pip convenience that a guest could not reach
        try:
            bare, authorization = _without_credentials(url)
        except ValueError:
            problems["pypi"] = f"the PyPI index in {named_by} is not an http(s) address"
            continue
        if authorization:
            # pip uses them for everything on that host: files rarely lie under the index's own path.
            credentials.extend(Credential(_nerf(bare, whole=whole), authorization) for whole in (True, False))
        hosts = file_hosts if url == main else ()
        found.append(Registry(ecosystem="pypi", url=bare, source=named_by, file_hosts=hosts))
    if not found:
        problems.setdefault(
            "pypi", "no PyPI index is set, and no pip is installed that would say its default"
        )
    return tuple(found), credentials


def _value(settings: Settings, key: str) -> str:
    return settings.get(key, ("", ""))[0]
