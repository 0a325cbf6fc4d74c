"""A small npm registry and PyPI index on the loopback address, for a handful of archives.

It answers as the real ones do (packuments with integrity, the simple index in JSON and HTML, wheel metadata),
so that package managers and our own fetcher use it unchanged, and misbehaves where a test asks it to.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

Fault = Literal["missing", "error", "truncated", "corrupted"]

_NPM_TYPE = "application/json"
_SIMPLE_TYPE = "application/vnd.pypi.simple.v1+json"
_INSTALL_SCRIPTS = {"preinstall", "install", "postinstall"}


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str = "application/octet-stream"


class Registry:
    """Serves `archives` while it is open (`with Registry([...]) as registry:`).

    `faults` says, by the last part of a path (a package's or a file's name), what goes wrong: 404, 500, a body
    cut short, or one with other bytes than the digest says. `asked` lists the paths that were requested. With a
    `host` (a `.test` name) its addresses bear that name, and `own_url` is to be used as the HTTP proxy for it.
    """

    def __init__(
        self, archives: Iterable[Path], faults: Mapping[str, Fault] | None = None, host: str = ""
    ) -> None:
        self.asked: list[str] = []
        self._host = host
        self._faults = dict(faults or {})
        self._npm: dict[str, dict[str, tuple[dict[str, Any], bytes]]] = {}
        self._pypi: dict[str, dict[str, bytes]] = {}
        for path in archives:
            self._add(path)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def own_url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The address that it gives for itself, without a slash at the end."""
        return f"http://{self._host}" if self._host else self.own_url

    @property
    def npm_url(self) -> str:
        """The npm registry, as in an npmrc."""
        return f"{self.url}/npm/"

    @property
    def pypi_url(self) -> str:
        """The simple index, as pip's --index-url takes it."""
        return f"{self.url}/simple/"

    def __enter__(self) -> Registry:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, target: str, accept: str) -> _Answer:
        """What a GET of `target` is answered with, faults aside."""
        parts = [part for part in unquote(urlsplit(target).path).split("/") if part]
        match parts:
            case ["npm", *name, "-", file]:
                return self._tarball("/".join(name), file)
            case ["npm", *name] if name:
                return self._packument("/".join(name))
            case ["simple"]:
                return self._listing(accept)
            case ["simple", name]:
                return self._project(name, accept)
            case ["files", name, file]:
                return self._file(name, file)
        return _Answer(404, b"{}", "application/json")

    def _add(self, path: Path) -> None:
        data = path.read_bytes()
        if path.suffix == ".tgz":
            manifest = _manifest(data)
            self._npm.setdefault(manifest["name"], {})[manifest["version"]] = (manifest, data)
        else:
            self._pypi.setdefault(_parsed(path.name)[0], {})[path.name] = data

    def _packument(self, name: str) -> _Answer:
        versions = self._npm.get(name)
        if not versions:
            return _Answer(404, b'{"error":"Not found"}', _NPM_TYPE)
        latest = max(versions, key=Version)
        whole = {
            "_id": name,
            "name": name,
            "dist-tags": {"latest": latest},
            "versions": {version: self._version(name, *held) for version, held in versions.items()},
            "time": dict.fromkeys(["created", "modified", *versions], "2024-05-14T09:31:22.000Z"),
        }
        return _Answer(200, json.dumps(whole).encode(), _NPM_TYPE)

    def _version(self, name: str, manifest: dict[str, Any], data: bytes) -> dict[str, Any]:
        """A version's manifest as the registry gives it: with its tarball's address and digests."""
        file = f"{name.rpartition('/')[2]}-{manifest['version']}.tgz"
        dist = {
            "tarball": f"{self.npm_url}{name}/-/{file}",
            "integrity": f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}",
            "shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        }
        scripted = bool(_INSTALL_SCRIPTS & set(manifest.get("scripts", {}))) or "gypfile" in manifest
        identity = f"{name}@{manifest['version']}"
        return {**manifest, "_id": identity, "dist": dist, "hasInstallScript": scripted}

    def _tarball(self, name: str, file: str) -> _Answer:
        version = file.removeprefix(f"{name.rpartition('/')[2]}-").removesuffix(".tgz")
        held = self._npm.get(name, {}).get(version)
        return _Answer(200, held[1]) if held else _Answer(404, b"")

    def _listing(self, accept: str) -> _Answer:
        names = sorted(self._pypi)
        if _SIMPLE_TYPE in accept:
            whole = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
            return _Answer(200, json.dumps(whole).encode(), _SIMPLE_TYPE)
        links = "".join(f'<a href="/simple/{name}/">{name}</a>\n' for name in names)
        return _Answer(200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def _project(self, name: str, accept: str) -> _Answer:
        files = self._pypi.get(canonicalize_name(name))
        if not files:
            return _Answer(404, b"Not Found", "text/plain")
        if _SIMPLE_TYPE in accept:
            whole = {
                "meta": {"api-version": "1.1"},
                "name": canonicalize_name(name),
                "versions": sorted({_parsed(file)[1] for file in files}),
                "files": [self._described(name, file, data) for file, data in sorted(files.items())],
            }
            return _Answer(200, json.dumps(whole).encode(), _SIMPLE_TYPE)
        links = "".join(
            f'<a href="{self._address(name, file)}#sha256={_sha256(data)}">{html.escape(file)}</a>\n'
            for file, data in sorted(files.items())
        )
        return _Answer(200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def _described(self, name: str, file: str, data: bytes) -> dict[str, Any]:
        described: dict[str, Any] = {
            "filename": file,
            "url": self._address(name, file),
            "hashes": {"sha256": _sha256(data)},
            "size": len(data),
            "yanked": False,
        }
        if file.endswith(".whl"):
            described["core-metadata"] = {"sha256": _sha256(_metadata(data))}
        return described

    def _address(self, name: str, file: str) -> str:
        return f"{self.url}/files/{canonicalize_name(name)}/{file}"

    def _file(self, name: str, file: str) -> _Answer:
        data = self._pypi.get(name, {}).get(file.removesuffix(".metadata"))
        if data is None:
            return _Answer(404, b"")
        return _Answer(200, _metadata(data) if file.endswith(".whl.metadata") else data)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(urlsplit(self.path).path)
                answer = registry.answer(self.path, self.headers.get("Accept", ""))
                last = unquote(urlsplit(self.path).path).rstrip("/").rpartition("/")[2]
                fault = registry._faults.get(last)
                body, said = answer.body, len(answer.body)
                if fault == "missing":
                    answer, body, said = _Answer(404, b""), b"", 0
                elif fault == "error":
                    answer, body, said = _Answer(500, b""), b"", 0
                elif fault == "truncated":
                    body = body[: len(body) // 2]
                    self.close_connection = True
                elif fault == "corrupted":
                    body = body[:-1] + bytes([body[-1] ^ 1])
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(said))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: `asked` says what was requested."""

        return Handler


def _manifest(data: bytes) -> dict[str, Any]:
    """The package.json of a tarball that we built ourselves."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        file = archive.extractfile("package/package.json")
        if file is None:
            raise ValueError("the tarball has no package.json")
        manifest: dict[str, Any] = json.load(file)
        if "package/binding.gyp" in archive.getnames():
            manifest["gypfile"] = True
        return manifest


def _metadata(data: bytes) -> bytes:
    """The METADATA of a wheel."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(item for item in archive.namelist() if item.endswith(".dist-info/METADATA"))
        return archive.read(name)


def _parsed(file: str) -> tuple[str, str]:
    """The normalised name and the version that an archive's file name gives."""
    parsed = parse_wheel_filename(file) if file.endswith(".whl") else parse_sdist_filename(file)
    return canonicalize_name(parsed[0]), str(parsed[1])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
