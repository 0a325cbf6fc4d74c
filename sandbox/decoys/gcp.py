"""Google Cloud: application default credentials, gcloud's token databases, a service account's key."""

from __future__ import annotations

import base64
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._commands import command, words
from sandbox.decoys._keys import line_tokens, pkcs8
from sandbox.decoys._stores import database


def plant(draw: Draw, person: Person) -> Bait:
    """The files below ~/.config/gcloud, the token and secret interfaces, and the `gcloud` command."""
    client, client_secret = _tokens.google_client(draw)
    refresh, other_refresh = _tokens.google_refresh(draw), _tokens.google_refresh(draw)
    access, stored = _tokens.google_access(draw), _tokens.password(draw, 32)
    project = f"{person.company}-prod-{draw.number(100000, 499999)}"
    user = {
        "client_id": client,
        "client_secret": client_secret,
        "refresh_token": refresh,
        "type": "authorized_user",
    }
    default = {"account": "", **user, "quota_project_id": project, "universe_domain": "googleapis.com"}
    key = pkcs8(draw)
    service = _service_account(draw, project, key)
    legacy = {**user, "refresh_token": other_refresh}
    root = "~/.config/gcloud"
    return Bait(
        decoy="gcp",
        files=(
            BaitFile(f"{root}/application_default_credentials.json", _tokens.document(default), age=88),
            BaitFile(f"{root}/credentials.db", _credentials(person, legacy), age=40),
            BaitFile(f"{root}/access_tokens.db", _access_tokens(person, access), age=2.5),
            BaitFile(f"{root}/legacy_credentials/{person.email}/adc.json", _tokens.document(legacy), age=40),
            BaitFile(f"{root}/{service['client_email']}.json", _tokens.document(service), age=300),
            BaitFile(f"{root}/active_config", b"default", 0o644, 300, "low"),
            BaitFile(
                f"{root}/configurations/config_default",
                f"[core]\naccount = {person.email}\nproject = {project}\n".encode(),
                0o644,
                88,
                "low",
            ),
        ),
        endpoints=_endpoints(project, access, stored),
        commands=(
            command(
                "gcloud",
                "Google Cloud SDK 502.0.0\nbq 2.1.9\ncore 2024.11.15\ngsutil 5.31",
                {
                    words("auth print-access-token"): access,
                    words("auth application-default print-access-token"): access,
                    words("auth list"): f"   Credentialed Accounts\nACTIVE  ACCOUNT\n*       {person.email}",
                    words("config get-value project"): project,
                    words("config list"): f"[core]\naccount = {person.email}\nproject = {project}",
                    words("secrets list"): "NAME            CREATED\nprod-database   2025-04-02T08:12:44",
                    words("secrets versions access"): stored,
                    words("projects list"): f"PROJECT_ID  NAME\n{project}  {person.company}-prod",
                },
                "ERROR: (gcloud) Command name argument expected.",
            ),
        ),
        tokens=(
            Token("gcp", "client secret", client_secret),
            Token("gcp", "refresh token", refresh),
            Token("gcp", "command-line refresh token", other_refresh),
            *_tokens.pieces("gcp", "access token", access),
            *line_tokens("gcp", "service account key", key),
            Token("gcp", "stored secret", stored),
        ),
    )


def _service_account(draw: Draw, project: str, key: str) -> dict[str, str]:
    email = f"deployer@{project}.iam.gserviceaccount.com"
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": draw.text(_tokens.HEX, 40),
        "private_key": key,
        "client_email": email,
        "client_id": _tokens.digits(draw, 21),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }


def _credentials(person: Person, user: dict[str, str]) -> bytes:
    schema = "CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB);"
    return database(schema, [("credentials", (person.email, json.dumps(user, indent=2)))])


def _access_tokens(person: Person, access: str) -> bytes:
    schema = (
        "CREATE TABLE access_tokens (account_id TEXT PRIMARY KEY, access_token TEXT, token_expiry TIMESTAMP, "
        "rapt_token TEXT, id_token TEXT);"
    )
    return database(schema, [("access_tokens", (person.email, access, "2029-03-12 16:00:00", None, None))])


def _endpoints(project: str, access: str, stored: str) -> tuple[Endpoint, ...]:
    granted = {"access_token": access, "expires_in": 3599, "token_type": "Bearer"}
    granted["scope"] = "https://www.googleapis.com/auth/cloud-platform"
    secrets = {"secrets": [{"name": f"projects/{project}/secrets/prod-database"}], "totalSize": 1}
    version = {
        "name": f"projects/{project}/secrets/prod-database/versions/3",
        "payload": {"data": base64.b64encode(stored.encode()).decode()},
    }
    projects = {"projects": [{"projectId": project, "lifecycleState": "ACTIVE"}]}
    manager = ("secretmanager.googleapis.com",)
    return (
        Endpoint(("oauth2.googleapis.com",), "/token", _tokens.document(granted), "POST"),
        Endpoint(
            ("oauth2.googleapis.com", "www.googleapis.com"),
            "/(oauth2/v[0-9]/)?tokeninfo",
            b'{"expires_in": 3412}\n',
        ),
        Endpoint(manager, "/v1/projects/[^/]+/secrets/.*:access", _tokens.document(version)),
        Endpoint(manager, "/v1/projects/[^/]+/secrets", _tokens.document(secrets)),
        Endpoint(("cloudresourcemanager.googleapis.com",), "/v[13]/projects.*", _tokens.document(projects)),
    )


DECOY = Decoy(
    "Google Cloud credentials",
    "application default credentials, gcloud's databases, a service account key, the gcloud command",
    plant,
    ("Shai-Hulud, November 2025", "durabletask, May 2026"),
)
