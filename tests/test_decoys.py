"""Conformance of the decoys' folder: what every decoy must hold to, and the formats that a thief would check."""

from __future__ import annotations

import base64
import configparser
import json
import netrc
import re
import sqlite3
import string
import subprocess
import tomllib
import zlib
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from sandbox.bait import BaitFile, Decoy, Draw, Person
from sandbox.persona import bait_texts
from tests.planted import DECOYS, PERSON, answer, file, planted, tokens

SEEDS = (1, 2, 3)
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
RUN = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
NEVER_STUBBED = {
    "git", "npm", "npx", "node", "python", "python3", "pip", "curl", "wget", "sh", "bash", "env", "make", "cc", "gcc",
    "tar", "yarn", "pnpm", "bun", "cat", "ls", "ssh", "gpg",
}  # fmt: skip


def forms(text: bytes) -> list[bytes]:
    """A text, and what its base64 runs say: the gateway undoes those too."""
    found = [text]
    for run in RUN.findall(text):
        body = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        body = body[:-1] if len(body) % 4 == 1 else body
        found.append(base64.b64decode(body + b"=" * (-len(body) % 4)))
    return found


def test_the_issue_s_list_is_there() -> None:
    wanted = """aws gcp azure cloud_metadata github gitlab npm_token pypi_token ssh gpg docker kubernetes vault claude
        codex gemini cursor onepassword bitwarden pass_store chrome firefox ethereum solana electrum bitcoin exodus
        shell_history databases netrc dotenv terraform system_secrets keyrings chat_apps openai huggingface
        cargo_gem paas"""
    assert set(wanted.split()) <= set(DECOYS)


@pytest.mark.parametrize("name", DECOYS)
class TestEvery:
    def test_says_what_it_is(self, name: str) -> None:
        decoy = DECOYS[name]
        assert isinstance(decoy, Decoy)
        assert decoy.title
        assert decoy.summary
        assert planted(name).decoy == name

    def test_same_seed_same_bait_another_seed_other_tokens(self, name: str) -> None:
        assert planted(name) == planted(name)
        values = [set(tokens(planted(name, seed)).values()) for seed in SEEDS]
        assert len(set().union(*values)) == sum(len(each) for each in values)

    def test_tokens_are_distinctive(self, name: str) -> None:
        bait = planted(name)
        assert bait.tokens
        assert {token.decoy for token in bait.tokens} == {name}
        assert len(tokens(bait)) == len(bait.tokens), "two tokens of one name"
        for token in bait.tokens:
            assert len(token.value) >= 16, token.name
            assert len(set(token.value)) >= 8, token.name
            assert "\n" not in token.value, token.name
            assert not set(token.value) & set('\\"'), "JSON would write it otherwise"

    def test_tokens_are_more_than_their_format(self, name: str) -> None:
        one, two = tokens(planted(name, 1)), tokens(planted(name, 2))
        assert list(one) == list(two)
        for token, value in one.items():
            assert sum(left != right for left, right in zip(value, two[token], strict=False)) >= 10, token

    def test_every_token_is_planted(self, name: str) -> None:
        bait = planted(name)
        texts = [form for text in bait_texts(bait) for form in forms(text)]
        for token in bait.tokens:
            assert any(token.value.encode() in text for text in texts), token.name

    def test_every_file_of_weight_carries_a_token(self, name: str) -> None:
        bait = planted(name)
        for each in bait.files:
            if each.weight != "low":
                held = [token for token in bait.tokens for text in forms(each.content) if token.value.encode() in text]
                assert held, each.path

    def test_files_can_be_planted(self, name: str) -> None:
        for each in planted(name).files:
            assert re.match(r"(~|\.)?/[^/]", each.path), each.path
            assert ".." not in Path(each.path).parts
            assert each.mode & 0o7000 == 0
            assert 0.1 <= each.age <= 3 * 366
            assert each.content

    def test_files_parse(self, name: str) -> None:
        for seed in SEEDS:
            for each in planted(name, seed).files:
                parse(each)

    def test_endpoints_can_be_matched(self, name: str) -> None:
        for endpoint in planted(name).endpoints:
            re.compile(endpoint.path)
            assert endpoint.hosts
            assert all(host == host.lower() and "/" not in host for host in endpoint.hosts)
            assert endpoint.method == endpoint.method.upper()
            if endpoint.content_type == "application/json":
                json.loads(endpoint.body)

    def test_commands_run(self, name: str) -> None:
        for command in planted(name).commands:
            assert command.name not in NEVER_STUBBED
            version = subprocess.run(["sh", "-c", command.script, command.name, "--version"], capture_output=True)
            assert version.returncode == 0
            assert re.search(rb"\d+\.\d+", version.stdout)
            unknown = subprocess.run(["sh", "-c", command.script, command.name, "no-such-thing"], capture_output=True)
            assert (unknown.returncode, unknown.stdout) == (1, b"")
            assert unknown.stderr


