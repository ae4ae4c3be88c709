"""What a person probably meant."""

from collections.abc import Sequence
from difflib import get_close_matches


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
