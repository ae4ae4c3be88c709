"""The acceptance tests as one goss document: the files of recipe/acceptance, filled with what a node is to have.

An entry with the key `each` stands for one test per element of a list: the one that is written there, or one of `lists_of`.
In its name and text `{each}` stands for the element, or `{name}`, `{value}` and so on for the parts of an element.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from recipe.defaults import Family
from recipe.texts import text_of

FOLDER = Path(__file__).parent / "acceptance"
CONFIGURATION = FOLDER / "configuration.sh"
RUNNER = FOLDER / "run.sh"
CLUSTER = FOLDER / "cluster.sh"
INVENTORY = FOLDER / "inventory.sh"
SCRIPTS = ("ask.sh", "kubelet.sh", "container.sh", "containerd.sh")
"""Programs of the tests: what an item starts has a script of its own."""
BOOTED_ONLY = ("identity", "in-effect", "starts-booted")
"""Files of tests that make sense only on a server that was booted from the image."""
RESTARTED = ("in-effect",)
"""Files of tests for a server that was started anew, with a cluster on it: what a kernel may have lost by that."""

PLACE = re.compile(r"\{([a-z0-9]+)\}")

Level = Literal["auto", "boot", "cluster", "join"]
"""How far the tests go. `auto` is `cluster` where the booted server can have the images of one, else `boot`."""
Place = Literal["builder", "booted", "restarted"]
Element = str | Mapping[str, str]
Lists = Mapping[str, Sequence[Element]]
Document = dict[str, dict[str, Any]]


def document(where: Place, family: Family, lists: Lists) -> Document:
    """The tests for the `builder`, before the snapshot, for a server `booted` from it, or for that one `restarted`."""
    merged: Document = {}
    for part in _files(where, family):
        for kind, entries in part.items():
            merged.setdefault(kind, {}).update(_expanded(entries, lists))
    return merged


def runner(level: Level) -> str:
    """The script that runs the tests, up to a level; what the level `boot` does not need is not in it."""
    parts = [CONFIGURATION, RUNNER] if level == "boot" else [CONFIGURATION, CLUSTER, RUNNER]
    return "\n".join(text_of(part) for part in parts)


def settings(
    tests: Document, where: Place, level: Level, components: Mapping[str, str], kubeadm: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Variables of run.sh. `kubeadm` is the configuration that kubeadm gets in the tests."""
    variables = {name.replace("-", "_"): version for name, version in components.items()}
    return {
        "WHERE": where,
        "LEVEL": level,
        "TESTS": unquoted(json.dumps(tests, indent=1)),
        "SCRIPTS": unquoted(json.dumps({name: text_of(FOLDER / name) for name in SCRIPTS}, indent=1)),
        "KUBEADM": unquoted(json.dumps(kubeadm, indent=1)),
        "VARIABLES": json.dumps(variables),
    }


def unquoted(text: str) -> str:
    """JSON without quotes that a shell would want escaped: it stands in a script."""
    return text.replace("'", r"\u0027")


def _literal(value: str) -> str:
    """A value as goss reads it, for which two braces begin a template."""
    return value.replace("{{", "{{`{{`}}")


@cache
def _files(where: Place, family: Family) -> tuple[Document, ...]:
    return tuple(
        yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml")) if _is_for(file, where, family)
    )


def _is_for(file: Path, where: Place, family: Family) -> bool:
    """`packages.debian.yaml` is for that family alone."""
    name, *families = file.stem.split(".")
    chosen = {"builder": name not in BOOTED_ONLY, "booted": True, "restarted": name in RESTARTED}
    return chosen[where] and families in ([], [family])


def _expanded(entries: Mapping[str, Any], lists: Lists) -> Iterator[tuple[str, Any]]:
    for name, entry in entries.items():
        each = entry.get("each")
        if each is None:
            yield name, entry
            continue
        test = {key: value for key, value in entry.items() if key != "each"}
        for element in lists[each] if isinstance(each, str) else each:
            yield _filled([name, test], {"each": element} if isinstance(element, str) else element)


def _filled(part: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML: text, lists and maps of them
    match part:
        case str():
            return PLACE.sub(lambda place: _literal(values[place[1]]) if place[1] in values else place[0], part)
        case list():
            return [_filled(item, values) for item in part]
        case dict():
            return {key: _filled(item, values) for key, item in part.items()}
        case _:
            return part
