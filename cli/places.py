"""Paths of the command line, which are meant from where somebody types them."""

from os import environ
from pathlib import Path

CALLER = "NODE_IMAGES_CALLER"
"""Where ./node-images was called, which runs in the checkout itself."""


def as_typed(path: str | Path) -> Path:
    """The path that somebody means; `-` stays standard input."""
    return Path(path) if str(path) == "-" else Path(environ.get(CALLER, "")) / path