def parse(each: BaitFile) -> None:
    """Read a file with the parser of its kind; raises where it is none of it."""
    name = Path(each.path).name
    if each.content.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(each.content)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    elif name.endswith(".json"):
        json.loads(each.content.decode("utf-8-sig"))
    elif name.endswith(".toml"):
        tomllib.loads(each.content.decode())
    elif name.endswith((".yml", ".yaml")) or each.path in ("~/.kube/config", "~/.gem/credentials"):
        assert isinstance(yaml.safe_load(each.content), dict)
    elif each.path.startswith("~/.aws/") or name.endswith(".ini") or name in (".pypirc", ".my.cnf", "stored_tokens"):
        configparser.ConfigParser(interpolation=None).read_string(each.content.decode())


def test_databases_are_databases() -> None:
    paths = [
        each.path for name in DECOYS for each in planted(name).files if each.content.startswith(b"SQLite format 3\0")
    ]
    names = {Path(path).name for path in paths}
    assert {
        "credentials.db",
        "Login Data",
        "Cookies",
        "key4.db",
        "cookies.sqlite",
        "wallet.dat",
        "state.vscdb",
    } <= names


def test_no_two_decoys_plant_the_same() -> None:
    draw = Draw(1)
    baits = [decoy.plant(draw, PERSON) for decoy in DECOYS.values()]
    paths = [each.path for bait in baits for each in bait.files]
    commands = [command.name for bait in baits for command in bait.commands]
    variables = [variable for bait in baits for variable in bait.environment]
    values = [token.value for bait in baits for token in bait.tokens]
    for group in (paths, commands, variables, values):
        assert len(set(group)) == len(group)
    assert sum(len(each.content) for bait in baits for each in bait.files) < 2_000_000


def test_no_token_lies_within_another_decoy_s() -> None:
    draw = Draw(7)
    baits = [decoy.plant(draw, PERSON) for decoy in DECOYS.values()]
    texts = {bait.decoy: b"\n".join(bait_texts(bait)) for bait in baits}
    for token in (token for bait in baits for token in bait.tokens):
        holders = {other for other, text in texts.items() if token.value.encode() in text}
        assert holders <= {token.decoy}, token


