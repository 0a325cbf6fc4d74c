"""What an image has: its package managers, and the configuration without which its programs do not run.

The image is asked once, in a container without a network in which nothing of any package has run; the answer is kept
by the image's id. An image is the user's own choice, like the tools of this machine: what it says of itself is
believed, but strictly read.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sandbox import containers, locales
from sandbox.errors import BackendError
from sandbox.images import Image
from sandbox.plan import Toolchain
from sandbox.warden.frames import Put

CONFIGURATION = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
"""As for the native guest: what programs need of /etc; everything else there is the persona's."""
MUSL = "/etc/ld-musl-x86_64.path", "/etc/ld-musl-aarch64.path"
MOST_FILES = 2000
MOST_BYTES = 8 * 1024 * 1024
MOST_SAID = 1024 * 1024
SECONDS = 60
_FORMAT = 2

NODE = """
const fs = require("fs"), path = require("path");
const found = {executable: fs.realpathSync(process.execPath), version: process.versions.node, npm: "", npm_version: "",
               headers: ""};
const places = (process.env.PATH || "").split(":").map(folder => path.join(folder, "npm")).filter(fs.existsSync)
    .map(file => path.dirname(path.dirname(fs.realpathSync(file))));
places.push(path.join(path.dirname(path.dirname(found.executable)), "lib/node_modules/npm"), "/usr/share/nodejs/npm");
for (const place of places) {
    try {
        const manifest = JSON.parse(fs.readFileSync(path.join(place, "package.json"), "utf8"));
        if (manifest.name !== "npm" || !fs.existsSync(path.join(place, "bin/npm-cli.js"))) continue;
        found.npm = fs.realpathSync(place);
        found.npm_version = String(manifest.version);
        break;
    } catch {}
}
const prefix = path.dirname(path.dirname(found.executable));
try {
    const text = fs.readFileSync(path.join(prefix, "include/node/node_version.h"), "utf8");
    const number = part => (text.match(new RegExp("#define NODE_" + part + "_VERSION (\\\\d+)")) || [])[1];
    const version = ["MAJOR", "MINOR", "PATCH"].map(number).join(".");
    const complete = fs.existsSync(path.join(prefix, "include/node/common.gypi"));
    if (version === found.version && complete) found.headers = prefix;
} catch {}
process.stdout.write("node " + JSON.stringify(found) + "\\n");
"""

PYTHON = """
import json, os, sys
found = {"implementation": sys.implementation.name, "version": "%d.%d.%d" % sys.version_info[:3],
         "executable": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable), "pip": "",
         "pip_version": "", "tags": []}
try:
    import pip
    folder = os.path.dirname(os.path.realpath(pip.__file__))
    if os.path.isfile(os.path.join(folder, "__pip-runner__.py")):
        found.update(pip=folder, pip_version=pip.__version__)
    sys.path.insert(0, os.path.join(folder, "_vendor"))
    from packaging.tags import sys_tags
    found["tags"] = [str(tag) for tag in sys_tags()]
except ImportError:
    pass
print("python", json.dumps(found))
"""

SCRIPT = """
for name in bash sh; do
    place=$(command -v "$name") && { printf 'shell %s\\n' "$place"; break; }
done
for name in node nodejs; do
    place=$(command -v "$name") && { "$place" -e "$1"; break; }
done
for name in python3 python; do
    place=$(command -v "$name") && { "$place" -I -c "$2"; break; }
done
ls /lib/ld-musl-* > /dev/null 2>&1 && echo 'locales *' || echo locales $(locale -a 2> /dev/null)
exit 0
"""


class NodeFound(msgspec.Struct, frozen=True, kw_only=True):
    """Node and npm as the image has them; empty strings for what it has not."""

    executable: str
    version: str
    npm: str = ""
    npm_version: str = ""
    headers: str = ""


class PythonFound(msgspec.Struct, frozen=True, kw_only=True):
    """Python and pip as the image has them."""

    implementation: str
    version: str
    executable: str
    pip: str = ""
    pip_version: str = ""
    tags: tuple[str, ...] = ()


