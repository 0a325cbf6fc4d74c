"""Images that guests are made of: the runner image, built on first use, or one that the user names.

A guest's image is the named one and one layer more, with the warden in it. Both carry labels, and are found again by
what they are made from: a tag holds the digest of that, so a changed Dockerfile or warden makes a new image.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sandbox import containers
from sandbox.errors import BackendError
from sandbox.plaintext import escape
from sandbox.warden import PROGRAM

RUNNER = "baitbox-runner"
GUEST = "baitbox-guest"
WARDEN = "/usr/lib/systemd/systemd"
"""Where the warden stands in a guest, readable by root alone; a name that says nothing."""
SAYS = 160
"""Characters of a build's line that are shown."""


class Image(msgspec.Struct, frozen=True):
    """An image by its id (`sha256:...`), and the name that it was asked for by."""

    id: str
    name: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An image of baitbox's own that the daemon holds."""

    id: str
    tags: tuple[str, ...]
    kind: str
    """`runner` or `guest`."""
    size: int
    created: int
    """Seconds since 1970."""
    current: bool
    """Whether it is made from today's Dockerfile."""


def dockerfile() -> Path:
    """`Dockerfile.runner`: beside the package in a clone, inside it where it is installed."""
    here = Path(__file__).parent
    inside = here / "_image" / "Dockerfile.runner"
    return inside if inside.is_file() else here.parent / "Dockerfile.runner"


def tag(base: str = "") -> str:
    """The runner image's name: by its Dockerfile and, where it is not the one written there, its base."""
    made_from = dockerfile().read_bytes() + (b"\0" + base.encode() if base else b"")
    return f"{RUNNER}:{hashlib.sha256(made_from).hexdigest()[:16]}"


def ready(api: Any, name: str, step: Callable[[str], None], base: str = "") -> Image:
    """The image called `name`, or the runner image, built if need be. Raises BackendError."""
    if name:
        found = _find(api, name)
        if found is None:
            raise BackendError(f"the Docker daemon has no image {name}", f"fetch it: docker pull {name}")
        return found
    runner = tag(base)
    return _find(api, runner) or _build(api, runner, base, step)


def _find(api: Any, name: str) -> Image | None:
    import docker.errors

    try:
        return Image(str(api.inspect_image(name)["Id"]), name)
    except docker.errors.NotFound:
        return None
    except containers.failures() as error:
        raise BackendError(f"the image {name} cannot be used: {containers.sentence(error)}") from None


def _build(api: Any, runner: str, base: str, step: Callable[[str], None]) -> Image:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(dockerfile(), "Dockerfile")
    context.seek(0)
    step(f"building the runner image {runner}: once, for some minutes")
    problem = ""
    try:
        said = api.build(
            fileobj=context, custom_context=True, tag=runner, rm=True, forcerm=True, decode=True,
            buildargs={"BASE": base} if base else {}, labels={containers.LABEL: "runner"},
        )  # fmt: skip
        for line in said:
            text = escape(" ".join(str(line.get("stream", "")).split()))[:SAYS]
            problem = str(line.get("error", "")) or problem
            if text:
                step(f"building the runner image: {text}")
    except containers.failures() as error:
        problem = containers.sentence(error)
    found = None if problem else _find(api, runner)
    if found is None:
        hint = "the daemon must reach the base image and Debian's packages; another base: image build --base IMAGE"
        raise BackendError(f"the runner image could not be built: {containers.sentence(ValueError(problem))}", hint)
    return found


def with_warden(api: Any, base: Image) -> str:
    """The id of `base` with the warden in it. Raises what the SDK raises, and BackendError."""
    program = PROGRAM.read_bytes()
    made_from = base.id.encode() + b"\0" + hashlib.sha256(program).digest()
    name = f"{GUEST}:{hashlib.sha256(made_from).hexdigest()[:16]}"
    found = _find(api, name)
    if found is not None:
        return found.id
    marks = containers.labels("image")
    made = api.create_container(base.id, ["true"], entrypoint=[], labels=marks)
    try:
        api.put_archive(made["Id"], "/", _layer(program))
        repository, _, version = name.partition(":")
        labels = {containers.LABEL: "guest", f"{containers.LABEL}.base": base.id}
        api.commit(made["Id"], repository, version, conf={"Labels": labels, "Entrypoint": [], "Cmd": [WARDEN]})
    finally:
        containers.forget(marks)
        containers.removed(api, made["Id"])
    found = _find(api, name)
    if found is None:
        raise BackendError(f"the image {name} is gone as soon as it was made", "is something removing images?")
    return found.id


def _layer(program: bytes) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        place = Path(WARDEN.lstrip("/"))
        for folder in reversed([parent for parent in place.parents if parent.name]):
            if folder != Path("usr", "lib"):  # the image's own, which may be a link on some
                entry = tarfile.TarInfo(str(folder))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
        entry = tarfile.TarInfo(str(place))
        entry.size, entry.mode = len(program), 0o700
        archive.addfile(entry, io.BytesIO(program))
    return layer.getvalue()


def kept(api: Any) -> list[Kept]:
    """Every image of baitbox's own, newest first. Raises BackendError."""
    try:
        listed = api.images(filters={"label": containers.LABEL})
    except containers.failures() as error:
        raise BackendError(f"the images cannot be listed: {containers.sentence(error)}") from None
    current = tag()
    runners = {image["Id"] for image in listed if current in map(_short, image.get("RepoTags") or ())}
    found = []
    for image in listed:
        marks = image.get("Labels") or {}
        kind = "guest" if marks.get(f"{containers.LABEL}.base") else "runner"
        fresh = image["Id"] in runners or marks.get(f"{containers.LABEL}.base") in runners
        tags = tuple(name for name in image.get("RepoTags") or () if not name.startswith("<none>"))
        size, created = int(image["Size"]), int(image["Created"])
        found.append(Kept(id=str(image["Id"]), tags=tags, kind=kind, size=size, created=created, current=fresh))
    return sorted(found, key=lambda image: -image.created)


def _short(name: str) -> str:
    """An image's name as Docker gives it; Podman says where it would come from."""
    return name.removeprefix("localhost/").removeprefix("docker.io/library/")


def prune(api: Any, *, everything: bool = False) -> tuple[int, int, list[str]]:
    """Remove containers that killed runs have left, and images that are not made from today's Dockerfile (or all
    of baitbox's own). (containers, images, what could not be removed). Raises BackendError."""
    swept = containers.sweep(api)
    problems, gone = [], 0
    for image in sorted(kept(api), key=lambda image: image.kind != "guest"):  # first those that stand on others
        if image.current and not everything:
            continue
        try:
            for name in image.tags or (image.id,):
                api.remove_image(name)
            gone += 1
        except containers.failures() as error:
            problems.append(containers.sentence(error))
    return swept, gone, problems
