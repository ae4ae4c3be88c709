"""Programs that stand in for those of a server, or for the way to it."""

from pathlib import Path


def program(file: Path, shell: str) -> None:
    """Put a program there that runs these lines."""
    file.write_text(f"#!/bin/sh\n{shell}\n")
    file.chmod(0o755)
