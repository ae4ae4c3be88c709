"""The exports that a command works from: those of a stack, or those in a file that `stack output --json` wrote."""

import json
import sys
from pathlib import Path
from typing import Any

from cli.engine import EngineError, stack_outputs
from images.exports import Exports, read_exports
from recipe.problems import Problem, ProblemsError

STANDARD_INPUT = Path("-")


def load_exports(stack: str, file: Path | None) -> Exports:
    """The typed exports. Raises ProblemsError, or EngineError where the engine does not answer."""
    if file is None:
        return read_exports(_of_stack(stack), f"exports of stack {stack}")
    label = "standard input" if file == STANDARD_INPUT else str(file)
    return read_exports(_of_file(file, label), label)


def _of_stack(stack: str) -> dict[str, Any]:
    try:
        return stack_outputs(stack)
    except EngineError as error:
        if "no stack named" not in str(error):
            raise
        rule = "there is no such stack in this state backend"
        remedy = "./pulumiw stack ls shows which there are; make it with `up`, or log in to the backend that has it"
        raise ProblemsError([Problem("./node-images", "--stack", stack, rule, remedy)]) from error


def _of_file(file: Path, label: str) -> dict[str, Any]:
    remedy = "write it with: ./pulumiw stack output --json --stack STACK"
    try:
        document = json.loads(sys.stdin.read() if file == STANDARD_INPUT else file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ProblemsError([Problem(label, "", "", f"not JSON: {error}", remedy)]) from error
    if not isinstance(document, dict):
        raise ProblemsError([Problem(label, "", "", "not a stack's outputs, which are one JSON object", remedy)])
    return document