FORMATS = {
    ("aws", "access key id"): r"AKIA[A-Z2-7]{16}",
    ("aws", "secret access key"): r"[A-Za-z0-9+/]{40}",
    ("cloud_metadata", "AWS instance role access key id"): r"ASIA[A-Z2-7]{16}",
    ("gcp", "client secret"): r"GOCSPX-[\w-]{28}",
    ("gcp", "refresh token"): r"1//0[\w-]{99}",
    ("azure", "service principal secret"): r"[A-Za-z0-9]{3}8Q~[\w-]{34}",
    ("github", "gh token"): r"gho_[A-Za-z0-9]{36}",
    ("github", "personal access token"): r"ghp_[A-Za-z0-9]{36}",
    ("github", "fine-grained token"): r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    ("gitlab", "company token"): r"glpat-[\w-]{20}",
    ("npm_token", "publish token"): r"npm_[A-Za-z0-9]{36}",
    ("docker", "Docker Hub token"): r"dckr_pat_[\w-]{27}",
    ("vault", "token"): r"hvs\.CAESI[\w-]{86}",
    ("claude", "interface key"): r"sk-ant-api03-[\w-]{93}AA",
    ("claude", "access token"): r"sk-ant-oat01-[\w-]{93}AA",
    ("gemini", "interface key"): r"AIza[\w-]{35}",
    ("onepassword", "account secret key"): r"A3-[A-Z0-9]{6}-[A-Z0-9]{6}(-[A-Z0-9]{5}){4}",
    ("electrum", "master private key"): r"xprv[1-9A-HJ-NP-Za-km-z]{107}",
    ("electrum", "seed phrase"): r"([a-z]+ ){11}[a-z]+",
    ("solana", "secret key in base 58"): r"[1-9A-HJ-NP-Za-km-z]{86,88}",
    ("dotenv", "Stripe key"): r"sk_live_51[A-Za-z0-9]{97}",
    ("dotenv", "SendGrid key"): r"SG\.[\w-]{22}\.[\w-]{43}",
    ("dotenv", "Slack bot token"): r"xoxb-\d{12}-\d{13}-[A-Za-z0-9]{24}",
    ("chat_apps", "Slack session"): r"xoxc-\d{12}-\d{12}-\d{13}-[0-9a-f]{64}",
    ("chat_apps", "Discord token"): r"[A-Za-z0-9]{24}\.[\w-]{6}\.[\w-]{38}",
    ("huggingface", "access token"): r"hf_[A-Za-z]{34}",
    ("terraform", "service token"): r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9]{67}",
    ("cargo_gem", "crates.io token"): r"cio[A-Za-z0-9]{32}",
    ("cargo_gem", "RubyGems key"): r"rubygems_[0-9a-f]{48}",
    ("paas", "DigitalOcean token"): r"dop_v1_[0-9a-f]{64}",
    ("system_secrets", "user's password hash"): r"\$y\$j9T\$[./0-9A-Za-z]{22}\$[./0-9A-Za-z]{43}",
    ("vpn", "private key"): r"[A-Za-z0-9+/]{43}=",
    ("openai", "Groq key"): r"gsk_[A-Za-z0-9]{52}",
}


@pytest.mark.parametrize(("name", "token"), FORMATS, ids=lambda part: part.replace(" ", "-"))
def test_formats(name: str, token: str) -> None:
    for seed in SEEDS:
        assert re.fullmatch(FORMATS[name, token], tokens(planted(name, seed))[token])


@pytest.mark.parametrize("seed", SEEDS)
def test_checksums_of_github_and_npm(seed: int) -> None:
    held = [
        value
        for name in ("github", "npm_token", "docker", "claude", "yarn")
        for value in tokens(planted(name, seed)).values()
    ]
    checked = [value for value in held if re.match(r"gh[po]_|github_pat_|npm_", value)]
    assert len(checked) == 8
    for value in checked:
        body = re.sub(r"^(gh[po]_|github_pat_|npm_)", "", value)
        number = 0
        for character in body[-6:]:
            number = number * 62 + BASE62.index(character)
        assert number == zlib.crc32(body[:-6].encode())


@pytest.mark.parametrize("seed", SEEDS)
def test_an_aws_key_id_names_its_account(seed: int) -> None:
    bait = planted("aws", seed)
    config = configparser.ConfigParser()
    config.read_string(file(bait, "~/.aws/config").content.decode())
    account = config["profile northlake-prod"]["sso_account_id"]
    for token in ("access key id", "production access key id"):
        raw = base64.b32decode(tokens(bait)[token][4:])
        assert str((int.from_bytes(raw[:6]) & 0x7FFFFFFFFF80) >> 7) == account
    assert account.encode() in answer(bait, "sts.amazonaws.com", "POST", "/")[1]


def test_the_pypi_token_is_a_macaroon() -> None:
    bait = planted("pypi_token")
    config = configparser.ConfigParser()
    config.read_string(file(bait, "~/.pypirc").content.decode())
    token = config["pypi"]["password"]
    assert token.startswith("pypi-AgE")
    body = token.removeprefix("pypi-")
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert raw[:2] == b"\x02\x01"
    assert raw[-34:-32] == b"\x06\x20"
    assert config["pypi"]["username"] == "__token__"


