"""Which state of the project this checkout is."""

import json
import subprocess
from pathlib import Path

from cli.engine import ROOT
from images.exports import INTERFACE

PINS = Path("toolchain/pins.json")


def version_text(root: Path = ROOT) -> str:
    """Revision, the interface of the exports, and the engine that it pins."""
    engine = json.loads((root / PINS).read_text())["engine"]
    return f"node-images {revision(root)}\nexports: interface {INTERFACE}\nPulumi: {engine['minimum']} or later"


def revision(root: Path) -> str:
    """The nearest tag, or the commit, and `-dirty` where files were changed; a copy without git has none."""
    if not (root / ".git").exists():
        return "(no git checkout)"
    command = ["git", "-C", str(root), "describe", "--tags", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "(no git)"
    return done.stdout.strip() or "(unknown)"
