"""Images: their names, and the layer with the warden in it."""

from __future__ import annotations

import io
import re
import tarfile

import pytest

from sandbox import image_tools, images
from sandbox.errors import BackendError
from sandbox.images import Image

IMAGE = Image("sha256:" + "0" * 64, "registry.test/ci:1")
NODE = (
    '{"executable":"/usr/local/bin/node","version":"22.1.0","npm":"/usr/local/lib/node_modules/npm",'
    '"npm_version":"11.2.0","headers":"/usr/local"}'
)
PYTHON = (
    '{"implementation":"cpython","version":"3.13.1","executable":"/usr/bin/python3.13","pip":"/usr/lib/pip",'
    '"pip_version":"25.1","tags":["cp313-cp313-musllinux_1_2_x86_64","py3-none-any"]}'
)


def read(said: str) -> image_tools.ImageTools:
    return image_tools._read(said, IMAGE, (), ())


def test_the_runner_image_is_named_by_what_it_is_made_of() -> None:
    assert re.fullmatch(r"baitbox-runner:[0-9a-f]{16}", images.tag())
    assert images.tag() == images.tag("")
    assert len({images.tag(), images.tag("debian:trixie"), images.tag("debian:bookworm")}) == 3


def test_the_default_base_is_pinned_by_digest() -> None:
    text = images.dockerfile().read_text(encoding="utf-8")
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)


def test_the_warden_is_for_root_alone() -> None:
    with tarfile.open(fileobj=io.BytesIO(images._layer(b"program"))) as archive:
        entries = {f"/{entry.name}": entry for entry in archive}
        warden = entries[images.WARDEN]
        file = archive.extractfile(warden)
        assert file is not None
        assert file.read() == b"program"
    assert (warden.mode, warden.uid, warden.gid) == (0o700, 0, 0)
    assert "/usr/lib" not in entries  # nothing of the image's own is touched


def test_what_an_image_has() -> None:
    tools = read(f"shell /bin/bash\nnode {NODE}\npython {PYTHON}\n")
    tools.require(["node", "npm", "python", "pip"])
    have = tools.toolchain
    assert have.npm_cli == "/usr/local/lib/node_modules/npm/bin/npm-cli.js"
    assert have.pip == "/usr/lib/pip/__pip-runner__.py"
    assert have.tags[0] == "cp313-cp313-musllinux_1_2_x86_64"
    assert have.environment == {"npm_config_nodedir": "/usr/local"}
    assert have.shell == "/bin/bash"
    assert tools.bundles == ("/usr/lib/pip/_vendor/certifi/cacert.pem",)
    assert not tools.mounts


@pytest.mark.parametrize(
    ("said", "program"),
    [
        ("shell /bin/sh\n", "npm"),
        (f"shell /bin/sh\npython {PYTHON}", "npm"),
        (f"shell /bin/sh\nnode {NODE}", "pip"),
        (f"shell /bin/sh\npython {PYTHON.replace('/usr/lib/pip', '')}", "pip"),
        (f"shell /bin/sh\npython {PYTHON.replace('cpython', 'pypy')}", "python"),
    ],
)
def test_an_image_without_the_package_manager_says_so(said: str, program: str) -> None:
    with pytest.raises(BackendError, match=f"needs {program}, and the image registry.test/ci:1 has none"):
        read(said).require([program])


def test_an_image_says_which_locales_it_has() -> None:
    assert read("locales C C.utf8 POSIX").toolchain.locales == ("C", "C.utf8", "POSIX")
    assert read("locales *").toolchain.locales == ("*",)
    assert read("locales").toolchain.locales == read("shell /bin/sh").toolchain.locales == ()


def test_an_image_without_a_shell_says_so() -> None:
    with pytest.raises(BackendError, match="no shell"):
        read("").require(["npm"])


@pytest.mark.parametrize("said", ["node nonsense", "node {}", 'node {"executable":1,"version":""}', "python []"])
def test_odd_answers_are_one_sentence(said: str) -> None:
    with pytest.raises(BackendError, match="answer oddly"):
        read(said)
