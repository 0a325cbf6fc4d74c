"""AWS: long-lived keys, named profiles, single sign-on caches, and the interfaces that say that they are
valid."""

from __future__ import annotations

import hashlib
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, StubCommand, Token
from sandbox.decoys import _tokens
from sandbox.decoys._commands import command, words

REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "eu-west-1", "eu-west-2", "eu-west-3",
    "eu-central-1", "eu-north-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1",
    "ap-northeast-2", "ap-northeast-3", "sa-east-1",
)  # fmt: skip


def plant(draw: Draw, person: Person) -> Bait:
    """The files below ~/.aws, the account interfaces and the `aws` command."""
    number = _tokens.digits(draw, 12)
    key, secret = _tokens.aws_key_id(draw, number), _tokens.aws_secret(draw)
    other, other_secret = _tokens.aws_key_id(draw, number), _tokens.aws_secret(draw)
    stored = _tokens.password(draw, 32)
    start = f"https://{person.company}.awsapps.com/start"
    session, session_name = _session(draw, start)
    refresh = str(session["refreshToken"])
    credentials = (
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n\n"
        f"[{person.company}-prod]\naws_access_key_id = {other}\naws_secret_access_key = {other_secret}\n"
    )
    config = (
        "[default]\nregion = us-east-1\noutput = json\n\n"
        f"[profile {person.company}-prod]\nregion = us-east-1\nsso_session = {person.company}\n"
        f"sso_account_id = {number}\nsso_role_name = PowerUserAccess\n\n"
        f"[sso-session {person.company}]\nsso_start_url = {start}\nsso_region = us-east-1\n"
    )
    return Bait(
        decoy="aws",
        files=(
            BaitFile("~/.aws/credentials", credentials.encode(), age=211),
            BaitFile("~/.aws/config", config.encode(), age=64, weight="low"),
            BaitFile(f"~/.aws/sso/cache/{session_name}.json", json.dumps(session).encode(), age=1.2),
        ),
        endpoints=_endpoints(number, person, stored),
        commands=(_aws(key, secret, number, person),),
        tokens=(
            Token("aws", "access key id", key),
            Token("aws", "secret access key", secret),
            Token("aws", "production access key id", other),
            Token("aws", "production secret access key", other_secret),
            Token("aws", "single sign-on client secret", str(session["clientSecret"])),
            *_tokens.pieces("aws", "single sign-on access token", str(session["accessToken"])),
            *_tokens.pieces("aws", "single sign-on refresh token", refresh),
            Token("aws", "stored database password", stored),
        ),
    )


def _session(draw: Draw, start: str) -> tuple[dict[str, str], str]:
    """A single sign-on session and the name under which the command-line tool caches it."""
    session = {
        "startUrl": start,
        "region": "us-east-1",
        "accessToken": "aoa" + _tokens.long_text(draw, 236),
        "expiresAt": _tokens.EXPIRES_TEXT,
        "clientId": draw.text(_tokens.URL64, 22) + "dXMtZWFzdC0x",
        "clientSecret": draw.text(_tokens.URL64, 86),
        "registrationExpiresAt": _tokens.EXPIRES_TEXT,
        "refreshToken": "aor" + _tokens.long_text(draw, 236),
    }
    return session, hashlib.sha1(start.encode(), usedforsecurity=False).hexdigest()


def _endpoints(number: str, person: Person, stored: str) -> tuple[Endpoint, ...]:
    user = _tokens.account(person)
    identity = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{number}:user/{user}</Arn><Account>{number}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    name = f"prod/{person.company}/postgres"
    value = json.dumps({"username": "app", "password": stored})
    arn = f"arn:aws:secretsmanager:us-east-1:{number}:secret:{name}"
    secrets = {"Name": name, "ARN": arn, "SecretString": value, "SecretList": [{"Name": name, "ARN": arn}]}
    parameter = {"Name": f"/{name}", "Type": "SecureString", "Value": stored, "Version": 4}
    parameters = {"Parameters": [parameter], "Parameter": parameter}
    kind = "application/x-amz-json-1.1"

    def hosts(service: str) -> tuple[str, ...]:
        return tuple(f"{service}.{region}.amazonaws.com" for region in REGIONS)

    return (
        Endpoint(("sts.amazonaws.com", *hosts("sts")), "/.*", identity.encode(), content_type="text/xml"),
        Endpoint(hosts("secretsmanager"), "/.*", _tokens.document(secrets), content_type=kind),
        Endpoint(hosts("ssm"), "/.*", _tokens.document(parameters), content_type=kind),
    )


def _aws(key: str, secret: str, number: str, person: Person) -> StubCommand:
    user = _tokens.account(person)
    caller = {"UserId": "AIDA" + key[4:], "Account": number, "Arn": f"arn:aws:iam::{number}:user/{user}"}
    process = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret}
    return command(
        "aws",
        "aws-cli/2.22.7 Python/3.12.6 Linux/6.8.0-49-generic exe/x86_64.ubuntu.24",
        {
            words("sts get-caller-identity"): json.dumps(caller, indent=4),
            words("configure list-profiles"): f"default\n{person.company}-prod",
            words("configure get aws_access_key_id"): key,
            words("configure get aws_secret_access_key"): secret,
            words("configure export-credentials"): json.dumps(process, indent=2),
            words(
                "s3 ls"
            ): f"2025-02-11 09:14:02 {person.company}-assets\n2025-06-30 16:41:57 {person.company}-backups",
            "*list-secrets*": json.dumps({"SecretList": [{"Name": f"prod/{person.company}/postgres"}]}, indent=4),
        },
        "usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]",
    )


DECOY = Decoy(
    "AWS credentials",
    "keys and single sign-on tokens below ~/.aws, account interfaces in 17 regions, the aws command",
    plant,
    ("Shai-Hulud, September and November 2025", "litellm, March 2026"),
)
