"""HashiCorp Vault: the token that its client leaves in the home, and a server that honours it."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """~/.vault-token, and a server at the places where malware looks for one."""
    token, stored = "hvs.CAESI" + draw.text(_tokens.URL64, 86), _tokens.password(draw, 32)
    hosts = (
        "127.0.0.1", "localhost", "::1", "vault", "vault.service", "vault.service.consul",
        "vault.svc.cluster.local", "vault.default.svc.cluster.local", "vault.vault.svc.cluster.local",
        f"vault.{person.company}.internal",
    )  # fmt: skip
    lookup = {"data": {"display_name": f"ldap-{_tokens.account(person)}", "policies": ["default", "platform-admin"]}}
    health = {"initialized": True, "sealed": False, "standby": False, "version": "1.18.1"}
    secret = {"data": {"data": {"username": "app", "password": stored}, "metadata": {"version": 7}}}
    listing = {"data": {"keys": ["storefront/", "postgres", "stripe"]}}
    mounts = {"data": {"secret/": {"type": "kv", "options": {"version": "2"}}}}
    granted = {"auth": {"client_token": token, "lease_duration": 2764800, "policies": ["default"]}}

    def answer(path: str, body: object, method: str = "", telling: bool = True) -> Endpoint:
        return Endpoint(hosts, path, _tokens.document(body), method, ports=(8200,), telling=telling)

    return Bait(
        decoy="vault",
        files=(BaitFile("~/.vault-token", token.encode(), age=4),),
        endpoints=(
            answer("/v1/sys/health", health, telling=False),
            answer("/v1/auth/token/lookup-self", lookup),
            answer("/v1/auth/[^/]+/login.*", granted),
            answer("/v1/sys/(internal/ui/)?mounts", mounts),
            answer("/v1/[^/]+/metadata/?.*", listing),
            answer("/v1/.*", listing, "LIST"),
            answer("/v1/.*", secret, "GET"),
        ),
        tokens=(Token("vault", "token", token), Token("vault", "stored secret", stored)),
    )


DECOY = Decoy("Vault token", "~/.vault-token and a Vault server on port 8200", plant, ("trivy, March 2026",))
