"""The tour of tests/sandbox as a part of the comparison."""

from __future__ import annotations

from collections.abc import Iterable

from tests.fidelity.figures import Result
from tests.sandbox.tour import Step

PART = "hcloud"


def results(steps: Iterable[Step]) -> list[Result]:
    """By resource."""
    return [
        Result(PART, step.name.split()[0], step.name, "failed" if step.error else "passed", step.error)
        for step in steps
    ]
