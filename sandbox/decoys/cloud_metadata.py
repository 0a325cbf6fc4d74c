"""Cloud metadata: what a machine in AWS, Azure or Google Cloud is told about itself, keys included."""

from __future__ import annotations

from sandbox.bait import Bait, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens

LINK_LOCAL = "169.254.169.254"
AWS_HOSTS = (LINK_LOCAL, "fd00:ec2::254", "instance-data", "instance-data.ec2.internal")
GOOGLE_HOSTS = ("metadata.google.internal", "metadata", "metadata.goog", LINK_LOCAL)
CONTAINER_HOSTS = ("169.254.170.2", "169.254.170.23")


def plant(draw: Draw, person: Person) -> Bait:
    """The link-local services of three clouds, and of AWS containers."""
    number = _tokens.digits(draw, 12)
    aws, aws_tokens = _aws(draw, person, number)
    containers, container_tokens = _containers(draw, person, number)
    azure, azure_tokens = _azure(draw, person)
    google, google_tokens = _google(draw, person)
    return Bait(
        decoy="cloud_metadata",
        endpoints=(*aws, *containers, *azure, *google),
        tokens=(*aws_tokens, *container_tokens, *azure_tokens, *google_tokens),
    )


def _role_keys(draw: Draw, number: str, name: str) -> tuple[dict[str, str], list[Token]]:
    key, secret = _tokens.aws_key_id(draw, number, "ASIA"), _tokens.aws_secret(draw)
    session = _tokens.aws_session(draw)
    keys = {
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Token": session,
        "Expiration": _tokens.EXPIRES_TEXT,
    }
    tokens = [
        Token("cloud_metadata", f"{name} access key id", key),
        Token("cloud_metadata", f"{name} secret access key", secret),
        *_tokens.pieces("cloud_metadata", f"{name} session token", session),
    ]
    return keys, tokens


