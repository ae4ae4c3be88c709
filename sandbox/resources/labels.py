"""Labels and label selectors, as every resource has them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator

NAME = re.compile(r"[a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?")
PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9A-Z]([a-z0-9A-Z.-]*[a-z0-9A-Z])?")
SET_TERM = re.compile(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*")
EQUAL_TERM = re.compile(r"\s*([^\s=!]+)\s*(==|!=|=)\s*([^\s=!]*)\s*")
EXISTS_TERM = re.compile(r"\s*(!?)\s*([^\s=!(),]+)\s*")

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Keys: optional DNS prefix and a name; values: empty or a name. Raises ValueError."""
    for key, value in labels.items():
        prefix, _, name = key.rpartition("/")
        if not NAME.fullmatch(name) or ("/" in key and not PREFIX.fullmatch(prefix)):
            raise ValueError(f"label key '{key}' is not correctly formatted")
        if value and not NAME.fullmatch(value):
            raise ValueError(f"label value '{value}' (label key: '{key}') is not correctly formatted")
    return labels


LabelDict = Annotated[dict[str, str], AfterValidator(check_labels)]


def matches(selector: str, labels: Labels) -> bool:
    """Whether the labels fulfil every term of the selector. Raises ValueError when it is malformed."""
    tests = parse_selector(selector)
    return all(test(labels) for test in tests)


@lru_cache(maxsize=1000)
def parse_selector(selector: str) -> tuple[Test, ...]:
    """``k``, ``!k``, ``k=v``, ``k==v``, ``k!=v``, ``k in (a,b)``, ``k notin (a,b)``, joined by commas."""
    terms = re.split(r",(?![^(]*\))", selector)
    return tuple(parse_term(term) for term in terms) if selector.strip() else ()


def parse_term(term: str) -> Test:
    """One term. Raises ValueError."""
    if found := SET_TERM.fullmatch(term):
        return set_test(found[1], found[2] == "in", {value.strip() for value in found[3].split(",")})
    if found := EQUAL_TERM.fullmatch(term):
        return equal_test(found[1], found[2] != "!=", found[3])
    if found := EXISTS_TERM.fullmatch(term):
        return exists_test(found[2], not found[1])
    raise ValueError(f"malformed label selector: {term!r}")


def set_test(key: str, wanted: bool, values: set[str]) -> Test:
    """``in`` needs the label; ``notin`` also holds where it is missing."""
    return lambda labels: labels.get(key) in values if wanted else labels.get(key) not in values


def equal_test(key: str, wanted: bool, value: str) -> Test:
    """``!=`` also holds where the label is missing."""
    return lambda labels: (labels.get(key) == value) is wanted


def exists_test(key: str, wanted: bool) -> Test:
    """With any value."""
    return lambda labels: (key in labels) is wanted
