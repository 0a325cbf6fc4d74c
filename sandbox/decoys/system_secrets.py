"""The machine's own secrets: password hashes and the SSH server's key. Planted where the guest allows it."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _keys

CRYPT = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LOCKED = (
    "daemon",
    "bin",
    "sys",
    "man",
    "mail",
    "www-data",
    "nobody",
    "systemd-network",
    "messagebus",
    "sshd",
)


def plant(draw: Draw, person: Person) -> Bait:
    """/etc/shadow and /etc/ssh/ssh_host_ed25519_key."""
    root, user = (f"$y$j9T${draw.text(CRYPT, 22)}${draw.text(CRYPT, 43)}" for _ in range(2))
    lines = [f"root:{root}:19794:0:99999:7:::"]
    lines += [f"{name}:*:19794:0:99999:7:::" for name in LOCKED]
    lines.append(f"{person.user}:{user}:19801:0:99999:7:::")
    host = _keys.ed25519(draw, f"root@{person.host}")
    return Bait(
        decoy="system_secrets",
        files=(
            BaitFile("/etc/shadow", ("\n".join(lines) + "\n").encode(), 0o640, 640),
            BaitFile("/etc/ssh/ssh_host_ed25519_key", host.private.encode(), 0o600, 885),
            BaitFile("/etc/ssh/ssh_host_ed25519_key.pub", f"{host.public}\n".encode(), 0o644, 885, "low"),
        ),
        tokens=(
            Token("system_secrets", "root's password hash", root),
            Token("system_secrets", "user's password hash", user),
            *host.tokens("system_secrets", "SSH host key"),
        ),
    )


DECOY = Decoy("System secrets", "/etc/shadow and the SSH server's host key", plant)