def _aws(draw: Draw, person: Person, number: str) -> tuple[list[Endpoint], list[Token]]:
    keys, tokens = _role_keys(draw, number, "AWS instance role")
    session = draw.text(_tokens.URL64, 54) + "=="
    role = f"{person.company}-ci-runner"
    instance = "i-0" + draw.text(_tokens.HEX, 16)
    issued = {"Code": "Success", "LastUpdated": "2026-08-06T07:06:40Z", "Type": "AWS-HMAC", **keys}
    identity = {
        "accountId": number,
        "architecture": "x86_64",
        "imageId": "ami-0" + draw.text(_tokens.HEX, 16),
        "instanceId": instance,
        "instanceType": "m6i.large",
        "privateIp": "10.20.14.87",
        "region": "us-east-1",
        "availabilityZone": "us-east-1c",
        "version": "2017-09-30",
    }
    root = "/[^/]+/meta-data"
    text = "text/plain"
    lifetime = (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600"),)
    listing = "ami-id\nhostname\niam/\ninstance-id\ninstance-type\nlocal-ipv4\nplacement/\nsecurity-groups"
    answers = [
        Endpoint(AWS_HOSTS, "/[^/]+/api/token", session.encode(), "PUT", content_type=text, headers=lifetime),
        Endpoint(AWS_HOSTS, f"{root}/iam/security-credentials/?", role.encode(), content_type=text),
        Endpoint(AWS_HOSTS, f"{root}/iam/security-credentials/.+", _tokens.document(issued), content_type=text),
        Endpoint(
            AWS_HOSTS,
            f"{root}/iam/info",
            _tokens.document(
                {"Code": "Success", "InstanceProfileArn": f"arn:aws:iam::{number}:instance-profile/{role}"}
            ),
            content_type=text,
        ),
        Endpoint(
            AWS_HOSTS,
            "/[^/]+/dynamic/instance-identity/document",
            _tokens.document(identity),
            content_type=text,
        ),
        Endpoint(AWS_HOSTS, f"{root}/instance-id", instance.encode(), content_type=text),
        Endpoint(AWS_HOSTS, f"{root}/instance-type", b"m6i.large", content_type=text),
        Endpoint(AWS_HOSTS, f"{root}/placement/region", b"us-east-1", content_type=text),
        Endpoint(AWS_HOSTS, f"{root}/(local-)?hostname", b"ip-10-20-14-87.ec2.internal", content_type=text),
        Endpoint(AWS_HOSTS, f"{root}/?", listing.encode(), content_type=text),
        Endpoint(AWS_HOSTS, "/latest/user-data", b"", status=404, content_type=text),
        Endpoint(AWS_HOSTS, "/(latest/?)?", b"dynamic\nmeta-data\nuser-data", content_type=text),
    ]
    return answers, [*tokens, Token("cloud_metadata", "AWS metadata session", session)]


def _containers(draw: Draw, person: Person, number: str) -> tuple[list[Endpoint], list[Token]]:
    keys, tokens = _role_keys(draw, number, "AWS task role")
    body = _tokens.document({"RoleArn": f"arn:aws:iam::{number}:role/{person.company}-task", **keys})
    return [Endpoint(CONTAINER_HOSTS, "/.*", body)], tokens


def _azure(draw: Draw, person: Person) -> tuple[list[Endpoint], list[Token]]:
    tenant, subscription, client = (_tokens.identifier(draw) for _ in range(3))
    claims: dict[str, object] = {
        "aud": "https://management.azure.com/",
        "iss": f"https://sts.windows.net/{tenant}/",
        "iat": _tokens.ISSUED,
        "exp": _tokens.EXPIRES,
        "appid": client,
        "tid": tenant,
        "ver": "1.0",
    }
    access = _tokens.jwt(draw, claims)
    granted = {
        "access_token": access,
        "client_id": client,
        "expires_in": "86399",
        "expires_on": str(_tokens.EXPIRES),
        "resource": "https://management.azure.com/",
        "token_type": "Bearer",
    }
    machine = {
        "location": "eastus",
        "name": f"{person.company}-runner-02",
        "osType": "Linux",
        "resourceGroupName": f"{person.company}-ci",
        "subscriptionId": subscription,
        "vmId": _tokens.identifier(draw),
        "vmSize": "Standard_D4s_v5",
    }
    hosts = (LINK_LOCAL,)
    answers = [
        Endpoint(hosts, "/metadata/identity/oauth2/token", _tokens.document(granted)),
        Endpoint(
            hosts,
            "/metadata/instance.*",
            _tokens.document({"compute": machine, "network": {"interface": []}}),
        ),
        Endpoint(hosts, "/metadata/attested/document", _tokens.document({"encoding": "pkcs7", "signature": ""})),
    ]
    return answers, _tokens.pieces("cloud_metadata", "Azure managed identity token", access)


def _google(draw: Draw, person: Person) -> tuple[list[Endpoint], list[Token]]:
    number, project = _tokens.digits(draw, 12), f"{person.company}-prod-{draw.number(500000, 999999)}"
    access = "ya29.c.c0" + _tokens.long_text(draw, 240)
    email = f"{number}-compute@developer.gserviceaccount.com"
    identity = _tokens.jwt(
        draw,
        {
            "aud": "https://vault",
            "email": email,
            "exp": _tokens.EXPIRES,
            "iss": "https://accounts.google.com",
        },
    )
    granted = {"access_token": access, "expires_in": 3241, "token_type": "Bearer"}
    flavour = (("Metadata-Flavor", "Google"), ("Server", "Metadata Server for VM"))
    root = "/computeMetadata/v1(beta1)?"
    account = f"{root}/instance/service-accounts/[^/]+"

    def text(path: str, body: str) -> Endpoint:
        return Endpoint(GOOGLE_HOSTS, path, body.encode(), content_type="application/text", headers=flavour)

    answers = [
        Endpoint(GOOGLE_HOSTS, f"{account}/token", _tokens.document(granted), headers=flavour),
        text(f"{account}/identity", identity),
        text(f"{account}/email", email),
        text(f"{account}/scopes", "https://www.googleapis.com/auth/cloud-platform"),
        text(f"{root}/instance/service-accounts/?", f"default/\n{email}/"),
        text(f"{root}/project/project-id", project),
        text(f"{root}/project/numeric-project-id", number),
        text(f"{root}/instance/zone", f"projects/{number}/zones/us-east1-b"),
        text(f"{root}(/.*)?", "instance/\noslogin/\nproject/"),
    ]
    tokens = _tokens.pieces("cloud_metadata", "Google service account token", access)
    tokens += _tokens.pieces("cloud_metadata", "Google identity token", identity)
    return answers, tokens


DECOY = Decoy(
    "Cloud metadata services",
    "metadata services of AWS (both versions, containers too), Azure and Google Cloud, with credentials",
    plant,
    ("Shai-Hulud, November 2025", "trivy, March 2026", "litellm, March 2026"),
)
