"""What a part of the comparison found, and what of it is known. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

REASONS = Path(__file__).with_name("reasons.yaml")
KINDS = {
    "registry": "need a registry of providers",
    "account": "skip themselves, as they need more than an account of the API",
    "resource": "are about a resource that the sandbox does not have",
}
"""Of reasons: what is missing, so that it says nothing of the rest. Any other kind is a gap in what there is."""
OUTCOMES = ("passed", "failed", "skipped")


@dataclass(frozen=True)
class Result:
    """One test, operation or command of a `part` ("terraform"), in its `group` ("server")."""

    part: str
    group: str
    name: str
    outcome: str
    message: str = ""


@dataclass(frozen=True)
class Reason:
    """Why what `names` finds (a regular expression) does not pass. `kind` says what is missing."""

    part: str
    names: str
    kind: str
    why: str

    def explains(self, result: Result) -> bool:
        """Whether it is about this one."""
        return self.part == result.part and bool(re.fullmatch(self.names, result.name))


def reasons(file: Path = REASONS) -> list[Reason]:
    """Those that are known."""
    return [Reason(part, **item) for part, items in yaml.safe_load(file.read_text()).items() for item in items]


def reason_of(result: Result, known: Iterable[Reason]) -> Reason | None:
    """The first that explains it."""
    return next((reason for reason in known if reason.explains(result)), None)


def unexplained(results: Iterable[Result], known: Sequence[Reason]) -> list[Result]:
    """What does not pass, and nobody has said why."""
    return [result for result in results if result.outcome != "passed" and not reason_of(result, known)]


def outdated(results: Sequence[Result], known: Iterable[Reason]) -> list[Reason]:
    """Reasons of which all that they are about passes by now."""
    about = {reason: [result for result in results if reason.explains(result)] for reason in known}
    return [reason for reason, found in about.items() if found and all(item.outcome == "passed" for item in found)]


def table(results: Iterable[Result]) -> dict[str, Counter[str]]:
    """How many of each outcome, by group."""
    counted: dict[str, Counter[str]] = {}
    for result in results:
        counted.setdefault(result.group, Counter())[result.outcome] += 1
    return counted


def line(group: str, counted: Counter[str]) -> str:
    """``server: 9 of 26 passed, 17 failed``."""
    more = "".join(f", {counted[outcome]} {outcome}" for outcome in OUTCOMES[1:] if counted[outcome])
    return f"{group}: {counted['passed']} of {counted.total()} passed{more}"


def share(results: Sequence[Result], known: Sequence[Reason]) -> tuple[int, int, Counter[str]]:
    """Passed, of how many that can; and how many of each kind cannot."""
    passed = sum(result.outcome == "passed" for result in results)
    reasons = [reason_of(result, known) for result in results if result.outcome != "passed"]
    missing = Counter(reason.kind for reason in reasons if reason and reason.kind in KINDS)
    return passed, len(results) - missing.total(), missing


def in_words(results: Sequence[Result], known: Sequence[Reason]) -> str:
    """``9 of 10 pass (90 %); 4 more need a registry of providers``."""
    passed, possible, missing = share(results, known)
    percent = 100 * passed // possible if possible else 0
    more = "".join(f"; {number} more {KINDS[kind]}" for kind, number in missing.items())
    return f"{passed} of {possible} pass ({percent} %){more}"
