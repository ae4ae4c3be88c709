"""schemathesis: every operation of Hetzner's OpenAPI document, with data made up from it, one by one and in sequences."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fidelity import programs
from tests.fidelity.figures import Result
from tests.sandbox.conftest import TOKEN, Sandbox
from tests.sandbox.openapi import DOCUMENT, METHODS, document

PART = "schemathesis"
ELSEWHERE = "/storage_box"
"""These are at another address: an API of its own."""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "allow_header_conformance", "unsupported_method", "use_after_free"),
)
PHASES = ("examples", "coverage", "fuzzing", "stateful")
SECONDS = 1800


def run(sandbox: Sandbox, tell: Callable[[list[Result]], None], examples: int = 20, seed: int = 1) -> list[Result]:
    """All operations; those of one resource are told together."""
    with TemporaryDirectory(prefix="fidelity-") as scratch:
        report = tried(sandbox, Path(scratch), examples, seed)
    results = results_of(report, operations())
    for group in sorted({result.group for result in results}):
        tell([result for result in results if result.group == group])
    return results


def tried(sandbox: Sandbox, scratch: Path, examples: int, seed: int) -> dict[str, Any]:
    """The report of schemathesis."""
    api, report = scratch / "openapi.json", scratch / "report.json"
    api.write_bytes(gzip.decompress(DOCUMENT.read_bytes()))
    options = [
        *("--url", sandbox.url, "--header", f"Authorization: Bearer {TOKEN}", "--exclude-path-regex", f"^{ELSEWHERE}"),
        *("--checks", ",".join(CHECKS), "--phases", ",".join(PHASES), "--continue-on-failure"),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
        *("--report", "json", "--report-json-path", str(report), "--suppress-health-check", "all", "--no-color"),
    ]
    command = [str(programs.schemathesis()), "run", str(api), *options]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=SECONDS)
    if not report.exists():
        raise RuntimeError(f"schemathesis made no report:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    Path(".fidelity").mkdir(exist_ok=True)
    Path(".fidelity/schemathesis.txt").write_text(done.stdout)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def operations() -> list[str]:
    """All that are at this address."""
    paths = {path: item for path, item in document()["paths"].items() if not path.startswith(ELSEWHERE)}
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in METHODS if method in item]


def results_of(report: dict[str, Any], tried_ones: Iterable[str]) -> list[Result]:
    """One for each operation. A failure of another method (TRACE) is one more."""
    wrong: dict[str, list[str]] = {}
    for failure in (*report["failures"], *report["errors"]):
        for operation in failure["operations"]:
            wrong.setdefault(operation, []).append(f"{failure.get('code', '')} {failure['title']}".strip())
    names = [*tried_ones, *(name for name in wrong if name not in set(tried_ones))]
    return [
        Result(PART, name.split("/")[1], name, "failed" if name in wrong else "passed", "; ".join(wrong.get(name, [])))
        for name in names
    ]
