"""The host's registries, from settings files in an invented home and an invented environment."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import RegistryError
from sandbox.registries import Registries, registry_settings


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


class Host:
    """An invented host: its home, its project and its environment."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.project = root, root / "home", root / "work"
        self.env: dict[str, str] = {"PATH": str(root / "bin"), "VIRTUAL_ENV": str(root / "venv")}
        self.home.mkdir()
        self.project.mkdir()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def settings(self, *, project: bool = True) -> Registries:
        return registry_settings(self.env, self.home, self.project if project else None, self.root)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_npm_files_win_in_npms_order(host: Host) -> None:
    host.write("etc/npmrc", "registry=https://global.test/")
    assert host.settings().for_npm("a").url == "https://global.test/"
    host.write("home/.npmrc", "; a comment\nregistry = https://user.test/npm ; another\n@corp:registry=https://corp.test/")
    assert host.settings().for_npm("a").url == "https://user.test/npm/"
    assert host.settings().for_npm("@corp/a").url == "https://corp.test/"
    host.write("work/.npmrc", 'registry="https://project.test"\n[section]\nregistry=https://ignored.test/')
    assert host.settings().for_npm("a").url == "https://project.test/"
    assert host.settings(project=False).for_npm("a").url == "https://user.test/npm/"
    host.env["NPM_CONFIG_REGISTRY"] = "https://variable.test/"
    found = host.settings().for_npm("@other/a")
    assert (found.url, found.host) == ("https://variable.test/", "variable.test")
    assert "variable" in found.source


def test_the_projects_npmrc_is_found_from_below(host: Host) -> None:
    host.write("work/.npmrc", "registry=https://project.test/")
    host.write("work/package.json", "{}")
    (host.project / "deep" / "er").mkdir(parents=True)
    found = registry_settings(host.env, host.home, host.project / "deep" / "er", host.root)
    assert found.for_npm("a").url == "https://project.test/"


def test_credentials_belong_to_an_address(host: Host) -> None:
    host.env |= {"TOKEN": "s3cret"}
    password = base64.b64encode(b"pass:word").decode()
    host.write(
        "home/.npmrc",
        "registry=https://one.test/npm/\n_authToken=unscoped\n//one.test/npm/:_authToken=${TOKEN}\n"
        "//two.test/:_auth=dTpw\n//three.test:8443/a:username=user\n"
        f"//three.test:8443/a:_password={password}\n//four.test/:_authToken=${{MISSING}}\n",
    )
    settings = host.settings()
    assert settings.authorization("https://one.test/npm/left-pad") == "Bearer s3cret"
    assert settings.authorization("https://one.test/elsewhere") == ""
    assert settings.authorization("https://two.test:443/x/y") == "Basic dTpw"
    assert settings.authorization("https://three.test:8443/a/b") == basic("user:pass:word")
    assert settings.authorization("https://three.test/a/b") == ""
    assert settings.authorization("https://four.test/a") == ""
    assert settings.authorization("http://one.test/npm/left-pad") == ""
    assert "s3cret" not in repr(settings)


def test_a_project_cannot_put_the_environment_into_an_address(host: Host) -> None:
    host.env["TOKEN"] = "s3cret"
    host.write("work/.npmrc", "registry=https://thief.test/${TOKEN}/\n//corp.test/:_authToken=${TOKEN}")
    with pytest.raises(RegistryError, match="not an http"):
        host.settings().for_npm("a")
    host.write("home/.npmrc", "registry=https://user.test/${TOKEN}/${UNSET?}")
    assert host.settings(project=False).for_npm("a").url == "https://user.test/s3cret/"
    assert host.settings().authorization("https://corp.test/a") == "Bearer s3cret"


def test_a_private_scope_never_falls_back(host: Host) -> None:
    host.write("home/.npmrc", "registry=https://public.test/\n@corp:registry=ftp://corp.test/")
    assert host.settings().for_npm("@else/a").host == "public.test"
    with pytest.raises(RegistryError, match="@corp"):
        host.settings().for_npm("@corp/a")


def test_npms_default_is_read_from_npms_own_files(host: Host) -> None:
    with pytest.raises(RegistryError, match="no npm registry") as error:
        host.settings().for_npm("a")
    assert "npm_config_registry" in error.value.hint
    npm = "lib/node_modules/npm"
    host.write(f"{npm}/package.json", "{}")
    host.write(f"{npm}/bin/npm-cli.js", "")
    host.write(
        f"{npm}/node_modules/@npmcli/config/lib/definitions/definitions.js",
        "  'replace-registry-host': new D('x', {default: 'known'}),\n"
        "  registry: new Definition('registry', {\n    default: 'https://default.test/',\n    type: url,",
    )
    (host.root / "bin").mkdir()
    (host.root / "bin" / "npm").symlink_to(f"../{npm}/bin/npm-cli.js")
    (host.root / npm / "bin" / "npm-cli.js").chmod(0o755)
    assert host.settings().for_npm("a").url == "https://default.test/"
    host.write(f"{npm}/npmrc", "registry=https://builtin.test/")
    assert host.settings().for_npm("a").url == "https://builtin.test/"


