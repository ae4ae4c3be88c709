"""The pinned engine, asked through ./pulumiw."""

import json
import subprocess
from pathlib import Path
from typing import Any

from images.recorded import Recorded, recorded

ROOT = Path(__file__).parents[1]


class EngineError(Exception):
    """The engine could not answer; the text is what it said."""


def stack_outputs(stack: str) -> dict[str, Any]:
    """All outputs of a stack; none before its first `up`. Raises EngineError."""
    return _ask("stack", "output", "--json", "--stack", stack)


def stack_output(stack: str, name: str) -> Any:  # noqa: ANN401 - whatever the program exports
    """One output of a stack; nothing where it does not exist yet. Raises EngineError."""
    return stack_outputs(stack).get(name)


def read_state(stack: str) -> Recorded:
    """What the state has, with secrets as they are kept: encrypted. Raises EngineError."""
    deployment = _ask("stack", "export", "--stack", stack).get("deployment") or {}
    resources = deployment.get("resources") or []
    return recorded((item["urn"], item.get("outputs") or {}) for item in resources)


def _ask(*arguments: str) -> dict[str, Any]:
    command = [str(ROOT / "pulumiw"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if result.returncode != 0:
        raise EngineError(result.stderr.strip() or result.stdout.strip())
    return dict(json.loads(result.stdout or "{}"))


def preview(stack: str) -> Any:  # noqa: ANN401 - the engine's document
    """What an `up` would do, as the engine's JSON, also where the program found errors. Raises EngineError."""
    command = [str(ROOT / "pulumiw"), "preview", "--json", "--non-interactive", "--stack", stack]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    try:
        return json.loads(result.stdout)
    except json.JSONDecodeError as error:
        raise EngineError(_explained(result.stderr.strip() or result.stdout.strip(), stack)) from error


def _explained(text: str, stack: str) -> str:
    if "no stack named" in text:
        return f"{text}\n    See what there is: ./pulumiw stack ls. Or make it: ./pulumiw stack init {stack}"
    return text or "the engine said nothing"
