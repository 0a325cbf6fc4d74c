"""Hosting platforms: the logins that their command-line tools leave behind."""

from __future__ import annotations

import base64

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """Vercel, Fly, Cloudflare, DigitalOcean, Railway and Netlify."""
    vercel, railway = draw.text(_tokens.BASE62, 24), draw.text(_tokens.URL64, 43)
    fly = "fm2_lJPECAAAAAAA" + base64.b64encode(_tokens.noise(draw, 75)).decode()
    cloudflare, renewal = draw.text(_tokens.URL64, 43), draw.text(_tokens.URL64, 80)
    ocean, netlify = "dop_v1_" + draw.text(_tokens.HEX, 64), "nfp_" + draw.text(_tokens.BASE62, 36)
    user = draw.text(_tokens.HEX, 24)
    sites = {"userId": user, "users": {user: {"id": user, "email": person.email, "auth": {"token": netlify}}}}
    wrangler = (
        f'oauth_token = "{cloudflare}"\nexpiration_time = "{_tokens.EXPIRES_TEXT}"\nrefresh_token = "{renewal}"\n'
    )
    texts: list[tuple[str, bytes, float]] = [
        ("~/.local/share/com.vercel.cli/auth.json", _tokens.document({"token": vercel}), 112),
        ("~/.fly/config.yml", f'access_token: {fly}\nmetrics_token: ""\n'.encode(), 284),
        ("~/.config/.wrangler/config/default.toml", wrangler.encode(), 13),
        (
            "~/.config/doctl/config.yaml",
            f"access-token: {ocean}\ncontext: default\noutput: text\n".encode(),
            640,
        ),
        ("~/.railway/config.json", _tokens.document({"user": {"token": railway}, "projects": {}}), 402),
        ("~/.config/netlify/config.json", _tokens.document(sites), 505),
    ]
    account = {"user": {"email": person.email, "username": _tokens.account(person)}}
    verified = {"success": True, "result": {"id": draw.text(_tokens.HEX, 32), "status": "active"}}
    return Bait(
        decoy="paas",
        files=tuple(BaitFile(path, content, age=age) for path, content, age in texts),
        endpoints=(
            Endpoint(("api.vercel.com",), "/v2/user", _tokens.document(account), "GET"),
            Endpoint(("api.cloudflare.com",), "/client/v4/user(/tokens/verify)?", _tokens.document(verified), "GET"),
            Endpoint(
                ("api.digitalocean.com",),
                "/v2/account",
                _tokens.document({"account": {"status": "active"}}),
                "GET",
            ),
        ),
        tokens=(
            Token("paas", "Vercel token", vercel),
            Token("paas", "Fly token", fly),
            Token("paas", "Cloudflare token", cloudflare),
            Token("paas", "Cloudflare refresh token", renewal),
            Token("paas", "DigitalOcean token", ocean),
            Token("paas", "Railway token", railway),
            Token("paas", "Netlify token", netlify),
        ),
    )


DECOY = Decoy("Hosting platforms", "logins of Vercel, Fly, Cloudflare, DigitalOcean, Railway and Netlify", plant)
