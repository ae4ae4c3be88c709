"""What must not survive into an image: one list, for the clean-up step and for the acceptance tests."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

HYGIENE_FILE = Path(__file__).with_name("hygiene.yaml")


class Rule(BaseModel):
    """Paths (shell patterns) that an image must not carry content in, and what the clean-up does about them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: list[str]
    do: Literal["remove", "empty"]
    why: str


@cache
def load_hygiene(file: Path = HYGIENE_FILE) -> list[Rule]:
    """Read the list."""
    return TypeAdapter(list[Rule]).validate_python(yaml.safe_load(file.read_text()))


def settings(rules: list[Rule]) -> dict[str, str]:
    """The clean-up step's variables: shell patterns, separated by blanks."""
    wanted: dict[str, list[str]] = {"remove": [], "empty": []}
    for item in rules:
        wanted[item.do] += item.paths
    return {"HYGIENE_REMOVE": " ".join(wanted["remove"]), "HYGIENE_EMPTY": " ".join(wanted["empty"])}
