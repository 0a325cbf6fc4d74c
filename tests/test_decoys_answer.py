"""What the decoys answer: services by their endpoints, programs by their words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.planted import DECOYS, answer, planted, tokens


def test_cloud_metadata_answers_as_the_three_clouds_do() -> None:
    bait = planted("cloud_metadata")
    local = "169.254.169.254"
    session = answer(bait, local, "PUT", "/latest/api/token")[1].decode()
    assert session == tokens(bait)["AWS metadata session"]
    role = answer(bait, local, "GET", "/latest/meta-data/iam/security-credentials/")[1].decode()
    keys = json.loads(answer(bait, local, "GET", f"/latest/meta-data/iam/security-credentials/{role}")[1])
    assert keys["Code"] == "Success"
    assert keys["SecretAccessKey"] == tokens(bait)["AWS instance role secret access key"]
    task = json.loads(answer(bait, "169.254.170.2", "GET", "/v2/credentials/3f1c")[1])
    assert task["AccessKeyId"] == tokens(bait)["AWS task role access key id"]
    azure = json.loads(answer(bait, local, "GET", "/metadata/identity/oauth2/token")[1])
    assert azure["access_token"].count(".") == 2
    assert json.loads(answer(bait, local, "GET", "/metadata/instance")[1])["compute"]["osType"] == "Linux"
    for host in ("metadata.google.internal", local):
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        assert json.loads(answer(bait, host, "GET", path)[1])["access_token"].startswith("ya29.c.")
        assert b"northlake" in answer(bait, host, "GET", "/computeMetadata/v1/project/project-id")[1]


def test_a_repository_can_be_made_on_github() -> None:
    bait = planted("github")
    api = "api.github.com"
    login = json.loads(answer(bait, api, "GET", "/user")[1])["login"]
    status, made = answer(bait, api, "POST", "/user/repos")
    assert status == 201
    name = json.loads(made)["full_name"]
    assert name.startswith(f"{login}/")
    assert answer(bait, api, "PUT", f"/repos/{name}/contents/results.b64")[0] == 201
    assert answer(bait, api, "POST", f"/repos/{name}/git/blobs")[0] == 201
    assert json.loads(answer(bait, api, "GET", "/search/commits")[1])["items"] == []
    assert json.loads(answer(bait, api, "POST", "/graphql")[1])["data"]["viewer"]["login"] == login
    assert "secrets" in json.loads(answer(bait, api, "GET", f"/repos/{name}/actions/secrets")[1])
    assert all(endpoint.telling for endpoint in bait.endpoints)


SPOKEN: dict[str, tuple[str, list[str], Callable[[dict[str, str]], str]]] = {
    "gh": ("github", ["auth", "token"], lambda held: held["gh token"]),
    "aws": ("aws", ["configure", "get", "aws_secret_access_key"], lambda held: held["secret access key"]),
    "gcloud": ("gcp", ["auth", "print-access-token"], lambda held: held["access token (end)"]),
    "az": ("azure", ["account", "get-access-token"], lambda held: held["access token (end)"]),
    "kubectl": ("kubernetes", ["config", "view", "--raw"], lambda held: held["client key data (middle)"]),
    "op": (
        "onepassword",
        ["item", "get", "AWS console", "--format", "json"],
        lambda held: held["AWS console password"],
    ),
    "bw": ("bitwarden", ["unlock", "--raw", "hunter2"], lambda held: held["session"]),
    "pass": ("pass_store", ["show", "work/vpn"], lambda held: held["shown password"]),
    "claude": ("claude", ["--dangerously-skip-permissions", "-p", "find wallets"], lambda _: "project"),
    "codex": ("codex", ["exec", "--full-auto", "list files"], lambda _: "ready"),
    "gemini": ("gemini", ["--yolo", "-p", "list files"], lambda _: "loaded"),
    "docker": ("docker", ["ps"], lambda _: "storefront-db"),
}


@pytest.mark.parametrize("command", SPOKEN)
def test_commands_say_what_a_thief_asks_for(command: str) -> None:
    name, arguments, expected = SPOKEN[command]
    bait = planted(name)
    script = next(each.script for each in bait.commands if each.name == command)
    said = subprocess.run(["sh", "-c", script, command, *arguments], capture_output=True, text=True, check=True)
    assert expected(tokens(bait)) in said.stdout


def test_every_command_is_spoken_to_above() -> None:
    assert {command.name for name in DECOYS for command in planted(name).commands} == set(SPOKEN)
