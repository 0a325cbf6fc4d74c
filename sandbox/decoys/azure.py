"""Azure: the command-line tool's token caches and profile, a key vault, and the `az` command."""

from __future__ import annotations

import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._commands import command, words


def plant(draw: Draw, person: Person) -> Bait:
    """The files below ~/.azure, the login and vault interfaces, and the `az` command."""
    tenant, subscription, user, client = (_tokens.identifier(draw) for _ in range(4))
    claims: dict[str, object] = {
        "aud": "https://management.core.windows.net/",
        "iss": f"https://sts.windows.net/{tenant}/",
        "iat": _tokens.ISSUED,
        "exp": _tokens.EXPIRES,
        "oid": user,
        "tid": tenant,
        "upn": person.email,
        "ver": "1.0",
    }
    access = _tokens.jwt(draw, claims)
    refresh, old_refresh = ("1.A" + _tokens.long_text(draw, 680) for _ in range(2))
    secret = draw.text(_tokens.BASE62, 3) + "8Q~" + draw.text(_tokens.URL64, 34)
    stored = _tokens.password(draw, 32)
    principal = {"tenant": tenant, "client_id": client, "client_secret": secret}
    profile = _profile(tenant, subscription, person)
    old = {"tokenType": "Bearer", "refreshToken": old_refresh, "userId": person.email, "_clientId": client}
    return Bait(
        decoy="azure",
        files=(
            BaitFile("~/.azure/msal_token_cache.json", _cache(access, refresh, tenant, user, client), age=3),
            BaitFile("~/.azure/azureProfile.json", b"\xef\xbb\xbf" + json.dumps(profile).encode(), 0o644, 61, "low"),
            BaitFile("~/.azure/accessTokens.json", json.dumps([old]).encode(), age=820),
            BaitFile("~/.azure/service_principal_entries.json", json.dumps([principal]).encode(), age=190),
        ),
        endpoints=_endpoints(person, subscription, access, stored),
        commands=(
            command(
                "az",
                "azure-cli                         2.67.0\n\ncore                              2.67.0",
                {
                    words("account get-access-token"): json.dumps(
                        {
                            "accessToken": access,
                            "expiresOn": "2029-03-12 16:00:00.000000",
                            "tokenType": "Bearer",
                        },
                        indent=2,
                    ),
                    words("account show"): json.dumps(profile["subscriptions"][0], indent=2),
                    words("account list"): json.dumps(profile["subscriptions"], indent=2),
                    words("keyvault secret show"): json.dumps({"name": "database", "value": stored}, indent=2),
                    words("keyvault list"): json.dumps([{"name": f"{person.company}-prod"}], indent=2),
                },
                "az: 'az' requires a command group. Run 'az --help'.",
            ),
        ),
        tokens=(
            *_tokens.pieces("azure", "access token", access),
            *_tokens.pieces("azure", "refresh token", refresh),
            *_tokens.pieces("azure", "earlier refresh token", old_refresh),
            Token("azure", "service principal secret", secret),
            Token("azure", "key vault secret", stored),
        ),
    )


def _profile(tenant: str, subscription: str, person: Person) -> dict[str, list[dict[str, object]]]:
    entry: dict[str, object] = {
        "id": subscription,
        "name": f"{person.company} production",
        "state": "Enabled",
        "user": {"name": person.email, "type": "user"},
        "isDefault": True,
        "tenantId": tenant,
        "environmentName": "AzureCloud",
    }
    return {"subscriptions": [entry]}


def _cache(access: str, refresh: str, tenant: str, user: str, client: str) -> bytes:
    home = f"{user}.{tenant}"
    login = "login.microsoftonline.com"
    common = {"home_account_id": home, "environment": login, "client_id": client}
    granted = {
        **common,
        "credential_type": "AccessToken",
        "secret": access,
        "realm": tenant,
        "target": "https://management.core.windows.net//.default",
        "cached_at": str(_tokens.ISSUED),
        "expires_on": str(_tokens.EXPIRES),
    }
    renewal = {
        **common,
        "credential_type": "RefreshToken",
        "secret": refresh,
        "target": "https://management.core.windows.net//.default",
    }
    return _tokens.document(
        {
            "AccessToken": {f"{home}-{login}-accesstoken-{client}-{tenant}": granted},
            "RefreshToken": {f"{home}-{login}-refreshtoken-{client}--": renewal},
        }
    )


def _endpoints(person: Person, subscription: str, access: str, stored: str) -> tuple[Endpoint, ...]:
    granted = {"token_type": "Bearer", "expires_in": 4799, "access_token": access}
    subscriptions = {"value": [{"subscriptionId": subscription, "displayName": f"{person.company} production"}]}
    vault = f"{person.company}-prod.vault.azure.net"
    secret = {"id": f"https://{vault}/secrets/database", "value": stored, "attributes": {"enabled": True}}
    return (
        Endpoint(("login.microsoftonline.com", "login.windows.net"), "/.*/token", _tokens.document(granted), "POST"),
        Endpoint(("management.azure.com",), "/subscriptions.*", _tokens.document(subscriptions)),
        Endpoint((vault,), "/secrets/.+", _tokens.document(secret)),
        Endpoint((vault,), "/secrets/?", _tokens.document({"value": [{"id": secret["id"]}]})),
    )


DECOY = Decoy(
    "Azure credentials",
    "token caches and a service principal below ~/.azure, a key vault, the az command",
    plant,
    ("Shai-Hulud, November 2025", "node-ipc, May 2026"),
)
