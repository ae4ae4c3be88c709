"""Which items are broken in which round, and the script of a round. Pure.

Every item has a code word of the same weight: in round k those are broken whose bit k is set, and exactly those must fail.
No word holds another, so what an item does over the rounds can be due to nothing but its own break.
"""

import random
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, count
from math import comb
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
HELPERS = HERE / "helpers.sh"
Document = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Break:
    """How one item is broken: `texts` are used in turn, `words` are what the shell text calls $1, $2..."""

    item: str
    texts: tuple[str, ...]
    mend: str
    also: tuple[str, ...]
    words: tuple[str, ...]
    unproved: str


def items_of(document: Document) -> list[str]:
    """Services first, so that what is stopped and started meets no other break."""
    return [f"{kind} {name}" for kind in sorted(document, reverse=True) for name in document[kind]]


def break_of(item: str) -> Break:
    """The first entry of the table that matches. Raises LookupError: an item without a break is for show."""
    for pattern, entry in _table():
        if match := pattern.fullmatch(item):
            texts = entry.get("break", [])
            texts = (texts,) if isinstance(texts, str) else tuple(texts)
            also = tuple(entry.get("also", ()))
            return Break(item, texts, entry.get("mend", "restore"), also, match.groups(), entry.get("unproved", ""))
    raise LookupError(item)


def unused(items: Sequence[str]) -> list[str]:
    """Entries of the table that none of the items needs."""
    return [pattern.pattern for pattern, _ in _table() if not any(map(pattern.fullmatch, items))]


def code_words(number: int) -> list[frozenset[int]]:
    """Distinct sets of rounds, all of one size, in as few rounds as possible; each round has about as many items."""
    rounds = next(length for length in count(1) if comb(length, length // 2) >= number)
    words = [frozenset(word) for word in combinations(range(rounds), max(rounds // 2, 1))]
    return random.Random(0).sample(words, number)


def rounds_of(breaks: Sequence[Break]) -> list[list[tuple[Break, str]]]:
    """What each round breaks, with the text that it uses."""
    words = code_words(len(breaks))
    return [
        [
            (item, item.texts[sum(earlier < number for earlier in word) % len(item.texts)])
            for item, word in zip(breaks, words, strict=True)
            if number in word
        ]
        for number in range(max(map(max, words)) + 1)
    ]


def must_fail(broken: Sequence[Break]) -> set[str]:
    return {name for item in broken for name in (item.item, *item.also)}


def script(broken: Sequence[tuple[Break, str]], test: str) -> str:
    """Break, test, mend in the opposite order."""
    numbered = list(enumerate(broken, start=1))
    breaking = [_part(number, item, text) for number, (item, text) in numbered]
    mending = [_part(number, item, item.mend) for number, (item, _) in reversed(numbered)]
    reload = "systemctl daemon-reload"
    return "\n".join([HELPERS.read_text(), *breaking, reload, test, *mending, reload, ""])


def _part(number: int, item: Break, text: str) -> str:
    return f"item={number} # {item.item}\nset -- {shlex.join(item.words)}\n{text}"


@cache
def _table() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [(re.compile(entry["items"]), entry) for entry in yaml.safe_load((HERE / "breaks.yaml").read_text())]
