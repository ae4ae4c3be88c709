"""The pinned engine, asked through ./pulumiw."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class EngineError(Exception):
    """The engine could not answer; the text is what it said."""


def stack_output(stack: str, name: str) -> Any:  # noqa: ANN401 - whatever the program exports
    """One output of a stack; nothing where the stack or the output does not exist yet. Raises EngineError."""
    command = [str(ROOT / "pulumiw"), "stack", "output", "--json", "--stack", stack]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if result.returncode != 0:
        raise EngineError(result.stderr.strip() or result.stdout.strip())
    return json.loads(result.stdout or "{}").get(name)
