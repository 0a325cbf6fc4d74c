"""~/.netrc: passwords for hosts, read by curl, git and Python's requests alike."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """Three entries; none for a host that an installation talks to."""
    artifacts, heroku = _tokens.password(draw, 26), "HRKU-AA" + draw.text(_tokens.URL64, 58)
    wandb = draw.text(_tokens.HEX, 40)
    text = (
        f"machine artifacts.{person.company}.internal\n"
        f"  login {_tokens.account(person)}\n  password {artifacts}\n"
        f"machine api.heroku.com\n  login {person.email}\n  password {heroku}\n"
        f"machine api.wandb.ai\n  login user\n  password {wandb}\n"
    )
    return Bait(
        decoy="netrc",
        files=(BaitFile("~/.netrc", text.encode(), age=365),),
        tokens=(
            Token("netrc", "artifact server password", artifacts),
            Token("netrc", "Heroku key", heroku),
            Token("netrc", "Weights & Biases key", wandb),
        ),
    )


DECOY = Decoy("netrc", "~/.netrc with passwords for three hosts", plant, ("node-ipc, May 2026",))
