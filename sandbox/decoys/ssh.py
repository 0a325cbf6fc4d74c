"""SSH: private keys, and the files beside them that say where they fit."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person
from sandbox.decoys import _keys


def plant(draw: Draw, person: Person) -> Bait:
    """A current key, an old one and a deployment key, without passphrases; configuration, known hosts."""
    comment = f"{person.user}@{person.host}"
    current, old = _keys.ed25519(draw, person.email), _keys.rsa(draw, comment)
    deploy = _keys.ed25519(draw, f"deploy@{person.company}")
    server = _keys.ed25519(draw, "").public.strip()
    git = f"git.{person.company}.internal"
    config = (
        f"Host {git}\n    User git\n    IdentityFile ~/.ssh/id_ed25519\n\n"
        f"Host bastion\n    HostName bastion.{person.company}.internal\n    User {person.user}\n"
        "    IdentityFile ~/.ssh/id_rsa\n\n"
        "Host prod-*\n    ProxyJump bastion\n    User deploy\n"
        f"    IdentityFile ~/.ssh/{person.company}_deploy\n"
    )
    known = f"{git} {server}\n10.20.0.8 {server}\n"

    def low(name: str, text: str, age: float) -> BaitFile:
        return BaitFile(f"~/.ssh/{name}", text.encode(), 0o644, age, "low")

    return Bait(
        decoy="ssh",
        files=(
            BaitFile("~/.ssh/id_ed25519", current.private.encode(), age=402),
            BaitFile("~/.ssh/id_rsa", old.private.encode(), age=1010),
            BaitFile(f"~/.ssh/{person.company}_deploy", deploy.private.encode(), age=233),
            low("id_ed25519.pub", current.public + "\n", 402),
            low("id_rsa.pub", old.public + "\n", 1010),
            low("config", config, 58),
            low("known_hosts", known, 9),
            low("authorized_keys", old.public + "\n", 990),
        ),
        tokens=(
            *current.tokens("ssh", "Ed25519 private key"),
            *old.tokens("ssh", "RSA private key"),
            *deploy.tokens("ssh", "deployment key"),
        ),
    )


DECOY = Decoy(
    "SSH keys",
    "private keys below ~/.ssh (high), their configuration and known hosts (low)",
    plant,
    ("litellm, March 2026", "node-ipc, May 2026"),
)
