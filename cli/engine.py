"""The pinned engine, asked through ./pulumiw."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from images.engine import plain
from images.recorded import Recorded, recorded
from recipe.problems import Problem, ProblemsError

ROOT = Path(__file__).parents[1]


class EngineError(Exception):
    """The engine could not answer; the text is what it said."""


def stack_outputs(stack: str) -> dict[str, Any]:
    """All outputs of a stack; none before its first `up`. Raises EngineError or ProblemsError."""
    return _ask(stack, "stack", "output", "--json")


def read_state(stack: str) -> Recorded:
    """What the state has, with secrets as they are kept: encrypted. Raises EngineError or ProblemsError."""
    deployment = _ask(stack, "stack", "export").get("deployment") or {}
    resources = deployment.get("resources") or []
    return recorded((item["urn"], item.get("outputs") or {}) for item in resources)


def _ask(stack: str, *arguments: str) -> dict[str, Any]:
    command = [str(ROOT / "pulumiw"), *arguments, "--stack", stack]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=plain(os.environ))
    if result.returncode != 0:
        raise _refusal(result, stack)
    return dict(json.loads(result.stdout or "{}"))


def preview(stack: str) -> Any:  # noqa: ANN401 - the engine's document
    """What an `up` would do, as the engine's JSON, also where the program found errors. Raises EngineError or ProblemsError."""
    # What is the same tells of images that an earlier run began.
    result = _run_aloud(
        [str(ROOT / "pulumiw"), "preview", "--json", "--show-sames", "--non-interactive", "--stack", stack]
    )
    try:
        return json.loads(result.stdout)
    except json.JSONDecodeError as error:
        raise _refusal(result, stack) from error


def _run_aloud(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Show meanwhile what it says on standard error: where binaries are built first, that takes minutes."""
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=plain(os.environ)
        ) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        said = pool.submit(_pass_on, process.stderr or [])
        output = process.stdout.read() if process.stdout else ""
        return subprocess.CompletedProcess(command, process.wait(), output, said.result())


def _pass_on(lines: Iterable[str]) -> str:
    """Up to the first error, which whoever called tells in words of its own."""
    said = ""
    for line in lines:
        said += line
        if "error: " not in said:
            sys.stderr.write(line)
    return said


def _refusal(result: subprocess.CompletedProcess[str], stack: str) -> EngineError | ProblemsError:
    """What the engine said; of a stack that it does not know, what to do."""
    text = result.stderr.strip() or result.stdout.strip()
    if "no stack named" not in text:
        return EngineError(text or "the engine said nothing")
    rule = "there is no such stack in this state backend"
    remedy = (
        "./pulumiw stack ls shows which there are. Log in to the backend that has it, or make it:\n"
        f"    ./pulumiw stack init {stack}, then ./pulumiw up --stack {stack}"
    )
    return ProblemsError([Problem("./node-images", "--stack", stack, rule, remedy)])
