"""What a person probably meant."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from recipe.catalog import Catalog
from recipe.lock import Lock, locked_versions

VERSION = re.compile(r"v?((0|[1-9]\d*)\.(0|[1-9]\d*))(\.(0|[1-9]\d*))?", re.ASCII)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A remedy for an unknown word: the nearest known one, if there is one, and all that are known."""
    close = get_close_matches(word, known, n=1)
    listed = ", ".join(known)
    return f"did you mean {close[0]}? Known: {listed}" if close else f"use one of: {listed}"


def is_misspelt(word: str, known: Sequence[str]) -> bool:
    """Whether it is a known word but for a letter, so that nothing else can be meant."""
    return bool(get_close_matches(word, known, n=1, cutoff=0.85))


def way_to(there: Sequence[str], here: Sequence[str]) -> str:
    """Where a key of the level `there` belongs that stands at the level `here`; each is a list of keys, from the top."""
    if list(here[: len(there)]) != list(there):
        return f"below {'.'.join(there)}"
    up = len(here) - len(there)
    return "one level up" if up == 1 else f"{up} levels up"


def full_version(word: str, catalog: Catalog, lock: Lock) -> str:
    """A remedy for what is not a full Kubernetes version: without its v, or the newest that the lock has of that minor."""
    found = VERSION.fullmatch(word)
    if found and found[4]:
        return f'write "{word.removeprefix("v")}"'
    locked = locked_versions(catalog, lock, found[1]) if found else []
    if found and locked:
        return f'write "{locked[-1]}", the newest of {found[1]} that recipe/lock.yaml has'
    return f'write it like "1.36.4", of one of {", ".join(catalog.kubernetes)}'
