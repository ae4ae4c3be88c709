"""The versions that are pinned, and how versions compare."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

PINS_FILE = Path(__file__).with_name("pins.json")


@dataclass(frozen=True)
class Pins:
    """The content of pins.json."""

    layout: int
    engine_minimum: str
    engine_release: str
    engine_built: str
    plugins: dict[str, str]
    go: str
    python: str

    @classmethod
    def load(cls, file: Path = PINS_FILE) -> "Pins":
        """Read the pins."""
        data = json.loads(file.read_text())
        engine = data["engine"]
        return cls(
            layout=data["layout"],
            engine_minimum=engine["minimum"],
            engine_release=engine["release"],
            engine_built=engine["built"],
            plugins=data["plugins"],
            go=data["go"],
            python=data["python"],
        )


def version_numbers(text: str) -> tuple[int, ...]:
    """Read the numbers of the first version in a text: `go version go1.26.8 linux/amd64` gives (1, 26, 8)."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


def fits(version: str, minimum: str) -> bool:
    """Tell whether a version is the minimum or later, with the same first number."""
    have, need = version_numbers(version), version_numbers(minimum)
    return have[:1] == need[:1] and have >= need
