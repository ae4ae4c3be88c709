"""Figures and how they are shown. Pure but for the clock."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

COUNTED = ("requests", "resources", "servers")

RESULTS = Path(__file__).parent / "results"
"""Where the figures are written; git does not track it."""


@dataclass(frozen=True)
class Measure:
    """One figure, in `unit` ("s", "MB", "requests" and so on), and beside it what it should be judged by, in the same unit."""

    name: str
    value: float
    unit: str = "s"
    beside: str = ""
    reference: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the reference."""
        return self.value / self.reference if self.reference else None


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return the median time that `work` takes."""
    return statistics.median(_once(work) for _ in range(times))


def _once(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def cells(measure: Measure) -> tuple[str, str, str, str]:
    """Return a table row: name, figure, what it is compared with, ratio."""
    beside = f"{measure.beside}: {amount(measure.reference, measure.unit)}" if measure.reference is not None else ""
    return measure.name, amount(measure.value, measure.unit), beside, f"{measure.ratio:.1f} x" if measure.ratio else ""


def amount(value: float, unit: str) -> str:
    """Return "1.23 s", "12.3 s" or "123 MB": three digits are all that repeats. What is counted has none: "12 requests"."""
    digits = 0 if unit in COUNTED or value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def kind_of_request(method: str, route: str, query: str) -> str:
    """What a request is for: `query` tells a list by labels from one of everything, and a look-up by name."""
    if method != "GET":
        return f"{method} {route}"
    if route.startswith("/actions"):
        return "polls of actions"
    names = {part.partition("=")[0] for part in query.split("&")}
    by = [name for name in ("name", "label_selector") if name in names]
    return f"GET {route}" + (f" by {by[0]}" if by else "")


def markdown(measures: Iterable[Measure], machine: dict[str, str]) -> str:
    """Return the table as a page."""
    about = "".join(f"- {name}: {value}\n" for name, value in machine.items())
    rows = "".join(f"| {' | '.join(cells(measure))} |\n" for measure in measures)
    return f"# Benchmarks\n\n{about}\n| What | Figure | Beside | Ratio |\n|---|---:|---|---:|\n{rows}"


def document(measures: Iterable[Measure], machine: dict[str, str]) -> dict[str, Any]:
    """Return the same for programs."""
    return {"machine": machine, "measures": [{**asdict(measure), "ratio": measure.ratio} for measure in measures]}
