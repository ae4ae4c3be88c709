"""Move a stack file to a later package date and to the newest locked patch releases, and leave the rest of its text alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

import yaml

from images.stackfile import PROJECT
from recipe.catalog import Catalog, minor_of
from recipe.lock import Lock, locked_versions

AS_OF, IMAGES = f"{PROJECT}:asOf", f"{PROJECT}:images"


@dataclass(frozen=True)
class Move:
    """One value of the file and its successor. `start` and `end` are where it stands in the text, quotes included."""

    what: str
    old: str
    new: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.what} {self.old} → {self.new}"


@dataclass(frozen=True)
class Refreshed:
    """The new text of a stack file, and what moved in it."""

    text: str
    moves: tuple[Move, ...]
    has_date: bool


def refresh(text: str, as_of: date, catalog: Catalog, lock: Lock) -> Refreshed:
    """Refresh the text of a valid stack file. A date never moves back; of each minor only the newest patch release moves."""
    config = _entry(yaml.compose(text, Loader=yaml.SafeLoader), "config")
    moment = _entry(config, AS_OF)
    images = _entry(config, IMAGES)
    entries = images.value if isinstance(images, yaml.SequenceNode) else []
    found = [*_dates(moment, as_of), *(move for entry in entries for move in _releases(entry, catalog, lock))]
    moves = sorted({move.start: move for move in found}.values(), key=lambda move: move.start)
    return Refreshed(_moved(text, moves), tuple(moves), moment is not None)


def _dates(node: yaml.Node | None, as_of: date) -> Iterator[Move]:
    if isinstance(node, yaml.ScalarNode) and datetime.fromisoformat(node.value).date() < as_of:
        yield _move("asOf", node, str(as_of))


def _releases(entry: yaml.Node, catalog: Catalog, lock: Lock) -> Iterator[Move]:
    os, versions = _entry(entry, "os"), _entry(entry, "kubernetes")
    nodes = versions.value if isinstance(versions, yaml.SequenceNode) else [versions]
    newest: dict[str, yaml.ScalarNode] = {}
    for node in sorted(nodes, key=lambda node: _patch(node.value)):
        newest[minor_of(node.value)] = node
    for minor, node in newest.items():
        last = (locked_versions(catalog, lock, minor) or [node.value])[-1]
        if _patch(last) > _patch(node.value):
            yield _move(os.value if os else "", node, last)


def _move(what: str, node: yaml.ScalarNode, new: str) -> Move:
    return Move(what, node.value, new, node.start_mark.index, node.end_mark.index)


def _moved(text: str, moves: list[Move]) -> str:
    """Replace from the end, so that places before stay where they are; quotes stay as they were written."""
    for move in reversed(moves):
        written = text[move.start : move.end].replace(move.old, move.new)
        text = text[: move.start] + written + text[move.end :]
    return text


def _patch(version: str) -> int:
    return int(version.rpartition(".")[2])


def _entry(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)
