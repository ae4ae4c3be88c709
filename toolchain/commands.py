"""Run other programs: none of them outlives set-up, and one that fails is shown ready to be tried by hand."""

import os
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from toolchain.errors import SetupError

TAIL_LINES = 25


def run(
    argv: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    is_progress: Callable[[str], bool] = lambda _: False,
    remedy: str = "Run `make setup` again: it goes on where it stopped.",
) -> str:
    """Run a program and return its output, both streams as one text.

    `is_progress` gets each line as it comes, and tells those that only say how far the program is: they are left out.
    Raises SetupError with the end of the output when the program fails.
    """
    words = [str(word) for word in argv]
    process = subprocess.Popen(
        [*_ending_with_parent(), *words],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = _follow(process, is_progress)
    if process.returncode != 0:
        tail = "\n    ".join(deque(lines, TAIL_LINES))
        raise SetupError(
            f"this command failed with exit code {process.returncode}:\n"
            f"  {_as_typed(words, folder)}\n  its output ends with:\n    {tail}",
            remedy,
        )
    return "\n".join(lines)


def _follow(process: subprocess.Popen[str], is_progress: Callable[[str], bool]) -> list[str]:
    lines = []
    try:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        for line in process.stdout:
            text = line.rstrip("\n")
            if not is_progress(text):
                lines.append(text)
    finally:
        if process.poll() is None and not _ended_within(process, 1):
            process.terminate()
        process.wait()
    return lines


def _ended_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _ending_with_parent() -> list[str]:
    """Words to put before a command so that it is ended when set-up is killed, and nothing builds on unseen."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _as_typed(words: Sequence[str], folder: Path | None) -> str:
    return (f"cd {shlex.quote(str(folder))} && " if folder else "") + shlex.join(words)
