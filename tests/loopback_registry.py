"""A registry on the loopback interface, for tests: npm packages and PyPI projects made of a few lines of text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sandbox.registries import Credential, Registries, Registry

JSON = "application/vnd.pypi.simple.v1+json"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText\n"


def tgz(files: dict[str, str]) -> bytes:
    """A gzipped tar of text files, the same bytes every time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), 1, mtime=0)


def npm_package(name: str, version: str, **more: object) -> bytes:
    """An npm package file with a manifest and an index.js."""
    manifest = json.dumps({"name": name, "version": version, **more})
    return tgz({"package/package.json": manifest, "package/index.js": "module.exports = 1\n"})


def wheel(name: str, version: str, entry_points: str = "") -> bytes:
    """A wheel with one module."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{name}.py", "x = 1\n")
        archive.writestr(f"{name}-{version}.dist-info/METADATA", METADATA.format(name=name, version=version))
        archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        if entry_points:
            archive.writestr(f"{name}-{version}.dist-info/entry_points.txt", entry_points)
    return packed.getvalue()


def sdist(name: str, version: str) -> bytes:
    """A source archive with a setup.py."""
    top = f"{name}-{version}"
    metadata = METADATA.format(name=name, version=version)
    return tgz({f"{top}/PKG-INFO": metadata, f"{top}/setup.py": "", f"{top}/{name}.py": "x = 1\n"})


class Page:
    """What one path answers; `faults` are answered first, one each: a status, or "cut" for an early end."""

    def __init__(self, body: bytes, content_type: str = "application/octet-stream") -> None:
        self.body = body
        self.content_type = content_type
        self.faults: list[int | str] = []
        self.location = ""
        self.compressed = False


class LoopbackRegistry:
    """The server: `pages` by path (as it is asked for, quoted), `asked` in order."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                registry.headers.append({key.lower(): value for key, value in self.headers.items()})
                registry.reply(self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may go away
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        page = self.pages.get(handler.path)
        fault = page.faults.pop(0) if page and page.faults else (404 if page is None else 200)
        body = page.body if page and fault in (200, "cut") else b"{}"
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        status = 200 if fault == "cut" else int(fault)
        if status == 200 and handler.headers.get("if-none-match") == tag:
            status, body = 304, b""
        if page and page.compressed and status == 200:
            body = gzip.compress(body)
        handler.send_response(status)
        handler.send_header("content-type", page.content_type if page else "application/json")
        handler.send_header("etag", tag)
        if page and page.compressed and status == 200:
            handler.send_header("content-encoding", "gzip")
        if page and page.location:
            handler.send_header("location", page.location)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
        if fault == "cut":
            handler.close_connection = True

    def npm(self, name: str, versions: dict[str, bytes], weak: bool = False, **tags: str) -> dict[str, object]:
        """Publish versions of a package; returns its metadata, to be changed and published with `put_json`."""
        base = name.rpartition("/")[2]
        metadata: dict[str, object] = {"name": name, "dist-tags": tags, "versions": {}}
        for version, content in versions.items():
            path = f"{name}/-/{base}-{version}.tgz"
            self.pages[f"/{path}"] = Page(content)
            sha512 = base64.b64encode(hashlib.sha512(content).digest()).decode()
            dist = {"tarball": self.url + path, "shasum": hashlib.sha1(content).hexdigest()}
            dist |= {} if weak else {"integrity": f"sha512-{sha512}"}
            metadata["versions"] |= {version: {"name": name, "version": version, "dist": dist}}  # type: ignore[operator]
        self.put_json(f"/{name.replace('/', '%2F')}", metadata)
        return metadata

    def pypi(self, name: str, files: dict[str, bytes], **more: object) -> dict[str, object]:
        """Publish a project's files; `more` goes into each file's entry. Returns the page."""
        entries = []
        for filename, content in files.items():
            self.pages[f"/files/{filename}"] = Page(content)
            hashes = {"sha256": hashlib.sha256(content).hexdigest()}
            entries.append({"filename": filename, "url": f"../../files/{filename}", "hashes": hashes, **more})
        page: dict[str, object] = {"meta": {"api-version": "1.0"}, "name": name, "files": entries}
        self.put_json(f"/simple/{name}/", page, JSON)
        return page

    def put_json(self, path: str, content: object, content_type: str = "application/json") -> Page:
        """Answer a path with JSON."""
        self.pages[path] = Page(json.dumps(content, separators=(",", ":")).encode(), content_type)
        return self.pages[path]

    def registries(self, *, token: str = "") -> Registries:
        """Settings that name this server for both ecosystems."""
        return Registries(
            npm=Registry(ecosystem="npm", url=self.url),
            pypi=(Registry(ecosystem="pypi", url=f"{self.url}simple/"),),
            credentials=(Credential(f"//127.0.0.1:{self.port}/", token),) if token else (),
        )


@contextmanager
def running() -> Iterator[LoopbackRegistry]:
    """A registry that serves until the end of the block."""
    registry = LoopbackRegistry()
    thread = threading.Thread(target=registry.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.server.shutdown()
        registry.server.server_close()
        thread.join()


