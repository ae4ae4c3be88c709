"""The exports that a command works from: those of a stack, or those in a file that `stack output --json` wrote."""

import json
import sys
from pathlib import Path
from typing import Any

from cli.engine import stack_outputs
from images.exports import Exports, ImageRecord, read_exports
from recipe.problems import Problem, ProblemsError

STANDARD_INPUT = Path("-")


def load_exports(stack: str, file: Path | None) -> Exports:
    """The typed exports. Raises ProblemsError, or EngineError where the engine does not answer."""
    if file is None:
        return read_exports(stack_outputs(stack), _of_stack(stack))
    label = "standard input" if file == STANDARD_INPUT else str(file)
    return read_exports(_of_file(file, label), label)


def load_images(stack: str) -> list[ImageRecord]:
    """The declared images of a stack; none before its first `up`. Raises ProblemsError or EngineError."""
    outputs = stack_outputs(stack)
    return read_exports(outputs, _of_stack(stack)).images if outputs else []


def _of_stack(stack: str) -> str:
    return f"exports of stack {stack}"


def _of_file(file: Path, label: str) -> dict[str, Any]:
    remedy = "write it with: ./pulumiw stack output --json --stack STACK"
    try:
        document = json.loads(sys.stdin.read() if file == STANDARD_INPUT else file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(label, "", "", f"not JSON: {error}", remedy)]) from error
    if not isinstance(document, dict):
        raise ProblemsError([Problem(label, "", "", "not a stack's outputs, which are one JSON object", remedy)])
    return document
