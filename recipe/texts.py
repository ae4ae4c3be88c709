"""The files of the recipe as text, each read once in a run."""

from functools import cache
from pathlib import Path


@cache
def text_of(file: Path) -> str:
    """The whole file."""
    return file.read_text()
