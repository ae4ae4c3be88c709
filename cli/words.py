"""Errors, put into words for people at a terminal."""

import os
import sys


def one_line(error: Exception) -> str:
    """What went wrong and what to do, where there is room for a line."""
    return " ".join(str(error).split())


def with_remedy(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}.\n    Name another path."
    return str(error)


def leave_pipe() -> None:
    """Whoever read what we print has gone, as `head` does: say nothing more, also at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
