"""What must not survive into an image: one list, for the clean-up step and for the acceptance tests."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

HYGIENE_FILE = Path(__file__).with_name("hygiene.yaml")
BOOT_TIME = "$(systemctl show --property=UserspaceTimestamp --value --timestamp=unix)"


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


def tests(rules: list[Rule]) -> Mapping[str, Any]:
    """Acceptance tests, as goss commands: no file there that is older than this boot and not empty."""
    return {f"nothing of the builder in {path}": _test(path) for item in rules for path in item.paths}


def _test(pattern: str) -> dict[str, object]:
    old = f'find {pattern} -type f -size +0 ! -newermt "{BOOT_TIME}" 2>/dev/null | head --lines=5'
    return {"exec": old, "exit-status": 0, "stdout": ["!/./"], "timeout": 30000}
