"""Measure, and write benchmarks/results/latest.md and latest.json. Uses ports, state and machines of its own."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import RESULTS, Measure, cells, document, markdown
from benchmarks.scenarios import ON_REQUEST, SCENARIOS, Scenario
from mirror import MirrorError
from tests.e2e.workspace import ROOT, close_workspace, prepare_workspace, start_workspace


def main() -> int:
    """Run the scenarios that the command line names (by default all but those on request); return the exit code."""
    known = {scenario.__name__: scenario for scenario in (*SCENARIOS, *ON_REQUEST)}
    if unknown := [name for name in sys.argv[1:] if name not in known]:
        print(f"error: {', '.join(unknown)}: the scenarios are {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        measures = _measure([known[name] for name in sys.argv[1:]] or SCENARIOS)
    except (RuntimeError, AssertionError, MirrorError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    Console().print(_table(measures))
    _write(measures)
    return 0


def _measure(scenarios: Iterable[Scenario]) -> list[Measure]:
    measures = []
    with tempfile.TemporaryDirectory(prefix="node-images-bench-") as folder:
        workspace = prepare_workspace(Path(folder) / "checkout")
        try:
            start_workspace(workspace)
            for measure in (measure for scenario in scenarios for measure in scenario(workspace)):
                print(f"{measure.name}: {cells(measure)[1]}", flush=True)
                measures.append(measure)
        finally:
            close_workspace(workspace)
    return measures


def _table(measures: list[Measure]) -> Table:
    table = Table()
    for title in ("What", "Figure", "Beside", "Ratio"):
        table.add_column(title, justify="right" if title in ("Figure", "Ratio") else "left")
    for measure in measures:
        table.add_row(*cells(measure))
    return table


def _write(measures: list[Measure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    machine = _machine()
    (RESULTS / "latest.md").write_text(markdown(measures, machine))
    (RESULTS / "latest.json").write_text(json.dumps(document(measures, machine), indent=2) + "\n")
    print(f"written to {(RESULTS / 'latest.md').relative_to(ROOT)} and latest.json")


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GB memory, {system}",
        "load when measured": f"{os.getloadavg()[0]:.1f}",
    }


if __name__ == "__main__":
    sys.exit(main())
