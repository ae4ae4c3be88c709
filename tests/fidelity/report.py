"""docs/fidelity.md: what passed of how many, and the reason for each that does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from tests.fidelity.figures import OUTCOMES, Result, in_words, reason_of, table
from tests.fidelity.figures import Reason as Known

TITLES = {
    "terraform": "The Terraform provider's own acceptance tests",
    "hcloud": "The hcloud command line",
    "schemathesis": "Every operation of the OpenAPI document",
}


def document(results: Sequence[Result], known: Sequence[Known], about: Mapping[str, str]) -> str:
    """The page. ``about``: what a part is, in words, with its versions."""
    parts = [part(name, list(items), known, about[name]) for name, items in groupby(results, lambda item: item.part)]
    return PAGE.format(parts="\n".join(parts))


def part(name: str, results: Sequence[Result], known: Sequence[Known], about: str) -> str:
    """A chapter."""
    rows = "\n".join(
        f"| {group} | {counted.total()} | {' | '.join(str(counted[outcome]) for outcome in OUTCOMES)} |"
        for group, counted in table(results).items()
    )
    return CHAPTER.format(
        title=TITLES[name], about=about, sums=in_words(results, known), rows=rows, reasons=reasons(results, known)
    )


def reasons(results: Sequence[Result], known: Sequence[Known]) -> str:
    """A line for each reason, with what it is about; what nobody has explained comes last."""
    lines: dict[str, list[str]] = {}
    for result in results:
        if result.outcome != "passed":
            reason = reason_of(result, known)
            lines.setdefault(reason.why if reason else "not explained yet", []).append(result.name)
    return "\n".join(f"- {why}: {', '.join(f'`{name}`' for name in names)}" for why, names in lines.items()) or "None."


CHAPTER = """## {title}

{about} {sums}.

| | all | passed | failed | skipped |
|---|---:|---:|---:|---:|
{rows}

Those that do not pass:

{reasons}
"""

PAGE = """# How near the sandbox is to the real API

Made by `make fidelity`; edit tests/fidelity instead. What others wrote for the real API is run against the sandbox,
unmodified but for the API's address.

{parts}"""
