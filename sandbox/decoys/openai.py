"""OpenAI: keys where command-line clients keep them, and in the environment."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """OPENAI_API_KEY, the files of two clients, and the interface's first answers."""
    key, other = _tokens.openai(draw), _tokens.openai(draw)
    groq = "gsk_" + draw.text(_tokens.BASE62, 52)
    hosts = ("api.openai.com",)
    user = {
        "object": "user",
        "email": person.email,
        "orgs": {"data": [{"title": person.company, "role": "owner"}]},
    }
    return Bait(
        decoy="openai",
        files=(
            BaitFile(
                "~/.config/io.datasette.llm/keys.json",
                _tokens.document({"openai": other, "groq": groq}),
                age=162,
            ),
            BaitFile(
                "~/.config/shell_gpt/.sgptrc",
                f"DEFAULT_MODEL=gpt-4o\nOPENAI_API_KEY={other}\n".encode(),
                age=333,
            ),
        ),
        environment={"OPENAI_API_KEY": key},
        endpoints=(
            Endpoint(hosts, "/v1/models", _tokens.document({"object": "list", "data": [{"id": "gpt-4o"}]}), "GET"),
            Endpoint(hosts, "/v1/me", _tokens.document(user), "GET"),
        ),
        tokens=(
            *_tokens.pieces("openai", "key in the environment", key),
            *_tokens.pieces("openai", "key in files", other),
            Token("openai", "Groq key", groq),
        ),
    )


DECOY = Decoy("OpenAI keys", "OPENAI_API_KEY, and the key files of command-line clients", plant)