def test_pips_default_is_read_from_pips_own_files(host: Host) -> None:
    (main,) = host.settings().for_pypi()
    assert main.url.startswith("https://")
    assert main.url.endswith("/simple/")
    assert main.file_hosts


def test_pip_files_win_in_pips_order(host: Host) -> None:
    host.write("etc/pip.conf", "[global]\nindex-url = https://global.test/simple")
    assert host.settings().for_pypi()[0].url == "https://global.test/simple/"
    host.write("home/.config/pip/pip.conf", "[global]\nindex_url = https://user.test/simple/")
    assert host.settings().for_pypi()[0].url == "https://user.test/simple/"
    host.write("venv/pip.conf", "[install]\nindex-url = https://site.test/simple/")
    assert host.settings().for_pypi()[0].url == "https://site.test/simple/"
    host.write("named.conf", "[install]\nindex-url = https://named.test/simple/\n")
    host.env["PIP_CONFIG_FILE"] = str(host.root / "named.conf")
    assert host.settings().for_pypi()[0].url == "https://named.test/simple/"
    host.env["PIP_INDEX_URL"] = "https://variable.test/simple/"
    assert host.settings().for_pypi()[0].url == "https://variable.test/simple/"
    host.env |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_EXTRA_INDEX_URL": "file:///srv/x https://extra.test/s/"}
    assert [index.host for index in host.settings().for_pypi()] == ["variable.test", "extra.test"]


def test_pip_credentials_from_the_address_and_from_netrc(host: Host) -> None:
    host.env["PIP_INDEX_URL"] = "https://us%40er:p%3Aw@one.test/a/simple"
    host.env["PIP_EXTRA_INDEX_URL"] = "https://two.test/simple"
    host.write("home/.netrc", "machine two.test login me password pw\ndefault login x password y\n")
    settings = host.settings()
    assert settings.for_pypi()[0].url == "https://one.test/a/simple/"
    assert settings.authorization("https://one.test/a/packages/x.whl") == basic("us@er:p:w")
    assert settings.authorization("https://two.test/simple/x/") == basic("me:pw")
    assert settings.authorization("https://three.test/") == ""
    assert "p:w" not in repr(settings)


def test_what_pip_cannot_use_is_said(host: Host) -> None:
    host.env["PIP_NO_INDEX"] = "1"
    with pytest.raises(RegistryError, match="no index"):
        host.settings().for_pypi()
    del host.env["PIP_NO_INDEX"]
    host.write("etc/pip.conf", "[global\nindex-url")
    with pytest.raises(RegistryError, match="cannot be read"):
        host.settings().for_pypi()
    host.write("etc/pip.conf", "[global]\nextra-index-url = gopher://x.test/")
    with pytest.raises(RegistryError, match="not an http"):
        host.settings().for_pypi()


def test_certificates_of_both(host: Host) -> None:
    host.write("home/.npmrc", 'cafile=~/corp.pem\nca[]="-----A\\nB"\nca[]="-----C"')
    host.write("etc/pip.conf", "[global]\ncert = /etc/corp.pem")
    settings = host.settings()
    assert settings.ca_files[1] == "/etc/corp.pem"
    assert settings.ca_files[0].endswith("/corp.pem")
    assert settings.ca_text == "-----A\nB\n-----C"


def test_plain_http_takes_credentials_only_where_it_is_set_up(host: Host) -> None:
    host.write("home/.npmrc", "registry=http://localhost:4873/\n//localhost:4873/:_authToken=t")
    assert host.settings().authorization("http://localhost:4873/a") == "Bearer t"
    assert host.settings().authorization("http://localhost/a") == ""


@given(npmrc=st.text(), pip=st.text(), url=st.text())
def test_no_settings_file_can_break_it(
    tmp_path_factory: pytest.TempPathFactory, npmrc: str, pip: str, url: str
) -> None:
    host = Host(tmp_path_factory.mktemp("host"))
    npmrc = f"registry={url}\n//{url}:_authToken=x\n{npmrc}"
    host.root.joinpath("home/.npmrc").write_text(npmrc, "utf-8", "replace")
    host.write("etc/x", "")
    host.root.joinpath("etc/pip.conf").write_text(f"[global]\nindex-url={url}\n{pip}", "utf-8", "replace")
    for ask in (lambda s: s.for_npm("a"), lambda s: s.for_pypi()):
        try:
            ask(host.settings())
        except RegistryError as error:
            assert str(error)  # noqa: PT017  # either way is right; anything else is a bug


def test_it_is_cheap() -> None:
    registry_settings()
    started = time.perf_counter()
    registry_settings()
    assert time.perf_counter() - started < 0.25  # 3 ms alone; generous for a busy machine