class ImageTools(msgspec.Struct, frozen=True, kw_only=True):
    """What an image has; see `plan.Tools`. Nothing of it has to be mounted or covered."""

    image: str
    identity: str = ""
    shell: str = ""
    locales: tuple[str, ...] = ()
    node: NodeFound | None = None
    python: PythonFound | None = None
    configuration: tuple[Put, ...] = ()
    volumes: tuple[str, ...] = ()
    """Folders that the image declares to be volumes."""
    mounts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    masks: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    format: int = _FORMAT

    def require(self, programs: Iterable[str]) -> None:
        """See `plan.Tools.require`."""
        if not self.shell:
            raise BackendError(f"the image {self.image} has no shell (sh), without which no package manager works")
        have = self.toolchain
        present = {"node": have.node, "npm": have.npm_cli, "python": have.python, "pip": have.pip}
        for program in programs:
            if not present.get(program):
                raise BackendError(
                    f"the guest needs {program}, and the image {self.image} has none that can be used",
                    "choose an image with it, or leave --image out: baitbox builds one of its own",
                )

    @property
    def bundles(self) -> tuple[str, ...]:
        """pip's own certificate authorities."""
        pip = self.python.pip if self.python is not None else ""
        return (f"{pip}/_vendor/certifi/cacert.pem",) if pip else ()

    @property
    def toolchain(self) -> Toolchain:
        """See `plan.Tools.toolchain`."""
        node, python = self.node, self.python
        if python is not None and python.implementation != "cpython":
            python = None
        return Toolchain(
            node=node.executable if node else "",
            node_version=node.version if node else "",
            npm_cli=f"{node.npm}/bin/npm-cli.js" if node and node.npm else "",
            npm_version=node.npm_version if node else "",
            python=python.executable if python else "",
            python_version=python.version if python else "",
            pip=f"{python.pip}/__pip-runner__.py" if python and python.pip else "",
            pip_version=python.pip_version if python else "",
            shell=self.shell,
            locales=self.locales,
            tags=python.tags if python else (),
            environment={"npm_config_nodedir": node.headers} if node and node.headers else {},
        )


def examine(api: Any, image: Image, cache: Path) -> ImageTools:
    """What the image has, asked for the first time or remembered. Raises BackendError."""
    memory = cache / "images" / f"{image.id.rpartition(':')[2]}.msgpack"
    with suppress(OSError, ValueError):
        known = msgspec.msgpack.decode(memory.read_bytes(), type=ImageTools)
        if known.format == _FORMAT:
            return msgspec.structs.replace(known, image=image.name)
    try:
        found = _ask(api, image)
    except containers.failures() as error:
        raise BackendError(f"the image {image.name} cannot be examined: {containers.sentence(error)}") from None
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(".new")
        fresh.write_bytes(msgspec.msgpack.encode(found))
        fresh.replace(memory)
    return found


def _ask(api: Any, image: Image) -> ImageTools:
    options = api.create_host_config(network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges"])
    marks = containers.labels("probe")
    made = api.create_container(
        image.id, ["sh", "-c", SCRIPT, "sh", NODE, PYTHON], entrypoint=[], host_config=options,
        user="0:0", working_dir="/", healthcheck={"test": ["NONE"]}, labels=marks,
    )  # fmt: skip
    container = made["Id"]
    try:
        configuration = tuple(put for path in (*CONFIGURATION, *MUSL) for put in _copied(api, container, path))
        said = ""
        with suppress(_no_such_program()):
            api.start(container)
            api.wait(container, timeout=SECONDS)
            said = api.logs(container, stdout=True, stderr=False)[:MOST_SAID].decode("utf-8", "replace")
    finally:
        containers.forget(marks)
        containers.removed(api, container)
    declared = (api.inspect_image(image.id).get("Config") or {}).get("Volumes") or {}
    volumes = tuple(sorted(path for path in declared if path.startswith("/") and path.isprintable()))
    return _read(said, image, configuration, volumes)


def _no_such_program() -> type[Exception]:
    import docker.errors

    refused: type[Exception] = docker.errors.APIError
    return refused  # an image without `sh`: it has no package manager either


def _read(said: str, image: Image, configuration: tuple[Put, ...], volumes: tuple[str, ...]) -> ImageTools:
    """The answers in what the script printed. Raises BackendError for one that is none."""
    lines = {name: rest for name, space, rest in (line.partition(" ") for line in said.splitlines()) if space}
    try:
        node = msgspec.json.decode(lines["node"], type=NodeFound) if "node" in lines else None
        python = msgspec.json.decode(lines["python"], type=PythonFound) if "python" in lines else None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BackendError(f"the tools of the image {image.name} answer oddly: {error}") from None
    return ImageTools(
        image=image.name, identity=image.id, shell=lines.get("shell", ""), node=node, python=python,
        locales=locales.said_to_be(lines.get("locales", "")),
        configuration=configuration, volumes=volumes,
    )  # fmt: skip


def _copied(api: Any, container: str, path: str) -> list[Put]:
    """A file or folder of the image as it is to be planted; nothing where it is not there. Links stay links."""
    import docker.errors

    try:
        chunks, _ = api.get_archive(container, path)
    except docker.errors.NotFound:
        return []
    raw = b""
    for chunk in chunks:
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise BackendError(f"{path} of the image has more than {MOST_BYTES} bytes")
    puts: list[Put] = []
    above = Path(path).parent
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for entry in archive:
            place = above / entry.name
            if len(puts) >= MOST_FILES or ".." in place.parts or not place.is_relative_to(path):
                continue
            name, when = str(place), int(entry.mtime)
            if entry.isdir():
                puts.append(Put(name, kind=2, mode=0o755, modified=when, owned=False))
            elif entry.issym():
                puts.append(Put(name, entry.linkname.encode(), 0o777, 3, when, False))
            elif entry.isfile():
                file = archive.extractfile(entry)
                puts.append(Put(name, file.read() if file else b"", 0o644, 0, when, False))
    return puts
