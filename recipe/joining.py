"""The level `join` of the tests: what a second server of a snapshot does, and the first one for it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass

from recipe.gossfile import CLUSTER, CONFIGURATION, FOLDER, unquoted
from recipe.kubeadm import KubeadmSettings
from recipe.texts import text_of
from recipe.unique import load_unique

TUNNEL = FOLDER / "tunnel.sh"
PARTS = (CONFIGURATION, CLUSTER, TUNNEL, FOLDER / "join.sh")


@dataclass(frozen=True)
class JoinScripts:
    """In their order; join.sh says which server runs each, which variables it needs beside, and what it prints."""

    invite: str
    introduce: str
    join: str
    meet: str

    def __iter__(self) -> Iterator[str]:
        return iter(astuple(self))


def body() -> str:
    """Shell of all parts; the variable PART chooses one."""
    return "\n".join(text_of(part) for part in PARTS)


def settings(part: str, kubeadm: KubeadmSettings) -> Mapping[str, str]:
    """Variables of join.sh."""
    return {
        "PART": part,
        "UNIQUE": unquoted(json.dumps([item.model_dump() for item in load_unique()], indent=1)),
        "KUBEADM": unquoted(json.dumps(kubeadm.join_documents(), indent=1)),
    }
