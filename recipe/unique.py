"""What no two servers of one snapshot may share: one list, which the level `join` of the acceptance tests goes through."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

UNIQUE_FILE = Path(__file__).with_name("unique.yaml")


class Unique(BaseModel):
    """Something that a server has for itself: `command` is shell that prints it, one value a line.

    What is `optional` may be missing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    command: str
    why: str
    optional: bool = False


@cache
def load_unique(file: Path = UNIQUE_FILE) -> tuple[Unique, ...]:
    """Read the list."""
    return tuple(TypeAdapter(list[Unique]).validate_python(yaml.safe_load(file.read_text())))