@pytest.mark.parametrize("seed", SEEDS)
def test_web_tokens_decode(seed: int) -> None:
    found = 0
    for name in DECOYS:
        for text in bait_texts(planted(name, seed)):
            for match in re.finditer(rb"(eyJ[\w-]+)\.(eyJ[\w-]+)\.([\w-]{20,})", text):
                header, payload = (json.loads(base64.urlsafe_b64decode(part + b"==")) for part in match.groups()[:2])
                assert header["typ"] == "JWT"
                assert payload["exp"] > 1_800_000_000
                found += 1
    assert found >= 8


def test_ssh_keys_are_keys() -> None:
    bait = planted("ssh")
    key = load_ssh_private_key(file(bait, "~/.ssh/id_ed25519").content, None)
    assert isinstance(key, Ed25519PrivateKey)
    shown = base64.b64decode(file(bait, "~/.ssh/id_ed25519.pub").content.split()[1])
    assert shown.endswith(key.public_key().public_bytes_raw())
    old = file(bait, "~/.ssh/id_rsa").content.decode().splitlines()
    assert (old[0], old[-1]) == ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
    assert base64.b64decode("".join(old[1:-1])).startswith(b"openssh-key-v1\0")
    for path in ("id_ed25519", "id_rsa", "northlake_deploy"):
        lines = file(bait, f"~/.ssh/{path}").content.decode().splitlines()
        assert sum(token.value in lines for token in bait.tokens) == 3


def test_pem_keys_have_the_length_that_they_say() -> None:
    service = next(each for each in planted("gcp").files if each.path.endswith(".iam.gserviceaccount.com.json"))
    config = yaml.safe_load(file(planted("kubernetes"), "~/.kube/config").content)
    held = config["users"][0]["user"]
    texts = [json.loads(service.content)["private_key"]]
    texts += [base64.b64decode(held[name]).decode() for name in ("client-key-data", "client-certificate-data")]
    for text in texts:
        raw = base64.b64decode("".join(text.splitlines()[1:-1]))
        assert raw[:2] == b"\x30\x82"
        assert int.from_bytes(raw[2:4]) == len(raw) - 4


def test_the_solana_key_is_one_key_in_two_forms() -> None:
    bait = planted("solana")
    numbers = bytes(json.loads(file(bait, "~/.config/solana/id.json").content))
    assert len(numbers) == 64
    assert Ed25519PrivateKey.from_private_bytes(numbers[:32]).public_key().public_bytes_raw() == numbers[32:]
    value = 0
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    for character in tokens(bait)["secret key in base 58"]:
        value = value * 58 + alphabet.index(character)
    assert value.to_bytes(64) == numbers


def test_netrc_parses(tmp_path: Path) -> None:
    place = tmp_path / "netrc"
    place.write_bytes(file(planted("netrc"), "~/.netrc").content)
    assert len(netrc.netrc(str(place)).hosts) == 3


@pytest.mark.parametrize(
    ("registry", "key", "host", "whoami"),
    [
        ("registry.corp.test/", "//registry.corp.test/:", "registry.corp.test", "/-/whoami"),
        (
            "registry.corp.test:8443/npm/",
            "//registry.corp.test:8443/npm/:",
            "registry.corp.test",
            "/npm/-/whoami",
        ),
        ("", "//npm.northlake.internal/public/:", "npm.northlake.internal", "/public/-/whoami"),
    ],
)
def test_the_npm_token_is_for_the_registry_of_the_run(registry: str, key: str, host: str, whoami: str) -> None:
    bait = DECOYS["npm_token"].plant(Draw(1), Person(npm_registry=registry))
    token = tokens(bait)["publish token"]
    assert f"{key}_authToken={token}\n" in file(bait, "~/.npmrc").content.decode()
    assert answer(bait, host, "GET", whoami) == (200, b'{\n  "username": "jordan-avery"\n}\n')
    assert b"objects" in answer(bait, host, "GET", whoami.replace("whoami", "npm/v1/tokens"))[1]
